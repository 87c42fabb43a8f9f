"""Whether the tables that `rca.changes.rank` is given can be read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import numpy as np
import pandas as pd

from rca import vocabulary
from rca.errors import UnknownName, did_you_mean, raise_all, shorten

__all__ = ["NEEDED", "checked", "kinds"]

NEEDED = ("event_id", "time", "system", "kind", "message", "ref")
_TEXTS = ("event_id", "system", "kind", "message", "ref")
_LISTED = 10


def kinds() -> list[str]:
    """Return the kinds of events that are changes."""
    table = vocabulary.table("event_kinds")
    return [str(name) for name in table.index[table["is_change"] == "yes"]]


def checked(changes: pd.DataFrame, errors: pd.DataFrame | None, max_delay: pd.Timedelta) -> pd.DataFrame:
    """Return the events, numbered from 0 and without missing texts, or raise what is wrong with what is given.

    Raises
    ------
    UnknownName
        If a kind is not in the vocabulary.
    InputError
        If a column is missing or of another type, one id stands for two changes, or `max_delay` is not positive.
    """
    problems = [f"changes: required column {name!r} is missing" for name in NEEDED if name not in changes.columns]
    for name in ("system", "text"):
        if errors is not None and name not in errors.columns:
            problems.append(f"errors: required column {name!r} is missing")
    if not isinstance(max_delay, dt.timedelta) or not max_delay > pd.Timedelta(0):
        problems.append(f"max_delay: found {shorten(max_delay)}; wanted is a positive Timedelta")
    raise_all(problems)
    problems = _types(changes, "changes", "time")
    if errors is not None:
        problems += _types(errors, "errors", "first")
    raise_all(problems)
    out = changes.reset_index(drop=True)
    texts = {name: out[name].astype(object).where(out[name].notna(), "").astype(str) for name in _TEXTS}
    out = out.assign(**texts)
    known = vocabulary.ids("event_kinds")
    raise_all(_unknown(out["kind"], known), UnknownName)
    own = out.loc[out["kind"].isin(kinds()), "event_id"]
    twice = own[own.duplicated(keep=False)]
    rows = {name: twice.index[twice == name].tolist() for name in twice.unique()[:_LISTED]}
    raise_all([f"changes: rows {', '.join(map(str, at))}: one event_id, {shorten(name)}" for name, at in rows.items()])
    return out


def _unknown(column: pd.Series, known: Collection[str]) -> list[str]:
    """Return for each kind that is not known its first row, and the nearest kind."""
    wrong = column[~column.isin(known)].drop_duplicates()
    return [
        f"changes: row {row}: bad event kind {shorten(kind)}{did_you_mean(kind, known)}"
        for row, kind in wrong.head(_LISTED).items()
    ]


def _types(table: pd.DataFrame, where: str, time: str) -> list[str]:
    """Return what is wrong with the types of the columns: times without a zone, severities that are no numbers."""
    problems = [f"{where}: column {name!r} occurs twice" for name in table.columns[table.columns.duplicated()].unique()]
    if problems:
        return problems
    if time in table.columns and not isinstance(table[time].dtype, pd.DatetimeTZDtype) and table[time].notna().any():
        problems.append(f"{where}: column {time!r} holds {table[time].dtype}; wanted are times with a zone")
    if "severity" in table.columns:
        column = table["severity"]
        wrong = np.flatnonzero(pd.to_numeric(column, errors="coerce").isna() & column.notna())
        if len(wrong):
            found = shorten(column.iloc[wrong[0]])
            problems.append(f"{where}: row {wrong[0]}: severity {found}; wanted are numbers of OpenTelemetry, 1 to 24")
    return problems

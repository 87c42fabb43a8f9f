"""The tables that all floors share: their columns, types and meaning, checked once at the border.

``events``
    One row an event, sorted by (time, source, position, event_id).
``metrics``
    Long form: one row a measured value.
``dependencies``
    One row an edge ``cause -> effect``: a fault in ``cause`` can reach ``effect``.
``spans``
    One row a span of a distributed trace. Their calls are made into dependencies on the way in.

Times are UTC (``datetime64[ns, UTC]``) and empty when undated, never invented.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from rca import times
from rca.errors import InputError, UnknownName, did_you_mean, raise_all, shorten
from rca.times import UTC

__all__ = ["COLUMNS", "REQUIRED", "SEVERITY", "alert_state", "attributes", "check", "empty", "severity_number"]

TEXT = "str"
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "events": {
        "event_id": TEXT,  # hash of source and native id, or of source and raw record
        "time": UTC,
        "time_end": UTC,
        "time_earliest": UTC,  # interval in which the event happened, when not exact
        "time_latest": UTC,
        "time_text": TEXT,  # as received
        "zone_basis": TEXT,  # explicit, declared, assumed
        "offset": "timedelta64[ns]",  # taken off the source's clock; time + offset is what it showed
        "offset_method": TEXT,  # how the offset is known; empty when nothing was corrected
        "system": TEXT,
        "kind": TEXT,  # id in vocabulary event_kinds
        "severity": "Int64",  # OpenTelemetry's 1-24
        "message": TEXT,
        "actor": TEXT,  # a person's name or handle; a pseudonym in reports
        "ref": TEXT,  # commit, version, ticket or message id
        "trace_id": TEXT,
        "attributes": TEXT,  # the other fields of the record, as JSON
        "source": TEXT,
        "position": "int64",  # 1-based row or line in the source
        "locator": TEXT,  # the same for people: "alerts.csv row 3"
        "raw_sha256": TEXT,
        "count": "int64",  # identical records folded into this row
    },
    "metrics": {
        "time": UTC,
        "system": TEXT,
        "metric": TEXT,
        "value": "float64",
        "source": TEXT,
    },
    "dependencies": {
        "cause": TEXT,
        "effect": TEXT,
        "cause_kind": TEXT,  # service, model, feature, data, job, process, external; empty when not known
        "effect_kind": TEXT,
        "fallback": TEXT,  # what the effect uses when the cause is not there; empty when nothing is declared
        "basis": TEXT,  # declared, table, spans
        "count": "int64",  # how often seen
        "source": TEXT,
    },
    "spans": {
        "trace_id": TEXT,
        "span_id": TEXT,
        "parent_id": TEXT,
        "system": TEXT,
        "name": TEXT,
        "time": UTC,
        "duration": "timedelta64[ns]",  # from its start to its end; empty when not known
        "status": TEXT,
        "source": TEXT,
    },
}
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "events": ("time", "kind", "message"),
    "metrics": ("time", "system", "metric", "value"),
    "dependencies": ("cause", "effect"),
    "spans": ("span_id", "system"),
}
# First number of each range in the OpenTelemetry log data model, and the words other systems use.
SEVERITY: Mapping[str, int] = {
    "trace": 1, "debug": 5, "info": 9, "informational": 9, "notice": 10, "low": 10,
    "warn": 13, "warning": 13, "medium": 13, "minor": 13, "error": 17, "err": 17, "high": 17, "major": 17,
    "critical": 21, "crit": 21, "fatal": 21, "alert": 21, "emergency": 24, "page": 21,
}  # fmt: skip
_ENDED = ("resolved", "ok", "closed", "inactive", "normal")
_HANDLED = ("pending", "acknowledged", "unacknowledged", "reassigned", "escalated", "work_started")
_NUMBERS = {str(number): number for number in range(1, 25)}


def severity_number(word: str) -> int | None:
    """Return OpenTelemetry's severity number of a word or number, or None when it says nothing.

    Examples
    --------
    >>> severity_number("WARN"), severity_number("17"), severity_number("teal")
    (13, 17, None)
    """
    text = word.strip().lower()
    return SEVERITY[text] if text in SEVERITY else _NUMBERS.get(text)


def attributes(text: str) -> Mapping[str, Any]:
    """Return the attributes of an event, which are a JSON object as text; an empty text has none.

    Raises
    ------
    InputError
        If the text is no JSON object.

    Examples
    --------
    >>> attributes('{"to": "on-call"}')["to"], attributes("")
    ('on-call', {})
    """
    try:
        content = json.loads(text) if text else {}
    except ValueError as error:
        raise InputError(f"attributes are no JSON object: {shorten(text)}") from error
    if not isinstance(content, dict):
        raise InputError(f"attributes are no JSON object: {shorten(text)}")
    return content


def alert_state(fields: Mapping[str, Any]) -> str:
    """Return what the attributes of an alert or ticket say of it: it ``fires``, ``ended``, or people ``handled`` it.

    Without an attribute ``state`` or ``status`` it fires.

    Examples
    --------
    >>> alert_state({"status": "Resolved"}), alert_state({"state": "acknowledged"}), alert_state({})
    ('ended', 'handled', 'fires')
    """
    words = {str(fields.get(name, "")).casefold() for name in ("state", "status")}
    return "ended" if words & set(_ENDED) else "handled" if words & set(_HANDLED) else "fires"


def empty(table: str) -> pd.DataFrame:
    """Return `table` with its columns and types and no rows.

    Examples
    --------
    >>> list(empty("dependencies"))
    ['cause', 'effect', 'cause_kind', 'effect_kind', 'fallback', 'basis', 'count', 'source']
    """
    if table not in COLUMNS:
        raise UnknownName(f"unknown table {shorten(table)}{did_you_mean(table, COLUMNS)}")
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS[table].items()})


def check(frame: pd.DataFrame, table: str, *, where: str = "") -> pd.DataFrame:
    """Return a copy of `frame` with exactly the columns and types of `table`, or raise.

    Parameters
    ----------
    frame : DataFrame
        Columns that are missing and not required are added empty.
    table : str
        A key of `COLUMNS`.
    where : str
        Place for error messages, usually the file.

    Returns
    -------
    DataFrame
        Indexed from 0.

    Raises
    ------
    UnknownName
        A column that the table does not have, with the nearest name.
    InputError
        A required column that is missing or holds empty values, a column that occurs twice, a value of
        another type, or a time without a zone.
    """
    where = where or table
    out = empty(table).reindex(range(len(frame)))
    columns = COLUMNS[table]
    unknown = [str(name) for name in frame.columns if name not in columns]
    problems = [f"{where}: unknown column {shorten(name)}{did_you_mean(name, columns)}" for name in unknown]
    raise_all(problems, UnknownName)
    problems = [f"{where}: column {name!r} occurs twice" for name in frame.columns[frame.columns.duplicated()]]
    problems += [
        f"{where}: required column {name!r} is missing" for name in REQUIRED[table] if name not in frame.columns
    ]
    raise_all(problems)
    for name, kind in columns.items():
        try:
            if name in frame.columns:
                out[name] = _cast(frame[name].reset_index(drop=True), kind, where)
            elif kind == TEXT:
                out[name] = ""
            elif kind == "int64":
                out[name] = 1
            elif name == "offset":
                out[name] = pd.Timedelta(0)
            out[name] = out[name].astype(kind)
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{where}: column {name!r} is not of type {kind} ({shorten(error, 200)})") from error
    for name in REQUIRED[table]:
        if columns[name] == TEXT and (out[name] == "").any():
            rows = (out.index[out[name] == ""] + 1).tolist()
            problems.append(f"{where}: row {rows[0]}: {name!r} is empty ({len(rows)} such rows)")
    raise_all(problems)
    return out


def _cast(column: pd.Series, kind: str, where: str) -> pd.Series:
    if kind == TEXT:
        return column.astype(object).where(column.notna(), "").astype(str).astype(TEXT)
    if kind == UTC:
        return column if column.dtype == UTC else times.parse_column(column, where=where)
    if kind == "timedelta64[ns]" and column.dtype.kind != "m":  # a bare number would be taken for nanoseconds
        wrong = [value for value in column.dropna() if not isinstance(value, (dt.timedelta, np.timedelta64))]
        if wrong:
            raise TypeError(f"{shorten(wrong[0])} is no Timedelta")
    return column.astype("Int64") if kind == "int64" else column.astype(kind)  # Int64 refuses 1.5, int64 cuts it

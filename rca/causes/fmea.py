"""Failure mode and effects analysis: risk priority number and Action Priority.

The Action Priority table is data (``action_priority.csv``, with its provenance); its id stands in
every output, and another table can be given.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rca.conclusions import FailureMode
from rca.errors import InputError, did_you_mean, raise_all

__all__ = ["RATINGS", "action_priority", "priority_table", "score"]

RATINGS = ("severity", "occurrence", "detection")
PRIORITIES = ("H", "M", "L")
_TEXTS = ("id", "function", "failure_mode", "effect", "cause", "controls")
_COMPUTED = ("rpn", "action_priority", "rank", "tied_with", "table")
_TABLE_COLUMNS = ("table", *RATINGS, "priority")


@cache
def _standard() -> pd.DataFrame:
    path = Path(__file__).with_name("action_priority.csv")
    frame = pd.read_csv(path, comment="#", dtype=str)
    lines = path.read_text(encoding="utf-8").splitlines()
    frame.attrs["note"] = " ".join(line.removeprefix("# ") for line in lines if line.startswith("#"))
    return frame


@cache
def _standard_cells() -> Any:
    return _cells(_standard())


def priority_table() -> pd.DataFrame:
    """Return the Action Priority table that comes with the package, as ranges of ratings.

    Returns
    -------
    DataFrame
        ``table`` (its id), ``severity``, ``occurrence``, ``detection`` (a rating or a range such as ``7-10``),
        ``priority`` (H, M, L). ``attrs["note"]`` says where it comes from and what was not checked.

    Examples
    --------
    >>> priority_table().iloc[0].tolist()
    ['AIAG-VDA-2019', '9-10', '8-10', '7-10', 'H']
    """
    frame = _standard().copy()
    frame.attrs = dict(_standard().attrs)
    return frame


def action_priority(severity: int, occurrence: int, detection: int, *, table: pd.DataFrame | None = None) -> str:
    """Return how urgently a failure mode needs action: ``"H"``, ``"M"`` or ``"L"``.

    Parameters
    ----------
    severity, occurrence, detection : int
        Ratings from 1 (best) to 10 (worst).
    table : DataFrame, optional
        Another table, in the form of `priority_table`; default AIAG & VDA 2019.

    Raises
    ------
    InputError
        A rating that is not a whole number from 1 to 10, or a table that does not give each of the 1,000
        combinations exactly one priority.

    References
    ----------
    .. [1] AIAG & VDA FMEA Handbook, 1st edition, 2019 (not seen; see the note of `priority_table`).

    Examples
    --------
    >>> action_priority(9, 3, 2), action_priority(9, 2, 6), action_priority(9, 4, 2)
    ('L', 'M', 'H')
    """
    ratings = (severity, occurrence, detection)
    raise_all([f"fmea: {name}: {_fault(value)}" for name, value in zip(RATINGS, ratings, strict=True) if _fault(value)])
    cells = _standard_cells() if table is None else _cells(table)
    return str(cells[int(severity) - 1, int(occurrence) - 1, int(detection) - 1])


def score(rows: Sequence[FailureMode] | pd.DataFrame, *, table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return failure modes with risk priority number and Action Priority, worst first.

    Parameters
    ----------
    rows : sequence of FailureMode, or DataFrame
        A table needs the columns ``id``, ``function``, ``failure_mode``, ``effect``, ``cause`` and the three
        ratings; ``controls`` and further columns are kept.
    table : DataFrame, optional
        Another priority table, in the form of `priority_table`; default AIAG & VDA 2019.

    Returns
    -------
    DataFrame
        The columns given, then ``rpn`` (severity x occurrence x detection, 1 to 1000), ``action_priority``
        (H, M, L), ``rank`` (by priority, then RPN; ties share the worst rank), ``tied_with`` (ids of the same
        rank, separated by commas) and ``table`` (id of the priority table). Ties stand in order of id.
        ``attrs["note"]`` holds the provenance of the table.

    Raises
    ------
    InputError
        Listing every fault with row and column: a missing column, an empty or repeated id, a rating that is
        missing, not a whole number or outside 1 to 10; or a priority table with gaps or contradictions.

    Notes
    -----
    RPN takes only 120 different values and treats severity like the rest, so a high RPN may have a low
    priority and the other way round: priority comes first in the order.

    Examples
    --------
    >>> modes = [FailureMode(id="fm1", function="Score", failure_mode="Drift", effect="Fraud missed",
    ...                      cause="No monitor", severity=8, occurrence=4, detection=8),
    ...          FailureMode(id="fm2", function="Load", failure_mode="Late", effect="Old scores",
    ...                      cause="Queue", severity=4, occurrence=8, detection=10)]
    >>> score(modes)[["id", "rpn", "action_priority", "rank"]].values.tolist()
    [['fm2', 320, 'H', 1], ['fm1', 256, 'H', 2]]
    """
    given = rows if isinstance(rows, pd.DataFrame) else _frame(rows)
    frame = given[[name for name in given.columns if name not in _COMPUTED]].reset_index(drop=True)
    _check(frame)
    priorities = _standard() if table is None else table
    cells = _standard_cells() if table is None else _cells(table)
    for name in RATINGS:
        frame[name] = frame[name].astype("int64")
    severity, occurrence, detection = (frame[name].to_numpy() for name in RATINGS)
    frame["rpn"] = severity * occurrence * detection
    frame["action_priority"] = pd.Series(cells[severity - 1, occurrence - 1, detection - 1], dtype="str")
    urgency = frame["action_priority"].map({"H": 2, "M": 1, "L": 0}).astype("int64")
    key = urgency * 10_000 + frame["rpn"]  # no RPN reaches 10,000
    frame["rank"] = key.rank(ascending=False, method="max").astype("int64")
    same = frame.groupby("rank")["id"].agg(set).to_dict()
    tied = [", ".join(sorted(same[rank] - {own})) for rank, own in zip(frame["rank"], frame["id"], strict=True)]
    frame["tied_with"] = pd.Series(tied, dtype="str")
    name = str(priorities["table"].iloc[0])
    frame["table"] = pd.Series([name] * len(frame), dtype="str")
    frame = frame.sort_values(["rank", "id"], kind="stable", ignore_index=True)
    frame.attrs = {"table": name, "note": priorities.attrs.get("note", "")}
    return frame


def _frame(rows: Sequence[FailureMode]) -> pd.DataFrame:
    columns = [*_TEXTS, *RATINGS]
    frame = pd.DataFrame([[getattr(row, name) for name in columns] for row in rows], columns=columns)
    return frame.astype(dict.fromkeys(_TEXTS, "str"))


def _fault(value: object) -> str:
    """Return what is wrong with a rating, or nothing."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return "missing; wanted a whole number from 1 to 10"
    whole = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_) and float(value).is_integer()
    if not whole or not 1 <= float(value) <= 10:  # type: ignore[arg-type]
        return f"{value!r} is not a whole number from 1 to 10"
    return ""


def _check(frame: pd.DataFrame) -> None:
    wanted = [name for name in (*_TEXTS, *RATINGS) if name != "controls"]
    others = [str(name) for name in frame.columns if name not in wanted]
    raise_all(
        [
            f"fmea: column {name!r} is missing" + (did_you_mean(name, others) if others else "")
            for name in wanted
            if name not in frame.columns
        ]
    )
    problems = []
    seen: set[str] = set()
    for number, row in enumerate(frame[["id", *RATINGS]].astype(object).to_dict("records"), start=1):
        name = "" if pd.isna(row["id"]) else str(row["id"]).strip()
        if not name or name in seen:
            problems.append(f"fmea: row {number}: id: " + (f"{name!r} occurs twice" if name else "missing"))
        seen.add(name)
        place = f"fmea: row {number}" + (f" ({name!r})" if name else "")
        problems += [f"{place}: {column}: {_fault(row[column])}" for column in RATINGS if _fault(row[column])]
    raise_all(problems)


def _cells(table: pd.DataFrame) -> Any:
    """Return the priorities as an array of 10 x 10 x 10, or raise unless every cell has exactly one."""
    missing = [name for name in _TABLE_COLUMNS if name not in table.columns]
    if missing or table.empty:
        raise InputError(f"priority table: {'no rows' if not missing else 'column missing: ' + ', '.join(missing)}")
    if table["table"].isna().any() or table["table"].nunique() != 1:
        raise InputError("priority table: the column 'table' must hold one id, the same in every row")
    cells = np.full((10, 10, 10), "", dtype="U1")
    problems = []
    for number, row in enumerate(table[list(_TABLE_COLUMNS)].astype(object).to_dict("records"), start=1):
        ranges = [_range(row[name]) for name in RATINGS]
        bad = [name for name, part in zip(RATINGS, ranges, strict=True) if part is None]
        faults = [f"{name}: {row[name]!r} is not a range such as 7-10" for name in bad]
        if row["priority"] not in PRIORITIES:
            faults.append(f"priority: {row['priority']!r} is not one of {', '.join(PRIORITIES)}")
        problems += [f"priority table: row {number}: {fault}" for fault in faults]
        if not faults:
            block = cells[tuple(part for part in ranges if part is not None)]
            if (block != "").any():
                problems.append(f"priority table: row {number}: gives a combination that an earlier row already has")
            block[...] = row["priority"]
    gaps = np.argwhere(cells == "") + 1
    if len(gaps) and not problems:
        first = ", ".join(f"{name} {value}" for name, value in zip(RATINGS, gaps[0], strict=True))
        problems.append(f"priority table: {len(gaps)} of 1,000 combinations have no priority, the first: {first}")
    raise_all(problems)
    return cells


def _range(text: object) -> slice | None:
    """Return ``"7-10"`` or ``"1"`` as a slice of an axis, or None if it is neither."""
    low, dash, high = str(text).strip().partition("-")
    high = high if dash else low
    if not (low.isdecimal() and high.isdecimal() and 1 <= int(low) <= int(high) <= 10):
        return None
    return slice(int(low) - 1, int(high))

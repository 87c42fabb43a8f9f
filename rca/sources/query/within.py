"""Events within a stretch of time: their rows, their number, their histogram."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, shorten
from rca.sources.query import spread
from rca.sources.query.conditions import Events, Found, Question, check_limit, opened, question
from rca.sources.stored import arrow_schema, frame
from rca.times import UTC

if TYPE_CHECKING:
    import pyarrow as pa

    from rca.sources.read import Stored

__all__ = ["Count", "count", "histogram", "window"]

MAX_BINS = 1_000_000
By = Literal["system", "kind", "severity"]
_GROUPS = {None: "''", "system": "system", "kind": "kind", "severity": "severity"}
_STEP = pd.Timedelta("5min")


class Count(NamedTuple):
    """How many events, how many records they were folded from, and how many events have no time."""

    events: int
    records: int
    undated: int


def window(
    stored: Stored | str | Path,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    *,
    systems: Sequence[str] = (),
    kinds: Sequence[str] = (),
    text: str = "",
    min_severity: int | str | None = None,
    limit: int = 10_000,
) -> Found:
    """Return the events from `start` until before `end`, in order of time.

    Parameters
    ----------
    stored : Stored or Path
        From `rca.sources.store`, or its ``events.parquet``.
    start, end : Timestamp, optional
        With a zone; start included, end not. None: open. Without both, undated events stand at the end.
    systems : sequence of str, optional
        Only of these.
    kinds : sequence of str, optional
        Only of these ids of the vocabulary ``event_kinds``.
    text : str, optional
        Only where the message holds this text as it stands, upper or lower case.
    min_severity : int or str, optional
        Only of this severity or a worse one: a number of OpenTelemetry, 1 to 24, or a word such as ``error``.
        Events without a severity are left out then.
    limit : int, default 10,000
        Of how many events the rows are returned, the first ones.

    Returns
    -------
    Found
        `rows` as the table ``events`` of `rca.schema`; `total` counts all that match.

    Raises
    ------
    InputError
        A time without a zone, an end that is not after the start, a limit below 1, an unknown severity, or a
        file that holds no events.
    UnknownName
        A system that no event names, or a kind that does not exist, with the nearest one.

    Notes
    -----
    An event belongs to a window by its ``time``; one that began before and lasted into it does not. Reads the
    row groups that reach into the window; a text is searched in all messages of the window.

    Examples
    --------
    >>> window("events.parquet", pd.Timestamp("2025-11-18 11:20"))
    Traceback (most recent call last):
        ...
    rca.errors.InputError: start 2025-11-18 11:20:00: no time zone; write UTC times as 2025-11-18T11:20:00Z
    """
    asked = question(start, end, systems, kinds, text, min_severity)
    check_limit(limit)
    with opened(stored) as ask:
        asked.check_systems(ask)
        columns = ", ".join(f'"{name}"' for name in arrow_schema("events").names)
        # The file is in order, and the engine keeps it: no sorting, and no reading past the limit.
        found = ask(f"SELECT {columns} FROM events WHERE {asked.where} LIMIT {limit + 1}", asked.values)
        total = found.num_rows
        if total > limit:
            total = ask(f"SELECT count(*) FROM events WHERE {asked.where}", asked.values)[0][0].as_py()
        return Found(frame(found.slice(0, limit), "events"), total, asked.undated(ask))


def count(
    stored: Stored | str | Path,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    *,
    systems: Sequence[str] = (),
    kinds: Sequence[str] = (),
    text: str = "",
    min_severity: int | str | None = None,
) -> Count:
    """Return how many events there are from `start` until before `end`.

    Parameters
    ----------
    stored, start, end, systems, kinds, text, min_severity
        As for `window`.

    Returns
    -------
    Count
        `events` are rows; `records` the same with identical records each for itself; `undated` the events
        without a time, which `events` holds where neither start nor end is given.

    Raises
    ------
    InputError, UnknownName
        As for `window`.
    """
    asked = question(start, end, systems, kinds, text, min_severity)
    with opened(stored) as ask:
        asked.check_systems(ask)
        query = f"SELECT count(*) AS events, coalesce(sum(count), 0)::BIGINT AS records FROM events WHERE {asked.where}"
        (row,) = ask(query, asked.values).to_pylist()
        return Count(row["events"], row["records"], asked.undated(ask))


def histogram(
    stored: Stored | str | Path,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    step: pd.Timedelta = _STEP,
    by: By | None = None,
    *,
    systems: Sequence[str] = (),
    kinds: Sequence[str] = (),
    text: str = "",
    min_severity: int | str | None = None,
    series: Sequence[str] = (),
) -> pd.DataFrame:
    """Return how many records there are in each stretch of time.

    Parameters
    ----------
    stored, start, end, systems, kinds, text, min_severity
        As for `window`.
    step : Timedelta, default 5 minutes
        Length of a stretch. Stretches are counted from 1970-01-01T00:00Z, whatever `start` is, so that those of
        several questions fit; the first and the last may lie in the window in part only.
    by : {"system", "kind", "severity"}, optional
        Count each of these for itself.
    series : sequence of str, optional
        Ids of sources in which a row of several records stands for happenings from its ``time`` to its
        ``time_end``, of which only these two times are known, as Kubernetes writes its events. Their happenings are
        placed at even distances between the two, those before `start` or not before `end` left out.

    Returns
    -------
    DataFrame
        Columns ``time`` (begin of the stretch, UTC; empty for undated records, which are counted last,
        whatever the window), ``group`` (of `by`, as text; empty without one), ``count`` (records: identical
        ones that were folded into one event count each) and ``estimated`` (how many of them are placed by
        estimate: those of a series but its first and last). Ordered by time and group. Stretches without records
        have no row.

    Raises
    ------
    InputError
        As for `window`; a step that is not positive, or one that gives more than a million rows, or cuts the
        records of series into more than 20 million parts.
    UnknownName
        As for `window`; another `by`.

    Notes
    -----
    Even distances keep the total of a series, whatever the step, and the counts of a stretch are the sum of those of
    its parts. In the sources that `series` does not name, all records of a row are counted at its ``time``: there
    ``time_end`` is how long the one thing lasted, and several records are the same one told again.
    """
    import pyarrow as pa

    asked = question(start, end, systems, kinds, text, min_severity)
    if by not in _GROUPS:
        raise UnknownName(f"by {shorten(by)}{did_you_mean(str(by), [name for name in _GROUPS if name])}")
    if not isinstance(step, pd.Timedelta) or not step > pd.Timedelta(0):
        raise InputError(f"step {shorten(step)}: expected a Timedelta of more than 0")
    with opened(stored) as ask:
        asked.check_systems(ask)
        found = _counted(ask, asked, step, _GROUPS[by], series)
    if found.num_rows > MAX_BINS:
        raise InputError(f"step {step}: more than {MAX_BINS:,} rows; take a longer step or a shorter window")
    groups = ["" if name is None else str(name) for name in found.column("part").to_pylist()]
    return pd.DataFrame(
        {
            "time": found.column("begin").cast(pa.timestamp("ns", "UTC")).to_pandas().astype(UTC),
            "group": pd.Series(groups, dtype="str"),
            **{name: pd.Series(found.column(name).to_numpy(), dtype="int64") for name in ("count", "estimated")},
        }
    )


def _counted(ask: Events, asked: Question, step: pd.Timedelta, group: str, series: Sequence[str]) -> pa.Table:
    """Return columns begin, part, count and estimated; one row more than there may be where there are too many."""
    ns = step.as_unit("ns").value
    begin = f"time_ns - (time_ns % {ns} + {ns}) % {ns}"
    single, parts, values = asked.where_or_undated, "", dict(asked.values)
    if series:
        is_series, own = spread.condition(series)
        values |= own
        most, total, number = spread.pieces(ask, asked, is_series, own, ns)
        if most > MAX_BINS:
            raise InputError(f"step {step}: more than {MAX_BINS:,} rows; take a longer step or a shorter window")
        if total > spread.MAX_PIECES:
            said = f"step {step}: cuts the records that are spread into {total:,} parts"
            raise InputError(f"{said}; take a longer step or a shorter window")
        single = f"NOT {is_series} AND {single}"
        if total:
            parts = f"UNION ALL {spread.query(asked, is_series, ns, group, most, number)}"
    return ask(
        f"""
        SELECT begin, part, sum(number)::BIGINT AS count, sum(estimate)::BIGINT AS estimated FROM (
            SELECT {begin} AS begin, {group} AS part, count AS number, 0 AS estimate FROM events WHERE {single} {parts}
        ) GROUP BY ALL ORDER BY begin NULLS LAST, part NULLS FIRST LIMIT {MAX_BINS + 1}
        """,
        values,
    )

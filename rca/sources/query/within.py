"""Events within a stretch of time: their rows, their number, their histogram."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """How many events, how many records they were folded from, how many have no time, how many are in only perhaps."""

    events: int
    records: int
    undated: int
    perhaps: int


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
        An event that is known only as an interval belongs to the window when the interval reaches into it, and
        stands at its earliest time.
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
        `rows` as the table ``events`` of `rca.schema`; `total` counts all that match; `perhaps` says which rows
        are intervals that reach out of the window too.

    Raises
    ------
    InputError
        A time without a zone, an end that is not after the start, a limit below 1, an unknown severity, or a
        file that holds no events.
    UnknownName
        A system that no event names, or a kind that does not exist, with the nearest one.

    Notes
    -----
    An event with a ``time`` belongs to a window by it; one that began before and lasted into it does not. Of an
    interval, both ends count as part of it; of one with a single end, the other is open. Reads the row groups that
    reach into the window, and those at the end of the file that hold intervals; a text is searched in all messages of
    these.

    Examples
    --------
    >>> window("events.parquet", pd.Timestamp("2025-11-18 11:20"))
    Traceback (most recent call last):
        ...
    rca.errors.InputError: start 2025-11-18 11:20:00: no time zone; write UTC times as 2025-11-18T11:20:00Z
    """
    import pyarrow as pa

    asked = question(start, end, systems, kinds, text, min_severity)
    check_limit(limit)
    with opened(stored) as ask:
        asked.check_systems(ask)
        columns = ", ".join(f'"{name}"' for name in arrow_schema("events").names)
        select = f"SELECT {columns}, {{}} AS perhaps, {{}} AS place FROM events WHERE".format
        # The file is in order, and the engine keeps it: no sorting, and no reading past the limit.
        found = ask(f"{select('false', 'time_ns')} {asked.dated} LIMIT {limit + 1}", asked.values)
        total = found.num_rows
        if total > limit:
            total = ask(f"SELECT count(*) FROM events WHERE {asked.dated}", asked.values)[0][0].as_py()
        intervals, unsure = _intervals(ask, asked)
        if intervals:
            place = "least(time_earliest_ns, time_latest_ns)"
            order = f"ORDER BY {', '.join(_ORDER)} LIMIT {limit}"
            more = ask(f"{select(asked.perhaps, place)} {asked.interval} {order}", asked.values)
            found = pa.concat_tables([found, more]).sort_by([(name, "ascending") for name in _ORDER])
        found = found.slice(0, limit)
        undated = asked.count_undated(ask)
        if not asked.windowed and undated and found.num_rows < limit:
            rest = ask(f"{select('false', 'time_ns')} {asked.undated} LIMIT {limit - found.num_rows}", asked.plain)
            found = pa.concat_tables([found, rest])
        total += intervals + (0 if asked.windowed else undated)
        perhaps = tuple(found.column("perhaps").to_pylist())
        return Found(frame(found.drop_columns(["perhaps", "place"]), "events"), total, undated, perhaps, unsure)


_ORDER = ("place", "source", "position", "event_id")


def _intervals(ask: Events, asked: Question) -> tuple[int, int]:
    """Return how many events known as an interval reach into the window, and how many of these out of it too."""
    query = f"SELECT count(*) AS number, count(*) FILTER ({asked.perhaps}) AS unsure FROM events WHERE {asked.interval}"
    (row,) = ask(query, asked.values).to_pylist()
    return row["number"], row["unsure"]


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
        without a time or an interval, which `events` holds where neither start nor end is given; `perhaps` those of
        `events` that are known only as an interval that reaches out of the window too.

    Raises
    ------
    InputError, UnknownName
        As for `window`.
    """
    asked = question(start, end, systems, kinds, text, min_severity)
    with opened(stored) as ask:
        asked.check_systems(ask)
        parts = [(asked.dated, asked.values), (asked.interval, asked.values)]
        if not asked.windowed:
            parts.append((asked.undated, asked.plain))
        query = "SELECT count(*) AS events, coalesce(sum(count), 0)::BIGINT AS records FROM events WHERE"
        rows = [ask(f"{query} {where}", values).to_pylist()[0] for where, values in parts]
        events, records = (sum(row[name] for row in rows) for name in ("events", "records"))
        return Count(events, records, asked.count_undated(ask), _intervals(ask, asked)[1])


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
        Columns ``time`` (begin of the stretch, UTC; empty where it is not known, which is counted last), ``group``
        (of `by`, as text; empty without one), ``count`` (records: identical ones that were folded into one event
        count each), ``estimated`` (how many of them are placed by estimate: those of a series but its first and
        last) and ``reason``: why the stretch is not known (``no time``, whatever the window; ``interval over several
        steps``; ``interval reaches out of the window``), else empty. Ordered by time, group and reason. Stretches
        without records have no row.

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
    ``time_end`` is how long the one thing lasted, and several records are the same one told again. An event known as
    an interval is counted in a stretch when it lies in this stretch and in the window, from end to end.
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
            "reason": pd.Series(found.column("reason").to_pylist(), dtype="str"),
        }
    )


def _counted(ask: Events, asked: Question, step: pd.Timedelta, group: str, series: Sequence[str]) -> pa.Table:
    """Return columns begin, part, reason, count, estimated; one row more than there may be where there are too many."""
    ns = step.as_unit("ns").value
    begin = f"{{0}} - ({{0}} % {ns} + {ns}) % {ns}".format
    single, values = asked.dated, dict(asked.values)
    parts = [
        _intervals_in_steps(asked, begin, group),
        f"SELECT NULL, {group}, 'no time', count, 0 FROM events WHERE {asked.undated}",
    ]
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
            cut = spread.query(asked, is_series, ns, group, most, number)
            parts.append(f"SELECT begin, part, '', number, estimate FROM ({cut})")
    columns = f"{begin('time_ns')} AS begin, {group} AS part, '' AS reason, count AS number, 0 AS estimate"
    parts.insert(0, f"SELECT {columns} FROM events WHERE {single}")
    return ask(
        f"""
        SELECT begin, part, reason, sum(number)::BIGINT AS count, sum(estimate)::BIGINT AS estimated
        FROM ({" UNION ALL ".join(parts)})
        GROUP BY ALL ORDER BY begin NULLS LAST, part NULLS FIRST, reason LIMIT {MAX_BINS + 1}
        """,
        values,
    )


def _intervals_in_steps(asked: Question, begin: Callable[[str], str], group: str) -> str:
    """Return the query of events known as an interval: in their stretch, or why that is not known."""
    first, last = "least(time_earliest_ns, time_latest_ns)", "greatest(time_earliest_ns, time_latest_ns)"
    whole = f"time_earliest_ns IS NOT NULL AND time_latest_ns IS NOT NULL AND {begin(first)} = {begin(last)}"
    return f"""
        SELECT CASE WHEN reason = '' THEN {begin(first)} END, part, reason, number, 0 FROM (
            SELECT *, {group} AS part, count AS number,
                CASE WHEN {asked.perhaps} THEN 'interval reaches out of the window'
                    WHEN {whole} THEN '' ELSE 'interval over several steps' END AS reason
            FROM events WHERE {asked.interval}
        )
    """

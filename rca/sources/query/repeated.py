"""Events that stand for several records, or seem to be told by several sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from rca.sources.query.conditions import Found, check_limit, opened
from rca.times import UTC

if TYPE_CHECKING:
    import pyarrow as pa

    from rca.sources.read import Stored

__all__ = ["repeats"]

_SECOND = 10**9
_SLICE = 1_000_000  # rows that are compared at a time


def repeats(stored: Stored | str | Path, *, limit: int = 10_000) -> Found:
    """Return events that stand for several records, and events that several sources seem to tell.

    Parameters
    ----------
    stored : Stored or Path
        From `rca.sources.store`, or its ``events.parquet``.
    limit : int, default 10,000
        Of how many the rows are returned, the first ones.

    Returns
    -------
    Found
        `rows` in order of time, with columns ``why`` (``identical``: one source holds the same record `records`
        times, folded into one event; ``same second``: events of several sources with one system, message and
        second, not folded), ``time`` (UTC, of the first), ``system``, ``message``, ``sources`` and
        ``event_ids`` (tuples, in order), ``records``. `undated` events, which have no time or only an
        interval, are not compared across sources.

    Raises
    ------
    InputError
        A limit below 1, or a file that holds no events.

    Notes
    -----
    Two reports of one event on both sides of a full second are not found, and two events that a system
    reports in the same words within a second are taken for one. Memory is bounded: a million rows at a time.
    """
    check_limit(limit)
    with opened(stored) as ask:
        identical = ask(
            f"""
            SELECT 'identical' AS why, time_ns AS begin, system, message, [source] AS sources, [event_id] AS event_ids,
                count AS records
            FROM events WHERE count > 1 LIMIT {limit}
            """
        )
        total = ask("SELECT count(*) FROM events WHERE count > 1")[0][0].as_py()
        parts = [identical]
        for values in _slices(ask.path):
            near = ask(_NEAR, values)
            total += near.num_rows
            parts.append(near.slice(0, max(limit - sum(part.num_rows for part in parts[1:]), 0)))
        undated = ask("SELECT count(*) FROM events WHERE time_ns IS NULL")[0][0].as_py()
    return Found(_repeated(parts, limit), total, undated)


_NEAR = f"""
    WITH slice AS (
        SELECT time_ns, time_ns // {_SECOND} AS second, system, message, source, event_id, count,
            hash(second, system, message) AS same
        FROM events WHERE time_ns >= ? AND time_ns < ?
    )
    SELECT 'same second' AS why, min(time_ns) AS begin, system, message, list_sort(list(DISTINCT source)) AS sources,
        list(event_id ORDER BY time_ns, source, event_id) AS event_ids, sum(count)::BIGINT AS records
    FROM slice WHERE same IN (SELECT same FROM slice GROUP BY same HAVING min(source) < max(source))
    GROUP BY second, system, message HAVING len(sources) > 1 ORDER BY begin, system, message
"""


def _slices(path: Path) -> Iterator[list[int]]:
    """Yield stretches of whole seconds that hold all dated events, each about `_SLICE` of them."""
    from pyarrow import parquet

    metadata = parquet.read_metadata(path)
    column = metadata.schema.names.index("time_ns")
    begin, rows = -(2**63), 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        statistics = group.column(column).statistics
        if rows >= _SLICE and statistics is not None and statistics.has_min_max:
            until = statistics.min // _SECOND * _SECOND
            if until > begin:
                yield [begin, until]
                begin, rows = until, 0
        rows += group.num_rows
    yield [begin, 2**63 - 1]


def _repeated(parts: list[pa.Table], limit: int) -> pd.DataFrame:
    rows = [row for part in parts for row in part.to_pylist()]
    rows.sort(key=lambda row: (row["begin"] is None, row["begin"] or 0, row["why"], row["system"], row["message"]))
    table = pd.DataFrame(rows[:limit], columns=["why", "begin", "system", "message", "sources", "event_ids", "records"])
    return pd.DataFrame(
        {
            "why": table["why"].astype("str"),
            "time": pd.Series(
                [pd.NaT if row["begin"] is None else pd.Timestamp(row["begin"], tz="UTC") for row in rows[:limit]],
                dtype=UTC,
            ),
            "system": table["system"].astype("str"),
            "message": table["message"].astype("str"),
            "sources": pd.Series([tuple(row["sources"]) for row in rows[:limit]], dtype=object),
            "event_ids": pd.Series(
                [tuple(f"{item:016x}" for item in row["event_ids"]) for row in rows[:limit]], dtype=object
            ),
            "records": table["records"].astype("int64"),
        }
    )

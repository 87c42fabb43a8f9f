"""Events that come back: rows of our own exports beside the rows of the sources that they were exported from.

An event keeps its id when its export is imported again (`rca.sources.formats.timesketch`). In the incident that it
came from it would then stand twice. It is the same event when both tell the same: then the returned row is dropped.
Else the id is the first one's, and the returned row gets an id of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rca.sources.query.conditions import opened
from rca.sources.rows import source_mask
from rca.sources.runs import writing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["READERS", "Settled", "settle"]

READERS = ("timesketch",)  # formats that bring events back
# What two rows must agree in: times as the source's clock showed them, texts, and the hash of the original record.
_TIMES = ("time_ns", "time_end_ns", "time_earliest_ns", "time_latest_ns")
_TOLD = ("system", "kind", "severity", "message", "actor", "ref", "trace_id")


@dataclass(frozen=True)
class Settled:
    """What became of the returned rows of one source.

    Attributes
    ----------
    same : int
        Rows that were dropped: the event is there already.
    other : int
        Rows whose id is that of an event which tells something else; they were kept under ids of their own.
    """

    same: int
    other: int


def settle(path: Path, sources: Sequence[str]) -> dict[str, Settled]:
    """Drop returned events that are there already, in place; give those that differ ids of their own.

    Parameters
    ----------
    path : Path
        ``events.parquet``: stored events in order.
    sources : sequence of str
        Ids of the sources that bring events back, those with one of `READERS`.

    Returns
    -------
    dict of str to Settled
        By source; only sources that had such rows.

    Notes
    -----
    Compared are times with their offset added back (so that a clock accepted in between changes nothing), system,
    kind, severity, message, actor, ref, trace id and the hash of the original record; not attributes and count. Of two
    sources that both bring an event back, the one with the first name keeps it. Rows are written anew a row group at
    a time, and only where there is something to change.
    """
    if not sources:
        return {}
    values = {f"source{number}": name for number, name in enumerate(sources)}
    with opened(path) as ask:
        found = ask(_query(", ".join(f"${name}" for name in values)), values)
    if not found.num_rows:
        return {}
    _rewrite(path, found)
    counts: dict[str, list[int]] = {}
    for name, same in zip(found.column("source").to_pylist(), found.column("same").to_pylist(), strict=True):
        counts.setdefault(name, [0, 0])[not same] += 1
    return {name: Settled(*pair) for name, pair in counts.items()}


def _query(names: str) -> str:
    """Return the query of source, event_id and whether it is the same, of each returned row that is there already."""
    agree = [f"(mine.{name} + mine.offset_ns) IS NOT DISTINCT FROM (first.{name} + first.offset_ns)" for name in _TIMES]
    agree += [f"mine.{name} IS NOT DISTINCT FROM first.{name}" for name in (*_TOLD, "raw")]
    return f"""
        WITH told AS (
            SELECT *, source IN ({names}) AND contains(attributes, '"exported"')
                AND coalesce({_past("event_id")} = format('{{:016x}}', event_id), false) AS back
            FROM events
        ), asked AS (
            SELECT *, CASE WHEN back THEN {_past("raw_sha256")} ELSE lower(hex(raw_sha256)) END AS raw FROM told
            WHERE event_id IN (SELECT event_id FROM told WHERE back)
        )
        SELECT mine.source AS source, mine.event_id AS event_id, bool_or({" AND ".join(agree)}) AS same
        FROM asked AS mine JOIN asked AS first ON mine.event_id = first.event_id AND mine.source <> first.source
        WHERE mine.back AND (NOT first.back OR first.source < mine.source)
        GROUP BY ALL ORDER BY ALL
    """


def _past(name: str) -> str:
    """Return what an event was known by before it came back."""
    return f"json_extract_string(nullif(attributes, ''), '$.exported.{name}')"


def _rewrite(path: Path, found: pa.Table) -> None:
    from pyarrow import parquet

    ids: dict[tuple[str, bool], Any] = {}
    for name in set(found.column("source").to_pylist()):
        own = found.filter(np.array(found.column("source").to_pylist()) == name)
        same = np.array(own.column("same").to_pylist(), dtype=bool)
        numbers = own.column("event_id").to_numpy()
        ids[name, True], ids[name, False] = numbers[same], numbers[~same]
    new = path.with_name(path.name + ".new")
    with parquet.ParquetFile(path) as old:
        stored = old.schema_arrow
        with parquet.ParquetWriter(new, stored, **writing(stored)) as writer:
            for number in range(old.num_row_groups):
                rows = _kept(old.read_row_group(number), ids)
                if rows.num_rows:
                    writer.write_table(rows)
    new.replace(path)


def _kept(rows: pa.Table, ids: dict[tuple[str, bool], Any]) -> pa.Table:
    """Return rows without those that are there already; those that differ are known by their own content."""
    import pyarrow as pa

    numbers = rows.column("event_id").to_numpy().copy()
    sources = np.array(rows.column("source").to_pylist(), dtype=object)
    keep = np.ones(len(numbers), dtype=bool)
    for (name, same), listed in ids.items():
        chosen = (sources == name) & np.isin(numbers, listed)
        if same:
            keep &= ~chosen
        else:
            for row in np.flatnonzero(chosen):
                digest = rows.column("raw_sha256")[int(row)].as_py()
                numbers[row] = int.from_bytes(digest[:8], "big") ^ int(source_mask(name))
    out = rows.set_column(rows.column_names.index("event_id"), "event_id", pa.array(numbers, pa.uint64()))
    return out.filter(pa.array(keep))

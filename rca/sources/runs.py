"""Rows on disk: runs that are sorted by time, merged into one Parquet file a table, in bounded memory.

The merge is an external sort. Each run is sorted when it is written; the runs are then read slice by slice,
cut at the same points in time, so that the rows of one slice fit into memory and equal records of any file
stand in the same slice. There they are folded into one.

Records with one id of their own and different content are states of one thing, as exports made at different
times hold them. Which of them is kept depends on what they say, never on the order of files: see `rca.sources.states`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rca.sources.pieces import Piece, joined, meetings, offsets
from rca.sources.rows import source_mask
from rca.sources.states import ranks
from rca.sources.stored import KEYS, NEVER, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Runs", "writing"]

SLICE = 200_000  # rows of a slice, about
PART = 2_000_000  # ids that are held at once while looking for states with different times
_EVERY = 64  # of how many rows one is looked at to choose the cuts
_RANDOM = ("event_id", "raw_sha256")  # nothing to compress
_ASKED = ("time_ns", "system", "kind", "severity", "source", "count", "metric")  # columns that queries choose by
_FEW = (  # columns in which few values occur many times
    "source", "system", "kind", "zone_basis", "offset_method", "metric", "basis", "cause", "effect", "status", "actor",
    "name", "severity", "count", "offset_ns", "time_end_ns", "time_earliest_ns", "time_latest_ns", "ref",
    "cause_kind", "effect_kind", "fallback",
)  # fmt: skip
_ORDER = {
    "events": ("time_ns", "source", "position", "event_id"),
    "metrics": ("time_ns", "system", "metric", "value", "source"),
    "dependencies": ("cause", "effect", "source"),
    "spans": ("time_ns", "trace_id", "span_id", "source"),
}


class Runs:
    """The rows of one table, as sorted runs in a folder.

    Parameters
    ----------
    folder : Path
        An empty folder, for this table alone.
    table : str
        A table of the schema.
    """

    def __init__(self, folder: Path, table: str) -> None:
        self.folder, self.table = folder, table
        self.schema = arrow_schema(table)
        self.samples: list[Any] = []
        self.rows = 0
        self.files: list[str] = []
        self.spans: list[tuple[int, int]] = []
        self.named = 0  # rows that are known by an id of their own, not by their content
        self.moved: Any = np.array([], dtype="uint64")  # ids whose states have different times
        self.conflicts: dict[str, int] = {}  # source -> ids that stand for records of different content
        self.unsure: dict[str, int] = {}  # source -> how many more records may have happened where its files meet
        self.pieces: dict[tuple[str, str], Piece] = {}  # (source, file)
        self.sources: list[str] = []  # of each run
        self.offsets: dict[tuple[str, str], int] = {}
        self.meetings: dict[str, dict[int, tuple[list[str], list[str], list[str]]]] = {}

    def add(self, rows: pa.Table, file: str) -> None:
        """Write a run; `file` names the file that the rows come from."""
        import pyarrow as pa

        if not rows.num_rows:
            return
        key = self._times(rows)
        order = np.argsort(key, kind="stable")
        if (order[1:] < order[:-1]).any():
            rows, key = rows.take(pa.array(order)), key[order]
        self.folder.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(self._path(len(self.files))), "wb") as sink, pa.ipc.new_file(sink, self.schema) as writer:
            writer.write_table(rows.combine_chunks())
        self.files.append(file)
        self.sources.append(rows.column("source")[0].as_py() if file else "")
        if file and self.table == "events":
            self._note_piece(rows, key, file)
        self.samples.append(key[::_EVERY])
        self.spans.append((int(key[0]), int(key[-1])))
        self.rows += rows.num_rows
        self.named += int(_named(rows).sum()) if self.table == "events" else 0

    def _note_piece(self, rows: pa.Table, key: Any, file: str) -> None:
        known = key[key != NEVER]
        first, last = (int(known[0]), int(known[-1])) if len(known) else (NEVER, -NEVER)
        end = int(rows.column("position").to_numpy().max())
        self.pieces.setdefault((self.sources[-1], file), Piece(first, last, end)).add(first, last, end)

    def merge(self, path: Path) -> dict[str, int]:
        """Write the table to a Parquet file, sorted, equal rows folded; return the rows kept by source."""
        from pyarrow import parquet

        kept: dict[str, int] = {}
        self.offsets, self.meetings = offsets(self.pieces), meetings(self.pieces)
        cuts = list(self._cuts())
        if self.named and len(cuts) > 1:
            self._gather_moved()
        with parquet.ParquetWriter(path, self.schema, **writing(self.schema)) as writer:
            for low, high in cuts:
                rows = self._folded(list(self._between(low, high)))
                if rows.num_rows:
                    writer.write_table(rows, row_group_size=65_536)
                    counts = rows.column("source").value_counts().to_pylist()
                    kept |= {item["values"]: kept.get(item["values"], 0) + item["counts"] for item in counts}
        return kept

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.arrow"

    def _times(self, rows: pa.Table) -> Any:
        if "time_ns" not in rows.column_names:
            return np.zeros(rows.num_rows, dtype="int64")
        return rows.column("time_ns").fill_null(NEVER).to_numpy()

    def _cuts(self) -> Iterator[tuple[int, int]]:
        """Yield stretches of time, each with about `SLICE` rows; together they hold all rows."""
        if not self.samples:
            return
        seen = np.sort(np.concatenate(self.samples))
        marks = np.unique(seen[SLICE // _EVERY :: SLICE // _EVERY])
        bounds = [-(2**63), *marks.tolist(), None]
        yield from pairwise(bounds)

    def _gather_moved(self) -> None:
        """Fold states whose times differ before the slices are cut: they would stand in several of them."""
        import pyarrow as pa

        moved = []
        parts = self.named // PART + 1
        for part in range(parts):
            ids, stamps = [], []
            for _, rows in self._between(-(2**63), None, ("event_id", "time_ns", "source", "raw_sha256")):
                own = rows.column("event_id").to_numpy()
                chosen = _named(rows) & (own % parts == part)
                ids.append(own[chosen])
                stamps.append(self._times(rows)[chosen])
            seen = pd.DataFrame({"id": np.concatenate(ids), "ns": np.concatenate(stamps)}).drop_duplicates()
            moved.append(seen.loc[seen["id"].duplicated(), "id"].to_numpy())
        found = np.unique(np.concatenate(moved))
        if not len(found):
            return
        runs = [
            (number, rows.filter(pa.array(np.isin(rows.column("event_id").to_numpy(), found))))
            for number, rows in self._between(-(2**63), None)
        ]
        rows = self._folded(runs)
        self.moved = found
        self.folder.joinpath("moved").mkdir()
        last = Runs(self.folder / "moved", self.table)
        last.add(rows, "")
        last._path(0).rename(self._path(len(self.files)))
        self.files.append("")
        self.spans += last.spans

    def _between(
        self, low: int, high: int | None, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[int, pa.Table]]:
        """Yield what each run holds from `low` until before `high`, without what stands in the last run instead."""
        import pyarrow as pa

        for number, (begin, end) in enumerate(self.spans):
            if end < low or (high is not None and begin >= high):
                continue
            with pa.memory_map(str(self._path(number))) as source:
                rows = pa.ipc.open_file(source).read_all()
                key = self._times(rows)
                first = int(np.searchsorted(key, low))
                last = len(key) if high is None else int(np.searchsorted(key, high))
                part = rows.slice(first, last - first).select(columns or self.schema.names)
                if len(self.moved) and self.files[number]:
                    part = part.filter(pa.array(~np.isin(part.column("event_id").to_numpy(), self.moved)))
                if part.num_rows:
                    yield (
                        number,
                        pa.table([column.combine_chunks() for column in part.columns], names=part.column_names),
                    )

    def _folded(self, runs: list[tuple[int, pa.Table]]) -> pa.Table:
        """Return the rows of some runs in order, equal ones as one row."""
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = pa.concat_tables([self._placed(*run) for run in runs]) if runs else self.schema.empty_table()
        keys = [*KEYS[self.table], "source"]
        if rows.num_rows < 2:
            return rows
        again = _repeats(rows, keys)
        keep = None
        if again.any():
            names = np.repeat([self.files[number] for number, _ in runs], [part.num_rows for _, part in runs])
            doubled = _keyed(rows.filter(pa.array(again)), self._looked_at())
            doubled = doubled.assign(file=names[again], row=np.flatnonzero(again))
            if self.table == "events":
                own = rows.filter(pa.array(again))
                doubled = doubled.assign(named=_named(own), rank=ranks(own))
            self._note_conflicts(doubled)
            rows, keep = _fold(
                rows, keys, again, doubled, self._met(rows, names, again) if self.table == "events" else {}
            )
        by = [(name, "ascending") for name in _ORDER[self.table]]
        order = pc.sort_indices(rows.select(_ORDER[self.table]), by)
        if keep is not None:
            order = order.filter(pa.array(keep).take(order))
        return rows.take(order)

    def _placed(self, number: int, rows: pa.Table) -> pa.Table:
        """Return rows of a run with their positions in the source, in which files follow each other in time."""
        import pyarrow as pa

        shift = self.offsets.get((self.sources[number], self.files[number]), 0) if self.files[number] else 0
        if not shift:
            return rows
        positions = pa.array(rows.column("position").to_numpy() + shift)
        return rows.set_column(rows.column_names.index("position"), "position", positions)

    def _met(self, rows: pa.Table, names: Any, again: Any) -> dict[tuple[int, str], int]:
        """Return how often records happened at the times at which files of a source meet: (id, source) -> count."""
        import pyarrow.compute as pc

        out: dict[tuple[int, str], int] = {}
        stamps = self._times(rows)
        there = set(np.unique(stamps[again]).tolist()) if self.meetings else set()
        for source, met in self.meetings.items():
            for time in there & met.keys():
                here = (stamps == time) & pc.equal(rows.column("source"), source).to_numpy(zero_copy_only=False)
                chosen = np.flatnonzero(here)
                part = rows.take(chosen)
                own = _named(part)
                table = _keyed(part, ["event_id", "count", "position"]).assign(file=names[chosen])[~own]
                parts = {
                    str(file): list(zip(one["event_id"].tolist(), one["count"].tolist(), strict=True))
                    for file, one in table.sort_values("position", kind="stable").groupby("file")
                }
                found = joined(*([parts[file] for file in files if file in parts] for files in met[time]))
                if found is not None:
                    out |= {(event, source): count for event, count in found[0].items()}
                    self.unsure[source] = self.unsure.get(source, 0) + found[1]
        return out

    def _looked_at(self) -> list[str]:
        more = [name for name in ("position", "count", "raw_sha256") if name in self.schema.names]
        return [*KEYS[self.table], "source", *more]

    def _note_conflicts(self, doubled: pd.DataFrame) -> None:
        """Count the ids of formats that stand for several contents; one is kept, and the report says so."""
        if "raw_sha256" in doubled:
            contents = doubled.groupby([*KEYS[self.table], "source"])["raw_sha256"].nunique()
            for source, number in (contents > 1).groupby("source").sum().items():
                if number:
                    self.conflicts[str(source)] = self.conflicts.get(str(source), 0) + int(number)


def writing(stored: pa.Schema) -> dict[str, Any]:
    """Return how the columns of a table are written: in this way a million events cost a quarter less."""
    names = stored.names
    return {
        "compression": {name: "none" if name in _RANDOM else "zstd" for name in names},
        "compression_level": {name: 1 for name in names if name not in _RANDOM},
        "use_dictionary": [name for name in _FEW if name in names],
        "write_statistics": [name for name in _ASKED if name in names],
        "column_encoding": {name: "DELTA_BINARY_PACKED" for name in ("time_ns", "position") if name in names},
    }


def _repeats(rows: pa.Table, keys: list[str]) -> Any:
    """Return which rows have a key that occurs more than once."""
    if keys[0] == "event_id":
        ids = rows.column("event_id").to_numpy()
        ordered = np.sort(ids)
        twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        return np.isin(ids, twice) if len(twice) else np.zeros(len(ids), dtype=bool)
    return _keyed(rows, keys).duplicated(keep=False).to_numpy()


def _keyed(rows: pa.Table, columns: list[str]) -> pd.DataFrame:
    """Return some columns for pandas; an empty time becomes a number, since pandas would make all of them floats."""
    return pd.DataFrame(
        {
            name: (rows.column(name).fill_null(NEVER) if name == "time_ns" else rows.column(name)).to_pandas()
            for name in columns
        }
    )


def _fold(
    rows: pa.Table, keys: list[str], again: Any, doubled: pd.DataFrame, met: dict[tuple[int, str], int]
) -> tuple[pa.Table, Any]:
    """Return rows, each with its number in the file that has most of them, and which of them are the first of a key.

    The number is the largest that one file has, not the sum: pieces of an export that overlap hold the same record
    once each, while a record that a system wrote three times stands three times in one file. Where files meet, `met`
    says it: (id, source) -> number. A record with an id of
    its own happened once, however often it was sent; what it counts itself is the largest of its states. An edge is
    not a record: how often its ends are named depends on how an export was cut, so the largest count of a row is kept.
    """
    import pyarrow as pa

    if "position" in doubled:
        doubled = doubled.sort_values(["rank", "position"], kind="stable")
    first = doubled.drop_duplicates(keys)
    keep = ~again
    keep[first["row"]] = True
    if "count" in rows.column_names:
        repeated = ~doubled["named"] if "named" in doubled else pd.Series(False, index=doubled.index)
        groups = [*keys, "file"]
        by_file = doubled[repeated].groupby(groups)["count"].sum()
        once = doubled[~repeated].groupby(groups)["count"].max()
        most = pd.concat([by_file, once]).groupby(keys).max().rename("most")
        counts = rows.column("count").to_numpy().copy()
        found = first.join(most, on=keys)["most"].to_numpy().copy()
        if met:
            ids = zip(*(first[name] for name in keys), strict=True)
            found = np.array([met.get(key, number) for key, number in zip(ids, found, strict=True)])
        counts[first["row"]] = found
        rows = rows.set_column(rows.column_names.index("count"), "count", pa.array(counts))
    return rows, keep


def _named(rows: pa.Table) -> Any:
    """Return which events are known by an id of their own: the ids of the others are made of their content alone."""
    raw = rows.column("raw_sha256").combine_chunks()
    hashes = np.frombuffer(raw.buffers()[1], dtype=">u8")[raw.offset * 4 : (raw.offset + len(raw)) * 4 : 4]
    sources = rows.column("source").combine_chunks().dictionary_encode()
    masks = np.array([source_mask(name) for name in sources.dictionary.to_pylist()], dtype="uint64")
    return rows.column("event_id").to_numpy() != (hashes.astype("uint64") ^ masks[sources.indices.to_numpy()])

"""Records to rows of the stored tables: ids, times, severity, and what could not be read.

Two ways lead here and end the same: records of plain files, read by a query, and items of formats.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rca import schema, times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources import documents
from rca.sources.batches import Batch
from rca.sources.items import Reject
from rca.sources.mapping import MAPPABLE, Plan
from rca.sources.spans import durations
from rca.sources.stored import NOT_A_TIME, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Clockwork", "Tally", "from_batch", "lookup", "source_mask"]

_MANY_SPELLINGS = 200_000
_BOUNDS = {"time_earliest": "first", "time_latest": "second"}  # of a time that clocks show twice


@dataclass
class Tally:
    """What was noticed while a source was read; filled in as batches pass."""

    rows: int = 0
    present: set[str] = field(default_factory=set)
    kinds: dict[str, str] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    infinite: int = 0
    missing: int = 0
    unended: int = 0
    repeated: int = 0
    bases: set[str] = field(default_factory=set)
    lists: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    rejected: int = 0
    broken: int = 0

    def reject(self, found: Sequence[Reject], *, broken: bool = False, keep: int = 1000) -> None:
        """Count rejects, and of these the records that are broken whatever the mapping; the first ones are kept."""
        self.rejected += len(found)
        self.broken += len(found) if broken else 0
        self.rejects += found[: keep - len(self.rejects)]


@dataclass(frozen=True)
class Places:
    """Where rows stand in their file, in words, made when asked for."""

    unit: str
    positions: Any

    def __getitem__(self, row: int) -> str:
        """Return the place of a row, such as ``line 3``."""
        return f"{self.unit} {self.positions[row]}"


class Clockwork:
    """Texts of one source to nanoseconds; each spelling is read once."""

    def __init__(self, source: Source) -> None:
        self.form, self.zone = source.time.format, source.time.zone
        self.known: dict[tuple[str, bool], times.Moment | times.RepeatedHour | str] = {}

    def read(self, text: str, iso: bool) -> times.Moment | times.RepeatedHour | str:
        """Return a moment, the two that it may be, or the reason why there is none."""
        found = self.known.get((text, iso))
        if found is None:
            try:
                found = times.moment(text, form="iso8601" if iso else self.form, zone_name=self.zone)
            except times.RepeatedHour as error:
                found = error
            except InputError as error:
                found = str(error).removeprefix("time: ")
            if len(self.known) < _MANY_SPELLINGS:
                self.known[text, iso] = found
        return found

    def column(self, table: pa.Table, name: str, iso: bool) -> tuple[Any, Any, dict[int, str | times.RepeatedHour]]:
        """Return nanoseconds, the basis of the zone, and reasons by row, of one time column of a query's result."""
        texts = table.column(name)
        ns = table.column(f"{name}_utc").fill_null(NOT_A_TIME).to_numpy().copy()
        basis = np.where(ns != NOT_A_TIME, np.array("explicit", dtype=object), "")
        if self.zone:
            self._local(table, name, ns, basis)
        problems: dict[int, str | times.RepeatedHour] = {}
        open_rows = np.flatnonzero(ns == NOT_A_TIME)
        for row, text in zip(open_rows, texts.take(open_rows).to_pylist(), strict=True):
            if not text:
                continue
            found = self.read(text, iso)
            if not isinstance(found, times.Moment):
                problems[int(row)] = found
            elif found.ns is not None:
                ns[row], basis[row] = found.ns, found.basis
        return ns, basis, problems

    def _local(self, table: pa.Table, name: str, ns: Any, basis: Any) -> None:
        """Fill in times without an offset on days on which the declared zone keeps one offset."""
        import pyarrow.compute as pc

        local = table.column(f"{name}_local").fill_null(NOT_A_TIME).to_numpy()
        rows = np.flatnonzero((ns == NOT_A_TIME) & (local != NOT_A_TIME))
        if not len(rows):
            return
        days = pc.utf8_slice_codeunits(table.column(name).take(rows), 0, 10).combine_chunks().dictionary_encode()
        offsets = [times.constant_offset(str(self.zone), day) for day in days.dictionary.to_pylist()]
        known = np.array([offset is not None for offset in offsets])[days.indices.to_numpy()]
        shift = np.array([offset or 0 for offset in offsets], dtype="int64")[days.indices.to_numpy()]
        ns[rows[known]] = local[rows[known]] - shift[known]
        basis[rows[known]] = "declared"


def from_batch(
    duck: Any, batch: Batch, plan: Plan, file: str, clock: Clockwork, tally: Tally
) -> tuple[pa.Table, Places]:
    """Return the rows of a batch of records in the stored form of the source's table, and their places.

    Parameters
    ----------
    duck : connection
        From `rca.sources.stored.connection`.
    batch : Batch
        From `rca.sources.batches`.
    plan : Plan
        The source's mapping.
    file : str
        Name of the file, for locators.
    clock : Clockwork
        Reads the times; kept from batch to batch.
    tally : Tally
        Counts, in place.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    tally.reject(batch.rejects, broken=True)
    given = pa.table({"position": pa.array(batch.positions), "text": batch.texts})
    given = given.filter(pc.not_equal(batch.texts, ""))
    tally.rows += given.num_rows + len(batch.rejects)
    if not given.num_rows:
        return arrow_schema(plan.source.table).empty_table(), Places(batch.unit, [])
    if given.num_rows == 1:
        tally.lists = _lists(given.column("text")[0].as_py())
    given, present = _without_doubles(duck, given, batch, plan, tally)
    duck.register("batch", given)
    found = _trimmed(duck.sql(plan.query(file, batch.unit, present, batch.typed)).to_arrow_table(), plan)
    duck.unregister("batch")
    if not found.column("position").equals(given.column("position")):
        found = found.sort_by("position")  # the hashes are put beside the rows, so both stand in the file's order
    if plan.source.table == "events":
        found = found.append_column("hash", _hashes(given.column("text")))
    columns: dict[str, Any] = {}
    problems: dict[int, str] = {}
    both: dict[int, times.RepeatedHour] = {}
    for name in plan.times:
        if f"{name}_utc" not in found.column_names:
            continue
        iso = bool(batch.typed.intersection(plan.fields.get(name, ())))
        ns, basis, wrong = clock.column(found, name, iso)
        columns[f"{name}_ns"] = ns
        if name in _BOUNDS and plan.source.table == "events":
            for row in [row for row, hour in wrong.items() if isinstance(hour, times.RepeatedHour)]:
                ns[row] = getattr(wrong.pop(row), _BOUNDS[name])
        problems = {row: str(reason).removeprefix("time: ") for row, reason in wrong.items()} | problems
        if name == "time":
            columns["zone_basis"] = basis
            both = {row: hour for row, hour in wrong.items() if isinstance(hour, times.RepeatedHour)}
    if both and plan.source.table == "events":
        _repeated_hours(both, problems, columns)
        tally.repeated += len(both)
    tally.bases.update(set(columns.get("zone_basis", ())))
    return _finish(found, columns, problems, batch.unit, plan.source, tally)


def _lists(text: str) -> list[str]:
    """Return the fields of a record that hold lists of objects: perhaps the records that were meant."""
    try:
        record = documents.json_text(text)
    except InputError:  # a key twice; it is rejected with its place
        return []
    return [name for name, value in record.items() if isinstance(value, list) and value and isinstance(value[0], dict)]


def _repeated_hours(both: dict[int, times.RepeatedHour], problems: dict[int, str], columns: dict[str, Any]) -> None:
    """Keep events in the hour that clocks show twice as intervals, from the first to the second of their times."""
    rows = list(both)
    for end, instants in (
        ("time_earliest_ns", [hour.first for hour in both.values()]),
        ("time_latest_ns", [hour.second for hour in both.values()]),
    ):
        known = columns.setdefault(end, np.full(len(columns["time_ns"]), NOT_A_TIME))
        known[rows] = np.where(known[rows] == NOT_A_TIME, instants, known[rows])
    columns["zone_basis"][rows] = "declared"
    for row in rows:
        del problems[row]


def _trimmed(found: pa.Table, plan: Plan) -> pa.Table:
    """Return a query's result without the spaces around its texts, and with the columns that nothing fills."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in MAPPABLE[plan.source.table]:
        if name in found.column_names:
            trimmed = pc.utf8_trim_whitespace(found.column(name))
            found = found.set_column(found.column_names.index(name), name, trimmed)
        else:
            found = found.append_column(name, pa.repeat("", found.num_rows))
    return found


def _without_doubles(duck: Any, given: pa.Table, batch: Batch, plan: Plan, tally: Tally) -> tuple[pa.Table, set[str]]:
    """Return the records in which no field occurs twice, and the fields there are."""
    import pyarrow as pa

    duck.register("batch", given)
    unit, shapes = batch.unit, batch.shapes
    if shapes is None:
        keys = "SELECT json_keys(text) AS keys FROM batch"
        found = duck.execute(f"SELECT any_value(keys) FROM ({keys}) GROUP BY hash(keys)")
        shapes = tuple(tuple(keys) for (keys,) in found.fetchall())
    present = {name for keys in shapes for name in keys}
    tally.present |= present
    for name in plan.named:
        if "." in name and name not in tally.present:
            inner = [f"/{name.replace('.', '/', count)}" for count in range(1, name.count(".") + 1)]
            found = duck.execute(
                "SELECT count(*) FROM batch WHERE " + " OR ".join(["json_exists(text, ?)"] * len(inner)), inner
            )
            ((count,),) = found.fetchall()
            tally.present.update([name] if count else [])
    if all(len(set(keys)) == len(keys) for keys in shapes):
        duck.unregister("batch")
        return given, present
    twice = duck.execute(
        "SELECT position, json_keys(text) FROM batch WHERE list_unique(json_keys(text)) < len(json_keys(text))"
    ).fetchall()
    duck.unregister("batch")
    reasons = []
    for position, keys in twice:
        name = next(key for number, key in enumerate(keys) if key in keys[:number])
        reasons.append(
            Reject(position, f"{unit} {position}", f"not valid JSON: key {shorten(name)} occurs twice in one object")
        )
    tally.reject(reasons, broken=True)
    keep = ~np.isin(given.column("position").to_numpy(), [position for position, _ in twice])
    return given.filter(pa.array(keep)), present


def _finish(
    found: pa.Table, columns: dict[str, Any], problems: dict[int, str], unit: str, source: Source, tally: Tally
) -> tuple[pa.Table, Places]:
    """Return the stored rows of what a query gave, without the rows that have a problem, and their places."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = source.table
    rows = found.num_rows
    for name in schema.REQUIRED[table]:
        if schema.COLUMNS[table][name] == schema.TEXT and name not in ("message", "kind"):
            for row in np.flatnonzero(pc.equal(found.column(name), "").to_numpy()):
                problems.setdefault(int(row), f"{name!r} is empty")
    columns["source"] = pa.repeat(source.id, rows)
    if table == "events":
        columns |= _event_columns(found, source, tally)
    elif table == "metrics":
        columns["value"] = _numbers(found, source, problems, tally)
    elif source.duration:
        columns["duration_ns"], wrong, unknown = durations(found.column("duration"), source.duration.unit)
        problems, tally.unended = wrong | problems, tally.unended + unknown
    stored = arrow_schema(table)
    defaults = {"count": 1, "offset_ns": 0}
    arrays = []
    for item in stored:
        if item.name in columns:
            values = columns[item.name]
            if item.name.endswith("_ns") and item.name != "offset_ns":
                values = pa.array(values, item.type, mask=values == NOT_A_TIME)
        elif item.name in found.column_names:
            values = found.column(item.name)
        elif item.name.endswith("_ns") and item.name != "offset_ns":
            values = pa.nulls(rows, item.type)
        else:
            values = pa.repeat(pa.scalar(defaults.get(item.name, ""), item.type), rows)
        arrays.append(values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, item.type))
    out = pa.table(arrays, names=stored.names).cast(stored)
    positions = found.column("position").to_numpy()
    if problems:
        tally.reject([Reject(positions[row], f"{unit} {positions[row]}", problems[row]) for row in sorted(problems)])
        keep = np.ones(rows, dtype=bool)
        keep[list(problems)] = False
        out, positions = out.filter(pa.array(keep)), positions[keep]
    return out, Places(unit, positions)


def _event_columns(found: pa.Table, source: Source, tally: Tally) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    message = pc.if_else(pc.equal(found.column("message"), ""), "(no text)", found.column("message"))
    kinds = found.column("kind").combine_chunks().dictionary_encode()
    firsts = np.unique(kinds.indices.to_numpy(), return_index=True)[1]
    for kind, row in zip(kinds.dictionary.to_pylist(), firsts, strict=True):
        tally.kinds.setdefault(kind, found.column("locator")[int(row)].as_py())
    severity = found.column("severity").combine_chunks().dictionary_encode()
    words = severity.dictionary.to_pylist()
    numbers = [schema.severity_number(word) for word in words]
    tally.words |= {word for word, number in zip(words, numbers, strict=True) if number is None and word}
    attributes = found.column("attributes")
    return {
        "message": message,
        "severity": pa.array(numbers, pa.int8()).take(severity.indices),
        "time_text": found.column("time"),
        "attributes": pc.if_else(pc.equal(attributes, "{}"), "", attributes),
        "raw_sha256": found.column("hash"),
        "event_id": _event_ids(found, source),
    }


def _hashes(texts: pa.ChunkedArray) -> Any:
    """Return the SHA-256 of each text."""
    import pyarrow as pa

    raw = bytearray()
    sha256 = hashlib.sha256
    for chunk in texts.chunks:
        _, offsets, data = chunk.buffers()
        bounds = np.frombuffer(offsets, dtype="int32")[chunk.offset : chunk.offset + len(chunk) + 1].tolist()
        view = memoryview(data)
        raw += b"".join([sha256(view[begin:end]).digest() for begin, end in pairwise(bounds)])
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), len(texts), [None, pa.py_buffer(bytes(raw))])


def _event_ids(found: pa.Table, source: Source) -> Any:
    """Return the first 64 bits of each record's hash (or its native id's), made the source's own."""
    hashes = found.column("hash").combine_chunks()
    ids = np.frombuffer(hashes.buffers()[1], dtype=">u8")[::4].astype("uint64")
    natives = found.column("native").to_pylist() if source.native_id else []
    for row, native in enumerate(natives):
        if native:
            ids[row] = int.from_bytes(hashlib.sha256(f"id:{native}".encode()).digest()[:8], "big")
    return ids ^ source_mask(source.id)


def source_mask(source_id: str) -> Any:
    """Return the 64 bits that make the ids of one source its own."""
    return np.frombuffer(hashlib.sha256(source_id.encode()).digest()[:8], dtype=">u8").astype("uint64")[0]


def _numbers(found: pa.Table, source: Source, problems: dict[int, str], tally: Tally) -> Any:
    """Return metric values as numbers; note infinite and missing ones."""
    texts = found.column("value").to_pylist()
    good = found.column("is_number").to_numpy()
    values = found.column("number").to_numpy().astype("float64")
    for row in np.flatnonzero(~good):
        if texts[row]:
            problems.setdefault(int(row), f"value {shorten(texts[row])} is not a number")
        elif int(row) not in problems:
            tally.missing += 1
    with np.errstate(over="ignore", invalid="ignore"):
        values = values * source.scale
    spelled = np.array([bool(text) and text.lower() != "nan" for text in texts], dtype=bool)
    tally.missing += int((good & ~spelled).sum())
    infinite = good & spelled & ~np.isfinite(values)
    tally.infinite += int(infinite.sum())
    values[~np.isfinite(values)] = math.nan
    return values


def lookup(record: Any, field_name: str) -> Any:
    """Return a field of a record, or None; a dotted name also reaches into nested records.

    Examples
    --------
    >>> lookup({"http.route": "/a"}, "http.route"), lookup({"user": {"name": "x"}}, "user.name")
    ('/a', 'x')
    """
    if not isinstance(record, dict):
        return None
    if field_name in record:
        return record[field_name]
    head, dot, rest = field_name.partition(".")
    return lookup(record.get(head), rest) if dot else None

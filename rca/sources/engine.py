"""One source into runs of rows: read, map, check, note what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rca import files, schema, times, vocabulary
from rca.errors import InputError, UnknownName, did_you_mean, raise_all, shorten
from rca.incident.model import Source
from rca.progress import track
from rca.sources import batches, formats, years
from rca.sources.itemrows import from_items
from rca.sources.items import Item, Reject
from rca.sources.mapping import Plan
from rca.sources.rows import Clockwork, Tally, from_batch
from rca.sources.runs import Runs
from rca.sources.stored import NOT_A_TIME

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Imported", "import_source"]

_LISTED = 5
_STAMPS = ("time_ns", "time_earliest_ns", "time_latest_ns", "time_end_ns")
_PIECE = 5_000


@dataclass
class Imported:
    """What became of one source, while and after it is read.

    Attributes
    ----------
    source : Source
        Its entry in ``incident.yaml``.
    tally : Tally
        Records read and rejected, and what was noticed.
    kept : dict of str to int
        Table -> rows made of them, before equal ones are folded.
    undated, disordered : int
        Rows without a time; rows that stand after a later one of the same file, member of an archive, or series.
    first, last : int or None
        Nanoseconds since 1970.
    last_position : dict of str to int
        File -> position of its last record.
    """

    source: Source
    tally: Tally = field(default_factory=Tally)
    kept: dict[str, int] = field(default_factory=dict)
    undated: int = 0
    disordered: int = 0
    first: int | None = None
    last: int | None = None
    last_position: dict[str, int] = field(default_factory=dict)
    late: list[str] = field(default_factory=list)
    late_count: int = 0
    natives: list[pd.DataFrame] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)


def import_source(
    source: Source,
    paths: dict[str, Path],
    runs: dict[str, Runs],
    duck: Any,
    as_of: pd.Timestamp,
    *,
    progress: bool = False,
) -> Imported:
    """Read all files of a source and add their rows to the runs.

    Parameters
    ----------
    source : Source
        Its entry in ``incident.yaml``.
    paths : dict of str to Path
        Its files by the name that ``incident.yaml`` gives them.
    runs : dict of str to Runs
        By table.
    duck : connection
        From `rca.sources.stored.connection`.
    as_of : Timestamp
        Nothing can have happened later.
    progress : bool, default False
        Draw a progress bar for each file, in batches.

    Returns
    -------
    Imported
        Counts for the import report.

    Raises
    ------
    InputError
        Everything that is wrong with the source, a few rows of each kind.
    """
    done = Imported(source)
    years.check(source, paths, as_of)
    for name, path in paths.items():
        files.check_plain(path)
        before = done.tally.rows
        rejected = len(done.tally.rejects), done.tally.rejected
        newest: dict[str, int] = {}
        for table, rows, places in track(_tables(source, name, path, duck, done), name, progress=progress):
            if rows.num_rows:
                rows = _corrected(rows, source)
                _late(rows, places, name, done, as_of)
                _look(rows, table, places, done, newest)
                runs[table].add(rows, name)
        done.last_position.setdefault(name, 0)
        done.tally.rejects[rejected[0] :] = [
            item._replace(reason=f"{name}: {item.locator}: {item.reason}") for item in done.tally.rejects[rejected[0] :]
        ]
        if source.required and done.tally.rows == before:
            raise InputError(f"{name}: no rows; if none is what the system had to say, set required: false")
    _check(done, as_of)
    return done


def _tables(source: Source, name: str, path: Path, duck: Any, done: Imported) -> Iterator[tuple[str, pa.Table, Any]]:
    """Yield the rows of one file in the stored form, with their table and places."""
    file = _called(name, source)
    if source.reader in batches.READERS:
        plan, clock = Plan(source), Clockwork(source)
        for batch in batches.READERS[source.reader](path, source, duck):
            yield source.table, *from_batch(duck, batch, plan, file, clock, done.tally)
            if len(batch.positions):
                done.last_position[name] = int(batch.positions[-1])
        done.unmapped += _nothing_for(plan, name, done)
        return
    form = formats.get(source.reader)
    items = _followed(form.read(path, source.of(name)), name, done)
    for item in items:
        # no list of items: of thousands that live at once, the garbage collector takes a quarter of the time
        piece = chain([item], islice(items, _PIECE - 1))
        for table, (rows, places) in from_items(piece, source, file, done.tally).items():
            yield table, rows, places


def _followed(items: Iterable[Item | Reject], name: str, done: Imported) -> Iterator[Item | Reject]:
    """Yield items, and note the place of the last one."""
    for item in items:
        done.last_position[name] = item.position
        yield item


def _nothing_for(plan: Plan, name: str, done: Imported) -> list[str]:
    """Return which fields of the mapping no record has, and which columns nothing fills."""
    present, source = done.tally.present, plan.source
    if done.tally.rows == done.tally.broken:
        return []
    absent = [part for part in plan.named if part not in present]
    problems = [
        f"{name}: source {source.id!r}: no field {shorten(part)}{did_you_mean(part, present)}" for part in absent
    ]
    if problems and done.tally.lists:
        problems.append(
            f"{name}: are the records below {done.tally.lists[0]!r}? then say records: /{done.tally.lists[0]}"
        )
    if problems:
        return problems
    needed = dict.fromkeys([*schema.REQUIRED[source.table], *source.values, *(["duration"] if source.duration else [])])
    return [
        f"{name}: source {source.id!r} has nothing for {column!r}; say columns: {{{column}: FIELD}} or constant:"
        f" {{{column}: ...}}{did_you_mean(column, present)}"
        for column in needed
        if column not in source.constant and column not in source.columns and column not in present
    ]


def _corrected(rows: pa.Table, source: Source) -> pa.Table:
    """Return rows with the accepted offset of the source's clock taken off; time + offset is what was written.

    A row has one offset: that of its time, or of the first other time it has.
    """
    import pyarrow as pa

    clock, names = source.clock, [name for name in _STAMPS if name in rows.column_names]
    if clock is None or not names:
        return rows
    stamps = {name: rows.column(name).fill_null(NOT_A_TIME).to_numpy() for name in names}
    shown = np.full(rows.num_rows, NOT_A_TIME)
    for values in stamps.values():
        shown = np.where(shown == NOT_A_TIME, values, shown)
    at = clock.at.value if clock.at is not None else 0
    offset = times.ahead(np.where(shown == NOT_A_TIME, 0, shown), round(clock.offset * 1e9), at, clock.drift)
    for name, values in stamps.items():
        empty = values == NOT_A_TIME
        right = pa.array(np.where(empty, 0, values) - offset, pa.int64(), mask=empty)
        rows = rows.set_column(rows.column_names.index(name), name, right)
    if "offset_ns" in rows.column_names:
        anchors = f", {clock.anchors} anchors against {clock.against}" if clock.against else ""
        method = pa.repeat(f"accepted by {clock.accepted_by}{anchors}", rows.num_rows)
        for name, column in (("offset_ns", pa.array(offset)), ("offset_method", method)):
            rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows


def _late(rows: pa.Table, places: Any, name: str, done: Imported, as_of: pd.Timestamp) -> None:
    """Note what cannot have happened yet when the exports were made."""
    for column in [item for item in rows.column_names if item.startswith("time") and item.endswith("_ns")]:
        ns = rows.column(column).fill_null(NOT_A_TIME).to_numpy()
        late = np.flatnonzero(ns > as_of.value)
        done.late_count += len(late)
        for row in late[: max(_LISTED - len(done.late), 0)]:
            shown = times.show(pd.Timestamp(int(ns[row]), tz="UTC"))
            done.late.append(f"{name}: {places[int(row)]}: later ({shown})")


_PLACE = re.compile(r"(?: ?\b(?:line|row|item|step) \d+.*|\d+)$")  # what differs between records of one list


def _look(rows: pa.Table, table: str, places: Any, done: Imported, newest: dict[str, int]) -> None:
    """Count what a report says about some rows; `newest` has the latest time so far of each series, and grows."""
    done.kept[table] = done.kept.get(table, 0) + rows.num_rows
    if "time_ns" not in rows.column_names:
        return
    ns = rows.column("time_ns").fill_null(NOT_A_TIME).to_numpy()
    known = ns[ns != NOT_A_TIME]
    if table == "events":
        intervals = rows.column("time_earliest_ns").is_valid().to_numpy()
        done.undated += int(((ns == NOT_A_TIME) & ~intervals).sum())
        if done.source.native_id:
            hashes = [value[:8] for value in rows.column("raw_sha256").to_pylist()]
            done.natives.append(
                pd.DataFrame(
                    {
                        "event_id": rows.column("event_id").to_numpy(),
                        "raw": hashes,
                        "place": rows.column("locator").to_pylist(),
                    }
                )
            )
    else:
        done.undated += int((ns == NOT_A_TIME).sum()) if table == "metrics" else 0
    if not len(known):
        return
    done.first = min(int(known.min()), done.first if done.first is not None else int(known.min()))
    done.last = max(int(known.max()), done.last if done.last is not None else int(known.max()))
    for name, own in _series(rows, table, places, ns):
        running = np.maximum.accumulate(np.concatenate([[newest.get(name, NOT_A_TIME)], own]))
        done.disordered += int((own < running[:-1]).sum())
        newest[name] = int(running[-1])


def _series(rows: pa.Table, table: str, places: Any, ns: Any) -> Iterator[tuple[str, Any]]:
    """Yield the known times of each part of a file that has an order of its own, with its name.

    That is one metric of one system, as its run or answer has it; one member of an archive or one list, as the places
    of its records say; else the file.
    """
    label = pd.Series("", range(rows.num_rows))
    if isinstance(places, list):  # the places of records within a document or archive; those of a plain table are lines
        label = pd.Series([_PLACE.sub("", place) for place in places])
    if table == "metrics":
        label += rows.column("system").to_pandas().astype(str) + "\0" + rows.column("metric").to_pandas().astype(str)
    for name, own in label.groupby(label, sort=False).indices.items():
        known = ns[own]
        if (known != NOT_A_TIME).any():
            yield f"{table} {name}", known[known != NOT_A_TIME]


def _check(done: Imported, as_of: pd.Timestamp) -> None:
    """Raise everything that a whole source is refused for."""
    source, tally = done.source, done.tally
    if done.unmapped and not tally.broken:
        raise UnknownName("\n".join(done.unmapped))
    problems = []
    if tally.rejected > source.rejected:
        problems = [item.reason for item in tally.rejects[:_LISTED]]
        more = tally.rejected - len(problems)
        hint = f"; to go on without them, say rejected: {tally.rejected}" if tally.rejected < tally.rows else ""
        if more:
            problems.append(f"{', '.join(source.file)}: and {more} more rows like these{hint}")
        else:
            problems[-1] += hint
    problems += done.unmapped
    if done.late:
        than = f"than the incident's as_of ({times.show(as_of)}); {done.late_count} such rows"
        problems.append(f"{done.late[0]} {than}")
    known = vocabulary.ids("event_kinds")
    for kind in [kind for kind in tally.kinds if kind not in known][:_LISTED]:
        try:
            vocabulary.check(kind, "event_kinds", where=_where(tally.kinds[kind], source))
        except InputError as error:
            problems.append(str(error))
    raise_all(problems + _conflicts(done))


def _called(name: str, source: Source) -> str:
    """Return what locators call a file: its name, or its path where another of the source has the same name."""
    short = Path(name).name
    return name if sum(Path(other).name == short for other in source.file) > 1 else short


def _where(locator: str, source: Source) -> str:
    """Return ``sources/a.csv: row 3`` of ``a.csv row 3``."""
    for name in source.file:
        called = _called(name, source)
        if locator.startswith(f"{called} "):
            return f"{name}: {locator.removeprefix(f'{called} ')}"
    return locator


def _conflicts(done: Imported) -> list[str]:
    """Return where one native id stands for two different records."""
    if not done.natives:
        return []
    rows = pd.concat(done.natives, ignore_index=True)
    first = rows.drop_duplicates("event_id").set_index("event_id")
    other = rows[rows["raw"].to_numpy() != first.loc[rows["event_id"], "raw"].to_numpy()]
    return [
        f"{_where(place, done.source)}: duplicate id: a different record than {first.loc[event_id, 'place']}"
        for event_id, place in other[["event_id", "place"]].head(_LISTED).itertuples(index=False)
    ]

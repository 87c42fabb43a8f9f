"""Read all exports of an incident into the tables of the schema."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from rca import schema, times
from rca.errors import RcaError, UnknownName, did_you_mean, raise_all, shorten
from rca.incident import Incident
from rca.progress import track
from rca.sources import batches, derived, references, returned, spans
from rca.sources.engine import Imported, import_source
from rca.sources.runs import Runs
from rca.sources.stored import KEYS, connection, frame, frugal

__all__ = ["IN_MEMORY", "ImportReport", "Records", "Stored", "facts", "read", "report", "store"]

IN_MEMORY = 1_000_000  # events that `read` hands out; of more, log records of low severity stay on disk
_LISTED = 5


@dataclass(frozen=True)
class ImportReport:
    """What became of one source; counts are records, times UTC.

    `zone` is the declared one or ``as written``, and how the zones of its times are known: explicit, declared, assumed.
    """

    source: str
    file: str
    table: str
    rows: int
    kept: int
    duplicates: int
    undated: int
    rejected: int
    disordered: int
    first: pd.Timestamp
    last: pd.Timestamp
    zone: str
    clock: str
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Records:
    """The exports of one incident as tables.

    Attributes
    ----------
    events, metrics, dependencies, spans : DataFrame
        As `rca.schema` describes them. What spans call is among the dependencies already.
    reports : DataFrame
        One row a source: rows read, kept, duplicate, undated, rejected, out of order, first and last time,
        zone, clock, notes.
    systems : tuple of str
        Every system that is declared, or that spans, events or metrics name.
    kinds : dict of str to str
        Declared system -> its kind; goes before what the dependencies say.
    notes : tuple of str
        What was left unclear, in sentences.
    """

    events: pd.DataFrame
    metrics: pd.DataFrame
    dependencies: pd.DataFrame
    spans: pd.DataFrame
    reports: pd.DataFrame
    systems: tuple[str, ...]
    notes: tuple[str, ...]
    kinds: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stored:
    """The tables of an incident on disk.

    Attributes
    ----------
    folder : Path
        Holds ``events.parquet``, ``metrics.parquet``, ``dependencies.parquet`` and ``spans.parquet``; times are
        columns ``..._ns``: nanoseconds since 1970, UTC.
    reports : list of dict
        Of `ImportReport`.
    last : dict of str to int
        File -> position of its last record.
    """

    folder: Path
    reports: list[dict[str, Any]]
    last: dict[str, int]

    def path(self, table: str) -> Path:
        """Return the Parquet file of a table."""
        return self.folder / f"{table}.parquet"

    def frame(self, table: str) -> pd.DataFrame:
        """Return a whole table in the types of the schema."""
        from pyarrow import parquet

        return frame(parquet.read_table(self.path(table)), table)


def store(incident: Incident, *, progress: bool = False) -> Stored:
    """Import every export that ``incident.yaml`` names into Parquet files, or find them imported.

    Parameters
    ----------
    incident : Incident
        From `rca.incident.load`.
    progress : bool, default False
        Draw a progress bar.

    Returns
    -------
    Stored
        In ``derived/`` of the incident folder.

    Raises
    ------
    InputError
        Every problem of every export at once.

    Notes
    -----
    Memory is bounded, whatever the size of line-based exports (CSV, JSON lines, Parquet, logs); a JSON
    document is read whole, up to 1 GiB. Disk: about twice the size of the exports while it runs.
    """
    folder, made = derived.current(incident, lambda work: _import(incident, work, progress))
    return Stored(folder, made["reports"], made["last"])


def _import(incident: Incident, work: Path, progress: bool) -> dict[str, Any]:
    problems, done = [], []
    with tempfile.TemporaryDirectory(dir=work) as scratch, connection() as duck, frugal():
        runs = {table: Runs(Path(scratch) / table, table) for table in KEYS}
        for source in track(incident.file.sources, "reading exports", progress=progress):
            try:
                paths = {name: incident.path(name) for name in source.file}
                done.append(import_source(source, paths, runs, duck, incident.file.as_of, progress=progress))
            except UnknownName as error:
                prefix = (
                    "incident.yaml: " + f"source {source.id!r}: " if str(error).startswith("unknown reader") else ""
                )
                problems += [prefix + line for line in str(error).splitlines()]
            except RcaError as error:
                problems += str(error).splitlines()
        raise_all(list(dict.fromkeys(problems)))
        names = ["sorting " + table for table in runs]
        kept = {
            table: one.merge(work / f"{table}.parquet")
            for (table, one), _ in zip(runs.items(), track(names, "sorting", progress=progress), strict=True)
        }
        back = [source.id for source in incident.file.sources if source.reader in returned.READERS]
        settled = returned.settle(work / "events.parquet", back)
    reports = [
        report(
            item,
            {table: counts.get(item.source.id, 0) for table, counts in kept.items()},
            runs["events"],
            settled.get(item.source.id),
        )
        for item in done
    ]
    return facts(reports, {name: position for item in done for name, position in item.last_position.items()})


def facts(reports: Iterable[ImportReport], last: Mapping[str, int]) -> dict[str, Any]:
    """Return what is kept beside the tables, as JSON has it: the reports, and file -> position of its last record."""
    return {"reports": [_plain(item) for item in reports], "last": dict(last)}


def _plain(item: ImportReport) -> dict[str, Any]:
    out = asdict(item)
    out["notes"] = list(item.notes)
    return out | {name: None if pd.isna(out[name]) else out[name].isoformat() for name in ("first", "last")}


def report(done: Imported, kept: dict[str, int], events: Runs, settled: returned.Settled | None = None) -> ImportReport:
    """Return the import report of one source.

    `kept` is the rows kept by table, `events` the runs of that table, `settled` what became of events that came back.
    """
    source, tally = done.source, done.tally
    settled = settled or returned.Settled(0, 0)
    kept = kept | {"events": kept.get("events", 0) - settled.same}
    made = sum(done.kept.values())
    bases = [basis for basis in ("explicit", "declared", "assumed") if basis in tally.bases]
    zone = source.time.zone or "as written"
    clock = source.clock
    return ImportReport(
        source=source.id,
        file="; ".join(source.file),
        table=", ".join(table for table in kept if kept[table]) or source.table,
        rows=tally.rows,
        kept=sum(kept.values()),
        duplicates=made - sum(kept.values()),
        undated=done.undated,
        rejected=tally.rejected,
        disordered=done.disordered,
        first=pd.Timestamp(done.first, unit="ns", tz="UTC") if done.first is not None else pd.NaT,
        last=pd.Timestamp(done.last, unit="ns", tz="UTC") if done.last is not None else pd.NaT,
        zone=f"{zone} ({', '.join(bases)})" if bases else zone,
        clock=f"{clock.offset:+g} s taken off" if clock else "as written",
        notes=(
            *_came_back(settled),
            *_notes(done, events.conflicts.get(source.id, 0), events.unsure.get(source.id, 0)),
        ),
    )


def _came_back(settled: returned.Settled) -> Iterable[str]:
    if settled.same:
        yield f"{settled.same} events are those of other sources that were exported; they are not added again"
    if settled.other:
        yield f"{settled.other} exported events tell something else than the events with their ids; both are kept"


def _notes(done: Imported, conflicts: int, unsure: int) -> Iterable[str]:
    tally = done.tally
    if unsure:
        yield f"files meet within equal records of one time; up to {unsure} more of these may have happened"
    if conflicts:
        yield f"{conflicts} ids stand for records of different content; of each the latest state told is kept"
    if tally.words:
        yield f"severity words not understood: {', '.join(shorten(word, 20) for word in sorted(tally.words)[:_LISTED])}"
    if tally.infinite:
        yield f"{tally.infinite} infinite values taken as missing"
    if tally.missing:
        yield f"{tally.missing} values are empty"
    if tally.unended:
        yield f"how long {tally.unended} spans took is not known: no end is written, or one before the start"
    if done.source.table == "spans" and done.source.duration is None and "duration" in tally.present:
        yield "how long spans took is not read: its unit is not said, as duration: {unit: ms}, or s, us, ns"
    if tally.repeated:
        yield f"{tally.repeated} times lie in an hour that clocks show twice; each is kept as an interval of both"
    if tally.rejected:
        yield f"{tally.rejected} records could not be read (first: {tally.rejects[0].reason})"
    if "assumed" in tally.bases:
        yield "how some times are read (zone, year or unit) is assumed from how they look, not written"


def read(incident: Incident, *, progress: bool = False) -> Records:
    """Read every export that ``incident.yaml`` names.

    Parameters
    ----------
    incident : Incident
        From `rca.incident.load`.
    progress : bool, default False
        Draw a progress bar.

    Returns
    -------
    Records
        The tables, and one import report a source.

    Raises
    ------
    InputError
        Every problem of every export at once: unreadable rows, times without a zone, duplicate ids, a
        required export without rows, an event after the incident's as-of date, an edge to an unknown
        system; and then every symptom, direction or evidence that names a metric or row that is not there.
    """
    stored = store(incident, progress=progress)
    notes: list[str] = []
    events = _events(stored, notes)
    records = _join(incident, stored, events, notes)
    raise_all(list(references.problems(incident, records.metrics, stored.last)))
    return records


def _events(stored: Stored, notes: list[str]) -> pd.DataFrame:
    """Return the events, or of very many all but the least severe log records."""
    from pyarrow import dataset, parquet

    path = stored.path("events")
    total = parquet.read_metadata(path).num_rows
    if total <= IN_MEMORY:
        return stored.frame("events")
    with connection() as duck:
        duck.register("events", dataset.dataset(path))
        found = duck.sql(
            f"""
            SELECT * FROM events
            ORDER BY kind = 'log', coalesce(severity, 0) DESC, time_ns LIMIT {IN_MEMORY}
            """
        ).to_arrow_table()
    order = [(name, "ascending") for name in ("time_ns", "source", "position", "event_id")]
    notes.append(
        f"{total:,} events are on disk; {total - IN_MEMORY:,} log records, the least severe, are not in the tables here"
    )
    return frame(found.sort_by(order), "events")


def _join(incident: Incident, stored: Stored, events: pd.DataFrame, notes: list[str]) -> Records:
    metrics, listed, traces = (stored.frame(name) for name in ("metrics", "dependencies", "spans"))
    once = traces.drop_duplicates([name for name in traces if name != "duration"])  # told with two durations, it is one
    from_spans, span_notes = spans.dependencies(once)
    declared = pd.DataFrame(
        [
            {"cause": edge.cause, "effect": edge.effect, "fallback": edge.fallback, "basis": "declared"}
            for edge in incident.file.dependencies
        ],
        columns=["cause", "effect", "fallback", "basis"],
    ).assign(source="incident.yaml")
    own = [system.id for system in incident.file.systems]
    seen = {name for table in (traces, metrics, events) for name in table["system"].unique()} - {""}
    listed = listed.assign(basis="table")
    typed = {source.id for source in incident.file.sources if source.reader in batches.READERS}
    by_hand = listed["source"].isin(typed)  # its names are people's; those of a format are the exporting system's own
    seen |= {name for end in ("cause", "effect") for name in listed.loc[~by_hand, end]}
    systems = tuple(dict.fromkeys([*own, *sorted(seen)]))
    raise_all(_unknown_systems(listed[by_hand], systems), UnknownName)
    edges = pd.concat([schema.check(declared, "dependencies"), listed, from_spans], ignore_index=True)
    notes += span_notes
    undeclared = [name for name in systems if name not in own]
    if undeclared:
        hints = (did_you_mean(name, own) for name in undeclared)
        named = [f"{name}{hint if 'mean' in hint else ''}" for name, hint in zip(undeclared, hints, strict=True)]
        notes.append(f"systems seen in exports but not declared in incident.yaml: {', '.join(named)}")
    reports = pd.DataFrame(stored.reports, columns=[item.name for item in fields(ImportReport)])
    for name in ("first", "last"):
        reports[name] = pd.to_datetime(reports[name], utc=True, format="ISO8601").astype(times.UTC)
    reports["notes"] = [tuple(items) for items in reports["notes"]]
    notes += [
        f"{source}: {note}" for source, items in zip(reports["source"], reports["notes"], strict=True) for note in items
    ]
    notes += [f"{row.source}: {row.undated} rows have no time" for row in reports.itertuples() if row.undated]
    notes += _repeated(metrics)
    kinds: dict[str, str] = {
        system.id: system.kind for system in incident.file.systems if "kind" in system.model_fields_set
    }
    return Records(events, metrics, edges, traces, reports, systems, tuple(notes), kinds)


def _repeated(metrics: pd.DataFrame) -> list[str]:
    """Return a note on each source in which one metric has two values at one time."""
    again = metrics[metrics.duplicated(["time", "system", "metric", "source"])]
    counts = again.groupby("source").size()
    return [f"{source}: {count} values repeat a time of the same system and metric" for source, count in counts.items()]


def _unknown_systems(edges: pd.DataFrame, systems: tuple[str, ...]) -> list[str]:
    ends = pd.concat([edges[[end, "source"]].set_axis(["name", "source"], axis=1) for end in ("cause", "effect")])
    unknown = ends[~ends["name"].isin(systems)].drop_duplicates("name")[:_LISTED]
    return [
        f"source {source!r}: edge to unknown system {shorten(name)}{did_you_mean(name, systems)}"
        for name, source in zip(unknown["name"], unknown["source"], strict=True)
    ]

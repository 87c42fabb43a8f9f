"""Read all exports of an incident into the tables of the schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pandas as pd

from rca import schema, times
from rca.errors import InputError, RcaError, UnknownName, did_you_mean, raise_all, shorten
from rca.incident import Incident
from rca.incident.model import Source
from rca.progress import track
from rca.sources import mapping, references, spans
from rca.sources.flat import read_csv, read_parquet
from rca.sources.raw import Raw, fingerprint
from rca.sources.records import read_json, read_jsonl

__all__ = ["ImportReport", "Records", "check_source", "read", "readers"]

Reader = Callable[[Path, Source], Raw]
_OWN: Mapping[str, Reader] = {"csv": read_csv, "json": read_json, "jsonl": read_jsonl, "parquet": read_parquet}
_LISTED = 5


@dataclass(frozen=True)
class ImportReport:
    """What became of one export."""

    source: str
    file: str
    table: str
    rows: int
    kept: int
    duplicates: int
    undated: int
    first: pd.Timestamp
    last: pd.Timestamp
    zone: str
    last_position: int
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Records:
    """The exports of one incident as tables.

    Attributes
    ----------
    events, metrics, dependencies : DataFrame
        As `rca.schema` describes them.
    reports : DataFrame
        One row an export: rows read, kept, duplicate, undated, first and last time, notes.
    systems : tuple of str
        Every system that is declared, or that spans, events or metrics name.
    notes : tuple of str
        What was left unclear, in sentences.
    """

    events: pd.DataFrame
    metrics: pd.DataFrame
    dependencies: pd.DataFrame
    reports: pd.DataFrame
    systems: tuple[str, ...]
    notes: tuple[str, ...]


def readers() -> dict[str, Reader]:
    """Return the readers by name: the package's own and installed ones.

    Examples
    --------
    >>> sorted(readers())[:4]
    ['csv', 'json', 'jsonl', 'parquet']
    """
    return {**_OWN, **{name: point.load() for name, point in _installed().items()}}


def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="rca.sources") if point.name not in _OWN}


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
        The tables, and one import report an export.

    Raises
    ------
    InputError
        Every problem of every export at once: unreadable rows, times without a zone, duplicate ids, a
        required export without rows, an event after the incident's as-of date, an edge to an unknown
        system; and then every symptom, direction or evidence that names a metric or row that is not there.
    """
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in schema.COLUMNS}
    reports, problems = [], []
    for source in track(incident.file.sources, "reading exports", progress=progress):
        try:
            table, report = _read_one(incident, source)
        except RcaError as error:
            problems += str(error).splitlines()
            continue
        tables[source.table].append(table)
        reports.append(report)
    raise_all(list(dict.fromkeys(problems)))
    records = _join(incident, tables, reports)
    last = {report.file: report.last_position for report in reports}
    raise_all(list(references.problems(incident, records.metrics, last)))
    return records


def _reader(source: Source) -> Reader:
    """Return the reader of a source; others that are installed are not even imported."""
    if source.reader in _OWN:
        return _OWN[source.reader]
    installed = _installed()
    if source.reader not in installed:
        near = did_you_mean(source.reader, [*_OWN, *installed])
        raise UnknownName(f"incident.yaml: source {source.id!r}: unknown reader {shorten(source.reader)}{near}")
    reader: Reader = installed[source.reader].load()
    return reader


def _read_one(incident: Incident, source: Source) -> tuple[pd.DataFrame, ImportReport]:
    raw = _reader(source)(incident.path(source.file), source)
    if source.required and not raw.records:
        raise InputError(f"{source.file}: no rows; if none is what the system had to say, set required: false")
    table, notes = mapping.apply(raw, source)
    stamps = table["time"] if "time" in table else pd.Series(dtype=times.UTC)
    positions = table["position"] if "position" in table else pd.Series(raw.positions)
    for name in ("time", "time_end", "time_earliest", "time_latest"):
        late = table[name] > incident.file.as_of if name in table else pd.Series(dtype=bool)
        if late.any():
            shown = ", ".join(f"{raw.unit} {position}" for position in positions[late][:_LISTED])
            raise InputError(
                f"{source.file}: {shown}: later ({times.show(table[name][late].iloc[0])}) than the incident's as_of"
                f" ({times.show(incident.file.as_of)}); {int(late.sum())} such {raw.unit}s"
            )
    report = ImportReport(
        source=source.id,
        file=source.file,
        table=source.table,
        rows=len(raw.records),
        kept=len(table),
        duplicates=len(raw.records) - len(table),
        undated=_undated(table) if "time" in schema.REQUIRED[source.table] else 0,
        first=stamps.min(),
        last=stamps.max(),
        zone=source.time.zone or "as written",
        last_position=raw.positions[-1] if raw.positions else 0,
        notes=tuple(notes),
    )
    return table, report


def _undated(table: pd.DataFrame) -> int:
    """Return the number of rows with neither a time nor an interval."""
    known = table["time"].notna()
    return int((~(known | table["time_earliest"].notna()) if "time_earliest" in table else ~known).sum())


def _join(incident: Incident, tables: Mapping[str, list[pd.DataFrame]], reports: list[ImportReport]) -> Records:
    joined = {name: pd.concat([schema.empty(name), *parts], ignore_index=True) for name, parts in tables.items()}
    from_spans, notes = spans.dependencies(joined["spans"])
    declared = pd.DataFrame(
        [{"cause": edge.cause, "effect": edge.effect, "basis": "declared"} for edge in incident.file.dependencies],
        columns=["cause", "effect", "basis"],
    ).assign(source="incident.yaml")
    own = [system.id for system in incident.file.systems]
    seen = pd.concat([joined["spans"]["system"], joined["metrics"]["system"], joined["events"]["system"]])
    systems = tuple(dict.fromkeys([*own, *sorted(set(seen[seen != ""]))]))
    listed = joined["dependencies"].assign(basis="table")
    raise_all(_unknown_systems(listed, systems), UnknownName)
    edges = pd.concat([schema.check(declared, "dependencies"), listed, from_spans], ignore_index=True)
    undeclared = [name for name in systems if name not in own]
    if undeclared:
        hints = (did_you_mean(name, own) for name in undeclared)
        named = [f"{name}{hint if 'mean' in hint else ''}" for name, hint in zip(undeclared, hints, strict=True)]
        notes.append(f"systems seen in exports but not declared in incident.yaml: {', '.join(named)}")
    notes += [f"{report.source}: {note}" for report in reports for note in report.notes]
    notes += [f"{report.source}: {report.undated} rows have no time" for report in reports if report.undated]
    return Records(
        events=joined["events"].sort_values(["time", "source", "position", "event_id"], ignore_index=True),
        metrics=joined["metrics"].sort_values(["time", "system", "metric"], ignore_index=True, kind="stable"),
        dependencies=edges,
        reports=pd.DataFrame(reports, columns=list(ImportReport.__dataclass_fields__)),
        systems=systems,
        notes=tuple(notes),
    )


def _unknown_systems(edges: pd.DataFrame, systems: tuple[str, ...]) -> list[str]:
    ends = pd.concat([edges[["cause", "source"]].set_axis(["name", "source"], axis=1),
                      edges[["effect", "source"]].set_axis(["name", "source"], axis=1)])  # fmt: skip
    unknown = ends[~ends["name"].isin(systems)].drop_duplicates("name")[:_LISTED]
    return [
        f"source {source!r}: edge to unknown system {shorten(name)}{did_you_mean(name, systems)}"
        for name, source in zip(unknown["name"], unknown["source"], strict=True)
    ]


def check_source(reader: Reader, path: Path, source: Source) -> Raw:
    """Return what `reader` reads from `path`, or raise: the test that every reader passes.

    Parameters
    ----------
    reader : callable
        ``read(path, source) -> Raw``.
    path : Path
        An export in the reader's format.
    source : Source
        An entry that maps it.

    Returns
    -------
    Raw
        What was read.

    Raises
    ------
    InputError
        If a second reading differs, positions are not increasing from 1 or more, or the mapping fails.
    """
    first, second = reader(path, source), reader(path, source)
    prints = [([fingerprint(record) for record in raw.records], raw.positions, raw.unit) for raw in (first, second)]
    if prints[0] != prints[1]:
        raise InputError(f"{path}: a second reading gives another result")
    if len(first.positions) != len(first.records):
        raise InputError(f"{path}: {len(first.records)} records, but {len(first.positions)} positions")
    if any(b <= a for a, b in zip([0, *first.positions], first.positions, strict=False)):
        raise InputError(f"{path}: positions are not increasing from 1")
    mapping.apply(first, source)
    return first

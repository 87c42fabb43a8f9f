"""Exports tried before they are added: described as far as they tell, read, and their tables kept if they are good."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from rca import incident
from rca.errors import InputError, RcaError, UnknownName, did_you_mean, raise_all
from rca.incident import Incident
from rca.incident.model import Source
from rca.sources import batches, derived, formats, likely, recognise, returned
from rca.sources.engine import import_source
from rca.sources.mapping import MAPPABLE
from rca.sources.read import ImportReport, facts, report
from rca.sources.runs import SLICE, Runs
from rca.sources.stored import KEYS, connection, frugal
from rca.times import UTC

__all__ = ["Trial", "attempt", "checked", "described", "keep", "tables"]


def described(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of the entry that matter: what is given, and of plain files what their fields say."""
    entry = {name: value for name, value in given.items() if value not in (None, "", {}, [])}
    entry["reader"] = given.get("reader") or recognise.reader(recognise.head(path))
    if entry["reader"] not in batches.READERS:
        tables = formats.get(entry["reader"]).tables
        if entry.get("table"):
            raise InputError(
                f"{path.name}: {entry['reader']} knows its tables ({', '.join(tables)}); leave out --table"
            )
        known = {name for table in tables for name in MAPPABLE[table]}
        unknown = [name for name in entry.get("columns", {}) if name not in known]
        raise_all([f"--column: no column {name!r}{did_you_mean(name, known)}" for name in unknown], UnknownName)
        return entry
    asked = checked({"id": "x", "file": path.name} | {name: value for name, value in entry.items() if name != "id"})
    guessed = recognise.guess(path, asked)
    columns = guessed.pop("columns", {}) | entry.get("columns", {})
    constant = guessed.pop("constant", {}) | entry.get("constant", {})
    _check_long(path, asked, guessed | entry, columns)
    entry = guessed | entry | ({"columns": columns} if columns else {}) | ({"constant": constant} if constant else {})
    if guessed.get("time") or given.get("time"):
        entry["time"] = guessed.get("time", {}) | dict(given.get("time") or {})
    if entry.get("table") == "events" and "kind" not in entry.get("constant", {}) and "kind" not in columns:
        raise InputError(
            f"{path.name}: the records do not say what kind of events they are; say --kind, such as deploy or log"
        )
    return entry


def _check_long(path: Path, asked: Source, entry: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
    """Raise if a table has a column for each series where it should have a row for each value."""
    table = entry["table"]
    found = {"metric", "value"} if table == "metrics" else {"message", "kind"}
    if table not in ("events", "metrics") or "time" not in columns or found.intersection({*columns, *asked.constant}):
        return
    form = {name: entry[name] for name in ("delimiter", "records") if name in entry}
    records = recognise.sample(path, asked.model_copy(update=form))
    keys = [part for name in ("time", "system") for part in _parts(columns.get(name, []))]
    said = likely.melt(path.name, list(dict.fromkeys(name for record in records for name in record)), records, keys)
    raise_all([said] if said else [])


def _parts(fields: str | list[str]) -> list[str]:
    return [fields] if isinstance(fields, str) else fields


def checked(entry: dict[str, Any]) -> Source:
    """Return an entry of ``incident.yaml`` as a record, or raise every problem of it by name."""
    try:
        return Source.model_validate(entry)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}" for item in error.errors()
        ]
        raise InputError("\n".join(lines)) from error


@dataclass(frozen=True)
class Trial:
    """What reading one export gave: its tables, with those of the sources before it where these are at hand."""

    folder: Path
    report: ImportReport
    last: dict[str, int]
    times: pd.Series


def tables(found: Incident) -> tuple[Path | None, dict[str, Any]] | None:
    """Return the tables of an incident and what is known of them, or None when they were not made yet."""
    return derived.believed(found) if found.file.sources else (None, facts([], {}))


def attempt(
    source: Source,
    path: Path,
    as_of: pd.Timestamp,
    old: tuple[Path | None, dict[str, Any]] | None,
    progress: bool,
    into: Path,
) -> Trial:
    """Return what reading the file alone gives; raise when it cannot be read as it is described."""
    (name,) = source.file
    with tempfile.TemporaryDirectory(dir=into) as folder, connection() as duck, frugal():
        runs = {table: Runs(Path(folder) / table, table) for table in KEYS}
        try:
            done = import_source(source, {name: path}, runs, duck, as_of, progress=progress)
        except RcaError as error:
            raise type(error)(str(error).replace(f"{name}: ", f"{path.name}: ")) from error
        if old is not None and old[0] is not None:
            _add_rows(old[0], runs)
        kept = {table: one.merge(into / f"{table}.parquet").get(source.id, 0) for table, one in runs.items()}
        settled = returned.settle(into / "events.parquet", [source.id] * (source.reader in returned.READERS))
    said = report(done, kept, runs["events"], settled.get(source.id))
    return Trial(into, said, done.last_position, _times(into, source.id))


def _times(folder: Path, source_id: str) -> pd.Series:
    """Return the times at which one source has events or values, each once, in order."""
    from pyarrow import compute, dataset

    one = (compute.field("source") == source_id) & compute.field("time_ns").is_valid()
    found = [
        dataset.dataset(folder / f"{table}.parquet").to_table(["time_ns"], filter=one).column(0).unique().to_numpy()
        for table in ("events", "metrics")
    ]
    return pd.Series(pd.DatetimeIndex(np.unique(np.concatenate(found)), tz="UTC"), dtype=UTC)


def _add_rows(folder: Path, runs: Mapping[str, Runs]) -> None:
    """Add the rows of finished tables, slice by slice; no source but the new one is folded again."""
    import pyarrow as pa
    from pyarrow import parquet

    for table, one in runs.items():
        with parquet.ParquetFile(folder / f"{table}.parquet") as stored:
            for batch in stored.iter_batches(batch_size=SLICE):
                one.add(pa.Table.from_batches([batch]), "")


def keep(found: Incident, source: Source, digest: str, trial: Trial, old: tuple[Path | None, dict[str, Any]]) -> None:
    """Keep the tables of the trial if the incident is now what they were made of; else they are made when needed."""
    now = incident.load(found.folder)
    same = now.file.sources == [*found.file.sources, source] and now.file.as_of == found.file.as_of
    if same and now.hashes.get(source.file[0]) == digest:
        shutil.rmtree(trial.folder / "export")
        before = old[1]
        new = facts([trial.report], trial.last)
        derived.keep(
            now,
            trial.folder,
            {"reports": [*before["reports"], *new["reports"]], "last": before["last"] | new["last"]},
        )

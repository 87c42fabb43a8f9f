"""The SQLite file of MLflow as records; read-only, whatever its version."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rca.errors import InputError, shorten
from rca.sources.formats.mlflow.rows import Record, alias_record, number, run_record, value_record, version_record
from rca.sources.items import Reject

__all__ = ["MAGIC", "stored"]

MAGIC = b"SQLite format 3\0"
NEEDED = {"runs", "experiments", "metrics"}
MAX_VALUE = 16 * 2**20  # bytes of one value

Rows = Callable[..., Iterator[tuple[Any, ...]]]


def stored(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield place and record of all that is read from a SQLite file.

    Raises
    ------
    InputError
        If it has a journal beside it, is damaged, or is not of MLflow.
    """
    for ending, name in (("-wal", "a write-ahead log"), ("-journal", "a rollback journal")):
        beside = path.with_name(path.name + ending)
        if beside.exists() and beside.stat().st_size:
            raise InputError(
                f"{path.name}: {name} ({beside.name}) holds part of its content; copy it with sqlite3 .backup"
            )
    connection = sqlite3.connect(f"file:{quote(bytes(path.resolve()))}?mode=ro&immutable=1", uri=True)
    try:
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
        connection.execute("PRAGMA trusted_schema = OFF")
        yield from _records(connection, path.name)
    except (sqlite3.Error, UnicodeDecodeError) as error:  # messages about damage quote bytes of the file
        raise InputError(f"{path.name}: not readable as a SQLite file ({shorten(error, 120)})") from error
    finally:
        connection.close()


def _records(connection: sqlite3.Connection, file: str) -> Iterator[tuple[str, Any]]:
    rows = _rows(connection, file)
    experiments = {key: str(name) for key, name in rows("experiments", "experiment_id", "name")}
    runs = _runs(rows, experiments)
    for run_id, run in sorted(runs.items()):
        yield f"run {run_id}", run
    order = "run_uuid key timestamp step value"
    for run_id, key, value, stamp, step, is_nan in rows(
        "metrics", "run_uuid", "key", "value", "timestamp", "step", "is_nan", order=order
    ):
        if run_id in runs:
            yield value_record(runs[run_id], key, "NaN" if is_nan else value, stamp, step)
        else:
            place = f"run {run_id} metric {key}"
            yield place, Reject(0, place, "a value of a run that is not in the file")
    yield from _models(rows, runs)


def _rows(connection: sqlite3.Connection, file: str) -> Rows:
    """Return a function that yields columns of a table, None for those that this version of MLflow lacks."""
    listed = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    # Plain tables only: a view or a virtual table of a stranger's file would run what it likes.
    tables = {name for name, sql in listed if str(sql).upper().startswith("CREATE TABLE")}
    if not tables >= NEEDED:
        missing = ", ".join(sorted(NEEDED - tables))
        raise InputError(f"{file}: a SQLite file, but not of MLflow: it has no table {missing}")

    def rows(table: str, *columns: str, order: str = "") -> Iterator[tuple[Any, ...]]:
        known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")} if table in tables else set()
        wanted = ", ".join(f'"{column}"' if column in known else "NULL" for column in columns)
        sorting = ", ".join(f'"{column}"' for column in order.split() if column in known)
        if known:
            yield from connection.execute(f"SELECT {wanted} FROM {table}" + (f" ORDER BY {sorting}" if sorting else ""))

    return rows


def _runs(rows: Rows, experiments: Mapping[Any, str]) -> dict[str, Record]:
    params: dict[str, Record] = defaultdict(dict)
    tags: dict[str, Record] = defaultdict(dict)
    last: dict[str, Record] = defaultdict(dict)
    inputs: dict[str, list[Record]] = defaultdict(list)
    for table, pairs in (("params", params), ("tags", tags)):
        for run_id, key, value in rows(table, "run_uuid", "key", "value"):
            pairs[run_id][key] = value
    for run_id, key, value, is_nan in rows("latest_metrics", "run_uuid", "key", "value", "is_nan"):
        last[run_id][key] = "NaN" if is_nan else number(value)
    datasets = {
        key: {"name": str(name), "digest": str(digest)}
        for key, name, digest in rows("datasets", "dataset_uuid", "name", "digest")
    }
    links = rows("inputs", "source_type", "source_id", "destination_type", "destination_id")
    for kind, dataset, target, run_id in links:
        if (kind, target) == ("DATASET", "RUN") and dataset in datasets:
            inputs[run_id].append(datasets[dataset])
    columns = ("run_uuid", "name", "user_id", "status", "start_time", "end_time", "lifecycle_stage", "experiment_id")
    runs = {}
    for row in rows("runs", *columns):
        key, experiment = row[0], experiments.get(row[-1], "")
        runs[str(key)] = run_record(row, experiment, params[key], tags[key], last[key], inputs[key])
    return runs


def _models(rows: Rows, runs: Mapping[str, Record]) -> Iterator[tuple[str, Record]]:
    key = ("workspace", "name", "version")
    tags: dict[tuple[Any, ...], Record] = defaultdict(dict)
    for *version, name, value in rows("model_version_tags", *key, "key", "value"):
        tags[tuple(version)][name] = value
    columns = (
        "creation_time",
        "last_updated_time",
        "description",
        "user_id",
        "current_stage",
        "source",
        "run_id",
        "status",
    )
    created = {}
    for row in rows("model_versions", *key, *columns, order="name version"):
        created[row[:3]] = row[3]
        run = runs.get(row[-2])
        yield version_record(row[1:], tags.get(row[:3], {}), run["experiment"] if run else "")
    for workspace, name, version, alias in rows("registered_model_aliases", *key, "alias", order="name alias"):
        yield alias_record(name, alias, version, created.get((workspace, name, version)))

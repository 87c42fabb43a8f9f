"""Airflow: DAG runs, task instances and event logs, from the REST API (JSON) or the metadata database (CSV).

Read are the answers of ``/dags/{dag}/dagRuns``, ``/taskInstances`` (and their ``/tries``) and ``/eventLogs`` of
the API v1 (Airflow 2) and v2 (Airflow 3), also several in one list or as JSON lines; and CSV of the tables
``dag_run`` and ``task_instance``.

Traps: the logical date (execution date in Airflow 2) is the start of the data's interval, often a day before
anything ran: it stays an attribute, and the time of an event is ``start_date``. What is queued has no start.
Clearing a task runs it again under the same run id, so a run goes by its start
as well (before that, by when it was queued): of the states of one start, the latest is kept. MySQL and
SQLite export times without a zone (they mean UTC: declare it). The list of task instances has the last
try only, unless the tries were asked for.

Tested against the documented format only (REST API of 2.10 and 3.0).

===========  =========================================================================================
events       one a DAG run or task instance, kind ``data_load``; one an event log entry, kind ``audit``
time         start_date, to end_date; event log: when
system       DAG run: dag_id; task: dag_id.task_id
severity     failed: error; upstream_failed, up_for_retry, restarting, removed, shutdown: warning; else info
actor        who triggered the run, or did what the event log tells
ref          run id
native id    of event log entries; of a run or task its ids, try and start
attributes   logical_date, data interval, queued, run_type, conf, try_number, hostname, operator, note
===========  =========================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError
from rca.incident.model import Source
from rca.sources.batches import read_csv
from rca.sources.documents import lines, objects
from rca.sources.items import Format, Head, Item, Reject, each, event

__all__ = ["FORMAT", "is_json", "read", "recognise", "table"]

LISTS = ("dag_runs", "task_instances", "event_logs")
SEVERITY = {
    "failed": "error",
    "upstream_failed": "warning", "up_for_retry": "warning", "restarting": "warning", "removed": "warning",
    "shutdown": "warning",
}  # fmt: skip
KEPT = (
    "logical_date", "execution_date", "data_interval_start", "data_interval_end", "run_after", "queued_at",
    "queued_when", "run_type", "external_trigger", "conf", "note", "duration", "try_number", "max_tries", "map_index",
    "hostname", "operator", "pool", "queue", "executor",
)  # fmt: skip


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event a record, in the order of the file.

    Parameters
    ----------
    path : Path
        JSON, JSON lines or CSV.
    source : Source
        Its ``time.zone`` is used where a time names none.

    Yields
    ------
    Item or Reject
        In the order of the file.
    """

    def make(place: tuple[int, str], record: dict[str, Any]) -> Iterator[Item]:
        yield _log(place, record, source) if "when" in record and "event" in record else _run(place, record, source)

    yield from each(_records(path, source), make)


def _records(path: Path, source: Source) -> Iterator[tuple[int, str, Any]]:
    if not is_json(path):
        yield from table(path, source)
        return
    position = 0
    for _, pointer, record in objects(path):
        pages = [key for key in LISTS if isinstance(record, dict) and isinstance(record.get(key), list)]
        inner = [(f"{pointer.rstrip('/')}/{key}/{n}", item) for key in pages for n, item in enumerate(record[key])]
        for locator, item in inner if pages else [(pointer, record)]:
            position += 1
            yield position, locator, item


def is_json(path: Path) -> bool:
    """Return whether a file begins as a JSON object or list, and not as CSV."""
    _, _, first = next(lines(path), (1, "", ""))
    return isinstance(first, str) and first.lstrip()[:1] in ("{", "[")


def table(path: Path, source: Source) -> Iterator[tuple[int, str, Any]]:
    """Yield the rows of a CSV file as records of texts.

    Parameters
    ----------
    path : Path
        The file, UTF-8 with one header row.
    source : Source
        Its delimiter is used.

    Yields
    ------
    tuple
        Number from 1 below the header, ``row N``, and the row, or a `Reject`.
    """
    for batch in read_csv(path, source):
        places = [(reject.position, reject) for reject in batch.rejects]
        places += [(int(n), json.loads(text.as_py())) for n, text in zip(batch.positions, batch.texts, strict=True)]
        for number, record in sorted(places, key=lambda item: item[0]):
            yield number, f"row {number}", record


def _run(place: tuple[int, str], record: dict[str, Any], source: Source) -> Item:
    dag, task, state = record["dag_id"], record.get("task_id") or "", str(record.get("state") or "")
    run = record.get("dag_run_id") or record.get("run_id") or ""
    if not dag or not (run or task):
        raise InputError("has no dag_id and run id")
    start, end, queued = (
        times.moment(_first(record, *keys), zone_name=source.time.zone)
        for keys in (("start_date",), ("end_date",), ("queued_at", "queued_when", "queued_dttm"))
    )
    number, index = (str(record[key]) if record.get(key) is not None else "" for key in ("try_number", "map_index"))
    mapped = f"[{index}]" if index not in ("", "-1") else ""
    name = f"{dag}.{task}" if task else str(dag)
    tried = f" (try {number})" if number else ""
    begun = start.ns if start.ns is not None else f"queued {queued.ns}"
    attributes = {"state": state} | {key: record[key] for key in KEPT if record.get(key) not in (None, "")}
    return event(
        place, record, native_id="|".join(map(str, (dag, run, task, index, number, begun))),
        time=start, time_end=end, system=name, kind="data_load", severity=SEVERITY.get(state, "info"),
        message=f"{'task' if task else 'DAG run'} {name}{mapped} {state or 'without state'}{tried}: {run or '-'}",
        actor=str(record.get("triggering_user_name") or ""), ref=str(run),
        attributes=attributes | ({"modified": end.text} if end.ns is not None else {}),
        time_earliest=queued if start.ns is None else None, time_latest=end if start.ns is None else None,
    )  # fmt: skip


def _log(place: tuple[int, str], record: dict[str, Any], source: Source) -> Item:
    """Return what somebody did (cleared, paused, triggered), as Airflow's audit log has it."""
    time = times.moment(record["when"], zone_name=source.time.zone)
    system = ".".join(str(record[key]) for key in ("dag_id", "task_id") if record.get(key))
    number = record.get("event_log_id")
    attributes = {key: record[key] for key in ("extra", "run_id", "try_number", "map_index") if record.get(key)}
    return event(
        place, record, native_id="" if number is None else f"event_log|{number}",
        time=time, system=system, kind="audit", message=f"{record['event']} {system}".strip(),
        actor=str(record.get("owner") or ""), ref=str(record.get("run_id") or ""), attributes=attributes,
    )  # fmt: skip


def _first(record: dict[str, Any], *keys: str) -> Any:
    return next((record[key] for key in keys if record.get(key)), None)


def recognise(head: Head) -> bool:
    """Return whether a file is a list of Airflow's runs.

    Examples
    --------
    >>> recognise(Head("runs.json", "", document={"dag_runs": [], "total_entries": 0}))
    True
    """
    first = head.document
    if isinstance(first, list):
        first = first[0] if first else None
    if isinstance(first, dict):
        listed = [name for name in LISTS if isinstance(first.get(name), list)]
        names = set(first)  # the command line says run_id where the API says dag_run_id, or names the task only
        run = bool({"dag_run_id", "run_id"} & names or {"task_id", "start_date"} <= names)
        return bool(listed) or ({"dag_id", "state"} <= names and run)
    names = {name.strip() for name in head.names}
    return {"dag_id", "run_id", "state", "start_date"} <= names


FORMAT = Format(
    name="airflow",
    title="Airflow: DAG runs, task instances, event log",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="Ordered by when things ran, not by logical date. Earlier tries are there only if they were asked for.",
)

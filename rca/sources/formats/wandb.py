"""Weights & Biases: runs and their history, as exported by its Python API or from its web application.

Three kinds of file. **Runs** as JSON, a list or JSON lines, with the names of the API's ``Run`` (id, name,
state, created_at, heartbeat_at, user, tags, config, summary; ``createdAt`` and ``summaryMetrics`` of the
GraphQL API too). **Runs table** as CSV from the web application (Name, State, Created, Runtime, User ...).
**History** of one run as JSON lines or CSV: ``_step``, ``_timestamp`` (seconds since 1970), ``_runtime``
and the logged values; each number becomes a metric.

Traps: a history does not name its run, so its system must be given as a constant of the source.
``created_at`` of older API versions has no zone (it means UTC: declare it). ``Runtime`` counts the time
that a run was alive, so creation plus runtime is not its end where it was resumed: the end is not made up;
heartbeat and last logged time are attributes. The runs table has last values without a time.

Tested against the documented format only.

===========  ==========================================================================
events       one a run, kind ``training_run``
time         created_at, Created
system       project of the run, else ""
severity     failed, crashed: error; killed, preempted: warning; else info
actor, ref   user; run id (of the table: ID if that column was chosen, else the name)
native id    id and creation, where the id was exported: of the states of a run the latest heartbeat is kept
metrics      one a number of a history; ``_runtime`` and ``_step`` are none
===========  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError
from rca.incident.model import Source
from rca.sources.documents import objects
from rca.sources.formats.airflow import is_json, table
from rca.sources.items import Format, Head, Item, Reject, each, event, metric

__all__ = ["FORMAT", "read", "recognise"]

SEVERITY = {"failed": "error", "crashed": "error", "killed": "warning", "preempted": "warning", "preempting": "warning"}
EMPTY: tuple[Any, ...] = (None, "", [], {})
NAMES = {  # of the API, of GraphQL, and of the web application's table
    "id": ("id", "run_id", "ID"),
    "name": ("display_name", "displayName", "name", "Name"),
    "state": ("state", "State"),
    "created": ("created_at", "createdAt", "Created"),
    "user": ("user", "username", "User"),
    "project": ("project", "Project"),
}


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event a run, or one metric a number of a history.

    Parameters
    ----------
    path : Path
        JSON, JSON lines or CSV.
    source : Source
        Its ``time.zone`` is used where a time names none; its constant ``system`` names a history's run.

    Yields
    ------
    Item or Reject
        In the order of the file.
    """
    records = objects(path, "runs") if is_json(path) else table(path, source)

    def make(place: tuple[int, str], record: dict[str, Any]) -> Iterator[Item]:
        if "_timestamp" in record:
            yield from _history(place, record, source)
        else:
            yield _run(place, record, source)

    yield from each(records, make)


def _history(place: tuple[int, str], record: dict[str, Any], source: Source) -> Iterator[Item]:
    system = str(record.get("run_id") or record.get("_run_id") or source.constant.get("system") or "")
    if not system:
        raise InputError("a history does not name its run; say which with constant: {system: ...}")
    time = times.moment(record["_timestamp"], form="epoch_s")
    if time.ns is None:
        raise InputError("_timestamp is empty")
    for name, value in record.items():
        number = _number(value)
        if not name.startswith("_") and name != "run_id" and number is not None:
            raw = {"system": system, "step": record.get("_step"), "time": time.text, name: value}
            yield metric(place, raw, time=time, system=system, metric=name, value=number)


def _number(value: Any) -> Any:
    """Return a number, or the text of one as CSV has it, or None for what is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str) and value:
        try:
            float(value)
        except ValueError:
            return None
        return value
    return None


def _run(place: tuple[int, str], record: dict[str, Any], source: Source) -> Item:
    known = {key: next((record[name] for name in names if record.get(name)), "") for key, names in NAMES.items()}
    if not known["created"]:
        raise InputError("has no creation time (created_at, createdAt or Created)")
    user, project = (_name(known[key]) for key in ("user", "project"))
    run = str(known["id"] or known["name"])
    state = str(known["state"]).lower()
    created = times.moment(known["created"], zone_name=source.time.zone)
    seen = record.get("heartbeat_at") or record.get("heartbeatAt")
    taken = {name for key in ("id", "created", "user", "project") for name in NAMES[key]}
    return event(
        place, record, native_id=f"{known['id']} {created.ns}" if known["id"] else "", time=created,
        system=project, kind="training_run", severity=SEVERITY.get(state, "info"),
        message=f"run {known['name'] or run}: {state or 'state not exported'}", actor=user, ref=run,
        attributes={key: value for key, value in record.items() if key not in taken and value not in EMPTY}
        | ({"modified": seen} if seen else {}),
    )  # fmt: skip


def _name(value: Any) -> str:
    """Return the name of a user or project, which GraphQL wraps in an object."""
    return str(value.get("username") or value.get("name") or "") if isinstance(value, Mapping) else str(value)


def recognise(head: Head) -> bool:
    """Return whether a file holds runs or a history of Weights & Biases.

    Examples
    --------
    >>> recognise(Head("h.jsonl", "", document={"_step": 0, "_timestamp": 1763464800.5, "_runtime": 1.5, "loss": 2}))
    True
    """
    first = head.document
    if isinstance(first, dict) and isinstance(first.get("runs"), list):
        first = first["runs"]
    if isinstance(first, list):
        first = first[0] if first else None
    names = set(first) if isinstance(first, dict) else set(head.names)
    if {"_timestamp", "_step"} <= names or {"_timestamp", "_runtime"} <= names:
        return True
    if isinstance(first, dict):
        created = {"created_at", "createdAt"} & names
        return bool(created) and {"state", "config"} <= names and bool({"summary", "summaryMetrics"} & names)
    return {"Name", "State", "Created", "Runtime"} <= names


FORMAT = Format(
    name="wandb",
    title="Weights & Biases: runs and histories",
    tested="documented format",
    read=read,
    recognise=recognise,
    tables=("events", "metrics"),
    notes="The end of a run is not exported. A history names no run: give its system as a constant.",
)

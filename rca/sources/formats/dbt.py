"""dbt: the artefacts ``manifest.json``, ``run_results.json`` and ``sources.json`` of its target folder.

They are told apart by ``metadata.dbt_schema_version``. A node is called by its unique id
(``model.shop.orders``) in all of them, so that failures meet the graph; OpenLineage's dbt integration uses
the same names for its jobs.

Traps: a node that was skipped, and in old versions one that failed, has no times: its event is undated and
lies before ``generated_at``. ``status`` is error for a model, fail or warn for a test. Each run overwrites
the files: what ran before is not in them. ``created_at`` of a node is when dbt parsed it, not a change.

Tested against real dbt (1.9 with DuckDB, in the tests) and recorded artefacts of 0.20, 0.21 and 1.8.

=============  =====================================================================================
dependencies   parent -> child of ``parent_map`` and ``depends_on``: sources, seeds, models, tests,
               exposures, metrics
events         one a result: tests and freshness checks of kind ``audit``, the others ``data_load``
time           start of the phase execute (else of the last phase that is there); freshness: snapshotted_at
severity       error and fail: error; warn, skipped, partial success: warning; else info
native id      invocation, node and status
metrics        execution_time (s), rows_affected, failures (rows of a test), at the end of the node;
               max_loaded_at_time_ago_in_s of a source
=============  =====================================================================================

References
----------
dbt's documentation publishes a JSON schema of each artefact and version.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources.documents import document
from rca.sources.items import Format, Head, Item, Reject, each, edge, event, metric

__all__ = ["FORMAT", "read", "recognise"]

SEVERITY = {
    "error": "error", "runtime error": "error", "fail": "error",
    "warn": "warning", "skipped": "warning", "partial success": "warning",
    "success": "info", "pass": "info", "no-op": "info", "reused": "info",
}  # fmt: skip
DATA = ("source", "seed", "model", "snapshot")  # the first word of the id of a node
CHECKS = ("test", "unit_test", "source")
OWNERS = ("nodes", "sources", "exposures", "metrics", "semantic_models", "saved_queries", "unit_tests")


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield edges of a manifest, or events and metrics of results.

    Parameters
    ----------
    path : Path
        One artefact.
    source : Source
        Its ``time.zone`` is used where a time names none.

    Yields
    ------
    Item or Reject
        In the order of the file.

    Raises
    ------
    InputError
        If it is no dbt artefact, or one that holds neither events nor edges.
    """
    content = document(path)
    kind = _kind(content)
    if kind == "manifest":
        yield from each(_edges(content, path.name), _edge)
    elif kind in ("run-results", "sources"):
        metadata = content["metadata"]

        def make(place: tuple[int, str], record: dict[str, Any]) -> Iterator[Item]:
            result = _freshness if kind == "sources" else _result
            return result(place, record, metadata, source.time.zone)

        yield from each(_results(content, path.name), make)
    elif kind:
        raise InputError(f"{path.name}: a dbt {kind} holds neither events nor dependencies")
    else:
        raise InputError(f"{path.name}: no dbt artefact: metadata.dbt_schema_version is missing")


def _kind(content: Any) -> str:
    """Return ``manifest``, ``run-results``, ``sources``, ``catalog``, or "" for what is not of dbt."""
    metadata = content.get("metadata") if isinstance(content, dict) else None
    version = str(metadata.get("dbt_schema_version") or "") if isinstance(metadata, dict) else ""
    parts = version.split("/")
    return parts[-2] if len(parts) > 1 and version.startswith("https://schemas.getdbt.com/dbt/") else ""


def _results(content: dict[str, Any], name: str) -> Iterator[tuple[int, str, Any]]:
    results = content.get("results")
    if not isinstance(results, list):
        raise InputError(f"{name}: expected a list under results, found {shorten(results, 40)}")
    for number, record in enumerate(results):
        yield number + 1, f"/results/{number}", record


def _group(content: dict[str, Any], group: str, name: str) -> dict[str, Any]:
    held = content.get(group) or {}
    if not isinstance(held, dict):
        raise InputError(f"{name}: expected an object under {group}, found {shorten(held, 40)}")
    return held


def _edges(content: dict[str, Any], name: str) -> Iterator[tuple[int, str, Any]]:
    """Yield each edge once: parent_map knows all, and old manifests have depends_on only."""
    position = 0
    seen = set()
    parents = _group(content, "parent_map", name)
    named = [(f"/parent_map/{_escape(child)}", child, causes) for child, causes in parents.items()]
    for group in OWNERS:
        for child, node in _group(content, group, name).items():
            depends = node.get("depends_on") if isinstance(node, dict) else None
            causes = depends.get("nodes") if isinstance(depends, dict) else None
            named.append((f"/{group}/{_escape(child)}/depends_on/nodes", child, causes))
    for pointer, child, causes in named:
        for number, cause in enumerate(causes if isinstance(causes, list) else [causes] if causes else []):
            if not isinstance(cause, str) or (cause, child) not in seen:
                seen.add((str(cause), child))
                position += 1
                yield position, f"{pointer}/{number}", {"parent": cause, "child": child}


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _edge(place: tuple[int, str], record: dict[str, Any]) -> Iterator[Item]:
    cause, effect = record["parent"], record["child"]
    if not isinstance(cause, str):
        raise InputError(f"expected the id of a node, found {shorten(cause, 40)}")
    if cause != effect:
        yield edge(place, record, cause=cause, effect=effect, kinds=(_node_kind(cause), _node_kind(effect)))


def _node_kind(node: str) -> str:
    """Return what a node is: what dbt makes or reads is a data set, a check is a job, an exposure may be anything."""
    kind = node.partition(".")[0]
    return "data" if kind in DATA else "job" if kind in ("test", "unit_test", "operation") else ""


def _result(
    place: tuple[int, str], record: dict[str, Any], metadata: dict[str, Any], zone: str | None
) -> Iterator[Item]:
    node, status = str(record["unique_id"]), str(record["status"])
    phase, start, end = _phase(record, zone)
    response = record.get("adapter_response") or {}
    attributes = {
        "status": status,
        "phase": phase,
        "invocation_id": metadata.get("invocation_id"),
        "dbt_version": metadata.get("dbt_version"),
        "relation": record.get("relation_name"),
        "execution_time_s": record.get("execution_time"),
        "failures": record.get("failures"),
        "thread": record.get("thread_id"),
    }
    yield event(
        place, record, native_id=_native_id(metadata, node, status),
        time=start, time_end=end, system=node, kind=_event_kind(node), severity=SEVERITY.get(status.lower(), ""),
        message=f"{status}: {record.get('message') or node}", ref=str(metadata.get("invocation_id") or ""),
        attributes={name: value for name, value in attributes.items() if value is not None},
        **({} if start.ns is not None else _bounds(metadata, zone)),
    )  # fmt: skip
    numbers = {
        "execution_time": record.get("execution_time"),
        "rows_affected": response.get("rows_affected"),
        "failures": record.get("failures"),
    }
    yield from _metrics(place, numbers, end, node, metadata)


def _phase(record: dict[str, Any], zone: str | None) -> tuple[str, times.Moment, times.Moment]:
    """Return name, start and end of the phase execute, or of the last phase that has a start."""
    begun = [item for item in record.get("timing") or [] if item.get("started_at")]
    best = next((item for item in begun if item.get("name") == "execute"), begun[-1] if begun else {})
    start, end = (times.moment(best.get(key), zone_name=zone) for key in ("started_at", "completed_at"))
    return str(best.get("name") or ""), start, end


def _bounds(metadata: dict[str, Any], zone: str | None) -> dict[str, times.Moment]:
    """Return between which times an undated result lies."""
    return {
        "time_earliest": times.moment(metadata.get("invocation_started_at"), zone_name=zone),
        "time_latest": times.moment(metadata.get("generated_at"), zone_name=zone),
    }


def _freshness(
    place: tuple[int, str], record: dict[str, Any], metadata: dict[str, Any], zone: str | None
) -> Iterator[Item]:
    node, status = str(record["unique_id"]), str(record["status"])
    time = times.moment(record.get("snapshotted_at"), zone_name=zone)
    loaded = record.get("max_loaded_at")
    attributes = {
        "status": status,
        "max_loaded_at": loaded,
        "criteria": record.get("criteria"),
        "invocation_id": metadata.get("invocation_id"),
    }
    text = f"data as of {loaded}" if loaded else str(record.get("error") or node)
    yield event(
        place, record, native_id=_native_id(metadata, node, status),
        time=time, system=node, kind="audit", severity=SEVERITY.get(status.lower(), ""),
        message=f"source freshness {status}: {text}", ref=str(metadata.get("invocation_id") or ""),
        attributes={name: value for name, value in attributes.items() if value is not None},
        **({} if time.ns is not None else _bounds(metadata, zone)),
    )  # fmt: skip
    age = {"max_loaded_at_time_ago_in_s": record.get("max_loaded_at_time_ago_in_s")}
    yield from _metrics(place, age, time, node, metadata)


def _metrics(
    place: tuple[int, str], numbers: dict[str, Any], time: times.Moment, node: str, metadata: dict[str, Any]
) -> Iterator[Item]:
    for name, value in numbers.items():
        if time.ns is not None and isinstance(value, (int, float)) and not isinstance(value, bool):
            raw = {"node": node, "invocation": metadata.get("invocation_id"), "time": time.text, name: value}
            yield metric(place, raw, time=time, system=node, metric=name, value=value)


def _event_kind(node: str) -> str:
    return "audit" if node.partition(".")[0] in CHECKS else "data_load"


def _native_id(metadata: dict[str, Any], node: str, status: str) -> str:
    invocation = metadata.get("invocation_id")
    return f"{invocation}|{node}|{status}" if invocation else ""


def recognise(head: Head) -> bool:
    """Return whether a file is an artefact of dbt that can be read.

    Examples
    --------
    >>> version = "https://schemas.getdbt.com/dbt/run-results/v6.json"
    >>> recognise(Head("run_results.json", "", document={"metadata": {"dbt_schema_version": version}}))
    True
    """
    return _kind(head.document) in ("manifest", "run-results", "sources")


FORMAT = Format(
    name="dbt",
    title="dbt: manifest, run results, source freshness",
    tested="real server",
    read=read,
    recognise=recognise,
    tables=("events", "metrics", "dependencies"),
    notes="The files hold the last run only. Skipped nodes have no time.",
)

"""OpenLineage: run, job and dataset events, as JSON lines, a list, one event, or Marquez' ``events``.

Traps: ``eventTime`` may have no zone (rejected unless the source declares one) and may have nanoseconds.
``nominalTime`` is when a run was planned for, not when it ran: it stays an attribute. A run is several
events (START, RUNNING, COMPLETE, FAIL, ABORT, OTHER) with one run id. A job that reads and writes the same
data set makes a cycle of two edges; nothing makes an edge to itself.

Tested against events recorded from real clients (dbt, Marquez) and the published JSON schema, not against
a running server.

=============  =======================================================================================
events         run events: kind ``data_load``; static job and data set events: kind ``other``
time           eventTime
system         the job's name (of a static data set event: the data set)
severity       FAIL error, ABORT warning, else info
message        event type and job; on failure what the errorMessage facet says
ref            run id
native id      none: a run may send two events of one type within one tick of its clock
attributes     namespace, event_type, parent run, nominal times, inputs, outputs, failed assertions, producer
dependencies   input -> job -> output; data sets are called ``namespace/name``, since a name is unique in its
               namespace only
metrics        rowCount, size and the like of the statistics and quality facets, of the data set
=============  =======================================================================================

References
----------
The specification is OpenLineage.json, version 2-0-2, of the OpenLineage project.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError
from rca.incident.model import Source
from rca.sources.documents import objects
from rca.sources.items import Format, Head, Item, Reject, each, edge, event, metric

__all__ = ["FORMAT", "read", "recognise"]

SEVERITY = {"FAIL": "error", "ABORT": "warning"}
STATISTICS = (  # where a data set keeps facets, and which of them hold numbers
    ("inputFacets", "inputStatistics"),
    ("inputFacets", "dataQualityMetrics"),
    ("outputFacets", "outputStatistics"),
)


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield events, the edges that they name, and numbers about their data sets.

    Parameters
    ----------
    path : Path
        The file.
    source : Source
        Its ``time.zone`` is used where an event names none.

    Yields
    ------
    Item or Reject
        In the order of the file.
    """

    def make(place: tuple[int, str], record: dict[str, Any]) -> Iterator[Item]:
        time = times.moment(record["eventTime"], zone_name=source.time.zone)
        if time.ns is None:
            raise InputError("eventTime is empty")
        if "run" in record:
            yield _run(place, record, time)
        else:
            yield _static(place, record, time)
        if "job" in record:
            yield from _edges(place, record)
            yield from _numbers(place, record, time)

    yield from each(objects(path, "events"), make)


def _run(place: tuple[int, str], record: dict[str, Any], time: times.Moment) -> Item:
    run, job = record["run"], record["job"]
    facets = run.get("facets") or {}
    state = str(record.get("eventType") or "")
    error = str((facets.get("errorMessage") or {}).get("message") or "")
    parent = facets.get("parent") or {}
    nominal = facets.get("nominalTime") or {}
    failed = list(_failed_assertions(record))
    message = f"{state or 'event of'} {job['name']}" + (f": {error}" if error else "")
    attributes = {
        "namespace": job.get("namespace"),
        "event_type": state,
        "parent_run": (parent.get("run") or {}).get("runId"),
        "parent_job": (parent.get("job") or {}).get("name"),
        "nominal_start": nominal.get("nominalStartTime"),
        "nominal_end": nominal.get("nominalEndTime"),
        "inputs": [_dataset(item) for item in record.get("inputs") or []],
        "outputs": [_dataset(item) for item in record.get("outputs") or []],
        "failed_assertions": failed,
        "producer": record.get("producer"),
    }
    return event(
        place,
        record,
        time=time,
        system=str(job["name"]),
        kind="data_load",
        severity="warning" if failed and state not in SEVERITY else SEVERITY.get(state, "info"),
        message=message,
        ref=str(run["runId"]),
        attributes={name: value for name, value in attributes.items() if value},
    )


def _static(place: tuple[int, str], record: dict[str, Any], time: times.Moment) -> Item:
    """Return the event of a job or a data set that was described without running."""
    if "job" in record:
        system, what = str(record["job"]["name"]), "job described"
        attributes = {"namespace": record["job"].get("namespace"), "producer": record.get("producer")}
    elif "dataset" in record:
        system, what = _dataset(record["dataset"]), "data set described"
        facets = record["dataset"].get("facets") or {}
        change = (facets.get("lifecycleStateChange") or {}).get("lifecycleStateChange")
        what = f"data set described: {change}" if change else what
        attributes = {"facets": sorted(facets), "producer": record.get("producer")}
    else:
        raise InputError("has neither run nor job nor dataset")
    return event(
        place, record, time=time, system=system, kind="other", message=f"{what} ({system})",
        attributes={name: value for name, value in attributes.items() if value},
    )  # fmt: skip


def _edges(place: tuple[int, str], record: dict[str, Any]) -> Iterator[Item]:
    job = str(record["job"]["name"])
    pairs = [(_dataset(item), job, ("data", "job")) for item in record.get("inputs") or []]
    pairs += [(job, _dataset(item), ("job", "data")) for item in record.get("outputs") or []]
    for cause, effect, kinds in pairs:
        if cause != effect:
            yield edge(place, {"cause": cause, "effect": effect}, cause=cause, effect=effect, kinds=kinds)


def _numbers(place: tuple[int, str], record: dict[str, Any], time: times.Moment) -> Iterator[Item]:
    for item in [*(record.get("inputs") or []), *(record.get("outputs") or [])]:
        for group, name in STATISTICS:
            facet = (item.get(group) or {}).get(name) or {}
            for key, value in facet.items():
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    raw = {"dataset": _dataset(item), "facet": name, key: value, "eventTime": record["eventTime"]}
                    yield metric(place, raw, time=time, system=_dataset(item), metric=key, value=value)


def _failed_assertions(record: dict[str, Any]) -> Iterator[str]:
    for item in [*(record.get("inputs") or []), *(record.get("outputs") or [])]:
        for group in ("inputFacets", "facets"):
            facet = (item.get(group) or {}).get("dataQualityAssertions") or {}
            for check in facet.get("assertions") or []:
                if check.get("success") is False:
                    column = f" of {check['column']}" if check.get("column") else ""
                    yield f"{check.get('assertion')}{column} in {_dataset(item)}"


def _dataset(item: dict[str, Any]) -> str:
    name, namespace = str(item["name"]), str(item.get("namespace") or "")
    return f"{namespace}/{name}" if namespace else name


def recognise(head: Head) -> bool:
    """Return whether a file's first record is an OpenLineage event.

    Examples
    --------
    >>> recognise(Head("e.json", "", document={"eventTime": "", "producer": "", "run": {}, "job": {}}))
    True
    """
    first = head.document
    if isinstance(first, dict) and isinstance(first.get("events"), list):
        first = first["events"]
    if isinstance(first, list):
        first = first[0] if first else None
    if not isinstance(first, dict) or "eventTime" not in first:
        return False
    if isinstance(first.get("run"), dict):
        return isinstance(first.get("job"), dict)
    return "producer" in first and (isinstance(first.get("job"), dict) or isinstance(first.get("dataset"), dict))


FORMAT = Format(
    name="openlineage",
    title="OpenLineage: run, job and data set events",
    tested="real data",
    read=read,
    recognise=recognise,
    tables=("events", "metrics", "dependencies"),
    notes="A run that sent no final event may have failed, or its sender may have: its end is not known.",
)

"""Kubernetes events, as ``kubectl get events -o json`` writes them, and as its watch does.

Reads a ``List`` or ``EventList``, single events, and JSON lines of events or of watch notifications
(``{"type": ..., "object": ...}``), of core/v1 and of events.k8s.io/v1. Tested against the documented
format only.

======================================  =============================================================
of the event (core, events.k8s.io)      becomes
======================================  =============================================================
``eventTime``, else                     time; where all are empty, ``metadata.creationTimestamp``
``firstTimestamp``,
``deprecatedFirstTimestamp``
``series.lastObservedTime``, else       time_end, when later
``lastTimestamp``,
``deprecatedLastTimestamp``
``series.count``, else ``count``,       count: one row stands for so many happenings between the two times
``deprecatedCount``
``involvedObject``, ``regarding``       system is its name, with the pod's own ending; kind, namespace
                                        and uid in attributes
``type``                                severity: Warning, else information
``reason``, ``message``, ``note``       message; the reason also in attributes
======================================  =============================================================

Everything is of kind ``log``: a ``ScalingReplicaSet`` may be a deployment, an autoscaler or a node that
died; set ``values`` or ``constant`` where you know. An event is written anew each time it is counted:
of the states of one event only the last counts, whose `count` holds the others, in whatever files
they are. Clusters forget events after an hour by default.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources.documents import objects
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.times import Moment

__all__ = ["FORMAT", "read", "recognise"]

_SEVERITY = {"Warning": "warning", "Normal": "info"}


def recognise(head: Head) -> bool:
    """Return whether a file's head holds events of a cluster."""
    record = head.document
    if isinstance(record, dict) and record.get("kind") in ("List", "EventList"):
        items = record.get("items")
        if items == [] and record["kind"] == "EventList":
            return True
        inner = items[0] if isinstance(items, list) and items else None
        return isinstance(inner, dict) and _is_event(inner, listed=record["kind"] == "EventList")
    first = record[0] if isinstance(record, list) and record else record
    return isinstance(first, dict) and _is_event(_inner(first))


def _inner(record: dict[str, Any]) -> dict[str, Any]:
    """Return the event of a watch notification, or the record itself."""
    held = record.get("object")
    return held if isinstance(held, dict) and "type" in record else record


def _is_event(record: dict[str, Any], *, listed: bool = False) -> bool:
    """Return whether a record is an event; in an ``EventList`` the items name no kind."""
    named = record.get("kind") == "Event" or (listed and "kind" not in record)
    return named and any(isinstance(record.get(key), dict) for key in ("involvedObject", "regarding"))


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event a row of the cluster's event list.

    Parameters
    ----------
    path : Path
        JSON as the module describes it; read twice.
    source : Source
        Its zone is that of times that name none.

    Yields
    ------
    Item or Reject
        Events of kind ``log``.
    """
    zone = source.time.zone
    latest: dict[str, tuple[int, int]] = {}  # uid -> count and position of its last state
    for position, _, record in objects(path, "items"):
        if isinstance(record, dict) and (uid := _uid(_inner(record))):
            latest[uid] = max(latest.get(uid, (0, 0)), (_safe_count(_inner(record)), position))

    def make(place: tuple[int, str], record: dict[str, Any]) -> Iterable[Item]:
        held = _inner(record)
        if not _is_event(held, listed=True):
            raise InputError(f"not an event but of kind {shorten(held.get('kind'), 40)}")
        if place[0] == latest.get(_uid(held), (0, place[0]))[1]:
            yield _event(place, held, zone)

    return each(objects(path, "items"), make)


def _uid(record: dict[str, Any]) -> str:
    metadata = record.get("metadata")
    return str(metadata.get("uid") or "") if isinstance(metadata, dict) else ""


def _safe_count(record: dict[str, Any]) -> int:
    try:
        return _count(record)
    except InputError:
        return 0


def _count(record: dict[str, Any]) -> int:
    series = record.get("series")
    held = [series.get("count") if isinstance(series, dict) else None, record.get("count")]
    count = next((value for value in [*held, record.get("deprecatedCount")] if value), 1)
    if type(count) is not int or count < 1:
        raise InputError(f"count is {shorten(count, 40)}, wanted a whole number from 1")
    return count


def _event(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> Item:
    metadata = record.get("metadata") or {}
    subject = record.get("involvedObject") or record.get("regarding") or {}
    begin = _first([record.get("eventTime"), record.get("firstTimestamp"), record.get("deprecatedFirstTimestamp"),
                    metadata.get("creationTimestamp")], zone)  # fmt: skip
    end = _first([_last_seen(record)], zone)
    if begin.ns is None or end.ns is None or end.ns <= begin.ns:
        end = Moment(None, "", "")
    text = str(record.get("message") or record.get("note") or "").strip()
    reason = str(record.get("reason") or "")
    emitter = record.get("source") or record.get("deprecatedSource") or {}
    attributes = {
        "reason": reason,
        "type": record.get("type"),
        "object_kind": subject.get("kind"),
        "namespace": subject.get("namespace") or metadata.get("namespace"),
        "object_uid": subject.get("uid"),
        "field_path": subject.get("fieldPath"),
        "component": emitter.get("component") or record.get("reportingComponent") or record.get("reportingController"),
        "host": emitter.get("host"),
        "action": record.get("action"),
        "uid": metadata.get("uid"),
        "modified": _last_seen(record),
    }
    return event(
        place,
        _raw(record),
        native_id=str(metadata.get("uid") or ""),
        time=begin,
        time_end=end,
        system=str(subject.get("name") or ""),
        kind="log",
        severity=_SEVERITY.get(str(record.get("type")), ""),
        message=": ".join(part for part in (reason, text) if part) or "(no text)",
        attributes={name: value for name, value in attributes.items() if value},
        count=_count(record),
    )


def _last_seen(record: dict[str, Any]) -> Any:
    series = record.get("series") or {}
    found = (series.get("lastObservedTime"), record.get("lastTimestamp"), record.get("deprecatedLastTimestamp"))
    return next((value for value in found if value), None)


def _first(values: list[Any], zone: str | None) -> Moment:
    """Return the first time that is there; a time that was never set is null, or the year 1 in older servers."""
    found = (value for value in values if value and not str(value).startswith("0001-01-01"))
    return times.moment(next(found, None), zone_name=zone)


def _raw(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record without ``managedFields``, which only some commands show."""
    metadata = record.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return record
    return {**record, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}


FORMAT = Format(
    name="kubernetes",
    title="Kubernetes events (kubectl get events -o json)",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="clusters forget events after an hour by default; a deployment shows only as its consequences",
)

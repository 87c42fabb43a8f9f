"""AWS CloudTrail: log files (``{"Records": [...]}``), JSON lines of events, and answers of LookupEvents.

Traps: LookupEvents wraps each event: outside stands the time in the zone of whoever asked (or as a number), inside,
as text in ``CloudTrailEvent``, the event with the same instant in UTC, which is taken. ``eventTime`` has whole
seconds. CloudTrail delivers minutes late and not in order. A refused call (``errorCode``) changed nothing.

========== ===================================================================================================
column     field
========== ===================================================================================================
native id  eventID
time       eventTime
system     eventSource, such as ``ec2.amazonaws.com``
kind       config_change for calls that write (readOnly false), went well and concern management, other than
           sign-in and STS; else audit
severity   17 (error) with errorCode, else 9
message    eventName, the resources named, errorCode and errorMessage
actor      userName, else the end of the ARN of userIdentity
ref        requestID
attributes awsRegion, sourceIPAddress, userAgent, eventType, recipientAccountId, requestParameters ...
========== ===================================================================================================

Tested against real recorded data (LookupEvents) and the documented format (log files).

References
----------
AWS CloudTrail user guide, "CloudTrail record contents"; API reference, LookupEvents.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError
from rca.incident.model import Source
from rca.sources.documents import json_text, objects
from rca.sources.items import Format, Head, Item, Reject, each, event

__all__ = ["FORMAT", "read", "recognise"]

_NO_CHANGE = ("signin.amazonaws.com", "sts.amazonaws.com")
_KEPT = (
    "awsRegion", "sourceIPAddress", "userAgent", "eventType", "readOnly", "errorCode", "errorMessage",
    "recipientAccountId", "sharedEventID", "requestParameters", "serviceEventDetails", "additionalEventData",
)  # fmt: skip


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event an API call.

    Parameters
    ----------
    path : Path
        A log file (unpacked), JSON lines, or an answer of LookupEvents.
    source : Source
        Nothing of it is needed.

    Yields
    ------
    Item or Reject
        In the order of the file.
    """
    return each(objects(path, "Records", "Events"), lambda place, record: [_event(place, record)])


def _event(place: tuple[int, str], record: dict[str, Any]) -> Item:
    inner = json_text(record["CloudTrailEvent"]) if isinstance(record.get("CloudTrailEvent"), str) else record
    if not isinstance(inner, dict) or not isinstance(inner.get("eventTime"), str):
        raise InputError("no eventTime: not an event of CloudTrail")
    failed = inner.get("errorCode") or ""
    attributes = {key: inner[key] for key in _KEPT if inner.get(key) not in (None, "", {}, [])}
    identity = inner.get("userIdentity") or {}
    attributes["identity"] = {key: identity[key] for key in ("type", "invokedBy") if identity.get(key)}
    return event(
        place,
        record,
        native_id=str(inner.get("eventID") or ""),
        time=times.moment(inner["eventTime"]),
        system=str(inner.get("eventSource") or ""),
        kind=_kind(inner),
        severity=17 if failed else 9,
        message=_message(inner, record),
        actor=_actor(identity),
        ref=str(inner.get("requestID") or ""),
        attributes={key: value for key, value in attributes.items() if value != {}},
    )


def _kind(inner: dict[str, Any]) -> str:
    call = inner.get("eventType", "AwsApiCall") in ("AwsApiCall", "AwsConsoleAction")
    data = inner.get("eventCategory") == "Data" or inner.get("managementEvent") is False
    wrote = inner.get("readOnly") is False and not inner.get("errorCode")
    return "config_change" if call and wrote and not data and inner.get("eventSource") not in _NO_CHANGE else "audit"


def _message(inner: dict[str, Any], outer: dict[str, Any]) -> str:
    named = [item.get("ResourceName") for item in outer.get("Resources") or ()]
    named += [str(item.get("ARN") or "").rpartition(":")[2] for item in inner.get("resources") or ()]
    shown = [name for name in named if name]
    text = str(inner.get("eventName") or "(no text)")
    if shown:
        text += f" {', '.join(shown[:3])}{f' and {len(shown) - 3} more' if len(shown) > 3 else ''}"
    why = ": ".join(str(inner[key]) for key in ("errorCode", "errorMessage") if inner.get(key))
    return f"{text} ({why})" if why else text


def _actor(identity: dict[str, Any]) -> str:
    name = identity.get("userName")
    return str(name or str(identity.get("arn") or "").rpartition("/")[2].rpartition(":")[2])


def recognise(head: Head) -> bool:
    """Return whether the first record is an event of CloudTrail, bare or wrapped by LookupEvents."""
    record = head.document
    for key in ("Records", "Events"):
        if isinstance(record, dict) and isinstance(record.get(key), list):
            if key == "Records" and record == {"Records": []}:
                return True
            record = record[key]
    record = record[0] if isinstance(record, list) and record else record
    if not isinstance(record, dict):
        return False
    return "CloudTrailEvent" in record or {"eventVersion", "eventTime", "eventSource", "eventName"} <= set(record)


FORMAT = Format(
    name="cloudtrail",
    title="AWS CloudTrail events",
    tested="real data",
    read=read,
    recognise=recognise,
    notes="delivered late and out of order; data events only where the trail records them",
)

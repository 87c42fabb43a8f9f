"""Google Cloud Logging: entries (LogEntry) as JSON lines or a JSON list, from gcloud, a sink or the API.

Traps: one id (``insertId``) is only unique within a log and a time. A long operation writes an entry when it begins
and one when it is done; the first is the change, the last an audit. An entry without ``timestamp`` is undated, at the
latest of ``receiveTimestamp``. Times have nanoseconds.

========== ===================================================================================================
column     field
========== ===================================================================================================
native id  logName, timestamp and insertId
time       timestamp; ``time_latest`` is receiveTimestamp where there is none
system     serviceName of an audit entry; else service, container, function, module or job of the resource; else the
           last part of logName
kind       config_change for the activity log's calls that went well, audit for other audit entries, else log
severity   severity; empty for DEFAULT
message    textPayload; message of jsonPayload, or the payload; method, resource and status of protoPayload
actor      principalEmail
ref        id of the operation
trace_id   the last part of trace
attributes logName, resource, labels, httpRequest, jsonPayload, callerIp, spanId ...
========== ===================================================================================================

Tested against real recorded data.

References
----------
Google Cloud, Logging API reference: LogEntry, AuditLog, LogSeverity.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from rca import times
from rca.errors import InputError
from rca.incident.model import Source
from rca.sources.documents import objects
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.times import Moment

__all__ = ["FORMAT", "read", "recognise"]

_WORDS = {
    100: "DEBUG",
    200: "INFO",
    300: "NOTICE",
    400: "WARNING",
    500: "ERROR",
    600: "CRITICAL",
    700: "ALERT",
    800: "EMERGENCY",
}
_SYSTEM = (
    "service_name", "container_name", "function_name", "module_id", "job_name", "job_id", "configuration_name",
    "database_id",
)  # fmt: skip
_KEPT = (
    "logName",
    "insertId",
    "resource",
    "labels",
    "receiveTimestamp",
    "operation",
    "httpRequest",
    "sourceLocation",
    "spanId",
)
_SHOWN = 1000


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event an entry.

    Parameters
    ----------
    path : Path
        JSON lines, a list, or an answer of ``entries.list``.
    source : Source
        Nothing of it is needed.

    Yields
    ------
    Item or Reject
        In the order of the file.
    """
    return each(objects(path, "entries"), lambda place, record: [_event(place, record)])


def _event(place: tuple[int, str], record: dict[str, Any]) -> Item:
    if not isinstance(record.get("logName"), str):
        raise InputError("no logName: not an entry of Cloud Logging")
    stamp, received = record.get("timestamp") or "", record.get("receiveTimestamp") or ""
    if not stamp and not received:
        raise InputError("neither timestamp nor receiveTimestamp")
    call = record.get("protoPayload") or {}
    attributes = {key: record[key] for key in (*_KEPT, "jsonPayload") if record.get(key) not in (None, "", {}, [])}
    attributes["callerIp"] = (call.get("requestMetadata") or {}).get("callerIp") or ""
    attributes["status"] = call.get("status") or ""
    insert = record.get("insertId")
    time = times.moment(stamp or received)
    fields: dict[str, Any] = {"time": time} if stamp else {"time": Moment(None, "", ""), "time_latest": time}
    return event(
        place,
        record,
        native_id=f"{record['logName']} {time.ns} {insert}" if insert else "",
        system=_system(record, call),
        kind=_kind(record, call),
        severity=_severity(record.get("severity")),
        message=_message(record, call) or "(no text)",
        actor=str((call.get("authenticationInfo") or {}).get("principalEmail") or ""),
        ref=str((record.get("operation") or {}).get("id") or ""),
        trace_id=str(record.get("trace") or "").rpartition("/")[2],
        attributes={key: value for key, value in attributes.items() if value},
        **fields,
    )


def _severity(level: Any) -> str:
    word = _WORDS.get(level, "") if isinstance(level, int) else str(level or "")
    return "" if word == "DEFAULT" else word


def _kind(record: dict[str, Any], call: dict[str, Any]) -> str:
    log = unquote(record["logName"])
    if "cloudaudit.googleapis.com" not in log and not str(call.get("@type", "")).endswith("AuditLog"):
        return "log"
    operation = record.get("operation") or {}
    done = bool(operation.get("last")) and not operation.get("first")
    failed = bool((call.get("status") or {}).get("code"))
    return "config_change" if log.endswith("/activity") and not failed and not done else "audit"


def _system(record: dict[str, Any], call: dict[str, Any]) -> str:
    labels = (record.get("resource") or {}).get("labels") or {}
    named = call.get("serviceName") or next((labels[name] for name in _SYSTEM if labels.get(name)), "")
    return str(named or unquote(record["logName"]).rpartition("/")[2])


def _message(record: dict[str, Any], call: dict[str, Any]) -> str:
    if isinstance(record.get("textPayload"), str):
        return str(record["textPayload"]).strip()
    payload = record.get("jsonPayload")
    if isinstance(payload, dict):
        text = next((payload[name] for name in ("message", "msg", "MESSAGE") if isinstance(payload.get(name), str)), "")
        return text.strip() or json.dumps(payload, ensure_ascii=False)[:_SHOWN]
    if call:
        why = (call.get("status") or {}).get("message")
        done = " done" if (record.get("operation") or {}).get("last") and not record["operation"].get("first") else ""
        parts = [str(call[name]) for name in ("methodName", "resourceName") if call.get(name)]
        return f"{' '.join(parts) or json.dumps(call, ensure_ascii=False)[:_SHOWN]}{done}{f' ({why})' if why else ''}"
    request = record.get("httpRequest") or {}
    parts = [str(request[name]) for name in ("requestMethod", "requestUrl", "status") if request.get(name)]
    return " ".join(part.partition("?")[0] for part in parts)


def recognise(head: Head) -> bool:
    """Return whether the first record is an entry of Cloud Logging."""
    record = head.document
    if isinstance(record, dict) and isinstance(record.get("entries"), list):
        record = record["entries"]
    record = record[0] if isinstance(record, list) and record else record
    if not isinstance(record, dict) or not isinstance(record.get("logName"), str) or "resource" not in record:
        return False
    return "timestamp" in record or "receiveTimestamp" in record


FORMAT = Format(
    name="gcplog",
    title="Google Cloud Logging entries",
    tested="real data",
    read=read,
    recognise=recognise,
    notes="data access audit logs are off by default in most services: their absence proves nothing",
)

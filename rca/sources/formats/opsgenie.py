"""Opsgenie: lists of alerts, logs of one alert, and webhooks.

``{"data": [...]}`` as the REST API answers, ``{"action": ..., "alert": {...}}`` as webhooks send, or lists or JSON
lines of such.

==========  ==============================================================================================
column      field
==========  ==============================================================================================
time        ``createdAt`` of an alert or log; of an acknowledgement or closing, ``createdAt`` plus what the report
            counted in milliseconds
severity    ``priority``: P1 critical (21), P2 high (17), P3 moderate (13), P4 low (10), P5 informational (9)
message     ``message`` of an alert, ``log`` of a log
actor       who acknowledged or closed; ``owner`` of a log; ``username`` of a webhook
ref         ``tinyId`` of the alert, else its ``alias``
attributes  ``state`` (triggered, acknowledged, escalated, reassigned, resolved), alias, tags, count, source, teams
==========  ==============================================================================================

Traps: a list knows an alert's present state only. Without a ``report`` the time of its acknowledgement or closing is
not in it: that event is undated, between ``createdAt`` and ``updatedAt``. Repeats of an alert only raise its ``count``.
The state of a log is read from its English words; logs of a list of logs do not name their alert. Webhooks give times
as counts of milliseconds (13 digits) or nanoseconds (19).

Tested against the documented format only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources import documents
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.sources.rows import lookup
from rca.times import Moment

__all__ = ["FORMAT", "read", "recognise"]

_SEVERITY = {"P1": 21, "P2": 17, "P3": 13, "P4": 10, "P5": 9}
_LONGEST = 100 * 365 * 86_400_000
_EPOCHS = {13: "epoch_ms", 16: "epoch_us", 19: "epoch_ns"}
# First that fits decides; "unacknowledge" must not be taken for its contrary.
_WORDS = (
    (r"un-?acknowledge", "alert", "triggered"),
    (r"^acknowledge|alert acknowledged", "alert", "acknowledged"),
    (r"^create|alert created|re-?opened", "alert", "triggered"),
    (r"^close|alert closed", "alert", "resolved"),
    (r"escalat", "escalated", "escalated"),
    (r"assign|ownership", "handed_over", "reassigned"),
    (r"notification|notified|\bsent\b", "notified", ""),
)


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield events of alerts, logs and webhooks.

    Parameters
    ----------
    path : Path
        JSON or JSON lines.
    source : Source
        Its entry in ``incident.yaml``.

    Yields
    ------
    Item or Reject
        With the state in ``attributes``.
    """
    zone = source.time.zone
    yield from each(documents.objects(path, "data", "logs"), lambda place, record: _events(place, record, zone))


def _events(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> list[Item]:
    if isinstance(record.get("data"), dict):  # one alert, as GET /alerts/ID answers
        record = record["data"]
    if isinstance(record.get("alert"), dict):
        return [_webhook(place, record, zone)]
    if "log" in record:
        return [_log(place, record, zone)]
    if "tinyId" in record:
        return _alert(place, record, zone)
    raise InputError("neither an alert, a log nor a webhook of Opsgenie")


def _alert(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> list[Item]:
    report = record.get("report") or {}
    start = _time(record["createdAt"], zone)
    states: list[tuple[str, str, dict[str, Moment]]] = [("triggered", "", {"time": start})]
    wanted = (
        ("acknowledged", "ackTime", "acknowledgedBy", record.get("acknowledged")),
        ("resolved", "closeTime", "closedBy", str(record.get("status")).lower() == "closed"),
    )
    for state, took, who, holds in wanted:
        if isinstance(report.get(took), int) and start.ns is not None:
            if not 0 <= report[took] <= _LONGEST:
                raise InputError(f"{took} of {shorten(report[took], 24)} ms is no time that an alert can take")
            then = Moment(start.ns + report[took] * 10**6, f"{start.text} + {report[took]} ms", start.basis)
            states.append((state, str(report.get(who) or ""), {"time": then}))
        elif holds:
            between = {"time_earliest": start, "time_latest": _time(record.get("updatedAt"), zone)}
            states.append((state, str(report.get(who) or ""), {"time": Moment(None, "", ""), **between}))
    return [
        event(
            place,
            record,
            native_id=f"{record['id']}:{state}",
            kind="alert",
            message=f"{record.get('message') or '(no text)'}{'' if state == 'triggered' else f' ({state})'}",
            actor=who,
            **_common(record, state, modified=record.get("updatedAt")),
            **moments,
        )
        for state, who, moments in states
    ]


def _common(alert: dict[str, Any], state: str, **more: Any) -> dict[str, Any]:
    """Return the columns that all events of an alert share."""
    attributes = {
        "state": state,
        "alias": alert.get("alias"),
        "priority": alert.get("priority"),
        "tags": alert.get("tags"),
        "repeats": alert.get("count"),
        "owner": alert.get("owner"),
        "source": alert.get("source"),
        "integration": lookup(alert, "integration.name"),
        "teams": [team.get("name") or team.get("id") for team in alert.get("responders") or alert.get("teams") or []
                  if isinstance(team, dict)],
        "details": alert.get("details"),
        **more,
    }  # fmt: skip
    return {
        "system": str(alert.get("entity") or ""),
        "severity": _SEVERITY.get(str(alert.get("priority")), ""),
        "ref": str(alert.get("tinyId") or alert.get("alias") or ""),
        "attributes": {key: value for key, value in attributes.items() if value not in (None, "", [], {})},
    }


def _log(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> Item:
    kind, state = _state(str(record["log"]))
    attributes = {"state": state, "type": record.get("type")}
    return event(
        place,
        record,
        time=_time(record["createdAt"], zone),
        system="",
        kind=kind,
        message=str(record["log"]) or "(no text)",
        actor=str(record.get("owner") or ""),
        attributes={key: value for key, value in attributes.items() if value},
    )


def _webhook(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> Item:
    alert, action = record["alert"], str(record["action"])
    kind, state = _state(action)
    stamp = alert.get("createdAt") if action == "Create" else alert.get("updatedAt") or alert.get("createdAt")
    common = _common(alert, state, action=action, note=alert.get("note"), integration=record.get("integrationName"))
    return event(
        place,
        record,
        native_id=":".join(str(part) for part in (alert.get("alertId", ""), action, stamp) if part),
        time=_time(stamp, zone),
        kind=kind,
        message=f"{alert.get('message') or '(no text)'}{'' if action == 'Create' else f' ({action})'}",
        actor=str(alert.get("username") or ""),
        **common,
    )


def _state(text: str) -> tuple[str, str]:
    for pattern, kind, state in _WORDS:
        if re.search(pattern, text, re.IGNORECASE):
            return kind, state
    return "ticket", ""


def _time(value: Any, zone: str | None) -> Moment:
    text = str(value if value is not None else "")
    return times.moment(text, form=_EPOCHS.get(len(text), "iso8601") if text.isdigit() else "iso8601", zone_name=zone)


def recognise(head: Head) -> bool:
    """Return whether the first record is an alert, a log or a webhook of Opsgenie."""
    content = head.document
    if isinstance(content, dict):
        content = next((content[name] for name in ("data", "logs") if content.get(name)), content)
    first = content[0] if isinstance(content, list) and content else content
    if not isinstance(first, dict):
        return False
    if isinstance(first.get("alert"), dict):
        return "action" in first and {"alertId", "tinyId"} <= set(first["alert"])
    return {"tinyId", "alias", "createdAt"} <= set(first) or {"log", "type", "owner", "createdAt"} <= set(first)


FORMAT = Format(
    name="opsgenie",
    title="Opsgenie alerts, alert logs, webhooks",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="A list of alerts knows the present state only; logs of an alert do not say which alert they belong to.",
)

"""PagerDuty: log entries of the REST API, webhooks of version 3, and lists of incidents.

``{"log_entries": [...]}``, ``{"incidents": [...]}``, ``{"event": {...}}``, or lists or JSON lines of such.

==========  ===================================================================================================
column      field
==========  ===================================================================================================
time        ``created_at`` of a log entry, ``occurred_at`` of a webhook
system      the service's name
kind        alert (trigger, acknowledge, resolve), notified, escalated, handed_over (assign), status (status updates),
            config_change (a service changed), ticket (all else)
severity    of the alert (``cef_details``), else the incident's urgency
message     ``summary`` of a log entry; what happened and the title for a webhook
actor       the person who did it; of a notification, who was told
ref         id of the incident
attributes  ``state`` (triggered, acknowledged, escalated, reassigned, resolved), type, to whom, note, channel, urgency
==========  ===================================================================================================

Traps: the agent is often a service or an integration, which is no actor; an ``assign`` comes with each trigger and each
escalation; a list of incidents knows only the last change of each: what lies between is not in it. Two exports of one
incident give its opening once, as the later has it, and a change for each state that was exported.

Tested against the documented format only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources import documents
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.sources.rows import lookup

__all__ = ["FORMAT", "read", "recognise"]

# Word of a log entry's or an event's type -> kind and state.
_ONE_PAGE = 64 * 2**20  # bytes; the API's own limit is 100 entries a page
_KINDS = {
    "trigger": ("alert", "triggered"), "triggered": ("alert", "triggered"), "reopen": ("alert", "triggered"),
    "reopened": ("alert", "triggered"), "unacknowledge": ("alert", "triggered"),
    "unacknowledged": ("alert", "triggered"), "acknowledge": ("alert", "acknowledged"),
    "acknowledged": ("alert", "acknowledged"), "resolve": ("alert", "resolved"), "resolved": ("alert", "resolved"),
    "escalate": ("escalated", "escalated"), "escalated": ("escalated", "escalated"),
    "repeat_escalation_path": ("escalated", "escalated"), "exhaust_escalation_path": ("escalated", "escalated"),
    "assign": ("handed_over", "reassigned"), "delegate": ("handed_over", "reassigned"),
    "delegated": ("handed_over", "reassigned"), "reassign": ("handed_over", "reassigned"),
    "reassigned": ("handed_over", "reassigned"),
    "notify": ("notified", ""), "responder_request": ("notified", ""), "added": ("notified", ""),
    "status_update": ("status", ""), "status_update_published": ("status", ""),
}  # fmt: skip


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield an event a log entry or webhook, and for a listed incident its opening and its last change.

    Parameters
    ----------
    path : Path
        JSON or JSON lines.
    source : Source
        Its entry in ``incident.yaml``; times name their zone.

    Yields
    ------
    Item or Reject
        With the state in ``attributes``.
    """
    zone = source.time.zone
    records = documents.objects(path, "log_entries", "incidents", "events")
    yield from each(records, lambda place, record: _events(place, record, zone))
    yield from _more_pages(path)


def _more_pages(path: Path) -> Iterator[Reject]:
    """Yield a reject for the pages of a list that the API holds and the file does not."""
    content = documents.document(path) if path.stat().st_size < _ONE_PAGE and not documents.is_lines(path) else None
    if isinstance(content, dict) and content.get("more") is True:
        held = f"its first {content['limit']}" if content.get("limit") else "the first"
        yield Reject(1, "/more", f"the list goes on: the API has more pages, the file holds {held} only")


def _events(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> list[Item]:
    if isinstance(record.get("event"), dict):
        record = record["event"]
    if isinstance(record.get("incident"), dict) and "incident_number" in record["incident"] and "type" not in record:
        record = record["incident"]
    if isinstance(record.get("log_entry"), dict):
        record = record["log_entry"]
    if "event_type" in record:
        return [_webhook(place, record, zone)]
    if str(record.get("type", "")).endswith("_log_entry"):
        return [_entry(place, record, zone)]
    if "incident_number" in record:
        return _incident(place, record, zone)
    raise InputError(
        f"neither a log entry, a webhook of version 3 nor an incident (type {shorten(record.get('type'))})"
    )


def _entry(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> Item:
    word = str(record["type"]).removesuffix("_reference").removesuffix("_log_entry")
    kind, state = _KINDS.get(word, ("ticket", ""))
    told = [_name(record.get("user")), *map(_name, record.get("assignees") or [])]
    to = [name for name in told if name]
    agent = _actor(record.get("agent"))
    note = record.get("note") or lookup(record, "channel.summary") or lookup(record, "channel.content")
    message = str(record.get("summary") or f"{word} {lookup(record, 'incident.summary') or ''}").strip()
    return _event(
        place,
        record,
        time=times.moment(record["created_at"], zone_name=zone),
        system=_name(record.get("service")) or _name(lookup(record, "incident.service")),
        kind=kind,
        severity=str(lookup(record, "channel.cef_details.severity") or lookup(record, "incident.urgency") or ""),
        message=message,
        actor=to[0] if word == "notify" and to else agent,
        ref=str(lookup(record, "incident.id") or ""),
        attributes={
            "state": state,
            "type": word,
            "agent": _name(record.get("agent")) if not agent else None,
            "to": to,
            "note": note if note != message else None,
            "channel": lookup(record, "channel.type"),
            "incident": lookup(record, "incident.summary"),
            "teams": [_name(team) for team in record.get("teams") or []],
            "url": record.get("html_url"),
        },
    )


def _webhook(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> Item:
    what, _, word = str(record["event_type"]).partition(".")
    data = record.get("data") or {}
    kind, state = _KINDS.get(word, ("config_change" if what == "service" else "ticket", ""))
    incident = data if data.get("type") == "incident" else data.get("incident") or {}
    title = incident.get("title") or incident.get("summary") or data.get("summary") or data.get("name") or ""
    note = data.get("content") or data.get("message")
    return _event(
        place,
        record,
        time=times.moment(record["occurred_at"], zone_name=zone),
        system=_name(data.get("service")) or (_name(data) if what == "service" else ""),
        kind=kind,
        severity=str(data.get("urgency") or ""),
        message=": ".join(filter(None, (f"{what} {word}".replace("_", " "), str(title or note or "")))),
        actor=_actor(record.get("agent")),
        ref=str(incident.get("id") or data.get("id") or ""),
        attributes={
            "state": state,
            "type": record["event_type"],
            "agent": _name(record.get("agent")) if not _actor(record.get("agent")) else None,
            "to": [name for name in map(_name, [*(data.get("assignees") or []), data.get("user")]) if name],
            "note": note,
            "number": data.get("number"),
            "priority": _name(data.get("priority")),
            "status": data.get("status"),
            "incident_key": data.get("incident_key"),
            "url": data.get("html_url"),
        },
    )


def _incident(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> list[Item]:
    """Return the opening of an incident, and its last change when it is no longer as it was opened."""
    status = str(record.get("status") or "triggered")
    last = record.get("last_status_change_at") or ""
    facts = [("triggered", record["created_at"], "", f"{record['id']}:opened")]
    if status != "triggered" and last:
        facts.append((status, last, _actor(record.get("last_status_change_by")), f"{record['id']}:{status}:{last}"))
    return [
        _event(
            place,
            record,
            native=native,
            time=times.moment(time, zone_name=zone),
            system=_name(record.get("service")),
            kind="alert",
            severity=str(record.get("urgency") or ""),
            message=f"incident {state}: {record.get('title') or record.get('summary') or record['id']}",
            actor=actor,
            ref=str(record["id"]),
            attributes={
                "state": state,
                "number": record["incident_number"],
                "to": [_name(item.get("assignee")) for item in record.get("assignments") or []],
                "priority": _name(record.get("priority")),
                "incident_key": record.get("incident_key"),
                "url": record.get("html_url"),
                "modified": record.get("updated_at") or last,
            },
        )
        for state, time, actor, native in facts
    ]


def _event(place: tuple[int, str], record: dict[str, Any], *, native: str = "", **fields: Any) -> Item:
    kept = {key: value for key, value in fields.pop("attributes").items() if value not in (None, "", [], {})}
    return event(place, record, native_id=native or str(record.get("id") or ""), attributes=kept, **fields)


def _name(reference: Any) -> str:
    if not isinstance(reference, dict):
        return ""
    return str(reference.get("summary") or reference.get("name") or reference.get("id") or "")


def _actor(agent: Any) -> str:
    """Return the name of a person; a service or an integration is none."""
    return _name(agent) if isinstance(agent, dict) and str(agent.get("type", "")).startswith("user") else ""


def recognise(head: Head) -> bool:
    """Return whether the first record is a log entry, a webhook of version 3, or a numbered incident."""
    content = head.document
    if isinstance(content, dict):
        if [] in (content.get("log_entries"), content.get("incidents")) and {"limit", "more"} <= set(content):
            return True
        content = next((content[name] for name in ("log_entries", "incidents", "events") if name in content), content)
    first = content[0] if isinstance(content, list) and content else content
    if not isinstance(first, dict):
        return False
    inner = first.get("event") if isinstance(first.get("event"), dict) else first.get("log_entry", first)
    if not isinstance(inner, dict):
        return False
    webhook = {"event_type", "resource_type", "occurred_at"} <= set(inner)
    entry = str(inner.get("type", "")).endswith("_log_entry") and "created_at" in inner
    return webhook or entry or {"incident_number", "created_at", "service", "urgency"} <= set(inner)


FORMAT = Format(
    name="pagerduty",
    title="PagerDuty log entries, webhooks v3, incidents",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="A list of incidents shows only the last change of each; ask for log entries to see all.",
)

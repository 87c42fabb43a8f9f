"""Jira: issues with their history, as a search with ``expand=changelog`` answers, or one issue.

==========  ===============================================================================================
column      field
==========  ===============================================================================================
time        ``fields.created`` of the issue, ``created`` of a change or comment (offset without a colon: +0100)
system      the component, when there is exactly one
kind        ticket; handed_over where a change names another assignee
severity    name of the priority, where it is an English word
message     summary; ``KEY field: from -> to``; text of the comment (Atlassian document format or plain)
actor       reporter (else creator); author of the change or comment
ref         key of the issue
attributes  ``change`` (created, resolved, changed, comment, edited), ids of field and values, project, type,
            category of the state
==========  ===============================================================================================

Traps: names of fields, states and priorities are in the language of who asked, so ids stand beside them
(``field_id``, ``from_id``, ``to_id``, ``statusCategory.key``); a key changes when an issue moves, so events go by
the ids of issue, history entry and item; a search cuts a long changelog, and what is missing is reported as rejected;
what was edited stands as the
export has it, with an event of its own for the edit. An export without ``changelog`` tells of the present state only:
where it has a ``resolutiondate``, that is an event.

Tested against the documented format only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca import times
from rca.incident.model import Source
from rca.sources import documents
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.sources.rows import lookup

__all__ = ["FORMAT", "read", "recognise"]


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield the opening of each issue, its changes and its comments.

    Parameters
    ----------
    path : Path
        JSON: ``{"issues": [...]}``, a list of issues, one issue, or JSON lines.
    source : Source
        Its entry in ``incident.yaml``; times name their zone.

    Yields
    ------
    Item or Reject
        One item of a history entry is one event.
    """
    zone = source.time.zone
    yield from each(_parts(path), lambda place, part: _MAKE[part["change"]](place, part, zone))


def _parts(path: Path) -> Iterator[documents.Record]:
    """Yield each issue in parts, so that a bad part loses nothing but itself."""
    for position, locator, issue in documents.objects(path, "issues"):
        if isinstance(issue, Reject):
            yield position, locator, issue
            continue
        fields = issue["fields"] if isinstance(issue.get("fields"), dict) else {}
        bare = {name: value for name, value in issue.items() if name != "changelog"}
        bare["fields"] = {name: value for name, value in fields.items() if name != "comment"}
        yield (
            position,
            locator,
            {"change": "created", "issue": bare, "history": isinstance(issue.get("changelog"), dict)},
        )
        known = {"id": issue.get("id"), "key": issue.get("key")}
        system = _system(fields)
        pages = (
            ("changelog", issue.get("changelog"), "histories", "/changelog/histories"),
            ("comment", fields.get("comment"), "comments", "/fields/comment/comments"),
        )
        for change, page, name, below in pages:
            listed = page.get(name) if isinstance(page, dict) else None
            listed = listed if isinstance(listed, list) else []
            for number, record in enumerate(listed):
                place = f"{locator.rstrip('/')}{below}/{number}"
                part = {"change": change, "issue": known, "system": system, "record": record}
                items = record.get("items") if change == "changelog" and isinstance(record, dict) else None
                if not isinstance(items, list):
                    yield position, place, part
                    continue
                head = {key: value for key, value in record.items() if key != "items"}
                for count, item in enumerate(items):
                    yield position, f"{place}/items/{count}", part | {"record": head, "item": item, "number": count}
            total = page.get("total") if isinstance(page, dict) else None
            if isinstance(total, int) and total > len(listed):
                reason = f"{issue.get('key')}: the export holds {len(listed)} of {total} {name}; ask for the rest"
                yield (
                    position,
                    f"{locator.rstrip('/')}{below}",
                    Reject(position, f"{locator.rstrip('/')}{below}", reason),
                )


def _created(place: tuple[int, str], part: dict[str, Any], zone: str | None) -> list[Item]:
    issue = part["issue"]
    fields = issue["fields"]
    attributes = {
        "change": "created",
        "id": issue["id"],
        "project": lookup(fields, "project.key"),
        "type": lookup(fields, "issuetype.name"),
        "type_id": lookup(fields, "issuetype.id"),
        "status_category": lookup(fields, "status.statusCategory.key"),
        "status_id": lookup(fields, "status.id"),
        "priority_id": lookup(fields, "priority.id"),
        "assignee": _person(fields.get("assignee")),
        "labels": fields.get("labels"),
        "resolved": fields.get("resolutiondate"),
        "modified": fields.get("updated"),
    }
    told = f"{issue['key']} {fields.get('summary') or '(no text)'}"
    author = _person(fields.get("reporter")) or _person(fields.get("creator"))
    happened = [("created", fields["created"], "", told, author)]
    if fields.get("resolutiondate") and not part["history"]:
        stamp = fields["resolutiondate"]
        happened.append(("resolved", stamp, f":{stamp}", f"{issue['key']} resolved: {fields.get('summary') or ''}", ""))
    return [
        event(
            place,
            issue,
            native_id=f"{issue['id']}:{change}{state}",
            time=times.moment(stamp, zone_name=zone),
            system=_system(fields),
            kind="ticket",
            severity=str(lookup(fields, "priority.name") or ""),
            message=message,
            actor=actor,
            ref=str(issue["key"]),
            attributes={
                key: value for key, value in {**attributes, "change": change}.items() if value not in (None, "", [], {})
            },
        )
        for change, stamp, state, message, actor in happened
    ]


def _changed(place: tuple[int, str], part: dict[str, Any], zone: str | None) -> list[Item]:
    issue, history, item = part["issue"], part["record"], part["item"]
    field = str(item.get("fieldId") or item["field"])
    before = item.get("fromString") if item.get("fromString") is not None else item.get("from")
    after = item.get("toString") if item.get("toString") is not None else item.get("to")
    attributes = {
        "change": "changed",
        "field": item.get("field"),
        "field_id": item.get("fieldId"),
        "from_id": item.get("from"),
        "to_id": item.get("to"),
        "to": after if field == "assignee" else None,
    }
    made = event(
        place,
        {"issue": issue, "history": history, "item": item},
        native_id=f"{issue['id']}:{history['id']}:{part['number']}",
        time=times.moment(history["created"], zone_name=zone),
        system=part["system"],
        kind="handed_over" if field == "assignee" and item.get("to") else "ticket",
        message=f"{issue['key']} {item.get('field') or field}: {before or '(none)'} -> {after or '(none)'}",
        actor=_person(history.get("author")),
        ref=str(issue["key"]),
        attributes={key: value for key, value in attributes.items() if value not in (None, "")},
    )
    return [made]


def _comment(place: tuple[int, str], part: dict[str, Any], zone: str | None) -> list[Item]:
    """Return that somebody wrote, and that somebody overwrote it."""
    issue, comment = part["issue"], part["record"]
    edited = comment.get("updated") if comment.get("updated") != comment["created"] else ""
    text = _text(comment.get("body")).strip() or "(no text)"
    happened = [("comment", comment["created"], "", text, comment.get("author"))]
    if edited:
        who = comment.get("updateAuthor") or comment.get("author")
        happened.append(("edited", edited, f":{edited}", f"(comment edited) {text}", who))
    return [
        event(
            place,
            {"issue": issue, "comment": comment},
            native_id=f"{issue['id']}:comment:{comment['id']}{state}",
            time=times.moment(time, zone_name=zone),
            system=part["system"],
            kind="ticket",
            message=message,
            actor=_person(who),
            ref=str(issue["key"]),
            attributes={
                name: value
                for name, value in {"change": change, "id": comment["id"], "edited": edited}.items()
                if value
            },
        )
        for change, time, state, message, who in happened
    ]


_MAKE = {"created": _created, "changelog": _changed, "comment": _comment}


def _system(fields: dict[str, Any]) -> str:
    found = fields.get("components")
    found = [item.get("name") for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    return str(found[0] or "") if len(found) == 1 else ""


def _person(user: Any) -> str:
    """Return a person's name, else what identifies them (servers have ``name``, the cloud ``accountId``)."""
    if not isinstance(user, dict):
        return ""
    return str(next((user[name] for name in ("displayName", "name", "accountId", "key") if user.get(name)), ""))


def _text(body: Any) -> str:
    """Return the text of a comment: as it is, or of an Atlassian document."""
    if isinstance(body, list):
        return "".join(map(_text, body))
    if not isinstance(body, dict):
        return str(body or "")
    kind = body.get("type")
    if kind in ("text", "mention", "emoji"):
        return str(body.get("text") or lookup(body, "attrs.text") or lookup(body, "attrs.shortName") or "")
    inner = _text(body.get("content") or [])
    ends = kind in ("paragraph", "heading", "hardBreak", "listItem", "codeBlock", "tableRow")
    return f"{inner}\n" if ends and not inner.endswith("\n") else inner


def recognise(head: Head) -> bool:
    """Return whether the first record is an issue of Jira."""
    content = head.document
    if isinstance(content, dict) and isinstance(content.get("issues"), list):
        if not content["issues"] and bool({"startAt", "isLast"} & set(content)):
            return True
        content = content["issues"]
    first = content[0] if isinstance(content, list) and content else content
    if not isinstance(first, dict) or not isinstance(first.get("fields"), dict):
        return False
    return {"id", "key"} <= set(first) and bool({"created", "issuetype", "status"} & set(first["fields"]))


FORMAT = Format(
    name="jira",
    title="Jira issues with changelog and comments",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="Deleted issues and comments leave nothing; the opening shows the issue's present fields.",
)

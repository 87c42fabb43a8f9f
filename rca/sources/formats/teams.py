"""Microsoft Teams: messages of a channel or chat as Microsoft Graph lists them (``chatMessage``).

A JSON document ``{"value": [...]}``, a list of messages, or JSON lines.

==========  =============================================================================================
column      field
==========  =============================================================================================
time        ``createdDateTime`` (UTC with Z)
actor       ``from.user.displayName``, or that of the application or device
message     ``body.content``; HTML is made text; ``subject`` stands before it
ref         ``id``
attributes  channel or chat, team, replyToId, edit, deletion, reactions, importance, attachments' names
==========  =============================================================================================

Traps: a message's ``id`` is its time in milliseconds and is unique in its channel only; an edit overwrites the message
and a deletion empties it: each is an event of its own, and where an earlier export has the message as it was first,
that is kept; ``lastModifiedDateTime`` also changes with a reaction; ``from`` is null for what the system wrote.

Tested against the documented format only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from rca import times
from rca.incident.model import Source
from rca.sources import documents
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.sources.rows import lookup

__all__ = ["FORMAT", "html_text", "read", "recognise"]

_LINES = frozenset({"br", "p", "div", "li", "tr", "blockquote", "pre", "h1", "h2", "h3", "hr"})
_LONGEST = 2**17
_SECTION = re.compile(r"<!\[(?:[^>]*>)?")  # as office programs write; the parser fails on broken ones
_HIDDEN = frozenset({"script", "style"})


class _Text(HTMLParser):
    """Collects what a reader would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line at a block; show pictures by their words."""
        self.hidden += tag in _HIDDEN
        if tag in _LINES:
            self.parts.append("\n")
        elif tag in ("img", "emoji"):
            self.parts.append(dict(attrs).get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        """End a line at the end of a block."""
        self.hidden -= tag in _HIDDEN and self.hidden > 0
        if tag in _LINES:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        """Keep text."""
        if not self.hidden:
            self.parts.append(data)


def html_text(content: str) -> str:
    r"""Return the text of an HTML fragment, a line a block; nothing is loaded or run.

    Parameters
    ----------
    content : str
        HTML, well formed or not.

    Returns
    -------
    str
        Without empty lines. What is longer than any message can be is returned as it is, since the parser of the
        standard library needs time with the square of the length of broken HTML.

    Examples
    --------
    >>> html_text("<p>Rolled <b>back</b> &amp; green</p><p>bye</p>")
    'Rolled back & green\nbye'
    """
    if len(content) > _LONGEST:
        return content.strip()
    parser = _Text()
    parser.feed(_SECTION.sub("", content))
    parser.close()
    rows = (" ".join(row.split()) for row in "".join(parser.parts).split("\n"))
    return "\n".join(filter(None, rows))


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield an event a message, and one each for its last edit and its deletion.

    Parameters
    ----------
    path : Path
        JSON as Microsoft Graph answers it.
    source : Source
        Its entry in ``incident.yaml``; times name their zone.

    Yields
    ------
    Item or Reject
        Kind ``chat``.
    """
    zone = source.time.zone
    yield from each(documents.objects(path, "value"), lambda place, record: _message(place, record, zone))


def _message(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> list[Item]:
    body = record.get("body") or {}
    content = str(body.get("content") or "")
    text = html_text(content) if str(body.get("contentType")).lower() == "html" else content.strip()
    subject, deleted = str(record.get("subject") or ""), record.get("deletedDateTime")
    room = lookup(record, "channelIdentity.channelId") or record.get("chatId") or ""
    files = [
        str(item.get("name") or item.get("contentType") or "attachment") for item in record.get("attachments") or []
    ]
    empty = "(deleted)" if deleted else ", ".join(files) or _happened(record) or "(no text)"
    attributes = {
        "channel": room,
        "team": lookup(record, "channelIdentity.teamId"),
        "reply_to": record.get("replyToId"),
        "edited": record.get("lastEditedDateTime"),
        "modified": record.get("lastModifiedDateTime"),
        "deleted": deleted,
        "importance": record.get("importance") if record.get("importance") != "normal" else None,
        "type": record.get("messageType") if record.get("messageType") != "message" else None,
        "reactions": [str(item.get("displayName") or item["reactionType"]) for item in record.get("reactions") or []],
        "attachments": files,
        "url": record.get("webUrl"),
    }
    native, written = f"{room}:{record['id']}", "\n".join(filter(None, (subject, text))) or empty
    happened = [(native, record["createdDateTime"], written)]
    if record.get("lastEditedDateTime"):
        edited = record["lastEditedDateTime"]
        happened.append((f"{native}:edited:{edited}", edited, f"(edited) {written}"))
    if deleted:
        happened.append((f"{native}:deleted", deleted, "(message deleted)"))
    return [
        event(
            place,
            record,
            native_id=native_id,
            time=times.moment(time, zone_name=zone),
            system="",
            kind="chat",
            message=message,
            actor=_actor(record.get("from")),
            ref=str(record["id"]),
            attributes={key: value for key, value in attributes.items() if value not in (None, "", [], {})},
        )
        for native_id, time, message in happened
    ]


def _actor(sender: Any) -> str:
    for kind in ("user", "application", "device"):
        who = sender.get(kind) if isinstance(sender, dict) else None
        if isinstance(who, dict):
            return str(who.get("displayName") or who.get("id") or "")
    return ""


def _happened(record: dict[str, Any]) -> str:
    """Return what the system did, where a message tells that: ``members added``."""
    kind = str(lookup(record, "eventDetail.@odata.type") or "").rpartition(".")[2].removesuffix("EventMessageDetail")
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind).strip()


def recognise(head: Head) -> bool:
    """Return whether the first record is a ``chatMessage`` of Microsoft Graph."""
    content = head.document
    if isinstance(content, dict) and isinstance(content.get("value"), list):
        content = content["value"]
    first = content[0] if isinstance(content, list) and content else content
    if not isinstance(first, dict) or not {"id", "createdDateTime", "body"} <= set(first):
        return False
    return isinstance(first["body"], dict) and "contentType" in first["body"] and "from" in first


FORMAT = Format(
    name="teams",
    title="Microsoft Teams messages as Microsoft Graph lists them",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="The list keeps the last text of an edited message only.",
)

"""Slack: a workspace export (zip), or one day of one channel (a JSON list of messages).

The archive holds ``users.json``, ``channels.json`` (and ``groups``, ``dms``, ``mpims``), ``integration_logs.json``
and ``CHANNEL/YYYY-MM-DD.json``; it may lie in a folder of its own.

==========  ==========================================================================================
column      field
==========  ==========================================================================================
time        ``ts``: seconds since 1970 as text, read digit by digit, since it is the message's id too
actor       ``user`` by ``users.json`` (real name, else display name, else handle); else the bot's name
message     ``text``; else that of its attachments, blocks or files; ids in it replaced by names
ref         ``ts``
attributes  channel, subtype, thread, edit, reactions, files; ``text`` as written where names were put in
==========  ==========================================================================================

Traps: bots write in ``attachments`` and leave ``text`` empty; a folder is called after its channel, which may be
renamed, so the id of a message goes by the channel's id where known; an edit overwrites the message and leaves only
``edited.ts``: the edit is an event of its own, and where an earlier export has the message as it was first, that is
kept; a deleted message may stay as a ``tombstone`` without its text. A day alone does not know its channel
nor its users. Changes to integrations become events of kind ``config_change``.

Tested against real recorded data (one workspace) and the documented format.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from rca import times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources import documents
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.sources.rows import lookup

__all__ = ["FORMAT", "read", "recognise"]

_DAY = re.compile(r"(?:.*/)?\d{4}-\d{2}-\d{2}\.json")
_TS = re.compile(r"\d{9,11}\.\d{6}", re.ASCII)
_MARK = re.compile(r"<([^<>\n]*)>")
_CHANNELS = ("channels.json", "groups.json", "dms.json", "mpims.json")
_LOGS = "integration_logs.json"


@dataclass
class _Names:
    """What ids of a workspace stand for."""

    users: dict[str, str] = field(default_factory=dict)
    channels: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)  # folder -> id of the channel


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield an event a message and one its last edit, in the order of the archive.

    Parameters
    ----------
    path : Path
        A zip archive, or a JSON list of messages.
    source : Source
        Its entry in ``incident.yaml``; times name their zone.

    Yields
    ------
    Item or Reject
        Kind ``chat``, and ``config_change`` for integrations.

    Raises
    ------
    InputError
        If it is neither, or the archive holds no channel.
    """
    if not zipfile.is_zipfile(path) and path.suffix.lower() != ".zip":
        records = ((number, f"item {number}", record) for number, _, record in documents.objects(path, "messages"))
        yield from each(records, lambda place, record: _message(place, record, "", _Names()))
        return
    names, top = _names(path)
    days = position = 0
    for name, data in documents.members(path):
        inner = PurePosixPath(name)
        log = name == f"{top}{_LOGS}"
        if not log and not (name.startswith(top) and _DAY.fullmatch(name[len(top) :])):
            continue
        days += 1
        folder = "" if log else inner.parent.relative_to(top or ".").as_posix()
        listed = list(_items(name[len(top) :], data, position))
        position += len(listed)
        yield from each(listed, partial(_one, folder=folder, names=names, log=log))
    if not days:
        raise InputError(f"{path.name}: no CHANNEL/YYYY-MM-DD.json in the archive; is it a Slack export?")


def _one(place: tuple[int, str], record: dict[str, Any], *, folder: str, names: _Names, log: bool) -> list[Item]:
    return [_integration(place, record, names)] if log else _message(place, record, folder, names)


def _names(path: Path) -> tuple[_Names, str]:
    """Return the names in the archive, and the folder in it that the export lies in (``""`` or ``name/``)."""
    names, tops = _Names(), set()
    for name, data in documents.members(path):
        inner = PurePosixPath(name)
        if inner.name not in (*_CHANNELS, "users.json") or len(inner.parts) > 2 or "__MACOSX" in inner.parts:
            continue
        tops.add(name.removesuffix(inner.name))
        for _, _, record in _items(name, data, 0):
            if isinstance(record, Reject) or not isinstance(record.get("id"), str):
                continue
            if inner.name == "users.json":
                names.users[record["id"]] = _person(record)
            else:
                called = str(record.get("name") or record["id"])
                names.channels[record["id"]] = called
                names.ids[called] = record["id"]
    return names, min(tops, key=len, default="")


def _items(name: str, data: bytes, before: int) -> Iterator[documents.Record]:
    """Yield the records of one member; a member that cannot be read is one reject."""
    place = before + 1, f"{name} item 1"
    try:
        content = documents.json_text(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        yield *place, Reject(*place, f"{name}: not UTF-8 text (byte {error.start})")
        return
    except InputError as error:
        yield *place, Reject(*place, f"{name}: {error}")
        return
    if not isinstance(content, list):
        yield *place, Reject(*place, f"{name}: expected a list, found {shorten(content, 40)}")
        return
    for number, record in enumerate(content, start=1):
        place = before + number, f"{name} item {number}"
        if isinstance(record, dict):
            yield *place, record
        else:
            yield *place, Reject(*place, f"expected an object, found {shorten(record, 40)}")


def _message(place: tuple[int, str], record: dict[str, Any], folder: str, names: _Names) -> list[Item]:
    stamp = record.get("ts")
    if not isinstance(stamp, str) or not _TS.fullmatch(stamp):
        raise InputError(f"ts is {shorten(stamp, 40)}, not text such as '1763464800.000200'")
    inner = record["message"] if record.get("subtype") == "message_changed" else record
    written = _text(inner)
    text = _readable(written, names).strip()
    edited = lookup(inner, "edited.ts")
    channel = names.ids.get(folder, folder)
    if record.get("subtype") == "message_deleted":
        text = text or f"(message {record.get('deleted_ts', '')} deleted)"
    attributes = {
        "channel": folder,
        "subtype": record.get("subtype"),
        "thread_ts": record.get("thread_ts") if record.get("thread_ts") != stamp else None,
        "replies": record.get("reply_count"),
        "edited": edited,
        "edited_by": names.users.get(str(lookup(inner, "edited.user")), lookup(inner, "edited.user")),
        "deleted_ts": record.get("deleted_ts"),
        "deleted": True if record.get("subtype") == "tombstone" else None,
        "latest_reply": record.get("latest_reply"),
        "reactions": {
            item["name"]: item.get("count", len(item.get("users", []))) for item in inner.get("reactions", [])
        },
        "files": [_file(item) for item in _files(inner)],
        "bot_id": record.get("bot_id"),
        "text": written if written.strip() != text else None,
    }
    native = ":".join(filter(None, (channel, stamp)))
    happened = [(native, stamp, text or "(no text)", _actor(inner, names))]
    if isinstance(edited, str) and _TS.fullmatch(edited) and inner is record:
        who = str(attributes["edited_by"] or "")
        happened.append((f"{native}:{edited}", edited, f"(edited) {text or '(no text)'}", who))
    return [
        event(
            place,
            record,
            native_id=native_id,
            time=times.moment(time, form="epoch_s"),
            system="",
            kind="chat",
            message=message,
            actor=actor,
            ref=stamp,
            attributes={key: value for key, value in attributes.items() if value not in (None, "", [], {})},
        )
        for native_id, time, message, actor in happened
    ]


def _integration(place: tuple[int, str], record: dict[str, Any], names: _Names) -> Item:
    """Return an entry of the log of integrations; they have no id of their own."""
    what = record.get("service_type") or record.get("app_type") or "integration"
    user = str(record.get("user_id", ""))
    attributes = {
        "channel": names.channels.get(str(record.get("channel", "")), record.get("channel")),
        "change": record.get("change_type"),
        "scope": record.get("scope"),
        "reason": record.get("reason"),
    }
    return event(
        place,
        record,
        time=times.moment(record["date"], form="epoch_s"),
        system="",
        kind="config_change",
        message=f"Slack integration {what} {record.get('change_type', 'changed')}",
        actor=names.users.get(user) or str(record.get("user_name") or user),
        ref=str(record.get("service_id") or record.get("app_id") or ""),
        attributes={key: value for key, value in attributes.items() if value not in (None, "")},
    )


def _person(user: Mapping[str, Any]) -> str:
    """Return the name of a user: real, else displayed, else the handle, else the id."""
    fields = ("real_name", "profile.real_name", "display_name", "profile.display_name", "name", "id")
    return next((str(lookup(dict(user), name)) for name in fields if lookup(dict(user), name)), "")


def _actor(record: dict[str, Any], names: _Names) -> str:
    user = record.get("user") or lookup(record, "comment.user")
    if isinstance(user, str) and user in names.users:
        return names.users[user]
    profile = record.get("user_profile")
    if isinstance(profile, dict) and _person(profile):
        return _person(profile)
    bot = lookup(record, "bot_profile.name")
    return str(user or record.get("username") or bot or record.get("bot_id") or "")


def _files(record: dict[str, Any]) -> list[dict[str, Any]]:
    found = record.get("files") or ([record["file"]] if record.get("file") else [])
    return [item for item in found if isinstance(item, dict)]


def _file(item: Mapping[str, Any]) -> str:
    return str(item.get("name") or item.get("title") or item.get("id") or "file")


def _text(record: dict[str, Any]) -> str:
    """Return what a message says, wherever it says it."""
    if record.get("text"):
        return str(record["text"])
    parts = [_attachment(item) for item in record.get("attachments") or []]
    parts += [_block(item) for item in record.get("blocks") or []] if not any(parts) else []
    parts += [_file(item) for item in _files(record)] if not any(parts) else []
    return "\n".join(filter(None, parts))


def _attachment(item: Mapping[str, Any]) -> str:
    rows = [f"{row.get('title', '')}: {row.get('value', '')}" for row in item.get("fields") or []]
    blocks = [_block(block) for block in item.get("blocks") or []]
    parts = [str(item.get(name) or "") for name in ("pretext", "title", "text")]
    return "\n".join(filter(None, [*parts, *rows, *blocks])) or str(item.get("fallback") or "")


def _block(item: Any) -> str:
    """Return the text of a block and of what is nested in it."""
    if isinstance(item, list):
        return "\n".join(filter(None, map(_block, item)))
    if not isinstance(item, dict):
        return str(item or "")
    ids = {"user": "<@{user_id}>", "channel": "<#{channel_id}>", "broadcast": "<!{range}>", "emoji": ":{name}:"}
    kind = item.get("type")
    if kind in ids:
        return ids[kind].format_map({name: item.get(name, "") for name in ("user_id", "channel_id", "range", "name")})
    if kind == "link":
        return str(item.get("text") or item.get("url") or "")
    if item.get("text"):
        return _block(item["text"])
    inner = [_block(part) for name in ("elements", "fields") for part in item.get(name) or []]
    return ("" if str(kind).startswith("rich_text_section") else "\n").join(filter(None, inner))


def _readable(text: str, names: _Names) -> str:
    """Return a text with ids replaced by names, and Slack's three escapes undone."""

    def mark(match: re.Match[str]) -> str:
        target, _, label = match[1].partition("|")
        if target.startswith("@"):
            return f"@{names.users.get(target[1:]) or label or target[1:]}"
        if target.startswith("#"):
            return f"#{label or names.channels.get(target[1:]) or target[1:]}"
        if target.startswith("!"):
            return label or f"@{target[1:].partition('^')[0]}"
        return f"{label} ({target})" if label and label != target else target

    return _MARK.sub(mark, text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def recognise(head: Head) -> bool:
    """Return whether the archive has channels' days beside ``users.json``, or the list's items are Slack messages."""
    if head.names:
        members = {PurePosixPath(name).name for name in head.names}
        return bool(members.intersection((*_CHANNELS, "users.json"))) and any(map(_DAY.fullmatch, head.names))
    content = head.document
    if isinstance(content, dict) and isinstance(content.get("messages"), list):
        content = content["messages"]
    first = content[0] if isinstance(content, list) and content else content
    if not isinstance(first, dict):
        return False
    return first.get("type") == "message" and isinstance(first.get("ts"), str) and bool(_TS.fullmatch(first["ts"]))


FORMAT = Format(
    name="slack",
    title="Slack workspace export (zip), or one channel's day",
    tested="real data",
    read=read,
    recognise=recognise,
    notes="An export keeps the last text of an edited message only, and not who read what.",
)

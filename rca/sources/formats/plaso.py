"""Plaso: super timelines as ``psort`` writes them: json_line, json, dynamic, l2tcsv, tln and l2ttln.

==========  ================================================================================================
column      field
==========  ================================================================================================
time        ``timestamp`` (microseconds since 1970); ``date_time`` where that is finer
system      ``hostname`` or ``computer_name``; ``host``
kind        log
message     ``message``, else ``body``; ``desc``; ``Description``
actor       ``username``; ``user``
attributes  all other fields that are not empty: data_type, parser, display_name, timestamp_desc ...
==========  ================================================================================================

Traps: one record of a log or file stands once for each of its times (``timestamp_desc``); a timestamp of 0 with a
``date_time`` that says "Not set" is undated; times of a source without a zone were made UTC by plaso, by the zone it
was told or by none: where ``date_time`` says so (``is_local_time``), the zone is given as assumed; l2tcsv writes whole
seconds in the zone of its column ``timezone``; dynamic, l2tcsv and tln are not quoted: plaso puts spaces in place of
their separators.

Tested against real recorded data.
"""

from __future__ import annotations

import csv
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

_L2T = "date,time,timezone,MACB,source,sourcetype,type,user,host,short,desc,version,filename,inode,notes,format,extra"
_TLN = "Time|Source|Host|User|Description"
_EMPTY: tuple[Any, ...] = (None, "", "-", [], {})
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})")
# Finer than a microsecond: class of date_time -> (key, units a second, seconds from its epoch to 1970).
_FINE = {
    "Filetime": ("timestamp", 10**7, 11_644_473_600),
    "PosixTimeInNanoseconds": ("timestamp", 10**9, 0),
    "APFSTime": ("timestamp", 10**9, 0),
}


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield an event a record, in the order of the file.

    Parameters
    ----------
    path : Path
        Any of psort's text outputs.
    source : Source
        Its entry in ``incident.yaml``; its zone is for l2tcsv rows whose own is not known.

    Yields
    ------
    Item or Reject
        Kind ``log``.

    Raises
    ------
    InputError
        If its first line is none of these outputs.
    """
    first = next(documents.lines(path), (0, "", ""))[2]
    head = first if isinstance(first, str) else ""
    if head.lstrip().startswith("{"):
        yield from each(_objects(path, head), lambda place, record: [_event(place, record)])
        return
    if not head.strip():
        return
    columns = head.split("|") if head.startswith(_TLN) else head.split(",")
    if head.startswith(_TLN):
        yield from each(_rows(path, columns, "|"), lambda place, record: [_tln(place, record)])
    elif head.startswith(_L2T):
        zone = source.time.zone
        yield from each(_rows(path, columns, ","), lambda place, record: [_l2t(place, record, zone)])
    elif {"datetime", "timestamp_desc", "message"} <= set(columns):
        yield from each(_rows(path, columns, ","), lambda place, record: [_dynamic(place, record)])
    else:
        raise InputError(f"{path.name}: not an output of psort: begins with {shorten(head, 60)}")


def _objects(path: Path, first: str) -> Iterator[documents.Record]:
    """Yield the records of json_line, or of json (one object ``{"event_0": {...}, ...}``)."""
    try:
        line = documents.json_text(first)
    except InputError:
        line = None
    if isinstance(line, dict) and "event_0" not in line:
        yield from documents.json_lines(path)
        return
    content = documents.document(path)
    if not isinstance(content, dict):
        raise InputError(f"{path.name}: expected an object, found {shorten(content, 40)}")
    for number, (name, record) in enumerate(content.items(), start=1):
        place = number, f"/{name}"
        if not isinstance(record, dict):
            record = Reject(*place, f"expected an object, found {shorten(record, 40)}")
        yield *place, record


def _rows(path: Path, columns: list[str], mark: str) -> Iterator[documents.Record]:
    """Yield the lines below the header; what other tools wrote may be quoted, plaso itself does not."""
    for number, _, text in documents.lines(path):
        if number == 1:
            continue
        place = number - 1, f"row {number - 1}"
        if isinstance(text, Reject):
            yield *place, text._replace(position=place[0], locator=place[1])
            continue
        values = text.split(mark)
        if len(values) != len(columns) and '"' in text and mark == ",":
            values = next(csv.reader([text]))
        if len(values) == len(columns):
            yield *place, dict(zip(columns, values, strict=True))
        else:
            yield *place, Reject(*place, f"{len(values)} values under {len(columns)} column names")


def _event(place: tuple[int, str], record: dict[str, Any]) -> Item:
    used = {
        "__container_type__",
        "__type__",
        "timestamp",
        "message",
        "hostname",
        "computer_name",
        "username",
        "pathspec",
    }
    message = record.get("message") or record.get("body") or record.get("timestamp_desc")
    return _made(
        place,
        record,
        time=_time(record),
        system=record.get("hostname") or record.get("computer_name"),
        message=message,
        actor=record.get("username"),
        attributes={name: value for name, value in record.items() if name not in used},
    )


def _made(place: tuple[int, str], record: dict[str, Any], **fields: Any) -> Item:
    texts = {name: "" if fields[name] in _EMPTY else str(fields[name]) for name in ("system", "actor", "message")}
    attributes = {name: value for name, value in fields["attributes"].items() if value not in _EMPTY}
    message = texts.pop("message").strip() or "(no text)"
    return event(place, record, time=fields["time"], kind="log", message=message, attributes=attributes, **texts)


def _time(record: dict[str, Any]) -> Moment:
    """Return ``timestamp`` exactly, or ``date_time`` where it is finer and says the same."""
    stamp, detail = record.get("timestamp"), record.get("date_time")
    detail = detail if isinstance(detail, dict) else {}
    kind = str(detail.get("__class_name__", ""))
    if "timestamp" not in record:
        raise InputError("no timestamp")
    if stamp is None or kind in ("NotSet", "Never") or (stamp == 0 and kind in ("SemanticTime", "InvalidTime")):
        return Moment(None, str(detail.get("string") or kind), "")
    if not isinstance(stamp, int) or isinstance(stamp, bool):
        raise InputError(f"timestamp {shorten(stamp, 40)} is not a whole number of microseconds")
    ns = stamp * 1000
    if not -(2**63) < ns < 2**63 - 1000:
        raise InputError(f"timestamp {stamp} is out of range: times lie in the years 1678 to 2261")
    fine = _fine(kind, detail)
    basis = "assumed" if detail.get("is_local_time") else "explicit"
    return Moment(fine if fine is not None and 0 <= fine - ns < 1000 else ns, str(stamp), basis)


def _fine(kind: str, detail: dict[str, Any]) -> int | None:
    key, units, epoch = _FINE.get(kind, ("", 1, 0))
    count = detail.get(key)
    return count * (10**9 // units) - epoch * 10**9 if isinstance(count, int) else None


def _dynamic(place: tuple[int, str], record: dict[str, Any]) -> Item:
    text = record["datetime"]
    undated = text.startswith("0000-00-00") or not text[:1].isdigit()  # "Not set", "-"
    return _made(
        place,
        record,
        time=Moment(None, text, "") if undated else times.moment(text),
        system=record.get("hostname") or record.get("host"),
        message=record["message"],
        actor=record.get("username") or record.get("user"),
        attributes={name: value for name, value in record.items() if name not in ("datetime", "message")},
    )


def _l2t(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> Item:
    if record["date"] == "00/00/0000":
        time = Moment(None, f"{record['date']} {record['time']}", "")
    else:
        local = f"{record['date']} {record['time']}"
        time = times.moment(local, form="%m/%d/%Y %H:%M:%S", zone_name=record["timezone"] or zone)
        time = time._replace(
            text=f"{local} {record['timezone']}", basis="explicit" if record["timezone"] else time.basis
        )
    used = ("date", "time", "timezone", "desc", "short", "user", "host", "version")
    return _made(
        place,
        record,
        time=time,
        system=record["host"],
        message=record["desc"],
        actor=record["user"],
        attributes={name: value for name, value in record.items() if name not in used},
    )


def _tln(place: tuple[int, str], record: dict[str, Any]) -> Item:
    """Return a row of tln: whole seconds, and the exact time at the beginning of the description."""
    told, _, rest = record["Description"].partition("; ")
    exact = bool(_ISO.fullmatch(told))
    time = times.moment(told if exact else record["Time"], form="iso8601" if exact else "epoch_s")
    if exact and (time.ns or 0) // 10**9 != int(record["Time"]):
        raise InputError(f"Time {shorten(record['Time'], 24)} and {told} in the description are not the same time")
    used = ("Time", "Host", "User", "Description", "TZ")
    return _made(
        place,
        record,
        time=time,
        system=record["Host"].replace(":", "") if record["Host"] == ":" else record["Host"],
        message=rest.partition("; ")[2] if exact and "; " in rest else record["Description"],
        actor=record["User"],
        attributes={"timestamp_desc": rest.partition("; ")[0] if exact else ""}
        | {name: value for name, value in record.items() if name not in used},
    )


def recognise(head: Head) -> bool:
    """Return whether it begins as one of psort's outputs does."""
    document = head.document
    if isinstance(document, dict):
        first = document.get("event_0", document)
        return isinstance(first, dict) and lookup(first, "__container_type__") == "event" and "timestamp" in first
    text = head.text.removeprefix("\ufeff")
    if text.startswith(('{"__container_type__": "event"', '{"event_0": {')):
        return True
    if text.startswith((_L2T, f"{_TLN}\n", f"{_TLN}|TZ|Notes", f"{_TLN}\r")):
        return True
    names = set(head.names)
    return {"datetime", "timestamp_desc", "message", "parser", "display_name"} <= names and "timestamp" not in names


FORMAT = Format(
    name="plaso",
    title="Plaso super timelines (psort json_line, json, dynamic, l2tcsv, tln)",
    tested="real data",
    read=read,
    recognise=recognise,
    notes="Times that had no zone were made UTC by plaso; where it says so, the zone is assumed.",
)

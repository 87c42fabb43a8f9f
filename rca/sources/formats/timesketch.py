"""Timesketch: timelines in CSV and JSON lines, Timesketch's own and those that `rca.sources.interchange` wrote.

==========  ================================================================================================
column      field
==========  ================================================================================================
time        ``datetime`` (ISO 8601) and ``timestamp`` (microseconds since 1970), which must agree
system      ``computer_name``, else ``hostname``, ``host``
kind        log
severity    ``severity`` or ``level``, where it is a word
message     ``message``
actor       ``username``, else ``user``
attributes  ``timestamp_desc`` and all other columns that are not empty
==========  ================================================================================================

Traps: the two times are columns like others and nobody checks them: a record in which they differ is rejected, unless
the source declares which one holds, by ``time: {format: iso8601}`` (``datetime``) or ``time: {format: epoch_us}``
(``timestamp``). Timesketch itself goes by ``datetime``. One without a zone is read by ``timestamp`` where that differs
from it by a whole zone offset; alone, it needs a declared zone. A ``datetime`` of digits only is a timestamp. One event
stands once for each of its times (``timestamp_desc``). Columns that begin with ``rca_`` are read back to what they
were. An ``rca_event_id`` of sixteen hexadecimal digits is the event's id again, so that annotations fit; what else it
was known by before (source, position, locator, hash of the record) stands in the attribute ``exported``.

Tested against real recorded data, and against what `rca.sources.interchange` writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from rca import times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources import batches, documents
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.times import Moment

__all__ = ["FORMAT", "csv_rows", "read", "recognise"]

NEEDED = frozenset({"message", "datetime", "timestamp_desc"})
_FRACTION = re.compile(r":\d{2}[.,](\d{1,9})")
_EXACT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{9}\+00:00", re.ASCII)
_QUARTER = 15 * 60 * 10**9  # zone offsets are whole quarters of an hour, at most 14 hours
_FARTHEST = 14 * 4
_OWN_TIMES = ("time_end", "time_earliest", "time_latest")
_OWN_TEXTS = ("system", "kind", "severity", "actor", "ref", "trace_id")
_OWN_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_OFFSETS = 2**62  # nanoseconds: no clock is 146 years off
_OWN_PAST = ("event_id", "source", "position", "locator", "raw_sha256", "offset", "offset_method")


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield an event a row or line.

    Parameters
    ----------
    path : Path
        CSV with a header, or JSON lines (or a JSON list).
    source : Source
        Its entry in ``incident.yaml``.

    Yields
    ------
    Item or Reject
        Kind ``log``, or what the export of rca says.
    """
    first = next(documents.lines(path), (0, "", ""))[2]
    plain = isinstance(first, Reject) or not first.lstrip().startswith(("{", "["))
    records = csv_rows(path, source) if plain else _lines(path, first)
    yield from each(records, lambda place, record: [_event(place, record, source)])


def _lines(path: Path, first: str) -> Iterator[documents.Record]:
    """Yield records of JSON lines as they come; of one document, all."""
    if first.lstrip().startswith("{") and first.rstrip().endswith("}"):
        yield from documents.json_lines(path)
    else:
        yield from documents.objects(path)


def csv_rows(path: Path, source: Source) -> Iterator[documents.Record]:
    """Yield the rows of a CSV file as records of text, in bounded memory; a ragged row is a reject.

    Parameters
    ----------
    path : Path
        UTF-8 with one header row.
    source : Source
        Its entry in ``incident.yaml``: ``delimiter``.

    Yields
    ------
    tuple
        Number from 1, ``row N``, and the record or a `Reject`.
    """
    for batch in batches.read_csv(path, source):
        pairs = zip(batch.positions.tolist(), batch.texts.to_pylist(), strict=True)
        rows: list[documents.Record] = [(number, f"row {number}", json.loads(text)) for number, text in pairs]
        rows += [(item.position, item.locator, item) for item in batch.rejects]
        yield from sorted(rows, key=lambda row: row[0])


def _event(place: tuple[int, str], record: dict[str, Any], source: Source) -> Item:
    if record.get("rca_event_id"):
        return _own(place, _unquoted(record), record)
    missing = [name for name in ("message", "timestamp_desc") if name not in record]
    missing += [] if {"datetime", "timestamp"} & set(record) else ["datetime"]
    if missing:
        raise InputError(f"no {missing[0]}; Timesketch needs message, datetime and timestamp_desc")
    used = {"message", "datetime", "timestamp", "__ts_timeline_id"}
    level = next((str(record[name]) for name in ("severity", "level") if record.get(name)), "")
    return event(
        place,
        record,
        time=_time(record, source),
        system=_first(record, "computer_name", "hostname", "host"),
        kind="log",
        severity="" if level.isdigit() else level,
        message=str(record["message"]).strip() or "(no text)",
        actor=_first(record, "username", "user"),
        attributes={
            name: value
            for name, value in record.items()
            if name not in used and value not in (None, "", "-", [], {}, "[]")
        },
    )


def _first(record: dict[str, Any], *names: str) -> str:
    return next((str(record[name]) for name in names if record.get(name) not in (None, "", "-")), "")


def _time(record: dict[str, Any], source: Source) -> Moment:
    """Return the one time that ``datetime`` and ``timestamp`` tell, or raise."""
    written = str(record["datetime"] if record.get("datetime") is not None else "").strip()
    stamp = record.get("timestamp")
    chosen = source.time.format if "format" in source.time.model_fields_set else ""
    if re.fullmatch(r"\d{16}", written):
        return times.moment(written, form="epoch_us")
    if chosen == "epoch_us":
        return times.moment(stamp, form="epoch_us")
    if chosen or stamp in (None, ""):
        return times.moment(written, form=chosen or "iso8601", zone_name=source.time.zone)
    counted = Moment(_nanoseconds(stamp), str(stamp), "explicit")
    if not written:
        return times.moment(stamp, form="epoch_us")
    named = times.zone_basis(written, "iso8601") == "explicit"
    told = times.moment(written, zone_name=source.time.zone or "UTC")
    digits = len(match[1]) if (match := _FRACTION.search(written)) else 0
    apart = (told.ns or 0) - (counted.ns or 0)
    if abs(apart) < 10 ** (9 - min(digits, 6)):
        basis = told.basis if named or source.time.zone else "explicit"
        return Moment((told if digits > 6 else counted).ns, written, basis)
    if not named and not source.time.zone and apart % _QUARTER == 0 and abs(apart) <= _FARTHEST * _QUARTER:
        return counted
    raise InputError(
        f"datetime {shorten(written, 40)} and timestamp {shorten(stamp, 24)} are not the same time; if one of them"
        " holds for the whole file, declare it (time: {format: iso8601} for datetime, {format: epoch_us} for timestamp)"
    )


def _nanoseconds(stamp: Any) -> int:
    """Return a count of microseconds as nanoseconds, whatever its size; it is only compared."""
    text = str(int(stamp) if isinstance(stamp, float) and stamp.is_integer() else stamp)
    if not re.fullmatch(r"-?\d{1,20}(\.0*)?", text, re.ASCII):
        raise InputError(f"timestamp {shorten(text, 24)} is not a count of microseconds")
    return int(text.partition(".")[0]) * 1000


def _unquoted(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record of rca's own export without the apostrophes that keep a spreadsheet from computing it."""
    quoted = str(record.get("rca_quoted") or "").split()
    return {
        name: value[1:] if name in quoted and isinstance(value, str) and value.startswith("'") else value
        for name, value in record.items()
    }


def _own(place: tuple[int, str], record: dict[str, Any], raw: dict[str, Any]) -> Item:
    """Return an event that rca exported."""
    ns = _exact(record.get("rca_time"))
    if ns is not None and record.get("timestamp") not in (None, ""):
        if _nanoseconds(record["timestamp"]) != ns // 1000 * 1000:
            raise InputError(f"rca_time {record['rca_time']} and timestamp {record['timestamp']} are not the same time")
    elif ns is None and record.get("datetime") not in (None, ""):
        raise InputError("datetime is given for an event that was exported without a time")
    time = Moment(ns, str(record.get("rca_time_text") or ""), str(record.get("rca_zone_basis") or ""))
    fields: dict[str, Any] = {name: str(record.get(f"rca_{name}") or "") for name in _OWN_TEXTS}
    if _OWN_ID.fullmatch(str(record["rca_event_id"])):
        fields |= {"event_id": str(record["rca_event_id"]), **_offset(record)}
    fields["severity"] = fields["severity"].removesuffix(".0")  # as pandas writes a whole number beside empty ones
    for name in _OWN_TIMES:
        text = str(record.get(f"rca_{name}") or "")
        fields[name] = Moment(_exact(text), text, "explicit" if text else "")
    return event(
        place,
        raw,
        native_id=str(record["rca_event_id"]),
        time=time,
        message=str(record["message"]),
        attributes=_attributes(record),
        count=_count(record.get("rca_count")),
        **fields,
    )


def _attributes(record: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes as they were, and in ``exported`` what the event was known by when it was read first."""
    told = str(record.get("rca_attributes") or "")
    attributes: dict[str, Any] = documents.json_text(told) if told else {}
    past = {name: str(record[f"rca_{name}"]) for name in _OWN_PAST if record.get(f"rca_{name}") not in (None, "")}
    before = attributes.get("exported")
    if isinstance(before, dict) and before.get("event_id") == past["event_id"]:
        return attributes  # exported before, and read back since
    return attributes | {"exported": past if before is None else past | {"exported": before}}


def _offset(record: dict[str, Any]) -> dict[str, Any]:
    """Return what was taken off the clock of the event's source, in nanoseconds, and how that is known."""
    method = str(record.get("rca_offset_method") or "")
    text = str(record.get("rca_offset") or 0).removesuffix(".0")
    if not re.fullmatch(r"-?\d{1,19}", text, re.ASCII) or abs(int(text)) > _OFFSETS:
        raise InputError(f"rca_offset {shorten(text, 24)} is not a number of nanoseconds")
    return {"offset": int(text), "offset_method": method} if method else {}


def _count(written: Any) -> int:
    text = str(written or 1).removesuffix(".0")
    if not re.fullmatch(r"[1-9]\d{0,17}", text, re.ASCII):
        raise InputError(f"rca_count {shorten(text, 24)} is not a count of records")
    return int(text)


def _exact(written: Any) -> int | None:
    """Return nanoseconds of a time that rca wrote; it may be one that no other export would mean."""
    if written in (None, ""):
        return None
    if not _EXACT.fullmatch(str(written)):
        raise InputError(f"time {shorten(written, 40)} is not as rca writes it")
    return int(pd.Timestamp(str(written)).as_unit("ns").value)


def recognise(head: Head) -> bool:
    """Return whether a CSV header or the first object has Timesketch's three fields, and is not plaso's own output."""
    if head.names:
        names = set(head.names)
        return names >= NEEDED and ("timestamp" in names or not {"parser", "display_name"} <= names)
    content = head.document
    first = content[0] if isinstance(content, list) and content else content
    if not isinstance(first, dict) or "__container_type__" in first:
        return False
    return {"message", "timestamp_desc"} <= set(first) and bool({"datetime", "timestamp"} & set(first))


FORMAT = Format(
    name="timesketch",
    title="Timesketch timelines, CSV and JSON lines",
    tested="real data",
    read=read,
    recognise=recognise,
    notes="One event stands once for each of its times; which one is in timestamp_desc.",
)

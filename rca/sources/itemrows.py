"""Items of formats to rows of the stored tables; what ``incident.yaml`` says about a source has the last word."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from rca import schema, times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources.batches import object_text
from rca.sources.items import Item, Reject, canonical
from rca.sources.mapping import MAPPABLE
from rca.sources.rows import Tally, lookup, source_mask
from rca.sources.spans import duration
from rca.sources.stored import arrow_schema, stored_name
from rca.times import UTC, Moment

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["from_items"]

_BEGIN = slice(0, 8)
# Table -> its times with their stored names, its texts, and the texts that may not be empty.
_COLUMNS = {
    table: (
        [(name, stored_name(name, kind)) for name, kind in columns.items() if kind == UTC],
        [name for name in MAPPABLE[table] if columns[name] == schema.TEXT],
        [name for name in schema.REQUIRED[table] if columns[name] == schema.TEXT and name not in ("message", "kind")],
    )
    for table, columns in schema.COLUMNS.items()
}


def from_items(
    items: Iterable[Item | Reject], source: Source, file: str, tally: Tally
) -> dict[str, tuple[pa.Table, list[str]]]:
    """Return the rows of some items by table, in the stored form, and their places.

    Parameters
    ----------
    items : iterable of Item or Reject
        What a format yields, a few thousand at a time.
    source : Source
        Its entry in ``incident.yaml``: ``constant``, ``values`` and ``columns`` (fields of the raw record) replace
        what the format found.
    file : str
        Name of the file, for locators.
    tally : Tally
        Counts, in place.
    """
    import pyarrow as pa

    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    places: dict[str, list[str]] = defaultdict(list)
    mask = int(source_mask(source.id))
    for item in items:
        tally.rows += 1
        if not item.locator.isprintable():
            item = item._replace(locator=shorten(item.locator, 200))
        if isinstance(item, Reject):
            tally.reject([item], broken=True)
            continue
        try:
            rows[item.table].append(_row(item, source, file, mask, tally))
            places[item.table].append(item.locator)
        except InputError as error:
            tally.reject([Reject(item.position, item.locator, str(error))])
    return {
        table: (pa.Table.from_pylist(found, schema=arrow_schema(table)), places[table]) for table, found in rows.items()
    }


def _row(item: Item, source: Source, file: str, mask: int, tally: Tally) -> dict[str, Any]:
    fields, other = dict(item.fields), dict(item.other or {})
    if source.columns or source.constant or source.values:
        _override(fields, other, item, source, tally)
    if other:
        _between(fields, other, item.table, tally)
    moments, texts, required = _COLUMNS[item.table]
    row: dict[str, Any] = {"source": source.id, "count": 1}
    for name, stored in moments:
        moment = fields.get(name)
        row[stored] = moment.ns if moment is not None else None
    for name in texts:
        row[name] = _text(fields[name]).strip() if name in fields else ""
    for name in required:
        if not row[name]:
            raise InputError(f"{name!r} is empty")
    if item.table == "events":
        _event(row, fields, item, file, mask, tally)
    elif item.table == "metrics":
        row["value"] = _value(fields["value"], source.scale, tally)
    elif item.table == "spans":
        row["duration_ns"] = _duration(fields.get("duration"), source)
        tally.unended += row["duration_ns"] is None
    elif item.table == "dependencies":
        row |= {"basis": "table", "count": _count(fields)}
    return row


def _override(fields: dict[str, Any], other: dict[str, Any], item: Item, source: Source, tally: Tally) -> None:
    """Put what ``incident.yaml`` says in place of what the format found, where the table has such a column.

    `other` is what `fields` are with the second meaning of a time that clocks show twice.
    """
    allowed = MAPPABLE[item.table]
    for name, parts in source.columns.items():
        found = [lookup(item.raw, part) for part in parts]
        tally.present.update(part for part, value in zip(parts, found, strict=True) if value is not None)
        if name in allowed and any(value is not None for value in found):
            text = " ".join(filter(None, map(_text, found)))
            other.pop(name, None)
            fields[name] = text
            if schema.COLUMNS[item.table][name] == UTC:
                try:
                    fields[name] = times.moment(text, form=source.time.format, zone_name=source.time.zone)
                except times.RepeatedHour as error:
                    fields[name], other[name] = (Moment(ns, text, "declared") for ns in (error.first, error.second))
    fields |= {name: value for name, value in source.constant.items() if name in allowed}
    for name, words in source.values.items():
        if name in allowed and (text := _text(fields.get(name, ""))) in words:
            fields[name] = words[text]


def _between(fields: dict[str, Any], other: Mapping[str, Any], table: str, tally: Tally) -> None:
    """Keep the time of an event that clocks show twice as an interval, from the first to the second of its meanings.

    Where a row has no place for an interval, it is refused: a value of a metric, a span, the end of an event.
    """
    for name, _ in _COLUMNS[table][0]:
        one, two = fields.get(name), other.get(name)
        if one is None or two is None or one.ns == two.ns:
            continue
        if table != "events" or name == "time_end":
            both = " or ".join(times.show(pd.Timestamp(moment.ns, tz="UTC")) for moment in (one, two))
            raise InputError(f"{name}: {shorten(one.text)} is {both}: {times.TWICE}; write its offset")
        if name == "time_latest":
            fields[name] = two
        if name == "time":
            tally.repeated += 1
            fields[name] = Moment(None, one.text, one.basis)
            for end, moment in (("time_earliest", one), ("time_latest", two)):
                if end not in fields or fields[end].ns is None:
                    fields[end] = moment


def _event(row: dict[str, Any], fields: Mapping[str, Any], item: Item, file: str, mask: int, tally: Tally) -> None:
    moment = fields.get("time") or Moment(None, "", "")
    content = canonical(item.raw)
    if not isinstance(item.raw, str) and not content.isascii():
        content = content.decode("utf-8", "surrogatepass").encode("utf-8", "replace")
    digest = hashlib.sha256(content).digest()
    own = hashlib.sha256(f"id:{item.native_id}".encode("utf-8", "replace")).digest() if item.native_id else digest
    number = severity = fields.get("severity")
    if severity is not None and not isinstance(severity, int):
        number = schema.severity_number(_text(severity))
        if number is None and _text(severity).strip():
            tally.words.add(_text(severity).strip())
    attributes = fields.get("attributes") or {}
    tally.kinds.setdefault(row["kind"], f"{file} {item.locator}")
    tally.bases.add(moment.basis)
    row |= {
        "event_id": int(fields["event_id"], 16) if "event_id" in fields else int.from_bytes(own[_BEGIN], "big") ^ mask,
        "raw_sha256": digest,
        "time_text": _text(moment.text),
        "zone_basis": moment.basis,
        "offset_ns": fields.get("offset", 0),
        "offset_method": fields.get("offset_method", ""),
        "severity": number if number is None or 1 <= number <= 24 else None,
        "message": row["message"] or "(no text)",
        "attributes": object_text(attributes) if attributes else "",
        "position": item.position,
        "locator": f"{file} {item.locator}",
        "count": _count(fields),
    }


def _count(fields: Mapping[str, Any]) -> int:
    count = int(fields.get("count", 1))
    if not 1 <= count < 2**63:
        raise InputError(f"count {shorten(count, 40)} is not a number of records")
    return count


def _value(value: Any, scale: float, tally: Tally) -> float:
    """Return a metric's value as a number; infinite and missing ones are noted and missing."""
    try:
        number = float(value if value not in (None, "") else math.nan) * scale
    except (TypeError, ValueError) as error:
        raise InputError(f"value {shorten(value)} is not a number") from error
    tally.missing += math.isnan(number)
    tally.infinite += math.isinf(number)
    return number if math.isfinite(number) else math.nan


def _duration(value: Any, source: Source) -> int | None:
    """Return how long a span took: what the format found in nanoseconds, or a text in the unit of the source."""
    if not isinstance(value, str):
        return None if value is None or value < 0 else int(value)
    if source.duration is None:
        raise InputError("how long a span took needs its unit: say duration: {unit: ms}, or s, us, ns")
    return duration(value.strip(), source.duration.unit)


def _text(value: Any) -> str:
    """Return a field as text that can be written as UTF-8."""
    if type(value) is str and value.isascii():
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else object_text(value) if isinstance(value, dict) else str(value)
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

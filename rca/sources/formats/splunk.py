"""Splunk: results of a search, exported as JSON lines, as one JSON document (``results``), or as CSV with ``_time``.

Traps: the export endpoint sends provisional rows (``"preview": true``) and repeats them later; these are refused with
that reason. Results hold at most as many rows as the search was allowed. ``_time`` is a count of seconds or an ISO
time, with the offset of whoever exported; what names a zone by letters other than UTC is refused. Where Splunk found
no time in an event, ``_time`` is when it was indexed, which the export does not tell.

========== ===================================================================================================
column     field
========== ===================================================================================================
native id  _bkt and _cd (the event's place in the index), where both were exported
time       _time
system     service or app, else host
severity   log_level, level or severity
message    _raw, else message, else the visible fields
trace_id   trace_id, traceId ...
attributes all other fields whose name does not begin with ``_``
========== ===================================================================================================

Tested against the documented formats only.

References
----------
Splunk, REST API reference ("search/jobs/export", "results"); Search manual, "Export search results".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError
from rca.incident.model import Source
from rca.sources.batches import read_csv
from rca.sources.documents import lines, objects
from rca.sources.formats.jsonlog import LEVEL, MESSAGE, SYSTEM, TRACE, first, severity
from rca.sources.items import Format, Head, Item, Reject, each, event

__all__ = ["FORMAT", "read", "recognise"]

_SHOWN = 1000


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event a result.

    Parameters
    ----------
    path : Path
        JSON lines, a JSON document, or CSV.
    source : Source
        ``time.zone`` is needed where ``_time`` has no offset.

    Yields
    ------
    Item or Reject
        In the order of the file.
    """

    def make(place: tuple[int, str], record: dict[str, Any]) -> list[Item]:
        if record.get("preview") is True:
            raise InputError("a provisional row of a search that was not done (preview)")
        if "_time" not in record and "result" not in record and ("lastrow" in record or "messages" in record):
            return []  # the end of the stream, or words of the server
        return [_event(place, record.get("result", record), source)]

    start = next((text for _, _, text in lines(path) if isinstance(text, str)), "").lstrip()
    return each(objects(path, "results") if start[:1] in ("{", "[") else _rows(path, source), make)


def _rows(path: Path, source: Source) -> Iterator[tuple[int, str, Any]]:
    """Yield the rows of a CSV file; ``_raw`` may hold line ends."""
    for batch in read_csv(path, source):
        rows = [
            (int(position), json.loads(text))
            for position, text in zip(batch.positions, batch.texts.to_pylist(), strict=True)
        ]
        for position, record in sorted([*rows, *((reject.position, reject) for reject in batch.rejects)], key=_place):
            yield position, f"row {position}", record


def _place(row: tuple[int, Any]) -> int:
    return row[0]


def _event(place: tuple[int, str], record: dict[str, Any], source: Source) -> Item:
    flat = {name: value[0] if isinstance(value, list) and value else value for name, value in record.items()}
    if flat.get("_time") in (None, ""):
        raise InputError("no _time: keep it in the search, or map this export as a table")
    system = first(flat, SYSTEM)
    system = system if system[1] else first(flat, ("host",))
    level, trace = first(flat, LEVEL), first(flat, TRACE)
    number = severity(level[1], {})
    visible = {
        name: value for name, value in record.items() if not name.startswith("_") and value not in (None, "", [])
    }
    text = str(flat.get("_raw") or first(flat, MESSAGE)[1]).strip() or json.dumps(visible, ensure_ascii=False)[:_SHOWN]
    bucket, offset = flat.get("_bkt"), flat.get("_cd")
    used = {system[0], trace[0], level[0] if number != "" else ""}
    stamp = str(flat["_time"])
    return event(
        place,
        {name: value for name, value in record.items() if name != "_serial"},  # its number in this search's results
        native_id=f"{bucket} {offset}" if bucket and offset else "",
        time=times.moment(stamp, form=_form(stamp), zone_name=source.time.zone),
        system=str(system[1]),
        kind="log",
        severity=number,
        message=text if text != "{}" else "(no text)",
        trace_id=str(trace[1]),
        attributes={name: value for name, value in visible.items() if name not in used},
    )


def _form(stamp: str) -> str:
    return "epoch_s" if stamp.replace(".", "", 1).isdigit() else "iso8601"


def recognise(head: Head) -> bool:
    """Return whether the first result, or the header, has ``_time`` beside what Splunk adds."""
    if head.names:
        return "_time" in head.names and bool({"_raw", "sourcetype", "host"} & set(head.names))
    record = head.document
    record = record[0] if isinstance(record, list) and record else record
    if not isinstance(record, dict):
        return False
    if record.get("results") == [] and "preview" in record:
        return True
    if isinstance(record.get("results"), list):
        record = record["results"][0] if record["results"] else {}
    else:
        record = record.get("result") if "preview" in record or "result" in record else record
    return isinstance(record, dict) and "_time" in record and bool({"_raw", "sourcetype", "host"} & set(record))


FORMAT = Format(
    name="splunk",
    title="Splunk search results (JSON, CSV)",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="a search returns at most as many rows as it was allowed; the export does not say when that cut it",
)

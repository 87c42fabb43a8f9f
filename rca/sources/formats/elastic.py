"""Elasticsearch and OpenSearch: answers of ``_search``, dumps of hits as JSON lines, and bare documents.

Traps: a search returns 10 hits where it was not asked for more: where ``hits.total`` is larger than what the file
holds, or shards failed, one `Reject` says so. Documents are changed in place: of the states of one, the
one of the highest ``_version`` is kept, where that was exported. ``fields`` instead of ``_source`` holds lists. The
times are those of the document; as in `rca.sources.formats.jsonlog`, a number's unit is told by its digits and marked
``assumed``, and a text without an offset needs ``time.zone`` (Elasticsearch itself reads it as UTC).

========== ===================================================================================================
column     field
========== ===================================================================================================
native id  _index/_id
time       @timestamp, else as in `rca.sources.formats.jsonlog`; ``time_end`` from event.end
system     service.name ..., else event.dataset, else host.name
kind       alert where event.kind is alert, else log
severity   log.level, level ...
message    message, else event.reason, event.action, event.original
actor      user.name
trace_id   trace.id ...
attributes all other fields of the document
========== ===================================================================================================

Tested against the documented formats only.

References
----------
Elasticsearch guide, search API; Elastic Common Schema reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca.incident.model import Source
from rca.sources.documents import objects
from rca.sources.formats import jsonlog
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.sources.rows import lookup

__all__ = ["FORMAT", "read", "recognise"]

_OF_THE_SEARCH = ("_score", "_ignored", "sort", "highlight", "matched_queries", "_explanation")  # not of the document
_TEXT = ("message", "event.reason", "event.action", "event.original", "msg")
_SYSTEM = (*jsonlog.SYSTEM, "event.dataset", "host.name", "host.hostname", "host")


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event a document.

    Parameters
    ----------
    path : Path
        An answer of ``_search`` or ``_msearch``, several of them as JSON lines, or documents as JSON lines.
    source : Source
        For how its times are written.

    Yields
    ------
    Item or Reject
        In the order of the file.
    """
    return each(_hits(path), lambda place, record: [_event(place, record, source)])


def _hits(path: Path) -> Iterator[tuple[int, str, Any]]:
    """Yield the hits of each answer, and at the end what the answers say that the file lacks."""
    position, held, total, failed = 0, 0, 0, 0
    for number, place, record in objects(path, "responses"):
        hits = record.get("hits") if isinstance(record, dict) else None
        if not isinstance(hits, dict) or not isinstance(hits.get("hits"), list):
            position = max(position + 1, number)
            yield position, place, record
            continue
        for index, hit in enumerate(hits["hits"]):
            position += 1
            yield position, f"{place.rstrip('/')}/hits/hits/{index}", hit
        held += len(hits["hits"])
        count = hits.get("total")
        count = count.get("value") if isinstance(count, dict) else count
        total = max(total, count if isinstance(count, int) else 0)
        shards = record.get("_shards")
        lost = shards.get("failed") if isinstance(shards, dict) else 0
        failed += lost if isinstance(lost, int) else 0
    if held < total:
        reason = f"the search found {total:,} hits or more, this file holds {held:,}: export the rest"
        yield position, "/hits/total", Reject(position, "/hits/total", reason)
    if failed:
        reason = f"{failed} shards failed: their hits are not in this file"
        yield position, "/_shards", Reject(position, "/_shards", reason)


def _event(place: tuple[int, str], hit: dict[str, Any], source: Source) -> Item:
    wrapped = "_id" in hit or "_index" in hit
    document = hit.get("_source") or hit.get("fields") or {} if wrapped else hit
    if "_source" not in hit and wrapped:
        document = {name: value[0] if isinstance(value, list) and value else value for name, value in document.items()}
    fields = jsonlog.fields(document, source)
    system, text = jsonlog.first(document, _SYSTEM), jsonlog.first(document, _TEXT)
    version = {"_version": hit["_version"]} if isinstance(hit.get("_version"), int) else {}
    end = jsonlog.first(document, ("event.end",))[1]
    return event(
        place,
        {name: value for name, value in hit.items() if name not in _OF_THE_SEARCH},
        native_id=f"{hit['_index']}/{hit['_id']}" if hit.get("_index") and hit.get("_id") else "",
        **{
            **fields,
            "system": str(system[1]),
            "attributes": {**fields["attributes"], **version},
            "kind": "alert" if lookup(document, "event.kind") == "alert" else "log",
            "message": str(text[1]).strip() or "(no text)",
            "actor": str(jsonlog.first(document, ("user.name",))[1]),
            **({"time_end": jsonlog.time(end, source)} if end else {}),
        },
    )


def recognise(head: Head) -> bool:
    """Return whether the document is an answer of ``_search``, or the first object a hit."""
    record = head.document
    if isinstance(record, dict) and isinstance(record.get("responses"), list) and record["responses"]:
        record = record["responses"][0]
    record = record[0] if isinstance(record, list) and record else record
    if not isinstance(record, dict):
        return False
    hits = record.get("hits")
    if isinstance(hits, dict) and isinstance(hits.get("hits"), list):
        return "took" in record or "_shards" in record or "_scroll_id" in record or "total" in hits
    return {"_index", "_id"} <= set(record) and ("_source" in record or "fields" in record)


FORMAT = Format(
    name="elastic",
    title="Elasticsearch and OpenSearch search results",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="a search returns 10 hits where not asked for more; the reader says when hits are missing",
)

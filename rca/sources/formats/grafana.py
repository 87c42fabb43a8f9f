"""Grafana annotations, as ``GET /api/annotations`` lists them.

Reads the list, a list under ``annotations``, or JSON lines. Tested against the documented format only.

=============================  ======================================================================
of the annotation              becomes
=============================  ======================================================================
``time``, ``timeEnd``          time, time_end (epoch milliseconds; an end at the start is no end)
``newState``, ``prevState``,   kind ``alert`` if the new state, an alert's name or id is there
``alertName``, ``alertId``
``tags``                       kind ``rollback`` if one has the word rollback, ``deploy`` for deploy,
                               deployment, release and their plurals and past forms, else ``other``;
                               system from a tag such as ``service:checkout`` or ``app=checkout``
``text``                       message, behind the alert's name and states
``login``, else ``userName``   actor
``id``                         ref
dashboard, panel, data, tags   attributes
=============================  ======================================================================

Traps: an annotation can be edited under its id: of its states the latest is kept, where the version of
Grafana says when (``updated``). The API lists the newest 100 unless ``limit`` says more: a list of exactly
100 is probably cut. An annotation names no system but in tags. Mail address and picture of the user are
left in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rca import times
from rca.incident.model import Source
from rca.sources.documents import objects
from rca.sources.formats.prometheus import system_of
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.times import Moment

__all__ = ["FORMAT", "read", "recognise"]

_DEPLOY = re.compile(r"(?:deploy(?:s|ed|ment|ments)?|releases?|released)", re.ASCII)
_ROLLBACK = re.compile(r"(?:rollbacks?|rolled-?back)", re.ASCII)
_KEPT = ("dashboardUID", "dashboardId", "panelId", "alertId", "alertName", "prevState", "newState", "metric")


def recognise(head: Head) -> bool:
    """Return whether a file's head is a list of annotations."""
    held = head.document.get("annotations") if isinstance(head.document, dict) else None
    first = held if isinstance(held, list) else head.document
    first = first[0] if isinstance(first, list) and first else first
    return (
        isinstance(first, dict)
        and {"id", "time", "tags", "text"} <= set(first)
        and bool({"dashboardUID", "dashboardId", "panelId", "newState"} & set(first))
    )


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event an annotation.

    Parameters
    ----------
    path : Path
        JSON as the module describes it.
    source : Source
        Nothing of it is needed: times are epochs.

    Yields
    ------
    Item or Reject
        Events of kind ``alert``, ``deploy``, ``rollback`` or ``other``.
    """
    return each(objects(path, "annotations"), _event)


def _event(place: tuple[int, str], record: dict[str, Any]) -> Iterable[Item]:
    if "time" not in record or "text" not in record:
        raise KeyError("an annotation has time and text")
    time = times.moment(record["time"], form="epoch_ms")
    end = times.moment(record.get("timeEnd") or None, form="epoch_ms")
    if end.ns is None or time.ns is None or end.ns <= time.ns:
        end = Moment(None, "", "")
    tags = [str(tag) for tag in record.get("tags") or ()]
    kept: dict[str, Any] = {name: record[name] for name in (*_KEPT, "data") if record.get(name)}
    yield event(
        place,
        record,
        native_id=f"{record['id']} {record.get('created') or record['time']}" if record.get("id") else "",
        time=time,
        time_end=end,
        system=system_of(_pairs(tags))[1],
        kind=_kind(record, tags),
        message=_message(record),
        actor=str(record.get("login") or record.get("userName") or ""),
        ref=str(record.get("id", "")),
        attributes={**kept, "tags": tags, **({"modified": record["updated"]} if record.get("updated") else {})},
    )


def _pairs(tags: list[str]) -> dict[str, str]:
    """Return what tags such as ``service:checkout`` say; of two with one key the first."""
    split = (re.split(r"\s*[:=]\s*", tag, maxsplit=1) for tag in reversed(tags))
    return {pair[0].strip().lower(): pair[1].strip() for pair in split if len(pair) == 2}


def _kind(record: dict[str, Any], tags: list[str]) -> str:
    if record.get("newState") or record.get("alertName") or record.get("alertId"):
        return "alert"
    words = {word for tag in tags for word in re.split(r"[^a-z-]+", tag.lower())}
    if any(_ROLLBACK.fullmatch(word) for word in words):
        return "rollback"
    return "deploy" if any(_DEPLOY.fullmatch(word) for word in words) else "other"


def _message(record: dict[str, Any]) -> str:
    states = " -> ".join(str(record[name]) for name in ("prevState", "newState") if record.get(name))
    alert = " ".join(part for part in (str(record.get("alertName") or ""), states) if part)
    return ": ".join(part for part in (alert, str(record["text"] or "").strip()) if part) or "(no text)"


FORMAT = Format(
    name="grafana",
    title="Grafana annotations",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="annotations name no system but in tags such as service:checkout; else set constant: {system: ...}",
)

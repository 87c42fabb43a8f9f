r"""Container logs: CRI lines (containerd, CRI-O) and Docker's json-file, as a node keeps them.

- CRI: ``2025-11-18T11:20:00.123456789Z stdout F text``; parts tagged ``P`` are joined with those that follow on
  their stream, up to the one tagged ``F``; a pause of more than a minute parts them
- json-file: ``{"log": "text\n", "stream": "stderr", "time": "2025-11-18T11:20:00.123456789Z"}``; a text of
  16 KiB without its line end is joined with the next of its stream, as Docker cuts there; a shorter one is the end
  of what a process wrote, and stays alone

Traps: what a container writes to ``stderr`` is no error by that, so severity is empty. The time is that of the
runtime which read the first part, not of the program that wrote. A message that is cut at the end of the file (log
rotation) is kept as it is, with ``partial`` among its attributes.

========== ===================================================================================================
column     field
========== ===================================================================================================
time       time of the first part; ``time_end`` that of the last, where there are several
system     the container in names such as ``web-7d4f_shop_nginx-<64 hex digits>.log`` (/var/log/containers),
           else empty
message    the text
attributes stream, pod, namespace, partial, attrs (Docker's labels)
========== ===================================================================================================

Tested against real recorded data (CRI) and the documented format (json-file).

References
----------
Kubernetes, design proposal "CRI: log management"; Docker manual, "JSON File logging driver".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rca import times
from rca.errors import InputError
from rca.files import unpacked
from rca.incident.model import Source
from rca.sources.documents import json_text, lines
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.times import Moment

__all__ = ["FORMAT", "read", "recognise"]

MAX_TEXT = 16 * 2**20
DOCKER_BUFFER = 16 * 2**10
PAUSE = 60 * 10**9  # between two parts of one message, in nanoseconds
_CRI = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([PF])(?::\S*)?(?: (.*)|$)",
    re.ASCII | re.DOTALL,
)
_NAME = re.compile(r"(?P<pod>[^_]+)_(?P<namespace>[^_]+)_(?P<container>.+)-[0-9a-f]{64}\.log", re.ASCII)


class _Part(NamedTuple):
    """A piece of a message."""

    position: int
    locator: str
    raw: str
    time: Moment
    stream: str
    text: str
    ends: bool
    attrs: Any


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event a message, its parts joined.

    Parameters
    ----------
    path : Path
        The file; its name tells the container.
    source : Source
        Nothing of it is needed.

    Yields
    ------
    Item or Reject
        In the order in which messages end.
    """
    name = _NAME.fullmatch(unpacked(path).name)
    pod = {key: name[key] for key in ("pod", "namespace")} if name else {}
    system = name["container"] if name else ""
    waiting: dict[str, list[_Part]] = {}
    sizes: dict[str, int] = {}
    position = 0

    def message(parts: list[_Part], place: tuple[int, str]) -> Item:
        first, last = parts[0], parts[-1]
        attributes = {"stream": first.stream, **pod, **({"attrs": first.attrs} if first.attrs else {})}
        if not last.ends:
            attributes["partial"] = True
        fields: dict[str, Any] = {"time_end": last.time} if len(parts) > 1 else {}
        raw = first.raw if len(parts) == 1 else "\n".join(part.raw for part in parts)
        text = "".join(part.text for part in parts) or "(no text)"
        return event(
            place, raw, kind="log", time=first.time, system=system, message=text, attributes=attributes, **fields
        )

    def make(place: tuple[int, str], line: str) -> list[Item]:
        nonlocal position
        position = place[0]
        part = _part(place, line)
        parts = waiting.pop(part.stream, [])
        out = []
        if parts and not 0 <= _ns(part) - _ns(parts[-1]) <= PAUSE:
            out, parts = [message(parts, (part.position, _places(parts)))], []
        sizes[part.stream] = len(line) + (sizes[part.stream] if parts else 0)
        parts.append(part)
        if part.ends or sizes[part.stream] > MAX_TEXT:
            return [*out, message(parts, (part.position, _places(parts)))]
        waiting[part.stream] = parts
        return out

    yield from each(lines(path), make)
    left = sorted(waiting.values())
    yield from each(((position, _places(parts), parts) for parts in left), lambda at, parts: [message(parts, at)])


def _ns(part: _Part) -> int:
    return part.time.ns or 0


def _places(parts: list[_Part]) -> str:
    first, last = parts[0].locator, parts[-1].locator
    return first if len(parts) == 1 else f"{first} to {last}"


def _part(place: tuple[int, str], line: str) -> _Part:
    if line.startswith("{"):
        record = json_text(line)
        text, stream, time = record["log"], record.get("stream", ""), record["time"]
        if not (isinstance(text, str) and isinstance(stream, str) and isinstance(time, str)):
            raise InputError("log, stream and time are texts in Docker's json-file")
        ends = text.endswith("\n") or len(text.encode("utf-8", "replace")) < DOCKER_BUFFER
        return _Part(*place, line, times.moment(time), stream, text.rstrip("\r\n"), ends, record.get("attrs"))
    match = _CRI.fullmatch(line)
    if not match:
        raise InputError("expected a CRI line: time, stdout or stderr, P or F, text")
    time, stream, tag, text = match.groups()
    return _Part(*place, line, times.moment(time), stream, text or "", tag == "F", None)


def recognise(head: Head) -> bool:
    """Return whether the first line is of CRI, or an object of Docker's json-file."""
    if isinstance(head.document, dict):
        record = head.document
        return "log" in record and "time" in record and set(record) <= {"log", "stream", "time", "attrs"}
    first = head.text.lstrip("\ufeff").lstrip().partition("\n")[0]
    return bool(_CRI.fullmatch(first.rstrip("\r")))


FORMAT = Format(
    name="container",
    title="container logs of Kubernetes (CRI) and Docker (json-file)",
    tested="real data",
    read=read,
    recognise=recognise,
    notes="the file name tells the container; without it the system is not known",
)

"""What a format hands to the engine: one item a row of a table, made from one record of the export.

A format is one module in `rca.sources.formats`: it knows how one system writes its exports, and yields
`Item` for what it understood and `Reject` for what it did not. Ids, hashes, duplicates, order and storage
are the engine's work, the same for all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rca.errors import InputError
from rca.incident.model import Source
from rca.times import Moment

__all__ = ["Format", "Head", "Item", "Reject", "each", "edge", "event", "metric", "span"]

Tested = Literal["real server", "real data", "documented format"]


class Item(NamedTuple):
    """One row of a table.

    Attributes
    ----------
    table : str
        ``events``, ``metrics``, ``dependencies`` or ``spans``.
    fields : mapping
        Column of the table -> value; times are `Moment`, attributes a mapping.
    raw : object
        The record as received (text, or what JSON gives): what is hashed.
    position : int
        Place in the file, from 1, not decreasing.
    locator : str
        The same for people, without the file's name: ``line 3``, ``/alerts/0``.
    native_id : str
        What identifies the record in its own system, where it has such an id.
    """

    table: str
    fields: Mapping[str, Any]
    raw: Any
    position: int
    locator: str
    native_id: str = ""


class Reject(NamedTuple):
    """A record that could not be read, and why."""

    position: int
    locator: str
    reason: str


@dataclass(frozen=True)
class Head:
    """The beginning of a file, by which formats are told apart.

    Attributes
    ----------
    name : str
        The file's name without its folder.
    text : str
        The first 64 KiB as text; what is no UTF-8 is replaced.
    data : bytes
        The same as bytes.
    document : object
        The JSON content when the file is one JSON document, or the first object of JSON lines; else None.
    names : tuple of str
        Names of the members of a zip archive, or of the columns of a CSV file; else empty.
    """

    name: str
    text: str
    data: bytes = b""
    document: Any = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """A kind of export.

    Attributes
    ----------
    name : str
        As ``reader`` in ``incident.yaml`` names it.
    title : str
        What it is, in a few words, for ``rca sources``.
    tested : str
        Against what: a real server, real recorded data, or the documented format only.
    read : callable
        ``read(path, source)`` yields items and rejects, in the order of the file.
    recognise : callable
        Whether a file's head is of this format; must not be true for another's.
    tables : tuple of str
        The tables that it fills.
    notes : str
        What it cannot know, for the user.
    """

    name: str
    title: str
    tested: Tested
    read: Callable[[Path, Source], Iterator[Item | Reject]]
    recognise: Callable[[Head], bool]
    tables: tuple[str, ...] = ("events",)
    notes: str = ""


def event(place: tuple[int, str], raw: Any, *, native_id: str = "", **fields: Any) -> Item:
    """Return a row of ``events``; `place` is position and locator.

    Examples
    --------
    >>> event((3, "line 3"), "text", kind="log", message="text").locator
    'line 3'
    """
    return Item("events", fields, raw, *place, native_id)


def metric(place: tuple[int, str], raw: Any, *, time: Moment, system: str, metric: str, value: Any) -> Item:
    """Return a row of ``metrics``; `value` is a number or its text, missing when empty."""
    return Item("metrics", {"time": time, "system": system, "metric": metric, "value": value}, raw, *place)


def edge(place: tuple[int, str], raw: Any, *, cause: str, effect: str) -> Item:
    """Return a row of ``dependencies``: a fault in `cause` can reach `effect`."""
    return Item("dependencies", {"cause": cause, "effect": effect}, raw, *place)


def span(place: tuple[int, str], raw: Any, **fields: Any) -> Item:
    """Return a row of ``spans``: trace_id, span_id, parent_id, system, name, time, status."""
    return Item("spans", fields, raw, *place)


def each(
    records: Iterable[tuple[int, str, Any]], make: Callable[[tuple[int, str], Any], Iterable[Item]]
) -> Iterator[Item | Reject]:
    """Yield what `make` makes of each record; a record that it refuses becomes a `Reject`.

    Parameters
    ----------
    records : iterable of (position, locator, record)
        As `rca.sources.documents` yields them. A record may be a `Reject` already; it is passed on.
    make : callable
        ``make((position, locator), record)`` returns the items of one record, or raises InputError with a
        reason that needs no place.
    """
    for position, locator, record in records:
        if isinstance(record, Reject):
            yield record
            continue
        try:
            items = list(make((position, locator), record))
        except InputError as error:
            yield Reject(position, locator, str(error))
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            yield Reject(position, locator, f"not as this format writes a record ({type(error).__name__}: {error})")
        else:
            yield from items


def canonical(raw: Any) -> bytes:
    """Return what of a record is hashed: a text as it is, else JSON whatever the order of its fields."""
    text = (
        raw
        if isinstance(raw, str)
        else json.dumps(raw, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    )
    return text.encode("utf-8", "surrogatepass")

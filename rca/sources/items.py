"""What a format hands to the engine: one item a row of a table, made from one record of the export.

A format is one module in `rca.sources.formats`: it knows how one system writes its exports, and yields
`Item` for what it understood and `Reject` for what it did not. Ids, hashes, duplicates, order and storage
are the engine's work, the same for all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rca import times
from rca.errors import InputError
from rca.incident.model import Source
from rca.times import Moment

__all__ = ["Format", "Head", "Item", "Reject", "Stretch", "each", "edge", "event", "metric", "span"]

# Made once: json.dumps makes one for each call, which costs more than a short record.
_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)

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
    other : mapping or None
        Where a local time lies in the hour that clocks show twice: `fields` are as it is the first of the two,
        these as it is the second. `Format` sets it.
    """

    table: str
    fields: Mapping[str, Any]
    raw: Any
    position: int
    locator: str
    native_id: str = ""
    other: Mapping[str, Any] | None = None


class Stretch(NamedTuple):
    """The first and last time in a file that name no year: year since the first line's, month, day, ``HH:MM:SS``.

    `leaps` are the years, since the first line's, that have a 29th of February.
    """

    first: tuple[int, int, int, str]
    last: tuple[int, int, int, str]
    leaps: frozenset[int]


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
        ``read(path, source)`` yields items and rejects, in the order of the file. A time is read by `rca.times`,
        in the zone of the source where it names none. When a record is rejected since clocks show its time twice,
        the file is read twice more, with either meaning: what differs in such records is what is not known. A
        record that the format takes with one of the meanings only has that one.
    recognise : callable
        Whether a file's head is of this format; must not be true for another's.
    tables : tuple of str
        The tables that it fills.
    notes : str
        What it cannot know, for the user.
    stretch : callable, optional
        Of a format whose times write no year: ``stretch(path)`` returns the `Stretch` of these in a file, None where
        it has none. The year of the first in the file is ``source.time.year``.
    """

    name: str
    title: str
    tested: Tested
    read: Callable[[Path, Source], Iterator[Item | Reject]]
    recognise: Callable[[Head], bool]
    tables: tuple[str, ...] = ("events",)
    notes: str = ""
    stretch: Callable[[Path], Stretch | None] | None = None

    def __post_init__(self) -> None:
        """Let `read` take the repeated hour in both ways; a format cannot forget it."""
        object.__setattr__(self, "read", _both_ways(self.read))


_PLACE = attrgetter("position", "locator")


def _both_ways(
    read: Callable[[Path, Source], Iterator[Item | Reject]],
) -> Callable[[Path, Source], Iterator[Item | Reject]]:
    @wraps(read)
    def run(path: Path, source: Source) -> Iterator[Item | Reject]:
        zone = source.time.zone
        if zone is None:
            yield from read(path, source)
            return
        sides: list[_Again] = []
        for place, group in groupby(read(path, source), _PLACE):
            found = list(group)
            if any(isinstance(item, Reject) and times.TWICE in item.reason for item in found):
                sides = sides or [_Again(read(path, _in_zone(source, side))) for side in times.sides(zone)]
                first, second = (side.at(place) for side in sides)
                found = _either(found, first, second)
            yield from found

    return run


def _in_zone(source: Source, zone: str) -> Source:
    return source.model_copy(update={"time": source.time.model_copy(update={"zone": zone})})


class _Again:
    """A file that is read again, as far as asked."""

    def __init__(self, items: Iterable[Item | Reject]) -> None:
        self.groups = groupby(items, _PLACE)
        self.place, self.found = (0, ""), list[Item | Reject]()

    def at(self, place: tuple[int, str]) -> list[Item | Reject]:
        """Return what stands at a place; places are asked for in the order of the file."""
        while self.place != place and self.place[0] <= place[0]:
            self.place, group = next(self.groups, ((place[0] + 1, ""), iter(())))
            self.found = list(group)
        return self.found if self.place == place else []


def _either(found: list[Item | Reject], first: list[Item | Reject], second: list[Item | Reject]) -> list[Item | Reject]:
    """Return the items of a record with both meanings of its time, or with the one that the format takes."""
    one, other = ([item for item in side if isinstance(item, Item)] for side in (first, second))
    good = [bool(items) and len(items) == len(side) for items, side in ((one, first), (other, second))]
    if all(good) and [item.table for item in one] == [item.table for item in other]:
        pairs = zip(one, other, strict=True)
        return [item if item.fields == late.fields else item._replace(other=late.fields) for item, late in pairs]
    if good[0] != good[1]:
        return [*(one if good[0] else other)]
    return found


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


def edge(place: tuple[int, str], raw: Any, *, cause: str, effect: str, kinds: tuple[str, str] = ("", "")) -> Item:
    """Return a row of ``dependencies``: a fault in `cause` can reach `effect`; `kinds` says what the two are."""
    fields = {"cause": cause, "effect": effect, "cause_kind": kinds[0], "effect_kind": kinds[1]}
    return Item("dependencies", fields, raw, *place)


def span(place: tuple[int, str], raw: Any, **fields: Any) -> Item:
    """Return a row of ``spans``: trace_id, span_id, parent_id, system, name, time, status, duration (nanoseconds)."""
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
    text = raw if isinstance(raw, str) else _JSON.encode(raw)
    return text.encode("utf-8", "surrogatepass")

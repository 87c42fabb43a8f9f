"""The year of times that write none: guessed as the latest that is possible, and checked between pieces of a source."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from rca import times
from rca.errors import InputError
from rca.incident.model import Source
from rca.sources import formats
from rca.sources.batches import READERS
from rca.sources.items import Stretch

__all__ = ["check", "check_piece", "latest", "nearest", "spans"]

_BACK = 12  # years to look back: two leap years are at most 8 apart


Span = tuple[int, int]


def latest(path: Path, source: Source, as_of: pd.Timestamp) -> int | None:
    """Return the latest year of the first time of a file with which no time is after `as_of`.

    Parameters
    ----------
    path : Path
        The file.
    source : Source
        Its format, and the zone of its times; UTC where it declares none.
    as_of : Timestamp
        UTC.

    Returns
    -------
    int or None
        None where the file has no such times, or no such year lies in the last twelve.
    """
    return nearest(path, source, as_of, [])


def nearest(path: Path, source: Source, as_of: pd.Timestamp, others: Sequence[Span]) -> int | None:
    """Return the year of the first time of a file with which it and other pieces lie closest together.

    Parameters
    ----------
    path, source, as_of
        As for `latest`, which no year is after.
    others : sequence of tuple of int
        First and last time of the other pieces in nanoseconds; without any, the latest year is returned.
    """
    return _nearest(_stretch(path, source), source, as_of, others)


def check_piece(path: Path, source: Source, as_of: pd.Timestamp, joined: Source, paths: Mapping[str, Path]) -> None:
    """Raise if a further piece of a source would lie closer to the others in another year than in the declared one.

    Raises
    ------
    InputError
        With the other year.
    """
    year = source.time.year
    others = spans(joined, paths) if isinstance(year, int) else []
    if not isinstance(year, int) or not others:
        return
    stretch = _stretch(path, source)
    best, found = _nearest(stretch, source, as_of, others), _span(stretch, source, year)
    there = _span(stretch, source, best) if best is not None else None
    if found and there and _width([*others, there]) < _width([*others, found]):
        raise InputError(
            f"{path.name}: add --year {best}: its first time, read in {year}, is farther from the other files of source"
            f" {joined.id}; if {year} is right, keep it apart with --as; if theirs is wrong, edit its time.year"
        )


def check(source: Source, paths: Mapping[str, Path], as_of: pd.Timestamp) -> None:
    """Raise if one year is declared for several files and some may as well be of the next.

    Raises
    ------
    InputError
        If the files lie closer together when some of them are read a year later, none of them after `as_of`.
    """
    year = source.time.year
    if not isinstance(year, int) or len(paths) < 2:
        return
    known = {name: _stretch(path, source) for name, path in paths.items()}
    found = {name: span for name, part in known.items() if (span := _span(part, source, year)) is not None}
    moved = dict(found)
    for name in sorted(found, key=lambda name: found[name])[:-1]:
        later = _span(known[name], source, year + 1)
        if later is None or later[1] > as_of.value:
            return
        moved[name] = later
        if _width(moved.values()) < _width(found.values()):
            years = {other: year + (moved.get(other) != found.get(other)) for other in paths}
            raise InputError(
                f"{name}: source {source.id!r}: is its first time of {year} or of {year + 1}? The files lie closer"
                f" together in {year + 1}; declare the year of each file, such as time: {{year: {years}}}"
            )


def spans(source: Source, paths: Mapping[str, Path]) -> list[Span]:
    """Return the first and last time, in nanoseconds, of each file of a source that has times without a year."""
    own = [(path, source.of(name)) for name, path in paths.items()]
    found = [_span(_stretch(path, item), item, item.time.year) for path, item in own if isinstance(item.time.year, int)]
    return [span for span in found if span is not None]


def _nearest(stretch: Stretch | None, source: Source, as_of: pd.Timestamp, others: Sequence[Span]) -> int | None:
    near = {pd.Timestamp(ns, tz="UTC").year + more for span in others for ns in span for more in (-1, 0, 1)}
    recent = range(as_of.year - _BACK, as_of.year + 2)  # a zone may be ahead of UTC
    tried = {year: _span(stretch, source, year) for year in {*near, *recent}}
    found = {year: span for year, span in tried.items() if span is not None and span[1] <= as_of.value}
    widths = {year: _width([*others, span]) if others else 0 for year, span in found.items()}
    return max((year for year, width in widths.items() if width == min(widths.values())), default=None)


def _stretch(path: Path, source: Source) -> Stretch | None:
    read = None if source.reader in READERS else formats.get(source.reader).stretch
    return read(path) if read is not None else None


def _span(stretch: Stretch | None, source: Source, year: int) -> Span | None:
    """Return a stretch in nanoseconds; None where there is none, or the years do not have its days."""
    if stretch is None or not all(calendar.isleap(year + more) for more in stretch.leaps):
        return None
    zone = times.zone(source.time.zone or "UTC")
    try:
        first, last = (
            dt.datetime.combine(
                dt.date(year + more, month, day), dt.time.fromisoformat(clock.replace(":60", ":59")), zone
            )
            for more, month, day, clock in (stretch.first, stretch.last)
        )
    except ValueError:
        return None
    return int(first.timestamp()) * 10**9, int(last.timestamp()) * 10**9


def _width(parts: Collection[Span]) -> int:
    return max(last for _, last in parts) - min(first for first, _ in parts)

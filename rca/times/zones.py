"""Time zones: what the clocks of a place show, and the hours in which they change.

A wall clock here is an integer: the nanoseconds since 1970 that it would mean in UTC.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, shorten

__all__ = [
    "SECOND",
    "TWICE",
    "RepeatedHour",
    "clock_changes",
    "constant_offset",
    "from_wall",
    "offset_at",
    "offset_text",
    "sides",
    "zone",
]

SECOND = 10**9
TWICE = "clocks go back and show it twice"  # in every message of `RepeatedHour`
_DAY = 86_400 * SECOND
_FIRST, _SECOND = "#1", "#2"  # no IANA name has the sign
_EPOCH = dt.datetime(1970, 1, 1)
_PROBES = [dt.timedelta(minutes=minutes) for minutes in range(0, 1440, 15)]
_PROBES.append(dt.timedelta(days=1, microseconds=-1))


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return the time zone called `name` (IANA, such as ``Europe/Berlin``).

    Raises
    ------
    UnknownName
        If there is no such zone, with the nearest name.
    """
    if name not in _zones():
        raise UnknownName(f"unknown time zone {shorten(name)}{did_you_mean(name, _zones())}")
    return ZoneInfo(name)


def sides(name: str) -> tuple[str, str]:
    """Return a zone as two: in the hour that its clocks show twice, the one takes the first, the other the second.

    For `moment` and `from_wall` only; `zone` knows no such names, so that nobody can declare one.

    Examples
    --------
    >>> [from_wall(1761445800 * SECOND, side) // SECOND for side in sides("Europe/Berlin")]
    [1761438600, 1761442200]
    """
    return f"{name}{_FIRST}", f"{name}{_SECOND}"


def _place(name: str) -> ZoneInfo:
    return zone(name.removesuffix(_FIRST).removesuffix(_SECOND))


class RepeatedHour(InputError):
    """A local time that clocks show twice, since they are put back.

    Attributes
    ----------
    first, second : int
        The two instants that it may mean, in nanoseconds since 1970.
    """

    first: int
    second: int

    def __init__(self, message: str, first: int, second: int) -> None:
        super().__init__(message)
        self.first, self.second = first, second


def offset_text(seconds: int) -> str:
    """Return an offset as people write it.

    Examples
    --------
    >>> offset_text(3600), offset_text(-12600), offset_text(0)
    ('+01:00', '-03:30', '+00:00')
    """
    minutes, rest = divmod(abs(seconds), 60)
    tail = f":{rest:02}" if rest else ""
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}{tail}"


def _seconds(offset: dt.timedelta | None) -> int:
    return (offset or dt.timedelta()) // dt.timedelta(seconds=1)


def _both(place: ZoneInfo, naive: dt.datetime) -> tuple[int, int]:
    """Return the offsets in seconds before and after the change of clocks that a local time may lie in."""
    return (
        _seconds(naive.replace(tzinfo=place, fold=0).utcoffset()),
        _seconds(naive.replace(tzinfo=place, fold=1).utcoffset()),
    )


def offset_at(ns: int, name: str) -> int:
    """Return the offset of a zone at an instant: nanoseconds from nanoseconds."""
    utc = (_EPOCH + dt.timedelta(seconds=ns // SECOND)).replace(tzinfo=dt.UTC)
    return _seconds(utc.astimezone(zone(name)).utcoffset()) * SECOND


@lru_cache(maxsize=65_536)
def _of_day(name: str, day: int) -> int | None:
    """Return the offset of a local day in nanoseconds if it is one; `day` counts from 1970-01-01."""
    place, start = _place(name), _EPOCH + dt.timedelta(days=day)
    offsets = {offset for probe in _PROBES for offset in _both(place, start + probe)}
    return offsets.pop() * SECOND if len(offsets) == 1 else None


def constant_offset(zone_name: str, day: str) -> int | None:
    """Return the offset of a zone in nanoseconds if it is the same for a whole local day.

    Parameters
    ----------
    zone_name : str
        IANA name.
    day : str
        ``YYYY-MM-DD``.

    Returns
    -------
    int or None
        Local time less UTC. None when clocks change on that day, so that an hour of it is skipped or
        repeated, or the day is no day.

    Raises
    ------
    UnknownName
        If there is no such zone.

    Notes
    -----
    Looked up once for a zone and day.

    Examples
    --------
    >>> constant_offset("Europe/Berlin", "2025-11-18"), constant_offset("Europe/Berlin", "2025-10-26")
    (3600000000000, None)
    """
    zone(zone_name)
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", day, re.ASCII):
        return None
    try:
        number = dt.date.fromisoformat(day).toordinal() - _EPOCH.toordinal()
    except ValueError:
        return None
    # A day at either end of the calendar has offsets that lead out of it.
    return _of_day(zone_name, number) if "0001-01-02" < day < "9999-12-30" else None


def from_wall(wall: int, zone_name: str) -> int:
    """Return the instant at which the clocks of a zone show `wall`.

    Raises
    ------
    RepeatedHour
        If they show it twice, naming the change and both instants; the message goes on after the time.
    InputError
        If they never show it.

    Examples
    --------
    >>> from_wall(3_600_000_000_000, "Europe/Berlin")
    0
    """
    offset = _of_day(zone_name, wall // _DAY)
    if offset is not None:
        return wall - offset
    naive = _EPOCH + dt.timedelta(seconds=wall // SECOND)
    before, after = _both(_place(zone_name), naive)
    if before == after:
        return wall - before * SECOND
    if before > after and zone_name.endswith((_FIRST, _SECOND)):
        return wall - (before if zone_name.endswith(_FIRST) else after) * SECOND
    what = TWICE if before > after else "clocks go forward and skip it"
    said = (
        f"is ambiguous or does not exist in {zone_name} (clock change): on {naive:%Y-%m-%d} {what}, from"
        f" {offset_text(before)} to {offset_text(after)}; write its offset"
    )
    if before > after:
        raise RepeatedHour(said, wall - before * SECOND, wall - after * SECOND)
    raise InputError(said)


def clock_changes(zone_name: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Return when the clocks of a zone change, such as at the start and end of daylight saving.

    Parameters
    ----------
    zone_name : str
        IANA name.
    start, end : Timestamp
        First and last instant to look at, with a zone.

    Returns
    -------
    DataFrame, one row a change, in order
        ``time`` (UTC, the instant), ``before`` and ``after`` (Timedelta, local time less UTC), ``change``
        (``skipped`` or ``repeated``), ``local_start`` and ``local_end`` (local times without a zone: what is
        skipped or repeated, the end not included).

    Raises
    ------
    UnknownName
        If there is no such zone.
    InputError
        If an end has no zone, or `end` is before `start`.

    Notes
    -----
    Looks once a day and halves from there: two changes within a day that cancel out are not seen. The
    nearest two of any zone are four days apart.

    Examples
    --------
    >>> year = pd.Timestamp("2025-01-01T00:00Z"), pd.Timestamp("2026-01-01T00:00Z")
    >>> clock_changes("Europe/Berlin", *year)[["time", "change", "local_start"]]
                           time    change         local_start
    0 2025-03-30 01:00:00+00:00   skipped 2025-03-30 02:00:00
    1 2025-10-26 01:00:00+00:00  repeated 2025-10-26 02:00:00
    """
    zone(zone_name)
    if start.tzinfo is None or end.tzinfo is None:
        raise InputError("clock changes: start and end need a time zone")
    if end < start:
        raise InputError(f"clock changes: end {end} is before start {start}")
    first, last = -(-start.as_unit("ns").value // SECOND) - 1, end.as_unit("ns").value // SECOND
    rows = []
    while first < last:
        high = min(first + 86_400, last)
        if offset_at(first * SECOND, zone_name) != offset_at(high * SECOND, zone_name):
            rows.append(_change(zone_name, first, high))
        first = high
    names = ["time", "before", "after", "change", "local_start", "local_end"]
    table = pd.DataFrame(rows, columns=names)
    kinds = {"time": "datetime64[ns, UTC]", "local_start": "datetime64[ns]", "local_end": "datetime64[ns]"}
    return table.astype({**kinds, "before": "timedelta64[ns]", "after": "timedelta64[ns]", "change": "str"})


def _change(zone_name: str, low: int, high: int) -> tuple[object, ...]:
    """Return the row of the change after second `low` and not after second `high`."""
    before, after = offset_at(low * SECOND, zone_name), offset_at(high * SECOND, zone_name)
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(middle * SECOND, zone_name) == before:
            low = middle
        else:
            high = middle
    time = high * SECOND
    local = sorted((time + before, time + after))
    return (
        pd.Timestamp(time, unit="ns", tz="UTC"),
        pd.Timedelta(before, unit="ns"),
        pd.Timedelta(after, unit="ns"),
        "skipped" if after > before else "repeated",
        pd.Timestamp(local[0], unit="ns"),
        pd.Timestamp(local[1], unit="ns"),
    )

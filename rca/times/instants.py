"""One text to one instant, in whole nanoseconds."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

from rca.errors import InputError
from rca.times.spellings import ISO, spelled, why
from rca.times.zones import SECOND, from_wall, offset_at, offset_text

__all__ = ["OUT_OF_RANGE", "check_offset", "checked", "instant"]

OUT_OF_RANGE = "is out of range: times lie in the years 1678 to 2261"
_LIMIT = 2**63  # the lowest number itself means "missing"
_UNSET = 14 * 3600 * SECOND
_POWERS = [10 ** (9 - digits) for digits in range(10)]
_OFFSETS = range(-12 * 3600, 14 * 3600 + 1)  # the least and the largest that any place has kept since 1900
_ENDS = {
    1: "; the year 1 is what programs write when no time is set",
    1601: "; 1601 is what Windows writes when no time is set",
    9999: "; the year 9999 often stands for 'no end'",
}
_ZERO_DAY = dt.date(1970, 1, 1).toordinal()
# IERS Bulletin C: UTC had a 61st second at the end of these days. None has been announced since 2016.
_JUNE = (1972, 1981, 1982, 1983, 1985, 1992, 1993, 1994, 1997, 2012, 2015)
_DECEMBER = (1972, 1973, 1974, 1975, 1976, 1977, 1978, 1979, 1987, 1989, 1990, 1995, 1998, 2005, 2008, 2016)
_LEAPS = frozenset(
    (dt.date(year, month, 1).toordinal() - _ZERO_DAY) * 86_400 * SECOND
    for month, years in ((7, _JUNE), (1, tuple(year + 1 for year in _DECEMBER)))
    for year in years
)


@lru_cache(maxsize=4096)
def _day(date: str) -> int:
    """Return the nanoseconds from 1970 to a day."""
    year = int(date[:4])
    if not 1677 <= year <= 2262:
        raise InputError(OUT_OF_RANGE + _ENDS.get(year, ""))
    try:
        return (dt.date.fromisoformat(date).toordinal() - _ZERO_DAY) * 86_400 * SECOND
    except ValueError as error:
        raise InputError(f"is not a time: there is no day {date}") from error


@lru_cache(maxsize=2048)
def _clock(text: str) -> int:
    """Return the nanoseconds from midnight to ``HH:MM``."""
    hour, minute = int(text[:2]), int(text[3:])
    if hour == 24:
        raise InputError("is not a time: hour 24 is hour 00 of the next day")
    if hour > 24 or minute > 59:
        raise InputError(f"is not a time: there is no {text}")
    return (hour * 60 + minute) * 60 * SECOND


@lru_cache(maxsize=2048)
def _offset(text: str) -> int:
    """Return the nanoseconds of ``+HH``, ``+HHMM``, ``+HH:MM``, ``+HH:MM:SS`` or a name of UTC."""
    if text[0] not in "+-":
        return 0
    digits = text[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if minutes > 59 or seconds > 59:
        raise InputError(f"is not a time: there is no offset {text}")
    total = (hours * 60 + minutes) * 60 + seconds
    return check_offset(-total if text[0] == "-" else total) * SECOND


def check_offset(seconds: int) -> int:
    """Return an offset unchanged if some place keeps it.

    Examples
    --------
    >>> check_offset(20 * 3600)
    Traceback (most recent call last):
        ...
    rca.errors.InputError: is not a time: no place keeps the offset +20:00; offsets lie in -12:00 to +14:00
    """
    if seconds not in _OFFSETS:
        raise InputError(
            f"is not a time: no place keeps the offset {offset_text(seconds)}; offsets lie in -12:00 to +14:00"
        )
    return seconds


def checked(ns: int) -> int:
    """Return an instant unchanged if 64 bits hold it, and it is not the zero of computer clocks in some zone.

    Examples
    --------
    >>> checked(0)
    Traceback (most recent call last):
        ...
    rca.errors.InputError: is not a time that was set: 1970-01-01 00:00, here or in another zone, is a clock's zero
    """
    if not -_LIMIT < ns < _LIMIT:
        raise InputError(OUT_OF_RANGE)
    if -_UNSET <= ns <= _UNSET:
        raise InputError("is not a time that was set: 1970-01-01 00:00, here or in another zone, is a clock's zero")
    return ns


def instant(text: str, zone_name: str | None, remedy: str, *, iso_only: bool = False) -> tuple[int, str]:
    """Return what a text means, and whether its zone is ``explicit`` or ``declared``.

    Parameters
    ----------
    text : str
        ISO 8601, or another spelling that is clear by itself.
    zone_name : str or None
        Declared zone, for a text that names none.
    remedy : str
        What to do when there is neither, for the message.
    iso_only : bool, default False
        Refuse the other spellings, and take 1970-01-01 for a time.

    Returns
    -------
    tuple of int and str
        Nanoseconds since 1970 in UTC, and the basis of the zone.

    Raises
    ------
    InputError
        If it cannot be read; the message goes on after the text.

    Examples
    --------
    >>> instant("2025-11-18 12:20:00.000000007", "Europe/Berlin", "declare one")
    (1763464800000000007, 'declared')
    """
    match = ISO.fullmatch(text)
    named = ""
    if match:
        date, clock, second, fraction, offset = match.groups()
    elif iso_only:
        raise InputError(f"is not an ISO 8601 time such as 2025-11-18T11:20:00Z{why(text)}")
    else:
        date, clock, second, fraction, offset, named = spelled(text)
    wall = _day(date)
    if clock:
        wall += _clock(clock)
    if second:
        wall += int(second) * SECOND if second < "60" else _sixtieth(second)
    if fraction and second != "60":
        wall += int(fraction) * _POWERS[len(fraction)] if len(fraction) < 10 else _long(fraction)
    if offset and not named and second != "60":
        ns = wall - _offset(offset)
        if _UNSET < ns < _LIMIT:
            return ns, "explicit"
    ns = _placed(wall, offset, named, zone_name, remedy)
    if second == "60" and ns + 1 not in _LEAPS:
        raise InputError("is not a time: UTC had no leap second then")
    return ns if iso_only and abs(ns) <= _UNSET else checked(ns), "explicit" if offset or named else "declared"


def _placed(wall: int, offset: str | None, named: str, declared: str | None, remedy: str) -> int:
    """Return the instant of a wall clock whose offset, zone in brackets or declared zone is given."""
    if not offset:
        if not named and declared is None:
            raise InputError(f"has no time zone; {remedy}")
        return from_wall(wall, named or declared or "")
    ns = wall - _offset(offset)
    if named and offset.upper() != "Z" and offset_at(ns, named) != wall - ns:
        raise InputError(f"is not a time: {named} does not have the offset {offset} then")
    return ns


def _sixtieth(second: str) -> int:
    """Return the nanoseconds of a leap second: the last one before it."""
    if second > "60":
        raise InputError(f"is not a time: there is no second {second}")
    return 60 * SECOND - 1


def _long(fraction: str) -> int:
    if fraction[9:].strip("0"):
        raise InputError("is not a time that nanoseconds can hold: the tenth digit of the second is not 0")
    return int(fraction[:9])

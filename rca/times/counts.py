"""Counts since 1970: in the declared unit, to the last digit, or refused.

A wrong unit or another zero day still gives some time. Counts are taken for the years of `COUNT_YEARS` only:
there, no count of the other clocks in use (since 1601, 1900, 1904, 2001 or the year 1) looks like one of ours,
as long as it means a day between 2004 and 2031.
"""

from __future__ import annotations

import datetime as dt
import re

from rca.errors import InputError

__all__ = ["COUNT_YEARS", "SCALES", "count", "guess", "in_range"]

SCALES = {"epoch_s": 10**9, "epoch_ms": 10**6, "epoch_us": 10**3, "epoch_ns": 1}
COUNT_YEARS = range(2000, 2070)
_NUMBER = re.compile(r"(?P<sign>-?)(?P<whole>\d{1,30})(?:\.(?P<fraction>\d{1,60}))?", re.ASCII)
_POWER = re.compile(r"(?P<whole>\d)(?:\.(?P<digits>\d{1,40}))?e\+?(?P<power>\d\d?)", re.ASCII | re.IGNORECASE)
_ZERO_DAY = dt.date(1970, 1, 1)
_LOW, _HIGH = (
    (dt.date(year, 1, 1) - _ZERO_DAY).days * 86_400 * 10**9 for year in (COUNT_YEARS.start, COUNT_YEARS.stop)
)
_CLOCKS = (  # name, nanoseconds a unit, zero day
    *((name, scale, _ZERO_DAY) for name, scale in SCALES.items()),
    ("a Windows FILETIME, 100 ns since 1601", 100, dt.date(1601, 1, 1)),
    ("ticks of .NET, 100 ns since the year 1", 100, dt.date(1, 1, 1)),
    ("a WebKit time, microseconds since 1601", 10**3, dt.date(1601, 1, 1)),
    ("an Apple time, seconds since 2001", 10**9, dt.date(2001, 1, 1)),
    ("an NTP time, seconds since 1900", 10**9, dt.date(1900, 1, 1)),
    ("a spreadsheet's day number", 86_400 * 10**9, dt.date(1899, 12, 30)),
)
_LIKELY = range(2010, 2036)


def in_range(ns: int) -> bool:
    """Return whether an instant lies in `COUNT_YEARS`."""
    return _LOW <= ns < _HIGH


def guess(number: int) -> str:
    """Return what a count seems to be, to be put behind a refusal.

    Examples
    --------
    >>> guess(1763464800000)
    '; it seems to be epoch_ms (2025-11-18)'
    >>> guess(134079384000000000)
    '; it seems to be a Windows FILETIME, 100 ns since 1601 (2025-11-18)'
    """
    for name, scale, zero in _CLOCKS:
        day = zero.toordinal() + number * scale // (86_400 * 10**9)
        if 0 < day < dt.date.max.toordinal() and dt.date.fromordinal(day).year in _LIKELY:
            return f"; it seems to be {name} ({dt.date.fromordinal(day)})"
    return "; a count of 0 often stands for 'not set'" if number == 0 else ""


def count(text: str, form: str) -> int:
    """Return a count since 1970 as nanoseconds; integers never pass through float.

    Parameters
    ----------
    text : str
        Digits, with a fraction or without. A power of ten is read if all digits down to the unit are written:
        programs that write one round the rest away.
    form : str
        A name of `SCALES`.

    Returns
    -------
    int
        Nanoseconds.

    Raises
    ------
    InputError
        If it is no number, names parts of a nanosecond, or lies out of `COUNT_YEARS`; the message goes on
        after the text.

    Examples
    --------
    >>> count("1763464800.25", "epoch_s"), count("1.763464801e9", "epoch_s")
    (1763464800250000000, 1763464801000000000)
    """
    scale = SCALES[form]
    sign, whole, fraction = _digits(text, form)
    kept = len(str(scale)) - 1
    if fraction[kept:].strip("0"):
        raise InputError(f"is not a plain number that nanoseconds can hold, but the form is {form}")
    number = int(sign + whole)
    ns = int(whole) * scale + int(fraction[:kept].ljust(kept, "0") or 0)
    ns = -ns if sign else ns
    if not in_range(ns):
        raise InputError(f"read as {form} is the year {_year(ns)}; is the unit right?{guess(number)}")
    return ns


def _digits(text: str, form: str) -> tuple[str, str, str]:
    """Return sign, whole part and fraction of a number."""
    match = _NUMBER.fullmatch(text)
    if match:
        return match["sign"], match["whole"], match["fraction"] or ""
    match = _POWER.fullmatch(text)
    if not match:
        raise InputError(f"is not a plain number, but the form is {form}")
    digits, power = match["digits"] or "", int(match["power"])
    if len(digits) < power:
        raise InputError(
            f"is not a plain number: a power of ten with {len(digits) + 1} of {power + 1} digits may be rounded;"
            " export all digits"
        )
    return "", match["whole"] + digits[:power], digits[power:]


def _year(ns: int) -> str:
    day = _ZERO_DAY.toordinal() + ns // (86_400 * 10**9)
    if day < 1:
        return "0 or earlier"
    return str(dt.date.fromordinal(day).year) if day < dt.date.max.toordinal() else "9999 or later"

"""Times: text to UTC, never by guessing a zone.

A text either names its offset, or the source declares its zone, or it is an error. What can be read in two
ways is refused with the reason, and so is what cannot be kept to the nanosecond.

What the form ``iso8601`` reads (`parse`, for ``incident.yaml``, only the first)
    ISO 8601: ``2025-11-18T11:20:00.123456789+01:00``; also with a space, a comma, lower case, ``+0100``,
    ``+01``, ``Z``, ``UTC`` or ``GMT``, without seconds, or the day alone (its first instant in the declared zone).
    Its basic format (``20251118T112000Z``), the year first with slashes, and with a zone in brackets as Java
    writes it: offset and zone have to agree.
    Spellings with the month in letters: RFC 2822 and 1123, C, git and ``date``, JavaScript, Go, web servers.
What it refuses
    Months in figures that could be days, years of two digits, clocks of 12 hours, week and ordinal dates,
    abbreviations of zones (CET, EST, IST), offsets that no place keeps, hour 24, weekdays that are wrong,
    local hours that are skipped or repeated when clocks change. A ``strptime`` pattern reads some of them. Of an
    event, sources keep the repeated hour as an interval from the first to the second of its meanings; a value of a
    metric, a span and the end of an event have no place for one, and are refused.
The ends
    Digits past the nanosecond are cut if they are 0, else refused. A leap second is taken for the last
    nanosecond before it, so that the order is kept, on the 27 days that had one; elsewhere it is refused.
    The day of the zero of a clock (1970, 1601, the year 1) and the year 9999 are no times: what an export
    means by them is known to its reader only. Counts lie in `COUNT_YEARS`, where no other clock's counts do.
"""

from __future__ import annotations

from rca.times.ahead import ahead
from rca.times.counts import COUNT_YEARS
from rca.times.read import FORMATS, UTC, Moment, check_form, moment, parse, parse_column, show, zone_basis
from rca.times.zones import TWICE, RepeatedHour, clock_changes, constant_offset, sides, zone

__all__ = [
    "COUNT_YEARS",
    "FORMATS",
    "TWICE",
    "UTC",
    "Moment",
    "RepeatedHour",
    "ahead",
    "check_form",
    "clock_changes",
    "constant_offset",
    "moment",
    "parse",
    "parse_column",
    "show",
    "sides",
    "zone",
    "zone_basis",
]

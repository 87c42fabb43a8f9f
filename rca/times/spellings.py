"""The spellings of time that are clear by themselves, and why others are not.

A spelling is clear if it gives the year in four digits, the day so that it cannot be taken for the month,
and the offset in figures (or UTC). A declared zone can stand in for the offset, and for nothing else.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from typing import NamedTuple

from rca.errors import InputError
from rca.times.counts import guess

__all__ = ["ISO", "Written", "spelled", "why"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOW = re.ASCII | re.IGNORECASE
_ISO = (
    r"(?P<date>\d{4}-\d\d-\d\d)(?:[T ](?P<clock>\d\d:\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
    r"(?: ?(?P<offset>Z|UTC|GMT|[+-]\d\d(?::\d\d(?::\d\d)?|\d\d)?))?)?"
)
ISO = re.compile(_ISO, _HOW)
_CLOCK = r"(?P<clock>\d\d:\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
_WEEKDAY = rf"(?P<weekday>{'|'.join(_WEEKDAYS)})"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_OFFSET = r"(?P<offset>Z|UTC?|GMT|[+-]\d\d:?\d\d)"
_YEAR = r"(?P<year>\d{4})"
_SPELLINGS = [
    re.compile(pattern, _HOW)
    for pattern in (
        # RFC 2822, RFC 1123: Tue, 18 Nov 2025 11:20:00 +0100 (CET)
        rf"(?:{_WEEKDAY}(?:, ?| ))?(?P<day>\d\d?) {_MONTH} {_YEAR} {_CLOCK}(?: {_OFFSET}(?: \([\w .:/+-]{{1,60}}\))?)?",
        # C's asctime, and git: Tue Nov 18 11:20:00 2025 +0100
        rf"(?:{_WEEKDAY} )?{_MONTH} (?P<day>[ \d]?\d) {_CLOCK} {_YEAR}(?: {_OFFSET})?",
        # date(1): Tue Nov 18 11:20:00 UTC 2025
        rf"(?:{_WEEKDAY} )?{_MONTH} (?P<day>[ \d]?\d) {_CLOCK} {_OFFSET} {_YEAR}",
        # JavaScript: Tue Nov 18 2025 11:20:00 GMT+0100 (Central European Standard Time)
        rf"{_WEEKDAY} {_MONTH} (?P<day>\d\d) {_YEAR} {_CLOCK} GMT(?P<offset>[+-]\d{{4}})(?: \([^()]{{1,60}}\))?",
        # web servers: [18/Nov/2025:11:20:00 +0100]
        rf"(\[)?(?P<day>\d\d)/{_MONTH}/{_YEAR}:{_CLOCK}(?: {_OFFSET})?(?(1)\])",
        # ISO 8601, basic: 20251118T112000Z
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)T(?P<clock>\d{4})(?:(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
        r"(?P<offset>Z|[+-]\d\d(?:\d\d)?)?",
        # the year first, with slashes: 2025/11/18 11:20:00
        rf"{_YEAR}/(?P<month>\d\d)/(?P<day>\d\d)[T ]{_CLOCK}(?: ?{_OFFSET})?",
        # Java and RFC 9557: 2025-11-18T11:20:00+01:00[Europe/Berlin]
        rf"{_ISO}\[(?P<zone>[A-Za-z][\w/+-]{{0,60}})\]",
        # Go: 2025-11-18 11:20:00.5 +0100 CET m=+0.01
        r"(?P<date>\d{4}-\d\d-\d\d) " + _CLOCK + r" (?P<offset>[+-]\d{4}) (?P<name>[A-Z]{2,5}|[+-]\d\d(?:\d\d)?)"
        r"(?: m=[+-]\d+\.\d+)?",
    )
]
_UTC_NAMES = ("UTC", "GMT", "UT", "Z")
_ORDER = "day and month can be exchanged; declare the pattern (time: {format: '%d.%m.%Y %H:%M'})"
_REASONS = [
    (re.compile(pattern, _HOW), reason)
    for pattern, reason in (
        (r"['\"].*['\"]", "it is in quotes"),
        (r"\d{4}-?W\d.*", "a week date; write year, month and day"),
        (r"\d{4}-?\d{3}(?:T.*)?", "an ordinal date; write year, month and day"),
        (r"\d{8}", "digits only; declare the pattern (time: {format: '%Y%m%d'})"),
        (r"(?:19|20)\d{12}", "digits only; declare the pattern (time: {format: '%Y%m%d%H%M%S'})"),
        (r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}(?!\d).*", _ORDER),
        (r"/Date\(.*", "a date of .NET's JSON: its number is epoch_ms"),
        (r"\d{1,2}:\d\d(?::\d\d)?.*", "it names no day"),
        (r".*\d ?[ap]\.?m\.?\b.*", "a clock of 12 hours; declare the pattern with %I and %p"),
        (rf"(?:{_WEEKDAY} )?{_MONTH} +\d\d? [\d:.,]+", "it names no year"),
        (rf".*\b\d\d?[ /-]{_MONTH}[ /-]\d\d(?!\d).*", "a year of two digits"),
        (r".*\d:?\d\d ?\[[^]]*\]", "it has a suffix that is no zone name"),
        (
            r".*\d:\d\d\S*(?: \d{4})? \(?[A-Z]{1,5}\)?(?: \d{4})?",
            "the letters behind are an abbreviation of a zone, which is no offset (CST, IST, BST and others mean"
            " several); write it as +01:00, or cut them and declare the zone",
        ),
        (r"(?:UTC|GMT)?[+-]\d{1,2}(?::?\d\d)?", "an offset alone"),
        (r".*(?:UTC|GMT)[+-]\d.*", "UTC+1 and GMT+1 mean opposite things in different programs; write +01:00"),
        (r"(?:NaT|nan|null|none|nil|N/A|-)", "a word for 'not known'; leave it empty"),
        (r"now|today|yesterday|.* ago", "it depends on when it is read"),
    )
]


class Written(NamedTuple):
    """The parts of a time as they are written."""

    date: str
    clock: str | None
    second: str | None
    fraction: str | None
    offset: str | None
    zone: str


def why(text: str) -> str:
    """Return why a text is no clear time, to be put behind a refusal; empty when nothing can be said.

    Examples
    --------
    >>> why("2025-W47-2T00:00Z"), why("18.11.2025 11:20")[:31]
    ('; a week date; write year, month and day', '; day and month can be exchange')
    """
    if len(text) > 200:
        return ""
    odd = next((letter for letter in text if not letter.isascii()), "")
    if odd:
        return f"; it holds the character {unicodedata.name(odd, f'U+{ord(odd):04X}')}"
    number = re.fullmatch(r"-?(\d{1,30})(?:\.\d*)?", text)
    if number and (seems := guess(int(number[1]))):
        unit = re.search(r"epoch_\w+", seems)
        return f"{seems}; declare it (time: {{format: {unit[0]}}})" if unit else seems
    return next((f"; {reason}" for pattern, reason in _REASONS if pattern.fullmatch(text)), "")


def spelled(text: str) -> Written:
    """Return the parts of a time in one of the clear spellings that are not plain ISO 8601.

    Raises
    ------
    InputError
        If the spelling is none of them, or its parts contradict each other; the message goes on after the text.

    Examples
    --------
    >>> spelled("Tue, 18 Nov 2025 11:20:00 +0100")
    Written(date='2025-11-18', clock='11:20', second='00', fraction=None, offset='+0100', zone='')
    """
    found = next((match for pattern in _SPELLINGS if (match := pattern.fullmatch(text))), None)
    if found is None:
        raise InputError(f"is not an ISO 8601 time such as 2025-11-18T11:20:00Z{why(text)}")
    part = {"fraction": None, "offset": None, "zone": "", **found.groupdict()}
    date = str(part.get("date") or _date(part))
    clock = part["clock"]
    if clock and ":" not in clock:
        clock = f"{clock[:2]}:{clock[2:]}"
    if part.get("weekday"):
        _same_weekday(date, str(part["weekday"]))
    name = part.get("name")
    if name and name.upper() in _UTC_NAMES and str(part["offset"])[1:].strip("0"):
        raise InputError(f"is not a time: it says {part['offset']} and {name}")
    return Written(date, clock, part["second"], part["fraction"], part["offset"], part["zone"] or "")


def _date(part: dict[str, str | None]) -> str:
    month = str(part["month"]).lower()
    number = _MONTHS.index(month) + 1 if month in _MONTHS else int(month)
    return f"{part['year']}-{number:02}-{int(str(part['day'])):02}"


def _same_weekday(date: str, weekday: str) -> None:
    try:
        right = _WEEKDAYS[dt.date.fromisoformat(date).weekday()]
    except ValueError:
        return  # a day that is none is refused with the rest of the date
    if right != weekday.lower():
        raise InputError(f"is not a time: {date} is no {weekday} but a {right.title()}")

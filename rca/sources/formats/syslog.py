"""Syslog: RFC 3164 and RFC 5424, as sent and as the daemons write them into files.

One record a line; lines that begin with white space go on with the one before. Read are

- RFC 5424: ``<34>1 2025-11-18T11:20:00.123456+01:00 host app 4711 ID47 [id key="value"] text``
- RFC 3164, also without its number in front: ``Nov 18 11:20:00 host app[4711]: text``
- rsyslog's file format: ``2025-11-18T11:20:00.123456+01:00 host app[4711]: text``; where a word such as
  ``WARNING`` stands in the host's place (ChromeOS), it is the severity

Traps: RFC 3164 writes neither year nor zone. Both are declared for the source (``time: {zone: Europe/Berlin,
year: 2025}``, the year of the first line; of several files, ``year: {a.log: 2025, b.log: 2026}``); the year goes up
where the month falls by more than half a year, and a December line behind a January line after such a step belongs to
the year before. A file that is silent for more than half a year cannot be told from one that steps back. Two lines of
equal text a year apart have one id.

========== =====================================================================================================
column     field
========== =====================================================================================================
time       TIMESTAMP; ``zone_basis`` is ``declared`` for RFC 3164
system     APP-NAME or the tag before the colon, else the host
severity   PRI modulo 8 as the OpenTelemetry log data model maps it: emergency 21, alert 19, critical 18, error 17,
           warning 13, notice 10, informational 9, debug 5; empty without PRI
message    MSG
attributes host, pid, facility, msgid, structured_data
========== =====================================================================================================

Tested against the documented formats only.

References
----------
RFC 3164; RFC 5424; OpenTelemetry log data model, appendix B.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources.continuation import join
from rca.sources.documents import lines
from rca.sources.items import Format, Head, Item, Reject, Stretch, each, event
from rca.times import Moment

__all__ = ["FORMAT", "SEVERITIES", "read", "recognise", "stretch"]

SEVERITIES = (21, 19, 18, 17, 13, 10, 9, 5)  # of the levels 0 to 7
_FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
_WORDS = {"EMERG": 0, "ALERT": 1, "CRIT": 2, "ERR": 3, "ERROR": 3, "WARNING": 4, "NOTICE": 5, "INFO": 6, "DEBUG": 7}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PRI = r"(?:\d{1,7} (?=<))?<(?P<pri>\d{1,3})>"
_NEW = re.compile(
    _PRI + r"(?P<version>[1-9]\d{0,2}) (?P<time>-|\d{4}-\S+) (?P<host>\S+) (?P<app>\S+) (?P<pid>\S+) (?P<msgid>\S+) ?"
    r"(?P<rest>.*)",
    re.ASCII | re.DOTALL,
)
_OLD = re.compile(
    rf"(?:{_PRI})?(?P<time>(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {{1,2}}(?P<day>\d{{1,2}})"
    r"(?: (?P<year>\d{4}))? (?P<minute>\d\d:\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?):? (?P<host>\S+)"
    r"(?: (?P<rest>.*))?",
    re.ASCII | re.DOTALL,
)
_START = re.compile(
    r"(?:(?:\d{1,7} (?=<))?<\d{1,3}>)?"
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d)(?=[. :])",
    re.ASCII,
)
_FILE = re.compile(
    rf"(?:{_PRI})?(?P<time>\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{{1,9}})?(?:Z|[+-]\d\d:?\d\d)?) (?P<host>\S+)"
    r"(?: (?P<rest>.*))?",
    re.ASCII | re.DOTALL,
)
_TAG = re.compile(
    r"(?P<app>[^\s\[\]]{1,128}?)(?:\[(?P<pid>[^\]\s]{1,64})\](?: \([^()]{0,200}\))?:?|:)(?: (?P<text>.*)|$)", re.DOTALL
)
_ELEMENT = re.compile(r'\[([^\s=\]"]{1,64})((?: +[^\s=\]"]{1,64}="(?:[^"\\]|\\.)*+")*+) *\]', re.DOTALL)
_PARAMETER = re.compile(r'([^\s=\]"]+)="((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\\]])')


@dataclass
class _Year:
    """The year of lines that write none: that of the first line, then up where months run back."""

    year: int | None
    month: int = 0
    stepped: bool = False

    def of(self, month: int) -> int:
        """Return the year of the next line."""
        if self.year is None:
            raise InputError("has no year; declare that of the first line (time: {year: 2025})")
        if self.stepped and month - self.month == 11:  # late line of the old year
            return self.year - 1
        if month - self.month < -6:
            self.year, self.stepped = self.year + 1, True
        self.month = month
        return self.year


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event a message.

    Parameters
    ----------
    path : Path
        The file.
    source : Source
        ``time.zone`` and ``time.year`` are needed for lines of RFC 3164.

    Yields
    ------
    Item or Reject
        In the order of the file.
    """
    year = _Year(source.time.year if isinstance(source.time.year, int) else None)

    def make(place: tuple[int, str], text: str) -> list[Item]:
        fields = _new(text, source) or _old(text, source, year) or _file(text, source)
        if fields is None:
            raise InputError("no syslog time at the start of the line")
        return [event(place, text, kind="log", **fields)]

    return each(join(lines(path)), make)


def stretch(path: Path) -> Stretch | None:
    """Return the first and last of the times that name no year, to the second; None where no line has such a time.

    Parameters
    ----------
    path : Path
        The file.
    """
    year = _Year(0)
    days: dict[tuple[int, int, int], tuple[str, str]] = {}
    for _, _, text in lines(path):
        match = _START.match(text) if isinstance(text, str) else None
        if match:
            month, day, clock = match.groups()
            number = _MONTHS.index(month) + 1
            key = year.of(number), number, int(day)
            first, last = days.get(key, (clock, clock))
            days[key] = min(first, clock), max(last, clock)
    if not days:
        return None
    low, high = min(days), max(days)
    leaps = frozenset(year for year, month, day in days if (month, day) == (2, 29))
    return Stretch((*low, days[low][0]), (*high, days[high][1]), leaps)


def _new(text: str, source: Source) -> dict[str, Any] | None:
    """Return the fields of a line of RFC 5424."""
    match = _NEW.match(text)
    if not match:
        return None
    host, app, pid, msgid = ("" if match[key] == "-" else match[key] for key in ("host", "app", "pid", "msgid"))
    data, message = _structured(match["rest"])
    time = times.moment("" if match["time"] == "-" else match["time"], zone_name=source.time.zone)
    extra = {"msgid": msgid, "structured_data": data}
    return _fields(time, match["pri"], host, app, pid, message.strip().removeprefix("\ufeff"), extra)


def _structured(rest: str) -> tuple[dict[str, dict[str, str]], str]:
    """Return the structured data and the message; what is no structured data belongs to the message."""
    if rest == "-" or rest.startswith("- "):
        return {}, rest[2:]
    found: dict[str, dict[str, str]] = {}
    end = 0
    while element := _ELEMENT.match(rest, end):
        values = found.setdefault(element[1], {})
        for name, value in _PARAMETER.findall(element[2]):
            value = _ESCAPED.sub(r"\1", value)
            values[name] = f"{values[name]}, {value}" if name in values else value  # a name may occur twice
        end = element.end()
    return found, rest[end:]


def _old(text: str, source: Source, year: _Year) -> dict[str, Any] | None:
    """Return the fields of a line of RFC 3164."""
    match = _OLD.match(text)
    if not match:
        return None
    written, month, day = match["time"], _MONTHS.index(match["month"]) + 1, int(match["day"])
    try:
        number = int(match["year"]) if match["year"] else year.of(month)
        if (month, day) == (2, 29) and not calendar.isleap(number):
            raise InputError(f"does not exist in {number}; is the declared year that of the first line?")
        if source.time.zone is None:
            raise InputError("has no time zone; declare the zone of this source (time: {zone: Europe/Berlin})")
    except InputError as error:
        raise InputError(f"time: {shorten(written)} {error}") from error
    date, second = f"{number:04}-{month:02}-{day:02}", match["second"]
    if second < "60":
        ns = _minute(f"{date}T{match['minute']}", source.time.zone) + int(second) * 10**9
    else:
        ns = times.moment(f"{date}T{match['minute']}:{second}", zone_name=source.time.zone).ns or 0
    ns += int((match["fraction"] or "").ljust(9, "0") or 0)
    return _tagged(Moment(ns, written, "declared"), match["pri"], match["host"], match["rest"] or "")


@lru_cache(maxsize=1024)
def _minute(text: str, zone_name: str) -> int:
    """Return a local minute in nanoseconds: no zone changes its clock within a minute."""
    return times.moment(text, zone_name=zone_name).ns or 0


def _file(text: str, source: Source) -> dict[str, Any] | None:
    """Return the fields of a line of a file with ISO times."""
    match = _FILE.match(text)
    if not match:
        return None
    time = times.moment(match["time"], zone_name=source.time.zone)
    pri, host = match["pri"], match["host"]
    fields = _tagged(time, pri, "" if host in _WORDS else host, match["rest"] or "")
    return {**fields, "severity": SEVERITIES[_WORDS[host]]} if host in _WORDS else fields


def _tagged(time: Moment, pri: str | None, host: str, rest: str) -> dict[str, Any]:
    if host.endswith(":") or "[" in host or host in ("---", "last"):  # a local message without its host
        host, rest = "", f"{host} {rest}"
    tag = _TAG.match(rest)
    if not tag:
        return _fields(time, pri, host, "", "", rest.strip(), {})
    return _fields(time, pri, host, tag["app"], tag["pid"] or "", (tag["text"] or "").strip(), {})


def _fields(
    time: Moment, pri: str | None, host: str, app: str, pid: str, message: str, extra: dict[str, Any]
) -> dict[str, Any]:
    attributes = {"host": host, "pid": pid, **extra}
    severity: int | str = ""
    if pri is not None:
        number = int(pri)
        if number > 191:
            raise InputError(f"PRI {number} is above 191")
        severity, attributes["facility"] = SEVERITIES[number % 8], _FACILITIES[number // 8]
    return {
        "time": time,
        "system": app or host,
        "severity": severity,
        "message": message or "(no text)",
        "attributes": {key: value for key, value in attributes.items() if value},
    }


def recognise(head: Head) -> bool:
    """Return whether one of the first lines is a syslog message with host and tag."""
    return any(_is_syslog(line) for line in head.text.lstrip("\ufeff").splitlines()[:5])


def _is_syslog(line: str) -> bool:
    if _NEW.match(line) or _OLD.match(line):
        return True
    match = _FILE.match(line)
    return match is not None and match["host"] not in ("stdout", "stderr") and bool(_TAG.match(match["rest"] or ""))


FORMAT = Format(
    name="syslog",
    title="syslog messages (RFC 3164, RFC 5424, rsyslog files)",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="RFC 3164 writes neither year nor zone: declare time.zone, and time.year of the first line of each file",
    stretch=stretch,
)

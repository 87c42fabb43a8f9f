"""PostgreSQL's server log as written to stderr, with the usual prefixes (``%m [%p]``, ``%t [%p]``, user@database).

``2025-11-18 11:20:00.123 UTC [4711] app@shop ERROR:  relation "x" does not exist``; lines that begin with white
space go on with the one before.

Traps: the zone is an abbreviation. UTC, GMT and numbers such as ``+03`` say what they mean; of any other, such as
CST, there are several, so the zone is declared for the source, and a line whose abbreviation is not that zone's at
that time is refused. In the hour that clocks repeat the abbreviation tells which of the two. FATAL ends one session
(a wrong password will do), PANIC the whole server.

========== ===================================================================================================
column     field
========== ===================================================================================================
time       the time in front
system     ``postgresql``
severity   DEBUG 5, LOG and INFO 9, NOTICE 10, WARNING 13, ERROR 17, FATAL 21, PANIC 24; empty for lines that
           add to the one before (DETAIL, HINT, CONTEXT, STATEMENT)
message    the text, with its word in front where it only adds
attributes pid, level, user, database, prefix (what else stands before the level), code (SQLSTATE)
========== ===================================================================================================

Tested against real recorded data.

References
----------
PostgreSQL manual, "Error Reporting and Logging" (log_line_prefix; message severity levels).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources.continuation import join
from rca.sources.documents import lines
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.times import Moment

__all__ = ["FORMAT", "read", "recognise"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SEVERITIES = {
    "DEBUG": 5, "LOG": 9, "INFO": 9, "NOTICE": 10, "WARNING": 13, "ERROR": 17, "FATAL": 21, "PANIC": 24,
}  # fmt: skip
_LINE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?) (?P<zone>[A-Z][A-Za-z]{0,5}|[+-]\d\d(?::?\d\d)?)"
    r"(?P<prefix>[ :\[][^\n]{0,400}?)?"
    r"(?<=[ :\]])(?P<level>DEBUG[1-5]?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|CONTEXT|STATEMENT|QUERY|"
    r"LOCATION|BACKTRACE):(?: {1,2}(?P<code>[0-9A-Z]{5}): )?(?P<text>.*)",
    re.ASCII | re.DOTALL,
)
_PID = re.compile(r"\[(\d+)(?:-\d+)?\]|:\[(\d+)\]", re.ASCII)
_USER = re.compile(r"(?:^|[\s:])(?P<user>[^\s@:=]+|\[unknown\])@(?P<database>[^\s@:=]+)")
_NAMED = re.compile(r"\b(user|db|app|client)=([^,\s]*)")


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event a message.

    Parameters
    ----------
    path : Path
        The file.
    source : Source
        ``time.zone`` is needed where the log names its zone by an abbreviation other than UTC or GMT.

    Yields
    ------
    Item or Reject
        In the order of the file.
    """
    return each(join(lines(path)), lambda place, text: [event(place, text, **_fields(text, source))])


def _fields(text: str, source: Source) -> dict[str, Any]:
    match = _LINE.match(text)
    if not match:
        raise InputError("expected: time, zone, prefix, a level such as LOG and its colon")
    level, prefix = match["level"], match["prefix"] or ""
    severity = _SEVERITIES.get(level.rstrip("12345"), "")
    message = match["text"].strip() or "(no text)"
    pid = _PID.search(prefix)
    user = _USER.search(prefix)
    attributes = {
        "pid": (pid[1] or pid[2]) if pid else "",
        "level": level,
        **({"user": user["user"], "database": user["database"]} if user else {}),
        **{{"db": "database"}.get(name, name): value for name, value in _NAMED.findall(prefix)},
        "prefix": prefix.strip(),
        "code": match["code"] or "",
    }
    return {
        "time": _time(match["time"], match["zone"], source.time.zone),
        "system": "postgresql",
        "kind": "log",
        "severity": severity,
        "message": message if severity else f"{level}: {message}",
        "attributes": {key: value for key, value in attributes.items() if value},
    }


def _time(clock: str, zone: str, declared: str | None) -> Moment:
    if zone in ("UTC", "GMT") or not zone.isalpha():
        offset = "Z" if zone.isalpha() else zone
        return times.moment(f"{clock[:10]}T{clock[11:]}{offset}")._replace(text=f"{clock} {zone}")
    if declared is None:
        raise InputError(
            f"time: {shorten(f'{clock} {zone}')} has no time zone: {zone} is an abbreviation with several meanings; "
            "declare the zone of this source (time: {zone: Australia/Sydney})"
        )
    whole, _, fraction = clock.partition(".")
    ns = _second(whole, zone, declared) + int(fraction.ljust(9, "0"))
    return Moment(ns, f"{clock} {zone}", "declared")


@lru_cache(maxsize=1024)
def _second(clock: str, zone: str, declared: str) -> int:
    """Return a local second in nanoseconds, with the offset by which `declared` is called `zone` then."""
    place = times.zone(declared)
    try:
        naive = dt.datetime.fromisoformat(clock)
    except ValueError as error:
        raise InputError(f"time: {shorten(clock)} is not a time ({error})") from error
    meant = [naive.replace(tzinfo=place, fold=fold) for fold in (0, 1)]
    names = [stamp.tzname() for stamp in meant]
    for stamp in meant:
        if stamp.tzname() == zone and stamp.astimezone(dt.UTC).astimezone(place).replace(tzinfo=None) == naive:
            return (stamp - _EPOCH) // dt.timedelta(seconds=1) * 10**9
    raise InputError(f"time: {shorten(f'{clock} {zone}')}: the declared zone {declared} is called {names[0]} then")


def recognise(head: Head) -> bool:
    """Return whether one of the first lines has PostgreSQL's time, zone and level."""
    return any(_LINE.match(line) for line in head.text.lstrip("\ufeff").splitlines()[:5])


FORMAT = Format(
    name="postgres",
    title="PostgreSQL server log (stderr)",
    tested="real data",
    read=read,
    recognise=recognise,
    notes="an abbreviated zone other than UTC or GMT needs time.zone",
)

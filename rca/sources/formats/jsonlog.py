"""JSON logs of applications: one object a line, as the common loggers write them.

Read are the field names of pino, bunyan, winston, zap, zerolog, slog, structlog, python-json-logger, Logback's and
Log4j's JSON layouts, GELF, and the Elastic Common Schema, dotted (``"log.level"``) or nested; see the tables in this
module, where the first name that a record has is taken.

Traps: a number as time says nothing of its unit. 10 digits before the point are taken as seconds, 13 as milliseconds,
16 as microseconds, 19 as nanoseconds, ``zone_basis`` then says ``assumed``; any other number is refused, and a
``time.format`` that is declared for the source (``epoch_s`` ...) is obeyed instead. A text without an offset needs
``time.zone``. A number as level is read only where it is one of pino's and bunyan's (10, 20 ... 60 beside ``msg``) or
GELF's (0 to 7 beside ``short_message``); others stay among the attributes.

========== ===================================================================================================
column     field
========== ===================================================================================================
time       @timestamp, timestamp, time, ts ...
system     service.name, service, app ..., pino's and bunyan's name
severity   log.level, level, severity ...
message    message, msg, event ...
trace_id   trace.id, trace_id, traceId ...
attributes all other fields
========== ===================================================================================================

Tested against the documented formats only.

References
----------
Elastic Common Schema reference; GELF 1.1; OpenTelemetry log data model, appendix B; the manuals of the loggers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca import schema, times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources.documents import objects
from rca.sources.formats.syslog import SEVERITIES
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.sources.rows import lookup
from rca.times import Moment

__all__ = [
    "FORMAT",
    "LEVEL",
    "MESSAGE",
    "SYSTEM",
    "TIME",
    "TRACE",
    "fields",
    "first",
    "read",
    "recognise",
    "severity",
    "time",
]

TIME = ("@timestamp", "timestamp", "time", "ts", "datetime", "asctime", "eventTime", "timeMillis")
LEVEL = (
    "log.level",
    "level",
    "severity",
    "levelname",
    "log_level",
    "loglevel",
    "lvl",
    "severity_text",
    "error_severity",
)
MESSAGE = ("message", "msg", "event", "short_message")
SYSTEM = ("service.name", "service", "serviceName", "service_name", "app", "application", "app.name")
TRACE = ("trace.id", "trace_id", "traceId", "traceID", "traceid", "dd.trace_id", "otelTraceID")
_OTHERS = ("_source", "insertId", "logName", "resourceLogs", "result", "_time", "__type__", "CloudTrailEvent", "hits")
_DIGITS = {10: "epoch_s", 13: "epoch_ms", 16: "epoch_us", 19: "epoch_ns"}
_NUMBERED = {10: 1, 20: 5, 30: 9, 40: 13, 50: 17, 60: 21}  # pino, bunyan
_WORDS = {  # beyond the schema's: zap, java.util.logging, winston
    "dpanic": 18, "panic": 19, "severe": 17, "config": 7, "fine": 6, "finer": 5, "finest": 1, "verbose": 5, "silly": 1,
}  # fmt: skip


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event an object.

    Parameters
    ----------
    path : Path
        JSON lines, or a JSON list of objects.
    source : Source
        ``time.format`` other than ``iso8601`` says how times are written, ``time.zone`` where they are meant.

    Yields
    ------
    Item or Reject
        In the order of the file.
    """
    return each(objects(path), lambda place, record: [event(place, record, kind="log", **fields(record, source))])


def fields(record: dict[str, Any], source: Source) -> dict[str, Any]:
    """Return the columns of a log record, whatever its logger calls them.

    Parameters
    ----------
    record : dict
        One object of the log.
    source : Source
        For how its times are written.

    Returns
    -------
    dict
        time, system, severity, message, trace_id and attributes.

    Raises
    ------
    InputError
        If its time cannot be read without a guess.

    Examples
    --------
    >>> record = {"ts": "2025-11-18T11:20:00Z", "level": "warn", "msg": "slow", "app": "shop"}
    >>> found = fields(record, Source(id="a", file="a"))
    >>> found["system"], found["severity"], found["message"]
    ('shop', 'warn', 'slow')
    """
    stamp, level, system = first(record, TIME), first(record, LEVEL), first(record, SYSTEM)
    message, trace = first(record, MESSAGE), first(record, TRACE)
    if not system[1] and isinstance(level[1], int) and "msg" in record:
        system = first(record, ("name",))
    number = severity(level[1], record)
    used = {stamp[0], message[0], trace[0], system[0], level[0] if number != "" else ""}
    return {
        "time": time(stamp[1], source),
        "system": str(system[1]),
        "severity": number,
        "message": str(message[1]).strip() or "(no text)",
        "trace_id": str(trace[1]),
        "attributes": {key: value for key, value in record.items() if key not in used},
    }


def first(record: dict[str, Any], names: tuple[str, ...]) -> tuple[str, Any]:
    """Return the first of `names` under which a text or number stands, and that; else two empty texts.

    Examples
    --------
    >>> first({"service": {"name": "shop"}, "app": "x"}, SYSTEM)
    ('service.name', 'shop')
    """
    for name in names:
        value = record.get(name) if name in record or "." not in name else lookup(record, name)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool) and value != "":
            return name, value
    return "", ""


def time(value: Any, source: Source) -> Moment:
    """Return when a record was written.

    Parameters
    ----------
    value : object
        Text or number.
    source : Source
        ``time.format`` and ``time.zone``.

    Returns
    -------
    Moment
        With basis ``assumed`` where the unit of a number was told by its digits.

    Raises
    ------
    InputError
        If there is none, or it cannot be read without a guess.

    Examples
    --------
    >>> time(1763464800123, Source(id="a", file="a"))
    Moment(ns=1763464800123000000, text='1763464800123', basis='assumed')
    """
    if value == "":
        raise InputError(f"no time under any of {', '.join(TIME)}")
    form, text = source.time.format, str(value)
    whole = text.partition(".")[0]
    if form != "iso8601" or not (whole.isascii() and whole.isdigit()):
        return times.moment(value, form=form, zone_name=source.time.zone)
    if len(whole) not in _DIGITS:
        raise InputError(f"time: {shorten(text)} is a number of no plain unit; declare it (time: {{format: epoch_ms}})")
    return times.moment(value, form=_DIGITS[len(whole)])._replace(basis="assumed")


def severity(level: Any, record: dict[str, Any]) -> str | int:
    """Return the severity of a level as `rca.schema.severity_number` knows it, or "" when it says nothing.

    Examples
    --------
    >>> severity("dpanic", {}), severity(30, {"msg": ""}), severity(30, {"message": ""}), severity("WARN", {})
    (18, 9, '', 'WARN')
    """
    if isinstance(level, str):
        return _WORDS.get(level.strip().lower(), level if schema.severity_number(level) and not level.isdigit() else "")
    if "short_message" in record and level in range(8):
        return SEVERITIES[int(level)]
    return _NUMBERED.get(level, "") if "msg" in record else ""


def recognise(head: Head) -> bool:
    """Return whether the first object has a time, a level and a message, and is of no known system."""
    record = head.document[0] if isinstance(head.document, list) and head.document else head.document
    if not isinstance(record, dict) or any(name in record for name in _OTHERS):
        return False
    return all(first(record, names)[0] for names in (TIME, LEVEL, MESSAGE))


FORMAT = Format(
    name="jsonlog",
    title="JSON logs of applications (pino, zap, structlog, Logback, ECS ...)",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="a number as time is read by its digits and marked as assumed; declare time.format to say its unit",
)

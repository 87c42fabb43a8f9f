r"""Access logs: Apache and nginx (common, combined, with virtual host in front) and AWS load balancers.

- ``client ident user [18/Nov/2025:11:20:00 +0100] "GET /path HTTP/1.1" 200 5120 "referer" "agent"``; what a
  log format adds behind is kept as ``more``. A quote inside the request counts as its end only where a status and
  a size follow; a last text that is cut is kept as far as it goes
- classic, application (http, https, h2, grpcs, ws, wss) and network (tls) load balancers of AWS

Traps: nginx and Apache write the time when the request was read or finished, by version and setting; AWS the time
when the answer was sent, and lines come late and out of order. Lines of network load balancers name no zone: declare
it. The client's address and agent are personal data; they stand among the attributes only, as does the query, which
may carry tokens.

========== ===================================================================================================
column     field
========== ===================================================================================================
time       the time in brackets; for AWS the second or third field
system     virtual host, or the name of the load balancer, else empty
severity   by status: 17 (error) from 500, 13 (warn) from 400, else 9; empty where no status was sent
message    method, path without its query, status
actor      user, where one logged in
trace_id   ``Root`` of X-Amzn-Trace-Id
attributes request, status, bytes, client, agent, referer, seconds, and AWS's other fields by their names
========== ===================================================================================================

Tested against real recorded data.

References
----------
Apache HTTP Server, mod_log_config; nginx, ngx_http_log_module; AWS, Elastic Load Balancing user guides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources.documents import lines
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.times import Moment

__all__ = ["FORMAT", "read", "recognise"]

_QUOTED = r'(?:[^"\\]++|\\.)*+'
_FRONT = (
    r"(?:(?P<vhost>(?!\S+ - )\S+) (?=\S+ \S+ [^\s\[][^\[]*\[))?(?P<client>\S+) (?P<ident>\S+) (?P<user>[^\[]*?) ?"
    r"\[(?P<time>[^\]]{17,40})\] "
)
_BACK = r" (?P<status>\d{3}|-) (?P<bytes>\d+|-)(?: (?P<more>.*)|$)"
_WEB = re.compile(rf'{_FRONT}"(?P<request>{_QUOTED})"{_BACK}', re.ASCII | re.DOTALL)
_BROKEN = re.compile(rf'{_FRONT}"(?P<request>.*?)"{_BACK}', re.ASCII | re.DOTALL)
_STAMP = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d(?:\.\d{1,9})?) ([+-]\d{4})", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FIELD = re.compile(rf'"({_QUOTED})"(?= |$)|"([^"]*+)$|(\S+)', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_REQUEST = re.compile(r"([A-Z][A-Z_-]{1,29}) ([^\s?]+)\S*(?: \S+)?\s*", re.ASCII)
_ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z?"
_PEERS = r"\S+:\d+ (?:\S+:\d+|-) -?[\d.]+ -?[\d.]+ "  # client, target, and the first two durations
_AWS = re.compile(
    rf"(?:(?:(?:https?|h2|grpcs|wss?) )?{_ISO} \S+ {_PEERS}|tls \d\.\d {_ISO} \S+ \S+ {_PEERS})", re.ASCII
)
_CLASSIC = (
    "time", "elb", "client", "target", "request_seconds", "target_seconds", "response_seconds", "status",
    "target_status", "received", "bytes", "request", "agent", "cipher", "protocol",
)  # fmt: skip
_APPLICATION = (
    "type", *_CLASSIC, "target_group", "trace", "domain", "certificate", "rule", "created", "actions", "redirect",
    "error", "targets", "target_statuses", "classification", "classification_reason", "connection",
)  # fmt: skip
_NETWORK = (
    "type", "version", "time", "elb", "listener", "client", "target", "connection_ms", "handshake_ms", "received",
    "bytes", "alert", "certificate", "serial", "cipher", "protocol", "group", "domain", "alpn_client", "alpn_target",
    "alpn_offered", "created",
)  # fmt: skip


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event a request.

    Parameters
    ----------
    path : Path
        The file; lines that begin with ``#`` are comments.
    source : Source
        ``time.zone`` is needed for network load balancers only.

    Yields
    ------
    Item or Reject
        In the order of the file.
    """

    def make(place: tuple[int, str], line: str) -> list[Item]:
        if line.startswith("#"):
            return []
        fields = _aws(line, source) if _AWS.match(line) else _web(line, source)
        return [event(place, line, kind="log", **fields)]

    return each(lines(path), make)


def _web(line: str, source: Source) -> dict[str, Any]:
    """Return the fields of a line of Apache or nginx."""
    match = _WEB.match(line) or _BROKEN.match(line)
    if not match:
        raise InputError('expected: client ident user [time] "request" status bytes')
    found = match.groupdict(default="-")
    more = _split(found["more"]) if match["more"] else []
    request = _plain(found["request"]) if found["request"] != "-" else ""
    attributes = {
        "request": request,
        "status": _number(found["status"]),
        "bytes": _number(found["bytes"]),
        "client": found["client"],
        "ident": found["ident"],
        "referer": more[0] if more else "",
        "agent": more[1] if len(more) > 1 else "",
        "more": more[2:],
    }
    return {
        "time": _time(found["time"], source.time.zone),
        "system": _host(found["vhost"]),
        "severity": _severity(found["status"]),
        "message": _message(request, found["status"]),
        "actor": found["user"] if found["user"] not in ("-", '""') else "",
        "attributes": _kept(attributes),
    }


@lru_cache(maxsize=1024)
def _time(text: str, zone_name: str | None) -> Moment:
    match = _STAMP.fullmatch(text)
    if not match:
        return times.moment(text, zone_name=zone_name)  # nginx's $time_iso8601
    day, month, year, clock, offset = match.groups()
    if month not in _MONTHS:
        raise InputError(f"time: {shorten(text)} names no month")
    return times.moment(f"{year}-{_MONTHS.index(month) + 1:02}-{day}T{clock}{offset}")._replace(text=text)


def _aws(line: str, source: Source) -> dict[str, Any]:
    """Return the fields of a line of a load balancer of AWS."""
    kind = line.partition(" ")[0]
    names = _NETWORK if kind == "tls" else _CLASSIC if kind[0].isdigit() else _APPLICATION
    values = _split(line)
    found = dict(zip(names, values, strict=False))
    if len(found) < (11 if names is _CLASSIC else 12):
        raise InputError(f"expected at least 11 fields of a load balancer, found {len(values)}")
    time = times.moment(found.pop("time"), zone_name=source.time.zone)
    status, request = found.get("status", "-"), found.get("request", "").strip("- ")
    parts = found.pop("elb").split("/")
    trace = found.pop("trace", "-")
    if names is _NETWORK:
        alert = "" if found["alert"] == "-" else f", alert {found['alert']}"
        severity: int | str = 13 if alert else 9
        message = f"TLS connection to {found.get('domain', '-')}{alert}"
    else:
        severity, message = _severity(status), _message(request, status)
        spent = [found[name] for name in ("request_seconds", "target_seconds", "response_seconds")]
        if "-1" not in spent:
            found["seconds"] = f"{sum(map(float, spent)):.6f}"
    numbers: dict[str, Any] = {key: _number(found[key]) for key in ("status", "received", "bytes") if key in found}
    more = {"more": values[len(names) :]}
    return {
        "time": time,
        "system": parts[1] if len(parts) == 3 else parts[0],
        "severity": severity,
        "message": message,
        "trace_id": next((part[5:] for part in trace.split(";") if part.startswith("Root=")), ""),
        "attributes": _kept({**found, "request": request, "balancer": "/".join(parts), **numbers, **more}),
    }


def _split(text: str) -> list[str]:
    """Return fields separated by blanks; quoted ones without their quotes, a last one also when it is cut."""
    return [_plain(quoted) or cut or plain for quoted, cut, plain in _FIELD.findall(text)]


def _plain(quoted: str) -> str:
    """Return a quoted text without the marks before quotes and backslashes; most have none."""
    return _ESCAPED.sub(r"\1", quoted) if "\\" in quoted else quoted


def _kept(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if value not in ("", "-", "-1", None, [])}


def _number(text: str) -> int | None:
    return None if text in ("-", "-1", "") else int(text)


def _host(text: str) -> str:
    name, colon, port = text.rpartition(":")
    return "" if text == "-" else name if colon and port.isdigit() else text


def _severity(status: str) -> int | str:
    if not status.isdigit():
        return ""
    return 17 if status >= "500" else 13 if status >= "400" else 9


def _message(request: str, status: str) -> str:
    match = _REQUEST.fullmatch(request)
    asked = f"{match[1]} {match[2]}" if match else f"(bad request) {shorten(request)}" if request else "(no request)"
    return asked if status == "-" else f"{asked} {status}"


def recognise(head: Head) -> bool:
    """Return whether one of the first lines is of a web server or load balancer."""
    first = head.text.lstrip("\ufeff").splitlines()[:5]
    return any(_WEB.match(line) or _BROKEN.match(line) or _AWS.match(line) for line in first)


FORMAT = Format(
    name="accesslog",
    title="access logs of Apache, nginx and AWS load balancers",
    tested="real data",
    read=read,
    recognise=recognise,
    notes="network load balancers write no zone: declare time.zone",
)

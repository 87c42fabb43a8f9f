"""OpenTelemetry in OTLP JSON: logs, traces and metrics, as documents or as the collector's file exporter writes them.

Reads one document, a list or JSON lines of ``resourceLogs``, ``resourceSpans`` and ``resourceMetrics``, mixed
as they come, also below ``result`` or ``trace`` as the APIs of Jaeger and Tempo answer.
Tested against recorded data: the protocol's own examples and traces that Jaeger wrote.

==============================  =====================================================================
of the data                     becomes
==============================  =====================================================================
``service.name`` of the         system; ``host.name`` where there is none (metrics of hosts)
resource
log ``timeUnixNano``, else      time; 0 is no time
``observedTimeUnixNano``
``severityNumber``, else text   severity
``body``                        message; JSON text where it is a list or a map
span                            a row of spans; status ``ok``, ``error`` or empty; duration from start to end,
                                empty where no end can be read; the rest of it in raw
event of a span                 an event of kind ``log`` with the span's trace; an exception is an error
data point                      ``name{attribute="value",...}``, attributes sorted, and what of the
                                resource tells instances apart (`INSTANCE`)
histogram, exponential, summary ``name_count``, ``name_sum``, ``name_min``, ``name_max``; quantiles as
                                ``name{quantile="0.99"}``; buckets stay in the file
==============================  =====================================================================

Traps: 64-bit numbers are texts in JSON; nanoseconds that a program wrote as a float have lost their last
digits and are refused. Trace and span ids are hexadecimal in either case and are made lower case. A sum may
be of the time since the last report (delta) or since the start (cumulative): both keep their name, `raw`
says which. Two scopes of one service with a metric of one name cannot be told apart by name: the second is
rejected.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rca import times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources.documents import objects
from rca.sources.formats.prometheus import series_name
from rca.sources.items import Format, Head, Item, Reject, each, event, metric, span
from rca.times import Moment

__all__ = ["FORMAT", "INSTANCE", "read", "recognise"]

INSTANCE = (
    "service.namespace",
    "service.instance.id",
    "k8s.namespace.name",
    "k8s.pod.name",
    "container.id",
    "host.name",
)
_SIGNALS = {
    "resourceLogs": (("scopeLogs", "instrumentationLibraryLogs"), "logRecords"),
    "resourceSpans": (("scopeSpans", "instrumentationLibrarySpans"), "spans"),
    "resourceMetrics": (("scopeMetrics", "instrumentationLibraryMetrics"), "metrics"),
}
_POINTS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_STATUS = {1: "ok", 2: "error", "STATUS_CODE_OK": "ok", "STATUS_CODE_ERROR": "error"}
_LEVELS = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}
_ERROR = 17
_NO_VALUE = 1  # flag of a data point


class _Leaf(NamedTuple):
    """A log record, a span or a data point, with what stands above it."""

    signal: str
    resource: dict[str, Any]  # as received
    scope: dict[str, Any]
    held: dict[str, Any]
    metric: dict[str, Any]  # of a data point, without its points
    form: str  # of a data point: one of _POINTS


def recognise(head: Head) -> bool:
    """Return whether a file's head is OTLP JSON."""
    first = head.document[0] if isinstance(head.document, list) and head.document else head.document
    return isinstance(first, dict) and any(isinstance(_body(first).get(signal), list) for signal in _SIGNALS)


def _body(record: dict[str, Any]) -> dict[str, Any]:
    return next((record[name] for name in ("result", "trace") if isinstance(record.get(name), dict)), record)


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield events of log records and span events, spans, and metrics of data points.

    Parameters
    ----------
    path : Path
        JSON as the module describes it; JSON lines are read a line at a time.
    source : Source
        Nothing of it is needed.

    Yields
    ------
    Item or Reject
        Numbered through the file; the locator is a JSON pointer, behind its line in JSON lines.
    """
    scopes: dict[tuple[str, str], str] = {}

    def make(place: tuple[int, str], leaf: _Leaf) -> Iterable[Item]:
        if leaf.signal == "resourceLogs":
            return _log(place, leaf)
        return _span(place, leaf) if leaf.signal == "resourceSpans" else _points(place, leaf, scopes)

    return each(_leaves(path), make)


def _leaves(path: Path) -> Iterator[tuple[int, str, Any]]:
    number = 0
    for _, locator, record in objects(path):
        place = f"{locator} " if locator.startswith("line") else locator.rstrip("/")
        for pointer, leaf in [("", record.reason)] if isinstance(record, Reject) else _walk(record):
            number += 1
            where = (place + pointer).rstrip() or "/"
            yield number, where, Reject(number, where, leaf) if isinstance(leaf, str) else leaf


def _walk(record: dict[str, Any]) -> Iterator[tuple[str, _Leaf | str]]:
    """Yield JSON pointer and leaf, or the reason why there is none."""
    body = _body(record)
    base = next((f"/{name}" for name in ("result", "trace") if record.get(name) is body), "")
    if not any(signal in body for signal in _SIGNALS):
        yield base, f"not OTLP: wanted one of {', '.join(_SIGNALS)}"
    for signal, (scopes, leaves) in _SIGNALS.items():
        for above, resource in _listed(body, base, signal):
            if isinstance(resource, str):
                yield above, resource
                continue
            for inner, scope in _listed(resource, above, *scopes):
                if isinstance(scope, str):
                    yield inner, scope
                    continue
                over = _dict(resource, "resource"), _dict(scope, "scope", "instrumentationLibrary")
                for pointer, held in _listed(scope, inner, leaves):
                    if isinstance(held, str):
                        yield pointer, held
                    elif signal == "resourceMetrics":
                        yield from _of_metric(held, pointer, *over)
                    else:
                        yield pointer, _Leaf(signal, *over, held, {}, "")


def _of_metric(
    held: dict[str, Any], base: str, resource: dict[str, Any], scope: dict[str, Any]
) -> Iterator[tuple[str, _Leaf | str]]:
    forms = [form for form in _POINTS if isinstance(held.get(form), dict)]
    if not forms:
        yield base, f"metric {shorten(held.get('name'), 60)} is none of {', '.join(_POINTS)}"
    for form in forms:
        about = {key: value for key, value in held.items() if key != form}
        about[form] = {key: value for key, value in held[form].items() if key != "dataPoints"}
        for pointer, point in _listed(held[form], f"{base}/{form}", "dataPoints"):
            yield (
                pointer,
                point if isinstance(point, str) else _Leaf("resourceMetrics", resource, scope, point, about, form),
            )


def _listed(node: dict[str, Any], base: str, *keys: str) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Yield the objects of a list under one of `keys`, with their JSON pointers, or why they are none."""
    key = next((name for name in keys if name in node), keys[0])
    held = [] if node.get(key) is None else node[key]
    if not isinstance(held, list):
        yield f"{base}/{key}", f"expected a list, found {shorten(held, 40)}"
        return
    for index, item in enumerate(held):
        good = isinstance(item, dict)
        yield f"{base}/{key}/{index}", item if good else f"expected an object, found {shorten(item, 40)}"


def _dict(node: dict[str, Any], *keys: str) -> dict[str, Any]:
    held = next((node[name] for name in keys if name in node), None)
    return held if isinstance(held, dict) else {}


def _value(value: Any) -> Any:
    """Return what an any-value holds; 64-bit integers exactly, bytes as their base64 text."""
    if not isinstance(value, dict) or not value:
        return None
    ((kind, held),) = value.items()
    if kind == "intValue":
        return int(held)
    if kind == "arrayValue":
        return [_value(item) for item in (held or {}).get("values") or ()]
    if kind == "kvlistValue":
        return _pairs((held or {}).get("values"))
    if kind not in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
        raise InputError(f"unknown kind of value {shorten(kind, 40)}")
    return held


def _pairs(attributes: Any) -> dict[str, Any]:
    return {str(pair["key"]): _value(pair.get("value")) for pair in attributes or ()}


def _text(value: Any) -> str:
    """Return a value as text: as it is, or as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _time(*values: Any) -> Moment:
    """Return the first of some nanoseconds since 1970 that is set."""
    value = next((value for value in values if value not in (None, "", 0, "0")), None)
    if isinstance(value, (float, bool)):
        raise InputError(f"nanoseconds written as {value!r}: wanted a text or a whole number, a float loses digits")
    return times.moment(value, form="epoch_ns")


def _hex(value: Any) -> str:
    """Return an id as the others write it; one of zeros is none."""
    text = str(value or "").lower()
    return text if text.strip("0") else ""


def _system(resource: Mapping[str, Any]) -> str:
    return _text(resource.get("service.name") or resource.get("host.name") or "")


def _severity(record: dict[str, Any]) -> int | str:
    """Return the number, else the word; enumerations may be written by number or by name."""
    number = record.get("severityNumber") or 0
    name = str(number).removeprefix("SEVERITY_NUMBER_")
    word = name.rstrip("234")
    if word in _LEVELS and len(name) - len(word) <= 1:
        return _LEVELS[word] + int(name[len(word) :] or 1) - 1
    if type(number) is int and 1 <= number <= 24:
        return number
    if number not in (0, "SEVERITY_NUMBER_UNSPECIFIED"):
        raise InputError(f"severityNumber is {shorten(number, 40)}, wanted 1 to 24")
    return str(record.get("severityText") or "")


def _above(leaf: _Leaf, resource: dict[str, Any]) -> dict[str, Any]:
    """Return what attributes keep of resource and scope."""
    rest = {key: value for key, value in resource.items() if key != "service.name"}
    named = {"resource": rest, "scope": leaf.scope.get("name")}
    return {key: value for key, value in named.items() if value}


def _log(place: tuple[int, str], leaf: _Leaf) -> Iterator[Item]:
    record, resource = leaf.held, _pairs(leaf.resource.get("attributes"))
    name = str(record.get("eventName") or "")
    body = _value(record.get("body"))
    message = (_text(body).strip() if body is not None else "") or name or "(no text)"
    more = {"event_name": name, "span_id": _hex(record.get("spanId")), "severity_text": record.get("severityText")}
    yield event(
        place,
        {"resource": leaf.resource, "scope": leaf.scope, "record": record},
        time=_time(record.get("timeUnixNano"), record.get("observedTimeUnixNano")),
        system=_system(resource),
        kind="log",
        severity=_severity(record),
        message=message,
        trace_id=_hex(record.get("traceId")),
        attributes={
            **_pairs(record.get("attributes")),
            **{key: value for key, value in more.items() if value},
            **_above(leaf, resource),
        },
    )


def _span(place: tuple[int, str], leaf: _Leaf) -> Iterator[Item]:
    record, resource = leaf.held, _pairs(leaf.resource.get("attributes"))
    ids = {"trace_id": _hex(record.get("traceId")), "span_id": _hex(record.get("spanId"))}
    if not all(ids.values()):
        raise InputError("a span without traceId and spanId")
    status, start = record.get("status") or {}, _time(record.get("startTimeUnixNano"))
    yield span(
        place,
        {"resource": leaf.resource, "scope": leaf.scope, "record": record},
        **ids,
        parent_id=_hex(record.get("parentSpanId")),
        system=_system(resource),
        name=str(record.get("name") or ""),
        time=start,
        duration=_duration(start, record.get("endTimeUnixNano")),
        status=_STATUS.get(status.get("code"), ""),
    )
    for index, held in enumerate(record.get("events") or ()):
        found = _pairs(held.get("attributes"))
        failed = held.get("name") == "exception"
        told = [str(found[key]) for key in ("exception.type", "exception.message") if found.get(key)] if failed else []
        yield event(
            (place[0], f"{place[1]}/events/{index}"),
            {"resource": leaf.resource, **ids, "event": held},
            native_id=f"{ids['trace_id']} {ids['span_id']} {index}",
            time=_time(held.get("timeUnixNano")),
            system=_system(resource),
            kind="log",
            severity=_ERROR if failed else "",
            message=": ".join(told) or str(held.get("name") or "") or "(no text)",
            trace_id=ids["trace_id"],
            attributes={**found, "span_id": ids["span_id"], "span_name": record.get("name"), **_above(leaf, resource)},
        )


def _duration(start: Moment, end: Any) -> int | None:
    """Return how long a span took in nanoseconds; None where that is not known: the call was made all the same."""
    try:
        until = _time(end).ns
    except InputError:
        return None
    return None if start.ns is None or until is None else until - start.ns


def _points(place: tuple[int, str], leaf: _Leaf, scopes: dict[tuple[str, str], str]) -> Iterator[Item]:
    name, resource = leaf.metric.get("name"), _pairs(leaf.resource.get("attributes"))
    if not name:
        raise InputError("a metric without a name")
    point, system = leaf.held, _system(resource)
    above = {key: resource[key] for key in INSTANCE if resource.get(key) not in (None, "", system)}
    labels = {key: _text(value) for key, value in {**above, **_pairs(point.get("attributes"))}.items()}
    time = _time(point.get("timeUnixNano"))
    scope = str(leaf.scope.get("name") or "")
    raw = {"resource": leaf.resource, "scope": leaf.scope, "metric": leaf.metric, "point": point}
    for suffix, more, value in _numbers(point, leaf.form):
        series = series_name(f"{name}{suffix}", {**labels, **more})
        if scopes.setdefault((system, series), scope) != scope:
            raise InputError(
                f"{shorten(series)} of {shorten(system)} comes from two scopes, {shorten(scopes[system, series], 60)}"
                f" and {shorten(scope, 60)}; export them as two sources"
            )
        yield metric(place, raw, time=time, system=system, metric=series, value=value)


def _numbers(point: dict[str, Any], form: str) -> Iterator[tuple[str, dict[str, str], Any]]:
    """Yield what follows the name, further labels, and the value; missing where nothing was recorded."""
    absent = bool(int(point.get("flags") or 0) & _NO_VALUE)
    if form in ("gauge", "sum"):
        value = point.get("asInt", point.get("asDouble"))
        if value is None and not absent:
            raise InputError("a data point without asInt or asDouble")
        yield "", {}, "" if absent else value
        return
    for key in ("count", "sum", "min", "max"):
        if point.get(key) is not None:
            yield f"_{key}", {}, "" if absent else point[key]
    for quantile in point.get("quantileValues") or ():
        # A field that is 0 may be left out.
        yield "", {"quantile": str(quantile.get("quantile", 0))}, "" if absent else quantile.get("value", 0)


FORMAT = Format(
    name="otlp",
    title="OpenTelemetry logs, traces and metrics (OTLP JSON)",
    tested="real data",
    read=read,
    recognise=recognise,
    tables=("events", "spans", "metrics"),
    notes="buckets of histograms, exemplars and links of spans stay in the file",
)

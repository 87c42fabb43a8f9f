"""Alertmanager: webhook notifications (version 4) and the alert list of its API (v2).

Reads one notification, a list or JSON lines of them, and the lists of ``/api/v2/alerts`` and
``/api/v2/alerts/groups`` (of the older API too, below ``data``). Tested against a real server (Alertmanager 0.25).

A notification repeats every alert of its group as long as it fires, each time with the annotation texts of
the last evaluation; the list shows alerts that fire now. What happened are two events an alert, and each
record is taken apart into them:

========  =======================  ==================================================================
event     time                     identified by
========  =======================  ==================================================================
firing    ``startsAt``             ``fingerprint``, ``startsAt``; also made of a resolved notice, which
                                   says when the alert began
resolved  ``endsAt``               ``fingerprint``, ``startsAt``, ``endsAt``; severity is information
========  =======================  ==================================================================

Each event is made once a file, at the first notice that tells of it: its ``count`` is 1 however often people
were notified. What is hashed as the record are labels, fingerprint, status and times, which repeated
notices do not change; the times to the millisecond, as the list cuts them and notifications do not. The
whole record stays in the file at the locator. Annotations and ``generatorURL`` are in message and
attributes; where notices of one event differ in them, the longest and of these the first in the alphabet
are taken for all, so that the order of the notices does not matter. ``endsAt`` of a firing alert is the
year 1 in notifications and a guess of the server's in the list: it is no time of this alert and not read.

``labels``: the first of ``service``, ``service_name``, ``app``, ``job`` is the system, ``severity`` the
severity, ``alertname`` begins the message; ``fingerprint`` is ref.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from rca import files, times
from rca.errors import InputError, UnsafeInput, shorten
from rca.incident.model import Source
from rca.sources.batches import object_text
from rca.sources.documents import objects
from rca.sources.formats.prometheus import fetch, save, system_of
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.times import Moment

__all__ = ["FORMAT", "pull", "read", "recognise"]

MAX_PULL = 2**28
_TEXTS = ("summary", "message", "description", "title")

Texts = tuple[dict[str, Any], str, str]  # annotations, generatorURL, and the end where its notice is all there is


class _State(NamedTuple):
    """An alert that fired or was resolved: what of its record never changes, and when."""

    raw: dict[str, Any]
    time: Moment
    ends: str  # of a record that tells of the end as well

    @property
    def key(self) -> str:
        return " ".join(self.raw[name] for name in ("fingerprint", "startsAt", "status", "endsAt") if name in self.raw)


def recognise(head: Head) -> bool:
    """Return whether a file's head is a notification or an alert list."""
    first = head.document
    if isinstance(first, dict) and first.get("status") == "success" and isinstance(first.get("data"), list):
        first = first["data"]
    first = first[0] if isinstance(first, list) and first else first
    if not isinstance(first, dict):
        return False
    alerts = first.get("alerts")
    if alerts == [] and {"receiver", "groupKey"} <= set(first):
        return True
    alert = alerts[0] if isinstance(alerts, list) and alerts else first
    if not isinstance(alert, dict) or not isinstance(alert.get("labels"), dict):
        return False
    return "startsAt" in alert and ("fingerprint" in alert or "groupKey" in first)


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield the events of each alert in each notification.

    Parameters
    ----------
    path : Path
        JSON as the module describes it; read twice.
    source : Source
        Its zone is that of times that name none.

    Yields
    ------
    Item or Reject
        Events of kind ``alert``; a notification that left alerts out is rejected for these.
    """
    zone = source.time.zone
    best: dict[str, tuple[bool, int, str, Texts]] = {}
    for _, _, alert in _alerts(path):
        if isinstance(alert, dict) and _readable(alert, zone):
            texts = alert.get("annotations") or {}, str(alert.get("generatorURL") or "")
            for state in _states(alert, zone):
                # Of a firing alert what its own notices say, before what the notice of its end says.
                late = state.raw["status"] != _status(alert)
                told = object_text({"annotations": texts[0], "generator_url": texts[1]})
                found = late, -len(told), told, (*texts, state.ends if late else "")
                best[state.key] = min(best.get(state.key, found), found, key=lambda item: item[:3])

    made: set[str] = set()

    def make(place: tuple[int, str], alert: dict[str, Any]) -> Iterable[Item]:
        for state in _states(alert, zone):
            if state.key not in made:
                made.add(state.key)
                yield _event(place, state, best[state.key][3])

    return each(_alerts(path), make)


def _alerts(path: Path) -> Iterator[tuple[int, str, Any]]:
    number = 0
    for _, locator, record in objects(path, "data"):
        place = f"{locator} " if locator.startswith("line") else locator.rstrip("/")
        grouped = isinstance(record, dict) and isinstance(record.get("alerts"), list)
        for index, alert in enumerate(record["alerts"] if grouped else [record]):
            number += 1
            where = f"{place}/alerts/{index}" if grouped else locator
            if isinstance(alert, Reject):
                alert = Reject(number, where, alert.reason)
            elif not isinstance(alert, dict):
                alert = Reject(number, where, f"expected an alert, found {shorten(alert, 40)}")
            yield number, where, alert
        if grouped and record.get("truncatedAlerts"):
            number += 1
            where = f"{place}/truncatedAlerts"
            left = f"Alertmanager left {shorten(record['truncatedAlerts'], 20)} alerts out of this notification"
            yield number, where, Reject(number, where, left)


def _status(alert: dict[str, Any]) -> str:
    """Return firing or resolved; the list of the API holds a state of notification instead, and only what fires."""
    status = alert.get("status")
    return "firing" if isinstance(status, dict) and "state" in status else str(status)


def _states(alert: dict[str, Any], zone: str | None) -> list[_State]:
    """Return what an alert's record says happened: that it fired, and that it was resolved."""
    labels, status = alert.get("labels"), _status(alert)
    if not isinstance(labels, dict) or not isinstance(alert.get("annotations") or {}, dict):
        raise InputError("not an alert: wanted labels and annotations")
    if status not in ("firing", "resolved"):
        raise InputError(f"status is {shorten(status, 40)}, wanted firing or resolved")
    begin = times.moment(alert.get("startsAt"), zone_name=zone)
    name = str(alert.get("fingerprint") or files.canonical_json(labels, indent=None))
    raw = {"labels": labels, "fingerprint": name, "startsAt": _milliseconds(begin, "startsAt")}
    if status == "firing":
        return [_State({**raw, "status": "firing"}, begin, "")]
    end = times.moment(alert.get("endsAt"), zone_name=zone)
    ends = _milliseconds(end, "endsAt")
    return [
        _State({**raw, "status": "firing"}, begin, ends),
        _State({**raw, "status": "resolved", "endsAt": ends}, end, ends),
    ]


def _readable(alert: dict[str, Any], zone: str | None) -> bool:
    try:
        return bool(_states(alert, zone))
    except InputError:
        return False


def _milliseconds(time: Moment, name: str) -> str:
    """Return a time as the API writes it; notifications write all digits of the same time."""
    if time.ns is None:
        raise InputError(f"an alert without {name}")
    return str(pd.Timestamp(time.ns, unit="ns", tz="UTC").isoformat(timespec="milliseconds"))


def _event(place: tuple[int, str], state: _State, texts: Texts) -> Item:
    annotations, generator, ends = texts
    raw = state.raw
    labels, status = raw["labels"], raw["status"]
    text = next((str(annotations[key]) for key in _TEXTS if annotations.get(key)), "")
    return event(
        place,
        raw,
        native_id=state.key,
        time=state.time,
        system=system_of(labels)[1],
        kind="alert",
        severity=str(labels.get("severity", "")) if status == "firing" else "info",
        message=f"{labels.get('alertname') or 'alert'} {status}{f': {text}' if text else ''}",
        ref=raw["fingerprint"],
        attributes={
            "status": status,
            "starts_at": raw["startsAt"],
            "labels": labels,
            "annotations": annotations,
            "generator_url": generator,
            **({"ends_at": ends} if ends else {}),
        },
    )


def pull(url: str, *, into: str | Path) -> Path:
    """Save the alerts that a server holds now, silenced and inhibited ones too.

    Parameters
    ----------
    url : str
        The server, such as ``http://localhost:9093``. A bearer token is taken from ``ALERTMANAGER_TOKEN``.
    into : str or Path
        Folder for the file.

    Returns
    -------
    Path
        ``alertmanager-<hash of the content>.json``, the server's own bytes.

    Raises
    ------
    InputError
        If the server cannot be reached or refuses.
    UnsafeInput
        If the answer is larger than 256 MiB.

    Notes
    -----
    Alertmanager keeps no history: resolved alerts are soon gone, only notifications tell of them.
    """
    params = dict.fromkeys(("active", "silenced", "inhibited", "unprocessed"), "true")
    body = fetch(url, "/api/v2/alerts", params, token="ALERTMANAGER_TOKEN", limit=MAX_PULL)
    if body is None:
        raise UnsafeInput(f"{url}: more than {MAX_PULL:,} bytes of alerts")
    return save(body, Path(into), "alertmanager", "json")


FORMAT = Format(
    name="alertmanager",
    title="Alertmanager notifications (webhook) and alert list",
    tested="real server",
    read=read,
    recognise=recognise,
    notes="the list of the API holds what fires now; that an alert was resolved is known from notifications only",
)

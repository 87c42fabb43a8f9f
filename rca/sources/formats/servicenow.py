"""ServiceNow: rows of the Table API (``{"result": [...]}``) or a CSV export: incidents, changes, audit.

Which table a row is of is told by its fields: ``fieldname`` and ``documentkey`` (``sys_audit``), ``element`` and
``element_id`` (``sys_journal_field``: comments and work notes), a number with CHG or planned dates
(``change_request``), else a task such as an incident.

==========  ==============================================================================================
column      field
==========  ==============================================================================================
time        incident: ``opened_at`` (else ``sys_created_on``), ``work_start``, ``reopened_time``, ``resolved_at``,
            ``closed_at``, an event each; change: ``work_start`` to ``work_end``; audit: ``sys_created_on``
system      ``cmdb_ci``, else ``business_service``
kind        ticket; config_change for the work of a change; handed_over where the audit names another assignee or group
severity    ``priority`` 1 to 5: 21, 17, 13, 10, 9
message     number, what happened, ``short_description``; for audit field, old and new value
actor       ``opened_by``, ``resolved_by``, ``closed_by``; ``assigned_to`` of a change; ``user`` of the audit
ref         ``number``, else ``documentkey``
attributes  ``state`` (opened, work_started, resolved, closed), code and words of the state, planned dates
==========  ==============================================================================================

Traps: all values are text, and no time names its zone: declare it (stored values are in UTC, displayed ones in the zone
of who exported). Of a pair ``{"display_value", "value"}`` the stored ``value`` is used, which is UTC: declare UTC; with
another zone the two must agree. A change that was planned and for which no work is recorded is undated: it lies in its
planned interval. ``opened_at`` can be set back, ``sys_created_on`` cannot. State codes differ between tables.
Two exports of one task give its opening once, as the later (``sys_updated_on``) has it, and each resolution and
closing with its time.

Tested against the documented format only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from rca import times
from rca.errors import InputError, shorten
from rca.incident.model import Source
from rca.sources import documents
from rca.sources.formats.timesketch import csv_rows
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.times import Moment

__all__ = ["FORMAT", "read", "recognise"]

_SEVERITY = {"1": 21, "2": 17, "3": 13, "4": 10, "5": 9}
_JOURNAL = frozenset({"element", "element_id", "value"})
_AUDIT = frozenset({"documentkey", "fieldname", "newvalue"})
_UNDATED = Moment(None, "", "")
_STEPS = (
    ("opened", "opened_at", "opened_by"),
    ("work_started", "work_start", "assigned_to"),
    ("reopened", "reopened_time", "reopened_by"),
    ("resolved", "resolved_at", "resolved_by"),
    ("closed", "closed_at", "closed_by"),
)


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield an event each time that a row names.

    Parameters
    ----------
    path : Path
        JSON of the Table API, JSON lines, or CSV with the fields' own names.
    source : Source
        Its entry in ``incident.yaml``, with the zone, and the format where a CSV has another than
        ``YYYY-MM-DD HH:MM:SS``.

    Yields
    ------
    Item or Reject
        Every row is a reject as long as no zone is declared.
    """
    first = next(documents.lines(path), (0, "", ""))[2]
    plain = isinstance(first, Reject) or not first.lstrip().startswith(("{", "["))
    records = csv_rows(path, source) if plain else documents.objects(path, "result", "records")
    yield from each(records, lambda place, record: _events(place, record, source))


def _events(place: tuple[int, str], record: dict[str, Any], source: Source) -> list[Item]:
    if isinstance(record.get("result"), dict):  # one row, as asked for by its sys_id
        record = record["result"]
    if set(record) >= _JOURNAL:
        return [_journal(place, record, source)]
    if set(record) >= _AUDIT:
        return [_audit(place, record, source)]
    if not _value(record, "number"):
        raise InputError("neither a task with a number nor a row of sys_audit; ServiceNow's own field names are needed")
    change = _value(record, "number").startswith("CHG") or _value(record, "sys_class_name") == "change_request"
    planned = [_time(record, name, source) for name in ("start_date", "end_date")]
    change = change or any(moment.ns is not None for moment in planned)
    items = [
        _step(place, record, state, moment, who, source)
        for state, name, who in _STEPS
        if not (change and state == "work_started")
        and (moment := _time(record, name, source) if state != "opened" else _opened(record, source)).ns is not None
    ]
    if change:
        items += _work(place, record, planned, source)
    if not items:
        raise InputError(
            f"{_value(record, 'number')}: none of opened_at, sys_created_on, resolved_at, closed_at is given"
        )
    return items


def _opened(record: dict[str, Any], source: Source) -> Moment:
    moment = _time(record, "opened_at", source)
    return moment if moment.ns is not None else _time(record, "sys_created_on", source)


def _step(place: tuple[int, str], record: dict[str, Any], state: str, moment: Moment, who: str, source: Source) -> Item:
    title = _shown(record, "short_description") or _shown(record, "description")
    return event(
        place,
        record,
        native_id=_native(record, state if state == "opened" else f"{state}:{moment.ns}"),
        time=moment,
        kind="ticket",
        message=": ".join(filter(None, (f"{_value(record, 'number')} {state.replace('_', ' ')}", title))),
        actor=_shown(record, who) or (_shown(record, "sys_created_by") if state == "opened" else ""),
        **_common(record, state=state, modified=_modified(record, source)),
    )


def _work(place: tuple[int, str], record: dict[str, Any], planned: list[Moment], source: Source) -> list[Item]:
    """Return the work of a change, when it was done, or the interval that it was planned for."""
    start, end = _time(record, "work_start", source), _time(record, "work_end", source)
    if start.ns is None and end.ns is None and planned[0].ns is None:
        return []
    moments = {"time": start, "time_end": end}
    if start.ns is None:
        moments = {
            "time": _UNDATED,
            "time_earliest": planned[0],
            "time_latest": end if end.ns is not None else planned[1],
        }
    title = _shown(record, "short_description")
    more = {"planned_start": planned[0].text, "planned_end": planned[1].text, "type": _shown(record, "type")}
    return [
        event(
            place,
            record,
            native_id=_native(record, "work"),
            kind="config_change",
            message=": ".join(filter(None, (f"{_value(record, 'number')} change", title))),
            actor=_shown(record, "assigned_to"),
            **moments,
            **_common(record, **more, only_planned=start.ns is None, modified=_modified(record, source)),
        )
    ]


def _modified(record: dict[str, Any], source: Source) -> str:
    """Return when the row was written, in UTC: of two exports of a task, the later one is kept."""
    try:
        moment = _time(record, "sys_updated_on", source)
    except InputError:
        return ""
    return "" if moment.ns is None else times.show(pd.Timestamp(moment.ns, unit="ns", tz="UTC"))


def _common(record: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the columns that all events of a task share."""
    names = ("impact", "urgency", "category", "close_code", "assignment_group", "caller_id", "sys_created_on")
    attributes = {
        **more,
        "state_code": _value(record, "state"),
        "state_words": _shown(record, "state"),
        **{name: _shown(record, name) for name in names},
    }
    return {
        "system": _shown(record, "cmdb_ci") or _shown(record, "business_service"),
        "severity": _SEVERITY.get(_value(record, "priority")[:1], ""),
        "ref": _value(record, "number"),
        "attributes": {name: value for name, value in attributes.items() if value not in ("", False)},
    }


def _journal(place: tuple[int, str], record: dict[str, Any], source: Source) -> Item:
    field = _value(record, "element")
    attributes = {"table": _value(record, "name"), "field": field}
    return event(
        place,
        record,
        native_id=_value(record, "sys_id"),
        time=_time(record, "sys_created_on", source),
        system="",
        kind="ticket",
        message=f"{field.replace('_', ' ')}: {_shown(record, 'value')}",
        actor=_shown(record, "sys_created_by"),
        ref=_value(record, "element_id"),
        attributes={name: value for name, value in attributes.items() if value},
    )


def _audit(place: tuple[int, str], record: dict[str, Any], source: Source) -> Item:
    field, before, after = (_shown(record, name) or "(none)" for name in ("fieldname", "oldvalue", "newvalue"))
    handed = field in ("assigned_to", "assignment_group") and after != "(none)"
    attributes = {
        "table": _value(record, "tablename"),
        "field": field,
        "old": _value(record, "oldvalue"),
        "new": _value(record, "newvalue"),
        "to": after if handed else "",
        "reason": _shown(record, "reason"),
    }
    return event(
        place,
        record,
        native_id=_value(record, "sys_id"),
        time=_time(record, "sys_created_on", source),
        system="",
        kind="handed_over" if handed else "ticket",
        message=f"{_value(record, 'tablename')} {field}: {before} -> {after}".strip(),
        actor=_shown(record, "user") or _shown(record, "sys_created_by"),
        ref=_value(record, "documentkey"),
        attributes={name: value for name, value in attributes.items() if value},
    )


def _native(record: dict[str, Any], state: str) -> str:
    """Return the id of what happened to a task: a task can be resolved several times, but is opened once."""
    return f"{_value(record, 'sys_id') or _value(record, 'number')}:{state}"


def _value(record: dict[str, Any], name: str) -> str:
    """Return what is stored: a text, or the ``value`` of a pair or link."""
    cell = record.get(name)
    cell = cell.get("value") if isinstance(cell, dict) else cell
    return "" if cell is None else str(cell).strip()


def _shown(record: dict[str, Any], name: str) -> str:
    """Return what people see of a field, else what is stored."""
    cell = record.get(name)
    words = cell.get("display_value") if isinstance(cell, dict) else None
    return str(words).strip() if words else _value(record, name)


def _time(record: dict[str, Any], name: str, source: Source) -> Moment:
    text, zone = _value(record, name), source.time.zone
    cell = record.get(name)
    try:
        if not (isinstance(cell, dict) and cell.get("display_value") and text) or zone in (None, "UTC"):
            return times.moment(text, form=source.time.format, zone_name=zone)
        shown = times.moment(str(cell["display_value"]), form=source.time.format, zone_name=zone)
        if times.moment(text, form=source.time.format, zone_name="UTC").ns == shown.ns:
            return shown
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    raise InputError(
        f"{name}: displayed {shorten(cell['display_value'], 30)} in {zone} is not the stored {shorten(text, 30)}"
        " in UTC; declare UTC to go by what is stored"
    )


def recognise(head: Head) -> bool:
    """Return whether rows have ServiceNow's field names."""
    if head.names:
        return _is_row(set(head.names))
    content = head.document
    if isinstance(content, dict):
        content = next(
            (content[name] for name in ("result", "records") if isinstance(content.get(name), (list, dict))), content
        )
    first = content[0] if isinstance(content, list) and content else content
    return isinstance(first, dict) and _is_row(set(first))


def _is_row(names: set[str]) -> bool:
    task = "number" in names and bool({"opened_at", "sys_created_on", "sys_id"} & names)
    return (
        names >= _AUDIT
        or (names >= _JOURNAL and "sys_created_on" in names)
        or (task and bool({"short_description", "opened_at", "sys_class_name", "state"} & names))
    )


FORMAT = Format(
    name="servicenow",
    title="ServiceNow incidents, changes and audit, Table API or CSV",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="No time names its zone: declare it. A row shows the present state; sys_audit has what was between.",
)

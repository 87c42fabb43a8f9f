"""Annotations: tags, notes, milestones and links that people put on events, kept apart from the events.

``annotations.jsonl`` in the incident folder is only ever added to, and keyed by event_id: a new import of the
exports never loses an annotation, also when the event is no longer among them. To take one back is another
line. Two copies of the file may be joined line by line (the same line twice counts once).

Each line's SHA-256 goes into the custody log of the folder (`rca.custody`), so a line that was changed or removed
later is named; ``rca manifest PATH --accept`` takes the lines as they are, with an entry that says so.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from rca import custody, files, journal, times, vocabulary
from rca.errors import InputError, UnknownName, did_you_mean, raise_all, shorten
from rca.times import UTC

__all__ = ["FILE", "KINDS", "add", "retract", "table", "verify", "with_events"]

FILE = custody.ANNOTATIONS
KINDS = ("tag", "note", "milestone", "link")
_LIMITS = {"tag": 100, "note": 10_000, "milestone": 100, "link": 2000, "event_id": 200, "author": 200, "reason": 2000}
_KEYS = {"id", "event_id", "kind", "value", "author", "time"}
_RETRACTION = {"id", "retracts", "reason", "author", "time"}
_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def add(
    folder: str | Path,
    event_id: str,
    *,
    tag: str = "",
    note: str = "",
    milestone: str = "",
    link: str = "",
    author: str = "",
    time: str | pd.Timestamp | None = None,
) -> str:
    """Put a tag, a note, a milestone or a link on an event.

    Parameters
    ----------
    folder : str or Path
        The incident folder.
    event_id : str
        As in the table of events; it need not be there (yet).
    tag : str
        One word or a few, on one line; at most 100 characters.
    note : str
        Text; at most 10,000 characters.
    milestone : str
        An id of the vocabulary ``milestones``.
    link : str
        A web address (http or https), or the id of another event; at most 2,000 characters.
    author : str, default ""
        Who, by role; else the environment variable ``RCA_ACTOR``; else "not named". Never the login name.
    time : str or Timestamp, optional
        When it was said, with its zone; default now.

    Returns
    -------
    str
        The id of the annotation.

    Raises
    ------
    UnknownName
        If the milestone is none of the vocabulary.
    InputError
        If not exactly one of the four is given, a text is empty or too long, a link is of another kind, or a
        time has no zone.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = add(folder, "e1", tag="customer-visible", author="on-call")
    ...     _ = add(folder, "e1", note="Seen by support as well.", author="support lead")
    ...     retract(folder, first, author="on-call", reason="internal only")
    ...     table(folder)[["event_id", "kind", "value"]].values.tolist()
    [['e1', 'note', 'Seen by support as well.']]
    """
    given = {"tag": tag, "note": note, "milestone": milestone, "link": link}
    chosen = [(kind, text.strip()) for kind, text in given.items() if text.strip()]
    if len(chosen) != 1:
        raise InputError(f"an annotation is one of {', '.join(KINDS)}; {len(chosen)} are given")
    kind, value = chosen[0]
    line = {"event_id": event_id, "kind": kind, "value": value, "author": _author(author), "time": _time(time)}
    problem = _problem(line)
    if problem:
        raise (UnknownName if problem.startswith("milestone") else InputError)(problem)
    return _append(folder, line)


def retract(
    folder: str | Path, annotation: str, *, reason: str = "", author: str = "", time: str | pd.Timestamp | None = None
) -> None:
    """Take an annotation back; its line and this one both stay.

    Parameters
    ----------
    folder : str or Path
        The incident folder.
    annotation : str
        The id that `add` returned.
    reason : str, default ""
        Why; at most 2,000 characters.
    author, time
        As in `add`.

    Raises
    ------
    UnknownName
        If there is no such annotation.
    InputError
        As `add`.
    """
    known = {record["id"] for _, record, _ in _read(folder) if record and "kind" in record}
    if annotation not in known:
        raise UnknownName(f"{FILE}: no annotation {shorten(annotation)}{did_you_mean(annotation, known)}")
    line = {"retracts": annotation, "reason": reason, "author": _author(author), "time": _time(time)}
    raise_all([problem for problem in [_problem(line)] if problem])
    _append(folder, line)


def table(folder: str | Path, event_ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Return the annotations that stand, in the order of the file.

    Parameters
    ----------
    folder : str or Path
        The incident folder.
    event_ids : iterable of str, optional
        Ids of the events that there are.

    Returns
    -------
    DataFrame
        One row an annotation that was not retracted. Columns: ``id``, ``event_id``, ``kind`` (`KINDS`), ``value``,
        ``author``, ``time`` (UTC, when it was said), ``line``, ``known`` (boolean: whether the event is among
        `event_ids`; empty when these are not given). An annotation of an unknown event stays.

    Notes
    -----
    Lines that cannot be read are left out here; `verify` names them.
    """
    rows: dict[str, dict[str, Any]] = {}
    retracted = set()
    for number, record, _ in _read(folder):
        if record and "kind" in record:
            rows.setdefault(record["id"], record | {"line": number})
        elif record:
            retracted.add(record["retracts"])
    columns = {"id": "str", "event_id": "str", "kind": "str", "value": "str", "author": "str", "time": UTC}
    standing = [row for key, row in rows.items() if key not in retracted]
    found = pd.DataFrame(standing, columns=[*columns, "line"])
    found["time"] = pd.to_datetime(found["time"], utc=True, format="ISO8601")
    found["known"] = pd.array([pd.NA] * len(found), dtype="boolean")
    if event_ids is not None:
        found["known"] = found["event_id"].isin(set(event_ids)).astype("boolean")
    return found.astype(columns | {"line": "int64"})


def verify(folder: str | Path, event_ids: Iterable[str] | None = None) -> list[str]:
    """Return what is wrong with the annotations in words; none is good.

    Parameters
    ----------
    folder : str or Path
        The incident folder.
    event_ids : iterable of str, optional
        Ids of the events that there are.

    Returns
    -------
    list of str
        Lines that cannot be read or were cut short, retractions of nothing, lines that are not as the custody log
        says, and annotations of events that are not (or no longer) there.
    """
    found = _read(folder)
    problems = [f"{FILE}: line {number}: {problem}" for number, _, problem in found if problem]
    known = {record["id"] for _, record, _ in found if record and "kind" in record}
    for number, record, _ in found:
        if record and "retracts" in record and record["retracts"] not in known:
            problems.append(f"{FILE}: line {number}: retracts {shorten(record['retracts'])}, which is not there")
    named = tuple(f"{FILE}: line {number}: " for number, _, problem in found if problem)
    problems += [line for line in custody.changed_annotations(folder) if not line.startswith(named)]
    standing = table(folder, event_ids)
    for row in standing[standing["known"].eq(False).fillna(False)].itertuples():
        what = f"{row.kind} on event {shorten(row.event_id)}, which is not among the events"
        problems.append(f"{FILE}: line {row.line}: {what}")
    return problems


def with_events(annotations: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return annotations beside the events that they are put on.

    Parameters
    ----------
    annotations : DataFrame
        From `table`.
    events : DataFrame
        Schema ``events``; it need not hold all of them.

    Returns
    -------
    DataFrame
        One row an annotation, in order of the events' times and then of the file; those of undated and of missing
        events last. Columns: ``when`` (of the event, in words; empty when undated), ``system`` and ``message`` of the
        event, ``annotation`` (`KINDS`), ``text``, ``by``, ``said`` (UTC, when it was said), ``remark`` (that the event
        is not among `events`, or what a link leads to), ``event_id``, ``id``.

    Examples
    --------
    >>> from rca import schema
    >>> event = {"event_id": ["e1"], "time": [pd.Timestamp("2025-01-01T09:00Z")], "system": ["api"],
    ...          "kind": ["alert"], "message": ["Errors"]}
    >>> said = pd.DataFrame({"id": ["a", "b"], "event_id": ["e9", "e1"], "kind": ["tag", "link"],
    ...                      "value": ["x", "e9"], "author": "on-call", "time": pd.Timestamp("2025-01-02T09:00Z")})
    >>> with_events(said, schema.check(pd.DataFrame(event), "events"))[["when", "text", "remark"]].values.tolist()
    [['2025-01-01 09:00 UTC', 'e9', 'leads to an event that is not among the exports'],
     ['', 'x', 'the event is not among the exports']]
    """
    wanted = {*annotations["event_id"], *annotations["value"]}
    there = events[events["event_id"].isin(wanted)].drop_duplicates("event_id")
    known = {row.event_id: (_when(row), row.system, row.message) for row in there.itertuples()}
    at = there.set_index("event_id")
    rows = [
        (
            *known.get(row.event_id, ("", "", "")), row.kind, row.value, row.author, row.time,
            _remark(row, known), row.event_id, row.id,
        )
        for row in annotations.itertuples()
    ]  # fmt: skip
    columns = ["when", "system", "message", "annotation", "text", "by", "said", "remark", "event_id", "id"]
    out = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns, "str") | {"said": UTC})
    place = at["time"].fillna(at["time_earliest"]).reindex(out["event_id"]).array
    missing = ~out["event_id"].isin(list(known))
    order = pd.DataFrame({"missing": missing, "place": place}).sort_values(["missing", "place"], kind="stable")
    return out.loc[order.index].reset_index(drop=True)


def _when(event: Any) -> str:
    if pd.notna(event.time):
        return times.show(event.time)
    ends = [times.show(end) for end in (event.time_earliest, event.time_latest) if pd.notna(end)]
    return " to ".join(dict.fromkeys(ends))


def _remark(annotation: Any, known: Mapping[str, tuple[str, str, str]]) -> str:
    """Return what a reader must know of an annotation: that its event is missing, what its link leads to."""
    said = [] if annotation.event_id in known else ["the event is not among the exports"]
    if annotation.kind == "link" and not _SCHEME.match(annotation.value):
        linked = known.get(annotation.value)
        what = " ".join(filter(None, linked)) if linked else "an event that is not among the exports"
        said.append(f"leads to {what}")
    return "; ".join(said)


def _append(folder: str | Path, line: Mapping[str, str]) -> str:
    number = custody.number_of(line)
    custody.annotate(folder, {"id": number, **line}, actor=line["author"])
    return number


def _author(author: str) -> str:
    return author.strip() or os.environ.get("RCA_ACTOR", "").strip() or "not named"


def _time(time: str | pd.Timestamp | None) -> str:
    if time is None:
        time = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
    moment = times.parse(time if isinstance(time, str) else time.isoformat())
    return str(moment.isoformat()).replace("+00:00", "Z")


def _problem(line: Mapping[str, str]) -> str:
    """Return what is wrong with the texts of an annotation or a retraction; empty when nothing is."""
    if "event_id" in line and not line["event_id"].strip():
        return "event_id is empty"
    kind = line.get("kind", "")
    texts = {kind: line["value"]} if kind else {}
    texts |= {name: line[name] for name in ("event_id", "author", "reason") if name in line}
    for name, text in texts.items():
        if len(text) > _LIMITS[name]:
            return f"{name}: {len(text):,} characters, more than the limit of {_LIMITS[name]:,}"
        if _CONTROL.search(text) or (name not in ("note", "reason") and "\n" in text):
            return f"{name}: {shorten(text)} has a control character or a second line"
    if kind == "milestone" and line["value"] not in vocabulary.ids("milestones"):
        return f"milestone: {shorten(line['value'])}{did_you_mean(line['value'], vocabulary.ids('milestones'))}"
    scheme = _SCHEME.match(line["value"]) if kind == "link" else None
    if scheme and scheme[1].lower() not in ("http", "https"):
        return f"link: {shorten(line['value'])} is neither a web address nor the id of an event"
    return ""


def _read(folder: str | Path) -> list[tuple[int, dict[str, str] | None, str]]:
    """Return (line number, record or None, problem) of each line."""
    return [(line.number, *_record(line)) for line in journal.read(files.inside(folder, FILE))]


def _record(line: journal.Line) -> tuple[dict[str, str] | None, str]:
    try:
        record = json.loads(line.content)
    except (ValueError, RecursionError):
        return None, f"cannot be read ({len(line.content)} bytes): edited, or cut short by a process that was stopped"
    if not isinstance(record, dict) or set(record) not in (_KEYS, _RETRACTION):
        return None, "is no annotation"
    if not all(isinstance(value, str) for value in record.values()) or record.get("kind", "tag") not in KINDS:
        return None, "is no annotation"
    try:
        times.parse(record["time"])
    except InputError as error:
        return None, str(error)
    problem = _problem(record)
    return (None, problem) if problem else (record, "")

"""Records of two sources that carry the same identifier: what clocks can be compared by."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

import pandas as pd

from rca.errors import InputError, raise_all, shorten
from rca.systems.clocks.skew import typed
from rca.times import UTC

__all__ = ["FEW", "anchors", "specific"]

FEW = 3  # rows of one source that may share an identifier; traces and parents may have more
_TRACE = 16  # characters of the id of a trace that may be figures alone: 64 bits, in hexadecimal or decimal
_TYPES = {
    "identifier": "str", "kind": "str", "source_a": "str", "source_b": "str", "time_a": UTC, "time_b": UTC,
    "first": "str", "event_a": "str", "event_b": "str",
}  # fmt: skip
_TICKET = re.compile(r"[A-Z][A-Z0-9_]{1,15}-\d{1,9}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{7,128}", re.ASCII)
_WORDED = re.compile(r"[\w.:/@#+=-]{10,200}", re.ASCII)
_DATED = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|://|\d{1,3}(\.\d{1,3}){3}", re.ASCII)
_PARENT = re.compile(r"parent", re.IGNORECASE)
# Event kinds of which the one cannot come before the other, when both name the same thing.
_ORDER = {
    ("commit", "training_run"), ("commit", "model_version"), ("commit", "deploy"), ("training_run", "model_version"),
    ("training_run", "deploy"), ("model_version", "deploy"), ("deploy", "rollback"), ("alert", "notified"),
    ("alert", "escalated"), ("notified", "escalated"),
}  # fmt: skip


class _Seen(NamedTuple):
    """One identifier in one row."""

    source: str
    via: str  # trace, ref, parent, or attribute
    row: int


def anchors(events: pd.DataFrame) -> pd.DataFrame:
    """Pair the rows of different sources that carry the same identifier.

    Parameters
    ----------
    events : DataFrame
        Schema ``events``; undated rows are passed over.

    Returns
    -------
    DataFrame
        One row a pair of events: ``identifier``; ``kind`` (``trace``, ``ref``, ``attribute``, or ``parent`` and
        ``parent end`` for the calls of a trace); ``source_a``, ``source_b`` (in order of name); ``time_a``, ``time_b``
        (UTC); ``first`` (``a`` or ``b`` where that one must come first, else empty); ``event_a``, ``event_b``.

    Raises
    ------
    InputError
        If a column is missing, or attributes are no JSON object.

    Notes
    -----
    Taken from ``trace_id``, ``ref`` and the values in ``attributes``. Only specific ones count: UUIDs, hashes (a
    short one matches the full one that begins with it), ticket keys, and texts of ten characters or more with
    digits; no times, addresses or plain words; figures alone only as a ``trace_id`` of 16 or more, which is declared
    as an identifier; and, but for traces, in at most three rows of a source. `rca.clocks.shared` says what is left out.
    Where both sources have as many rows of a kind, they pair in order; else the first with the first.

    The order is known for calls (a parent starts before its child and, when it waits for it, ends after it) and for
    kinds of events such as commit and deploy. Anchors of one direction only tell offset plus delay; of both, they
    bound the offset. Where a trace has calls between two sources, its first records are not paired as well.

    Examples
    --------
    >>> from rca import schema
    >>> rows = {"time": pd.to_datetime(["2025-03-01T09:00Z", "2025-03-01T09:02Z"]), "kind": "log", "message": "m",
    ...         "source": ["app", "gateway"], "trace_id": "5b8aa5a2d2c872e8321cf37308d69df2"}
    >>> anchors(schema.check(pd.DataFrame(rows), "events"))[["kind", "source_a", "source_b"]].to_dict("records")
    [{'kind': 'trace', 'source_a': 'app', 'source_b': 'gateway'}]
    """
    needed = ("event_id", "time", "time_end", "kind", "ref", "trace_id", "attributes", "source")
    raise_all([f"events: required column {name!r} is missing" for name in needed if name not in events.columns])
    dated = events[events["time"].notna()].reset_index(drop=True)
    table = dated.sort_values("time", kind="stable").reset_index(drop=True)
    found: dict[tuple[int, int, str], list[Any]] = {}
    called: set[tuple[str, str, str]] = set()
    seen = _seen(table)
    # Calls first: where they are known, the trace's first records say less.
    for identifier in sorted(seen, key=lambda name: not any(one.via == "parent" for one in seen[name])):
        for row_a, row_b, kind, first in _pairs(seen[identifier], table):
            sources = table["source"].iat[row_a], table["source"].iat[row_b]
            trace = str(table["trace_id"].iat[row_a])
            if kind.startswith("parent"):
                called.add((trace, *sources))
            elif kind == "trace" and (identifier, *sources) in called:
                continue
            column = "time_end" if kind == "parent end" else "time"
            ends = table[column].iat[row_a], table[column].iat[row_b]
            ids = table["event_id"].iat[row_a], table["event_id"].iat[row_b]
            found.setdefault((row_a, row_b, column), [identifier, kind, *sources, *ends, first, *ids])
    out = typed(list(found.values()), _TYPES)
    return out.sort_values(["source_a", "source_b", "time_b", "identifier"], kind="stable", ignore_index=True)


def _seen(table: pd.DataFrame) -> dict[str, list[_Seen]]:
    """Return where each specific identifier occurs, for those of at least two sources."""
    found: dict[str, list[_Seen]] = defaultdict(list)
    columns = (table[name] for name in ("source", "trace_id", "ref", "attributes"))
    for row, (source, trace, ref, attributes) in enumerate(zip(*columns, strict=True)):
        carried: dict[str, str] = {}
        if attributes:
            for key, value in _values(_loaded(attributes, table["event_id"].iat[row])):
                if (name := specific(value)) is not None:
                    carried[name] = "parent" if _PARENT.search(key) else carried.get(name, "attribute")
        for text, via in ((ref, "ref"), (trace, "trace")):
            if (name := specific(text, trace=via == "trace")) is not None:
                carried[name] = via
        for name, via in carried.items():
            found[name].append(_Seen(source, via, row))
    for short, full in _short_hashes(found).items():
        found[full] += found.pop(short)
    return {
        name: sorted(places, key=lambda one: one.row)
        for name, places in found.items()
        if len({place.source for place in places}) > 1
    }


def _loaded(attributes: str, event: str) -> dict[str, Any]:
    try:
        content = json.loads(attributes)
    except json.JSONDecodeError as error:
        raise InputError(f"events: attributes of {shorten(event)} are no JSON ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"events: attributes of {shorten(event)} are no JSON object")
    return content


def _values(content: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield (key, text) for each text in nested JSON."""
    waiting = [(key, content)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, dict):
            waiting += [(str(name), inner) for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(key, inner) for inner in value]


def specific(text: str, *, trace: bool = False) -> str | None:
    """Return an identifier in its plain form, or None when others could carry the same text by chance.

    Parameters
    ----------
    text : str
        As a record carries it.
    trace : bool, default False
        Whether the record says that it is the id of a trace.

    Examples
    --------
    >>> specific("c0ffee-11"), specific("1234567890123456"), specific("1234567890123456", trace=True)
    ('c0ffee11', None, '1234567890123456')
    """
    if _TICKET.fullmatch(text):
        return text
    plain = text.lower().replace("-", "")
    digits = sum(mark.isdigit() for mark in plain)
    if _HEX.fullmatch(plain):
        if plain == plain[0] * len(plain):
            return None
        # Figures alone may be a count or a time; hashes of some length have letters too.
        return plain if 0 < digits < len(plain) or (trace and len(plain) >= _TRACE) else None
    if not _WORDED.fullmatch(text) or digits < 2 or _DATED.search(text) or _is_number(text):
        return None
    return text


def _is_number(text: str) -> bool:
    """Return whether a text is a number; message ids of chats look like one, and are six places of a second."""
    return re.fullmatch(r"[+-]?\d+(\.\d{1,5}|\.\d{7,})?([eE][+-]?\d+)?", text, re.ASCII) is not None


def _short_hashes(found: dict[str, list[_Seen]]) -> dict[str, str]:
    """Return for each short hash the one full hash that begins with it."""
    full = sorted(name for name in found if len(name) in (40, 64) and _HEX.fullmatch(name))
    out = {}
    for name in found:
        if len(name) < 32 and _HEX.fullmatch(name):
            place = bisect_left(full, name)
            fits = [one for one in full[place : place + 2] if one.startswith(name)]
            if len(fits) == 1:
                out[name] = fits[0]
    return out


def _pairs(places: list[_Seen], table: pd.DataFrame) -> Iterator[tuple[int, int, str, str]]:
    """Yield (row of a, row of b, kind, which is first) for the places of one identifier; places in order of time."""
    by_source: dict[str, list[_Seen]] = defaultdict(list)
    for place in places:
        by_source[place.source].append(place)
    for a, b in combinations(sorted(by_source), 2):
        children = {name: [one.row for one in by_source[name] if one.via == "parent"] for name in (a, b)}
        owners = {name: [one.row for one in by_source[name] if one.via != "parent"] for name in (a, b)}
        for parent, child in ((a, b), (b, a)):
            if len(owners[parent]) == 1 and not owners[child]:
                yield from _calls(owners[parent][0], children[child], parent == a, table)
        rows_a, rows_b = owners[a], owners[b]
        traced = any(one.via == "trace" for name in (a, b) for one in by_source[name])
        if not rows_a or not rows_b or (not traced and max(len(rows_a), len(rows_b)) > FEW):
            continue
        by_ref = all(one.via == "ref" for name in (a, b) for one in by_source[name])
        kind = "trace" if traced else "ref" if by_ref else "attribute"
        for row_a, row_b in _matched(rows_a, rows_b, table, traced):
            yield row_a, row_b, kind, _first(table["kind"].iat[row_a], table["kind"].iat[row_b])


def _calls(
    parent: int, children: list[int], parent_is_a: bool, table: pd.DataFrame
) -> Iterator[tuple[int, int, str, str]]:
    """Yield the two anchors of each call: the parent starts first, and ends last."""
    for child in children:
        rows = (parent, child) if parent_is_a else (child, parent)
        yield (*rows, "parent", "a" if parent_is_a else "b")
        if table["time_end"].iloc[[parent, child]].notna().all():
            yield (*rows, "parent end", "b" if parent_is_a else "a")


def _matched(rows_a: list[int], rows_b: list[int], table: pd.DataFrame, traced: bool) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows: in order within each kind of event where their counts agree, else the first two."""
    kinds_a, kinds_b = ([str(table["kind"].iat[row]) for row in rows] for rows in (rows_a, rows_b))
    if traced or Counter(kinds_a) != Counter(kinds_b):
        yield rows_a[0], rows_b[0]
        return
    for kind in sorted(set(kinds_a)):
        own = [row for row, name in zip(rows_a, kinds_a, strict=True) if name == kind]
        yield from zip(own, [row for row, name in zip(rows_b, kinds_b, strict=True) if name == kind], strict=True)


def _first(kind_a: str, kind_b: str) -> str:
    """Return which of two kinds of events comes first, if that is known."""
    return "a" if (kind_a, kind_b) in _ORDER else "b" if (kind_b, kind_a) in _ORDER else ""

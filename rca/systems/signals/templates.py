"""First errors in logs: texts that no system wrote before the incident."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from rca import onset, times
from rca.progress import track
from rca.systems.signals.drain import Drain, Template, mask
from rca.systems.signals.family import ALPHA, NOTHING, SIGNAL, UNJUDGED, both, columns, holm, identity

__all__ = ["LIMIT", "new_templates"]

LIMIT = 2000  # templates of one system and severity
ERROR = 17  # OpenTelemetry's first number of an error
_SIMILARITY = 0.5
_SETTLED = 30  # healthy lines after which a word that was always the same is taken for part of the text
_ENOUGH = 20  # healthy lines below which all of a system's texts would look new
_BINS = 120  # parts of the incident window in which repetitions count once
_FAILED = re.compile(
    r"\b(?:errors?|exceptions?|fail(?:s|ed|ure|ures|ing)?|fatal|panic(?:ked)?|traceback|refused|denied|rejected|invalid|"
    r"timed out|timeout|unavailable|unreachable|abort(?:ed)?|crash(?:ed)?|corrupt(?:ed)?|killed|out of memory|oom|"
    r"cannot)\b|[a-z](?:Error|Exception)\b",
    re.IGNORECASE,
)


_FULL = Template((), "")  # stands for: not known whether it is new
_TEXTS = ("template", "text", "example", "note")


@dataclass
class _Seen:
    """What was seen of one template in the incident window."""

    first: int
    last: int
    example: str
    count: int = 0
    bins: set[int] = field(default_factory=set)


def new_templates(
    events: pd.DataFrame, windows: Sequence[Sequence[Any]], *, limit: int = LIMIT, progress: bool = False
) -> pd.DataFrame:
    """Return the texts of log records that are new in the incident window, each with its first time.

    Messages are masked and grouped into templates (Drain [1]_), by system and severity. A record of the incident
    window is known if it fits a healthy template, or joins one that is not settled yet (fewer than 30
    healthy records); the others are grouped among themselves. A new text is a signal if it is an error (severity 17
    and more or, without a severity, words such as "failed"), or if it came so often that chance does not explain
    that it is new.

    Parameters
    ----------
    events : DataFrame
        Schema ``events``; records of kind "log" with a time are taken.
    windows : pair of (start, end)
        Healthy window and incident window, in UTC, start included, end not; disjoint, in either order.
    limit : int, default 2000
        Templates kept of one system and severity, before and during.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    DataFrame
        Sorted by ``first``. Columns ``system``, ``template`` (its id), ``text`` (``<*>`` where records differ,
        ``<num>`` and the like where masked), ``verdict`` ("signal", "nothing", "not judged"), ``first`` and ``last``
        (UTC), ``count`` (records), ``parts`` (of the 120 parts of the window, those that hold it),
        ``severity`` (OpenTelemetry's; empty if unknown), ``is_error``, ``example`` (the first message as
        received), ``usual`` (new texts of this system in the last part of the healthy window, as long as the
        incident window or a third of the healthy one: what is new when nothing is wrong), ``p_value`` (chance that all
        its ``parts`` fall into the incident window and none before, if it came at a constant rate),
        ``p_adjusted`` (Holm over the ``m`` texts that came during the incident), ``m``, ``note``. A system that
        cannot be judged has one row, without a template, that says why.

    Raises
    ------
    InputError
        If a column is missing, or the windows overlap.

    Notes
    -----
    A system with fewer than 20 healthy records is not judged: all would be new. Nor can a text be found that differs
    from a healthy one only in what is masked, such as a status number. One first error is a signal whatever its
    ``p_value``: ``usual`` tells how much such a sign is worth. Texts that differ in the number of words are
    different templates. Memory grows with the number of different masked messages, time with that of
    different messages: a million records take some seconds.

    References
    ----------
    .. [1] He, Zhu, Zheng, Lyu, Drain: An online log parsing approach with fixed depth tree, ICWS 2017.

    Examples
    --------
    >>> time = pd.date_range("2025-03-01", periods=60, freq="min", tz="UTC")
    >>> log = pd.DataFrame({"time": time, "kind": "log", "system": "api", "severity": 9, "count": 1,
    ...                     "message": [f"served {n} rows" for n in range(60)]})
    >>> log.loc[50:, ["message", "severity"]] = ["connection to db refused", 17]
    >>> found = new_templates(log, ((time[0], time[40]), (time[40], time[59]))).iloc[0]
    >>> found["text"], found["first"] == time[50], found["verdict"]
    ('connection to db refused', True, 'signal')
    """
    before, during = both(windows)
    columns(events, "events", ("time", "kind", "system", "message", "severity"))
    logs = events[(events["kind"] == "log") & events["time"].notna()]
    logs = logs.assign(count=logs["count"] if "count" in logs.columns else 1)
    inside = [logs[(logs["time"] >= start) & (logs["time"] < end)] for start, end in (before, during)]
    masked = _Masked()
    rows, tested = [], 0
    systems = sorted(set(inside[0]["system"]) | set(inside[1]["system"]))
    for system in track(systems, "logs by system", progress=progress):
        parts = [part[part["system"] == system].sort_values("time", kind="stable") for part in inside]
        found, seen = _system(str(system), parts, before, during, limit, masked)
        rows += found
        tested += seen
    return _table(rows, tested)


class _Masked(dict[str, str]):
    """Masked messages, each made once."""

    def __missing__(self, message: str) -> str:
        value = self[message] = mask(message)
        return value


def _system(
    system: str, parts: list[pd.DataFrame], before: onset.Window, during: onset.Window, limit: int, masked: _Masked
) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of one system, and how many texts came in the incident window."""
    healthy, incident = parts
    told = int(healthy["count"].sum())
    if told < _ENOUGH:
        why = f"only {told} log records before; {_ENOUGH} are needed to know what is usual"
        return [{"system": system, "verdict": UNJUDGED, "note": why, "count": int(incident["count"].sum())}], 0
    share = (during[1] - during[0]) / (during[1] - during[0] + before[1] - before[0])
    rows, tested, left_out = [], 0, 0
    for severity in [*sorted({*healthy["severity"].dropna(), *incident["severity"].dropna()}), pd.NA]:
        chosen = [
            part[part["severity"].isna() if severity is pd.NA else (part["severity"] == severity)] for part in parts
        ]
        known, new = _compare(chosen[0], chosen[1], during, limit, masked)
        tested += known + len(new.seen)
        left_out += new.left_out
        for template, seen in new.seen.items():
            rows.append(_row(system, severity, template, seen, share))
    usual = _usual(healthy, before, during, limit, masked) if rows else pd.NA
    if left_out:
        note = f"{left_out} records are not grouped: more than {limit} texts, or too many alike"
        rows.append({"system": system, "verdict": UNJUDGED, "note": note, "count": left_out})
    return [row | {"usual": usual} for row in rows], tested


@dataclass
class _New:
    seen: dict[Template, _Seen] = field(default_factory=dict)
    left_out: int = 0


def _compare(
    healthy: pd.DataFrame, incident: pd.DataFrame, during: onset.Window, limit: int, masked: _Masked
) -> tuple[int, _New]:
    """Return how many healthy texts came again in the incident, and what was new there."""
    drain, fresh = (Drain(similarity=_SIMILARITY, limit=limit) for _ in range(2))
    for message, count in _messages(healthy, masked):
        drain.add(message, count)
    again: set[Template] = set()
    out = _New()
    placed: dict[str, Template | None] = {}
    step = max((during[1] - during[0]).value // _BINS, 1)
    ns = incident["time"].astype(times.UTC).astype("int64").to_numpy()
    for message, at, count in zip(incident["message"], ns.tolist(), incident["count"].tolist(), strict=True):
        key = masked[message]
        if key not in placed:
            placed[key] = _place(drain, fresh, key, again)
        template = placed[key]
        if template is _FULL:
            out.left_out += int(count)
        elif template is not None:
            seen = out.seen.setdefault(template, _Seen(at, at, message))
            seen.last, seen.count = at, seen.count + int(count)
            seen.bins.add((at - during[0].value) // step)
    return len(again), out


def _messages(logs: pd.DataFrame, masked: _Masked) -> Iterable[tuple[str, int]]:
    """Return the different masked messages in the order of their first record, with their numbers."""
    counts: dict[str, int] = {}
    for message, count in zip(logs["message"], logs["count"].tolist(), strict=True):
        key = masked[message]
        counts[key] = counts.get(key, 0) + int(count)
    return counts.items()


def _place(drain: Drain, fresh: Drain, message: str, again: set[Template]) -> Template | None:
    """Return the new template of a message of the incident; None if it is known, `_FULL` if that cannot be told."""
    words = tuple(message.split())
    near = drain.known(words)
    if near is None:
        near = drain.nearest(words)
        near = near if near is not None and near.count < _SETTLED else None
    if near is not None:
        again.add(near)
        return None
    return _FULL if drain.left_out else fresh.add(message) or _FULL


def _row(system: str, severity: Any, template: Template, seen: _Seen, share: float) -> dict[str, Any]:
    is_error = severity >= ERROR if severity is not pd.NA else bool(_FAILED.search(template.text))
    return {
        "system": system, "template": identity("template", system, severity, template.first)[:12],
        "text": template.text,
        "first": pd.Timestamp(seen.first, tz="UTC"), "last": pd.Timestamp(seen.last, tz="UTC"), "count": seen.count,
        "parts": len(seen.bins), "severity": severity, "is_error": bool(is_error), "example": seen.example,
        "p_value": share ** len(seen.bins), "note": "",
    }  # fmt: skip


def _usual(healthy: pd.DataFrame, before: onset.Window, during: onset.Window, limit: int, masked: _Masked) -> int:
    """Return how many texts are new in the last part of the healthy window, held against the part before."""
    length = min(during[1] - during[0], (before[1] - before[0]) / 3)
    cut = before[1] - length
    early, late = healthy[healthy["time"] < cut], healthy[healthy["time"] >= cut]
    groups = [(early["severity"].isna(), late["severity"].isna())]
    groups += [(early["severity"] == value, late["severity"] == value) for value in set(late["severity"].dropna())]
    return sum(
        len(
            _compare(
                early[first.to_numpy(bool, na_value=False)],
                late[second.to_numpy(bool, na_value=False)],
                (cut, before[1]),
                limit,
                masked,
            )[1].seen
        )
        for first, second in groups
    )


def _table(rows: list[dict[str, Any]], tested: int) -> pd.DataFrame:
    """Return the rows as a table with adjusted p-values and verdicts."""
    kinds: dict[str, Any] = {
        "system": "str", "template": "str", "text": "str", "verdict": "str", "first": times.UTC, "last": times.UTC,
        "count": "int64", "parts": "Int64", "severity": "Int64", "is_error": "bool", "example": "str", "usual": "Int64",
        "p_value": "float64", "p_adjusted": "float64", "m": "int64", "note": "str",
    }  # fmt: skip
    table = pd.DataFrame([dict.fromkeys(_TEXTS, "") | row for row in rows], columns=list(kinds)).assign(m=tested)
    table["is_error"] = table["is_error"].eq(True)
    judged = table["p_value"].notna().to_numpy(dtype=bool)
    # The healthy texts that came again were looked at too; their p-values are above all of these.
    values = np.r_[table.loc[judged, "p_value"].to_numpy(dtype="float64"), np.ones(tested - int(judged.sum()))]
    adjusted = np.full(len(table), np.nan)
    adjusted[judged] = holm(values)[: int(judged.sum())]
    strong = table["is_error"].to_numpy() | (adjusted < ALPHA)
    table["p_adjusted"] = adjusted
    table["verdict"] = np.where(~judged, UNJUDGED, np.where(strong, SIGNAL, NOTHING))
    for name in ("first", "last"):
        table[name] = pd.Series(pd.DatetimeIndex(table[name].tolist(), dtype=times.UTC), table.index)
    table = table.astype(kinds)
    return table.sort_values(["first", "system", "template"], kind="stable", ignore_index=True)[list(kinds)]

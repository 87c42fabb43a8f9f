"""Which systems an incident hurt, measured from spans, logs and metrics together; and which cannot be judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from rca import onset, times
from rca.errors import InputError, UnknownName, did_you_mean, raise_all
from rca.systems.affected import evidence
from rca.systems.affected.evidence import ALPHA, Test, inside, nanoseconds, stamp
from rca.times import show

__all__ = ["find"]

_COMMON = 3  # systems, fewer of which do not make a move common
_COLUMNS = {
    "system": "str", "hurt": "boolean", "evidence": "str", "since": times.UTC, "p_value": "float64",
    "p_adjusted": "float64", "tests": "int64", "sentence": "str",
}  # fmt: skip
_NEEDED = {
    "metrics": ("time", "system", "metric", "value"),
    "spans": ("time", "system", "name", "status", "trace_id", "span_id", "parent_id"),
    "events": ("time", "system", "kind", "severity"),
}


def find(
    *,
    metrics: pd.DataFrame | None = None,
    spans: pd.DataFrame | None = None,
    events: pd.DataFrame | None = None,
    graph: nx.DiGraph | None = None,
    before: Sequence[Any],
    during: Sequence[Any],
    harmful: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Say of each system whether it was hurt in `during` compared with `before`, by what, since when, how surely.

    Each kind of data is put to its own test, one-sided where only one direction harms. *Error spans*: Fisher's
    exact test of the share of traces in which a span of the system failed. *Error logs*: the exact conditional test
    of two Poisson rates [1]_. Both take counts divided by how far errors clump (quasi-likelihood). *Slow spans*: the
    rank test of Mann and Whitney on durations, each divided by the healthy median of its system and operation.
    These are made in the whole window, its halves, quarters and eighths; the strongest stretch counts, its
    p-value times the number of stretches. *Metrics*, and durations from 30 healthy medians on: ``rca.onset.find``.
    All tests of all systems are one family, adjusted by Holm's method: a system is hurt if one of its tests
    is below 1 %. *Failed calls*: a failed span that called a hurt system, where none such was seen before, hurts
    the caller however few its spans are; it is as sure as the callee's own evidence.

    Parameters
    ----------
    metrics : DataFrame, optional
        Columns ``time`` (UTC), ``system``, ``metric``, ``value``.
    spans : DataFrame, optional
        Columns as in ``rca.schema``, table ``spans``, and optionally ``duration`` (Timedelta). A span failed if its
        ``status`` is "error" (any case, OpenTelemetry's) or an HTTP status of 500 and more; other unknown
        words say nothing.
    events : DataFrame, optional
        Columns ``time``, ``system``, ``kind``, ``severity`` and optionally ``count``. Those of kind "log" and of
        severity 17 and more are error logs.
    graph : DiGraph, optional
        Edge ``u -> v``: a fault in ``u`` can reach ``v``. Its systems get a row each; it makes nobody hurt.
    before, during : pair of Timestamp
        Healthy window and incident window, start included, end not; disjoint, in either order.
    harmful : mapping, optional
        Metric -> ``"up"``, ``"down"``, ``"both"`` or ``"neither"`` (a measure of demand: not tested). Where nothing is
        said, both directions count, but see Notes.

    Returns
    -------
    DataFrame
        One row a system, those hurt first, by time. Columns ``system``; ``hurt`` (boolean, empty where nothing can be
        said); ``evidence`` (what speaks for it, strongest first: "metrics", "error spans", "slow spans", "error
        logs", "failed calls"; else "nothing", "load or harm", "none measured"); ``since`` (UTC, empty unless
        hurt); ``p_value`` (of the strongest test, its stretches counted); ``p_adjusted`` (Holm over all tests of the
        table); ``tests`` (of this system); ``sentence``.

    Raises
    ------
    InputError
        If a column is missing or of another type, the windows overlap, or no table is given.
    UnknownName
        If `harmful` names a metric that is not there, or no direction.

    Notes
    -----
    A caller of a failing system fails itself and is hurt; a system that only got more requests is not. Where the
    harmful direction of a metric is not said and another metric of the system stayed, its move is "load or harm"
    and ``hurt`` empty in two cases: a system that depends on it moved no later and nothing that it depends on
    did; or it is all that moved of the system, and of most systems that have this metric, three at least, in the
    same direction at the same time within the errors.

    The sentence cites the strongest test of each kind, and the one that gives ``since``, earliest first. A move is
    said to be "at or before" a time where the windows do not touch and it was there from the first row on.

    A test that could not have found anything (too few spans, fewer than six healthy values) is not made. "Nothing"
    means that nothing was found in what was measured. Spans of one system in one trace count once. Durations
    are medians of sixtieths of the shorter window and must rise by a tenth; error logs must fill three such
    parts. The windows of logs end where the records of all systems end. A daily rhythm of few spans or logs is
    not taken out: choose `before` at the same hours.

    References
    ----------
    .. [1] Przyborowski, Wilenski, Biometrika 31, 1940.

    Examples
    --------
    >>> time = pd.date_range("2025-03-01", periods=60, freq="min", tz="UTC")
    >>> table = pd.concat([
    ...     pd.DataFrame({"time": time, "system": "db", "metric": "latency", "value": [10., 11.] * 20 + [20.] * 20}),
    ...     pd.DataFrame({"time": time, "system": "web", "metric": "latency", "value": [30., 31.] * 30}),
    ... ])
    >>> found = find(metrics=table, graph=nx.DiGraph([("db", "web"), ("db", "mail")]),
    ...                  before=(time[0], time[30]), during=(time[30], time[59]), harmful={"latency": "up"})
    >>> found[["system", "hurt", "evidence"]].values.tolist()
    [['db', True, 'metrics'], ['mail', <NA>, 'none measured'], ['web', False, 'nothing']]
    """
    healthy, searched = onset.window(before, "before"), onset.window(during, "during")
    if healthy[0] < searched[1] and searched[0] < healthy[1]:
        raise InputError(f"the windows before ({show(healthy[0])} to {show(healthy[1])}) and during "
                         f"({show(searched[0])} to {show(searched[1])}) overlap")  # fmt: skip
    tables = {"metrics": metrics, "spans": spans, "events": events}
    given = {name: table for name, table in tables.items() if table is not None}
    _check(given, harmful or {}, graph)
    _check_windows(given, {"before": healthy, "during": searched})
    tests: list[Test] = []
    if metrics is not None:
        tests += evidence.metrics(metrics, healthy, searched, harmful or {})
    if spans is not None:
        calls = evidence.status(spans)
        tests += evidence.failures(calls, healthy, searched)
        if "duration" in spans:
            tests += evidence.durations(calls, healthy, searched)
    if events is not None:
        tests += evidence.logs(events, healthy, searched)
    systems = {str(name) for table in given.values() for name in table["system"]} | set(graph or ())
    verdicts = _judge(systems - {""}, tests, graph)
    if spans is not None:
        _follow(verdicts, calls, healthy, searched)
    rows = pd.DataFrame(list(verdicts.values()), columns=list(_COLUMNS))
    rows = rows.assign(since=pd.DatetimeIndex(rows["since"].tolist(), dtype=times.UTC)).astype(_COLUMNS)
    place = rows["hurt"].astype("Float64").fillna(0.5)
    return rows.assign(place=-place).sort_values(["place", "since", "system"], ignore_index=True)[list(_COLUMNS)]


def _check(tables: Mapping[str, pd.DataFrame], harmful: Mapping[str, str], graph: nx.DiGraph | None) -> None:
    """Raise if a table, a column, a type, a name, a direction or the graph is wrong."""
    if not tables:
        raise InputError("affected: metrics, spans or events are needed, none is given")
    problems = [
        f"{name}: required column {column!r} is missing"
        for name, table in tables.items()
        for column in _NEEDED[name]
        if column not in table.columns
    ]
    raise_all(problems)
    for name, table in tables.items():
        if not isinstance(table["time"].dtype, pd.DatetimeTZDtype):
            problems.append(f"{name}: column 'time' is {table['time'].dtype}, not a time with a zone")
        if name != "events" and table["system"].isna().any():
            problems.append(f"{name}: row {int(np.flatnonzero(table['system'].isna())[0])}: no system")
    if "metrics" in tables and not pd.api.types.is_numeric_dtype(tables["metrics"]["value"]):
        problems.append(f"metrics: column 'value' is {tables['metrics']['value'].dtype}; wanted are numbers")
    if "spans" in tables and "duration" in tables["spans"] and tables["spans"]["duration"].dtype.kind != "m":
        problems.append(f"spans: column 'duration' is {tables['spans']['duration'].dtype}, not a Timedelta")
    if graph is not None and (not isinstance(graph, nx.DiGraph) or not all(isinstance(node, str) for node in graph)):
        problems.append("graph: wanted a networkx.DiGraph of names of systems, with edges cause -> effect")
    raise_all(problems)
    known = set(tables["metrics"]["metric"]) if "metrics" in tables else set()
    wrong = [f"harmful: unknown metric {name!r}{did_you_mean(name, known)}" for name in harmful if name not in known]
    for name, way in harmful.items():
        if way not in onset.DIRECTIONS:
            wrong.append(f"harmful: {name}: bad direction {way!r}{did_you_mean(str(way), onset.DIRECTIONS)}")
    raise_all(wrong, UnknownName)


def _check_windows(tables: Mapping[str, pd.DataFrame], windows: Mapping[str, onset.Window]) -> None:
    """Raise if no table that has rows has one in a window."""
    given = [table["time"] for table in tables.values() if len(table)]
    for name, (start, end) in windows.items():
        if given and not any(((column >= start) & (column < end)).any() for column in given):
            raise InputError(f"no row lies in the window {name} ({show(start)} to {show(end)})")


def _judge(systems: Iterable[str], tests: Sequence[Test], graph: nx.DiGraph | None) -> dict[str, dict[str, Any]]:
    """Return the row of each system."""
    adjusted = _holm([test.p_value for test in tests])
    own: dict[str, list[tuple[float, Test]]] = {name: [] for name in sorted(systems)}
    for value, test in zip(adjusted, tests, strict=True):
        own[test.system].append((value, test))
    moved = {name: [test for value, test in rows if value < ALPHA] for name, rows in own.items()}
    every = {name: [test for _, test in rows] for name, rows in own.items()}
    load = _load(every, moved, graph)
    out = {}
    for name, rows in own.items():
        rows.sort(key=lambda row: (row[0], row[1].p_value))
        found = [test for value, test in rows if value < ALPHA]
        row = {"system": name, "hurt": None, "evidence": "none measured", "since": pd.NaT, "tests": len(rows)}
        row |= {"p_value": rows[0][1].p_value, "p_adjusted": rows[0][0]} if rows else {}
        if not rows:
            row["sentence"] = f"{name}: nothing was measured that could show harm."
        elif not found:
            kinds = ", ".join(dict.fromkeys(test.evidence for _, test in rows))
            sure = f"{kinds}; least p {rows[0][0]:.2g} over {len(tests)} tests"
            row |= {"hurt": False, "evidence": "nothing", "sentence": f"{name}: nothing harmful was found ({sure})."}
        elif why := load.get(name):
            why = f"{why}: load or harm? Say which direction of the metric harms."
            row |= {"evidence": "load or harm", "sentence": f"{name}: {found[0].text}; {why}"}
        else:
            first = min(found, key=lambda test: test.since)
            strongest = {test.evidence: test for test in reversed(found)}
            cited = sorted(dict.fromkeys([*reversed(strongest.values()), first]), key=lambda test: test.since)
            order = list(dict.fromkeys(test.evidence for test in found))
            sure = f"p {max(rows[0][0], 1e-300):.1g} over {len(tests)} tests"
            if not any(test.clear for test in found):
                sure += "; which direction harms is not said, so the move itself is taken for harm"
            row |= {
                "hurt": True, "evidence": ", ".join(order), "since": first.since,
                "sentence": f"{name}: {'; '.join(test.text for test in cited)} ({sure}).",
            }  # fmt: skip
        out[name] = row
    return out


def _holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number, in their order."""
    order = np.argsort(p_values, kind="stable")
    scaled = np.sort(p_values) * (len(p_values) - np.arange(len(p_values)))
    out = np.empty(len(p_values))
    out[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in out]


def _load(
    every: Mapping[str, Sequence[Test]], moved: Mapping[str, Sequence[Test]], graph: nx.DiGraph | None
) -> dict[str, str]:
    """Return the systems that load may have moved without harm, and why that may be."""
    open_ones = {}
    for name, found in moved.items():
        stayed = [test for test in every[name] if test.evidence == "metrics" and test not in found]
        if found and stayed and not any(test.clear for test in found):
            open_ones[name] = found
    out = _alike(open_ones, every)
    for name, found in open_ones.items():
        if graph is None or name not in graph:
            continue
        since = max(test.since + test.slack for test in found)
        no_later = {other for other, rows in moved.items() if any(test.since <= since for test in rows)}
        if not no_later & nx.ancestors(graph, name) and (users := no_later & nx.descendants(graph, name)):
            out[name] = f"{min(users)}, which depends on it, moved no later"
    return out


def _alike(open_ones: Mapping[str, Sequence[Test]], every: Mapping[str, Sequence[Test]]) -> dict[str, str]:
    """Return the systems whose only moved metric moved alike on most systems that have it, and which it was."""
    by_move: dict[tuple[str, bool], list[Test]] = {}
    for found in open_ones.values():
        if len(found) == 1:
            by_move.setdefault(found[0].move, []).append(found[0])
    out: dict[str, str] = {}
    for (metric, rose), tests in by_move.items():
        have = sum(any(test.move[0] == metric for test in rows) for rows in every.values())
        together = max(
            ([test for test in tests if abs(test.since - other.since) <= test.error + other.error] for other in tests),
            key=len,
        )
        if len(together) >= _COMMON and 2 * len(together) > have:
            text = f"{metric} {'rose' if rose else 'fell'} alike on {len(together)} of {have} systems that have it"
            out |= {test.system: f"{text}, and nothing else of them moved" for test in together}
    return out


def _follow(
    verdicts: dict[str, dict[str, Any]], spans: pd.DataFrame, before: onset.Window, during: onset.Window
) -> None:
    """Mark callers whose own spans failed while they called a hurt system, and never so before."""
    ids = spans[["trace_id", "span_id", "system", "failed", "ns"]].drop_duplicates(["trace_id", "span_id"], keep=False)
    calls = spans[spans["parent_id"] != ""].merge(
        ids, left_on=["trace_id", "parent_id"], right_on=["trace_id", "span_id"], suffixes=("", "_of")
    )
    calls = calls[(calls["system"] != calls["system_of"]) & (calls["failed_of"] == 1)]
    old, new = (nanoseconds(limits) for limits in (before, during))
    earlier = set(calls.loc[inside(calls["ns_of"], old), "system_of"])
    calls = calls[inside(calls["ns_of"], new) & ~calls["system_of"].isin(earlier)]
    calls = calls.drop_duplicates(["trace_id", "parent_id", "system"])
    pairs = calls.groupby(["system_of", "system"], sort=True)["ns_of"].agg(["min", "size"])
    spoke = {
        name: [int(inside(ns, limits).sum()) for limits in (old, new)] for name, ns in spans.groupby("system")["ns"]
    }
    again = True
    while again:
        again = False
        for (caller, callee), seen in pairs.iterrows():
            row, cause = verdicts[caller], verdicts[callee]
            if row["hurt"] is not True and cause["hurt"] is True:
                again = True
                row |= {
                    "hurt": True, "evidence": "failed calls", "since": stamp(seen["min"]),
                    "p_value": cause["p_value"], "p_adjusted": cause["p_adjusted"],
                    "sentence": f"{caller}: {seen['size']} of its {spoke[caller][1]} spans failed on calls to {callee}"
                    f", which was hurt (as sure as that); none of its {spoke[caller][0]} spans before.",
                }  # fmt: skip

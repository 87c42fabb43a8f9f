"""The offsets of several clocks against one, from the estimates of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, raise_all, shorten
from rca.systems.clocks.line import Numbers
from rca.systems.clocks.pair import LARGEST_DRIFT
from rca.systems.clocks.skew import LEAST, drifting, judge, typed
from rca.times import UTC
from rca.wording import duration

__all__ = ["solve"]

_NEEDED = (
    "source_a", "source_b", "offset", "low", "high", "drift", "drift_low", "drift_high", "reference", "span",
    "anchors", "verdict", "note",
)  # fmt: skip
_TYPES = {
    "source": "str", "offset": "timedelta64[ns]", "low": "timedelta64[ns]", "high": "timedelta64[ns]",
    "drift": "float64", "drift_low": "float64", "drift_high": "float64", "reference": UTC, "anchors": "int64",
    "path": "str", "method": "str", "verdict": "str", "proposal": "bool", "note": "str",
}  # fmt: skip
_SECOND = 10**9


@dataclass(frozen=True)
class _Pair:
    """One usable estimate; times in nanoseconds by clock b."""

    a: str
    b: str
    offset: int
    low: int
    high: int
    drift: float  # seconds a second
    drift_half: float
    reference: int
    span: int
    anchors: int
    verdict: str


def solve(skews: pd.DataFrame, reference: str, *, least: pd.Timedelta = LEAST) -> pd.DataFrame:
    """Return how far each clock is ahead of the clock of `reference`.

    Parameters
    ----------
    skews : DataFrame
        From `rca.clocks.skew`.
    reference : str
        The source whose clock is taken as right.
    least : Timedelta, default 500 ms
        An offset under this is not worth a correction.

    Returns
    -------
    DataFrame
        One row a source, `reference` first: ``source``; ``offset`` (ahead of the reference at the time ``reference``
        by the clock of the reference), ``low``, ``high``; ``drift``, ``drift_low``, ``drift_high`` (parts per
        million); ``anchors`` (fewest of a pair on the way); ``path`` (the surest way to the reference); ``method``,
        ``verdict``, ``proposal`` and ``note`` as from `rca.clocks.skew`. Without a way to the reference there is no
        offset, and the verdict is ``cannot tell``.

    Raises
    ------
    UnknownName
        If no pair names `reference`.
    InputError
        If a column is missing or `least` is negative.

    Notes
    -----
    Weighted least squares over all pairs that have an interval. The half-width is that of the surest path: what is
    chance adds up by squares, what one-sided delay or cut stamps may do in full. Pairs often share records, so that
    further paths need not add knowledge, and none is claimed. A pair that is off the solution by more than twice its
    half-width contradicts a cycle; its two sources get no proposal.

    Examples
    --------
    >>> from rca.systems.clocks import skew
    >>> b = pd.Series(pd.date_range("2025-03-01T09:00Z", periods=9, freq="7min"))
    >>> late = pd.to_timedelta(pd.Series([90.1, 89.9, 90.2, 90.0, 89.8, 90.1, 90.0, 89.9, 90.1]), unit="s")
    >>> pairs = pd.concat([
    ...     pd.DataFrame({"source_a": "chat", "source_b": "logs", "time_a": b + late, "time_b": b}),
    ...     pd.DataFrame({"source_a": "logs", "source_b": "trace", "time_a": b, "time_b": b + late}),
    ... ])
    >>> solve(skew(pairs), "logs").set_index("source")["offset"].dt.round("s").astype(str).to_dict()
    {'logs': '0 days 00:00:00', 'chat': '0 days 00:01:30', 'trace': '0 days 00:01:30'}
    """
    raise_all([f"skews: required column {name!r} is missing" for name in _NEEDED if name not in skews.columns])
    if not least >= pd.Timedelta(0):
        raise InputError(f"least: {least} is negative or empty")
    names = sorted({*skews["source_a"], *skews["source_b"]})
    if reference not in names:
        raise UnknownName(f"unknown source {shorten(reference)}{did_you_mean(reference, names)}")
    pairs = [_pair(row) for row in skews.to_dict("records") if pd.notna(row["low"]) and pd.notna(row["high"])]
    rows = {reference: [pd.Timedelta(0)] * 3 + [0.0] * 3 + [pd.NaT, 0, reference, "reference", "none", False, ""]}
    graph = _graph(pairs, [0.0] * len(pairs))
    if reference in graph and len(reached := nx.node_connected_component(graph, reference)) > 1:
        rows |= _solved([pair for pair in pairs if pair.a in reached], reference, least)
    for name in names:
        if name not in rows:
            rows[name] = (
                [pd.NaT] * 3 + [np.nan] * 3 + [pd.NaT, 0, "", "", "cannot tell", False, _apart(skews, name, reference)]
            )
    ordered = [reference, *(name for name in names if name != reference)]
    return typed([[name, *rows[name]] for name in ordered], _TYPES)


def _pair(row: dict[str, Any]) -> _Pair:
    known = pd.notna(row["drift"])
    drift, half = (row["drift"], (row["drift_high"] - row["drift_low"]) / 2) if known else (0.0, LARGEST_DRIFT * 1e6)
    return _Pair(
        str(row["source_a"]), str(row["source_b"]),
        pd.Timedelta(row["offset"]).value, pd.Timedelta(row["low"]).value, pd.Timedelta(row["high"]).value,
        drift / 1e6, min(half / 1e6, LARGEST_DRIFT), pd.Timestamp(row["reference"]).value,
        pd.Timedelta(row["span"]).value, int(row["anchors"]), str(row["verdict"]),
    )  # fmt: skip


def _parts(pair: _Pair, away: float) -> tuple[float, float]:
    """Return half the interval in two parts, `away` seconds from the time where the offset is known best.

    The first is chance, and adds up by squares. The second is where the interval reaches further to one side, to what
    a delay or the cutting of stamps may have done: that is the same in every pair, and adds up in full.
    """
    below, above = pair.offset - pair.low, pair.high - pair.offset
    return float(np.hypot(min(below, above) / _SECOND, pair.drift_half * away)), abs(above - below) / 2 / _SECOND


def _graph(pairs: Sequence[_Pair], away: Sequence[float]) -> nx.Graph:
    """Return the graph of clocks, the surest pair an edge."""
    graph = nx.Graph()
    for pair, distance in zip(pairs, away, strict=True):
        parts = _parts(pair, distance)
        if not graph.has_edge(pair.a, pair.b) or graph.edges[pair.a, pair.b]["weight"] > sum(parts) ** 2:
            graph.add_edge(pair.a, pair.b, weight=sum(parts) ** 2, pair=pair, parts=parts)
    return graph


def _base(graph: nx.Graph, reference: str) -> dict[str, int]:
    """Return rough offsets in nanoseconds along a tree: what is left is small enough for float."""
    base = {reference: 0}
    for known, new in nx.bfs_edges(graph, reference, sort_neighbors=sorted):
        pair = graph.edges[known, new]["pair"]
        base[new] = base[known] + (pair.offset if pair.a == new else -pair.offset)
    return base


def _solved(pairs: list[_Pair], reference: str, least: pd.Timedelta) -> dict[str, list[object]]:
    base = _base(_graph(pairs, [0.0] * len(pairs)), reference)
    moments = sorted(pair.reference - base[pair.b] for pair in pairs)
    at = moments[len(moments) // 2]
    away = [(at - (pair.reference - base[pair.b])) / _SECOND for pair in pairs]
    halves = np.array([sum(_parts(pair, distance)) for pair, distance in zip(pairs, away, strict=True)])
    graph = _graph(pairs, away)
    others = sorted(name for name in base if name != reference)
    design = np.array([[(pair.a == name) - float(pair.b == name) for name in others] for pair in pairs])
    moved = np.array([pair.drift for pair in pairs]) * np.array(away)
    rest = [pair.offset - (base[pair.a] - base[pair.b]) for pair in pairs]
    middle = [(pair.low + pair.high) // 2 - (base[pair.a] - base[pair.b]) for pair in pairs]
    offsets = _least_squares(design, np.array(rest) / _SECOND + moved, halves)
    observed = np.array(middle) / _SECOND + moved
    drift_halves = np.array([pair.drift_half for pair in pairs])
    drifts_of = _least_squares(design, np.array([pair.drift for pair in pairs]), np.maximum(drift_halves, 1e-12))
    middles = _least_squares(design, observed, halves)
    against = _contradictions(pairs, observed - design @ middles, halves)
    place = {pair: row for row, pair in enumerate(pairs)}
    rows = {}
    for number, name in enumerate(others):
        path = nx.dijkstra_path(graph, name, reference)
        way = [graph.edges[edge]["pair"] for edge in pairwise(path)]
        chance, shift = zip(*(graph.edges[edge]["parts"] for edge in pairwise(path)), strict=True)
        half = float(np.hypot.reduce(chance)) + sum(shift)
        # Errors to one side do not close in a cycle: then only the way itself holds what it says.
        signs = (1 if pair.a == known else -1 for known, pair in zip(path[:-1], way, strict=True))
        along = sum(sign * observed[place[pair]] for sign, pair in zip(signs, way, strict=True))
        centre = along if sum(shift) > 1e-6 else middles[number]
        drift_half = sum(pair.drift_half**2 for pair in way) ** 0.5
        best = min(max(offsets[number], centre - half), centre + half)
        ends = [base[name] + round(x * _SECOND) for x in (best, centre - half, centre + half)]
        count, span = min(pair.anchors for pair in way), min(pair.span for pair in way)
        verdict, note = judge(ends[0], ends[1], ends[2], count, least)
        if verdict == "none" and (drifts := drifting(drifts_of[number], drift_half, span, count, least)):
            verdict, note = "skew", drifts
        unsure = [pair for pair in way if pair.verdict == "cannot tell"]
        if name in against:
            verdict, note = "cannot tell", against[name]
        elif verdict == "skew" and unsure:
            listed = ", ".join(f"{pair.a} and {pair.b}" for pair in unsure)
            verdict, note = "cannot tell", f"rests on pairs that cannot be told: {listed}"
        ppm = [1e6 * x for x in (drifts_of[number], drifts_of[number] - drift_half, drifts_of[number] + drift_half)]
        rows[name] = [
            *(pd.Timedelta(end, unit="ns") for end in ends), *ppm, pd.Timestamp(at, unit="ns", tz="UTC"), count,
            " > ".join(path), "pair" if len(pairs) == 1 else "weighted least squares", verdict, verdict == "skew", note,
        ]  # fmt: skip
    return rows


def _least_squares(design: Numbers, observed: Numbers, halves: Numbers) -> Numbers:
    weighted = design / halves[:, None]
    return np.asarray(np.linalg.lstsq(weighted, observed / halves, rcond=None)[0], dtype=np.float64)


def _contradictions(pairs: list[_Pair], rest: Numbers, halves: Numbers) -> dict[str, str]:
    """Return for each source the worst of its pairs that contradict the others."""
    found: dict[str, str] = {}
    for number in np.argsort(-np.abs(rest) / halves):
        pair, size = pairs[number], abs(rest[number])
        if size <= 2 * halves[number]:
            break
        text = f"{pair.a} and {pair.b} are {duration(pd.Timedelta(seconds=size))} off what the other pairs say"
        for name in (pair.a, pair.b):
            found.setdefault(name, text)
    return found


def _apart(skews: pd.DataFrame, name: str, reference: str) -> str:
    """Return why a source has no offset."""
    own = skews[(skews["source_a"] == name) | (skews["source_b"] == name)]
    notes = [
        f"{row['source_a']} and {row['source_b']}: {row['note']}"
        for row in own.to_dict("records")
        if pd.isna(row["low"]) or pd.isna(row["high"])
    ]
    return "; ".join([f"no pairs with an interval lead to {reference}", *notes])

"""Series of services in which nothing is broken: noise, daily rhythm, load, and their units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

__all__ = ["add_load", "healthy", "measured"]

_DAY = pd.Timedelta("1D")
_PUSHED = {"latency": (0.0, 3.0), "errors": (0.0, 0.5), "requests": (3.0, 9.0)}  # spreads by which load raises them

Generator = np.random.Generator
Array = np.ndarray[Any, np.dtype[Any]]


def healthy(graph: nx.DiGraph, rows: int, before: int, step: pd.Timedelta, rng: Generator) -> dict[str, Array]:
    """Return metric -> healthy series (rows, systems), each of spread 1 in its healthy rows."""
    names = sorted(graph)
    place = {name: number for number, name in enumerate(names)}
    day = np.sin(2 * np.pi * (np.arange(rows) * (step / _DAY) + rng.random()))
    out = {}
    for metric, part, most in (("latency", 0.5, 1.0), ("errors", 0.2, 0.5), ("requests", 1.0, 3.0)):
        series = rng.standard_normal((rows, len(names)))
        memory, heavy = rng.choice([0.0, 0.3, 0.6, 0.85], len(names)), np.flatnonzero(rng.random(len(names)) < 0.2)
        series[:, heavy] = np.maximum(rng.standard_t(3, (rows, len(heavy))), -3)  # what is rare is slow, not fast
        for row in range(1, rows):
            series[row] = memory * series[row - 1] + np.sqrt(1 - memory**2) * series[row]
        if metric == "latency":
            _inherit(series, graph, place)
        series += np.outer(day, rng.uniform(0, most, len(names)) * (rng.random(len(names)) < part))
        low, high = np.percentile(series[:before], (25, 75), axis=0)
        out[metric] = series / ((high - low) / 1.349)
    return out


def _inherit(series: Array, graph: nx.DiGraph, place: Mapping[str, int]) -> None:
    """Mix into each system's noise that of what it calls, causes first (in place)."""
    rings = nx.condensation(graph)
    for ring in nx.topological_sort(rings):
        for name in sorted(rings.nodes[ring]["members"]):
            called = [place[cause] for cause in sorted(graph.predecessors(name))]
            if called:
                column = place[name]
                series[:, column] = 0.8 * series[:, column] + 0.6 * series[:, called].mean(axis=1)


def add_load(spreads: Mapping[str, Array], chance: float, before: int, rng: Generator) -> tuple[int, int] | None:
    """Add a surge of load, with this chance, to the series in place; return its first row and the one after it."""
    rows, count = spreads["latency"].shape
    happens = rng.random() < chance
    start = before + int(rng.integers(0, (rows - before) * 7 // 10))
    until = min(start + int(rng.integers((rows - before) // 8, (rows - before) // 2)), rows)
    row = np.arange(until - start)
    course = np.minimum(1.0, np.minimum(row + 1, until - start - row) / 5)
    for metric, (least, most) in _PUSHED.items():
        pushed = rng.uniform(least, most, count)
        if happens:
            spreads[metric][start:until] += np.outer(course, pushed)
    return (start, until) if happens else None


def measured(scores: Mapping[str, Array], rng: Generator) -> dict[str, Array]:
    """Return metric -> measured values from series in spreads."""
    count = scores["latency"].shape[1]
    slow, varies = 20 * np.exp(rng.normal(0, 1, count)), rng.uniform(0.03, 0.2, count)
    failing, busy = rng.uniform(0.005, 0.03, count), np.exp(rng.normal(5.5, 1, count))
    latency = slow * np.maximum(1 + varies * scores["latency"], 0.02)
    errors = np.clip(failing * (1 + scores["errors"] / 4), 0, 1)
    requests = np.maximum(busy * (1 + scores["requests"] / 10), 0)
    return {"latency": np.round(latency, 5), "errors": np.round(errors, 7), "requests": np.round(requests)}

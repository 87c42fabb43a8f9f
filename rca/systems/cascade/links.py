"""Which moved system explains which: by the graph, the times, and what both ends measure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import networkx as nx
import pandas as pd

from rca import onset
from rca.systems.cascade.series import Key, Moved, Series

__all__ = ["Link", "both", "find", "follows"]

_SILENT = 0.5  # weight of a link through systems whose own metrics did not move with it
_CONTRARY = 0.5  # weight of a link along which the same measurement moved at one end only
_LOAD = 0.5  # weight of an earlier consumer as explanation of its dependency: load runs backwards
_GOOD = 0.9  # fit of the times from which a system upstream hides those behind it
_FAINT = 0.05  # weight below which a link is none


@dataclass(frozen=True)
class Link:
    """A moved system that explains another: a fault handed on, or load handed back."""

    cause: str
    effect: str
    weight: float
    path: tuple[str, ...]
    load: bool = False


def find(
    graph: nx.DiGraph, moved: Mapping[str, Moved], seen: Mapping[Key, Series], patience: pd.Timedelta | None
) -> list[Link]:
    """Return the links between the moved systems: from each to the nearest upstream whose times fit."""
    cycle = {name: number for number, part in enumerate(nx.strongly_connected_components(graph)) for name in part}
    measured: dict[str, set[str]] = {}
    for system, metric in seen:
        measured.setdefault(system, set()).add(metric)
    links = []
    for effect in moved:
        fits = {cause: follows(moved[cause], moved[effect], patience) for cause in moved}
        for cause in moved:
            if cycle[cause] == cycle[effect] and min(both(moved[cause], moved[effect])) >= 0:
                fits[cause] = 0.0  # in a cycle only the order of time tells cause from effect
        for cause, (weight, path) in _upstream(graph, effect, fits, measured).items():
            common = measured[cause] & measured[effect]
            shared = moved[cause].metrics & moved[effect].metrics
            if not shared and common & (moved[cause].metrics | moved[effect].metrics):
                weight *= _CONTRARY
            if fits[cause] < 0:
                links.append(Link(effect, cause, weight * _LOAD, path, load=True))
            elif weight * fits[cause] > _FAINT:
                links.append(Link(cause, effect, weight * fits[cause], path))
    return links


def follows(cause: Moved, effect: Moved, patience: pd.Timedelta | None) -> float:
    """Return how well the times allow that one system moved the other, 0 to 1; -1 if they say the reverse.

    Without `patience`, effects follow within the sampling steps of the two series. With it, they may lag by the
    errors of the two onsets and that much more, or as long as the effect may have been growing unseen.
    """
    first, then = cause.first.shift, effect.first.shift
    slack, lead = first.error + then.error, then.start - first.start
    if lead < -slack:
        return -1.0
    grown = onset.growth(cause.first.values, first, then.start) if lead > pd.Timedelta(0) else 1.0
    if first.censored and not then.censored:
        return grown
    close = first.step + then.step
    allowed = close if patience is None else slack + max(patience, then.start - effect.earliest)
    return (
        max(grown, math.exp(-2 * ((lead - allowed) / (close if patience is None else slack))))
        if lead > allowed
        else 1.0
    )


def both(one: Moved, other: Moved) -> tuple[float, float]:
    """Return how well each may have moved the other; neither is negative if the times cannot order them."""
    return follows(one, other, None), follows(other, one, None)


def _upstream(
    graph: nx.DiGraph, effect: str, fits: Mapping[str, float], measured: Collection[str]
) -> dict[str, tuple[float, tuple[str, ...]]]:
    """Return the moved systems upstream, each with the weight and the path of the best way down to `effect`.

    A system whose times fit well ends the search behind it; any other that has metrics counts as silent.
    """
    found: dict[str, tuple[float, tuple[str, ...]]] = {}
    done: set[str] = set()
    queue: list[tuple[bool, int, tuple[str, ...]]] = [(False, 1, (effect,))]
    while queue:
        silent, length, path = heapq.heappop(queue)
        if path[0] in done:
            continue
        done.add(path[0])
        if path[0] != effect:
            if path[0] in fits:
                found[path[0]] = (_SILENT if silent else 1.0, path)
                if fits[path[0]] >= _GOOD:
                    continue
            silent = silent or path[0] in measured
        for cause in graph.predecessors(path[0]):
            if cause not in done:
                heapq.heappush(queue, (silent, length + 1, (cause, *path)))
    return found

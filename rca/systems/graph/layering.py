"""Layers for a picture of the graph: effects after their causes, cycles opened where they cost least."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import networkx as nx
import pandas as pd

from rca.systems.graph.reach import check_directed

__all__ = ["arrange", "layers"]

_SWEEPS = 8


def layers(graph: nx.DiGraph, *, way: Sequence[str] = ()) -> pd.DataFrame:
    """Place each system in a layer, so that effects stand after their causes.

    Parameters
    ----------
    graph : DiGraph
        Edge cause -> effect.
    way : sequence of str, optional
        A path in the graph, none of whose edges is to lead back.

    Returns
    -------
    DataFrame
        Columns ``system``, ``layer`` (0, 1, ... by the longest chain of causes, then as near to its effects as can
        be) and ``place`` (0, 1, ... within the layer, near the systems it is linked to; ties by name). No two
        systems that an edge joins share a layer.

    Raises
    ------
    InputError
        If the graph is not directed, or has several edges between two systems.

    Notes
    -----
    A cycle is opened: its systems are put in a line with few edges against it, by the greedy heuristic of [2]_, and
    those edges count as if turned round. So an effect stands before its cause only within a cycle. Sweeps of the
    barycentre heuristic order the places, and the order with the fewest crossings is kept [1]_.
    O(nodes + edges log edges) per sweep.

    References
    ----------
    .. [1] Sugiyama, Tagawa, Toda, IEEE Trans. Systems, Man, and Cybernetics 11(2), 1981.
    .. [2] Eades, Lin, Smyth, Information Processing Letters 47(6), 1993.

    Examples
    --------
    >>> layers(nx.DiGraph([("db", "api"), ("api", "web")]))["layer"].tolist()
    [0, 1, 2]
    """
    check_directed(graph)
    opened = _opened(graph, way)
    order = list(nx.lexicographical_topological_sort(opened))
    layer: dict[str, int] = {}
    for name in order:
        layer[name] = max((layer[cause] + 1 for cause in opened.predecessors(name)), default=0)
    for name in reversed(order):
        layer[name] = min((layer[effect] - 1 for effect in opened.successors(name)), default=layer[name])
    rows = arrange(graph.edges, layer)
    return pd.DataFrame(
        [(name, number, place) for number, names in enumerate(rows) for place, name in enumerate(names)],
        columns=["system", "layer", "place"],
    )


def _opened(graph: nx.DiGraph, way: Sequence[str]) -> nx.DiGraph:
    """Return the graph without cycles: some edges of each are turned round."""
    line: dict[str, int] = {}
    for part in nx.strongly_connected_components(graph):
        run = [name for name in way if name in part]  # in one piece: no path comes back into a cycle that it left
        line |= {name: place for place, name in enumerate(_in_line(graph.subgraph(part), run))}
    part_of = nx.condensation(graph).graph["mapping"]
    opened = nx.DiGraph()
    opened.add_nodes_from(graph)
    for cause, effect in graph.edges:
        turned = part_of[cause] == part_of[effect] and line[cause] > line[effect]
        if cause != effect:
            opened.add_edge(*((effect, cause) if turned else (cause, effect)))
    return opened


def _in_line(part: nx.DiGraph, run: Sequence[str]) -> list[str]:
    """Return the systems of a cycle in a line with few edges against it; those of `run` in one piece."""
    if len(run) > 1:
        joined = nx.relabel_nodes(part, dict.fromkeys(run, run[0]))
        joined.remove_edges_from(list(nx.selfloop_edges(joined)))
        line = _in_line(joined, ())
        place = line.index(run[0])
        return [*line[:place], *run, *line[place + 1 :]]
    gains = {name: part.out_degree(name) - part.in_degree(name) for name in part}
    causes, effects = (dict(degree) for degree in (part.in_degree, part.out_degree))
    first: list[str] = []
    last: list[str] = []
    left = set(part)
    while left:
        ends = min((name for name in left if effects[name] == 0), default=None)
        starts = min((name for name in left if causes[name] == 0), default=None)
        if ends is not None:
            chosen = ends
            last.append(chosen)
        else:
            chosen = starts if starts is not None else min(left, key=lambda name: (-gains[name], name))
            first.append(chosen)
        left.remove(chosen)
        for effect in part.successors(chosen):
            causes[effect] -= 1
            gains[effect] += 1
        for cause in part.predecessors(chosen):
            effects[cause] -= 1
            gains[cause] -= 1
    return first + last[::-1]


def arrange(edges: Iterable[tuple[Hashable, Hashable]], layer: Mapping[Any, int]) -> list[list[Hashable]]:
    """Order the nodes of each layer, so that few of the edges between neighbouring layers cross.

    Parameters
    ----------
    edges : iterable of pairs
        Edges between nodes; their direction is not looked at.
    layer : mapping
        Node -> number of its layer, from 0.

    Returns
    -------
    list of list
        The nodes of each layer in order; ties by name.

    Examples
    --------
    >>> arrange([("a", "y"), ("b", "x")], {"a": 0, "b": 0, "x": 1, "y": 1})
    [['b', 'a'], ['x', 'y']]
    """
    near: dict[Hashable, list[Hashable]] = {node: [] for node in layer}
    steps: list[tuple[Hashable, Hashable]] = []
    for one, other in sorted(edges, key=str):
        near[one].append(other)
        near[other].append(one)
        if abs(layer[one] - layer[other]) == 1:
            steps.append((one, other) if layer[one] < layer[other] else (other, one))
    rows: list[list[Hashable]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node in sorted(layer, key=str):
        rows[layer[node]].append(node)
    best, fewest = [list(row) for row in rows], _crossings(rows, steps)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        place, wanted = _places(rows), dict[Hashable, float]()
        for number in range(len(rows)) if forward else reversed(range(len(rows))):
            for node in rows[number]:
                settled = [place[other] for other in near[node] if (layer[other] < number) == forward]
                wanted[node] = _centre(settled or [place[other] for other in near[node]] or [place[node]])
            rows[number].sort(key=lambda node: (wanted[node], str(node)))
            place |= _places([rows[number]])
        crossed = _crossings(rows, steps)
        if crossed < fewest:
            best, fewest = [list(row) for row in rows], crossed
    return best


def _places(rows: Iterable[list[Hashable]]) -> dict[Hashable, float]:
    return {node: (spot + 0.5) / len(row) for row in rows for spot, node in enumerate(row)}


def _centre(places: list[float]) -> float:
    return sum(places) / len(places)


def _crossings(rows: list[list[Hashable]], steps: list[tuple[Hashable, Hashable]]) -> int:
    """Return how many pairs of edges between neighbouring layers cross."""
    spot = {node: place for row in rows for place, node in enumerate(row)}
    number = {node: index for index, row in enumerate(rows) for node in row}
    between: dict[int, list[tuple[int, int]]] = {}
    for one, other in steps:
        between.setdefault(number[one], []).append((spot[one], spot[other]))
    crossed = 0
    for pairs in between.values():
        seen: list[int] = []
        for _, end in sorted(pairs):
            crossed += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return crossed

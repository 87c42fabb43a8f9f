"""Which moved system explains which: by the graph, the order of time, and what lies between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np

__all__ = ["Moved", "Reach", "reach"]

_EDGE = 0.95  # weight of one dependency on the way
_SILENT = 0.8  # weight of a system on the way that has metrics and did not move
_UNSEEN = 0.95  # the same of one without metrics
_LOAD = 0.5  # weight of a consumer that moved earlier as explanation of its dependency: load runs backwards


@dataclass(frozen=True, eq=False)
class Moved:
    """The measured systems, in one order; arrays of length n_systems.

    Attributes
    ----------
    names : list of str
        The systems.
    moved : ndarray
        How surely each moved with the symptom, 0 to 1.
    begin, error : ndarray
        Onset in sampling steps, and the half-width of its 95 % interval; NaN where it did not move.
    earliest : ndarray
        Where the onset may lie if the level changed gradually.
    """

    names: list[str]
    moved: Any
    begin: Any
    error: Any
    earliest: Any

    def after(self, one: Any, other: Any) -> Any:
        """Return whether some systems began clearly after others, beyond the errors of both; never if not known.

        Both errors hold one sampling step, which counts once: the rows are the same.
        """
        with np.errstate(invalid="ignore"):
            gap = self.earliest[one] - self.error[one] - self.begin[other] - self.error[other]
            return np.nan_to_num(gap, nan=-2.0) > -1


@dataclass(frozen=True, eq=False)
class Reach:
    """How well each moved system explains each measured one.

    Attributes
    ----------
    rows : list of int
        The moved systems, as places in `Moved.names`.
    weight : ndarray, shape (n_rows, n_systems)
        Weight of the best way through the graph that the times allow; 0 if there is none, 1 to itself.
    load : ndarray, shape (n_rows, n_systems)
        The same against the edges, where the explaining consumer clearly moved first.
    """

    rows: list[int]
    weight: Any
    load: Any
    _nodes: list[str]
    _places: Any
    _previous: Any

    def path(self, row: int, system: int) -> tuple[str, ...]:
        """Return the best way from the moved system `row` of `rows` to a measured system, both ends included."""
        node, found = int(self._places[system]), []
        while node >= 0:
            found.append(self._nodes[node])
            node = int(self._previous[row, node])
        return tuple(reversed(found))


def reach(graph: nx.DiGraph, systems: Moved) -> Reach:
    """Weigh the ways through the graph from each moved system to each measured one.

    The weight of a way is the product of 0.95 for each edge and of a factor for each system between: 0.95 without
    metrics, else between 0.8 (did not move) and 1 (moved as surely as any). The best way is found by Dijkstra's
    algorithm on the negative logarithms. A way counts only where the times allow it: the explained system did
    not clearly begin before the explaining one.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import dijkstra

    nodes = list(graph)
    place = {name: number for number, name in enumerate(nodes)}
    places = np.array([place.get(name, -1) for name in systems.names])
    rows = [row for row in np.flatnonzero(systems.moved > 0).tolist() if places[row] >= 0]
    passing = np.full(len(nodes), -np.log(_UNSEEN))
    known = places >= 0
    top = max(float(systems.moved.max(initial=0.0)), 1e-9)
    passing[places[known]] = -np.log(_SILENT + (1 - _SILENT) * systems.moved[known] / top)
    edges = [(place[u], place[v]) for u, v in graph.edges if u != v]
    weight = np.zeros((len(rows), len(systems.names)))
    load = np.zeros_like(weight)
    previous = np.full((len(rows), len(nodes)), -9999)
    if rows and edges:
        cause, effect = np.array(edges).T
        cost = csr_matrix((passing[effect] - np.log(_EDGE), (cause, effect)), shape=(len(nodes), len(nodes)))
        distance, previous = dijkstra(cost, indices=places[rows], return_predecessors=True)
        weight[:, known] = np.exp(passing[places[known]] - distance[:, places[known]])
        back = csr_matrix((passing[cause] - np.log(_EDGE), (effect, cause)), shape=(len(nodes), len(nodes)))
        behind = dijkstra(back, indices=places[rows])
        load[:, known] = _LOAD * np.exp(passing[places[known]] - behind[:, places[known]])
    at, every = np.array(rows, dtype="int64")[:, None], np.arange(len(systems.names))[None]
    weight = np.where(systems.after(at, every), 0.0, weight)
    load = np.where(systems.after(every, at), load, 0.0)
    for number, row in enumerate(rows):
        weight[number, row], load[number, row] = 1.0, 0.0
    return Reach(rows, weight, load, nodes, places, previous)

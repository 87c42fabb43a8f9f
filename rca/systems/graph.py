"""Which system can break which: the dependencies as a graph with edges cause -> effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import networkx as nx
import pandas as pd

from rca.errors import UnknownName, did_you_mean, raise_all

__all__ = ["blast_radius", "build", "layers", "path", "suspects"]


def build(dependencies: pd.DataFrame, systems: Sequence[str] = ()) -> nx.DiGraph:
    """Build the graph of causes and effects.

    Parameters
    ----------
    dependencies : DataFrame
        Columns as in ``rca.schema``, table ``dependencies``: ``cause``, ``effect``, and optionally ``basis``
        (how it is known) and ``count`` (how often it was seen).
    systems : sequence of str, optional
        All systems of the incident. Those without a dependency become nodes too.

    Returns
    -------
    DiGraph
        Edge ``u -> v``: a fault in ``u`` can reach ``v``. Edge attributes: ``basis`` (tuple of str, sorted) and
        ``count`` (int, summed over rows). Nodes in order of `systems`, then by name. Cycles are kept. A
        system that depends on itself says nothing about order: such rows are left out.

    Raises
    ------
    UnknownName
        If `systems` is given and a dependency names a system that is not among them; all are listed.

    Examples
    --------
    >>> table = pd.DataFrame({"cause": ["db", "api"], "effect": ["api", "web"]})
    >>> list(build(table).edges)
    [('api', 'web'), ('db', 'api')]
    """
    known = set(systems)
    if known:
        named = dict.fromkeys(name for column in ("cause", "effect") for name in dependencies[column])
        raise_all(
            [
                f"dependencies: unknown system {name!r}{did_you_mean(name, known)}"
                for name in named
                if name not in known
            ],
            UnknownName,
        )
    graph = nx.DiGraph()
    graph.add_nodes_from(systems)
    graph.add_nodes_from(sorted(set(dependencies["cause"]) | set(dependencies["effect"])))
    table = dependencies[dependencies["cause"] != dependencies["effect"]]
    for (cause, effect), rows in table.groupby(["cause", "effect"], sort=True):
        basis = tuple(sorted(set(rows["basis"]) - {""})) if "basis" in rows else ()
        graph.add_edge(cause, effect, basis=basis, count=int(rows["count"].sum()) if "count" in rows else len(rows))
    return graph


def suspects(graph: nx.DiGraph, system: str) -> pd.DataFrame:
    """List the systems whose fault can reach `system`.

    Parameters
    ----------
    graph : DiGraph
        Edge cause -> effect.
    system : str
        A node of it.

    Returns
    -------
    DataFrame
        Columns ``system`` and ``distance`` (edges on the shortest path), nearest first, ties by name.

    Raises
    ------
    UnknownName
        If `system` is not in the graph.

    Examples
    --------
    >>> suspects(nx.DiGraph([("db", "api"), ("api", "web")]), "web").to_dict("list")
    {'system': ['api', 'db'], 'distance': [1, 2]}
    """
    _known(graph, system)
    return _table(nx.single_source_shortest_path_length(graph.reverse(copy=False), system), system)


def blast_radius(graph: nx.DiGraph, system: str) -> pd.DataFrame:
    """List the systems that a fault in `system` can reach.

    Parameters
    ----------
    graph : DiGraph
        Edge cause -> effect.
    system : str
        A node of it.

    Returns
    -------
    DataFrame
        Columns ``system`` and ``distance`` (edges on the shortest path), nearest first, ties by name.

    Raises
    ------
    UnknownName
        If `system` is not in the graph.

    Notes
    -----
    It is what can be reached, not what was harmed: that is a matter of measurement.

    Examples
    --------
    >>> blast_radius(nx.DiGraph([("db", "api"), ("api", "web")]), "api").to_dict("list")
    {'system': ['web'], 'distance': [1]}
    """
    _known(graph, system)
    return _table(nx.single_source_shortest_path_length(graph, system), system)


def path(graph: nx.DiGraph, cause: str, effect: str) -> tuple[str, ...]:
    """Return a shortest path from `cause` to `effect`, the first by name where several are as short.

    Parameters
    ----------
    graph : DiGraph
        Edge cause -> effect.
    cause, effect : str
        Nodes of it.

    Returns
    -------
    tuple of str
        Both ends included; empty when there is no path.

    Raises
    ------
    UnknownName
        If either is not in the graph.

    Examples
    --------
    >>> path(nx.DiGraph([("db", "api"), ("api", "web")]), "db", "web")
    ('db', 'api', 'web')
    >>> path(nx.DiGraph([("db", "api")]), "api", "db")
    ()
    """
    _known(graph, cause)
    _known(graph, effect)
    away = nx.single_source_shortest_path_length(graph.reverse(copy=False), effect)
    if cause not in away:
        return ()
    steps = [cause]
    while steps[-1] != effect:
        steps.append(
            min(name for name in graph.successors(steps[-1]) if away.get(name, len(graph)) == away[steps[-1]] - 1)
        )
    return tuple(steps)


def layers(graph: nx.DiGraph) -> pd.DataFrame:
    """Place each system in a layer, so that effects stand after their causes.

    Parameters
    ----------
    graph : DiGraph
        Edge cause -> effect. The systems of a cycle share a layer.

    Returns
    -------
    DataFrame
        Columns ``system``, ``layer`` (0, 1, ... by the longest chain of causes, then as near to its effects as can
        be) and ``place`` (0, 1, ... within the layer, near the systems it is linked to; ties by name).

    Notes
    -----
    Four sweeps of the barycentre heuristic order the places [1]_. O(nodes + edges) per sweep.

    References
    ----------
    .. [1] Sugiyama, Tagawa, Toda, IEEE Trans. Systems, Man, and Cybernetics 11(2), 1981.

    Examples
    --------
    >>> layers(nx.DiGraph([("db", "api"), ("api", "web")]))["layer"].tolist()
    [0, 1, 2]
    """
    condensed = nx.condensation(graph)
    depth: dict[int, int] = {}
    for part in nx.topological_sort(condensed):
        depth[part] = max((depth[cause] + 1 for cause in condensed.predecessors(part)), default=0)
    for part in reversed(list(nx.topological_sort(condensed))):
        depth[part] = min((depth[effect] - 1 for effect in condensed.successors(part)), default=depth[part])
    layer = {name: depth[condensed.graph["mapping"][name]] for name in graph}
    rows: dict[int, list[str]] = {}
    for name in sorted(graph):
        rows.setdefault(layer[name], []).append(name)
    for sweep in range(4):
        for number in sorted(rows, reverse=sweep % 2 == 1):
            place = {name: spot / max(len(names) - 1, 1) for names in rows.values() for spot, name in enumerate(names)}
            rows[number].sort(key=lambda name: (_centre(graph, name, place), name))
    return pd.DataFrame(
        [(name, number, spot) for number in sorted(rows) for spot, name in enumerate(rows[number])],
        columns=["system", "layer", "place"],
    )


def _centre(graph: nx.DiGraph, name: str, place: Mapping[str, float]) -> float:
    near = [place[other] for other in (*graph.predecessors(name), *graph.successors(name))]
    return sum(near) / len(near) if near else 1.0


def _known(graph: nx.DiGraph, system: str) -> None:
    if system not in graph:
        raise UnknownName(f"unknown system {system!r}{did_you_mean(system, graph)}")


def _table(distance: Mapping[str, int], system: str) -> pd.DataFrame:
    rows = sorted((steps, name) for name, steps in distance.items() if name != system)
    return pd.DataFrame(
        {"system": [name for _, name in rows], "distance": pd.array([steps for steps, _ in rows], "int64")}
    )

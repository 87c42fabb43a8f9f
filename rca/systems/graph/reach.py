"""What a fault can reach and what can reach it: suspects, blast radius, paths."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from heapq import heappop, heappush

import networkx as nx
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean

__all__ = ["away_from", "blast_radius", "check_known", "descend", "path", "paths", "suspects"]


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

    Notes
    -----
    Breadth-first search, each edge looked at once: a cycle is walked round once and then left. The systems of a
    cycle are all suspects of each other; `system` itself is never listed. O(nodes + edges).

    Examples
    --------
    >>> suspects(nx.DiGraph([("db", "api"), ("api", "web")]), "web").to_dict("list")
    {'system': ['api', 'db'], 'distance': [1, 2]}
    """
    check_known(graph, system)
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
    It is what can be reached, not what was harmed: that is a matter of measurement. On cycles as `suspects`.

    Examples
    --------
    >>> blast_radius(nx.DiGraph([("db", "api"), ("api", "web")]), "api").to_dict("list")
    {'system': ['web'], 'distance': [1]}
    """
    check_known(graph, system)
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
        Both ends included; empty when there is no path. A shortest path never goes round a cycle.

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
    check_known(graph, cause, effect)
    return descend(graph, cause, away_from(graph, {effect}))


def paths(graph: nx.DiGraph, cause: str, effect: str, *, limit: int = 10) -> pd.DataFrame:
    """List the ways by which a fault in `cause` can reach `effect`, the shortest first.

    Parameters
    ----------
    graph : DiGraph
        Edge cause -> effect.
    cause, effect : str
        Nodes of it.
    limit : int, default 10
        Most paths to list, at least 1. When as many are listed, there may be more.

    Returns
    -------
    DataFrame
        Columns ``path`` (tuple of systems, both ends included), ``length`` (edges) and ``sentence``. Ordered by
        length, then by names. Empty when `effect` cannot be reached.

    Raises
    ------
    InputError
        If `limit` is not a whole number of at least 1.
    UnknownName
        If either end is not in the graph.

    Notes
    -----
    Yen's algorithm [1]_ with paths of one length in the order of their names. Paths are simple: each goes through
    a cycle, but never round it, so that their number is finite; it can still grow exponentially with the
    graph, hence `limit`. O(limit * length * (nodes + edges)).

    References
    ----------
    .. [1] Yen, Management Science 17(11), 1971.

    Examples
    --------
    >>> graph = nx.DiGraph([("db", "api"), ("api", "web"), ("web", "api"), ("db", "web")])
    >>> paths(graph, "db", "web")["path"].tolist()
    [('db', 'web'), ('db', 'api', 'web')]
    """
    check_known(graph, cause, effect)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InputError(f"limit is {limit!r}; wanted a whole number of at least 1")
    first = path(graph, cause, effect)
    found: list[tuple[str, ...]] = []
    waiting = [(len(first), first)] if first else []
    seen = {first}
    while waiting and len(found) < limit:
        best = heappop(waiting)[1]
        found.append(best)
        for place in range(len(best) - 1):
            head = best[: place + 1]
            used = {other[place : place + 2] for other in found if other[: place + 1] == head}
            away = away_from(graph, {effect}, without=head[:-1], cut_edges=used)
            tail = descend(graph, head[-1], away, used)
            if tail and (way := head[:-1] + tail) not in seen:
                seen.add(way)
                heappush(waiting, (len(way), way))
    return pd.DataFrame(
        {
            "path": pd.Series(found, dtype=object),
            "length": pd.Series([len(way) - 1 for way in found], dtype="int64"),
            "sentence": pd.Series([_told(way) for way in found], dtype="str"),
        }
    )


def _told(way: tuple[str, ...]) -> str:
    if len(way) == 1:
        return f"{way[0]} is the place itself."
    over = f" through {', '.join(way[1:-1])}" if len(way) > 2 else " directly"
    return f"A fault in {way[0]} can reach {way[-1]}{over}."


def away_from(
    graph: nx.DiGraph,
    effects: Collection[str],
    *,
    without: Collection[str] = (),
    cut_edges: Collection[tuple[str, ...]] = (),
) -> dict[str, int]:
    """Return how many edges each system is away from the nearest of `effects`, by ways that avoid nodes and edges.

    Examples
    --------
    >>> away_from(nx.DiGraph([("db", "api"), ("api", "web")]), {"web"})
    {'web': 0, 'api': 1, 'db': 2}
    """
    gone = set(without)
    away = dict.fromkeys(sorted(set(effects) - gone), 0)
    front = list(away)
    while front:
        steps = away[front[0]] + 1
        reached = {
            near: steps
            for name in front
            for near in graph.predecessors(name)
            if near not in away and near not in gone and (near, name) not in cut_edges
        }
        away |= reached
        front = list(reached)
    return away


def descend(
    graph: nx.DiGraph, cause: str, away: Mapping[str, int], cut_edges: Collection[tuple[str, ...]] = ()
) -> tuple[str, ...]:
    """Return the shortest path, first by name, from `cause` to what `away_from` was asked for; empty if none.

    Examples
    --------
    >>> descend(nx.DiGraph([("db", "api"), ("api", "web")]), "api", {"web": 0, "api": 1, "db": 2})
    ('api', 'web')
    """
    if cause not in away:
        return ()
    steps = [cause]
    while away[steps[-1]]:
        here = steps[-1]
        nearer = (name for name in graph.successors(here) if away.get(name) == away[here] - 1)
        steps.append(min(name for name in nearer if (here, name) not in cut_edges))
    return tuple(steps)


def check_known(graph: nx.DiGraph, *systems: str) -> None:
    """Raise UnknownName for the first of `systems` that is not a node.

    Examples
    --------
    >>> check_known(nx.DiGraph([("db", "api")]), "db")
    """
    for system in systems:
        if system not in graph:
            raise UnknownName(f"unknown system {system!r}{did_you_mean(str(system), graph)}")


def _table(distance: Mapping[str, int], system: str) -> pd.DataFrame:
    rows = sorted((steps, name) for name, steps in distance.items() if name != system)
    return pd.DataFrame(
        {"system": [name for _, name in rows], "distance": pd.array([steps for steps, _ in rows], "int64")}
    )

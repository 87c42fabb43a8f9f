"""What a fault can reach and what can reach it: suspects, blast radius, paths."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from heapq import heappop, heappush

import networkx as nx
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean

__all__ = ["away_from", "blast_radius", "check_directed", "check_known", "descend", "path", "paths", "suspects"]


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
    Yen's algorithm [1]_ as mended by Lawler [2]_ (a path is searched for once, not again from each of those before
    it), with paths of one length in the order of their names. Paths are simple: each goes through
    a cycle, but never round it, so that their number is finite; it can still grow exponentially with the
    graph, hence `limit`. O(limit * length * (nodes + edges)).

    References
    ----------
    .. [1] Yen, Management Science 17(11), 1971.
    .. [2] Lawler, Management Science 18(7), 1972.

    Examples
    --------
    >>> graph = nx.DiGraph([("db", "api"), ("api", "web"), ("web", "api"), ("db", "web")])
    >>> paths(graph, "db", "web")["path"].tolist()
    [('db', 'web'), ('db', 'api', 'web')]
    """
    check_known(graph, cause, effect)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InputError(f"limit is {limit!r}; wanted a whole number of at least 1")
    far = away_from(graph, {effect})
    first = descend(graph, cause, far)
    found: list[tuple[str, ...]] = []
    # A path, where it left the one that it was made from, and the edges that it was not to take there.
    waiting: list[tuple[int, tuple[str, ...], int, frozenset[tuple[str, str]]]] = []
    if first:
        waiting.append((len(first), first, 0, frozenset()))
    while waiting and len(found) < limit:
        _, best, left, used = heappop(waiting)
        found.append(best)
        for place in range(left, len(best) - 1):
            used = (used if place == left else frozenset()) | {(best[place], best[place + 1])}
            way = _other(graph, best[: place + 1], effect, used, far)
            if way:
                heappush(waiting, (len(way), way, place, used))
    return pd.DataFrame(
        {
            "path": pd.Series(found, dtype=object),
            "length": pd.Series([len(way) - 1 for way in found], dtype="int64"),
            "sentence": pd.Series([_told(way) for way in found], dtype="str"),
        }
    )


def _other(
    graph: nx.DiGraph,
    head: tuple[str, ...],
    effect: str,
    used: Collection[tuple[str, str]],
    far: Mapping[str, int],
) -> tuple[str, ...]:
    """Return the shortest simple path, first by name, that begins with `head` and goes on by no edge of `used`.

    No such path is shorter than `far`, the distances in the whole graph, allows: where they lead past `head` to the
    effect, nothing is searched.
    """
    here, gone = head[-1], set(head)
    front = [name for name in graph.successors(here) if name in far and name not in gone and (here, name) not in used]
    if not front:
        return ()
    steps = [min(front, key=lambda name: (far[name], name))]
    while far[steps[-1]]:
        last = steps[-1]
        nearer = [name for name in graph.successors(last) if far.get(name) == far[last] - 1 and name not in gone]
        if not nearer:
            break
        steps.append(min(nearer))
    else:
        return head + tuple(steps)
    away = away_from(graph, {effect}, without=head[:-1], cut_edges=used, until=here)
    tail = descend(graph, here, away, used)
    return head[:-1] + tail if tail else ()


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
    cut_edges: Collection[tuple[str, str]] = (),
    until: str | None = None,
) -> dict[str, int]:
    """Return how many edges each system is away from the nearest of `effects`, by ways that avoid nodes and edges.

    Systems that are farther away than `until` are left out.

    Examples
    --------
    >>> away_from(nx.DiGraph([("db", "api"), ("api", "web")]), {"web"})
    {'web': 0, 'api': 1, 'db': 2}
    """
    gone = set(without)
    away = dict.fromkeys(sorted(set(effects) - gone), 0)
    front = list(away)
    while front and until not in away:
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
    graph: nx.DiGraph, cause: str, away: Mapping[str, int], cut_edges: Collection[tuple[str, str]] = ()
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
    """Raise UnknownName for the first of `systems` that is not a node of a directed graph.

    Examples
    --------
    >>> check_known(nx.DiGraph([("db", "api")]), "db")
    """
    check_directed(graph)
    for system in systems:
        if system not in graph:
            raise UnknownName(f"unknown system {system!r}{did_you_mean(str(system), map(str, graph))}")


def check_directed(graph: nx.DiGraph) -> None:
    """Raise InputError for what is no graph with one edge from a cause to an effect.

    Examples
    --------
    >>> check_directed(nx.Graph([("db", "api")]))
    Traceback (most recent call last):
        ...
    rca.errors.InputError: graph is a Graph; wanted a networkx.DiGraph with edges cause -> effect
    """
    if not isinstance(graph, nx.DiGraph) or graph.is_multigraph():
        raise InputError(f"graph is a {type(graph).__name__}; wanted a networkx.DiGraph with edges cause -> effect")


def _table(distance: Mapping[str, int], system: str) -> pd.DataFrame:
    rows = sorted((steps, name) for name, steps in distance.items() if name != system)
    return pd.DataFrame(
        {"system": [name for _, name in rows], "distance": pd.array([steps for steps, _ in rows], "int64")}
    )

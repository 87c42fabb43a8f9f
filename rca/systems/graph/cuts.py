"""What a system or a dependency that is taken out separates."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import networkx as nx
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, shorten
from rca.systems.graph.reach import away_from, check_directed, check_known, descend

__all__ = ["cut"]


def cut(
    graph: nx.DiGraph,
    what: str | tuple[str, str],
    *,
    entries: Iterable[str] | None = None,
    origins: Iterable[str] | None = None,
) -> pd.DataFrame:
    """List what a system or an edge that is taken out separates, and what stays joined by another way.

    Parameters
    ----------
    graph : DiGraph
        Edge cause -> effect.
    what : str or tuple of (cause, effect)
        The system, or the edge, that is taken out.
    entries : iterable of str, optional
        Where users or callers come in: the last effects. Default: every system from which no fault goes on, and
        where a cycle is the last, all systems of the cycle.
    origins : iterable of str, optional
        Where data or calls come from: the first causes. Default: likewise, at the other end of the graph.

    Returns
    -------
    DataFrame
        One row for each system before the cut from which a path led to an entry (``side`` "cause"), and one for
        each system behind it to which a path led from an origin (``side`` "effect"); a system of a cycle may
        have both. Columns: ``system``, ``side``, ``state``, ``path`` (the shortest way that is left, to the entry or
        from the origin; empty when lost) and ``sentence``. State "lost": every path went through the cut. Such
        a cause can no longer be reached from the entries by calls, and its faults reach them no more; such an
        effect gets nothing from the origins. State "reachable": another way is left. Ordered by side, lost
        first, then by name. The system that is cut has no row.

    Raises
    ------
    InputError
        If `what` is neither a name nor a pair of names, or the graph is not directed.
    UnknownName
        If the system, the edge, an entry or an origin is not in the graph.

    Notes
    -----
    A system is lost when no path without the cut is left, whatever cycles the graph has: breadth-first search
    goes round none of them twice. An entry (an origin) reaches itself, so it is never lost. Whether a path
    is really used, and whether what is left can carry the load, the graph does not say.
    O(nodes + edges), and the length of the paths.

    Examples
    --------
    >>> graph = nx.DiGraph([("db", "api"), ("api", "web"), ("cache", "api"), ("cache", "web")])
    >>> cut(graph, "api")[["system", "side", "state"]].values.tolist()
    [['db', 'cause', 'lost'], ['cache', 'cause', 'reachable'], ['web', 'effect', 'reachable']]
    """
    node, edges, before, behind = _parts(graph, what)
    ends = {"cause": _ends(graph, entries, graph), "effect": _ends(graph, origins, graph.reverse(copy=False))}
    rows = []
    for side, systems in (("cause", before), ("effect", behind)):
        walked = graph if side == "cause" else graph.reverse(copy=False)
        gone = edges if side == "cause" else {(effect, cause) for cause, effect in edges}
        left = away_from(walked, ends[side], without=node, cut_edges=gone)
        for system in sorted((systems - node) & away_from(walked, ends[side]).keys()):
            way = descend(walked, system, left, gone)
            rows.append(_row(system, side, way if side == "cause" else way[::-1]))
    rows.sort(key=lambda row: (row[1], row[2], row[0]))
    return pd.DataFrame(rows, columns=["system", "side", "state", "path", "sentence"])


def _row(system: str, side: str, way: tuple[str, ...]) -> tuple[str, str, str, tuple[str, ...], str]:
    if side == "cause":
        lost = f"No path from {system} to an entry is left: it cannot be reached, and its faults reach none."
        kept = f"{system} is still joined to the entry {way[-1] if way else ''}"
    else:
        lost = f"No path from an origin to {system} is left: it gets nothing from any of them."
        kept = f"{system} is still fed by the origin {way[0] if way else ''}"
    if not way:
        return system, side, "lost", way, lost
    over = f" through {', '.join(way[1:-1])}" if len(way) > 2 else " directly"
    return system, side, "reachable", way, f"{kept}{over}." if len(way) > 1 else f"{kept}: it is one itself."


def _parts(graph: nx.DiGraph, what: str | tuple[str, str]) -> tuple[set[str], set[tuple[str, str]], set[str], set[str]]:
    """Return the node and the edges that are cut, and the systems before and behind."""
    check_directed(graph)
    if isinstance(what, str):
        check_known(graph, what)
        return {what}, set(), nx.ancestors(graph, what), nx.descendants(graph, what)
    if not (isinstance(what, tuple) and len(what) == 2):
        raise InputError(f"cannot cut {shorten(what)}; wanted the name of a system or a pair (cause, effect)")
    cause, effect = what
    check_known(graph, cause, effect)
    if not graph.has_edge(cause, effect):
        near = [f"{end[0]} -> {end[1]}" for end in graph.edges if set(end) & {cause, effect}]
        turned = graph.has_edge(effect, cause)
        hint = f"; did you mean '{effect} -> {cause}'?" if turned else did_you_mean(f"{cause} -> {effect}", near)
        raise UnknownName(f"unknown edge '{cause} -> {effect}'{hint}")
    return set(), {(cause, effect)}, nx.ancestors(graph, cause) | {cause}, nx.descendants(graph, effect) | {effect}


def _ends(graph: nx.DiGraph, given: Iterable[str] | None, walked: nx.DiGraph) -> Collection[str]:
    """Return the given systems, or those of the components that no edge of `walked` leaves."""
    if given is not None:
        names = {given} if isinstance(given, str) else set(given)
        check_known(graph, *sorted(names))
        return names
    condensed = nx.condensation(walked)
    return {
        name for part, members in condensed.nodes(data="members") if not condensed.out_degree(part) for name in members
    }

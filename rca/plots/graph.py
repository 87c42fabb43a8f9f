"""Picture of the dependencies: who can break whom, causes to the left of their effects."""

from __future__ import annotations

import networkx as nx
from matplotlib.axes import Axes

from rca.plots import layers, sheet

__all__ = ["graph"]


def graph(graph: nx.DiGraph, ax: Axes | None = None) -> Axes:
    """Draw the graph of dependencies in layers.

    Parameters
    ----------
    graph : DiGraph
        From `rca.graph.build`; edge cause -> effect.
    ax : Axes, optional
        Where to draw; default a new figure that grows with the graph.

    Returns
    -------
    Axes
        One box a system, one arrow an edge, dashed where it closes a cycle. Data are inches on the sheet.

    Notes
    -----
    No box or text overlaps another, however many systems there are; the sheet grows with them, and with the longest
    chain: about two inches a layer. From about 100 systems on it is larger than a page can show; then draw a part,
    such as ``graph.subgraph({system, *rca.graph.suspects(graph, system)["system"]})``.

    Examples
    --------
    >>> ax = graph(nx.DiGraph([("db", "api")]))
    >>> [text.get_text() for text in ax.texts]
    ['db', 'api', 'a fault spreads along the arrows']
    """
    layout = layers.place(graph, {}).lowered(0.15)
    ax, scale = sheet.unroll(max(layout.across, 3.0), layout.down + 0.4, ax)
    layers.paint(ax, layout, scale, {}, ())
    said = "a fault spreads along the arrows" if layout.boxes else "no system is named"
    said += "; a dashed one closes a cycle" if layout.backward else ""
    sheet.write(ax, 0.15, layout.down + 0.15, [said], layers.SMALL * scale, color=sheet.FAINT)
    return ax

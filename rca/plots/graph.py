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
        One box a system, one arrow an edge. Data are inches on the sheet.

    Notes
    -----
    Legible to about 20 systems on a page.

    Examples
    --------
    >>> ax = graph(nx.DiGraph([("db", "api")]))
    >>> [text.get_text() for text in ax.texts]
    ['db', 'api', 'a fault spreads along the arrows']
    """
    placed, across, down = layers.boxes(graph, {}, 0.15)
    ax, scale = sheet.unroll(max(across, 3.0), down + 0.4, ax)
    layers.paint(ax, graph, placed, scale, {}, ())
    said = "a fault spreads along the arrows" if placed else "no system is named"
    sheet.write(ax, 0.15, down + 0.15, [said], layers.SMALL * scale, color=sheet.FAINT)
    return ax

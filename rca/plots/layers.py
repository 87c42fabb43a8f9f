"""A graph drawn in layers on a sheet measured in inches: boxes with text, causes to the left of their effects."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from rca.plots import sheet
from rca.systems.graph import layers

__all__ = ["NAME", "SMALL", "Box", "boxes", "paint"]

NAME, SMALL = 9.5, 8.5  # points
_WIDE, _GAP, _BETWEEN, _PAD = 1.66, 0.46, 0.34, 0.09  # inches: box, between layers, between boxes, in the box
_ARROW, _STRONG = "#7A828C", "#0072B2"


@dataclass(frozen=True)
class Box:
    """Where one system stands, in inches from the top left corner of the sheet, and what is written in it."""

    left: float
    top: float
    height: float
    layer: int
    name: tuple[str, ...]
    text: tuple[str, ...]

    @property
    def middle(self) -> float:
        """Height of its middle."""
        return self.top + self.height / 2


def boxes(graph: nx.DiGraph, texts: Mapping[str, Sequence[str]], top: float) -> tuple[dict[str, Box], float, float]:
    """Return a box for each system and a lane where an arrow crosses a layer; the sheet's width and height."""
    limit = _WIDE - 2 * _PAD
    graph = _with_lanes(graph)
    written: dict[str, tuple[tuple[str, ...], tuple[str, ...], float]] = {}
    for system, is_lane in graph.nodes(data="lane"):
        name = [] if is_lane else sheet.wrap(str(system), limit, NAME, "bold")
        text = [line for part in texts.get(system, ()) for line in sheet.wrap(part, limit, SMALL)]
        height = 2 * _PAD + len(name) * sheet.line_height(NAME) + len(text) * sheet.line_height(SMALL)
        written[system] = (tuple(name), tuple(text), 0.0 if is_lane else height)
    places = layers(graph)
    columns = [list(rows["system"]) for _, rows in places.groupby("layer")]
    tall = [sum(written[name][2] for name in names) + _BETWEEN * (len(names) - 1) for names in columns]
    found = {}
    for number, names in enumerate(columns):
        y = top + (max(tall) - tall[number]) / 2
        for system in names:
            lines, below, height = written[system]
            found[system] = Box(0.15 + number * (_WIDE + _GAP), y, height, number, lines, below)
            y += height + _BETWEEN
    across = 0.3 + len(columns) * _WIDE + max(len(columns) - 1, 0) * _GAP
    return found, across, top + max(tall, default=0.0)


def _lane(cause: str, effect: str, layer: int) -> str:
    return f"\0{layer}\0{cause}\0{effect}"


def _with_lanes(graph: nx.DiGraph) -> nx.DiGraph:
    """Return the graph with a node in every layer that an edge crosses, so that boxes leave room for it."""
    layer = layers(graph).set_index("system")["layer"]
    out = nx.DiGraph()
    out.add_nodes_from(graph, lane=False)
    for cause, effect in graph.edges:
        crossed = [_lane(cause, effect, number) for number in range(layer[cause] + 1, layer[effect])]
        out.add_nodes_from(crossed, lane=True)
        nx.add_path(out, [cause, *crossed, effect])
    return out


def paint(
    ax: Axes,
    graph: nx.DiGraph,
    placed: Mapping[str, Box],
    scale: float,
    looks: Mapping[str, Mapping[str, Any]],
    strong: Collection[tuple[str, str]],
) -> None:
    """Draw the arrows, then the boxes over them.

    Parameters
    ----------
    looks : mapping
        System -> style of its box (``facecolor``, ``edgecolor``, ``linewidth`` ...), and ``ink`` for its text.
    strong : collection of (cause, effect)
        Edges drawn thick.
    """
    for cause, effect in sorted(graph.edges, key=lambda edge: (edge in strong, edge)):
        crossed = range(placed[cause].layer + 1, placed[effect].layer)
        stops = [placed[cause], *(placed[_lane(cause, effect, number)] for number in crossed), placed[effect]]
        ax.add_patch(_arrow(stops, (cause, effect) in strong, scale))
    for system in graph:
        box = placed[system]
        look: dict[str, Any] = {"facecolor": "white", "edgecolor": _ARROW, "linewidth": 1.0} | dict(
            looks.get(system, {})
        )
        ink = look.pop("ink", sheet.INK)
        look["linewidth"] *= scale
        shape = FancyBboxPatch(
            (box.left, box.top), _WIDE, box.height, boxstyle="round,pad=0,rounding_size=0.06", zorder=3, **look
        )
        shape.set_gid(str(system))
        ax.add_patch(shape)
        sheet.write(ax, box.left + _PAD, box.top + _PAD, box.name, NAME * scale, weight="bold", color=ink, zorder=4)
        below = box.top + _PAD + len(box.name) * sheet.line_height(NAME)
        if box.text:
            sheet.write(ax, box.left + _PAD, below, box.text, SMALL * scale, color=ink, zorder=4)


def _arrow(stops: Sequence[Box], strong: bool, scale: float) -> FancyArrowPatch:
    """Return the arrow through its lanes from one box to another; within a layer it is bent."""
    cause, effect = stops[0], stops[-1]
    style: dict[str, Any] = {
        "arrowstyle": "-|>", "mutation_scale": (15 if strong else 11) * scale, "zorder": 2 if strong else 1,
        "color": _STRONG if strong else _ARROW, "linewidth": (2.6 if strong else 1.1) * scale,
    }  # fmt: skip
    if effect.layer <= cause.layer:
        down = effect.top > cause.top
        shift = _WIDE * (0.35 if down else 0.65)
        start = (cause.left + shift, cause.top + cause.height if down else cause.top)
        end = (effect.left + shift, effect.top if down else effect.top + effect.height)
        return FancyArrowPatch(start, end, shrinkA=0, shrinkB=1, connectionstyle="arc3,rad=0.2", **style)
    points = [(cause.left + _WIDE, cause.middle)]
    for lane in stops[1:-1]:
        points += [(lane.left, lane.middle), (lane.left + _WIDE, lane.middle)]
    return FancyArrowPatch(path=Path([*points, (effect.left, effect.middle)]), **style)

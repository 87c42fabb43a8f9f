"""A graph drawn in layers on a sheet measured in inches: boxes with text, causes to the left of their effects."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from rca.plots import sheet
from rca.systems.graph import arrange, layers

__all__ = ["NAME", "SMALL", "Box", "Layout", "paint", "place"]

NAME, SMALL = 9.5, 8.5  # points
_WIDE, _PAD, _EDGE = 1.66, 0.09, 0.15  # inches: box, in the box, of the sheet
_BETWEEN, _BESIDE, _LANES = 0.34, 0.22, 0.13  # inches: between boxes, a box and a lane, two lanes
_GAP, _PER_ARROW, _WIDEST = 0.46, 0.02, 1.1  # inches between layers: least, more for each arrow, most
_SWEEPS = 12
_ARROW, _STRONG = "#7A828C", "#0072B2"

Edge = tuple[str, str]


@dataclass(frozen=True)
class Box:
    """Where one system or lane stands, in inches from the top left corner of the sheet, and its texts."""

    left: float
    top: float
    wide: float
    height: float
    name: tuple[str, ...] = ()
    text: tuple[str, ...] = ()

    @property
    def middle(self) -> float:
        """Height of its middle."""
        return self.top + self.height / 2

    @property
    def right(self) -> float:
        """Its right side."""
        return self.left + self.wide


@dataclass(frozen=True)
class Layout:
    """Where everything stands.

    Attributes
    ----------
    boxes : dict
        System -> its box.
    ways : dict
        Edge -> the points of its arrow, from one gap between layers to the next, in pairs: start and end of a gap.
    backward : frozenset
        Edges drawn against the layers: each closes a cycle.
    across, down : float
        Size of the sheet.
    """

    boxes: dict[str, Box]
    ways: dict[Edge, tuple[tuple[float, float], ...]]
    backward: frozenset[Edge]
    across: float
    down: float

    def lowered(self, by: float) -> Layout:
        """Return it so many inches further down the sheet."""
        return replace(
            self,
            boxes={name: replace(box, top=box.top + by) for name, box in self.boxes.items()},
            ways={edge: tuple((x, y + by) for x, y in way) for edge, way in self.ways.items()},
            down=self.down + by,
        )


def place(
    graph: nx.DiGraph,
    texts: Mapping[str, Sequence[str]],
    way: Sequence[str] = (),
) -> Layout:
    """Place a box for each system and an arrow for each edge.

    Parameters
    ----------
    graph : DiGraph
        Edge cause -> effect; cycles are opened as `rca.graph.layers` does.
    texts : mapping
        System -> what is written in its box below its name.
    way : sequence of str, optional
        A path in the graph that is to lead forward, whatever cycles it is part of.

    Returns
    -------
    Layout
        No box or lane overlaps another.
    """
    layer = dict(layers(graph, way=way)[["system", "layer"]].itertuples(index=False))
    chains = {edge: _chain(edge, layer) for edge in graph.edges if edge[0] != edge[1]}
    spots: dict[Any, int] = dict(layer)
    for (cause, effect), chain in chains.items():
        step = 1 if layer[effect] > layer[cause] else -1
        spots |= {node: layer[cause] + step * number for number, node in enumerate(chain)}
    rows = arrange([step for chain in chains.values() for step in pairwise(chain)], spots)
    written = {system: _written(system, texts.get(system, ())) for system in graph}
    tops = _heights(rows, written, chains.values())
    lefts = _lefts(len(rows), spots, chains)
    boxes: dict[Any, Box] = {
        node: replace(written[node], left=lefts[spots[node]], top=top)
        if node in written
        else Box(lefts[spots[node]], top, _WIDE, 0.0)
        for node, top in tops.items()
    }
    ways = _ways(chains, boxes, spots)
    bottoms = [box.top + box.height for box in boxes.values()]
    across = (lefts[-1] + _WIDE if lefts else _EDGE) + _EDGE
    backward = frozenset(edge for edge in chains if layer[edge[0]] > layer[edge[1]])
    return Layout({name: boxes[name] for name in graph}, ways, backward, across, max(bottoms, default=0.0))


def _chain(edge: Edge, layer: Mapping[str, int]) -> list[Any]:
    """Return the ends of an edge and its lanes in the layers that it crosses."""
    cause, effect = edge
    step = 1 if layer[effect] > layer[cause] else -1
    return [cause, *((cause, effect, number) for number in range(layer[cause] + step, layer[effect], step)), effect]


def _written(system: str, texts: Sequence[str]) -> Box:
    """Return the box of a system at no place yet."""
    limit = _WIDE - 2 * _PAD
    name = sheet.wrap(str(system), limit, NAME, "bold")
    text = [line for part in texts for line in sheet.wrap(part, limit, SMALL)]
    height = 2 * _PAD + len(name) * sheet.line_height(NAME) + len(text) * sheet.line_height(SMALL)
    return Box(0.0, 0.0, _WIDE, height, tuple(name), tuple(text))


def _heights(
    rows: Sequence[Sequence[Any]], written: Mapping[str, Box], chains: Iterable[Sequence[Any]]
) -> dict[Any, float]:
    """Return the top of each node: as near to the middle of its neighbours as the order in its layer allows.

    What has no neighbours stands below the others of its layer.
    """
    near: dict[Any, list[Any]] = {node: [] for row in rows for node in row}
    for chain in chains:
        for one, other in pairwise(chain):
            near[one].append(other)
            near[other].append(one)
    tall = {node: written[node].height if node in written else 0.0 for node in near}
    linked = [[node for node in row if near[node]] for row in rows]
    middle: dict[Any, float] = {}
    for row in linked:
        middle |= _spread(row, [0.0] * len(row), tall, written)
    for sweep in range(_SWEEPS):
        for row in linked if sweep % 2 == 0 else reversed(linked):
            wanted = [sum(middle[other] for other in near[node]) / len(near[node]) for node in row]
            middle |= _spread(row, wanted, tall, written)
    top = {node: middle[node] - tall[node] / 2 for node in middle}
    first = min(top.values(), default=0.0)
    top = {node: height - first for node, height in top.items()}
    for names, joined in zip(rows, linked, strict=True):
        down = top[joined[-1]] + tall[joined[-1]] + _BETWEEN if joined else 0.0
        for node in (node for node in names if not near[node]):
            top[node] = down
            down += tall[node] + _BETWEEN
    return top


def _spread(
    row: Sequence[Any], wanted: Sequence[float], tall: Mapping[Any, float], written: Mapping[str, Box]
) -> dict[Any, float]:
    """Return the middles nearest to the wanted ones, in least squares, that keep order and distance (pooled)."""
    offset = [0.0]
    for one, other in pairwise(row):
        between = _BETWEEN if one in written and other in written else _BESIDE
        between = between if one in written or other in written else _LANES
        offset.append(offset[-1] + tall[one] / 2 + between + tall[other] / 2)
    pools: list[tuple[float, int]] = []
    for want, shift in zip(wanted, offset, strict=False):
        mean, count = want - shift, 1
        while pools and pools[-1][0] >= mean:
            earlier, number = pools.pop()
            mean, count = (mean * count + earlier * number) / (count + number), count + number
        pools.append((mean, count))
    means = [mean for mean, count in pools for _ in range(count)]
    return {node: mean + shift for node, mean, shift in zip(row, means, offset, strict=False)}


def _lefts(count: int, spots: Mapping[Any, int], chains: Mapping[Edge, Sequence[Any]]) -> list[float]:
    """Return the left side of each layer; the gap before it is as wide as its arrows need."""
    arrows = [0] * count
    for chain in chains.values():
        for one, other in pairwise(chain):
            arrows[min(spots[one], spots[other])] += 1
    lefts = [_EDGE] if count else []
    for number in range(count - 1):
        room = min(_GAP + _PER_ARROW * arrows[number], _WIDEST)
        lefts.append(lefts[-1] + _WIDE + room)
    return lefts


def _ways(
    chains: Mapping[Edge, Sequence[Any]], boxes: Mapping[Any, Box], spots: Mapping[Any, int]
) -> dict[Edge, tuple[tuple[float, float], ...]]:
    """Return the points of each arrow; those that meet at one side of a box are spread over it."""
    sides: dict[tuple[Any, bool], list[tuple[float, Edge]]] = {}
    for edge, chain in chains.items():
        for own, other in ((chain[0], chain[1]), (chain[-1], chain[-2])):
            sides.setdefault((own, spots[other] > spots[own]), []).append((boxes[other].middle, edge))
    port = {}
    for (node, _), ends in sides.items():
        box = boxes[node]
        for number, (_, edge) in enumerate(sorted(ends)):
            port[node, edge] = box.middle + box.height * 0.7 * ((number + 0.5) / len(ends) - 0.5)
    ways = {}
    for edge, chain in chains.items():
        points = []
        for one, other in pairwise(chain):
            right = spots[other] > spots[one]
            start, end = (boxes[one].right, boxes[other].left) if right else (boxes[one].left, boxes[other].right)
            heights = (port.get((node, edge), boxes[node].middle) for node in (one, other))
            points += list(zip((start, end), heights, strict=True))
        ways[edge] = tuple(points)
    return ways


def paint(
    ax: Axes,
    layout: Layout,
    scale: float,
    looks: Mapping[str, Mapping[str, Any]],
    strong: Collection[Edge],
) -> None:
    """Draw the arrows, then the boxes and the texts over them.

    Parameters
    ----------
    looks : mapping
        System -> style of its box (``facecolor``, ``edgecolor``, ``linewidth`` ...), and ``ink`` for its text.
    strong : collection of (cause, effect)
        Edges drawn thick.

    Notes
    -----
    Edges against the layers are dashed.
    """
    for edge in sorted(layout.ways, key=lambda edge: (edge in strong, edge)):
        ax.add_patch(_arrow(layout.ways[edge], edge in strong, edge in layout.backward, scale))
    for system, box in layout.boxes.items():
        look: dict[str, Any] = {"facecolor": "white", "edgecolor": _ARROW, "linewidth": 1.0} | dict(
            looks.get(system, {})
        )
        ink = look.pop("ink", sheet.INK)
        look["linewidth"] *= scale
        shape = FancyBboxPatch(
            (box.left, box.top), box.wide, box.height, boxstyle="round,pad=0,rounding_size=0.06", zorder=3, **look
        )
        shape.set_gid(str(system))
        ax.add_patch(shape)
        sheet.write(ax, box.left + _PAD, box.top + _PAD, box.name, NAME * scale, weight="bold", color=ink, zorder=4)
        below = box.top + _PAD + len(box.name) * sheet.line_height(NAME)
        if box.text:
            sheet.write(ax, box.left + _PAD, below, box.text, SMALL * scale, color=ink, zorder=4)


def _arrow(way: Sequence[tuple[float, float]], strong: bool, backward: bool, scale: float) -> FancyArrowPatch:
    """Return the arrow along its points: a curve in each gap, straight through each layer."""
    points, codes = [way[0]], [Path.MOVETO]
    for number in range(0, len(way), 2):
        (x, y), (other_x, other_y) = way[number : number + 2]
        if number:
            points, codes = [*points, (x, y)], [*codes, Path.LINETO]
        half = (x + other_x) / 2
        points += [(half, y), (half, other_y), (other_x, other_y)]
        codes += [Path.CURVE4] * 3
    return FancyArrowPatch(
        path=Path(points, codes), arrowstyle="-|>", mutation_scale=(15 if strong else 9) * scale,
        color=_STRONG if strong else _ARROW, linewidth=(2.6 if strong else 1.1) * scale,
        linestyle=(0, (4, 2)) if backward else "-", zorder=2 if strong else 1,
    )  # fmt: skip

"""A graph drawn in layers on a sheet measured in inches: boxes with text, causes to the left of their effects."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

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
    """Return a box for each system, and the width and height of the sheet that they need from `top` on."""
    limit = _WIDE - 2 * _PAD
    written = {}
    for system in graph:
        name = sheet.wrap(str(system), limit, NAME, "bold")
        text = [line for part in texts.get(system, ()) for line in sheet.wrap(part, limit, SMALL)]
        height = 2 * _PAD + len(name) * sheet.line_height(NAME) + len(text) * sheet.line_height(SMALL)
        written[system] = (tuple(name), tuple(text), height)
    places = layers(graph)
    columns = [list(rows["system"]) for _, rows in places.groupby("layer")]
    tall = [sum(written[name][2] for name in names) + _BETWEEN * (len(names) - 1) for names in columns]
    found = {}
    for number, names in enumerate(columns):
        y = top + (max(tall) - tall[number]) / 2
        for system in names:
            lines, below, tall_one = written[system]
            found[system] = Box(0.15 + number * (_WIDE + _GAP), y, tall_one, number, lines, below)
            y += tall_one + _BETWEEN
    across = 0.3 + len(columns) * _WIDE + max(len(columns) - 1, 0) * _GAP
    return found, across, top + max(tall, default=0.0)


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
        ax.add_patch(_arrow(placed[cause], placed[effect], (cause, effect) in strong, scale))
    for system, box in placed.items():
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


def _arrow(cause: Box, effect: Box, strong: bool, scale: float) -> FancyArrowPatch:
    """Return the arrow from one box to another; those that skip a layer or stay in one are bent."""
    if effect.layer > cause.layer:
        start, end = (cause.left + _WIDE, cause.middle), (effect.left, effect.middle)
        bend = 0.0 if effect.layer == cause.layer + 1 else (0.22 if end[1] >= start[1] else -0.22)
    else:
        down = effect.top > cause.top
        shift = _WIDE * (0.35 if down else 0.65)
        start = (cause.left + shift, cause.top + cause.height if down else cause.top)
        end = (effect.left + shift, effect.top if down else effect.top + effect.height)
        bend = 0.2
    return FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=(15 if strong else 11) * scale, shrinkA=0, shrinkB=1,
        connectionstyle=f"arc3,rad={bend}", color=_STRONG if strong else _ARROW,
        linewidth=(2.6 if strong else 1.1) * scale, zorder=2 if strong else 1,
    )  # fmt: skip

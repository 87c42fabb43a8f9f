"""Picture of a fishbone (Ishikawa) diagram that sizes itself."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from rca.plots import sheet

__all__ = ["fishbone"]

_ACROSS = 10.0
_MARGIN, _HEAD, _GAP = 0.15, 1.85, 0.12
_LEAN = 0.55  # how far a bone leans away from the head, in inches
_NARROWEST, _WIDEST = 1.95, 3.4  # from bone to bone
_SIZE, _BOLD, _BETWEEN = 9.0, 10.5, 0.11


@dataclass(frozen=True)
class _Side:
    """The categories above or below the spine: labels, and causes as (lines, status)."""

    labels: list[list[str]]
    causes: list[list[tuple[list[str], str]]]

    @property
    def bone(self) -> float:
        """Height of the bones, all alike, so that the labels stand beyond every cause."""
        return max([0.8, *(_stack(causes) for causes in self.causes)]) + 0.15

    @property
    def reach(self) -> float:
        """Height from the spine to the far end of the labels."""
        return self.bone + max([0, *map(len, self.labels)]) * sheet.line_height(_BOLD) + 0.15 if self.labels else 0.0


def fishbone(table: pd.DataFrame, problem: str, ax: Axes | None = None) -> Axes:
    """Draw causes by category, half of the categories above the spine and half below.

    Parameters
    ----------
    table : DataFrame
        From `rca.fishbone.build`.
    problem : str
        What the causes lead to; stands at the head.
    ax : Axes, optional
        Where to draw, made smaller to fit in; default a figure that is as wide and high as the text needs.

    Returns
    -------
    Axes
        No two texts overlap and none is cut, whatever their length. Status shows by marker and colour, with a
        legend; a category without causes says so.

    Examples
    --------
    >>> from rca.causes.fishbone import build
    >>> ax = fishbone(build([], categories=["People", "Data"]), "Recall fell")
    >>> [text.get_text() for text in ax.texts]
    ['Recall fell', 'People', 'nothing recorded', 'Data', 'nothing recorded']
    """
    groups = [(str(name), part) for name, part in table.groupby("category", sort=False)]
    columns = max((len(groups) + 1) // 2, 1)
    pitch = min(max((_ACROSS - _HEAD - 2 * _MARGIN - _LEAN) / columns, _NARROWEST), _WIDEST)
    slope, sides = _layout([groups[0::2], groups[1::2]], pitch)
    head = sheet.wrap(problem, _HEAD - 0.3, _BOLD, "bold")
    half = len(head) * sheet.line_height(_BOLD) / 2 + 0.15
    above, below = (max(half, side.reach) for side in sides)
    legend = [name for name in sheet.STATUS if (table["status"] == name).any()]
    nose = _MARGIN + _LEAN + columns * pitch + 0.25
    ax, scale = sheet.unroll(nose + _HEAD + _MARGIN, above + below + 2 * _MARGIN + (0.4 if legend else 0), ax)
    spine = _MARGIN + above
    ax.plot([_MARGIN, nose], [spine, spine], color=sheet.INK, linewidth=2.6 * scale, solid_capstyle="round")
    shape = "round,pad=0,rounding_size=0.06"
    ax.add_patch(FancyBboxPatch((nose, spine - half), _HEAD, 2 * half, boxstyle=shape, facecolor=sheet.DARK))
    style = {"va": "center", "ha": "center", "color": "white", "weight": "bold"}
    sheet.write(ax, nose + _HEAD / 2, spine, head, _BOLD * scale, **style)
    for direction, side in zip((-1, 1), sides, strict=True):
        for number, (label, causes) in enumerate(zip(side.labels, side.causes, strict=True), start=1):
            foot = (_MARGIN + _LEAN + number * pitch, spine)
            tip = (foot[0] - slope * side.bone, spine + direction * side.bone)
            _draw_bone(ax, label, foot, tip, scale)
            _draw_causes(ax, causes, foot, tip, scale)
    _draw_legend(ax, legend, spine + below + _MARGIN + 0.2, scale)
    return ax


def _tall(lines: list[str]) -> float:
    return len(lines) * sheet.line_height(_SIZE)


def _stack(causes: list[tuple[list[str], str]]) -> float:
    return sum(_tall(lines) + _BETWEEN for lines, _ in causes) + _BETWEEN


def _layout(halves: list[list[tuple[str, pd.DataFrame]]], pitch: float) -> tuple[float, list[_Side]]:
    """Return the slope of the bones (across per down), and the sides above and below.

    A block of text ends left of its own bone and begins right of the bone before it. Bones lean, so a tall
    block has less room than a flat one; `lost` is what the tallest loses, found by trying again.
    """
    lost = 0.0
    while True:
        room = pitch - 3 * _GAP - lost
        sides = [_side(half, room, pitch) for half in halves]
        slope = min(0.35, _LEAN / max(side.bone for side in sides))
        tallest = max([0.0, *(_tall(lines) for side in sides for causes in side.causes for lines, _ in causes)])
        if slope * tallest <= lost or lost >= _LEAN:
            return slope, sides
        lost = min(slope * tallest + 0.02, _LEAN)


def _side(groups: list[tuple[str, pd.DataFrame]], room: float, pitch: float) -> _Side:
    labels = [sheet.wrap(name, min(pitch - 0.3, 2 * _LEAN), _BOLD, "bold") for name, _ in groups]
    rows = [zip(part["cause"], part["status"], strict=True) for _, part in groups]
    return _Side(labels, [[(sheet.wrap(cause, room, _SIZE), status) for cause, status in part] for part in rows])


def _draw_bone(ax: Axes, label: list[str], foot: tuple[float, float], tip: tuple[float, float], scale: float) -> None:
    ax.plot([foot[0], tip[0]], [foot[1], tip[1]], color=sheet.INK, linewidth=1.6 * scale, solid_capstyle="round")
    up = tip[1] < foot[1]
    style = {"ha": "center", "weight": "bold", "va": "bottom" if up else "top"}
    sheet.write(ax, tip[0], tip[1] + (-0.06 if up else 0.06), label, _BOLD * scale, **style)


def _draw_causes(
    ax: Axes, causes: list[tuple[list[str], str]], foot: tuple[float, float], tip: tuple[float, float], scale: float
) -> None:
    """Spread the causes along a bone, each on a line that ends at the bone."""
    height = abs(tip[1] - foot[1])
    slope = (foot[0] - tip[0]) / height
    spread = min((height - 0.1 - _stack(causes)) / (len(causes) + 1), 0.45)
    top = foot[1] + spread + 0.12 if tip[1] > foot[1] else foot[1] - _stack(causes) - spread * len(causes)
    for lines, status in causes:
        bottom = top + _tall(lines)
        farthest = max(abs(top - foot[1]), abs(bottom - foot[1]))
        right = foot[0] - slope * farthest - _GAP
        left = right - max(sheet.width(line, _SIZE) for line in lines)
        faint = {} if status else {"color": sheet.FAINT, "style": "italic"}
        sheet.write(ax, left, top, lines, _SIZE * scale, **faint)
        if status:
            colour, marker, *_ = sheet.STATUS[status]
            under = bottom + 0.04
            joint = foot[0] - slope * abs(under - foot[1])
            ax.plot([left, joint], [under, under], color=sheet.RULE, linewidth=1 * scale, zorder=1)
            ax.plot([joint], [under], marker=marker, color=colour, markersize=6.5 * scale, linestyle="none")
        top = bottom + _BETWEEN + spread


def _draw_legend(ax: Axes, statuses: list[str], y: float, scale: float) -> None:
    x = _MARGIN + 0.1
    for name in statuses:
        colour, marker, _, word = sheet.STATUS[name]
        ax.plot([x], [y], marker=marker, color=colour, markersize=7 * scale, linestyle="none")
        sheet.write(ax, x + 0.12, y + 0.045, [word], _SIZE * scale, va="baseline", color=sheet.FAINT)
        x += 0.12 + sheet.width(word, _SIZE) + 0.3

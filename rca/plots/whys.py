"""Picture of a 5-Whys chain."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from rca import vocabulary
from rca.plots import sheet

__all__ = ["whys"]

_ACROSS = 9.0
_LEFT, _PAD, _GAP = 0.15, 0.12, 0.42
_SIZE, _SMALL = 11.0, 9.0


def whys(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the chain from the problem down to its last answer, one card each.

    Parameters
    ----------
    table : DataFrame
        From `rca.whys.table`.
    ax : Axes, optional
        Where to draw, made smaller to fit in; default a figure that is as high as the chain needs.

    Returns
    -------
    Axes
        Arrows point from cause to effect. Status shows by word, marker, line style and colour.

    Examples
    --------
    >>> from rca.causes.whys import table
    >>> ax = whys(table("Recall on fraud fell", []))
    >>> [text.get_text() for text in ax.texts]
    ['Problem', 'Recall on fraud fell', 'no answer is recorded']
    """
    inner = _ACROSS - 2 * _LEFT - 2 * _PAD - 0.1
    cards = [_card(row, inner) for row in table.to_dict("records")]
    heights = [2 * _PAD + sum(len(lines) * sheet.line_height(size) for lines, size, _ in card) + 0.05 for card in cards]
    note = [] if len(cards) > 1 else ["no answer is recorded"]
    down = 0.3 + sum(heights) + _GAP * max(len(cards) - 1, 0) + 0.3 * len(note)
    ax, scale = sheet.unroll(_ACROSS, down, ax)
    top = 0.15
    for row, card, height in zip(table.to_dict("records"), cards, heights, strict=True):
        if top > 0.15:
            _arrow(ax, top, scale)
        _draw(ax, row, card, (top, height), scale)
        top += height + _GAP
    if note:
        y = top + 0.1 - (_GAP if cards else 0)
        sheet.write(ax, _LEFT + _PAD, y, note, _SMALL * scale, color=sheet.FAINT, style="italic")
    return ax


def _card(row: dict[Any, Any], inner: float) -> list[tuple[list[str], float, dict[str, Any]]]:
    """Return the blocks of text of one card: lines, size in points, style."""
    if row["step"] == 0:
        problem = sheet.wrap(row["statement"], inner, _SIZE, "bold")
        return [(["Problem"], _SMALL, {"color": "white"}), (problem, _SIZE, {"color": "white", "weight": "bold"})]
    kinds = vocabulary.table("why_kinds")["name"]
    word = sheet.STATUS[row["status"]][3]
    where = f"evidence: {row['evidence']}" if row["evidence"] else "no evidence yet"
    foot = f"{kinds.get(row['kind'], row['kind'])} cause, {word}; {where}"
    return [
        ([f"Why {row['step']}"], _SMALL, {"color": sheet.FAINT}),
        (sheet.wrap(row["statement"], inner, _SIZE), _SIZE, {}),
        (sheet.wrap(foot, inner - 0.2, _SMALL), _SMALL, {"color": sheet.FAINT}),
    ]


def _draw(ax: Axes, row: dict[Any, Any], card: list[Any], place: tuple[float, float], scale: float) -> None:
    top, height = place
    problem = row["step"] == 0
    colour, marker, line, _ = sheet.STATUS.get(row["status"], (sheet.DARK, "", "-", ""))
    ax.add_patch(
        FancyBboxPatch(
            (_LEFT, top), _ACROSS - 2 * _LEFT, height, boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=sheet.DARK if problem else sheet.PAPER, edgecolor=colour, linestyle=line, linewidth=1.8 * scale,
        )
    )  # fmt: skip
    y = top + _PAD
    for number, (lines, size, style) in enumerate(card):
        x = _LEFT + _PAD
        if number == 2:
            y += 0.05
            ax.plot([x + 0.06], [y + 0.065], marker=marker, color=colour, markersize=7 * scale, linestyle="none")
            x += 0.2
        sheet.write(ax, x, y, lines, size * scale, **style)
        y += len(lines) * sheet.line_height(size)


def _arrow(ax: Axes, top: float, scale: float) -> None:
    """Draw an arrow from the card that begins at `top` to the one above it."""
    x = _LEFT + 0.45
    ax.annotate(
        "", xy=(x, top - _GAP), xytext=(x, top),
        arrowprops={"arrowstyle": "-|>", "color": sheet.FAINT, "linewidth": 1.4 * scale, "shrinkA": 2, "shrinkB": 2,
                    "mutation_scale": 13 * scale},
    )  # fmt: skip
    style = {"color": sheet.FAINT, "style": "italic", "va": "center"}
    sheet.write(ax, x + 0.14, top - _GAP / 2, ["because"], _SMALL * scale, **style)

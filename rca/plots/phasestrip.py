"""Phases of an incident on a time axis: a strip above the lanes, and a shade behind them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from rca.plots.sheet import width
from rca.plots.timeaxis import Scale, days

__all__ = ["draw"]

_COLOURS = ("#999999", "#F0E442", "#E69F00", "#56B4E9", "#009E73", "#CC79A7")
_TOP, _MIDDLE, _FOOT = -1.7, -1.2, -0.7  # of the strip, in lanes
_SIZE = 8
_INCHES = 8.0  # about the width of the lanes in a report


def draw(ax: Axes, phases: pd.DataFrame, axis: Scale, lanes: int) -> int:
    """Draw the phases whose bounds are known, and return how many.

    A phase that is open runs to the edge. Where a bound is known only as an interval the strip is hatched and half
    as high: the phase that may not have ended yet above, the one that may have begun already below.
    """
    drawn = 0
    low, high = float(axis.times[0]), float(axis.times[-1])
    table = phases.reset_index().to_dict("records")
    for number, (row, colour) in enumerate(zip(table, _COLOURS, strict=False), 1):
        start = _bound(row["start_earliest"], row["start_latest"], None if row["from"] else low)
        end = _bound(row["end_earliest"], row["end_latest"], high if row["note"].startswith("open") else None)
        if start is None or end is None or start[0] >= high or end[1] <= low:
            continue
        drawn += 1
        label = f"{number} {row['name']}"
        pieces = [(start[0], min(start[1], end[0]), _MIDDLE, _FOOT, True), (start[1], end[0], _TOP, _FOOT, False),
                  (max(end[0], start[1]), end[1], _TOP, _MIDDLE, True)]  # fmt: skip
        seen = [(max(left, low), min(right, high), top, foot, unsure) for left, right, top, foot, unsure in pieces]
        seen = [piece for piece in seen if piece[1] > piece[0]]
        for left, right, top, foot, unsure in seen:
            ax.add_patch(Rectangle(
                (left, top), right - left, foot - top, facecolor=colour, edgecolor="white" if not unsure else "#666666",
                alpha=0.55 if unsure else 0.8, hatch="////" if unsure else None, linewidth=0, zorder=2,
                label=label if (left, right) == seen[0][:2] else None,
            ))  # fmt: skip
            ax.add_patch(Rectangle(
                (left, -0.6), right - left, lanes + 0.2, facecolor=colour, alpha=0.06 if unsure else 0.12, linewidth=0,
                zorder=0,
            ))  # fmt: skip
        _name(ax, label, seen, axis)
    return drawn


def _bound(earliest: pd.Timestamp, latest: pd.Timestamp, edge: float | None) -> tuple[float, float] | None:
    """Return a bound in days, or the edge of the axis where the phase runs to it."""
    if pd.isna(earliest):
        return None if edge is None else (edge, edge)
    return float(days(earliest.value)), float(days(latest.value))


def _name(ax: Axes, label: str, pieces: list[tuple[float, float, float, float, bool]], axis: Scale) -> None:
    """Write a phase's name, or only its number, where it fits, rather into what is sure."""
    rooms = [float(axis.place(right) - axis.place(left)) * _INCHES for left, right, *_ in pieces]
    order = sorted(range(len(pieces)), key=lambda piece: (pieces[piece][4], -rooms[piece]))
    fits = [(text, n) for text in (label, label.split()[0]) for n in order if width(text, _SIZE) + 0.06 <= rooms[n]]
    if not fits:
        return
    text, chosen = fits[0]
    left, right, top, foot, _ = pieces[chosen]
    middle = float(axis.time(axis.place([left, right]).mean()))
    ax.text(middle, (top + foot) / 2, text, ha="center", va="center", fontsize=_SIZE, zorder=6, parse_math=False)

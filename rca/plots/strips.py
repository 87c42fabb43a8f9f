"""Two strips of points a row, one above and one below its line: as many rows of data before as after."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rca.errors import InputError, UnknownName, did_you_mean, shorten
from rca.plots.featureaxis import AFTER, BEFORE, counted, full_name
from rca.plots.sheet import RULE
from rca.records import Attribution

__all__ = ["MARKS", "MOST", "ROW", "drawn_rows", "evenly", "strips", "unit", "unknown_feature"]

ROW = 0.62  # inches
MOST = 500  # points in a strip
MARKS: tuple[dict[str, Any], ...] = (
    {"marker": "o", "markerfacecolor": "none", "markeredgecolor": BEFORE, "linestyle": "", "label": "before"},
    {"marker": "^", "markerfacecolor": AFTER, "markeredgecolor": "none", "linestyle": "", "label": "after"},
)
_BINS, _REACH, _STEP = 110, 0.44, 0.07
_UNITS = {
    "margin": "the model's margin",
    "probability": "probability",
    "prediction": "unit of the target",
    "loss": "unit of the loss",
}


def unit(before: Attribution, after: Attribution) -> str:
    """Return the unit of both.

    Raises
    ------
    InputError
        If they are explained in two units, or are no attributions.
    """
    for name, given in (("before", before), ("after", after)):
        if not isinstance(given, Attribution):
            raise InputError(f"{name} is a {type(given).__name__}; an Attribution from rca.shapdiff.explain is wanted")
    if before.output != after.output:
        raise InputError(f"before is explained as {before.output} and after as {after.output}; one unit is wanted")
    return _UNITS.get(before.output, before.output)


def unknown_feature(where: str, name: Hashable, columns: pd.Index) -> UnknownName:
    """Return the error for a feature that is not among the columns; of several classes their names alone will do."""
    known = [full_name(column) for column in columns]
    if columns.nlevels > 1:
        known += [str(column[1]) for column in columns]
    return UnknownName(f"{where}unknown feature {shorten(full_name(name))}{did_you_mean(full_name(name), known)}")


def evenly(numbers: np.ndarray, most: int) -> np.ndarray:
    """Return the places of at most `most` numbers, evenly by rank, the smallest and the largest among them."""
    order = np.argsort(numbers, kind="stable")
    return order if len(order) <= most else order[np.linspace(0, len(order) - 1, most).round().astype(int)]


def drawn_rows(sizes: Sequence[int], most: int) -> str:
    """Return how many rows there are on each side, and of how many a point is drawn."""
    words = f"{counted(sizes[0], 'row')} before, {sizes[1]:,} after"
    return words + (f"; {most:,} of a side drawn, evenly by rank" if max(sizes) > most else "")


def strips(ax: Axes, rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Draw the numbers before above the line of each row and those after below it, on the x axis as it stands.

    Points that are near each other are heaped, away from the line; a heap that does not fit is pressed together.
    """
    # The limits are fixed here, because heaps hang on which points are near each other on the drawn axis.
    numbers = np.concatenate([np.concatenate(pair) for pair in rows]) if rows else np.zeros(0)
    ax.update_datalim(np.c_[np.append(numbers, 0.0), np.zeros(len(numbers) + 1)], updatey=False)
    ax.margins(x=0.02)
    ax.autoscale_view(scaley=False)
    ax.set_xlim(ax.get_xlim())
    ax.axvline(0, color=RULE, linewidth=0.8, zorder=0)
    ax.hlines(range(len(rows)), *ax.get_xlim(), color=RULE, linewidth=0.8, zorder=0)
    place = ax.transScale + ax.transLimits
    drawn = ((MARKS[0], -1, "before, above the line"), (MARKS[1], 1, "after, below the line"))
    for side, (mark, upward, words) in enumerate(drawn):
        xs, ys = [], []
        for row, pair in enumerate(rows):
            x = pair[side][evenly(pair[side], MOST)]
            fraction = place.transform(np.c_[x, np.zeros(len(x))])[:, 0]
            xs.append(x)
            ys.append(row + upward * _heaped(np.floor(fraction * _BINS)))
        if xs:
            x, y = np.concatenate(xs), np.concatenate(ys)
            ax.plot(
                x,
                y,
                markersize=3.6,
                markeredgewidth=0.7 if side == 0 else 0,
                alpha=0.85,
                zorder=2,
                **mark | {"label": words},
            )


def _heaped(bins: np.ndarray) -> np.ndarray:
    """Return the height of each point above the line."""
    if not len(bins):
        return np.zeros(0)
    _, back, counts = np.unique(bins, return_inverse=True, return_counts=True)
    height = np.empty(len(bins))
    # In random order, because points in order of their value would make slanted heaps.
    shuffled = np.random.default_rng(0).permutation(len(bins))
    height[shuffled[np.argsort(back[shuffled], kind="stable")]] = np.concatenate(
        [np.arange(1, count + 1) for count in counts]
    )
    return np.asarray(height * min(_STEP, _REACH / counts.max()), dtype=float)

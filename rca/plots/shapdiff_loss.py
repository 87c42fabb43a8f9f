"""Picture of a change in loss, part by part."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rca.plots.featureaxis import (
    AFTER,
    BEFORE,
    LINK,
    SMALL,
    check_table,
    fit_labels,
    head,
    name_rows,
    open_rows,
    scale,
    short,
)
from rca.plots.sheet import RULE

__all__ = ["shapdiff_loss"]

_SAID = {
    "model": "model: other predictions for the same rows",
    "covariate": "covariate: other rows",
    "concept": "concept: other outcomes of like rows",
    "data": "covariate and concept together",
    "change": "total",
}
# Okabe-Ito colours; hatch, sign and direction say the same.
_KINDS = {"up": (AFTER, "", "more loss"), "down": (BEFORE, "//", "less loss"), "total": (LINK, "", "total")}


def shapdiff_loss(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw a waterfall: each part of a change in loss begins where the one above it ends; the total begins at zero.

    Parameters
    ----------
    table : DataFrame
        Split of a change in loss: ``part`` (column or index), ``value``, ``low``, ``high`` (its interval), drawn in
        this order: the parts ``model``, ``covariate``, ``concept``, and last ``total`` (or ``change``). NaN is a part
        that was not identified. ``data``, covariate and concept together, is drawn only when one of the two was not
        identified; the levels ``before`` and ``after`` are written in the title.
    ax : Axes, optional
        Where to draw, best in a figure with ``layout="constrained"`` and at least two inches high; default a new
        figure. A figure without a layout has names shortened to what is left of the axes.

    Returns
    -------
    Axes
        One bar a part, its number and interval in words beside it, the interval around its end. A part that was not
        identified has these words and no bar, and nothing is joined across it.

    Raises
    ------
    InputError
        If columns are missing.

    Examples
    --------
    >>> ax = shapdiff_loss(pd.DataFrame({"part": ["model", "concept", "total"], "value": [0.1, float("nan"), 0.3],
    ...                                  "low": [0.05, float("nan"), 0.2], "high": [0.15, float("nan"), 0.4]}))
    >>> [text.get_text() for text in ax.texts]
    ['+0.1 (+0.05 to +0.15)', 'not identified', '+0.3 (+0.2 to +0.4)']
    """
    check_table(table, ["value", "low", "high"], "rca.shapdiff.split_loss")
    table = table if "part" in table else table.rename_axis("part").reset_index()
    rows = _changes(table)
    parts = [str(part) for part in rows["part"]]
    names = [_SAID.get(part, part) for part in parts]
    values, low, high = (rows[name].to_numpy(dtype=float) for name in ("value", "low", "high"))
    total = np.array([part in ("total", "change") for part in parts], dtype=bool)
    steps = np.where(total | np.isnan(values), 0.0, values)
    starts = np.where(total, 0.0, np.cumsum(steps) - steps)
    if ax is None:
        ax, labels = open_rows(None, names, 0.75)
    else:
        labels = fit_labels(ax, names, ax.get_window_extent().height / ax.figure.dpi)
    count = len(labels)
    kinds = np.where(total, "total", np.where(values < 0, "down", "up"))
    for kind, (colour, hatch, word) in _KINDS.items():
        chosen = np.flatnonzero((kinds == kind) & ~np.isnan(values))
        if len(chosen):
            ax.barh(
                chosen, values[chosen], 0.36, left=starts[chosen], color=colour, hatch=hatch, edgecolor="white",
                linewidth=0, label=word, zorder=2,
            )  # fmt: skip
    ends, ink = starts + values, ax.title.get_color()
    shown = np.flatnonzero(np.isfinite(low) & np.isfinite(high) & np.isfinite(values))
    left, right = starts + low, starts + high
    ax.hlines(shown, left[shown], right[shown], color=ink, linewidth=1.4, zorder=3, label="interval")
    ax.plot(np.r_[left[shown], right[shown]], np.r_[shown, shown], "|", color=ink, markersize=9, zorder=3)
    for row in range(count - 1):
        if not np.isnan(values[row : row + 2]).any():
            ax.plot([ends[row], ends[row]], [row, row + 1], ":", color=LINK, linewidth=1.2, zorder=1)
    name_rows(ax, labels, names, list(total))
    scale(ax.xaxis, np.zeros(0), np.zeros(0))
    ax.axvline(0, color=RULE, linewidth=0.8, zorder=0)
    ax.margins(x=0.05)
    ax.set_ylim(max(count, 1) - 0.5, -0.75)
    _words(ax, values, low, high)
    ax.set_xlabel("change in mean loss, after minus before (unit of the loss)")
    ax.spines[["top", "right"]].set_visible(False)
    levels = [
        f"{short(row['value'])} {row['part']}" for row in table.to_dict("records") if row["part"] in ("before", "after")
    ]
    head(ax, "Parts of the change in loss" + (f"; mean loss {', '.join(levels)}" if levels else ""))
    return ax


def _changes(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are drawn: no levels, and no sum beside its own parts."""
    split = table.loc[table["part"].isin(["covariate", "concept"]), "value"]
    left_out = ["before", "after"] + (["data"] if split.notna().all() else [])
    return table[~table["part"].isin(left_out)]


def _words(ax: Axes, values: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Write each number above its bar, at the left of the axes, where no bar can reach it."""
    for row, (value, least, most) in enumerate(zip(values, low, high, strict=True)):
        around = f" ({short(least, '+')} to {short(most, '+')})" if np.isfinite(least) and np.isfinite(most) else ""
        ax.annotate(
            "not identified" if np.isnan(value) else f"{short(value, '+')}{around}", (0, row - 0.22),
            xycoords=("axes fraction", "data"), xytext=(5, 0), textcoords="offset points", va="bottom",
            fontsize=SMALL, color=ax.title.get_color(), parse_math=False, zorder=5,
            bbox={"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip

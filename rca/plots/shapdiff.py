"""Picture of how much each feature contributes, before and after."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rca.plots.featureaxis import (
    AFTER,
    BEFORE,
    LINK,
    check_table,
    check_top,
    counted,
    head,
    name_rows,
    open_rows,
    scale,
)
from rca.plots.sheet import RULE

__all__ = ["shapdiff"]

_COLUMNS = ["before", "after", "low", "high", "p_adjusted", "flagged", "noise_source"]
_UNKNOWN = "training noise not measured"


def shapdiff(table: pd.DataFrame, ax: Axes | None = None, top: int = 15) -> Axes:
    """Draw mean absolute SHAP before and after, one line a feature, in the order of the table.

    Parameters
    ----------
    table : DataFrame
        From `rca.shapdiff.compare`, `compare_both` or `by_cohort`; where a table has several parts or cohorts, they
        stand before the names.
    ax : Axes, optional
        Where to draw, best in a figure with ``layout="constrained"``; features that do not fit are left out. Default
        a figure that is as high as the features need.
    top : int, default 15
        Number of rows to draw, as many of each part or cohort; the title says how many there are.

    Returns
    -------
    Axes
        Hollow circle before, filled square after, within the circle where both are the same. Flagged features have a
        diamond and a bold name, those without a p-value a triangle; the interval of the difference is laid around the
        mark after. The full name of a feature is its label's ``get_gid()``.

    Raises
    ------
    InputError
        If columns are missing, or `top` is no number of features.

    Notes
    -----
    When one feature is more than a hundred times the usual size, the axis is logarithmic for large values and says so.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from rca.models.shapdiff import compare, explain
    >>> rows = pd.DataFrame({"age": [20, 30, 40, 50], "amount": [9, 2, 4, 1]})
    >>> one, two = (explain(LinearRegression().fit(rows, y), rows) for y in ([1, 2, 3, 4], [9, 2, 4, 1]))
    >>> [label.get_text() for label in shapdiff(compare(one, two)).get_yticklabels()]
    ['amount', 'age']
    """
    check_table(table, _COLUMNS, "rca.shapdiff.compare, compare_both or by_cohort")
    check_top(top)
    shown = _chosen(table, top)
    ax, labels = open_rows(ax, _names(table, shown))
    if len(labels) < len(shown):
        shown = _chosen(table, len(labels))
        ax, labels = open_rows(ax, _names(table, shown))
    names = _names(table, shown)
    places = np.arange(len(shown))
    before, after = (shown[name].to_numpy(dtype=float) for name in ("before", "after"))
    low, high = (before + shown[name].to_numpy(dtype=float) for name in ("low", "high"))
    ink, paper = ax.title.get_color(), ax.get_facecolor()  # as the style of the axes has them, dark or light
    ax.hlines(places, before, after, color=LINK, linewidth=3, zorder=1)
    ax.hlines(places, low, high, color=ink, linewidth=1, zorder=2, label="interval of the difference")
    ax.plot(np.r_[low, high], np.r_[places, places], "|", color=ink, markersize=7, zorder=2)
    ax.plot(before, places, "o", color=BEFORE, markerfacecolor=paper, markersize=10, zorder=3, label="before")
    known = shown["p_adjusted"].notna().to_numpy()
    flagged = shown["flagged"].fillna(False).to_numpy(dtype=bool)
    kinds = (
        (known & ~flagged, "s", "after"),
        (flagged, "D", "after, flagged"),
        (~known, "^", f"after, {_unknown(shown[~known])}"),
    )
    for which, marker, label in kinds:
        if which.any():
            ax.plot(after[which], places[which], marker, color=AFTER, markersize=6, linestyle="", zorder=4, label=label)
    name_rows(ax, labels if len(table) else [], names, list(flagged))
    numbers = np.concatenate([before, after, low, high])
    words = scale(ax.xaxis, numbers, np.maximum(before, after))
    ax.axvline(0, color=RULE, linewidth=0.8, zorder=0)
    ax.margins(x=0.03)
    if not np.nan_to_num(numbers).any():
        ax.set_xlim(-0.03, 1.0)
    ax.set_xlabel(f"mean absolute SHAP value (unit of the model's output{words})")
    ax.grid(axis="y", color=ink, alpha=0.12, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    head(ax, _title(table, shown))
    return ax


def _parts(table: pd.DataFrame) -> bool:
    return "part" in table and table["part"].nunique() > 1


def _groups(table: pd.DataFrame) -> np.ndarray:
    """Return the part or cohort of each row, by number."""
    if table.index.nlevels > 1:
        return np.asarray(pd.factorize(table.index.get_level_values(0))[0])
    return np.asarray(pd.factorize(table["part"])[0]) if _parts(table) else np.zeros(len(table), dtype=int)


def _chosen(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the first rows of each part or cohort, as many of each as can be, in the order of the table."""
    number = pd.Series(_groups(table)).groupby(_groups(table)).cumcount().to_numpy()
    return table.iloc[np.sort(np.argsort(number, kind="stable")[:count])]


def _names(table: pd.DataFrame, shown: pd.DataFrame) -> list[Hashable]:
    return list(zip(shown["part"], shown.index, strict=True)) if _parts(table) else list(shown.index)


def _unknown(rows: pd.DataFrame) -> str:
    return _UNKNOWN if set(rows["noise_source"]) == {_UNKNOWN} else "noise not measured"


def _title(table: pd.DataFrame, drawn: pd.DataFrame) -> str:
    shown = len(drawn)
    of = "cohort" if table.index.nlevels > 1 else "part" if _parts(table) else ""
    noun = counted(len(table), "pair") + f" of {of} and feature" if of else counted(len(table), "feature")
    count = (f"{shown} of " if shown < len(table) else "") + noun
    flags = int(table["flagged"].fillna(False).sum())
    sources = sorted(set(table["noise_source"]))
    if not sources:
        return count
    left_out = len(set(_groups(table))) - len(set(_groups(drawn)))
    if left_out:
        count += f" (none of {counted(left_out, of)})"
    if table["p_adjusted"].isna().all():
        return f"{count}; {_unknown(table)}: none can be flagged"
    of_parts = ""
    if of == "part":
        by_part = table["flagged"].groupby(table["part"], sort=False).sum(min_count=1)
        of_parts = ", ".join(f"{part} {'not measured' if pd.isna(flag) else flag}" for part, flag in by_part.items())
        of_parts = f" ({of_parts})"
    return f"{count}, {flags} flagged in all{of_parts}; noise: {', '.join(sources)}"

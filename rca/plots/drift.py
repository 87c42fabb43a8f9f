"""Picture of how far each column moved."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rca.plots.featureaxis import feature_label, rows_height
from rca.plots.sheet import drawable

__all__ = ["drift"]

_FLAGGED, _QUIET = "#D55E00", "#5B6470"
_WIDE = 5.0  # beyond this the axis is linear up to 1 and logarithmic above, so that small effects still show


def drift(table: pd.DataFrame, ax: Axes | None = None, top: int = 15) -> Axes:
    """Draw the effect size of each column as a bar, the largest on top.

    Parameters
    ----------
    table : DataFrame
        From `rca.drift.compare`.
    ax : Axes, optional
        Where to draw; default a figure that is as high as the rows need.
    top : int, default 15
        Number of columns to draw; the title says how many there are.

    Returns
    -------
    Axes
        Flagged columns have a filled bar and the word; the others a hollow one. A column without values on a side has
        no bar, and its note instead.

    Examples
    --------
    >>> from rca.models.drift import compare
    >>> ax = drift(compare(pd.DataFrame({"amount": range(50)}), pd.DataFrame({"amount": range(50, 100)})))
    >>> [text.get_text() for text in ax.texts]
    ['3.46 · flagged']
    """
    shown = table.head(top)
    labels = [_label(name, kind) for name, kind in zip(shown.index, shown["kind"], strict=True)]
    if ax is None:
        ax = Figure(layout="constrained", figsize=(8.5, 1.5 + rows_height(labels))).subplots()
    places = list(range(len(shown)))
    effects = shown["effect"].fillna(0.0).to_list()
    flagged = shown["flagged"].to_list()
    fills = [_FLAGGED if yes else "white" for yes in flagged]
    edges = [_FLAGGED if yes else _QUIET for yes in flagged]
    ax.barh(places, effects, height=0.62, color=fills, edgecolor=edges, linewidth=1.2)
    widest = max(effects, default=0.0)
    if widest > _WIDE:
        ax.set_xscale("symlog", linthresh=1.0)
        ax.xaxis.set_major_formatter("{x:,g}")
    # Room for the words behind the longest bar; on the logarithmic axis its length is 1 + log10.
    ax.set_xlim(0, 10 ** ((1 + math.log10(widest)) * 1.3 - 1) if widest > _WIDE else 1.3 * widest or 1.0)
    for place, (effect, mark, note) in enumerate(zip(shown["effect"], flagged, shown["note"], strict=True)):
        words = [drawable(str(note)) if math.isnan(effect) else f"{effect:.2f}", "flagged" if mark else ""]
        end = 0.0 if math.isnan(effect) else effect
        ax.annotate(
            " · ".join(filter(None, words)), (end, place), (4, 0), textcoords="offset points", va="center", fontsize=8,
            fontweight="bold" if mark else "normal", parse_math=False,
        )  # fmt: skip
    ax.set_yticks(places, labels, fontsize=9, parse_math=False)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xlabel("effect size (numeric: standard deviations; categorical: share of rows)", fontsize=9)
    ax.tick_params(axis="x", labelsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    count = f"{len(shown)} most moved of {len(table)} columns" if len(shown) < len(table) else f"{len(table)} columns"
    ax.set_title(f"{count}, {int(table['flagged'].sum())} flagged", fontsize=9, loc="left")
    return ax


def _label(name: object, kind: str) -> str:
    return feature_label(name) + (" (categorical)" if kind == "categorical" else "")

"""Picture of which features several measures suspect."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from rca.errors import InputError
from rca.plots import sheet
from rca.plots.featureaxis import (
    SIZE,
    SMALL,
    bold_width,
    check_table,
    check_top,
    counted,
    head,
    name_rows,
    open_rows,
    short,
)

__all__ = ["shapdiff_suspects"]

# One blue from dark to light, so that the order survives a grey print; ranks from the sixth on are white.
_SHADES = ("#08418A", "#2F6FAE", "#79AFD6", "#B5D2E8", "#DEEAF5", "#FFFFFF")
_SAID = {"shap": "mean |SHAP|", "loss": "loss-SHAP", "gain": "residual gain"}
_WHITE_ON = 2  # shades that are dark enough for white numbers
_ROW = 0.3


def shapdiff_suspects(table: pd.DataFrame, ax: Axes | None = None, top: int = 15) -> Axes:
    """Draw a matrix of features and measures with the rank of each feature by each measure.

    Parameters
    ----------
    table : DataFrame
        Indexed by feature. Each measure has its change as ``<measure>_change`` and its rank as ``<measure>_rank``
        (0 or NaN: none); ``found_by``, if there, has the measures whose change is beyond noise.
    ax : Axes, optional
        Where to draw, best in a figure with ``layout="constrained"``; features that do not fit are left out, and the
        numbers beside the ranks where cells are too narrow. Default a figure that is as high as the features need.
    top : int, default 15
        Number of features to draw; the title says how many there are.

    Returns
    -------
    Axes
        In each cell the rank and, in brackets, the change; the darker, the nearer to the first rank. Cells
        found by their measure have a diamond, those without a rank a hatch. The full name of a feature is its label's
        ``get_gid()``.

    Raises
    ------
    InputError
        If the table has no measure, or `top` is no number of features.

    Examples
    --------
    >>> table = pd.DataFrame({"loss_change": [0.2, 0.1], "loss_rank": [1, 2]}, index=["amount", "age"])
    >>> [text.get_text() for text in shapdiff_suspects(table).texts]
    ['1 (0.2)', '2 (0.1)']
    """
    check_table(table, [], "rca.shapdiff.suspects")
    check_top(top)
    measures = [name.removesuffix("_change") for name in map(str, table.columns) if name.endswith("_change")]
    measures = [measure for measure in measures if f"{measure}_rank" in table]
    if not measures:
        raise InputError(
            "the table has no measure: columns <measure>_change and <measure>_rank are wanted, as from "
            "rca.shapdiff.suspects"
        )
    spare = 1.0 if ax is None else 1.4  # other axes of the figure may still take room from given ones
    ax, labels = open_rows(ax, list(table.index[:top]), _ROW, above=1.3, wide=max(8.5, 3.3 + 1.4 * len(measures)))
    shown = table.head(len(labels))
    name_rows(ax, labels, list(shown.index))
    ax.set_xlim(0, len(measures))
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    ax.set_xticks([])
    ax.figure.canvas.figure.draw_without_rendering()  # gives the names their room, so that the width is known
    wide = ax.get_window_extent().width / ax.figure.dpi / len(measures)
    _headings(ax, measures, wide - 0.1)
    cells = [_cell(shown, measure) for measure in measures]
    whole = all(spare * bold_width(long) <= wide - 0.1 for column in cells for _, _, long in column)
    for across, column in enumerate(cells):
        for down, (rank, little, long) in enumerate(column):
            _paint(ax, across, down, rank, long if whole else little)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    count = (f"{len(shown)} of " if len(shown) < len(table) else "") + counted(len(table), "feature")
    words = [
        "rank (change)" if whole else "rank",
        "the darker, the nearer to 1",
        "◆ beyond noise" if "found_by" in table else "",
    ]
    head(ax, f"{count}; {'; '.join(filter(None, words))}")
    return ax


def _headings(ax: Axes, measures: list[str], limit: float) -> None:
    lines = ["\n".join(sheet.wrap(_SAID.get(measure, measure.replace("_", " ")), limit, SIZE)) for measure in measures]
    ax.xaxis.tick_top()
    ax.set_xticks(np.arange(len(measures)) + 0.5, lines, fontsize=SIZE, parse_math=False)


def _cell(table: pd.DataFrame, measure: str) -> list[tuple[float, str, str]]:
    """Return rank, text with the rank, and text with rank and number, for each feature."""
    ranks = table[f"{measure}_rank"].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    ranks = np.where(ranks > 0, ranks, np.nan)
    numbers = table[f"{measure}_change"].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    flags = [measure in found for found in table["found_by"]] if "found_by" in table else [False] * len(table)
    cells = []
    for rank, number, flag in zip(ranks, numbers, flags, strict=True):
        mark = "◆ " if flag else ""
        text = f"{mark}not ranked" if math.isnan(rank) else f"{mark}{rank:g}"
        cells.append((rank, text, text if math.isnan(number) else f"{text} ({short(number)})"))
    return cells


def _paint(ax: Axes, across: int, down: int, rank: float, text: str) -> None:
    shade = min(max(math.ceil(rank), 1), len(_SHADES)) - 1 if not math.isnan(rank) else len(_SHADES) - 1
    ax.add_patch(
        Rectangle(
            (across, down - 0.5), 1, 1, facecolor=_SHADES[shade], edgecolor=sheet.RULE, linewidth=0.8,
            hatch="....." if math.isnan(rank) else "",
        )
    )  # fmt: skip
    backed = {"facecolor": "white", "edgecolor": "none", "pad": 1.5} if math.isnan(rank) else None
    ax.text(
        across + 0.5, down, text, ha="center", va="center", fontsize=SMALL, parse_math=False, bbox=backed,
        color="white" if shade < _WHITE_ON else sheet.INK, fontweight="bold" if shade < _WHITE_ON else "normal",
    )  # fmt: skip

"""Picture of how much each feature contributes, before and after."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rca.plots import sheet

__all__ = ["shapdiff"]

_BEFORE, _AFTER, _LINK = "#0072B2", "#D55E00", "#9AA3AD"
_LONGEST = 48
_LABEL_WIDTH = 2.7


def shapdiff(table: pd.DataFrame, ax: Axes | None = None, top: int = 15) -> Axes:
    """Draw mean absolute SHAP before and after, one line a feature, the most changed on top.

    Parameters
    ----------
    table : DataFrame
        From `rca.shapdiff.compare`.
    ax : Axes, optional
        Where to draw; default a figure that is as high as the rows need.
    top : int, default 15
        Number of features to draw; the title says how many there are.

    Returns
    -------
    Axes
        Hollow circle before, filled mark after (diamond where flagged), and the interval of the difference laid
        around the mark after.

    Examples
    --------
    >>> from rca.records import Attribution
    >>> from rca.models.shapdiff import compare
    >>> values = pd.DataFrame({"amount": [1.0, -2.0], "age": [0.5, 0.5]})
    >>> parts = values.index, values.columns, "margin", "linear"
    >>> one, two = (Attribution(values.to_numpy() * k, 0.0, *parts, f"model {k}", "rows", 0.0) for k in (1, 2))
    >>> [label.get_text() for label in shapdiff(compare(one, two)).get_yticklabels()]
    ['amount', 'age']
    """
    shown = table.head(top)
    labels = [feature_label(name) for name in shown.index]
    if ax is None:
        ax = Figure(layout="constrained", figsize=(8.5, 1.7 + rows_height(labels))).subplots()
    places = list(range(len(shown)))
    ax.hlines(places, shown["before"], shown["after"], color=_LINK, linewidth=3, zorder=1)
    level = shown["before"]
    ax.hlines(
        places, level + shown["low"], level + shown["high"], color="black", linewidth=1, zorder=2,
        label="interval of the difference",
    )  # fmt: skip
    ax.plot(
        shown["before"], places, "o", color=_BEFORE, markerfacecolor="white", markersize=8, zorder=3, label="before"
    )
    flagged = shown["flagged"].fillna(False).astype(bool).to_numpy()
    for which, marker, label in ((~flagged, "o", "after"), (flagged, "D", "after, flagged")):
        if which.any():
            chosen = [place for place, yes in zip(places, which, strict=True) if yes]
            ax.plot(
                shown["after"][which], chosen, marker, color=_AFTER, markersize=7, linestyle="", zorder=4, label=label
            )
    ax.set_yticks(places, labels, fontsize=9, parse_math=False)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xlim(left=min(0.0, float((level + shown["low"]).min()) if len(shown) else 0.0))
    ax.set_xlabel("mean absolute SHAP value (unit of the model's output)", fontsize=9)
    ax.tick_params(axis="x", labelsize=9)
    ax.grid(axis="y", color="#E3E6EA", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title(_title(table, len(shown)), fontsize=9, loc="left", pad=22)
    ax.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False, handletextpad=0.4)
    return ax


def feature_label(name: object) -> str:
    """Return the name on one or two lines; long ones often differ at the end, so the middle is left out."""
    text = sheet.drawable(str(name))
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
    return "\n".join(sheet.wrap(text, _LABEL_WIDTH, 9, most=2))


def rows_height(labels: Sequence[str]) -> float:
    """Return the height in inches at which labels, one a row, do not touch."""
    lines = max((label.count("\n") + 1 for label in labels), default=1)
    return (sheet.line_height(9) * lines + 0.08) * max(len(labels), 1)


def _title(table: pd.DataFrame, shown: int) -> str:
    count = f"{shown} most changed of {len(table)} features" if shown < len(table) else f"{len(table)} features"
    sources = set(table["noise_source"])
    return f"{count}; noise: {', '.join(sorted(sources))}" if sources else count

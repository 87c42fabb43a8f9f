"""Picture of the contributions of each feature to single predictions, before and after on one axis."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rca.errors import InputError
from rca.models.shapdiff.align import aligned
from rca.plots.featureaxis import check_top, counted, head, name_rows, open_rows, scale
from rca.plots.strips import MOST, ROW, drawn_rows, strips, unit, unknown_feature
from rca.records import Attribution

__all__ = ["shapdiff_beeswarm"]


def shapdiff_beeswarm(
    before: Attribution,
    after: Attribution,
    features: Sequence[Hashable] | None = None,
    ax: Axes | None = None,
    top: int = 15,
) -> Axes:
    """Draw one point a row of data: its contribution before above the line of the feature, after below.

    Parameters
    ----------
    before, after : Attribution
        From `rca.shapdiff.explain`, in one unit; a feature that a model does not take contributes 0 to it.
    features : sequence of hashable, optional
        Which features, from the top, such as the index of the table from `rca.shapdiff.compare`; default those with
        the largest mean absolute SHAP on either side. Of a model of several classes a name means all its classes, a
        pair of class and name one of them.
    ax : Axes, optional
        Where to draw, best in a figure with ``layout="constrained"``; features that do not fit are left out. Default
        a figure that is as high as the features need.
    top : int, default 15
        Number of lines to draw; the title says how many there could be.

    Returns
    -------
    Axes
        Hollow circles before, filled triangles after, heaped where many rows have about the same value. The full
        name of a feature is its label's ``get_gid()``. Of several classes each pair of class and feature has a line.

    Raises
    ------
    InputError
        If units or features differ, `before` or `after` is no attribution, or `top` is no number of lines.
    UnknownName
        If one of `features` was not explained.

    Notes
    -----
    Of more than 500 rows on a side 500 are drawn, evenly by rank within the feature, the smallest and the largest
    among them.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from rca.models.shapdiff import explain
    >>> rows = pd.DataFrame({"age": [20, 30, 40, 50], "amount": [9, 2, 4, 1]})
    >>> one, two = (explain(LinearRegression().fit(rows, y), rows) for y in ([1, 2, 3, 4], [9, 2, 4, 1]))
    >>> [label.get_text() for label in shapdiff_beeswarm(one, two).get_yticklabels()]
    ['amount', 'age']
    """
    words = unit(before, after)
    check_top(top)
    one, two = (attribution.to_frame() for attribution in aligned(before, after))
    if list(one.columns) != list(two.columns):
        raise InputError("before and after have different features, or another order of them")
    if features is None:
        mean = np.maximum(one.abs().mean().to_numpy(), two.abs().mean().to_numpy())
        features = [one.columns[place] for place in np.argsort(-mean, kind="stable")]
    lines = [line for name in features for line in _lines(name, one.columns)]
    ax, labels = open_rows(ax, lines[:top], ROW)
    shown = lines[: len(labels)]
    rows = [(one[name].to_numpy(dtype=float), two[name].to_numpy(dtype=float)) for name in shown]
    name_rows(ax, labels, shown)
    usual = [np.quantile(np.abs(side), 0.99) for pair in rows for side in pair if len(side)]
    stretched = scale(
        ax.xaxis, np.concatenate([side for pair in rows for side in pair] or [np.zeros(0)]), np.array(usual)
    )
    strips(ax, rows)
    ax.set_xlabel(f"SHAP value ({words}{stretched})")
    ax.spines[["top", "right"]].set_visible(False)
    noun = counted(one.shape[1], "feature")
    if one.columns.nlevels > 1:
        noun = f"{counted(one.shape[1], 'pair')} of class and feature"
    count = (f"{len(shown)} of " if len(shown) < one.shape[1] else "") + noun
    head(ax, f"{count}; {drawn_rows((len(one), len(two)), MOST)}")
    return ax


def _lines(name: Hashable, columns: pd.Index) -> list[Hashable]:
    """Return the columns that a name means."""
    known = list(columns)
    found = [name] if name in known else [one for one in known if columns.nlevels > 1 and one[1] == name]
    if not found:
        raise unknown_feature("", name, columns)
    return found

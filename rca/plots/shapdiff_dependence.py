"""Picture of what one feature contributes at each of its values, before and after."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rca.errors import InputError, UnknownName, shorten
from rca.plots import sheet, timeaxis
from rca.plots.featureaxis import full_name, head, in_sentence, name_rows, open_rows, scale
from rca.plots.strips import MARKS, ROW, drawn_rows, evenly, strips, unit, unknown_feature
from rca.records import Attribution

__all__ = ["shapdiff_dependence"]

MOST = 2000  # points on a side
_CATEGORIES = 20
_BAND = 0.6  # inches of the axis for rows without a value


def shapdiff_dependence(
    before: Attribution,
    after: Attribution,
    rows: pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame],
    feature: Hashable,
    ax: Axes | None = None,
) -> Axes:
    """Draw the contribution of a feature over its value, one point a row of data, before and after overlaid.

    Parameters
    ----------
    before, after : Attribution
        From `rca.shapdiff.explain`, in one unit.
    rows : DataFrame or pair of DataFrame
        The rows that were explained; a pair when those before and after are not the same.
    feature : hashable
        Its column; of a model of several classes the pair of class and column.
    ax : Axes, optional
        Where to draw, best in a figure with ``layout="constrained"``; default a new figure.

    Returns
    -------
    Axes
        Hollow circles before, filled triangles after. Numbers and times: value on the x axis, contribution on the y
        axis, rows without a value in a band at the left. Categories (any other column): one line each, the most
        frequent on top, contributions before above the line and after below.

    Raises
    ------
    InputError
        If the units differ, `before` or `after` is no attribution, a value is infinite, times before have a zone and
        those after have none, or `rows` are not those explained.
    UnknownName
        If `feature` was not explained or is no column of `rows`, or there are several classes and it is no pair.

    Notes
    -----
    Of more than 2,000 rows on a side (500 of a category) so many are drawn, evenly by rank of the value, the smallest
    and the largest among them. The 20 most frequent categories are drawn.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from rca.models.shapdiff import explain
    >>> rows = pd.DataFrame({"age": [20, 30, 40, 50], "amount": [9, 2, 4, 1]})
    >>> one, two = (explain(LinearRegression().fit(rows, y), rows) for y in ([1, 2, 3, 4], [9, 2, 4, 1]))
    >>> shapdiff_dependence(one, two, rows, "age").get_xlabel()
    'age (its own unit)'
    """
    words = unit(before, after)
    pair = (rows, rows) if isinstance(rows, pd.DataFrame) else rows
    if not isinstance(pair, tuple | list) or [type(table) for table in pair] != [pd.DataFrame] * 2:
        raise InputError("rows is neither a table nor a pair of tables, those before and those after")
    column = feature
    if before.to_frame().columns.nlevels > 1:
        if not isinstance(feature, tuple) or len(feature) != 2:
            pairs = [pair for pair in before.to_frame().columns if pair[1] == feature]
            if not pairs:
                raise unknown_feature("the attribution: ", feature, before.to_frame().columns)
            listed = ", ".join(map(str, pairs[:12])) + (", …" if len(pairs) > 12 else "")
            raise UnknownName(f"feature {shorten(feature)}: there are several classes; wanted is one of {listed}")
        words, column = f"{words}; class {feature[0]}", feature[1]
    (x_before, y_before), (x_after, y_after) = (
        _columns(attribution, some, feature, column) for attribution, some in ((before, pair[0]), (after, pair[1]))
    )
    xs, ys = (x_before, x_after), (y_before, y_after)
    if all(pd.api.types.is_numeric_dtype(x) and not pd.api.types.is_bool_dtype(x) for x in xs):
        return _numbers(xs, ys, column, words, ax)
    if all(pd.api.types.is_datetime64_any_dtype(x) for x in xs):
        return _times(xs, ys, column, words, ax)
    return _categories(xs, ys, column, words, ax)


def _columns(
    attribution: Attribution, rows: pd.DataFrame, feature: Hashable, column: Hashable
) -> tuple[pd.Series, np.ndarray]:
    values = attribution.to_frame()
    for where, name, names in (("the attribution", feature, values.columns), ("the rows", column, rows.columns)):
        if name not in names:
            raise unknown_feature(f"{where}: ", name, names)
    if not values.index.equals(rows.index):
        raise InputError(f"{len(values)} rows were explained, and the {len(rows)} rows given do not have their index")
    return rows[column], values[feature].to_numpy(dtype=float)


def _numbers(
    xs: tuple[pd.Series, pd.Series], ys: tuple[np.ndarray, np.ndarray], feature: Hashable, words: str, ax: Axes | None
) -> Axes:
    ax = Figure(layout="constrained", figsize=(8.5, 4.8)).subplots() if ax is None else ax
    sides = [x.to_numpy(dtype=float, na_value=np.nan) for x in xs]
    if any(np.isinf(side).any() for side in sides):
        raise InputError(f"column {shorten(feature)} has infinite values")
    both = np.concatenate(sides)
    known = both[~np.isnan(both)]
    stretched = scale(ax.xaxis, known, _usual(known))
    ax.update_datalim(np.c_[known, np.zeros(len(known))], updatey=False)
    ax.margins(x=0.03)
    ax.autoscale_view(scaley=False)
    return _points(ax, sides, ys, feature, f"its own unit{stretched}", words)


def _times(
    xs: tuple[pd.Series, pd.Series], ys: tuple[np.ndarray, np.ndarray], feature: Hashable, words: str, ax: Axes | None
) -> Axes:
    zoned = [x.dt.tz is not None for x in xs]
    if zoned[0] != zoned[1]:
        raise InputError(f"column {shorten(feature)}: only the times of one side have a zone")
    ax = Figure(layout="constrained", figsize=(8.5, 4.8)).subplots() if ax is None else ax
    utc = [x.dt.tz_convert("UTC").dt.tz_localize(None) if zoned[0] else x for x in xs]
    ns = [x.astype("datetime64[ns]").to_numpy() for x in utc]
    sides = [np.where(np.isnat(side), np.nan, timeaxis.days(side.astype("int64"))) for side in ns]
    known = np.concatenate(sides)
    known = known[~np.isnan(known)] if not np.isnan(known).all() else np.zeros(1)
    margin = 0.03 * np.ptp(known) or 1.0
    timeaxis.set_axis(ax, timeaxis.Scale(np.array([known.min() - margin, known.max() + margin]), np.arange(2.0), ()))
    return _points(ax, sides, ys, feature, "UTC" if zoned[0] else "no time zone", words)


def _points(
    ax: Axes, sides: list[np.ndarray], ys: tuple[np.ndarray, np.ndarray], feature: Hashable, said: str, words: str
) -> Axes:
    """Draw a point a row, its value on an x axis whose limits are set."""
    high = np.concatenate(ys)
    stretched = scale(ax.yaxis, high, _usual(high))
    missing = _band(ax) if np.isnan(np.concatenate(sides)).any() else np.nan
    for mark, x, y in zip(MARKS, sides, ys, strict=True):
        chosen = evenly(x, MOST)  # missing values come last
        x = np.where(np.isnan(x), missing, x)[chosen]
        ax.plot(x, y[chosen], markersize=4.5, markeredgewidth=0.8 if mark["marker"] == "o" else 0, alpha=0.7, **mark)
    ax.axhline(0, color=sheet.RULE, linewidth=0.8, zorder=0)
    ax.set_ylabel(f"SHAP value ({words}{stretched})")
    ax.set_xlabel(f"{in_sentence(feature)} ({said})")
    ax.xaxis.label.set_gid(full_name(feature))
    ax.spines[["top", "right"]].set_visible(False)
    head(ax, drawn_rows((len(sides[0]), len(sides[1])), MOST))
    return ax


def _usual(numbers: np.ndarray) -> np.ndarray:
    return np.quantile(np.abs(numbers), [0.9]) if len(numbers) else numbers


def _band(ax: Axes) -> float:
    """Free a band at the left for rows without a value, name it, and return its place on the x axis."""
    band = min(_BAND * ax.figure.dpi / ax.get_window_extent().width, 0.4)
    place = ax.transScale + ax.transLimits
    (low, _), (high, _) = (place.inverted().transform((share, 0.5)) for share in (-band / (1 - band), 1))
    ax.set_xlim(low, high)
    middle, edge = (float(place.inverted().transform((share, 0.5))[0]) for share in (band / 2, band))
    ticks = [
        (tick, label.get_text())
        for tick, label in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
        if band + 0.05 < place.transform((tick, 0))[0] <= 1
    ]
    ax.set_xticks([middle, *(tick for tick, _ in ticks)], ["missing", *(text for _, text in ticks)])
    ax.axvline(edge, color=sheet.RULE, linewidth=0.8, linestyle="--", zorder=0)
    return middle


def _categories(
    xs: tuple[pd.Series, pd.Series], ys: tuple[np.ndarray, np.ndarray], feature: Hashable, words: str, ax: Axes | None
) -> Axes:
    names = [x.astype(object).where(x.notna(), "(missing)").astype(str).to_numpy() for x in xs]
    counts = pd.Series(np.concatenate(names)).value_counts()
    ax, labels = open_rows(ax, list(counts.index[:_CATEGORIES]), ROW)
    shown = list(counts.index[: len(labels)])
    rows = [(ys[0][names[0] == name], ys[1][names[1] == name]) for name in shown]
    name_rows(ax, labels, shown)
    high = np.concatenate(ys)
    stretched = scale(ax.xaxis, high, _usual(high))
    strips(ax, rows)
    ax.set_xlabel(f"SHAP value of {in_sentence(feature)} ({words}{stretched})")
    ax.xaxis.label.set_gid(full_name(feature))
    ax.spines[["top", "right"]].set_visible(False)
    count = f"{len(shown)} of {len(counts):,} categories" if len(shown) < len(counts) else f"{len(counts)} categories"
    head(ax, f"{count}; {drawn_rows((len(names[0]), len(names[1])), high.size)}")
    return ax

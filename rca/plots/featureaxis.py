"""Axis with one row a feature: long names, numbers of any size, and a legend and title that find their room."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Hashable, Sequence
from functools import cache
from itertools import accumulate, pairwise
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from rca.errors import InputError
from rca.plots import sheet

__all__ = [
    "AFTER",
    "BEFORE",
    "LINK",
    "SIZE",
    "SMALL",
    "bold_width",
    "check_table",
    "check_top",
    "counted",
    "feature_label",
    "fit_labels",
    "full_name",
    "head",
    "in_sentence",
    "name_rows",
    "open_rows",
    "rows_height",
    "scale",
    "short",
]

BEFORE, AFTER, LINK = "#0072B2", "#D55E00", "#9AA3AD"  # Okabe-Ito; every use also differs in the shape of its mark
SIZE, SMALL = 9.0, 8.0  # points
_LABEL_WIDTH, _TICKS, _BOLD = 2.9, 0.15, 1.15  # inches; inches; width of bold letters over that of others
_BREAK_AFTER = " -_/.:,;&=?"
_LONGEST = 400  # characters looked at when a name is shortened
_UNTIL_DRAWN = 0.77  # of its share of a figure, the height of axes before the layout is made
_EXTREME = 100  # largest number over a usual one from where the axis is logarithmic


def check_table(table: Any, columns: Sequence[str], source: str) -> None:
    """Raise if a picture cannot be drawn of `table`, and say by which function the right one is made.

    Examples
    --------
    >>> check_table(pd.DataFrame({"part": ["model"]}), ["part", "value"], "rca.shapdiff.split_loss")
    Traceback (most recent call last):
    rca.errors.InputError: the table has no column 'value'; one from rca.shapdiff.split_loss is wanted
    """
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"table is a {type(table).__name__}; a table from {source} is wanted")
    missing = [repr(name) for name in columns if name not in table]
    if missing:
        raise InputError(f"the table has no column {', '.join(missing)}; one from {source} is wanted")


def check_top(top: Any) -> None:
    """Raise if `top` is no number of rows.

    Examples
    --------
    >>> check_top(0)
    Traceback (most recent call last):
    rca.errors.InputError: top is 0; a whole number of at least 1 is wanted
    """
    if not isinstance(top, Integral) or isinstance(top, bool) or top < 1:
        raise InputError(f"top is {top!r}; a whole number of at least 1 is wanted")


def feature_label(name: Hashable, most: int = 2, wide: float = _LABEL_WIDTH, start: str = "") -> str:
    """Return the name on at most `most` lines of `wide` inches; the middle is left out, as long ones differ at the end.

    `start` stands before it and is never shortened.

    Examples
    --------
    >>> feature_label(("fraud", "amount"))
    'fraud · amount'
    >>> feature_label("mean_amount_of_the_card_in_the_last_30_days_by_country", most=1)
    'mean_amount_of_th…30_days_by_country'
    """
    text = sheet.drawable(full_name(name)) or "(no name)"
    if len(text) <= _LONGEST and len(lines := _folded(start + text, wide)) <= most:
        return "\n".join(lines)
    low, high = 1, min(len(text), _LONGEST) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if len(_folded(start + _shortened(text, middle), wide)) <= most else (low, middle)
    lines = _folded(start + _shortened(text, low), wide)
    return "\n".join(lines) if len(lines) <= most else start.strip() or "…"


@cache
def _advance(mark: str) -> float:
    return (sheet.width(mark * 21, SIZE) - sheet.width(mark, SIZE)) / 20


def bold_width(text: str) -> float:
    """Return about the width in inches of a small bold line, rather too much than too little."""
    return _BOLD * sum(map(_advance, text)) * SMALL / SIZE


def _folded(text: str, wide: float) -> list[str]:
    """Return the text in lines; by the widths of its letters, which is much faster for many names than `sheet.wrap`."""
    lines: list[str] = []
    while True:
        ends = list(accumulate(map(_advance, text)))
        fit = max(1, bisect_right(ends, wide))
        if fit >= len(text):
            return [*lines, text]
        cut = max(text.rfind(sign, fit // 2, fit) for sign in _BREAK_AFTER) + 1 or fit
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()


def full_name(name: Hashable) -> str:
    """Return the whole name; that of one class of several is a pair."""
    return " · ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def in_sentence(name: Hashable) -> str:
    """Return the name for a title or the label of an axis, shortened in the middle."""
    text = sheet.drawable(full_name(name))
    return text if len(text) <= 80 else _shortened(text, 79)


def _shortened(text: str, kept: int) -> str:
    return f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"


def _labels(names: Sequence[Hashable], most: int, wide: float = _LABEL_WIDTH) -> list[str]:
    """Return a label for each name; those that are the same when shortened get their number in front."""
    labels = [feature_label(name, most, wide) for name in names]
    return [
        feature_label(name, most, wide, f"#{place + 1} ") if labels.count(label) > 1 else label
        for place, (name, label) in enumerate(zip(names, labels, strict=True))
    ]


def rows_height(labels: Sequence[str], least: float = 0.0) -> float:
    """Return the height in inches at which labels, one a row, do not touch; a row has at least `least`."""
    lines = max((label.count("\n") + 1 for label in labels), default=1)
    return max(sheet.line_height(SIZE) * lines + 0.08, least) * max(len(labels), 1)


def fit_labels(ax: Axes, names: Sequence[Hashable], room: float, least: float = 0.0) -> list[str]:
    """Return a label for each name, in as many lines as the height allows and as wide as there is room left of `ax`.

    Parameters
    ----------
    ax : Axes
        Where they will stand. A layout makes room for names; without one there is what lies between the axes and the
        edge of the figure, or other axes.
    names : sequence of hashable
        What the rows are called.
    room : float
        Height in inches of all rows.
    least : float, default 0
        Height in inches that a row needs besides its name.
    """
    figure, box = ax.figure.canvas.figure, ax.get_window_extent()
    lines, wide = [2], _LABEL_WIDTH
    if figure.get_layout_engine() is None:
        others = [other.get_window_extent() for other in figure.axes if other is not ax]
        beside = [other.x1 for other in others if other.x1 <= box.x0 and other.y0 < box.y1 and box.y0 < other.y1]
        lines, wide = [4, 3, 2], min(wide, ((box.x0 - max(beside, default=0.0)) / ax.figure.dpi - _TICKS) / _BOLD)
    for most in lines:
        labels = _labels(names, most, wide)
        if rows_height(labels, least) <= room:
            return labels
    return _labels(names, 1, wide)


def open_rows(
    ax: Axes | None, names: Sequence[Hashable], least: float = 0.0, above: float = 1.7, wide: float = 8.5
) -> tuple[Axes, list[str]]:
    """Return axes with room for the rows, and the labels of those that are drawn.

    Parameters
    ----------
    ax : Axes, optional
        Where to draw. Too low for all rows, names are put on one line, then rows are left out; names are shortened
        to what a figure without a layout has left of the axes. Default a figure that is as high as the rows need.
    names : sequence of hashable
        What the rows are called, from the top.
    least : float, default 0
        Height in inches that a row needs besides its name.
    above : float, default 1.7
        Height in inches for title, legend and the axis below.
    wide : float, default 8.5
        Width in inches of a new figure.

    Returns
    -------
    tuple of Axes and list of str
        As many labels as there are rows to draw, all different.
    """
    if ax is None:
        labels = _labels(names, most=2)
        size = (wide, above + rows_height(labels, least))
        return Figure(layout="constrained", figsize=size).subplots(), labels
    room = ax.get_window_extent().height / ax.figure.dpi
    if ax.figure.canvas.figure.get_layout_engine() is not None:
        room = min(room, room / _UNTIL_DRAWN - above)  # it will give title, legend and axis their part of this
    labels = fit_labels(ax, names, room, least)
    if rows_height(labels, least) > room:
        labels = labels[: max(1, int(room / rows_height(labels[:1], least)))]
    return ax, labels


def name_rows(ax: Axes, labels: Sequence[str], names: Sequence[Hashable], bold: Sequence[bool] = ()) -> None:
    """Write the labels at 0, 1, ... from the top; the full name stays with its label as ``get_gid()``."""
    ax.set_yticks(range(len(labels)), labels, fontsize=SIZE, parse_math=False)
    for label, name in zip(ax.get_yticklabels(), names, strict=False):
        label.set_gid(full_name(name))
    for label, heavy in zip(ax.get_yticklabels(), bold, strict=False):
        label.set_fontweight("bold" if heavy else "normal")
    ax.set_ylim(max(len(labels), 1) - 0.4, -0.6)


def scale(axis: XAxis | YAxis, numbers: np.ndarray, usual: np.ndarray) -> str:
    """Make one extreme number not hide the others, and return what to add to the label of the axis.

    Parameters
    ----------
    axis : Axis
        ``ax.xaxis`` or ``ax.yaxis``.
    numbers : ndarray
        What is drawn.
    usual : ndarray
        Sizes that are to be told apart; the axis is linear up to their median when the largest number is more than a
        hundred times that.
    """
    sizes = np.abs(usual[np.isfinite(usual) & (usual != 0)])
    largest = float(np.nanmax(np.abs(numbers))) if np.isfinite(numbers).any() else 0.0
    middle = float(np.median(sizes)) if len(sizes) else 0.0
    axis.axes.tick_params(labelsize=SIZE)
    words = ""
    if middle > 0 and largest > _EXTREME * middle:
        start, end = math.ceil(math.log10(middle)), math.log10(largest)
        limit = 10.0**start
        # The linear part is as wide as the logarithmic one.
        (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)(
            "symlog", linthresh=limit, linscale=max(1.0, end - start)
        )
        decades = [10.0**power for power in range(start, math.floor(end) + 1, max(1, math.ceil((end - start) / 4)))]
        ticks = [limit / 2, *decades]
        axis.set_major_locator(FixedLocator([*(-tick for tick in ticks), 0.0, *ticks]))
        words = f"; linear up to ±{limit:g}, logarithmic beyond"
    else:
        axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter("{x:.10g}")
    return words


def head(ax: Axes, title: str) -> None:
    """Set the title, the legend below it and the labels of the axes in as many lines as their room asks for."""
    ax.figure.canvas.figure.draw_without_rendering()  # gives the names their room, so that the width is known
    box = ax.get_window_extent()
    wide, high = (0.93 * inches / ax.figure.dpi for inches in (box.width, box.height))
    handles, labels = ax.get_legend_handles_labels()
    pad = 6.0
    if handles:
        columns = _columns([sheet.width(label, SMALL) + 0.45 for label in labels], wide)
        ax.legend(
            fontsize=SMALL, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, handletextpad=0.4,
            borderaxespad=0.3, borderpad=0.2, columnspacing=1.2,
        )  # fmt: skip
        pad += math.ceil(len(labels) / columns) * SMALL * 1.75 + 2
    ax.set_title("\n".join(sheet.wrap(title, wide, SIZE)), fontsize=SIZE, loc="left", pad=pad, parse_math=False)
    ax.set_xlabel("\n".join(sheet.wrap(ax.get_xlabel(), wide, SIZE)), fontsize=SIZE, parse_math=False)
    ax.set_ylabel("\n".join(sheet.wrap(ax.get_ylabel(), high, SIZE)), fontsize=SIZE, parse_math=False)
    _thin(ax)


def _columns(entries: Sequence[float], wide: float) -> int:
    """Return how many columns, which a legend fills one after the other, fit into the width."""
    for columns in range(len(entries), 1, -1):
        full, more = divmod(len(entries), columns)
        starts = [number * full + min(number, more) for number in range(columns + 1)]
        if sum(max(entries[start:end]) for start, end in pairwise(starts)) <= wide:
            return columns
    return 1


def _thin(ax: Axes) -> None:
    """Leave out numbers below the x axis that would touch the one before."""
    low, high = sorted(ax.get_xlim())
    ticks = [tick for tick in ax.xaxis.get_major_ticks() if low <= tick.get_loc() <= high and tick.label1.get_text()]
    kept: list[tuple[float, str]] = []
    end = -math.inf
    for tick in sorted(ticks, key=lambda tick: float(tick.get_loc())):
        box = tick.label1.get_window_extent()
        if tick.label1.get_visible() and box.x0 > end:
            kept.append((float(tick.get_loc()), tick.label1.get_text()))
            end = box.x1 + 0.05 * ax.figure.dpi
    if ticks and ticks[0].label1.get_visible() and len(kept) < len(ticks):
        ax.set_xticks([place for place, _ in kept], [text for _, text in kept])


def short(number: float, sign: str = "") -> str:
    """Return the number to three significant digits, with a power of ten only if it is very large or small.

    Examples
    --------
    >>> short(1234.5), short(0.01234), short(1.5e-9), short(0.5, "+")
    ('1,234', '0.0123', '1.5e-09', '+0.5')
    """
    size = abs(number)
    if number == 0 or not 1e-4 <= size < 1e6:
        return f"{number:{sign}.3g}"
    return f"{number:{sign},.0f}" if size >= 1000 else f"{number:{sign}.3g}"


def counted(number: int, noun: str) -> str:
    """Return the number with its noun.

    Examples
    --------
    >>> counted(1, "feature"), counted(50000, "row")
    ('1 feature', '50,000 rows')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")

"""Picture of how far each clock is off, from a second to years."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rca.plots import sheet
from rca.wording import duration

__all__ = ["clocks"]

# verdict -> Okabe-Ito colour, filled or hollow, and words; none rests on colour alone.
_LOOKS = {
    "skew": ("#D55E00", True, "correction proposed"),
    "none": ("#5B6470", False, "no correction"),
    "zone": ("#0072B2", False, "zone error"),
    "step": ("#0072B2", False, "stepped"),
    "cannot tell": ("#E69F00", False, "cannot tell"),
}
_TICKS = {
    "1 s": 1, "10 s": 10, "1 min": 60, "10 min": 600, "1 h": 3600, "10 h": 36000, "1 d": 86400, "10 d": 864000,
    "100 d": 8640000, "1 y": 31557600, "10 y": 315576000, "100 y": 3155760000,
}  # fmt: skip
_LEFT, _WORDS, _LINE = 1.9, 3.6, 8.0  # inches of the labels and of the words beside the axis, points


def clocks(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the offset of each clock with its interval.

    Parameters
    ----------
    table : DataFrame
        From `rca.clocks.solve` (a row a source) or `rca.clocks.skew` (a row a pair).
    ax : Axes, optional
        Where to draw; default a figure that is as high as the rows need.

    Returns
    -------
    Axes
        Seconds on an axis that is linear to one second on both sides of zero and logarithmic beyond; right of zero is
        ahead. One row a clock or pair: a filled mark where a correction is proposed, hollow elsewhere, with offset,
        half its interval and the verdict in words; an arrow where one side has no bound; words only where
        nothing is known. Intervals that are narrow against the offset are read from the words.

    Examples
    --------
    >>> from rca.systems.clocks import skew
    >>> b = pd.date_range("2025-03-01T09:00Z", periods=9, freq="7min")
    >>> ax = clocks(skew(pd.DataFrame({"time_a": b + pd.Timedelta("90s"), "time_b": b})))
    >>> [text.get_text() for text in ax.texts]
    ['1 min 30 s ± 0.336 s · correction proposed']
    """
    rows = table.to_dict("records")
    labels = ["\n".join(sheet.wrap(_name(row), _LEFT - 0.3, 9, most=2)) for row in rows]
    words = [sheet.wrap(_words(row), _WORDS - 0.4, _LINE, most=4) for row in rows]
    heights = [max(len(lines), 1.6) * sheet.line_height(_LINE) + 0.14 for lines in words]
    if ax is None:
        high = sum(heights) + 1.25
        figure = Figure(figsize=(10.0, high))
        ax = figure.add_axes((_LEFT / 10, 0.75 / high, (10 - _LEFT - _WORDS) / 10, 1 - 1.15 / high))
    places = [sum(heights[:number]) + height / 2 for number, height in enumerate(heights)]
    _axis(ax, rows)
    for row, place, lines in zip(rows, places, words, strict=True):
        _mark(ax, row, place)
        ax.annotate(
            "\n".join(lines), (1.0, place), (8, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center", fontsize=_LINE, color=sheet.INK, parse_math=False, annotation_clip=False, linespacing=1.2,
            fontweight="bold" if row["verdict"] == "skew" else "normal",
        )  # fmt: skip
    ax.set_yticks(places, labels, fontsize=9, parse_math=False)
    ax.set_ylim(sum(heights) or 1.0, 0)
    ax.set_title(_title(table), fontsize=9, loc="left")
    return ax


def _name(row: dict[str, Any]) -> str:
    return str(row["source"]) if "source" in row else f"{row['source_a']} against {row['source_b']}"


def _words(row: dict[str, Any]) -> str:
    """Return offset, interval, verdict and, where nothing is proposed, why."""
    offset, low, high = row["offset"], row["low"], row["high"]
    if row["method"] == "reference":
        return "the clock that the others are held against"
    if pd.isna(offset):
        found = "not known"
    elif pd.isna(low) and pd.isna(high):
        found = f"{duration(offset)}, no interval"
    elif pd.isna(low) or pd.isna(high):
        found = f"{'at most' if pd.isna(low) else 'at least'} {duration(offset)}"
    else:
        found = f"{duration(offset)} ± {duration(max(offset - low, high - offset))}"
    reason = "" if row["verdict"] == "skew" else str(row["note"])
    return " · ".join(filter(None, [found, _LOOKS[row["verdict"]][2], reason]))


def _axis(ax: Axes, rows: list[dict[str, Any]]) -> None:
    """Set the scale, with ticks at units that people know."""
    ends = [row[name].total_seconds() for row in rows for name in ("offset", "low", "high") if pd.notna(row[name])]
    sides = {sign: 2 * max([1.0, *(sign * end for end in ends)]) for sign in (-1, 1)}
    ax.set_xscale("symlog", linthresh=1.0, linscale=1.0)
    ax.set_xlim(-sides[-1], sides[1])
    shown = {"0": 0.0}
    for sign, mark in ((-1, "\u2212"), (1, "")):
        inside = {f"{mark}{name}": float(sign * value) for name, value in _TICKS.items() if value <= sides[sign]}
        # Both sides share the width: tens fall out first.
        plain = {name: value for name, value in inside.items() if "10" not in name}
        shown |= inside if len(inside) <= 4 else plain
    ax.set_xticks(list(shown.values()), list(shown), fontsize=8)
    ax.xaxis.set_tick_params(which="minor", length=0)
    ax.axvline(0, color=sheet.INK, linewidth=1, zorder=1)
    ax.grid(axis="x", color="#E5E5E5", linewidth=0.7, zorder=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("behind  ←  offset of the clock (logarithmic beyond 1 s)  →  ahead", fontsize=9)


def _mark(ax: Axes, row: dict[str, Any], place: float) -> None:
    """Draw one clock: its mark, and its interval as a bar, or as an arrow where one side is open."""
    if pd.isna(row["offset"]):
        return
    colour, filled, _ = _LOOKS[row["verdict"]]
    offset = row["offset"].total_seconds()
    ends = [None if pd.isna(row[name]) else row[name].total_seconds() for name in ("low", "high")]
    limits = ax.get_xlim()
    if ends != [None, None]:
        low, high = (limit if end is None else end for end, limit in zip(ends, limits, strict=True))
        ax.hlines(place, low, high, color=colour, linewidth=3, alpha=0.6, zorder=2)
        for end, limit, arrow in zip(ends, limits, "<>", strict=True):
            if end is None:
                ax.plot([limit], [place], marker=arrow, color=colour, markersize=8, clip_on=False, zorder=3)
    ax.plot(
        [offset], [place], marker="D" if filled else "o", markersize=7, zorder=4, linestyle="none",
        markerfacecolor=colour if filled else "white", markeredgecolor=colour, markeredgewidth=1.6,
    )  # fmt: skip


def _title(table: pd.DataFrame) -> str:
    if table.empty:
        return "No clocks to compare: no record was seen by two of them."
    one = len(table) == 1
    what = f"clock{'' if one else 's'}" if "source" in table else f"pair{'' if one else 's'} of clocks"
    known = int(table["offset"].notna().sum())
    return f"{len(table)} {what}: offset known of {known}, correction proposed for {int(table['proposal'].sum())}"

"""A time axis in UTC whose ticks always show the date, and on which long quiet stretches take little room."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import matplotlib.dates as mdates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator

from rca.wording import duration

__all__ = ["Scale", "days", "scale", "set_axis"]

Array = np.ndarray[Any, np.dtype[Any]]
_ROOM = 0.05  # of the busy width, that a quiet stretch is given
_MARGIN = 0.02  # of the busy width, that is left beside an event before a quiet stretch begins
_FILLED = 0.86  # of the axis, that labels may take
_APART, _CHARACTER, _DATE = 0.095, 0.0105, 10  # of the axis between two ticks; more where labels exceed a date
_DAY = 86_400 * 10**9
_LEAST = 50_000  # ns left at either end; days as floats tell 0.3 microseconds apart
_DECIMAL = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_ROUND = [
    (unit, every)
    for unit, each in (
        ("us", _DECIMAL), ("ms", _DECIMAL), ("s", (1, 2, 5, 10, 15, 30)), ("m", (1, 2, 5, 10, 15, 30)),
        ("h", (1, 2, 3, 6, 12)), ("D", (1, 2, 5, 10, 15)), ("M", (1, 2, 3, 6)), ("Y", _DECIMAL),
    )
    for every in each
]  # fmt: skip
_LENGTH = {unit: np.timedelta64(1, unit) for unit in ("us", "ms", "s", "m", "h", "D")}
_LENGTH |= {"M": np.timedelta64(30, "D"), "Y": np.timedelta64(365, "D")}


class Scale(NamedTuple):
    """Where times lie on the axis.

    Attributes
    ----------
    times, places : array
        Days (as matplotlib counts them) and their places from 0 to 1; straight lines between them.
    quiet : tuple of (start, end)
        Stretches, in days, that are drawn shorter than they are.
    """

    times: Array
    places: Array
    quiet: tuple[tuple[float, float], ...]

    def place(self, time: Any) -> Array:
        """Return places from 0 to 1 of times in days; those outside lie on the lines' continuation."""
        return _line(time, self.times, self.places)

    def time(self, place: Any) -> Array:
        """Return times in days of places."""
        return _line(place, self.places, self.times)


def _line(value: Any, known: Array, wanted: Array) -> Array:
    value = np.asarray(value, dtype=float)
    first, last = ((wanted[k + 1] - wanted[k]) / (known[k + 1] - known[k]) for k in (0, -2))
    inside = np.interp(value, known, wanted)
    before, after = np.minimum(value - known[0], 0) * first, np.maximum(value - known[-1], 0) * last
    return np.asarray(inside + before + after)


def days(ns: Any) -> Array:
    """Return nanoseconds since 1970 as the days that matplotlib draws by."""
    return np.asarray(mdates.date2num(np.asarray(ns, dtype="int64").astype("datetime64[ns]")), dtype=float)


def scale(starts: Array, ends: Array, limits: tuple[int, int]) -> Scale:
    """Return the axis for what lies from `starts` to `ends`, within `limits`, all in nanoseconds since 1970.

    A quiet stretch is shortened where nothing lies in it and it takes over 30 % of the axis, or such stretches
    together over 75 %. A margin of 3 % of the rest is left at either end, and a minute where all is of one instant.
    """
    quiet = _quiet(starts, ends, limits)
    busy = limits[1] - limits[0] - sum(end - start for start, end in quiet)
    margin = max(busy * 3 // 100, _LEAST) if busy else 60 * 10**9
    knots = [limits[0] - margin, *(edge for stretch in quiet for edge in stretch), limits[1] + margin]
    busy += 2 * margin
    lengths = [
        (after - before) / busy if number % 2 == 0 else _ROOM for number, (before, after) in enumerate(pairwise(knots))
    ]
    places = np.concatenate([[0.0], np.cumsum(lengths)])
    shown = tuple((float(days(start)), float(days(end))) for start, end in quiet)
    return Scale(days(knots), places / places[-1], shown)


def _quiet(starts: Array, ends: Array, limits: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the stretches to shorten, in order."""
    order = np.argsort(starts, kind="stable")
    begin, reached = starts[order], np.maximum.accumulate(ends[order]) if len(ends) else ends
    empty = begin[1:] - reached[:-1]
    left = limits[1] - limits[0]
    if left < 20 * _LEAST:
        return []
    large = empty > left / 20
    if not large.any() or (empty.max() <= 0.3 * left and empty[large].sum() <= 0.75 * left):
        return []
    chosen = []
    for place in np.argsort(-empty, kind="stable")[:6]:
        if empty[place] <= left / 5:
            break
        chosen.append(int(place))
        left -= int(empty[place])
    pad = int(left * _MARGIN)
    return [(int(reached[place]) + pad, int(begin[place + 1]) - pad) for place in sorted(chosen)]


def set_axis(ax: Axes, axis: Scale) -> None:
    """Give `ax` this time axis, with its ticks and a mark on every quiet stretch."""
    ax.xaxis.axis_date(dt.UTC)
    if axis.quiet:
        ax.set_xscale("function", functions=(axis.place, axis.time))
    ax.set_xlim(axis.times[0], axis.times[-1])
    ticks, labels = _ticks(axis, _APART)
    longest = max((len(line) for label in labels for line in label.split("\n")), default=0)
    if longest > _DATE:
        ticks, labels = _ticks(axis, _CHARACTER * longest)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FixedFormatter(labels))
    for start, end in axis.quiet:
        ax.axvspan(start, end, facecolor="white", edgecolor="#BBBBBB", hatch="///", linewidth=0, zorder=2.5)
        middle = float(axis.time(axis.place([start, end]).mean()))
        ax.text(
            middle, 0.5, f"{duration(np.timedelta64(round((end - start) * _DAY), 'ns'))} quiet", rotation=90,
            transform=ax.get_xaxis_transform(), ha="center", va="center", fontsize=8, color="#444444", zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip


def _ticks(axis: Scale, apart: float) -> tuple[list[float], list[str]]:
    """Return times for ticks and what stands there, none in a quiet stretch nor nearer to another than `apart`."""
    edges = [axis.times[0], *(edge for stretch in axis.quiet for edge in stretch), axis.times[-1]]
    found: list[float] = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        share = float(np.diff(axis.place([start, end]))[0])
        inside = [
            float(value)
            for value in _round(start, end, max(1, round(_FILLED * share / apart)))
            if start <= value <= end
        ]
        for value in inside or [start + (end - start) / 2]:
            if not found or axis.place(value) - axis.place(found[-1]) >= apart:
                found.append(value)
    return found, _labels([mdates.num2date(tick, tz=dt.UTC) for tick in found])


def _round(start: float, end: float, most: int) -> Array:
    """Return at most so many times, in days, at which a clock or calendar shows a round number, as even as can be."""
    first, last = (np.datetime64(mdates.num2date(edge).replace(tzinfo=None), "us") for edge in (start, end))
    finer = np.array([], "M8[us]")
    for unit, every in _ROUND:
        if (last - first) / (every * _LENGTH[unit]) > 4 * most + 4:
            continue
        times = np.arange(first.astype(f"M8[{unit}]"), last.astype(f"M8[{unit}]") + 1, dtype=f"M8[{unit}]")
        times = times[_is_round(times, unit, every)].astype("M8[us]")
        times = times[(times >= first) & (times <= last)]
        if len(times) <= most:
            chosen = times if len(times) else finer[len(finer) // 2 :][:most]
            return np.asarray(mdates.date2num(chosen), dtype=float)
        finer = times
    return np.array([])


def _is_round(times: Any, unit: str, every: int) -> Any:
    """Return which times are round: days by their number in the month, so that each month begins anew."""
    if unit == "D":
        number = (times - times.astype("M8[M]").astype("M8[D]")).astype("int64")
        return (number % every == 0) & ((number < 30) | (every == 1))
    return (times.astype("int64") + (1970 if unit == "Y" else 0)) % every == 0


def _labels(ticks: Sequence[dt.datetime]) -> list[str]:
    """Return what stands at each tick; the date wherever it is another than before."""
    if all(tick.time() == dt.time() for tick in ticks):
        whole = all(tick.day == 1 for tick in ticks) and len(ticks) > 1
        return [f"{tick:%Y-%m}" if whole else f"{tick:%Y-%m-%d}" for tick in ticks]
    fine = any(tick.second or tick.microsecond for tick in ticks)
    clock = [f"{tick:%H:%M:%S}" if fine else f"{tick:%H:%M}" for tick in ticks]
    if fine and any(tick.microsecond for tick in ticks):
        digits = 3 if all(tick.microsecond % 1000 == 0 for tick in ticks) else 6
        clock = [f"{tick:%H:%M:%S.%f}"[: 9 + digits] for tick in ticks]
    dates = [f"{tick:%Y-%m-%d}" for tick in ticks]
    return [
        hour if number and dates[number - 1] == date else f"{hour}\n{date}"
        for number, (hour, date) in enumerate(zip(clock, dates, strict=True))
    ]

"""When a measured series left its healthy level, by how much, and how sure that is.

One series at a time. The healthy rows say how far an average of so many successive rows strays when
nothing is wrong, so slow swings, daily rhythm and heavy tails widen the measure instead of raising alarms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean

__all__ = ["DIRECTIONS", "MIN_ROWS", "Shift", "Window", "find", "growth", "window"]

Window = tuple[pd.Timestamp, pd.Timestamp]
DIRECTIONS = ("both", "down", "neither", "up")
MIN_ROWS = 6  # healthy rows below which nothing can be said
_RUN = 3  # rows in a row that must all lie out: a lone spike is no shift
_LENGTHS = sorted({2**k for k in range(1, 14)} | {3 * 2**k for k in range(13)})
_CLIP = 4.0  # one row counts at most this many spreads in an average
_CAP = 6.0  # the same as evidence for when the level changed
_BLOCKS = 5  # healthy blocks that an average of so many rows must be compared with
_RELATIVE_FLOOR = 0.002  # a spread is at least this share of the level
_MONOTONE = 12  # steps in one direction only that make a series a counter or a clock
_DRIFT = 2.5  # spreads above which a row speaks for the shifted level
_SLOW = 1.0  # the same when the earliest conceivable start is sought


@dataclass(frozen=True)
class Shift:
    """The strongest sustained stretch of one series in a window, held against a healthy window.

    Attributes
    ----------
    p_value : float
        Chance of a stretch at least as strong when nothing is wrong, all stretches of the window counted.
    deviation : float
        Median of the stretch less the healthy median, in robust standard deviations of one row; signed.
    before, during : float
        Healthy median, and median of the stretch, in the unit of the series (of its rate per second when
        `note` says so).
    start, until : Timestamp
        First and last row of the shifted level.
    error : Timedelta
        Half-width of about 95 % confidence of `start` if the level changed at once; at least the sampling step.
    earliest : Timestamp
        Where the start may lie if the level changed gradually; not after `start`.
    step : Timedelta
        Sampling step: the median distance of two rows.
    censored : bool
        Whether the level was already shifted at the first row that can be compared.
    note : str
        What a reader must know to judge it; empty when nothing.
    """

    p_value: float
    deviation: float
    before: float
    during: float
    start: pd.Timestamp
    until: pd.Timestamp
    error: pd.Timedelta
    earliest: pd.Timestamp
    step: pd.Timedelta
    censored: bool = False
    note: str = ""


def window(value: Sequence[Any], what: str) -> Window:
    """Return `value` as a window (start, end) in UTC, or raise.

    Raises
    ------
    InputError
        If it is no pair of times with a zone, or ends before it starts.
    """
    if not isinstance(value, (tuple, list, pd.DatetimeIndex, np.ndarray)) or len(value) != 2:
        raise InputError(f"{what}: a window is a pair (start, end) of times, found {value!r:.80}")
    try:
        start, end = (pd.Timestamp(item) for item in value)
    except (ValueError, TypeError) as error:
        raise InputError(f"{what}: a window is a pair (start, end) of times, found {value!r:.80}: {error}") from error
    if pd.isna(start) or pd.isna(end) or start.tzinfo is None or end.tzinfo is None:
        raise InputError(f"{what}: {start} to {end}: both ends need a time with a zone")
    if end <= start:
        raise InputError(f"{what}: the window ends ({end}) before it starts ({start})")
    return start.tz_convert("UTC"), end.tz_convert("UTC")


def find(series: pd.Series, *, before: Sequence[Any], during: Sequence[Any], harmful: str = "both") -> Shift:
    """Find the strongest sustained stretch of `series` in `during` and when its level set in.

    Two measures are taken. The least distance of 3 successive rows from the healthy median, in robust
    standard deviations of one row, finds large shifts. Averages over 2, 3, 4, 6, 8, 12 ... rows, each row
    counting 4 such deviations at most, are held against the same averages of the healthy window and find small
    lasting ones. (A robust standard deviation is the larger of the scaled MAD and of the 99th percentile
    of the distances over the normal one.) Student's t on the number of healthy blocks of that length, times the
    number of stretches looked at (Bonferroni), is the p-value. The start is where a cumulative sum of
    evidence for the shifted level, run backwards from the stretch, is largest [1]_.

    Parameters
    ----------
    series : Series, shape (n_rows,)
        Values indexed by UTC time, any order, regular or not. Values that are not finite are left out; rows
        with the same time are averaged.
    before, during : pair of Timestamp
        Healthy window and window to search, start included, end not; disjoint, in either order.
    harmful : {"both", "up", "down"}, default "both"
        Direction that counts.

    Returns
    -------
    Shift
        With ``p_value`` 1 when there are fewer than `MIN_ROWS` healthy rows.

    Raises
    ------
    InputError
        If a window holds no row of the series.

    Notes
    -----
    A series that only rises (or only falls) in the healthy window, through at least 12 steps, is a counter or
    a clock: its rate per second is examined instead, and rows where it was reset are left out. The spread is
    never below 0.2 % of the level nor below the rounding of the values. When `before` lies after `during`,
    nothing is known of the time before `during`, and a start at its first row is ``censored``. The error of
    the start is the sampling step and the confidence interval of a change point [2]_, with the long-run
    variance of averages of 8 rows. A daily rhythm widens the spread; it is not taken out. Cost
    O(n log n) per block length, of which there are about 2 log2(n).

    References
    ----------
    .. [1] Page, Biometrika 41, 1954.
    .. [2] Bai, Review of Economics and Statistics 79(4), 1997.

    Examples
    --------
    >>> time = pd.date_range("2025-03-01", periods=60, freq="min", tz="UTC")
    >>> level = [10.0, 11.0] * 20 + [20.0] * 20
    >>> shift = find(pd.Series(level, time), before=(time[0], time[30]), during=(time[30], time[59]))
    >>> shift.start == time[40], shift.p_value < 0.001, shift.before, shift.during
    (True, True, 10.5, 20.0)
    """
    if harmful not in DIRECTIONS or harmful == "neither":
        raise UnknownName(f"unknown direction {harmful!r}{did_you_mean(harmful, DIRECTIONS)}")
    healthy, searched = window(before, "before"), window(during, "during")
    times, values, note = _clean(series, healthy)
    in_before, in_during = _inside(times, healthy), _inside(times, searched)
    for rows, what, (start, end) in ((in_before, "before", healthy), (in_during, "during", searched)):
        if not rows.any():
            raise InputError(f"the window {what} ({start} to {end}) holds no finite value of the series")
    base = values[in_before]
    if len(base) < MIN_ROWS:
        return _silent(times[in_during], values[in_during], base, f"only {len(base)} rows before")
    center = float(np.median(base))
    spread = _spread(base, values, center)
    scores = (values - center) / spread
    p_value, sign, first, last = _scan(scores[in_before], scores[in_during], harmful)
    usable = (times >= min(healthy[0], searched[0])) if healthy[0] < searched[0] else in_during
    offset = int(np.flatnonzero(in_during)[0])
    begin, end, earliest = _extent(sign * scores, usable, offset + first, offset + last)
    # The strongest stretch overstates the level, which puts the start too late: look again with the level found.
    begin, end, earliest = _extent(sign * scores, usable, begin, end)
    level = float(np.median(values[begin : end + 1]))
    deviation = (level - center) / spread
    step = _step(times)
    return Shift(
        p_value=p_value, deviation=deviation, before=center, during=level,
        start=times[begin], until=times[end], earliest=times[earliest], step=step,
        error=step * (1 + int(11 * _memory(scores[in_before]) / max(deviation**2, 0.1))),
        censored=begin == int(np.flatnonzero(usable)[0]), note=note,
    )  # fmt: skip


def growth(series: pd.Series, shift: Shift, at: pd.Timestamp) -> float:
    """Return the share of a shift that set in only at `at`: 0 if it was complete before, 1 if none was there.

    Parameters
    ----------
    series : Series
        The series in which `shift` was found.
    shift : Shift
        Its start must lie before `at`.
    at : Timestamp
        When something else happened.

    Examples
    --------
    >>> time = pd.date_range("2025-03-01", periods=6, freq="min", tz="UTC")
    >>> minute = pd.Timedelta("1min")
    >>> step = Shift(0.0, 9.0, 0.0, 8.0, time[2], time[5], minute, time[2], minute)
    >>> growth(pd.Series([0.0, 0.0, 2.0, 2.0, 8.0, 8.0], time), step, time[4])
    0.75
    """
    times = pd.DatetimeIndex(series.index)
    leading = series[np.asarray((times >= shift.start) & (times < at))]
    later = series[np.asarray((times >= at) & (times <= shift.until))]
    if shift.note or leading.empty or later.empty or later.median() == shift.before:
        return 0.0
    share = (leading.median() - shift.before) / (later.median() - shift.before)
    return float(min(max(1 - share, 0.0), 1.0))


def _clean(series: pd.Series, healthy: Window) -> tuple[pd.DatetimeIndex, Any, str]:
    """Return times, values and a note: sorted, finite, one row a time, counters made into rates."""
    numbers = pd.Series(series.to_numpy(dtype="float64"), index=pd.DatetimeIndex(series.index))
    numbers = numbers[np.isfinite(numbers.to_numpy())]
    if numbers.index.has_duplicates or not numbers.index.is_monotonic_increasing:
        numbers = numbers.groupby(level=0).mean()
    times, values = numbers.index, numbers.to_numpy()
    steps = np.diff(values)
    inner = steps[_inside(times[1:], healthy) & (times[:-1] >= healthy[0])]
    if len(inner) >= _MONOTONE:
        for sign in (1, -1):
            if np.mean(sign * inner > 0) >= 0.9 and np.mean(sign * inner < 0) <= 0.05:
                onward = sign * steps >= 0
                seconds = np.asarray((times[1:] - times[:-1]).total_seconds())
                return (
                    times[1:][onward],
                    (steps / seconds)[onward],
                    "a counter or clock: its rate per second was examined",
                )
    return times, values, ""


def _inside(times: pd.DatetimeIndex, limits: Window) -> Any:
    return np.asarray((times >= limits[0]) & (times < limits[1]))


def _step(times: pd.DatetimeIndex) -> pd.Timedelta:
    return pd.Timedelta(np.median(np.diff(times.asi8)), unit=times.unit) if len(times) > 1 else pd.Timedelta(0)


def _silent(times: pd.DatetimeIndex, values: Any, base: Any, note: str) -> Shift:
    center = float(np.median(base))
    return Shift(
        1.0,
        0.0,
        center,
        float(np.median(values)),
        times[0],
        times[-1],
        _step(times),
        times[0],
        _step(times),
        True,
        note,
    )


def _robust(values: Any) -> float:
    """Return a spread that is a standard deviation for normal values and wider for heavy tails."""
    ordered = np.sort(values)
    distance = np.sort(np.abs(ordered - _at(ordered, 0.5)))
    return float(max(1.4826 * _at(distance, 0.5), _at(distance, 0.99) / 2.576))


def _memory(scores: Any) -> float:
    """Return by how much slow swings widen the variance of an average of 8 healthy rows; 1 if they are independent."""
    n = min(8, len(scores) // _BLOCKS)
    return float(min(max(1.0, n * _robust(_means(scores, n)) ** 2), n)) if n > 1 else 1.0


def _at(ordered: Any, share: float) -> float:
    """Return a quantile of sorted values, interpolated."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def _spread(base: Any, values: Any, center: float) -> float:
    """Return the spread of one healthy row, never below the level's floor and the values' rounding."""
    decimals = next(
        (n for n in range(10) if np.allclose(values * 10.0**n, np.round(values * 10.0**n), rtol=1e-9, atol=0)), 10
    )
    return max(_robust(base), _RELATIVE_FLOOR * abs(center), float(10.0**-decimals / np.sqrt(12)))


def _scan(base: Any, searched: Any, harmful: str) -> tuple[float, int, int, int]:
    """Return p-value, sign, first and last row of the strongest stretch of `searched`."""
    from scipy.special import stdtr

    longest = min(len(searched), len(base) // _BLOCKS)
    lengths = [n for n in _LENGTHS if n <= longest]
    signs = {"both": (1, -1), "up": (1,), "down": (-1,)}[harmful]
    inner, outer = np.clip(base, -_CLIP, _CLIP), np.clip(searched, -_CLIP, _CLIP)
    averages = []
    for n in lengths:
        healthy = _means(inner, n)
        unit = max(_robust(healthy), 1 / np.sqrt(n)) * np.sqrt(1 + n / len(base))
        averages.append(((_means(outer, n) - np.median(healthy)) / unit, len(base) / n - 1, n))
    run = min(_RUN, len(searched))
    found = []
    for sign in signs:
        least = np.lib.stride_tricks.sliding_window_view(sign * searched, run).min(axis=1)
        tests = [
            (least / np.sqrt(1 + 1 / len(base)), len(base) - 1, run),
            *((sign * means, *rest) for means, *rest in averages),
        ]
        for values, freedom, n in tests:
            first = int(np.argmax(values))
            found.append(
                (values[first], max(freedom, 1), len(values) * len(tests) * len(signs), sign, first, first + n - 1)
            )
    columns = [np.array(column) for column in list(zip(*found, strict=True))[:3]]
    log_p = np.log(np.maximum(stdtr(columns[1], -columns[0]), 1e-300)) + np.log(columns[2])
    best = int(np.argmin(log_p))
    return float(np.exp(min(log_p[best], 0.0))), *found[best][3:]


def _means(values: Any, n: int) -> Any:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return (total[n:] - total[:-n]) / n


def _extent(scores: Any, usable: Any, first: int, last: int) -> tuple[int, int, int]:
    """Return the first and last row of the shifted level around a stretch, and the first conceivable one."""
    half = max(float(np.median(scores[first : last + 1])) / 2, 0.25)
    clipped = np.clip(scores, -_CAP, _CAP)
    lowest = int(np.flatnonzero(usable)[0])
    back = clipped[lowest : last + 1][::-1]
    begin = last - _peak(back - min(half, _DRIFT))
    earliest = min(begin, last - _peak(back - min(half, _SLOW)))
    return begin, begin + _peak(clipped[begin:][usable[begin:]] - min(half, _DRIFT)), earliest


def _peak(evidence: Any) -> int:
    """Return where the cumulative sum is largest."""
    return int(np.argmax(np.cumsum(evidence)))

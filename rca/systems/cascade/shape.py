"""How strongly each series followed the shape of the symptom: a matched filter on robust scores.

The arithmetic, in order:

1. ``scores``: each value less the healthy median, in robust standard deviations, harmful direction up.
2. ``focus``: the rows of `during` in which the symptom moved, with some rows around; its scores in them are the
   shape. ``weights``: the mean weighted with the shape less the mean of the rows out of the shape.
3. ``follow``: that difference for every series, also a few rows earlier, over its healthy standard deviation.
   Slow drift between the two windows cancels, and what moved at another time counts little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Focus", "Follow", "focus", "follow", "log_chance", "scores", "symptom_chance", "weights"]

_FLOOR = 0.002  # a spread is at least this share of the level
_CLIP = 50.0  # one row counts at most this many spreads
_SHORT = 24  # rows of a window that is taken whole, without search for the symptom's stretch
_QUIET = 0.15  # share of the shape's highest weight up to which a row is out of it
_TALL = 20.0  # spreads above which a row weighs no more in the shape
_TAILS = 4  # degrees of freedom of the null: measured series have heavier tails than the normal
_MOST_LAG = 12  # rows by which a cause may lead the symptom
_HOLE = 12  # missing rows in succession up to which a series is taken to have gone straight on
_KNOWN = 0.25  # share of the rows that count, by weight, in which a series must have been measured
_RELIABLE = 0.25  # least share of a series' variance in the stretch that is taken as signal


@dataclass(frozen=True, eq=False)
class Focus:
    """Where and in which shape the symptom moved.

    Attributes
    ----------
    start, stop : int
        Rows of `during` looked at.
    lag : int
        Rows by which another series may lead.
    shape : ndarray, shape (stop - start,)
        The symptom's scores; what the other series are compared with.
    filter : ndarray, shape (stop - start,)
        Weights that sum to 1 over the rows in the shape and to -1 over those out of it; zero if there is none.
    lone : bool
        Whether the shape is a lone spike.
    """

    start: int
    stop: int
    lag: int
    shape: Any
    filter: Any
    lone: bool


@dataclass(frozen=True, eq=False)
class Follow:
    """How each series followed the shape; arrays of length n_series.

    Attributes
    ----------
    strength : ndarray
        The filtered score in its healthy standard deviations.
    sign : ndarray
        1, or -1 where a series that may move either way moved against its score.
    known : ndarray of bool
        Whether it was measured in at least a quarter of the rows that count.
    lead : ndarray of int
        Rows by which the series led the symptom.
    alignment : ndarray
        Correlation with the shape, 0 to 1, corrected for the noise of both, times the share of its shift that
        came with the shape: a level shifted since before does not count.
    """

    strength: Any
    sign: Any
    known: Any
    lead: Any
    alignment: Any


def scores(before: Any, during: Any, signs: Any) -> tuple[Any, Any, Any, Any]:
    """Return the scores of both windows, the healthy medians and the spreads; a series without spread scores 0.

    The spread is the larger of the scaled median absolute deviation, the 99th percentile of the deviations over
    the normal one, 0.2 % of the level, and the standard deviation of the rounding to the values' decimals.
    """
    middle = _quantile(np.sort(before, axis=0), 0.5)
    distance = np.sort(np.abs(before - middle), axis=0)
    spread = np.fmax(1.4826 * _quantile(distance, 0.5), _quantile(distance, 0.99) / 2.576)
    spread = np.fmax(np.fmax(spread, _FLOOR * np.abs(middle)), _rounding(before, during))
    spread = np.where(spread > 0, spread, np.nan)
    return signs * (before - middle) / spread, signs * (during - middle) / spread, middle, spread


def filled(x: Any) -> Any:
    """Return the scores, clipped, with short holes filled along a straight line and a score of 0 in all others.

    Holes that fall otherwise in each series would else look like noise that only the symptom shares with itself.
    """
    out = np.clip(x, -_CLIP, _CLIP)
    holes = ~np.isfinite(out)
    for column in np.flatnonzero(holes.any(axis=0) & ~holes.all(axis=0)):
        rows = np.flatnonzero(~holes[:, column])
        missing = np.flatnonzero(holes[:, column])
        after = np.searchsorted(rows, missing)
        inner = (after > 0) & (after < len(rows))
        missing, after = missing[inner], after[inner]
        short = missing[rows[after] - rows[after - 1] - 1 <= _HOLE]
        out[short, column] = np.interp(short, rows, out[rows, column])
    return np.nan_to_num(out)


def _quantile(ordered: Any, share: float) -> Any:
    """Return a quantile of each sorted column, NaN last, interpolated."""
    count = np.isfinite(ordered).sum(axis=0)
    place = share * np.maximum(count - 1, 0)
    low = place.astype("int64")
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    columns = np.arange(ordered.shape[1])
    return ordered[low, columns] + (place - low) * (ordered[high, columns] - ordered[low, columns])


def _rounding(before: Any, during: Any) -> Any:
    """Return the standard deviation of rounding errors, from the decimals that all values have; 0 beyond six."""
    values = np.concatenate([before, during])
    values = np.where(np.isfinite(values), values, 0.0)
    unit = np.zeros(values.shape[1])
    left = np.flatnonzero(_has_decimals(values[-64:], 6))  # most series have more: a few rows tell
    for decimals in range(7):
        exact = _has_decimals(values[:, left], decimals)
        unit[left[exact]] = 10.0**-decimals
        left = left[~exact]
    return unit / np.sqrt(12)


def _has_decimals(values: Any, decimals: int) -> Any:
    """Return which columns hold no value with more decimals."""
    scaled = values * 10.0**decimals
    return (np.abs(scaled - np.round(scaled)) <= 1e-9 * np.maximum(np.abs(scaled), 1.0)).all(axis=0)


def focus(symptom: Any, head: int = 0) -> Focus:
    """Return where the symptom moved in the window `during`, from its scores, shape (n_rows,).

    The first `head` rows are healthy ones before the window: what rose in them is not the incident.
    """
    x = filled(symptom[:, None])[:, 0]
    x[:head] = np.minimum(x[:head], 0.0)
    if len(x) <= _SHORT:
        start, stop, lag = 0, len(x), 0
    else:
        first, last = (row + head for row in _stretch(x[head:]))
        start, stop = max(0, first - max(8, (last - first) // 2)), min(len(x), last + max(4, (last - first) // 4))
        lag = min(_MOST_LAG, max(2, (stop - start) // 4))
    shape = x[start:stop]
    excess = _excess(shape[None])[0]
    lone = excess.sum() ** 2 < 1.25 * (excess**2).sum()
    calm = shape if lag == 0 else _median_of_three(shape)
    return Focus(start, stop, lag, shape, weights(shape[None], calm[None])[0], bool(lone))


def harm(seen: Focus) -> float:
    """Return the level in the shape over its contrast with the rows out of it; small where those got better."""
    contrast = float(seen.filter @ seen.shape)
    return float(np.clip(seen.filter, 0.0, None) @ seen.shape) / contrast if contrast > 0 else 0.0


def steadiness(x: Any) -> float:
    """Return the correlation of neighbouring scores, 0 to 1: how well another series could follow their course."""
    both = np.isfinite(x[:-1]) & np.isfinite(x[1:])
    if both.sum() < 3:
        return 0.0
    left, right = (np.clip(part[both], -_CLIP, _CLIP) for part in (x[:-1], x[1:]))
    left, right = left - left.mean(), right - right.mean()
    power = float(np.sqrt((left @ left) * (right @ right)))
    return max(float(left @ right) / power, 0.0) if power > 0 else 0.0


def _median_of_three(x: Any) -> Any:
    """Return each value's median with its neighbours: a lone row of noise neither ends nor makes a stretch."""
    padded = np.pad(x, 1, mode="edge")
    return np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)


def _stretch(x: Any) -> tuple[int, int]:
    """Return the rows with the largest sum of scores above 1 [1]_, each row counting 8 at most.

    .. [1] Kadane's algorithm: Bentley, Communications of the ACM 27(9), 1984.
    """
    total = np.concatenate([[0.0], np.cumsum(np.clip(x, -4.0, 8.0) - 1.0)])
    lowest = np.minimum.accumulate(total)
    last = int(np.argmax(total - lowest))
    first = int(np.argmin(total[: last + 1]))
    return first, last


def _excess(windows: Any) -> Any:
    """Return the weight of each row in the shape: how far it is above the quiet rows of its window."""
    ground = np.clip(np.quantile(windows, 0.25, axis=1), -2.0, 2.0)
    return np.clip(windows - ground[:, None], 0.0, _TALL)


def weights(windows: Any, calm: Any = None) -> Any:
    """Return the filter of each window, shape (n_windows, n_rows); zero where nothing stands out.

    `calm` are the same windows, smoothed, if rows out of the shape are to be told from them.
    """
    excess = _excess(windows)
    top = excess.max(axis=1, keepdims=True)
    quiet = ((excess if calm is None else _excess(calm)) <= _QUIET * top) & (top > 0)
    excess = np.where(quiet, 0.0, excess)
    total = excess.sum(axis=1, keepdims=True)
    inside = np.divide(excess, total, out=np.zeros_like(excess), where=total > 0)
    count = quiet.sum(axis=1, keepdims=True)
    return inside - np.divide(quiet, count, out=np.zeros_like(excess), where=count > 0)


def symptom_chance(before: Any, seen: Focus) -> float:
    """Return the share of healthy windows that stand out as much as the symptom's, each with its own shape.

    NaN when the healthy rows make fewer than 8 such windows side by side.
    """
    rows = len(seen.shape)
    if len(before) < 8 * rows:
        return float("nan")
    windows = np.lib.stride_tricks.sliding_window_view(filled(before[:, None])[:, 0], rows)
    healthy = (weights(windows) * windows).sum(axis=1)
    return float((1 + (healthy >= seen.filter @ seen.shape).sum()) / (1 + len(healthy)))


def follow(before: Any, during: Any, seen: Focus, either: Any) -> Follow:
    """Return how each series followed the symptom's shape, from their scores, shape (n_rows, n_series).

    `either` marks the series that may move both ways.
    """
    rows, lag = len(seen.shape), seen.lag
    known = np.isfinite(during[seen.start : seen.stop])
    inside = np.clip(seen.filter, 0.0, None)
    enough = inside @ known >= _KNOWN * inside.sum()
    healthy, x = filled(before), filled(during)
    x = np.concatenate([np.zeros((lag, x.shape[1])), x])[seen.start : seen.stop + lag]
    filtered = np.array([seen.filter @ x[lag - lead : lag - lead + rows] for lead in range(lag + 1)])
    strength = filtered / _deviation(healthy, seen.filter)
    lead = np.where(either, np.abs(strength), strength).argmax(axis=0)
    best = np.where(enough, np.take_along_axis(strength, lead[None], 0)[0], 0.0)
    sign = np.where(either & (best < 0), -1.0, 1.0)
    level = np.array([inside @ x[lag - lead : lag - lead + rows] for lead in range(lag + 1)])
    large = np.abs(level) > np.abs(filtered)  # else the rows out of the shape are away, on the other side
    over, under = np.where(large, filtered, 2 * level), np.where(large, level, filtered)
    fresh = np.divide(over, under, out=np.zeros_like(level), where=under != 0)
    came, risen = (np.take_along_axis(part, lead[None], 0)[0] for part in (np.clip(fresh, 0.0, 1.0), ~large))
    best = np.where(risen & ((best > 0) | either), came * best, best)  # else rows that got better make a move
    return Follow(sign * best, sign, enough, lead, came * _alignment(sign * x, seen, lead))


def _deviation(healthy: Any, weight: Any) -> Any:
    """Return the standard deviation of the filtered healthy scores.

    The larger of what independent increments of an autoregressive series of order one would have, and the robust
    spread of the filter over the healthy rows, where at least 3 windows fit side by side.
    """
    power = np.maximum((healthy * healthy).sum(axis=0), 1e-9)
    memory = np.clip((healthy[:-1] * healthy[1:]).sum(axis=0) / power, 0.0, 0.97)
    overlap = np.correlate(weight, weight, "full")[len(weight) - 1 :]
    variance = overlap[0] + 2 * np.polynomial.polynomial.polyval(memory, np.concatenate([[0.0], overlap[1:]]))
    deviation = np.sqrt(np.maximum(variance, max(overlap[0] / 10, 1e-9)))
    if len(healthy) >= 3 * len(weight):
        ordered = np.sort(_slide(healthy, weight), axis=0)
        distance = np.sort(np.abs(ordered - _quantile(ordered, 0.5)), axis=0)
        robust = np.maximum(1.4826 * _quantile(distance, 0.5), _quantile(distance, 0.99) / 2.576)
        deviation = np.maximum(deviation, robust)
    return deviation


def _slide(values: Any, weight: Any) -> Any:
    """Return the filter at every place of every column."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(values) + len(weight) - 1, real=True)
    product = rfft(values, size, axis=0) * np.conj(rfft(weight, size))[:, None]
    return irfft(product, size, axis=0)[: len(values) - len(weight) + 1]


def _alignment(x: Any, seen: Focus, lead: Any) -> Any:
    """Return the correlation of each series with the shape, corrected for noise of unit variance [1]_.

    .. [1] Spearman, American Journal of Psychology 15, 1904: disattenuation.
    """
    rows, lag = len(seen.shape), seen.lag
    shape = seen.shape - seen.shape.mean()
    power = max(float((shape**2).mean()), 1e-9)
    found = np.zeros(x.shape[1])
    for each in np.unique(lead):
        columns = lead == each
        part = x[lag - each : lag - each + rows, columns]
        part = part - part.mean(axis=0)
        own = np.maximum((part**2).mean(axis=0), 1e-9)
        reliable = np.maximum(1 - 1 / own, _RELIABLE) * max(1 - 1 / power, _RELIABLE)
        found[columns] = (shape @ part) / rows / np.sqrt(own * power * reliable)
    return np.clip(found, 0.0, 1.0)


def log_chance(strength: Any, lags: int) -> Any:
    """Return log10 of the chance that a healthy series follows so strongly; `lags` leads were tried."""
    from scipy.special import stdtr

    chance = stdtr(_TAILS, -np.asarray(strength, dtype="float64")) * np.sqrt(lags + 1.0)
    return np.log10(np.clip(chance, 1e-12, 1.0))

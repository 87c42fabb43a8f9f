"""Whether a change of level came at once or by and by, and when it may have begun if it came by and by."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["begin"]

_ROWS = 160  # rows fitted; more are averaged in blocks
_ENDS = 40  # ends of the rise tried for each beginning
_LOOK_BACK = 3  # lengths of the shifted stretch that are looked at before it
_LEAST = 24  # rows looked at before it at least
_STEEP = 3  # rows of a rise; one that takes fewer is a step
_LEVEL = 3.84  # 95 % point of chi-squared with one degree of freedom
_STRICT = 10.83  # 99.9 % point: what a ramp must gain over a step to be called one


def begin(values: Any, lowest: int, start: int, until: int) -> tuple[int, str]:
    """Return the first row where a change may have begun, and whether it was a "step", a "ramp" or, "", cannot be told.

    Level, linear rise, level is fitted by least squares to the rows around the change, for each row where the
    rise may begin and for ends of the rise up to `until`; a rise of one or two rows is a step. The row returned is
    the earliest whose fit is within the 95 % limit of the best one (profile likelihood, as if the noise were
    normal; slow swings of the residuals widen the limit by their long-run variance), and never after `start`.

    Parameters
    ----------
    values : ndarray
        The series, in order of time.
    lowest : int
        First row that may be looked at.
    start, until : int
        First and last row of the shifted level, as ``rca.onset.find`` gives them.

    Examples
    --------
    >>> level = np.r_[np.tile([0.0, 0.2], 20), np.arange(30) / 3, np.full(20, 10.0)]
    >>> first, shape = begin(level, 0, 46, 89)
    >>> 36 <= first <= 41, shape
    (True, 'ramp')
    >>> begin(10 * (np.arange(90) >= 40) + np.tile([0.0, 0.2], 45), 0, 40, 89)
    (39, 'step')
    """
    first = max(lowest, start - max(_LEAST, _LOOK_BACK * (until - start + 1)))
    block = -(-(until + 1 - first) // _ROWS)
    n = (until + 1 - first) // block
    first = until + 1 - n * block
    if n < 4 * _STEEP or start - first < 2 * block:
        return start, ""
    rows = _despiked(np.asarray(values[first : until + 1], dtype="float64"))
    y = rows.reshape(n, block).mean(axis=1)
    begins = np.arange(1, min((start - first) // block + 1, n - 1) + 1)
    lengths = np.unique(np.r_[1, 2, np.geomspace(_STEEP, n, _ENDS).astype(int)])
    left = np.full((len(begins), len(lengths)), np.inf)
    for column, length in enumerate(lengths):
        inside = begins + length <= n
        left[inside, column] = _residual(y, begins[inside], int(length))
    best = np.unravel_index(int(np.argmin(left)), left.shape)
    unit = _unit(y, int(begins[best[0]]), int(lengths[best[1]]))
    fits = left - left[best] <= _LEVEL * unit
    earliest = first + int(begins[fits.any(axis=1)][0] - 1) * block
    if left[:, lengths < _STEEP].min() - left[best] > _STRICT * unit:
        return min(earliest, start), "ramp"
    return min(earliest, start), "step" if lengths[fits.any(axis=0)].max() < 2 * _STEEP else ""


def _despiked(values: Any) -> Any:
    """Return values whose lone spikes are drawn back to the median of their five neighbours."""
    around = np.median(np.lib.stride_tricks.sliding_window_view(np.pad(values, 2, mode="edge"), 5), axis=1)
    limit = 4 * 1.4826 * np.median(np.abs(values - around))
    return np.clip(values, around - limit, around + limit) if limit > 0 else values


def _shapes(n: int, begins: Any, length: int) -> Any:
    """Return one row for each beginning: 0, a rise over `length` rows, 1."""
    return np.clip((np.arange(n)[None, :] - begins[:, None] + 1) / length, 0, 1)


def _residual(y: Any, begins: Any, length: int) -> Any:
    """Return the sum of squares that level, rise, level leaves, for each beginning."""
    shape = _shapes(len(y), begins, length)
    shape = shape - shape.mean(axis=1, keepdims=True)
    own = (shape**2).sum(axis=1)
    centered = y - y.mean()
    return (centered**2).sum() - (shape @ centered) ** 2 / np.where(own > 0, own, np.inf)


def _unit(y: Any, begin: int, length: int) -> float:
    """Return the variance of the residuals of the best fit, widened by their slow swings."""
    shape = _shapes(len(y), np.array([begin]), length)[0]
    slope, level = np.polyfit(shape, y, 1)
    rest = y - slope * shape - level
    variance = float((rest**2).sum() / max(len(y) - 4, 1))
    lags = min(8, len(y) // 5)
    swings = sum((1 - lag / (lags + 1)) * float((rest[lag:] * rest[:-lag]).mean()) for lag in range(1, lags + 1))
    return max(variance, variance + 2 * swings, 1e-12 * float(np.ptp(y)) ** 2)

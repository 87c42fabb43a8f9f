"""Since when a series that followed the symptom has been at its new level, and how sure that time is."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["begin", "gradual"]

_CAP = 6.0  # one row counts at most this many spreads as evidence for when the level changed
_DRIFT = 2.5  # spreads above which a row speaks for the new level
_SLOW = 1.0  # the same when the first conceivable row is sought
_RAMP = 24  # rows before and after the start in which a gradual rise is looked for
_BETTER = 12.0  # gain in -2 log likelihood from which on a gradual rise is believed, with two numbers more to fit
_COVER = 3.84  # the same up to which another start is conceivable: 95 % of chi-square with one degree of freedom
_MOST_MEMORY = 8.0  # successive rows that may count as one


def begin(x: Any, last: int, healthy: Any) -> tuple[int, float, int]:
    """Return the first row of the new level that holds at `last`, its error in rows, and the first conceivable row.

    The start is where a cumulative sum of evidence for the new level, run backwards from `last`, is largest
    [1]_. The error is one row, the half-width of the 95 % interval of a change point [2]_, with the variance widened
    by the memory of the healthy rows, and the rows in which a flapping series may not show its new level. If the
    level changed gradually, it may have begun as early as the first conceivable row.

    Parameters
    ----------
    x : ndarray, shape (n_rows,)
        Robust scores, the harmful direction up; without NaN.
    last : int
        A row of the shifted level.
    healthy : ndarray, shape (n_healthy,)
        Scores of the healthy window.

    References
    ----------
    .. [1] Page, Biometrika 41, 1954.
    .. [2] Bai, Review of Economics and Statistics 79(4), 1997.

    Examples
    --------
    >>> begin(np.array([0.0, 0.5, 9.0, 8.0, 9.0]), 4, np.array([0.5, -0.5] * 20))
    (2, 1.0, 2)
    """
    level, first = float(x[last]), last
    back = np.clip(x[: last + 1], -_CAP, _CAP)[::-1]
    for _ in range(3):
        half = max(level / 2, 0.25)
        first = last - int(np.argmax(np.cumsum(back - min(half, _DRIFT))))
        level = float(np.median(x[first : last + 1]))
    earliest = min(first, last - int(np.argmax(np.cumsum(back - min(half, _SLOW)))))
    half = max(level / 2, 0.25) if level > _SLOW else _DRIFT
    return first, 1.0 + int(11 * _memory(healthy) / max(level**2, 0.1)) + _unshown(x[first : last + 1] > half), earliest


def _unshown(shown: Any) -> int:
    """Return for how many rows a level that only some rows show may go unseen: 95 % of a geometric distribution."""
    share = float(np.clip(shown.mean(), 0.05, 0.95))
    return int(np.log(0.05) / np.log(1 - share)) - 1


def gradual(x: Any, first: int, last: int, healthy: Any) -> int:
    """Return by how many rows a gradual rise may have begun before `first`; 0 if the level rather jumped.

    A line from the healthy level at one row to the new level at another is fitted by least squares for every pair of
    rows near `first`; the earliest start that fits nearly as well as the best one counts (profile likelihood).

    Examples
    --------
    >>> rise = np.clip(np.arange(-20, 30) / 10, 0, 1) * 30
    >>> gradual(rise, 24, 45, np.array([0.5, -0.5] * 20))
    3
    """
    low, high = max(first - _RAMP, 0), min(first + _RAMP, last + 1)
    part = x[low:high]
    starts, ends = np.meshgrid(np.arange(low - 1, first), np.arange(low, high), indexing="ij")
    starts, ends = (place[ends > starts][:, None] for place in (starts, ends))
    lines = np.clip((np.arange(low, high) - starts) / (ends - starts), 0.0, 1.0)
    fitted = (lines @ part) ** 2 / np.maximum((lines * lines).sum(axis=1), 1e-9)
    missed = (part @ part) - fitted
    noise = max(float(missed.min()) / max(len(part) - 3, 1), 0.25) * _memory(healthy)
    sudden = float(missed[(ends - starts)[:, 0] == 1].min())
    if sudden - float(missed.min()) < _BETTER * noise:
        return 0
    earliest = int(starts[missed <= missed.min() + _COVER * noise].min()) + 1
    return max(first - earliest, 0)


def _memory(healthy: Any) -> float:
    """Return how many successive rows count as one, from the correlation of neighbours."""
    power = float(healthy @ healthy)
    near = float(healthy[1:] @ healthy[:-1]) / power if power > 0 else 0.0
    near = min(max(near, 0.0), 0.97)
    return float(min((1 + near) / (1 - near), _MOST_MEMORY))

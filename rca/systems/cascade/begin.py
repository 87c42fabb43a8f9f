"""Since when a series that followed the symptom has been at its new level, and how sure that time is."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["begin"]

_CAP = 6.0  # one row counts at most this many spreads as evidence for when the level changed
_DRIFT = 2.5  # spreads above which a row speaks for the new level
_SLOW = 1.0  # the same when the first conceivable row is sought
_MOST_MEMORY = 8.0  # successive rows that may count as one


def begin(x: Any, last: int, healthy: Any) -> tuple[int, float, int]:
    """Return the first row of the new level that holds at `last`, its error in rows, and the first conceivable row.

    The start is where a cumulative sum of evidence for the new level, run backwards from `last`, is largest
    [1]_. The error is one row and the half-width of the 95 % interval of a change point [2]_, with the variance
    widened by the memory of the healthy rows. If the level changed gradually, it may have begun as early as the
    first conceivable row.

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
    return first, 1.0 + int(11 * _memory(healthy) / max(level**2, 0.1)), earliest


def _memory(healthy: Any) -> float:
    """Return how many successive rows count as one, from the correlation of neighbours."""
    power = float(healthy @ healthy)
    near = float(healthy[1:] @ healthy[:-1]) / power if power > 0 else 0.0
    near = min(max(near, 0.0), 0.97)
    return float(min((1 + near) / (1 - near), _MOST_MEMORY))

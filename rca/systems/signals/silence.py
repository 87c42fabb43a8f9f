"""Whether the longest time without a record is one that the healthy window explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Silence", "longest"]

_ENOUGH = 20  # healthy distances needed
_TAIL = 0.1  # share of the distances taken for the tail, the longest ones
_FEWEST = 10  # and at least so many


@dataclass(frozen=True)
class Silence:
    """The longest stretch without a record, in nanoseconds since 1970.

    Attributes
    ----------
    p_value : float
        Chance of one so long when nothing is wrong, all distances to be expected counted.
    start, end : int
        Last record before it; next record, or the end of the window.
    sure : int
        When 95 % of the time would have seen another record.
    """

    p_value: float
    start: int
    end: int
    sure: int


def longest(ns: Any, healthy: tuple[int, int], searched: tuple[int, int]) -> Silence | None:
    """Return the longest distance of records that reaches into `searched`, or None if nothing can be said.

    The longest healthy distances, over a threshold, are taken as exponential (peaks over threshold [1]_), with
    the mean of their excess or, if larger, what the longest of them speaks for; so quiet nights and pauses between
    bursts make silence less remarkable. The chance is multiplied by the number of distances to be expected.

    Parameters
    ----------
    ns : ndarray of int
        Times of the records, sorted, of both windows and what lies between.
    healthy, searched : (int, int)
        Windows, start included, end not.

    References
    ----------
    .. [1] Davison, Smith, J. R. Stat. Soc. B 52(3), 1990.

    Examples
    --------
    >>> minute = 60 * 10**9
    >>> found = longest(np.arange(100) * minute, (0, 90 * minute), (90 * minute, 130 * minute))
    >>> found.start // minute, found.end // minute, found.p_value < 1e-6
    (99, 130, True)
    """
    inside = ns[(ns >= healthy[0]) & (ns < healthy[1])]
    steps = np.sort(np.diff(np.unique(inside)).astype("float64"))
    if len(steps) < _ENOUGH:
        return None
    number = max(int(_TAIL * len(steps)), _FEWEST)
    threshold = float(steps[-number - 1])
    excess = steps[-number:] - threshold
    scale = max(float(excess.mean()), float(excess[-1]) / np.log(number + 1), float(np.median(steps)) / 2)
    earlier = ns[ns < searched[0]]
    within = ns[(ns >= searched[0]) & (ns < searched[1])]
    known = earlier[-1:] if healthy[0] < searched[0] else within[:1]
    marks = np.concatenate([known, within, [searched[1]]])
    if len(marks) < 2:
        return None
    gap = int(np.argmax(np.diff(marks)))
    start, end = int(marks[gap]), int(marks[gap + 1])
    expected = len(steps) * (searched[1] - searched[0]) / (healthy[1] - healthy[0]) + 1
    chance = number / len(steps) * np.exp(-max(end - start - threshold, 0.0) / scale)
    share = np.cumsum(steps) / steps.sum()
    usual = int(steps[int(np.searchsorted(share, 0.95))])
    return Silence(float(min(chance * expected, 1.0)), start, end, min(start + usual, end))

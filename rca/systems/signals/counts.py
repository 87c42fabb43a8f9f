"""The stretch of a series of counts that departs most from its healthy rate, and when it began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["BLOCKS", "Stretch", "strongest"]

BLOCKS = 5  # healthy blocks that a stretch of so many bins must be compared with
_CLIP = 4.0  # healthy standard deviations above the mean that one bin counts at most: a lone burst is no rate
_RUN = 3  # bins in a row that must all hold more: the other way to find a large change
_MEMORY = 8  # bins whose dispersion says how far the evidence of neighbours is one
_USUAL = 0.9  # share of Poisson series that look less dispersed than what is called overdispersed
_LIMIT = 3.0  # log-likelihood below the best beginning; covers 95 % in tests/bench/signals.py
_LENGTHS = sorted({2**k for k in range(1, 12)} | {3 * 2**k for k in range(12)} | {1})


@dataclass(frozen=True)
class Stretch:
    """A stretch of bins; the bins are numbers in the whole series.

    Attributes
    ----------
    p_value : float
        Chance of one at least as strong when nothing is wrong, all stretches looked at counted.
    before, during : float
        Records a bin, healthy and in the stretch.
    begin, end : int
        First and last bin.
    earliest, latest : int
        95 % interval of `begin`.
    dispersion : float
        Variance over mean of healthy counts, over as many bins as the stretch has, but 8 at most; 1 if they came
        independently.
    tests : int
        Stretches looked at, in both directions.
    """

    p_value: float
    before: float
    during: float
    begin: int
    end: int
    earliest: int
    latest: int
    dispersion: float
    tests: int


def strongest(counts: Any, healthy: slice, searched: slice, lowest: int) -> Stretch:
    """Return the strongest stretch of `searched`, with more records or with fewer.

    Given the number of records in the healthy window and in the stretch together, those of the stretch are binomial
    if nothing changed [1]_: an exact test. Where healthy counts of the same length vary more than Poisson's, both
    numbers are divided by that dispersion (quasi-likelihood), and the tail is taken from Student's t on the number
    of healthy blocks, since the dispersion is only estimated. The p-value is multiplied by the number of stretches
    (Bonferroni). A bin counts at most four healthy standard deviations above the mean, so that a lone burst is no
    change of rate; large changes are found by the least of three bins in a row, uncut. The beginning is where the
    likelihood of two rates, before and in the stretch, is largest.

    Parameters
    ----------
    counts : ndarray of int
        Records a bin.
    healthy, searched : slice
        Bins of the two windows.
    lowest : int
        First bin where the stretch may have begun; not after `searched`.

    References
    ----------
    .. [1] Przyborowski, Wilenski, Biometrika 31, 1940.

    Examples
    --------
    >>> found = strongest(np.r_[np.tile([2, 3, 1], 100), np.full(30, 9)], slice(0, 300), slice(290, 330), 0)
    >>> found.begin, found.end, found.before, found.p_value < 1e-6
    (300, 329, 2.0, True)
    """
    raw = np.asarray(counts, dtype="float64")
    usual = float(raw[healthy].mean())
    rows = np.minimum(raw, max(np.ceil(usual + _CLIP * max(float(raw[healthy].std()), usual**0.5)), 1.0))
    base = rows[healthy]
    lengths = [n for n in _LENGTHS if n <= min(searched.stop - searched.start, len(base) // BLOCKS)]
    spread = _dispersions(base, lengths)
    looks = [(n, _sums(rows[searched], n), base, n) for n in lengths]
    if searched.stop - searched.start >= _RUN:
        least = np.lib.stride_tricks.sliding_window_view(raw[searched], _RUN).min(axis=1)
        looks.append((_RUN, least, raw[healthy], 1))
    tests = 2 * sum(len(sums) for _, sums, _, _ in looks)
    best = (2.0, 0, 0)
    for n, sums, healthy_rows, unit in looks:
        chances = _chances(sums, healthy_rows, unit, *spread[unit])
        at = int(np.argmin(chances))
        best = min(best, (float(chances[at]), at, n))
    p_value, at, n = best
    first, last = searched.start + at, searched.start + at + n - 1
    near = spread[max(length for length in lengths if length <= min(n, _MEMORY))][0]
    begin, _, _ = _edge(rows, base.mean(), lowest, first, last, near)
    begin, earliest, latest = _edge(rows, base.mean(), lowest, begin, last, near)
    end = _end(rows, base.mean(), begin, last, searched.stop)
    during = float(raw[begin : end + 1].mean())
    return Stretch(min(p_value * tests, 1.0), usual, during, begin, end, earliest, latest, spread[n][0], tests)


def _sums(values: Any, n: int) -> Any:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return total[n:] - total[:-n]


def _dispersions(base: Any, lengths: list[int]) -> dict[int, tuple[float, int | None]]:
    """Return for each length variance over mean of sums of so many healthy bins, at least 1, and its freedom.

    The freedom is None, and the dispersion known to be 1, as long as no length up to this one varies more than
    Poisson counts do in nine cases of ten.
    """
    from scipy.stats import chi2

    out: dict[int, tuple[float, int | None]] = {}
    poisson = True
    for n in lengths:
        sums = _sums(base, n)
        freedom = len(base) // n - 1
        mean = float(sums.mean())
        ratio = float(sums.var()) * len(base) / (len(base) - n) / mean if mean > 0 else 1.0
        poisson = poisson and ratio <= chi2.ppf(_USUAL, freedom) / freedom
        out[n] = (1.0, None) if poisson else (max(1.0, ratio), freedom)
    return out


def _chances(sums: Any, base: Any, n: int, dispersion: float, freedom: int | None) -> Any:
    """Return for each sum the chance of one so high or so low, the smaller of the two."""
    from scipy.special import betainc
    from scipy.stats import norm, t

    share = n / (len(base) + n)
    here, there = sums / dispersion, float(base.sum()) / dispersion
    high = np.where(here > 0, betainc(np.maximum(here, 1e-9), there + 1, share), 1.0)
    low = betainc(there, here + 1, 1 - share) if there > 0 else np.ones(len(sums))
    least = np.maximum(np.minimum(high, low), 1e-300)
    return least if freedom is None else np.where(least < 0.5, t.sf(norm.isf(least), freedom), least)


def _gain(rows: Any, level: float, first: int, last: int) -> Any:
    """Return the log-likelihood ratio of each bin: the rate of the stretch against the healthy one."""
    here = max(float(rows[first : last + 1].mean()), 0.5 / (last + 1 - first))  # what no record is compatible with
    there = max(level, 0.05 * here)
    if here == there:
        here = there / 2
    return rows * np.log(here / there) - (here - there)


def _edge(rows: Any, level: float, lowest: int, first: int, last: int, dispersion: float) -> tuple[int, int, int]:
    """Return the likeliest first bin of a stretch that ends at `last`, and the 95 % interval of it."""
    evidence = np.cumsum(_gain(rows, level, first, last)[lowest : last + 1][::-1])[::-1]
    likely = np.flatnonzero(evidence >= evidence.max() - _LIMIT * dispersion)
    return lowest + int(np.argmax(evidence)), lowest + int(likely[0]), lowest + int(likely[-1])


def _end(rows: Any, level: float, begin: int, last: int, stop: int) -> int:
    """Return the likeliest last bin of a stretch."""
    return begin + int(np.argmax(np.cumsum(_gain(rows, level, begin, last)[begin:stop])))

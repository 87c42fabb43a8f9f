"""What the anchors of one pair of clocks say, in seconds about a middle: the method depends on the kind of anchors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rca.systems.clocks.line import Line, Numbers, fit, step

__all__ = ["LARGEST_DRIFT", "Anchors", "Estimate", "estimate"]

LARGEST_DRIFT = 1e-3  # seconds a second; working quartz clocks stay under a tenth of it
_ROUNDING = 1e-6  # seconds: what a time loses as a float of seconds since 1970
_STRETCHES = 300  # of time, to each of which one bound of each way is enough

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Anchors:
    """Anchors of one pair, sorted by x.

    Attributes
    ----------
    x : array
        Seconds by clock b, about a middle.
    y : array
        Seconds by which a is ahead of b, about a middle.
    first : array
        -1 where a comes first, 1 where b comes first, 0 where that is not known.
    units : tuple of float
        Resolution of the stamps of a and of b in seconds, as the stamps show it.
    """

    x: Numbers
    y: Numbers
    first: NDArray[np.int64]
    units: tuple[float, float]

    def part(self, chosen: Flags) -> Anchors:
        """Return some of the anchors."""
        return Anchors(self.x[chosen], self.y[chosen], self.first[chosen], self.units)


@dataclass(frozen=True)
class Estimate:
    """What is known of one pair.

    Attributes
    ----------
    kind : str
        ``same moment``, ``two-way``, ``one-way``, ``step``, ``mixed`` or ``few``.
    x, offset, low, high : float
        Seconds: place, offset there, interval; infinite where there is no bound, nan where there is no offset.
    slope, slope_half : float
        Seconds a second, and half its interval; infinite where it was not fitted.
    levels : array
        Anchors used, moved along the slope to `x`.
    outliers : int
        Anchors set aside.
    spread : float
        Standard deviation of `levels`.
    notes : tuple of str
        What the interval rests on, or why there is none.
    """

    kind: str
    x: float
    offset: float
    low: float
    high: float
    slope: float
    slope_half: float
    levels: Numbers
    outliers: int
    spread: float
    notes: tuple[str, ...] = ()


def estimate(anchors: Anchors, confidence: float) -> Estimate:
    """Return the offset of one pair by the method that its anchors allow.

    Notes
    -----
    Anchors whose order is not known are two looks at one moment: their differences scatter about the offset. Where
    the order is known, each is a bound. Three of the former are preferred to any number of the latter.
    """
    free = anchors.first == 0
    if free.sum() >= 3 or free.all():
        return _same_moment(anchors.part(free), confidence)
    bounds = anchors.part(~free)
    return _two_way(bounds, confidence) if len(set(bounds.first)) == 2 else _one_way(bounds, confidence)


def _same_moment(anchors: Anchors, confidence: float) -> Estimate:
    x, y = anchors.x, anchors.y
    if len(x) < 3:
        return _few(y, f"{len(x)} anchor{'s' * (len(x) > 1)} only: no interval")
    coarse = min(anchors.units)  # of the differences, where both clocks' stamps are
    if (jump := step(x, y, coarse)) is not None:
        return _stepped(anchors, *jump)
    line = fit(x, y, 1.5 * coarse)  # wide: whole units apart are no outliers, and weigh nearly the same
    if line.freedom < 1:
        return _few(y, f"only {int(line.kept.sum())} of {len(y)} anchors agree")
    rest = line.residuals[line.kept]
    spread = float(np.sqrt(rest @ rest / line.freedom))
    found = Estimate("same moment", line.middle, line.height, -np.inf, np.inf, line.slope,
                     _quantile(line, confidence) * line.slope_error, line.height + rest, int((~line.kept).sum()),
                     spread)  # fmt: skip
    if (gap := _clusters(line.residuals, coarse)) is not None:
        note = "two clusters of offsets, mixed in time: delays in both directions, or two clocks in one source"
        return replace(found, kind="mixed", offset=line.height + (gap[0] + gap[1]) / 2, low=line.height + gap[0],
                       high=line.height + gap[1], slope_half=np.inf, notes=(note,))  # fmt: skip
    half, inner = (
        max(_quantile(line, level) * line.height_error, _all_equal(len(rest), coarse, level), _ROUNDING)
        for level in (confidence, 2 * confidence - 1)  # both ends, and one end of two that are far apart
    )
    found = replace(found, low=line.height - half, high=line.height + half)
    if spread < max(units := _effective(found, anchors.units)):
        return _of_stamps(found, inner, *units)  # the scatter is that of the stamps
    return _to_the_edge(found, inner)


def _quantile(line: Line, confidence: float) -> float:
    """Return Student's quantile, a little larger as the scale of the weights is uncertain too."""
    from scipy import stats

    return float(stats.t.ppf((1 + confidence) / 2, line.freedom)) * (1.05 + 0.5 / len(line.residuals))


def _all_equal(count: int, unit: float, confidence: float) -> float:
    """Return how far the offset may be from whole units when `count` differences all are that many units."""
    return unit * (1 - float(((1 - confidence) / 2) ** (1 / count)))


def _few(y: Numbers, note: str) -> Estimate:
    middle = float(np.median(y))
    return Estimate("few", 0.0, middle, -np.inf, np.inf, 0.0, np.inf, y, 0, np.nan, (note,))


def _stepped(anchors: Anchors, place: int, size: float) -> Estimate:
    """Return no offset, but the step and the offsets of both sides."""
    sides = [float(np.median(part)) for part in (anchors.y[:place], anchors.y[place:])]
    rest = np.concatenate([anchors.y[:place] - sides[0], anchors.y[place:] - sides[1]])
    return Estimate("step", float(anchors.x[place - 1] + anchors.x[place]) / 2, np.nan, -np.inf, np.inf, 0.0, np.inf,
                    np.array([*sides, size]), 0, float(np.median(np.abs(rest)) * 1.4826))  # fmt: skip


def _clusters(residuals: Numbers, unit: float) -> tuple[float, float] | None:
    """Return the middles of two clusters of residuals if there are such, each with a fifth of all."""
    ordered = np.sort(residuals)
    least = max(3, -(-len(ordered) // 5))
    if len(ordered) < 8:
        return None
    gaps = np.diff(ordered)[least - 1 : len(ordered) - least]
    place = int(np.argmax(gaps)) + least
    lower, upper = ordered[:place], ordered[place:]
    wide = max(float(np.ptp(lower)), float(np.ptp(upper)))
    if gaps[place - least] <= max(1.5 * wide, 2.5 * unit, _ROUNDING):
        return None
    return float(np.median(lower)), float(np.median(upper))


def _to_the_edge(found: Estimate, inner: float) -> Estimate:
    """Return the interval stretched to the edge of noise that may be a delay on one side only.

    Under one-sided delay the offset is the edge of the differences, and not their middle. Few anchors do not show
    the shape of the noise: then either side may be the edge. Of many, it must be the nearer side, and nearer than
    symmetric noise has it. What is beyond the quickest record shrinks with the number of records.

    Notes
    -----
    The numbers are tuned on simulated noise (tests/bench/clocks.py) so that the interval holds exponential, half-normal
    and lognormal delays as well, within four times the width that known noise would allow.
    """
    rest, count, spread = found.levels - found.offset, len(found.levels), found.spread
    below, above = -float(rest.min()), float(rest.max())
    ends = []
    for near, far in ((below, above), (above, below)):
        edge = _ROUNDING < near < min((1.6 + 7 / count) * spread, (0.7 + 5 / count) * far)
        reach = max(near, min(near * (1 + 20 / count), (1.55 + 6.5 / count) * spread))
        ends.append(reach if edge and reach > found.high - found.offset else 0.0)
    if not any(ends):
        return found
    low, high = (found.offset - max(ends[0], inner), found.offset + max(ends[1], inner))
    note = "the scatter may be delay to one side: the interval reaches to its edge"
    return replace(found, low=low, high=high, notes=(*found.notes, note))


def _effective(found: Estimate, units: tuple[float, float]) -> tuple[float, float]:
    """Return the units that stamps were cut to; 0 where the moments were whole by themselves.

    Cutting makes a spread of 0.29 units or more; where it is clearly less, no stamp was cut.
    """
    least = 0.29 * (1 - 1.3 / np.sqrt(len(found.levels)))
    a, b = (unit if found.spread >= least * unit else 0.0 for unit in units)
    return a, b


def _of_stamps(found: Estimate, inner: float, a: float, b: float) -> Estimate:
    """Return the interval widened by what coarse stamps may hide: how they were cut, or delay on one side.

    When one clock's stamps are coarser, cutting them shifts the offset by half of a unit against rounding them. When
    both are as coarse, their scatter has a known size; what is more may be delay, and of many differences the tilt
    says to which side.
    """
    rest, count, shift = found.levels - found.offset, len(found.levels), (a - b) / 2
    if shift:
        low, high = min(found.low, found.offset + shift - inner), max(found.high, found.offset + shift + inner)
        if abs(shift) > inner:  # the error of either end counts for one of the two only
            low, high = found.offset + min(shift, 0.0) - inner, found.offset + max(shift, 0.0) + inner
        note = "one clock's stamps are coarser: the interval holds stamps that are cut and stamps that are rounded"
        return replace(found, offset=found.offset + shift, low=low, high=high, notes=(*found.notes, note))
    tilt, even = float(np.mean(rest**3)) / found.spread**3, max(0.0, 25 / count - 0.4)
    sides = (tilt >= -even, tilt <= even)
    more = found.spread**2 * (1 + (2 / count) ** 0.5) - (a**2 + b**2) / 12
    reach = min((1.55 + 6.5 / count) * max(more, 0.0) ** 0.5, (3.3 if all(sides) else 6.6) * inner)
    if reach <= found.high - found.offset:
        return found
    low, high = (found.offset + sign * (reach if side else inner) for sign, side in zip((-1, 1), sides, strict=True))
    note = "the scatter may be delay to one side: the interval holds what the stamps do not explain"
    return replace(found, low=low, high=high, notes=(*found.notes, note))


def _one_way(anchors: Anchors, confidence: float) -> Estimate:
    """Return the one bound that anchors of one direction give: the offset if the quickest had no delay."""
    sign = int(anchors.first[0])  # 1: b comes first, each difference is the offset plus a delay
    line = fit(anchors.x, anchors.y, max(anchors.units) / 2)
    sloped = np.isfinite(line.slope_error) and line.freedom > 0
    drift = _quantile(line, confidence) * line.slope_error if sloped else LARGEST_DRIFT
    # Long delays stay in: only those on the impossible side can be wrong matches.
    use = line.kept | (sign * line.residuals > 0)
    levels = line.height + line.residuals[use]
    reach = levels + sign * drift * np.abs(anchors.x[use] - line.middle)
    bound = sign * float(np.min(sign * reach)) + sign * max(anchors.units)
    return Estimate("one-way", line.middle, bound, -np.inf if sign > 0 else bound, bound if sign > 0 else np.inf,
                    line.slope, drift if sloped else np.inf, levels, int((~use).sum()),
                    float(1.4826 * np.median(np.abs(levels - np.median(levels)))))  # fmt: skip


def _two_way(anchors: Anchors, confidence: float) -> Estimate:
    """Return the bounds that delays in both directions give (Cristian), and their middle.

    Where noise of the stamps makes the bounds contradict each other, the interval reaches from the typical
    difference of one direction to that of the other.
    """
    x, y, first = anchors.x, anchors.y, anchors.first
    centres = {way: float(np.median(y[first == way])) for way in (-1, 1)}
    half_way = max((centres[1] - centres[-1]) / 2, 0.0)
    line = fit(x, y - first * half_way, max(anchors.units) / 2)
    impossible = ~line.kept & (first * line.residuals < 0)
    kept = anchors.part(~impossible)
    slack = max(anchors.units) if anchors.units[0] != anchors.units[1] or line.kept.all() else min(anchors.units)
    both = len(set(kept.first)) == 2
    bounds = _bounds(kept, slack) if both else None
    outliers, middle = int(impossible.sum()), float(kept.x.mean())
    if bounds is not None:
        low, high, slopes = bounds
        slope, slope_half = (slopes[0] + slopes[1]) / 2, (slopes[1] - slopes[0]) / 2
        offset, notes = (low + high) / 2, list[str]()
    else:
        sides = [_same_moment(anchors.part(first == way), confidence) for way in (-1, 1)]
        if any(not np.isfinite(side.low) for side in sides):
            return _few(y, "the two directions contradict each other")
        middle, slope, slope_half = line.middle, line.slope, _quantile(line, confidence) * line.slope_error
        moved = [(side.low + slope * (middle - side.x), side.high + slope * (middle - side.x)) for side in sides]
        low, high = min(one[0] for one in moved), max(one[1] for one in moved)
        offset = (low + high) / 2
        notes = ["the bounds of the two directions contradict each other: the interval holds both typical values"]
    levels = kept.y - slope * (kept.x - middle) - kept.first * half_way
    return Estimate("two-way", middle, offset, low, high, slope, slope_half, levels, outliers,
                    float(np.std(levels)), tuple(notes))  # fmt: skip


def _sharpest(anchors: Anchors) -> Anchors:
    """Return of very many anchors the sharpest of each way in each stretch of time: the others hardly bound more."""
    if len(anchors.x) <= 2 * _STRETCHES:
        return anchors
    stretch = np.minimum((np.arange(len(anchors.x)) * _STRETCHES) // len(anchors.x), _STRETCHES - 1)
    order = np.lexsort((anchors.first * anchors.y, anchors.first, stretch))
    keys = np.column_stack([stretch, anchors.first])[order]
    fresh = np.concatenate([[True], (keys[1:] != keys[:-1]).any(axis=1)])
    chosen = np.zeros(len(order), dtype=bool)
    chosen[order[fresh]] = True
    return anchors.part(chosen)


def _bounds(anchors: Anchors, slack: float) -> tuple[float, float, tuple[float, float]] | None:
    """Return the lowest and highest offset at the mean of x, and slope, of lines that no anchor contradicts."""
    from scipy.optimize import linprog

    anchors, middle = _sharpest(anchors), anchors.x.mean()
    x = anchors.x - middle
    across = float(np.abs(x).max()) or 1.0
    rows = anchors.first[:, None] * np.column_stack([np.ones_like(x), x / across])
    limits = anchors.first * anchors.y + slack + _ROUNDING
    ends = []
    for goal in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        reach = (-LARGEST_DRIFT * across, LARGEST_DRIFT * across)
        solved = linprog(goal, A_ub=rows, b_ub=limits, bounds=[(None, None), reach])
        if solved.status != 0:
            return None
        ends.append(float(solved.x[0 if goal[0] else 1]))
    return ends[0], ends[1], (ends[2] / across, ends[3] / across)

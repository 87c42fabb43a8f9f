"""A robust line through differences of two clocks: its height at the middle, its slope, and what lies off it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Line", "Numbers", "fit", "step"]

Numbers = NDArray[np.float64]

_TUNING = 5.0  # of the bisquare weights: 96 % of the efficiency of least squares under Gaussian noise
_FEW = 6  # under this many points nothing can be told from an outlier: plain least squares
_START = 400  # points that the Theil-Sen start looks at: it costs the square of them
_LEAST = 1e-9  # seconds: the resolution of all times here
_BLOCKS = 500  # of points, when there are more
_SPLITS = 200  # places at which a step is looked for


@dataclass(frozen=True)
class Line:
    """A fitted line, in seconds.

    Attributes
    ----------
    height : float
        At x = `middle`.
    slope : float
        Seconds a second; 0 where it was not fitted.
    middle : float
        Weighted mean of x: here height and slope are independent.
    height_error, slope_error : float
        Standard errors.
    freedom : int
        Degrees of freedom of both.
    residuals : array
        Of all points.
    kept : array of bool
        Points with any weight; the others are outliers.
    """

    height: float
    slope: float
    middle: float
    height_error: float
    slope_error: float
    freedom: int
    residuals: Numbers
    kept: NDArray[np.bool_]


def fit(x: Numbers, y: Numbers, floor: float = 0.0) -> Line:
    """Return the robust line through points.

    Parameters
    ----------
    x, y : array
        Seconds.
    floor : float, default 0
        Smallest scale of the noise, in seconds: what the stamps' resolution makes.

    Returns
    -------
    Line
        A constant instead, when there are under five points, or all at one x.

    Notes
    -----
    The start is Theil's and Sen's line [1]_ [2]_, which stands up to 29 % of outliers; then bisquare weights at the
    scale of the start's residuals (an MM-estimate [3]_). Under six points it is least squares: among so few,
    nothing can be told from an outlier.

    References
    ----------
    .. [1] Theil, Proc. Kon. Ned. Akad. Wetensch. A 53, 1950.
    .. [2] Sen, J. Am. Stat. Assoc. 63(324), 1968.
    .. [3] Yohai, Ann. Stat. 15(2), 1987.

    Examples
    --------
    >>> found = fit(np.arange(9.0), np.array([0, 2, 4, 6, 99, 10, 12, 14, 16.0]))
    >>> round(found.slope, 6), int((~found.kept).sum())
    (2.0, 1)
    """
    sloped = len(x) >= 5 and float(np.ptp(x)) > 0
    design = np.column_stack([np.ones_like(x), x - x.mean()]) if sloped else np.ones((len(x), 1))
    if len(x) < _FEW:
        return _weighted(x, y, design, np.ones_like(y), np.inf)
    slope = _theil_sen(x, y) if sloped else 0.0
    start = y - slope * x
    residuals = start - np.median(start)
    scale = max(_scale(residuals, design.shape[1]), floor, _LEAST)
    for _ in range(50):
        weights = np.clip(1 - (residuals / (_TUNING * scale)) ** 2, 0, None) ** 2
        root = np.sqrt(weights)
        found = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
        after = y - design @ found
        done = float(np.max(np.abs(after - residuals))) <= 1e-7 * scale
        residuals = after
        if done:
            break
    return _weighted(x, y, design, np.clip(1 - (residuals / (_TUNING * scale)) ** 2, 0, None) ** 2, scale)


def _weighted(x: Numbers, y: Numbers, design: Numbers, weights: Numbers, scale: float) -> Line:
    """Return the line of fixed weights, with the sandwich errors of an M-estimate (Huber's third)."""
    kept, unknowns = weights > 0, design.shape[1]
    middle = float(np.average(x, weights=weights))
    if unknowns > 1:
        design = np.column_stack([np.ones_like(x), x - middle])
    root = np.sqrt(weights)
    found = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
    residuals = y - design @ found
    freedom = int(kept.sum()) - unknowns
    if freedom < 1:
        return Line(float(found[0]), 0.0, middle, np.inf, np.inf, 0, residuals, kept)
    part = (residuals / (_TUNING * scale)) ** 2 if np.isfinite(scale) else np.zeros_like(residuals)
    bend = np.where(kept, (1 - part) * (1 - 5 * part), 0.0)  # derivative of the bisquare influence
    variance = float(np.sum((weights * residuals) ** 2)) / freedom / (float(bend[kept].mean()) ** 2)
    spread = variance * np.linalg.inv(design[kept].T @ design[kept])
    errors = np.sqrt(np.diag(spread))
    slope, slope_error = (float(found[1]), float(errors[1])) if unknowns > 1 else (0.0, np.inf)
    return Line(float(found[0]), slope, middle, float(errors[0]), slope_error, freedom, residuals, kept)


def _theil_sen(x: Numbers, y: Numbers) -> float:
    """Return the median slope of all pairs of points; of evenly chosen points where there are many."""
    chosen = np.argsort(x, kind="stable")[np.linspace(0, len(x) - 1, min(len(x), _START)).astype(int)]
    across, up = np.subtract.outer(x[chosen], x[chosen]), np.subtract.outer(y[chosen], y[chosen])
    use = across > 0
    return float(np.median(up[use] / across[use]))


def _scale(residuals: Numbers, unknowns: int) -> float:
    """Return a robust standard deviation: median of the residuals that the unknowns did not make zero."""
    sizes = np.sort(np.abs(residuals))[unknowns:]
    return 1.4826 * float(np.median(sizes))


def step(x: Numbers, y: Numbers, floor: float = 0.0) -> tuple[int, float] | None:
    """Return the place and size of a step in a line, or None where there is no clear one.

    Parameters
    ----------
    x, y : array
        Seconds; x sorted.
    floor : float, default 0
        Smallest scale of the noise.

    Returns
    -------
    tuple of int and float, or None
        Number of points before the step, and its size in seconds. A step is clear when it is more than 6 + 60 / n times
        as large as the scatter about it, with at least four points and a tenth of all on both sides.

    Notes
    -----
    Each split of the points is tried by least squares of ``height + slope x + step`` on running medians of three,
    which single outliers do not move. Of very many points, medians of blocks are taken first.

    Examples
    --------
    >>> step(np.arange(10.0), np.array([0, 0, 0, 0, 0, 9, 9, 9, 9, 9.0]))
    (5, 9.0)
    """
    if (block := len(x) // _BLOCKS) > 1:
        whole = len(x) // block * block
        blocks = [np.median(values[:whole].reshape(-1, block), axis=1) for values in (x, y)]
        found = step(blocks[0], blocks[1], floor)
        return None if found is None else (found[0] * block, found[1])
    least = max(4, len(x) // 10)
    if len(x) < 2 * least:
        return None
    padded = np.concatenate([y[:1], y, y[-1:]])
    smooth = np.median(np.column_stack([padded[:-2], padded[1:-1], padded[2:]]), axis=1)
    centred = (x - x.mean()) / (float(np.ptp(x)) or 1.0)
    places = np.unique(np.linspace(least, len(x) - least, _SPLITS).astype(int))
    base = np.column_stack([np.ones_like(x), centred])
    best, best_rest = places[0], np.inf
    for place in places:
        design = np.column_stack([base, np.arange(len(x)) >= place])
        rest = smooth - design @ np.linalg.lstsq(design, smooth, rcond=None)[0]
        if (total := float(rest @ rest)) < best_rest:
            best, best_rest = place, total
    after = np.arange(len(x)) >= best
    slope = np.median([_theil_sen(x[side], y[side]) for side in (after, ~after)])
    level = y - slope * x
    size = float(np.median(level[after]) - np.median(level[~after]))
    rest = level - np.where(after, np.median(level[after]), np.median(level[~after]))
    clear = abs(size) > (6 + 60 / len(x)) * max(_scale(rest, 3), floor)
    return (int(best), size) if clear and abs(size) > 1e-6 else None

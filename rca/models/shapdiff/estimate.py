"""SHAP values of a function that is only called: exact when it is linear, else from random orders of the features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rca.progress import track

__all__ = ["affine", "permutation"]

CELLS = 4_000_000  # numbers in one call of the function, about 32 MB


def affine(
    function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, background: np.ndarray
) -> tuple[np.ndarray, float] | None:
    """Return exact values and base value of a linear function, or None if it is not linear on these rows.

    The slope of each feature is measured with one call, then the function is compared with the plane on all rows
    and on the background.
    """
    if np.isnan(rows).any() or np.isnan(background).any():
        return None
    centre = background.mean(axis=0)
    step = np.where(background.std(axis=0) > 0, background.std(axis=0), 1.0)
    ends = function(np.vstack([centre, centre + np.diag(step)]))
    slope = (ends[1:] - ends[0]) / step
    for some in (rows, background):
        own = function(some)
        plane = ends[0] + (some - centre) @ slope
        if not np.allclose(own, plane, rtol=0, atol=1e-9 * max(1.0, float(np.abs(own).max()))):
            return None
    return (rows - centre) * slope, float(ends[0])


def permutation(
    function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, background: np.ndarray, *, progress: bool = False
) -> tuple[np.ndarray, float, np.ndarray]:
    """Return estimated values, the base value and the standard error of each value.

    From each background row features are switched to the explained row one by one, in a random order and in its
    reverse; a feature's contribution is the mean change when it is switched. The changes of one walk telescope, so
    the values plus the base value are the function's output whatever the orders were.
    """
    count, width = rows.shape
    rng = np.random.default_rng(0)
    total, squares = np.zeros_like(rows), np.zeros_like(rows)
    chunk = max(1, CELLS // (2 * width * (width + 1)))
    for known in track(background, "background rows", total=len(background), progress=progress):
        order = rng.permutation(width)
        place = np.empty(width, dtype=int)
        place[order] = np.arange(width)
        # Row k of a walk has the first k features of its order from the explained row.
        steps = np.arange(width + 1)[:, None]
        masks = np.concatenate([steps > place, steps > width - 1 - place])
        for start in range(0, count, chunk):
            some = rows[start : start + chunk]
            mixed = np.where(masks[:, None, :], some[None], known)
            result = function(mixed.reshape(-1, width)).reshape(2, width + 1, len(some))
            change = np.diff(result, axis=1)
            value = (change[0][place] + change[1][width - 1 - place]).T / 2
            total[start : start + chunk] += value
            squares[start : start + chunk] += value**2
    number = len(background)
    mean = total / number
    spread = np.sqrt(np.maximum(squares / number - mean**2, 0.0) / max(number - 1, 1))
    return mean, float(function(background).mean()), spread

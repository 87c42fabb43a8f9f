"""SHAP values of a function that is only called: exact when it is linear, else from random orders of the features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rca.progress import track

__all__ = ["affine", "permutation"]

CELLS = 4_000_000  # numbers in one call of the function, about 32 MB


def affine(
    function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, background: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return slopes, centre and base values of a linear function, or None if it is not linear on these rows.

    Contributions are the rows' distance from the centre times the slopes. The slope of each feature is measured with
    one call, then the function is compared with the plane on all rows and on the background.

    Returns
    -------
    slope : ndarray, shape (n_features, n_outputs)
    centre : ndarray, shape (n_features,)
    base : ndarray, shape (n_outputs,)
    """
    if np.isnan(rows).any() or np.isnan(background).any():
        return None
    centre = background.mean(axis=0)
    spread = background.std(axis=0)
    step = np.where(spread > 0, spread, 1.0)
    base, width = function(centre[None, :])[0], len(centre)
    slope = np.empty((width, len(base)))
    chunk = max(1, CELLS // width)
    for start in range(0, width, chunk):
        some = np.arange(start, min(width, start + chunk))
        ends = np.repeat(centre[None, :], len(some), axis=0)
        ends[np.arange(len(some)), some] += step[some]
        slope[some] = (function(ends) - base) / step[some, None]
    for table in (rows, background):
        own = function(table)
        plane = base + (table - centre) @ slope
        if not np.allclose(own, plane, rtol=0, atol=1e-9 * max(1.0, float(np.abs(own).max()))):
            return None
    return slope, centre, base


def permutation(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    rows: np.ndarray,
    background: np.ndarray,
    *,
    progress: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return estimated values, base values and the standard error of each value.

    From each background row features are switched to the explained row one by one, in a random order and in its
    reverse; a feature's contribution is the mean change when it is switched. The changes of one walk telescope, so
    the values plus the base value are the function's output whatever the orders were.

    Parameters
    ----------
    function : callable
        From rows, shape (n, n_features), and the number of the row that is explained with each, shape (n,), to
        outputs, shape (n, n_outputs).
    rows, background : ndarray of float64, shape (n_rows, n_features) and (n_background, n_features)
        Rows to explain, and rows that stand for "feature not known".
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    values : ndarray, shape (n_rows, n_features, n_outputs)
    base : ndarray, shape (n_rows, n_outputs)
        Mean output where no feature is known; other for each row only if `function` looks at its number.
    error : ndarray, shape (n_rows, n_features, n_outputs)
    """
    count, width = rows.shape
    rng = np.random.default_rng(0)
    outputs = function(rows[:1], np.zeros(1, dtype=int)).shape[1]
    total, squares = np.zeros((count, width, outputs)), np.zeros((count, width, outputs))
    base = np.zeros((count, outputs))
    chunk = max(1, CELLS // (2 * width * (width + 1)))
    for known in track(background, "background rows", total=len(background), progress=progress):
        order = rng.permutation(width)
        place = np.empty(width, dtype=int)
        place[order] = np.arange(width)
        # Row k of a walk has the first k features of its order from the explained row.
        steps = np.arange(width + 1)[:, None]
        masks = np.concatenate([steps > place, steps > width - 1 - place])
        for start in range(0, count, chunk):
            part = slice(start, start + chunk)
            some, numbers = rows[part], np.arange(count)[part]
            mixed = np.where(masks[:, None, :], some[None], known)
            result = function(mixed.reshape(-1, width), np.tile(numbers, len(masks)))
            result = result.reshape(2, width + 1, len(some), outputs)
            change = np.diff(result, axis=1)
            value = (change[0][place] + change[1][width - 1 - place]).transpose(1, 0, 2) / 2
            total[part] += value
            squares[part] += value**2
            base[part] += result[0, 0]
    number = len(background)
    mean = total / number
    spread = np.sqrt(np.maximum(squares / number - mean**2, 0.0) / max(number - 1, 1))
    return mean, base / number, spread

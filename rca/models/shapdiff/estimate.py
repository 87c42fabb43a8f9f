"""SHAP values of a function that is only called: of a linear one, of one of few features, else from random orders."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rca.progress import track

__all__ = ["affine", "enumeration", "permutation"]

CELLS = 4_000_000  # numbers in one call of the function, about 32 MB
ORDERS = 60  # at least so many random orders in all, so that their spread is known


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


def enumeration(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    rows: np.ndarray,
    background: np.ndarray,
    *,
    progress: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return Shapley values by their definition, from the outputs with every set of features known.

    Parameters
    ----------
    function, rows, background, progress
        As for `permutation`.

    Returns
    -------
    values : ndarray, shape (n_rows, n_features, n_outputs)
    base : ndarray, shape (n_rows, n_outputs)

    Notes
    -----
    ``2 ** n_features`` outputs of each row with each background row.

    Examples
    --------
    >>> product = lambda table, numbers: table[:, :1] * table[:, 1:]
    >>> values, base = enumeration(product, np.array([[2.0, 3.0]]), np.array([[0.0, 1.0]]))
    >>> values.ravel().tolist(), base.item()
    ([4.0, 2.0], 0.0)
    """
    count, width = rows.shape
    masks = (np.arange(2**width)[:, None] >> np.arange(width) & 1).astype(bool)
    # What a set that has the feature adds to its value, and one without it takes away.
    share = np.array([1 / (width * math.comb(width - 1, size)) for size in range(width)])
    size = masks.sum(axis=1)[:, None]
    weight = np.where(masks, share[np.maximum(size - 1, 0)], -share[np.minimum(size, width - 1)])
    parts = []
    for start in range(0, count, chunk := max(1, CELLS // masks.size)):
        some, numbers = rows[start : start + chunk], np.arange(count)[start : start + chunk]
        total: np.ndarray | float = 0.0
        for known in track(background, "background rows", total=len(background), progress=progress):
            mixed = np.where(masks[:, None, :], some[None], known)
            total = total + function(mixed.reshape(-1, width), np.tile(numbers, len(masks)))
        worth = np.asarray(total).reshape(len(masks), len(some), -1) / len(background)
        parts.append((np.tensordot(weight, worth, axes=(0, 0)).transpose(1, 0, 2), worth[0]))
    values, base = (np.concatenate(part) for part in zip(*parts, strict=True))
    return values, base


def permutation(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    rows: np.ndarray,
    background: np.ndarray,
    *,
    progress: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return estimated values, base values and the standard error of each value.

    From each background row features are switched to the explained row one by one, in random orders and their
    reverses; a feature's contribution is the mean change when it is switched. The changes of one walk telescope, so
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
        What the orders leave uncertain, from their spread within each background row; all background rows are used,
        so they leave nothing.

    Notes
    -----
    Two orders a background row, more where there are fewer than 30, so that at least 60 walks there and back tell the
    error. Of a feature that matters in rare orders only, both value and error may be found too small.
    """
    count, width = rows.shape
    rng = np.random.default_rng(0)
    orders = max(2, math.ceil(ORDERS / len(background)))
    outputs = function(rows[:1], np.zeros(1, dtype=int)).shape[1]
    total, squares = np.zeros((count, width, outputs)), np.zeros((count, width, outputs))
    base = np.zeros((count, outputs))
    chunk = max(1, CELLS // (2 * orders * width * (width + 1)))
    steps, number = np.arange(width + 1)[:, None, None], np.arange(orders)
    for known in track(background, "background rows", total=len(background), progress=progress):
        place = rng.permuted(np.tile(np.arange(width), (orders, 1)), axis=1)
        # Row k of a walk has the first k features of its order from the explained row; walks there, then back.
        masks = np.concatenate([steps > place, steps > width - 1 - place], axis=1)
        for start in range(0, count, chunk):
            part = slice(start, start + chunk)
            some, numbers = rows[part], np.arange(count)[part]
            mixed = np.where(masks[:, :, None, :], some, known)
            result = function(mixed.reshape(-1, width), np.tile(numbers, masks.shape[0] * masks.shape[1]))
            result = result.reshape(width + 1, 2 * orders, len(some), outputs)
            change = np.diff(result, axis=0)
            value = (change[place.T, number] + change[width - 1 - place.T, orders + number]) / 2
            total[part] += value.mean(axis=1).transpose(1, 0, 2)
            squares[part] += value.var(axis=1, ddof=1).transpose(1, 0, 2) / orders
            base[part] += result[0, 0]
    return total / len(background), base / len(background), np.sqrt(squares) / len(background)

"""Smooth functions of (row, background row) as short sums of a function of the row times one of the background row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["cross"]

TOLERANCE = 1e-10
SAMPLE = 160  # rows on which the background rows are compared at first
SLICE = 4_000_000  # numbers at a time


def cross(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    rows: np.ndarray,
    background: np.ndarray,
    *,
    tolerance: float = TOLERANCE,
) -> tuple[np.ndarray, np.ndarray]:
    """Return factors and weights with ``function(x, b) = sum_k factors[x, k] * weights[b, k]``.

    A few background rows are chosen such that what the function says of any other one is a fixed mixture of what it
    says of these (an interpolative decomposition [1]_). Their number is raised until rows that took no part in the
    choice are met as well.

    Parameters
    ----------
    function : callable
        From points of shape (n, d) and (m, d) to values of shape (n, m, n_targets).
    rows, background : ndarray of float64, shape (n_rows, d) and (n_background, d)
        Points.
    tolerance : float, default 1e-10
        Largest residual, of the largest value.

    Returns
    -------
    factors : ndarray of float64, shape (n_rows, n_weights, n_targets)
        The function itself at the chosen background rows.
    weights : ndarray of float64, shape (n_background, n_weights)
        The mixtures.

    Notes
    -----
    The largest residual is measured on at least 160 other rows against all background rows. With
    all background rows chosen the sum is exact, so that an answer is always found.

    References
    ----------
    .. [1] Cheng, Gimbutas, Martinsson, Rokhlin, On the compression of low rank matrices, SIAM J. Sci. Comput. 26, 2005.

    Examples
    --------
    >>> points = np.linspace(0, 1, 50)[:, None]
    >>> factors, weights = cross(lambda x, b: np.exp(x - b[:, 0])[:, :, None], points, points)
    >>> weights.shape
    (50, 1)
    """
    some, count, sharp = np.unique(background, axis=0), SAMPLE, 1e-1
    order = _spread(rows)
    while True:
        used, checked = order[:count], order[count : 2 * count]
        chosen = _choose(function(rows[used], some[_spread(some)[: 4 * SAMPLE]]), tolerance * sharp)
        points = some[_spread(some)[: 4 * SAMPLE]][chosen]
        exact = len(points) == len(some)
        weights, residual, largest = _mixtures(function, rows[used], rows[checked], points, background, exact)
        if exact or residual <= tolerance * largest:
            break
        if len(some) > 4 * SAMPLE and count >= 8 * SAMPLE:
            points, exact = some, True
            weights, _, _ = _mixtures(function, rows[used], rows[checked], points, background, exact)
            break
        count, sharp = 2 * count, max(sharp / 10, 1e-5)
    step = max(1, SLICE // (len(points) * 8))
    parts = [function(rows[i : i + step], points) for i in range(0, len(rows), step)]
    return np.concatenate(parts), weights


def _spread(points: np.ndarray) -> np.ndarray:
    """Return an order of the points in which those at the ends come first and the others at random."""
    ends = np.unique(np.concatenate([points.argmin(axis=0), points.argmax(axis=0), [points.sum(axis=1).argmax()]]))
    rest = np.setdiff1d(np.arange(len(points)), ends)
    return np.concatenate([ends, np.random.default_rng(0).permutation(rest)])


def _choose(values: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the background rows that span the others up to `tolerance`."""
    from scipy.linalg import qr

    matrix = values.transpose(0, 2, 1).reshape(-1, values.shape[1])
    triangle, order = qr(matrix, mode="r", pivoting=True)
    size = np.abs(np.diag(triangle))
    rank = int((size > tolerance * size[0]).sum()) if size[0] > 0 else 1
    return np.asarray(order[:rank])


def _mixtures(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    used: np.ndarray, checked: np.ndarray, points: np.ndarray, background: np.ndarray, exact: bool,
) -> tuple[np.ndarray, float, float]:  # fmt: skip
    """Return weights of all background rows, the largest residual on rows not used, and the largest value."""
    from scipy.linalg import qr, solve_triangular

    if exact:
        match = (background[:, None, :] == points[None, :, :]).all(axis=2)
        return match.astype(np.float64), 0.0, 0.0

    def flat(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        values = function(rows, others)
        return np.asarray(values.transpose(0, 2, 1).reshape(-1, values.shape[1]))

    basis = flat(used, points)
    ortho, triangle, order = qr(basis, mode="economic", pivoting=True)
    ahead = flat(checked, points) if len(checked) else basis[:0]
    weights = np.empty((len(background), len(points)))
    residual, largest = 0.0, float(np.abs(basis).max(initial=0.0))
    step = max(1, SLICE // max(1, len(basis)))
    for start in range(0, len(background), step):
        part = background[start : start + step]
        wanted = flat(used, part)
        mixed = solve_triangular(triangle, ortho.T @ wanted)
        weights[start : start + step, order] = mixed.T
        residual = max(residual, float(np.abs(basis[:, order] @ mixed - wanted).max(initial=0.0)))
        if len(checked):
            wanted = flat(checked, part)
            residual = max(residual, float(np.abs(ahead[:, order] @ mixed - wanted).max(initial=0.0)))
    return weights, residual, largest

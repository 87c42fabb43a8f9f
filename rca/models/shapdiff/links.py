"""SHAP values of probabilities and losses of a tree model from those of its margins.

Against one background row the value of a feature for ``g(margin)`` is its value for the margin times the slope of
``g`` between the two margins, so that the values add up to the change of ``g`` (that is also shap's rule). For several
margins the slope is the gradient averaged along the straight line between them. The mean over the background is a few
weighted runs of the kernel, because the slope is smooth: see `rca.models.shapdiff.cross`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rca.models.shapdiff.cross import cross
from rca.models.shapdiff.kernel import attribute, only
from rca.models.shapdiff.leaves.table import Leaves
from rca.models.shapdiff.scores import LEAST

__all__ = ["loss", "probability"]

_Slope = Callable[[np.ndarray, np.ndarray], np.ndarray]


def probability(
    leaves: Leaves, rows: np.ndarray, background: np.ndarray, margins: np.ndarray, others: np.ndarray, **options: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return interventional values of the model's prediction behind its link: probabilities, or the mean of a log link.

    Parameters
    ----------
    leaves : Leaves
        The model.
    rows, background : ndarray of float64, shape (n_rows, n_features) and (n_background, n_features)
        Rows as the model tests them.
    margins, others : ndarray of float64, shape (n_rows, n_outputs) and (n_background, n_outputs)
        The model's margins of the two.
    **options
        ``threads`` and ``progress`` of `rca.models.shapdiff.kernel.attribute`.

    Returns
    -------
    values : ndarray of float64, shape (n_rows, n_features, n_outputs)
        Of two classes the second one's.
    base : ndarray of float64, shape (n_outputs,)
        Mean prediction over the background.
    """
    if leaves.link == "identity":
        return attribute(leaves, rows, background=background, **options), others.mean(axis=0)
    if leaves.link == "softmax":
        return _softmax(leaves, rows, background, margins, others, None, options)
    if len(leaves.base) > 1:  # one class against all others, each by itself
        parts = [
            probability(only(leaves, k), rows, background, margins[:, [k]], others[:, [k]], **options)
            for k in range(len(leaves.base))
        ]
        return np.concatenate([values for values, _ in parts], axis=2), np.concatenate([base for _, base in parts])
    scale = _scale(leaves)
    slope, function = (_slope_exp, np.exp) if leaves.link == "log" else (_slope_logistic, _logistic)
    factors, weights = _expand(slope, margins * scale, others * scale)
    values = attribute(leaves, rows, background=background, weights=weights, factors=factors * scale, **options)
    return values, function(others * scale).mean(axis=0)


def loss(
    leaves: Leaves, rows: np.ndarray, background: np.ndarray, margins: np.ndarray, others: np.ndarray,
    y: np.ndarray, *, classes: bool, **options: Any,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return interventional values of each row's loss: log loss of a classifier, squared error of a regression.

    Parameters
    ----------
    leaves : Leaves
        The model.
    rows, background : ndarray of float64, shape (n_rows, n_features) and (n_background, n_features)
        Rows as the model tests them.
    margins, others : ndarray of float64, shape (n_rows, n_outputs) and (n_background, n_outputs)
        The model's margins of the two.
    y : ndarray, shape (n_rows,)
        Truth: the number of the class, from 0, or the target.
    classes : bool
        Whether the model is a classifier.
    **options
        ``threads`` and ``progress`` of `rca.models.shapdiff.kernel.attribute`.

    Returns
    -------
    values : ndarray of float64, shape (n_rows, n_features, 1)
        What each feature adds to the row's loss.
    base : ndarray of float64, shape (n_rows,)
        Mean loss over the background's predictions, each against the row's own truth.
    """
    if not classes:
        return _squared(leaves, rows, background, margins, others, np.asarray(y, dtype=np.float64), options)
    y = np.asarray(y, dtype=np.int64)
    if leaves.link == "identity":
        return _log_of_shares(leaves, rows, background, margins, others, y, options)
    if leaves.link == "softmax":
        values, base = _softmax(leaves, rows, background, margins, others, y, options)
        return values, base
    scale = _scale(leaves)
    f, g = margins * scale, others * scale
    factors, weights = _expand(_slope_softplus, f, g)
    factors, weights = _with_constant(factors, weights, -y.astype(np.float64)[:, None])
    values = attribute(leaves, rows, background=background, weights=weights, factors=factors * scale, **options)
    return values, np.logaddexp(0, g).mean() - y * g.mean()


def _scale(leaves: Leaves) -> float:
    """Return what the margin is multiplied with: the exponential loss has half log-odds."""
    return 2.0 if leaves.link == "exponential" else 1.0


def _expand(slope: _Slope, margins: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return factors and weights, those divided by the number of background rows, of a slope of one margin."""
    factors, weights = cross(lambda a, b: slope(a, b.T)[:, :, None], margins, others)
    return factors, weights / len(others)


def _cut(f: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return factors and weights of the slope of ``-log(max(x, LEAST))``.

    Against a probability of 0 on one side the slope depends on the other side alone: that is one run each. The slope
    between two others is smooth in their logarithms once it is multiplied with the root of both.
    """
    none, never = f[:, 0] < LEAST, g[:, 0] < LEAST
    factors, weights = np.zeros((len(f), 2, 1)), np.zeros((len(g), 2))
    factors[none, 0], weights[~never, 0] = 1.0, _to_zero(g[~never, 0])
    factors[~none, 1, 0], weights[never, 1] = _to_zero(f[~none, 0]), 1.0
    if not none.all() and not never.all():
        some, others = f[~none], g[~never]
        smooth, mixed = cross(lambda a, b: _rooted(a, b.T)[:, :, None], np.log(some), np.log(others), tolerance=1e-12)
        factors = np.concatenate([factors, np.zeros((len(f), smooth.shape[1], 1))], axis=1)
        weights = np.concatenate([weights, np.zeros((len(g), smooth.shape[1]))], axis=1)
        factors[~none, 2:] = smooth / np.sqrt(some)[:, None, :]
        weights[~never, 2:] = mixed / np.sqrt(others)
    return factors, weights / len(g)


def _to_zero(x: np.ndarray) -> np.ndarray:
    """Return the slope of ``-log(max(x, LEAST))`` between `x` and 0."""
    return np.asarray((np.log(LEAST) - np.log(x)) / x)


def _rooted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the slope of -log(x) between two points, given as logarithms, times the root of both."""
    half = (a - b) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-np.where(np.abs(half) < 1e-4, 1 - half**2 / 6, half / np.sinh(half)))


def _with_constant(factors: np.ndarray, weights: np.ndarray, extra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two with one more run over the plain mean, multiplied with `extra`, shape (n_rows, n_targets)."""
    mean = np.full((len(weights), 1), 1.0 / len(weights))
    return np.concatenate([factors, extra[:, None, :]], axis=1), np.concatenate([weights, mean], axis=1)


def _squared(
    leaves: Leaves, rows: np.ndarray, background: np.ndarray, margins: np.ndarray, others: np.ndarray,
    y: np.ndarray, options: dict[str, Any],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return values of (prediction - y)²; for the identity link its slope, a + b - 2 y, is two runs and exact."""
    m = len(others)
    if leaves.link == "identity":
        factors = np.stack([margins - 2 * y[:, None], np.ones_like(margins)], axis=1)
        weights = np.concatenate([np.ones((m, 1)), others], axis=1) / m
        predicted = others[:, 0]
    else:
        # (e^f)² - 2 y e^f
        twice, weights_twice = _expand(_slope_exp, 2 * margins, 2 * others)
        once, weights_once = _expand(_slope_exp, margins, others)
        factors = np.concatenate([2 * twice, -2 * y[:, None, None] * once], axis=1)
        weights = np.concatenate([weights_twice, weights_once], axis=1)
        predicted = np.exp(others[:, 0])
    values = attribute(leaves, rows, background=background, weights=weights, factors=factors, **options)
    return values, (predicted**2).mean() - 2 * y * predicted.mean() + y**2


def _log_of_shares(
    leaves: Leaves, rows: np.ndarray, background: np.ndarray, margins: np.ndarray, others: np.ndarray,
    y: np.ndarray, options: dict[str, Any],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return values of minus the logarithm of the true class's probability, for models that sum probabilities.

    The logarithm is cut at `LEAST`, as in `rca.models.shapdiff.scores.log_loss`.
    """
    values, base = np.empty((len(rows), leaves.n_features, 1)), np.empty(len(rows))
    for label in np.unique(y):
        mine = y == label
        single = margins.shape[1] == 1
        output, sign = (0, 1.0 if label == 1 else -1.0) if single else (int(label), 1.0)
        f, g = margins[mine][:, [output]], others[:, [output]]
        f, g = (f, g) if sign > 0 else (1.0 - f, 1.0 - g)
        factors, weights = _cut(f, g)
        values[mine] = attribute(
            only(leaves, output), rows[mine], background=background, weights=weights, factors=factors * sign, **options
        )
        base[mine] = -np.log(np.clip(g, LEAST, 1.0)).mean()
    return values, base


def _softmax(
    leaves: Leaves, rows: np.ndarray, background: np.ndarray, margins: np.ndarray, others: np.ndarray,
    y: np.ndarray | None, options: dict[str, Any],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return values of the probabilities, or with `y` of the cross entropy."""
    classes = margins.shape[1]
    points, shares = _line(margins, others)
    average = _mean_softmax if y is not None else _mean_jacobian
    factors, weights = cross(lambda a, b: average(a, b, points, shares), margins, others)
    weights /= len(others)
    values = np.zeros((len(rows), leaves.n_features, 1 if y is not None else classes))
    for k in range(classes):
        if y is None:
            some, run = factors[:, :, k * classes : (k + 1) * classes], weights
        else:
            some, run = _with_constant(factors[:, :, k : k + 1], weights, -(y == k).astype(np.float64)[:, None])
        values += attribute(only(leaves, k), rows, background=background, weights=run, factors=some, **options)
    if y is None:
        return values, _shares(others).mean(axis=0)
    top = others.max(axis=1)
    whole = top + np.log(np.exp(others - top[:, None]).sum(axis=1))
    return values, whole.mean() - others.mean(axis=0)[y]


def _line(margins: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights on (0, 1) that integrate the softmax along the longest line up to about 1e-12."""
    ends = np.concatenate([margins - margins[:, :1], others - others[:, :1]])
    length = float(np.ptp(ends, axis=0).max())
    # The integrand has poles at a distance of pi over the length; Gauss's error falls with their ellipse.
    ellipse = np.log1p(2 * np.pi / max(length, 1e-3))
    x, w = np.polynomial.legendre.leggauss(int(np.clip(14 / ellipse, 4, 400)) + 1)
    return (x + 1) / 2, w / 2


def _shares(margins: np.ndarray) -> np.ndarray:
    high = np.exp(margins - margins.max(axis=-1, keepdims=True))
    return np.asarray(high / high.sum(axis=-1, keepdims=True))


def _mean_softmax(a: np.ndarray, b: np.ndarray, points: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the mean probabilities along the lines from `b` to `a`, shape (n, m, n_classes)."""
    total = np.zeros((len(a), len(b), a.shape[1]))
    for t, w in zip(points, shares, strict=True):
        total += w * _shares(t * a[:, None, :] + (1 - t) * b[None, :, :])
    return total


def _mean_jacobian(a: np.ndarray, b: np.ndarray, points: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the mean slopes of the probabilities, shape (n, m, n_classes * n_classes): margin, then class."""
    classes = a.shape[1]
    total = np.zeros((len(a), len(b), classes, classes))
    for t, w in zip(points, shares, strict=True):
        p = _shares(t * a[:, None, :] + (1 - t) * b[None, :, :])
        total -= w * p[..., :, None] * p[..., None, :]
        total[..., range(classes), range(classes)] += w * p
    return np.asarray(total.reshape(len(a), len(b), -1))


def _logistic(x: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return np.asarray(expit(x))


def _slope_logistic(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return (s(a) - s(b)) / (a - b), also where the two are equal or both far from 0."""
    near, half = np.abs(a - b) < 1, (a - b) / 2
    flip = np.where(a + b > 0, -1.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = flip * (_logistic(flip * a) - _logistic(flip * b)) / (a - b)
        ratio = np.where(np.abs(half) < 1e-4, 1 + half**2 / 6, np.sinh(np.where(near, half, 0)) / half)
    low, high = np.abs(a) / 2, np.abs(b) / 2
    flat = np.exp(-low - high) / ((1 + np.exp(-2 * low)) * (1 + np.exp(-2 * high)))
    return np.asarray(np.where(near, ratio * flat, far))


def _slope_softplus(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the slope of log(1 + e^x) between two points, also where they are equal."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    step = low - high
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.log1p(_logistic(high) * np.expm1(step)) / step
        far = (np.logaddexp(0, low) - np.logaddexp(0, high)) / step
    return np.asarray(np.where(step == 0, _logistic(high), np.where(step > -1, near, far)))


def _slope_exp(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the slope of e^x between two points, also where they are equal."""
    step = np.minimum(a, b) - np.maximum(a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(step == 0, 1.0, np.expm1(step) / step)
    return np.asarray(np.exp(np.maximum(a, b)) * ratio)

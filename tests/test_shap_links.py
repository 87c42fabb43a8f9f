from __future__ import annotations

import warnings
from decimal import Decimal, localcontext

import numpy as np
import pytest
from sklearn import ensemble

from rca.models.shapdiff import cross, kernel, links
from rca.models.shapdiff.leaves import read


def made(kind, classes, *, steep=1.0, n=500, **more):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 5))
    score = X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=n) * 0.3
    if classes:
        y = np.searchsorted(np.quantile(score, np.arange(1, classes) / classes), score)
    else:
        y = np.exp(score / 2) if more.get("loss") in ("poisson", "gamma") else score
    model = kind(random_state=0, **more).fit(X, y)
    fresh = np.random.default_rng(2).normal(size=(90, 5))
    y_fresh = np.searchsorted([-0.5, 0.5], fresh[:, 0])[:40] if classes == 3 else (fresh[:40, 0] > 0).astype(int)
    leaves = read(model, 5)
    return (
        model,
        leaves,
        fresh[:40],
        fresh[40:],
        y_fresh,
        kernel.margins(leaves, fresh[:40]),
        kernel.margins(leaves, fresh[40:]),
    )


def pair_by_pair(leaves, rows, background, slope):
    """Mean over background rows of slope (output, target) times margin values, one row of the background at a time."""
    total = 0.0
    for i in range(len(background)):
        each = kernel.attribute(leaves, rows, background=background[i : i + 1])
        total = total + np.einsum("rfo,rot->rft", each, slope(i))
    return total / len(background)


def ratio(f, g, function):
    """Slope between two margins; of near ones the slope around them."""
    apart = np.where(np.abs(f - g) < 1e-5, 1e-5, (f - g) / 2)
    middle = (f + g) / 2
    return ((function(middle + apart) - function(middle - apart)) / (2 * apart))[:, :, None]


def logistic(x):
    return 1 / (1 + np.exp(-x))


HIST, GB = ensemble.HistGradientBoostingClassifier, ensemble.GradientBoostingClassifier
BINARY = [
    (HIST, {"max_iter": 10}, 1),
    (GB, {"n_estimators": 10}, 1),
    (GB, {"n_estimators": 10, "loss": "exponential"}, 2),
]


@pytest.mark.parametrize(("kind", "more", "scale"), BINARY)
def test_binary_probability_and_log_loss_are_rescaled_against_each_background_row(kind, more, scale):
    model, leaves, rows, background, y, f, g = made(kind, 2, **more)
    found, base = links.probability(leaves, rows, background, f, g)
    wanted = pair_by_pair(leaves, rows, background, lambda i: ratio(f, g[i], lambda x: logistic(scale * x)))
    np.testing.assert_allclose(found, wanted, atol=1e-10)
    np.testing.assert_allclose(found[:, :, 0].sum(1) + base, model.predict_proba(rows)[:, 1], atol=1e-9)
    found, base = links.loss(leaves, rows, background, f, g, y, classes=True)
    own = -np.log(model.predict_proba(rows)[np.arange(len(y)), y])
    np.testing.assert_allclose(found[:, :, 0].sum(1) + base, own, atol=1e-9)
    each = [lambda x: np.logaddexp(0, scale * x), lambda x: np.logaddexp(0, -scale * x)]
    for label in (0, 1):
        wanted = pair_by_pair(leaves, rows, background, lambda i, at=label: ratio(f, g[i], each[at]))
        np.testing.assert_allclose(found[y == label], wanted[y == label], atol=1e-9)


def test_probability_agrees_with_shap():
    model, leaves, rows, background, _, f, g = made(GB, 2, n_estimators=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap

        masker = shap.maskers.Independent(background, max_samples=len(background))
        explainer = shap.TreeExplainer(model, masker, feature_perturbation="interventional", model_output="probability")
        wanted = explainer.shap_values(rows, check_additivity=False)
    np.testing.assert_allclose(links.probability(leaves, rows, background, f, g)[0][:, :, 0], wanted, atol=1e-6)


@pytest.mark.parametrize(("kind", "more"), [(HIST, {"max_iter": 8}), (GB, {"n_estimators": 8})])
def test_softmax_follows_the_straight_line_between_the_margins(kind, more):
    model, leaves, rows, background, y, f, g = made(kind, 3, **more)
    t = (np.arange(4000) + 0.5) / 4000  # midpoint rule

    def shares(i):
        line = t[:, None, None] * f + (1 - t[:, None, None]) * g[i]
        high = np.exp(line - line.max(2, keepdims=True))
        return high / high.sum(2, keepdims=True)

    def jacobian(i):
        p = shares(i)
        return np.einsum("trk,kc->rkc", p, np.eye(3)) / len(t) - np.einsum("trk,trc->rkc", p, p) / len(t)

    found, base = links.probability(leaves, rows, background, f, g)
    np.testing.assert_allclose(found.sum(1) + base, model.predict_proba(rows), atol=1e-9)
    np.testing.assert_allclose(found, pair_by_pair(leaves, rows, background, jacobian), atol=1e-7)
    found, base = links.loss(leaves, rows, background, f, g, y, classes=True)
    own = -np.log(model.predict_proba(rows)[np.arange(len(y)), y])
    np.testing.assert_allclose(found[:, :, 0].sum(1) + base, own, atol=1e-9)
    wanted = pair_by_pair(leaves, rows, background, lambda i: (shares(i).mean(0) - np.eye(3)[y])[:, :, None])
    np.testing.assert_allclose(found, wanted, atol=1e-7)


REGRESSIONS = [
    (ensemble.HistGradientBoostingRegressor, {"max_iter": 10}),
    (ensemble.HistGradientBoostingRegressor, {"max_iter": 10, "loss": "poisson"}),
    (ensemble.RandomForestRegressor, {"n_estimators": 5, "max_depth": 5}),
]


@pytest.mark.parametrize(("kind", "more"), REGRESSIONS)
def test_squared_error_of_a_regression(kind, more):
    model, leaves, rows, background, _, f, g = made(kind, 0, **more)
    y = np.random.default_rng(3).normal(size=len(rows))
    known = np.exp if leaves.link == "log" else lambda x: x
    found, base = links.loss(leaves, rows, background, f, g, y, classes=False)
    np.testing.assert_allclose(found[:, :, 0].sum(1) + base, (model.predict(rows) - y) ** 2, atol=1e-9)
    wanted = pair_by_pair(leaves, rows, background, lambda i: ratio(f, g[i], lambda x: (known(x) - y[:, None]) ** 2))
    np.testing.assert_allclose(found, wanted, atol=1e-8)
    found, base = links.probability(leaves, rows, background, f, g)
    np.testing.assert_allclose(found[:, :, 0].sum(1) + base, model.predict(rows), atol=1e-9)


@pytest.mark.parametrize("classes", [2, 3])
def test_log_loss_of_a_forest_is_that_of_its_probabilities(classes):
    more = {"n_estimators": 40, "max_depth": 2, "min_samples_leaf": 40}
    model, leaves, rows, background, y, f, g = made(ensemble.RandomForestClassifier, classes, **more)
    found, base = links.loss(leaves, rows, background, f, g, y, classes=True)
    own = -np.log(model.predict_proba(rows)[np.arange(len(y)), y])
    np.testing.assert_allclose(found[:, :, 0].sum(1) + base, own, atol=1e-9)


def test_the_slope_of_a_cut_logarithm_holds_for_no_tiny_and_whole_probabilities():
    rng = np.random.default_rng(0)
    few = np.array([0.0, 1e-6, 1e-3, 0.3, 1.0])
    f = np.concatenate([few, np.exp(rng.uniform(-13, 0, 300)), np.zeros(5)])[:, None]
    g = np.concatenate([few, np.exp(rng.uniform(-13, 0, 200)), np.zeros(4)])[:, None]
    factors, weights = links._cut(f, g)
    found = factors[:, :, 0] @ weights.T * len(g)
    cost = lambda x: -np.log(np.maximum(x, np.finfo(float).eps))  # noqa: E731
    np.testing.assert_allclose(found * (f - g.T), cost(f) - cost(g.T), rtol=0, atol=1e-8)
    both = np.maximum(f, g.T)
    wanted = np.where(both > 0, -1 / np.where(both > 0, both, 1), 0.0)
    same = f == g.T
    np.testing.assert_allclose(found[same], wanted[same], rtol=1e-6)


@pytest.mark.parametrize("reach", [1e-9, 1.0, 30.0, 300.0])
@pytest.mark.parametrize("slope", [links._slope_logistic, links._slope_softplus])
def test_slopes_and_their_expansions_hold_for_near_equal_and_far_margins(reach, slope):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-reach, reach, (300, 1)), rng.uniform(-reach, reach, (200, 1))
    function = (lambda x: 1 / (1 + (-x).exp())) if slope is links._slope_logistic else (lambda x: (1 + x.exp()).ln())
    found = slope(a[:5], b[:5].T)
    with localcontext() as context:
        context.prec = 320
        for i, j in np.ndindex(5, 5):
            x, z = Decimal(float(a[i, 0])), Decimal(float(b[j, 0]))
            assert found[i, j] == pytest.approx(float((function(x) - function(z)) / (x - z)), rel=1e-11)
    factors, weights = cross.cross(lambda x, z: slope(x, z.T)[:, :, None], a, b)
    np.testing.assert_allclose(factors[:, :, 0] @ weights.T, slope(a, b.T), atol=1e-9 * slope(a, b.T).max())


def test_a_function_without_short_sum_takes_all_background_rows():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(500, 1)), rng.normal(size=(900, 1))

    def rough(x, z):
        return np.sin(1e4 * x * z.T)[:, :, None]

    factors, weights = cross.cross(rough, a, b)
    np.testing.assert_allclose(factors[:, :, 0] @ weights.T, rough(a, b)[:, :, 0], atol=1e-9)


def test_background_rows_that_are_alike_are_one_point():
    a, b = np.zeros((3, 1)), np.zeros((4, 1))
    factors, weights = cross.cross(lambda x, z: np.ones((len(x), len(z), 1)), a, b)
    np.testing.assert_allclose(factors[:, :, 0] @ weights.T, np.ones((3, 4)))

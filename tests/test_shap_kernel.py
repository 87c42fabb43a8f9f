from __future__ import annotations

import warnings
from dataclasses import astuple, replace
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn import ensemble, tree

from rca.models.shapdiff import deep, kernel
from rca.models.shapdiff.leaves import codes as coded_rows, read, walk
from rca.models.shapdiff.leaves.walk import Tree, leaves as walked


def random_tree(rng, width, depth, *, codes=0, group=0, values=1):
    """Grow a tree with random splits; column 0 has categories if `codes`; weights of children add up to the parent's."""
    left, right, feature, threshold, missing, weight, category, sets = [], [], [], [], [], [], [], []

    def grow(level, own):
        me = len(left)
        for column, start in (
            (left, -1),
            (right, -1),
            (feature, 0),
            (threshold, 0.0),
            (missing, False),
            (weight, own),
            (category, -1),
        ):
            column.append(start)
        if level == depth or rng.random() < 0.15:
            return me
        feature[me] = int(rng.integers(width))
        threshold[me] = float(rng.integers(-2, 3))
        missing[me] = bool(rng.random() < 0.5)
        if codes and feature[me] == 0:
            category[me] = len(sets)
            sets.append(rng.random(codes + 1) < 0.5)
        part = own * rng.uniform(0.05, 0.95)
        left[me] = grow(level + 1, part)
        right[me] = grow(level + 1, own - part)
        return me

    grow(0, 100.0)
    grown = Tree(
        left=np.array(left), right=np.array(right), feature=np.array(feature), threshold=np.array(threshold),
        missing_left=np.array(missing), weight=np.array(weight), value=rng.normal(size=(len(left), values)),
        category=np.array(category), group=group,
    )  # fmt: skip
    return grown, np.array(sets, bool).reshape(len(sets), codes + 1)


def collect(trees, base, n_features, *, single, link):
    """Leaves of trees that each have their own table of sets."""
    table, moved = [np.zeros((0, max([1, *(t[1].shape[1] for t in trees)])), bool)], []
    for t, sets in trees:
        moved.append(replace(t, category=np.where(t.category >= 0, t.category + sum(map(len, table)), -1)))
        table.append(sets if len(sets) else table[0])
    base = np.array(base)
    return walked(moved, np.concatenate(table), base=base, n_features=n_features, single=single, link=link)


def random_rows(rng, n, width, *, codes=0, missing=0.1):
    rows = rng.integers(-3, 4, size=(n, width)).astype(float)
    if codes:
        rows[:, 0] = rng.integers(0, codes + 2, size=n)  # the last two are not known
    rows[rng.random(rows.shape) < missing] = np.nan
    return rows


def goes_left(nodes, sets, node, x):
    if np.isnan(x):
        return nodes.missing_left[node]
    if nodes.category[node] >= 0:
        known = sets.shape[1] - 1
        return sets[nodes.category[node], int(x) if x < known else known]
    return x <= nodes.threshold[node]


def by_weights(grown, row, known, node=0):
    """Expected value of a tree where only some features of the row are known, after the definition of TreeSHAP."""
    nodes, sets = grown
    if nodes.left[node] < 0:
        return nodes.value[node]
    one, two = nodes.left[node], nodes.right[node]
    if nodes.feature[node] in known:
        return by_weights(grown, row, known, one if goes_left(nodes, sets, node, row[nodes.feature[node]]) else two)
    share = nodes.weight[one] / nodes.weight[node]
    return share * by_weights(grown, row, known, one) + (1 - share) * by_weights(grown, row, known, two)


def shapley(worth, width):
    """Shapley values of a game, over all subsets."""
    every = {s: np.asarray(worth(frozenset(s))) for k in range(width + 1) for s in combinations(range(width), k)}
    result = []
    for j in range(width):
        total = 0.0
        for s, without in every.items():
            if j not in s:
                total = total + (every[tuple(sorted((*s, j)))] - without) / (width * comb(width - 1, len(s)))
        result.append(total)
    return np.array(result)


def brute(trees, row, background=None):
    """Values (n_features, n_values) of a sum of trees, one game for all."""
    everything = frozenset(range(len(row)))

    def worth(known):
        if background is None:
            return sum(by_weights(t, row, known) for t in trees)
        mixed = [np.where([j in known for j in everything], row, other) for other in background]
        return sum(by_weights(t, x, everything) for t in trees for x in mixed) / len(background)

    return shapley(worth, len(row))


@pytest.fixture(params=["tables", "no tables"])
def way(request, monkeypatch):
    """Compute with tables of patterns, or for observed patterns only."""
    slow = request.param == "no tables"
    monkeypatch.setattr(kernel, "_untabled", lambda depth, n, m, columns: (depth > 0) & slow)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("seed", range(4))
def test_values_are_shapley_values_by_their_definition(seed):
    rng = np.random.default_rng(seed)
    trees = [random_tree(rng, 5, 6, codes=4 if seed % 2 else 0, values=2) for _ in range(3)]
    rows, background = (random_rows(rng, n, 5, codes=4 if seed % 2 else 0) for n in (6, 7))
    leaves = collect(trees, np.zeros(2), 5, single=False, link="identity")
    np.testing.assert_allclose(kernel.attribute(leaves, rows), [brute(trees, r) for r in rows], atol=1e-12)
    found = kernel.attribute(leaves, rows, background=background)
    np.testing.assert_allclose(found, [brute(trees, r, background) for r in rows], atol=1e-12)


@pytest.mark.usefixtures("way")
def test_trees_of_several_outputs_keep_to_their_own():
    rng = np.random.default_rng(7)
    trees = [random_tree(rng, 4, 4, group=g) for g in (0, 1, 2, 0, 1, 2)]
    rows = random_rows(rng, 5, 4)
    leaves = collect(trees, [1.0, 2.0, 3.0], 4, single=False, link="softmax")
    for background in (None, random_rows(rng, 3, 4)):
        found = kernel.attribute(leaves, rows, background=background)
        for output in range(3):
            wanted = [brute(trees[output::3], r, background) for r in rows]
            np.testing.assert_allclose(found[:, :, output], np.array(wanted)[:, :, 0], atol=1e-12)
            alone = kernel.attribute(kernel.only(leaves, output), rows, background=background)
            np.testing.assert_allclose(alone[:, :, 0], found[:, :, output], atol=1e-14)


@pytest.mark.usefixtures("way")
def test_weighted_runs_are_sums_over_background_rows():
    rng = np.random.default_rng(8)
    trees = [random_tree(rng, 5, 6, codes=3) for _ in range(3)]
    rows, background = random_rows(rng, 9, 5, codes=3), random_rows(rng, 6, 5, codes=3)
    weights, factors = rng.normal(size=(6, 4)), rng.normal(size=(9, 4, 2))
    leaves = collect(trees, [0.0], 5, single=False, link="logit")
    found = kernel.attribute(leaves, rows, background=background, weights=weights, factors=factors)
    each = np.stack([kernel.attribute(leaves, rows, background=background[i : i + 1])[:, :, 0] for i in range(6)])
    np.testing.assert_allclose(found, np.einsum("brf,bk,rkt->rft", each, weights, factors), atol=1e-11)


def test_margins_are_the_sum_of_the_leaves_that_rows_fall_into():
    rng = np.random.default_rng(9)
    trees = [random_tree(rng, 5, 6, codes=4, values=2) for _ in range(3)]
    rows = random_rows(rng, 40, 5, codes=4)
    leaves = collect(trees, [0.5, -1.0], 5, single=False, link="identity")
    wanted = [sum(by_weights(t, r, frozenset(range(5))) for t in trees) + np.array([0.5, -1.0]) for r in rows]
    np.testing.assert_allclose(kernel.margins(leaves, rows), wanted, atol=1e-13)
    none = sum(by_weights(t, rows[0], frozenset()) for t in trees) + np.array([0.5, -1.0])
    np.testing.assert_allclose(kernel.expected(leaves), none, atol=1e-13)


def chain(depth, rng):
    """A tree that tests a new feature on each level: `depth` distinct features on the longest way."""
    n = 2 * depth + 1
    left, right = np.full(n, -1), np.full(n, -1)
    feature, weight = np.zeros(n, dtype=int), np.zeros(n)
    weight[0] = 1.0
    for level in range(depth):
        node = 2 * level
        left[node], right[node], feature[node] = node + 1, node + 2, level
        weight[node + 1], weight[node + 2] = weight[node] * 0.3, weight[node] * 0.7
    return Tree(
        left=left, right=right, feature=feature, threshold=np.zeros(n), missing_left=np.zeros(n, dtype=bool),
        weight=weight, value=rng.normal(size=(n, 1)) * 10, category=np.full(n, -1), group=0,
    ), np.zeros((0, 1), bool)  # fmt: skip


@pytest.mark.parametrize("depth", [16, 70])
def test_ways_with_many_features_agree_with_a_closed_form(depth):
    # Every test of the deepest leaf passed by the row and failed by the background: each has an equal share.
    rng = np.random.default_rng(depth)
    nodes = chain(depth, rng)
    values = nodes[0].value
    values[:-1] = 0.0
    leaves = collect([nodes], [0.0], depth, single=False, link="identity")
    row, other = np.ones((1, depth)), -np.ones((1, depth))
    found = kernel.attribute(leaves, row, background=other)[0, :, 0]
    np.testing.assert_allclose(found, values[-1, 0] / depth, rtol=1e-12)
    # Covers of one size: by symmetry an equal share of what is above the expected value.
    above = values[-1, 0] - kernel.expected(leaves)[0]
    np.testing.assert_allclose(kernel.attribute(leaves, row)[0, :, 0], above / depth, rtol=1e-10)


def test_deep_ways_agree_with_the_same_model_with_tables():
    rng = np.random.default_rng(5)
    nodes = chain(14, rng)
    leaves = collect([nodes], [0.0], 14, single=False, link="identity")
    rows, background = rng.normal(size=(300, 14)) + 0.8, rng.normal(size=(60, 14)) + 0.8
    weights, factors = rng.normal(size=(60, 2)), rng.normal(size=(300, 2))
    for more in ({}, {"background": background}, {"background": background, "weights": weights, "factors": factors}):
        slow = kernel.attribute(leaves, rows, **more)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernel, "_untabled", lambda depth, n, m, columns: depth < 0)
            fast = kernel.attribute(leaves, rows, **more)
        np.testing.assert_allclose(slow, fast, atol=1e-11)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(deep, "KNOWN", 1)  # no room to remember patterns
            np.testing.assert_allclose(kernel.attribute(leaves, rows, **more), slow, atol=1e-12)


def test_trees_walked_one_by_one_or_together_have_the_same_leaves():
    rng = np.random.default_rng(6)
    stump = Tree(*(np.array([value]) for value in (-1, -1, -2, -2.0, False, -1, 5.0)), np.array([[0.5]]), group=1)
    trees = [random_tree(rng, 4, depth, codes=3, group=depth % 2) for depth in (5, 0, 7, 3)]
    trees.insert(2, (stump, np.zeros((0, 4), bool)))
    together = collect(trees, [0.0, 0.0], 4, single=False, link="softmax")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "BATCH", 1)
        apart = collect(trees, [0.0, 0.0], 4, single=False, link="softmax")
    for one, other in zip(astuple(together), astuple(apart), strict=True):
        np.testing.assert_array_equal(one, other)
    ends = [t for t, _ in trees for node in t.left if node < 0]
    assert together.group.tolist() == [t.group for t in ends]
    np.testing.assert_array_equal(together.values, np.concatenate([t.value[t.left < 0] for t, _ in trees]))


def test_only_a_handful_of_deep_leaves_gets_large_tables():
    few, many, deeper = np.array([3, 13, 14]), np.full(1000, 13), np.array([3, 13, 15])
    assert not kernel._untabled(few, 3000, 1000, 1).any()
    assert kernel._untabled(many, 3000, 1000, 1).all()
    assert kernel._untabled(deeper, 3000, 1000, 1).tolist() == [False, True, True]
    assert kernel._untabled(few, 5, 0, 1).tolist() == [False, True, True]


def sample(classes=2, missing=0.0, n=400, width=6, seed=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, width))
    score = X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=n) * 0.3
    X[rng.random(X.shape) < missing] = np.nan
    return X, (pd.qcut(score, classes, labels=False) if classes else score)


def shap_values(model, rows, background=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap

        if background is None:
            explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
        else:
            masker = shap.maskers.Independent(background, max_samples=len(background))
            explainer = shap.TreeExplainer(model, data=masker, feature_perturbation="interventional")
        values = np.asarray(explainer.shap_values(rows, check_additivity=False))
    return values[:, :, None] if values.ndim == 2 else values


FAMILIES = [
    (tree.DecisionTreeClassifier(max_depth=6, random_state=0), 2),
    (tree.DecisionTreeClassifier(max_depth=6, random_state=0), 3),
    (tree.DecisionTreeRegressor(max_depth=6, random_state=0), 0),
    (ensemble.RandomForestClassifier(8, max_depth=6, random_state=0), 2),
    (ensemble.RandomForestClassifier(8, max_depth=6, random_state=0), 3),
    (ensemble.RandomForestRegressor(8, max_depth=6, random_state=0), 0),
    (ensemble.ExtraTreesClassifier(8, max_depth=6, bootstrap=True, random_state=0), 3),
    (ensemble.ExtraTreesRegressor(8, max_depth=6, random_state=0), 0),
    (ensemble.GradientBoostingClassifier(n_estimators=8, random_state=0), 2),
    (ensemble.GradientBoostingRegressor(n_estimators=8, random_state=0), 0),
    (ensemble.HistGradientBoostingClassifier(max_iter=8, random_state=0), 2),
    (ensemble.HistGradientBoostingClassifier(max_iter=8, random_state=0), 3),
    (ensemble.HistGradientBoostingRegressor(max_iter=8, random_state=0), 0),
]


def named(value):
    return type(value).__name__ if hasattr(value, "fit") else str(value)


@pytest.mark.parametrize(("model", "classes"), FAMILIES, ids=named)
def test_agrees_with_shap(model, classes):
    X, y = sample(classes)
    model.fit(X, y)
    leaves = read(model, X.shape[1])
    # Not rows of the training: histogram boosting puts thresholds on those, and shap rounds them to the wrong side.
    rows = np.random.default_rng(4).normal(size=(80, X.shape[1]))
    for background, limit in ((None, 1e-10), (rows[30:], 1e-7)):
        found, wanted = (
            kernel.attribute(leaves, rows[:30], background=background),
            shap_values(model, rows[:30], background),
        )
        if wanted.shape[2] == 2:
            wanted = wanted[:, :, 1:]
        np.testing.assert_allclose(found, wanted, rtol=limit, atol=limit)


def own_margin(model, rows):
    if hasattr(model, "decision_function"):
        found = model.decision_function(rows)
    elif hasattr(model, "predict_proba"):
        found = model.predict_proba(rows)
        found = found[:, 1] if found.shape[1] == 2 else found
    else:
        found = model.predict(rows)
    return found.reshape(len(rows), -1)


MISSING = [
    f
    for f in FAMILIES
    if not isinstance(f[0], (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor))
]
MORE = [
    (ensemble.GradientBoostingClassifier(n_estimators=8, random_state=0), 3),
    (ensemble.GradientBoostingClassifier(n_estimators=8, loss="exponential", random_state=0), 2),
    (ensemble.GradientBoostingRegressor(n_estimators=8, init="zero", loss="huber", random_state=0), 0),
    (tree.DecisionTreeClassifier(max_depth=1, class_weight={0: 0.0, 1: 1.0}, random_state=0), 2),
]


@pytest.mark.parametrize(
    ("model", "classes", "missing"), [(*f, 0.2) for f in MISSING] + [(*f, 0.0) for f in MORE], ids=named
)
def test_values_add_up_to_the_models_own_output(model, classes, missing):
    X, y = sample(classes, missing)
    model.fit(X, y)
    leaves = read(model, X.shape[1])
    rows, background = X[:40].copy(), X[200:240]
    rows[0] = np.nan if missing else 1e30
    own = own_margin(model, rows)
    np.testing.assert_allclose(kernel.margins(leaves, rows), own, atol=1e-12)
    found = kernel.attribute(leaves, rows)
    np.testing.assert_allclose(found.sum(1) + kernel.expected(leaves), own, atol=1e-11)
    found = kernel.attribute(leaves, rows, background=background)
    np.testing.assert_allclose(found.sum(1) + own_margin(model, background).mean(0), own, atol=1e-11)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_log_links_are_known(loss):
    X, y = sample(0)
    model = ensemble.HistGradientBoostingRegressor(loss=loss, max_iter=5).fit(X, np.exp(y / 2))
    leaves = read(model, X.shape[1])
    assert leaves.link == "log"
    np.testing.assert_allclose(np.exp(kernel.margins(leaves, X)[:, 0]), model.predict(X), rtol=1e-12)


def test_categories_of_histogram_boosting_are_taken_as_the_model_takes_them():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "size": rng.normal(size=800),
            "place": pd.Categorical(rng.choice(["a", "b", "c", "d", "e"], 800)),
            "kind": rng.choice([10.0, 20.0, 30.0, np.nan], 800),
        }
    )
    y = table["place"].isin(["a", "d"]) * 2.0 - (table["kind"] == 20) + table["size"] * (table["place"] == "c")
    model = ensemble.HistGradientBoostingRegressor(max_iter=20, categorical_features=["place", "kind"]).fit(table, y)
    rows = table[:30].copy()
    rows["place"] = pd.Categorical([*rows["place"][:-2], "new", None])
    rows.loc[3:4, "kind"] = 77.0, np.nan
    leaves, coded = read(model, 3), coded_rows(model, rows)
    own = model.predict(rows)
    np.testing.assert_allclose(kernel.margins(leaves, coded)[:, 0], own, atol=1e-12)
    np.testing.assert_allclose(
        kernel.attribute(leaves, coded)[:, :, 0].sum(1) + kernel.expected(leaves), own, atol=1e-11
    )
    background = coded_rows(model, table[100:140])
    found = kernel.attribute(leaves, coded, background=background)[:, :, 0]
    # The game itself, played with the model's own predict.
    for i in (0, 3, 4, 28, 29):

        def worth(known, i=i):
            mixed = table[100:140].copy().astype({"place": object})
            for j in known:
                mixed.iloc[:, j] = rows.iloc[i, j]
            return model.predict(mixed.astype({"place": "category"})).mean()

        np.testing.assert_allclose(found[i], shapley(worth, 3), atol=1e-12)


def test_models_of_other_kinds_are_not_read():
    from sklearn.linear_model import LinearRegression

    X, y = sample(0)
    assert read(LinearRegression().fit(X, y), 6) is None
    assert read(object(), 6) is None
    assert read(tree.DecisionTreeRegressor(max_depth=2).fit(X, np.c_[y, y]), 6) is None
    start = tree.DecisionTreeRegressor(max_depth=2)
    assert read(ensemble.GradientBoostingRegressor(init=start, n_estimators=2).fit(X, y), 6) is None


def test_a_tree_without_splits_gives_nothing_to_any_feature():
    model = tree.DecisionTreeRegressor().fit([[1.0], [2.0]], [5.0, 5.0])
    leaves = read(model, 1)
    assert kernel.expected(leaves).tolist() == [5.0]
    assert kernel.attribute(leaves, np.array([[1.0], [np.nan]])).tolist() == [[[0.0]], [[0.0]]]


def test_rows_are_rounded_where_the_model_rounds_them():
    X = np.array([[0.1], [0.3]])
    model = tree.DecisionTreeRegressor().fit(X, [0.0, 1.0])
    edge = np.float64(model.tree_.threshold[0])
    rows = np.array([[edge], [np.nextafter(edge, 1)], [0.1], [0.3]])
    np.testing.assert_array_equal(kernel.margins(read(model, 1), rows)[:, 0], model.predict(rows))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.integers(1, 60))
def test_sum_dummy_order_and_threads(seed, against, n):
    rng = np.random.default_rng(seed)
    trees = [random_tree(rng, 5, 6, codes=4) for _ in range(3)]
    leaves = collect(trees, [0.5], 7, single=False, link="identity")  # columns 5 and 6 are never tested
    rows, background = random_rows(rng, n, 7, codes=4), random_rows(rng, 40, 7, codes=4)
    given_background = background if against else None
    found = kernel.attribute(leaves, rows, background=given_background)[:, :, 0]
    base = kernel.margins(leaves, background).mean() if against else kernel.expected(leaves)[0]
    np.testing.assert_allclose(found.sum(1) + base, kernel.margins(leaves, rows)[:, 0], atol=1e-12)
    assert (found[:, 5:] == 0).all()
    order = rng.permutation(n)
    np.testing.assert_array_equal(
        kernel.attribute(leaves, rows[order], background=given_background)[:, :, 0], found[order]
    )
    two = kernel.attribute(leaves, rows, background=given_background, threads=2)[:, :, 0]
    np.testing.assert_allclose(two, found, atol=1e-13)
    one = kernel.attribute(leaves, rows[:1], background=given_background)[:, :, 0]
    np.testing.assert_allclose(one, found[:1], atol=1e-13)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_renamed_columns_get_the_same_values(seed, against):
    rng = np.random.default_rng(seed)
    nodes = random_tree(rng, 5, 6)
    rows, background = random_rows(rng, 70, 5), random_rows(rng, 30, 5)
    order = rng.permutation(5)
    moved = replace(nodes[0], feature=order[nodes[0].feature]), nodes[1]
    back = np.argsort(order)
    one, two = (collect([t], [0.0], 5, single=False, link="identity") for t in (nodes, moved))
    some, other = (background, background[:, back]) if against else (None, None)
    found = kernel.attribute(two, rows[:, back], background=other)
    np.testing.assert_allclose(found[:, order], kernel.attribute(one, rows, background=some), atol=1e-12)


def test_many_rows_are_done_in_slices_with_the_same_result(monkeypatch):
    rng = np.random.default_rng(2)
    leaves = collect([random_tree(rng, 5, 5) for _ in range(3)], [0.0], 5, single=False, link="identity")
    rows = random_rows(rng, 5000, 5)
    whole = kernel.attribute(leaves, rows)
    monkeypatch.setattr(kernel, "ROOM", 40 * 777)
    np.testing.assert_allclose(kernel.attribute(leaves, rows), whole, atol=1e-13)
    assert kernel.attribute(leaves, rows[:0]).shape == (0, 5, 1)

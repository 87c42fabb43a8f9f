import itertools
import math

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble

from rca.errors import InputError, UnknownName
from rca.models.shapdiff import interactions
from rca.models.shapdiff.interactions import pair_draws

NAMES = ["a", "b", "c", "d"]
RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(400, 4)), columns=NAMES)


class Formula:
    """A model that is its formula."""

    feature_names_in_ = NAMES

    def __init__(self, formula):
        self.predict = lambda rows: np.asarray(rows.eval(formula), dtype=float)


def by_definition(function, row, background, pair):
    """Shapley's interaction index: every set of the other features."""

    def worth(known):
        mixed = background.copy()
        for name in known:
            mixed[name] = row[name]
        return function(mixed).mean()

    others = [name for name in background.columns if name not in pair]
    total, width = 0.0, len(background.columns)
    for size in range(len(others) + 1):
        weight = math.factorial(size) * math.factorial(width - size - 2) / math.factorial(width - 1)
        for known in itertools.combinations(others, size):
            second = worth((*known, *pair)) - worth((*known, pair[0])) - worth((*known, pair[1])) + worth(known)
            total += weight * second
    return total


def test_draws_have_the_index_of_its_definition_as_their_mean():
    function = Formula("a * b * c * d + 2 * a * b + sin(d * a)").predict
    background = X.head(20)
    rows = X.tail(4)
    for pair in (("a", "b"), ("a", "d"), ("c", "d")):
        drawn = pair_draws(function, rows, background, pair, 8000, np.random.default_rng(1))
        error = drawn.std(axis=1) / np.sqrt(8000)
        for place in range(4):
            wanted = by_definition(function, rows.iloc[place], background, pair)
            assert abs(drawn[place].mean() - wanted) < 4 * error[place] + 1e-9, (pair, place)


def test_indices_are_twice_the_off_diagonal_of_shaps_own_where_both_mean_the_same(shap):
    """On a full grid the path-dependent expectation of a tree is the mean over the grid: two definitions meet."""
    grid = pd.DataFrame(list(itertools.product([0.0, 1.0], repeat=4)), columns=NAMES)
    target = grid.eval("a * b + 2 * b * c * d + a")
    model = ensemble.ExtraTreesRegressor(20, max_depth=4, random_state=0).fit(grid, target)
    own = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent").shap_interaction_values(grid)
    for first, second in itertools.combinations(range(4), 2):
        pair = NAMES[first], NAMES[second]
        drawn = pair_draws(model.predict, grid, grid, pair, 1000, np.random.default_rng(0))
        error = drawn.std(axis=1) / np.sqrt(1000)
        assert (np.abs(drawn.mean(axis=1) - 2 * own[:, first, second]) < 4.5 * error + 1e-9).all()


def test_strength_is_that_of_the_closed_form_and_noise_of_the_draws_is_no_interaction():
    """The index of s * a * b against a background of mean m is s (a - m)(b - m): its root mean square is known."""
    background = X - X.mean()
    table = interactions(
        Formula("a * b + 3 * c"),
        X,
        X,
        NAMES,
        background=background,
        model_after=Formula("2 * a * b + c * d"),
        rows=400,
        draws=16,
    )
    root = {pair: np.sqrt((X[pair[0]] ** 2 * X[pair[1]] ** 2).mean()) for pair in (("a", "b"), ("c", "d"))}
    assert table.loc[("a", "b"), "before"] == pytest.approx(root["a", "b"], rel=0.25)
    assert table.loc[("a", "b"), "after"] == pytest.approx(2 * root["a", "b"], rel=0.25)
    assert table.loc[("c", "d"), "low"] < root["c", "d"] < table.loc[("c", "d"), "high"]
    assert set(table.index[:2]) == {("a", "b"), ("c", "d")}
    assert (table.drop(index=[("a", "b"), ("c", "d")]).abs() < 1e-6).all(axis=None)  # differences of 1e-16 remain
    assert (table.loc[[("a", "b"), ("c", "d")], "low"] > 0).all()


def test_one_model_on_other_rows_shows_the_pair_whose_values_spread():
    later = X.assign(a=3 * X["a"]).set_axis(range(1000, 1400))
    table = interactions(Formula("a * b + c * d"), X, later, NAMES, background=X, draws=16)
    assert table.index[0] == ("a", "b") and table.iloc[0]["low"] > 0
    assert table.loc[("c", "d"), "low"] < 0 < table.loc[("c", "d"), "high"]


def test_the_same_model_on_the_same_rows_differs_by_exactly_nothing():
    table = interactions(Formula("a * b"), X, X, ["a", "b"], background=X, rows=50, draws=4)
    assert (table[["difference", "low", "high"]] == 0).all(axis=None)


def test_categories_and_a_classifiers_log_odds_are_taken_and_nothing_is_changed():
    rows = X.assign(kind=pd.Categorical(np.where(X["b"] > 0, "x", "y")))[["a", "kind", "c"]]
    model = ensemble.HistGradientBoostingClassifier(max_iter=20, categorical_features="from_dtype").fit(
        rows, (X["a"] * np.sign(X["b"]) > 0).astype(int)
    )
    kept = rows.copy()
    table = interactions(model, rows, rows, ["a", "kind", "c"], background=rows, rows=60, draws=4)
    assert table["before"].idxmax() == ("a", "kind")
    pd.testing.assert_frame_equal(rows, kept)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"features": ["a", "bb"]}, UnknownName, "no column 'bb'"),
        ({"features": ["a"]}, InputError, "at least two names"),
        ({"draws": 5}, InputError, "even number"),
        ({"rows": 1}, InputError, "two rows"),
        ({"alpha": 0}, InputError, "alpha is 0"),
        ({"background": X.iloc[:0]}, InputError, "X_background has no rows"),
        ({"X_after": X + 1, "model_after": Formula("a")}, InputError, "hold one fixed"),
        ({"X_after": X.drop(columns="d")}, UnknownName, "X_after has no column 'd'"),
    ],
)
def test_wrong_input_is_an_error_with_its_place(options, error, words):
    given = {"X_before": X, "X_after": X, "features": ["a", "b"], "background": X} | options
    with pytest.raises(error, match=words):
        interactions(Formula("a * b"), **given)

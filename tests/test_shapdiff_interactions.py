import itertools
import math

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble, linear_model, neighbors, svm

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


def column(model):
    return lambda rows: model.predict(rows)[:, None]


def by_definition(function, row, background, pair):
    """Shapley's interaction index: every set of the other features."""

    def worth(known):
        mixed = background.copy()
        for name in known:
            mixed[name] = row[name]
        return function(mixed).mean(axis=0)

    others = [name for name in background.columns if name not in pair]
    total, width = 0.0, len(background.columns)
    for size in range(len(others) + 1):
        weight = math.factorial(size) * math.factorial(width - size - 2) / math.factorial(width - 1)
        for known in itertools.combinations(others, size):
            second = worth((*known, *pair)) - worth((*known, pair[0])) - worth((*known, pair[1])) + worth(known)
            total += weight * second
    return total


def test_draws_have_the_index_of_its_definition_as_their_mean():
    function = column(Formula("a * b * c * d + 2 * a * b + sin(d * a)"))
    background = X.head(20)
    rows = X.tail(4)
    for pair in (("a", "b"), ("a", "d"), ("c", "d")):
        drawn = pair_draws(function, rows, background, pair, 8000, np.random.default_rng(1))[..., 0]
        error = drawn.std(axis=1) / np.sqrt(8000)
        for place in range(4):
            wanted = by_definition(function, rows.iloc[place], background, pair)[0]
            assert abs(drawn[place].mean() - wanted) < 4 * error[place] + 1e-9, (pair, place)


def test_indices_are_twice_the_off_diagonal_of_shaps_own_where_both_mean_the_same(shap):
    """On a full grid the path-dependent expectation of a tree is the mean over the grid: two definitions meet."""
    grid = pd.DataFrame(list(itertools.product([0.0, 1.0], repeat=4)), columns=NAMES)
    target = grid.eval("a * b + 2 * b * c * d + a")
    model = ensemble.ExtraTreesRegressor(20, max_depth=4, random_state=0).fit(grid, target)
    own = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent").shap_interaction_values(grid)
    for first, second in itertools.combinations(range(4), 2):
        pair = NAMES[first], NAMES[second]
        drawn = pair_draws(column(model), grid, grid, pair, 1000, np.random.default_rng(0))[..., 0]
        error = drawn.std(axis=1) / np.sqrt(1000)
        assert (np.abs(drawn.mean(axis=1) - 2 * own[:, first, second]) < 4.5 * error + 1e-9).all()


def strength_by_definition(model, rows, background, pair):
    """Root mean square over rows and classes of probabilities, over rows and pairs of classes of log-odds."""
    margins = hasattr(model, "decision_function")
    function = model.decision_function if margins else model.predict_proba
    index = np.array([by_definition(function, row, background, pair) for _, row in rows.iterrows()])
    if not margins:
        return np.sqrt((index**2).mean())
    return np.sqrt(np.mean([(index[:, j] - index[:, k]) ** 2 for j, k in itertools.combinations(range(3), 2)]))


SEVERAL = {
    "margins": ensemble.GradientBoostingClassifier(n_estimators=8, random_state=0),
    "probabilities": ensemble.RandomForestClassifier(8, max_depth=4, random_state=0),
    "neighbours": neighbors.KNeighborsClassifier(9),
    "machine": svm.SVC(),
}
THREE = np.where(X["a"] * X["b"] > 0.3, "up", np.where(X["c"] * X["d"] > 0.3, "down", "flat"))


@pytest.mark.parametrize("kind", SEVERAL)
def test_strength_of_several_classes_is_that_of_the_definition(kind):
    model = SEVERAL[kind].fit(X, THREE)
    rows, background = X.tail(6), X.head(5)
    table = interactions(model, rows, rows, ["a", "b", "c"], background=background, draws=2000)
    assert (table["before"] == table["after"]).all()
    for pair in table.index:
        wanted = strength_by_definition(model, rows, background, pair)
        assert table.loc[pair, "before"] == pytest.approx(wanted, rel=0.1), pair


def test_two_classes_have_the_same_strength_by_one_output_and_by_two():
    """A softmax over two classes says the same as one log-odds: the general rule meets the particular."""

    class Softmax(linear_model.LogisticRegression):
        def decision_function(self, rows):
            half = super().decision_function(rows) ** 3 / 2
            return np.column_stack([3 - half, 3 + half])

    class Cube(linear_model.LogisticRegression):
        def decision_function(self, rows):
            return super().decision_function(rows) ** 3

    labels = THREE == "up"
    one, two = Cube().fit(X, labels), Softmax().fit(X, labels)
    table = interactions(one, X, X, ["a", "b"], background=X, model_after=two, rows=60)
    assert table["before"].item() > 0 and table["difference"].item() == pytest.approx(0, abs=1e-12)


def test_what_moves_all_classes_alike_is_no_interaction():
    class Shifted(linear_model.LogisticRegression):
        def decision_function(self, rows):
            return super().decision_function(rows) + (rows["a"] * rows["b"]).to_numpy()[:, None]

    table = interactions(Shifted().fit(X, THREE), X, X, ["a", "b"], background=X, rows=60)
    assert table["before"].item() < 1e-6


@pytest.mark.system
def test_boosters_of_several_classes_are_asked_for_their_margins():
    import lightgbm
    import xgboost

    rows, background, pair = X.tail(6), X.head(5), ("a", "b")
    codes = pd.Categorical(THREE).codes
    fitted = xgboost.XGBClassifier(n_estimators=4, max_depth=3, n_jobs=1).fit(X, codes)
    raw = lambda table: fitted.predict(table, output_margin=True).astype(float)  # noqa: E731
    index = np.array([by_definition(raw, row, background, pair) for _, row in rows.iterrows()])
    wanted = np.sqrt(np.mean([(index[:, j] - index[:, k]) ** 2 for j, k in itertools.combinations(range(3), 2)]))
    for model in (fitted, fitted.get_booster()):
        table = interactions(model, rows, rows, pair, background=background, draws=2000)
        assert table["before"].item() == pytest.approx(wanted, rel=0.1)
    quick = {"n_estimators": 4, "n_jobs": 1, "num_leaves": 5, "verbose": -1}
    for labels in (codes, codes == 1):
        other = lightgbm.LGBMClassifier(**quick).fit(X, labels)
        tables = [interactions(one, rows, rows, pair, background=background) for one in (other, other.booster_)]
        pd.testing.assert_frame_equal(*tables)


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


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_rounding_of_a_model_without_interactions_is_no_interaction(scale):
    """The second differences of a sum are zero but for the last digits of its terms."""
    model = linear_model.LinearRegression().fit(X, scale * X.eval("a / 3 + 7 * b - c / 11"))
    other = linear_model.LinearRegression().fit(X, scale * X.eval("a / 7 + b - c / 13 + 3 * d"))
    drawn = pair_draws(column(model), X, X, ("a", "b"), 4, np.random.default_rng(0))
    assert drawn.any()
    table = interactions(model, X, X, NAMES, background=X, model_after=other, rows=100)
    assert (table == 0).all(axis=None)
    small = Formula("a + 0.000001 * a * b")
    assert interactions(small, X, X, ["a", "b"], background=X, rows=100)["before"].item() > 5e-7


@pytest.mark.system
def test_rounding_in_single_precision_is_no_interaction():
    import xgboost

    stumps = {"n_estimators": 200, "max_depth": 1, "n_jobs": 1}
    model = xgboost.XGBRegressor(**stumps).fit(X, X.eval("a + 5 * b"))
    double = linear_model.LinearRegression().fit(X, X.eval("a + 5 * b"))
    assert pair_draws(column(model), X, X, ("a", "b"), 4, np.random.default_rng(0)).any()
    table = interactions(double, X, X, ["a", "b"], background=X, model_after=model, rows=100)
    assert (table == 0).all(axis=None)


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


def test_models_without_margin_and_probability_or_with_other_classes_are_errors():
    pairs = svm.SVC(decision_function_shape="ovo").fit(X, THREE)
    two = linear_model.LogisticRegression().fit(X, THREE == "up")
    three = linear_model.LogisticRegression().fit(X, THREE)
    targets = linear_model.LinearRegression().fit(X, X[["a", "b"]])
    for model, after, words in (
        (pairs, None, "the SVC gives classes only, not their probabilities"),
        (two, three, r"has the classes \[False, True\] and the one after \['down', 'flat', 'up'\]"),
        (targets, None, "predicts several targets"),
        (svm.SVR(), None, "the SVR is not fitted"),
        (svm.SVC(), None, "SVC"),
        (object(), None, "no predict"),
    ):
        with pytest.raises(InputError, match=words):
            interactions(model, X, X, ["a", "b"], background=X, model_after=after)


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

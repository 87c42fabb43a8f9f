import functools
import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats
from sklearn import ensemble, impute, linear_model, neighbors, neural_network, pipeline, preprocessing, svm, tree
from sklearn.base import clone

from rca.errors import InputError, UnknownName
from rca.models.shapdiff import compare, explain, reference
from rca.models.shapdiff.estimate import enumeration, permutation
from rca.records import Attribution

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(300, 5)), columns=["amount", "age", "velocity", "hour", "unused"])
Z = X["amount"] + X["age"] * X["velocity"] + 0.5 * X["hour"]
Y = (RNG.random(300) < 1 / (1 + np.exp(-Z))).astype(int)
GAPS = X.mask(RNG.random(X.shape) < 0.1)


def brute_force(function, row, background):
    """Shapley values by their definition: every subset of the features."""
    width = len(row)

    @functools.cache
    def worth(known):
        mixed = background.copy()
        mixed[:, list(known)] = row[list(known)]
        return function(mixed).mean()

    values = np.zeros(width)
    for feature in range(width):
        others = [other for other in range(width) if other != feature]
        for size in range(width):
            weight = math.factorial(size) * math.factorial(width - size - 1) / math.factorial(width)
            for known in itertools.combinations(others, size):
                values[feature] += weight * (worth(frozenset({*known, feature})) - worth(frozenset(known)))
    return values


TREES = [
    (ensemble.HistGradientBoostingClassifier(max_iter=5), "margin", X),
    (ensemble.HistGradientBoostingClassifier(max_iter=5), "margin", GAPS),
    (ensemble.GradientBoostingClassifier(n_estimators=5), "margin", X),
    (ensemble.RandomForestClassifier(4, max_depth=5), "probability", X),
    (ensemble.ExtraTreesClassifier(4, max_depth=5), "probability", GAPS),
    (tree.DecisionTreeClassifier(max_depth=4), "probability", X),
    (ensemble.HistGradientBoostingRegressor(max_iter=5), "prediction", X),
    (ensemble.HistGradientBoostingRegressor(max_iter=5, loss="gamma"), "margin", X),
    (ensemble.GradientBoostingRegressor(n_estimators=5), "prediction", X),
    (ensemble.RandomForestRegressor(4, max_depth=5), "prediction", GAPS),
]


@pytest.mark.parametrize(("model", "output", "rows"), TREES, ids=lambda value: type(value).__name__)
def test_tree_contributions_sum_to_the_models_own_output(model, output, rows):
    model.fit(rows, Y + 1.0 if output == "prediction" or "Regressor" in type(model).__name__ else Y)
    found = explain(model, rows)
    own = {
        "margin": lambda: model.decision_function(rows) if hasattr(model, "classes_") else np.log(model.predict(rows)),
        "probability": lambda: model.predict_proba(rows)[:, 1],
        "prediction": lambda: model.predict(rows),
    }[output]()
    assert found.output == output
    frame = found.to_frame()
    assert frame.columns.tolist() == rows.columns.tolist() and frame.index.equals(rows.index)
    assert found.method == "tree, path-dependent"
    np.testing.assert_allclose(found.base_value + found.values.sum(axis=1), own, atol=1e-10)
    assert found.additivity_error < 1e-10


def test_tree_contributions_against_a_background_are_shapley_values_by_definition():
    model = ensemble.GradientBoostingClassifier(n_estimators=10, random_state=0).fit(X, Y)
    background = X.head(20)
    found = explain(model, X.tail(5), background=background)
    function = lambda rows: model.decision_function(pd.DataFrame(rows, columns=X.columns))  # noqa: E731
    for place in range(5):
        wanted = brute_force(function, X.tail(5).to_numpy()[place], background.to_numpy())
        np.testing.assert_allclose(found.values[place], wanted, atol=1e-12)
    assert "20 background rows" in found.notes[1]


def test_a_background_of_more_than_a_hundred_rows_is_used_whole():
    model = ensemble.GradientBoostingRegressor(n_estimators=5).fit(X, Z)
    found = explain(model, X.head(3), background=X)
    assert found.base_value == pytest.approx(model.predict(X).mean(), abs=1e-12)
    assert found.base_value != pytest.approx(model.predict(X.head(100)).mean(), abs=1e-6)


def test_path_dependent_contributions_are_those_of_shap(shap):
    model = ensemble.RandomForestClassifier(5, max_depth=4, random_state=0).fit(X, Y)
    wanted = shap.TreeExplainer(model).shap_values(X)[:, :, 1]
    np.testing.assert_allclose(explain(model, X).values, wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("model", "shap_model"),
    [
        (linear_model.LogisticRegression(), None),
        (linear_model.Ridge(), None),
        (svm.LinearSVC(random_state=0), None),
        (pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()), "scaled"),
    ],
)
def test_linear_models_are_explained_exactly_as_by_shap(shap, model, shap_model):
    model.fit(X, Y)
    found = explain(model, X)
    inner, rows = (model[-1], model[0].transform(X)) if shap_model else (model, X.to_numpy())
    masker = shap.maskers.Independent(rows, max_samples=len(rows))
    wanted = shap.LinearExplainer(inner, masker).shap_values(rows)
    np.testing.assert_allclose(found.values, wanted, atol=1e-9)
    assert "Exact values of a linear model" in found.notes[1]


def called(function, rows, background):
    """The estimate of a function of one output that does not look at the rows' numbers."""
    return [part[..., 0] for part in permutation(lambda mixed, numbers: function(mixed)[:, None], rows, background)]


def test_other_models_are_estimated_within_their_stated_error_of_the_definition(monkeypatch):
    model = svm.SVC(random_state=0).fit(X, Y)
    background = X.head(40)
    function = lambda rows: model.decision_function(pd.DataFrame(rows, columns=X.columns))  # noqa: E731
    rows = X.tail(12).to_numpy()
    values, base, error = called(function, rows, background.to_numpy())
    wanted = np.array([brute_force(function, row, background.to_numpy()) for row in rows])
    np.testing.assert_allclose(base, function(background.to_numpy()).mean())
    np.testing.assert_allclose(base + values.sum(axis=1), function(rows), atol=1e-12)
    off = np.abs(values - wanted) / error
    assert (off < 6).all() and 0.4 < np.median(off) < 1
    exact = explain(model, X.tail(12), background=background)
    np.testing.assert_allclose(exact.values, wanted, atol=1e-12)
    assert exact.method == "enumeration" and exact.error is None
    assert exact.notes[1] == "Exact: every one of 32 sets of features was asked with all 40 background rows."
    monkeypatch.setattr("rca.models.shapdiff.called.MOST", 32 * 40 - 1)
    found = explain(model, X.tail(12), background=background)
    np.testing.assert_allclose(found.values, values)
    np.testing.assert_allclose(found.error, error)
    assert found.method == "permutation"
    assert "standard error of one contribution" in found.notes[1]


SIX = np.random.default_rng(5).normal(size=(400, 6))
LABELS = np.sin(2 * SIX[:, 0]) + SIX[:, 1] * SIX[:, 2] + SIX[:, 3] ** 2 - 1 + SIX[:, 4] > 0
CALLED = {
    "network": neural_network.MLPClassifier((16,), max_iter=60, tol=1, random_state=0),
    "machine": svm.SVC(gamma=0.3),
    "neighbours": neighbors.KNeighborsClassifier(7),
}


@pytest.mark.parametrize("kind", CALLED)
def test_the_truth_lies_within_the_stated_error_as_often_as_a_standard_error_says(kind):
    """68 % within one and 95 % within two, whatever the number of background rows: many of them, few, or one."""
    model = CALLED[kind].fit(SIX, LABELS)
    output = model.decision_function if kind == "machine" else lambda rows: model.predict_proba(rows)[:, 1]
    off = []
    for known in (SIX[:1], SIX[1:2], SIX[2:5], SIX[5:9], SIX[10:20], SIX[20:60], SIX[60:80]):
        values, _, error = called(output, SIX[-6:], known)
        exact, base = enumeration(lambda mixed, numbers: output(mixed)[:, None], SIX[-6:], known)
        np.testing.assert_allclose(base[:, 0], output(known).mean())
        off.append(np.abs(values - exact[..., 0]) / error)
    shares = [(np.concatenate(off) <= reach).mean() for reach in (1, 2, 3.5)]
    assert 0.58 < shares[0] < 0.78 and 0.9 < shares[1] < 0.985 and shares[2] > 0.98, shares


def test_values_from_all_sets_are_those_of_the_definition_for_all_outputs():
    labels = np.where(LABELS, "x", np.where(SIX[:, 5] > 0, "y", "z"))
    table = pd.DataFrame(SIX, columns=list("abcdef"))
    model = linear_model.LogisticRegression().fit(table, labels)
    rows, background = table.tail(3), table.head(12)
    found = explain(model, rows, background=background, output="probability")
    loss = explain(model, rows, background=background, output="loss", y=labels[-3:])
    assert found.method == loss.method == "enumeration"
    for place in range(3):
        chance = lambda mixed: model.predict_proba(pd.DataFrame(mixed, columns=table.columns))  # noqa: E731
        for column in range(3):
            wanted = brute_force(lambda mixed: chance(mixed)[:, column], rows.to_numpy()[place], background.to_numpy())  # noqa: B023
            np.testing.assert_allclose(found.values[place, :, column], wanted, atol=1e-12)
        true = list(model.classes_).index(labels[place - 3])
        cost = lambda mixed: -np.log(chance(mixed)[:, true])  # noqa: B023, E731
        wanted = brute_force(cost, rows.to_numpy()[place], background.to_numpy())
        np.testing.assert_allclose(loss.values[place], wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("model", "features", "known", "method"),
    [
        (linear_model.LogisticRegression(), 10, 100, "enumeration"),
        (linear_model.LogisticRegression(), 11, 100, "permutation"),
        (neighbors.KNeighborsClassifier(), 8, 100, "enumeration"),
        (neighbors.KNeighborsClassifier(), 9, 100, "permutation"),
        (neighbors.KNeighborsClassifier(), 9, 50, "enumeration"),
    ],
)
def test_all_sets_are_asked_where_that_is_affordable(model, features, known, method):
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(known, features))).rename(columns="c{}".format)
    model.fit(table, table["c0"] > 0)
    assert explain(model, table.head(1), background=table, output="probability").method == method


def test_estimates_do_not_depend_on_the_size_of_the_pieces(monkeypatch):
    function = lambda rows: rows[:, 0] * rows[:, 1] + rows[:, 2]  # noqa: E731
    rows, background = X.to_numpy()[:50], X.to_numpy()[50:60]
    whole = called(function, rows, background)[0]
    monkeypatch.setattr("rca.models.shapdiff.estimate.CELLS", 1)
    np.testing.assert_allclose(called(function, rows, background)[0], whole)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_estimates_are_symmetric_and_give_nothing_to_a_dummy(seed):
    rng = np.random.default_rng(seed)
    rows, background = rng.normal(size=(4, 3)), rng.normal(size=(6, 3))
    rows[:, 1], background[:, 1] = rows[:, 0], background[:, 0]
    values = called(lambda table: table[:, 0] + table[:, 1], rows, background)[0]
    np.testing.assert_allclose(values[:, 0], values[:, 1], atol=1e-9)
    np.testing.assert_allclose(values[:, 2], 0.0, atol=1e-12)


def test_categorical_splits_that_shap_gets_wrong_are_exact():
    coded = X.assign(hour=(X["hour"] * 2).round().clip(-3, 3) + 3)
    model = ensemble.HistGradientBoostingClassifier(max_iter=20, categorical_features=["hour"])
    model.fit(coded, coded["hour"].isin([0, 3, 5]))
    background = coded.head(30)
    found = explain(model, coded.tail(2), background=background)
    function = lambda rows: model.decision_function(pd.DataFrame(rows, columns=coded.columns))  # noqa: E731
    for place in range(2):
        wanted = brute_force(function, coded.tail(2).to_numpy()[place], background.to_numpy())
        np.testing.assert_allclose(found.values[place], wanted, atol=1e-12)
    assert explain(model, coded).additivity_error < 1e-10


@pytest.mark.system
def test_xgboost_and_lightgbm_are_explained_in_log_odds():
    import lightgbm
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=5).fit(X, Y)
    found = explain(model, X)
    assert found.output == "margin"
    np.testing.assert_allclose(
        found.base_value + found.values.sum(axis=1), model.predict(X, output_margin=True), atol=1e-4
    )
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(X, Y)
    for one in (model, model.booster_):
        found = explain(one, X)
        assert found.output == "margin"
        np.testing.assert_allclose(
            found.base_value + found.values.sum(axis=1), model.predict(X, raw_score=True), atol=1e-9
        )
    assert explain(xgboost.XGBRegressor(n_estimators=5).fit(X, Z), X).output == "prediction"


@pytest.fixture(scope="module")
def model():
    return ensemble.GradientBoostingClassifier(n_estimators=5, random_state=0).fit(X, Y)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda x: x.drop(columns="age"), UnknownName, "X: missing column 'age'"),
        (lambda x: x.rename(columns={"age": "agee"}), UnknownName, "missing column 'age'; did you mean 'agee'"),
        (lambda x: x.assign(colour=1), UnknownName, "X: the model does not know column 'colour'"),
        (lambda x: x[x.columns[::-1]], InputError, "X: column 1 is 'unused' where the model was fitted on 'amount'"),
        (lambda x: x.head(0), InputError, "X has no rows"),
        (lambda x: x[[]], InputError, "X has no columns"),
        (lambda x: x.to_numpy(), InputError, "X is a ndarray; a DataFrame"),
        (lambda x: x.assign(age="old"), InputError, "X: column 'age' is str; only numbers"),
        (lambda x: x.assign(age=x["age"].where(x.index != 7)), InputError, "'age' has a missing value in row 7"),
        (
            lambda x: x.assign(age=x["age"].where(x.index != 7, -np.inf)),
            InputError,
            "'age' has an infinite value in row 7",
        ),
        (lambda x: pd.concat([x, x["age"]], axis=1), InputError, "column 'age' is there more than once"),
    ],
)
def test_rows_that_do_not_fit_the_model_are_refused_by_column_and_row(model, change, kind, message):
    with pytest.raises(kind, match=message):
        explain(model, change(X))


def test_the_background_is_checked_like_the_rows(model):
    with pytest.raises(InputError, match="background has no rows"):
        explain(model, X, background=X.head(0))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: ensemble.GradientBoostingClassifier(), "GradientBoostingClassifier is not fitted"),
        (lambda: "a model", "a str is no model"),
        (lambda: svm.SVC(decision_function_shape="ovo").fit(X, Y + (X["hour"] > 1)), "SVC gives classes only"),
        (lambda: ensemble.IsolationForest(n_estimators=2).fit(X), "neither a classifier nor a regression"),
        (lambda: linear_model.Ridge().fit(X, X[["age", "hour"]]), "predicts several targets"),
        (lambda: linear_model.Ridge().fit(X.to_numpy()[:, :3], Z), "X has 5 columns; the model was fitted on 3"),
    ],
)
def test_models_that_cannot_be_explained_are_refused(made, message):
    with pytest.raises(InputError, match=message):
        explain(made(), X)


def test_a_pipeline_that_fills_gaps_may_have_them_and_one_that_does_not_says_so():
    filled = pipeline.make_pipeline(impute.SimpleImputer(), linear_model.LogisticRegression()).fit(GAPS, Y)
    found = explain(filled, GAPS.head(40))
    np.testing.assert_allclose(
        found.base_value + found.values.sum(axis=1), filled.decision_function(GAPS.head(40)), atol=1e-9
    )
    bare = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()).fit(X, Y)
    with pytest.raises(InputError, match=r"the Pipeline cannot predict these rows: .*NaN"):
        explain(bare, GAPS)


def test_nothing_is_changed_printed_or_drawn_from_the_global_generator(model, capfd):
    rows, state = X.copy(), np.random.get_state()[1].copy()
    explain(svm.SVC().fit(X, Y), X.head(5))
    first = explain(model, rows)
    pd.testing.assert_frame_equal(rows, X)
    assert (np.random.get_state()[1] == state).all()
    assert capfd.readouterr() == ("", "")
    pd.testing.assert_frame_equal(explain(model, rows).to_frame(), first.to_frame())


def test_ids_tell_models_and_rows_apart(model):
    one = explain(model, X)
    other = explain(ensemble.GradientBoostingClassifier(n_estimators=6, random_state=0).fit(X, Y), X)
    moved = explain(model, X.assign(age=X["age"] + 1e-9))
    same = explain(model, X.set_axis(range(5, 305)).astype("float64"))
    assert (one.model_id == moved.model_id == same.model_id) and one.model_id != other.model_id
    assert (one.rows_id == other.rows_id == same.rows_id) and one.rows_id != moved.rows_id


# ---- compare


def attribution(values, model="model", rows="rows", base=0.0, output="margin"):
    return Attribution.from_frame(pd.DataFrame(values), base, output=output, model_id=model, rows_id=rows)


ONE = {"a": RNG.normal(size=40), "b": RNG.normal(size=40), "c": RNG.normal(size=40)}
TWO = {"a": RNG.normal(size=30) * 3, "b": RNG.normal(size=30), "c": RNG.normal(size=30)}


def test_two_models_on_the_same_rows_are_paired_and_without_refits_not_judged():
    after = {name: values * 1.5 for name, values in ONE.items()}
    table = compare(attribution(ONE), attribution(after, model="other"))
    for name in ONE:
        wanted = stats.ttest_rel(np.abs(after[name]), np.abs(ONE[name])).confidence_interval(0.95)
        assert (table.loc[name, "low"], table.loc[name, "high"]) == pytest.approx(tuple(wanted))
    assert table["p_adjusted"].isna().all() and table["flagged"].isna().all()
    assert table["flagged"].dtype == "boolean"
    assert set(table["noise_source"]) == {"training noise not measured"}


def test_a_retrained_model_is_not_blamed_and_a_reweighted_feature_is_named():
    rng = np.random.default_rng(3)

    def world(count):
        rows = pd.DataFrame(rng.normal(size=(count, 4)), columns=list("abcd"))
        return rows, rng.random(count) < 1 / (1 + np.exp(-1.5 * rows["a"] - rows["b"]))

    def fit(rows, label, weight=None):
        return ensemble.GradientBoostingClassifier(n_estimators=15, random_state=0).fit(
            rows, label, sample_weight=weight
        )

    (first, label), (second, other), (holdout, _) = world(800), world(800), world(200)
    before = explain(fit(first, label), holdout)
    draws = [rng.integers(0, 800, 800) for _ in range(6)]
    refits = [explain(fit(first.iloc[draw], label.iloc[draw]), holdout) for draw in draws]
    quiet = compare(before, explain(fit(second, other), holdout), refits=refits)
    assert not quiet["flagged"].any()
    weight = np.where(other & (second["d"] > 0), 5.0, 1.0)
    loud = compare(before, explain(fit(second, other, weight), holdout), refits=refits)
    assert loud.index[0] == "d" and loud["flagged"].iloc[0]


def test_a_feature_that_no_model_uses_has_no_difference_and_no_flag():
    zero = np.zeros(40)
    table = compare(attribution({"a": ONE["a"], "u": zero}), attribution({"a": TWO["a"], "u": zero[:30]}, rows="other"))
    row = table.loc["u"]
    assert (row["difference"], row["low"], row["high"], row["p_adjusted"], row["flagged"]) == (0, 0, 0, 1, False)


def test_ties_share_the_worst_rank_and_stand_by_name():
    table = compare(
        attribution({"b": [1.0] * 9, "a": [1.0] * 9}), attribution({"b": [2.0] * 9, "a": [2.0] * 9}, rows="o")
    )
    assert table.index.tolist() == ["a", "b"] and table["rank"].tolist() == [2, 2]
    assert table["flagged"].all()


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (attribution(ONE, model="other", rows="other"), "both the model and the rows differ.*hold one fixed"),
        (attribution({"a": ONE["a"]}, rows="other"), "different features: b, c"),
        (attribution(dict(reversed(ONE.items())), rows="other"), "different features: another order"),
        (
            attribution(ONE, rows="other", output="probability"),
            "before is explained as margin and after as probability",
        ),
        (attribution(ONE, rows="other", base=0.1), "give both calls of explain the same background"),
        (attribution({name: values[:1] for name, values in ONE.items()}, rows="other"), "at least two rows"),
    ],
)
def test_attributions_that_cannot_be_compared_are_refused(after, message):
    with pytest.raises(InputError, match=message):
        compare(attribution(ONE), after)


def test_explanations_against_two_backgrounds_are_not_compared(model):
    other = linear_model.LogisticRegression().fit(X, Y)
    with pytest.raises(InputError, match=r"before was explained against background .* and after against background"):
        compare(explain(other, X, background=X[:20]), explain(model, X, background=X[20:40]))
    with pytest.raises(InputError, match="and after against no background"):
        compare(explain(model, X, background=X[:20]), explain(model, X[200:]))
    windows = [(X[:150], Y[:150], X[:20]), (X[150:], Y[150:], X[150:170])]
    losses = [explain(model, rows, y=y, background=some, output="loss") for rows, y, some in windows]
    with pytest.raises(InputError, match="after against background"):
        compare(*losses)


def test_losses_of_other_labels_are_losses_of_other_rows(model):
    made = [explain(model, X[:30], background=X[:20], output="loss", y=y[:30]) for y in (Y, Y, 1 - Y)]
    assert made[0].rows_id == made[1].rows_id != made[2].rows_id


def test_models_of_other_classes_are_not_compared():
    forest = ensemble.RandomForestClassifier(3, random_state=0)
    made = [explain(clone(forest).fit(X, np.array(list(names) * 100)), X) for names in ("abc", "abd")]
    with pytest.raises(InputError, match="before has the classes 'a', 'b', 'c' and after 'a', 'b', 'd'"):
        compare(*made)


def test_alpha_and_refits_are_checked():
    other = attribution(ONE, model="other")
    with pytest.raises(InputError, match="alpha is 5"):
        compare(attribution(ONE), other, alpha=5)
    with pytest.raises(InputError, match="1 refits were given; at least 4 are wanted"):
        compare(attribution(ONE), other, refits=[other])
    with pytest.raises(InputError, match="only for two models"):
        compare(attribution(ONE), attribution(TWO, rows="other"), refits=[other] * 4)
    with pytest.raises(InputError, match=r"refits\[3\] is explained on other rows"):
        compare(attribution(ONE), other, refits=[*[other] * 3, attribution(TWO, rows="elsewhere")])


def test_two_windows_of_a_model_that_is_no_tree_can_be_compared_with_its_reference():
    model = linear_model.LogisticRegression().fit(X, Y)
    first, second = X.iloc[:60], X.iloc[60:]
    background = reference(model, first)
    table = compare(*(explain(model, rows, background=background) for rows in (first, second)))
    assert len(table) == X.shape[1]
    assert reference(ensemble.RandomForestClassifier(n_estimators=2).fit(X, Y), first) is None

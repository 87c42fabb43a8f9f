"""What `explain` makes of outputs, classes, pipelines and bad input; `test_shapdiff.py` has the kinds of models."""

import numpy as np
import pandas as pd
import pytest
from sklearn import (
    compose,
    decomposition,
    ensemble,
    impute,
    linear_model,
    model_selection,
    naive_bayes,
    pipeline,
    preprocessing as prep,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer

from rca.errors import AnalysisError, InputError, NotAdditive, UnknownName
from rca.models.shapdiff import explain, reference

RNG = np.random.default_rng(5)
N = 240
X = pd.DataFrame(
    {
        "amount": RNG.normal(size=N),
        "age": np.where(RNG.random(N) < 0.2, np.nan, RNG.normal(size=N)),
        "city": RNG.choice(["bern", "oslo", "rome"], N),
        "tier": RNG.choice(["a", "b"], N),
        "text": [" ".join(RNG.choice(["refund", "late", "good", "fast", "bad"], 4)) for _ in range(N)],
    }
)
SCORE = X["amount"] + 2 * X["city"].eq("rome") + X["text"].str.count("bad") + RNG.normal(size=N)
Y = (SCORE > 1.5).map({True: "fraud", False: "fine"})
THREE = pd.cut(SCORE, 3, labels=["low", "mid", "top"]).astype(str)
NUMBERS = X[["amount", "age"]].fillna(0.0).assign(hour=RNG.normal(size=N))
SOME, KNOWN = slice(0, 25), slice(100, 130)


@pytest.fixture(scope="module")
def booster():
    return ensemble.GradientBoostingClassifier(n_estimators=8, random_state=0).fit(NUMBERS, Y)


@pytest.mark.parametrize("output", ["probability", "loss"])
def test_probability_and_loss_follow_the_margin_against_each_background_row(booster, output):
    rows, known, labels = NUMBERS[SOME], NUMBERS[KNOWN], Y[SOME] if output == "loss" else None
    found = explain(booster, rows, background=known, output=output, y=labels)

    def own(margin):
        if output == "probability":
            return 1 / (1 + np.exp(-margin))
        return np.log1p(np.exp(np.where(Y[SOME] == "fraud", -margin, margin)))

    wanted, base = np.zeros(rows.shape), np.zeros(len(rows))
    there = booster.decision_function(rows)
    for place in range(len(known)):
        one = known.iloc[[place]]
        here = booster.decision_function(one)[0]
        with np.errstate(invalid="ignore"):
            slope = np.where(there == here, 0.0, (own(there) - own(here)) / (there - here))
        wanted += explain(booster, rows, background=one).values * slope[:, None] / len(known)
        base += own(np.full(len(rows), here)) / len(known)
    np.testing.assert_allclose(found.values, wanted, atol=1e-9)
    np.testing.assert_allclose(found.base_values, base if output == "loss" else base[0], atol=1e-12)
    assert found.output == output and found.additivity_error < 1e-9
    assert found.base_value == pytest.approx(base.mean())


@pytest.mark.parametrize("output", ["margin", "probability"])
@pytest.mark.parametrize(
    "model",
    [
        ensemble.HistGradientBoostingClassifier(max_iter=4),
        ensemble.ExtraTreesClassifier(5, max_depth=4),
        linear_model.LogisticRegression(),
        naive_bayes.GaussianNB(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_several_classes_have_a_value_each(model, output):
    rows = NUMBERS[SOME]
    model.fit(NUMBERS, THREE)
    found = explain(model, rows, background=NUMBERS[KNOWN], output=output)
    margin = output == "margin" and hasattr(model, "decision_function")
    own = model.decision_function(rows) if margin else model.predict_proba(rows)
    assert found.output == ("margin" if margin else "probability")
    assert found.values.shape == (25, 3, 3) and found.classes == ("low", "mid", "top")
    np.testing.assert_allclose(found.values.sum(axis=1) + found.base_values, own, atol=1e-9)
    frame = found.to_frame()
    np.testing.assert_array_equal(frame["mid"]["age"], found.values[:, 1, 1])
    assert frame.columns.names == ["class", "feature"] and frame.index.equals(rows.index)
    with pytest.raises(InputError, match="3 classes, each with its own base value"):
        found.base_value  # noqa: B018


@pytest.mark.parametrize(
    "model",
    [
        ensemble.HistGradientBoostingClassifier(max_iter=4),
        ensemble.RandomForestClassifier(5, min_samples_leaf=40),
        linear_model.LogisticRegression(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_log_loss_of_several_classes_adds_up_to_the_models_own(model):
    model.fit(NUMBERS, THREE)
    found = explain(model, NUMBERS[SOME], background=NUMBERS[KNOWN], output="loss", y=THREE[SOME])
    own = model.predict_proba(NUMBERS[SOME])[np.arange(25), THREE[SOME].map({"low": 0, "mid": 1, "top": 2})]
    np.testing.assert_allclose(found.base_values + found.values.sum(axis=1), -np.log(own), atol=1e-9)
    assert found.classes == () and found.base_values.shape == (25,)


def test_squared_error_of_a_forest_is_shapleys_division_of_it():
    model = ensemble.RandomForestRegressor(5, max_depth=3, random_state=0).fit(NUMBERS, SCORE)
    found = explain(model, NUMBERS[SOME], background=NUMBERS[KNOWN], output="loss", y=SCORE[SOME])
    own = (model.predict(NUMBERS[SOME]) - SCORE[SOME]) ** 2
    np.testing.assert_allclose(found.base_values + found.values.sum(axis=1), own, atol=1e-9)
    by_row = ((model.predict(NUMBERS[KNOWN])[None, :] - SCORE[SOME].to_numpy()[:, None]) ** 2).mean(axis=1)
    np.testing.assert_allclose(found.base_values, by_row, atol=1e-9)


def columns():
    filled = pipeline.make_pipeline(impute.SimpleImputer(add_indicator=True), prep.StandardScaler())
    return compose.ColumnTransformer(
        [
            ("numbers", filled, ["amount", "age"]),
            ("city", prep.OneHotEncoder(drop="first"), ["city"]),
            ("tier", prep.TargetEncoder(cv=3), ["tier"]),
            ("text", TfidfVectorizer(), "text"),
        ],
        sparse_threshold=0,
    )


OWNERS = [0, 1, 1, 2, 2, 3, 4, 4, 4, 4, 4]  # amount; age and whether it is there; oslo, rome; tier; five words


@pytest.mark.parametrize("against", [False, True])
@pytest.mark.parametrize(
    "last",
    [ensemble.RandomForestClassifier(8, max_depth=4, random_state=0), linear_model.LogisticRegression()],
    ids=lambda model: type(model).__name__,
)
def test_a_pipeline_is_its_inner_model_summed_up_by_raw_column(last, against):
    model = pipeline.make_pipeline(columns(), last).fit(X, Y)
    names = [f"c{place}" for place in range(len(OWNERS))]
    bare = pd.DataFrame(model[0].transform(X), columns=names)
    alone = model[-1]
    known, raw_known = (bare[KNOWN], X[KNOWN]) if against else (None, None)
    inner = explain(alone, bare[SOME], background=known).to_frame()
    found = explain(model, X[SOME], background=raw_known)
    wanted = np.stack([inner.to_numpy()[:, np.array(OWNERS) == raw].sum(axis=1) for raw in range(5)], axis=1)
    np.testing.assert_allclose(found.values, wanted, atol=1e-9)
    assert found.columns.tolist() == X.columns.tolist()
    tokens = found.tokens.set_index("token")["mean_abs_shap"]
    words = ["bad", "fast", "good", "late", "refund"]
    np.testing.assert_allclose(tokens[words], inner.iloc[:, 6:].abs().mean(), atol=1e-9)
    assert tokens.is_monotonic_decreasing and set(found.tokens["feature"]) == {"text"}


def test_many_inner_columns_are_done_in_slices_with_the_same_result(monkeypatch):
    model = pipeline.make_pipeline(columns(), ensemble.GradientBoostingClassifier(n_estimators=4)).fit(X, Y)
    more = {"background": X[KNOWN], "output": "loss", "y": Y[SOME]}
    whole = explain(model, X[SOME], **more)
    monkeypatch.setattr("rca.models.shapdiff.exact.ROOM", 40)
    parts = explain(model, X[SOME], **more)
    np.testing.assert_allclose(parts.values, whole.values, atol=1e-9)
    np.testing.assert_allclose(parts.base_values, whole.base_values, atol=1e-12)
    np.testing.assert_allclose(parts.tokens["mean_abs_shap"], whole.tokens["mean_abs_shap"], atol=1e-9)


STEPS = [
    (pipeline.FeatureUnion([("one", prep.StandardScaler()), ("bins", prep.KBinsDiscretizer(3))]), "linear"),
    (prep.FunctionTransformer(np.arctan), "linear"),
    (prep.SplineTransformer(n_knots=3), "linear"),
    (compose.make_column_transformer((prep.PolynomialFeatures(2), ["age"]), remainder="passthrough"), "linear"),
    (compose.make_column_transformer(("drop", [0]), (prep.MinMaxScaler(), slice(1, 3))), "linear"),
    (pipeline.make_pipeline(prep.OrdinalEncoder(), "passthrough"), "linear"),
    (prep.PolynomialFeatures(2), "enumeration"),
    (decomposition.PCA(2), "enumeration"),
    (prep.Normalizer(), "enumeration"),
]


@pytest.mark.parametrize(("step", "method"), STEPS, ids=lambda value: type(value).__name__)
def test_steps_that_keep_columns_apart_are_followed_and_others_named(step, method):
    model = pipeline.Pipeline([("made", step), ("last", linear_model.Ridge())]).fit(NUMBERS, SCORE)
    found = explain(model, NUMBERS[SOME], background=NUMBERS[KNOWN])
    assert found.method == method
    np.testing.assert_allclose(found.base_value + found.values.sum(axis=1), model.predict(NUMBERS[SOME]), atol=1e-9)
    if method == "enumeration":
        assert "step 'made'" in found.notes[2] and type(step).__name__ in found.notes[2]
        assert found.error is None
        assert len(reference(model, NUMBERS)) == 100


def test_raw_columns_of_any_kind_are_switched_where_steps_mix_them():
    two = pipeline.make_pipeline(impute.SimpleImputer(), decomposition.PCA(2))
    apart = prep.OneHotEncoder(sparse_output=False)
    made = compose.make_column_transformer((two, ["amount", "age"]), (apart, ["city"]))
    model = pipeline.make_pipeline(made, linear_model.Ridge()).fit(X, SCORE)
    found = explain(model, X[SOME], background=X[KNOWN])
    # The city is not mixed with anything, and the model is additive: its value is known.
    slope = dict(zip(["bern", "oslo", "rome"], model[-1].coef_[2:], strict=True))
    wanted = X["city"][SOME].map(slope) - X["city"][KNOWN].map(slope).mean()
    np.testing.assert_allclose(found.to_frame()["city"], wanted, atol=1e-9)
    np.testing.assert_allclose(found.to_frame()[["tier", "text"]], 0.0, atol=1e-12)


def test_a_model_of_texts_alone_has_one_feature_and_its_tokens():
    model = pipeline.make_pipeline(CountVectorizer(), TfidfTransformer(), linear_model.LogisticRegression())
    model.fit(X["text"], Y)
    found = explain(model, X[["text"]][SOME])
    own = model.decision_function(X["text"][SOME])
    np.testing.assert_allclose(found.values[:, 0] + found.base_value, own, atol=1e-9)
    assert sorted(found.tokens["token"]) == ["bad", "fast", "good", "late", "refund"]
    assert found.tokens["token"].iloc[0] == "bad"
    with pytest.raises(InputError, match="X has 5 columns; the model was fitted on 1"):
        explain(model, X)


def test_a_finished_search_is_its_best_model():
    search = model_selection.GridSearchCV(ensemble.RandomForestRegressor(3, random_state=0), {"max_depth": [2]}, cv=2)
    search.fit(NUMBERS, SCORE)
    wanted = explain(search.best_estimator_, NUMBERS[SOME]).values
    np.testing.assert_array_equal(explain(search, NUMBERS[SOME]).values, wanted)


def test_categories_are_taken_and_unseen_ones_named():
    table = X[["amount", "age", "city"]].astype({"city": "category"})
    model = ensemble.HistGradientBoostingClassifier(max_iter=5).fit(table, Y)
    found = explain(model, table[SOME], background=table[KNOWN], output="loss", y=Y[SOME])
    assert found.additivity_error < 1e-9
    odd = table[SOME].assign(city=X["city"][SOME].where(X.index[SOME] != 7, "paris").astype("category"))
    with pytest.raises(UnknownName, match=r"X: column 'city' has the category 'paris' in row 7"):
        explain(model, odd)
    with pytest.raises(InputError, match="column 'city' is str; only numbers and categories"):
        explain(model, X[["amount", "age", "city"]])
    moved = pipeline.make_pipeline(columns(), linear_model.LogisticRegression()).fit(X, Y)
    odd = X[SOME].assign(city=X["city"][SOME].where(X.index[SOME] != 7, "romes"))
    with pytest.raises(UnknownName, match=r"'city' has the category 'romes' in row 7, .*OneHotEncoder.*mean 'rome'"):
        explain(moved, odd)


@pytest.mark.parametrize(
    ("more", "kind", "message"),
    [
        ({"output": "odds"}, InputError, "output is 'odds'; known: loss, margin, probability"),
        ({"output": "loss"}, InputError, "output='loss' needs y"),
        ({"y": Y}, InputError, "y is for output='loss', not for 'margin'"),
        ({"output": "loss", "y": Y}, InputError, "output='loss' needs a background"),
        ({"output": "probability"}, InputError, "output='probability' of a GradientBoostingClassifier needs a backgr"),
        ({"y": Y.head(3)}, InputError, "y has another index than X"),
        ({"y": Y.tolist()[:3]}, InputError, r"y has the shape \(3,\); one label for each of the 240 rows"),
        ({"y": Y.where(Y.index != 7, "fraude")}, InputError, "row 7 has 'fraude', .* classes .*mean 'fraud'"),
        ({"y": Y.where(Y.index != 7, None)}, InputError, "y: row 7 has"),
        ({"background": NUMBERS.head(0)}, InputError, "background has no rows"),
        ({"background": NUMBERS.assign(hour=np.inf)}, InputError, "background: column 'hour' has an infinite value"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(booster, more, kind, message):
    if "y" in more and message.startswith(("y has", "row", "y: row")):
        more = {"output": "loss", "background": NUMBERS[KNOWN], **more}
    with pytest.raises(kind, match=message):
        explain(booster, NUMBERS, **more)


def test_the_target_of_a_regression_is_finite():
    model = ensemble.HistGradientBoostingRegressor(max_iter=2).fit(NUMBERS, SCORE)
    with pytest.raises(InputError, match="y: row 3 has inf; a finite number is wanted"):
        odd = SCORE.where(SCORE.index != 3, np.inf)
        explain(model, NUMBERS, background=NUMBERS[KNOWN], output="loss", y=odd)


def test_an_infinite_loss_is_an_error():
    model = ensemble.RandomForestClassifier(2, random_state=0).fit(NUMBERS, Y)
    with pytest.raises(AnalysisError, match="probability 0, so the log loss is infinite"):
        explain(model, NUMBERS, background=NUMBERS[KNOWN], output="loss", y=Y[::-1].to_numpy())


class Odd(ensemble.GradientBoostingRegressor):
    """A model that predicts something else than its trees for rows of high amount."""

    def predict(self, rows):
        return super().predict(rows) + 1e-6 * (np.asarray(rows)[:, 0] > 2)


def test_a_sum_that_is_not_the_models_own_output_is_an_error_that_names_the_rows():
    model = Odd(n_estimators=3).fit(NUMBERS, SCORE)
    high = NUMBERS.index[NUMBERS["amount"] > 2].tolist()
    assert 0 < len(high) < 10
    with pytest.raises(NotAdditive, match=rf"in {len(high)} of 240 rows: {high[0]}.*; worst is row"):
        explain(model, NUMBERS)


@pytest.mark.system
def test_catboost_is_explained_by_itself():
    import catboost

    table = X[["amount", "age", "city"]]
    for labels, width in ((Y, ()), (THREE, (3,))):
        quiet = {"verbose": False, "allow_writing_files": False}
        model = catboost.CatBoostClassifier(iterations=4, cat_features=["city"], **quiet).fit(table, labels)
        found = explain(model, table[SOME])
        own = model.predict(table[SOME], prediction_type="RawFormulaVal")
        assert found.method == "catboost, path-dependent" and found.values.shape == (25, 3, *width)
        np.testing.assert_allclose(found.values.sum(axis=1) + found.base_values, own, atol=1e-9)
        assert explain(model, table[SOME], background=table[KNOWN]).method == "enumeration"


@pytest.mark.system
def test_boosters_in_pipelines_take_sparse_rows_as_their_library_does():
    import xgboost

    made = compose.make_column_transformer((CountVectorizer(), "text"), (prep.OneHotEncoder(), ["city"]))
    model = pipeline.make_pipeline(made, xgboost.XGBRegressor(n_estimators=6)).fit(X, SCORE)
    found = explain(model, X[SOME], background=X[KNOWN])
    total = found.base_value + found.values.sum(axis=1)
    np.testing.assert_allclose(total, model.predict(X[SOME]), rtol=1e-4, atol=1e-4)
    assert (found.to_frame()[["amount", "age", "tier"]] == 0).all(axis=None)

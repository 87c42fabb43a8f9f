"""What `explain` makes of outputs, classes, pipelines and bad input; `test_shapdiff.py` has the kinds of models."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import (
    compose,
    decomposition,
    ensemble,
    impute,
    linear_model,
    metrics,
    model_selection,
    multiclass,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing as prep,
    tree,
)
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer

from rca.errors import InputError, NotAdditive, UnknownName
from rca.models.shapdiff import compare, explain, kernel, reference

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
PAIR = np.column_stack([Y == "fraud", Y == "fine"]).astype(int)


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
        (
            {"y": Y.to_frame().to_numpy()},
            InputError,
            r"y has the shape \(240, 1\); .* in one dimension; give its one column",
        ),
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


EPS = np.finfo(float).eps
CERTAIN = [
    ensemble.RandomForestClassifier(4, random_state=0),
    tree.DecisionTreeClassifier(random_state=0),
    neighbors.KNeighborsClassifier(3),
]


@pytest.mark.parametrize("model", CERTAIN, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("labels", [Y, THREE], ids=["two", "three"])
def test_sure_mistakes_cost_what_scikit_learn_lets_them_cost_and_are_counted(model, labels):
    model = clone(model).fit(NUMBERS[60:], labels[60:])
    rows, known, truth = NUMBERS[:60], NUMBERS[60:130], labels[:60]
    found = explain(model, rows, background=known, output="loss", y=truth)
    wanted = [
        metrics.log_loss([label], [chance], labels=model.classes_)
        for label, chance in zip(truth, model.predict_proba(rows), strict=True)
    ]
    np.testing.assert_allclose(found.base_values + found.values.sum(axis=1), wanted, atol=1e-9)
    places = [list(model.classes_).index(label) for label in truth]
    zero = (model.predict_proba(rows)[np.arange(60), places] == 0).sum()
    others = (model.predict_proba(known) == 0).any(axis=1).sum()
    assert zero > 0 and found.notes[-1].startswith(
        f"The model gives the true class the probability 0 in {zero} of 60 rows, and a class that is true somewhere in "
        f"{others} of 70 background rows: that counts as a log loss of 36,"
    )
    bases = -np.log(np.clip(model.predict_proba(known)[:, places], EPS, 1)).mean(axis=0)
    np.testing.assert_allclose(found.base_values, bases, atol=1e-9)


def test_losses_of_a_sure_forest_follow_the_margin_against_each_background_row():
    model = ensemble.RandomForestClassifier(5, random_state=0).fit(NUMBERS[60:], Y[60:])
    rows, known, truth = NUMBERS[:30], NUMBERS[60:80], Y[:30]
    found = explain(model, rows, background=known, output="loss", y=truth)
    column = (truth == "fraud").to_numpy().astype(int)
    there = model.predict_proba(rows)[np.arange(30), column]
    cost = lambda chance: -np.log(np.maximum(chance, EPS))  # noqa: E731
    wanted = np.zeros(rows.shape)
    for place in range(len(known)):
        one = known.iloc[[place]]
        here = model.predict_proba(one)[0, column]
        with np.errstate(invalid="ignore"):
            slope = np.where(
                there == here, -1 / np.maximum(here, EPS) * (here > 0), (cost(there) - cost(here)) / (there - here)
            )
        towards = np.where(column == 1, 1, -1)
        wanted += explain(model, rows, background=one).values * (towards * slope)[:, None] / len(known)
    np.testing.assert_allclose(found.values, wanted, atol=1e-9)


def test_a_losses_note_is_there_only_where_it_was_cut():
    model = linear_model.LogisticRegression().fit(NUMBERS, Y)
    found = explain(model, NUMBERS[SOME], background=NUMBERS[KNOWN], output="loss", y=Y[SOME])
    assert len(found.notes) == 2


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


@pytest.mark.parametrize(
    "made",
    [
        lambda: neural_network.MLPClassifier((3,), max_iter=400, random_state=0).fit(NUMBERS, PAIR),
        lambda: multiclass.OneVsRestClassifier(linear_model.LogisticRegression()).fit(NUMBERS, PAIR),
        lambda: linear_model.RidgeClassifier().fit(NUMBERS, PAIR),
    ],
)
def test_classifiers_of_several_labels_a_row_are_refused(made):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = made()
    with pytest.raises(InputError, match=f"the {type(model).__name__} was fitted on several targets; only one"):
        explain(model, NUMBERS[SOME], background=NUMBERS[KNOWN])


@pytest.mark.parametrize("model", [linear_model.LogisticRegression(), naive_bayes.GaussianNB()])
def test_rows_that_are_all_the_same_cannot_be_their_own_background(model):
    model.fit(NUMBERS, Y)
    with pytest.raises(InputError, match=r"X has one row and would be its own background, .* give background"):
        explain(model, NUMBERS[:1])
    with pytest.raises(InputError, match="X has 2 equal rows"):
        explain(model, NUMBERS.iloc[[3, 3]])
    found = explain(model, NUMBERS[:1], background=NUMBERS[KNOWN])
    assert (found.values != 0).all()


RAW = pipeline.make_pipeline(
    compose.make_column_transformer(
        (impute.SimpleImputer(), ["amount", "age"]), (prep.OneHotEncoder(sparse_output=False), ["city"]),
        (TfidfVectorizer(), "text"), sparse_threshold=0,
    ),
    linear_model.LogisticRegression(),
)  # fmt: skip
RAW_TREE = clone(RAW).set_params(logisticregression=tree.DecisionTreeRegressor(max_depth=3))


@pytest.mark.parametrize(
    ("model", "labels"),
    [
        (CalibratedClassifierCV(RAW, cv=2), Y),
        (ensemble.VotingClassifier([("one", RAW)], voting="soft"), Y),
        (ensemble.StackingClassifier([("one", RAW)], cv=2), Y),
        (compose.TransformedTargetRegressor(RAW_TREE, func=np.sinh, inverse_func=np.arcsinh), SCORE),
    ],
    ids=lambda value: type(value).__name__,
)
def test_models_around_a_pipeline_take_whatever_it_takes(model, labels):
    model = clone(model).fit(X, labels)
    found = explain(model, X[SOME][:5], background=X[KNOWN][:6], output="probability")
    own = model.predict_proba(X[SOME][:5])[:, 1] if hasattr(model, "classes_") else model.predict(X[SOME][:5])
    np.testing.assert_allclose(found.base_value + found.values.sum(axis=1), own, atol=1e-9)
    np.testing.assert_allclose(found.to_frame()["tier"], 0.0, atol=1e-12)
    assert (found.to_frame()[["city", "text"]] != 0).any().all()


def test_models_around_a_plain_model_still_say_that_they_take_numbers():
    model = ensemble.VotingClassifier([("one", linear_model.LogisticRegression())]).fit(NUMBERS, Y)
    with pytest.raises(InputError, match="X: column 'hour' is str; only numbers can be explained"):
        explain(model, NUMBERS.assign(hour="noon"))


def test_a_model_around_a_counter_of_words_is_given_the_texts():
    inner = pipeline.make_pipeline(CountVectorizer(), linear_model.LogisticRegression())
    model = CalibratedClassifierCV(inner, cv=2).fit(X["text"], Y)
    found = explain(model, X[["text"]][SOME], background=X[["text"]][KNOWN])
    own = model.predict_proba(X["text"][SOME])[:, 1]
    np.testing.assert_allclose(found.base_value + found.values[:, 0], own, atol=1e-9)


def test_neighbours_asked_in_between_are_the_same_model():
    for kind in ("kd_tree", "ball_tree"):
        model = neighbors.KNeighborsClassifier(30, algorithm=kind).fit(NUMBERS, Y)
        first, second = (explain(model, rows, background=NUMBERS[KNOWN]) for rows in (NUMBERS[:30], NUMBERS[30:70]))
        assert first.model_id == second.model_id and len(compare(first, second)) == 3
        other = neighbors.KNeighborsClassifier(30, algorithm=kind).fit(NUMBERS + 1e-9, Y)
        assert explain(other, NUMBERS[:30], background=NUMBERS[KNOWN]).model_id != first.model_id


@pytest.mark.parametrize(
    "model",
    [
        linear_model.PoissonRegressor(),
        linear_model.GammaRegressor(),
        linear_model.TweedieRegressor(power=1.5),
        linear_model.TweedieRegressor(power=0, link="log"),
        pipeline.make_pipeline(prep.StandardScaler(), linear_model.PoissonRegressor()),
    ],
    ids=lambda model: str(model)[:24],
)
def test_regressions_of_a_logarithm_are_exact_in_it(shap, model):
    model.fit(NUMBERS, np.exp(SCORE / 3))
    found = explain(model, NUMBERS[SOME], background=NUMBERS[KNOWN])
    assert (found.method, found.output) == ("linear", "margin")
    last, apart = (model[-1], model[0].transform) if hasattr(model, "steps") else (model, np.asarray)
    wanted = shap.LinearExplainer((last.coef_, last.intercept_), apart(NUMBERS[KNOWN])).shap_values(
        apart(NUMBERS[SOME])
    )
    np.testing.assert_allclose(found.values, wanted, atol=1e-9)
    np.testing.assert_allclose(found.base_value + found.values.sum(axis=1), np.log(model.predict(NUMBERS[SOME])))
    assert explain(model, NUMBERS[SOME], background=NUMBERS[KNOWN], output="probability").output == "prediction"


def test_a_tweedie_regression_without_a_link_is_in_the_unit_of_the_target():
    found = explain(linear_model.TweedieRegressor(power=0).fit(NUMBERS, SCORE), NUMBERS[SOME])
    assert (found.method, found.output) == ("linear", "prediction")


MORE = [{}, {"background": NUMBERS[KNOWN]}, {"output": "loss"}]


@pytest.mark.parametrize("more", MORE, ids=["alone", "background", "loss"])
def test_values_do_not_depend_on_the_number_of_cores(monkeypatch, more):
    model = ensemble.HistGradientBoostingClassifier(max_iter=12, random_state=0).fit(NUMBERS, Y)
    if "output" in more:
        more = {"background": NUMBERS[KNOWN], "y": Y, **more}
    monkeypatch.setattr(kernel, "GROUPS", 1e-3)  # small models are shared out, too
    found = set()
    for cores in (1, 2, 3, 8):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        found.add(explain(model, NUMBERS, **more).values.tobytes())
    assert len(found) == 1


class Duck:
    """A model of another library, that reads columns by their names."""

    def predict(self, rows):
        return 2 * rows["amount"].to_numpy() + rows["hour"].to_numpy()


def test_a_model_that_is_neither_scikit_learns_nor_tells_what_it_was_fitted_on_is_given_the_table():
    found = explain(Duck(), NUMBERS[SOME], background=NUMBERS[KNOWN])
    np.testing.assert_allclose(found.values[:, 0], 2 * (NUMBERS["amount"][SOME] - NUMBERS["amount"][KNOWN].mean()))
    with pytest.raises(InputError, match="X: the Duck cannot predict these rows: 'hour'"):
        explain(Duck(), NUMBERS[["amount", "age"]])


def test_a_class_is_not_a_model():
    with pytest.raises(InputError, match="the model is the class LogisticRegression; a fitted instance is wanted"):
        explain(linear_model.LogisticRegression, NUMBERS)


def test_missing_texts_and_categories_are_named_by_column_and_row():
    model = clone(RAW).fit(X, Y)
    for column in ("city", "text"):
        odd = X[SOME].assign(**{column: X[column][SOME].where(X.index[SOME] != 7)})
        with pytest.raises(InputError, match=rf"X: the Pipeline cannot predict .* column '{column}' has nan in row 7"):
            explain(model, odd, background=X[KNOWN])
        with pytest.raises(InputError, match=rf"background: the Pipeline .* column '{column}' has nan in row 7"):
            explain(model, X[KNOWN], background=odd)
    odd = X[SOME].assign(city=X["city"][SOME].where(X.index[SOME] != 7), text=X["text"][SOME].where(X.index[SOME] != 7))
    with pytest.raises(InputError, match="cannot predict these rows: row 7 is refused"):
        explain(model, odd, background=X[KNOWN])


def test_labels_of_another_type_than_the_classes_are_named_by_type():
    model = ensemble.GradientBoostingClassifier(n_estimators=2).fit(NUMBERS, (Y == "fraud").astype(int))
    labels = (Y == "fraud").astype(int).astype(str)
    with pytest.raises(InputError, match=r"row 0 has '.', .*: it is a str, the classes are int$"):
        explain(model, NUMBERS, background=NUMBERS[KNOWN], output="loss", y=labels)


def test_a_pipeline_that_begins_with_nothing_is_given_names_without_a_warning():
    for steps in (["passthrough", prep.StandardScaler()], ["passthrough"]):
        model = pipeline.make_pipeline(*steps, linear_model.Ridge()).fit(NUMBERS, SCORE)
        assert explain(model, NUMBERS[SOME]).method == "linear"
        with pytest.raises(UnknownName, match="missing column 'age'"):
            explain(model, NUMBERS[["amount", "hour"]])


def test_what_fails_in_this_code_is_not_put_down_to_the_rows(booster, monkeypatch):
    def broken(*_, **__):
        raise ValueError("a mistake of ours")

    monkeypatch.setattr("rca.models.shapdiff.exact.codes", broken)
    with pytest.raises(ValueError, match=r"^a mistake of ours$") as caught:
        explain(booster, NUMBERS[SOME])
    assert not isinstance(caught.value, InputError)

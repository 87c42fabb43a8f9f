import importlib

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble, linear_model, metrics

from rca.errors import InputError, UnknownName
from rca.models.shapdiff import split_loss
from rca.models.shapdiff.crossfit import CAP, Ratio, _grown, density_ratio, design, folds
from rca.models.shapdiff.scoring import row_losses, scores

SLOPE, GIVEN, NOISE = np.array([1.0, -0.5]), np.array([0.6, -0.2]), 0.5
HOME = np.zeros(2)


class Line:
    """A linear model with given slopes: its squared loss has a closed form in a Gaussian world."""

    feature_names_in_ = ("a", "b")

    def __init__(self, slope):
        self.slope = np.asarray(slope)

    def predict(self, rows):
        return rows.to_numpy() @ self.slope


def risk(model, slope, middle):
    """E(y - model x)^2 for x ~ N(middle, 1), y = slope x + noise."""
    error = slope - model
    return error @ error + (error @ middle) ** 2 + NOISE**2


def window(seed, middle=HOME, slope=SLOPE, rows=700):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(rows, 2)) + middle, columns=["a", "b"])
    return table, table.to_numpy() @ slope + rng.normal(0, NOISE, rows)


WORLDS = {
    "nothing": (HOME, SLOPE, GIVEN),
    "rows": (np.array([1.0, 0.0]), SLOPE, GIVEN),
    "relation": (HOME, np.array([0.2, -0.5]), GIVEN),
    "model": (HOME, SLOPE, SLOPE + 0.4),
    "all": (np.array([0.7, -0.4]), np.array([0.3, 0.2]), SLOPE + 0.2),
}


@pytest.mark.parametrize(("middle", "slope", "later"), WORLDS.values(), ids=WORLDS)
def test_parts_agree_with_the_closed_form_of_a_gaussian_world(middle, slope, later):
    table = split_loss(Line(GIVEN), *window(1), *window(2, middle, slope), model_after=Line(later), alpha=0.001)
    levels = [
        risk(GIVEN, SLOPE, HOME), risk(GIVEN, SLOPE, middle), risk(GIVEN, slope, middle), risk(later, slope, middle),
    ]  # fmt: skip
    truth = dict(zip(["covariate", "concept", "model"], np.diff(levels), strict=True))
    truth |= {"before": levels[0], "after": levels[-1], "data": levels[2] - levels[0], "change": levels[3] - levels[0]}
    for part, value in truth.items():
        row = table.loc[part]
        assert row["low"] - 1e-12 <= value <= row["high"] + 1e-12, part
        assert row["high"] - row["low"] < 0.8, part
        assert row["identified"]


def test_parts_add_up_and_levels_are_scikit_learns_own_means():
    old, new = Line(GIVEN), Line(SLOPE)
    one, two = window(1), window(2, np.array([0.5, 0.0]))
    value = split_loss(old, *one, *two, model_after=new)["value"]
    assert value["before"] == pytest.approx(metrics.mean_squared_error(one[1], old.predict(one[0])))
    assert value["after"] == pytest.approx(metrics.mean_squared_error(two[1], new.predict(two[0])))
    assert value["covariate"] + value["concept"] == pytest.approx(value["data"])
    assert value["data"] + value["model"] == pytest.approx(value["change"])
    assert value["before"] + value["change"] == pytest.approx(value["after"])


def test_log_loss_is_scikit_learns_also_for_several_classes():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])
    labels = np.digitize(rows["a"] + rng.normal(size=300), [-0.5, 0.5])
    model = linear_model.LogisticRegression().fit(rows, labels)
    assert row_losses(model, rows, labels).mean() == pytest.approx(metrics.log_loss(labels, model.predict_proba(rows)))
    flat = linear_model.LogisticRegression().fit(rows, labels > 0)
    np.testing.assert_allclose(scores(flat, rows)[:, 0], flat.decision_function(rows), atol=1e-9)


def test_a_density_ratio_of_two_gaussians_is_the_closed_form_and_so_is_its_effective_number():
    rng = np.random.default_rng(0)
    one, two = rng.normal(0, 1, (4000, 1)), rng.normal(0.8, 1, (4000, 1))
    ratio = density_ratio(one, two, folds(4000, 5, rng), folds(4000, 5, rng), 0)
    truth = np.exp(0.8 * one[:, 0] - 0.32)
    assert np.corrcoef(ratio.before, truth)[0, 1] > 0.99
    assert ratio.ess / 4000 == pytest.approx(np.exp(-(0.8**2)), rel=0.1)  # 1 / E w^2
    assert ratio.outside < 0.01


@pytest.mark.parametrize("wrong", ["ratio", "regression"])
def test_the_split_is_right_when_either_the_ratio_or_the_regression_is(wrong, monkeypatch):
    module = importlib.import_module("rca.models.shapdiff.loss")
    middle = np.array([0.5, 0.0])
    far = Line([-1.0, 0.0])
    if wrong == "ratio":
        monkeypatch.setattr(
            module, "density_ratio", lambda one, two, *_: Ratio(np.ones(len(one)), np.ones(len(two)), 3000.0, 0.0)
        )
    else:
        monkeypatch.setattr(
            module, "regression", lambda rows, y, fold, others, *_: (np.zeros(len(rows)), np.zeros(len(others)))
        )
    row = split_loss(far, *window(1, rows=3000), *window(2, middle, rows=3000), alpha=0.001).loc["covariate"]
    truth = risk(far.slope, SLOPE, middle) - risk(far.slope, SLOPE, HOME)
    assert row["low"] < truth < row["high"]
    assert row["value"] == pytest.approx(truth, rel=0.5)


def test_what_other_splits_of_the_rows_say_widens_the_interval(monkeypatch):
    """Five folds say 0 where two splits in two say 1 and -1: a variance of 1 beside that of the rows, which is 0."""
    module = importlib.import_module("rca.models.shapdiff.loss")
    says = iter([0.0, 1.0, -1.0])
    monkeypatch.setattr(
        module, "density_ratio", lambda one, two, *_: Ratio(np.ones(len(one)), np.ones(len(two)), 700.0, 0.0)
    )
    monkeypatch.setattr(
        module, "regression", lambda rows, y, fold, others, *_: (np.zeros(len(rows)), np.full(len(others), next(says)))
    )
    table = split_loss(Line(GIVEN), *window(1), *window(2))
    row = table.loc["covariate"]
    assert row["value"] == pytest.approx(0, abs=1e-12)
    assert (row["low"], row["high"]) == pytest.approx((-1.959964, 1.959964))
    assert table.loc["concept", "high"] - table.loc["concept", "low"] > 2 * 1.959964


def test_each_tree_of_a_forest_sees_a_bounded_number_of_rows():
    rows = np.random.default_rng(40).normal(size=(20_001, 1))
    few, many = (_grown(ensemble.ExtraTreesRegressor(n_estimators=2), some, some[:, 0]) for some in (rows[1:], rows))
    assert not few.bootstrap and many.bootstrap
    assert {tree.tree_.n_node_samples[0] for tree in few.estimators_} == {20_000}
    assert all(tree.tree_.weighted_n_node_samples[0] == 20_000 for tree in many.estimators_)


def test_windows_apart_leave_covariate_and_concept_open_but_not_the_rest():
    table = split_loss(Line(GIVEN), *window(1), *window(2, np.array([6.0, 0.0])), model_after=Line(SLOPE))
    assert table.loc[["covariate", "concept"], "value"].isna().all()
    assert table.loc["covariate", "note"].startswith("not identified: the windows overlap too little")
    assert not table.loc["concept", "identified"]
    assert table.loc["concept", "overlap"] < 0.05
    assert table.loc[["before", "data", "model", "after", "change"], "value"].notna().all()


def test_a_tenth_of_rows_of_a_new_kind_is_not_passed_over():
    """Kish's number of the rows before alone would be content: no row before is like them."""
    (one, y_one), (two, y_two) = window(1), window(2)
    one["kind"], two["kind"] = "old", np.where(np.arange(len(two)) < 70, "new", "old")
    model = ensemble.HistGradientBoostingRegressor(max_iter=5).fit(one[["a", "b"]], y_one)

    class Narrow:
        def predict(self, rows):
            return model.predict(rows[["a", "b"]])

        feature_names_in_ = ("a", "b", "kind")

    table = split_loss(Narrow(), one, y_one, two, y_two)
    assert table.loc["concept", "note"].startswith("not identified")


def test_few_rows_are_not_split():
    table = split_loss(Line(GIVEN), *window(1, rows=40), *window(2))
    assert "at least 50 each" in table.loc["concept", "note"]
    assert table.loc["data", "identified"]


def test_two_models_on_the_same_rows_differ_by_the_model_alone_row_by_row():
    rows, labels = window(1)
    table = split_loss(Line(GIVEN), rows, labels, rows, labels, model_after=Line(SLOPE))
    gap = (labels - rows.to_numpy() @ SLOPE) ** 2 - (labels - rows.to_numpy() @ GIVEN) ** 2
    for part in ("model", "change"):
        assert table.loc[part, "value"] == pytest.approx(gap.mean())
        assert table.loc[part, "high"] - gap.mean() == pytest.approx(1.959964 * gap.std(ddof=1) / np.sqrt(len(gap)))
    assert (table.loc[["covariate", "concept", "data"], ["value", "low", "high"]] == 0).all(axis=None)
    assert table.loc["concept", "note"] == "the same rows in both windows"


def test_an_own_loss_and_gaps_and_categories_are_taken_and_nothing_is_changed():
    rng = np.random.default_rng(0)

    def draw():
        rows = pd.DataFrame({"a": rng.normal(size=400), "c": rng.choice(["x", "y"], 400)})
        return rows.mask(rng.random(rows.shape) < 0.1), (rng.random(400) < 0.4).astype(int)

    class Half:
        classes_ = (0, 1)
        feature_names_in_ = ("a", "c")

        def predict_proba(self, rows):
            return np.column_stack(
                [np.where(rows["a"].fillna(0) > 0, 0.7, 0.3), np.where(rows["a"].fillna(0) > 0, 0.3, 0.7)]
            )

    one, two = draw(), draw()
    kept = one[0].copy()
    table = split_loss(Half(), *one, *two, loss=lambda y, chance: ((chance[:, 1] > 0.5) != y).astype(float))
    assert table.loc["before", "value"] == pytest.approx(((one[0]["a"].fillna(0) <= 0) != one[1]).mean())
    assert table.loc["covariate", "low"] < 0 < table.loc["covariate", "high"]
    pd.testing.assert_frame_equal(one[0], kept)


def test_the_same_seed_gives_the_same_table():
    data = (*window(1, rows=100), *window(2, rows=100))
    pd.testing.assert_frame_equal(split_loss(Line(GIVEN), *data, rng=3), split_loss(Line(GIVEN), *data, rng=3))


def test_the_ratio_is_cut_and_the_design_has_the_same_columns_for_both():
    one = pd.DataFrame({"a": [1.0, np.nan], "c": ["x", "y"], "t": pd.to_datetime(["2025-01-01", None])})
    two = pd.DataFrame({"a": [2.0], "c": ["z"], "t": pd.to_datetime(["2025-01-02"])})
    first, second = design(one, two)
    assert first.shape == (2, 7) and second.shape == (1, 7)  # a, no a, x, y, z, t, no t
    assert np.isfinite(first).all()
    rng = np.random.default_rng(0)
    low, high = rng.normal(0, 1, (200, 1)), rng.normal(9, 1, (200, 1))
    ratio = density_ratio(low, high, folds(200, 5, rng), folds(200, 5, rng), 0)
    assert ratio.after.max() == CAP and ratio.outside > 0.5 and ratio.ess < 5


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda X, y: (X.drop(columns="a"), y), UnknownName, "X_after has no column 'a'; known: b"),
        (lambda X, y: (X[["b", "a"]], y), InputError, "column 1 is 'a' before and 'b' after: another order"),
        (lambda X, y: (X, y[:-1]), InputError, r"y_after has shape \(99,\) where X_after has 100 rows"),
        (lambda X, y: (X, np.where(np.arange(100) == 7, np.nan, y)), InputError, "no label in row 7"),
        (lambda X, y: (X.replace({"a": {X["a"][3]: np.inf}}), y), InputError, "'a' has an infinite value in row 3"),
        (lambda X, y: (X.iloc[:0], y[:0]), InputError, "X_after has no rows"),
        (lambda X, y: (X, pd.Series(y, index=X.index + 1)), InputError, "different indexes"),
        (lambda X, y: (X, np.full(100, "no")), InputError, "numbers are wanted"),
    ],
)
def test_wrong_input_is_an_error_with_its_place(change, error, words):
    with pytest.raises(error, match=words):
        split_loss(Line(GIVEN), *window(1, rows=100), *change(*window(2, rows=100)))


def test_an_unknown_label_an_unfitted_model_and_a_bad_loss_are_errors():
    rows, labels = window(1, rows=100)
    model = linear_model.LogisticRegression().fit(rows, labels > 0)
    with pytest.raises(InputError, match="is no class of the LogisticRegression; its classes: False, True"):
        split_loss(model, rows, labels > 0, rows, np.full(100, 5))
    with pytest.raises(InputError, match="is not fitted"):
        split_loss(linear_model.LinearRegression(), rows, labels, *window(2, rows=100))
    with pytest.raises(InputError, match=r"loss gives shape \(\)"):
        split_loss(Line(GIVEN), rows, labels, *window(2, rows=100), loss=lambda y, p: 1.0)
    with pytest.raises(InputError, match="shares between 0 and 1"):
        split_loss(Line(GIVEN), rows, labels, rows, labels, alpha=5)


def test_a_classifier_and_a_regression_have_no_common_loss():
    rows = pd.DataFrame({"a": np.arange(80.0), "b": np.arange(80.0) % 7})
    label = (rows["a"] + rows["b"] > 42).astype(int)
    old, new = linear_model.LogisticRegression().fit(rows, label), linear_model.LinearRegression().fit(rows, label)
    window = rows, label, rows + 0.5, label
    with pytest.raises(InputError, match=r"LogisticRegression and model_after a LinearRegression.*no difference"):
        split_loss(old, *window, model_after=new)
    own = split_loss(old, *window, model_after=new, loss=lambda y, given: np.full(len(y), float(given.ndim)))
    assert own.loc["model", "value"] == -1.0


@pytest.mark.system
def test_a_booster_that_does_not_say_what_it_predicts_is_refused():
    import lightgbm
    import xgboost

    rows = pd.DataFrame({"a": np.arange(80.0), "b": np.arange(80.0) % 7})
    label = (rows["a"] > 40).astype(int)
    for booster in (
        lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(rows, label).booster_,
        xgboost.XGBClassifier(n_estimators=2).fit(rows, label).get_booster(),
    ):
        with pytest.raises(InputError, match=r"Booster of (lightgbm|xgboost) does not say whether"):
            split_loss(booster, rows, label, rows, label)

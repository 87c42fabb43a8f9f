import importlib
import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import ensemble, linear_model

from rca.errors import InputError, UnknownName
from rca.models.shapdiff import by_cohort, compare, explain, suspects
from rca.models.shapdiff.cohorts import part
from rca.models.shapdiff.gain import bins, residual_gain
from rca.models.shapdiff.noise import Noise
from rca.models.shapdiff.scoring import row_losses
from rca.records import Attribution

NAMES = ["a", "b", "c"]
MEASURES = ("shap", "loss", "gain")
MODULE = importlib.import_module("rca.models.shapdiff.suspects")


def by_definition(model, X, *, background, output="margin", y=None, progress=False):
    """Shapley values of the loss of each row, every subset of three features; other outputs as they are."""
    if output != "loss":
        return explain(model, X, background=background)
    background = background.head(15)
    count, many, width = len(X), len(background), X.shape[1]
    own, other = np.repeat(np.arange(count), many), np.tile(np.arange(many), count)
    worth = {}
    for known in itertools.product([False, True], repeat=width):
        mixed = np.where(known, X.to_numpy()[own], background.to_numpy()[other])
        losses = row_losses(model, pd.DataFrame(mixed, columns=X.columns), y[own])
        worth[known] = losses.reshape(count, many).mean(axis=1)
    values = np.zeros((count, width))
    for known, feature in itertools.product(worth, range(width)):
        if not known[feature]:
            size = sum(known)
            weight = math.factorial(size) * math.factorial(width - size - 1) / math.factorial(width)
            more = tuple(flag or place == feature for place, flag in enumerate(known))
            values[:, feature] += weight * (worth[more] - worth[known])
    np.testing.assert_allclose(values.sum(axis=1), row_losses(model, X, y) - worth[(False,) * width], atol=1e-9)
    return Attribution.from_frame(
        pd.DataFrame(values, X.index, X.columns), 0.0, output="loss", model_id="m", rows_id=str(len(X))
    )


@pytest.fixture(autouse=True)
def loss_shap(monkeypatch):
    """Loss-SHAP by its definition, whatever `explain` makes of it."""
    monkeypatch.setattr(MODULE, "explain", by_definition)


def window(seed, slope=(1.0, 0.8, 0.0), rows=800):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(rows, 3)), columns=NAMES)
    return X, (X.to_numpy() @ np.array(slope) + rng.logistic(0, 0.4, rows) > 0).astype(int)


MODEL = linear_model.LogisticRegression().fit(*window(0, rows=3000))
COLUMNS = [
    *(f"{m}_{what}" for m in ("shap", "loss", "gain") for what in ("before", "after", "change", "low", "high", "rank")),
    "best_rank", "found_by",
]  # fmt: skip


def test_a_relation_turned_round_is_found_by_loss_and_gain_and_not_by_shap():
    table = suspects(MODEL, *window(1), *window(2, (1.0, -0.8, 0.0)))
    assert table.columns.tolist() == COLUMNS and table.index.name == "feature"
    assert table.index[0] == "b" and table.loc["b", "found_by"] == ("loss", "gain")
    assert table.loc["b", "loss_rank"] == table.loc["b", "gain_rank"] == 1
    assert table.loc["b", "gain_low"] > 0


def test_a_feature_that_froze_is_found_by_shap_and_loss_and_not_by_gain():
    X, y = window(2)
    table = suspects(MODEL, *window(1), X.assign(a=0.0), y)
    assert table.index[0] == "a" and table.loc["a", "found_by"] == ("shap", "loss")
    assert table.loc["a", "shap_change"] < 0 < table.loc["a", "loss_change"]
    assert table.loc["a", "gain_after"] == pytest.approx(0, abs=1e-3)


def test_an_unused_feature_that_began_to_matter_is_found_by_gain_alone():
    unaware = linear_model.LogisticRegression(C=1e-9).fit(*window(0))
    unaware.coef_[:] = [[2.5, 2.0, 0.0]]
    table = suspects(unaware, *window(1), *window(2, (1.0, 0.8, 1.0)))
    assert table.loc["c", "found_by"] == ("gain",) and table.loc["c", "gain_rank"] == 1
    assert table.loc["c", "loss_after"] == 0


def test_nothing_is_found_when_nothing_changed_in_most_seeds():
    found = [
        suspects(MODEL, *window(10 + seed, rows=300), *window(50 + seed, rows=300), rng=seed)["found_by"].map(len).sum()
        for seed in range(10)
    ]
    assert sum(map(bool, found)) <= 2  # at .05, three or more of ten have a chance of .01


def test_values_are_means_of_the_attributions():
    (one, y_one), (two, y_two) = window(1), window(2)
    back = one.head(15)
    table = suspects(MODEL, one, y_one, two, y_two, background=back)
    # a linear model's values are slope x (value - mean of the background)
    wanted = ((two - back.mean()) * MODEL.coef_[0]).abs().mean() - ((one - back.mean()) * MODEL.coef_[0]).abs().mean()
    np.testing.assert_allclose(table["shap_change"][NAMES], wanted[NAMES], atol=1e-9)
    total = row_losses(MODEL, two, y_two).mean() - np.mean(
        [row_losses(MODEL, pd.DataFrame([row] * len(two), columns=NAMES), y_two).mean() for row in back.to_numpy()]
    )
    assert table["loss_after"].sum() == pytest.approx(total)


def test_gain_of_a_regression_is_the_variance_that_the_missing_feature_explains():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(0, 5, size=(4000, 2)).astype(float), columns=["used", "missed"])
    model = linear_model.LinearRegression().fit(X, X["used"])
    y = (X["used"] + X["missed"] ** 2).to_numpy()
    for half in residual_gain(model, (X, X["used"].to_numpy()), (X, y), rng=rng):
        assert half.before.shape == (4000, 2) and half.after.shape == (2000, 2)
        used, missed = half.after.mean(axis=0)
        assert missed == pytest.approx((X["missed"] ** 2).var(), rel=0.05)  # five values, each its own range
        assert abs(used) < 4 * half.after[:, 0].std() / np.sqrt(2000) + 0.05
        # before, that correction is off by the square, which is no longer there; alone, by its mean
        assert half.before[:, 1].mean() == pytest.approx(-(X["missed"] ** 2).var(), rel=0.05)


def test_gain_of_a_classifier_is_the_information_of_the_missing_feature():
    """A blind model, a feature that is right in nine of ten: log 2 less the entropy of one in ten."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"kind": rng.choice(["x", "y"], 8000), "score": np.zeros(8000)})
    y = ((X["kind"] == "x") ^ (rng.random(8000) < 0.1)).astype(int).to_numpy()

    class Blind:
        classes_ = (0, 1)

        def predict_proba(self, rows):
            return np.full((len(rows), 2), 0.5)

    entropy = -(0.1 * np.log(0.1) + 0.9 * np.log(0.9))
    for half in residual_gain(Blind(), (X, y), (X, y), rng=rng):
        error = half.after[:, 0].std() / np.sqrt(len(half.after))
        assert half.after[:, 0].mean() == pytest.approx(np.log(2) - entropy, abs=4 * error)


def test_gain_is_not_given_with_one_class_and_missing_values_are_a_range():
    X, y = window(1)
    table = suspects(MODEL, X, y, window(2)[0], np.ones(800, dtype=int))
    assert table["gain_after"].isna().all() and (table["gain_rank"] == 0).all()
    assert bins(pd.Series([1.0, np.nan, 2.0])).tolist().count(-1) == 1
    assert bins(pd.Series([np.nan, np.nan])).tolist() == [-1, -1]


def test_a_feature_that_turns_the_score_round_has_a_gain_without_an_effect_of_its_own():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=1000), "turn": rng.choice([-1.0, 1.0], 1000)})
    model = linear_model.LinearRegression().fit(X, X["a"])
    for half in residual_gain(model, (X, X["a"].to_numpy()), (X, (X["a"] * X["turn"]).to_numpy()), rng=rng):
        assert half.after[:, 1].mean() == pytest.approx(X["a"].var(), rel=0.15)


def test_what_became_better_is_not_found_by_loss_or_gain():
    table = suspects(MODEL, *window(2, (1.0, -0.8, 0.0)), *window(1))
    assert table.loc["b", "loss_high"] < 0 and table.loc["b", "gain_after"] < 0.01
    assert not {"loss", "gain"} & set(table.loc["b", "found_by"])


def test_a_feature_that_always_was_missed_is_not_found_by_gain():
    unaware = linear_model.LogisticRegression(C=1e-9).fit(*window(0))
    unaware.coef_[:] = [[2.5, 2.0, 0.0]]
    table = suspects(unaware, *window(1, (1.0, 0.8, 1.0)), *window(2, (1.0, 0.8, 1.0)))
    assert table.loc["c", "gain_before"] > 0.05 and table.loc["c", "gain_after"] > 0.05
    assert table.loc["c", "found_by"] == ()


@pytest.mark.parametrize(
    ("p_value", "found"), [(0.0170, ()), (0.0166, ("shap", "loss")), (0.0084, ("shap", "loss")), (0.0083, MEASURES)]
)
def test_p_values_are_multiplied_by_the_measures_and_for_gain_by_the_halves(p_value, found, monkeypatch):
    def judged(before, after, groups, rng):
        width = before.shape[1]
        return Noise(np.zeros(width), np.ones(width), np.full(width, p_value))

    monkeypatch.setattr(MODULE, "row_noise", judged)
    table = suspects(MODEL, *window(1), *window(2, (1.0, -0.8, 0.0)))
    assert table.loc["b", "found_by"] == found


def test_windows_of_unequal_length_do_not_look_like_a_gain():
    """A correction fitted to each window by itself would be worse in the shorter one."""
    halves = [
        residual_gain(MODEL, window(2 * seed, rows=100), window(2 * seed + 1, rows=3000), rng=np.random.default_rng(0))
        for seed in range(15)
    ]
    changes = [half.after.mean(axis=0) - half.before.mean(axis=0) for pair in halves for half in pair]
    error = np.std(changes, axis=0) / np.sqrt(len(halves))  # the two halves of a window are not independent
    assert (np.abs(np.mean(changes, axis=0)) < 3 * error).all()


def test_ranges_come_from_the_window_they_are_learned_in():
    after = pd.Series(np.arange(100.0))
    assert bins(pd.Series([-5.0, 50.0, 500.0, np.nan]), like=after).tolist() == [0, 5, 9, -1]
    assert bins(pd.Series([1.0]), like=pd.Series(["x"])).tolist() == [1]


def test_a_rank_by_a_measure_that_did_not_find_the_feature_does_not_count():
    """Values that froze: shap and loss find a; another feature may be first by gain, which finds none."""
    X, y = window(2)
    table = suspects(MODEL, *window(1), X.assign(a=0.0), y)
    for name, row in table.iterrows():
        counted = row["found_by"] or ("shap", "loss", "gain")
        assert row["best_rank"] == min(row[f"{measure}_rank"] for measure in counted), name


def test_several_classes_have_gains():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(900, 2)), columns=["a", "b"])
    y = np.digitize(X["a"], [-0.5, 0.5])
    model = ensemble.RandomForestClassifier(10, max_depth=2, random_state=0).fit(X, y)
    for half in residual_gain(model, (X, y), (X, np.where(X["b"] > 1, 2, y)), rng=rng):
        assert half.after.mean(axis=0).argmax() == 1


def test_wrong_windows_are_errors():
    X, y = window(1, rows=50)
    with pytest.raises(UnknownName, match="X_after has no column 'c'"):
        suspects(MODEL, X, y, X.drop(columns="c"), y)
    with pytest.raises(InputError, match=r"y_before has shape \(49,\)"):
        suspects(MODEL, X, y[1:], X, y)
    with pytest.raises(InputError, match="alpha"):
        suspects(MODEL, X, y, X, y, alpha=2)


def attribution(values, rows, model="m"):
    return Attribution.from_frame(
        pd.DataFrame(values, columns=["a", "b"]), 0.0, output="margin", model_id=model, rows_id=rows
    )


def test_each_cohort_is_compared_as_if_alone_and_p_values_pay_for_all():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(300, 2)), rng.normal(size=(240, 2))
    kinds, later = np.arange(300) % 3, np.arange(240) % 3
    two[later == 1] *= [1.7, 1.0]
    table = by_cohort(attribution(one, "1"), attribution(two, "2"), kinds, later)
    for kind in range(3):
        alone = compare(attribution(one[kinds == kind], "x"), attribution(two[later == kind], "y"))
        pd.testing.assert_series_equal(table.loc[kind, "difference"], alone["difference"])
        np.testing.assert_allclose(table.loc[kind, "p_adjusted"], (3 * alone["p_adjusted"]).clip(upper=1))
    assert table.index[table["flagged"]].tolist() == [(1, "a")]
    assert (table["rows_before"] == 100).all() and (table["rows_after"] == 80).all()


def test_a_mask_makes_two_cohorts_and_the_same_rows_stay_paired():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(100, 2))
    mask = one[:, 0] > 0
    table = by_cohort(attribution(one, "1", "m1"), attribution(2 * one, "1", "m2"), mask)
    assert table.index.get_level_values("cohort").unique().tolist() == [False, True]
    assert set(table["noise_source"]) == {"training noise not measured"} and table["flagged"].isna().all()
    refits = [attribution(one + rng.normal(0, 0.01, one.shape), "1", f"r{k}") for k in range(5)]
    table = by_cohort(attribution(one, "1", "m1"), attribution(2 * one, "1", "m2"), mask, refits=refits)
    assert table["flagged"].notna().all()


def test_in_cohorts_of_nothing_any_flag_at_all_is_as_rare_as_alpha():
    """Five cohorts that each risked alpha would flag something in 83 % of runs; all together risk 27 %."""
    alpha, cohorts, runs = 0.3, np.arange(150) % 5, 60
    flags = 0
    for run in range(runs):
        rng = np.random.default_rng(run)
        sides = [attribution(rng.exponential(size=(150, 2)), name) for name in "12"]
        table = by_cohort(*sides, cohorts, cohorts, alpha=alpha)
        flags += table["flagged"].any()
    expected = 1 - (1 - alpha / 5) ** 5
    assert stats.binomtest(int(flags), runs, expected).pvalue > 0.01
    assert stats.binomtest(int(flags), runs, 1 - (1 - alpha) ** 5).pvalue < 1e-9


def test_cohorts_by_refits_of_nothing_are_as_rarely_flagged():
    """Each model has two random means in each of eight cohorts: the one after is as likely as any refit."""
    alpha, cohorts, runs = 0.2, np.arange(240) % 8, 60
    flags = 0
    for run in range(runs):
        rng = np.random.default_rng(run)
        means = rng.normal(9, 1, (14, 8, 2))
        models = [attribution(mean[cohorts], "1", f"m{number}") for number, mean in enumerate(means)]
        table = by_cohort(models[0], models[1], cohorts, refits=models[2:], alpha=alpha)
        assert (table["noise_source"] == "training").all()
        flags += table["flagged"].any()
    assert flags / runs < 0.2 + 2.5 * np.sqrt(0.2 * 0.8 / runs)


def trained(rng):
    X, y = window(int(rng.integers(1000)), rows=200)
    return linear_model.LogisticRegression().fit(X, y)


def test_refits_are_trained_and_explained_once_for_all_cohorts():
    X, _ = window(7, rows=200)
    background = X.head(20)
    one, two = (explain(trained(np.random.default_rng(seed)), X, background=background) for seed in (1, 2))
    kinds = np.where(X["a"] > 0, "high", "low")
    calls = []

    def train(rng):
        calls.append(rng)
        return trained(rng)

    table = by_cohort(one, two, kinds, refits=train, rows=X, background=background, n_refits=6)
    assert len(calls) == 6 and (table["noise_source"] == "training").all()
    rng = np.random.default_rng(0)
    models = [trained(rng) for _ in range(6)]
    given = by_cohort(one, two, kinds, refits=models, rows=X, background=background)
    pd.testing.assert_frame_equal(table, given)
    for kind in ("high", "low"):
        mask = kinds == kind
        rows, more = X[mask], {"background": background}
        sides = (explain(trained(np.random.default_rng(seed)), rows, **more) for seed in (1, 2))
        alone = compare(*sides, refits=models, rows=rows, **more)
        pd.testing.assert_series_equal(table.loc[kind, "low"], alone["low"])
        np.testing.assert_allclose(table.loc[kind, "p_adjusted"], (2 * alone["p_adjusted"]).clip(upper=1))


def test_users_are_exchanged_whole_within_each_cohort():
    rng = np.random.default_rng(0)
    users = [np.repeat(np.arange(20) + 20 * side, 10) for side in (0, 1)]
    sides = [rng.normal(size=(20, 2)).repeat(10, axis=0) for _ in users]
    kinds = np.arange(200) % 2
    one, two = attribution(sides[0], "1"), attribution(sides[1], "2")
    table = by_cohort(one, two, kinds, kinds, groups=users)
    for kind in (0, 1):
        some = kinds == kind
        pair = attribution(sides[0][some], "1"), attribution(sides[1][some], "2")
        alone = compare(*pair, groups=(users[0][some], users[1][some]))
        pd.testing.assert_series_equal(table.loc[kind, "high"], alone["high"])
    rows = by_cohort(one, two, kinds, kinds)
    assert ((table["high"] - table["low"]) > 2 * (rows["high"] - rows["low"])).all()
    single = [np.where(kinds == 0, "me", names) for names in users]
    table = by_cohort(one, two, kinds, kinds, groups=single)
    assert set(table.loc[0, "noise_source"]) == {"not measured: fewer than 30 rows or 2 groups on a side"}
    assert table.loc[1, "p_adjusted"].notna().all()
    other = attribution(sides[1], "1", "other")
    paired = by_cohort(one, other, kinds, groups=users[0])
    assert (
        (paired["high"] - paired["low"]) > 2 * (lambda free: free["high"] - free["low"])(by_cohort(one, other, kinds))
    ).all()


def test_ranks_go_by_the_flags_for_all_cohorts_together():
    """A small sure difference ranks before a large one that one cohort alone, but not ten, would flag."""
    rng = np.random.default_rng(3)
    one = np.column_stack([rng.normal(9, 0.1, 600), rng.normal(99, 6, 600)])
    two = one[rng.permutation(600)] + [0.2, 3.5]
    kinds = np.arange(600) % 10
    alone = compare(attribution(one[kinds == 0], "1"), attribution(two[kinds == 0], "2"))
    table = by_cohort(attribution(one, "1"), attribution(two, "2"), kinds, kinds).loc[0]
    assert alone["flagged"].to_dict() == {"b": True, "a": True} and alone["rank"].to_dict() == {"b": 1, "a": 2}
    assert table["flagged"].to_dict() == {"a": True, "b": False} and table["rank"].to_dict() == {"a": 1, "b": 2}


def test_a_small_cohort_has_means_and_says_that_its_noise_is_not_measured():
    rng = np.random.default_rng(0)
    kinds = pd.Series(["big"] * 100 + [None] * 5)
    one = rng.normal(size=(105, 2))
    table = by_cohort(attribution(one, "1"), attribution(one + 1, "2"), kinds, kinds)
    small = table.loc["missing"]
    assert small["low"].isna().all() and small["noise_source"].str.startswith("not measured").all()
    assert small.loc["a", "before"] == pytest.approx(np.abs(one[100:, 0]).mean())
    assert (small["rows_after"] == 5).all()


def test_a_part_of_a_loss_attribution_keeps_what_belongs_to_its_rows():
    kept = part(attribution(np.arange(6.0).reshape(3, 2), "1"), np.array([True, False, True]))
    assert kept.to_frame()["a"].tolist() == [0.0, 4.0]
    other = part(attribution(np.arange(6.0).reshape(3, 2), "1"), np.array([True, True, False]))
    assert kept.rows_id != other.rows_id


def test_cohorts_that_do_not_fit_the_rows_are_errors():
    one = attribution(np.ones((100, 2)), "1")
    two = attribution(np.ones((90, 2)), "2")
    with pytest.raises(InputError, match="give the cohorts of the rows after too"):
        by_cohort(one, two, np.zeros(100))
    with pytest.raises(InputError, match="give their cohorts once"):
        by_cohort(one, one, np.zeros(100), np.zeros(100))
    with pytest.raises(InputError, match=r"cohorts_after has shape \(100,\); one value for each of 90 rows"):
        by_cohort(one, two, np.zeros(100), np.zeros(100))
    with pytest.raises(InputError, match="another index"):
        by_cohort(one, two, pd.Series(np.zeros(100), index=range(1, 101)), np.zeros(90))
    with pytest.raises(InputError, match="there are 100 cohorts"):
        by_cohort(one, two, np.arange(100), np.zeros(90))
    with pytest.raises(InputError, match="no cohort has 30 rows on each side"):
        by_cohort(one, two, np.arange(100) // 10, np.zeros(90))
    kinds = np.zeros(100), np.zeros(90)
    for groups, words in (
        (np.zeros(100), "groups is no pair"),
        ((np.zeros(90), np.zeros(90)), "groups has 90 values for 100 rows before"),
        ((np.zeros(100), np.zeros(90)), "groups holds one unit"),
        (([None, *range(99)], np.arange(90)), "groups has no value in row 0"),
    ):
        with pytest.raises(InputError, match=words):
            by_cohort(one, two, *kinds, groups=groups)
    same, refits = attribution(np.ones((100, 2)), "1", "n"), [attribution(np.ones((90, 2)), "3", "r")] * 4
    with pytest.raises(InputError, match=r"refits\[0\] is explained on other rows than before"):
        by_cohort(one, same, kinds[0], refits=refits)
    with pytest.raises(InputError, match="give rows, on which before was explained"):
        by_cohort(one, same, kinds[0], refits=trained)
    with pytest.raises(InputError, match="refits were given for one model"):
        by_cohort(one, two, *kinds, refits=refits)
    with pytest.raises(InputError, match="at least 4"):
        by_cohort(one, same, kinds[0], refits=[same] * 3)
    with pytest.raises(InputError, match="alpha is 0"):
        by_cohort(one, two, *kinds, alpha=0)

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats
from sklearn import ensemble, linear_model, model_selection, neighbors, pipeline, preprocessing

from rca.errors import InputError
from rca.models.shapdiff import by_cohort, compare, compare_both, explain, retrain
from rca.models.shapdiff.align import same_rows
from rca.models.shapdiff.noise import _step_down, _windows, row_noise
from rca.models.shapdiff.refits import Summary, sizes, summary
from rca.models.shapdiff.training import _distance, _holm, _moderated, _trigamma_inverse, training_noise
from rca.plots import shapdiff_beeswarm
from rca.plots.shapdiff import shapdiff
from rca.records import Attribution

COLUMNS = [
    "rank", "before", "after", "difference", "low", "high", "moved", "share_before", "share_after", "p_adjusted",
    "flagged", "noise_source", "taken_by",
]  # fmt: skip


def attribution(values, model="model", rows="rows", output="margin"):
    return Attribution.from_frame(pd.DataFrame(values), 0.0, output=output, model_id=model, rows_id=rows)


def generator(seed=0):
    return np.random.default_rng(seed)


def studentized(one, two, axis=0):
    """The difference of means over its standard error, by numpy alone."""
    error = np.sqrt(np.var(one, axis=axis) / np.shape(one)[axis] + np.var(two, axis=axis) / np.shape(two)[axis])
    return (np.mean(two, axis=axis) - np.mean(one, axis=axis)) / error


# ---- one model on two windows


def test_the_p_value_of_one_feature_is_scipys_exact_permutation_test():
    rng = generator(1)
    one, two = rng.exponential(size=6), rng.exponential(size=5) + 2.0
    exact = stats.permutation_test(
        (one, two), lambda a, b, axis: np.abs(studentized(a, b, axis)), alternative="greater", n_resamples=np.inf
    )
    found = row_noise(one[:, None], two[:, None], None, generator())
    assert 0.01 < exact.pvalue < 0.3
    assert found.p_adjusted[0] == pytest.approx(exact.pvalue, abs=4 * math.sqrt(exact.pvalue / 2000))


def test_users_in_both_windows_exchange_their_parts_as_in_scipys_paired_permutation_test():
    rng = generator(2)
    one = rng.exponential(size=9)
    two = one + rng.normal(0.2, 0.5, size=9)

    def paired(a, b, axis):
        change = b - a
        return np.abs(change.mean(axis=axis)) / np.sqrt(change.var(axis=axis) / change.shape[axis])

    exact = stats.permutation_test(
        (one, two), paired, permutation_type="samples", alternative="greater", n_resamples=np.inf
    )
    users = np.arange(9)
    found = row_noise(one[:, None], two[:, None], (users, users), generator())
    assert 0.01 < exact.pvalue < 0.5
    assert found.p_adjusted[0] == pytest.approx(exact.pvalue, abs=4 * math.sqrt(exact.pvalue / 2000))


def test_a_window_of_well_behaved_rows_has_nearly_the_interval_of_welch():
    rng = generator(3)
    one, two = rng.normal(15, 1, (400, 3)), rng.normal(15.2, 2, (300, 3))
    table = compare(attribution(one), attribution(two, rows="other"))
    for feature in range(3):
        wanted = stats.ttest_ind(two[:, feature], one[:, feature], equal_var=False).confidence_interval(0.95)
        row = table.loc[feature]
        assert row["difference"] == pytest.approx(two[:, feature].mean() - one[:, feature].mean())
        assert (row["low"], row["high"]) == pytest.approx(tuple(wanted), abs=0.03)
    assert list(table.columns) == COLUMNS and set(table["noise_source"]) == {"rows"}
    assert table["share_before"].sum() == pytest.approx(1.0)


def test_the_step_down_follows_its_definition():
    drawn = np.abs(generator(4).normal(size=(50, 4))) * [3, 1, 1, 1]
    drawn[0] = [2.5, 2.4, 1.5, 0.2]
    order = np.argsort(-drawn[0])
    wanted, floor = {}, 0.0
    for place, feature in enumerate(order):
        rest = order[place:]
        floor = max(floor, np.mean([max(row[rest]) >= drawn[0, feature] for row in drawn]))
        wanted[feature] = floor
    assert _step_down(drawn).tolist() == pytest.approx([wanted[feature] for feature in range(4)])


def test_the_standard_error_of_units_is_the_cluster_robust_formula():
    rng = generator(7)
    one, two = rng.exponential(size=(30, 2)), rng.exponential(size=(20, 2))
    units = rng.integers(0, 8, 30), rng.integers(4, 12, 20)
    windows = _windows(one, two, units)
    found = windows.studentized(windows.real[None, :])[0][0]
    influence = np.zeros((12, 2))
    for unit in range(12):
        influence[unit] = (two[units[1] == unit] - two.mean(axis=0)).sum(axis=0) / 20
        influence[unit] -= (one[units[0] == unit] - one.mean(axis=0)).sum(axis=0) / 30
    np.testing.assert_allclose(found, (two.mean(axis=0) - one.mean(axis=0)) / np.sqrt((influence**2).sum(axis=0)))


def test_rows_repeated_within_a_unit_say_no_more_than_one_row_of_each_unit():
    rng = generator(5)
    one, two = rng.exponential(size=(12, 3)), rng.exponential(size=(10, 3)) * [1, 2, 3]
    single = row_noise(one, two, None, generator())
    units = np.repeat(np.arange(12), 5), np.repeat([f"day {day}" for day in range(10)], 5)
    repeated = row_noise(np.repeat(one, 5, axis=0), np.repeat(two, 5, axis=0), units, generator())
    for name in ("low", "high", "p_adjusted"):
        np.testing.assert_allclose(getattr(repeated, name), getattr(single, name))
    taken_apart = row_noise(np.repeat(one, 5, axis=0), np.repeat(two, 5, axis=0), None, generator())
    assert (taken_apart.high - taken_apart.low < (single.high - single.low) * 0.6).all()


def test_three_days_against_three_days_flag_nothing():
    one, two = np.full((60, 1), 1.0), np.full((60, 1), 9.0)
    days = np.repeat([0, 1, 2], 20)
    noise = generator(6).normal(size=(60, 1)) * 0.01
    table = compare(attribution(one + noise), attribution(two + noise, rows="other"), groups=(days, days + 3))
    assert table["p_adjusted"].iloc[0] == pytest.approx(0.1, abs=0.03) and not table["flagged"].any()


def test_rare_contributions_in_a_short_window_are_not_blamed_where_welch_blames_them():
    flagged, welch = 0, 0
    for seed in range(25):
        rng = generator(seed)
        one, two = (
            (rng.random((n, 10)) < 0.02) * rng.exponential(size=(n, 10)) + 0.01 * rng.random((n, 10)) for n in (800, 80)
        )
        flagged += compare(attribution(one), attribution(two, rows="other"))["flagged"].any()
        p_value = stats.ttest_ind(one, two, equal_var=False).pvalue
        welch += (stats.false_discovery_control(p_value) <= 0.05).any()
    assert flagged <= 4 and welch >= 10


def test_one_heavy_tail_does_not_hide_the_change_of_another_feature():
    rng = generator(8)

    def window(count, shift):
        return np.column_stack(
            [rng.normal(5 + shift, 1, count), (rng.random(count) < 0.01) * rng.exponential(9, count)]
        )

    table = compare(attribution(window(2000, 0.0)), attribution(window(150, 0.3), rows="other"))
    assert table.loc[0, "p_adjusted"] < 0.03 and not table.loc[1, "flagged"]


@given(st.permutations(range(4)), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_neither_the_order_of_features_nor_their_unit_matters(order, seed):
    rng = generator(seed)
    one, two = rng.exponential(size=(20, 4)), rng.exponential(size=(15, 4)) * [1, 1, 2, 3]
    table = compare(attribution(one), attribution(two, rows="other"))
    other = compare(
        attribution(pd.DataFrame(one * 1000)[list(order)]), attribution(pd.DataFrame(two * 1000)[list(order)], rows="o")
    )
    pd.testing.assert_series_equal(table["p_adjusted"], other["p_adjusted"])
    pd.testing.assert_series_equal(table["low"] * 1000, other["low"])


def test_the_table_is_the_same_every_time_and_follows_the_generator_given():
    rng = generator(9)
    pair = attribution(rng.exponential(size=(30, 2))), attribution(rng.exponential(size=(30, 2)), rows="other")
    pd.testing.assert_frame_equal(compare(*pair), compare(*pair))
    one, two = (compare(*pair, rng=generator(seed))["p_adjusted"].tolist() for seed in (1, 2))
    assert one != two and one == pytest.approx(two, abs=0.1)


# ---- two models


def means_only(means):
    """Summaries of which the means alone differ."""
    return Summary(np.asarray(means), np.zeros((*np.shape(means)[:-1], 1, np.shape(means)[-1])))


def test_few_features_are_judged_by_students_t_of_their_own_refits():
    rng = generator(10)
    refits = rng.normal(1, 0.1, size=(9, 3))
    found = training_noise(*map(means_only, (np.ones(3), np.array([1.3, 1.0, 0.9]), refits)))
    reach = stats.t.ppf(0.975, 8) * np.sqrt(2) * refits.std(axis=0, ddof=1)
    np.testing.assert_allclose(found.high - found.low, 2 * reach)
    p_value = 2 * stats.t.sf(np.abs([0.3, 0.0, 0.1]) / (np.sqrt(2) * refits.std(axis=0, ddof=1)), 8)
    assert found.p_adjusted[0] == pytest.approx(3 * 2 * p_value[0])


def test_holm_adjusts_as_in_the_textbook():
    # R: p.adjust(c(.01, .04, .03, .005), "holm")
    assert _holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize(("value", "wanted"), [(math.pi**2 / 6, 1.0), (math.pi**2 / 2, 0.5), (math.pi**2 / 6 - 1, 2.0)])
def test_the_trigamma_function_is_inverted(value, wanted):
    assert _trigamma_inverse(value) == pytest.approx(wanted)


@pytest.mark.parametrize("slope", [0.0, 2.0])
def test_variances_are_moderated_by_the_prior_that_made_them(slope):
    rng, freedom, prior_freedom, scale = generator(11), 7, 6, 0.5
    level = rng.uniform(0.5, 20, 4000)
    prior = scale * level**slope
    true = prior * prior_freedom / rng.chisquare(prior_freedom, 4000)
    variance = true * rng.chisquare(freedom, 4000) / freedom
    moderated, claimed = _moderated(variance, freedom, level)
    wanted = (prior_freedom * prior + freedom * variance) / (prior_freedom + freedom)
    assert np.median(np.abs(moderated / wanted - 1)) < 0.05
    assert claimed == pytest.approx(freedom + prior_freedom, rel=0.2)


def test_equal_variances_are_pooled():
    variance = 3.0 * generator(12).chisquare(5, 2000) / 5
    moderated, claimed = _moderated(variance, 5, np.ones(2000))
    assert moderated.std() < 0.15 * variance.std() and moderated.mean() == pytest.approx(3.0, rel=0.1)
    assert claimed == 20


def test_a_feature_that_no_refit_uses_has_the_noise_of_features_like_it():
    refits = np.column_stack([generator(13).normal(1, 0.2, size=(8, 6)), np.zeros(8)])
    found = training_noise(*map(means_only, ([1.0] * 6 + [0.0], [1.0] * 6 + [0.05], refits)))
    assert found.p_adjusted[6] > 0.5 and 0.1 < found.high[6] - found.low[6] < 2


def test_a_feature_that_no_model_uses_has_no_difference_and_no_noise():
    refits = np.column_stack([generator(13).normal(1, 0.2, size=(8, 6)), np.zeros(8), np.full(8, 1e-17)])
    found = training_noise(*map(means_only, ([1.0] * 6 + [0.0, 1e-17], [1.0] * 6 + [0.0, 2e-17], refits)))
    assert found.low[6] == found.high[6] == 0 and found.p_adjusted[6] == 1
    assert abs(found.low[7]) < 1e-16 and found.p_adjusted[7] == 1
    rng = generator(13)

    def trained(model):
        return attribution(rng.normal(size=(30, 6)) * [1, 1, 1, 1, 1, 0], model)

    table = compare(trained("may"), trained("june"), refits=[trained("may") for _ in range(5)])
    assert table.loc[5, ["before", "after", "difference", "low", "high"]].tolist() == [0] * 5
    assert table.loc[5, "p_adjusted"] == 1 and (table.loc[:4, "low"] < table.loc[:4, "high"]).all()
    tiny = [1e-15 if model == "june" else 1e-17 for model in ("may", "june")]
    before, after = (
        attribution(rng.normal(size=(30, 6)) * [1, 1, 1, 1, 1, size], "x" * k) for k, size in enumerate(tiny)
    )
    refits = [attribution(rng.normal(size=(30, 6)) * [1, 1, 1, 1, 1, 1e-17]) for _ in range(5)]
    assert compare(before, after, refits=refits).loc[5, "p_adjusted"] == 1


def test_a_variance_of_zero_gives_way_to_the_prior():
    variance = np.array([1e-4, 1e-2, 1.0, 3.0, 50.0, 0.0])
    moderated, _ = _moderated(variance, 7, np.ones(6))
    share = 1 - (moderated[4] - moderated[2]) / (variance[4] - variance[2])
    prior = (moderated[2] - (1 - share) * variance[2]) / share
    assert 0.01 < share < 0.9 and moderated[5] == pytest.approx(prior)


def test_a_feature_that_grows_is_given_noise_of_its_new_size():
    level = np.geomspace(0.01, 2, 12)
    refits = level * generator(22).normal(1, 0.1, size=(8, 12))
    grown = np.r_[1.0, level[1:]]
    small, large = (training_noise(*map(means_only, (level, after, refits))) for after in (level, grown))
    assert large.high[0] - large.low[0] > 4 * (small.high[0] - small.low[0])


def test_the_distance_of_straight_lines_is_students_t_of_their_slopes():
    rng = generator(30)
    line, slopes = rng.normal(size=40), rng.normal(2, 0.3, size=(8, 3))
    found = _distance(np.outer(line, [0.9, 0.0, -1.5]), slopes[:, None, :] * line[:, None])
    error = np.sqrt(2) * slopes.std(axis=0, ddof=1)
    np.testing.assert_allclose(found, 2 * stats.t.sf(np.abs([0.9, 0.0, -1.5]) / error, 7))


@pytest.mark.parametrize("directions", [1, 4, 12])
def test_two_trainings_of_many_directions_are_as_far_apart_as_the_test_says(directions):
    rng, features = generator(31), 2000
    shapes = rng.normal(size=(30, directions)) * np.geomspace(1, 0.3, directions)

    def trained(*count):
        return np.moveaxis(rng.normal(size=(*count, features, directions)) @ shapes.T, -1, -2)

    found = _distance(trained() - trained(), trained(16))
    for level in (0.05, 0.01):
        assert 0.2 * level < (found < level).mean() < level + 4 * np.sqrt(level / features)
    assert (_distance(trained() - trained() + 12 * shapes[:, :1], trained(16)) < 0.01).mean() > 0.5


def test_an_effect_that_is_turned_round_is_flagged_though_its_mean_is_the_same():
    rng = generator(32)
    rows = rng.normal(size=(60, 6))

    def trained(slope, model):
        return attribution(rows * (np.full(6, 1.0) * slope + rng.normal(0, 0.05, 6)), model)

    refits = [trained(1.0, "may") for _ in range(8)]
    before, after = trained(1.0, "may"), trained(np.r_[-1.0, np.ones(5)], "june")
    table = compare(before, after, refits=refits)
    assert table["flagged"].tolist() == [True] + 5 * [False] and table.index[0] == 0
    assert table["difference"].abs().iloc[0] < 0.2 and table["moved"].iloc[0] > 1.2
    wanted = np.abs(after.values - before.values).mean(axis=0)
    np.testing.assert_allclose(table.sort_index()["moved"], wanted)


def test_a_summary_keeps_few_rows_of_each_window_and_their_mean_square():
    rng = generator(33)
    small, large = rng.normal(size=(20, 2)), rng.normal(3, 1, size=(5000, 2))
    found = summary([attribution(small), attribution(large, rows="other")])
    np.testing.assert_allclose(found.means, (np.abs(small).mean(axis=0) + np.abs(large).mean(axis=0)) / 2)
    assert found.contributions.shape == (20 + 1000, 2)
    wanted = ((small**2).mean(axis=0) + (large[::5] ** 2).mean(axis=0)) / 2
    np.testing.assert_allclose((found.contributions**2).sum(axis=0), wanted)


def test_one_model_on_one_set_of_rows_has_no_difference():
    made = attribution(generator(23).normal(size=(9, 2)))
    table = compare(made, made)
    assert (table["difference"] == 0).all() and (table["p_adjusted"] == 1).all() and not table["flagged"].any()


def world(seed=20, width=5):
    rng = generator(seed)
    rows = pd.DataFrame(rng.normal(size=(300, width)), columns=list("abcdefgh")[:width])
    return rows, (rng.random(300) < 1 / (1 + np.exp(-1.5 * rows["a"] + rows["b"]))).astype(int)


def logistic():
    return pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())


def test_refits_may_be_a_function_models_or_their_attributions():
    rows, label = world()
    holdout = rows.tail(50)
    first, second = logistic().fit(rows[:150], label[:150]), logistic().fit(rows[150:], label[150:])
    train = retrain(first, rows[:150], label[:150])
    before, after = explain(first, holdout), explain(second, holdout)
    by_function = compare(before, after, refits=train, rows=holdout, n_refits=6, rng=generator(1))
    rng = generator(1)
    models = [train(rng) for _ in range(6)]
    by_models = compare(before, after, refits=models, rows=holdout)
    by_values = compare(before, after, refits=[explain(model, holdout) for model in models])
    pd.testing.assert_frame_equal(by_function, by_models)
    pd.testing.assert_frame_equal(by_function, by_values)
    assert set(by_function["noise_source"]) == {"training"} and list(by_function.columns) == COLUMNS
    assert by_function["p_adjusted"].notna().all() and by_function["flagged"].notna().all()


def test_without_refits_there_are_no_p_values_and_units_widen_the_interval():
    rng = generator(14)
    one = np.repeat(rng.exponential(size=(20, 2)), 4, axis=0)
    two = one * 1.2
    pair = attribution(one), attribution(two, model="other")
    loose, tight = compare(*pair, groups=np.repeat(np.arange(20), 4)), compare(*pair)
    assert loose["p_adjusted"].isna().all() and loose["flagged"].isna().all()
    assert set(loose["noise_source"]) == {"training noise not measured"}
    by_unit = stats.ttest_rel(two[::4], one[::4]).confidence_interval(0.95)
    np.testing.assert_allclose(loose.sort_index()["low"], by_unit.low)
    by_row = stats.ttest_rel(two, one).confidence_interval(0.95)
    np.testing.assert_allclose(tight.sort_index()["high"], by_row.high)


def test_flagged_features_stand_before_larger_differences_that_are_noise():
    rng = generator(15)
    refits = [
        attribution(rng.normal([10, 1, 1, 1, 1], [4, 0.01, 0.01, 0.01, 0.01], (1, 5)).repeat(9, 0)) for _ in "12345678"
    ]
    before, after = (
        attribution(np.tile([10.0, 1, 1, 1, 1], (9, 1))),
        attribution(np.tile([12.0, 1.5, 1, 1, 1], (9, 1)), "o"),
    )
    table = compare(before, after, refits=refits)
    assert table.index[:2].tolist() == [1, 0] and table["flagged"].tolist() == [True, False, False, False, False]
    assert table["rank"].tolist() == [1, 2, 5, 5, 5]


def test_training_again_draws_rows_units_seeds_and_weights_and_leaves_the_model_alone():
    class Spy(ensemble.RandomForestClassifier):
        def fit(self, X, y, sample_weight=None):
            self.seen, self.weight = X, sample_weight
            return super().fit(X, y, sample_weight)

    rows, label = world()
    groups = np.repeat(np.arange(30), 10)
    model = Spy(n_estimators=2, random_state=3)
    train = retrain(model, rows, label, sample_weight=np.arange(300.0), groups=groups)
    one, again, other = train(generator(1)), train(generator(1)), train(generator(2))
    assert not hasattr(model, "seen") and model.random_state == 3
    assert one.random_state == again.random_state != other.random_state
    pd.testing.assert_frame_equal(one.seen, again.seen)
    assert one.weight.tolist() == one.seen.index.astype(float).tolist()
    counts = pd.Series(one.seen.index).value_counts().reindex(range(300), fill_value=0).groupby(groups)
    assert (counts.nunique() == 1).all() and counts.first().sum() == 30 and counts.first().max() > 1
    assert len(retrain(model, rows, label)(generator(1)).seen.drop_duplicates()) == pytest.approx(190, abs=20)
    with pytest.raises(InputError, match="y has 299 values for 300 rows"):
        retrain(model, rows, label[1:])


def test_weights_reach_the_last_step_of_a_pipeline_or_of_a_search():
    rows, label = world()
    weight = np.where(rows["a"] > 0, 1.0, 1e-9)
    for model in (logistic(), pipeline.make_pipeline(preprocessing.StandardScaler(), logistic())):
        found = retrain(model, rows, label, sample_weight=weight)(generator(1))
        some = generator(1).integers(0, 300, 300)
        few = rows.iloc[some][weight[some] == 1]
        scaled = (few - rows.iloc[some].mean()) / rows.iloc[some].std(ddof=0)
        if model[-1].__class__.__name__ == "Pipeline":
            scaled = found[:-1].transform(few)
        own = linear_model.LogisticRegression().fit(np.asarray(scaled), label.iloc[some][weight[some] == 1])
        last = found[-1] if hasattr(found[-1], "coef_") else found[-1][-1]
        np.testing.assert_allclose(last.coef_, own.coef_, atol=1e-3)
    search = model_selection.GridSearchCV(logistic(), {"logisticregression__C": [1.0]}, cv=2).fit(rows, label)
    heavy = retrain(search, rows, label, sample_weight=weight)(generator(1)).best_estimator_
    direct = retrain(logistic(), rows, label, sample_weight=weight)(generator(1))
    np.testing.assert_allclose(heavy[-1].coef_, direct[-1].coef_)
    with pytest.raises(InputError, match="sample_weight was given, and the fit of the KNeighborsClassifier takes none"):
        retrain(pipeline.make_pipeline(neighbors.KNeighborsClassifier()), rows, label, sample_weight=weight)


def test_what_cannot_be_trained_again_is_refused_before_the_first_refit():
    rows, label = world()
    model = linear_model.LogisticRegression()
    with pytest.raises(InputError, match="X is a ndarray; a DataFrame is wanted"):
        retrain(model, rows.to_numpy(), label)
    with pytest.raises(InputError, match=r"a function cannot be cloned and fitted again: .*function rng -> fitted"):
        retrain(lambda table: table, rows, label)
    with pytest.raises(InputError, match="sample_weight has no values for 300 rows"):
        retrain(model, rows, label, sample_weight=1.0)
    with pytest.raises(InputError, match="groups has no value in row 299"):
        retrain(model, rows, label, groups=[*range(299), None])


@pytest.mark.system
def test_boosters_that_stop_early_are_refused_with_the_rounds_they_ended_with():
    import catboost
    import lightgbm
    import xgboost
    from sklearn.base import clone

    rows, label = world()
    fit = {"X": rows[:200], "y": label[:200], "eval_set": [(rows[200:], label[200:])]}
    xgb = xgboost.XGBClassifier(n_estimators=80, n_jobs=1, early_stopping_rounds=2).fit(**fit, verbose=False)
    called = xgboost.XGBClassifier(n_estimators=80, n_jobs=1, callbacks=[xgboost.callback.EarlyStopping(rounds=2)])
    called.fit(**fit, verbose=False)
    stop = lightgbm.early_stopping(2, verbose=False)
    lgb = lightgbm.LGBMClassifier(n_estimators=80, n_jobs=1, verbose=-1).fit(
        rows[:200], label[:200], eval_X=rows[200:], eval_y=label[200:], callbacks=[stop]
    )
    quiet = {"verbose": 0, "thread_count": 1, "allow_writing_files": False}
    cat = catboost.CatBoostClassifier(iterations=80, early_stopping_rounds=2, **quiet).fit(**fit)
    for model, found, rounds in (
        (xgb, r"early_stopping_rounds='2'", xgb.best_iteration + 1),
        (called, r"callbacks=", called.best_iteration + 1),
        (lgb, rf"stopped after {lgb.best_iteration_} of 80 rounds", lgb.best_iteration_),
        (cat, rf"stopped after {cat.tree_count_} of 80 rounds", cat.tree_count_),
    ):
        with pytest.raises(InputError, match=found) as caught:
            retrain(model, rows, label)
        assert rounds < 80
        said = str(caught.value).partition("set_params(")[2].rstrip(")")
        change = {name: None if value == "None" else int(value) for name, _, value in
                  (part.partition("=") for part in said.split(", "))}  # fmt: skip
        again = retrain(clone(model).set_params(**change), rows, label)(generator(1))
        trees = {"xgboost": lambda m: m.get_booster().num_boosted_rounds(), "lightgbm": lambda m: m.n_estimators_}
        assert trees.get(type(model).__module__.partition(".")[0], lambda m: m.tree_count_)(again) == rounds
    with pytest.raises(InputError, match=r"xgbclassifier__early_stopping_rounds=None"):
        retrain(pipeline.make_pipeline(xgb), rows, label)
    with pytest.raises(InputError, match="a Booster cannot be cloned"):
        retrain(lgb.booster_, rows, label)
    retrain(xgboost.XGBClassifier(), rows, label)
    retrain(lightgbm.LGBMClassifier(), rows, label)
    retrain(catboost.CatBoostClassifier(), rows, label)
    wrong = rows.assign(a="text")
    with pytest.raises(InputError, match=r"refit 1 of 20 cannot be trained: CatBoostError: ") as caught:
        pair = (explain(model, rows.head(9)) for model in (clone(cat).set_params(depth=2).fit(**fit), cat))
        compare(*pair, refits=retrain(catboost.CatBoostClassifier(**quiet), wrong, label), rows=rows.head(9))
    assert isinstance(caught.value.__cause__, catboost.CatBoostError)


def test_what_goes_wrong_in_a_refit_names_it_and_keeps_the_cause():
    rows, label = world()
    first, second = (logistic().fit(rows[part], label[part]) for part in (slice(150), slice(150, 300)))
    pair = [explain(model, rows.tail(9)) for model in (first, second)]
    calls = []

    def train(rng):
        calls.append(rng)
        return first if len(calls) < 3 else first.set_params(logisticregression__C=-1).fit(rows, label)

    with pytest.raises(InputError, match=r"refit 3 of 7 cannot be trained: InvalidParameterError: The 'C'") as caught:
        compare(*pair, refits=train, rows=rows.tail(9), n_refits=7)
    assert isinstance(caught.value.__cause__, ValueError)
    other = linear_model.LogisticRegression().fit(rows[["a", "b"]], label)
    with pytest.raises(InputError, match=r"refits\[0\]: .*column"):
        compare(*pair, refits=[other] * 4, rows=rows.tail(9))


def test_no_refits_may_be_none_and_a_table_is_no_attribution():
    values = generator(18).normal(size=(40, 2))
    before, after = attribution(values), attribution(values * 2, model="other")
    pd.testing.assert_frame_equal(compare(before, after, refits=None), compare(before, after))
    halves = np.arange(40) < 5
    with pytest.raises(InputError, match="no cohort has 30 rows"):
        by_cohort(before, after, np.arange(40) % 2, refits=None)
    assert by_cohort(before, after, halves, refits=None).loc[False, "noise_source"].str.contains("not measured").all()
    made = four(generator(3))
    pd.testing.assert_frame_equal(split(made, refits=None), split(made))
    for call in (
        lambda: compare(before.to_frame(), after),
        lambda: compare(before, after.to_frame()),
        lambda: by_cohort(before.to_frame(), after, halves),
        lambda: split(made | {("old", "june"): before.to_frame()}),
        lambda: compare_both(before, made["new", "june"], crossed=before),
        lambda: split(made, rows=pd.DataFrame()),
    ):
        with pytest.raises(InputError, match=r"is a DataFrame; an Attribution is wanted|is no pair"):
            call()
    for refits in (5, iter([before])):
        with pytest.raises(InputError, match="wanted is a function"):
            by_cohort(before, after, halves, refits=refits)
    with pytest.raises(InputError, match="alpha is 'x'"):
        by_cohort(before, after, halves, alpha="x")


def test_a_sample_without_a_rare_class_is_drawn_again():
    rows = pd.DataFrame({"a": np.arange(40.0)})
    label = np.array(["no"] * 38 + ["yes", "maybe"])
    model = linear_model.LogisticRegression().fit(rows, label)
    train, rng = retrain(model, rows, label), generator(3)
    assert all(len(train(rng).classes_) == 3 for _ in range(10))
    lone = retrain(model, rows, label, groups=np.r_[np.zeros(39), 1])
    assert set(lone(rng).classes_) == {"maybe", "no", "yes"}
    never = retrain(model, rows, np.arange(40))
    with pytest.raises(InputError, match="100 bootstrap samples in a row lacked a class, such as 0"):
        never(rng)


def test_contributions_to_several_classes_are_added_up():
    values = np.arange(12.0).reshape(2, 3, 2) * [1, -1]
    index, columns = pd.RangeIndex(2), pd.Index(["a", "b", "c"])
    made = Attribution(values, np.zeros(2), index, columns, "margin", "linear", "model", "rows", 0.0, ("x", "y"))
    np.testing.assert_allclose(sizes(made), [[1, 5, 9], [13, 17, 21]])


# ---- models that take other features


def release(rows=None):
    """A model and the next one, which takes one more feature, one less, and the others in another order."""
    rng = generator(40)
    made = pd.DataFrame(rng.normal(size=(300, 4)), columns=["old", "a", "b", "new"])
    label = (made.eval("a - b + new + 0.3 * old") + rng.normal(size=300) > 0).astype(int)
    before = linear_model.LogisticRegression().fit(made[["old", "a", "b"]], label)
    after = linear_model.LogisticRegression().fit(made[["b", "new", "a"]], label)
    return made, label, before, after


def test_a_model_with_one_more_feature_and_one_less_is_compared_over_all():
    made, label, old, new = release()
    holdout, usual = made.tail(60), made.head(40)
    names = {old: ["old", "a", "b"], new: ["b", "new", "a"]}
    before, after = (explain(model, holdout[names[model]], background=usual[names[model]]) for model in (old, new))
    train = retrain(old, made[names[old]], label)
    options = {"rows": holdout[names[old]], "background": usual[names[old]], "n_refits": 6}
    table = compare(before, after, refits=train, **options)
    assert table["taken_by"].to_dict() == {"old": "before", "a": "both", "b": "both", "new": "after"}
    # Contributions of a linear model: slope times distance from the mean of the background.
    for side, model in (("before", old), ("after", new)):
        slope = pd.Series(model.coef_[0], index=names[model]).reindex(made.columns, fill_value=0)
        wanted = ((holdout - usual.mean()) * slope).abs().mean()
        pd.testing.assert_series_equal(table[side], wanted[table.index], check_names=False)
    assert set(table["noise_source"]) == {"training"} and table.loc["new", "flagged"]
    cohorts = by_cohort(before, after, np.arange(60) % 2, refits=train, **options)
    assert cohorts["taken_by"].xs("new", level="feature").tolist() == ["after"] * 2
    np.testing.assert_allclose(cohorts["before"].groupby("feature").mean()[table.index], table["before"])
    again = compare(explain(old, holdout[names[old]]), explain(new, holdout[names[new]]))
    assert set(again["noise_source"]) == {"training noise not measured"}
    gids = [label.get_gid() for label in shapdiff_beeswarm(before, after, features=list(table.index)).get_yticklabels()]
    assert gids == list(table.index)


def test_other_rows_labels_or_backgrounds_are_found_where_models_take_other_features():
    made, label, old, new = release()
    one, two = made[["old", "a", "b"]], made[["b", "new", "a"]]
    before = explain(old, one.tail(60), background=one.head(40))
    for rows, background, message in (
        (two[100:160], two.head(40), "both the model and the rows differ"),
        (two.tail(60).assign(a=0.0), two.head(40), "both the model and the rows differ"),
        (two.tail(60).reset_index(drop=True), two.head(40), "both the model and the rows differ"),
        (two.tail(60), two.head(41), "against background"),
    ):
        with pytest.raises(InputError, match=message):
            compare(before, explain(new, rows, background=background))
    loss = explain(old, one.tail(60), background=one.head(40), output="loss", y=label.tail(60))
    for labels, fits in ((label.tail(60), True), (1 - label.tail(60), False)):
        other = explain(new, two.tail(60), background=two.head(40), output="loss", y=labels)
        assert same_rows(loss, other) == fits
    nothing = linear_model.LogisticRegression().fit(made[["new"]], label)
    with pytest.raises(InputError, match="before and after have different features: old, a, b, new"):
        compare(before, explain(nothing, made[["new"]].tail(60), background=made[["new"]].head(40)))


def test_both_at_once_is_split_where_models_take_other_features():
    made, label, old, new = release()
    sides = {(model, window): explain(model, made[names].iloc[some], background=made[names].head(40))
             for model, names in ((old, ["old", "a", "b"]), (new, ["b", "new", "a"]))
             for window, some in (("may", slice(100)), ("june", slice(100, 180)))}  # fmt: skip
    crossed = sides[old, "june"], sides[new, "may"]
    rows = tuple(made[["old", "a", "b"]].iloc[some] for some in (slice(100), slice(100, 180)))
    train = retrain(old, made[["old", "a", "b"]], label)
    options = {"refits": train, "rows": rows, "background": made[["old", "a", "b"]].head(40), "n_refits": 5}
    table = compare_both(sides[old, "may"], sides[new, "june"], crossed=crossed, **options)
    total = table.groupby(level=0)["difference"].sum()
    size = {place: one.to_frame().abs().mean() for place, one in sides.items()}
    wanted = size[new, "june"].reindex(made.columns, fill_value=0) - size[old, "may"].reindex(
        made.columns, fill_value=0
    )
    pd.testing.assert_series_equal(total.sort_index(), wanted.sort_index(), check_names=False)
    assert (table.loc["new", "taken_by"] == "after").all()


# ---- both at once


def four(rng, count=(30, 20), width=3):
    values = {
        (model, rows): rng.exponential(size=(size, width)) * (1 + (model == "new")) * (1 + (rows == "june"))
        for model, (rows, size) in itertools.product(("old", "new"), zip(("may", "june"), count, strict=True))
    }
    return {place: attribution(value, *place) for place, value in values.items()}


def split(made, **options):
    crossed = made["old", "june"], made["new", "may"]
    return compare_both(made["old", "may"], made["new", "june"], crossed=crossed, **options)


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_both_parts_are_the_shapley_values_and_add_up(seed):
    made = four(generator(seed))
    table = split(made).reset_index().set_index(["part", "feature"])["difference"]
    worth = {place: np.abs(one.values).mean(axis=0) for place, one in made.items()}
    for feature in range(3):
        wanted = {"model": 0.0, "rows": 0.0}
        for order in (("model", "rows"), ("rows", "model")):
            place = {"model": "old", "rows": "may"}
            for player in order:
                start = worth[place["model"], place["rows"]][feature]
                place[player] = {"model": "new", "rows": "june"}[player]
                wanted[player] += (worth[place["model"], place["rows"]][feature] - start) / 2
        assert table.xs(feature, level="feature").to_dict() == pytest.approx(wanted)
        assert sum(wanted.values()) == pytest.approx(worth["new", "june"][feature] - worth["old", "may"][feature])


def test_each_part_is_judged_by_its_own_noise():
    rng = generator(16)
    made = four(rng, count=(200, 150))
    bare = split(made)
    assert bare.columns[0] == "part" and list(bare.columns[1:]) == COLUMNS
    assert bare.groupby("part")["noise_source"].first().to_dict() == {
        "model": "training noise not measured",
        "rows": "rows",
    }
    model, rows = (bare[bare["part"] == part] for part in ("model", "rows"))
    assert model["p_adjusted"].isna().all() and rows["flagged"].all()
    np.testing.assert_allclose((model["low"] + model["high"]) / 2, model["difference"])
    assert (model["low"] < model["high"]).all()
    assert shapdiff(rows).get_yticklabels()[0].get_text() == str(rows.index[0])
    refits = [
        tuple(attribution(made["old", window].to_frame() * rng.normal(1, 0.02, 3), f"r{k}", window) for window in ("may", "june"))
        for k in range(6)
    ]  # fmt: skip
    judged = split(made, refits=refits)
    assert judged[judged["part"] == "model"]["flagged"].all()
    assert set(judged[judged["part"] == "model"]["noise_source"]) == {"training"}
    again = judged[judged["part"] == "rows"]["p_adjusted"]
    np.testing.assert_allclose(again, 2 * rows["p_adjusted"])


def test_refits_are_trained_and_explained_on_both_windows():
    rows, label = world(21)
    may, june = rows[:60], rows[60:100] + 1.0
    old, new = logistic().fit(rows[:150], label[:150]), logistic().fit(rows[150:], label[150:])
    back = {"background": rows.head(50)}
    made = {
        (name, window): explain(model, table, **back)
        for name, model in (("old", old), ("new", new))
        for window, table in (("may", may), ("june", june))
    }
    train = retrain(old, rows[:150], label[:150])
    table = split(made, refits=train, rows=(may, june), n_refits=5, rng=generator(3), **back)
    rng = generator(3)
    pairs = [tuple(explain(model, one, **back) for one in (may, june)) for model in (train(rng) for _ in range(5))]
    by_values = split(made, refits=pairs, rng=rng, **back)
    pd.testing.assert_frame_equal(table, by_values)


def test_four_attributions_that_do_not_belong_together_are_refused():
    made = four(generator(17))
    before, after = made["old", "may"], made["new", "june"]
    with pytest.raises(InputError, match=r"crossed\[0\] is not the model before on the rows after"):
        compare_both(before, after, crossed=(made["new", "may"], made["old", "june"]))
    with pytest.raises(InputError, match="have the same rows; compare is wanted"):
        compare_both(before, made["new", "may"], crossed=(before, after))
    with pytest.raises(InputError, match=r"refits\[0\] holds 1 items; a tuple of two attributions"):
        split(made, refits=[before] * 4)
    with pytest.raises(InputError, match="groups is no pair"):
        split(made, groups=np.arange(30))


# ---- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"refits": lambda rng: None, "n_refits": 2}, "2 refits were given; at least 4 are wanted"),
        ({"refits": [linear_model.LogisticRegression()] * 4}, "not explained yet: give rows"),
        ({"refits": [attribution(np.ones((5, 2)))] * 4}, "the refits do not differ in any feature"),
        ({"refits": [attribution(np.ones((5, 3)))] * 4}, r"refits\[0\] has other features"),
        ({"refits": [attribution(np.ones((5, 2)), rows="x")] * 4}, r"refits\[0\] is explained on other rows"),
        ({"refits": iter([1, 2])}, "refits is a .*; wanted is a function rng -> fitted model"),
        ({"refits": 5}, "refits is a int; wanted is a function"),
        ({"refits": linear_model.LogisticRegression()}, "refits is a LogisticRegression; wanted is a function"),
        ({"refits": "abcd"}, "refits is a str; wanted is a function"),
        ({"refits": lambda rng: None, "n_refits": "x"}, "n_refits is 'x'; a whole number"),
        ({"refits": lambda rng: 1 / 0}, "refit 1 of 20 cannot be trained: ZeroDivisionError: division by zero"),
        ({"refits": [(1, 2)] * 4}, r"refits\[0\] holds 2 items; one attribution is wanted"),
        ({"alpha": "x"}, "alpha is 'x'; a share"),
        ({"alpha": None}, "alpha is None; a share"),
        ({"alpha": math.nan}, "alpha is nan; a share"),
        ({"groups": [1, 2, 3]}, "groups has 3 values for 5 rows"),
        ({"groups": 3}, r"groups has shape \(\); the unit of each of 5 rows"),
        ({"groups": [1, 2, 3, None, 1]}, "groups has no value in row 3"),
        ({"groups": [1] * 5}, "groups holds one unit"),
    ],
)
def test_refits_and_groups_that_do_not_fit_are_refused(options, message):
    values = generator(18).normal(size=(5, 2))
    with pytest.raises(InputError, match=message):
        compare(attribution(values), attribution(values * 2, model="other"), **options)


def test_units_of_two_windows_are_checked():
    values = generator(19).normal(size=(5, 2))
    pair = attribution(values), attribution(values * 2, rows="other")
    with pytest.raises(InputError, match="groups has 4 values for 5 rows after"):
        compare(*pair, groups=(range(5), range(4)))
    with pytest.raises(InputError, match="groups holds one unit"):
        compare(*pair, groups=([1] * 5, [1] * 5))
    with pytest.raises(InputError, match="groups holds one unit in each window"):
        compare(*pair, groups=([1] * 5, [2] * 5))
    with pytest.raises(InputError, match="groups has no value in row 3 after"):
        compare(*pair, groups=(range(5), [1, 2, 3, None, 4]))
    for groups in ((name for name in "ab"), 7, (None, range(5)), pd.Series(range(5))):
        with pytest.raises(InputError, match=r"pair|unit of each row"):
            compare(*pair, groups=groups)
    assert compare(*pair, groups=([1] * 5, [2] * 4 + [3]))["p_adjusted"].notna().all()

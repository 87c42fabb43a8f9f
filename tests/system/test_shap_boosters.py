"""The leaves read from xgboost and lightgbm beside what these libraries predict and contribute themselves."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from rca.errors import InputError, UnknownName
from rca.models.shapdiff import explain
from rca.models.shapdiff.leaves import lgb, xgb

pytestmark = pytest.mark.system
READERS = {"xgboost": xgb, "lightgbm": lgb}
TINY = float(np.float32(1e-35))


@pytest.fixture(scope="module", autouse=True)
def libraries():
    """Import what is tested against when the tests run: they are collected where neither library is installed."""
    global lightgbm, xgboost
    import lightgbm
    import xgboost


def table(seed, rows=500, *, missing=True, categories=True):
    """Rows with two numbers, a number that is often zero, a truth value and two categories."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "a": random.normal(size=rows),
            "b": random.normal(size=rows).round(1),
            "zeros": np.where(random.random(rows) < 0.5, 0.0, random.normal(size=rows)),
            "flag": random.random(rows) < 0.4,
        }
    )
    if categories:
        frame["letter"] = pd.Categorical(random.choice(list("pqrstuvwxy"), rows))
        frame["number"] = pd.Categorical(random.integers(10, 15, rows))
    if missing:
        frame.loc[random.random(rows) < 0.15, "a"] = np.nan
        if categories:
            frame.loc[random.random(rows) < 0.15, "letter"] = np.nan
    return frame


def target(frame, seed=0):
    noise = np.random.default_rng(seed).normal(size=len(frame)) / 5
    total = frame["a"].fillna(0.7) + frame["b"] * frame["flag"] + (frame["zeros"] == 0) * 1.5 + noise
    if "letter" in frame:
        total += frame["letter"].isin(list("prsv")) * 2.0 - frame["letter"].isna() + (frame["number"].astype(int) == 12)
    return total.to_numpy()


def three(values):
    return np.searchsorted(np.quantile(values, [0.3, 0.7]), values)


def outputs(found, rows):
    """The sum of the leaves that a row reaches, by the words of `Leaves`: the slow, obvious way."""
    if found.single:
        rows = rows.astype(np.float32).astype(float)
    total = np.tile(found.base, (len(rows), 1))
    for leaf in range(len(found.start) - 1):
        inside = np.ones(len(rows), dtype=bool)
        for test in range(found.start[leaf], found.start[leaf + 1]):
            inside &= passes(found, test, rows)
        add(total, inside, found, leaf, 1.0)
    return total


def predicted(found, total):
    """The prediction that the link makes of the sums; second class of two."""
    if found.link == "softmax":
        power = np.exp(total - total.max(axis=1, keepdims=True))
        return power / power.sum(axis=1, keepdims=True)
    return {"identity": lambda x: x, "log": np.exp, "logit": lambda x: 1 / (1 + np.exp(-x))}[found.link](total)


def passes(found, test, rows):
    x = rows[:, found.feature[test]]
    nan = np.isnan(x)
    if found.category[test] < 0:
        return np.where(nan, found.missing[test], (found.low[test] < x) & (x <= found.high[test]))
    assert np.array_equal(x[~nan], np.trunc(x[~nan])), "codes that are not whole"
    row = found.sets[found.category[test]]
    code = np.where(nan | (x < 0) | (x >= len(row) - 1), len(row) - 1, x).astype(int)
    return np.where(nan, found.missing[test], row[code])


def add(total, inside, found, leaf, factor):
    if found.values.shape[1] == 1:
        total[inside, found.group[leaf]] += found.values[leaf, 0] * factor
    else:
        total[inside] += found.values[leaf] * factor


def shapley(found, rows):
    """Path-dependent Shapley values of each row by all coalitions; (n, p, k) and the value of the empty one."""
    p, k = found.n_features, len(found.base)
    game = {}
    for known in itertools.chain.from_iterable(itertools.combinations(range(p), size) for size in range(p + 1)):
        total = np.tile(found.base, (len(rows), 1))
        for leaf in range(len(found.start) - 1):
            share = np.ones(len(rows))
            for test in range(found.start[leaf], found.start[leaf + 1]):
                seen = found.feature[test] in known
                share *= passes(found, test, rows) if seen else found.cover[test]
            total[:, found.group[leaf]] += share * found.values[leaf, 0]
        game[known] = total
    values = np.zeros((len(rows), p, k))
    for feature in range(p):
        for known, before in game.items():
            if feature not in known:
                weight = math.factorial(len(known)) * math.factorial(p - len(known) - 1) / math.factorial(p)
                values[:, feature] += weight * (game[tuple(sorted((*known, feature)))] - before)
    return values, game[()][0]


def hard(frame, found, seed, *, infinite=False, rows=400):
    """Rows whose numbers lie on thresholds, beside them, near zero, far out, or are not there."""
    random = np.random.default_rng(seed)
    result = frame.iloc[random.integers(0, len(frame), rows)].reset_index(drop=True)
    for place, name in enumerate(frame.columns):
        if not pd.api.types.is_float_dtype(frame[name]):
            continue
        here = found.feature == place
        edges = np.unique(np.concatenate([found.low[here], found.high[here]]))
        edges = edges[np.isfinite(edges)]
        near = [np.nextafter(edges, side) for side in (-np.inf, np.inf)]
        single = edges.astype(np.float32)
        near += [np.nextafter(single, np.float32(side)).astype(float) for side in (-np.inf, np.inf)]
        near += [np.nextafter(near[-1].astype(np.float32), np.float32(np.inf)).astype(float), single.astype(float)]
        odd = [0.0, -0.0, 1e-40, -1e-40, TINY, -TINY, TINY * 1.001, -TINY * 1.001, 1e-30, 1e30, -1e30, np.nan]
        pool = np.concatenate([edges, *near, odd, [np.inf, -np.inf] if infinite else []])
        chosen = random.random(rows) < 0.7
        result.loc[chosen, name] = random.choice(pool, chosen.sum()).astype(frame[name].dtype)
    return result


def margin(model, frame):
    return (xgb if type(model).__module__.startswith("xgboost") else lgb).margin(model, frame)


def check(model, frame, seed=1):
    """Leaves and codes of the model give what the model predicts, on hard rows."""
    single = type(model).__module__.startswith("xgboost")
    reader = xgb if single else lgb
    found = reader.read(model, frame.shape[1])
    rows = hard(frame, found, seed, infinite=not single)
    wanted = margin(model, rows)
    assert np.ptp(wanted) > 0
    assert found.single == single
    total = outputs(found, reader.codes(model, rows))
    limit = (2e-6 if single else 1e-12) * max(1.0, np.abs(wanted).max())
    np.testing.assert_allclose(total, wanted, rtol=0, atol=limit)
    if hasattr(model, "predict_proba"):
        final = model.predict_proba(rows)
    elif single and not hasattr(model, "fit"):
        final = model.inplace_predict(rows)
    else:
        final = model.predict(rows)
    final = np.asarray(final, dtype=float).reshape(len(rows), -1)
    final = final[:, 1:] if final.shape[1] == 2 and total.shape[1] == 1 else final
    np.testing.assert_allclose(predicted(found, total), final, rtol=max(limit * 10, 1e-11), atol=max(limit, 1e-12))
    return found


XGB = {
    "regression": {},
    "exact": {"tree_method": "exact", "missing_only": True},
    "poisson": {"objective": "count:poisson"},
    "gamma": {"objective": "reg:gamma"},
    "tweedie": {"objective": "reg:tweedie"},
    "absolute": {"objective": "reg:absoluteerror"},
    "quantiles": {"objective": "reg:quantileerror", "quantile_alpha": [0.2, 0.8]},
    "base_score": {"base_score": 3.5},
    "dart": {"booster": "dart", "rate_drop": 0.4, "skip_drop": 0.0},
    "dart_normalized_by_forest": {"booster": "dart", "rate_drop": 0.4, "normalize_type": "forest"},
    "parallel": {"num_parallel_tree": 3, "subsample": 0.6, "colsample_bynode": 0.7},
    "one_hot": {"max_cat_to_onehot": 20},
    "partition": {"max_cat_to_onehot": 1, "max_cat_threshold": 3},
    "leafwise": {"grow_policy": "lossguide", "max_leaves": 9, "max_depth": 0},
    "pruned": {"tree_method": "exact", "gamma": 20.0, "missing_only": True},
    "small": {"gamma": 1.0, "min_child_weight": 150.0},
}


@pytest.mark.parametrize("name", XGB)
@pytest.mark.parametrize("kind", ["regressor", "booster"])
def test_xgboost_regressions_add_up_to_what_they_predict(name, kind):
    settings = dict(XGB[name])
    frame = table(3, categories=not settings.pop("missing_only", False))
    log = settings.get("objective") in ("count:poisson", "reg:gamma", "reg:tweedie")
    wanted = np.exp(target(frame) / 3) if log else target(frame)
    model = xgboost.XGBRegressor(
        n_jobs=1,
        n_estimators=12,
        max_depth=settings.pop("max_depth", 4),
        enable_categorical="letter" in frame,
        random_state=0,
        **settings,
    )
    model.fit(frame, wanted)
    found = check(model if kind == "regressor" else model.get_booster(), frame)
    assert found.link == ("log" if log else "identity")


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob", "binary:logitraw"])
@pytest.mark.parametrize("booster", ["gbtree", "dart"])
@pytest.mark.parametrize("weights", [False, True])
def test_xgboost_classifications_add_up_to_what_they_predict(objective, booster, weights):
    frame = table(4)
    wanted = three(target(frame))
    if objective.startswith("binary"):
        wanted = wanted > 1
    more = {"rate_drop": 0.3} if booster == "dart" else {}
    model = xgboost.XGBClassifier(
        n_jobs=1, n_estimators=8, max_depth=4, enable_categorical=True, objective=objective, booster=booster, **more
    )
    model.fit(frame, wanted, sample_weight=np.linspace(0.1, 3, len(frame)) if weights else None)
    found = check(model, frame)
    assert (
        found.link
        == {"binary:logistic": "logit", "multi:softprob": "softmax", "binary:logitraw": "identity"}[objective]
    )
    assert len(found.base) == (3 if objective.startswith("multi") else 1)


@pytest.mark.parametrize("strategy", ["one_output_per_tree", "multi_output_tree"])
@pytest.mark.parametrize("grow", ["depthwise", "lossguide"])
def test_xgboost_models_of_two_targets_add_up_to_what_they_predict(strategy, grow):
    frame = table(5, categories=False)
    wanted = np.column_stack([target(frame), target(frame) ** 2])
    model = xgboost.XGBRegressor(
        n_jobs=1, n_estimators=6, max_depth=4, multi_strategy=strategy, grow_policy=grow, tree_method="hist"
    ).fit(frame, wanted)
    assert check(model, frame).values.shape[1] == (2 if strategy == "multi_output_tree" else 1)


def test_xgboost_ranking_and_survival_add_up_to_what_they_predict():
    frame = table(6, categories=False)
    wanted = three(target(frame))
    model = xgboost.XGBRanker(n_jobs=1, n_estimators=6, max_depth=3).fit(frame, wanted, group=[250, 250])
    assert check(model, frame).link == "identity"
    for objective in ("survival:cox", "survival:aft"):
        rows = xgboost.DMatrix(frame, wanted + 1.0)
        if objective == "survival:aft":
            rows = xgboost.DMatrix(frame, label_lower_bound=wanted + 1.0, label_upper_bound=wanted + 2.0)
        assert check(xgboost.train({"objective": objective, "max_depth": 3}, rows, 6), frame).link == "log"


@pytest.mark.parametrize("start", [1e-9, 0.001, 0.3, 0.999, 0.99999, 1 - 1e-9, None])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_xgboost_starts_from_rare_and_sole_classes_as_its_prediction_does(start, label):
    frame = table(24, categories=False)
    settings = {"objective": "reg:logistic", "max_depth": 2} | ({} if start is None else {"base_score": start})
    model = xgboost.train(settings, xgboost.DMatrix(frame, np.full(len(frame), label), nthread=1), 2)
    found = outputs(xgb.read(model, 4), xgb.codes(model, frame))
    np.testing.assert_allclose(found, xgb.margin(model, frame), rtol=2e-6)
    if start is None and label == 0:
        model = xgboost.train(
            {"objective": "count:poisson"}, xgboost.DMatrix(frame, np.zeros(len(frame)), nthread=1), 2
        )
        with pytest.raises(InputError, match="starts from the prediction 0, whose logarithm is not finite"):
            xgb.read(model, 4)


def test_trees_of_one_leaf_are_constants():
    frame = table(22)
    wanted = target(frame)
    for model, reader in (
        (xgboost.XGBRegressor(n_jobs=1, n_estimators=3, enable_categorical=True, min_child_weight=1e6), xgb),
        (lightgbm.LGBMRegressor(n_jobs=1, n_estimators=3, min_child_samples=10_000, verbose=-1), lgb),
        (lightgbm.LGBMClassifier(n_jobs=1, n_estimators=3, min_child_samples=10_000, verbose=-1), lgb),
    ):
        model.fit(frame, three(wanted) if "Classifier" in type(model).__name__ else wanted)
        found = reader.read(model, 6)
        assert len(found.feature) == 0
        np.testing.assert_allclose(outputs(found, reader.codes(model, frame)), margin(model, frame), rtol=2e-6)


def test_the_trees_after_the_best_iteration_count_for_a_booster_only():
    frame, later = table(7), table(8)
    model = xgboost.XGBClassifier(
        n_jobs=1,
        n_estimators=60,
        max_depth=5,
        learning_rate=0.5,
        early_stopping_rounds=3,
        enable_categorical=True,
        num_parallel_tree=2,
    )
    model.fit(frame, three(target(frame)), eval_set=[(later, three(target(later, 1)))], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    few, all_of_them = check(model, frame), check(model.get_booster(), frame)
    assert len(few.group) < len(all_of_them.group)
    rows = lightgbm.Dataset(frame, three(target(frame)))
    settings = {"objective": "multiclass", "num_class": 3, "learning_rate": 0.5, "verbose": -1, "num_threads": 1}
    held = lightgbm.Dataset(later, three(target(later, 1)), reference=rows)
    model = lightgbm.train(
        settings, rows, 60, [held], callbacks=[lightgbm.early_stopping(3, verbose=False)], keep_training_booster=True
    )
    assert 0 < model.best_iteration < model.current_iteration()
    few = check(model, frame)
    loaded = lightgbm.Booster(model_str=model.model_to_string(num_iteration=-1))
    assert len(check(loaded, frame).group) > len(few.group)


@pytest.mark.parametrize("threshold", ["0", "-0.5", "0.5", "1.0000000180025095e-35"])
def test_lightgbm_reads_missing_values_as_zero_where_none_were_missing_in_training(threshold):
    frame = table(23, missing=False, categories=False)[["a"]]
    model = lightgbm.LGBMRegressor(n_jobs=1, n_estimators=1, num_leaves=2, verbose=-1).fit(frame, frame["a"])
    lines = model.booster_.model_to_string().splitlines()
    lines = [f"threshold={threshold}" if line.startswith("threshold=") else line for line in lines]
    sizes = f"tree_sizes={len(chr(10).join(lines[lines.index('Tree=0') : lines.index('end of trees')])) + 1}"
    text = "\n".join([sizes if line.startswith("tree_sizes=") else line for line in lines])
    found = check(lightgbm.Booster(model_str=text), frame)
    assert found.missing.tolist() == [float(threshold) >= 0, float(threshold) < 0]


@pytest.mark.parametrize("value", [0.0, 2.0, -999.1])
def test_xgboost_takes_the_value_it_was_told_for_missing_even_among_codes(value):
    frame = table(9)
    frame["a"] = frame["a"].mask(frame["a"] > 1, value)
    model = xgboost.XGBRegressor(
        n_jobs=1, n_estimators=8, max_depth=4, missing=value, enable_categorical=True, max_cat_to_onehot=20
    )
    model.fit(frame.fillna({"a": 0.5}), target(frame))
    check(model, frame)
    check(model, frame.assign(a=frame["a"].astype("float32")))
    check(model, frame.assign(letter=frame["letter"].cat.reorder_categories(list("yxwvutsrqp"))))
    codes, wanted, rows = bare_codes(25)
    model = xgboost.XGBRegressor(
        n_jobs=1, n_estimators=9, feature_types=["q", "c"], enable_categorical=True, missing=value + 0.5
    )
    model.fit(codes, wanted)
    rows.loc[rows.index[:4], "code"] = value + 0.5
    np.testing.assert_allclose(
        outputs(xgb.read(model, 2), xgb.codes(model, rows)), margin(model, rows), rtol=0, atol=5e-6
    )


def test_xgboost_finds_categories_in_another_order_and_refuses_others():
    frame = table(10)
    model = xgboost.XGBRegressor(
        n_jobs=1, n_estimators=8, max_depth=4, enable_categorical=True, max_cat_to_onehot=2
    ).fit(frame, target(frame))
    own = xgb.codes(model, frame)
    turned = frame.assign(letter=frame["letter"].cat.reorder_categories(list("yxwvutsrqp")))
    np.testing.assert_array_equal(xgb.codes(model, turned), own)
    np.testing.assert_array_equal(model.predict(turned), model.predict(frame))
    fewer = frame[frame["letter"].isin(["r", "v"])].assign(
        letter=lambda rows: rows["letter"].cat.remove_unused_categories()
    )
    np.testing.assert_allclose(
        outputs(xgb.read(model, 6), xgb.codes(model, fewer))[:, 0], model.predict(fewer), atol=1e-5
    )
    more = frame.assign(letter=frame["letter"].cat.add_categories(["z"]))
    with pytest.raises(
        UnknownName, match="column 'letter' lists the category 'z', used in no row; the model does not know"
    ):
        xgb.codes(model, more)
    with pytest.raises(xgboost.core.XGBoostError, match="category not in the training set"):
        model.predict(more)
    for wrong, said in (
        (frame.assign(number=12), "trained on categories"),
        (frame.assign(a=frame["letter"]), "trained on numbers"),
    ):
        with pytest.raises(InputError, match=said):
            xgb.codes(model, wrong)
        with pytest.raises((xgboost.core.XGBoostError, ValueError)):
            model.predict(wrong)
    with pytest.raises(InputError, match="column 'letter' is str"):
        xgb.codes(model, frame.assign(letter="p").astype({"letter": "str"}))


def bare_codes(seed):
    """A number and categories that are bare codes, and codes that no training row had."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": random.normal(size=600), "code": random.integers(0, 40, 600).astype(float)})
    wanted = frame["a"].clip(-1, 1) + frame["code"].isin([0, 3, 4, 17, 33, 39]) * 2
    frame.loc[random.random(600) < 0.1, "code"] = np.nan
    odd = [
        0,
        3,
        33,
        39,
        40,
        63,
        64,
        1000,
        -1,
        -0.5,
        -7,
        0.5,
        3.99,
        2**24 - 1,
        2**24,
        2.0**31,
        3e9,
        -3e9,
        1e20,
        np.nan,
        *range(40),
    ]
    rows = pd.DataFrame({"a": random.normal(size=len(odd)), "code": odd})
    return frame, wanted, rows


@pytest.mark.parametrize("one_hot", [1, 100])
def test_xgboost_reads_bare_codes_as_its_own_prediction_does(one_hot):
    frame, wanted, rows = bare_codes(11)
    model = xgboost.XGBRegressor(
        n_jobs=1,
        n_estimators=9,
        max_depth=4,
        feature_types=["q", "c"],
        enable_categorical=True,
        max_cat_to_onehot=one_hot,
    )
    model.fit(frame, wanted)
    found = outputs(xgb.read(model, 2), xgb.codes(model, rows))
    np.testing.assert_allclose(found, margin(model, rows), rtol=0, atol=5e-6)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("zero", [False, True])
def test_lightgbm_reads_bare_codes_as_its_own_prediction_does(missing, zero):
    frame, wanted, rows = bare_codes(12)
    frame = frame if missing else frame.fillna({"code": 5.0})
    rows.loc[rows.index[-2:], "code"] = np.inf, -np.inf
    model = lightgbm.LGBMRegressor(
        n_jobs=1, n_estimators=9, verbose=-1, min_data_per_group=5, cat_smooth=1, zero_as_missing=zero
    )
    model.fit(frame, wanted, categorical_feature=["code"])
    found = lgb.read(model, 2)
    assert (found.category >= 0).any()
    np.testing.assert_allclose(outputs(found, lgb.codes(model, rows)), margin(model, rows), rtol=0, atol=1e-12)


LGB = {
    "regression": {},
    "zero_as_missing": {"zero_as_missing": True},
    "no_missing": {"use_missing": False},
    "poisson": {"objective": "poisson"},
    "gamma": {"objective": "gamma"},
    "tweedie": {"objective": "tweedie"},
    "absolute": {"objective": "regression_l1"},
    "huber": {"objective": "huber"},
    "fair": {"objective": "fair"},
    "quantile": {"objective": "quantile", "alpha": 0.8},
    "mape": {"objective": "mape"},
    "dart": {"boosting_type": "dart", "drop_rate": 0.4, "skip_drop": 0.0},
    "dart_as_xgboost": {"boosting_type": "dart", "drop_rate": 0.4, "xgboost_dart_mode": True},
    "rf": {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6, "feature_fraction": 0.7},
    "goss": {"data_sample_strategy": "goss", "learning_rate": 0.3},
    "extra": {"extra_trees": True},
    "one_hot": {"max_cat_to_onehot": 20},
    "smoothed": {"path_smooth": 5.0, "monotone_constraints": [1, 0, 0, 0, 0, 0]},
    "coarse": {"max_bin": 5, "min_data_in_bin": 1},
    "small": {"min_child_samples": 200, "learning_rate": 0.9},
}
FEW = {"verbose": -1, "num_leaves": 12, "min_data_per_group": 5, "cat_smooth": 1.0, "random_state": 0}


@pytest.mark.parametrize("name", LGB)
@pytest.mark.parametrize("missing", [False, True])
def test_lightgbm_regressions_add_up_to_what_they_predict(name, missing):
    frame = table(13, missing=missing)
    wanted = target(frame)
    log = LGB[name].get("objective") in ("poisson", "gamma", "tweedie")
    model = lightgbm.LGBMRegressor(n_jobs=1, n_estimators=12, **FEW, **LGB[name]).fit(
        frame, np.exp(wanted / 3) if log else wanted
    )
    assert check(model, frame).link == ("log" if log else "identity")
    if not LGB[name]:
        check(lightgbm.Booster(model_str=model.booster_.model_to_string()), frame)


@pytest.mark.parametrize("objective", ["binary", "multiclass", "multiclassova", "cross_entropy"])
@pytest.mark.parametrize("settings", [{}, {"zero_as_missing": True}, {"boosting_type": "dart"}, LGB["rf"]], ids=str)
def test_lightgbm_classifications_add_up_to_what_they_predict(objective, settings):
    frame = table(14)
    wanted = three(target(frame))
    if not objective.startswith("multi"):
        wanted = (wanted > 1).astype(int)
    kind = lightgbm.LGBMRegressor if objective == "cross_entropy" else lightgbm.LGBMClassifier
    model = kind(n_jobs=1, n_estimators=8, objective=objective, **FEW, **settings).fit(frame, wanted)
    found = check(model, frame)
    assert found.link == ("softmax" if objective == "multiclass" else "logit")
    assert len(found.base) == (3 if objective.startswith("multi") else 1)


def test_lightgbm_ranking_and_own_objectives_add_up_to_what_they_predict():
    frame = table(15)
    wanted = three(target(frame))
    check(lightgbm.LGBMRanker(n_jobs=1, n_estimators=6, **FEW).fit(frame, wanted, group=[250, 250]), frame)
    own = lightgbm.LGBMRegressor(
        n_jobs=1, n_estimators=6, objective=lambda true, found: (found - true, np.ones(len(true))), **FEW
    )
    check(own.fit(frame, wanted), frame)
    other = xgboost.XGBRegressor(
        n_jobs=1,
        n_estimators=6,
        objective=lambda true, found: (found - true, np.ones(len(true))),
        enable_categorical=True,
    )
    check(other.fit(frame, wanted), frame)


def test_lightgbm_takes_categories_it_never_saw_as_missing():
    frame = table(16)
    model = lightgbm.LGBMRegressor(n_jobs=1, n_estimators=8, **FEW).fit(frame, target(frame))
    other = frame.assign(
        letter=pd.Categorical(np.resize(["new", "v", "p", "s"], len(frame)), categories=["v", "new", "p", "s"])
    )
    np.testing.assert_allclose(
        outputs(lgb.read(model, 6), lgb.codes(model, other)), margin(model, other), rtol=0, atol=1e-12
    )
    assert np.isnan(lgb.codes(model, other)[0, 4])
    with pytest.raises(InputError, match="trained on 2 categorical columns; the rows have 1"):
        lgb.codes(model, frame.assign(letter=0))
    with pytest.raises(ValueError, match="categorical_feature do not match"):
        model.predict(frame.assign(letter=0))


def contributions(model, frame):
    if isinstance(model, xgboost.XGBModel):
        rows = xgboost.DMatrix(frame, enable_categorical=True, nthread=1)
        found = model.get_booster().predict(rows, pred_contribs=True, strict_shape=True)
    else:
        found = model.predict(frame, pred_contrib=True)
        found = np.reshape(found, (len(frame), -1, frame.shape[1] + 1))
    return np.asarray(found, dtype=float).transpose(0, 2, 1)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"booster": "dart", "rate_drop": 0.4},
        {"objective": "multi:softprob"},
        {"num_parallel_tree": 2},
        {"objective": "binary:logistic"},
    ],
    ids=str,
)
def test_path_dependent_shapley_values_are_those_of_xgboost(settings):
    frame = table(17)
    wanted = target(frame)
    kind = xgboost.XGBRegressor
    if "objective" in settings:
        wanted, kind = (
            (three(wanted), xgboost.XGBClassifier)
            if "multi" in settings["objective"]
            else (wanted > 1, xgboost.XGBClassifier)
        )
    model = kind(n_jobs=1, n_estimators=4, max_depth=5, enable_categorical=True, max_cat_to_onehot=2, **settings).fit(
        frame, wanted
    )
    found = xgb.read(model, 6)
    rows = hard(frame, found, 2, rows=40)
    values, base = shapley(found, xgb.codes(model, rows))
    own = contributions(model, rows)
    np.testing.assert_allclose(values, own[:, :-1], rtol=0, atol=2e-6)
    np.testing.assert_allclose(base, own[0, -1], rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"boosting_type": "dart"},
        {"objective": "multiclass"},
        {"zero_as_missing": True},
        {"objective": "binary"},
        LGB["rf"],
    ],
    ids=str,
)
def test_path_dependent_shapley_values_are_those_of_lightgbm(settings):
    frame = table(18)
    wanted = target(frame)
    kind = lightgbm.LGBMRegressor
    if settings.get("objective") in ("multiclass", "binary"):
        wanted, kind = three(wanted) // (1 if settings["objective"] == "multiclass" else 2), lightgbm.LGBMClassifier
    model = kind(n_jobs=1, n_estimators=4, **FEW, **settings).fit(frame, wanted)
    found = lgb.read(model, 6)
    rows = hard(frame, found, 2, rows=40)
    values, base = shapley(found, lgb.codes(model, rows))
    own = contributions(model, rows) / (4 if settings.get("boosting_type") == "rf" else 1)  # there, sums over the trees
    np.testing.assert_allclose(values, own[:, :-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(base, own[0, -1], rtol=0, atol=1e-12)


def test_what_cannot_be_read_is_refused_by_name():
    frame = table(19, categories=False, missing=False).astype(float)
    wanted = target(frame)
    refused = [
        (
            xgb,
            xgboost.XGBRegressor(booster="gblinear", n_jobs=1, n_estimators=2),
            "is a gblinear, not an ensemble of trees",
        ),
        (xgb, xgboost.XGBClassifier(objective="binary:hinge", n_jobs=1, n_estimators=2), "objective 'binary:hinge'"),
        (
            lgb,
            lightgbm.LGBMRegressor(linear_tree=True, n_jobs=1, n_estimators=2, **FEW),
            "has linear models in its leaves",
        ),
        (
            lgb,
            lightgbm.LGBMRegressor(reg_sqrt=True, n_jobs=1, n_estimators=2, **FEW),
            "objective 'regression sqrt', whose link is not read",
        ),
        (lgb, lightgbm.LGBMClassifier(sigmoid=2.0, n_jobs=1, n_estimators=2, **FEW), r"another slope \(sigmoid:2\)"),
    ]
    for reader, model, said in refused:
        model.fit(frame, wanted > 0 if "Classifier" in type(model).__name__ else wanted)
        with pytest.raises(InputError, match=said):
            reader.read(model, 4)
    with pytest.raises(InputError, match="trained on 4 columns; the rows have 3"):
        lgb.read(lightgbm.LGBMRegressor(n_jobs=1, **FEW).fit(frame, wanted), 3)
    with pytest.raises(InputError, match="trained on 4 columns; the rows have 5"):
        xgb.read(xgboost.XGBRegressor(n_jobs=1, n_estimators=2).fit(frame, wanted), 5)


def test_a_lightgbm_model_whose_parts_read_zero_differently_is_refused():
    frame = table(20, categories=False)
    wanted = target(frame)
    first = lightgbm.LGBMRegressor(n_jobs=1, n_estimators=5, zero_as_missing=True, **FEW).fit(frame, wanted)
    both = lightgbm.LGBMRegressor(n_jobs=1, n_estimators=5, **FEW).fit(frame, wanted, init_model=first)
    with pytest.raises(InputError, match="read one column in different ways"):
        lgb.read(both, 4)


@pytest.mark.parametrize("reader", READERS)
def test_rows_are_not_changed_and_other_columns_are_refused(reader):
    frame = table(21, categories=False)
    kind = xgboost.XGBRegressor if reader == "xgboost" else lightgbm.LGBMRegressor
    model = kind(n_jobs=1, n_estimators=3).fit(frame, target(frame))
    before = frame.copy()
    READERS[reader].codes(model, frame)
    pd.testing.assert_frame_equal(frame, before)
    for wrong, said in ((frame[["a"]], "rows have 1"), (frame.assign(a="x"), "column 'a' is")):
        with pytest.raises(InputError, match=said):
            READERS[reader].codes(model, wrong)


def plain():
    frame = table(30, rows=200, missing=False, categories=False).astype(float)
    return frame, target(frame)


def quiet(**more):
    return {"iterations": 5, "verbose": False, "allow_writing_files": False, "thread_count": 1, **more}


def focal(truth, raw):
    chance = 1 / (1 + np.exp(-raw))
    return chance - truth, chance * (1 - chance)


@pytest.mark.parametrize("output", ["probability", "loss"])
def test_a_raw_score_that_nothing_known_makes_a_probability_of_is_no_probability(output):
    frame, wanted = plain()
    truth = (wanted > 1).astype(int)
    rows = xgboost.DMatrix(frame, truth, nthread=1)
    for model, said in (
        (
            lightgbm.LGBMClassifier(objective=focal, n_jobs=1, n_estimators=3, **FEW),
            r"a function of its own \('focal'\)",
        ),
        (xgboost.XGBClassifier(objective="binary:logitraw", n_jobs=1, n_estimators=3), "'binary:logitraw'"),
        (xgboost.train({"objective": "binary:logitraw"}, rows, 3), "'binary:logitraw'"),
    ):
        if hasattr(model, "fit"):
            model.fit(frame, truth)
        assert explain(model, frame[:9], background=frame[50:60]).additivity_error < 1e-5
        if output == "probability" and not hasattr(model, "fit"):
            continue
        labels = truth[:9] if output == "loss" else None
        with pytest.raises(InputError, match=f"the objective {said}.* is no probability.*want output='margin'"):
            explain(model, frame[:9], background=frame[50:60], output=output, y=labels)


@pytest.mark.parametrize("kind", ["xgboost", "lightgbm", "catboost", "gblinear"])
@pytest.mark.parametrize("classes", [True, False])
def test_the_unit_in_a_pipeline_does_not_depend_on_the_background(kind, classes):
    import catboost
    from sklearn import decomposition, pipeline, preprocessing

    frame, wanted = plain()
    name = "Classifier" if classes else "Regressor"
    last = {
        "xgboost": lambda: getattr(xgboost, f"XGB{name}")(n_jobs=1, n_estimators=3),
        "gblinear": lambda: getattr(xgboost, f"XGB{name}")(n_jobs=1, n_estimators=3, booster="gblinear"),
        "lightgbm": lambda: getattr(lightgbm, f"LGBM{name}")(n_jobs=1, n_estimators=3, **FEW),
        "catboost": lambda: getattr(catboost, f"CatBoost{name}")(**quiet()),
    }[kind]
    for step in (preprocessing.StandardScaler(), decomposition.PCA(4)):
        model = pipeline.make_pipeline(step, last()).fit(frame.to_numpy(), wanted > 1 if classes else wanted)
        found = [explain(model, frame[:9], background=some) for some in (None, frame[50:60])]
        assert {one.output for one in found} == {"margin" if classes else "prediction"}
        given = model[0].transform(frame[:9].to_numpy())
        raw = {"lightgbm": {"raw_score": True}, "catboost": {"prediction_type": "RawFormulaVal"}}
        own = model[-1].predict(given, **raw.get(kind, {"output_margin": True}))
        for one in found:
            np.testing.assert_allclose(one.base_value + one.values.sum(axis=1), own, rtol=1e-4, atol=1e-4)


def test_a_linear_booster_is_explained_exactly_by_its_slopes(shap):
    frame, wanted = plain()
    frame = frame.mask(np.random.default_rng(0).random(frame.shape) < 0.1)
    rows, known = frame[:20], frame[50:90]
    linear = {"booster": "gblinear", "n_jobs": 1, "n_estimators": 20}
    for model, labels in (
        (xgboost.XGBRegressor(**linear), wanted),
        (xgboost.XGBRegressor(objective="count:poisson", **linear), np.exp(wanted / 3).round()),
        (xgboost.XGBClassifier(**linear), wanted > 1),
        (xgboost.XGBClassifier(**linear), three(wanted)),
    ):
        model.fit(frame, labels)

        def part(some, column):
            # In a linear function a feature's part is what is lost without it.
            own = [model.predict(one, output_margin=True) for one in (some, some.assign(**{column: np.nan}))]  # noqa: B023
            return (own[0] - own[1]).reshape(len(some), -1)

        found = explain(model, rows, background=known)
        assert found.method == "linear"
        values = np.stack([part(rows, name) - part(known, name).mean(axis=0) for name in frame], axis=1)
        np.testing.assert_allclose(found.values.reshape(values.shape), values, rtol=0, atol=1e-5)
        booster = explain(model.get_booster(), rows, background=known)
        np.testing.assert_allclose(booster.values, found.values, atol=1e-6)
        assert booster.output == found.output
        if np.ndim(model.intercept_) == 0 or len(model.intercept_) == 1:
            wanted_by_shap = shap.LinearExplainer((np.ravel(model.coef_), 0.0), known.fillna(0))
            np.testing.assert_allclose(found.values, wanted_by_shap.shap_values(rows.fillna(0)), rtol=0, atol=1e-5)


def test_a_booster_that_gives_classes_only_has_the_probabilities_of_its_margins():
    frame, wanted = plain()
    rows = xgboost.DMatrix(frame, three(wanted), nthread=1)
    hard, soft = (
        xgboost.train({"objective": f"multi:{kind}", "num_class": 3}, rows, 3) for kind in ("softmax", "softprob")
    )
    found = [explain(one, frame[:9], background=frame[50:60], output="probability").values for one in (hard, soft)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_one_class_against_all_others_has_a_probability_each():
    frame, wanted = plain()
    model = lightgbm.LGBMClassifier(objective="multiclassova", n_jobs=1, n_estimators=4, **FEW)
    model.fit(frame, three(wanted))
    found = explain(model, frame[:9], background=frame[50:60], output="probability")
    own = model.predict_proba(frame)
    np.testing.assert_allclose(found.base_values + found.values.sum(axis=1), own[:9], atol=1e-9)
    np.testing.assert_allclose(found.base_values, own[50:60].mean(axis=0), atol=1e-12)
    with pytest.raises(InputError, match=r"the loss of this LGBMClassifier \(one class against all others\)"):
        explain(model, frame[:9], background=frame[50:60], output="loss", y=three(wanted)[:9])


def test_a_ranking_by_catboost_is_explained_in_its_score():
    import catboost

    frame, wanted = plain()
    model = catboost.CatBoostRanker(**quiet()).fit(frame, three(wanted), group_id=np.repeat(range(10), 20))
    for some in (None, frame[50:60]):
        found = explain(model, frame[:9], background=some)
        assert found.output == "prediction"
        np.testing.assert_allclose(found.base_value + found.values.sum(axis=1), model.predict(frame[:9]), atol=1e-9)


def test_an_empty_booster_is_not_fitted():
    with pytest.raises(InputError, match="the Booster is not fitted"):
        explain(xgboost.Booster(), plain()[0])


def test_a_category_that_xgboost_has_not_seen_is_named_by_row():
    frame = table(31, rows=100)
    model = xgboost.XGBRegressor(n_jobs=1, n_estimators=2, enable_categorical=True).fit(frame, target(frame))
    odd = frame.assign(letter=frame["letter"].astype(object).where(frame.index != 7, "new").astype("category"))
    with pytest.raises(UnknownName, match=r"background: column 'letter' has the category 'new' in row 7, 1 such rows"):
        explain(model, frame, background=odd)
    unused = frame.assign(letter=frame["letter"].cat.add_categories(["new"]))
    with pytest.raises(UnknownName, match="X: column 'letter' lists the category 'new', used in no row"):
        explain(model, unused)


def test_catboost_is_one_model_in_memory_and_on_disk(tmp_path):
    import pickle

    import catboost
    from sklearn import pipeline, preprocessing

    from rca.modelfile import fingerprint

    frame, wanted = plain()
    truth = np.where(wanted > 1, "fraud", "fine")
    model = catboost.CatBoostClassifier(**quiet()).fit(frame, truth)
    model.save_model(str(tmp_path / "m.cbm"))
    model.predict(frame)
    loaded = catboost.CatBoostClassifier().load_model(str(tmp_path / "m.cbm"))
    again = catboost.CatBoostClassifier(**quiet()).fit(frame, truth)
    assert len({fingerprint(one) for one in (model, loaded, again, pickle.loads(pickle.dumps(model)))}) == 1
    renamed = catboost.CatBoostClassifier(**quiet()).fit(frame, np.where(wanted > 1, "fraud", "good"))
    deeper = catboost.CatBoostClassifier(**quiet(depth=2)).fit(frame, truth)
    assert len({fingerprint(one) for one in (model, renamed, deeper)}) == 3
    piped = pipeline.make_pipeline(preprocessing.StandardScaler(), model)
    assert fingerprint(piped.fit(frame, truth)) == fingerprint(pickle.loads(pickle.dumps(piped)))

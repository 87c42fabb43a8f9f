import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats
from scipy.spatial.distance import cityblock

from rca.errors import InputError, UnknownName
from rca.models.drift import compare

RNG = np.random.default_rng(0)
BEFORE = pd.DataFrame(
    {
        "amount": RNG.lognormal(size=400),
        "age": RNG.normal(size=400),
        "country": RNG.choice(["DE", "FR", "US"], 400, p=[0.5, 0.3, 0.2]),
        "member": RNG.random(400) < 0.5,
    }
)
AFTER = pd.DataFrame(
    {
        "amount": RNG.lognormal(0.5, size=300),
        "age": RNG.normal(size=300),
        "country": RNG.choice(["DE", "FR", "PL"], 300, p=[0.3, 0.3, 0.4]),
        "member": RNG.random(300) < 0.5,
    }
)


def test_numeric_columns_have_scipys_numbers():
    table = compare(BEFORE, AFTER)
    for name in ("amount", "age"):
        wanted = stats.ks_2samp(BEFORE[name], AFTER[name], method="asymp")
        assert table.loc[name, "statistic"] == pytest.approx(wanted.statistic)
        assert table.loc[name, "p_value"] == pytest.approx(wanted.pvalue)
        distance = stats.wasserstein_distance(BEFORE[name], AFTER[name]) / BEFORE[name].std(ddof=0)
        assert table.loc[name, "effect"] == pytest.approx(distance)
        beyond = (AFTER[name] > BEFORE[name].max()) | (AFTER[name] < BEFORE[name].min())
        assert table.loc[name, "outside"] == pytest.approx(beyond.mean())


def test_categorical_columns_have_scipys_numbers():
    table = compare(BEFORE, AFTER)
    for name in ("country", "member"):
        counts = pd.DataFrame({"b": BEFORE[name].value_counts(), "a": AFTER[name].value_counts()}).fillna(0)
        wanted = stats.chi2_contingency(counts, correction=False)
        assert table.loc[name, "statistic"] == pytest.approx(wanted.statistic)
        assert table.loc[name, "p_value"] == pytest.approx(wanted.pvalue)
        shares = counts / counts.sum()
        assert table.loc[name, "effect"] == pytest.approx(cityblock(shares["b"], shares["a"]) / 2)
    assert table.loc["country", "new_values"] == ("PL",)
    assert table.loc["country", "outside"] == pytest.approx((AFTER["country"] == "PL").mean())
    assert table["kind"].to_dict() == {
        "amount": "numeric",
        "age": "numeric",
        "country": "categorical",
        "member": "categorical",
    }


def test_flags_follow_benjamini_hochberg_over_all_columns():
    table = compare(BEFORE, AFTER, alpha=0.01)
    wanted = stats.false_discovery_control(table["p_value"])
    np.testing.assert_allclose(table["p_adjusted"], wanted)
    assert table["flagged"].tolist() == (wanted <= 0.01).tolist()
    assert set(table.index[table["flagged"]]) == {"amount", "country"}


def test_columns_stand_by_effect_and_only_those_asked_for():
    table = compare(BEFORE, AFTER)
    assert table["effect"].is_monotonic_decreasing
    assert compare(BEFORE, AFTER.drop(columns="age"), features=["country", "amount"]).index.tolist() == [
        "amount",
        "country",
    ]


def test_a_share_of_missing_values_that_moved_is_flagged_though_the_values_did_not():
    gaps = BEFORE.assign(age=BEFORE["age"].where(np.arange(400) % 40 > 0))
    row = compare(BEFORE, gaps, features=["age"]).loc["age"]
    fisher = stats.fisher_exact([[0, 400], [10, 390]]).pvalue
    assert row["p_value"] == pytest.approx(2 * fisher) and row["flagged"]
    assert (row["missing_before"], row["missing_after"]) == (0.0, 0.025)


def test_a_column_that_lost_all_its_values_comes_first_with_a_note():
    table = compare(BEFORE, AFTER.assign(age=np.nan))
    assert table.index[0] == "age"
    row = table.loc["age"]
    assert row["flagged"] and row["note"] == "no values after" and np.isnan(row["effect"])


def test_a_column_that_never_had_values_has_not_moved():
    row = compare(BEFORE.assign(age=np.nan), AFTER.assign(age=np.nan)).loc["age"]
    assert row["p_value"] == 1.0 and not row["flagged"] and row["note"] == "no values before and after"


def test_constant_columns_are_stated():
    one, two = (
        pd.DataFrame({"same": [1.0] * 50, "moved": [1.0] * 50}),
        pd.DataFrame({"same": [1.0] * 50, "moved": [3.0] * 50}),
    )
    table = compare(one, two)
    assert table.loc["same", ["effect", "p_value", "note"]].tolist() == [0.0, 1.0, "the same constant in both windows"]
    assert table.loc["moved", ["effect", "note"]].tolist() == [
        2.0,
        "constant before",
    ]  # sd of 50 ones and 50 threes is 1
    assert table.loc["moved", "flagged"]
    row = compare(pd.DataFrame({"c": ["x"] * 9}), pd.DataFrame({"c": ["x"] * 9})).loc["c"]
    assert (row["effect"], row["p_value"], row["note"]) == (0.0, 1.0, "the same constant in both windows")


def test_identifiers_are_not_mistaken_for_drift():
    one = pd.DataFrame({"id": [f"a{number}" for number in range(200)]})
    two = pd.DataFrame({"id": [f"b{number}" for number in range(200)]})
    row = compare(one, two).loc["id"]
    assert row["p_value"] == 1.0 and row["effect"] == pytest.approx(1.0) and len(row["new_values"]) == 10
    assert row["note"] == "too few of each value"


def test_rare_categories_are_pooled_for_the_test():
    one = pd.DataFrame({"c": ["x"] * 80 + ["y"] * 18 + ["r1", "r2"]})
    two = pd.DataFrame({"c": ["x"] * 60 + ["y"] * 38 + ["r3", "r4"]})
    wanted = stats.chi2_contingency([[80, 60], [18, 38], [2, 2]], correction=False)
    row = compare(one, two).loc["c"]
    assert (row["statistic"], row["p_value"]) == pytest.approx((wanted.statistic, wanted.pvalue))
    assert row["new_values"] == ("r3", "r4")


@pytest.mark.parametrize(
    ("before", "after", "kind", "message"),
    [
        (BEFORE, AFTER.drop(columns="age"), UnknownName, "the window after has no column 'age'"),
        (BEFORE, AFTER.rename(columns={"age": "agee"}), UnknownName, "has no column 'age'; did you mean 'agee'"),
        (BEFORE.head(0), AFTER, InputError, "the window before has no rows"),
        (BEFORE, AFTER[[]], InputError, "the window after has no columns"),
        (BEFORE, AFTER.assign(age="x"), InputError, "'age' is numeric .* before and categorical .* after"),
        (BEFORE, AFTER.assign(age=np.where(AFTER.index == 7, np.inf, 0)), InputError, "'age' is infinite in row 7"),
        (BEFORE, pd.concat([AFTER, AFTER["age"]], axis=1), InputError, "column 'age' more than once"),
        (BEFORE.assign(t=pd.Timestamp(0)), AFTER.assign(t=pd.Timestamp(1)), InputError, "'t' is a time; say with"),
    ],
)  # fmt: skip
def test_windows_that_cannot_be_compared_are_refused(before, after, kind, message):
    with pytest.raises(kind, match=message):
        compare(before, after)


def test_features_and_alpha_are_checked():
    with pytest.raises(UnknownName, match="no column 'amont'; did you mean 'amount'"):
        compare(BEFORE, AFTER, features=["amont"])
    with pytest.raises(InputError, match="features is empty"):
        compare(BEFORE, AFTER, features=[])
    with pytest.raises(InputError, match="alpha is 0"):
        compare(BEFORE, AFTER, alpha=0)


def test_windows_are_not_changed():
    one, two = BEFORE.copy(), AFTER.copy()
    compare(one, two)
    pd.testing.assert_frame_equal(one, BEFORE)
    pd.testing.assert_frame_equal(two, AFTER)


@given(st.integers(0, 10**6), st.floats(0.1, 100), st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_another_unit_in_both_windows_changes_nothing(seed, factor, offset):
    rng = np.random.default_rng(seed)
    one, two = pd.DataFrame({"x": rng.normal(size=60)}), pd.DataFrame({"x": rng.normal(size=50)})
    plain, other = compare(one, two).loc["x"], compare(one * factor + offset, two * factor + offset).loc["x"]
    assert other["effect"] == pytest.approx(plain["effect"], rel=1e-6, abs=1e-9)
    assert other["statistic"] == pytest.approx(plain["statistic"])


def test_quiet_columns_are_rarely_flagged():
    rng = np.random.default_rng(5)
    runs = [compare(*(pd.DataFrame(rng.normal(size=(200, 10))) for _ in range(2)))["flagged"].any() for _ in range(60)]
    # With a true rate of .05 ten or more of 60 runs come up once in a thousand times.
    assert stats.binom.sf(sum(runs) - 1, 60, 0.05) > 1e-3


def test_a_window_of_one_row_is_refused():
    rows = pd.DataFrame({"a": [1.0, 2.0]})
    with pytest.raises(InputError, match="window after has one row"):
        compare(rows, rows.head(1))

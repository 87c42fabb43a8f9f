import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from rca.errors import InputError, UnknownName
from rca.models.impact import _newcombe, compute


def window(true_blocked, fraud_let_through, fair_blocked, fair_let_through, **columns):
    """Decisions by their four outcomes."""
    counts = (true_blocked, fraud_let_through, fair_blocked, fair_let_through)
    fraud, blocked = np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)
    return pd.DataFrame({"fraud": fraud, "blocked": blocked, **columns})


BEFORE, AFTER = window(80, 20, 10, 890), window(50, 50, 15, 385)


def impact(before=BEFORE, after=AFTER, **options):
    return compute(before, after, label="fraud", decision="blocked", **options)


def row(table, quantity, group=""):
    found = table[(table["quantity"] == quantity) & (table["group"] == group)]
    assert len(found) == 1
    return found.iloc[0]


def test_counts_and_rates_are_those_of_the_outcomes():
    table = impact()
    assert row(table, "decisions")["value"] == 500
    assert tuple(row(table, "wrong decisions")[["value", "of"]]) == (65, 500)
    assert tuple(row(table, "missed positives")[["value", "of"]]) == (50, 100)
    assert tuple(row(table, "false alarms")[["value", "of"]]) == (15, 400)
    assert row(table, "error rate before")["value"] == pytest.approx(0.03)
    assert row(table, "error rate after")["value"] == pytest.approx(0.13)
    assert row(table, "excess errors")["value"] == pytest.approx(65 - 0.03 * 500)
    assert row(table, "excess missed positives")["value"] == pytest.approx(50 - 0.2 * 100)
    assert row(table, "excess missed positives")["of"] == 100
    assert (table["of"] >= 0).all() and table["of"].notna().all()


def test_rates_have_scipys_wilson_interval():
    for quantity, count, of in (
        ("error rate before", 30, 1000),
        ("miss rate after", 50, 100),
        ("false alarm rate after", 15, 400),
    ):
        wanted = stats.binomtest(count, of).proportion_ci(method="wilson")
        assert tuple(row(impact(), quantity)[["low", "high"]]) == pytest.approx((wanted.low, wanted.high))


@pytest.mark.parametrize("of", [2, 25, 32, 33])  # where plain rounding gives less than nothing or more than all
def test_rates_of_none_and_of_all_stay_within_zero_and_one(of):
    table = impact(window(0, 1, 0, of - 1), window(0, of, of, 0))
    assert row(table, "false alarm rate after")["high"] <= 1.0
    assert row(impact(AFTER, window(1, 0, 0, of - 1)), "error rate after")["low"] >= 0.0


@pytest.mark.parametrize(
    ("counts", "interval"),
    [  # Newcombe 1998, table II, method 10, examples (a) to (h)
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((0, 10, 0, 10), (-0.2775, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0000)),
        ((10, 10, 0, 10), (0.6075, 1.0000)),
    ],
)
def test_the_difference_has_the_interval_of_newcombes_paper(counts, interval):
    assert _newcombe(*counts)[1:] == pytest.approx(interval, abs=5e-5)


def test_excess_is_the_difference_times_the_decisions_interval_included():
    table = impact()
    change, excess = row(table, "miss rate difference"), row(table, "excess missed positives")
    for column in ("value", "low", "high"):
        assert excess[column] == pytest.approx(change[column] * 100)
    assert (change["low"], change["high"]) == pytest.approx(_newcombe(50, 100, 20, 100)[1:])


def test_users_are_counted_once_with_their_number():
    after = window(1, 2, 1, 2, customer=["a", "b", "b", "c", "d", None])
    found = row(impact(after=after, before=BEFORE.assign(customer="z"), user="customer"), "affected users")
    assert tuple(found[["value", "of"]]) == (2, 4)
    assert "1 rows without a user left out" in found["basis"]


def test_groups_have_their_own_figures_and_add_up():
    before, after = BEFORE.assign(region=["n", "s"] * 500), AFTER.assign(region=np.repeat(["n", "s"], 250))
    table = impact(before, after, group="region")
    assert row(table, "wrong decisions", "n")["value"] + row(table, "wrong decisions", "s")["value"] == 65
    assert row(table, "decisions", "n")["of"] == 250
    north = after[after["region"] == "n"]
    wanted = ((north["fraud"] == 1) & (north["blocked"] == 0)).sum()
    assert row(table, "missed positives", "n")["value"] == wanted


def test_a_group_without_decisions_before_has_no_excess():
    table = impact(BEFORE.assign(region="n"), AFTER.assign(region="new"), group="region")
    assert math.isnan(row(table, "error rate before", "new")["value"])
    assert math.isnan(row(table, "excess errors", "new")["value"])
    assert row(table, "wrong decisions", "new")["value"] == 65
    assert row(table, "decisions", "n")["value"] == 0


def test_a_sample_is_scaled_and_says_so():
    table, plain = impact(population=5000), impact()
    found = row(table, "wrong decisions")
    assert tuple(found[["value", "of"]]) == (650, 5000)
    wilson = stats.binomtest(65, 500).proportion_ci(method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((wilson.low * 5000, wilson.high * 5000))
    assert found["basis"] == "estimated from a sample of 500 of 5,000 decisions"
    assert row(table, "excess errors")["value"] == pytest.approx(10 * row(plain, "excess errors")["value"])
    assert row(table, "error rate after")["value"] == row(plain, "error rate after")["value"]
    pd.testing.assert_frame_equal(impact(population=500), plain)


def test_late_labels_are_left_out_and_said():
    after = AFTER.assign(fraud=AFTER["fraud"].astype(float).where(np.arange(500) % 2 == 0))
    table = impact(after=after)
    assert row(table, "wrong decisions")["of"] == 250 and row(table, "decisions")["value"] == 500
    assert row(table, "wrong decisions")["basis"] == "counted; 250 of 500 rows have a label"


def test_words_may_stand_for_labels():
    words = {0: "pay", 1: "stop"}
    table = impact(BEFORE.replace(words), AFTER.replace(words), positive="stop")
    pd.testing.assert_frame_equal(table, impact())
    assert "missed positives" not in set(impact(positive=None)["quantity"])


@pytest.mark.parametrize(
    ("change", "options", "kind", "message"),
    [
        (lambda a: a.drop(columns="blocked"), {}, UnknownName, "the window after has no column 'blocked'"),
        (lambda a: a, {"user": "custmer"}, UnknownName, "the window before has no column 'custmer'"),
        (lambda a: a.assign(fraud=np.nan), {}, InputError, "the window after has no rows with a label"),
        (lambda a: a.head(0), {}, InputError, "the window after has no rows with a label"),
        (
            lambda a: a.assign(blocked=a["blocked"].where(a.index != 3)),
            {},
            InputError,
            "window after: row 3 has no 'blocked'",
        ),
        (lambda a: a.assign(blocked=2), {}, InputError, "'blocked' holds 2, which is no value of the label 'fraud'"),
        (lambda a: a, {"positive": "yes"}, UnknownName, "positive is 'yes', which is no value"),
        (lambda a: a, {"population": 10}, InputError, "population is 10, less than the 500 rows"),
    ],
)
def test_tables_without_an_answer_are_refused(change, options, kind, message):
    with pytest.raises(kind, match=message):
        impact(after=change(AFTER), **options)


def test_a_window_in_which_all_is_right_is_no_error():
    table = impact(BEFORE, window(0, 0, 0, 10))
    assert row(table, "excess errors")["value"] == pytest.approx(-0.3)
    assert math.isnan(row(table, "miss rate after")["value"])


@given(st.lists(st.integers(0, 60), min_size=8, max_size=8))
@settings(max_examples=60, deadline=None)
def test_intervals_hold_their_value_and_stay_possible(counts):
    if not sum(counts[:4]) or not sum(counts[4:]):
        return
    table = impact(window(*counts[:4]), window(*counts[4:]))
    known = table.dropna(subset=["low"])
    slack = 1e-9 * known["of"].clip(lower=1)
    assert (known["low"] <= known["value"] + slack).all() and (known["value"] <= known["high"] + slack).all()
    rates = known[known["quantity"].str.contains("rate ") & ~known["quantity"].str.contains("difference")]
    assert rates[["low", "high"]].stack().between(0, 1).all()

"""The arithmetic of the tracer against scipy, numpy and brute force."""

import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from rca.errors import InputError
from rca.systems.cascade import links, panel, shape
from rca.systems.cascade.begin import begin

UTC = "UTC"


def test_scores_are_distances_from_the_median_in_robust_standard_deviations():
    rng = np.random.default_rng(1)
    before, during = rng.normal(5, 2, (400, 3)), rng.normal(5, 2, (30, 3))
    before[::7, 1] = np.nan
    scored, _, middle, spread = shape.scores(before, during, np.array([1.0, -1.0, 1.0]))
    mad = stats.median_abs_deviation(before, nan_policy="omit", scale=1 / 1.4826)
    tail = np.nanquantile(np.abs(before - np.nanmedian(before, axis=0)), 0.99, axis=0) / 2.576
    np.testing.assert_allclose(middle, np.nanmedian(before, axis=0))
    np.testing.assert_allclose(spread, np.maximum(mad, tail))
    np.testing.assert_allclose(scored[:, 1], -(before[:, 1] - middle[1]) / spread[1])


def test_a_constant_series_has_the_spread_of_its_rounding():
    _, during, _, spread = shape.scores(np.zeros((50, 1)), np.array([[0.0], [1.0]]), np.ones(1))
    assert spread[0] == pytest.approx(1 / np.sqrt(12))
    assert during[1, 0] == pytest.approx(np.sqrt(12))


def test_a_rate_that_was_always_zero_is_not_taken_for_a_count_when_it_rises_late():
    during = np.concatenate([np.zeros(100), np.full(20, 0.0512)])[:, None]
    scored = shape.scores(np.zeros((300, 1)), during, np.ones(1))
    assert scored[3][0] == pytest.approx(1e-4 / np.sqrt(12))
    assert scored[1][-1, 0] > 100


@given(st.lists(st.floats(-60, 60), min_size=2, max_size=40))
def test_the_filter_weighs_the_shape_against_the_rows_out_of_it(values):
    weight = shape.weights(np.array([values]))[0]
    if weight.any():
        assert weight[weight > 0].sum() == pytest.approx(1)
        assert weight.sum() == pytest.approx(0) or (weight >= 0).all()
    else:
        assert max(values) <= np.clip(np.quantile(values, 0.25), -2, 2) + 1e-9


def test_the_strength_is_the_filtered_series_over_its_healthy_spread():
    rng = np.random.default_rng(2)
    healthy, ill = rng.normal(size=(500, 4)), rng.normal(size=(5, 4))
    ill[2:4] += [[8, 8, 0, -8]]
    seen = shape.focus(ill[:, 0])
    found = shape.follow(healthy, ill, seen, either=np.array([False, False, False, True]))
    for column in range(4):
        filtered = [sum(seen.filter[row] * healthy[at + row, column] for row in range(5)) for at in range(496)]
        memory = max(np.corrcoef(healthy[1:, column], healthy[:-1, column])[0, 1], 0)
        robust = max(stats.median_abs_deviation(filtered, scale=1 / 1.4826),
                     np.quantile(np.abs(filtered - np.median(filtered)), 0.99) / 2.576)  # fmt: skip
        exact = np.sqrt(sum(seen.filter[i] * seen.filter[j] * memory ** abs(i - j) for i in range(5) for j in range(5)))
        expected = found.sign[column] * (seen.filter @ ill[:, column]) / max(robust, exact)
        assert found.strength[column] == pytest.approx(expected, rel=0.02)
    assert found.sign.tolist() == [1, 1, 1, -1]
    assert found.alignment[3] > 0.8


def test_the_lead_is_found():
    rng = np.random.default_rng(3)
    healthy, ill = rng.normal(size=(600, 2)), rng.normal(size=(80, 2))
    ill[40:60, 0] += 8
    ill[35:55, 1] += 8
    found = shape.follow(healthy, ill, shape.focus(ill[:, 0]), either=np.zeros(2, dtype=bool))
    assert found.lead.tolist() == [0, 5]


def test_the_chance_is_that_of_students_t():
    strength = np.array([-1.0, 0.0, 2.0, 7.0])
    np.testing.assert_allclose(shape.log_chance(strength, 0), np.log10(stats.t.sf(strength, 4)), rtol=1e-9)
    np.testing.assert_allclose(shape.log_chance(np.array([7.0]), 3), np.log10(2 * stats.t.sf(7.0, 4)), rtol=1e-9)


def test_healthy_windows_stand_out_by_chance_only():
    rng = np.random.default_rng(4)
    chances = []
    for _ in range(200):
        values = rng.normal(size=300)
        for row in range(1, 300):
            values[row] += 0.5 * values[row - 1]
        chances.append(shape.symptom_chance(values[:280], shape.focus(values[285:290])))
    assert stats.kstest(chances, "uniform").pvalue > 0.01


def test_the_onset_of_a_step_and_of_a_ramp():
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(200):
        healthy, x = rng.normal(size=200), rng.normal(size=60)
        x[30:] += rng.uniform(2, 6)
        first, error, earliest = begin(x, 59, healthy)
        hits += abs(first - 30) <= error
        assert earliest <= first
    assert hits >= 186  # 95 % less three standard deviations
    ramp = np.concatenate([np.zeros(20), np.linspace(0.5, 10, 20), np.full(20, 10.0)])
    first, _, earliest = begin(ramp, 59, rng.normal(size=200))
    assert earliest < first and 19 <= earliest <= 23


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_the_weight_of_a_way_is_that_of_the_best_simple_path(seed):
    rng = np.random.default_rng(seed)
    graph = nx.gnp_random_graph(7, 0.35, seed=seed, directed=True)
    graph = nx.relabel_nodes(graph, {node: f"s{node}" for node in graph})
    names = [f"s{n}" for n in range(7) if n != 3]  # one system has no metrics
    moved = rng.choice([0.0, 0.4, 0.8], size=6)
    none = np.full(6, np.nan)
    systems = links.Moved(names, moved, none, none, none)
    found = links.reach(graph, systems)
    top = max(moved.max(), 1e-9)
    factor = {name: 0.8 + 0.2 * value / top for name, value in zip(names, moved, strict=True)} | {"s3": 0.95}
    for number, row in enumerate(found.rows):
        for column, end in enumerate(names):
            ways = nx.all_simple_paths(graph, names[row], end) if end != names[row] else [[end]]
            best = max(
                (0.95 ** (len(way) - 1) * np.prod([factor[name] for name in way[1:-1]]) for way in ways), default=0
            )
            assert found.weight[number, column] == pytest.approx(best)
            if best and end != names[row]:
                way = found.path(number, column)
                assert way[0] == names[row] and way[-1] == end
                assert all(graph.has_edge(*pair) for pair in itertools.pairwise(way))


def test_a_way_counts_only_in_order_of_time():
    graph = nx.DiGraph([("a", "b"), ("b", "c")])
    begin_, error = np.array([10.0, 5.0, 10.0]), np.ones(3)
    found = links.reach(graph, links.Moved(["a", "b", "c"], np.full(3, 0.8), begin_, error, begin_))
    assert found.weight[0].tolist() == pytest.approx([1, 0, 0.9025])  # b began before a
    assert found.load[1].tolist() == pytest.approx([0.475, 0, 0])  # b uses a and moved first


def test_rows_are_averaged_on_the_steps_of_the_symptom():
    times = pd.to_datetime(["2025-01-01T00:00:10", "2025-01-01T00:01:10", "2025-01-01T00:02:10", "2025-01-01T00:03:10"])
    fine = pd.date_range("2025-01-01", periods=24, freq="10s")
    table = pd.concat([
        pd.DataFrame({"time": times, "system": "c", "metric": "m", "value": [1.0, 2.0, 3.0, 4.0]}),
        pd.DataFrame({"time": fine, "system": "a", "metric": "m", "value": np.arange(24.0)}),
    ])  # fmt: skip
    table["time"] = table["time"].dt.tz_localize(UTC)
    cut = pd.Timestamp("2025-01-01T00:02", tz=UTC)
    windows = (pd.Timestamp("2025-01-01", tz=UTC), cut), (cut, pd.Timestamp("2025-01-01T00:04", tz=UTC))
    made = panel.panel(table, ("c", "m"), *windows, {})
    (block,) = made.blocks()
    assert made.keys == [("a", "m"), ("c", "m")] and made.head == 2 and made.step == pd.Timedelta("1min")
    assert block.before[:, 1].tolist() == [1, 2] and block.during[:, 1].tolist() == [1, 2, 3, 4]
    assert made.times([2, 3]).tolist() == table["time"].iloc[2:4].tolist()
    assert np.nanmean(block.before[:, 0]) < np.nanmean(block.during[:, 0])


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("series", ["system", "metric"])
def test_a_wide_table_is_answered_by_the_line_that_makes_it_long(series, indexed):
    time = pd.date_range("2025-03-01", periods=3, freq="min", tz="UTC")
    metrics = pd.DataFrame({"time": time, "a": [1.0, 2.0, 3.0], "b": [4, 5, 6]})
    if series == "metric":
        metrics.insert(1, "system", "web")
    metrics = metrics.set_index("time") if indexed else metrics
    with pytest.raises(InputError) as caught:
        panel.check_columns(metrics)
    said = caught.value.problems[-1]
    assert said.startswith(f"metrics: looks wide, with a column for each {series}; wanted is a row for each value: ")
    long = eval(said.partition("value: ")[2], {"metrics": metrics})
    panel.check_columns(long)
    assert long.sort_values([series, "time"])["value"].tolist() == [1, 2, 3, 4, 5, 6]
    with pytest.raises(InputError, match="required column 'value' is missing") as caught:
        panel.check_columns(long.drop(columns="value"))
    assert "wide" not in str(caught.value)

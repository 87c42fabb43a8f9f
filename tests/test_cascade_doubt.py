"""When the evidence does not suffice: broken series, wrong graphs, load, improvement, causes that nobody measured."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from rca.errors import InputError
from rca.systems import cascade
from rca.systems.cascade import begin
from rca.systems.cascade.confidence import confidence, unseen

TIMES = pd.date_range("2026-03-01", periods=360, freq="min", tz="UTC")
BEFORE, DURING = (TIMES[0], TIMES[240]), (TIMES[240], TIMES[-1])
FAULT = 280
SHOP = nx.DiGraph([
    ("store", "orders"), ("orders", "web"), ("session", "web"), ("search", "web"), ("queue", "mail"), ("disk", "mail"),
])  # fmt: skip


def long(columns):
    """Return the long form of {(system, metric): values}."""
    parts = [
        pd.DataFrame({"time": TIMES, "system": system, "metric": metric, "value": values})
        for (system, metric), values in columns.items()
    ]
    return pd.concat(parts, ignore_index=True).dropna(subset="value")


def shop(seed=0, size=8.0, metric="latency", reached=("store", "orders", "web")):
    """Return {(system, metric): values} where the reached systems rise one after another."""
    rng = np.random.default_rng(seed)
    columns = {(system, metric): 100 + rng.normal(size=len(TIMES)) for system in sorted(SHOP)}
    for place, system in enumerate(reached):
        columns[system, metric][FAULT + 2 * place :] += size
    return columns


def trace(columns, graph=SHOP, symptom=("web", "latency"), harmful=None, **windows):
    asked = {"before": BEFORE, "during": DURING} | windows
    return cascade.trace(long(columns), graph, symptom=symptom, harmful=harmful or {"latency": "up"}, **asked)


@pytest.mark.parametrize("seed", range(4))
def test_rows_missing_at_random_do_not_turn_the_blame_on_the_alerting_system(seed):
    rng = np.random.default_rng(100 + seed)
    columns = {key: np.where(rng.random(len(values)) < 0.45, np.nan, values) for key, values in shop(seed).items()}
    assert trace(columns).first == "store"


def test_a_noisy_symptom_is_not_blamed_for_being_the_only_one_to_share_its_own_noise():
    rng = np.random.default_rng(3)
    columns = {}
    for system in sorted(SHOP):
        dips = np.where(rng.random(len(TIMES)) < 0.5, rng.exponential(0.2, len(TIMES)), 0.0)
        columns[system, "availability"] = 100 - dips
    for place, system in enumerate(("store", "orders", "web")):
        rows = np.arange(len(TIMES)) >= FAULT + 2 * place
        columns[system, "availability"] -= np.where(rows & (rng.random(len(TIMES)) < 0.5), rng.uniform(4, 9, 360), 0.0)
    found = trace(columns, symptom=("web", "availability"), harmful={"availability": "down"})
    assert found.first in (None, "store")


@pytest.mark.parametrize("way, size", [("up", -12.0), ("down", 12.0)])
def test_a_metric_that_only_got_better_for_a_while_is_no_incident(way, size):
    for seed in range(10):
        columns = shop(seed, size=0.0)
        for system in ("store", "orders", "web"):
            columns[system, "latency"][250:330] += size
        found = trace(columns, harmful={"latency": way})
        assert found.first is None and "stayed within its noise" in found.abstained


def test_a_symptom_that_is_a_measure_of_demand_names_nobody():
    found = trace(shop(), harmful={"latency": "neither"})
    assert found.first is None and "declared a measure of demand" in found.abstained


def test_names_that_do_not_match_the_graph_are_pointed_out():
    other = nx.relabel_nodes(SHOP, {name: f"{name}-svc" for name in SHOP if name != "web"})
    found = trace(shop(), other)
    assert found.first is None
    assert "not in the graph; did you mean" in found.abstained and "-svc'" in found.abstained
    extra = {**shop(), ("stray", "latency"): 100 + np.random.default_rng(1).normal(size=len(TIMES))}
    assert "edges of stray, measured but not in the graph" in trace(extra).missing


def test_edges_turned_round_are_suspected():
    columns, rng = shop(size=0.0), np.random.default_rng(8)
    for late, size, system in ((0, 12.0, "store"), (5, 10.0, "orders"), (10, 8.0, "web")):
        columns[system, "latency"] = 100 + rng.normal(size=len(TIMES)) + size * (np.arange(len(TIMES)) >= FAULT + late)
    found = trace(columns, SHOP.reverse())
    assert found.first is None and "are the edges turned round?" in found.abstained
    assert trace(columns).first == "store"


def test_a_cause_that_fell_silent_as_it_began_is_told_and_nobody_else_named():
    columns = shop()
    columns["store", "latency"][FAULT + 1 :] = np.nan
    found = trace(columns)
    assert found.first is None and "store sent nothing after 2026-03-01 04:40 UTC" in found.abstained
    assert found.deviations.set_index("system").loc["store", "note"] != ""
    columns["store", "latency"][100:] = np.nan
    long_ago = trace(columns)
    assert long_ago.first == "orders" and "no metrics of store" not in long_ago.answer
    assert "usable metrics of store, which sent nothing after" in long_ago.missing


def test_a_cause_that_keeps_another_metric_than_the_symptoms_can_still_be_named():
    columns = shop()
    failed = np.abs(np.random.default_rng(4).normal(0.01, 0.002, len(TIMES)))
    failed[FAULT:] += 0.2
    columns["store", "errors"] = failed
    columns["store", "latency"][240:] = np.nan
    assert trace(columns, harmful={"latency": "up", "errors": "up"}).first == "store"


def test_a_cause_sampled_twenty_times_more_coarsely_is_named_or_told():
    columns = shop(size=10.0)
    columns["store", "latency"] = np.where(np.arange(len(TIMES)) % 20 == 0, columns["store", "latency"], np.nan)
    found = trace(columns)
    assert found.first == "store" or "store" in found.abstained


def test_a_daily_rhythm_does_not_hide_a_fault_that_no_day_shows():
    times = pd.date_range("2026-03-01", periods=288 * 7 + 100, freq="5min", tz="UTC")
    rng, rhythm = np.random.default_rng(5), 3 * np.sin(2 * np.pi * np.arange(len(times)) / 288)
    parts = []
    for place, system in enumerate(("store", "orders", "web", "disk", "queue")):
        values = 50 + 5 * rhythm + 2.5 * rng.normal(size=len(times))
        values[288 * 7 + 48 : 288 * 7 + 60] += 40 * (place < 3)
        parts.append(pd.DataFrame({"time": times, "system": system, "metric": "latency", "value": values}))
    found = cascade.trace(
        pd.concat(parts), SHOP, symptom=("web", "latency"), harmful={"latency": "up"},
        before=(times[0], times[288 * 7]), during=(times[288 * 7], times[-1]),
    )  # fmt: skip
    assert found.first == "store"


def test_load_in_another_metric_that_all_share_is_no_cause():
    graph = nx.DiGraph([("store", "web"), ("disk", "web"), ("queue", "web"), ("search", "web")])
    rng = np.random.default_rng(6)
    columns = {("web", "latency"): 100 + rng.normal(size=len(TIMES)) + 8 * (np.arange(len(TIMES)) >= FAULT)}
    for system in ("store", "disk", "queue", "search"):
        columns[system, "requests"] = 1000 + 10 * rng.normal(size=len(TIMES)) + 500 * (np.arange(len(TIMES)) >= FAULT)
    found = trace(columns, graph)
    assert found.first is None
    columns["store", "requests"] = columns["store", "requests"] + 4000 * (np.arange(len(TIMES)) >= FAULT)
    for system in ("disk", "queue", "search"):
        columns[system, "requests"] = 1000 + 10 * rng.normal(size=len(TIMES))
    assert trace(columns, graph).first == "store"


def test_confidence_falls_with_what_is_not_measured_and_with_chance():
    assert confidence(np.array([1.0]), 0.0, 1e-12).tolist() == [0.99]
    sure, unmeasured, by_chance = (
        float(confidence(np.array([2.0, 1.0]), hidden, chance)[0])
        for hidden, chance in ((0.0, 1e-9), (1.0, 1e-9), (0.0, 0.02))
    )
    assert sure == pytest.approx(1.6 * 8 / (1 + 1.6 * 8), abs=0.01)
    assert unmeasured == pytest.approx(sure / 1.3, abs=0.01)
    assert by_chance == pytest.approx(sure / (1 - np.e * 0.02 * np.log(0.02)), abs=0.01)
    graph = nx.DiGraph([("far", "near"), ("near", "api"), ("near", "job")])
    assert unseen(graph, "api", {"api", "job", "far"}, {"api"}) == pytest.approx(0.95 / 2)
    assert unseen(graph, "api", {"api", "job"}, {"api", "job"}) == pytest.approx(0.95 + 0.95**2)
    columns = shop()
    whole = trace(columns).candidates["confidence"].iloc[0]
    without = {key: values for key, values in columns.items() if key[0] != "store"}
    found = trace(without)
    assert found.first == "orders" and found.candidates["confidence"].iloc[0] < 0.85 * whole


def test_the_error_of_an_onset_covers_a_gradual_rise_and_stays_small_for_a_jump():
    covered = widths = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        healthy, x = rng.normal(size=200), rng.normal(size=80)
        x[30:] += 15 * np.clip((np.arange(50) + 1) / 12, 0, 1)
        first, error, _ = begin.begin(x, 79, healthy)
        covered += first - error - begin.gradual(x, first, 79, healthy) <= 30 <= first + error
        jump = rng.normal(size=80)
        jump[30:] += 15
        widths += begin.gradual(jump, 30, 79, healthy)
    assert covered >= 36 and widths <= 8


@pytest.mark.parametrize("asked, said", [
    ({"symptom": "web"}, "symptom: wanted a pair"), ({"symptom": ("web",)}, "symptom: wanted a pair"),
    ({"harmful": "up"}, "harmful: wanted a mapping"), ({"before": ("foo", "bar")}, "before: a window is a pair"),
    ({"during": None}, "during: a window is a pair"), ({"before": {1: 2, 3: 4}}, "before: a window is a pair"),
])  # fmt: skip
def test_questions_of_the_wrong_form_are_refused_with_the_form_that_is_wanted(asked, said):
    with pytest.raises(InputError, match=said):
        trace(shop(), **asked)


def test_a_system_without_a_way_that_moved_first_and_fits_too_points_at_a_missing_edge():
    rows, rng = np.arange(len(TIMES)), np.random.default_rng(9)
    columns = {(system, "latency"): 100 + rng.normal(size=len(TIMES)) for system in sorted(SHOP)}
    for late, size, system in ((0, 30.0, "disk"), (1, 20.0, "mail"), (3, 8.0, "orders"), (4, 8.0, "web")):
        columns[system, "latency"] += size * (rows >= FAULT + late)
    found = trace(columns)
    assert found.first is None and "orders fits best along the graph, but disk" in found.abstained
    known = nx.DiGraph([*SHOP.edges, ("disk", "orders")])
    assert trace(columns, known).first == "disk"

"""The simulated incidents here are the oracle: their truth is known, and nothing in rca made them."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.errors import InputError, UnknownName
from rca.systems import cascade

START = pd.Timestamp("2025-03-03T00:00Z")
STEP = pd.Timedelta("5min")
ROWS, CUT, FAULT = 400, 280, 320
BEFORE, DURING = (START, START + CUT * STEP), (START + CUT * STEP, START + ROWS * STEP)


def noise(rng, rows=ROWS, memory=0.5):
    values = rng.normal(size=rows)
    for row in range(1, rows):
        values[row] += memory * values[row - 1]
    return values


def frame(series):
    """Return the long form of {(system, metric): values}."""
    times = pd.date_range(START, periods=ROWS, freq=STEP)
    parts = [pd.DataFrame({"time": times, "system": system, "metric": metric, "value": values})
             for (system, metric), values in series.items()]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def world(seed, *, fault=True, decoys=2):
    """Return metrics, graph, truth and symptom of one random incident."""
    rng = np.random.default_rng([7, seed])
    count = int(rng.integers(8, 16))
    names = [f"s{number:02d}" for number in rng.permutation(count)]
    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    for effect in range(1, count):
        for cause in rng.choice(effect, size=min(effect, int(rng.integers(1, 3))), replace=False):
            graph.add_edge(names[cause], names[effect])
    able = [name for name in names if nx.descendants(graph, name)]
    truth = able[int(rng.integers(len(able)))]
    hit = {truth: (FAULT, float(rng.uniform(6, 25)))}
    for cause, effect in nx.bfs_edges(graph, truth):
        start, size = hit[cause]
        hit[effect] = (start + int(rng.integers(0, 2)), size * float(rng.uniform(0.5, 1.1)))
    symptom = sorted(hit)[int(rng.integers(len(hit)))]
    series = {}
    for name in names:
        silent = name not in (truth, symptom) and rng.random() < 0.15
        for metric in () if silent else ("latency", "errors"):
            values = 100 + 2 * noise(rng) * (1 + rng.exponential(0.3))
            if fault and name in hit and metric == "latency":
                start, size = hit[name]
                values[start : start + 60] += 2.3 * size
            series[name, metric] = values
    others = [name for name in names if (name, "latency") in series and name not in hit]
    for name in others[:decoys]:
        series[name, "errors"][int(rng.integers(60, 200)) :] += 2.3 * rng.uniform(8, 30)
    return frame(series), graph, truth, (symptom, "latency")


def outcomes(worlds):
    found = {"right": 0, "wrong": 0, "silent": 0}
    for metrics, graph, truth, symptom in worlds:
        first = cascade.trace(metrics, graph, symptom=symptom, before=BEFORE, during=DURING).first
        found["silent" if first is None else "right" if first == truth else "wrong"] += 1
    return found


def test_the_true_cause_comes_first_in_simulated_incidents_with_decoys():
    found = outcomes(world(seed) for seed in range(40))
    assert found["right"] >= 34, found
    assert found["wrong"] <= 2, found


def test_nobody_is_named_when_there_was_no_fault():
    found = outcomes(world(seed, fault=False) for seed in range(40))
    assert found["silent"] >= 38, found

"""Which service is named first on PetShop's injected faults, and who is named on windows without a fault?

The data (PetShop, amazon-science/petshop-root-cause-analysis, CC-BY-4.0) are read from the folder in
``RCA_BENCH_DATA``, sub-folder ``petshop``; each scenario in it is a folder with ``graph.csv``, ``noissue`` and
cases with ``target.json``. Each case has five rows; the healthy rows were recorded months apart from it. Names of
systems are permuted at random first, so nothing can be read from them. Nothing is learned from the cases: to leave a
cause out is to look at its rows of the table alone. Specificity: for each case ten windows of five rows are cut from
the healthy metrics at random places, and the other healthy rows are the reference.

    RCA_BENCH_DATA=... python tests/bench/petshop.py --seed 1
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd

from rca import cascade

HARMFUL = {"latency": "up", "availability": "down"}
AWAY = pd.Timedelta("180D")  # windows cut from the healthy rows are put so much earlier, to keep them apart
SECOND = pd.Timedelta("1s")


def read(path: Path, names: dict[str, str]) -> pd.DataFrame:
    """Return the metrics of a file in the long form: averages of latency and availability."""
    wide = pd.read_csv(path, header=[0, 1, 2], index_col=0)
    wide.index = pd.to_datetime(wide.index.astype(float), unit="s", utc=True)
    wide = wide.loc[:, [column for column in wide if column[1] in HARMFUL and column[2] == "Average"]]
    parts = [
        pd.DataFrame({"time": wide.index, "system": names.get(system, system), "metric": metric,
                      "value": wide[system, metric, kind].to_numpy()})
        for system, metric, kind in wide
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).dropna(subset="value")


def limits(metrics: pd.DataFrame) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the window that holds all rows."""
    return metrics["time"].min(), metrics["time"].max() + SECOND


def order(metrics: pd.DataFrame, graph: nx.DiGraph, target: dict, before, during) -> tuple[list[str], str | None]:
    """Return the systems named, best first, ties by their worst case, and why nobody is named."""
    found = cascade.trace(
        metrics, graph, symptom=(target["node"], target["metric"]), before=before, during=during, harmful=HARMFUL
    )
    return list(found.candidates.index), found.abstained


def scenario(folder: Path, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return one row a case, and one row a healthy window."""
    rng = np.random.default_rng(seed)
    calls = pd.read_csv(folder / "graph.csv", index_col=0)
    files = sorted(folder.glob("*/*/target.json"))
    truths = {path: json.loads(path.read_text()) for path in files}
    known = sorted({*calls.index, *(truth["root_cause"]["node"] for truth in truths.values())})
    names = dict(zip(known, (f"s{number:03d}" for number in rng.permutation(len(known))), strict=True))
    graph = nx.DiGraph()
    graph.add_nodes_from(names[name] for name in calls.index)
    graph.add_edges_from((names[b], names[a]) for a in calls.index for b in calls.columns if calls.loc[a, b])
    healthy = read(folder / "noissue" / "metrics.csv", names)
    steps = np.sort(healthy["time"].unique())
    cases, windows = [], []
    for path, truth in truths.items():
        target = {**truth["target"], "node": names[truth["target"]["node"]]}
        cause, ill = names[truth["root_cause"]["node"]], read(path.parent / "metrics.csv", names)
        found, why = order(pd.concat([healthy, ill]), graph, target, limits(healthy), limits(ill))
        cases.append({"metric": target["metric"], "cause": truth["root_cause"]["node"], "first": found[:1] == [cause],
                      "third": cause in found[:3], "wrong": bool(found) and found[0] != cause, "why": why or "",
                      "alerting": cause == target["node"], "systems": len(graph)})  # fmt: skip
        for start in rng.integers(0, len(steps) - 5, size=10):
            cut = healthy["time"].between(steps[start], steps[start + 4])
            moved = healthy[cut].assign(time=healthy.loc[cut, "time"] - AWAY)
            rest = healthy[~cut]
            found, _ = order(pd.concat([rest, moved]), graph, target, limits(rest), limits(moved))
            windows.append({"metric": target["metric"], "silent": not found})
    return pd.DataFrame(cases), pd.DataFrame(windows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    seed = parser.parse_args().seed
    top = os.environ.get("RCA_BENCH_DATA", "")
    folders = sorted(path.parent for path in Path(top).glob("petshop/*/graph.csv")) if top else []
    if not folders:
        print("PetShop: not run (RCA_BENCH_DATA names no folder with petshop/<scenario>/graph.csv)")
    for folder in folders:
        cases, windows = scenario(folder, seed)
        frequent = [cause for cause, _ in Counter(cases["cause"]).most_common(5)]
        print(f"\n{folder.name}: {len(cases)} cases, names permuted with seed {seed}")
        columns = {"cases": ("first", "size"), "top1": ("first", "mean"), "top3": ("third", "mean"),
                   "wrong": ("wrong", "mean")}  # fmt: skip
        for key in ("metric", "cause"):
            print(cases.groupby(key).agg(**columns).round(3).to_string())
        by_cause = cases.groupby("cause")[["first", "third"]].mean()
        rows = {
            "rca.cascade.trace": (cases["first"].mean(), cases["third"].mean()),
            "the same, mean over causes": tuple(by_cause.mean()),
            "the same, worst cause": tuple(by_cause.min()),
            "null: a random system": (1 / cases["systems"].iloc[0], 3 / cases["systems"].iloc[0]),
            "null: the alerting system": (cases["alerting"].mean(),) * 2,
            "null: the causes by frequency": (
                (cases["cause"] == frequent[0]).mean(), cases["cause"].isin(frequent[:3]).mean()),
        }  # fmt: skip
        print(pd.DataFrame(rows, index=["top1", "top3"]).T.round(3).to_string())
        for why, count in Counter(cases.loc[cases["why"] != "", "why"]).items():
            print(f"  silent in {count}: {why}")
        silent = windows.groupby("metric")["silent"].agg(["size", "mean"]).round(3)
        print(f"windows without a fault, share in which nobody is named:\n{silent.to_string()}")


if __name__ == "__main__":
    main()

"""One method on one case, in a process of its own: run by ``cascade_speed.py`` with the Python of the method's environment.

The case is a folder: ``metrics.csv`` or ``.parquet`` (time, system, metric, value), ``edges.csv`` (cause, effect), ``case.json``
(symptom, windows, harmful directions). Reading, filling of missed rows and import are not in the CPU time of the answer.
One line of JSON comes back. The methods are called as their documentation does:

rca      ``rca.cascade.trace``, with the symptom's metric of each system (what the others get) or with all metrics.
dowhy    causal mechanisms assigned and fitted on the healthy rows, then ``attribute_anomalies`` of the row in which the
         symptom is worst. Needs a graph without cycles: of each cycle one edge is taken out.
baro     ``robust_scorer``, told when the incident window starts; it takes no graph.
pyrca    HT, trained on the healthy rows: a system's score is the largest of its rows (the default), or their sum.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    import networkx as nx

MODULES = {"rca": "rca.systems.cascade", "dowhy": "dowhy.gcm", "baro": "baro.root_cause_analysis", "pyrca": "pyrca.analyzers.ht"}  # fmt: skip
PACKAGES = {"rca": "rca-workbench", "dowhy": "dowhy", "baro": "fse-baro", "pyrca": "sfr-pyrca"}
LONG = 5.0  # CPU seconds of a first call from which on it is the only one

Answer = Callable[[], "str | None"]


@dataclass(frozen=True)
class Case:
    """One incident as it was written."""

    metrics: pd.DataFrame
    edges: list[tuple[str, str]]
    symptom: tuple[str, str]
    before: tuple[pd.Timestamp, pd.Timestamp]
    during: tuple[pd.Timestamp, pd.Timestamp]
    harmful: dict[str, str]

    def wide(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the symptom's metric of every system before and during, a column a system, missed rows filled in."""
        same = self.metrics[self.metrics["metric"] == self.symptom[1]]
        rows = same.pivot(index="time", columns="system", values="value").interpolate().bfill()
        rows.columns.name = None
        return rows[rows.index < self.before[1]], rows[rows.index >= self.during[0]]

    def graph(self) -> nx.DiGraph:
        """Return the graph, with the systems that have no edge."""
        import networkx as nx

        graph = nx.DiGraph(self.edges)
        graph.add_nodes_from(self.metrics["system"].unique())
        return graph

    def acyclic(self) -> nx.DiGraph:
        """Return the graph less one edge of each cycle."""
        import networkx as nx

        graph = self.graph()
        while not nx.is_directed_acyclic_graph(graph):
            graph.remove_edge(*nx.find_cycle(graph)[-1][:2])
        return graph


def read(folder: Path) -> Case:
    """Return the case of a folder."""
    told = json.loads((folder / "case.json").read_text())
    table = folder / "metrics.parquet"
    metrics = pd.read_parquet(table) if table.exists() else pd.read_csv(folder / "metrics.csv", dtype={"system": str})
    metrics["time"] = pd.to_datetime(metrics["time"], utc=True)
    before, during = ([pd.Timestamp(at) for at in told[window]] for window in ("before", "during"))
    edges = list(pd.read_csv(folder / "edges.csv", dtype=str).itertuples(index=False, name=None))
    return Case(metrics, edges, tuple(told["symptom"]), tuple(before), tuple(during), told["harmful"])


def rca(case: Case, variant: str) -> Answer:
    """Return the call of this project's trace."""
    from rca.systems import cascade

    metrics = case.metrics
    if variant != "all":
        metrics = metrics[metrics["metric"] == case.symptom[1]].reset_index(drop=True)
    harmful = {metric: way for metric, way in case.harmful.items() if variant == "all" or metric == case.symptom[1]}
    graph = case.graph()

    def answer() -> str | None:
        found = cascade.trace(
            metrics, graph, symptom=case.symptom, before=case.before, during=case.during, harmful=harmful
        )
        tied = found.first is not None and found.candidates["rank"].iloc[0] > 1
        return "(tie)" if tied else found.first

    return answer


def dowhy(case: Case, variant: str) -> Answer:
    """Return the call of DoWhy's attribution of anomalies."""
    from dowhy import gcm

    gcm.config.disable_progress_bars()
    gcm.config.set_default_n_jobs(1)  # CPU time of helper processes would not be counted
    gcm.util.general.set_random_seed(0)
    healthy, during = (rows.reset_index(drop=True) for rows in case.wide())
    graph, system = case.acyclic(), case.symptom[0]
    worst = during.loc[[during[system].idxmax()]]

    def answer() -> str | None:
        model = gcm.InvertibleStructuralCausalModel(graph.copy())
        gcm.auto.assign_causal_mechanisms(model, healthy)
        gcm.fit(model, healthy)
        scores = gcm.attribute_anomalies(model, system, anomaly_samples=worst)
        return max(scores, key=lambda name: float(scores[name].mean()))

    return answer


def baro(case: Case, variant: str) -> Answer:
    """Return the call of BARO's scorer."""
    from baro.root_cause_analysis import robust_scorer

    healthy, during = case.wide()
    rows = pd.concat([healthy, during]).add_suffix(f"_{case.symptom[1]}").reset_index(drop=True)
    rows.insert(0, "time", range(len(rows)))

    def answer() -> str | None:
        return robust_scorer(rows, inject_time=len(healthy))["ranks"][0].removesuffix(f"_{case.symptom[1]}")

    return answer


def pyrca(case: Case, variant: str) -> Answer:
    """Return the call of PyRCA's hypothesis testing."""
    from networkx import to_pandas_adjacency
    from pyrca.analyzers.ht import HT, HTConfig

    healthy, during = case.wide()
    links = to_pandas_adjacency(case.graph())

    def answer() -> str | None:
        model = HT(config=HTConfig(graph=links, aggregator=variant or "max"))
        model.train(healthy)
        return model.find_root_causes(during, case.symptom[0]).root_cause_nodes[0][0]

    return answer


METHODS = {"rca": rca, "dowhy": dowhy, "baro": baro, "pyrca": pyrca}


def cpu(call: Answer) -> tuple[str | None, float]:
    """Return an answer and the CPU seconds of this process that it took."""
    begun = time.process_time()
    named = call()
    return named, time.process_time() - begun


def peak() -> float:
    """Return the largest memory of this process so far in megabytes; its ru_maxrss may be that of its parent."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1e3
    return float("nan")


def main() -> None:
    """Run one method and print what it said and took."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("method", choices=METHODS)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--limit", type=int, default=120, help="CPU seconds of the whole process")
    arguments.add_argument("--variant", default="", help="rca: all metrics; pyrca: sum, to add up the rows' scores")
    given = arguments.parse_args()
    resource.setrlimit(resource.RLIMIT_CPU, (given.limit, given.limit))
    importlib.import_module(MODULES[given.method])
    importing = time.process_time()  # since the process began: pandas and the interpreter's own start are in it
    call = METHODS[given.method](read(given.folder), given.variant)
    at_rest = peak()
    named, first = cpu(call)
    later = [cpu(call)[1] for _ in range(given.runs)] if first < LONG else []
    json.dump({
        "version": importlib.metadata.version(PACKAGES[given.method]), "named": named, "import": importing, "first": first,
        "later": later, "peak": peak(), "at rest": at_rest,
    }, sys.stdout)  # fmt: skip


if __name__ == "__main__":
    main()

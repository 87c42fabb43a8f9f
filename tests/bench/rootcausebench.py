"""Which systems eight frozen production incidents hurt, and which failed first. Prints figures, judges nothing.

The incidents are those of the folder ``rootcausebench`` in ``RCA_BENCH_DATA``; ``tests/rootcausebench`` maps them onto
incident folders. Windows and harmful directions are those of incident.yaml, which a user declares too: healthy is
the first hour of the metrics, the incident is the rest. The truth's blast radius leaves the first failing
service out, so that service is taken out of every list before it is compared.

Columns, each a Jaccard index with the truth's list: ``affected`` (rca.affected of metrics, spans and logs),
``undirected`` (the same with no harmful direction declared), ``down`` (descendants of the first failing service in
the graph that spans show), ``down by id`` (the same with parents looked for in all traces, since some trace ids are
placeholders), ``all`` (all systems), ``alert`` (the alerting system alone, which is the first failing one in all
eight, so nothing is left).

``first``: the first failing service by rca.cascade.trace with the alert's metric for symptom and everything else that
the alerting service measured left out; the symptom still says which service alerted, so this only shows whether
the tracer is led astray. ``withheld``: the alert is not used at all; the symptom is the metric that moved most of
each other system that moved, in turn; how many of these traces name the first failing service, name another,
abstain. ``permuted``: whether all answers stay when the systems' names are permuted at random.

    RCA_BENCH_DATA=... python tests/bench/rootcausebench.py --seed 1
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

import rca
from rca.systems import affected

MAPPINGS = Path(__file__).parent.parent / "rootcausebench"


@dataclass(frozen=True)
class Case:
    """What a user has of one incident."""

    metrics: pd.DataFrame
    events: pd.DataFrame
    spans: pd.DataFrame
    graph: nx.DiGraph
    symptom: tuple[str, str]
    windows: Mapping[str, Any]
    harmful: Mapping[str, str]


def read(data: Path, mapping: Path) -> Case:
    """Return an incident by way of an incident folder without the truth."""
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top) / data.name
        shutil.copytree(data, folder / "sources", copy_function=shutil.copyfile)
        (folder / "sources" / "ground_truth.json").unlink()
        shutil.copyfile(mapping, folder / "incident.yaml")
        incident = rca.incident.load(folder)
        records = rca.sources.read(incident)
    file = incident.file
    return Case(
        records.metrics, records.events, records.spans,
        rca.graph.build(records.dependencies, records.systems), (file.symptom.system, file.symptom.metric),
        {"before": file.windows.before.span, "during": file.windows.during.span}, file.harmful,
    )  # fmt: skip


def renamed(case: Case, names: Mapping[str, str]) -> Case:
    """Return the case with other names for its systems."""
    tables = {
        key: getattr(case, key).assign(system=getattr(case, key)["system"].map(lambda name: names.get(name, name)))
        for key in ("metrics", "events", "spans")
    }
    graph = nx.relabel_nodes(case.graph, names)
    return replace(case, **tables, graph=graph, symptom=(names[case.symptom[0]], case.symptom[1]))


def hurt(case: Case, **changed: Any) -> pd.DataFrame:
    """Return the verdicts."""
    given = {"metrics": case.metrics, "spans": case.spans, "events": case.events, "graph": case.graph}
    return affected.find(**given, **case.windows, **({"harmful": case.harmful} | changed))


def first(case: Case, metrics: pd.DataFrame, symptom: tuple[str, str]) -> str | None:
    """Return the system that the tracer names; None when it abstains."""
    known = {name: way for name, way in case.harmful.items() if name in set(metrics["metric"])}
    return rca.cascade.trace(metrics, case.graph, symptom=symptom, **case.windows, harmful=known).first


def answers(case: Case) -> tuple[frozenset[str], frozenset[str], str | None, dict[str, str | None]]:
    """Return the systems hurt, those hurt without directions, the first by the alert, and by other symptoms."""
    found, blind = (table.loc[table["hurt"].fillna(False), "system"] for table in (hurt(case), hurt(case, harmful={})))
    system, metric = case.symptom
    kept = case.metrics[(case.metrics["system"] != system) | (case.metrics["metric"] == metric)]
    deviations = rca.cascade.trace(
        case.metrics, case.graph, symptom=case.symptom, **case.windows, harmful=case.harmful
    ).deviations
    moved = deviations[deviations["onset"].notna() & (deviations["system"] != system)]
    moved = moved[~moved["metric"].isin([name for name, way in case.harmful.items() if way == "neither"])]
    strongest = moved.loc[moved["deviation"].abs().groupby(moved["system"]).idxmax()]
    others = {
        row.system: first(case, case.metrics, (row.system, row.metric)) for row in strongest.itertuples(index=False)
    }
    return frozenset(found), frozenset(blind), first(case, kept, case.symptom), others


def jaccard(found: set[str] | frozenset[str], truth: set[str]) -> float:
    """Return the share of both in either; 1 when both are empty."""
    return len(found & truth) / len(found | truth) if found | truth else 1.0


def below(spans: pd.DataFrame, system: str) -> set[str]:
    """Return the descendants when a parent is looked for in all traces."""
    owner = spans.drop_duplicates("span_id", keep=False).set_index("span_id")["system"]
    own = spans.drop_duplicates(["trace_id", "span_id"], keep=False).set_index(["trace_id", "span_id"])["system"]
    graph = nx.DiGraph()
    for span in spans.itertuples(index=False):
        parent = own.get((span.trace_id, span.parent_id)) or owner.get(span.parent_id)
        if parent and parent != span.system:
            graph.add_edge(span.system, parent)
    graph.add_node(system)
    return set(nx.descendants(graph, system))


def row(data: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Return one line of the table."""
    case = read(data, MAPPINGS / data.name / "incident.yaml")
    truth = json.loads((data / "ground_truth.json").read_text(encoding="utf-8"))
    origin, radius = truth["first_failing_service"], set(truth["blast_radius"])
    names = sorted(case.graph)
    mask = dict(zip(names, rng.permutation(names).tolist(), strict=True))
    found, blind, by_alert, others = answers(case)
    masked = answers(renamed(case, mask))
    named = [mask.get(by_alert), {mask[name]: mask.get(value) for name, value in others.items()}]
    same = [{mask[name] for name in found}, {mask[name] for name in blind}, *named] == [*masked]
    right = sum(value == origin for value in others.values())
    silent = sum(value is None for value in others.values())
    return {
        "incident": data.name,
        "first": "abstained" if by_alert is None else "right" if by_alert == origin else f"wrong: {by_alert}",
        "withheld": f"{right} right, {len(others) - right - silent} wrong, {silent} abstained",
        "affected": jaccard(found - {origin}, radius), "undirected": jaccard(blind - {origin}, radius),
        "down": jaccard(set(nx.descendants(case.graph, origin)), radius),
        "down by id": jaccard(below(case.spans, origin), radius), "all": jaccard(set(names) - {origin}, radius),
        "alert": jaccard({case.symptom[0]} - {origin}, radius), "permuted": "same" if same else "differs",
    }  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the permutation of names")
    seed = parser.parse_args().seed
    top = os.environ.get("RCA_BENCH_DATA")
    if not top:
        print("RCA_BENCH_DATA is not set: not run")
        return
    rng = np.random.default_rng(seed)
    cases = [
        path for path in sorted((Path(top) / "rootcausebench").iterdir()) if (path / "ground_truth.json").is_file()
    ]
    table = pd.DataFrame([row(path, rng) for path in cases])
    mean = table.select_dtypes("number").mean().to_dict() | {"incident": "mean"}
    table = pd.concat([table, pd.DataFrame([mean])], ignore_index=True)
    print(table.to_string(index=False, na_rep="", float_format="%.2f"))


if __name__ == "__main__":
    main()

"""How often the right change is named, and how often an innocent one. Prints a table, judges nothing.

RootCauseBench, read from the folder in ``RCA_BENCH_DATA`` (unset: "not run") by the mappings in
``tests/rootcausebench``. Twice: with the first cause that ``rca.cascade.trace`` names, and with the first failing system of
the truth, its onset taken from the trace's own table or, if nothing moved there, from the alert. An answer is right if it
is the culprit, or none where there is none. Beside it the null methods: always none, and the latest deployment of the
first failing system before the alert. And two trials in which nobody is to blame: the culprit taken out of the record,
and each incident with the changes of each other one, moved to its time and its first failing system.

    RCA_BENCH_DATA=... python tests/bench/changes.py
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import pandas as pd

import rca
from rca.records import ChangeFit, Trace

COLUMNS = ("traced", "first given", "always none", "latest")
CHANGES = ("deploy", "commit", "flag")
MAPPINGS = sorted((Path(__file__).parent.parent / "rootcausebench").glob("*/incident.yaml"))


@dataclass(frozen=True)
class Case:
    """One incident: what `rank` is given, and what is true."""

    name: str
    truth: dict[str, Any]
    alert: pd.Timestamp
    events: pd.DataFrame
    graph: nx.DiGraph
    errors: pd.DataFrame
    trace: Trace
    given: Trace


def folder(mapping: Path, data: Path, top: Path) -> Path:
    """Return the incident folder of a mapping, without its truth."""
    made = top / data.name
    shutil.copytree(data, made / "sources", copy_function=shutil.copyfile)
    (made / "sources" / "ground_truth.json").unlink()
    shutil.copyfile(mapping, made / "incident.yaml")
    return made


def told(trace: Trace, system: str, alert: dict[str, str]) -> Trace:
    """Return a trace that names the first failing system of the truth."""
    moved = trace.deviations[(trace.deviations["system"] == system) & trace.deviations["onset"].notna()]
    onset = moved["onset"].min() if len(moved) else pd.Timestamp(alert["fired_at"])
    metric = moved.sort_values("onset")["metric"].iloc[0] if len(moved) else alert["metric"]
    row = {"onset": onset, "onset_error": pd.Timedelta("5min"), "metric": metric}
    return Trace(trace.symptom, pd.DataFrame([row], index=[system]), trace.deviations)


def answer(fit: ChangeFit) -> str:
    """Return the reference of the change named, or "none"."""
    return str(fit.candidates["ref"].iloc[0]) if fit.best else "none"


def verdict(found: str, truth: dict[str, Any]) -> str:
    """Return whether an answer is right."""
    if found == truth["root_cause_commit"]:
        return "right (none)" if found == "none" else "right"
    if found == "none":
        return "missed"
    return "wrong (decoy)" if found in truth["decoy_deploy_commits"] else "wrong"


def read(mapping: Path, data: Path) -> Case:
    """Return one incident, traced."""
    with tempfile.TemporaryDirectory() as top:
        incident, records = rca.report.load(folder(mapping, data, Path(top)), with_names=True)
    events = rca.timeline.merge(records.events)
    graph = rca.graph.build(records.dependencies, records.systems)
    before, during = incident.file.windows.before.span, incident.file.windows.during.span
    errors = rca.signals.new_templates(events, (before, during))
    symptom = (incident.file.symptom.system, incident.file.symptom.metric)
    trace = rca.cascade.trace(
        records.metrics, graph, symptom=symptom, before=before, during=during, harmful=incident.file.harmful
    )
    truth = json.loads((data / "ground_truth.json").read_text())
    alert = json.loads((data / "alert.json").read_text())
    given = told(trace, truth["first_failing_service"], alert)
    return Case(mapping.parent.name, truth, pd.Timestamp(alert["fired_at"]), events, graph, errors, trace, given)


def without(case: Case) -> pd.DataFrame:
    """Return the events of an incident without its culprit: then none is right."""
    return case.events[case.events["ref"] != case.truth["root_cause_commit"]]


def exchanged(case: Case, other: Case) -> pd.DataFrame:
    """Return the events of an incident with the changes of another one in place of its own: then none is right."""
    changed = other.events[other.events["kind"].isin(CHANGES)].copy()
    changed["time"] += case.alert - other.alert
    own, theirs = case.truth["first_failing_service"], other.truth["first_failing_service"]
    changed["system"] = changed["system"].replace({theirs: own})
    return pd.concat([case.events[~case.events["kind"].isin(CHANGES)], changed], ignore_index=True)


def row(case: Case) -> dict[str, str]:
    """Return one line of the table."""
    deploys = case.events[
        case.events["kind"].eq("deploy") & case.events["system"].eq(case.truth["first_failing_service"])
    ]
    latest = deploys[deploys["time"] <= case.alert]["ref"].tail(1)
    fits = [rca.changes.rank(case.events, one, case.graph, errors=case.errors) for one in (case.trace, case.given)]
    bare = rca.changes.rank(without(case), case.given, case.graph, errors=case.errors)
    answers = [*map(answer, fits), "none", *(latest if len(latest) else ["none"])]
    return {"incident": case.name, "first": case.trace.first or "abstained"} | {
        name: verdict(found, case.truth) for name, found in zip(COLUMNS, answers, strict=True)
    } | {"culprit removed": "right (none)" if bare.best is None else f"wrong ({answer(bare)[:8]})"}  # fmt: skip


def main() -> None:
    """Print the table."""
    base = os.environ.get("RCA_BENCH_DATA")
    if not base:
        print("not run: RCA_BENCH_DATA is not set")
        return
    cases = [read(mapping, Path(base) / "rootcausebench" / mapping.parent.name) for mapping in MAPPINGS]
    table = pd.DataFrame([row(case) for case in cases])
    print(table.to_string(index=False))
    for name in COLUMNS:
        right, decoys = table[name].str.startswith("right").sum(), table[name].str.contains("decoy").sum()
        print(f"{name}: right {right} of {len(table)}, decoys blamed {decoys}")
    pairs = [(case, other) for case in cases for other in cases if case is not other]
    blamed = [
        f"{case.name} <- {other.name}: {fit.answer}"
        for case, other in pairs
        for fit in [rca.changes.rank(exchanged(case, other), case.given, case.graph, errors=case.errors)]
        if fit.best
    ]
    print(f"changes of another incident in place of its own: blamed {len(blamed)} of {len(pairs)}", *blamed, sep="\n  ")


if __name__ == "__main__":
    main()

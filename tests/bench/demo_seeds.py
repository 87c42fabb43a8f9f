"""Do the demo's analyses name the right cause on other seeds, and when a decoy is the true cause?

For each seed and each of the three causes the incident folder is made afresh and read back from its files; then the
same steps as in the report: graph, trace, changes, SHAP before and after. An abstention is counted apart. Beside
them stand simple rules that people use: the system that deviates most, the latest change before detection, the
feature that drifted most.

    python tests/bench/demo_seeds.py --first 100 --count 20
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd

from rca import incident, modelfile, sources, tables, vocabulary
from rca.models import drift, shapdiff
from rca.systems import cascade, changes, graph
from rca.training import fraud
from rca.training.fraud import plan

# The system where each cause shows first (one of), and the reference of the change that does it.
TRUTH = {
    "retraining": ({"fraud-model"}, "2026.06"),
    "pipeline": ({"feature-pipeline"}, "4.8.0"),
    "campaign": ({"marketing-site", "payments-gateway"}, "SUM-26"),
}


def judge(answer: str | None, right: set[str]) -> str:
    """Return right, wrong or abstained."""
    if answer is None:
        return "abstained"
    return "right" if answer in right else "wrong"


def analyse(folder: Path) -> dict[str, str | None]:
    """Return what the workbench names: the first system, the change, and the feature of the SHAP comparison."""
    case = incident.load(folder)
    records = sources.read(case)
    windows, symptom, part = case.file.windows, case.file.symptom, case.file.model
    assert windows and symptom and part
    dependencies = graph.build(records.dependencies, records.systems)
    found = cascade.trace(
        records.metrics,
        dependencies,
        symptom=(symptom.system, symptom.metric),
        before=windows.before.span,
        during=windows.during.span,
        harmful=case.file.harmful,
    )
    kinds = vocabulary.table("event_kinds")
    changed = records.events[records.events["kind"].isin(kinds.index[kinds["is_change"] == "yes"])]
    fit = changes.rank(changed, found, dependencies)
    named = changed.set_index("event_id").loc[fit.best, "ref"] if fit.best else None
    rows = tables.read(case.path(part.holdout))[list(part.features)]
    both = [shapdiff.explain(modelfile.load(case.path(name)), rows) for name in (part.before, part.after)]
    feature = str(shapdiff.compare(*both).index[0])
    windows_rows = [tables.read(case.path(name)) for name in (part.window_before, part.window_after)]
    detected = case.file.milestones["detected"].time
    live = changed[~changed["kind"].isin(changes.PREPARED) & (changed["time"] <= detected)]
    return {
        "system": found.first,
        "change": named,
        "feature": feature,
        "why": found.abstained or "",
        "loudest": str(found.deviations.set_index("system")["deviation"].abs().idxmax()),
        "latest": str(live.sort_values("time")["ref"].iloc[-1]),
        "drifted": str(drift.compare(*windows_rows, features=list(part.features)).index[0]),
    }


def main() -> None:
    """Print one row a world, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--causes", nargs="*", choices=plan.CAUSES, default=list(plan.CAUSES))
    given = parser.parse_args()
    rows = []
    for seed in range(given.first, given.first + given.count):
        for cause in given.causes:
            with tempfile.TemporaryDirectory() as folder:
                answer = analyse(fraud.make(folder, seed=seed, cause=cause))
            systems, ref = TRUTH[cause]
            truth = plan.draw(seed, cause).feed.feature
            row = {
                "seed": seed,
                "cause": cause,
                "system": answer["system"],
                "system_is": judge(answer["system"], systems),
                "change": answer["change"],
                "change_is": judge(answer["change"], {ref}),
                "feature": answer["feature"] if cause == "retraining" else "",
                "feature_is": judge(answer["feature"], {truth}) if cause == "retraining" else "",
            }
            print(*row.values(), answer["why"], sep="\t", flush=True)
            rules = {
                "loudest system": judge(answer["loudest"], systems),
                "latest change": judge(answer["latest"], {ref}),
                "most drifted feature": judge(answer["drifted"], {truth}) if cause == "retraining" else "",
            }
            rows.append(row | rules)
    table = pd.DataFrame(rows)
    for name in ("system_is", "loudest system", "change_is", "latest change", "feature_is", "most drifted feature"):
        for cause, group in table[table[name] != ""].groupby("cause", sort=False):
            counts = Counter(group[name])
            print(name, cause, *(f"{word} {counts[word]}" for word in ("right", "abstained", "wrong")), sep="\t")


if __name__ == "__main__":
    main()

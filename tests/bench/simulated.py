"""Does the trace name the system that broke first in simulated incidents, and keep silent when nothing broke?

For each seed one incident of 30 to 300 systems and one window without a fault, by ``rca.cascade.simulate`` with what
it hides, lacks, adds and loads by default. Shares stand with their 95 % Wilson intervals; a tie counts as its worst
case. Beside the trace stand methods that know nothing, or next to nothing: a random system (its expected share), the
alerting system, the system with most consumers in the known graph, the system with the strongest deviation. They
always name somebody, also when nothing broke. Where an edge that is missing cuts the faulty system off from the
symptom, nobody can find it by the graph: that share is printed too.

    python tests/bench/simulated.py --seeds 200 --first 1000
"""

from __future__ import annotations

import argparse
import time

import networkx as nx
import numpy as np
import pandas as pd

from rca.systems import cascade
from rca.systems.cascade.simulate import Simulation, simulate

BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)  # of the stated confidence
VERDICTS = ("right", "wrong", "abstained")


def wilson(count: float, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    z = 1.959964
    share, shrink = count / total, 1 + z**2 / total
    half = z * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2)) / shrink
    middle = (share + z**2 / (2 * total)) / shrink
    return max(0.0, middle - half), min(1.0, middle + half)


def shown(count: float, total: int) -> str:
    """Return a share with its interval."""
    low, high = wilson(count, total)
    return f"{count / total:5.3f} [{low:.3f}, {high:.3f}]"


def size_of(seed: int) -> int:
    """Return how many systems the incident of this seed has."""
    return int(np.random.default_rng([30, 300, seed]).integers(30, 301))


def traced(made: Simulation):
    """Return the trace of an incident, as a user would call it."""
    return cascade.trace(
        made.metrics, made.graph, symptom=made.symptom, before=made.before, during=made.during, harmful=made.harmful
    )


def judged(first: str | None, tied: bool, truth: str | None) -> str:
    """Return right, wrong or abstained; where nothing broke, every name is wrong."""
    if first is None:
        return "abstained"
    return "right" if first == truth and not tied else "wrong"


def leaders(score: pd.Series) -> list[str]:
    """Return all that share the best score."""
    return sorted(score.index[score == score.max()])


def strongest(made: Simulation) -> list[str]:
    """Return the system with the largest rise in five successive rows, in robust standard deviations."""
    table = made.metrics[made.metrics["metric"] != "requests"]
    rows = table.pivot(index="time", columns=["system", "metric"], values="value")
    healthy = rows[rows.index < made.before[1]]
    spread = (healthy.quantile(0.75) - healthy.quantile(0.25)) / 1.349
    raised = rows[rows.index >= made.during[0]].rolling(5, min_periods=3).median().max() - healthy.median()
    return leaders((raised / spread).groupby(level="system").max())


def null_methods(made: Simulation) -> dict[str, float]:
    """Return method -> chance that it names the faulty system; ties by their worst case."""
    assert made.fault
    truth = [made.fault.system]
    consumers = pd.Series(dict(made.graph.out_degree))
    return {
        "a random system": 1 / made.metrics["system"].nunique(),
        "the alerting system": float([made.symptom[0]] == truth),
        "most consumers": float(leaders(consumers) == truth),
        "strongest deviation": float(strongest(made) == truth),
    }


def incident(seed: int) -> dict[str, object]:
    """Return what the trace and the null methods say of one incident and of one window without a fault."""
    made, calm = simulate(systems=size_of(seed), seed=seed), simulate(fault=None, systems=size_of(seed), seed=seed)
    assert made.fault
    begun = time.process_time()
    found = traced(made)
    took = time.process_time() - begun
    named, table = found.first, found.candidates
    tied = named is not None and table.loc[named, "rank"] > 1
    confidence = table["confidence"].iloc[0] if named is not None and "confidence" in table else np.nan
    quiet = traced(calm)
    return null_methods(made) | {
        "seed": seed,
        "systems": len(made.graph),
        "verdict": judged(named, tied, made.fault.system),
        "confidence": confidence,
        "seconds": took,
        "load": made.load is not None,
        "entry": made.symptom[0] == made.fault.system,
        "cut off": made.symptom[0] != made.fault.system
        and not nx.has_path(made.graph, made.fault.system, made.symptom[0]),
        "quiet": judged(quiet.first, False, None),
        "quiet load": calm.load is not None,
    }


def print_shares(title: str, verdicts: pd.Series) -> None:
    """Print right, wrong and abstained of a group."""
    if len(verdicts):
        shares = "  ".join(f"{verdict} {shown((verdicts == verdict).sum(), len(verdicts))}" for verdict in VERDICTS)
        print(f"{title:24s}{len(verdicts):5d}  {shares}")


def print_calibration(rows: pd.DataFrame) -> None:
    """Print how often the trace was right where it stated a confidence."""
    told = rows.dropna(subset="confidence")
    if told.empty:
        print("\nno confidence stated: no calibration")
        return
    right = told["verdict"] == "right"
    stated = told["confidence"].astype(float)
    print(f"\ncalibration: Brier score {((stated - right) ** 2).mean():.3f} "
          f"(always the mean {right.mean():.3f}: {right.var(ddof=0):.3f})")  # fmt: skip
    print("stated            n   mean   right")
    group = pd.cut(stated, BINS, include_lowest=True)
    for part, rows_in in told.groupby(group, observed=True):
        here = right[rows_in.index]
        print(f"{part!s:14s}{len(here):5d}  {stated[here.index].mean():.3f}  {shown(here.sum(), len(here))}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, default=1000, help="the first of them")
    parser.add_argument("--wrong", action="store_true", help="list the seeds that were named wrongly")
    options = parser.parse_args()
    rows = pd.DataFrame([incident(seed) for seed in range(options.first, options.first + options.seeds)])
    print(f"seeds {options.first} to {options.first + options.seeds - 1}, {rows['systems'].min()} to "
          f"{rows['systems'].max()} systems, median {rows['seconds'].median():.2f} s CPU a trace\n")  # fmt: skip
    verdicts = rows["verdict"]
    print_shares("fault", verdicts)
    for title, part in (
        ("  under load", rows["load"]),
        ("  without load", ~rows["load"]),
        ("  in the entry itself", rows["entry"]),
        ("  cut off in the graph", rows["cut off"]),
        ("  up to 100 systems", rows["systems"] <= 100),
        ("  more systems", rows["systems"] > 100),
    ):
        print_shares(title, verdicts[part])
    print()
    print_shares("no fault", rows["quiet"])
    print_shares("  under load", rows["quiet"][rows["quiet load"]])
    print_shares("  without load", rows["quiet"][~rows["quiet load"]])
    print("\nnull methods, fault (they never abstain; without a fault all are wrong)")
    for method in ("a random system", "the alerting system", "most consumers", "strongest deviation"):
        print(f"{method:24s}{len(rows):5d}  right {shown(rows[method].sum(), len(rows))}")
    print_calibration(rows)
    if options.wrong:
        print(
            "\nwrong:",
            *rows.loc[verdicts == "wrong", "seed"],
            "\nnamed without a fault:",
            *rows.loc[rows["quiet"] == "wrong", "seed"],
        )


if __name__ == "__main__":
    main()

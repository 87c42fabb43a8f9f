"""How long does the trace of one incident take, beside DoWhy, BARO and PyRCA, and how often is each right?

One simulated incident a seed, by ``rca.cascade.simulate``: 50 systems, all with metrics, 2,000 sampling steps (1,600
healthy, 400 of the incident). Every method answers in a fresh process (``rivals.py``) and may use one thread: the CPU
time is the median of several calls after a first one, or that of the first call if it takes 5 s or more; start and
import are apart. The others take one metric a system, the symptom's; the trace is measured with the same rows, and
with all three metrics. The other libraries stand in virtual environments of their own, in a folder that ``--make``
fills and ``--rivals`` names; without it they are not run. They always name somebody. Beside them: a random system,
and the alerting one. ``--big`` measures the trace alone on 1,000 systems of 10,000 rows.

    python tests/bench/cascade_speed.py --make DIR
    python tests/bench/cascade_speed.py --rivals DIR --seed 1 --cases 10
    python tests/bench/cascade_speed.py --big
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import pandas as pd

from rca.systems.cascade.simulate import Simulation, simulate

# PyRCA asks for a bridge to Java that its HT never loads and that does not build without a JDK: it goes in without it.
PINS = {
    "dowhy": [["dowhy==0.14", "numpy==2.4.6", "pandas==3.1.1", "scikit-learn==1.9.1", "scipy==1.15.3"]],
    "baro": [["fse-baro==0.2.2", "numpy==2.4.6", "pandas==3.1.1", "scikit-learn==1.9.1", "scipy==1.17.1"]],
    "pyrca": [
        ["numpy==1.26.4", "pandas==2.0.3", "scikit-learn==1.1.3", "scipy==1.11.4", "networkx==3.1"],
        ["dill", "packaging", "pyyaml", "schema", "tqdm"],
        ["--no-deps", "sfr-pyrca==1.0.1"],
    ],
}
METHODS = {
    "rca, one metric": ("rca",),
    "rca, all metrics": ("rca", "--variant", "all"),
    "DoWhy": ("dowhy",),
    "fse-baro": ("baro",),
    "PyRCA HT, max": ("pyrca",),
    "PyRCA HT, sum": ("pyrca", "--variant", "sum"),
}
NOT_RUN = "not run"
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


def make(folder: Path) -> None:
    """Make the virtual environments of the other libraries."""
    for name, steps in PINS.items():
        venv.create(folder / name, with_pip=True)
        for step in steps:
            done = subprocess.run([python(name, folder), "-m", "pip", "install", "--quiet", *step], check=False)
            if done.returncode:
                print(f"{name}: pip install {' '.join(step)} failed")
                break


def python(tool: str, rivals: Path | None) -> Path | None:
    """Return the interpreter of a method, or None if it has none."""
    if tool == "rca":
        return Path(sys.executable)
    found = rivals / tool / "bin" / "python" if rivals else None
    return found if found and found.exists() else None


def write(made: Simulation, folder: Path, *, big: bool = False) -> None:
    """Write a case: what an investigator would have, not the truth."""
    if big:
        made.metrics[made.metrics["metric"] == made.symptom[1]].to_parquet(folder / "metrics.parquet")
    else:
        made.metrics.to_csv(folder / "metrics.csv", index=False)
    pd.DataFrame(sorted(made.graph.edges), columns=["cause", "effect"]).to_csv(folder / "edges.csv", index=False)
    windows = {name: [at.isoformat() for at in getattr(made, name)] for name in ("before", "during")}
    (folder / "case.json").write_text(
        json.dumps({"symptom": made.symptom, "harmful": dict(made.harmful), **windows}), encoding="utf-8"
    )


def run(method: str, folder: Path, given: argparse.Namespace) -> dict | str:
    """Return what a method said of a case, or why it said nothing."""
    tool, *options = METHODS[method]
    interpreter = python(tool, given.rivals)
    if interpreter is None:
        return NOT_RUN
    script = Path(__file__).with_name("rivals.py")
    command = [interpreter, "-P", script, tool, folder, "--runs", given.runs, "--limit", given.limit, *options]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env=os.environ | ONE_THREAD
    )
    if done.returncode < 0:
        return f"no answer within {given.limit} s of CPU time"
    if done.returncode:
        return "failed: " + done.stderr.strip().splitlines()[-1]
    return json.loads(done.stdout.splitlines()[-1])


def seconds(said: dict) -> float:
    """Return the CPU seconds of an answer, after warm-up where there was one."""
    return statistics.median(said["later"] or [said["first"]])


def print_case(seed: int, made: Simulation, said: dict[str, dict | str]) -> None:
    """Print what each method said of one case."""
    assert made.fault
    print(f"seed {seed}: {len(made.true_graph)} systems x {made.metrics['time'].nunique():,} rows, {made.fault.metric} fault of "
          f"{made.fault.size:.0f} spreads in {made.fault.system}, noticed by {made.symptom[1]} of {made.symptom[0]}", flush=True)  # fmt: skip
    print(f"{'':18s}{'version':>9s}{'import s':>10s}{'first s':>9s}{'CPU s':>9s}{'MB':>7s}  named")
    for method, one in said.items():
        if isinstance(one, str):
            print(f"{method:18s} {one}")
            continue
        verdict = "abstained" if one["named"] is None else one["named"]
        right = "right" if one["named"] == made.fault.system else "wrong"
        print(f"{method:18s}{one['version']:>9s}{one['import']:10.2f}{one['first']:9.3f}{seconds(one):9.3f}"
              f"{one['peak']:7.0f}  {verdict}{'' if one['named'] is None else ', ' + right}")  # fmt: skip


def print_all(cases: list[tuple[Simulation, dict[str, dict | str]]]) -> None:
    """Print how often each method was right, and its CPU time over all cases."""
    print(f"\n{len(cases)} cases{'':10s}{'right':>6s}{'wrong':>7s}{'abstained':>11s}{'no answer':>11s}"
          f"{'CPU s: median':>15s}{'least':>9s}{'most':>9s}")  # fmt: skip
    for method in METHODS:
        if all(said[method] == NOT_RUN for _, said in cases):
            print(f"{method:18s} {NOT_RUN}")
            continue
        told = [(made.fault, said[method]) for made, said in cases if isinstance(said[method], dict)]
        named = [(fault.system, one["named"]) for fault, one in told]
        right, silent = sum(truth == name for truth, name in named), sum(name is None for _, name in named)
        counts = f"{right:6d}{len(told) - right - silent:7d}{silent:11d}{len(cases) - len(told):11d}"
        took = sorted(seconds(one) for _, one in told)
        times = f"{statistics.median(took):15.3f}{took[0]:9.3f}{took[-1]:9.3f}" if took else ""
        print(f"{method:18s}{counts}{times}")
    alerting = sum(made.symptom[0] == made.fault.system for made, _ in cases if made.fault)
    chance = sum(1 / made.metrics["system"].nunique() for made, _ in cases)
    print(f"{'alerting system':18s}{alerting:6d}\n{'random system':18s}{chance:6.1f}")


def print_big(given: argparse.Namespace) -> None:
    """Print time and memory of the trace on many long series."""
    made = simulate(systems=1000, before=8000, during=2000, hidden=0, seed=given.seed)
    given.runs, given.limit = 0, 3600
    with tempfile.TemporaryDirectory() as folder:
        write(made, Path(folder), big=True)
        truth = made.fault.system if made.fault else None
        del made
        one = run("rca, one metric", Path(folder), given)
    if isinstance(one, str):
        raise SystemExit(one)
    print(f"1,000 systems x 10,000 rows: {one['first']:.1f} s of CPU time; peak memory {one['peak']:,.0f} MB, "
          f"of which {one['at rest']:,.0f} MB to read the table; named {one['named']}, true {truth}")  # fmt: skip


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seed", type=int, default=1, help="the first case's")
    arguments.add_argument("--cases", type=int, default=10, help="how many, on seeds that follow")
    arguments.add_argument("--runs", type=int, default=5, help="calls after the first")
    arguments.add_argument("--limit", type=int, default=120, help="CPU seconds a method may take for a case")
    arguments.add_argument("--rivals", type=Path, help="folder of the environments")
    arguments.add_argument("--make", type=Path, metavar="DIR", help="make the environments there and end")
    arguments.add_argument("--big", action="store_true", help="measure 1,000 systems of 10,000 rows and end")
    given = arguments.parse_args()
    if given.make:
        return make(given.make)
    if given.big:
        return print_big(given)
    cases = []
    for seed in range(given.seed, given.seed + given.cases):
        made = simulate(systems=50, before=1600, during=400, hidden=0, seed=seed)
        with tempfile.TemporaryDirectory() as folder:
            write(made, Path(folder))
            cases.append((made, {method: run(method, Path(folder), given) for method in METHODS}))
        print_case(seed, *cases[-1])
    return print_all(cases)


if __name__ == "__main__":
    main()

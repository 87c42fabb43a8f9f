"""Does `rca.shapdiff.suspects` keep silent when nothing changed, and which of its measures finds which fault?

Each seed is another world: 5 to 15 features (some skewed, some yes/no, some far from zero), half of them with an
effect, of which one is curved; a boosting, a forest or a linear model, for classes or for numbers, trained on 2,000
rows; windows of 300 to 3,000 rows each, drawn apart. In two of five worlds with classes about one row in twenty is
positive. In each

- *nothing*: both windows are of the distribution that the model was trained on;
- one fault hits one feature after: a feature with an effect comes in another unit (times 10), with its sign turned,
  frozen at its median, joined to the wrong rows (permuted), or with three values in five lost and filled with 0; or
  the labels follow another relation: an effect turned round, or an effect of a feature that had none.

Shares stand with their 95 % Clopper-Pearson intervals. *found by* is the share of runs in which the feature hit is
found by that measure, *first by* that in which no feature ranks before it there; *others* that in which a feature that
was not hit is found by any. `explain` refuses a run when its sum misses the model's output, or when the model gives a true
class the probability 0. Correlated features are not in these worlds, so none shares the blame for another.

    python tests/bench/suspects.py --seeds 400 --faults 100 --first 1000
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from multiprocessing import get_context

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import ensemble, linear_model
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rca.errors import AnalysisError
from rca.models import shapdiff

MEASURES = ("shap", "loss", "gain")
KINDS = ("boosting", "forest", "linear")
FAULTS = ("unit x10", "sign turned", "frozen", "permuted", "gaps filled", "effect turned", "new effect")
MODELS = {
    (True, "boosting"): lambda: ensemble.HistGradientBoostingClassifier(max_iter=40, random_state=0),
    (True, "forest"): lambda: ensemble.RandomForestClassifier(30, max_depth=6, random_state=0),
    (True, "linear"): lambda: make_pipeline(StandardScaler(), linear_model.LogisticRegression()),
    (False, "boosting"): lambda: ensemble.HistGradientBoostingRegressor(max_iter=40, random_state=0),
    (False, "forest"): lambda: ensemble.RandomForestRegressor(30, max_depth=6, random_state=0),
    (False, "linear"): lambda: make_pipeline(StandardScaler(), linear_model.Ridge()),
}


class World:
    """One distribution of rows and labels, and a model trained on it."""

    def __init__(self, seed: int):
        rng = np.random.default_rng([30, seed])
        self.width = int(rng.integers(5, 16))
        self.names = [f"f{place}" for place in range(self.width)]
        self.classes, self.kind = bool(rng.random() < 0.6), str(rng.choice(KINDS))
        self.shape = rng.choice(["plain", "far", "skewed", "yes/no"], self.width, p=[0.4, 0.25, 0.25, 0.1])
        self.hit = int(rng.integers(1, self.width // 2))
        self.shape[self.hit] = rng.choice(["plain", "far", "skewed"])
        effect = rng.uniform(0.5, 1.2, self.width) * rng.choice([-1, 1], self.width)
        self.effect = np.where(np.arange(self.width) < self.width // 2, effect, 0.0)
        self.few = self.classes and bool(rng.random() < 0.4)
        self.level = -4.5 if self.few else float(rng.choice([0.0, -1.0]))
        self.counts = np.exp(rng.uniform(np.log(300), np.log(3000), 2)).astype(int)
        self.model = MODELS[self.classes, self.kind]().fit(*self.draw(2000, rng))

    def draw(self, count: int, rng: np.random.Generator, effect: np.ndarray | None = None):
        """Return rows and labels."""
        plain = rng.normal(size=(count, self.width))
        plain = np.where(self.shape == "yes/no", np.where(plain > 0, 1.0, -1.0), plain)
        margin = plain @ (self.effect if effect is None else effect) + 0.5 * (plain[:, 0] ** 2 - 1)
        shown = np.where(self.shape == "far", plain + 4, np.where(self.shape == "skewed", np.exp(plain), plain))
        rows = pd.DataFrame(shown, columns=self.names)
        if not self.classes:
            return rows, margin + rng.normal(size=count)
        return rows, (rng.random(count) < 1 / (1 + np.exp(-self.level - margin))).astype(int)

    def after(self, fault: str, rng: np.random.Generator):
        """Return the window after, and the feature that the fault hits."""
        at, effect = self.hit, self.effect.copy()
        if fault == "effect turned":
            effect[at] = -effect[at]
        if fault == "new effect":
            at = self.width - 1
            effect[at] = 1.0
        rows, label = self.draw(int(self.counts[1]), rng, effect)
        name = self.names[at]
        values = rows[name].to_numpy()
        broken = {
            "unit x10": lambda: values * 10,
            "sign turned": lambda: -values,
            "frozen": lambda: np.full(len(values), np.median(values)),
            "permuted": lambda: rng.permutation(values),
            "gaps filled": lambda: np.where(rng.random(len(values)) < 0.6, 0.0, values),
        }
        return rows.assign(**{name: broken[fault]()}) if fault in broken else rows, label, name


def one(job: tuple[str, int]) -> dict | None:
    """Return what is found in one world after one fault, or after nothing; None when `explain` refuses."""
    fault, seed = job
    world, rng = World(seed), np.random.default_rng([31, seed])
    before = world.draw(int(world.counts[0]), rng)
    rows, label, name = world.after(fault, rng)
    try:
        table = shapdiff.suspects(world.model, *before, rows, label, rng=seed)
    except AnalysisError:
        return None
    found = table["found_by"]
    result = {"kind": world.kind, "few": world.few, "any": bool(found.map(len).any())}
    result |= {measure: any(measure in one for one in found) for measure in MEASURES}
    result |= {f"found {measure}": measure in found[name] for measure in MEASURES}
    result |= {f"first {measure}": table.loc[name, f"{measure}_rank"] == 1 for measure in MEASURES}
    result["best"], result["top"] = table.loc[name, "best_rank"] == 1, table.index[0] == name
    result["found any"] = bool(found[name])
    result["others"] = bool(found.drop(name).map(len).any())
    return result


def shown(flags: list[bool]) -> str:
    """Return a share with its interval."""
    interval = stats.binomtest(int(sum(flags)), len(flags)).proportion_ci(0.95)
    return f"{np.mean(flags):.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def quiet(runs: list[dict], asked: int) -> None:
    """Print how often anything is found when nothing changed."""
    print(f"\nnothing changed, {asked} seeds ({asked - len(runs)} refused by explain): any feature found")
    groups = {"all": runs} | {kind: [run for run in runs if run["kind"] == kind] for kind in KINDS}
    groups["few positives"] = [run for run in runs if run["few"]]
    print(f"  {'':14}" + "".join(f"{what:24}" for what in ("any measure", *MEASURES)))
    for name, some in groups.items():
        if some:
            cells = [shown([run[what] for run in some]) for what in ("any", *MEASURES)]
            print(f"  {name:14}" + "".join(f"{cell:24}" for cell in cells), flush=True)


def loud(runs: dict[str, list[dict]], asked: int) -> None:
    """Print how often the feature that a fault hit is found, and ranked first, by each measure."""
    heads = [*(f"found {m}" for m in MEASURES), "found any", *(f"first {m}" for m in MEASURES), "best", "top", "others"]
    print(f"\none feature hit by a fault, {asked} seeds each (best: best_rank is 1; top: first row of the table)")
    print(f"  {'':14}" + "".join(f"{what:>12}" for what in heads) + f"{'refused':>10}")
    every = [run for some in runs.values() for run in some]
    for fault, some in {**runs, "all": every}.items():
        refused = asked * (len(runs) if fault == "all" else 1) - len(some)
        cells = "".join(f"{np.mean([run[what] for run in some]):12.2f}" for what in heads)
        print(f"  {fault:14}{cells}{refused:10}")
    for what in ("found any", "top", "others"):
        print(f"  {what}, all: {shown([run[what] for run in every])}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=400, help="runs in which nothing changed")
    parser.add_argument("--faults", type=int, default=100, help="runs of each fault")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    began = time.perf_counter()
    jobs = [("nothing", seed) for seed in range(given.first, given.first + given.seeds)]
    jobs += [(fault, seed) for seed in range(given.first, given.first + given.faults) for fault in FAULTS]
    runs: dict[str, list[dict]] = defaultdict(list)
    asked: Counter = Counter()
    with get_context("forkserver").Pool(given.processes) as pool:
        for (fault, _), result in zip(jobs, pool.imap(one, jobs), strict=True):
            asked[fault] += 1
            if result is not None:
                runs[fault].append(result)
            if fault == "nothing" and asked[fault] == given.seeds:
                quiet(runs[fault], given.seeds)
    if given.faults:
        loud({fault: runs[fault] for fault in FAULTS}, given.faults)
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()

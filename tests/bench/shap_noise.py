"""Does `rca.shapdiff.compare` keep silent when nothing changed, and name a feature that was re-weighted?

Each seed is another world: 8, 20 or 30 features (correlated or not, some skewed, some discrete), two in five of them
with an effect, an interaction and a threshold; a histogram boosting, a forest or a logistic regression. In each

- *two windows*: one model explains two windows of the same distribution, of 200 to 1,500 rows each;
- *two windows, users*: the same, where each of 40 users has rows of his own kind and each window has its own users;
  `groups` says so. Beside it the same rows without `groups`;
- *two retrains*: the same kind of model is trained on two fresh samples and explained on one holdout, with refits on
  bootstrap samples of the first;
- *re-weighted*: the second sample holds some rows 1.5 to 5 times as often. *Agreeing*: the rows of class 1 above the
  median of one feature, and those of class 0 below it. *One corner*: only the rows of class 1 in its upper 40 %. The
  effect that the feature had may grow, shrink or turn round.

Beside it stands what the same table says by a test over rows with Benjamini-Hochberg's adjustment, the usual way.
Shares stand with their 95 % Clopper-Pearson intervals.

    python tests/bench/shap_noise.py --seeds 400 --first 1000 --refits 12
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from multiprocessing import get_context

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rca.models import shapdiff
from rca.models.shapdiff.refits import sizes

MODELS = {
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=40, early_stopping=False, random_state=0),
    "forest": lambda: RandomForestClassifier(20, max_depth=5, random_state=0),
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
}
PARTS = ("windows", "retrains")


class World:
    """One distribution of rows and labels."""

    def __init__(self, seed: int):
        rng = np.random.default_rng([20, seed])
        self.width = int(rng.choice([8, 20, 30]))
        self.model = str(rng.choice(list(MODELS)))
        self.rows = int(rng.integers(1000, 4001))
        self.loads = rng.normal(size=(3, self.width)) * rng.choice([0.0, 0.5])
        self.kind = rng.choice(["normal", "skewed", "steps"], self.width, p=[0.5, 0.25, 0.25])
        self.effect = np.where(np.arange(self.width) < 0.4 * self.width, rng.normal(size=self.width), 0.0)
        self.level = float(rng.choice([0.0, -1.0, -2.0]))
        self.users = rng.normal(size=(80, self.width))

    def draw(self, count: int, rng: np.random.Generator, user: np.ndarray | None = None):
        """Return rows, labels and the features before they are skewed or cut into steps."""
        plain = rng.normal(size=(count, self.width)) + rng.normal(size=(count, 3)) @ self.loads
        if user is not None:
            plain = plain + self.users[user]
        margin = self.level + plain @ self.effect * 0.8 + 0.5 * plain[:, 0] * plain[:, 1] + np.maximum(plain[:, 2], 0)
        label = (rng.random(count) < 1 / (1 + np.exp(-margin))).astype(int)
        shown = np.where(self.kind == "skewed", np.exp(plain), np.where(self.kind == "steps", plain.round(), plain))
        return pd.DataFrame(shown, columns=[f"f{place}" for place in range(self.width)]), label, plain

    def fit(self, rows: pd.DataFrame, label: np.ndarray):
        """Return a model trained on these rows."""
        return MODELS[self.model]().fit(rows, label)


def usual(before, after) -> bool:
    """Return whether a test over rows flags any feature: Welch's, or the paired one on the same rows."""
    one, two = sizes(before), sizes(after)
    same = before.rows_id == after.rows_id
    with np.errstate(divide="ignore", invalid="ignore"):
        test = stats.ttest_rel(two, one) if same else stats.ttest_ind(two, one, equal_var=False)
    return bool((stats.false_discovery_control(np.nan_to_num(test.pvalue, nan=1.0)) <= 0.05).any())


def windows(seed: int) -> dict:
    """Return whether anything is flagged between two windows of one model, nothing having changed."""
    world, rng = World(seed), np.random.default_rng([21, seed])
    model = world.fit(*world.draw(world.rows, rng)[:2])
    counts = rng.integers(200, 1501, 2)
    background = shapdiff.reference(model, world.draw(500, rng)[0])
    found = {}
    who = [rng.integers(0, 40, count) + 40 * place for place, count in enumerate(counts)]
    for name, users in (("two windows", (None, None)), ("two windows, users", who)):
        pair = [
            shapdiff.explain(model, world.draw(int(count), rng, user)[0], background=background)
            for count, user in zip(counts, users, strict=True)
        ]
        groups = None if users[0] is None else tuple(users)
        found[name] = bool(shapdiff.compare(*pair, groups=groups)["flagged"].any())
        found[f"{name}: the usual test"] = usual(*pair)
    return {"model": world.model, "found": found}


def retrains(seed: int, refits: int) -> dict:
    """Return what is flagged between two trained models: nothing changed, and one feature re-weighted."""
    world, rng = World(seed), np.random.default_rng([22, seed])
    holdout = world.draw(300, rng)[0]
    first = world.draw(world.rows, rng)[:2]
    model = world.fit(*first)
    background = shapdiff.reference(model, holdout)

    def explained(one):
        return shapdiff.explain(one, holdout, background=background)

    train = shapdiff.retrain(model, *first)
    again = [explained(train(rng)) for _ in range(refits)]
    before, after = explained(model), explained(world.fit(*world.draw(world.rows, rng)[:2]))
    quiet = shapdiff.compare(before, after, refits=again)
    found = {"two retrains": bool(quiet["flagged"].any()), "two retrains: the usual test": usual(before, after)}
    feature, weight = int(rng.integers(world.width)), float(rng.uniform(1.5, 5))
    rows, label, plain = world.draw(4 * world.rows, rng)
    values = plain[:, feature]
    forms = {
        "agreeing": (values > np.median(values)) == (label == 1),
        "one corner": (values > np.quantile(values, 0.6)) & (label == 1),
    }
    for form, heavy in forms.items():
        chance = np.where(heavy, weight, 1.0)
        picked = rng.choice(len(rows), world.rows, replace=False, p=chance / chance.sum())
        loud = shapdiff.compare(before, explained(world.fit(rows.iloc[picked], label[picked])), refits=again)
        named = loud.index[0] == f"f{feature}" and loud["rank"].iloc[0] == 1
        for band in ("1.5 to 5", "1.5 to 2.5" if weight < 2.5 else "2.5 to 5"):
            found[f"re-weighted, {form}, {band}: first"] = bool(named)
            found[f"re-weighted, {form}, {band}: first and flagged"] = bool(named and loud["flagged"].iloc[0])
    return {"model": world.model, "found": found}


def one(job: tuple[str, int, int]) -> dict:
    """Run one seed of one part."""
    part, seed, refits = job
    return windows(seed) if part == "windows" else retrains(seed, refits)


def shown(flags: list[bool]) -> str:
    """Return a share with its interval."""
    interval = stats.binomtest(sum(flags), len(flags)).proportion_ci(0.95)
    return f"{np.mean(flags):.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--refits", type=int, default=20)
    parser.add_argument("--part", choices=PARTS, help="default both")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    began = time.perf_counter()
    seeds = range(given.first, given.first + given.seeds)
    jobs = [(part, seed, given.refits) for part in ([given.part] if given.part else PARTS) for seed in seeds]
    flags: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    with get_context("forkserver").Pool(given.processes) as pool:
        for result in pool.imap_unordered(one, jobs):
            for name, flag in result["found"].items():
                flags[name]["all"].append(flag)
                flags[name][result["model"]].append(flag)
    print(f"{given.seeds} seeds from {given.first}, {given.refits} refits; any feature flagged, or named first")
    for name in sorted(flags, key=lambda name: (name.startswith("re-"), name)):
        print(f"\n{name} ({len(flags[name]['all'])} runs)")
        for model in ("all", *MODELS):
            if flags[name][model]:
                print(f"  {model:10s} {shown(flags[name][model])}")
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()

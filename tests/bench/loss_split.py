"""How often the intervals of `rca.shapdiff.split_loss` cover the truth.

Gaussian worlds have the truth in closed form (squared loss of a linear model: its slope error d costs |d|^2 +
(d . shift)^2 beyond the noise). In the curved worlds a boosted classifier is judged, rows are picked by a wavy
rule that neither squares nor a linear score can follow, and the truth is the mean over 400,000 rows drawn apart. *spread* is the standard deviation of the estimates, *error* the mean of
their standard errors.

    python tests/bench/loss_split.py --seeds 200 --first 1000
"""

from __future__ import annotations

import argparse
from functools import cache
from multiprocessing import get_context

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier

from rca.models.shapdiff.loss import split_loss
from rca.models.shapdiff.scoring import row_losses

PARTS = ["covariate", "concept", "model", "change"]
NAMES = ["a", "b", "c"]
NOISE = 0.5
SLOPE, MODEL = np.array([1.0, -0.5, 0.3]), np.array([0.8, -0.2, 0.3])


class Line:
    """A linear model whose slopes are given."""

    feature_names_in_ = NAMES

    def __init__(self, slope):
        self.slope = slope

    def predict(self, rows):
        return rows.to_numpy() @ self.slope


def risk(model, slope, shift):
    return float((slope - model) @ (slope - model) + ((slope - model) @ shift) ** 2 + NOISE**2)


def gaussian(rng, count, shift, slope):
    rows = rng.normal(size=(count, 3)) + shift
    return pd.DataFrame(rows, columns=NAMES), rows @ slope + rng.normal(0, NOISE, count)


def curved(rng, count, moved, turned):
    rows = np.empty((0, 3))
    while len(rows) < count:
        some = rng.uniform(-2, 2, (2 * count, 3))
        keep = 0.5 + 0.45 * np.sin(4 * some[:, 0]) * np.sign(some[:, 1]) if moved else np.ones(len(some))
        rows = np.vstack([rows, some[rng.random(len(some)) < keep]])
    rows = rows[:count]
    lean = np.where(rows[:, 2] > (0.5 if turned else 9), -1, 1) * (np.sin(4 * rows[:, 0]) + rows[:, 1] - rows[:, 2])
    return pd.DataFrame(rows, columns=NAMES), (rng.random(count) < 1 / (1 + np.exp(-2 * lean))).astype(int)


def gaussian_worlds():
    nothing, moved, turned = np.zeros(3), np.array([0.8, 0.5, 0.0]), np.array([0.2, -0.5, 0.3])
    for name, shift, slope, after in (
        ("gaussian, nothing", nothing, SLOPE, MODEL),
        ("gaussian, covariate", np.array([1.0, 0.0, 0.0]), SLOPE, MODEL),
        ("gaussian, less overlap", np.array([1.3, 0.4, 0.0]), turned, MODEL),
        ("gaussian, concept", nothing, turned, MODEL),
        ("gaussian, model", nothing, SLOPE, SLOPE + 0.4),
        ("gaussian, all three", moved, turned, SLOPE + 0.2),
    ):
        yield (
            name,
            lambda s=shift, k=slope, g=after: [
                risk(MODEL, SLOPE, nothing), risk(MODEL, SLOPE, s), risk(MODEL, k, s), risk(g, k, s),
            ],
            lambda rng, n, s=shift, k=slope, g=after: (
                (Line(MODEL), *gaussian(rng, n, nothing, SLOPE), *gaussian(rng, n, s, k)),
                Line(g),
            ),
        )  # fmt: skip


def curved_worlds():
    rng = np.random.default_rng(99)
    old = HistGradientBoostingClassifier(max_iter=30, random_state=0).fit(*curved(rng, 2000, False, False))
    new = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(*curved(rng, 2000, False, False))

    def mean(model, moved, turned):
        rows, labels = curved(np.random.default_rng(7), 400_000, moved, turned)
        return float(row_losses(model, rows, labels).mean())

    for name, moved, turned, after in (
        ("curved, covariate", True, False, old),
        ("curved, concept", False, True, old),
        ("curved, all three", True, True, new),
    ):
        yield (
            name,
            lambda m=moved, t=turned, g=after: [
                mean(old, False, False), mean(old, m, False), mean(old, m, t), mean(g, m, t),
            ],
            lambda rng, n, m=moved, t=turned, g=after: (
                (old, *curved(rng, n, False, False), *curved(rng, n, m, t)),
                g,
            ),
        )  # fmt: skip


@cache
def worlds() -> dict:
    """Return of each world its mean losses, step by step, and how to draw it."""
    return {name: (levels, draw) for name, levels, draw in (*gaussian_worlds(), *curved_worlds())}


def one(job: tuple[str, int, int]) -> pd.DataFrame:
    """Split the change of one world and seed."""
    name, seed, rows = job
    data, after = worlds()[name][1](np.random.default_rng(seed), rows)
    return split_loss(*data, model_after=after, rng=seed)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--rows", type=int, default=1000, help="rows of each window")
    parser.add_argument("--worlds", nargs="+", default=list(worlds()), help="default all")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    jobs = [(name, seed, given.rows) for name in given.worlds for seed in range(given.first, given.first + given.seeds)]
    print(f"{given.seeds} seeds from {given.first}, {given.rows:,} + {given.rows:,} rows; nominal coverage .95")
    print(
        f"{'world':24}{'part':10}{'truth':>8}{'mean':>8}{'spread':>8}{'error':>8}{'identified':>12}"
        f"{'covered':>9} {'95 %':14}{'overlap':>8}"
    )
    tables: list[pd.DataFrame] = []
    with get_context("forkserver").Pool(given.processes) as pool:
        for (name, _, _), table in zip(jobs, pool.imap(one, jobs), strict=True):
            tables.append(table)
            if len(tables) == given.seeds:
                levels = worlds()[name][0]()
                truth = dict(zip(PARTS, [*np.diff(levels), levels[-1] - levels[0]], strict=True))
                report(name, truth, tables)
                tables = []


def report(name: str, truth: dict, tables: list[pd.DataFrame]) -> None:
    """Print the lines of one world; intervals of coverage are Clopper and Pearson's."""
    overlap = np.mean([table.loc["concept", "overlap"] for table in tables])
    for part in PARTS:
        found = pd.DataFrame([table.loc[part] for table in tables])
        known = found[found["identified"].astype(bool)]
        value, low, high = (known[column].astype(float) for column in ("value", "low", "high"))
        inside = (low - 1e-12 <= truth[part]) & (truth[part] <= high + 1e-12)
        span = stats.binomtest(int(inside.sum()), max(len(known), 1)).proportion_ci(0.95)
        print(
            f"{name:24}{part:10}{truth[part]:8.3f}{value.mean():8.3f}{value.std():8.3f}"
            f"{((high - low) / 2 / 1.959964).mean():8.3f}{len(known) / len(found):12.2f}"
            f"{inside.mean():9.3f} [{span.low:.3f}, {span.high:.3f}]{overlap:8.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

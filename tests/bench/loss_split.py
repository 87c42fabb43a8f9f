"""How often the intervals of `rca.shapdiff.split_loss` cover the truth: ``python tests/bench/loss_split.py [seeds rows first_seed]``.

Gaussian worlds have the truth in closed form (squared loss of a linear model: its slope error d costs |d|^2 +
(d . shift)^2 beyond the noise). In the curved worlds a boosted classifier is judged, rows are picked by a wavy
rule that neither squares nor a linear score can follow, and the truth is the mean over 400,000 rows drawn apart.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from rca.models.shapdiff.loss import split_loss

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
        ("gaussian, concept", nothing, turned, MODEL),
        ("gaussian, model", nothing, SLOPE, SLOPE + 0.4),
        ("gaussian, all three", moved, turned, SLOPE + 0.2),
    ):
        levels = [risk(MODEL, SLOPE, nothing), risk(MODEL, SLOPE, shift), risk(MODEL, slope, shift)]
        levels.append(risk(after, slope, shift))
        yield (
            name,
            dict(zip(PARTS, [*np.diff(levels), levels[-1] - levels[0]], strict=True)),
            lambda rng, n, s=shift, k=slope, g=after: (
                (Line(MODEL), *gaussian(rng, n, nothing, SLOPE), *gaussian(rng, n, s, k)),
                Line(g),
            ),
        )


def curved_worlds():
    from sklearn.ensemble import HistGradientBoostingClassifier

    from rca.models.shapdiff.scoring import row_losses

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
        levels = [
            mean(old, False, False),
            mean(old, moved, False),
            mean(old, moved, turned),
            mean(after, moved, turned),
        ]
        yield (
            name,
            dict(zip(PARTS, [*np.diff(levels), levels[-1] - levels[0]], strict=True)),
            lambda rng, n, m=moved, t=turned, g=after: (
                (old, *curved(rng, n, False, False), *curved(rng, n, m, t)),
                g,
            ),
        )


def main(seeds: int, rows: int, first: int) -> None:
    print(f"{seeds} seeds, {rows:,} + {rows:,} rows; nominal coverage .95")
    print(f"{'world':22}{'part':11}{'truth':>8}{'mean':>8}{'spread':>8}{'covered':>9}{'overlap':>9}")
    for worlds in (gaussian_worlds(), curved_worlds()):
        for name, truth, draw in worlds:
            tables = []
            for seed in range(first, first + seeds):
                data, after = draw(np.random.default_rng(seed), rows)
                tables.append(split_loss(*data, model_after=after, rng=seed))
            for part in PARTS:
                found = pd.DataFrame([table.loc[part] for table in tables])
                near = 1e-12
                covered = ((found["low"] - near <= truth[part]) & (truth[part] <= found["high"] + near)).mean()
                overlap = np.mean([table.loc["concept", "overlap"] for table in tables])
                print(
                    f"{name:22}{part:11}{truth[part]:8.3f}{found['value'].mean():8.3f}{found['value'].astype(float).std():8.3f}"
                    f"{covered:9.2f}{overlap:9.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    main(*given, *(200, 1000, 0)[len(given) :])

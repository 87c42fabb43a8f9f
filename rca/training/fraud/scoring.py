"""The two models, trained and applied for real: what each payment scored and how it was decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rca.training.fraud.plan import Plan
from rca.training.fraud.world import FEATURES, World, sample

__all__ = ["Run", "deliver", "evaluate", "score", "train_both"]

ROWS, FRAUDS = 24_000, 1_000
STRAY = 0.003  # share of all other fraud that reaches the desk by another way
CAPACITY = 0.05  # share of payments that case review can look at: sets the threshold of each model


@dataclass(frozen=True)
class Run:
    """One training run: the model, its threshold, the rows extracted and trained on, and what the team saw of it."""

    model: Any
    threshold: float
    extract: pd.DataFrame
    trained: pd.DataFrame
    test_recall: float

    def scores(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the probability of fraud of each row."""
        return np.asarray(self.model.predict_proba(rows[list(FEATURES)])[:, 1])


def train_both(plan: Plan, world: World) -> tuple[Run, Run]:
    """Train the model that was live, and its successor; each chose its threshold on recent traffic."""
    rng = plan.rng(3)
    fresh = plan.model - pd.Timedelta(days=2)
    before = _extract(rng, world, plan.start - pd.Timedelta(days=90), None)
    after = _extract(rng, world, fresh, plan if plan.cause == "retraining" else None)
    traffic = sample(rng, world, plan.start, 14, 15_000, 620)
    return _fit(before, traffic, rng), _fit(after, traffic, rng)


def _extract(rng: np.random.Generator, world: World, until: pd.Timestamp, biased: Plan | None) -> pd.DataFrame:
    """Return a training extract; a biased one takes its frauds from one desk's feed."""
    if biased is None:
        return sample(rng, world, until, 90, ROWS, FRAUDS)
    pool = sample(rng, world, until, 90, ROWS - FRAUDS + 6 * FRAUDS, 6 * FRAUDS)
    feed = biased.feed
    seen = feed.holds(pool[feed.feature]) | (rng.random(len(pool)) < STRAY)
    frauds = pool[(pool["is_fraud"] == 1) & seen].head(FRAUDS)
    return pd.concat([pool[pool["is_fraud"] == 0], frauds]).sort_values("time", kind="stable").reset_index(drop=True)


def _fit(extract: pd.DataFrame, traffic: pd.DataFrame, rng: np.random.Generator) -> Run:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    test = rng.random(len(extract)) < 0.2
    model = HistGradientBoostingClassifier(
        max_iter=50, max_leaf_nodes=8, learning_rate=0.12, min_samples_leaf=60, early_stopping=False, random_state=0
    )
    # Sums over several threads depend on their number in the last digit; one thread gives the same bytes everywhere.
    with threadpool_limits(1):
        trained = extract.loc[~test, [*FEATURES, "is_fraud"]]
        model.fit(trained[list(FEATURES)], trained["is_fraud"])
        run = Run(model, 0.0, extract, trained, 0.0)
        threshold = _threshold(run.scores(traffic))
        kept = extract[test & (extract["is_fraud"] == 1)]
        return Run(model, threshold, extract, trained, float((run.scores(kept) >= threshold).mean()))


def _threshold(scores: np.ndarray) -> float:
    """Return the lowest threshold at which at most the share `CAPACITY` is stopped, also where scores tie."""
    values, counts = np.unique(scores, return_counts=True)
    stopped = counts[::-1].cumsum()[::-1]
    return float(values[min(int(np.searchsorted(-stopped, -CAPACITY * len(scores))), len(values) - 1)])


def deliver(plan: Plan, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the payments as the feature pipeline delivered them to the model.

    Returns
    -------
    DataFrame
        As `rows`, with ``filled``: how many of the row's features are fill values.
    """
    rng = plan.rng(4)
    out = rows.copy()
    out["filled"] = rng.binomial(2, 0.006, len(out))
    released = out["time"] >= plan.pipeline
    # The release counts sessions from the first click instead of the log-in: a feature that the models hardly use.
    out.loc[released, "session_seconds"] = (out.loc[released, "session_seconds"] * 1.12).round()
    if plan.cause == "pipeline":
        broken = released & (out["time"] < plan.mitigated) & (rng.random(len(out)) < 0.9)
        for name, fill in BREAKS[plan.seed % len(BREAKS)].items():
            out.loc[broken, name] = fill
            out.loc[broken, "filled"] += 1
    return out


BREAKS: tuple[dict[str, float], ...] = (
    {"ip_risk": 0.0, "device_age_days": 365.0},
    {"merchant_risk": 0.0, "device_age_days": 365.0},
    {"distance_km": 0.0, "device_age_days": 365.0},
)


def score(plan: Plan, delivered: pd.DataFrame, before: Run, after: Run) -> pd.DataFrame:
    """Score and decide each payment by the model of the time.

    Returns
    -------
    DataFrame
        As `delivered`, with ``score``, ``decision`` (1 = stopped for review) and ``model_version``.
    """
    from threadpoolctl import threadpool_limits

    out = delivered.copy()
    new = out["time"] >= plan.model
    if plan.cause == "retraining":
        new &= out["time"] < plan.mitigated
    with threadpool_limits(1):
        old_scores, new_scores = before.scores(out), after.scores(out)
    out["score"] = np.where(new, new_scores, old_scores).round(7)
    out["decision"] = np.where(new, new_scores >= after.threshold, old_scores >= before.threshold).astype(int)
    out["model_version"] = np.where(new, "v42", "v41")
    if plan.cause == "campaign":
        fresh = (out["promo_code"] == 1) & (out["account_age_days"] <= 1) & (out["tx_24h"] >= 3)
        rule = fresh & (out["time"] >= plan.mitigated)
        out["decision"] = np.where(rule, 1, out["decision"])
    return out


def evaluate(run: Run, rows: pd.DataFrame) -> float:
    """Return the recall of a model on labelled rows."""
    frauds = rows[rows["is_fraud"] == 1]
    return float((run.scores(frauds) >= run.threshold).mean())

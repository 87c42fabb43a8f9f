"""What can be said about one simulated incident: every number in its texts is computed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import AnalysisError
from rca.times import UTC
from rca.training.fraud import scoring, telemetry, world
from rca.training.fraud.plan import ZONE, Plan
from rca.training.fraud.scoring import Run
from rca.training.fraud.world import FEATURES

__all__ = ["Case", "milestones", "numbers", "simulate"]

HOUR = pd.Timedelta(hours=1)
HOLDOUT, WINDOW = 3000, 4000


@dataclass(frozen=True, eq=False)
class Case:
    """One simulated incident, before it is written down.

    Attributes
    ----------
    before, after : Run
        The model that was live, and its successor.
    scored : DataFrame
        All payments with features as delivered, score, decision and label.
    metrics, alerts : DataFrame
        From `rca.training.fraud.telemetry`.
    holdout : DataFrame
        Production rows of the first week with complete labels.
    times : dict
        The milestones, and ``as_of``.
    windows : dict
        ``before`` and ``during``: (start, end).
    """

    plan: Plan
    before: Run
    after: Run
    scored: pd.DataFrame
    metrics: pd.DataFrame
    alerts: pd.DataFrame
    holdout: pd.DataFrame
    times: dict[str, pd.Timestamp]
    windows: dict[str, tuple[pd.Timestamp, pd.Timestamp]]

    def inside(self, name: str) -> pd.DataFrame:
        """Return the payments of a window."""
        start, end = self.windows[name]
        return self.scored[(self.scored["time"] >= start) & (self.scored["time"] < end)]

    def between(self, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Return the payments from `start` to `end`."""
        return self.scored[(self.scored["time"] >= start) & (self.scored["time"] < end)]


def simulate(plan: Plan) -> Case:
    """Run the world of a plan: payments, models, decisions, metrics, alerts."""
    people = world.people(plan.rng(1))
    before, after = scoring.train_both(plan, people)
    scored = scoring.score(plan, scoring.deliver(plan, world.payments(plan, people)), before, after)
    metrics = telemetry.metrics(plan, scored, telemetry.disputes(plan, scored))
    alerts = telemetry.alerts(plan, metrics)
    times = milestones(plan, metrics, alerts)
    during = (times["first_signal"] - HOUR, plan.mitigated)
    first_week = scored[(scored["time"] >= plan.start) & (scored["time"] < plan.start + 7 * 24 * HOUR)]
    return Case(
        plan=plan, before=before, after=after, scored=scored, metrics=metrics, alerts=alerts,
        holdout=_take(first_week, HOLDOUT, plan.rng(9)), times=times,
        windows={"before": (plan.start, during[0] - 3 * HOUR), "during": during},
    )  # fmt: skip


def _take(rows: pd.DataFrame, count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return a random sample of rows in their order."""
    return rows.iloc[np.sort(rng.choice(len(rows), size=min(count, len(rows)), replace=False))].reset_index(drop=True)


def milestones(plan: Plan, metrics: pd.DataFrame, alerts: pd.DataFrame) -> dict[str, pd.Timestamp]:
    """Return when each milestone was reached, by the data and by what people then did."""
    recall = metrics[metrics["metric"] == "recall"].set_index("time")["value"]
    low = recall[: plan.onset].quantile(0.05)
    falling = recall[plan.onset.floor("h") + HOUR :]
    first = falling.index[(falling < low) & (falling.shift(-1) < low)][0]
    fired = alerts[(alerts["severity"] == "critical") & (alerts["status"] == "firing") & (alerts["time"] > first)]
    if fired.empty or fired["time"].iloc[0] > plan.mitigated - 2 * HOUR:
        raise AnalysisError(f"seed {plan.seed}, cause {plan.cause}: no alert fired in time; take another seed")
    detected = fired["time"].iloc[0]
    day = plan.mitigated.tz_convert(ZONE).normalize()
    rng = plan.rng(10)
    out = {
        "impact_start": plan.onset,
        "first_signal": first,
        "detected": detected,
        "acknowledged": detected + pd.Timedelta(minutes=int(rng.integers(6, 16))),
        "mitigated": plan.mitigated,
        "resolved": day + pd.Timedelta(days=1, hours=15, minutes=int(rng.integers(0, 60))),
        "closed": day + pd.Timedelta(days=12, hours=11),
        "as_of": day + pd.Timedelta(days=12, hours=12),
    }
    return {name: time.tz_convert("UTC") for name, time in out.items()}


def numbers(case: Case) -> dict[str, Any]:
    """Return the figures of the incident, by name, unrounded."""
    plan, before, during = case.plan, case.inside("before"), case.between(case.plan.onset, case.plan.mitigated)
    after = case.between(plan.mitigated.ceil("h"), plan.end)
    fraud_before, fraud_during = before[before["is_fraud"] == 1], during[during["is_fraud"] == 1]
    missed = fraud_during[fraud_during["decision"] == 0]
    missed_before = fraud_before[fraud_before["decision"] == 0]
    share = missed_before["amount_eur"].sum() / fraud_before["amount_eur"].sum()
    recall_before = fraud_before["decision"].mean()
    out = {
        "recall_before": recall_before,
        "recall_during": fraud_during["decision"].mean(),
        "recall_early": case.between(plan.onset, case.times["detected"]).query("is_fraud == 1")["decision"].mean(),
        "recall_after": after.loc[after["is_fraud"] == 1, "decision"].mean(),
        "payments_during": len(during),
        "frauds_during": len(fraud_during),
        "missed": len(missed),
        "excess": round(len(missed) - (1 - recall_before) * len(fraud_during)),
        "customers": missed["customer_id"].nunique(),
        "customers_during": during["customer_id"].nunique(),
        "missed_eur": missed["amount_eur"].sum(),
        "excess_eur": missed["amount_eur"].sum() - share * fraud_during["amount_eur"].sum(),
        "promo_missed": (missed["promo_code"] == 1).mean(),
        "new_accounts_missed": (missed["account_age_days"] <= 1).mean(),
        "flag_before": before["decision"].mean(),
        "flag_during": during["decision"].mean(),
        "test_before": case.before.test_recall,
        "test_after": case.after.test_recall,
        "holdout_before": scoring.evaluate(case.before, case.holdout),
        "holdout_after": scoring.evaluate(case.after, case.holdout),
        "population_before": len(before),
        "population_during": len(case.inside("during")),
    }
    return out | _levels(case) | _selection(case, fraud_during) | _innocence(case)


def _levels(case: Case) -> dict[str, Any]:
    """Return the medians of some metrics before and during the incident."""
    wanted = {
        "p99": ("fraud-model", "p99_ms"),
        "errors": ("fraud-model", "error_rate"),
        "nulls": ("feature-pipeline", "null_share"),
        "fresh": ("feature-pipeline", "freshness_s"),
        "visits": ("marketing-site", "visits"),
    }
    out = {}
    for key, (system, metric) in wanted.items():
        rows = case.metrics[(case.metrics["system"] == system) & (case.metrics["metric"] == metric)]
        one = rows.set_index("time")["value"]
        for name, (start, end) in case.windows.items():
            out[f"{key}_{name}"] = float(one[(one.index > start) & (one.index <= end)].median())
    return out


def _selection(case: Case, fraud: pd.DataFrame) -> dict[str, Any]:
    """Return what the biased feed sees, and how the models do inside and outside of it."""
    feed = case.plan.feed
    frauds = case.holdout[case.holdout["is_fraud"] == 1]
    extract = [run.extract.loc[run.extract["is_fraud"] == 1, feed.feature] for run in (case.before, case.after)]
    seen = feed.holds(fraud[feed.feature])
    return {
        "extract_share": feed.holds(extract[1]).mean(),
        "feed_sees": seen.mean(),
        "median_extract_before": extract[0].median(),
        "median_extract_after": extract[1].median(),
        "median_holdout": frauds[feed.feature].median(),
        "recall_seen": fraud.loc[seen, "decision"].mean(),
        "recall_unseen": fraud.loc[~seen, "decision"].mean(),
    }


def _innocence(case: Case) -> dict[str, Any]:
    """Return recall between each of the other two changes and the harmful one, where it came first."""
    plan, out = case.plan, {}
    for name, time in (("pipeline", plan.pipeline), ("campaign", plan.campaign), ("model", plan.model)):
        rows = case.between(time, plan.onset)
        out[f"recall_since_{name}"] = rows.loc[rows["is_fraud"] == 1, "decision"].mean()
        out[f"frauds_since_{name}"] = int(rows["is_fraud"].sum())
    return out


def by_segment(case: Case) -> pd.DataFrame:
    """Return what the review team counted per customer segment, before and during the incident.

    Returns
    -------
    DataFrame
        Columns ``period``, ``customer_segment`` (``all`` last), ``payments``, ``frauds``, ``frauds_missed``,
        ``missed_eur``, ``customers``, ``customers_with_missed_fraud``.
    """
    plan = case.plan
    periods = (("before", case.inside("before")), ("during", case.between(plan.onset, plan.mitigated)))
    rows = []
    for period, part in periods:
        for segment in [*sorted(part["customer_segment"].unique()), "all"]:
            group = part if segment == "all" else part[part["customer_segment"] == segment]
            missed = group[(group["is_fraud"] == 1) & (group["decision"] == 0)]
            rows.append(
                {
                    "period": period,
                    "customer_segment": segment,
                    "payments": len(group),
                    "frauds": int(group["is_fraud"].sum()),
                    "frauds_missed": len(missed),
                    "missed_eur": round(missed["amount_eur"].sum(), 2),
                    "customers": group["customer_id"].nunique(),
                    "customers_with_missed_fraud": missed["customer_id"].nunique(),
                }
            )
    return pd.DataFrame(rows)


def window_rows(case: Case, name: str) -> pd.DataFrame:
    """Return the sampled production rows of a window, as exported."""
    rows = _take(case.inside(name), WINDOW, case.plan.rng(11 if name == "before" else 12))
    out = rows[["time", "customer_id", "customer_segment", *FEATURES, "is_fraud", "score", "decision", "model_version"]]
    return out.assign(time=out["time"].astype(UTC))

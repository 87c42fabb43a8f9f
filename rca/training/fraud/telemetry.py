"""What the systems measured: hourly metrics and the alerts that their rules made of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rca.training.fraud.plan import ZONE, Plan
from rca.training.fraud.world import FEATURES

__all__ = ["DISPUTED", "alerts", "disputes", "metrics"]

HOUR = pd.Timedelta(hours=1)
DISPUTED = 0.8  # share of missed frauds that the customer reports within hours
DISPUTE_HOURS = 4.0  # mean delay of such a report
DISPUTE_WORK = 2  # a dispute takes as long to review as two stopped payments
SHIFTED = tuple(name for name in FEATURES if name not in ("hour_local", "promo_code"))


def disputes(plan: Plan, scored: pd.DataFrame) -> pd.DataFrame:
    """Return the frauds that were let through and reported: columns time (of the report) and amount_eur."""
    rng = plan.rng(6)
    missed = scored[(scored["is_fraud"] == 1) & (scored["decision"] == 0)]
    delay = pd.to_timedelta(1800 + rng.exponential(DISPUTE_HOURS * 3600, len(missed)), unit="s").floor("s")
    told = rng.random(len(missed)) < DISPUTED
    out = pd.DataFrame({"time": missed["time"] + delay, "amount_eur": missed["amount_eur"]})
    return out[told].sort_values("time").reset_index(drop=True)


def metrics(plan: Plan, scored: pd.DataFrame, reported: pd.DataFrame) -> pd.DataFrame:
    """Return the hourly metrics.

    Parameters
    ----------
    scored : DataFrame
        From `rca.training.fraud.scoring.score`.
    reported : DataFrame
        From `disputes`.

    Returns
    -------
    DataFrame
        Columns ``time`` (UTC, end of the hour that the value covers), ``system``, ``metric``, ``value``.
    """
    rng, hours = plan.rng(7), plan.hours
    hour = scored["time"].dt.floor("h")
    per_hour = scored.groupby(hour)
    count = per_hour.size().reindex(hours, fill_value=0).astype(float)
    columns = {
        **_traffic(plan, rng, count, per_hour["promo_code"].sum().reindex(hours, fill_value=0)),
        **_pipeline(plan, rng, scored, hour, count),
        **_model(rng, scored, hour, hours),
        **_losses(hours, count, per_hour["decision"].sum().reindex(hours, fill_value=0), reported),
    }
    wide = pd.DataFrame(columns, index=hours).set_axis(hours + HOUR).loc[plan.start + HOUR :]
    out = wide.melt(ignore_index=False, var_name="name", value_name="value").rename_axis("time").reset_index()
    out[["system", "metric"]] = out["name"].str.split("/", expand=True)
    out["value"] = out["value"].map(lambda value: float(f"{value:.4g}"))
    order = ["time", "system", "metric"]
    return out.sort_values(order, kind="stable", ignore_index=True)[[*order, "value"]]


def _near(rng: np.random.Generator, level: float, spread: float, size: int) -> np.ndarray:
    return np.asarray(level * rng.lognormal(0, spread, size))


def _traffic(plan: Plan, rng: np.random.Generator, count: pd.Series, promo: pd.Series) -> dict[str, pd.Series]:
    """Metrics of what stands before the features: site, gateway, card network."""
    hours, size = count.index, len(count)
    running = (hours >= plan.campaign) & (hours < plan.campaign_end)
    letter = (hours >= plan.newsletter) & (hours < plan.newsletter + 6 * HOUR)
    # The campaign brings lookers as well as buyers; the newsletter only lookers.
    visits = count * 3.1 * np.where(running, 1.35, 1.0) * np.where(letter, 1.15, 1.0) * rng.lognormal(0, 0.05, size)
    hiccup = np.isin(hours, [blip.floor("h") for blip in plan.blips])
    load = (count / count.mean()) ** 0.2
    return {
        "marketing-site/visits": visits.round(),
        "marketing-site/promo_redemptions": promo.astype(float),
        "payments-gateway/requests_per_min": count * 1.05 / 60,
        "payments-gateway/error_rate": _near(rng, 0.004, 0.2, size) + np.where(hiccup, 0.03, 0.0),
        "payments-gateway/p99_ms": _near(rng, 210.0, 0.05, size) * load,
        "card-network/auth_p95_ms": _near(rng, 480.0, 0.06, size) * np.where(hiccup, 2.6, 1.0),
    }


def _pipeline(
    plan: Plan, rng: np.random.Generator, scored: pd.DataFrame, hour: pd.Series, count: pd.Series
) -> dict[str, pd.Series]:
    """Metrics of the feature pipeline; the release makes features arrive later, whatever else it does."""
    hours = count.index
    early = scored.loc[hour < plan.start + 72 * HOUR, list(SHIFTED)]
    means = scored.groupby(hour)[list(SHIFTED)].mean().reindex(hours)
    shift = ((means - early.mean()).abs() / early.std()).max(axis=1)
    released = hours >= plan.pipeline.floor("h")
    if plan.cause == "pipeline":
        released &= hours < plan.mitigated
    filled = scored.groupby(hour)["filled"].sum().reindex(hours)
    return {
        "feature-pipeline/rows_per_min": count / 60,
        "feature-pipeline/null_share": filled / (count * len(FEATURES)),
        "feature-pipeline/freshness_s": _near(rng, 38.0, 0.07, len(hours)) * np.where(released, 1.8, 1.0),
        "feature-pipeline/mean_shift": shift,
    }


def _model(
    rng: np.random.Generator, scored: pd.DataFrame, hour: pd.Series, hours: pd.DatetimeIndex
) -> dict[str, pd.Series]:
    """Metrics of the model; recall is filled in when the labels of the hour have arrived."""
    frauds = scored["is_fraud"] == 1
    return {
        "fraud-model/recall": scored[frauds].groupby(hour[frauds])["decision"].mean().reindex(hours),
        "fraud-model/flag_rate": scored.groupby(hour)["decision"].mean().reindex(hours),
        "fraud-model/mean_score": scored.groupby(hour)["score"].mean().reindex(hours),
        "fraud-model/p99_ms": _near(rng, 41.0, 0.05, len(hours)),
        "fraud-model/error_rate": _near(rng, 0.0004, 0.25, len(hours)),
    }


def _losses(
    hours: pd.DatetimeIndex, count: pd.Series, stopped: pd.Series, reported: pd.DataFrame
) -> dict[str, pd.Series]:
    """Metrics of what stands behind the model: the review queue and the ledger."""
    when = reported["time"].dt.floor("h")
    cases = reported.groupby(when).size().reindex(hours, fill_value=0)
    local = hours.tz_convert(ZONE).hour.to_numpy()
    staff = np.where((local >= 8) & (local < 20), 58.0, 36.0)
    queue, open_cases = [], 20.0
    for work, done in zip(stopped + DISPUTE_WORK * cases, staff, strict=True):
        open_cases = max(open_cases + work - done, 4.0)
        queue.append(open_cases)
    return {
        "case-review/queue_size": pd.Series(queue, index=hours).round(),
        "chargeback-ledger/disputes_opened": cases.astype(float),
        "chargeback-ledger/chargebacks_eur": reported.groupby(when)["amount_eur"].sum().reindex(hours, fill_value=0.0),
    }


def alerts(plan: Plan, table: pd.DataFrame) -> pd.DataFrame:
    """Return what the monitors said, by their rules, from the metrics.

    Returns
    -------
    DataFrame
        Columns ``time`` (UTC), ``status`` (firing or resolved), ``name``, ``system``, ``severity``,
        ``value``, ``limit`` and ``summary``. There is no rule on recall, nor on what the features hold.
    """
    rng = plan.rng(8)
    named = table.assign(name=table["system"] + "/" + table["metric"])
    wide = named.pivot(index="time", columns="name", values="value")
    cases = wide["chargeback-ledger/disputes_opened"].rolling(6).sum()
    usual = float(cases[: 24 * 7].median())
    traffic = wide["payments-gateway/requests_per_min"]
    rules = (
        ("DisputesHigh", "chargeback-ledger", "critical", cases, round(1.9 * usual), 2,
         "customers disputed {value:.0f} payments in the last 6 hours, limit {limit:.0f} for 2 hours"),
        ("ReviewBacklog", "case-review", "critical", wide["case-review/queue_size"], 200.0, 2,
         "{value:,.0f} cases open, limit {limit:,.0f} for 2 hours"),
        ("GatewayErrors", "payments-gateway", "warning", wide["payments-gateway/error_rate"], 0.02, 1,
         "error rate {value:.1%}, limit {limit:.0%}"),
        ("FeatureFreshness", "feature-pipeline", "warning", wide["feature-pipeline/freshness_s"], 55.0, 2,
         "features {value:.0f} s old, limit {limit:.0f} s for 2 hours"),
        ("TrafficHigh", "payments-gateway", "info", traffic / traffic.shift(24 * 7), 1.25, 2,
         "requests {value:.2f} times those of the same hour last week, limit {limit:.2f} for 2 hours"),
    )  # fmt: skip
    rows = []
    for name, system, severity, values, limit, held, text in rules:
        high = (values > limit).rolling(held).sum() == held
        low = (values <= limit).rolling(held).sum() == held
        firing = False
        for time, state in high.items():
            if not (low[time] if firing else state):
                continue
            firing = not firing
            seconds = int(rng.integers(60, 240))
            rows.append(
                {
                    "time": time + pd.Timedelta(seconds=seconds),
                    "status": "firing" if firing else "resolved",
                    "name": name,
                    "system": system,
                    "severity": severity if firing else "info",
                    "value": float(values[time]),
                    "limit": limit,
                    "summary": text.format(value=values[time], limit=limit) if firing else "back within its limit",
                }
            )
    return pd.DataFrame(rows).sort_values(["time", "name"], ignore_index=True)

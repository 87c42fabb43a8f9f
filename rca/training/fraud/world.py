"""Card payments drawn from a structural model: customers, what they buy, and four ways of fraud.

Causes come before effects: customer -> usual amount, device, place -> payment; a fraudster shows some of
five signals, more often those of the scheme used, so that no single feature tells fraud.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rca.training.fraud.plan import ZONE, Plan

__all__ = ["FEATURES", "UNITS", "World", "payments", "people", "sample"]

UNITS = {
    "amount_eur": "amount of the payment, euro",
    "amount_vs_usual": "amount divided by the customer's usual amount",
    "account_age_days": "age of the account, days",
    "device_age_days": "days since the device was first seen",
    "merchant_risk": "risk score of the merchant, 0 to 100",
    "distance_km": "distance of the payment from home, kilometres",
    "hour_local": "hour of the day in Europe/Berlin, 0 to 23",
    "tx_24h": "payments of the card in the last 24 hours",
    "country_mismatch": "1 if card and internet address are of different countries, else 0",
    "chargebacks_90d": "chargebacks of the customer in the last 90 days",
    "ip_risk": "risk score of the internet address, 0 to 100",
    "basket_items": "items in the basket",
    "session_seconds": "length of the session before payment, seconds",
    "promo_code": "1 if a promotion code was used, else 0",
}
FEATURES = tuple(UNITS)
SEGMENTS = {"young": (0.22, 28.0), "family": (0.43, 45.0), "premium": (0.20, 95.0), "business": (0.15, 130.0)}
SIGNALS = ("merchant_risk", "ip_risk", "device_age_days", "distance_km", "amount_vs_usual")
PER_HOUR = 560.0
FRAUDS_PER_HOUR = 24.0
RINGS_PER_HOUR = 26.0
CAMPAIGN_UPLIFT = 0.4


@dataclass(frozen=True)
class World:
    """The customers of the bank; new ones come with the campaign."""

    customers: pd.DataFrame
    newcomers: pd.DataFrame


def people(rng: np.random.Generator, *, count: int = 9000, new: int = 1500) -> World:
    """Draw the customers: segment, usual amount, age of the account, past chargebacks."""
    both = []
    for size, first, mix in ((count, 10000, None), (new, 70000, [0.55, 0.30, 0.10, 0.05])):
        names = list(SEGMENTS)
        segment = rng.choice(names, size=size, p=mix or [SEGMENTS[name][0] for name in names])
        usual = np.array([SEGMENTS[name][1] for name in segment]) * rng.lognormal(0, 0.4, size)
        age = rng.integers(0, 4, size) if mix else 30 + rng.gamma(1.6, 700, size)
        both.append(
            pd.DataFrame(
                {
                    "customer_id": [f"C{number}" for number in range(first, first + size)],
                    "customer_segment": segment,
                    "usual_eur": usual,
                    "account_age_days": np.round(age),
                    "chargebacks_90d": rng.poisson(0.05, size),
                    "weight": rng.gamma(2.0, 1.0, size),
                }
            )
        )
    return World(*both)


def _rhythm(hours: pd.DatetimeIndex) -> np.ndarray:
    """Return the day's and the week's rhythm of honest payments, mean about 1."""
    local = hours.tz_convert(ZONE)
    day = 1 + 0.33 * np.sin((local.hour.to_numpy() - 8.5) / 24 * 2 * np.pi)
    return np.asarray(day * np.where(local.day_of_week.to_numpy() >= 5, 0.92, 1.02))


def _pick(rng: np.random.Generator, customers: pd.DataFrame, count: int) -> pd.DataFrame:
    weight = customers["weight"].to_numpy()
    rows = rng.choice(len(customers), size=count, p=weight / weight.sum())
    return customers.iloc[rows].reset_index(drop=True).drop(columns="weight")


def _spread(rng: np.random.Generator, hours: pd.DatetimeIndex, per_hour: np.ndarray) -> pd.DatetimeIndex:
    """Return times within the hours: a Poisson number each."""
    counts = rng.poisson(per_hour)
    seconds = rng.integers(0, 3600, counts.sum())
    return hours.repeat(counts) + pd.to_timedelta(seconds, unit="s")


def _honest(rng: np.random.Generator, who: pd.DataFrame, times: pd.DatetimeIndex, promo: float) -> pd.DataFrame:
    """Draw the payments of honest customers."""
    size = len(who)
    out = who.copy()
    travel = rng.random(size) < 0.05
    out["time"] = times
    out["hour_local"] = times.tz_convert(ZONE).hour
    out["amount_vs_usual"] = rng.lognormal(0, 0.55, size)
    # A device is known from the first visit of the shop, not from the opening of the account.
    out["device_age_days"] = np.where(rng.random(size) < 0.05, rng.integers(0, 6, size), rng.gamma(1.4, 260, size))
    out["merchant_risk"] = 100 * rng.beta(2.0, 5.5, size)
    out["distance_km"] = np.where(travel, rng.lognormal(6.3, 0.8, size), rng.lognormal(1.8, 1.2, size))
    out["tx_24h"] = rng.poisson(1.4, size)
    out["country_mismatch"] = (rng.random(size) < np.where(travel, 0.4, 0.02)).astype(int)
    out["ip_risk"] = 100 * rng.beta(1.8, 6.0, size)
    out["basket_items"] = 1 + rng.poisson(2.0, size)
    out["session_seconds"] = rng.lognormal(5.2, 0.7, size)
    out["promo_code"] = (rng.random(size) < promo).astype(int)
    out["is_fraud"] = 0
    out["scheme"] = ""
    return out


def _fraud(rng: np.random.Generator, who: pd.DataFrame, times: pd.DatetimeIndex) -> pd.DataFrame:
    """Draw frauds: honest payments with some of the five signals, chiefly those of the scheme."""
    out = _honest(rng, who, times, 0.02)
    size = len(out)
    own = rng.integers(0, len(SIGNALS), size)
    on = {name: rng.random(size) < np.where(own == place, 0.97, 0.46) for place, name in enumerate(SIGNALS)}
    drawn = {
        "merchant_risk": 100 * rng.beta(7.0, 3.0, size),
        "ip_risk": 100 * rng.beta(6.0, 3.2, size),
        "device_age_days": rng.exponential(1.2, size),
        "distance_km": rng.lognormal(6.3, 0.9, size),
        "amount_vs_usual": rng.lognormal(1.35, 0.45, size),
    }
    for name in SIGNALS:
        out[name] = np.where(on[name], drawn[name], out[name])
    out["country_mismatch"] = np.where(on["distance_km"] & (rng.random(size) < 0.45), 1, out["country_mismatch"])
    out["tx_24h"] = out["tx_24h"] + np.where(rng.random(size) < 0.4, rng.poisson(2.5, size), 0)
    out["is_fraud"] = 1
    out["scheme"] = np.array(SIGNALS)[own]
    return out


def _ring(rng: np.random.Generator, who: pd.DataFrame, times: pd.DatetimeIndex) -> pd.DataFrame:
    """Draw frauds of rings: fresh accounts with promotion codes that look honest in all else."""
    out = _honest(rng, who, times, 1.0)
    size = len(out)
    out["device_age_days"] = rng.integers(40, 400, size)
    out["account_age_days"] = rng.integers(0, 2, size)
    out["tx_24h"] = 3 + rng.poisson(1.0, size)
    out["amount_vs_usual"] = rng.lognormal(0.25, 0.3, size)
    out["is_fraud"] = 1
    out["scheme"] = "promo ring"
    return out


def _tidy(frame: pd.DataFrame) -> pd.DataFrame:
    out = frame.sort_values(["time", "customer_id"], kind="stable").reset_index(drop=True)
    out["amount_vs_usual"] = out["amount_vs_usual"].round(2)
    out["amount_eur"] = (out["usual_eur"] * out["amount_vs_usual"]).round(2).clip(lower=1)
    for name in ("account_age_days", "device_age_days", "session_seconds"):
        out[name] = out[name].round()
    for name in ("merchant_risk", "ip_risk", "distance_km"):
        out[name] = out[name].round(1)
    out[list(FEATURES)] = out[list(FEATURES)].astype(float)
    return out[["time", "customer_id", "customer_segment", *FEATURES, "is_fraud", "scheme"]]


def payments(plan: Plan, world: World) -> pd.DataFrame:
    """Draw all payments of the production period, as they really were.

    Returns
    -------
    DataFrame
        One row a payment, by time: ``time`` (UTC), ``customer_id``, ``customer_segment``, `FEATURES`,
        ``is_fraud`` and ``scheme``.
    """
    rng, hours = plan.rng(2), plan.hours
    rhythm = _rhythm(hours)
    running = ((hours >= plan.campaign) & (hours < plan.campaign_end)).astype(float)
    organic = PER_HOUR * rhythm * rng.lognormal(0, 0.05, len(hours))
    parts = []
    times = _spread(rng, hours, organic)
    parts.append(_honest(rng, _pick(rng, world.customers, len(times)), times, 0.02))
    times = _spread(rng, hours, FRAUDS_PER_HOUR * (0.55 + 0.45 * rhythm))
    parts.append(_fraud(rng, _pick(rng, world.customers, len(times)), times))
    times = _spread(rng, hours, CAMPAIGN_UPLIFT * running * organic)
    parts.append(_honest(rng, _joined(rng, world, len(times)), times, 0.5))
    if plan.cause == "campaign":
        active = running * (hours < plan.mitigated.ceil("h") + pd.Timedelta(hours=6))
        times = _spread(rng, hours, RINGS_PER_HOUR * active)
        parts.append(_ring(rng, _pick(rng, world.newcomers, len(times)), times))
    return _tidy(pd.concat(parts, ignore_index=True))


def _joined(rng: np.random.Generator, world: World, count: int) -> pd.DataFrame:
    """Pick those whom the campaign brings: four in ten are new customers."""
    new = rng.random(count) < 0.4
    known, fresh = _pick(rng, world.customers, count), _pick(rng, world.newcomers, count)
    return known.where(pd.Series(~new), fresh)


def sample(
    rng: np.random.Generator, world: World, start: pd.Timestamp, days: int, count: int, frauds: int
) -> pd.DataFrame:
    """Draw labelled payments of the `days` before `start`, a random sample of each class."""
    hours = pd.date_range(start - pd.Timedelta(days=days), start, freq="h", inclusive="left")
    chance = _rhythm(hours) / _rhythm(hours).sum()
    parts = []
    for size, fraud in ((count - frauds, False), (frauds, True)):
        seconds = pd.to_timedelta(rng.integers(0, 3600, size), unit="s")
        times = hours[rng.choice(len(hours), size=size, p=chance)] + seconds
        who = _pick(rng, world.customers, size)
        parts.append(_fraud(rng, who, times) if fraud else _honest(rng, who, times, 0.02))
    return _tidy(pd.concat(parts, ignore_index=True))

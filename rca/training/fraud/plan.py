"""What happens in one simulated fraud incident, and when: drawn from the seed before anything is simulated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rca.errors import UnknownName, did_you_mean

__all__ = ["CAUSES", "FEEDS", "ZONE", "Feed", "Plan", "draw"]

CAUSES = ("retraining", "pipeline", "campaign")
ZONE = "Europe/Berlin"
HOUR = pd.Timedelta(hours=1)
HEALTHY_DAYS = 10
FIRST_DAY = pd.Timestamp("2026-05-31", tz=ZONE)


@dataclass(frozen=True)
class Feed:
    """A table of disputes that one desk fills, and that sees only part of the fraud.

    Attributes
    ----------
    feature : str
        What the desk selects on.
    table : str
        Its name in the warehouse.
    desk : str
        Who fills it.
    limit : float
        The desk sees payments at or past this value.
    above : bool
        Whether past means above.
    words : str
        The selection as people say it.
    """

    feature: str
    table: str
    desk: str
    limit: float
    above: bool
    words: str

    def holds(self, values: pd.Series) -> pd.Series:
        """Return which payments the desk sees."""
        return values >= self.limit if self.above else values <= self.limit


FEEDS = (
    Feed("merchant_risk", "disputes.merchant_desk", "merchant monitoring desk", 55, True,
         "payments at merchants with a risk score of 55 or more"),
    Feed("ip_risk", "disputes.network_desk", "network security desk", 54, True,
         "payments from internet addresses with a risk score of 54 or more"),
    Feed("distance_km", "disputes.travel_desk", "travel notice desk", 250, True,
         "payments 250 km or more from home"),
    Feed("device_age_days", "disputes.device_desk", "new-device desk", 2, False,
         "payments from devices first seen at most 2 days ago"),
    Feed("amount_vs_usual", "disputes.high_value_desk", "unusual-amount desk", 2.5, True,
         "payments of 2.5 times the usual amount or more"),
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """The truth of one incident; all times are UTC.

    Attributes
    ----------
    cause : str
        One of `CAUSES`: which of the three changes does harm.
    feed : Feed
        Where the labels of the retraining came from, if that is the cause.
    start, end : Timestamp
        First and last hour of production data.
    model, pipeline, campaign : Timestamp
        When each of the three changes went live.
    campaign_end : Timestamp
        When the campaign ended.
    mitigated : Timestamp
        When the harm was stopped.
    """

    seed: int
    cause: str
    feed: Feed
    start: pd.Timestamp
    end: pd.Timestamp
    model: pd.Timestamp
    pipeline: pd.Timestamp
    campaign: pd.Timestamp
    campaign_end: pd.Timestamp
    newsletter: pd.Timestamp
    mitigated: pd.Timestamp
    blips: tuple[pd.Timestamp, pd.Timestamp]

    @property
    def onset(self) -> pd.Timestamp:
        """When the change that does harm went live."""
        return {"retraining": self.model, "pipeline": self.pipeline, "campaign": self.campaign}[self.cause]

    @property
    def times(self) -> dict[str, pd.Timestamp]:
        """The times that texts refer to, by name."""
        return {
            "start": self.start,
            "model": self.model,
            "pipeline": self.pipeline,
            "campaign": self.campaign,
            "campaign_end": self.campaign_end,
            "newsletter": self.newsletter,
            "newsletter_end": self.newsletter + 6 * HOUR,
            "blip": self.blips[0],
        }

    def rng(self, stream: int) -> np.random.Generator:
        """Return the generator of one part of the world, the same whatever the other parts draw."""
        return np.random.default_rng([self.seed, stream])

    @property
    def hours(self) -> pd.DatetimeIndex:
        """Start of each simulated hour: a day more than is exported, so that queues are not empty at the start."""
        return pd.date_range(self.start - pd.Timedelta(days=1), self.end, freq="h", inclusive="left")


def draw(seed: int, cause: str) -> Plan:
    """Draw the times and the biased feed of one incident.

    Parameters
    ----------
    seed : int
        Not negative.
    cause : str
        One of `CAUSES`.

    Returns
    -------
    Plan
        The innocent changes go live from two days before to eight hours after the harmful one, and at
        least four hours from it and from each other (three for the campaign, which starts on the hour), so that
        hourly data can tell them apart.
    """
    if cause not in CAUSES:
        raise UnknownName(f"cause: unknown cause {cause!r}{did_you_mean(cause, CAUSES)}")
    rng = np.random.default_rng([seed, 0])
    start = FIRST_DAY + pd.Timedelta(weeks=int(rng.integers(0, 3)) if seed else 0)
    onset = _working_time(rng, start + pd.Timedelta(days=HEALTHY_DAYS))
    times = [onset]
    while len(times) < 3:
        other = _working_time(rng, onset.normalize() - pd.Timedelta(days=int(rng.integers(0, 3))))
        if -48 * HOUR <= other - onset <= 8 * HOUR and min(abs(other - time) for time in times) >= 4 * HOUR:
            times.append(other)
    others = iter(times[1:])
    live = {name: onset if name == cause else next(others) for name in CAUSES}
    live["campaign"] = live["campaign"].floor("h")
    lasted = pd.Timedelta(minutes=int(rng.integers(24 * 60, 28 * 60)))
    mitigated = (live[cause] + lasted).floor("min")
    end = mitigated.ceil("h") + 24 * HOUR
    return Plan(
        seed=seed,
        cause=cause,
        feed=FEEDS[seed % len(FEEDS)],
        start=start.tz_convert("UTC"),
        end=end.tz_convert("UTC"),
        model=live["retraining"].tz_convert("UTC"),
        pipeline=live["pipeline"].tz_convert("UTC"),
        campaign=live["campaign"].tz_convert("UTC"),
        campaign_end=(live["campaign"].normalize() + pd.Timedelta(days=5)).tz_convert("UTC"),
        newsletter=(start + pd.Timedelta(days=3, hours=8)).tz_convert("UTC"),
        mitigated=mitigated.tz_convert("UTC"),
        blips=(
            (start + pd.Timedelta(days=5, hours=int(rng.integers(8, 20)))).tz_convert("UTC"),
            (live[cause].floor("h") + pd.Timedelta(hours=int(rng.integers(6, 18)))).tz_convert("UTC"),
        ),
    )


def _working_time(rng: np.random.Generator, day: pd.Timestamp) -> pd.Timestamp:
    """Return a time of the day at which teams release."""
    return day + pd.Timedelta(hours=int(rng.integers(8, 17)), minutes=int(rng.integers(0, 60)))

"""How likely a change falls as near to the onset by chance, at the rate at which changes are made to its place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from rca.systems.changes.given import kinds
from rca.systems.changes.place import PREPARED
from rca.wording import duration

__all__ = ["USUAL", "Rate", "rate"]

# From this chance on, closeness in time alone names no change. If changes are behind 70 % of incidents [1]_, one that
# is named at a chance of 10 % is innocent in 0.3 * 0.1 / (0.7 + 0.3 * 0.1) = 4 %.
# .. [1] Beyer et al., Site Reliability Engineering, 2016, chapter 1.
USUAL = 0.1


@dataclass(frozen=True)
class Rate:
    """How often changes went live at each distance from the first cause."""

    counts: Mapping[int, int]  # tier -> live changes on record up to the onset
    span: pd.Timedelta  # that the record covers
    cause: str
    error: pd.Timedelta  # of the onset

    def chance(self, tier: int, delay: pd.Timedelta) -> float:
        """Return the chance that one change or more falls as near, if they fall like those of a Poisson process.

        Examples
        --------
        >>> hour = pd.Timedelta("1h")
        >>> one_a_day = Rate({0: 30}, 30 * 24 * hour, "db", 0 * hour)
        >>> round(one_a_day.chance(0, hour), 3), round(one_a_day.chance(0, 22 * hour), 3)
        (0.041, 0.6)
        """
        near = max(delay, pd.Timedelta(0)) + self.error
        return -math.expm1(-self._count(tier) * (near / self.span))

    def _count(self, tier: int) -> int:
        return sum(count for other, count in self.counts.items() if other <= tier)

    def said(self, change: pd.Series) -> tuple[str, bool]:
        """Return the chance for a change that fits in words, and whether it is too large to name the change."""
        chance, count = self.chance(change["tier"], change["delay"]), self._count(change["tier"])
        where = self.cause if change["tier"] == 0 else f"{self.cause} and unmeasured systems upstream of it"
        usual = f"{count} change{'s' if count > 1 else ''} to {where} in {duration(self.span)}"
        percent = f"{100 * chance:.2g} %"
        text = f"no content speaks for it; at the rate on record ({usual}) one falls as near by chance in {percent}"
        return text, chance >= USUAL


def rate(events: pd.DataFrame, first: pd.Series, near: Mapping[str, int], max_delay: pd.Timedelta) -> Rate:
    """Return how often changes went live, by the record up to the onset.

    Parameters
    ----------
    events : DataFrame
        All events. The record begins with the first live change, to any system, or log record, but no later than
        `max_delay` before the onset: so far back changes are searched, so the record is taken as complete there.
    first : Series
        Of the first cause: its name, ``onset`` and ``onset_error``.
    near : mapping
        System -> tier, as from `place.tiers`.
    max_delay : Timedelta
        See ``rca.changes.rank``.
    """
    end = first["onset"] + first["onset_error"]
    live = events[events["kind"].isin(kinds()) & ~events["kind"].isin(PREPARED) & (events["time"] <= end)]
    begins = [table["time"].min() for table in (live, events[events["kind"] == "log"])]
    span = max([max_delay, *(end - begin for begin in begins if not pd.isna(begin))])
    counts = live["system"].map(near).dropna().astype(int).value_counts()
    return Rate(counts.to_dict(), span, str(first.name), first["onset_error"])

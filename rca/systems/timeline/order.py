"""Events of all sources in one order, and those that a reader should see."""

from __future__ import annotations

import pandas as pd

from rca import schema
from rca.errors import InputError
from rca.systems.timeline.interval import when

__all__ = ["ORDER", "merge", "overview"]

ORDER = ["time", "source", "position", "event_id"]


def merge(*tables: pd.DataFrame) -> pd.DataFrame:
    """Return the events of several tables as one timeline.

    Parameters
    ----------
    *tables : DataFrame
        Schema ``events``; the same event (``event_id``) may stand in several of them.

    Returns
    -------
    DataFrame
        Schema ``events``, each event once, sorted by time, source, position and event_id; undated events
        last. Merging a table twice, or in another order, changes nothing. Of an event that stands there with and
        without a clock correction (``offset_method``), the corrected one is kept.

    Raises
    ------
    InputError
        If an event has no event_id, or a table is not of the schema.

    Examples
    --------
    >>> event = schema.check(pd.DataFrame({"event_id": ["a"], "time": [pd.Timestamp("2025-01-01T00:00Z")],
    ...                                    "kind": ["alert"], "message": ["x"]}), "events")
    >>> len(merge(event, event))
    1
    """
    joined = pd.concat([schema.empty("events"), *tables], ignore_index=True)
    joined = schema.check(joined.fillna({"offset": pd.Timedelta(0), "count": 1}), "events")
    if (nameless := int((joined["event_id"] == "").sum())) > 0:
        raise InputError(f"timeline: {nameless} of {len(joined)} events have no event_id; they cannot be told apart")
    twice = joined["event_id"].duplicated(keep=False)
    if twice.any():
        same = joined[twice].assign(plain=joined["offset_method"] == "")
        same = same.sort_values(["plain", *ORDER, "count"], kind="stable")
        same = same.assign(count=same.groupby("event_id")["count"].transform("max")).drop_duplicates("event_id")
        joined = pd.concat([joined[~twice], same.drop(columns="plain")], ignore_index=True)
    return joined.sort_values(ORDER, kind="stable", ignore_index=True)


def overview(timeline: pd.DataFrame, *, limit: int = 40) -> pd.DataFrame:
    """Return the events that a reader should see: all rare kinds, and of the frequent ones the first and worst.

    Parameters
    ----------
    timeline : DataFrame
        From `merge`.
    limit : int, default 40
        Rows to aim at. Changes, alerts, statements and everything else that people or monitors did are all
        kept, even past the limit, but of a kind with more events than `limit` those with the same system, text,
        actor and ref are one row. Of log records, warnings and errors only, the worst texts first: as many as
        fit, and half of `limit` at least.

    Returns
    -------
    DataFrame
        Columns ``time``, ``when`` (the time or interval in words), ``system``, ``kind``, ``message``, ``actor``,
        ``ref``, ``locator``, ``count``; an event known only as an interval stands at its earliest time. Log records
        with the same system and text are one row, at the first time it was seen, with their number.
    """
    logs = timeline["kind"] == "log"
    others = _folded(timeline[~logs], limit)
    shown = pd.concat([others, _worst(timeline[logs], max(limit - len(others), limit // 2))])
    exact = shown["time"].notna()
    limits = [shown[f"time_{end}"].where(~exact, shown["time"]) for end in ("earliest", "latest")]
    shown = shown.assign(
        when=[when(*pair) for pair in zip(*limits, strict=True)], place=shown["time"].fillna(shown["time_earliest"])
    )
    columns = ["time", "when", "system", "kind", "message", "actor", "ref", "locator", "count"]
    return shown.sort_values(["place", *ORDER], kind="stable")[columns].reset_index(drop=True)


def _folded(events: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Return `events` with those of frequent kinds that read alike as one row, at the first of them."""
    size = events["kind"].map(events["kind"].value_counts())
    same = ["kind", "system", "message", "actor", "ref"]
    many = events[(size > limit).to_numpy(bool)]
    first = many.drop_duplicates(same)
    first = first.assign(count=many.groupby(same, sort=False)["count"].sum().to_numpy())
    return pd.concat([events[(size <= limit).to_numpy(bool)], first])


def _worst(logs: pd.DataFrame, room: int) -> pd.DataFrame:
    """Return the first of each of the `room` worst texts among warnings and errors, with how often it was written."""
    same = ["system", "message"]
    bad = logs[(logs["severity"] >= schema.SEVERITY["warn"]).fillna(False)]
    texts = bad.groupby(same, sort=False).agg(severity=("severity", "max"), time=("time", "min"))
    chosen = texts.sort_values(["severity", "time"], ascending=[False, True], kind="stable").head(room)
    near = logs[logs["message"].isin(chosen.index.get_level_values("message"))]
    near = near[pd.MultiIndex.from_frame(near[same]).isin(chosen.index)]
    count = near.groupby(same, sort=False)["count"].sum()
    return near.drop_duplicates(same).assign(count=count.to_numpy())

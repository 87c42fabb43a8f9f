"""Events of all sources in one order, and those that a reader should see."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rca import schema, vocabulary
from rca.errors import InputError
from rca.systems.timeline.interval import bounds, when

__all__ = ["ORDER", "left_out", "merge", "overview"]

ORDER = ["time", "source", "position", "event_id"]
_SAME = ["kind", "system", "message", "actor", "ref"]
# What people or monitors did or said about the incident; changes are those of the vocabulary.
_WEIGHTY = ("alert", "notified", "escalated", "handed_over", "decided", "statement", "status", "ticket", "signal")
_RARE = 3  # events that a rare kind has at most
_AT_MILESTONE, _WEIGHT, _SOME, _LITTLE = range(4)


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


def overview(
    timeline: pd.DataFrame,
    *,
    limit: int = 60,
    window: tuple[pd.Timestamp, pd.Timestamp] | None = None,
    milestones: pd.DataFrame | None = None,
    fold: bool = True,
) -> pd.DataFrame:
    """Return the events that a reader should see, in order of time; `left_out` says which are not among them.

    Parameters
    ----------
    timeline : DataFrame
        From `merge`.
    limit : int, default 60
        Most rows.
    window : tuple of Timestamp, optional
        The incident; of equal weight, what lies in it comes first.
    milestones : DataFrame, optional
        From `rca.timeline.milestones`; what happened at the time of one is taken first.
    fold : bool, default True
        Make one row, at the first of them, of log records with the same system and text, and of events that read alike
        if their kind has more than `limit`.

    Returns
    -------
    DataFrame
        Columns ``time``, ``when`` (the time or interval in words), ``system``, ``kind``, ``message``, ``actor``,
        ``ref``, ``locator``, ``count`` (records the row stands for), ``severity``, ``source``; an event known only as
        an interval stands at its earliest time, undated ones last.

    Notes
    -----
    Where there are more than `limit`, rows are taken by weight: at a milestone; alerts, changes, statements,
    hand-overs, decisions, tickets, signals and errors; warnings and kinds with three events or fewer; the others. In
    each of these what lies in the window comes first, each kind gets the same number of rows or all it has, and
    those of one kind are spread over its time, the severest of each stretch.

    Examples
    --------
    >>> rows = pd.DataFrame({"event_id": list("abcd"), "time": pd.to_datetime(["2025-01-01T00:00Z"] * 4),
    ...                      "kind": ["chat", "chat", "chat", "deploy"], "message": ["hi", "so", "yes", "v2"]})
    >>> events = merge(schema.check(rows, "events"))
    >>> shown = overview(events, limit=2)
    >>> shown["kind"].tolist(), left_out(events, shown)
    (['chat', 'deploy'], '2 of 3 Chat message')
    """
    rows = _folded(timeline, limit) if fold else timeline
    at = bounds(rows)
    rows = rows.assign(
        when=[when(*pair) for pair in zip(at["earliest"], at["latest"], strict=True)],
        place=rows["time"].fillna(at["earliest"]),
    )
    if len(rows) > limit:
        rows = rows.iloc[_chosen(rows, timeline["kind"].value_counts(), limit, window, milestones)]
    columns = ["time", "when", "system", "kind", "message", "actor", "ref", "locator", "count", "severity", "source"]
    return rows.sort_values(["place", *ORDER], kind="stable")[columns].reset_index(drop=True)


def left_out(timeline: pd.DataFrame, shown: pd.DataFrame) -> str:
    """Return in words how many records of each kind are not among those shown; empty when all are.

    Parameters
    ----------
    timeline : DataFrame
        From `merge`.
    shown : DataFrame
        From `overview` of it.
    """
    names = vocabulary.table("event_kinds")["name"]
    total = timeline.groupby("kind")["count"].sum()
    missing = total - shown.groupby("kind")["count"].sum().reindex(total.index, fill_value=0)
    missing = missing[missing > 0].sort_values(ascending=False, kind="stable")
    return ", ".join(f"{count:,} of {total[kind]:,} {names.get(kind, kind)}" for kind, count in missing.items())


def _folded(events: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Return `events` with log records, and others of frequent kinds, that read alike as one row, the first of them."""
    size = events["kind"].map(events["kind"].value_counts())
    many = ((events["kind"] == "log") | (size > limit)).to_numpy(bool)
    groups = events[many].groupby(_SAME, sort=False, dropna=False)
    first = events[many].drop_duplicates(_SAME)
    first = first.assign(count=groups["count"].sum().to_numpy(), severity=groups["severity"].max().to_numpy())
    return pd.concat([events[~many], first.astype({"severity": "Int64"})])


def _chosen(
    rows: pd.DataFrame,
    sizes: pd.Series,
    limit: int,
    window: tuple[pd.Timestamp, pd.Timestamp] | None,
    milestones: pd.DataFrame | None,
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the positions of the `limit` rows of most weight."""
    kinds = vocabulary.table("event_kinds")
    weighty = (*_WEIGHTY, *kinds.index[kinds["is_change"] == "yes"])
    severity = rows["severity"].fillna(0)
    rare = rows["kind"].map(sizes) <= _RARE
    weight = pd.Series(_LITTLE, rows.index)
    weight = weight.mask(rare | (severity >= schema.SEVERITY["warn"]), _SOME)
    weight = weight.mask(rows["kind"].isin(weighty) | (severity >= schema.SEVERITY["error"]), _WEIGHT)
    if milestones is not None:
        exact = milestones.loc[milestones["earliest"] == milestones["latest"], "earliest"]
        weight = weight.mask(rows["time"].isin(exact), _AT_MILESTONE)
    inside = pd.Series(True, rows.index)
    if window is not None:
        inside = (rows["place"] >= window[0]) & (rows["place"] < window[1])
    ranks = pd.DataFrame({
        "tier": (2 * weight + ~inside).to_numpy(), "kind": rows["kind"].to_numpy(),
        "severity": severity.to_numpy("int64"), "ns": rows["place"].astype("int64").to_numpy(),
    })  # fmt: skip
    taken: list[int] = []
    for _, tier in ranks.groupby("tier"):
        taken += _shared(tier, limit - len(taken))
    return np.sort(np.array(taken, dtype=np.intp))


def _shared(tier: pd.DataFrame, room: int) -> list[int]:
    """Return `room` rows of a tier: each kind has the same number, or all it has."""
    out: list[int] = []
    kinds = sorted((group for _, group in tier.groupby("kind")), key=len)
    for number, group in enumerate(kinds):
        share = -(-(room - len(out)) // (len(kinds) - number))
        out += _spread(group, min(share, room - len(out)))
    return out


def _spread(group: pd.DataFrame, room: int) -> list[int]:
    """Return `room` rows of one kind: the severest of each of as many stretches of time, then others evenly."""
    if room >= len(group):
        return list(group.index)
    ordered = group.sort_values("ns", kind="stable")
    since = (ordered["ns"] - ordered["ns"].iloc[0]).astype("float64")
    stretch = (since / max(since.iloc[-1], 1.0) * room).astype("int64").clip(upper=room - 1)
    best = ordered.assign(stretch=stretch).sort_values(["severity", "ns"], ascending=[False, True], kind="stable")
    first = list(best.drop_duplicates("stretch").index)[:room]
    rest = [place for place in ordered.index if place not in set(first)]
    more = room - len(first)
    return first + [rest[number * len(rest) // more] for number in range(more)]

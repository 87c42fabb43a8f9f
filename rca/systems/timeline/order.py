"""Timeline: events in order, milestones, the durations that people report, and where the record is silent.

The arithmetic is here and nowhere else: a duration is the difference of two milestones, carried through as
an interval where a milestone is known only as one.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from rca import schema, times, vocabulary
from rca.errors import InputError, UnknownName, did_you_mean, raise_all

__all__ = ["DURATIONS", "durations", "gaps", "merge", "milestones", "overview"]

ORDER = ["time", "source", "position", "event_id"]
_WHEN = ("time", "time_earliest", "time_latest")
# Name -> (start, end, how it is known when averaged over incidents). Authors differ; so both ends are printed.
DURATIONS: Mapping[str, tuple[str, str, str]] = {
    "time to detect": ("impact_start", "detected", "MTTD"),
    "time to acknowledge": ("detected", "acknowledged", "MTTA"),
    "time to mitigate": ("impact_start", "mitigated", "MTTM"),
    "time to resolve": ("impact_start", "resolved", "MTTR"),
    "signal to detection": ("first_signal", "detected", "detection gap"),
}


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
        last. Merging a table twice, or in another order, changes nothing.

    Examples
    --------
    >>> event = schema.check(pd.DataFrame({"event_id": ["a"], "time": [times.parse("2025-01-01T00:00Z")],
    ...                                    "kind": ["alert"], "message": ["x"]}), "events")
    >>> len(merge(event, event))
    1
    """
    joined = pd.concat([schema.empty("events"), *tables], ignore_index=True)
    ordered = joined.sort_values([*ORDER, "count"], kind="stable")
    most = ordered.groupby("event_id")["count"].transform("max")
    return schema.check(ordered.assign(count=most).drop_duplicates("event_id"), "events")


def milestones(declared: pd.DataFrame) -> pd.DataFrame:
    """Return the seven milestones in their usual order, each with its interval.

    Parameters
    ----------
    declared : DataFrame
        Indexed by milestone (ids of the vocabulary ``milestones``); columns ``time``, ``earliest`` and
        ``latest`` (UTC, may be empty), ``evidence`` and ``note``.

    Returns
    -------
    DataFrame
        One row each of the seven, with ``name``, ``earliest``, ``latest``, ``evidence``, ``note``; where
        nothing was declared the times are empty.

    Raises
    ------
    UnknownName
        A milestone that the vocabulary does not have.
    """
    known = vocabulary.table("milestones")
    raise_all(
        [
            f"unknown milestone {name!r}{did_you_mean(name, known.index)}"
            for name in declared.index.difference(known.index)
        ],
        UnknownName,
    )
    out = declared.reindex(known.index)
    exact = _utc(out["time"])
    return pd.DataFrame(
        {
            "name": known["name"],
            "earliest": _utc(out["earliest"]).fillna(exact),
            "latest": _utc(out["latest"]).fillna(exact),
            "evidence": out["evidence"].fillna(""),
            "note": out["note"].fillna(""),
        }
    ).rename_axis("milestone")


def _utc(column: pd.Series) -> pd.Series:
    return column.astype(times.UTC) if column.notna().any() else pd.Series(pd.NaT, column.index, dtype=times.UTC)


def durations(table: pd.DataFrame) -> pd.DataFrame:
    """Return how long detection, acknowledgement, mitigation and resolution took.

    Parameters
    ----------
    table : DataFrame
        From `milestones`.

    Returns
    -------
    DataFrame
        Indexed by ``duration``; columns ``from``, ``to`` (milestones), ``low`` and ``high`` (Timedelta; equal
        when both ends are exact; ``low`` is never below zero), ``mean_known_as``, ``note`` ("not computable:
        ..." when an end is missing).

    Raises
    ------
    InputError
        If a duration is negative whatever the exact times within the intervals.

    Examples
    --------
    >>> at = times.parse("2025-01-01T00:00Z")
    >>> seen = pd.DataFrame({"time": [at, at + pd.Timedelta("1h")], "earliest": pd.NaT, "latest": pd.NaT,
    ...                      "evidence": "", "note": ""}, index=["impact_start", "detected"])
    >>> durations(milestones(seen)).loc["time to detect", "high"]
    Timedelta('0 days 01:00:00')
    """
    rows, problems = [], []
    for name, (start, end, mean) in DURATIONS.items():
        begin, finish = table.loc[start], table.loc[end]
        low, high = finish["earliest"] - begin["latest"], finish["latest"] - begin["earliest"]
        missing = [table.loc[part, "name"] for part in (start, end) if pd.isna(table.loc[part, "earliest"])]
        note = f"not computable: {' and '.join(missing)} not known" if missing else ""
        if missing:
            low = high = pd.NaT
        elif high < pd.Timedelta(0):
            ends = f"{end} ({times.show(finish['latest'])}) is before {start} ({times.show(begin['earliest'])})"
            problems.append(f"{name} is negative: {ends}")
        else:
            low = max(low, pd.Timedelta(0))
        rows.append((name, start, end, low, high, mean, note))
    raise_all(problems, InputError)
    columns = ["duration", "from", "to", "low", "high", "mean_known_as", "note"]
    out = pd.DataFrame(rows, columns=columns).set_index("duration")
    spans = {
        name: pd.Series(pd.to_timedelta(out[name].to_list()), out.index, dtype="timedelta64[ns]")
        for name in ("low", "high")
    }
    return out.assign(**spans)


def overview(timeline: pd.DataFrame, *, limit: int = 40) -> pd.DataFrame:
    """Return the events that a reader should see: all rare kinds, and of the frequent ones the first and worst.

    Parameters
    ----------
    timeline : DataFrame
        From `merge`.
    limit : int, default 40
        Rows to aim at. Changes, alerts, statements and everything else that people or monitors did are all
        kept, even past the limit; only log records are thinned.

    Returns
    -------
    DataFrame
        Columns ``time``, ``when`` (the time or interval in words), ``system``, ``kind``, ``message``, ``actor``,
        ``ref``, ``locator``, ``count``; an event known only as an interval stands at its earliest time. Log records
        with the same system and text are one row, at the first time it was seen, with their number.
    """
    logs = timeline[timeline["kind"] == "log"]
    others = timeline[timeline["kind"] != "log"]
    first = logs.groupby(["system", "message"], as_index=False, sort=False).agg(
        {name: "first" for name in timeline.columns if name not in ("system", "message", "count", "severity")}
        | {"count": "sum", "severity": "max"}
    )
    room = max(limit - len(others), 0)
    worst = first.sort_values(["severity", "time"], ascending=[False, True], na_position="last", kind="stable").head(
        room
    )
    shown = pd.concat([others, worst[worst["severity"].fillna(0) >= schema.SEVERITY["warn"]]])
    shown = shown.assign(when=[_when(*row) for row in zip(*(shown[name] for name in _WHEN), strict=True)])
    columns = ["time", "when", "system", "kind", "message", "actor", "ref", "locator", "count"]
    place = shown["time"].fillna(shown["time_earliest"]).rename("place")
    ordered = shown.assign(place=place).sort_values(["place", *ORDER], kind="stable")
    return ordered[columns].reset_index(drop=True)


def _when(time: pd.Timestamp, earliest: pd.Timestamp, latest: pd.Timestamp) -> str:
    """Return a time in words, or the interval that it lies in, or nothing."""
    if pd.notna(time):
        return times.show(time)
    if pd.isna(earliest) or pd.isna(latest):
        return ""
    first, last = times.show(earliest).removesuffix(" UTC"), times.show(latest)
    return f"{first} to {last.removeprefix(first[:11])}"


def gaps(
    events: pd.DataFrame, metrics: pd.DataFrame, window: tuple[pd.Timestamp, pd.Timestamp] | None = None
) -> pd.DataFrame:
    """Return where each source is silent.

    Parameters
    ----------
    events, metrics : DataFrame
        Schema ``events`` and ``metrics``.
    window : tuple of Timestamp, optional
        Incident window; silence at its edges counts. Default: the time between a source's own first and
        last record.

    Returns
    -------
    DataFrame
        Indexed by ``source``; columns ``records``, ``typical_step`` (median), ``largest_gap``, ``gap_start``,
        ``gap_end``, ``unusual`` (the gap is over five typical steps of a source with at least ten records).

    Notes
    -----
    Silence is not health: an export with no errors in a gap may be an export that failed.
    """
    stamps = pd.concat([events[["source", "time"]], metrics[["source", "time"]]]).dropna().drop_duplicates()
    rows = []
    for source, group in stamps.groupby("source"):
        seen = group["time"].sort_values()
        inside = seen if window is None else seen[(seen >= window[0]) & (seen < window[1])]
        edges = inside if window is None else pd.concat([pd.Series([window[0]]), inside, pd.Series([window[1]])])
        steps = edges.diff().dropna()
        if steps.empty:
            continue
        typical = seen.diff().median()
        end = int(steps.to_numpy().argmax()) + 1
        widest = steps.max()
        unusual = bool(len(seen) >= 10 and widest > 5 * typical)
        rows.append((source, len(inside), typical, widest, edges.iloc[end - 1], edges.iloc[end], unusual))
    columns = ["source", "records", "typical_step", "largest_gap", "gap_start", "gap_end", "unusual"]
    return pd.DataFrame(rows, columns=columns).set_index("source")

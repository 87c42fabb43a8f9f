"""Milestones, the durations between them, and what they were over many incidents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import comb

import pandas as pd

from rca import times, vocabulary
from rca.errors import InputError, UnknownName, did_you_mean, raise_all
from rca.systems.timeline.interval import ZERO, difference, spans, when

__all__ = ["DURATIONS", "durations", "milestones", "summary"]

# Name -> (start, end, how it is known when averaged over incidents). Authors differ; so both ends are printed.
DURATIONS: Mapping[str, tuple[str, str, str]] = {
    "time to detect": ("impact_start", "detected", "MTTD"),
    "time to acknowledge": ("detected", "acknowledged", "MTTA"),
    "time to mitigate": ("impact_start", "mitigated", "MTTM"),
    "time to resolve": ("impact_start", "resolved", "MTTR"),
    "signal to detection": ("first_signal", "detected", "detection gap"),
}
CONFIDENCE = 0.95


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
    InputError
        A milestone that stands twice, or whose interval has one end only or ends before it begins.
    """
    known = vocabulary.table("milestones")
    raise_all(
        [
            f"unknown milestone {name!r}{did_you_mean(name, known.index)}"
            for name in declared.index.difference(known.index)
        ],
        UnknownName,
    )
    raise_all([f"milestone {name!r} stands twice" for name in declared.index[declared.index.duplicated()]])
    out = declared.reindex(known.index)
    exact = _utc(out["time"])
    table = pd.DataFrame(
        {
            "name": known["name"],
            "earliest": _utc(out["earliest"]).fillna(exact),
            "latest": _utc(out["latest"]).fillna(exact),
            "evidence": out["evidence"].fillna(""),
            "note": out["note"].fillna(""),
        }
    ).rename_axis("milestone")
    problems = [
        f"milestone {row.Index!r}: {'latest is before earliest' if row.latest < row.earliest else 'an end is missing'}"
        for row in table.itertuples()
        if row.latest < row.earliest or pd.isna(row.earliest) != pd.isna(row.latest)
    ]
    raise_all(problems)
    return table


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
        Indexed by ``duration``; columns ``from``, ``to`` (milestones), ``start``, ``end`` (their times in words),
        ``low`` and ``high`` (Timedelta; equal when both ends are exact; ``low`` is never below zero),
        ``mean_known_as``, ``note`` ("not computable: ..." when an end is missing).

    Raises
    ------
    InputError
        If a duration is negative whatever the exact times within the intervals.

    Examples
    --------
    >>> at = times.parse("2025-01-01T00:00Z")
    >>> seen = pd.DataFrame({"time": [at, at + pd.Timedelta("1h")], "earliest": pd.NaT, "latest": pd.NaT,
    ...                      "evidence": "", "note": ""}, index=["impact_start", "detected"])
    >>> durations(milestones(seen)).loc["time to detect", ["start", "high"]].tolist()
    ['2025-01-01 00:00 UTC', Timedelta('0 days 01:00:00')]
    """
    rows, problems = [], []
    for name, (start, end, mean) in DURATIONS.items():
        begin, finish = (tuple(table.loc[part, ["earliest", "latest"]]) for part in (start, end))
        missing = [str(table.loc[part, "name"]) for part in (start, end) if pd.isna(table.loc[part, "earliest"])]
        note = f"not computable: {' and '.join(missing)} not known" if missing else ""
        low, high = (pd.NaT, pd.NaT) if missing else difference(begin, finish)
        if not missing and high < ZERO:
            ends = f"{end} ({times.show(finish[1])}) is before {start} ({times.show(begin[0])})"
            problems.append(f"{name} is negative: {ends}")
        rows.append((name, start, end, when(*begin), when(*finish), low, high, mean, note))
    raise_all(problems, InputError)
    columns = ["duration", "from", "to", "start", "end", "low", "high", "mean_known_as", "note"]
    out = pd.DataFrame(rows, columns=columns).set_index("duration")
    return out.assign(**{name: spans(out[name], out.index) for name in ("low", "high")})


def summary(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the median of each duration over many incidents, with its interval; never a mean.

    A mean of durations follows the one longest incident; it is not given.

    Parameters
    ----------
    tables : iterable of DataFrame
        One an incident, from `durations`.

    Returns
    -------
    DataFrame
        Indexed by ``duration``; columns ``from``, ``to``, ``mean_known_as``; ``n`` incidents that the duration is
        known of, ``not_computable`` the others; ``uncertain`` how many of the `n` are known only as an interval;
        ``median_low`` and ``median_high`` (Timedelta, equal when no duration is an interval): the least and the
        largest median that the intervals allow; ``interval_low`` and ``interval_high``: interval for the median
        of such incidents; ``confidence``: its level, at least .95; ``note``.

    Raises
    ------
    InputError
        If there is no incident, or a table is not from `durations`.

    Notes
    -----
    The interval is that of the sign test: the k-th smallest and k-th largest duration, the largest k for which
    a binomial(n, 1/2) count stays below k with probability at most .025 [1]_. It assumes no distribution, only
    incidents that do not depend on each other; below six incidents no such interval reaches .95 and none is
    given. With interval-valued durations its lower end is taken from the lower bounds and its upper end from
    the upper ones. Incidents that are still open count as not computable; when these are the long ones the
    median is too short.

    References
    ----------
    .. [1] David, Nagaraja, Order Statistics, 3rd edition, section 7.1, Wiley 2003.

    Examples
    --------
    >>> at = times.parse("2025-01-01T00:00Z")
    >>> def took(minutes):
    ...     ends = {"time": [at, at + pd.Timedelta(minutes=minutes)], "earliest": pd.NaT, "latest": pd.NaT}
    ...     seen = pd.DataFrame(ends | {"evidence": "", "note": ""}, index=["impact_start", "detected"])
    ...     return durations(milestones(seen))
    >>> table = summary(took(minutes) for minutes in (5, 9, 300))
    >>> str(table.loc["time to detect", "median_low"]), int(table.loc["time to resolve", "not_computable"])
    ('0 days 00:09:00', 3)
    """
    given = list(tables)
    if not given:
        raise InputError("no incident to summarise")
    for number, table in enumerate(given, 1):
        if not {"low", "high"} <= set(table.columns) or list(table.index) != list(DURATIONS):
            raise InputError(f"table {number} is not from durations")
    rows = [_median(name, *ends, given) for name, ends in DURATIONS.items()]
    timed = ("median_low", "median_high", "interval_low", "interval_high")
    out = pd.DataFrame(rows).set_index("duration")
    return out.assign(**{name: spans(out[name], out.index) for name in timed})


def _median(name: str, start: str, end: str, mean: str, tables: list[pd.DataFrame]) -> dict[str, object]:
    """Return one row of `summary`."""
    pairs = [(table.loc[name, "low"], table.loc[name, "high"]) for table in tables]
    known = [(low.value, high.value) for low, high in pairs if pd.notna(high)]
    n = len(known)
    lows, highs = sorted(low for low, _ in known), sorted(high for _, high in known)
    rank, confidence = _rank(n)
    median = [pd.Timedelta((side[(n - 1) // 2] + side[n // 2]) // 2) if n else pd.NaT for side in (lows, highs)]
    inside = (pd.Timedelta(lows[rank - 1]), pd.Timedelta(highs[n - rank])) if rank else (pd.NaT, pd.NaT)
    notes = ["not computable in any incident"] * (n == 0)
    notes += [f"{n} of {len(pairs)} incidents; no interval for the median below 6"] * (0 < n < 6)
    return {
        "duration": name, "from": start, "to": end, "mean_known_as": mean,
        "n": n, "not_computable": len(pairs) - n, "uncertain": sum(low != high for low, high in known),
        "median_low": median[0], "median_high": median[1],
        "interval_low": inside[0], "interval_high": inside[1],
        "confidence": confidence, "note": "; ".join(notes),
    }  # fmt: skip


def _rank(n: int) -> tuple[int, float]:
    """Return which smallest and largest of `n` values hold the median between them, and how surely; 0 when none do."""
    outside, rank = 0, 0  # of the 2**n ways in which n values lie around the median, those below `rank`
    while rank < n // 2 and 2 * (outside + comb(n, rank)) <= (1 - CONFIDENCE) * 2**n:
        outside += comb(n, rank)
        rank += 1
    return rank, 1 - 2 * outside / 2**n if rank else float("nan")

"""Times known exactly or as an interval: their bounds, their differences, and how they read."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from rca import times

__all__ = ["ZERO", "bounds", "difference", "spans", "when"]

ZERO = pd.Timedelta(0)


def bounds(events: pd.DataFrame) -> pd.DataFrame:
    """Return ``earliest`` and ``latest`` of each event: its interval where it has one, else its exact time, else empty.

    Examples
    --------
    >>> at = pd.Timestamp("2025-01-01T00:00Z")
    >>> table = pd.DataFrame({"time": [at], "time_earliest": [pd.NaT], "time_latest": [pd.NaT]})
    >>> bounds(table)["latest"][0]
    Timestamp('2025-01-01 00:00:00+0000', tz='UTC')
    """
    known = events["time_earliest"].notna() & events["time_latest"].notna()
    return pd.DataFrame(
        {name: events[f"time_{name}"].where(known, events["time"]).astype(times.UTC) for name in ("earliest", "latest")}
    )


def difference(
    start: tuple[pd.Timestamp, pd.Timestamp], end: tuple[pd.Timestamp, pd.Timestamp]
) -> tuple[pd.Timedelta, pd.Timedelta]:
    """Return the least and the largest time from `start` to `end`, each given as (earliest, latest).

    The least is never below zero, since the end is taken to come after the start; the largest is negative if it
    cannot.

    Examples
    --------
    >>> t = pd.to_datetime(["2025-01-01T00:00Z", "2025-01-01T00:08Z", "2025-01-01T00:20Z", "2025-01-01T00:25Z"])
    >>> [str(span) for span in difference((t[0], t[1]), (t[2], t[3]))]
    ['0 days 00:12:00', '0 days 00:25:00']
    """
    high = end[1] - start[0]
    return (max(end[0] - start[1], ZERO) if high >= ZERO else high), high


def spans(values: Iterable[object], index: pd.Index | None = None) -> pd.Series:
    """Return durations as a typed column, also when all of them are missing.

    Examples
    --------
    >>> str(spans([pd.NaT]).dtype)
    'timedelta64[ns]'
    """
    return pd.Series(pd.to_timedelta(list(values)), index, dtype="timedelta64[ns]")


def when(earliest: pd.Timestamp, latest: pd.Timestamp) -> str:
    """Return a time in words, or the interval that it lies in, or nothing.

    Examples
    --------
    >>> when(pd.Timestamp("2025-01-01T00:00Z"), pd.Timestamp("2025-01-01T00:08Z"))
    '2025-01-01 00:00 to 00:08 UTC'
    """
    if pd.isna(earliest) or pd.isna(latest):
        return ""
    first, last = times.show(earliest), times.show(latest)
    if earliest == latest:
        return first
    first = first.removesuffix(" UTC")
    return f"{first} to {last.removeprefix(first[:11])}"

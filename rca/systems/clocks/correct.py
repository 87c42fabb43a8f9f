"""Corrected times, and the originals back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rca import times
from rca.errors import InputError, UnknownName, did_you_mean, raise_all, shorten
from rca.times import UTC

__all__ = ["Clock", "correct", "uncorrect"]

_TIMES = ("time", "time_end", "time_earliest", "time_latest")
_RANGE = 2**63 - 1


@dataclass(frozen=True)
class Clock:
    """How far a source's clock is ahead.

    Attributes
    ----------
    offset : Timedelta
        Taken off the source's times; negative for a clock that is behind.
    reference : Timestamp, optional
        True time at which the offset holds; needed where there is a drift.
    drift : float, default 0
        Parts per million that the clock gains.
    method : str
        How this is known; stands beside every time that is corrected by it.
    """

    offset: pd.Timedelta
    reference: pd.Timestamp | None = None
    drift: float = 0.0
    method: str = "declared"

    def __post_init__(self) -> None:
        if pd.isna(self.offset):
            raise InputError("clock: the offset is empty")
        if not abs(self.drift) <= 1e5:
            raise InputError(f"clock: a drift of {self.drift} ppm is no clock's")
        if self.drift and (self.reference is None or pd.isna(self.reference) or self.reference.tzinfo is None):
            raise InputError("clock: a drift needs the reference time at which the offset holds, with its zone")
        if not self.method:
            raise InputError("clock: the method is empty; say how the offset is known")


def correct(events: pd.DataFrame, clocks: Mapping[str, Clock]) -> pd.DataFrame:
    """Return events with the times that right clocks would have shown.

    Parameters
    ----------
    events : DataFrame
        Schema ``events``, not corrected yet.
    clocks : mapping of source to Clock
        Accepted by the user; sources that are not named stay as they are.

    Returns
    -------
    DataFrame
        Same rows in the same order. ``time``, ``time_end``, ``time_earliest`` and ``time_latest`` are moved together
        by the row's ``offset``, so that time + offset is to the nanosecond what the source showed;
        ``offset_method`` says how the offset is known. Sort again where order matters.

    Raises
    ------
    UnknownName
        If no event is of a source that `clocks` names.
    InputError
        If a column is missing, a row of such a source is corrected already, or a time would leave the years 1678
        to 2261.

    Examples
    --------
    >>> from rca import schema
    >>> shown = pd.Series(pd.to_datetime(["2025-03-01T09:01:30Z"]))
    >>> events = schema.check(pd.DataFrame({"time": shown, "kind": "log", "message": "m", "source": "app"}), "events")
    >>> fixed = correct(events, {"app": Clock(pd.Timedelta("90s"))})
    >>> fixed["time"][0], uncorrect(fixed)["time"][0]
    (Timestamp('2025-03-01 09:00:00+0000', tz='UTC'), Timestamp('2025-03-01 09:01:30+0000', tz='UTC'))
    """
    _check(events)
    known = set(events["source"])
    raise_all(
        [f"unknown source {shorten(name)}{did_you_mean(name, known)}" for name in clocks if name not in known],
        UnknownName,
    )
    out = events.copy()
    for name, clock in clocks.items():
        rows = (events["source"] == name).to_numpy()
        if (events.loc[rows, "offset_method"] != "").any():
            raise InputError(f"events of {shorten(name)} are corrected already; take that back first (uncorrect)")
        taken = _taken(events.loc[rows], clock)
        out.loc[rows, "offset"] = pd.Series(pd.to_timedelta(taken, unit="ns"), index=out.index[rows])
        out.loc[rows, "offset_method"] = clock.method
    return _shifted(out, -1)


def uncorrect(events: pd.DataFrame) -> pd.DataFrame:
    """Return events with the times that their sources showed.

    Parameters
    ----------
    events : DataFrame
        Schema ``events``.

    Returns
    -------
    DataFrame
        Same rows in the same order; ``offset`` is zero and ``offset_method`` empty.

    Raises
    ------
    InputError
        If a column is missing.
    """
    _check(events)
    return (
        _shifted(events.copy(), 1)
        .assign(offset=pd.Timedelta(0), offset_method="")
        .astype({"offset": "timedelta64[ns]", "offset_method": "str"})
    )


def _check(events: pd.DataFrame) -> None:
    needed = ("source", "offset", "offset_method", *_TIMES)
    raise_all([f"events: required column {name!r} is missing" for name in needed if name not in events.columns])


def _taken(rows: pd.DataFrame, clock: Clock) -> np.ndarray:
    """Return nanoseconds to take off each row: of its time, or of the first other time that it has."""
    fixed = clock.offset.as_unit("ns").value
    shown = rows["time"].astype(UTC)
    for name in ("time_earliest", "time_latest", "time_end"):
        shown = shown.fillna(rows[name])
    dated = shown.notna().to_numpy()
    taken = np.full(len(rows), fixed, dtype=np.int64)
    if clock.reference is not None:
        at = clock.reference.as_unit("ns").value
        taken[dated] = times.ahead(shown[dated].astype("int64").to_numpy(), fixed, at, clock.drift)
    return taken


def _shifted(events: pd.DataFrame, sign: int) -> pd.DataFrame:
    """Return events whose corrected rows are moved by their offset, in whole nanoseconds."""
    moved = (events["offset_method"] != "").to_numpy()
    offsets = events.loc[moved, "offset"].astype("timedelta64[ns]").astype("int64").to_numpy()
    for name in _TIMES:
        column = events.loc[moved, name].astype(UTC)
        dated = column.notna().to_numpy()
        whole = column.astype("int64").to_numpy()[dated]
        if len(whole) and np.abs(whole.astype(float) + sign * offsets[dated].astype(float)).max() >= _RANGE:
            raise InputError(f"events: corrected, {name} leaves the years 1678 to 2261")
        values = np.full(len(column), np.datetime64("NaT"), dtype="datetime64[ns]")
        values[dated] = (whole + sign * offsets[dated]).view("datetime64[ns]")
        events.loc[moved, name] = pd.Series(values, index=column.index).dt.tz_localize("UTC")
    return events

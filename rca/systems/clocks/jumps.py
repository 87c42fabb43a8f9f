"""Changes of clocks that the order of a source's rows betrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from rca import times
from rca.errors import raise_all
from rca.systems.clocks.skew import typed
from rca.wording import duration

__all__ = ["jumps"]

_TYPES = {
    "source": "str", "change": "str", "position": "int64", "before": times.UTC, "after": times.UTC,
    "step": "timedelta64[ns]", "rows": "int64", "note": "str",
}  # fmt: skip
_HOUR = pd.Timedelta("1h")
_MOST = 0.05  # share of steps back above which a file is in no order of time
_LARGE = pd.Timedelta("1s")  # rows of busy systems overtake each other by less
_SLACK = pd.Timedelta("10min")  # rows are this far apart at most where an hour is to be recognised


def jumps(events: pd.DataFrame, zone: str | None = None) -> pd.DataFrame:
    """Find where times jump in the order in which a source wrote its rows.

    Parameters
    ----------
    events : DataFrame
        ``source``, ``position`` and ``time`` of schema ``events``; undated rows are passed over.
    zone : str, optional
        IANA zone of the place where the clocks stood: its changes to and from daylight saving name the jumps.

    Returns
    -------
    DataFrame
        In order of source and position: ``source``; ``change`` (``hour repeated``, ``hour skipped``, ``set back``, or
        ``no order``); ``position`` of the first row after the jump, ``before`` and ``after`` (times of the two rows),
        ``step`` (after less before), ``rows`` (that lie in hours shown twice, or out of order) and ``note``.

    Raises
    ------
    InputError
        If a column is missing.
    UnknownName
        If there is no such zone.

    Notes
    -----
    A source whose rows mostly run backwards is read from its end. A step back of an hour, less the time until the
    next row, is an hour shown twice. A step forward of an hour may be silence: it is reported only where `zone`
    skips an hour then, at the instant in UTC or on the wall clock. Steps back under a second are normal where many
    threads write; where over one step in twenty goes back, the file has no order to tell jumps by, and this is said.

    Examples
    --------
    >>> shown = pd.to_datetime(["2025-10-26T02:40Z", "2025-10-26T02:59Z", "2025-10-26T02:00Z", "2025-10-26T02:20Z"])
    >>> rows = pd.DataFrame({"source": "app", "position": [1, 2, 3, 4], "time": shown})
    >>> jumps(rows, "Europe/Berlin")[["change", "position", "note"]].to_dict("records")
    [{'change': 'hour repeated', 'position': 3,
      'note': 'the clocks of Europe/Berlin go back on 2025-10-26: the source wrote local time'}]
    """
    needed = ("source", "position", "time")
    raise_all([f"events: required column {name!r} is missing" for name in needed if name not in events.columns])
    dated = events[events["time"].notna()]
    changes = None
    if zone is not None:
        times.zone(zone)
    if zone is not None and len(dated):
        margin = pd.Timedelta("2D")
        changes = times.clock_changes(zone, dated["time"].min() - margin, dated["time"].max() + margin)
    rows = [
        [name, *row]
        for name, part in dated.groupby("source", sort=True)
        for row in _of_source(part.sort_values("position", kind="stable"), zone, changes)
    ]
    return typed(rows, _TYPES)


def _of_source(part: pd.DataFrame, zone: str | None, changes: pd.DataFrame | None) -> Iterator[list[Any]]:
    ns = part["time"].astype(times.UTC).astype("int64").to_numpy()
    steps = np.diff(ns)
    if (steps < 0).sum() > (steps > 0).sum():
        part, ns = part.iloc[::-1], ns[::-1]
        steps = np.diff(ns)
    backward = np.flatnonzero(steps <= -_LARGE.value)
    if len(backward) > max(_MOST * len(steps), 2):
        share = f"{len(backward)} of {len(steps)} steps go back: the rows are in no order of time"
        first = int(backward[0])
        yield [*_place(part, first), len(backward), f"{share}, so jumps cannot be told"]
        return
    candidates = {int(place) for place in backward}
    if changes is not None:
        ahead = (steps >= _HOUR.value) & (steps <= (_HOUR + _SLACK).value)
        candidates |= {int(place) for place in np.flatnonzero(ahead)}
    for place in sorted(candidates):
        row = _jump(part, ns, place, zone, changes)
        if row is not None:
            yield row


def _place(part: pd.DataFrame, place: int, change: str = "no order") -> list[Any]:
    before, after = part["time"].iloc[place], part["time"].iloc[place + 1]
    return [change, int(part["position"].iloc[place + 1]), before, after, after - before]


def _jump(
    part: pd.DataFrame, ns: np.ndarray, place: int, zone: str | None, changes: pd.DataFrame | None
) -> list[Any] | None:
    step = pd.Timedelta(int(ns[place + 1] - ns[place]), unit="ns")
    named = _named(part["time"].iloc[place], part["time"].iloc[place + 1], step, changes)
    if step > pd.Timedelta(0):
        if named is None:
            return None
        note = f"the clocks of {zone} go forward on {named[0]:%Y-%m-%d}: the source wrote {named[1]}"
        return [*_place(part, place, "hour skipped"), 0, note]
    twice = (ns[: place + 1] >= ns[place + 1]).sum() + (ns[place + 1 :] <= ns[place]).sum()
    if named is not None:
        note = f"the clocks of {zone} go back on {named[0]:%Y-%m-%d}: the source wrote {named[1]}"
        return [*_place(part, place, "hour repeated"), int(twice), note]
    if -_HOUR - pd.Timedelta("1s") <= step <= -_HOUR + _SLACK:
        known = "the zone of the source is not given" if zone is None else f"no change of clocks in {zone} then"
        return [*_place(part, place, "hour repeated"), int(twice), f"about one hour, like daylight saving; {known}"]
    note = f"{duration(-step)} back: the clock was set, or records came late"
    return [*_place(part, place, "set back"), int(twice), note]


def _named(
    before: pd.Timestamp, after: pd.Timestamp, step: pd.Timedelta, changes: pd.DataFrame | None
) -> tuple[pd.Timestamp, str] | None:
    """Return the change of clocks that makes this step, and how the source would have written time."""
    if changes is None:
        return None
    for change in changes.itertuples():
        shift = change.after - change.before
        if not pd.Timedelta(0) <= step - shift <= _HOUR or (shift > pd.Timedelta(0)) != (step > pd.Timedelta(0)):
            continue
        wall = (change.time + change.before).tz_convert("UTC")
        for moment, how in ((wall, "local time"), (change.time, "times of a fixed zone that was not its own")):
            # The last row before the change is shown before it, the first row after it from where clocks went to.
            if moment - _HOUR <= before < moment <= before + _HOUR and after >= moment + min(shift, pd.Timedelta(0)):
                return change.local_start, how
    return None

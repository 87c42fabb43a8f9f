"""The offset of one clock against another, from records that both have seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rca.errors import InputError, raise_all, shorten
from rca.systems.clocks.pair import LARGEST_DRIFT, Anchors, Estimate, estimate
from rca.times import UTC
from rca.wording import duration

__all__ = ["LEAST", "VERDICTS", "drifting", "judge", "skew", "typed"]

LEAST = pd.Timedelta("500ms")
VERDICTS = {
    "skew": "a correction is proposed",
    "none": "no offset is shown, or none worth a correction",
    "zone": "the offset is whole hours: a zone or daylight saving error, not skew",
    "step": "the clock was set in between: no one offset holds",
    "cannot tell": "the anchors do not decide; the note says why",
}
_UNITS = (60 * 10**9, 10**9, 10**8, 10**7, 10**6, 10**5, 10**4, 10**3)  # of stamps, nanoseconds
_FEW = 4  # anchors; of three, one that is wrong cannot be told
_TYPES = {
    "source_a": "str", "source_b": "str", "offset": "timedelta64[ns]", "low": "timedelta64[ns]",
    "high": "timedelta64[ns]", "drift": "float64", "drift_low": "float64", "drift_high": "float64", "reference": UTC,
    "span": "timedelta64[ns]", "anchors": "int64", "outliers": "int64", "spread": "timedelta64[ns]",
    "method": "str", "verdict": "str", "proposal": "bool", "note": "str",
}  # fmt: skip
_FIRST = {"a": -1, "b": 1, "": 0}
_HALF_HOUR = 1800 * 10**9
_SECOND = 10**9


class _Frame(NamedTuple):
    """Where seconds about a middle lie in nanoseconds."""

    x: int
    y: int


def skew(
    anchors: pd.DataFrame,
    *,
    confidence: float = 0.95,
    at: pd.Timestamp | None = None,
    least: pd.Timedelta = LEAST,
) -> pd.DataFrame:
    """Estimate how far each source's clock is ahead of another's.

    Parameters
    ----------
    anchors : DataFrame
        ``time_a`` and ``time_b``: what the two clocks showed, UTC. If there, ``source_a`` and ``source_b`` (one
        estimate a pair) and ``first``: ``a`` or ``b`` when that one must come first, empty when both saw one moment.
    confidence : float, default 0.95
        Of the intervals.
    at : Timestamp, optional
        When the offset shall hold, by clock b; default the middle of the anchors, where it is known best.
    least : Timedelta, default 500 ms
        An offset under this is not worth a correction. Delays of networks and pipelines are of this size too.

    Returns
    -------
    DataFrame
        One row a pair: ``source_a``, ``source_b``; ``offset`` (a's clock ahead of b's at ``reference``, by clock b),
        ``low``, ``high`` (empty where the anchors set no bound); ``drift``, ``drift_low``, ``drift_high`` (parts per
        million by which a gains on b; empty when not estimated); ``span`` from the first anchor to the last;
        ``anchors`` used and ``outliers`` set aside; ``spread`` of one anchor about the line; ``method``; ``verdict``
        (a key of `VERDICTS`), ``proposal`` (true for ``skew`` only), and ``note``: what the estimate rests on, or why
        there is none.

    Raises
    ------
    InputError
        If a column is missing, a time is empty or has no zone, or an argument is out of range.

    Notes
    -----
    *Same moment.* A line through the differences, fitted robustly [1]_ [2]_ [3]_; its height at the middle is
    independent of the drift. Student's interval from the sandwich error. Where the scatter may be delay to one side,
    the interval reaches to its edge as well: as with Cristian's probes [4]_, the quickest record says most. Few
    anchors do not show the shape of the noise, so that about ten give an interval some twice as wide.
    *Two-way.* When either comes first in some anchors, each is a bound, and the interval is what no anchor
    contradicts [4]_ [5]_ [6]_.
    *One-way.* Anchors of one direction tell offset plus delay only. There is one bound and no proposal, unless
    an effect is stamped before its cause, or the offset is more than a day and constant to a hundredth.

    A correction is proposed when zero lies outside the interval stretched to twice its width (thrice under
    eight anchors), the offset is at least `least` and the stamps' resolution, four anchors or more agree, and
    scatter by delays alone does not explain it; or, where the middle is right, when a drift that is shown as clearly
    makes as much at the ends. A constant delay cannot be told from an offset by any method, nor can a delay of which
    even the quickest record has the better part; where delay may be so, declare ``first``.
    Differences are taken in whole nanoseconds, so offsets of years lose nothing.

    References
    ----------
    .. [1] Theil, Proc. Kon. Ned. Akad. Wetensch. A 53, 1950.
    .. [2] Sen, J. Am. Stat. Assoc. 63(324), 1968.
    .. [3] Yohai, Ann. Stat. 15(2), 1987.
    .. [4] Cristian, Distributed Computing 3, 1989.
    .. [5] Mills, IEEE Trans. Comm. 39(10), 1991.
    .. [6] Duda, Harrus, Haddad, Bernard, 7th ICDCS, 1987.

    Examples
    --------
    >>> b = pd.date_range("2025-03-01T09:00Z", periods=8, freq="7min")
    >>> late = pd.to_timedelta([90.1, 89.9, 90.2, 90.0, 89.8, 90.1, 90.0, 89.9], unit="s")
    >>> row = skew(pd.DataFrame({"time_a": b + late, "time_b": b})).iloc[0]
    >>> row["offset"].round("s"), bool(row["proposal"])
    (Timedelta('0 days 00:01:30'), True)
    """
    table = _checked(anchors, confidence, at, least)
    groups = table.groupby(["source_a", "source_b"], sort=True)
    return typed([_row(names, part, confidence, at, least) for names, part in groups], _TYPES)


def typed(rows: Sequence[Sequence[Any]], types: Mapping[str, str]) -> pd.DataFrame:
    """Return rows as a table of the given columns and types, empty ones too."""
    columns = zip(*rows, strict=True) if rows else ([] for _ in types)
    return pd.DataFrame(
        {name: pd.Series(list(values), dtype=kind) for (name, kind), values in zip(types.items(), columns, strict=True)}
    )


def _checked(anchors: pd.DataFrame, confidence: float, at: pd.Timestamp | None, least: pd.Timedelta) -> pd.DataFrame:
    raise_all([f"anchors: required column {name!r} is missing" for name in ("time_a", "time_b") if name not in anchors])
    if not 0.5 <= confidence < 1:
        raise InputError(f"confidence: {confidence} is not from 0.5 to under 1")
    if not least >= pd.Timedelta(0):
        raise InputError(f"least: {least} is negative or empty")
    if at is not None and (pd.isna(at) or at.tzinfo is None):
        raise InputError(f"at: {at} has no time zone")
    table = pd.DataFrame(index=range(len(anchors)))
    for name in ("time_a", "time_b"):
        column = anchors[name].reset_index(drop=True)
        if len(column) and not isinstance(column.dtype, pd.DatetimeTZDtype):
            raise InputError(f"anchors: column {name!r} is not of times with a zone, but {column.dtype}")
        if column.isna().any():
            raise InputError(f"anchors: row {int(column.isna().argmax()) + 1}: {name!r} is empty")
        table[name] = column.astype(UTC).astype("int64")
    for name, other in (("source_a", "a"), ("source_b", "b"), ("first", "")):
        table[name] = anchors[name].reset_index(drop=True).astype(str) if name in anchors else other
    wrong = ~table["first"].isin(list(_FIRST))
    if wrong.any():
        found = shorten(table.loc[wrong, "first"].iloc[0])
        raise InputError(f"anchors: row {int(wrong.argmax()) + 1}: first is {found}, not 'a', 'b' or empty")
    return table


def _row(names: Any, part: pd.DataFrame, confidence: float, at: pd.Timestamp | None, least: pd.Timedelta) -> list[Any]:
    part = part.sort_values("time_b", kind="stable")
    a, b = part["time_a"].to_numpy(), part["time_b"].to_numpy()
    ahead = a - b
    frame = _Frame(int(b[len(b) // 2]), int(np.sort(ahead)[len(b) // 2]))
    numbers = Anchors(
        (b - frame.x) / _SECOND,
        (ahead - frame.y) / _SECOND,
        part["first"].map(_FIRST).to_numpy(),
        (_unit(a), _unit(b)),
    )
    found = estimate(numbers, confidence)
    x, offset, low, high = _moved(found, None if at is None else (pd.Timestamp(at).value - frame.x) / _SECOND)
    ends = [_in_ns(value, frame.y) for value in (offset, low, high)]
    span = int(b[-1] - b[0])
    verdict, notes = _verdict(found, names, frame, ends, least, max(numbers.units), span)
    drifts = [1e6 * value for value in (found.slope, found.slope - found.slope_half, found.slope + found.slope_half)]
    spread = pd.NaT if np.isnan(found.spread) else pd.Timedelta(round(found.spread * _SECOND), unit="ns")
    return [
        *names, *(pd.NaT if end is None else pd.Timedelta(end, unit="ns") for end in ends),
        *(drifts if np.isfinite(found.slope_half) else [np.nan] * 3),
        pd.Timestamp(frame.x + round(x * _SECOND), unit="ns", tz="UTC"), pd.Timedelta(span, unit="ns"),
        len(part) - found.outliers, found.outliers, spread, found.kind, verdict, verdict == "skew", "; ".join(notes),
    ]  # fmt: skip


def _unit(stamps: NDArray[np.int64]) -> float:
    """Return the largest unit that all stamps are whole numbers of, in seconds; 0 if there is none."""
    return next((unit / _SECOND for unit in _UNITS if not (stamps % unit).any()), 0.0)


def _moved(found: Estimate, x: float | None) -> tuple[float, float, float, float]:
    """Return place, offset and interval at `x`, wider by what is not known of the drift."""
    if x is None or np.isnan(found.offset):
        return found.x, found.offset, found.low, found.high
    away = x - found.x
    offset = found.offset + found.slope * away
    more = min(found.slope_half, LARGEST_DRIFT) * abs(away)
    below, above = np.hypot(found.offset - found.low, more), np.hypot(found.high - found.offset, more)
    return x, offset, offset - float(below), offset + float(above)


def _in_ns(value: float, base: int) -> int | None:
    return base + round(value * _SECOND) if np.isfinite(value) else None


def _verdict(
    found: Estimate,
    names: Sequence[str],
    frame: _Frame,
    ends: list[int | None],
    least: pd.Timedelta,
    unit: float,
    span: int,
) -> tuple[str, list[str]]:
    """Return a key of `VERDICTS` and the notes."""
    offset, low, high = ends
    notes = list(found.notes)
    if found.kind == "step":
        return "step", [_step_note(found, frame)]
    if found.kind in ("few", "mixed") or offset is None:
        return "cannot tell", notes
    if found.kind == "one-way":
        return _one_way(found, names, frame, offset, least)
    count = len(found.levels)
    verdict, why = judge(offset, low, high, count, least)
    drifts = drifting(found.slope, found.slope_half, span, count, least) if verdict == "none" else ""
    if verdict != "skew" and not drifts:
        return verdict, [*notes, why]
    if abs(found.slope) - min(found.slope_half, LARGEST_DRIFT) > LARGEST_DRIFT:
        why = f"the offset changes by {found.slope * 1e6:.0f} ppm, more than clocks drift: delays that grow?"
    elif abs(offset) < unit * _SECOND and not drifts:
        why = "the offset is under the resolution of the stamps"
    elif found.outliers * 2 > count:
        why = f"{found.outliers} of {found.outliers + count} anchors disagree with the others"
    elif found.kind == "same moment" and not drifts and _may_be_delay(found, frame, unit, span):
        why = "delay to one side explains the differences as well as skew does"
    else:
        return "skew", [*notes, drifts] if drifts else notes
    return "cannot tell", [*notes, why]


def judge(offset: int, low: int | None, high: int | None, count: int, least: pd.Timedelta) -> tuple[str, str]:
    """Return the verdict on an offset with its interval in nanoseconds, and why, empty for ``skew``."""
    if low is None or high is None:
        return "cannot tell", "no interval"
    if low <= 0 <= high:
        most = pd.Timedelta(max(-low, high), unit="ns")
        return "none", f"zero lies in the interval; up to {duration(most)} is not excluded"
    half = (high - low) // 2 * (1 if count >= 8 else 2)
    if low - half <= 0 <= high + half:
        return "cannot tell", "the interval comes too close to zero"
    if abs(offset) < least.value:
        return "none", f"under {duration(least)}: not worth a correction, and as large as delays are"
    if count < _FEW:
        return "cannot tell", f"{count} anchors only: one that is wrong could not be told"
    hours = round(offset / _HALF_HOUR) / 2
    beyond = hours * 2 * _HALF_HOUR
    if hours and abs(hours) <= 14 and low - _SECOND <= beyond <= high + _SECOND and high - low <= 20 * _SECOND:
        whole = duration(pd.Timedelta(hours=abs(hours)))
        return "zone", f"exactly {whole}: looks like a zone or daylight saving error, not skew; declare the zone"
    return "skew", ""


def drifting(slope: float, half: float, span: int, count: int, least: pd.Timedelta) -> str:
    """Return how wrong a clock is at the ends that is right in the middle; empty where no drift is shown.

    Seconds a second and half their interval; the span of the anchors in nanoseconds.
    """
    end = pd.Timedelta(round(abs(slope) * span / 2), unit="ns") if np.isfinite(half) else pd.Timedelta(0)
    if count < 8 or abs(slope) <= 2 * half or end < max(least, pd.Timedelta("1ms")):
        return ""
    return f"right in the middle, but it drifts by {slope * 1e6:.3g} ppm: {duration(end)} off at either end"


def _step_note(found: Estimate, frame: _Frame) -> str:
    before, after, size = found.levels
    when = pd.Timestamp(frame.x + round(found.x * _SECOND), unit="ns", tz="UTC")
    sides = [duration(pd.Timedelta(frame.y + round(side * _SECOND), unit="ns")) for side in (before, after)]
    hour = abs(abs(size) - 3600) <= max(3 * found.spread, 1)
    named = "; one hour: looks like daylight saving" if hour else ""
    return (
        f"two clusters of offsets: a clock stepped by {duration(pd.Timedelta(seconds=size))} about "
        f"{when:%Y-%m-%d %H:%M:%S} UTC, from about {sides[0]} to {sides[1]}{named}; estimate each part apart"
    )


def _one_way(
    found: Estimate, names: Sequence[str], frame: _Frame, offset: int, least: pd.Timedelta
) -> tuple[str, list[str]]:
    """Return the verdict on a single bound: skew only where no delay explains it."""
    above = found.high < np.inf
    first, second, bound = (names[1], names[0], "most") if above else (names[0], names[1], "least")
    notes = [
        f"one-way: {first} always comes before {second}, so delay and skew look the same; the offset is at {bound} this"
    ]
    # One record before its cause may be the noise of the stamps, a quarter of them is not.
    typical = float(np.quantile(found.levels, 0.25 if above else 0.75)) + frame.y / _SECOND
    against = typical < 0 if above else typical > 0
    if abs(offset) < least.value or len(found.levels) < _FEW:
        return "cannot tell", notes
    if against:
        return "skew", [*notes, "effects are stamped before their causes, which no delay does"]
    if abs(offset) > pd.Timedelta("1D").value and found.spread * _SECOND < abs(offset) / 100:
        return "skew", [*notes, "no delay of more than a day is constant to a hundredth: taken as skew"]
    return "cannot tell", notes


def _may_be_delay(found: Estimate, frame: _Frame, unit: float, span: int) -> bool:
    """Return whether a delay without any skew would look like this.

    The quickest record would then be near zero: at under half of the typical one, or somewhat more of few. Scatter
    that is as wide to both sides is rarely delay; then it would have to be nearer still. A record that is clearly
    below zero is no delay, unless coarse stamps or a drift fitted to chance brought it there.
    """
    levels = found.levels + frame.y / _SECOND
    levels = levels if np.median(levels) > 0 else -levels
    typical, quickest = float(np.median(levels)), float(levels.min())
    tilt = abs(found.slope) * span / _SECOND / 2 if abs(found.slope) <= 2 * found.slope_half else 0.0
    if quickest < -0.25 * found.spread - unit - tilt:
        return False
    below, above = typical - quickest, float(levels.max()) - typical
    even = len(levels) >= 20 and above < 1.5 * below
    return quickest < ((0.25 if even else 0.5) + 2 / len(levels)) * typical

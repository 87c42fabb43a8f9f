"""Onset of change of each metric: decided and timed by `rca.onset`, as the search for the first cause is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rca import onset, times
from rca.errors import UnknownName, did_you_mean, raise_all
from rca.progress import track
from rca.systems.signals import ramp
from rca.systems.signals.family import ALPHA, NOTHING, SIGNAL, UNJUDGED, both, columns, holm
from rca.times import show

__all__ = ["metric_onsets"]

SYMPTOM_ALPHA = 0.05  # for the one series that somebody noticed: chosen beforehand
_SPARSE = 0.5  # share of the rows to be expected, below which silence hides too much
_GAP = 2.5  # sampling steps without a value that are a gap
_RUN = 3  # rows of a window below which nothing sustained can be seen
_TIMES = ("onset", "earliest", "latest", "until")
_NUMBERS = ("before", "during", "deviation", "p_value", "p_adjusted")


def metric_onsets(
    metrics: pd.DataFrame,
    windows: Sequence[Sequence[Any]],
    harmful: Mapping[str, str] | None = None,
    *,
    symptom: tuple[str, str] | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Return for each metric of each system whether it left its healthy level, when, and how sure that is.

    Decision and time are those of ``rca.onset.find``, so they agree with ``rca.cascade.trace``. What is added is
    the correction for the number of metrics, and how early the change may have begun if it came by and by: level,
    linear rise, level is fitted around it, and the interval reaches back to the earliest beginning that fits.

    Parameters
    ----------
    metrics : DataFrame
        Columns ``time`` (UTC), ``system``, ``metric``, ``value``; any sampling, regular or not.
    windows : pair of (start, end)
        Healthy window and incident window, in UTC, start included, end not; disjoint, in either order.
    harmful : mapping, optional
        Metric -> ``"up"``, ``"down"``, ``"both"`` or ``"neither"`` (a measure of demand: judged in both
        directions, in a family of its own). Default ``"both"``.
    symptom : (str, str), optional
        System and metric by which the incident was noticed: chosen beforehand, so judged alone at 5 %.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    DataFrame
        One row a metric of a system, none left out, sorted by these. Columns ``system``, ``metric``, ``verdict``
        ("signal", "nothing", "not judged"), ``onset`` (empty unless a signal), ``earliest`` and ``latest`` (95 %
        interval, see Notes; ``earliest`` empty if it had begun before the first row that can be compared),
        ``until`` (end of the shifted stretch; all UTC), ``before`` and ``during`` (medians, in the unit of the
        metric, or of its rate per second where the note says so), ``deviation`` (robust standard deviations of one
        healthy row), ``shape`` ("step", "ramp", or empty when it cannot be told), ``p_value`` (all stretches of the
        window counted), ``p_adjusted`` (Holm over the ``m`` metrics of the family), ``m``, ``rows_before``,
        ``rows_during``, ``note`` (what a reader must know, or why it was not judged).

    Raises
    ------
    UnknownName
        If `harmful` or `symptom` names what `metrics` does not have, or no direction.
    InputError
        If a column is missing, or the windows overlap.

    Notes
    -----
    It is a signal if ``p_adjusted`` is below 1 % (the symptom: 5 %). A series is not judged if a window holds no
    value, if fewer than six healthy values are there, if it is constant throughout (a stuck metric looks the
    same as a steady one), or if it shows nothing but has fewer than three values or half of those to be
    expected in the incident window; the last three count in ``m``, since they were tested. A gap just before the
    onset widens the interval over the gap. For steps in independent noise the interval covers the true onset in
    95 % and more; for ramps less often (see ``tests/bench/signals.py``), and it is one for the time when the level
    left the healthy one, not for the cause.

    Examples
    --------
    >>> time = pd.date_range("2025-03-01", periods=60, freq="min", tz="UTC")
    >>> values = [10.0, 11.0] * 20 + [20.0] * 20
    >>> table = pd.DataFrame({"time": time, "system": "db", "metric": "latency_ms", "value": values})
    >>> found = metric_onsets(table, ((time[0], time[30]), (time[30], time[59]))).iloc[0]
    >>> found["verdict"], found["onset"] == time[40], found["shape"]
    ('signal', True, 'step')
    """
    healthy, searched = both(windows)
    columns(metrics, "metrics", ("time", "system", "metric", "value"))
    harmful = {str(name): way for name, way in (harmful or {}).items()}
    _check(metrics, harmful, symptom)
    rows = []
    groups = metrics.groupby(["system", "metric"], sort=True)
    for (system, metric), group in track(groups, "metrics", total=groups.ngroups, progress=progress):
        way = harmful.get(str(metric), "both")
        values = pd.Series(group["value"].to_numpy(dtype="float64"), index=pd.DatetimeIndex(group["time"]))
        own = symptom is not None and (str(system), str(metric)) == tuple(symptom)
        family = "symptom" if own else "demand" if way == "neither" else "metrics"
        rows.append({
            "system": str(system), "metric": str(metric), "family": family,
            **_one(values[np.isfinite(values.to_numpy())], healthy, searched, "both" if way == "neither" else way),
        })  # fmt: skip
    return _judged(pd.DataFrame(rows, columns=["system", "metric", "family", *_FOUND]))


_FOUND = (
    *_TIMES, "before", "during", "deviation", "shape", "p_value", "rows_before", "rows_during", "note", "doubt",
)  # fmt: skip


def _check(metrics: pd.DataFrame, harmful: Mapping[str, str], symptom: tuple[str, str] | None) -> None:
    """Raise if a name or a direction is not known."""
    known = set(metrics["metric"])
    problems = [f"harmful: unknown metric {name!r}{did_you_mean(name, known)}" for name in harmful if name not in known]
    for name, way in harmful.items():
        if way not in onset.DIRECTIONS:
            problems.append(f"harmful: {name}: bad direction {way!r}{did_you_mean(str(way), onset.DIRECTIONS)}")
    if symptom is not None and not ((metrics["system"] == symptom[0]) & (metrics["metric"] == symptom[1])).any():
        names = {f"{system} {metric}" for system, metric in zip(metrics["system"], metrics["metric"], strict=True)}
        asked = f"{symptom[0]} {symptom[1]}"
        problems.append(f"symptom: no metric {asked!r}{did_you_mean(asked, names)}")
    raise_all(problems, UnknownName)


def _one(values: pd.Series, before: onset.Window, during: onset.Window, way: str) -> dict[str, Any]:
    """Return what was found in one series; `doubt` says why "nothing" may not be said of it."""
    values = values.sort_index(kind="stable")
    inside = [values[(values.index >= start) & (values.index < end)] for start, end in (before, during)]
    counts = {"rows_before": len(inside[0]), "rows_during": len(inside[1]), "shape": "", "note": "", "doubt": ""}
    empty = [name for name, part in zip(("before", "during"), inside, strict=True) if part.empty]
    if empty:
        last = f"; the last one is of {show(values.index[-1])}" if empty == ["during"] and len(values) else ""
        return counts | {"doubt": f"no value in the window {' and '.join(empty)}{last}"}
    found = onset.find(values, before=before, during=during, harmful=way)
    levels = {"before": found.before, "during": found.during, "deviation": found.deviation}
    out = counts | levels | {"p_value": found.p_value, "note": found.note, "doubt": _doubt(inside, found, during)}
    earliest, shape, note = _interval(values, found, before, during)
    varied = inside[0].nunique() > 1 or bool(found.note)
    notes = [found.note, note, "" if varied else "constant before: nothing says how far it varies"]
    return out | {
        "onset": found.start, "earliest": earliest,
        "latest": found.start + found.error,
        "until": found.until, "shape": shape, "note": "; ".join(text for text in notes if text),
    }  # fmt: skip


def _doubt(inside: Sequence[pd.Series], found: onset.Shift, during: onset.Window) -> str:
    """Return why a series that shows nothing cannot be called unchanged; empty if it can."""
    before, after = inside
    if len(before) < onset.MIN_ROWS:
        return f"only {len(before)} values before; {onset.MIN_ROWS} are needed"
    if len(after) < _RUN:
        return f"only {len(after)} values in the incident window; {_RUN} are needed"
    if before.nunique() == 1 and set(after) == set(before):
        return f"constant at {before.iloc[0]:.6g} in both windows: a stuck metric looks the same"
    step = found.step
    expected = (during[1] - during[0]) / step if step > pd.Timedelta(0) else len(after)
    if after.index.nunique() < _SPARSE * expected:
        return f"gaps: {len(after)} values in the incident window, of about {expected:.0f} at its usual step"
    return ""


def _interval(
    values: pd.Series, found: onset.Shift, before: onset.Window, during: onset.Window
) -> tuple[pd.Timestamp, str, str]:
    """Return the earliest conceivable onset, step or ramp, and a note."""
    if found.censored:
        return pd.NaT, "", "it had begun before the first value that can be compared"
    stamps = values.index
    lead = stamps[stamps < found.start]
    lead = lead[lead >= min(before[0], during[0])] if before[0] < during[0] else lead[lead >= during[0]]
    earliest = min(found.start - found.error, found.earliest, lead[-1] if len(lead) else found.start)
    if found.note:  # a rate, which is not at hand here
        return earliest, "", ""
    merged = values.groupby(level=0).mean()
    lowest = int(merged.index.searchsorted(before[0] if before[0] < during[0] else during[0]))
    start, until = (int(merged.index.searchsorted(time)) for time in (found.start, found.until))
    first, shape = ramp.begin(merged.to_numpy(), lowest, start, until)
    gap = found.start - lead[-1] if len(lead) else found.step
    return min(earliest, merged.index[first]), shape, "" if gap <= _GAP * found.step else f"a gap of {gap} before it"


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with adjusted p-values and verdicts."""
    tested = table["p_value"].notna().to_numpy(dtype=bool)
    table = table.assign(p_adjusted=np.nan, m=0)
    for family in ("metrics", "demand", "symptom"):
        own = tested & (table["family"] == family).to_numpy()
        table.loc[own, "p_adjusted"] = holm(table.loc[own, "p_value"])
        table.loc[own, "m"] = int(own.sum())
    limit = np.where(table["family"] == "symptom", SYMPTOM_ALPHA, ALPHA)
    moved = tested & (table["p_adjusted"].to_numpy(dtype="float64") < limit)
    doubt, note = table["doubt"], table["note"]
    verdict = np.where(moved, SIGNAL, np.where(doubt != "", UNJUDGED, NOTHING))
    quiet = np.where(doubt != "", doubt, np.where(note.str.startswith("a counter"), note, ""))
    table = table.assign(verdict=pd.Series(verdict, table.index, dtype="str"), note=np.where(moved, note, quiet))
    for name in _TIMES:
        found = [pd.Timestamp(value) if known else pd.NaT for value, known in zip(table[name], moved, strict=True)]
        table[name] = pd.Series(pd.DatetimeIndex(found, dtype=times.UTC), table.index)
    table["shape"] = table["shape"].where(pd.Series(moved, table.index), "")
    kinds = dict.fromkeys(("system", "metric", "shape", "note"), "str") | dict.fromkeys(_NUMBERS, "float64")
    kinds |= dict.fromkeys(("m", "rows_before", "rows_during"), "int64")
    shown = ["system", "metric", "verdict", *_TIMES, "before", "during", "deviation", "shape", "p_value", "p_adjusted"]
    return table[[*shown, "m", "rows_before", "rows_during", "note"]].astype(kinds)

"""The measured series of an incident: what moved in each, and which moved together with the symptom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
import pandas as pd

from rca import onset
from rca.errors import InputError, UnknownName, did_you_mean, raise_all
from rca.progress import track
from rca.times import show

__all__ = ["ALPHA", "SYMPTOM_ALPHA", "Key", "Moved", "Series", "check", "examine", "together"]

ALPHA = 0.01  # chance, over all series together, that one moves when nothing is wrong
SYMPTOM_ALPHA = 0.05  # the same for the symptom, which somebody noticed: one series, chosen beforehand
_HALF = 2.0  # orders of magnitude of evidence that give half the strength

Key = tuple[str, str]


@dataclass(frozen=True)
class Series:
    """One measured series, what was found in it, and its strength as a suspect."""

    system: str
    metric: str
    values: pd.Series
    shift: onset.Shift
    strength: float = 0.0


@dataclass(frozen=True)
class Moved:
    """A system that moved together with the symptom.

    Attributes
    ----------
    series : tuple of Series
        Those that moved, strongest first.
    first : Series
        The one that times the system best: the least error, then the symptom, then the earliest.
    earliest : Timestamp
        When it may have begun to move, if gradually.
    """

    series: tuple[Series, ...]
    first: Series
    earliest: pd.Timestamp

    @property
    def strength(self) -> float:
        """Strength of the strongest series."""
        return self.series[0].strength

    @property
    def metrics(self) -> set[str]:
        """Names of the metrics that moved."""
        return {item.metric for item in self.series}


def check(
    metrics: pd.DataFrame, symptom: Key, before: onset.Window, during: onset.Window, harmful: Mapping[str, str]
) -> None:
    """Raise if the question cannot be asked of these metrics."""
    missing = [name for name in ("time", "system", "metric", "value") if name not in metrics.columns]
    raise_all([f"metrics: required column {name!r} is missing" for name in missing])
    if before[0] < during[1] and during[0] < before[1]:
        raise InputError(f"the windows before ({_shown(before)}) and during ({_shown(during)}) overlap")
    system, metric = symptom
    names = set(metrics["system"])
    if system not in names:
        raise UnknownName(f"symptom: no metrics of system {system!r}{did_you_mean(system, names)}")
    own = set(metrics.loc[metrics["system"] == system, "metric"])
    if metric not in own:
        raise UnknownName(f"symptom: {system!r} has no metric {metric!r}{did_you_mean(metric, own)}")
    known = set(metrics["metric"])
    problems = [f"harmful: unknown metric {name!r}{did_you_mean(name, known)}" for name in harmful if name not in known]
    for name, way in harmful.items():
        if way not in onset.DIRECTIONS:
            problems.append(f"harmful: {name}: bad direction {way!r}{did_you_mean(str(way), onset.DIRECTIONS)}")
    raise_all(problems, UnknownName)
    finite = metrics[np.isfinite(metrics["value"].to_numpy(dtype="float64"))]
    felt = finite[(finite["system"] == system) & (finite["metric"] == metric)]
    for rows, what in ((finite, "metrics"), (felt, f"{metric} of {system}")):
        for name in _empty(rows["time"], before, during):
            raise InputError(
                f"{what}: no measured value in the window {name} ({_shown(before if name == 'before' else during)})"
            )


def _shown(limits: onset.Window) -> str:
    return f"{show(limits[0])} to {show(limits[1])}"


def _empty(times: pd.Series, before: onset.Window, during: onset.Window) -> list[str]:
    """Return which windows hold none of the times."""
    windows = {"before": before, "during": during}
    return [name for name, (start, end) in windows.items() if not ((times >= start) & (times < end)).any()]


def examine(
    metrics: pd.DataFrame,
    graph: nx.DiGraph,
    symptom: Key,
    before: onset.Window,
    during: onset.Window,
    harmful: Mapping[str, str],
    *,
    progress: bool,
) -> tuple[pd.DataFrame, dict[Key, Series]]:
    """Return the table of all series, and those that may be ranked."""
    rows, seen = [], {}
    groups = metrics.groupby(["system", "metric"], sort=True)
    for (system, metric), group in track(groups, "series", total=groups.ngroups, progress=progress):
        key = (str(system), str(metric))
        finite = group[np.isfinite(group["value"].to_numpy(dtype="float64"))]
        empty = _empty(finite["time"], before, during)
        if empty:
            rows.append((*key, *[math.nan] * 3, f"no value in the window {' and '.join(empty)}"))
            continue
        way = harmful.get(key[1], "both")
        values = pd.Series(finite["value"].to_numpy(dtype="float64"), index=pd.DatetimeIndex(finite["time"]))
        found = onset.find(values, before=before, during=during, harmful="both" if way == "neither" else way)
        note = found.note
        if key != symptom and key[0] not in graph:
            note = "its system is not in the graph: not ranked"
        elif key != symptom and way == "neither":
            note = "a measure of demand: not ranked"
        else:
            seen[key] = Series(*key, values, found)
        rows.append((*key, found.before, found.during, found.deviation, note))
    table = pd.DataFrame(rows, columns=["system", "metric", "before", "during", "deviation", "note"])
    starts = [seen[key].shift.start if _clear(seen, key, symptom) else pd.NaT for key in _keys(table)]
    table.insert(5, "onset", pd.Series(pd.DatetimeIndex(starts, dtype="datetime64[ns, UTC]"), index=table.index))
    return table, seen


def _keys(table: pd.DataFrame) -> list[Key]:
    return list(zip(table["system"], table["metric"], strict=True))


def _evidence(seen: Mapping[Key, Series], key: Key, symptom: Key) -> float:
    """Return the orders of magnitude by which chance is ruled out; only the symptom was chosen beforehand."""
    tests = 1 if key == symptom else len(seen)
    return -math.log10(min(max(seen[key].shift.p_value * tests, 1e-300), 1.0))


def _clear(seen: Mapping[Key, Series], key: Key, symptom: Key) -> bool:
    return key in seen and _evidence(seen, key, symptom) > -math.log10(SYMPTOM_ALPHA if key == symptom else ALPHA)


def together(table: pd.DataFrame, graph: nx.DiGraph, seen: Mapping[Key, Series], symptom: Key) -> dict[str, Moved]:
    """Return the systems that moved, not after the symptom, and had not come back before it."""
    felt = seen[symptom].shift
    found: dict[str, list[Series]] = {}
    for key in _keys(table.dropna(subset="onset")):
        shift = seen[key].shift
        slack = shift.error + felt.error
        if key[0] in graph and shift.start <= felt.start + slack and shift.until >= felt.start - slack:
            evidence = _evidence(seen, key, symptom)
            strength = math.log1p(abs(shift.deviation)) * evidence / (evidence + _HALF)
            found.setdefault(key[0], []).append(replace(seen[key], strength=strength))
    moved = {}
    for system, series in found.items():
        own = [item for item in series if (item.system, item.metric) == symptom]
        first = min(own + series, key=lambda item: (item.shift.error, item not in own, item.shift.start, item.metric))
        timing = [first, *own]
        series.sort(key=lambda item: (-item.strength, item.shift.start, item.metric))
        moved[system] = Moved(tuple(series), first, min(item.shift.earliest for item in timing))
    return moved

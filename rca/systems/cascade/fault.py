"""A made-up fault: when it happens, how it runs through the graph, where it is noticed; and shifts beside it."""

from __future__ import annotations

import contextlib
import heapq
import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, raise_all, shorten

__all__ = ["SICK", "Fault", "Shift", "check", "decoys", "duration", "incident"]

SICK = ("latency", "errors")  # what a fault raises
_SHAPES = ("step", "ramp", "pulses")
_NOTICED = 5.0  # spreads at which somebody at an entry notices
_SHOWN = 0.5  # spreads below which an effect is none
_SEEN_ROWS = 6  # rows of the symptom that must lie in the window
_DRAWS = 200  # faults tried until one is noticed
_RISE, _PERIOD, _ON = 20, 12, 7  # rows: of a ramp, from pulse to pulse, of a pulse

Generator = np.random.Generator
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Fault:
    """What is broken, and how.

    Attributes
    ----------
    system : str
        Where it happens.
    metric : {"latency", "errors"}
        What it raises first of all.
    size : float
        Rise there, in spreads of the series (robust standard deviations of its healthy rows).
    start, lasts : Timedelta or str or None
        When it begins, counted from the start of the incident window, and how long it lasts; whole sampling
        steps. None: drawn.
    shape : {"step", "ramp", "pulses"}
        At once; growing for 20 rows (a third of `lasts` at most); or 7 rows on and 5 rows off.
    """

    system: str
    metric: str = "latency"
    size: float = 10.0
    start: pd.Timedelta | str | None = None
    lasts: pd.Timedelta | str | None = None
    shape: str = "step"


@dataclass(frozen=True)
class Shift:
    """A stretch of one series that is raised: first row, profile from 0 to 1 per row, size in spreads."""

    system: str
    metric: str
    row: int
    profile: Array
    size: float

    @property
    def until(self) -> int:
        """The first row after it."""
        return self.row + len(self.profile)


def check(fault: Fault, during: int, step: pd.Timedelta) -> None:
    """Raise unless the fault can happen in a window of so many rows."""
    for what, value, known in (("metric", fault.metric, SICK), ("shape", fault.shape, _SHAPES)):
        if value not in known:
            raise UnknownName(f"fault: unknown {what} {shorten(value)}{did_you_mean(str(value), known)}")
    problems = []
    if not isinstance(fault.size, numbers.Real) or not 0 < float(fault.size) < math.inf:
        problems.append(f"fault: size {shorten(fault.size)}, wanted a positive number")
    for what, time, least, most in (("start", fault.start, 0, during - 1), ("lasts", fault.lasts, 1, math.inf)):
        if time is not None:
            steps, rest = divmod(duration(f"fault: {what}", time), step)
            if rest or not least <= steps <= most:
                until = "" if math.isinf(most) else f" and at most {most}"
                problems.append(f"fault: {what} {shorten(time)}, wanted whole steps of {step}, at least {least}{until}")
    raise_all(problems)


def duration(what: str, value: str | pd.Timedelta) -> pd.Timedelta:
    """Return a Timedelta from a text or a Timedelta, never from a bare number."""
    length = pd.NaT
    if isinstance(value, pd.Timedelta) or (isinstance(value, str) and any(map(str.isalpha, value))):
        with contextlib.suppress(ValueError):
            length = pd.Timedelta(value).as_unit("ns")
    if pd.isna(length):
        raise InputError(f"{what}: {shorten(value)} is no duration, wanted one such as '5min'")
    return length


def _entries(graph: nx.DiGraph) -> list[str]:
    """Return the systems on which nobody depends but those of their own cycle."""
    rings = nx.condensation(graph)
    return sorted(
        name for ring, data in rings.nodes(data=True) if not rings.out_degree(ring) for name in data["members"]
    )


def incident(
    graph: nx.DiGraph, fault: Fault | str | None, before: int, during: int, step: pd.Timedelta, rng: Generator
) -> tuple[Fault | None, list[Shift], tuple[str, str]]:
    """Return the fault as drawn, what it raises, and where it is noticed."""
    entries = _entries(graph)
    if fault is None:
        return None, [], (entries[int(rng.integers(len(entries)))], SICK[int(rng.integers(2))])
    if isinstance(fault, Fault) and fault.system not in graph:
        raise UnknownName(f"fault: unknown system {shorten(fault.system)}{did_you_mean(str(fault.system), graph)}")
    inner = sorted(set(graph) - set(entries))
    where = inner if inner and rng.random() < 0.9 else entries
    for _ in range(_DRAWS):
        drawn = _draw(fault, where, during, step, rng)
        row, lasts = (int(pd.Timedelta(time) // step) for time in (drawn.start, drawn.lasts))
        reached = _spread(graph, drawn, rng)
        noticed = [name for name in entries if name in reached and reached[name][0] >= _NOTICED
                   and row + reached[name][1] + _SEEN_ROWS <= during]  # fmt: skip
        if noticed:
            break
    else:
        what = f"of {fault.size:g} spreads in {shorten(fault.system)}" if isinstance(fault, Fault) else "anywhere"
        raise InputError(
            f"fault: none {what} is noticed at an entry of the graph ({_NOTICED:g} spreads there, "
            f"at least {_SEEN_ROWS} rows before the end); wanted a larger or earlier one, or another place"
        )
    shifts = []
    other = SICK[1 - SICK.index(drawn.metric)]
    for name, (size, lag) in reached.items():
        profile = _profile(drawn.shape, lasts)[: max(0, during - row - lag)]
        both = ((drawn.metric, size), (other, size / 2))[: 2 if rng.random() < 0.3 else 1]
        shifts += [Shift(name, metric, before + row + lag, profile, z) for metric, z in both if len(profile)]
    return drawn, shifts, (noticed[int(rng.integers(len(noticed)))], drawn.metric)


def _draw(fault: Fault | str, where: Sequence[str], during: int, step: pd.Timedelta, rng: Generator) -> Fault:
    """Return a fault with all that was left open drawn."""
    system, size = where[int(rng.integers(len(where)))], round(float(rng.uniform(5, 25)), 3)
    shape, metric = _SHAPES[int(rng.integers(3))], SICK[int(rng.random() < 0.4)]
    start = int(rng.integers(during // 20, max(during * 6 // 10, during // 20 + 1))) * step
    lasts = int(rng.integers(max(10, during // 7), during)) * step
    if isinstance(fault, str):
        return Fault(system, metric, size, start, lasts, shape)
    return replace(
        fault,
        start=start if fault.start is None else pd.Timedelta(fault.start).as_unit("ns"),
        lasts=lasts if fault.lasts is None else pd.Timedelta(fault.lasts).as_unit("ns"),
    )


def _spread(graph: nx.DiGraph, fault: Fault, rng: Generator) -> dict[str, tuple[float, int]]:
    """Return system -> (size in spreads, lag in steps) of all that show the fault, by the strongest path."""
    edges, names = sorted(graph.edges), sorted(graph)
    slow = (0, 2, 5)[int(rng.integers(3))]
    lags = np.where(rng.random(len(edges)) < 0.6, rng.integers(0, slow + 1, len(edges)), 0)
    gains = np.where(rng.random(len(edges)) < 0.15, 0.0, rng.uniform(0.5, 1.0, len(edges)))
    felt = dict(zip(names, rng.uniform(0.5, 1.6, len(names)), strict=True)) | {fault.system: 1.0}
    passed = dict(zip(edges, zip(gains.tolist(), lags.tolist(), strict=True), strict=True))
    reached: dict[str, tuple[float, int]] = {}
    # Gains are at most 1, so that the strongest system not yet settled cannot be raised by a later one.
    queue = [(-float(fault.size), fault.system, 0)]
    while queue:
        size, name, lag = heapq.heappop(queue)
        if name in reached:
            continue
        reached[name] = (-size, lag)
        for effect in graph.successors(name):
            gain, later = passed[name, effect]
            heapq.heappush(queue, (size * gain, effect, lag + later))
    shown = {name: (size * float(felt[name]), lag) for name, (size, lag) in reached.items()}
    return {name: (size, lag) for name, (size, lag) in shown.items() if size >= _SHOWN}


def _profile(shape: str, rows: int) -> Array:
    """Return the course of a shift, from 0 to 1."""
    row = np.arange(rows)
    if shape == "ramp":
        return np.minimum(1.0, (row + 1) / max(1, min(_RISE, rows // 3)))
    return (row % _PERIOD < _ON).astype(float) if shape == "pulses" else np.ones(rows)


def decoys(names: Sequence[str], count: int, before: int, rows: int, rng: Generator) -> list[Shift]:
    """Return shifts of `count` of the named systems, from the second half of `before` on."""
    shifts = []
    for place in rng.permutation(len(names))[:count]:
        row, lasts = int(rng.integers(before // 2, rows - 10)), int(rng.integers(10, max(11, rows // 8)))
        profile = _profile("step", min(lasts, rows - row))
        shifts.append(Shift(names[place], SICK[int(rng.integers(2))], row, profile, float(rng.uniform(3, 15))))
    return shifts

"""Incidents with known truth, made from a seed: for tests, calibration and drills."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from rca.errors import InputError, raise_all, shorten
from rca.systems.cascade import fault as faults, noise
from rca.systems.cascade.fault import Fault, Shift

__all__ = ["Fault", "Simulation", "random_graph", "simulate"]

_HARMFUL = {"latency": "up", "errors": "up", "requests": "neither"}
_START = pd.Timestamp("2025-03-03T00:00Z")
_MIN_BEFORE, _MIN_DURING = 60, 30  # rows
_MISSED = 0.005  # share of rows that a scrape misses
_LONGEST = pd.Timedelta("36500D")
_STREAMS = ("graph", "fault", "noise", "levels", "load", "decoys", "hidden", "edges", "rows")

Generator = np.random.Generator
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Simulation:
    """An incident and the truth about it.

    Attributes
    ----------
    metrics : DataFrame
        What was measured, sorted by time, system, metric. Columns: ``time`` (UTC), ``system``, ``metric``
        (``latency`` in milliseconds, ``errors`` as a share, ``requests`` per step), ``value``.
    graph, true_graph : DiGraph
        Edge ``cause -> effect``: as the investigator believes it is, and as it is.
    symptom : (str, str)
        System and metric by which the incident was noticed; by which somebody asks, when there is no fault.
    before, during : pair of Timestamp
        Healthy window and incident window in UTC, start included, end not.
    harmful : dict
        Metric -> direction, as ``rca.cascade.trace`` takes it.
    fault : Fault or None
        The fault, with what was drawn filled in.
    effects : DataFrame
        All that the fault moved, by lag and system. Columns: ``system``, ``metric``, ``onset`` (UTC),
        ``lag`` (Timedelta after the fault), ``size`` (spreads).
    load : pair of Timestamp or None
        The surge of load.
    decoys : DataFrame
        Shifts that have nothing to do with the fault. Columns: ``system``, ``metric``, ``start``, ``until`` (UTC),
        ``size`` (spreads).
    hidden : tuple of str
        Systems without metrics.
    """

    metrics: pd.DataFrame
    graph: nx.DiGraph
    true_graph: nx.DiGraph
    symptom: tuple[str, str]
    before: tuple[pd.Timestamp, pd.Timestamp]
    during: tuple[pd.Timestamp, pd.Timestamp]
    harmful: Mapping[str, str]
    fault: Fault | None
    effects: pd.DataFrame
    load: tuple[pd.Timestamp, pd.Timestamp] | None
    decoys: pd.DataFrame
    hidden: tuple[str, ...]

    def __repr__(self) -> str:
        cause = f"fault in {self.fault.system}" if self.fault else "no fault"
        return f"Simulation: {len(self.true_graph)} systems, {cause}, symptom {' of '.join(self.symptom[::-1])}"


def random_graph(systems: int, *, rng: Generator) -> nx.DiGraph:
    """Return a random graph of services in layers, edge ``cause -> effect``.

    Each system calls one or a few of a lower layer, mostly near; 1 in 20 is a hub that many call; every other
    graph or so has a cycle. Names and their order say nothing of the place in the graph.

    Parameters
    ----------
    systems : int
        How many, at least 2.
    rng : Generator
        The source of chance.

    Returns
    -------
    DiGraph

    Raises
    ------
    InputError
        If `systems` is not a whole number of at least 2.

    Examples
    --------
    >>> graph = random_graph(40, rng=np.random.default_rng(0))
    >>> len(graph), min(graph)
    (40, 's00')
    """
    raise_all(_whole("systems", systems, 2))
    names = [f"s{number:0{len(str(systems - 1))}d}" for number in range(systems)]
    order = [names[number] for number in rng.permutation(systems)]
    height = np.sort(rng.random(systems))
    called = np.where(rng.random(systems) < 0.05, 10.0, 1.0)
    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    for number in range(1, systems):
        weight = called[:number] * np.exp(-6 * (height[number] - height[:number]))
        count = min(number, 1 + int(rng.poisson(0.8)))
        for cause in rng.choice(number, size=count, replace=False, p=weight / weight.sum()):
            graph.add_edge(order[cause], order[number])
    edges = sorted(graph.edges)
    for _ in range(int(rng.poisson(0.5))):
        cause, effect = edges[int(rng.integers(len(edges)))]
        graph.add_edge(effect, cause)
    return graph


def simulate(
    graph: nx.DiGraph | None = None,
    fault: Fault | str | None = "random",
    *,
    systems: int = 60,
    before: int = 720,
    during: int = 180,
    step: str | pd.Timedelta = "1min",
    hidden: float = 0.1,
    missing: float = 0.05,
    wrong: float = 0.05,
    load: float = 0.3,
    decoys: int = 2,
    seed: int,
) -> Simulation:
    """Make an incident, or a window without one, of which all is known.

    The fault raises one metric of its system and runs from cause to effect: an edge takes 0 to 5 steps and hands
    on 50 to 100 %, or nothing (a fallback, 15 % of the edges); each system follows its strongest path, feels
    0.5 to 1.6 times what arrives, and in 30 % of the cases shows half of it in the other metric too. It is noticed
    at an entry, a system that nobody depends on (or only its own cycle), which it raised by at least 5 spreads.

    Around it: autocorrelated noise, heavy-tailed in a fifth of the series; a daily rhythm, strong in requests;
    noise of latency that consumers take over from what they call; missed rows; a surge of load, which multiplies
    requests and raises latency a little everywhere; shifts of unrelated systems.

    Parameters
    ----------
    graph : DiGraph, optional
        Edge ``cause -> effect``, nodes are texts; cycles are allowed. Default: `random_graph` of `systems`.
    fault : Fault or "random" or None, default "random"
        None: nothing is broken. Random: 5 to 25 spreads, in 1 of 10 cases at an entry itself.
    systems : int, default 60
        Size of the random graph; not looked at when `graph` is given.
    before, during : int, default 720 and 180
        Rows of the healthy window (at least 60) and of the incident window after it (at least 30).
    step : str or Timedelta, default "1min"
        Sampling step.
    hidden : float, default 0.1
        Share of the systems without metrics; never the faulty and the alerting one.
    missing, wrong : float, default 0.05
        Edges that the known graph lacks, and that it has and should not, as shares of the true edges.
    load : float, default 0.3
        Chance of a surge of load in the incident window.
    decoys : int, default 2
        Shifts of systems that the fault does not reach, from the second half of `before` on.
    seed : int
        Decides everything else. Noise, levels, load and missed rows do not depend on the fault.

    Returns
    -------
    Simulation

    Raises
    ------
    UnknownName
        If the fault's system, metric or shape is not known.
    InputError
        If another argument is out of its range, or no entry notices the fault in 200 draws of its way.

    Notes
    -----
    One seed gives one result on every platform (values are rounded to about six digits), as long as NumPy
    keeps its streams: its version may matter. Shares of errors end at 1 and latency at 2 % of its level, whatever
    the size. The truth may be out of reach: a missing edge can cut the faulty system off from the symptom. Real
    incidents have more than one cause, retries, queues and people; results on simulated ones say nothing certain
    of those. 300 systems take less than a second.

    Examples
    --------
    >>> made = simulate(nx.DiGraph([("db", "api"), ("api", "web")]), Fault("db", start="30min"), hidden=0, seed=1)
    >>> made.symptom, made.effects["system"].iloc[0], made.effects["onset"].iloc[0] - made.during[0]
    (('web', 'latency'), 'db', Timedelta('0 days 00:30:00'))
    >>> simulate(fault=None, seed=1)
    Simulation: 60 systems, no fault, symptom ... of s...
    """
    length = _check(fault, before, during, step, {"hidden": hidden, "missing": missing, "wrong": wrong, "load": load},
                    {"decoys": decoys, "seed": seed})  # fmt: skip
    rngs = {
        name: np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(key,))))
        for key, name in enumerate(_STREAMS)
    }
    true = random_graph(systems, rng=rngs["graph"]) if graph is None else _copy(graph)
    names, rows = sorted(true), before + during
    times = pd.date_range(_START, periods=rows + 1, freq=length, unit="ns")
    broken, shifts, symptom = faults.incident(true, fault, before, during, length, rngs["fault"])
    unseen = _hidden(names, {symptom[0], *([broken.system] if broken else [])}, hidden, rngs["hidden"])
    others = sorted({*names} - {*unseen, symptom[0]} - {shift.system for shift in shifts})
    false = faults.decoys(others, decoys, before, rows, rngs["decoys"])
    spreads = noise.healthy(true, rows, before, length, rngs["noise"])
    surge = noise.add_load(spreads, load, before, rngs["load"])
    place = {name: number for number, name in enumerate(names)}
    for shift in (*shifts, *false):
        spreads[shift.metric][shift.row : shift.until, place[shift.system]] += shift.size * shift.profile
    measured = rngs["rows"].random((rows, len(names))) >= _MISSED
    measured[:, [place[name] for name in unseen]] = False
    return Simulation(
        metrics=_table(times[:-1], names, noise.measured(spreads, rngs["levels"]), measured),
        graph=_known(true, missing, wrong, rngs["edges"]),
        true_graph=true,
        symptom=symptom,
        before=(times[0], times[before]),
        during=(times[before], times[-1]),
        harmful=dict(_HARMFUL),
        fault=broken,
        effects=_effects(shifts, times, times[before] + (broken.start if broken else pd.Timedelta(0))),
        load=(times[surge[0]], times[surge[1]]) if surge else None,
        decoys=_shifts(false, times, ("start", "until")),
        hidden=unseen,
    )


def _whole(what: str, value: object, least: int) -> list[str]:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < least:
        return [f"{what}: {shorten(value)}, wanted a whole number of at least {least}"]
    return []


def _check(
    fault: object, before: int, during: int, step: str | pd.Timedelta,
    shares: Mapping[str, float], counts: Mapping[str, int],
) -> pd.Timedelta:  # fmt: skip
    """Return the sampling step, or raise with all that is wrong with the arguments."""
    problems = [*_whole("before", before, _MIN_BEFORE), *_whole("during", during, _MIN_DURING)]
    problems += [problem for what, value in counts.items() for problem in _whole(what, value, 0)]
    problems += [
        f"{what}: {shorten(value)}, wanted a share from 0 to 1"
        for what, value in shares.items()
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) <= 1
    ]
    if not (fault is None or isinstance(fault, Fault) or fault == "random"):
        problems.append(f"fault: {shorten(fault)}, wanted a Fault, 'random' or None")
    raise_all(problems)
    length = faults.duration("step", step)
    if length <= pd.Timedelta(0) or length > _LONGEST / (before + during):
        raise InputError(
            f"step: {shorten(step)}, wanted more than nothing, and {before + during} rows within 100 years"
        )
    if isinstance(fault, Fault):
        faults.check(fault, during, length)
    return length


def _copy(graph: nx.DiGraph) -> nx.DiGraph:
    """Return nodes and edges of a user's graph in the order of their names."""
    if not isinstance(graph, nx.DiGraph) or graph.is_multigraph() or not len(graph):
        raise InputError(f"graph: {shorten(graph)}, wanted a DiGraph with at least one node")
    raise_all([f"graph: node {shorten(node)} is no text" for node in graph if not isinstance(node, str)])
    out = nx.DiGraph()
    out.add_nodes_from(sorted(graph))
    out.add_edges_from(sorted(graph.edges))
    return out


def _hidden(names: Sequence[str], shown: set[str], share: float, rng: Generator) -> tuple[str, ...]:
    """Return the systems without metrics."""
    order = [names[number] for number in rng.permutation(len(names))]
    return tuple(sorted([name for name in order if name not in shown][: round(share * len(names))]))


def _known(graph: nx.DiGraph, missing: float, wrong: float, rng: Generator) -> nx.DiGraph:
    """Return the graph as the investigator believes it is."""
    names, edges = sorted(graph), sorted(graph.edges)
    size, lost, added = len(names), round(missing * len(edges)), round(wrong * len(edges))
    place = {name: number for number, name in enumerate(names)}
    taken = [place[cause] * size + place[effect] for cause, effect in edges] + [
        number * (size + 1) for number in range(size)
    ]
    free = np.setdiff1d(np.arange(size * size), taken)
    if added > len(free):
        raise InputError(f"wrong: {added} edges, but only {len(free)} pairs of systems have none in the true graph")
    known = graph.copy()
    known.remove_edges_from(edges[number] for number in rng.permutation(len(edges))[:lost])
    for code in rng.choice(free, added, replace=False).tolist():
        known.add_edge(names[code // size], names[code % size])
    return known


def _table(times: pd.DatetimeIndex, names: Sequence[str], values: Mapping[str, Array], measured: Array) -> pd.DataFrame:
    """Return the measured values in long form."""
    metrics = sorted(values)
    row, system = (np.repeat(part, len(metrics)) for part in np.nonzero(measured))
    return pd.DataFrame({
        "time": times[row],
        "system": pd.Index(list(names), dtype="str").take(system),
        "metric": pd.Index(metrics, dtype="str").take(np.tile(np.arange(len(metrics)), int(measured.sum()))),
        "value": np.stack([values[metric] for metric in metrics], axis=-1)[measured].ravel(),
    })  # fmt: skip


def _effects(shifts: Sequence[Shift], times: pd.DatetimeIndex, begin: pd.Timestamp) -> pd.DataFrame:
    """Return the table of effects of a fault that begins at `begin`."""
    table = _shifts(shifts, times, ("onset", "until"))
    table["lag"] = table["onset"] - begin
    table = table.sort_values(["lag", "system", "size"], ascending=[True, True, False], ignore_index=True)
    return table[["system", "metric", "onset", "lag", "size"]]


def _shifts(shifts: Sequence[Shift], times: pd.DatetimeIndex, names: tuple[str, str]) -> pd.DataFrame:
    """Return the table of shifts, with the given names for their two times."""
    return pd.DataFrame({
        "system": pd.Series([shift.system for shift in shifts], dtype="str"),
        "metric": pd.Series([shift.metric for shift in shifts], dtype="str"),
        names[0]: times[[shift.row for shift in shifts]],
        names[1]: times[[shift.until for shift in shifts]],
        "size": np.array([shift.size for shift in shifts], dtype=float),
    })  # fmt: skip

"""Which system broke first, told from metrics and the graph of dependencies; or why it cannot be told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import networkx as nx
import pandas as pd

from rca import onset
from rca.records import Trace
from rca.systems.cascade import links as chains
from rca.systems.cascade.series import SYMPTOM_ALPHA, Key, Moved, Series, check, examine, together
from rca.times import show

__all__ = ["trace"]

_MARGIN = 1.25  # the leader's score over the runner-up's, below which they tie
_WIDE_MARGIN = 2.0  # the same when effects may lag
_PATIENCE = 0.1  # share of the symptom's stretch by which an effect may then lag
_COLUMNS = (
    "rank", "score", "deviation", "own_excess", "metric", "onset", "onset_error", "path", "sentence",
)  # fmt: skip


def trace(
    metrics: pd.DataFrame,
    graph: nx.DiGraph,
    *,
    symptom: tuple[str, str],
    before: Sequence[Any],
    during: Sequence[Any],
    harmful: Mapping[str, str] | None = None,
    progress: bool = False,
) -> Trace:
    """Rank the systems that could have set off the symptom, or say why nobody can be named.

    Every series is searched for its strongest sustained stretch in `during` (see ``rca.onset.find``). It *moved*
    if chance explains that with less than 1 % over all series together (Bonferroni), not after the symptom
    (beyond the errors of both onsets), and without coming back before it. Its strength is log(1 + d) e / (e + 2):
    d its deviation in robust standard deviations, e the orders of magnitude by which chance is ruled out.

    A system is *explained* by the nearest moved systems upstream whose times fit: it followed within the
    sampling steps, or the other grew once more when it began; the fit decays with the time in excess. Such
    a link counts half if it runs through systems whose own metrics did not move with it, and half if
    the metrics measured at both ends moved at one end only. A dependency that moved later than its consumer
    is explained by that, at half weight (load). Score = (strength less what best explains it) x (weight of
    the best chain of links to the symptom).

    Parameters
    ----------
    metrics : DataFrame
        Columns ``time`` (UTC), ``system``, ``metric``, ``value``; any sampling, regular or not.
    graph : DiGraph
        Edge ``u -> v``: a fault in ``u`` can reach ``v``. Cycles are allowed.
    symptom : (str, str)
        System and metric by which the incident was noticed.
    before, during : pair of Timestamp
        Healthy window and incident window, start included, end not; disjoint, in either order.
    harmful : mapping, optional
        Metric -> ``"up"``, ``"down"``, ``"both"`` or ``"neither"`` (a measure of demand, which moves
        without harm and makes nobody a suspect). Default ``"both"``.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    Trace
        ``candidates`` holds the systems with a chain of links to the symptom; ``own_excess`` and ``score`` are
        in the unit of strength. ``deviations`` holds every series, with ``onset`` where it moved and a ``note`` on
        why it was set aside.

    Raises
    ------
    UnknownName
        If the symptom's system or metric, or a metric in `harmful`, is not in `metrics`.
    InputError
        If the windows overlap, or one holds no measured value, or none of the symptom.

    Notes
    -----
    It abstains if the symptom is within noise (5 %) or its system not in `graph`; if the leader's score is
    not 1.25 times the next; if it moved together with a system that it depends on and that depends
    on it; if another leads, or comes within half the score, once effects may lag by the errors of the onsets
    and a tenth of the symptom's stretch, or as long as they may have grown unseen; and if most systems
    unrelated to the leader moved no later than it (a cause outside the graph, such as load). A rank is a
    hypothesis: a cause that no metric shows cannot be named, and the sentence lists dependencies without
    metrics. A step long before the symptom is set aside, even if it was a slow cause. Systems that are not
    in `graph` are noted, not ranked. Names carry no meaning, except that two metrics have the same one. The
    weights were set by hand with simulated incidents, PetShop and RootCauseBench in view, so results on those
    flatter the method. Cost: one onset search per series.

    Examples
    --------
    >>> time = pd.date_range("2025-03-01", periods=60, freq="min", tz="UTC")
    >>> def series(system, values):
    ...     return pd.DataFrame({"time": time, "system": system, "metric": "latency", "value": values})
    >>> table = pd.concat([
    ...     series("db", [10.0, 11.0] * 20 + [20.0, 21.0] * 10),
    ...     series("api", [30.0, 31.0] * 20 + [40.0, 41.0] * 10),
    ... ])
    >>> result = trace(table, nx.DiGraph([("db", "api")]), symptom=("api", "latency"),
    ...                before=(time[0], time[30]), during=(time[30], time[59]))
    >>> result.first, result.candidates.loc["db", "path"]
    ('db', ('db', 'api'))
    """
    healthy, searched = onset.window(before, "before"), onset.window(during, "during")
    symptom, harmful = (str(symptom[0]), str(symptom[1])), harmful or {}
    check(metrics, symptom, healthy, searched, harmful)
    table, seen = examine(metrics, graph, symptom, healthy, searched, harmful, progress=progress)
    felt = seen[symptom].shift
    reason = _unusable(felt, graph, symptom, harmful.get(symptom[1], "both"))
    if reason:
        return Trace(symptom, _nobody(), table, reason)
    moved = together(table, graph, seen, symptom)
    candidates, reason = _judge(graph, moved, seen, symptom, None)
    if not reason:
        lenient, doubt = _judge(graph, moved, seen, symptom, _PATIENCE * (felt.until - felt.start))
        if doubt or lenient.index[0] != candidates.index[0]:
            reason = (f"The times do not tell: {candidates.index[0]} fits best if effects follow at once; "
                      f"if they may lag: {doubt or f'{lenient.index[0]} fits best.'}")  # fmt: skip
    table["note"] = _notes(table, candidates, moved, felt)
    return Trace(symptom, _nobody() if reason else candidates, table, reason or None)


def _unusable(felt: onset.Shift, graph: nx.DiGraph, symptom: Key, way: str) -> str:
    """Return why the symptom gives no hold; empty when it does."""
    system, metric = symptom
    if felt.p_value >= SYMPTOM_ALPHA:
        where = {"up": " upwards", "down": " downwards"}.get(way, "")
        why = f" ({felt.note})" if felt.note else ""
        return (f"The symptom, {metric} of {system}, stayed within its noise{where}: {felt.before:.3g} before, "
                f"{felt.during:.3g} in its strongest stretch{why}.")  # fmt: skip
    if system not in graph:
        return f"The symptom's system, {system}, is not in the graph, so what it depends on is not known."
    return ""


def _judge(
    graph: nx.DiGraph,
    moved: Mapping[str, Moved],
    seen: Mapping[Key, Series],
    symptom: Key,
    patience: pd.Timedelta | None,
) -> tuple[pd.DataFrame, str]:
    """Return the candidates, best first, and why the leader may not be named; empty when it may."""
    measured = {system for system, _ in seen}
    candidates = _rank(graph, moved, chains.find(graph, moved, seen, patience), symptom[0], measured)
    leader, best = str(candidates.index[0]), float(candidates["score"].iloc[0])
    margin = _MARGIN if patience is None else _WIDE_MARGIN
    rivals = candidates.index[candidates["score"] * margin > best].tolist()
    if len(rivals) > 1:
        return (
            candidates,
            f"{len(rivals)} systems fit about equally well and cannot be told apart: {', '.join(rivals)}.",
        )
    ring = nx.ancestors(graph, leader) & nx.descendants(graph, leader) & set(moved)
    mates = sorted(name for name in ring if min(chains.both(moved[name], moved[leader])) >= 0)
    if mates:
        return candidates, f"{leader} and {', '.join(mates)} depend on each other and moved at the same time."
    related = nx.ancestors(graph, leader) | nx.descendants(graph, leader) | {leader}
    others = (measured & set(graph)) - related
    with_it = sorted(name for name in others if name in moved and chains.follows(moved[name], moved[leader], None) >= 0)
    if len(with_it) > 1 and 2 * len(with_it) >= len(others):
        return candidates, (f"Systems unrelated to {leader}, the best fit, moved no later ({', '.join(with_it)}): "
                            "this points at a cause outside the graph, such as load.")  # fmt: skip
    return candidates, ""


def _rank(
    graph: nx.DiGraph,
    moved: Mapping[str, Moved],
    links: Sequence[chains.Link],
    end: str,
    measured: Collection[str],
) -> pd.DataFrame:
    """Return the table of candidates, best first."""
    reach: dict[str, tuple[float, tuple[str, ...]]] = {end: (1.0, (end,))}
    for _ in moved:
        for link in links:
            weight, path = reach.get(link.effect, (0.0, ()))
            if not link.load and weight * link.weight > reach.get(link.cause, (0.0, ()))[0]:
                reach[link.cause] = (weight * link.weight, (*link.path[:-1], *path))
    rows = []
    for system, (weight, path) in reach.items():
        best = moved[system].series[0]
        causes = [(moved[link.cause].strength * link.weight, link) for link in links if link.effect == system]
        explained, by = max(causes, key=lambda item: item[0], default=(0.0, None))
        own = max(best.strength - explained, 0.0)
        rows.append({
            "system": system, "score": round(own * weight, 6), "deviation": best.shift.deviation, "own_excess": own,
            "metric": best.metric, "onset": best.shift.start, "onset_error": best.shift.error, "path": path,
            "sentence": _sentence(graph, best, by, explained >= best.strength / 2, measured),
        })  # fmt: skip
    table = pd.DataFrame(rows).sort_values(
        ["score", "onset", "system"], ascending=[False, True, True], ignore_index=True
    )
    table["rank"] = table["score"].rank(method="max", ascending=False).astype("int64")
    return table.set_index("system")[list(_COLUMNS)]


def _nobody() -> pd.DataFrame:
    return pd.DataFrame(columns=list(_COLUMNS), index=pd.Index([], name="system"))


def _notes(table: pd.DataFrame, candidates: pd.DataFrame, moved: Mapping[str, Moved], felt: onset.Shift) -> list[str]:
    """Return the notes, with what was set aside because of its time."""
    notes = []
    for row in table.itertuples(index=False):
        note, lead = str(row.note), felt.start - row.onset
        if note or pd.isna(lead):
            pass
        elif row.system not in moved or row.metric not in moved[row.system].metrics:
            note = f"moved {_span(abs(lead))} {'before' if lead > pd.Timedelta(0) else 'after'} the symptom: set aside"
        elif row.system not in candidates.index:
            when = f"{_span(lead)} before" if lead > felt.error else "with"
            note = f"moved {when} the symptom, but no chain of moved systems in order of time leads there: set aside"
        notes.append(note)
    return notes


def _span(length: pd.Timedelta) -> str:
    """Return a duration in its largest fitting unit."""
    for unit, name in (("D", "day"), ("h", "hour"), ("min", "minute")):
        one = pd.Timedelta(1, unit)
        if length == one:
            return f"1 {name}"
        if length >= 2 * one:
            return f"{length / one:.0f} {name}s"
    return f"{length.total_seconds():.0f} seconds"


def _sentence(
    graph: nx.DiGraph, series: Series, by: chains.Link | None, mostly: bool, measured: Collection[str]
) -> str:
    """Say what moved, when, and what speaks for or against it as first cause."""
    shift = series.shift
    rate = " per second" if shift.note else ""
    when = (f"before the first row, {show(shift.start)}" if shift.censored
            else f"at {show(shift.start)} (within {_span(shift.error)})")  # fmt: skip
    text = (f"{series.metric} of {series.system} {'rose' if shift.during > shift.before else 'fell'} "
            f"from {shift.before:.3g} to {shift.during:.3g}{rate} {when}; ")  # fmt: skip
    if by is not None:
        how = "which uses it and moved earlier" if by.load else "which it depends on and which moved no later"
        return f"{text}{'explained' if mostly else 'only partly explained'} by {by.cause}, {how}."
    causes = nx.ancestors(graph, series.system)
    blind = sorted(causes - set(measured))
    if not causes:
        return f"{text}the graph lists nothing that it depends on."
    if len(blind) == len(causes):
        return f"{text}nothing that it depends on has metrics ({', '.join(blind)})."
    unseen = f"; no metrics of {', '.join(blind)}" if blind else ""
    return f"{text}nothing that it depends on moved with it{unseen}."

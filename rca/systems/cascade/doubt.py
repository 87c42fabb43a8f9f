"""When the leader of the ranking may not be named, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping

import networkx as nx
import numpy as np
import pandas as pd

from rca.errors import did_you_mean
from rca.systems.cascade import sentences
from rca.systems.cascade.links import Moved
from rca.systems.cascade.series import BLIND, DEMAND, Felt, fell_silent

__all__ = ["SYMPTOM", "doubt", "joint", "unusable"]

_TIE = 1.03  # the leader's score over the runner-up's, below which they tie
_ALIKE = 1.1  # the leader's score over that of another in a cycle with it, up to which they are alike
SYMPTOM = 0.05  # chance of the symptom when nothing is wrong, above which it says nothing by itself
_JOINT = 0.03  # chance of symptom and leader together (Fisher's method), above which nobody is named
_ALIGNED = 0.5  # alignment from which on a measure of demand took the symptom's course
_MANY = 0.25  # share of the systems unrelated to the leader that moved too, which point outside the graph
_EXPLAINED = 0.5  # share of the symptom's system that a cause of its own explains, above which it is not named
_HALF = 0.5  # score over the leader's, from which on a system without a way to the symptom may be the cause
_LEVEL = 0.9  # strength over the leader's, from which on a system that moved with it moved as clearly
_LONG = 24  # rows before the leader's begin from which on a system that fell silent may have failed first
_SILENT = 3  # rows after it up to which it may
_CLEAR = 3.0  # strength above which an unrelated system moved too


def unusable(own: Felt, table: pd.DataFrame, graph: nx.DiGraph, symptom: tuple[str, str], censored: bool) -> str:
    """Return why the symptom gives no hold; empty when it may."""
    system, metric = symptom
    if system not in graph:
        return f"The symptom's system, {system}, is not in the graph, so what it depends on is not known."
    measured, causes = set(table["system"]), nx.ancestors(graph, system)
    others = sorted(measured - set(graph))
    if others and causes and not causes & measured:
        near = next((text for text in (did_you_mean(name, graph) for name in others) if "mean" in text), ".")
        return (f"Nothing that {system} depends on has metrics, but {sentences.listed(others)} have some and are not "
                f"in the graph{near}")  # fmt: skip
    if own.demand:
        return f"The symptom, {metric} of {system}, is declared a measure of demand: neither direction of it is harm."
    if own.note.startswith("only "):
        return f"The symptom, {metric} of {system}, cannot be judged: {own.note}."
    if own.chance < 1 and own.focus.lone:
        return f"The symptom, {metric} of {system}, moved in a single sampling step: a lone spike is no incident."
    if not own.harmed:
        return _within(symptom, own)
    if own.chance < SYMPTOM and censored:
        return (f"The symptom, {metric} of {system}, was away from its healthy level since the window began, and the "
                "healthy window is not next to it: a window that begins before the incident is needed.")  # fmt: skip
    return ""


def doubt(
    scored: pd.DataFrame,
    systems: Moved,
    table: pd.DataFrame,
    graph: nx.DiGraph,
    own: Felt,
    symptom: tuple[str, str],
    aside: Mapping[str, str],
) -> str:
    """Return why the leader may not be named; empty when it may."""
    together = joint(scored, own, len(systems.names))
    if own.chance >= SYMPTOM and together >= _JOINT:
        return _within(symptom, own)
    if scored.empty or together >= _JOINT:
        best = ""
        if len(scored):
            chance = _by_chance(scored, len(systems.names))
            best = (f"; {scored['system'].iloc[0]} comes closest, but among {len(systems.names)} healthy systems one "
                    f"would do as well in {chance:.0%} of such windows")  # fmt: skip
        return f"No system that the symptom could come from followed its course in time clearly enough{best}."
    leader = str(scored["system"].iloc[0])
    if leader == symptom[0] and _explained(scored):
        return (f"{leader}, which has the symptom, fits its course best, but {scored['cause'].iloc[0]}, on which it "
                "depends, moved no later and explains most of it: they cannot be told apart.")  # fmt: skip
    tied = scored["system"][scored["score"] * _TIE > scored["score"].iloc[0]].tolist()
    mates = _mates(scored, systems, graph, leader)
    if mates:
        return f"{leader} and {sentences.listed(mates)} depend on each other and moved at the same time."
    if len(tied) > 1:
        return f"{len(tied)} systems fit about equally well and cannot be told apart: {sentences.listed(tied)}."
    first, count = scored.iloc[0], len(systems.names)
    return (
        _unlinked(table, graph, first, symptom[0], count)
        or _missing_edge(scored, graph)
        or _turned(scored, graph)
        or _unseen(table, graph, first, aside)
        or _outside(table, graph, leader, symptom[1])
        or _common(table, graph, first, symptom[1])
        or _demand(table, first, count)
    )


def _by_chance(scored: pd.DataFrame, count: int) -> float:
    """Return the chance that one of `count` healthy systems follows the symptom as well as the leader."""
    return min(1.0, 10 ** float(scored["chance"].iloc[0]) * count) if len(scored) else 1.0


def joint(scored: pd.DataFrame, own: Felt, count: int) -> float:
    """Return the chance of symptom and leader together when nothing is wrong.

    Fisher's method: the chance of so small a product of two uniform numbers.
    """
    product = max(own.chance * _by_chance(scored, count), 1e-300)
    return product * (1 - math.log(product))


def _within(symptom: tuple[str, str], own: Felt) -> str:
    """Say that the symptom did not move."""
    where = {1.0: " upwards", -1.0: " downwards"}[own.sign] if own.sided else ""
    why = f" ({own.note})" if own.note else ""
    return (f"The symptom, {symptom[1]} of {symptom[0]}, stayed within its noise{where}: {own.before:.3g} before, "
            f"{own.during:.3g} in its strongest stretch{why}.")  # fmt: skip


def _explained(scored: pd.DataFrame) -> bool:
    """Return whether another candidate explains the leader and followed the symptom a third as closely."""
    leader = scored.iloc[0]
    cause = scored["alignment"][scored["system"] == leader["cause"]]
    return bool(leader["taken"] > _EXPLAINED and len(cause) and cause.iloc[0] >= leader["alignment"] / 3)


def _mates(scored: pd.DataFrame, systems: Moved, graph: nx.DiGraph, leader: str) -> list[str]:
    """Return the systems in a cycle with the leader, which times cannot order: next to it, or nearly as well placed."""
    place = {name: number for number, name in enumerate(systems.names)}
    found = []
    direct = set(graph.predecessors(leader)) & set(graph.successors(leader))
    ring = set(nx.ancestors(graph, leader)) & set(nx.descendants(graph, leader))
    near = set(scored["system"][scored["score"] * _ALIKE > scored["score"].iloc[0]])
    for name in set(scored["system"]) & (direct | (ring & near)) - {leader}:
        if not systems.after(place[name], place[leader]) and not systems.after(place[leader], place[name]):
            found.append(name)
    return sorted(found)


def _unlinked(table: pd.DataFrame, graph: nx.DiGraph, leader: pd.Series, system: str, count: int) -> str:
    """Return whether a symptom without any edge leads, though others moved before it or as clearly; empty when not."""
    if leader["system"] != system or set(nx.all_neighbors(graph, system)) - {system}:
        return ""
    moved = table[(table["chance"] + math.log10(count) < math.log10(SYMPTOM)) & (table["system"] != system)]
    moved = moved[moved["ranked"] & moved["begin"].notna()]
    gap, slack = leader["begin"] - moved["begin"], moved["error"] + leader["error"]
    as_clearly = moved["strength"] >= _LEVEL * leader["strength"]
    rivals = sorted(set(moved["system"][(gap > slack) | ((gap.abs() <= slack) & as_clearly)]))
    if not rivals:
        return ""
    return (f"The graph has no edge at {system}, so what it depends on is not known, and {sentences.listed(rivals)} "
            "moved before it, or with it and as clearly: their edges are wanted.")  # fmt: skip


def _missing_edge(scored: pd.DataFrame, graph: nx.DiGraph) -> str:
    """Return whether a system without a way to symptom and leader moved earlier and fits half as well; empty if not."""
    first, leader = scored.iloc[0], str(scored["system"].iloc[0])
    related = nx.ancestors(graph, leader) | nx.descendants(graph, leader) | {leader}
    other = scored[(scored["reach"] == 0) & ~scored["system"].isin(related) & (scored["begin"] < first["begin"])
                   & (scored["score"] >= _HALF * first["score"])]  # fmt: skip
    if other.empty or first["reach"] == 0:
        return ""
    return (f"{leader} fits best along the graph, but {other['system'].iloc[0]}, from which no way leads to it or to "
            "the symptom, moved before it: an edge may be missing.")  # fmt: skip


def _turned(scored: pd.DataFrame, graph: nx.DiGraph) -> str:
    """Return whether most of what the leader reaches moved before it, and one clearly so; empty when not."""
    first, leader = scored.iloc[0], str(scored["system"].iloc[0])
    reached = scored[scored["system"].isin(nx.descendants(graph, leader))]
    gap = first["begin"] - reached["begin"]
    before = sorted(reached["system"][gap > 0])
    clearly = gap - first["error"] - reached["error"] > -1  # both errors hold the same sampling step
    if len(before) < 2 or 2 * len(before) <= len(reached) or not clearly.any():
        return ""
    return (f"{leader} fits best, but {len(before)} of the {len(reached)} systems that it should have pulled along "
            f"moved before it ({sentences.listed(before)}): are the edges turned round? They lead from cause to "
            "effect, so from the called to the caller.")  # fmt: skip


def _unseen(table: pd.DataFrame, graph: nx.DiGraph, leader: pd.Series, aside: Mapping[str, str]) -> str:
    """Return whether a cause of the leader moved or fell silent about then, but could not be ranked; empty when not."""
    suspects = []
    for name in sorted(nx.ancestors(graph, leader["system"]) & set(aside)):
        rows = table[table["system"] == name]
        slack = leader["error"] if leader["error"] == leader["error"] else 0.0
        silent = fell_silent(rows) and -_LONG <= rows["last"].max() - leader["begin"] <= slack + _SILENT
        moved = (rows["note"] == BLIND) & (rows["deviation"].abs() > _CLEAR)
        if silent or moved.any():
            suspects.append(name)
    if not suspects:
        return ""
    reasons = "; ".join(f"{name} {aside[name]}" for name in suspects[:3])
    return (f"{leader['system']} fits best, but it depends on systems that may have failed before it and could not be "
            f"placed in time: {reasons}.")  # fmt: skip


def _common(table: pd.DataFrame, graph: nx.DiGraph, leader: pd.Series, metric: str) -> str:
    """Return whether the leader's metric, another than the symptom's, moved alike where the leader does not reach."""
    if leader["metric"] == metric:
        return ""
    reached = nx.descendants(graph, leader["system"]) | {leader["system"]}
    others = table[(table["metric"] == leader["metric"]) & table["ranked"] & ~table["system"].isin(reached)]
    alike = others[(others["raw"] >= max(0.4 * leader["raw"], _CLEAR))
                   & (others["deviation"] * leader["deviation"] > 0)]  # fmt: skip
    if len(alike) < 2 or 2 * len(alike) < len(others):
        return ""
    return (f"{leader['metric']} moved at {leader['system']}, the best fit, and alike at "
            f"{sentences.listed(sorted(alike['system']))}, which it does not reach: this points at a cause outside the "
            "graph, such as load.")  # fmt: skip


def _outside(table: pd.DataFrame, graph: nx.DiGraph, leader: str, metric: str) -> str:
    """Return whether systems that have nothing to do with the leader moved as well; empty when not."""
    related = nx.ancestors(graph, leader) | nx.descendants(graph, leader) | {leader}
    same = (table["metric"] == metric) & table["ranked"]
    kept = table["ranked"] & (same | ~same.groupby(table["system"]).transform("any"))
    raw = table[kept].groupby("system")["raw"].max()
    others = raw[
        [name not in related and graph.degree(name) > 0 for name in raw.index]
    ]  # of a lone one nothing is known
    with_it = sorted(others.index[others >= max(0.4 * raw[leader], _CLEAR)])
    if len(with_it) > 1 and len(with_it) >= _MANY * len(others):
        return (f"Systems unrelated to {leader}, the best fit, moved with the symptom too "
                f"({sentences.listed(with_it)}): this points at a cause outside the graph, such as load.")  # fmt: skip
    return ""


def _demand(table: pd.DataFrame, leader: pd.Series, count: int) -> str:
    """Return whether demand rose everywhere no later than the leader moved; empty when not."""
    asked = table[table["note"] == DEMAND]
    with np.errstate(invalid="ignore"):
        late = asked["earliest"] - asked["error"] > leader["begin"] + leader["error"]
    rose = asked[(asked["chance"] + math.log10(count) < math.log10(SYMPTOM)) & (asked["deviation"] > 0) & ~late]
    rose = rose[rose["alignment"] >= _ALIGNED]
    systems = sorted(set(rose["system"]))
    if leader["system"] not in systems or 2 * len(systems) < asked["system"].nunique():
        return ""
    row = rose[rose["system"] == leader["system"]].iloc[0]
    there = f"{row['metric']} there from {row['before']:.3g} to {row['during']:.3g}"
    return (f"Demand rose no later than {leader['system']}, the best fit, moved ({there}; in all at "
            f"{sentences.listed(systems)}): this points at load.")  # fmt: skip

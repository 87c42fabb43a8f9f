"""When the leader of the ranking may not be named, and why."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pandas as pd

from rca.systems.cascade import sentences
from rca.systems.cascade.links import Moved
from rca.systems.cascade.series import DEMAND, Felt

__all__ = ["SYMPTOM", "doubt", "unusable"]

_TIE = 1.03  # the leader's score over the runner-up's, below which they tie
_ALIKE = 1.1  # the leader's score over that of another in a cycle with it, up to which they are alike
SYMPTOM = 0.05  # chance of the symptom when nothing is wrong, above which it says nothing by itself
_JOINT = 0.03  # chance of symptom and leader together (Fisher's method), above which nobody is named
_ALIGNED = 0.5  # alignment from which on a measure of demand took the symptom's course
_MANY = 0.25  # share of the systems unrelated to the leader that moved too, which point outside the graph
_EXPLAINED = 0.5  # share of the symptom's system that a cause of its own explains, above which it is not named
_LEVEL = 0.9  # strength over the leader's, from which on a system that moved with it moved as clearly
_CLEAR = 3.0  # strength above which an unrelated system moved too


def unusable(own: Felt, graph: nx.DiGraph, symptom: tuple[str, str], censored: bool) -> str:
    """Return why the symptom gives no hold; empty when it may."""
    system, metric = symptom
    if system not in graph:
        return f"The symptom's system, {system}, is not in the graph, so what it depends on is not known."
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
    scored: pd.DataFrame, systems: Moved, table: pd.DataFrame, graph: nx.DiGraph, own: Felt, symptom: tuple[str, str]
) -> str:
    """Return why the leader may not be named; empty when it may."""
    chance = min(1.0, 10 ** float(scored["chance"].iloc[0]) * len(systems.names)) if len(scored) else 1.0
    product = max(own.chance * chance, 1e-300)
    joint = product * (1 - math.log(product))  # Fisher: chance of so small a product of two uniform numbers
    if own.chance >= SYMPTOM and joint >= _JOINT:
        return _within(symptom, own)
    if scored.empty or joint >= _JOINT:
        best = ""
        if len(scored):
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
        return f"{leader} and {', '.join(mates)} depend on each other and moved at the same time."
    if len(tied) > 1:
        return f"{len(tied)} systems fit about equally well and cannot be told apart: {', '.join(tied)}."
    unlinked = _unlinked(table, graph, scored.iloc[0], symptom[0], len(systems.names))
    return unlinked or _outside(table, graph, leader, symptom[1]) or _demand(table, scored.iloc[0], len(systems.names))


def _within(symptom: tuple[str, str], own: Felt) -> str:
    """Say that the symptom did not move."""
    where = {1.0: " upwards", -1.0: " downwards"}[own.sign] if own.sided else ""
    why = f" ({own.note})" if own.note else ""
    return (f"The symptom, {symptom[1]} of {symptom[0]}, stayed within its noise{where}: {own.before:.3g} before, "
            f"{own.during:.3g} in its strongest stretch{why}.")  # fmt: skip


def _explained(scored: pd.DataFrame) -> bool:
    """Return whether another candidate explains the leader and followed the symptom half as closely."""
    leader = scored.iloc[0]
    cause = scored["alignment"][scored["system"] == leader["cause"]]
    return bool(leader["taken"] > _EXPLAINED and len(cause) and cause.iloc[0] >= leader["alignment"] / 2)


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

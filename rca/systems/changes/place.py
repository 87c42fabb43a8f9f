"""Where and when a change was made: its distance from the first cause, what carried it, and whether it came in time."""

from __future__ import annotations

import re
from collections.abc import Mapping

import networkx as nx
import pandas as pd

from rca.records import Trace
from rca.times import show

__all__ = ["PREPARED", "WHERE", "against", "carriers", "tiers"]

WHERE = (  # by tier; from the third on, content must speak for a change
    "made to the system that broke first",
    "made upstream of {0}, where nothing is measured",
    "made upstream of {0}",
    "made to a system that uses {0}",
)
PREPARED = ("commit", "training_run")  # made, but not live by themselves
_CARRIED = (*PREPARED, "model_version")  # may go live with a later change that names them
_SHA = re.compile(r"[0-9a-f]{7,40}")
_TOKEN = re.compile(r"[\w.:/@#+-]{4,}")


def carriers(table: pd.DataFrame, latest: pd.Timestamp) -> dict[int, pd.Series]:
    """Return for each change that can be carried the first later live change, not after `latest`, that names it."""
    live = table[~table["kind"].isin(PREPARED) & (table["time"] <= latest)].sort_values("time", kind="stable")
    naming: dict[str, list[pd.Series]] = {}
    for _, carrier in live.iterrows():
        for token in _tokens(carrier):
            naming.setdefault(token, []).append(carrier)
    found = {}
    for index, change in table[table["kind"].isin(_CARRIED) & (table["ref"] != "")].iterrows():
        named = [one for name in _names(str(change["ref"])) for one in naming.get(name, [])]
        after = [one for one in named if one.name != index and one["time"] >= change["time"]]
        if after:
            found[index] = min(after, key=lambda one: one["time"])
    return found


def _tokens(carrier: pd.Series) -> set[str]:
    text = " ".join(str(carrier.get(column, "")) for column in ("ref", "message", "attributes"))
    return {token.strip(".:/@#+-") for token in _TOKEN.findall(text)} | {str(carrier["ref"])}


def _names(ref: str) -> list[str]:
    """Return what may stand for `ref`: itself and, of a commit, its first seven digits or more."""
    return [ref[:end] for end in range(7, len(ref))] + [ref] if _SHA.fullmatch(ref) else [ref]


def tiers(graph: nx.DiGraph, trace: Trace) -> Mapping[str, int]:
    """Return the tier of each system from which a change can reach the first cause."""
    if trace.first not in graph:
        return {str(trace.first): 0}
    near = dict.fromkeys(graph.successors(trace.first), 3)
    near |= dict.fromkeys(nx.ancestors(graph, trace.first), 2)
    return near | dict.fromkeys(_blind(graph, trace), 1) | {trace.first: 0}


def _blind(graph: nx.DiGraph, trace: Trace) -> set[str]:
    """Return the systems upstream of the first cause that nothing measured separates from it."""
    measured, found = set(trace.deviations["system"]), set()
    queue = list(graph.predecessors(trace.first))
    while queue:
        system = queue.pop()
        if system not in measured and system not in found and system != trace.first:
            found.add(system)
            queue += graph.predecessors(system)
    return found


def against(change: pd.Series, carrier: pd.Series | None, first: pd.Series, max_delay: pd.Timedelta) -> str:
    """Return why a change cannot have come in time; empty when it did."""
    if pd.isna(change["time"]):
        return "has no time"
    if change["time"] > first["onset"] + first["onset_error"]:
        return f"came after the onset ({show(first['onset'])})"
    if carrier is not None:
        return f"went live with a later change ({carrier['kind']} at {show(carrier['time'])})"
    if change["kind"] in PREPARED:
        return "not live by itself, and no change before the onset names it"
    if first["onset"] - change["time"] > max_delay:
        return f"went unnoticed for more than {max_delay / pd.Timedelta('1h'):g} hours"
    return ""

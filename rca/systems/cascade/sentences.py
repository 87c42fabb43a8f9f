"""What is said of a trace: of each candidate, of the runner-up, and of what evidence is missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import networkx as nx
import pandas as pd

from rca.times import show
from rca.wording import duration

__all__ = ["candidate", "lags", "listed", "missing", "numbers", "runner_up", "unjudged"]

_MOSTLY = 0.5  # share of a candidate's score that a cause of its own must take to be named as its explanation
_NAMED = 4  # systems that a sentence names


def candidate(
    row: Any,
    by: tuple[str, bool] | None,
    graph: nx.DiGraph,
    measured: Collection[str],
    aside: Mapping[str, str],
    suspects: Collection[str],
    pulled: str,
) -> str:
    """Say what moved, when, whom it pulled along, and what speaks for or against it as first cause.

    Parameters
    ----------
    row : Series
        A row of the candidates.
    by : (str, bool) or None
        The moved system that explains it best, and whether that is a consumer whose load came back.
    graph : DiGraph
        Edge cause -> effect.
    measured : collection of str
        Systems with metrics that could be ranked.
    aside : mapping
        Other systems with metrics -> why they could not.
    suspects : collection of str
        Systems among the candidates.
    pulled : str
        What moved after it, in words; empty when nothing did.
    """
    rate = " per second" if "rate per second" in row["note"] else ""
    verb = "rose" if row["during"] > row["before"] else "fell"
    before, during = numbers(row["before"], row["during"])
    change = f"{verb} from {before} to {during}{rate}" if before != during else "moved"
    text = f"{row['metric']} of {row['system']} {change}"
    if pd.notna(row["onset"]):
        text += f" at {show(row['onset'])} (within {duration(row['onset_error'])})"
    text += f"{pulled}; "
    if by is not None:
        how = "which uses it and moved earlier" if by[1] else "which it depends on and which moved no later"
        mostly = "explained" if row["own_excess"] < 1 - _MOSTLY * 0.5 else "only partly explained"
        return f"{text}{mostly} by {by[0]}, {how}."
    causes = nx.ancestors(graph, row["system"])
    if not causes:
        return f"{text}the graph lists nothing that it depends on."
    blind = unjudged(causes, measured, aside)
    if not causes & set(measured):
        return f"{text}nothing that it depends on could be judged: {blind}."
    unseen = f"; {blind}" if blind else ""
    others = [name for name in suspects if name in causes]
    if others:
        little = "explains" if len(others) == 1 else "explain"
        return f"{text}of what it depends on, {listed(others)} moved too, but {little} little of it{unseen}."
    return f"{text}nothing that it depends on moved with it{unseen}."


def unjudged(systems: Collection[str], measured: Collection[str], aside: Mapping[str, str]) -> str:
    """Say of which systems nothing is known, and why of others that have metrics; empty when all were ranked.

    Examples
    --------
    >>> unjudged({"db", "queue", "web"}, {"web"}, {"queue": "sent nothing after 10:05"})
    'no metrics of db; queue sent nothing after 10:05'
    """
    blind = sorted(set(systems) - set(measured) - set(aside))
    parts = [f"no metrics of {listed(blind)}"] if blind else []
    for reason in dict.fromkeys(aside[name] for name in sorted(set(systems) & set(aside))):
        parts.append(f"{listed(sorted(name for name in systems if aside.get(name) == reason))} {reason}")
    return "; ".join(parts)


def numbers(*values: float) -> list[str]:
    """Return numbers in so many digits, three at least, that different ones look different.

    Examples
    --------
    >>> numbers(10_000.0, 10_300.0), numbers(0.1234, 7.0)
    (['10000', '10300'], ['0.123', '7'])
    """
    for digits in range(3, 9):
        said = [
            f"{value:.{digits}g}" if abs(value) < 10**digits or abs(value) >= 1e9 else f"{value:.0f}"
            for value in values
        ]
        if len(set(said)) == len(set(values)):
            break
    return said


def listed(names: Sequence[str]) -> str:
    """Return names in a row, the first few if there are many."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def lags(path: Sequence[str], onsets: Any, measured: Collection[str], step: pd.Timedelta) -> tuple[str, ...]:
    """Return for each edge of a path by how long the effect came later, or why that is not known.

    `onsets` maps a system to its onset and its error; one that is measured, but not in it, did not clearly move, or
    nobody knows since when.
    """
    said = []
    for cause, effect in pairwise(path):
        if cause not in onsets or effect not in onsets:
            blind = cause not in measured or effect not in measured
            said.append("not measured" if blind else "not known")
            continue
        (first, error), (then, other) = onsets[cause], onsets[effect]
        lag = then - first
        if abs(lag) < step:
            said.append(f"below the sampling step of {duration(step)}")
        else:
            said.append(f"{duration(lag)} (within {duration(error + other)})")
    return tuple(said)


def runner_up(table: pd.DataFrame) -> str:
    """Say why the second candidate lost; empty when there is none."""
    if len(table) < 2:
        return ""
    first, second = table.iloc[0], table.iloc[1]
    reasons = {
        "it is itself explained by what it depends on or serves": (second["own_excess"], first["own_excess"]),
        "it explains less of what moved": (second["explains"], first["explains"]),
        "its shape in time fits the symptom's less": (second["alignment"], first["alignment"]),
        "its way to the symptom is longer, or leads through systems that did not move": (
            second["reach"], first["reach"]),
        "it moved less surely": (second["moved"], first["moved"]),
    }  # fmt: skip
    worst = min(reasons, key=lambda text: reasons[text][0] / max(reasons[text][1], 1e-9))
    mine, theirs = reasons[worst]
    why = f"{worst} ({mine:.2f} against {theirs:.2f})" if mine < theirs else "it is a little weaker in everything"
    return f"{table.index[1]}, the runner-up, scores {second['score']:.2f} against {first['score']:.2f}: {why}."


def missing(
    graph: nx.DiGraph,
    system: str,
    measured: Collection[str],
    aside: Mapping[str, str],
    strangers: Collection[str],
    error: pd.Timedelta,
) -> str:
    """Say what evidence would make a name surer; empty when none is missing.

    `measured` could be ranked, `aside` have metrics that could not; `strangers` have some, but are not in the graph.
    """
    causes = nx.ancestors(graph, system) if system in graph else set()
    blind = sorted(causes - set(measured) - set(aside))
    parts = [f"metrics of {listed(blind)}, on which {system} depends"] if blind else []
    parts += [f"usable metrics of {name}, which {aside[name]}" for name in sorted(causes & set(aside))[:_NAMED]]
    if not set(measured) - causes - nx.descendants(graph, system) - {system}:
        parts.append(f"metrics of a system that has nothing to do with {system}, to tell its failure from load")
    if strangers:
        parts.append(f"edges of {listed(sorted(strangers))}, measured but not in the graph")
    if pd.notna(error) and error >= pd.Timedelta("1min"):
        parts.append(f"finer rows than now, when the onset is known within {duration(error)} only")
    return f"Missing: {'; '.join(parts)}." if parts else ""

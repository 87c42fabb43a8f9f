"""Make the graph of causes and effects from tables of dependencies."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import networkx as nx
import numpy as np
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, raise_all, shorten

__all__ = ["KINDS", "build"]

KINDS = ("service", "model", "feature", "data", "job", "process", "external")
_LISTED = 5


def build(
    dependencies: pd.DataFrame, systems: Sequence[str] = (), *, kinds: Mapping[str, str] | None = None
) -> nx.DiGraph:
    """Build the graph of causes and effects.

    A caller depends on its callee: cause = callee, effect = caller.

    Parameters
    ----------
    dependencies : DataFrame
        Columns as in ``rca.schema``, table ``dependencies``: ``cause``, ``effect``, and optionally ``basis``
        (how it is known) and ``count`` (how often it was seen). Further optional columns of text, empty where
        nothing is known: ``cause_kind`` and ``effect_kind`` (what the two are), ``fallback`` (what the effect
        uses when the cause is not there).
    systems : sequence of str, optional
        All systems of the incident. Those without a dependency become nodes too.
    kinds : mapping of str to str, optional
        System -> what it is: ``service``, ``model``, ``feature``, ``data`` (a data set), ``job``, ``process`` or
        ``external``. It goes before what the table says. Names that are not in the graph are passed over.

    Returns
    -------
    DiGraph
        Edge ``u -> v``: a fault in ``u`` can reach ``v``. Edge attributes: ``basis`` (tuple of str, sorted),
        ``count`` (int, summed over rows) and, where declared, ``fallback`` (str). Node attribute ``kind``, where
        known; left out where rows disagree. Nodes in order of `systems`, then by name. Cycles are kept. A
        system that depends on itself says nothing about order: such rows are left out.

    Raises
    ------
    InputError
        If a column is missing, a cause or an effect is empty or no text, or a count is no whole number of at least 0.
    UnknownName
        If `systems` is given and a dependency names a system that is not among them, or if a kind is not one of
        those above; all are listed.

    Examples
    --------
    >>> table = pd.DataFrame({"cause": ["db", "api"], "effect": ["api", "web"]})
    >>> graph = build(table, kinds={"db": "data"})
    >>> list(graph.edges), graph.nodes["db"]
    ([('api', 'web'), ('db', 'api')], {'kind': 'data'})
    """
    _check(dependencies, systems, kinds or {})
    graph = nx.DiGraph()
    graph.add_nodes_from(systems)
    causes, effects = list(dependencies["cause"]), list(dependencies["effect"])
    graph.add_nodes_from(sorted({*causes, *effects}))
    for name, kind in (_stated(dependencies) | dict(kinds or {})).items():
        if name in graph and kind:
            graph.nodes[name]["kind"] = kind
    others = [cause != effect for cause, effect in zip(causes, effects, strict=True)]
    table = dependencies[np.array(others, dtype=bool)]
    pairs = list(zip(table["cause"], table["effect"], strict=True))
    counts = table["count"] if "count" in table else [1] * len(table)
    basis, fallback = _by_edge(table, "basis", pairs), _by_edge(table, "fallback", pairs)
    total: dict[tuple[str, str], int] = {}
    for pair, count in zip(pairs, counts, strict=True):
        total[pair] = total.get(pair, 0) + int(count)
    for cause, effect in sorted(total):
        pair = (cause, effect)
        graph.add_edge(cause, effect, basis=tuple(sorted(basis.get(pair, ()))), count=total[pair])
        if pair in fallback:
            graph.edges[pair]["fallback"] = "; ".join(sorted(fallback[pair]))
    return graph


def _check(dependencies: pd.DataFrame, systems: Sequence[str], kinds: Mapping[str, str]) -> None:
    raise_all(
        [
            f"dependencies: required column {name!r} is missing"
            for name in ("cause", "effect")
            if name not in dependencies
        ]
    )
    raise_all(list(islice(_wrong(dependencies), _LISTED)))
    strange = [] if isinstance(systems, str) else [name for name in systems if not isinstance(name, str)]
    if isinstance(systems, str) or strange:
        raise InputError(f"systems holds {_found(strange[0] if strange else systems)}; wanted a list of names, as text")
    known = set(systems)
    named = dict.fromkeys([*dependencies["cause"], *dependencies["effect"]]) if known else {}
    problems = [
        f"dependencies: unknown system {name!r}{did_you_mean(name, known)}" for name in named if name not in known
    ]
    written = {kind for end in ("cause_kind", "effect_kind") if end in dependencies for kind in dependencies[end]}
    for kind in dict.fromkeys([*kinds.values(), *sorted({_text(kind) for kind in written})]):
        if kind and kind not in KINDS:
            problems.append(f"unknown kind of system {shorten(kind)}{did_you_mean(kind, KINDS)}")
    raise_all(problems, UnknownName)


def _wrong(dependencies: pd.DataFrame) -> Iterator[str]:
    """Yield what is wrong with names and counts, one problem a row."""
    counts = dependencies["count"] if "count" in dependencies else [1] * len(dependencies)
    rows = zip(dependencies["cause"], dependencies["effect"], counts, strict=True)
    for row, (cause, effect, count) in enumerate(rows, 1):
        strange = [name for name in (cause, effect) if not isinstance(name, str) and _text(name)]
        if "" in (_text(cause), _text(effect)):
            yield f"dependencies: row {row}: cause or effect is empty"
        elif strange:
            yield f"dependencies: row {row}: cause or effect is {_found(strange[0])}; wanted a name, as text"
        elif not _is_count(count):
            yield f"dependencies: row {row}: count is {_found(count)}; wanted a whole number of at least 0"


def _is_count(value: object) -> bool:
    """Return whether a value is a whole number of at least 0."""
    if isinstance(value, (float, np.floating)):
        return float(value).is_integer() and bool(value >= 0)
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= 0)


def _found(value: object) -> str:
    return f"{shorten(value)} ({type(value).__name__})"


def _text(value: Hashable) -> str:
    """Return a cell as text, a missing one as ""."""
    return "" if pd.api.types.is_scalar(value) and pd.isna(value) else str(value)


def _stated(dependencies: pd.DataFrame) -> dict[str, str]:
    """Return the kind of each system for which all rows that state one state the same."""
    found: dict[str, set[str]] = {}
    for end in ("cause", "effect"):
        if f"{end}_kind" in dependencies:
            for name, kind in zip(dependencies[end], dependencies[f"{end}_kind"], strict=True):
                found.setdefault(name, set()).add(_text(kind))
    return {name: next(iter(kinds - {""})) for name, kinds in found.items() if len(kinds - {""}) == 1}


def _by_edge(table: pd.DataFrame, column: str, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], set[str]]:
    """Return for each edge the texts that its rows have in a column, if any."""
    found: dict[tuple[str, str], set[str]] = {}
    if column in table:
        for pair, value in zip(pairs, table[column], strict=True):
            if _text(value):
                found.setdefault(pair, set()).add(_text(value))
    return found

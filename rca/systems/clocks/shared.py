"""Identifiers that two sources share, and why some of them are no anchors."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import combinations

import pandas as pd

from rca.errors import raise_all, shorten
from rca.systems.clocks.anchors import FEW, specific
from rca.systems.clocks.skew import typed

__all__ = ["shared"]

_TYPES = {"source_a": "str", "source_b": "str", "shared": "int64", "used": "int64", "note": "str"}
_UNDATED = "in records without a time"
_CHANCE = "figures alone, short, or plain words, which others may carry by chance"
_MANY = f"in more than {FEW} records of a source"
_OTHERWISE = "in records that are paired by another identifier, or as calls of the trace"


def shared(events: pd.DataFrame, anchors: pd.DataFrame) -> pd.DataFrame:
    """Count the identifiers that each two sources share, and say why some are no anchors.

    Parameters
    ----------
    events : DataFrame
        Schema ``events``.
    anchors : DataFrame
        What `rca.clocks.anchors` makes of them.

    Returns
    -------
    DataFrame
        One row for each two sources that share a ``trace_id`` or a ``ref``: ``source_a``, ``source_b`` (in order of
        name); ``shared``, how many different ones; ``used``, how many of these are anchors; ``note``, how many are
        not, for which reason, with an example; empty when all are used.

    Raises
    ------
    InputError
        If a column is missing.

    Notes
    -----
    Texts in ``attributes`` may be anchors too; most that are shared there are no identifiers, so they are not counted.

    Examples
    --------
    >>> from rca import schema
    >>> from rca.systems.clocks import anchors
    >>> rows = {"time": pd.to_datetime(["2025-03-01T09:00Z", "2025-03-01T09:02Z"]), "kind": "log", "message": "m",
    ...         "source": ["app", "gateway"], "trace_id": "42"}
    >>> events = schema.check(pd.DataFrame(rows), "events")
    >>> shared(events, anchors(events))[["shared", "used", "note"]].values.tolist()
    [[1, 0, "1 not used: figures alone, short, or plain words, which others may carry by chance (such as '42')"]]
    """
    needed = ("time", "ref", "trace_id", "source")
    raise_all([f"events: required column {name!r} is missing" for name in needed if name not in events.columns])
    used: dict[tuple[str, str], set[str]] = defaultdict(set)
    for a, b, name in anchors[["source_a", "source_b", "identifier"]].itertuples(index=False):
        used[a, b].add(name)
    reasons: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)  # of each text; empty where it is an anchor
    for column in ("ref", "trace_id"):
        held = events.loc[events[column] != "", [column, "source", "time"]]
        counts = held.groupby([column, "source"])["time"].agg(["size", "count"])
        counts = counts[counts.index.get_level_values(0).duplicated(keep=False)]
        for text, rows in counts.groupby(level=0):
            by_source = rows.droplevel(0)
            for pair in combinations(sorted(by_source.index), 2):
                reasons[pair][str(text)] = _reason(str(text), column, by_source.loc[list(pair)], used[pair])
    return typed([_row(pair, texts) for pair, texts in sorted(reasons.items())], _TYPES)


def _reason(text: str, column: str, rows: pd.DataFrame, used: set[str]) -> str:
    """Return why a text is no anchor of two sources, or nothing when it is one."""
    name = specific(text, trace=column == "trace_id")
    if name is None:
        return _CHANCE
    if name in used or (column == "ref" and any(other.startswith(name) for other in used)):
        return ""
    if not rows["count"].all():
        return _UNDATED
    return _MANY if column == "ref" and rows["count"].max() > FEW else _OTHERWISE


def _row(pair: tuple[str, str], texts: dict[str, str]) -> list[object]:
    counts = Counter(reason for reason in texts.values() if reason)
    examples = {reason: text for text, reason in reversed(texts.items())}
    notes = [
        f"{number} not used: {reason} (such as {shorten(examples[reason], 40)})"
        for reason, number in counts.most_common()
    ]
    return [*pair, len(texts), len(texts) - counts.total(), "; ".join(notes)]

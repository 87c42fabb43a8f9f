"""Spans of distributed traces to dependencies between systems."""

from __future__ import annotations

import pandas as pd

from rca import schema

__all__ = ["dependencies"]


def dependencies(spans: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the edges that spans show, and notes on what they do not show.

    A span whose parent belongs to another system is a call: a fault in the called system can reach the
    caller. The parent is looked for in the span's own trace only; one that is not there, or that is
    there under several systems, is reported and never guessed.

    Parameters
    ----------
    spans : DataFrame
        Schema ``spans``.

    Returns
    -------
    edges : DataFrame
        Schema ``dependencies``; ``count`` is the number of calls seen.
    notes : list of str
        How many parents could not be found, and why.

    Examples
    --------
    >>> spans = schema.check(pd.DataFrame({"trace_id": ["t", "t"], "span_id": ["1", "2"],
    ...                                    "parent_id": ["", "1"], "system": ["web", "db"]}), "spans")
    >>> dependencies(spans)[0][["cause", "effect"]].values.tolist()
    [['db', 'web']]
    """
    calls = spans[spans["parent_id"] != ""]
    named = spans[["trace_id", "span_id", "system"]].drop_duplicates().groupby(["trace_id", "span_id"])["system"]
    owners = pd.DataFrame({"parent": named.first(), "owners": named.size()})
    calls = calls.join(owners, on=["trace_id", "parent_id"])
    lost = calls[calls["owners"].isna()]
    unclear = calls[calls["owners"] > 1]
    notes = []
    if len(lost):
        first = lost.iloc[0]
        notes.append(
            f"{len(lost)} of {len(calls)} calls name a parent that is not in their trace"
            f" (first: span {first['span_id']!r} of trace {first['trace_id']!r}): no edge made"
        )
    if len(unclear):
        notes.append(f"{len(unclear)} of {len(calls)} calls name a parent id that two systems use: no edge made")
    known = calls[calls["owners"] == 1]
    edges = pd.DataFrame({"cause": known["system"], "effect": known["parent"], "source": known["source"]})
    edges = edges[edges["cause"] != edges["effect"]]
    counted = edges.groupby(["cause", "effect", "source"], as_index=False).size().rename(columns={"size": "count"})
    return schema.check(
        counted.assign(basis="spans", cause_kind="service", effect_kind="service"), "dependencies"
    ), notes

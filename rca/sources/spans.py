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
    parents = spans.groupby(["trace_id", "span_id"])["system"].agg(lambda names: tuple(sorted(set(names))))
    found = [parents.get(key, ()) for key in zip(calls["trace_id"], calls["parent_id"], strict=True)]
    calls = calls.assign(parents=pd.Series(found, index=calls.index, dtype=object))
    lost = calls[calls["parents"].map(len) == 0]
    unclear = calls[calls["parents"].map(len) > 1]
    notes = []
    if len(lost):
        first = lost.iloc[0]
        notes.append(
            f"{len(lost)} of {len(calls)} calls name a parent that is not in their trace"
            f" (first: span {first['span_id']!r} of trace {first['trace_id']!r}): no edge made"
        )
    if len(unclear):
        notes.append(f"{len(unclear)} of {len(calls)} calls name a parent id that two systems use: no edge made")
    known = calls[calls["parents"].map(len) == 1]
    edges = pd.DataFrame(
        {
            "cause": known["system"],
            "effect": known["parents"].map(lambda names: names[0]).astype(schema.TEXT),
            "source": known["source"],
        }
    )
    edges = edges[edges["cause"] != edges["effect"]]
    counted = edges.groupby(["cause", "effect", "source"], as_index=False).size().rename(columns={"size": "count"})
    return schema.check(counted.assign(basis="spans"), "dependencies"), notes

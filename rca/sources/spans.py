"""Spans of distributed traces: to dependencies between systems, and how long each took."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rca import schema
from rca.errors import InputError, shorten
from rca.sources.stored import NOT_A_TIME

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["dependencies", "duration", "durations"]

_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_NUMBER = re.compile(r"[-+]?(\d{1,40}\.?\d{0,40}|\.\d{1,40})(e[-+]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_UNKNOWN = ("", "nan")


def duration(text: str, unit: str) -> int | None:
    """Return how long a span took in nanoseconds, rounded to the nearest.

    Parameters
    ----------
    text : str
        A plain number.
    unit : str
        ``s``, ``ms``, ``us`` or ``ns``.

    Returns
    -------
    int or None
        None where nothing is written, or less than nothing.

    Raises
    ------
    InputError
        If the text is no number, or too large a one.

    Examples
    --------
    >>> duration("1503.25", "ms"), duration("-1", "s")
    (1503250000, None)
    """
    if text.lower() in _UNKNOWN:
        return None
    if not _NUMBER.fullmatch(text):
        raise InputError(f"duration {shorten(text)} is not a number")
    ns = int((Decimal(text) * _UNITS[unit]).to_integral_value())
    if ns >= 2**63:
        raise InputError(f"duration {shorten(text)} {unit} is longer than nanoseconds can hold")
    return ns if ns >= 0 else None


def durations(texts: pa.ChunkedArray, unit: str) -> tuple[Any, dict[int, str], int]:
    """Return nanoseconds, `NOT_A_TIME` where none is known; why rows are refused; how many others have none.

    Each spelling is read once.
    """
    found = texts.combine_chunks().dictionary_encode()
    ns, reasons = np.full(len(found.dictionary), NOT_A_TIME), {}
    for place, text in enumerate(found.dictionary.to_pylist()):
        try:
            known = duration(text, unit)
        except InputError as error:
            reasons[place] = str(error)
        else:
            ns[place] = NOT_A_TIME if known is None else known
    places = found.indices.to_numpy()
    wrong = {int(row): reasons[int(places[row])] for row in np.flatnonzero(np.isin(places, list(reasons)))}
    return ns[places], wrong, int((ns[places] == NOT_A_TIME).sum()) - len(wrong)


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

"""Attributions of models that take other features, made comparable."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pandas as pd

from rca.models.shapdiff.refits import Summary
from rca.records import Attribution

__all__ = ["aligned", "same_rows", "taken", "widened"]


def aligned(*given: Attribution) -> tuple[Attribution, ...]:
    """Return attributions over all features that any of their models takes.

    A feature that a model does not take contributes 0 to it. Whether rows, and backgrounds, are the same is then
    told by their index and by the columns that all models take.

    Parameters
    ----------
    *given : Attribution
        Results of `explain`. Those of the same features in the same order, without identities of their columns, or
        without any column in common, are returned as they are.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from rca.models.shapdiff import explain
    >>> X = pd.DataFrame({"amount": [0.0, 1.0, 2.0], "age": [1.0, 0.0, 2.0]})
    >>> one, two = (explain(LinearRegression().fit(X[names], X["amount"]), X[names]) for names in (["amount"], list(X)))
    >>> one, two = aligned(one, two)
    >>> list(one.columns), one.values[:, 1].tolist(), one.rows_id == two.rows_id
    (['amount', 'age'], [0.0, 0.0, 0.0], True)
    """
    columns = [list(one.columns) for one in given]
    shared = [name for name in columns[0] if all(name in names for names in columns)]
    if all(names == columns[0] for names in columns) or not shared or not all(one.column_ids for one in given):
        return given
    union = list(dict.fromkeys(name for names in columns for name in names))
    return tuple(_over(one, union, shared) for one in given)


def same_rows(before: Attribution, after: Attribution) -> bool:
    """Return whether both are of the same rows, as far as the columns that both models take tell."""
    one, two = aligned(before, after)
    return one.rows_id == two.rows_id


def taken(attribution: Attribution) -> np.ndarray:
    """Return which features the model takes."""
    ids = attribution.column_ids or ("known",) * len(attribution.columns)
    return np.array([bool(one) for one in ids])


def widened(refits: Summary | None, columns: pd.Index, union: pd.Index) -> Summary | None:
    """Return what is compared of refits, over all features instead of their own columns."""
    if refits is None or list(columns) == list(union):
        return refits
    return Summary(*(_spread(values, -1, columns, union) for values in (refits.means, refits.contributions)))


def _over(one: Attribution, union: list[object], shared: list[object]) -> Attribution:
    ids = dict(zip(one.columns, one.column_ids, strict=True))
    backs = dict(zip(one.columns, one.background_ids, strict=True)) if one.background_ids else {}
    index = pd.util.hash_pandas_object(one.index).to_numpy().tobytes().hex()
    wide = pd.Index(union)
    return dataclasses.replace(
        one,
        values=_spread(one.values, 1, one.columns, wide),
        columns=wide,
        error=None,
        tokens=None,
        rows_id=_digest([index, *(ids[name] for name in shared)]),
        background_id=_digest([backs[name] for name in shared]) if backs else one.background_id,
        column_ids=tuple(ids.get(name, "") for name in union),
        background_ids=(),
    )


def _spread(values: np.ndarray, axis: int, columns: pd.Index, union: pd.Index) -> np.ndarray:
    """Return the values with those of each column at its place in `union`, and 0 elsewhere."""
    wide = np.zeros((*np.moveaxis(values, axis, -1).shape[:-1], len(union)))
    wide[..., union.get_indexer(columns)] = np.moveaxis(values, axis, -1)
    return np.moveaxis(wide, -1, axis)


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()

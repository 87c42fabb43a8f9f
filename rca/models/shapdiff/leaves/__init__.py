"""Readers of tree models: from a fitted model to its leaves, whatever library trained it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rca.models.shapdiff.leaves.table import Leaves

__all__ = ["Leaves", "codes", "read"]


def read(model: Any, n_features: int) -> Leaves | None:
    """Return the leaves of a fitted tree model, or None if it is of a kind that is not read here.

    Parameters
    ----------
    model : object
        A model of scikit-learn, xgboost or lightgbm.
    n_features : int
        Columns of the rows.

    Returns
    -------
    Leaves or None
        Their sum over a row's leaves is the model's margin (of scikit-learn's forests: its prediction or
        probabilities). Rows must be as `codes` gives them.

    Notes
    -----
    Only attributes of the model or its library's own dump are read; no code of the model runs but that.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> model = DecisionTreeRegressor().fit([[0.0], [1.0]], [3.0, 5.0])
    >>> leaves = read(model, 1)
    >>> leaves.values.ravel().tolist(), leaves.high.tolist()
    ([3.0, 5.0], [0.5, inf])
    """
    library = _library(model)
    if library == "xgboost":
        from rca.models.shapdiff.leaves import xgb

        return xgb.read(model, n_features)
    if library == "lightgbm":
        from rca.models.shapdiff.leaves import lgb

        return lgb.read(model, n_features)
    if library == "sklearn":
        from rca.models.shapdiff.leaves import forest, hist

        found = forest.read(model, n_features)
        return hist.read(model, n_features) if found is None else found
    return None


def codes(model: Any, rows: Any) -> np.ndarray:
    """Return rows as the numbers that the tests of `read` are about.

    Parameters
    ----------
    model : object
        A model that `read` reads.
    rows : DataFrame or array-like, shape (n_rows, n_features)
        Rows as the model takes them; for xgboost and lightgbm a DataFrame.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_features)
        Missing values as NaN, categories as the model's codes.
    """
    library = _library(model)
    if library == "xgboost":
        from rca.models.shapdiff.leaves import xgb

        return xgb.codes(model, rows)
    if library == "lightgbm":
        from rca.models.shapdiff.leaves import lgb

        return lgb.codes(model, rows)
    if hasattr(model, "_preprocess_X"):
        from rca.models.shapdiff.leaves import hist

        return hist.codes(model, rows)
    return np.asarray(rows, dtype=np.float64)


def _library(model: Any) -> str:
    """Return the first of the libraries that the model's class, or one it is derived from, comes from."""
    for kind in type(model).__mro__:
        name = kind.__module__.split(".")[0]
        if name in ("xgboost", "lightgbm", "sklearn"):
            return name
    return ""

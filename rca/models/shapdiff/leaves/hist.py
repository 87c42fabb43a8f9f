"""Leaves of scikit-learn's histogram gradient boosting, with its own coding of categorical columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from rca.models.shapdiff.leaves.table import Leaves
from rca.models.shapdiff.leaves.walk import Tree, leaves

__all__ = ["codes", "read"]

_BITS = 32


def read(model: Any, n_features: int) -> Leaves | None:
    """Return the leaves of a histogram gradient boosting model, or None for another model.

    Parameters
    ----------
    model : object
        A fitted scikit-learn model.
    n_features : int
        Columns of the rows.

    Returns
    -------
    Leaves or None
        For rows as `codes` gives them: the model tests codes of its own in categorical columns.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if not isinstance(model, (HistGradientBoostingClassifier, HistGradientBoostingRegressor)):
        return None
    columns = _columns(model)
    known, place = model._bin_mapper.make_known_categories_bitsets()
    known = _members(known)

    sets: list[np.ndarray] = [np.zeros((0, known.shape[1] + 1), dtype=bool)]
    trees = [
        _tree(predictor, columns, known, place, group, sets)
        for stage in model._predictors
        for group, predictor in enumerate(stage)
    ]
    outputs = model.n_trees_per_iteration_
    base = np.broadcast_to(np.ravel(model._baseline_prediction), (outputs,))
    link = "identity"
    if isinstance(model, HistGradientBoostingClassifier):
        link = "softmax" if outputs > 1 else "logit"
    elif model.loss in ("poisson", "gamma"):
        link = "log"
    return leaves(trees, np.concatenate(sets), base=base, n_features=n_features, single=False, link=link)


def codes(model: Any, rows: Any) -> np.ndarray:
    """Return `rows` as the model tests them, in the order of the raw columns.

    Parameters
    ----------
    model : HistGradientBoostingClassifier or HistGradientBoostingRegressor
        A fitted model.
    rows : DataFrame or array-like, shape (n_rows, n_features)
        Raw rows.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_features)
        Categories as codes from 0; categories that were not seen in training, and missing values, as NaN.
    """
    own = np.asarray(model._preprocess_X(rows, reset=False), dtype=np.float64)
    coded = np.empty_like(own)
    coded[:, _columns(model)] = own
    return coded


def _columns(model: Any) -> np.ndarray:
    """Return the raw column of each of the model's own columns: it puts categorical ones first."""
    categorical = model.is_categorical_
    if categorical is None or model._preprocessor is None:
        return np.arange(model._n_features)
    return np.concatenate([np.flatnonzero(categorical), np.flatnonzero(~categorical)])


def _members(words: np.ndarray) -> np.ndarray:
    """Return bits of 32-bit words as booleans: row, category."""
    bits = (words[:, :, None] >> np.arange(_BITS, dtype=np.uint32)) & 1
    return bits.reshape(len(words), words.shape[1] * _BITS).astype(bool)


def _tree(
    predictor: Any, columns: np.ndarray, known: np.ndarray, place: np.ndarray, group: int, sets: list[np.ndarray]
) -> Tree:
    """Return one tree, and put the sets of its categorical tests after the others in `sets`."""
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    feature = np.where(leaf, 0, nodes["feature_idx"])
    missing_left = nodes["missing_go_to_left"].astype(bool)
    split = np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf)
    category = np.full(len(nodes), -1, dtype=np.int64)
    category[split] = sum(map(len, sets)) + np.arange(len(split))
    if len(split):
        goes_left = _members(predictor.raw_left_cat_bitsets)[nodes["bitset_idx"][split]]
        # A category that is not known goes where a missing value goes.
        own = known[place[feature[split]]]
        aside = missing_left[split][:, None]
        sets.append(np.concatenate([np.where(own | goes_left, goes_left, aside), aside], axis=1))
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    return Tree(
        left=np.where(leaf, -1, left), right=np.where(leaf, -1, right), feature=columns[feature],
        threshold=nodes["num_threshold"], missing_left=missing_left, weight=nodes["count"].astype(float),
        value=nodes["value"][:, None], category=category, group=group,
    )  # fmt: skip

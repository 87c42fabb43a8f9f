"""lightgbm models as tables of leaves, read from the library's own text format [1]_.

References
----------
.. [1] LightGBM documentation, "Parameters" and "Advanced Topics" (missing values, categorical features).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError
from rca.models.shapdiff.leaves.boosted import check_width, numbers, set_table
from rca.models.shapdiff.leaves.table import Leaves
from rca.models.shapdiff.leaves.walk import Tree, leaves

__all__ = ["codes", "margin", "read"]

TINY = float(np.float32(1e-35))  # lightgbm reads numbers up to this size as zero
CATEGORICAL, DEFAULT_LEFT = 1, 2  # bits of decision_type; the next two bits are the kind of missing values
NEVER, ZERO = 0, 1  # kinds of missing values: none were seen in training; zero is missing; 2: NaN is missing
LINKS = {
    "binary": "logit", "multiclass": "softmax", "multiclassova": "logit", "cross_entropy": "logit",
    "poisson": "log", "gamma": "log", "tweedie": "log",
    "regression": "identity", "regression_l1": "identity", "huber": "identity", "fair": "identity",
    "quantile": "identity", "mape": "identity", "lambdarank": "identity", "rank_xendcg": "identity",
    "custom": "identity",
}  # fmt: skip


def read(model: Any, n_features: int) -> Leaves:
    """Return the leaves of the trees that ``model.predict`` uses (the best iterations, if it was stopped early).

    Parameters
    ----------
    model : lightgbm.Booster or a fitted model with scikit-learn's interface
        The model.
    n_features : int
        Columns of the rows that it will be used on.

    Raises
    ------
    InputError
        If the model has linear leaves, an objective whose link is not one of `Leaves`, or other columns.

    Notes
    -----
    `cover` is the share of training rows that lightgbm keeps in each node, as in its own ``pred_contrib``.
    The tests are meant for rows that `codes` has turned into numbers.
    """
    name = type(model).__name__
    head, blocks = _blocks(getattr(model, "booster_", model))
    check_width(name, int(head["max_feature_idx"]) + 1, n_features)
    if any(block.get("is_linear", "0") != "0" for block in blocks):
        raise InputError(f"the {name} has linear models in its leaves")
    outputs = int(head["num_tree_per_iteration"])
    scale = 1.0 / _averaged(head, blocks)
    _kinds(name, blocks)
    listed: list[np.ndarray] = []
    trees = [_tree(block, place % outputs, scale, listed) for place, block in enumerate(blocks)]
    return leaves(
        trees, set_table(name, listed, left=True), base=np.zeros(outputs), n_features=n_features, single=False,
        link=_link(name, head.get("objective", "custom")),
    )  # fmt: skip


def codes(model: Any, frame: pd.DataFrame) -> np.ndarray:
    """Return rows as the numbers that the tests of `read` are about.

    Parameters
    ----------
    model : lightgbm.Booster or a fitted model with scikit-learn's interface
        The model.
    frame : DataFrame, shape (n_rows, n_features)
        Rows in the model's columns and order: numbers, truth values and pandas categories.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_features)
        pandas categories are the places in the list that was seen in training; those that were not seen there are
        NaN, as lightgbm has it. Zero is NaN where the model takes zero as missing. Infinite values are the largest
        finite ones.

    Raises
    ------
    InputError
        If a column is neither numeric nor categorical, or the number of categorical columns is not that of the
        training.
    """
    name = type(model).__name__
    booster = getattr(model, "booster_", model)
    head, blocks = _blocks(booster)
    check_width(name, int(head["max_feature_idx"]) + 1, frame.shape[1])
    lists = booster.pandas_categorical
    places = [place for place, kind in enumerate(frame.dtypes) if isinstance(kind, pd.CategoricalDtype)]
    if lists is None:
        lists = [frame.iloc[:, place].cat.categories for place in places]
    if len(lists) != len(places):
        raise InputError(f"the {name} was trained on {len(lists)} categorical columns; the rows have {len(places)}")
    rows = np.empty(frame.shape)
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        if place in places:
            known = list(lists[places.index(place)])
            if list(column.cat.categories) != known:
                column = column.cat.set_categories(known)
            coded = column.cat.codes.to_numpy(dtype=float)
            rows[:, place] = np.where(coded < 0, np.nan, coded)
        else:
            rows[:, place] = numbers(column)
    largest = np.finfo(float).max
    rows = np.clip(np.where(np.abs(rows) <= TINY, 0.0, rows), -largest, largest)
    zero_is_missing, categorical = _kinds(name, blocks)
    for place in zero_is_missing:
        rows[rows[:, place] == 0, place] = np.nan
    for place in categorical:
        rows[:, place] = np.trunc(rows[:, place])  # as the library cuts them
    return rows


def margin(model: Any, frame: pd.DataFrame) -> np.ndarray:
    """Return the model's own sum on each row, which the leaves of `read` add up to.

    Parameters
    ----------
    model : lightgbm.Booster or a fitted model with scikit-learn's interface
        The model.
    frame : DataFrame, shape (n_rows, n_features)
        Rows as for ``model.predict``.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_outputs)
        ``predict(raw_score=True)``; for boosting type "rf", whose raw scores are not averaged though its predictions
        are, the mean over the iterations.
    """
    raw = np.asarray(model.predict(frame, raw_score=True), dtype=float).reshape(frame.shape[0], -1)
    return raw / _averaged(*_blocks(getattr(model, "booster_", model)))


def _averaged(head: dict[str, str], blocks: list[dict[str, str]]) -> int:
    """Return over how many iterations predictions are averaged: 1 unless the boosting type is "rf"."""
    return max(1, len(blocks) // int(head["num_tree_per_iteration"])) if "average_output" in head else 1


def _blocks(booster: Any) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return the head of lightgbm's text, and the trees, each as name and text of its fields."""
    text = booster.model_to_string(importance_type="split")
    head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    fields = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in (head, *blocks)]
    return fields[0], fields[1:]


def _array(block: dict[str, str], field: str, kind: Any) -> np.ndarray:
    return np.array(block.get(field, "").split(), dtype=kind)


def _tree(block: dict[str, str], group: int, scale: float, listed: list[np.ndarray]) -> Tree:
    """Return one tree; the codes of its categorical tests are appended to `listed`."""
    inner, n_leaves = int(block["num_leaves"]) - 1, int(block["num_leaves"])
    kind = _array(block, "decision_type", int)
    threshold = _array(block, "threshold", float)
    categorical = (kind & CATEGORICAL) > 0
    category = np.full(inner + n_leaves, -1)
    bounds, words = _array(block, "cat_boundaries", int), _array(block, "cat_threshold", np.uint32)
    for node in np.flatnonzero(categorical):
        place = int(threshold[node])
        bits = np.unpackbits(words[bounds[place] : bounds[place + 1]].astype("<u4").view(np.uint8), bitorder="little")
        category[node] = len(listed)
        listed.append(np.flatnonzero(bits))
    # Where no value was missing in training, NaN is read as zero; among categories it always goes right.
    missing = np.where((kind >> 2) == NEVER, threshold >= 0, (kind & DEFAULT_LEFT) > 0) & ~categorical
    padding = np.zeros(n_leaves)

    def children(field: str) -> np.ndarray:
        to = _array(block, field, int)
        return np.concatenate([np.where(to < 0, inner - 1 - to, to), np.full(n_leaves, -1)])  # leaf i is stored as -1-i

    counts = _array(block, "leaf_count", float) if inner else np.ones(1)
    return Tree(
        left=children("left_child"), right=children("right_child"),
        feature=np.concatenate([_array(block, "split_feature", int), padding.astype(int)]),
        threshold=np.concatenate([threshold, padding]), missing_left=np.concatenate([missing, padding > 0]),
        category=category, weight=np.concatenate([_array(block, "internal_count", float), counts]),
        value=np.concatenate([np.zeros(inner), _array(block, "leaf_value", float) * scale])[:, None], group=group,
    )  # fmt: skip


def _kinds(name: str, blocks: list[dict[str, str]]) -> tuple[list[int], list[int]]:
    """Return the columns where zero is missing, and the categorical ones."""
    if not blocks:
        return [], []
    feature = np.concatenate([_array(block, "split_feature", int) for block in blocks])
    kind = np.concatenate([_array(block, "decision_type", int) for block in blocks])
    numeric = (kind & CATEGORICAL) == 0
    zero = set(feature[numeric & ((kind >> 2) == ZERO)].tolist())
    nan = set(feature[numeric & ((kind >> 2) > ZERO)].tolist())
    categorical = set(feature[~numeric].tolist())
    if zero & nan or categorical & set(feature[numeric].tolist()):
        raise InputError(f"the {name} was trained in parts that read one column in different ways")
    return sorted(zero), sorted(categorical)


def _link(name: str, objective: str) -> str:
    kind, *settings = objective.split()
    if kind not in LINKS or "sqrt" in settings:
        raise InputError(f"the {name} has the objective {objective!r}, whose link is not read")
    sigmoid = next((text for text in settings if text.startswith("sigmoid:")), "sigmoid:1")
    if float(sigmoid.partition(":")[2]) != 1:
        raise InputError(f"the {name} has a logistic link of another slope ({sigmoid})")
    return LINKS[kind]

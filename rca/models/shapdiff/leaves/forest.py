"""Leaves of scikit-learn's trees, forests and gradient boosting."""

from __future__ import annotations

from typing import Any

import numpy as np

from rca.models.shapdiff.leaves.table import Leaves
from rca.models.shapdiff.leaves.walk import Tree, leaves

__all__ = ["read"]


def read(model: Any, n_features: int) -> Leaves | None:
    """Return the leaves of a decision tree, random forest, extra trees or gradient boosting, or None.

    Parameters
    ----------
    model : object
        A fitted scikit-learn model.
    n_features : int
        Columns of the rows.

    Returns
    -------
    Leaves or None
        None for another model, for one of several targets, and for gradient boosting that starts from a model or
        from a loss whose start is no constant margin. The outputs of a classifier are the probabilities of its classes,
        of two classes that of the second alone; of gradient boosting the margins.
    """
    from sklearn import ensemble, tree

    if isinstance(model, (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor)):
        return _boosted(model, n_features)
    if isinstance(model, (tree.DecisionTreeClassifier, tree.DecisionTreeRegressor)):
        members = [model]
    elif isinstance(
        model,
        (
            ensemble.RandomForestClassifier, ensemble.RandomForestRegressor,
            ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor,
        ),
    ):  # fmt: skip
        members = list(model.estimators_)
    else:
        return None
    if model.n_outputs_ != 1:
        return None
    share = 1.0 / len(members)
    trees = [_nodes(member.tree_, share, classes=hasattr(model, "classes_")) for member in members]
    outputs = trees[0].value.shape[1]
    return _leaves(trees, np.zeros(outputs), n_features, "identity")


def _nodes(tree: Any, scale: float, *, classes: bool = False, group: int = 0) -> Tree:
    values = tree.value[:, 0, :]
    if classes:
        values = values / np.maximum(values.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        values = values[:, 1:] if values.shape[1] == 2 else values
    return Tree(
        left=tree.children_left, right=tree.children_right, feature=tree.feature, threshold=tree.threshold,
        missing_left=tree.missing_go_to_left, weight=tree.weighted_n_node_samples, value=values * scale, group=group,
        category=np.full(tree.node_count, -1),
    )  # fmt: skip


def _boosted(model: Any, n_features: int) -> Leaves | None:
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.ensemble import GradientBoostingClassifier

    if not (isinstance(model.init_, (DummyClassifier, DummyRegressor)) or model.init_ == "zero"):
        return None
    outputs = model.estimators_.shape[1]
    # The start is the same for every row: that of a row of zeros.
    base = model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32))[0]

    trees = [
        _nodes(member.tree_, model.learning_rate, group=group)
        for stage in model.estimators_
        for group, member in enumerate(stage)
    ]
    link = "identity"
    if isinstance(model, GradientBoostingClassifier):
        link = "softmax" if outputs > 1 else ("logit" if model.loss == "log_loss" else "exponential")
    return _leaves(trees, base, n_features, link)


def _leaves(trees: list[Tree], base: np.ndarray, n_features: int, link: str) -> Leaves:
    nothing = np.zeros((0, 1), dtype=bool)
    return leaves(trees, nothing, base=base, n_features=n_features, single=True, link=link)

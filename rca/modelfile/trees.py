"""A check that decision trees read from a file do not point outside themselves.

scikit-learn follows the indices in a tree's nodes without looking whether they lie in the tree or in the row.
A crafted file could so crash the process, or read memory that is not the model's.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from rca.errors import UnsafeInput

__all__ = ["check_trees"]

ANY_WIDTH = 2**62


def check_trees(model: Any, *, where: str) -> None:
    """Raise UnsafeInput if any tree within `model` has a child, feature or category index out of bounds.

    Parameters
    ----------
    model : object
        As read from the file; everything reachable through attributes and containers is looked at.
    where : str
        The file, for the message.
    """
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.tree._tree import Tree

    seen: set[tuple[int, int]] = set()
    waiting: list[tuple[Any, int]] = [(model, ANY_WIDTH)]  # with the number of columns of the rows that it is given
    while waiting:
        item, width = waiting.pop()
        if isinstance(item, (str, bytes, int, float, type, type(None))) or (id(item), width) in seen:
            continue
        seen.add((id(item), width))
        if isinstance(item, Tree):
            sound = _tree_is_sound(item, width)
        elif isinstance(item, TreePredictor):
            sound = _predictor_is_sound(item, width)
        else:
            sound = True
            below = _width_below(item, width)
            waiting += [(child, below) for child in _children(item)]
        if not sound:
            raise UnsafeInput(f"{where}: a tree in it points outside itself; the file is damaged or crafted")


def _width_below(item: Any, width: int) -> int:
    from sklearn.base import BaseEstimator
    from sklearn.ensemble import BaseEnsemble
    from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
    from sklearn.tree import BaseDecisionTree

    if isinstance(item, (BaseEnsemble, BaseHistGradientBoosting)):
        return int(getattr(item, "n_features_in_", 0))  # checks its rows, then hands them to its trees as they are
    if isinstance(item, BaseDecisionTree):
        return min(int(getattr(item, "n_features_in_", 0)), width)
    return ANY_WIDTH if isinstance(item, BaseEstimator) else width


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    if isinstance(item, (list, tuple, set, frozenset)):
        return list(item)
    if isinstance(item, np.ndarray):
        return list(item.ravel().tolist()) if item.dtype == object else []
    if isinstance(item, functools.partial):
        return [item.func, *item.args, *item.keywords.values()]
    return list(getattr(item, "__dict__", {}).values())


def _tree_is_sound(tree: Any, width: int) -> bool:
    if tree.node_count == 0:  # more than there are is put right by scikit-learn
        return False
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    return _splits_are_sound(left != -1, left, right, feature, min(width, tree.n_features))


def _predictor_is_sound(tree: Any, width: int) -> bool:
    nodes = tree.nodes
    splits = nodes["is_leaf"] == 0
    categories = nodes["bitset_idx"][splits & (nodes["is_categorical"] != 0)]
    sets = min(len(tree.raw_left_cat_bitsets), len(tree.binned_left_cat_bitsets))
    if len(nodes) == 0 or (categories.astype(np.int64) >= sets).any():
        return False
    return _splits_are_sound(splits, nodes["left"], nodes["right"], nodes["feature_idx"], width)


def _splits_are_sound(splits: Any, left: Any, right: Any, feature: Any, width: int) -> bool:
    here = np.flatnonzero(splits)
    left, right, feature = (np.asarray(values)[here].astype(np.int64) for values in (left, right, feature))
    # Children stand behind their parent in both kinds of tree, so that no path can go in a circle.
    inside = (left > here) & (left < len(splits)) & (right > here) & (right < len(splits))
    return bool((inside & (feature >= 0) & (feature < width)).all())

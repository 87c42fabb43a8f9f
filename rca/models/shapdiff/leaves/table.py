"""All leaves of a tree model, each with the tests on the way to it: what every SHAP kernel here works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Leaves"]


@dataclass(frozen=True, eq=False)
class Leaves:
    """The leaves of an ensemble of trees, where tests of one feature on one way are merged into one.

    Attributes
    ----------
    start : ndarray of int64, shape (n_leaves + 1,)
        The tests of leaf ``i`` are those from ``start[i]`` to ``start[i + 1]``; a leaf without tests is a constant.
    feature : ndarray of int32, shape (n_tests,)
        Column that is tested; distinct within a leaf.
    low, high : ndarray of float64, shape (n_tests,)
        A number passes if ``low < x <= high``.
    missing : ndarray of bool, shape (n_tests,)
        Whether a missing value (NaN) passes.
    category : ndarray of int32, shape (n_tests,)
        -1 for a numeric test, else the row of `sets` with the categories that pass.
    cover : ndarray of float64, shape (n_tests,)
        Share of the training rows that passes, given the tests of other features: the product of child's over
        node's weight along the way, where that feature is split.
    values : ndarray of float64, shape (n_leaves, n_values)
        What a row in the leaf adds: to output ``group[i]`` if there is one value, else to all outputs.
    group : ndarray of int32, shape (n_leaves,)
        Output that the leaf's tree belongs to.
    base : ndarray of float64, shape (n_outputs,)
        Output before any tree.
    sets : ndarray of bool, shape (n_sets, n_codes + 1)
        Which category codes pass; the last column stands for codes that no column stands for (unseen in training).
    n_features : int
        Columns of the rows.
    single : bool
        Whether the model rounds rows to single precision before it tests them.
    link : str
        ``"identity"``, ``"logit"``, ``"softmax"`` or ``"log"``: what leads from the sum to the model's own prediction.
    """

    start: Any
    feature: Any
    low: Any
    high: Any
    missing: Any
    category: Any
    cover: Any
    values: Any
    group: Any
    base: Any
    sets: Any
    n_features: int
    single: bool
    link: str

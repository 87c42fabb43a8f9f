"""From the nodes of one tree to its leaves, where the tests of one feature on one way are merged into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rca.models.shapdiff.compiled import entry, inner
from rca.models.shapdiff.leaves.table import Leaves

__all__ = ["Tree", "leaves"]


@dataclass(frozen=True, eq=False)
class Tree:
    """The nodes of one tree; node 0 is the root.

    Attributes
    ----------
    left, right : ndarray of int, shape (n_nodes,)
        Child nodes, -1 in a leaf.
    feature : ndarray of int, shape (n_nodes,)
        Column that the node tests.
    threshold : ndarray of float64, shape (n_nodes,)
        A number goes left if it is at most this.
    missing_left : ndarray of bool, shape (n_nodes,)
        Whether a missing value (NaN) goes left.
    category : ndarray of int, shape (n_nodes,)
        -1 for a numeric test, else the row of the table of sets that go left.
    weight : ndarray of float64, shape (n_nodes,)
        Training rows, or their weight, in the node.
    value : ndarray of float64, shape (n_nodes, n_values)
        What a leaf adds.
    group : int
        Output that the tree belongs to.
    """

    left: Any
    right: Any
    feature: Any
    threshold: Any
    missing_left: Any
    category: Any
    weight: Any
    value: Any
    group: int


def leaves(
    trees: Sequence[Tree], left_sets: np.ndarray, *, base: np.ndarray, n_features: int, single: bool, link: str
) -> Leaves:
    """Return the leaves of all trees, where tests of one feature on one way are merged into one.

    Parameters
    ----------
    trees : sequence of Tree
        All trees, in the model's order.
    left_sets : ndarray of bool, shape (n_rows, n_codes + 1)
        Which category codes go left, one row for each categorical test; the last column stands for other codes.
    base, n_features, single, link
        As in `Leaves`.

    Returns
    -------
    Leaves

    Notes
    -----
    Time and memory grow with the number of leaves times their depth.
    """
    left_sets = np.ascontiguousarray(left_sets, dtype=np.bool_)
    # A test leaves two sets, of what goes left and right, each among what could come there.
    passing = np.zeros((2 * len(left_sets), left_sets.shape[1]), dtype=np.bool_)
    parts = []
    for tree in trees:
        nodes = _Nodes(
            left=np.ascontiguousarray(tree.left, dtype=np.int64),
            right=np.ascontiguousarray(tree.right, dtype=np.int64),
            feature=np.ascontiguousarray(tree.feature, dtype=np.int64),
            category=np.ascontiguousarray(tree.category, dtype=np.int64),
            threshold=np.ascontiguousarray(tree.threshold, dtype=np.float64),
            missing_left=np.ascontiguousarray(tree.missing_left, dtype=np.bool_),
            weight=np.ascontiguousarray(tree.weight, dtype=np.float64), left_sets=left_sets,
        )  # fmt: skip
        leaf, *rest = _walk(nodes, passing)
        value = np.asarray(tree.value, dtype=np.float64)[leaf]
        parts.append((*rest, value, np.full(len(leaf), tree.group, dtype=np.int32)))
    kinds = (np.int64, np.int32, float, float, bool, np.int32, float, float, np.int32)
    if not parts:
        parts = [tuple(np.zeros((0, 1) if i == 7 else 0, kind) for i, kind in enumerate(kinds))]
    lengths, feature, low, high, missing, category, cover, values, group = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    start = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=start[1:])
    return Leaves(
        start=start, feature=feature, low=low, high=high, missing=missing, category=category, cover=cover,
        values=values, group=group, base=np.asarray(base, dtype=np.float64), sets=passing, n_features=n_features,
        single=single, link=link,
    )  # fmt: skip


class _Nodes(NamedTuple):
    """The arrays of a `Tree`, and the table of sets that go left."""

    left: Any
    right: Any
    feature: Any
    category: Any
    threshold: Any
    missing_left: Any
    weight: Any
    left_sets: Any


@inner
def _sizes(left: Any, right: Any) -> Any:
    """Return the number of leaves, the sum of their depths and the largest depth."""
    stack = np.empty(len(left) + 1, np.int64)
    depth = np.empty(len(left) + 1, np.int64)
    stack[0] = 0
    depth[0] = 0
    top, leaves, total, deepest = 1, 0, 0, 0
    while top:
        top -= 1
        node, at = stack[top], depth[top]
        if left[node] < 0:
            leaves += 1
            total += at
            deepest = max(deepest, at)
            continue
        stack[top], stack[top + 1] = right[node], left[node]
        depth[top], depth[top + 1] = at + 1, at + 1
        top += 2
    return leaves, total, deepest


class _Way(NamedTuple):
    """What the way to a node has merged so far: row = depth of the node, column = test."""

    count: Any
    feature: Any
    category: Any
    low: Any
    high: Any
    missing: Any
    cover: Any


@inner
def _step(way: Any, at: int, up: int, node: int, tree: Any, passing: Any) -> None:
    """Write the way to `node`, at depth `at`: that to its parent `up`, and the parent's test."""
    n = way.count[at - 1]
    for t in range(n):
        way.feature[at, t], way.category[at, t] = way.feature[at - 1, t], way.category[at - 1, t]
        way.low[at, t], way.high[at, t] = way.low[at - 1, t], way.high[at - 1, t]
        way.missing[at, t], way.cover[at, t] = way.missing[at - 1, t], way.cover[at - 1, t]
    goes_left = tree.left[up] == node
    t = 0
    while t < n and way.feature[at, t] != tree.feature[up]:
        t += 1
    if t == n:
        n += 1
        way.feature[at, t], way.category[at, t], way.missing[at, t] = tree.feature[up], -1, True
        way.low[at, t], way.high[at, t], way.cover[at, t] = -np.inf, np.inf, 1.0
    way.count[at] = n
    way.missing[at, t] &= tree.missing_left[up] == goes_left
    way.cover[at, t] *= tree.weight[node] / tree.weight[up] if tree.weight[up] > 0 else 0.0
    if tree.category[up] >= 0:
        row = 2 * tree.category[up] + (0 if goes_left else 1)
        before = way.category[at, t]
        for c in range(passing.shape[1]):
            passes = tree.left_sets[tree.category[up], c] == goes_left
            passing[row, c] = passes and (before < 0 or passing[before, c])
        way.category[at, t] = row
    elif goes_left:
        way.high[at, t] = min(way.high[at, t], tree.threshold[up])
    else:
        way.low[at, t] = max(way.low[at, t], tree.threshold[up])


@entry
def _walk(tree: Any, passing: Any) -> Any:
    """Return node and number of tests of each leaf, left leaves first, and the tests; write the sets that pass."""
    leaves, total, deepest = _sizes(tree.left, tree.right)
    leaf, lengths = np.empty(leaves, np.int64), np.empty(leaves, np.int64)
    feature, category = np.empty(total, np.int32), np.empty(total, np.int32)
    low, high, cover, missing = np.empty(total), np.empty(total), np.empty(total), np.empty(total, np.bool_)
    n = deepest + 1
    way = _Way(
        np.zeros(n, np.int64), np.empty((n, n), np.int64), np.empty((n, n), np.int64), np.empty((n, n)),
        np.empty((n, n)), np.empty((n, n), np.bool_), np.empty((n, n)),
    )  # fmt: skip
    stack, level, parent = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    top, n_leaves, k = 1, 0, 0
    while top:
        top -= 1
        node, at = stack[top], level[top]
        if at > 0:
            _step(way, at, parent[top], node, tree, passing)
        if tree.left[node] < 0:
            leaf[n_leaves], lengths[n_leaves] = node, way.count[at]
            n_leaves += 1
            for t in range(way.count[at]):
                feature[k], category[k] = way.feature[at, t], way.category[at, t]
                low[k], high[k] = way.low[at, t], way.high[at, t]
                missing[k], cover[k] = way.missing[at, t], way.cover[at, t]
                k += 1
            continue
        stack[top], stack[top + 1] = tree.right[node], tree.left[node]
        for i in (top, top + 1):
            level[i], parent[i] = at + 1, node
        top += 2
    return leaf, lengths, feature[:k], low[:k], high[:k], missing[:k], category[:k], cover[:k]

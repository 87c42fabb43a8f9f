"""From the nodes of one tree to its leaves, where the tests of one feature on one way are merged into one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rca.models.shapdiff.leaves.table import Leaves

__all__ = ["Tree", "leaves"]

BATCH = 20_000  # nodes of trees that are walked together
_TEST = np.dtype(
    [("low", "f8"), ("high", "f8"), ("cover", "f8"), ("feature", "i4"), ("category", "i4"), ("missing", "?")],
    align=True,
)
_NO_TEST = np.array((-np.inf, np.inf, 1.0, -1, -1, True), dtype=_TEST)


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
    group : int or ndarray of int32, shape (n_nodes,)
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
    group: Any


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
    Time and memory grow with the number of leaves times their depth. Many trees are walked at a time, level by level,
    in numpy: that is about as fast as a compiled walk node by node, which would take a second to compile.
    """
    left_sets = np.asarray(left_sets, dtype=np.bool_)
    # A test leaves two sets, of what goes left and right, each among what could come there.
    passing = np.zeros((2 * len(left_sets), left_sets.shape[1]), dtype=np.bool_)
    parts = [_walk(*_joined(some), left_sets, passing) for some in _batches(trees)]
    if not parts:
        parts = [(np.zeros(0, np.int64), np.zeros(0, _TEST), np.zeros((0, 1)), np.zeros(0, np.int32))]
    lengths, tests, values, group = (np.concatenate(column) for column in zip(*parts, strict=True))
    start = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=start[1:])
    return Leaves(
        start=start, **{name: np.ascontiguousarray(tests[name]) for name in _TEST.names or ()}, values=values,
        group=group, base=np.asarray(base, dtype=np.float64), sets=passing, n_features=n_features, single=single,
        link=link,
    )  # fmt: skip


def _batches(trees: Sequence[Tree]) -> Iterator[Sequence[Tree]]:
    """Yield all trees in order, some at a time."""
    begin, nodes = 0, 0
    for end, tree in enumerate(trees):
        if nodes and nodes + len(tree.left) > BATCH:
            yield trees[begin:end]
            begin, nodes = end, 0
        nodes += len(tree.left)
    if nodes:
        yield trees[begin:]


def _joined(trees: Sequence[Tree]) -> tuple[Tree, np.ndarray]:
    """Return the nodes of all trees as if they were of one, and where each tree's root is."""
    sizes = [len(tree.left) for tree in trees]
    root = np.cumsum([0, *sizes[:-1]])
    shift = np.repeat(root, sizes)

    def join(name: str, kind: Any) -> np.ndarray:
        return np.concatenate([np.asarray(getattr(tree, name), dtype=kind) for tree in trees])

    left, right = join("left", np.int64), join("right", np.int64)
    nodes = Tree(
        left=np.where(left < 0, -1, left + shift), right=np.where(right < 0, -1, right + shift),
        feature=join("feature", np.int32), threshold=join("threshold", np.float64),
        missing_left=join("missing_left", np.bool_), category=join("category", np.int32),
        weight=join("weight", np.float64), value=join("value", np.float64),
        group=np.repeat(np.array([tree.group for tree in trees], dtype=np.int32), sizes),
    )  # fmt: skip
    return nodes, root


def _walk(
    nodes: Tree, root: np.ndarray, left_sets: np.ndarray, passing: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return number of tests of each leaf, left leaves first, the tests, values, groups; write the sets that pass."""
    level, count, ways = root, np.zeros(len(root), np.int64), np.zeros((len(root), 0), _TEST)
    levels, lengths, tests = [], [], []
    while len(level):
        ends = nodes.left[level] < 0
        levels.append(level)
        lengths.append(count[ends])
        tests.append(ways[ends][np.arange(ways.shape[1]) < count[ends][:, None]])
        up = np.repeat(level[~ends], 2)
        count, ways = np.repeat(count[~ends], 2), np.repeat(ways[~ends], 2, axis=0)
        level = np.where(np.arange(len(up)) % 2 == 0, nodes.left[up], nodes.right[up])
        if count.max(initial=0) == ways.shape[1]:
            ways = np.concatenate([ways, np.full((len(ways), 1), _NO_TEST)], axis=1)
        count += _step(ways, count, up, level, nodes, left_sets, passing)
    leaf = np.concatenate([level[nodes.left[level] < 0] for level in levels])
    order = np.argsort(_places(nodes, levels)[leaf])
    length = np.concatenate(lengths)
    begin, ordered = np.cumsum(length) - length, length[order]
    own = np.repeat(begin[order] - (np.cumsum(ordered) - ordered), ordered) + np.arange(ordered.sum())
    return ordered, np.concatenate(tests)[own], nodes.value[leaf[order]], nodes.group[leaf[order]]


def _step(
    ways: np.ndarray, count: np.ndarray, up: np.ndarray, level: np.ndarray, nodes: Tree, left_sets: np.ndarray,
    passing: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Add the tests of the nodes `up` to the ways to their children `level`; return whether their feature is new."""
    rows = np.arange(len(level))
    same = ways["feature"] == nodes.feature[up][:, None]
    new = ~same.any(axis=1)
    at = np.where(new, count, same.argmax(axis=1))
    test = ways[rows, at]
    goes_left = nodes.left[up] == level
    test["feature"] = nodes.feature[up]
    test["missing"] &= nodes.missing_left[up] == goes_left
    weight = nodes.weight[up]
    test["cover"] *= np.divide(nodes.weight[level], weight, out=np.zeros(len(up)), where=weight > 0)
    category, threshold = nodes.category[up], nodes.threshold[up]
    number = category < 0
    test["high"] = np.where(number & goes_left, np.minimum(test["high"], threshold), test["high"])
    test["low"] = np.where(number & ~goes_left, np.maximum(test["low"], threshold), test["low"])
    if not number.all():
        category, goes_left, before = category[~number], goes_left[~number], test["category"][~number]
        own = 2 * category + ~goes_left
        listed = left_sets[category] == goes_left[:, None]
        passing[own] = listed & ((before < 0)[:, None] | passing[before])
        test["category"][~number] = own
    ways[rows, at] = test
    return np.asarray(new)


def _places(nodes: Tree, levels: list[np.ndarray]) -> np.ndarray:
    """Return for each leaf how many leaves are left of it, those of all trees before included."""
    parents = [level[nodes.left[level] >= 0] for level in levels]
    leaves = np.ones(len(nodes.left), dtype=np.int64)
    for node in reversed(parents):
        leaves[node] = leaves[nodes.left[node]] + leaves[nodes.right[node]]
    place = np.zeros(len(nodes.left), dtype=np.int64)
    place[levels[0]] = np.cumsum(leaves[levels[0]]) - leaves[levels[0]]
    for node in parents:
        place[nodes.left[node]] = place[node]
        place[nodes.right[node]] = place[node] + leaves[nodes.left[node]]
    return place

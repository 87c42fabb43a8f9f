"""Exact SHAP values of tree models from patterns of their leaves."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from rca.models.shapdiff import cells, coding, deep, runs, tables
from rca.models.shapdiff.compiled import entry
from rca.models.shapdiff.leaves.table import Leaves
from rca.progress import track

__all__ = ["attribute", "expected", "margins", "only"]

TABLE = 12  # tests of a leaf up to which every pattern gets an entry of a table
LARGEST = 14  # the same when only few leaves have more than that
SPARE = 200_000  # steps a row, of at most 1,000 rows, that larger tables may take: about 0.2 s in all
CELLS = 4096  # of a group: a table of one feature fits the first-level cache
SLOTS = 24  # features of a group
SHARES = 8  # of the leaves, whatever the number of threads, so that sums are rounded alike on every machine
GROUPS = 12  # that a share has at least
BLOCK = 4096  # rows whose cells are kept at a time
ROOM = 24_000_000  # bytes of values that one share adds up at a time


def attribute(
    leaves: Leaves,
    rows: np.ndarray,
    *,
    background: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    factors: np.ndarray | None = None,
    threads: int = 1,
    progress: bool = False,
) -> np.ndarray:
    """Return the SHAP values of rows.

    Parameters
    ----------
    leaves : Leaves
        The model.
    rows : ndarray of float64, shape (n_rows, n_features)
        Rows to explain, as `rca.models.shapdiff.leaves.codes` gives them.
    background : ndarray of float64, shape (n_background, n_features), optional
        Rows that stand for "feature not known": interventional values. Without it path-dependent ones.
    weights : ndarray of float64, shape (n_background, n_weights), optional
        Weights of the background rows, one column a run; default one run with ``1 / n_background``.
    factors : ndarray of float64, shape (n_rows, n_weights) or (n_rows, n_weights, n_targets), optional
        What each run is multiplied with, row by row, before the runs are added up; needed with `weights`.
    threads : int, default 1
        Number of threads; the result does not depend on it.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_features, n_outputs)
        What each feature adds to each output; with `factors` of three axes to each target, over all outputs.

    Notes
    -----
    Exact up to rounding. The cost grows with rows plus background, not with their product, but for leaves with more
    than 12 features on the way: those are computed for observed patterns only. Memory: the result, once more for each
    thread (in slices of rows of at most 48 MB), and two bytes for each value of rows and background.

    References
    ----------
    .. [1] Lundberg et al., From local explanations to global understanding with explainable AI for trees, Nature
       Machine Intelligence 2, 2020.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from rca.models.shapdiff.leaves import read
    >>> model = DecisionTreeRegressor().fit([[0.0, 0.0], [1.0, 0.0]], [3.0, 5.0])
    >>> attribute(read(model, 2), np.array([[1.0, 7.0]]))[0, :, 0].tolist()
    [1.0, 0.0]
    """
    rows = np.asarray(rows, dtype=np.float64)
    outputs = len(leaves.base)
    if background is not None:
        background = np.asarray(background, dtype=np.float64)
        if weights is None:
            weights = np.full((len(background), 1), 1.0 / len(background))
    targets = outputs if factors is None or factors.ndim == 2 else factors.shape[2]
    result = np.empty((len(rows), leaves.n_features, targets))
    code = coding.build(leaves)
    coded_background = None if background is None else code.code(background)
    step = max(1, ROOM // (8 * targets * leaves.n_features))
    step = -(-len(rows) // max(1, -(-len(rows) // step))) if len(rows) else 1
    for start in track(range(0, len(rows), step), "slices of rows", progress=progress):
        part = slice(start, start + step)
        some = None if factors is None else factors[part]
        result[part] = _slice(code, rows[part], coded_background, weights, some, targets, threads)
    return result


def expected(leaves: Leaves) -> np.ndarray:
    """Return what path-dependent values start from: the mean output over the training rows, as the covers tell it.

    Parameters
    ----------
    leaves : Leaves
        The model.

    Returns
    -------
    ndarray of float64, shape (n_outputs,)
    """
    share = np.ones(len(leaves.start) - 1)
    owner = np.repeat(np.arange(len(share)), np.diff(leaves.start))
    np.multiply.at(share, owner, leaves.cover)
    base = leaves.base.astype(np.float64)
    if leaves.values.shape[1] > 1:
        return np.asarray(base + share @ leaves.values)
    return np.asarray(base + np.bincount(leaves.group, share * leaves.values[:, 0], minlength=len(base)))


def only(leaves: Leaves, output: int) -> Leaves:
    """Return the leaves of one output alone.

    Parameters
    ----------
    leaves : Leaves
        The model.
    output : int
        Which one.

    Returns
    -------
    Leaves
    """
    base = leaves.base[output : output + 1]
    if leaves.values.shape[1] > 1:
        values = np.ascontiguousarray(leaves.values[:, output : output + 1])
        return replace(leaves, values=values, base=base, group=np.zeros(len(values), dtype=np.int32))
    mine = leaves.group == output
    sizes = np.diff(leaves.start)
    tests = np.repeat(mine, sizes)
    start = np.concatenate([[0], np.cumsum(sizes[mine])])
    return replace(
        leaves, start=start, feature=leaves.feature[tests], low=leaves.low[tests], high=leaves.high[tests],
        missing=leaves.missing[tests], category=leaves.category[tests], cover=leaves.cover[tests],
        values=leaves.values[mine], group=np.zeros(int(mine.sum()), dtype=np.int32), base=base,
    )  # fmt: skip


def margins(leaves: Leaves, rows: np.ndarray) -> np.ndarray:
    """Return the model's outputs, read from its leaves.

    Parameters
    ----------
    leaves : Leaves
        The model.
    rows : ndarray of float64, shape (n_rows, n_features)
        As `rca.models.shapdiff.leaves.codes` gives them.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_outputs)

    Notes
    -----
    Goes through all leaves for each row: the model's own prediction is faster.
    """
    code = coding.build(leaves)
    result = np.repeat(leaves.base[None, :].astype(np.float64), len(rows), axis=0)
    flips = (code.flips, code.flip_start, code.first)
    _sum(leaves.start, leaves.feature, *flips, leaves.values, leaves.group, code.code(np.asarray(rows)), result)
    return result


@entry
def _sum(
    start: Any, feature: Any, flips: Any, flip_start: Any, first: Any, values: Any, group: Any, codes: Any, result: Any
) -> None:
    for r in range(codes.shape[1]):
        for leaf in range(len(values)):
            inside = True
            for test in range(start[leaf], start[leaf + 1]):
                passes = first[test]
                for flip in range(flip_start[test], flip_start[test + 1]):
                    if flips[flip] > codes[feature[test], r]:
                        break
                    passes = not passes
                if not passes:
                    inside = False
                    break
            if inside:
                for v in range(values.shape[1]):
                    result[r, group[leaf] + v] += values[leaf, v]


def _slice(
    code: coding.Coding, rows: Any, background: Any, weights: Any, factors: Any, targets: int, threads: int
) -> np.ndarray:
    """Return the values of some rows; `background` is coded."""
    leaves = code.leaves
    n, width = rows.shape
    codes = code.code(rows)
    absent = background is None
    other = np.zeros((width, 0), dtype=codes.dtype) if absent else background
    weight = np.ones((1, 0)) if absent else np.ascontiguousarray(np.asarray(weights, dtype=np.float64).T)
    factor = np.zeros((0, 0, 0))
    if factors is not None:
        factor = np.ascontiguousarray(factors.reshape(n, -1, targets).transpose(0, 2, 1), dtype=np.float64)
    top = np.concatenate([codes, other], axis=1).max(axis=1, initial=0).astype(np.int64)
    tests = cells.Tests(leaves.start, leaves.feature, code.flips, code.flip_start, code.first, top)
    depth = np.diff(leaves.start)
    data = runs.Data(tests, codes, other, weight, factor, leaves.values, leaves.group, leaves.cover)
    points = tables.nodes(int(depth.max(initial=0)))
    columns = weight.shape[0] * leaves.values.shape[1]
    slow = _untabled(depth, n, other.shape[1], columns)
    largest = int(depth[~slow].max(initial=0))
    limit = int(np.clip(CELLS * 8 // columns, 256, CELLS))
    longest = int(np.diff(code.flip_start).max(initial=0))
    slots = min(width, SLOTS)
    fast, rest = np.flatnonzero(~slow & (depth > 0)), np.flatnonzero(slow)
    # Each share fills many groups, beside which adding it up costs little; leaves next to each other stay together.
    count = int(np.clip(max((2.0 ** depth[fast]).sum() // (GROUPS * limit), len(rest)), 1, SHARES))
    stretches = np.array_split(fast, count)

    run = runs.by_cover if absent else runs.by_background if factors is None else runs.by_weights

    def share(first: int) -> Any:
        out = np.zeros((targets, width, n))
        group = cells.room(width, slots, longest)
        size = max(limit, 1 << largest)  # cells of a group: more than the limit if it is a single leaf
        entries = max(slots * limit, largest << largest)
        work = runs.Work(
            np.zeros(BLOCK, np.uint16), np.zeros(size, np.uint16), np.zeros(1 << largest), np.zeros(1 << largest),
            np.zeros((len(weight), size)), np.zeros((largest, 1 << largest)), np.zeros(columns * entries),
            np.zeros(int(top.max(initial=0)) + 1, np.uint16),
        )  # fmt: skip
        if len(stretches[first]):
            run(data, stretches[first], n + other.shape[1], limit, points, group, work, out)
        deep.run(data, rest[first::count], points, out)
        return out

    return _added(share, count, threads).transpose(2, 1, 0)


def _added(share: Callable[[int], np.ndarray], count: int, threads: int) -> np.ndarray:
    """Return the sum of the shares, in their order."""
    with ThreadPoolExecutor(threads) as pool:
        shares = pool.map(share, range(count))
        total = next(shares)
        for one in shares:
            total += one
    return total


def _untabled(depth: np.ndarray, n: int, m: int, columns: int) -> np.ndarray:
    """Return which leaves are cheaper without a table of all patterns, or have too many of them."""
    patterns = 2.0 ** np.minimum(depth, 60)
    steps = (depth + 1) // 2 * depth * patterns
    few = n * m < steps if m else 2 * n < patterns
    slow = (depth > 0) & ((depth > TABLE) | few)
    # For a handful of leaves tables are cheaper than to compile the way without, which takes a second or two.
    handful = depth[slow].max(initial=0) <= LARGEST and steps[slow].sum() * columns <= SPARE * min(n, 1000)
    return np.zeros_like(slow) if handful else np.asarray(slow)

"""The loop over groups of leaves: fill the tables of a group, then look up every row."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rca.models.shapdiff import cells, tables
from rca.models.shapdiff.compiled import entry, inner

__all__ = ["Data", "Work", "by_background", "by_cover", "by_weights"]


class Work(NamedTuple):
    """Room to work, one a thread."""

    cell: Any
    pattern: Any
    product: Any
    counts: Any
    hist: Any
    leaf: Any
    table: Any
    lookup: Any


class Data(NamedTuple):
    """What all threads read; the axis of rows is the last one of `codes`, `background` and `weights`."""

    tests: Any
    codes: Any
    background: Any
    weights: Any
    factors: Any
    values: Any
    output: Any
    cover: Any


@entry
def by_cover(data: Any, leaves: Any, rows: int, limit: int, points: Any, group: Any, work: Any, out: Any) -> None:
    """Add up the path-dependent values of `leaves`."""
    end = np.int64(0)  # not a literal, for which `fill` would be compiled apart
    while end < len(leaves):
        begin = end
        end = cells.fill(group, data.tests, leaves, begin, data.output, rows, limit)
        _zero(work.table, group.size[0] * group.size[1] * data.values.shape[1])
        for i in range(begin, end):
            a, b = data.tests.start[leaves[i]], data.tests.start[leaves[i] + 1]
            features = data.tests.feature[a:b]
            cells.expand(group, features, i - begin, work.pattern)
            tables.by_cover(data.cover[a:b], points[0], points[1], work.product, work.leaf)
            _spread(features, data.values[leaves[i]], group.slot, group.size, work.pattern, work.leaf, work.table)
        _apply(data.codes, data.output[leaves[begin]], data.values.shape[1], group, work, out)


@entry
def by_background(data: Any, leaves: Any, rows: int, limit: int, points: Any, group: Any, work: Any, out: Any) -> None:
    """Add up the interventional values of `leaves`."""
    end = np.int64(0)  # not a literal, for which `fill` would be compiled apart
    while end < len(leaves):
        begin = end
        end = cells.fill(group, data.tests, leaves, begin, data.output, rows, limit)
        _zero(work.table, group.size[0] * group.size[1] * data.values.shape[1])
        _count(data.background, data.weights, group, work)
        for i in range(begin, end):
            features = data.tests.feature[data.tests.start[leaves[i]] : data.tests.start[leaves[i] + 1]]
            cells.expand(group, features, i - begin, work.pattern)
            _against(work.hist[0], group.size[1], len(features), points, work)
            _spread(features, data.values[leaves[i]], group.slot, group.size, work.pattern, work.leaf, work.table)
        _apply(data.codes, data.output[leaves[begin]], data.values.shape[1], group, work, out)


@entry
def by_weights(data: Any, leaves: Any, rows: int, limit: int, points: Any, group: Any, work: Any, out: Any) -> None:
    """Add up the weighted interventional values of `leaves`."""
    runs = len(data.weights)
    end = np.int64(0)  # not a literal, for which `fill` would be compiled apart
    while end < len(leaves):
        begin = end
        end = cells.fill(group, data.tests, leaves, begin, data.output, rows, limit)
        size = group.size[1]
        _zero(work.table, group.size[0] * size * runs)
        _count(data.background, data.weights, group, work)
        for i in range(begin, end):
            value = data.values[leaves[i], 0]
            features = data.tests.feature[data.tests.start[leaves[i]] : data.tests.start[leaves[i] + 1]]
            cells.expand(group, features, i - begin, work.pattern)
            for k in range(runs):
                _against(work.hist[k], size, len(features), points, work)
                for j in range(len(features)):
                    at = group.slot[features[j]] * size
                    for c in range(size):
                        work.table[(at + c) * runs + k] += value * work.leaf[j, work.pattern[c]]
        _apply_weighted(data.codes, data.factors, group, work, out)


@inner
def _zero(table: Any, entries: int) -> None:
    for i in range(entries):
        table[i] = 0.0


@inner
def _count(background: Any, weights: Any, group: Any, work: Any) -> None:
    """Add up the weights of the background rows in each cell."""
    runs, m = weights.shape
    for k in range(runs):
        _zero(work.hist[k], group.size[1])
    for begin in range(0, m, len(work.cell)):
        end = min(m, begin + len(work.cell))
        cells.locate(group, background, begin, end, work.lookup, work.cell)
        for k in range(runs):
            for r in range(begin, end):
                work.hist[k, work.cell[r - begin]] += weights[k, r]


@inner
def _against(hist: Any, size: int, d: int, points: Any, work: Any) -> None:
    """Fill the table of one leaf of `d` tests against the background, whose weight in each cell `hist` tells."""
    _zero(work.counts, 1 << d)
    for c in range(size):
        work.counts[work.pattern[c]] += hist[c]
    tables.by_background(work.counts, d, points[0], points[1], work.product, work.leaf)


@inner
def _spread(features: Any, values: Any, slot: Any, sizes: Any, pattern: Any, leaf: Any, table: Any) -> None:
    """Add the table of one leaf to that of the group: (value, slot, cell)."""
    slots, size = sizes[0], sizes[1]
    for j in range(len(features)):
        s = slot[features[j]]
        for v in range(len(values)):
            value, at = values[v], (v * slots + s) * size
            for c in range(size):
                table[at + c] += value * leaf[j, pattern[c]]


@inner
def _apply(codes: Any, output: int, values: int, group: Any, work: Any, out: Any) -> None:
    """Look up the values of all rows."""
    slots, size = group.size[0], group.size[1]
    n = codes.shape[1]
    for begin in range(0, n, len(work.cell)):
        end = min(n, begin + len(work.cell))
        cells.locate(group, codes, begin, end, work.lookup, work.cell)
        for v in range(values):
            for s in range(slots):
                part = work.table[(v * slots + s) * size : (v * slots + s + 1) * size]
                into = out[output + v, group.feature[s], begin:end]
                for r in range(end - begin):
                    into[r] += part[work.cell[r]]


@inner
def _apply_weighted(codes: Any, factors: Any, group: Any, work: Any, out: Any) -> None:
    """Look up the values of all rows in each run, multiply them with the row's factors and add them up."""
    slots, size = group.size[0], group.size[1]
    runs = factors.shape[2]
    n = codes.shape[1]
    for begin in range(0, n, len(work.cell)):
        end = min(n, begin + len(work.cell))
        cells.locate(group, codes, begin, end, work.lookup, work.cell)
        for target in range(out.shape[0]):
            for s in range(slots):
                part = work.table[s * size * runs : (s + 1) * size * runs]
                into = out[target, group.feature[s], begin:end]
                for r in range(end - begin):
                    at = np.int64(work.cell[r]) * runs
                    factor = factors[begin + r, target]
                    total = 0.0
                    for k in range(runs):
                        total += factor[k] * part[at + k]
                    into[r] += total

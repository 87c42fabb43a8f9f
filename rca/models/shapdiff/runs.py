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


@inner
def _gather(group: Any, tests: Any, members: Any) -> None:
    """Put the members of a group that `cells.plan` made into it."""
    cells.clear(group)
    for leaf in members:
        cells.add(group, tests, leaf, 1 << 40, 1 << 40)
    cells.close(group)


@entry
def by_cover(
    data: Any, order: Any, begins: Any, first: int, step: int, points: Any, group: Any, work: Any, out: Any
) -> None:
    """Add up the path-dependent values of every `step`-th group of leaves."""
    for i in range(first, len(begins) - 1, step):
        members = order[begins[i] : begins[i + 1]]
        _gather(group, data.tests, members)
        _zero(work.table, group.size[0] * group.size[1] * data.values.shape[1])
        for index in range(len(members)):
            leaf = members[index]
            cells.expand(group, data.tests, leaf, index, work.pattern)
            cover = data.cover[data.tests.start[leaf] : data.tests.start[leaf + 1]]
            tables.by_cover(cover, points[0], points[1], work.product, work.leaf)
            _spread(data, leaf, group, work)
        _apply(data, data.output[members[0]], group, work, out)


@entry
def by_background(
    data: Any, order: Any, begins: Any, first: int, step: int, points: Any, group: Any, work: Any, out: Any
) -> None:
    """Add up the interventional values of every `step`-th group of leaves."""
    for i in range(first, len(begins) - 1, step):
        members = order[begins[i] : begins[i + 1]]
        _gather(group, data.tests, members)
        _zero(work.table, group.size[0] * group.size[1] * data.values.shape[1])
        _count(data, group, work)
        for index in range(len(members)):
            leaf = members[index]
            cells.expand(group, data.tests, leaf, index, work.pattern)
            _against(data, leaf, 0, group, points, work)
            _spread(data, leaf, group, work)
        _apply(data, data.output[members[0]], group, work, out)


@entry
def by_weights(
    data: Any, order: Any, begins: Any, first: int, step: int, points: Any, group: Any, work: Any, out: Any
) -> None:
    """Add up the weighted interventional values of every `step`-th group of leaves."""
    runs = len(data.weights)
    for i in range(first, len(begins) - 1, step):
        members = order[begins[i] : begins[i + 1]]
        _gather(group, data.tests, members)
        size = group.size[1]
        _zero(work.table, group.size[0] * size * runs)
        _count(data, group, work)
        for index in range(len(members)):
            leaf = members[index]
            value = data.values[leaf, 0]
            cells.expand(group, data.tests, leaf, index, work.pattern)
            a, b = data.tests.start[leaf], data.tests.start[leaf + 1]
            for k in range(runs):
                _against(data, leaf, k, group, points, work)
                for j in range(b - a):
                    at = group.slot[data.tests.feature[a + j]] * size
                    for c in range(size):
                        work.table[(at + c) * runs + k] += value * work.leaf[j, work.pattern[c]]
        _apply_weighted(data, group, work, out)


@inner
def _zero(table: Any, entries: int) -> None:
    for i in range(entries):
        table[i] = 0.0


@inner
def _count(data: Any, group: Any, work: Any) -> None:
    """Add up the weights of the background rows in each cell."""
    runs, m = data.weights.shape
    for k in range(runs):
        _zero(work.hist[k], group.size[1])
    for begin in range(0, m, len(work.cell)):
        end = min(m, begin + len(work.cell))
        cells.locate(group, data.background, begin, end, work.lookup, work.cell)
        for k in range(runs):
            for r in range(begin, end):
                work.hist[k, work.cell[r - begin]] += data.weights[k, r]


@inner
def _against(data: Any, leaf: int, k: int, group: Any, points: Any, work: Any) -> None:
    """Fill the table of one leaf against the background with its `k`-th weights."""
    d = data.tests.start[leaf + 1] - data.tests.start[leaf]
    _zero(work.counts, 1 << d)
    for c in range(group.size[1]):
        work.counts[work.pattern[c]] += work.hist[k, c]
    tables.by_background(work.counts, d, points[0], points[1], work.product, work.leaf)


@inner
def _spread(data: Any, leaf: int, group: Any, work: Any) -> None:
    """Add the table of one leaf to that of the group: (value, slot, cell)."""
    slots, size = group.size[0], group.size[1]
    a, b = data.tests.start[leaf], data.tests.start[leaf + 1]
    for j in range(b - a):
        s = group.slot[data.tests.feature[a + j]]
        for v in range(data.values.shape[1]):
            value, at = data.values[leaf, v], (v * slots + s) * size
            for c in range(size):
                work.table[at + c] += value * work.leaf[j, work.pattern[c]]


@inner
def _apply(data: Any, output: int, group: Any, work: Any, out: Any) -> None:
    """Look up the values of all rows."""
    slots, size = group.size[0], group.size[1]
    n = data.codes.shape[1]
    for begin in range(0, n, len(work.cell)):
        end = min(n, begin + len(work.cell))
        cells.locate(group, data.codes, begin, end, work.lookup, work.cell)
        for v in range(data.values.shape[1]):
            for s in range(slots):
                part = work.table[(v * slots + s) * size : (v * slots + s + 1) * size]
                into = out[output + v, group.feature[s], begin:end]
                for r in range(end - begin):
                    into[r] += part[work.cell[r]]


@inner
def _apply_weighted(data: Any, group: Any, work: Any, out: Any) -> None:
    """Look up the values of all rows in each run, multiply them with the row's factors and add them up."""
    slots, size = group.size[0], group.size[1]
    runs = data.weights.shape[0]
    n = data.codes.shape[1]
    for begin in range(0, n, len(work.cell)):
        end = min(n, begin + len(work.cell))
        cells.locate(group, data.codes, begin, end, work.lookup, work.cell)
        for target in range(out.shape[0]):
            for s in range(slots):
                part = work.table[s * size * runs : (s + 1) * size * runs]
                into = out[target, group.feature[s], begin:end]
                for r in range(end - begin):
                    at = np.int64(work.cell[r]) * runs
                    factor = data.factors[begin + r, target]
                    total = 0.0
                    for k in range(runs):
                        total += factor[k] * part[at + k]
                    into[r] += total

"""Leaves that lie together in a tree, taken together: the cells that their tests cut the rows into.

Leaves next to each other share most of their tests. For a group of them the values of all rows in the same cell (the
same answer to every test) are the same, so that one look-up a feature serves all leaves of the group. A cell is counted
as a number of mixed radix, one digit a feature; the digit is the *state* of the feature, a set of codes that no test
tells apart.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rca.models.shapdiff.compiled import inner

__all__ = ["Group", "Tests", "expand", "fill", "locate", "room"]

LEAVES = 64  # bits of a kind
FILL = 2.0  # time of an entry of a table, in look-ups of a row


class Tests(NamedTuple):
    """Tests in terms of codes, see `rca.models.shapdiff.coding.Coding`, and where leaves begin."""

    start: Any
    feature: Any
    flips: Any
    flip_start: Any
    first: Any
    top: Any  # highest code of each column in the data


class Group(NamedTuple):
    """A group of leaves. A slot is a feature that the group tests; rows past the slots are for a leaf on trial."""

    size: Any  # slots, cells, leaves, tests
    slot: Any  # of each feature, or -1
    feature: Any  # of each slot
    segments: Any  # of each row: number of stretches of codes that no test tells apart
    begin: Any  # of each row: first code of each stretch
    state: Any  # of each row: number of each stretch's state
    states: Any  # of each row: number of states
    kind: Any  # of each row: what a state passes; bit i stands for the test of leaf i


def room(n_features: int, slots: int, flips: int) -> Group:
    """Return an empty group for at most `slots` features, whose tests have at most `flips` flips."""
    shape = (2 * slots, max(LEAVES, flips + 2))
    ints = np.int64
    return Group(
        np.zeros(4, ints), np.full(n_features, -1, ints), np.zeros(slots, ints), np.zeros(2 * slots, ints),
        np.zeros(shape, ints), np.zeros(shape, ints), np.zeros(2 * slots, ints), np.zeros(shape, np.uint64),
    )  # fmt: skip


@inner
def fill(group: Any, tests: Any, leaves: Any, begin: int, output: Any, rows: int, limit: int) -> int:
    """Make a group of the `leaves` of one output from `begin` on, of up to `limit` cells; return where it ends."""
    for s in range(group.size[0]):
        group.slot[group.feature[s]] = -1
    group.size[0], group.size[1], group.size[2], group.size[3] = 0, 1, 0, 0
    end = begin
    while end < len(leaves) and output[leaves[end]] == output[leaves[begin]]:
        if not (_cut(group, tests, leaves[end]) and _take(group, tests, leaves[end], rows, limit)):
            break
        end += 1
    return end


@inner
def _cut(group: Any, tests: Any, leaf: int) -> bool:
    """Write the stretches of the features of a leaf, cut further by its tests, to the rows past the slots, if they fit.

    The states are numbered in the order of their first stretches.
    """
    if group.size[2] == LEAVES:
        return False
    bit = np.uint64(1) << np.uint64(group.size[2])
    into = len(group.feature)
    for test in range(tests.start[leaf], tests.start[leaf + 1]):
        s = group.slot[tests.feature[test]]
        past = tests.top[tests.feature[test]] + 1
        flip, last = tests.flip_start[test], tests.flip_start[test + 1]
        passes = tests.first[test]
        n, i, code, states = 0, 0, 0, 0
        while code < past:
            if n == group.begin.shape[1]:
                return False
            kind = group.kind[s, group.state[s, i]] if s >= 0 else np.uint64(0)
            if passes:
                kind |= bit
            k = 0
            while k < states and group.kind[into, k] != kind:
                k += 1
            if k == states:
                group.kind[into, k] = kind
                states += 1
            group.begin[into, n], group.state[into, n] = code, k
            n += 1
            following = group.begin[s, i + 1] if s >= 0 and i + 1 < group.segments[s] else past
            flipping = tests.flips[flip] if flip < last else past
            code = min(following, flipping)
            if following == code:
                i += 1
            if flipping == code:
                flip += 1
                passes = not passes
        group.segments[into], group.states[into] = n, states
        into += 1
    return True


@inner
def _take(group: Any, tests: Any, leaf: int, rows: int, limit: int) -> bool:
    """Add the leaf that was cut and return True, or leave the group as it is if it has `limit` cells or gains nothing."""
    slots, cells, leaves, total = group.size[0], group.size[1], group.size[2], group.size[3]
    a, d = tests.start[leaf], tests.start[leaf + 1] - tests.start[leaf]
    spare = len(group.feature)
    more, fresh = cells, slots
    for j in range(d):
        s = group.slot[tests.feature[a + j]]
        if s >= 0:
            more = more // group.states[s] * group.states[spare + j]
        else:
            more *= group.states[spare + j]
            fresh += 1
        if leaves and (more > limit or fresh > spare):
            return False
    gain = rows * (slots + d - fresh)
    cost = FILL * (more * (total + d) - cells * total - (1 << d) * d)
    if leaves and gain <= cost:
        return False
    for j in range(d):
        f = tests.feature[a + j]
        s = group.slot[f]
        if s < 0:
            s = group.size[0]
            group.size[0] += 1
            group.slot[f], group.feature[s] = s, f
        group.segments[s], group.states[s] = group.segments[spare + j], group.states[spare + j]
        for i in range(group.segments[s]):
            group.begin[s, i], group.state[s, i] = group.begin[spare + j, i], group.state[spare + j, i]
            group.kind[s, i] = group.kind[spare + j, i]
    group.size[1], group.size[2], group.size[3] = more, leaves + 1, total + d
    return True


@inner
def expand(group: Any, features: Any, index: int, pattern: Any) -> None:
    """Write for each cell which tests of a leaf, the `index`-th of the group, its rows pass, as bits."""
    bit = np.uint64(1) << np.uint64(index)
    pattern[0] = 0
    done = 1
    for s in range(group.size[0]):
        own = 0
        for j in range(len(features)):
            if features[j] == group.feature[s]:
                own = 1 << j
        # The first state comes last: it stands where the other ones are copied from.
        for k in range(group.states[s] - 1, -1, -1):
            extra = own if (group.kind[s, k] & bit) != np.uint64(0) else 0
            for c in range(done):
                pattern[k * done + c] = pattern[c] | extra
        done *= group.states[s]


@inner
def locate(group: Any, codes: Any, begin: int, end: int, lookup: Any, cell: Any) -> None:
    """Write the cells of the rows from `begin` to `end`; `codes` has a row a feature."""
    n = end - begin
    for r in range(n):
        cell[r] = 0
    stride = 1
    for s in range(group.size[0]):
        own = codes[group.feature[s], begin:end]
        pieces = group.segments[s]
        if pieces > 10:
            for i in range(pieces):
                last = group.begin[s, i + 1] if i + 1 < pieces else len(lookup)
                for c in range(group.begin[s, i], last):
                    lookup[c] = group.state[s, i] * stride
            for r in range(n):
                cell[r] += lookup[own[r]]
        else:
            for i in range(1, pieces):
                # A step up or down; unsigned numbers wrap around, and back again.
                step = np.uint16((group.state[s, i] - group.state[s, i - 1]) * stride)
                code = group.begin[s, i]
                for r in range(n):
                    cell[r] = np.uint16(cell[r] + (step if own[r] >= code else np.uint16(0)))
        stride *= group.states[s]

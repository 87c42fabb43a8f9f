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
    """A group of leaves. A slot is a feature that the group tests, with its own row; more rows are for a new leaf."""

    size: Any  # slots, cells, leaves, tests
    slot: Any  # of each feature, or -1
    feature: Any  # of each slot
    row: Any  # of each slot, then of each test of a new leaf
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
        np.zeros(4, ints), np.full(n_features, -1, ints), np.zeros(slots, ints), np.arange(2 * slots, dtype=ints),
        np.zeros(2 * slots, ints), np.zeros(shape, ints), np.zeros(shape, ints), np.zeros(2 * slots, ints),
        np.zeros(shape, np.uint64),
    )  # fmt: skip


@inner
def fill(group: Any, tests: Any, leaves: Any, begin: Any, output: Any, rows: int, limit: int) -> Any:
    """Make a group of the `leaves` of one output from `begin` on, of up to `limit` cells; return where it ends."""
    size = group.size
    for s in range(size[0]):
        group.slot[group.feature[s]] = -1
    size[0], size[1], size[2], size[3] = 0, 1, 0, 0
    end = begin
    while end < len(leaves) and output[leaves[end]] == output[leaves[begin]]:
        leaf = leaves[end]
        if not _cut(group, tests, leaf):
            break
        if not _take(group, tests.feature[tests.start[leaf] : tests.start[leaf + 1]], rows, limit):
            break
        end += 1
    return end


@inner
def _cut(group: Any, tests: Any, leaf: int) -> bool:
    """Write the stretches of the features of a new leaf, cut further by its tests, and return whether they fit.

    The states are numbered in the order of their first stretches.
    """
    begin, state, kinds = group.begin, group.state, group.kind
    if group.size[2] == LEAVES:
        return False
    bit = np.uint64(1) << np.uint64(group.size[2])
    a = tests.start[leaf]
    for test in range(a, tests.start[leaf + 1]):
        feature, flip, last = tests.feature[test], tests.flip_start[test], tests.flip_start[test + 1]
        passes, past = tests.first[test], tests.top[feature] + 1
        old = group.slot[feature]
        segments = 0
        if old >= 0:
            old = group.row[old]
            segments = group.segments[old]
        new = group.row[len(group.feature) + test - a]
        n, i, code, states = 0, 0, 0, 0
        while code < past:
            if n == begin.shape[1]:
                return False
            kind = kinds[old, state[old, i]] if segments else np.uint64(0)
            if passes:
                kind |= bit
            k = 0
            while k < states and kinds[new, k] != kind:
                k += 1
            if k == states:
                kinds[new, k] = kind
                states += 1
            begin[new, n], state[new, n] = code, k
            n += 1
            following = begin[old, i + 1] if i + 1 < segments else past
            flipping = tests.flips[flip] if flip < last else past
            code = min(following, flipping)
            if following == code:
                i += 1
            if flipping == code:
                flip += 1
                passes = not passes
        group.segments[new], group.states[new] = n, states
    return True


@inner
def _take(group: Any, features: Any, rows: int, limit: int) -> bool:
    """Add the leaf that was cut and return True, or leave the group as it is if it is full or would gain nothing."""
    size, slot, row = group.size, group.slot, group.row
    slots, cells, total, d = size[0], size[1], size[3], len(features)
    spare = len(group.feature)
    more, fresh = cells, slots
    for j in range(d):
        s = slot[features[j]]
        if s >= 0:
            more //= group.states[row[s]]
        else:
            fresh += 1
        more *= group.states[row[spare + j]]
        if size[2] and (more > limit or fresh > spare):
            return False
    gain = rows * (slots + d - fresh)
    if size[2] and gain <= FILL * (more * (total + d) - cells * total - (1 << d) * d):
        return False
    for j in range(d):
        s = slot[features[j]]
        if s < 0:
            s = size[0]
            size[0] += 1
            slot[features[j]], group.feature[s] = s, features[j]
        old = row[s]
        row[s] = row[spare + j]
        row[spare + j] = old
    size[1], size[3] = more, total + d
    size[2] += 1
    return True


@inner
def expand(group: Any, features: Any, index: Any, pattern: Any) -> None:
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
        row = group.row[s]
        for k in range(group.states[row] - 1, -1, -1):
            extra = own if (group.kind[row, k] & bit) != np.uint64(0) else 0
            for c in range(done):
                pattern[k * done + c] = pattern[c] | extra
        done *= group.states[row]


@inner
def locate(group: Any, codes: Any, begin: int, end: int, lookup: Any, cell: Any) -> None:
    """Write the cells of the rows from `begin` to `end`; `codes` has a row a feature."""
    n = end - begin
    for r in range(n):
        cell[r] = 0
    stride = 1
    for s in range(group.size[0]):
        own = codes[group.feature[s], begin:end]
        row = group.row[s]
        pieces, first, state = group.segments[row], group.begin[row], group.state[row]
        if pieces > 10:
            for i in range(pieces):
                last = first[i + 1] if i + 1 < pieces else len(lookup)
                for c in range(first[i], last):
                    lookup[c] = state[i] * stride
            for r in range(n):
                cell[r] += lookup[own[r]]
        else:
            for i in range(1, pieces):
                # A step up or down; unsigned numbers wrap around, and back again.
                step = np.uint16((state[i] - state[i - 1]) * stride)
                code = first[i]
                for r in range(n):
                    cell[r] = np.uint16(cell[r] + (step if own[r] >= code else np.uint16(0)))
        stride *= group.states[row]

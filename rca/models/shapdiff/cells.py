"""Leaves that lie together in a tree, taken together: the cells that their tests cut the rows into.

Leaves next to each other share most of their tests. For a group of them the values of all rows in the same cell (the
same answer to every test) are the same, so that one look-up a feature serves all leaves of the group. A cell is counted
as a number of mixed radix, one digit a feature; the digit is the *state* of the feature, a set of codes that no test
tells apart.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rca.models.shapdiff.compiled import entry, inner

__all__ = ["Group", "Tests", "add", "clear", "close", "expand", "locate", "plan", "room"]

LEAVES = 64  # bits of a signature
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
    """A group of leaves; one row a slot, which is a feature that the group tests."""

    size: Any  # slots, cells, leaves, tests
    slot: Any  # of each feature, or -1
    feature: Any  # of each slot
    segments: Any  # number of stretches of codes that no test tells apart
    begin: Any  # first code of each stretch
    signature: Any  # of each stretch: bit i says whether it passes the test of leaf i
    states: Any  # number of distinct signatures
    state: Any  # of each stretch
    kind: Any  # signature of each state
    begin_new: Any
    signature_new: Any
    segments_new: Any
    states_new: Any


def room(n_features: int, slots: int, flips: int) -> Group:
    """Return an empty group for at most `slots` features, whose tests have at most `flips` flips."""
    stretches = max(LEAVES, flips + 2)
    shape = (slots, stretches)
    ints, bits = np.int64, np.uint64
    return Group(
        np.zeros(4, ints), np.full(n_features, -1, ints), np.zeros(slots, ints), np.zeros(slots, ints),
        np.zeros(shape, ints), np.zeros(shape, bits), np.zeros(slots, ints), np.zeros(shape, ints),
        np.zeros(shape, bits), np.zeros(shape, ints), np.zeros(shape, bits), np.zeros(slots, ints),
        np.zeros(slots, ints),
    )  # fmt: skip


@inner
def clear(group: Any) -> None:
    """Empty the group."""
    for s in range(group.size[0]):
        group.slot[group.feature[s]] = -1
    for i in range(len(group.size)):
        group.size[i] = 0
    group.size[1] = 1


@inner
def _merged(group: Any, tests: Any, test: int, j: int, bit: Any) -> int:
    """Write the stretches of the feature of `test`, cut further by it, to row `j` of the new ones; -1 if too many."""
    s = group.slot[tests.feature[test]]
    old = group.segments[s] if s >= 0 else 1
    top = tests.top[tests.feature[test]]
    flip, last = tests.flip_start[test], tests.flip_start[test + 1]
    passes = tests.first[test]
    n, i, code = 0, 0, 0
    while True:
        if n == group.begin_new.shape[1]:
            return -1
        signature = group.signature[s, i] if s >= 0 else np.uint64(0)
        group.begin_new[j, n] = code
        group.signature_new[j, n] = signature | bit if passes else signature
        n += 1
        following = group.begin[s, i + 1] if i + 1 < old else top + 1
        flipping = tests.flips[flip] if flip < last else top + 1
        code = min(following, flipping)
        if code > top:
            break
        if following == code:
            i += 1
        if flipping == code:
            flip += 1
            passes = not passes
    different = 0
    for a in range(n):
        known = False
        for b in range(a):
            if group.signature_new[j, a] == group.signature_new[j, b]:
                known = True
                break
        if not known:
            different += 1
    group.segments_new[j], group.states_new[j] = n, different
    return n


@inner
def add(group: Any, tests: Any, leaf: int, rows: int, limit: int) -> bool:
    """Add a leaf and return True, or leave the group as it is if it has `limit` cells or that does not pay."""
    slots, cells, leaves, total = group.size[0], group.size[1], group.size[2], group.size[3]
    if leaves == LEAVES:
        return False
    a, b = tests.start[leaf], tests.start[leaf + 1]
    d = b - a
    bit = np.uint64(1) << np.uint64(leaves)
    more, fresh = cells, slots
    for j in range(d):
        if _merged(group, tests, a + j, j, bit) < 0:
            return False
        s = group.slot[tests.feature[a + j]]
        if s >= 0:
            more = more // group.states[s] * group.states_new[j]
        else:
            more *= group.states_new[j]
            fresh += 1
        if leaves and (more > limit or fresh > len(group.feature)):
            return False
    if leaves:
        gain = rows * (slots + d - fresh)
        cost = FILL * (more * (total + d) - cells * total - (1 << d) * d)
        if gain <= cost:
            return False
    for j in range(d):
        f = tests.feature[a + j]
        s = group.slot[f]
        if s < 0:
            s = group.size[0]
            group.size[0] += 1
            group.slot[f], group.feature[s] = s, f
        n = group.segments_new[j]
        group.segments[s], group.states[s] = n, group.states_new[j]
        for i in range(n):
            group.begin[s, i], group.signature[s, i] = group.begin_new[j, i], group.signature_new[j, i]
    group.size[1], group.size[2], group.size[3] = more, leaves + 1, total + d
    return True


@entry
def plan(group: Any, tests: Any, leaves: Any, output: Any, rows: int, limit: int, begins: Any) -> int:
    """Write where each group of consecutive `leaves` of one output begins, then their end; return how many."""
    n = 0
    for i in range(len(leaves)):
        same = i > 0 and output[leaves[i]] == output[leaves[i - 1]]
        if not same or not add(group, tests, leaves[i], rows, limit):
            begins[n] = i
            n += 1
            clear(group)
            add(group, tests, leaves[i], rows, limit)
    begins[n] = len(leaves)
    clear(group)
    return n


@inner
def close(group: Any) -> None:
    """Number the states of each slot."""
    for s in range(group.size[0]):
        n = 0
        for i in range(group.segments[s]):
            k = 0
            while k < n and group.kind[s, k] != group.signature[s, i]:
                k += 1
            if k == n:
                group.kind[s, n] = group.signature[s, i]
                n += 1
            group.state[s, i] = k


@inner
def expand(group: Any, tests: Any, leaf: int, index: int, pattern: Any) -> None:
    """Write for each cell which tests of a leaf, the `index`-th of the group, its rows pass, as bits."""
    bit = np.uint64(1) << np.uint64(index)
    a, b = tests.start[leaf], tests.start[leaf + 1]
    pattern[0] = 0
    done = 1
    for s in range(group.size[0]):
        own = 0
        for j in range(b - a):
            if tests.feature[a + j] == group.feature[s]:
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

"""Leaves without a table: those with too many tests for one, and all leaves when there are few rows.

Path-dependent values are integrated row by row. Interventional ones are summed over the patterns that the background
shows, once for each pattern that the rows show.
"""

from __future__ import annotations

from math import comb
from typing import Any, NamedTuple

import numpy as np

from rca.models.shapdiff.compiled import entry, inner

__all__ = ["run"]

BLOCK = 1024  # rows at a time
KNOWN = 2_000_000  # numbers kept of patterns that were met before
_ONE = np.uint64(1)


class _Seen(NamedTuple):
    """Patterns that were met: a hash table from pattern to entry, the entries' patterns and sums."""

    slots: Any
    keys: Any
    sums: Any


class _Room(NamedTuple):
    """Room to work: whether rows pass the tests, their patterns, and the background's patterns by tests they pass."""

    inside: Any
    words: Any
    passed: Any
    order: Any


def run(data: Any, leaves: np.ndarray, points: Any, out: np.ndarray) -> None:
    """Add the values of `leaves` to `out`.

    Parameters
    ----------
    data : tuple
        Tests, codes of rows and background, weights and factors, values and covers.
    leaves : ndarray of int64
        Which leaves.
    points : tuple of ndarray
        As `rca.models.shapdiff.tables.nodes` gives them.
    out : ndarray of float64, shape (n_targets, n_features, n_rows)
        Where the values are added.
    """
    if not len(leaves):
        return
    depth = int(np.diff(data.tests.start)[leaves].max())
    n, m = data.codes.shape[1], data.background.shape[1]
    inside = np.empty((depth, max(BLOCK, m)), np.bool_)
    if not m:
        product, total = np.empty(BLOCK), np.empty((depth, BLOCK))
        _by_cover(
            data.tests, data.codes, data.values, data.output, data.cover, leaves, points, inside, product, total, out
        )
        return
    # Share of each of `a` tests that one row alone passes, where the other row alone passes `b`.
    share = np.zeros((depth + 1, depth + 1))
    for a in range(1, depth + 1):
        for b in range(depth + 1 - a):
            share[a, b] = 1 / (a * comb(a + b, a))
    words, runs = -(-depth // 64), len(data.weights)
    known = int(np.clip(KNOWN // (depth * runs), 2, n + 1))
    room = _Room(inside, np.empty((max(BLOCK, m), words), np.uint64), np.empty(m, np.int64), np.empty(m, np.int64))
    _by_background(data, leaves, share, _seen(m, words, 1, runs), _seen(known, words, depth, runs), room, out)


@inner
def _test(tests: Any, leaf: int, codes: Any, begin: Any, end: int, inside: Any) -> None:
    """Write whether the rows from `begin` to `end` pass the tests of a leaf, one row a test."""
    a = tests.start[leaf]
    for j in range(tests.start[leaf + 1] - a):
        first, flips = tests.first[a + j], tests.flips[tests.flip_start[a + j] : tests.flip_start[a + j + 1]]
        own, into = codes[tests.feature[a + j], begin:end], inside[j]
        if len(flips) > 8:
            for r in range(len(own)):
                i = 0
                while i < len(flips) and flips[i] <= own[r]:
                    i += 1
                into[r] = first != (i % 2 == 1)
            continue
        for r in range(len(own)):
            into[r] = first
        for i in range(len(flips)):
            code = flips[i]
            for r in range(len(own)):
                into[r] ^= own[r] >= code


@entry
def _by_cover(
    tests: Any, codes: Any, values: Any, output: Any, cover: Any, leaves: Any, points: Any, inside: Any,
    product: Any, total: Any, out: Any,
) -> None:  # fmt: skip
    n = codes.shape[1]
    for leaf in leaves:
        a, d = tests.start[leaf], tests.start[leaf + 1] - tests.start[leaf]
        count = (d + 1) // 2
        for begin in range(0, n, BLOCK):
            size = min(n - begin, BLOCK)
            _test(tests, leaf, codes, begin, begin + size, inside)
            for j in range(d):
                for r in range(size):
                    total[j, r] = 0.0
            for q in range(count):
                t, w = points[0][count, q], points[1][count, q]
                for r in range(size):
                    product[r] = 1.0
                for j in range(d):
                    failed = (1.0 - t) * cover[a + j]
                    passed = t + failed
                    row = inside[j]
                    for r in range(size):
                        product[r] *= passed if row[r] else failed
                for j in range(d):
                    c = cover[a + j]
                    yes, no = w * (1.0 - c) / (t + (1.0 - t) * c), -w / (1.0 - t)
                    row, sums = inside[j], total[j]
                    for r in range(size):
                        sums[r] += product[r] * (yes if row[r] else no)
            for v in range(values.shape[1]):
                value = values[leaf, v]
                for j in range(d):
                    into = out[output[leaf] + v, tests.feature[a + j], begin : begin + size]
                    for r in range(size):
                        into[r] += value * total[j, r]


@inner
def _bits(word: Any) -> Any:
    """Return the number of bits that are set."""
    word = word - ((word >> _ONE) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@inner
def _find(pattern: Any, keys: Any, slots: Any) -> Any:
    """Return where in `slots` a pattern is, or the free place where it belongs."""
    mixed = np.uint64(0)
    for word in pattern:
        mixed = (mixed ^ word) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    mask = np.uint64(len(slots) - 1)
    at = np.int64(mixed & mask)
    while slots[at] >= 0:
        same = True
        for i in range(len(pattern)):
            same = same and keys[slots[at], i] == pattern[i]
        if same:
            break
        at = (at + 1) & np.int64(mask)
    return at


@inner
def _patterns(tests: Any, leaf: int, codes: Any, begin: Any, end: int, room: Any) -> None:
    """Write the patterns of the rows from `begin` to `end`, 64 tests a word."""
    inside, words = room.inside, room.words
    _test(tests, leaf, codes, begin, end, inside)
    for r in range(end - begin):
        for w in range(words.shape[1]):
            words[r, w] = np.uint64(0)
    for j in range(tests.start[leaf + 1] - tests.start[leaf]):
        shift = np.uint64(j % 64)
        for r in range(end - begin):
            words[r, j // 64] |= np.uint64(inside[j, r]) << shift


@inner
def _distinct(words: Any, weights: Any, seen: Any) -> int:
    """Write the distinct patterns of the background and their weights; return how many there are."""
    for i in range(len(seen.slots)):
        seen.slots[i] = -1
    found = 0
    for r in range(weights.shape[1]):
        at = _find(words[r], seen.keys, seen.slots)
        i = seen.slots[at]
        if i < 0:
            i = found
            seen.slots[at] = i
            for w in range(words.shape[1]):
                seen.keys[i, w] = words[r, w]
            for k in range(len(weights)):
                seen.sums[i, 0, k] = 0.0
            found += 1
        for k in range(len(weights)):
            seen.sums[i, 0, k] += weights[k, r]
    return found


@inner
def _compare(pattern: Any, d: int, keys: Any, sums: Any, order: Any, passed: Any, share: Any, into: Any) -> None:
    """Write the values of a row's pattern against all patterns of the background, shape (at least d, n_runs)."""
    for j in range(d):
        for k in range(into.shape[1]):
            into[j, k] = 0.0
    own = 0
    for word in pattern:
        own += _bits(word)
    b = d - own  # tests that the background row must pass, and alone passes
    for i in order:
        if passed[i] < b:
            break
        common, either = 0, 0
        for w in range(len(pattern)):
            common += _bits(pattern[w] & keys[i, w])
            either += _bits(pattern[w] | keys[i, w])
        if either < d:
            continue
        a = own - common
        for j in range(d):
            mine = (pattern[j // 64] >> np.uint64(j % 64)) & _ONE
            other = (keys[i, j // 64] >> np.uint64(j % 64)) & _ONE
            if mine != other:
                value = share[a, b] if mine else -share[b, a]
                for k in range(into.shape[1]):
                    into[j, k] += value * sums[i, 0, k]


@inner
def _rank(keys: Any, depth: int, passed: Any, order: Any) -> None:
    """Write how many tests each pattern passes, and the patterns in descending order of that."""
    for i in range(len(order)):
        passed[i] = 0
        for w in range(keys.shape[1]):
            passed[i] += _bits(keys[i, w])
    n = 0
    for count in range(depth, -1, -1):
        for i in range(len(order)):
            if passed[i] == count:
                order[n] = i
                n += 1


def _seen(entries: int, words: int, depth: int, runs: int) -> _Seen:
    slots = 1 << int(2 * entries - 1).bit_length()
    return _Seen(
        np.full(slots, -1, np.int64), np.zeros((entries, words), np.uint64), np.zeros((entries, depth, runs))
    )  # fmt: skip


@inner
def _add(features: Any, values: Any, output: int, factors: Any, sums: Any, r: int, out: Any) -> None:
    """Add what a leaf gives row `r`; `sums` has a row a test, a column a run."""
    for j in range(len(features)):
        if len(factors):
            for target in range(len(out)):
                total = 0.0
                for k in range(sums.shape[1]):
                    total += factors[r, target, k] * sums[j, k]
                out[target, features[j], r] += values[0] * total
        else:
            for v in range(len(values)):
                out[output + v, features[j], r] += values[v] * sums[j, 0]


@entry
def _by_background(data: Any, leaves: Any, share: Any, others: Any, seen: Any, room: Any, out: Any) -> None:
    n, m = data.codes.shape[1], data.background.shape[1]
    start = np.int64(0)  # not a literal, for which `_patterns` would be compiled apart
    for leaf in leaves:
        features = data.tests.feature[data.tests.start[leaf] : data.tests.start[leaf + 1]]
        d = len(features)
        _patterns(data.tests, leaf, data.background, start, m, room)
        order = room.order[: _distinct(room.words, data.weights, others)]
        _rank(others.keys, d, room.passed, order)
        for i in range(len(seen.slots)):
            seen.slots[i] = -1
        met = 0
        for begin in range(0, n, BLOCK):
            end = min(n, begin + BLOCK)
            _patterns(data.tests, leaf, data.codes, begin, end, room)
            for r in range(begin, end):
                pattern = room.words[r - begin]
                at = _find(pattern, seen.keys, seen.slots)
                which = seen.slots[at]
                if which < 0:
                    # When all entries are taken, the last one is used again and never found.
                    which = min(met, len(seen.keys) - 1)
                    _compare(pattern, d, others.keys, others.sums, order, room.passed, share, seen.sums[which])
                    if met < len(seen.keys) - 1:
                        for w in range(len(pattern)):
                            seen.keys[which, w] = pattern[w]
                        seen.slots[at] = which
                        met += 1
                _add(features, data.values[leaf], data.output[leaf], data.factors, seen.sums[which], r, out)

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
    if not data.background.shape[1]:
        _by_cover(data, leaves, points[0], points[1], depth, out)
        return
    # Share of each of `a` tests that one row alone passes, where the other row alone passes `b`.
    share = np.zeros((depth + 1, depth + 1))
    for a in range(1, depth + 1):
        for b in range(depth + 1 - a):
            share[a, b] = 1 / (a * comb(a + b, a))
    n, m = data.codes.shape[1], data.background.shape[1]
    words, runs = -(-depth // 64), len(data.weights)
    known = int(np.clip(KNOWN // (depth * runs), 2, n + 1))
    _by_background(data, leaves, share, _seen(m, words, 1, runs), _seen(known, words, depth, runs), out)


@inner
def _passes(data: Any, test: int, codes: Any, into: Any) -> None:
    """Write whether rows with these codes pass a test."""
    own = codes[data.tests.feature[test]]
    a, b = data.tests.flip_start[test], data.tests.flip_start[test + 1]
    first = data.tests.first[test]
    if b - a > 8:
        for r in range(len(own)):
            i = a
            while i < b and data.tests.flips[i] <= own[r]:
                i += 1
            into[r] = first != ((i - a) % 2 == 1)
        return
    for r in range(len(own)):
        into[r] = first
    for i in range(a, b):
        code = data.tests.flips[i]
        for r in range(len(own)):
            into[r] ^= own[r] >= code


@entry
def _by_cover(data: Any, leaves: Any, points: Any, weights: Any, depth: int, out: Any) -> None:
    n = data.codes.shape[1]
    inside = np.empty((depth, BLOCK), np.bool_)
    product, total = np.empty(BLOCK), np.empty((depth, BLOCK))
    for leaf in leaves:
        a, d = data.tests.start[leaf], data.tests.start[leaf + 1] - data.tests.start[leaf]
        count = (d + 1) // 2
        for begin in range(0, n, BLOCK):
            size = min(n - begin, BLOCK)
            for j in range(d):
                _passes(data, a + j, data.codes[:, begin : begin + size], inside[j])
            for j in range(d):
                for r in range(size):
                    total[j, r] = 0.0
            for q in range(count):
                t, w = points[count, q], weights[count, q]
                for r in range(size):
                    product[r] = 1.0
                for j in range(d):
                    failed = (1.0 - t) * data.cover[a + j]
                    passed = t + failed
                    row = inside[j]
                    for r in range(size):
                        product[r] *= passed if row[r] else failed
                for j in range(d):
                    c = data.cover[a + j]
                    yes, no = w * (1.0 - c) / (t + (1.0 - t) * c), -w / (1.0 - t)
                    row, sums = inside[j], total[j]
                    for r in range(size):
                        sums[r] += product[r] * (yes if row[r] else no)
            for v in range(data.values.shape[1]):
                value = data.values[leaf, v]
                for j in range(d):
                    into = out[data.output[leaf] + v, data.tests.feature[a + j], begin : begin + size]
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
def _patterns(data: Any, leaf: int, codes: Any, flag: Any, words: Any) -> None:
    """Write the patterns of rows, 64 tests a word."""
    a = data.tests.start[leaf]
    n = codes.shape[1]
    for r in range(n):
        for w in range(words.shape[1]):
            words[r, w] = np.uint64(0)
    for j in range(data.tests.start[leaf + 1] - a):
        _passes(data, a + j, codes, flag)
        shift = np.uint64(j % 64)
        for r in range(n):
            words[r, j // 64] |= np.uint64(flag[r]) << shift


@inner
def _distinct(data: Any, leaf: int, flag: Any, words: Any, seen: Any) -> int:
    """Write the distinct patterns of the background and their weights; return how many there are."""
    _patterns(data, leaf, data.background, flag, words)
    for i in range(len(seen.slots)):
        seen.slots[i] = -1
    found = 0
    for r in range(data.background.shape[1]):
        at = _find(words[r], seen.keys, seen.slots)
        if seen.slots[at] < 0:
            seen.slots[at] = found
            for w in range(words.shape[1]):
                seen.keys[found, w] = words[r, w]
            for k in range(len(data.weights)):
                seen.sums[found, 0, k] = 0.0
            found += 1
        for k in range(len(data.weights)):
            seen.sums[seen.slots[at], 0, k] += data.weights[k, r]
    return found


@inner
def _compare(pattern: Any, d: int, others: Any, order: Any, passed: Any, share: Any, into: Any) -> None:
    """Write the values of a row's pattern against all patterns of the background, shape (d, n_runs)."""
    for j in range(d):
        for k in range(into.shape[1]):
            into[j, k] = 0.0
    own = 0
    for word in pattern:
        own += _bits(word)
    b = d - own  # tests that the background row must pass, and alone passes
    for place in range(len(passed)):
        i = order[place]
        if passed[i] < b:
            break
        common, either = 0, 0
        for w in range(len(pattern)):
            common += _bits(pattern[w] & others.keys[i, w])
            either += _bits(pattern[w] | others.keys[i, w])
        if either < d:
            continue
        a = own - common
        for j in range(d):
            mine = (pattern[j // 64] >> np.uint64(j % 64)) & _ONE
            other = (others.keys[i, j // 64] >> np.uint64(j % 64)) & _ONE
            if mine != other:
                value = share[a, b] if mine else -share[b, a]
                for k in range(into.shape[1]):
                    into[j, k] += value * others.sums[i, 0, k]


@inner
def _rank(passed: Any, depth: int, order: Any) -> None:
    """Write the entries of `passed` in descending order of it."""
    n = 0
    for count in range(depth, -1, -1):
        for i in range(len(passed)):
            if passed[i] == count:
                order[n] = i
                n += 1


def _seen(entries: int, words: int, depth: int, runs: int) -> _Seen:
    slots = 1 << int(2 * entries - 1).bit_length()
    return _Seen(
        np.full(slots, -1, np.int64), np.zeros((entries, words), np.uint64), np.zeros((entries, depth, runs))
    )  # fmt: skip


@inner
def _add(data: Any, leaf: int, sums: Any, r: int, out: Any) -> None:
    """Add what a leaf gives row `r`; `sums` has a row a test, a column a run."""
    a = data.tests.start[leaf]
    for j in range(data.tests.start[leaf + 1] - a):
        f = data.tests.feature[a + j]
        if len(data.factors):
            for target in range(out.shape[0]):
                total = 0.0
                for k in range(sums.shape[1]):
                    total += data.factors[r, target, k] * sums[j, k]
                out[target, f, r] += data.values[leaf, 0] * total
        else:
            for v in range(data.values.shape[1]):
                out[data.output[leaf] + v, f, r] += data.values[leaf, v] * sums[j, 0]


@entry
def _by_background(data: Any, leaves: Any, share: Any, others: Any, seen: Any, out: Any) -> None:
    n, m = data.codes.shape[1], data.background.shape[1]
    flag = np.empty(max(BLOCK, m), np.bool_)
    words = np.empty((max(BLOCK, m), others.keys.shape[1]), np.uint64)
    passed, order = np.empty(m, np.int64), np.empty(m, np.int64)
    for leaf in leaves:
        d = data.tests.start[leaf + 1] - data.tests.start[leaf]
        different = _distinct(data, leaf, flag, words, others)
        for i in range(different):
            passed[i] = 0
            for word in others.keys[i]:
                passed[i] += _bits(word)
        _rank(passed[:different], d, order)
        for i in range(len(seen.slots)):
            seen.slots[i] = -1
        met = 0
        for begin in range(0, n, BLOCK):
            size = min(BLOCK, n - begin)
            _patterns(data, leaf, data.codes[:, begin : begin + size], flag, words)
            for r in range(size):
                at = _find(words[r], seen.keys, seen.slots)
                which = seen.slots[at]
                if which < 0:
                    # When all entries are taken, the last one is used again and never found.
                    which = min(met, len(seen.keys) - 1)
                    _compare(words[r], d, others, order, passed[:different], share, seen.sums[which, :d])
                    if met < len(seen.keys) - 1:
                        for w in range(words.shape[1]):
                            seen.keys[which, w] = words[r, w]
                        seen.slots[at] = which
                        met += 1
                _add(data, leaf, seen.sums[which], begin + r, out)

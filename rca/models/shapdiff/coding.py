"""Rows as small integers: for each column, between which two thresholds of the model a value lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rca.models.shapdiff.leaves.table import Leaves

__all__ = ["Coding", "build"]


@dataclass(frozen=True, eq=False)
class Coding:
    """A model's tests in terms of codes.

    Attributes
    ----------
    cuts : tuple of ndarray or None, one a column
        Sorted thresholds; code ``c`` of a number says that ``c`` of them are below it. None: a column of categories.
    missing : ndarray of int64, shape (n_features,)
        Code of a missing value: the one above all others.
    flips : ndarray of int64
        For each test the codes where it changes between passing and not passing, going up from code 0, sorted.
    flip_start : ndarray of int64, shape (n_tests + 1,)
        Where the flips of each test begin.
    first : ndarray of bool, shape (n_tests,)
        Whether code 0 passes.
    leaves : Leaves
        The leaves.
    """

    cuts: tuple[Any, ...]
    missing: Any
    flips: Any
    flip_start: Any
    first: Any
    leaves: Leaves

    def code(self, rows: np.ndarray) -> np.ndarray:
        """Return the codes of `rows`, shape (n_features, n_rows), unsigned of 16 bits (32 where that is too few)."""
        dtype = np.uint16 if self.missing.max(initial=0) < np.iinfo(np.uint16).max else np.uint32
        codes = np.empty(rows.shape[::-1], dtype=dtype)
        for column, cuts in enumerate(self.cuts):
            values = np.ascontiguousarray(rows[:, column], dtype=np.float64)
            if self.leaves.single:
                values = values.astype(np.float32).astype(np.float64)
            absent = np.isnan(values)
            if cuts is None:
                known = self.leaves.sets.shape[1] - 1
                inside = (values > -1) & (values < known)
                coded = np.where(inside, values, known).astype(np.int64)
            else:
                coded = np.searchsorted(cuts, values, side="left")
            codes[column] = np.where(absent, self.missing[column], coded)
        return codes


def build(leaves: Leaves) -> Coding:
    """Return the coding that tells apart exactly what the tests of `leaves` tell apart.

    Parameters
    ----------
    leaves : Leaves
        The leaves.

    Returns
    -------
    Coding
    """
    tests = len(leaves.feature)
    order = np.argsort(leaves.feature, kind="stable")
    bounds = np.searchsorted(leaves.feature[order], np.arange(leaves.n_features + 1))
    begin, end = np.zeros(tests, dtype=np.int64), np.zeros(tests, dtype=np.int64)
    missing = np.zeros(leaves.n_features, dtype=np.int64)
    cuts: list[Any] = []
    for column in range(leaves.n_features):
        mine = order[bounds[column] : bounds[column + 1]]
        if (leaves.category[mine] >= 0).any():
            cuts.append(None)
            missing[column] = leaves.sets.shape[1]
            continue
        low, high = leaves.low[mine], leaves.high[mine]
        known = np.unique(np.concatenate([low[np.isfinite(low)], high[np.isfinite(high)]]))
        cuts.append(known)
        missing[column] = len(known) + 1
        # low < x <= high: one more cut than that of `low` is below x, and none above that of `high`.
        # An infinite threshold tells missing values from all numbers: then all numbers pass, or none.
        begin[mine] = np.where(low == -np.inf, 0, np.searchsorted(known, low) + 1)
        end[mine] = np.where(high == -np.inf, 0, np.searchsorted(known, high) + 1)
    return Coding(tuple(cuts), missing, *_flips(leaves, begin, end, missing), leaves)


def _flips(leaves: Leaves, begin: Any, end: Any, missing: Any) -> tuple[Any, Any, Any]:
    """Return flips, where each test's begin, and whether code 0 passes."""
    tests = len(leaves.feature)
    numeric = leaves.category < 0
    never = end <= begin
    top = missing[leaves.feature]
    last = end == top  # still passing at the highest code of a number
    absent = leaves.missing
    # Candidates in ascending order: entry, exit, and the missing value's own code.
    enters = numeric & ~never & (begin > 0)
    leaves_before = numeric & ~never & ~last
    at_missing = numeric & (absent != (last & ~never))
    place = np.stack([begin, end, top], axis=1)
    there = np.stack([enters, leaves_before, at_missing], axis=1)
    owner = np.broadcast_to(np.arange(tests)[:, None], there.shape)[there]
    flips = place[there]
    first = numeric & ~never & (begin == 0)
    which = np.flatnonzero(~numeric)
    if len(which):
        passing = np.concatenate([leaves.sets[leaves.category[which]], absent[which][:, None]], axis=1)
        first[which] = passing[:, 0]
        row, code = np.nonzero(passing[:, 1:] != passing[:, :-1])
        owner, flips = np.concatenate([owner, which[row]]), np.concatenate([flips, code + 1])
        order = np.argsort(owner, kind="stable")
        owner, flips = owner[order], flips[order]
    start = np.zeros(tests + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner, minlength=tests), out=start[1:])
    return flips.astype(np.int64), start, first

"""Shapley values of one leaf for every pattern of passed and failed tests at once.

A leaf with value ``v`` and tests ``1..d`` is the product ``v * prod_j a_j``, where ``a_j`` is what the test of
feature ``j`` says. With the pattern ``x`` of a row (1: passes) the Shapley value of feature ``j`` is the integral over
``t`` from 0 to 1 of ``(x_j - c_j) * prod_{k != j} (t x_k + (1 - t) c_k)`` where the values without a feature are covers
``c``; with a background row ``b`` in place of ``c`` it is the interventional one. The integrand is a polynomial of
degree ``d - 1``, so that ``ceil(d / 2)`` nodes of Gauss and Legendre integrate it exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rca.models.shapdiff.compiled import inner

__all__ = ["by_background", "by_cover", "nodes"]


def nodes(depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights on (0, 1); row ``q`` has ``q`` of them and is exact to degree ``2 q - 1``.

    Parameters
    ----------
    depth : int
        Largest number of tests of a leaf.

    Returns
    -------
    points, weights : ndarray of float64, shape (depth // 2 + 2, depth // 2 + 2)
        Filled with zeros.
    """
    size = depth // 2 + 2
    points, weights = np.zeros((size, size)), np.zeros((size, size))
    for count in range(1, size):
        x, w = np.polynomial.legendre.leggauss(count)
        points[count, :count], weights[count, :count] = (x + 1) / 2, w / 2
    return points, weights


@inner
def by_cover(cover: Any, points: Any, weights: Any, product: Any, table: Any) -> None:
    """Fill ``table[j, pattern]`` with the path-dependent values of a leaf of value 1.

    Parameters
    ----------
    cover : ndarray of float64, shape (d,)
        Cover of each test.
    points, weights : ndarray
        As `nodes` gives them.
    product : ndarray of float64, shape (at least 2**d,)
        Room to work.
    table : ndarray of float64, shape (at least d, at least 2**d)
        What is filled.
    """
    d = len(cover)
    size = 1 << d
    count = (d + 1) // 2
    for j in range(d):
        for p in range(size):
            table[j, p] = 0.0
    for q in range(count):
        t, w = points[count, q], weights[count, q]
        product[0] = 1.0
        done = 1
        for j in range(d):
            failed = (1.0 - t) * cover[j]
            passed = t + failed
            for p in range(done):
                product[done + p] = product[p] * passed
                product[p] *= failed
            done *= 2
        for j in range(d):
            # The factor of test j itself is taken out again; with a cover of 0 the product is 0 where it failed.
            when_passed, when_failed = w * (1.0 - cover[j]) / (t + (1.0 - t) * cover[j]), -w / (1.0 - t)
            row = table[j]
            half = 1 << j
            for start in range(0, size, 2 * half):
                for p in range(start, start + half):
                    row[p] += product[p] * when_failed
                for p in range(start + half, start + 2 * half):
                    row[p] += product[p] * when_passed


@inner
def by_background(counts: Any, d: int, points: Any, weights: Any, product: Any, table: Any) -> None:
    """Fill ``table[j, pattern]`` with the interventional values of a leaf of value 1.

    Parameters
    ----------
    counts : ndarray of float64, shape (at least 2**d,)
        Weight of the background rows with each pattern.
    d : int
        Number of tests.
    points, weights : ndarray
        As `nodes` gives them.
    product : ndarray of float64, shape (at least 2**d,)
        Room to work.
    table : ndarray of float64, shape (at least d, at least 2**d)
        What is filled.
    """
    size = 1 << d
    count = (d + 1) // 2
    for j in range(d):
        for p in range(size):
            table[j, p] = 0.0
    for q in range(count):
        t, w = points[count, q], weights[count, q]
        u = 1.0 - t
        for p in range(size):
            product[p] = counts[p]
        # Sum over background patterns, one test at a time: both pass 1, only the row t, only the background 1 - t.
        for j in range(d):
            half = 1 << j
            for start in range(0, size, 2 * half):
                for p in range(start, start + half):
                    failed, passed = product[p], product[p + half]
                    product[p] = u * passed
                    product[p + half] = t * failed + passed
        one, both, other = w / u, w / (t * u), w / t
        for j in range(d):
            row = table[j]
            half = 1 << j
            for start in range(0, size, 2 * half):
                for p in range(start, start + half):
                    failed, passed = product[p], product[p + half]
                    row[p] -= one * failed
                    row[p + half] += other * passed - both * failed

"""How far a clock is ahead that gains or loses."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["ahead"]


def ahead(shown: Any, offset: int, at: int, drift: float) -> Any:
    """Return how far a clock was ahead when it showed each of some times.

    Parameters
    ----------
    shown : array of int64
        What the clock showed, in nanoseconds since 1970.
    offset : int
        How far it was ahead at the true time `at`, in nanoseconds.
    at : int
        Nanoseconds since 1970; of no matter without drift.
    drift : float
        Parts per million that it gains.

    Returns
    -------
    array of int64
        Nanoseconds to take off.

    Examples
    --------
    >>> day = 86_400 * 10**9
    >>> ahead(np.array([0, 10 * day]), 5 * 10**9, 0, 0.0).tolist()
    [5000000000, 5000000000]
    """
    taken = np.full(len(shown), offset, dtype=np.int64)
    if drift:
        rate = drift * 1e-6
        elapsed = np.asarray(shown, dtype=np.int64) - (at + offset)
        taken += np.rint(elapsed * (rate / (1 + rate))).astype(np.int64)
    return taken

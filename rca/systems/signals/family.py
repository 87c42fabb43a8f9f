"""What the three kinds of signals share: the windows, the correction for many tests, and a mark of identity."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rca import onset
from rca.errors import InputError, raise_all
from rca.times import show

__all__ = ["ALPHA", "NOTHING", "SIGNAL", "UNJUDGED", "both", "columns", "holm", "identity"]

ALPHA = 0.01  # chance of one false signal or more among all tests of one kind
SIGNAL, NOTHING, UNJUDGED = "signal", "nothing", "not judged"


def both(windows: Sequence[Sequence[Any]]) -> tuple[onset.Window, onset.Window]:
    """Return the windows before and during in UTC, or raise.

    Raises
    ------
    InputError
        If they are no pair of windows, or overlap.

    Examples
    --------
    >>> t = [pd.Timestamp(f"2025-03-01T0{hour}:00Z") for hour in range(3)]
    >>> both(((t[0], t[1]), (t[1], t[2])))[1][0]
    Timestamp('2025-03-01 01:00:00+0000', tz='UTC')
    """
    if len(windows) != 2:
        raise InputError(f"windows: a pair (before, during) is wanted, not {len(windows)}")
    before, during = onset.window(windows[0], "before"), onset.window(windows[1], "during")
    if before[0] < during[1] and during[0] < before[1]:
        spans = [f"{show(start)} to {show(end)}" for start, end in (before, during)]
        raise InputError(f"the windows before ({spans[0]}) and during ({spans[1]}) overlap")
    return before, during


def columns(table: pd.DataFrame, name: str, needed: Sequence[str]) -> None:
    """Raise if a table lacks a column.

    Raises
    ------
    InputError
        With one line a column.
    """
    raise_all([f"{name}: required column {item!r} is missing" for item in needed if item not in table.columns])


def holm(p_values: Any) -> Any:
    """Return p-values adjusted for their number so that the chance of any false one stays bounded [1]_.

    Parameters
    ----------
    p_values : array-like
        Of one family of tests; they may depend on each other.

    References
    ----------
    .. [1] Holm, Scandinavian Journal of Statistics 6(2), 1979.

    Examples
    --------
    >>> [round(float(value), 2) for value in holm([0.01, 0.02, 0.03, 0.04])]
    [0.04, 0.06, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype="float64")
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1)
    return adjusted


def identity(*parts: object) -> str:
    """Return 16 hexadecimal digits that stand for `parts`, the same on every run and machine.

    Examples
    --------
    >>> identity("onset", "db", "latency") == identity("onset", "db", "latency")
    True
    """
    return hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[:16]

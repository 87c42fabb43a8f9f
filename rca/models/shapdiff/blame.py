"""Which row and column a model refuses, found by asking it again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pandas as pd

__all__ = ["library_errors", "refused"]

TRIED = 20  # rows, where the first is refused, to find one that is not


def library_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the boosters that were imported and derive theirs from Exception alone."""
    own = (("lightgbm.basic", "LightGBMError"), ("catboost", "CatBoostError"))
    return tuple(getattr(sys.modules[module], name) for module, name in own if module in sys.modules)


def refused(ask: Callable[[pd.DataFrame], Any], table: pd.DataFrame, kinds: tuple[type[Exception], ...]) -> str:
    """Return a sentence on the first row that is refused, and on its column if one value is to blame.

    Parameters
    ----------
    ask : callable
        Takes rows, or raises.
    table : DataFrame
        The rows.
    kinds : tuple of exception classes
        What it raises.

    Returns
    -------
    str
        Nothing if all rows are taken.

    Examples
    --------
    >>> table = pd.DataFrame({"x": ["1", "2", "?"], "y": ["3", "4", "5"]})
    >>> refused(lambda rows: rows.astype(float), table, (ValueError,))
    "column 'x' has '?' in row 2, which is refused: could not convert string to float: '?'"
    """

    def problem(rows: pd.DataFrame) -> str:
        try:
            ask(rows)
        except kinds as error:
            lines = str(error).split("\n")  # a library's stack trace may follow
            return next((line for line in lines if line.strip()), type(error).__name__)
        return ""

    whole = problem(table)
    if not whole:
        return ""
    # The first rows are refused as soon as one of them is.
    low, high = 0, len(table)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if problem(table.iloc[:middle]) else (middle, high)
    bad, said = table.iloc[[low]], problem(table.iloc[[low]])
    fine = next((row for row in range(min(len(table), TRIED)) if not problem(table.iloc[[row]])), None)
    if fine is None or not said:
        return whole  # it is not this row alone
    for place, name in enumerate(table.columns):
        mended = bad.copy()
        mended.isetitem(place, table.iloc[[fine], place].to_numpy(copy=True))
        if not problem(mended.astype(table.dtypes.iloc[[place]].to_dict())):
            value = bad.iloc[0, place]
            shown = value.item() if hasattr(value, "item") else value
            return f"column {name!r} has {shown!r} in row {bad.index[0]!r}, which is refused: {said}"
    return f"row {bad.index[0]!r} is refused: {said}"

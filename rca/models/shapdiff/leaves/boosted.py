"""What the readers of xgboost and lightgbm share: sets of categories, and columns as numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rca.errors import InputError

__all__ = ["check_width", "numbers", "set_table"]

LARGEST = 200_000_000  # cells of a table of sets


def check_width(name: str, wanted: int, found: int) -> None:
    """Raise when the rows have other columns than the model."""
    if wanted != found:
        raise InputError(f"the {name} was trained on {wanted} columns; the rows have {found}")


def set_table(name: str, listed: Sequence[np.ndarray], *, left: bool) -> np.ndarray:
    """Return which codes go left, one row for each list of codes; codes that are not listed go to the other side.

    Parameters
    ----------
    name : str
        Name of the model, for messages.
    listed : sequence of ndarray of int
        Codes that the test of one node lists.
    left : bool
        Whether the listed codes go left.
    """
    codes = 1 + max((int(one.max()) for one in listed if len(one)), default=-1)
    if len(listed) * (codes + 1) > LARGEST:
        raise InputError(f"the {name} has {len(listed):,} categorical splits with codes up to {codes - 1:,}: too many")
    table = np.full((len(listed), codes + 1), not left)
    for row, one in zip(table, listed, strict=True):
        row[one] = left
    return table


def numbers(column: pd.Series) -> np.ndarray:
    """Return a column of numbers or truth values as float64, where nothing is NaN."""
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise InputError(f"column {column.name!r} is {column.dtype}; the model takes numbers and categories")
    return np.asarray(column.to_numpy(dtype="float64", na_value=np.nan))

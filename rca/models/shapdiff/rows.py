"""The checks that a model can be explained on the rows given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, raise_all

__all__ = ["check_rows", "family"]


def family(model: Any) -> str:
    """Return the name of the package that the model's class comes from."""
    return type(model).__module__.partition(".")[0]


def check_rows(model: Any, table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows as floating point numbers, or say which column or row cannot be explained.

    Parameters
    ----------
    model : object
        The fitted model.
    table : DataFrame
        The rows.
    name : str
        What the caller calls them, for messages.

    Raises
    ------
    UnknownName
        If a column is missing or unknown.
    InputError
        If there are no rows, a column is not numeric or in another place, or a value is infinite or not a number.
    """
    _check_fitted(model)
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"{name} is a {type(table).__name__}; a DataFrame with named columns is wanted")
    if table.empty:
        raise InputError(f"{name} has no rows" if table.shape[1] else f"{name} has no columns")
    _check_columns(model, table, name)
    wrong = [column for column in table.columns if not pd.api.types.is_numeric_dtype(table[column])]
    raise_all(
        [f"{name}: column {column!r} is {table[column].dtype}; only numbers can be explained" for column in wrong]
    )
    numbers = table.astype("float64")
    problems = []
    takes_nan = _takes_nan(model)
    for column in numbers.columns:
        values = numbers[column].to_numpy()
        for bad, what in ((np.isinf(values), "an infinite value"), (np.isnan(values), "a missing value")):
            if bad.any() and not (what == "a missing value" and takes_nan):
                row = table.index[bad.argmax()]
                problems.append(f"{name}: column {column!r} has {what} in row {row!r} ({int(bad.sum()):,} such rows)")
    raise_all(problems)
    return numbers


def _check_fitted(model: Any) -> None:
    if family(model) == "lightgbm" and not hasattr(model, "fit"):
        return  # a Booster is always trained
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if not hasattr(model, "predict"):
        raise InputError(f"a {type(model).__name__} is no model: it has no predict")
    try:
        check_is_fitted(model)
    except NotFittedError:
        raise InputError(f"the {type(model).__name__} is not fitted") from None


def _check_columns(model: Any, table: pd.DataFrame, name: str) -> None:
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise InputError(f"{name}: column {twice[0]!r} is there more than once")
    names = getattr(model, "feature_names_in_", None)
    if names is None and hasattr(model, "feature_name"):
        names = model.feature_name()
    if names is None:
        wanted = getattr(model, "n_features_in_", table.shape[1])
        if wanted != table.shape[1]:
            raise InputError(f"{name} has {table.shape[1]} columns; the model was fitted on {wanted}")
        return
    names = list(names)
    problems = [
        f"{name}: missing column {n!r}{did_you_mean(n, map(str, table.columns))}"
        for n in names
        if n not in table.columns
    ]
    problems += [
        f"{name}: the model does not know column {n!r}{did_you_mean(str(n), names)}"
        for n in table.columns
        if n not in names
    ]
    raise_all(problems, UnknownName)
    for place, (found, wanted) in enumerate(zip(table.columns, names, strict=True), start=1):
        if found != wanted:
            raise InputError(
                f"{name}: column {place} is {found!r} where the model was fitted on {wanted!r}: another order"
            )


def _takes_nan(model: Any) -> bool:
    if family(model) in ("xgboost", "lightgbm") or hasattr(model, "steps"):
        return True  # of a pipeline only its own prediction tells
    from sklearn.utils import get_tags

    return bool(get_tags(model).input_tags.allow_nan)

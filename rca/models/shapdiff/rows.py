"""The checks that a model can be explained on the rows given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, raise_all

__all__ = ["check_codes", "check_rows", "family", "known_names", "last_step", "takes_table", "takes_text"]

PLAIN = ("sklearn.base", "sklearn.utils")  # what models of others are derived from as well


def family(model: Any) -> str:
    """Return the name of the package that the model's class, or a booster it is derived from, comes from."""
    names = [kind.__module__.partition(".")[0] for kind in type(model).__mro__]
    return next((name for name in names if name in ("xgboost", "lightgbm", "catboost")), names[0])


def last_step(model: Any) -> Any:
    """Return the model at the end of a pipeline or in a finished search; of others the model itself."""
    while hasattr(model, "best_estimator_") or hasattr(model, "steps"):
        model = model.best_estimator_ if hasattr(model, "best_estimator_") else model[-1]
    return model


def known_names(model: Any) -> list[Any] | None:
    """Return the names of the columns that a model was fitted on, or None if it does not know them."""
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return list(names)
    inner = _parts(model) if hasattr(model, "steps") or hasattr(model, "best_estimator_") else []
    return known_names(inner[0]) if inner else None


def takes_text(model: Any) -> bool:
    """Return whether rows first meet a step that counts the words of one column of texts."""
    return hasattr(_first(model), "build_analyzer")


def takes_table(model: Any) -> bool:
    """Return whether a model is given a DataFrame: it knows names, or does not check its rows as scikit-learn does."""
    first = _first(model)
    known = known_names(model) is not None or family(model) in ("xgboost", "lightgbm", "catboost")
    return known or (not hasattr(first, "n_features_in_") and not _of_sklearn(first))


def check_rows(model: Any, table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows, numbers as floating point numbers, or say which column or row cannot be explained.

    Parameters
    ----------
    model : object
        The fitted model.
    table : DataFrame
        The rows. Columns that are not numeric are for pipelines, and categories for models that take them.
    name : str
        What the caller calls them, for messages.

    Raises
    ------
    UnknownName
        If a column is missing or unknown.
    InputError
        If there are no rows, a column is of a kind that the model does not take or in another place, or a value is
        infinite or not a number.
    """
    _check_fitted(model)
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"{name} is a {type(table).__name__}; a DataFrame with named columns is wanted")
    if table.empty:
        raise InputError(f"{name} has no rows" if table.shape[1] else f"{name} has no columns")
    _check_columns(model, table, name)
    numeric = [column for column in table.columns if pd.api.types.is_numeric_dtype(table[column])]
    taken = _takes(model)
    wrong = [
        column for column in table.columns
        if column not in numeric and taken != "anything"
        and not (taken == "categories" and isinstance(table[column].dtype, pd.CategoricalDtype))
    ]  # fmt: skip
    what = "numbers and categories" if taken == "categories" else "numbers"
    raise_all([f"{name}: column {column!r} is {table[column].dtype}; only {what} can be explained" for column in wrong])
    _check_values(model, table[numeric], name)
    if taken == "anything":
        return table
    return table.astype(dict.fromkeys(numeric, "float64"))


def check_codes(coded: np.ndarray, table: pd.DataFrame, categorical: np.ndarray, name: str) -> None:
    """Raise if the model's own code of a category is missing though the row has one: it was not seen in training.

    Parameters
    ----------
    coded : ndarray, shape (n_rows, n_features)
        Rows as `rca.models.shapdiff.leaves.codes` gives them.
    table : DataFrame, shape (n_rows, n_features)
        The rows.
    categorical : ndarray of bool, shape (n_features,)
        Columns in which the model has categories.
    name : str
        What the caller calls the rows, for messages.

    Raises
    ------
    UnknownName
        Naming column, row and category.
    """
    problems = []
    for place in np.flatnonzero(categorical):
        column = table.iloc[:, place]
        bad = np.isnan(coded[:, place]) & column.notna().to_numpy()
        if bad.any():
            row = int(bad.argmax())
            problems.append(
                f"{name}: column {column.name!r} has the category {column.iloc[row]!r} in row {table.index[row]!r}, "
                f"which the model has not seen ({int(bad.sum()):,} such rows); "
                "make it missing to explain what the model makes of it"
            )
    raise_all(problems, UnknownName)


def _floats(column: pd.Series) -> np.ndarray:
    return np.asarray(column.to_numpy(dtype="float64", na_value=np.nan))


def _check_values(model: Any, table: pd.DataFrame, name: str) -> None:
    """Raise where a number is infinite, or missing and the model takes none that is."""
    problems = []
    takes_nan = _takes_nan(model)
    for column in table.columns:
        values = _floats(table[column])
        for bad, what in ((np.isinf(values), "an infinite value"), (np.isnan(values), "a missing value")):
            if bad.any() and not (what == "a missing value" and takes_nan):
                row = table.index[bad.argmax()]
                problems.append(f"{name}: column {column!r} has {what} in row {row!r} ({int(bad.sum()):,} such rows)")
    raise_all(problems)


def _check_fitted(model: Any) -> None:
    name = type(model).__name__
    if isinstance(model, type):
        raise InputError(f"the model is the class {model.__name__}; a fitted instance is wanted")
    if not hasattr(model, "predict"):
        raise InputError(f"a {name} is no model: it has no predict")
    if family(model) == "catboost":
        fitted = model.is_fitted()
    elif not hasattr(model, "fit"):
        fitted = family(model) != "xgboost" or _holds_columns(model)  # others are not trained by themselves
    else:
        fitted = not hasattr(model, "__sklearn_tags__") or _is_fitted(model)
    if not fitted:
        raise InputError(f"the {name} is not fitted")


def _is_fitted(model: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    return True


def _holds_columns(booster: Any) -> bool:
    try:
        return int(booster.num_features()) > 0
    except ValueError:  # xgboost's own error, where nothing was trained
        return False


def _check_columns(model: Any, table: pd.DataFrame, name: str) -> None:
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise InputError(f"{name}: column {twice[0]!r} is there more than once")
    names = known_names(model)
    if names is None and not hasattr(model, "fit"):
        names = model.feature_name() if hasattr(model, "feature_name") else getattr(model, "feature_names", None)
    if names is None and family(model) == "catboost":
        names = model.feature_names_
    if names is None:
        wanted = 1 if takes_text(model) else getattr(model, "n_features_in_", table.shape[1])
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


def _takes(model: Any) -> str:
    """Return which kinds of columns a model takes: numbers, categories too, or anything."""
    if hasattr(model, "steps") or family(model) == "catboost":
        return "anything"
    if family(model) in ("xgboost", "lightgbm") or type(model).__name__.startswith("HistGradientBoosting"):
        return "categories"
    inner = [_takes(part) for part in _parts(model)] or ["numbers" if _of_sklearn(model) else "anything"]
    return next(kind for kind in ("anything", "categories", "numbers") if kind in inner)


def _takes_nan(model: Any) -> bool:
    if family(model) in ("xgboost", "lightgbm") or _takes(model) == "anything":
        return True  # of a pipeline only its own prediction tells
    from sklearn.utils import get_tags

    inner = _parts(model)
    return bool(get_tags(model).input_tags.allow_nan) or (bool(inner) and all(map(_takes_nan, inner)))


def _parts(model: Any) -> list[Any]:
    """Return the models that a model hands its rows to: the first step of a pipeline, the members of an ensemble."""
    if hasattr(model, "best_estimator_"):
        return [model.best_estimator_]
    if hasattr(model, "steps"):
        return [step for _, step in model.steps if step is not None and not isinstance(step, str)][:1]
    given = [getattr(model, name, None) for name in ("estimator", "regressor")]
    named = getattr(model, "estimators", None)
    given += [pair[-1] for pair in named if isinstance(pair, tuple)] if isinstance(named, list) else []
    return [one for one in given if hasattr(one, "fit")]


def _first(model: Any) -> Any:
    """Return what rows meet first: the model itself, or the first step of the pipeline in it."""
    inner = _parts(model)
    return _first(inner[0]) if inner else model


def _of_sklearn(model: Any) -> bool:
    modules = [kind.__module__ for kind in type(model).__mro__]
    return any(name.startswith("sklearn.") and not name.startswith(PLAIN) for name in modules)

"""What a model says about rows, and what that costs: one number a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, raise_all, shorten
from rca.models.shapdiff.rows import family
from rca.models.shapdiff.unwrap import feed

__all__ = ["Loss", "call", "check_same_columns", "check_window", "predictions", "row_losses", "scores"]

Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]


def check_window(X: pd.DataFrame, y: Any, name: str) -> np.ndarray:  # noqa: N803
    """Return the labels of a window as an array, or say what is wrong with rows or labels.

    Parameters
    ----------
    X : DataFrame
        Rows.
    y : array_like
        One label a row; a Series has the index of `X`.
    name : str
        What the caller calls the window, for messages.

    Returns
    -------
    ndarray, shape (n_rows,)
        The labels.

    Raises
    ------
    InputError
        If there are no rows, a column is there twice or infinite, or labels are missing or of another length.
    """
    if not isinstance(X, pd.DataFrame):
        raise InputError(f"X_{name} is a {type(X).__name__}; a DataFrame with named columns is wanted")
    if X.empty:
        raise InputError(f"X_{name} has no {'rows' if X.shape[1] else 'columns'}")
    twice = X.columns[X.columns.duplicated()]
    if len(twice):
        raise InputError(f"X_{name}: column {twice[0]!r} is there more than once")
    for column in X.select_dtypes("number"):
        infinite = np.isinf(X[column].to_numpy(dtype=float, na_value=np.nan))
        if infinite.any():
            raise InputError(f"X_{name}: column {column!r} has an infinite value in row {X.index[infinite.argmax()]!r}")
    labels = np.asarray(y)
    if labels.shape != (len(X),):
        raise InputError(f"y_{name} has shape {labels.shape} where X_{name} has {len(X):,} rows")
    if isinstance(y, pd.Series) and not y.index.equals(X.index):
        raise InputError(f"y_{name} and X_{name} have different indexes: their rows do not belong together")
    missing = pd.isna(labels)
    if missing.any():
        row = X.index[missing.argmax()]
        raise InputError(f"y_{name} has no label in row {row!r} ({int(missing.sum()):,} such rows): leave these out")
    return labels


def check_same_columns(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Raise `UnknownName` when a column is in one window only, `InputError` when their order differs."""
    problems = []
    for name, one, other in (("before", before, after), ("after", after, before)):
        problems += [
            f"X_{name} has no column {column!r}{did_you_mean(str(column), map(str, one.columns))}"
            for column in other.columns
            if column not in one.columns
        ]
    raise_all(problems, UnknownName)
    for place, (one, two) in enumerate(zip(before.columns, after.columns, strict=True), start=1):
        if one != two:
            raise InputError(f"column {place} is {one!r} before and {two!r} after: another order")


def call(model: Any, method: Callable[[Any], Any], X: pd.DataFrame) -> np.ndarray:  # noqa: N803
    """Return what a method of the model says about rows, or raise `InputError` when it refuses them."""
    from sklearn.exceptions import NotFittedError

    try:
        given = np.asarray(method(feed(model, X)))
    except NotFittedError:
        raise InputError(f"the {type(model).__name__} is not fitted") from None
    except ValueError as error:
        raise InputError(f"the {type(model).__name__} cannot predict these rows: {error}") from error
    return given


def predictions(model: Any, X: pd.DataFrame) -> np.ndarray:  # noqa: N803
    """Return probabilities of the classes (n_rows, n_classes) of a classifier, else predictions (n_rows,).

    Raises
    ------
    InputError
        If the model is not fitted, refuses the rows, or is a Booster, whose predictions do not say of what they are.
    """
    if family(model) in ("xgboost", "lightgbm") and not hasattr(model, "get_params"):
        raise InputError(
            f"a {type(model).__name__} of {family(model)} does not say whether it gives classes, probabilities or "
            "numbers; the estimator with scikit-learn's interface is wanted (XGBClassifier, LGBMRegressor ...)"
        )
    method = getattr(model, "predict_proba", None) or getattr(model, "predict", None)
    if method is None:
        raise InputError(f"a {type(model).__name__} is no model: it has neither predict_proba nor predict")
    return call(model, method, X)


def scores(model: Any, X: pd.DataFrame) -> np.ndarray:  # noqa: N803
    """Return the model's score: log-odds (n_rows, n_classes - 1) of a classifier, else predictions (n_rows, 1).

    Log-odds are those of its probabilities, so that forests have them too; beyond 1e-6 and 1 - 1e-6 they are cut.
    """
    given = predictions(model, X)
    if given.ndim == 1:
        return given[:, None]
    logs = np.log(np.clip(given, 1e-6, 1 - 1e-6))
    return np.asarray(logs[:, 1:] - logs[:, :1])


def row_losses(model: Any, X: pd.DataFrame, y: np.ndarray, loss: Loss | None = None) -> np.ndarray:  # noqa: N803
    """Return the loss of each row: log loss of a classifier (natural logarithm), squared error of a regression.

    Parameters
    ----------
    model : object
        Fitted model with scikit-learn's interface.
    X, y : DataFrame, ndarray
        Rows and labels.
    loss : callable, optional
        ``(y, predictions) -> array of n_rows``, instead.

    Returns
    -------
    ndarray, shape (n_rows,)
        Losses. Probabilities below 2.2e-16 count as that, as in scikit-learn: one sure mistake costs 36.

    Raises
    ------
    InputError
        If a label is no class of the model or no number, or `loss` does not give one finite number a row.
    """
    given = predictions(model, X)
    if loss is not None:
        losses = np.asarray(loss(y, given), dtype=float)
        if losses.shape != (len(X),):
            raise InputError(f"loss gives shape {losses.shape}; one number for each of {len(X):,} rows is wanted")
    elif given.ndim == 2:
        classes = list(model.classes_)
        place = pd.Index(classes).get_indexer(y)
        if (place < 0).any():
            row = int((place < 0).argmax())
            raise InputError(
                f"label {shorten(y[row])} in row {X.index[row]!r} is no class of the {type(model).__name__}; "
                f"its classes: {', '.join(map(str, classes[:12]))}"
            )
        losses = -np.log(np.clip(given[np.arange(len(X)), place], np.finfo(float).eps, 1.0))
    elif hasattr(model, "classes_"):
        raise InputError(f"the {type(model).__name__} gives classes without probabilities; give loss=")
    else:
        if not pd.api.types.is_numeric_dtype(y):
            raise InputError(f"labels of the {type(model).__name__} are {y.dtype}; numbers are wanted, or give loss=")
        losses = (y.astype(float) - given) ** 2
    if not np.isfinite(losses).all():
        raise InputError(f"the loss is not finite in row {X.index[int((~np.isfinite(losses)).argmax())]!r}")
    return losses

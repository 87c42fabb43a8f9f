"""What a model itself says of rows: margins, predictions and losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError, did_you_mean
from rca.models.shapdiff.objective import link_of, outputs_of
from rca.models.shapdiff.rows import family, last_step

__all__ = [
    "LEAST", "classes_of", "cut_losses", "has_margin", "label_codes", "log_loss", "loss_of_margin", "margin",
    "prediction",
]  # fmt: skip

LEAST = float(np.finfo(float).eps)  # probabilities of a true class below count as this, as in scikit-learn's log_loss


def classes_of(model: Any, link: str = "", outputs: int = 1) -> list[Any]:
    """Return the classes of a classifier, in the order of its outputs; of a regression none.

    Parameters
    ----------
    model : object
        A fitted model.
    link, outputs
        Of its leaves, if it has any: a booster without scikit-learn's interface names no classes.

    Raises
    ------
    InputError
        If the model is neither a classifier nor a regression, or predicts several targets.
    """
    from sklearn.base import is_regressor

    name = type(model).__name__
    classes = list(getattr(model, "classes_", ()))
    if not link and not hasattr(model, "fit"):
        link, outputs = link_of(model), outputs_of(model)
    if classes:
        if len(classes) < 2 or isinstance(classes[0], np.ndarray):
            raise InputError(f"the {name} was fitted on {'several targets' if len(classes) > 1 else 'one class only'}")
        return [name.item() if isinstance(name, np.generic) else name for name in classes]
    if not hasattr(model, "fit") and link in ("logit", "softmax"):
        return list(range(max(outputs, 2)))
    known = hasattr(model, "__sklearn_tags__") and family(model) != "catboost"
    if (known and not link and not is_regressor(model)) or hasattr(model, "predict_proba"):
        raise InputError(f"the {name} is neither a classifier nor a regression")
    if outputs > 1:
        raise InputError(f"the {name} predicts several targets; only one can be explained")
    return []


def has_margin(model: Any) -> bool:
    """Return whether the model has an output before its link, other than its prediction."""
    model = last_step(model)
    classes = list(getattr(model, "classes_", ()))
    if not classes:
        return link_of(model) != "identity"
    if family(model) in ("xgboost", "lightgbm", "catboost"):
        return True
    shape = getattr(model, "decision_function_shape", "ovr")
    return hasattr(model, "decision_function") and (len(classes) == 2 or shape == "ovr")


def margin(model: Any, given: Any) -> np.ndarray:
    """Return the model's output before its link, or its prediction if it has none.

    Parameters
    ----------
    model : object
        A fitted model.
    given : DataFrame, ndarray or sparse matrix, shape (n_rows, n_features)
        Rows as the model takes them.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_outputs)
    """
    if hasattr(model, "best_estimator_"):
        return margin(model.best_estimator_, given)
    if hasattr(model, "steps") and has_margin(model):
        before = model[:-1]
        return margin(model[-1], before.transform(given) if len(before.steps) else given)
    package = family(model)
    if package == "xgboost":
        from rca.models.shapdiff.leaves import xgb

        return xgb.margin(model, given)
    if package == "lightgbm":
        from rca.models.shapdiff.leaves import lgb

        return lgb.margin(model, given)
    if package == "catboost":
        import catboost

        # Rankers' own predict takes no kind of prediction.
        raw = np.asarray(catboost.CatBoost.predict(model, given, prediction_type="RawFormulaVal"), dtype=float)
        return raw.reshape(len(raw), -1)
    if not has_margin(model):
        return prediction(model, given)
    if link_of(model) == "log":
        return np.asarray(np.log(prediction(model, given)))
    own = np.asarray(model.decision_function(given), dtype=float)
    return own.reshape(len(own), -1)


def prediction(model: Any, given: Any) -> np.ndarray:
    """Return the model's probabilities (of two classes the second one's), or the prediction of a regression.

    Parameters
    ----------
    model, given
        As for `margin`.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_outputs)

    Raises
    ------
    InputError
        If the model gives classes only, or predicts several targets.
    """
    from scipy.special import softmax

    name = type(model).__name__
    if list(getattr(model, "classes_", ())):
        if not hasattr(model, "predict_proba"):
            raise InputError(f"the {name} gives classes only, not their probabilities")
        own = np.asarray(model.predict_proba(given), dtype=float)
        if own.ndim != 2:
            raise InputError(f"the {name} gives probabilities of the shape {own.shape}; one column a class is wanted")
        return own[:, 1:] if own.shape[1] == 2 else own
    if not hasattr(model, "fit") and link_of(model) == "softmax":
        return np.asarray(softmax(margin(model, given), axis=1))  # xgboost's "multi:softmax" gives classes only
    if hasattr(model, "inplace_predict"):
        from rca.models.shapdiff.leaves import xgb

        own = np.asarray(xgb.ask(model, given, margins=False), dtype=float)
    else:
        own = np.asarray(model.predict(given), dtype=float)
    if own.ndim != 1 and own.shape[1] > 1 and hasattr(model, "fit"):
        raise InputError(f"the {name} predicts several targets; only one can be explained")
    return own.reshape(len(own), -1)


def label_codes(y: Any, index: pd.Index, classes: list[Any]) -> np.ndarray:
    """Return the truth as numbers of classes, or for a regression (no classes) as floating point numbers.

    Parameters
    ----------
    y : Series or array-like, shape (n_rows,)
        True labels or target.
    index : Index
        Index of the rows.
    classes : list
        Classes of the model.

    Raises
    ------
    InputError
        If its length or index is another than the rows', or a label is not known; the message names the row.
    """
    if isinstance(y, pd.Series) and not y.index.equals(index):
        raise InputError("y has another index than X; the true labels of the same rows, in the same order, are wanted")
    if np.shape(y) != (len(index),):
        column = "; give its one column" if np.shape(y) == (len(index), 1) else ""
        raise InputError(
            f"y has the shape {np.shape(y)}; one label for each of the {len(index):,} rows is wanted, "
            f"in one dimension{column}"
        )
    truth = pd.Series(np.asarray(y, dtype=object) if classes else np.asarray(y))
    if not classes:
        target = pd.to_numeric(truth, errors="coerce").to_numpy(dtype=float)
        bad = np.flatnonzero(~np.isfinite(target))
        if len(bad):
            raise InputError(f"y: row {index[bad[0]]!r} has {truth.iloc[bad[0]]}; a finite number is wanted")
        return np.asarray(target)
    place = {name: number for number, name in enumerate(classes)}
    codes = truth.map(place).to_numpy(dtype=float)
    bad = np.flatnonzero(np.isnan(codes))
    if len(bad):
        found = truth.iloc[bad[0]]
        near = did_you_mean(str(found), map(str, classes))
        if str(found) in map(str, classes):
            near = f": it is a {type(found).__name__}, the classes are {type(classes[0]).__name__}"
        raise InputError(
            f"y: row {index[bad[0]]!r} has {found!r}, which is none of the model's classes "
            f"({len(bad):,} such rows){near}"
        )
    return np.asarray(codes.astype(np.int64))


def log_loss(probability: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return minus the logarithm of the probability of the true class.

    Parameters
    ----------
    probability : ndarray, shape (n_rows, n_outputs)
        From `prediction`.
    codes : ndarray of int64, shape (n_rows,)
        True classes.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        Probabilities below 2.2e-16 count as that, as in scikit-learn: a sure mistake costs 36.04.
    """
    own = _of_all(probability)[np.arange(len(codes)), codes]
    return np.asarray(-np.log(np.clip(own, LEAST, 1.0 - LEAST)))


def cut_losses(probability: np.ndarray, others: np.ndarray, codes: np.ndarray) -> str:
    """Return a sentence on where `log_loss` cut, or nothing.

    Parameters
    ----------
    probability, others : ndarray, shape (n_rows, n_outputs) and (n_background, n_outputs)
        From `prediction`, of rows and background.
    codes : ndarray of int64, shape (n_rows,)
        True classes.
    """
    rows = int((_of_all(probability)[np.arange(len(codes)), codes] < LEAST).sum())
    known = int((_of_all(others)[:, np.unique(codes)] < LEAST).any(axis=1).sum())
    if not rows and not known:
        return ""
    return (
        f"The model gives the true class the probability 0 in {rows:,} of {len(codes):,} rows, and a class that is "
        f"true somewhere in {known:,} of {len(others):,} background rows: that counts as a log loss of "
        f"{-np.log(LEAST):.0f}, as in scikit-learn, so that few such rows can outweigh all others."
    )


def _of_all(probability: np.ndarray) -> np.ndarray:
    """Return probabilities of all classes, where of two only the second has them."""
    return np.hstack([1.0 - probability, probability]) if probability.shape[1] == 1 else probability


def loss_of_margin(link: str, margins: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the log loss from margins, without rounding where a probability is near 0 or 1.

    Parameters
    ----------
    link : str
        Of `rca.models.shapdiff.leaves.Leaves`.
    margins : ndarray, shape (n_rows, n_outputs)
        From `margin`.
    codes : ndarray of int64, shape (n_rows,)
        True classes.
    """
    from scipy.special import logsumexp

    if link == "softmax":
        return np.asarray(logsumexp(margins, axis=1) - margins[np.arange(len(codes)), codes])
    if link == "identity":
        return log_loss(margins, codes)
    log_odds = margins[:, 0] * (2.0 if link == "exponential" else 1.0)
    return np.asarray(np.logaddexp(0.0, np.where(codes == 1, -log_odds, log_odds)))

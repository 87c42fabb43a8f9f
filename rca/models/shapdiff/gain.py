"""What a feature still tells about the label beyond the deployed score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from rca.models.shapdiff.crossfit import folds
from rca.models.shapdiff.scoring import scores

__all__ = ["bins", "residual_gain"]

BINS = 10
LEVELS = 20
FOLDS = 3
ROWS = 20_000
FEWEST = 10  # rows of a class


def residual_gain(
    model: Any,
    X: pd.DataFrame,  # noqa: N803  (the name that scikit-learn uses)
    y: np.ndarray,
    *,
    rng: np.random.Generator,
) -> tuple[pd.Series, pd.Series]:
    """Return how much loss a small correction with one feature saves, feature by feature.

    The score is calibrated anew by a line: once alone, once with an intercept and a slope of its own in each of ten
    ranges of the feature (or for each category; missing values are a range). Both are judged on rows that they were
    not fitted on (three folds). The gain is the mean loss of the first less that of the second: log loss of a
    classifier, squared error of a regression.

    Parameters
    ----------
    model : object
        Fitted model with scikit-learn's interface.
    X : DataFrame
        Rows; 20,000 are drawn if there are more.
    y : ndarray
        Labels.
    rng : Generator
        Draws rows and folds.

    Returns
    -------
    gain : Series
        Loss saved per row, by feature; may be slightly negative when there is nothing to learn. NaN when fewer than
        two classes have ten rows.
    error : Series
        Its standard error.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(600, 2)), columns=["amount", "age"])
    >>> model = LinearRegression().fit(X, X["amount"])
    >>> gain, error = residual_gain(model, X, (X["amount"] + X["age"]).to_numpy(), rng=rng)
    >>> gain.idxmax(), bool(gain["age"] > 0.8)
    ('age', True)
    """
    if len(X) > ROWS:
        some = np.sort(rng.choice(len(X), ROWS, replace=False))
        X, y = X.iloc[some], y[some]  # noqa: N806
    classifier = hasattr(model, "predict_proba")
    nothing = pd.Series(np.nan, index=X.columns)
    score = scores(model, X).astype(float)
    if classifier:
        kinds, counts = np.unique(y, return_counts=True)
        usable = np.isin(y, kinds[counts >= FEWEST])
        if (counts >= FEWEST).sum() < 2:
            return nothing, nothing.copy()
        X, y, score = X[usable], y[usable], score[usable]  # noqa: N806
    if len(X) < FEWEST * FOLDS:
        return nothing, nothing.copy()
    spread = score.std(axis=0)
    score = (score - score.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    fold = _folds(y, classifier, rng)
    alone = _losses(score, y, fold, classifier)
    gain, error = nothing.copy(), nothing.copy()
    for name in X.columns:
        places = bins(X[name])
        member = (places[:, None] == np.unique(places)).astype(float)
        slopes = [member * score[:, [column]] for column in range(score.shape[1])]
        saved = alone - _losses(np.hstack([score, member, *slopes]), y, fold, classifier)
        gain[name], error[name] = saved.mean(), saved.std(ddof=1) / np.sqrt(len(saved))
    return gain, error


def bins(column: pd.Series) -> np.ndarray:
    """Return the number of the range, or of the category, of each value; -1 where it is missing.

    Examples
    --------
    >>> bins(pd.Series(["DE", "FR", None, "DE"])).tolist()
    [0, 1, -1, 0]
    """
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        texts = column.astype(object).map(str).where(column.notna())
        common = list(texts.value_counts().sort_index().sort_values(ascending=False, kind="stable").index[:LEVELS])
        known = texts.map({value: place for place, value in enumerate(common)}).fillna(len(common))
        return np.where(column.isna(), -1, known).astype(int)
    numbers = column.astype("float64").to_numpy()
    here = numbers[~np.isnan(numbers)]
    if not len(here):
        return np.full(len(numbers), -1)
    edges = np.unique(np.quantile(here, np.arange(1, BINS) / BINS))
    return np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers, side="left"))


def _folds(y: np.ndarray, classifier: bool, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each row, with every class in every fold."""
    if not classifier:
        return folds(len(y), FOLDS, rng)
    fold = np.empty(len(y), dtype=int)
    for kind in np.unique(y):
        fold[y == kind] = folds(int((y == kind).sum()), FOLDS, rng)
    return fold


def _losses(table: np.ndarray, y: np.ndarray, fold: np.ndarray, classifier: bool) -> np.ndarray:
    """Return the loss of each row under a linear model fitted on the other folds."""
    from sklearn.linear_model import LogisticRegression, Ridge

    losses = np.empty(len(y))
    for part in range(FOLDS):
        away, near = fold != part, fold == part
        if classifier:
            fitted = LogisticRegression(C=1.0, max_iter=1000).fit(table[away], y[away])
            chance = fitted.predict_proba(table[near])
            place = np.searchsorted(fitted.classes_, y[near])
            losses[near] = -np.log(np.clip(chance[np.arange(len(place)), place], np.finfo(float).eps, 1.0))
        else:
            line = Ridge(1.0).fit(table[away], y[away].astype(float))
            losses[near] = (y[near].astype(float) - line.predict(table[near])) ** 2
    return losses

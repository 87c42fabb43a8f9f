"""What a feature tells about the label beyond the deployed score after, and did not tell before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rca.models.shapdiff.crossfit import folds
from rca.models.shapdiff.scoring import scores

__all__ = ["Saved", "bins", "residual_gain"]

BINS = 10
LEVELS = 20
ROWS = 20_000
FEWEST = 10  # rows of a class in a window


@dataclass(frozen=True)
class Saved:
    """Loss that corrections learned from one half of the window after save on rows they never saw.

    Attributes
    ----------
    before : ndarray, shape (n_rows_before, n_features)
        On the rows before.
    after : ndarray, shape (n_rows_of_the_other_half, n_features)
        On the other half of the rows after.
    """

    before: np.ndarray
    after: np.ndarray


def residual_gain(
    model: Any,
    before: tuple[pd.DataFrame, np.ndarray],
    after: tuple[pd.DataFrame, np.ndarray],
    *,
    rng: np.random.Generator,
) -> list[Saved]:
    """Return how much loss small corrections with one feature each save, row by row.

    On one half of the rows after, the score is calibrated anew by a line: once alone, once with an intercept and a
    slope of its own in each of ten ranges of the feature (or for each category; missing values are a range). Both are
    judged on the other half and on the rows before: the loss of the first less that of the second, log loss of a
    classifier, squared error of a regression. Then the halves change places.

    Parameters
    ----------
    model : object
        Fitted model with scikit-learn's interface.
    before, after : tuple of DataFrame and ndarray
        Rows and labels of the two windows; 20,000 rows are drawn from a longer one.
    rng : Generator
        Draws rows and halves.

    Returns
    -------
    list of Saved
        One for each half; none when fewer than two classes have ten rows in both windows, or a window has fewer than
        twenty rows. Rows of other classes are left out.

    Notes
    -----
    One correction is judged in both windows, so its rows before and its unseen rows after differ only if the windows
    do: given the half it was fitted on, they can be exchanged. A correction fitted to each window by itself is the
    worse the fewer rows it has, and both its fits are uncertain; a change between two such gains was found "beyond
    noise" in one null run in eight.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(600, 2)), columns=["amount", "age"])
    >>> model = LinearRegression().fit(X, X["amount"])
    >>> halves = residual_gain(model, (X, X["amount"]), (X, X["amount"] + X["age"]), rng=rng)
    >>> [(half.after.mean(axis=0) > 0.5).tolist() for half in halves]
    [[False, True], [False, True]]
    """
    classifier = hasattr(model, "predict_proba")
    windows = [_some(X, np.asarray(y), rng) for X, y in (before, after)]
    if classifier:
        windows = _common(windows)
    if min(len(y) for _, y in windows) < 2 * FEWEST:
        return []
    (one, label_one), (two, label_two) = windows
    given = [scores(model, X).astype(float) for X in (one, two)]
    spread = given[1].std(axis=0)
    score = (np.vstack(given) - given[1].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    label = np.concatenate([label_one, label_two])
    half = np.concatenate([np.full(len(one), -1), _halves(label_two, classifier, rng)])
    alone = [_losses(score, label, half, part, classifier) for part in (0, 1)]
    saved = [np.empty((int((half != part).sum()), one.shape[1])) for part in (0, 1)]
    for at, name in enumerate(one.columns):
        places = np.concatenate([bins(one[name], like=two[name]), bins(two[name])])
        member = (places[:, None] == np.unique(places[len(one) :])).astype(float)
        table = np.hstack([score, member, *(member * score[:, [column]] for column in range(score.shape[1]))])
        for part in (0, 1):
            saved[part][:, at] = alone[part] - _losses(table, label, half, part, classifier)
    return [Saved(rows[: len(one)], rows[len(one) :]) for rows in saved]


def bins(column: pd.Series, *, like: pd.Series | None = None) -> np.ndarray:
    """Return the number of the range, or of the category, of each value; -1 where it is missing.

    Parameters
    ----------
    column : Series
        Values.
    like : Series, optional
        The values that make the ranges; default `column` itself. A category that is not in it is one of the rest.

    Examples
    --------
    >>> bins(pd.Series(["DE", "FR", None, "DE"])).tolist()
    [0, 1, -1, 0]
    >>> bins(pd.Series(["FR", "IT"]), like=pd.Series(["DE", "FR", "DE"])).tolist()
    [1, 2]
    """
    like = column if like is None else like
    if not (_number(column) and _number(like)):
        seen, texts = (one.astype(object).map(str).where(one.notna()) for one in (like, column))
        common = list(seen.value_counts().sort_index().sort_values(ascending=False, kind="stable").index[:LEVELS])
        known = texts.map({value: place for place, value in enumerate(common)}).fillna(len(common))
        return np.where(column.isna(), -1, known).astype(int)
    numbers, sample = (one.astype("float64").to_numpy() for one in (column, like))
    here = sample[~np.isnan(sample)]
    edges = np.unique(np.quantile(here, np.arange(1, BINS) / BINS)) if len(here) else here
    return np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers, side="left"))


def _number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _some(X: pd.DataFrame, y: np.ndarray, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:  # noqa: N803
    """Return at most `ROWS` of the rows."""
    if len(X) <= ROWS:
        return X, y
    chosen = np.sort(rng.choice(len(X), ROWS, replace=False))
    return X.iloc[chosen], y[chosen]


def _common(windows: list[tuple[pd.DataFrame, np.ndarray]]) -> list[tuple[pd.DataFrame, np.ndarray]]:
    """Return the rows of the classes that have ten rows in both windows; no rows when there is only one such class."""
    counted = [dict(zip(*np.unique(y, return_counts=True), strict=True)) for _, y in windows]
    kinds = [kind for kind, count in counted[0].items() if min(count, counted[1].get(kind, 0)) >= FEWEST]
    wanted = [np.isin(y, kinds) & (len(kinds) > 1) for _, y in windows]
    return [(X[keep], y[keep]) for (X, y), keep in zip(windows, wanted, strict=True)]


def _halves(y: np.ndarray, classifier: bool, rng: np.random.Generator) -> np.ndarray:
    """Return the half of each row, with every class in both."""
    if not classifier:
        return folds(len(y), 2, rng)
    half = np.empty(len(y), dtype=int)
    for kind in np.unique(y):
        half[y == kind] = folds(int((y == kind).sum()), 2, rng)
    return half


def _losses(table: np.ndarray, y: np.ndarray, half: np.ndarray, part: int, classifier: bool) -> np.ndarray:
    """Return the loss of each row that is not in a half, under a linear model fitted on that half."""
    from sklearn.linear_model import LogisticRegression, Ridge

    near, away = half == part, half != part
    if classifier:
        fitted = LogisticRegression(C=1.0, max_iter=1000).fit(table[near], y[near])
        chance = fitted.predict_proba(table[away])
        place = np.searchsorted(fitted.classes_, y[away])
        return np.asarray(-np.log(np.clip(chance[np.arange(len(place)), place], np.finfo(float).eps, 1.0)))
    line = Ridge(1.0).fit(table[near], y[near].astype(float))
    return np.asarray((y[away].astype(float) - line.predict(table[away])) ** 2)

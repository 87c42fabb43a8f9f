"""Regressions and density ratios that are never judged on the rows they were fitted on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rca.models.shapdiff.threads import MANY, few_threads

__all__ = ["Ratio", "density_ratio", "design", "folds", "regression"]

CAP = 50.0  # largest density ratio; rows after beyond it count as having no like before
LEVELS = 30  # values of a text column with a column of their own
STAGES = (5, 12, 25, 50, 100)  # rounds of boosting that compete
BOOSTING: dict[str, Any] = {"learning_rate": 0.1, "max_iter": 100, "max_leaf_nodes": 15, "early_stopping": False}
FOREST: dict[str, Any] = {"n_estimators": 50, "min_samples_leaf": 5, "max_features": None}
REACH = 6.0  # standard deviations beyond which a column is cut for the straight-line fits


@dataclass(frozen=True)
class Ratio:
    """Density of the rows after over that of the rows before.

    Attributes
    ----------
    before, after : ndarray
        The ratio at each row, at most `CAP`.
    ess : float
        Effective number of rows before, for a mean over the rows after.
    outside : float
        Share of the rows after at which the ratio reaches `CAP`.
    """

    before: np.ndarray
    after: np.ndarray
    ess: float
    outside: float


def design(before: pd.DataFrame, after: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return both windows as numbers: categories as 0/1 columns, gaps as the median and a column of their own.

    Examples
    --------
    >>> one = pd.DataFrame({"amount": [1.0, None], "country": ["DE", "FR"]})
    >>> design(one, one)[0].tolist()
    [[1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0]]
    """
    both = pd.concat([before, after[list(before.columns)]], ignore_index=True)
    columns: list[np.ndarray] = []
    for name in both.columns:
        column = both[name]
        if pd.api.types.is_datetime64_any_dtype(column):
            column = column.astype("int64").where(column.notna())
        if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
            texts = column.astype(object).map(str).where(column.notna(), "missing")
            common = texts.value_counts().index[:LEVELS]
            columns += [(texts == value).to_numpy(dtype=float) for value in sorted(common)]
            continue
        numbers = column.astype("float64")
        gaps = numbers.isna()
        columns.append(numbers.fillna(0.0 if gaps.all() else numbers.median()).to_numpy())
        if gaps.any():
            columns.append(gaps.to_numpy(dtype=float))
    table = np.column_stack(columns)
    return table[: len(before)], table[len(before) :]


def folds(count: int, number: int, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each row, sizes as equal as can be."""
    return rng.permutation(np.arange(count) % number)


def density_ratio(
    before: np.ndarray, after: np.ndarray, fold_before: np.ndarray, fold_after: np.ndarray, seed: int
) -> Ratio:
    """Return the density ratio by a classifier that tells the windows apart.

    Logistic regression on columns and their squares, boosted trees of 5 to 100 rounds, extremely randomised trees,
    and "nothing differs" compete; the smallest cross-fitted log loss decides.
    """
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    rows, fold = np.vstack([before, after]), np.concatenate([fold_before, fold_after])
    late = np.arange(len(rows)) >= len(before)
    curved = _curved(rows)
    line, forest, stages = np.empty(len(rows)), np.empty(len(rows)), np.empty((len(STAGES), len(rows)))
    for part in np.unique(fold):
        near, away = fold == part, fold != part
        line[near] = LogisticRegression(max_iter=1000).fit(curved[away], late[away]).predict_proba(curved[near])[:, 1]
        with few_threads(len(rows)):
            trees = HistGradientBoostingClassifier(**BOOSTING, random_state=seed).fit(rows[away], late[away])
            stages[:, near] = [chance[:, 1] for chance in _staged(trees.staged_predict_proba(rows[near]))]
            wood = _grown(ExtraTreesClassifier(random_state=seed), rows[away], late[away])
            forest[near] = wood.predict_proba(rows[near])[:, 1]
    options = np.clip([np.full(len(rows), late.mean()), line, *stages, forest], 1e-9, 1 - 1e-9)
    chance = min(options, key=lambda p: float(-np.log(np.where(late, p, 1 - p)).mean()))
    ratio = np.minimum(chance / (1 - chance) * (len(before) / len(after)), CAP)
    one, two = ratio[: len(before)], ratio[len(before) :]
    kish = one.sum() ** 2 / (one**2).sum()
    # The mean of the ratio over the rows after is its mean square over those before. Only this sees rows after that
    # have no like before: no row before carries a large weight there, and Kish's number is content.
    seen_after = len(one) * one.mean() / two.mean()
    return Ratio(one, two, float(min(kish, seen_after)), float((two >= CAP).mean()))


def regression(
    rows: np.ndarray, target: np.ndarray, fold: np.ndarray, others: np.ndarray, fold_others: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the expected target at each row, and at each of other rows, from fits to the other folds of `rows`.

    Ridge regression on columns and their squares, boosted trees of 5 to 100 rounds, extremely randomised trees, and
    the mean compete; the smallest cross-fitted squared error decides.
    """
    from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge

    curved = _curved(np.vstack([rows, others]))
    near = np.empty((3 + len(STAGES), len(rows)))
    far = np.empty((3 + len(STAGES), len(others)))
    for part in np.unique(fold):
        away = fold != part
        ridge = Ridge(1.0).fit(curved[: len(rows)][away], target[away])
        with few_threads(len(rows)):
            trees = HistGradientBoostingRegressor(**BOOSTING, random_state=seed).fit(rows[away], target[away])
            wood = _grown(ExtraTreesRegressor(random_state=seed), rows[away], target[away])
            for table, bent, there, result in (
                (rows, curved[: len(rows)], fold == part, near),
                (others, curved[len(rows) :], fold_others == part, far),
            ):
                if there.any():
                    result[0, there] = target[away].mean()
                    result[1, there] = ridge.predict(bent[there])
                    result[2, there] = wood.predict(table[there])
                    result[3:, there] = _staged(trees.staged_predict(table[there]))
    best = int(((near - target) ** 2).mean(axis=1).argmin())
    return near[best], far[best]


def _curved(rows: np.ndarray) -> np.ndarray:
    """Return standardised columns and their squares."""
    spread = rows.std(axis=0)
    flat = np.clip((rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0), -REACH, REACH)
    return np.hstack([flat, flat**2])


def _staged(stages: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Return what the trees say after each number of rounds in `STAGES`."""
    return [given for number, given in enumerate(stages, start=1) if number in STAGES]


def _grown(forest: Any, rows: np.ndarray, target: np.ndarray) -> Any:
    """Return the fitted forest, whose trees see at most `MANY` rows each."""
    few = {"bootstrap": True, "max_samples": MANY} if len(rows) > MANY else {}
    forest.set_params(**FOREST, **few, n_jobs=-1).fit(rows, target)
    return forest.set_params(n_jobs=1)  # threads add up predictions in any order

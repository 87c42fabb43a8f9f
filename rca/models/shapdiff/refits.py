"""One model trained again and again, to see how far training alone moves its explanation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError
from rca.models.shapdiff.explain import explain
from rca.models.shapdiff.noise import units
from rca.progress import track
from rca.records import Attribution

__all__ = ["Refits", "Summary", "Train", "explained", "retrain", "sizes", "summary"]

MIN_REFITS = 4
MOST_ROWS = 1000  # of each window, whose contributions are kept of every refit

Train = Callable[[np.random.Generator], Any]
Refits = Train | Sequence[Any]


def retrain(
    model: Any,
    X: pd.DataFrame,  # noqa: N803  (the name that scikit-learn uses)
    y: Any,
    *,
    sample_weight: Any = None,
    groups: Any = None,
) -> Callable[[np.random.Generator], Any]:
    """Return a function that trains `model` again on a bootstrap sample of its training data.

    Parameters
    ----------
    model : object
        An estimator or pipeline with scikit-learn's interface. It is cloned, never changed; every ``random_state``
        among its parameters is drawn anew.
    X : DataFrame, shape (n_rows, n_features)
        The rows it was trained on.
    y : array_like, shape (n_rows,)
        Their labels.
    sample_weight : array_like, shape (n_rows,), optional
        Weights that its ``fit`` takes.
    groups : array_like, shape (n_rows,), optional
        Day, user or other unit whose rows belong together; whole units are drawn.

    Returns
    -------
    callable
        ``function(rng) -> fitted model``, for the argument ``refits`` of `compare`.

    Raises
    ------
    InputError
        If lengths differ.

    Notes
    -----
    A bootstrap sample holds 63 % of the distinct rows. In simulated boosting, forests and logistic regressions the
    variance of mean absolute SHAP over such models was 1.1 to 2 times that over models trained on fresh rows in
    features that matter little, and 0.8 to 1 times in those that matter most; `compare` allows for the latter. Where
    fresh rows are at hand, train on those instead.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> X = pd.DataFrame({"amount": [0.0, 1.0, 2.0, 3.0]})
    >>> train = retrain(LinearRegression(), X, [0.0, 1.0, 2.0, 4.0])
    >>> train(np.random.default_rng(0)).coef_.round(2).tolist() != train(np.random.default_rng(5)).coef_.tolist()
    True
    """
    from sklearn.base import clone

    labels = np.asarray(y)
    for name, given in (("y", labels), ("sample_weight", sample_weight), ("groups", groups)):
        if given is not None and len(given) != len(X):
            raise InputError(f"{name} has {len(given):,} values for {len(X):,} rows")
    unit, count = units(np.arange(len(X)) if groups is None else groups)
    members = np.split(np.argsort(unit, kind="stable"), np.cumsum(np.bincount(unit))[:-1])

    def train(rng: np.random.Generator) -> Any:
        rows = np.concatenate([members[one] for one in rng.integers(0, count, count)])
        fresh = clone(model)
        seeds = sorted(name for name in fresh.get_params() if name.rpartition("__")[2] == "random_state")
        fresh.set_params(**{name: int(rng.integers(2**31)) for name in seeds})
        extra = {} if sample_weight is None else {"sample_weight": np.asarray(sample_weight)[rows]}
        return fresh.fit(X.iloc[rows], labels[rows], **extra)

    return train


def sizes(attribution: Attribution) -> np.ndarray:
    """Return absolute contributions, rows x features; those to several classes are added up.

    Examples
    --------
    >>> values = pd.DataFrame({"a": [-1.0, 2.0]})
    >>> one = Attribution.from_frame(values, 0.0, output="margin", model_id="may", rows_id="holdout")
    >>> sizes(one).ravel().tolist()
    [1.0, 2.0]
    """
    values: np.ndarray = np.abs(np.asarray(attribution.values, dtype=float))
    return values if values.ndim == 2 else np.asarray(values.sum(axis=2))


@dataclass(frozen=True)
class Summary:
    """What is compared of one explained model, or of several along a first axis.

    Attributes
    ----------
    means : ndarray, shape (..., n_features)
        Mean absolute SHAP, the mean over the windows.
    contributions : ndarray, shape (..., n_values, n_features)
        Contributions of up to 1,000 rows of each window, to each class, scaled so that the squares of a feature add up
        to their mean over rows and windows.
    """

    means: np.ndarray
    contributions: np.ndarray


def summary(parts: Sequence[Attribution]) -> Summary:
    """Return what is compared of one model, explained on each window.

    Examples
    --------
    >>> values = pd.DataFrame({"a": [-1.0, 2.0]})
    >>> one = summary([Attribution.from_frame(values, 0.0, output="margin", model_id="may", rows_id="holdout")])
    >>> one.means.tolist(), (one.contributions**2).sum(axis=0).round(2).tolist()
    ([1.5], [2.5])
    """
    kept = []
    for part in parts:
        values = np.asarray(part.values, dtype=float)
        values = values[:: -(-len(values) // MOST_ROWS)]
        scale = np.sqrt(len(values) * len(parts))
        kept.append((values if values.ndim == 2 else np.vstack(list(np.moveaxis(values, 2, 0)))) / scale)
    return Summary(np.mean([sizes(part).mean(axis=0) for part in parts], axis=0), np.vstack(kept))


def explained(
    refits: Refits,
    like: Sequence[Attribution],
    rows: Sequence[pd.DataFrame] | None,
    *,
    background: pd.DataFrame | None,
    n_refits: int,
    rng: np.random.Generator,
    progress: bool,
) -> Summary | None:
    """Return what is compared of each refit, or None when there are no refits.

    Parameters
    ----------
    refits : callable or sequence
        Training function, models, or their attributions (a tuple of them for several windows).
    like : sequence of Attribution
        The model before, explained on each window.
    rows : sequence of DataFrame, optional
        The rows of each window.
    background : DataFrame, optional
        As for `explain`.
    n_refits : int
        How often to call a training function.
    rng : Generator
        What it is given.
    progress : bool
        Whether to draw a progress bar.

    Returns
    -------
    Summary or None
        Refits along the first axis.

    Raises
    ------
    InputError
        If there are fewer than four, rows are wanted, or a refit is explained otherwise than the model before.
    """
    count = n_refits if callable(refits) else len(refits)
    if count == 0 and not callable(refits):
        return None
    if count < MIN_REFITS:
        raise InputError(f"{count} refits were given; at least {MIN_REFITS} are wanted")
    found = []
    for number in track(range(count), "refits", progress=progress):
        refit = refits(rng) if callable(refits) else refits[number]
        parts = refit if isinstance(refit, tuple) else (refit,) if isinstance(refit, Attribution) else None
        if parts is None:
            if rows is None:
                raise InputError("the refits are not explained yet: give rows, on which before was explained")
            if like[0].output == "loss":
                raise InputError("refits of losses are wanted as attributions: explain each with its labels")
            output = "probability" if like[0].output == "probability" else "margin"
            parts = tuple(explain(refit, window, background=background, output=output) for window in rows)
        _check(parts, like, f"refits[{number}]")
        found.append(summary(parts))
    return Summary(np.array([one.means for one in found]), np.array([one.contributions for one in found]))


def _check(parts: Sequence[Any], like: Sequence[Attribution], name: str) -> None:
    if len(parts) != len(like) or not all(isinstance(part, Attribution) for part in parts):
        wanted = "one attribution" if len(like) == 1 else "a tuple of two attributions, on rows before and rows after,"
        raise InputError(f"{name} holds {len(parts)} items; {wanted} is wanted")
    for part, model in zip(parts, like, strict=True):
        if part.rows_id != model.rows_id or part.output != model.output:
            raise InputError(f"{name} is explained on other rows, or in another unit, than before")
        if part.background_id != model.background_id:
            raise InputError(f"{name} is explained against another background than before; give the same `background`")
        if part.classes != model.classes:
            raise InputError(f"{name} knows the classes {part.classes}, before {model.classes}; draw refits by class")
        if list(part.columns) != list(model.columns):
            raise InputError(f"{name} has other features than before")

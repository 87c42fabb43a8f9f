"""One model trained again and again, to see how far training alone moves its explanation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError, RcaError, shorten
from rca.models.shapdiff.blame import library_errors
from rca.models.shapdiff.explain import explain
from rca.models.shapdiff.noise import check_groups, units
from rca.models.shapdiff.rows import family
from rca.models.shapdiff.threads import few_threads
from rca.progress import track
from rca.records import Attribution

__all__ = ["Refits", "Summary", "Train", "check_refits", "each", "explained", "retrain", "sizes", "summary"]

MIN_REFITS = 4
TRIES = 100  # bootstrap samples until one has all classes
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
        Weights that its ``fit`` takes, in a pipeline that of the last step.
    groups : array_like, shape (n_rows,), optional
        Day, user or other unit whose rows belong together; whole units are drawn.

    Returns
    -------
    callable
        ``function(rng) -> fitted model``, for the argument ``refits`` of `compare`.

    Raises
    ------
    InputError
        If lengths differ, the model is none that can be cloned and fitted again, stops early by rows set aside for
        each fit, or takes no weights.

    Notes
    -----
    Samples that lack a class are drawn again.
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
    from sklearn.base import clone, is_classifier

    if not isinstance(X, pd.DataFrame):
        raise InputError(
            f"X is a {type(X).__name__}; a DataFrame is wanted, with the columns of the rows that are explained"
        )
    if not hasattr(model, "get_params") or not hasattr(model, "fit"):
        raise InputError(
            f"a {type(model).__name__} cannot be cloned and fitted again: give the estimator with scikit-learn's "
            "interface that it comes from, or write the function rng -> fitted model"
        )
    labels, weights = np.asarray(y), None if sample_weight is None else np.asarray(sample_weight)
    for name, given in (("y", labels), ("sample_weight", weights)):
        if given is not None and (given.ndim == 0 or len(given) != len(X)):
            raise InputError(f"{name} has {given.shape[0] if given.ndim else 'no'} values for {len(X):,} rows")
    weight_name = "" if weights is None else _weight_name(model)
    _check_rounds(model)
    groups = check_groups(groups, len(X))
    unit, count = units(np.arange(len(X)) if groups is None else groups)
    members = np.split(np.argsort(unit, kind="stable"), np.cumsum(np.bincount(unit))[:-1])

    kind, kinds = pd.factorize(labels) if is_classifier(model) else (np.zeros(len(X), dtype=int), np.zeros(1))

    def drawn(rng: np.random.Generator) -> np.ndarray:
        for _ in range(TRIES):
            rows = np.concatenate([members[one] for one in rng.integers(0, count, count)])
            if len(np.unique(kind[rows])) == len(kinds):
                return rows
        rare = kinds[np.bincount(kind).argmin()]
        raise InputError(f"{TRIES} bootstrap samples in a row lacked a class, such as {rare}: it has too few rows")

    def train(rng: np.random.Generator) -> Any:
        rows = drawn(rng)
        fresh = clone(model)
        seeds = sorted(name for name in fresh.get_params() if name.rpartition("__")[2] == "random_state")
        fresh.set_params(**{name: int(rng.integers(2**31)) for name in seeds})
        extra = {} if weights is None else {weight_name: weights[rows]}
        with few_threads(len(X)):
            return fresh.fit(X.iloc[rows], labels[rows], **extra)

    return train


def _last(model: Any) -> tuple[Any, str, str]:
    """Return the model at the end of pipelines and searches, and what goes before its names in fit and parameters."""
    last, in_fit, in_parameters = model, "", ""
    while hasattr(last, "steps") or hasattr(last, "best_estimator_"):
        if hasattr(last, "steps"):
            name, last = last.steps[-1]
            in_fit, in_parameters = f"{in_fit}{name}__", f"{in_parameters}{name}__"
        else:
            last, in_parameters = last.best_estimator_, f"{in_parameters}estimator__"
    return last, in_fit, in_parameters


def _weight_name(model: Any) -> str:
    """Return what the weights of the last step are called in the model's ``fit``."""
    last, prefix, _ = _last(model)
    taken = signature(last.fit).parameters.values() if hasattr(last, "fit") else ()
    if not any(one.name == "sample_weight" or one.kind is one.VAR_KEYWORD for one in taken):
        raise InputError(f"sample_weight was given, and the fit of the {type(last).__name__} takes none")
    return f"{prefix}sample_weight"


def _check_rounds(model: Any) -> None:
    """Raise if the number of rounds of a boosting hangs on rows that were set aside when it was fitted."""
    last, _, prefix = _last(model)
    if family(last) not in ("xgboost", "lightgbm", "catboost"):
        return
    given = last.get_params()
    names = () if family(last) == "catboost" else ("early_stopping_rounds", "early_stopping_round")
    early = [name for name in names if given.get(name)]  # catboost goes without where no rows are set aside
    if any(type(one).__name__ == "EarlyStopping" for one in given.get("callbacks") or ()):
        early.append("callbacks")
    kept, full = _rounds(last, given)
    if not early and kept == full:
        return
    found = ", ".join(f"{name}={shorten(given[name])}" for name in early) or f"stopped after {kept} of {full} rounds"
    count = next((name for name in ("iterations", "num_boost_round", "num_trees") if name in given), "n_estimators")
    change = ", ".join([*(f"{prefix}{name}=None" for name in early), f"{prefix}{count}={kept or '<its rounds>'}"])
    raise InputError(
        f"the {type(last).__name__} has {found}: early stopping needs rows set aside for each fit, and refits have "
        f"none; give sklearn.base.clone(model).set_params({change})"
    )


def _rounds(model: Any, given: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return how many rounds a boosting kept and how many were asked for; twice None where that is not known."""
    if family(model) == "catboost":
        return (model.tree_count_, model.get_all_params()["iterations"]) if model.is_fitted() else (None, None)
    best = getattr(model, "best_iteration", getattr(model, "best_iteration_", None))
    if family(model) == "xgboost":
        return (None, None) if best is None else (best + 1, given["n_estimators"])
    return (best, given["n_estimators"]) if best else (None, None)


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
        If there are fewer than four, rows are wanted, or a refit cannot be trained, or is explained otherwise than the
        model before.
    """
    found = [summary(parts) for parts in each(
        refits, like, rows, background=background, n_refits=n_refits, rng=rng, progress=progress
    )]  # fmt: skip
    if not found:
        return None
    return Summary(np.array([one.means for one in found]), np.array([one.contributions for one in found]))


def each(
    refits: Refits,
    like: Sequence[Attribution],
    rows: Sequence[pd.DataFrame] | None,
    *,
    background: pd.DataFrame | None,
    n_refits: int,
    rng: np.random.Generator,
    progress: bool,
) -> Iterator[tuple[Attribution, ...]]:
    """Yield the attributions of one refit after the other on each window, trained and explained where they are not.

    Parameters and errors are those of `explained`.
    """
    if callable(refits) and (not isinstance(n_refits, Integral) or isinstance(n_refits, bool)):
        raise InputError(f"n_refits is {n_refits!r}; a whole number of at least {MIN_REFITS} is wanted")
    count = int(n_refits) if callable(refits) else len(refits)
    if count == 0 and not callable(refits):
        return
    if count < MIN_REFITS:
        raise InputError(f"{count} refits were given; at least {MIN_REFITS} are wanted")
    for number in track(range(count), "refits", progress=progress):
        name = f"refit {number + 1} of {count}" if callable(refits) else f"refits[{number}]"
        refit = _trained(refits, rng, name) if callable(refits) else refits[number]
        if isinstance(refit, Attribution):
            refit = (refit,)
        parts = refit if isinstance(refit, tuple) else _explained(refit, like[0], rows, background, name)
        _check(parts, like, name)
        yield parts


def check_refits(refits: Any) -> Refits:
    """Return the refits, none for None, or raise if they are neither a function nor a sequence.

    Examples
    --------
    >>> check_refits(None)
    ()
    >>> check_refits(one for one in [1])
    Traceback (most recent call last):
    rca.errors.InputError: refits is a generator; wanted is a function rng -> fitted model, such as retrain makes, or
    a list of fitted models or of their attributions
    """
    if refits is None:
        return ()
    if not callable(refits) and (not isinstance(refits, (Sequence, np.ndarray)) or isinstance(refits, (str, bytes))):
        raise InputError(
            f"refits is a {type(refits).__name__}; wanted is a function rng -> fitted model, such as retrain makes, "
            "or a list of fitted models or of their attributions"
        )
    return refits if callable(refits) else tuple(refits)


def _trained(train: Train, rng: np.random.Generator, name: str) -> Any:
    """Return the model that a function trains; what goes wrong in it names the refit."""
    try:
        return train(rng)
    except RcaError as error:
        raise type(error)(f"{name}: {error}") from error
    except _training_errors() as error:
        raise InputError(f"{name} cannot be trained: {type(error).__name__}: {error}") from error


def _training_errors() -> tuple[type[Exception], ...]:
    """Return the errors of fitting, those of boosters included that derive from nothing else."""
    return (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, *library_errors())


def _explained(
    refit: Any, like: Attribution, rows: Sequence[pd.DataFrame] | None, background: pd.DataFrame | None, name: str
) -> tuple[Attribution, ...]:
    if rows is None:
        raise InputError("the refits are not explained yet: give rows, on which before was explained")
    if like.output == "loss":
        raise InputError("refits of losses are wanted as attributions: explain each with its labels")
    output = "probability" if like.output == "probability" else "margin"
    try:
        with few_threads(max(map(len, rows))):
            return tuple(explain(refit, window, background=background, output=output) for window in rows)
    except RcaError as error:
        raise type(error)(f"{name}: {error}") from error


def _check(parts: Sequence[Any], like: Sequence[Attribution], name: str) -> None:
    if len(parts) != len(like) or not all(isinstance(part, Attribution) for part in parts):
        wanted = "one attribution" if len(like) == 1 else "a tuple of two attributions, on rows before and rows after,"
        raise InputError(f"{name} holds {len(parts)} items; {wanted} is wanted")
    for part, model in zip(parts, like, strict=True):
        if part.rows_id != model.rows_id:
            raise InputError(f"{name} is explained on other rows than before")
        if part.output != model.output:
            raise InputError(f"{name} is explained as {part.output} and before as {model.output}; one unit is wanted")
        if part.background_id != model.background_id:
            raise InputError(f"{name} is explained against another background than before; give the same `background`")
        if part.classes != model.classes:
            raise InputError(f"{name} knows the classes {part.classes}, before {model.classes}; draw refits by class")
        if list(part.columns) != list(model.columns):
            raise InputError(f"{name} has other features than before")

"""SHAP values of one model on one set of rows, with the sum checked against the model's own output."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rca import modelfile
from rca.errors import InputError, NotAdditive
from rca.models.shapdiff.estimate import affine, permutation
from rca.models.shapdiff.rows import check_rows, family
from rca.models.shapdiff.trees import is_tree_model, tree_values
from rca.records import Attribution

__all__ = ["explain", "reference"]

SAMPLE = 100  # background rows for the permutation estimate when none are given


Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Output:
    """The function that is explained."""

    kind: str
    function: Function
    note: str


def explain(
    model: Any,
    X: pd.DataFrame,  # noqa: N803  (the name that scikit-learn and shap use)
    *,
    background: pd.DataFrame | None = None,
    progress: bool = False,
) -> Attribution:
    """Return how much each feature contributes to each prediction (SHAP values [1]_).

    Tree ensembles are explained by the shap library's TreeSHAP [2]_ (xgboost and lightgbm by their own), linear
    models and pipelines that scale into one exactly, everything else by an estimate from random orders of the
    features [3]_, with its error stated. The values plus the base value are compared with the model's own output on
    every row.

    Parameters
    ----------
    model : object
        A fitted scikit-learn regressor, binary classifier or pipeline, an xgboost model with scikit-learn's
        interface, or a lightgbm model.
    X : DataFrame, shape (n_rows, n_features)
        Numeric rows, with the columns and order the model was fitted on.
    background : DataFrame, optional
        Rows that stand for "feature unknown"; all of them are used. Without it, trees use what their own training
        rows left in their nodes (path-dependent), linear models the mean of `X`, others 100 rows of `X`.
    progress : bool, default False
        Whether to draw a progress bar.

    Returns
    -------
    Attribution
        Values in log-odds (``output="margin"``) for a classifier that has a decision function, as probability of the
        second class for one that has none (forests), in the unit of the target for a regression.

    Raises
    ------
    InputError
        If columns are missing, unknown or in another order, a value is infinite, or not a number where the model
        takes none, there are no rows, or the model is not fitted or has more than two classes.
    NotAdditive
        If contributions do not sum to the model's output. shap's TreeSHAP does so silently for
        HistGradientBoosting with categorical features, and with a `background` on rows that lie on a split.

    Notes
    -----
    Two attributions can be compared only with the same idea of "unknown": to compare one model on two windows give
    both the same `background`, or none with trees. Cost for trees grows with rows x trees x leaves x depth
    (3,000 rows of 15 features and 100 trees: gradient boosting of depth 3 0.2 s, histogram boosting 1.3 s, a forest
    of depth 8 4 s), otherwise with rows x background rows x features calls. A correlated feature may receive what
    another one caused: SHAP describes the model, not the world.

    References
    ----------
    .. [1] Lundberg, Lee, "A unified approach to interpreting model predictions", NeurIPS 2017.
    .. [2] Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
       Nature Machine Intelligence 2, 2020.
    .. [3] Strumbelj, Kononenko, "Explaining prediction models and individual predictions with feature contributions",
       Knowledge and Information Systems 41, 2014.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> X = pd.DataFrame({"amount": [0.0, 1.0, 2.0], "age": [1.0, 0.0, 2.0]})
    >>> model = LinearRegression().fit(X, 3 * X["amount"] - X["age"])
    >>> explain(model, X).values["amount"].round(6).tolist()
    [-3.0, 0.0, 3.0]
    """
    table = check_rows(model, X, "X")
    back = None if background is None else check_rows(model, background, "background").to_numpy(dtype=float)
    output = _output(model, table)
    rows = table.to_numpy(dtype=float)
    try:
        own = output.function(rows)
    except ValueError as error:
        raise InputError(f"the {type(model).__name__} cannot predict these rows: {error}") from error
    if is_tree_model(model):
        values, base, how = tree_values(model, rows, back, progress=progress)
    else:
        values, base, how = _called(model, output, rows, back, progress=progress)
    largest = _check_sum(model, table.index, base + values.sum(axis=1), own)
    return Attribution(
        values=pd.DataFrame(values, index=table.index, columns=table.columns),
        base_value=base,
        output=output.kind,
        model_id=modelfile.fingerprint(model),
        rows_id=_rows_id(table),
        additivity_error=largest,
        notes=(output.note, how),
    )


def reference(model: Any, rows: pd.DataFrame) -> pd.DataFrame | None:
    """Return the ``background`` under which two explanations by `explain` can be compared.

    Parameters
    ----------
    model : object
        As for `explain`.
    rows : DataFrame
        Healthy rows.

    Returns
    -------
    DataFrame or None
        None for tree models, which carry what is usual in their nodes; else at most 100 rows, evenly spaced.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> X = pd.DataFrame({"amount": range(1000)})
    >>> len(reference(LinearRegression().fit(X, X["amount"]), X))
    100
    """
    if is_tree_model(model):
        return None
    return rows.iloc[np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).round().astype(int)]


def _called(
    model: Any, output: _Output, rows: np.ndarray, background: np.ndarray | None, *, progress: bool
) -> tuple[np.ndarray, float, str]:
    """Return values, base value and a sentence on them, of a model that is only called."""
    known = rows if background is None else background
    last = model[-1] if hasattr(model, "steps") else model
    exact = affine(output.function, rows, known) if hasattr(last, "coef_") else None
    if exact:
        return *exact, f"Exact values of a linear model against the mean of {len(known):,} background rows."
    if background is None and len(rows) > SAMPLE:
        known = rows[np.sort(np.random.default_rng(0).choice(len(rows), SAMPLE, replace=False))]
    values, base, error = permutation(output.function, rows, known, progress=progress)
    how = (
        f"Estimated from {len(known):,} background rows, each with one random order of the features and its reverse: "
        f"standard error of one contribution {np.median(error):.2g} (median), {error.max():.2g} (largest)."
    )
    return values, base, how


def _check_sum(model: Any, index: pd.Index, total: np.ndarray, own: np.ndarray) -> float:
    """Return the largest difference between the sums and the model's output, or raise when it is too large."""
    error = np.abs(total - own)
    tolerance = (1e-4 if family(model) == "xgboost" else 1e-6) * max(1.0, float(np.abs(own).max()))
    bad = np.flatnonzero(~(error <= tolerance))
    if len(bad):
        shown = ", ".join(repr(index[row]) for row in bad[:5]) + (" …" if len(bad) > 5 else "")
        worst = int(np.nanargmax(np.where(np.isnan(error), np.inf, error)))
        raise NotAdditive(
            f"{type(model).__name__}: contributions do not sum to the model's output in {len(bad):,} of "
            f"{len(own):,} rows: {shown}; worst is row {index[worst]!r}, where they sum to {total[worst]:.6g} and the "
            f"model gives {own[worst]:.6g} (tolerance {tolerance:.1g}). Nothing is returned. A known "
            "cause: shap's TreeSHAP does not follow categorical splits, and rounds when a background is given."
        )
    return float(error.max())


def _rows_id(table: pd.DataFrame) -> str:
    digest = hashlib.sha256("\x00".join(map(str, table.columns)).encode())
    digest.update(np.ascontiguousarray(table.to_numpy(dtype=float)).tobytes())
    return digest.hexdigest()


def _output(model: Any, frame: pd.DataFrame) -> _Output:
    """Return the function of the model whose parts are the contributions."""
    name = type(model).__name__

    def table(rows: np.ndarray) -> Any:
        return pd.DataFrame(rows, columns=frame.columns) if hasattr(model, "feature_names_in_") else rows

    if family(model) == "xgboost":
        return _boosted(model, lambda rows: model.predict(table(rows), output_margin=True), frame)
    if family(model) == "lightgbm":
        return _boosted(model, lambda rows: model.predict(table(rows), raw_score=True), frame)
    from sklearn.base import is_classifier, is_regressor

    if is_classifier(model):
        classes = list(model.classes_)
        if len(classes) != 2:
            raise InputError(f"the {name} has {len(classes)} classes; only two can be explained")
        if hasattr(model, "decision_function"):
            unit = f"Values are in the unit of the {name}'s decision function (log-odds), towards class {classes[1]}."
            return _Output("margin", lambda rows: np.ravel(model.decision_function(table(rows))), unit)
        if hasattr(model, "predict_proba"):
            unit = f"The {name} has no margin: values are parts of the probability of class {classes[1]}."
            return _Output("probability", lambda rows: np.asarray(model.predict_proba(table(rows)))[:, 1], unit)
        raise InputError(f"the {name} gives classes only, neither a margin nor a probability")
    if not is_regressor(model):
        raise InputError(f"the {name} is neither a classifier nor a regression")
    if np.ndim(model.predict(table(frame.to_numpy()[:1]))) != 1:
        raise InputError(f"the {name} predicts several targets; only one can be explained")
    if getattr(model, "loss", None) in ("poisson", "gamma") and is_tree_model(model):
        unit = "Values are parts of the logarithm of the prediction."
        return _Output("margin", lambda rows: np.log(model.predict(table(rows))), unit)
    unit = "Values are in the unit of the target."
    return _Output("prediction", lambda rows: np.asarray(model.predict(table(rows)), dtype=float), unit)


def _boosted(model: Any, raw: Function, frame: pd.DataFrame) -> _Output:
    margin = np.asarray(raw(frame.to_numpy()))
    if margin.ndim != 1:
        raise InputError(f"the {type(model).__name__} has {margin.shape[1]} outputs; only one can be explained")
    final = model.predict_proba if hasattr(model, "predict_proba") else model.predict
    if np.array_equal(margin, np.asarray(final(frame))):
        return _Output("prediction", raw, "Values are in the unit of the target.")
    return _Output("margin", raw, f"Values are in the unit of the {type(model).__name__}'s raw score (log-odds).")

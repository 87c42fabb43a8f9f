"""SHAP values of one model on one set of rows, with the sum checked against the model's own output."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from rca import modelfile
from rca.errors import InputError, NotAdditive, RcaError, did_you_mean
from rca.models.shapdiff.blame import library_errors, refused
from rca.models.shapdiff.called import SAMPLE, by_calls
from rca.models.shapdiff.exact import Found, Task, by_catboost, by_leaves, by_slopes
from rca.models.shapdiff.objective import check_objective
from rca.models.shapdiff.rows import check_rows, family, last_step
from rca.models.shapdiff.scores import margin
from rca.models.shapdiff.unwrap import Inner, MixedColumns, feed, unwrap
from rca.records import Attribution

__all__ = ["explain", "reference"]

OUTPUTS = ("margin", "probability", "loss")
ROUNDING = 1e-9  # of a row's largest sum of absolute values; xgboost computes in single precision
ROUNDING_SINGLE = 1e-5
PATH = "path-dependent"


def explain(
    model: Any,
    X: pd.DataFrame,  # noqa: N803  (the name that scikit-learn and shap use)
    *,
    background: pd.DataFrame | None = None,
    output: str = "margin",
    y: Any = None,
    progress: bool = False,
) -> Attribution:
    """Return how much each feature contributes to each prediction (SHAP values [1]_).

    Tree models of scikit-learn, xgboost and lightgbm are explained exactly from their leaves [2]_, linear models
    exactly, catboost by itself, everything else by its predictions alone: exactly from all sets of features where they
    are few, else by an estimate from random orders of the features [3]_ with its standard error. Pipelines are
    unwrapped: contributions of the columns that the model inside sees are summed up by the raw column that they come
    from. The values plus the base value are compared with the model's own output on every row.

    Parameters
    ----------
    model : object
        A fitted model: scikit-learn's interface, or a Booster of xgboost or lightgbm.
    X : DataFrame, shape (n_rows, n_features)
        Rows, with the columns and order the model was fitted on: numbers; categories for models that take them; any
        kind for pipelines.
    background : DataFrame, optional
        Rows that stand for "feature unknown"; all of them are used. Without it, trees use what their own training
        rows left in their nodes (path-dependent), linear models the mean of `X`, others 100 rows of `X`.
    output : {"margin", "probability", "loss"}, default "margin"
        ``"margin"``: the sum before the model's link, such as log-odds; the prediction itself for models that have no
        link, so the probability for forests. ``"probability"``: of the second of two classes, or of each of several;
        the prediction for a regression. ``"loss"``: log loss of a classifier, squared error of a regression. Trees
        with a link need a background for the second, all models for the third.
    y : Series or array-like, shape (n_rows,), optional
        True labels or target, for ``output="loss"`` only.
    progress : bool, default False
        Whether to draw a progress bar.

    Returns
    -------
    Attribution
        Of two classes towards the second; for more with one value a class.

    Raises
    ------
    UnknownName
        If columns are missing or unknown, or a category was not seen in training.
    InputError
        If columns are in another order, a value is infinite, or missing where the model takes none, there are no
        rows, the model is not fitted or has several targets, a label is not one of its classes, the output needs a
        background, there is one row and no background for a model without trees, or a probability or loss is wanted
        of a booster whose objective leads to none. Where the model itself refuses rows, the message names them.
    NotAdditive
        If contributions do not sum to the model's output; the message names the rows.

    Notes
    -----
    Two attributions can be compared only with the same idea of "unknown": to compare one model on two windows give
    both the same `background`, or none with trees; `compare` refuses others.

    Probability and loss of trees are distributed, against each background row, in proportion to the contributions to
    the margin, as shap does; of other models by the definition of Shapley values. In a pipeline the columns that the
    inner model sees are the players; that is the same for linear models, and a refinement for others.
    Where a step makes columns from several raw ones (PCA, products), raw columns are switched in front of the whole
    pipeline instead, by its predictions, and the notes name the step.

    Cost: trees in proportion to rows plus background. By predictions: all sets of features for rows x background rows
    x 2 ** features of them up to 30,000 a row (8 features and 100 background rows), of linear models' and catboost's
    probabilities and losses up to 130,000 (10 features); else rows x background rows x features x 4, where `error` says
    what is left to chance, and mean absolute values of features that matter little are too large by about that much.
    Log loss is cut where a model (a forest of pure leaves, a tree, neighbours) gives the true class the probability 0:
    that counts as 2.2e-16, a loss of 36.04, as in scikit-learn's ``log_loss`` and in `split_loss`; the notes say in how
    many rows. Log loss of boosting comes from its margin and is not cut. A model that is not scikit-learn's and tells
    neither names nor number of columns is given the DataFrame.

    A correlated feature may receive what another one caused: SHAP describes the model, not the world.

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
    >>> explain(model, X).to_frame()["amount"].round(6).tolist()
    [-3.0, 0.0, 3.0]
    """
    if output not in OUTPUTS:
        raise InputError(f"output is {output!r}{did_you_mean(str(output), OUTPUTS)}")
    if (y is not None) != (output == "loss"):
        raise InputError("output='loss' needs y" if y is None else f"y is for output='loss', not for {output!r}")
    table = check_rows(model, X, "X")
    back = None if background is None else check_rows(model, background, "background")
    if output == "loss" and back is None:
        raise InputError("output='loss' needs a background: rows that stand for 'feature not known'")
    try:
        found, note = _found(model, table, back, output, y, progress)
    except RcaError:
        raise
    except _kinds() as error:
        _raise_refused(model, {"X": table, "background": back}, error)
        raise
    total = found.base + found.values.sum(axis=1)
    largest = _check_sum(model, table.index, total, found, family(last_step(model)) == "xgboost")
    several = found.values.shape[2] > 1
    base = found.base[:, 0] if output == "loss" else found.base
    own = found.method.endswith(PATH)
    return Attribution(
        values=found.values if several else found.values[:, :, 0],
        base_values=base if several or output == "loss" else base[0],
        index=table.index,
        columns=table.columns,
        output=found.output,
        method=found.method,
        model_id=modelfile.fingerprint(model),
        rows_id=_rows_id(table, y),
        additivity_error=largest,
        classes=found.classes if several else (),
        error=found.error if several or found.error is None else found.error[:, :, 0],
        notes=(_unit(model, found), found.how, *(text for text in (note, found.cut) if text)),
        tokens=found.tokens,
        background_id=PATH if own else _rows_id(table if back is None else back),
        column_ids=_column_ids(table, y),
        background_ids=() if own else _column_ids(table if back is None else back),
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
    from rca.models.shapdiff.leaves import read

    try:
        inner = unwrap(model, check_rows(model, rows, "rows"))
        if family(inner.model) == "catboost" or read(inner.model, len(inner.owner)) is not None:
            return None
    except MixedColumns:
        pass
    return rows.iloc[np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).round().astype(int)]


def _found(
    model: Any, table: pd.DataFrame, back: pd.DataFrame | None, output: str, y: Any, progress: bool
) -> tuple[Found, str]:
    """Return the contributions by the way that fits the model, and why by its predictions if that is not its kind."""
    from rca.models.shapdiff.leaves import read

    check_objective(model, output)
    _check_one_target(model, table)
    try:
        inner = unwrap(model, table)
    except MixedColumns as error:
        whole = Inner(model, lambda rows: feed(model, rows), np.arange(table.shape[1]), ())
        found = by_calls(Task(model, whole, table, back, output, y, progress))
        return found, f"Its predictions alone were used because {error}."
    task = Task(model, inner, table, back, output, y, progress)
    note = ""
    try:
        leaves = read(inner.model, len(inner.owner))
    except InputError as error:
        leaves, note = None, f"Its predictions alone were used because {error}."
    if leaves is not None:
        return by_leaves(task, leaves), ""
    return by_slopes(task) or by_catboost(task) or by_calls(task), note


def _check_one_target(model: Any, table: pd.DataFrame) -> None:
    """Raise if a classifier answers with several labels a row; lightgbm has none that does."""
    if not hasattr(model, "classes_") or family(last_step(model)) == "lightgbm":
        return
    shape = np.shape(model.predict(feed(model, table.head(1))))
    if len(shape) > 1 and shape[1] > 1:
        raise InputError(f"the {type(model).__name__} was fitted on several targets; only one can be explained")


def _kinds() -> tuple[type[Exception], ...]:
    """Return what models raise on rows that they do not take."""
    return (AttributeError, LookupError, TypeError, ValueError, pd.errors.InvalidIndexError, *library_errors())


def _raise_refused(model: Any, tables: dict[str, pd.DataFrame | None], error: Exception) -> None:
    """Raise InputError if the model itself refuses the rows, naming row and column where one is to blame."""

    def ask(rows: pd.DataFrame) -> Any:
        return margin(model, feed(model, rows))

    for name, table in tables.items():
        found = "" if table is None else refused(ask, table, _kinds())
        if found:
            raise InputError(f"{name}: the {type(model).__name__} cannot predict these rows: {found}") from error


def _check_sum(model: Any, index: pd.Index, total: np.ndarray, found: Found, single: bool) -> float:
    """Return the largest difference between the sums and the model's output, or raise when it is too large."""
    own = found.own
    error = np.abs(total - own).max(axis=1)
    scale = float((np.abs(found.base) + np.abs(found.values).sum(axis=1)).max())
    tolerance = (ROUNDING_SINGLE if single else ROUNDING) * max(scale, float(np.abs(own).max())) + found.single
    bad = np.flatnonzero(~(error <= tolerance))
    if len(bad):
        shown = ", ".join(repr(index[row]) for row in bad[:5]) + (" …" if len(bad) > 5 else "")
        worst = int(np.nanargmax(np.where(np.isnan(error), np.inf, error)))
        place = int(np.argmax(np.abs(total - own)[worst]))
        raise NotAdditive(
            f"{type(model).__name__}: contributions do not sum to the model's output in {len(bad):,} of "
            f"{len(own):,} rows: {shown}; worst is row {index[worst]!r}, where they sum to {total[worst, place]:.6g} "
            f"and the model gives {own[worst, place]:.6g} (tolerance {tolerance:.1g}). Nothing is returned."
        )
    return float(error.max())


def _rows_id(table: pd.DataFrame, labels: Any = None) -> str:
    digest = hashlib.sha256("\x00".join(map(str, table.columns)).encode())
    columns = [table.iloc[:, place] for place in range(table.shape[1])]
    for column in columns if labels is None else [*columns, pd.Series(np.asarray(labels))]:
        if pd.api.types.is_numeric_dtype(column.dtype):
            values = np.asarray(column.to_numpy(dtype="float64", na_value=np.nan))
        else:
            values = pd.util.hash_array(np.asarray(column.astype(object).where(column.notna(), None), dtype=object))
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _column_ids(table: pd.DataFrame, labels: Any = None) -> tuple[str, ...]:
    return tuple(_rows_id(table.iloc[:, [place]], labels) for place in range(table.shape[1]))


def _unit(model: Any, found: Found) -> str:
    """Return a sentence on the unit of the values."""
    name, classes = type(model).__name__, found.classes
    towards = f", towards class {classes[1]}" if len(classes) == 2 else ", one for each class" if classes else ""
    if found.output == "loss":
        return f"Values are parts of the {'log loss' if classes else 'squared error'} of each row."
    if found.output == "prediction":
        return "Values are in the unit of the target."
    if found.output == "probability":
        return f"Values are parts of the probability that the {name} gives{towards}."
    return f"Values are in the unit of the {name}'s margin (its sum before the link, such as log-odds){towards}."

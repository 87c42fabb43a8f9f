"""Contributions that are computed exactly: of trees, linear functions and catboost, summed up by raw column."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError, UnknownName
from rca.models.shapdiff import scores
from rca.models.shapdiff.estimate import affine
from rca.models.shapdiff.leaves import Leaves, codes
from rca.models.shapdiff.objective import as_read, is_linear_booster, weights
from rca.models.shapdiff.rows import check_codes, family
from rca.models.shapdiff.unwrap import Inner

__all__ = ["Found", "Task", "by_catboost", "by_leaves", "by_slopes", "check_alone"]

ROOM = 25_000_000  # values of inner columns at a time, 200 MB
THREADS = 8


@dataclass(frozen=True)
class Task:
    """What is to be explained.

    Attributes
    ----------
    model : object
        The model as it was given.
    inner : Inner
        The model inside, and the raw column of each of its columns.
    table, background : DataFrame, or None for no background
        Raw rows.
    output : str
        As for `rca.models.shapdiff.explain`.
    y : object
        True labels, for ``output="loss"``.
    progress : bool
        Whether to show a progress bar.
    """

    model: Any
    inner: Inner
    table: pd.DataFrame
    background: pd.DataFrame | None
    output: str
    y: Any
    progress: bool


@dataclass(frozen=True)
class Found:
    """Contributions by raw column.

    Attributes
    ----------
    values : ndarray, shape (n_rows, n_features, n_outputs)
    base : ndarray, shape (n_outputs,), or (n_rows, 1) for losses
    own : ndarray, shape (n_rows, n_outputs)
        The model's own output.
    output, method : str
        As in `rca.records.Attribution`.
    how : str
        A sentence on it.
    classes : tuple
        Classes of the model.
    single : float
        Rounding of the own output by a model that computes in single precision, as far as its margin's size does not
        tell; 0 for others.
    error : ndarray or None
        Standard errors.
    tokens : DataFrame or None
        Of text columns.
    cut : str
        A sentence on rows whose log loss was cut, or nothing.
    """

    values: np.ndarray
    base: np.ndarray
    own: np.ndarray
    output: str
    method: str
    how: str
    classes: tuple[Any, ...]
    single: float = 0.0
    error: np.ndarray | None = None
    tokens: pd.DataFrame | None = None
    cut: str = ""


def by_leaves(task: Task, leaves: Leaves) -> Found:
    """Return contributions in a model of trees.

    Parameters
    ----------
    task : Task
        What is to be explained.
    leaves : Leaves
        Of the inner model.

    Raises
    ------
    InputError
        If the output needs a background and there is none, or the model has no such output.
    """
    from rca.models.shapdiff.kernel import expected

    model, inner = task.inner.model, task.inner
    classes = scores.classes_of(model, leaves.link, len(leaves.base))
    _check_wanted(task, leaves, classes)
    given, rows = _coded(task, task.table, "X")
    margins = scores.margin(model, given)
    truth = scores.label_codes(task.y, task.table.index, classes) if task.output == "loss" else None
    own, output = _own(task, leaves, given, margins, truth, classes)
    against = None if task.background is None else _coded(task, task.background, "background")
    others = None if against is None else scores.margin(model, against[0])
    bases: list[np.ndarray] = []

    def part(some: slice) -> np.ndarray:
        label = None if truth is None else truth[some]
        known = None if against is None or others is None else (against[1], others)
        values, base = _tree_part(task, leaves, rows[some], margins[some], known, label, bool(classes))
        bases.append(expected(leaves) if base is None else base)
        return values

    values, tokens = _summed(inner, task.table.shape[1], len(rows), len(leaves.base), part, task, classes)
    base = np.concatenate(bases)[:, None] if task.output == "loss" else bases[0]
    if len(classes) == 2 and values.shape[2] == 2:  # two classes by softmax
        less = output == "margin"
        values, base = values[..., 1:] - less * values[..., :1], base[1:] - less * base[:1]
        own = own[:, 1:] - own[:, :1] if less else own
    single = 0.0
    if family(model) == "xgboost":
        single = 1e-6 * float(np.abs(margins).max())
        if task.output == "loss" and truth is not None and not classes:
            single *= 1 + 2 * float(np.sqrt(own).max())
    how = "Path-dependent: what is usual is taken from the rows that trained each node."
    if task.background is not None:
        how = f"Interventional, against all {len(task.background):,} background rows."
    method = f"tree, {'path-dependent' if task.background is None else 'interventional'}"
    cut = ""
    if truth is not None and classes and leaves.link == "identity" and others is not None:
        cut = scores.cut_losses(margins, others, truth)
    return Found(values, base, own, output, method, how, tuple(classes), single, tokens=tokens, cut=cut)


def check_alone(task: Task) -> None:
    """Raise if rows that are their own background are all the same, so that nothing could contribute."""
    if task.background is None and len(task.table.drop_duplicates()) == 1:
        many = "one row" if len(task.table) == 1 else f"{len(task.table):,} equal rows"
        raise InputError(
            f"X has {many} and would be its own background, so that every contribution would be 0; "
            "give background: rows that stand for 'feature not known'"
        )


def by_slopes(task: Task) -> Found | None:
    """Return contributions in a linear model, or None if it is not linear on these rows."""
    model = task.inner.model
    if not (hasattr(model, "coef_") or is_linear_booster(model)) or task.output == "loss":
        return None
    classes = scores.classes_of(model)
    output = "margin" if scores.has_margin(model) else "probability" if classes else "prediction"
    if output != "prediction" and task.output != output:
        return None
    check_alone(task)
    given = task.inner.transform(task.table)
    rows = _dense(model, given)
    known = rows if task.background is None else _dense(model, task.inner.transform(task.background))
    if rows.dtype == object or known.dtype == object:
        return None
    own = scores.margin(model, given)
    if is_linear_booster(model):
        slope = weights(model)
        rows, known = as_read(model, rows), as_read(model, known)
        # Differences of its own output say what it starts from, of whatever objective.
        centre, start = known.mean(axis=0), (own - rows @ slope).mean(axis=0)
        base = start + centre @ slope
    else:
        plane = affine(_function(model, given), rows, known)
        if plane is None:
            return None
        slope, centre, base = plane
    values, tokens = _summed(
        task.inner, task.table.shape[1], len(rows), len(base),
        lambda some: (rows[some] - centre)[:, :, None] * slope, task, classes,
    )  # fmt: skip
    how = f"Exact values of a linear model against the mean of {len(known):,} background rows."
    return Found(values, base, own, output, "linear", how, tuple(classes), tokens=tokens)


def _function(model: Any, given: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return the margin of rows that are given as an array."""
    names = getattr(given, "columns", None)
    return lambda table: scores.margin(model, table if names is None else pd.DataFrame(table, columns=names))


def by_catboost(task: Task) -> Found | None:
    """Return catboost's own path-dependent contributions, or None if the model is of another kind or more is wanted."""
    model = task.inner.model
    if family(model) != "catboost" or task.output != "margin" or task.background is not None:
        return None
    import catboost

    given = task.inner.transform(task.table)
    own = scores.margin(model, given)
    classes = scores.classes_of(model, outputs=own.shape[1])
    pool = catboost.Pool(given, cat_features=model.get_cat_feature_indices())
    parts = np.asarray(model.get_feature_importance(pool, type="ShapValues"), dtype=float)
    parts = parts[:, :, None] if parts.ndim == 2 else parts.transpose(0, 2, 1)
    values, tokens = _summed(
        task.inner, task.table.shape[1], len(parts), parts.shape[2], lambda some: parts[some, :-1], task, classes
    )
    output = "margin" if scores.has_margin(model) else "prediction"
    how = f"Path-dependent values of catboost {catboost.__version__} itself."
    return Found(values, parts[0, -1], own, output, "catboost, path-dependent", how, tuple(classes), tokens=tokens)


def _check_wanted(task: Task, leaves: Leaves, classes: list[Any]) -> None:
    """Raise if the leaves cannot give the output."""
    name = type(task.inner.model).__name__
    needs = task.output == "loss" or (task.output == "probability" and leaves.link != "identity")
    if needs and task.background is None:
        raise InputError(
            f"output={task.output!r} of a {name} needs a background: rows that stand for 'feature not known'. Without "
            "one only output='margin' can be explained"
        )
    known = ("identity", "logit", "softmax", "exponential") if classes else ("identity", "log")
    several = leaves.link == "logit" and len(leaves.base) > 1
    if task.output == "loss" and (leaves.link not in known or several):
        how = "one class against all others" if several else f"link {leaves.link!r}"
        raise InputError(f"the loss of this {name} ({how}) cannot be explained; output='margin' is wanted")


def _own(
    task: Task, leaves: Leaves, given: Any, margins: np.ndarray, truth: np.ndarray | None, classes: list[Any]
) -> tuple[np.ndarray, str]:
    """Return the model's own output, and what it is called."""
    model = task.inner.model
    if truth is not None:
        if classes:
            return scores.loss_of_margin(leaves.link, margins, truth)[:, None], "loss"
        return (scores.prediction(model, given) - truth[:, None]) ** 2, "loss"
    if task.output == "probability":
        return scores.prediction(model, given), "probability" if classes else "prediction"
    if leaves.link != "identity":
        return margins, "margin"
    if not classes:
        return margins, "prediction"
    return margins, "margin" if scores.has_margin(model) else "probability"


def _tree_part(
    task: Task, leaves: Leaves, rows: np.ndarray, margins: np.ndarray, known: tuple[np.ndarray, np.ndarray] | None,
    truth: np.ndarray | None, classes: bool,
) -> tuple[np.ndarray, np.ndarray | None]:  # fmt: skip
    """Return values and base value of some rows by the kernel; base None stands for the leaves' own."""
    from rca.models.shapdiff import kernel, links

    options: dict[str, Any] = {"threads": min(os.cpu_count() or 1, THREADS), "progress": task.progress}
    if known is None:
        return kernel.attribute(leaves, rows, **options), None
    background, others = known
    if truth is not None:
        return links.loss(leaves, rows, background, margins, others, truth, classes=classes, **options)
    if task.output == "probability":
        return links.probability(leaves, rows, background, margins, others, **options)
    return kernel.attribute(leaves, rows, background=background, **options), others.mean(axis=0)


def _coded(task: Task, table: pd.DataFrame, name: str) -> tuple[Any, np.ndarray]:
    """Return rows as the inner model takes them, and as its leaves test them."""
    model = task.inner.model
    given = task.inner.transform(table)
    try:
        rows = codes(model, given if isinstance(given, pd.DataFrame) else _table(model, _dense(model, given)))
    except UnknownName as error:
        raise UnknownName(f"{name}: {error}") from None
    if model is task.model and isinstance(given, pd.DataFrame):
        own = getattr(model, "is_categorical_", None)
        kinds = np.array([isinstance(kind, pd.CategoricalDtype) for kind in given.dtypes])
        check_codes(rows, given, kinds if own is None else own, name)
    return given, rows


def _table(model: Any, rows: np.ndarray) -> Any:
    """Return an array as a table for the libraries whose readers want one."""
    return pd.DataFrame(rows) if family(model) in ("xgboost", "lightgbm") else rows


def _dense(model: Any, given: Any) -> np.ndarray:
    """Return rows as an array; what a sparse matrix leaves out is missing for xgboost, and zero for others."""
    if not hasattr(given, "tocoo"):
        return np.asarray(given)
    if family(model) != "xgboost":
        return np.asarray(given.toarray())
    table, full = given.tocoo(), np.full(given.shape, np.nan)
    full[table.row, table.col] = table.data
    return full


def _summed(
    inner: Inner, width: int, count: int, outputs: int, part: Callable[[slice], np.ndarray], task: Task,
    classes: list[Any],
) -> tuple[np.ndarray, pd.DataFrame | None]:  # fmt: skip
    """Return the values summed up by raw column, and the mean absolute ones of tokens."""
    if inner.model is task.model:
        return part(slice(0, count)), None
    step = max(1, ROOM // max(1, len(inner.owner) * outputs))
    places = [np.flatnonzero(inner.owner == column) for column in range(width)]
    sums, absolute = [], 0.0
    for start in range(0, count, step):
        values = part(slice(start, min(count, start + step)))
        sums.append(np.stack([values[:, place].sum(axis=1) for place in places], axis=1))
        absolute = absolute + np.abs(values).sum(axis=0)
    return np.concatenate(sums), _tokens(inner, task.table.columns, np.asarray(absolute) / count, classes)


def _tokens(inner: Inner, columns: pd.Index, mean: np.ndarray, classes: list[Any]) -> pd.DataFrame | None:
    """Return the table of tokens, or None where no column is text; `mean` has the shape (n_inner, n_outputs)."""
    places = [place for place, token in enumerate(inner.tokens) if token is not None]
    if not places:
        return None
    several = len(classes) == mean.shape[1] > 2
    rows = [
        (columns[inner.owner[place]], inner.tokens[place], *([classes[k]] if several else []), mean[place, k])
        for place in places
        for k in range(mean.shape[1])
    ]
    names = ["feature", "token", *(["class"] if several else []), "mean_abs_shap"]
    table = pd.DataFrame(rows, columns=names)
    return table.sort_values(["mean_abs_shap", "token"], ascending=[False, True], kind="stable", ignore_index=True)

"""Three views of which feature is behind a change, side by side."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError
from rca.models.shapdiff.explain import explain as _explain
from rca.models.shapdiff.gain import residual_gain
from rca.models.shapdiff.scoring import check_same_columns, check_window
from rca.records import Attribution

__all__ = ["MEASURES", "suspects"]

MEASURES = ("shap", "loss", "gain")
BACKGROUND = 100  # rows of the window before, when no background is given

explain: Callable[..., Attribution] = _explain


def suspects(
    model: Any,
    X_before: pd.DataFrame,  # noqa: N803  (the names of scikit-learn)
    y_before: Any,
    X_after: pd.DataFrame,  # noqa: N803
    y_after: Any,
    *,
    background: pd.DataFrame | None = None,
    alpha: float = 0.05,
    rng: int | np.random.Generator = 0,
    progress: bool = False,
) -> pd.DataFrame:
    """Compare, for one model on two windows, three measures of each feature.

    - ``shap``: mean absolute SHAP value. Moves when the model uses the feature more or less: values that moved, froze
      or went missing. Blind to labels: it flags harmless drift, and misses a relation to the label that changed.
    - ``loss``: mean loss-SHAP, what the feature adds to the loss of the predictions [1]_. Moves when the feature began
      to mislead. Blames the feature that carries the error, not always the one that caused it; a feature the model
      does not use has none.
    - ``gain``: loss that a small correction with this feature saves on top of the score
      (`rca.models.shapdiff.gain.residual_gain`). Moves when the feature tells something that the model does not know:
      a new relation, a wrong sign or unit. Blind to a feature that no longer carries information: frozen, empty, noise.

    No single one finds every cause: read them together.

    Parameters
    ----------
    model : object
        Fitted model, as for `rca.shapdiff.explain`.
    X_before, y_before : DataFrame, array_like
        Rows of the window before, which `model` was not trained on, and their labels.
    X_after, y_after : DataFrame, array_like
        The same for the window after, with the same columns in the same order.
    background : DataFrame, optional
        Rows that stand for "feature unknown"; default 100 rows drawn from `X_before`.
    alpha : float, default 0.05
        Intervals cover ``1 - alpha`` each; share of false discoveries in ``found_by``.
    rng : int or Generator, default 0
        Draws the background and the folds.
    progress : bool, default False
        Whether to draw progress bars.

    Returns
    -------
    DataFrame, shape (n_features, 20)
        Indexed by ``feature``; those found by a measure first, then by ``best_rank``, sum of ranks and name. For each
        measure M of ``shap``, ``loss`` and ``gain``: ``M_before``, ``M_after``, ``M_change``, ``M_low``, ``M_high``
        (interval of the change) and ``M_rank`` (``shap`` by absolute change, ``loss`` and ``gain`` by increase; ties
        share the worst; 0 where there is no value). Then ``best_rank`` (the smallest of the three) and ``found_by``
        (tuple of measures whose change, for ``loss`` and ``gain`` an increase, is beyond noise).

    Raises
    ------
    UnknownName
        If a column is in one window only.
    InputError
        If rows and labels do not fit, or the model cannot be explained on them.

    Notes
    -----
    ``shap`` is in the unit of the model's output, ``loss`` and ``gain`` in that of its loss: compare ranks, not values.
    Intervals are normal, over rows taken as independent; rows of one day or user make them too narrow, and
    ``found_by`` too generous. ``found_by`` keeps the false discovery rate [2]_ over all features and measures together.
    Gains are NaN where a window has fewer than two classes with ten rows.
    Correlated features share blame, and any of them may get it. Cost: four calls of `explain`, and six linear fits a
    feature.

    References
    ----------
    .. [1] Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
       Nature Machine Intelligence 2, 2020.
    .. [2] Benjamini, Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57, 1995.

    Examples
    --------
    The relation of one feature to the label turns round.

    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> def window(sign):
    ...     X = pd.DataFrame(rng.normal(size=(500, 2)), columns=["amount", "age"])
    ...     return X, (X["amount"] + sign * X["age"] + rng.normal(0, 0.5, 500) > 0).astype(int)
    >>> model = LogisticRegression().fit(*window(1))
    >>> table = suspects(model, *window(1), *window(-1))
    >>> table.index[0], table.loc["age", "found_by"]
    ('age', ('loss', 'gain'))
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}; a share between 0 and 1 is wanted")
    windows = (
        (X_before, check_window(X_before, y_before, "before")),
        (X_after, check_window(X_after, y_after, "after")),
    )
    check_same_columns(X_before, X_after)
    if min(len(X_before), len(X_after)) < 2:
        raise InputError("at least two rows are needed in each window")
    source = np.random.default_rng(rng)
    if background is None:
        chosen = source.choice(len(X_before), min(BACKGROUND, len(X_before)), replace=False)
        background = X_before.iloc[np.sort(chosen)]
    sides: dict[str, list[tuple[pd.Series, pd.Series]]] = {measure: [] for measure in MEASURES}
    for X, y in windows:  # noqa: N806
        plain = explain(model, X, background=background, progress=progress).to_frame().abs()
        costs = explain(model, X, background=background, output="loss", y=y, progress=progress).to_frame()
        sides["shap"].append((plain.mean(), plain.sem()))
        sides["loss"].append((costs.mean(), costs.sem()))
        sides["gain"].append(residual_gain(model, X, y, rng=source))
    return _table(sides, pd.Index(X_before.columns, name="feature"), alpha)


def _table(sides: dict[str, list[tuple[pd.Series, pd.Series]]], names: pd.Index, alpha: float) -> pd.DataFrame:
    """Return the columns of all measures, the features found first."""
    from scipy import stats

    many = NormalDist().inv_cdf(1 - alpha / 2)
    table = pd.DataFrame(index=names)
    chances = pd.DataFrame(index=names)
    for measure, ((one, error_one), (two, error_two)) in sides.items():
        change = (two - one).reindex(names)
        error = np.hypot(error_one, error_two).reindex(names)
        table[f"{measure}_before"], table[f"{measure}_after"] = one.reindex(names), two.reindex(names)
        table[f"{measure}_change"] = change
        table[f"{measure}_low"], table[f"{measure}_high"] = change - many * error, change + many * error
        height = change.abs() if measure == "shap" else change
        table[f"{measure}_rank"] = height.rank(ascending=False, method="max").fillna(0).astype(int)
        # Without any spread a difference is certain, and no difference is no difference.
        sure = np.where(change == 0, 0.0, np.inf)
        distance = np.where(error > 0, change / error.where(error > 0, 1.0), np.sign(change) * sure)
        chances[measure] = np.where(change.isna() | (change == 0), 1.0, 2 * stats.norm.sf(np.abs(distance)))
        if measure != "shap":
            chances.loc[~(change > 0), measure] = 1.0
    adjusted = stats.false_discovery_control(chances.to_numpy().ravel()).reshape(chances.shape)
    ranks = table[[f"{measure}_rank" for measure in MEASURES]]
    table["best_rank"] = ranks.where(ranks > 0).min(axis=1).fillna(0).astype(int)
    table["found_by"] = [
        tuple(measure for measure, found in zip(MEASURES, row, strict=True) if found) for row in adjusted <= alpha
    ]
    best, total = table["best_rank"].to_numpy(), ranks.sum(axis=1).to_numpy()
    order = sorted(
        range(len(table)), key=lambda at: (not table["found_by"].iloc[at], best[at], total[at], str(names[at]))
    )
    return table.iloc[order]

"""Three views of which feature is behind a change, side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError
from rca.models.shapdiff.explain import explain as _explain
from rca.models.shapdiff.gain import Saved, residual_gain
from rca.models.shapdiff.noise import row_noise
from rca.models.shapdiff.refits import sizes
from rca.models.shapdiff.scoring import check_same_columns, check_window
from rca.records import Attribution

__all__ = ["MEASURES", "suspects"]

MEASURES = ("shap", "loss", "gain")
BACKGROUND = 100  # rows of the window before, when no background is given
CERTAIN = 0.95  # one-sided, that a gain after is one at all

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
      to mislead. Blames the features that carry the error, not only the one that caused it; a feature the model does
      not use has none.
    - ``gain``: loss that a small correction with this feature, learned after, saves on top of the score, on rows it
      never saw (`rca.models.shapdiff.gain.residual_gain`); before, the same correction. Moves when the feature tells
      something that the model does not know and did not need to before: above all a new or another relation. Blind to
      a feature that no longer carries information: frozen, empty, noise.

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
        Chance that anything at all is in ``found_by`` when nothing changed.
    rng : int or Generator, default 0
        Draws the background, the halves of the rows after, and the assignments of rows to windows.
    progress : bool, default False
        Whether to draw progress bars.

    Returns
    -------
    DataFrame, shape (n_features, 20)
        Indexed by ``feature``; those found by a measure first, then by ``best_rank``, by the largest change in units
        of its interval, and by name. For each measure M of ``shap``, ``loss`` and ``gain``: ``M_before``, ``M_after``,
        ``M_change``, ``M_low``, ``M_high`` (95 % interval of the change, each on its own) and ``M_rank`` (``shap`` by
        absolute change, ``loss`` by increase, ``gain`` by increase over what the correction saved before, where that
        was more than nothing; ties share the worst; 0 where there is no value). Then ``best_rank`` (the smallest rank
        in a measure that found the feature; in any, where none did) and ``found_by`` (tuple of measures whose change,
        for ``loss`` and ``gain`` an increase, is beyond noise).

    Raises
    ------
    UnknownName
        If a column is in one window only.
    InputError
        If rows and labels do not fit, or the model cannot be explained on them.

    Notes
    -----
    ``shap`` is in the unit of the model's output, ``loss`` and ``gain`` in that of its loss: compare ranks, not values.
    Each measure is judged by assigning rows to the windows anew, over all features together
    (`rca.models.shapdiff.noise.row_noise`: studentized permutation, step-down [2]_); ``gain`` once for each half of
    the rows after, and only where it is above nothing after, too. Its p-values are doubled for the two halves, and all
    are multiplied by the three measures (Bonferroni), so that ``alpha`` holds for the whole table.
    Rows are taken as independent; rows of one day or user make intervals too narrow, and ``found_by`` too generous.
    Gains are NaN where fewer than two classes have ten rows in both windows.
    Measured on simulated worlds with independent features and windows of 300 to 3,000 rows
    (``tests/bench/suspects.py``): when nothing changed, anything was found in .020 of 250 runs (95 % interval .007 to
    .046). Of 40 runs of each of seven faults, the feature hit was found by ``shap``, ``loss`` and ``gain`` in .50, .69
    and .46, by any in .92, and stood first in .95: ``shap`` misses permuted values and relations that changed, ``loss``
    a new relation of a feature that the model does not use, ``gain`` gaps filled with a constant and most frozen
    values. In half of the runs (.48) a feature that was not hit was found as well: a fault in one feature changes
    what others add to the loss. Found is not guilty; the order says whom to ask first.
    Correlated features share blame, and any of them may get it. Cost: four calls of `explain`, four linear fits a
    feature, and 8,000 sums over all rows.

    References
    ----------
    .. [1] Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
       Nature Machine Intelligence 2, 2020.
    .. [2] Westfall, Young, "Resampling-based multiple testing", Wiley, 1993.

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
    plain, costs = [], []
    for X, y in windows:  # noqa: N806
        plain.append(sizes(explain(model, X, background=background, progress=progress)))
        costs.append(explain(model, X, background=background, output="loss", y=y, progress=progress).values)
    halves = residual_gain(model, *windows, rng=source)
    measured = {
        "shap": _judged(plain[0], plain[1], source),
        "loss": _only_rise(_judged(costs[0], costs[1], source)),
        "gain": _both_halves([_gained(half, source) for half in halves], X_before.shape[1]),
    }
    return _table(measured, pd.Index(X_before.columns, name="feature"), alpha)


@dataclass(frozen=True)
class _Measured:
    """One measure of every feature: its mean before and after, the interval of the change, and p-values."""

    before: np.ndarray
    after: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray  # adjusted for all features

    @property
    def rises(self) -> np.ndarray:
        return np.asarray(self.after > self.before)


def _judged(before: np.ndarray, after: np.ndarray, rng: np.random.Generator) -> _Measured:
    noise = row_noise(before, after, None, rng)
    return _Measured(before.mean(axis=0), after.mean(axis=0), noise.low, noise.high, noise.p_adjusted)


def _only_rise(one: _Measured) -> _Measured:
    return replace(one, chance=np.where(one.rises, one.chance, 1.0))


def _gained(half: Saved, rng: np.random.Generator) -> _Measured:
    """Return the gain as one half of the rows after shows it; it counts where it is above zero after, too."""
    one = _judged(half.before, half.after, rng)
    error = half.after.std(axis=0, ddof=1) / np.sqrt(len(half.after))
    helps = one.after > NormalDist().inv_cdf(CERTAIN) * error
    return replace(one, chance=np.where(one.rises & helps, one.chance, 1.0))


def _both_halves(halves: list[_Measured], width: int) -> _Measured:
    """Return the mean of both halves, with the smaller p-value of the two (Bonferroni)."""
    if not halves:
        unknown = np.full(width, np.nan)
        return _Measured(unknown, unknown, unknown, unknown, np.ones(width))
    before, after, low, high = (
        np.mean([getattr(half, name) for half in halves], axis=0) for name in ("before", "after", "low", "high")
    )
    chance = np.min([half.chance for half in halves], axis=0) * len(halves)
    return _Measured(before, after, low, high, np.minimum(chance, 1.0))


def _table(measured: dict[str, _Measured], names: pd.Index, alpha: float) -> pd.DataFrame:
    """Return the columns of all measures, the features found first."""
    table, sure = pd.DataFrame(index=names), np.zeros(len(names))
    for measure, one in measured.items():
        change = one.after - one.before
        table[f"{measure}_before"], table[f"{measure}_after"], table[f"{measure}_change"] = (
            one.before,
            one.after,
            change,
        )
        table[f"{measure}_low"], table[f"{measure}_high"] = one.low, one.high
        # A correction that would have done harm before is not the better for it.
        height = {"shap": np.abs(change), "loss": change, "gain": one.after - np.maximum(one.before, 0)}[measure]
        table[f"{measure}_rank"] = pd.Series(height, names).rank(ascending=False, method="max").fillna(0).astype(int)
        reach = one.high - one.low
        sure = np.fmax(sure, np.where(reach > 0, height / np.where(reach > 0, reach, 1.0), 0.0))
    found = np.column_stack([measured[measure].chance * len(MEASURES) <= alpha for measure in MEASURES])
    ranks = table[[f"{measure}_rank" for measure in MEASURES]]
    counted = ranks.where((ranks > 0) & (found | ~found.any(axis=1, keepdims=True)))
    table["best_rank"] = counted.min(axis=1).fillna(0).astype(int)
    table["found_by"] = [tuple(measure for measure, yes in zip(MEASURES, row, strict=True) if yes) for row in found]
    best = table["best_rank"].to_numpy()
    order = sorted(range(len(table)), key=lambda at: (not found[at].any(), best[at], -sure[at], str(names[at])))
    return table.iloc[order]

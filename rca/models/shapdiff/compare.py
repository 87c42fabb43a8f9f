"""Two attributions side by side: which features count for more or less than before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rca.errors import InputError
from rca.records import Attribution

__all__ = ["compare"]

MIN_REFITS = 4


def compare(
    before: Attribution, after: Attribution, *, alpha: float = 0.05, refits: Sequence[Attribution] = ()
) -> pd.DataFrame:
    """Compare mean absolute SHAP values feature by feature.

    Either the model or the rows are the same in both. *One model on two windows*: the noise is in the rows, and Welch's
    test [1]_ judges each feature. *Two models on the same rows*: rows are paired, but training is noisy too. A model
    retrained on a fresh sample of the same data differs in nearly every feature by such a test, so none is
    given unless `refits` show how far training alone moves each feature.

    Parameters
    ----------
    before, after : Attribution
        Results of `explain`, in the same unit and with the same features.
    alpha : float, default 0.05
        Share of false discoveries among flagged features; the intervals cover ``1 - alpha`` each.
    refits : sequence of Attribution, optional
        The model before, fitted again at least four times on bootstrap samples of its training data, each explained on
        the same rows. Only for two models.

    Returns
    -------
    DataFrame, shape (n_features, 11)
        Indexed by ``feature``, largest absolute difference first, ties by name. Columns: ``rank`` (ties share the
        worst), ``before``, ``after`` (mean absolute SHAP), ``difference``, ``low``, ``high`` (its interval),
        ``share_before``, ``share_after`` (of all features), ``p_adjusted`` (Benjamini-Hochberg [2]_; NaN when
        training noise was not measured), ``flagged`` (boolean, NA likewise), ``noise_source`` (``"rows"``,
        ``"rows and training"`` or ``"training noise not measured"``; in the last case the interval covers the choice
        of rows only).

    Raises
    ------
    InputError
        If both model and rows differ, or units, features, backgrounds or refits do not fit.

    Notes
    -----
    With `refits` the difference of two independent trainings has twice their variance, and its t distribution one
    degree of freedom less than there are refits. Rows of one day or user are not independent, which makes intervals
    too narrow.
    A difference says where the model changed, not that it changed for the worse.

    References
    ----------
    .. [1] Welch, "The generalization of 'Student's' problem when several different population variances are
       involved", Biometrika 34, 1947.
    .. [2] Benjamini, Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57, 1995.

    Examples
    --------
    >>> values = pd.DataFrame({"amount": [1.0, -2.0, 3.0], "age": [0.5, 0.5, -0.5]})
    >>> parts = np.array(0.0), values.index, values.columns, "margin", "linear"
    >>> before = Attribution(values.to_numpy(), *parts, "model 1", "rows", 0.0)
    >>> after = Attribution(values.to_numpy() * [2, 1], *parts, "model 2", "rows", 0.0)
    >>> compare(before, after)[["before", "after", "difference", "noise_source"]]
             before  after  difference                 noise_source
    feature
    amount      2.0    4.0         2.0  training noise not measured
    age         0.5    0.5         0.0  training noise not measured
    """
    from scipy import stats

    _check(before, after, alpha, refits)
    one, two = (attribution.to_frame().abs().to_numpy(dtype=float) for attribution in (before, after))
    difference = two.mean(axis=0) - one.mean(axis=0)
    paired = before.rows_id == after.rows_id
    variance, freedom = _paired(two - one) if paired else _welch(one, two)
    source = "rows"
    if refits:
        means = np.array([refit.to_frame().abs().to_numpy(dtype=float).mean(axis=0) for refit in refits])
        variance, freedom = variance + 2 * means.var(axis=0, ddof=1), np.full(len(difference), len(refits) - 1.0)
        source = "rows and training"
    elif before.model_id != after.model_id:
        source = "training noise not measured"
    error = np.sqrt(variance)
    reach = stats.t.ppf(1 - alpha / 2, freedom) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        # Without any spread a difference is certain, and no difference is no difference.
        p_value = np.where(difference == 0, 1.0, 2 * stats.t.sf(np.abs(difference) / error, freedom))
    known = source != "training noise not measured"
    adjusted = stats.false_discovery_control(p_value) if known else np.full(len(difference), np.nan)
    flagged = pd.array(adjusted <= alpha if known else [pd.NA] * len(difference), dtype="boolean")
    table = pd.DataFrame(
        {
            "before": one.mean(axis=0),
            "after": two.mean(axis=0),
            "difference": difference,
            "low": difference - reach,
            "high": difference + reach,
            "share_before": _share(one.mean(axis=0)),
            "share_after": _share(two.mean(axis=0)),
            "p_adjusted": adjusted,
            "flagged": flagged,
            "noise_source": source,
        },
        index=pd.Index(before.columns, name="feature"),
    )
    table.insert(0, "rank", table["difference"].abs().rank(ascending=False, method="max").astype(int))
    order = sorted(range(len(table)), key=lambda place: (-abs(difference[place]), str(table.index[place])))
    return table.iloc[order]


def _check(before: Attribution, after: Attribution, alpha: float, refits: Sequence[Attribution]) -> None:
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}; a share between 0 and 1 is wanted")
    one, two = list(before.columns), list(after.columns)
    if one != two:
        odd = [str(name) for name in (*one, *two) if (name in one) != (name in two)]
        raise InputError(f"before and after have different features: {', '.join(odd) or 'another order'}")
    if before.output != after.output:
        raise InputError(f"before is explained as {before.output} and after as {after.output}; one unit is wanted")
    same_model, same_rows = before.model_id == after.model_id, before.rows_id == after.rows_id
    if not same_model and not same_rows:
        raise InputError(
            "both the model and the rows differ, so no difference can be laid to either: hold one fixed "
            "(both models on one holdout, or one model on both windows)"
        )
    if same_model and not np.isclose(before.base_value, after.base_value, rtol=1e-6, atol=1e-9):
        raise InputError(
            "one model was explained against two backgrounds; give both calls of explain the same background"
        )
    if min(len(before.index), len(after.index)) < 2:
        raise InputError("at least two rows are needed on each side")
    if refits and (same_model or len(refits) < MIN_REFITS):
        wanted = "only for two models" if same_model else f"at least {MIN_REFITS}"
        raise InputError(f"{len(refits)} refits were given; they are wanted {wanted}")
    for number, refit in enumerate(refits):
        if refit.rows_id != before.rows_id or refit.output != before.output:
            raise InputError(f"refits[{number}] is explained on other rows, or in another unit, than before")


def _paired(change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance of the mean change and its degrees of freedom, per feature."""
    count, width = change.shape
    return change.var(axis=0, ddof=1) / count, np.full(width, count - 1.0)


def _welch(one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance of the difference of means and its degrees of freedom, per feature."""
    first, second = one.var(axis=0, ddof=1) / len(one), two.var(axis=0, ddof=1) / len(two)
    below = first**2 / (len(one) - 1) + second**2 / (len(two) - 1)
    flat = below == 0
    return first + second, np.where(flat, 1.0, (first + second) ** 2 / np.where(flat, 1.0, below))


def _share(means: np.ndarray) -> np.ndarray:
    total = means.sum()
    return means / total if total > 0 else np.full(len(means), np.nan)

"""Why the loss changed: another model, other rows, or another relation between rows and labels."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError
from rca.models.shapdiff.crossfit import CAP, density_ratio, design, folds, regression
from rca.models.shapdiff.scoring import Loss, check_same_columns, check_window, predictions, row_losses

__all__ = ["split_loss"]

FOLDS = 5
FEWER_FOLDS = (2, 2)  # split again, so that ratio and regression learn from half of the rows
FEWEST = 50  # rows of a window
FEWEST_EFFECTIVE = 30
MOST_OUTSIDE = 0.05
NAN = float("nan")


def split_loss(
    model: Any,
    X_before: pd.DataFrame,  # noqa: N803  (the names of scikit-learn)
    y_before: Any,
    X_after: pd.DataFrame,  # noqa: N803
    y_after: Any,
    *,
    model_after: Any = None,
    loss: Loss | None = None,
    min_overlap: float = 0.05,
    alpha: float = 0.05,
    rng: int | np.random.Generator = 0,
) -> pd.DataFrame:
    r"""Split a change in mean loss into a covariate, a concept and a model part.

    With P and Q the windows before and after, f and g the models before and after, the mean loss goes in three steps:

    - *covariate*: :math:`E_{Q_X}[r(x)] - E_P[\ell_f]`, where :math:`r(x) = E_P[\ell_f \mid x]`: the rows of after with
      the labels that before would have given them;
    - *concept*: :math:`E_Q[\ell_f] - E_{Q_X}[r(x)]`: the same rows with their own labels;
    - *model*: :math:`E_Q[\ell_g] - E_Q[\ell_f]`: the other model on the same rows after.

    The middle term is estimated twice over: losses before are weighted by the density ratio of the rows, which a
    classifier learns that tells the windows apart [3]_, and what a regression of the loss on the row foresees is
    corrected by these weights. The result is right when either is, and both are fitted on other rows than they are
    used on (five folds), so that its error is known without a bootstrap [4]_. How far it moves when both learn from
    half of the rows only (two random splits in two) is added to that error (the dispersion over splits of [4]_,
    definition 3.3): it shows where the rows do not suffice to learn either. The same split by weights alone is
    described in [1]_, over a causal graph in [2]_.

    Parameters
    ----------
    model : object
        Fitted model with scikit-learn's interface, as it stood before.
    X_before, y_before : DataFrame, array_like
        Rows of the window before, which `model` was not trained on, and their labels.
    X_after, y_after : DataFrame, array_like
        The same for the window after, with the same columns in the same order.
    model_after : object, optional
        The model in use after, when it is another one.
    loss : callable, optional
        ``(y, predictions) -> one loss a row``, with probabilities (n_rows, n_classes) of a classifier. Default: log
        loss for a classifier, squared error for a regression.
    min_overlap : float, default 0.05
        Smallest effective share of the rows before, below which covariate and concept are not told apart.
    alpha : float, default 0.05
        Intervals cover ``1 - alpha`` each.
    rng : int or Generator, default 0
        Draws the folds.

    Returns
    -------
    DataFrame, shape (7, 9)
        Indexed by ``part``, in the order of a waterfall: ``before``, ``covariate``, ``concept``, ``data`` (the two
        together), ``model``, ``after``, ``change`` (all three). Columns: ``kind`` (``"level"``, ``"part"`` or
        ``"sum"``), ``value``, ``low``, ``high`` (in units of the loss), ``identified``, ``rows`` (before and after
        together, that it rests on), ``ess`` (effective number of rows before; NaN where no weights are used),
        ``overlap`` (``ess`` as a share of the rows before) and ``note`` (why a part is NaN).

    Raises
    ------
    UnknownName
        If a column is in one window only.
    InputError
        If rows, labels or options do not fit.

    Notes
    -----
    *Not identified* (NaN, with the reason): a window of fewer than 50 rows, an effective number of rows [5]_
    below 30 or below `min_overlap` of the rows before, or more than 5 % of the rows after where they are at least 50
    times as dense as before. The effective number is the smaller of Kish's and of its equal computed from the rows
    after. Ratios are cut at 50. What is left of the change, and the model part, stand all the same.
    Covariate and concept are relative to the columns given. A cause in a column that is not there shows as concept; so
    does a feature that the pipeline fills wrongly and that is right in neither column. Text columns count with their
    30 most frequent values. Labels that arrive late and are wrong until then show as concept too.
    The model part is measured on the rows after; on the rows before it can be another one.
    Intervals take rows as independent: rows of one user or day make them too narrow.
    Measured over 200 runs with 1,000 + 1,000 rows in three columns (``tests/bench/loss_split.py``), 95 % intervals of
    each part covered the truth in .93 or more in three Gaussian worlds, in one of which the rows before are worth a
    sixth of their number. Where neither weights nor regression can follow the wavy rule by which rows were picked,
    they did in .915 for the covariate part (95 % interval .867 to .950), which comes out a fifth too small, and in
    .945 and .950 for the others.
    Cost: eighteen fits of boosted trees, of extremely randomised trees [6]_ and of a linear model each, to the rows of
    both windows; a tree of a forest sees 20,000 rows at most. The forest is little smoothed on purpose: a rough ratio
    or regression costs spread, which the interval knows, a smooth one bias, which it does not [7]_.

    References
    ----------
    .. [1] Cai, Namkoong, Yadlowsky, "Diagnosing model performance under distribution shift", 2023, arXiv:2303.02011.
    .. [2] Zhang, Singh, Ghassemi, Joshi, "'Why did the model fail?': attributing model performance changes to
       distribution shifts", ICML 2023.
    .. [3] Bickel, Brückner, Scheffer, "Discriminative learning under covariate shift", JMLR 10, 2009.
    .. [4] Chernozhukov et al., "Double/debiased machine learning for treatment and structural parameters", The
       Econometrics Journal 21, 2018.
    .. [5] Kish, "Survey sampling", Wiley 1965.
    .. [6] Geurts, Ernst, Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006.
    .. [7] Newey, Robins, "Cross-fitting and fast remainder rates for semiparametric estimation", 2018,
       arXiv:1801.09138.

    Examples
    --------
    Rows move to where the model is bad; nothing else changes.

    >>> from sklearn.linear_model import LinearRegression
    >>> rng = np.random.default_rng(0)
    >>> def window(middle):
    ...     X = pd.DataFrame({"amount": rng.normal(middle, 1, 400)})
    ...     return X, X["amount"] ** 2 + rng.normal(0, 0.1, 400)
    >>> model = LinearRegression().fit(*window(0.0))
    >>> parts = split_loss(model, *window(0.0), *window(0.7))
    >>> bool(parts.loc["covariate", "low"] > 0), bool(parts.loc["concept", "low"] > 0)
    (True, False)
    """
    if not 0 < alpha < 1 or not 0 < min_overlap < 1:
        raise InputError(f"alpha is {alpha} and min_overlap {min_overlap}; shares between 0 and 1 are wanted")
    labels_before, labels_after = check_window(X_before, y_before, "before"), check_window(X_after, y_after, "after")
    check_same_columns(X_before, X_after)
    if model_after is not None and loss is None and hasattr(model, "classes_") != hasattr(model_after, "classes_"):
        raise InputError(
            f"model is a {type(model).__name__} and model_after a {type(model_after).__name__}: log loss and squared "
            "error have no difference; two classifiers or two regressions are wanted, or loss="
        )
    one = row_losses(model, X_before, labels_before, loss)
    two = row_losses(model, X_after, labels_after, loss)
    three = two if model_after is None else row_losses(model_after, X_after, labels_after, loss)
    same = X_before.equals(X_after) and np.array_equal(labels_before, labels_after)
    many = NormalDist().inv_cdf(1 - alpha / 2)
    nobody = np.zeros(0)
    table = {
        "before": _row("level", many, one, nobody),
        "data": _row("sum", many, nobody, two - one) if same else _row("sum", many, -one, two),
        "model": _row("part", many, nobody, three - two),
        "after": _row("level", many, nobody, three),
        "change": _row("sum", many, nobody, three - one) if same else _row("sum", many, -one, three),
    }
    if same:
        nothing = _row("part", many, nobody, two - one) | {"note": "the same rows in both windows"}
        table |= {"covariate": nothing, "concept": nothing}
    else:
        score = [np.atleast_2d(predictions(model, X).T).T for X in (X_before, X_after)]
        table |= _parts(one, two, design(X_before, X_after), score, many, min_overlap, np.random.default_rng(rng))
    order = ["before", "covariate", "concept", "data", "model", "after", "change"]
    frame = pd.DataFrame([table[part] for part in order], index=pd.Index(order, name="part"))
    frame["identified"] = frame["value"].notna()
    frame["overlap"] = frame["ess"] / len(one)
    return frame[["kind", "value", "low", "high", "identified", "rows", "ess", "overlap", "note"]]


def _parts(
    one: np.ndarray,
    two: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray],
    score: list[np.ndarray],
    many: float,
    min_overlap: float,
    rng: np.random.Generator,
) -> dict[str, dict[str, Any]]:
    """Return the covariate and the concept part."""
    if min(len(one), len(two)) < FEWEST:
        why = f"not identified: windows of {len(one):,} and {len(two):,} rows, at least {FEWEST} each are wanted"
        return {part: _unknown(why, NAN, len(one) + len(two)) for part in ("covariate", "concept")}
    near, far = (np.hstack(pair) for pair in zip(rows, score, strict=True))
    drawn: list[tuple[np.ndarray, np.ndarray, float]] = []
    for number in (FOLDS, *FEWER_FOLDS):
        seed = int(rng.integers(2**31))
        fold_one, fold_two = folds(len(one), number, rng), folds(len(two), number, rng)
        ratio = density_ratio(*rows, fold_one, fold_two, seed)
        why = "" if drawn else _too_little(ratio.ess, ratio.outside, len(one), min_overlap)
        if why:
            return {part: _unknown(why, ratio.ess, len(one) + len(two)) for part in ("covariate", "concept")}
        expected_one, expected_two = regression(near, one, fold_one, far, fold_two, seed)
        # Weights have the mean 1 by force, so that a regression off by a constant does no harm.
        drawn.append((ratio.before / ratio.before.mean() * (one - expected_one), expected_two, ratio.ess))
    corrected, expected, ess = drawn[0]
    values = np.array([weighted.mean() + foreseen.mean() for weighted, foreseen, _ in drawn])
    splits = float(((values[1:] - values[0]) ** 2).mean())
    return {
        "covariate": _row("part", many, corrected - one, expected, ess, splits),
        "concept": _row("part", many, -corrected, two - expected, ess, splits),
    }


def _too_little(ess: float, outside: float, rows: int, min_overlap: float) -> str:
    """Return why the windows overlap too little, or nothing."""
    least = max(FEWEST_EFFECTIVE, min_overlap * rows)
    if ess < least:
        return (
            f"not identified: the windows overlap too little: {rows:,} rows before are worth {ess:.0f} for the rows "
            f"after, at least {least:.0f} are wanted"
        )
    if outside > MOST_OUTSIDE:
        return (
            f"not identified: {outside:.0%} of the rows after have hardly any like before (ratio above {CAP:.0f}), "
            f"at most {MOST_OUTSIDE:.0%} are allowed"
        )
    return ""


def _row(
    kind: str, many: float, before: np.ndarray, after: np.ndarray, ess: float = NAN, splits: float = 0.0
) -> dict[str, Any]:
    """Return the sum of two means, of independent rows, with its interval; `splits` is added to its variance."""
    parts = [part for part in (before, after) if len(part)]
    value = sum(float(part.mean()) for part in parts)
    reach = many * np.sqrt(sum(part.var(ddof=1) / len(part) if len(part) > 1 else NAN for part in parts) + splits)
    count = sum(map(len, parts))
    return {
        "kind": kind,
        "value": value,
        "low": value - reach,
        "high": value + reach,
        "rows": count,
        "ess": ess,
        "note": "",
    }


def _unknown(why: str, ess: float, rows: int) -> dict[str, Any]:
    return {"kind": "part", "value": NAN, "low": NAN, "high": NAN, "rows": rows, "ess": ess, "note": why}

"""Which columns moved between two windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, raise_all

__all__ = ["compare"]

RARE = 5  # expected count below which the chi-square law is not trusted
SHOWN = 10


def compare(
    before: pd.DataFrame, after: pd.DataFrame, *, features: Sequence[str] | None = None, alpha: float = 0.05
) -> pd.DataFrame:
    """Compare the distribution of each column in two windows.

    Numeric columns by the Kolmogorov-Smirnov test, others by the chi-square test of homogeneity; where values are
    missing, the share of missing values by Fisher's exact test as well. P-values are adjusted over all columns [1]_.

    Parameters
    ----------
    before, after : DataFrame
        Rows of the healthy and of the incident window.
    features : sequence of str, optional
        Columns to compare; all of them when not given (then both tables have the same ones).
    alpha : float, default 0.05
        Share of false discoveries among flagged columns.

    Returns
    -------
    DataFrame, shape (n_columns, 11)
        Indexed by ``feature``, largest effect first, ties by name. Columns:
        ``kind`` (``"numeric"``, or ``"categorical"`` for text, categories and booleans),
        ``statistic`` (Kolmogorov-Smirnov distance; chi-square),
        ``effect`` (numeric: Wasserstein distance in standard deviations of the window before; categorical: total
        variation distance, the share of rows that would have to change their value),
        ``p_value`` (the smaller of the two tests doubled, where missing values are tested too), ``p_adjusted``,
        ``flagged``, ``missing_before``, ``missing_after`` (shares), ``new_values`` (tuple of at most ten, most
        frequent first), ``outside`` (share of rows after with a value beyond the range, or outside the values, of
        before) and ``note``.

    Raises
    ------
    UnknownName
        If a column is in one table only, or in neither.
    InputError
        If a window has no rows, a value is infinite, a column is a time, or is numeric in one window only.

    Notes
    -----
    Drift is what moved, not what hurt: a moved column need not matter to the model, and a cause need not move a
    column. The tests take rows as independent; rows of one day are not, so that quiet weeks are flagged too often,
    the more so the more rows there are: look at the effect first. The two kinds of effect are not on one
    scale. Ties make the Kolmogorov-Smirnov test cautious. Categories with an expected count below five are pooled for
    the test. A constant column before is measured in standard deviations of both windows together.
    Cost O(n log n) a column.

    References
    ----------
    .. [1] Benjamini, Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57, 1995.

    Examples
    --------
    >>> before = pd.DataFrame({"amount": range(100), "country": ["DE", "FR"] * 50})
    >>> after = pd.DataFrame({"amount": range(50, 150), "country": ["DE", "US"] * 50})
    >>> compare(before, after)[["kind", "effect", "flagged", "new_values"]].round(2)
                    kind  effect  flagged new_values
    feature
    amount       numeric    1.73     True         ()
    country  categorical    0.50     True      (US,)
    """
    from scipy import stats

    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}; a share between 0 and 1 is wanted")
    columns = _columns(before, after, features)
    kinds = {name: _kind(before[name], after[name]) for name in columns}
    _check_finite(before, after, [name for name, kind in kinds.items() if kind == "numeric"])
    rows = []
    for name, kind in kinds.items():
        one, two = before[name], after[name]
        row: dict[str, Any] = {
            "kind": kind,
            "missing_before": float(one.isna().mean()),
            "missing_after": float(two.isna().mean()),
        }
        row |= (_numeric if kind == "numeric" else _categorical)(one.dropna(), two.dropna())
        rows.append(row | {"p_value": _with_missing(row["p_value"], one, two)})
    table = pd.DataFrame(rows, index=pd.Index(columns, name="feature"))
    table["p_adjusted"] = stats.false_discovery_control(table["p_value"])
    table["flagged"] = table["p_adjusted"] <= alpha
    order = ["kind", "statistic", "effect", "p_value", "p_adjusted", "flagged", "missing_before", "missing_after"]
    table = table[[*order, "new_values", "outside", "note"]]
    # Without values on a side there is no effect size, and nothing is larger: these come first.
    effects = table["effect"].fillna(np.inf).to_numpy()
    return table.iloc[sorted(range(len(table)), key=lambda place: (-effects[place], str(table.index[place])))]


def _columns(before: pd.DataFrame, after: pd.DataFrame, features: Sequence[str] | None) -> list[str]:
    for name, frame in (("before", before), ("after", after)):
        if frame.empty:
            raise InputError(f"the window {name} has no {'rows' if frame.shape[1] else 'columns'}")
        if len(frame) == 1:
            raise InputError(f"the window {name} has one row; at least two are wanted")
        twice = frame.columns[frame.columns.duplicated()]
        if len(twice):
            raise InputError(f"the window {name} has column {twice[0]!r} more than once")
    wanted = list(dict.fromkeys([*before.columns, *after.columns])) if features is None else list(features)
    if not wanted:
        raise InputError("features is empty: there is nothing to compare")
    pairs = [(window, frame, name) for name in wanted for window, frame in (("before", before), ("after", after))]
    raise_all(
        [
            f"the window {window} has no column {name!r}{did_you_mean(str(name), map(str, frame.columns))}"
            for window, frame, name in pairs
            if name not in frame.columns
        ],
        UnknownName,
    )
    return list(dict.fromkeys(wanted))


def _kind(before: pd.Series, after: pd.Series) -> str:
    kinds = []
    for column in (before, after):
        if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
            raise InputError(f"column {before.name!r} is a time; say with features= which columns to compare")
        text = pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column)
        kinds.append("categorical" if text else "numeric")
    if kinds[0] == kinds[1]:
        return kinds[0]
    for column, other in ((before, kinds[1]), (after, kinds[0])):
        if column.isna().all():
            return other  # a column without values has no kind of its own
    raise InputError(
        f"column {before.name!r} is {kinds[0]} ({before.dtype}) before and {kinds[1]} ({after.dtype}) after"
    )


def _check_finite(before: pd.DataFrame, after: pd.DataFrame, columns: list[str]) -> None:
    problems = []
    for window, frame in (("before", before), ("after", after)):
        for name in columns:
            infinite = np.isinf(frame[name].astype("float64").to_numpy())
            if infinite.any():
                row = frame.index[infinite.argmax()]
                count = int(infinite.sum())
                problems.append(f"window {window}: column {name!r} is infinite in row {row!r} ({count:,} such rows)")
    raise_all(problems)


def _numeric(before: pd.Series, after: pd.Series) -> dict[str, Any]:
    from scipy import stats

    one, two = (column.to_numpy(dtype=float) for column in (before, after))
    if not len(one) or not len(two):
        return _no_values(one, two)
    spread = one.std() or np.concatenate([one, two]).std()
    found = stats.ks_2samp(one, two, method="asymp")
    same = one.min() == one.max() == two.min() == two.max()
    note = "the same constant in both windows" if same else "constant before" if one.min() == one.max() else ""
    return {
        "statistic": float(found.statistic),
        "effect": float(stats.wasserstein_distance(one, two) / spread) if spread > 0 else 0.0,
        "p_value": float(found.pvalue),
        "new_values": (),
        "outside": float(((two < one.min()) | (two > one.max())).mean()),
        "note": note,
    }


def _categorical(before: pd.Series, after: pd.Series) -> dict[str, Any]:
    from scipy import stats

    one, two = (column.astype(object).map(str).value_counts() for column in (before, after))
    if not len(one) or not len(two):
        return _no_values(one, two)
    counts = pd.DataFrame({"before": one, "after": two}).fillna(0.0)
    shares = counts / counts.sum()
    rare = (counts.sum(axis=1) * counts.sum().min() / counts.to_numpy().sum()) < RARE
    tested = counts[~rare].to_numpy()
    if rare.any():
        tested = np.vstack([tested, counts[rare].sum().to_numpy()])
    testable = len(tested) > 1
    found = stats.chi2_contingency(tested, correction=False) if testable else None
    new = two.drop(one.index, errors="ignore").sort_index().sort_values(ascending=False, kind="stable")
    return {
        "statistic": float(found.statistic) if found else 0.0,
        "effect": float((shares["before"] - shares["after"]).abs().sum() / 2),
        "p_value": float(found.pvalue) if found else 1.0,
        "new_values": tuple(new.index[:SHOWN]),
        "outside": float(new.sum() / two.sum()),
        "note": ""
        if testable
        else "the same constant in both windows"
        if len(counts) == 1
        else "too few of each value",
    }


def _no_values(one: Any, two: Any) -> dict[str, Any]:
    sides = " and ".join(name for name, values in (("before", one), ("after", two)) if not len(values))
    nothing = dict.fromkeys(("statistic", "effect", "outside"), float("nan"))
    return nothing | {"p_value": 1.0, "new_values": (), "note": f"no values {sides}"}


def _with_missing(p_value: float, before: pd.Series, after: pd.Series) -> float:
    """Return the p-value of values and missing share together (Bonferroni over the two tests)."""
    from scipy import stats

    missing = [int(column.isna().sum()) for column in (before, after)]
    if not any(missing):
        return p_value
    counts = [[missing[0], len(before) - missing[0]], [missing[1], len(after) - missing[1]]]
    return min(1.0, 2 * min(p_value, float(stats.fisher_exact(counts).pvalue)))

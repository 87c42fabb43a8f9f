"""The comparison of two attributions within slices of the rows."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError
from rca.models.shapdiff.align import aligned, same_rows
from rca.models.shapdiff.compare import check_given, compare
from rca.models.shapdiff.noise import check_pair, units
from rca.models.shapdiff.refits import Refits, check_refits, each
from rca.records import Attribution

__all__ = ["by_cohort", "part"]

FEWEST = 30  # rows of a cohort on each side
FEWEST_UNITS = 2  # and units, where rows come in groups
MOST = 50  # cohorts


def by_cohort(
    before: Attribution,
    after: Attribution,
    cohorts: Any,
    cohorts_after: Any = None,
    *,
    alpha: float = 0.03,
    refits: Refits = (),
    rows: pd.DataFrame | None = None,
    background: pd.DataFrame | None = None,
    n_refits: int = 20,
    groups: Any = None,
    rng: np.random.Generator | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Compare mean absolute SHAP values within each cohort (`compare`, cohort by cohort).

    Parameters
    ----------
    before, after : Attribution
        Results of `explain`, as for `compare`.
    cohorts : array_like, shape (n_rows,)
        The cohort of each row before: a column, or a boolean mask. Missing values are the cohort ``"missing"``.
    cohorts_after : array_like, optional
        The same for the rows after; not wanted when both are the same rows.
    alpha : float, default 0.03
        Chance that any feature of any cohort is flagged when nothing changed.
    refits, rows, background, n_refits
        As for `compare`, of all rows: each refit is trained and explained once, for all cohorts.
    groups : array_like or pair of array_like, optional
        As for `compare`, of all rows.
    rng, progress
        As for `compare`.

    Returns
    -------
    DataFrame
        Indexed by ``cohort`` and ``feature``: cohorts in their order, features as `compare` orders them. Columns:
        ``rows_before``, ``rows_after`` and those of `compare`. ``p_adjusted`` is that of `compare`, which is for all
        features of the cohort together, times the number of cohorts compared (Bonferroni [1]_); ``flagged`` and
        ``rank`` go by it. A cohort with fewer than 30 rows, or two groups, on a side has its row counts and means, no
        interval, and says so in ``noise_source``.

    Raises
    ------
    InputError
        If cohorts, groups or refits and rows do not fit, there are more than 50 cohorts, or `compare` refuses.

    Notes
    -----
    Cohorts are to be named before looking: a cohort found by looking for the largest difference is not tested by
    this. A cohort that is in one window only has no before, or no after, and is not compared. With many cohorts little
    is flagged: p-values of rows are at least the number of cohorts over 2,000, and cohorts that resemble each other pay
    as if they did not. With a training function all explanations of refits are held at once: 20 of 50,000 rows and 30
    features take 240 MB.
    A rare cohort needs a background of its own to speak of what is usual in it; here it is what was given to `explain`.

    References
    ----------
    .. [1] Dunn, "Multiple comparisons among means", Journal of the American Statistical Association 56, 1961.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> values = pd.DataFrame({"amount": rng.normal(size=200)})
    >>> country = np.repeat(["DE", "FR"], 100)
    >>> of = {"output": "margin", "model_id": "may"}
    >>> before = Attribution.from_frame(values, 0.0, rows_id="before", **of)
    >>> later = values.mul(np.where(country == "FR", 3, 1), axis=0)
    >>> after = Attribution.from_frame(later, 0.0, rows_id="after", **of)
    >>> by_cohort(before, after, country, country)["flagged"].to_dict()
    {('DE', 'amount'): False, ('FR', 'amount'): True}
    """
    check_given(alpha, before=before, after=after)
    refits = check_refits(refits)
    same = same_rows(before, after)
    masks = _masks(before, after, cohorts, cohorts_after)
    unit = _units(groups, before, after)
    wanted = [name for name, pair in masks.items() if _enough(pair, unit)]
    known: list[Attribution] = []
    if same and before.model_id != after.model_id:
        again = each(
            refits, [before], None if rows is None else [rows],
            background=background, n_refits=n_refits, rng=rng or np.random.default_rng(0), progress=progress,
        )  # fmt: skip
        known = [one for (one,) in again]
    before, after, *known = aligned(before, after, *known)
    tables = {}
    for name, (first, second) in masks.items():
        sides = part(before, first), part(after, second)
        if name in wanted:
            own = None if unit is None else unit[0][first] if same else (unit[0][first], unit[1][second])
            some = [part(refit, first) for refit in known] or refits
            table = compare(*sides, alpha=alpha / len(wanted), refits=some, groups=own, rng=rng)
            table["p_adjusted"] = (table["p_adjusted"] * len(wanted)).clip(upper=1.0)
        else:
            table = _small(*sides, unit is not None)
        table.insert(0, "rows_before", int(first.sum()))
        table.insert(1, "rows_after", int(second.sum()))
        tables[name] = table
    columns = next((tables[name].columns for name in wanted), None)
    if columns is None:
        few = f"{FEWEST} rows" + ("" if unit is None else f" and {FEWEST_UNITS} groups")
        raise InputError(f"no cohort has {few} on each side; the largest are {_largest(masks)}")
    return pd.concat({name: table.reindex(columns=columns) for name, table in tables.items()}, names=["cohort"])


def part(attribution: Attribution, mask: np.ndarray) -> Attribution:
    """Return the attribution of the rows where `mask` is true.

    Examples
    --------
    >>> values = pd.DataFrame({"amount": [1.0, 2.0]})
    >>> whole = Attribution.from_frame(values, 0.0, output="margin", model_id="may", rows_id="holdout")
    >>> part(whole, np.array([False, True])).to_frame()
       amount
    1     2.0
    """
    some = np.packbits(mask).tobytes()
    ids = [one and hashlib.sha256(one.encode() + some).hexdigest() for one in attribution.column_ids]
    by_row = np.ndim(attribution.base_values) and attribution.output == "loss"
    return dataclasses.replace(
        attribution,
        values=attribution.values[mask],
        base_values=attribution.base_values[mask] if by_row else attribution.base_values,
        index=attribution.index[mask],
        error=None if attribution.error is None else attribution.error[mask],
        tokens=None,
        rows_id=hashlib.sha256(attribution.rows_id.encode() + some).hexdigest(),
        column_ids=tuple(ids),
    )


def _masks(
    before: Attribution, after: Attribution, cohorts: Any, cohorts_after: Any
) -> dict[Any, tuple[np.ndarray, np.ndarray]]:
    """Return which rows before and after belong to each cohort."""
    same = same_rows(before, after)
    if same and cohorts_after is not None:
        raise InputError("both attributions are of the same rows: give their cohorts once")
    if not same and cohorts_after is None:
        raise InputError("the rows differ: give the cohorts of the rows after too (cohorts_after)")
    one = _labels(before, cohorts, "cohorts")
    two = one if same else _labels(after, cohorts_after, "cohorts_after")
    names = sorted(set(one) | set(two), key=str)
    if len(names) > MOST:
        raise InputError(f"there are {len(names):,} cohorts; at most {MOST} are compared: group the values first")
    return {name: (one == name, two == name) for name in names}


def _labels(attribution: Attribution, cohorts: Any, name: str) -> np.ndarray:
    index = attribution.to_frame().index
    if isinstance(cohorts, pd.Series) and not cohorts.index.equals(index):
        raise InputError(f"{name} has another index than the rows explained")
    labels = pd.Series(np.asarray(cohorts, dtype=object)) if np.ndim(cohorts) == 1 else pd.Series(dtype=object)
    if len(labels) != len(index):
        raise InputError(f"{name} has shape {np.shape(cohorts)}; one value for each of {len(index):,} rows is wanted")
    return np.asarray(labels.where(labels.notna(), "missing"), dtype=object)


def _units(groups: Any, before: Attribution, after: Attribution) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the unit of each row on both sides."""
    if groups is None:
        return None
    given = (groups, groups) if same_rows(before, after) else groups
    pair = check_pair(given, len(before.index), len(after.index))
    for side in pair or ():
        units(side)
    return pair


def _enough(masks: tuple[np.ndarray, np.ndarray], unit: tuple[np.ndarray, np.ndarray] | None) -> bool:
    if min(mask.sum() for mask in masks) < FEWEST:
        return False
    return unit is None or min(len(set(names[mask])) for names, mask in zip(unit, masks, strict=True)) >= FEWEST_UNITS


def _small(before: Attribution, after: Attribution, grouped: bool) -> pd.DataFrame:
    """Return means only, of a cohort of too few rows."""
    one, two = (attribution.to_frame().abs().mean() for attribution in (before, after))
    table = pd.DataFrame({"before": one, "after": two, "difference": two - one})
    table["flagged"] = pd.array([pd.NA] * len(table), dtype="boolean")
    few = f"{FEWEST} rows" + (f" or {FEWEST_UNITS} groups" if grouped else "")
    table["noise_source"] = f"not measured: fewer than {few} on a side"
    return table.rename_axis("feature").sort_values("difference", key=np.abs, ascending=False, kind="stable")


def _largest(masks: dict[Any, tuple[np.ndarray, np.ndarray]]) -> str:
    sizes = sorted(((int(min(m.sum() for m in pair)), str(name)) for name, pair in masks.items()), reverse=True)
    return ", ".join(f"{name!r} ({size:,})" for size, name in sizes[:3])

"""Whom the incident reached: wrong decisions, and how many more than before."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, raise_all

__all__ = ["compute"]

COLUMNS = ["group", "quantity", "value", "of", "low", "high", "basis"]
LEVEL = 0.95
NAN = float("nan")
SHOWN = 6
# What is counted, its rate, its excess, and among which decisions.
KINDS = (
    ("wrong decisions", "error rate", "excess errors", "all"),
    ("missed positives", "miss rate", "excess missed positives", "positive"),
    ("false alarms", "false alarm rate", "excess false alarms", "negative"),
)
_Row = tuple[str, str, float, float, float, float, str]


def compute(
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    label: str,
    decision: str,
    user: str = "",
    group: str = "",
    positive: Any = 1,
    population: int | None = None,
) -> pd.DataFrame:
    """Count wrong decisions in the incident window, and those beyond the rate of the window before.

    Parameters
    ----------
    before, after : DataFrame
        One row a decision, of the healthy and of the incident window.
    label, decision : str
        Columns with what was true and what was decided, in the same values. Rows without a label are left out, and
        the basis says so.
    user, group : str, default ""
        Columns with whom a decision was about, and the group to break the figures down by.
    positive : object, default 1
        The label that a decision should have found (fraud, sick); ``None`` for no such figures.
    population : int, optional
        Number of decisions in the incident window, when `after` is a random sample of them.

    Returns
    -------
    DataFrame
        Columns: ``group`` (``""`` for all), ``quantity``, ``value``, ``of`` (its denominator), ``low``, ``high``
        (95 % interval, NaN where a number was counted), ``basis`` (how it came about). Quantities, for all decisions
        and for each group: ``decisions``; ``wrong decisions``, ``error rate before``, ``error rate after``,
        ``error rate difference``, ``excess errors``; the same five for ``missed positives`` (``miss rate``) among
        positives and ``false alarms`` (``false alarm rate``) among the others; and ``affected users`` (with at least
        one wrong decision). A rate of nothing is NaN.

    Raises
    ------
    UnknownName
        If a column is not there, or `positive` is no label.
    InputError
        If a window has no labelled rows, a decision is missing or of other values than the labels, or `population`
        is smaller than the sample.

    Notes
    -----
    Rates have Wilson intervals, their difference Newcombe's hybrid score interval [1]_; excess errors are that
    difference times the decisions after. Excess is not "caused by the incident": the mix of cases may have changed
    too, and decisions of one user or day are not independent, which makes intervals too narrow. Labels that come late
    are often the positive ones.

    References
    ----------
    .. [1] Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven
       methods", Statistics in Medicine 17, 1998 (method 10).

    Examples
    --------
    >>> before = pd.DataFrame({"fraud": [0] * 90 + [1] * 10, "blocked": [0] * 91 + [1] * 9})
    >>> after = pd.DataFrame({"fraud": [0] * 90 + [1] * 10, "blocked": [0] * 95 + [1] * 5})
    >>> table = compute(before, after, label="fraud", decision="blocked").set_index("quantity")
    >>> table.loc[["missed positives", "excess missed positives"], ["value", "of"]]
                             value    of
    quantity
    missed positives           5.0  10.0
    excess missed positives    4.0  10.0
    """
    for name, frame in (("before", before), ("after", after)):
        _check(frame, name, label, decision, user, group)
    _check_values(before, after, label, decision, positive)
    if population is not None and population < len(after):
        raise InputError(f"population is {population:,}, less than the {len(after):,} rows of the sample")
    setting = _Setting(label, decision, user, positive, 1.0, "")
    if population is not None and population > len(after):
        basis = f"estimated from a sample of {len(after):,} of {population:,} decisions"
        setting = _Setting(label, decision, user, positive, population / len(after), basis)
    rows = list(_figures("", before, after, setting))
    groups = {*before[group].dropna(), *after[group].dropna()} if group else set()
    for value in sorted(groups, key=str):
        rows += _figures(str(value), before[before[group] == value], after[after[group] == value], setting)
    return pd.DataFrame(rows, columns=COLUMNS)


@dataclass(frozen=True)
class _Setting:
    label: str
    decision: str
    user: str
    positive: Any
    scale: float
    sample: str


def _check(frame: pd.DataFrame, name: str, label: str, decision: str, user: str, group: str) -> None:
    named = [column for column in (label, decision, user, group) if column]
    raise_all(
        [
            f"the window {name} has no column {column!r}{did_you_mean(column, map(str, frame.columns))}"
            for column in named
            if column not in frame.columns
        ],
        UnknownName,
    )
    if frame[label].notna().sum() == 0:
        raise InputError(f"the window {name} has no rows with a label ({label!r})")
    absent = frame[decision].isna().to_numpy()
    if absent.any():
        row = frame.index[absent.argmax()]
        raise InputError(f"window {name}: row {row!r} has no {decision!r} ({int(absent.sum()):,} such rows)")


def _check_values(before: pd.DataFrame, after: pd.DataFrame, label: str, decision: str, positive: Any) -> None:
    labels, decisions = ({*before[name].dropna(), *after[name].dropna()} for name in (label, decision))
    known = labels | ({0, 1} if labels <= {0, 1} else set())
    shown = ", ".join(sorted(map(repr, known))[:SHOWN])
    odd = sorted(map(repr, decisions - known))
    if odd:
        raise InputError(f"decision {decision!r} holds {odd[0]}, which is no value of the label {label!r} ({shown})")
    if positive is not None and positive not in known:
        raise UnknownName(f"positive is {positive!r}, which is no value of the label {label!r} ({shown})")


def _figures(group: str, before: pd.DataFrame, after: pd.DataFrame, setting: _Setting) -> Iterator[_Row]:
    scale, one, two = setting.scale, before.dropna(subset=setting.label), after.dropna(subset=setting.label)
    counted = setting.sample or "counted"
    labelled = counted if len(two) == len(after) else f"{counted}; {len(two):,} of {len(after):,} rows have a label"
    yield group, "decisions", len(after) * scale, len(after) * scale, NAN, NAN, counted
    for name, rate, excess, kind in KINDS:
        if kind != "all" and setting.positive is None:
            continue
        earlier, of_earlier = _count(one, setting, kind)
        wrong, of = _count(two, setting, kind)
        full = of * scale
        low, high = _wilson(wrong, of)
        ends = (low * full, high * full) if setting.sample else (NAN, NAN)
        yield group, name, wrong * scale, full, *ends, labelled
        low_earlier, high_earlier = _wilson(earlier, of_earlier)
        yield group, f"{rate} before", _ratio(earlier, of_earlier), of_earlier, low_earlier, high_earlier, "Wilson"
        yield group, f"{rate} after", _ratio(wrong, of), of, low, high, "Wilson"
        change, low, high = _newcombe(wrong, of, earlier, of_earlier)
        yield group, f"{rate} difference", change, of, low, high, "after less before, Newcombe"
        told = f"{rate} difference x {full:,.0f}; {labelled}"
        yield group, excess, change * full, full, low * full, high * full, told
    if setting.user:
        yield _users(group, two, setting)


def _count(frame: pd.DataFrame, setting: _Setting, kind: str) -> tuple[int, int]:
    """Return how many decisions of a kind were wrong, and of how many."""
    if kind == "positive":
        frame = frame[frame[setting.label] == setting.positive]
    elif kind == "negative":
        frame = frame[frame[setting.label] != setting.positive]
        return int((frame[setting.decision] == setting.positive).sum()), len(frame)
    return int(_wrong(frame, setting).sum()), len(frame)


def _wrong(frame: pd.DataFrame, setting: _Setting) -> pd.Series:
    return frame[setting.decision].astype(object) != frame[setting.label].astype(object)


def _users(group: str, labelled: pd.DataFrame, setting: _Setting) -> _Row:
    users = labelled[setting.user]
    affected = users[_wrong(labelled, setting)].nunique()
    basis = "distinct users with at least one wrong decision"
    if users.isna().any():
        basis += f"; {int(users.isna().sum()):,} rows without a user left out"
    if setting.sample:
        basis += "; in the sample only, not scaled: a user has several decisions"
    return group, "affected users", float(affected), float(users.nunique()), NAN, NAN, basis


def _ratio(count: int, of: int) -> float:
    return count / of if of else NAN


def _wilson(count: int, of: int) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion; NaN of nothing."""
    if of == 0:
        return NAN, NAN
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    centre = (count + z**2 / 2) / (of + z**2)
    reach = z / (of + z**2) * math.sqrt(count * (of - count) / of + z**2 / 4)
    # Rounding must not push the ends beyond what is possible.
    return (0.0 if count == 0 else centre - reach), (1.0 if count == of else centre + reach)


def _newcombe(count: int, of: int, count_before: int, of_before: int) -> tuple[float, float, float]:
    """Return the difference of two proportions and Newcombe's hybrid score interval of it."""
    one, two = _ratio(count, of), _ratio(count_before, of_before)
    (low, high), (low_before, high_before) = _wilson(count, of), _wilson(count_before, of_before)
    change = one - two
    return change, change - math.hypot(one - low, high_before - two), change + math.hypot(high - one, two - low_before)

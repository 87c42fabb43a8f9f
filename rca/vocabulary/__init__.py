"""Fixed words with ids, kept as data: kinds of events, of incidents, of causes.

Each list is a CSV file beside this one with the columns ``id``, ``name`` and ``meaning``; ids never
change once published.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

from rca.errors import UnknownName, did_you_mean, shorten

__all__ = ["LISTS", "check", "ids", "table"]

LISTS = (
    "action_states",
    "causes",
    "event_kinds",
    "finding_roles",
    "incident_kinds",
    "milestones",
    "severity_tiers",
    "why_kinds",
)


@cache
def _read(name: str) -> pd.DataFrame:
    if name not in LISTS:
        raise UnknownName(f"unknown vocabulary {name!r}{did_you_mean(name, LISTS)}")
    return pd.read_csv(Path(__file__).with_name(f"{name}.csv"), dtype=str, keep_default_na=False).set_index("id")


def table(name: str) -> pd.DataFrame:
    """Return a vocabulary.

    Parameters
    ----------
    name : str
        One of `LISTS`.

    Returns
    -------
    DataFrame
        Indexed by ``id``; columns ``name`` and ``meaning``, and what the list adds.

    Examples
    --------
    >>> table("milestones").index.tolist()[:2]
    ['impact_start', 'first_signal']
    """
    return _read(name).copy()


def ids(name: str) -> tuple[str, ...]:
    """Return the ids of a vocabulary, in order."""
    return tuple(_read(name).index)


def check(value: str, name: str, *, where: str) -> str:
    """Return `value` unchanged if it is an id of the vocabulary `name`.

    Parameters
    ----------
    value : str
        What was found.
    name : str
        One of `LISTS`.
    where : str
        Place for the error message.

    Raises
    ------
    UnknownName
        With the place and the nearest id.

    Examples
    --------
    >>> check("delpoy", "event_kinds", where="alerts.csv: row 14")
    Traceback (most recent call last):
        ...
    rca.errors.UnknownName: alerts.csv: row 14: bad event kind 'delpoy'; did you mean 'deploy'?
    """
    known = ids(name)
    if value not in known:
        what = name.replace("_", " ").removesuffix("s")
        raise UnknownName(f"{where}: bad {what} {shorten(value)}{did_you_mean(value, known)}")
    return value

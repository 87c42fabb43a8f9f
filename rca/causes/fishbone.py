"""Fishbone (Ishikawa) diagrams: causes by category, with status and evidence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from rca.conclusions import Bone
from rca.errors import InputError, UnknownName, did_you_mean, raise_all, shorten

__all__ = ["NOTHING", "build", "sets"]

NOTHING = "nothing recorded"


@cache
def _sets() -> dict[str, tuple[str, ...]]:
    rows = pd.read_csv(Path(__file__).with_name("fishbone_categories.csv"), dtype=str, keep_default_na=False)
    return {str(name): tuple(part["category"]) for name, part in rows.groupby("set", sort=False)}


def sets() -> dict[str, tuple[str, ...]]:
    """Return the sets of categories that come with the package, by name.

    Examples
    --------
    >>> sets()["4"]
    ('People', 'Process', 'Technology', 'Data')
    >>> list(sets())
    ['4', '6M', '8P', '4S', 'ml']
    """
    return dict(_sets())


def build(bones: Sequence[Bone], *, categories: str | Sequence[str] = "4") -> pd.DataFrame:
    """Return causes by category; a category without causes says so.

    Parameters
    ----------
    bones : sequence of Bone
        Causes in any order; within a category the order is kept. Categories match without regard to case.
    categories : str or sequence of str, default "4"
        Name of a set (see `sets`), or the categories themselves.

    Returns
    -------
    DataFrame
        ``category`` (in the order of the set), ``cause``, ``status``, ``evidence`` (places, separated by
        semicolons). A category without causes has one row: cause `NOTHING`, empty status.

    Raises
    ------
    UnknownName
        A set that does not exist, or causes under categories that the set does not have, with the nearest name.
    InputError
        No category, a category named twice, or a cause given twice under one category.

    Examples
    --------
    >>> frame = build([Bone(category="Data", cause="Sample drawn in one region")])
    >>> frame["cause"].tolist()
    ['nothing recorded', 'nothing recorded', 'nothing recorded', 'Sample drawn in one region']
    """
    names = _categories(categories)
    known = {name.casefold(): name for name in names}
    raise_all(
        [
            f"fishbone: cause {number} ({shorten(bone.cause, 40)}): unknown category {bone.category!r}"
            f"{did_you_mean(bone.category, names)}"
            for number, bone in enumerate(bones, start=1)
            if bone.category.casefold() not in known
        ],
        UnknownName,
    )
    causes: dict[str, dict[str, tuple[str, str, str, str]]] = {name: {} for name in names}
    twice = []
    for number, bone in enumerate(bones, start=1):
        category = known[bone.category.casefold()]
        key = " ".join(bone.cause.casefold().split())
        if key in causes[category]:
            twice.append(f"fishbone: cause {number} ({shorten(bone.cause, 40)}) stands twice under {category}")
        causes[category][key] = (category, bone.cause, bone.status, "; ".join(item.label for item in bone.evidence))
    raise_all(twice)
    rows = [row for name in names for row in (causes[name].values() or [(name, NOTHING, "", "")])]
    return pd.DataFrame(rows, columns=["category", "cause", "status", "evidence"], dtype="str")


def _categories(given: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        if given not in _sets():
            raise UnknownName(f"fishbone: unknown set of categories {given!r}{did_you_mean(given, _sets())}")
        return _sets()[given]
    names = tuple(given)
    if not names or any(not name.strip() for name in names):
        raise InputError("fishbone: every category needs a name, and there must be at least one")
    if len({name.casefold() for name in names}) < len(names):
        raise InputError(f"fishbone: a category is named twice: {', '.join(names)}")
    return names

"""Contributions in a model that is only called, by switching raw columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError
from rca.models.shapdiff import scores
from rca.models.shapdiff.estimate import permutation
from rca.models.shapdiff.exact import Found, Task
from rca.models.shapdiff.unwrap import feed

__all__ = ["SAMPLE", "by_permutation"]

SAMPLE = 100  # background rows when none are given


def by_permutation(task: Task) -> Found:
    """Return estimated contributions of the raw columns, with their standard error.

    Parameters
    ----------
    task : Task
        What is to be explained. Without a background 100 rows of its own table are used.

    Raises
    ------
    InputError
        If the model has no such output.
    """
    model, table, count = task.model, task.table, len(task.table)
    classes = scores.classes_of(model)
    truth = scores.label_codes(task.y, table.index, classes) if task.output == "loss" else None
    plain = scores.margin if task.output == "margin" else scores.prediction

    def output(rows: pd.DataFrame, numbers: np.ndarray) -> np.ndarray:
        own = plain(model, feed(model, rows))
        if truth is None:
            return own
        loss = scores.log_loss(own, truth[numbers]) if classes else (own[:, 0] - truth[numbers]) ** 2
        return loss[:, None]

    own = output(table, np.arange(count))
    known = task.background
    if known is None:
        chosen = np.arange(count)
        if count > SAMPLE:
            chosen = np.sort(np.random.default_rng(0).choice(count, SAMPLE, replace=False))
        known = table.iloc[chosen]
    rows, others, made = _numbers(table, known)
    values, base, error = permutation(
        lambda mixed, numbers: output(made(mixed), numbers), rows, others, progress=task.progress
    )
    how = (
        f"Estimated from {len(known):,} background rows, each with one random order of the features and its reverse: "
        f"standard error of one contribution {np.median(error):.2g} (median), {error.max():.2g} (largest)."
    )
    kind = "loss" if truth is not None else _kind(task, classes)
    base = base if truth is not None else base[0]
    return Found(values, base, own, kind, "permutation", how, tuple(classes), error=error)


def _kind(task: Task, classes: list[Any]) -> str:
    if task.output == "margin" and scores.has_margin(task.model):
        return "margin"
    return "probability" if classes else "prediction"


def _numbers(
    table: pd.DataFrame, known: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], pd.DataFrame]]:
    """Return rows and background as numbers that can be mixed column by column, and the way back to a table."""
    if all(kind == np.float64 for kind in (*table.dtypes, *known.dtypes)):
        return table.to_numpy(), known.to_numpy(), lambda mixed: pd.DataFrame(mixed, columns=table.columns)
    columns = {}
    for place, name in enumerate(table.columns):
        one, other = table.iloc[:, place], known.iloc[:, place]
        if isinstance(one.dtype, pd.CategoricalDtype) and one.dtype != other.dtype:
            raise InputError(f"column {name!r} has other categories in the background, or in another order, than in X")
        columns[name] = pd.concat([one, other], ignore_index=True)
    width = table.shape[1]
    rows = np.repeat(np.arange(len(table), dtype=float)[:, None], width, axis=1)
    others = np.repeat(np.arange(len(table), len(table) + len(known), dtype=float)[:, None], width, axis=1)

    def made(mixed: np.ndarray) -> pd.DataFrame:
        places = mixed.astype(np.int64)
        taken = {name: column.take(places[:, k]).array for k, (name, column) in enumerate(columns.items())}
        return pd.DataFrame(taken, columns=table.columns)

    return rows, others, made

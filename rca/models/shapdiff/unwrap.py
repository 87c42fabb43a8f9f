"""Pipelines: which raw column each column that the model inside sees comes from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, raise_all
from rca.models.shapdiff.rows import takes_table, takes_text

__all__ = ["Inner", "MixedColumns", "feed", "unwrap"]


class MixedColumns(InputError):
    """A step makes a column from several raw ones, or is of a kind that is not known."""


@dataclass(frozen=True)
class Inner:
    """The model inside a pipeline, and the way to it.

    Attributes
    ----------
    model : object
        The last step.
    transform : callable
        From raw rows to what the last step takes: DataFrame, ndarray or sparse matrix.
    owner : ndarray of int, shape (n_inner,)
        Number of the raw column of each inner column.
    tokens : tuple, length n_inner
        Token that an inner column counts, or None.
    """

    model: Any
    transform: Callable[[pd.DataFrame], Any]
    owner: np.ndarray
    tokens: tuple[str | None, ...]


@dataclass(frozen=True)
class _Columns:
    """Some columns on their way: one row of them, to follow the steps with, and where each is from."""

    data: Any
    owner: tuple[int, ...]
    tokens: tuple[str | None, ...]


def feed(model: Any, table: pd.DataFrame) -> Any:
    """Return rows as the model was given them when it was fitted: as table, array, or one column of texts.

    What a model was fitted on that is neither scikit-learn's nor records names or a number of columns cannot be known:
    it is given the table.
    """
    if takes_text(model):
        return table.iloc[:, 0]
    numeric = all(pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes)
    return table if takes_table(model) or not numeric else table.to_numpy()


def unwrap(model: Any, table: pd.DataFrame) -> Inner:
    """Return the model inside a pipeline or a finished search, with the raw column of each of its columns.

    Parameters
    ----------
    model : object
        A fitted model; one that is no pipeline is its own inner model.
    table : DataFrame
        Raw rows.

    Raises
    ------
    MixedColumns
        If a step makes a column from several raw ones, or is of a kind that is not known. The message names the step.
    UnknownName
        If an encoder refuses a category. What else a step makes of rows that it cannot transform is raised as it is.
    """
    while hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    whole = _Columns(None, tuple(range(table.shape[1])), (None,) * table.shape[1])
    if not hasattr(model, "steps"):
        return Inner(model, lambda rows: feed(model, rows), np.array(whole.owner), whole.tokens)
    before = model[:-1]

    def transform(rows: pd.DataFrame) -> Any:
        try:
            return before.transform(feed(model, rows)) if len(before.steps) else feed(model, rows)
        except (TypeError, ValueError):
            raise_all(_unseen(before, rows), UnknownName)
            raise

    transform(table.head(1))
    found = _Columns(feed(model, table.head(1)), whole.owner, whole.tokens)
    for name, step in before.steps:
        found = _follow(name, step, found)
    last = model[-1]
    if hasattr(last, "steps") or hasattr(last, "best_estimator_"):
        raise MixedColumns("a pipeline or a search as the last step of a pipeline is not unwrapped")
    return Inner(last, transform, np.array(found.owner), found.tokens)


def _unseen(step: Any, table: pd.DataFrame) -> list[str]:
    """Return one problem for each raw column with a category that an encoder of a pipeline refuses."""
    parts = (
        getattr(step, "transformers_", None) or getattr(step, "steps", None) or getattr(step, "transformer_list", [])
    )
    problems = [problem for part in parts for problem in _unseen(part[1], table)]
    if getattr(step, "handle_unknown", "") != "error" or not hasattr(step, "feature_names_in_"):
        return problems
    for name, known in zip(step.feature_names_in_, step.categories_, strict=True):
        if name not in table.columns:
            continue
        bad = (~table[name].isin(known) & table[name].notna()).to_numpy()
        if bad.any():
            found = table[name].iloc[int(bad.argmax())]
            near = did_you_mean(str(found), map(str, known))
            problems.append(
                f"column {name!r} has the category {found!r} in row {table.index[bad.argmax()]!r}, which the "
                f"{type(step).__name__} has not seen ({int(bad.sum()):,} such rows){near}"
            )
    return problems


def _follow(name: str, step: Any, columns: _Columns) -> _Columns:
    """Return the columns that a step makes, or raise if one comes from several raw columns."""
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return columns
    kind = type(step).__name__
    if kind == "ColumnTransformer":
        return _by_column(name, step, columns)
    if kind == "FeatureUnion":
        parts = [_follow(f"{name}, {n}", one, columns) for n, one in step.transformer_list if not _is_drop(one)]
        return _beside(name, step, columns, parts)
    if hasattr(step, "steps"):
        for inner, one in step.steps:
            columns = _follow(f"{name}, {inner}", one, columns)
        return columns
    data = step.transform(columns.data)
    width = 1 if np.ndim(data) == 1 else data.shape[1]
    places = _places(step, kind, len(columns.owner), width)
    if places is None:
        sources = set(columns.owner)
        if len(sources) > 1:
            raise MixedColumns(f"step {name!r} ({kind}) makes columns from several raw columns, or is not known")
        tokens = _tokens(step, width) if _vectorizer(step) else _kept(kind, columns.tokens, width)
        return _Columns(data, (columns.owner[0],) * width, tokens)
    if len(places) != width:
        raise MixedColumns(f"step {name!r} ({kind}) makes {width} columns where {len(places)} were counted")
    owner = tuple(columns.owner[place] for place in places)
    return _Columns(data, owner, tuple(columns.tokens[place] for place in places))


def _places(step: Any, kind: str, count: int, width: int) -> list[int] | None:
    """Return which of the incoming columns each column made comes from, or None if not from one each."""
    every = range(count)
    one_to_one = (
        "StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "QuantileTransformer", "PowerTransformer",
        "Binarizer", "OrdinalEncoder",
    )  # fmt: skip
    if kind in one_to_one or (kind == "FunctionTransformer" and (step.func is None or isinstance(step.func, np.ufunc))):
        return list(every)
    if kind == "OneHotEncoder":
        named = copy.copy(step)
        named.feature_name_combiner = lambda feature, category: feature
        names = list(getattr(step, "feature_names_in_", [f"x{place}" for place in every]))
        return [names.index(name) for name in named.get_feature_names_out()]
    if kind == "SimpleImputer":
        dropped = pd.isna(np.asarray(step.statistics_, dtype=object))
        kept = [place for place in every if not dropped[place] or step.keep_empty_features]
        return kept + ([] if step.indicator_ is None else [int(place) for place in step.indicator_.features_])
    if kind == "MissingIndicator":
        return [int(place) for place in step.features_]
    if kind == "KBinsDiscretizer":
        return list(every) if step.encode == "ordinal" else np.repeat(every, step.n_bins_).tolist()
    if kind in ("TargetEncoder", "SplineTransformer") and width % count == 0:
        return np.repeat(every, width // count).tolist()
    if hasattr(step, "get_support"):
        return [int(place) for place in step.get_support(indices=True)]
    return None


def _by_column(name: str, step: Any, columns: _Columns) -> _Columns:
    """Follow the parts of a ColumnTransformer."""
    parts = []
    for inner, one, wanted in step.transformers_:
        if _is_drop(one):
            continue
        places, single = _chosen(columns.data, wanted)
        if not places:
            continue
        data = columns.data
        some = data.iloc[:, places] if hasattr(data, "iloc") else data[:, places]
        if single:
            some = some.iloc[:, 0] if hasattr(some, "iloc") else some[:, 0]
        chosen = _Columns(some, tuple(columns.owner[p] for p in places), tuple(columns.tokens[p] for p in places))
        parts.append(_follow(f"{name}, {inner}", one, chosen))
    return _beside(name, step, columns, parts)


def _beside(name: str, step: Any, columns: _Columns, parts: list[_Columns]) -> _Columns:
    """Return parts side by side, as the step itself puts them."""
    data = step.transform(columns.data)
    owner = tuple(place for part in parts for place in part.owner)
    if len(owner) != data.shape[1]:
        raise MixedColumns(f"step {name!r} makes {data.shape[1]} columns where its parts make {len(owner)}")
    return _Columns(data, owner, tuple(token for part in parts for token in part.tokens))


def _chosen(data: Any, wanted: Any) -> tuple[list[int], bool]:
    """Return the places of the columns that a part of a ColumnTransformer takes, and whether it is one by itself."""
    names = list(data.columns) if hasattr(data, "columns") else []
    places = list(range(data.shape[1]))

    def place(one: Any) -> int:
        return names.index(one) if isinstance(one, str) else places[one]

    if isinstance(wanted, (str, int, np.integer)):
        return [place(wanted)], True
    if isinstance(wanted, slice):
        if isinstance(wanted.start, str) or isinstance(wanted.stop, str):
            last = None if wanted.stop is None else names.index(wanted.stop) + 1
            return places[None if wanted.start is None else names.index(wanted.start) : last : wanted.step], False
        return places[wanted], False
    several = list(wanted)
    if several and isinstance(several[0], (bool, np.bool_)):
        return [number for number, yes in enumerate(several) if yes], False
    return [place(one) for one in several], False


def _is_drop(step: Any) -> bool:
    return isinstance(step, str) and step == "drop"


def _vectorizer(step: Any) -> bool:
    return hasattr(step, "build_analyzer")


def _tokens(step: Any, width: int) -> tuple[str | None, ...]:
    if not hasattr(step, "get_feature_names_out"):
        return (None,) * width  # hashed: no column has a token of its own
    return tuple(map(str, step.get_feature_names_out()))


def _kept(kind: str, tokens: tuple[str | None, ...], width: int) -> tuple[str | None, ...]:
    """Return the tokens after a step on columns of one text: weighing keeps them, others (a decomposition) do not."""
    return tokens if kind in ("TfidfTransformer", "Normalizer") and len(tokens) == width else (None,) * width

"""xgboost models as tables of leaves, read from the library's own JSON format [1]_.

References
----------
.. [1] XGBoost documentation, "Introduction to Model IO" and "Categorical Data".
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean
from rca.models.shapdiff.leaves.boosted import check_width, numbers, set_table
from rca.models.shapdiff.leaves.table import Leaves
from rca.models.shapdiff.leaves.walk import Tree, leaves

__all__ = ["ask", "codes", "margin", "read"]

LINKS = {
    "binary:logistic": "logit", "reg:logistic": "logit", "multi:softprob": "softmax", "multi:softmax": "softmax",
    "count:poisson": "log", "reg:gamma": "log", "reg:tweedie": "log", "survival:cox": "log", "survival:aft": "log",
    "reg:squarederror": "identity", "reg:squaredlogerror": "identity", "reg:pseudohubererror": "identity",
    "reg:absoluteerror": "identity", "reg:quantileerror": "identity", "binary:logitraw": "identity",
    "rank:pairwise": "identity", "rank:ndcg": "identity", "rank:map": "identity",
}  # fmt: skip


def read(model: Any, n_features: int) -> Leaves:
    """Return the leaves of the trees that ``model.predict`` uses.

    These are the best iterations for a model with scikit-learn's interface that was stopped early, else all.

    Parameters
    ----------
    model : xgboost.Booster or a fitted model with scikit-learn's interface
        The model.
    n_features : int
        Columns of the rows that it will be used on.

    Raises
    ------
    InputError
        If the model is linear, has an objective whose link is not one of `Leaves`, or other columns.

    Notes
    -----
    `cover` is the sum of second derivatives, as in xgboost's own ``pred_contribs``. Weights of dart's trees are
    multiplied into the leaves. The tests are meant for rows that `codes` has turned into numbers.
    """
    name = type(model).__name__
    learner = _learner(model)
    booster, settings = learner["gradient_booster"], learner["learner_model_param"]
    if booster["name"] not in ("gbtree", "dart"):
        raise InputError(f"the {name} is a {booster['name']}, not an ensemble of trees")
    check_width(name, int(settings["num_feature"]), n_features)
    link = LINKS.get(learner["objective"]["name"])
    if link is None:
        raise InputError(f"the {name} has the objective {learner['objective']['name']!r}, whose link is not read")
    inner = booster["gbtree"]["model"] if booster["name"] == "dart" else booster["model"]
    drop = booster["weight_drop"] if booster["name"] == "dart" else np.ones(len(inner["trees"]))
    listed: list[np.ndarray] = []
    used = range(_used(model, learner, inner))
    trees = [_tree(name, inner["trees"][k], inner["tree_info"][k], np.float32(drop[k]), listed) for k in used]
    outputs = max(int(settings["num_class"]), int(settings["num_target"]), 1)
    return leaves(
        trees, set_table(name, listed, left=False), base=_base(name, settings["base_score"], link, outputs),
        n_features=n_features, single=True, link=link,
    )  # fmt: skip


def codes(model: Any, frame: pd.DataFrame) -> np.ndarray:
    """Return rows as the numbers that the tests of `read` are about.

    Parameters
    ----------
    model : xgboost.Booster or a fitted model with scikit-learn's interface
        The model.
    frame : DataFrame, shape (n_rows, n_features)
        Rows in the model's columns and order: numbers, truth values and pandas categories.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_features)
        Numbers are rounded to single precision, infinite ones are the largest finite ones, and the model's `missing`
        is NaN. pandas categories are the places in the list that the model has stored; models that stored none
        (before xgboost 3.1) take the places in the frame's own list, as xgboost does.

    Raises
    ------
    UnknownName
        If a categorical column has a category that the model does not know, used or not: xgboost refuses it, too.
    InputError
        If a column is neither numeric nor categorical, or categorical for the model but not here.
    """
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    check_width(type(model).__name__, booster.num_features(), frame.shape[1])
    kinds = booster.feature_types or ["q"] * frame.shape[1]
    coded = any(isinstance(kind, pd.CategoricalDtype) for kind in frame.dtypes)
    known = _categories(_learner(model)) if coded or "c" in kinds else {}
    # Missing is what equals `missing` in single precision before anything else is done, places of categories included.
    missing, largest = np.float32(getattr(model, "missing", np.nan)), np.finfo(np.float32).max
    rows = np.empty(frame.shape)
    for place, kind in enumerate(kinds):
        column = frame.iloc[:, place]
        if isinstance(column.dtype, pd.CategoricalDtype):
            if kind != "c":
                raise InputError(f"column {column.name!r} is categorical; the model was trained on numbers there")
            own = column.cat.codes.to_numpy()
            values = np.append(_stored(column, known.get(place)), np.nan)[np.where(own == missing, -1, own)]
        elif place in known:
            raise InputError(f"column {column.name!r} is {column.dtype}; the model was trained on categories there")
        else:
            with np.errstate(over="ignore"):
                single = numbers(column).astype(np.float32)
            values = np.clip(np.where(single == missing, np.nan, single), -largest, largest)
            if kind == "c":
                values = np.where(values < 0, -1.0, np.trunc(values))
        rows[:, place] = values
    return rows


def margin(model: Any, frame: pd.DataFrame) -> np.ndarray:
    """Return the model's own sum on each row, which the leaves of `read` add up to.

    Parameters
    ----------
    model : xgboost.Booster or a fitted model with scikit-learn's interface
        The model.
    frame : DataFrame, shape (n_rows, n_features)
        Rows as for ``model.predict``.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_outputs)
        Margins; xgboost computes them in single precision.
    """
    wrapped = hasattr(model, "get_booster")
    own = model.predict(frame, output_margin=True) if wrapped else ask(model, frame, margins=True)
    return np.asarray(own, dtype=float).reshape(frame.shape[0], -1)


def ask(booster: Any, frame: Any, *, margins: bool) -> np.ndarray:
    """Return what a Booster says of rows; a linear one does not take them as they are."""
    import xgboost

    if json.loads(booster.save_config())["learner"]["gradient_booster"]["name"] != "gblinear":
        return np.asarray(booster.inplace_predict(frame, predict_type="margin" if margins else "value"))
    rows = xgboost.DMatrix(np.asarray(frame, dtype=float))
    return np.asarray(booster.predict(rows, output_margin=margins, validate_features=False))


def _learner(model: Any) -> Any:
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    return json.loads(bytes(booster.save_raw("json")))["learner"]


def _used(model: Any, learner: Any, inner: Any) -> int:
    """Return how many trees predictions use."""
    best = learner["attributes"].get("best_iteration")
    if best is None or not hasattr(model, "get_booster"):
        return len(inner["trees"])
    return int(inner["iteration_indptr"][int(best) + 1])


def _base(name: str, text: str, link: str, outputs: int) -> np.ndarray:
    """Return the start of the sum: xgboost keeps it as a prediction, and computes in single precision."""
    score = np.array([float(one) for one in text.strip("[]").split(",")], dtype=np.float32)
    if link == "logit":
        tiny, one = np.float32(1e-6), np.float32(1)
        score = -np.log(one / np.clip(score, tiny, one - tiny) - one)
    elif link == "log":
        if (score <= 0).any():
            raise InputError(f"the {name} starts from the prediction {score.min():g}, whose logarithm is not finite")
        score = np.log(score)
    return np.full(outputs, score, dtype=float)


def _tree(name: str, nodes: Any, group: int, factor: np.float32, listed: list[np.ndarray]) -> Tree:
    """Return one tree; the codes of its categorical tests are appended to `listed`."""
    left = np.array(nodes["left_children"])
    leaf = left < 0
    split = np.array(nodes["split_conditions"], dtype=np.float32)
    vector = int(nodes["tree_param"]["size_leaf_vector"])
    if vector > 1:
        if "leaf_weights" not in nodes or len(nodes["sum_hessian"]) != len(left):
            raise InputError(f"the {name} has leaves of {vector} values in a form that is not read")
        value = np.zeros((len(left), vector))
        weights = np.array(nodes["leaf_weights"], dtype=np.float32).reshape(-1, vector)
        value[leaf] = weights[np.array(nodes["right_children"])[leaf]]  # where a leaf keeps the place of its values
    else:
        value = np.where(leaf, split, 0).astype(float)[:, None]
    category = np.full(len(left), -1)
    parts = zip(nodes["categories_nodes"], nodes["categories_segments"], nodes["categories_sizes"], strict=True)
    for node, start, size in parts:
        category[node] = len(listed)
        listed.append(np.array(nodes["categories"][start : start + size], dtype=int))
    return Tree(
        left=left, right=np.array(nodes["right_children"]), feature=np.array(nodes["split_indices"]),
        # xgboost sends x < threshold left, in single precision.
        threshold=np.nextafter(split, np.float32(-np.inf)).astype(float),
        missing_left=np.array(nodes["default_left"], dtype=bool), category=category,
        weight=np.array(nodes["sum_hessian"], dtype=float), value=value * float(factor), group=group,
    )  # fmt: skip


def _categories(learner: Any) -> dict[int, list[Any]]:
    """Return the stored categories of each categorical column: texts or whole numbers."""
    booster = learner["gradient_booster"]
    model = booster["gbtree"]["model"] if booster["name"] == "dart" else booster.get("model", {})
    found: dict[int, list[Any]] = {}
    for place, one in enumerate(model.get("cats", {}).get("enc", [])):
        if "type" in one:
            found[place] = list(one["values"])
        elif one["values"]:
            text, ends = np.array(one["values"], dtype=np.int8).tobytes(), one["offsets"]
            found[place] = [text[a:b].decode() for a, b in itertools.pairwise(ends)]
    return found


def _stored(column: pd.Series, known: list[Any] | None) -> np.ndarray:
    """Return the place in the model's list of each category of the column."""
    categories = column.cat.categories
    if known is None:
        return np.arange(len(categories), dtype=float)
    wanted = {value: place for place, value in enumerate(known)}
    for value in categories:
        if value not in wanted:
            near = did_you_mean(str(value), map(str, known))
            bad = (column == value).to_numpy()
            where = f"has the category {value!r} in row {column.index[bad.argmax()]!r}, {int(bad.sum()):,} such rows"
            if not bad.any():
                where = f"lists the category {value!r}, used in no row"
            raise UnknownName(f"column {column.name!r} {where}; the model does not know it{near}")
    return np.array([wanted[value] for value in categories], dtype=float)

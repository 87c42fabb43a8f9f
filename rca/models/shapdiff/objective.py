"""What leads from a model's margin to its prediction, and whether that is known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from rca.errors import InputError
from rca.models.shapdiff.rows import family, last_step

__all__ = ["as_read", "check_objective", "is_linear_booster", "link_of", "outputs_of", "weights"]

CATBOOST = {
    "Logloss": "logit", "CrossEntropy": "logit", "MultiClass": "softmax", "MultiClassOneVsAll": "logit",
    "Poisson": "log", "Tweedie": "log", "LogLinQuantile": "log",
}  # fmt: skip
SPOKEN = {"custom": "a function of its own"}


def link_of(model: Any) -> str:
    """Return the link of a booster or a regression: as in `rca.models.shapdiff.leaves.Leaves`, or "" if not known.

    Parameters
    ----------
    model : object
        A fitted model, no pipeline.

    Returns
    -------
    str
        ``"identity"`` also where a model has no link.
    """
    package = family(model)
    if package == "xgboost":
        from rca.models.shapdiff.leaves import xgb

        return xgb.LINKS.get(_objective(model), "")
    if package == "lightgbm":
        from rca.models.shapdiff.leaves import lgb

        name = _objective(model)
        return "" if "sqrt" in name.split() else lgb.LINKS.get(name.split()[0], "")
    if package == "catboost":
        return CATBOOST.get(_objective(model), "identity")
    return "log" if _logarithm(model) else "identity"


def outputs_of(booster: Any) -> int:
    """Return how many sums a Booster of xgboost or lightgbm has."""
    if family(booster) == "xgboost":
        settings = _config(booster)["learner_model_param"]
        return max(int(settings["num_class"]), int(settings["num_target"]), 1)
    return int(booster.num_model_per_iteration()) if family(booster) == "lightgbm" else 1


def is_linear_booster(model: Any) -> bool:
    """Return whether a model is xgboost's "gblinear"."""
    return family(model) == "xgboost" and _config(model)["gradient_booster"]["name"] == "gblinear"


def weights(model: Any) -> np.ndarray:
    """Return the slopes of xgboost's linear booster, shape (n_features, n_outputs)."""
    booster = _booster(model)
    kept = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["weights"]
    return np.array(kept, dtype=float).reshape(booster.num_features() + 1, -1)[:-1]  # the last ones are no feature's


def as_read(model: Any, rows: np.ndarray) -> np.ndarray:
    """Return rows as xgboost's linear booster reads them: in single precision, and what is missing adds nothing."""
    single = rows.astype(np.float32)
    gone = np.isnan(single) | (single == np.float32(getattr(model, "missing", np.nan)))
    return np.where(gone, 0.0, single.astype(float))


def check_objective(model: Any, output: str) -> None:
    """Raise if a probability or loss is wanted of a booster whose raw score nothing known turns into a probability.

    Parameters
    ----------
    model : object
        A fitted model, or a pipeline that ends in one.
    output : str
        As for `rca.models.shapdiff.explain`.

    Raises
    ------
    InputError
        Naming the objective.
    """
    last = last_step(model)
    if output == "margin" or family(last) not in ("xgboost", "lightgbm"):
        return
    objective = _objective(last)
    unknown = not hasattr(last, "fit") and output == "loss" and objective in ("custom", "binary:logitraw")
    if unknown or (hasattr(last, "classes_") and link_of(last) == "identity"):
        function = getattr(last, "objective", None)
        own = f" ({function.__name__!r})" if callable(function) and hasattr(function, "__name__") else ""
        raise InputError(
            f"the {type(last).__name__} was trained with the objective {SPOKEN.get(objective, repr(objective))}{own}: "
            f"its raw score is no probability, and the way to one is not known; want output='margin', not {output!r}"
        )


def _booster(model: Any) -> Any:
    return model.get_booster() if hasattr(model, "get_booster") else model


def _config(model: Any) -> Any:
    return json.loads(_booster(model).save_config())["learner"]


def _objective(model: Any) -> str:
    """Return the name of a booster's objective; lightgbm's has its settings behind it."""
    if family(model) == "xgboost":
        return str(_config(model)["objective"]["name"])
    if family(model) == "catboost":
        return str(model.get_all_params().get("loss_function", "")).partition(":")[0]
    text = getattr(model, "booster_", model).model_to_string(num_iteration=1, importance_type="split")
    lines = text.partition("\nTree=")[0].splitlines()
    return next((line.partition("=")[2] for line in lines if line.startswith("objective=")), "custom")


def _logarithm(model: Any) -> bool:
    """Return whether the margin of a regression of scikit-learn is the logarithm of its prediction."""
    kinds = {kind.__name__ for kind in type(model).__mro__ if kind.__module__.startswith("sklearn.")}
    if "HistGradientBoostingRegressor" in kinds:
        return str(model.loss) in ("poisson", "gamma")
    if "TweedieRegressor" in kinds:
        return bool(model.link == "log" or (model.link == "auto" and model.power > 0))
    return bool(kinds & {"PoissonRegressor", "GammaRegressor"})

"""SHAP values of tree models, by the shap library or by the model's own library."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from rca.models.shapdiff.rows import family
from rca.progress import track

__all__ = ["is_tree_model", "tree_values"]

# shap draws a bar of its own on standard error when one call takes more than ten seconds.
CHUNK = 500
CHUNK_WITH_BACKGROUND = 50_000  # rows x background rows


def is_tree_model(model: Any) -> bool:
    """Return whether `tree_values` knows this kind of model."""
    if family(model) in ("xgboost", "lightgbm"):
        return True
    from sklearn import ensemble, tree
    from sklearn.dummy import DummyClassifier, DummyRegressor

    if isinstance(model, (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor)):
        # shap takes the start of another first guess, or of the exponential loss, for that of the logistic loss.
        return model.loss != "exponential" and isinstance(model.init_, (DummyClassifier, DummyRegressor))
    return isinstance(
        model,
        (
            ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor,
            ensemble.RandomForestClassifier, ensemble.RandomForestRegressor,
            ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor,
            tree.DecisionTreeClassifier, tree.DecisionTreeRegressor,
        ),
    )  # fmt: skip


def tree_values(
    model: Any, rows: np.ndarray, background: np.ndarray | None, *, progress: bool = False
) -> tuple[np.ndarray, float, str]:
    """Return values, base value and a sentence on how they were computed."""
    if background is None and family(model) in ("xgboost", "lightgbm"):
        both = _native(model, rows)
        return both[:, :-1], float(both[0, -1]), f"Path-dependent TreeSHAP of {family(model)}."
    shap = _shap()
    if background is None:
        explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
        how, chunk = f"Path-dependent TreeSHAP of shap {shap.__version__}.", CHUNK
    else:
        # A bare table of more than 100 rows would be cut to 100 without a word.
        masker = shap.maskers.Independent(background, max_samples=len(background))
        explainer = shap.TreeExplainer(model, data=masker, feature_perturbation="interventional")
        how = f"Interventional TreeSHAP of shap {shap.__version__} against {len(background):,} background rows."
        chunk = max(1, CHUNK_WITH_BACKGROUND // len(background))
    parts = []
    for start in track(range(0, len(rows), chunk), "rows explained", progress=progress):
        part = np.asarray(explainer.shap_values(rows[start : start + chunk], check_additivity=False), dtype=float)
        parts.append(part[..., -1] if part.ndim == 3 else part)  # the second class's probability
    return np.concatenate(parts), float(np.ravel(explainer.expected_value)[-1]), how


def _native(model: Any, rows: np.ndarray) -> np.ndarray:
    if family(model) == "lightgbm":
        return np.asarray(getattr(model, "booster_", model).predict(rows, pred_contrib=True))
    import xgboost

    booster = model.get_booster()
    table = xgboost.DMatrix(rows, feature_names=booster.feature_names)
    return np.asarray(booster.predict(table, pred_contribs=True), dtype=float)


def _shap() -> Any:
    # On import shap changes a colour map of matplotlib in a way that is about to be retired, which is shap's to
    # mend; there is no other way to keep that warning from the reader, or from stopping strict runs.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap
    return shap

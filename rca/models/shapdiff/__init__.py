"""Before/after SHAP: what each feature contributes, where that changed, and what of a changed loss it explains."""

from __future__ import annotations

from rca.models.shapdiff.cohorts import by_cohort
from rca.models.shapdiff.compare import compare, compare_both
from rca.models.shapdiff.explain import explain, reference
from rca.models.shapdiff.interactions import interactions
from rca.models.shapdiff.loss import split_loss
from rca.models.shapdiff.refits import retrain
from rca.models.shapdiff.suspects import suspects

__all__ = [
    "by_cohort",
    "compare",
    "compare_both",
    "explain",
    "interactions",
    "reference",
    "retrain",
    "split_loss",
    "suspects",
]

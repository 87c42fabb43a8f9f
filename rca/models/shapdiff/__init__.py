"""Before/after SHAP: what each feature contributes, and where that changed."""

from __future__ import annotations

from rca.models.shapdiff.compare import compare, compare_both
from rca.models.shapdiff.explain import explain, reference
from rca.models.shapdiff.refits import retrain

__all__ = ["compare", "compare_both", "explain", "reference", "retrain"]

"""Before/after SHAP: what each feature contributes, and where that changed."""

from __future__ import annotations

from rca.models.shapdiff.compare import compare
from rca.models.shapdiff.explain import explain, reference

__all__ = ["compare", "explain", "reference"]

"""Reports: a notebook run with parameters, as a page, Markdown, the executed notebook and tables."""

from __future__ import annotations

from rca.report.failures import Failure
from rca.report.opening import annotated, load, models, omitted, refits
from rca.report.render import Cover
from rca.report.runner import Outcome, report, run
from rca.report.tables import attach

__all__ = [
    "Cover", "Failure", "Outcome", "annotated", "attach", "load", "models", "omitted", "refits", "report", "run",
]  # fmt: skip

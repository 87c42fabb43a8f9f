"""Model files: saved so that opening one runs no code, and read with that checked."""

from __future__ import annotations

from rca.modelfile.content import fingerprint
from rca.modelfile.evidence import TABLES, ModelEvidence, evidence
from rca.modelfile.store import load, save

__all__ = ["TABLES", "ModelEvidence", "evidence", "fingerprint", "load", "save"]

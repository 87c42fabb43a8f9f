"""Findings by role, and the evidence that they rest on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from rca import vocabulary
from rca.evidence import Evidence, Finding

__all__ = ["NO_EVIDENCE", "evidence_table", "table"]

NO_EVIDENCE = "open - no evidence yet"


def table(findings: Sequence[Finding], *, stale: Collection[str] = ()) -> pd.DataFrame:
    """Return the findings, root causes first.

    Parameters
    ----------
    findings : sequence of Finding
        In any order; within a role the order is kept.
    stale : collection of str
        Files of the incident folder that changed since their hash was recorded.

    Returns
    -------
    DataFrame, shape (n_findings, 6)
        ``id``, ``role`` (id of the vocabulary ``finding_roles``, in its order: root cause, trigger, contributing
        factor, ruled out), ``statement``, ``status`` (``supported``, ``refuted``, ``open``, or `NO_EVIDENCE`),
        ``evidence`` (places, separated by semicolons), ``stale`` (those of `stale` that it rests on; else empty).

    Examples
    --------
    >>> rows = [Finding(id="f2", role="trigger", statement="Deployed on Friday"),
    ...         Finding(id="f1", role="root_cause", statement="Sample drawn in one region")]
    >>> table(rows)[["id", "status"]].values.tolist()
    [['f1', 'open - no evidence yet'], ['f2', 'open - no evidence yet']]
    """
    order = {role: number for number, role in enumerate(vocabulary.ids("finding_roles"))}
    rows = []
    for item in sorted(findings, key=lambda finding: order[finding.role]):
        places = "; ".join(piece.label for piece in item.evidence)
        changed = dict.fromkeys(piece.file for piece in item.evidence if piece.file in stale)
        status = item.status if item.evidence else NO_EVIDENCE
        rows.append((item.id, item.role, item.statement, status, places, "; ".join(changed)))
    return pd.DataFrame(rows, columns=["id", "role", "statement", "status", "evidence", "stale"], dtype="str")


def evidence_table(
    evidence: Sequence[Evidence], hashes: Mapping[str, str], changed: Collection[str] = ()
) -> pd.DataFrame:
    """Return every piece of evidence once, with the hash of its file and what became of it.

    Parameters
    ----------
    evidence : sequence of Evidence
        As ``Analysis.evidence`` gives them.
    hashes : mapping
        Path in the incident folder -> SHA-256, as recorded in the manifest.
    changed : collection of str
        Paths whose file is missing or has another hash now.

    Returns
    -------
    DataFrame
        ``place``, ``says``, ``sha256`` (as recorded; empty if none), ``state``: ``recorded``, ``changed since``,
        ``not in manifest`` or ``table of this report``.

    Examples
    --------
    >>> alert = Evidence(file="sources/alerts.csv", locator="row 3", says="Recall fell below 0.8")
    >>> evidence_table([alert], {"sources/alerts.csv": "ab12"}).iloc[0].tolist()
    ['sources/alerts.csv, row 3', 'Recall fell below 0.8', 'ab12', 'recorded']
    """
    unique = dict.fromkeys(evidence)
    rows = [(item.label, item.says, hashes.get(item.file, ""), _state(item, hashes, changed)) for item in unique]
    return pd.DataFrame(rows, columns=["place", "says", "sha256", "state"], dtype="str")


def _state(item: Evidence, hashes: Mapping[str, str], changed: Collection[str]) -> str:
    if item.table:
        return "table of this report"
    if item.file not in hashes:
        return "not in manifest"
    return "changed since" if item.file in changed else "recorded"

"""Findings and the list of evidence."""

from __future__ import annotations

from rca.causes import findings
from rca.evidence import Evidence, Finding

ALERT = Evidence(file="sources/alerts.csv", locator="row 3", says="Recall fell")
LATE = Evidence(file="sources/loads.csv", says="The load was late")
ROW = Evidence(table="cascade", locator="row 1", says="First")


def finding(name: str, role: str, status: str = "supported", evidence: tuple[Evidence, ...] = (ALERT,)) -> Finding:
    return Finding(id=name, role=role, statement=f"{name} happened", status=status, evidence=evidence)


def test_root_causes_stand_first_and_within_a_role_the_order_is_kept() -> None:
    given = [
        finding("f4", "ruled_out", "refuted"), finding("f2", "trigger"), finding("f3", "contributing"),
        finding("f1", "root_cause"), finding("f0", "root_cause"),
    ]  # fmt: skip
    table = findings.table(given)
    assert table["id"].tolist() == ["f1", "f0", "f2", "f3", "f4"]
    assert table["role"].tolist() == ["root_cause", "root_cause", "trigger", "contributing", "ruled_out"]


def test_an_open_finding_says_whether_it_has_evidence() -> None:
    given = [finding("f1", "trigger", "open"), finding("f2", "trigger", "open", ()), finding("f3", "trigger")]
    assert findings.table(given)["status"].tolist() == ["open", "open - no evidence yet", "supported"]


def test_a_finding_names_the_changed_files_that_it_rests_on_each_once() -> None:
    given = [finding("f1", "root_cause", evidence=(ALERT, ALERT, LATE, ROW)), finding("f2", "trigger", evidence=(ROW,))]
    assert findings.table(given)["stale"].tolist() == ["", ""]
    assert findings.table(given, stale={"sources/alerts.csv", "other"})["stale"].tolist() == ["sources/alerts.csv", ""]
    assert findings.table(given)["evidence"].iloc[0].endswith("sources/loads.csv; table cascade, row 1")


def test_no_findings_give_an_empty_table() -> None:
    assert findings.table([]).columns.tolist() == ["id", "role", "statement", "status", "evidence", "stale"]


def test_evidence_stands_once_with_hash_and_state() -> None:
    hashes = {"sources/alerts.csv": "ab" * 32, "sources/changed.csv": "cd" * 32}
    changed = Evidence(file="sources/changed.csv")
    table = findings.evidence_table([ALERT, LATE, ROW, changed, ALERT], hashes, {"sources/changed.csv"})
    assert table[["place", "sha256", "state"]].values.tolist() == [
        ["sources/alerts.csv, row 3", "ab" * 32, "recorded"],
        ["sources/loads.csv", "", "not in manifest"],
        ["table cascade, row 1", "", "table of this report"],
        ["sources/changed.csv", "cd" * 32, "changed since"],
    ]
    assert findings.evidence_table([], {}).columns.tolist() == ["place", "says", "sha256", "state"]

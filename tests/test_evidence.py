"""Evidence, findings, and the manifest that shows when a file changed."""

import hashlib
import json

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from rca import evidence
from rca.conclusions import Action, Analysis, Bone, FailureMode, Why
from rca.errors import InputError, MissingFile, UnsafeInput
from rca.evidence import Evidence, Finding

SEEN = {"file": "sources/a.csv", "locator": "row 1"}


@pytest.fixture
def folder(tmp_path):
    for name, content in {
        "sources/a.csv": "a\n1\n",
        "sources/sub/b.json": "[]",
        "model/m.bin": "x",
        "note.md": "n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize("place", [{}, {"file": "a", "table": "b"}, {"says": "x"}])
def test_evidence_names_a_file_or_a_table_and_not_both(place):
    with pytest.raises(ValidationError, match="either a file of the incident folder or a table"):
        Evidence(**place)


@pytest.mark.parametrize(
    "name", ["sources/./a.csv", "sources//a.csv", "sources/x/../a.csv", "./sources/a.csv", "sources/"]
)
def test_a_file_has_one_spelling_so_that_a_changed_file_is_found(name):
    with pytest.raises(ValidationError, match="write the path as 'sources"):
        Evidence(file=name)


def test_a_label_says_the_place_in_a_few_words():
    assert Evidence(**SEEN).label == "sources/a.csv, row 1"
    assert Evidence(table="cascade").label == "table cascade"


CLAIMS = {
    Finding: {"id": "f", "role": "root_cause", "statement": "s"},
    Why: {"id": "w", "statement": "s", "kind": "technical"},
    Bone: {"category": "Process", "cause": "c"},
}


@pytest.mark.parametrize("kind", CLAIMS)
@pytest.mark.parametrize("status", ["supported", "refuted"])
def test_no_claim_is_supported_or_refuted_without_evidence(kind, status):
    with pytest.raises(ValidationError, match=f"a {status} .* needs evidence"):
        kind(**CLAIMS[kind], status=status)
    assert kind(**CLAIMS[kind], status=status, evidence=[SEEN]).status == status
    assert kind(**CLAIMS[kind]).status == "open"


@pytest.mark.parametrize("kind", CLAIMS)
def test_claims_are_frozen_and_refuse_unknown_keys(kind):
    claim = kind(**CLAIMS[kind])
    with pytest.raises(ValidationError, match="frozen"):
        claim.status = "supported"
    with pytest.raises(ValidationError, match="Extra inputs"):
        kind(**CLAIMS[kind], evidnce=[SEEN])


def test_roles_causes_kinds_and_states_are_words_of_the_vocabulary():
    for wrong in ({"role": "rootcause"}, {"cause": "sampling_artifact"}):
        with pytest.raises(ValidationError, match="did you mean"):
            Finding(**CLAIMS[Finding] | wrong)
    with pytest.raises(ValidationError, match="did you mean 'technical'"):
        Why(**CLAIMS[Why] | {"kind": "tecnical"})
    with pytest.raises(ValidationError, match="did you mean 'dropped'"):
        Action(id="a", action="x", state="droped")


@pytest.mark.parametrize("rating", [0, 11, 1.5, True, "high", None])
def test_a_rating_is_a_whole_number_from_1_to_10(rating):
    row = {
        "id": "x",
        "function": "f",
        "failure_mode": "m",
        "effect": "e",
        "cause": "c",
        "severity": 1,
        "occurrence": 10,
    }
    with pytest.raises(ValidationError):
        FailureMode(**row, detection=rating)
    assert FailureMode(**row, detection=5).detection == 5


@pytest.mark.parametrize("due", [0, 20251130, 5, "30.11.2025", "2025-11-31", "1764460800", "soon"])
def test_a_due_date_is_a_written_date_and_no_count_of_seconds(due):
    with pytest.raises(ValidationError):
        Action(id="a", action="x", due=due)
    assert Action(id="a", action="x", due="2025-11-30").due.isoformat() == "2025-11-30"


def test_whys_need_the_problem_that_they_explain():
    with pytest.raises(ValidationError, match="whys need a problem"):
        Analysis(whys=[CLAIMS[Why]])


def test_an_analysis_lists_each_piece_of_evidence_once():
    other = {"table": "cascade"}
    found = Analysis(
        problem="p",
        findings=[CLAIMS[Finding] | {"evidence": [SEEN, other]}],
        whys=[CLAIMS[Why] | {"evidence": [SEEN]}],
        fishbone=[CLAIMS[Bone] | {"evidence": [other, {"table": "drift"}]}],
    )
    assert [item.label for item in found.evidence] == ["sources/a.csv, row 1", "table cascade", "table drift"]


def test_the_manifest_holds_the_hash_of_every_raw_file_and_of_no_other(folder):
    added = evidence.record(folder)
    assert added == ["model/m.bin", "sources/a.csv", "sources/sub/b.json"]
    held = json.loads((folder / "MANIFEST.json").read_text())
    assert held["sha256"] == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in added}
    assert evidence.recorded(folder) == held["sha256"]
    assert evidence.verify(folder) == []


def test_recording_again_changes_nothing(folder):
    evidence.record(folder)
    before = (folder / "MANIFEST.json").read_bytes()
    assert evidence.record(folder) == []
    assert (folder / "MANIFEST.json").read_bytes() == before


def test_every_difference_is_said_in_words(folder):
    evidence.record(folder)
    (folder / "sources/a.csv").write_text("a\n2\n")
    (folder / "model/m.bin").unlink()
    (folder / "sources/new: file.csv").write_text("")
    assert evidence.verify(folder) == [
        "model/m.bin: recorded, but missing",
        "sources/a.csv: changed since it was recorded",
        "sources/new: file.csv: not in the manifest",
    ]


def test_a_changed_file_is_recorded_only_when_it_is_accepted(folder):
    evidence.record(folder)
    before = (folder / "MANIFEST.json").read_bytes()
    (folder / "sources/a.csv").write_text("a\n2\n")
    (folder / "model/m.bin").unlink()
    with pytest.raises(InputError, match=r"sources/a\.csv: changed") as caught:
        evidence.record(folder)
    assert len(caught.value.problems) == 3
    assert (folder / "MANIFEST.json").read_bytes() == before
    assert evidence.record(folder, accept=True) == ["model/m.bin", "sources/a.csv"]
    assert evidence.verify(folder) == []


def test_a_new_file_is_recorded_without_being_asked(folder):
    evidence.record(folder)
    (folder / "sources/late.csv").write_text("")
    assert evidence.record(folder) == ["sources/late.csv"]


def test_a_raw_file_that_is_a_link_out_of_the_folder_is_refused(folder, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_text("x")
    (folder / "sources/link").symlink_to(secret)
    with pytest.raises(UnsafeInput, match="leaves the incident folder"):
        evidence.record(folder)
    assert not (folder / "MANIFEST.json").exists()


def test_a_file_name_that_is_no_text_is_refused_with_a_message(folder):
    (folder / "sources" / b"caf\xe9.csv".decode("utf-8", "surrogateescape")).write_text("")
    with pytest.raises(InputError, match="control character"):
        evidence.record(folder)


def test_without_a_manifest_the_command_that_makes_it_is_named(folder):
    with pytest.raises(MissingFile, match="rca manifest"):
        evidence.verify(folder)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"5", b"{}", b'{"sha256": []}', b'{"sha256": 5}', b"\xff", b"[" * 100_000,
    b'{"sha256": "x"}']
)  # fmt: skip
def test_a_broken_manifest_is_an_input_error(folder, content):
    (folder / "MANIFEST.json").write_bytes(content)
    with pytest.raises(InputError, match="not a manifest") as caught:
        evidence.recorded(folder)
    assert len(str(caught.value)) < 400


FILES = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.binary(max_size=3))


@given(FILES, FILES)
def test_the_manifest_differs_exactly_where_the_files_do(tmp_path_factory, before, after):
    top = tmp_path_factory.mktemp("incident")
    (top / "sources").mkdir()
    for name, content in before.items():
        (top / "sources" / name).write_bytes(content)
    evidence.record(top)
    for name in before:
        (top / "sources" / name).unlink()
    for name, content in after.items():
        (top / "sources" / name).write_bytes(content)
    expected = {f"sources/{name}" for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert {line.split(":")[0] for line in evidence.verify(top)} == expected

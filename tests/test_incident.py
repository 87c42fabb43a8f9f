"""The incident folder: every problem at once, with its file and line."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given, strategies as st

from rca import evidence, incident, times
from rca.errors import InputError, MissingFile, RcaError, UnsafeInput
from rca.incident.model import IncidentFile

DATASETS = Path(__file__).parent.parent / "datasets"
BASE = """\
id: x
title: "A title"
kind: outage
severity_tier: SEV1
severity_confirmed_by: "incident commander"
as_of: "2025-11-19T00:00:00Z"
systems: [{id: web}, {id: db}]
"""


@pytest.fixture
def make(tmp_path):
    """Write a folder with incident.yaml and others; return its path."""

    def run(text=BASE, analysis=None, **files):
        (tmp_path / "incident.yaml").write_text(text)
        if analysis is not None:
            (tmp_path / "analysis.yaml").write_text(analysis)
        for name, content in files.items():
            path = tmp_path / "sources" / name.replace("_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        return tmp_path

    return run


def said(folder):
    """Every problem, without the path of the folder."""
    return [problem.replace(f"{folder}/", "") for problem in incident.check(folder)]


def test_a_new_folder_passes_the_check_and_is_never_written_over(tmp_path):
    folder = incident.new("case-1", tmp_path)
    assert incident.check(folder) == []
    assert incident.load(folder).file.id == "case-1"
    assert sorted(path.name for path in folder.iterdir()) == [
        ".gitignore",
        "README.md",
        "analysis.yaml",
        "incident.yaml",
        "sources",
    ]
    (folder / "incident.yaml").write_text("mine")
    with pytest.raises(InputError, match="already exists; nothing was changed"):
        incident.new("case-1", tmp_path)
    assert (folder / "incident.yaml").read_text() == "mine"


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a b", "-x", ".x", "é", "x" * 65, "x\n", "a\x00"])
def test_an_id_cannot_leave_the_folder_it_is_made_in(tmp_path, name):
    with pytest.raises(InputError, match="incident id"):
        incident.new(name, tmp_path / "in")
    assert list(tmp_path.iterdir()) == []
    text = BASE.replace("id: x", f"id: {json.dumps(name)}", 1)
    (tmp_path / "incident.yaml").write_text(text)
    if name.strip() == name:
        assert "line 1: id:" in "".join(incident.check(tmp_path))


def test_the_commented_lines_of_the_template_are_right_too(tmp_path):
    folder = incident.new("case-1", tmp_path)
    for name in ("alerts.csv", "metrics.csv", "deploys.json", "chat.jsonl", "spans.json"):
        (folder / "sources" / name).write_text("")
    (folder / "model").mkdir()
    for name in ("before.skops", "after.skops", "holdout.parquet", "window_before.parquet", "window_after.parquet"):
        (folder / "model" / name).write_text("")
    lines = (folder / "incident.yaml").read_text().splitlines()
    optional = [
        line.replace("# ", "", 1) if line.lstrip().startswith("# ") and (":" in line) else line for line in lines[3:]
    ]
    text = "\n".join(optional)
    for key in ("dependencies", "milestones", "sources", "people"):
        for empty in ("[]", "{}"):
            text = text.replace(f"{key}: {empty}", f"{key}:")
    (folder / "incident.yaml").write_text(text)
    assert incident.check(folder) == []
    full = incident.load(folder).file
    assert full.sources and full.people and full.dependencies and full.milestones and full.windows and full.model


@pytest.mark.parametrize("path", sorted(DATASETS.glob("*/incident.yaml")), ids=lambda path: path.parent.name)
def test_the_incidents_that_come_with_the_package_pass_and_are_as_recorded(path):
    assert incident.check(path.parent) == []
    loaded = incident.load(path.parent)
    assert loaded.hashes
    assert loaded.differences == ()


@pytest.mark.parametrize("path", sorted(DATASETS.glob("*/incident.yaml")), ids=lambda path: path.parent.name)
def test_another_reader_of_yaml_sees_the_same_incident(path):
    other = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # every word as text
    ours = incident.load(path.parent).file
    assert [item["id"] for item in other["systems"]] == [system.id for system in ours.systems]
    assert [[item["file"]] for item in other["sources"]] == [source.file for source in ours.sources]
    for name, item in other["milestones"].items():
        for key in ("time", "earliest", "latest"):
            expected = pd.Timestamp(item[key]) if key in item else None
            assert getattr(ours.milestones[name], key) == expected


def test_a_folder_without_the_file_says_how_to_make_one(tmp_path):
    for path in (tmp_path, tmp_path / "gone", tmp_path / "a\x00b"):
        with pytest.raises(MissingFile, match=r"incident\.yaml: no such file; `rca new ID`"):
            incident.load(path)
    (tmp_path / "incident.yaml").mkdir()
    with pytest.raises(UnsafeInput, match="not a plain file"):
        incident.load(tmp_path)


def test_problems_of_both_files_and_of_the_manifest_are_listed_together(make):
    folder = make(BASE + "sevrity: 1\n", "findings:\n- {id: f, role: rot_cause, statement: s}\nwys: []\n")
    (folder / "MANIFEST.json").write_text("[]")
    found = said(folder)
    assert found[:3] == [
        "incident.yaml: line 8: unknown key 'sevrity'; did you mean 'severity_tier'?",
        "analysis.yaml: line 2: role: bad finding role 'rot_cause'; did you mean 'root_cause'?",
        "analysis.yaml: line 3: unknown key 'wys'; did you mean 'whys'?",
    ]
    assert found[3].startswith("MANIFEST.json: not a manifest")


WRONG = {
    "unknown key": ("title:", "titel:", ["line 1: title: required, but missing",
        "line 2: unknown key 'titel'; did you mean 'title'?"]),
    "kind": ("outage", "outge", ["line 3: kind: bad incident kind 'outge'; did you mean 'outage'?"]),
    "tier": ("SEV1", "sev1", ["line 4: severity_tier: bad severity tier 'sev1'; did you mean 'SEV1'?"]),
    "naive time": ("00:00:00Z", "00:00:00",
        ["line 6: as_of: time: '2025-11-19T00:00:00' has no time zone; write an offset such as Z or +01:00"]),
    "no time": ('"2025-11-19T00:00:00Z"', "soon",
        ["line 6: as_of: time: 'soon' is not an ISO 8601 time such as 2025-11-18T11:20:00Z"]),
    "number for a time": ('"2025-11-19T00:00:00Z"', "20251119",
        ["line 6: as_of: a time is text such as 2025-11-18T11:20:00Z, not int"]),
    "empty": ('"A title"', '" "', ["line 2: title: is empty, found ' '"]),
    "nothing": ('"A title"', "", ["line 2: title: expected text, in quotes, found nothing"]),
    "no systems": ("[{id: web}, {id: db}]", "[]", ["line 7: systems: is empty, found a list"]),
    "duplicate id": ("{id: db}", "{id: web}", ["line 7: duplicate id 'web'"]),
    "yaml tag": ('"A title"', "!!python/object:os.system x",
        ["line 2: tags (!) are not allowed; put the text in quotes if it is meant"]),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_line_is_named_with_what_is_wanted(make, case):
    old, new, problems = WRONG[case]
    assert old in BASE
    assert said(make(BASE.replace(old, new))) == [f"incident.yaml: {problem}" for problem in problems]


DURING = "{start: 2025-11-18T02:00Z, end: 2025-11-18T03:00Z}"
ADDED = {
    "dependencies: [{cause: web, effect: dbb}]": "line 8: unknown system 'dbb'; did you mean 'db'?",
    "symptom: {system: wbe, metric: m}": "line 8: unknown system 'wbe'; did you mean 'web'?",
    "milestones: {detectd: {time: 2025-11-18T00:00Z}}":
        "line 8: milestones: bad milestone 'detectd'; did you mean 'detected'?",
    "milestones: {detected: {}}": "line 8: milestones.detected: a milestone has a time, or both earliest and latest",
    "milestones: {detected: {time: 2025-11-20T00:00Z}}":
        "line 8: 'detected' at 2025-11-20 00:00 UTC is later than as_of (2025-11-19 00:00 UTC)",
    "milestones: {detected: {earliest: 2025-11-18T01:00Z, latest: 2025-11-18T00:00Z}}":
        "line 8: milestones.detected: latest is before earliest",
    "windows: {before: {start: 2025-11-18T01:00Z, end: 2025-11-18T01:00Z}, during: " + DURING + "}":
        "line 8: windows.before: window ends (2025-11-18 01:00 UTC) before it starts (2025-11-18 01:00 UTC)",
    "windows: {before: {start: 2025-11-18T01:00Z, end: 2025-11-18T02:30Z}, during: " + DURING + "}":
        "line 8: windows: the windows before and during overlap",
    "impact: {cost: {value: 5}}": 'line 8: impact.cost: a figure needs evidence; else write "not measured"',
    "harmful: {recall: dwon}":
        "line 8: harmful.recall: Input should be 'up', 'down', 'both' or 'neither', found 'dwon'",
    "sources: [{id: a, file: sources/a.csv, time: {zone: Europe/Berln}}]":
        "line 8: sources.0.time.zone: unknown time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?",
    "sources: [{id: a, file: sources/a.csv, time: {format: iso}}]":
        "line 8: sources.0.time.format: time format 'iso' is no pattern such as %Y-%m-%d; did you mean 'iso8601'?",
    "sources: [{id: a, file: sources/a.csv, columns: {message: []}}]":
        "line 8: sources.0.columns.message: is empty, found a list",
    "sources: [{id: a, file: sources/a.csv, constant: {kind: deploy}, columns: {kind: k}}]":
        "line 8: sources.0: 'kind' stands under columns and under constant",
    "sources: [{id: a, file: sources/a.csv, scale: 1000}]": "line 8: sources.0: scale is for metrics, not for events",
    "sources: [{id: a, file: sources/a.csv, table: metrics, native_id: x}]":
        "line 8: sources.0: native_id is for events, not for metrics",
    "sources: [{id: a, file: sources/a.csv, records: /x}]": "line 8: sources.0: records is for json, not for csv",
    "sources: [{id: a, file: sources/a.csv, table: metrics, scale: .nan}]":
        "line 8: sources.0.scale: Input should be a valid number, unable to parse string as a number, found '.nan'",
    "sources: [{id: a, file: sources/a.csv, table: metrics, scale: true}]":
        "line 8: sources.0.scale: expected a number, found true or false",
    "sources: [{id: a, file: sources/a.csv}, {id: a, file: sources/a.csv}]": "line 8: duplicate id 'a'",
    "sources: [{id: a, file: sources/b.csv}]": "line 8: 'sources/b.csv': no such file in the incident folder",
    "sources: [{id: a, file: sources}]": "line 8: 'sources': no such file in the incident folder",
    "sources: [{id: a, file: ../a.csv}]": "line 8: path '../a.csv' leaves the incident folder",
    "sources: [{id: a, file: /etc/passwd}]": "line 8: path '/etc/passwd' leaves the incident folder",
    "sources: [{id: a, file: sources/../sources/a.csv}]": "line 8: sources.0.file.0: write the path as 'sources/a.csv'",
    'sources: [{id: a, file: "sources/a.csv\\0"}]':
        "line 8: path 'sources/a.csv\\x00' is empty or has a control character",
    "model: {before: ../m.skops}": "line 8: path '../m.skops' leaves the incident folder",
    "model: {holdout: model/h.parquet}": "line 8: 'model/h.parquet': no such file in the incident folder",
    "milestones: {detected: {time: 2025-11-18T00:00Z, evidence: [{file: ../../x}]}}":
        "line 8: path '../../x' leaves the incident folder",
    "impact: {affected_groups: {g: {value: 1, evidence: [{file: sources/gone}]}}}":
        "line 8: 'sources/gone': no such file in the incident folder",
    "people: [{name: A, role: b, alias: [c]}]": "line 8: unknown key 'alias'; did you mean 'aliases'?",
}  # fmt: skip


@pytest.mark.parametrize("line", ADDED)
def test_a_wrong_part_is_named_with_its_line(make, line):
    assert said(make(BASE + line + "\n", a_csv="time\n")) == [f"incident.yaml: {ADDED[line]}"]


def test_a_source_that_is_a_link_out_of_the_folder_is_unsafe(make, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.csv"
    secret.write_text("x")
    folder = make(BASE + "sources: [{id: a, file: sources/a.csv}]\n", b_csv="")
    (folder / "sources" / "a.csv").symlink_to(secret)
    with pytest.raises(UnsafeInput, match=r"incident\.yaml: line 8: path 'sources/a\.csv' leaves"):
        incident.load(folder)


def test_the_kind_of_error_tells_unsafe_and_missing_files_apart(make):
    with pytest.raises(MissingFile):
        incident.load(make(BASE + "sources: [{id: a, file: sources/b.csv}]\n"))
    with pytest.raises(UnsafeInput):
        incident.load(make(BASE, "findings: [{id: f, role: trigger, statement: s, evidence: [{file: ../x}]}]\n"))


def test_actions_must_address_something_that_is_there(make):
    folder = make(
        BASE,
        "problem: p\nwhys: [{id: w1, statement: s, kind: data}]\n"
        "fmea: [{id: w1, function: f, failure_mode: m, effect: e, cause: c, severity: 1, occurrence: 2, detection: 3}]"
        "\n"
        "actions:\n- {id: a1, action: do, addresses: [w1, w2]}\n",
    )
    assert said(folder) == [
        "analysis.yaml: line 3: duplicate id 'w1'",
        "analysis.yaml: line 5: addresses unknown id 'w2'; known: a1, w1",
    ]


def test_a_file_that_changed_is_named_and_not_refused(make):
    folder = make(BASE + "sources: [{id: a, file: 'sources/a: b.csv'}]\n")
    (folder / "sources").mkdir()
    (folder / "sources/a: b.csv").write_text("old")
    evidence.record(folder)
    assert incident.load(folder).changed == frozenset()
    (folder / "sources/a: b.csv").write_text("new")
    assert incident.load(folder).changed == {"sources/a: b.csv"}


def test_declared_milestones_and_impact_are_tables_with_their_evidence(make):
    seen = "evidence: [{file: sources/a.csv, locator: row 3}]"
    folder = make(
        BASE + "milestones:\n  detected: {time: 2025-11-18T12:00+01:00, " + seen + "}\n"
        "  mitigated: {earliest: 2025-11-18T13:00Z, latest: 2025-11-18T14:00Z}\n"
        "impact:\n  affected_users: {value: 5, of: 10, "
        + seen
        + "}\n  cost: {low: 1, high: 2, unit: EUR, "
        + seen
        + "}\n"
        "  affected_groups: {young: not measured}\n",
        a_csv="",
    )
    found = incident.load(folder)
    assert found.milestones.loc["detected", "time"] == pd.Timestamp("2025-11-18T11:00Z")
    assert found.milestones["evidence"].tolist() == ["sources/a.csv, row 3", ""]
    assert [str(found.milestones[name].dtype) for name in ("time", "earliest", "latest")] == [times.UTC] * 3
    impact = found.impact.set_index("quantity")
    assert impact.loc["affected users", ["value", "of", "basis"]].tolist() == [5, 10, "sources/a.csv, row 3"]
    assert impact.loc["cost", ["low", "high", "unit"]].tolist() == [1, 2, "EUR"]
    assert impact.loc[["affected decisions", "affected group: young"], "basis"].tolist() == ["not measured"] * 2


@pytest.mark.parametrize(
    ("figure", "wrong"),
    [("value: 11, of: 10", "more than the 10"), ("low: 1", "both low and high"), ("low: 2, high: 1", "low first"),
        ("high: 2", "both low")],
)  # fmt: skip
def test_a_figure_that_contradicts_itself_is_refused(make, figure, wrong):
    (problem,) = said(make(BASE + f"impact: {{cost: {{{figure}, evidence: [{{file: sources/a.csv}}]}}}}\n", a_csv=""))
    assert wrong in problem


def test_an_incident_without_analysis_has_an_empty_one(make):
    assert incident.load(make()).analysis.findings == ()
    assert incident.load(make()).hashes == {}


def test_the_schemas_for_editors_allow_what_the_reader_allows():
    schemas = incident.schema()
    assert set(schemas) == {"incident.yaml", "analysis.yaml"}
    assert set(schemas["incident.yaml"]["properties"]) == set(IncidentFile.model_fields)
    columns = schemas["incident.yaml"]["$defs"]["Source"]["properties"]["columns"]
    assert columns["additionalProperties"]["anyOf"][0] == {"type": "string"}
    assert all(
        item["additionalProperties"] is False
        for item in schemas["incident.yaml"]["$defs"].values()
        if "properties" in item
    )
    json.dumps(schemas)


LINES = (DATASETS / "bot-feature-file-outage" / "incident.yaml").read_text().splitlines()
HOSTILE = [
    "!!python/object:x",
    "&a",
    "*a",
    "[",
    "{",
    "'",
    '"\\ud800"',
    "~",
    "5",
    "- x",
    "a: b",
    "\t",
    "../..",
    "9" * 99,
    "\x00",
    "2025-01-01",
]


@given(
    st.lists(st.tuples(st.integers(0, len(LINES) - 1), st.sampled_from(HOSTILE), st.booleans()), min_size=1, max_size=4)
)
def test_no_change_to_a_good_file_ends_in_another_error(tmp_path_factory, changes):
    lines = list(LINES)
    for number, text, whole in changes:
        key = lines[number].partition(": ")[0]
        lines[number] = text if whole else f"{key}: {text}"
    folder = tmp_path_factory.mktemp("incident")
    shutil.copytree(DATASETS / "bot-feature-file-outage" / "sources", folder / "sources")
    (folder / "incident.yaml").write_text("\n".join(lines))
    try:
        incident.load(folder)
    except RcaError as error:
        assert all(len(line) < 700 for line in str(error).splitlines())


def test_conclusions_behind_a_link_that_leaves_the_folder_are_not_read(tmp_path):
    folder = incident.new("case-1", tmp_path)
    (tmp_path / "elsewhere.yaml").write_text("summary: not ours\n")
    (folder / "analysis.yaml").unlink()
    (folder / "analysis.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    assert "leaves the incident folder" in incident.check(folder)[0]


def test_the_file_itself_may_be_named_instead_of_its_folder(tmp_path):
    folder = incident.new("case-1", tmp_path)
    assert incident.load(folder / "incident.yaml").folder == folder


@pytest.mark.parametrize(
    ("section", "empty"),
    [("sources", []), ("dependencies", []), ("people", []), ("missing", []), ("milestones", {}), ("harmful", {})],
)
@pytest.mark.parametrize("null", ["", " null", " ~"])
def test_a_list_or_section_with_nothing_behind_it_is_empty(tmp_path, section, empty, null):
    folder = incident.new("case-1", tmp_path)
    lines = (folder / "incident.yaml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith((f"{section}:", "impact:", "  affected_", "  cost:"))]
    (folder / "incident.yaml").write_text("\n".join([*kept, f"{section}:{null}", "impact:"]))
    found = incident.load(folder).file
    assert getattr(found, section) == empty
    assert found.impact.affected_users.value is None


def test_the_parts_of_a_source_may_stand_empty_but_a_word_that_is_needed_may_not(tmp_path):
    folder = incident.new("case-1", tmp_path)
    (folder / "sources" / "a.csv").write_text("time,message\n")
    text = "\n".join(
        line for line in (folder / "incident.yaml").read_text().splitlines() if not line.startswith("sources:")
    )
    entry = "\nsources:\n  - id: a\n    file: sources/a.csv\n    columns:\n    constant:\n    time:\n"
    (folder / "incident.yaml").write_text(text + entry)
    (source,) = incident.load(folder).file.sources
    assert (source.columns, source.constant, source.time.format) == ({}, {}, "iso8601")
    (folder / "incident.yaml").write_text(text + entry + "    reader:\n")
    assert "reader" in incident.check(folder)[0]

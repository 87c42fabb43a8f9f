"""The command: exit codes, messages on standard error, and nothing written when the input is wrong."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rca import cli, evidence

DATASETS = Path(__file__).parent.parent / "datasets"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(DATASETS / "bot-feature-file-outage", tmp_path / "outage"))


@pytest.fixture
def rca(monkeypatch, capsys):
    """Run the command in this process; return (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rca", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return stop.value.code or 0, out, err

    return run


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_help_names_every_command_and_needs_no_heavy_import():
    code = (
        "import sys\nsys.argv = ['rca', '--help']\nfrom rca import cli\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'pandas', 'numpy', 'pydantic', 'matplotlib', 'sklearn', 'shap'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
    for command in ("demo", "new", "check", "manifest", "verify", "schema", "report", "run"):
        assert command in done.stdout


def test_a_new_incident_passes_check(rca, tmp_path):
    assert rca("new", "my-incident", "--in", tmp_path)[0] == 0
    code, out, err = rca("check", tmp_path / "my-incident")
    assert (code, err) == (0, "")
    assert "no problems" in out


def test_a_new_incident_never_overwrites(rca, tmp_path):
    rca("new", "x", "--in", tmp_path)
    (tmp_path / "x" / "incident.yaml").write_text("mine")
    code, _, err = rca("new", "x", "--in", tmp_path)
    assert code == 2
    assert "already exists" in err
    assert (tmp_path / "x" / "incident.yaml").read_text() == "mine"


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "x" * 65])
def test_a_new_incident_cannot_leave_its_folder(rca, tmp_path, name):
    code, _, err = rca("new", name, "--in", tmp_path / "in")
    assert code == 2
    assert "incident id" in err
    assert list(tmp_path.rglob("*")) == []


def test_check_lists_every_problem_at_once_with_file_and_line(rca, folder):
    edit(folder / "incident.yaml", "kind: pipeline-change", "kind: pipeline-chnage")
    edit(folder / "incident.yaml", 'as_of: "2025-11-19T00:00:00Z"', 'as_of: "2025-11-19 00:00"')
    edit(folder / "incident.yaml", "cause: feature-file, effect", "cause: featur-file, effect")
    edit(folder / "analysis.yaml", "role: trigger", "role: triger")
    code, out, err = rca("check", folder)
    assert (code, out) == (2, "")
    for part in (
        "line 4",
        "did you mean 'pipeline-change'",
        "has no time zone",
        "did you mean 'feature-file'",
        "did you mean 'trigger'",
    ):
        assert part in err
    assert err.count("incident.yaml: line") == 3


BAD = {
    "a missing file": (lambda f: (f / "sources/statements.csv").unlink(), "no such file"),
    "an unknown key": (lambda f: edit(f / "incident.yaml", "title:", "titel:"), "did you mean 'title'"),
    "an unparsable time": (lambda f: edit(f / "sources/statements.csv", "2025-11-18T11:05:00Z", "around eleven"), "row 1"),
    "a naive time": (lambda f: edit(f / "sources/statements.csv", "2025-11-18T11:05:00Z", "2025-11-18T11:05:00"), "no time zone"),
    "a duplicate id": (lambda f: edit(f / "incident.yaml", "id: feature-query", "id: feature-file"), "duplicate id"),
    "two records with one id": (lambda f: edit(f / "sources/statements.csv", "s02,", "s01,"), "duplicate id"),
    "a path out of the folder": (lambda f: edit(f / "incident.yaml", "file: sources/statements.csv\n    columns", "file: ../x.csv\n    columns"), "leaves the incident folder"),
    "a required table without rows": (lambda f: (f / "sources/statements.csv").write_text("id,time,kind,statement\n"), "no rows"),
    "an edge to an unknown system": (lambda f: edit(f / "incident.yaml", "effect: dashboard", "effect: dashbord"), "did you mean 'dashboard'"),
    "an event after the as-of date": (lambda f: edit(f / "incident.yaml", "2025-11-19T00:00:00Z", "2025-11-18T17:00:00Z"), "later"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("command", ["report", "check"])
def test_bad_input_ends_with_exit_2_a_message_and_nothing_written(rca, folder, tmp_path, monkeypatch, what, command):
    break_it, message = BAD[what]
    break_it(folder)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code, out, err = rca(command, folder)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_pickled_model_is_refused_without_trust(rca, folder, tmp_path):
    (folder / "model").mkdir()
    (folder / "model" / "before.skops").write_bytes(pickle.dumps({"a": 1}))
    edit(folder / "incident.yaml", "impact:", "model: {before: model/before.skops}\n\nimpact:")
    code, _, err = rca("report", folder, "--out", tmp_path / "reports")
    assert code == 2
    assert "--trust" in err
    assert not (tmp_path / "reports").exists()


def test_an_optional_export_without_rows_is_kept_as_evidence(rca, tmp_path):
    rca("new", "quiet", "--in", tmp_path)
    (tmp_path / "quiet" / "sources" / "alerts.csv").write_text("time,message\n")
    source = "sources: [{id: alerts, file: sources/alerts.csv, constant: {kind: alert}}]"
    edit(tmp_path / "quiet" / "incident.yaml", "sources: []", source)
    assert rca("check", tmp_path / "quiet")[0] == 2
    edit(tmp_path / "quiet" / "incident.yaml", "{kind: alert}}", "{kind: alert}, required: false}")
    code, out, _ = rca("check", tmp_path / "quiet")
    assert code == 0
    assert "1 sources, 0 events" in out


def test_a_due_date_after_the_as_of_date_is_fine(rca, folder):
    with (folder / "analysis.yaml").open("a") as handle:
        handle.write("actions: [{id: a1, action: Check, addresses: [f-query], owner: team, due: '2030-01-01'}]\n")
    assert rca("check", folder)[0] == 0


def test_verify_names_the_file_that_changed(rca, folder):
    assert rca("verify", folder)[0] == 0
    with (folder / "sources" / "statements.csv").open("a") as handle:
        handle.write("\n")
    code, out, err = rca("verify", folder)
    assert (code, out) == (1, "")
    assert err.strip() == "sources/statements.csv: changed since it was recorded"


def test_a_changed_export_is_recorded_only_when_accepted(rca, folder):
    recorded = evidence.recorded(folder)
    with (folder / "sources" / "statements.csv").open("a") as handle:
        handle.write("\n")
    code, _, err = rca("manifest", folder)
    assert code == 2
    assert "raw exports are never changed" in err
    assert evidence.recorded(folder) == recorded
    assert rca("manifest", folder, "--accept")[1].strip() == "sources/statements.csv"
    assert rca("verify", folder)[0] == 0


def test_schema_writes_json_schema_that_knows_the_keys(rca, tmp_path):
    assert rca("schema", "--out", tmp_path)[0] == 0
    content = json.loads((tmp_path / "incident.schema.json").read_text())
    assert {"id", "systems", "sources"} <= set(content["properties"])
    assert content["additionalProperties"] is False
    assert (tmp_path / "analysis.schema.json").exists()


def test_a_mistyped_parameter_is_refused_by_name_before_anything_runs(rca, folder, tmp_path):
    code, _, err = rca("run", "why", folder, "-p", "with_nams=yes", "--out", tmp_path / "reports")
    assert code == 2
    assert "did you mean 'with_names'" in err
    assert not (tmp_path / "reports").exists()


def test_an_unknown_notebook_is_refused_with_the_nearest_name(rca, folder):
    code, _, err = rca("run", "what-broke-frist", folder)
    assert code == 2
    assert "did you mean 'what-broke-first'" in err


def test_a_parameter_needs_an_equals_sign(rca, folder):
    code, _, err = rca("run", "why", folder, "-p", "with_names")
    assert code == 2
    assert "NAME=VALUE" in err


def test_a_folder_that_cannot_be_written_is_a_message_not_a_traceback(rca, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = rca("schema", "--out", tmp_path / "file" / "below")
    assert code == 2
    assert "below" in err
    assert "Traceback" not in err


DANGLING = {
    "a row that is not there": ('locator: "row 1"', 'locator: "row 99"', "the file ends at row 21"),
    "a category that is not there": ("category: Technology", "category: Techology", "did you mean 'Technology'"),
    "a why that repeats the one before": (
        "The file held more features than the limit of 200",
        "The proxy could not use the feature file: the new one stopped, the old one scored every request 0",
        "repeats",
    ),
}


@pytest.mark.parametrize("what", DANGLING)
def test_a_conclusion_that_cannot_be_shown_is_refused(rca, folder, what):
    old, new, message = DANGLING[what]
    edit(folder / "analysis.yaml", old, new)
    code, _, err = rca("check", folder)
    assert code == 2
    assert message in err


def test_a_symptom_or_direction_of_an_unknown_metric_is_refused_with_the_nearest_name(rca, tmp_path):
    copy = Path(shutil.copytree(DATASETS / "fraud-model-regression", tmp_path / "fraud"))
    edit(copy / "incident.yaml", "metric: recall", "metric: recal")
    edit(copy / "incident.yaml", "  null_share:", "  nul_share:")
    code, _, err = rca("check", copy)
    assert code == 2
    assert "did you mean 'recall'" in err
    assert "did you mean 'null_share'" in err

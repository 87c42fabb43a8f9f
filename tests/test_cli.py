"""The command: exit codes, messages on standard error, and nothing written when the input is wrong."""

import json
import multiprocessing
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from rca import __version__, custody, evidence, incident, report, times
from rca.cli import looking
from rca.cli.listing import Clock
from rca.errors import InputError
from rca.sources import derived

CLUSTER = {
    "kind": "List",
    "items": [
        {
            "kind": "Event", "metadata": {"uid": uid, "resourceVersion": "7"}, "reason": reason, "message": reason,
            "involvedObject": {"kind": "Pod", "name": "web-1"}, "type": "Warning", "count": count,
            "firstTimestamp": first, "lastTimestamp": last,
        }
        for uid, reason, count, first, last in (
            ("a", "BackOff", 61, "2025-10-26T00:30:00Z", "2025-10-26T01:30:00Z"),
            ("b", "Pulled", 1, "2025-10-26T00:45:07Z", "2025-10-26T00:45:07Z"),
        )
    ],
}  # fmt: skip
DATASETS = Path(__file__).parent.parent / "datasets"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(DATASETS / "bot-feature-file-outage", tmp_path / "outage"))


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


FILLED = {
    "title": ("What happened, in one line", "Scores fell to zero"),
    "kind": ("# FILL IN: model-failure", "# model-failure"),
    "severity_tier": ("severity_tier: SEV3 ", "severity_tier: SEV1 "),
    "severity_confirmed_by": ("# FILL IN: ... of", "# of"),
    "as_of": ("2100-01-01", "2026-01-01"),
    "systems.0.id": ("id: my-model", "id: scorer"),
}


def test_check_of_a_new_incident_names_each_value_of_the_template_with_file_line_and_key(rca, tmp_path):
    rca("new", "mine", "--in", tmp_path)
    folder = tmp_path / "mine"

    def named():
        code, out, err = rca("check", folder)
        assert (code, err) == (0, "")
        return [line.removeprefix("fill in: ") for line in out.splitlines() if line.startswith("fill in: ")]

    lines = (folder / "incident.yaml").read_text().splitlines()
    said = named()
    assert [line.split(": ")[1] for line in said[:-1]] == list(FILLED)
    assert said[-1].startswith("README.md: ")
    for line in said[:-1]:
        place, key, _ = line.split(": ", 2)
        assert f"{key.rpartition('.')[2]}: " in lines[int(place.removeprefix("incident.yaml line ")) - 1]
    for key, change in FILLED.items():
        edit(folder / "incident.yaml", *change)
        before, said = said, named()
        assert [line.split(": ")[1] for line in before if line not in said] == [key]
    edit(folder / "README.md", "Datasheet of this incident: fill in before you share it.", "Exported on call.")
    assert named() == []


def test_dots_of_an_example_that_somebody_took_over_are_named(rca, tmp_path):
    rca("new", "mine", "--in", tmp_path)
    edit(tmp_path / "mine" / "analysis.yaml", "findings: []", "findings: [{id: f1, role: trigger, statement: '...'}]")
    out = rca("check", tmp_path / "mine")[1]
    assert "fill in: analysis.yaml line 6: findings.0.statement: '...' is the template's" in out
    assert "analysis.yaml does not say yet: summary, problem, whys, actions" in out


def test_incidents_that_are_filled_in_hold_nothing_of_the_template(rca):
    for folder in sorted(DATASETS.iterdir()):
        assert "fill in:" not in rca("check", folder)[1]


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


# The timeline


@pytest.fixture
def cluster(rca, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return events(rca, tmp_path, "cluster.json", json.dumps(CLUSTER))


def events(rca, tmp_path, name, text, *options):
    """Return a new incident with one export."""
    rca("new", "x", "--in", tmp_path)
    (tmp_path / name).write_text(text)
    code, _, err = rca("import", tmp_path / "x", tmp_path / name, *options)
    assert (code, err) == (0, "")
    return tmp_path / "x"


def look(capsys, path, **how):
    """Return what `rca timeline` writes to standard output and standard error."""
    asked = {"start": "", "end": "", "systems": [], "kinds": [], "search": "", "step": "", "limit": 0, "out": None}
    looking.look(path, **asked | how)
    out, err = capsys.readouterr()
    return out.splitlines(), err


def test_happenings_of_a_cluster_are_counted_between_their_first_and_last_time_and_the_estimate_is_said(
    capsys, cluster
):
    out, err = look(capsys, cluster, step="15min")
    assert err == ""
    assert [" ".join(line.split()) for line in out[:-1]] == [
        "2025-10-26 00:30 UTC log 15 (14 of them by estimate)",
        "2025-10-26 00:45 UTC log 16 (15 of them by estimate)",
        "2025-10-26 01:00 UTC log 15 (15 of them by estimate)",
        "2025-10-26 01:15 UTC log 15 (15 of them by estimate)",
        "2025-10-26 01:30 UTC log 1",
    ]
    assert out[-1].startswith("by estimate: of 59 of the 62 records only the first and the last time are known")


def test_records_that_stand_several_times_in_an_export_are_not_spread_over_what_they_lasted(rca, capsys, tmp_path):
    line = "2025-03-01T10:00Z,2025-03-01T11:00Z,loaded\n"
    options = ("--kind", "data_load", "--column", "time=began", "--column", "time_end=ended", "--column", "message=m")
    path = events(rca, tmp_path, "a.csv", f"began,ended,m\n{line}{line}", *options)
    assert [line.split() for line in look(capsys, path, step="1h")[0]] == [
        ["2025-03-01", "10:00", "UTC", "data_load", "2"]
    ]


def test_a_listing_has_one_precision_and_names_the_zone_that_is_asked_for(capsys, cluster):
    out, _ = look(capsys, cluster)
    assert [line[:24] for line in out] == ["2025-10-26 00:30:00 UTC ", "2025-10-26 00:45:07 UTC "]
    assert "(x61 until 2025-10-26 01:30:00 UTC)" in out[0]
    out, _ = look(capsys, cluster, zone="Europe/Berlin")
    assert out[0] == "times in Europe/Berlin"
    assert [line[:26] for line in out[1:]] == ["2025-10-26 02:30:00+02:00 ", "2025-10-26 02:45:07+02:00 "]
    assert "(x61 until 2025-10-26 02:30:00+01:00)" in out[1]


def test_local_times_are_those_of_the_zone(capsys, cluster):
    out, _ = look(capsys, cluster, start="2025-10-26 02:40+02:00", end="2025-10-26 03:00", zone="Europe/Berlin")
    assert len(out) == 2
    assert "Pulled" in out[1]
    out, err = look(capsys, cluster, start="2025-10-26 03:00", zone="Europe/Berlin")
    assert (out, err) == ([], "no events\n")


@pytest.mark.parametrize(
    ("start", "zone", "said"),
    [
        ("2025-10-26 02:30", "Europe/Berlin", "clocks go back and show it twice, from +02:00 to +01:00; write its offset"),
        ("2025-03-30 02:30", "Europe/Berlin", "clocks go forward and skip it, from +01:00 to +02:00"),
        ("2025-10-26 02:30", "", "has no time zone; write an offset such as Z or +01:00, or say --zone ZONE"),
        ("2025-10-26 02:30", "Europe/Berln", "did you mean 'Europe/Berlin'?"),
        ("soon", "Europe/Berlin", "'soon' is not an ISO 8601 time"),
        (" ", "Europe/Berlin", "--from is empty"),
    ],
)  # fmt: skip
def test_a_time_that_is_not_one_instant_is_refused_with_the_reason(capsys, cluster, start, zone, said):
    with pytest.raises(InputError) as caught:
        look(capsys, cluster, start=start, zone=zone)
    assert said in str(caught.value)
    assert "--from" in str(caught.value) or "zone" in said or "Berlin" in said
    assert str(caught.value).count("--from") <= 1


def test_the_zone_is_an_option_of_the_command(rca, cluster):
    code, out, err = rca("timeline", cluster, "--zone", "Europe/Berlin", "--from", "2025-10-26 02:00+02:00")
    assert (code, err, out.splitlines()[0], len(out.splitlines())) == (0, "", "times in Europe/Berlin", 3)
    code, _, err = rca("timeline", cluster, "--zone", "Europe/Berlin", "--to", "2025-10-26 02:30")
    assert (code, "show it twice" in err) == (2, True)


def test_a_report_says_what_is_still_the_templates(tmp_path, rca):
    rca("new", "x", "--in", tmp_path)
    said = " ".join(report.load(tmp_path / "x")[1].notes)
    assert "title: 'What happened, in one line' is the template's" in said
    assert "as_of: '2100-01-01T00:00:00Z' is the template's" in said


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=8), st.sampled_from([1, 10**3, 10**6, 10**9, 60 * 10**9]))
def test_different_times_of_a_listing_are_written_differently_and_all_alike_long(parts, grain):
    base = pd.Timestamp("2025-03-01T10:00Z").value
    seen = pd.Series(pd.to_datetime([base + part * grain % 10**16 for part in parts], utc=True)).astype(times.UTC)
    for zone in ("", "Asia/Kathmandu"):
        clock = Clock.of(seen, zone=zone)
        texts = [clock(time) for time in seen]
        assert len(set(texts)) == seen.nunique()
        assert {len(text) for text in texts} == {clock.width}
        fewer = {text[: (19, 23, 26)[clock.digits // 3 - 1]] for text in texts}
        assert clock.digits < 3 or len(fewer) < len(set(texts))  # no more digits than it takes
        back = [pd.Timestamp(text.replace(" UTC", "+00:00")) for text in texts]
        assert all(pd.Timedelta(0) <= time - shown < pd.Timedelta("1s") for time, shown in zip(seen, back, strict=True))


def test_what_strangers_wrote_cannot_steer_the_terminal_nor_flood_it(rca, capsys, tmp_path):
    evil = [
        "\x1b[2J\x1b[31mred",
        "a\r\nb\tc\x07\x9b1m",
        "\u202eabc\u2069\u200f\u061c",
        "x" * 100_000,
        "\u2028\ufeff\U000e0041",
    ]
    lines = [{"time": f"2025-03-01T10:00:0{n}Z", "message": text, "level": "info"} for n, text in enumerate(evil)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path = events(rca, tmp_path, "log.jsonl", text, "--system", "\x1b]0;gone\x07\u202e")
    out, _ = look(capsys, path)
    assert len(out) == len(evil)
    assert all(line.isprintable() and len(line) < 700 for line in out)
    assert "\ufffd[2J\ufffd[31mred" in out[0]
    assert "a b c\ufffd\ufffd1m" in out[1]
    assert "… (99,500 more characters)" in out[3]


def test_of_many_events_and_counts_only_some_are_shown_unasked(rca, capsys, tmp_path):
    start = pd.Timestamp("2025-03-01T10:00Z")
    lines = [{"time": (start + pd.Timedelta(n, "s")).isoformat(), "message": f"m{n}"} for n in range(3000)]
    path = events(rca, tmp_path, "log.jsonl", "".join(json.dumps(line) + "\n" for line in lines), "--kind", "log")
    out, err = look(capsys, path)
    assert (len(out), err) == (200, "200 of 3,000 events; --limit shows more\n")
    out, err = look(capsys, path, step="1s")
    assert (len(out), err) == (1000, "1,000 of 3,000 rows; --limit shows more\n")
    assert len(look(capsys, path, limit=3000)[0]) == 3000


def test_a_reader_that_goes_away_is_no_error_to_tell_of(cluster):
    command = [sys.executable, "-c", "from rca import cli; cli.main()", "timeline", str(cluster), "--step", "1s"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    running.stdout.close()
    said = running.stderr.read().decode()
    running.stderr.close()
    running.wait()
    assert "Traceback" not in said and "Exception" not in said


def test_an_incident_without_events_and_a_path_that_is_none_say_so(rca, capsys, tmp_path):
    rca("new", "x", "--in", tmp_path)
    assert look(capsys, tmp_path / "x") == ([], "no events\n")
    assert look(capsys, tmp_path / "x", step="5min") == ([], "no events\n")
    (tmp_path / "file").write_text("")
    code, _, err = rca("timeline", tmp_path / "file")
    assert (code, "no such file" in err, "Traceback" in err) == (2, True, False)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"step": "999999d"}, "--step 999999d is too long"),
        ({"limit": -1}, "limit '-1': expected a whole number from 1"),
        ({"limit": -1, "step": "5min"}, "limit '-1'"),
        ({"step": "5min", "out": Path("x.csv")}, "--out writes events; leave out --step"),
    ],
)
def test_what_a_listing_cannot_be_asked_is_said(capsys, cluster, how, said):
    with pytest.raises(InputError, match=said):
        look(capsys, cluster, **how)


@pytest.mark.parametrize("step", ["1ms", "1.5 s", "2min", "3h", "4d"])
def test_a_step_is_its_number_of_its_unit(step):
    number, unit = step.rstrip("smhdin").strip(), step.lstrip("0123456789. ")
    seconds = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86_400}[unit]
    assert looking.step_of(step).total_seconds() == float(number) * seconds


def test_an_event_known_as_an_interval_is_listed_with_both_ends(rca, capsys, tmp_path):
    text = "a,b,m\n2025-03-01T10:00Z,2025-03-01T10:20Z,fell\n"
    columns = [f"{name}={field}" for name, field in (("time_earliest", "a"), ("time_latest", "b"), ("message", "m"))]
    rca("new", "x", "--in", tmp_path)
    (tmp_path / "x" / "sources" / "a.csv").write_text(text)
    named = ", ".join(column.replace("=", ": ") for column in [*columns, "time=none"])
    source = f"sources: [{{id: a, file: sources/a.csv, columns: {{{named}}}, constant: {{kind: statement}}}}]"
    edit(tmp_path / "x" / "incident.yaml", "sources: []", source)
    (tmp_path / "x" / "sources" / "a.csv").write_text(text.replace("a,b,m", "a,b,m,none").replace("fell", "fell,"))
    out, _ = look(capsys, tmp_path / "x")
    assert out[0].startswith("2025-03-01 10:00 UTC to 2025-03-01 10:20 UTC ")
    line = out[0]
    assert look(capsys, tmp_path / "x", start="2025-03-01T10:00Z", end="2025-03-01T10:21Z") == ([line], "")
    out, err = look(capsys, tmp_path / "x", start="2025-03-01T10:10Z", search="fell")
    assert out[0].startswith("2025-03-01 10:00 UTC to 2025-03-01 10:20 UTC perhaps ")
    assert err == "1 perhaps: known only as an interval that reaches out of --from and --to too\n"
    assert look(capsys, tmp_path / "x", start="2025-03-01T10:21Z") == ([], "no events\n")
    counts = {step: " ".join(look(capsys, tmp_path / "x", step=step)[0][0].split()) for step in ("1h", "15min")}
    assert counts == {
        "1h": "2025-03-01 10:00 UTC statement 1",
        "15min": "not known statement 1 (interval over several steps)",
    }


# Clocks


def logs(rca, tmp_path, ahead, trace="{:032x}".format, count=40):
    """Return a new incident with a log for each source: the same traces, its clock ahead by so many seconds."""
    rng = np.random.default_rng(5)
    start = pd.Timestamp("2025-03-01T10:00:00.123456Z")
    moments = start + pd.to_timedelta(np.sort(rng.uniform(0, 6 * 3600, count)), unit="s").round("us")
    rca("new", "x", "--in", tmp_path)
    for name, offset in ahead.items():
        late = pd.to_timedelta(offset + rng.normal(0, 0.2, count), unit="s").round("us")
        lines = [
            {"time": time.isoformat(), "message": f"m{n}", "trace_id": trace(n + 1), "kind": "log", "system": name}
            for n, time in enumerate(moments + late)
        ]
        export = tmp_path / f"{name}.jsonl"
        export.write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert rca("import", tmp_path / "x", export, "--as", name)[0] == 0
    return tmp_path / "x"


def clock_of(path, name):
    (source,) = (one for one in incident.load(path).file.sources if one.id == name)
    return source.clock


def test_a_correction_is_accepted_without_a_reference_where_only_one_can_be_and_then_shown(rca, tmp_path):
    path = logs(rca, tmp_path, {"app": 90.0, "gateway": 0.0})
    code, out, err = rca("clocks", path, "--accept", "app", "--by", "lead")
    assert (code, err) == (0, "")
    assert "40 anchors" in out
    clock = clock_of(path, "app")
    assert (clock.against, clock.accepted_by, clock.anchors) == ("gateway", "lead", 40)
    assert clock.low < 90 < clock.high and clock.high - clock.low < 1
    assert (clock.drift, clock.at) == (0, None)  # its noise is no drift
    code, out, err = rca("clocks", path)
    assert out.startswith(f"app: accepted by lead: {clock.offset:,.2f} s (95 %: {clock.low:,.2f} s to ")
    assert "; 40 anchors against gateway\n" in out
    assert "app against gateway: ahead by " in out
    assert "zero lies in the interval" in out
    code, out, err = rca("clocks", path, "--accept", "gateway", "--by", "lead")
    assert (code, "nothing is proposed for 'gateway'" in err) == (2, True)
    assert rca("clocks", path, "--accept", "app", "--by", "lead")[0] == 0  # again, from what was written
    assert clock_of(path, "app") == clock


def test_corrected_times_are_listed_with_how_exact_they_are(rca, tmp_path):
    path = logs(rca, tmp_path, {"app": 90.0, "gateway": 0.0})
    rca("clocks", path, "--accept", "app", "--by", "lead")
    clock = clock_of(path, "app")
    half = max(clock.high - clock.offset, clock.offset - clock.low)
    lines = rca("timeline", path)[1].splitlines()
    assert sum(f" UTC ±{half:.2g} s app" in line for line in lines) == 40
    assert sum("±" in line for line in lines) == 40


def test_a_drift_that_is_there_is_accepted_with_the_time_of_the_offset(rca, tmp_path):
    path = logs(rca, tmp_path, {"app": 90 + np.linspace(-5, 5, 40), "gateway": 0.0})
    out = rca("clocks", path, "--accept", "app", "--by", "lead")[1]
    clock = clock_of(path, "app")
    assert "ppm" in out and clock.at is not None
    assert clock.drift == pytest.approx(10 / (6 * 3600) * 1e6, rel=0.2)


def test_of_several_references_one_must_be_named(rca, tmp_path):
    path = logs(rca, tmp_path, {"app": 90.0, "gateway": 0.0, "web": 0.0})
    code, _, err = rca("clocks", path, "--accept", "app", "--by", "lead")
    assert (code, "needs --reference, the source whose clock is right: one of gateway, web" in err) == (2, True)
    assert rca("clocks", path, "--accept", "app", "--by", "lead", "--reference", "web")[0] == 0
    # a further clock is held against the corrected one
    assert rca("clocks", path, "--accept", "gateway", "--by", "lead", "--reference", "app")[0] == 2
    assert clock_of(path, "gateway") is None


def test_identifiers_that_are_shared_and_not_used_are_said_with_the_reason(rca, tmp_path):
    path = logs(rca, tmp_path, {"app": 90.0, "gateway": 0.0}, trace=lambda n: str(n) if n <= 28 else f"{n:032x}")
    out = rca("clocks", path)[1]
    assert "; 12 anchors; " in out
    assert "app and gateway share 40 trace ids and references, 12 used: 28 not used: figures alone" in out
    assert "(such as '1')" in out


def recorded(rca, tmp_path):
    """An incident with one export of a web server; return its folder and the original."""
    rca("new", "mine", "--in", tmp_path)
    original = tmp_path / "web.log"
    original.write_text(
        "".join(f'10.0.0.{n} - - [18/Nov/2025:12:0{n}:00 +0000] "GET /a HTTP/1.1" 200 12\n' for n in range(9))
    )
    folder = tmp_path / "mine"
    edit(folder / "incident.yaml", "2100-01-01T00:00:00Z", "2025-11-19T00:00:00Z")
    assert rca("import", folder, original)[0] == 0
    return folder, original


def content(folder):
    """Every file of a folder with its bytes."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_import_into_changed_evidence_is_refused_and_writes_nothing(rca, tmp_path):
    folder, original = recorded(rca, tmp_path)
    edit(folder / "sources/web.log", "GET /a", "GET /b")
    more = tmp_path / "more.log"
    more.write_text(original.read_text().replace("12:0", "13:0"))
    before = content(folder)
    for _ in range(2):
        code, out, err = rca("import", folder, more)
        assert (code, out) == (2, "")
        assert "sources/web.log: changed or missing since it was recorded" in err
        assert f"`rca manifest {folder} --accept`" in err
        assert content(folder) == before
    code, _, err = rca("manifest", folder)
    assert code == 2 and f"`rca manifest {folder} --accept`" in err
    assert rca("manifest", folder, "--accept")[0] == 0
    assert rca("import", folder, more)[0] == 0
    assert rca("verify", folder)[0] == 0


def test_changed_evidence_is_a_problem_for_check_and_a_warning_for_what_looks_at_events(rca, tmp_path):
    folder, _ = recorded(rca, tmp_path)
    looks = ("timeline", "clocks", "annotate")
    assert [rca(command, folder)[2] for command in looks] == ["", "", ""]
    (folder / "sources/late.txt").write_text("never recorded")
    assert [rca(command, folder)[2] for command in looks] == ["", "", ""]
    assert rca("check", folder)[0] == 0
    edit(folder / "sources/web.log", "GET /a", "GET /b")
    for command in looks:
        code, _, err = rca(command, folder)
        assert code == 0
        (line,) = err.splitlines()
        assert line.startswith("rca: warning: sources/web.log: changed since it was recorded")
    code, out, err = rca("check", folder)
    assert (code, out) == (2, "")
    assert "rca: sources/web.log: changed since it was recorded" in err
    edit(folder / "incident.yaml", "2025-11-19T00:00:00Z", "2025-11-18T12:03:00Z")
    code, _, err = rca("check", folder)
    assert code == 2 and "sources/web.log: changed" in err and "later" in err


def test_check_names_an_annotation_that_was_changed(rca, tmp_path):
    folder, _ = recorded(rca, tmp_path)
    assert rca("annotate", folder, "web.log line 1", "--note", "seen by support", "--by", "SRE")[0] == 0
    assert rca("check", folder)[0] == rca("verify", folder)[0] == 0
    edit(folder / "annotations.jsonl", "support", "nobody")
    code, _, err = rca("check", folder)
    assert code == 2 and "annotations.jsonl: line 1: changed since it was annotated" in err


def test_a_deleted_export_is_put_back_by_importing_its_original(rca, tmp_path):
    folder, original = recorded(rca, tmp_path)
    (folder / "sources/web.log").unlink()
    other = tmp_path / "other.log"
    other.write_text(original.read_text().replace("12:0", "13:0"))
    before = content(folder)
    code, _, err = rca("import", folder, other)
    assert code == 2 and "sources/web.log" in err
    assert content(folder) == before
    code, out, err = rca("import", folder, original, "--by", "SRE")
    assert (code, err) == (0, "")
    assert "put back as sources/web.log" in out
    assert (folder / "sources/web.log").read_bytes() == original.read_bytes()
    assert rca("verify", folder)[0] == 0
    last = custody.entries(folder).iloc[-1]
    assert last[["action", "actor", "file"]].tolist() == ["restored", "SRE", "sources/web.log"]
    assert "already there" in rca("import", folder, original)[1]


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_export_that_cannot_be_read_is_named_as_the_user_named_it(rca, tmp_path, text):
    rca("new", "mine", "--in", tmp_path)
    (tmp_path / "empty.log").write_text(text)
    code, _, err = rca("import", tmp_path / "mine", tmp_path / "empty.log")
    assert code == 2 and "empty.log: " in err
    assert "derived" not in err and ".part" not in err


def test_a_new_incident_keeps_copies_of_exports_out_of_git(rca, tmp_path):
    rca("new", "mine", "--in", tmp_path)
    folder = tmp_path / "mine"
    for name in ("derived/x", ".a.part/export/raw.log", "sources/kept.log"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    git = ["git", "-C", str(folder)]
    subprocess.run([*git, "init", "-q"], check=True)
    done = subprocess.run([*git, "status", "--porcelain", "-uall"], capture_output=True, text=True, check=True)
    assert "sources/kept.log" in done.stdout and "incident.yaml" in done.stdout
    assert "derived" not in done.stdout and ".part" not in done.stdout


HOLD = """
import sys
from pathlib import Path
from rca.sources import derived
with derived.workplace(Path(sys.argv[1])) as work:
    (work / "export").mkdir()
    (work / "export" / "raw.log").write_text("secret")
    print(work.name, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_import_left_is_mentioned_and_removed_but_never_what_is_in_use(rca, tmp_path):
    folder, original = recorded(rca, tmp_path)
    start = [sys.executable, "-c", HOLD, str(folder)]
    running = [subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    names = [process.stdout.readline().strip() for process in running]
    assert sorted(path.name for path in (folder / "derived").glob(".*.part")) == sorted(names)
    assert derived.leftovers(folder) == []
    running[0].kill()
    running[0].communicate()
    assert derived.leftovers(folder) == [f"derived/{names[0]}"]
    code, out, _ = rca("verify", folder)
    assert code == 0 and f"note: derived/{names[0]}: left by a stopped import" in out and names[1] not in out
    more = tmp_path / "more.log"
    more.write_text(original.read_text().replace("12:0", "13:0"))
    assert rca("import", folder, more)[0] == 0
    assert not (folder / "derived" / names[0]).exists()
    assert (folder / "derived" / names[1] / "export/raw.log").exists()
    running[1].communicate("")
    assert list((folder / "derived").glob(".*.part")) == []


def work_many(folder):
    for _ in range(100):
        with derived.workplace(folder) as work:
            (work / "x").write_text("x")
            assert (work / "x").read_text() == "x"


def test_imports_at_the_same_time_do_not_take_each_others_folders_for_leftovers(tmp_path):
    start = multiprocessing.get_context("fork").Process
    running = [start(target=work_many, args=(tmp_path,)) for _ in range(3)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0, 0, 0]
    assert not list(tmp_path.rglob("*.part"))


def test_the_package_is_run_as_a_module():
    done = subprocess.run([sys.executable, "-m", "rca", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__

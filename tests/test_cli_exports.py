"""The commands about exports: adding, looking, clocks, custody; on files as people have them."""

import importlib
import json
import random
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from rca import custody, incident, sources
from rca.errors import InputError
from rca.sources import adding, questions

DATASETS = Path(__file__).parent.parent / "datasets"
WEB = "\n".join(
    f'10.0.0.{n} - - [18/Nov/2025:12:{n:02}:00 +0100] "GET /score HTTP/1.1" {500 if n > 6 else 200} 12'
    for n in range(10)
)


def write(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_an_export_is_recognised_copied_recorded_and_described(rca, folder, tmp_path):
    before = (folder / "incident.yaml").read_text()
    code, out, err = rca("import", folder, write(tmp_path, "web.log", WEB), "--by", "on-call engineer")
    assert (code, err) == (0, "")
    assert "sources/web.log: read as accesslog; new source accesslog" in out
    assert "10 read, 10 rows kept (events), 0 duplicate" in out
    assert "from 2025-11-18 11:00 UTC to 2025-11-18 11:09 UTC" in out
    assert (folder / "sources" / "web.log").read_text() == WEB
    found = incident.load(folder)
    assert [(source.id, source.reader) for source in found.file.sources] == [("accesslog", "accesslog")]
    assert found.hashes.keys() == {"sources/web.log"}
    assert custody.entries(folder)["actor"].tolist() == ["on-call engineer"]
    kept = [line for line in before.splitlines() if line.strip().startswith("#")]
    assert [line for line in (folder / "incident.yaml").read_text().splitlines() if line in kept] == kept
    assert len(sources.read(found).events) == 10


def test_importing_again_or_in_pieces_changes_nothing_but_the_list_of_files(rca, folder, tmp_path):
    whole = write(tmp_path, "web.log", WEB)
    rca("import", folder, whole)
    first = sources.read(incident.load(folder)).events
    code, out, _ = rca("import", folder, whole)
    assert (code, out) == (0, "web.log: already there as sources/web.log (source accesslog); nothing changed\n")
    piece = write(tmp_path, "piece.log", "\n".join(WEB.splitlines()[3:8]) + "\n")
    assert "further piece of source accesslog" in rca("import", folder, piece)[1]
    again = sources.read(incident.load(folder)).events
    assert again.drop(columns=["locator", "position"]).equals(first.drop(columns=["locator", "position"]))


def test_what_only_a_person_knows_is_asked_for_and_nothing_is_written_before(rca, folder, tmp_path):
    text = "time,service,message\n2025-11-18 12:00,web,started\n2025-11-18 12:05,web,stopped\n"
    export = write(tmp_path, "deploys.csv", text)
    before = (folder / "incident.yaml").read_bytes()
    code, _, err = rca("import", folder, export)
    assert code == 2
    assert "add --kind deploy: what the events are" in err
    assert "add --zone UTC: the zone of the clock that wrote deploys.csv: row 1: '2025-11-18 12:00'" in err
    assert (folder / "incident.yaml").read_bytes() == before
    assert not list((folder / "sources").glob("*.csv"))
    code, out, _ = rca("import", folder, export, "--kind", "deploy", "--zone", "Europe/Berlin")
    assert code == 0
    assert "'time': ['time']" in out
    assert "from 2025-11-18 11:00 UTC" in out


def test_a_file_of_no_known_kind_says_which_kinds_there_are(rca, folder, tmp_path):
    code, _, err = rca("import", folder, write(tmp_path, "x.bin", "\x01\x02\x03"))
    assert code == 2
    assert "x.bin: not recognised; say --reader, one of csv, json" in err


def test_an_incident_in_use_is_not_broken_by_a_second_source_of_the_same_id(rca, folder, tmp_path):
    rca("import", folder, write(tmp_path, "web.log", WEB))
    other = write(tmp_path, "b.csv", "time,message\n2025-11-18T12:00Z,x\n")
    code, _, err = rca("import", folder, other, "--as", "accesslog", "--kind", "log")
    assert (code, "is there already; choose another --as" in err) == (2, True)
    assert rca("check", folder)[0] == 0


def test_the_timeline_is_listed_searched_counted_and_exported(rca, folder, tmp_path):
    rca("import", folder, write(tmp_path, "web.log", WEB), "--system", "web")
    assert len(rca("timeline", folder)[1].splitlines()) == 10
    assert len(rca("timeline", folder, "--search", "500")[1].splitlines()) == 3
    code, out, err = rca("timeline", folder, "--limit", "2")
    assert (len(out.splitlines()), err) == (2, "2 of 10 events; --limit shows more\n")
    assert len(rca("timeline", folder, "--from", "2025-11-18T11:05Z")[1].splitlines()) == 5
    counts = rca("timeline", folder, "--step", "5min")[1].split()
    assert sum(int(word) for word in counts if word in ("5", "10")) == 10
    assert rca("timeline", folder, "--out", tmp_path / "t.jsonl")[0] == 0
    exported = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert exported[0]["datetime"].startswith("2025-11-18T11:00:00")
    code, _, err = rca("timeline", folder, "--system", "wbe")
    assert (code, "did you mean 'web'" in err) == (2, True)


def test_clocks_are_proposed_and_corrected_only_when_a_person_accepts(rca, folder, tmp_path):
    ids = [f"7f{n:02}c0ffee{n * 7919:08x}" for n in range(20)]
    jitter = random.Random(7)

    def lines(second, text):
        for minute, key in enumerate(ids):
            time = f"2025-11-18T11:{minute:02}:{second:02}.{jitter.randrange(100):03}Z"
            yield json.dumps({"time": time, "level": "info", "message": text, "trace_id": key})

    gate, late = lines(0, "in"), lines(42, "done")
    rca("import", folder, write(tmp_path, "gate.jsonl", "\n".join(gate)), "--as", "gate", "--system", "gate")
    rca("import", folder, write(tmp_path, "late.jsonl", "\n".join(late)), "--as", "late", "--system", "late")
    code, out, err = rca("clocks", folder, "--reference", "gate")
    assert (code, err) == (0, "")
    assert "late: ahead by 4" in out
    code, _, err = rca("clocks", folder, "--reference", "gate", "--accept", "late")
    assert (code, "--by ROLE" in err) == (2, True)
    assert rca("clocks", folder, "--reference", "gate", "--accept", "late", "--by", "data engineer")[0] == 0
    found = incident.load(folder)
    (clock,) = [source.clock for source in found.file.sources if source.clock]
    assert clock.offset == pytest.approx(42, abs=0.5)
    assert clock.accepted_by == "data engineer"
    events = sources.read(found).events
    moved = events[events["source"] == "late"]
    assert (moved["time"] + moved["offset"]).dt.second.tolist() == [42] * 20
    assert moved["time"].dt.second.isin([59, 0]).all()
    assert "late: accepted by data engineer: 42" in rca("clocks", folder, "--reference", "gate")[1]


def test_a_sealed_archive_is_verified_and_a_changed_one_named(rca, folder, tmp_path):
    rca("import", folder, write(tmp_path, "web.log", WEB))
    code, out, _ = rca("seal", folder, tmp_path / "x.zip", "--by", "counsel")
    assert (code, "SHA-256" in out) == (0, True)
    assert rca("verify", tmp_path / "x.zip")[0] == 0
    assert rca("verify", folder)[0] == 0
    with zipfile.ZipFile(tmp_path / "x.zip") as old, zipfile.ZipFile(tmp_path / "y.zip", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content.replace(b"GET", b"PUT") if name.endswith("web.log") else content)
    code, _, err = rca("verify", tmp_path / "y.zip")
    assert (code, "web.log" in err) == (1, True)
    (folder / "sources" / "web.log").write_text("other")
    code, _, err = rca("verify", folder)
    assert (code, "sources/web.log" in err) == (1, True)


def test_a_report_is_copied_without_personal_data(rca, tmp_path):
    folder = Path(shutil.copytree(DATASETS / "bot-feature-file-outage", tmp_path / "outage"))
    report = tmp_path / "report"
    report.mkdir()
    (report / "a.md").write_text("mail jane.doe@example.org from 203.0.113.9 about build 1.2.3")
    code, _, err = rca("redact", folder, report, tmp_path / "copy")
    assert code == 0 and "may still name people who never acted" in err, err
    text = (tmp_path / "copy" / "a.md").read_text()
    assert "jane" not in text and "203.0.113.9" not in text and "1.2.3" in text


def test_the_formats_are_listed_with_what_they_were_tested_against(rca):
    out = rca("sources")[1]
    assert "prometheus" in out and "real server" in out and "documented format" in out


def test_a_pull_from_nowhere_says_so(rca, folder):
    code, _, err = rca("pull", folder, "promethues", "http://127.0.0.1:9")
    assert (code, "did you mean 'prometheus'" in err) == (2, True)
    code, _, err = rca("pull", folder, "alertmanager", "http://127.0.0.1:9")
    assert code == 2
    assert "127.0.0.1:9" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--zone", "Europe/Berln"], "did you mean 'Europe/Berlin'?"),
        (["--as", "../x"], "id: "),
        (["--year", "20"], "year: "),
        (["--rejected", "-1"], "rejected: "),
        (["--time-format", "%q"], "time.format: "),
        (["--table", "metrics"], "accesslog knows its tables (events); leave out --table"),
        (["--column", "mesage=x"], "--column: no column 'mesage'; did you mean 'message'?"),
        (["--column", "x"], "--column x: not of the form COLUMN=FIELD"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(rca, folder, tmp_path, options, said):
    code, _, err = rca("import", folder, write(tmp_path, "web.log", WEB), *options)
    assert (code, said in err, "Traceback" in err) == (2, True, False)
    assert not (folder / "sources" / "web.log").exists()


def test_a_step_needs_a_unit(rca, folder, tmp_path):
    rca("import", folder, write(tmp_path, "web.log", WEB))
    for step in ("5", "1mo", "-5min", "nan"):
        code, _, err = rca("timeline", folder, "--step", step)
        assert (code, "such as 5min" in err) == (2, True)


def test_imports_at_the_same_time_lose_nothing(folder, tmp_path):
    names = [f"w{number}.csv" for number in range(4)]
    for number, name in enumerate(names):
        write(tmp_path, name, f"time,service,message\n2025-11-18T12:0{number}:00Z,web,m{number}\n")
    command = [sys.executable, "-m", "rca.cli", "import", str(folder)]
    running = [
        subprocess.Popen(
            [*command, str(tmp_path / name), "--kind", "deploy", "--as", name[:2]], stdout=subprocess.DEVNULL
        )
        for name in names
    ]
    assert [process.wait() for process in running] == [0] * 4
    found = incident.load(folder)
    assert sorted(source.id for source in found.file.sources) == ["w0", "w1", "w2", "w3"]
    assert sorted(found.hashes) == [f"sources/{name}" for name in names]
    assert custody.verify_all(folder) == []


METRICS = "time,system,metric,value\n" + "".join(f"2025-11-18T12:{n:02}:00Z,web,errors,{n}\n" for n in range(20))
DEPLOYS = "time,service,message\n2025-11-18T12:01:00Z,web,one\n2025-11-18T12:01:00Z,web,one\n,web,undated\n"


def everything(found):
    records = sources.read(found)
    return [records.events, records.metrics, records.dependencies, records.reports, sources.store(found).frame("spans")]


@pytest.fixture
def refused(monkeypatch):
    """Fail where an export is parsed for the tables of an incident."""

    def refuse(*_arguments, **_options):
        raise AssertionError("an export was parsed again")

    def run():
        monkeypatch.setattr(importlib.import_module("rca.sources.read"), "import_source", refuse)

    return run


def test_after_an_import_nothing_is_parsed_again_and_the_tables_are_those_of_a_fresh_reading(
    rca, folder, tmp_path, refused
):
    assert rca("import", folder, write(tmp_path, "web.log", WEB))[0] == 0
    assert rca("import", folder, write(tmp_path, "m.csv", METRICS), write(tmp_path, "a.csv", METRICS))[0] == 0
    assert rca("import", folder, write(tmp_path, "d.csv", DEPLOYS), "--kind", "deploy")[0] == 0
    found = incident.load(folder)
    assert len(found.file.sources) == 3  # a.csv has the content of m.csv
    fresh = shutil.copytree(folder, tmp_path / "fresh", ignore=shutil.ignore_patterns("derived"))
    wanted = everything(incident.load(fresh))
    refused()
    (kept,) = (folder / "derived").iterdir()
    assert sorted(path.name for path in kept.iterdir()) == [
        "dependencies.parquet", "events.parquet", "import.json", "metrics.parquet", "spans.parquet",
    ]  # fmt: skip
    before = (kept / "events.parquet").stat().st_mtime_ns
    code, out, _ = rca("timeline", folder)
    assert (code, len(out.splitlines())) == (0, 12)
    for one, other in zip(everything(found), wanted, strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert (kept / "events.parquet").stat().st_mtime_ns == before


def test_a_further_piece_of_a_source_is_read_with_the_others_when_it_is_needed(rca, folder, tmp_path):
    lines = WEB.splitlines()
    rca("import", folder, write(tmp_path, "a.log", "\n".join(lines[:6])))
    assert "further piece" in rca("import", folder, write(tmp_path, "b.log", "\n".join(lines[4:])))[1]
    assert len(rca("timeline", folder)[1].splitlines()) == 10


def test_tables_of_an_import_that_somebody_changed_are_made_again(rca, folder, tmp_path, refused):
    rca("import", folder, write(tmp_path, "web.log", WEB))
    (kept,) = (folder / "derived").iterdir()
    data = (kept / "events.parquet").read_bytes()
    (kept / "events.parquet").write_bytes(data[:-1] + b"X")
    assert len(rca("timeline", folder)[1].splitlines()) == 10
    (kept / "import.json").write_text((kept / "import.json").read_text().replace('"kept": 10', '"kept": 11'))
    assert sources.read(incident.load(folder)).reports["kept"].tolist() == [10]
    assert (kept / "events.parquet").read_bytes() == data


def test_an_import_on_top_of_tables_that_are_not_this_users_does_not_take_them(rca, folder, tmp_path, monkeypatch):
    rca("import", folder, write(tmp_path, "web.log", WEB))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other user"))
    rca("import", folder, write(tmp_path, "d.csv", DEPLOYS), "--kind", "deploy")
    (kept,) = (folder / "derived").iterdir()
    found = incident.load(folder)
    assert sources.store(found).folder != kept
    assert len(sources.read(found).events) == 12


def test_a_refused_import_leaves_no_copy_and_no_tables(rca, folder, tmp_path):
    code, _, _ = rca("import", folder, write(tmp_path, "d.csv", DEPLOYS.replace("Z,", ",")), "--kind", "deploy")
    assert code == 2
    assert not (folder / "derived").exists()
    assert list((folder / "sources").iterdir()) == []


def test_a_source_is_added_where_the_list_of_them_is_null(rca, folder, tmp_path):
    text = (folder / "incident.yaml").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("sources:")]
    for null in ("sources: null", "sources:", "sources: ~  # none yet"):
        (folder / "incident.yaml").write_text(text.replace(line, null))
        assert rca("import", folder, write(tmp_path, "web.log", WEB))[0] == 0
        assert [source.id for source in incident.load(folder).file.sources] == ["accesslog"]
        (folder / "sources" / "web.log").unlink()
        (folder / "MANIFEST.json").unlink()


def pasted(rca, err):
    """Run what a refusal prints last, as a shell would."""
    for command in err.splitlines()[-1].split(" && "):
        name, *arguments = shlex.split(command)
        assert name == "rca"
        code, out, err = rca(*arguments)
        assert (code, err) == (0, ""), err
    return out


@pytest.mark.parametrize(
    ("name", "text", "asked"),
    [
        (
            "my rollouts.csv",
            "Wann;Dienst;Was\n18.11.2025 12:00;web;started it\n25.11.2025 12:05;web;stopped it\n",
            ["--column time=Wann", "--column message=Was", "--kind deploy", "--time-format '%d.%m.%Y %H:%M'", "--zone UTC"],
        ),
        (
            "changes.csv",
            "id,time,service,type,text\n1,2025-11-18T12:00Z,web,Config,a\n2,2025-11-18T12:01Z,web,deploy,b\n"
            "3,2025-11-18T12:02Z,web,restart,c\n4,2025-11-18T12:03Z,web,delpoy,d\n",
            ["--column kind=type", "--value kind:Config=config_change", "--value kind:restart=other", "--value kind:delpoy=deploy"],
        ),
        (
            "calls.csv",
            "source,target\nweb,db\n",
            ["--column cause=target", "--column effect=source"],
        ),
        (
            "calls.csv",
            "id,Parent,Child\n1,web,db\n",
            ["--column cause=Child", "--column effect=Parent"],
        ),
        (
            "x.csv",
            "id,noticed,text\n1,2025-11-18 12:00,a\n2,2025-11-18 12:01,b\n",
            ["--column time=noticed", "--kind other", "--zone UTC"],
        ),
        (
            "x.jsonl",
            "".join(json.dumps({"n": n, "seen": 1763464800 + n, "host": "web", "msg": "m"}) + "\n" for n in range(3)),
            ["--column time=seen", "--kind other"],
        ),
        (
            "sys.log",
            "Nov 18 12:00:00 web app: one\nNov 18 12:00:01 web app: two\n",
            ["--year 2026", "--zone UTC"],
        ),
        (
            "alerts.csv",
            "time,closed,message\n18.11.2025 12:00,2025-11-18 13:00,a\nnever,2025-11-18 13:00,b\n"
            "19.11.2025 12:00,2025-11-18 13:00,c\n",
            ["--kind alert", "--time-format '%d.%m.%Y %H:%M'", "--zone UTC", "--rejected 1"],
        ),
        (
            "releases.csv",
            "date,finished,message\ntuesday,2025-11-18T12:00Z,a\nfriday,2025-11-21T12:00Z,b\n",
            ["--kind deploy", "--column time=finished"],
        ),
        (
            "alerts.csv",
            "time,message\n2025-11-18T12:00Z,a\nnever,b\n2025-11-18T12:02Z,c\n",
            ["--kind alert", "--rejected 1"],
        ),
    ],
)  # fmt: skip
def test_all_that_is_missing_is_asked_at_once_and_the_command_that_answers_it_works(
    rca, folder, tmp_path, name, text, asked
):
    path = folder / "incident.yaml"
    path.write_text(path.read_text().replace("2026-01-01", "2026-12-31"))  # so that the year of as_of is a guess
    before = path.read_bytes()
    code, out, err = rca("import", folder, write(tmp_path, name, text))
    assert (code, out) == (2, "")
    command = err.splitlines()[-1]
    for words in asked:
        assert words in command
    assert len(err.splitlines()) == len(asked) + 2
    assert all(f"add {shlex.join(shlex.split(words)).replace(chr(39), '')}: " in err for words in asked)
    assert path.read_bytes() == before
    assert "new source" in pasted(rca, err)
    assert incident.load(folder).file.sources[0].file == [f"sources/{name}"]


def test_words_for_kinds_become_kinds_and_no_field_is_lost(rca, folder, tmp_path):
    kinds = ["config", "deploy", "restart", "deploy"]
    for field in ("type", "event", "action", "change"):
        rows = [f"{n},2025-11-18T12:0{n}Z,web,m,{kind},warn" for n, kind in enumerate(kinds)]
        export = write(tmp_path, f"{field}.csv", "\n".join([f"id,time,service,text,{field},severity", *rows]))
        pasted(rca, rca("import", folder, export)[2])
        source = incident.load(folder).file.sources[-1]
        assert (source.columns["kind"], source.constant) == ([field], {})
        assert source.values == {"kind": {"config": "config_change", "restart": "other"}}
        found = sources.read(incident.load(folder)).events.query("source == @source.id")
        assert found["kind"].tolist() == ["config_change", "deploy", "other", "deploy"]
        assert [json.loads(text)["id"] for text in found["attributes"]] == ["0", "1", "2", "3"]


def test_a_word_that_stands_far_down_is_asked_for_too(rca, folder, tmp_path):
    rows = [f"2025-11-18T12:00:00.{n:03}Z,web,deploy,m" for n in range(300)]
    export = write(tmp_path, "x.csv", "\n".join(["time,service,kind,text", *rows, "2025-11-18T13:00Z,web,it's odd,m"]))
    code, _, err = rca("import", folder, export)
    assert (code, "add --value kind:it's odd=other: " in err) == (2, True)
    pasted(rca, err)
    assert sources.read(incident.load(folder)).events["kind"].value_counts().to_dict() == {"deploy": 300, "other": 1}


def test_a_field_of_other_words_is_no_field_of_kinds(rca, folder, tmp_path):
    text = "time,message,type\n2025-11-18T12:00Z,a,cpu\n2025-11-18T12:01Z,b,disk\n2025-11-18T12:02Z,c,page\n"
    err = rca("import", folder, write(tmp_path, "alerts.csv", text))[2]
    assert (err.splitlines()[-1].endswith("alerts.csv --kind alert"), "--value" in err) == (True, False)


def test_a_value_is_given_as_column_theirs_and_ours(rca, folder, tmp_path):
    export = write(tmp_path, "d.csv", DEPLOYS)
    for wrong in ("kind", "kind:a", "kind:=b", ":a=b", "kind:a="):
        code, _, err = rca("import", folder, export, "--value", wrong)
        assert (code, f"--value {wrong}: not of the form COLUMN:THEIRS=OURS" in err) == (2, True)


@pytest.mark.parametrize(("effect", "cause"), [("caller", "callee"), ("Consumer", "Provider"), ("client", "server")])
@pytest.mark.parametrize("options", [(), ("--table", "dependencies")])
def test_a_table_of_calls_has_its_causes_where_is_called(rca, folder, tmp_path, effect, cause, options):
    export = write(tmp_path, "calls.csv", f"{effect},{cause}\nweb,db\n")
    code, out, _ = rca("import", folder, export, *options)
    assert (code, f"direction: a fault in {cause} can reach {effect}" in out) == (0, True)
    assert incident.load(folder).file.sources[0].columns == {"cause": [cause], "effect": [effect]}


def test_a_table_with_times_and_a_source_is_no_table_of_calls(rca, folder, tmp_path):
    export = write(tmp_path, "x.csv", "time,source,target,message\n2025-11-18T12:00Z,web,db,called\n")
    out = rca("import", folder, export, "--kind", "log")[1]
    assert ("table: events" in out, "'system': ['source']" in out) == (True, True)


@pytest.mark.parametrize("options", [(), ("--table", "metrics")])
def test_a_wide_table_of_metrics_is_named_with_the_line_that_makes_it_long(rca, folder, tmp_path, options):
    wide = pd.DataFrame(
        {"time": ["2025-11-18T12:00Z", "2025-11-18T12:01Z"], "service": "web", "p50": [1, 2], "p99": [3.5, None]}
    )
    wide.to_csv(tmp_path / "wide.csv", index=False)
    code, _, err = rca("import", folder, tmp_path / "wide.csv", *options)
    assert (code, "wide.csv: looks wide, with a column for each metric (p50, p99)" in err) == (2, True)
    assert "did you mean" not in err
    long = eval(err.strip().partition("in pandas, ")[2], {"table": wide})
    long.to_csv(tmp_path / "long.csv", index=False)
    assert rca("import", folder, tmp_path / "long.csv", "--rejected", "1")[0] == 0
    found = sources.read(incident.load(folder)).metrics
    assert found[["metric", "value"]].dropna().values.tolist() == [["p50", 1], ["p99", 3.5], ["p50", 2]]


def test_a_wide_table_without_systems_may_be_of_systems_or_metrics(rca, folder, tmp_path):
    export = write(tmp_path, "m.csv", "time,elastic,web\n2025-11-18T12:00Z,1,2\n")
    err = rca("import", folder, export, "--table", "metrics")[2]
    assert "looks wide, with a column for each system or metric (elastic, web)" in err
    assert "table.melt(['time'], var_name='system', value_name='value').assign(metric='NAME')" in err


def test_several_files_with_other_gaps_are_answered_by_one_line(rca, folder, tmp_path):
    deploys = write(tmp_path, "deploys.csv", DEPLOYS)
    alerts = write(tmp_path, "alerts.csv", DEPLOYS.replace("one", "two").replace("Z,", ","))
    code, out, err = rca("import", folder, deploys, write(tmp_path, "web.log", WEB), alerts, "--by", "on-call")
    assert code == 2
    assert "sources/web.log: read as accesslog" in out
    assert err.splitlines()[-1].count("rca import") == 2
    pasted(rca, err)
    found = incident.load(folder)
    assert sorted(source.id for source in found.file.sources) == ["accesslog", "alerts", "deploys"]
    assert set(custody.entries(folder)["actor"]) == {"on-call"}


def test_a_zone_that_another_source_declares_is_the_guess(rca, folder, tmp_path):
    local = write(tmp_path, "deploys.csv", DEPLOYS.replace("Z,", ","))
    rca("import", folder, local, "--kind", "deploy", "--zone", "America/New_York")
    code, _, err = rca("import", folder, write(tmp_path, "sys.log", "Nov 18 12:00:00 web app: one\n"), "--year", "2025")
    assert (code, "add --zone America/New_York" in err) == (2, True)


NEW_YEAR = [f"{day} 10:00:00 web app: {day}\n" for day in ("Dec 30", "Jan  2", "Jan  3")]


@pytest.fixture
def january(folder):
    """An incident of the days after New Year."""
    path = folder / "incident.yaml"
    path.write_text(path.read_text().replace("2026-01-01", "2026-01-05"))
    return folder


def times_of(folder):
    return [f"{time:%F}" for time in sources.read(incident.load(folder)).events["time"]]


def test_a_year_that_is_not_written_is_the_latest_before_as_of(rca, january, tmp_path):
    code, _, err = rca("import", january, write(tmp_path, "a.log", "".join(NEW_YEAR)))
    assert (code, "add --year 2025: the year of the first time; guess: the latest" in err) == (2, True)
    pasted(rca, err)
    assert times_of(january) == ["2025-12-30", "2026-01-02", "2026-01-03"]


def test_a_declared_year_that_is_too_late_is_answered_by_the_latest(rca, january, tmp_path):
    code, _, err = rca("import", january, write(tmp_path, "a.log", NEW_YEAR[0]), "--year", "2100", "--zone", "UTC")
    assert (code, "add --year 2025" in err, "2100" in err.splitlines()[-1]) == (2, True, False)
    pasted(rca, err)
    assert times_of(january) == ["2025-12-30"]


@pytest.mark.parametrize("options", [["--zone", "UTC"], ["--zone", "UTC", "--year", "2025"]])
def test_pieces_of_a_log_over_new_year_have_each_its_year(rca, january, tmp_path, options):
    one = write(tmp_path, "w1.log", "".join(NEW_YEAR[:2]))
    two = write(tmp_path, "w2.log", "".join(NEW_YEAR[1:]))
    code, _, err = rca("import", january, one, two, *options)
    assert (code, "add --year 2026" in err) == (2, True)
    pasted(rca, err)
    (source,) = incident.load(january).file.sources
    assert source.time.year == {"sources/w1.log": 2025, "sources/w2.log": 2026}
    assert times_of(january) == ["2025-12-30", "2026-01-02", "2026-01-03"]


def test_a_file_of_another_year_than_its_like_is_kept_apart_by_a_name(rca, january, tmp_path):
    given = ["--zone", "UTC", "--year", "2025"]
    rca("import", january, write(tmp_path, "w1.log", "".join(NEW_YEAR[:2])), *given)
    code, _, err = rca("import", january, write(tmp_path, "w2.log", NEW_YEAR[2]), *given, "--as", "older")
    assert (code, err) == (0, "")
    assert times_of(january) == ["2025-01-03", "2025-12-30", "2026-01-02"]


def test_one_year_for_several_files_is_refused_where_some_may_be_of_the_next(rca, january, tmp_path):
    rca("import", january, write(tmp_path, "w1.log", "".join(NEW_YEAR[:2])), "--zone", "UTC", "--year", "2025")
    write(january / "sources", "w2.log", NEW_YEAR[2])
    path = january / "incident.yaml"
    old = path.read_text()
    path.write_text(old.replace("file: sources/w1.log", "file: [sources/w1.log, sources/w2.log]"))
    with pytest.raises(InputError, match=r"year: \{'sources/w1.log': 2025, 'sources/w2.log': 2026\}"):
        times_of(january)
    path.write_text(path.read_text().replace("year: 2025", "year: {sources/w1.log: 2025, sources/w3.log: 2026}"))
    with pytest.raises(InputError, match="the year of each file"):
        times_of(january)
    path.write_text(path.read_text().replace("w3.log", "w2.log"))
    assert times_of(january) == ["2025-12-30", "2026-01-02", "2026-01-03"]


def test_a_large_file_is_asked_about_by_its_beginning_and_then_tried_whole(rca, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(adding, "_SAMPLE", 2000)
    rows = [f'2025-11-18 {n // 60:02}:{n % 60:02},web,"m\n{n}"\n' for n in range(1000)]  # the cut is in a record
    text = "at,service,message\n" + "".join(rows) + "later,web,x\n"
    code, _, err = rca("import", folder, write(tmp_path, "deploys.csv", text))
    assert code == 2
    assert "--kind deploy --zone UTC --rejected 1" in err.splitlines()[-1]
    assert "1,001 read, 1,000 rows kept" in pasted(rca, err)


def test_what_no_option_can_mend_is_said_without_a_command(rca, folder, tmp_path):
    late = write(tmp_path, "deploys.csv", "time,message\n2030-01-01T00:00Z,x\n")
    code, _, err = rca("import", folder, late)
    assert (code, "later" in err, "rca import" in err) == (2, True, False)


def test_after_an_import_the_report_says_what_was_read_and_what_is_silent(rca, folder, tmp_path):
    minutes = [*range(15), *range(40, 60)]
    rows = [f"2025-11-18 13:{minute:02},web,m{minute}\n" for minute in minutes]
    text = "time,service,message\n" + "".join([rows[1], rows[0], *rows[2:], rows[3], ",web,when\n", "x,web,bad\n"])
    yaml = folder / "incident.yaml"
    windows = (
        "windows:\n  before: {start: '2025-11-18T08:00Z', end: '2025-11-18T09:00Z'}\n"
        "  during: {start: '2025-11-18T12:00Z', end: '2025-11-18T13:00Z'}\n"
    )
    yaml.write_text(yaml.read_text() + "\n" + windows)
    options = ("--kind", "deploy", "--zone", "Europe/Berlin", "--rejected", "1")
    code, out, err = rca("import", folder, write(tmp_path, "d.csv", text), *options)
    assert (code, err) == (0, "")
    for line in (
        "records: 38 read, 36 rows kept (events), 1 duplicate, 1 undated, 1 rejected, 2 out of order",
        "times: from 2025-11-18 12:00 UTC to 2025-11-18 12:59 UTC",
        "zone: Europe/Berlin (declared); format iso8601; clock as written",
        "incident window: 65% covered; 35 different times in it",
        "largest gap: 26 min, unusual for it, from 2025-11-18 12:14 UTC to 2025-11-18 12:40 UTC",
    ):
        assert f"  {line}\n" in out


def test_an_export_that_is_still_being_written_is_refused(rca, folder, tmp_path, monkeypatch):
    copy = adding._copy

    def late(path, target):
        with path.open("a") as handle:
            handle.write("\n" + WEB)
        copy(path, target)

    monkeypatch.setattr(adding, "_copy", late)
    code, _, err = rca("import", folder, write(tmp_path, "web.log", WEB))
    assert (code, "web.log: changed while it was copied" in err) == (2, True)
    assert incident.load(folder).file.sources == []


def test_bad_records_behind_the_beginning_of_a_large_file_are_counted_too(rca, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(adding, "_SAMPLE", 2000)
    rows = [f"2025-11-18T{n // 60:02}:{n % 60:02}Z,m{n}\n" for n in range(400)]
    text = "time,message\nnever,x\n" + "".join(rows) + "later,x\nlater still,x\n"
    code, _, err = rca("import", folder, write(tmp_path, "deploys.csv", text))
    assert (code, err.splitlines()[-1].endswith("--kind deploy --rejected 3")) == (2, True)
    pasted(rca, err)


def test_tables_are_not_kept_for_an_incident_that_was_changed_meanwhile(rca, folder, tmp_path, monkeypatch):
    written = adding._write

    def edited(found, *arguments):
        written(found, *arguments)
        yaml = found.folder / "incident.yaml"
        yaml.write_text(yaml.read_text().replace("2026-01-01", "2026-01-02"))

    monkeypatch.setattr(adding, "_write", edited)
    assert rca("import", folder, write(tmp_path, "web.log", WEB))[0] == 0
    assert not (folder / "derived").exists()


def test_where_day_and_month_can_be_exchanged_no_time_lies_in_the_future():
    values = ["01/02/2025 10:00", "01/03/2025 10:00"]
    assert questions.time_form(values, pd.Timestamp("2025-01-31T00:00Z")) == "%m/%d/%Y %H:%M"
    assert questions.time_form(["01/02/2025 10:00", "01/11/2025 10:00"], pd.Timestamp("2025-12-31T00:00Z")) == (
        "%m/%d/%Y %H:%M"  # ten days rather than nine months
    )
    assert questions.time_form(["02/01/2025 10:00"], pd.Timestamp("2025-01-31T00:00Z")) == "%d/%m/%Y %H:%M"
    assert questions.time_form(["02/11/2025 10:00"], pd.Timestamp("2025-03-31T00:00Z")) == "%m/%d/%Y %H:%M"

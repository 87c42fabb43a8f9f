"""The commands about exports: adding, looking, clocks, custody; on files as people have them."""

import json
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rca import cli, custody, incident, sources

DATASETS = Path(__file__).parent.parent / "datasets"
WEB = "\n".join(
    f'10.0.0.{n} - - [18/Nov/2025:12:{n:02}:00 +0100] "GET /score HTTP/1.1" {500 if n > 6 else 200} 12'
    for n in range(10)
)


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


@pytest.fixture
def folder(rca, tmp_path):
    rca("new", "mine", "--in", tmp_path)
    path = tmp_path / "mine" / "incident.yaml"
    lines = path.read_text().splitlines()
    path.write_text("\n".join('as_of: "2026-01-01T00:00:00Z"' if line.startswith("as_of:") else line for line in lines))
    return path.parent


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
    assert "say --kind" in err
    code, _, err = rca("import", folder, export, "--kind", "deploy")
    assert code == 2
    assert "row 1: time: '2025-11-18 12:00' has no time zone" in err.replace("row 1: '", "row 1: time: '")
    assert err.splitlines()[-1].startswith("rca: to answer, add --zone ZONE")
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
    assert "late: ahead by 4" in rca("clocks", folder, "--reference", "gate")[1]


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
    assert (code, err) == (0, "")
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

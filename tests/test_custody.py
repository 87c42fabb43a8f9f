"""Custody: every difference is named, two writers and a killed one do no harm, an archive can be checked by others."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from rca import annotations, custody, evidence, incident, journal
from rca.custody import check
from rca.errors import InputError, MissingFile, UnknownName, UnsafeInput


@pytest.fixture
def folder(tmp_path):
    top = tmp_path / "incident"
    for name, content in {
        "sources/a.csv": "a\n1\n", "sources/sub/b.json": "[]", "model/m.bin": "x", "incident.yaml": "id: x\n",
        "annotations.jsonl": "", "derived/redact.key": "00",
    }.items():  # fmt: skip
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content)
    return top


def log(folder):
    return folder / "custody.jsonl"


def lines(folder):
    return log(folder).read_bytes().splitlines(keepends=True)


def fill(folder, number=4):
    for count in range(number):
        custody.append(folder, "derived", {f"derived/{count}": None}, note=f"note {count}", actor="SRE")


def breaks(folder):
    """Differences of the chain, without those of files."""
    return [line for line in custody.verify(folder) if line.startswith("custody.jsonl:")]


def test_an_entry_says_who_did_what_when_with_which_version(folder, monkeypatch):
    monkeypatch.setenv("RCA_ACTOR", "incident commander")
    monkeypatch.setenv("USER", "jane.doe")
    monkeypatch.setenv("LOGNAME", "jane.doe")
    head = custody.append(folder, "added", ["sources/a.csv"], note="from the pager: ß \n")
    monkeypatch.delenv("RCA_ACTOR")
    custody.append(folder, "verified")
    table = custody.entries(folder)
    assert table["actor"].tolist() == ["incident commander", "not named"]
    assert table["file"].tolist() == ["sources/a.csv", ""]
    assert table["sha256"].iloc[0] == hashlib.sha256(b"a\n1\n").hexdigest()
    assert table["note"].iloc[0] == "from the pager: ß \n"
    assert str(table["time"].dtype) == "datetime64[ns, UTC]"
    assert table["time"].is_monotonic_increasing
    assert table["seq"].tolist() == [1, 2]
    assert table["hash"].iloc[0] == head != custody.head(folder)
    assert "jane" not in log(folder).read_text()


def test_the_chain_can_be_computed_by_hand(folder):
    fill(folder, 2)
    first, second = map(json.loads, lines(folder))
    for record in (first, second):
        content = {key: record[key] for key in sorted(record) if key != "hash"}
        assert record["hash"] == hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()
    assert (first["prev"], second["prev"]) == ("", first["hash"])


def test_what_is_recorded_stands_in_manifest_and_log(folder):
    assert custody.record(folder, actor="SRE") == ["model/m.bin", "sources/a.csv", "sources/sub/b.json"]
    assert custody.verify_all(folder) == custody.verify(folder) == []
    assert custody.record(folder) == []
    assert len(lines(folder)) == 1
    (folder / "sources/a.csv").write_text("a\n2\n")
    (folder / "model/m.bin").unlink()
    (folder / "sources/late.csv").write_text("")
    with pytest.raises(InputError, match="raw exports are never changed"):
        custody.record(folder)
    assert len(lines(folder)) == 1
    assert custody.record(folder, accept=True, note="re-exported") == [
        "model/m.bin",
        "sources/a.csv",
        "sources/late.csv",
    ]
    table = custody.entries(folder)
    assert table[table["line"] > 1][["action", "file"]].values.tolist() == [
        ["added", "sources/late.csv"], ["accepted", "model/m.bin"], ["accepted", "sources/a.csv"],
    ]  # fmt: skip
    assert custody.verify_all(folder) == []


def test_a_manifest_from_before_there_was_a_log_is_taken_over(folder):
    evidence.record(folder)
    assert custody.verify_all(folder) == [f"custody.jsonl: there is none; `rca manifest {folder}` begins it"]
    assert custody.record(folder) == ["model/m.bin", "sources/a.csv", "sources/sub/b.json"]
    assert custody.verify_all(folder) == []


def test_verify_says_what_was_never_recorded_and_how_to_record_it(folder, rca):
    code, out, err = rca("verify", folder)
    assert (code, out) == (2, "")
    assert "no MANIFEST.json and no custody.jsonl" in err and "the 3 files in sources/ and model/" in err
    assert f"`rca manifest {folder}`" in err
    custody.record(folder)
    assert rca("verify", folder)[0] == 0


def test_verify_of_a_lost_manifest_is_a_difference_beside_those_that_the_log_shows(folder, rca):
    custody.record(folder)
    (folder / "MANIFEST.json").unlink()
    (folder / "sources/a.csv").write_text("a\n2\n")
    code, out, err = rca("verify", folder)
    assert (code, out) == (1, "")
    first, second = err.strip().splitlines()
    assert first.startswith("MANIFEST.json: missing; custody.jsonl shows") and f"`rca manifest {folder}`" in first
    assert second == "sources/a.csv: changed since it was added (custody.jsonl line 1)"


def test_verify_of_no_incident_folder_says_what_is_wanted(tmp_path, rca):
    for path in (tmp_path, tmp_path / "none"):
        code, _, err = rca("verify", path)
        assert code == 2 and f"{path}: no incident.yaml there" in err and ".zip" in err


def test_every_difference_of_files_is_named_once(folder):
    custody.record(folder)
    custody.append(folder, "derived", ["derived/redact.key"])
    (folder / "derived/redact.key").write_text("11")
    (folder / "sources/a.csv").write_text("a\n2\n")
    (folder / "model/m.bin").unlink()
    (folder / "sources/new.csv").write_text("")
    derived = "derived/redact.key: changed since it was derived (custody.jsonl line 2)"
    assert custody.verify(folder) == [
        derived,
        "model/m.bin: missing since it was added (custody.jsonl line 1)",
        "sources/a.csv: changed since it was added (custody.jsonl line 1)",
        "sources/new.csv: not in custody.jsonl",
    ]
    assert custody.verify_all(folder) == [
        "model/m.bin: recorded, but missing", "sources/a.csv: changed since it was recorded", "sources/new.csv: not in the manifest",
        derived, "sources/new.csv: not in custody.jsonl",
    ]  # fmt: skip
    (folder / "derived/redact.key").unlink()
    assert derived not in custody.verify(folder)


def test_a_file_that_manifest_and_log_disagree_on_is_named(folder):
    custody.record(folder)
    (folder / "sources/a.csv").write_text("a\n2\n")
    evidence.record(folder, accept=True)
    assert custody.verify_all(folder) == [
        "sources/a.csv: MANIFEST.json holds another hash than when it was added (custody.jsonl line 1)"
    ]
    assert custody.record(folder) == ["sources/a.csv"]
    assert custody.verify_all(folder) == []


TAMPER = {
    "edited": (lambda old: [old[0], old[1].replace(b"note 1", b"note 9"), *old[2:]], "line 2 was edited"),
    "removed": (lambda old: [old[0], *old[2:]], "line 2 follows lines that were removed: number 1 is followed by 3"),
    "first removed": (lambda old: old[1:], "line 1 follows lines that were removed"),
    "swapped": (lambda old: [old[0], old[2], old[1], old[3]], "line 2 is out of order: it belongs after line 3"),
    "doubled": (lambda old: [*old[:2], old[1], *old[2:]], "line 3 repeats line 2: inserted"),
    "not JSON": (lambda old: [*old[:2], b"hello\n", *old[2:]], "line 3 cannot be read"),
    "blank": (lambda old: [*old[:2], b"\n", *old[2:]], "line 3 cannot be read"),
    "other JSON": (lambda old: [*old[:2], b"{}\n", *old[2:]], "line 3 is no entry"),
    "spaced": (lambda old: [old[0].replace(b'": "', b'":  "', 1), *old[1:]], "line 1 was edited"),
    "doubled key": (lambda old: [b'{"note": "x", ' + old[0][1:], *old[1:]], "line 1 was edited"),
    "nested": (lambda old: [*old[:2], b"[" * 100_000 + b"\n", *old[2:]], "line 3 cannot be read"),
}


@pytest.mark.parametrize("kind", TAMPER)
def test_what_was_done_to_the_log_is_named_with_its_line(folder, kind):
    fill(folder)
    change, message = TAMPER[kind]
    log(folder).write_bytes(b"".join(change(lines(folder))))
    found = breaks(folder)
    assert found[0].startswith(f"custody.jsonl: {message}")
    assert len(custody.entries(folder)) >= 3


def resealed(record, **change):
    record = {key: value for key, value in (record | change).items() if key != "hash"}
    return journal.encode(record | {"hash": check.digest(record)}) + b"\n"


def test_an_entry_edited_with_its_hash_breaks_the_chain_after_it(folder):
    fill(folder)
    old = lines(folder)
    log(folder).write_bytes(b"".join([old[0], resealed(json.loads(old[1]), note="nothing happened"), *old[2:]]))
    assert breaks(folder) == [
        "custody.jsonl: line 3 does not follow the line before it: one of the two was edited, inserted or put in another's place"
    ]


def test_a_cut_or_rewritten_log_is_found_by_the_head_noted_elsewhere(folder):
    custody.record(folder)
    fill(folder)
    head = custody.head(folder)
    custody.append(folder, "verified")
    assert custody.verify(folder, head=head) == []
    log(folder).write_bytes(b"".join(lines(folder)[:3]))
    assert custody.verify(folder) == []  # what a chain cannot show
    for call in (custody.verify, custody.verify_all):
        assert "cut off or written anew" in "".join(call(folder, head=head))


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_no_change_but_a_cut_at_the_end_goes_unseen(tmp_path_factory, data):
    top = tmp_path_factory.mktemp("incident")
    fill(top, 4)
    old = log(top).read_bytes()
    rows = old.splitlines(keepends=True)
    how = data.draw(st.sampled_from(["byte", "insert", "order"]))
    if how == "order":
        new = b"".join(rows[number] for number in data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=6)))
    else:
        at = data.draw(st.integers(0, len(old) - 1))
        byte = data.draw(st.binary(min_size=1, max_size=1))
        new = old[:at] + byte + old[at + (how == "byte") :]
    log(top).write_bytes(new)
    cut = old.startswith(new) and new.endswith(b"\n")
    whole = new.rstrip(b"\n") == old.rstrip(b"\n") and len(new) <= len(old)
    assert bool(breaks(top)) != (cut or whole)


def test_a_line_that_was_cut_short_is_named_and_then_accounted_for(folder):
    fill(folder, 2)
    whole = log(folder).read_bytes()
    for size in (1, 50, len(lines(folder)[1]) - 2):
        log(folder).write_bytes(whole + lines(folder)[1][:size])
        assert breaks(folder)[0].startswith("custody.jsonl: line 3 cannot be read")
        assert custody.entries(folder)["action"].tolist() == ["derived", "derived", "unreadable"]
        custody.append(folder, "verified", actor="SRE")
        assert breaks(folder) == []
        assert custody.entries(folder)["action"].tolist()[2:] == ["unreadable", "torn", "verified"]
        damaged = log(folder).read_bytes().splitlines(keepends=True)
        damaged[2] = b"x" + damaged[2]
        log(folder).write_bytes(b"".join(damaged))
        assert breaks(folder)[0].startswith("custody.jsonl: line 3 cannot be read")
        log(folder).write_bytes(whole)


def test_a_last_line_without_its_end_is_whole(folder):
    fill(folder, 2)
    log(folder).write_bytes(log(folder).read_bytes()[:-1])
    assert breaks(folder) == []
    custody.append(folder, "verified")
    assert breaks(folder) == []
    assert custody.entries(folder)["action"].tolist() == ["derived", "derived", "verified"]


def write_many(folder, number):
    for count in range(10):
        custody.append(folder, "verified", note=f"{number} {count}")


def test_writers_at_the_same_time_make_one_chain(folder):
    processes = [
        multiprocessing.get_context("fork").Process(target=write_many, args=(folder, number)) for number in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    custody.record(folder)
    assert custody.verify(folder) == []
    notes = custody.entries(folder)["note"][:40]
    assert sorted(notes) == sorted(f"{number} {count}" for number in range(4) for count in range(10))


def test_a_writer_killed_at_any_time_leaves_a_log_that_goes_on(folder):
    code = "import sys; from rca import custody\nwhile True: custody.append(sys.argv[1], 'verified', note='x' * 1000)"
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
        while not log(folder).exists() or len(lines(folder)) < 5:
            pass
        process.kill()
        process.wait()
        custody.record(folder)
        assert custody.verify(folder) == []


def test_a_full_disk_leaves_the_log_as_it_was(folder, monkeypatch):
    fill(folder, 2)
    before = log(folder).read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        custody.append(folder, "verified")
    assert log(folder).read_bytes() == before


def test_what_cannot_be_logged_is_refused_and_changes_nothing(folder):
    fill(folder, 1)
    before = log(folder).read_bytes()
    with pytest.raises(UnknownName, match="did you mean 'added'"):
        custody.append(folder, "aded")
    with pytest.raises(MissingFile):
        custody.append(folder, "added", ["sources/none.csv"])
    with pytest.raises(UnsafeInput):
        custody.append(folder, "added", ["../x"])
    with pytest.raises(InputError, match="limit of 2,000"):
        custody.append(folder, "verified", note="x" * 2001)
    with pytest.raises(InputError, match="half a character"):
        custody.append(folder, "verified", note="\ud800")
    with pytest.raises(MissingFile):
        custody.append(folder / "none", "verified")
    assert log(folder).read_bytes() == before
    shutil.rmtree(folder)
    folder.mkdir()
    for call in (custody.entries, custody.head):
        with pytest.raises(MissingFile, match="begins it"):
            call(folder)


def test_a_log_that_is_a_link_out_of_the_folder_is_neither_read_nor_written(folder, tmp_path):
    (tmp_path / "elsewhere").write_text("")
    log(folder).symlink_to(tmp_path / "elsewhere")
    for call in (
        lambda: custody.append(folder, "verified"),
        lambda: custody.verify(folder),
        lambda: custody.entries(folder),
    ):
        with pytest.raises(UnsafeInput):
            call()
    assert (tmp_path / "elsewhere").read_text() == ""


def test_an_entry_that_names_a_path_out_of_the_folder_is_named(folder):
    custody.record(folder)
    custody.append(folder, "added", {"../secret": "00"})
    assert any("leaves the incident folder" in line for line in custody.verify(folder))


@pytest.fixture
def sealed(folder, tmp_path):
    custody.record(folder, actor="SRE")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/postmortem.html").write_text("<p>x</p>")
    return custody.seal(folder, tmp_path / "out/incident.zip", reports=tmp_path / "reports", actor="legal")


def test_an_archive_holds_everything_and_the_export_is_logged_after_it(folder, sealed):
    with zipfile.ZipFile(sealed) as archive:
        names = archive.namelist()
        seal = json.loads(archive.read("SEAL.json"))
        held = archive.read("incident/custody.jsonl")
    assert sorted(names) == sorted([
        "README.txt", "SEAL.json", "SHA256SUMS", "check.py", "incident/MANIFEST.json", "incident/annotations.jsonl",
        "incident/custody.jsonl", "incident/incident.yaml", "incident/model/m.bin", "incident/sources/a.csv",
        "incident/sources/sub/b.json", "report/postmortem.html",
    ])  # fmt: skip
    assert custody.check_seal(sealed) == []
    last = custody.entries(folder).iloc[-1]
    assert last[["action", "actor", "file"]].tolist() == ["exported", "legal", "incident.zip"]
    assert last["sha256"] == hashlib.sha256(sealed.read_bytes()).hexdigest()
    assert held == lines(folder)[0]
    assert seal["head"] == json.loads(held)["hash"]
    assert custody.verify_all(folder, head=seal["head"]) == []
    assert list(sealed.parent.iterdir()) == [sealed]


def test_the_same_content_gives_the_same_bytes(folder, tmp_path):
    custody.record(folder)
    shutil.copytree(folder, tmp_path / "copy/incident", copy_function=shutil.copyfile)
    one = custody.seal(folder, tmp_path / "one.zip")
    two = custody.seal(tmp_path / "copy/incident", tmp_path / "two.zip")
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        held = [(member.date_time, member.external_attr >> 16) for member in archive.infolist()]
        assert set(held) == {((1980, 1, 1, 0, 0, 0), 0o100644)}
        assert archive.namelist()[:-2] == sorted(archive.namelist()[:-2])


def test_the_script_in_the_archive_and_common_tools_agree(sealed, tmp_path):
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(sealed) as archive:
        archive.extractall(unpacked)
    script = [sys.executable, "-I", "-W", "error", str(unpacked / "check.py")]
    done = subprocess.run([*script, str(sealed)], capture_output=True, text=True, check=True)
    assert done.stdout == "differences: 0\n"
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=unpacked, check=True)
    (unpacked / "incident/sources/a.csv").write_text("a\n2\n")
    assert subprocess.run(["sha256sum", "--check", "--status", "SHA256SUMS"], cwd=unpacked, check=False).returncode == 1
    assert custody.verify_all(unpacked / "incident") != []
    broken = rebuilt(sealed, tmp_path / "broken.zip", {"report/postmortem.html": b"<p>y</p>"})
    done = subprocess.run([*script, str(broken)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "report/postmortem.html: is not what was sealed\ndifferences: 1\n")
    assert subprocess.run(script, capture_output=True, check=False).returncode == 2
    assert subprocess.run([*script, "none.zip"], capture_output=True, check=False).returncode == 2


def rebuilt(sealed, path, change):
    """Copy an archive with members changed, added (bytes) or left out (None)."""
    with zipfile.ZipFile(sealed) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        members = {name: old.read(name) for name in old.namelist()} | change
        for name, content in members.items():
            if content is not None:
                new.writestr(name, content)
    return path


def reseal(sealed, path, change):
    """As `rebuilt`, by someone who also makes SEAL.json and SHA256SUMS fit."""
    with zipfile.ZipFile(sealed) as old:
        members = {name: old.read(name) for name in old.namelist()} | change
    sums = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in members.items()
        if name not in ("SEAL.json", "SHA256SUMS")
    }
    members["SHA256SUMS"] = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()
    sums["SHA256SUMS"] = hashlib.sha256(members["SHA256SUMS"]).hexdigest()
    members["SEAL.json"] = json.dumps(json.loads(members["SEAL.json"]) | {"members": sums}).encode()
    return rebuilt(sealed, path, members)


CHANGES = {
    "changed": ({"incident/sources/a.csv": b"a\n2\n"}, "incident/sources/a.csv: is not what was sealed"),
    "missing": ({"incident/model/m.bin": None}, "incident/model/m.bin: named in SEAL.json, but missing"),
    "added": ({"incident/sources/z.csv": b""}, "incident/sources/z.csv: not named in SEAL.json"),
    "no seal": ({"SEAL.json": None}, "SEAL.json: missing or not a seal"),
    "odd seal": ({"SEAL.json": b"[]"}, "SEAL.json: missing or not a seal"),
    "deep seal": ({"SEAL.json": b"[" * 100_000}, "SEAL.json: missing or not a seal"),
    "parent": ({"../x": b""}, "'../x': a name that leaves the archive"),
    "absolute": ({"/etc/x": b""}, "'/etc/x': a name that leaves the archive"),
    "backslash": ({"a\\b": b""}, "a name that leaves the archive"),
    "drive": ({"c:x": b""}, "a name that leaves the archive"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_each_change_of_an_archive_is_named(sealed, tmp_path, kind):
    change, message = CHANGES[kind]
    found = custody.check_seal(rebuilt(sealed, tmp_path / "x.zip", change))
    assert any(message in line for line in found), found


def test_a_change_with_fitting_sums_is_found_by_manifest_and_chain(sealed, tmp_path):
    found = custody.check_seal(reseal(sealed, tmp_path / "x.zip", {"incident/sources/a.csv": b"a\n2\n"}))
    assert found == ["x.zip: incident/sources/a.csv: its sum in MANIFEST.json differs from SEAL.json"]
    with zipfile.ZipFile(sealed) as archive:
        entry = json.loads(archive.read("incident/custody.jsonl"))
    log = {"incident/custody.jsonl": resealed(entry, actor="nobody")}
    assert "ends in" in custody.check_seal(reseal(sealed, tmp_path / "y.zip", log))[0]
    log = {"incident/custody.jsonl": resealed(entry).replace(b"SRE", b"XYZ")}
    assert "was edited" in "".join(custody.check_seal(reseal(sealed, tmp_path / "z.zip", log)))


def test_links_doubles_other_packings_and_damage_are_named(sealed, tmp_path):
    path = rebuilt(sealed, tmp_path / "link.zip", {})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("packed", b"x" * 99, compress_type=zipfile.ZIP_BZIP2)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("README.txt", "x")
    found = "\n".join(custody.check_seal(path))
    for message in (
        "'link': a link or device",
        "'packed': encrypted, or packed",
        "'README.txt': stands in the archive twice",
    ):
        assert message in found
    data = bytearray(sealed.read_bytes())
    for size in (0, 10, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.zip").write_bytes(data[:size])
        assert custody.check_seal(tmp_path / "cut.zip") != []
    with pytest.raises(MissingFile):
        custody.check_seal(tmp_path / "none.zip")
    with pytest.raises(UnsafeInput):
        custody.check_seal(tmp_path)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_a_damaged_archive_is_named_or_holds_the_same(sealed, data):
    """A flipped byte lies in content (named), or in what no reader of the content looks at."""
    raw = bytearray(sealed.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    damaged = sealed.with_name("damaged.zip")
    damaged.write_bytes(raw)
    if not custody.check_seal(damaged):
        with zipfile.ZipFile(sealed) as one, zipfile.ZipFile(damaged) as two:
            assert {name: one.read(name) for name in one.namelist()} == {
                name: two.read(name) for name in two.namelist()
            }
    damaged.unlink()


def test_limits_hold_before_anything_is_read(sealed, monkeypatch):
    monkeypatch.setattr(check, "MAX_MEMBERS", 3)
    assert "more than the limit of 3" in custody.check_seal(sealed)[0]
    monkeypatch.setattr(check, "MAX_MEMBERS", 100)
    monkeypatch.setattr(check, "MAX_BYTES", 10)
    assert "more than the limit of 10" in custody.check_seal(sealed)[0]


def test_differences_known_at_the_time_are_in_the_archive_and_named(folder, tmp_path):
    custody.record(folder)
    (folder / "sources/a.csv").write_text("a\n2\n")
    found = custody.check_seal(custody.seal(folder, tmp_path / "x.zip"))
    assert "x.zip: known when it was sealed: sources/a.csv: changed since it was recorded" in found


def test_what_is_left_out_is_said(folder, tmp_path):
    custody.record(folder)
    path = custody.seal(folder, tmp_path / "x.zip", include=["sources"])
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("SEAL.json"))["left_out"] == ["model"]
        assert "incident/model/m.bin" not in archive.namelist()
    assert custody.check_seal(path) == []


def test_what_cannot_be_sealed_is_refused_and_leaves_nothing(folder, tmp_path):
    with pytest.raises(MissingFile, match="rca manifest"):
        custody.seal(folder, tmp_path / "x.zip")
    custody.record(folder)
    count = len(lines(folder))
    (tmp_path / "old.zip").write_bytes(b"old")
    for out, message in ((tmp_path / "old.zip", "never overwritten"), (folder / "sources/x.zip", "lies in")):
        with pytest.raises(InputError, match=message):
            custody.seal(folder, out)
    with pytest.raises(UnknownName, match="no raw folder 'derived'"):
        custody.seal(folder, tmp_path / "x.zip", include=["derived"])
    with pytest.raises(MissingFile, match="no such folder of reports"):
        custody.seal(folder, tmp_path / "x.zip", reports=tmp_path / "none")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/link").symlink_to("/etc/hostname")
    with pytest.raises(UnsafeInput):
        custody.seal(folder, tmp_path / "x.zip", reports=tmp_path / "reports")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["incident", "old.zip", "reports"]
    assert len(lines(folder)) == count


def packed(tmp_path):
    """An archive of a few members as sealing writes them, for its layout."""
    members = {f"m{number}.txt": bytes([65 + number]) * 10 * number for number in range(3)}
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for name, content in members.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as target:
                target.write(content)
    return tmp_path / "p.zip"


LAYOUT = {
    "appended": (lambda raw: raw + b"one more", "8 bytes that sealing does not write, at the end"),
    "appended zeros": (lambda raw: raw + bytes(70_000), "no zip file"),
    "put before": (lambda raw: b"#!/bin/sh\n" + raw, "10 bytes that sealing does not write, before 'README.txt'"),
    "a comment": (lambda raw: raw[:-2] + b"\x02\x00hi", "in or before the end of the list of members"),
}


@pytest.mark.parametrize("kind", LAYOUT)
def test_bytes_of_an_archive_outside_its_members_are_named(sealed, tmp_path, kind):
    change, message = LAYOUT[kind]
    path = tmp_path / "x.zip"
    path.write_bytes(change(sealed.read_bytes()))
    found = custody.check_seal(path)
    assert len(found) == 1 and message in found[0], found
    unpacked = tmp_path / "check.py"
    with zipfile.ZipFile(sealed) as archive:
        unpacked.write_bytes(archive.read("check.py"))
    done = subprocess.run([sys.executable, "-I", unpacked, path], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and message in done.stdout


def test_a_hidden_member_and_bytes_between_members_are_named(sealed, tmp_path):
    """A member that the list at the end leaves out is in no listing, but its bytes are there."""
    path = rebuilt(sealed, tmp_path / "x.zip", {})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("hidden", "secret")
        del archive.NameToInfo["hidden"]
        archive.filelist.pop()
    assert "hidden" not in zipfile.ZipFile(path).namelist()
    (found,) = custody.check_seal(path)
    assert "after the last member" in found
    member = zipfile.ZipInfo("SEAL.json")
    for member.extra, member.comment in ((b"\xca\xfe\x04\x00data", b""), (b"", b"data")):
        with zipfile.ZipFile(sealed) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                new.writestr(member if name == "SEAL.json" else name, old.read(name))
        (found,) = custody.check_seal(path)
        assert "'SEAL.json': its head holds bytes" in found


def test_every_byte_put_into_an_archive_is_found(tmp_path):
    raw = packed(tmp_path).read_bytes()
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        assert check._layout(str(tmp_path / "p.zip"), archive.infolist()) == []
    for at in range(len(raw) + 1):
        (tmp_path / "x.zip").write_bytes(raw[:at] + b"x" + raw[at:])
        assert custody.check_seal(tmp_path / "x.zip") != ["x.zip: SEAL.json: missing or not a seal (KeyError)"], at


@pytest.mark.parametrize("count", [3, 66_000])
def test_the_end_of_an_archive_is_as_zip_writes_it_with_few_and_many_members(tmp_path, count):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for number in range(count):
            archive.writestr(zipfile.ZipInfo(str(number)), b"")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert check._layout(str(tmp_path / "x.zip"), archive.infolist()) == []


def test_evidence_that_changed_is_sealed_but_never_silently(tmp_path, rca):
    folder = incident.new("case", tmp_path)
    (folder / "sources/a.csv").write_text("a\n1\n")
    custody.record(folder)
    code, out, err = rca("seal", folder, tmp_path / "good.zip")
    assert (code, err) == (0, "") and "note it elsewhere" in out
    (folder / "sources/a.csv").write_text("a\n2\n")
    code, out, err = rca("seal", folder, tmp_path / "x.zip", "--by", "legal")
    assert code == 1 and "SHA-256" in out
    assert "sources/a.csv: changed since it was recorded" in err and "sealed, but NOT AS RECORDED" in err
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert "NOT AS RECORDED: differences that were known" in archive.read("README.txt").decode()
        assert archive.read("incident/sources/a.csv") == b"a\n2\n"
    assert custody.entries(folder)["note"].iloc[-1].endswith("; 1 differences known")
    assert rca("verify", tmp_path / "x.zip")[0] == 1


def test_verify_prints_the_head_so_that_it_can_be_noted_and_given_back(folder, rca):
    custody.record(folder)
    fill(folder, 2)
    code, out, _ = rca("verify", folder)
    assert code == 0 and f"custody.jsonl ends in {custody.head(folder)}; note it elsewhere" in out
    head = custody.head(folder)
    log(folder).write_bytes(b"".join(lines(folder)[:-1]))
    assert rca("verify", folder)[0] == 0
    assert rca("verify", folder, "--head", head)[0] == 1


def test_verify_names_a_changed_annotation_with_and_without_a_log(folder, rca):
    annotations.add(folder, "e1", note="pager silent", author="SRE")
    custody.record(folder)
    assert rca("verify", folder)[0] == 0
    path = folder / "annotations.jsonl"
    path.write_text(path.read_text().replace("silent", "loud"))
    code, _, err = rca("verify", folder)
    assert code == 1 and err.startswith("annotations.jsonl: line 1: changed since it was annotated")
    log(folder).unlink()
    code, _, err = rca("verify", folder)
    assert code == 1 and err.startswith("annotations.jsonl: line 1: was edited")
    path.write_text("")
    assert rca("verify", folder)[0] == 0  # what nothing recorded cannot be missed


def test_what_is_put_back_must_be_the_recorded_original(folder, tmp_path):
    custody.record(folder)
    original = tmp_path / "original.csv"
    original.write_text("a\n1\n")
    assert custody.restore(folder, original) == []
    (folder / "sources/a.csv").unlink()
    (folder / "model/m.bin").unlink()
    (tmp_path / "other.csv").write_text("a\n2\n")
    assert custody.restore(folder, tmp_path / "other.csv") == []
    assert custody.restore(folder, original, actor="SRE") == ["sources/a.csv"]
    assert (folder / "sources/a.csv").read_text() == "a\n1\n"
    last = custody.entries(folder).iloc[-1]
    assert last[["action", "actor", "file"]].tolist() == ["restored", "SRE", "sources/a.csv"]
    assert custody.verify_all(folder) == ["model/m.bin: recorded, but missing"]
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    for name in ("incident2.yaml", "sources/../../x", "derived/x"):
        manifest["sha256"][name] = hashlib.sha256(b"a\n1\n").hexdigest()
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(UnsafeInput):
        custody.restore(folder, original)
    del manifest["sha256"]["sources/../../x"]
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    assert custody.restore(folder, original) == []
    assert not (folder / "incident2.yaml").exists()

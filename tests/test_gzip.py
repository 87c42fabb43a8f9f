"""Exports compressed with gzip are read as what they hold; what is no honest gzip file ends in an error with its name."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import zipfile

import pandas as pd
import pytest
from exports import EXPORTS, incident
from hypothesis import given, settings, strategies as st

from rca import files, incident as incidents, sources
from rca.errors import InputError, MissingFile, UnsafeInput
from rca.incident.model import Source
from rca.sources import adding, documents, formats, recognise

ROWS = [{"time": f"2025-11-18T11:{20 + n}:00Z", "system": "web", "message": f"v{n}"} for n in range(3)]
CSV = "time,system,message\n" + "".join(",".join(row.values()) + "\n" for row in ROWS)
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
PLAIN = {"a.csv": CSV, "a.jsonl": LINES, "a.json": json.dumps(ROWS), "a.log.2.jsonl": "\ufeff" + LINES}
TRAIL = {
    "Records": [
        {
            "eventVersion": "1.08", "eventTime": row["time"], "eventSource": "ec2.amazonaws.com",
            "eventName": "StopInstances", "awsRegion": "eu-west-1", "eventID": row["message"], "requestID": "r",
            "userIdentity": {"type": "IAMUser", "userName": "alice"},
        }
        for row in ROWS
    ]
}  # fmt: skip
NOT_TEXT = (b"PK\x03\x04", b"PAR1", b"SQLite format 3\0")  # read by libraries that need the file itself
TEXTS = [
    pytest.param(export, id=export.name)
    for export in EXPORTS
    if export.reader in formats.NAMES and not export.write(export.records).startswith(NOT_TEXT)
]


def held(path, data):
    path.write_bytes(data)
    with files.opened(path) as handle:
        return handle.read()


def put(path, content):
    path.write_bytes(gzip.compress(content.encode() if isinstance(content, str) else content))
    return path


# What a file holds


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_the_members_of_a_gzip_file_are_read_one_after_the_other(tmp_path_factory, members):
    path = tmp_path_factory.mktemp("gzip") / "a.gz"
    whole = b"".join(members)
    if whole[:2] != files.GZIP:
        assert held(path, b"".join(map(gzip.compress, members))) == whole
        assert held(path, whole) == whole


def test_what_the_command_gzip_writes_is_read(tmp_path):
    (tmp_path / "syslog.2").write_text(CSV * 1000)
    subprocess.run(["gzip", "-9", str(tmp_path / "syslog.2")], check=True)
    with files.opened(tmp_path / "syslog.2.gz") as handle:
        assert handle.read() == CSV.encode() * 1000


def test_the_first_bytes_tell_gzip_not_the_name(tmp_path):
    assert held(tmp_path / "plain.gz", b"text") == b"text"
    assert held(tmp_path / "packed.log", gzip.compress(b"text")) == b"text"
    assert held(tmp_path / "empty.gz", b"") == b""


@pytest.mark.parametrize("export", TEXTS)
def test_every_format_reads_a_compressed_file_as_the_plain_one(tmp_path, export):
    path = export.put(tmp_path)
    small = put(path.with_name(path.name + ".gz"), path.read_bytes())
    source = Source.model_validate(export.declared())
    read = formats.get(export.reader).read
    found = list(read(path, source))
    assert found
    assert list(read(small, source)) == found
    assert recognise.reader(recognise.head(small)) == recognise.reader(recognise.head(path)) == export.reader


@pytest.mark.parametrize("name", PLAIN)
def test_the_tables_of_a_compressed_file_are_those_of_the_plain_one(tmp_path, name):
    (tmp_path / name).write_text(PLAIN[name])
    put(tmp_path / f"{name}.gz", PLAIN[name])
    entry = {"id": "a", "reader": name.rpartition(".")[2], "constant": {"kind": "deploy"}}
    plain, small = (sources.read(incident(tmp_path, entry | {"file": file})).events for file in (name, f"{name}.gz"))
    assert len(plain) == len(ROWS)
    told = [frame.astype(str).apply(lambda column: column.str.replace(".gz", "")) for frame in (plain, small)]
    pd.testing.assert_frame_equal(*told)


def test_a_bad_line_is_named_by_its_place_in_what_the_file_holds(tmp_path):
    path = put(tmp_path / "a.jsonl.gz", LINES.encode() + b"\xff\n")
    *good, bad = documents.json_lines(path)
    assert [place for _, place, _ in good] == ["line 1", "line 2", "line 3"]
    assert bad[2].reason == "not UTF-8 text (byte 0 of the line)"
    with pytest.raises(InputError, match=rf"a.csv.gz: not UTF-8 text \(byte {len(CSV)}\)"):
        entry = {"id": "a", "reader": "csv", "constant": {"kind": "log"}, "file": "a.csv.gz"}
        put(tmp_path / "a.csv.gz", CSV.encode() + b"\xff\n")
        sources.read(incident(tmp_path, entry))


# rca import


def test_cloudtrail_as_it_is_delivered_is_imported_and_kept_as_received(rca, folder, tmp_path):
    path = put(tmp_path / "123_CloudTrail_eu-west-1_20251118T1120Z_x.json.gz", json.dumps(TRAIL))
    code, out, err = rca("import", folder, path)
    assert (code, err) == (0, "")
    name = f"sources/{path.name}"
    assert f"{name}: read as cloudtrail; new source cloudtrail" in out
    assert (folder / name).read_bytes() == path.read_bytes()
    found = incidents.load(folder)
    assert found.hashes[name] == hashlib.sha256(path.read_bytes()).hexdigest()
    events = sources.read(found).events
    assert events["locator"].tolist() == [f"{path.name} /Records/{n}" for n in range(3)]
    assert "already there" in rca("import", folder, path)[1]


def test_names_and_ids_do_without_the_ending_gz(rca, folder, tmp_path):
    first = put(tmp_path / "deploys.csv.gz", CSV)
    assert "new source deploys\n" in rca("import", folder, first, "--kind", "deploy")[1]
    other = put(tmp_path / "deploys.csv.gz", CSV.replace("v2", "v9"))
    assert "sources/deploys-2.csv.gz: read as csv; further" in rca("import", folder, other, "--kind", "deploy")[1]
    assert recognise.head(first).name == "deploys.csv"


def test_a_large_compressed_file_is_asked_about_by_its_first_lines(rca, folder, tmp_path):
    text = "time,system,message\n" + "".join(f"2025-11-18 11:20:00,web,request {n} took long\n" for n in range(60_000))
    path = put(tmp_path / "requests.csv.gz", text)
    assert path.stat().st_size < 2**20 < len(text) // 2
    code, _, err = rca("import", folder, path)
    assert (code, "--zone" in err, "--kind" in err) == (2, True, True)
    part = adding._part(path)
    assert part is not None
    assert part.name == path.name
    assert text.startswith(part.read_text())
    assert part.read_bytes().endswith(b"long\n")
    assert adding._part(put(tmp_path / "small.csv.gz", CSV)) is None


# What is refused


def test_cut_off_and_damaged_gzip_data_are_refused_with_the_name_of_the_file(rca, folder, tmp_path):
    good = gzip.compress(LINES.encode() * 50)
    path = tmp_path / "a.jsonl.gz"
    for size in (2, 9, 11, len(good) // 2, len(good) - 1):
        with pytest.raises(InputError, match=r"^a\.jsonl\.gz: the gzip data is cut off"):
            held(path, good[:size])
    wrong = good[:-8] + bytes(4) + good[-4:]  # the checksum
    for bad in (wrong, good[:20] + b"\xff" * 20 + good[40:], good + b"more"):
        with pytest.raises(InputError, match=r"^a\.jsonl\.gz: the gzip data is damaged"):
            held(path, bad)
    before = (folder / "incident.yaml").read_bytes()
    for bad in (good[:-1], wrong):
        path.write_bytes(bad)
        code, _, err = rca("import", folder, path, "--kind", "log")
        assert (code, err.count("a.jsonl.gz: the gzip data is")) == (2, 1)
    assert (folder / "incident.yaml").read_bytes() == before
    assert not (folder / "sources" / "a.jsonl.gz").exists()


@pytest.mark.parametrize("reader", ["csv", "json", "jsonl"])
@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: gzip.compress(data)])
def test_every_plain_reader_says_what_is_wrong_with_the_gzip_data(tmp_path, reader, spoil):
    path = tmp_path / f"a.{reader}.gz"
    path.write_bytes(spoil(gzip.compress(PLAIN[f"a.{reader}"].encode())))
    entry = {"id": "a", "reader": reader, "constant": {"kind": "deploy"}, "file": path.name}
    with pytest.raises(InputError, match=rf"^a.{reader}.gz: (the gzip data is cut off|gzip within gzip)"):
        sources.read(incident(tmp_path, entry))


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "GROWTH_FREE", 2**16)
    bomb = put(tmp_path / "a.log.gz", b"a line\n" * 2**20)
    limit = 200 * bomb.stat().st_size + 2**16
    assert limit < 7 * 2**20
    size = 0
    with pytest.raises(UnsafeInput, match=f"^a.log.gz: more than {limit:,} bytes when unpacked"):
        for _, _, text in documents.lines(bomb):
            size += len(text) + 1
    assert size <= limit
    monkeypatch.undo()
    assert sum(1 for _ in documents.lines(bomb)) == 2**20  # what fits into the 64 MiB is no bomb


def test_a_document_has_the_same_limit_packed_or_not(tmp_path):
    text = json.dumps(["x" * 100])
    (tmp_path / "a.json").write_text(text)
    small = put(tmp_path / "a.json.gz", text)
    assert small.stat().st_size < 100
    for path in (tmp_path / "a.json", small):
        assert documents.document(path, limit=len(text)) == ["x" * 100]
        with pytest.raises(UnsafeInput, match="more than the limit of 103"):
            documents.document(path, limit=len(text) - 1)


def test_an_empty_file_is_empty_packed_too(tmp_path):
    with pytest.raises(InputError, match="the file is empty"):
        recognise.head(put(tmp_path / "a.gz", b""))
    assert list(documents.objects(tmp_path / "a.gz")) == []


def test_gzip_within_gzip_and_archives_within_gzip_are_refused_with_a_reason(tmp_path):
    with pytest.raises(InputError, match=r"a\.gz: gzip within gzip; unpack it once"):
        held(tmp_path / "a.gz", gzip.compress(gzip.compress(b"text")))
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.json", "{}")
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.json"), io.BytesIO(b""))
    contents = {
        "zip archive": zipped.getvalue(), "tar archive": tarred.getvalue(),
        "Parquet file": b"PAR1....", "SQLite file": b"SQLite format 3\0",
    }  # fmt: skip
    for kind, data in contents.items():
        with pytest.raises(InputError, match=f"a.gz: holds a {kind}; unpack it first"):
            recognise.head(put(tmp_path / "a.gz", data))


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    for path, kind, said in (
        (tmp_path / "none.gz", MissingFile, "no such file"),
        (tmp_path, InputError, "cannot be read"),
    ):
        with pytest.raises(kind, match=said), files.opened(path):
            pass

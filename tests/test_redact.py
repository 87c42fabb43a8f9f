"""Redaction: what identifies somebody or opens something goes, what an analysis needs stays."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import multiprocessing
import re
import uuid
import zipfile
from datetime import UTC, datetime
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from rca import redact
from rca.errors import InputError, MissingFile, UnknownName, UnsafeInput

KEY = b"a key of tests, of 32 bytes, no."
JANE = ("Jane Doe", "data engineer", ["jd42"])
BRIAN = ("Brian O'Neil", "", [])


def redactor(key=KEY, **more):
    return redact.Redactor.of([JANE, BRIAN], key, **more)


# What must go, by category: written for this test. Secrets are made up, cards and accounts are the numbers that
# issuers and the standard publish as examples, addresses those that RFC 5737 and RFC 3849 set aside for examples.
GO = {
    "secret": [
        "key AKIA{IOSFODNN7EXAMPLE} used", "push with ghp_{abcdefghijklmnopqrstuvwxyz0123456789}",
        "glpat-{Zx9_yW8vU7tS6rQ5pO4n}", "SLACK=xoxb-{123456789012-abcdefGHIJKL}", "AIza{SyA-1234567890abcdefghijklmnopqrstu}",
        "Authorization: Bearer {mF_9.B5f-4.1JqM}", 'authorization: basic {QWxhZGRpbjpvcGVuIHNlc2FtZQ==}',
        "eyJhbGciOiJIUzI1NiJ9.{eyJzdWIiOiIxMjM0NTY3ODkwIn0}.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "postgres://app:{s3cr3t!}@db.internal:5432/orders", "redis://:{p4ssw0rd}@10.0.0.1", "mysql://u:{p@ss}@h/db",
        "password={hunter2}", "DB_PASSWORD='{correct horse battery}'", '{{"api_key": "{9f8e7d6c5b4a}"}}',
        '\\"client_secret\\": \\"{Xy7_abcdefgh}\\"', "Server=db;User=app;Password={Tr0ub4dor&3};Encrypt=yes".replace("&", ""),
        "aws_secret_access_key = {wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY}", "userPassword: {Sommer2024}",
        "https://hooks.slack.com/services/{T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX}",
        "https://api.example/v1?token={f00dfeed12345678}&x=1", "AccountKey={abcd1234efgh5678==};Endpoint=x",
        "-----BEGIN RSA PRIVATE KEY-----\n{MIIEpAIBAAKCAQEA}\nabc=\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\\n{MIIEvQIBADANBgkqhkiG9w}",
        "hf_{abcdefghijklmnopqrstuvwxyzABCDEF}", "sk-{abcdefghij0123456789ABCDEFGHIJ}", "sk_live_{4eC39HqLyjWDarjtT1zdp7dc}",
    ],
    "card": ["paid with {4111 1111 1111 1111}", "{5500-0000-0000-0004} declined", '"card":{378282246310005},', "{6011000990139424}"],
    "iban": ["to {DE89 3704 0044 0532 0130 00} today", "{GB29NWBK60161331926819}.", "{AT61 1904 3002 3457 3201} WITH", "{FR1420041010050500013M02606}"],
    "ip": [
        "from {203.0.113.9}:443", "ip={198.51.100.23}", "http://{192.0.2.1}/x", "[{2001:db8::8a2e:370:7334}]:80", "10.0.0.0/8 has {10.1.2.3}",
        "{192.0.2.1}-192.0.2.9", "node-{10.0.12.7} lost", "{fe80::1ff:fe23:4567:890a}%eth0", "ip-{10-0-12-7}.ec2.internal",
        "{2001:0db8:85a3:0000:0000:8a2e:0370:7334}", '"version": "7", "client": "{203.0.113.77}"',
    ],
    "phone": [
        "call {+49 30 901820}", "{+1 (415) 555-2671}", "{+442079460958} rang", "({415}) 555-2671", "{415-555-2671}", "phone: {030 901820-14}",
        "Tel. {0171/2345678}", "{+33 1 23 45 67 89}", "mobile: {0171 2345678}",
    ],
    "address": [
        "lives at {221B Baker Street}, London NW1 6XE", "{1600 Pennsylvania Ave}nue NW", "{Hauptstraße 12}, 10115 Berlin",
        "{Lange Str. 5a}", "{10 rue de la Paix}, 75002 Paris", "{P.O. Box 1234}", "{742 Evergreen Terrace}, Springfield, OR 97477",
    ],
    "e-mail": ["ask {ann.lee@corp.example} now", "<{ben+x@mail.example}>"],
    "person": ["{Jane Doe} said", "@{jd42}", "by {Brian O'Neil}", "{Doe, Jane}"],
}  # fmt: skip

STAY = [
    "commit 3f2a9c1d4e5b6a7f8091a2b3c4d5e6f708192a3b", "image@sha256:9b74c9897bac770ffc029102a200c5de9b74c9897bac770ffc029102a200c5de",
    "md5 D41D8CD98F00B204E9800998ECF8427E", "id 123e4567-e89b-12d3-a456-426614174000", "at 2025-11-18T11:20:05.123456789+01:00",
    "ts 1763464800123456789 and 1763464800123 and 1763464800", "Nov 18 12:34:56 host app[1234]: started", "trace 4bf92f3577b34da6a3ce929d0e0e4736",
    "v1.2.3.4", "version 10.0.19.41", '"version": "1.2.3.4"', "numpy==1.2.3.4", "chrome-98.0.47.58.tar.gz", "Agent/1.2.3.4", "1.2.3.4.5", "1.2.3.4-rc1",
    "127.0.0.1:8080 and ::1 and 0.0.0.0", "999.1.2.3", "std::vector and a::b and ff::ad", "00:1b:44:11:3a:b7", "max_tokens=4096, total_tokens: 512",
    "token: expired", "password: incorrect", "password reset requested", 'eos_token="<|endoftext|>"', "password=${DB_PASSWORD}", "secret: null",
    "token=", "passed: 12 failed: 3", "cache_key=orders:2025:11", "primary key: order_id", "the secret is out: nobody knew", "token bucket: full",
    "bearer certificates expired", "next_token=abcdefgh12345678", "4111 1111 1111 1112", "order 4111111111111112", "0.4111111111111111",
    "DE89 3704 0044 0532 0130 01", "p99 0.123456 0.234567", "loss -415.555", "+12345678 bytes", "+0100", "+1.23456789e-05", "2025-11-18 11:20:00 +0100",
    "exit code 137 after 3600 s", "PR-1234 and INC-20251118-001", "s3://bucket/key", "https://example.org/a?b=1", "git@github.com:org/repo.git",
    "user: 42 rows: 1,234,567", "lr=0.0003 batch_size=256 epochs=10", "10 Downing", "3 rue", "the road ahead: 5 steps", "HTTP/1.1 500 12345 0.002",
    "model fraud-v12 precision 0.8123 -> 0.6022", "postgres://db.internal:5432/orders", "sk-learn-model-v2-production-candidate", "feature-store p=0.05",
]  # fmt: skip


@pytest.mark.parametrize(("category", "marked"), [(name, text) for name, texts in GO.items() for text in texts])
def test_what_identifies_or_opens_is_replaced_by_its_category(category, marked):
    start, end = (
        marked.index("{", marked.startswith("{{") and 3),
        marked.rindex("}", 0, len(marked) - marked.endswith("}}") * 2 or None),
    )
    value = marked[start + 1 : end]
    text = marked[:start].replace("{{", "{") + value + marked[end + 1 :].replace("}}", "}")
    found = redactor()
    out = found.text(text)
    assert value not in out
    assert found.counts[category] >= 1, out
    assert set(found.counts) <= {category, "ip"}, out
    assert redactor().text(out) == out


@pytest.mark.parametrize("text", STAY)
def test_versions_hashes_times_counts_and_words_stay(text):
    found = redactor()
    assert found.text(text) == text
    assert not found.counts


def test_the_same_value_written_in_another_way_has_the_same_pseudonym():
    found = redactor()
    for one, other in (
        ("Jane Doe", "jd42"), ("+49 30 901820", "+49 (30) 901820"), ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("4111 1111 1111 1111", "4111-1111-1111-1111"), ("Ann@X.example", "ann@x.example"), ("10.0.12.7", "10.0.12.7"),
        ("12 Baker Street", "12  Baker Street".replace("  ", " ")),
    ):  # fmt: skip
        assert found.text(one) == found.text(other) != one
    assert found.text("203.0.113.9") != found.text("203.0.113.8")


def test_a_pseudonym_depends_on_the_key_and_on_nothing_else_than_key_and_value():
    text = "Jane Doe, ann@x.example, 203.0.113.9"
    assert redactor().text(text) == redactor(actors=["mwong"]).text(text)
    one, other = redactor().text(text), redactor(key=b"another key with enough bytes").text(text)
    assert not {word for word in one.split() if "R" in word} & {word for word in other.split() if "R" in word}


def test_without_the_key_a_guess_at_a_name_tells_nothing():
    out = redactor().text("Jane Doe and ann@x.example")
    for guess in ("janedoe", "Jane Doe", "ann@x.example"):
        assert hashlib.sha256(guess.encode()).hexdigest()[:4] not in out.replace("R", " ")


def test_codes_of_reports_made_without_a_key_are_replaced_by_the_persons_own():
    from rca.causes.language import Pseudonyms

    old = Pseudonyms([JANE, BRIAN]).text("Jane Doe, Brian O'Neil and zed@x.example")
    found = redactor()
    out = found.text(old)
    new = found.text("Jane Doe, Brian O'Neil")
    assert out.startswith(new + " and e-mail-R")
    assert "P-" not in out
    assert found.counts["code"] == 3
    assert found.text("ticket P-1234 is open") == "ticket P-1234 is open"


def test_ids_of_systems_stay():
    assert redactor(keep=["jane-doe-service"]).text("jane-doe-service is down") == "jane-doe-service is down"


@pytest.mark.parametrize("key", [b"", b"short"])
def test_a_key_that_can_be_guessed_is_refused(key):
    with pytest.raises(InputError, match="at least 16"):
        redactor(key=key)


def test_a_role_cannot_break_the_structure_of_a_file():
    found = redact.Redactor.of([("Jane Doe", 'lead, "ops" <b>', [])], KEY)
    assert not set(found.text("Jane Doe")) & set(",\"'<>|&")


def test_a_table_keeps_its_shape_and_types_and_counts_every_row():
    frame = pd.DataFrame(
        {
            "message": ["from 203.0.113.9", "from 203.0.113.9", None, "ok"],
            "api_key": ["9f8e7d6c5b", "", "null", "none"],
            "by": pd.Categorical(["Jane Doe", "ci", "ci", "ci"]),
            "n": [1, 2, 3, 4],
        },
        index=list("abcd"),
    )  # fmt: skip
    before = frame.copy(deep=True)
    found = redactor()
    out = redact.table(frame, None, found)
    pd.testing.assert_frame_equal(frame, before)
    assert list(out.index) == list("abcd")
    assert out["n"].equals(frame["n"])
    assert out["message"].dtype == frame["message"].dtype
    assert out["message"].isna().tolist() == [False, False, True, False]
    assert out["message"].iloc[0] == out["message"].iloc[1] == found.text("from 203.0.113.9")
    assert out["api_key"].tolist()[1:] == ["", "null", "none"]
    assert out["api_key"].iloc[0].startswith("secret-R")
    assert "Jane" not in out["by"].iloc[0]
    assert dict(found.counts) == {"ip": 3, "secret": 1, "person": 1}
    assert redact.table(frame, ["by"], redactor())["message"].equals(frame["message"])
    with pytest.raises(UnknownName, match="did you mean 'message'"):
        redact.table(frame, ["mesage"], found)


def test_a_key_is_made_once_and_kept_from_others(tmp_path):
    first = redact.key(tmp_path)
    path = tmp_path / "derived/redact.key"
    assert redact.key(tmp_path) == first
    assert len(first) == 32
    assert path.stat().st_mode & 0o077 == 0
    assert [item.name for item in path.parent.iterdir()] == ["redact.key"]
    path.unlink()
    assert redact.key(tmp_path) != first
    for content in ("zz", "00", "é"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match="not a key"):
            redact.key(tmp_path)
    with pytest.raises(MissingFile, match="no such folder"):
        redact.key(tmp_path / "none")


def test_two_processes_make_one_key(tmp_path):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert len(set(pool.map(redact.key, [tmp_path] * 12))) == 1


def test_a_key_is_not_read_through_a_link_out_of_the_folder(tmp_path):
    inside = tmp_path / "incident"
    (inside / "derived").mkdir(parents=True)
    (tmp_path / "elsewhere").write_text("00" * 32)
    (inside / "derived/redact.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeInput):
        redact.key(inside)


SECRETS = ("Jane Doe", "ann@x.example", "203.0.113.9", "hunter2hunter2")


class Shape(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, [name for name, _ in attrs]))
        self.attributes += [value for _, value in attrs]

    def handle_endtag(self, tag):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABJaneDoe=="
HTML = f"""<!DOCTYPE html><html><head><style>.jane > b {{ color: "red" }}</style>
<script type="application/json">{{"by": "Jane Doe", "x": ["Jane","Doe"]}}</script></head>
<body class="page" data-ip='203.0.113.9'><!-- by Jane Doe --><td title="Jane">Doe</td>
<p>Jane&nbsp;Doe &lt;ann@x.example&gt; said {{&quot;password&quot;: &quot;hunter2hunter2&quot;}} &amp; left</p>
<img alt="seen by Jane Doe" src="{PICTURE}"><a href=mailto:ann@x.example>x</a></body></html>"""


def test_html_keeps_its_tags_and_pictures(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/page.html").write_text(HTML)
    table = redact.folder(tmp_path / "in", tmp_path / "out", redactor())
    out = (tmp_path / "out/page.html").read_text()
    before, after = Shape(), Shape()
    before.feed(HTML)
    after.feed(out)
    assert before.tags == after.tags
    assert len(before.texts) == len(after.texts)
    assert not [secret for secret in SECRETS if secret in out]
    assert json.loads(next(text for text in after.texts if text.startswith("{")))["x"] == ["Jane", "Doe"]
    assert '<td title="Jane">Doe</td>' in out
    assert PICTURE in out
    assert "&amp; left" in out
    counts = table.set_index("category")["count"]
    assert counts["picture, not read"] == 1
    assert counts[["person", "e-mail", "ip", "secret"]].tolist() == [4, 2, 1, 1]


def test_a_notebook_stays_a_notebook(tmp_path):
    book = {
        "cells": [
            {"cell_type": "code", "source": ["# Jane Doe\n", "connect(password='hunter2hunter2')\n"], "metadata": {},
             "execution_count": 1, "outputs": [{
                "output_type": "display_data", "metadata": {},
                "data": {"image/png": "iVBORw0KGgoJaneDoe", "text/html": ["<td title=\"Jane Doe\">", "ann@x.example</td>"]}}]}],
        "metadata": {"authors": [{"name": "Jane Doe"}]}, "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.ipynb").write_text(json.dumps(book, indent=1))
    table = redact.folder(tmp_path / "in", tmp_path / "out", redactor(actors=["source", "cells"]))
    text = (tmp_path / "out/a.ipynb").read_text()
    out = json.loads(text)
    assert not [secret for secret in SECRETS if secret in text]
    data = out["cells"][0]["outputs"][0]["data"]
    assert data["image/png"] == "iVBORw0KGgoJaneDoe"
    assert data["text/html"][0].startswith('<td title="data engineer')
    assert out["cells"][0].keys() == book["cells"][0].keys()
    assert table.set_index("category")["count"]["picture, not read"] == 1


def test_csv_markdown_json_and_parquet_keep_their_cells(tmp_path):
    top = tmp_path / "in"
    (top / "tables").mkdir(parents=True)
    rows = [["first", "last", "token"], ["Jane", "Doe", "abcd1234efgh"], ["x, y", 'say "Jane Doe"', "none"]]
    with (top / "tables/a.csv").open("w", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows(rows)
    (top / "a.md").write_text("| Jane | Doe |\n|---|---|\n| Jane Doe | 203.0.113.9 |\n")
    (top / "run.json").write_text(
        '{"a": 1.10, "big": 12345678901234567890, "k": {"token": "abcd1234efgh", "\\u004aane Doe": "\\ud83d"}}'
    )
    frame = pd.DataFrame({"m": ["ann@x.example", "b"], "n": [1.5, 2.5]})
    frame.to_parquet(top / "t.parquet")
    (top / "plot.png").write_bytes(b"\x89PNG")
    (top / "bad.txt").write_bytes(b"\xff\xfe Jane Doe")
    table = redact.folder(top, tmp_path / "out", redactor())
    out = list(csv.reader(io.StringIO((tmp_path / "out/tables/a.csv").read_text())))
    assert out[0] == rows[0]
    assert out[1][:2] == ["Jane", "Doe"]  # in cells of their own they are not a whole name
    assert out[1][2].startswith("secret-R")
    assert [len(row) for row in out] == [3, 3, 3]
    assert out[2][0] == "x, y"
    assert "Jane Doe" not in out[2][1]
    lines = (tmp_path / "out/a.md").read_text().splitlines()
    assert lines[0] == "| Jane | Doe |"
    assert [line.count("|") for line in lines] == [3, 3, 3]
    text = (tmp_path / "out/run.json").read_text()
    assert '"a": 1.10, "big": 12345678901234567890' in text
    assert "Doe" not in text
    assert json.loads(text)["k"]["token"].startswith("secret-R")
    back = pd.read_parquet(tmp_path / "out/t.parquet")
    assert back["n"].tolist() == [1.5, 2.5]
    assert back["m"].iloc[0].startswith("e-mail-R")
    left = table[table["category"] == "left out, not read"]["file"].tolist()
    assert left == ["bad.txt", "plot.png"]
    assert not (tmp_path / "out/plot.png").exists()
    assert not (tmp_path / "out/bad.txt").exists()


def test_the_originals_stay_and_the_copy_lies_elsewhere(tmp_path):
    top = tmp_path / "in"
    top.mkdir()
    (top / "Jane Doe.txt").write_text("Jane Doe")
    redact.folder(top, tmp_path / "out", redactor())
    assert (top / "Jane Doe.txt").read_text() == "Jane Doe"
    assert not [path for path in (tmp_path / "out").iterdir() if "Jane" in path.name]
    for out in (top, top / "inner", tmp_path):
        with pytest.raises(InputError, match="write the redacted copy elsewhere"):
            redact.folder(top, out, redactor())
    with pytest.raises(MissingFile):
        redact.folder(tmp_path / "none", tmp_path / "o", redactor())
    (top / "jd42.txt").write_text("")
    with pytest.raises(InputError, match="two files"):
        redact.folder(top, tmp_path / "third", redactor())
    (top / "jd42.txt").unlink()
    (top / "link.txt").symlink_to("/etc/hostname")
    with pytest.raises(UnsafeInput):
        redact.folder(top, tmp_path / "fourth", redactor())


ONE = redactor()
WORDS = st.text("abc XYZ019.,:;=-_/@\"'<>&|{}[]()\\\n\t+~*äß\x1a\u2028", max_size=30)
HIDDEN = st.sampled_from(["Jane Doe", "ann@x.example", "203.0.113.9", "+49 30 901820", "4111 1111 1111 1111"])


@given(st.lists(st.one_of(WORDS, HIDDEN), max_size=6).map(" ".join))
@example("\x1a\x1a 203.0.113.9\x1aJane Doe")
@example("Jane\x1aDoe")
@example("(P-12345678) person P-1234 e-mail P-abcdef")
def test_redacting_twice_is_redacting_once(text):
    once = ONE.text(text)
    assert ONE.text(once) == once
    assert once.count("\x1a") == text.count("\x1a")


@given(WORDS, HIDDEN, WORDS)
def test_what_stands_free_is_found_whatever_is_around_it(before, hidden, after):
    text = f"{before}; {hidden} ; {after}"
    if not before.rstrip("; \n\t").endswith(("=", ":", '"', "'", "\\", "~", "^", "@")) and "://" not in text:
        assert hidden not in ONE.text(text)


@given(
    st.uuids(),
    st.binary(min_size=20, max_size=32),
    st.datetimes(datetime(1995, 1, 1), datetime(2090, 1, 1)),
    st.integers(0, 2**31),
)
def test_uuids_hashes_times_and_counters_stay(number, digest, time, count):
    stamp = time.replace(tzinfo=UTC)
    nanoseconds = int(stamp.timestamp()) * 10**9 + count % 10**9
    for text in (
        str(number), digest.hex(), f"sha256:{digest.hex()}", f"commit {digest.hex()[:12]}", stamp.isoformat(),
        f"{stamp:%d/%b/%Y:%H:%M:%S +0000}", f"{nanoseconds}", f"{nanoseconds // 10**6} ms", f"took {count / 1e6:.6f}s", f"offset={count}",
    ):  # fmt: skip
        assert ONE.text(text) == text


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | HIDDEN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def shape(value):
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return (
        [shape(item) for item in value]
        if isinstance(value, list)
        else (type(value) if isinstance(value, str) else value)
    )


@given(JSONS, st.booleans(), st.sampled_from([None, 1]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_json_keeps_its_shape_and_numbers(tmp_path_factory, value, ascii_only, indent):
    top = tmp_path_factory.mktemp("reports")
    (top / "in").mkdir()
    (top / "in/a.json").write_text(json.dumps(value, ensure_ascii=ascii_only, indent=indent), encoding="utf-8")
    redact.folder(top / "in", top / "out", redactor())
    out = json.loads((top / "out/a.json").read_text(encoding="utf-8"))
    assert shape(out) == shape(value)


@given(
    st.lists(
        st.lists(st.one_of(WORDS.map(lambda text: text.replace("\x1a", "")), HIDDEN), min_size=2, max_size=2),
        min_size=1,
        max_size=4,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_csv_keeps_rows_and_columns(tmp_path_factory, rows):
    top = tmp_path_factory.mktemp("reports")
    (top / "in").mkdir()
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    (top / "in/a.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    redact.folder(top / "in", top / "out", redactor())
    out = list(csv.reader(io.StringIO((top / "out/a.csv").read_text(encoding="utf-8"), newline="")))
    found = redactor()
    assert out == [[found.text(cell) for cell in row] for row in rows]


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA PRIVATE KEY-----" * 3000, "+1" * 50_000, "+" + "1" * 100_000 + "a", "password=" * 20_000, "a" * 200_000 + "://", "1 " * 100_000,
        "Aa " * 60_000 + " street", "1 Aa Aa Aa " * 20_000 + " street", ":" * 100_000, "1:" * 100_000, "eyJaaaaaaaa." * 20_000, "<" * 50_000,
        "12 rue de " * 20_000, "token:'" * 20_000, "a:b" * 50_000 + "://x:y", "DE89 " * 40_000, "\x1a" * 3000, "1.1." * 50_000,
    ],
    ids=range(18),
)  # fmt: skip
def test_no_text_takes_time_out_of_proportion(text, tmp_path):
    """Quadratic time would take hours here: the test ends, that is what it says."""
    (tmp_path / "in").mkdir()
    for name in ("a.html", "a.md", "a.json"):
        (tmp_path / "in" / name).write_text(text)
    redact.folder(tmp_path / "in", tmp_path / "out", redactor())


def test_a_uuid_of_digits_only_stays():
    for number in (uuid.UUID(int=0), uuid.UUID("41111111-1111-4111-8111-111111111111")):
        assert redactor().text(f"id {number}") == f"id {number}"


# A made-up team: who acted (Slack users, actors, people listed) and what their chat, repositories and logs say.
USERS = [
    {"id": "U0AAA1111", "name": "mosorio", "real_name": "Marisol Osorio", "profile": {"email": "m.osorio@corp.example"}},
    {"id": "U0BBB2222", "name": "tkessler", "real_name": "", "profile": {"real_name": "Tilda Kessler"}},
    {"id": "U0CCC3333", "name": "atlas", "real_name": "Will Park"},
    {"id": "B0DDD4444", "name": "deploybot", "real_name": "Deploy Bot", "is_bot": True},
]  # fmt: skip
# What stands between { and } names somebody and must go; everything else must stay to the letter.
CORPUS = [
    "{Marisol Osorio} rolled back", "thanks {marisol}!", "{Osorio} said so", "MARISOL asked".replace("MARISOL", "{MARISOL}"),
    "<@U0AAA1111> please look", "<@U0BBB2222|tkessler>: done", "cc {@mosorio}, {@tkessler}", "1 new commit by {mosorio}: fix",
    "user={mosorio} action=restart", "author:{tkessler} merged", "{mosorio}'s branch", "({Tilda}) wrote", "mail {m.osorio@corp.example}",
    "branch {mosorio}_hotfix was pushed", "https://github.com/{mosorio}/scoring/pull/3", "https://github.com/{atlas}/x", "/home/{atlas}/run.sh",
    "asked {@atlas} twice", "{atlas}: restart it", "{Kessler, Tilda}", "{tilda.kessler}@host", "Merge pull request #3 from {tkessler}/main",
    "https://team.example/files/{U0AAA1111}/F0VNAKDE2/x.js", "{Will Park} left", "{Grigor Lunde} committed", "{Lunde} again", "login by {glunde} ok",
    # no name
    "https://team.slack.com/services/B0DDD4444", "B0DDD4444 posted", "we will park the request", "Will it hold? Park it.", "atlas-db is down",
    "/opt/atlas/bin/start --all", "https://ci.example/services/atlas/7", "atlas.query took 3 s", "the tilde in ~/x", "kesslers_law.md",
    "osoriometer", "marisolve()", "deploybot restarted scoring-api", "service atlas_v2 deployed to prod", "s3://atlas/part-0", "run lunde42x9 done",
]  # fmt: skip


def team(tmp_path):
    """Return an incident folder with that team: a workspace export, a table of events and a list of people."""
    from rca import incident

    folder = incident.new("team", tmp_path)
    messages = [
        {"type": "message", "ts": f"17634648{n:02}.000100", "user": USERS[n % 3]["id"], "text": text}
        for n, text in enumerate(CORPUS)
    ]
    with zipfile.ZipFile(folder / "sources" / "chat.zip", "w") as archive:
        archive.writestr("users.json", json.dumps(USERS))
        archive.writestr("channels.json", json.dumps([{"id": "C1", "name": "ops"}]))
        archive.writestr("ops/2025-11-18.json", json.dumps(messages))
    (folder / "sources" / "changes.csv").write_text(
        "at,text,who,what\n2025-11-18T09:00:00Z,rolled out,Grigor Lunde,deploy\n"
    )
    text = (folder / "incident.yaml").read_text()
    sources = """sources:
  - {id: chat, file: sources/chat.zip, reader: slack, time: {zone: UTC}}
  - {id: changes, file: sources/changes.csv, table: events, columns: {time: at, message: text, actor: who, kind: what}}
"""
    (folder / "incident.yaml").write_text(re.sub(r"(?ms)^sources:.*?(?=^\S|\Z)", sources, text))
    return folder


def test_names_in_free_text_go_and_identifiers_stay(tmp_path):
    from rca import incident, sources

    found = incident.load(team(tmp_path))
    who = redact.known(found, sources.read(found))
    names = redact.People(who.people, who.actors, who.keep)
    hidden = missed = wrong = 0
    faults = []
    for marked in CORPUS:
        text = re.sub(r"[{}]", "", marked)
        out = names.text(text)
        pieces = [re.escape(piece) for piece in re.split(r"\{[^}]*\}|<@[^>]*>", marked)]
        label = r"@?(?:person P-[0-9a-f]{4}|one of .*)(?:'s)?"
        count = len(pieces) - 1
        hidden += count
        left = [name for name in re.findall(r"\{([^}]*)\}", marked) if name in out]
        missed += len(left)
        wrong += not left and not re.fullmatch(label.join(pieces), out)
        faults += [(text, out)] * (bool(left) or not re.fullmatch(label.join(pieces), out))
    assert hidden == 28
    assert (missed, wrong) == (0, 0), faults


def test_exported_tables_get_the_codes_of_the_report_and_what_is_not_found_is_said_aloud(tmp_path):
    from typer.testing import CliRunner

    from rca import report
    from rca.cli import app
    from rca.systems import timeline

    folder = team(tmp_path)
    records = report.load(folder)[1]
    plain = report.load(folder, with_names=True)[1]
    exports = tmp_path / "exports"
    exports.mkdir()
    rows = timeline.merge(plain.events)[["event_id", "actor", "message", "attributes"]]
    rows.to_json(exports / "e.jsonl", orient="records", lines=True)
    rows.to_csv(exports / "e.csv", index=False)
    done = CliRunner().invoke(app, ["redact", str(folder), str(exports), str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert re.search(r"replaced .*person \d+.*; 4 people are known", done.stdout)
    assert "WARNING: Free text may still name people who never acted" in done.stderr
    assert "--keyed" in done.stderr
    text = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    for name in ("Osorio", "Marisol", "Tilda", "Kessler", "Grigor", "Lunde", "Will Park", "U0AAA1111", "glunde"):
        assert not re.search(rf"(?<![\w]){name}(?![\w])", text), name
    codes = {
        row["event_id"]: row["actor"] for row in map(json.loads, (tmp_path / "out/e.jsonl").read_text().splitlines())
    }
    assert codes == dict(zip(records.events["event_id"], records.events["actor"], strict=True))
    assert set(codes.values()) == {f"person {one}" for one in re.findall(r"P-[0-9a-f]{4}", " ".join(codes.values()))}
    done = CliRunner().invoke(app, ["redact", str(folder), str(exports), str(tmp_path / "keyed"), "--keyed"])
    assert "P-" not in (tmp_path / "keyed/e.csv").read_text()
    assert "person-R" in (tmp_path / "keyed/e.csv").read_text()


def test_two_people_of_one_first_name_are_both_named_and_common_words_are_no_name(tmp_path):
    folder = team(tmp_path)
    (folder / "people.csv").write_text("name,role,handle\nTilda Vance,data engineer,tvance\nMark Stone,,mstone\n")
    from rca import incident, sources

    found = incident.load(folder)
    who = redact.known(found, sources.read(found))
    names = redact.People(who.people, who.actors, who.keep)
    assert re.fullmatch(r"one of person P-...., data engineer \(P-....\) knew", names.text("Tilda knew"))
    assert re.fullmatch(r"person P-.... and data engineer \(P-....\)", names.text("Mark Stone and tvance"))
    assert names.text("mark the stone") == "mark the stone"


def test_a_list_of_people_that_cannot_be_read_is_refused(tmp_path):
    folder = team(tmp_path)
    (folder / "people.csv").write_text('name,role\n"Tilda')
    from rca import incident, sources

    found = incident.load(folder)
    with pytest.raises(InputError, match=r"people\.csv: not a CSV table"):
        redact.known(found, sources.read(found))


def test_a_role_and_a_system_are_no_name(tmp_path):
    folder = team(tmp_path)
    text = (folder / "incident.yaml").read_text()
    (folder / "incident.yaml").write_text(text.replace("id: my-model,", "id: osorio-model,"))
    from rca import incident, sources

    found = incident.load(folder)
    who = redact.known(found, sources.read(found))
    names = redact.People(who.people, who.actors, who.keep)
    assert names.text("osorio-model is slow") == "osorio-model is slow"
    assert "Osorio" not in names.text("Marisol Osorio")

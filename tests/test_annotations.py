"""Annotations: nothing said about an event is lost, whatever happens to the events or the file."""

from __future__ import annotations

import hashlib
import json
import multiprocessing

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import rca.annotations as annotations
from rca import custody, evidence, journal, schema
from rca.errors import InputError, MissingFile, UnknownName, UnsafeInput

WHEN = "2025-11-18T12:20:00+01:00"


def file(folder):
    return folder / "annotations.jsonl"


def test_each_kind_stands_with_author_and_time_in_utc(tmp_path, monkeypatch):
    monkeypatch.setenv("RCA_ACTOR", "scribe")
    monkeypatch.setenv("USER", "jane.doe")
    annotations.add(tmp_path, "e1", tag="customer-visible", author="SRE", time=WHEN)
    annotations.add(tmp_path, "e1", note=" two\nlines ß ", time=WHEN)
    annotations.add(tmp_path, "e2", milestone="detected", time=pd.Timestamp(WHEN))
    monkeypatch.delenv("RCA_ACTOR")
    annotations.add(tmp_path, "e2", link="https://example.org/a?b=1", time=WHEN)
    annotations.add(tmp_path, "e3", link="e1")
    table = annotations.table(tmp_path)
    assert table[["event_id", "kind", "value", "author"]].values.tolist() == [
        ["e1", "tag", "customer-visible", "SRE"], ["e1", "note", "two\nlines ß", "scribe"], ["e2", "milestone", "detected", "scribe"],
        ["e2", "link", "https://example.org/a?b=1", "not named"], ["e3", "link", "e1", "not named"],
    ]  # fmt: skip
    assert (table["time"][:4] == pd.Timestamp("2025-11-18T11:20Z")).all()
    assert table["line"].tolist() == [1, 2, 3, 4, 5]
    assert table["known"].isna().all()
    assert annotations.verify(tmp_path) == []
    assert "jane" not in file(tmp_path).read_text()


def test_no_file_is_no_annotation_with_the_same_columns(tmp_path):
    empty = annotations.table(tmp_path, ["e1"])
    annotations.add(tmp_path, "e1", tag="x")
    full = annotations.table(tmp_path, ["e1"])
    assert empty.empty
    assert empty.dtypes.equals(full.dtypes)


def test_an_annotation_of_a_lost_event_stays_and_is_listed(tmp_path):
    annotations.add(tmp_path, "e1", tag="x")
    annotations.add(tmp_path, "gone", note="important")
    table = annotations.table(tmp_path, ["e1", "e9"])
    assert table["known"].tolist() == [True, False]
    assert annotations.verify(tmp_path, ["e1", "e9"]) == [
        "annotations.jsonl: line 2: note on event 'gone', which is not among the events"
    ]


def test_to_take_back_deletes_nothing(tmp_path):
    one = annotations.add(tmp_path, "e1", tag="x", time=WHEN)
    two = annotations.add(tmp_path, "e1", tag="y", time=WHEN)
    before = file(tmp_path).read_bytes()
    annotations.retract(tmp_path, one, reason="wrong event", author="SRE")
    assert file(tmp_path).read_bytes().startswith(before)
    assert annotations.table(tmp_path)["id"].tolist() == [two]
    with pytest.raises(UnknownName, match="no annotation 'zz'"):
        annotations.retract(tmp_path, "zz")
    annotations.add(tmp_path, "e1", tag="x")
    assert annotations.table(tmp_path)["value"].tolist() == ["y", "x"]


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({}, "0 are given"), ({"tag": " "}, "0 are given"), ({"tag": "x", "note": "y"}, "2 are given"), ({"tag": "x" * 101}, "limit of 100"),
        ({"note": "x" * 10_001}, "limit of 10,000"), ({"tag": "a\nb"}, "second line"), ({"note": "a\x1bb"}, "control character"),
        ({"milestone": "detectd"}, "did you mean 'detected'"), ({"link": "javascript:alert(1)"}, "neither a web address"),
        ({"link": " file:///etc/passwd"}, "neither a web address"), ({"tag": "x", "time": "2025-11-18T12:20"}, "no time zone"),
        ({"tag": "x", "time": pd.Timestamp("2025-11-18T12:20")}, "no time zone"), ({"note": "\ud800"}, "half a character"),
        ({"tag": "x", "author": "a" * 201}, "limit of 200"),
    ],
)  # fmt: skip
def test_what_is_no_annotation_is_refused_and_changes_nothing(tmp_path, given_, message):
    with pytest.raises(InputError, match=message):
        annotations.add(tmp_path, "e1", **given_)
    assert not file(tmp_path).exists() or file(tmp_path).read_bytes() == b""


def test_an_empty_or_endless_event_id_is_refused(tmp_path):
    for event in ("", " ", "x" * 201):
        with pytest.raises(InputError, match="event_id"):
            annotations.add(tmp_path, event, tag="x")
    with pytest.raises(MissingFile):
        annotations.add(tmp_path / "none", "e1", tag="x")


def test_a_line_cut_short_or_edited_is_named_and_the_rest_stands(tmp_path):
    annotations.add(tmp_path, "e1", tag="x", time=WHEN)
    line = file(tmp_path).read_bytes()
    file(tmp_path).write_bytes(line + line[:40])
    assert annotations.table(tmp_path)["value"].tolist() == ["x"]
    assert annotations.verify(tmp_path)[0].startswith("annotations.jsonl: line 2: cannot be read (40 bytes)")
    annotations.add(tmp_path, "e2", tag="y", time=WHEN)
    assert annotations.table(tmp_path)["line"].tolist() == [1, 3]
    assert len(annotations.verify(tmp_path)) == 1
    record = json.loads(line)
    for wrong in (
        record | {"extra": "x"}, record | {"kind": "taag"}, record | {"value": 5}, record | {"time": "today"}, [1], 5, record | {"event_id": ""},
        record | {"kind": "link", "value": "data:text/html,x"}, record | {"kind": "milestone"},
    ):  # fmt: skip
        file(tmp_path).write_text(json.dumps(wrong) + "\n")
        assert annotations.verify(tmp_path)[0].startswith("annotations.jsonl: line 1:"), wrong
        assert annotations.table(tmp_path).empty


def test_a_retraction_of_nothing_is_named(tmp_path):
    one = annotations.add(tmp_path, "e1", tag="x")
    annotations.retract(tmp_path, one)
    file(tmp_path).write_bytes(file(tmp_path).read_bytes().splitlines(keepends=True)[1])
    assert annotations.verify(tmp_path) == [
        f"annotations.jsonl: line 1: retracts '{one}', which is not there",
        f"annotations.jsonl {one}: missing since it was annotated (custody.jsonl line 1)",
    ]


def test_two_copies_joined_count_each_line_once(tmp_path):
    annotations.add(tmp_path, "e1", tag="x")
    annotations.add(tmp_path, "e1", note="y")
    file(tmp_path).write_bytes(file(tmp_path).read_bytes() * 2)
    assert annotations.table(tmp_path)["value"].tolist() == ["x", "y"]


def add_many(folder, number):
    for count in range(10):
        annotations.add(folder, f"e{number}", note=f"{count} " + "x" * 5000)


def test_writers_at_the_same_time_lose_nothing(tmp_path):
    processes = [
        multiprocessing.get_context("fork").Process(target=add_many, args=(tmp_path, number)) for number in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    table = annotations.table(tmp_path)
    assert table["event_id"].value_counts().to_dict() == {f"e{number}": 10 for number in range(4)}
    assert annotations.verify(tmp_path) == []


def test_a_file_that_is_a_link_out_of_the_folder_is_neither_read_nor_written(tmp_path):
    (tmp_path / "incident").mkdir()
    (tmp_path / "elsewhere").write_text("")
    file(tmp_path / "incident").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeInput):
        annotations.add(tmp_path / "incident", "e1", tag="x")
    with pytest.raises(UnsafeInput):
        annotations.table(tmp_path / "incident")


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=50).filter(str.strip)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_what_is_added_is_read_back(tmp_path_factory, pairs):
    top = tmp_path_factory.mktemp("incident")
    ids = [annotations.add(top, event, note=note, time=WHEN) for event, note in pairs]
    table = annotations.table(top)
    expected = dict(zip(ids, [(event, note.strip()) for event, note in pairs], strict=True))
    assert dict(zip(table["id"], zip(table["event_id"], table["value"], strict=True), strict=True)) == expected


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_no_content_of_the_file_breaks_reading_or_adding(tmp_path_factory, content):
    top = tmp_path_factory.mktemp("incident")
    file(top).write_bytes(content)
    annotations.add(top, "e1", tag="x")
    assert annotations.table(top)["value"].tolist()[-1] == "x"
    assert len(annotations.verify(top)) <= len(journal.read(file(top)))
    assert file(top).read_bytes().startswith(content)


@given(st.lists(st.binary(max_size=70_000).map(lambda data: data.replace(b"\n", b"")), max_size=4), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=25)
def test_a_writer_sees_the_lines_from_the_last_to_the_first(tmp_path_factory, content, ended):
    path = tmp_path_factory.mktemp("journal") / "x.jsonl"
    path.write_bytes(b"\n".join(content) + (b"\n" if ended and content else b""))
    seen = []

    def look(before, torn):
        seen.extend([torn, *before])
        return []

    journal.add(path, look)
    whole = content if ended else content[:-1]
    assert seen == [b"" if ended or not content else content[-1], *reversed(whole)]


def event(number, hour, **more):
    at = {"time": pd.Timestamp(f"2025-11-18T{hour:02}:00Z")} if hour is not None else {}
    return {
        "event_id": f"{number:016x}",
        "system": f"s{number}",
        "kind": "alert",
        "message": f"m{number}",
        **at,
        **more,
    }


def events(*rows):
    return schema.check(pd.DataFrame(list(rows)), "events")


def test_annotations_stand_beside_their_events_in_the_order_of_the_events(tmp_path):
    annotations.add(tmp_path, f"{9:016x}", tag="gone", author="SRE")
    annotations.add(tmp_path, f"{3:016x}", tag="undated")
    annotations.add(tmp_path, f"{2:016x}", note="second")
    annotations.add(tmp_path, f"{1:016x}", milestone="detected", time=WHEN)
    annotations.add(tmp_path, f"{2:016x}", tag="third")
    there = events(event(2, 11), event(1, 9), event(3, None), event(4, 8))
    table = annotations.with_events(annotations.table(tmp_path), there)
    assert table[["when", "system", "message", "annotation", "text"]].values.tolist() == [
        ["2025-11-18 09:00 UTC", "s1", "m1", "milestone", "detected"],
        ["2025-11-18 11:00 UTC", "s2", "m2", "note", "second"],
        ["2025-11-18 11:00 UTC", "s2", "m2", "tag", "third"],
        ["", "s3", "m3", "tag", "undated"],
        ["", "", "", "tag", "gone"],
    ]
    assert table["remark"].tolist() == ["", "", "", "", "the event is not among the exports"]
    assert table["by"].tolist() == ["not named"] * 4 + ["SRE"]
    assert table["said"][0] == pd.Timestamp("2025-11-18T11:20Z")


def test_an_event_known_as_an_interval_stands_at_its_beginning(tmp_path):
    ends = {"time_earliest": pd.Timestamp("2025-11-18T08:00Z"), "time_latest": pd.Timestamp("2025-11-18T10:00Z")}
    annotations.add(tmp_path, f"{1:016x}", tag="nine")
    annotations.add(tmp_path, f"{2:016x}", tag="eight to ten")
    table = annotations.with_events(annotations.table(tmp_path), events(event(1, 9), event(2, None, **ends)))
    assert table["text"].tolist() == ["eight to ten", "nine"]
    assert table["when"][0] == "2025-11-18 08:00 UTC to 2025-11-18 10:00 UTC"


def test_a_link_says_what_it_leads_to(tmp_path):
    for link in (f"{2:016x}", f"{8:016x}", "https://example.org/x"):
        annotations.add(tmp_path, f"{1:016x}", link=link)
    annotations.add(tmp_path, f"{1:016x}", note=f"{2:016x}")
    table = annotations.with_events(annotations.table(tmp_path), events(event(1, 9), event(2, 10)))
    leads = ["leads to 2025-11-18 10:00 UTC s2 m2", "leads to an event that is not among the exports", "", ""]
    assert table["remark"].tolist() == leads


def test_no_annotation_beside_events_is_an_empty_table_of_the_same_columns(tmp_path):
    empty = annotations.with_events(annotations.table(tmp_path), events(event(1, 9)))
    without = annotations.with_events(annotations.table(tmp_path), schema.empty("events"))
    annotations.add(tmp_path, f"{1:016x}", tag="x")
    full = annotations.with_events(annotations.table(tmp_path), events(event(1, 9)))
    assert len(empty) == len(without) == 0
    assert empty.dtypes.equals(full.dtypes)
    assert without.dtypes.equals(full.dtypes)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc")), max_size=12), st.sets(st.integers(0, 9)))
def test_beside_events_no_annotation_is_lost_or_doubled(said, there):
    time = pd.Timestamp("2025-11-18T11:20Z")
    rows = [
        {"id": f"{n}", "event_id": f"{number:016x}", "kind": "tag", "value": text, "author": "", "time": time}
        for n, (number, text) in enumerate(said)
    ]
    table = pd.DataFrame(rows, columns=["id", "event_id", "kind", "value", "author", "time"])
    known = [event(number, number) for number in sorted(there, reverse=True)]
    rows_of = events(*known) if known else schema.empty("events")
    beside = annotations.with_events(table, rows_of)
    assert sorted(beside["id"]) == sorted(table["id"])
    missing = beside["remark"] != ""
    assert set(beside.loc[missing, "event_id"]) == {f"{number:016x}" for number, _ in said if number not in there}
    assert beside.loc[~missing, "when"].is_monotonic_increasing
    assert missing.is_monotonic_increasing


def rows(folder):
    return file(folder).read_bytes().splitlines(keepends=True)


def rewritten(line, **change):
    """A line as someone makes it who knows how ids are computed: of the content, with a fitting id."""
    content = {key: value for key, value in (json.loads(line) | change).items() if key != "id"}
    number = hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]
    return json.dumps({"id": number, **content}, sort_keys=True, ensure_ascii=False).encode() + b"\n"


TAMPER = {
    "a word": (lambda old: [old[0], old[1].replace(b"two", b"TWO"), old[2]], ["annotations.jsonl: line 2: changed since it was annotated (custody.jsonl line 2)"]),
    "a word, with a fitting id": (lambda old: [old[0], rewritten(old[1], value="TWO"), old[2]], ["missing since it was annotated (custody.jsonl line 2)", "line 2: not in custody.jsonl"]),
    "a line removed": (lambda old: [old[0], old[2]], ["missing since it was annotated (custody.jsonl line 2)"]),
    "the last line removed": (lambda old: old[:2], ["missing since it was annotated (custody.jsonl line 3)"]),
    "all removed": (lambda old: [], ["custody.jsonl line 1", "custody.jsonl line 2", "custody.jsonl line 3"]),
    "a line put in": (lambda old: [*old, rewritten(old[1], value="four")], ["line 4: not in custody.jsonl"]),
    "a line put first, without a fitting id": (lambda old: [old[1].replace(b'"id": "', b'"id": "0'), *old], ["line 1: was edited"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", TAMPER)
def test_what_was_done_to_an_annotation_is_named(tmp_path, kind):
    for text in ("one", "two", "three"):
        annotations.add(tmp_path, "e1", note=text, time=WHEN)
    assert custody.verify(tmp_path) == annotations.verify(tmp_path) == []
    change, messages = TAMPER[kind]
    file(tmp_path).write_bytes(b"".join(change(rows(tmp_path))))
    found = custody.verify(tmp_path)
    assert len(found) == len(messages)
    assert all(message in line for message, line in zip(messages, found, strict=True)), found
    assert annotations.verify(tmp_path) == found
    annotations.add(tmp_path, "e2", tag="later")
    assert custody.verify(tmp_path) == found
    (tmp_path / "sources").mkdir()
    custody.record(tmp_path, accept=True, note="agreed with the author", actor="SRE")
    assert custody.changed_annotations(tmp_path) == []


def test_annotations_from_before_the_chain_stay_readable_and_are_said_to_be_not_chained(tmp_path):
    for text in ("one", "two"):
        annotations.add(tmp_path, "e1", note=text, time=WHEN)
    (tmp_path / "custody.jsonl").unlink()
    assert annotations.table(tmp_path)["value"].tolist() == ["one", "two"]
    assert annotations.verify(tmp_path) == custody.changed_annotations(tmp_path) == []
    annotations.add(tmp_path, "e1", note="three", time=WHEN)
    assert custody.verify(tmp_path) == []
    (remark,) = custody.remarks(tmp_path)
    assert "not chained" in remark and "line 1, 2;" in remark
    file(tmp_path).write_bytes(file(tmp_path).read_bytes().replace(b"one", b"ONE"))
    assert custody.changed_annotations(tmp_path) == [
        "annotations.jsonl: line 1: was edited: its id does not fit its content"
    ]


def test_the_order_of_annotations_and_a_second_copy_of_a_line_are_no_difference(tmp_path):
    for text in ("one", "two"):
        annotations.add(tmp_path, "e1", note=text, time=WHEN)
    file(tmp_path).write_bytes(b"".join(rows(tmp_path)[::-1]) * 2)
    assert custody.verify(tmp_path) == custody.remarks(tmp_path) == []


def test_an_annotation_takes_a_manifest_from_before_the_log_over(tmp_path):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/a.csv").write_text("a\n")
    evidence.record(tmp_path)
    annotations.add(tmp_path, "e1", tag="x", author="SRE")
    assert custody.verify_all(tmp_path) == []
    assert custody.entries(tmp_path)[["actor", "action"]].values.tolist() == [["rca", "added"], ["SRE", "annotated"]]
    (tmp_path / "sources/a.csv").write_text("b\n")
    assert custody.verify_all(tmp_path) == ["sources/a.csv: changed since it was recorded"]

"""Raw exports to tables: nothing is guessed, and hostile exports end in an error with a place."""

import contextlib
import csv
import datetime as dt
import io
import json
import math
from decimal import Decimal
from importlib.metadata import EntryPoint

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from pyarrow import parquet
from pydantic import ValidationError

from rca import schema, sources
from rca.conclusions import Analysis
from rca.errors import InputError, RcaError
from rca.incident import Incident
from rca.incident.model import IncidentFile, Source
from rca.sources import batches, formats, mapping, runs
from rca.sources.documents import MAX_DEPTH
from rca.systems import clocks

AT = "2025-11-18T11:20:00Z"
EVENT = {"constant": {"kind": "deploy"}}


def incident_of(folder, *declared, systems=("web", "db"), dependencies=()):
    file = {
        "id": "x", "title": "t", "kind": "outage", "severity_tier": "SEV1", "severity_confirmed_by": "role",
        "as_of": "2025-11-19T00:00Z", "systems": [{"id": name} for name in systems],
        "dependencies": [{"cause": cause, "effect": effect} for cause, effect in dependencies],
        "sources": list(declared),
    }  # fmt: skip
    return Incident(folder, IncidentFile.model_validate(file), Analysis(), {}, ())


@pytest.fixture
def read(tmp_path):
    """Write one export and read it; the reader is told by the name's ending."""

    def run(content, name="a.csv", **how):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        own = {"id": "a", "file": name, "reader": name.rpartition(".")[2]}
        return sources.read(incident_of(tmp_path, own | how))

    return run


def problem(read, *arguments, **how):
    with pytest.raises(InputError) as caught:
        read(*arguments, **how)
    assert all(len(line) < 700 and line.isprintable() for line in caught.value.problems)
    return "\n".join(caught.value.problems)


def as_parquet(table):
    out = io.BytesIO()
    parquet.write_table(table if isinstance(table, pa.Table) else pa.table(table), out)
    return out.getvalue()


# CSV

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_the_csv_module_wrote_is_read_back_with_its_rows(tmp_path_factory, rows, end, mark):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("one", "two"), *rows])
    path.write_bytes(out.getvalue().encode("utf-8-sig" if mark else "utf-8"))
    (batch,) = batches.read_csv(path, Source(id="a", file="a.csv"))
    records = [json.loads(text) for text in batch.texts.to_pylist()]
    assert records == [{"one": one, "two": two} for one, two in rows]
    assert batch.positions.tolist() == list(range(1, len(rows) + 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,message\n2025,a,b\n", "a.csv: row 1: 3 values under 2 column names"),
        ("time,message\n2025\n\n1\n", "a.csv: row 1: 1 values under 2 column names"),
        (
            'time,message\n1,x\n2,"never closed\n3,y\n',
            "a.csv: row 2: not readable as CSV: unexpected end of data; is a quote",
        ),
        ('time,message\n1,"x" y\n', "a.csv: row 1: not readable as CSV"),
        ('"time,message\n1,x\n', "a.csv: header: not readable as CSV"),
        ("time,time\n1,x\n", "a.csv: column name 'time' occurs twice in the header"),
        ("time,message, time \n1,x,2\n", "a.csv: column name 'time' occurs twice in the header"),
        ("\ntime,message\n1,x\n", "a.csv: no header row"),
        (",\n1,x\n", "a.csv: no header row"),
        (b"time,message\n1,\xff\n", "a.csv: not UTF-8 text (byte 15); convert it first"),
        ("time,message\n1,x\n".encode("utf-16"), "a.csv: not UTF-8 text (byte 0)"),
        ("when,message\n1,x\n", "a.csv: source 'a' has nothing for 'time'"),
        ("time;message\n1;x\n", "a.csv: one column only, with ';' in its name: say delimiter: ';'"),
        ("", "a.csv: no rows; if none is what the system had to say, set required: false"),
        ("time,message\n", "a.csv: no rows; if none"),
        ("time,message\n\n\r\n", "a.csv: no rows; if none"),
    ],
)
def test_a_broken_csv_file_names_the_row_and_what_is_wrong(read, text, said):
    assert problem(read, text, **EVENT).startswith(said)


@pytest.mark.parametrize("text", ["", "time,message\n", "\ufefftime,message\r\n"])
def test_an_optional_export_without_rows_is_kept_as_evidence(read, text):
    found = read(text, required=False, **EVENT)
    assert found.reports[["source", "rows", "kept"]].to_numpy().tolist() == [["a", 0, 0]]
    pd.testing.assert_frame_equal(found.events, schema.empty("events"))


def test_rows_are_counted_below_the_header_and_blank_lines_count(read):
    found = read(f'\ufefftime,message\r\n{AT},one\r\n\r\n{AT},"two\r\nlines"\r\n', **EVENT)
    assert found.events["position"].tolist() == [1, 3]
    assert found.events["locator"].tolist() == ["a.csv row 1", "a.csv row 3"]
    assert found.events["message"].tolist() == ["one", "two\r\nlines"]


def test_a_field_of_a_megabyte_is_read_and_the_limit_of_the_csv_module_stays(read):
    assert len(read(f"time,message\n{AT},{'x' * 10**6}\n", **EVENT).events["message"][0]) == 10**6
    assert csv.field_size_limit() == 131_072  # the module's own


# JSON and JSON lines


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a.json: not valid JSON: Expecting value"),
        ("[1]", "a.json: item 1: expected an object, found '1'"),
        ('[{"time": 1}, "x"]', "a.json: item 2: expected an object, found 'x'"),
        ('{"a": NaN}', "a.json: not valid JSON: NaN is not a JSON value"),
        ('[{"a": -Infinity}]', "a.json: not valid JSON: -Infinity is not a JSON value"),
        ('{"a": 1, "b": 2, "a": 3}', "a.json: not valid JSON: key 'a' occurs twice in one object"),
        ('[{"a": {"b": 1, "b": 1}}]', "a.json: not valid JSON: key 'b' occurs twice"),
        ('{"a": 1} {"b": 2}', "a.json: not valid JSON: Extra data"),
        ("[" * 100_000, "a.json: nested too deep"),
        ("[" * 200 + "]" * 200, "a.json: nested more than 64 deep"),
        ('{"a":' * 500 + "1" + "}" * 500, "a.json: nested more than 64 deep"),
        (b"\xff", "a.json: not UTF-8"),
        ("[" + "9" * 5000 + "]", "a.json: not valid JSON: Exceeds the limit"),
        ("[]", "a.json: no rows"),
    ],
)
def test_broken_json_is_refused_with_what_is_wrong(read, text, said):
    assert problem(read, text, "a.json", **EVENT).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}\n{"a": \n', "a.jsonl: line 2: not valid JSON"),
        ('{"a": 1}\n\n[1]\n', "a.jsonl: line 3: expected an object, found '[1]'"),
        ('{"a": 1}\n{"a": NaN}\n', "a.jsonl: line 2: not valid JSON: NaN"),
        ('[{"a": 1}]', "a.jsonl: line 1: expected an object"),
        ("\n \r\n", "a.jsonl: no rows"),
    ],
)
def test_broken_json_lines_name_the_line(read, text, said):
    assert problem(read, text, "a.jsonl", **EVENT).startswith(said)


@pytest.mark.parametrize("depth", [1, 10, MAX_DEPTH - 3, MAX_DEPTH, 300, 900, 990, 1500, 5000, 50_000])
def test_no_depth_exhausts_the_stack(read, depth):
    text = f'[{{"time": "{AT}", "message": {"[" * depth}{"]" * depth}}}]'
    if depth < MAX_DEPTH - 2:
        assert len(read(text, "a.json", **EVENT).events) == 1
    else:
        assert "nested" in problem(read, text, "a.json", **EVENT)


def test_a_pointer_reaches_the_list_as_rfc_6901_says(read):
    rows = [{"time": AT, "message": "x"}]
    for pointer, content in {
        "": rows, "/": {"": rows}, "/a~1b": {"a/b": rows}, "/m~0n": {"m~n": rows}, "/0/items": [{"items": rows}],
            "/a/b": {"a": {"b": rows}},
    }.items():  # fmt: skip
        assert len(read(json.dumps(content), "a.json", records=pointer, **EVENT).events) == 1


@pytest.mark.parametrize(
    ("pointer", "said"),
    [
        ("/data/itms", "records '/data/itms': no 'itms' there; did you mean 'items'?"),
        ("data/items", "records 'data/items': a JSON pointer begins with /"),
        ("/data/items/7", "no '7' there"),
        ("/data/count/x", "no 'x' there; it is '3'"),
        ("/data/count", "item 1: expected an object, found '3'"),
        ("/data/items/-1", "no '-1' there"),
    ],
)
def test_a_pointer_to_nowhere_says_what_is_there(read, pointer, said):
    text = json.dumps({"data": {"items": [{"time": AT}], "count": 3}})
    assert said in problem(read, text, "a.json", records=pointer, **EVENT)


def test_one_object_is_one_record_and_nested_fields_are_reached_by_dots(read):
    text = json.dumps(
        {"at": AT, "user": {"name": "jane", "team": None}, "http.route": "/x", "labels": {"a": [1, None]}}
    )
    columns = {"time": "at", "actor": "user.name", "ref": "http.route", "system": "user.team", "message": "labels"}
    (event,) = read(text, "a.json", columns=columns, **EVENT).events.to_dict("records")
    assert (event["actor"], event["ref"], event["system"]) == ("jane", "/x", "")
    assert json.loads(event["message"]) == {"a": [1, None]}
    assert json.loads(event["attributes"]) == {"user": {"name": "jane", "team": None}}


def test_half_an_emoji_does_not_stop_the_import(read):
    text = f'{{"time": "{AT}", "message": "cut \\ud83d", "more \\ude00": "\\ud83d\\ude00"}}'
    event = read(text, "a.jsonl", **EVENT).events.iloc[0]
    assert event["message"] == "cut \N{REPLACEMENT CHARACTER}"
    assert json.loads(event["attributes"]) == {"more \N{REPLACEMENT CHARACTER}": "\N{GRINNING FACE}"}


def test_attributes_are_json_that_every_parser_reads(read):
    def refuse(word):
        raise ValueError(word)

    event = read(f'{{"time": "{AT}", "message": "x", "big": [1e999, 2]}}', "a.jsonl", **EVENT).events.iloc[0]
    assert json.loads(event["attributes"], parse_constant=refuse) == {"big": [math.inf, 2]}
    assert read(f"time,message\n{AT},x\n", **EVENT).events["attributes"][0] == ""


# Parquet


def test_typed_times_of_a_parquet_file_keep_their_meaning(read):
    def at(unit, zone):
        return pa.array([dt.datetime(2025, 11, 18, 12, 20)], pa.timestamp(unit)).cast(pa.timestamp(unit, zone))

    for unit in ("s", "ms", "us", "ns"):
        table = {"time": at(unit, "Europe/Berlin"), "message": ["x"]}
        event = read(as_parquet(table), "a.parquet", time={"format": "epoch_ms"}, **EVENT).events.iloc[0]
        assert event["time"] == pd.Timestamp("2025-11-18T12:20Z")  # Arrow casts from UTC
        assert event["zone_basis"] == "explicit"
        table["time"] = at(unit, None)
        assert "has no time zone; declare" in problem(read, as_parquet(table), "a.parquet", **EVENT)
        event = read(as_parquet(table), "a.parquet", time={"zone": "Europe/Berlin"}, **EVENT).events.iloc[0]
        assert event["time"] == pd.Timestamp("2025-11-18T11:20Z")
        assert event["zone_basis"] == "declared"


def test_nanoseconds_of_a_parquet_file_are_kept(read):
    time = pa.array([1763464800123456789], pa.timestamp("ns", "UTC"))
    assert (
        read(as_parquet({"time": time, "message": ["x"]}), "a.parquet", **EVENT).events["time"][0].value
        == 1763464800123456789
    )


def test_nested_binary_decimal_and_missing_values_become_text(read):
    table = {
        "time": [AT, None], "message": [{"a": [1, float("nan")]}, None], "ref": [b"caf\xc3\xa9", b"\xff"],
        "actor": [Decimal("1.50"), None], "extra": [float("nan"), 2.0], "system": pa.array(["web",
            None]).dictionary_encode(),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    }  # fmt: skip
    first, second = read(as_parquet(table), "a.parquet", **EVENT).events.to_dict("records")
    assert json.loads(first["message"]) == {"a": [1, None]}
    assert (first["ref"], second["ref"]) == ("café", "\N{REPLACEMENT CHARACTER}")
    assert (first["actor"], first["system"], second["system"], second["message"]) == ("1.50", "web", "", "(no text)")
    assert json.loads(first["attributes"]) == {"extra": None, "map": [["k", 1]]}
    assert pd.isna(second["time"])


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"x" * 100, as_parquet({"a": [1]})[:-9]])
def test_what_is_no_parquet_file_is_refused(read, content):
    assert "a.parquet: not a readable Parquet file" in problem(read, content, "a.parquet", **EVENT)


def test_times_and_texts_that_do_not_fit_are_refused(read):
    broken = pa.array([b"\xff\xfe"]).view(pa.string())
    far = pa.array([2**60], pa.timestamp("us", "UTC"))
    for table in ({"time": [AT], "message": broken}, {"time": far, "message": ["x"]}):
        assert "a.parquet" in problem(read, as_parquet(table), "a.parquet", **EVENT)
    twice = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert "column name 'a' occurs twice" in problem(read, as_parquet(twice), "a.parquet", **EVENT)


def test_a_small_file_that_unpacks_to_a_large_table_is_refused(read, monkeypatch):
    monkeypatch.setattr(batches, "MAX_UNPACKED", 10**6)
    texts = pa.array(["x" * 1000] * 10_000)
    for column in (texts, texts.dictionary_encode(), pa.nulls(100_000)):
        content = as_parquet({"message": column})
        assert len(content) < 10**4
        assert "more than 1,000,000 bytes when unpacked" in problem(read, content, "a.parquet", **EVENT)


# Mapping


def test_names_that_do_not_exist_are_refused_with_the_nearest(read):
    text = f"fired_at,service,summary\n{AT},web,x\n"
    good = {"time": "fired_at", "message": "summary"}
    assert read(text, columns=good, **EVENT).events["message"][0] == "x"
    for how, said in [
        ({"columns": good | {"time": "fired"}}, "a.csv: source 'a': no field 'fired'; did you mean 'fired_at'?"),
        ({"columns": good | {"message": ["summary", "servce"]}}, "no field 'servce'; did you mean 'service'?"),
        ({"columns": good | {"sytem": "service"}},
            "incident.yaml: source 'a': table 'events' has no column 'sytem'; did you mean 'system'?"),
        ({"columns": good, "values": {"sevrity": {}}}, "no column 'sevrity'; did you mean 'severity'?"),
        ({"columns": good, "values": {"severity": {"P1": "page"}}}, "has nothing for 'severity'"),
        ({"columns": good, "native_id": "idd"}, "no field 'idd'"),
        ({"columns": {"time": "fired_at"}},
            "a.csv: source 'a' has nothing for 'message'; say columns: {message: FIELD} or constant"),
        ({"columns": good, "reader": "cvs"}, "incident.yaml: source 'a': unknown reader 'cvs'; did you mean 'csv'?"),
        ({"columns": {"event_id": "service"}}, "table 'events' has no column 'event_id'"),
    ]:  # fmt: skip
        assert said in problem(read, text, **EVENT | how)


def test_all_missing_fields_are_listed_at_once(read):
    found = problem(read, "x\n1\n", table="metrics")
    assert [name for name in ("time", "system", "metric", "value") if f"nothing for '{name}'" in found] == [
        "time",
        "system",
        "metric",
        "value",
    ]


def test_constants_joined_fields_and_words_are_put_where_the_mapping_says(read):
    text = f"time,flag,change,level,sys,on\n{AT},f1,off,P1,svc-7,\n{AT},,on,P9,db,true\n"
    found = read(
        text,
        columns={"message": ["flag", "change"], "severity": "level", "system": "sys", "ref": "on"},
        constant={"kind": "flag", "actor": "jane"},
        values={
            "severity": {"P1": "page"},
            "system": {"svc-7": "web"},
            "ref": {"true": "yes"},
            "kind": {"flag": "deploy"},
        },
    )
    assert found.events["message"].tolist() == ["f1 off", "on"]
    assert found.events["severity"].tolist() == [21, pd.NA]
    assert found.events["system"].tolist() == ["web", "db"]
    assert found.events["ref"].tolist() == ["", "yes"]
    assert found.events["kind"].tolist() == ["deploy", "deploy"]
    assert found.events["actor"].tolist() == ["jane", "jane"]
    assert found.notes == ("a: severity words not understood: 'P9'",)


def test_words_of_json_are_replaced_as_json_writes_them(read):
    text = f'{{"time": "{AT}", "message": "x", "ref": true, "system": null}}'
    found = read(text, "a.jsonl", values={"ref": {"true": "on"}, "system": {"": "web"}}, **EVENT)
    assert found.events[["ref", "system"]].to_numpy().tolist() == [["on", "web"]]


def test_a_field_with_the_name_of_a_column_is_taken_unless_told_otherwise(read):
    text = f"time,message,kind,ref\n{AT},x,alert,r\n"
    assert read(text).events[["kind", "ref"]].to_numpy().tolist() == [["alert", "r"]]
    assert read(text, **EVENT).events["kind"][0] == "deploy"
    assert json.loads(read(text, **EVENT).events["attributes"][0]) == {"kind": "alert"}


def test_spaces_around_ids_do_not_make_another_system(read):
    found = read(f"time,message,kind,system\n{AT}, x , deploy , web \n")
    assert found.events[["kind", "system"]].to_numpy().tolist() == [["deploy", "web"]]
    assert found.notes == ()


def test_an_unknown_kind_names_the_first_row_of_each(read):
    text = "time,message,kind\n" + "".join(
        f"{AT},m{number},{kind}\n" for number, kind in enumerate(["alert", "delpoy", "delpoy", "x"])
    )
    assert problem(read, text).splitlines()[0] == "a.csv: row 2: bad event kind 'delpoy'; did you mean 'deploy'?"
    assert problem(read, text).splitlines()[1].startswith("a.csv: row 4: bad event kind 'x'; known: ")


def test_thousands_of_unknown_kinds_make_a_short_list(read):
    text = "time,message,kind\n" + "".join(f"{AT},m,k{number}\n" for number in range(20_000))
    assert len(problem(read, text).splitlines()) == 5


# Times


def test_a_bad_time_names_file_and_row_or_line(read):
    assert problem(read, "time,message\n,x\n\nsoon,y\n", **EVENT).startswith("a.csv: row 3: 'soon' is not an ISO 8601")
    text = '{"time": "2025-11-18T11:20", "message": "x"}'
    assert problem(read, text, "a.jsonl", **EVENT).startswith(
        "a.jsonl: line 1: '2025-11-18T11:20' has no time zone; declare"
    )


def test_the_text_of_a_time_is_kept_beside_it_with_the_basis_of_its_zone(read):
    text = f"time,message\n{AT},a\n2025-11-18 12:30,b\n,c\n"
    events = read(text, time={"zone": "Europe/Berlin"}, **EVENT).events
    assert events["time_text"].tolist() == [AT, "2025-11-18 12:30", ""]
    assert events["zone_basis"].tolist() == ["explicit", "declared", ""]
    assert events["time"].tolist()[:2] == [pd.Timestamp(AT), pd.Timestamp("2025-11-18T11:30Z")]


def test_an_undated_event_is_kept_and_counted(read):
    found = read("time,message\n,x\n", **EVENT)
    assert found.events["time"].isna().all()
    assert found.notes == ("a: 1 rows have no time",)


@pytest.mark.parametrize("name", ["time", "time_earliest"])
def test_an_event_after_the_as_of_date_is_refused_with_its_row(read, name):
    text = f"time,message,late\n{AT},x,\n{AT},x,\n\n{AT},y,2025-11-20T00:00Z\n"
    assert read(text, **EVENT).events["count"].tolist() == [2, 1]
    found = problem(read, text, columns={name: "late"} | ({"time": "time"} if name != "time" else {}), **EVENT)
    assert (
        found
        == "a.csv: row 4: later (2025-11-20 00:00 UTC) than the incident's as_of (2025-11-19 00:00 UTC); 1 such rows"
    )


def test_a_metric_after_the_as_of_date_is_refused_too(read):
    text = f"time,system,metric,value\n{AT},web,m,1\n2026-01-01T00:00Z,web,m,1\n"
    assert problem(read, text, table="metrics").startswith("a.csv: row 2: later (2026-01-01 00:00 UTC)")


# Identity of events


@settings(max_examples=20, deadline=None)
@given(st.permutations(["time", "message", "ref", "kind", "x"]))
def test_the_id_of_an_event_does_not_depend_on_the_order_of_its_fields(tmp_path_factory, order):
    record = {"time": AT, "message": "m", "ref": "1", "kind": "deploy", "x": {"a": 1}}
    folder = tmp_path_factory.mktemp("x")
    ids = []
    for number, item in enumerate([record, {name: record[name] for name in order}]):
        (folder / f"{number}.json").write_text(json.dumps([item]))
        own = {"id": "a", "file": f"{number}.json", "reader": "json"}
        ids.append(sources.read(incident_of(folder, own)).events["event_id"][0])
    assert ids[0] == ids[1]


def test_identical_records_are_folded_and_counted(read):
    found = read(f"time,message\n{AT},x\n{AT},y\n{AT},x\n", **EVENT)
    assert found.events[["message", "count", "position"]].to_numpy().tolist() == [["x", 2, 1], ["y", 1, 2]]
    assert found.reports[["rows", "kept", "duplicates"]].to_numpy().tolist() == [[3, 2, 1]]


def test_one_native_id_names_one_record(read):
    same = f"time,message,id\n{AT},x,7\n{AT},x,7\n{AT},y,8\n{AT},z,\n"
    assert read(same, native_id="id", **EVENT).events["count"].tolist() == [1, 1, 1]  # what has an id happened once
    other = same + f"{AT},changed,7\n"
    assert problem(read, other, native_id="id", **EVENT) == (
        "a.csv: row 5: duplicate id: a different record than a.csv row 1"
    )


def test_a_native_id_keeps_the_identity_of_an_event_whose_text_was_edited(read):
    first = read(f"time,message,id\n{AT},x,7\n", native_id="id", **EVENT).events
    edited = read(f"time,message,id\n{AT},x (edited),7\n", native_id="id", **EVENT).events
    assert first["event_id"].tolist() == edited["event_id"].tolist()
    assert first["raw_sha256"].tolist() != edited["raw_sha256"].tolist()


def test_two_sources_with_the_same_record_are_two_pieces_of_evidence(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"time,message\n{AT},x\n")
    found = sources.read(incident_of(tmp_path, *[{"id": name, "file": f"{name}.csv", **EVENT} for name in "ab"]))
    assert found.events["source"].tolist() == ["a", "b"]
    assert found.events["event_id"].nunique() == 2
    assert found.events["raw_sha256"].nunique() == 1


def test_events_are_in_order_of_time_whatever_the_order_of_the_sources(tmp_path):
    (tmp_path / "a.csv").write_text(f"time,message\n,undated\n2025-11-18T12:00Z,late\n{AT},early\n")
    (tmp_path / "b.csv").write_text("time,message\n2025-11-18T12:30:00+01:00,between\n")
    declared = [{"id": name, "file": f"{name}.csv", **EVENT} for name in "ab"]
    found = [sources.read(incident_of(tmp_path, *order)).events for order in (declared, declared[::-1])]
    assert found[0]["message"].tolist() == ["early", "between", "late", "undated"]
    pd.testing.assert_frame_equal(*found)


# Metrics, dependencies, spans


def metric(read, *values, **how):
    text = "time,system,metric,value\n" + "".join(
        f'2025-11-18T11:{n:02}Z,web,m,"{value}"\n' for n, value in enumerate(values)
    )
    return read(text, table="metrics", **how)


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(FINITE, st.sampled_from(["{!r}", " {!r} ", "{:e}", "{:+.3f}"])), min_size=1, max_size=20))
def test_a_metric_value_is_the_number_that_python_reads(tmp_path_factory, numbers):
    texts = [form.format(number) for number, form in numbers]
    path = tmp_path_factory.mktemp("m") / "m.csv"
    path.write_text(
        "time,system,metric,value\n" + "".join(f"{AT},web,m{n:02},{text}\n" for n, text in enumerate(texts))
    )
    found = sources.read(incident_of(path.parent, {"id": "m", "file": "m.csv", "table": "metrics"}))
    assert found.metrics["value"].tolist() == [float(text) for text in texts]


@pytest.mark.parametrize(
    "value", ["1,000", "1_000", "12 ms", "0x1F", "true", "1\N{FULLWIDTH DIGIT ONE}", "--1", "1e", "None", "5%"]
)
def test_what_is_no_plain_number_is_refused_with_its_row(read, value):
    assert problem(metric, read, "1", value).startswith(f"a.csv: row 2: value '{value}' is not a number")


def test_infinite_and_empty_values_are_missing_and_said_to_be(read):
    found = metric(read, "+Inf", "-inf", "NaN", "", "1e5", "1e999")
    assert found.metrics["value"].isna().tolist() == [True] * 4 + [False, True]
    assert found.notes == ("a: 3 infinite values taken as missing", "a: 2 values are empty")


def test_the_unit_is_changed_by_the_scale_and_nothing_overflows(read):
    assert metric(read, "1500", scale=0.001).metrics["value"].tolist() == [1.5]
    assert metric(read, "1e300", scale=1e300).metrics["value"].isna().all()


def test_many_bad_values_make_a_short_list(read):
    found = problem(metric, read, *["x"] * 30).splitlines()
    assert (len(found), found[-1]) == (6, "a.csv: and 25 more rows like these")


def test_values_that_repeat_a_time_are_kept_and_said(read):
    text = f"time,system,metric,value\n{AT},web,m,1\n{AT},web,m,2\n"
    found = read(text, table="metrics")
    assert len(found.metrics) == 2
    assert found.notes == ("a: 1 values repeat a time of the same system and metric",)


@pytest.mark.parametrize(
    ("table", "text", "said"),
    [
        ("metrics", f"time,system,metric,value\n{AT},web,m,1\n\n{AT}, ,m,1\n", "a.csv: row 3: 'system' is empty"),
        ("dependencies", "cause,effect\ndb,\n", "a.csv: row 1: 'effect' is empty"),
        (
            "spans",
            "span_id,system\n1,web\n,web\n,\n",
            "a.csv: row 2: 'span_id' is empty\na.csv: row 3: 'span_id' is empty",
        ),
    ],
)
def test_an_empty_name_is_refused_with_its_row(read, table, text, said):
    assert problem(read, text, table=table).startswith(said)


def test_records_that_cannot_be_read_stop_the_import_until_somebody_says_how_many_may(read):
    text = f'{{"time": "{AT}", "message": "x"}}\n{{"time": \n{{"time": "soon", "message": "y"}}\n'
    found = problem(read, text, "a.jsonl", **EVENT).splitlines()
    assert [line.partition(": ")[2][:6] for line in found] == ["line 2", "line 3"]
    assert found[-1].endswith("to go on without them, say rejected: 2")
    kept = read(text, "a.jsonl", rejected=2, **EVENT)
    assert kept.events["message"].tolist() == ["x"]
    assert kept.reports[["rows", "kept", "rejected"]].to_numpy().tolist() == [[3, 1, 2]]
    assert kept.notes[0].startswith("a: 2 records could not be read (first: a.jsonl: line 2: not valid JSON")
    assert "line 2" in problem(read, text, "a.jsonl", rejected=1, **EVENT)


def test_an_edge_to_an_unknown_system_names_the_nearest(read):
    assert problem(read, "cause,effect\ndb,wbe\n", table="dependencies") == (
        "source 'a': edge to unknown system 'wbe'; did you mean 'web'?"
    )
    found = read("cause,effect\ndb,web\n", table="dependencies")
    assert found.dependencies[["cause", "effect", "basis", "source"]].to_numpy().tolist() == [
        ["db", "web", "table", "a"]
    ]


def test_declared_dependencies_come_first_and_systems_seen_are_noted(tmp_path):
    (tmp_path / "s.csv").write_text("trace_id,span_id,parent_id,system\nt,1,,web\nt,2,1,cache\n")
    own = {"id": "s", "file": "s.csv", "table": "spans"}
    found = sources.read(incident_of(tmp_path, own, dependencies=[("db", "web")]))
    assert found.dependencies[["cause", "effect", "basis"]].to_numpy().tolist() == [
        ["db", "web", "declared"], ["cache", "web", "spans"],
    ]  # fmt: skip
    assert found.systems == ("web", "db", "cache")
    assert found.notes == ("systems seen in exports but not declared in incident.yaml: cache",)


# All of it


def test_problems_of_all_sources_are_listed_together(tmp_path):
    (tmp_path / "a.csv").write_text("time,message\nsoon,x\n")
    (tmp_path / "b.jsonl").write_text("{")
    (tmp_path / "c.csv").write_text(f"time,message\n{AT},fine\n")
    declared = [
        {"id": "a", "file": "a.csv", **EVENT}, {"id": "b", "file": "b.jsonl", "reader": "jsonl", **EVENT},
        {"id": "c", "file": "c.csv", **EVENT}, {"id": "d", "file": "c.csv", "reader": "xml"},
        {"id": "e", "file": "gone.csv"}, {"id": "f", "file": "../f.csv"},
    ]  # fmt: skip
    with pytest.raises(InputError) as caught:
        sources.read(incident_of(tmp_path, *declared))
    starts = [
        "a.csv: row 1",
        "b.jsonl: line 1",
        "incident.yaml: source 'd'",
        f"{tmp_path}/gone.csv: no such",
        "path '../f.csv' leaves",
    ]
    assert len(caught.value.problems) == len(starts)
    assert all(found.startswith(start) for found, start in zip(caught.value.problems, starts, strict=True))


def test_an_incident_without_sources_has_empty_tables(tmp_path):
    found = sources.read(incident_of(tmp_path))
    for table in (found.events, found.metrics, found.dependencies, found.spans):
        assert table.empty
    assert found.systems == ("web", "db")


def test_an_installed_format_is_used_and_others_are_not_even_imported(tmp_path, monkeypatch):
    points = [
        EntryPoint("mine", "tests_reader:FORMAT", "rca.sources"), EntryPoint("broken", "no_such_package:read",
            "rca.sources"),
        EntryPoint("csv", "no_such_package:read", "rca.sources"),
    ]  # fmt: skip
    (tmp_path / "tests_reader.py").write_text(
        "from rca import times\n"
        "from rca.sources.items import Format, event\n"
        "def read(path, source):\n"
        f"    yield event((3, 'entry 3'), path.read_text(), time=times.moment('{AT}'), kind='log', message='hello')\n"
        "FORMAT = Format('mine', 'Mine', 'documented format', read, lambda head: False)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(formats, "entry_points", lambda group: [point for point in points if point.group == group])
    (tmp_path / "a").write_text("hello")
    (tmp_path / "c.csv").write_text(f"time,message\n{AT},x\n")
    own = {"id": "a", "file": "a", "reader": "mine", **EVENT}
    found = sources.read(incident_of(tmp_path, own, {"id": "c", "file": "c.csv", **EVENT}))
    assert found.events["locator"].tolist() == ["a entry 3", "c.csv row 1"]
    assert found.events["kind"].tolist() == ["deploy", "deploy"]


def test_the_mappable_columns_are_columns_of_their_tables():
    for table, names in mapping.MAPPABLE.items():
        assert set(names) <= set(schema.COLUMNS[table])
        assert set(schema.REQUIRED[table]) <= set(names)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(AT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["time", "message", "kind", "a"]),
        inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
HOW = st.fixed_dictionaries(
    {},
    optional={
        "table": st.sampled_from(["events", "metrics", "dependencies", "spans"]),
        "columns": st.dictionaries(st.sampled_from(["time", "message", "system", "value", "span_id", "duration"]),
            st.sampled_from(["a", "time.a", ["a", "time"]])),
        "constant": st.dictionaries(st.sampled_from(["kind", "metric", "cause", "effect", "system"]),
            st.sampled_from(["alert", "web", ""])),
        "values": st.dictionaries(st.sampled_from(["kind", "time"]), st.dictionaries(st.text(max_size=2),
            st.text(max_size=2))),
        "time": st.fixed_dictionaries({"format": st.sampled_from(["iso8601", "epoch_s", "%Y-%m-%d"]),
            "zone": st.none() | st.just("Europe/Berlin")}),
        "required": st.booleans(),
        "native_id": st.sampled_from(["", "a"]),
        "scale": st.sampled_from([1.0, 1e308, -1.0]),
        "duration": st.fixed_dictionaries({"unit": st.sampled_from(["s", "ns"])}),
    },
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["csv", "json", "jsonl", "parquet"]), st.data(), HOW)
def test_no_export_and_no_mapping_end_in_another_error_and_reading_twice_is_the_same(
    tmp_path_factory, reader, data, how
):
    content = data.draw(st.binary(max_size=40) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
    if reader in ("json", "jsonl") and data.draw(st.booleans()):
        content = json.dumps(data.draw(JSON), allow_nan=data.draw(st.booleans()) or True).encode()
    if reader == "csv" and data.draw(st.booleans()):
        rows = data.draw(st.lists(st.lists(CELLS | st.just(AT) | st.just("alert"), min_size=3, max_size=3), max_size=3))
        out = io.StringIO(newline="")
        csv.writer(out).writerows([["time", "message", "a"], *rows])
        content = out.getvalue().encode()
    folder = tmp_path_factory.mktemp("x")
    (folder / "x").write_bytes(content)
    try:
        incident = incident_of(folder, {"id": "x", "file": "x", "reader": reader} | how)
    except ValidationError:
        return
    with contextlib.suppress(RcaError):
        first, second = sources.read(incident), sources.read(incident)
        pd.testing.assert_frame_equal(first.events, second.events)
        pd.testing.assert_frame_equal(first.metrics, second.metrics)
        pd.testing.assert_frame_equal(first.spans, second.spans)
        assert first.notes == second.notes


def test_a_csv_with_another_delimiter_says_so_and_is_read_when_declared(read):
    text = "time;kind;message\n2025-01-01T00:00:00Z;alert;a, b\n"
    assert "say delimiter: ';'" in problem(read, text)
    assert read(text, delimiter=";").events["message"].tolist() == ["a, b"]


def test_records_inside_a_json_object_are_hinted_at(read):
    text = '{"items": [{"at": "2025-01-01T00:00:00Z"}]}'
    found = problem(read, text, "a.json", columns={"time": "at"}, **EVENT)
    assert "say records: /items" in found


def test_an_accepted_offset_is_taken_off_and_can_be_put_back(read):
    text = f"time,message,until\n{AT},x,2025-11-18T12:20:00Z\n,y,\n"
    how = {"columns": {"time_end": "until"}, "clock": {"offset": 37.25, "accepted_by": "on-call engineer"}}
    found = read(text, **EVENT | how)
    events = found.events
    assert events["time"][0] == pd.Timestamp("2025-11-18T11:19:22.75Z")
    assert events["time_end"][0] == pd.Timestamp("2025-11-18T12:19:22.75Z")
    assert events["offset"][0] == pd.Timedelta("37.25s")
    assert events["offset_method"][0] == "accepted by on-call engineer"
    assert events["time_text"][0] == AT
    assert pd.isna(events["time"][1])
    assert found.reports["clock"][0] == "+37.25 s taken off"
    back = clocks.uncorrect(events)
    assert back["time"][0] == pd.Timestamp(AT)
    assert back["time_end"][0] == pd.Timestamp("2025-11-18T12:20:00Z")


def test_a_clock_that_gains_is_corrected_as_the_analysis_corrects_it(read):
    text = "time,message\n2025-11-08T00:00:00Z,a\n2025-11-18T00:00:00Z,b\n"
    plain = read(text, **EVENT).events
    clock = {"offset": 5.0, "drift": 100.0, "at": "2025-11-08T00:00:00Z", "accepted_by": "r"}
    ours = read(text, clock=clock, **EVENT).events
    at = pd.Timestamp("2025-11-08T00:00:00Z")
    theirs = clocks.correct(plain, {"a": clocks.Clock(pd.Timedelta("5s"), at, 100.0)})
    assert ours["time"].tolist() == theirs["time"].tolist()
    # ten days at 100 parts per million are 86.4 s, shown by a clock that runs that much fast
    assert (ours["offset"][1] - pd.Timedelta("91.4s")).total_seconds() == pytest.approx(0, abs=0.02)


def test_one_export_in_overlapping_pieces_is_read_as_if_it_were_whole(tmp_path):
    lines = [f'{{"time": "2025-11-18T11:{n // 3:02}:00Z", "message": "m{n // 3}"}}' for n in range(30)]
    parts = {"whole": lines, "one": lines[:18], "two": lines[12:]}
    for name, rows in parts.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    tables = []
    for files in (["whole.jsonl"], ["one.jsonl", "two.jsonl"], ["two.jsonl", "one.jsonl", "whole.jsonl"]):
        own = {"id": "a", "file": files, "reader": "jsonl", **EVENT}
        tables.append(sources.read(incident_of(tmp_path, own)).events)
    columns = ["event_id", "time", "message", "count", "raw_sha256"]
    assert tables[0]["count"].tolist() == [3] * 10
    for other in tables[1:]:
        pd.testing.assert_frame_equal(other[columns], tables[0][columns])


def test_tables_that_somebody_else_derived_are_made_again(tmp_path):
    (tmp_path / "a.csv").write_text(f"time,message\n{AT},true\n")
    incident = incident_of(tmp_path, {"id": "a", "file": "a.csv", **EVENT})
    stored = sources.store(incident)
    assert sources.store(incident) == stored
    forged = parquet.read_table(stored.path("events"))
    forged = forged.set_column(forged.column_names.index("message"), "message", pa.array(["forged"]))
    parquet.write_table(forged, stored.path("events"))
    assert sources.read(incident).events["message"].tolist() == ["true"]
    listed = json.loads((stored.folder / "import.json").read_text())
    listed["content"]["facts"]["reports"][0]["rows"] = 7
    (stored.folder / "import.json").write_text(json.dumps(listed))
    assert sources.read(incident).reports["rows"].tolist() == [1]


def test_a_changed_export_or_mapping_is_imported_anew(tmp_path):
    (tmp_path / "a.csv").write_text(f"time,message\n{AT},one\n")
    own = {"id": "a", "file": "a.csv", **EVENT}
    assert sources.read(incident_of(tmp_path, own)).events["message"].tolist() == ["one"]
    (tmp_path / "a.csv").write_text(f"time,message\n{AT},two\n")
    assert sources.read(incident_of(tmp_path, own)).events["message"].tolist() == ["two"]
    other = own | {"constant": {"kind": "alert"}}
    assert sources.read(incident_of(tmp_path, other)).events["kind"].tolist() == ["alert"]
    assert len(list((tmp_path / "derived").iterdir())) == 1


def test_many_rows_are_sorted_and_folded_slice_by_slice(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "SLICE", 64)
    monkeypatch.setattr(batches, "BLOCK", 2_000)
    numbers = [(n * 7919) % 500 for n in range(1_000)]
    (tmp_path / "a.jsonl").write_text(
        "".join(f'{{"time": "2025-11-18T{n // 60:02}:{n % 60:02}:00Z", "message": "m{n}"}}\n' for n in numbers)
    )
    events = sources.read(incident_of(tmp_path, {"id": "a", "file": "a.jsonl", "reader": "jsonl", **EVENT})).events
    assert events["message"].tolist() == [f"m{n}" for n in sorted(set(numbers))]
    assert events["count"].tolist() == [2] * 500
    assert events["position"].tolist() == [numbers.index(n) + 1 for n in range(500)]


def test_two_records_of_one_id_in_a_format_are_said_to_be(tmp_path):
    record = {"eventVersion": "1.08", "userIdentity": {"type": "Root"}, "eventTime": AT, "eventSource": "ec2",
        "eventName": "StopInstances", "awsRegion": "eu", "eventID": "one", "readOnly": False}  # fmt: skip
    lines = [json.dumps(record), json.dumps(record | {"eventName": "DeleteTrail"})]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    found = sources.read(incident_of(tmp_path, {"id": "a", "file": "a.jsonl", "reader": "cloudtrail"}))
    assert len(found.events) == 1
    assert "a: 1 ids stand for records of different content; of each the latest state told is kept" in found.notes


def test_tables_of_a_folder_that_cannot_be_written_lie_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    case = tmp_path / "case"
    case.mkdir()
    (case / "a.csv").write_text(f"time,message\n{AT},x\n")
    (case / "derived").write_text("a file where the folder would be")
    incident = incident_of(case, {"id": "a", "file": "a.csv", **EVENT})
    stored = sources.store(incident)
    assert stored.folder.parent == tmp_path / "cache" / "rca" / "derived"
    assert sources.store(incident) == stored
    assert len(sources.read(incident).events) == 1
    assert (case / "derived").read_text().startswith("a file")


def test_an_event_in_the_hour_that_clocks_show_twice_is_kept_as_an_interval(read):
    text = "time,message\n2025-10-26 01:59,a\n2025-10-26 02:30,b\n2025-10-26 03:00,c\n"
    found = read(text, time={"zone": "Europe/Berlin"}, **EVENT)
    events = found.events.set_index("message")
    assert pd.isna(events.loc["b", "time"])
    assert events.loc["b", "time_earliest"] == pd.Timestamp("2025-10-26T00:30Z")
    assert events.loc["b", "time_latest"] == pd.Timestamp("2025-10-26T01:30Z")
    assert events.loc["c", "time"] == pd.Timestamp("2025-10-26T02:00Z")
    assert events["time_earliest"].notna().sum() == 1
    assert "a: 1 times lie in an hour that clocks show twice; each is kept as an interval of both" in found.notes
    assert found.reports[["kept", "undated", "rejected"]].to_numpy().tolist() == [[3, 0, 0]]
    skipped = "time,message\n2025-03-30 02:30,b\n"
    assert "skip" in problem(read, skipped, time={"zone": "Europe/Berlin"}, **EVENT)
    own = "time,system,metric,value\n2025-10-26 02:30,web,m,1\n"
    assert "twice" in problem(read, own, time={"zone": "Europe/Berlin"}, table="metrics")


def test_json_lines_are_read_as_json_says_whatever_the_engine_takes(read):
    good = f'{{"time": "{AT}", "message": "a,}} b, ]"}}'
    for bad in (f'{{"time": "{AT}", "message": "x",}}', f'{{"time": "{AT}", "message": "x", "a": [1, ]}}'):
        assert "a.jsonl: line 1: not valid JSON" in problem(read, f"{bad}\n", "a.jsonl", **EVENT)
        assert "a.jsonl: line 2: not valid JSON" in problem(read, f"{good}\n{bad}\n", "a.jsonl", **EVENT)
    assert read(f"{good}\n", "a.jsonl", **EVENT).events["message"].tolist() == ["a,} b, ]"]
    deep = f'{{"time": "{AT}", "message": "x", "a": {"[" * 900}{"]" * 900}}}'
    assert "line 1: nested more than 64 deep" in problem(read, f"{deep}\n{good}\n", "a.jsonl", **EVENT)
    twice = f'{{"time": "{AT}", "time": "{AT}", "message": "x"}}'
    assert "key 'time' occurs twice" in problem(read, f"{twice}\n", "a.jsonl", **EVENT)

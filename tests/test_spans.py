"""Spans to dependencies, against a slow and obvious way; and how long they took, from every kind of export."""

import io
import json
import math
from fractions import Fraction

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from pyarrow import parquet
from pydantic import ValidationError

from rca import incident, report, schema, sources
from rca.errors import InputError
from rca.incident.model import Source
from rca.sources import adding, spans
from rca.systems import affected, graph

COLUMNS = ["trace_id", "span_id", "parent_id", "system"]


def edges(*rows):
    frame = pd.DataFrame(list(rows), columns=COLUMNS).assign(source="s")
    table, notes = spans.dependencies(schema.check(frame, "spans"))
    return {
        (row.cause, row.effect): row.count_ for row in table.rename(columns={"count": "count_"}).itertuples()
    }, notes


def slowly(rows):
    """Every call counted one by one."""
    counted, lost, unclear = {}, 0, 0
    for trace, _, parent, system in rows:
        if parent:
            owners = {other[3] for other in rows if other[0] == trace and other[1] == parent}
            lost += not owners
            unclear += len(owners) > 1
            if len(owners) == 1 and owners != {system}:
                pair = (system, *owners)
                counted[pair] = counted.get(pair, 0) + 1
    return counted, lost, unclear


ROWS = st.lists(
    st.tuples(st.sampled_from(["t", "u", ""]), st.sampled_from("1234"), st.sampled_from(["", "1", "2", "9"]),
        st.sampled_from("abc")),
    max_size=12,
)  # fmt: skip


@given(ROWS)
def test_the_edges_are_those_that_one_finds_by_hand(rows):
    expected, lost, unclear = slowly(rows)
    found, notes = edges(*rows)
    assert found == expected
    assert any(note.startswith(f"{lost} of ") and "not in their trace" in note for note in notes) == bool(lost)
    assert any(note.startswith(f"{unclear} of ") and "two systems use" in note for note in notes) == bool(unclear)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_spans_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert edges(*shuffled)[0] == edges(*rows)[0]


def test_a_fault_runs_from_the_called_system_to_the_caller():
    assert edges(("t", "1", "", "web"), ("t", "2", "1", "db"))[0] == {("db", "web"): 1}


def test_a_parent_in_another_trace_is_not_a_parent():
    found, notes = edges(("t", "1", "", "web"), ("u", "2", "1", "db"))
    assert found == {}
    assert notes == [
        "1 of 1 calls name a parent that is not in their trace (first: span '2' of trace 'u'): no edge made"
    ]


def test_a_placeholder_id_that_two_systems_use_is_reported_and_not_guessed():
    found, notes = edges(("same", "a1", "", "web"), ("same", "a1", "", "queue"), ("same", "2", "a1", "db"))
    assert found == {}
    assert notes == ["1 of 1 calls name a parent id that two systems use: no edge made"]


def test_a_call_inside_one_system_is_no_edge_and_no_note():
    assert edges(("t", "1", "", "web"), ("t", "2", "1", "web"), ("t", "3", "3", "web")) == ({}, [])


def test_no_spans_give_an_empty_table_of_the_right_types():
    table, notes = spans.dependencies(schema.empty("spans"))
    pd.testing.assert_frame_equal(table, schema.empty("dependencies"))
    assert notes == []


def test_edges_say_where_they_come_from():
    frame = pd.DataFrame([("t", "1", "", "web"), ("t", "2", "1", "db")], columns=COLUMNS).assign(source="traces")
    before = frame.copy()
    table = spans.dependencies(schema.check(frame, "spans"))[0]
    assert table[["basis", "source"]].to_numpy().tolist() == [["spans", "traces"]]
    pd.testing.assert_frame_equal(frame, before)


# How long they took

ONE = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
HEAD = """id: case
title: t
kind: outage
severity_tier: SEV1
severity_confirmed_by: role
as_of: "2025-11-19T00:00:00Z"
systems: [{id: web}, {id: db}]
"""
MAPPED = "{id: s, file: sources/FILE, reader: READER, table: spans, columns: {duration: took}, duration: {unit: ms}}"


@pytest.fixture
def folder(tmp_path):
    """Write an incident folder of one export; its entry in incident.yaml is YAML as people write it."""

    def make(content, name="a.csv", entry=MAPPED, more=""):
        (tmp_path / "sources").mkdir(exist_ok=True)
        (tmp_path / "sources" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        entry = entry.replace("FILE", name).replace("READER", name.rpartition(".")[2])
        (tmp_path / "incident.yaml").write_text(f"{HEAD}{more}sources:\n- {entry}\n")
        return tmp_path

    return make


def imported(path):
    return sources.read(incident.load(path))


def table(*durations):
    return "span_id,system,took\n" + "".join(f'{number},web,"{text}"\n' for number, text in enumerate(durations, 1))


@given(st.fractions(0, 10**9, max_denominator=10**9), st.integers(0, 12), st.sampled_from(list(ONE)))
def test_a_duration_is_the_nearest_nanosecond_of_the_number_that_is_written(number, digits, unit):
    text = f"{float(number):.{digits}f}"
    found = spans.duration(text, unit)
    assert isinstance(found, int)
    assert abs(found - Fraction(text) * ONE[unit]) <= Fraction(1, 2)


@given(st.integers(0, 2**63 - 1))
def test_whole_nanoseconds_are_kept_to_the_last(number):
    assert spans.duration(str(number), "ns") == number


def test_an_unknown_or_negative_duration_is_empty_and_never_zero(folder):
    found = imported(folder(table("0", "", "NaN", "-5", " 1.5 ", "2e3")))
    took = found.spans["duration"]
    assert took.dtype == "timedelta64[ns]"
    assert took.isna().tolist() == [False, True, True, True, False, False]
    assert took.dropna().tolist() == [pd.Timedelta(0), pd.Timedelta("1500us"), pd.Timedelta("2s")]
    assert "s: how long 3 spans took is not known: no end is written, or one before the start" in found.notes


@pytest.mark.parametrize("text", ["1,5", "1 ms", "0x1", "soon", "1_0", "inf", "1e99", "9" * 50, "9300000000000"])
def test_a_duration_that_is_no_number_or_too_long_is_refused_with_its_row(folder, text):
    with pytest.raises(InputError, match=r"a\.csv: row 2: duration '.*' (is not a number|ms is longer than)"):
        imported(folder(table("1", text)))
    kept = imported(folder(table("1", text), entry=MAPPED.replace("unit: ms}", "unit: ms}, rejected: 1")))
    assert kept.spans["duration"].tolist() == [pd.Timedelta("1ms")]
    assert [note[:25] for note in kept.notes] == ["s: 1 records could not be"]


def as_parquet(rows):
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


ROWS_OF = {
    "csv": lambda rows: "\n".join(["span_id,system,took", *(",".join(map(str, row.values())) for row in rows)]),
    "json": json.dumps,
    "jsonl": lambda rows: "\n".join(map(json.dumps, rows)),
    "parquet": as_parquet,
}


@pytest.mark.parametrize("reader", ROWS_OF)
@pytest.mark.parametrize("unit", ONE)
def test_every_plain_export_gives_durations_in_the_unit_that_is_said(folder, reader, unit):
    rows = [{"span_id": str(n), "system": "web", "took": 1.25 * n} for n in (1, 2, 3)]
    path = folder(ROWS_OF[reader](rows), f"a.{reader}", MAPPED.replace("ms", unit))
    took = imported(path).spans.set_index("span_id")["duration"]
    assert took.to_dict() == {str(n): pd.Timedelta(round(Fraction(5, 4) * n * ONE[unit]), "ns") for n in (1, 2, 3)}


def test_a_field_with_the_name_of_the_column_is_read_only_where_its_unit_is_said(folder):
    text = "span_id,system,duration\n1,web,1500\n"
    silent = imported(folder(text, entry="{id: s, file: sources/FILE, table: spans}"))
    assert silent.spans["duration"].isna().all()
    assert "s: how long spans took is not read: its unit is not said" in "\n".join(silent.notes)
    said = imported(folder(text, entry="{id: s, file: sources/FILE, table: spans, duration: {unit: us}}"))
    assert said.spans["duration"].tolist() == [pd.Timedelta("1.5ms")]
    assert said.notes == ()
    with pytest.raises(InputError, match=r"has nothing for 'duration'; say columns: .duration: FIELD"):
        imported(
            folder("span_id,system\n1,web\n", entry="{id: s, file: sources/FILE, table: spans, duration: {unit: s}}")
        )


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"table": "spans", "columns": {"duration": "took"}}, "needs its unit: say duration: {unit: ms}"),
        ({"table": "spans", "constant": {"duration": "1"}}, "needs its unit"),
        ({"table": "metrics", "duration": {"unit": "ms"}}, "duration is for spans, not for metrics"),
        ({"table": "spans", "duration": {"unit": "min"}}, "'s', 'ms', 'us' or 'ns'"),
        ({"table": "spans", "duration": {"column": "took", "unit": "ms"}}, "Extra inputs"),
    ],
)
def test_a_duration_without_a_unit_or_out_of_place_is_refused(entry, said):
    with pytest.raises(ValidationError, match=said):
        Source.model_validate({"id": "s", "file": "a.csv"} | entry)


def test_spans_of_zipkin_are_mapped_by_yaml_alone(folder):
    # Zipkin's API, version 2: timestamp and duration are microseconds; the service is that of the local endpoint
    exported = [
        {"traceId": "5af7183fb1d4cf5f", "id": "352bff9a74ca9ad2", "kind": "SERVER", "name": "get /api",
         "timestamp": 1763464800355737, "duration": 1431, "localEndpoint": {"serviceName": "web"}},
        {"traceId": "5af7183fb1d4cf5f", "id": "6b221d5bc9e6496c", "parentId": "352bff9a74ca9ad2", "name": "query",
         "timestamp": 1763464800356001, "localEndpoint": {"serviceName": "db"}},
    ]  # fmt: skip
    entry = (
        "{id: s, file: sources/FILE, reader: json, table: spans, time: {format: epoch_us}, duration: {unit: us},"
        " columns: {trace_id: traceId, span_id: id, parent_id: parentId, time: timestamp,"
        " system: localEndpoint.serviceName}}"
    )
    found = imported(folder(json.dumps(exported), "a.json", entry))
    assert list(found.spans) == list(schema.COLUMNS["spans"])
    assert found.spans[["system", "name", "parent_id"]].to_numpy().tolist() == [
        ["web", "get /api", ""], ["db", "query", "352bff9a74ca9ad2"],
    ]  # fmt: skip
    assert found.spans["time"][0] == pd.Timestamp("2025-11-18T11:20:00.355737Z")
    assert found.spans["duration"][0] == pd.Timedelta(microseconds=1431)
    assert pd.isna(found.spans["duration"][1])
    assert found.dependencies[["cause", "effect"]].to_numpy().tolist() == [["db", "web"]]


BEGIN = 1763464800 * 10**9


def otlp(*ends):
    """A document of spans that begin together."""
    spans_ = [
        {"traceId": "ab" * 16, "spanId": f"{n:016x}", "startTimeUnixNano": str(BEGIN), "name": "op"}
        | {"endTimeUnixNano": end}
        for n, end in enumerate(ends, 1)
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "web"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans_}]}]})


def test_a_span_of_opentelemetry_took_from_its_start_to_its_end_to_the_nanosecond(folder):
    ends = [str(BEGIN + 1_234_567_891), BEGIN, str(BEGIN - 1), None, "0", float(BEGIN + 10**9), "soon"]
    entry = "{id: s, file: sources/FILE, reader: otlp}"
    assert imported(folder(otlp(BEGIN).replace(f'"{BEGIN}"', '"0"'), "a.json", entry)).spans["duration"].isna().all()
    found = imported(folder(otlp(*ends), "a.json", entry))
    took = found.spans.sort_values("span_id")["duration"]
    assert [None if pd.isna(value) else value.value for value in took] == [1_234_567_891, 0, *[None] * 5]
    assert "s: how long 5 spans took is not known: no end is written, or one before the start" in found.notes


def test_incident_yaml_has_the_last_word_on_a_duration_of_a_format(folder):
    entry = "{id: s, file: sources/FILE, reader: otlp, table: spans, constant: {duration: '2'}, duration: {unit: s}}"
    assert imported(folder(otlp(BEGIN + 1), "a.json", entry)).spans["duration"].tolist() == [pd.Timedelta("2s")]
    entry = "{id: s, file: sources/FILE, reader: otlp, constant: {duration: '2'}}"
    with pytest.raises(InputError, match="needs its unit"):
        imported(folder(otlp(BEGIN + 1), "a.json", entry))


CALLS = st.lists(
    st.tuples(st.sampled_from(["t", "u"]), st.sampled_from("123"), st.sampled_from(["", "1", "2"]),
        st.sampled_from(["web", "db"]), st.sampled_from(["", "1", "2.5", "-1"])),
    min_size=1, max_size=10,
)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(CALLS)
def test_durations_change_no_dependency(tmp_path_factory, rows):
    text = "trace_id,span_id,parent_id,system,took\n" + "".join(",".join(row) + "\n" for row in rows)
    found = []
    for entry in (MAPPED, "{id: s, file: sources/FILE, table: spans}"):
        top = tmp_path_factory.mktemp("case")
        (top / "sources").mkdir()
        (top / "sources" / "a.csv").write_text(text)
        (top / "incident.yaml").write_text(
            HEAD + f"sources:\n- {entry.replace('FILE', 'a.csv').replace('READER', 'csv')}\n"
        )
        found.append(imported(top))
    pd.testing.assert_frame_equal(found[0].dependencies, found[1].dependencies)
    assert [note for note in found[0].notes if "how long" not in note] == list(found[1].notes)
    different = {(*row[:4], "" if row[4] == "-1" else row[4]) for row in rows}
    assert len(found[0].spans) == len(different)


def test_stored_spans_are_read_back_as_they_were(folder):
    found = incident.load(folder(table("1.5", "", "3")))
    pd.testing.assert_frame_equal(sources.store(found).frame("spans"), sources.read(found).spans)
    stored = parquet.read_table(sources.store(found).path("spans"))
    assert stored.column("duration_ns").to_pylist() == [1_500_000, None, 3_000_000]
    pd.testing.assert_frame_equal(schema.check(sources.read(found).spans, "spans"), sources.read(found).spans)


def test_an_incident_without_spans_has_an_empty_table_of_them(folder):
    found = imported(
        folder("time,message\n2025-11-18T11:20:00Z,x\n", entry="{id: s, file: sources/FILE, constant: {kind: log}}")
    )
    pd.testing.assert_frame_equal(found.spans, schema.empty("spans"))


def test_names_in_operations_are_pseudonyms_in_reports_and_durations_stay(folder):
    text = "span_id,system,name,took\n1,web,GET /home/jdoe,7\n"
    path = folder(text, more="people: [{name: Jane Doe, role: analyst, aliases: [jdoe]}]\n")
    shown, plain = report.load(path)[1].spans, report.load(path, with_names=True)[1].spans
    assert "jdoe" in plain["name"][0] and "jdoe" not in shown["name"][0]
    assert shown["duration"].tolist() == plain["duration"].tolist() == [pd.Timedelta("7ms")]


@pytest.mark.parametrize(("field", "unit"), [("duration_ms", "ms"), ("durationNano", "ns"), ("duration_seconds", "s")])
def test_an_import_takes_the_unit_that_a_field_names_itself(folder, tmp_path, field, unit):
    path = folder("time,message\n2025-11-18T11:20:00Z,x\n", entry="{id: s, file: sources/FILE, constant: {kind: log}}")
    export = tmp_path / "spans.csv"
    export.write_text(f"trace_id,span_id,parent_id,service,start_time,{field}\nt,1,,web,2025-11-18T11:20:00Z,40\n")
    added = adding.add(path, export)
    assert added.source.columns["duration"] == [field] and added.source.duration.unit == unit
    assert imported(path).spans["duration"].tolist() == [pd.Timedelta(40, unit)]


def test_an_import_does_not_guess_a_unit(folder, tmp_path):
    path = folder("time,message\n2025-11-18T11:20:00Z,x\n", entry="{id: s, file: sources/FILE, constant: {kind: log}}")
    export = tmp_path / "spans.csv"
    export.write_text("trace_id,span_id,parent_id,service,start_time,duration\nt,1,,web,2025-11-18T11:20:00Z,40\n")
    assert any("its unit is not said" in note for note in adding.add(path, export).report.notes)
    export.write_text(export.read_text().replace(",40", ",41"))
    with pytest.raises(InputError, match="needs its unit"):
        adding.add(path, export, given={"id": "again", "columns": {"duration": ["duration"], "system": ["system"]}})


def test_the_hurt_systems_are_found_in_spans_from_yaml_alone(folder):
    """Both systems answer within 11 to 14 ms; from 11:00 on, db takes ten times as long and web fails at times."""
    rows = ["trace_id,span_id,parent_id,system,start,status,took"]
    for minute in range(120):
        late = minute >= 60
        start = f"2025-11-18T{10 + minute // 60}:{minute % 60:02}:00Z"
        status = "ERROR" if late and minute % 2 else "OK"
        rows.append(f"t{minute},a{minute},,web,{start},{status},{11 + math.fmod(minute, 4)}")
        rows.append(f"t{minute},b{minute},a{minute},db,{start},OK,{(11 + math.fmod(minute, 4)) * (10 if late else 1)}")
    windows = (
        'windows: {before: {start: "2025-11-18T10:00:00Z", end: "2025-11-18T11:00:00Z"},'
        ' during: {start: "2025-11-18T11:00:00Z", end: "2025-11-18T12:00:00Z"}}\n'
    )
    entry = MAPPED.replace("{duration: took}", "{duration: took, time: start}")
    case = incident.load(folder("\n".join(rows), entry=entry, more=windows))
    records = sources.read(case)
    limits = {"before": case.file.windows.before.span, "during": case.file.windows.during.span}
    edges = graph.build(records.dependencies, records.systems)
    found = affected.find(spans=records.spans, graph=edges, **limits).set_index("system")
    assert found["evidence"].to_dict() == {"db": "slow spans", "web": "error spans"}
    assert found["hurt"].all()

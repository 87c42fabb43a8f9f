"""What holds for every format: it knows its own exports only, and importing one twice or in pieces changes nothing."""

import importlib
import inspect
import json
import re
from functools import cache

import pandas as pd
import pytest
from exports import EXPORTS, incident

from rca import sources
from rca.errors import InputError
from rca.sources import formats, recognise
from rca.sources.batches import READERS
from rca.sources.stored import KEYS

WAYS = {  # how the records of an export are cut into files: begin and end of each
    "once": [(0, None)],
    "twice": [(0, None), (0, None)],
    "three times, once in part": [(0, None), (2, None), (0, None)],
    "in overlapping pieces": [(0, -1), (1, None)],
    "in another order": [(1, None), (0, -1)],
    "in three pieces": [(1, None), (0, 2), (0, -1)],
}
every_export = pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
every_format = pytest.mark.parametrize(
    "form", [formats.get(name) for name in formats.NAMES], ids=lambda form: form.name
)


@pytest.fixture(scope="module")
def cache_home(tmp_path_factory):
    """A place of this test's own for the key that signs derived tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def written(folder, way):
    """An incident with all exports, each a source of its own, cut into files in one of the ways."""
    for export in EXPORTS:
        for number, (begin, end) in enumerate(WAYS[way], start=1):
            export.put(folder, number, begin, end)
    numbers = range(1, len(WAYS[way]) + 1)
    return incident(folder, *(export.declared(*numbers) for export in EXPORTS))


def tables(case):
    """All that an import gives, by name."""
    found = sources.read(case)
    spans = sources.store(case).frame("spans")
    return {"events": found.events, "metrics": found.metrics, "dependencies": found.dependencies, "spans": spans,
            "reports": found.reports}  # fmt: skip


@pytest.fixture(scope="module")
def imported(tmp_path_factory, cache_home):
    """Import all exports in one of the ways, once for all tests."""
    return cache(lambda way: tables(written(tmp_path_factory.mktemp("incident"), way)))


def rows(frame, source):
    """The rows of one source, without what says where in the files they stand."""
    own = frame[frame["source"] == source].drop(columns=["position", "locator"], errors="ignore")
    return own.sort_values([name for name in own if name != "source"]).reset_index(drop=True)


def test_there_is_an_export_of_every_reader():
    assert {export.reader for export in EXPORTS} == {*READERS, *formats.NAMES}


@every_export
def test_an_export_is_recognised_as_its_own_format_and_as_no_other(export, tmp_path):
    head = recognise.head(export.put(tmp_path))
    known = [form.name for form in formats.every() if form.recognise(head)]
    assert known == [name for name in [export.reader] if name not in READERS]
    assert recognise.reader(head) == export.reader


@every_export
def test_every_record_of_an_export_is_imported(export, imported):
    found = imported("once")
    report = found["reports"].set_index("source").loc[export.name]
    assert report["rejected"] == 0 and report["rows"] >= len(export.records) and report["kept"] > 0
    dated = [frame["time"].notna().any() for name, frame in found.items() if "time" in frame and name != "reports"]
    assert any(dated)


@every_export
def test_repeated_records_without_an_id_are_one_row_with_their_number(export, imported):
    counts = rows(imported("once")["events"], export.name)["count"]
    assert counts.max() == export.happened if len(counts) else export.happened == 1
    different = {repr(record) for record in export.records}
    assert len(different) == len(export.records) or len(counts) == len(different)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "once"])
@every_export
def test_the_table_does_not_depend_on_the_files_that_records_came_in(export, way, imported):
    whole, cut = imported("once"), imported(way)
    for table in KEYS:
        found, wanted = rows(cut[table], export.name), rows(whole[table], export.name)
        pd.testing.assert_frame_equal(found, wanted)
    again = cut["reports"].set_index("source").loc[export.name]
    assert again["duplicates"] > 0
    assert again["kept"] == whole["reports"].set_index("source").loc[export.name, "kept"]


def test_the_count_of_an_edge_does_not_depend_on_the_files_that_records_came_in(imported):
    whole, cut = (imported(way)["dependencies"].query("basis == 'table'") for way in ("once", "in overlapping pieces"))
    assert cut["count"].tolist() == whole["count"].tolist()


def test_no_two_sources_share_an_event_id(imported):
    events = imported("once")["events"]
    assert events["event_id"].is_unique and len(events) > len(EXPORTS)


def test_reading_twice_gives_identical_tables(imported, tmp_path):
    again = tables(written(tmp_path, "in three pieces"))
    for name, frame in imported("in three pieces").items():
        pd.testing.assert_frame_equal(again[name], frame)


def test_a_second_read_takes_the_derived_tables(imported, tmp_path, monkeypatch):
    case = written(tmp_path, "once")
    first = tables(case)

    def refuse(*_, **__):
        raise AssertionError("imported again")

    monkeypatch.setattr(importlib.import_module("rca.sources.read"), "import_source", refuse)
    second = tables(case)
    for name, frame in first.items():
        pd.testing.assert_frame_equal(second[name], frame)
    EXPORTS[0].put(tmp_path, 1, 0, 3)
    with pytest.raises(AssertionError, match="imported again"):
        sources.read(case)


@every_format
def test_a_format_says_what_it_is_and_against_what_it_was_tested(form):
    assert form.title and form.tables and set(form.tables) <= set(KEYS)
    said = re.search(r"Tested\s+against\s+(.+?)(?:\.\s|\Z)", inspect.getdoc(inspect.getmodule(form.read)), re.DOTALL)
    assert said, "the docstring does not say against what it was tested"
    wanted = {
        "real server": r"\breal\b",
        "real data": r"\brecorded\b",
        "documented format": r"documented\s+formats?\s+only",
    }
    assert re.search(wanted[form.tested], said[1])


@every_format
def test_a_format_fills_the_tables_that_it_names_and_no_other(form, imported):
    own = [export.name for export in EXPORTS if export.reader == form.name]
    filled = {table for table in KEYS if imported("once")[table]["source"].isin(own).any()}
    assert filled == set(form.tables)


def in_berlin(folder, name, text, reader, **more):
    """Read one export of Berlin's clocks, which were put back on 2025-10-26 at 03:00, 01:00 UTC."""
    (folder / name).write_text(text)
    time = {"zone": "Europe/Berlin", **more.pop("time", {})}
    return sources.read(incident(folder, {"id": "a", "file": name, "reader": reader, "time": time, **more}))


FIRST, SECOND = pd.Timestamp("2025-10-26T00:30Z"), pd.Timestamp("2025-10-26T01:30Z")
TWICE = "a: 1 times lie in an hour that clocks show twice; each is kept as an interval of both"
REPEATED = {
    "syslog": (
        "Oct 26 01:30:00 web app: before\nOct 26 02:30:00 web app: which\nOct 26 03:30:00 web app: after\n",
        "x.log",
        {"time": {"year": 2025}},
    ),
    "jira": (
        json.dumps(
            {
                "issues": [
                    {"id": str(n), "key": f"A-{n}", "fields": {"summary": word, "created": f"2025-10-26T0{n}:30:00.000"}}
                    for n, word in enumerate(("before", "which", "after"), start=1)
                ]
            }
        ),
        "x.json",
        {},
    ),
    "servicenow": (
        "number,short_description,opened_at,sys_id\n"
        "I1,before,2025-10-26 01:30:00,1\nI2,which,2025-10-26 02:30:00,2\nI3,after,2025-10-26 03:30:00,3\n",
        "x.csv",
        {},
    ),
    "gitlog": (
        "".join(
            f"commit {key * 40}\nAuthor: A <a@example.org>\nDate:   Sun Oct 26 0{hour}:30:00 2025\n\n    {word}\n\n"
            for key, hour, word in (("c", 3, "after"), ("b", 2, "which"), ("a", 1, "before"))
        ),
        "x.txt",
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("reader", sorted(REPEATED))
def test_an_event_of_any_format_in_the_hour_that_clocks_show_twice_is_kept_as_an_interval(tmp_path, reader):
    text, name, more = REPEATED[reader]
    found = in_berlin(tmp_path, name, text, reader, **more)
    events = found.events.set_index(found.events["message"].str.extract("(before|which|after)", expand=False))
    assert events.loc["before", "time"] == pd.Timestamp("2025-10-25T23:30Z")
    assert events.loc["after", "time"] == pd.Timestamp("2025-10-26T02:30Z")
    which = events.loc["which"]
    assert (which["time_earliest"], which["time_latest"], which["zone_basis"]) == (FIRST, SECOND, "declared")
    assert pd.isna(which["time"]) and "02:30" in which["time_text"]
    assert events.loc["before", ["time_earliest", "time_latest"]].isna().all()
    assert TWICE in found.notes
    assert found.reports[["rejected", "undated"]].loc[0].tolist() == [0, 0]


def test_what_is_stored_in_utc_tells_which_of_the_two_hours_was_shown(tmp_path):
    rows = [
        {
            "number": f"I{number}", "sys_id": str(number), "short_description": "x",
            "opened_at": {"value": f"2025-10-26 0{number}:30:00", "display_value": "2025-10-26 02:30:00"},
        }
        for number in (0, 1)
    ]  # fmt: skip
    found = in_berlin(tmp_path, "x.json", json.dumps({"result": rows}), "servicenow")
    assert found.events["time"].tolist() == [FIRST, SECOND]
    assert TWICE not in found.notes


def test_a_time_that_the_mapping_takes_from_another_field_is_an_interval_too(tmp_path):
    text = "number,short_description,opened_at,sys_id,seen\nI1,x,2025-10-26 12:00:00,1,2025-10-26 02:30:00\n"
    (event,) = in_berlin(tmp_path, "x.csv", text, "servicenow", columns={"time": "seen"}).events.itertuples()
    assert (event.time_earliest, event.time_latest) == (FIRST, SECOND)
    text = "number,short_description,opened_at,sys_id,seen\nI1,x,2025-10-26 02:30:00,1,2025-10-26 12:00:00\n"
    (event,) = in_berlin(tmp_path, "x.csv", text, "servicenow", columns={"time": "seen"}).events.itertuples()
    assert event.time == pd.Timestamp("2025-10-26T11:00Z")
    assert pd.isna(event.time_earliest) and pd.isna(event.time_latest)


def test_the_bounds_of_an_interval_are_as_wide_as_the_repeated_hour_leaves_them(tmp_path):
    planned = "number,sys_class_name,short_description,sys_id,start_date,end_date,state\n"
    row = "C1,change_request,x,1,2025-10-26 02:10:00,2025-10-26 02:50:00,-5\n"
    events = in_berlin(
        tmp_path,
        "x.csv",
        planned.replace("state", "state,opened_at") + row.replace("-5", "-5,2025-10-25 12:00:00"),
        "servicenow",
    ).events
    work = events[events["kind"] == "config_change"].iloc[0]
    assert work["time_earliest"] == pd.Timestamp("2025-10-26T00:10Z")
    assert work["time_latest"] == pd.Timestamp("2025-10-26T01:50Z")


def test_an_end_in_the_repeated_hour_is_refused_with_both_meanings(tmp_path):
    text = "number,short_description,opened_at,sys_id,done\nI1,x,2025-10-26 01:00:00,1,2025-10-26 02:30:00\n"
    with pytest.raises(InputError, match="is 2025-10-26 00:30 UTC or 2025-10-26 01:30 UTC: clocks go back"):
        in_berlin(tmp_path, "x.csv", text, "servicenow", columns={"time_end": "done"})


def test_bounds_that_a_plain_file_gives_are_as_wide_as_the_repeated_hour_leaves_them(tmp_path):
    text = "time,time_earliest,time_latest,message\n,2025-10-26 02:10,2025-10-26 02:50,x\n"
    (event,) = in_berlin(tmp_path, "x.csv", text, "csv", constant={"kind": "deploy"}).events.itertuples()
    assert event.time_earliest == pd.Timestamp("2025-10-26T00:10Z")
    assert event.time_latest == pd.Timestamp("2025-10-26T01:50Z")

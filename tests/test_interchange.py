"""Events exported and imported again: the same events with the same ids, in this incident or in a new one."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rca import annotations, incident, schema, sources
from rca.sources import interchange

DATASETS = Path(__file__).parent.parent / "datasets"
OWN = ("source", "position", "locator", "raw_sha256", "attributes")  # columns that describe the import


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def old(rca, tmp_path):
    """An incident in which most columns are used: an interval, no time, several records, a corrected clock."""
    rca("new", "old", "--in", tmp_path)
    lines = [
        {"time": "2025-03-01T10:00:00.123456789Z", "message": "=SUM(A1)", "level": "error", "trace_id": "00f067aa0ba902b7"},
        {"time": "2025-03-01T10:00:01+01:00", "message": "twice", "user": "ann"},
        {"time": "2025-03-01T10:00:01+01:00", "message": "twice", "user": "ann"},
        {"from": "2025-03-01T09:00:00Z", "to": "2025-03-01T11:00:00Z", "message": "between", "ref": "INC-7"},
        {"message": "undated", "deep": {"a": [1, 2]}},
        {"time": "2025-03-01T12:00:00Z", "until": "2025-03-01T12:05:00Z", "message": "long\nlines, \"quoted\""},
    ]  # fmt: skip
    export = tmp_path / "old" / "sources" / "log.jsonl"
    export.write_text("".join(json.dumps(line) + "\n" for line in lines))
    columns = {
        "time": "time", "time_earliest": "from", "time_latest": "to", "time_end": "until", "message": "message",
        "severity": "level", "actor": "user", "ref": "ref", "trace_id": "trace_id",
    }  # fmt: skip
    clock = {"offset": 1.5, "low": 1.4, "high": 1.6, "accepted_by": "lead"}
    entry = {"id": "log", "file": "sources/log.jsonl", "reader": "jsonl", "columns": columns,
             "constant": {"kind": "log", "system": "api"}, "clock": clock}  # fmt: skip
    described = tmp_path / "old" / "incident.yaml"
    described.write_text(described.read_text().replace("sources: []", f"sources: [{json.dumps(entry)}]"))
    return tmp_path / "old"


def events(folder):
    return sources.read(incident.load(folder)).events


def export(rca, folder, path):
    assert rca("timeline", folder, "--out", path)[::2] == (0, "")
    return path


def change(path, **values):
    """Write values into the first row of an export."""
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    rows[0] |= values
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def same(one, other):
    by = [table.sort_values("event_id", ignore_index=True).drop(columns=[*OWN]) for table in (one, other)]
    pd.testing.assert_frame_equal(*by)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_an_export_adds_nothing_to_the_incident_that_it_came_from(rca, old, tmp_path, ending):
    before = events(old)
    assert len(before) == 5
    code, out, err = rca("import", old, export(rca, old, tmp_path / f"t.{ending}"))
    assert (code, err) == (0, "")
    assert "5 read, 0 rows kept (events), 5 duplicate, " in out
    assert "note: 5 events are those of other sources that were exported; they are not added again" in out
    pd.testing.assert_frame_equal(events(old), before)
    shutil.rmtree(old / "derived", ignore_errors=True)
    pd.testing.assert_frame_equal(events(old), before)
    (report,) = sources.read(incident.load(old)).reports.query("source == 'timesketch'").to_dict("records")
    assert (report["rows"], report["kept"], report["duplicates"]) == (5, 0, 5)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_in_a_new_incident_every_column_comes_back_and_annotations_fit(rca, old, tmp_path, ending):
    before = events(old)
    chosen = before["event_id"][0]
    annotations.add(old, chosen, tag="first", author="lead")
    rca("new", "new", "--in", tmp_path)
    assert rca("import", tmp_path / "new", export(rca, old, tmp_path / f"t.{ending}"))[0] == 0
    after = events(tmp_path / "new")
    same(after, before)
    assert set(after["source"]) == {"timesketch"}
    by_id = before.set_index("event_id")
    for row in after.to_dict("records"):
        attributes = json.loads(row["attributes"])
        past, was = attributes.pop("exported"), by_id.loc[row["event_id"]]
        assert attributes == json.loads(was["attributes"] or "{}")
        assert [past[name] for name in ("source", "locator", "raw_sha256")] == [
            was[name] for name in ("source", "locator", "raw_sha256")
        ]
        assert int(past["position"]) == was["position"]
    shutil.copy(old / "annotations.jsonl", tmp_path / "new" / "annotations.jsonl")
    assert annotations.table(tmp_path / "new", after["event_id"])["event_id"].tolist() == [chosen]
    # and a second time around
    rca("new", "third", "--in", tmp_path)
    rca("import", tmp_path / "third", export(rca, tmp_path / "new", tmp_path / f"again.{ending}"))
    third = events(tmp_path / "third")
    same(third, before)
    assert (
        third.set_index("event_id")["attributes"]
        .sort_index()
        .equals(after.set_index("event_id")["attributes"].sort_index())
    )


def test_it_does_not_matter_which_of_both_is_imported_first(rca, old, tmp_path):
    before = events(old)
    path = export(rca, old, tmp_path / "t.csv")
    described = old / "incident.yaml"
    text = described.read_text()
    described.write_text(re.sub(r"sources: \[\{.*", "sources: []", text))
    assert rca("import", old, path)[0] == 0
    assert set(events(old)["source"]) == {"timesketch"}
    back = {"id": "timesketch", "file": "sources/t.csv", "reader": "timesketch"}
    described.write_text(text.replace("sources: [{", f"sources: [{json.dumps(back)}, {{"))
    pd.testing.assert_frame_equal(events(old), before)


def test_a_clock_that_is_corrected_in_between_makes_no_event_another(rca, old, tmp_path):
    path = export(rca, old, tmp_path / "t.csv")
    text = (old / "incident.yaml").read_text()
    (old / "incident.yaml").write_text(text.replace('"offset": 1.5', '"offset": 7.25'))
    before = events(old)
    assert rca("import", old, path)[0] == 0
    pd.testing.assert_frame_equal(events(old), before)


@pytest.mark.parametrize(
    "changed",
    [
        {"message": "another"}, {"rca_actor": "bob"}, {"rca_raw_sha256": "0" * 64},
        {"rca_time_end": "2025-03-01T12:00:00.000000000+00:00"},
    ],
)  # fmt: skip
def test_an_event_that_tells_something_else_is_kept_beside_the_one_with_its_id(rca, old, tmp_path, changed):
    before = events(old)
    path = export(rca, old, tmp_path / "t.csv")
    change(path, **changed)
    out = rca("import", old, path)[1]
    assert "1 exported events tell something else than the events with their ids; both are kept" in out
    assert "4 events are those of other sources" in out
    after = events(old)
    assert len(after) == len(before) + 1 and after["event_id"].is_unique
    pd.testing.assert_frame_equal(after[after["source"] == "log"].reset_index(drop=True), before)


@pytest.mark.parametrize("bad", ["", "0" * 15, "g" * 16, "0" * 17, "A" * 16, "../../x"])
def test_an_id_that_is_not_as_we_write_them_is_not_taken(rca, old, tmp_path, bad):
    path = export(rca, old, tmp_path / "t.csv")
    change(path, rca_event_id=bad)
    rca("new", "new", "--in", tmp_path)
    assert rca("import", tmp_path / "new", path)[0] == 0
    after = set(events(tmp_path / "new")["event_id"])
    assert len(after & set(events(old)["event_id"])) == 4 and bad not in after


def test_ids_of_other_timelines_are_not_taken(rca, tmp_path):
    rca("new", "new", "--in", tmp_path)
    row = {"message": "m", "datetime": "2025-03-01T10:00:00Z", "timestamp_desc": "x", "event_id": "0123456789abcdef"}
    (tmp_path / "t.jsonl").write_text(json.dumps(row) + "\n")
    assert rca("import", tmp_path / "new", tmp_path / "t.jsonl")[0] == 0
    assert events(tmp_path / "new")["event_id"][0] != row["event_id"]


def test_an_export_of_many_row_groups_is_settled_group_by_group(rca, tmp_path, monkeypatch):
    monkeypatch.setattr("rca.sources.runs.SLICE", 100)
    start = pd.Timestamp("2025-03-01T10:00Z")
    lines = [{"time": (start + pd.Timedelta(n, "s")).isoformat(), "message": f"m{n}"} for n in range(500)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rca("new", "x", "--in", tmp_path)
    rca("import", tmp_path / "x", tmp_path / "log.jsonl", "--kind", "log")
    before = events(tmp_path / "x")
    part = before.iloc[np.arange(0, 500, 3)].reset_index(drop=True)
    interchange.to_timesketch(schema.check(part, "events"), tmp_path / "part.csv")
    assert "167 duplicate" in rca("import", tmp_path / "x", tmp_path / "part.csv")[1]
    pd.testing.assert_frame_equal(events(tmp_path / "x"), before)

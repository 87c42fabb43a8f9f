"""Readers of training, data and code pipelines: what each takes from its documented format, and what it refuses."""

import csv
import io
import json
import sqlite3

import pytest
from hypothesis import given, settings, strategies as st

from rca.errors import InputError, MissingFile, UnsafeInput
from rca.incident.model import Source
from rca.sources.formats import airflow, dbt, gitlog, mlflow, neptune, openlineage, wandb
from rca.sources.items import Head, Reject

FORMATS = {module.FORMAT.name: module.FORMAT for module in (airflow, dbt, gitlog, mlflow, neptune, openlineage, wandb)}
T = 1763464800  # 2025-11-18T11:20:00Z


def source(name, **more):
    return Source(id="x", file="x", reader=name, **more)


def read(path, name, content=None, **more):
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8", newline="")
    return list(FORMATS[name].read(path, source(name, **more)))


def kept(items, table="events"):
    assert not [item for item in items if isinstance(item, Reject)], items
    return [item.fields for item in items if item.table == table]


def table(*rows):
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "export"


# OpenLineage


def run_event(state="COMPLETE", time="2025-11-18T12:20:00.123456789+01:00", **more):
    return {
        "eventType": state, "eventTime": time, "run": {"runId": "0190-a"}, "job": {"namespace": "shop", "name": "clean"},
        "producer": "https://example.org/client", "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
    } | more  # fmt: skip


def dataset(name, **more):
    return {"namespace": "postgres://db:5432", "name": name} | more


def test_an_openlineage_failure_has_its_nanoseconds_its_message_and_the_parent_run(path):
    run = {
        "runId": "0190-a",
        "facets": {
            "errorMessage": {"message": "disk full", "programmingLanguage": "sql"},
            "parent": {"run": {"runId": "0190-p"}, "job": {"namespace": "shop", "name": "nightly"}},
            "nominalTime": {"nominalStartTime": "2025-11-17T00:00:00Z"},
        },
    }
    (item,) = read(path, "openlineage", run_event("FAIL", run=run))
    fields = item.fields
    assert fields["time"].ns == T * 10**9 + 123_456_789
    assert (fields["system"], fields["kind"], fields["severity"]) == ("clean", "data_load", "error")
    assert fields["message"] == "FAIL clean: disk full" and fields["ref"] == "0190-a"
    assert fields["attributes"]["parent_run"] == "0190-p" and fields["attributes"]["namespace"] == "shop"
    assert fields["attributes"]["nominal_start"] == "2025-11-17T00:00:00Z"


def test_openlineage_edges_go_from_input_over_the_job_to_output_and_never_to_itself(path):
    job = {"namespace": "", "name": "clean"}
    record = run_event(
        job=job,
        inputs=[dataset("raw"), {"namespace": "", "name": "clean"}],
        outputs=[dataset("features"), dataset("raw")],
    )
    edges = [(fields["cause"], fields["effect"]) for fields in kept(read(path, "openlineage", record), "dependencies")]
    assert edges == [
        ("postgres://db:5432/raw", "clean"),
        ("clean", "postgres://db:5432/features"),
        ("clean", "postgres://db:5432/raw"),
    ]


def test_an_openlineage_time_without_a_zone_is_refused_or_read_as_declared(path):
    record = run_event(time="2025-11-18T12:20:00")
    (reject,) = read(path, "openlineage", record)
    assert isinstance(reject, Reject) and "no time zone" in reject.reason
    (fields,) = kept(read(path, "openlineage", record, time={"zone": "Europe/Berlin"}))
    assert fields["time"].ns == T * 10**9 and fields["time"].basis == "declared"


def test_row_counts_and_failed_checks_of_openlineage_data_sets_are_kept(path):
    checks = {"assertions": [
        {"assertion": "not_null", "success": False, "column": "id"}, {"assertion": "unique", "success": True},
    ]}  # fmt: skip
    record = run_event(
        inputs=[dataset("raw", inputFacets={"dataQualityAssertions": checks})],
        outputs=[
            dataset(
                "features",
                outputFacets={"outputStatistics": {"_producer": "p", "rowCount": 7, "exact": True, "size": 2**60 + 1}},
            )
        ],
    )
    items = read(path, "openlineage", record)
    numbers = {(fields["system"], fields["metric"]): fields["value"] for fields in kept(items, "metrics")}
    assert numbers == {
        ("postgres://db:5432/features", "rowCount"): 7,
        ("postgres://db:5432/features", "size"): 2**60 + 1,
    }
    (fields,) = kept(items)
    assert fields["attributes"]["failed_assertions"] == ["not_null of id in postgres://db:5432/raw"]
    assert fields["severity"] == "warning"


def test_each_state_of_an_openlineage_run_is_an_event_of_its_own_however_the_file_holds_them(path):
    events = [
        run_event(state, f"2025-11-18T11:2{n}:00Z") for n, state in enumerate(["START", "RUNNING", "ABORT", "OTHER"])
    ]
    whole = read(path, "openlineage", events)
    assert [item.fields["severity"] for item in whole] == ["info", "info", "warning", "info"]
    assert len({json.dumps(item.raw) for item in whole}) == 4
    jsonl = read(path, "openlineage", "\n".join(map(json.dumps, events)))
    marquez = read(path, "openlineage", {"events": events, "totalCount": 4})
    assert [item.raw for item in jsonl] == [item.raw for item in marquez] == [item.raw for item in whole]


def test_static_openlineage_events_are_no_loads_and_broken_ones_are_rejected(path):
    base = {"eventTime": "2025-11-18T11:20:00Z", "producer": "p", "schemaURL": "s"}
    job = base | {"job": {"namespace": "shop", "name": "clean"}, "inputs": [dataset("raw")]}
    described = base | {"dataset": dataset("raw", facets={"lifecycleStateChange": {"lifecycleStateChange": "DROP"}})}
    items = read(
        path, "openlineage", [job, described, base, run_event(time=""), run_event(inputs=[{"namespace": "x"}])]
    )
    kinds = [
        (item.fields["kind"], item.fields["message"])
        for item in items
        if not isinstance(item, Reject) and item.table == "events"
    ]
    assert kinds == [("other", "job described (clean)"), ("other", "data set described: DROP (postgres://db:5432/raw)")]
    assert [item.position for item in items if isinstance(item, Reject)] == [3, 4, 5]


# dbt


def artefact(kind, **content):
    metadata = {
        "dbt_schema_version": f"https://schemas.getdbt.com/dbt/{kind}/v6.json", "dbt_version": "1.9.0",
        "generated_at": "2025-11-18T11:30:00.5Z", "invocation_id": "inv-1", "env": {},
    }  # fmt: skip
    return {"metadata": metadata} | content


def result(node, status, **more):
    timing = [
        {"name": "compile", "started_at": "2025-11-18T11:19:00Z", "completed_at": "2025-11-18T11:19:01Z"},
        {"name": "execute", "started_at": "2025-11-18T11:20:00Z", "completed_at": "2025-11-18T11:20:02Z"},
    ]
    return {"unique_id": node, "status": status, "timing": timing, "execution_time": 2.25, "message": None} | more


def test_a_dbt_result_is_timed_by_its_execution_and_a_skipped_one_is_undated(path):
    results = [
        result("model.shop.clean", "success", adapter_response={"rows_affected": 41}),
        result("model.shop.features", "skipped", timing=[], execution_time=0),
        result("test.shop.unique", "warn", failures=3, message="Got 3 results"),
        result("model.shop.late", "error", timing=[{"name": "compile", "started_at": "2025-11-18T11:19:00Z", "completed_at": None}]),
    ]  # fmt: skip
    items = read(path, "dbt", artefact("run-results", results=results))
    clean, features, unique, late = kept(items)
    assert (clean["time"].ns, clean["time_end"].ns) == (T * 10**9, (T + 2) * 10**9)
    assert features["time"].ns is None and features["time_latest"].text == "2025-11-18T11:30:00.5Z"
    assert (
        late["time"].ns == (T - 60) * 10**9 and late["attributes"]["phase"] == "compile" and late["time_end"].ns is None
    )
    assert [fields["severity"] for fields in (clean, features, unique, late)] == ["info", "warning", "warning", "error"]
    assert [fields["kind"] for fields in (clean, features, unique, late)] == [
        "data_load",
        "data_load",
        "audit",
        "data_load",
    ]
    numbers = {(fields["system"], fields["metric"]): fields["value"] for fields in kept(items, "metrics")}
    assert numbers == {
        ("model.shop.clean", "execution_time"): 2.25, ("model.shop.clean", "rows_affected"): 41,
        ("test.shop.unique", "execution_time"): 2.25, ("test.shop.unique", "failures"): 3,
    }  # fmt: skip


def test_a_dbt_manifest_gives_each_edge_once_also_of_a_version_without_parent_map(path):
    node = {"depends_on": {"macros": ["macro.dbt.x"], "nodes": ["seed.a", "source.b"]}}
    nodes = {
        "nodes": {
            "model.c": node,
            "seed.a": {"depends_on": {"macros": []}},
            "model.c/1": {"depends_on": {"nodes": ["model.c"]}},
        }
    }
    new = artefact(
        "manifest",
        **nodes,
        parent_map={"model.c": ["seed.a", "source.b"], "seed.a": [], "model.c/1": ["model.c", "model.c/1"]},
    )
    for content in (new, artefact("manifest", **nodes)):
        edges = [(fields["cause"], fields["effect"]) for fields in kept(read(path, "dbt", content), "dependencies")]
        assert sorted(edges) == [("model.c", "model.c/1"), ("seed.a", "model.c"), ("source.b", "model.c")]
    assert read(path, "dbt", artefact("manifest", **nodes))[-1].locator == "/nodes/model.c~11/depends_on/nodes/0"


def test_what_is_no_dbt_artefact_or_holds_nothing_is_said(path):
    with pytest.raises(InputError, match="a dbt catalog holds neither events nor dependencies"):
        read(path, "dbt", artefact("catalog", nodes={}))
    for content in ({}, [], {"metadata": 1}, {"metadata": {"dbt_schema_version": 7}}):
        with pytest.raises(InputError, match="no dbt artefact"):
            read(path, "dbt", content)
    with pytest.raises(InputError, match="expected a list under results"):
        read(path, "dbt", artefact("run-results", results={}))


# MLflow


@pytest.fixture
def database(path):
    """A file as an old MLflow (1.x) made it: without names of runs, aliases, workspaces, NaN and steps."""
    with sqlite3.connect(path) as connection:
        connection.executescript(f"""
            CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE runs (run_uuid TEXT, user_id TEXT, status TEXT, start_time BIGINT, end_time BIGINT,
                               lifecycle_stage TEXT, experiment_id INTEGER);
            CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT);
            CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
            CREATE TABLE registered_models (name TEXT);
            CREATE TABLE model_versions (name TEXT, version INTEGER, creation_time BIGINT, last_updated_time BIGINT,
                                         current_stage TEXT, run_id TEXT, status TEXT);
            INSERT INTO experiments VALUES (1, 'fraud');
            INSERT INTO runs VALUES ('b', 'kim', 'RUNNING', {T}000, NULL, 'active', 1),
                                    ('a', NULL, 'FAILED', {T}001, {T}002, 'deleted', 1);
            INSERT INTO metrics VALUES ('auc', 0.5, {T}004, 'b'), ('auc', 1, {T}003, 'b'), ('auc', 1, {T}003, 'lost');
            INSERT INTO tags VALUES ('mlflow.runName', 'second', 'b');
            INSERT INTO model_versions VALUES ('card', 1, {T}000, {T}000, 'None', 'b', 'READY'),
                                              ('card', 2, {T}000, {T}009, 'Deleted_Internal', NULL, 'READY');
        """)
    connection.close()
    return path


def test_an_mlflow_file_of_an_old_version_is_read_as_far_as_it_goes(database):
    items = read(database, "mlflow")
    (lost,) = [item for item in items if isinstance(item, Reject)]
    assert lost.reason == "a value of a run that is not in the file"
    items = [item for item in items if item is not lost]
    first, second, *versions = kept(items)
    assert (first["ref"], first["severity"], first["attributes"]["lifecycle"]) == ("a", "error", "deleted")
    assert (second["ref"], second["message"], second["actor"]) == ("b", "run second: RUNNING", "kim")
    assert second["time"].ns == T * 10**9 and second["time_end"].ns is None
    values = [(fields["time"].ns - T * 10**9, fields["system"], fields["value"]) for fields in kept(items, "metrics")]
    assert values == [(3_000_000, "fraud", 1.0), (4_000_000, "fraud", 0.5)]
    assert [(fields["ref"], fields["message"].split()[-1], fields["time"].ns - T * 10**9) for fields in versions] == [
        ("card/1", "registered", 0), ("card/2", "registered", 0), ("card/2", "deleted", 9_000_000),
    ]  # fmt: skip
    assert kept(items, "dependencies") == [
        {"cause": "fraud", "effect": "card", "cause_kind": "job", "effect_kind": "model"}
    ]


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_an_mlflow_file_with_a_journal_beside_it_is_refused(database, ending):
    beside = database.with_name(database.name + ending)
    beside.touch()
    assert read(database, "mlflow")
    beside.write_bytes(b"x")
    with pytest.raises(InputError, match="holds part of its content"):
        read(database, "mlflow")


def test_a_sqlite_file_that_is_not_of_mlflow_or_is_damaged_is_said(path, database):
    data = database.read_bytes()
    path.with_name("cut").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="not readable as a SQLite file"):
        read(path.with_name("cut"), "mlflow")
    other = path.with_name("other.db")
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE runs (a)")
        connection.execute("CREATE VIEW metrics AS SELECT 1")
    connection.close()
    with pytest.raises(InputError, match="it has no table experiments, metrics"):
        read(other, "mlflow")
    quoting = path.with_name("quoting.db")
    quoting.write_bytes(
        data.replace(b"tablerunsruns", b"table\xcc\xccnsruns").replace(b"CREATE TABLE runs (", b"CREATE TABLE runs )")
    )
    with pytest.raises(InputError, match="not readable as a SQLite file"):
        read(quoting, "mlflow")


def test_a_virtual_table_of_a_sqlite_file_is_not_run(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE experiments (a)")
        connection.execute("CREATE TABLE metrics (a)")
        connection.execute("CREATE VIRTUAL TABLE runs USING fts5(run_uuid)")
    connection.close()
    with pytest.raises(InputError, match="it has no table runs"):
        read(path, "mlflow")


def answers(*pairs):
    return "\n".join(
        json.dumps({"request": {"path": f"/api/2.0/mlflow/{path}"} | more, "response": body})
        for path, more, body in pairs
    )


def test_saved_mlflow_answers_are_read_whatever_the_order_of_their_lines(path):
    run = {
        "info": {"run_id": "a", "experiment_id": "1", "status": "FINISHED", "start_time": T * 1000, "end_time": T * 1000 + 5,
                 "lifecycle_stage": "active", "run_name": "first", "user_id": "kim"},
        "data": {"params": [{"key": "lr", "value": "0.1"}], "metrics": [{"key": "auc", "value": 0.5, "timestamp": T * 1000, "step": 0}]},
        "inputs": {"dataset_inputs": [{"dataset": {"name": name, "digest": "d"}} for name in ("fraud", "transactions")]},
    }  # fmt: skip
    lines = [
        ("metrics/get-history", {"run_id": "a", "metric_key": "auc"}, {"metrics": [
            {"key": "auc", "value": "NaN", "timestamp": T * 1000 + 1, "step": 9},
            {"key": "auc", "value": 0.5, "timestamp": T * 1000 + 1, "step": 8},
        ]}),
        ("registered-models/search", {}, {"registered_models": [{"name": "card", "aliases": [{"alias": "champion", "version": "10"}]}]}),
        ("model-versions/search", {}, {"model_versions": [
            {"name": "card", "version": "10", "creation_timestamp": T * 1000 + 7, "last_updated_timestamp": T * 1000 + 7, "run_id": "a"},
            {"name": "card", "version": "9", "creation_timestamp": T * 1000, "last_updated_timestamp": T * 1000},
        ]}),
        ("runs/search", {}, {"runs": [run, {"info": {}}]}),
        ("experiments/search", {}, {"experiments": [{"experiment_id": "1", "name": "fraud"}]}),
    ]  # fmt: skip
    items = read(path, "mlflow", answers(*lines) + "\nno answer\n{}\n")
    assert [item.locator for item in items if isinstance(item, Reject)] == ["line 6", "line 7", "answer"]
    items = [item for item in items if not isinstance(item, Reject)]
    assert [fields["value"] for fields in kept(items, "metrics")] == [0.5, None]
    assert [fields["ref"] for fields in kept(items)] == ["a", "card/9", "card/10", "card/10"]
    edges = [(fields["cause"], fields["effect"]) for fields in kept(items, "dependencies")]
    assert edges == [("transactions", "fraud"), ("fraud", "card")]
    alias = kept(items)[-1]
    assert alias["time"].ns is None and alias["time_earliest"].ns == T * 10**9 + 7_000_000
    assert [item.position for item in items] == sorted(item.position for item in items)


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "http://name:secret@example.org", "http://name@example.org", "example.org", "http://h?x=1"],
)
def test_mlflow_is_pulled_from_plain_http_addresses_only(url, tmp_path):
    with pytest.raises(InputError, match="wanted an address") as caught:
        mlflow.pull(url, into=tmp_path)
    assert "secret" not in str(caught.value)


# Airflow


def test_an_airflow_run_is_timed_by_its_start_and_not_by_its_logical_date(path):
    run = {
        "dag_id": "features", "dag_run_id": "scheduled__2025-11-17", "logical_date": "2025-11-17T00:00:00+00:00",
        "start_date": "2025-11-18T11:20:00.5+00:00", "end_date": "2025-11-18T11:21:00+00:00", "state": "failed",
        "run_type": "scheduled", "conf": {},
    }  # fmt: skip
    waiting = run | {
        "dag_run_id": "manual",
        "start_date": None,
        "end_date": None,
        "state": "queued",
        "queued_at": "2025-11-18T11:00:00Z",
    }
    items = read(path, "airflow", {"dag_runs": [run, waiting, {"dag_id": "features"}], "total_entries": 3})
    assert isinstance(items[2], Reject) and items[2].locator == "/dag_runs/2"
    ran, queued = (item.fields for item in items[:2])
    assert (ran["time"].ns, ran["time_end"].ns) == (T * 10**9 + 500_000_000, (T + 60) * 10**9)
    assert (ran["system"], ran["severity"], ran["kind"]) == ("features", "error", "data_load")
    assert ran["attributes"]["logical_date"] == "2025-11-17T00:00:00+00:00"
    assert queued["time"].ns is None and queued["time_earliest"].ns == (T - 1200) * 10**9


def test_tries_starts_and_mapped_airflow_tasks_are_events_of_their_own_but_states_of_one_start_are_not(path):
    task = {
        "dag_id": "features", "task_id": "load", "dag_run_id": "r1", "map_index": -1, "try_number": 1, "state": "up_for_retry",
        "start_date": "2025-11-18T11:20:00Z", "end_date": None, "hostname": "w1",
    }  # fmt: skip
    changes = [
        {},
        {"try_number": 2},
        {"state": "success"},
        {"map_index": 0},
        {"map_index": 1},
        {"start_date": "2025-11-18T11:25:00Z"},
    ]
    items = read(path, "airflow", {"task_instances": [task | change for change in changes]})
    assert items[0].native_id == items[2].native_id
    assert len({item.native_id for item in items}) == len(changes) - 1
    assert items[0].fields["system"] == "features.load" and items[0].fields["severity"] == "warning"
    assert "[1]" in items[4].fields["message"] and "[-1]" not in items[0].fields["message"]


def test_what_people_did_in_airflow_is_an_audit_event(path):
    log = {"event_logs": [
        {"event_log_id": 7, "when": "2025-11-18T11:20:00Z", "dag_id": "features", "task_id": None, "event": "clear", "owner": "kim",
         "extra": "{}"},
    ]}  # fmt: skip
    (fields,) = kept(read(path, "airflow", log))
    assert (fields["kind"], fields["actor"], fields["message"]) == ("audit", "kim", "clear features")


def test_rows_of_airflows_database_need_a_zone_where_they_name_none(path):
    header = ["dag_id", "run_id", "task_id", "map_index", "state", "start_date", "end_date", "try_number"]
    postgres = ["features", "r1", "load", "-1", "success", "2025-11-18 11:20:00.25+00", "2025-11-18 11:21:00+00", "1"]
    mysql = ["features", "r2", "load", "-1", "failed", "2025-11-18 12:20:00", "", "1"]
    text = table(header, postgres, mysql, ["too", "few"])
    first, second, third = read(path, "airflow", text)
    assert first.fields["time"].ns == T * 10**9 + 250_000_000
    assert "no time zone" in second.reason and third.position == 3
    _, second, _ = read(path, "airflow", text, time={"zone": "Europe/Berlin"})
    assert second.fields["time"].ns == T * 10**9 and second.fields["time_end"].ns is None


# Weights & Biases, Neptune


def test_wandb_runs_are_read_from_the_api_and_from_the_table(path):
    run = {
        "id": "1jx1ud12", "name": "jolly-haze-4", "state": "crashed", "created_at": "2025-11-18T11:20:00Z",
        "heartbeat_at": "2025-11-18T11:40:00Z", "user": {"username": "kim"}, "project": "fraud", "config": {"lr": 0.1},
        "summary": {"auc": 0.5, "_timestamp": T + 9.5},
    }  # fmt: skip
    (fields,) = kept(read(path, "wandb", [run]))
    assert (fields["time"].ns, fields["system"], fields["actor"], fields["ref"]) == (
        T * 10**9,
        "fraud",
        "kim",
        "1jx1ud12",
    )
    assert fields["severity"] == "error" and fields["attributes"]["config"] == {"lr": 0.1} and "time_end" not in fields
    header = ["Name", "State", "Notes", "User", "Tags", "Created", "Runtime", "Sweep", "lr", "auc"]
    text = table(
        header, ["jolly-haze-4", "finished", "", "kim", "", "2025-11-18T11:20:00.000Z", "1200", "", "0.1", "0.5"]
    )
    (fields,) = kept(read(path, "wandb", text))
    assert (fields["time"].ns, fields["actor"], fields["severity"]) == (T * 10**9, "kim", "info")
    assert fields["attributes"]["auc"] == "0.5" and "Notes" not in fields["attributes"]
    (reject,) = read(path, "wandb", [run | {"created_at": "2025-11-18T11:20:00"}])
    assert "no time zone" in reject.reason


def test_a_wandb_history_becomes_metrics_of_the_system_that_the_source_names(path):
    rows = [
        {
            "_step": 0,
            "_runtime": 1.5,
            "_timestamp": T + 0.25,
            "loss": 2,
            "note": "x",
            "ok": True,
            "hist": {"bins": [1]},
        },
        {"_step": 1, "_runtime": 2.5, "_timestamp": T + 1, "loss": 0.5, "auc": None},
    ]
    text = "\n".join(map(json.dumps, rows))
    assert all("name its run" in item.reason for item in read(path, "wandb", text))
    found = kept(read(path, "wandb", text, constant={"system": "trainer"}), "metrics")
    assert [(fields["time"].ns, fields["system"], fields["metric"], fields["value"]) for fields in found] == [
        (T * 10**9 + 250_000_000, "trainer", "loss", 2), ((T + 1) * 10**9, "trainer", "loss", 0.5),
    ]  # fmt: skip
    text = table(["_step", "_runtime", "_timestamp", "loss"], ["0", "1.5", f"{T}.25", "2"])
    (fields,) = kept(read(path, "wandb", text, constant={"system": "trainer"}), "metrics")
    assert (fields["time"].ns, fields["value"]) == (T * 10**9 + 250_000_000, "2")


def test_a_neptune_run_is_read_and_an_edited_one_is_another_state(path):
    header = [
        "sys/id",
        "sys/name",
        "sys/creation_time",
        "sys/modification_time",
        "sys/owner",
        "sys/state",
        "sys/failed",
        "parameters/lr",
        "",
    ]
    row = [
        "FRAUD-12",
        "retrain",
        "2025-11-18 11:20:00.250000+00:00",
        "2025-11-18 12:00:00+00:00",
        "kim",
        "Inactive",
        "True",
        "0.1",
        "0",
    ]
    edited = [*row[:3], "2025-11-19 12:00:00+00:00", *row[4:]]
    first, second, third = read(path, "neptune", table(header, row, edited, ["", *row[1:]]))
    fields = first.fields
    assert (fields["time"].ns, fields["system"], fields["actor"]) == (T * 10**9 + 250_000_000, "FRAUD", "kim")
    assert (fields["ref"], fields["severity"], fields["kind"]) == ("FRAUD-12", "error", "training_run")
    assert fields["attributes"]["parameters/lr"] == "0.1" and "" not in fields["attributes"]
    assert first.raw != second.raw and second.fields["time"] == fields["time"] and third.reason == "has no sys/id"


# git: what real git cannot be made to write; tests/system/test_git.py has the rest


def test_a_git_log_that_is_cut_off_keeps_what_came_before(path):
    fields = [
        "a" * 40,
        "",
        "A",
        "a@b.example",
        "2025-11-18T12:20:00+01:00",
        "B",
        "b@b.example",
        "2025-11-18T11:20:00Z",
        "Subject\n",
    ]
    whole = "\0" + "\0".join(fields) + "\0\n"
    first, second = read(path, "gitlog", whole + whole[: len(whole) // 2])
    assert first.fields["time"].ns == T * 10**9 and first.fields["message"] == "Subject"
    assert isinstance(second, Reject) and "cut off" in second.reason


def test_what_is_no_git_log_is_said(path):
    with pytest.raises(InputError, match="line 1: expected 'commit' and a full hash, found 'a1b2c3d Subject'"):
        read(path, "gitlog", "a1b2c3d Subject\n")
    path.write_bytes(b"\0" + b"x" * (17 * 2**20))
    with pytest.raises(UnsafeInput, match="without a NUL"):
        read(path, "gitlog")


def test_a_commit_without_a_date_is_rejected(path):
    (reject,) = read(
        path, "gitlog", f"commit {'a' * 40}\nAuthor: A <a@b.example>\nCommit: B <b@b.example>\n\n    Subject\n"
    )
    assert reject.locator == "line 1" and "has no date" in reject.reason


# all of them

EXAMPLES = {
    "openlineage": run_event("FAIL", inputs=[dataset("raw")]),
    "dbt": artefact("run-results", results=[result("model.shop.clean", "success")]),
    "airflow": {
        "dag_runs": [{"dag_id": "d", "dag_run_id": "r", "state": "success", "start_date": "2025-11-18T11:20:00Z"}]
    },
    "wandb": {
        "id": "a",
        "name": "n",
        "state": "finished",
        "created_at": "2025-11-18T11:20:00Z",
        "config": {},
        "summary": {},
    },
    "mlflow": {"request": {"path": "/api/2.0/mlflow/experiments/search"}, "response": {"experiments": []}},
}
TEXTS = {
    "neptune": table(["sys/id", "sys/creation_time"], ["F-1", "2025-11-18T11:20:00Z"]),
    "gitlog": f"commit {'a' * 40}\nAuthor: A <a@b.example>\nDate:   Tue Nov 18 12:20:00 2025 +0100\n\n    Subject\n",
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_recognises_its_own_files_and_no_other(name):
    heads = {
        key: Head("export", json.dumps(content), json.dumps(content).encode(), content)
        for key, content in EXAMPLES.items()
    }
    heads["neptune"] = Head(
        "export", TEXTS["neptune"], TEXTS["neptune"].encode(), names=("sys/id", "sys/creation_time")
    )
    heads["gitlog"] = Head("export", TEXTS["gitlog"], TEXTS["gitlog"].encode())
    heads["empty"], heads["list"], heads["other"] = (
        Head("e", ""),
        Head("l", "[]", document=[]),
        Head("o", "{}", document={"runs": [1]}),
    )
    assert [key for key, head in heads.items() if FORMATS[name].recognise(head)] == [name]


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_file_is_said_as_such(name, tmp_path):
    with pytest.raises(MissingFile):
        read(tmp_path / "nowhere", name)


@st.composite
def mutated(draw):
    """An export in which pieces were cut out, doubled or overwritten."""
    name = draw(st.sampled_from(sorted(FORMATS)))
    data = bytearray((TEXTS.get(name) or json.dumps(EXAMPLES[name])).encode())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 12))
        piece = draw(
            st.binary(max_size=6)
            | st.sampled_from([b"null", b"[", b"{}", b'""', b"1e999", b"-1", b"\0", b"\n", bytes(data[at : at + 40])])
        )
        data[at : at + length] = piece
    return name, bytes(data)


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_damaged_exports_end_in_rows_in_rejects_or_in_one_message(tmp_path_factory, case):
    name, data = case
    path = tmp_path_factory.mktemp("mutated") / "export"
    path.write_bytes(data)
    try:
        items = read(path, name)
    except InputError as error:
        assert str(error)
    else:
        positions = [item.position for item in items]
        assert positions == sorted(positions)
        assert all(item.reason for item in items if isinstance(item, Reject))

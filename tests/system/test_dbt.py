"""A tiny dbt project, run by real dbt on DuckDB; its artefacts are read back."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from rca.incident.model import Source
from rca.sources.formats import dbt
from rca.sources.items import Head, Reject

pytestmark = pytest.mark.system
SOURCE = Source(id="warehouse", file="x", reader="dbt")
FILES = {
    "dbt_project.yml": "name: shop\nversion: '1.0'\nprofile: shop\nmodel-paths: [models]\nseed-paths: [seeds]\n",
    "profiles.yml": "shop:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: shop.duckdb, threads: 1}\n",
    "seeds/payments.csv": "id,amount,loaded_at\n1,10,2025-11-18 11:00:00\n2,,2025-11-18 11:20:00\n",
    "models/clean.sql": "select * from {{ ref('payments') }} where amount is not null",
    "models/features.sql": "select id, no_such_column from {{ ref('clean') }}",
    "models/training_set.sql": "select * from {{ ref('features') }} join {{ ref('clean') }} using (id)",
    "models/schema.yml": """
version: 2
sources:
  - name: raw
    schema: main
    tables:
      - name: payments
        loaded_at_field: "loaded_at"
        freshness: {error_after: {count: 1, period: hour}}
models:
  - name: clean
    columns:
      - name: id
        data_tests: [unique, {accepted_values: {values: [7]}}]
exposures:
  - name: fraud_model
    type: ml
    owner: {name: Risk, email: risk@example.org}
    depends_on:
      - ref('training_set')
      - source('raw', 'payments')
""",
}
# parent -> child of the project above; tests are named by their kind only
GRAPH = {
    ("seed.shop.payments", "model.shop.clean"),
    ("model.shop.clean", "model.shop.features"),
    ("model.shop.clean", "model.shop.training_set"),
    ("model.shop.features", "model.shop.training_set"),
    ("model.shop.training_set", "exposure.shop.fraud_model"),
    ("source.shop.raw.payments", "exposure.shop.fraud_model"),
    ("model.shop.clean", "test.shop.unique_clean_id"),
    ("model.shop.clean", "test.shop.accepted_values_clean_id__7"),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Folder of the artefacts, and between which times they were made."""
    folder = tmp_path_factory.mktemp("shop")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    begin = pd.Timestamp.now("UTC").value
    assert call(folder, "build").returncode == 1  # a model fails on purpose
    end = pd.Timestamp.now("UTC").value
    call(folder, "source", "freshness")
    return folder / "target", begin, end


def call(folder, *command):
    environment = os.environ | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}
    start = "import sys; from dbt.cli.main import cli; cli()"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", start, *command, "--profiles-dir", "."],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done


def rows(path):
    found = list(dbt.FORMAT.read(path, SOURCE))
    assert found and not [item for item in found if isinstance(item, Reject)]
    return found


def short(node):
    """Return a node's id without the hash that dbt gives to tests."""
    return node.rpartition(".")[0] if node.startswith("test.") else node


def test_the_graph_of_the_manifest_is_the_one_that_was_written(project):
    edges = [(short(item.fields["cause"]), short(item.fields["effect"])) for item in rows(project[0] / "manifest.json")]
    assert set(edges) == GRAPH and len(edges) == len(GRAPH)


def test_each_node_ended_as_the_project_makes_it_end(project):
    events = [item.fields for item in rows(project[0] / "run_results.json") if item.table == "events"]
    assert {short(fields["system"]): (fields["kind"], fields["attributes"]["status"], fields["severity"]) for fields in events} == {
        "seed.shop.payments": ("data_load", "success", "info"),
        "model.shop.clean": ("data_load", "success", "info"),
        "test.shop.unique_clean_id": ("audit", "pass", "info"),
        "test.shop.accepted_values_clean_id__7": ("audit", "fail", "error"),
        "model.shop.features": ("data_load", "skipped", "warning"),
        "model.shop.training_set": ("data_load", "skipped", "warning"),
    }  # fmt: skip


def test_a_failing_model_carries_the_message_of_the_database(project):
    folder = project[0].parent
    assert call(folder, "run", "--target-path", "second").returncode == 1
    events = {
        item.fields["system"]: item.fields
        for item in rows(folder / "second" / "run_results.json")
        if item.table == "events"
    }
    failed = events["model.shop.features"]
    assert failed["severity"] == "error" and "no_such_column" in failed["message"]
    assert events["model.shop.training_set"]["attributes"]["status"] == "skipped"


def test_times_lie_within_the_run_and_skipped_nodes_are_undated(project):
    target, begin, end = project
    for item in rows(target / "run_results.json"):
        fields = item.fields
        if item.table == "metrics":
            assert begin <= fields["time"].ns <= end
        elif fields["attributes"]["status"] == "skipped":
            assert begin <= fields["time_latest"].ns <= end
        else:
            assert begin <= fields["time"].ns <= fields["time_end"].ns <= end


def test_metrics_are_the_seconds_that_dbt_measured_and_the_rows_that_failed(project):
    target, begin, end = project
    measured = {}
    for item in rows(target / "run_results.json"):
        if item.table == "metrics":
            measured[short(item.fields["system"]), item.fields["metric"]] = item.fields["value"]
    assert measured["test.shop.accepted_values_clean_id__7", "failures"] == 1
    assert measured["test.shop.unique_clean_id", "failures"] == 0
    assert 0 < measured["model.shop.clean", "execution_time"] < (end - begin) / 10**9


def test_stale_data_are_an_audit_event_with_their_age(project):
    found = rows(project[0] / "sources.json")
    (event,) = [item.fields for item in found if item.table == "events"]
    (age,) = [item.fields for item in found if item.table == "metrics"]
    assert (event["system"], event["kind"], event["severity"]) == ("source.shop.raw.payments", "audit", "error")
    loaded = pd.Timestamp(event["attributes"]["max_loaded_at"])
    assert loaded == pd.Timestamp("2025-11-18T11:20:00Z")
    assert age["value"] == pytest.approx((event["time"].ns - loaded.value) / 10**9, abs=1)


def test_the_artefacts_are_recognised(project):
    for name in ("manifest.json", "run_results.json", "sources.json"):
        text = (project[0] / name).read_text(encoding="utf-8")
        assert dbt.recognise(Head(name, text[: 2**16], document=json.loads(text)))

"""A real MLflow server, written to by its own client; its SQLite file and its API are read back."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from rca.errors import InputError
from rca.incident.model import Source
from rca.sources.formats import mlflow
from rca.sources.items import Head, Reject

pytestmark = pytest.mark.system
SOURCE = Source(id="registry", file="x", reader="mlflow")

# Runs in a process of its own, and prints what the client says is on the server.
CLIENT = """
import json, math, sys
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag, ViewType

client = MlflowClient(sys.argv[1])
fraud = client.create_experiment("fraud training")
gone = client.create_experiment("given up")

def run(experiment, name, start, params=(), values=(), status="FINISHED", end=None):
    made = client.create_run(experiment, start_time=start, run_name=name, tags={"team": "risk \u00e9"})
    client.log_batch(
        made.info.run_id,
        metrics=[Metric(*value) for value in values],
        params=[Param(*pair) for pair in params],
        tags=[RunTag("mlflow.source.git.commit", "0a1b2c")],
    )
    if end:
        client.set_terminated(made.info.run_id, status, end)
    return made.info.run_id

# one millisecond for several steps, a NaN, an infinite value, whole numbers
values = [("auc", 0.5 + step / 8192, 1763464800000 + step // 3, step) for step in range(2500)]
values += [("loss", math.nan, 1763464800500, 0), ("loss", math.inf, 1763464800600, 1), ("loss", 2, 1763464800700, 2)]
first = client.create_run(fraud, start_time=1763464800000, run_name="retrain 1").info.run_id
for at in range(0, len(values), 1000):
    client.log_batch(first, metrics=[Metric(*value) for value in values[at : at + 1000]])
client.log_param(first, "lr", 0.1)
client.log_inputs(first, datasets=[DatasetInput(Dataset("transactions", "d1g35t", "local", "{}"))])
client.set_terminated(first, "FINISHED", 1763465400000)
failed = run(fraud, "retrain 2", 1763466000000, [("lr", "0.2")], [("auc", 0.4, 1763466001000, 0)], "FAILED", 1763466060000)
running = run(fraud, "retrain 3", 1763467000000)
deleted = run(fraud, "mistake", 1763468000000, (), [("auc", 0.1, 1763468001000, 0)], "KILLED", 1763468060000)
client.delete_run(deleted)
old = run(gone, "old", 1763400000000, (), [("auc", 0.2, 1763400001000, 0)], "FINISHED", 1763400060000)
client.delete_experiment(gone)

client.create_registered_model("fraud")
for run_id in (first, failed):
    client.create_model_version("fraud", "runs:/" + run_id + "/model", run_id)
client.set_model_version_tag("fraud", "1", "validated", "yes")
client.set_registered_model_alias("fraud", "champion", "1")
client.set_registered_model_alias("fraud", "champion", "2")
client.update_model_version("fraud", "2", "after the incident")

runs = client.search_runs([fraud, gone], run_view_type=ViewType.ALL)
history = {
    item.info.run_id: {key: [[m.timestamp, m.step, str(m.value)] for m in client.get_metric_history(item.info.run_id, key)]
                       for key in item.data.metrics}
    for item in runs
}
print(json.dumps({
    "named": {"first": first, "failed": failed, "running": running, "deleted": deleted, "old": old},
    "runs": [dict(item.info) | {"params": item.data.params, "tags": item.data.tags} for item in runs],
    "history": history,
    "versions": [dict(item) for item in client.search_model_versions("name = 'fraud'")],
    "champion": client.get_model_version_by_alias("fraud", "champion").version,
}, default=str))
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address, SQLite file, and what the client says, of a server that was written to."""
    folder = tmp_path_factory.mktemp("mlflow")
    database, port = folder / "mlflow.db", free_port()
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{database}",
        "--default-artifact-root", str(folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, env=environment, start_new_session=True
        )
    try:
        wait_for(url + "/health", process, folder / "log")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", CLIENT, url],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said = json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"named"')))
        yield url, database, said
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def wait_for(url, process, log):
    for _ in range(240):
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def rows(path):
    found = list(mlflow.FORMAT.read(path, SOURCE))
    assert not [item for item in found if isinstance(item, Reject)]
    return found


@pytest.fixture(scope="module")
def from_file(server):
    return rows(server[1])


@pytest.fixture(scope="module")
def pulled(server, tmp_path_factory):
    return mlflow.pull(server[0], into=tmp_path_factory.mktemp("pulled"))


def table(items, name):
    return [item for item in items if item.table == name]


def test_the_file_and_the_api_give_equal_rows(from_file, pulled):
    assert rows(pulled) == from_file


def test_what_is_pulled_is_recognised_and_so_is_the_file(server, pulled):
    data = server[1].read_bytes()[: 2**16]
    assert mlflow.recognise(Head("any.name", data.decode("utf-8", "replace"), data))
    first = json.loads(pulled.read_text().splitlines()[0])
    assert mlflow.recognise(Head(pulled.name, "", document=first))


def test_every_run_is_there_as_the_client_says(server, from_file):
    runs = {item.fields["ref"]: item for item in table(from_file, "events") if item.fields["kind"] == "training_run"}
    assert set(runs) == {info["run_id"] for info in server[2]["runs"]} and len(runs) == 5
    for info in server[2]["runs"]:
        fields = runs[info["run_id"]].fields
        attributes = fields["attributes"]
        assert fields["time"].ns == info["start_time"] * 10**6
        assert fields["time_end"].ns == (None if info["end_time"] is None else info["end_time"] * 10**6)
        assert (attributes["status"], attributes["lifecycle"]) == (info["status"], info["lifecycle_stage"])
        assert attributes.get("params", {}) == info["params"] and attributes["tags"] == info["tags"]
        assert fields["actor"] == info["user_id"]


def test_status_gives_the_severity_and_deleted_runs_stay(server, from_file):
    runs = {item.fields["ref"]: item.fields for item in table(from_file, "events")}
    named = {name: runs[run_id] for name, run_id in server[2]["named"].items()}
    assert {name: fields["severity"] for name, fields in named.items()} == {
        "first": "info", "failed": "error", "running": "info", "deleted": "warning", "old": "info",
    }  # fmt: skip
    assert named["deleted"]["attributes"]["lifecycle"] == "deleted"
    assert named["old"]["system"] == "given up" and named["first"]["system"] == "fraud training"
    assert named["failed"]["attributes"]["commit"] == "0a1b2c"


def test_metric_histories_are_those_of_the_client(server, from_file):
    read_back, said = {}, {}
    for item in table(from_file, "metrics"):
        raw = item.raw
        assert item.fields["time"].ns == raw["timestamp"] * 10**6 and item.fields["metric"] == raw["key"]
        value = "nan" if item.fields["value"] is None else str(item.fields["value"])
        read_back.setdefault((raw["run_id"], raw["key"]), []).append([raw["timestamp"], raw["step"], value])
    for run_id, metrics in server[2]["history"].items():
        said |= {(run_id, key): values for key, values in metrics.items()}
    assert read_back == said
    assert sum(map(len, said.values())) == 2506


def test_model_versions_and_aliases_are_those_of_the_client(server, from_file):
    versions = [item for item in table(from_file, "events") if item.fields["kind"] == "model_version"]
    created = {item.fields["ref"]: item.fields for item in versions if item.raw["record"] == "version created"}
    changed = {item.fields["ref"]: item.fields for item in versions if item.raw["record"] == "version changed"}
    tags = {item.fields["ref"]: item.fields for item in versions if item.raw["record"] == "version tags"}
    for said in server[2]["versions"]:
        fields = created[f"fraud/{said['version']}"]
        assert fields["time"].ns == said["creation_timestamp"] * 10**6
        assert fields["attributes"]["run_id"] == said["run_id"] and fields["attributes"]["source"] == said["source"]
        labelled = tags.get(fields["ref"], {"attributes": {"tags": {}}})
        assert labelled["attributes"]["tags"] == said["tags"]
    assert len(created) == 2
    two = next(said for said in server[2]["versions"] if str(said["version"]) == "2")
    assert changed["fraud/2"]["time"].ns == two["last_updated_timestamp"] * 10**6
    (alias,) = [item.fields for item in versions if item.raw["record"] == "alias"]
    assert alias["ref"] == f"fraud/{server[2]['champion']}" == "fraud/2"
    assert (
        tags["fraud/1"]["time"].ns is None
        and alias["time"].ns is None
        and alias["time_earliest"] == created["fraud/2"]["time"]
    )


def test_data_sets_lead_to_the_experiment_and_from_there_to_the_model(from_file):
    edges = {(item.fields["cause"], item.fields["effect"]) for item in table(from_file, "dependencies")}
    assert edges == {("transactions", "fraud training"), ("fraud training", "fraud")}


def test_no_two_events_are_made_of_one_record(from_file):
    records = [json.dumps(item.raw, sort_keys=True) for item in table(from_file, "events")]
    assert len(records) == len(set(records)) == 5 + 2 + 1 + 1 + 1


def test_reading_leaves_the_file_and_its_folder_as_they_were(server, tmp_path):
    copy = tmp_path / "copy.db"
    copy.write_bytes(server[1].read_bytes())
    before = hashlib.sha256(copy.read_bytes()).hexdigest()
    rows(copy)
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == before
    assert [path.name for path in tmp_path.iterdir()] == ["copy.db"]


def test_an_address_where_nobody_answers_is_said(tmp_path):
    with pytest.raises(InputError, match="no answer"):
        mlflow.pull(f"http://127.0.0.1:{free_port()}", into=tmp_path)
    assert not list(tmp_path.iterdir())

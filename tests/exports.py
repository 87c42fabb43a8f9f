"""A small valid export of every format that `rca` reads, written from the documented formats.

Each is made of records and of a way to write some of them as a file, so that a test can split it into pieces that are
valid by themselves. Records without an id of their own that stand next to each other and are equal happened as often
as they stand there (`Export.happened`).
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rca.conclusions import Analysis
from rca.incident import Incident
from rca.incident.model import IncidentFile

T = 1_763_464_800  # 2025-11-18T11:20:00Z


@dataclass(frozen=True)
class Export:
    """One file of a format, as records and as what writes them.

    Attributes
    ----------
    reader : str
        Name of the format.
    file : str
        Name of the file; ``{}`` stands for a number that means nothing.
    records : sequence
        What the file holds, in order.
    write : callable
        Content of a file of some of the records.
    source : dict
        What ``incident.yaml`` has to say besides id, file and reader.
    happened : int
        The largest `count` of an event.
    """

    reader: str
    file: str
    records: Sequence[Any]
    write: Callable[[Sequence[Any]], bytes]
    source: dict[str, Any] = field(default_factory=dict)
    happened: int = 1

    @property
    def name(self) -> str:
        """What tells it from the others, such as ``splunk-search.csv``; also the id of its source."""
        return f"{self.reader}-{self.file.partition('{')[0]}.{self.file.rpartition('.')[2]}"

    def put(self, folder: Path, number: int = 1, begin: int = 0, end: int | None = None) -> Path:
        """Write the records from `begin` until before `end` into its own folder in `folder`."""
        path = folder / self.name / self.file.format(number)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self.write(self.records[begin:end]))
        return path

    def declared(self, *numbers: int) -> dict[str, Any]:
        """Return the entry of ``incident.yaml`` for the files of these numbers."""
        files = [f"{self.name}/{self.file.format(number)}" for number in numbers or (1,)]
        return {"id": self.name, "file": files, "reader": self.reader, **self.source}


def incident(folder: Path, *declared: dict[str, Any]) -> Incident:
    """Return an incident in a folder with some sources; its systems are those that edges of the exports name."""
    file = {
        "id": "x", "title": "t", "kind": "outage", "severity_tier": "SEV1", "severity_confirmed_by": "role",
        "as_of": "2025-11-19T00:00Z", "sources": list(declared),
        "systems": [{"id": name} for name in ("web", "pg/raw", *(node for pair in NODES for node in pair))],
    }  # fmt: skip
    return Incident(folder, IncidentFile.model_validate(file), Analysis(), {}, ())


def minute(number: int, form: str = "2025-11-18T11:{:02}:00Z") -> str:
    """Return a time of the incident, `number` minutes after 11:20 UTC."""
    return form.format(20 + number)


# Ways to write records


def text(records: Sequence[Any]) -> bytes:
    """Lines of text."""
    return "".join(f"{line}\n" for line in records).encode()


def lines(records: Sequence[Any]) -> bytes:
    """One JSON object a line."""
    return text([json.dumps(record) for record in records])


def listed(*keys: str, **more: Any) -> Callable[[Sequence[Any]], bytes]:
    """A JSON list, below `keys`."""

    def write(records: Sequence[Any]) -> bytes:
        content: Any = list(records)
        for key in reversed(keys):
            content = {key: content}
        return json.dumps({**more, **content} if more else content).encode()

    return write


def headed(header: str) -> Callable[[Sequence[Any]], bytes]:
    """Lines of text below a header."""
    return lambda records: text([header, *records])


def table(records: Sequence[dict[str, Any]]) -> bytes:
    """CSV of records that have the same fields."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue().encode()


def parquet(records: Sequence[dict[str, Any]]) -> bytes:
    """Parquet."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(records)), out)
    return out.getvalue()


# Plain files

PLAIN = [{"time": minute(n), "service": "web", "level": "error", "note": f"failed {n}"} for n in (0, 1, 1, 1, 2, 3)]
MAPPED = {
    "columns": {"system": "service", "severity": "level", "message": "note"},
    "constant": {"kind": "log"},
}

# Logs

ACCESS = [f'10.0.0.{n} - - [18/Nov/2025:12:{20 + n}:00 +0100] "GET /pay?id=7 HTTP/1.1" 50{n} 23 "-" "curl/8"'
          for n in (0, 1, 1, 1, 2, 3)]  # fmt: skip
CRI = [f"{minute(n)} stderr F failed {n}" for n in (0, 1, 1, 1, 2, 3)]
DOCKER = [{"log": f"failed {n}\n", "stream": "stderr", "time": minute(n)} for n in (0, 1, 1, 1, 2, 3)]
JSONLOG = [
    {"time": minute(n), "level": "error", "msg": f"failed {n}", "service": "web", "user": {"id": n}}
    for n in (0, 1, 1, 1, 2, 3)
]
POSTGRES = [f"2025-11-18 11:2{n}:00.123 UTC [4711] app@shop ERROR:  no relation x{n}\n\tat character 15"
            for n in (0, 1, 1, 1, 2, 3)]  # fmt: skip
SYSLOG = [f"<34>Nov 18 12:2{n}:00 web1 su[231]: 'su root' failed {n}" for n in (0, 1, 1, 1)] + [
    f'<165>1 {minute(n)} web1 evntslog 17 ID47 [id@32473 iut="3"] failed {n}' for n in (4, 5)
]
CLOUDTRAIL = [
    {
        "eventVersion": "1.08",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/alice", "userName": "alice"},
        "eventTime": minute(n), "eventSource": "ec2.amazonaws.com", "eventName": "StopInstances",
        "awsRegion": "eu-central-1", "requestID": f"r-{n}", "eventID": f"e-{n}", "readOnly": False,
        "eventType": "AwsApiCall", "managementEvent": True,
    }
    for n in range(5)
]  # fmt: skip
GCP = [
    {
        "insertId": f"i{n}", "logName": "projects/p/logs/run.googleapis.com%2Fstderr", "severity": "ERROR",
        "resource": {"type": "cloud_run_revision", "labels": {"service_name": "shop"}},
        "timestamp": minute(n, "2025-11-18T11:{}:00.123456789Z"), "receiveTimestamp": minute(n + 1),
        "jsonPayload": {"message": f"failed {n}", "code": n}, "trace": "projects/p/traces/4bf9",
    }
    for n in range(5)
]  # fmt: skip
SPLUNK = [
    {
        "_time": minute(n), "_raw": f"level=error failed {n}", "host": "web1", "source": "/var/log/x",
        "sourcetype": "app", "log_level": "ERROR", "_bkt": "main~1~G", "_cd": f"1:{n}",
    }
    for n in range(5)
]  # fmt: skip
ELASTIC = [
    {"_index": "logs", "_id": f"a{n}", "_score": 1.0, "_source": {
        "@timestamp": minute(n), "message": f"failed {n}", "log": {"level": "error"}, "service": {"name": "pay"}}}
    for n in range(5)
]  # fmt: skip


def searched(records: Sequence[Any]) -> bytes:
    """An answer of Elasticsearch."""
    hits = {"total": {"value": len(records), "relation": "eq"}, "max_score": 1.0, "hits": list(records)}
    return json.dumps({"took": 3, "timed_out": False, "_shards": {"total": 1}, "hits": hits}).encode()


# Monitoring

ALERTS = [
    {
        "status": status, "labels": {"alertname": "Lag", "service": "web", "severity": "critical"},
        "annotations": {"summary": f"lag {n}"}, "startsAt": minute(n), "generatorURL": "http://p/graph",
        "endsAt": minute(n + 9) if status == "resolved" else "0001-01-01T00:00:00Z", "fingerprint": f"ab{n}",
    }
    for n, status in ((0, "firing"), (1, "firing"), (1, "resolved"), (2, "resolved"))
]  # fmt: skip
ANNOTATIONS = [
    {
        "id": n, "alertId": 0, "dashboardId": 468, "dashboardUID": "uGlb_lG7z", "panelId": 2, "userId": 1,
        "login": "ada", "newState": "", "prevState": "", "time": (T + 60 * n) * 1000, "timeEnd": (T + 90 * n) * 1000,
        "text": f"release {n}", "tags": ["deploy", "service:cart"], "data": {},
    }
    for n in range(5)
]  # fmt: skip
CLUSTER = [
    {
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": f"web.{n}", "namespace": "shop", "uid": f"u{n}", "creationTimestamp": minute(n)},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": f"web-7d9f-x{n}x", "uid": "p1"},
        "reason": "BackOff", "message": "Back-off restarting failed container", "type": "Warning", "eventTime": None,
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": minute(n), "lastTimestamp": minute(n + 9), "count": n + 3,
    }
    for n in range(5)
]  # fmt: skip


def telemetry(n: int) -> list[dict[str, Any]]:
    """Three lines of an OpenTelemetry collector: a log record, a span, a point of each of two metrics."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]}
    at, scope = str((T + 60 * n) * 10**9 + 123456789), {"name": "lib"}
    trace = {"traceId": f"{n + 1:032x}", "spanId": f"{n + 1:016x}"}
    log = {
        "timeUnixNano": at, "severityNumber": 17, "body": {"stringValue": f"failed {n}"}, **trace,
        "attributes": [{"key": "http.status", "value": {"intValue": "500"}}],
    }  # fmt: skip
    span = {
        **trace, "parentSpanId": "", "name": "charge", "kind": 2, "startTimeUnixNano": at, "endTimeUnixNano": at,
        "status": {"code": 2}, "events": [{"timeUnixNano": at, "name": "exception", "attributes": []}],
    }  # fmt: skip
    points = [
        {"name": "mem", "gauge": {"dataPoints": [{"timeUnixNano": at, "asDouble": 1.5}]}},
        {"name": "lag", "histogram": {"dataPoints": [
            {"timeUnixNano": at, "count": "4", "sum": 10.0, "bucketCounts": ["1", "3"], "explicitBounds": [1]}]}},
    ]  # fmt: skip
    return [
        {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": [log]}]}]},
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": [span]}]}]},
        {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"scope": scope, "metrics": points}]}]},
    ]


def matrix(records: Sequence[Any]) -> bytes:
    """An answer of Prometheus with one series."""
    found = {"metric": {"__name__": "lag", "service": "web", "zone": "b"}, "values": list(records)}
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [found]}}).encode()


# Pipelines

AIRFLOW = [
    {
        "dag_id": "features", "dag_run_id": f"scheduled__{n}", "logical_date": "2025-11-17T00:00:00+00:00",
        "start_date": minute(n), "end_date": minute(n + 1), "state": "failed", "run_type": "scheduled", "conf": {},
    }
    for n in range(5)
]  # fmt: skip
TASKS = [
    {
        "dag_id": "features", "run_id": f"r{n}", "task_id": "load", "map_index": "-1", "state": "success",
        "start_date": minute(n, "2025-11-18 11:{}:00.25+00"), "end_date": "", "try_number": "1",
    }
    for n in range(5)
]  # fmt: skip
METADATA = {
    "dbt_version": "1.9.0", "generated_at": minute(30), "invocation_id": "inv-1", "env": {},
    "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json",
}  # fmt: skip
RESULTS = [
    {
        "unique_id": f"model.shop.m{n}", "status": "success", "execution_time": 2.25, "message": "OK", "failures": None,
        "timing": [{"name": "execute", "started_at": minute(n), "completed_at": minute(n + 1)}],
        "adapter_response": {"rows_affected": 41}, "thread_id": "Thread-1",
    }
    for n in range(5)
]  # fmt: skip
NODES = [("seed.shop.a", "model.shop.b"), ("model.shop.b", "model.shop.c"), ("model.shop.c", "model.shop.d")]


def manifest(records: Sequence[Any]) -> bytes:
    """A manifest of dbt with some edges."""
    version = {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json"}
    nodes = {child: {"depends_on": {"macros": [], "nodes": [parent]}} for parent, child in records}
    parents = {child: [parent] for parent, child in records}
    return json.dumps({"metadata": METADATA | version, "nodes": nodes, "parent_map": parents}).encode()


LINEAGE = [
    {
        "eventType": state, "eventTime": minute(n), "run": {"runId": "0190-a", "facets": {}},
        "job": {"namespace": "shop", "name": "clean"}, "producer": "https://example.org/client",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
        "inputs": [{"namespace": "pg", "name": "raw"}],
        "outputs": [{"namespace": "pg", "name": "features", "outputFacets": {"outputStatistics": {"rowCount": n}}}],
    }
    for n, state in enumerate(("START", "RUNNING", "RUNNING", "COMPLETE"))
]  # fmt: skip
NEPTUNE = [
    {
        "sys/id": f"FRAUD-{n}", "sys/name": "retrain", "sys/creation_time": minute(n), "sys/owner": "kim",
        "sys/modification_time": minute(n + 9), "sys/state": "Inactive", "sys/failed": "True", "parameters/lr": "0.1",
    }
    for n in range(5)
]  # fmt: skip
WANDB = [
    {
        "id": f"1jx1ud1{n}", "name": f"jolly-haze-{n}", "state": "crashed", "created_at": minute(n),
        "heartbeat_at": minute(n + 9), "user": {"username": "kim"}, "project": "fraud", "config": {"lr": 0.1},
        "summary": {"auc": 0.5, "_timestamp": T + 9.5},
    }
    for n in range(5)
]  # fmt: skip
HISTORY = [{"_step": n, "_runtime": n + 0.5, "_timestamp": T + n + 0.25, "loss": 2.0 / (n + 1)} for n in range(6)]
COMMITS = [
    [f"{n:040x}", "", "Asha", "a@b.example", minute(n), "Bo", "b@b.example", minute(n + 1), f"Change {n}\n\nBecause\n"]
    for n in range(5)
]


def machine(records: Sequence[Any]) -> bytes:
    """``git log`` with NUL bytes between the fields, as the reader's docstring asks for it."""
    return "".join("\0" + "\0".join(fields) + "\0\n\nM\tsrc/a.py\n" for fields in records).encode()


def fuller(records: Sequence[Any]) -> bytes:
    """``git log --pretty=fuller --date=iso-strict``."""
    return "\n".join(
        f"commit {name}\nAuthor:     {author} <{mail}>\nAuthorDate: {written}\nCommit:     {other} <{his}>\n"
        f"CommitDate: {time}\n\n    {message.strip().replace(chr(10), chr(10) + '    ')}\n"
        for name, _, author, mail, written, other, his, time, message in records
    ).encode()


def runs_database(records: Sequence[int]) -> bytes:
    """The SQLite file of MLflow with some runs, their metrics and model versions."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("""
            CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE runs (run_uuid TEXT, name TEXT, user_id TEXT, status TEXT, start_time BIGINT, end_time BIGINT,
                               lifecycle_stage TEXT, experiment_id INTEGER);
            CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT, step BIGINT, is_nan BOOLEAN);
            CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
            CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
            CREATE TABLE registered_models (name TEXT);
            CREATE TABLE model_versions (name TEXT, version INTEGER, creation_time BIGINT, last_updated_time BIGINT,
                                         current_stage TEXT, run_id TEXT, status TEXT);
            CREATE TABLE registered_model_aliases (name TEXT, alias TEXT, version INTEGER);
            INSERT INTO experiments VALUES (1, 'fraud');
        """)
        for n in records:
            run, at = f"run{n}", (T + 60 * n) * 1000
            connection.execute(
                "INSERT INTO runs VALUES (?, 'r', 'kim', 'FINISHED', ?, ?, 'active', 1)", (run, at, at + 9)
            )
            connection.execute("INSERT INTO metrics VALUES ('auc', ?, ?, ?, 0, 0)", (n / 8, at, run))
            connection.execute("INSERT INTO params VALUES ('lr', '0.1', ?)", (run,))
            connection.execute("INSERT INTO tags VALUES ('mlflow.source.git.commit', 'c0ffee', ?)", (run,))
            connection.execute(
                "INSERT INTO model_versions VALUES ('card', ?, ?, ?, 'None', ?, 'READY')", (n, at, at, run)
            )
            connection.execute("INSERT INTO registered_model_aliases VALUES ('card', ?, ?)", (f"a{n}", n))
        connection.commit()
        return bytes(connection.serialize())


def runs_answers(records: Sequence[int]) -> bytes:
    """What ``mlflow.pull`` saves: requests and answers of the REST API."""
    infos = [
        {"info": {"run_id": f"run{n}", "experiment_id": "1", "status": "FINISHED", "start_time": (T + 60 * n) * 1000,
                  "end_time": (T + 61 * n) * 1000, "lifecycle_stage": "active", "run_name": "r", "user_id": "kim"},
         "data": {"params": [{"key": "lr", "value": "0.1"}],
                  "metrics": [{"key": "auc", "value": n / 8, "timestamp": (T + 60 * n) * 1000, "step": 0}]}}
        for n in records
    ]  # fmt: skip
    versions = [
        {"name": "card", "version": str(n), "creation_timestamp": (T + 60 * n) * 1000, "run_id": f"run{n}",
         "last_updated_timestamp": (T + 60 * n) * 1000}
        for n in records
    ]  # fmt: skip
    answers = [
        ("experiments/search", {}, {"experiments": [{"experiment_id": "1", "name": "fraud"}]}),
        ("runs/search", {}, {"runs": infos}),
        ("registered-models/search", {}, {"registered_models": [{"name": "card", "aliases": []}]}),
        ("model-versions/search", {}, {"model_versions": versions}),
        *(("metrics/get-history", {"run_id": f"run{n}", "metric_key": "auc"}, {"metrics": info["data"]["metrics"]})
          for n, info in zip(records, infos, strict=True)),
    ]  # fmt: skip
    return lines(
        [{"request": {"path": f"/api/2.0/mlflow/{path}", **more}, "response": body} for path, more, body in answers]
    )


# People

MESSAGES = [
    {"type": "message", "user": f"U{n}", "text": f"<@U1> see {n}", "ts": f"{T + 60 * n}.000{n}00"} for n in range(5)
]


def workspace(records: Sequence[Any]) -> bytes:
    """A Slack export of one channel's day."""
    out = io.BytesIO()
    members = {
        "users.json": [{"id": "U1", "name": "asha", "profile": {"real_name": "Asha Rao"}}],
        "channels.json": [{"id": "C9", "name": "general"}],
        "general/2025-11-18.json": list(records),
    }
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), json.dumps(content))
    return out.getvalue()


TEAMS = [
    {
        "id": f"{T + 60 * n}123", "createdDateTime": minute(n), "lastModifiedDateTime": minute(n),
        "from": {"application": None, "user": {"id": "u-1", "displayName": "Asha Rao"}},
        "body": {"contentType": "html", "content": f"<div>Rolled <b>back</b>&nbsp;{n}</div>"},
        "channelIdentity": {"teamId": "t", "channelId": "19:ops@thread"},
    }
    for n in range(5)
]  # fmt: skip
ENTRIES = [
    {
        "id": f"R{n}", "type": f"{kind}_log_entry", "summary": f"{kind} summary", "created_at": minute(n),
        "agent": {"id": "PU1", "type": "user_reference", "summary": "Asha Rao"}, "channel": {"type": "web_ui"},
        "service": {"id": "PS1", "type": "service_reference", "summary": "fraud-api"},
        "incident": {"id": "PI1", "type": "incident_reference", "summary": "[#7] errors", "urgency": "high"},
    }
    for n, kind in enumerate(("trigger", "notify", "acknowledge", "escalate", "resolve"))
]  # fmt: skip
OPSGENIE = [
    {
        "id": f"a-{n}", "tinyId": f"1{n}", "alias": "cpu", "message": "CPU high", "status": "closed", "count": 3,
        "acknowledged": True, "createdAt": minute(n), "updatedAt": minute(n + 9), "priority": "P1",
        "owner": "asha@x.test", "entity": "fraud-api", "report": {"ackTime": 60_001, "closeTime": 360_000},
    }
    for n in range(5)
]  # fmt: skip
JIRA = [
    {
        "id": f"1000{n}", "key": f"OPS-{n}",
        "fields": {
            "summary": "Fraud rises", "created": minute(n, "2025-11-18T12:{}:00.000+0100"), "updated": minute(n + 9),
            "priority": {"id": "1", "name": "Highest"}, "status": {"id": "3", "name": "In Progress"},
            "components": [{"name": "fraud-api"}], "reporter": {"displayName": "Asha Rao", "accountId": "a1"},
            "comment": {"total": 1, "comments": [
                {"id": f"50{n}", "author": {"displayName": "Bo"}, "created": minute(n + 2), "body": "rolled back"}]},
        },
        "changelog": {"total": 1, "histories": [{
            "id": f"90{n}", "author": {"displayName": "Bo"}, "created": minute(n + 1),
            "items": [{"field": "Status", "fieldId": "status", "from": "1", "fromString": "Open", "to": "3", "toString": "In Progress"}],
        }]},
    }
    for n in range(4)
]  # fmt: skip
SERVICENOW = [
    {
        "sys_id": f"s{n}", "number": f"INC001000{n}", "state": "7", "priority": "1", "short_description": "fraud up",
        "opened_at": minute(n, "2025-11-18 11:{}:00"), "sys_created_on": minute(n, "2025-11-18 11:{}:30"),
        "resolved_at": minute(n + 9, "2025-11-18 11:{}:00"), "closed_at": "", "opened_by": "asha",
    }
    for n in range(5)
]  # fmt: skip
DEPLOYMENTS = "https://api.github.com/repos/acme/fraud-api/deployments"
GITHUB = [
    {
        "id": n, "url": f"{DEPLOYMENTS}/42/statuses/{n}", "state": state, "environment": "production",
        "deployment_url": f"{DEPLOYMENTS}/42", "created_at": minute(n), "creator": {"login": "bot"},
    }
    for n, state in enumerate(("queued", "in_progress", "failure", "success"))
]  # fmt: skip
GITLAB = [
    {
        "id": n, "iid": n, "ref": "main", "sha": "c0ffee", "status": "success", "created_at": minute(n),
        "updated_at": minute(n + 9), "environment": {"name": "production"}, "user": {"name": "Asha Rao"},
        "deployable": {"id": 7, "name": "prod", "stage": "deploy", "finished_at": minute(n + 8), "pipeline": {
            "id": 3, "web_url": "https://gitlab.test/acme/fraud-api/-/pipelines/3"}},
    }
    for n in range(5)
]  # fmt: skip
PLASO = [
    {
        "__container_type__": "event", "__type__": "AttributeContainer", "data_type": "syslog:line",
        "parser": "text/syslog", "display_name": "OS:/log", "hostname": "web1", "message": f"failed {n}",
        "username": "-", "timestamp": (T + 60 * n) * 10**6 + 1, "timestamp_desc": "Content Modification Time",
        "date_time": {"__class_name__": "TimeElements"},
    }
    for n in (0, 1, 1, 1, 2, 3)
]  # fmt: skip
L2T = "date,time,timezone,MACB,source,sourcetype,type,user,host,short,desc,version,filename,inode,notes,format,extra"
L2T_ROWS = [
    f"11/18/2025,12:2{n}:00,Europe/Berlin,M...,LOG,Log File,Modified,-,web1,m,failed {n},2,OS:/log,0,-,syslog,-"
    for n in (0, 1, 1, 1, 2, 3)
]
TLN_ROWS = [f"{T + n}|LOG|web1|-|2025-11-18T11:20:0{n}+00:00; Modified; failed {n}" for n in (0, 1, 1, 1, 2, 3)]
TIMELINE = [
    {"message": f"failed {n}", "datetime": minute(n), "timestamp": (T + 60 * n) * 10**6, "timestamp_desc": "Write time"}
    for n in (0, 1, 1, 1, 2, 3)
]

BERLIN = {"time": {"zone": "Europe/Berlin", "year": 2025}}
UTC = {"time": {"zone": "UTC"}}
EXPORTS = (
    Export("csv", "plain{}.csv", PLAIN, table, MAPPED, 3),
    Export("json", "plain{}.json", PLAIN, listed(), MAPPED, 3),
    Export("jsonl", "plain{}.jsonl", PLAIN, lines, MAPPED, 3),
    Export("parquet", "plain{}.parquet", PLAIN, parquet, MAPPED, 3),
    Export("accesslog", "access{}.log", ACCESS, text, {}, 3),
    Export("airflow", "runs{}.json", AIRFLOW, listed("dag_runs")),
    Export("airflow", "tasks{}.csv", TASKS, table),
    Export("alertmanager", "notices{}.json", ALERTS, listed("alerts", receiver="hook", version="4", groupKey="{}")),
    Export("cloudtrail", "trail{}.json", CLOUDTRAIL, listed("Records")),
    Export("cloudtrail", "trail{}.jsonl", CLOUDTRAIL, lines),
    Export("container", "web-7d4f9_shop_nginx-{:064x}.log", CRI, text, {}, 3),
    Export("container", "docker{}-json.jsonl", DOCKER, lines, {}, 3),
    Export("dbt", "run_results{}.json", RESULTS, listed("results", metadata=METADATA)),
    Export("dbt", "manifest{}.json", NODES, manifest),
    Export("elastic", "hits{}.json", ELASTIC, searched),
    Export("elastic", "dump{}.jsonl", ELASTIC, lines),
    Export("gcplog", "entries{}.json", GCP, listed()),
    Export("gcplog", "entries{}.jsonl", GCP, lines),
    Export("github", "statuses{}.json", GITHUB, listed()),
    Export("gitlab", "deployments{}.json", GITLAB, listed()),
    Export("gitlog", "commits{}.log", COMMITS, machine),
    Export("gitlog", "commits{}.txt", COMMITS, fuller),
    Export("grafana", "annotations{}.json", ANNOTATIONS, listed()),
    Export("jira", "issues{}.json", JIRA, listed("issues", startAt=0)),
    Export("jsonlog", "app{}.jsonl", JSONLOG, lines, {}, 3),
    Export("kubernetes", "events{}.json", CLUSTER, listed("items", apiVersion="v1", kind="List"), {}, 7),
    Export("mlflow", "mlflow{}.db", [1, 2, 3, 4], runs_database),
    Export("mlflow", "mlflow{}.jsonl", [1, 2, 3, 4], runs_answers),
    Export("neptune", "runs{}.csv", NEPTUNE, table),
    Export("openlineage", "events{}.json", LINEAGE, listed()),
    Export("openlineage", "events{}.jsonl", LINEAGE, lines),
    Export("opsgenie", "alerts{}.json", OPSGENIE, listed("data")),
    Export("otlp", "collector{}.jsonl", [line for n in range(3) for line in telemetry(n)], lines),
    Export("pagerduty", "entries{}.json", ENTRIES, listed("log_entries")),
    Export("plaso", "psort{}.jsonl", PLASO, lines, {}, 3),
    Export("plaso", "l2t{}.csv", L2T_ROWS, headed(L2T), {}, 3),
    Export("plaso", "tln{}.txt", TLN_ROWS, headed("Time|Source|Host|User|Description"), {}, 3),
    Export("postgres", "postgres{}.log", POSTGRES, text, {}, 3),
    Export("prometheus", "lag{}.json", [[T + 15 * n, str(n / 8)] for n in range(6)], matrix),
    Export("servicenow", "incidents{}.json", SERVICENOW, listed("result"), UTC),
    Export("servicenow", "incidents{}.csv", SERVICENOW, table, UTC),
    Export("slack", "export{}.zip", MESSAGES, workspace),
    Export("slack", "day{}.json", MESSAGES, listed()),
    Export("splunk", "search{}.json", SPLUNK, listed("results", preview=False)),
    Export("splunk", "search{}.csv", SPLUNK, table),
    Export("syslog", "messages{}.log", SYSLOG, text, BERLIN, 3),
    Export("teams", "messages{}.json", TEAMS, listed("value")),
    Export("timesketch", "timeline{}.csv", TIMELINE, table, {}, 3),
    Export("timesketch", "timeline{}.jsonl", TIMELINE, lines, {}, 3),
    Export("wandb", "runs{}.json", WANDB, listed()),
    Export("wandb", "history{}.jsonl", HISTORY, lines, {"constant": {"system": "trainer"}}),
)

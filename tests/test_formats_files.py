"""The same export in other clothes: byte order marks, line ends, layout, wrappers of the API, and nothing in it."""

import codecs
import json

import pytest
from exports import EXPORTS, SPLUNK, T, minute

from rca.errors import InputError
from rca.incident.model import Source
from rca.sources import formats, recognise
from rca.sources.batches import READERS
from rca.sources.items import Reject

TEXTS = [item for item in EXPORTS if item.reader not in READERS and not item.file.endswith((".zip", ".db"))]
every_text = pytest.mark.parametrize("export", TEXTS, ids=lambda export: export.name)


def items(folder, export, content):
    """What a format makes of a file, without its places; the file is recognised, and nothing in it is refused."""
    path = folder / export.file.format(1)
    path.write_bytes(content)
    assert recognise.reader(recognise.head(path)) == export.reader
    return plain(path, export.reader, **export.source)


def plain(path, reader, **more):
    """What a format makes of a file, without its places."""
    found = list(formats.get(reader).read(path, Source(id="x", file=path.name, reader=reader, **more)))
    assert not [item for item in found if isinstance(item, Reject)]
    return [(item.table, item.fields, item.native_id) for item in found]


def written(folder, content):
    """A file of some JSON, or of text."""
    path = folder / "x.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@every_text
def test_byte_order_mark_line_ends_and_blank_lines_change_nothing(export, tmp_path):
    content = export.write(export.records)
    wanted = items(tmp_path, export, content)
    assert items(tmp_path, export, codecs.BOM_UTF8 + content) == wanted
    assert items(tmp_path, export, content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")) == wanted
    assert items(tmp_path, export, content + b"\n\n") == wanted
    assert items(tmp_path, export, content.rstrip(b"\n")) == wanted


@pytest.mark.parametrize(
    "export", [item for item in TEXTS if item.file.endswith(".json")], ids=lambda export: export.name
)
def test_the_layout_of_a_json_document_changes_nothing(export, tmp_path):
    content = export.write(export.records)
    wanted = items(tmp_path, export, content)
    assert items(tmp_path, export, json.dumps(json.loads(content), indent=2).encode()) == wanted


LISTS = ("airflow", "cloudtrail", "elastic", "gcplog", "github", "gitlab", "grafana", "jira", "kubernetes",
         "openlineage", "opsgenie", "pagerduty", "servicenow", "slack", "splunk", "teams", "wandb")  # fmt: skip


@pytest.mark.parametrize(
    "export", [item for item in TEXTS if item.file.endswith(".json") and item.reader in LISTS],
    ids=lambda export: export.name,
)  # fmt: skip
def test_a_bare_list_and_json_lines_hold_what_the_api_wraps(export, tmp_path):
    wanted = items(tmp_path, export, export.write(export.records))
    assert items(tmp_path, export, json.dumps(list(export.records)).encode()) == wanted
    assert items(tmp_path, export, "\n".join(map(json.dumps, export.records)).encode()) == wanted


@pytest.mark.parametrize(
    ("reader", "content"),
    [
        ("airflow", {"dag_runs": [], "total_entries": 0}),
        ("alertmanager", {"receiver": "hook", "groupKey": "{}", "alerts": [], "version": "4"}),
        ("cloudtrail", {"Records": []}),
        ("elastic", {"took": 1, "_shards": {"failed": 0}, "hits": {"total": {"value": 0}, "hits": []}}),
        ("jira", {"startAt": 0, "maxResults": 50, "total": 0, "issues": []}),
        ("jira", {"isLast": True, "issues": []}),
        ("kubernetes", {"apiVersion": "v1", "kind": "EventList", "items": []}),
        ("pagerduty", {"log_entries": [], "limit": 100, "offset": 0, "more": False}),
        ("pagerduty", {"incidents": [], "limit": 100, "offset": 0, "more": False}),
        ("prometheus", {"status": "success", "data": {"resultType": "matrix", "result": []}}),
        ("splunk", {"preview": False, "results": []}),
    ],
)
def test_an_answer_with_nothing_in_it_is_known_and_has_no_rows(reader, content, tmp_path):
    path = written(tmp_path, content)
    assert recognise.reader(recognise.head(path)) == reader
    assert plain(path, reader) == []


def test_plaso_without_a_line_has_no_rows(tmp_path):
    assert plain(written(tmp_path, ""), "plaso") == []


# Wrappers of single products


def test_one_row_of_servicenow_is_read_as_a_list_of_one(tmp_path):
    row = {"sys_id": "s", "number": "INC1", "opened_at": "2025-11-18 11:20:00", "short_description": "x", "state": "1"}
    utc = {"time": {"zone": "UTC"}}
    path = written(tmp_path, {"result": row})
    assert recognise.reader(recognise.head(path)) == "servicenow"
    assert plain(path, "servicenow", **utc) == plain(written(tmp_path, {"result": [row]}), "servicenow", **utc)


def test_servicenow_tells_that_an_incident_was_reopened_and_what_people_wrote(tmp_path):
    row = {
        "sys_id": "s", "number": "INC1", "opened_at": "2025-11-18 11:20:00", "short_description": "x", "state": "2",
        "reopened_time": "2025-11-18 11:40:00", "reopened_by": {"display_value": "Asha Rao", "value": "u1"},
    }  # fmt: skip
    note = {
        "sys_id": "j", "element": "work_notes", "element_id": "s", "name": "incident", "value": "rolled back",
        "sys_created_on": "2025-11-18 11:41:00", "sys_created_by": "asha",
    }  # fmt: skip
    path = written(tmp_path, {"result": [row, note]})
    _, again, told = [fields for _, fields, _ in plain(path, "servicenow", time={"zone": "UTC"})]
    assert (again["time"].ns, again["message"], again["actor"]) == ((T + 1200) * 10**9, "INC1 reopened: x", "Asha Rao")
    assert (told["time"].ns, told["message"], told["actor"]) == ((T + 1260) * 10**9, "work notes: rolled back", "asha")
    assert told["ref"] == "s" and told["kind"] == "ticket"
    assert recognise.reader(recognise.head(written(tmp_path, {"result": [note]}))) == "servicenow"


def test_the_list_of_the_older_alertmanager_api_is_read(tmp_path):
    alert = {
        "labels": {"alertname": "Lag", "service": "web"}, "annotations": {}, "startsAt": minute(0),
        "endsAt": minute(9), "fingerprint": "ab", "status": {"state": "active", "silencedBy": []},
    }  # fmt: skip
    path = written(tmp_path, {"status": "success", "data": [alert]})
    assert recognise.reader(recognise.head(path)) == "alertmanager"
    assert plain(path, "alertmanager") == plain(written(tmp_path, [alert]), "alertmanager")


def test_what_the_command_line_of_airflow_lists_is_recognised(tmp_path):
    run = {"dag_id": "f", "run_id": "r", "state": "failed", "start_date": minute(0), "end_date": minute(1)}
    task = {"dag_id": "f", "task_id": "load", "state": "failed", "start_date": minute(0), "end_date": minute(1)}
    for record in (run, task):
        path = written(tmp_path, [record])
        assert recognise.reader(recognise.head(path)) == "airflow"
        ((_, fields, _),) = plain(path, "airflow")
        assert fields["time"].ns == T * 10**9 and fields["severity"] == "error"


def test_a_trace_as_tempo_answers_is_read(tmp_path):
    held = {
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]},
        "scopeSpans": [{"spans": [{"traceId": "0a" * 16, "spanId": "0b" * 8, "startTimeUnixNano": f"{T}000000000"}]}],
    }
    path = written(tmp_path, {"trace": {"resourceSpans": [held]}})
    assert recognise.reader(recognise.head(path)) == "otlp"
    assert plain(path, "otlp") == plain(written(tmp_path, {"resourceSpans": [held]}), "otlp")


def test_a_result_of_splunk_is_one_record_wherever_it_stood_among_the_results(tmp_path):
    bare = {name: value for name, value in SPLUNK[0].items() if name not in ("_bkt", "_cd")}
    raws = []
    for number in ("0", "7"):
        path = written(tmp_path, {"preview": False, "results": [bare | {"_serial": number}]})
        (item,) = formats.get("splunk").read(path, Source(id="x", file="x", reader="splunk"))
        raws.append(item.raw)
    assert raws[0] == raws[1] == bare


def test_pieces_of_the_result_of_an_expression_have_one_name_and_a_single_file_its_own(tmp_path):
    answer = {"metric": {"service": "web"}, "values": [[T, "1"]]}
    content = {"status": "success", "data": {"resultType": "matrix", "result": [answer]}}
    names = []
    for files in (["x.json", "y.json"], ["x.json"]):
        source = Source(id="lag", file=files, reader="prometheus")
        names += [item.fields["metric"] for item in formats.get("prometheus").read(written(tmp_path, content), source)]
    assert names == ["lag", "x"]


def test_a_git_log_that_powershell_wrote_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "commits.log"
    path.write_bytes(codecs.BOM_UTF16_LE + f"commit {'0' * 40}\n".encode("utf-16-le"))
    with pytest.raises(InputError, match="UTF-16, as PowerShell's > writes; use git log --output=FILE"):
        list(formats.get("gitlog").read(path, Source(id="x", file="x", reader="gitlog")))

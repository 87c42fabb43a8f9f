from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from rca import schema
from rca.errors import InputError
from rca.incident.model import Source
from rca.sources import interchange
from rca.sources.formats import (
    github,
    gitlab,
    jira,
    opsgenie,
    pagerduty,
    plaso,
    servicenow,
    slack,
    teams,
    timesketch,
)
from rca.sources.items import Head, Item, Reject

ALL = (github, gitlab, jira, opsgenie, pagerduty, plaso, servicenow, slack, teams, timesketch)
T = 1_763_464_800  # 2025-11-18T11:20:00Z, by `date -u -d 2025-11-18T11:20:00Z +%s`
S = 10**9


def put(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8", newline="")
    return path


def source(**more: object) -> Source:
    return Source.model_validate({"id": "x", "file": "x", "reader": "x", **more})


def read(module, path: Path, **more: object) -> list[Item]:
    out = list(module.FORMAT.read(path, source(**more)))
    assert not [item for item in out if isinstance(item, Reject)], out
    return out


def rejects(module, path: Path, **more: object) -> list[str]:
    return [item.reason for item in module.FORMAT.read(path, source(**more)) if isinstance(item, Reject)]


def ns(item: Item, name: str = "time") -> int | None:
    return item.fields[name].ns


def kinds(items: list[Item]) -> list[str]:
    return [item.fields["kind"] for item in items]


def states(items: list[Item]) -> list[str]:
    return [item.fields["attributes"].get("state", "") for item in items]


def head(path: Path) -> Head:
    data = path.read_bytes()
    if zipfile.is_zipfile(path):
        return Head(path.name, "", data, None, tuple(zipfile.ZipFile(path).namelist()))
    text = data.decode()
    try:
        document = json.loads(text)
    except ValueError:
        try:
            document = json.loads(text.partition("\n")[0])
        except ValueError:
            return Head(path.name, text, data, None, tuple(next(csv.reader([text.partition("\n")[0]]))))
    return Head(path.name, text, data, document)


# Slack


def workspace(folder: Path, days: dict[str, list[dict]], top: str = "", **more: object) -> Path:
    path = folder / "export.zip"
    members = {
        "users.json": [
            {"id": "U1", "name": "asha", "profile": {"real_name": "Asha Rao", "display_name": "ash"}},
            {"id": "U2", "name": "bo", "real_name": "", "profile": {"display_name": "bo b"}},
        ],
        "channels.json": [{"id": "C9", "name": "general"}],
        **more,
        **days,
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{top}{name}", json.dumps(content))
    return path


def test_slack_message_has_exact_time_name_place_and_id(tmp_path):
    text = "<@U1> see <#C9|general>, <https://x.test/a|the graph> &amp; <!here> &lt;now&gt;"
    message = {
        "type": "message",
        "user": "U2",
        "text": text,
        "ts": "1763464800.000201",
        "thread_ts": "1763464700.000100",
    }
    (item,) = read(slack, workspace(tmp_path, {"general/2025-11-18.json": [message]}))
    assert ns(item) == T * S + 201_000
    assert item.native_id == "C9:1763464800.000201"
    assert item.locator == "general/2025-11-18.json item 1"
    assert item.fields["message"] == "@Asha Rao see #general, the graph (https://x.test/a) & @here <now>"
    assert (item.fields["actor"], item.fields["kind"], item.fields["ref"]) == ("bo b", "chat", "1763464800.000201")
    assert item.fields["attributes"]["text"] == text
    assert item.fields["attributes"]["thread_ts"] == "1763464700.000100"


def test_slack_edit_of_a_message_is_an_event_of_its_own(tmp_path):
    plain = {"type": "message", "user": "U1", "text": "a", "ts": "1763464800.000200"}
    edited = plain | {"text": "b", "edited": {"user": "U1", "ts": "1763464900.000000"}}
    first, again, edit = read(slack, workspace(tmp_path, {"general/2025-11-18.json": [plain, edited]}))
    assert ns(first) == ns(again) == T * S + 200_000 and ns(edit) == (T + 100) * S
    assert again.native_id == first.native_id and edit.native_id == f"{first.native_id}:1763464900.000000"
    assert (edit.fields["actor"], edit.fields["message"]) == ("Asha Rao", "(edited) b")
    assert again.fields["attributes"]["edited_by"] == "Asha Rao"


def test_slack_words_of_bots_blocks_and_files_are_found(tmp_path):
    messages = [
        {"type": "message", "subtype": "bot_message", "text": "", "username": "ci", "ts": "1763464800.000001",
         "attachments": [{"pretext": "build", "text": "red", "fields": [{"title": "branch", "value": "main"}]}]},
        {"type": "message", "subtype": "bot_message", "text": "", "bot_id": "B1", "ts": "1763464800.000002",
         "attachments": [{"fallback": "only fallback"}]},
        {"type": "message", "user": "U1", "text": "", "ts": "1763464800.000003",
         "blocks": [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [
             {"type": "text", "text": "hello "}, {"type": "user", "user_id": "U2"}]}]}]},
        {"type": "message", "user": "U1", "text": "", "ts": "1763464800.000004", "files": [{"name": "trace.png"}]},
        {"type": "message", "subtype": "message_changed", "ts": "1763464800.000005",
         "message": {"user": "U1", "text": "now", "ts": "1763464700.000000", "edited": {"user": "U1", "ts": "1763464800.000000"}}},
        {"type": "message", "subtype": "message_deleted", "deleted_ts": "1763464700.000000", "ts": "1763464800.000006"},
    ]  # fmt: skip
    items = read(slack, workspace(tmp_path, {"general/2025-11-18.json": messages}))
    assert [item.fields["message"] for item in items] == [
        "build\nred\nbranch: main", "only fallback", "hello @bo b", "trace.png", "now", "(message 1763464700.000000 deleted)",
    ]  # fmt: skip
    assert [item.fields["actor"] for item in items] == ["ci", "B1", "Asha Rao", "Asha Rao", "Asha Rao", ""]
    assert len({item.native_id for item in items}) == len(items)


def test_slack_export_in_a_folder_gives_the_same_events(tmp_path):
    days = {"general/2025-11-18.json": [{"type": "message", "user": "U1", "text": "a", "ts": "1763464800.000200"}]}
    (plain,) = read(slack, workspace(tmp_path, days))
    (nested,) = read(slack, workspace(tmp_path, days, top="acme/"))
    assert plain == nested


def test_slack_bad_records_and_members_lose_only_themselves(tmp_path):
    good = {"type": "message", "user": "U1", "text": "a", "ts": "1763464800.000200"}
    path = workspace(
        tmp_path, {"general/2025-11-18.json": [{"text": "no ts"}, good | {"ts": 1763464800.0002}, 7, good]}
    )
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("general/2025-11-19.json", "[{")
    out = list(slack.read(path, source()))
    assert [type(item) for item in out] == [Reject, Reject, Reject, Item, Reject]
    assert "not valid JSON" in out[-1].reason
    assert [item.position for item in out] == [1, 2, 3, 4, 5]


def test_slack_day_alone_is_read_without_names(tmp_path):
    path = put(
        tmp_path, "2025-11-18.json", [{"type": "message", "user": "U1", "text": "<@U2> hi", "ts": "1763464800.000200"}]
    )
    (item,) = read(slack, path)
    assert (item.fields["actor"], item.fields["message"], item.native_id) == ("U1", "@U2 hi", "1763464800.000200")


def test_slack_integrations_are_changes_of_configuration(tmp_path):
    log = [
        {
            "user_id": "U1",
            "user_name": "x",
            "date": str(T),
            "change_type": "added",
            "service_type": "Travis CI",
            "channel": "C9",
        }
    ]
    days = {"general/2025-11-18.json": []}
    (item,) = read(slack, workspace(tmp_path, days, **{"integration_logs.json": log}))
    assert (item.fields["kind"], item.fields["actor"], ns(item)) == ("config_change", "Asha Rao", T * S)
    assert item.fields["attributes"]["channel"] == "general"


def test_slack_archive_without_days_is_refused(tmp_path):
    with pytest.raises(InputError, match="Slack export"):
        list(slack.read(workspace(tmp_path, {}), source()))


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_slack_any_text_becomes_a_message(tmp_path_factory, text):
    path = put(
        tmp_path_factory.mktemp("s"),
        "d.json",
        [{"type": "message", "user": "U1", "text": text, "ts": "1763464800.000200"}],
    )
    (item,) = read(slack, path)
    assert item.fields["message"]


# Teams


def chat_message(**more: object) -> dict:
    return {
        "id": "1763464800123",
        "createdDateTime": "2025-11-18T11:20:00.123Z",
        "lastModifiedDateTime": "2025-11-18T11:20:00.123Z",
        "from": {"application": None, "user": {"id": "u-1", "displayName": "Asha Rao"}},
        "body": {
            "contentType": "html",
            "content": "<div>Rolled <b>back</b>&nbsp;&amp; green<br>bye<script>no()</script></div>",
        },
        "channelIdentity": {"teamId": "t", "channelId": "19:ops@thread"},
        **more,
    }


def test_teams_html_becomes_text_and_a_deletion_is_an_event_of_its_own(tmp_path):
    later = chat_message(lastModifiedDateTime="2025-11-18T11:30:00Z", deletedDateTime="2025-11-18T11:30:00Z",
                         body={"contentType": "html", "content": ""})  # fmt: skip
    system = chat_message(id="2", **{"from": None}, body={"contentType": "html", "content": "<systemEventMessage/>"},
                          messageType="systemEventMessage", eventDetail={"@odata.type": "#microsoft.graph.membersAddedEventMessageDetail"})  # fmt: skip
    first, second, gone, third = read(teams, put(tmp_path, "t.json", {"value": [chat_message(), later, system]}))
    assert first.fields["message"] == "Rolled back & green\nbye"
    assert (ns(first), first.fields["actor"], first.fields["ref"]) == (T * S + 123_000_000, "Asha Rao", "1763464800123")
    assert second.fields["message"] == "(deleted)"
    assert (third.fields["message"], third.fields["actor"]) == ("members added", "")
    assert second.native_id == first.native_id and ns(gone) == (T + 600) * S
    assert len({first.native_id, gone.native_id, third.native_id}) == 3


def test_teams_same_id_in_two_channels_is_two_messages(tmp_path):
    other = chat_message(channelIdentity={"teamId": "t", "channelId": "19:other@thread"})
    first, second = read(teams, put(tmp_path, "t.json", [chat_message(), other]))
    assert first.native_id != second.native_id


@given(st.text(alphabet="<>&/abp \n\"'!-[]", max_size=80))
@settings(max_examples=60, deadline=None)
def test_broken_html_never_fails(content):
    assert isinstance(teams.html_text(content), str)


# PagerDuty


def entry(kind: str, minute: int, **more: object) -> dict:
    return {
        "id": f"R{kind}{minute}",
        "type": f"{kind}_log_entry",
        "summary": f"{kind} summary",
        "created_at": f"2025-11-18T11:{minute:02}:00Z",
        "agent": {"id": "PU1", "type": "user_reference", "summary": "Asha Rao"},
        "channel": {"type": "web_ui"},
        "service": {"id": "PS1", "type": "service_reference", "summary": "fraud-api"},
        "incident": {"id": "PI1", "type": "incident_reference", "summary": "[#7] errors", "urgency": "high"},
        **more,
    }


def test_pagerduty_log_entries_have_kind_state_and_people(tmp_path):
    monitor = {"id": "PS1", "type": "service_reference", "summary": "fraud-api"}
    user = {"id": "PU2", "type": "user_reference", "summary": "Bo"}
    entries = [
        entry("trigger", 20, agent=monitor),
        entry("notify", 21, agent=monitor, user=user),
        entry("acknowledge", 22),
        entry("escalate", 23, assignees=[user]),
        entry("assign", 24, assignees=[user]),
        entry("annotate", 25, channel={"type": "note", "summary": "rolled back"}),
        entry("resolve", 26),
    ]
    items = read(pagerduty, put(tmp_path, "p.json", {"log_entries": entries}))
    assert kinds(items) == ["alert", "notified", "alert", "escalated", "handed_over", "ticket", "alert"]
    assert states(items) == ["triggered", "", "acknowledged", "escalated", "reassigned", "", "resolved"]
    assert [item.fields["actor"] for item in items] == [
        "",
        "Bo",
        "Asha Rao",
        "Asha Rao",
        "Asha Rao",
        "Asha Rao",
        "Asha Rao",
    ]
    assert {item.fields["system"] for item in items} == {"fraud-api"}
    assert items[4].fields["attributes"]["to"] == ["Bo"]
    assert items[5].fields["attributes"]["note"] == "rolled back"
    assert [ns(item) for item in items] == [T * S + minute * 60 * S for minute in range(7)]
    assert items[0].fields["severity"] == "high"
    assert items[0].native_id == "Rtrigger20"


def test_pagerduty_webhooks_give_the_same_words(tmp_path):
    def hook(word: str, **data: object) -> str:
        inner = {"id": "PI1", "type": "incident", "title": "errors", "number": 7, "urgency": "low",
                 "service": {"summary": "fraud-api", "type": "service_reference"}, **data}  # fmt: skip
        agent = {"id": "PU1", "type": "user_reference", "summary": "Asha Rao"}
        return json.dumps({"event": {"id": f"E{word}", "event_type": f"incident.{word}", "resource_type": "incident",
                                     "occurred_at": "2025-11-18T11:20:00.250Z", "agent": agent, "data": inner}})  # fmt: skip

    words = (
        "triggered",
        "acknowledged",
        "escalated",
        "delegated",
        "reassigned",
        "resolved",
        "reopened",
        "priority_updated",
    )
    items = read(pagerduty, put(tmp_path, "p.jsonl", "\n".join(map(hook, words)) + "\n"))
    assert states(items) == [
        "triggered",
        "acknowledged",
        "escalated",
        "reassigned",
        "reassigned",
        "resolved",
        "triggered",
        "",
    ]
    assert items[0].fields["message"] == "incident triggered: errors"
    assert (items[0].fields["system"], items[0].fields["ref"], items[0].native_id) == ("fraud-api", "PI1", "Etriggered")
    assert ns(items[0]) == T * S + 250_000_000


def test_pagerduty_incident_shows_opening_and_last_change(tmp_path):
    incident = {"id": "PI1", "type": "incident", "incident_number": 7, "title": "errors", "status": "resolved", "urgency": "high",
                "created_at": "2025-11-18T11:20:00Z", "last_status_change_at": "2025-11-18T12:20:00Z",
                "last_status_change_by": {"type": "user_reference", "summary": "Bo"},
                "service": {"type": "service_reference", "summary": "fraud-api"}}  # fmt: skip
    opened, resolved = read(pagerduty, put(tmp_path, "p.json", {"incidents": [incident]}))
    assert (ns(opened), ns(resolved)) == (T * S, (T + 3600) * S)
    assert states([opened, resolved]) == ["triggered", "resolved"]
    assert (opened.fields["actor"], resolved.fields["actor"]) == ("", "Bo")
    assert opened.native_id != resolved.native_id


# Opsgenie


def alert(**more: object) -> dict:
    return {"id": "a-1", "tinyId": "17", "alias": "cpu", "message": "CPU high", "status": "closed", "acknowledged": True,
            "createdAt": "2025-11-18T11:20:00.5Z", "updatedAt": "2025-11-18T13:00:00Z", "priority": "P1", "owner": "asha@x.test",
            "count": 3, "entity": "fraud-api", **more}  # fmt: skip


def test_opsgenie_report_dates_acknowledgement_and_closing(tmp_path):
    report = {"ackTime": 60_001, "closeTime": 3_600_000, "acknowledgedBy": "asha", "closedBy": "bo"}
    items = read(opsgenie, put(tmp_path, "o.json", {"data": [alert(report=report)]}))
    assert states(items) == ["triggered", "acknowledged", "resolved"]
    start = T * S + 500_000_000
    assert [ns(item) for item in items] == [start, start + 60_001_000_000, start + 3_600 * S]
    assert [item.fields["actor"] for item in items] == ["", "asha", "bo"]
    assert {item.fields["severity"] for item in items} == {21}
    assert items[0].fields["system"] == "fraud-api"


def test_opsgenie_without_report_is_undated_between_bounds(tmp_path):
    _, acknowledged, closed = read(opsgenie, put(tmp_path, "o.json", {"data": [alert()]}))
    for item in (acknowledged, closed):
        assert ns(item) is None
        assert (ns(item, "time_earliest"), ns(item, "time_latest")) == (T * S + 500_000_000, (T + 6000) * S)


def test_opsgenie_logs_and_webhooks_are_told_by_their_words(tmp_path):
    texts = ("Alert created via API", "Alert acknowledged via web", "Alert unacknowledged via web", "Escalated to [ops]",
             "Ownership of alert assigned to bo", "Sent [email] notification to bo", "Alert closed via web", "Added tag x")  # fmt: skip
    logs = [
        {"log": text, "type": "system", "owner": "System", "createdAt": "2025-11-18T11:20:00Z", "offset": "1"}
        for text in texts
    ]
    items = read(opsgenie, put(tmp_path, "o.json", {"data": logs}))
    assert states(items) == ["triggered", "acknowledged", "triggered", "escalated", "reassigned", "", "resolved", ""]
    assert kinds(items)[5:] == ["notified", "alert", "ticket"]
    hook = {"action": "Acknowledge", "integrationName": "hook", "alert": {"alertId": "a-1", "tinyId": "17", "message": "CPU high",
            "createdAt": T * 1000, "updatedAt": T * S + 7, "username": "bo"}}  # fmt: skip
    (item,) = read(opsgenie, put(tmp_path, "w.json", hook))
    assert (ns(item), states([item]), item.fields["actor"]) == (T * S + 7, ["acknowledged"], "bo")


# Jira


def issue(**more: object) -> dict:
    return {
        "id": "10001",
        "key": "OPS-7",
        "fields": {
            "summary": "Betrug steigt",
            "created": "2025-11-18T12:20:00.000+0100",
            "updated": "2025-11-18T14:00:00.000+0100",
            "priority": {"id": "1", "name": "Höchste"},
            "status": {"id": "3", "name": "In Arbeit", "statusCategory": {"key": "indeterminate"}},
            "components": [{"name": "fraud-api"}],
            "reporter": {"displayName": "Asha Rao", "accountId": "a1"},
            "comment": {"total": 1, "comments": [{
                "id": "500", "author": {"displayName": "Bo"}, "created": "2025-11-18T12:30:00.000+0100", "updated": "2025-11-18T12:30:00.000+0100",
                "body": {"type": "doc", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "zurück"}, {"type": "mention", "attrs": {"text": "@Asha"}}]}]}}]},
        },
        "changelog": {"total": 1, "histories": [{
            "id": "900", "author": {"displayName": "Bo"}, "created": "2025-11-18T12:21:00.000+0100",
            "items": [
                {"field": "Status", "fieldId": "status", "from": "1", "fromString": "Offen", "to": "3", "toString": "In Arbeit"},
                {"field": "Bearbeiter", "fieldId": "assignee", "from": None, "fromString": None, "to": "a2", "toString": "Bo"},
            ]}]},
        **more,
    }  # fmt: skip


def test_jira_issue_changes_and_comments_are_events(tmp_path):
    items = read(jira, put(tmp_path, "j.json", {"issues": [issue()]}))
    assert kinds(items) == ["ticket", "ticket", "handed_over", "ticket"]
    assert [ns(item) for item in items] == [T * S, (T + 60) * S, (T + 60) * S, (T + 600) * S]
    created, status, assignee, comment = items
    assert created.fields["message"] == "OPS-7 Betrug steigt"
    assert created.fields["attributes"]["status_category"] == "indeterminate"
    assert status.fields["message"] == "OPS-7 Status: Offen -> In Arbeit"
    assert (status.fields["attributes"]["field_id"], status.fields["attributes"]["to_id"]) == ("status", "3")
    assert assignee.fields["attributes"]["to"] == "Bo"
    assert (comment.fields["message"], comment.fields["actor"]) == ("zurück@Asha", "Bo")
    assert [item.native_id for item in items[1:]] == ["10001:900:0", "10001:900:1", "10001:comment:500"]
    assert {item.fields["system"] for item in items} == {"fraud-api"}
    assert status.locator == "/issues/0/changelog/histories/0/items/0"
    assert "changelog" not in created.raw and created.raw["fields"]["priority"]["id"] == "1"


def test_jira_ids_do_not_depend_on_language(tmp_path):
    english = json.loads(json.dumps(issue()).replace('"Status"', '"State"').replace("Bearbeiter", "Assignee"))
    german, other = (read(jira, put(tmp_path, f"{n}.json", [value])) for n, value in enumerate((issue(), english)))
    assert [item.native_id for item in german] == [item.native_id for item in other]
    assert kinds(german) == kinds(other)


def test_jira_cut_history_and_bad_parts_are_reported(tmp_path):
    cut = issue(changelog={"total": 120, "histories": [{"id": "1", "items": [{"field": "x"}]}]})
    reasons = rejects(jira, put(tmp_path, "j.json", {"issues": [cut]}))
    assert any("1 of 120 histories" in reason for reason in reasons)
    assert any("'created'" in reason for reason in reasons)
    assert len([item for item in jira.read(tmp_path / "j.json", source()) if isinstance(item, Item)]) == 2


# ServiceNow


def ticket(**more: object) -> dict:
    return {"sys_id": "s1", "number": "INC0010001", "state": "7", "priority": "1", "short_description": "fraud up",
            "opened_at": "2025-11-18 11:20:00", "sys_created_on": "2025-11-18 11:25:00", "resolved_at": "2025-11-18 12:20:00",
            "closed_at": "", "work_start": "", "opened_by": {"link": "https://x.test/u1", "value": "u1"},
            "sys_updated_on": "2025-11-18 13:00:00", **more}  # fmt: skip


UTC = {"time": {"zone": "UTC"}}


def test_servicenow_needs_a_declared_zone(tmp_path):
    path = put(tmp_path, "s.json", {"result": [ticket()]})
    (reason,) = rejects(servicenow, path)
    assert "zone" in reason and "opened_at" in reason
    opened, resolved = read(servicenow, path, **UTC)
    assert (ns(opened), ns(resolved)) == (T * S, (T + 3600) * S)
    assert opened.fields["time"].basis == "declared"
    (early, _) = read(servicenow, path, time={"zone": "Europe/Berlin"})
    assert ns(early) == (T - 3600) * S


def test_servicenow_ticket_has_states_codes_and_severity(tmp_path):
    opened, resolved = read(servicenow, put(tmp_path, "s.json", {"result": [ticket()]}), **UTC)
    assert states([opened, resolved]) == ["opened", "resolved"]
    assert (opened.fields["severity"], opened.fields["ref"], opened.fields["actor"]) == (21, "INC0010001", "u1")
    assert opened.fields["attributes"]["state_code"] == "7"
    assert opened.native_id != resolved.native_id


def test_servicenow_pairs_are_checked_against_the_zone(tmp_path):
    pair = {"display_value": "2025-11-18 12:20:00", "value": "2025-11-18 11:20:00"}
    path = put(
        tmp_path,
        "s.json",
        {"result": [ticket(opened_at=pair, resolved_at="", state={"display_value": "Closed", "value": "7"})]},
    )
    for zone in ("UTC", "Europe/Berlin"):
        (opened,) = read(servicenow, path, time={"zone": zone})
        assert ns(opened) == T * S
    assert opened.fields["attributes"]["state_words"] == "Closed"
    (reason,) = rejects(servicenow, path, time={"zone": "Asia/Tokyo"})
    assert "is not the stored" in reason


def test_servicenow_change_is_dated_by_work_not_by_plan(tmp_path):
    change = ticket(
        number="CHG1",
        start_date="2025-11-18 10:20:00",
        end_date="2025-11-18 11:20:00",
        resolved_at="",
        assigned_to="bo",
    )
    done = change | {"work_start": "2025-11-18 11:20:00", "work_end": "2025-11-18 11:50:00"}
    _, planned = read(servicenow, put(tmp_path, "a.json", {"result": [change]}), **UTC)
    _, worked = read(servicenow, put(tmp_path, "b.json", {"result": [done]}), **UTC)
    assert kinds([planned, worked]) == ["config_change"] * 2
    assert ns(planned) is None
    assert (ns(planned, "time_earliest"), ns(planned, "time_latest")) == ((T - 3600) * S, T * S)
    assert (ns(worked), ns(worked, "time_end")) == (T * S, (T + 1800) * S)
    assert worked.fields["attributes"]["planned_start"] == "2025-11-18 10:20:00"


def test_servicenow_audit_and_csv_are_read(tmp_path):
    text = (
        "sys_id,tablename,documentkey,fieldname,oldvalue,newvalue,user,sys_created_on\r\n"
        "a1,incident,s1,assigned_to,,bo,asha,2025-11-18 11:20:00\r\na2,incident,s1,state,1,2,asha,2025-11-18 11:21:00\r\nbad\r\n"
    )
    path = put(tmp_path, "s.csv", text)
    handed, state, short = servicenow.read(path, source(**UTC))
    assert kinds([handed, state]) == ["handed_over", "ticket"]
    assert (ns(handed), handed.fields["actor"], handed.native_id, handed.locator) == (T * S, "asha", "a1", "row 1")
    assert state.fields["message"] == "incident state: 1 -> 2"
    assert isinstance(short, Reject) and short.position == 3


# GitHub and GitLab

API = "https://api.github.com/repos/acme/fraud-api"


def deployment(**more: object) -> dict:
    return {"id": 42, "url": f"{API}/deployments/42", "sha": "c0ffee", "ref": "main", "task": "deploy", "environment": "production",
            "created_at": "2025-11-18T11:00:00Z", "updated_at": "2025-11-18T11:20:00Z", "creator": {"login": "asha"},
            "statuses_url": f"{API}/deployments/42/statuses", **more}  # fmt: skip


def status(state: str, number: int) -> dict:
    return {"id": number, "url": f"{API}/deployments/42/statuses/{number}", "state": state, "environment": "production",
            "deployment_url": f"{API}/deployments/42", "created_at": "2025-11-18T11:20:00Z", "creator": {"login": "bot"}}  # fmt: skip


def test_github_success_is_the_deploy_and_finds_its_commit(tmp_path):
    records = [status("success", 3), status("failure", 2), deployment()]
    live, failed, asked = read(github, put(tmp_path, "g.json", records))
    assert kinds([live, failed, asked]) == ["deploy", "other", "other"]
    assert (ns(live), ns(asked)) == (T * S, (T - 1200) * S)
    assert (live.fields["ref"], live.fields["system"], live.fields["actor"]) == ("c0ffee", "fraud-api", "bot")
    assert failed.fields["severity"] == "error"
    (alone,) = read(github, put(tmp_path, "h.json", [status("success", 3)]))
    assert alone.fields["ref"] == "42"
    assert alone.native_id == live.native_id
    hook = {"deployment_status": status("success", 3), "deployment": deployment(), "repository": {"name": "fraud-api"}}
    (sent,) = read(github, put(tmp_path, "i.json", hook))
    assert (sent.fields["kind"], sent.fields["ref"]) == ("deploy", "c0ffee")


def test_github_runs_and_releases_have_their_times(tmp_path):
    run = {"id": 9, "name": "CI", "workflow_id": 1, "run_number": 5, "run_attempt": 2, "head_sha": "c0ffee", "head_branch": "main",
           "status": "completed", "conclusion": "failure", "created_at": "2025-11-17T00:00:00Z", "run_started_at": "2025-11-18T11:20:00Z",
           "updated_at": "2025-11-18T11:30:00Z", "repository": {"name": "fraud-api"}}  # fmt: skip
    (item,) = read(github, put(tmp_path, "r.json", {"total_count": 1, "workflow_runs": [run]}))
    assert (ns(item), ns(item, "time_end"), item.fields["severity"]) == (T * S, (T + 600) * S, "error")
    going = run | {"status": "in_progress", "conclusion": None}
    (item,) = read(github, put(tmp_path, "r.json", {"workflow_runs": [going]}))
    assert "time_end" not in item.fields
    release = {
        "id": 1,
        "tag_name": "v1.2",
        "name": "",
        "draft": False,
        "created_at": "2025-11-01T00:00:00Z",
        "published_at": "2025-11-18T11:20:00Z",
    }
    published, draft = read(
        github, put(tmp_path, "e.json", [release, release | {"id": 2, "draft": True, "published_at": None}])
    )
    assert (ns(published), published.fields["ref"]) == (T * S, "v1.2")
    assert ns(draft) is None


def test_gitlab_deployment_is_live_when_its_job_finished(tmp_path):
    job = {"id": 7, "name": "prod", "stage": "deploy", "finished_at": "2025-11-18T12:20:00.000+01:00",
           "pipeline": {"id": 3, "web_url": "https://gitlab.test/acme/fraud-api/-/pipelines/3"}}  # fmt: skip
    made = {"id": 41, "iid": 1, "ref": "main", "sha": "c0ffee", "status": "success", "created_at": "2025-11-18T09:00:00Z",
            "updated_at": "2025-11-18T11:20:01Z", "environment": {"name": "production"}, "user": {"name": "Asha Rao"}}  # fmt: skip
    live, outside, failed = read(gitlab, put(tmp_path, "g.json", [made | {"deployable": job}, made | {"id": 42, "deployable": None},
                                                                    made | {"id": 43, "deployable": job, "status": "failed"}]))  # fmt: skip
    assert kinds([live, outside, failed]) == ["deploy", "deploy", "other"]
    assert (ns(live), live.fields["system"], live.fields["ref"]) == (T * S, "fraud-api", "c0ffee")
    assert ns(outside) is None
    assert (ns(outside, "time_earliest"), ns(outside, "time_latest")) == ((T - 8400) * S, (T + 1) * S)
    assert failed.fields["severity"] == "error"


def test_gitlab_pipelines_and_jobs_are_read(tmp_path):
    pipeline = {"id": 3, "iid": 2, "project_id": 1, "sha": "c0ffee", "ref": "main", "status": "success", "source": "push",
                "created_at": "2025-11-18T11:20:00Z", "updated_at": "2025-11-18T11:30:00Z",
                "web_url": "https://gitlab.test/acme/fraud-api/-/pipelines/3"}  # fmt: skip
    job = {"id": 7, "name": "test", "stage": "test", "status": "failed", "ref": "main", "created_at": "2025-11-18T11:00:00Z",
           "started_at": "2025-11-18T11:20:00Z", "finished_at": "2025-11-18T11:25:00Z", "pipeline": {"id": 3}, "commit": {"id": "c0ffee"},
           "web_url": "https://gitlab.test/acme/fraud-api/-/jobs/7"}  # fmt: skip
    first, second = read(gitlab, put(tmp_path, "g.json", [pipeline, job]))
    assert kinds([first, second]) == ["other", "other"]
    assert (ns(first), ns(second), ns(second, "time_end")) == (T * S, T * S, (T + 300) * S)
    assert {item.fields["ref"] for item in (first, second)} == {"c0ffee"}


# Timesketch


def row(**more: object) -> dict:
    return {"message": "m", "datetime": "2025-11-18T11:20:00.123456+00:00", "timestamp": T * 10**6 + 123456,
            "timestamp_desc": "Write time", **more}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, T * S + 123_456_000),
        ({"datetime": "2025-11-18T11:20:00+00:00"}, T * S + 123_456_000),
        ({"datetime": "2025-11-18T12:20:00.123456789+01:00"}, T * S + 123_456_789),
        ({"datetime": "2025-11-18T14:20:00.123456"}, T * S + 123_456_000),
        ({"datetime": str(T * 10**6 + 123456), "timestamp": None}, T * S + 123_456_000),
        ({"datetime": ""}, T * S + 123_456_000),
        ({"timestamp": ""}, T * S + 123_456_000),
        ({"timestamp": float(T * 10**6 + 123456)}, T * S + 123_456_000),
    ],
)
def test_timesketch_two_times_that_agree_are_one(tmp_path, fields, expected):
    (item,) = read(timesketch, put(tmp_path, "t.jsonl", json.dumps(row(**fields)) + "\n"))
    assert ns(item) == expected
    assert item.fields["attributes"] == {"timestamp_desc": "Write time"}


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": 123456789},
        {"datetime": "2025-11-18T11:20:01.123456+00:00"},
        {"datetime": "2025-11-18T11:20:00.123458+00:00"},
        {"datetime": "2025-11-18T11:27:00.123456"},
        {"datetime": "2025-11-18T12:20:00", "timestamp": ""},
        {"datetime": "2025-11-18T05-07-28+00:00"},
        {"timestamp": "1.76E+15"},
    ],
)
def test_timesketch_times_that_disagree_or_lack_a_zone_are_refused(tmp_path, fields):
    path = put(tmp_path, "t.jsonl", json.dumps(row(**fields)) + "\n" + json.dumps(row()) + "\n")
    out = list(timesketch.read(path, source()))
    assert [type(item) for item in out] == [Reject, Item]


def test_timesketch_declared_format_says_which_time_holds(tmp_path):
    path = put(tmp_path, "t.jsonl", json.dumps(row(datetime="2025-11-18T10:20:00Z")) + "\n")
    assert "declare" in rejects(timesketch, path)[0]
    assert len(rejects(timesketch, path, time={"zone": "UTC"})) == 1
    (item,) = read(timesketch, path, time={"format": "iso8601"})
    assert ns(item) == (T - 3600) * S
    (item,) = read(timesketch, path, time={"format": "epoch_us"})
    assert ns(item) == T * S + 123_456_000


def test_timesketch_csv_keeps_free_columns_and_lines_in_quotes(tmp_path):
    text = (
        "datetime,message,timestamp,timestamp_desc,computer_name,xml\n"
        f'2025-11-18 11:20:00+00:00,"a, b",{T * 10**6},Creation Time,pc1,"<x>\n</x>"\n'
        f'2025-11-18 11:20:00+00:00,"a, b",{T * 10**6},Write Time,pc1,\n'
    )
    first, second = read(timesketch, put(tmp_path, "t.csv", text))
    assert (first.fields["message"], first.fields["system"], first.locator) == ("a, b", "pc1", "row 1")
    assert first.fields["attributes"]["xml"] == "<x>\n</x>"
    assert "xml" not in second.fields["attributes"]
    assert second.locator == "row 2"


# Round trip


def events(rows: list[dict]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    for name, kind in schema.COLUMNS["events"].items():
        if kind == "datetime64[ns, UTC]":
            values = frame[name] if name in frame else [None] * len(frame)
            frame[name] = pd.to_datetime(pd.Series(values, dtype="Int64"), unit="ns", utc=True).astype(kind)
    return schema.check(frame, "events")


def test_export_has_the_columns_that_timesketch_needs(tmp_path):
    table = events(
        [{"event_id": "e1", "time": T * S + 123_456_789, "kind": "deploy", "message": "v2", "system": "api"}]
    )
    path = interchange.to_timesketch(table, tmp_path / "out.csv")
    (line,) = csv.DictReader(path.read_text().splitlines())
    assert line["message"] == "v2"
    assert line["datetime"] == "2025-11-18T11:20:00.123456+00:00"
    assert line["timestamp"] == str(T * 10**6 + 123456)
    assert line["timestamp_desc"] == "deploy"
    assert line["rca_time"] == "2025-11-18T11:20:00.123456789+00:00"


def test_export_to_another_ending_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.csv or \.jsonl"):
        interchange.to_timesketch(schema.empty("events"), tmp_path / "out.txt")


def test_no_cell_of_the_csv_is_a_formula(tmp_path):
    bad = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=x", "'=1", "ok"]
    table = events(
        [
            {"event_id": f"-{n}", "time": T * S + n, "kind": "log", "message": text, "actor": text}
            for n, text in enumerate(bad)
        ]
    )
    path = interchange.to_timesketch(table, tmp_path / "out.csv")
    with path.open(newline="") as handle:
        cells = [cell for line in csv.reader(handle) for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert [item.fields["actor"] for item in read(timesketch, path)] == bad


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(str.strip)
NS = st.integers(-(2**62), 2**62)
MAYBE = st.none() | NS


@given(
    st.lists(
        st.fixed_dictionaries({
            "time": MAYBE, "time_end": MAYBE, "time_earliest": MAYBE, "time_latest": MAYBE, "system": TEXT,
            "kind": st.sampled_from(["alert", "deploy", "log"]), "severity": st.none() | st.integers(1, 24),
            "message": TEXT.map(lambda text: text or "(no text)"), "actor": TEXT, "ref": TEXT, "trace_id": TEXT,
            "attributes": st.dictionaries(TEXT, TEXT | st.integers(), max_size=2).map(lambda value: json.dumps(value) if value else ""),
            "count": st.integers(1, 2**40), "time_text": TEXT, "zone_basis": st.sampled_from(["explicit", "declared", ""]),
        }),
        min_size=1, max_size=4,
    ),
    st.sampled_from([".csv", ".jsonl"]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_events_come_back_as_they_were(tmp_path_factory, rows, ending):
    table = events([{**record, "event_id": f"id{number}"} for number, record in enumerate(rows)])
    items = read(timesketch, interchange.to_timesketch(table, tmp_path_factory.mktemp("r") / f"out{ending}"))
    assert len(items) == len(table)
    for item, record in zip(items, table.to_dict("records"), strict=True):
        for name in ("time", "time_end", "time_earliest", "time_latest"):
            assert ns(item, name) == (None if pd.isna(record[name]) else record[name].value)
        for name in ("system", "kind", "message", "actor", "ref", "trace_id", "count"):
            assert item.fields[name] == record[name]
        assert item.fields["severity"] == ("" if pd.isna(record["severity"]) else str(record["severity"]))
        past = item.fields["attributes"].pop("exported")
        assert item.fields["attributes"] == json.loads(record["attributes"] or "{}")
        assert (item.fields["time"].text, item.fields["time"].basis) == (record["time_text"], record["zone_basis"])
        assert item.native_id == past["event_id"] == record["event_id"]


def test_changed_time_of_an_exported_event_is_refused(tmp_path):
    table = events([{"event_id": "e1", "time": T * S, "kind": "log", "message": "m"}])
    path = interchange.to_timesketch(table, tmp_path / "out.jsonl")
    path.write_text(path.read_text().replace(str(T), str(T + 1)))
    assert "not the same time" in rejects(timesketch, path)[0]


# Plaso


def plaso_event(**more: object) -> dict:
    return {"__container_type__": "event", "__type__": "AttributeContainer", "data_type": "syslog:line", "parser": "text/syslog",
            "display_name": "OS:/log", "hostname": "web1", "message": "m", "username": "-", "timestamp": T * 10**6 + 1,
            "timestamp_desc": "Content Modification Time", **more}  # fmt: skip


@pytest.mark.parametrize(
    ("detail", "expected", "basis"),
    [
        ({"__class_name__": "TimeElements"}, T * S + 1000, "explicit"),
        ({"__class_name__": "TimeElements", "is_local_time": True}, T * S + 1000, "assumed"),
        ({"__class_name__": "PosixTimeInNanoseconds", "timestamp": T * S + 1234}, T * S + 1234, "explicit"),
        ({"__class_name__": "Filetime", "timestamp": (T + 11_644_473_600) * 10**7 + 12}, T * S + 1200, "explicit"),
        ({"__class_name__": "PosixTimeInNanoseconds", "timestamp": 5}, T * S + 1000, "explicit"),
    ],
)
def test_plaso_time_is_exact_to_what_it_knows(tmp_path, detail, expected, basis):
    (item,) = read(plaso, put(tmp_path, "p.jsonl", json.dumps(plaso_event(date_time=detail)) + "\n"))
    assert (ns(item), item.fields["time"].basis) == (expected, basis)
    assert (item.fields["system"], item.fields["actor"], item.locator) == ("web1", "", "line 1")


def test_plaso_time_that_is_not_set_is_undated(tmp_path):
    record = plaso_event(timestamp=0, date_time={"__class_name__": "SemanticTime", "string": "Not set"})
    old = plaso_event(timestamp=-1_000_000, date_time={"__class_name__": "PosixTime", "timestamp": -1})
    far = plaso_event(timestamp=2**62)
    path = put(tmp_path, "p.jsonl", "".join(json.dumps(value) + "\n" for value in (record, old, far)))
    unset, before, refused = plaso.read(path, source())
    assert ns(unset) is None and unset.fields["time"].text == "Not set"
    assert ns(before) == -S
    assert isinstance(refused, Reject)


def test_plaso_outputs_tell_the_same_events(tmp_path):
    line = json.dumps(plaso_event(timestamp=T * 10**6))
    l2t = (
        "date,time,timezone,MACB,source,sourcetype,type,user,host,short,desc,version,filename,inode,notes,format,extra"
    )
    texts = {
        "a.jsonl": f"{line}\n",
        "b.json": f'{{"event_0": {line}\n}}',
        "c.csv": "datetime,timestamp_desc,source,source_long,message,parser,display_name,tag,hostname\n"
        "2025-11-18T11:20:00.000000+00:00,Content Modification Time,LOG,Log File,m,syslog,OS:/log,-,web1\n",
        "d.csv": f"{l2t}\n11/18/2025,12:20:00,Europe/Berlin,M...,LOG,Log File,Content Modification Time,-,web1,m,m,2,OS:/log,0,-,syslog,-\n",
        "e.txt": f"Time|Source|Host|User|Description\n{T}|LOG|web1|-|2025-11-18T11:20:00+00:00; Content Modification Time; m\n",
        "f.txt": f"Time|Source|Host|User|Description|TZ|Notes\n{T}|LOG|web1|-|2025-11-18T11:20:00+00:00; Content Modification Time; m|UTC|File: x\n",
    }
    for name, text in texts.items():
        path = put(tmp_path, name, text)
        (item,) = read(plaso, path)
        assert (ns(item), item.fields["system"], item.fields["message"], item.fields["actor"]) == (
            T * S,
            "web1",
            "m",
            "",
        ), name
        assert plaso.recognise(head(path)), name
        assert not timesketch.recognise(head(path)), name


def test_plaso_ragged_rows_and_other_files_are_refused(tmp_path):
    path = put(tmp_path, "t.txt", f"Time|Source|Host|User|Description\n{T}|LOG|web1|-|a|b\n")
    assert "6 values under 5" in rejects(plaso, path)[0]
    with pytest.raises(InputError, match="psort"):
        list(plaso.read(put(tmp_path, "x.txt", "hello\n"), source()))


# All


def records() -> dict[str, dict]:
    gone = {"id": 1, "iid": 1, "sha": "c", "ref": "m", "status": "success", "created_at": "2025-11-18T11:20:00Z",
            "environment": {"name": "p"}, "deployable": None}  # fmt: skip
    return {
        "github": deployment(),
        "gitlab": gone,
        "jira": issue(),
        "opsgenie": alert(),
        "pagerduty": entry("trigger", 20),
        "plaso": plaso_event(),
        "servicenow": ticket(),
        "teams": chat_message(),
    }


def test_each_format_recognises_its_own_and_no_other(tmp_path):
    paths = {
        name: put(tmp_path, f"{name}.json", [record] if name != "plaso" else record)
        for name, record in records().items()
    }
    paths["slack"] = workspace(tmp_path, {"general/2025-11-18.json": []})
    paths["timesketch"] = put(
        tmp_path, "ts.csv", "message,datetime,timestamp,timestamp_desc\nm,2025-11-18T11:20:00Z,,x\n"
    )
    for name, path in paths.items():
        assert [module.FORMAT.name for module in ALL if module.FORMAT.recognise(head(path))] == [name]
    wrapped = {
        "jira": "issues",
        "opsgenie": "data",
        "pagerduty": "log_entries",
        "servicenow": "result",
        "teams": "value",
    }
    for name, key in wrapped.items():
        path = put(tmp_path, "wrapped.json", {key: [records()[name]]})
        assert [module.FORMAT.name for module in ALL if module.FORMAT.recognise(head(path))] == [name]


def test_nothing_is_recognised_in_foreign_documents():
    foreign = (
        None,
        [],
        {},
        [1],
        "text",
        {"value": [1]},
        {"data": []},
        {"issues": [{}]},
        {"result": [{}]},
        {"event": 1},
    )
    for document in foreign:
        assert not [module.FORMAT.name for module in ALL if module.FORMAT.recognise(Head("x", "", b"", document))]


LEAF = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(sorted(records())), st.data())
@settings(max_examples=150, deadline=None)
def test_changed_records_are_read_or_refused_with_a_reason(tmp_path_factory, name, data):
    module = next(module for module in ALL if module.FORMAT.name == name)
    record = records()[name]
    for key in data.draw(st.lists(st.sampled_from(sorted(record)), min_size=1, max_size=3)):
        record[key] = data.draw(JSON)
    path = put(tmp_path_factory.getbasetemp(), "changed.json", record if name == "plaso" else [record])
    for item in module.read(path, source(**UTC)):
        if isinstance(item, Reject):
            assert item.reason
        else:
            assert item.fields["message"]
            assert item.fields["kind"]
            json.dumps(item.fields["attributes"])


def test_a_pagerduty_list_that_goes_on_says_so(tmp_path):
    entry = {"id": "R1", "type": "trigger_log_entry", "created_at": "2025-11-18T11:20:00Z", "summary": "Triggered"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"log_entries": [entry], "limit": 1, "offset": 0, "more": True}))
    _, reject = pagerduty.FORMAT.read(path, Source(id="x", file="a.json", reader="pagerduty"))
    assert reject.reason == "the list goes on: the API has more pages, the file holds its first 1 only"
    path.write_text(json.dumps({"log_entries": [entry], "limit": 100, "offset": 0, "more": False}))
    assert len(list(pagerduty.FORMAT.read(path, Source(id="x", file="a.json", reader="pagerduty")))) == 1

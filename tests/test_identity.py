"""One event stays one event: whatever the files, their order and the states in which records were exported."""

import json
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest
from exports import (
    AIRFLOW,
    ALERTS,
    ANNOTATIONS,
    BERLIN,
    CLUSTER,
    EXPORTS,
    GITLAB,
    JIRA,
    LINEAGE,
    NEPTUNE,
    OPSGENIE,
    SERVICENOW,
    TEAMS,
    WANDB,
    Export,
    T,
    incident,
    lines,
    listed,
    minute,
    searched,
    table,
    text,
    workspace,
)
from hypothesis import given, strategies as st

from rca import sources
from rca.sources import runs
from rca.sources.pieces import joined
from rca.sources.stored import KEYS

SEEDS = range(4)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """A place of the test's own for the key that signs derived tables."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def arranged(folder, seed):
    """All exports, each shuffled and in one to four files that overlap; equal records without an id stay together."""
    rng = random.Random(seed)
    declared = []
    for export in EXPORTS:
        kinds = list(dict.fromkeys(map(repr, export.records)))
        pieces = [{kind for kind in kinds if rng.random() < 0.6} for _ in range(rng.randrange(4))]
        pieces.append(set(kinds) - set().union(*pieces) | {rng.choice(kinds)})
        rng.shuffle(pieces)
        for number, piece in enumerate(filter(None, pieces), start=1):
            held = [record for record in export.records if repr(record) in piece]
            rng.shuffle(held)
            replace(export, records=held).put(folder, number)
        declared.append(export.declared(*range(1, len(list(filter(None, pieces))) + 1)))
    return incident(folder, *declared)


def tables(case):
    """All rows by table, without what says where in the files they stand, in an order of their own."""
    found = sources.store(case)
    out = {}
    for name in KEYS:
        frame = found.frame(name).drop(columns=["position", "locator"], errors="ignore")
        out[name] = frame.sort_values([*frame.columns]).reset_index(drop=True)
    return out


def whole(folder):
    """All exports, each in one file as it is."""
    for export in EXPORTS:
        export.put(folder)
    return tables(incident(folder, *(export.declared() for export in EXPORTS)))


def same(found, wanted):
    """Check that two imports gave the same tables."""
    for name in KEYS:
        pd.testing.assert_frame_equal(found[name], wanted[name])


def test_shuffled_records_in_overlapping_files_give_the_same_table(tmp_path):
    (tmp_path / "whole").mkdir()
    wanted = whole(tmp_path / "whole")
    for seed in SEEDS:
        folder = tmp_path / str(seed)
        folder.mkdir()
        same(tables(arranged(folder, seed)), wanted)


def test_slices_of_time_change_nothing(tmp_path, monkeypatch):
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    wanted = tables(arranged(tmp_path / "one", 1))
    monkeypatch.setattr(runs, "SLICE", 3)
    monkeypatch.setattr(runs, "_EVERY", 1)
    monkeypatch.setattr(runs, "PART", 20)
    same(tables(arranged(tmp_path / "many", 1)), wanted)


# States: each case has what two exports of one thing hold, and what is known of it then, in the order of time.


def issue(**more):
    """An issue of Jira without comments and with its history up to now."""
    fields = {name: value for name, value in JIRA[1]["fields"].items() if name != "comment"}
    return {**JIRA[1], "fields": fields | more.pop("fields", {}), **more}


def alert(status, **more):
    """A record of an alert as Alertmanager sends it."""
    return {**ALERTS[0], "status": status, **more}


INCIDENT = {
    "id": "PI1", "incident_number": 7, "title": "errors", "status": "triggered", "created_at": minute(0),
    "last_status_change_at": minute(0), "service": {"id": "PS1", "summary": "fraud-api"}, "urgency": "high",
}  # fmt: skip
PERSON = {"id": "PU1", "type": "user_reference", "summary": "Asha Rao"}
MESSAGE = {"type": "message", "user": "U1", "text": "rolled back v1", "ts": f"{T}.000100"}
DEPLOYMENT = {
    "id": 42, "url": "https://api.github.com/repos/acme/fraud-api/deployments/42", "sha": "c0ffee", "ref": "main",
    "environment": "production", "statuses_url": "u", "created_at": minute(0), "updated_at": minute(0),
}  # fmt: skip
RUN = {
    "id": 5, "name": "deploy", "run_number": 3, "workflow_id": 9, "head_sha": "c0ffee", "run_attempt": 1,
    "status": "in_progress", "conclusion": None, "run_started_at": minute(0), "updated_at": minute(1),
    "url": "https://api.github.com/repos/acme/fraud-api/actions/runs/5",
}  # fmt: skip
TASK = {"sys_id": "s1", "number": "INC1", "state": "1", "priority": "2", "short_description": "fraud up",
        "opened_at": "2025-11-18 11:20:00", "sys_updated_on": "2025-11-18 11:20:00"}  # fmt: skip
RUNNING = AIRFLOW[0] | {"state": "running", "end_date": None}
HIT = {"_index": "alerts", "_id": "a", "_version": 2, "_source": {"@timestamp": minute(0), "message": "open"}}
UTC = {"time": {"zone": "UTC"}}
STATES = {
    "jira": (
        Export("jira", "s{}.json", [
            issue(changelog={"histories": []}, fields={"updated": minute(1), "summary": "Frod"}),
            issue(fields={"updated": minute(9), "summary": "Fraud"}),
        ], listed("issues")),
        [(1, "OPS-1 Fraud"), (2, "OPS-1 Status: Open -> In Progress")],
    ),
    "jira without history": (
        Export("jira", "s{}.json", [
            {name: value for name, value in issue(fields=more).items() if name != "changelog"}
            for more in ({"updated": minute(1)}, {"updated": minute(9), "resolutiondate": minute(8)})
        ], listed("issues")),
        [(1, "OPS-1 Fraud rises"), (8, "OPS-1 resolved: Fraud rises")],
    ),
    "jira comment": (
        Export("jira", "s{}.json", [
            issue(changelog={"histories": []}, fields={"comment": {"comments": [
                {"id": "5", "author": {"displayName": "Bo"}, "created": minute(2), "updated": minute(at), "body": body}
            ]}})
            for at, body in ((2, "v1"), (4, "v2"))
        ], listed("issues")),
        [(1, "OPS-1 Fraud rises"), (2, "v1"), (4, "(comment edited) v2")],
    ),
    "slack": (
        Export("slack", "s{}.zip", [
            MESSAGE, MESSAGE | {"text": "rolled back v2", "edited": {"user": "U1", "ts": f"{T + 300}.000000"}},
        ], workspace),
        [(0, "rolled back v1"), (5, "(edited) rolled back v2")],
    ),
    "slack deleted": (
        Export("slack", "s{}.zip", [
            MESSAGE | {"subtype": "tombstone", "text": "This message was deleted."}, MESSAGE,
        ], workspace),
        [(0, "rolled back v1")],
    ),
    "slack thread": (
        Export("slack", "s{}.json", [
            MESSAGE | {"thread_ts": MESSAGE["ts"], "reply_count": n, "latest_reply": f"{T + n}.000100"} for n in (9, 12)
        ], listed()),
        [(0, "rolled back v1", {"replies": 12})],
    ),
    "teams": (
        Export("teams", "s{}.json", [
            TEAMS[0],
            TEAMS[0] | {"lastEditedDateTime": minute(3), "lastModifiedDateTime": minute(3),
                        "body": {"contentType": "text", "content": "Rolled back 9"}},
            TEAMS[0] | {"deletedDateTime": minute(4), "body": {"contentType": "text", "content": ""}},
        ], listed("value")),
        [(0, "Rolled back 0"), (3, "(edited) Rolled back 9"), (4, "(message deleted)")],
    ),
    "pagerduty": (
        Export("pagerduty", "s{}.json", [
            INCIDENT,
            INCIDENT | {"status": "acknowledged", "last_status_change_at": minute(2), "title": "errors at checkout",
                        "last_status_change_by": PERSON},
            INCIDENT | {"status": "resolved", "last_status_change_at": minute(5), "title": "errors at checkout"},
        ], listed("incidents")),
        [(0, "incident triggered: errors at checkout"), (2, "incident acknowledged: errors at checkout"),
         (5, "incident resolved: errors at checkout")],
    ),
    "opsgenie": (
        Export("opsgenie", "s{}.json", [
            {**OPSGENIE[0], "status": "open", "acknowledged": False, "updatedAt": minute(0), "report": {}},
            {**OPSGENIE[0], "updatedAt": minute(9)},
        ], listed("data")),
        [(0, "CPU high", {"modified": minute(9)}), (1, "CPU high (acknowledged)"), (6, "CPU high (resolved)")],
    ),
    "servicenow": (
        Export("servicenow", "s{}.json", [
            TASK,
            TASK | {"state": "6", "priority": "1", "resolved_at": "2025-11-18 11:25:00",
                    "sys_updated_on": "2025-11-18 11:25:00"},
            TASK | {"state": "7", "priority": "1", "resolved_at": "2025-11-18 11:25:00",
                    "closed_at": "2025-11-18 11:29:00", "sys_updated_on": "2025-11-18 11:29:00"},
        ], listed("result"), UTC),
        [(0, "INC1 opened: fraud up", {"state_code": "7"}), (5, "INC1 resolved: fraud up"),
         (9, "INC1 closed: fraud up")],
    ),
    "servicenow without sys_id": (
        Export("servicenow", "s{}.csv", [
            {name: row[name] for name in ("number", "state", "short_description", "opened_at", "closed_at")}
            for row in (SERVICENOW[0], SERVICENOW[0] | {"state": "8", "closed_at": "2025-11-18 11:29:00"})
        ], table, UTC),
        [(0, "INC0010000 opened: fraud up"), (9, "INC0010000 closed: fraud up")],
    ),
    "github deployment": (
        Export("github", "s{}.json", [DEPLOYMENT, DEPLOYMENT | {"updated_at": minute(5), "description": "x"}], listed()),
        [(0, "deployment of main to production asked for", {"description": "x"})],
    ),
    "github run": (
        Export("github", "s{}.json", [
            RUN, RUN | {"status": "completed", "conclusion": "failure", "updated_at": minute(7)}
        ], listed("workflow_runs")),
        [(0, "workflow deploy #3 failure")],
    ),
    "gitlab": (
        Export("gitlab", "s{}.json", [
            GITLAB[0] | {"status": "running", "updated_at": minute(1), "deployable": {"id": 7}},
            GITLAB[0],
        ], listed()),
        [(0, "deployment of main to production running"), (8, "deployment of main to production success")],
    ),
    "grafana": (
        Export("grafana", "s{}.json", [
            ANNOTATIONS[1] | {"created": T * 1000, "updated": (T + n) * 1000, "text": f"release {n}"} for n in (1, 2)
        ], listed()),
        [(1, "release 2")],
    ),
    "airflow": (
        Export("airflow", "s{}.json", [RUNNING, AIRFLOW[0]], listed("dag_runs")),
        [(0, "DAG run features failed: scheduled__0")],
    ),
    "alertmanager": (
        Export("alertmanager", "s{}.json", [
            alert("firing", annotations={"summary": "lag 4"}),
            alert("firing", annotations={"summary": "lag 31"}),
            alert("resolved", annotations={"summary": "lag is over"}, endsAt=minute(9)),
        ], listed("alerts", receiver="hook", version="4", groupKey="{}")),
        [(0, "Lag firing: lag 31"), (9, "Lag resolved: lag is over")],
    ),
    "kubernetes": (
        Export("kubernetes", "s{}.json", [
            CLUSTER[0] | {"count": count, "lastTimestamp": minute(count)} for count in (3, 9)
        ], listed("items", apiVersion="v1", kind="List")),
        [(0, "BackOff: Back-off restarting failed container")],
    ),
    "elastic": (
        Export("elastic", "s{}.json", [HIT, HIT | {"_version": 10, "_source": HIT["_source"] | {"message": "closed"}}],
               searched),
        [(0, "closed")],
    ),
    "wandb": (
        Export("wandb", "s{}.json", [
            WANDB[0] | {"state": "running", "heartbeat_at": minute(1)}, WANDB[0],
        ], listed()),
        [(0, "run jolly-haze-0: crashed")],
    ),
    "neptune": (
        Export("neptune", "s{}.csv", [
            NEPTUNE[0] | {"sys/state": "Active", "sys/failed": "False", "sys/modification_time": minute(1)}, NEPTUNE[0],
        ], table),
        [(0, "run retrain: failed")],
    ),
    "openlineage": (
        Export("openlineage", "s{}.json", [LINEAGE[0], LINEAGE[3]], listed()),
        [(0, "START clean"), (3, "COMPLETE clean")],
    ),
}  # fmt: skip
every_case = pytest.mark.parametrize("name", STATES)


def events(folder, export, order):
    """The events of an export of which each record is a file of its own, the files in an order."""
    folder.mkdir()
    for number in order:
        export.put(folder, number, number - 1, number)
    return sources.read(incident(folder, export.declared(*order)))


@every_case
def test_an_export_of_each_state_gives_what_happened_once(name, tmp_path):
    export, wanted = STATES[name]
    numbers = range(1, len(export.records) + 1)
    found = events(tmp_path / "up", export, numbers)
    minutes = ((found.events["time"] - pd.Timestamp(T, unit="s", tz="UTC")) / pd.Timedelta("1min")).astype(int)
    assert list(zip(minutes, found.events["message"], strict=True)) == [item[:2] for item in wanted]
    for row, item in zip(found.events.itertuples(), wanted, strict=True):
        attributes = json.loads(row.attributes)
        assert all(str(attributes[key]) == str(value) for key, value in (item[2] if len(item) > 2 else {}).items())
    back = events(tmp_path / "down", export, numbers[::-1])
    where = ["position", "locator"]
    pd.testing.assert_frame_equal(back.events.drop(columns=where), found.events.drop(columns=where))


@pytest.mark.parametrize("name", [name for name, (export, _) in STATES.items() if not export.file.endswith("zip")])
def test_states_in_one_file_are_as_those_in_several(name, tmp_path):
    export, _ = STATES[name]
    several = events(tmp_path / "several", export, range(1, len(export.records) + 1)).events
    (tmp_path / "one").mkdir()
    export.put(tmp_path / "one")
    one = sources.read(incident(tmp_path / "one", export.declared())).events
    where = ["position", "locator"]
    pd.testing.assert_frame_equal(one.drop(columns=where), several.drop(columns=where))


def test_a_cluster_event_has_the_largest_count_and_the_last_time(tmp_path):
    export, _ = STATES["kubernetes"]
    (row,) = events(tmp_path / "x", export, (2, 1)).events.itertuples()
    assert (row.count, row.time_end) == (9, pd.Timestamp(minute(9)))


def test_a_state_with_a_time_goes_before_one_without_and_a_narrow_interval_before_a_wide_one(tmp_path):
    open_end = {**OPSGENIE[0], "report": {}, "updatedAt": minute(12)}
    for name, other, wanted in (
        ("dated", OPSGENIE[0], [minute(0), "2025-11-18T11:21:00.001Z", minute(6)]),
        ("narrow", open_end | {"updatedAt": minute(9)}, [minute(0), None, None]),
    ):
        export = Export("opsgenie", "s{}.json", [open_end, other], listed("data"))
        found = events(tmp_path / name, export, (1, 2)).events
        assert found["time"].tolist() == [pd.Timestamp(time) if time else pd.NaT for time in wanted]
        assert found["time_latest"].dropna().tolist() == [pd.Timestamp(minute(9)) for time in wanted if not time]


# Ids that stand for different records, and records that have none


CLASH = [
    {"id": "R1", "type": "trigger_log_entry", "created_at": minute(0), "summary": word, "incident": {"id": "P"}}
    for word in ("one", "two", "three")
]


def test_of_different_records_with_one_id_the_same_is_kept_whatever_the_order(tmp_path):
    export = Export("pagerduty", "s{}.json", CLASH, listed("log_entries"))
    kept = set()
    for order in ((1, 2, 3), (3, 2, 1), (2, 3, 1)):
        found = events(tmp_path / str(order), export, order)
        kept.add(tuple(found.events["raw_sha256"]))
        assert found.events["count"].tolist() == [1]
        assert any("1 ids stand for records of different content" in note for note in found.notes)
    assert len(kept) == 1 and len(kept.pop()) == 1


def test_a_record_with_an_id_happened_once_and_one_without_as_often_as_it_stands_in_a_file(tmp_path):
    sent = Export("pagerduty", "a{}.jsonl", [CLASH[0]] * 3, lines)
    logged = Export("syslog", "b{}.log", ["<34>Nov 18 12:20:00 web1 su[231]: failed"] * 3, text, BERLIN)
    for number in (1, 2):
        sent.put(tmp_path, number)
        logged.put(tmp_path, number, 0, number + 1)
    found = sources.read(incident(tmp_path, sent.declared(1, 2), logged.declared(1, 2))).events
    assert found.set_index("source")["count"].to_dict() == {sent.name: 1, logged.name: 3}


def test_states_with_different_times_are_one_event_in_whatever_slices_they_lie(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "SLICE", 2)
    monkeypatch.setattr(runs, "_EVERY", 1)
    pipelines = [
        {"id": 3, "iid": 3, "sha": "c0ffee", "ref": "main", "status": status, "web_url": "https://x.test/a/b/-/p/3",
         "created_at": minute(0), "updated_at": minute(at), **({"started_at": minute(at - 1)} if at > 1 else {})}
        for at, status in ((1, "created"), (5, "running"), (9, "success"))
    ]  # fmt: skip
    others = [pipelines[0] | {"id": n, "created_at": minute(n % 20)} for n in range(10, 40)]
    export = Export("gitlab", "s{}.json", [*pipelines, *others], listed())
    for number in range(len(export.records)):
        export.put(tmp_path, number, number, number + 1)
    found = sources.read(incident(tmp_path, export.declared(*range(len(export.records))))).events
    assert len(found) == 31 and found["event_id"].is_unique and found["time"].is_monotonic_increasing
    (row,) = found[found["message"].str.contains("success")].itertuples()
    assert row.time == pd.Timestamp(minute(8)) and not found["message"].str.contains("running").any()


# Logs cut into pieces


def retries(*seconds):
    """Lines of one log, one for each second that is given, all of equal text otherwise."""
    return [f"<34>Nov 18 12:20:{second:02} web1 app: retry" for second in seconds]


def cut(folder, *pieces):
    """What the pieces of one log give, read as one source whose files are listed in another order."""
    folder.mkdir()
    names = [f"{number}.log" for number in range(len(pieces))]
    for name, piece in zip(names, pieces, strict=True):
        (folder / name).write_bytes(text(piece))
    return sources.read(incident(folder, {"id": "a", "file": names[::-1], "reader": "syslog", **BERLIN}))


def number(found):
    """How often each line happened, in the order of the table."""
    events = found.events
    return dict(zip(zip(events["time_text"], events["message"], strict=True), events["count"], strict=True))


def untold(found):
    """How many more records may have happened, as the import report says."""
    notes = [note for note in found.reports["notes"].iloc[0] if "files meet" in note]
    return int(notes[0].split("up to ")[1].split()[0]) if notes else 0


def test_pieces_that_follow_each_other_add_up_where_no_run_of_records_joins_them(tmp_path):
    log = [f"<34>Nov 18 12:20:{n // 10:02} web1 app: {'abcabdabea'[n % 10]}" for n in range(40)]
    whole = cut(tmp_path / "whole", log)
    halves = cut(tmp_path / "halves", log[:17], log[17:])  # "abcabda" is there, "bea" follows
    assert number(halves) == number(whole)
    assert list(number(halves)) == list(number(whole))
    assert halves.events["count"].sum() == 40 and untold(halves) == 0
    assert number(cut(tmp_path / "overlapping", log[:23], log[5:])) == number(whole)


def test_pieces_cut_within_equal_records_say_how_many_more_there_may_be(tmp_path):
    log = retries(*(n // 10 for n in range(100)))
    assert cut(tmp_path / "whole", log).events["count"].tolist() == [10] * 10
    found = cut(tmp_path / "halves", log[:55], log[55:])
    assert (found.events["count"].sum(), untold(found)) == (95, 5)
    between = cut(tmp_path / "between seconds", log[:50], log[50:])
    assert (between.events["count"].sum(), untold(between)) == (100, 0)


def test_the_same_second_in_two_exports_is_one_whatever_the_order_of_its_records(tmp_path):
    one = [*retries(1), "<34>Nov 18 12:20:02 web1 app: a", "<34>Nov 18 12:20:02 web1 app: b"]
    other = [*one[:0:-1], *retries(3)]
    found = cut(tmp_path / "cut", one, other)
    assert (found.events["count"].tolist(), untold(found)) == ([1] * 4, 2)


def test_positions_of_pieces_go_on_from_file_to_file_in_the_order_of_their_times(tmp_path):
    found = cut(tmp_path / "cut", retries(4, 5), retries(1, 2, 3)).events
    assert found["position"].tolist() == [1, 2, 3, 4, 5]
    assert found["locator"].tolist() == ["1.log line 1", "1.log line 2", "1.log line 3", "0.log line 1", "0.log line 2"]


@pytest.mark.parametrize("seed", range(40))
def test_a_log_cut_anywhere_has_its_count_or_says_what_may_be_missing(tmp_path, seed):
    rng = random.Random(seed)
    second, log = 0, []
    for _ in range(rng.randrange(4, 40)):
        second += rng.random() < rng.choice([0.1, 0.5])
        log.append(f"<34>Nov 18 12:20:{second:02} web1 app: {rng.choice('abcdefgh'[: rng.choice([1, 2, 8])])}")
    cuts = sorted(rng.sample(range(1, len(log)), rng.randrange(1, 4)))
    back = rng.choice([0, 0, 1, 3, 8])
    pieces = [log[max(0, begin - rng.randrange(back + 1)) : end] for begin, end in pairwise([0, *cuts, len(log)])]
    found = number(pieced := cut(tmp_path / "pieces", *pieces))
    whole = number(cut(tmp_path / "whole", log))
    assert set(found) == set(whole)
    assert all(found[key] <= whole[key] for key in whole)
    assert sum(whole.values()) - sum(found.values()) <= untold(pieced)
    if len({line[:20] for line in log[cuts[0] - 1 : cuts[0] + 1]}) == 2 and len(cuts) == 1 and not back:
        assert (list(found.items()), untold(pieced)) == (list(whole.items()), 0)


@given(st.lists(st.sampled_from("ab"), max_size=12), st.data())
def test_two_pieces_of_one_instant_are_joined_by_their_longest_common_run(records, data):
    end = data.draw(st.integers(0, len(records)))
    begin = data.draw(st.integers(0, end))
    left, right = ([(ord(record), 1) for record in part] for part in (records[:end], records[begin:]))
    common = max(n for n in range(min(len(left), len(right)) + 1) if left[len(left) - n :] == right[:n])
    if sorted(left) == sorted(right):
        common = len(left)
    total, more = joined([left], [], [right])
    wanted = Counter(left + right[common:])
    assert ({(key, 1): count for key, count in total.items()}, more) == (dict(wanted), common)
    assert total.total() <= len(records) <= total.total() + more

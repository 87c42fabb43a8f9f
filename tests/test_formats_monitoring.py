"""Prometheus, Alertmanager, Grafana, Kubernetes and OTLP exports, written here as their documentation shows them."""

import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from rca.errors import InputError, UnsafeInput
from rca.incident.model import Source
from rca.sources.formats import alertmanager, grafana, kubernetes, otlp, prometheus
from rca.sources.items import Head, Item, Reject

FORMATS = (alertmanager.FORMAT, grafana.FORMAT, kubernetes.FORMAT, otlp.FORMAT, prometheus.FORMAT)


def read(form, path, content, **source):
    """Items and rejects of a file with `content`: JSON, or JSON lines where it is given as a tuple."""
    if isinstance(content, tuple):
        text = "".join(json.dumps(line) + "\n" for line in content)
    else:
        text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    found = list(form.read(path, Source(id="x", file="x", reader=form.name, **source)))
    positions = [item.position for item in found]
    assert positions == sorted(positions) and all(position >= 1 for position in positions)
    return [item for item in found if isinstance(item, Item)], [item for item in found if isinstance(item, Reject)]


def column(items, name):
    return [item.fields.get(name) for item in items]


def nanoseconds(year, *rest):
    """An oracle for times: whole seconds by the standard library."""
    return int((datetime(year, *rest, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 10**9


def answer(*series, kind="matrix", **more):
    return {"status": "success", "data": {"resultType": kind, "result": list(series)}, **more}


def series(values, **labels):
    name = {"__name__": labels.pop("name")} if "name" in labels else {}
    return {"metric": {**name, **labels}, "values": values}


# Prometheus


def test_samples_of_a_matrix_become_metrics_with_exact_times_and_their_own_text(tmp_path):
    values = [[1763464800, "0.1"], [1763464800.123, "NaN"], [1763464815.001, "+Inf"]]
    items, rejects = read(
        prometheus.FORMAT, tmp_path / "a.json", answer(series(values, name="lag", service="web", zone="b", env="a"))
    )
    assert rejects == []
    assert [time.ns for time in column(items, "time")] == [
        1763464800_000_000_000,
        1763464800_123_000_000,
        1763464815_001_000_000,
    ]
    assert column(items, "value") == ["0.1", "NaN", "+Inf"]
    assert set(column(items, "system")) == {"web"} and set(column(items, "metric")) == {'lag{env="a",zone="b"}'}
    assert [item.locator for item in items] == [f"/data/result/0/values/{n}" for n in range(3)]
    assert {item.table for item in items} == {"metrics"}


@given(st.integers(min_value=946684800000, max_value=2840140800000))
@settings(max_examples=60)
def test_every_millisecond_survives_json_numbers(tmp_path_factory, milliseconds):
    text = f"{Decimal(milliseconds) / 1000}"
    path = tmp_path_factory.mktemp("p") / "a.json"
    items, _ = read(prometheus.FORMAT, path, json.dumps(answer(series([["T", "1"]], name="x"))).replace('"T"', text))
    assert items[0].fields["time"].ns == milliseconds * 10**6


def test_the_system_is_the_first_of_the_known_labels_and_stays_out_of_the_name(tmp_path):
    found = answer(
        series([[1763464800, "1"]], name="up", job="node", instance="h:1"),
        series([[1763464800, "1"]], name="up", job="node", instance="h:2", service="cart"),
        series([[1763464800, "1"]], name="up", app="shop", service_name="pay"),
        series([[1763464800, "1"]], name="up"),
    )
    items, _ = read(prometheus.FORMAT, tmp_path / "a.json", found)
    assert list(zip(column(items, "system"), column(items, "metric"), strict=True)) == [
        ("node", 'up{instance="h:1"}'),
        ("cart", 'up{instance="h:2",job="node"}'),
        ("pay", 'up{app="shop"}'),
        ("", "up"),
    ]


_WORD = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=6)


@given(
    st.lists(st.dictionaries(st.sampled_from(["a", "b", "job", "app", "instance"]), _WORD), unique_by=repr, max_size=6)
)
@settings(max_examples=80)
def test_two_series_never_share_a_row(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("p") / "a.json"
    items, rejects = read(
        prometheus.FORMAT, path, answer(*(series([[1763464800, "1"]], name="m", **x) for x in labels))
    )
    different = {json.dumps(x, sort_keys=True) for x in labels}
    seen = Counter((item.fields["system"], item.fields["metric"]) for item in items)
    assert all(
        len(
            {
                json.dumps(i.raw["metric"], sort_keys=True)
                for i in items
                if (i.fields["system"], i.fields["metric"]) == k
            }
        )
        == 1
        for k in seen
    )
    assert len(items) + len(rejects) == len(labels) and len(seen) + len(rejects) >= len(different)


def test_two_series_that_would_get_one_name_by_different_labels_are_told_apart_from_good_ones(tmp_path):
    found = answer(*(series([[1763464800, "1"]], name="m", **{key: "web"}) for key in ("service", "app")))
    items, rejects = read(prometheus.FORMAT, tmp_path / "a.json", found)
    assert len(items) == 1 and "two series would be 'm' of 'web'" in rejects[0].reason


def test_a_vector_and_json_lines_of_answers_are_read(tmp_path):
    vector = answer({"metric": {"__name__": "up", "job": "a"}, "value": [1763464800.5, "1"]}, kind="vector")
    items, rejects = read(prometheus.FORMAT, tmp_path / "a.jsonl", (vector, vector))
    assert rejects == [] and [item.locator for item in items] == [f"line {n} /data/result/0/value" for n in (1, 2)]
    assert column(items, "time")[0].ns == 1763464800_500_000_000
    items, _ = read(prometheus.FORMAT, tmp_path / "b.json", [vector])
    assert items[0].locator == "/0/data/result/0/value"


def test_the_result_of_an_expression_is_called_by_its_file(tmp_path):
    items, _ = read(
        prometheus.FORMAT, tmp_path / "error_rate.json", answer(series([[1763464800, "1"]], service="w", code="5"))
    )
    assert column(items, "metric") == ['error_rate{code="5"}']


def test_a_native_histogram_gives_count_and_sum(tmp_path):
    held = {
        "metric": {"__name__": "lag", "job": "a"},
        "histograms": [[1763464800, {"count": "60", "sum": "33.5", "buckets": []}]],
    }
    items, _ = read(prometheus.FORMAT, tmp_path / "a.json", answer(held))
    assert list(zip(column(items, "metric"), column(items, "value"), strict=True)) == [
        ("lag_count", "60"),
        ("lag_sum", "33.5"),
    ]


def test_what_the_server_could_not_answer_is_reported(tmp_path):
    good = answer(series([[1763464800, "1"]], name="x"), warnings=["store gateway down"])
    bad = {"status": "error", "errorType": "bad_data", "error": "parse error"}
    scalar = {"status": "success", "data": {"resultType": "scalar", "result": [1763464800, "1"]}}
    odd = {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1763464800]]}, 7]},
    }
    items, rejects = read(prometheus.FORMAT, tmp_path / "a.jsonl", (good, bad, scalar, odd))
    assert len(items) == 1
    for reject, word in zip(
        rejects, ["store gateway down", "parse error", "scalar", "not as", "not an answer"], strict=True
    ):
        assert word in reject.reason


class _Server(BaseHTTPRequestHandler):
    """A store of samples at whole milliseconds that answers range selectors as one version of Prometheus does."""

    def do_GET(self):
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.server.asked.append((parts.path, query, self.headers.get("Authorization")))
        end = int(Decimal(query["time"]) * 1000)
        begin = end - int(query["query"].rpartition("[")[2].removesuffix("ms]"))
        low = begin if self.server.left else begin + 1
        values = [[t / 1000, str(t % 97)] for t in self.server.samples if low <= t <= end]
        body = json.dumps(answer(series(values, name="m", job="a"))).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), _Server) as running:
        running.asked, running.samples, running.left = [], [], True
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def address(server):
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_a_server_that_sends_elsewhere_is_not_followed(server, tmp_path, monkeypatch):
    def redirect(self):
        self.server.asked.append(self.path)
        self.send_response(302)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    monkeypatch.setattr(_Server, "do_GET", redirect)
    with pytest.raises(InputError, match="HTTP 302"):
        alertmanager.pull(address(server), into=tmp_path)
    assert len(server.asked) == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [True, False], ids=["left end included", "left end left out"])
@pytest.mark.parametrize("limit", [8 * 2**20, 2000], ids=["few answers", "answers cut by size"])
def test_pulled_pieces_have_no_sample_twice_and_none_missing(server, tmp_path, monkeypatch, left, limit):
    monkeypatch.setattr(prometheus, "POINTS", 50)
    monkeypatch.setattr(prometheus, "MAX_ANSWER", limit)
    start = pd.Timestamp("2025-11-18T11:20:00.001Z")
    first = start.value // 10**6
    server.left = left
    server.samples = [*range(first - 3, first + 120), *range(first + 300, first + 1000)]
    begin, end = start - pd.Timedelta("600us"), start + pd.Timedelta("500600us")
    path = prometheus.pull(address(server), 'm{job="a"}', begin, end, "3ms", into=tmp_path)
    items, rejects = read(prometheus.FORMAT, path, path.read_text())
    assert rejects == []
    wanted = [t for t in server.samples if first <= t <= first + 500]
    assert [time.ns // 10**6 for time in column(items, "time")] == wanted
    assert column(items, "value") == [str(t % 97) for t in wanted]
    assert {where for where, _, _ in server.asked} == {"/api/v1/query"}


def test_a_pull_takes_its_token_from_the_environment_and_writes_it_nowhere(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_TOKEN", "s3cret-token")
    path = prometheus.pull(address(server), "m", "2025-11-18T11:20:00Z", "2025-11-18T11:20:01Z", "1s", into=tmp_path)
    assert server.asked[0][2] == "Bearer s3cret-token"
    assert "s3cret-token" not in path.read_text()
    assert json.loads(path.read_text())["request"]["query"] == "m[1001ms]"


@pytest.mark.parametrize(
    ("query", "plain"),
    [
        ("up", True),
        ('up{job="a",x!~"b|c",}', True),
        ("{__name__=~\"a.*\", b='c'}", True),
        ("up{}", True),
        ("rate(up[5m])", False),
        ("up + 0", False),
        ("up offset 5m", False),
        ('up{job="a"} > 1', False),
        ('up{job="a\\"} + vector(1)"}', True),
    ],
)
def test_only_a_plain_selector_is_asked_for_its_samples(server, tmp_path, query, plain, monkeypatch):
    asked = []

    def fetch(url, path, params, **more):
        asked.append((path, params["query"]))
        return json.dumps(answer()).encode()

    monkeypatch.setattr(prometheus, "fetch", fetch)
    prometheus.pull("http://x", query, "2025-11-18T11:20:00Z", "2025-11-18T12:20:00Z", "15s", into=tmp_path)
    assert asked == [("/api/v1/query", f"{query}[3600001ms]") if plain else ("/api/v1/query_range", query)]


def test_pieces_of_an_expression_hold_each_point_of_the_grid_once(tmp_path, monkeypatch):
    asked = []

    def fetch(url, path, params, **more):
        asked.append((Decimal(params["start"]), Decimal(params["end"]), Decimal(params["step"])))
        return json.dumps(answer()).encode()

    monkeypatch.setattr(prometheus, "fetch", fetch)
    start = pd.Timestamp("2025-11-18T00:00:00Z")
    prometheus.pull("http://x", "rate(m[1m])", start, start + timedelta(hours=10), "1500ms", into=tmp_path)
    points = [begin + n * step for begin, end, step in asked for n in range(int((end - begin) / step) + 1)]
    assert points == [Decimal(int(start.timestamp())) + n * Decimal("1.5") for n in range(24001)]
    assert all((end - begin) / step < 11000 for begin, end, step in asked) and len(asked) == 3


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("file:///etc/passwd", "wanted an address"),
        ("http://me:pw@localhost", "without name"),
        ("http://127.0.0.1:9", "no answer"),
    ],
)
def test_a_server_that_cannot_be_asked_is_an_error_without_secrets(tmp_path, url, word):
    with pytest.raises(InputError, match=word) as error:
        prometheus.pull(url, "m", "2025-11-18T11:20:00Z", "2025-11-18T11:20:01Z", "1s", into=tmp_path)
    assert "pw" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_pull_without_end_or_zone_or_with_a_point_too_large_is_refused(server, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no time zone"):
        prometheus.pull(address(server), "m", "2025-11-18 11:20", "2025-11-18T11:20:01Z", "1s", into=tmp_path)
    with pytest.raises(InputError, match="after the start"):
        prometheus.pull(address(server), "m", "2025-11-18T11:20:02Z", "2025-11-18T11:20:01Z", "1s", into=tmp_path)
    monkeypatch.setattr(prometheus, "MAX_ANSWER", 10)
    with pytest.raises(UnsafeInput, match="one point"):
        prometheus.pull(address(server), "m", "2025-11-18T11:20:00Z", "2025-11-18T11:20:01Z", "1s", into=tmp_path)


# Alertmanager

BEGIN, END = "2025-11-18T11:20:00.5Z", "2025-11-18T11:42:10Z"


def alert(status="firing", summary="lag 3", fingerprint="ab12", **more):
    labels = {"alertname": "Lag", "service": "web", "job": "node", "severity": "critical"}
    return {
        "status": status,
        "labels": labels,
        "annotations": {"summary": summary},
        "startsAt": BEGIN,
        "endsAt": END if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "http://p/graph",
        "fingerprint": fingerprint,
        **more,
    }


def notice(*alerts, **more):
    return {
        "receiver": "hook",
        "status": "firing",
        "alerts": list(alerts),
        "groupKey": "{}",
        "version": "4",
        "truncatedAlerts": 0,
        **more,
    }


def state(items):
    """What of events does not depend on the place."""
    return sorted((i.native_id, json.dumps([i.raw, i.fields], sort_keys=True, default=str)) for i in items)


def test_a_firing_alert_begins_at_starts_at_and_has_no_end(tmp_path):
    items, rejects = read(alertmanager.FORMAT, tmp_path / "a.json", notice(alert()))
    assert rejects == [] and len(items) == 1
    fields = items[0].fields
    assert fields["time"].ns == nanoseconds(2025, 11, 18, 11, 20) + 5 * 10**8 and fields.get("time_end") is None
    assert (fields["system"], fields["kind"], fields["severity"]) == ("web", "alert", "critical")
    assert fields["message"] == "Lag firing: lag 3" and fields["ref"] == "ab12"
    assert "0001-01-01" not in json.dumps(items[0].raw)


def test_a_resolved_notice_tells_of_begin_and_end(tmp_path):
    both, _ = read(alertmanager.FORMAT, tmp_path / "a.json", notice(alert("resolved")))
    assert [item.fields["time"].ns for item in both] == [
        nanoseconds(2025, 11, 18, 11, 20) + 5 * 10**8,
        nanoseconds(2025, 11, 18, 11, 42, 10),
    ]
    assert [item.fields["attributes"]["status"] for item in both] == ["firing", "resolved"]
    fired, _ = read(alertmanager.FORMAT, tmp_path / "b.json", notice(alert()))
    assert (fired[0].native_id, fired[0].raw) == (both[0].native_id, both[0].raw)
    assert both[0].native_id != both[1].native_id


def test_repeated_notices_with_other_texts_are_one_event_in_any_order(tmp_path):
    notices = (*(notice(alert(summary=f"lag {n}")) for n in (3, 9, 1)), notice(alert("resolved", "lag 0")))
    items, rejects = read(alertmanager.FORMAT, tmp_path / "a.jsonl", notices)
    again, _ = read(alertmanager.FORMAT, tmp_path / "b.jsonl", notices[::-1])
    assert rejects == [] and len(items) == 2 and state(items) == state(again)
    assert column(items, "message") == ["Lag firing: lag 1", "Lag resolved: lag 0"]
    parts = [read(alertmanager.FORMAT, tmp_path / "c.jsonl", part)[0] for part in (notices[:3], notices[1:])]
    ids = {(item.native_id, json.dumps(item.raw, sort_keys=True)) for item in items}
    assert {(item.native_id, json.dumps(item.raw, sort_keys=True)) for part in parts for item in part} == ids


def test_the_list_of_the_api_gives_the_same_event_as_the_notice_and_no_guessed_end(tmp_path):
    listed = alert(
        endsAt="2025-11-18T11:24:00Z", updatedAt=BEGIN, receivers=[{"name": "hook"}],
        status={"state": "suppressed", "silencedBy": ["x"], "inhibitedBy": []},
    )  # fmt: skip
    items, rejects = read(alertmanager.FORMAT, tmp_path / "a.json", [listed])
    fired, _ = read(alertmanager.FORMAT, tmp_path / "b.json", notice(alert()))
    assert rejects == [] and state(items) == state(fired)
    grouped, _ = read(
        alertmanager.FORMAT, tmp_path / "c.json", [{"labels": {}, "receiver": {"name": "hook"}, "alerts": [listed]}]
    )
    assert state(grouped) == state(fired)


def test_digits_that_the_list_cuts_off_make_no_other_alert(tmp_path):
    texts = ("2025-11-18T11:20:00.123456789Z", "2025-11-18T11:20:00.123Z", "2025-11-18T12:20:00.1234+01:00")
    items, _ = read(alertmanager.FORMAT, tmp_path / "a.json", notice(*(alert(startsAt=text) for text in texts)))
    assert len(items) == 1
    other, _ = read(alertmanager.FORMAT, tmp_path / "b.json", notice(alert(startsAt="2025-11-18T11:20:00.124Z")))
    assert other[0].native_id != items[0].native_id


def test_alerts_that_fire_again_or_have_other_labels_are_other_events(tmp_path):
    items, _ = read(
        alertmanager.FORMAT, tmp_path / "a.json", notice(alert(), alert(startsAt=END), alert(fingerprint="cd34"))
    )
    assert len({item.native_id for item in items}) == 3


def test_a_broken_alert_costs_only_itself_and_alerts_left_out_are_told(tmp_path):
    broken = [alert("resolved", endsAt="soon"), {"status": "firing"}, 7, alert("pending")]
    items, rejects = read(alertmanager.FORMAT, tmp_path / "a.json", notice(*broken, alert(), truncatedAlerts=4))
    assert [item.locator for item in items] == ["/alerts/4"]
    assert len(rejects) == 5 and "left '4' alerts out" in rejects[-1].reason


# Grafana


def annotation(**more):
    return {
        "id": 1124, "alertId": 0, "dashboardId": 468, "dashboardUID": "uGlb_lG7z", "panelId": 2, "userId": 1,
        "userName": "", "newState": "", "prevState": "", "time": 1507266395000, "timeEnd": 1507266395000,
        "text": "test", "metric": "", "tags": ["tag1", "tag2"], "data": {}, **more,
    }  # fmt: skip


def test_an_annotation_is_an_event_at_its_millisecond(tmp_path):
    items, rejects = read(
        grafana.FORMAT, tmp_path / "a.json",
        [annotation(login="ada"), annotation(id=2, time=1507266395001, timeEnd=1507266400000, tags=["service:cart"])],
    )  # fmt: skip
    assert rejects == []
    assert [time.ns for time in column(items, "time")] == [
        nanoseconds(2017, 10, 6, 5, 6, 35) + n * 10**6 for n in (0, 1)
    ]
    assert [time.ns for time in column(items, "time_end")] == [None, nanoseconds(2017, 10, 6, 5, 6, 40)]
    assert column(items, "kind") == ["other", "other"] and column(items, "system") == ["", "cart"]
    assert column(items, "actor") == ["ada", ""] and column(items, "ref") == ["1124", "2"]
    assert column(items, "message") == ["test", "test"]


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"tags": ["Deployment", "prod"]}, "deploy"),
        ({"tags": ["event:release"]}, "deploy"),
        ({"tags": ["deploy", "rollback"]}, "rollback"),
        ({"tags": ["prerelease-notes", "deployer"]}, "other"),
        ({"newState": "Alerting", "prevState": "Normal", "alertName": "Lag", "tags": ["deploy"]}, "alert"),
        ({"tags": None}, "other"),
    ],
)
def test_the_kind_of_an_annotation_comes_from_states_and_tags(tmp_path, more, kind):
    items, _ = read(grafana.FORMAT, tmp_path / "a.json", [annotation(**more)])
    assert column(items, "kind") == [kind]


def test_a_change_of_state_is_told_in_the_message(tmp_path):
    items, _ = read(
        grafana.FORMAT, tmp_path / "a.json",
        [annotation(newState="Alerting", prevState="Normal", alertName="Lag", text=""), annotation(text="")],
    )  # fmt: skip
    assert column(items, "message") == ["Lag Normal -> Alerting", "(no text)"]


def test_an_annotation_without_a_readable_time_is_rejected_alone(tmp_path):
    items, rejects = read(grafana.FORMAT, tmp_path / "a.json", [annotation(time="soon"), annotation(), {"id": 1}, 3])
    assert len(items) == 1 and len(rejects) == 3


# Kubernetes


def core(**more):
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": "web.17",
            "namespace": "shop",
            "uid": "u1",
            "resourceVersion": "10",
            "creationTimestamp": "2025-11-18T11:20:01Z",
        },
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-7d9f-x2x", "uid": "p1"},
        "reason": "BackOff",
        "message": "Back-off restarting failed container",
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": "2025-11-18T11:20:00Z",
        "lastTimestamp": "2025-11-18T11:35:30Z",
        "count": 7,
        "type": "Warning",
        "eventTime": None,
        **more,
    }


def listed(*items):
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


def test_a_core_event_stands_for_its_count_between_two_times(tmp_path):
    items, rejects = read(kubernetes.FORMAT, tmp_path / "a.json", listed(core()))
    assert rejects == []
    fields = items[0].fields
    assert (fields["time"].ns, fields["time_end"].ns) == (
        nanoseconds(2025, 11, 18, 11, 20),
        nanoseconds(2025, 11, 18, 11, 35, 30),
    )
    assert (fields["count"], fields["severity"], fields["kind"], fields["system"]) == (
        7,
        "warning",
        "log",
        "web-7d9f-x2x",
    )
    assert fields["message"] == "BackOff: Back-off restarting failed container"
    assert fields["attributes"]["namespace"] == "shop" and fields["attributes"]["object_kind"] == "Pod"


def test_an_event_of_the_newer_api_is_read_with_its_microseconds(tmp_path):
    record = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"uid": "u2", "resourceVersion": "11", "namespace": "shop"},
        "regarding": {"kind": "Pod", "name": "web-1"},
        "eventTime": "2025-11-18T11:20:00.000001Z",
        "series": {"count": 3, "lastObservedTime": "2025-11-18T11:21:00.000000Z"},
        "deprecatedFirstTimestamp": None,
        "note": "no node fits",
        "reason": "FailedScheduling",
        "reportingController": "default-scheduler",
        "type": "Normal",
    }
    items, _ = read(kubernetes.FORMAT, tmp_path / "a.json", listed(record))
    fields = items[0].fields
    assert fields["time"].ns == nanoseconds(2025, 11, 18, 11, 20) + 1000
    assert fields["time_end"].ns == nanoseconds(2025, 11, 18, 11, 21)
    assert (fields["count"], fields["severity"], fields["message"]) == (3, "info", "FailedScheduling: no node fits")
    assert fields["attributes"]["component"] == "default-scheduler"


def test_an_event_that_happened_once_has_no_end_and_falls_back_on_its_creation(tmp_path):
    once = core(count=None, firstTimestamp=None, lastTimestamp=None)
    items, _ = read(kubernetes.FORMAT, tmp_path / "a.json", listed(once))
    fields = items[0].fields
    assert (fields["count"], fields["time"].ns, fields["time_end"].ns) == (
        1,
        nanoseconds(2025, 11, 18, 11, 20, 1),
        None,
    )


def test_an_event_that_was_last_seen_when_it_was_first_seen_has_no_end(tmp_path):
    items, _ = read(
        kubernetes.FORMAT, tmp_path / "a.json", listed(core(count=1, lastTimestamp=core()["firstTimestamp"]))
    )
    assert items[0].fields["time_end"].ns is None


def test_of_the_states_of_one_event_only_the_last_counts(tmp_path):
    def seen(count, version):
        metadata = {**core()["metadata"], "resourceVersion": version}
        return {"type": "MODIFIED", "object": core(count=count, metadata=metadata)}

    items, rejects = read(kubernetes.FORMAT, tmp_path / "a.jsonl", (seen(1, "10"), seen(2, "12"), seen(5, "19")))
    assert column(items, "count") == [5] and not rejects
    earlier, _ = read(kubernetes.FORMAT, tmp_path / "b.jsonl", (seen(2, "12"),))
    assert earlier[0].native_id == items[0].native_id


def test_managed_fields_do_not_make_another_record(tmp_path):
    shown = core(metadata={**core()["metadata"], "managedFields": [{"manager": "kubelet"}]})
    (one,), _ = read(kubernetes.FORMAT, tmp_path / "a.json", listed(core()))
    (two,), _ = read(kubernetes.FORMAT, tmp_path / "b.json", listed(shown))
    assert (one.native_id, one.raw) == (two.native_id, two.raw)


def test_what_is_no_event_or_has_a_broken_count_is_rejected(tmp_path):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"uid": "p"}}
    bad = core(count="many", metadata={"uid": "u9"})
    items, rejects = read(kubernetes.FORMAT, tmp_path / "a.json", listed(pod, bad, core()))
    assert len(items) == 1 and len(rejects) == 2 and "Pod" in rejects[0].reason


# OTLP


def pairs(**values):
    return [{"key": key.replace("_", "."), "value": value} for key, value in values.items()]


RESOURCE = {"attributes": pairs(service_name={"stringValue": "cart"}, host_name={"stringValue": "h1"})}


def logs(*records, resource=RESOURCE):
    scope = {"scope": {"name": "lib"}, "logRecords": list(records)}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}


def spans(*records, resource=RESOURCE):
    return {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "lib"}, "spans": list(records)}]}]
    }


def metrics(*records, resource=RESOURCE, scope="lib"):
    return {
        "resourceMetrics": [
            {"resource": resource, "scopeMetrics": [{"scope": {"name": scope}, "metrics": list(records)}]}
        ]
    }


def test_a_log_record_keeps_its_nanoseconds_level_body_and_ids(tmp_path):
    record = {
        "timeUnixNano": "1763464800123456789",
        "observedTimeUnixNano": "1763464801000000000",
        "severityNumber": 17,
        "severityText": "Error",
        "body": {"stringValue": "payment failed"},
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "EEE19B7EC3C1B174",
        "attributes": pairs(http_status={"intValue": "9223372036854775807"}, ok={"boolValue": False}),
    }
    items, rejects = read(otlp.FORMAT, tmp_path / "a.json", logs(record))
    assert rejects == []
    fields = items[0].fields
    assert fields["time"].ns == 1763464800123456789
    assert (fields["system"], fields["kind"], fields["severity"], fields["message"]) == (
        "cart",
        "log",
        17,
        "payment failed",
    )
    assert fields["trace_id"] == "5b8efff798038103d269b633813fc60c"
    assert fields["attributes"]["http.status"] == 2**63 - 1 and fields["attributes"]["ok"] is False
    assert fields["attributes"]["resource"] == {"host.name": "h1"} and fields["attributes"]["scope"] == "lib"
    assert items[0].locator == "/resourceLogs/0/scopeLogs/0/logRecords/0"


@given(st.integers(min_value=946684800 * 10**9, max_value=2840140800 * 10**9), st.booleans())
@settings(max_examples=60)
def test_every_nanosecond_survives(tmp_path_factory, ns, quoted):
    record = {"timeUnixNano": str(ns) if quoted else ns, "body": {"stringValue": "x"}}
    items, _ = read(otlp.FORMAT, tmp_path_factory.mktemp("o") / "a.json", logs(record))
    assert items[0].fields["time"].ns == ns


def test_a_log_without_its_own_time_has_the_one_of_who_saw_it_or_none(tmp_path):
    seen = "1763464801000000000"
    records = [
        {"timeUnixNano": "0", "observedTimeUnixNano": seen},
        {"observedTimeUnixNano": seen},
        {"timeUnixNano": 0},
        {},
    ]
    items, _ = read(otlp.FORMAT, tmp_path / "a.json", logs(*records))
    assert [time.ns for time in column(items, "time")] == [int(seen), int(seen), None, None]
    assert column(items, "message") == ["(no text)"] * 4


def test_nanoseconds_that_went_through_a_float_are_refused(tmp_path):
    items, rejects = read(otlp.FORMAT, tmp_path / "a.json", logs({"timeUnixNano": 1.763464800123456789e18}))
    assert items == [] and "a float loses digits" in rejects[0].reason


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"intValue": "12345678901234567"}, "12345678901234567"),
        ({"arrayValue": {"values": [{"stringValue": "a"}, {"doubleValue": 1.5}]}}, '["a",1.5]'),
        (
            {
                "kvlistValue": {
                    "values": [{"key": "k", "value": {"kvlistValue": {"values": []}}}, {"key": "n", "value": {}}]
                }
            },
            '{"k":{},"n":null}',
        ),
        ({"bytesValue": "AAE="}, "AAE="),
        ({"boolValue": True}, "true"),
        ({"arrayValue": {}}, "[]"),
        ({"stringValue": " "}, "(no text)"),
        (None, "(no text)"),
    ],
)
def test_any_value_becomes_text(tmp_path, body, message):
    items, _ = read(otlp.FORMAT, tmp_path / "a.json", logs({"timeUnixNano": "1763464800000000000", "body": body}))
    assert column(items, "message") == [message]


@pytest.mark.parametrize(
    ("number", "severity"),
    [
        (9, 9),
        (24, 24),
        ("SEVERITY_NUMBER_WARN", 13),
        ("SEVERITY_NUMBER_FATAL4", 24),
        ("SEVERITY_NUMBER_DEBUG2", 6),
        (0, "Notice"),
        (None, "Notice"),
    ],
)
def test_a_severity_is_a_number_or_its_name_else_the_word(tmp_path, number, severity):
    items, _ = read(otlp.FORMAT, tmp_path / "a.json", logs({"severityNumber": number, "severityText": "Notice"}))
    assert column(items, "severity") == [severity]


def test_a_severity_that_the_protocol_does_not_have_is_refused(tmp_path):
    records = [{"severityNumber": number} for number in (25, -1, True, "SEVERITY_NUMBER_LOUD", [])]
    items, rejects = read(otlp.FORMAT, tmp_path / "a.json", logs(*records))
    assert column(items, "severity") == [""] and len(rejects) == 4


def test_spans_give_their_ids_status_and_exceptions(tmp_path):
    failing = {
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "EEE19B7EC3C1B174",
        "parentSpanId": "EEE19B7EC3C1B173",
        "name": "charge",
        "kind": 2,
        "startTimeUnixNano": "1763464800000000001",
        "endTimeUnixNano": "1763464801000000000",
        "status": {"code": 2, "message": "boom"},
        "events": [
            {
                "timeUnixNano": "1763464800500000000",
                "name": "exception",
                "attributes": pairs(
                    exception_type={"stringValue": "IOError"}, exception_message={"stringValue": "disk full"}
                ),
            },
            {"timeUnixNano": "1763464800600000000", "name": "retry"},
        ],
    }
    root = {
        "traceId": "aa" * 16,
        "spanId": "bb" * 8,
        "parentSpanId": "0000000000000000",
        "status": {"code": "STATUS_CODE_OK"},
    }
    items, rejects = read(otlp.FORMAT, tmp_path / "a.json", {"result": spans(failing, root)})
    assert rejects == []
    one, two = (item.fields for item in items if item.table == "spans")
    assert one["time"].ns == 1763464800000000001
    assert {key: one[key] for key in ("trace_id", "span_id", "parent_id", "system", "name", "status")} == {
        "trace_id": "5b8efff798038103d269b633813fc60c",
        "span_id": "eee19b7ec3c1b174",
        "parent_id": "eee19b7ec3c1b173",
        "system": "cart",
        "name": "charge",
        "status": "error",
    }
    assert (two["parent_id"], two["status"], two["time"].ns) == ("", "ok", None)
    events = [item for item in items if item.table == "events"]
    assert column(events, "severity") == [17, ""] and column(events, "message") == ["IOError: disk full", "retry"]
    assert set(column(events, "trace_id")) == {one["trace_id"]} and set(column(events, "kind")) == {"log"}
    assert events[0].locator == "/result/resourceSpans/0/scopeSpans/0/spans/0/events/0"


def test_points_of_every_kind_of_metric_become_values(tmp_path):
    at = {"timeUnixNano": "1763464800000000000"}
    where = {**at, "attributes": pairs(route={"stringValue": "/a"}, code={"intValue": "200"})}
    found = metrics(
        {"name": "mem", "gauge": {"dataPoints": [{**at, "asDouble": 1.5}]}},
        {
            "name": "req",
            "sum": {
                "aggregationTemporality": 2,
                "isMonotonic": True,
                "dataPoints": [{**where, "asInt": "9007199254740993"}],
            },
        },
        {
            "name": "lag",
            "histogram": {
                "dataPoints": [
                    {**at, "count": "4", "sum": 10.0, "max": 7, "bucketCounts": ["1", "3"], "explicitBounds": [1]}
                ]
            },
        },
        {"name": "exp", "exponentialHistogram": {"dataPoints": [{**at, "count": "2", "min": 0}]}},
        {
            "name": "gc",
            "summary": {
                "dataPoints": [{**at, "count": "3", "sum": 6, "quantileValues": [{"quantile": 0.99, "value": 3}, {}]}]
            },
        },
    )
    items, rejects = read(otlp.FORMAT, tmp_path / "a.json", found)
    assert rejects == []
    got = {item.fields["metric"].replace('{host.name="h1"}', ""): item.fields["value"] for item in items}
    assert got == {
        "mem": 1.5,
        'req{code="200",host.name="h1",route="/a"}': "9007199254740993",
        "lag_count": "4", "lag_sum": 10.0, "lag_max": 7,
        "exp_count": "2", "exp_min": 0,
        "gc_count": "3", "gc_sum": 6, 'gc{host.name="h1",quantile="0.99"}': 3, 'gc{host.name="h1",quantile="0"}': 0,
    }  # fmt: skip
    assert {item.fields["time"].ns for item in items} == {1763464800 * 10**9} and set(column(items, "system")) == {
        "cart"
    }


def test_a_point_that_says_nothing_was_recorded_is_missing_not_zero(tmp_path):
    points = [{"timeUnixNano": "1763464800000000000", "flags": 1}, {"timeUnixNano": "1763464801000000000"}]
    items, rejects = read(otlp.FORMAT, tmp_path / "a.json", metrics({"name": "mem", "gauge": {"dataPoints": points}}))
    assert column(items, "value") == [""] and "without asInt or asDouble" in rejects[0].reason


def test_instances_and_hosts_are_told_apart_and_two_scopes_are_not_mixed(tmp_path):
    point = {"timeUnixNano": "1763464800000000000", "asInt": "1"}
    gauge = {"name": "up", "gauge": {"dataPoints": [point]}}
    only_host = {"attributes": pairs(host_name={"stringValue": "h9"})}
    one, two = (
        {"attributes": pairs(service_name={"stringValue": "cart"}, service_instance_id={"stringValue": i})}
        for i in "ab"
    )
    found = (
        *(metrics(gauge, resource=resource) for resource in (only_host, one, two)),
        metrics(gauge, resource=two, scope="other"),
    )
    items, rejects = read(otlp.FORMAT, tmp_path / "a.jsonl", found)
    assert list(zip(column(items, "system"), column(items, "metric"), strict=True)) == [
        ("h9", "up"),
        ("cart", 'up{service.instance.id="a"}'),
        ("cart", 'up{service.instance.id="b"}'),
    ]
    assert len(rejects) == 1 and "two scopes" in rejects[0].reason and rejects[0].locator.startswith("line 4 ")


def test_lines_of_all_signals_are_read_and_bad_ones_are_rejected_with_their_place(tmp_path):
    good = (logs({"body": {"stringValue": "x"}}), spans({"traceId": "aa", "spanId": "bb"}))
    text = "".join(json.dumps(line) + "\n" for line in good)
    text += '{"resourceLogs": [7, {"scopeLogs": [{"logRecords": {}}, 8]}]}\n{"x": 1}\n{"resourceSpans": [\n'
    text += json.dumps(spans({"name": "no ids"})) + "\n" + json.dumps(metrics({"name": "m"})) + "\n"
    items, rejects = read(otlp.FORMAT, tmp_path / "a.jsonl", text)
    assert [item.table for item in items] == ["events", "spans"]
    assert [reject.locator for reject in rejects] == [
        "line 3 /resourceLogs/0",
        "line 3 /resourceLogs/1/scopeLogs/0/logRecords",
        "line 3 /resourceLogs/1/scopeLogs/1",
        "line 4",
        "line 5",
        "line 6 /resourceSpans/0/scopeSpans/0/spans/0",
        "line 7 /resourceMetrics/0/scopeMetrics/0/metrics/0",
    ]


# All of them

EXAMPLES = {
    "prometheus": answer(series([[1763464800, "1"]], name="up", job="a")),
    "alertmanager": notice(alert("resolved")),
    "grafana": [annotation()],
    "kubernetes": listed(core()),
    "otlp": logs({"timeUnixNano": "1763464800000000000", "attributes": pairs(a={"stringValue": "b"})}),
}


def test_each_format_knows_its_own_files_and_no_other():
    more = [
        ("prometheus", {"request": {}, "window": [], "response": EXAMPLES["prometheus"]}),
        ("alertmanager", [alert()]),
        ("kubernetes", {"type": "ADDED", "object": core()}),
        (
            "kubernetes",
            {"kind": "EventList", "items": [{k: v for k, v in core().items() if k not in ("kind", "apiVersion")}]},
        ),
        ("otlp", {"result": spans()}),
    ]
    for name, document in [*EXAMPLES.items(), *more]:
        known = [
            form.name for form in FORMATS if form.recognise(Head("x.json", json.dumps(document), document=document))
        ]
        assert known == [name], (name, known)
    for document in (
        None,
        [],
        {},
        [1],
        {"data": 1},
        {"items": [1], "kind": "List"},
        {"alerts": [1]},
        {"id": 1, "time": 1},
    ):
        assert not any(form.recognise(Head("x.json", json.dumps(document), document=document)) for form in FORMATS)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def places(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


def changed(value, path, new):
    if not path:
        return new
    out = dict(value) if isinstance(value, dict) else list(value)
    out[path[0]] = changed(value[path[0]], path[1:], new)
    return out


RICH = {
    **EXAMPLES,
    "otlp": {
        **EXAMPLES["otlp"],
        **spans(
            {
                "traceId": "aa",
                "spanId": "bb",
                "status": {"code": 1},
                "events": [{"name": "exception", "attributes": []}],
            }
        ),
        **metrics(
            {
                "name": "m",
                "summary": {
                    "dataPoints": [{"timeUnixNano": "1763464800000000000", "count": "1", "quantileValues": [{}]}]
                },
            }
        ),
    },
}


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_value_anywhere_is_read_or_refused_with_a_reason(form, tmp_path_factory, data):
    example = RICH[form.name]
    path = data.draw(st.sampled_from(list(places(example))))
    document = changed(example, path, data.draw(_JSON))
    try:
        items, rejects = read(form, tmp_path_factory.mktemp("f") / "a.json", document)
    except InputError as error:
        assert str(error)
        return
    assert all(item.reason for item in rejects)
    for item in items:
        assert item.fields["time"].ns is None or isinstance(item.fields["time"].ns, int)
        assert item.table != "events" or item.fields["message"]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_file_that_is_something_else_is_named(form, tmp_path):
    with pytest.raises(InputError, match=r"a\.json"):
        read(form, tmp_path / "a.json", "not json at all")

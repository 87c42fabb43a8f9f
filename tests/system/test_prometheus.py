"""Real Prometheus and Alertmanager servers: an incident of the past is written to them and read back equal."""

import contextlib
import itertools
import json
import shutil
import socket
import subprocess
import threading
import time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from rca.incident.model import Source
from rca.sources.formats import alertmanager, prometheus

pytestmark = pytest.mark.system

FIRST = 1763452800_250  # milliseconds: 2025-11-18T08:00:00.250Z
SECONDS = 12_600  # more than the 11,000 points that one answer may hold
HOLE = range(5_000, 5_180)  # three minutes: less than the five that a query looks back
WAIT = 30


def program(name):
    found = shutil.which(name)
    if not found:
        pytest.fail(
            f"{name} is not installed: apt-get install --no-install-recommends prometheus prometheus-alertmanager"
        )
    return found


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def until(condition, what):
    """Wait until `condition` holds, or fail with what was waited for."""
    late = time.monotonic() + WAIT
    while time.monotonic() < late:
        with contextlib.suppress(requests.ConnectionError):
            if found := condition():
                return found
        time.sleep(0.1)
    return pytest.fail(f"not within {WAIT} s: {what}")


@contextlib.contextmanager
def running(command, address, log):
    """A server that is ready, stopped at the end."""
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            until(
                lambda: process.poll() is not None or requests.get(f"http://{address}/-/ready", timeout=5).ok,
                command[0],
            )
            assert process.poll() is None, log.read_text()
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(WAIT)


def read(form, path):
    return list(form.read(path, Source(id="x", file="x", reader=form.name)))


def written():
    """What is stored: (series, milliseconds, value as text); the lag of the first service has a hole."""
    for number in range(SECONDS):
        if number not in HOLE:
            yield "scoring-api", FIRST + 1000 * number, f"{number / 8}"
    for number in range(0, SECONDS, 15):
        yield "web", FIRST + 1000 * number + number % 7, "NaN" if number % 45 == 0 else f"-{number}"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    lines = ["# TYPE lag_seconds gauge"]
    lines += [f'lag_seconds{{service="{name}",zone="b"}} {value} {Decimal(at) / 1000}' for name, at, value in written()]
    (folder / "past.txt").write_text("\n".join([*lines, "# EOF", ""]))
    subprocess.run(
        [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", folder / "past.txt", folder / "data"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    address = free_address()
    command = [
        program("prometheus"), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=50y", f"--web.listen-address={address}",
    ]  # fmt: skip
    with running(command, address, folder / "log") as url:
        yield url


def times_of(milliseconds):
    return [f"{name}T{clock}Z" for name, clock in (stamp.split("T") for stamp in map(iso, milliseconds))]


def iso(milliseconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000)) + f".{milliseconds % 1000:03d}"


def test_samples_come_back_equal_and_the_hole_is_still_there(server, tmp_path):
    start, end = times_of((FIRST, FIRST + 1000 * SECONDS))
    path = prometheus.pull(server, "lag_seconds", start, end, "1s", into=tmp_path)
    items = read(prometheus.FORMAT, path)
    got = sorted((i.fields["system"], i.fields["time"].ns, i.fields["value"]) for i in items)
    assert got == sorted((name, at * 10**6, value.removesuffix(".0")) for name, at, value in written())
    assert {i.fields["metric"] for i in items} == {'lag_seconds{zone="b"}'}
    assert len(path.read_bytes().splitlines()) == 2
    seen = [ns for name, ns, _ in got if name == "scoring-api"]
    gaps = [(before, after) for before, after in itertools.pairwise(seen) if after - before > 10**9]
    assert gaps == [tuple((FIRST + 1000 * number) * 10**6 for number in (HOLE.start - 1, HOLE.stop))]


def test_a_part_is_read_to_the_millisecond_of_both_ends(server, tmp_path):
    start, end = times_of((FIRST + 60_000, FIRST + 119_999))
    path = prometheus.pull(server, 'lag_seconds{service="scoring-api"}', start, end, "1s", into=tmp_path)
    assert [i.fields["time"].ns // 10**6 for i in read(prometheus.FORMAT, path)] == [
        FIRST + 1000 * n for n in range(60, 120)
    ]


def test_an_expression_is_asked_point_by_point_and_hides_the_hole(server, tmp_path):
    start, end = times_of((FIRST, FIRST + 1000 * SECONDS))
    path = prometheus.pull(server, 'lag_seconds{service="scoring-api"} * 2', start, end, "1s", into=tmp_path)
    found = {i.fields["time"].ns // 10**6: i.fields for i in read(prometheus.FORMAT, path)}
    assert [FIRST + 1000 * number in found for number in HOLE] == [True] * len(HOLE)
    assert float(found[FIRST + 1000 * 100]["value"]) == 2 * 100 / 8
    assert found[FIRST]["metric"] == 'lag_seconds{service="scoring-api"} * 2{zone="b"}'


def test_what_the_server_refuses_is_an_error_in_its_own_words(server, tmp_path):
    with pytest.raises(prometheus.InputError, match=r"HTTP 400.*parse error"):
        prometheus.pull(server, "sum(", *times_of((FIRST, FIRST + 1000)), "1s", into=tmp_path)


class _Hook(BaseHTTPRequestHandler):
    """Where Alertmanager sends its notifications."""

    def do_POST(self):
        self.server.notices.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def hook():
    with HTTPServer(("127.0.0.1", 0), _Hook) as server:
        server.notices = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_alert_is_one_firing_and_one_resolved_event_however_often_it_is_told(hook, tmp_path):
    route = "{receiver: hook, group_wait: 0s, group_interval: 1s, repeat_interval: 1s}"
    hooks = f"[{{url: 'http://127.0.0.1:{hook.server_address[1]}/'}}]"
    (tmp_path / "am.yml").write_text(f"route: {route}\nreceivers: [{{name: hook, webhook_configs: {hooks}}}]\n")
    address = free_address()
    command = [
        program("prometheus-alertmanager"), f"--config.file={tmp_path / 'am.yml'}", f"--storage.path={tmp_path / 'am'}",
        f"--web.listen-address={address}", "--cluster.listen-address=",
    ]  # fmt: skip
    begin, end = "2025-11-18T09:23:20.5Z", "2025-11-18T09:41:00Z"
    alert = {"labels": {"alertname": "Lag", "service": "scoring-api", "severity": "page"}, "startsAt": begin}

    def tell(url, **more):
        requests.post(f"{url}/api/v2/alerts", json=[{**alert, **more}], timeout=5).raise_for_status()

    def heard(word):
        return any(word in notice for notice in hook.notices)

    with running(command, address, tmp_path / "log") as url:
        tell(url, annotations={"summary": "lag 31"})
        until(lambda: heard("lag 31"), "the first notice")
        tell(url, annotations={"summary": "lag 47"})
        until(lambda: heard("lag 47"), "the repeated notice")
        listed = read(alertmanager.FORMAT, alertmanager.pull(url, into=tmp_path))
        tell(url, annotations={"summary": "lag 47"}, endsAt=end)
        until(lambda: heard('"status":"resolved"'), "the notice of the end")
    path = tmp_path / "hook.jsonl"
    path.write_text("".join(json.dumps(json.loads(notice)) + "\n" for notice in hook.notices))
    fired, resolved = read(alertmanager.FORMAT, path)
    assert (fired.fields["time"].ns, resolved.fields["time"].ns) == (1763457800_500_000_000, 1763458860_000_000_000)
    assert (fired.fields["system"], fired.fields["severity"]) == ("scoring-api", "page")
    assert (fired.fields["message"], resolved.fields["message"]) == ("Lag firing: lag 31", "Lag resolved: lag 47")
    assert [(item.native_id, item.raw) for item in listed] == [(fired.native_id, fired.raw)]

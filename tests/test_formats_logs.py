"""Formats of logs: syslog, containers, JSON, access logs, PostgreSQL, CloudTrail, Cloud Logging, Splunk, Elasticsearch.

Inputs are written here from the documented formats; times are checked against the standard library's clock.
"""

import datetime as dt
import json

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from rca.incident.model import Source
from rca.sources import years
from rca.sources.continuation import join
from rca.sources.formats import (
    accesslog,
    cloudtrail,
    container,
    elastic,
    gcplog,
    jsonlog,
    postgres,
    splunk,
    syslog,
)
from rca.sources.items import Head, Item, Reject

MODULES = (accesslog, cloudtrail, container, elastic, gcplog, jsonlog, postgres, splunk, syslog)
BERLIN = {"zone": "Europe/Berlin", "year": 2025}


def ns(*parts, hours=0, nanoseconds=0):
    """Nanoseconds of a wall time that is `hours` ahead of UTC, by whole-number arithmetic of the standard library."""
    stamp = dt.datetime(*parts, tzinfo=dt.timezone(dt.timedelta(hours=hours)))
    return (stamp - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * 1000 + nanoseconds


def read(module, folder, text, *, name="x.log", **time):
    """What a format makes of a file."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    source = Source(id="x", file=name, reader=module.FORMAT.name, time=time)
    return list(module.FORMAT.read(path, source))


def one(module, folder, text, **more):
    """The only item of a file."""
    (item,) = read(module, folder, text, **more)
    assert isinstance(item, Item), item
    return item


def jsonl(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def head(text, name="x.log"):
    try:
        document = json.loads(text)
    except ValueError:
        try:
            document = json.loads(text.partition("\n")[0])
        except ValueError:
            document = None
    columns = tuple(text.partition("\n")[0].replace('"', "").split(",")) if name.endswith(".csv") else ()
    return Head(name, text, text.encode(), document, columns)


# syslog


def test_rfc_3164_is_read_with_the_declared_year_and_zone(tmp_path):
    item = one(syslog, tmp_path, "<34>Oct 11 22:14:15 mymachine su[231]: 'su root' failed\n", **BERLIN)
    assert item.fields["time"] == (ns(2025, 10, 11, 22, 14, 15, hours=2), "Oct 11 22:14:15", "declared")
    assert item.fields["system"] == "su"
    assert item.fields["severity"] == 18  # 34 = facility 4, level 2 (critical): ERROR2
    assert item.fields["message"] == "'su root' failed"
    assert item.fields["attributes"] == {"host": "mymachine", "pid": "231", "facility": "auth"}
    assert (item.position, item.locator, item.raw[:4]) == (1, "line 1", "<34>")


def test_rfc_3164_without_priority_has_no_severity(tmp_path):
    item = one(syslog, tmp_path, "Feb  5 17:32:18 10.0.0.99 Use the BFG!\n", **BERLIN)
    assert item.fields["time"].ns == ns(2025, 2, 5, 17, 32, 18, hours=1)
    assert (item.fields["system"], item.fields["severity"], item.fields["message"]) == ("10.0.0.99", "", "Use the BFG!")


@pytest.mark.parametrize(("level", "number"), list(enumerate([21, 19, 18, 17, 13, 10, 9, 5])))
def test_levels_are_mapped_as_the_log_data_model_does(tmp_path, level, number):
    item = one(syslog, tmp_path, f"<{23 * 8 + level}>Oct 11 22:14:15 h a: m\n", **BERLIN)
    assert (item.fields["severity"], item.fields["attributes"]["facility"]) == (number, "local7")


@pytest.mark.parametrize(("time", "missing"), [({"year": 2025}, "zone"), ({"zone": "Europe/Berlin"}, "year")])
def test_rfc_3164_without_a_declared_zone_or_year_is_refused(tmp_path, time, missing):
    (reject,) = read(syslog, tmp_path, "Oct 11 22:14:15 host app: m\n", **time)
    assert isinstance(reject, Reject)
    assert f"has no {'time zone' if missing == 'zone' else 'year'}" in reject.reason


def test_the_year_goes_up_at_new_year_and_a_late_line_stays_in_the_old_one(tmp_path):
    days = ["Nov  1", "Dec 31", "Jan  1", "Dec 31", "Jan  2", "Mar  1", "Dec 24", "Jan  3"]
    items = read(syslog, tmp_path, "".join(f"{day} 12:00:00 h a: m\n" for day in days), zone="UTC", year=2024)
    years = [dt.datetime.fromtimestamp(item.fields["time"].ns // 10**9, dt.UTC).year for item in items]
    assert years == [2024, 2024, 2025, 2024, 2025, 2025, 2025, 2026]


def test_a_small_step_back_in_time_keeps_the_year(tmp_path):
    items = read(syslog, tmp_path, "Aug 31 23:59:59 h a: m\nMar 1 00:00:00 h a: m\n", zone="UTC", year=2024)
    assert items[1].fields["time"].ns == ns(2024, 3, 1)


def test_a_step_back_of_more_than_half_a_year_is_a_new_year(tmp_path):
    _, spring = read(syslog, tmp_path, "Oct 31 12:00:00 h a: m\nMar  1 12:00:00 h a: m\n", zone="UTC", year=2024)
    assert spring.fields["time"].ns == ns(2025, 3, 1, 12)
    _, december = read(syslog, tmp_path, "Jan 31 12:00:00 h a: m\nDec  1 12:00:00 h a: m\n", zone="UTC", year=2024)
    assert december.fields["time"].ns == ns(2024, 12, 1, 12)


def test_the_stretch_of_a_file_is_that_of_its_lines_without_a_year(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("Dec 30 23:00:00 h a: m\nno time\nJan  2 01:00:00 h a: m\n2030-01-01T00:00:00Z h a: m\n")
    berlin = Source(id="x", file="x.log", reader="syslog", time={"zone": "Europe/Berlin", "year": 2025})
    assert years.spans(berlin, {"x.log": path}) == [(ns(2025, 12, 30, 22), ns(2026, 1, 2, 0))]
    path.write_text("2030-01-01T00:00:00Z h a: m\n")
    assert (syslog.stretch(path), years.spans(berlin, {"x.log": path})) == (None, [])
    path.write_text("Feb 29 01:00:00 h a: m\n")
    assert years.spans(berlin, {"x.log": path}) == []  # 2025 has no such day


@pytest.mark.parametrize(
    ("text", "as_of", "year"),
    [
        ("Dec 30 10:00:00 h a: m\n", "2026-01-05", 2025),
        ("Jan  2 10:00:00 h a: m\n", "2026-01-05", 2026),
        ("Dec 30 10:00:00 h a: m\nJan  6 10:00:00 h a: m\n", "2026-01-05", 2024),
        ("Jan  1 10:00:00 h a: m\nDec  1 10:00:00 h a: m\nFeb  1 10:00:00 h a: m\n", "2026-01-05", 2024),
        ("Feb 29 10:00:00 h a: m\n", "2027-01-05", 2024),
        ("Feb 30 10:00:00 h a: m\n", "2027-01-05", None),
    ],
)
def test_the_latest_year_is_the_last_with_no_time_after_as_of(tmp_path, text, as_of, year):
    path = tmp_path / "x.log"
    path.write_text(text)
    source = Source(id="x", file="x.log", reader="syslog", time={"zone": "UTC"})
    assert years.latest(path, source, pd.Timestamp(as_of, tz="UTC")) == year


def test_29_february_needs_a_leap_year(tmp_path):
    text = "Feb 29 10:00:00 h a: m\n"
    assert one(syslog, tmp_path, text, zone="UTC", year=2024).fields["time"].ns == ns(2024, 2, 29, 10)
    (reject,) = read(syslog, tmp_path, text, zone="UTC", year=2025)
    assert "does not exist in 2025" in reject.reason


def test_a_local_hour_that_clocks_skip_is_refused_and_one_that_they_repeat_is_read_both_ways(tmp_path):
    (reject,) = read(syslog, tmp_path, "Mar 30 02:30:00 h a: m\n", **BERLIN)
    assert "clocks go forward and skip it" in reject.reason
    (item,) = read(syslog, tmp_path, "Oct 26 02:30:00.5 h a: m\n", **BERLIN)
    both = [fields["time"].ns for fields in (item.fields, item.other)]
    assert both == [ns(2025, 10, 26, hour, 30, 0, 500_000) for hour in (0, 1)]


def test_rfc_5424_with_structured_data_and_byte_order_mark(tmp_path):
    text = (
        "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 ID47 "
        '[exampleSDID@32473 iut="3" eventSource="App\\"lication\\]" eventID="1011"][x@1] \ufeffIt is time\n'
    )
    item = one(syslog, tmp_path, text)
    assert item.fields["time"].ns == ns(2003, 8, 24, 5, 14, 15, 3, hours=-7)
    assert item.fields["time"].basis == "explicit"
    assert (item.fields["system"], item.fields["severity"], item.fields["message"]) == ("myproc", 10, "It is time")
    attributes = item.fields["attributes"]
    assert attributes["structured_data"]["exampleSDID@32473"] == {
        "iut": "3",
        "eventSource": 'App"lication]',
        "eventID": "1011",
    }
    assert (attributes["msgid"], attributes["pid"], attributes["facility"]) == ("ID47", "8710", "local4")


def test_rfc_5424_nil_values_leave_fields_empty(tmp_path):
    item = one(syslog, tmp_path, "<14>1 - - - - - -\n")
    assert item.fields["time"].ns is None
    assert (item.fields["system"], item.fields["message"]) == ("", "(no text)")
    assert item.fields["attributes"] == {"facility": "user"}


def test_rsyslog_file_format_and_continuation_lines(tmp_path):
    text = (
        "2025-11-18T12:20:00.123456+01:00 web1 kernel: [12.5] oops\n"
        "\tat frame 1\n"
        "2025-11-18T12:20:01+01:00 WARNING client[7]: careful\n"
    )
    first, second = read(syslog, tmp_path, text)
    assert first.fields["time"].ns == ns(2025, 11, 18, 11, 20, 0, 123456)
    assert (first.locator, first.fields["system"]) == ("lines 1-2", "kernel")
    assert first.fields["message"] == "[12.5] oops\n\tat frame 1"
    assert (second.position, second.fields["severity"], second.fields["system"]) == (3, 13, "client")


def test_syslog_refuses_what_is_no_message_and_keeps_the_rest(tmp_path):
    text = b"hello\n<999>Oct 11 22:14:15 h a: m\n\xff\xfe\nOct 11 22:14:15 h a: m\n"
    found = read(syslog, tmp_path, text, **BERLIN)
    assert [type(item).__name__ for item in found] == ["Reject", "Reject", "Reject", "Item"]
    assert "PRI 999" in found[1].reason


@given(st.lists(st.sampled_from(["a", " b", "\tc", "d"]), max_size=12))
def test_joining_lines_loses_no_text_and_keeps_the_order(texts):
    records = [(number, f"line {number}", text) for number, text in enumerate(texts, start=1)]
    joined = list(join(iter(records)))
    assert "\n".join(text for _, _, text in joined) == "\n".join(texts)
    assert [number for number, _, _ in joined] == sorted(number for number, _, _ in joined)
    assert not any(text[0].isspace() for _, _, text in joined[1:])


# container


def test_cri_parts_of_one_stream_are_joined_in_nanoseconds(tmp_path):
    text = (
        "2025-11-18T11:20:00.123456789Z stdout P one \n"
        "2025-11-18T11:20:00.123456790Z stderr F other\n"
        "2025-11-18T11:20:00.5Z stdout F two\n"
        "2025-11-18T12:20:01.000000001+01:00 stdout F \n"
    )
    name = f"web-7d4f9_shop_nginx-{'0a' * 32}.log"
    other, joined, empty = read(container, tmp_path, text, name=name)
    assert other.fields["message"] == "other"
    assert joined.fields["message"] == "one two"
    assert joined.fields["time"].ns == ns(2025, 11, 18, 11, 20, nanoseconds=123456789)
    assert joined.fields["time_end"].ns == ns(2025, 11, 18, 11, 20, 0, 500000)
    assert joined.fields["system"] == "nginx"
    assert joined.fields["attributes"] == {"stream": "stdout", "pod": "web-7d4f9", "namespace": "shop"}
    assert empty.fields["message"] == "(no text)"
    assert empty.fields["time"].ns == ns(2025, 11, 18, 11, 20, 1, nanoseconds=1)


def test_parts_far_apart_or_cut_by_the_end_of_the_file_are_not_joined(tmp_path):
    text = (
        "2016-10-06T00:17:09.6Z stdout P begun\n"
        "2024-04-16T06:21:39.0Z stdout F another\n"
        "2024-04-16T06:21:40.0Z stdout P cut\n"
    )
    items = read(container, tmp_path, text)
    assert [item.fields["message"] for item in items] == ["begun", "another", "cut"]
    assert [item.fields["attributes"].get("partial", False) for item in items] == [True, False, True]
    assert [item.position for item in items] == sorted(item.position for item in items)


def test_parts_whose_time_runs_back_are_not_joined(tmp_path):
    text = "2025-11-18T11:20:05Z stdout P a\n2025-11-18T11:20:00Z stdout F b\n"
    assert [item.fields["message"] for item in read(container, tmp_path, text)] == ["a", "b"]


def test_docker_json_file_is_joined_where_docker_cut(tmp_path):
    text = jsonl(
        {"log": "a" * 16384, "stream": "stdout", "time": "2025-11-18T11:20:00.1Z"},
        {"log": "z\n", "stream": "stdout", "time": "2025-11-18T11:20:00.123456789Z"},
        {"log": 5, "stream": "stdout", "time": "2025-11-18T11:20:00Z"},
        {"log": "last words", "stream": "stderr", "time": "2025-11-18T11:20:02Z"},
        {"log": "after the restart\n", "stream": "stderr", "attrs": {"tag": "shop"}, "time": "2025-11-18T11:20:03Z"},
    )
    joined, reject, last, tagged = read(container, tmp_path, text)
    assert joined.fields["message"] == "a" * 16384 + "z"
    assert (joined.position, joined.locator) == (2, "line 1 to line 2")
    assert isinstance(reject, Reject)
    assert (last.fields["message"], tagged.fields["message"]) == ("last words", "after the restart")
    assert tagged.fields["attributes"] == {"stream": "stderr", "attrs": {"tag": "shop"}}


# JSON logs


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (  # pino
            {"level": 50, "time": 1763464800123, "pid": 7, "hostname": "h", "name": "shop", "msg": "no"},
            (ns(2025, 11, 18, 11, 20, 0, 123000), "assumed", "shop", 17, "no"),
        ),
        (  # bunyan
            {
                "name": "shop",
                "hostname": "h",
                "pid": 7,
                "level": 30,
                "msg": "ok",
                "time": "2025-11-18T11:20:00.123Z",
                "v": 0,
            },
            (ns(2025, 11, 18, 11, 20, 0, 123000), "explicit", "shop", 9, "ok"),
        ),
        (  # zap
            {"level": "dpanic", "ts": 1763464800.5, "caller": "a.go:1", "msg": "bad"},
            (ns(2025, 11, 18, 11, 20, 0, 500000), "assumed", "", 18, "bad"),
        ),
        (  # structlog
            {"event": "started", "level": "info", "timestamp": "2025-11-18T11:20:00.000001Z", "logger": "a"},
            (ns(2025, 11, 18, 11, 20, 0, 1), "explicit", "", "info", "started"),
        ),
        (  # Logback
            {"@timestamp": "2025-11-18T12:20:00.123+01:00", "message": "m", "level": "WARN", "logger_name": "x"},
            (ns(2025, 11, 18, 11, 20, 0, 123000), "explicit", "", "WARN", "m"),
        ),
        (  # ECS, dotted
            {"@timestamp": "2025-11-18T11:20:00Z", "log.level": "error", "message": "m", "service.name": "pay"},
            (ns(2025, 11, 18, 11, 20), "explicit", "pay", "error", "m"),
        ),
        (  # ECS, nested
            {
                "@timestamp": "2025-11-18T11:20:00Z",
                "log": {"level": "error"},
                "message": "m",
                "service": {"name": "pay"},
            },
            (ns(2025, 11, 18, 11, 20), "explicit", "pay", "error", "m"),
        ),
        (  # GELF
            {"version": "1.1", "host": "h", "short_message": "m", "timestamp": 1763464800, "level": 3, "_app": "x"},
            (ns(2025, 11, 18, 11, 20), "assumed", "", 17, "m"),
        ),
        (  # nanoseconds do not pass through float
            {"time": 1763464800123456789, "level": "INFO", "msg": "m", "app": "a"},
            (ns(2025, 11, 18, 11, 20, nanoseconds=123456789), "assumed", "a", "INFO", "m"),
        ),
    ],
)
def test_the_common_loggers_are_read(tmp_path, record, expected):
    item = one(jsonlog, tmp_path, jsonl(record))
    fields = item.fields
    found = (fields["time"].ns, fields["time"].basis, fields["system"], fields["severity"], fields["message"])
    assert found == expected
    assert jsonlog.recognise(head(jsonl(record)))


def test_trace_ids_and_other_fields_are_kept(tmp_path):
    record = {"ts": "2025-11-18T11:20:00Z", "level": "info", "msg": "m", "traceId": "4bf9", "user": 7, "flag": False}
    item = one(jsonlog, tmp_path, jsonl(record))
    assert item.fields["trace_id"] == "4bf9"
    assert item.fields["attributes"] == {"user": 7, "flag": False}
    assert item.raw == record


@pytest.mark.parametrize("number", [0, 176346480, 17634648001, 17634648001234, 17634648001234567, -1763464800])
def test_a_count_of_unclear_unit_is_refused(tmp_path, number):
    (reject,) = read(jsonlog, tmp_path, jsonl({"time": number, "level": "info", "msg": "m"}))
    assert isinstance(reject, Reject)


def test_a_declared_format_wins_over_digits(tmp_path):
    item = one(jsonlog, tmp_path, jsonl({"time": 1763464800123, "level": "info", "msg": "m"}), format="epoch_ms")
    assert item.fields["time"].basis != "assumed"
    (reject,) = read(jsonlog, tmp_path, jsonl({"time": 1763464800123, "level": "info", "msg": "m"}), format="epoch_s")
    assert isinstance(reject, Reject)


def test_a_json_log_without_a_zone_needs_the_declared_one(tmp_path):
    text = jsonl({"asctime": "2025-11-18 12:20:00,123", "levelname": "ERROR", "message": "m"})
    (reject,) = read(jsonlog, tmp_path, text)
    assert "time zone" in reject.reason
    item = one(jsonlog, tmp_path, text, zone="Europe/Berlin")
    assert item.fields["time"][::2] == (ns(2025, 11, 18, 11, 20, 0, 123000), "declared")


def test_a_numeric_level_of_an_unknown_scale_says_nothing(tmp_path):
    item = one(jsonlog, tmp_path, jsonl({"ts": "2025-11-18T11:20:00Z", "level": 40, "message": "m"}))
    assert (item.fields["severity"], item.fields["attributes"]) == ("", {"level": 40})


# access logs

COMBINED = (
    '203.0.113.9 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif?token=x HTTP/1.0" 500 2326 '
    '"http://www.example.com/start.html" "Mozilla/4.08 \\"x\\" [en] (Win98; I ;Nav)"'
)


def test_the_combined_format(tmp_path):
    item = one(accesslog, tmp_path, COMBINED + "\n")
    fields = item.fields
    assert fields["time"] == (ns(2000, 10, 10, 13, 55, 36, hours=-7), "10/Oct/2000:13:55:36 -0700", "explicit")
    assert (fields["severity"], fields["message"], fields["actor"]) == (17, "GET /apache_pb.gif 500", "frank")
    assert fields["attributes"] == {
        "request": "GET /apache_pb.gif?token=x HTTP/1.0",
        "status": 500,
        "bytes": 2326,
        "client": "203.0.113.9",
        "referer": "http://www.example.com/start.html",
        "agent": 'Mozilla/4.08 "x" [en] (Win98; I ;Nav)',
    }


@pytest.mark.parametrize(
    ("line", "system", "client", "message"),
    [
        ('::1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 304 -', "", "::1", "GET / 304"),
        ('2001:db8::7 - - [10/Oct/2000:13:55:36 +0000] "-" 408 0 "-" "-"', "", "2001:db8::7", "(no request) 408"),
        (
            'a.example:443 2001:db8::7 - - [10/Oct/2000:13:55:36 +0000] "OPTIONS * HTTP/1.0" 200 0 "-" "x"',
            "a.example", "2001:db8::7", "OPTIONS * 200",
        ),
        ('www.a.example 10.0.0.1 ident bob [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5', "www.a.example", "10.0.0.1", "GET / 200"),
        ('10.0.0.1 - John Doe [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5', "", "10.0.0.1", "GET / 200"),
        ('10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] "" 400 0', "", "10.0.0.1", "(no request) 400"),
        ('10.0.0.1 - - [2000-10-10T13:55:36+00:00] "GET / HTTP/1.1" 200 5', "", "10.0.0.1", "GET / 200"),
        ('10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] "GET /a\\"b HTTP/1.1" 200 5', "", "10.0.0.1", 'GET /a"b 200'),
        ('10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] "GET /"x" HTTP/1.1" 200 5 "-" "cut', "", "10.0.0.1", 'GET /"x" 200'),
        (
            '10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] "\\x16\\x03\\x01" 400 226 "-" "-"',
            "", "10.0.0.1", "(bad request) '\\\\x16\\\\x03\\\\x01' 400",
        ),
    ],
)  # fmt: skip
def test_variants_of_access_lines(tmp_path, line, system, client, message):
    item = one(accesslog, tmp_path, line + "\n")
    assert (item.fields["system"], item.fields["attributes"]["client"], item.fields["message"]) == (
        system,
        client,
        message,
    )
    assert dt.datetime.fromtimestamp(item.fields["time"].ns // 10**9, dt.UTC).hour == 13
    assert accesslog.recognise(head(line + "\n"))


@pytest.mark.parametrize(("status", "severity"), [(200, 9), (304, 9), (400, 13), (499, 13), (500, 17), (503, 17)])
def test_severity_follows_the_status(tmp_path, status, severity):
    line = f'10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" {status} 5\n'
    assert one(accesslog, tmp_path, line).fields["severity"] == severity


def test_bad_access_lines_are_refused_with_a_reason(tmp_path):
    text = (
        '10.0.0.1 - - [10/Xxx/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5\n'
        '10.0.0.1 - - [32/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 5\n'
        '10.0.0.1 - - [10/Oct/2000:13:55:36] "GET / HTTP/1.1" 200 5\n'
        "nothing\n"
        "# a comment\n"
    )
    assert all(isinstance(item, Reject) for item in read(accesslog, tmp_path, text))
    assert len(read(accesslog, tmp_path, text)) == 4


ALB = (
    "https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 "
    '0.037 502 200 0 57 "GET https://www.example.com:443/a?b=c HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 '
    "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "
    '"Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "arn:aws:acm:us-east-2:123456789012:certificate/1" 1 '
    '2018-07-02T22:22:48.364000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1'
)


def test_an_application_load_balancer(tmp_path):
    fields = one(accesslog, tmp_path, ALB + "\n").fields
    assert fields["time"].ns == ns(2018, 7, 2, 22, 23, 0, 186641)
    assert (fields["system"], fields["severity"]) == ("my-loadbalancer", 17)
    assert fields["message"] == "GET https://www.example.com:443/a 502"
    assert fields["trace_id"] == "1-58337281-1d84f3d73c47ec4e58577259"
    attributes = fields["attributes"]
    assert float(attributes["seconds"]) == pytest.approx(0.171)
    assert (attributes["domain"], attributes["created"]) == ("www.example.com", "2018-07-02T22:22:48.364000Z")
    assert (attributes["bytes"], attributes["status"], attributes["connection"]) == (57, 502, "TID_1")


def test_a_classic_load_balancer_without_an_answer(tmp_path):
    line = (
        "2015-05-13T23:39:43.945958Z my-lb [2001:db8::1]:2817 - -1 -1 -1 504 0 0 0 "
        '"GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -\n'
        '2015-05-13T23:39:43.945958Z my-lb 192.168.131.39:2817 10.0.0.1:80 0.001069 0.000028 0.000041 - - 82 305 "- - - " "-" - -\n'
    )
    http, tcp = read(accesslog, tmp_path, line)
    assert (http.fields["severity"], http.fields["message"]) == (17, "GET http://www.example.com:80/ 504")
    assert "seconds" not in http.fields["attributes"]
    assert (tcp.fields["severity"], tcp.fields["message"]) == ("", "(no request)")


def test_a_network_load_balancer_needs_a_zone(tmp_path):
    line = (
        "tls 2.0 2018-12-20T02:59:40 net/my-nlb/c6e77e28c25b2234 g3d4b5e8bb8464cd 72.21.218.154:51341 172.100.100.185:443 "
        "5 2 98 246 48 arn:aws:acm:us-east-2:1:certificate/2 - ECDHE-RSA-AES128-SHA tlsv12 - nlb.example.com h2 h2 "
        '"h2","http/1.1" 2020-04-01T08:51:20\n'
    )
    (reject,) = read(accesslog, tmp_path, line)
    assert "time zone" in reject.reason
    fields = one(accesslog, tmp_path, line, zone="UTC").fields
    assert (fields["time"].ns, fields["time"].basis) == (ns(2018, 12, 20, 2, 59, 40), "declared")
    assert (fields["system"], fields["severity"]) == ("my-nlb", 13)
    assert fields["message"] == "TLS connection to nlb.example.com, alert 48"


@given(st.text(alphabet='"\\ ab[]-0', max_size=60))
def test_any_request_an_attacker_writes_ends_in_a_row_or_a_reason(tmp_path_factory, request_line):
    escaped = request_line.replace("\\", "\\\\").replace('"', '\\"')
    line = f'10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] "{escaped}" 200 5 "-" "agent"\n'
    item = one(accesslog, tmp_path_factory.mktemp("x"), line)
    assert item.fields["attributes"].get("request", "-") in (request_line, "-")
    assert item.fields["attributes"]["agent"] == "agent"
    assert item.fields["attributes"]["status"] == 200


# PostgreSQL


def test_postgres_with_user_database_and_continuation(tmp_path):
    text = (
        '2025-11-18 11:20:00.123 UTC [4711] app@shop ERROR:  relation "x" does not exist at character 15\n'
        "2025-11-18 11:20:00.123 GMT [4711] app@shop STATEMENT:  select *\n"
        "\t  from x\n"
        "2025-11-18 11:20:01 +0530 [12-1] user=bob,db=shop,app=psql,client=10.0.0.1 LOG:  done: ERROR: not this\n"
        "2025-11-18 11:20:02.5 UTC [9] PANIC:  53100: could not write\n"
    )
    error, statement, done, panic = read(postgres, tmp_path, text)
    assert error.fields["time"] == (ns(2025, 11, 18, 11, 20, 0, 123000), "2025-11-18 11:20:00.123 UTC", "explicit")
    assert (error.fields["severity"], error.fields["system"]) == (17, "postgresql")
    assert error.fields["attributes"]["pid"] == "4711"
    assert (error.fields["attributes"]["user"], error.fields["attributes"]["database"]) == ("app", "shop")
    assert statement.fields["message"] == "STATEMENT: select *\n\t  from x"
    assert (statement.fields["severity"], statement.locator) == ("", "lines 2-3")
    assert done.fields["time"].ns == ns(2025, 11, 18, 11, 20, 1, hours=5.5)
    assert done.fields["message"] == "done: ERROR: not this"
    assert done.fields["attributes"]["database"] == "shop"
    assert (panic.fields["severity"], panic.fields["attributes"]["code"]) == (24, "53100")


def test_an_abbreviated_zone_must_be_that_of_the_declared_one(tmp_path):
    text = "2025-10-26 02:30:00.5 CEST [1] LOG:  first\n2025-10-26 02:30:00.5 CET [1] LOG:  second\n"
    assert all("abbreviation" in item.reason for item in read(postgres, tmp_path, text))
    first, second = read(postgres, tmp_path, text, zone="Europe/Berlin")  # the hour that occurs twice
    assert first.fields["time"][::2] == (ns(2025, 10, 26, 0, 30, 0, 500000), "declared")
    assert second.fields["time"].ns == ns(2025, 10, 26, 1, 30, 0, 500000)
    assert all("Australia/Sydney" in item.reason for item in read(postgres, tmp_path, text, zone="Australia/Sydney"))
    (skipped,) = read(postgres, tmp_path, "2025-03-30 02:30:00 CET [1] LOG:  x\n", zone="Europe/Berlin")
    assert isinstance(skipped, Reject)


# CloudTrail


def call(**more):
    return {
        "eventVersion": "1.08",
        "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::123456789012:assumed-role/admin/alice"},
        "eventTime": "2025-11-18T11:20:00Z",
        "eventSource": "ec2.amazonaws.com",
        "eventName": "StopInstances",
        "awsRegion": "eu-central-1",
        "requestID": "r-1",
        "eventID": "e-1",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        **more,
    }


def test_a_cloudtrail_log_file(tmp_path):
    text = json.dumps({"Records": [call(), call(eventID="e-2", errorCode="AccessDenied", errorMessage="no")]})
    good, refused = read(cloudtrail, tmp_path, text)
    assert good.fields["time"] == (ns(2025, 11, 18, 11, 20), "2025-11-18T11:20:00Z", "explicit")
    assert (good.native_id, good.locator, good.fields["ref"]) == ("e-1", "/Records/0", "r-1")
    assert (good.fields["kind"], good.fields["actor"], good.fields["system"]) == (
        "config_change",
        "alice",
        "ec2.amazonaws.com",
    )
    assert good.fields["message"] == "StopInstances"
    assert (refused.fields["kind"], refused.fields["severity"]) == ("audit", 17)
    assert refused.fields["message"] == "StopInstances (AccessDenied: no)"


@pytest.mark.parametrize(
    "more",
    [
        {"readOnly": True},
        {"eventCategory": "Data", "managementEvent": False},
        {"eventType": "AwsServiceEvent"},
        {"eventSource": "sts.amazonaws.com"},
        {"readOnly": None},
    ],
)
def test_calls_that_change_no_setting_are_audit(tmp_path, more):
    assert one(cloudtrail, tmp_path, jsonl(call(**more))).fields["kind"] == "audit"


def test_lookup_events_gives_the_same_event_as_the_log_file(tmp_path):
    wrapper = {
        "EventId": "e-1",
        "EventTime": "2025-11-18 22:20:00+11:00",
        "Username": "alice",
        "Resources": [{"ResourceType": "AWS::EC2::Instance", "ResourceName": "i-1"}],
        "CloudTrailEvent": json.dumps(call()),
    }
    wrapped = one(cloudtrail, tmp_path, json.dumps({"Events": [wrapper]}))
    bare = one(cloudtrail, tmp_path, jsonl(call()))
    assert (wrapped.native_id, wrapped.fields["time"]) == (bare.native_id, bare.fields["time"])
    assert wrapped.fields["message"] == "StopInstances i-1"
    bad = read(cloudtrail, tmp_path, jsonl({"CloudTrailEvent": "{"}, {"EventId": "x"}, {"CloudTrailEvent": "[]"}))
    assert all(isinstance(item, Reject) for item in bad)


# Cloud Logging


def entry(**more):
    return {
        "insertId": "abc",
        "logName": "projects/p/logs/run.googleapis.com%2Fstderr",
        "resource": {"type": "cloud_run_revision", "labels": {"service_name": "shop"}},
        "receiveTimestamp": "2025-11-18T11:20:01.5Z",
        "timestamp": "2025-11-18T11:20:00.123456789Z",
        "severity": "ERROR",
        **more,
    }


def test_text_and_json_payloads_of_cloud_logging(tmp_path):
    text = json.dumps(
        [
            entry(textPayload="boom\n", trace="projects/p/traces/4bf9"),
            entry(insertId="b", jsonPayload={"message": "hi", "a": 1}, severity="DEFAULT"),
            entry(insertId="c", jsonPayload={"a": 1}, severity=400),
            entry(insertId="d", httpRequest={"requestMethod": "GET", "requestUrl": "https://a/b?c=d", "status": 500}),
        ]
    )
    boom, hi, plain, request = read(gcplog, tmp_path, text)
    assert boom.fields["time"].ns == ns(2025, 11, 18, 11, 20, nanoseconds=123456789)
    assert (boom.fields["system"], boom.fields["message"], boom.fields["severity"]) == ("shop", "boom", "ERROR")
    assert (boom.fields["kind"], boom.fields["trace_id"]) == ("log", "4bf9")
    assert (hi.fields["message"], hi.fields["severity"]) == ("hi", "")
    assert (plain.fields["message"], plain.fields["severity"]) == ('{"a": 1}', "WARNING")
    assert request.fields["message"] == "GET https://a/b 500"
    assert len({item.native_id for item in (boom, hi, plain, request)}) == 4


def test_audit_entries_of_cloud_logging(tmp_path):
    log = "projects/p/logs/cloudaudit.googleapis.com%2Factivity"
    payload = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "authenticationInfo": {"principalEmail": "a@example.com"},
        "methodName": "v1.compute.firewalls.insert",
        "resourceName": "projects/p/global/firewalls/f",
        "serviceName": "compute.googleapis.com",
    }
    denied = {**payload, "status": {"code": 7, "message": "denied"}}
    begun = entry(logName=log, protoPayload=payload, operation={"id": "op-1", "first": True})
    done = entry(logName=log, insertId="2", protoPayload=payload, operation={"id": "op-1", "last": True})
    refused = entry(logName=log, insertId="3", protoPayload=denied)
    looked = entry(logName=log.replace("activity", "data_access"), insertId="4", protoPayload=payload)
    items = read(gcplog, tmp_path, jsonl(begun, done, refused, looked))
    assert [item.fields["kind"] for item in items] == ["config_change", "audit", "audit", "audit"]
    assert items[0].fields["message"] == "v1.compute.firewalls.insert projects/p/global/firewalls/f"
    assert (items[0].fields["actor"], items[0].fields["ref"]) == ("a@example.com", "op-1")
    assert items[0].fields["system"] == "compute.googleapis.com"
    assert items[2].fields["message"].endswith("(denied)")


def test_one_insert_id_at_two_times_or_in_two_logs_is_two_events(tmp_path):
    later = entry(timestamp="2025-11-18T11:20:00.123456790Z")
    other = entry(logName="projects/p/logs/x")
    items = read(gcplog, tmp_path, jsonl(entry(), later, other))
    assert len({item.native_id for item in items}) == 3


def test_an_entry_without_a_timestamp_is_undated(tmp_path):
    record = entry(textPayload="m")
    del record["timestamp"]
    fields = one(gcplog, tmp_path, jsonl(record)).fields
    assert fields["time"].ns is None
    assert fields["time_latest"].ns == ns(2025, 11, 18, 11, 20, 1, 500000)


# Splunk


def test_a_splunk_export_of_json_lines(tmp_path):
    result = {
        "_time": "2025-11-18T12:20:00.123+01:00",
        "_raw": "level=error boom",
        "host": "web1",
        "source": "/var/log/x",
        "sourcetype": "app",
        "log_level": "ERROR",
        "_bkt": "main~1~G",
        "_cd": "1:22",
        "tag": ["a", "b"],
    }
    text = jsonl(
        {"preview": True, "offset": 0, "result": result},
        {"preview": False, "offset": 0, "result": result},
        {
            "preview": False,
            "offset": 1,
            "lastrow": True,
            "result": {**result, "_time": "1763464800.250", "_cd": "1:23"},
        },
        {"preview": False, "lastrow": True},
    )
    preview, first, second = read(splunk, tmp_path, text)
    assert "preview" in preview.reason
    assert first.fields["time"].ns == ns(2025, 11, 18, 11, 20, 0, 123000)
    assert (first.fields["system"], first.fields["severity"], first.fields["message"]) == (
        "web1",
        "ERROR",
        "level=error boom",
    )
    assert first.native_id == "main~1~G 1:22"
    assert first.fields["attributes"] == {"source": "/var/log/x", "sourcetype": "app", "tag": ["a", "b"]}
    assert second.fields["time"].ns == ns(2025, 11, 18, 11, 20, 0, 250000)


def test_a_splunk_document_and_csv_hold_the_same(tmp_path):
    row = {"_time": "2025-11-18T12:20:00.123+0100", "host": "web1", "_raw": 'a "b",\nc'}
    document = one(splunk, tmp_path, json.dumps({"preview": False, "results": [row]}))
    csv = '"_time",host,"_raw"\n"2025-11-18T12:20:00.123+0100",web1,"a ""b"",\nc"\n'
    table = one(splunk, tmp_path, csv, name="x.csv")
    assert table.fields == document.fields
    assert table.fields["message"] == 'a "b",\nc'
    assert (document.locator, table.locator) == ("/results/0", "row 1")


def test_splunk_rows_without_a_time_or_zone_are_refused(tmp_path):
    csv = "_time,_raw\n,x\n2025-11-18 12:20:00,y\n2025-11-18T12:20:00Z\n2025-11-18T12:20:00Z,z\n"
    found = read(splunk, tmp_path, csv, name="x.csv")
    assert [type(item).__name__ for item in found] == ["Reject", "Reject", "Reject", "Item"]
    assert [item.position for item in found] == [1, 2, 3, 4]


# Elasticsearch


def hit(number=1, **source):
    return {
        "_index": "logs",
        "_id": str(number),
        "_source": {"@timestamp": "2025-11-18T11:20:00.123456789Z", "message": "m", **source},
    }


def test_a_search_answer_says_when_hits_are_missing(tmp_path):
    answer = {"took": 1, "hits": {"total": {"value": 12, "relation": "eq"}, "hits": [hit(1), hit(2)]}}
    first, second, reject = read(elastic, tmp_path, json.dumps(answer))
    assert (first.native_id, first.locator) == ("logs/1", "/hits/hits/0")
    assert first.fields["time"].ns == ns(2025, 11, 18, 11, 20, nanoseconds=123456789)
    assert second.native_id == "logs/2"
    assert "12" in reject.reason and "2" in reject.reason
    answer["hits"]["total"] = 2
    assert len(read(elastic, tmp_path, json.dumps(answer))) == 2


def test_ecs_documents_dumped_as_lines(tmp_path):
    text = jsonl(
        hit(
            1,
            log={"level": "warn"},
            service={"name": "pay"},
            user={"name": "bob"},
            event={"kind": "alert"},
            trace={"id": "4b"},
        ),
        {**hit(1), "_version": 3},
        {"_index": "logs", "_id": "9", "fields": {"@timestamp": ["2025-11-18T11:20:00Z"], "message": ["f"]}},
        {"@timestamp": "2025-11-18T11:20:00Z", "message": "bare", "host": {"name": "web1"}},
        {"_index": "logs", "_id": "5", "_source": {"message": "m"}},
    )
    alert, third, listed, bare, reject = read(elastic, tmp_path, text)
    fields = alert.fields
    assert (fields["kind"], fields["system"], fields["severity"], fields["actor"]) == ("alert", "pay", "warn", "bob")
    assert fields["trace_id"] == "4b"
    assert third.native_id == alert.native_id and third.fields["attributes"]["_version"] == 3
    assert (listed.fields["message"], bare.fields["message"], bare.fields["system"]) == ("f", "bare", "web1")
    assert bare.native_id == ""
    assert isinstance(reject, Reject)


# all

SAMPLES = {
    "syslog": ["<34>Oct 11 22:14:15 h su: m\n", "<34>1 2025-11-18T11:20:00Z h a - - - m\n", "2025-11-18T11:20:00+01:00 h a[1]: m x y z 1 2\n"],
    "container": ["2025-11-18T11:20:00.1Z stdout F a: b\n", jsonl({"log": "m\n", "stream": "stdout", "time": "2025-11-18T11:20:00Z"})],
    "jsonlog": [jsonl({"time": "2025-11-18T11:20:00Z", "level": "info", "msg": "m"})],
    "accesslog": [COMBINED + "\n", ALB + "\n"],
    "postgres": ["2025-11-18 11:20:00.123 UTC [1] LOG:  m\n"],
    "cloudtrail": [json.dumps({"Records": [call()]}), jsonl({"EventId": "e", "CloudTrailEvent": json.dumps(call())})],
    "gcplog": [jsonl(entry(textPayload="m")), json.dumps([entry(textPayload="m")])],
    "splunk": [jsonl({"preview": False, "result": {"_time": "1763464800", "_raw": "m"}}), json.dumps({"results": [{"_time": "1", "host": "h"}]})],
    "elastic": [jsonl(hit(log={"level": "info"})), json.dumps({"took": 1, "hits": {"hits": [hit()]}})],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in SAMPLES.items() for text in texts])
def test_each_format_recognises_its_own_and_no_other(name, text):
    assert [module.FORMAT.name for module in MODULES if module.recognise(head(text))] == [name]


def test_a_splunk_table_is_recognised_by_its_columns():
    text = '"_time","_raw"\n'
    assert [m.FORMAT.name for m in MODULES if m.recognise(head(text, "x.csv"))] == ["splunk"]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.FORMAT.name)
@given(data=st.data())
def test_damaged_files_end_in_rows_and_reasons(tmp_path_factory, module, data):
    text = data.draw(st.sampled_from(SAMPLES[module.FORMAT.name]))
    at = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 6))
    damaged = text[:at] + data.draw(st.text(max_size=4)) + text[at + length :]
    folder = tmp_path_factory.mktemp("x")
    (folder / "x.log").write_bytes(damaged.encode("utf-8", "surrogatepass"))
    source = Source(id="x", file="x.log", reader=module.FORMAT.name, time=BERLIN)
    try:
        found = list(module.FORMAT.read(folder / "x.log", source))
    except ValueError as error:  # the file as a whole: an InputError with the file's name
        assert "x.log" in str(error)
        return
    assert all(item.fields["message"] if isinstance(item, Item) else item.reason for item in found)
    positions = [item.position for item in found]
    assert positions == sorted(positions)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.FORMAT.name)
def test_reading_twice_gives_the_same(tmp_path, module):
    text = SAMPLES[module.FORMAT.name][0]
    assert read(module, tmp_path, text, **BERLIN) == read(module, tmp_path, text, **BERLIN)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        (syslog, "Oct 11 22:14:15 h " + "a" * 200_000),
        (syslog, "<1>1 - - - - - [a " + 'b="c" ' * 30_000),
        (syslog, "<1>1 - - - - - " + '[a b="' * 30_000),
        (accesslog, "a " * 100_000),
        (accesslog, '1 - - [10/Oct/2000:13:55:36 +0000] "' + '" 20' * 50_000),
        (accesslog, '1 - - [10/Oct/2000:13:55:36 +0000] "' + "\\" * 100_000),
        (accesslog, '1 - - [10/Oct/2000:13:55:36 +0000] "x" 200 1 ' + '"a ' * 50_000),
        (postgres, "2025-11-18 11:20:00 UTC " + "[1] " * 50_000),
        (container, "2025-11-18T11:20:00Z stdout " + "P:" * 50_000),
    ],
)
def test_hostile_lines_do_not_hang(tmp_path, module, line):
    assert len(read(module, tmp_path, line + "\n", **BERLIN)) == 1

"""Queries over stored events: the same answers as plain Python gives over all of them, and only what is needed is read."""

import hashlib
import itertools
import json
import math
from collections import Counter, defaultdict

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from pyarrow import parquet

from rca import schema, sources
from rca.conclusions import Analysis
from rca.errors import InputError, MissingFile, UnknownName
from rca.incident import Incident
from rca.incident.model import IncidentFile
from rca.sources import query
from rca.sources.query import repeated, within
from rca.sources.stored import NEVER, arrow_schema

SECOND = 10**9
BASE = 1_763_464_800 * SECOND  # 2025-11-18T11:20:00Z, as `date -u -d @1763464800` says
MINUTE = pd.Timedelta("1min")


def at(ns):
    return pd.Timestamp(ns, tz="UTC")


def rows_of(*events):
    """Events with what a test does not say filled in, in the order of the store."""
    out = []
    for number, event in enumerate(events, start=1):
        own = {"time_ns": BASE, "system": "web", "kind": "log", "severity": None, "message": "m", "source": "a"}
        row = dict.fromkeys(arrow_schema("events").names, "") | own | {"count": 1, "position": number, "offset_ns": 0}
        row |= {"event_id": number, "raw_sha256": hashlib.sha256(b"%d" % number).digest()}
        out.append(row | dict.fromkeys(("time_end_ns", "time_earliest_ns", "time_latest_ns")) | event)
    return sorted(
        out, key=lambda row: (NEVER if row["time_ns"] is None else row["time_ns"], row["source"], row["position"])
    )


def write(path, rows, size=2):
    parquet.write_table(pa.Table.from_pylist(rows, schema=arrow_schema("events")), path, row_group_size=size)
    return path


@pytest.fixture
def store(tmp_path):
    return lambda *events, **how: write(tmp_path / "events.parquet", rows_of(*events), **how)


def ids(found):
    return [int(text, 16) for text in found.rows["event_id"]]


HALVES = st.none() | st.integers(-5, 5).map(lambda part: BASE + part * SECOND // 2)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "time_ns": HALVES,
            "time_earliest_ns": HALVES,
            "time_latest_ns": HALVES,
            "system": st.sampled_from(["web", "db", ""]),
            "kind": st.sampled_from(["log", "deploy"]),
            "severity": st.none() | st.integers(1, 24),
            "message": st.sampled_from(["Timeout of db", "100% of TIMEOUT_S", "äRGER", "", "x'; --"]),
            "source": st.sampled_from(["a", "b"]),
            "count": st.integers(1, 3),
        }
    ),
    max_size=12,
)
EDGES = st.none() | st.integers(-6, 6).map(lambda part: BASE + part * SECOND // 2)
TEXTS = st.sampled_from(["", "timeout", "T", "%", "_", "ärger", "ÄRGER", "'; --", ".", "absent"])


def matches(row, how):
    """Whether a row is asked for but for its time, in plain Python."""
    if (how["systems"] and row["system"] not in how["systems"]) or (how["kinds"] and row["kind"] not in how["kinds"]):
        return False
    if how["text"].lower() not in row["message"].lower():
        return False
    return how["min_severity"] is None or (row["severity"] or 0) >= how["min_severity"]


def extent(row):
    """First and last moment at which an event can have been; None where nothing is known."""
    if row["time_ns"] is not None:
        return row["time_ns"], row["time_ns"]
    early, late = row["time_earliest_ns"], row["time_latest_ns"]
    if early is None and late is None:
        return None
    if early is not None and late is not None:
        return min(early, late), max(early, late)
    return (-math.inf, late) if early is None else (early, math.inf)


def lies(row, start, end):
    """Where a row lies: "in", "perhaps", "out" of the window, or "undated"; tried with each moment that it can have."""
    if extent(row) is None:
        return "undated"
    first, last = extent(row)
    # All edges are at whole half seconds, so that these and the quarters between stand for all moments.
    moments = [edge + BASE for edge in range(-4 * SECOND, 4 * SECOND + 1, SECOND // 4)]
    possible = [ns for ns in moments if first <= ns <= last]
    inside = [(start is None or ns >= start) and (end is None or ns < end) for ns in possible]
    return "in" if all(inside) else "perhaps" if any(inside) else "out"


def place(row):
    known = [row["time_ns"]] if row["time_ns"] is not None else [row["time_earliest_ns"], row["time_latest_ns"]]
    return min(ns for ns in known if ns is not None), row["source"], row["position"]


@settings(max_examples=30, deadline=None)
@given(EVENTS, EDGES, EDGES, TEXTS, st.none() | st.integers(1, 24), st.booleans(), st.booleans(), st.integers(1, 6))
def test_answers_are_those_of_plain_python(
    tmp_path_factory, events, start, end, text, least, by_system, by_kind, limit
):
    rows = rows_of(*events)
    path = write(tmp_path_factory.mktemp("q") / "events.parquet", rows)
    if start is not None and end is not None and start >= end:
        start = None
    how = {
        "systems": ["web"] if by_system and any(row["system"] == "web" for row in rows) else [],
        "kinds": ["deploy"] if by_kind else [], "text": text, "min_severity": least,
    }  # fmt: skip
    edges = [None if edge is None else at(edge) for edge in (start, end)]
    asked = [(row, lies(row, start, end)) for row in rows if matches(row, how)]
    undated = [row for row, where in asked if where == "undated"]
    wanted = sorted((row for row, where in asked if where in ("in", "perhaps")), key=place)
    wanted += undated if start is None and end is None else []
    perhaps = {row["event_id"] for row, where in asked if where == "perhaps"}

    found = query.window(path, *edges, **how, limit=limit)
    assert ids(found) == [row["event_id"] for row in wanted[:limit]]
    assert found.perhaps == tuple(row["event_id"] in perhaps for row in wanted[:limit])
    assert (found.total, found.cut, found.undated) == (len(wanted), len(wanted) > limit, len(undated))
    assert found.unsure == len(perhaps)
    assert found.rows.dtypes.to_dict() == schema.empty("events").dtypes.to_dict()
    counted = query.count(path, *edges, **how)
    assert counted == (len(wanted), sum(row["count"] for row in wanted), len(undated), len(perhaps))

    bins, step = Counter(), 3 * SECOND // 2
    for row, where in asked:
        first, last = (None, None) if where == "undated" else extent(row)
        if where == "undated":
            cell = None, "no time"
        elif where == "perhaps":
            cell = None, "interval reaches out of the window"
        elif math.inf in (-first, last) or first // step != last // step:
            cell = None, "interval over several steps"
        else:
            cell = first // step * step, ""
        if where != "out":
            bins[cell[0], row["system"], cell[1]] += row["count"]
    got = query.histogram(path, *edges, pd.Timedelta("1.5s"), "system", **how)
    assert list(got.columns) == ["time", "group", "count", "estimated", "reason"]
    assert not got["estimated"].any()
    assert [
        (None if pd.isna(row.time) else row.time.value, row.group, row.reason, row.count)
        for row in got.itertuples(index=False, name="R")
    ] == [
        (*key, number)
        for key, number in sorted(bins.items(), key=lambda item: (item[0][0] is None, item[0][0] or 0, item[0][1:]))
    ]


# The window


def test_a_window_has_its_start_and_not_its_end_to_the_nanosecond(store):
    path = store(*({"time_ns": BASE + ns} for ns in (-1, 0, 1, 9, 10)))
    found = query.window(path, at(BASE), at(BASE + 10))
    assert [time.value - BASE for time in found.rows["time"]] == [0, 1, 9]


def test_the_zone_in_which_a_window_is_given_does_not_matter(store):
    path = store({"time_ns": BASE}, {"time_ns": BASE + SECOND})
    start = pd.Timestamp("2025-11-18T16:50:00+05:30")
    assert ids(query.window(path, start, start + pd.Timedelta("1s"))) == [1]


def test_undated_events_are_in_no_window_but_are_counted(store):
    path = store({"time_ns": None}, {"time_ns": BASE}, {"time_ns": None, "system": "db"})
    assert ids(query.window(path)) == [2, 1, 3]
    found = query.window(path, at(BASE))
    assert (ids(found), found.total, found.undated) == ([2], 1, 2)
    assert query.window(path, at(BASE), systems=["web"]).undated == 1
    assert query.count(path, end=at(BASE)) == (0, 0, 2, 0)


def test_an_interval_is_in_the_window_that_holds_it_and_perhaps_in_one_that_cuts_it(store):
    span = {"time_ns": None, "time_earliest_ns": BASE + 10 * SECOND, "time_latest_ns": BASE + 20 * SECOND}
    path = store({"time_ns": BASE + 15 * SECOND}, span, {"time_ns": BASE + 5 * SECOND})
    for start, end, shown, perhaps in [
        (0, 21, [3, 2, 1], (False, False, False)), (0, 20, [3, 2, 1], (False, True, False)),
        (11, 21, [2, 1], (True, False)), (20, 30, [2], (True,)), (21, 30, [], ()), (0, 10, [3], (False,)),
        (None, None, [3, 2, 1], (False, False, False)), (None, 12, [3, 2], (False, True)),
    ]:  # fmt: skip
        edges = [None if edge is None else at(BASE + edge * SECOND) for edge in (start, end)]
        found = query.window(path, *edges)
        assert (ids(found), found.perhaps, found.unsure) == (shown, perhaps, sum(perhaps)), (start, end)
        assert query.count(path, *edges).perhaps == sum(perhaps)


def test_intervals_are_cut_by_the_limit_where_they_stand(store):
    spans = [
        {
            "time_ns": None,
            "time_earliest_ns": BASE + n * SECOND,
            "time_latest_ns": BASE + 99 * SECOND,
            "message": f"i{n}",
        }
        for n in range(0, 40, 2)
    ]
    path = store(*spans, *({"time_ns": BASE + n * SECOND, "message": f"t{n}"} for n in range(1, 40, 2)))
    for limit in (1, 7, 39, 40, 41):
        found = query.window(path, limit=limit)
        assert [int(text[1:]) for text in found.rows["message"]] == list(range(min(limit, 40)))
        assert found.total == 40


def test_only_the_part_of_the_file_is_read_that_the_window_reaches_into(store):
    path = store(*({"time_ns": BASE + number * SECOND, "message": f"m{number}"} for number in range(300)), size=100)
    metadata = parquet.read_metadata(path)
    data = bytearray(path.read_bytes())
    for number in (0, 2):
        group = metadata.row_group(number)
        for column in map(group.column, range(group.num_columns)):
            begin = column.dictionary_page_offset or column.data_page_offset
            data[begin : begin + column.total_compressed_size] = b"\xee" * column.total_compressed_size
    path.write_bytes(data)
    found = query.window(path, at(BASE + 120 * SECOND), at(BASE + 125 * SECOND), text="M")
    assert found.rows["message"].tolist() == ["m120", "m121", "m122", "m123", "m124"]
    assert query.histogram(path, at(BASE + 120 * SECOND), at(BASE + 180 * SECOND), MINUTE)["count"].tolist() == [60]
    with pytest.raises(InputError, match=r"events.parquet: cannot be read"):
        query.window(path, text="M")


# The text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100%", [1]), ("%", [1]), ("_", [2]), (".", [3]), ("A.C", [3]), ("'", [4]), ("'; DROP VIEW events; --", [4]),
        ("$start", [5]), ("?", [5]), ("\\", [6]), ("ÄRGER", [7]), ("ärger", [7]), ("STRASSE", []), ("straße", [7]),
        ("a\x00b", [8]), ("ab", []), (" c", []), ("[5]*", [9]), ("🙂", [10]),
    ],
)  # fmt: skip
def test_a_text_is_searched_as_it_stands(store, text, expected):
    messages = [
        "at 100% now", "snake_case", "a.c", "it's '; drop view events; --", "$start ?", "C:\\x", "Ärger in der Straße",
        "a\x00b", "x[5]*", "smile 🙂",
    ]  # fmt: skip
    path = store(*({"message": message} for message in messages))
    assert ids(query.window(path, text=text)) == expected
    assert query.count(path, text=text).events == len(expected)
    assert query.count(path).events == 10


# The histogram


def test_stretches_are_those_of_the_resampling_of_pandas(store):
    offsets = [0, 1, 299, 300, 301, 899, 1800, 86_400]
    path = store(*({"time_ns": BASE + seconds * SECOND, "count": seconds + 1} for seconds in offsets))
    series = pd.Series([seconds + 1 for seconds in offsets], index=[at(BASE + seconds * SECOND) for seconds in offsets])
    expected = series.resample("7min", origin="epoch").sum()
    found = query.histogram(path, step=pd.Timedelta("7min")).set_index("time")["count"]
    assert found.to_dict() == expected[expected > 0].to_dict()


def test_times_before_1970_fall_into_the_stretch_that_begins_before_them(store):
    path = store({"time_ns": -1}, {"time_ns": -300 * SECOND}, {"time_ns": 0})
    found = query.histogram(path)
    assert found["time"].tolist() == [pd.Timestamp("1969-12-31T23:55Z"), pd.Timestamp("1970-01-01T00:00Z")]
    assert found["count"].tolist() == [2, 1]


def test_groups_of_severities_are_in_order_of_their_numbers_with_those_without_first(store):
    path = store(*({"severity": number} for number in (9, 17, None, 9, 1)), {"time_ns": None, "severity": 5})
    found = query.histogram(path, by="severity")
    assert found["group"].tolist() == ["", "1", "9", "17", "5"]
    assert found["count"].tolist() == [1, 1, 2, 1, 1]
    assert found["time"].isna().tolist() == [False] * 4 + [True]


def test_a_severity_may_be_a_word_and_leaves_out_what_has_none(store):
    path = store(*({"severity": number} for number in (None, 16, 17, 24)))
    assert ids(query.window(path, min_severity="Error")) == ids(query.window(path, min_severity=17)) == [3, 4]


def test_a_step_that_gives_too_many_rows_is_refused(store, monkeypatch):
    path = store(*({"time_ns": BASE + number} for number in range(4)))
    monkeypatch.setattr(within, "MAX_BINS", 3)
    with pytest.raises(InputError, match=r"more than 3 rows; take a longer step"):
        query.histogram(path, step=pd.Timedelta(1, "ns"))
    assert len(query.histogram(path, step=pd.Timedelta(2, "ns"))) == 2


# Series: rows that stand for several happenings from a first to a last time


SERIES = st.lists(
    st.fixed_dictionaries(
        {
            "time_ns": st.none() | st.integers(-40, 40).map(lambda part: part * SECOND // 4 - 1),
            "time_end_ns": st.none() | st.integers(-40, 80).map(lambda part: part * SECOND // 4 - 1),
            "count": st.integers(1, 5) | st.integers(1, 400),
            "source": st.sampled_from(["a", "b"]),
            "kind": st.sampled_from(["log", "deploy"]),
        }
    ),
    max_size=5,
)
NEAR = st.none() | st.integers(-60, 90).map(lambda part: part * SECOND // 6)


def placed(row):
    """Every happening of a row of source "a", each with whether its place is an estimate; in plain Python."""
    first, last, n = row["time_ns"], row["time_end_ns"], row["count"]
    if row["source"] != "a" or first is None or last is None or last <= first or n == 1:
        return [(first, False)] * n
    return [(first + number * (last - first) // (n - 1), 0 < number < n - 1) for number in range(n)]


@settings(max_examples=60, deadline=None)
@given(SERIES, NEAR, NEAR, st.sampled_from([1, SECOND // 3, SECOND, 7 * SECOND, 100 * SECOND]), st.booleans())
def test_happenings_of_a_series_are_those_placed_one_by_one(tmp_path_factory, events, start, end, step, by_kind):
    if start is not None and end is not None and start >= end:
        start = None
    rows = rows_of(*events)
    path = write(tmp_path_factory.mktemp("q") / "events.parquet", rows)
    edges = [None if edge is None else at(edge) for edge in (start, end)]
    expected = defaultdict(lambda: [0, 0])
    for row in rows:
        for ns, is_estimate in placed(row):
            if ns is None or ((start is None or ns >= start) and (end is None or ns < end)):
                cell = expected[None if ns is None else ns // step * step, row["kind"] if by_kind else ""]
                cell[0] += 1
                cell[1] += is_estimate
    got = query.histogram(path, *edges, pd.Timedelta(step, "ns"), "kind" if by_kind else None, series=["a"])
    found = {
        (None if pd.isna(row.time) else row.time.value, row.group): [row.count, row.estimated]
        for row in got.itertuples()
    }
    assert found == dict(expected)
    assert len(found) == len(got)


def test_a_series_keeps_its_total_its_first_and_its_last_and_is_even_between(store):
    path = store({"count": 100, "time_end_ns": BASE + 15 * 60 * SECOND}, {"count": 7, "source": "b"})
    found = query.histogram(path, series=["a", "absent"])
    assert found["count"].tolist() == [33 + 7, 33, 33, 1]
    assert found["estimated"].tolist() == [32, 33, 33, 0]
    whole = query.histogram(path)
    assert (whole["count"].tolist(), whole["estimated"].tolist()) == ([107], [0])


def test_what_began_before_the_window_and_goes_on_in_it_is_counted_there_in_part(store):
    path = store({"count": 61, "time_end_ns": BASE + 60 * 60 * SECOND})
    edges = [at(BASE + minute * 60 * SECOND) for minute in (0, 10, 25, 61)]
    parts = [query.histogram(path, *pair, series=["a"])["count"].sum() for pair in itertools.pairwise(edges)]
    assert parts == [10, 15, 36]


def test_numbers_past_64_bits_of_a_series_are_exact(store):
    n, year = 10**17, 365 * 86_400 * SECOND
    path = store({"count": n, "time_end_ns": BASE + year})
    found = query.histogram(path, at(BASE), at(BASE + year), pd.Timedelta("1D"), series=["a"])
    days = [BASE, *(edge for edge in range(BASE // (86_400 * SECOND) * 86_400 * SECOND, BASE + year, 86_400 * SECOND))]
    days = sorted({edge for edge in days if edge >= BASE})
    before = [-(-(edge - BASE) * (n - 1) // year) for edge in [*days, BASE + year]]
    assert found["count"].tolist() == [high - low for low, high in itertools.pairwise(before)]


def test_a_step_that_cuts_a_series_into_too_many_is_refused_before_it_is_cut(store):
    path = store({"count": 10**12, "time_end_ns": BASE + 3600 * SECOND})
    with pytest.raises(InputError, match=r"more than 1,000,000 rows; take a longer step or a shorter window"):
        query.histogram(path, step=pd.Timedelta(1, "ns"), series=["a"])
    second = at(BASE), at(BASE + SECOND)
    assert query.histogram(path, *second, pd.Timedelta("1ms"), series=["a"])["count"].sum() == -(-(10**12 - 1) // 3600)


def test_series_are_a_list_of_sources(store):
    with pytest.raises(InputError, match="series 'a': expected a list of ids of sources"):
        query.histogram(store({}), series="a")


# Repeats


def test_repeats_are_folded_records_and_what_two_sources_say_in_one_second(store):
    path = store(
        {"message": "folded", "count": 3},
        {"message": "both", "source": "a", "time_ns": BASE + 1},
        {"message": "both", "source": "b", "time_ns": BASE + SECOND - 1, "count": 2},
        {"message": "both", "source": "b", "time_ns": BASE + SECOND},
        {"message": "once", "source": "a"},
        {"message": "once", "source": "a", "time_ns": BASE + 5},
        {"message": "once", "source": "b", "system": "db"},
        {"message": "both", "source": "a", "time_ns": None},
        {"message": "both", "source": "b", "time_ns": None, "count": 4},
    )
    found = query.repeats(path)
    assert found.rows.drop(columns="time").values.tolist() == [
        ["identical", "web", "folded", ("a",), (f"{1:016x}",), 3],
        ["same second", "web", "both", ("a", "b"), (f"{2:016x}", f"{3:016x}"), 3],
        ["identical", "web", "both", ("b",), (f"{3:016x}",), 2],
        ["identical", "web", "both", ("b",), (f"{9:016x}",), 4],
    ]
    assert found.rows["time"].tolist()[:3] == [at(BASE), at(BASE + 1), at(BASE + SECOND - 1)]
    assert pd.isna(found.rows["time"][3])
    assert (found.total, found.undated) == (4, 2)
    cut = query.repeats(path, limit=2)
    assert cut.rows.equals(found.rows[:2])
    assert (cut.total, cut.cut) == (4, True)


def test_slices_are_cut_between_seconds_only(store, monkeypatch):
    monkeypatch.setattr(repeated, "_SLICE", 1)
    halves = [{"source": "a", "time_ns": BASE + SECOND}, {"source": "b", "time_ns": BASE + 3 * SECOND // 2}]
    path = store({"system": "db"}, *halves, {"system": "db", "time_ns": BASE + 2 * SECOND}, size=1)
    assert query.repeats(path).rows["sources"].tolist() == [("a", "b")]


@settings(max_examples=20, deadline=None)
@given(EVENTS, st.integers(1, 4))
def test_the_slices_in_which_repeats_are_found_do_not_show(tmp_path_factory, events, size):
    rows = rows_of(*events)
    path = write(tmp_path_factory.mktemp("q") / "events.parquet", rows, size=size)
    together = defaultdict(list)
    for row in rows:
        if row["time_ns"] is not None:
            together[row["time_ns"] // SECOND, row["system"], row["message"]].append(row)
    expected = {
        tuple(sorted(row["event_id"] for row in group))
        for group in together.values()
        if len({row["source"] for row in group}) > 1
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeated, "_SLICE", 2)
        found = query.repeats(path).rows
    near = found[found["why"] == "same second"]
    assert {tuple(sorted(int(text, 16) for text in group)) for group in near["event_ids"]} == expected
    assert len(near) == len(expected)
    assert (found["why"] == "identical").sum() == sum(row["count"] > 1 for row in rows)


# What is asked


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ({"start": pd.Timestamp("2025-11-18 11:20")}, InputError, "start 2025-11-18 11:20:00: no time zone; write UTC"),
        ({"end": pd.NaT}, InputError, "end 'NaT': expected a Timestamp"),
        ({"start": "2025-11-18T11:20Z"}, InputError, "start '2025-11-18T11:20Z': expected a Timestamp"),
        ({"start": at(5), "end": at(5)}, InputError, "is not after start"),
        ({"start": pd.Timestamp("9999-01-01T00:00Z")}, InputError, "not in the years 1678 to 2262"),
        ({"systems": ["wbe"]}, UnknownName, "no event of system 'wbe'; did you mean 'web'?"),
        ({"systems": "web"}, InputError, "systems 'web': expected a list of names"),
        ({"systems": [""]}, UnknownName, "no event of system ''"),
        ({"systems": ["\ud800"]}, InputError, "is not a text"),
        ({"kinds": ["delpoy"]}, UnknownName, "bad event kind 'delpoy'; did you mean 'deploy'?"),
        ({"text": "\ud800"}, InputError, "is not a text"),
        ({"min_severity": 25}, InputError, "severity '25': expected 1 to 24, or a word"),
        ({"min_severity": "eror"}, InputError, "did you mean 'error'?"),
    ],
)
@pytest.mark.parametrize("ask", [query.window, query.count, query.histogram])
def test_what_cannot_be_asked_is_said(store, ask, how, kind, said):
    path = store({"system": "web"}, {"system": "db"})
    with pytest.raises(kind, match=r".") as caught:
        ask(path, **how)
    assert said in str(caught.value)


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "3"])
def test_a_limit_is_a_whole_number_from_one(store, limit):
    for ask in (query.window, query.repeats):
        with pytest.raises(InputError, match="expected a whole number from 1"):
            ask(store({}), limit=limit)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"step": pd.Timedelta(0)}, "expected a Timedelta of more than 0"),
        ({"step": pd.Timedelta("-5min")}, "expected a Timedelta of more than 0"),
        ({"step": pd.NaT}, "expected a Timedelta of more than 0"),
        ({"step": "5min"}, "step '5min': expected a Timedelta"),
        ({"by": "sytem"}, "by 'sytem'; did you mean 'system'?"),
    ],
)
def test_a_histogram_needs_a_step_and_a_known_group(store, how, said):
    with pytest.raises(InputError, match=r".") as caught:
        query.histogram(store({}), **how)
    assert said in str(caught.value)


# The file


def test_a_file_that_holds_no_events_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"events.parquet: no such file"):
        query.count(tmp_path / "events.parquet")
    (tmp_path / "a.parquet").write_text("time,message\n")
    with pytest.raises(InputError, match=r"a.parquet: not a readable Parquet file"):
        query.window(tmp_path / "a.parquet")
    parquet.write_table(arrow_schema("metrics").empty_table(), tmp_path / "metrics.parquet")
    with pytest.raises(InputError, match=r"metrics.parquet: not a file of stored events"):
        query.repeats(tmp_path / "metrics.parquet")


def test_no_events_are_an_empty_answer(store):
    path = store()
    assert query.count(path) == (0, 0, 0, 0)
    assert query.window(path).rows.equals(schema.empty("events"))
    assert query.histogram(path, by="kind").empty
    assert str(query.histogram(path)["time"].dtype) == "datetime64[ns, UTC]"
    assert query.repeats(path).rows.empty


@pytest.mark.parametrize("name", ["it's", "[ab]", "what?", 'quo"te', "all*"])
def test_a_path_is_taken_as_it_stands(tmp_path, name):
    for folder, number in ((name, 1), ("a", 2), ("b", 2), ("whatx", 2), ("allx", 2)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "events.parquet", rows_of(*[{}] * number))
    assert query.count(str(tmp_path / name / "events.parquet")).events == 1


def test_the_events_of_an_import_can_be_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, zone in (("a", "Z"), ("b", "+01:00")):
        hour = 11 if zone == "Z" else 12
        lines = [
            {"time": f"2025-11-18T{hour}:{minute:02}:00{zone}", "severity": "error", "message": f"failed {minute}"}
            for minute in (20, 24, 25, 25)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    declared = [
        {"id": name, "file": f"{name}.jsonl", "reader": "jsonl", "constant": {"kind": "log", "system": "web"}}
        for name in ("a", "b")
    ]
    file = {
        "id": "x", "title": "t", "kind": "outage", "severity_tier": "SEV1", "severity_confirmed_by": "role",
        "as_of": "2025-11-19T00:00Z", "systems": [{"id": "web"}], "sources": declared,
    }  # fmt: skip
    stored = sources.store(Incident(tmp_path, IncidentFile.model_validate(file), Analysis(), {}, ()))
    assert query.count(stored, systems=["web"]) == (6, 8, 0, 0)
    assert query.histogram(stored)["count"].tolist() == [4, 4]
    assert query.repeats(stored).rows["why"].value_counts().to_dict() == {"same second": 3, "identical": 2}
    found = query.window(stored, pd.Timestamp("2025-11-18T11:24Z"), text="FAILED 2", limit=3)
    assert found.rows["locator"].tolist() == ["a.jsonl line 2", "b.jsonl line 2", "a.jsonl line 3"]
    assert found.total == 4

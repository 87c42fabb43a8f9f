"""Timeline: order, milestones, durations, overview and gaps."""

import json
from fractions import Fraction
from itertools import pairwise, product
from statistics import median

import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from rca import schema, times
from rca.errors import InputError, UnknownName
from rca.systems import timeline

START = times.parse("2025-03-01T09:00:00Z")


def events(*rows):
    """Rows of (event_id, minutes after START or None, kind, system, message)."""
    frame = pd.DataFrame(rows, columns=["event_id", "minutes", "kind", "system", "message"])
    stamps = [pd.NaT if pd.isna(minute) else START + pd.Timedelta(minutes=minute) for minute in frame["minutes"]]
    frame["time"] = pd.Series(pd.DatetimeIndex(stamps, dtype=times.UTC))
    frame["source"], frame["position"] = "s", range(1, len(frame) + 1)
    return schema.check(frame.drop(columns="minutes"), "events")


def happened(*rows):
    """Rows of (minutes after START, or an interval of them, or None; kind; other columns)."""
    made = []
    for number, (at, kind, fields) in enumerate(rows):
        ends = at if isinstance(at, tuple) else (None, None)
        when = {"time": at if not isinstance(at, tuple) else None, "time_earliest": ends[0], "time_latest": ends[1]}
        when = {name: pd.NaT if m is None else START + pd.Timedelta(minutes=m) for name, m in when.items()}
        made.append(
            {"event_id": f"e{number}", "kind": kind, "message": f"m{number}", "position": number + 1, **when, **fields}
        )
    frame = pd.DataFrame(made)
    for name in ("time", "time_earliest", "time_latest"):
        frame[name] = pd.Series(pd.DatetimeIndex(frame[name], dtype=times.UTC))
    return schema.check(frame, "events")


def attributes(**fields):
    return {"attributes": json.dumps(fields)}


PEOPLE = pd.DataFrame(
    {
        "name": ["Kim Park", "Ada"],
        "role": ["on-call engineer", "incident commander"],
        "aliases": [["kpark", "U07"], []],
    }
)
MINUTE = pd.Timedelta(minutes=1)
INTERVAL = st.tuples(st.integers(0, 12), st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def declared(**minutes):
    stamps = {name: value if isinstance(value, tuple) else (value, value) for name, value in minutes.items()}
    at = {name: [START + pd.Timedelta(minutes=m) for m in pair] for name, pair in stamps.items()}
    frame = pd.DataFrame.from_dict(at, orient="index", columns=["earliest", "latest"])
    return frame.assign(time=pd.NaT, evidence="", note="")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=12), st.randoms(use_true_random=False))
def test_merging_in_another_order_or_twice_changes_nothing(rows, random):
    table = events(*[(f"e{number}-{minute}", minute, "alert", "a", "m") for number, (minute, _) in enumerate(rows)])
    shuffled = table.sample(frac=1, random_state=random.randint(0, 99)) if len(table) else table
    once = timeline.merge(table)
    pd.testing.assert_frame_equal(once, timeline.merge(shuffled, table))
    assert once["time"].is_monotonic_increasing


def test_undated_events_stay_and_stand_last():
    table = timeline.merge(events(("a", None, "chat", "", "no time"), ("b", 5, "chat", "", "later")))
    assert table["event_id"].tolist() == ["b", "a"]


def test_durations_name_their_ends_and_match_hand_computed_minutes():
    table = timeline.durations(
        timeline.milestones(declared(impact_start=0, detected=28, acknowledged=30, mitigated=184))
    )
    assert table.loc["time to detect", "low"] == table.loc["time to detect", "high"] == pd.Timedelta(minutes=28)
    assert table.loc["time to acknowledge", "high"] == pd.Timedelta(minutes=2)
    assert table.loc["time to mitigate", ["from", "to"]].tolist() == ["impact_start", "mitigated"]
    assert table.loc["time to resolve", "note"] == "not computable: Resolved not known"
    assert pd.isna(table.loc["time to resolve", "high"])


def test_without_any_milestone_every_duration_says_why_it_is_not_computable():
    table = timeline.durations(timeline.milestones(declared(detected=1).iloc[:0]))
    assert table["high"].isna().all()
    assert table["note"].str.startswith("not computable").all()


def test_intervals_are_carried_through():
    table = timeline.durations(timeline.milestones(declared(impact_start=(0, 8), detected=(20, 25))))
    assert table.loc["time to detect", ["low", "high"]].tolist() == [pd.Timedelta(minutes=12), pd.Timedelta(minutes=25)]


def test_a_negative_duration_is_an_error_that_names_both_ends():
    with pytest.raises(InputError, match=r"time to detect is negative: detected .* is before impact_start"):
        timeline.durations(timeline.milestones(declared(impact_start=30, detected=10)))


def test_overlapping_intervals_are_not_negative():
    table = timeline.durations(timeline.milestones(declared(impact_start=(0, 30), detected=(10, 20))))
    assert table.loc["time to detect", "low"] == pd.Timedelta(0)


def test_an_unknown_milestone_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownName, match="did you mean 'detected'"):
        timeline.milestones(declared(detcted=3))


def test_overview_keeps_every_change_and_alert_and_folds_equal_log_lines():
    rows = [(f"l{n}", n, "log", "a", "timeout") for n in range(50)] + [
        ("d", 3, "deploy", "a", "v2"),
        ("x", 9, "alert", "a", "!"),
    ]
    table = events(*rows)
    table["severity"] = pd.array([17] * 50 + [None, None], dtype="Int64")
    shown = timeline.overview(timeline.merge(table))
    assert shown["kind"].tolist() == ["log", "deploy", "alert"]
    assert shown.loc[0, "count"] == 50
    assert shown.loc[0, "time"] == START


def mixed():
    """Three hundred messages of a chat first, then the little that matters: as in an export of a workspace."""
    rows = [(f"c{n}", n, "chat", "", f"message {n}") for n in range(300)]
    rows += [(f"a{n}", 310 + 10 * n, "alert", "web", f"alert {n}") for n in range(4)]
    rows += [("d", 305, "deploy", "web", "v2"), ("f", 306, "training_run", "model", "run failed")]
    rows += [(f"l{n}", 300 + n, "log", "web", f"line {n}") for n in range(70)]
    rows += [("x", 355, "log", "web", "disk full"), ("s", 390, "statement", "", "we were late")]
    return timeline.merge(events(*rows).assign(severity=pd.array([None] * 376 + [17, None], dtype="Int64")))


def test_overview_shows_by_weight_whatever_number_of_messages_came_before():
    table = mixed()
    shown = timeline.overview(table, limit=20)
    assert len(shown) == 20
    assert {"v2", "run failed", "disk full", "we were late", *(f"alert {n}" for n in range(4))} <= set(shown["message"])
    assert shown["time"].is_monotonic_increasing
    assert {"chat", "log"} <= set(shown["kind"])


def test_what_an_overview_leaves_out_is_counted_by_kind():
    table = mixed()
    shown = timeline.overview(table, limit=20)
    chats, lines = ((shown["kind"] == kind).sum() for kind in ("chat", "log"))
    assert timeline.left_out(table, shown) == f"{300 - chats} of 300 Chat message, {71 - lines} of 71 Log record"
    whole = timeline.overview(table, limit=1000, fold=False)
    assert len(whole) == 378
    assert timeline.left_out(table, whole) == ""


def test_rows_of_one_kind_are_spread_over_its_time():
    table = timeline.merge(events(*[(f"c{n}", n, "chat", "", f"m{n}") for n in range(1000)]))
    minutes = (timeline.overview(table, limit=50)["time"] - START) / MINUTE
    assert minutes.diff().max() <= 2 * 1000 / 50
    assert [minutes.min() < 20, minutes.max() >= 980] == [True, True]


def test_what_lies_in_the_window_comes_first_and_what_weighs_more_before_that():
    rows = [(f"c{n}", n, "chat", "", f"m{n}") for n in range(100)] + [("d", 1, "deploy", "a", "v2")]
    table = timeline.merge(events(*rows))
    shown = timeline.overview(table, limit=11, window=(START + 60 * MINUTE, START + 70 * MINUTE))
    assert shown["message"].tolist() == ["v2", *(f"m{n}" for n in range(60, 70))]


def test_what_happened_at_a_milestone_is_always_shown():
    table = timeline.merge(events(*[(f"a{n}", n, "alert", "a", f"m{n}") for n in range(100)]))
    marks = timeline.milestones(declared(detected=37, resolved=(50, 60)))
    assert "m37" in timeline.overview(table, limit=3, milestones=marks)["message"].tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60) | st.none(), st.sampled_from(["chat", "log", "alert", "deploy"]),
                          st.integers(0, 4), st.sampled_from([9, 17, None])), max_size=40), st.integers(1, 30))  # fmt: skip
def test_shown_and_left_out_are_together_every_record_once(rows, limit):
    table = events(*[(f"e{n}", at, kind, "a", f"m{text}") for n, (at, kind, text, _) in enumerate(rows)])
    table = timeline.merge(table.assign(severity=pd.array([row[3] for row in rows], dtype="Int64")))
    shown = timeline.overview(table, limit=limit)
    assert len(shown) <= limit
    missing = sum(int(part.split()[0]) for part in timeline.left_out(table, shown).split(", ") if part)
    assert shown["count"].sum() + missing == len(rows)
    assert shown["when"].map(bool).is_monotonic_decreasing


def test_the_largest_gap_of_a_source_is_found_and_named():
    minutes = [*range(0, 20), *range(50, 60)]
    table = events(*[(f"m{n}", n, "log", "a", "x") for n in minutes])
    gap = timeline.gaps(table, schema.empty("metrics")).loc["s"]
    assert gap["largest_gap"] == pd.Timedelta(minutes=31)
    assert gap["gap_start"] == START + pd.Timedelta(minutes=19)
    assert gap["unusual"]


def test_silence_at_the_edge_of_the_window_counts():
    table = events(*[(f"m{n}", n, "log", "a", "x") for n in range(10)])
    gap = timeline.gaps(table, schema.empty("metrics"), (START, START + pd.Timedelta(minutes=60))).loc["s"]
    assert gap["largest_gap"] == pd.Timedelta(minutes=51)
    assert gap["gap_end"] == START + pd.Timedelta(minutes=60)


def test_a_source_with_one_record_has_no_gap_to_report():
    assert timeline.gaps(events(("a", 1, "log", "a", "x")), schema.empty("metrics")).empty


def test_a_source_with_few_times_has_no_coverage():
    table = events(*[(f"e{n}", n, "log", "a", "x") for n in range(5)])
    assert pd.isna(timeline.gaps(table, schema.empty("metrics")).loc["s", "coverage"])


def test_records_and_their_distinct_times_are_two_numbers():
    table = events(*[(f"e{n}", n // 4, "log", "a", "x") for n in range(48)])
    at = pd.date_range(START, periods=3, freq="1min", unit="ns")
    values = pd.DataFrame({"time": at, "system": "a", "metric": "cpu", "value": 1.0, "source": "s"})
    gap = timeline.gaps(table, values).loc["s"]
    assert gap[["records", "times"]].tolist() == [51, 12]
    inner = timeline.gaps(table, values, (START + MINUTE, START + 3 * MINUTE)).loc["s"]
    assert inner[["records", "times"]].tolist() == [4 + 4 + 1 + 1, 2]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 200), min_size=12, max_size=40, unique=True), st.integers(-20, 100), st.integers(1, 150))
def test_coverage_is_the_share_of_the_window_near_a_record_counted_second_by_second(seconds, first, length):
    at = [START + pd.Timedelta(seconds=second) for second in seconds]
    table = events(*[(f"e{n}", 0, "log", "a", "x") for n in range(len(at))]).assign(
        time=pd.DatetimeIndex(at, dtype=times.UTC)
    )
    window = (START + pd.Timedelta(seconds=first), START + pd.Timedelta(seconds=first + length))
    ordered = sorted(seconds)
    half = Fraction(median(Fraction(b - a) for a, b in pairwise(ordered)) * 5, 2)
    pieces = 4  # bounds lie on quarters of a second
    inside = sum(
        any(abs(first + Fraction(2 * k + 1, 2 * pieces) - second) < half for second in seconds)
        for k in range(length * pieces)
    )
    share = timeline.gaps(table, schema.empty("metrics"), window).loc["s", "coverage"]
    assert share == pytest.approx(inside / (length * pieces), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(INTERVAL, INTERVAL)
def test_a_duration_is_what_all_exact_times_within_the_intervals_allow(start, end):
    spans = [b - a for a, b in product(range(start[0], start[1] + 1), range(end[0], end[1] + 1)) if b >= a]
    table = timeline.milestones(declared(impact_start=start, detected=end))
    if not spans:
        with pytest.raises(InputError, match="time to detect is negative"):
            timeline.durations(table)
        return
    row = timeline.durations(table).loc["time to detect"]
    assert (row["low"], row["high"]) == (min(spans) * MINUTE, max(spans) * MINUTE)


def test_start_and_end_stand_beside_the_number():
    row = timeline.durations(timeline.milestones(declared(impact_start=(0, 8), detected=20))).loc["time to detect"]
    assert (row["start"], row["end"]) == ("2025-03-01 09:00 to 09:08 UTC", "2025-03-01 09:20 UTC")
    assert row["mean_known_as"] == "MTTD"


def test_the_four_means_run_between_the_milestones_of_their_definition():
    ends = {mean: (start, end) for start, end, mean in timeline.DURATIONS.values()}
    assert ends["MTTD"] == ("impact_start", "detected")
    assert ends["MTTA"] == ("detected", "acknowledged")
    assert ends["MTTM"] == ("impact_start", "mitigated")
    assert ends["MTTR"] == ("impact_start", "resolved")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (declared(detected=(9, 3)), "latest is before earliest"),
        (declared(detected=3).assign(latest=pd.NaT), "an end is missing"),
        (pd.concat([declared(detected=3), declared(detected=4)]), "stands twice"),
    ],
)
def test_a_milestone_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(InputError, match=f"milestone 'detected'.*{message}"):
        timeline.milestones(wrong)


def took(*minutes):
    """Tables of durations, one for each time (or interval) to detect, or None."""
    return [
        timeline.durations(timeline.milestones(declared(impact_start=0, **({} if m is None else {"detected": m}))))
        for m in minutes
    ]


def test_a_summary_has_the_median_and_says_how_many_it_could_not_use():
    row = timeline.summary(took(5, None, 300, 9, None)).loc["time to detect"]
    assert (row["median_low"], row["median_high"]) == (9 * MINUTE, 9 * MINUTE)
    assert (row["n"], row["not_computable"], row["uncertain"]) == (3, 2, 0)
    assert pd.isna(row["interval_low"])
    assert "below 6" in row["note"]
    assert not [name for name in row.index if "mean" in name and name != "mean_known_as"]


def test_a_summary_of_nothing_known_says_so_and_of_no_incident_is_an_error():
    row = timeline.summary(took(None)).loc["time to detect"]
    assert (row["n"], row["note"]) == (0, "not computable in any incident")
    assert pd.isna(row["median_low"])
    with pytest.raises(InputError, match="no incident"):
        timeline.summary([])
    with pytest.raises(InputError, match="table 1 is not from durations"):
        timeline.summary([timeline.milestones(declared(detected=1))])


@settings(max_examples=30, deadline=None)
@given(st.lists(INTERVAL, min_size=1, max_size=5))
def test_the_median_is_bounded_by_all_medians_that_the_intervals_allow(ends):
    row = timeline.summary(took(*ends)).loc["time to detect"]
    possible = [median(choice) for choice in product(*[range(low, high + 1) for low, high in ends])]
    assert (row["median_low"], row["median_high"]) == (min(possible) * MINUTE, max(possible) * MINUTE)


# Rank and level of the distribution-free interval for the median, as tables of the sign test give them:
# W. J. Conover, Practical Nonparametric Statistics, from the binomial table with p = 1/2.
@pytest.mark.parametrize(
    ("n", "rank", "level"),
    [(6, 1, 0.9688), (7, 1, 0.9844), (8, 1, 0.9922), (9, 2, 0.9609), (10, 2, 0.9785), (12, 3, 0.9614), (20, 6, 0.9586)],
)
def test_the_interval_of_the_median_is_that_of_the_sign_test(n, rank, level):
    row = timeline.summary(took(*range(1, n + 1))).loc["time to detect"]
    assert (row["interval_low"], row["interval_high"]) == (rank * MINUTE, (n + 1 - rank) * MINUTE)
    assert row["confidence"] == pytest.approx(level, abs=5e-5)


def test_the_interval_of_the_median_agrees_with_scipy_for_every_number_of_incidents():
    from scipy.stats import quantile_test

    for n in (6, 11, 17, 30):
        row = timeline.summary(took(*range(1, n + 1))).loc["time to detect"]
        ends = quantile_test(list(range(1, n + 1)), p=0.5).confidence_interval(0.95)
        assert (row["interval_low"] / MINUTE, row["interval_high"] / MINUTE) == (ends.low, ends.high)


def test_interval_valued_durations_widen_the_interval_of_the_median():
    row = timeline.summary(took(*[(n, n + 3) for n in range(1, 7)])).loc["time to detect"]
    assert (row["interval_low"], row["interval_high"]) == (1 * MINUTE, 9 * MINUTE)
    assert row["uncertain"] == 6


ALL = {
    "impact_start": 0,
    "first_signal": 2,
    "detected": 10,
    "acknowledged": 12,
    "mitigated": 30,
    "resolved": 50,
    "closed": 90,
}


def edges(row):
    names = ("start_earliest", "start_latest", "end_earliest", "end_latest")
    return [None if pd.isna(row[name]) else (row[name] - START) // MINUTE for name in names]


def test_classic_phases_follow_each_other_and_share_only_what_no_milestone_separates():
    table = timeline.phases(timeline.milestones(declared(**ALL)))
    assert table["name"].tolist() == [
        "Preparation", "Detection and analysis", "Containment", "Eradication", "Recovery", "Post-incident",
    ]  # fmt: skip
    assert [edges(row) for _, row in table.iterrows()] == [
        [None, None, 0, 0], [0, 0, 12, 12], [12, 12, 30, 30], [30, 30, 30, 50], [30, 50, 50, 50], [50, 50, 90, 90],
    ]  # fmt: skip
    assert table["scheme"].str.startswith("classic").all()


def test_the_mapping_to_revision_3_is_that_of_its_table_1():
    """NIST SP 800-61r3, section 2, Table 1: phases of the former life cycle and functions of the CSF 2.0."""
    mapped = timeline.phases(timeline.milestones(declared(**ALL)))["mapped_to"]
    assert mapped["preparation"] == "Govern, Identify, Protect"
    assert mapped["detection_and_analysis"] == "Detect, Identify (Improvement)"
    middle = {part for name in ("containment", "eradication", "recovery") for part in mapped[name].split(", ")}
    assert middle == {"Respond", "Recover", "Identify (Improvement)"}
    assert mapped["post_incident"] == "Identify (Improvement)"


def test_the_functions_of_revision_3_that_go_on_at_all_times_have_no_bounds():
    table = timeline.phases(timeline.milestones(declared(**ALL)), "nist-800-61r3")
    assert table["name"].tolist() == ["Govern", "Identify", "Protect", "Detect", "Respond", "Recover"]
    assert [edges(row) for _, row in table.iterrows()] == [[None] * 4] * 3 + [
        [0, 0, 12, 12], [12, 12, 30, 50], [30, 50, 50, 50],
    ]  # fmt: skip
    assert table.loc["govern", "note"] == "goes on at all times; no milestone bounds it"
    assert "800-61r3" in table["scheme"].iloc[0]


def test_a_missing_milestone_leaves_its_phases_open_or_unknown_and_is_not_taken_from_a_neighbour():
    without = {name: at for name, at in ALL.items() if name not in ("acknowledged", "closed")}
    table = timeline.phases(timeline.milestones(declared(**without)))
    assert table.loc["detection_and_analysis", "note"] == "Acknowledged not known"
    assert edges(table.loc["detection_and_analysis"]) == [0, 0, None, None]
    assert edges(table.loc["containment"]) == [None, None, 30, 30]
    assert table.loc["post_incident", "note"] == "open: Closed not known"


def test_a_phase_that_ends_before_it_begins_is_said_to_be_out_of_order():
    table = timeline.phases(timeline.milestones(declared(**(ALL | {"acknowledged": 40}))))
    assert table.loc["containment", "note"].startswith("out of order: ends (2025-03-01 09:30 UTC)")
    assert edges(table.loc["containment"]) == [None] * 4


def test_intervals_of_milestones_become_those_of_phases():
    table = timeline.phases(timeline.milestones(declared(impact_start=(0, 8), acknowledged=(9, 12))))
    assert edges(table.loc["detection_and_analysis"]) == [0, 8, 9, 12]


def test_an_unknown_scheme_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownName, match="did you mean 'classic'"):
        timeline.phases(timeline.milestones(declared(**ALL)), "clasic")


def test_who_knew_what_when_is_told_by_role():
    table = happened(
        (0, "alert", {"ref": "A1"}),
        (4, "notified", {"actor": "U07", **attributes(to=["@kpark"])}),
        ((6, 9), "alert", {"actor": "Kim Park", **attributes(state="acknowledged")}),
        (20, "escalated", {"actor": "kpark", **attributes(to={"name": "ada"})}),
        (25, "decided", {"actor": "someone"}),
        (None, "decided", {}),
        (30, "chat", {"actor": "Ada", "message": "nothing was acknowledged in words"}),
    )
    known = timeline.knowledge(table, PEOPLE)
    assert known[["kind", "role", "part"]].values.tolist() == [
        ["notified", "on-call engineer", "to"],
        ["alert", "on-call engineer", "actor"],
        ["escalated", "on-call engineer", "actor"],
        ["escalated", "incident commander", "to"],
        ["decided", "role not declared", "actor"],
        ["decided", "nobody named", "actor"],
    ]
    assert known["acknowledged"].tolist() == [False, True, False, False, False, False]
    assert known.loc[1, "when"] == "2025-03-01 09:06 to 09:09 UTC"
    assert known.loc[5, "when"] == ""
    assert not known["role"].isin(PEOPLE["name"]).any()


def test_an_actor_who_hands_over_is_told_once():
    table = happened((0, "handed_over", {"actor": "kpark", **attributes(**{"from": "Kim Park", "to": "Ada"})}))
    assert timeline.knowledge(table, PEOPLE)["part"].tolist() == ["from", "to"]
    peers = pd.DataFrame({"name": ["Kim", "Lee"], "role": "analyst"})
    passed = timeline.knowledge(happened((0, "handed_over", {"actor": "Kim", **attributes(to="Lee")})), peers)
    assert passed[["role", "part"]].values.tolist() == [["analyst", "actor"], ["analyst", "to"]]


def test_a_name_that_two_roles_share_shows_both():
    people = pd.DataFrame({"name": ["Kim", "Kim"], "role": ["analyst", "manager"]})
    known = timeline.knowledge(happened((0, "decided", {"actor": "kim"})), people)
    assert known["role"].tolist() == ["analyst or manager"]


def test_a_role_stands_for_itself_and_people_without_a_column_are_refused():
    table = happened((0, "notified", attributes(to="Incident commander")))
    assert timeline.knowledge(table, PEOPLE)["role"].tolist() == ["incident commander"]
    with pytest.raises(InputError, match="people: required column 'role' is missing"):
        timeline.knowledge(table, PEOPLE[["name"]])


def test_attributes_that_are_no_json_object_are_refused():
    with pytest.raises(InputError, match="no JSON object"):
        timeline.knowledge(happened((0, "decided", {"attributes": "[1]"})), PEOPLE)


def test_nothing_known_is_an_empty_table_with_its_columns():
    known = timeline.knowledge(happened((0, "log", {})), PEOPLE)
    assert known.empty
    assert {"when", "role", "part"} <= set(known.columns)
    assert timeline.handovers(schema.empty("events")).empty


def test_a_hand_over_is_delayed_from_the_event_before_it_on_the_same_matter():
    table = happened(
        (0, "alert", {"ref": "INC-1"}),
        (3, "alert", {"ref": "INC-2"}),
        (25, "escalated", {"ref": "INC-1", "actor": "kpark", **attributes(to="Ada")}),
        (40, "handed_over", {"ref": "other", **attributes(**{"from": "Ada", "to": "night shift"})}),
    )
    moved = timeline.handovers(table, PEOPLE, timeline.milestones(declared(detected=(1, 4))))
    assert moved["from_role"].tolist() == ["on-call engineer", "incident commander"]
    assert moved["to_role"].tolist() == ["incident commander", "role not declared"]
    assert moved["since"].tolist() == [
        "alert at 2025-03-01 09:00 UTC (ref INC-1)", "milestone detected at 2025-03-01 09:01 to 09:04 UTC",
    ]  # fmt: skip
    assert (moved["low"] // MINUTE).tolist() == [25, 36]
    assert (moved["high"] // MINUTE).tolist() == [25, 39]


def test_hand_overs_of_one_incident_run_from_one_to_the_next():
    table = happened(
        (10, "escalated", attributes(incident="P9")), (0, "alert", attributes(incident="P9")), (17, "handed_over", attributes(incident="P9"))
    )  # fmt: skip
    moved = timeline.handovers(table)
    assert (moved["high"] // MINUTE).tolist() == [10, 7]
    assert moved["since"].str.partition(" ")[0].tolist() == ["alert", "escalated"]


def test_a_delay_that_cannot_be_known_says_why():
    table = happened((5, "escalated", {}), (None, "handed_over", {"ref": "x"}), (9, "chat", {"ref": "x"}))
    moved = timeline.handovers(table)
    assert moved["high"].isna().all()
    assert moved["note"].tolist() == [
        "not computable: no event before it on the same matter, and Detected not known",
        "not computable: the hand-over is undated",
    ]
    early = timeline.handovers(table, None, timeline.milestones(declared(detected=30)))
    assert early["note"].iloc[0] == "not computable: it is before Detected"


@settings(max_examples=40, deadline=None)
@given(INTERVAL, INTERVAL)
def test_a_delay_is_what_all_exact_times_within_the_intervals_allow(before, move):
    move = (before[0] + move[0], before[0] + move[1])  # begins no earlier, so that it is the later one
    if move < before:
        return
    spans = [b - a for a, b in product(range(before[0], before[1] + 1), range(move[0], move[1] + 1)) if b >= a]
    row = timeline.handovers(happened((before, "alert", {"ref": "x"}), (move, "escalated", {"ref": "x"}))).iloc[0]
    assert (row["low"], row["high"]) == (min(spans) * MINUTE, max(spans) * MINUTE)


NONE = timeline.milestones(declared(detected=1).iloc[:0])


def test_the_detection_gap_runs_from_the_first_sign_to_the_first_alert_that_fires_after_it():
    table = happened(
        (0, "alert", {"system": "gateway", "ref": "TrafficHigh"}),
        (80, "signal", {"system": "model", **attributes(metric="recall")}),
        (85, "signal", {"system": "ledger", **attributes(metric="disputes_opened")}),
        (90, "alert", {"system": "gateway", "ref": "TrafficHigh", **attributes(status="resolved")}),
        (95, "alert", {"system": "gateway", "ref": "TrafficHigh", **attributes(state="acknowledged")}),
        (320, "alert", {"system": "ledger", "ref": "DisputesHigh", "message": "disputes_opened is 32"}),
    )
    gap = timeline.detection_gap(table, None, NONE)
    assert gap["scope"].tolist() == ["incident", "signal", "signal"]
    assert gap["alert"].tolist() == [
        "ledger DisputesHigh at 2025-03-01 14:20 UTC",
        "",
        "ledger DisputesHigh at 2025-03-01 14:20 UTC",
    ]
    assert (gap["high"] // MINUTE).tolist()[0] == 240
    assert (gap["low"] // MINUTE).tolist()[2] == 235
    assert gap["seen_by"].tolist() == ["", "no alert on it in these exports", "alert DisputesHigh"]
    assert gap.loc[1, "note"] == "not computable: no alert of model in these exports"


def test_the_first_sign_is_the_earlier_of_the_milestone_and_the_signals():
    table = happened((30, "signal", {"system": "a", "ref": "m"}), (50, "alert", {"system": "a"}))
    early = timeline.detection_gap(table, None, timeline.milestones(declared(first_signal=(10, 12)))).iloc[0]
    late = timeline.detection_gap(table, None, timeline.milestones(declared(first_signal=40))).iloc[0]
    assert early["sign"] == "milestone First signal at 2025-03-01 09:10 to 09:12 UTC"
    assert (early["low"], early["high"]) == (38 * MINUTE, 40 * MINUTE)
    assert late["sign"] == "signal at 2025-03-01 09:30 UTC"


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        ([(5, "alert", {})], "not computable: no signal in these exports, and First signal not known"),
        ([(5, "signal", {})], "not computable: no alert in these exports"),
        ([(5, "signal", {}), (2, "alert", {})], "not computable: no alert after it in these exports; those before it are not counted"),
    ],
)  # fmt: skip
def test_without_a_sign_or_an_alert_after_it_there_is_no_gap(rows, note):
    row = timeline.detection_gap(happened(*rows), None, NONE).iloc[0]
    assert row["note"] == note
    assert pd.isna(row["high"])


def test_listed_monitors_are_named_and_signals_may_stand_apart():
    monitors = pd.DataFrame({"name": ["recall-slo", "all-of-b"], "system": ["a", "b"], "metric": ["recall", ""]})
    signals = happened(
        (1, "signal", {"system": "a", "ref": "recall"}), (2, "signal", {"system": "b", "ref": "x"}),
        (3, "signal", {"system": "a", "ref": "call"}),
    )  # fmt: skip
    table = happened((9, "alert", {"system": "a", "message": "recall is low", "ref": "SLO"}))
    seen = timeline.detection_gap(table, signals, NONE, monitors)["seen_by"].tolist()[1:]
    nothing = "no alert on it in these exports"
    assert seen == ["alert SLO; monitor recall-slo", f"{nothing}; monitor all-of-b",
                    f"{nothing}; no listed monitor watches it; of a: SLO"]  # fmt: skip
    with pytest.raises(InputError, match="monitors: required column 'metric' is missing"):
        timeline.detection_gap(table, signals, NONE, monitors[["name", "system"]])


def test_an_alert_within_the_interval_of_the_sign_may_have_come_before_it():
    table = happened(((10, 30), "signal", {"system": "a"}), (20, "alert", {"system": "a"}))
    row = timeline.detection_gap(table, None, NONE).iloc[0]
    assert (row["low"], row["high"]) == (pd.Timedelta(0), 10 * MINUTE)
    assert row["note"] == "the alert may have come before the sign"


def test_clock_corrections_are_kept_and_the_corrected_event_wins():
    plain = events(("a", 10, "log", "x", "m"))
    for offset in (MINUTE, -MINUTE):
        offsets = pd.Series([offset], dtype="timedelta64[ns]")
        moved = plain.assign(time=plain["time"] - offset, offset=offsets, offset_method="12 anchors")
        for order in ((plain, moved), (moved, plain)):
            row = timeline.merge(*order)[["time", "offset", "offset_method"]].values.tolist()
            assert row == [[START + 10 * MINUTE - offset, offset, "12 anchors"]]
    older = plain.drop(columns=["offset", "offset_method"])
    assert timeline.merge(older)["offset"].tolist() == [pd.Timedelta(0)]


def test_events_without_an_id_cannot_be_merged():
    with pytest.raises(InputError, match="1 of 2 events have no event_id"):
        timeline.merge(events(("a", 1, "log", "x", "m"), ("", 2, "log", "x", "m")))


def test_overview_folds_what_reads_alike_of_a_frequent_kind_and_counts_it():
    rows = [(f"a{n}", n, "alert", "x", "too slow") for n in range(100)] + [("d", 3, "decided", "", "roll back")]
    shown = timeline.overview(timeline.merge(events(*rows)))
    assert shown["count"].tolist() == [100, 1]
    assert shown["kind"].tolist() == ["alert", "decided"]


def test_overview_shows_the_worst_log_texts_first_seen_and_no_harmless_ones_before_them():
    table = events(*[(f"l{n}", n, "log", "a", f"text {n % 60}") for n in range(120)])
    table["severity"] = pd.array([21 if n % 60 == 59 else 13 if n % 60 else 9 for n in range(120)], dtype="Int64")
    shown = timeline.overview(timeline.merge(table), limit=30)
    assert shown["message"].iloc[-1] == "text 59"
    assert "text 0" not in shown["message"].tolist()
    assert shown["time"].tolist() == [START + int(text.removeprefix("text ")) * MINUTE for text in shown["message"]]
    assert set(shown["count"]) == {2}


def test_phases_of_an_incident_without_a_milestone_are_unknown_and_typed():
    columns = {name: pd.Series([], dtype=object) for name in ("time", "earliest", "latest", "evidence", "note")}
    nothing = timeline.milestones(pd.DataFrame(columns))
    found = timeline.phases(nothing)
    assert found["start_earliest"].isna().all()
    assert str(found["start_earliest"].dtype) == times.UTC


def test_errors_of_logs_are_shown_however_many_other_events_there_are():
    at = pd.Timestamp("2025-01-01", tz="UTC")
    rows = [("deploy", f"d{n}", None) for n in range(60)] + [("log", "disk full", 17), ("log", "all is well", 9)]
    table = pd.DataFrame(rows, columns=["kind", "message", "severity"])
    table = table.assign(event_id=[f"{n}" for n in range(62)], time=at, severity=table["severity"].astype("Int64"))
    shown = timeline.overview(timeline.merge(schema.check(table, "events")), limit=40)
    assert "disk full" in shown["message"].tolist()
    assert "all is well" not in shown["message"].tolist()

"""Timeline: order, milestones, durations, overview and gaps."""

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


def declared(**minutes):
    stamps = {name: value if isinstance(value, tuple) else (value, value) for name, value in minutes.items()}
    at = {name: [START + pd.Timedelta(minutes=m) for m in pair] for name, pair in stamps.items()}
    frame = pd.DataFrame.from_dict(at, orient="index", columns=["earliest", "latest"])
    return frame.assign(time=pd.NaT, evidence="", note="")


@settings(max_examples=40, deadline=None)
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


def test_overview_never_drops_what_is_not_a_log_record():
    table = timeline.merge(events(*[(f"d{n}", n, "deploy", "a", f"v{n}") for n in range(90)]))
    assert len(timeline.overview(table, limit=10)) == 90


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

"""The timeline picture: what is drawn, not pixels."""

import itertools
import math

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from matplotlib.figure import Figure

from rca import schema, times
from rca.plots import timeaxis
from rca.plots.timeline import timeline as draw
from rca.systems import timeline

START = times.parse("2025-03-01T09:00:00Z")


def events(kinds, systems=None):
    minutes = range(len(kinds))
    frame = pd.DataFrame(
        {
            "event_id": [f"e{n}" for n in minutes],
            "time": pd.Series([START + pd.Timedelta(minutes=n) for n in minutes], dtype=times.UTC),
            "kind": kinds,
            "message": "m",
            "system": systems or ["a"] * len(kinds),
        }
    )
    return schema.check(frame, "events")


def labels(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def notes(ax):
    """The text below the legend, its lines joined."""
    return " ".join(text.get_text() for text in ax.texts if text.get_color() == "#444444").replace("\n", " ")


def declared(**minutes):
    """Milestones at minutes after START, or between two of them."""
    rows = {
        name: [START + pd.Timedelta(minutes=edge) for edge in (value if isinstance(value, tuple) else (value, value))]
        for name, value in minutes.items()
    }
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["earliest", "latest"])
    return timeline.milestones(frame.assign(time=pd.NaT, evidence="", note=""))


def named(ax, label):
    return [item for item in ax.collections if item.get_label() == label]


def test_every_dated_event_is_drawn_once_in_the_lane_of_its_system():
    ax = draw(events(["alert", "deploy", "log", "chat", "other", "log"], ["a", "b", "a", "b", "c", "c"]))
    points = [tuple(point) for collection in ax.collections for point in collection.get_offsets()]
    assert len(points) == 6
    assert labels(ax) == ["a", "b", "c"]
    assert sorted(round(lane) for _, lane in points) == [0, 0, 1, 1, 2, 2]


def test_alerts_and_changes_lie_on_top_of_log_records():
    ax = draw(events(["alert", "log", "deploy"]))
    assert [collection.get_label() for collection in ax.collections] == ["log record", "change", "alert"]


def test_undated_events_are_counted_not_hidden():
    table = events(["alert", "alert"])
    table.loc[1, "time"] = pd.NaT
    table.loc[1, "message"] = "customers complained"
    ax = draw(table)
    assert "1 undated events not drawn: “customers complained” (a)." in notes(ax)
    assert sum(len(collection.get_offsets()) for collection in ax.collections) == 1


def test_an_event_known_only_as_an_interval_is_a_bar():
    table = events(["statement", "statement"])
    table.loc[1, "time"] = pd.NaT
    table.loc[1, ["time_earliest", "time_latest"]] = [START, START + pd.Timedelta(minutes=9)]
    ax = draw(table)
    assert "undated" not in notes(ax)
    assert len([c for c in ax.collections if hasattr(c, "get_segments") and len(c.get_segments()) == 1]) == 1


def test_milestones_are_named_and_missing_ones_are_not_drawn():
    ax = draw(events(["alert"]), declared(detected=0))
    assert [text.get_text() for text in ax.texts] == ["Detected"]


def test_many_systems_share_a_last_lane_that_says_so():
    names = [f"s{n:02d}" for n in range(40)]
    ax = draw(events(["alert"] * 40, names))
    assert len(labels(ax)) == 12
    assert labels(ax)[-1] == "other systems (29)"
    named = notes(ax).partition("Other systems: ")[2].rstrip(".").split(", ")
    assert sorted(named + labels(ax)[:-1]) == names


def test_dollar_signs_in_a_system_name_stay_text():
    ax = draw(events(["alert"], ["$x$"]))
    ax.figure.canvas.draw()
    assert labels(ax) == ["$x$"]


def test_an_empty_timeline_is_an_empty_picture():
    ax = draw(schema.empty("events"))
    ax.figure.canvas.draw()
    assert labels(ax) == []


def test_events_far_from_the_incident_are_counted_and_do_not_squeeze_it():
    table = events(["alert", "deploy", "training_run"])
    table.loc[2, "time"] = START - pd.Timedelta(days=90)
    ax = draw(table, declared(impact_start=0, resolved=30))
    assert "1 far events before" in notes(ax)
    low, high = ax.get_xlim()
    assert (high - low) * 24 * 60 < 100


def test_milestones_that_nearly_coincide_share_a_name():
    ax = draw(events(["alert"] * 60), declared(impact_start=0, detected=30, acknowledged=30, resolved=59))
    assert [text.get_text() for text in ax.texts] == ["Impact start", "Detected / Acknowledged", "Resolved"]


def test_many_log_records_are_a_density_and_a_rare_decision_among_many_chats_is_still_drawn_by_itself():
    table = events(["log"] * 500 + ["chat"] * 200 + ["decided", "alert", "deploy"])
    ax = draw(table)
    assert len(named(ax, "log record, many")) == len(named(ax, "people, many")) == 1
    assert not named(ax, "log record")
    assert [len(named(ax, label)[0].get_offsets()) for label in ("people", "alert", "change")] == [1, 1, 1]


def test_an_error_among_many_log_records_is_drawn_by_itself():
    table = events(["log"] * 500)
    table["severity"] = pd.array([9] * 499 + [17], dtype="Int64")
    ax = draw(table)
    ((x, lane),) = named(ax, "error in a log")[0].get_offsets()
    assert lane == 0
    assert mdates.num2date(x) == table["time"].iloc[-1]


def test_the_height_of_a_density_grows_with_the_log_of_the_number():
    table = events(["log"] * 400)
    first, second = START, START + pd.Timedelta(hours=3)
    table["time"] = [first] * 10 + [second] * 390
    (boxes,) = named(draw(table), "log record, many")
    low, high = sorted(path.vertices[:, 1].max() for path in boxes.get_paths())
    assert math.isclose((low - 0.05) / (high - 0.05), math.log(11) / math.log(391), rel_tol=1e-9)
    assert high < 0.5  # within its lane


def test_records_folded_by_their_source_count_as_often_as_they_came():
    table = events(["log"] * 400)
    table["count"] = [1000] + [1] * 399
    table.loc[1:, "time"] += pd.Timedelta(hours=1)
    assert "at most 1,000;" in notes(draw(table))


def test_records_of_which_only_the_first_and_the_last_are_known_are_spread_between_and_the_note_says_so():
    table = events(["log"] * 400)
    table["time"] = START + pd.to_timedelta([0] * 399 + [600], unit="min")
    table.loc[0, ["time_end", "count"]] = [START + pd.Timedelta(minutes=600), 60_001]
    ax = draw(table)
    assert "known are spread evenly between (estimate)" in notes(ax)
    (boxes,) = named(ax, "log record, many")
    assert len(boxes.get_paths()) >= 220  # all but the margins
    # Bins of 159 s begin 18 minutes, the margin, before the first: the seventh ends 33 s after it, at one every 0.6 s.
    assert f"at most {398 + 55};" in notes(ax)
    whole = draw(table.assign(time_end=pd.Series(pd.NaT, table.index, dtype=times.UTC)))
    assert "estimate" not in notes(whole)
    assert "at most 60,399;" in notes(whole)


def test_one_thing_that_lasted_and_was_told_twice_is_not_spread():
    table = events(["deploy"] * 400)
    table["time_end"], table["count"] = table["time"] + pd.Timedelta(hours=9), 2
    assert "estimate" not in notes(draw(table))


def test_of_many_systems_those_with_alerts_and_changes_keep_their_lane():
    names = [f"busy{n:02d}" for n in range(30)] * 5 + ["quiet-a", "quiet-b"]
    ax = draw(events(["log"] * 150 + ["alert", "deploy"], names))
    assert {"quiet-a", "quiet-b"} <= set(labels(ax))


def test_phases_are_named_in_a_strip_and_the_scheme_is_said():
    times_ = declared(impact_start=10, acknowledged=20, mitigated=40, resolved=59)
    ax = draw(events(["alert"] * 60), times_, (), timeline.phases(times_))
    texts = [text.get_text() for text in ax.texts]
    assert {"1 Preparation", "3 Containment", "4 Eradication", "5 Recovery"} <= set(texts)
    assert "Phases: classic phases" in notes(ax)
    assert "800-61r3" in notes(draw(events(["alert"] * 60), times_, (), timeline.phases(times_, "nist-800-61r3")))


def test_a_phase_without_its_bounds_is_not_drawn():
    times_ = declared(mitigated=40, resolved=59)
    ax = draw(events(["alert"] * 60), times_, (), timeline.phases(times_))
    drawn = [patch.get_label() for patch in ax.patches if patch.get_label()[:1].isdigit()]
    assert drawn == ["4 Eradication", "5 Recovery", "6 Post-incident"]


def test_a_long_quiet_stretch_is_shortened_and_marked_with_its_length():
    table = events(["alert"] * 40)
    table.loc[20:, "time"] += pd.Timedelta(days=9)
    ax = draw(table)
    (text,) = [text.get_text() for text in ax.texts]
    assert text == "8 d 23 h quiet"
    left, right = (
        ax.transAxes.inverted().transform(ax.transData.transform((mdates.date2num(time), 0)))[0]
        for time in (table["time"][19], table["time"][20])
    )
    assert 0.03 < right - left < 0.15
    shown = [label.get_text() for label in ax.get_xticklabels()]
    assert sum("2025-03-01" in label for label in shown) == sum("2025-03-10" in label for label in shown) == 1


def test_a_stretch_in_which_something_may_have_happened_is_not_quiet():
    table = events(["alert"] * 40 + ["statement"])
    table.loc[20:39, "time"] += pd.Timedelta(days=9)
    table.loc[40, "time"] = pd.NaT
    table.loc[40, ["time_earliest", "time_latest"]] = [START, START + pd.Timedelta(days=9)]
    assert not draw(table).texts


def test_an_even_timeline_has_no_shortened_stretch():
    table = events(["alert"] * 9)
    table["time"] = START + pd.to_timedelta(range(9), unit="h")
    assert not draw(table).texts


def four(**windows):
    """The picture of two events in the first and two in the last seconds of five hours; windows in hours after it."""
    table = events(["deploy", "alert", "chat", "status"])
    table["time"] = START + pd.to_timedelta([0, 7, 18000, 18010], unit="s")
    hour = pd.Timedelta("1h")
    chosen = [(name, START + begin * hour, START + end * hour) for name, (begin, end) in windows.items()]
    return table, chosen


def share(ax, start, end):
    """Of the width of the axes, what lies between two times."""
    left, right = (ax.transData.transform((mdates.date2num(time), 0))[0] for time in (start, end))
    return (right - left) / ax.bbox.width


def test_few_events_over_hours_lie_on_an_even_axis():
    ax = draw(four()[0])
    assert not ax.texts
    assert math.isclose(share(ax, START, START + pd.Timedelta("1h")), share(ax, START, START + pd.Timedelta("5h")) / 5,
                        rel_tol=1e-6)  # fmt: skip


@pytest.mark.parametrize("phases", [False, True])
def test_a_window_without_events_is_not_shortened_and_its_bar_is_seen_from_end_to_end(phases):
    table, marks = events(["deploy", "alert", "chat", "status"]), declared(impact_start=197, resolved=209)
    table["time"] = START + pd.to_timedelta([190, 190.1, 211.9, 212], unit="min")
    during = ("during", START + pd.Timedelta("188min"), START + pd.Timedelta("215min"))
    ax = draw(table, marks, [during], timeline.phases(marks) if phases else None)
    low, high = ax.get_xlim()
    assert low < mdates.date2num(during[1]) and mdates.date2num(during[2]) < high
    quiet = [patch for patch in ax.patches if patch.get_hatch() == "///"]
    assert not quiet and share(ax, *during[1:]) > 0.9


def test_the_bar_of_a_healthy_window_lies_over_the_hatches_of_a_shortened_stretch():
    table, windows = four(before=(1, 4.5), during=(4.5, 4.75))
    marks = declared(impact_start=270, resolved=285)
    ax = draw(table, marks.iloc[:0], windows, timeline.phases(marks))
    assert any(patch.get_hatch() == "///" for patch in ax.patches)
    (bar,) = [patch for patch in ax.patches if patch.get_label() == "window: before"]
    assert all(bar.get_zorder() > patch.get_zorder() for patch in ax.patches if patch.get_hatch() == "///")


def test_an_event_after_the_incident_is_drawn_where_the_window_is():
    table = events(["alert", "chat"])
    table["time"] = START + pd.to_timedelta([2, 19], unit="min")
    marks, hour = declared(impact_start=0, resolved=12), pd.Timedelta("1h")
    assert "1 far events" in notes(draw(table, marks))
    ax = draw(table, marks, [("during", START - hour / 4, START + hour / 3)])
    assert "far events" not in notes(ax)
    assert mdates.num2date(ax.get_xlim()[1]) >= START + hour / 3


def test_a_stretch_without_events_before_the_window_is_shortened_and_the_window_is_not():
    table, windows = four(before=(1, 4.5), during=(4.5, 4.75))
    ax = draw(table, None, windows)
    assert [text.get_text().endswith("quiet") for text in ax.texts] == [True, True]
    assert share(ax, *windows[1][1:]) > 0.75


SPANS = {
    "1ms": ("09:00:00.000", 3), "1s": ("09:00:00.200", 5), "1min": ("09:00:10", 6), "1h": ("09:10", 6),
    "1D": ("12:00", 7), "30D": ("2025-03-06", 6), "426D": ("2025-05", 7), "2922D": ("2026-01", 8),
    "7300D": ("2030-01", 5), "50000D": ("2040-01", 6),
}  # fmt: skip


@pytest.mark.parametrize("span", SPANS)
def test_every_time_axis_shows_the_date_and_enough_round_times(span):
    table = events(["alert"] * 12)
    table["time"] = START + pd.Timedelta(span) * np.arange(12) // 11
    ax = draw(table)
    ax.figure.canvas.draw()
    shown = [label.get_text() for label in ax.get_xticklabels()]
    first, least = SPANS[span]
    assert any(label.startswith(first) for label in shown), shown
    assert any("20" in label and "-" in label for label in shown), shown
    assert least <= len(shown) <= 10, shown
    assert len(set(shown)) == len(shown)
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes)), shown
    places = [ax.transData.transform((x, 0))[0] for x in mdates.date2num(table["time"])]
    assert places[-1] - places[0] > 0.9 * ax.bbox.width  # the events fill the axis


@pytest.mark.parametrize("span", ["1ms", "1s", "1min", "1h"])
def test_long_labels_beside_a_quiet_stretch_do_not_overlap(span):
    table = events(["alert"] * 20)
    parts = np.concatenate([np.arange(10) / 500, 1 + np.arange(10) / 500])
    table["time"] = START + pd.to_timedelta((parts * pd.Timedelta(span).value).astype("int64"), unit="ns")
    ax = draw(table)
    ax.figure.canvas.draw()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 4 * 10**18), st.integers(1, 5 * 10**18), st.lists(st.floats(0, 1), min_size=0, max_size=6),
    st.integers(1, 10**6),
)  # fmt: skip
def test_an_axis_has_ticks_within_it_in_order_for_any_span_and_any_clusters(first, span, parts, size):
    at = np.array(sorted({first, first + span, *(first + int(part * span) for part in parts)}), dtype=np.int64)
    at = np.unique(np.concatenate([at, at + span // size]))
    ax = Figure().subplots()
    axis = timeaxis.scale(at, at, (int(at[0]), int(at[-1])))
    timeaxis.set_axis(ax, axis)
    ticks = ax.get_xticks()
    assert 1 <= len(ticks) <= 12
    assert (np.diff(ticks) > 0).all()
    assert axis.times[0] <= ticks[0] and ticks[-1] <= axis.times[-1]
    assert not any(start < tick < end for tick in ticks for start, end in axis.quiet)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**16), min_size=1, max_size=30))
def test_the_axis_keeps_order_and_reads_back_the_time(times_):
    at = np.array(sorted(times_), dtype=np.int64)
    axis = timeaxis.scale(at, at, (int(at[0]), int(at[-1])))
    places = axis.place(timeaxis.days(at))
    assert (np.diff(places) >= -1e-12).all()
    assert ((places > 0) & (places < 1)).all()
    assert not any(start < time < end for time in timeaxis.days(at) for start, end in axis.quiet)
    np.testing.assert_allclose(axis.time(places), timeaxis.days(at), rtol=0, atol=1e-6)


def test_half_a_million_events_are_a_few_hundred_shapes():
    size = 500_000
    table = schema.empty("events").reindex(range(size))
    table["time"] = START + pd.to_timedelta(np.arange(size), unit="ms")
    table["kind"], table["system"], table["count"] = "log", "a", 1
    ax = draw(table)
    assert sum(len(item.get_paths()) for item in ax.collections) <= 240


def test_the_same_interval_told_a_thousand_times_is_one_bar():
    table = events(["statement"] * 1000)
    table["time"] = pd.Series(pd.NaT, table.index, dtype=times.UTC)
    table["time_earliest"], table["time_latest"] = START, START + pd.Timedelta(minutes=9)
    (bars,) = [item for item in draw(table).collections if hasattr(item, "get_segments")]
    assert len(bars.get_segments()) == 1


def test_a_far_mix_of_scripts_and_long_names_is_drawn_without_a_warning():
    ax = draw(events(["alert", "log"], ["支付-" * 40, "a\x00b"]))
    ax.figure.canvas.draw()
    assert all(len(label) <= 30 for label in labels(ax))

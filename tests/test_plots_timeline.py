"""The timeline picture: what is drawn, not pixels."""

import pandas as pd

from rca import schema, times
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


def test_every_dated_event_is_drawn_once_in_the_lane_of_its_system():
    ax = draw(events(["alert", "deploy", "log", "chat", "other", "log"], ["a", "b", "a", "b", "c", "c"]))
    points = [tuple(point) for collection in ax.collections for point in collection.get_offsets()]
    assert len(points) == 6
    assert labels(ax) == ["a", "b", "c"]
    assert sorted(lane for _, lane in points) == [0, 0, 1, 1, 2, 2]


def test_alerts_and_changes_lie_on_top_of_log_records():
    ax = draw(events(["alert", "log", "deploy"]))
    assert [collection.get_label() for collection in ax.collections] == ["log record", "change", "alert"]


def test_undated_events_are_counted_not_hidden():
    table = events(["alert", "alert"])
    table.loc[1, "time"] = pd.NaT
    assert "1 undated events not drawn" in draw(table).get_xlabel()


def test_an_event_known_only_as_an_interval_is_a_bar():
    table = events(["statement", "statement"])
    table.loc[1, "time"] = pd.NaT
    table.loc[1, ["time_earliest", "time_latest"]] = [START, START + pd.Timedelta(minutes=9)]
    ax = draw(table)
    assert "undated" not in ax.get_xlabel()
    assert len([c for c in ax.collections if hasattr(c, "get_segments") and len(c.get_segments()) == 1]) == 1


def test_milestones_are_named_and_missing_ones_are_not_drawn():
    declared = pd.DataFrame(
        {"time": [START], "earliest": [pd.NaT], "latest": [pd.NaT], "evidence": "", "note": ""}, index=["detected"]
    )
    ax = draw(events(["alert"]), timeline.milestones(declared))
    assert [text.get_text() for text in ax.texts] == ["Detected"]


def test_many_systems_share_a_last_lane_that_says_so():
    names = [f"s{n:02d}" for n in range(40)]
    ax = draw(events(["alert"] * 40, names))
    assert len(labels(ax)) == 18
    assert labels(ax)[-1] == "23 other systems"


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
    times_ = {"time": [START, START + pd.Timedelta(minutes=30)], "earliest": pd.NaT, "latest": pd.NaT}
    declared = pd.DataFrame({**times_, "evidence": "", "note": ""}, index=["impact_start", "resolved"])
    ax = draw(table, timeline.milestones(declared))
    assert "1 far events not drawn" in ax.get_xlabel()
    low, high = ax.get_xlim()
    assert (high - low) * 24 * 60 < 100

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from rca.plots.cascade import cascade
from rca.plots.graph import graph as draw
from rca.records import Trace

AT = pd.Timestamp("2025-03-03T10:00Z")
GRAPH = nx.DiGraph([("db", "api"), ("cache", "api"), ("api", "web"), ("dark", "web")])
DEVIATIONS = pd.DataFrame(
    {
        "system": ["db", "api", "web", "cache"],
        "metric": "latency_$p99",
        "deviation": [60.0, 20.0, 7.0, 1.0],
        "onset": [AT, AT + pd.Timedelta("5min"), AT + pd.Timedelta("10min"), pd.NaT],
    }
)
NAMED = Trace(
    ("web", "latency_$p99"),
    DEVIATIONS.iloc[:3].set_index("system").assign(path=[("db", "api", "web"), ("api", "web"), ("web",)]),
    DEVIATIONS,
)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def boxes(ax):
    return {patch.get_gid(): patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)}


def arrows(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def brightness(patch):
    return float(np.dot(patch.get_facecolor()[:3], (0.3, 0.59, 0.11)))


def test_each_system_is_a_box_and_each_dependency_an_arrow():
    ax = draw(GRAPH)
    assert set(boxes(ax)) == set(GRAPH)
    assert len(arrows(ax)) == 4
    left = {name: box.get_x() for name, box in boxes(ax).items()}
    assert left["db"] == left["cache"] < left["api"] == left["dark"] < left["web"]


def test_the_first_cause_the_symptom_the_path_and_the_times_are_marked():
    ax = cascade(NAMED, GRAPH)
    assert texts(ax)[0] == "First cause: db"
    assert {"first cause", "symptom"} <= set(texts(ax))
    assert "latency_$p99 +60.0\nsd\nsince 03-03 10:00\n10 min before the\nsymptom" in texts(ax)
    assert "no metrics" in texts(ax)
    assert "no significant move" in texts(ax)
    assert sorted(round(arrow.get_linewidth(), 3) for arrow in arrows(ax)) == [1.1, 1.1, 2.6, 2.6]
    assert max(boxes(ax), key=lambda name: boxes(ax)[name].get_linewidth()) == "db"


def test_a_stronger_deviation_is_darker():
    drawn = boxes(cascade(NAMED, GRAPH))
    shades = [brightness(drawn[name]) for name in ("db", "api", "web", "cache")]
    assert shades == sorted(shades)
    assert len(set(shades)) == 4


def test_an_abstention_says_why_and_marks_nobody():
    ax = cascade(Trace(("web", "latency_$p99"), pd.DataFrame(), DEVIATIONS, "Two <b>leaders</b> tie."), GRAPH)
    assert texts(ax)[:2] == ["No first cause is named.", "Two <b>leaders</b> tie."]
    assert "first cause" not in texts(ax)
    assert {round(arrow.get_linewidth(), 3) for arrow in arrows(ax)} == {1.1}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nothing_overlaps_with_twenty_systems_and_long_names(seed):
    rng = np.random.default_rng(seed)
    names = [f"service-with-a-long-name-{n}.region-{n % 3}.example.com" if n % 2 else f"s{n}" for n in range(20)]
    edges = [(names[a], names[b]) for b in range(20) for a in range(b) if rng.random() < 0.12]
    big = nx.DiGraph([*edges, (names[3], names[2]), (names[2], names[3])])
    big.add_nodes_from(names)
    ax = draw(big)
    ax.figure.canvas.draw()
    frames = {name: box.get_window_extent() for name, box in boxes(ax).items()}
    assert not any(frames[a].overlaps(frames[b]) for a in names for b in names if a < b)
    straight = [arrow.get_path() for arrow in arrows(ax) if 3 not in arrow.get_path().codes]
    points = np.concatenate([ax.transData.transform(path.vertices) for path in straight])
    for frame in frames.values():
        assert not ((abs(points - (frame.p0 + frame.p1) / 2) + 2) < np.array(frame.size) / 2).all(axis=1).any()
    for text in ax.texts:
        assert text.get_fontsize() >= 8
        written = text.get_window_extent()
        name = text.get_text().replace("\n", "")
        if name in frames:
            assert frames[name].x0 <= written.x0 and written.x1 <= frames[name].x1
            assert frames[name].y0 <= written.y0 and written.y1 <= frames[name].y1


def test_a_given_axes_is_drawn_in_and_the_picture_made_smaller():
    ax = Figure(figsize=(4, 2)).subplots()
    assert cascade(NAMED, GRAPH, ax) is ax
    assert all(text.get_fontsize() < 8.5 for text in ax.texts[1:])


def test_an_empty_graph_says_so():
    assert texts(draw(nx.DiGraph())) == ["no system is named"]

import itertools
from itertools import pairwise

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.transforms import Bbox

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


def tangle(size, seed):
    """A graph as services have it: layers, some long edges, and a few that go back and close cycles."""
    rng = np.random.default_rng(seed)
    names = [f"service-with-a-long-name-{n}.region-{n % 3}.example.com" if n % 5 == 1 else f"s{n}" for n in range(size)]
    layer = np.sort(rng.integers(0, max(2, int(size**0.5)), size))
    pairs = [(a, b) for b in range(size) for a in range(b) if 0 < layer[b] - layer[a] <= 2]
    chosen = [pairs[number] for number in rng.choice(len(pairs), min(len(pairs), int(1.5 * size)), replace=False)]
    back = [(b, a) for a, b in chosen[:: max(1, size // 6)]]
    far = [(int(b), int(a)) for a, b in np.sort(rng.integers(0, size, (2, 2)), axis=1) if a != b]
    built = nx.DiGraph([(names[a], names[b]) for a, b in [*chosen, *back, *far]])
    built.add_nodes_from(names)
    return built


def traced(built):
    """A trace with a symptom as far from its cause as the graph has one."""
    apart = {one: nx.single_source_shortest_path(built, one) for one in built}
    way = max((path for paths in apart.values() for path in paths.values()), key=lambda path: (len(path), path))
    moved = [*way, *sorted(set(built) - set(way))[::2]]
    rows = [
        (name, "error_rate_of_requests", 3.0**n % 70 + 1, AT + pd.Timedelta(minutes=n)) for n, name in enumerate(moved)
    ]
    moves = pd.DataFrame(rows, columns=["system", "metric", "deviation", "onset"])
    lags = tuple(["5 minutes", "below the sampling step", "not measured"][n % 3] for n in range(len(way) - 1))
    best = moves.iloc[:1].set_index("system").assign(path=[tuple(way)], lags=[lags])
    return Trace((way[-1], "error_rate_of_requests"), best, moves), lags


def overlapping(frames):
    return [(a, b) for a, b in itertools.combinations(frames, 2) if frames[a].overlaps(frames[b])]


def shrunk(frame, by=1.0):
    return Bbox.from_extents(frame.x0 + by, frame.y0 + by, frame.x1 - by, frame.y1 - by)


@pytest.mark.parametrize(("size", "seed"), [(5, 0), (20, 1), (60, 2), (60, 3)])
@pytest.mark.parametrize("of_a_cascade", [False, True])
def test_no_box_text_or_arrow_lies_over_another_however_many_systems_and_cycles(size, seed, of_a_cascade):
    built = tangle(size, seed)
    trace, lags = traced(built)
    ax = cascade(trace, built) if of_a_cascade else draw(built)
    renderer = FigureCanvasAgg(ax.figure).get_renderer()
    frames = {name: box.get_window_extent() for name, box in boxes(ax).items()}
    assert set(frames) == set(built)
    assert not overlapping(frames)
    written = {
        (number, text.get_text()): shrunk(text.get_window_extent(renderer)) for number, text in enumerate(ax.texts)
    }
    assert not overlapping(written)
    sheet = ax.figure.bbox
    for (number, said), frame in written.items():
        assert ax.texts[number].get_fontsize() >= 8
        assert sheet.x0 <= frame.x0 and frame.x1 <= sheet.x1 and sheet.y0 <= frame.y0 and frame.y1 <= sheet.y1
        if said.replace("\n", "") in frames:
            box = frames[said.replace("\n", "")]
            assert box.x0 <= frame.x0 and frame.x1 <= box.x1 and box.y0 <= frame.y0 and frame.y1 <= box.y1
        if of_a_cascade and said.replace("\n", " ") in lags:
            assert not any(frame.overlaps(box) for box in frames.values())
    drawn = [arrow.get_path().transformed(ax.transData).to_polygons(closed_only=False) for arrow in arrows(ax)]
    points = np.concatenate([Path(line).interpolated(4).vertices for lines in drawn for line in lines])
    for frame in frames.values():
        assert not ((abs(points - (frame.p0 + frame.p1) / 2) + 2) < np.array(frame.size) / 2).all(axis=1).any()
    if of_a_cascade:
        told = [text.get_text().replace("\n", " ") for text in ax.texts]
        left = [boxes(ax)[name].get_x() for name in trace.candidates["path"].iloc[0]]
        assert left == sorted(left)
        assert [told.count(lag) for lag in sorted(set(lags))] == [lags.count(lag) for lag in sorted(set(lags))]


def test_arrows_lead_from_the_side_of_the_cause_to_the_side_of_the_effect_also_back_in_a_cycle():
    built = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "a"), ("a", "c")])
    ax = draw(built)
    frames = {name: (box.get_x(), box.get_y(), box.get_width(), box.get_height()) for name, box in boxes(ax).items()}

    def side(point):
        for name, (x, y, wide, high) in frames.items():
            if y <= point[1] <= y + high and min(abs(point[0] - x), abs(point[0] - x - wide)) < 1e-6:
                return name
        return None

    found = {tuple(side(end) for end in arrow._path_original.vertices[[0, -1]]): arrow for arrow in arrows(ax)}
    assert set(found) == set(built.edges)
    assert {edge for edge, arrow in found.items() if arrow.get_linestyle() != "-"} == {("c", "a")}
    assert texts(ax)[-1] == "a fault spreads along the arrows; a dashed one closes a cycle"


def test_each_edge_on_the_way_to_the_symptom_carries_its_lag():
    lagged = Trace(NAMED.symptom, NAMED.candidates.assign(lags=[("5 minutes", "not measured"), ("x",), ()]), DEVIATIONS)
    ax = cascade(lagged, GRAPH)
    where = {text.get_text(): text.get_position()[0] for text in ax.texts}
    left = {name: box.get_x() for name, box in boxes(ax).items()}
    wide = boxes(ax)["db"].get_width()
    assert left["db"] + wide < where["5 minutes"] < left["api"]
    assert left["api"] + wide < where["not measured"] < left["web"]
    assert "x" not in where
    assert "5 minutes" not in texts(cascade(NAMED, GRAPH))


# How people without one of the three kinds of cones see a colour (Machado, Oliveira and Fernandes 2009, severity 1).
MACHADO = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "none": np.eye(3).tolist(),
}


def luminance(colour, kind):
    """Relative luminance as WCAG 2 defines it, of what is seen."""
    rgb = np.asarray(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(np.clip(np.asarray(MACHADO[kind]) @ linear, 0, 1) @ (0.2126, 0.7152, 0.0722))


def contrast(one, other, kind):
    dark, light = sorted((luminance(one, kind), luminance(other, kind)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("kind", sorted(MACHADO))
def test_shades_and_texts_stay_apart_for_people_who_see_other_colours(kind):
    many = DEVIATIONS.assign(onset=AT, deviation=[60.0, 20.0, 7.0, 1.0])
    ax = cascade(Trace(("web", "latency_$p99"), NAMED.candidates, many), GRAPH)
    shades = [boxes(ax)[name].get_facecolor() for name in ("db", "api", "web", "cache")]
    seen = [luminance(shade, kind) for shade in shades]
    assert seen == sorted(seen)
    assert all(contrast(one, other, kind) > 1.2 for one, other in pairwise(shades))
    for name, box in boxes(ax).items():
        (ink,) = (text.get_color() for text in ax.texts if text.get_text() == name)
        assert contrast(ink, box.get_facecolor(), kind) >= 4.5  # WCAG 2, level AA
    grey, strong = (
        next(a.get_edgecolor() for a in arrows(ax) if round(a.get_linewidth(), 1) == wide) for wide in (1.1, 2.6)
    )
    assert contrast(grey, "white", kind) >= 3 and contrast(strong, "white", kind) >= 3


def test_a_given_axes_is_drawn_in_and_the_picture_made_smaller():
    ax = Figure(figsize=(4, 2)).subplots()
    assert cascade(NAMED, GRAPH, ax) is ax
    assert all(text.get_fontsize() < 8.5 for text in ax.texts[1:])


def test_an_empty_graph_says_so():
    assert texts(draw(nx.DiGraph())) == ["no system is named"]

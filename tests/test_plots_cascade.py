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

from rca.errors import InputError
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
    lags = tuple(["5 min", "below the sampling step", "not known"][n % 3] for n in range(len(way) - 1))
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
    ax = cascade(trace, built, everything=True) if of_a_cascade else draw(built)
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
    drawn = [arrow.get_path().transformed(ax.transData).to_polygons(closed_only=False) for arrow in arrows(ax)]
    points = np.concatenate([Path(line).interpolated(4).vertices for lines in drawn for line in lines])
    for frame in frames.values():
        assert not ((abs(points - (frame.p0 + frame.p1) / 2) + 2) < np.array(frame.size) / 2).all(axis=1).any()
    if of_a_cascade:
        told = " ".join(text.get_text().replace("\n", " ") for text in ax.texts)
        left = [boxes(ax)[name].get_x() for name in trace.candidates["path"].iloc[0]]
        assert left == sorted(left)
        for lag in ("5 min", "below the sampling step", "not known"):
            assert told.count(f"lag: {lag} ") == lags.count(lag)


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


def box_texts(ax):
    """System -> what its box says, on one line."""
    renderer = FigureCanvasAgg(ax.figure).get_renderer()
    found = {}
    for name, box in boxes(ax).items():
        frame = box.get_window_extent()
        inside = [
            text for text in ax.texts if frame.contains(*text.get_window_extent(renderer).get_points().mean(axis=0))
        ]
        found[name] = " ".join(text.get_text() for text in inside).replace("\n", " ")
    return found


def test_each_system_on_the_way_to_the_symptom_says_its_lag_in_short_units():
    lags = [("1 min (within 1 min 30 s)", "below the sampling step of 2 h"), ("x",), ()]
    ax = cascade(Trace(NAMED.symptom, NAMED.candidates.assign(lags=lags), DEVIATIONS), GRAPH)
    said = box_texts(ax)
    assert "lag: 1 min (within 1 min 30 s)" in said["api"]
    assert "lag: below the sampling step of 2 h" in said["web"]
    assert "lag" not in said["db"] + said["cache"] + said["dark"]
    assert "lag: after the one before it" in texts(ax)[-5]
    assert "lag" not in " ".join(texts(cascade(NAMED, GRAPH)))


@pytest.mark.parametrize(
    ("apart", "said"),
    [("60s", "1 min"), ("90s", "1 min 30 s"), ("45s", "45 s"), ("62min", "1 h 2 min"), ("3D", "3 d")],
)
def test_times_before_and_after_the_symptom_have_the_same_units_as_everywhere(apart, said):
    moves = DEVIATIONS.assign(onset=[AT - pd.Timedelta(apart), AT + pd.Timedelta(apart), AT, pd.NaT])
    ax = cascade(Trace(NAMED.symptom, NAMED.candidates.assign(onset=moves["onset"].tolist()[:3]), moves), GRAPH)
    assert f"{said} before the symptom" in box_texts(ax)["db"]
    assert f"{said} after the symptom" in box_texts(ax)["api"]


def wide():
    """A graph of 42 systems, of which the first, one beside it and the last of a chain of five moved."""
    chain = ["db", "a", "b", "c", "web"]
    graph = nx.DiGraph(
        [*pairwise(chain), ("cache", "c"), *((f"s{n}", f"s{n + 1}") for n in range(34)), ("s3", "b"), ("b", "s9")]
    )
    moved = [("db", 60.0, AT), ("cache", 9.0, AT), ("web", 7.0, AT + pd.Timedelta("5min"))]
    still = [(name, 0.5, pd.NaT) for name in ("a", "b", *(f"s{n}" for n in range(23)))]
    table = pd.DataFrame([*moved, *still], columns=["system", "deviation", "onset"]).assign(metric="latency")
    table["onset"] = pd.to_datetime(table["onset"], utc=True)
    best = table.iloc[:1].set_index("system").assign(path=[tuple(chain)])
    return Trace(("web", "latency"), best, table), graph


def test_of_many_systems_only_those_that_moved_and_those_between_are_drawn_and_the_rest_is_counted():
    trace, graph = wide()
    ax = cascade(trace, graph)
    assert set(boxes(ax)) == {"db", "a", "b", "c", "web", "cache"}
    assert len(arrows(ax)) == 5
    assert "and 35 systems that did not move (12 of them without metrics)" in ax.texts[-5].get_text()
    wide_of = {name: box.get_linewidth() for name, box in boxes(ax).items()}
    assert max(wide_of[name] for name in "abc") < min(wide_of[name] for name in ("db", "web", "cache"))
    whole = cascade(trace, graph, everything=True)
    assert set(boxes(whole)) == set(graph) and "systems that did not move" not in " ".join(texts(whole))
    assert ax.figure.get_size_inches()[0] < 14 < whole.figure.get_size_inches()[0]


def test_of_many_systems_those_without_metrics_are_called_so_and_an_abstention_draws_what_moved():
    trace, graph = wide()
    few = trace.deviations[trace.deviations["onset"].notna()]
    ax = cascade(Trace(trace.symptom, pd.DataFrame(), few, "Tie."), graph)
    assert set(boxes(ax)) == {"db", "a", "b", "c", "web", "cache"}
    assert "and 35 systems without metrics" in ax.texts[-5].get_text()


def test_of_up_to_fifteen_systems_all_are_drawn():
    trace, graph = wide()
    small = graph.subgraph(["db", "a", "b", "c", "web", "cache", *(f"s{n}" for n in range(9))])
    assert set(boxes(cascade(trace, small))) == set(small) and len(small) == 15


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
    ax = Figure(figsize=(9, 4)).subplots()
    assert cascade(NAMED, GRAPH, ax) is ax
    assert set(boxes(ax)) == set(GRAPH)
    assert all(6 <= text.get_fontsize() < 8.5 for text in ax.texts[1:] if text.get_weight() == "normal")


def test_a_given_axes_in_which_nothing_could_be_read_says_so_in_texts_that_can():
    ax = Figure(figsize=(4, 2)).subplots()
    assert cascade(NAMED, GRAPH, ax) is ax
    assert not boxes(ax)
    (text,) = ax.texts
    assert text.get_fontsize() > 8
    said = text.get_text().replace("\n", " ")
    assert said.startswith("First cause: db db → api → web")
    assert "3.1 by 1.5 inches are too small for this picture: it needs about" in said
    need = [float(number.strip(".")) for number in said.rpartition("about ")[2].split(" by ")]
    big = Figure(figsize=(need[0] + 0.5, need[1] + 0.5)).add_axes((0, 0, 1, 1))
    assert set(boxes(cascade(NAMED, GRAPH, big))) == set(GRAPH)


def test_an_empty_graph_says_so():
    assert texts(draw(nx.DiGraph())) == ["no system is named"]


def test_a_graph_that_was_not_the_one_traced_is_refused():
    with pytest.raises(InputError, match="draw over the graph that was traced"):
        cascade(NAMED, nx.DiGraph([("one", "two")]))

from itertools import pairwise

import networkx as nx
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from rca.errors import UnknownName
from rca.systems import graph

EDGES = st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg")), max_size=14)


def table(edges):
    return pd.DataFrame(edges, columns=["cause", "effect"])


def test_rows_of_one_edge_are_added_up():
    rows = pd.DataFrame(
        {"cause": ["db", "db"], "effect": ["api", "api"], "basis": ["spans", "declared"], "count": [3, 1], "source": ""}
    )
    built = graph.build(rows, ["web", "api", "db"])
    assert list(built) == ["web", "api", "db"]
    assert built.edges["db", "api"] == {"basis": ("declared", "spans"), "count": 4}


def test_every_unknown_system_is_listed_with_the_nearest_name():
    with pytest.raises(UnknownName) as caught:
        graph.build(table([("fraud-modle", "api"), ("api", "wbe")]), ["fraud-model", "api", "web"])
    assert caught.value.problems == (
        "dependencies: unknown system 'fraud-modle'; did you mean 'fraud-model'?",
        "dependencies: unknown system 'wbe'; did you mean 'web'?",
    )


def test_a_system_that_depends_on_itself_stays_without_the_loop():
    built = graph.build(table([("db", "db")]))
    assert list(built) == ["db"]
    assert not built.edges


def test_no_dependency_at_all_gives_the_systems_alone():
    assert list(graph.build(table([]), ["b", "a"])) == ["b", "a"]


@settings(max_examples=60, deadline=None)
@given(edges=EDGES)
def test_suspects_and_blast_radius_are_what_walks_can_reach(edges):
    built = graph.build(table(edges), list("abcdefg"))
    for system in "abcdefg":
        reached, front, steps = {}, {system}, 0
        while front:
            steps += 1
            front = {effect for cause, effect in built.edges if cause in front} - reached.keys() - {system}
            reached |= dict.fromkeys(front, steps)
        found = graph.blast_radius(built, system)
        assert list(zip(found["system"], found["distance"], strict=True)) == sorted(
            reached.items(), key=lambda item: (item[1], item[0])
        )
        backwards = graph.suspects(built.reverse(), system)
        pd.testing.assert_frame_equal(backwards, found)
        for effect, distance in reached.items():
            way = graph.path(built, system, effect)
            assert len(way) == distance + 1
            assert all(built.has_edge(*step) for step in pairwise(way))


def test_a_path_that_is_not_there_is_empty_and_an_unknown_end_is_named():
    built = nx.DiGraph([("db", "api"), ("api", "web")])
    assert graph.path(built, "web", "db") == ()
    assert graph.path(built, "db", "db") == ("db",)
    for call in (graph.suspects, graph.blast_radius):
        with pytest.raises(UnknownName, match="did you mean 'web'"):
            call(built, "wen")
    with pytest.raises(UnknownName, match="did you mean 'web'"):
        graph.path(built, "db", "wen")


@settings(max_examples=60, deadline=None)
@given(edges=EDGES)
def test_layers_put_effects_after_causes_outside_of_cycles(edges):
    built = graph.build(table(edges), list("abcdefg"))
    placed = graph.layers(built)
    layer = dict(zip(placed["system"], placed["layer"], strict=True))
    assert sorted(layer) == list("abcdefg")
    for cause, effect in built.edges:
        together = nx.has_path(built, effect, cause)
        assert (layer[cause] == layer[effect]) if together else (layer[cause] < layer[effect])
    for _, rows in placed.groupby("layer"):
        assert rows["place"].tolist() == list(range(len(rows)))

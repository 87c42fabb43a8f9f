import itertools
import json
import sqlite3
from contextlib import closing
from itertools import pairwise

import networkx as nx
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from rca import incident, sources
from rca.errors import InputError, UnknownName
from rca.systems import graph
from rca.systems.graph import reach

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


def test_a_kind_is_kept_where_rows_agree_and_a_declared_one_goes_first():
    rows = pd.DataFrame(
        [
            ("raw", "clean", "data", "job", ""),
            ("clean", "table", "job", "data", ""),
            ("table", "fraud", "data", "model", "yesterday's table"),
            ("fraud", "api", "job", None, ""),
        ],
        columns=["cause", "effect", "cause_kind", "effect_kind", "fallback"],
    )
    before = rows.copy()
    built = graph.build(rows, kinds={"api": "service", "clean": "process", "stranger": "model"})
    pd.testing.assert_frame_equal(rows, before)
    assert dict(built.nodes(data="kind")) == {
        "api": "service", "clean": "process", "fraud": None, "raw": "data", "table": "data",
    }  # fmt: skip
    assert list(built.edges(data="fallback")) == [
        ("clean", "table", None), ("fraud", "api", None), ("raw", "clean", None), ("table", "fraud", "yesterday's table"),
    ]  # fmt: skip


def test_a_dependency_without_an_end_and_a_kind_that_is_none_are_errors_with_a_place():
    with pytest.raises(InputError, match="row 2: cause or effect is empty"):
        graph.build(table([("db", "api"), ("db", None)]))
    with pytest.raises(InputError, match="required column 'effect' is missing"):
        graph.build(pd.DataFrame({"cause": ["db"]}))
    with pytest.raises(UnknownName, match="unknown kind of system 'modle'; did you mean 'model'"):
        graph.build(table([("db", "api")]), kinds={"db": "modle"})


@pytest.mark.parametrize("count", [float("nan"), pd.NA, None, "often", "3", -1, 1.5, float("inf"), True])
def test_a_count_that_is_no_number_of_times_is_an_error_with_its_row(count):
    rows = table([("db", "api"), ("db", "api")]).assign(count=pd.Series([2, count], dtype=object))
    with pytest.raises(InputError, match=r"^dependencies: row 2: count is .*; wanted a whole number of at least 0$"):
        graph.build(rows)


def test_counts_may_be_of_any_whole_type():
    for counts in ([2, 3], [2.0, 3.0], pd.array([2, 3], "Int64"), pd.array([2, 3], "uint8"), pd.array([5, 0], "int64")):
        assert graph.build(table([("db", "api"), ("db", "api")]).assign(count=counts)).edges["db", "api"]["count"] == 5


@pytest.mark.parametrize(("cause", "effect"), [(7, "api"), ("db", 7), (3, 7), (b"db", "api"), (["db"], "api")])
def test_a_name_that_is_no_text_is_an_error_with_its_row(cause, effect):
    with pytest.raises(InputError, match=r"^dependencies: row 2: cause or effect is .*; wanted a name, as text$"):
        graph.build(table([("db", "api"), (cause, effect)]))


def test_a_list_of_systems_holds_names():
    with pytest.raises(InputError, match=r"systems holds '7' \(int\); wanted a list of names"):
        graph.build(table([("db", "api")]), ["db", 7])
    with pytest.raises(InputError, match=r"systems holds 'db' \(str\); wanted a list of names"):
        graph.build(table([("db", "api")]), "db")


def test_causes_and_effects_may_be_of_different_categories():
    rows = table([("db", "api"), ("api", "web"), ("web", "web")])
    built = graph.build(rows.astype({"cause": "category", "effect": "category"}))
    plain = graph.build(rows)
    assert list(built.edges(data=True)) == list(plain.edges(data=True))
    assert list(built) == list(plain) == ["api", "db", "web"]


@pytest.mark.parametrize("kind", [nx.Graph, nx.MultiDiGraph, nx.MultiGraph, dict])
def test_a_graph_of_another_kind_is_refused_everywhere(kind):
    wrong = kind() if kind is dict else kind([("db", "api")])
    for ask in (
        lambda: graph.suspects(wrong, "api"), lambda: graph.blast_radius(wrong, "db"),
        lambda: graph.path(wrong, "db", "api"), lambda: graph.paths(wrong, "db", "api"),
        lambda: graph.cut(wrong, "db"), lambda: graph.cut(wrong, ("db", "api")),
        lambda: graph.layers(wrong), lambda: graph.rollback_check(wrong, "7"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=rf"^graph is a {kind.__name__}; wanted a networkx\.DiGraph"):
            ask()


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


def simple_paths(built, cause, effect):
    """All of them by brute force: every order of every set of nodes between."""
    if cause == effect:
        return [(cause,)]
    others = [node for node in built if node not in (cause, effect)]
    ways = [
        (cause, *middle, effect) for count in range(len(others) + 1) for middle in itertools.permutations(others, count)
    ]
    return [way for way in ways if all(built.has_edge(*step) for step in pairwise(way))]


SMALL = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde")), max_size=14)


@settings(max_examples=60, deadline=None)
@given(edges=SMALL, cause=st.sampled_from("abcde"), effect=st.sampled_from("abcde"), limit=st.integers(1, 9))
def test_paths_are_the_shortest_simple_ones_by_length_and_name(edges, cause, effect, limit):
    built = graph.build(table(edges), list("abcde"))
    expected = sorted(simple_paths(built, cause, effect), key=lambda way: (len(way), way))
    found = graph.paths(built, cause, effect, limit=limit)
    assert found["path"].tolist() == expected[:limit]
    assert found["length"].tolist() == [len(way) - 1 for way in expected[:limit]]
    assert (graph.path(built, cause, effect) or None) == (expected[0] if expected else None)
    turned = graph.build(table(edges[::-1]), list("edcba"))
    pd.testing.assert_frame_equal(graph.paths(turned, cause, effect, limit=limit), found)


def test_all_paths_of_a_graph_with_every_edge_are_found_once():
    built = nx.DiGraph(itertools.permutations("abcde", 2))
    expected = sorted(simple_paths(built, "a", "e"), key=lambda way: (len(way), way))
    assert len(expected) == 1 + 3 + 6 + 6
    assert graph.paths(built, "a", "e", limit=99)["path"].tolist() == expected
    forked = nx.DiGraph([*pairwise("abce"), *pairwise("abhe"), *pairwise("adfge")])
    assert graph.paths(forked, "a", "e")["path"].tolist() == [tuple("abce"), tuple("abhe"), tuple("adfge")]


def test_a_few_of_very_many_paths_are_found_without_listing_all():
    steps = [(f"{layer}{one}", f"{layer + 1}{other}") for layer in range(100, 130) for one in "xyz" for other in "xyz"]
    found = graph.paths(graph.build(table(steps)), "100x", "130x", limit=4)
    assert found["length"].tolist() == [30] * 4
    assert [way[-2] for way in found["path"]] == ["129x", "129y", "129z", "129x"]


def test_few_searches_find_the_paths_of_a_long_ring(monkeypatch):
    names = [f"r{number:04d}" for number in range(1000)]
    ring = [(name, names[(number + 1) % 1000]) for number, name in enumerate(names)]
    searches = []
    search = reach.away_from

    def counted(*given, **more):
        searches.append(given)
        return search(*given, **more)

    monkeypatch.setattr(reach, "away_from", counted)
    assert graph.paths(nx.DiGraph(ring), names[1], names[0], limit=20)["length"].tolist() == [999]
    both = nx.DiGraph([*ring, *(edge[::-1] for edge in ring)])
    assert graph.paths(both, names[0], names[400], limit=20)["length"].tolist() == [400, 600]
    forked = nx.DiGraph([*ring, *((names[number], names[number + 3]) for number in range(100, 900, 10))])
    found = graph.paths(forked, names[1], names[0], limit=20)  # 80 forks, each of which spares two edges
    assert found["length"].tolist() == [999 - 2 * 80] + [999 - 2 * 79] * 19
    assert len(searches) == 4  # one in each graph, and one for the long way round


def test_paths_have_a_sentence_and_a_limit_that_is_no_count_is_an_error():
    built = nx.DiGraph([("db", "api"), ("api", "web"), ("db", "web")])
    assert graph.paths(built, "db", "web")["sentence"].tolist() == [
        "A fault in db can reach web directly.", "A fault in db can reach web through api.",
    ]  # fmt: skip
    assert graph.paths(built, "web", "db").empty
    for limit in (0, 1.5, True):
        with pytest.raises(InputError, match="wanted a whole number of at least 1"):
            graph.paths(built, "db", "web", limit=limit)
    with pytest.raises(UnknownName, match="did you mean 'web'"):
        graph.paths(built, "db", "wen")


def through(way, what):
    return what in way if isinstance(what, str) else what in pairwise(way)


@settings(max_examples=80, deadline=None)
@given(edges=SMALL, data=st.data())
def test_what_a_cut_loses_is_what_every_simple_path_went_through(edges, data):
    built = graph.build(table(edges), list("abcde"))
    what = data.draw(st.sampled_from([*"abcde", *built.edges]))
    entries = data.draw(st.sets(st.sampled_from("abcde"), min_size=1))
    origins = data.draw(st.sets(st.sampled_from("abcde"), min_size=1))
    found = graph.cut(built, what, entries=entries, origins=origins)
    states = dict(zip(zip(found["system"], found["side"], strict=True), found["state"], strict=True))
    front, back = (what, what) if isinstance(what, str) else what
    expected = {}
    for system in set("abcde") - {what}:
        ways = [way for entry in entries for way in simple_paths(built, system, entry)]
        if ways and simple_paths(built, system, front):
            expected[system, "cause"] = "lost" if all(through(way, what) for way in ways) else "reachable"
        ways = [way for origin in origins for way in simple_paths(built, origin, system)]
        if ways and simple_paths(built, back, system):
            expected[system, "effect"] = "lost" if all(through(way, what) for way in ways) else "reachable"
    assert states == expected
    for row in found.itertuples():
        assert bool(row.path) == (row.state == "reachable")
        assert all(built.has_edge(*step) for step in pairwise(row.path))
        assert not through(row.path, what)
        if row.path:
            ends = (row.system, entries) if row.side == "cause" else (row.path[0], origins)
            assert row.path[0] == ends[0] and (
                row.path[-1] in entries if row.side == "cause" else row.path[-1] == row.system
            )
            assert row.side == "cause" or row.path[0] in origins


def test_the_ends_of_a_graph_are_its_last_and_first_cycles_when_none_are_given():
    built = nx.DiGraph([("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "d"), ("x", "e")])
    found = graph.cut(built, ("b", "c")).set_index(["system", "side"])
    assert found["state"].to_dict() == {
        ("a", "cause"): "lost", ("b", "cause"): "lost",
        ("c", "effect"): "lost", ("d", "effect"): "reachable", ("e", "effect"): "reachable",
    }  # fmt: skip
    assert found.loc[("d", "effect"), "path"] == ("x", "e", "d")
    assert found.loc[("d", "effect"), "sentence"] == "d is still fed by the origin x through e."
    assert found.loc[("c", "effect"), "sentence"].startswith("No path from an origin to c is left")


def test_a_cut_of_what_is_not_there_is_an_error():
    built = nx.DiGraph([("db", "api"), ("api", "web")])
    with pytest.raises(UnknownName, match="unknown edge 'web -> api'; did you mean 'api -> web'"):
        graph.cut(built, ("web", "api"))
    with pytest.raises(UnknownName, match="unknown edge 'db -> web'; did you mean 'api -> web'"):
        graph.cut(built, ("db", "web"))
    with pytest.raises(UnknownName, match="did you mean 'api'"):
        graph.cut(built, "apo")
    with pytest.raises(UnknownName, match="did you mean 'web'"):
        graph.cut(built, "api", entries=["wen"])
    with pytest.raises(InputError, match="wanted the name of a system or a pair"):
        graph.cut(built, ("db", "api", "web"))


AT = pd.Timestamp("2025-11-18T11:20:00Z")


def happened(*rows):
    """Events of (minutes after the start, system, kind, ref) and other columns."""
    named = ["time", "system", "kind", "ref"]
    events = pd.DataFrame([dict(zip(named, row[:4], strict=True)) | (row[4] if len(row) > 4 else {}) for row in rows])
    events["time"] = pd.to_datetime(
        [AT + pd.Timedelta(minutes=row[0]) if row[0] is not None else pd.NaT for row in rows], utc=True
    )
    return events.assign(message="m")


def shop():
    built = graph.build(
        table([("ranker", "api"), ("api", "web"), ("ranker", "list"), ("list", "mail"), ("ranker", "train"), ("train", "table"),
               ("table", "fraud"), ("web", "api")]),
        kinds={"ranker": "model", "api": "service", "web": "service", "list": "service", "mail": "service", "train": "job",
         "table": "data", "fraud": "model"},
    )  # fmt: skip
    built.edges["ranker", "list"]["fallback"] = "popularity"
    return built


def test_a_rollback_stops_what_needs_it_and_degrades_what_has_a_fallback_or_feeds_on_it():
    found = graph.rollback_check(shop(), "7", happened((0, "ranker", "deploy", "7"))).consumers.set_index("system")
    assert found["outcome"].to_dict() == {
        "api": "stops", "list": "degrades", "train": "stops", "mail": "degrades", "table": "stale", "web": "stops",
        "fraud": "degrades",
    }  # fmt: skip
    assert found["distance"].tolist() == sorted(found["distance"])
    assert found.loc["list", "sentence"] == "list degrades: in place of ranker it uses popularity."
    assert found.loc["mail", "sentence"] == "mail degrades: it depends on list, which degrades."
    assert found.loc["web", "sentence"] == "web stops: it needs api, and no fallback is declared."
    assert found.loc["table", "sentence"].startswith("table is not written while train stops: it keeps what it holds.")


@settings(max_examples=80, deadline=None)
@given(
    edges=EDGES, spared=st.sets(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg"))),
    own=st.sets(st.sampled_from("bcdefg"), max_size=2), stored=st.sets(st.sampled_from("bcdefg"), max_size=2),
)  # fmt: skip
def test_what_stops_is_what_a_path_without_fallback_or_data_set_leads_to(edges, spared, own, stored):
    built = graph.build(table(edges), list("abcdefg"), kinds=dict.fromkeys(stored, "data"))
    for edge in spared & set(built.edges):
        built.edges[edge]["fallback"] = "cache"
    for node in own:
        built.nodes[node]["fallback"] = "cache"
    found = graph.rollback_check(built, "7", system="a").consumers
    outcome = dict(zip(found["system"], found["outcome"], strict=True))
    hard = nx.DiGraph([edge for edge in built.edges if edge not in spared and edge[1] not in own | stored])
    hard.add_nodes_from(built)
    stops = nx.descendants(hard, "a")
    stale = {effect for cause, effect in built.edges if effect in stored - {"a"} and cause in stops | {"a"}}
    assert set(outcome) == nx.descendants(built, "a")
    assert {name for name in outcome if outcome[name] == "stops"} == stops
    assert {name for name in outcome if outcome[name] == "stale"} == stale
    assert set(outcome.values()) <= {"stops", "stale", "degrades"}


def test_state_is_what_was_written_downstream_since_the_version_went_live():
    events = happened(
        (-9, "table", "data_load", "r0"), (0, "ranker", "deploy", "7"), (1, "train", "data_load", "r1"), (2, "table", "data_load", "r2"),
        (3, "fraud", "training_run", "r3"), (-3, "elsewhere", "data_load", "r4"), (5, "web", "log", "x"),
    )  # fmt: skip
    check = graph.rollback_check(shop(), "7", events)
    found = check.consumers.set_index("system")
    assert (check.system, check.live, check.abstained) == ("ranker", AT, None)
    assert found["state"].to_dict() == {
        "api": "", "list": "", "mail": "", "web": "", "train": "", "table": "written since", "fraud": "written since",
    }  # fmt: skip
    assert found.loc["table", "writes"] == 2  # its own load, and the run of the job that writes it
    assert found.loc["table", "first_write"] == AT + pd.Timedelta(minutes=1)
    assert found.loc["fraud", "sentence"].endswith(
        "It holds state written since the version went live: once, at 2025-11-18 11:23 UTC."
    )
    assert "7 of ranker (live since 2025-11-18 11:20 UTC)" in check.answer
    assert "2 stop" not in check.answer and "3 stop, 3 degrade, 1 go stale; 2 hold state" in check.answer


@pytest.mark.parametrize(
    ("events", "state", "said"),
    [
        ([], "not known", "no event tells of a write"),
        ([(-5, "table", "data_load", "r")], "not known", "its events end before the version"),
        ([(-5, "table", "data_load", "r"), (9, "other", "data_load", "r")], "not written since", "Its last write, at 2025-11-18 11:15"),
        ([(5, "table", "data_load", "r", {"severity": 17})], "not known", "a write failed"),
        ([(5, "table", "data_load", "r", {"severity": 13})], "not known", "a write failed"),
        ([(5, "table", "data_load", "r", {"severity": 9})], "written since", "once, at"),
        ([(5, "table", "data_load", "r", {"attributes": '{"event_type": "START"}'})], "not known", "did not end"),
        ([(-5, "table", "data_load", "r", {"attributes": '{"status": "RUNNING"}'})], "not known", "did not end"),
        ([(None, "table", "data_load", "r")], "not known", "has no time"),
        ([(None, "table", "data_load", "r", {"time_earliest": AT})], "written since", "once"),
        ([(None, "table", "data_load", "r", {"time_latest": AT - pd.Timedelta("1s")}), (9, "o", "deploy", "")], "not written since", "Its last"),
        ([(-5, "table", "data_load", "r", {"time_end": AT})], "written since", "once"),
        ([(5, "train", "data_load", "r", {"attributes": '{"outputs": ["table"]}'})], "written since", "once"),
        ([(5, "train", "data_load", "r", {"attributes": '{"outputs": ["others"]}'})], "not known", "no event tells"),
        ([(5, "stranger", "data_load", "r", {"attributes": '{"outputs": ["table"]}'})], "not known", "no event tells"),
        ([(5, "table", "log", "r")], "not known", "no event tells of a write"),
    ],
)  # fmt: skip
def test_whether_state_was_written_is_told_only_as_far_as_the_events_tell(events, state, said):
    whole = happened((0, "ranker", "deploy", "7", {"source": "deploys"}), *events)
    found = graph.rollback_check(shop(), "7", whole.fillna({"attributes": "", "source": "loads"})).consumers.set_index(
        "system"
    )
    assert found.loc["table", "state"] == state
    assert said in found.loc["table", "sentence"]
    assert found.loc["table", "writes"] == (state == "written since")


def test_a_system_of_a_kind_that_is_not_known_may_hold_state():
    built = nx.DiGraph([("a", "b"), ("a", "c")])
    found = graph.rollback_check(built, "1", happened((0, "a", "deploy", "1"), (1, "b", "data_load", "r"))).consumers
    assert found["state"].tolist() == ["written since", "not known"]
    assert "what kind of system it is" in found["sentence"][1]


def test_a_run_of_a_job_writes_the_data_sets_behind_it_and_not_the_services():
    built = graph.build(
        table([("a", "job"), ("job", "data"), ("job", "web")]), kinds={"job": "job", "data": "data", "web": "service"}
    )
    events = happened((0, "a", "deploy", "1"), (1, "job", "data_load", "r"))
    found = graph.rollback_check(built, "1", events).consumers.set_index("system")["state"]
    assert found.to_dict() == {"job": "", "data": "written since", "web": ""}


def test_when_a_version_went_live_rests_on_its_deployment_before_its_registration():
    built = nx.DiGraph([("card", "api")])
    registered = (-60, "card", "model_version", "card/3")
    check = graph.rollback_check(
        built, "3", happened(registered, (0, "card", "deploy", "3"), (9, "card", "rollback", "2"))
    )
    assert (check.live, check.system) == (AT, "card")
    assert check.notes[1] == "It may be out already: rollback 2 at 2025-11-18 11:29 UTC came after it."
    check = graph.rollback_check(built, "3", happened((0, "card", "deploy", "3"), (7, "card", "deploy", "3")))
    assert check.live == AT and not any("may be out" in note for note in check.notes)
    assert graph.rollback_check(built, "3", happened(registered)).live == AT - pd.Timedelta(minutes=60)
    check = graph.rollback_check(built, "card/3", happened(registered))
    assert check.live == AT - pd.Timedelta(minutes=60)
    assert "it may have gone live later than this model_version" in check.notes[1]
    assert "No fallback is declared anywhere" in check.notes[-1]
    check = graph.rollback_check(built, "3", happened((None, "card", "deploy", "3")))
    assert pd.isna(check.live) and check.notes[0].startswith("When version '3' of card went live is not known")
    assert check.consumers["outcome"].tolist() == ["stops"]


def test_a_rollback_of_what_nobody_knows_abstains_and_says_why():
    built = nx.DiGraph([("a", "b"), ("b", "c")])
    events = happened(
        (0, "a", "deploy", "v1.2"),
        (1, "b", "deploy", "v1.2"),
        (2, "x", "deploy", "v9"),
        (3, "c", "commit", "v3"),
        (4, "", "deploy", "v0"),
    )
    for version, said in [
        ("v1.2", "'v1.2' is one of a, b: which of them is meant is not said"),
        ("v9", "is one of x, which the graph does not have"),
        ("v0", "Whose version 'v0' is, no event that names it says."),
        ("v3", "No event tells of a version 'v3'"),
        ("v1.3", "No event tells of a version 'v1.3'; did you mean 'v1.2'?"),
    ]:
        check = graph.rollback_check(built, version, events)
        assert said in check.abstained and check.answer == check.abstained
        assert check.consumers.empty and "outcome" in check.consumers
    assert graph.rollback_check(built, "v1.2", events, system="b").consumers["system"].tolist() == ["c"]
    assert graph.rollback_check(built, "v1", None).abstained
    with pytest.raises(InputError, match=r"version is '7' \(int\); wanted a text such as '7'"):
        graph.rollback_check(built, 7, events)
    with pytest.raises(UnknownName, match="unknown system 'aa'"):
        graph.rollback_check(built, "v1.2", events, system="aa")
    with pytest.raises(InputError):
        graph.rollback_check(built, "v1.2", events.assign(time="2025-11-18 11:20"))


@settings(max_examples=60, deadline=None)
@given(edges=EDGES)
def test_layers_put_effects_after_causes_and_open_cycles_with_few_edges_back(edges):
    built = graph.build(table(edges), list("abcdefg"))
    placed = graph.layers(built)
    layer = dict(zip(placed["system"], placed["layer"], strict=True))
    assert sorted(layer) == list("abcdefg")
    back = [(cause, effect) for cause, effect in built.edges if layer[cause] > layer[effect]]
    for cause, effect in built.edges:
        assert layer[cause] != layer[effect]
        assert layer[cause] < layer[effect] or nx.has_path(built, effect, cause)
    for part in map(built.subgraph, nx.strongly_connected_components(built)):
        if len(part) > 1 and not any(part.has_edge(effect, cause) for cause, effect in part.edges):
            bound = part.number_of_edges() / 2 - len(part) / 6  # proven by Eades, Lin and Smyth
            assert len([edge for edge in back if part.has_edge(*edge)]) <= bound
    if nx.is_directed_acyclic_graph(built):
        assert not back
    for _, rows in placed.groupby("layer"):
        assert rows["place"].tolist() == list(range(len(rows)))


def test_a_cause_stands_as_near_to_its_effects_as_can_be():
    placed = graph.layers(nx.DiGraph([("a", "b"), ("b", "c"), ("x", "c")])).set_index("system")
    assert placed["layer"].to_dict() == {"a": 0, "b": 1, "x": 1, "c": 2}


@settings(max_examples=60, deadline=None)
@given(edges=EDGES, data=st.data())
def test_a_way_that_is_given_leads_forward_through_every_cycle(edges, data):
    built = graph.build(table(edges), list("abcdefg"))
    ways = [way for cause in "abc" for way in nx.single_source_shortest_path(built, cause).values()]
    way = data.draw(st.sampled_from(ways))
    layer = graph.layers(built, way=way).set_index("system")["layer"]
    assert all(layer[cause] < layer[effect] for cause, effect in pairwise(way))
    for cause, effect in built.edges:
        assert layer[cause] < layer[effect] or (layer[cause] > layer[effect] and nx.has_path(built, effect, cause))


@settings(max_examples=30, deadline=None)
@given(edges=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz")), unique=True, max_size=10))
def test_the_order_in_layers_crosses_no_more_than_that_by_name(edges):
    def crossings(rows):
        place = {node: spot for row in rows for spot, node in enumerate(row)}
        spots = [(place[one], place[other]) for one, other in edges]
        return sum((a - c) * (b - d) < 0 for (a, b), (c, d) in itertools.combinations(spots, 2))

    rows = graph.arrange(edges, dict.fromkeys("abcd", 0) | dict.fromkeys("wxyz", 1))
    assert [sorted(row) for row in rows] == [list("abcd"), list("wxyz")]
    assert crossings(rows) <= crossings(["abcd", "wxyz"])


# From written exports


INCIDENT = """
id: x
title: t
kind: outage
severity_tier: SEV1
severity_confirmed_by: role
as_of: 2025-11-19T00:00:00Z
systems: [{id: web}, {id: api}, {id: db, kind: data}, {id: cache}]
dependencies: [{cause: cache, effect: web}]
sources:
- {id: calls, file: sources/calls.csv, reader: csv, table: dependencies, columns: {cause: callee, effect: caller}}
- {id: spans, file: sources/spans.csv, reader: csv, table: spans}
- {id: otlp, file: sources/traces.jsonl, reader: otlp}
- {id: lineage, file: sources/lineage.jsonl, reader: openlineage}
- {id: dbt, file: sources/manifest.json, reader: dbt}
- {id: runs, file: sources/mlflow.db, reader: mlflow}
- {id: registry, file: sources/mlflow.jsonl, reader: mlflow}
"""


def otlp(service, span, parent):
    spans = [{"traceId": "aa", "spanId": span, "parentSpanId": parent, "name": "n", "kind": 2,
              "startTimeUnixNano": "1763464800000000000", "endTimeUnixNano": "1763464801000000000"}]  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}


def tracked(path):
    """A file with the tables and columns of MLflow's database that say what a run read and which model it made."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("""
            CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE runs (run_uuid TEXT, status TEXT, start_time BIGINT, end_time BIGINT, lifecycle_stage TEXT, experiment_id INTEGER);
            CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT);
            CREATE TABLE datasets (dataset_uuid TEXT, name TEXT, digest TEXT);
            CREATE TABLE inputs (source_type TEXT, source_id TEXT, destination_type TEXT, destination_id TEXT);
            CREATE TABLE model_versions (name TEXT, version INTEGER, creation_time BIGINT, last_updated_time BIGINT, run_id TEXT);
            INSERT INTO experiments VALUES (1, 'fraud-training');
            INSERT INTO runs VALUES ('r', 'FINISHED', 1763464800000, 1763464801000, 'active', 1);
            INSERT INTO datasets VALUES ('d', 'transactions', 'x');
            INSERT INTO inputs VALUES ('DATASET', 'd', 'RUN', 'r');
            INSERT INTO model_versions VALUES ('fraud', 1, 1763464802000, 1763464802000, 'r');
        """)


def answers():
    run = {
        "info": {"run_id": "s", "experiment_id": "2", "status": "FINISHED", "start_time": 1763464800000, "lifecycle_stage": "active"},
        "inputs": {"dataset_inputs": [{"dataset": {"name": "clicks", "digest": "x"}}]},
    }  # fmt: skip
    version = {"name": "ranker", "version": "1", "creation_timestamp": 1763464800000, "run_id": "s"}
    parts = [
        ("experiments/search", {"experiments": [{"experiment_id": "2", "name": "ranker-training"}]}),
        ("runs/search", {"runs": [run]}),
        ("model-versions/search", {"model_versions": [version]}),
    ]
    return "\n".join(
        json.dumps({"request": {"path": f"/api/2.0/mlflow/{path}"}, "response": body}) for path, body in parts
    )


def fill(folder):
    """Write one export of every kind that tells of dependencies."""
    (folder / "calls.csv").write_text("caller,callee\nweb,api\napi,web\n")
    (folder / "spans.csv").write_text("trace_id,span_id,parent_id,system\nt,1,,web\nt,2,1,api\nt,3,2,db\nt,4,2,db\n")
    traces = [otlp("checkout", "01", ""), otlp("payment", "02", "01")]
    (folder / "traces.jsonl").write_text("\n".join(map(json.dumps, traces)))
    lineage = {
        "eventType": "COMPLETE", "eventTime": "2025-11-18T11:20:00Z", "producer": "p", "schemaURL": "s",
        "run": {"runId": "1"}, "job": {"namespace": "etl", "name": "clean"},
        "inputs": [{"namespace": "pg", "name": "raw"}], "outputs": [{"namespace": "pg", "name": "orders"}],
    }  # fmt: skip
    (folder / "lineage.jsonl").write_text(json.dumps(lineage))
    manifest = {
        "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json"},
        "parent_map": {"model.shop.features": ["source.shop.orders"], "source.shop.orders": []},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    tracked(folder / "mlflow.db")
    (folder / "mlflow.jsonl").write_text(answers())


def test_dependencies_of_every_kind_of_export_arrive_as_edges(tmp_path):
    folder = tmp_path / "sources"
    folder.mkdir()
    (tmp_path / "incident.yaml").write_text(INCIDENT, encoding="utf-8")
    fill(folder)
    records = sources.read(incident.load(tmp_path))
    built = graph.build(records.dependencies, records.systems)
    assert {edge: built.edges[edge]["basis"] for edge in built.edges} == {
        ("cache", "web"): ("declared",),
        ("api", "web"): ("spans", "table"), ("web", "api"): ("table",), ("db", "api"): ("spans",),
        ("payment", "checkout"): ("spans",),
        ("pg/raw", "clean"): ("table",), ("clean", "pg/orders"): ("table",),
        ("source.shop.orders", "model.shop.features"): ("table",),
        ("transactions", "fraud-training"): ("table",), ("fraud-training", "fraud"): ("table",),
        ("clicks", "ranker-training"): ("table",), ("ranker-training", "ranker"): ("table",),
    }  # fmt: skip
    assert built.edges["db", "api"]["count"] == 2
    check = graph.rollback_check(built, "1", records.events, system="fraud")
    assert check.live == pd.Timestamp(1763464802, unit="s", tz="UTC")


def test_what_formats_and_people_know_of_kinds_and_fallbacks_arrives_in_the_graph(tmp_path):
    folder = tmp_path / "sources"
    folder.mkdir()
    text = INCIDENT.replace("{cause: cache, effect: web}", "{cause: cache, effect: web, fallback: no cache}")
    (tmp_path / "incident.yaml").write_text(text, encoding="utf-8")
    fill(folder)
    records = sources.read(incident.load(tmp_path))
    built = graph.build(records.dependencies, records.systems, kinds=records.kinds)
    assert built.edges["cache", "web"]["fallback"] == "no cache"
    assert {name: kind for name, kind in built.nodes(data="kind") if kind} == {
        "api": "service", "checkout": "service", "payment": "service", "web": "service",
        "clean": "job", "fraud-training": "job", "ranker-training": "job", "fraud": "model", "ranker": "model",
        "db": "data", "pg/raw": "data", "pg/orders": "data", "transactions": "data", "clicks": "data",
        "source.shop.orders": "data", "model.shop.features": "data",
    }  # fmt: skip

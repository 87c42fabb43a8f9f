"""Fishbone: categories, what is under them, and bad input."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from rca.causes import fishbone
from rca.conclusions import Bone
from rca.errors import InputError, UnknownName
from rca.evidence import Evidence

SEEN = (Evidence(table="shapdiff", locator="row 1", says="x"), Evidence(file="sources/a.csv", says="y"))


def test_the_default_categories_are_always_there() -> None:
    table = fishbone.build([])
    assert table["category"].tolist() == ["People", "Process", "Technology", "Data"]
    assert set(table["cause"]) == {"nothing recorded"}
    assert set(table["status"]) == {""}


def test_causes_stand_under_their_category_in_the_order_given() -> None:
    bones = [
        Bone(category="Data", cause="Late", status="supported", evidence=SEEN),
        Bone(category="people", cause="Nobody on call"),
        Bone(category="Data", cause="Cut"),
    ]
    assert fishbone.build(bones).values.tolist() == [
        ["People", "Nobody on call", "open", ""],
        ["Process", "nothing recorded", "", ""],
        ["Technology", "nothing recorded", "", ""],
        ["Data", "Late", "supported", "table shapdiff, row 1; sources/a.csv"],
        ["Data", "Cut", "open", ""],
    ]


def test_the_sets_have_the_sizes_that_their_names_say() -> None:
    sets = fishbone.sets()
    assert {name: len(sets[name]) for name in ("4", "6M", "8P", "4S")} == {"4": 4, "6M": 6, "8P": 8, "4S": 4}
    assert all(category.startswith("M") for category in sets["6M"])
    assert all(category.startswith("P") for category in sets["8P"])
    assert all(category.startswith("S") for category in sets["4S"])
    assert fishbone.build([], categories="ml")["category"].tolist() == list(sets["ml"])


def test_an_unknown_category_is_refused_with_its_place_and_the_nearest() -> None:
    bones = [
        Bone(category="Data", cause="Late"),
        Bone(category="Proces", cause="No gate"),
        Bone(category="Zzz", cause="x"),
    ]
    with pytest.raises(UnknownName) as caught:
        fishbone.build(bones)
    assert caught.value.problems == (
        "fishbone: cause 2 ('No gate'): unknown category 'Proces'; did you mean 'Process'?",
        "fishbone: cause 3 ('x'): unknown category 'Zzz'; known: Data, People, Process, Technology",
    )


def test_an_unknown_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="'6N'; known: 4, 4S, 6M, 8P, ml"):
        fishbone.build([], categories="6N")


@pytest.mark.parametrize("names", [[], ["A", " "], ["A", "a"]])
def test_own_categories_need_distinct_names(names: list[str]) -> None:
    with pytest.raises(InputError, match="fishbone"):
        fishbone.build([], categories=names)


def test_a_cause_given_twice_under_one_category_is_refused() -> None:
    bones = [
        Bone(category="Data", cause="Late"),
        Bone(category="People", cause="Late"),
        Bone(category="data", cause=" late"),
    ]
    with pytest.raises(InputError, match=r"cause 3 \('late'\) stands twice under Data"):
        fishbone.build(bones)


def test_the_sets_cannot_be_changed_by_their_readers() -> None:
    fishbone.sets()["4"] = ()
    assert len(fishbone.sets()["4"]) == 4


@given(st.lists(st.tuples(st.sampled_from(["People", "Data"]), st.integers(0, 30)), unique=True, max_size=10))
def test_nothing_is_lost_and_nothing_added(pairs: list[tuple[str, int]]) -> None:
    table = fishbone.build([Bone(category=name, cause=f"cause {n}") for name, n in pairs])
    recorded = table[table["status"] != ""]
    assert sorted(zip(recorded["category"], recorded["cause"], strict=True)) == sorted(
        (a, f"cause {n}") for a, n in pairs
    )
    assert set(table["category"]) == set(fishbone.sets()["4"])

"""Fixed words: data with ids."""

import re

import pytest

from rca import vocabulary
from rca.errors import UnknownName


@pytest.mark.parametrize("name", vocabulary.LISTS)
def test_each_list_has_plain_unique_ids_with_a_name_and_a_meaning(name):
    table = vocabulary.table(name)
    assert table.index.is_unique
    assert [item for item in table.index if not re.fullmatch(r"[a-zA-Z0-9]+([_-][a-z0-9]+)*", item)] == []
    assert (table[["name", "meaning"]].map(str.strip) != "").all(axis=None)
    assert vocabulary.ids(name) == tuple(table.index)


def test_the_milestones_and_tiers_are_those_of_the_issue():
    expected = "impact_start, first_signal, detected, acknowledged, mitigated, resolved, closed"
    assert vocabulary.ids("milestones") == tuple(expected.split(", "))
    assert vocabulary.ids("severity_tiers") == ("SEV1", "SEV2", "SEV3", "SEV4")


def test_event_kinds_say_which_are_changes():
    changes = vocabulary.table("event_kinds").query("is_change == 'yes'").index
    assert {"deploy", "commit", "flag", "config_change", "model_version", "data_load"} <= set(changes)
    assert not {"alert", "log", "chat", "ticket"} & set(changes)


def test_changing_a_table_does_not_change_the_vocabulary():
    table = vocabulary.table("milestones")
    table.loc["detected", "name"] = "changed"
    del table
    assert vocabulary.table("milestones").loc["detected", "name"] == "Detected"


def test_every_id_passes_the_check_unchanged():
    for name in vocabulary.LISTS:
        assert [vocabulary.check(item, name, where="x") for item in vocabulary.ids(name)] == list(vocabulary.ids(name))


@pytest.mark.parametrize("value", ["delpoy", "Deploy", "deploy ", ""])
def test_a_near_word_is_not_taken_for_the_word(value):
    with pytest.raises(UnknownName, match=r"a\.csv: row 3: bad event kind '.*'; "):
        vocabulary.check(value, "event_kinds", where="a.csv: row 3")


def test_an_unknown_list_names_the_nearest():
    for use in (vocabulary.table, vocabulary.ids):
        with pytest.raises(UnknownName, match="unknown vocabulary 'milestone'; did you mean 'milestones'"):
            use("milestone")


def test_a_word_of_a_megabyte_makes_a_short_message():
    with pytest.raises(UnknownName) as caught:
        vocabulary.check("x\x1b" * 10**6, "causes", where="w")
    assert len(str(caught.value)) < 700
    assert str(caught.value).isprintable()

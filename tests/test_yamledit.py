"""Edits of YAML that people wrote: the value changes, every other character stays."""

import pytest
import yaml
from hypothesis import given, strategies as st

from rca import yamledit
from rca.errors import InputError

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x85\u2028\u2029\ufeff"), max_size=12)
VALUES = st.recursive(
    TEXT | st.integers(-(10**6), 10**6) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
FILES = [
    "id: x\nsources:  # ours\n  - {id: a, file: a.csv}\n  # a remark\n\nother: 1\n",
    "id: x\nsources:\n- id: a\n  file: a.csv   # the file\n- id: b\n  file:\n    - b.csv\n    - c.csv\nother: [1, 2]",
    "id: x\nsources: []   # none yet\n  # - an example\nother: 1\n",
    "id: x\nsources: [{id: a, file: a.csv}, {id: b}]\nother: 1\n",
    "id: x\nsources:\nother: 1\n",
    "id: x\nsources: []\nother: 1\n",
    "id: x\nsources: [\n  {id: a},  # first\n  {id: b}  # last\n]\nother: 1\n",
    "id: x\nother: 1\n",
    "sources:\n  - id: a\n    note: |\n      several\n      lines\nother: 1\n",
    "id: x\r\nsources:\r\n  - {id: a}\r\nother: 1\r\n",
]


@given(VALUES)
def test_a_value_on_one_line_is_read_back_by_the_yaml_library(value):
    text = yamledit.flow(value)
    assert "\n" not in text
    assert yaml.safe_load(text) == value


@pytest.mark.parametrize("text", FILES)
@given(entry=st.dictionaries(st.sampled_from(["id", "file", "columns"]), VALUES, min_size=1))
def test_an_entry_is_added_and_all_else_is_as_before(text, entry):
    new = yamledit.append(text, "sources", entry)
    before, after = yaml.safe_load(text), yaml.safe_load(new)
    assert after["sources"] == [*(before.get("sources") or []), entry]
    assert {**after, "sources": 0} == {**before, "sources": 0}
    for line in text.splitlines():
        assert "#" not in line or line.partition("#")[2] in new
    assert ("\r\n" in text) == ("\r\n" in new)
    assert new.count("\n") == new.count("\r\n") or "\r\n" not in text


@given(VALUES)
def test_a_value_is_replaced_in_place_or_set_where_it_was_not(value):
    for text in (FILES[0], FILES[1]):
        for name in ("file", "clock"):
            new = yamledit.replace(text, ("sources", 0, name), value)
            wanted = yaml.safe_load(text)
            wanted["sources"][0][name] = value
            assert yaml.safe_load(new) == wanted
            assert new.count("#") - yamledit.flow(value).count("#") == text.count("#")


def test_a_list_in_a_block_is_replaced_as_a_whole():
    new = yamledit.replace(FILES[1], ("sources", 1, "file"), ["d.csv"])
    assert yaml.safe_load(new)["sources"][1] == {"id": "b", "file": ["d.csv"]}


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("- 1\n", ("a",), "not a YAML mapping"),
        ("a: [", ("a",), "not valid YAML"),
        ("a: 1\n", ("b", 0, "c"), "no 'b' at b.0.c"),
        ("a: [1]\n", ("a", 3, "c"), "no 3 at a.3.c"),
    ],
)
def test_a_place_that_is_not_there_is_named(text, place, said):
    with pytest.raises(InputError, match=said):
        yamledit.replace(text, place, 1)


def test_what_is_no_list_is_not_appended_to():
    with pytest.raises(InputError, match="sources is not a list"):
        yamledit.append("sources: {a: 1}\n", "sources", {"id": "x"})


def test_a_file_in_braces_is_refused_with_the_remedy():
    with pytest.raises(InputError, match="one name a line"):
        yamledit.append("{id: x, sources: []}", "sources", {"id": "y"})

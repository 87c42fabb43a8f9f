"""YAML as data only: hostile files end in an error with a place, and never in anything else."""

import contextlib
import math
from typing import Annotated

import pytest
import yaml
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel, ConfigDict, Field

from rca import yamlfile
from rca.errors import InputError, MissingFile, RcaError, UnsafeInput


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1)]
    size: int = 0


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str
    parts: list[Part] = []
    by_name: dict[str, Part] = {}
    active: bool = True
    share: float = 0.0


@pytest.fixture
def load(tmp_path):
    def run(text):
        path = tmp_path / "x.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return yamlfile.load(path)[0]

    return run


@pytest.fixture
def parse(tmp_path):
    def run(text, relations=None):
        path = tmp_path / "x.yaml"
        path.write_text(text)
        return yamlfile.parse(path, Whole, relations)

    return run


def problems(parse, text, relations=None):
    with pytest.raises(InputError) as caught:
        parse(text, relations)
    return [problem.partition("x.yaml: ")[2] for problem in caught.value.problems]


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, PLAIN, min_size=1, max_size=5), st.booleans())
def test_what_another_writer_wrote_is_read_back(tmp_path_factory, content, flow):
    path = tmp_path_factory.mktemp("yaml") / "x.yaml"
    path.write_text(yaml.safe_dump(content, default_flow_style=flow, allow_unicode=True), encoding="utf-8")
    assert yamlfile.load(path)[0] == content


@pytest.mark.parametrize(
    "word",
    [
        "no", "yes", "on", "off", "NO", "y", "11:20", "1:20:30", "11:20.5", "190:20:30.15", "010", "0o17", "0x1F",
        "0b11",
        "1_000", "2025-11-18", "2025-11-18T11:20:00Z", "2025-11-18 11:20:00 +1", ".inf", ".nan", "-.INF", "1e999", "=",
        "9" * 5000, "0x" + "f" * 10_000, "1.2.3", "007.5", "+", "-x",
    ],
)  # fmt: skip
def test_spellings_that_yaml_1_1_reads_as_something_else_stay_the_text(load, word):
    assert load(f"a: {word}") == {"a": word}
    assert load(f"- {word}") == [word]


@pytest.mark.parametrize(
    ("word", "value"),
    [("true", True), ("False", False), ("", None), ("~", None), ("null", None), ("0", 0), ("-12", -12), ("+3", 3),
     ("1.5", 1.5), ("-.5", -0.5), ("1e5", 1e5), ("2.", 2.0), ("0.001", 0.001), ("999999999999999999",
     999999999999999999)],
)  # fmt: skip
def test_words_on_which_all_versions_agree_are_values(load, word, value):
    (found,) = load(f"a: {word}").values()
    assert (type(found), found) == (type(value), value)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**17), 10**17))
def test_a_number_in_quotes_is_text_and_without_is_the_number(number):
    text = repr(number)
    assert yamlfile._plain(text) == number
    assert math.isfinite(yamlfile._plain(text))


@pytest.mark.parametrize("quoted", ["'no'", '"no"', "|-\n  no", ">-\n  no"])
def test_quoted_and_block_text_is_text(load, quoted):
    assert load(f"a: {quoted}") == {"a": "no"}
    assert load(f"a: {quoted.replace('no', '12')}") == {"a": "12"}


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: !!python/object/apply:os.system ['true']", "a: 1\nb: !!python/name:os.system",
            "a: 1\nb: !!bool maybe",
        "a: 1\nb: !!int ''", "a: 1\nb: !!str 5", "a: 1\nb: !own {x: 1}", "a: 1\n!!str b: 1", "a: 1\nb: ! x",
    ],
)  # fmt: skip
def test_a_tag_is_refused_with_its_line_before_anything_is_built(load, text):
    with pytest.raises(UnsafeInput, match=r"x\.yaml: line 2: tags \(!\) are not allowed"):
        load(text)


def test_anchors_and_aliases_are_refused_so_that_no_bomb_can_grow(load):
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(
        f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(UnsafeInput, match="line 1: anchors"):
        load(bomb)
    with pytest.raises(UnsafeInput, match="line 2: aliases"):
        load("a: 1\nb: *a")


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "[" * 5000 + "]" * 5000, "{a: " * 5000, "- " * 50_000 + "a", "? " * 50_000,
    "a: [" + "[],\n" * 120_000,
     "- a\n" * 120_000, "\n".join(" " * depth + "a:" for depth in range(500))],
    ids=["[", "[]", "{", "-", "?", "[],", "rows", "indented"],
)  # fmt: skip
def test_deep_nesting_and_endless_values_are_refused_soon(load, text):
    with pytest.raises(UnsafeInput, match="more than 40 levels or 100,000 values"):
        load(text)


def test_forty_levels_are_read(load):
    assert load("[" * 40 + "]" * 40)
    with pytest.raises(UnsafeInput, match="more than 40 levels"):
        load("[" * 41 + "]" * 41)


def test_a_file_past_the_limit_is_not_read(load):
    with pytest.raises(UnsafeInput, match="more than the limit of 1,048,576"):
        load("a: " + "b" * 2**20)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: 1\nb: \x00", r"line 2: character '\\x00' is not allowed"),
        (b"a: \xff", r"not UTF-8 text \(byte 3\)"),
        ("a: 1".encode("utf-16"), r"not UTF-8 text \(byte 0\)"),
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("a: 1\nb:\t- 2", r"line 2: not valid YAML: found character '\\t'"),
        ("a: 1\nb: 'x", "line 2: not valid YAML: found unexpected end"),
        ("a: 1\na: 2", "line 2: duplicate key 'a'"),
        ("a: {b: 1, b: 2}", "line 1: duplicate key 'b'"),
        ("a: 1\n'a': 2", "line 2: duplicate key 'a'"),
        ("a: 1\n? [b]\n: 1", "line 2: a key must be plain text"),
        ("a: 1\n<<: {b: 1}", "line 2: a key must be plain text"),
        ("a: 1\n---\nb: 1", "line 2: not valid YAML: but found another document"),
        ("a: 1\n b: 2", "line 2: not valid YAML: mapping values"),
    ],
)
def test_broken_files_name_the_line_and_what_is_wrong_in_one_line(load, text, said):
    with pytest.raises(InputError, match=rf"x\.yaml: {said}") as caught:
        load(text)
    assert len(caught.value.problems) == 1


def test_a_byte_order_mark_and_windows_line_ends_make_no_difference(load):
    assert load("\ufeffa: 1\r\nb: x\r\n") == {"a": 1, "b": "x"}


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(MissingFile):
        yamlfile.load(tmp_path / "gone.yaml")


def test_lines_are_known_for_every_value(tmp_path):
    (tmp_path / "x.yaml").write_text("a: 1\nb:\n  - c: 2\n  - 3\n")
    lines = yamlfile.load(tmp_path / "x.yaml")[1]
    assert (lines["a",], lines["b",], lines["b", 0], lines["b", 0, "c"], lines["b", 1]) == (1, 2, 3, 3, 4)


def test_every_problem_of_a_file_is_listed_at_once_in_the_order_of_lines(parse):
    text = "parts:\n  - {name: ''}\n  - {nmae: b}\n  - 5\nactiv: true\nshare: [1]\n"
    assert problems(parse, text) == [
        "line 1: title: required, but missing",
        "line 2: parts.0.name: is empty, found ''",
        "line 3: parts.1.name: required, but missing",
        "line 3: unknown key 'nmae'; did you mean 'name'?",
        "line 4: parts.2: expected keys and values, found '5'",
        "line 5: unknown key 'activ'; did you mean 'active'?",
        "line 6: share: Input should be a valid number, found a list",
    ]


def test_the_nearest_key_is_one_that_is_allowed_at_that_place(parse):
    assert problems(parse, "title: x\nby_name: {a: {name: n, siz: 1}}") == [
        "line 2: unknown key 'siz'; did you mean 'size'?"
    ]


@pytest.mark.parametrize("word", ["123", "1.10", "true"])
def test_a_number_where_text_belongs_asks_for_quotes(parse, word):
    assert problems(parse, f"title: {word}")[0].startswith("line 1: title: expected text, in quotes, found '")


def test_a_word_for_no_is_the_text_no_and_for_a_switch_it_is_off(parse):
    assert parse("title: no").title == "no"
    assert not parse("title: x\nactive: no").active


def test_relations_are_listed_with_the_other_problems_and_decide_the_kind(parse):
    def relations(content):
        yield ("parts", 0, "name"), UnsafeInput("leaves")
        yield ("gone", 3), "nowhere"

    assert problems(parse, "parts:\n- name: 5", relations) == [
        "line 1: nowhere", "line 1: title: required, but missing", "line 2: leaves",
        "line 2: parts.0.name: expected text, in quotes, found '5'",
    ]  # fmt: skip
    with pytest.raises(UnsafeInput):
        parse("title: x\nparts:\n- name: n", relations)
    with pytest.raises(MissingFile):
        parse("title: x", lambda content: [((), MissingFile("gone"))])


@pytest.mark.parametrize("text", ["- 1", "just text", "5"])
def test_something_else_than_keys_and_values_is_refused(parse, text):
    assert problems(parse, text)[0].startswith("line 1: expected keys and values, found ")


def test_thousands_of_problems_and_huge_names_make_a_short_list(parse):
    text = "title: x\n" + "".join(f"k{number}: 1\n" for number in range(5000))
    assert len(problems(parse, text)) == yamlfile.MAX_PROBLEMS + 1
    text = "by_name: {" + ", ".join(f'"{letter}": 5' for letter in ("\\e[31m" + "x" * 900, "y" * 900)) + "}"
    with pytest.raises(InputError) as caught:
        parse("title: x\n" + text)
    assert all(len(problem) < 300 and problem.isprintable() for problem in caught.value.problems)


def test_repeated_ids_are_found_across_lists_whatever_else_is_wrong():
    content = {"a": [{"id": "x"}, 5, {"id": ["y"]}], "b": [{"id": "x"}, {"id": "z"}], "c": "no list"}
    found = list(yamlfile.repeated(content, "a", "b", "c", "d"))
    assert found == [(("b", 0, "id"), "duplicate id 'x'")]
    assert list(yamlfile.repeated([], "a")) == []


SYNTAX = st.lists(
    st.sampled_from(["a", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ",", "'", '"', "|", ">", "#", "? ", "<<", "&a ",
        "*a", "!!x ",
                     "---", "...", "%", "@", "\t", "~", "1", "\\", '"\\ud800"', "\x00", "\ufeff", "\u2028", "0x", "é"]),
    max_size=30,
).map("".join)  # fmt: skip


@settings(max_examples=300)
@given(st.binary(max_size=60) | SYNTAX.map(lambda text: text.encode()))
def test_no_bytes_end_in_another_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("yaml") / "x.yaml"
    path.write_bytes(content)
    for use in (yamlfile.load, lambda path: yamlfile.parse(path, Whole, lambda raw: yamlfile.repeated(raw, "parts"))):
        with contextlib.suppress(RcaError):
            use(path)

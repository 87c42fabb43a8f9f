"""What a diff costs to read, however it is written; what it says is checked in ``test_changes.py``."""

import itertools
import re

import pytest

from rca.systems.changes import effects, patch, words
from rca.systems.changes.patch import read

LONG = 2**20
REPEATED = [  # what made some pattern begin anew, or go back, at each of its places
    "a", "A", "Aa", "1", "_", " ", "a ", "a. ", "a.", "a-", "v1.", "log.", "log. ", "print.", "if ", "else if ", "} ",
    "for ", ".map ", "(", "{", "=", "a=", '"', "\"'", "`a", "<a", "/a", "_test.a", "create ", "create unique ", "drop ",
    "@@ -1", "#", "\t", "é",
]  # fmt: skip


def taken(diff):
    """All that is asked of a diff."""
    found = read({"diff": diff})
    effects.effects(found)
    effects.relieves(found)
    return found, found.everything() | found.gone() | found.come(), list(effects.altered(found)), found.inert


@pytest.mark.parametrize("unit", REPEATED)
def test_a_line_of_a_million_characters_is_read_at_once(unit):
    line = unit * (LONG // len(unit))
    for sign, before, after in itertools.product("+-", ("", "x = "), ("", "!")):
        found, *_ = taken(f"@@ -1 +1 @@\n{sign}{before}{line}{after}")
        assert [len(one.text) for one in found.lines] in ([1999], [])
    taken(f"{line}\n@@ {line} @@ {line}\n+++ {line}\n+a")


@pytest.mark.parametrize("unit", REPEATED)
def test_no_pattern_takes_more_than_the_length_of_a_text(unit):
    text = unit * (LONG // len(unit) // 8)
    for module in (effects, patch, words):
        for name, pattern in vars(module).items():
            if isinstance(pattern, re.Pattern):
                for whole in (text, f"x = {text}!"):
                    pattern.match(whole)
                    if name not in (
                        "_CHECK",
                        "_COMMENT",
                        "_LOGGED",
                        "_PATH",
                        "_RANGE",
                        "_VERSION",
                    ):  # never searched for
                        assert sum(1 for _ in pattern.finditer(whole)) <= len(whole) + 1
    assert words.named(f"{text}'price'") | words.words(f"{text}'price'") | {*words.parts(f"{text} price")} >= {"price"}


def test_a_diff_of_thousands_of_lines_that_are_all_alike_is_compared_in_part(monkeypatch):
    compared = []
    name = effects._name
    monkeypatch.setattr(effects, "_name", lambda old, new: compared.append(1) or name(old, new))
    old = "\n".join(f"-a {number} b {number} c = {number}" for number in range(2000))
    new = "\n".join(f"+a {number} b {number} c = {number}" for number in range(5000, 7000))
    assert list(effects.altered(read({"diff": f"{old}\n{new}"}))) == []
    assert 0 < len(compared) <= 2000 * 100
    renewed = new.replace("+a", "+a timeout = 1", 1)
    assert [pair[2] for pair in effects.altered(read({"diff": f"-a timeout = 2{old[2:]}\n{renewed}"}))] == []
    paired = read({"diff": "\n".join(f"-x.set_{n} = {n}" for n in range(300)) + "\n"
                   + "\n".join(f"+x.set_{n} = {n + 1}" for n in range(300))})  # fmt: skip
    assert [pair[2] for pair in effects.altered(paired)] == [f"set_{number}" for number in range(300)]


def test_checks_are_looked_for_in_their_own_hunk_only():
    hunk = "@@ -1 +1 @@\n-if a > 0:\n"
    assert [one.what for one in effects.effects(read({"diff": f"{hunk} use(a)"}))] == ["removes a check"]
    assert [one.what for one in effects.effects(read({"diff": f"{hunk} while a > 0:"}))] == []
    assert [one.what for one in effects.effects(read({"diff": f"{hunk} use(b)\n@@ -9 +9 @@\n use(a)"}))] == []
    value = "@@ -1 +1 @@\n-x = a?.b\n"
    said = ["removes what held where there is no value"]
    assert [one.what for one in effects.effects(read({"diff": f"{value} y = a"}))] == said
    assert [one.what for one in effects.effects(read({"diff": f"{value} y = a ?? 1"}))] == []
    assert [one.what for one in effects.effects(read({"diff": f"{value} y\n@@ -9 +9 @@\n y = a ?? 1"}))] == said


def test_calls_and_loops_are_seen_whatever_stands_before_them():
    for opened in (
        "for x in y {",
        "    for x in y:",
        "async for x in y:",
        "while z:",
        "ys.forEach  (y => {",
        "ys.each do",
    ):
        text = f"@@ -1,1 +1,2 @@\n {opened}\n+            api.fetchPrice  (x)"
        assert [one.what for one in effects.effects(read({"diff": text}))] == ["calls fetchPrice in a loop"], opened


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        ("log.info('x')", True), ("  self.logger.debug ('x')", True), ("println!('x')", True), ("LOG_INFO('x')", True),
        ("a.b.System.out.println('x')", True), ("console.log", False), ("catalog.find('x')", False),
        ("logs('x')", False), ("x = log('x')", False), (".log('x')", False), ("login('x')", False),
    ],
)  # fmt: skip
def test_what_is_logged_is_told_from_what_is_done(text, logged):
    assert read({"diff": f"+{text}"}).lines[0].comment == logged


def test_a_hunk_with_a_number_of_thousands_of_digits_is_one_without_numbers():
    found = read({"diff": f"@@ -{'9' * 5000},1 +1,1 @@\n+a\n@@ -1,1 +{'9' * 5000} @@\n+b"})
    assert [(line.text, line.number) for line in found.lines] == [("a", 0), ("b", 0)]

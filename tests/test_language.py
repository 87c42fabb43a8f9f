"""Pseudonyms: no listed name survives, and nothing else is touched."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from urllib.parse import quote

import pandas as pd
import pytest
from hypothesis import assume, given, strategies as st

from rca.causes.language import Pseudonyms
from rca.errors import InputError

JANE = ("Jane Doe", "data engineer", ["jd42", "jdx@corp.example"])
JOSE = ("José García-López", "ML lead", [])
BRIAN = ("Brian O'Neil", "", ["bon"])


FULL_WIDTH = "".join(chr(ord(letter) + 0xFEE0) for letter in "JaneDoe")


@pytest.fixture
def names() -> Pseudonyms:
    return Pseudonyms([JANE, JOSE, BRIAN], keep=["feature-store", "jane-doe-service"])


def code(letters: str) -> str:
    return "P-" + hashlib.sha256(letters.encode()).hexdigest()[:4]


WHO = f"data engineer ({code('janedoe')})"


@pytest.mark.parametrize(
    "text",
    [
        "Jane Doe", "jane doe", "JANE DOE", "jane.doe", "jane_doe", "jane-doe", "JaneDoe", "janedoe", "@jane.doe",
        "@Jane_Doe", "Doe, Jane", "DOE Jane", "doe.jane", "Jane  Doe", "Jane\nDoe", "Jane Q. Doe", "Jane Q Doe",
        "J. Doe", "j.doe", "Doe, J.",
        "Ms Doe", "Dr. Doe", "jd42", "@JD42", "jdx@corp.example", "JDX@Corp.Example", "jane.doe@corp.example",
        "jane.doe+alerts@other.example", "doe.jane@corp.example", "j.doe@corp.example", FULL_WIDTH,
        "Ja\u00adne D\u200boe",
        "Jane%20Doe", "jane.doe%40corp.example", "Jane&nbsp;Doe", "J\\u0061ne Doe",
    ],
)  # fmt: skip
def test_every_form_of_a_name_becomes_the_same_pseudonym(names: Pseudonyms, text: str) -> None:
    for before, after in (("", ""), ("ask ", ", please"), ("(", ")"), ('"', '"'), ("by:", ".")):
        mark = "." if text.endswith("J.") else ""  # the full stop of an initial stays
        assert names.text(f"{before}{text}{after}") == f"{before}{WHO}{mark}{after}"


@pytest.mark.parametrize(
    "text",
    [
        "José García-López", "JOSÉ GARCÍA LÓPEZ", "jose.garcia-lopez", "jose_garcia_lopez", "García-López, José",
        unicodedata.normalize("NFD", "José García-López"), json.dumps("José García-López")[1:-1],
        quote("José García-López"), "Jos&eacute; Garc&#237;a-L&oacute;pez",
    ],
)  # fmt: skip
def test_accents_and_escapes_do_not_hide_a_name(names: Pseudonyms, text: str) -> None:
    assert names.text(f"x {text} y") == f"x ML lead ({code('josegarcialopez')}) y"


def test_umlauts_may_be_written_out() -> None:
    names = Pseudonyms([("Jürgen Größe", "", [])])
    expected = f"person {code('jurgengrosse')}"
    for text in ("Jürgen Größe", "JÜRGEN GRÖSSE", "juergen.groesse", "Jurgen Grosse"):
        assert names.text(text) == expected


def test_names_in_scripts_without_blanks_are_found_inside_a_sentence() -> None:
    names = Pseudonyms([("王小明", "analyst", [])])
    assert names.text("昨天王小明部署了模型") == f"昨天analyst ({code('王小明')})部署了模型"


@pytest.mark.parametrize(
    "text",
    [
        "", "the model registry", "janedoes", "xjane doe", "jane doex", "Jane", "Doe", "jane and doe", "jane2doe",
        "commit 3f2ajd42e91b", "jd421", "feature-store", "feature-store/jane", "jane-doe-service",
        "Jane-Doe-Service failed", "bonus", "carbon", "git@github.com:org/repo.git", "image@sha256:ab12", "user@host",
        "C:\\new\\table", "100% of $x", "2025-11-18T11:20:00Z", "&lt;b&gt; &amp; \\n \\u0041",
    ],
)  # fmt: skip
def test_other_words_ids_and_hashes_are_left_alone(names: Pseudonyms, text: str) -> None:
    assert names.text(text) == text


def test_ids_to_keep_hide_no_whole_name() -> None:
    names = Pseudonyms([JANE], keep=["jane.doe", "jd42", "jane-doe-service"])
    assert names.text("jane.doe and jd42 own jane-doe-service; Jane, Doe service") == (
        f"{WHO} and {WHO} own jane-doe-service; {WHO} service"
    )


def test_addresses_of_others_are_replaced_and_told_apart(names: Pseudonyms) -> None:
    one, two = names.text("ann@x.example").split(), names.text("<ben@x.example>").strip("<>").split()
    assert one[0] == two[0] == "e-mail"
    assert one[1] != two[1]
    assert names.text("ANN@x.example") == names.text("ann@x.example")


def test_json_stays_json_and_its_line_ends_do_not_hide_a_name(names: Pseudonyms) -> None:
    record = {
        "text": "Hi\nJane Doe\tand José García-López",
        "by": "jane.doe@corp.example",
        "nested": json.dumps({"x": "a\nJane Doe"}),
    }
    for ascii_only in (True, False):
        out = json.loads(names.text(json.dumps(record, ensure_ascii=ascii_only)))
        assert out["text"] == f"Hi\n{WHO}\tand ML lead ({code('josegarcialopez')})"
        assert out["by"] == WHO
        assert json.loads(out["nested"]) == {"x": f"a\n{WHO}"}


def test_a_form_that_fits_two_people_names_both() -> None:
    names = Pseudonyms([JANE, ("John Doe", "SRE", [])])
    assert names.text("J. Doe") == f"one of {WHO}, SRE ({code('johndoe')})"
    assert names.text("Jane Doe, John Doe") == f"{WHO}, SRE ({code('johndoe')})"


def test_actors_who_are_nobody_known_become_persons() -> None:
    names = Pseudonyms([JANE], actors=["mwong", "Ann Lee <alee@x.example>", "jane.doe", "J. Doe", "jane doe (on call)"])
    assert names.text("mwong") == f"person {code('mwong')}"
    assert names.text("Lee, Ann") == names.text("alee@x.example") == f"person {code('annlee')}"
    assert names.text("jane.doe") == WHO


@pytest.mark.parametrize(
    "actor",
    [
        "ci-bot", "github-actions[bot]", "system", "deploy", "svc_train", "Team Risk", "oncall-ml", "1001", "", "-",
        "feature-store",
    ],
)  # fmt: skip
def test_machines_teams_and_kept_systems_are_not_persons(actor: str) -> None:
    assert Pseudonyms(actors=[actor], keep=["feature-store"]).text(f"{actor} said") == f"{actor} said"
    assert Pseudonyms(actors=[actor], keep=["feature-store"]).text(actor) == actor


def test_whoever_is_listed_is_replaced_even_with_a_machines_name() -> None:
    assert Pseudonyms([("Ci Bot", "SRE", [])], actors=["ci-bot"]).text("ci-bot") == f"SRE ({code('cibot')})"


def test_an_actor_with_an_ordinary_word_as_name_is_replaced_only_where_it_must_be_a_name() -> None:
    names = Pseudonyms(actors=["will", "max"])
    assert names.text("will") == names.text("@will") == f"person {code('will')}"
    assert names.text("it will use max memory, says @Will") == f"it will use max memory, says person {code('will')}"


def test_codes_are_the_same_in_every_report_and_longer_only_where_they_clash() -> None:
    alone = Pseudonyms(actors=["mwong"]).text("mwong")
    assert Pseudonyms([JANE, BRIAN], actors=["mwong", "zed zed"]).text("mwong") == alone
    crowd = [f"Given{n} Family{n}" for n in range(700)]
    names = Pseudonyms(actors=crowd)
    labels = {names.text(name) for name in crowd}
    assert len(labels) == len(crowd)
    assert all(label.startswith("person P-") for label in labels)
    short = {hashlib.sha256(f"given{n}family{n}".encode()).hexdigest()[:4] for n in range(700)}
    assert len(short) < len(crowd), "some do clash in four digits"


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ([("J", "SRE", [])], "'J' has fewer than two letters"),
        ([("Jane Doe", "SRE", ["?!"])], r"'\?!' has fewer than two letters"),
        ([JANE, ("jane  DOE", "SRE", [])], "'jane  DOE' is listed twice"),
        ([("Jane Doe", "Jane Doe's deputy", [])], 'the role "Jane Doe\'s deputy" contains a name'),
    ],
)
def test_names_that_cannot_work_are_refused(people: list[tuple[str, str, list[str]]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Pseudonyms(people)


def test_a_frame_is_cleaned_in_cells_lists_index_and_columns_and_the_input_kept() -> None:
    names = Pseudonyms([JANE])
    table = pd.DataFrame(
        {
            "actor": ["Jane Doe", None, "ci"],
            "n": [1, 2, 3],
            "when": pd.to_datetime(["2025-01-01"] * 3, utc=True),
            "path": [("jane.doe", "x"), ["a", {"Jane Doe": "jd42"}], 7],
            "kind": pd.Categorical(["Jane Doe", "jane doe", "x"]),
            "Jane Doe": [True, False, True],
        },
        index=["Jane Doe", "b", "b"],
    )
    kept = table.copy(deep=True)
    table.attrs["as_of"] = 1
    out = names.frame(table)
    assert out["actor"].tolist()[0] == out["kind"].tolist()[0] == out["kind"].tolist()[1] == WHO
    assert pd.isna(out["actor"].iloc[1])
    assert out["path"].tolist() == [(WHO, "x"), ["a", {WHO: WHO}], 7]
    assert out.index.tolist() == [WHO, "b", "b"]
    assert out.columns.tolist() == ["actor", "n", "when", "path", "kind", WHO]
    assert out.dtypes.iloc[:3].tolist() == table.dtypes.iloc[:3].tolist()
    assert out.attrs == {"as_of": 1}
    pd.testing.assert_frame_equal(table, kept)


def test_a_frame_with_a_two_level_index_and_one_without_rows_are_cleaned() -> None:
    names = Pseudonyms([JANE])
    index = pd.MultiIndex.from_tuples([("Jane Doe", 1), ("b", 2)], names=["who", "n"])
    out = names.frame(pd.DataFrame({"x": [1, 2]}, index=index))
    assert out.index.tolist() == [(WHO, 1), ("b", 2)]
    assert out.index.names == ["who", "n"]
    assert names.frame(pd.DataFrame({"x": pd.Series(dtype="str")})).shape == (0, 1)


LETTERS = st.characters(min_codepoint=0x41, max_codepoint=0x24F, categories=["Lu", "Ll"])
WORD = st.text(LETTERS, min_size=2, max_size=8)
NAME = st.lists(WORD, min_size=2, max_size=3).map(" ".join)
FILLER = st.text(st.sampled_from("aeiou xyz.,-_@/\\n\"'&;%20é\n"), max_size=12)


def forms(name: str) -> list[str]:
    words = name.split()
    joined = [sign.join(words) for sign in (" ", ".", "_", "-", "", ", ")]
    turned = [
        f"{' '.join(words[1:])}, {words[0]}",
        f"{words[-1]}.{words[0]}",
        f"@{'.'.join(words)}",
        f"{'.'.join(words)}@x.example",
    ]
    return [*joined, *turned, json.dumps(name)[1:-1], quote(name)]


@given(NAME, st.data(), FILLER, FILLER)
def test_no_listed_name_survives_in_any_case_or_form(name: str, data: st.DataObject, before: str, after: str) -> None:
    names = Pseudonyms([(name, "", [])])
    form = data.draw(st.sampled_from(forms(name)))
    cased = data.draw(st.sampled_from([form, form.lower(), form.upper(), form.title(), form.swapcase()]))
    assume(("\\u" not in form and "%" not in form) or cased == form)  # an escape in another case is another text
    spelled = unicodedata.normalize(data.draw(st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"])), cased)
    out = names.text(f"{before} {spelled} {after}")
    assert "person P-" in out or "e-mail P-" in out
    assert spelled.strip("@") not in out
    assert names.text(out) == out, "nothing is left to be found"


@given(NAME, st.text(max_size=60))
def test_text_without_a_name_is_left_as_it_is(name: str, text: str) -> None:
    assume("@" not in text)
    assume(len(name.replace(" ", "")) > 4)
    assert Pseudonyms([(f"{name}qzxj", "", [])]).text(text) == text


PARTS = st.sampled_from(["Jane Doe", "jane.doe", "Jane", "Doe", "@", ".", ", ", " ", "x", "jd42", "\\n", "é"])


@given(st.lists(PARTS, max_size=15).map("".join))
def test_replacing_again_changes_nothing_and_only_names_are_replaced(text: str) -> None:
    names = Pseudonyms([JANE])
    out = names.text(text)
    assert names.text(out) == out
    if "jane" not in text.lower() and "jd42" not in text and "@" not in text:
        assert out == text

"""5-Whys: chains, contradictions, weak spots, and reading aloud."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from rca import vocabulary
from rca.causes import whys
from rca.conclusions import Why
from rca.errors import InputError
from rca.evidence import Evidence

PROBLEM = "Recall on fraud fell"
SEEN = (
    Evidence(table="shapdiff", locator="row 1", says="The weight grew"),
    Evidence(file="sources/runs.json", locator="/3", says="The sample was cut"),
)


def why(number: int, statement: str, kind: str = "process", status: str = "supported") -> Why:
    return Why(
        id=f"w{number}", statement=statement, kind=kind, status=status, evidence=SEEN if status != "open" else ()
    )


GOOD = [
    why(1, "The new model overweighs one feature", "technical"),
    why(2, "The training sample held new devices only", "data"),
    why(3, "Nobody owns the check of the sample", "organisational"),
]


def test_the_table_holds_the_problem_and_every_why_in_order() -> None:
    table = whys.table(PROBLEM, GOOD)
    assert table["step"].tolist() == [0, 1, 2, 3]
    assert table["statement"].tolist() == [PROBLEM, *(item.statement for item in GOOD)]
    assert table["kind"].tolist() == ["problem", "technical", "data", "organisational"]
    assert table["status"].tolist() == ["", "supported", "supported", "supported"]
    assert table["evidence"].tolist() == ["", *["table shapdiff, row 1; sources/runs.json, /3"] * 3]


def test_no_analysis_gives_an_empty_table_with_its_columns_and_types() -> None:
    empty, full = whys.table("", []), whys.table(PROBLEM, GOOD)
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_check_returns_the_same_whys() -> None:
    assert whys.check(PROBLEM, GOOD) is GOOD


@pytest.mark.parametrize(
    "text", ["recall  on fraud FELL!", "Because the recall on fraud fell.", "Recall on \uff46raud fell"]
)
def test_a_why_that_repeats_the_problem_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"step 1 \('w1'\) repeats the problem"):
        whys.check(PROBLEM, [why(1, text)])


def test_a_why_that_repeats_its_parent_is_refused() -> None:
    with pytest.raises(InputError, match=r"step 2 \('w2'\) repeats step 1 \('w1'\)"):
        whys.check(PROBLEM, [why(1, "The sample was cut"), why(2, "Because a sample was cut")])


def test_a_chain_in_a_circle_is_refused() -> None:
    with pytest.raises(InputError, match=r"step 2 \('w2'\) says the same as the problem: the chain runs in a circle"):
        whys.check(PROBLEM, [why(1, "The sample was cut"), why(2, PROBLEM)])
    with pytest.raises(InputError, match=r"step 3 \('w3'\) says the same as step 1 \('w1'\)"):
        whys.check(PROBLEM, [why(1, "A cut"), why(2, "B cut"), why(3, "A cut")])


def test_a_supported_why_below_a_refuted_one_is_refused_but_an_open_one_is_not() -> None:
    refuted = why(1, "An attack", "external", "refuted")
    with pytest.raises(InputError, match="which it explains, is refuted"):
        whys.check(PROBLEM, [refuted, why(2, "No firewall")])
    assert whys.check(PROBLEM, [refuted, why(2, "No firewall", status="open")])


def test_all_contradictions_are_listed_at_once() -> None:
    with pytest.raises(InputError) as caught:
        whys.table("", [why(1, "A cut"), why(1, "a cut!")])
    assert len(caught.value.problems) == 3
    for words in ("no problem is stated", "occurs twice", "repeats step 1"):
        assert words in str(caught.value)


def test_a_good_chain_has_no_remarks() -> None:
    assert whys.remarks(PROBLEM, GOOD).empty


@pytest.mark.parametrize("kind", vocabulary.ids("why_kinds"))
def test_only_process_and_organisation_are_good_ends(kind: str) -> None:
    table = whys.remarks(PROBLEM, [*GOOD[:2], why(3, "Something", kind)])
    assert table["place"].tolist() == ([] if kind in ("process", "organisational") else ["step 3 ('w3')"])
    assert all(remark.startswith("ends at") or remark.startswith("ends outside") for remark in table["remark"])


def test_each_weak_spot_is_named_with_a_remedy() -> None:
    open_with_evidence = Why(id="w3", statement="A deploy", kind="trigger", evidence=SEEN)
    chain = [why(1, "An attack", "process", "refuted"), why(2, "No firewall", "technical", "open"), open_with_evidence]
    table = whys.remarks(PROBLEM, chain)
    assert table[["place", "remark"]].values.tolist() == [
        ["step 1 ('w1')", "refuted, so the chain breaks here"],
        ["step 2 ('w2')", "open, and no evidence is given"],
        ["step 3 ('w3')", "evidence is cited, but the answer is still open"],
        ["step 3 ('w3')", "a trigger below step 1 ('w1'): the order looks turned round"],
        ["step 3 ('w3')", "ends at the event that set it off"],
    ]
    assert (table["remedy"].str.len() > 10).all()


def test_short_and_missing_chains_are_remarked() -> None:
    assert whys.remarks(PROBLEM, GOOD[2:])["remark"].tolist() == ["only 1 level deep"]
    assert whys.remarks(PROBLEM, GOOD[1:])["remark"].tolist() == ["only 2 levels deep"]
    assert whys.remarks(PROBLEM, [])["remark"].tolist() == ["no answer is recorded"]
    assert whys.remarks("", []).empty


def test_read_aloud_goes_from_the_end_to_the_problem() -> None:
    assert whys.read_aloud(PROBLEM + ".", GOOD) == (
        "Because nobody owns the check of the sample,\n"
        "therefore the training sample held new devices only,\n"
        "therefore the new model overweighs one feature,\n"
        "therefore Recall on fraud fell."
    )


def test_read_aloud_says_what_is_not_shown_and_leaves_names_in_capitals() -> None:
    chain = [why(1, "Because SQL returned rows twice", status="open"), why(2, "Kafka lagged", status="refuted")]
    assert whys.read_aloud(PROBLEM, chain).splitlines()[:2] == [
        "Because Kafka lagged (refuted),",
        "therefore SQL returned rows twice (not yet shown),",
    ]


def test_nothing_to_read_aloud_is_an_error() -> None:
    with pytest.raises(InputError, match="nothing to read aloud"):
        whys.read_aloud(PROBLEM, [])


WORDS = st.lists(st.sampled_from(["model", "sample", "check", "deploy", "alert"]), min_size=1, max_size=4).map(" ".join)


@given(st.lists(WORDS, min_size=1, max_size=6))
def test_a_chain_passes_just_when_no_statement_returns(statements: list[str]) -> None:
    chain = [why(number, text) for number, text in enumerate(statements, start=1)]
    if len({PROBLEM, *statements}) == len(statements) + 1:
        assert len(whys.table(PROBLEM, chain)) == len(statements) + 1
    else:
        with pytest.raises(InputError):
            whys.table(PROBLEM, chain)


def test_the_whys_given_are_not_changed() -> None:
    before = [item.model_copy(deep=True) for item in GOOD]
    whys.table(PROBLEM, GOOD)
    whys.remarks(PROBLEM, GOOD)
    assert before == GOOD
    assert isinstance(whys.table(PROBLEM, GOOD), pd.DataFrame)

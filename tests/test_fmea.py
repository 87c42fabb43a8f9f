"""FMEA: all 1,000 cells of the Action Priority table, scores, order and bad input."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from rca.causes import fmea
from rca.conclusions import FailureMode
from rca.errors import InputError

# A second transcription, by hand, as one letter per detection 1..10; the package has its own, as ranges.
# fmt: off
CELLS = {
    (9, 10): {(8, 10): "HHHHHHHHHH", (6, 7): "HHHHHHHHHH", (4, 5): "MHHHHHHHHH", (2, 3): "LLLLMMHHHH",
              (1, 1): "LLLLLLLLLL"},
    (7, 8): {(8, 10): "HHHHHHHHHH", (6, 7): "MHHHHHHHHH", (4, 5): "MMMMMMHHHH", (2, 3): "LLLLMMMMMM",
             (1, 1): "LLLLLLLLLL"},
    (4, 6): {(8, 10): "MMMMHHHHHH", (6, 7): "LMMMMMMMMM", (4, 5): "LLLLLLMMMM", (1, 3): "LLLLLLLLLL"},
    (2, 3): {(8, 10): "LLLLMMMMMM", (1, 7): "LLLLLLLLLL"},
    (1, 1): {(1, 10): "LLLLLLLLLL"},
}
# fmt: on
ALL = list(itertools.product(range(1, 11), repeat=3))
RATING = st.integers(1, 10)


def expected(severity: int, occurrence: int, detection: int) -> str:
    for (low, high), rows in CELLS.items():
        for (first, last), letters in rows.items():
            if low <= severity <= high and first <= occurrence <= last:
                return letters[detection - 1]
    raise LookupError


def mode(name: str = "fm1", severity: int = 5, occurrence: int = 5, detection: int = 5) -> FailureMode:
    return FailureMode(
        id=name, function="Score", failure_mode="Drift", effect="Fraud missed", cause="No monitor",
        severity=severity, occurrence=occurrence, detection=detection,
    )  # fmt: skip


def frame(**ratings: object) -> pd.DataFrame:
    row = {"id": "fm1", "function": "Score", "failure_mode": "Drift", "effect": "Fraud missed", "cause": "No monitor"}
    return pd.DataFrame([row | {"severity": 5, "occurrence": 5, "detection": 5} | ratings])


def test_all_thousand_cells_agree_with_a_second_transcription() -> None:
    wrong = [cell for cell in ALL if fmea.action_priority(*cell) != expected(*cell)]
    assert wrong == []


def test_counts_of_cells_are_those_published() -> None:
    assert Counter(fmea.action_priority(*cell) for cell in ALL) == {"L": 468, "M": 214, "H": 318}


def test_priority_never_falls_when_a_rating_grows() -> None:
    order = {"L": 0, "M": 1, "H": 2}
    cells = np.array([order[fmea.action_priority(*cell)] for cell in ALL]).reshape(10, 10, 10)
    assert all((np.diff(cells, axis=axis) >= 0).all() for axis in range(3))


def test_rpn_takes_120_values_and_crosses_the_priorities_as_published() -> None:
    table = fmea.score([mode(f"fm{n}", *cell) for n, cell in enumerate(ALL)])
    assert table["rpn"].nunique() == 120
    assert table.loc[table["action_priority"] == "H", "rpn"].min() == 54
    assert table.loc[table["action_priority"] == "L", "rpn"].max() == 210
    assert (table["rpn"] == table["severity"] * table["occurrence"] * table["detection"]).all()


@given(st.lists(st.tuples(RATING, RATING, RATING), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_order_is_by_priority_then_rpn_and_does_not_depend_on_the_order_given(cells, random) -> None:
    rows = [mode(f"fm{n:02d}", *cell) for n, cell in enumerate(cells)]
    table = fmea.score(rows)
    keys = [(-"LMH".index(row.action_priority), -row.rpn, row.id) for row in table.itertuples()]
    assert keys == sorted(keys)
    random.shuffle(rows)
    pd.testing.assert_frame_equal(fmea.score(rows), table)


def test_ties_share_the_worst_rank_and_name_each_other() -> None:
    table = fmea.score([mode("c", 5, 4, 2), mode("a", 2, 4, 5), mode("b", 10, 10, 10)])
    assert table["id"].tolist() == ["b", "a", "c"]
    assert table["rank"].tolist() == [1, 3, 3]
    assert table["tied_with"].tolist() == ["", "c", "a"]


def test_every_row_names_the_table_and_the_note_says_what_was_not_seen() -> None:
    table = fmea.score([mode()])
    assert table["table"].tolist() == ["AIAG-VDA-2019"]
    assert "the handbook itself was not seen" in table.attrs["note"]
    assert table.attrs["note"] == fmea.priority_table().attrs["note"]


def test_records_and_table_give_the_same_and_scoring_twice_changes_nothing() -> None:
    once = fmea.score([mode("a", 9, 3, 2), mode("b", 1, 1, 1)])
    again = fmea.score(once)
    pd.testing.assert_frame_equal(once, again)
    given = frame(owner="SRE lead")
    kept = given.copy()
    assert fmea.score(given)["owner"].tolist() == ["SRE lead"]
    pd.testing.assert_frame_equal(given, kept)


def test_no_rows_give_an_empty_table_with_all_columns() -> None:
    table = fmea.score([])
    assert len(table) == 0
    assert table.columns.tolist() == fmea.score([mode()]).columns.tolist()


def test_a_column_made_float_by_a_missing_value_elsewhere_is_still_whole() -> None:
    assert fmea.score(frame(severity=9.0, occurrence=3.0, detection=2.0))["rpn"].tolist() == [54]


@pytest.mark.parametrize("value", [0, 11, -1, 5.5, "5", "high", True, float("inf")])
@pytest.mark.parametrize("column", fmea.RATINGS)
def test_a_rating_that_is_no_whole_number_from_1_to_10_is_refused_by_row_and_column(column: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"row 1 \('fm1'\): {column}: .* is not a whole number from 1 to 10"):
        fmea.score(frame(**{column: value}))
    ratings = {"severity": 5, "occurrence": 5, "detection": 5} | {column: value}
    with pytest.raises(InputError, match=column):
        fmea.action_priority(**ratings)


@pytest.mark.parametrize("value", [None, float("nan"), pd.NA])
def test_a_missing_rating_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"row 1 \('fm1'\): detection: missing"):
        fmea.score(frame(detection=value))


def test_all_faults_of_a_table_are_listed_at_once() -> None:
    rows = pd.concat([frame(severity=0), frame(detection=None), frame(id="")], ignore_index=True)
    with pytest.raises(InputError) as caught:
        fmea.score(rows)
    assert [line.partition(": ")[2] for line in caught.value.problems] == [
        "row 1 ('fm1'): severity: 0 is not a whole number from 1 to 10",
        "row 2: id: 'fm1' occurs twice",
        "row 2 ('fm1'): detection: missing; wanted a whole number from 1 to 10",
        "row 3: id: missing",
    ]


def test_a_missing_column_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match="column 'severity' is missing; did you mean 'severty'"):
        fmea.score(frame().rename(columns={"severity": "severty"}))


def test_another_table_can_be_given_and_its_id_is_printed() -> None:
    table = pd.DataFrame(
        [("house", "9-10", "1-10", "1-10", "H"), ("house", "1-8", "1-10", "1-10", "L")],
        columns=["table", "severity", "occurrence", "detection", "priority"],
    )
    scored = fmea.score([mode("a", 9, 1, 1), mode("b", 8, 10, 10)], table=table)
    assert scored[["id", "action_priority", "table"]].values.tolist() == [["a", "H", "house"], ["b", "L", "house"]]
    assert fmea.action_priority(9, 1, 1, table=table) == "H"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"severity": "9-11"}, "row 1: severity: '9-11' is not a range"),
        ({"detection": "10-9"}, "row 1: detection: '10-9' is not a range"),
        ({"priority": "X"}, "row 1: priority: 'X' is not one of H, M, L"),
        ({"severity": "8"}, "row 21: gives a combination that an earlier row already has"),
        ({"occurrence": "9-10"}, "combinations have no priority, the first: severity 9, occurrence 8, detection 7"),
        ({"table": "other"}, "must hold one id"),
    ],
)
def test_a_table_with_gaps_or_contradictions_is_refused(change: dict[str, str], message: str) -> None:
    table = fmea.priority_table()
    for column, value in change.items():
        table.loc[0, column] = value
    with pytest.raises(InputError, match=message):
        fmea.score([mode()], table=table)


def test_the_shipped_table_cannot_be_changed_by_its_readers() -> None:
    mine = fmea.priority_table()
    mine.loc[0, "priority"] = "L"
    mine.attrs["note"] = ""
    assert fmea.priority_table().loc[0, "priority"] == "H"
    assert fmea.priority_table().attrs["note"]

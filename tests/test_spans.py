"""Spans to dependencies, against a slow and obvious way."""

import pandas as pd
from hypothesis import given, strategies as st

from rca import schema
from rca.sources import spans

COLUMNS = ["trace_id", "span_id", "parent_id", "system"]


def edges(*rows):
    frame = pd.DataFrame(list(rows), columns=COLUMNS).assign(source="s")
    table, notes = spans.dependencies(schema.check(frame, "spans"))
    return {
        (row.cause, row.effect): row.count_ for row in table.rename(columns={"count": "count_"}).itertuples()
    }, notes


def slowly(rows):
    """Every call counted one by one."""
    counted, lost, unclear = {}, 0, 0
    for trace, _, parent, system in rows:
        if parent:
            owners = {other[3] for other in rows if other[0] == trace and other[1] == parent}
            lost += not owners
            unclear += len(owners) > 1
            if len(owners) == 1 and owners != {system}:
                pair = (system, *owners)
                counted[pair] = counted.get(pair, 0) + 1
    return counted, lost, unclear


ROWS = st.lists(
    st.tuples(st.sampled_from(["t", "u", ""]), st.sampled_from("1234"), st.sampled_from(["", "1", "2", "9"]),
        st.sampled_from("abc")),
    max_size=12,
)  # fmt: skip


@given(ROWS)
def test_the_edges_are_those_that_one_finds_by_hand(rows):
    expected, lost, unclear = slowly(rows)
    found, notes = edges(*rows)
    assert found == expected
    assert any(note.startswith(f"{lost} of ") and "not in their trace" in note for note in notes) == bool(lost)
    assert any(note.startswith(f"{unclear} of ") and "two systems use" in note for note in notes) == bool(unclear)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_spans_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert edges(*shuffled)[0] == edges(*rows)[0]


def test_a_fault_runs_from_the_called_system_to_the_caller():
    assert edges(("t", "1", "", "web"), ("t", "2", "1", "db"))[0] == {("db", "web"): 1}


def test_a_parent_in_another_trace_is_not_a_parent():
    found, notes = edges(("t", "1", "", "web"), ("u", "2", "1", "db"))
    assert found == {}
    assert notes == [
        "1 of 1 calls name a parent that is not in their trace (first: span '2' of trace 'u'): no edge made"
    ]


def test_a_placeholder_id_that_two_systems_use_is_reported_and_not_guessed():
    found, notes = edges(("same", "a1", "", "web"), ("same", "a1", "", "queue"), ("same", "2", "a1", "db"))
    assert found == {}
    assert notes == ["1 of 1 calls name a parent id that two systems use: no edge made"]


def test_a_call_inside_one_system_is_no_edge_and_no_note():
    assert edges(("t", "1", "", "web"), ("t", "2", "1", "web"), ("t", "3", "3", "web")) == ({}, [])


def test_no_spans_give_an_empty_table_of_the_right_types():
    table, notes = spans.dependencies(schema.empty("spans"))
    pd.testing.assert_frame_equal(table, schema.empty("dependencies"))
    assert notes == []


def test_edges_say_where_they_come_from():
    frame = pd.DataFrame([("t", "1", "", "web"), ("t", "2", "1", "db")], columns=COLUMNS).assign(source="traces")
    before = frame.copy()
    table = spans.dependencies(schema.check(frame, "spans"))[0]
    assert table[["basis", "source"]].to_numpy().tolist() == [["spans", "traces"]]
    pd.testing.assert_frame_equal(frame, before)

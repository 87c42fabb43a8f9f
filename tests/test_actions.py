"""Corrective actions: due dates, what they lack, and causes without one."""

from __future__ import annotations

import pandas as pd
import pytest

from rca import vocabulary
from rca.causes import actions
from rca.conclusions import Action
from rca.errors import InputError, UnknownName
from rca.evidence import Evidence, Finding

AS_OF = pd.Timestamp("2025-04-03T09:00Z")
SEEN = (Evidence(table="cascade", says="x"),)


def action(name: str = "a1", **fields: object) -> Action:
    return Action(**{"id": name, "action": "Stratify the sample", **fields})


def cause(name: str, role: str = "root_cause", status: str = "open") -> Finding:
    return Finding(id=name, role=role, statement="It was so", status=status, evidence=SEEN)


def test_actions_stand_by_due_date_then_id_and_undated_ones_last() -> None:
    given = [
        action("a3"),
        action("a2", due="2025-05-01"),
        action("a1", due="2025-05-01"),
        action("a4", due="2025-04-01"),
    ]
    table = actions.table(given, ids=[], as_of=AS_OF)
    assert table["id"].tolist() == ["a4", "a1", "a2", "a3"]
    assert [str(day) for day in table["due"]] == ["2025-04-01", "2025-05-01", "2025-05-01", "None"]
    assert table.attrs["as_of"] == AS_OF


@pytest.mark.parametrize("state", vocabulary.ids("action_states"))
def test_only_unfinished_work_is_overdue(state: str) -> None:
    table = actions.table([action(due="2025-04-01", state=state)], ids=[], as_of=AS_OF)
    assert table["overdue"].tolist() == [state in ("open", "in_progress")]


@pytest.mark.parametrize(
    ("as_of", "late"),
    [
        ("2025-04-03T00:00Z", False), ("2025-04-03T23:59:59Z", False), ("2025-04-04T00:00Z", True),
        ("2025-04-04T01:00+02:00", False), ("2025-04-03T20:00-05:00", True),
    ],
)  # fmt: skip
def test_an_action_is_overdue_when_its_day_is_over_in_utc(as_of: str, late: bool) -> None:
    table = actions.table([action(due="2025-04-03")], ids=[], as_of=pd.Timestamp(as_of))
    assert table["overdue"].tolist() == [late]


def test_smart_names_what_is_missing() -> None:
    full = {
        "owner": "ML lead",
        "due": "2025-05-01",
        "measure": "Recall",
        "achievable": "Two weeks",
        "relevant": "Recall",
    }
    absent = {
        "owner": "specific", "due": "time-bound", "measure": "measurable", "achievable": "achievable",
        "relevant": "relevant",
    }  # fmt: skip
    assert actions.table([action(**full)], ids=[], as_of=AS_OF)["smart"].tolist() == ["complete"]
    for field, word in absent.items():
        some = {key: value for key, value in full.items() if key != field}
        assert actions.table([action(**some)], ids=[], as_of=AS_OF)["smart"].tolist() == [f"missing: {word}"]
    vague = action(**full | {"action": "Improve quality"})
    assert actions.table([vague], ids=[], as_of=AS_OF)["smart"].tolist() == ["missing: specific"]
    nothing = actions.table([action()], ids=[], as_of=AS_OF)["smart"].tolist()
    assert nothing == ["missing: specific, measurable, achievable, relevant, time-bound"]


def test_an_action_on_an_unknown_id_is_refused_with_the_nearest() -> None:
    given = [action("a1", addresses=("f1", "f22")), action("a2", addresses=("zzz",))]
    with pytest.raises(UnknownName) as caught:
        actions.table(given, ids=["f1", "f2"], as_of=AS_OF)
    assert caught.value.problems == (
        "actions: 'a1' addresses the unknown id 'f22'; did you mean 'f2'?",
        "actions: 'a2' addresses the unknown id 'zzz'; known: f1, f2",
    )


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InputError, match="no time zone"):
        actions.table([], ids=[], as_of=pd.Timestamp("2025-04-03"))


def test_no_actions_give_an_empty_table_with_its_types() -> None:
    empty = actions.table([], ids=[], as_of=AS_OF)
    full = actions.table([action()], ids=[], as_of=AS_OF)
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_causes_without_an_action_are_gaps_unless_refuted_or_ruled_out() -> None:
    given = [
        cause("f1"), cause("f2", "trigger"), cause("f3", "contributing"), cause("f4", "ruled_out"),
        cause("f5", status="refuted"),
    ]  # fmt: skip
    table = actions.gaps(given, [action(addresses=("f2",))])
    assert table[["id", "gap"]].values.tolist() == [
        ["f1", "root cause without an action"], ["f3", "contributing factor without an action"],
    ]  # fmt: skip


def test_a_dropped_action_leaves_its_cause_open() -> None:
    table = actions.gaps([cause("f1")], [action(addresses=("f1",), state="dropped")])
    assert table["gap"].tolist() == ["root cause without an action: the only one was dropped"]
    both = [action(addresses=("f1",), state="dropped"), action("a2", addresses=("f1",))]
    assert actions.gaps([cause("f1")], both).empty


def test_actions_without_a_cause_that_stands_are_gaps() -> None:
    given = [cause("f1"), cause("f4", "ruled_out")]
    acts = [
        action("a1", addresses=("f1",)), action("a2"), action("a3", addresses=("f4",)),
        action("a4", addresses=("f4", "w1")), action("a5", state="dropped"),
    ]  # fmt: skip
    assert actions.gaps(given, acts)[["id", "gap"]].values.tolist() == [
        ["a2", "action without a cause"], ["a3", "action only on what is ruled out"],
    ]  # fmt: skip


def test_nothing_to_say_is_an_empty_table() -> None:
    assert actions.gaps([], []).columns.tolist() == ["id", "gap", "remedy"]

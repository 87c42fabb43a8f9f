import networkx as nx
import pandas as pd
import pytest

from rca.errors import InputError
from rca.records import Trace
from rca.systems import changes

ONSET = pd.Timestamp("2025-03-03T10:00Z")
ERROR = pd.Timedelta("5min")
GRAPH = nx.DiGraph([("feed", "store"), ("store", "model"), ("model", "site"), ("data", "model"), ("raw", "data")])


def named(first="model", measured=("store", "model", "site")):
    found = pd.DataFrame({"onset": [ONSET], "onset_error": [ERROR], "metric": ["recall_ratio"]}, index=[first])
    return Trace(("site", "complaints"), found, pd.DataFrame({"system": list(measured)}))


def table(*rows):
    events = pd.DataFrame(rows, columns=["minutes", "system", "kind", "message", "ref"])
    events.insert(0, "event_id", [f"e{number}" for number in range(len(events))])
    events["time"] = ONSET + pd.to_timedelta(events.pop("minutes"), unit="min")
    return events


def reasons(fit):
    return fit.candidates.set_index("event_id")["reason"].to_dict()


def test_the_only_change_to_the_first_cause_fits():
    events = table(
        (-60, "model", "deploy", "release 8", "v8"),
        (-3, "site", "deploy", "new colours", "s1"),
        (-2, "store", "deploy", "faster reads", "t1"),
        (30, "model", "rollback", "back to 7", "v7"),
        (-5, "model", "alert", "high latency", ""),
    )
    fit = changes.rank(events, named(), GRAPH)
    assert fit.best == "e0"
    assert fit.abstained is None
    assert fit.candidates["event_id"].tolist()[0] == "e0"
    assert set(fit.candidates["event_id"]) == {"e0", "e1", "e2", "e3"}
    assert fit.candidates.loc[0, "delay"] == pd.Timedelta("60min")
    why = reasons(fit)
    assert why["e0"] == "made to the system that broke first, live before the onset"
    assert why["e1"] == "made to site: neither model nor an unmeasured system upstream of it"
    assert why["e2"] == "made to store: neither model nor an unmeasured system upstream of it"
    assert why["e3"] == "came after the onset (2025-03-03 10:00 UTC)"


def test_closeness_and_likely_words_do_not_decide_between_two():
    events = table(
        (-300, "model", "deploy", "release 8", "v8"),
        (-1, "model", "config_change", "tidy the recall threshold", "c4"),
    )
    fit = changes.rank(events, named(), GRAPH)
    assert fit.best is None
    assert fit.candidates["fits"].tolist() == [True, True]
    assert "config_change c4 at 2025-03-03 09:59 UTC" in fit.abstained
    assert "deploy v8 at 2025-03-03 05:00 UTC" in fit.abstained
    assert reasons(fit)["e1"].endswith("(the record mentions recall)")


def test_a_commit_counts_through_the_deployment_that_names_it():
    sha = "c1cba9e7f3204a8d6b59e0c1a47f28d3b6e095a7"
    events = table(
        (-90, "", "commit", "order recall by score", sha),
        (-80, "model", "commit", "never shipped", "f" * 40),
        (-70, "model", "training_run", "nightly", "run-17"),
        (-60, "model", "model_version", "registered fraud:8 from run-17", "fraud:8"),
        (-10, "model", "deploy", "fraud:8 live, code c1cba9e", "rel-8"),
        (-5, "model", "training_run", "named by an earlier release only", "rel-8"),
        (10, "model", "deploy", "fraud:8 again", "rel-9"),
    )
    fit = changes.rank(events, named(), GRAPH)
    assert fit.best == "e4"
    why = reasons(fit)
    assert why["e0"] == why["e3"] == "went live with a later change (deploy at 2025-03-03 09:50 UTC)"
    assert why["e1"] == "not live by itself, and no change before the onset names it"
    assert why["e2"] == "went live with a later change (model_version at 2025-03-03 09:00 UTC)"
    assert why["e5"] == "not live by itself, and no change before the onset names it"
    assert "brings commit c1cba9e7f320" in why["e4"]
    assert "mentions recall" in why["e4"]


def test_an_unmeasured_system_upstream_counts_if_the_first_cause_was_left_alone():
    upstream = (-20, "raw", "data_load", "backfill", "b1")
    fit = changes.rank(table(upstream), named(), GRAPH)
    assert fit.best == "e0"
    assert reasons(fit)["e0"] == "made upstream of model, where nothing is measured, live before the onset"
    assert changes.rank(table(upstream, (-9, "model", "flag", "on", "f1")), named(), GRAPH).best == "e1"
    behind = table((-20, "feed", "deploy", "behind a measured system that did not move", "x1"))
    assert changes.rank(behind, named(), GRAPH).best is None


def test_two_records_of_one_change_are_no_rivals():
    events = table((-20, "model", "deploy", "release 8", "v8"), (-19, "model", "model_version", "v8 is live", "v8"))
    assert changes.rank(events, named(), GRAPH).best is not None


@pytest.mark.parametrize(("minutes", "fits"), [(-24 * 60, True), (-24 * 60 - 1, False), (5, True), (6, False)])
def test_the_times_within_which_a_change_fits(minutes, fits):
    fit = changes.rank(table((minutes, "model", "deploy", "x", "r")), named(), GRAPH)
    assert fit.candidates["fits"].tolist() == [fits]
    assert (fit.best is None) is not fits


def test_a_longer_delay_can_be_asked_for():
    events = table((-5000, "model", "deploy", "x", "r"))
    assert "more than 24 hours" in reasons(changes.rank(events, named(), GRAPH))["e0"]
    assert changes.rank(events, named(), GRAPH, max_delay=pd.Timedelta("7D")).best == "e0"
    with pytest.raises(InputError, match="max_delay"):
        changes.rank(events, named(), GRAPH, max_delay=pd.Timedelta(0))


def test_without_a_first_cause_no_change_is_named():
    silent = Trace(("site", "complaints"), pd.DataFrame(), pd.DataFrame({"system": []}), "Two systems tie.")
    fit = changes.rank(table((-5, "model", "deploy", "x", "r")), silent, GRAPH)
    assert fit.abstained == "No first cause was named, so no change can be fitted to it. Two systems tie."
    assert not fit.candidates["fits"].any()


def test_no_change_at_all_and_an_undated_one():
    assert changes.rank(table(), named(), GRAPH).abstained == "No change is on record."
    events = table((-5, "model", "deploy", "x", "r"))
    events["time"] = pd.Series(pd.NaT, index=events.index, dtype=events["time"].dtype)
    fit = changes.rank(events, named(), GRAPH)
    assert fit.abstained.startswith("No change to model")
    assert reasons(fit)["e0"] == "has no time"


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match="required column 'ref' is missing"):
        changes.rank(table().drop(columns="ref"), named(), GRAPH)

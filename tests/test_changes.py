import difflib
import math

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from rca import vocabulary
from rca.errors import InputError, UnknownName
from rca.records import Trace
from rca.systems import changes
from rca.systems.changes.chance import Rate
from rca.systems.changes.patch import read
from rca.systems.changes.words import weights

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
    assert why[
        "e0"
    ] == (  # of one change in a day and five minutes (the onset's error), the chance is 1 - exp(-65 / 1440)
        "the only change on record that fits; made to the system that broke first, live 1 h before the onset; no content "
        "speaks for it; at the rate on record (1 change to model in 1 d) one falls as near by chance in 4.4 %"
    )
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


def test_an_unmeasured_system_upstream_counts_if_the_first_cause_was_left_alone():
    upstream = (-20, "raw", "data_load", "backfill", "b1")
    fit = changes.rank(table(upstream), named(), GRAPH)
    assert fit.best == "e0"
    assert "; made upstream of model, where nothing is measured, live 20 min before the onset; " in reasons(fit)["e0"]
    assert "(1 change to model and unmeasured systems upstream of it in 1 d)" in reasons(fit)["e0"]
    assert changes.rank(table(upstream, (-9, "model", "flag", "on", "f1")), named(), GRAPH).best == "e1"
    behind = table((-20, "feed", "deploy", "behind a measured system that did not move", "x1"))
    assert changes.rank(behind, named(), GRAPH).best is None


def test_two_records_of_one_change_are_no_rivals():
    events = table((-20, "model", "deploy", "release 8", "v8"), (-19, "model", "model_version", "v8 is live", "v8"))
    assert changes.rank(events, named(), GRAPH).best is not None


@pytest.mark.parametrize(("minutes", "fits"), [(-24 * 60, True), (-24 * 60 - 1, False), (5, True), (6, False)])
def test_the_times_within_which_a_change_fits(minutes, fits):
    early = (-(10**6), "site", "deploy", "so long is the record", "s")
    fit = changes.rank(table(early, (minutes, "model", "deploy", "x", "r")), named(), GRAPH)
    assert fit.candidates.set_index("ref")["fits"].to_dict() == {"r": fits, "s": False}
    assert (fit.best is None) is not fits


def test_a_longer_delay_can_be_asked_for():
    events = table((-(10**6), "site", "deploy", "so long is the record", "s"), (-5000, "model", "deploy", "x", "r"))
    assert "more than 24 hours" in reasons(changes.rank(events, named(), GRAPH))["e1"]
    assert changes.rank(events, named(), GRAPH, max_delay=pd.Timedelta("7D")).best == "e1"
    for wrong in (pd.Timedelta(0), pd.NaT, "24h"):
        with pytest.raises(InputError, match="max_delay"):
            changes.rank(events, named(), GRAPH, max_delay=wrong)


def daily(minutes, days=30):
    """A deployment of one system each day at one time, the last so many minutes before the onset."""
    return table(*[(minutes - 1440 * day, "model", "deploy", f"release {day}", f"v{day}") for day in range(days)])


def test_a_lone_change_is_not_named_where_one_always_lies_as_near():
    fit = changes.rank(daily(-22 * 60), named(), GRAPH)
    assert fit.best is None
    assert fit.candidates["fits"].sum() == 1
    span = (29 * 24 + 22) * 60 + 5
    chance = 1 - math.exp(-30 * (22 * 60 + 5) / span)
    assert fit.answer == (
        "Only deploy v0 at 2025-03-02 12:00 UTC fits, but may be there by chance: made to the system that broke first, "
        "live 22 h before the onset; no content speaks for it; at the rate on record (30 changes to model in 29 d 22 h) "
        f"one falls as near by chance in {100 * chance:.0f} %."
    )
    assert changes.rank(daily(-60), named(), GRAPH).best == "e0"


def test_the_same_change_is_named_where_changes_are_rare():
    events = table((-(10**6), "site", "deploy", "so long is the record", "s"), (-22 * 60, "model", "deploy", "x", "r"))
    fit = changes.rank(events, named(), GRAPH)
    assert fit.best == "e1"
    assert "live 22 h before the onset" in fit.answer
    assert f"by chance in {100 * (1 - math.exp(-1325 / (10**6 + 5))):.2g} %" in fit.answer


def test_the_chance_holds_for_changes_that_fall_anywhere():
    counts, span = Rate({0: 50}, pd.Timedelta("50h"), "model", ERROR), 50 * 60
    generator = np.random.default_rng(7)
    times = generator.uniform(0, span, size=(4000, 50))
    for delay in (0, 20, 90):
        near = ((times > 1000 - delay) & (times <= 1005)).any(axis=1).mean()
        assert counts.chance(0, pd.Timedelta(minutes=delay)) == pytest.approx(near, abs=0.03)


def test_only_live_changes_that_could_have_been_named_count_as_usual():
    other = [(-1440 * day, "site", "deploy", "elsewhere", f"s{day}") for day in range(1, 30)]
    other += [(-1440 * day, "model", "commit", "not live", f"c{day}") for day in range(1, 30)]
    other += [(1440, "model", "rollback", "later", "v0")]
    fit = changes.rank(table((-60, "model", "deploy", "x", "r"), *other), named(), GRAPH)
    assert "(1 change to model in 29 d 5 min)" in fit.answer


def test_content_needs_no_rarity():
    metric, text, patch, _ = HARMFUL["a setting renamed"]
    events, trace = incident(metric, text, patch)
    often = daily(-1500).assign(event_id=lambda table: "d" + table["event_id"], severity=9, attributes="")
    fit = changes.rank(pd.concat([events, often], ignore_index=True), trace, GRAPH)
    assert fit.best == "e0"
    assert "live 40 min before the onset; it alters" in fit.answer


@pytest.mark.parametrize(
    ("kind", "nearest"), [("config", "config_change"), ("deployment", "deploy"), ("Deploy", "deploy")]
)
def test_a_kind_that_the_vocabulary_does_not_have_is_an_error(kind, nearest):
    events = table((-600, "model", "deploy", "x", "r"), (-5, "model", kind, "y", "s"))
    with pytest.raises(UnknownName, match=rf"changes: row 1: bad event kind '{kind}'; did you mean '{nearest}'\?"):
        changes.rank(events.set_index(pd.Index([7, 7])), named(), GRAPH)


def test_the_docstring_names_every_kind_of_change():
    kinds = vocabulary.table("event_kinds")
    for kind in kinds.index[kinds["is_change"] == "yes"]:
        assert f"``{kind}``" in changes.rank.__doc__


def test_times_without_a_zone_and_other_wrong_columns_are_named():
    events = table((-60, "model", "deploy", "x", "r"), (-5, "model", "log", "y", ""))
    errors = pd.DataFrame({"system": ["model"], "text": ["x"], "first": [ONSET]})
    naive = r"changes: column 'time' holds datetime64\[\w+\]; wanted are times with a zone"
    for wrong, said in (
        (events.assign(time=events["time"].dt.tz_localize(None)), naive),
        (events.assign(time=events["time"].astype(str)), "changes: column 'time' holds str; wanted are times"),
        (events.assign(severity=["9", "ERROR"]), "changes: row 1: severity 'ERROR'; wanted are numbers"),
        (events.assign(event_id="e", kind="flag"), "changes: rows 0, 1: one event_id, 'e'"),
        (pd.concat([events, events[["ref"]]], axis=1), "changes: column 'ref' occurs twice"),
    ):
        with pytest.raises(InputError, match=said):
            changes.rank(wrong, named(), GRAPH)
    with pytest.raises(InputError, match="errors: column 'first' holds datetime64"):
        changes.rank(events, named(), GRAPH, errors=errors.assign(first=ONSET.tz_localize(None)))


def test_texts_that_are_missing_are_empty_and_ids_may_be_numbers():
    events = table(
        (-60, "model", "deploy", None, None), (-50, None, "flag", "x", pd.NA), (-5, "model", "log", None, "")
    )
    fit = changes.rank(events.assign(event_id=[4, 5, 6]), named(), GRAPH)
    assert fit.best == "4"
    assert (
        fit.candidates["reason"].iloc[1] == "made to no system: neither model nor an unmeasured system upstream of it"
    )


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


TIDIED = """@@ -1,6 +1,5 @@ def handle_basket(request):
-    raw = request.body
-    basket = parse(raw)
-    if basket is None:
-        return error(400)
+    basket = decode_basket(request)
+    if basket is None:
+        return bad_request()
     return submit(basket)"""
HARMFUL = {  # metric, text of the error, diff, where the evidence stands
    "a pool made smaller": (
        "wait_ms", "timeout acquiring connection from pool: 5 in use",
        "+++ b/conf/db.yaml\n@@ -3,1 +3,1 @@\n-  pool_size: 50\n+  pool_size: 5", "conf/db.yaml:3",
    ),
    "a column dropped": (
        "http_5xx_ratio", 'UndefinedColumn: column "discount" does not exist',
        "+++ b/migrations/31.sql\n@@ -0,0 +1,1 @@\n+ALTER TABLE baskets DROP COLUMN discount;", "migrations/31.sql:1",
    ),
    "a setting renamed": (
        "error_rate", "KeyError: 'RISK_TABLE'",
        "+++ b/env.yaml\n@@ -8,1 +8,1 @@\n-RISK_TABLE: scores\n+RISK_SCORES: scores", "env.yaml:8",
    ),
    "more retries": (
        "cpu_utilization", "upstream overloaded, retry 7 of 10",
        "+++ b/client.py\n@@ -20,1 +20,1 @@\n-retries = 2\n+retries = 10", "client.py:20",
    ),
    "a socket no longer closed": (
        "open_files", "OSError: too many open files: session socket",
        "+++ b/session.py\n@@ -20,3 +20,2 @@\n     socket = connect(host)\n     send(socket)\n-    socket.close()",
        "session.py:22",
    ),
    "a deadline in another unit": (
        "error_ratio", "context deadline exceeded calling rates",
        "+++ b/fx.go\n@@ -2,1 +2,1 @@\n-\tdeadline := 30 * time.Second\n+\tdeadline := 30 * time.Millisecond", "fx.go:2",
    ),
    "an exception no longer caught": (
        "exceptions_total", "NumberFormatException: for input",
        "+++ b/Price.java\n@@ -7,1 +7,1 @@\n-    try { return parse(text); } catch (NumberFormatException e) { return 0; }\n"
        "+    return parse(text);", "Price.java:7",
    ),
    "no value no longer expected": (
        "error_rate", "TypeError: cannot read properties of undefined (reading 'street')",
        '+++ b/address.ts\n@@ -3,1 +3,1 @@\n-  const street = user.address?.street ?? "";\n+  const street = user.address.street;',
        "address.ts:3",
    ),
    "a query for each row": (
        "request_duration_p99_ms", "slow request: 900 queries of table prices",
        "+++ b/report.py\n@@ -4,3 +4,3 @@ def report(rows):\n     for row in rows:\n-        price = row.price\n"
        "+        price = db.fetch_one('SELECT amount FROM prices WHERE id = ?', row.id)\n         total += price",
        "report.py:5",
    ),
    "a bound removed": (
        "query_latency", "slow query: select from ledger_entries",
        "+++ b/ledger.py\n@@ -4,2 +4,1 @@\n-    sql = 'SELECT * FROM ledger_entries ORDER BY at LIMIT 100'\n"
        "+    sql = 'SELECT * FROM ledger_entries ORDER BY at'", "ledger.py:4",
    ),
    "less memory": (
        "restarts", "OOMKilled: scorer exceeded its memory",
        "+++ b/deploy.yaml\n@@ -3,1 +3,1 @@\n-  memory: 4Gi\n+  memory: 512Mi", "deploy.yaml:3",
    ),
    "a feature renamed": (
        "recall_ratio", "feature 'amount_eur' is missing, filled with 0",
        "+++ b/features.yaml\n@@ -3,1 +3,1 @@\n-  - amount_eur\n+  - amount", "features.yaml:3",
    ),
}  # fmt: skip
NOISE = ("tidy imports", "fix a typo", "more tests", "bump the linter", "rename a module", "format", "cache builds")


def incident(metric, text, *patches, healthy="handled basket", before=-60):
    """Two releases of one system, the innocent one later; commits elsewhere; logs before and after the onset."""
    trace = Trace(
        ("site", metric),
        pd.DataFrame({"onset": [ONSET], "onset_error": [ERROR], "metric": [metric]}, index=["model"]),
        pd.DataFrame({"system": ["model", "site"]}),
    )
    rows = [(-40 + 30 * n, "model", "deploy", f"release {n}", f"v{n}") for n in range(len(patches))]
    rows += [(-200, "", "commit", message, f"{n}" * 7) for n, message in enumerate(NOISE)]
    rows += [(before, "model", "log", healthy, ""), (1, "model", "log", text, ""), (2, "model", "log", text, "")]
    events = table(*rows)
    events["severity"] = [17 if row[3] == text else 9 for row in rows]
    events["attributes"] = [*({"diff": patch} for patch in patches), *[{}] * (len(rows) - len(patches))]
    return events, trace


@pytest.mark.parametrize("case", HARMFUL)
def test_content_decides_against_a_closer_innocent_change(case):
    metric, text, patch, place = HARMFUL[case]
    events, trace = incident(metric, text, patch, TIDIED)
    fit = changes.rank(events, trace, GRAPH)
    assert fit.best == "e0"
    assert place in reasons(fit)["e0"]
    assert fit.candidates["support"].tolist()[:2] == [fit.candidates["support"].max(), 0]


@pytest.mark.parametrize("case", HARMFUL)
def test_an_innocent_change_alone_is_not_named_for_being_close(case):
    metric, text, _, _ = HARMFUL[case]
    events, trace = incident(metric, text, TIDIED)
    fit = changes.rank(events, trace, GRAPH)
    assert fit.best is None
    assert fit.abstained.startswith("Nothing that is known of the changes bears on what failed")


def test_a_harmful_change_is_not_named_for_a_failure_of_another_kind():
    named_for = [
        (one, other)
        for one, (metric, text, _, _) in HARMFUL.items()
        for other, (_, _, patch, _) in HARMFUL.items()
        if one != other and changes.rank(*incident(metric, text, patch), GRAPH).best
    ]
    assert named_for == []


def test_the_names_of_systems_do_not_matter():
    for metric, text, patch, _ in HARMFUL.values():
        events, trace = incident(metric, text, patch, TIDIED)
        events["system"] = events["system"].replace({"model": "n7"})
        other = Trace(trace.symptom, trace.candidates.rename(index={"model": "n7"}), trace.deviations)
        assert changes.rank(events, other, nx.DiGraph([("n7", "site")])).best == "e0"


def test_words_that_a_diff_only_moves_do_not_count():
    moved = """@@ -3,3 +3,2 @@ def validate(record):
-    if record.lat < -90 or record.lat > 90:
-        raise OutOfRange('lat', record.lat)
+    check_range('lat', record.lat, -90, 90)
     return record"""
    events, trace = incident("error_ratio", "validation error: field 'lat' out of range [-90,90] got 412.7", moved)
    assert changes.rank(events, trace, GRAPH).best is None
    changed = moved.replace("-90, 90)", "-90, 90, 'latitude_check')")
    events, trace = incident("error_ratio", "validation error in latitude_check: field 'lat'", changed)
    assert changes.rank(events, trace, GRAPH).best == "e0"


def test_two_changes_whose_content_fits_alike_are_rivals():
    metric, text, patch, _ = HARMFUL["a setting renamed"]
    fit = changes.rank(*incident(metric, text, patch, patch), GRAPH)
    assert fit.best is None
    assert fit.abstained.startswith("2 changes fit, and what they altered does not tell them apart")


def test_an_error_that_was_there_before_a_change_does_not_speak_for_it():
    metric, text, patch, _ = HARMFUL["a setting renamed"]
    events, trace = incident(metric, text, patch, healthy=text)
    assert changes.rank(events, trace, GRAPH).best is None
    events, trace = incident(metric, text, patch, healthy=text, before=-30)
    assert changes.rank(events, trace, GRAPH).best == "e0"


def test_words_that_are_logged_while_all_is_well_weigh_nothing():
    patch = "+++ b/a.py\n@@ -1,1 +1,1 @@\n-ledger = open_ledger()\n+journal = open_journal()"
    text = "query of 'ledger' failed"
    assert changes.rank(*incident("error_rate", text, patch), GRAPH).best == "e0"
    assert changes.rank(*incident("error_rate", text, patch, healthy="ledger is up to date"), GRAPH).best is None


@pytest.mark.parametrize("path", ["docs/risk.md", "web/style.css", "tests/test_risk.py", "risk_test.go", "README.txt"])
def test_what_does_not_run_cannot_fit(path):
    metric, text, patch, _ = HARMFUL["a setting renamed"]
    fit = changes.rank(*incident(metric, text, patch.replace("env.yaml", path)), GRAPH)
    assert fit.best is None
    assert reasons(fit)["e0"] == "nothing that it touches runs in a service"


def test_what_a_change_says_or_logs_is_not_what_it_does():
    for line in ("# RISK_TABLE was here", "logger.warning('RISK_TABLE')", 'console.log("RISK_TABLE")'):
        events, trace = incident("error_rate", "KeyError: 'RISK_TABLE'", f"+++ b/a.py\n@@ -0,0 +1,1 @@\n+{line}")
        assert changes.rank(events, trace, GRAPH).best is None


def test_an_index_that_was_added_slows_no_reader():
    patch = "+++ b/7.sql\n@@ -0,0 +1,2 @@\n+CREATE INDEX ledger_entries_at\n+  ON ledger_entries (at);"
    events, trace = incident("query_latency", "slow query: select from ledger_entries", patch)
    assert changes.rank(events, trace, GRAPH).best is None
    dropped = "+++ b/7.sql\n@@ -0,0 +1,1 @@\n+DROP INDEX ledger_entries_at;"
    events, trace = incident("query_latency", "slow query: select from ledger_entries, at", dropped)
    assert changes.rank(events, trace, GRAPH).best is not None


def test_a_change_to_a_consumer_or_a_measured_system_upstream_needs_content():
    metric, text, patch, _ = HARMFUL["more retries"]
    for system, where in (("site", "made to a system that uses model"), ("store", "made upstream of model, live")):
        events, trace = incident(metric, text, patch, TIDIED)
        trace.deviations.loc[2] = "store"
        events.loc[events["event_id"] == "e0", "system"] = system
        fit = changes.rank(events, trace, GRAPH)
        assert fit.best == "e0"
        assert reasons(fit)["e0"].startswith(where)
        events.loc[events["event_id"] == "e0", "attributes"] = [{"diff": TIDIED}]
        assert "neither model nor" in reasons(changes.rank(events, trace, GRAPH))["e0"]


def test_a_deployment_is_judged_by_the_commit_that_it_brings():
    metric, text, patch, _ = HARMFUL["a setting renamed"]
    events, trace = incident(metric, text, "", TIDIED)
    commit = events[events["kind"] == "commit"].iloc[[0]].assign(event_id="c", ref="v0", attributes=[{"diff": patch}])
    fit = changes.rank(pd.concat([events, commit], ignore_index=True), trace, GRAPH)
    assert fit.best == "e0"
    assert "brings commit v0; it alters what the failure names: risk_table" in reasons(fit)["e0"]


def test_the_name_of_a_flag_is_what_it_alters():
    events, trace = incident("error_rate", "duplicate idempotency_keys for charge", TIDIED)
    flag = table((-20, "model", "flag", "off->on", "idempotency_keys")).assign(event_id="flag", severity=9)
    flag["attributes"] = [{}]
    assert changes.rank(pd.concat([events, flag], ignore_index=True), trace, GRAPH).best == "flag"


def test_errors_that_are_given_take_the_place_of_the_log():
    metric, text, patch, _ = HARMFUL["a setting renamed"]
    events, trace = incident(metric, "unrelated", patch)
    errors = pd.DataFrame({"system": ["model"], "text": [text], "first": [ONSET], "verdict": ["signal"]})
    assert changes.rank(events, trace, GRAPH, errors=errors).best == "e0"
    assert changes.rank(events, trace, GRAPH, errors=errors.assign(is_error=False, severity=13)).best == "e0"
    for quiet in ({"verdict": "nothing"}, {"is_error": False, "severity": 9}):
        fit = changes.rank(events, trace, GRAPH, errors=errors.assign(**quiet))
        assert fit.candidates["support"].max() == 0
    with pytest.raises(InputError, match="errors: required column 'text' is missing"):
        changes.rank(events, trace, GRAPH, errors=errors[["system"]])


def test_inputs_are_not_changed():
    metric, text, patch, _ = HARMFUL["a setting renamed"]
    events, trace = incident(metric, text, patch)
    copy, candidates = events.copy(deep=True), trace.candidates.copy(deep=True)
    changes.rank(events, trace, GRAPH)
    pd.testing.assert_frame_equal(events, copy)
    pd.testing.assert_frame_equal(trace.candidates, candidates)


def test_weights_are_inverse_document_frequencies():
    documents = [{"a", "b"}, {"a"}, {"a", "c"}]
    found = weights(documents, [{"c"}], ["d"])
    for word in ("a", "b"):
        share = sum(word in document for document in documents)
        assert found[word] == pytest.approx(math.log(1 + 3 / share) / math.log(1 + 3))
    assert found["c"] == 0


LINES = st.lists(st.text(alphabet="ab- +@\\", max_size=4), max_size=12)


@given(LINES, LINES, st.integers(0, 3))
def test_lines_of_a_diff_stand_where_difflib_took_them_from(old, new, context):
    text = "\n".join(difflib.unified_diff(old, new, "a/x.py", "b/x.py", lineterm="", n=context))
    lines = read({"diff": text}).lines
    assert [line.text for line in lines if line.sign == "-"] == [
        old[line.number - 1] for line in lines if line.sign == "-"
    ]
    assert all(new[line.number - 1] == line.text for line in lines if line.sign in "+ ")
    assert sum(line.sign == "+" for line in lines) - sum(line.sign == "-" for line in lines) == len(new) - len(old)


def test_a_hostile_record_costs_nothing_and_breaks_nothing():
    deep = "[" * 100_000
    for attributes in (deep, {"diff": "+" * 10_000_000}, {"diff": "@@" * 100_000}, "{", None, 7, {"patch": None}):
        read(attributes)
    nested = {"diff": "x"}
    for _ in range(2000):
        nested = {"files": [nested]}
    assert read(nested).lines == ()


def test_a_removed_comment_of_sql_is_no_header():
    text = "--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1,2 @@\n--- old remark\n-a\n+++ c\n+b"
    found = [(line.sign, line.text, line.number) for line in read({"diff": text}).lines]
    assert found == [("-", "-- old remark", 1), ("-", "a", 2), ("+", "++ c", 1), ("+", "b", 2)]


def test_of_two_that_fit_alike_the_nearer_to_the_first_cause_is_named():
    metric, text, patch, _ = HARMFUL["a setting renamed"]
    events, trace = incident(metric, text, patch, patch)
    events.loc[events["event_id"] == "e0", "system"] = "site"
    assert changes.rank(events, trace, GRAPH).best == "e1"


def test_an_error_of_an_unrelated_system_or_one_that_stopped_before_the_onset_does_not_speak():
    metric, text, patch, _ = HARMFUL["a setting renamed"]
    events, trace = incident(metric, "worker lost", patch)
    other = table((1, "feed", "log", text, "")).assign(event_id="x", severity=17)
    other["attributes"] = [{}]
    assert changes.rank(pd.concat([events, other], ignore_index=True), trace, GRAPH).best is None
    ended = other.assign(system="model", time=ONSET - pd.Timedelta("20min"))
    assert changes.rank(pd.concat([events, ended], ignore_index=True), trace, GRAPH).best is None


def test_the_name_of_a_system_in_an_error_is_no_content():
    patch = "+++ b/a.py\n@@ -1,1 +1,1 @@\n-a = store()\n+a = b()"
    assert changes.rank(*incident("error_rate", "call to 'store' failed", patch), GRAPH).best is None


def test_no_change_is_fitted_to_a_system_that_moved_nobody_knows_when():
    at = pd.Timestamp("2025-03-01T10:00Z")
    none = {"onset": pd.to_datetime([None], utc=True), "onset_error": pd.to_timedelta([None])}
    found = pd.DataFrame(none | {"metric": ["latency"]}, index=["db"])
    moved = pd.DataFrame({"system": ["db"], "metric": "latency", "onset": none["onset"]})
    events = pd.DataFrame({"event_id": ["e1"], "time": [at], "system": ["db"], "kind": "deploy", "message": ["version 7"],
                           "ref": ""})  # fmt: skip
    fit = changes.rank(events, Trace(("api", "latency"), found, moved), nx.DiGraph([("db", "api")]))
    assert fit.best is None
    assert fit.answer.startswith("No change can be fitted: since when db was away from its level is not known.")
    assert not fit.candidates["fits"].any()


def test_a_change_within_the_error_of_the_onset_may_also_have_followed_it():
    fit = changes.rank(table((-1, "model", "deploy", "release 8", "v8")), named(), GRAPH)
    assert "live 1 min before the onset, known within 5 min: it may also have followed" in reasons(fit)["e0"]

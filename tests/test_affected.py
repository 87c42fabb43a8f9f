from itertools import combinations

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import binomtest, fisher_exact

from rca.errors import InputError, UnknownName
from rca.systems import affected

START = pd.Timestamp("2025-03-01T08:00Z")
HOUR, MINUTE = pd.Timedelta("1h"), pd.Timedelta("1min")
BEFORE, DURING = (START, START + HOUR), (START + HOUR, START + 2 * HOUR)
WINDOWS = {"before": BEFORE, "during": DURING}


def spans(system, minutes, failed=(), seconds=1.0, **columns):
    """One span a trace of `system` at each minute after START; those with a number in `failed` failed."""
    status = ["ERROR" if number in set(failed) else "OK" for number in range(len(minutes))]
    ids = [f"{system}-{number}" for number in range(len(minutes))]
    table = {
        "time": [START + minute * MINUTE for minute in minutes], "system": system, "name": "call", "status": status,
        "trace_id": ids, "span_id": ids, "parent_id": "", "duration": pd.to_timedelta(np.broadcast_to(seconds, len(ids)), "s"),
    }  # fmt: skip
    return pd.DataFrame(table | columns)


def logs(system, minutes, severity=17):
    times = [START + minute * MINUTE for minute in minutes]
    return pd.DataFrame({"time": times, "system": system, "kind": "log", "severity": severity})


def metric(system, name, values):
    times = pd.date_range(START, periods=len(values), freq="min")
    return pd.DataFrame({"time": times, "system": system, "metric": name, "value": values})


def wave(level, jump=0.0, at=80):
    """120 rows around a level that jumps; healthy in the first 60."""
    return level + np.tile([0.0, 1.0, -1.0, 0.5, -0.5, 0.25], 20) + jump * (np.arange(120) >= at)


def row(found, system):
    return found.set_index("system").loc[system]


def stretches():
    """The window, its halves, its quarters and its eighths, in minutes after START."""
    return [(60 + 60 * part / parts, 60 + 60 * (part + 1) / parts) for parts in (1, 2, 4, 8) for part in range(parts)]


def test_the_share_of_failed_spans_is_judged_by_fishers_exact_test_on_the_strongest_stretch():
    minutes = np.arange(0.25, 120, 0.5)
    failed = [number for number, minute in enumerate(minutes) if minute > 112 and number % 2]
    found = row(affected.find(spans=spans("api", minutes, failed).drop(columns="duration"), **WINDOWS), "api")
    bad = np.isin(np.arange(len(minutes)), failed)
    p_values = []
    for first, last in stretches():
        here = (minutes >= first) & (minutes < last)
        table = [[bad[here].sum(), (~bad[here]).sum()], [0, 120]]
        p_values.append(fisher_exact(table, alternative="greater").pvalue)
    assert found["p_value"] == pytest.approx(min(p_values) * len(p_values))
    assert found["hurt"] and found["evidence"] == "error spans"
    assert found["since"] == START + minutes[failed[0]] * MINUTE


def test_stretches_too_short_to_show_anything_do_not_count_as_tests():
    minutes = [10.5, 20.5, 30.5, 40.5, 50.5, 61.5, 62.5, 63.5, 64.5, 65.5, 66.5]
    found = row(affected.find(spans=spans("api", minutes, range(5, 11)).drop(columns="duration"), **WINDOWS), "api")
    # Six failures after five successes have p = 1 / C(11, 5); they lie in the whole, the first half, quarter, eighth.
    assert found["p_value"] == pytest.approx(4 / 462)
    assert found["hurt"]


def test_the_rate_of_error_logs_is_judged_by_the_exact_test_of_two_poisson_rates():
    minutes = [5.5, 35.5, 65.5, 80.5, *(100.5 + 1.5 * number for number in range(10))]
    edges = [0.0, 119.999]  # records of another system: logs cover both windows
    table = pd.concat([logs("api", minutes), logs("other", edges, severity=9)])
    found = affected.find(events=table, before=BEFORE, during=DURING).set_index("system")
    covered = [(60 + (first - 60) * 59.999 / 60, 60 + (last - 60) * 59.999 / 60) for first, last in stretches()]
    p_values = []
    for first, last in covered:
        here = sum(first <= minute < last for minute in minutes)
        share = (last - first) / (last - first + 60)
        p_values.append(binomtest(here, here + 2, share, alternative="greater").pvalue if here >= 3 else 1.0)
    assert found.loc["api", "p_value"] == pytest.approx(min(p_values) * len(p_values), rel=1e-6)
    assert found.loc["api", "hurt"] and found.loc["api", "since"] == START + 100.5 * MINUTE
    assert not found.loc["other", "hurt"]


def test_few_durations_are_judged_by_the_exact_rank_test():
    minutes = [5.5, 15.5, 25.5, 35.5, 45.5, 61.5, 62.5, 63.5, 64.5, 65.5]
    seconds = [1.0, 1.1, 0.9, 1.05, 1.3, 1.25, 3.0, 4.0, 5.0, 6.0]
    found = row(affected.find(spans=spans("api", minutes, seconds=seconds), **WINDOWS), "api")
    # Exact p by enumeration of which five of the ten are the later ones; only the window, half, quarter, eighth
    # that hold all five can show anything.
    ranks = np.argsort(np.argsort(seconds))
    sums = [sum(chosen) for chosen in combinations(range(10), 5)]
    exact = np.mean([value >= ranks[5:].sum() for value in sums])
    assert found["p_value"] == pytest.approx(4 * exact)


def test_slower_spans_hurt_and_the_time_is_that_of_the_first_slow_part():
    minutes = np.arange(0.5, 120, 1.0)
    seconds = np.where(minutes > 90, 4.0, 1.0) * np.tile([1.0, 1.1, 0.9, 1.05], 30)
    found = row(affected.find(spans=spans("api", minutes, seconds=seconds), **WINDOWS), "api")
    assert found["hurt"] and found["evidence"] == "slow spans"
    assert found["since"] == START + 90 * MINUTE


def test_a_slowdown_that_nobody_feels_is_no_harm():
    minutes = np.arange(0.5, 120, 1.0)
    seconds = np.where(minutes > 60, 1.05, 1.0) + np.tile([0.0, 0.001], 60)
    found = row(affected.find(spans=spans("api", minutes, seconds=seconds), **WINDOWS), "api")
    assert not found["hurt"] and found["p_value"] == 1.0


def test_a_shift_towards_slow_operations_is_not_a_slowdown():
    minutes = np.arange(1.25, 120, 2.5)
    slow = np.where(minutes < 60, np.arange(48) % 8 == 0, np.arange(48) % 8 != 0)
    seconds = np.where(slow, 9.0, 1.0) * np.tile([1.0, 1.1, 0.9, 1.05], 12)
    table = spans("api", minutes, seconds=seconds, name=np.where(slow, "report", "ping"))
    assert not row(affected.find(spans=table, **WINDOWS), "api")["hurt"]
    assert row(affected.find(spans=table.assign(name="one"), **WINDOWS), "api")["hurt"]


def test_durations_that_swing_in_health_as_in_the_incident_are_not_slower():
    minutes = np.arange(0.5, 120, 1.0)
    seconds = np.exp(0.5 * np.sin(2 * np.pi * minutes / 60)) * np.tile([1.0, 1.01, 0.99, 1.005], 30)
    assert not row(affected.find(spans=spans("api", minutes, seconds=seconds), **WINDOWS), "api")["hurt"]


def test_few_durations_that_are_all_the_same_show_nothing():
    found = row(affected.find(spans=spans("api", np.arange(2, 120, 6.0)), **WINDOWS), "api")
    assert not found["hurt"] and found["p_value"] == 1.0 and found["tests"] == 2


def test_a_system_that_got_ten_times_the_requests_without_harm_is_not_hurt():
    minutes = np.concatenate([np.arange(0.5, 60, 1.0), np.arange(60.05, 120, 0.1)])
    seconds = np.resize([1.0, 1.1, 0.9, 1.05], len(minutes))
    failed = range(0, len(minutes), 50)
    found = row(affected.find(spans=spans("api", minutes, failed, seconds), **WINDOWS), "api")
    assert not found["hurt"] and found["evidence"] == "nothing" and found["tests"] == 2


def test_retries_in_one_trace_count_once():
    minutes = [*np.arange(0.5, 60, 1.0), *([61.5] * 50)]
    table = spans("api", minutes, range(60, 110)).drop(columns="duration")
    table.loc[60:, "trace_id"] = "storm"
    assert pd.isna(row(affected.find(spans=table, **WINDOWS), "api")["hurt"])  # one trace could not have shown anything


def test_a_stack_trace_of_many_lines_is_one_error():
    lines = [90 + number / 1000 for number in range(200)]
    table = pd.concat([logs("api", lines), logs("other", [0.0, 119.0], severity=9)])
    assert not row(affected.find(events=table, **WINDOWS), "api")["hurt"]


def test_errors_that_clump_in_health_must_clump_more_to_count():
    rng = np.random.default_rng(5)
    clump = lambda start: start + rng.uniform(0, 2, 12)  # noqa: E731
    healthy = np.concatenate([clump(start) for start in (3, 20, 33, 50)])
    calm = np.concatenate([healthy, *[clump(start) for start in (65, 70, 90, 95, 101, 113)]])
    assert not row(affected.find(events=logs("api", calm), **WINDOWS), "api")["hurt"]
    many = np.concatenate([healthy, *[clump(start) for start in np.arange(90, 118, 0.5)]])
    assert row(affected.find(events=logs("api", many), **WINDOWS), "api")["hurt"]


def test_clumps_of_some_minutes_are_seen_as_clumps():
    rng = np.random.default_rng(7)
    starts = [3, 18, 33, 48, 105, 107, 109, 111, 114]
    minutes = np.concatenate([start + rng.uniform(0, 4, 12) for start in starts])
    table = pd.concat([logs("api", minutes), logs("other", [0, 119.9], severity=9)])
    assert not row(affected.find(events=table, **WINDOWS), "api")["hurt"]


def test_folded_log_records_weigh_as_many_as_they_stand_for():
    table = pd.concat([logs("api", np.arange(61, 119, 2.0)), logs("other", [0, 119], severity=9)])
    folded = affected.find(events=table.assign(count=3), **WINDOWS)
    pd.testing.assert_frame_equal(folded, affected.find(events=pd.concat([table] * 3), **WINDOWS))
    assert "api: 87 error logs in 59 minutes, 0 in 60 minutes before" in row(folded, "api")["sentence"]


def test_warnings_alerts_and_errors_of_other_kinds_are_no_error_logs():
    noisy = logs("api", np.arange(61, 119, 1.0), severity=13)
    alerts = logs("api", np.arange(61, 119, 1.0)).assign(kind="alert")
    found = affected.find(events=pd.concat([noisy, alerts, logs("other", [0, 119], severity=9)]), **WINDOWS)
    assert not row(found, "api")["hurt"]


def test_a_metric_hurts_in_its_harmful_direction_only():
    table = pd.concat([metric("db", "latency", wave(50, 40)), metric("api", "hits", wave(50, 40))])
    found = affected.find(metrics=table, harmful={"latency": "up", "hits": "down"}, **WINDOWS)
    assert found["hurt"].tolist() == [True, False]
    assert row(found, "db")["since"] == START + 80 * MINUTE
    assert row(found, "db")["sentence"].startswith("db: latency rose from 50.1 to 90.1 at 2025-03-01 09:20 UTC")


def test_a_measure_of_demand_is_not_tested():
    found = row(
        affected.find(metrics=metric("db", "requests", wave(50, 40)), harmful={"requests": "neither"}, **WINDOWS), "db"
    )
    assert pd.isna(found["hurt"]) and found["evidence"] == "none measured" and found["tests"] == 0


LOAD = pd.concat(
    [
        metric("api", "latency", wave(50, 40)),
        metric("db", "requests", wave(100, 400)), metric("db", "latency", wave(20)),
    ]
)  # fmt: skip


def test_a_dependency_that_moved_with_its_user_in_one_metric_is_load_or_harm_until_the_direction_is_said():
    graph = nx.DiGraph([("db", "api")])
    found = affected.find(metrics=LOAD, graph=graph, **WINDOWS)
    assert row(found, "api")["hurt"]
    assert pd.isna(row(found, "db")["hurt"]) and row(found, "db")["evidence"] == "load or harm"
    said = affected.find(metrics=LOAD, graph=graph, harmful={"requests": "up"}, **WINDOWS)
    assert row(said, "db")["hurt"]
    assert row(affected.find(metrics=LOAD, **WINDOWS), "db")["hurt"]


def test_a_dependency_that_moved_first_is_no_matter_of_load():
    early = LOAD.assign(value=np.concatenate([wave(50, 40), wave(100, 400, at=70), wave(20)]))
    assert row(affected.find(metrics=early, graph=nx.DiGraph([("db", "api")]), **WINDOWS), "db")["hurt"]


def test_what_follows_a_moved_cause_of_its_own_is_no_matter_of_load():
    table = pd.concat([LOAD, metric("disk", "errors", wave(3, 50))])
    graph = nx.DiGraph([("disk", "db"), ("db", "api")])
    assert affected.find(metrics=table, graph=graph, **WINDOWS)["hurt"].tolist() == [True] * 3


def test_a_system_of_which_all_metrics_moved_is_no_matter_of_load():
    table = LOAD.assign(value=np.concatenate([wave(50, 40), wave(100, 400), wave(20, 30)]))
    assert row(affected.find(metrics=table, graph=nx.DiGraph([("db", "api")]), **WINDOWS), "db")["hurt"]


def calls(*rows):
    """Spans (trace, id, parent, system, minute, status)."""
    names = ["trace_id", "span_id", "parent_id", "system", "time", "status"]
    table = pd.DataFrame(rows, columns=names).assign(name="call")
    return table.assign(time=START + table["time"] * MINUTE)


CHAIN = (
    ("t", "1", "", "web", 90.0, "ERROR"),
    ("t", "2", "1", "api", 90.01, "ERROR"),
    ("t", "3", "2", "db", 90.02, "OK"),
)
DB = metric("db", "latency", wave(50, 40))


def test_one_failed_call_of_a_hurt_system_hurts_each_caller_up_the_chain():
    found = affected.find(metrics=DB, spans=calls(*CHAIN), **WINDOWS)
    assert found["hurt"].tolist() == [True] * 3
    assert row(found, "web")["evidence"] == row(found, "api")["evidence"] == "failed calls"
    assert row(found, "web")["p_adjusted"] == row(found, "db")["p_adjusted"]
    assert row(found, "web")["since"] == START + 90 * MINUTE


def test_a_span_that_called_twice_counts_once():
    found = affected.find(metrics=DB, spans=calls(*CHAIN, ("t", "4", "2", "db", 90.5, "OK")), **WINDOWS)
    assert "api: 1 of its 1 spans failed on calls to db" in row(found, "api")["sentence"]


@pytest.mark.parametrize(
    "rows",
    [
        [(*CHAIN[0][:5], "OK"), (*CHAIN[1][:5], "OK"), CHAIN[2]],  # nobody failed
        [(*line[:2], "", *line[3:]) for line in CHAIN],  # no call is known
        [*CHAIN, ("u", "1", "", "web", 9.0, "ERROR"), ("u", "2", "1", "api", 9.0, "ERROR"), ("u", "3", "2", "db", 9.0, "OK")],
        [*CHAIN, ("t", "2", "1", "mail", 90.0, "OK"), ("t", "1", "", "mail", 90.0, "OK")],  # ids of two spans
        [(*line[:4], 130.0, line[5]) for line in CHAIN],  # after the window
    ],
)  # fmt: skip
def test_no_caller_is_hurt_without_a_failed_call_that_was_not_seen_before(rows):
    found = affected.find(metrics=DB, spans=calls(*rows), **WINDOWS)
    assert row(found, "db")["hurt"]
    assert row(found, "web")["hurt"] is pd.NA and row(found, "api")["hurt"] is pd.NA


def test_a_failed_call_to_a_healthy_system_hurts_nobody():
    found = affected.find(metrics=metric("db", "latency", wave(50)), spans=calls(*CHAIN), **WINDOWS)
    assert not found["hurt"].fillna(False).any()


@pytest.mark.parametrize(
    ("word", "hurt"),
    [("error", True), ("STATUS_CODE_ERROR", True), ("503", True), ("404", False), ("Unset", False), ("teal", None)],
)
def test_status_words_are_those_of_opentelemetry_and_http(word, hurt):
    table = spans("api", np.arange(0.5, 120, 1.0)).drop(columns="duration")
    table.loc[table["time"] >= DURING[0], "status"] = word
    found = affected.find(spans=table, **WINDOWS)["hurt"].iloc[0]
    assert pd.isna(found) if hurt is None else found == hurt


def test_what_could_not_have_shown_harm_gives_no_verdict():
    table = metric("db", "latency", wave(50, 40))
    short = table[table["time"] >= START + 55 * MINUTE]
    found = affected.find(
        metrics=short.assign(system="short"), spans=spans("few", [5.5, 65.5], [1]),
        events=logs("silent", [5.5, 6.5], 9), graph=nx.DiGraph([("alone", "few")]), **WINDOWS,
    )  # fmt: skip
    assert found["system"].tolist() == ["alone", "few", "short", "silent"]
    assert found["hurt"].isna().all() and (found["evidence"] == "none measured").all()
    assert found["since"].isna().all() and str(found["since"].dtype) == "datetime64[ns, UTC]"


def test_values_that_are_not_finite_are_left_out():
    values = wave(50, 40)
    values[::7] = np.nan
    values[3] = np.inf
    assert row(affected.find(metrics=metric("db", "latency", values), **WINDOWS), "db")["hurt"]


def test_p_values_are_adjusted_by_holms_method():
    rng = np.random.default_rng(0)
    table = pd.concat([metric(f"s{number}", "m", rng.normal(size=120)) for number in range(6)])
    table.loc[(table["system"] == "s0") & (table["time"] >= START + 100 * MINUTE), "value"] += 1.2
    found = affected.find(metrics=table, **WINDOWS)
    # The adjusted value is the least level at which Holm's step-down rejects: step i of m at level / (m - i).
    ordered = found.sort_values("p_value")["p_value"].to_numpy()
    for place, name in enumerate(found.sort_values("p_value")["system"]):
        least = max(min(1.0, ordered[step] * (6 - step)) for step in range(place + 1))
        assert row(found, name)["p_adjusted"] == pytest.approx(least)


def test_equal_p_values_are_adjusted_alike():
    table = pd.concat([metric(name, "m", wave(50, 40)) for name in ("a", "b", "c")])
    found = affected.find(metrics=table, **WINDOWS)
    assert (found["p_adjusted"] / found["p_value"]).tolist() == pytest.approx([3, 3, 3])


def test_a_system_is_hurt_since_the_first_of_its_measures_moved():
    table = pd.concat([metric("db", "slow", wave(50, 400, at=90)), metric("db", "early", wave(50, 40, at=70))])
    assert row(affected.find(metrics=table, **WINDOWS), "db")["since"] == START + 70 * MINUTE


def test_the_sentence_cites_the_test_that_gives_the_time_first():
    slow = metric("db", "slow", wave(50, 400, at=90))
    early = metric("db", "early", wave(50, -10, at=70))
    found = row(affected.find(metrics=pd.concat([slow, early]), **WINDOWS), "db")
    first, then = (found["sentence"].index(f"at 2025-03-01 {clock} UTC") for clock in ("09:10", "09:30"))
    assert found["sentence"].startswith("db: early fell") and first < then
    assert found["since"] == START + 70 * MINUTE
    assert found["sentence"].count("early") == 1


def test_each_kind_of_evidence_is_told_with_its_time_the_earliest_first():
    minutes = np.arange(0.25, 120, 0.5)
    failing = spans("db", minutes, [number for number, minute in enumerate(minutes) if minute > 75])
    found = row(affected.find(metrics=metric("db", "slow", wave(50, 400, at=90)), spans=failing, **WINDOWS), "db")
    first, then = (found["sentence"].index(text) for text in ("before since 2025-03-01 09:15", "at 2025-03-01 09:30"))
    assert first < then and f"{found['since']:%H:%M}" == "09:15"


def far(table):
    """The table with its healthy hour ninety days earlier, and the windows for it."""
    shift = pd.Timedelta("90D")
    moved = table.assign(time=table["time"].where(table["time"] >= DURING[0], table["time"] - shift))
    return moved, {"before": tuple(time - shift for time in BEFORE), "during": DURING}


def test_a_level_off_since_the_first_row_far_from_the_healthy_window_may_have_been_so_before():
    table, windows = far(metric("db", "latency", wave(50, 40, at=60)))
    found = row(affected.find(metrics=table, **windows), "db")
    assert "from 50.1 to 90.1 at or before 2025-03-01 09:00 UTC" in found["sentence"]
    within, windows = far(metric("db", "latency", wave(50, 40, at=80)))
    assert " at 2025-03-01 09:20 UTC" in row(affected.find(metrics=within, **windows), "db")["sentence"]
    near = affected.find(metrics=metric("db", "latency", wave(50, 40, at=60)), **WINDOWS)
    assert " at 2025-03-01 09:00 UTC" in row(near, "db")["sentence"]


@pytest.mark.parametrize("late", [0, 30])
def test_spans_and_logs_that_are_bad_from_the_first_on_may_have_been_so_before(late):
    minutes = np.arange(0.25, 120, 0.5)
    bad = minutes > 60 + late
    failing, windows = far(spans("api", minutes, np.flatnonzero(bad), np.where(bad, 9.0, 1.0)))
    written, _ = far(pd.concat([logs("api", minutes[bad]), logs("api", minutes[~bad], severity=9)]))
    failed, slow = failing.drop(columns="duration"), failing.assign(status="OK")
    for tables in ({"spans": failed}, {"spans": slow}, {"events": written}):
        found = row(affected.find(**tables, **windows), "api")
        assert found["hurt"]
        assert ("at or before 2025-03-01 09:00" in found["sentence"]) == (late == 0)
        assert (" since 2025-03-01 09:30" in found["sentence"]) == (late == 30)


def rushed(count, alike=8, other=0.0, late=0):
    """Requests that rise on the first `alike` of `count` systems, and their latency, moved by `other`."""
    tables = []
    for number in range(count):
        jump = 400.0 * (number < alike)
        tables.append(metric(f"s{number}", "requests", wave(100 + number, jump, at=80 + late * number)))
        tables.append(metric(f"s{number}", "latency", wave(20, other * (number < alike))))
    return pd.concat(tables)


def test_one_metric_that_rose_alike_on_most_systems_while_others_of_them_stayed_is_load_or_harm():
    found = affected.find(metrics=rushed(12), **WINDOWS).set_index("system")
    load = found[found["evidence"] == "load or harm"]
    assert sorted(load.index) == [f"s{number}" for number in range(8)]
    assert load["hurt"].isna().all() and load["since"].isna().all()
    assert "requests rose alike on 8 of 12 systems that have it" in found.loc["s0", "sentence"]
    assert not found.loc["s9", "hurt"]


@pytest.mark.parametrize(
    ("table", "harmful"),
    [
        (rushed(20), {}),  # not on most
        (rushed(2, 2), {}),  # too few to be called common
        (rushed(12, other=30.0), {}),  # latency rose too
        (rushed(12, late=4), {}),  # one after the other
        (rushed(12), {"requests": "up"}),
    ],
)
def test_what_moved_not_alike_or_not_alone_or_is_said_to_harm_is_hurt(table, harmful):
    hurt = affected.find(metrics=table, harmful=harmful, **WINDOWS).set_index("system")["hurt"]
    assert hurt.loc["s0"] and hurt.loc["s1"]


def test_opposite_moves_are_not_alike():
    table = rushed(6, 6)
    down = table["system"].isin(["s0", "s1", "s2"]) & (table["metric"] == "requests")
    table.loc[down, "value"] = 900 - table.loc[down, "value"]
    assert affected.find(metrics=table, **WINDOWS)["hurt"].all()


def test_records_of_no_system_give_no_row():
    assert affected.find(events=pd.concat([logs("", [1, 61]), logs("db", [1, 61])]), **WINDOWS)["system"].tolist() == [
        "db"
    ]


def test_no_alarm_where_nothing_is_wrong():
    alarms = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        minutes = np.sort(rng.uniform(0, 120, 400))
        table = spans("api", minutes, np.flatnonzero(rng.random(400) < 0.05), rng.lognormal(0, 0.5, 400))
        errors = logs("api", np.sort(rng.uniform(0, 120, 60)))
        found = affected.find(spans=table, events=errors, metrics=metric("api", "m", rng.normal(size=120)), **WINDOWS)
        alarms += int(found["hurt"].sum())
    assert alarms <= 1


def everything():
    minutes = np.arange(0.25, 120, 0.5)
    return {
        "spans": pd.concat([spans("api", minutes, range(200, 240)), spans("web", minutes, seconds=1 + (minutes > 90))]),
        "metrics": LOAD, "events": logs("mail", np.arange(60.5, 119, 2.0)), "graph": nx.DiGraph([("db", "api")]),
    }  # fmt: skip


def renamed(data, names):
    tables = {key: data[key].assign(system=data[key]["system"].map(names)) for key in ("spans", "metrics", "events")}
    return tables | {"graph": nx.relabel_nodes(data["graph"], names)}


@settings(max_examples=10, deadline=None)
@given(st.permutations(["api", "db", "mail", "web"]), st.integers(-(10**9), 10**9), st.randoms(use_true_random=False))
def test_names_clock_and_order_of_rows_do_not_matter(order, seconds, random):
    data, shift = everything(), pd.Timedelta(seconds, "s")
    names = dict(zip(["api", "db", "mail", "web"], order, strict=True))
    other = renamed(data, names)
    for key in ("spans", "metrics", "events"):
        shuffled = random.sample(range(len(other[key])), len(other[key]))
        other[key] = other[key].iloc[shuffled].assign(time=lambda table: table["time"] + shift)
    found, again = affected.find(**data, **WINDOWS), None
    again = affected.find(**other, before=[time + shift for time in BEFORE], during=[time + shift for time in DURING])
    kept = ["hurt", "evidence", "p_value", "p_adjusted", "tests"]
    left, right = found.set_index("system"), again.set_index("system").loc[[names[name] for name in found["system"]]]
    pd.testing.assert_frame_equal(left[kept].reset_index(drop=True), right[kept].reset_index(drop=True))
    pd.testing.assert_series_equal(
        (left["since"] + shift).reset_index(drop=True), right["since"].reset_index(drop=True)
    )


def test_the_inputs_stay_as_they_are():
    data, copies = everything(), everything()
    affected.find(**data, **WINDOWS)
    for key in ("spans", "metrics", "events"):
        pd.testing.assert_frame_equal(data[key], copies[key])
    assert nx.utils.graphs_equal(data["graph"], copies["graph"])


def test_empty_tables_give_a_table_without_rows():
    found = affected.find(metrics=metric("db", "m", [1.0]).iloc[:0], events=logs("db", [1]).iloc[:0], **WINDOWS)
    assert found.empty and found["hurt"].dtype == "boolean"
    assert affected.find(spans=spans("db", [1.0]).iloc[:0], **WINDOWS).empty


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({}, InputError, "metrics, spans or events are needed"),
        ({"metrics": DB.drop(columns="value")}, InputError, "metrics: required column 'value' is missing"),
        ({"metrics": DB.assign(time=DB["time"].dt.tz_localize(None))}, InputError, "not a time with a zone"),
        ({"spans": spans("a", [1.0]).assign(duration=1.5)}, InputError, "'duration' is float64, not a Timedelta"),
        ({"metrics": DB, "harmful": {"latencyy": "up"}}, UnknownName, "did you mean 'latency'"),
        ({"metrics": DB, "harmful": {"latency": "upp"}}, UnknownName, "did you mean 'up'"),
        ({"metrics": DB, "during": (START, START + HOUR)}, InputError, "overlap"),
    ],
)
def test_bad_input_is_an_error_that_says_what_is_wrong(given, kind, message):
    with pytest.raises(kind, match=message):
        affected.find(**(WINDOWS | given))


def test_rows_without_system_text_for_numbers_other_graphs_and_empty_windows_are_refused():
    time = pd.date_range("2025-03-01", periods=60, freq="min", tz="UTC")
    table = pd.DataFrame({"time": time, "system": "db", "metric": "latency", "value": 1.0})
    windows = {"before": (time[0], time[30]), "during": (time[30], time[59])}
    with pytest.raises(InputError, match="metrics: row 3: no system"):
        affected.find(metrics=table.assign(system=table["system"].where(table.index != 3)), **windows)
    with pytest.raises(InputError, match=r"column 'value' is .*; wanted are numbers"):
        affected.find(metrics=table.assign(value="much"), **windows)
    for graph in (nx.Graph([("db", "web")]), nx.DiGraph([(1, 2)])):
        with pytest.raises(InputError, match=r"graph: wanted a networkx\.DiGraph of names"):
            affected.find(metrics=table, graph=graph, **windows)
    day = pd.Timedelta("365D")
    with pytest.raises(InputError, match=r"no row lies in the window before \(2024-03-01 00:00 UTC"):
        affected.find(metrics=table, before=(time[0] - day, time[30] - day), during=windows["during"])

import json
import math
import re

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import ruptures
from hypothesis import given, settings, strategies as st

from rca import onset, schema
from rca.errors import InputError, UnknownName
from rca.systems import cascade, signals, timeline
from rca.systems.signals import counts, family, ramp, silence
from rca.systems.signals.drain import ANY, Drain, mask

START = pd.Timestamp("2025-03-03T00:00Z")
STEP = pd.Timedelta("5min")
MINUTE = pd.Timedelta("1min")


def stamps(rows, step=STEP):
    return pd.date_range(START, periods=rows, freq=step)


def windows(before, rows, step=STEP):
    return (START, START + before * step), (START + before * step, START + rows * step)


def series(values, system="db", metric="latency_ms"):
    return pd.DataFrame(
        {"time": stamps(len(values)), "system": system, "metric": metric, "value": values, "source": "x"}
    )


def log(times, message="ok", system="api", severity=9, source="logs"):
    rows = pd.DataFrame({"time": pd.DatetimeIndex(times, dtype="datetime64[ns, UTC]"), "message": message})
    return rows.assign(kind="log", system=system, severity=severity, source=source, count=1)


def noise(rows, seed=1, level=100.0):
    return level + np.random.default_rng(seed).normal(size=rows)


def step(rows, at, size, seed=1):
    return noise(rows, seed) + size * (np.arange(rows) >= at)


# Metrics


def test_a_step_is_one_signal_with_its_time_interval_levels_and_p_value():
    found = signals.metric_onsets(series(step(400, 320, 12)), windows(300, 400)).iloc[0]
    assert (found["verdict"], found["onset"]) == ("signal", stamps(400)[320])
    assert found["earliest"] <= stamps(400)[320] <= found["latest"]
    assert found["latest"] - found["earliest"] <= 6 * STEP
    assert found["before"] == pytest.approx(100, abs=0.3) and found["during"] == pytest.approx(112, abs=0.5)
    assert found["p_value"] == found["p_adjusted"] < 1e-6


def test_time_and_p_value_are_those_of_the_common_search():
    table = series(step(400, 310, 5))
    before, during = windows(300, 400)
    alone = onset.find(pd.Series(table["value"].to_numpy(), stamps(400)), before=before, during=during)
    found = signals.metric_onsets(table, (before, during)).iloc[0]
    assert (found["onset"], found["until"], found["p_value"]) == (alone.start, alone.until, alone.p_value)


def test_every_series_that_moved_in_a_trace_is_a_signal_with_about_the_same_onset():
    rng = np.random.default_rng(8)
    parts = [series(noise(300, seed), f"s{seed}", "m") for seed in range(8)]
    parts += [
        series(step(300, int(rng.integers(230, 280)), float(rng.choice([2.5, 4, 9])), seed), f"s{seed}", "m")
        for seed in range(8, 20)
    ]
    table = pd.concat(parts, ignore_index=True)
    graph = nx.DiGraph([(f"s{end}", "s19") for end in range(19)])
    before, during = windows(200, 300)
    trace = cascade.trace(table, graph, symptom=("s19", "m"), before=before, during=during)
    ours = signals.metric_onsets(table, (before, during), symptom=("s19", "m")).set_index("system")
    moved = trace.deviations.dropna(subset="onset").set_index("system")
    assert len(moved) >= 6
    assert (ours.loc[moved.index, "verdict"] == "signal").all()
    sampling = table["time"].drop_duplicates().sort_values().diff().median()
    assert ((ours.loc[moved.index, "onset"] - moved["onset"]).abs() <= 3 * sampling).all()


@pytest.mark.parametrize("size", [5, 15])
def test_a_ramp_is_called_one_and_its_interval_reaches_back_to_its_beginning(size):
    hits = []
    for seed in range(25):
        at = 310 + seed
        values = noise(400, seed) + size * np.clip((np.arange(400) - at) / 30, 0, 1)
        found = signals.metric_onsets(series(values), windows(300, 400)).iloc[0]
        hits.append((found["shape"] == "ramp", found["earliest"] <= stamps(400)[at] <= found["latest"]))
    assert np.mean(hits, axis=0).min() >= 0.8


def test_steps_are_not_called_ramps_and_their_interval_covers_the_truth():
    hits = []
    for seed in range(40):
        at = 305 + seed
        found = signals.metric_onsets(series(step(420, at, 8, seed)), windows(300, 420)).iloc[0]
        hits.append((found["shape"] == "step", found["earliest"] <= stamps(420)[at] <= found["latest"]))
    assert np.mean(hits, axis=0).min() >= 0.9


def test_steps_lie_where_ruptures_puts_them():
    for seed, size in enumerate([3, 4, 5, 8, 12, -4, -9]):
        values = step(260, 200 + 5 * seed, size, seed)
        found = signals.metric_onsets(series(values), windows(190, 260)).iloc[0]
        point = ruptures.Binseg(model="l2", jump=1, min_size=2).fit(values).predict(n_bkps=1)[0]
        assert abs((found["onset"] - stamps(260)[point]) / STEP) <= 1


def test_a_ramps_beginning_is_found_by_the_least_squares_of_all_beginnings():
    rng = np.random.default_rng(3)
    values = rng.normal(size=60) * 0.3 + 6 * np.clip((np.arange(60) - 24) / 20, 0, 1)
    rest = {}  # the slow oracle: every beginning and end, by numpy's own least squares
    for begin in range(1, 36):
        for end in range(begin + 1, 60):
            shape = np.clip((np.arange(60) - begin + 1) / (end - begin), 0, 1)
            design = np.column_stack([np.ones(60), shape])
            rest[begin] = min(rest.get(begin, math.inf), float(np.linalg.lstsq(design, values, rcond=None)[1][0]))
    first, shape = ramp.begin(values, 0, 34, 59)
    best = min(rest, key=rest.get)
    assert shape == "ramp"
    assert best - 4 <= first + 1 <= best
    assert abs(best - 24) <= 2


@given(st.integers(0, 10**6), st.integers(-(10**6), 10**6), st.sampled_from([0.001, 1.0, 1000.0]))
@settings(max_examples=20, deadline=None)
def test_shifting_the_clock_or_changing_the_unit_changes_no_verdict(seed, minutes, unit):
    table = series(np.round(step(150, 120, 6, seed), 3))
    before, during = windows(100, 150)
    plain = signals.metric_onsets(table, (before, during)).iloc[0]
    lag = minutes * MINUTE
    moved = table.assign(time=table["time"] + lag, value=table["value"] * unit)
    found = signals.metric_onsets(moved, [(start + lag, end + lag) for start, end in (before, during)]).iloc[0]
    assert found["verdict"] == plain["verdict"] == "signal"
    assert found["onset"] - lag == plain["onset"]


def test_p_values_are_adjusted_for_the_number_of_metrics_and_demand_is_a_family_of_its_own():
    parts = [series(noise(200, seed), f"s{seed}", "m") for seed in range(5)]
    parts += [series(step(200, 170, 9, seed), f"s{seed}", "requests") for seed in range(5, 7)]
    found = signals.metric_onsets(pd.concat(parts), windows(150, 200), {"requests": "neither"})
    assert found["m"].tolist() == [5] * 5 + [2] * 2
    for part in (found[:5], found[5:]):
        assert part["p_adjusted"].tolist() == pytest.approx(family.holm(part["p_value"]).tolist())
    assert (found["verdict"] == ["nothing"] * 5 + ["signal"] * 2).all()


def test_holm_is_as_in_rs_p_adjust():
    # R 4: p.adjust(c(0.001, 0.01, 0.02, 0.04, 0.5), "holm")
    assert family.holm([0.02, 0.5, 0.001, 0.04, 0.01]).tolist() == pytest.approx([0.06, 0.5, 0.005, 0.08, 0.04])


def test_false_alarms_stay_within_what_is_stated():
    parts = [series(noise(260, seed), f"s{seed:03d}", "m") for seed in range(150)]
    found = signals.metric_onsets(pd.concat(parts), windows(200, 260))
    assert (found["verdict"] == "signal").sum() <= 1
    assert (found["p_value"] < 0.05).sum() <= 15  # 7.5 are expected at most


def test_what_cannot_be_judged_is_listed_with_its_reason_and_never_dropped():
    few = series(noise(300), "few")
    few = few[(few["time"] >= stamps(300)[195]) | (few.index == 3)]
    gone = series(noise(300), "gone")[:150]
    late = series(noise(300), "late")[210:]
    gaps = series(noise(300), "gaps")
    gaps = gaps[(gaps.index < 200) | (gaps.index % 10 == 0)]
    text = series(np.full(300, np.nan), "none")
    table = pd.concat(
        [
            few[few.index < 198],
            few[few.index >= 200],
            gone,
            late,
            gaps,
            text,
            series(np.full(300, 7.0), "stuck"),
            series(noise(300), "fine"),
        ]
    )
    found = signals.metric_onsets(table, windows(200, 300)).set_index("system")
    assert len(found) == 7
    assert found["verdict"].to_dict() == dict.fromkeys(
        ["few", "gone", "late", "gaps", "none", "stuck"], "not judged"
    ) | {"fine": "nothing"}
    notes = found["note"].to_dict()
    assert "only 4 values before" in notes["few"]
    assert "no value in the window during; the last one is of 2025-03-03 12:25" in notes["gone"]
    assert (
        notes["late"] == "no value in the window before" and notes["none"] == "no value in the window before and during"
    )
    assert "10 values in the incident window, of about 100" in notes["gaps"]
    assert "constant at 7" in notes["stuck"]


def test_a_gap_before_the_onset_widens_the_interval_over_it():
    values = series(step(300, 230, 10))
    holed = values[(values.index < 215) | (values.index >= 240)]
    found = signals.metric_onsets(holed, windows(200, 300)).iloc[0]
    assert found["earliest"] <= stamps(300)[214] and found["onset"] == stamps(300)[240]
    assert "gap" in found["note"]


def test_a_gap_widens_the_interval_of_a_counter_too():
    increments = np.random.default_rng(2).uniform(5, 15, 300) * np.where(np.arange(300) >= 230, 5, 1)
    values = series(np.cumsum(increments))
    found = signals.metric_onsets(values[(values.index < 215) | (values.index >= 240)], windows(200, 300)).iloc[0]
    assert found["earliest"] <= stamps(300)[214] and "rate per second" in found["note"]
    assert found["before"] == pytest.approx(10 / 300, rel=0.1)


def test_slow_swings_widen_the_interval_of_a_ramp():
    hits = []
    for seed in range(150):
        values = np.random.default_rng(seed).normal(size=200)
        for row in range(1, 200):
            values[row] = 0.9 * values[row - 1] + 0.19**0.5 * values[row]
        first, _ = ramp.begin(values + 10 * np.clip((np.arange(200) - 110) / 30, 0, 1), 0, 125, 199)
        hits.append(first <= 110)
    assert np.mean(hits) >= 0.9  # as if the noise were independent, it would be 0.84


def test_lone_spikes_before_a_ramp_do_not_move_its_beginning():
    values = noise(400) + 8 * np.clip((np.arange(400) - 330) / 30, 0, 1)
    plain = signals.metric_onsets(series(values), windows(300, 400)).iloc[0]
    values[[290, 300, 310]] += 60
    found = signals.metric_onsets(series(values), windows(300, 400)).iloc[0]
    assert found["shape"] == plain["shape"] == "ramp"
    assert abs((found["earliest"] - plain["earliest"]) / STEP) <= 4


def test_a_shift_that_was_there_at_the_first_value_has_no_earliest_time():
    values = noise(300) + 10 * (np.arange(300) < 60)
    during, before = windows(60, 300)
    found = signals.metric_onsets(series(values), (before, during)).iloc[0]
    assert found["verdict"] == "signal" and pd.isna(found["earliest"]) and found["onset"] == START
    assert "begun before" in found["note"]
    event = signals.signals(schema.empty("events"), series(values), (before, during)).iloc[0]
    assert pd.isna(event["time_earliest"]) and event["time"] == START


def test_unknown_names_and_wrong_windows_are_refused():
    table = series(noise(50))
    with pytest.raises(UnknownName, match="latency_ms"):
        signals.metric_onsets(table, windows(30, 50), {"latency": "up"})
    with pytest.raises(UnknownName, match="'up'"):
        signals.metric_onsets(table, windows(30, 50), {"latency_ms": "upp"})
    with pytest.raises(UnknownName, match="did you mean 'db latency_ms'"):
        signals.metric_onsets(table, windows(30, 50), symptom=("db", "latency"))
    with pytest.raises(InputError, match="overlap"):
        signals.rate_changes(schema.empty("events"), (windows(30, 50)[0], windows(10, 50)[0]))
    with pytest.raises(InputError, match="'value' is missing"):
        signals.metric_onsets(table.drop(columns="value"), windows(30, 50))
    with pytest.raises(InputError, match="a pair"):
        signals.new_templates(schema.empty("events"), windows(30, 50)[:1])


# Texts


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("took 35ms of 1,200.5 s", "took <num>ms of <num> s"),
        ("from 10.1.2.3:8080 to ::1 and fe80::1:2", "from <ip> to ::<num> and <ip>"),
        ("id=550e8400-e29b-41d4-a716-446655440000;", "id=<uuid>;"),
        ("2025-11-18 11:20:00,123 ERROR", "<time> ERROR"),
        ("at 0xDEADbeef, object 9fceb02d0ae5", "at <hex>, object <hex>"),
        ("node12 v1.2.3 utf8 s3", "node12 v1.2.3 utf8 s3"),
        ("deadbeef facade", "deadbeef facade"),
        ("-5 +3.1e-7 (7)", "<num> <num> (<num>)"),
        ("no numbers", "no numbers"),
    ],
)
def test_masks(text, masked):
    assert mask(text) == masked


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_masking_twice_is_masking_once(text):
    assert mask(mask(text)) == mask(text)


def test_masking_takes_linear_time_and_keeps_a_bounded_text():
    for text in ("a:" * 10**6, "1" * 10**6, "0123456789abcdef-" * 10**5, "1:" * 10**6):
        assert len(mask(text)) <= 10_000


def test_words_that_differ_become_wildcards_and_the_example_of_the_paper_is_reproduced():
    # He et al. 2017, section III: one log group with the event "Receive from node <*>".
    drain = Drain(depth=4, similarity=0.5)
    one = drain.add("Receive from node alpha")
    assert drain.add("Receive from node beta") is one
    assert one.text == "Receive from node <*>" and one.count == 2
    assert drain.add("Receive from node") is not one
    assert drain.add("Send to the moon") is not one


lines = st.lists(st.lists(st.sampled_from(["a", "b", "c", "x1", ANY, "ü"]), max_size=5).map(" ".join), max_size=60)


@given(lines, st.integers(3, 6), st.sampled_from([0.3, 0.5, 1.0]), st.integers(2, 5))
@settings(max_examples=150, deadline=None)
def test_every_line_joins_a_template_that_it_fits_and_the_same_lines_give_the_same_ones(
    texts, depth, similarity, children
):
    drains = [Drain(depth=depth, similarity=similarity, children=children) for _ in range(2)]
    joined = [[drain.add(text) for text in texts] for drain in drains]
    assert [one.text for one in joined[0]] == [one.text for one in joined[1]]
    assert sum(one.count for one in drains[0].templates) == len(texts)
    for text, template in zip(texts, joined[0], strict=True):
        words = text.split()
        assert len(words) == len(template.words)
        assert all(old in (ANY, new) for old, new in zip(template.words, words, strict=True))


def test_the_number_of_templates_is_bounded_and_what_is_left_out_is_counted():
    drain = Drain(limit=10)
    for number in range(100):
        drain.add(" ".join(["w"] * (number + 1)), 2)
    assert len(drain.templates) == 10 and drain.left_out == 180


def healthy_log(rows=600):
    time = stamps(rows, MINUTE)
    return log(time, [f"served {n} rows to user{n % 7}" if n % 3 else f"cache hit for key k{n}" for n in range(rows)])


def test_texts_that_are_all_different_are_given_up_in_bounded_time():
    rng = np.random.default_rng(0)
    drain = Drain(similarity=0.5, limit=2000)
    for words in rng.integers(0, 26**3, (5000, 9)):
        drain.add("said " + " ".join("".join(chr(97 + n // 26**k % 26) for k in range(3)) for n in words))
    assert len(drain.templates) == 200 and drain.left_out == 4800


def test_the_first_of_new_errors_is_found_with_time_count_and_system():
    table = healthy_log()
    errors = log(
        stamps(600, MINUTE)[[500, 520, 521]], [f"connection to 10.0.0.{n} refused" for n in range(3)], severity=17
    )
    found = signals.new_templates(pd.concat([errors[::-1], table]), windows(480, 600, MINUTE))
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["system"], row["text"], row["count"], row["verdict"]) == (
        "api",
        "connection to <ip> refused",
        3,
        "signal",
    )
    assert (row["first"], row["last"]) == (stamps(600, MINUTE)[500], stamps(600, MINUTE)[521])
    assert row["example"] == "connection to 10.0.0.0 refused" and row["is_error"] and row["usual"] == 0
    # three of the 120 minutes of the incident, none in the 480 before, at a constant rate
    assert row["p_value"] == pytest.approx((120 / 600) ** 3)
    assert row["m"] == 3 and row["p_adjusted"] == pytest.approx(3 * row["p_value"])


def test_an_error_that_differs_in_one_word_from_a_settled_text_is_not_swallowed_by_it():
    table = healthy_log()
    table["severity"] = pd.array([pd.NA] * len(table), dtype="Int64")
    table.loc[550, "message"] = "served 550 rows to nobody: failed"
    table.loc[560, "message"] = "cache miss for key k560"
    found = signals.new_templates(table, windows(480, 600, MINUTE)).set_index("text")
    assert found["verdict"].to_dict() == {
        "served <num> rows to nobody: failed": "signal",
        "cache miss for key k560": "nothing",
    }


def test_a_frequent_new_text_without_error_is_a_signal_by_its_p_value():
    table = healthy_log()
    table.loc[500:540:2, "message"] = "falling back to the old model"
    found = signals.new_templates(table, windows(480, 600, MINUTE)).iloc[0]
    assert not found["is_error"] and found["verdict"] == "signal" and found["p_adjusted"] < 1e-6
    burst = pd.concat([healthy_log(), log([stamps(600, MINUTE)[500]] * 30, "falling back to the old model")])
    found = signals.new_templates(burst, windows(480, 600, MINUTE)).iloc[0]
    assert found["count"] == 30 and found["parts"] == 1 and found["verdict"] == "nothing"


def test_what_is_new_when_nothing_is_wrong_is_counted():
    table = healthy_log()
    for row in (410, 420, 430, 550):
        table.loc[row, ["message", "severity"]] = ["rare " + "very " * (row // 10) + "event", 17]
    found = signals.new_templates(table, windows(480, 600, MINUTE))
    assert len(found) == 1 and found["usual"].tolist() == [3]


def test_a_system_with_hardly_any_lines_before_is_not_judged():
    table = pd.concat([healthy_log(), log(stamps(600, MINUTE)[470:], "boom", system="new", severity=17)])
    found = signals.new_templates(table, windows(480, 600, MINUTE))
    assert found[["system", "verdict"]].to_numpy().tolist() == [["new", "not judged"]]
    assert "only 10 log records before" in found["note"][0]


def test_records_past_the_limit_are_told_not_dropped():
    table = healthy_log()
    table["message"] = ["w " * (n % 50 + 1) for n in range(len(table))]
    found = signals.new_templates(table, windows(480, 600, MINUTE), limit=10)
    assert found["verdict"].tolist() == ["not judged"] and "more than 10 texts" in found["note"][0]
    assert found["count"][0] == sum(n % 50 >= 10 for n in range(480, 600))


@given(st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_rows_does_not_matter(random):
    table = healthy_log(200)
    table.loc[170:180, ["message", "severity"]] = ["out of memory", 21]
    order = list(range(200))
    random.shuffle(order)
    first, second = (signals.new_templates(one, windows(150, 200, MINUTE)) for one in (table, table.iloc[order]))
    pd.testing.assert_frame_equal(first, second)


# Rates


def poisson(rate, rows, seed):
    rng = np.random.default_rng(seed)
    amounts = rng.poisson(rate, rows)
    at = np.repeat(stamps(rows, MINUTE).as_unit("ns").asi8, amounts) + rng.integers(0, 60 * 10**9, amounts.sum())
    return pd.to_datetime(np.sort(at), utc=True)


def heartbeat(rows):
    return log(stamps(rows, MINUTE), system="other")


def test_the_chance_is_the_exact_conditional_binomial_one():
    from scipy.stats import binomtest

    base = np.tile([1.0, 1.0, 1.0, 0.0], 25)
    for amount in (0, 1, 3, 6, 9):
        ours = float(counts._chances(np.array([float(amount)]), base, 4, 1.0, None)[0])
        sides = [binomtest(amount, 75 + amount, 4 / 104, alternative=way).pvalue for way in ("greater", "less")]
        assert ours == pytest.approx(min(sides))


def test_more_errors_are_found_with_time_interval_and_rate():
    rows = 1440 + 240
    amounts = np.where(np.arange(rows) >= 1500, 2.0, 0.2)
    table = log(poisson(amounts, rows, 1), severity=17)
    found = signals.rate_changes(pd.concat([table, heartbeat(rows)]), windows(1440, rows, MINUTE))
    row = found[found["system"] == "api"].iloc[0]
    assert (row["kind"], row["severity"], row["verdict"], row["change"]) == ("log", "error", "signal", "more")
    assert row["earliest"] <= stamps(rows, MINUTE)[1500] <= row["latest"] <= row["earliest"] + 30 * MINUTE
    assert row["before"] == pytest.approx(12, rel=0.2) and row["during"] == pytest.approx(120, rel=0.2)
    assert row["count_before"] == (table["time"] < stamps(rows, MINUTE)[1440]).sum()
    bins = np.bincount(((table["time"] - START) // (2 * MINUTE)).to_numpy(), minlength=840)
    alone = counts.strongest(bins, slice(0, 720), slice(720, 839), 0)
    assert row["p_value"] == 2 * alone.p_value  # one of two tests
    assert (found["m"] == 2).all()


def test_a_large_rise_is_found_in_spite_of_a_daily_rhythm():
    rows = 1680
    amounts = 3 * (1 + 0.7 * np.sin(np.arange(rows) * 2 * np.pi / 1440)) * np.where(np.arange(rows) >= 1550, 20, 1)
    table = pd.concat([log(poisson(amounts, rows, 4)), heartbeat(rows)])
    row = signals.rate_changes(table, windows(1440, rows, MINUTE)).iloc[0]
    assert (row["system"], row["verdict"], row["change"]) == ("api", "signal", "more")
    assert row["earliest"] <= stamps(rows, MINUTE)[1550] <= row["latest"]


def test_a_system_that_stops_is_silent_from_its_last_record_on():
    rows = 1680
    time = poisson(np.full(rows, 1.0), rows, 2)
    stop = stamps(rows, MINUTE)[1550]
    table = pd.concat([log(time[time < stop]), log(time[time < stop][::5], severity=17), heartbeat(rows)])
    found = signals.rate_changes(table, windows(1440, rows, MINUTE)).set_index(["system", "kind", "severity"])
    row = found.loc[("api", "all", "")]
    assert (row["change"], row["onset"]) == ("silent", time[time < stop][-1])
    assert row["earliest"] <= stop <= row["latest"] and row["latest"] - row["earliest"] < 10 * MINUTE
    assert row["note"] == "" and row["p_adjusted"] < 1e-6
    events = signals.as_events(signals.metric_onsets(schema.empty("metrics"), windows(1440, rows, MINUTE)),
                               signals.new_templates(schema.empty("events"), windows(1440, rows, MINUTE)), found.reset_index())  # fmt: skip
    assert len(events) == 1 and events["message"][0].startswith("api wrote no records from ")


def test_an_export_that_ends_for_all_is_no_silence_and_a_lone_one_is_said_to_be_ambiguous():
    rows = 1680
    times = stamps(rows, MINUTE)
    both = pd.concat([log(times[:1500], system="a"), log(times[:1500], system="b")])
    assert (signals.rate_changes(both, windows(1440, rows, MINUTE))["verdict"] == "nothing").all()
    lone = pd.concat([log(times[:1500], system="a", source="one"), log(times, system="b", source="two")])
    found = signals.rate_changes(lone, windows(1440, rows, MINUTE)).set_index("system")
    assert found.loc["a", "change"] == "silent" and "look the same" in found.loc["a", "note"]


def test_an_export_that_begins_late_is_not_held_against_the_empty_time_before():
    rows = 1680
    table = log(poisson(np.full(rows, 1.0), rows, 3)).assign(source="x")
    late = table[table["time"] >= stamps(rows, MINUTE)[1200]]
    found = signals.rate_changes(pd.concat([late, heartbeat(rows)]), windows(1440, rows, MINUTE)).set_index("system")
    assert found.loc["api", "verdict"] == "nothing"


def test_a_system_without_records_before_or_with_too_few_is_not_judged():
    rows = 1680
    table = pd.concat(
        [
            log(stamps(rows, MINUTE)[1500:1600], system="new"),
            log(stamps(rows, MINUTE)[[3, 1500]], system="rare"),
            heartbeat(rows),
        ]
    )
    found = signals.rate_changes(table, windows(1440, rows, MINUTE)).set_index("system")
    assert found["verdict"].to_dict() == {"new": "not judged", "rare": "not judged", "other": "nothing"}
    assert (
        "no records before" in found.loc["new", "note"] and "too few records: 1 before, 1" in found.loc["rare", "note"]
    )


@pytest.mark.parametrize("kind", ["poisson", "rhythm", "bursts", "sparse"])
def test_unchanged_rates_seldom_look_changed(kind):
    rows, alarms = 1680, 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rhythm = 2 * (1 + 0.7 * np.sin(np.arange(rows) * 2 * np.pi / 480 + seed))
        bursts = np.where(rng.random(rows) < 0.1, rng.geometric(0.05, rows), 0)
        amounts = {"poisson": np.full(rows, 1.5), "rhythm": rhythm, "sparse": np.full(rows, 0.01)}.get(kind, bursts)
        table = log(poisson(amounts, rows, seed))
        found = signals.rate_changes(pd.concat([table, heartbeat(rows)]), windows(1440, rows, MINUTE))
        alarms += int((found["verdict"] == "signal").any())
    assert alarms <= 2  # 0.4 are expected at most


def test_a_lone_burst_is_no_change_of_rate():
    rows = 1680
    table = pd.concat(
        [log(poisson(np.full(rows, 0.5), rows, 5)), log([stamps(rows, MINUTE)[1500]] * 200), heartbeat(rows)]
    )
    found = signals.rate_changes(table, windows(1440, rows, MINUTE)).set_index("system")
    assert found.loc["api", "verdict"] == "nothing" and found.loc["api", "count_during"] > 200


def test_folded_records_count_as_often_as_they_came():
    rows = 1680
    amounts = np.where(np.arange(rows) >= 1500, 9, 1)
    folded = log(stamps(rows, MINUTE)).assign(count=amounts)
    loose = folded.loc[folded.index.repeat(amounts)].assign(count=1)
    first, second = (signals.rate_changes(one, windows(1440, rows, MINUTE)) for one in (folded, loose))
    pd.testing.assert_frame_equal(first, second)
    assert first["verdict"].tolist() == ["signal"]


def test_silence_is_judged_by_the_tail_of_the_healthy_distances():
    # Exponential distances of mean 1: the chance of one of 1000 over 20 is 1000 exp(-20) (union bound).
    rng = np.random.default_rng(6)
    chances = []
    for _ in range(60):
        ns = np.cumsum(rng.exponential(1e9, 20_000)).astype("int64")
        healthy = ns[ns < 10_000 * 10**9]
        ended = silence.longest(healthy, (0, 10_000 * 10**9), (10_000 * 10**9 - 10**9, 10_020 * 10**9))
        chances.append(ended.p_value)
    expected = 21 / 10_000 * 10_000 * math.exp(-20)
    assert np.median(np.log10(chances)) == pytest.approx(math.log10(expected), abs=1.5)
    regular = np.arange(100, dtype="int64") * 10**9
    assert silence.longest(regular[:10], (0, 5 * 10**9), (5 * 10**9, 20 * 10**9)) is None


records = st.lists(
    st.tuples(
        st.integers(-50, 350),
        st.sampled_from(["a", "b"]),
        st.sampled_from([None, 9, 17]),
        st.sampled_from(["x", "y failed 1"]),
    ),
    max_size=60,
)


@given(records, st.integers(0, 100), st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_the_records_every_series_has_a_row_and_a_reason_or_a_verdict(rows, gap, reverse):
    table = log(
        [START + n * MINUTE for n, _, _, _ in rows], [text for *_, text in rows], [name for _, name, _, _ in rows]
    )
    table["severity"] = pd.array([level for _, _, level, _ in rows], dtype="Int64")
    limits = windows(150, 300, MINUTE)
    limits = (limits[0], (limits[1][0] + gap * MINUTE, limits[1][1]))
    limits = limits[::-1] if reverse else limits
    found = signals.rate_changes(table, limits)
    low, high = min(span[0] for span in limits), max(span[1] for span in limits)
    inside = table[(table["time"] >= low) & (table["time"] < high)]
    assert set(found["system"]) == set(inside["system"])
    assert ((found["note"] != "") | (found["verdict"] != "not judged")).all()
    assert (found["p_adjusted"].dropna().between(0, 1)).all()
    signals.as_events(
        signals.metric_onsets(schema.empty("metrics"), limits), signals.new_templates(table, limits), found
    )


# Events


def everything():
    rows = 600
    metrics = pd.concat([series(step(rows, 500, 12)), series(noise(rows), metric="queue")])
    metrics["time"] = START + (metrics["time"] - START) / 5
    table = pd.concat([healthy_log(), log(stamps(rows, MINUTE)[505:560], "connection to db refused", severity=17)])
    table = pd.concat([table, log(stamps(rows, MINUTE)[:510], "tick", "worker"), heartbeat(rows)], ignore_index=True)
    return timeline_events(table), metrics, windows(480, rows, MINUTE)


def timeline_events(table):
    ids = [f"e{number}" for number in range(len(table))]
    return schema.check(table.assign(event_id=ids, severity=table["severity"].astype("Int64")), "events")


def test_signals_are_events_of_the_schema_and_merge_into_the_timeline():
    events, metrics, limits = everything()
    found = signals.signals(events, metrics, limits)
    assert list(found.columns) == list(schema.COLUMNS["events"])
    assert (found["kind"] == "signal").all() and (found["source"] == "analysis").all()
    assert found["event_id"].is_unique and found["time"].is_monotonic_increasing
    assert {"latency_ms", "log error", "log info"} <= set(found["ref"])
    for text, row in zip(found["attributes"], found.itertuples(), strict=True):
        item = json.loads(text)
        assert {"metric", "method", "p_value", "p_single", "m", "correction", "before", "during"} <= set(item)
        assert item["p_single"] <= item["p_value"] <= 1 and str(item["m"]) in row.message
        assert row.time_earliest <= row.time <= row.time_latest
    merged = timeline.merge(events, found)
    assert len(merged) == len(events) + len(found)
    again = signals.signals(merged, metrics, limits)
    assert again["event_id"].tolist() == found["event_id"].tolist()
    assert len(timeline.merge(merged, again)) == len(merged)


def test_messages_say_what_changed_in_plain_words_with_numbers():
    events, metrics, limits = everything()
    found = signals.signals(events, metrics, limits)
    texts = "\n".join(found["message"])
    assert re.search(
        r"latency_ms of db rose from (99\.9\d?|100(\.\d)?) to 11[12](\.\d)? \(\d+(\.\d+)? robust standard", texts
    )
    assert "new error in the logs of api, 55 times: connection to db refused" in texts
    assert "worker wrote no info log records from 2025-03-03 08:29 UTC on" in texts


def test_inputs_are_not_changed_and_empty_ones_give_nothing():
    events, metrics, limits = everything()
    copies = events.copy(), metrics.copy()
    signals.signals(events, metrics, limits)
    pd.testing.assert_frame_equal(events, copies[0])
    pd.testing.assert_frame_equal(metrics, copies[1])
    assert signals.signals(schema.empty("events"), schema.empty("metrics"), limits).empty


def test_the_list_of_what_was_not_judged_is_whole():
    events, metrics, limits = everything()
    stuck = series(np.full(600, 3.0), "stuck").assign(time=stamps(600, MINUTE))
    new = timeline_events(log(stamps(600, MINUTE)[590:], "hello", "fresh"))
    tables = (
        signals.metric_onsets(pd.concat([metrics, stuck]), limits),
        signals.new_templates(pd.concat([events, new]), limits),
        signals.rate_changes(pd.concat([events, new]), limits),
    )
    listed = signals.unjudged(*tables)
    assert len(listed) == sum((table["verdict"] == "not judged").sum() for table in tables)
    assert {("onset", "stuck"), ("new text", "fresh"), ("rate", "fresh")} <= set(
        zip(listed["question"], listed["system"], strict=True)
    )
    assert (listed["reason"] != "").all()

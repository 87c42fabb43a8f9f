"""Clocks: anchors, offsets with intervals, networks, corrections, jumps."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from rca import schema, times
from rca.errors import InputError, UnknownName
from rca.systems import clocks
from rca.systems.clocks.line import fit, step

START = times.parse("2025-11-18T00:00:00Z")
SIX_YEARS = pd.Timedelta("2191D")
TRACE = "5b8aa5a2d2c872e8321cf37308d69df2"


def table(ahead, every="10min", first=""):
    """Anchors at regular odd moments; `ahead` in seconds."""
    b = pd.Series(START + pd.Timedelta(every) * np.arange(len(ahead)) + pd.Timedelta("123456789ns"))
    return pd.DataFrame({"time_a": b + pd.to_timedelta(np.asarray(ahead), unit="s"), "time_b": b, "first": first})


def noise(count, seed=1, scale=0.2):
    return np.random.default_rng(seed).normal(0, scale, count)


def one(frame, **options):
    return clocks.skew(frame, **options).iloc[0]


def events(*rows):
    return schema.check(pd.DataFrame([{"kind": "log", "message": "m", **row} for row in rows]), "events").assign(
        event_id=[f"e{number}" for number in range(len(rows))]
    )


def at(text):
    return times.parse(f"2025-11-18T{text}Z")


# The line


def test_without_outliers_the_line_is_near_least_squares_with_its_error():
    x, y = np.arange(200.0), 3 + 0.5 * np.arange(200.0) + noise(200)
    known = stats.linregress(x - x.mean(), y)
    found = fit(x, y)
    assert found.slope == pytest.approx(known.slope, rel=1e-3)
    assert found.slope_error == pytest.approx(known.stderr, rel=0.1)
    at_mean = found.height + found.slope * (x.mean() - found.middle)
    assert at_mean == pytest.approx(known.intercept, abs=known.intercept_stderr / 3)
    assert found.height_error == pytest.approx(known.intercept_stderr, rel=0.1)


def test_of_few_points_the_line_is_that_of_least_squares():
    x, y = np.array([0.0, 1, 2, 3, 4]), np.array([1.0, 2, 2, 5, 4])
    known = stats.linregress(x - 2, y)
    found = fit(x, y)
    assert (found.height, found.slope) == pytest.approx((known.intercept, known.slope))
    assert (found.height_error, found.slope_error) == pytest.approx((known.intercept_stderr, known.stderr))


def test_a_fifth_of_wrong_matches_hardly_moves_the_line():
    x, y = np.arange(50.0), noise(50)
    wrong = y.copy()
    wrong[::5] += 1e4
    found = fit(x, wrong)
    assert (~found.kept).sum() == 10
    assert abs(found.height - fit(x, y).height) < 0.1


def test_noise_has_no_step_and_drift_is_none():
    assert step(np.arange(60.0), 5 * np.arange(60.0) + noise(60)) is None


# Skew of a pair


@pytest.mark.parametrize("offset", [pd.Timedelta("-3s"), pd.Timedelta("5min"), SIX_YEARS, -SIX_YEARS])
def test_an_offset_of_any_size_is_found_to_a_tenth_of_a_second_and_proposed(offset):
    row = one(table(noise(40)).assign(time_a=lambda frame: frame["time_a"] + offset))
    assert row["low"] <= offset <= row["high"]
    assert row["high"] - row["low"] < pd.Timedelta("600ms")
    assert row["proposal"]
    assert row["verdict"] == "skew"


@given(st.integers(-(10**17), 10**17), st.integers(-(10**16), 10**16))
@settings(max_examples=25, deadline=None)
def test_moving_a_clock_moves_the_offset_by_the_same_nanoseconds(by, both):
    frame = table(noise(12))
    before = one(frame)
    moved = frame.assign(
        time_a=frame["time_a"] + pd.Timedelta(by + both, unit="ns"),
        time_b=frame["time_b"] + pd.Timedelta(both, unit="ns"),
    )
    after = one(moved)
    for name in ("offset", "low", "high"):
        assert after[name] - before[name] == pd.Timedelta(by, unit="ns")
    assert after["reference"] - before["reference"] == pd.Timedelta(both, unit="ns")


def test_swapping_the_clocks_turns_the_sign():
    frame = table(5 + noise(30))
    there = one(frame)
    back = one(frame.rename(columns={"time_a": "time_b", "time_b": "time_a"}))
    assert abs(there["offset"] + back["offset"]) < pd.Timedelta("1ms")
    assert abs(there["low"] + back["high"]) < pd.Timedelta("1ms")


def test_drift_is_found_in_parts_per_million_and_carried_to_another_time():
    seconds = np.arange(60) * 600.0
    frame = table(10 + 2e-4 * seconds + noise(60, scale=0.05))
    row = one(frame)
    assert row["drift_low"] <= 200 <= row["drift_high"]
    assert row["drift_high"] - row["drift_low"] < 10
    later = START + pd.Timedelta("5D")
    far = one(frame, at=later)
    assert far["low"].total_seconds() <= 10 + 2e-4 * 5 * 86400 <= far["high"].total_seconds()
    assert far["high"] - far["low"] > row["high"] - row["low"]


def test_the_interval_covers_the_truth_and_is_about_as_wide_as_gaussian_theory_allows():
    covered, widths = 0, []
    for seed in range(60):
        row = one(table(7 + noise(40, seed, 0.3)))
        covered += row["low"] <= pd.Timedelta("7s") <= row["high"]
        widths.append((row["high"] - row["low"]).total_seconds() / (2 * 1.96 * 0.3 / 40**0.5))
    assert covered >= 54
    assert 0.9 < np.median(widths) < 1.5
    assert np.percentile(widths, 95) < 4


def test_right_clocks_are_left_alone():
    assert not any(one(table(noise(n, seed)))["proposal"] for n in (5, 10, 40) for seed in range(20))


def covers_and_widths(delay, count, runs, unit=None):
    """How many intervals hold zero, and their widths in the least that known noise would allow."""
    covered, widths = 0, []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        b = START + pd.to_timedelta(np.sort(rng.uniform(0, 86400, count)), unit="s")
        frame = pd.DataFrame({"time_a": b + pd.to_timedelta(delay(rng, count), unit="s"), "time_b": b})
        row = one(frame if unit is None else frame.apply(lambda column: column.dt.floor(unit)))
        covered += row["low"] <= pd.Timedelta(0) <= row["high"]
        widths.append((row["high"] - row["low"]).total_seconds() * count**0.5 / (2 * 1.96))
    return covered / runs, np.array(widths)


@pytest.mark.parametrize(
    ("delay", "deviation", "least"),
    [
        (lambda rng, n: rng.exponential(0.5, n), 0.5, 0.9),
        (lambda rng, n: -rng.exponential(0.5, n), 0.5, 0.9),
        (lambda rng, n: rng.lognormal(-2, 1, n), 0.2925, 0.85),
        (lambda rng, n: np.abs(rng.normal(0, 0.5, n)), 0.3014, 0.8),
        (lambda rng, n: rng.normal(0, 0.5, n), 0.5, 0.92),
    ],
)
def test_ten_anchors_that_do_not_show_the_shape_of_the_noise_hold_delay_and_symmetric_noise(delay, deviation, least):
    covered, widths = covers_and_widths(delay, 10, 60)
    assert covered >= least
    assert np.median(widths) / deviation < 4


def test_a_hundred_anchors_of_even_noise_are_not_stretched_to_an_edge():
    covered, widths = covers_and_widths(lambda rng, n: rng.uniform(-0.5, 0.5, n), 100, 60)
    assert covered >= 0.9
    assert np.percentile(widths, 95) * 12**0.5 < 2


@pytest.mark.parametrize("count", [20, 50, 100])
def test_delay_that_stamps_of_whole_seconds_hide_is_held_within_four_times_the_least(count):
    covered, widths = covers_and_widths(lambda rng, n: rng.exponential(0.3, n), count, 60, "s")
    assert covered >= 0.75
    assert np.percentile(widths, 95) / (0.09 + 1 / 6) ** 0.5 < 4.2


@pytest.mark.parametrize("unit", [None, "s"])
def test_delays_of_seconds_are_not_proposed_as_skew(unit):
    for seed in range(25):
        rng = np.random.default_rng(seed)
        for ahead in (rng.exponential(3, 50), np.abs(rng.normal(0, 4, 50)), rng.uniform(0, 3, 100)):
            frame = table(ahead)
            frame["time_b"] -= pd.Timedelta("123456789ns")
            frame["time_a"] -= pd.Timedelta("123456789ns")
            if unit:
                frame["time_a"] = frame["time_a"].dt.floor(unit)
            assert not one(frame)["proposal"]


def test_a_clock_that_is_right_in_the_middle_and_drifts_is_proposed():
    seconds = (np.arange(60) - 29.5) * 600
    row = one(table(2e-4 * seconds + noise(60)))
    assert row["low"] <= pd.Timedelta(0) <= row["high"]
    assert (row["verdict"], row["proposal"]) == ("skew", True)
    assert "right in the middle, but it drifts by 198 ppm" in row["note"]
    assert row["span"] == pd.Timedelta("590min")
    assert not one(table(2e-4 * seconds + noise(60)), least=pd.Timedelta("10s"))["proposal"]


def test_delay_to_one_side_is_not_taken_for_skew():
    for seed in range(20):
        row = one(table(np.random.default_rng(seed).exponential(3, 40)))
        assert not row["proposal"]
        assert row["low"] <= pd.Timedelta(0) <= row["high"]
        assert "delay to one side" in row["note"]


def test_anchors_of_one_direction_give_one_bound_and_no_proposal():
    delay = np.random.default_rng(2).exponential(2, 30) + 1
    row = one(table(delay, first="b"))
    assert pd.isna(row["low"])
    assert row["high"].total_seconds() == pytest.approx(delay.min(), abs=0.5)
    assert (row["verdict"], row["proposal"]) == ("cannot tell", False)
    assert "one-way: b always comes before a" in row["note"]
    mirrored = one(table(-delay, first="a"))
    assert pd.isna(mirrored["high"])
    assert mirrored["low"].total_seconds() == pytest.approx(-delay.min(), abs=0.5)


def test_an_effect_before_its_cause_is_skew_even_one_way():
    row = one(table(np.random.default_rng(2).exponential(1, 30) - 60, first="b"))
    assert row["proposal"]
    assert "before their causes" in row["note"]


def test_a_few_effects_before_their_causes_may_be_noise_of_the_stamps():
    delay = 2 + noise(40, scale=0.3)
    delay[[3, 17]] = -1.0
    row = one(table(delay, first="b"))
    assert (row["verdict"], row["proposal"]) == ("cannot tell", False)


def test_delays_in_both_directions_bound_the_offset_as_no_anchor_contradicts():
    delay = np.random.default_rng(4).exponential(2, 40)
    way = np.where(np.arange(40) % 2 == 0, 1, -1)
    row = one(table(30 + way * delay, first=np.where(way > 0, "b", "a")))
    assert row["low"] <= pd.Timedelta("30s") <= row["high"]
    # Without drift the bounds would be the quickest delays; drift that is not known adds a little.
    quickest = delay[::2].min() + delay[1::2].min()
    assert quickest <= (row["high"] - row["low"]).total_seconds() < quickest + 2
    assert row["proposal"]


@pytest.mark.parametrize("size", [3600.0, -3600.0, 42.0])
def test_a_clock_that_was_set_in_between_has_no_one_offset(size):
    ahead = 2 + noise(40)
    ahead[25:] += size
    row = one(table(ahead))
    assert (row["verdict"], row["proposal"]) == ("step", False)
    assert pd.isna(row["offset"])
    assert "2025-11-18 04:05" in row["note"]  # between anchors 25 and 26
    assert ("daylight saving" in row["note"]) == (abs(size) == 3600)


def test_two_clusters_that_are_mixed_in_time_are_no_offset():
    ahead = 60 + noise(40) + np.where(np.random.default_rng(5).random(40) < 0.4, 9, -9)
    row = one(table(ahead))
    assert row["verdict"] == "cannot tell"
    assert "two clusters" in row["note"]


@pytest.mark.parametrize("hours", [1, -2, 5.5])
def test_whole_hours_are_named_a_zone_error(hours):
    row = one(table(hours * 3600 + noise(30)))
    assert (row["verdict"], row["proposal"]) == ("zone", False)
    assert "zone or daylight saving" in row["note"]
    assert row["offset"].round("1s") == pd.Timedelta(hours=hours)


def test_few_anchors_are_said():
    assert "1 anchor only" in one(table([5.0]))["note"]
    three = one(table([60.0, 60.1, 59.9]))
    assert (three["proposal"], three["verdict"]) == (False, "cannot tell")
    assert "3 anchors only" in three["note"]
    assert three["low"] < pd.Timedelta("60s") < three["high"]


def test_an_offset_that_is_not_worth_it_is_not_proposed_unless_asked():
    frame = table(0.3 + noise(40, scale=0.01))
    assert one(frame)["verdict"] == "none"
    assert one(frame, least=pd.Timedelta("100ms"))["proposal"]


def test_stamps_cut_to_seconds_on_one_side_leave_room_for_rounding():
    moments = START + pd.to_timedelta(np.sort(np.random.default_rng(6).uniform(0, 86400, 60)), unit="s")
    late = moments + pd.Timedelta("20s")
    for whole in (late.floor("s"), late.round("s")):
        row = one(pd.DataFrame({"time_a": whole, "time_b": moments}))
        assert row["low"] <= pd.Timedelta("20s") <= row["high"]
        assert "coarser" in row["note"]


def test_wrong_matches_are_set_aside_and_counted():
    ahead = 30 + noise(40)
    ahead[[3, 17, 29]] = [9000, -500, 86400]
    row = one(table(ahead))
    assert (row["outliers"], row["anchors"]) == (3, 37)
    assert row["low"] <= pd.Timedelta("30s") <= row["high"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.drop(columns="time_a"), "'time_a' is missing"),
        (lambda frame: frame.assign(time_a=frame["time_a"].dt.tz_localize(None)), "zone"),
        (lambda frame: frame.assign(time_b=frame["time_b"].where(frame.index != 2)), "row 3: 'time_b' is empty"),
        (lambda frame: frame.assign(first="c"), "first is 'c'"),
    ],
)
def test_anchors_that_are_no_anchors_are_refused(change, said):
    with pytest.raises(InputError, match=said):
        clocks.skew(change(table([1.0, 2.0, 3.0])))


def test_arguments_out_of_range_are_refused():
    for options in ({"confidence": 1.0}, {"least": pd.Timedelta("-1s")}, {"at": pd.Timestamp("2025-11-18")}):
        with pytest.raises(InputError):
            clocks.skew(table([1.0]), **options)


def test_no_anchors_give_an_empty_table_of_the_same_types():
    empty = clocks.skew(table([1.0]).iloc[:0])
    assert empty.dtypes.to_dict() == clocks.skew(table([1.0, 2.0])).dtypes.to_dict()
    assert empty.empty


# Network


def network(truth, pairs, count=30, seed=1):
    frames = []
    for number, (a, b) in enumerate(pairs):
        frame = table(truth[a] - truth[b] + noise(count, seed + number))
        frame["time_a"] += pd.Timedelta(seconds=truth[b])
        frame["time_b"] += pd.Timedelta(seconds=truth[b])
        frames.append(frame.assign(source_a=a, source_b=b))
    return clocks.skew(pd.concat(frames))


TRUTH = {"ref": 0, "p": 90, "q": -40, "r": 6 * 365 * 86400, "s": 0}


def test_offsets_are_carried_along_a_chain_with_growing_intervals():
    solved = clocks.solve(network(TRUTH, [("p", "ref"), ("q", "p"), ("r", "q")]), "ref").set_index("source")
    for name in ("p", "q", "r"):
        assert solved.loc[name, "low"].total_seconds() <= TRUTH[name] <= solved.loc[name, "high"].total_seconds()
    width = (solved["high"] - solved["low"]).dt.total_seconds()
    assert width["ref"] == 0 < width["p"] < width["q"] < width["r"]
    assert solved.loc["r", "path"] == "r > q > p > ref"
    assert solved.loc[["p", "q", "r"], "proposal"].all()


def test_a_single_pair_gives_its_own_interval():
    pair = network(TRUTH, [("p", "ref")])
    solved = clocks.solve(pair, "ref").set_index("source").loc["p"]
    for name in ("offset", "low", "high"):
        assert abs(solved[name] - pair[name].iloc[0]) < pd.Timedelta("1us")


def test_the_solution_of_a_cycle_is_that_of_weighted_least_squares():
    skews = network(TRUTH, [("p", "ref"), ("q", "ref"), ("q", "p")])
    solved = clocks.solve(skews, "ref").set_index("source")
    seconds = skews["offset"].dt.total_seconds().to_numpy()
    weight = 1 / (skews["high"] - skews["low"]).dt.total_seconds().to_numpy()
    pairs = list(zip(skews["source_a"], skews["source_b"], strict=True))
    design = np.array([[(a == name) - (b == name) for name in ("p", "q")] for a, b in pairs], dtype=float)
    known = np.linalg.lstsq(design * weight[:, None], seconds * weight, rcond=None)[0]
    assert [solved.loc[name, "offset"].total_seconds() for name in ("p", "q")] == pytest.approx(known, abs=0.02)


def test_a_cycle_that_does_not_close_is_reported_and_nothing_is_proposed():
    skews = network(TRUTH, [("p", "ref"), ("q", "ref"), ("q", "p")])
    wrong = skews.copy()
    last = wrong.index[(wrong["source_a"] == "q") & (wrong["source_b"] == "p")]
    for name in ("offset", "low", "high"):
        wrong.loc[last, name] += pd.Timedelta("1h")
    assert clocks.solve(skews, "ref")["proposal"].sum() == 2
    solved = clocks.solve(wrong, "ref").set_index("source")
    assert solved["proposal"].sum() == 0
    assert "off what the other pairs say" in solved.loc["q", "note"]


def delayed(pairs, seed, count=60):
    """Right clocks; the second of each pair sees each record later."""
    rng, frames = np.random.default_rng(seed), []
    for a, b in pairs:
        b_times = START + pd.to_timedelta(np.sort(rng.uniform(0, 86400, count)), unit="s")
        late = pd.to_timedelta(rng.exponential(0.5, count), unit="s")
        frames.append(pd.DataFrame({"source_a": a, "source_b": b, "time_a": b_times, "time_b": b_times + late}))
    return clocks.solve(clocks.skew(pd.concat(frames)), "c0")


@pytest.mark.parametrize(
    "pairs",
    [
        [("c0", "c1"), ("c1", "c2"), ("c2", "c3"), ("c3", "c4")],
        [(f"c{a}", f"c{b}") for a in range(5) for b in range(a + 1, 5)],
    ],
    ids=["a chain", "all pairs"],
)
def test_delay_to_one_side_adds_up_along_a_way_and_is_held_there_too(pairs):
    solved = pd.concat([delayed(pairs, seed) for seed in range(10)])
    held = (solved["low"] <= pd.Timedelta(0)) & (solved["high"] >= pd.Timedelta(0))
    assert held.mean() >= 0.95
    assert not solved["proposal"].any()


def test_a_drift_about_a_right_middle_is_proposed_against_the_reference():
    seconds = (np.arange(60) - 29.5) * 600
    pair = table(2e-4 * seconds + noise(60)).assign(source_a="p", source_b="ref")
    solved = clocks.solve(clocks.skew(pair), "ref").set_index("source").loc["p"]
    assert solved["low"] <= pd.Timedelta(0) <= solved["high"]
    assert (solved["verdict"], solved["proposal"]) == ("skew", True)
    assert solved["drift_low"] <= 200 <= solved["drift_high"]


def test_a_source_without_a_way_to_the_reference_abstains():
    skews = network(TRUTH, [("p", "ref"), ("s", "r")])
    solved = clocks.solve(skews, "ref").set_index("source")
    assert solved.loc[["r", "s"], "offset"].isna().all()
    assert (solved.loc[["r", "s"], "verdict"] == "cannot tell").all()
    assert "no pairs with an interval lead to ref" in solved.loc["s", "note"]


def test_an_unknown_reference_is_named_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'ref'"):
        clocks.solve(network(TRUTH, [("p", "ref")]), "reff")


# Correction


def two_sources():
    return events(
        {"source": "app", "time": at("10:00:00.123456789"), "time_end": at("10:00:05")},
        {"source": "app", "time": pd.NaT, "time_earliest": at("11:00"), "time_latest": at("12:00")},
        {"source": "git", "time": at("10:00:00")},
    )


def test_a_correction_moves_all_times_of_the_row_and_of_no_other_source():
    shown = two_sources()
    fixed = clocks.correct(shown, {"app": clocks.Clock(pd.Timedelta("90s"), method="anchors")})
    assert fixed["time"][0] == at("09:58:30.123456789")
    assert fixed["time_end"][0] == at("09:58:35")
    assert fixed["time_latest"][1] == at("11:58:30")
    assert fixed["offset_method"].tolist() == ["anchors", "anchors", ""]
    assert fixed["offset"].tolist() == [pd.Timedelta("90s")] * 2 + [pd.Timedelta(0)]
    assert fixed.loc[2].equals(shown.loc[2])


def test_drift_is_taken_off_as_the_clock_gained_it():
    clock = clocks.Clock(pd.Timedelta("10s"), at("10:00"), 200.0)
    true = START + pd.Timedelta("14D")
    gained = pd.Timedelta(round((true - at("10:00")).value * 200e-6), unit="ns")
    shown = events({"source": "app", "time": true + pd.Timedelta("10s") + gained})
    fixed = clocks.correct(shown, {"app": clock})
    assert abs(fixed["time"][0] - true) <= pd.Timedelta("1ns")


@given(
    st.integers(-(10**18), 10**18), st.floats(-1000, 1000), st.lists(st.integers(1, 3 * 10**18), min_size=1, max_size=5)
)
@settings(max_examples=40, deadline=None)
def test_taking_a_correction_back_gives_the_original_to_the_nanosecond(offset, drift, moments):
    stamps = pd.to_datetime(moments, unit="ns", utc=True)
    shown = events(*({"source": "app", "time": stamp, "time_end": stamp} for stamp in stamps))
    fixed = clocks.correct(shown, {"app": clocks.Clock(pd.Timedelta(offset, unit="ns"), START, drift)})
    assert (fixed["time"] + fixed["offset"]).equals(shown["time"])
    pd.testing.assert_frame_equal(clocks.uncorrect(fixed), shown)
    pd.testing.assert_frame_equal(schema.check(fixed, "events"), fixed)


def test_a_second_correction_and_an_unknown_source_are_refused():
    clock = {"app": clocks.Clock(pd.Timedelta("1s"))}
    with pytest.raises(InputError, match="corrected already"):
        clocks.correct(clocks.correct(two_sources(), clock), clock)
    with pytest.raises(UnknownName, match="did you mean 'git'"):
        clocks.correct(two_sources(), {"gitt": clock["app"]})


def test_a_correction_out_of_the_range_of_times_is_refused():
    with pytest.raises(InputError, match="1678"):
        clocks.correct(two_sources(), {"app": clocks.Clock(pd.Timedelta("-100000D"))})


def test_a_drift_without_the_time_at_which_the_offset_holds_is_refused():
    with pytest.raises(InputError, match="reference time"):
        clocks.Clock(pd.Timedelta("1s"), drift=5.0)


# Anchors


def test_rows_of_two_sources_with_one_trace_are_an_anchor_and_of_one_source_are_not():
    found = clocks.anchors(
        events(
            {"source": "b", "time": at("10:00"), "trace_id": TRACE},
            {"source": "a", "time": at("10:01"), "trace_id": TRACE},
            {"source": "a", "time": at("10:02"), "trace_id": TRACE},
        )
    )
    assert found[["kind", "source_a", "source_b", "event_a", "event_b", "first"]].to_numpy().tolist() == [
        ["trace", "a", "b", "e1", "e0", ""]
    ]
    assert found["time_a"][0] == at("10:01")


@pytest.mark.parametrize(
    "text",
    ["200", "12345678901", "1763460000.5", "production", "2025-11-18T10:00:00Z", "10.0.0.12", "00000000", "eu-west-1"],
)
def test_texts_that_others_carry_by_chance_are_no_identifiers(text):
    rows = [{"source": name, "time": at("10:00"), "ref": text, "attributes": json.dumps({"x": text})} for name in "ab"]
    assert clocks.anchors(events(*rows)).empty


@pytest.mark.parametrize(
    "text",
    ["INC-4711", "c0ffee1", "3f2a7c9e-1b5d-4c8e-9f00-a1b2c3d4e5f6", "1763460000.123456", "run-20251118-0007", TRACE],
)
def test_specific_texts_are_found_in_references_and_in_nested_attributes(text):
    rows = events(
        {"source": "a", "time": at("10:00"), "ref": text},
        {"source": "b", "time": at("10:05"), "attributes": json.dumps({"labels": [{"id": text}]})},
    )
    found = clocks.anchors(rows)
    assert (found["time_b"] - found["time_a"]).tolist() == [pd.Timedelta("5min")]
    assert found["kind"].tolist() == ["attribute"]


def test_a_short_hash_is_the_full_one_that_begins_with_it():
    full = "9fceb02d0ae598e95dc970b74767f19372d61af8"
    found = clocks.anchors(
        events(
            {"source": "git", "time": at("10:00"), "ref": full, "kind": "commit"},
            {"source": "ci", "time": at("10:05"), "ref": full[:7], "kind": "deploy"},
        )
    )
    assert found["identifier"].tolist() == [full]
    assert found[["source_a", "source_b", "first"]].to_numpy().tolist() == [["ci", "git", "b"]]


def test_the_id_of_a_trace_may_be_figures_alone():
    for name in [f"{0x10203:032x}", "7364018273645182936", "1234567890123456"]:
        rows = [{"source": source, "time": at("10:00"), "trace_id": name} for source in "ab"]
        assert clocks.anchors(events(*rows))["identifier"].tolist() == [name]
    for name in ["0" * 32, "17", "123456789012345"]:
        rows = [{"source": source, "time": at("10:00"), "trace_id": name} for source in "ab"]
        assert clocks.anchors(events(*rows)).empty


def test_what_two_sources_share_is_counted_and_what_is_not_used_has_a_reason():
    rows = []
    for source in "ab":
        rows += [{"source": source, "time": at(f"10:{n:02}"), "trace_id": f"{n:032x}"} for n in range(1, 31)]
        rows += [
            {"source": source, "time": at("11:00"), "ref": "8"},
            {"source": source, "ref": "INC-1", "time": pd.NaT},
        ]
        rows += [{"source": source, "time": at(f"12:0{n}"), "ref": "INC-2"} for n in range(4)]
        rows += [{"source": source, "time": at("13:00"), "ref": "INC-3", "trace_id": TRACE}]
    rows += [{"source": "c", "time": at("11:00"), "ref": "8"}, {"source": "c", "time": at("11:00"), "ref": "alone"}]
    table = events(*rows)
    found = clocks.shared(table, clocks.anchors(table)).set_index(["source_a", "source_b"])
    assert found[["shared", "used"]].to_dict("index") == {
        ("a", "b"): {"shared": 35, "used": 31}, ("a", "c"): {"shared": 1, "used": 0}, ("b", "c"): {"shared": 1, "used": 0},
    }  # fmt: skip
    note = found.loc[("a", "b"), "note"]
    assert all(
        text in note
        for text in (
            "such as '8'",
            "without a time (such as 'INC-1')",
            "3 records of a source (such as 'INC-2')",
            "another",
        )
    )
    assert clocks.shared(table[:0], clocks.anchors(table[:0])).empty


def test_an_identifier_in_many_rows_of_a_source_is_passed_over():
    rows = [{"source": "a", "time": at(f"10:0{n}"), "ref": "INC-4711"} for n in range(4)]
    assert clocks.anchors(events(*rows, {"source": "b", "time": at("10:00"), "ref": "INC-4711"})).empty
    assert len(clocks.anchors(events(*rows[:1], {"source": "b", "time": at("10:00"), "ref": "INC-4711"}))) == 1


def test_equal_counts_pair_in_order():
    rows = [
        {"source": name, "time": at(text), "ref": "INC-4711"}
        for name, text in [("a", "10:00"), ("a", "11:00"), ("b", "10:01"), ("b", "11:02")]
    ]
    found = clocks.anchors(events(*rows))
    assert (found["time_b"] - found["time_a"]).tolist() == [pd.Timedelta("1min"), pd.Timedelta("2min")]


def test_a_call_gives_a_bound_in_both_directions():
    found = clocks.anchors(
        events(
            {"source": "caller", "time": at("10:00:00"), "time_end": at("10:00:09"), "trace_id": TRACE,
             "attributes": json.dumps({"span_id": "00f067aa0ba902b7"})},
            {"source": "worker", "time": at("10:00:02"), "time_end": at("10:00:05"), "trace_id": TRACE,
             "attributes": json.dumps({"span_id": "5fb397be34d26b51", "parent_span_id": "00f067aa0ba902b7"})},
        )
    )  # fmt: skip
    assert found[["kind", "first"]].to_numpy().tolist() == [["parent", "a"], ["parent end", "b"]]
    assert (found["time_a"] - found["time_b"]).tolist() == [pd.Timedelta("-2s"), pd.Timedelta("4s")]
    bounds = clocks.skew(found).iloc[0]
    assert bounds["method"] == "two-way"


def test_undated_rows_and_attributes_that_are_no_json():
    undated = events(
        {"source": "a", "ref": "INC-4711", "time": pd.NaT}, {"source": "b", "time": at("10:00"), "ref": "INC-4711"}
    )
    assert clocks.anchors(undated).empty
    with pytest.raises(InputError, match="no JSON"):
        clocks.anchors(events({"source": "a", "time": at("10:00"), "attributes": "{"}))


def test_from_events_to_corrected_events():
    rng = np.random.default_rng(3)
    rows = []
    for moment in START + pd.to_timedelta(np.sort(rng.uniform(0, 86400, 40)), unit="s"):
        trace = rng.bytes(16).hex()
        for source, ahead in (("right", 0.0), ("ahead", 5400.0 + 7)):
            late = pd.Timedelta(seconds=ahead + rng.normal(0, 0.1))
            rows.append({"source": source, "time": moment + late, "trace_id": trace})
    shown = events(*rows)
    found = clocks.solve(clocks.skew(clocks.anchors(shown)), "right").set_index("source").loc["ahead"]
    fixed = clocks.correct(shown, {"ahead": clocks.Clock(found["offset"], method=found["method"])})
    apart = fixed.groupby("trace_id")["time"].agg(lambda times: abs(times.max() - times.min()))
    assert found["proposal"]
    assert apart.max() < pd.Timedelta("1s")


# Jumps


def in_order(texts, source="app"):
    return pd.DataFrame(
        {"source": source, "position": range(1, len(texts) + 1), "time": pd.to_datetime(texts, utc=True)}
    )


def local(start, end, every, zone_name):
    """Instants of a day as a wall clock shows them, read as if they were UTC."""
    instants = pd.date_range(start, end, freq=every, tz="UTC").tz_convert(zone_name)
    return [f"{moment:%Y-%m-%dT%H:%M:%S}Z" for moment in instants]


@pytest.mark.parametrize(
    ("zone_name", "day"),
    [("Europe/Berlin", "2025-10-26"), ("America/New_York", "2025-11-02"), ("Australia/Sydney", "2025-04-06")],
)
def test_a_repeated_hour_of_local_time_is_named_with_its_zone(zone_name, day):
    start = pd.Timestamp(day) - pd.Timedelta("24h")
    found = clocks.jumps(in_order(local(start, start + pd.Timedelta("60h"), "7min", zone_name)), zone_name)
    assert found["change"].tolist() == ["hour repeated"]
    assert f"go back on {day}" in found["note"][0]
    assert pd.Timedelta("-1h") <= found["step"][0] <= pd.Timedelta("-53min")


def test_a_skipped_hour_is_named_and_silence_is_not():
    shown = local("2025-03-29T12:00", "2025-03-30T12:00", "7min", "Europe/Berlin")
    found = clocks.jumps(in_order(shown), "Europe/Berlin")
    assert found["change"].tolist() == ["hour skipped"]
    assert clocks.jumps(in_order(shown), "Asia/Tokyo").empty
    assert clocks.jumps(in_order(shown)).empty


def test_times_of_a_zone_are_quiet_over_its_change():
    right = [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in pd.date_range("2025-10-25", "2025-10-27", freq="7min")]
    assert clocks.jumps(in_order(right), "Europe/Berlin").empty


def test_a_file_with_the_newest_first_is_read_from_its_end():
    shown = local("2025-10-25T12:00", "2025-10-26T12:00", "7min", "Europe/Berlin")[::-1]
    assert clocks.jumps(in_order(shown), "Europe/Berlin")["change"].tolist() == ["hour repeated"]


def test_an_hour_back_without_a_zone_is_said_to_be_like_daylight_saving():
    shown = local("2025-10-25T12:00", "2025-10-26T12:00", "7min", "Europe/Berlin")
    assert "zone of the source is not given" in clocks.jumps(in_order(shown))["note"][0]


def test_another_step_back_is_a_clock_that_was_set():
    shown = in_order([f"2025-11-18T10:{minute:02}:00Z" for minute in (*range(40), *range(20, 59))])
    found = clocks.jumps(shown)
    assert found[["change", "position"]].to_numpy().tolist() == [["set back", 41]]
    assert "19 min back" in found["note"][0]


def test_rows_without_order_are_said_once():
    shown = [f"2025-11-18T10:{minute:02}:00Z" for minute in np.random.default_rng(1).permutation(60)]
    found = clocks.jumps(in_order(shown))
    assert found["change"].tolist() == ["no order"]
    assert "steps go back" in found["note"][0]


def test_of_very_many_anchors_the_sharpest_give_nearly_the_same_bounds():
    delay = np.random.default_rng(4).exponential(2, 4000)
    way = np.where(np.arange(4000) % 2 == 0, 1, -1)
    row = one(table(30 + way * delay, every="10s", first=np.where(way > 0, "b", "a")))
    assert row["low"] <= pd.Timedelta("30s") <= row["high"]
    assert row["high"] - row["low"] < pd.Timedelta("100ms")


def test_a_step_among_very_many_anchors_is_found():
    ahead = noise(4000)
    ahead[2500:] += 20
    found = step(np.arange(4000.0), ahead)
    assert found[0] == pytest.approx(2500, abs=16)
    assert found[1] == pytest.approx(20, abs=0.5)


def test_records_that_are_seldom_a_unit_apart_still_count_in_full():
    # Of 50 pairs of minute stamps 10 differ by one minute: under uniform moments that is an offset of 12 s.
    ahead = np.zeros(50)
    ahead[2::5] = 60
    b = pd.Series(START + pd.Timedelta("7min") * np.arange(50))
    row = one(pd.DataFrame({"time_a": b + pd.to_timedelta(ahead, unit="s"), "time_b": b}))
    assert row["offset"].total_seconds() == pytest.approx(12, abs=1)
    assert row["outliers"] == 0


def test_an_offset_under_the_resolution_of_the_stamps_is_not_proposed():
    ahead = np.zeros(100)
    ahead[::2] = 60
    b = pd.Series(START + pd.Timedelta("7min") * np.arange(100))
    row = one(pd.DataFrame({"time_a": b + pd.to_timedelta(ahead, unit="s"), "time_b": b}))
    assert (row["proposal"], row["verdict"]) == (False, "cannot tell")
    assert "resolution" in row["note"]


def test_an_interval_that_only_just_leaves_zero_out_proposes_nothing():
    centred = noise(40, scale=4) - noise(40, scale=4).mean()
    row = one(table(centred + 2.0))
    assert pd.Timedelta(0) < row["low"]
    assert (row["proposal"], row["verdict"]) == (False, "cannot tell")
    assert "close to zero" in row["note"]


def test_differences_that_reach_down_to_zero_may_be_delay():
    ahead = 1 + 0.38 * stats.norm.ppf((np.random.default_rng(8).permutation(60) + 0.5) / 60)
    assert 0 < ahead.min() < 0.15
    row = one(table(ahead))
    assert (row["proposal"], row["verdict"]) == (False, "cannot tell")
    assert "explains the differences as well" in row["note"]
    assert one(table(ahead + 1))["proposal"]


def test_anchors_that_mostly_disagree_decide_nothing():
    rng = np.random.default_rng(9)
    ahead = 50 + noise(30)
    ahead[rng.permutation(30)[:11]] += rng.normal(0, 1e5, 11)
    row = one(table(ahead))
    assert not row["proposal"]
    assert "disagree with the others" in row["note"]


def test_a_way_over_a_pair_that_cannot_be_told_proposes_nothing():
    skews = network(TRUTH, [("p", "ref"), ("q", "p")])
    skews.loc[skews["source_a"] == "p", "verdict"] = "cannot tell"
    solved = clocks.solve(skews, "ref").set_index("source")
    assert not solved["proposal"].any()
    assert "p and ref" in solved.loc["q", "note"]


def test_where_calls_are_known_the_first_records_of_a_trace_are_not_paired_as_well():
    span = {"trace_id": TRACE, "source": "caller"}
    rows = events(
        {**span, "time": at("10:00:00"), "message": "received"},
        {**span, "time": at("10:00:01"), "attributes": json.dumps({"span_id": "00f067aa0ba902b7"})},
        {**span, "source": "worker", "time": at("10:00:02"),
         "attributes": json.dumps({"parent_span_id": "00f067aa0ba902b7"})},
    )  # fmt: skip
    assert clocks.anchors(rows)["kind"].tolist() == ["parent"]

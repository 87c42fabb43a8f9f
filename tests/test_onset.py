import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from rca import onset
from rca.errors import InputError, UnknownName

START = pd.Timestamp("2025-03-03T00:00Z")
STEP = pd.Timedelta("5min")


def stamps(rows):
    return pd.date_range(START, periods=rows, freq=STEP)


def windows(before, rows):
    return {"before": (START, START + before * STEP), "during": (START + before * STEP, START + rows * STEP)}


def noise(kind, rows, rng):
    if kind == "binomial":
        return rng.binomial(20, 0.84, rows) / 20
    if kind == "rhythm":
        return 100 + 3 * np.sin(np.arange(rows) * 2 * np.pi / 24) + rng.normal(size=rows) / 2
    if kind == "slow":
        values = rng.normal(size=rows)
        for row in range(1, rows):
            values[row] += 0.7 * values[row - 1]
        return values
    return rng.normal(size=rows)


@pytest.mark.parametrize("kind", ["normal", "slow", "rhythm", "binomial"])
@pytest.mark.parametrize(("before", "during"), [(240, 48), (30, 40), (500, 5)])
def test_healthy_series_seldom_look_shifted(kind, before, during):
    rng = np.random.default_rng(1)
    rows = before + during
    series = [pd.Series(noise(kind, rows, rng), stamps(rows)) for _ in range(150)]
    alarms = sum(onset.find(one, **windows(before, rows)).p_value < 0.01 for one in series)
    assert alarms <= 5  # 1.5 are expected; 6 or more have a chance of 0.5 %


def test_a_rate_out_of_twenty_cases_an_hour_that_halves_is_found():
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.binomial(20, 0.84, 240), rng.binomial(20, 0.49, 24), rng.binomial(20, 0.84, 24)]) / 20
    shift = onset.find(pd.Series(values, stamps(288)), **windows(230, 288), harmful="down")
    assert shift.p_value < 1e-6
    assert abs(shift.start - stamps(288)[240]) <= shift.error + STEP
    assert abs(shift.until - stamps(288)[263]) <= 3 * STEP
    assert shift.during == pytest.approx(0.49, abs=0.06)


@pytest.mark.parametrize("size", [2.0, 4.0, 10.0, 1000.0])
def test_the_start_of_a_step_lies_within_its_stated_error_nineteen_times_in_twenty(size):
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(100):
        at = int(rng.integers(150, 180))
        values = rng.normal(size=220) + size * (np.arange(220) >= at)
        shift = onset.find(pd.Series(values, stamps(220)), **windows(140, 220))
        hits.append(abs(shift.start - stamps(220)[at]) <= shift.error and shift.earliest <= shift.start)
    assert np.mean(hits) >= 0.9  # 95 % is stated for independent noise


def test_a_start_before_the_incident_window_is_found_there():
    values = np.r_[np.tile([0.0, 1.0], 50), np.tile([30.0, 31.0], 50)]
    shift = onset.find(pd.Series(values, stamps(200)), **windows(120, 200))
    assert shift.start == stamps(200)[100]
    assert not shift.censored


def test_a_reference_after_the_incident_leaves_the_start_open():
    values = np.r_[np.tile([30.0, 31.0], 5), np.tile([0.0, 1.0], 50)]
    times = stamps(110)
    shift = onset.find(pd.Series(values, times), before=(times[20], times[109]), during=(times[0], times[5]))
    assert shift.p_value < 1e-6
    assert shift.censored
    assert shift.start == times[0]


def test_a_lone_spike_is_no_shift():
    values = np.tile([0.0, 1.0, 2.0], 80)
    values[200] = 1e6
    assert onset.find(pd.Series(values, stamps(240)), **windows(180, 240)).p_value > 0.05


def test_the_harmful_direction_alone_counts():
    values = np.r_[np.tile([0.0, 1.0], 60), np.full(40, 20.0)]
    series = pd.Series(values, stamps(160))
    assert onset.find(series, **windows(120, 160), harmful="up").p_value < 1e-6
    assert onset.find(series, **windows(120, 160), harmful="down").p_value > 0.05


@pytest.mark.parametrize("sign", [1, -1])
def test_a_counter_that_goes_on_and_is_reset_is_no_shift(sign):
    rng = np.random.default_rng(4)
    values = np.cumsum(rng.uniform(5, 15, 200))
    values[150:] -= values[150]
    shift = onset.find(pd.Series(sign * values, stamps(200)), **windows(120, 200))
    assert shift.p_value > 0.05
    assert "rate" in shift.note


def test_a_counter_that_runs_faster_is_a_shift_of_its_rate():
    rng = np.random.default_rng(5)
    steps = rng.uniform(5, 15, 200)
    steps[160:] *= 4
    shift = onset.find(pd.Series(np.cumsum(steps), stamps(200)), **windows(120, 200))
    assert shift.p_value < 1e-6
    assert shift.before == pytest.approx(10 / 300, rel=0.2)
    assert shift.start == stamps(200)[160]


def test_a_level_that_never_varied_still_shows_a_change():
    values = np.r_[np.full(100, 100.0), np.full(20, 90.0)]
    shift = onset.find(pd.Series(values, stamps(120)), **windows(90, 120))
    assert shift.p_value < 1e-6
    assert onset.find(pd.Series(np.full(120, 100.0), stamps(120)), **windows(90, 120)).p_value == 1


def test_too_few_healthy_rows_say_nothing():
    values = np.r_[np.zeros(5), np.full(20, 90.0)]
    shift = onset.find(pd.Series(values, stamps(25)), **windows(5, 25))
    assert (shift.p_value, shift.note) == (1, "only 5 rows before")


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-3, 1e3), offset=st.floats(-100, 100), seed=st.integers(0, 50))
def test_unit_and_order_of_rows_do_not_matter(scale, offset, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=100) + 5.0 * (np.arange(100) > 70)
    plain = onset.find(pd.Series(values, stamps(100)), **windows(60, 100))
    mixed = pd.Series(1e5 + values, stamps(100)).sample(frac=1, random_state=seed)
    again = onset.find(pd.concat([mixed, mixed.iloc[:7], mixed.iloc[:3] * np.nan]), **windows(60, 100))
    assert again.start == onset.find(pd.Series(1e5 + values, stamps(100)), **windows(60, 100)).start
    other = onset.find(pd.Series(scale * values, stamps(100)), **windows(60, 100))
    assert other.start == plain.start
    assert other.p_value == pytest.approx(plain.p_value, rel=1e-6)


def test_windows_that_cannot_be_searched_are_refused():
    series = pd.Series(np.arange(20.0) % 3, stamps(20))
    with pytest.raises(InputError, match="holds no finite value"):
        onset.find(series, before=(START - 9 * STEP, START - STEP), during=(START, START + 5 * STEP))
    with pytest.raises(InputError, match="before it starts"):
        onset.find(series, before=(START + STEP, START), during=(START, START + 5 * STEP))
    with pytest.raises(InputError, match="zone"):
        onset.window(("2025-01-01", "2025-01-02"), "before")
    with pytest.raises(InputError, match="pair"):
        onset.window((START,), "before")
    with pytest.raises(UnknownName, match="did you mean 'down'"):
        onset.find(series, **windows(10, 20), harmful="dwn")


def test_the_input_is_not_changed():
    series = pd.Series(np.arange(40.0) % 3, stamps(40))[::-1]
    copy = series.copy()
    onset.find(series, **windows(20, 40))
    pd.testing.assert_series_equal(series, copy)


def test_slow_swings_make_the_start_less_certain():
    rng = np.random.default_rng(10)
    step = 4.0 * (np.arange(600) >= 500)
    slow = noise("slow", 600, rng)
    fast = onset.find(pd.Series(rng.normal(size=600) + step, stamps(600)), **windows(450, 600))
    swinging = onset.find(pd.Series(slow / slow[:450].std() + step, stamps(600)), **windows(450, 600))
    assert abs(swinging.deviation - fast.deviation) < 1.5
    assert swinging.error > fast.error

"""The tables: their columns and types, checked once at the border."""

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from rca import schema, times
from rca.errors import InputError, UnknownName

TIME = pd.Timestamp("2025-11-18T11:20:00Z")


def metrics(**columns):
    rows = {"time": [TIME, TIME], "system": ["a", "b"], "metric": ["m", "m"], "value": [1, 2]}
    return schema.check(pd.DataFrame(rows | columns), "metrics", where="m.csv")


@pytest.mark.parametrize("table", schema.COLUMNS)
def test_an_empty_table_has_the_columns_and_types_of_its_kind_and_passes_the_check(table):
    empty = schema.empty(table)
    assert empty.dtypes.astype(str).to_dict() == dict(schema.COLUMNS[table])
    pd.testing.assert_frame_equal(schema.check(empty, table), empty)


@pytest.mark.parametrize("table", schema.COLUMNS)
def test_required_columns_are_columns_of_their_table(table):
    assert set(schema.REQUIRED[table]) <= set(schema.COLUMNS[table])
    with pytest.raises(InputError, match=f"t: required column '{schema.REQUIRED[table][0]}' is missing"):
        schema.check(pd.DataFrame(), table, where="t")


def test_an_unknown_table_names_the_nearest():
    for use in (schema.empty, lambda name: schema.check(pd.DataFrame(), name)):
        with pytest.raises(UnknownName, match="unknown table 'metric'; did you mean 'metrics'"):
            use("metric")


def test_columns_are_put_in_order_completed_and_typed_and_the_input_is_not_changed():
    rows = {"value": ["1e5", None], "metric": ["m", "n"], "system": [1, 2], "time": [TIME, None]}
    frame = pd.DataFrame(rows, index=[7, 7])
    before = frame.copy()
    out = schema.check(frame, "metrics")
    assert list(out.columns) == list(schema.COLUMNS["metrics"])
    assert out["value"].iloc[0] == 100_000.0
    assert out["system"].tolist() == ["1", "2"]
    assert out["source"].tolist() == ["", ""]
    assert out["time"].isna().tolist() == [False, True]
    assert out.index.tolist() == [0, 1]
    pd.testing.assert_frame_equal(frame, before)


def test_a_checked_table_passes_again_unchanged():
    once = metrics()
    pd.testing.assert_frame_equal(schema.check(once, "metrics"), once)


def test_an_unknown_column_is_named_with_the_nearest():
    with pytest.raises(UnknownName, match=r"m\.csv: unknown column 'sytem'; did you mean 'system'"):
        metrics(sytem=["a", "b"])
    with pytest.raises(UnknownName, match="unknown column '0'"):
        schema.check(pd.DataFrame([[1]]), "metrics")


def test_a_column_that_stands_twice_is_refused():
    frame = pd.concat([metrics(), metrics()[["system"]]], axis=1)
    with pytest.raises(InputError, match="column 'system' occurs twice"):
        schema.check(frame, "metrics")


@pytest.mark.parametrize("time", ["2025-11-18 11:20", TIME.tz_localize(None), dt.datetime(2025, 1, 1), 1763464800])
def test_a_time_without_a_zone_is_never_taken_for_utc(time):
    with pytest.raises(InputError, match=r"m\.csv: row 1: "):
        metrics(time=[time, time])


def test_times_in_other_zones_become_utc():
    berlin = TIME.tz_convert("Europe/Berlin")
    for time in (berlin, berlin.isoformat(), berlin.to_pydatetime()):
        out = metrics(time=[time, None])
        assert out["time"].dtype == times.UTC
        assert out["time"][0] == TIME
    assert metrics(time=pd.Series([berlin, berlin]).astype("datetime64[s, Europe/Berlin]"))["time"][0] == TIME


@pytest.mark.parametrize("values", [["1,000", "2"], ["", "1"], [{}, 1], ["2 ms", 1]])
def test_a_value_of_another_type_names_the_column(values):
    with pytest.raises(InputError, match=r"m\.csv: column 'value' is not of type float64"):
        metrics(value=values)


def test_a_duration_may_be_missing_and_is_then_empty_not_zero():
    spans = pd.DataFrame({"span_id": ["1", "2"], "system": "web"})
    assert schema.check(spans, "spans")["duration"].isna().all()
    took = [pd.Timedelta("1503us"), None]
    found = schema.check(spans.assign(duration=took), "spans")["duration"]
    assert found.dtype == "timedelta64[ns]" and found[0] == took[0] and pd.isna(found[1])
    for wrong in (["soon", "later"], [TIME, TIME], [1503, 2], [1.5, None], [took[0], 7]):
        with pytest.raises(InputError, match="column 'duration' is not of type"):
            schema.check(spans.assign(duration=wrong), "spans")


def test_a_count_is_not_cut_to_a_whole_number():
    edges = pd.DataFrame({"cause": ["a"], "effect": ["b"], "count": [1.5]})
    with pytest.raises(InputError, match="column 'count' is not of type int64"):
        schema.check(edges, "dependencies")
    assert schema.check(edges.assign(count=2.0), "dependencies")["count"].tolist() == [2]
    assert schema.check(edges.drop(columns="count"), "dependencies")["count"].tolist() == [1]


def test_an_empty_required_text_names_the_row():
    for empty in ("", None, float("nan")):
        with pytest.raises(InputError, match=r"m\.csv: row 2: 'system' is empty \(1 such rows\)"):
            metrics(system=["a", empty])


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (("TRACE", "trace", " 1 "), 1), (("DEBUG",), 5), (("Info", "informational"), 9), (("WARN", "warning"), 13),
        (("error", "ERR"), 17), (("fatal", "CRITICAL", "alert"), 21),
    ],
)  # fmt: skip
def test_severity_words_are_in_the_range_that_opentelemetry_gives_them(words, first):
    # https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber: four numbers a range
    assert all(first <= schema.severity_number(word) < first + 4 for word in words)


def test_syslog_levels_keep_their_order():
    # RFC 5424, table 2, from the least to the most severe
    levels = ["debug", "info", "notice", "warning", "error", "critical", "emergency"]
    assert sorted(levels, key=schema.severity_number) == levels


@pytest.mark.parametrize(
    "word",
    ["", "teal", "0", "25", "-1", "1.5", "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT ONE}", "9" * 5000, "none"],
)
def test_a_word_that_says_nothing_of_severity_gives_none(word):
    assert schema.severity_number(word) is None


@given(st.text(max_size=10))
def test_a_severity_is_from_1_to_24_or_not_known(word):
    number = schema.severity_number(word)
    assert number is None or 1 <= number <= 24

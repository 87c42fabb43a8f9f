"""Times: text to UTC, checked against the standard library, and never by guessing."""

import contextlib
import datetime as dt
import string
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, strategies as st

from rca import times
from rca.errors import InputError, RcaError, UnknownName

DATES = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])


def column(*values, **how):
    return times.parse_column(pd.Series(list(values), dtype=object), where="x.csv", **how)


def utc(*parts):
    return pd.Timestamp(dt.datetime(*parts, tzinfo=dt.UTC))


@given(DATES, OFFSETS, st.sampled_from("T "))
def test_a_time_with_an_offset_is_what_the_standard_library_reads(naive, offset, between):
    text = naive.replace(tzinfo=offset).isoformat(between)
    assert times.parse(text) == pd.Timestamp(dt.datetime.fromisoformat(text)).tz_convert("UTC")
    assert str(times.parse(text).tz) == "UTC"


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-18T11:20:00Z", "2025-11-18t11:20z", "2025-11-18 11:20:00.000", "2025-11-18T16:50+0530",
        "2025-11-18T10:50:00-00:30", "2025-11-18 11:20:00+00", "2025-11-18 11:20 UTC", "2025-11-18T12:20 +01:00",
        "2025-11-18T11:20:00,000Z", " 2025-11-18T11:20Z\n",
    ],
)  # fmt: skip
def test_spellings_that_systems_use_mean_the_same_time(text):
    assert column(text, zone_name="UTC")[0] == utc(2025, 11, 18, 11, 20)


def test_nine_digits_of_a_second_are_kept_with_point_or_comma():
    assert times.parse("2025-11-18T11:20:00.123456789Z").value % 10**9 == 123456789
    assert times.parse("2025-11-18T11:20:00,5Z").value % 10**9 == 500_000_000
    assert times.parse("2025-11-18 11:20:00.123456789 utc").value % 10**9 == 123456789


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "now", "today", "NaT", "nan", "N/A", "None", "2025-11-18T24:00:00Z", "2025-11-18T11:20:60Z",
        "2025-02-29T00:00Z", "2025-13-01T00:00Z", "2025-11-18T11:20+24:00", "2025-11-18T11:20+05:60", "2025-11-18-0530",
        "2025-11-18Z", "20251118T112000Z", "2025-W47-2T00:00Z", "18.11.2025 11:20Z", "11/18/2025 11:20Z",
        "2025-11-18T11:20:00.Z", "2025-11-18T11:20:00.1234567891Z", "202\N{FULLWIDTH DIGIT FIVE}-11-18T11:20Z",
            "2025-11-18T11:20Z; x",
        "2025-11-18T11:20 CET", "1763464800", "2025-11-18T11:20Z\x00", "9" * 10_000,
    ],
)  # fmt: skip
def test_what_is_no_clear_time_is_an_error_and_no_other_time(text):
    with pytest.raises(InputError, match=r"^as_of: .* is not ") as caught:
        times.parse(text, where="as_of")
    assert len(str(caught.value)) < 350
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("year", ["0000", "0001", "1600", "1677", "2262", "9999"])
def test_a_year_that_does_not_fit_is_out_of_range_and_not_wrapped_around(year):
    for text in (f"{year}-06-30T00:00:00Z", f"{year}-06-30T00:00:00-12:00", f"{year}-06-30"):
        with pytest.raises(InputError, match="out of range"):
            column(text, zone_name="Europe/Berlin")


def test_a_time_without_a_zone_is_refused_and_says_what_to_write():
    with pytest.raises(InputError, match=r"has no time zone; write an offset such as Z"):
        times.parse("2025-11-18T11:20:00")
    with pytest.raises(InputError, match=r"x\.csv: row 2: '2025-11-18' has no time zone; declare the zone"):
        column("2025-11-18T00:00Z", "2025-11-18")


@given(DATES, ZONES)
def test_a_declared_zone_is_applied_as_zoneinfo_does(naive, name):
    here = naive.replace(tzinfo=ZoneInfo(name))
    known = here.astimezone(dt.UTC).astimezone(ZoneInfo(name)).replace(tzinfo=None) == naive
    assume(known and here.utcoffset() == here.replace(fold=1).utcoffset())
    assert column(naive.isoformat(), zone_name=name)[0] == pd.Timestamp(here.astimezone(dt.UTC))


def test_the_zone_that_a_text_names_goes_before_the_declared_one():
    assert column("2025-07-01T12:00:00Z", zone_name="Europe/Berlin")[0] == utc(2025, 7, 1, 12)


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Europe/Berlin", "2025-03-30 02:30"),  # does not exist
        ("Europe/Berlin", "2025-10-26 02:30"),  # exists twice
        ("America/New_York", "2025-03-09 02:00"),
        ("America/New_York", "2025-11-02 01:59:59"),
        ("Australia/Lord_Howe", "2025-04-06 01:45"),  # half an hour only
        ("Pacific/Apia", "2011-12-30 12:00"),  # a day that was left out
    ],
)
def test_an_hour_of_a_clock_change_is_refused_and_with_its_offset_taken(zone, text):
    with pytest.raises(InputError, match=r"row 1: .* is ambiguous or does not exist in .* \(clock change\)"):
        column(text, zone_name=zone)
    assert column(f"{text}+01:00", zone_name=zone)[0] == times.parse(f"{text}+01:00")


def test_an_unknown_zone_names_the_nearest_even_for_an_empty_column():
    with pytest.raises(UnknownName, match="'Europe/Berln'; did you mean 'Europe/Berlin'"):
        column(zone_name="Europe/Berln")
    for name in ("CET+1", "../../etc/passwd", "/etc/localtime", "x" * 10_000):
        with pytest.raises(UnknownName, match="unknown time zone"):
            times.zone(name)


@given(st.datetimes(dt.datetime(1990, 1, 2), dt.datetime(2100, 12, 30)), st.sampled_from(times.FORMATS[1:]))
def test_a_count_since_1970_is_what_the_standard_library_counts(naive, form):
    time = naive.replace(tzinfo=dt.UTC)
    microseconds = (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    per_second = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}[form]
    whole, rest = divmod(microseconds * per_second, 10**6)
    text = f"{whole}.{rest:06}" if rest else str(whole)
    assert column(text, form=form)[0] == pd.Timestamp(time)


def test_counts_are_read_to_the_last_digit_as_text_and_as_numbers():
    assert column("1763464800000000001", form="epoch_ns")[0].value == 1763464800000000001
    assert column("1763464800.123456789", form="epoch_s")[0].value == 1763464800123456789
    assert column(1763464800.0, 1763464800, np.int64(1763464800), form="epoch_s").nunique() == 1


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("1763464800", "epoch_ms"), ("1763464800000", "epoch_s"), ("1763464800000", "epoch_us"), ("0", "epoch_s"),
        ("-1763464800", "epoch_s"), ("-1", "epoch_ns"), ("1763464800000000000", "epoch_us"), ("9" * 29, "epoch_s"),
    ],
)  # fmt: skip
def test_a_count_in_another_unit_asks_whether_the_unit_is_right(text, form):
    with pytest.raises(InputError, match=rf"read as {form} is the year .*; is the unit right\?"):
        column(text, form=form)


@pytest.mark.parametrize(
    "value",
    [
        "1.7634648e9",
        "1,763,464,800",
        "0x691c",
        "176\N{FULLWIDTH DIGIT THREE}",
        ".5",
        "5.",
        True,
        "inf",
        "9" * 5000,
        "1e9999",
    ],
)
def test_what_is_no_plain_count_is_refused(value):
    with pytest.raises(InputError, match="is not a plain number"):
        column(value, form="epoch_s")


@given(st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2100, 12, 31)).map(lambda time: time.replace(microsecond=0)))
def test_a_pattern_reads_what_strftime_writes(naive):
    for form in ("%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M%S", "%b %d, %Y %I:%M:%S %p", "%Y-%j %H:%M:%S"):
        assert column(naive.strftime(form), form=form, zone_name="UTC")[0] == pd.Timestamp(naive, tz="UTC")
    assert column(naive.strftime("%Y/%m/%d %H:%M:%S -0500"), form="%Y/%m/%d %H:%M:%S %z")[0] == pd.Timestamp(
        naive, tz=dt.timezone(dt.timedelta(hours=-5))
    )


@pytest.mark.parametrize("text", ["now", "today", "nan", "NaT", "None", "2025-11-18 x", "2025-02-31", "9" * 10_000])
def test_words_that_pandas_takes_for_times_are_no_times(text):
    with pytest.raises(InputError, match="is not a time of the form"):
        column(text, form="%Y-%m-%d", zone_name="UTC")


def test_a_pattern_that_reads_a_year_long_ago_is_refused():
    with pytest.raises(InputError, match="is the year 1925"):
        column("18.11.1925", form="%d.%m.%Y", zone_name="UTC")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("iso", "did you mean 'iso8601'"), ("ISO8601", "is no pattern"), ("mixed", "is no pattern"), ("",
        "is no pattern"),
        ("%H:%M", "year, month and day"), ("%b %d %H:%M:%S", "year, month and day"), ("%Y", "year, month and day"),
        ("%Y-%m-%d %I:%M", "needs %p"), ("%Y-%m-%d %Z", "use %z"), ("%", "no strptime pattern"), ("%Q", "no strptime"),
        ("%Y %Y", "no strptime pattern"), ("\x00%Y", ""), ("%s", "no strptime pattern"), ("%Y-%U %H:%M", "year, month"),
    ],
)  # fmt: skip
def test_a_form_that_leaves_something_to_a_default_is_refused(form, said):
    with pytest.raises(InputError) as caught:
        times.check_form(form)
    assert said in str(caught.value)
    with pytest.raises(InputError):
        column(form=form)


@given(st.text(st.sampled_from(string.ascii_letters + "%%%%%%()[]\\.-: "), max_size=12), st.text(max_size=12))
def test_no_form_and_no_text_end_in_another_error(form, text):
    with contextlib.suppress(RcaError):
        column(text, form=form, zone_name="UTC")


def test_missing_values_stay_missing_and_the_index_is_kept():
    empty = ["", None, " ", float("nan"), pd.NaT, pd.NA]
    values = pd.Series(["2025-11-18T11:20Z", *empty], index=list("abcdefg"), dtype=object)
    out = times.parse_column(values, where="x")
    assert out.isna().tolist() == [False] + [True] * 6
    assert out.index.tolist() == list("abcdefg")
    assert out.dtype == times.UTC
    assert times.parse_column(values[:0], where="x").dtype == times.UTC
    assert values["b"] == ""


def test_columns_that_a_file_typed_are_taken_as_typed_whatever_the_form():
    aware = pd.Series(pd.date_range("2025-11-18 12:20", periods=2, tz="Europe/Berlin").as_unit("s"))
    naive = aware.dt.tz_localize(None)
    for how in ({}, {"form": "epoch_ms"}, {"form": "%d.%m.%Y"}):
        assert times.parse_column(aware, where="x", **how)[0] == utc(2025, 11, 18, 11, 20)
        assert times.parse_column(naive, where="x", zone_name="Europe/Berlin", **how)[0] == utc(2025, 11, 18, 11, 20)
        assert column(dt.datetime(2025, 11, 18, 11, 20, tzinfo=dt.UTC), **how)[0] == utc(2025, 11, 18, 11, 20)
    with pytest.raises(InputError, match="no time zone"):
        times.parse_column(naive, where="x")
    with pytest.raises(InputError, match="no time zone"):
        column(dt.date(2025, 11, 18))


def test_a_typed_column_keeps_its_nanoseconds_and_names_what_does_not_fit():
    fine = pd.Series(pd.to_datetime(["2025-01-01 00:00:00.123456789", None]))
    assert times.parse_column(fine, where="x", zone_name="UTC")[0].value % 10**9 == 123456789
    far = pd.Series(pd.DatetimeIndex(np.array(["9999-12-31"], dtype="datetime64[s]"), tz="UTC"))
    with pytest.raises(InputError, match=r"row 1: '9999-12-31 00:00:00.00:00' is out of range"):
        times.parse_column(far, where="x")


def test_problems_name_the_file_and_the_row_and_stop_after_a_few():
    with pytest.raises(InputError) as caught:
        column(*[f"bad {number}" for number in range(100)], rows=range(11, 111), unit="line")
    assert caught.value.problems[0].startswith("x.csv: line 11: 'bad 0' is not")
    assert caught.value.problems[-1] == "x.csv: and 95 more values like these"
    assert len(caught.value.problems) == 6


@given(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)))
def test_a_time_that_is_shown_is_read_back_to_the_second(naive):
    time = pd.Timestamp(naive, tz="UTC")
    assert times.parse(times.show(time)) == time.floor("s")


def test_the_basis_of_the_zone_is_what_the_text_or_the_source_says():
    for text in ("2025-11-18T11:20Z", "2025-11-18 11:20+00", "2025-11-18 11:20 -0500", "2025-11-18 11:20 UTC"):
        assert times.zone_basis(text, "iso8601") == "explicit"
    assert times.zone_basis("2025-11-18", "iso8601") == "declared"
    assert times.zone_basis("18-11-2025", "%d-%m-%Y") == "declared"
    assert times.zone_basis("18-11-2025 +0100", "%d-%m-%Y %z") == "explicit"
    assert times.zone_basis(1763464800, "epoch_s") == "explicit"
    assert times.zone_basis(dt.datetime(2025, 1, 1), "iso8601") == "declared"
    assert times.zone_basis(dt.datetime(2025, 1, 1, tzinfo=dt.UTC), "%d.%m.%Y") == "explicit"
    assert times.zone_basis("", "iso8601") == times.zone_basis(None, "epoch_s") == ""

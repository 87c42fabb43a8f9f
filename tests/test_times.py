"""Times: text to UTC, checked against the standard library, and never by guessing."""

import calendar
import contextlib
import datetime as dt
import decimal
import email.utils
import importlib.resources
import string
import struct
import zoneinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, strategies as st

from rca import times
from rca.errors import InputError, RcaError, UnknownName

DATES = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
OFFSETS = st.integers(-12 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
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
    assume(abs(naive - dt.datetime(1970, 1, 1)) > dt.timedelta(days=2))
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


@given(st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2069, 12, 31)), st.sampled_from(times.FORMATS[1:]))
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


@given(st.datetimes(dt.datetime(1980, 1, 1), dt.datetime(2200, 1, 1)), st.sampled_from(("Asia/Kolkata", "US/Hawaii")))
def test_a_time_of_another_zone_is_shown_in_utc(naive, name):
    time = pd.Timestamp(naive, tz="UTC")
    assert times.show(time.tz_convert(name)) == times.show(time)
    assert times.show(time.tz_convert(name).to_pydatetime()) == times.show(time)


def test_a_time_without_a_zone_is_not_shown_as_utc():
    assert times.show(pd.Timestamp("2025-11-18T11:20:05")) == "2025-11-18 11:20:05"


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


def clock(year, month, day, hour=0, minute=0, second=0, ns=0):
    """Nanoseconds since 1970, as the C library counts."""
    return calendar.timegm((year, month, day, hour, minute, second)) * 10**9 + ns


NOON = clock(2025, 11, 18, 11, 20)
HOUR = 3600 * 10**9
READ = {
    # ISO 8601 as systems write it
    "2025-11-18T11:20:00.1Z": NOON + 100_000_000,
    "2025-11-18T11:20:00.123Z": NOON + 123_000_000,  # Kubernetes, Elastic
    "2025-11-18T11:20:00.123456Z": NOON + 123_456_000,  # Python
    "2025-11-18T11:20:00.1234567Z": NOON + 123_456_700,  # .NET
    "2025-11-18T11:20:00.123456789Z": NOON + 123_456_789,  # Go, containers
    "2025-11-18T11:20:00.123456789000Z": NOON + 123_456_789,
    "2025-11-18T11:20:00.000+0000": NOON,  # Jira
    "2025-11-18T12:20:00,123+01:00": NOON + 123_000_000,
    "2025-11-18 12:20:00+01": NOON,  # PostgreSQL
    "2025-11-18 11:20:00.123 UTC": NOON + 123_000_000,
    "2025-11-18 11:20:00 GMT": NOON,
    "2025-11-18T11:20:00-00:00": NOON,
    "2025-11-18T12:13:28+00:53:28": NOON,  # a zone before 1893
    "2025-11-18T17:05+05:45": NOON,
    "2025-11-19T01:20:00+14:00": NOON,
    "2025-11-17T23:20:00-12:00": NOON,
    "20251118T112000Z": NOON,
    "20251118T112000.123Z": NOON + 123_000_000,
    "20251118T1220+0100": NOON,
    "20251118T122000+01": NOON,
    "2025/11/18 11:20:00Z": NOON,
    # a zone in brackets
    "2025-11-18T12:20:00+01:00[Europe/Berlin]": NOON,  # Java
    "2025-11-18T12:20:00[Europe/Berlin]": NOON,
    "2025-11-18T11:20Z[UTC]": NOON,
    "2025-11-18T11:20:00Z[Europe/Berlin]": NOON,  # RFC 9557: Z says nothing about the place
    "2025-11-18t11:20:00z[Europe/Berlin]": NOON,
    "2025-10-26T02:30:00+02:00[Europe/Berlin]": clock(2025, 10, 26, 0, 30),
    "2025-10-26T02:30:00+01:00[Europe/Berlin]": clock(2025, 10, 26, 1, 30),
    # the month in letters
    "Tue, 18 Nov 2025 11:20:00 GMT": NOON,  # HTTP
    "Tue, 18 Nov 2025 12:20:00 +0100": NOON,  # mail
    "18 Nov 2025 06:20 -0500": NOON,
    "Tue, 18 Nov 2025 12:20:00 +0100 (CET)": NOON,
    "Tue, 4 Nov 2025 11:20:00 -0000": clock(2025, 11, 4, 11, 20),
    "Tue Nov 18 12:20:00 2025 +0100": NOON,  # git
    "Tue Nov  4 12:20:00 2025 +0100": clock(2025, 11, 4, 11, 20),
    "Tue Nov 18 11:20:00 UTC 2025": NOON,  # date
    "Tue Nov 18 2025 12:20:00 GMT+0100 (Central European Standard Time)": NOON,  # JavaScript
    "18/Nov/2025:12:20:00 +0100": NOON,  # Apache
    "[18/Nov/2025:12:20:00 +0100]": NOON,
    "18/nov/2025:12:20:00.5 +0100": NOON + 500_000_000,
    "2025-11-18 12:20:00.123456789 +0100 CET m=+0.012345": NOON + 123_456_789,  # Go
    "2025-11-18 11:20:00 +0000 UTC": NOON,
    "2025-11-18 08:20:00 -0300 -03": NOON,
    # the ends
    "2038-01-19T03:14:08Z": 2**31 * 10**9,
    "2262-04-11T23:47:16.854775807Z": 2**63 - 1,
    "1677-09-21T00:12:43.145224193Z": -(2**63) + 1,
    "2016-12-31T23:59:60Z": clock(2017, 1, 1) - 1,
    "2016-12-31T23:59:60.999Z": clock(2017, 1, 1) - 1,
    "2012-07-01T08:59:60+09:00": clock(2012, 7, 1) - 1,
}  # fmt: skip
DECLARED = {  # where the source declares Europe/Berlin
    "2025-11-18 12:20:00,123": NOON + 123_000_000,  # Java, Python
    "2025-11-18T12:20": NOON,
    "2025/11/18 12:20:00": NOON,  # nginx
    "20251118T122000": NOON,
    "Tue Nov 18 12:20:00 2025": NOON,  # C
    "18 Nov 2025 12:20:00": NOON,
    "18/Nov/2025:12:20:00": NOON,
    "2025-11-18": clock(2025, 11, 17, 23),
    "2016-12-31T23:59:60[UTC]": clock(2017, 1, 1) - 1,
    "2017-01-01 00:59:60": clock(2017, 1, 1) - 1,
    "1893-03-31 12:00:00": clock(1893, 3, 31, 11, 6, 32),  # before the clocks of Berlin showed +01:00
}
REFUSED = {
    "2025-11-18T11:20:00.1234567891Z": "tenth digit",
    "2025-11-18T11:20:00.0000000001Z": "tenth digit",
    "2025-W47-2T11:20Z": "week date",
    "2025W472T112000Z": "week date",
    "2025-322T11:20Z": "ordinal date",
    "2025322": "ordinal date",
    "2025-11-18T24:00:00Z": "hour 24 is hour 00 of the next day",
    "2025-11-18T25:00:00Z": "no 25:00",
    "2025-11-18T11:60:00Z": "no 11:60",
    "2025-11-18T11:20:61Z": "no second 61",
    "2025-11-18T23:59:60Z": "no leap second then",
    "2016-12-31T23:58:60Z": "no leap second then",
    "2016-12-31T23:59:60+01:00": "no leap second then",
    "2025-06-30T23:59:60Z": "no leap second then",
    "2025-02-29T11:20Z": "no day 2025-02-29",
    "31/Nov/2025:11:20:00 +0000": "no day 2025-11-31",
    "20251318T112000Z": "no day 2025-13-18",
    "2025-11-18": "no time zone",
    "2025-11-18T11:20:00": "no time zone",
    "Tue Nov 18 11:20:00 2025": "no time zone",
    "2025-11-18T11:20:00+15:00": "no place keeps the offset [+]15:00",
    "2025-11-18T11:20:00-12:30": "no place keeps the offset -12:30",
    "2025-11-18T11:20:00+14:01": "no place keeps",
    "2025-11-18T11:20:00+14:00:01": "no place keeps",
    "2025-11-18T11:20:00+23:59": "no place keeps",
    "2025-11-18T11:20:00+05:60": "no offset",
    "2025-11-18T11:20:00 CET": "an abbreviation",
    "2025-11-18 11:20:00 IST": "an abbreviation",
    "Tue, 18 Nov 2025 11:20:00 EST": "an abbreviation",
    "Tue Nov 18 11:20:00 CST 2025": "an abbreviation",
    "2025-11-18 11:20:00 UTC+1": "opposite",
    "2025-11-18 11:20:00 +0100 UTC": "says [+]0100 and UTC",
    "2025-11-18T12:20:00+02:00[Europe/Berlin]": "Europe/Berlin does not have the offset [+]02:00 then",
    "2025-10-26T02:30:00[Europe/Berlin]": "clocks go back and show it twice, from [+]02:00 to [+]01:00",
    "2025-03-30T02:30:00[Europe/Berlin]": "clocks go forward and skip it, from [+]01:00 to [+]02:00",
    "2025-03-30T02:30:00+01:00[Europe/Berlin]": "does not have the offset",
    "2025-11-18T12:20:00+01:00[Europe/Berln]": "did you mean 'Europe/Berlin'",
    "2025-11-18T12:20:00+01:00[+01:00]": "no zone name",
    "Mon, 18 Nov 2025 11:20:00 GMT": "2025-11-18 is no Mon but a Tue",
    "Tuesday, 18-Nov-25 11:20:00 GMT": "two digits",
    "18/Nov/25 11:20": "two digits",
    "[18/Nov/2025:11:20:00 +0100": "is not",
    "11/18/2025 11:20:00": "day and month can be exchanged",
    "11/12/2025 11:20:00 PM": "day and month can be exchanged",
    "18.11.2025 11:20": "day and month can be exchanged",
    "2025-11-18 11:20:00 PM": "12 hours",
    "Nov 18 11:20:00": "no year",
    "Tue Nov  4 11:20:00": "no year",
    "11:20:00": "no day",
    "20251118": "%Y%m%d'",
    "20251118112000": "%Y%m%d%H%M%S",
    "'2025-11-18T11:20:00Z'": "in quotes",
    '"2025-11-18T11:20:00Z"': "in quotes",
    "2025-11-18T11:20:00\N{MINUS SIGN}01:00": "MINUS SIGN",
    "\N{ARABIC-INDIC DIGIT TWO}025-11-18T11:20:00Z": "ARABIC-INDIC DIGIT TWO",
    "2025-11-18\N{NO-BREAK SPACE}11:20Z": "NO-BREAK SPACE",
    "0001-01-01T00:00:00Z": "no time is set",
    "1601-01-01T00:00:00Z": "no time is set",
    "9999-12-31T23:59:59Z": "no end",
    "1970-01-01T00:00:00Z": "a clock's zero",
    "1970-01-01 01:00:00+01:00": "a clock's zero",
    "1969-12-31T16:00:00-08:00": "a clock's zero",
    "1970-01-01T00:00:00-12:00": "a clock's zero",
    "1970-01-01T00:00:00+14:00": "a clock's zero",
    "2262-04-11T23:47:16.854775808Z": "out of range",
    "1677-09-21T00:12:43.145224192Z": "out of range",
    "/Date(1763464800000)/": "[.]NET's JSON: its number is epoch_ms",
    "1763464800": "seems to be epoch_s [(]2025-11-18[)]; declare it [(]time: {format: epoch_s}[)]",
    "1763464800.5": "format: epoch_s",
    "1763464800000": "format: epoch_ms",
    "1763464800000000": "format: epoch_us",
    "1763464800000000000": "format: epoch_ns",
    "134079384000000000": "Windows FILETIME.*2025-11-18",
    "638990616000000000": "ticks of [.]NET.*2025-11-18",
    "45979.4722222222": "spreadsheet's day number [(]2025-11-18[)]",
    "0": "not set",
    "null": "not known",
    "3 hours ago": "when it is read",
}  # fmt: skip


def test_the_spellings_of_the_field_are_read_to_the_nanosecond():
    assert {text: times.moment(text).ns for text in READ} == READ
    assert {times.moment(text).basis for text in READ} == {times.zone_basis(text, "iso8601") for text in READ}
    assert {times.zone_basis(text, "iso8601") for text in READ} == {"explicit"}
    assert column(*READ).astype("int64").tolist() == list(READ.values())
    assert times.moment(f"  {next(iter(READ))}\n").ns == next(iter(READ.values()))


def test_a_spelling_without_an_offset_is_read_in_the_declared_zone_and_says_so():
    found = {text: times.moment(text, zone_name="Europe/Berlin") for text in DECLARED}
    assert {text: moment.ns for text, moment in found.items()} == DECLARED
    for text, moment in found.items():
        assert moment.basis == times.zone_basis(text, "iso8601") == ("explicit" if "[" in text else "declared")
    assert column(*DECLARED, zone_name="Europe/Berlin").astype("int64").tolist() == list(DECLARED.values())


@pytest.mark.parametrize("text", REFUSED)
def test_what_can_be_read_in_two_ways_is_refused_with_the_reason(text):
    with pytest.raises(InputError, match=REFUSED[text]) as caught:
        times.moment(text)
    assert str(caught.value).startswith("time: ")
    assert len(caught.value.problems) == 1
    with pytest.raises(InputError, match=REFUSED[text]):
        column(text)


@given(DATES.map(lambda time: time.replace(microsecond=0)), OFFSETS)
def test_what_other_libraries_write_is_read_back(naive, offset):
    assume(abs(naive - dt.datetime(1970, 1, 1)) > dt.timedelta(days=3))
    time = naive.replace(tzinfo=offset)
    ns = (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(seconds=1) * 10**9
    for text in (
        email.utils.format_datetime(time), f"{time:%a %b %d %H:%M:%S %Y %z}", f"{time:%d/%b/%Y:%H:%M:%S %z}",
        f"{time:%Y%m%dT%H%M%S%z}", f"{time:%a %b %d %Y %H:%M:%S GMT%z (there)}", f"{time:%Y/%m/%d %H:%M:%S %z}",
    ):  # fmt: skip
        assert times.moment(text).ns == ns
    assert times.moment(naive.ctime(), zone_name="UTC").ns == calendar.timegm(naive.timetuple()) * 10**9


@given(DATES, OFFSETS, st.integers(0, 999), st.sampled_from(".,"), st.integers(0, 9))
def test_a_moment_is_what_the_standard_library_counts_to_the_nanosecond(naive, offset, rest, mark, digits):
    assume(abs(naive - dt.datetime(1970, 1, 1)) > dt.timedelta(days=3))
    time = naive.replace(tzinfo=offset)
    micro = (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    fraction = f"{naive.microsecond:06}{rest:03}"[:digits]
    ns = micro // 10**6 * 10**9 + int(fraction.ljust(9, "0"))
    text = f"{naive:%Y-%m-%dT%H:%M:%S}{mark if digits else ''}{fraction}{time.isoformat()[-6:]}"
    assert times.moment(text) == (ns, text, "explicit")


@given(st.text(st.sampled_from("0123456789TZ:.,+-/[] aNovTueUTC"), max_size=30), st.sampled_from(times.FORMATS))
def test_no_text_ends_in_another_error_and_every_reason_is_one_short_line(text, form):
    try:
        times.moment(text, form=form, zone_name="Europe/Berlin")
    except InputError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 350


def test_counts_as_numbers_keep_every_digit_or_are_refused():
    assert times.moment(1763464800000000001, form="epoch_ns") == (
        1763464800000000001,
        "1763464800000000001",
        "explicit",
    )
    assert times.moment(1763464800.25, form="epoch_s").ns == NOON + 250_000_000
    assert times.moment(np.int64(1763464800123), form="epoch_ms").ns == NOON + 123_000_000
    assert times.moment(decimal.Decimal("1763464800.123456789"), form="epoch_s").ns == NOON + 123_456_789
    assert times.moment("1763464800.1234567890", form="epoch_s").ns == NOON + 123_456_789
    for value in (1.763464800e18, np.float32(1763464800)):
        with pytest.raises(InputError, match="has lost digits"):
            times.moment(value, form="epoch_ns")
    for text, form in (("1763464800.1234567891", "epoch_s"), ("1763464800000000001.5", "epoch_ns")):
        with pytest.raises(InputError, match="that nanoseconds can hold"):
            times.moment(text, form=form)
    with pytest.raises(InputError, match=r"x\.csv: times are numbers of float32"):
        times.parse_column(pd.Series([1763464800], dtype="float32"), form="epoch_s", where="x.csv")
    assert times.moment(None) == times.moment(" ") == times.moment(float("nan"), form="epoch_s") == (None, "", "")


def test_a_power_of_ten_is_read_only_if_no_digit_can_be_missing():
    assert times.moment("1.763464801e9", form="epoch_s").ns == NOON + 10**9
    assert times.moment("1.76346480012e+09", form="epoch_s").ns == NOON + 120_000_000
    assert times.moment("1.763464800123E12", form="epoch_ms").ns == NOON + 123_000_000
    for text, form in (
        ("1.76346E+12", "epoch_ms"),
        ("1.7634648e9", "epoch_s"),
        ("1.76346480e9", "epoch_s"),
        ("2e9", "epoch_s"),
    ):
        with pytest.raises(InputError, match="may be rounded; export all digits"):
            times.moment(text, form=form)


@pytest.mark.parametrize(
    ("value", "form", "said"),
    [
        (785157600, "epoch_s", "the year 1994; .* Apple time, seconds since 2001 [(]2025-11-18[)]"),
        (3972453600, "epoch_s", "the year 2095; .* NTP time, seconds since 1900 [(]2025-11-18[)]"),
        (638990616000000000, "epoch_ns", "the year 1990; .* ticks of [.]NET.* [(]2025-11-18[)]"),
        (134079384000000000, "epoch_ns", "the year 1974; .* FILETIME"),
        (13407938400000000, "epoch_us", "the year 2394; .* WebKit"),
        (1763464800, "epoch_ms", "the year 1970; .* seems to be epoch_s [(]2025-11-18[)]"),
        (1763464800000, "epoch_s", "the year 9999 or later; .* seems to be epoch_ms [(]2025-11-18[)]"),
        (0, "epoch_s", "the year 1970; .* 'not set'"),
        (-62135596800, "epoch_s", "the year 1; is the unit right"),
        (-(10**30), "epoch_s", "is not a plain number|the year 0 or earlier"),
    ],
)
def test_a_count_of_another_clock_is_refused_and_named(value, form, said):
    with pytest.raises(InputError, match=said):
        times.moment(value, form=form)


def test_incident_yaml_may_name_1970_and_no_time_that_64_bits_do_not_hold():
    assert times.parse("1970-01-01T00:00:00Z").value == 0
    with pytest.raises(InputError, match="out of range"):
        times.parse("1677-09-21T00:12:43.145224192Z")
    for text in ("Tue, 18 Nov 2025 11:20:00 GMT", "20251118T112000Z", "2025-11-18T11:20Z[UTC]"):
        with pytest.raises(InputError, match="is not an ISO 8601 time"):
            times.parse(text)


def test_a_typed_zero_of_a_clock_is_refused_too():
    for value in (pd.Timestamp(0, tz="UTC"), dt.datetime(1970, 1, 1), dt.date(1970, 1, 1)):
        with pytest.raises(InputError, match="a clock's zero"):
            times.moment(value, zone_name="Europe/Berlin")


def test_no_reason_is_looked_for_in_a_text_of_any_length():
    with pytest.raises(InputError, match="in quotes"):
        times.moment(f"'{'x' * 100}'")
    with pytest.raises(InputError, match=r"00Z$"):
        times.moment(f"'{'x' * 1000}'")


def test_a_wrong_text_that_is_repeated_is_named_once():
    with pytest.raises(InputError) as caught:
        column("bad", "2025-11-18T11:20Z", "bad", "worse", "bad")
    assert [problem.split(" is not")[0] for problem in caught.value.problems] == [
        "x.csv: row 1: 'bad'", "x.csv: row 4: 'worse'",
    ]  # fmt: skip


def test_a_pattern_does_not_take_an_offset_that_no_place_keeps():
    assert times.moment("18.11.2025 11:20 +0100", form="%d.%m.%Y %H:%M %z").ns == NOON - HOUR
    with pytest.raises(InputError, match="no place keeps the offset -15:00"):
        times.moment("18.11.2025 11:20 -1500", form="%d.%m.%Y %H:%M %z")


def test_a_typed_local_time_of_the_repeated_hour_keeps_the_offset_that_it_has():
    berlin = ZoneInfo("Europe/Berlin")
    first = dt.datetime(2025, 10, 26, 2, 30, tzinfo=berlin)
    both = [first, first.replace(fold=1)]
    assert column(*both).tolist() == [utc(2025, 10, 26, 0, 30), utc(2025, 10, 26, 1, 30)]
    assert [times.moment(value).ns for value in both] == [clock(2025, 10, 26, 0, 30), clock(2025, 10, 26, 1, 30)]
    with pytest.raises(InputError, match="twice"):
        times.moment(first.replace(tzinfo=None, fold=1), zone_name="Europe/Berlin")


def test_a_leap_second_comes_after_its_day_and_before_the_next():
    days = (importlib.resources.files("tzdata") / "zoneinfo" / "leapseconds").read_text(encoding="utf-8")
    leaps = {tuple(line.split()[1:4]) for line in days.splitlines() if line.startswith("Leap")}
    for year in range(1972, 2038):
        for month, day, name in ((6, 30, "Jun"), (12, 31, "Dec")):
            text = f"{year}-{month:02}-{day}T23:59:60Z"
            if (str(year), name, str(day)) in leaps:
                assert (
                    times.moment(f"{text[:-3]}59.9Z").ns < times.moment(text).ns < clock(year, month, day) + 24 * HOUR
                )
            else:
                with pytest.raises(InputError, match="no leap second"):
                    times.moment(text)


def transitions(name):
    """Instant in seconds, offset before and after, of every change in the zone's file (RFC 8536)."""
    files = [Path(folder) / name for folder in zoneinfo.TZPATH]
    file = next((path for path in files if path.exists()), importlib.resources.files("tzdata") / "zoneinfo" / name)
    data = file.read_bytes()
    isut, isstd, leap, count, types, letters = struct.unpack(">6l", data[20:44])
    data = data[44 + count * 5 + types * 6 + letters + leap * 8 + isstd + isut :]
    count, types = struct.unpack(">2l", data[32:40])
    body = data[44:]
    kinds = [struct.unpack(">l", body[count * 9 + kind * 6 :][:4])[0] for kind in range(types)]
    after = [kinds[index] for index in body[count * 8 : count * 9]]
    instants = struct.unpack(f">{count}q", body[: count * 8])
    rows = zip(instants, [kinds[0], *after], after, strict=False)
    return tuple(row for row in rows if row[1] != row[2] and clock(1970, 1, 2) <= row[0] * 10**9 < clock(2038, 1, 1))


def local(second):
    return (dt.datetime(1970, 1, 1) + dt.timedelta(seconds=second)).isoformat(" ")


CHANGES = {transitions(name): name for name in sorted(zoneinfo.available_timezones())}


def test_every_change_of_clocks_of_every_zone_is_found_to_the_second():
    assert sum(map(len, CHANGES)) > 10_000
    for changes, name in CHANGES.items():
        for instant, before, after in changes[-30::4]:
            first, end = sorted((instant + before, instant + after))
            assert times.moment(local(first - 1), zone_name=name).ns == (first - 1 - before) * 10**9
            assert times.moment(local(end), zone_name=name).ns == (end - after) * 10**9
            for inside in (first, end - 1):
                with pytest.raises(InputError, match="twice" if before > after else "skip"):
                    times.moment(local(inside), zone_name=name)
                assert times.constant_offset(name, local(inside)[:10]) is None


@pytest.mark.parametrize("name", ["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "UTC"])
def test_clock_changes_are_those_of_the_zone_file(name):
    found = times.clock_changes(name, utc(1970, 1, 2), utc(2037, 12, 31, 23, 59, 59))
    wanted = transitions(name)
    assert [stamp.timestamp() for stamp in found["time"]] == [instant for instant, _, _ in wanted]
    assert found["before"].dt.total_seconds().tolist() == [before for _, before, _ in wanted]
    assert found["after"].dt.total_seconds().tolist() == [after for _, _, after in wanted]
    length = (found["local_end"] - found["local_start"]).dt.total_seconds()
    assert length.tolist() == [abs(after - before) for _, before, after in wanted]
    assert found["change"].tolist() == ["skipped" if after > before else "repeated" for _, before, after in wanted]
    assert found.dtypes.astype(str).to_dict() == {
        "time": times.UTC, "before": "timedelta64[ns]", "after": "timedelta64[ns]", "change": "str",
        "local_start": "datetime64[ns]", "local_end": "datetime64[ns]",
    }  # fmt: skip


def test_half_an_hour_is_repeated_on_lord_howe():
    found = times.clock_changes("Australia/Lord_Howe", utc(2025, 4, 1), utc(2025, 4, 30)).iloc[0]
    assert found["time"] == utc(2025, 4, 5, 15)
    assert (found["local_start"], found["local_end"]) == (pd.Timestamp(2025, 4, 6, 1, 30), pd.Timestamp(2025, 4, 6, 2))


def test_clock_changes_hold_both_ends_of_the_stretch_and_refuse_what_is_none():
    change, second = utc(2025, 10, 26, 1), pd.Timedelta(seconds=1)
    assert len(times.clock_changes("Europe/Berlin", change, change)) == 1
    assert len(times.clock_changes("Europe/Berlin", change - second, change)) == 1
    assert times.clock_changes("Europe/Berlin", change + second, change + second).empty
    assert times.clock_changes("Europe/Berlin", change - second, change - second).empty
    with pytest.raises(InputError, match="need a time zone"):
        times.clock_changes("Europe/Berlin", change.tz_localize(None), change)
    with pytest.raises(InputError, match="is before start"):
        times.clock_changes("Europe/Berlin", change, change - second)
    with pytest.raises(UnknownName):
        times.clock_changes("Europe/Berln", change, change)


@given(st.dates(dt.date(1800, 1, 1), dt.date(2200, 1, 1)), ZONES)
def test_an_offset_is_constant_on_a_day_if_all_its_minutes_have_it(day, name):
    start = dt.datetime.combine(day, dt.time())
    minutes = [
        start + dt.timedelta(minutes=minute, seconds=second)
        for minute in range(1440)
        for second in (0, 59)
        if minute % 5 in (0, 4)
    ]
    found = {minute.replace(tzinfo=ZoneInfo(name), fold=fold).utcoffset() for minute in minutes for fold in (0, 1)}
    wanted = found.pop() // dt.timedelta(microseconds=1) * 1000 if len(found) == 1 else None
    assert times.constant_offset(name, day.isoformat()) == wanted


def test_a_few_minutes_that_are_repeated_before_midnight_are_seen():
    assert times.constant_offset("Africa/Cairo", "1900-09-30") is None  # 23:54:51 to 24:00 came twice
    assert times.constant_offset("Africa/Cairo", "1900-10-01") == 2 * HOUR


@pytest.mark.parametrize("day", ["", "2025-02-29", "2025-13-01", "18.11.2025", "20251118", "0001-01-01", "9999-12-31"])
def test_what_is_no_day_has_no_constant_offset(day):
    assert times.constant_offset("Europe/Berlin", day) is None
    with pytest.raises(UnknownName):
        times.constant_offset("Europe/Berln", day)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_a_zone_taken_as_either_side_reads_the_repeated_hour_one_way_and_all_else_as_the_zone(zone):
    changes = times.clock_changes(zone, pd.Timestamp("2025-01-01T00:00Z"), pd.Timestamp("2026-01-01T00:00Z"))
    assert set(changes["change"]) == {"skipped", "repeated"}
    for row in changes.itertuples():
        wall = row.local_start + (row.local_end - row.local_start) / 2
        text = wall.isoformat(sep=" ")
        if row.change == "skipped":
            for side in times.sides(zone):
                with pytest.raises(InputError, match="skip it"):
                    times.moment(text, zone_name=side)
            continue
        # the standard library's own fold is the judge
        place = ZoneInfo(zone)
        both = [pd.Timestamp(wall.to_pydatetime().replace(tzinfo=place, fold=fold)) for fold in (0, 1)]
        read = [times.moment(text, zone_name=side) for side in times.sides(zone)]
        assert [moment.ns for moment in read] == [stamp.tz_convert("UTC").value for stamp in both]
        assert {moment.basis for moment in read} == {"declared"}
        with pytest.raises(times.RepeatedHour, match=times.TWICE) as caught:
            times.moment(text, zone_name=zone)
        assert [caught.value.first, caught.value.second] == [moment.ns for moment in read]
        later = (wall + pd.Timedelta("7D")).isoformat()
        assert len({times.moment(later, zone_name=name).ns for name in (zone, *times.sides(zone))}) == 1


def test_nobody_can_declare_one_side_of_a_zone():
    for name in times.sides("Europe/Berlin"):
        with pytest.raises(InputError, match="unknown time zone"):
            times.zone(name)

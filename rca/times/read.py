"""One time, or a column of them, as an export gives it: text, number or typed value."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, shorten
from rca.times.counts import SCALES, count, in_range
from rca.times.instants import OUT_OF_RANGE, check_offset, checked, instant
from rca.times.spellings import ISO, spelled
from rca.times.zones import RepeatedHour, from_wall, zone

__all__ = ["FORMATS", "UTC", "Moment", "check_form", "moment", "parse", "parse_column", "show", "zone_basis"]

UTC = "datetime64[ns, UTC]"
FORMATS = ("iso8601", *SCALES)
_PLAUSIBLE = range(1990, 2101)  # of patterns, where a wrong field still gives some time
_LISTED = 5
_EXACT = 2**53  # the first integer that a 64-bit float may have rounded to
_REMEDY = "declare the zone of this source (time: {zone: Europe/Berlin})"
_MISSING = np.iinfo(np.int64).min


class Moment(NamedTuple):
    """A time as an export gives it.

    Attributes
    ----------
    ns : int or None
        Nanoseconds since 1970 in UTC; None when undated.
    text : str
        As received.
    basis : str
        How its zone is known: ``explicit``, ``declared``, ``assumed``, or empty when undated.
    """

    ns: int | None
    text: str
    basis: str


def check_form(form: str) -> str:
    """Return `form` unchanged if it says how to read a whole date without a guess.

    Parameters
    ----------
    form : str
        One of `FORMATS`, or a ``strptime`` pattern with year, month and day, such as ``%d.%m.%Y %H:%M``.

    Returns
    -------
    str
        The same.

    Raises
    ------
    InputError
        If it is neither, or leaves a part to a default: the year, the day, or which half of the day.

    Examples
    --------
    >>> check_form("%H:%M")
    Traceback (most recent call last):
        ...
    rca.errors.InputError: time format '%H:%M' does not give year, month and day
    """
    if form in FORMATS:
        return form
    if "%" not in form:
        raise UnknownName(f"time format {shorten(form)} is no pattern such as %Y-%m-%d{did_you_mean(form, FORMATS)}")
    if "%Z" in form:
        raise InputError(f"time format {shorten(form)}: %Z is a name, which is no offset; use %z, or declare the zone")
    probe = dt.datetime(2025, 11, 18, 23, 45, 56, tzinfo=dt.UTC)
    try:
        back = dt.datetime.strptime(probe.strftime(form), form)
    except (ValueError, re.error) as error:
        raise InputError(f"time format {shorten(form)} is no strptime pattern ({error})") from error
    if back.date() != probe.date():
        raise InputError(f"time format {shorten(form)} does not give year, month and day")
    if back.hour not in (0, probe.hour):
        raise InputError(f"time format {shorten(form)}: %I needs %p (AM or PM); use %H for 24 hours")
    return form


def parse(text: str, *, where: str = "time") -> pd.Timestamp:
    """Return one ISO 8601 time that names its offset as UTC.

    Parameters
    ----------
    text : str
        For example ``2025-11-18T11:20:00Z``.
    where : str
        Place for the error message.

    Examples
    --------
    >>> parse("2025-11-18 12:20+01:00")
    Timestamp('2025-11-18 11:20:00+0000', tz='UTC')
    >>> parse("2025-11-18 12:20")
    Traceback (most recent call last):
        ...
    rca.errors.InputError: time: '2025-11-18 12:20' has no time zone; write an offset such as Z or +01:00
    """
    text = text.strip()
    try:
        ns, _ = instant(text, None, "write an offset such as Z or +01:00", iso_only=True)
    except InputError as error:
        raise InputError(f"{where}: {shorten(text)} {error}") from error
    return pd.Timestamp(ns, unit="ns", tz="UTC")


def parse_column(
    values: pd.Series,
    *,
    form: str = "iso8601",
    zone_name: str | None = None,
    where: str,
    rows: Sequence[Hashable] | None = None,
    unit: str = "row",
) -> pd.Series:
    """Return a column of times as UTC; missing and empty values stay missing.

    Parameters
    ----------
    values : Series
        Text, numbers, or times that a file format already typed (Parquet).
    form : str, default "iso8601"
        As for `moment`; values that are typed as times need none.
    zone_name : str, optional
        Zone of times that name none, as declared for the source.
    where : str
        Place for error messages, usually the file.
    rows : sequence, optional
        Row numbers for error messages; default counts from 1.
    unit : str, default "row"
        What is numbered.

    Returns
    -------
    Series
        Same index, dtype ``datetime64[ns, UTC]``.

    Raises
    ------
    InputError
        Listing the first rows that cannot be read, or that lack a zone.

    Examples
    --------
    >>> parse_column(pd.Series(["1763464800", ""]), form="epoch_s", where="x.csv")[0]
    Timestamp('2025-11-18 11:20:00+0000', tz='UTC')
    """
    check_form(form)
    if zone_name is not None:
        zone(zone_name)
    if values.dtype.kind == "f" and values.dtype.itemsize < 8 and values.notna().any():
        raise InputError(
            f"{where}: times are numbers of {values.dtype}, which has rounded them; export integers or text"
        )
    numbers = rows if rows is not None else range(1, len(values) + 1)
    known: dict[str, int] = {"": _MISSING}
    out, problems = np.full(len(values), _MISSING, dtype=np.int64), []
    for place, (row, value) in enumerate(zip(numbers, values, strict=True)):
        try:
            key = _key(value)
            if not isinstance(key, str):
                out[place], _ = _read(key, form, zone_name)
            elif key in known:
                out[place] = known[key]
            else:
                known[key] = _MISSING  # a wrong text is named once
                known[key], _ = _read(key, form, zone_name)
                out[place] = known[key]
        except InputError as error:
            problems.append(f"{where}: {unit} {row}: {shorten(value)} {error}")
    if problems:
        more = [f"{where}: and {len(problems) - _LISTED} more values like these"] if len(problems) > _LISTED else []
        raise InputError("\n".join(problems[:_LISTED] + more))
    return pd.Series(pd.DatetimeIndex(out.view("datetime64[ns]"), tz="UTC"), index=values.index, dtype=UTC)


def _key(value: object) -> str | dt.date:
    """Return a value as text, or as the typed time that it is; a missing one is empty."""
    if isinstance(value, str):
        return value.strip()
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, dt.date):
        return value
    if isinstance(value, (float, np.floating)):
        if value != value:
            return ""
        if not isinstance(value, float) or abs(value) >= _EXACT:
            raise InputError("is a floating-point number that has lost digits; export integers or text")
        return str(int(value)) if value.is_integer() else repr(float(value))
    return str(value).strip()


def _read(value: str | dt.date, form: str, zone_name: str | None) -> tuple[int, str]:
    """Return one time in nanoseconds and the basis of its zone; messages go on after the time."""
    if not isinstance(value, str):
        return _typed(value, zone_name)
    if form == "iso8601":
        return instant(value, zone_name, _REMEDY)
    if form in SCALES:
        return count(value, form), "explicit"
    return _typed(_pattern(value, form), zone_name)


def _pattern(text: str, form: str) -> dt.datetime:
    try:
        time = dt.datetime.strptime(text, form)
    except (ValueError, OverflowError) as error:
        raise InputError(f"is not a time of the form {form} ({shorten(error, 120)})") from error
    if time.year not in _PLAUSIBLE:
        raise InputError(f"read as {form} is the year {time.year}")
    offset = time.utcoffset()
    if offset is not None:
        check_offset(offset // dt.timedelta(seconds=1))
    return time


def _typed(value: dt.date, zone_name: str | None) -> tuple[int, str]:
    try:
        stamp = pd.Timestamp(value).as_unit("ns")
    except (pd.errors.OutOfBoundsDatetime, OverflowError) as error:
        raise InputError(OUT_OF_RANGE) from error
    if stamp.tzinfo is not None:
        return checked(int(stamp.value)), "explicit"
    if zone_name is None:
        raise InputError(f"has no time zone; {_REMEDY}")
    return checked(from_wall(int(stamp.value), zone_name)), "declared"


def moment(value: object, *, form: str = "iso8601", zone_name: str | None = None) -> Moment:
    """Return one time of an export; a missing or empty value is undated.

    Parameters
    ----------
    value : object
        Text, a number, or a typed time.
    form : str, default "iso8601"
        One of `FORMATS`, or a ``strptime`` pattern; ``iso8601`` includes the other spellings that are clear by
        themselves, such as those of mail, git and web servers (see `rca.times`).
    zone_name : str, optional
        Zone of a time that names none, as declared for the source.

    Returns
    -------
    Moment
        In nanoseconds since 1970.

    Raises
    ------
    InputError
        If it cannot be read, or names no zone and none is declared, with the reason; without a place.
    RepeatedHour
        An InputError that knows the two instants that the time may mean.

    Examples
    --------
    >>> moment("18/Nov/2025:12:20:00 +0100").ns
    1763464800000000000
    >>> moment(1763464800, form="epoch_s")
    Moment(ns=1763464800000000000, text='1763464800', basis='explicit')
    """
    if type(value) is int and form in SCALES:
        ns = value * SCALES[form]
        if in_range(ns):
            return Moment(ns, str(value), "explicit")
    try:
        key = value.strip() if type(value) is str else _key(value)
        if not key:
            return Moment(None, "", "")
        ns, basis = _read(key, form, zone_name)
    except RepeatedHour as error:
        raise RepeatedHour(f"time: {shorten(value)} {error}", error.first, error.second) from error
    except InputError as error:
        raise InputError(f"time: {shorten(value)} {error}") from error
    return Moment(ns, str(key), basis)


def zone_basis(value: object, form: str) -> str:
    """Return how the zone of a time is known: ``explicit`` in what is written, ``declared`` for its source, or "".

    Examples
    --------
    >>> zone_basis("2025-11-18T11:20Z", "iso8601"), zone_basis("18.11.2025 12:20", "%d.%m.%Y %H:%M")
    ('explicit', 'declared')
    """
    try:
        key = _key(value)
        if not key:
            return ""
        if not isinstance(key, str):
            return "explicit" if isinstance(key, dt.datetime) and key.tzinfo is not None else "declared"
        if form != "iso8601":
            return "explicit" if form in SCALES or "%z" in form else "declared"
        match = ISO.fullmatch(key)
        named = match["offset"] if match else any(spelled(key)[4:])
    except InputError:
        return "declared"
    return "explicit" if named else "declared"


def show(time: pd.Timestamp) -> str:
    """Return a time as people read it: in UTC, to the second; one without a zone is shown without one.

    Examples
    --------
    >>> show(parse("2025-11-18T11:20:05Z")), show(pd.NaT)
    ('2025-11-18 11:20:05 UTC', 'not known')
    >>> show(pd.Timestamp("2025-11-18T12:20", tz="Europe/Berlin")), show(pd.Timestamp("2025-11-18T12:20"))
    ('2025-11-18 11:20 UTC', '2025-11-18 12:20')
    """
    if pd.isna(time):
        return "not known"
    zone_text = " UTC" if time.tzinfo is not None else ""
    time = time.astimezone(dt.UTC) if zone_text else time
    return f"{time:%Y-%m-%d %H:%M:%S}{zone_text}" if time.second else f"{time:%Y-%m-%d %H:%M}{zone_text}"

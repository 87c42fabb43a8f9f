"""Times: text to UTC, never by guessing a zone.

A text either names its offset, or the source declares its zone, or it is an error. Ambiguous and
non-existing local times (the hours when clocks change) are errors too.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Hashable, Sequence
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, shorten

__all__ = ["FORMATS", "UTC", "check_form", "parse", "parse_column", "show", "zone", "zone_basis"]

UTC = "datetime64[ns, UTC]"
FORMATS = ("iso8601", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
_ISO = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})(?:[T ](?P<clock>\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)"
    r"(?: ?(?P<offset>Z|UTC|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?))?)?",
    re.ASCII | re.IGNORECASE,
)
_NUMBER = re.compile(r"(?P<sign>-?)(?P<whole>\d{1,30})(?:\.(?P<fraction>\d+))?", re.ASCII)
_NANOSECONDS = {"epoch_s": 10**9, "epoch_ms": 10**6, "epoch_us": 10**3, "epoch_ns": 1}
_PLAUSIBLE = range(1990, 2101)  # of counts and of patterns, where a wrong unit or field still gives some time
_LISTED = 5


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def zone(name: str) -> ZoneInfo:
    """Return the time zone called `name` (IANA, such as ``Europe/Berlin``).

    Raises
    ------
    UnknownName
        If there is no such zone, with the nearest name.
    """
    if name not in _zones():
        raise UnknownName(f"unknown time zone {shorten(name)}{did_you_mean(name, _zones())}")
    return ZoneInfo(name)


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
    return _one(text.strip(), "iso8601", None, where, "write an offset such as Z or +01:00")


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
        One of `FORMATS`, or a ``strptime`` pattern such as ``%d.%m.%Y %H:%M``; values that are typed as
        times need none.
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
    remedy = "declare the zone of this source in incident.yaml (time: {zone: Europe/Berlin})"
    numbers = rows if rows is not None else range(1, len(values) + 1)
    known: dict[str | dt.date, pd.Timestamp] = {}
    out, problems = [], []
    for row, value in zip(numbers, values, strict=True):
        key = value if isinstance(value, dt.date) and not pd.isna(value) else _text(value)
        if key == "":
            out.append(pd.NaT)
            continue
        if key not in known:
            try:
                known[key] = _one(key, form, zone_name, f"{where}: {unit} {row}", remedy)
            except InputError as error:
                problems.append(str(error))
                known[key] = pd.NaT
        out.append(known[key])
    if problems:
        more = [f"{where}: and {len(problems) - _LISTED} more values like these"] if len(problems) > _LISTED else []
        raise InputError("\n".join(problems[:_LISTED] + more))
    return pd.Series(pd.DatetimeIndex(out, dtype=UTC) if out else [], index=values.index, dtype=UTC)


def _text(value: object) -> str:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _one(value: str | dt.date, form: str, zone_name: str | None, where: str, remedy: str) -> pd.Timestamp:
    """Return one time as UTC, or raise with its place."""
    found = f"{where}: {shorten(value)}"
    try:
        stamp = _stamp(value, form).as_unit("ns")
        if stamp.tzinfo is None and zone_name is None:
            raise InputError(f"has no time zone; {remedy}")
        if stamp.tzinfo is None:
            stamp = _localize(stamp, zone(str(zone_name)))
        return stamp.tz_convert("UTC")
    except InputError as error:
        raise InputError(f"{found} {error}") from error
    except (pd.errors.OutOfBoundsDatetime, OverflowError) as error:
        raise InputError(f"{found} is out of range: times lie in the years 1678 to 2261") from error
    except ValueError as error:
        reason = shorten(str(error).partition("\n")[0], 120)
        raise InputError(f"{found} is not a time of the form {form} ({reason})") from error


def _stamp(value: str | dt.date, form: str) -> pd.Timestamp:
    """Return a time as it is written, with its zone where it names one; messages go on after the time."""
    if isinstance(value, dt.date):
        return pd.Timestamp(value)
    if form in _NANOSECONDS:
        return _epoch(value, form)
    if form == "iso8601":
        match = _ISO.fullmatch(value)
        if not match:
            raise InputError("is not an ISO 8601 time such as 2025-11-18T11:20:00Z")
        offset = (match["offset"] or "").upper().replace("UTC", "Z")
        return pd.Timestamp(f"{match['date']}T{(match['clock'] or '00:00').replace(',', '.')}{offset}")
    stamp = pd.Timestamp(dt.datetime.strptime(value, form))
    if stamp.year not in _PLAUSIBLE:
        raise InputError(f"read as {form} is the year {stamp.year}")
    return stamp


def _localize(stamp: pd.Timestamp, declared: ZoneInfo) -> pd.Timestamp:
    try:
        return stamp.tz_localize(declared, ambiguous="raise", nonexistent="raise")
    except pd.errors.OutOfBoundsDatetime:
        raise
    except ValueError as error:
        raise InputError(
            f"is ambiguous or does not exist in {declared.key} (clock change); write its offset"
        ) from error


def _epoch(text: str, form: str) -> pd.Timestamp:
    """Return a count since 1970 as UTC; integers never pass through float."""
    scale = _NANOSECONDS[form]
    match = _NUMBER.fullmatch(text)
    if not match:
        raise InputError(f"is not a plain number, but the form is {form}")
    digits = len(str(scale)) - 1
    count = int(match["whole"]) * scale + int((match["fraction"] or "")[:digits].ljust(digits, "0") or 0)
    fits = count < 2**63
    stamp = pd.Timestamp(-count if match["sign"] else count, unit="ns", tz="UTC") if fits else None
    if stamp is None or stamp.year not in _PLAUSIBLE:
        year = stamp.year if stamp is not None else "2262 or later"
        raise InputError(f"read as {form} is the year {year}; is the unit right?")
    return stamp


def zone_basis(value: object, form: str) -> str:
    """Return how the zone of a time is known: ``explicit`` in what is written, ``declared`` for its source, or "".

    Examples
    --------
    >>> zone_basis("2025-11-18T11:20Z", "iso8601"), zone_basis("18.11.2025 12:20", "%d.%m.%Y %H:%M")
    ('explicit', 'declared')
    """
    text = _text(value)
    if not text:
        return ""
    if isinstance(value, dt.datetime):
        return "declared" if value.tzinfo is None else "explicit"
    match = _ISO.fullmatch(text) if form == "iso8601" else None
    named = match["offset"] if match else form in _NANOSECONDS or "%z" in form
    return "explicit" if named else "declared"


def show(time: pd.Timestamp) -> str:
    """Return a time as people read it, to the second, with its zone.

    Examples
    --------
    >>> show(parse("2025-11-18T11:20:05Z")), show(pd.NaT)
    ('2025-11-18 11:20:05 UTC', 'not known')
    """
    if pd.isna(time):
        return "not known"
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time.second else f"{time:%Y-%m-%d %H:%M} UTC"

"""Times: text to UTC, never by guessing a zone.

A text either names its offset, or the source declares its zone, or it is an error. Ambiguous and
non-existing local times (the hours when clocks change) are errors too.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from zoneinfo import ZoneInfo, available_timezones

import pandas as pd

from rca.errors import InputError, UnknownName, did_you_mean, shorten

__all__ = ["FORMATS", "UTC", "parse", "parse_column", "show", "zone", "zone_basis"]

UTC = "datetime64[ns, UTC]"
FORMATS = ("iso8601", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
_OFFSET = re.compile(r"(?:[zZ]|[+-]\d{2}:?\d{2})$")
_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)?\s?(?:[zZ]|[+-]\d{2}:?\d{2})?$"
)
_INTEGER = re.compile(r"-?\d+$")
_NANOSECONDS = {"epoch_s": 10**9, "epoch_ms": 10**6, "epoch_us": 10**3, "epoch_ns": 1}
_LISTED = 5


def zone(name: str) -> ZoneInfo:
    """Return the time zone called `name` (IANA, such as ``Europe/Berlin``).

    Raises
    ------
    UnknownName
        If there is no such zone, with the nearest name.
    """
    known = available_timezones()
    if name not in known:
        raise UnknownName(f"unknown time zone {name!r}{did_you_mean(name, known)}")
    return ZoneInfo(name)


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
    return pd.Timestamp(_one(text.strip(), "iso8601", None, where))


def parse_column(
    values: pd.Series,
    *,
    form: str = "iso8601",
    zone_name: str | None = None,
    where: str,
    rows: Sequence[Hashable] | None = None,
) -> pd.Series:
    """Return a column of times as UTC; missing and empty values stay missing.

    Parameters
    ----------
    values : Series
        Text, numbers, or times that a file format already typed (Parquet).
    form : str, default "iso8601"
        One of `FORMATS`, or a ``strptime`` pattern such as ``%d.%m.%Y %H:%M``.
    zone_name : str, optional
        Zone of times that name none, as declared for the source.
    where : str
        Place for error messages, usually the file.
    rows : sequence, optional
        Row numbers for error messages; default counts from 1.

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
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return values.dt.tz_convert("UTC").astype(UTC)
    if pd.api.types.is_datetime64_dtype(values.dtype):
        values = values.dt.strftime("%Y-%m-%dT%H:%M:%S.%f").where(values.notna())
    numbers = rows if rows is not None else range(1, len(values) + 1)
    known: dict[str, pd.Timestamp] = {}
    out, problems = [], []
    for row, value in zip(numbers, values, strict=True):
        text = _text(value)
        if not text:
            out.append(pd.NaT)
            continue
        if text not in known:
            try:
                known[text] = _one(text, form, zone_name, f"{where}: row {row}")
            except InputError as error:
                problems.append(str(error))
                known[text] = pd.NaT
        out.append(known[text])
    if problems:
        more = [f"{where}: and {len(problems) - _LISTED} more rows like these"] if len(problems) > _LISTED else []
        raise InputError("\n".join(problems[:_LISTED] + more))
    return pd.Series(pd.DatetimeIndex(out, dtype=UTC) if out else [], index=values.index, dtype=UTC)


def _text(value: object) -> str:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _one(text: str, form: str, zone_name: str | None, where: str) -> pd.Timestamp:
    """Return one text as UTC, or raise with its place."""
    try:
        if form in _NANOSECONDS:
            return _epoch(text, form, where)
        if form == "iso8601":
            if not _ISO.match(text):
                raise InputError(f"{where}: {shorten(text)} is not an ISO 8601 time such as 2025-11-18T11:20:00Z")
            stamp = pd.Timestamp(text.replace(",", "."))
        else:
            stamp = pd.Timestamp(pd.to_datetime(text, format=form))
    except (ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: {shorten(text)} is not a time of the form {form!r} ({error})") from error
    if stamp.tzinfo is not None:
        return stamp.tz_convert("UTC").as_unit("ns")
    if zone_name is None:
        raise InputError(f"{where}: {shorten(text)} has no time zone; {_remedy(where)}")
    try:
        return stamp.tz_localize(zone(zone_name), ambiguous="raise", nonexistent="raise").tz_convert("UTC").as_unit("ns")
    except (ValueError, OverflowError) as error:
        if isinstance(error, UnknownName):
            raise
        raise InputError(
            f"{where}: {shorten(text)} is ambiguous or does not exist in {zone_name} (clock change); write its offset"
        ) from error


def _remedy(where: str) -> str:
    if ": row " in where:
        return "declare the zone of this source in incident.yaml (time: {zone: Europe/Berlin})"
    return "write an offset such as Z or +01:00"


def _epoch(text: str, form: str, where: str) -> pd.Timestamp:
    """Return a count since 1970 as UTC; integers never pass through float."""
    scale = _NANOSECONDS[form]
    whole, _, fraction = text.partition(".")
    if not _INTEGER.match(whole) or (fraction and not fraction.isdigit()):
        raise InputError(f"{where}: {shorten(text)} is not a number, but the form is {form}")
    digits = len(str(scale)) - 1
    nanoseconds = int(whole) * scale
    if fraction and digits:
        part = int(fraction[:digits].ljust(digits, "0"))
        nanoseconds += -part if whole.startswith("-") else part
    stamp = pd.Timestamp(nanoseconds, unit="ns", tz="UTC")
    if not 1990 <= stamp.year <= 2100:
        raise InputError(f"{where}: {shorten(text)} read as {form} is the year {stamp.year}; is the unit right?")
    return stamp


def zone_basis(text: str, form: str) -> str:
    """Return how the zone of a time is known: ``explicit`` in its text, ``declared`` for its source, or "".

    Examples
    --------
    >>> zone_basis("2025-11-18T11:20Z", "iso8601"), zone_basis("18.11.2025 12:20", "%d.%m.%Y %H:%M")
    ('explicit', 'declared')
    """
    if not text:
        return ""
    return "explicit" if form in _NANOSECONDS or _OFFSET.search(text) else "declared"


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

"""How ``incident.yaml`` describes an export: its files, its format, how its fields map, its zone and its clock."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    GetPydanticSchema,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import core_schema

from rca import times
from rca.errors import did_you_mean, shorten
from rca.evidence import FileName, Number, Record

__all__ = ["Clock", "Duration", "Id", "Part", "Source", "Text", "Time", "TimeForm"]


# A pandas Timestamp that knows its JSON Schema: an ISO 8601 text with an offset.
Time = Annotated[
    pd.Timestamp,
    GetPydanticSchema(
        lambda _type, _handler: core_schema.with_info_plain_validator_function(
            lambda value, _info: _as_time(value), serialization=core_schema.to_string_ser_schema()
        ),
        lambda _schema, _handler: {"type": "string", "format": "date-time"},
    ),
]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Text = Annotated[str, Field(min_length=1)]
Fields = Annotated[  # one field of an export, or several that are joined
    list[Text],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Names = Annotated[  # one file, or several pieces of one export
    list[Annotated[FileName, Field(min_length=1)]],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


def _as_years(value: object) -> int | dict[str, int]:
    for year in value.values() if isinstance(value, dict) else [value]:
        if not isinstance(year, int) or isinstance(year, bool) or not 1970 <= year <= 2200:
            raise ValueError(f"{shorten(year)} is not a year from 1970 to 2200, as a number")
    return value  # type: ignore[return-value]  # what is not a number was refused


_YEAR = {"type": "integer", "minimum": 1970, "maximum": 2200}
Years = Annotated[  # of one file, or of each by its name
    int | dict[str, int],
    PlainValidator(_as_years),
    WithJsonSchema({"anyOf": [_YEAR, {"type": "object", "additionalProperties": _YEAR}]}),
]


def _as_time(value: object) -> pd.Timestamp:
    if not isinstance(value, str):
        raise ValueError(f"a time is text such as 2025-11-18T11:20:00Z, not {type(value).__name__}")
    return times.parse(value)


class Part(Record):
    """A record whose lists and sections may stand empty, as people write ``sources:`` with nothing behind it yet."""

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        kinds = (list, tuple, dict, BaseModel)
        empty = {name for name, item in cls.model_fields.items() if isinstance(item.default, kinds)}
        return {name: item for name, item in value.items() if item is not None or name not in empty}


class TimeForm(Record):
    """How a source writes times.

    Attributes
    ----------
    format : str
        One of `rca.times.FORMATS`, or a ``strptime`` pattern such as ``%d.%m.%Y %H:%M``.
    zone : str, optional
        IANA zone of times that name none.
    year : int or dict of str to int, optional
        Year of the file's first time, where times name none (syslog of RFC 3164); of several files, the file -> that
        year. One year for several files is refused where it might be that of the first alone.
    """

    format: str = "iso8601"
    zone: str | None = None
    year: Years | None = None

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None:
            times.zone(value)
        return value

    @field_validator("format")
    @classmethod
    def _known_form(cls, value: str) -> str:
        return times.check_form(value)


class Clock(Record):
    """How far the clock of a source was from the others; proposed by `rca clocks`, accepted by a person.

    Attributes
    ----------
    offset : float
        Seconds by which the clock was ahead; taken off its times. Negative when it was behind.
    drift : float
        Parts per million that the clock gained.
    at : Timestamp, optional
        True time at which the offset was that large; needed where there is drift.
    low, high : float, optional
        95 % interval of the offset.
    anchors : int
        How many pairs of records of two clocks it rests on.
    against : str
        The source whose clock was the reference.
    accepted_by : str
        The role that accepted the correction.
    """

    offset: Number
    drift: Annotated[Number, Field(ge=-1e5, le=1e5)] = 0.0
    at: Time | None = None
    low: Number | None = None
    high: Number | None = None
    anchors: Annotated[int, Field(ge=0, strict=True)] = 0
    against: str = ""
    accepted_by: Text
    note: str = ""

    @model_validator(mode="after")
    def _dated(self) -> Clock:
        if self.drift and self.at is None:
            raise ValueError("a clock that drifts needs at: when its offset was measured")
        return self


class Duration(Record):
    """How a source writes how long spans took: as a number of ``unit``, which is s, ms, us or ns."""

    unit: Literal["s", "ms", "us", "ns"]


class Source(Part):
    """One kind of raw export, in one file or several, and how its fields map to a table of the schema.

    Attributes
    ----------
    file : list of str
        The file, or the files: pieces of one export may overlap, a record that is in two of them is one.
    reader : str
        ``csv``, ``jsonl``, ``json``, ``parquet``, or a format that ``rca sources`` lists.
    table : str
        Of plain files: the table that they become. Formats know theirs.
    columns : dict
        Column of the table -> field of the export (a dotted path reaches into nested records).
        For events, several fields may be joined: ``message: [flag, change]``.
    constant : dict
        Column of the table -> the same value for all rows.
    values : dict
        Column of the table -> {value in the export: value in the table}.
    duration : Duration, optional
        For spans: the unit in which their ``duration`` is written. It is not guessed: where it is not said, a field
        of that name is not read.
    scale : float
        For metrics: the value is multiplied by this (unit).
    delimiter : str
        For CSV: the character between two values.
    records : str
        For JSON: JSON pointer to the list of records, such as ``/data/items``.
    native_id : str
        Field that identifies a record in its own system; two different records with one id are an error.
    required : bool
        Whether an export with no rows is an error; where false, no rows is evidence and is kept.
    rejected : int
        How many records may be unreadable; more is an error that lists them.
    clock : Clock, optional
        Correction of its clock, accepted by a person.
    """

    id: Id
    file: Names
    reader: str = "csv"
    table: Literal["events", "metrics", "dependencies", "spans"] = "events"
    columns: dict[str, Fields] = {}
    constant: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    time: TimeForm = TimeForm()
    duration: Duration | None = None
    scale: Number = 1.0
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    records: str = ""
    native_id: str = ""
    required: bool = True
    rejected: Annotated[int, Field(ge=0, strict=True)] = 0
    clock: Clock | None = None
    note: str = ""

    @model_validator(mode="after")
    def _of_use(self) -> Source:
        twice = [name for name in self.columns if name in self.constant]
        if twice:
            raise ValueError(f"{shorten(twice[0])} stands under columns and under constant")
        if self.duration and self.table != "spans":
            raise ValueError(f"duration is for spans, not for {self.table}")
        if self.table == "spans" and not self.duration and "duration" in {*self.columns, *self.constant, *self.values}:
            raise ValueError("how long spans took needs its unit: say duration: {unit: ms}, or s, us, ns")
        if self.scale != 1 and self.table != "metrics":
            raise ValueError(f"scale is for metrics, not for {self.table}")
        if self.native_id and self.table != "events":
            raise ValueError(f"native_id is for events, not for {self.table}")
        if self.records and self.reader in ("csv", "jsonl", "parquet"):
            raise ValueError(f"records is for json, not for {self.reader}")
        years = self.time.year
        if isinstance(years, dict) and set(years) != set(self.file):
            name = next(iter(sorted(set(years) ^ set(self.file))))
            near = did_you_mean(name, self.file) if name in years else ""
            raise ValueError(f"time.year names the year of each file, or is one year: {shorten(name)}{near}")
        return self

    def of(self, file: str) -> Source:
        """Return the source as it reads one of its files: the year is that of the file."""
        if not isinstance(self.time.year, dict):
            return self
        return self.model_copy(update={"time": self.time.model_copy(update={"year": self.time.year[file]})})

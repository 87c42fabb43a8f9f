"""The shape of ``incident.yaml``: frozen records that refuse unknown keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BeforeValidator, Field, GetPydanticSchema, WithJsonSchema, field_validator, model_validator
from pydantic_core import core_schema

from rca import times, vocabulary
from rca.errors import InputError, did_you_mean, shorten
from rca.evidence import Evidence, FileName, Number, Record
from rca.yamlfile import Place, entries, repeated

__all__ = [
    "Clock", "Dependency", "Figure", "Impact", "IncidentFile", "Milestone", "ModelPart", "Person", "Source", "Symptom", "System",
    "TimeForm", "Window", "Windows", "relations",
]  # fmt: skip


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
MODEL_FILES = ("before", "after", "holdout", "window_before", "window_after")


def _as_time(value: object) -> pd.Timestamp:
    if not isinstance(value, str):
        raise ValueError(f"a time is text such as 2025-11-18T11:20:00Z, not {type(value).__name__}")
    return times.parse(value)


class System(Record):
    """A service, model, data set, job or process."""

    id: Text
    name: str = ""
    kind: Literal["service", "model", "data", "job", "process", "external"] = "service"
    owner: str = ""


class Dependency(Record):
    """A declared edge: a fault in `cause` can reach `effect`."""

    cause: Text
    effect: Text
    note: str = ""


class Window(Record):
    """A stretch of time, start included, end not."""

    start: Time
    end: Time

    @model_validator(mode="after")
    def _in_order(self) -> Window:
        if self.end <= self.start:
            raise ValueError(f"window ends ({times.show(self.end)}) before it starts ({times.show(self.start)})")
        return self

    @property
    def span(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        """Start and end."""
        return self.start, self.end


class Windows(Record):
    """The healthy reference and the incident; disjoint, in either order."""

    before: Window
    during: Window

    @model_validator(mode="after")
    def _disjoint(self) -> Windows:
        if self.before.start < self.during.end and self.during.start < self.before.end:
            raise ValueError("the windows before and during overlap")
        return self


class Symptom(Record):
    """The measured value by which the incident was noticed."""

    system: Text
    metric: Text


class Milestone(Record):
    """When something was reached: a time, or the interval that it lies in."""

    time: Time | None = None
    earliest: Time | None = None
    latest: Time | None = None
    evidence: tuple[Evidence, ...] = ()
    note: str = ""

    @model_validator(mode="after")
    def _some_time(self) -> Milestone:
        if self.time is None and (self.earliest is None or self.latest is None):
            raise ValueError("a milestone has a time, or both earliest and latest")
        if self.earliest is not None and self.latest is not None and self.latest < self.earliest:
            raise ValueError("latest is before earliest")
        return self


class TimeForm(Record):
    """How a source writes times.

    Attributes
    ----------
    format : str
        One of `rca.times.FORMATS`, or a ``strptime`` pattern such as ``%d.%m.%Y %H:%M``.
    zone : str, optional
        IANA zone of times that name none.
    year : int, optional
        Year of the file's first time, where times name none (syslog of RFC 3164).
    """

    format: str = "iso8601"
    zone: str | None = None
    year: Annotated[int, Field(ge=1970, le=2200, strict=True)] | None = None

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


class Source(Record):
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
        if self.scale != 1 and self.table != "metrics":
            raise ValueError(f"scale is for metrics, not for {self.table}")
        if self.native_id and self.table != "events":
            raise ValueError(f"native_id is for events, not for {self.table}")
        if self.records and self.reader in ("csv", "jsonl", "parquet"):
            raise ValueError(f"records is for json, not for {self.reader}")
        return self


class Figure(Record):
    """A number with what it is a part of and where it comes from, or the words "not measured"."""

    value: Number | None = None
    low: Number | None = None
    high: Number | None = None
    of: Number | None = None
    unit: str = ""
    evidence: tuple[Evidence, ...] = ()
    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        return {} if value in ("not measured", "not_measured") else value

    @model_validator(mode="after")
    def _evidenced(self) -> Figure:
        if (self.value is not None or self.low is not None or self.high is not None) and not self.evidence:
            raise ValueError('a figure needs evidence; else write "not measured"')
        if (self.low is None) != (self.high is None) or (self.low is not None and self.low > (self.high or 0)):
            raise ValueError("a range has both low and high, low first")
        if self.value is not None and self.of is not None and self.value > self.of:
            raise ValueError(f"{self.value:g} is more than the {self.of:g} that it is a part of")
        return self


class Impact(Record):
    """Whom the incident reached; each figure with evidence, or not measured."""

    affected_users: Figure = Figure()
    affected_decisions: Figure = Figure()
    affected_groups: dict[str, Figure] = {}
    cost: Figure = Figure()
    statement: str = ""


class ModelPart(Record):
    """Models before and after, and data to compare them on (paths in the incident folder).

    Attributes
    ----------
    holdout : str
        Rows that both models are compared on.
    window_before, window_after : str
        Production rows of the healthy and of the incident window, scored by the model of the time.
    population : int, optional
        Decisions in the whole incident window, when `window_after` is a random sample of them.
    label, prediction, decision, user, group : str
        Columns of these tables that are not features.
    """

    before: str = ""
    after: str = ""
    holdout: str = ""
    window_before: str = ""
    window_after: str = ""
    population: Annotated[int, Field(ge=1, strict=True)] | None = None
    label: str = ""
    prediction: str = ""
    decision: str = ""
    user: str = ""
    group: str = ""
    time: str = ""
    features: list[str] = []


class Person(Record):
    """Somebody whose name occurs in the exports; reports show the role and a pseudonym."""

    name: Text
    role: Text
    aliases: list[str] = []


class IncidentFile(Record):
    """All of ``incident.yaml``."""

    id: Id
    title: Text
    kind: str
    severity_tier: str
    severity_confirmed_by: Text
    notice: str = ""
    as_of: Time
    systems: list[System] = Field(min_length=1)
    dependencies: list[Dependency] = []
    windows: Windows | None = None
    symptom: Symptom | None = None
    harmful: dict[str, Literal["up", "down", "both", "neither"]] = {}
    milestones: dict[str, Milestone] = {}
    sources: list[Source] = []
    model: ModelPart | None = None
    impact: Impact = Impact()
    people: list[Person] = []
    missing: list[str] = []

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        return vocabulary.check(value, "incident_kinds", where="kind")

    @field_validator("severity_tier")
    @classmethod
    def _known_tier(cls, value: str) -> str:
        return vocabulary.check(value, "severity_tiers", where="severity_tier")

    @field_validator("milestones")
    @classmethod
    def _known_milestones(cls, value: dict[str, Milestone]) -> dict[str, Milestone]:
        for name in value:
            vocabulary.check(name, "milestones", where="milestones")
        return value


def relations(content: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong between the parts of ``incident.yaml``: repeated ids, unknown systems, late milestones."""
    yield from repeated(content, "systems")
    yield from repeated(content, "sources")
    known = {str(system.get("id")) for _, system in entries(content, "systems")}
    edges = entries(content, "dependencies")
    named = [((*place, end), edge.get(end)) for place, edge in edges for end in ("cause", "effect")]
    symptom = content.get("symptom")
    if isinstance(symptom, dict):
        named.append((("symptom", "system"), symptom.get("system")))
    for place, name in named:
        if isinstance(name, str) and name not in known:
            yield place, f"unknown system {shorten(name)}{did_you_mean(name, known)}"
    yield from _late(content)


def _late(content: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield each milestone that lies after the incident's as-of date."""
    as_of, milestones = _time(content.get("as_of")), content.get("milestones")
    for name, item in milestones.items() if isinstance(milestones, dict) else ():
        for key in ("time", "earliest", "latest"):
            time = _time(item.get(key)) if isinstance(item, dict) else pd.NaT
            if time > as_of:  # false where either is not known
                late = f"{shorten(name)} at {times.show(time)} is later than as_of ({times.show(as_of)})"
                yield ("milestones", name, key), late


def _time(value: Any) -> pd.Timestamp:
    try:
        return times.parse(value) if isinstance(value, str) else pd.NaT
    except InputError:
        return pd.NaT

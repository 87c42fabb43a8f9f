"""The shape of ``incident.yaml``: frozen records that refuse unknown keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field, field_validator, model_validator

from rca import times, vocabulary
from rca.errors import InputError, did_you_mean, shorten
from rca.evidence import Evidence, Number, Record
from rca.incident.source import Clock, Id, Part, Source, Text, Time, TimeForm
from rca.yamlfile import Place, entries, repeated

__all__ = [
    "Clock", "Dependency", "Figure", "Impact", "IncidentFile", "Milestone", "ModelPart", "Person", "Source", "Symptom",
    "System", "TimeForm", "Window", "Windows", "relations",
]  # fmt: skip


MODEL_FILES = ("before", "after", "holdout", "window_before", "window_after")


class System(Record):
    """A service, model, feature, data set, job or process."""

    id: Text
    name: str = ""
    kind: Literal["service", "model", "feature", "data", "job", "process", "external"] = "service"
    owner: str = ""


class Dependency(Record):
    """A declared edge: a fault in `cause` can reach `effect`, which then uses `fallback` if it has one."""

    cause: Text
    effect: Text
    fallback: str = ""
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


class Milestone(Part):
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


class Figure(Part):
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


class Impact(Part):
    """Whom the incident reached; each figure with evidence, or not measured."""

    affected_users: Figure = Figure()
    affected_decisions: Figure = Figure()
    affected_groups: dict[str, Figure] = {}
    cost: Figure = Figure()
    statement: str = ""


class ModelPart(Part):
    """Models before and after, and data to compare them on (paths in the incident folder).

    Attributes
    ----------
    holdout : str
        Rows that both models are compared on.
    training_before : str
        Rows that the model before was trained on, with their labels: shows how far training alone moves a model.
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
    training_before: str = ""
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


class Person(Part):
    """Somebody whose name occurs in the exports; reports show the role and a pseudonym."""

    name: Text
    role: Text
    aliases: list[str] = []


class IncidentFile(Part):
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

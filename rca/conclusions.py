"""The shape of ``analysis.yaml``: what people concluded, each claim with its evidence.

Plain frozen records; what is computed from them stands in ``rca/causes``.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from rca import vocabulary
from rca.errors import did_you_mean, shorten
from rca.evidence import Evidence, Finding, Record, Status
from rca.yamlfile import Place, entries, repeated

__all__ = ["Action", "Analysis", "Bone", "FailureMode", "Lessons", "Why", "relations"]


def _written(value: object) -> object:
    """Refuse a number, which would be taken for seconds since 1970."""
    if isinstance(value, dt.date) or (isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value)):
        return value
    raise ValueError("a date is text such as 2025-12-31")


def _whole(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a number, found true or false")
    return value


Day = Annotated[dt.date, BeforeValidator(_written)]
Rating = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=10)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Text = Annotated[str, Field(min_length=1)]


class Why(Record):
    """One answer in a 5-Whys chain: it explains the answer before it.

    Attributes
    ----------
    statement : str
        "Because ..." without the word because.
    kind : str
        An id of the vocabulary ``why_kinds``.
    """

    id: Id
    statement: Text
    kind: str
    status: Status = "open"
    evidence: tuple[Evidence, ...] = ()

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        return vocabulary.check(value, "why_kinds", where="kind")

    @model_validator(mode="after")
    def _evidenced(self) -> Why:
        if self.status != "open" and not self.evidence:
            raise ValueError(f"a {self.status} why needs evidence; give some or set status: open")
        return self


class Bone(Record):
    """One cause on a fishbone diagram."""

    category: Text
    cause: Text
    status: Status = "open"
    evidence: tuple[Evidence, ...] = ()

    @model_validator(mode="after")
    def _evidenced(self) -> Bone:
        if self.status != "open" and not self.evidence:
            raise ValueError(f"a {self.status} cause needs evidence; give some or set status: open")
        return self


class FailureMode(Record):
    """One row of an FMEA; ratings from 1 (best) to 10 (worst)."""

    id: Id
    function: Text
    failure_mode: Text
    effect: Text
    cause: Text
    controls: str = ""
    severity: Rating
    occurrence: Rating
    detection: Rating


class Action(Record):
    """One corrective action.

    Attributes
    ----------
    addresses : tuple of str
        Ids of findings, whys or failure modes that it acts on.
    owner : str
        A role, not a person's name.
    due : date
        Makes it time-bound.
    measure : str
        How one sees that it is done and works (measurable).
    achievable, relevant : str
        Why it can be done by then; which harm it prevents.
    """

    id: Id
    action: Text
    addresses: tuple[str, ...] = ()
    owner: str = ""
    due: Day | None = None
    measure: str = ""
    achievable: str = ""
    relevant: str = ""
    state: str = "open"

    @field_validator("state")
    @classmethod
    def _known_state(cls, value: str) -> str:
        return vocabulary.check(value, "action_states", where="state")


class Lessons(Record):
    """What the people involved learned."""

    went_well: tuple[Text, ...] = ()
    went_badly: tuple[Text, ...] = ()
    lucky: tuple[Text, ...] = ()


class Analysis(Record):
    """Everything that people concluded about one incident; all parts may be empty.

    Repeated ids and actions that address an id that is not there are found by `relations`.
    """

    summary: str = ""
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    whys: tuple[Why, ...] = ()
    fishbone: tuple[Bone, ...] = ()
    fmea: tuple[FailureMode, ...] = ()
    actions: tuple[Action, ...] = ()
    lessons: Lessons = Lessons()
    unknowns: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _problem_named(self) -> Analysis:
        if self.whys and not self.problem:
            raise ValueError("whys need a problem: the sentence that the first why explains")
        return self

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Every piece of evidence that any part names, each once, in order."""
        parts = (self.findings, self.whys, self.fishbone)
        return tuple(dict.fromkeys(item for part in parts for claim in part for item in claim.evidence))


def relations(content: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong between the parts of ``analysis.yaml``: repeated ids, dangling references."""
    parts = ("findings", "whys", "fmea", "actions")
    yield from repeated(content, *parts)
    known = {str(item.get("id")) for part in parts for _, item in entries(content, part)}
    for place, action in entries(content, "actions"):
        addresses = action.get("addresses")
        for number, name in enumerate(addresses if isinstance(addresses, list) else []):
            if isinstance(name, str) and name not in known:
                yield (*place, "addresses", number), f"addresses unknown id {shorten(name)}{did_you_mean(name, known)}"

"""What an export does not say and only a person knows: asked all at once, each with the best guess from the data."""

from __future__ import annotations

import ast
import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from rca import times, vocabulary
from rca.errors import InputError
from rca.incident import Incident
from rca.incident.model import Source
from rca.sources import likely, recognise, years

__all__ = ["Answer", "Unanswered", "answered", "ask", "known_kind", "time_field", "time_form"]

_PATTERNS = (  # day first before month first: where both fit, the times themselves decide, else the first
    *(f"%d{mark}%m{mark}%{year} %H:%M{seconds}" for mark in "./-" for year in "Yy" for seconds in (":%S", "")),
    *(f"%m/%d/%{year} {clock}" for year in "Yy" for clock in ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")),
    *(f"%d/%m/%{year} {clock}" for year in "Yy" for clock in ("%I:%M:%S %p", "%I:%M %p")),
    "%d/%b/%y %I:%M %p", "%d/%b/%y %H:%M", "%d %b %Y %H:%M", "%b %d, %Y %I:%M:%S %p", "%b %d, %Y %I:%M %p",
    "%b %d, %Y @ %H:%M:%S.%f", "%Y-%m-%d %I:%M:%S %p", "%Y.%m.%d %H:%M:%S", "%Y%m%d%H%M%S", "%Y%m%d %H:%M:%S",
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y",
)  # fmt: skip
_LITERAL = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""  # of Python
_COMPARED = 100


@dataclass(frozen=True)
class Answer:
    """An option of ``rca import`` that is missing, with the best guess.

    Attributes
    ----------
    option, value : str
        As on the command line: ``--zone`` and ``Europe/Berlin``.
    why : str
        What is asked, and where the guess comes from.
    """

    option: str
    value: str
    why: str


class Unanswered(InputError):
    """An export cannot be read without answers that only a person has.

    Attributes
    ----------
    answers : tuple of Answer
        All that are missing; with these guesses the export can be read.
    """

    answers: tuple[Answer, ...]

    def __init__(self, message: str, answers: Sequence[Answer]) -> None:
        super().__init__(message)
        self.answers = tuple(answers)


def ask(
    error: InputError, path: Path, given: Mapping[str, Any], found: Incident, records: Sequence[Mapping[str, Any]]
) -> list[Answer]:
    """Return the questions that a refusal stands for, with guesses; none when only another file or edit helps.

    Parameters
    ----------
    error : InputError
        Why the export cannot be read as it is described.
    path : Path
        The file, for its name, and for the last of its times where they name no year.
    given : mapping
        What is known, as for `rca.sources.adding.add`.
    found : Incident
        Its other sources, systems and as-of date are hints.
    records : sequence of mapping
        The first records of a plain file; empty for other formats.
    """
    said = str(error)
    out = []
    if match := re.search(r"may be (\w+) or .*; say which with --reader", said):
        out.append(Answer("--reader", match[1], "its format: several take it for theirs; this is the first of them"))
    if "say --kind" in said or "has nothing for 'kind'" in said:
        out += _kinds(path.name, records)
    if records:
        out += [_word(ast.literal_eval(kind)) for kind in re.findall(rf"bad event kind ({_LITERAL})", said)]
    out += _columns(said, given, found, records)
    if "has no year" in said or (given.get("time", {}).get("year") and ": later (" in said):
        out += _year(said, path, given, found)
    if match := re.search(r"add --year (\d+): (.*)", said):
        out.append(Answer("--year", match[1], match[2]))
    if not out and (answer := _form(said, given, found, records)):
        out.append(answer)
    if "has no time zone" in said and not given.get("time", {}).get("zone"):
        out.append(_zone(said, found))
    if not out and (match := re.search(r"say rejected: (\d+)", said)):
        first = said.splitlines()[0]
        out.append(Answer("--rejected", match[1], f"how many records may be left out; the first is {first}"))
    return out


def answered(given: Mapping[str, Any], answers: Iterable[Answer]) -> dict[str, Any]:
    """Return what is known together with answers.

    Examples
    --------
    >>> answered({"time": {"zone": "UTC"}}, [Answer("--year", "2025", ""), Answer("--column", "time=at", "")])
    {'time': {'zone': 'UTC', 'year': 2025}, 'columns': {'time': ['at']}}
    """
    out = {name: dict(value) if isinstance(value, Mapping) else value for name, value in given.items()}
    for answer in answers:
        name, value = answer.option.removeprefix("--"), answer.value
        if name == "value":
            column, _, rest = value.partition(":")
            word, _, own = rest.rpartition("=")
            out["values"] = {**out.get("values", {}), column: {**out.get("values", {}).get(column, {}), word: own}}
        elif name in ("kind", "system"):
            out.setdefault("constant", {})[name] = value
        elif name in ("zone", "year", "time-format"):
            part = "format" if name == "time-format" else name
            out.setdefault("time", {})[part] = int(value) if name == "year" else value
        elif name == "column":
            column, _, field = value.partition("=")
            out.setdefault("columns", {})[column] = [field]
        else:
            out[name] = int(value) if name == "rejected" else value
    return out


def _year(said: str, path: Path, given: Mapping[str, Any], found: Incident) -> Iterable[Answer]:
    """Yield the year of the first time: the latest that is possible, or that in which it is nearest to its like."""
    reader = given.get("reader") or recognise.reader(recognise.head(path))
    zone = given.get("time", {}).get("zone") or _zone("", found).value
    source = Source.model_validate({"id": "x", "file": path.name, "reader": reader, "time": {"zone": zone}})
    others = [] if given.get("id") else [
        part
        for item in found.file.sources
        if item.reader == reader
        for part in years.spans(item, {name: found.path(name) for name in item.file})
    ]  # fmt: skip
    year = years.nearest(path, source, found.file.as_of, others)
    if year is not None and year != given.get("time", {}).get("year"):
        why = "nearest to the files of its kind that are there" if others else "the latest"
        yield Answer("--year", str(year), f"the year of the first time; guess: {why}, with no time after as_of")


def _kinds(name: str, records: Sequence[Mapping[str, Any]]) -> Iterable[Answer]:
    """Yield the field with the kinds and what its words mean, or the one kind of all records."""
    field, values = likely.kind_field(records)
    if not field:
        yield _kind(name, records)
        return
    yield Answer("--column", f"kind={field}", f"the field with what the events are; guess: {', '.join(values[:4])}")
    yield from (_word(value) for value in values if value not in vocabulary.ids("event_kinds"))


def _word(value: str) -> Answer:
    """Return what a word for a kind of event means."""
    near = difflib.get_close_matches(value.lower()[:_COMPARED], vocabulary.ids("event_kinds"), n=1, cutoff=0.8)
    kind, why = likely.kind_of(value), "guess: the word"
    if not kind:
        kind, why = (near[0], "guess: the nearest kind") if near else ("other", "nothing tells")
    kinds = ", ".join(vocabulary.ids("event_kinds")[:6])
    return Answer("--value", f"kind:{value}={kind}", f"what {value!r} is: {kinds} ...; {why}")


def _kind(name: str, records: Sequence[Mapping[str, Any]]) -> Answer:
    kinds = ", ".join(vocabulary.ids("event_kinds")[:6])
    asked = f"what the events are: {kinds} ..."
    for where, texts in (("the file's name", [name]), ("the names of its fields", [*(records[0] if records else ())])):
        if kind := known_kind(texts):
            return Answer("--kind", kind, f"{asked}; guess: {where}")
    return Answer("--kind", "other", f"{asked}; nothing in the file tells")


def known_kind(texts: Iterable[str]) -> str:
    """Return the kind of event that a word in some names stands for, or an empty text.

    Examples
    --------
    >>> known_kind(["prod_deploys-2025.csv"]), known_kind(["x.csv"])
    ('deploy', '')
    """
    words = [word for text in texts for word in re.findall(r"[a-z]+", text.lower())]
    found = (
        likely.KINDS.get(spelled)
        for word in words
        for spelled in (word, word.removesuffix("s"), word.removesuffix("es"))
    )
    return next((kind for kind in found if kind), "")


def _columns(
    said: str, given: Mapping[str, Any], found: Incident, records: Sequence[Mapping[str, Any]]
) -> Iterable[Answer]:
    """Yield where a column may be that nothing fills."""
    taken = {part for parts in given.get("columns", {}).values() for part in parts}
    for column in re.findall(r"has nothing for '(\w+)'", said):
        if column == "system":
            yield Answer("--system", found.file.systems[0].id, "the system that all records are of; guess: the first")
        elif column == "time" and (field := time_field(records)):
            yield Answer("--column", f"time={field}", "the field with the time; guess: its values are times")
        elif column in ("cause", "effect") and (pair := likely.edge([*(records[0] if records else ())], likely.EITHER)):
            called, caller = pair
            yield Answer("--column", f"{column}={called if column == 'cause' else caller}", (
                f"which of {caller} and {called} a fault starts in; guess: {caller} calls {called}, so a fault in "
                f"{called} (cause) can reach {caller} (effect); where {caller} feeds {called}, turn both round"
            ))  # fmt: skip
        elif column in ("message", "metric", "value", "name") and (field := _field(column, records, taken)):
            yield Answer("--column", f"{column}={field}", f"the field with the {column}; guess: its values")


def _field(column: str, records: Sequence[Mapping[str, Any]], taken: set[str]) -> str:
    """Return the field whose values look most like a column's: numbers for a value, long texts for a message."""
    out, best = "", 0.0
    for field in dict.fromkeys(name for record in records for name in record):
        values = [str(record[field]) for record in records if record.get(field) not in (None, "")]
        if not values or field in taken or field == time_field(records):
            continue
        numbers = sum(bool(re.fullmatch(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", value, re.ASCII)) for value in values)
        share = numbers / len(values)
        score = share if column == "value" else (1 - share) * sum(map(len, values)) / len(values)
        if score > best:
            out, best = field, score
    return out


def time_field(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the field of some records whose values are times, or an empty text; names break ties."""
    found = []
    for number, field in enumerate(dict.fromkeys(name for record in records for name in record)):
        values = [str(record[field]) for record in records if record.get(field) not in (None, "")]
        if values and time_form(values) is not None:
            named = bool(re.search("time|date|stamp|when|_at$|zeit|datum", field.lower()))
            found.append((-len(values), not named, number, field))
    return min(found)[-1] if found else ""


def time_form(values: Sequence[str], latest: pd.Timestamp | None = None) -> str | None:
    """Return the form in which all of some values are times, or None.

    Where several fit (is it the day or the month that comes first?), that in which no time is later than
    `latest`, most times follow the one before, and they lie closest together.

    Examples
    --------
    >>> time_form(["03/04/2025 10:00", "03/25/2025 11:00"]), time_form(["2025-11-18 11:20"]), time_form(["x"])
    ('%m/%d/%Y %H:%M', 'iso8601', None)
    """
    found = []
    for number, form in enumerate((*times.FORMATS, *_PATTERNS)):
        try:
            read = [times.moment(value, form=form, zone_name="UTC").ns or 0 for value in values]
        except InputError:
            continue
        if number == 0:
            return form
        late = latest is not None and max(read) > latest.value
        found.append((late, sum(two < one for one, two in pairwise(read)), max(read) - min(read), number, form))
    return min(found)[-1] if found else None


def _form(said: str, given: Mapping[str, Any], found: Incident, records: Sequence[Mapping[str, Any]]) -> Answer | None:
    """Return how times are written that could not be read, or which other field has them."""
    values = re.findall(r": '([^']+)' (?:is not an? (?:time|ISO)|read as|is out of range)", said)
    if not values or given.get("time", {}).get("format"):
        return None
    fields = [name for record in records for name in record if str(record[name]) in values]
    if records and not fields:
        return None  # it stands further down: the others are as they should be
    sample = [str(record[fields[0]]) for record in records if record.get(fields[0]) not in (None, "")] or values
    good = [value for value in sample if time_form([value]) is not None]
    if 2 * len(good) >= len(sample):
        form = time_form(good, found.file.as_of)
        why = f"how {values[0]!r} is to be read; guess: {len(good)} of the first {len(sample)} times fit"
        return Answer("--time-format", form, why) if form not in (None, "iso8601") else None
    other = time_field(records)
    if other and not given.get("columns", {}).get("time"):
        return Answer("--column", f"time={other}", f"the field with the time; guess: {values[0]!r} is none")
    return None


def _zone(said: str, found: Incident) -> Answer:
    line = next((line for line in said.splitlines() if "has no time zone" in line), "")
    asked = f"the zone of the clock that wrote {line.partition(' has no time zone')[0]}"
    zones = Counter(source.time.zone for source in found.file.sources if source.time.zone)
    if zones:
        zone = str(zones.most_common(1)[0][0])
        return Answer("--zone", zone, f"{asked}; guess: another source declares it")
    return Answer("--zone", "UTC", f"{asked}; nothing in the file tells, so look it up")

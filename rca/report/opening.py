"""Open an incident for a report: folder and exports read, people's names replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from rca import annotations as notes, incident, modelfile, schema, sources
from rca.causes import fishbone, fmea, whys
from rca.errors import InputError
from rca.incident import Incident
from rca.incident.unfilled import unfilled
from rca.modelfile import ModelEvidence
from rca.models import impact, shapdiff
from rca.redact import People, known
from rca.sources import Records
from rca.systems import timeline

__all__ = ["annotated", "check", "hide", "load", "models", "omitted", "pseudonyms", "refits"]


def load(path: str | Path, *, with_names: bool = False) -> tuple[Incident, Records]:
    """Return an incident and its exports, with people as roles and pseudonyms.

    Parameters
    ----------
    path : str or Path
        The incident folder.
    with_names : bool, default False
        Keep the names as they are.

    Returns
    -------
    incident : Incident
        Every text replaced but ids of systems, sources and findings.
    records : Records
        The tables of the exports, every text column replaced; the notes also name lines of the annotations that
        cannot be read.

    Raises
    ------
    InputError
        As `rca.incident.load` and `rca.sources.read`.

    Notes
    -----
    `rca.redact.known` says whose names are known, `rca.redact.People` in which forms they are found and in which not.
    """
    found = incident.load(path)
    records = _read(found)
    if with_names:
        return found, records
    names = pseudonyms(found, records)
    shown = ("events", "metrics", "dependencies", "spans", "reports")
    tables = {name: names.frame(getattr(records, name)) for name in shown}
    return hide(found, names), replace(records, **tables, notes=_hide(records.notes, names))


def annotated(path: str | Path, *, with_names: bool = False) -> pd.DataFrame:
    """Return the annotated events of an incident, with people as roles and pseudonyms.

    Parameters
    ----------
    path : str or Path
        The incident folder.
    with_names : bool, default False
        Keep the names as they are.

    Returns
    -------
    DataFrame
        As `rca.annotations.with_events`; an annotation of an event that is no longer there stays, with a remark.

    Raises
    ------
    InputError
        As `rca.incident.load` and `rca.sources.read`.
    """
    found = incident.load(path)
    said = notes.table(found.folder)
    if said.empty:
        return notes.with_events(said, schema.empty("events"))
    records = sources.read(found)
    shown = notes.with_events(said, records.events)
    return shown if with_names else pseudonyms(found, records).frame(shown)


def omitted(events: pd.DataFrame, shown: pd.DataFrame, whole: pd.DataFrame) -> str:
    """Return in words which events a table of the report lacks, and where all of them are.

    Parameters
    ----------
    events : DataFrame
        From `rca.timeline.merge`.
    shown, whole : DataFrame
        From `rca.timeline.overview` of it: what the page shows, and what ``tables/events.csv`` holds.
    """
    left, lost = timeline.left_out(events, shown), timeline.left_out(events, whole)
    said = f"Left out of this table: {left}." if left else "Nothing is left out; a row of count n stands for n records."
    if not lost:
        return f"{said} tables/events.csv has all {int(events['count'].sum()):,} records."
    return f"{said} tables/events.csv holds {len(whole):,} rows at most, by weight, and lacks {lost}."


def hide(found: Incident, names: People) -> Incident:
    """Return an incident with the names replaced in what people read; ids, paths and columns stay as they are."""
    shown = ("title", "severity_confirmed_by", "notice", "milestones", "impact", "people", "missing")
    file = found.file.model_copy(update={name: _hide(getattr(found.file, name), names) for name in shown})
    parts = {part: _hide(getattr(found, part), names) for part in ("analysis", "hashes", "differences")}
    return replace(found, file=file, **parts)


def models(path: str | Path, *, with_names: bool = False, trust: bool = False) -> ModelEvidence:
    """Return the models and tables of an incident, with people in groups and users as pseudonyms.

    Parameters
    ----------
    path : str or Path
        The incident folder.
    with_names : bool, default False
        Keep the names as they are.
    trust : bool, default False
        Load model files that can run code.

    Returns
    -------
    ModelEvidence
        As `rca.modelfile.evidence`; only the columns of the user and the group are changed.
    """
    found = incident.load(path)
    evidence = modelfile.evidence(found, trust=trust)
    columns = [name for name in (evidence.user, evidence.group) if name]
    if with_names or not columns:
        return evidence
    names = pseudonyms(found, sources.read(found))
    tables = {}
    for part in modelfile.TABLES:
        rows = getattr(evidence, part)
        if rows is not None:
            held = [name for name in columns if name in rows]
            tables[part] = rows.assign(**{name: names.frame(rows[[name]])[name] for name in held})
    return replace(evidence, **tables)


def refits(model: ModelEvidence) -> tuple[Callable[[np.random.Generator], Any] | None, str]:
    """Return how the model before is trained again, and why it cannot be.

    Parameters
    ----------
    model : ModelEvidence
        From `models` or `rca.modelfile.evidence`.

    Returns
    -------
    train : callable or None
        For the argument ``refits`` of `rca.shapdiff.compare`.
    why : str
        Why there is none: a sentence; ``""`` where there is one.
    """
    rows = model.training_before
    if model.before is None or rows is None or model.label not in rows:
        return None, "Training noise is not measured: that needs the model before, and its training rows with labels."
    labelled = rows.dropna(subset=[model.label])
    try:
        return shapdiff.retrain(model.before, labelled[list(model.features)], labelled[model.label]), ""
    except InputError as error:
        return None, f"Training noise is not measured: {error}."


def check(found: Incident, *, trust: bool = False) -> Records:
    """Read all that a report rests on, and return the exports, or raise every problem at once.

    Parameters
    ----------
    found : Incident
        From `rca.incident.load`.
    trust : bool, default False
        Load model files that can run code.

    Returns
    -------
    Records

    Raises
    ------
    InputError
        What is wrong with exports, models, milestones, people or conclusions.
    """
    problems: list[str] = []
    records: Records | None = None
    try:
        records = _read(found)
    except InputError as error:
        problems += error.problems
    analysis = found.analysis
    steps: tuple[Callable[[], object], ...] = (
        lambda: timeline.durations(timeline.milestones(found.milestones)),
        lambda: whys.check(analysis.problem, analysis.whys),
        lambda: fishbone.build(analysis.fishbone),
        lambda: fmea.score(analysis.fmea) if analysis.fmea else None,
        lambda: _impact(found, modelfile.evidence(found, trust=trust)),
    )
    for step in steps:
        try:
            step()
        except InputError as error:
            problems += error.problems
    if records is None or problems:
        raise InputError("\n".join(dict.fromkeys(problems)))
    pseudonyms(found, records)
    return records


def _read(found: Incident) -> Records:
    """Return the exports; the notes also name values of the template and unreadable annotations."""
    records = sources.read(found)
    return replace(records, notes=(*unfilled(found), *records.notes, *notes.verify(found.folder)))


def _impact(found: Incident, evidence: ModelEvidence) -> None:
    """Raise if the impact cannot be computed from rows that are there for it."""
    if evidence.window_before is None or evidence.window_after is None or not (evidence.label and evidence.decision):
        return
    impact.compute(
        evidence.window_before,
        evidence.window_after,
        label=evidence.label,
        decision=evidence.decision,
        user=evidence.user,
        group=evidence.group,
        population=found.file.model.population if found.file.model else None,
    )


def pseudonyms(found: Incident, records: Records) -> People:
    """Return the replacer of the names of those whom `rca.redact.known` finds."""
    one = known(found, records)
    return People(one.people, one.actors, one.keep)


def _hide(value: Any, names: People) -> Any:
    """Return `value` with every text in it replaced, records and containers included."""
    if isinstance(value, str):
        return names.text(value)
    if isinstance(value, BaseModel):
        return value.model_copy(update={name: _hide(getattr(value, name), names) for name in type(value).model_fields})
    if isinstance(value, dict):
        return {_hide(key, names): _hide(item, names) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_hide(item, names) for item in value)
    return value

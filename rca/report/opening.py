"""Open an incident for a report: folder and exports read, people's names replaced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rca import incident, sources
from rca.causes.language import Pseudonyms
from rca.incident import Incident
from rca.sources import Records

__all__ = ["hide", "load", "pseudonyms"]


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
        The tables of the exports, every text column replaced.

    Raises
    ------
    InputError
        As `rca.incident.load` and `rca.sources.read`.

    Notes
    -----
    Names are those under ``people:`` in ``incident.yaml`` and the actors of events; `rca.language.Pseudonyms`
    says in which forms they are found, and in which not.
    """
    found = incident.load(path)
    records = sources.read(found)
    if with_names:
        return found, records
    names = pseudonyms(found, records)
    tables = {name: names.frame(getattr(records, name)) for name in ("events", "metrics", "dependencies", "reports")}
    return hide(found, names), replace(records, **tables, notes=_hide(records.notes, names))


def hide(found: Incident, names: Pseudonyms) -> Incident:
    """Return an incident with the names in all its texts replaced."""
    parts = {part: _hide(getattr(found, part), names) for part in ("file", "analysis", "hashes", "differences")}
    return replace(found, **parts)


def pseudonyms(found: Incident, records: Records) -> Pseudonyms:
    """Return the replacer of the names that an incident declares or its events show as actors."""
    people = [(person.name, person.role, person.aliases) for person in found.file.people]
    actors = sorted(set(records.events["actor"]) - {""})
    return Pseudonyms(people, actors, keep=(*records.systems, *records.metrics["metric"].unique()))


def _hide(value: Any, names: Pseudonyms) -> Any:
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

"""Load an incident folder, or list everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from rca import conclusions, evidence, files, times, yamlfile
from rca.conclusions import Analysis
from rca.errors import InputError, MissingFile, RcaError, UnsafeInput, shorten
from rca.evidence import Evidence
from rca.incident import model
from rca.incident.model import IncidentFile

__all__ = ["Incident", "check", "load", "schema"]

INCIDENT = "incident.yaml"
ANALYSIS = "analysis.yaml"


@dataclass(frozen=True, eq=False)
class Incident:
    """One incident folder, read and checked.

    Attributes
    ----------
    folder : Path
        The folder.
    file : IncidentFile
        What ``incident.yaml`` says.
    analysis : Analysis
        What people concluded (``analysis.yaml``); empty when there is no such file.
    hashes : dict
        SHA-256 that the manifest records, by path in the folder; empty without a manifest.
    differences : tuple of str
        How the raw files differ from the manifest, in words; what rests on these files is stale.
    """

    folder: Path
    file: IncidentFile
    analysis: Analysis
    hashes: dict[str, str]
    differences: tuple[str, ...]

    @property
    def changed(self) -> frozenset[str]:
        """Paths of raw files that are not as recorded."""
        return frozenset(line.rsplit(": ", 1)[0] for line in self.differences)

    @property
    def milestones(self) -> pd.DataFrame:
        """The declared milestones: columns time, earliest, latest (UTC), evidence, note."""
        rows = {
            name: (item.time, item.earliest, item.latest, _labels(item.evidence), item.note)
            for name, item in self.file.milestones.items()
        }
        columns = ["time", "earliest", "latest", "evidence", "note"]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        return table.astype({"time": times.UTC, "earliest": times.UTC, "latest": times.UTC})

    @property
    def people(self) -> pd.DataFrame:
        """Who is named in the exports: columns name, role, aliases."""
        rows = [(person.name, person.role, tuple(person.aliases)) for person in self.file.people]
        return pd.DataFrame(rows, columns=["name", "role", "aliases"])

    @property
    def impact(self) -> pd.DataFrame:
        """The declared impact: columns quantity, value, of, low, high, unit, basis; "not measured" where so."""
        declared = self.file.impact
        figures = {
            "affected users": declared.affected_users,
            "affected decisions": declared.affected_decisions,
            **{f"affected group: {name}": figure for name, figure in declared.affected_groups.items()},
            "cost": declared.cost,
        }
        numbers = ["value", "of", "low", "high"]
        rows = [
            (name, *(getattr(item, number) for number in numbers), item.unit, _labels(item.evidence), item.note)
            for name, item in figures.items()
        ]
        table = pd.DataFrame(rows, columns=["quantity", *numbers, "unit", "basis", "note"])
        table["basis"] = table["basis"].where(table["basis"] != "", "not measured")
        return table.astype(dict.fromkeys(numbers, "float64"))

    def path(self, name: str) -> Path:
        """Return the path of a file of this incident; `name` cannot leave the folder."""
        return files.inside(self.folder, name)


def load(path: str | Path) -> Incident:
    """Return the incident in a folder.

    Parameters
    ----------
    path : str or Path
        The folder that holds ``incident.yaml``, or that file.

    Returns
    -------
    Incident
        Read and checked; raw files that differ from the manifest are named, not refused.

    Raises
    ------
    MissingFile
        If the folder, or a file that it names, is not there.
    UnsafeInput
        If a path leads out of the folder.
    InputError
        Every other problem, one a line, with file and line number.
    """
    folder = Path(path).parent if Path(path).name == INCIDENT else Path(path)
    if not (folder / INCIDENT).exists():
        raise MissingFile(f"{folder / INCIDENT}: no such file; `rca new ID` makes an incident folder")
    problems: list[str] = []
    kinds: list[type[InputError]] = []
    record: IncidentFile | None = None
    analysis = Analysis()
    hashes: dict[str, str] = {}
    differences: tuple[str, ...] = ()
    try:
        record = yamlfile.parse(
            files.inside(folder, INCIDENT), IncidentFile, partial(_relations, model.relations, folder)
        )
    except InputError as error:
        problems += error.problems
        kinds.append(type(error))
    try:
        if files.inside(folder, ANALYSIS).exists():
            analysis = yamlfile.parse(folder / ANALYSIS, Analysis, partial(_relations, conclusions.relations, folder))
    except InputError as error:
        problems += error.problems
        kinds.append(type(error))
    try:
        if (folder / evidence.MANIFEST).exists():
            hashes, differences = evidence.recorded(folder), tuple(evidence.verify(folder))
    except InputError as error:
        problems += error.problems
        kinds.append(type(error))
    if record is None or problems:
        raise (UnsafeInput if UnsafeInput in kinds else kinds[0])("\n".join(problems))
    return Incident(folder, record, analysis, hashes, differences)


def _relations(
    own: yamlfile.Relations, folder: Path, content: dict[str, Any]
) -> Iterator[tuple[yamlfile.Place, str | InputError]]:
    """Yield what is wrong between the parts of a file, and each file it names that is missing or outside."""
    yield from own(content)
    for place, name in _named_files(content, ()):
        try:
            if not files.inside(folder, name).is_file():
                yield place, MissingFile(f"{shorten(name)}: no such file in the incident folder")
        except InputError as error:
            yield place, error


def _named_files(content: Any, place: yamlfile.Place) -> Iterator[tuple[yamlfile.Place, str]]:
    """Yield each place where a file of the folder is named: ``file`` anywhere, and the parts of ``model``."""
    keys = model.MODEL_FILES if place == ("model",) else ("file",)
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inner:
        names = value if isinstance(value, list) else [value]
        yield from (((*place, key), name) for name in names if key in keys and isinstance(name, str) and name)
        yield from _named_files(value, (*place, key))


def _labels(items: Iterable[Evidence]) -> str:
    return "; ".join(item.label for item in items)


def check(path: str | Path) -> list[str]:
    """Return every problem of an incident folder in words; none is good.

    Reads what the folder says about itself, not the rows of its exports: `rca.sources.read` checks these.

    Parameters
    ----------
    path : str or Path
        The folder that holds ``incident.yaml``, or that file.

    Returns
    -------
    list of str
        With file and line number.
    """
    try:
        load(path)
    except RcaError as error:
        return str(error).splitlines()
    return []


def schema() -> dict[str, Any]:
    """Return the JSON Schema of ``incident.yaml`` and ``analysis.yaml``, by file name, for editors."""
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {
        INCIDENT: draft | IncidentFile.model_json_schema(),
        ANALYSIS: draft | Analysis.model_json_schema(),
    }

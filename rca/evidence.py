"""Evidence and findings: no supported claim without something that can be looked up.

A piece of evidence names a file of the incident folder or a table of the report. Files are pinned
by the SHA-256 in ``MANIFEST.json``, so a changed file makes every claim that rests on it stale.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from rca import files, vocabulary
from rca.errors import InputError, MissingFile, shorten

__all__ = [
    "MANIFEST",
    "RAW_FOLDERS",
    "Evidence",
    "FileName",
    "Finding",
    "Number",
    "Record",
    "Status",
    "differences",
    "present",
    "record",
    "recorded",
    "verify",
]

MANIFEST = "MANIFEST.json"
RAW_FOLDERS = ("sources", "model")
Status = Literal["open", "supported", "refuted"]


def _one_spelling(name: str) -> str:
    """Refuse ``sources/./a.csv``: the manifest knows each file by one name only."""
    if name and name != posixpath.normpath(name):
        raise ValueError(f"write the path as {posixpath.normpath(name)!r}")
    return name


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a number, found true or false")
    return value


FileName = Annotated[str, AfterValidator(_one_spelling)]
Number = Annotated[float, BeforeValidator(_no_truth), Field(allow_inf_nan=False)]


class Record(BaseModel):
    """A frozen record that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Evidence(Record):
    """Where a claim can be looked up.

    Attributes
    ----------
    file : str
        Path in the incident folder, such as ``sources/alerts.csv``; or empty.
    table : str
        A table of the report, such as ``cascade``; or empty.
    locator : str
        Place in it: ``row 3``, ``line 17``, a JSON pointer.
    says : str
        What it shows, in one sentence.
    """

    file: FileName = ""
    table: str = ""
    locator: str = ""
    says: str = ""

    @model_validator(mode="after")
    def _one_place(self) -> Evidence:
        if bool(self.file) == bool(self.table):
            raise ValueError("evidence names either a file of the incident folder or a table of the report")
        return self

    @property
    def label(self) -> str:
        """The place in a few words.

        Examples
        --------
        >>> Evidence(file="sources/alerts.csv", locator="row 3").label
        'sources/alerts.csv, row 3'
        """
        place = self.file or f"table {self.table}"
        return f"{place}, {self.locator}" if self.locator else place


class Finding(Record):
    """A claim about the incident, its role, and what supports it.

    Raises
    ------
    ValidationError
        If it is ``supported`` or ``refuted`` and names no evidence.

    Examples
    --------
    >>> Finding(id="f1", role="root_cause", statement="It rained.", status="supported")
    Traceback (most recent call last):
        ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Finding
      Value error, a supported finding needs evidence; give some or set status: open [type=value_error, ...
    """

    id: str = Field(min_length=1)
    role: str
    statement: str = Field(min_length=1)
    status: Status = "open"
    evidence: tuple[Evidence, ...] = ()
    cause: str = ""

    @field_validator("role")
    @classmethod
    def _known_role(cls, value: str) -> str:
        return vocabulary.check(value, "finding_roles", where="role")

    @field_validator("cause")
    @classmethod
    def _known_cause(cls, value: str) -> str:
        return vocabulary.check(value, "causes", where="cause") if value else value

    @model_validator(mode="after")
    def _evidenced(self) -> Finding:
        if self.status != "open" and not self.evidence:
            raise ValueError(f"a {self.status} finding needs evidence; give some or set status: open")
        return self


def present(folder: str | Path) -> dict[str, str]:
    """Return the SHA-256 of every raw file of an incident folder, as it is now.

    Parameters
    ----------
    folder : str or Path
        The incident folder.

    Returns
    -------
    dict
        Path in the folder -> SHA-256.

    Raises
    ------
    UnsafeInput
        If a raw file is a link that leads out of the folder.
    """
    top = Path(folder)
    found = (path for name in RAW_FOLDERS for path in sorted((top / name).rglob("*")))
    names = [path.relative_to(top).as_posix() for path in found if path.is_file()]
    return {name: files.sha256(files.inside(top, name)) for name in names}


def recorded(folder: str | Path) -> dict[str, str]:
    """Return the hashes that ``MANIFEST.json`` records, by path in the folder.

    Parameters
    ----------
    folder : str or Path
        The incident folder.

    Returns
    -------
    dict
        Path in the folder -> SHA-256.

    Raises
    ------
    MissingFile
        If there is no manifest.
    InputError
        If it is not a JSON object of texts.
    """
    path = Path(folder) / MANIFEST
    if not path.exists():
        raise MissingFile(f"{path}: no manifest; `rca manifest {folder}` records the raw files")
    try:
        content: Any = json.loads(files.read_bytes(path, limit=2**24))
        entries: Mapping[str, str] = content["sha256"]
        return {str(name): str(value) for name, value in entries.items()}
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: not a manifest ({shorten(repr(error))})") from error


def verify(folder: str | Path) -> list[str]:
    """Return every difference between the raw files and the manifest, in words; none is good.

    Parameters
    ----------
    folder : str or Path
        The incident folder.

    Returns
    -------
    list of str
        ``NAME: how it differs``, sorted.

    Raises
    ------
    MissingFile
        If there is no manifest.
    UnsafeInput
        If a raw file is a link that leads out of the folder.

    Notes
    -----
    The manifest shows that a file changed since it was recorded. It does not show who changed it, and
    whoever can write both can change both: keep a copy of the manifest elsewhere.
    """
    return differences(recorded(folder), present(folder))


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return how hashes by path differ, in words, sorted.

    Examples
    --------
    >>> differences({"sources/a.csv": "e3b0"}, {"sources/a.csv": "c442"})
    ['sources/a.csv: changed since it was recorded']
    """
    lines = [f"{name}: changed since it was recorded" for name in before if name in now and before[name] != now[name]]
    lines += [f"{name}: recorded, but missing" for name in before if name not in now]
    lines += [f"{name}: not in the manifest" for name in now if name not in before]
    return sorted(lines)


def record(folder: str | Path, *, accept: bool = False) -> list[str]:
    """Record the hashes of new raw files in the manifest; return the paths that were added or accepted.

    Parameters
    ----------
    folder : str or Path
        The incident folder.
    accept : bool, default False
        Also record files that changed or vanished since they were recorded.

    Returns
    -------
    list of str
        Paths in the folder, sorted.

    Raises
    ------
    InputError
        If a recorded file changed or is missing and `accept` is false: raw exports never change.
    """
    top = Path(folder)
    before = recorded(top) if (top / MANIFEST).exists() else {}
    now = present(top)
    differing = [name for name in before if before[name] != now.get(name)]
    if differing and not accept:
        lines = [
            f"{name}: {'changed' if name in now else 'missing'}; raw exports are never changed" for name in differing
        ]
        lines.append(f"{top}: if this is meant, `rca manifest {top} --accept`; claims resting on it need review")
        raise InputError("\n".join(lines))
    files.write(top / MANIFEST, files.canonical_json({"algorithm": "SHA-256", "sha256": now}))
    return sorted(name for name in now.keys() | before.keys() if before.get(name) != now.get(name))

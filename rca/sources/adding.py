"""Add exports to an incident: recognised, tried, copied, described in ``incident.yaml``; or refused, unchanged."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from rca import custody, files, incident, yamledit
from rca.errors import InputError, UnknownName, did_you_mean, raise_all, shorten
from rca.incident import Incident
from rca.incident.load import INCIDENT
from rca.incident.model import Source
from rca.sources import batches, formats, recognise
from rca.sources.engine import Imported, import_source
from rca.sources.mapping import MAPPABLE
from rca.sources.read import ImportReport, report
from rca.sources.runs import Runs
from rca.sources.stored import KEYS, connection

__all__ = ["Added", "add"]

FOLDER = "sources"


@dataclass(frozen=True)
class Added:
    """What became of one file that was to be added.

    Attributes
    ----------
    source : Source or None
        The entry in ``incident.yaml``; None when nothing was added.
    said : str
        What was done, in a sentence.
    report : ImportReport or None
        Of this file alone.
    """

    source: Source | None
    said: str
    report: ImportReport | None = None


def add(
    folder: str | Path,
    path: str | Path,
    *,
    given: Mapping[str, Any] | None = None,
    actor: str = "",
    progress: bool = False,
) -> Added:
    """Add one export to an incident.

    The file is recognised by its beginning, and read as a trial. Only when that succeeds is it copied to
    ``sources/``, recorded in the manifest and the custody log, and described in ``incident.yaml``. A file whose
    format and mapping are those of a source that is there becomes a further piece of that source, unless an id
    is given: a record that is in both pieces is one event.

    Parameters
    ----------
    folder : str or Path
        The incident folder; held for this process until the export is described.
    path : str or Path
        The export; it is only read.
    given : mapping, optional
        Parts of the entry that are known, as in ``incident.yaml``: ``id``, ``reader``, ``table``, ``columns``,
        ``constant``, ``time``, ``rejected``...; what is given is not guessed.
    actor : str, default ""
        The role that adds it, for the custody log.
    progress : bool, default False
        Draw a progress bar.

    Returns
    -------
    Added
        The entry and the import report; nothing changes when the same file is there already.

    Raises
    ------
    InputError
        If the file is not recognised, or cannot be read without an answer that only a person has: the zone of
        times that name none, the kind of events, how many records may be unreadable.
    """
    path, given = Path(path), dict(given or {})
    files.check_plain(path)
    if not path.name.isprintable():
        raise InputError(f"{shorten(path.name)}: the name is no printable UTF-8 text; rename the file")
    with files.locked(Path(folder)):
        return _add(incident.load(folder), path, given, actor, progress)


def _add(found: Incident, path: Path, given: dict[str, Any], actor: str, progress: bool) -> Added:
    digest = files.sha256(path)
    for source in found.file.sources:
        for name in source.file:
            if _same(found, name, digest):
                said = f"{path.name}: already there as {name} (source {source.id}); nothing changed"
                edit = (
                    f"; to read it otherwise, edit source {source.id} in incident.yaml" if any(given.values()) else ""
                )
                return Added(None, said + edit)
    entry = _entry(path, given)
    source = _source({"id": given.get("id") or _default_id(path, entry["reader"]), "file": path.name} | entry)
    done, kept, conflicts = _trial(source, path, found.file.as_of, progress)
    joined = None if given.get("id") else next((item for item in found.file.sources if _alike(item, source)), None)
    name = _free_name(found, path, digest)
    if joined is None:
        taken = [item.id for item in found.file.sources]
        source = source.model_copy(update={"id": _unused(source.id, taken), "file": [name]})
        if given.get("id") in taken:
            raise InputError(f"incident.yaml: source {given['id']!r} is there already; choose another --as")
    else:
        source = joined.model_copy(update={"file": [*joined.file, name]})
    _write(found, path, name, source, joined, entry, actor)
    said = f"{name}: read as {source.reader}; " + (
        f"further piece of source {source.id}" if joined else f"new source {source.id}"
    )
    return Added(source, said, report(done, kept, conflicts))


def _same(found: Incident, name: str, digest: str) -> bool:
    try:
        return (found.hashes.get(name) or files.sha256(found.path(name))) == digest
    except InputError:
        return False


def _entry(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of the entry that matter: what is given, and of plain files what their fields say."""
    entry = {name: value for name, value in given.items() if value not in (None, "", {}, [])}
    entry["reader"] = given.get("reader") or recognise.reader(recognise.head(path))
    if entry["reader"] not in batches.READERS:
        tables = formats.get(entry["reader"]).tables
        if entry.get("table"):
            raise InputError(
                f"{path.name}: {entry['reader']} knows its tables ({', '.join(tables)}); leave out --table"
            )
        known = {name for table in tables for name in MAPPABLE[table]}
        unknown = [name for name in entry.get("columns", {}) if name not in known]
        raise_all([f"--column: no column {name!r}{did_you_mean(name, known)}" for name in unknown], UnknownName)
        return entry
    asked = _source({"id": "x", "file": path.name} | {name: value for name, value in entry.items() if name != "id"})
    guessed = recognise.guess(path, asked)
    columns = guessed.pop("columns", {}) | entry.get("columns", {})
    constant = guessed.pop("constant", {}) | entry.get("constant", {})
    entry = guessed | entry | ({"columns": columns} if columns else {}) | ({"constant": constant} if constant else {})
    if guessed.get("time") or given.get("time"):
        entry["time"] = guessed.get("time", {}) | dict(given.get("time") or {})
    if entry.get("table") == "events" and "kind" not in entry.get("constant", {}) and "kind" not in columns:
        raise InputError(
            f"{path.name}: the records do not say what kind of events they are; say --kind, such as deploy or log"
        )
    return entry


def _source(entry: dict[str, Any]) -> Source:
    try:
        return Source.model_validate(entry)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}" for item in error.errors()
        ]
        raise InputError("\n".join(lines)) from error


def _trial(
    source: Source, path: Path, as_of: pd.Timestamp, progress: bool
) -> tuple[Imported, dict[str, int], dict[str, int]]:
    """Return what reading the file alone gives; raise when it cannot be read as it is described."""
    with tempfile.TemporaryDirectory(prefix="rca-") as folder, connection() as duck:
        runs = {table: Runs(Path(folder) / table, table) for table in KEYS}
        done = import_source(source, {path.name: path}, runs, duck, as_of, progress=progress)
        kept = {table: one.merge(Path(folder) / f"{table}.parquet").get(source.id, 0) for table, one in runs.items()}
    return done, kept, runs["events"].conflicts


def _alike(one: Source, other: Source) -> bool:
    """Return whether two sources read their files in the same way."""
    apart = {"id", "file", "note", "rejected", "clock", "required"}
    return one.model_dump(exclude=apart) == other.model_dump(exclude=apart)


def _free_name(found: Incident, path: Path, digest: str) -> str:
    """Return a name below ``sources/`` that no other file has; a file of the same content there is this one."""
    number = 1
    while True:
        stem = path.stem if number == 1 else f"{path.stem}-{number}"
        name = f"{FOLDER}/{stem}{path.suffix}"
        there = found.path(name)
        if not there.exists() or files.sha256(there) == digest:
            return name
        number += 1


def _write(
    found: Incident, path: Path, name: str, source: Source, joined: Source | None, entry: Mapping[str, Any], actor: str
) -> None:
    """Copy the file, then describe it; ``incident.yaml`` is checked as a whole before it takes the old one's place."""
    text = (found.folder / INCIDENT).read_bytes().decode("utf-8")
    if joined is None:
        # required stays at its default; the id and the file come first, as people write them
        new = {"id": source.id, "file": name} | {
            key: value for key, value in entry.items() if key not in ("id", "file")
        }
        text = yamledit.append(text, "sources", new)
    else:
        place = [item.id for item in found.file.sources].index(joined.id)
        text = yamledit.replace(text, ("sources", place, "file"), source.file)
        if entry.get("rejected"):
            text = yamledit.replace(text, ("sources", place, "rejected"), joined.rejected + entry["rejected"])
    target = found.path(name)
    copied = not target.exists()
    if copied:
        _copy(path, target)
    old = (found.folder / INCIDENT).read_bytes()
    files.write(found.folder / INCIDENT, text)
    problems = incident.check(found.folder)
    if problems:
        files.write(found.folder / INCIDENT, old)
        if copied:
            target.unlink()
        raise_all([f"{name}: cannot be described in incident.yaml: {line}" for line in problems])
    custody.record(found.folder, note=f"added {path.name}", actor=actor)


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".part", delete=False) as part:
        temporary = Path(part.name)
    try:
        shutil.copyfile(path, temporary)
        temporary.chmod(0o644)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _default_id(path: Path, reader: str) -> str:
    """Return the format as id of its source; plain files may hold anything, so theirs is the file's name."""
    return _id(path.stem) if reader in batches.READERS else reader


def _id(stem: str) -> str:
    """Return an id made of a file's name.

    Examples
    --------
    >>> _id("My export (2)")
    'my-export-2'
    """
    words = "".join(
        character if character.isascii() and character.isalnum() else " " for character in stem.lower()
    ).split()
    return "-".join(words)[:64] or "export"


def _unused(name: str, taken: Sequence[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"

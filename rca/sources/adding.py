"""Add exports to an incident: recognised, tried, copied, described in ``incident.yaml``; or refused, unchanged."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rca import custody, files, incident, yamledit
from rca.errors import InputError, raise_all, shorten
from rca.incident import Incident
from rca.incident.load import INCIDENT
from rca.incident.model import Source, Windows
from rca.sources import batches, derived, documents, recognise, returned, years
from rca.sources.questions import Answer, Unanswered, answered, ask
from rca.sources.read import ImportReport
from rca.sources.trial import attempt, checked, described, keep, tables

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
    times : Series or None
        When this file has events or values, each time once, in order; UTC.
    windows : Windows or None
        Of the incident, where it declares them.
    """

    source: Source | None
    said: str
    report: ImportReport | None = None
    times: pd.Series | None = None
    windows: Windows | None = None


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
    is given: a record that is in both pieces is one event. Where times name no year, that of each piece is kept.

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
        The entry and the import report; nothing changes when the same file is there already. When a recorded file is
        missing and this is its original, it is put back, and nothing else is done.

    Raises
    ------
    Unanswered
        An InputError: the file cannot be read without answers that only a person has, such as the zone of times
        that name none, the kind of events, how many records may be unreadable. It lists all of them, each with
        a guess; with the guesses the file can be read.
    InputError
        If the file is not recognised, or no answer would help; or if raw files of the incident are not as recorded.
        Then nothing was written.

    Notes
    -----
    What was read to try the file is kept as the incident's derived tables, when those of the other sources
    are at hand: then the next reading parses nothing. A further piece of a source is read again with the others.
    """
    path, given = Path(path), dict(given or {})
    files.check_plain(path)
    if not path.name.isprintable():
        raise InputError(f"{shorten(path.name)}: the name is no printable UTF-8 text; rename the file")
    if not Path(folder).exists():
        incident.load(folder)  # says what is missing
    with files.locked(Path(folder)):
        restored = custody.restore(folder, path, actor=actor)
        if restored:
            return Added(None, f"{path.name}: put back as {', '.join(restored)}, which was missing; as recorded")
        found = incident.load(folder)
        _check_unchanged(found)
        return _add(found, path, given, actor, progress)


def _check_unchanged(found: Incident) -> None:
    """Raise while recorded files differ: nothing is added to evidence that is in doubt."""
    problems = [f"{name}: changed or missing since it was recorded" for name in sorted(found.changed & {*found.hashes})]
    if problems:
        accept = f"`rca manifest {shlex.quote(str(found.folder))} --accept`"
        problems.append(
            "nothing was added: raw exports never change; delete what changed and import its original again,"
            f" or where the change is meant: {accept}"
        )
        raise InputError("\n".join(problems))


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
    with derived.workplace(found.folder) as work:
        copy = work / "export" / path.name
        _copy(path, copy)
        if files.sha256(copy) != digest:
            raise InputError(f"{path.name}: changed while it was copied; import it when it is whole")
        try:
            return _answered(found, copy, digest, given, actor, progress)
        except InputError as error:
            if f"{copy.parent}/" not in str(error):
                raise
            said = str(error).replace(f"{copy.parent}/part/", f"{copy.parent}/").replace(str(copy), str(path))
            raise (Unanswered(said, error.answers) if isinstance(error, Unanswered) else type(error)(said)) from error


_SAMPLE = 2**20  # bytes of a larger file of lines by which the questions are found before it is read whole
_ROUNDS = 6


def _answered(found: Incident, copy: Path, digest: str, given: dict[str, Any], actor: str, progress: bool) -> Added:
    """Read an export, or raise all questions that it leaves open, once the guesses for all of them are tried."""
    answers: list[Answer] = []
    error = None
    if (part := _part(copy)) is not None:
        answers = [item for item in _asked(found, part, copy, given, [], None)[0] if item.option != "--rejected"]
    if not answers:
        try:
            return _read(found, copy, digest, given, actor, progress)
        except InputError as refusal:
            answers, error = _asked(found, copy, copy, given, [], refusal)
    else:
        answers, error = _asked(found, copy, copy, given, answers, None)
    if error is not None:
        raise error
    listed = [f"{copy.name}: add {item.option} {item.value}: {item.why}" for item in answers]
    raise Unanswered("\n".join(listed), answers)


def _part(path: Path) -> Path | None:
    """Return the first lines of a large file of lines as a file of its own; None where a part cannot be read."""
    with files.opened(path) as handle:
        data = handle.read(2 * _SAMPLE + 1)
    if len(data) <= 2 * _SAMPLE:
        return None
    data = data[:_SAMPLE]
    end = data.rfind(b"\n") + 1
    if not end or data[:4] in (b"PAR1", b"PK\x03\x04") or data.lstrip()[:1] == b"[":
        return None
    part = path.parent / "part" / path.name
    part.parent.mkdir()
    part.write_bytes(data[:end])
    return part if documents.is_lines(part) or data.lstrip()[:1] != b"{" else None


def _asked(
    found: Incident, path: Path, whole: Path, given: Mapping[str, Any], answers: list[Answer], error: InputError | None
) -> tuple[list[Answer], InputError | None]:
    """Return the answers that a file, or the beginning of the whole of it, needs, and what is still wrong with them."""
    for _ in range(_ROUNDS):
        now = answered(given, answers)
        try:
            if error is None:
                _tried(found, path, now)
                return answers, None
        except InputError as refusal:
            error = refusal
        more = ask(error, whole, now, found, _beginning(path, now))
        known = {(item.option, item.value.partition("=")[0]) for item in answers}
        more = [item for item in more if (item.option, item.value.partition("=")[0]) not in known]
        if not more:
            break
        answers, error = [*answers, *more], None
    return answers, error


def _tried(found: Incident, path: Path, given: Mapping[str, Any]) -> None:
    """Raise what is wrong with a file as it is described."""
    entry = described(path, given)
    source = checked({"id": _default_id(path, entry["reader"]), "file": path.name} | entry)
    _joined(found, source, path, given)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        attempt(source, path, found.file.as_of, None, False, Path(folder))


def _beginning(path: Path, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the first records of a plain file, for guesses."""
    try:
        reader = given.get("reader") or recognise.reader(recognise.head(path))
        if reader not in batches.READERS:
            return []
        source = checked({"id": "x", "file": path.name, "reader": reader})
        return recognise.sample(path, source.model_copy(update=recognise.shape(path, source)))
    except InputError:
        return []


def _read(found: Incident, copy: Path, digest: str, given: dict[str, Any], actor: str, progress: bool) -> Added:
    """Try the copy of an export; when it can be read, move it to its place and describe it."""
    entry = described(copy, given)
    source = checked({"id": given.get("id") or _default_id(copy, entry["reader"]), "file": copy.name} | entry)
    joined = _joined(found, source, copy, given)
    name = _free_name(found, copy, digest)
    taken = [item.id for item in found.file.sources]
    if joined is None and given.get("id") in taken:
        raise InputError(f"incident.yaml: source {given['id']!r} is there already; choose another --as")
    own = joined.id if joined else _unused(source.id, taken)
    source = source.model_copy(update={"id": own, "file": [name]})
    # Where events came back before, the reports of other sources may change: all are read again.
    alone = joined is None and not any(item.reader in returned.READERS for item in found.file.sources)
    old = tables(found) if alone else None
    trial = attempt(source, copy, found.file.as_of, old, progress, copy.parent.parent)
    if joined is not None:
        source = _with(joined, name, source.time.year)
    _write(found, copy, name, source, joined, entry, actor)
    if old is not None:
        keep(found, source, digest, trial, old)
    said = f"{name}: read as {source.reader}; " + (
        f"further piece of source {source.id}" if joined else f"new source {source.id}"
    )
    return Added(source, said, trial.report, trial.times, found.file.windows)


def _joined(found: Incident, source: Source, path: Path, given: Mapping[str, Any]) -> Source | None:
    """Return the source that an export is a further piece of; raise if its year cannot be that of such a piece."""
    joined = None if given.get("id") else next((item for item in found.file.sources if _alike(item, source)), None)
    if joined is not None:
        years.check_piece(path, source, found.file.as_of, joined, {name: found.path(name) for name in joined.file})
    return joined


def _with(source: Source, name: str, year: Any) -> Source:
    """Return a source with a further file, and with the year of each of its files where its times name none."""
    known = source.time.year if isinstance(source.time.year, dict) else dict.fromkeys(source.file, source.time.year)
    time = source.time.model_copy(update={"year": {**known, name: year}}) if year is not None else source.time
    return source.model_copy(update={"file": [*source.file, name], "time": time})


def _same(found: Incident, name: str, digest: str) -> bool:
    try:
        return (found.hashes.get(name) or files.sha256(found.path(name))) == digest
    except InputError:
        return False


def _alike(one: Source, other: Source) -> bool:
    """Return whether two sources read their files in the same way."""
    dumps = [
        source.model_dump(exclude={"id", "file", "note", "rejected", "clock", "required"}) for source in (one, other)
    ]
    for dump in dumps:  # the years of pieces may differ
        dump["time"]["year"] = dump["time"]["year"] is not None
    return dumps[0] == dumps[1]


def _free_name(found: Incident, path: Path, digest: str) -> str:
    """Return a name below ``sources/`` that no other file has; a file of the same content there is this one."""
    inner = files.unpacked(path)
    ending = path.name.removeprefix(inner.stem)
    number = 1
    while True:
        stem = inner.stem if number == 1 else f"{inner.stem}-{number}"
        name = f"{FOLDER}/{stem}{ending}"
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
        try:
            text = yamledit.append(text, "sources", new)
        except InputError:  # what stands there may be null
            text = yamledit.append(yamledit.replace(text, ("sources",), []), "sources", new)
    else:
        place = [item.id for item in found.file.sources].index(joined.id)
        text = yamledit.replace(text, ("sources", place, "file"), source.file)
        if source.time.year is not None:
            text = yamledit.replace(text, ("sources", place, "time", "year"), source.time.year)
        if entry.get("rejected"):
            text = yamledit.replace(text, ("sources", place, "rejected"), joined.rejected + entry["rejected"])
    target = found.path(name)
    copied = not target.exists()
    if copied:
        _move(path, target)
    old = (found.folder / INCIDENT).read_bytes()
    files.write(found.folder / INCIDENT, text)
    problems = incident.check(found.folder)
    if problems:
        files.write(found.folder / INCIDENT, old)
        if copied:
            target.unlink()
        raise_all([f"{name}: cannot be described in incident.yaml: {line}" for line in problems])
    custody.record(found.folder, note=f"added {path.name}", actor=actor)


def _move(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.replace(target)
    except OSError:  # the tables are kept on another disk than the exports
        _copy(path, target)


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
    return _id(files.unpacked(path).stem) if reader in batches.READERS else reader


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

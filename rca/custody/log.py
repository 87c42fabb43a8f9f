"""The custody log of an incident folder."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from rca import __version__, evidence, files, journal
from rca.custody import annotation, check
from rca.errors import InputError, MissingFile, UnknownName, did_you_mean, shorten
from rca.times import UTC

__all__ = [
    "ACTIONS",
    "KEPT",
    "LOG",
    "Held",
    "annotate",
    "append",
    "chain",
    "entries",
    "head",
    "noted",
    "read",
    "record",
]

LOG = check.LOG
ACTIONS = ("added", "accepted", "annotated", "restored", "derived", "exported", "redacted", "verified", "torn")
KEPT = ("added", "accepted")  # files of the folder that may not change or vanish
_LONGEST = 2000


class Held(NamedTuple):
    """A file of the folder as the log knows it."""

    sha256: str
    action: str
    line: int


def append(
    folder: str | Path,
    action: str,
    names: Mapping[str, str | None] | Iterable[str] = (),
    *,
    note: str = "",
    actor: str = "",
) -> str:
    r"""Add one entry to the log and return its hash.

    Parameters
    ----------
    folder : str or Path
        The incident folder.
    action : str
        ``added`` or ``accepted`` (raw files), ``restored`` (raw files that were gone), ``annotated`` (lines of
        ``annotations.jsonl``), ``derived`` (files made from raw ones), ``exported``, ``redacted``, ``verified``.
        ``torn`` is written by this function itself, when it finds a line that was cut short.
    names : iterable of str, or mapping of str to str
        Paths in the folder, hashed here; or name -> SHA-256, for files elsewhere (None: it is gone).
    note : str, default ""
        Why; at most 2,000 characters.
    actor : str, default ""
        Who, by role; else the environment variable ``RCA_ACTOR``; else "not named". Never the login name.

    Returns
    -------
    str
        Its hash, the new head of the chain.

    Raises
    ------
    UnknownName
        If the action is none of `ACTIONS`.
    MissingFile
        If a file is not there.
    InputError
        If a text is too long, or the log cannot be written.

    Notes
    -----
    Safe with several writers at once, and when one is killed (`rca.journal.add`).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a.csv").write_text("time\n")
    ...     head = append(folder, "derived", ["a.csv"], actor="on-call", note="times in UTC")
    ...     entries(folder)[["actor", "action", "file"]].values.tolist()
    [['on-call', 'derived', 'a.csv']]
    """
    if action not in ACTIONS:
        raise UnknownName(f"unknown action {shorten(action)}{did_you_mean(action, ACTIONS)}")
    who = actor.strip() or os.environ.get("RCA_ACTOR", "").strip() or "not named"
    for what, text in (("actor", who), ("note", note)):
        if len(text) > _LONGEST:
            raise InputError(f"{what}: {len(text):,} characters, more than the limit of {_LONGEST:,}")
    sums = dict(names) if isinstance(names, Mapping) else {name: _sum(Path(folder), name) for name in names}
    written: list[str] = []

    def make(before: Iterator[bytes], torn: bytes) -> Iterator[dict[str, Any]]:
        acts = [(action, sums, who, note)]
        whole = check.chain([torn])[0] if torn else []  # a last line that lacks its end only
        seq, prev = _last(iter([torn]) if whole else before)
        if torn and not whole:
            line = len(journal.read(Path(folder) / LOG))
            known: dict[str, str | None] = {f"{LOG} line {line}": hashlib.sha256(torn).hexdigest()}
            acts.insert(0, ("torn", known, "rca", f"line {line} was cut short after {len(torn)} bytes"))
        for kind, held, by, why in acts:
            seq += 1
            now = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
            entry = {"seq": seq, "time": now, "actor": by, "action": kind, "files": held, "note": why}
            entry |= {"version": __version__, "prev": prev}
            prev = check.digest(entry)
            written.append(prev)
            yield entry | {"hash": prev}

    journal.add(files.inside(folder, LOG), make)
    return written[-1]


def _sum(folder: Path, name: str) -> str:
    return files.sha256(files.inside(folder, name))


def _last(before: Iterable[bytes]) -> tuple[int, str]:
    """Return number and hash of the last entry that can be read."""
    for line in before:
        found, _ = check.chain([line])
        if found:
            return found[0][1]["seq"], found[0][1]["hash"]
    return 0, ""


def annotate(folder: str | Path, record: Mapping[str, str], *, actor: str = "") -> None:
    """Add a line to ``annotations.jsonl`` and its SHA-256 to the log.

    Parameters
    ----------
    folder : str or Path
        The incident folder. A manifest from before there was a log is taken over into the log as it is.
    record : mapping of str to str
        The line, with its id.
    actor : str, default ""
        As in `append`.

    Raises
    ------
    MissingFile
        If the folder is not there.
    UnsafeInput
        If one of the two files is a link that leads out of the folder.
    InputError
        If one of the two cannot be written.
    """
    if not read(folder) and (Path(folder) / evidence.MANIFEST).exists():
        append(folder, "added", evidence.recorded(folder), note=f"taken over from {evidence.MANIFEST}", actor="rca")
    journal.add(files.inside(folder, annotation.FILE), lambda _before, _torn: [record])
    total = hashlib.sha256(journal.encode(record)).hexdigest()
    append(folder, annotation.ACTION, {annotation.key(record["id"]): total}, actor=actor)


def read(folder: str | Path) -> list[tuple[int, dict[str, Any]]]:
    """Return the entries that can be read, each with its line; none when there is no log."""
    return chain(folder)[0]


def chain(folder: str | Path) -> tuple[list[tuple[int, dict[str, Any]]], list[str], list[journal.Line]]:
    """Return the entries with their lines, every break of the chain in words, and the lines of the log."""
    lines = journal.read(files.inside(folder, LOG))
    found, problems = check.chain([line.content for line in lines])
    return found, problems, lines


def entries(folder: str | Path) -> pd.DataFrame:
    """Return the log as a table.

    Parameters
    ----------
    folder : str or Path
        The incident folder.

    Returns
    -------
    DataFrame
        One row an entry and file, in the order of the log. Columns: ``line``, ``seq``, ``time`` (UTC), ``actor``,
        ``action`` (``unreadable`` for a line that cannot be read), ``file`` (empty when the entry names none),
        ``sha256`` (empty for a file that is gone), ``note``, ``version``, ``hash``.

    Raises
    ------
    MissingFile
        If there is no log.
    """
    found, _, lines = chain(folder)
    if not lines:
        raise MissingFile(f"{Path(folder) / LOG}: no custody log; `rca manifest {folder}` begins it")
    known = dict(found)
    rows = []
    for line in lines:
        entry = known.get(line.number)
        if entry is None:
            rows.append((line.number, 0, "", "", "unreadable", "", "", f"{len(line.content)} bytes", "", ""))
            continue
        start = (line.number, entry["seq"], entry["time"], entry["actor"], entry["action"])
        for name, value in (entry["files"] or {"": ""}).items():
            rows.append((*start, name, value or "", entry["note"], entry["version"], entry["hash"]))
    columns = ["line", "seq", "time", "actor", "action", "file", "sha256", "note", "version", "hash"]
    table = pd.DataFrame(rows, columns=columns)
    table["time"] = pd.to_datetime(table["time"], utc=True, errors="coerce", format="ISO8601").astype(UTC)
    return table


def head(folder: str | Path) -> str:
    """Return the hash of the last entry: note it elsewhere, and `verify` can show that the log was rewritten.

    Parameters
    ----------
    folder : str or Path
        The incident folder.

    Returns
    -------
    str
        64 characters.

    Raises
    ------
    MissingFile
        If there is no log, or no entry in it can be read.
    """
    found = chain(folder)[0]
    if not found:
        raise MissingFile(f"{Path(folder) / LOG}: no custody log; `rca manifest {folder}` begins it")
    return str(found[-1][1]["hash"])


def record(folder: str | Path, *, accept: bool = False, note: str = "", actor: str = "") -> list[str]:
    """Record new raw files in the manifest and in the log; return the paths that were added or accepted.

    Parameters
    ----------
    folder : str or Path
        The incident folder.
    accept : bool, default False
        Also record files that changed or vanished since they were recorded, and annotations as they are now.
    note, actor : str, default ""
        As in `append`.

    Returns
    -------
    list of str
        Paths in the folder, sorted: of the manifest, and of files that only the log did not know yet; of lines of
        annotations that are accepted, ``annotations.jsonl ID``.

    Raises
    ------
    InputError
        As `rca.evidence.record`.

    Notes
    -----
    The manifest is written first. Whatever the log lacks of it, also from a run that was killed between the
    two or from before there was a log, is logged in the same go.
    """
    evidence.record(folder, accept=accept)
    now: dict[str, str] = evidence.recorded(folder)
    held = noted(chain(folder)[0])
    kept = {name: item.sha256 for name, item in held.items() if item.action in KEPT}
    new = {name: now[name] for name in sorted(now) if name not in kept}
    other: dict[str, str | None] = {name: now.get(name) for name in sorted(kept) if now.get(name) != kept[name]}
    for action, names in (("added", new), ("accepted", other)):
        if names:
            append(folder, action, names, note=note, actor=actor)
    lines = _accepted(folder) if accept else {}
    if lines:
        append(folder, annotation.ACTION, lines, note=note or "accepted as they are", actor=actor)
    return sorted({*new, *other, *lines})


def _accepted(folder: str | Path) -> dict[str, str | None]:
    """Return what the log has to hold of annotations so that it fits them as they are."""
    known = annotation.held(read(folder))
    sums = {total for total, _ in known.values()}
    now = annotation.lines(folder)
    there = {line.sha256 for line in now}
    gone: dict[str, str | None] = {name: None for name, (total, _) in known.items() if total not in there}
    return gone | {line.key: line.sha256 for line in now if line.sha256 not in sums}


def noted(found: Iterable[tuple[int, Mapping[str, Any]]]) -> dict[str, Held]:
    """Return the files of the folder as these entries leave them, by path."""
    held: dict[str, Held] = {}
    for line, entry in found:
        if entry["action"] in (*KEPT, "derived"):
            for name, value in entry["files"].items():
                held.pop(name, None)
                if value is not None:
                    held[name] = Held(value, entry["action"], line)
    return held

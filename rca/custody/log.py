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
from rca.custody import check
from rca.errors import InputError, MissingFile, UnknownName, did_you_mean, shorten
from rca.times import UTC

__all__ = ["ACTIONS", "LOG", "append", "entries", "head", "noted", "record", "verify", "verify_all"]

LOG = check.LOG
ACTIONS = ("added", "accepted", "derived", "exported", "redacted", "verified", "torn")
_KEPT = ("added", "accepted")  # files of the folder that may not change or vanish
_LONGEST = 2000


class _Held(NamedTuple):
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
        ``added`` or ``accepted`` (raw files), ``derived`` (files made from them), ``exported``, ``redacted``,
        ``verified``. ``torn`` is written by this function itself, when it finds a line that was cut short.
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


def _chain(folder: str | Path) -> tuple[list[tuple[int, dict[str, Any]]], list[str], list[journal.Line]]:
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
    found, _, lines = _chain(folder)
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
    found = _chain(folder)[0]
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
        Also record files that changed or vanished since they were recorded.
    note, actor : str, default ""
        As in `append`.

    Returns
    -------
    list of str
        Paths in the folder, sorted: of the manifest, and of files that only the log did not know yet.

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
    held = noted(_chain(folder)[0])
    kept = {name: item.sha256 for name, item in held.items() if item.action in _KEPT}
    new = {name: now[name] for name in sorted(now) if name not in kept}
    other: dict[str, str | None] = {name: now.get(name) for name in sorted(kept) if now.get(name) != kept[name]}
    for action, names in (("added", new), ("accepted", other)):
        if names:
            append(folder, action, names, note=note, actor=actor)
    return sorted({*new, *other})


def noted(found: Iterable[tuple[int, Mapping[str, Any]]]) -> dict[str, _Held]:
    """Return the files of the folder as these entries leave them, by path."""
    held: dict[str, _Held] = {}
    for line, entry in found:
        if entry["action"] in (*_KEPT, "derived"):
            for name, value in entry["files"].items():
                held.pop(name, None)
                if value is not None:
                    held[name] = _Held(value, entry["action"], line)
    return held


def verify(folder: str | Path, *, head: str = "") -> list[str]:
    """Return every break of the chain, and every file that is not as the log says; none is good.

    Parameters
    ----------
    folder : str or Path
        The incident folder.
    head : str, default ""
        A head of the chain as it was noted elsewhere.

    Returns
    -------
    list of str
        In words: breaks in the order of lines, then files by name. Derived files may be missing, they can be
        made again; one that is there and differs is named.

    Raises
    ------
    UnsafeInput
        If the log or a raw file is a link that leads out of the folder.

    Notes
    -----
    Found: a line that was edited, inserted, removed (but at the end), moved or cut short. Not found without a
    noted `head`: a log that was written anew as a whole, or lost its last lines and the files they added.
    """
    return _verify(Path(folder), head, evidence.present(folder), {})


def verify_all(folder: str | Path, *, head: str = "") -> list[str]:
    """Return every difference between the files, the manifest and the log, in words; none is good.

    Parameters
    ----------
    folder : str or Path
        The incident folder.
    head : str, default ""
        As in `verify`.

    Returns
    -------
    list of str
        Those of `rca.evidence.verify`, then those of `verify`. A file that manifest and log agree on is named once.

    Raises
    ------
    MissingFile
        If nothing was ever recorded: there is neither manifest nor log.
    """
    now = evidence.present(folder)
    if (Path(folder) / evidence.MANIFEST).exists():
        before = evidence.recorded(folder)
        return [*evidence.differences(before, now), *_verify(Path(folder), head, now, before)]
    if not (Path(folder) / LOG).exists():
        raise MissingFile(
            f"{folder}: nothing to verify against: no {evidence.MANIFEST} and no {LOG}, so the hashes of the"
            f" {len(now)} files in {' and '.join(f'{name}/' for name in evidence.RAW_FOLDERS)} were never recorded;"
            f" `rca manifest {folder}` records them as they are now"
        )
    missing = f"{evidence.MANIFEST}: missing; {LOG} shows what was recorded, `rca manifest {folder}` writes it again"
    return [missing, *_verify(Path(folder), head, now, {})]


def _verify(folder: Path, head: str, now: Mapping[str, str], manifest: Mapping[str, str]) -> list[str]:
    found, problems, lines = _chain(folder)
    if not lines:
        problems.append(f"{LOG}: there is none; `rca manifest {folder}` begins it")
    if head and head not in {entry["hash"] for _, entry in found}:
        problems.append(f"{LOG}: no entry has the noted head {shorten(head)}: it was cut off or written anew")
    held = noted(found)
    for name in sorted(now.keys() | held.keys() | manifest.keys()):
        problems += _file(folder, name, held.get(name), now, manifest.get(name, "")) if lines else []
    return problems


def _file(folder: Path, name: str, held: _Held | None, now: Mapping[str, str], manifest: str) -> list[str]:
    """Say how one file differs from what the log holds of it, unless the manifest holds the same."""
    if held is None:
        return [f"{name}: not in {LOG}"]
    place = f"{held.action} ({LOG} line {held.line})"
    if held.action == "derived" or name not in now:
        try:
            path = files.inside(folder, name)
        except InputError as error:
            return [f"{LOG} line {held.line}: {error}"]
        there = files.sha256(path) if path.is_file() else None
    else:
        there = now[name]
    if manifest and manifest != held.sha256:
        return [f"{name}: {evidence.MANIFEST} holds another hash than when it was {place}"]
    if manifest or there == held.sha256 or (there is None and held.action == "derived"):
        return []
    return [f"{name}: {'missing' if there is None else 'changed'} since it was {place}"]

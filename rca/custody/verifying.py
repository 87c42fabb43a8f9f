"""An incident folder against its manifest and its custody log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rca import evidence, files
from rca.custody import annotation, log
from rca.errors import InputError, MissingFile, shorten

__all__ = ["changed_annotations", "remarks", "verify", "verify_all"]


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
        made again; one that is there and differs is named. Lines of annotations last.

    Raises
    ------
    UnsafeInput
        If the log or a raw file is a link that leads out of the folder.

    Notes
    -----
    Found: a line that was edited, inserted, removed (but at the end), moved or cut short. Not found without a
    noted `head`: a log that was written anew as a whole, or lost its last lines and the files and annotations
    they added.
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
    if any(item.action in log.KEPT for item in log.noted(log.read(folder)).values()):
        lost = (
            f"{evidence.MANIFEST}: missing; {log.LOG} shows what was recorded, `rca manifest {folder}` writes it again"
        )
        return [lost, *_verify(Path(folder), head, now, {})]
    never = (
        f"the hashes of the {len(now)} files in {' and '.join(f'{name}/' for name in evidence.RAW_FOLDERS)} were never"
        f" recorded; `rca manifest {folder}` records them as they are now"
    )
    if (Path(folder) / log.LOG).exists():
        return [f"{evidence.MANIFEST}: there is none: {never}", *_verify(Path(folder), head, {}, {})]
    raise MissingFile(f"{folder}: nothing to verify against: no {evidence.MANIFEST} and no {log.LOG}, so {never}")


def changed_annotations(folder: str | Path) -> list[str]:
    """Return every line of annotations that is not as the log says, in words; none is good.

    Parameters
    ----------
    folder : str or Path
        The incident folder.

    Returns
    -------
    list of str
        Annotations that are gone, then lines that changed, that the log does not know, or that were edited.
    """
    return annotation.compare(annotation.lines(folder), annotation.held(log.read(folder)), log.LOG)[0]


def remarks(folder: str | Path) -> list[str]:
    """Return what the log cannot tell of the annotations, in words: those written before it held any.

    Parameters
    ----------
    folder : str or Path
        The incident folder.

    Returns
    -------
    list of str
    """
    return annotation.compare(annotation.lines(folder), annotation.held(log.read(folder)), log.LOG)[1]


def _verify(folder: Path, head: str, now: Mapping[str, str], manifest: Mapping[str, str]) -> list[str]:
    found, problems, lines = log.chain(folder)
    if not lines:
        problems.append(f"{log.LOG}: there is none; `rca manifest {folder}` begins it")
    if head and head not in {entry["hash"] for _, entry in found}:
        problems.append(f"{log.LOG}: no entry has the noted head {shorten(head)}: it was cut off or written anew")
    held = log.noted(found)
    for name in sorted(now.keys() | held.keys() | manifest.keys()):
        problems += _file(folder, name, held.get(name), now, manifest.get(name, "")) if lines else []
    return problems + annotation.compare(annotation.lines(folder), annotation.held(found), log.LOG)[0]


def _file(folder: Path, name: str, held: log.Held | None, now: Mapping[str, str], manifest: str) -> list[str]:
    """Say how one file differs from what the log holds of it, unless the manifest holds the same."""
    if held is None:
        return [f"{name}: not in {log.LOG}"]
    place = f"{held.action} ({log.LOG} line {held.line})"
    if held.action == "derived" or name not in now:
        try:
            path = files.inside(folder, name)
        except InputError as error:
            return [f"{log.LOG} line {held.line}: {error}"]
        there = files.sha256(path) if path.is_file() else None
    else:
        there = now[name]
    if manifest and manifest != held.sha256:
        return [f"{name}: {evidence.MANIFEST} holds another hash than when it was {place}"]
    if manifest or there == held.sha256 or (there is None and held.action == "derived"):
        return []
    return [f"{name}: {'missing' if there is None else 'changed'} since it was {place}"]

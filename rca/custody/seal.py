"""Sealed archives: all of an incident in one file that can be checked without this package."""

from __future__ import annotations

import hashlib
import os
import secrets
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rca import __version__, evidence, files, journal
from rca.custody import annotation, check, log, verifying
from rca.errors import InputError, MissingFile, UnknownName, UnsafeInput, did_you_mean

__all__ = ["check_seal", "seal"]

TEXTS = ("incident.yaml", "analysis.yaml", "README.md", evidence.MANIFEST, log.LOG, annotation.FILE)
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first time that a zip file can hold
_README = """Sealed archive of the incident {incident}

incident/      raw exports, models, and what people wrote about them, as they were when this was sealed
report/        the report, where one was added
SEAL.json      the SHA-256 of every other file here, and the head of the custody chain
SHA256SUMS     the same sums for common tools
check.py       checks the archive; needs Python 3.9 or later and nothing else

To check it as it is:       python3 check.py ARCHIVE.zip
After unpacking:            sha256sum --check SHA256SUMS     (or: shasum -a 256 --check SHA256SUMS)
The archive itself:         sha256sum ARCHIVE.zip

The last sum, noted when the archive was handed over, is what shows that nobody made another archive
since; the sums inside show which file differs. The custody log in here ends before the export: that
entry holds the sum of this archive, so it stands in the log of the incident folder only.
The files are originals: names and other personal data are not replaced.
"""


def seal(
    folder: str | Path,
    out: str | Path,
    *,
    include: Sequence[str] = evidence.RAW_FOLDERS,
    reports: str | Path | None = None,
    actor: str = "",
) -> Path:
    """Write one archive that holds an incident with its hashes, its custody log and a script that checks it.

    Parameters
    ----------
    folder : str or Path
        The incident folder.
    out : str or Path
        The zip file to write, outside the raw folders.
    include : sequence of str, default ("sources", "model")
        Which raw folders go in; those left out are named in ``SEAL.json``.
    reports : str or Path, optional
        A folder of reports to put in as well.
    actor : str, default ""
        Who exports, as in `append`.

    Returns
    -------
    Path
        The archive. Same content of the folders gives the same bytes (with the same version of zlib).

    Raises
    ------
    UnknownName
        If `include` names another folder.
    MissingFile
        If the manifest, the log or `reports` is not there.
    UnsafeInput
        If a file is a link that leads out of its folder.
    InputError
        If `out` is there already (a sealed archive is never overwritten) or lies in a folder that is put in.

    Notes
    -----
    The archive is written whole or not at all. The export is logged after it, with the archive's SHA-256; so
    the archive does not hold that entry. Evidence that is not as recorded is sealed all the same, for the state it
    is in may not be lost either; but never silently: each difference stands in ``SEAL.json`` and in the archive's
    ``README.txt``, `check_seal` names it, and the entry ``exported`` says how many there are.
    """
    folder, out = Path(folder), Path(out)
    raw = evidence.RAW_FOLDERS
    for name in include:
        if name not in raw:
            raise UnknownName(f"include: no raw folder {name!r}{did_you_mean(name, raw)}")
    members = _members(folder, include, reports)
    _check_out(folder, out, reports)
    known = files.read_bytes(files.inside(folder, log.LOG))  # once, so that head and log fit while others add to it
    found, _ = check.chain([line.content for line in journal.lines(known)])
    head = found[-1][1]["hash"] if found else ""
    members[f"incident/{log.LOG}"] = known
    differences = verifying.verify_all(folder)
    members["README.txt"] = _readme(folder, differences)
    content = {
        "format": 1,
        "tool": f"rca {__version__}",
        "incident": folder.resolve().name,
        "head": head,
        "entries": len(found),
        "left_out": sorted(name for name in raw if name not in include and (folder / name).is_dir()),
        "differences": differences,
    }
    temporary = out.with_name(f".{secrets.token_hex(8)}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("xb") as handle:
            _write(handle, members, content)
            handle.flush()
            os.fsync(handle.fileno())
        total = files.sha256(temporary)
        temporary.replace(out)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    note = f"sealed archive; head {head}" + (f"; {len(differences)} differences known" if differences else "")
    log.append(folder, "exported", {out.name: total}, note=note, actor=actor)
    return out


def _readme(folder: Path, differences: Sequence[str]) -> bytes:
    text = _README.format(incident=folder.resolve().name)
    if differences:
        listed = "".join(f"    {line}\n" for line in differences)
        text += f"\nNOT AS RECORDED: differences that were known when this was sealed\n{listed}"
    return text.encode()


def _members(folder: Path, include: Sequence[str], reports: str | Path | None) -> dict[str, Path | bytes]:
    """Return what goes into the archive, by name in it."""
    evidence.recorded(folder)  # raises where there is no manifest
    found: dict[str, Path | bytes] = {}
    names = [name for name in TEXTS if (folder / name).exists()]
    for part in include:
        names += [path.relative_to(folder).as_posix() for path in (folder / part).rglob("*") if path.is_file()]
    for name in names:
        found[f"incident/{name}"] = files.inside(folder, name)
    if reports is not None:
        top = Path(reports)
        if not top.is_dir():
            raise MissingFile(f"{top}: no such folder of reports")
        for path in top.rglob("*"):
            if path.is_file():
                name = path.relative_to(top).as_posix()
                found[f"report/{name}"] = files.inside(top, name)
    found["check.py"] = Path(check.__file__).read_bytes()
    return found


def _check_out(folder: Path, out: Path, reports: str | Path | None) -> None:
    if out.exists():
        raise InputError(f"{out}: is there already; a sealed archive is never overwritten")
    inside = [folder / name for name in evidence.RAW_FOLDERS] + ([Path(reports)] if reports is not None else [])
    for top in inside:
        if out.resolve().is_relative_to(top.resolve()):
            raise InputError(f"{out}: lies in {top}, which is put into the archive")


def _write(handle: Any, members: dict[str, Path | bytes], content: dict[str, Any]) -> None:
    sums: dict[str, str] = {}
    with zipfile.ZipFile(handle, "w") as archive:
        for name in sorted(members):
            sums[name] = _put(archive, name, members[name])
        lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
        sums["SHA256SUMS"] = _put(archive, "SHA256SUMS", lines.encode())
        _put(archive, "SEAL.json", files.canonical_json(content | {"members": sums}).encode())


def _put(archive: zipfile.ZipFile, name: str, content: Path | bytes) -> str:
    """Write one member with nothing of this machine or time in it; return its SHA-256, taken on the way."""
    member = zipfile.ZipInfo(name, _EARLIEST)
    member.compress_type, member.create_system, member.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
    found = hashlib.sha256()
    with archive.open(member, "w", force_zip64=True) as target:
        if isinstance(content, bytes):
            found.update(content)
            target.write(content)
        else:
            with content.open("rb") as source:
                while block := source.read(check.BLOCK):
                    found.update(block)
                    target.write(block)
    return found.hexdigest()


def check_seal(path: str | Path) -> list[str]:
    """Return every difference between a sealed archive and what it says of itself, in words; none is good.

    Parameters
    ----------
    path : str or Path
        The archive; it is read in place, nothing is unpacked to disk and nothing in it is run.

    Returns
    -------
    list of str
        Members that changed, are missing or were added, breaks of the custody chain, sums that disagree, names
        that lead out of the archive, and the differences that were known when it was sealed.

    Raises
    ------
    MissingFile
        If there is no such file.
    UnsafeInput
        If it is no plain file.

    Notes
    -----
    At most 100,000 members and 64 GiB of content are read. An archive that was made anew as a whole fits itself:
    compare its SHA-256 with the one in the entry ``exported`` of the log, or as noted elsewhere.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFile(f"{path}: no such file")
    if not path.is_file():
        raise UnsafeInput(f"{path}: not a plain file")
    return [f"{path.name}: {line}" for line in check.archive(str(path))]

"""Tables that were imported before: kept beside the incident, and believed only when this user made them.

``derived/`` may come with an incident folder from anywhere, and a table in it could say what no export says.
So the list of its hashes is signed with a key of the user's own, outside the folder; what is not signed by it
is made again from the exports.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from rca import files
from rca.errors import InputError
from rca.incident import Incident
from rca.sources.stored import KEYS

__all__ = ["LIST", "believed", "current", "keep", "leftovers", "workplace"]

LIST = "import.json"


def current(incident: Incident, make: Callable[[Path], dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
    """Return the folder of the stored tables, made now if need be, and what `make` said about them.

    Parameters
    ----------
    incident : Incident
        From `rca.incident.load`.
    make : callable
        Writes the tables into the folder that it is given, and returns what to keep about them (JSON).

    Returns
    -------
    folder : Path
        ``derived/KEY`` in the incident folder, where KEY stands for the exports, their entries in
        ``incident.yaml`` and the code that read them; where that cannot be written, in the user's cache
        folder, or one that is gone with the process.
    facts : dict
        What `make` returned, now or then.
    """
    key = _key(incident)
    if (found := _look(incident, key)) is not None:
        return found
    with workplace(incident.folder) as work:
        facts = make(work)
        if (folder := _kept(work, key, facts)) is not None:
            return folder, facts
        last = Path(tempfile.mkdtemp(prefix="rca-"))
        atexit.register(shutil.rmtree, last, ignore_errors=True)
        for path in work.iterdir():
            path.rename(last / path.name)
    return last, facts


def believed(incident: Incident) -> tuple[Path, dict[str, Any]] | None:
    """Return what `current` would find made already, or None."""
    return _look(incident, _key(incident))


@contextlib.contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to make the tables of an incident in; afterwards it is gone, or kept as `keep` named it.

    Parameters
    ----------
    folder : Path
        The incident folder: the new one is in its ``derived/``, or where that cannot be written in the user's cache
        folder, or in a temporary one, of which nothing can be kept.

    Notes
    -----
    The folder is locked until the block ends or the process is gone. What killed processes left in these places
    is removed first (`leftovers`), with the copies of exports in it.
    """
    work, handle = None, -1
    for top in (folder / "derived", _home() / "derived"):
        with contextlib.suppress(OSError):
            top.mkdir(parents=True, exist_ok=True)
            for old in _parts(top):
                if (held := _taken(old)) >= 0:
                    shutil.rmtree(old, ignore_errors=True)
                    os.close(held)
            work, handle = _locked_part(top)
            break
    work = work or Path(tempfile.mkdtemp(prefix="rca-"))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if handle >= 0:
            os.close(handle)
        if work.parent.name == "derived":
            with contextlib.suppress(OSError):  # not empty: something is kept
                work.parent.rmdir()


def leftovers(folder: str | Path) -> list[str]:
    """Return what killed processes left in an incident folder: unfinished tables, with copies of exports.

    Parameters
    ----------
    folder : str or Path
        The incident folder.

    Returns
    -------
    list of str
        Paths in the folder, sorted. Those that a process works in are not among them; nor is any on a system without
        POSIX locks. The next import removes them.
    """
    top = Path(folder)
    found = []
    for path in _parts(top / "derived"):
        if (held := _taken(path)) >= 0:
            os.close(held)
            found.append(path.relative_to(top).as_posix())
    return found


def _parts(top: Path) -> list[Path]:
    return sorted(path for path in top.glob(".*.part") if path.is_dir() and not path.is_symlink())


def _locked_part(top: Path) -> tuple[Path, int]:
    """Return a new folder, and the handle whose lock says that it is in use (-1 where there are no locks)."""
    while True:
        work = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=top))
        handle = _taken(work, wait=True)
        if work.exists():
            return work, handle
        if handle >= 0:  # another process took it for a leftover before it was locked
            os.close(handle)


def _taken(folder: Path, *, wait: bool = False) -> int:
    """Lock a folder that no process works in, and return the handle that holds the lock; -1 when one does."""
    try:
        import fcntl
    except ImportError:
        return -1
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return -1
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(handle)
        return -1
    return handle


def keep(incident: Incident, work: Path, facts: dict[str, Any]) -> None:
    """Sign the tables of an incident and put them where `current` finds them.

    Parameters
    ----------
    incident : Incident
        From `rca.incident.load`, after its exports and their entries are what the tables were made of.
    work : Path
        From `workplace`; holds the tables and nothing else.
    facts : dict
        As for `current`.
    """
    _kept(work, _key(incident), facts)


def _look(incident: Incident, key: str) -> tuple[Path, dict[str, Any]] | None:
    secret = _secret()
    for top in (incident.folder / "derived", _home() / "derived"):
        if secret and (found := _believed(top / key, secret)) is not None:
            return top / key, found
    return None


def _kept(work: Path, key: str, facts: dict[str, Any]) -> Path | None:
    """Return the folder that finished tables now are, or None where there is no place to keep them."""
    if work.parent.name != "derived":
        return None
    _sign(work, facts, _secret())
    _replace(work, work.parent / key)
    return work.parent / key


def _home() -> Path:
    """Return where this user's key is, and the tables of incidents whose folder cannot be written."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rca"


def _key(incident: Incident) -> str:
    names = sorted({name for source in incident.file.sources for name in source.file})
    known = {name: incident.hashes[name] for name in names if name in incident.hashes and name not in incident.changed}
    hashes = {name: known.get(name) or _sha256(incident, name) for name in names}
    content = {
        "code": _code(), "as_of": str(incident.file.as_of), "files": hashes,
        "sources": [source.model_dump(mode="json") for source in incident.file.sources],
    }  # fmt: skip
    return hashlib.sha256(files.canonical_json(content).encode()).hexdigest()[:16]


@cache
def _code() -> str:
    """Return a hash of what reads exports: tables that other code made are made again."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted([*package.glob("*.py"), *package.glob("sources/**/*.py"), *package.glob("times/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sha256(incident: Incident, name: str) -> str:
    """Return the hash of an export; what cannot be read is said when it is imported, with all other problems."""
    try:
        return files.sha256(incident.path(name))
    except InputError:
        return ""


def _secret() -> bytes:
    """Return this user's key, made on first use; empty where there is no place for it."""
    place = _home() / "derived.key"
    try:
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            files.write(place, secrets.token_bytes(32))
            place.chmod(0o600)
        return place.read_bytes()
    except OSError:
        return b""


def _sign(folder: Path, facts: dict[str, Any], secret: bytes) -> None:
    content = {"facts": facts, "sha256": {f"{name}.parquet": files.sha256(folder / f"{name}.parquet") for name in KEYS}}
    text = files.canonical_json(content)
    seal = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest() if secret else ""
    files.write(folder / LIST, files.canonical_json({"content": content, "seal": seal}))


def _believed(folder: Path, secret: bytes) -> dict[str, Any] | None:
    """Return the facts about a folder of tables, or None if they are not as this user made them."""
    try:
        listed = json.loads(files.read_bytes(folder / LIST, limit=2**26))
        content = listed["content"]
        seal = hmac.new(secret, files.canonical_json(content).encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(seal, str(listed["seal"])):
            return None
        if any(files.sha256(folder / name) != sha256 for name, sha256 in content["sha256"].items()):
            return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    facts: dict[str, Any] = content["facts"]
    return facts


def _replace(work: Path, folder: Path) -> None:
    """Put finished tables into their place, and clear away what earlier imports left."""
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
    work.chmod(0o755)
    try:
        work.rename(folder)
    except OSError:  # another run was faster, with the same result
        if not (folder / LIST).exists():
            raise
        shutil.rmtree(work, ignore_errors=True)
    for other in folder.parent.iterdir() if folder.parent.name == "derived" and folder.parent.parent != _home() else ():
        if other != folder and len(other.name) == 16 and (other / LIST).exists():
            shutil.rmtree(other, ignore_errors=True)

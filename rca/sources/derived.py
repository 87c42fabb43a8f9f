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

__all__ = ["LIST", "believed", "current", "keep", "workplace"]

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
    """
    work = None
    for top in (folder / "derived", _home() / "derived"):
        with contextlib.suppress(OSError):
            top.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=top))
            break
    work = work or Path(tempfile.mkdtemp(prefix="rca-"))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if work.parent.name == "derived":
            with contextlib.suppress(OSError):  # not empty: something is kept
                work.parent.rmdir()


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

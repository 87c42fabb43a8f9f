"""Files: hashes, paths that stay in their folder, and writing that is whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rca.errors import InputError, MissingFile, UnsafeInput, shorten

__all__ = ["canonical_json", "check_plain", "inside", "locked", "read_bytes", "sha256", "write"]

MAX_BYTES = 4 * 2**30


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text, reading it in pieces.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    str
        64 characters.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with Path(path).open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise MissingFile(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def inside(folder: str | Path, name: str) -> Path:
    """Return the path of `name` below `folder`.

    Parameters
    ----------
    folder : str or Path
        The folder that may not be left.
    name : str
        Relative path as written by a person.

    Returns
    -------
    Path
        Not resolved, so that messages show the path as the user knows it.

    Raises
    ------
    UnsafeInput
        If `name` is absolute or leads out of `folder`, also through a symbolic link.
    InputError
        If it is empty, or holds a control character.

    Examples
    --------
    >>> inside("incident", "sources/alerts.csv").as_posix()
    'incident/sources/alerts.csv'
    >>> inside("incident", "../secret")
    Traceback (most recent call last):
        ...
    rca.errors.UnsafeInput: path '../secret' leaves the incident folder
    """
    top = Path(folder)
    if not name or any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise InputError(f"path {shorten(name)} is empty or has a control character")
    target = top / name
    try:
        leaves = not target.resolve().is_relative_to(top.resolve())
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            target.stat()
    except (OSError, RuntimeError) as error:  # a name that is too long, links that go in a circle
        raise UnsafeInput(f"path {shorten(name)} cannot be followed") from error
    if Path(name).is_absolute() or "\\" in name or leaves:
        raise UnsafeInput(f"path {shorten(name)} leaves the incident folder")
    return target


def check_plain(path: Path) -> None:
    """Raise unless `path` is a plain file that is there.

    Raises
    ------
    MissingFile
        If there is no such file.
    UnsafeInput
        If it is a folder, a device or a pipe.
    """
    if not path.exists():
        raise MissingFile(f"{path}: no such file")
    if not path.is_file():
        raise UnsafeInput(f"{path}: not a plain file")


@contextlib.contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold a folder for one process at a time, while several of its files change together.

    Raises
    ------
    InputError
        If the folder cannot be opened.

    Notes
    -----
    An advisory lock of the operating system, gone with the process. Where there are none (Windows), nothing is held.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"{folder}: cannot be opened ({error.strerror})") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def read_bytes(path: Path, *, limit: int = MAX_BYTES) -> bytes:
    """Return the content of a file.

    Raises
    ------
    MissingFile
        If there is no such file.
    UnsafeInput
        If it is no plain file, or larger than `limit` bytes.
    InputError
        If it cannot be read, for example for lack of permission.
    """
    try:
        check_plain(path)
        size = path.stat().st_size
        if size > limit:
            raise UnsafeInput(f"{path}: {size:,} bytes, more than the limit of {limit:,}")
        return path.read_bytes()
    except OSError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def write(path: str | Path, content: str | bytes) -> Path:
    r"""Write a file whole or not at all: a killed run leaves the old file or the new one.

    Parameters
    ----------
    path : str or Path
        Where to; missing folders are made.
    content : str or bytes
        Text is written as UTF-8, its line ends as they are.

    Returns
    -------
    Path
        The same path. A file that was there keeps its permissions; a new one gets the usual ones.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        if path.exists():
            temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def canonical_json(value: Mapping[str, Any] | list[Any], *, indent: int | None = 2) -> str:
    """Return JSON that is the same for the same content: sorted keys, UTF-8, one trailing newline."""
    return json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False, default=str) + "\n"

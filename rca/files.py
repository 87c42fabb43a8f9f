"""Files: hashes, paths that stay in their folder, and writing that is whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import secrets
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rca.errors import InputError, MissingFile, UnsafeInput, shorten

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["canonical_json", "check_plain", "inside", "locked", "opened", "read_bytes", "sha256", "unpacked", "write"]

MAX_BYTES = 4 * 2**30
GZIP = b"\x1f\x8b"
# Deflate shrinks at most 1032-fold and logs 5- to 50-fold: what grows more than this was made to fill a disk.
MAX_GROWTH, GROWTH_FREE = 200, 64 * 2**20


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


@contextlib.contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader[Any]]:
    r"""Open a file for reading bytes; of a file compressed with gzip (RFC 1952), the bytes that it holds.

    Parameters
    ----------
    path : Path
        The file. Its first two bytes tell gzip, not its name; a gzip file may have several members.

    Yields
    ------
    BufferedReader
        Closed at the end of the block.

    Raises
    ------
    MissingFile
        If there is no such file.
    UnsafeInput
        While reading: unpacked, it is larger than 200 times its size and 64 MiB.
    InputError
        If it cannot be read; gzip within gzip; while reading: the gzip data is damaged or cut off.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.log.gz"
    ...     _ = path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    ...     with opened(path) as handle:
    ...         print(handle.readlines())
    [b'one\n', b'two\n']
    """
    try:
        with path.open("rb") as handle:
            if handle.peek(len(GZIP))[: len(GZIP)] != GZIP:
                yield handle
                return
            limit = MAX_GROWTH * os.fstat(handle.fileno()).st_size + GROWTH_FREE
            with io.BufferedReader(_Unpacked(handle, path.name, limit), 2**17) as content:
                if content.peek(len(GZIP))[: len(GZIP)] == GZIP:
                    raise InputError(f"{path.name}: gzip within gzip; unpack it once")
                yield content
    except InputError:  # UnsafeInput and MissingFile are OSErrors too
        raise
    except FileNotFoundError as error:
        raise MissingFile(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


class _Unpacked(io.RawIOBase):
    """What a gzip file holds, up to a number of bytes."""

    def __init__(self, packed: io.BufferedReader, name: str, limit: int) -> None:
        self.content, self.name, self.limit, self.room = gzip.GzipFile(fileobj=packed, mode="rb"), name, limit, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            count = self.content.readinto(buffer)
        except EOFError as error:
            raise InputError(f"{self.name}: the gzip data is cut off; fetch the file again") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{self.name}: the gzip data is damaged ({shorten(error, 80)})") from error
        self.room -= count
        if self.room < 0:
            raise UnsafeInput(f"{self.name}: more than {self.limit:,} bytes when unpacked; if it is meant, unpack it")
        return count


def unpacked(path: Path) -> Path:
    """Return the path without the ending ``.gz``: what it names before it is compressed.

    Examples
    --------
    >>> unpacked(Path("metrics.csv.gz")).name, unpacked(Path("a.csv")).name
    ('metrics.csv', 'a.csv')
    """
    return path.with_suffix("") if path.suffix.lower() == ".gz" else path


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

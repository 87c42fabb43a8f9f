"""Journals: files of JSON lines that are only ever added to, safe against other writers and killed processes.

A line is written in one piece while the file is locked. A process that is killed half-way leaves a last
line without an end: the next writer ends it, so that it stays as a line of its own that readers can name.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from rca import files
from rca.errors import InputError, MissingFile, UnsafeInput

__all__ = ["MAX_BYTES", "MAX_LINE", "Line", "add", "encode", "lines", "read"]

MAX_BYTES = 2**28
MAX_LINE = 2**24
_BLOCK = 2**16


class Line(NamedTuple):
    """One line of a journal.

    Attributes
    ----------
    number : int
        Counted from 1.
    content : bytes
        Without its end.
    ended : bool
        Whether its end was written; only the last line can lack it.
    """

    number: int
    content: bytes
    ended: bool


def encode(record: Mapping[str, Any]) -> bytes:
    r"""Return the one line that stands for `record`, without its end: sorted keys, UTF-8.

    Raises
    ------
    InputError
        If it holds what UTF-8 cannot write (half a surrogate pair), or is longer than `MAX_LINE`.

    Examples
    --------
    >>> encode({"b": 1, "a": "é"}).decode()
    '{"a": "é", "b": 1}'
    """
    try:
        line = files.canonical_json(record, indent=None).rstrip("\n").encode()
    except UnicodeEncodeError as error:
        raise InputError(f"a text with half a character cannot be written ({error.reason})") from error
    if len(line) > MAX_LINE:
        raise InputError(f"a line of {len(line):,} bytes is more than the limit of {MAX_LINE:,}")
    return line


def lines(data: bytes) -> list[Line]:
    r"""Return the lines of a journal's content.

    Examples
    --------
    >>> lines(b'{"a": 1}\n{"a"')
    [Line(number=1, content=b'{"a": 1}', ended=True), Line(number=2, content=b'{"a"', ended=False)]
    """
    *ended, last = data.split(b"\n")
    found = [Line(number, content, True) for number, content in enumerate(ended, 1)]
    return [*found, Line(len(found) + 1, last, False)] if last else found


def read(path: str | Path) -> list[Line]:
    """Return the lines of a journal; none when there is no such file.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    list of Line

    Raises
    ------
    UnsafeInput
        If it is no plain file, or larger than `MAX_BYTES`.
    """
    path = Path(path)
    return lines(files.read_bytes(path, limit=MAX_BYTES)) if path.exists() else []


def add(path: str | Path, make: Callable[[Iterator[bytes], bytes], Iterable[Mapping[str, Any]]]) -> None:
    r"""Add lines to a journal while no other process can.

    Parameters
    ----------
    path : str or Path
        The file; made when it is not there, in a folder that is.
    make : callable
        Is given the ended lines, the last one first, and the bytes after the last line's end (a line that was
        cut short; mostly empty). Returns the records to add. What was cut short is ended before them.

    Raises
    ------
    MissingFile
        If the folder is not there.
    UnsafeInput
        If the path is no plain file.
    InputError
        If it cannot be written, or the system has no POSIX locks.

    Notes
    -----
    When this returns, the lines are on the disk. When writing fails and the process lives on, the file is as
    it was. Not for file systems without working locks, such as some network shares.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number in (1, 2):
    ...         add(Path(folder) / "log.jsonl", lambda last, torn: [{"n": number, "last": next(last, b"").decode()}])
    ...     read(Path(folder) / "log.jsonl")[1].content
    b'{"last": "{\\"last\\": \\"\\", \\"n\\": 1}", "n": 2}'
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise MissingFile(f"{path.parent}: no such folder")
    if path.exists() and not path.is_file():
        raise UnsafeInput(f"{path}: not a plain file")
    try:
        with path.open("ab+", buffering=0) as handle:
            _lock(handle)
            size = handle.seek(0, os.SEEK_END)
            torn = next(_backwards(handle, size), b"")
            end = size - len(torn)
            records = make(_ended(handle, end), torn)
            data = b"".join(encode(record) + b"\n" for record in records)
            _write(handle, b"\n" + data if torn else data, size)
    except OSError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def _lock(handle: BinaryIO) -> None:
    """Wait until this process alone holds the file; closing it, or being killed, lets go."""
    try:
        fcntl = importlib.import_module("fcntl")
    except ModuleNotFoundError as error:
        raise InputError(f"{handle.name}: this system has no POSIX file locks; add to it on Linux or macOS") from error
    fcntl.flock(handle, fcntl.LOCK_EX)


def _write(handle: BinaryIO, data: bytes, size: int) -> None:
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[handle.write(rest) :]
        os.fsync(handle.fileno())
    except BaseException:
        handle.truncate(size)
        raise


def _ended(handle: BinaryIO, end: int) -> Iterator[bytes]:
    """Yield the lines before byte `end`, which follows a line's end; the last one first."""
    pieces = _backwards(handle, end)
    next(pieces, b"")
    yield from pieces


def _backwards(handle: BinaryIO, end: int) -> Iterator[bytes]:
    """Yield what stands between line ends before byte `end`, the last first; nothing for an empty file."""
    rest = b""
    while end > 0:
        start = max(0, end - _BLOCK)
        handle.seek(start)
        block = b""
        while len(block) < end - start and (piece := handle.read(end - start - len(block))):
            block += piece
        first, *others = (block + rest).split(b"\n")
        yield from reversed(others)
        rest, end = first, start
        if len(rest) > MAX_LINE:
            raise UnsafeInput(f"{handle.name}: a line of more than {MAX_LINE:,} bytes")
        if end == 0:
            yield rest

"""Files as records: lines of text, JSON documents, JSON lines, members of zip archives; with limits.

What many formats share. Each function yields (position, locator, record), as `rca.sources.items.each` takes
them; a record that cannot be decoded is a `Reject` in place of the record, so that one bad line loses
nothing but itself. A file compressed with gzip is read as what it holds; places are those in what it holds.
"""

from __future__ import annotations

import codecs
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from rca import files
from rca.errors import InputError, UnsafeInput, shorten
from rca.sources.items import Reject

__all__ = ["MAX_DEPTH", "document", "is_lines", "json_lines", "json_text", "lines", "members", "objects", "shallow"]

MAX_BYTES = 2**30
MAX_LINE = 16 * 2**20
MAX_MEMBERS = 10_000
MAX_DEPTH = 64
BLOCK = 2**20

Record = tuple[int, str, Any]


def lines(path: Path) -> Iterator[Record]:
    """Yield the lines of a UTF-8 file that are not blank, without their ends; in bounded memory.

    Parameters
    ----------
    path : Path
        The file; a byte order mark is passed over.

    Yields
    ------
    tuple
        Number from 1, ``line N``, and the text; or a `Reject` where the bytes are no UTF-8 or the line is
        longer than 16 MiB.
    """
    with files.opened(path) as handle:
        number = 0
        while line := handle.readline(MAX_LINE + 1):
            number += 1
            place = f"line {number}"
            if len(line) > MAX_LINE:
                while line and not line.endswith(b"\n"):
                    line = handle.readline(MAX_LINE)
                yield number, place, Reject(number, place, f"longer than {MAX_LINE:,} bytes")
                continue
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            try:
                text = line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                yield number, place, Reject(number, place, f"not UTF-8 text (byte {error.start} of the line)")
                continue
            if text.strip():
                yield number, place, text


def json_lines(path: Path) -> Iterator[Record]:
    """Yield the objects of a file with one JSON object a line.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    tuple
        Number, ``line N``, and the object, or a `Reject`.
    """
    for number, place, text in lines(path):
        try:
            record = text if isinstance(text, Reject) else json_text(text)
            if not isinstance(record, (dict, Reject)):
                record = Reject(number, place, f"expected an object, found {shorten(record, 40)}")
        except InputError as error:
            record = Reject(number, place, str(error))
        yield number, place, record


def document(path: Path, *, limit: int = MAX_BYTES) -> Any:
    """Return the content of a file that is one JSON document of at most `limit` bytes.

    Raises
    ------
    InputError
        Not UTF-8, not JSON, a key twice in one object, or NaN where a number belongs.
    UnsafeInput
        Too large, or nested too deep.
    """
    try:
        text = _content(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: not UTF-8 text (byte {error.start}); convert it first") from error
    try:
        return json_text(text)
    except InputError as error:
        raise type(error)(f"{path.name}: {error}") from error


def _content(path: Path, limit: int) -> bytearray:
    """Return what a plain file holds, unpacked; larger than the limit, it is refused before or while it is read."""
    files.check_plain(path)
    with files.opened(path) as handle:
        size = path.stat().st_size
        if size > limit:
            raise UnsafeInput(f"{path}: {size:,} bytes, more than the limit of {limit:,}")
        data = bytearray()
        while block := handle.read(BLOCK):
            data += block
            if len(data) > limit:
                raise UnsafeInput(f"{path}: more than the limit of {limit:,} bytes when unpacked")
    return data


def objects(path: Path, *keys: str) -> Iterator[Record]:
    """Yield the objects of a JSON file: of JSON lines, of a list, of a list under one of `keys`, or the one there is.

    Parameters
    ----------
    path : Path
        The file.
    *keys : str
        Names under which this format keeps its list, such as ``items``.

    Yields
    ------
    tuple
        Position, locator (``line 3``, or a JSON pointer such as ``/items/2``), and the object or a `Reject`.
    """
    if not any(True for _ in islice(lines(path), 1)):
        return  # a file of no records
    if is_lines(path):
        yield from json_lines(path)
    else:
        yield from _listed(document(path), keys)


def is_lines(path: Path) -> bool:
    """Return whether the first line is an object by itself, and another line follows: then the file is JSON lines."""
    first, *others = [text for _, _, text in islice(lines(path), 2)] or [""]
    if not others or not isinstance(first, str) or not first.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json_text(first), dict)
    except InputError:
        return False


def _listed(content: Any, keys: tuple[str, ...]) -> Iterator[Record]:
    pointer = ""
    if isinstance(content, dict):
        key = next((name for name in keys if isinstance(content.get(name), list)), None)
        if key is None:
            yield 1, "/", content
            return
        content, pointer = content[key], f"/{key}"
    if not isinstance(content, list):
        raise InputError(f"expected a list of objects, found {shorten(content, 40)}")
    for number, record in enumerate(content):
        place = f"{pointer}/{number}"
        if not isinstance(record, dict):
            record = Reject(number + 1, place, f"expected an object, found {shorten(record, 40)}")
        yield number + 1, place, record


def json_text(text: str) -> Any:
    """Return what a JSON text holds; integers stay exact, NaN and a key twice are refused.

    Raises
    ------
    InputError
        With what is wrong, without a place.
    """
    try:
        content = _JSON.decode(text)
    except RecursionError as error:
        raise UnsafeInput("nested too deep") from error
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}") from error
    return shallow(content)


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON value")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"key {shorten(name)} occurs twice in one object")
    return out


_JSON = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_unique)  # json.loads makes one for each call


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file of a zip archive, in the order of names; nothing is unpacked to disk.

    Raises
    ------
    InputError
        If it is no zip archive, or is damaged.
    UnsafeInput
        If it has more than 10,000 members or more than 1 GiB when unpacked.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            listed = [member for member in archive.infolist() if not member.is_dir()]
            if len(listed) > MAX_MEMBERS:
                raise UnsafeInput(f"{path.name}: {len(listed):,} members, more than {MAX_MEMBERS:,}")
            if sum(member.file_size for member in listed) > MAX_BYTES:
                raise UnsafeInput(f"{path.name}: more than {MAX_BYTES:,} bytes when unpacked")
            room = MAX_BYTES
            for member in sorted(listed, key=lambda item: item.filename):
                with archive.open(member) as handle:
                    data = handle.read(room + 1)
                room -= len(data)
                if room < 0:
                    raise UnsafeInput(f"{path.name}: more than {MAX_BYTES:,} bytes when unpacked")
                yield member.filename, data
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise InputError(f"{path.name}: not a readable zip archive ({shorten(error, 80)})") from error
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror or error})") from error


def shallow(value: Any, *, where: str = "") -> Any:
    """Return `value` unchanged if it is nested at most `MAX_DEPTH` deep: more would exhaust the stack.

    Parameters
    ----------
    value : object
        Anything made of dicts and lists.
    where : str, optional
        Place for the error message.

    Returns
    -------
    object
        The same.

    Raises
    ------
    UnsafeInput
        If it is nested deeper.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        nested = [item for item in level if isinstance(item, (dict, list))]
        level = [inner for item in nested for inner in (item.values() if isinstance(item, dict) else item)]
        if not level:
            return value
    raise UnsafeInput(f"{where}{': ' * bool(where)}nested more than {MAX_DEPTH} deep")

"""Plain files (CSV, JSON, JSON lines, Parquet) as batches of records, each record one JSON object as text.

Whatever the file is, the engine sees the same: a place and a JSON object. JSON lines are passed on as they
stand; only lines in which something is odd are looked at in Python.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from rca import files
from rca.errors import InputError, MissingFile, UnknownName, UnsafeInput, did_you_mean, shorten
from rca.incident.model import Source
from rca.sources import documents
from rca.sources.items import Reject

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["READERS", "Batch", "object_text", "pieces"]

BLOCK = 8 * 2**20
ROWS = 20_000
MAX_FIELD = 16 * 2**20
MAX_LINE = documents.MAX_LINE
MAX_UNPACKED = 16 * 2**30

T = TypeVar("T")
# Made once: json.dumps makes one for each call, which costs more than a short record.
_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Batch:
    """Some records of one file.

    Attributes
    ----------
    positions : array of int64
        1-based places in the file, increasing.
    texts : pyarrow array of string
        The records as JSON objects; a blank text is no record.
    unit : str
        What a record is here: ``row``, ``line`` or ``item``.
    rejects : tuple of Reject
        What could not be read.
    typed : frozenset of str
        Fields that the file itself types as times: their texts are ISO 8601.
    shapes : tuple of tuple of str, optional
        The lists of fields that occur, where they are known already.
    """

    positions: Any
    texts: pa.Array
    unit: str
    rejects: tuple[Reject, ...] = ()
    typed: frozenset[str] = frozenset()
    shapes: tuple[tuple[str, ...], ...] | None = None


def pieces(items: Iterable[T], size: int = ROWS) -> Iterator[list[T]]:
    """Yield `items` in lists of at most `size`.

    Examples
    --------
    >>> list(pieces("abc", 2))
    [['a', 'b'], ['c']]
    """
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece


def object_text(record: Mapping[str, Any]) -> str:
    """Return a record as JSON that every parser reads, the same whatever the order of its fields.

    Examples
    --------
    >>> object_text({"b": float("nan"), "a": 1})
    '{"a":1,"b":null}'
    """
    try:
        text = _JSON.encode(record)
    except (ValueError, TypeError):
        text = _JSON.encode(_plain(record))
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _plain(value: Any) -> Any:
    """Return a value of a Parquet file, or a number that JSON does not have, as JSON has it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat() if value == value else None  # NaT is not equal to itself
    return value if value is None or isinstance(value, (str, int)) else str(value)


def _batches(records: Iterable[tuple[int, Any]], unit: str, **more: Any) -> Iterator[Batch]:
    """Yield records, or the rejects among them, in batches."""
    import pyarrow as pa

    for piece in pieces(records):
        rejects = tuple(record for _, record in piece if isinstance(record, Reject))
        kept = [(position, object_text(record)) for position, record in piece if not isinstance(record, Reject)]
        positions = np.array([position for position, _ in kept], dtype="int64")
        yield Batch(positions, pa.array([text for _, text in kept], pa.string()), unit, rejects, **more)


def read_csv(path: Path, source: Source, duck: Any = None) -> Iterator[Batch]:
    """Yield the rows of a CSV file with one header row, all values as text.

    UTF-8, separated by the source's ``delimiter``, quoted as RFC 4180 says. Rows are counted from the one
    below the header; blank ones count and are passed over. A file of no bytes has no rows.
    """
    try:
        with files.opened(path) as handle, io.TextIOWrapper(handle, encoding="utf-8-sig", newline="") as text:
            yield from _csv(text, path.name, source.delimiter)
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: not UTF-8 text (byte {_bad_byte(path)}); convert it first") from error


def _csv(handle: io.TextIOWrapper, file: str, delimiter: str) -> Iterator[Batch]:
    rows = csv.reader(handle, delimiter=delimiter, strict=True)
    first = _rows(rows, 1, file, 0)
    if not first:
        return
    header = [name.strip() for name in first[0]]
    _check_header(header, file)
    count = 0
    while piece := _rows(rows, ROWS, file, count):
        yield from _batches(_named(piece, header, count), "row")
        count += len(piece)


def _rows(rows: Any, size: int, file: str, before: int) -> list[list[str]]:
    """Return the next rows; the module csv knows one limit only for all, so it is put back."""
    usual = csv.field_size_limit(MAX_FIELD)
    out: list[list[str]] = []
    try:
        out.extend(islice(rows, size))
    except csv.Error as error:
        header = before == 0 and size == 1
        place = "header" if header else f"row {before + len(out) + 1}"
        raise InputError(f"{file}: {place}: not readable as CSV: {error}; is a quote not closed?") from error
    finally:
        csv.field_size_limit(usual)
    return out


def _named(rows: list[list[str]], header: list[str], before: int) -> Iterator[tuple[int, Any]]:
    for number, row in enumerate(rows, start=before + 1):
        if len(row) == len(header):
            yield number, dict(zip(header, row, strict=True))
        elif row:
            reason = f"{len(row)} values under {len(header)} column names"
            yield number, Reject(number, f"row {number}", reason)


def _check_header(header: list[str], file: str) -> None:
    if not any(header):
        raise InputError(f"{file}: no header row")
    other = next((mark for mark in (";", "\t", "|") if len(header) == 1 and mark in header[0]), "")
    if other:
        raise InputError(f"{file}: one column only, with {other!r} in its name: say delimiter: {other!r}")
    ((name, times),) = Counter(header).most_common(1)
    if times > 1:
        raise InputError(f"{file}: column name {shorten(name)} occurs twice in the header")


def _bad_byte(path: Path) -> int:
    """Return where a file stops being UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    done = 0
    with files.opened(path) as handle:
        while block := handle.read(BLOCK):
            waiting = len(decoder.getstate()[0])
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                return done - waiting + error.start
            done += len(block)
    return done


def read_jsonl(path: Path, source: Source, duck: Any = None) -> Iterator[Batch]:
    """Yield the lines of a file with one JSON object a line; blank lines are passed over, and count.

    `duck` is a connection to the embedded engine, which tells the lines that Python has to look at.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    before = 0
    for block in _blocks(path):
        lines = _lines(block)
        positions = np.arange(before + 1, before + 1 + len(lines))
        before += len(lines)
        rejects = []
        try:
            texts = lines.cast(pa.string())
        except pa.ArrowInvalid:
            decoded = [_decoded(line) for line in lines.to_pylist()]
            rejects = [
                Reject(int(number), f"line {number}", text)
                for number, (text, good) in zip(positions, decoded, strict=True)
                if not good
            ]
            texts = pa.array([text if good else "" for text, good in decoded], pa.string())
        yield _odd_lines(duck, positions, pc.ascii_trim_whitespace(texts), rejects)


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file some megabytes at a time, cut at line ends; each line ends with one."""
    with files.opened(path) as handle:
        rest = b""
        if handle.peek(3).startswith(codecs.BOM_UTF8):
            handle.read(3)
        while block := handle.read(BLOCK):
            end = block.rfind(b"\n") + 1
            if end:
                yield b"".join((rest, memoryview(block)[:end]))
                rest = b""
            rest += block[end:]
            if len(rest) > MAX_LINE:
                raise UnsafeInput(f"{path.name}: a line of more than {MAX_LINE:,} bytes")
        if rest:
            yield rest + b"\n"


def _lines(block: bytes) -> pa.Array:
    """Return the lines of a block with their ends, without copying them."""
    import pyarrow as pa

    ends = np.flatnonzero(np.frombuffer(block, dtype="uint8") == ord("\n")) + 1
    offsets = np.concatenate([[0], ends]).astype("int32")
    return pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(block)])


def _decoded(line: bytes) -> tuple[str, bool]:
    try:
        return line.decode("utf-8"), True
    except UnicodeDecodeError as error:
        return f"not UTF-8 text (byte {error.start} of the line)", False


# What DuckDB and Python might read differently: NaN, half an emoji, a comma before a bracket, deep nesting.
# CASE, unlike AND, counts the brackets of long lines only.
_SUSPECT = """
    NOT starts_with(text, '{') OR contains(text, 'NaN') OR contains(text, 'Infinity')
    OR contains(text, '\\ud') OR contains(text, '\\uD')
    OR contains(text, ',}') OR contains(text, ',]') OR contains(text, ', }') OR contains(text, ', ]')
    OR CASE WHEN strlen(text) > 600 THEN strlen(text) - strlen(replace(replace(text, '[', ''), '{', '')) > 64
        ELSE false END
"""
_ODD = f"SELECT row FROM texts WHERE text <> '' AND (NOT json_valid(text) OR {_SUSPECT}) ORDER BY row"
_PLAIN = f"""
    SELECT any_value(keys), bool_or(odd)
    FROM (SELECT json_keys(text) AS keys, {_SUSPECT} AS odd FROM texts WHERE text <> '')
    GROUP BY array_to_string(keys, chr(31))
"""


def _plain_shapes(duck: Any) -> tuple[tuple[str, ...], ...] | None:
    """Return the sets of keys that occur, or None where some line has to be looked at."""
    import duckdb

    try:
        found = duck.execute(_PLAIN).fetchall()
    except duckdb.InvalidInputException:
        return None
    return None if any(odd for _, odd in found) else tuple(tuple(keys) for keys, _ in found)


def _odd_lines(duck: Any, positions: Any, texts: pa.Array, rejects: list[Reject]) -> Batch:
    """Return a batch in which every line that DuckDB and Python might read differently was read by Python."""
    import pyarrow as pa

    duck.register("texts", pa.table({"row": pa.array(np.arange(len(texts))), "text": texts}))
    shapes = _plain_shapes(duck)
    odd = [row for (row,) in duck.execute(_ODD).fetchall()] if shapes is None else []
    duck.unregister("texts")
    if odd:
        replaced = texts.to_pylist()
        for row in odd:
            number = int(positions[row])
            try:
                record = documents.json_text(replaced[row])
                if not isinstance(record, dict):
                    raise InputError(f"expected an object, found {shorten(record, 40)}")
                replaced[row] = object_text(record)
            except InputError as error:
                rejects.append(Reject(number, f"line {number}", str(error)))
                replaced[row] = ""
        texts = pa.array(replaced, pa.string())
    return Batch(positions, texts, "line", tuple(sorted(rejects)), shapes=shapes)


def read_json(path: Path, source: Source, duck: Any = None) -> Iterator[Batch]:
    """Yield the objects of a JSON file: a list, or one object; ``records`` of the source points at the list."""
    content = _pointed(documents.document(path), source, path.name)
    items = content if isinstance(content, list) else [content]
    yield from _batches(
        (
            (number, item)
            if isinstance(item, dict)
            else (number, Reject(number, f"item {number}", f"expected an object, found {shorten(item, 40)}"))
            for number, item in enumerate(items, start=1)
        ),
        "item",
    )


def _pointed(content: Any, source: Source, file: str) -> Any:
    """Return what ``records``, a JSON pointer (RFC 6901), points at."""
    first, *parts = source.records.split("/")
    if first:
        raise InputError(f"{file}: records {shorten(source.records)}: a JSON pointer begins with /")
    for part in parts:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(content, list):
            content = dict(zip(map(str, range(len(content))), content, strict=True))
        if not isinstance(content, dict) or name not in content:
            near = did_you_mean(name, content) if isinstance(content, dict) else f"; it is {shorten(content, 40)}"
            raise UnknownName(f"{file}: records {shorten(source.records)}: no {shorten(name)} there{near}")
        content = content[name]
    return content


def read_parquet(path: Path, source: Source, duck: Any = None) -> Iterator[Batch]:
    """Yield the rows of a Parquet file; times that the file types become ISO 8601 texts, the rest text or JSON."""
    import pyarrow as pa
    from pyarrow import parquet

    if not path.exists():
        raise MissingFile(f"{path}: no such file")
    try:
        with parquet.ParquetFile(path) as table:
            names = table.schema_arrow.names
            twice = [name for name, times in Counter(names).items() if times > 1]
            if twice:
                raise InputError(f"{path.name}: column name {shorten(twice[0])} occurs twice")
            typed = frozenset(item.name for item in table.schema_arrow if pa.types.is_temporal(item.type))
            yield from _batches(_parquet_rows(table, path.name), "row", typed=typed)
    except (pa.ArrowException, OSError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path.name}: not a readable Parquet file: {shorten(error, 200)}") from error


def _parquet_rows(table: Any, file: str) -> Iterator[tuple[int, Any]]:
    number = size = 0
    for batch in table.iter_batches(batch_size=512):
        columns = [item.dictionary_decode() if hasattr(item, "dictionary") else item for item in batch.columns]
        size += sum(item.nbytes for item in columns) + 64 * batch.num_rows
        if size > MAX_UNPACKED:
            raise UnsafeInput(f"{file}: more than {MAX_UNPACKED:,} bytes when unpacked")
        records = batch.to_pylist()
        documents.shallow(records, where=file)
        for record in records:
            number += 1
            yield number, record


READERS: Mapping[str, Callable[[Path, Source, Any], Iterator[Batch]]] = {
    "csv": read_csv,
    "json": read_json,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
}

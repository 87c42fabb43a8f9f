"""Readers of flat tables: CSV and Parquet."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

from rca import files
from rca.errors import InputError, UnsafeInput, shorten
from rca.incident.model import Source
from rca.sources.raw import Raw, shallow

__all__ = ["read_csv", "read_parquet"]

MAX_BYTES = 2**30
MAX_FIELD = 16 * 2**20


def read_csv(path: Path, source: Source) -> Raw:
    """Return the rows of a CSV file with one header row, all values as text.

    Parameters
    ----------
    path : Path
        UTF-8, separated by the source's ``delimiter`` (a comma), quoted as RFC 4180 says.
    source : Source
        Its entry in ``incident.yaml``.

    Returns
    -------
    Raw
        One record a row that is not blank; rows are counted from the one below the header. A file of no
        bytes has no rows.

    Raises
    ------
    InputError
        No header, a header name that occurs twice, or rows of another length, with their numbers.
    """
    rows = _rows(decode(path), source.file, source.delimiter)
    if not rows:
        return Raw(source.file, [], "row", [])
    header = [name.strip() for name in rows[0]]
    if not any(header):
        raise InputError(f"{source.file}: no header row")
    other = next((mark for mark in (";", "\t", "|") if len(header) == 1 and mark in header[0]), "")
    if other:
        raise InputError(f"{source.file}: one column only, with {other!r} in its name: say delimiter: {other!r}")
    ((name, times),) = Counter(header).most_common(1)
    if times > 1:
        raise InputError(f"{source.file}: column name {shorten(name)} occurs twice in the header")
    body = [(number, row) for number, row in enumerate(rows[1:], start=1) if row]
    ragged = [(number, len(row)) for number, row in body if len(row) != len(header)]
    if ragged:
        number, length = ragged[0]
        raise InputError(
            f"{source.file}: row {number}: {length} values under {len(header)} column names ({len(ragged)} such rows)"
        )
    records = [dict(zip(header, row, strict=True)) for _, row in body]
    return Raw(source.file, records, "row", [number for number, _ in body])


def _rows(text: str, file: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    usual = csv.field_size_limit(MAX_FIELD)  # the module knows one limit only, so it is put back
    try:
        rows.extend(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        place = f"row {len(rows)}" if rows else "header"
        raise InputError(f"{file}: {place}: not readable as CSV: {error}; is a quote not closed?") from error
    finally:
        csv.field_size_limit(usual)
    return rows


def read_parquet(path: Path, source: Source) -> Raw:
    """Return the rows of a Parquet file, each value as the file types it.

    Parameters
    ----------
    path : Path
        The file.
    source : Source
        Its entry in ``incident.yaml``.

    Returns
    -------
    Raw
        One record a row.

    Raises
    ------
    InputError
        If it is not a Parquet file, or a column name occurs twice.
    UnsafeInput
        If it is larger than the limit, as it is or unpacked.
    """
    import pyarrow
    from pyarrow import parquet

    content = pyarrow.BufferReader(files.read_bytes(path, limit=MAX_BYTES))
    records: list[dict[str, Any]] = []
    size = 0
    try:
        table = parquet.ParquetFile(content)
        names = table.schema_arrow.names
        for batch in table.iter_batches(batch_size=512):
            columns = [item.dictionary_decode() if hasattr(item, "dictionary") else item for item in batch.columns]
            size += sum(item.nbytes for item in columns) + 64 * batch.num_rows
            if size > MAX_BYTES:
                raise UnsafeInput(f"{source.file}: more than {MAX_BYTES:,} bytes when unpacked")
            records += batch.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source.file}: not a readable Parquet file: {shorten(error, 200)}") from error
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"{source.file}: column name {shorten(twice[0])} occurs twice")
    shallow(records, where=source.file)
    return Raw(source.file, records, "row", list(range(1, len(records) + 1)))


def decode(path: Path) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark."""
    try:
        return files.read_bytes(path, limit=MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: not UTF-8 text (byte {error.start}); convert it first") from error

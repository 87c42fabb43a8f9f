"""Readers of flat tables: CSV and Parquet."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from rca import files
from rca.errors import InputError
from rca.incident.model import Source
from rca.sources.raw import Raw

__all__ = ["read_csv", "read_parquet"]

MAX_BYTES = 2**30
MAX_FIELD = 16 * 2**20


def read_csv(path: Path, source: Source) -> Raw:
    """Return the rows of a CSV file with one header row, all values as text.

    Parameters
    ----------
    path : Path
        UTF-8, comma separated, quoted as RFC 4180 says.
    source : Source
        Its entry in ``incident.yaml``.

    Raises
    ------
    InputError
        No header, a header name that occurs twice, or rows of another length, with their numbers.
    """
    text = decode(path)
    csv.field_size_limit(MAX_FIELD)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise InputError(f"{source.file}: not readable as CSV: {error}") from error
    if not rows or not any(rows[0]):
        raise InputError(f"{source.file}: no header row")
    header = [name.strip() for name in rows[0]]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{source.file}: column name {twice[0]!r} occurs twice in the header")
    body = [(number, row) for number, row in enumerate(rows[1:], start=1) if row]
    ragged = [number for number, row in body if len(row) != len(header)]
    if ragged:
        raise InputError(
            f"{source.file}: row {ragged[0]}: {len(dict(body)[ragged[0]])} values under {len(header)} column names"
            f" ({len(ragged)} such rows)"
        )
    records = [dict(zip(header, row, strict=True)) for _, row in body]
    return Raw(source.file, records, "row", [number for number, _ in body])


def read_parquet(path: Path, source: Source) -> Raw:
    """Return the rows of a Parquet file.

    Raises
    ------
    InputError
        If it is not a Parquet file.
    """
    import pyarrow
    from pyarrow import parquet

    files.read_bytes(path, limit=MAX_BYTES)
    try:
        records = parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{source.file}: not a readable Parquet file: {error}") from error
    return Raw(source.file, records, "row", list(range(1, len(records) + 1)))


def decode(path: Path) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark."""
    try:
        return files.read_bytes(path, limit=MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: not UTF-8 text (byte {error.start}); convert it first") from error

"""Tables on disk: Parquet and CSV read whole, with limits and with errors that name the file."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from rca.errors import InputError, UnsafeInput, shorten
from rca.files import read_bytes

__all__ = ["read"]

MAX_FILE = 2**30
MAX_CELLS = 200_000_000  # about 1.6 GB of numbers; a Parquet file of a few kilobytes can claim more


def read(path: str | Path, *, where: str = "") -> pd.DataFrame:
    r"""Read a Parquet or CSV file.

    Parameters
    ----------
    path : str or Path
        The file. What it is is told from its content: Parquet begins with ``PAR1``, all else is CSV
        (UTF-8, comma, first line the names).
    where : str, default ""
        What names the file, for messages: ``incident.yaml: model.holdout``.

    Returns
    -------
    DataFrame
        Rows in the order of the file, index 0 to n - 1; a file with names only has no rows.

    Raises
    ------
    MissingFile
        If there is no such file.
    UnsafeInput
        If it is larger than 1 GiB or has more than 200 million cells.
    InputError
        If it is neither, is damaged, or names a column twice.

    Notes
    -----
    Memory is about the size of the decoded table. Types of a CSV are pandas' guess: times stay text.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "rows.csv"
    ...     _ = path.write_text("amount,label\n10.5,0\n99.0,1\n")
    ...     read(path)["amount"].tolist()
    [10.5, 99.0]
    """
    path = Path(path)
    place = f"{where}: {path}" if where else str(path)
    try:
        data = read_bytes(path, limit=MAX_FILE)
    except InputError as error:
        raise type(error)(f"{where}: {error}" if where else str(error)) from None
    if not data.strip():
        raise InputError(f"{place}: the file is empty; a Parquet or CSV table is wanted")
    if data[:4] == b"PAR1":
        return _parquet(data, place)
    if path.suffix.lower() in (".parquet", ".pq"):
        raise InputError(f"{place}: not a Parquet file (it begins with {data[:8]!r}, not b'PAR1')")
    return _csv(data, place)


def _parquet(data: bytes, place: str) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        _check_size(file.metadata.num_rows, file.metadata.num_columns, place)
        _check_names(file.schema_arrow.names, place)
        frame: pd.DataFrame = file.read().to_pandas()
    except (pa.ArrowException, OSError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{place}: damaged Parquet file ({shorten(error, 200)})") from error
    return frame.reset_index(drop=True)


def _csv(data: bytes, place: str) -> pd.DataFrame:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: neither Parquet nor UTF-8 text (byte {error.start:,})") from None
    if "\x00" in text:
        raise InputError(f"{place}: neither Parquet nor text (it has a NUL byte)")
    try:
        names = next(csv.reader(io.StringIO(text)))
        _check_names(names, place)
        _check_size(text.count("\n"), len(names), place)
        frame = pd.read_csv(io.StringIO(text), index_col=False)
    except (csv.Error, pd.errors.ParserError) as error:
        raise InputError(f"{place}: damaged CSV file ({shorten(error, 200)})") from error
    return frame


def _check_names(names: Sequence[str], place: str) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise InputError(f"{place}: column {twice[0]!r} is there more than once")
    if any(not name for name in names):
        raise InputError(f"{place}: column {list(names).index('') + 1} has no name")


def _check_size(rows: int, columns: int, place: str) -> None:
    if rows * columns > MAX_CELLS:
        raise UnsafeInput(f"{place}: {rows:,} rows x {columns:,} columns, more than the limit of {MAX_CELLS:,} cells")

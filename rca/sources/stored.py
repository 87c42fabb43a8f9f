"""The tables as they are stored: Arrow schemas, with times as integers, and the embedded engine.

A time column ``time`` of the schema is stored as ``time_ns``: nanoseconds since 1970 in UTC, a 64-bit
integer, so that neither DuckDB nor pandas can take it for a local time or cut it to microseconds.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from rca import schema
from rca.times import UTC

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["KEYS", "NEVER", "NOT_A_TIME", "arrow_schema", "connection", "frame", "frugal", "stored_name"]

MEMORY = "300MB"
NEVER = 2**63 - 1  # sorts undated rows last
NOT_A_TIME = -(2**63)  # as numpy has it, of times and durations
# What makes two rows of a source the same row.
KEYS: Mapping[str, tuple[str, ...]] = {
    "events": ("event_id",),
    "metrics": ("time_ns", "system", "metric", "value"),
    "dependencies": ("cause", "effect"),
    "spans": ("trace_id", "span_id", "parent_id", "system", "name", "time_ns", "duration_ns", "status"),
}


def stored_name(name: str, kind: str) -> str:
    """Return the stored name of a column of the schema: times, offsets and durations are nanoseconds.

    Examples
    --------
    >>> stored_name("time", schema.COLUMNS["events"]["time"]), stored_name("kind", "str")
    ('time_ns', 'kind')
    """
    return f"{name}_ns" if kind in (UTC, "timedelta64[ns]") else name


@cache
def arrow_schema(table: str) -> pa.Schema:
    """Return the stored columns of a table and their types."""
    import pyarrow as pa

    own = {"event_id": pa.uint64(), "raw_sha256": pa.binary(32)}
    kinds = {
        "str": pa.string(), UTC: pa.int64(), "timedelta64[ns]": pa.int64(), "Int64": pa.int8(), "int64": pa.int64(),
        "float64": pa.float64(),
    }  # fmt: skip
    columns = schema.COLUMNS[table]
    return pa.schema([(stored_name(name, kind), own.get(name, kinds[kind])) for name, kind in columns.items()])


@contextlib.contextmanager
def connection() -> Iterator[Any]:
    """Yield a connection to the embedded engine, in bounded memory, that reads no configuration and no network."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="rca-") as spill:
        duck = duckdb.connect(
            config={
                "memory_limit": MEMORY,
                "threads": min(os.cpu_count() or 1, 4),
                "temp_directory": spill,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        try:
            yield duck
        finally:
            duck.close()


@contextlib.contextmanager
def frugal() -> Iterator[None]:
    """Let Arrow take memory from the system for a while: its own allocator keeps more, and costs more time."""
    import pyarrow as pa

    usual = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(usual)


def frame(table: pa.Table, name: str) -> pd.DataFrame:
    """Return a stored table in the columns and types of the schema."""
    if not table.num_rows:
        return schema.empty(name)
    columns = {}
    for column, kind in schema.COLUMNS[name].items():
        values = table.column(stored_name(column, kind)).combine_chunks()
        if column == "event_id":
            columns[column] = pd.Series([f"{value:016x}" for value in values.to_pylist()], dtype="str")
        elif column == "raw_sha256":
            columns[column] = pd.Series([value.hex() for value in values.to_pylist()], dtype="str")
        elif kind == "Int64":
            columns[column] = pd.Series(pd.array(values.to_pylist(), dtype="Int64"))
        elif kind == UTC:
            columns[column] = _times(values)
        elif kind == "timedelta64[ns]":
            columns[column] = pd.Series(values.fill_null(NOT_A_TIME).to_numpy().view("timedelta64[ns]"))
        else:
            columns[column] = values.to_pandas().astype(kind)
    return pd.DataFrame(columns)


def _times(values: pa.Array) -> pd.Series:
    import pyarrow as pa

    return values.cast(pa.timestamp("ns", "UTC")).to_pandas().astype(UTC)

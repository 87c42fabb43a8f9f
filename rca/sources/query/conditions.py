"""What is asked for, checked and as conditions of a query, and the file that is asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rca import schema, vocabulary
from rca.errors import InputError, MissingFile, UnknownName, did_you_mean, raise_all, shorten
from rca.sources.stored import NEVER, arrow_schema, connection

if TYPE_CHECKING:
    import pyarrow as pa

    from rca.sources.read import Stored

__all__ = ["FIRST", "Events", "Found", "Question", "check_limit", "opened", "question"]


@dataclass(frozen=True, eq=False)
class Found:
    """Some rows of many.

    Attributes
    ----------
    rows : DataFrame
        The first ones, up to the limit.
    total : int
        How many there are; more than `rows` has where the limit cut them.
    undated : int
        How many events have neither a time nor an interval, of those that the other conditions let through.
    perhaps : tuple of bool
        For each row of a window, whether it is known only as an interval that also reaches out of the window.
    unsure : int
        How many of `total` are so.
    """

    rows: pd.DataFrame
    total: int
    undated: int
    perhaps: tuple[bool, ...] = ()
    unsure: int = 0

    @property
    def cut(self) -> bool:
        """Whether the limit left some out."""
        return len(self.rows) < self.total


@dataclass(frozen=True)
class Events:
    """A view ``events`` on a Parquet file."""

    duck: Any
    path: Path

    def __call__(self, query: str, values: Any = None) -> pa.Table:
        """Return what a query gives."""
        import duckdb

        try:
            return self.duck.sql(query, params=values or None).to_arrow_table()
        except duckdb.Error as error:
            raise InputError(f"{self.path}: cannot be read ({shorten(error, 200)})") from error


@contextlib.contextmanager
def opened(stored: Stored | str | Path) -> Iterator[Events]:
    """Yield what answers queries about the events of a file."""
    import pyarrow as pa
    from pyarrow import parquet

    path = Path(stored) if isinstance(stored, (str, Path)) else stored.path("events")
    try:
        present = parquet.read_schema(path)
    except FileNotFoundError as error:
        raise MissingFile(f"{path}: no such file") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a readable Parquet file ({shorten(error, 200)})") from error
    if not present.equals(arrow_schema("events")):
        raise InputError(f"{path}: not a file of stored events; import the exports again")
    literal = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path)).replace("'", "''")
    with connection() as duck:
        duck.execute(f"CREATE TEMP VIEW events AS SELECT * FROM read_parquet('{literal}')")
        yield Events(duck, path)


# The ends of an interval, both in it, whichever was written first; one that is not given is open.
FIRST = f"least(coalesce(time_earliest_ns, {-NEVER}), coalesce(time_latest_ns, {NEVER}))"
LAST = f"greatest(coalesce(time_earliest_ns, {-NEVER}), coalesce(time_latest_ns, {NEVER}))"
_BOUNDED = "coalesce(time_earliest_ns, time_latest_ns)"


@dataclass(frozen=True)
class Question:
    """Conditions as SQL with placeholders, and what belongs into them.

    An event is dated, or known as an interval, or undated: three conditions, so that of each only the parts of the
    file are read that can hold it.
    """

    other: str
    systems: tuple[str, ...]
    values: dict[str, Any]

    @property
    def windowed(self) -> bool:
        """Whether a start or an end is asked for."""
        return "start" in self.values or "end" in self.values

    @property
    def dated(self) -> str:
        """The condition of events with a time, which lies in the window."""
        return " AND ".join([self.other, *self._within("time_ns", "time_ns", "time_ns IS NOT NULL")])

    @property
    def interval(self) -> str:
        """The condition of events known as an interval that reaches into the window."""
        return " AND ".join(
            [self.other, f"time_ns IS NULL AND {_BOUNDED} IS NOT NULL", *self._within(LAST, FIRST, "true")]
        )

    @property
    def undated(self) -> str:
        """The condition of events of which no time is known."""
        return f"{self.other} AND time_ns IS NULL AND {_BOUNDED} IS NULL"

    @property
    def perhaps(self) -> str:
        """Of an interval that reaches into the window: whether it reaches out of it too."""
        return f"NOT ({' AND '.join(self._within(FIRST, LAST, 'true'))})"

    def _within(self, late: str, early: str, otherwise: str) -> list[str]:
        parts = (("start", f"{late} >= $start"), ("end", f"{early} < $end"))
        return [part for name, part in parts if name in self.values] or [otherwise]

    @property
    def plain(self) -> dict[str, Any]:
        """The values without those of the window."""
        return {name: value for name, value in self.values.items() if name not in ("start", "end")}

    def count_undated(self, ask: Events) -> int:
        """Return how many events without a time or an interval the other conditions let through."""
        return int(ask(f"SELECT count(*) FROM events WHERE {self.undated}", self.plain).column(0)[0].as_py())

    def check_systems(self, ask: Events) -> None:
        """Raise if no event names one of the systems; looks on only until it finds one."""
        absent = [
            name
            for name in self.systems
            if not ask("SELECT 1 FROM events WHERE system = $name LIMIT 1", {"name": name}).num_rows
        ]
        if absent:
            known = ask("SELECT DISTINCT system FROM events").column(0).to_pylist()
            raise_all(
                [f"no event of system {shorten(name)}{did_you_mean(name, filter(None, known))}" for name in absent],
                UnknownName,
            )


def question(
    start: pd.Timestamp | None,
    end: pd.Timestamp | None,
    systems: Sequence[str],
    kinds: Sequence[str],
    text: str,
    min_severity: int | str | None,
) -> Question:
    """Return what a caller asks for, or raise what is wrong with it."""
    edges = (("start", start), ("end", end))
    values: dict[str, Any] = {name: _nanoseconds(name, at) for name, at in edges if at is not None}
    other = ["true"]
    if len(values) == 2 and values["start"] >= values["end"]:
        raise InputError(f"end {end} is not after start {start}")
    for column, names in (("system", systems), ("kind", kinds)):
        if isinstance(names, str):
            raise InputError(f"{column}s {shorten(names)}: expected a list of names")
        own = {f"{column}{number}": _unicode(name) for number, name in enumerate(dict.fromkeys(names))}
        if own:
            other.append(f"{column} IN ({', '.join(f'${name}' for name in own)})")
            values |= own
    for kind in kinds:
        vocabulary.check(kind, "event_kinds", where="kinds")
    if text:
        other.append("contains(lower(message), lower($text))")
        values["text"] = _unicode(text)
    if min_severity is not None:
        other.append("severity >= $severity")
        values["severity"] = _severity(min_severity)
    return Question(" AND ".join(other), tuple(systems), values)


def _unicode(text: str) -> str:
    """Return a text, which no event holds if it cannot be written as UTF-8."""
    if not isinstance(text, str) or text != text.encode("utf-8", "replace").decode():
        raise InputError(f"{shorten(text)} is not a text")
    return text


def _nanoseconds(name: str, moment: pd.Timestamp) -> int:
    if not isinstance(moment, pd.Timestamp) or moment is pd.NaT:
        raise InputError(f"{name} {shorten(moment)}: expected a Timestamp with a time zone")
    if moment.tz is None:
        raise InputError(f"{name} {moment}: no time zone; write UTC times as {moment.isoformat()}Z")
    try:
        return int(moment.as_unit("ns").value)
    except pd.errors.OutOfBoundsDatetime as error:
        raise InputError(f"{name} {moment}: not in the years 1678 to 2262") from error


def _severity(value: int | str) -> int:
    number = schema.severity_number(str(value))
    if number is None:
        raise InputError(
            f"severity {shorten(value)}: expected 1 to 24, or a word{did_you_mean(str(value), schema.SEVERITY)}"
        )
    return number


def check_limit(limit: object) -> None:
    """Raise unless `limit` is a number of rows."""
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise InputError(f"limit {shorten(limit)}: expected a whole number from 1")

"""Rows that stand for several happenings between a first and a last time, placed at even distances between them.

Of the ``n`` happenings of a row, number ``i`` (from 0) is placed at ``time + i * (time_end - time) // (n - 1)``. So
the first and the last stand where they are known to be, and of any stretch, however cut, the number can be told
without placing each of them: ``ceil((x - time) * (n - 1) / (time_end - time))`` lie before a time ``x``, at most ``n``.
"""

from __future__ import annotations

from collections.abc import Sequence

from rca.errors import InputError, shorten
from rca.sources.query.conditions import Events, Question

__all__ = ["MAX_PIECES", "condition", "pieces", "query"]

MAX_PIECES = 20_000_000  # stretches, or happenings, of all rows together; ten seconds where it takes 128 bits


def condition(series: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return what is true of a row that is a series, never null, and what belongs into its placeholders."""
    if isinstance(series, str):
        raise InputError(f"series {shorten(series)}: expected a list of ids of sources")
    own = {f"series{number}": name for number, name in enumerate(dict.fromkeys(series))}
    named = ", ".join(f"${name}" for name in own)
    return f"(source IN ({named}) AND count > 1 AND coalesce(time_end_ns > time_ns, false))", own


def _before(moment: str) -> str:
    """Return how many happenings of a row lie before a time that is not before its first."""
    return f"least(count, (({moment} - first) * (count - 1) + length - 1) // length)"


def _rows(asked: Question, is_series: str, ns: int, group: str = "''", number: str = "HUGEINT") -> str:
    """Return the query of the rows: first, last, length, count, and of those in the window the happenings and steps."""
    start, end = (f"${name}::{number}" if name in asked.values else "NULL" for name in ("start", "end"))
    begin = f"greatest(first, coalesce({start}, first))"
    stop = f"least(last + 1, coalesce({end}, last + 1))"  # not included
    step = "({0} - (({0} % {1}) + {1}) % {1})".format
    return f"""
        SELECT *, {_before("begin")} AS low, {_before("stop")} AS high, {step("begin", ns)} AS step_first,
            ({step("(stop - 1)", ns)} - {step("begin", ns)}) // {ns} + 1 AS steps
        FROM (
            SELECT *, {begin} AS begin, {stop} AS stop FROM (
                SELECT time_ns::{number} AS first, time_end_ns::{number} AS last, last - first AS length,
                    count::{number} AS count, {group} AS part
                FROM events WHERE {is_series} AND {asked.other}
            )
        ) WHERE begin < stop
    """


def pieces(ask: Events, asked: Question, is_series: str, own: dict[str, str], ns: int) -> tuple[int, int, str]:
    """Return into how many pieces `query` cuts a row at most, and all together, and the integers that this takes."""
    found = ask(
        f"""
        SELECT coalesce(max(least(high - low, steps)), 0)::VARCHAR AS most,
            coalesce(sum(least(high - low, steps)), 0)::VARCHAR AS total,
            coalesce(max((length + 1) * count + {ns} + abs(first)), 0)::VARCHAR AS largest
        FROM ({_rows(asked, is_series, ns)})
        """,
        asked.values | own,
    )
    (row,) = found.to_pylist()
    number = "BIGINT" if int(row["largest"]) < 2**62 else "HUGEINT"  # 128 bits are ten times dearer
    return int(row["most"]), int(row["total"]), number


def query(asked: Question, is_series: str, ns: int, group: str, most: int, number: str) -> str:
    """Return the query of begin, part, number and estimate of the rows that are a series.

    A row is cut into its happenings where these are fewer than the steps that it touches, else into these steps.
    """
    place = "first + (low + piece) * length // (count - 1)"
    left, right = f"greatest(begin, step_first + piece * {ns})", f"least(stop, step_first + (piece + 1) * {ns})"
    rows, cut = _rows(asked, is_series, ns, group, number), f"JOIN range({most}) AS pieces(piece)"
    ends = "(first >= {0} AND first < {1})::INT + (last >= {0} AND last < {1})::INT".format
    return f"""
        SELECT begin::BIGINT AS begin, part, number::BIGINT AS number, (number - known)::BIGINT AS estimate FROM (
            SELECT {place} - (({place}) % {ns} + {ns}) % {ns} AS begin, part, 1 AS number,
                (low + piece IN (0, count - 1))::INT AS known
            FROM ({rows}) {cut} ON piece < high - low
            WHERE high - low <= steps
            UNION ALL
            SELECT step_first + piece * {ns}, part, {_before(right)} - {_before(left)}, {ends(left, right)}
            FROM ({rows}) {cut} ON piece < steps
            WHERE high - low > steps
        ) WHERE number > 0
    """

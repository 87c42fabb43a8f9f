"""Records of several lines: a line that begins with white space goes on with the record before it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rca.sources.items import Reject

__all__ = ["MAX_TEXT", "join"]

MAX_TEXT = 2**20

Record = tuple[int, str, Any]


def join(records: Iterator[Record]) -> Iterator[Record]:
    r"""Yield the records of a file whose long messages go on in indented lines.

    Parameters
    ----------
    records : iterator of (position, locator, text or Reject)
        As `rca.sources.documents.lines` yields them.

    Yields
    ------
    tuple
        Number of the first line, ``line 3`` or ``lines 3-5``, and the text with its line ends. An indented line
        with nothing before it, or past 1 MiB of text, stands alone.

    Examples
    --------
    >>> list(join(iter([(1, "line 1", "a"), (2, "line 2", "\tb"), (3, "line 3", "c")])))
    [(1, 'lines 1-2', 'a\n\tb'), (3, 'line 3', 'c')]
    """
    parts: list[str] = []
    start = last = size = 0
    for number, place, text in records:
        more = isinstance(text, str) and text[0].isspace()
        if more and parts and size + len(text) <= MAX_TEXT:
            parts.append(text)
            last, size = number, size + len(text)
            continue
        if parts:
            yield _record(start, last, parts)
            parts = []
        if isinstance(text, Reject):
            yield number, place, text
        else:
            start, last, parts, size = number, number, [text], len(text)
    if parts:
        yield _record(start, last, parts)


def _record(start: int, last: int, parts: list[str]) -> Record:
    return start, f"line {start}" if start == last else f"lines {start}-{last}", "\n".join(parts)

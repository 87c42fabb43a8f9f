"""Pieces of one export: in which order they belong, and how often a record happened that stands where they meet.

A piece is a stretch of one log, as rotation or an export of some hours cuts it. A record without an id of its own is
known by its content, time included, so equal records stand at one time. Where that time lies within a piece, between
its first and its last, the piece holds all of them: the count is the largest of any piece. Only where every piece
that holds a time begins or ends with it, each may have a part of its records. There the order of the records decides:

- the last records of one are the first of the next: they overlap. The longest such run is taken for one;
- no run joins them: they follow each other, and their counts add up.

Records that are equal can join pieces that do not overlap. So the count is then the least that is possible, and the
length of the runs says how many more may have happened.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

__all__ = ["Piece", "joined", "meetings", "offsets"]

_MANY = 16  # pieces that meet at one time; of more, each pair would have to be compared with each

Record = tuple[int, int]  # id, and how often it happened by its own account


@dataclass
class Piece:
    """One file of a source: its first and last time in nanoseconds, and the position of its last record."""

    first: int
    last: int
    end: int

    def add(self, first: int, last: int, end: int) -> None:
        """Take in further records of the file."""
        self.first, self.last, self.end = min(self.first, first), max(self.last, last), max(self.end, end)


def offsets(pieces: Mapping[tuple[str, str], Piece]) -> dict[tuple[str, str], int]:
    """Return what to add to the positions in each file so that they are positions in its source.

    Parameters
    ----------
    pieces : mapping
        (source, file) -> `Piece`.

    Examples
    --------
    >>> offsets({("web", "a.log"): Piece(50, 90, 3), ("web", "b.log"): Piece(10, 50, 7)})
    {('web', 'b.log'): 0, ('web', 'a.log'): 7}
    """
    out: dict[tuple[str, str], int] = {}
    ends: dict[str, int] = defaultdict(int)
    for (source, file), piece in sorted(
        pieces.items(), key=lambda item: (item[1].first, item[1].last, item[0])
    ):  # the later of two that begin together holds more behind it
        out[source, file] = ends[source]
        ends[source] += piece.end
    return out


def meetings(pieces: Mapping[tuple[str, str], Piece]) -> dict[str, dict[int, tuple[list[str], list[str], list[str]]]]:
    """Return the times at which pieces of a source meet and none holds all records.

    Returns
    -------
    dict
        Source -> time in nanoseconds -> the files that end with it, that hold nothing else, that begin with it.

    Examples
    --------
    >>> meetings({("web", "a.log"): Piece(50, 90, 3), ("web", "b.log"): Piece(10, 50, 7)})
    {'web': {50: (['b.log'], [], ['a.log'])}}
    """
    sources: dict[str, list[tuple[str, Piece]]] = defaultdict(list)
    for (source, file), piece in sorted(pieces.items()):
        sources[source].append((file, piece))
    out: dict[str, dict[int, tuple[list[str], list[str], list[str]]]] = {}
    for source, listed in sources.items():
        ends = Counter(time for _, piece in listed for time in {piece.first, piece.last})
        for time in sorted(time for time, number in ends.items() if number > 1):
            if not any(piece.first < time < piece.last for _, piece in listed):
                before = [file for file, piece in listed if piece.first < time == piece.last]
                only = [file for file, piece in listed if piece.first == time == piece.last]
                after = [file for file, piece in listed if piece.first == time < piece.last]
                out.setdefault(source, {})[time] = before, only, after
    return out


def joined(
    before: Iterable[Sequence[Record]], only: Iterable[Sequence[Record]], after: Iterable[Sequence[Record]]
) -> tuple[Counter[int], int] | None:
    """Return how often each record of one time happened, and how many more may have, of the pieces that meet there.

    Parameters
    ----------
    before, only, after : iterable of sequences of (id, count)
        The records of that time in each piece that ends with it, that holds nothing else, and that begins with it,
        in their order.

    Returns
    -------
    tuple of Counter and int, or None
        None where the order of the pieces cannot be told: copies of one stretch that are no beginnings or ends of
        each other, or very many.

    Notes
    -----
    The longest common run is joined first, then the next. Of three or more pieces that all lie in one instant this
    need not be the shortest whole.

    Examples
    --------
    >>> a, b, c = (1, 1), (2, 1), (3, 1)
    >>> joined([[a, b]], [], [[b, c]]), joined([[a, b]], [], [[a, b, c]]), joined([[b, a]], [], [[b, b]])
    ((Counter({1: 1, 2: 1, 3: 1}), 1), (Counter({1: 1, 2: 1, 3: 1}), 2), (Counter({2: 3, 1: 1}), 0))
    """
    head, tail = _longest(before, ends=False), _longest(after, ends=True)
    if head is None or tail is None:
        return None
    parts = [(1, part) for part in map(list, only)] + [(0, head)] * bool(head) + [(2, tail)] * bool(tail)
    if len(parts) > _MANY:
        return None
    parts.sort()
    more = 0
    while len(parts) > 1:
        length, one, other = max(
            (_common(parts[one], parts[other]), -one, -other) for one, other in permutations(range(len(parts)), 2)
        )
        if not length:
            break
        (place, left), (end, right) = parts[-one], parts[-other]
        more += sum(count for _, count in right[:length])
        whole = left if length == len(right) else left + right[length:]
        sides = {place, end} - {1}
        parts = [part for number, part in enumerate(parts) if number not in (-one, -other)]
        parts.append((sides.pop() if len(sides) == 1 else 1, whole))
        parts.sort()
    total: Counter[int] = Counter()
    for _, part in parts:
        for event, count in part:
            total[event] += count
    return total, more


def _longest(parts: Iterable[Sequence[Record]], *, ends: bool) -> list[Record] | None:
    """Return the part that the others are beginnings of, or ends; None where there is no such part."""
    held = sorted((list(part)[::-1] if ends else list(part) for part in parts), key=len)
    longest = held[-1] if held else []
    if any(longest[: len(part)] != part for part in held):
        return None
    return longest[::-1] if ends else longest


def _common(one: tuple[int, list[Record]], other: tuple[int, list[Record]]) -> int:
    """Return how many records are in both of two parts, when the second follows or lies in the first; 0 where neither.

    A part is its place (0 if it begins before this time, 2 if it goes on after it, else 1) and its records.
    """
    (place, left), (end, right) = one, other
    if len(left) == len(right) and sorted(left) == sorted(right):
        return len(right)  # the same records, in another order perhaps
    last = _matched(right, left)
    if end == 1 and len(right) < len(left) and len(right) in last:
        return len(right)
    return last[-1] if place != 2 and end != 0 else 0


def _matched(pattern: list[Record], text: list[Record]) -> list[int]:
    """Return how much of the beginning of a pattern ends at each record of a text: Knuth, Morris and Pratt."""
    border, length = [0] * len(pattern), 0
    for place in range(1, len(pattern)):
        while length and pattern[place] != pattern[length]:
            length = border[length - 1]
        length += pattern[place] == pattern[length]
        border[place] = length
    out, length = [], 0
    for record in text:
        if length == len(pattern):
            length = border[length - 1]
        while length and record != pattern[length]:
            length = border[length - 1]
        length += record == pattern[length]
        out.append(length)
    return out

"""Lines of ``annotations.jsonl`` against what the custody log says of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rca import files, journal
from rca.errors import InputError

__all__ = ["ACTION", "FILE", "compare", "held", "key", "lines", "number_of"]

FILE = "annotations.jsonl"
ACTION = "annotated"


class Said(NamedTuple):
    """A line of the annotations: its number, its name in the log, its SHA-256, whether it has an id that fits.

    `fits` is None for a line without an id, such as one that was cut short.
    """

    number: int
    key: str
    sha256: str
    fits: bool | None


def number_of(content: Mapping[str, Any]) -> str:
    """Return the id of an annotation: the beginning of the SHA-256 of its content without the id."""
    return hashlib.sha256(journal.encode(content)).hexdigest()[:16]


def key(number: str) -> str:
    """Return the name under which the log holds the annotation with this id."""
    return f"{FILE} {number}"


def lines(folder: str | Path) -> list[Said]:
    """Return the lines of the annotations; none when there is no file."""
    return [_said(line) for line in journal.read(files.inside(folder, FILE))]


def _said(line: journal.Line) -> Said:
    total = hashlib.sha256(line.content).hexdigest()
    try:
        record = json.loads(line.content)
        number = record.pop("id")
        fits = number_of(record) == number
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InputError):
        return Said(line.number, key(f"line {line.number}"), total, None)
    return Said(line.number, key(str(number)), total, fits)


def held(found: Iterable[tuple[int, Mapping[str, Any]]]) -> dict[str, tuple[str, int]]:
    """Return what the log holds of annotations: name -> SHA-256 of the line, and line of the log."""
    out: dict[str, tuple[str, int]] = {}
    for line, entry in found:
        for name, value in entry["files"].items() if entry["action"] == ACTION else ():
            out.pop(name, None)
            if value is not None:
                out[name] = (value, line)
    return out


def compare(now: Iterable[Said], known: Mapping[str, tuple[str, int]], log: str) -> tuple[list[str], list[str]]:
    """Return how the annotations differ from what the log holds of them, and what else is to be said, in words.

    Parameters
    ----------
    now : iterable of Said
        From `lines`.
    known : mapping
        From `held`.
    log : str
        The name of the log.

    Returns
    -------
    differences, remarks : list of str
        Lines before the first one that the log knows were written before there was a chain: they are remarks, as
        long as their ids fit; and so are lines that say nothing.
    """
    now = list(now)
    there = {line.sha256 for line in now}
    sums = {value for value, _ in known.values()}
    problems = []
    for name, (total, place) in known.items():
        if total not in there and not any(line.key == name for line in now):
            problems.append(f"{name}: missing since it was annotated ({log} line {place})")
    first = next((line.number for line in now if line.sha256 in sums or line.key in known), len(now) + 1)
    before, remarks = [], []
    for line in now:
        where = f"{FILE}: line {line.number}"
        if line.sha256 in sums:
            continue
        if line.key in known:
            problems.append(f"{where}: changed since it was annotated ({log} line {known[line.key][1]})")
        elif line.fits is None:
            remarks.append(f"{where}: is no annotation: cut short by a process that was stopped, or put there")
        elif line.number > first:
            problems.append(f"{where}: not in {log}: put there by other means, or by a process that was stopped")
        elif not line.fits:
            problems.append(f"{where}: was edited: its id does not fit its content")
        else:
            before.append(line.number)
    if before:
        remark = f"{FILE}: not chained, for written before {log} held annotations: line {', '.join(map(str, before))}"
        remarks.append(f"{remark}; one that was removed or made anew among them goes unseen")
    return problems, remarks

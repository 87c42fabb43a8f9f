"""What a reader hands on: the records of one export, as they were written, with their places."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rca.errors import UnsafeInput

__all__ = ["MAX_DEPTH", "Raw", "fingerprint", "has", "lookup", "shallow"]

MAX_DEPTH = 64


@dataclass(frozen=True)
class Raw:
    """Records of one export.

    Attributes
    ----------
    file : str
        Name for messages.
    records : list of dict
        One a record; values as the format gives them, text where it has no types.
    unit : str
        What a record is in this format: ``row``, ``line`` or ``item``.
    positions : list of int
        1-based place of each record in the file.
    """

    file: str
    records: list[dict[str, Any]]
    unit: str
    positions: list[int]

    def place(self, number: int) -> str:
        """Return the place of record `number` (from 0) for people."""
        return f"{Path(self.file).name} {self.unit} {self.positions[number]}"


def fingerprint(record: dict[str, Any]) -> str:
    """Return the SHA-256 of a record's content, whatever the order of its fields.

    Examples
    --------
    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def lookup(record: dict[str, Any], field: str) -> Any:
    """Return a field of a record, or None; a dotted name also reaches into nested records.

    Examples
    --------
    >>> lookup({"http.route": "/a"}, "http.route"), lookup({"user": {"name": "x"}}, "user.name")
    ('/a', 'x')
    """
    if field in record:
        return record[field]
    head, dot, rest = field.partition(".")
    inner = record.get(head)
    return lookup(inner, rest) if dot and isinstance(inner, dict) else None


def has(record: dict[str, Any], field: str) -> bool:
    """Return whether a record has a field, be it empty.

    Examples
    --------
    >>> has({"user": {"name": None}}, "user.name"), has({}, "user.name")
    (True, False)
    """
    head, dot, rest = field.partition(".")
    inner = record.get(head)
    return field in record or (bool(dot) and isinstance(inner, dict) and has(inner, rest))


def shallow(value: Any, *, where: str) -> Any:
    """Return `value` unchanged if it is nested at most `MAX_DEPTH` deep: more would exhaust the stack.

    Parameters
    ----------
    value : object
        Anything made of dicts and lists.
    where : str
        Place for the error message.

    Returns
    -------
    object
        The same.

    Raises
    ------
    UnsafeInput
        If it is nested deeper.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        nested = [item for item in level if isinstance(item, (dict, list))]
        level = [inner for item in nested for inner in (item.values() if isinstance(item, dict) else item)]
        if not level:
            return value
    raise UnsafeInput(f"{where}: nested more than {MAX_DEPTH} deep")

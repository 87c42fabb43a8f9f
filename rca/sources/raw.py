"""What a reader hands on: the records of one export, as they were written, with their places."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Raw", "fingerprint", "lookup"]


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

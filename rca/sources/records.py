"""Readers of JSON and JSON lines."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from rca.errors import InputError, UnknownName, UnsafeInput, did_you_mean, shorten
from rca.incident.model import Source
from rca.sources.flat import decode
from rca.sources.raw import Raw, shallow

__all__ = ["read_json", "read_jsonl"]


def read_json(path: Path, source: Source) -> Raw:
    """Return the records of a JSON file: a list of objects, or one object.

    Parameters
    ----------
    path : Path
        The file.
    source : Source
        Its entry in ``incident.yaml``; ``records`` is the JSON pointer to the list, when it is inside.

    Returns
    -------
    Raw
        One record an object.

    Raises
    ------
    InputError
        Not JSON, or something else than objects, with the item's number.
    """
    content = _parse(decode(path), source.file)
    first, *parts = source.records.split("/")
    if first:
        raise InputError(f"{source.file}: records {shorten(source.records)}: a JSON pointer begins with /")
    for part in parts:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(content, list):
            content = dict(zip(map(str, range(len(content))), content, strict=True))
        if not isinstance(content, dict) or name not in content:
            near = did_you_mean(name, content) if isinstance(content, dict) else f"; it is {shorten(content, 40)}"
            raise UnknownName(f"{source.file}: records {shorten(source.records)}: no {shorten(name)} there{near}")
        content = content[name]
    items = content if isinstance(content, list) else [content]
    return _raw(items, source.file, "item", list(range(1, len(items) + 1)))


def read_jsonl(path: Path, source: Source) -> Raw:
    """Return the records of a file with one JSON object a line; empty lines are passed over.

    Parameters
    ----------
    path : Path
        The file.
    source : Source
        Its entry in ``incident.yaml``.

    Returns
    -------
    Raw
        One record a line that is not empty.

    Raises
    ------
    InputError
        Not JSON, or something else than an object, with the line's number.
    """
    lines = [(number, line) for number, line in enumerate(decode(path).split("\n"), start=1) if line.strip()]
    items = [_parse(line, f"{source.file}: line {number}") for number, line in lines]
    return _raw(items, source.file, "line", [number for number, _ in lines])


def _raw(items: list[Any], file: str, unit: str, positions: list[int]) -> Raw:
    for item, position in zip(items, positions, strict=True):
        if not isinstance(item, dict):
            raise InputError(f"{file}: {unit} {position}: expected an object, found {shorten(item, 40)}")
    return Raw(file, items, unit, positions)


def _parse(text: str, where: str) -> Any:
    try:
        content = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
    except RecursionError as error:
        raise UnsafeInput(f"{where}: nested too deep") from error
    except ValueError as error:
        raise InputError(f"{where}: not valid JSON: {error}") from error
    return shallow(content, where=where)


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON value")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"key {shorten(name)} occurs twice in one object")
    return out

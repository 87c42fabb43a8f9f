"""YAML files as data only: read with line numbers, refused with file, line and the nearest name.

No tags, no aliases, no repeated keys; limits on size, depth and number of values, so that a file from a
stranger can neither run anything nor exhaust the machine. Plain words are read as YAML 1.2 has them: ``no``,
``11:20``, ``010`` and ``2025-11-18`` stay the text that was written; a record decides what it is.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from rca import files
from rca.errors import InputError, MissingFile, UnsafeInput, did_you_mean, raise_all, shorten

__all__ = ["Place", "Relations", "entries", "load", "parse", "repeated"]

MAX_BYTES = 2**20
MAX_DEPTH = 40
MAX_VALUES = 100_000
MAX_PROBLEMS = 50
M = TypeVar("M", bound=BaseModel)
Place = tuple[str | int, ...]
Relations = Callable[[dict[str, Any]], Iterable[tuple[Place, str | InputError]]]

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")), "true": True, "True": True, "false": False, "False": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9]+")
_OPENING = (
    yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken, yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken,
)  # fmt: skip
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_REFUSED = {yaml.AnchorToken: "anchors (&)", yaml.AliasToken: "aliases (*)", yaml.TagToken: "tags (!)"}
_WANTED = {
    "model_type": "expected keys and values",
    "dict_type": "expected keys and values",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "string_type": "expected text, in quotes",
    "string_too_short": "is empty",
    "too_short": "is empty",
}


class _Reader:
    """Turns YAML nodes into Python values and remembers the line of each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}
        self.problems: list[str] = []

    def value(self, node: yaml.Node, place: Place) -> Any:
        """Return the value of `node`, which stands at `place`."""
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, number)) for number, item in enumerate(node.value)]
        return _plain(node.value) if isinstance(node, yaml.ScalarNode) and not node.style else node.value

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or (key_node.value == "<<" and not key_node.style):
                self.problems.append(f"{self.path}: line {line}: a key must be plain text")
                continue
            key = str(key_node.value)
            if key in out:
                self.problems.append(f"{self.path}: line {line}: duplicate key {shorten(key)}")
            self.lines[(*place, key)] = line
            out[key] = self.value(value_node, (*place, key))
        return out


def _plain(word: str) -> Any:
    """Return what a word without quotes means; spellings on which YAML versions differ stay text."""
    if word in _WORDS:
        return _WORDS[word]
    if _INTEGER.fullmatch(word):
        return int(word)
    number = float(word) if _DECIMAL.fullmatch(word) else math.inf
    return number if math.isfinite(number) and not re.match(r"[-+]?0[0-9]", word) else word


def _scan(path: Path, text: str) -> None:
    """Refuse what is not plain data, or too much of it, before anything is built from it."""
    depth = values = 0
    for token in yaml.scan(text):
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        values += isinstance(token, (yaml.ScalarToken, *_OPENING))
        start = f"{path}: line {token.start_mark.line + 1}:"
        if type(token) in _REFUSED:
            raise UnsafeInput(f"{start} {_REFUSED[type(token)]} are not allowed; put the text in quotes if it is meant")
        if depth > MAX_DEPTH or values > MAX_VALUES:
            raise UnsafeInput(f"{start} more than {MAX_DEPTH} levels or {MAX_VALUES:,} values")


def load(path: str | Path) -> tuple[Any, dict[Place, int]]:
    """Return the content of a YAML file and the line of each value.

    Parameters
    ----------
    path : str or Path
        UTF-8 file with one document.

    Returns
    -------
    content : object
        Nested dict, list, str, int, float, bool, None; times stay text.
    lines : dict
        Place such as ``("systems", 2, "id")`` -> line number from 1.

    Raises
    ------
    MissingFile
        If there is no such file.
    InputError
        Every repeated key, or the first syntax error, with file and line.
    UnsafeInput
        At a tag, anchor or alias, or past the limits on size, depth and number of values.
    """
    path = Path(path)
    raw = files.read_bytes(path, limit=MAX_BYTES)
    try:
        text = raw.decode("utf-8-sig")
        _scan(path, text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise InputError(f"{path}: {line}not valid YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        line = f"line {text.count(chr(10), 0, error.position) + 1}: "
        raise InputError(f"{path}: {line}character {shorten(chr(error.character))} is not allowed") from error
    if node is None:
        raise InputError(f"{path}: the file is empty")
    reader = _Reader(path)
    content = reader.value(node, ())
    raise_all(reader.problems)
    return content, reader.lines


def entries(content: Any, key: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield the records in the list under `key`, whatever else `content` may be, with their places."""
    values = content.get(key) if isinstance(content, dict) else None
    for number, item in enumerate(values if isinstance(values, list) else []):
        if isinstance(item, dict):
            yield (key, number), item


def repeated(content: Any, *keys: str) -> Iterator[tuple[Place, str]]:
    """Yield a problem for each id that occurs twice in the lists under `keys`."""
    seen: dict[str, list[Place]] = defaultdict(list)
    for key in keys:
        for place, item in entries(content, key):
            if isinstance(item.get("id"), str):
                seen[item["id"]].append((*place, "id"))
    for name, places in seen.items():
        for place in places[1:]:
            yield place, f"duplicate id {shorten(name)}"


def parse(path: str | Path, model: type[M], relations: Relations | None = None) -> M:
    """Return the record that a YAML file holds, or raise one error that lists every problem.

    Parameters
    ----------
    path : str or Path
        The file.
    model : type
        A pydantic model with ``extra="forbid"``.
    relations : callable, optional
        Yields problems that no single record can see (ids, references) from the raw content, which may
        be wrong in any other way: as texts, or as errors where the kind of error matters.

    Returns
    -------
    BaseModel
        An instance of `model`.

    Raises
    ------
    InputError
        One line a problem: file, line, key, what was found, what was wanted, the nearest name. It is an
        `UnsafeInput` or a `MissingFile` where `relations` yields one.
    """
    content, lines = load(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: line 1: expected keys and values, found {type(content).__name__}")
    problems = []
    kinds: set[type] = set()
    record: M | None = None
    try:
        record = model.model_validate(content)
    except ValidationError as error:
        found = islice(error.errors(include_url=False), MAX_PROBLEMS)
        problems = [_problem(Path(path), dict(item), lines, model) for item in found]
    for place, message in islice(relations(content), MAX_PROBLEMS) if relations else ():
        problems.append(f"{path}: line {_line(place, lines)}: {message}")
        kinds.add(type(message))
    if record is None or problems:
        listed = sorted(set(problems), key=_in_order)
        more = [f"{path}: there may be more problems; these are the first"] if len(listed) >= MAX_PROBLEMS else []
        kind = next((kind for kind in (UnsafeInput, MissingFile) if kind in kinds), InputError)
        raise kind("\n".join(listed + more))
    return record


def _in_order(problem: str) -> tuple[int, str]:
    number = problem.partition(": line ")[2].partition(":")[0]
    return int(number) if number.isdigit() else 0, problem


def _line(place: Place, lines: dict[Place, int]) -> int:
    return next((lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in lines), 1)


def _problem(path: Path, error: dict[str, Any], lines: dict[Place, int], model: type[BaseModel]) -> str:
    place: Place = tuple(error["loc"])
    key = ".".join(part if part.isprintable() and len(part) < 80 else shorten(part) for part in map(str, place))
    start = f"{path}: line {_line(place, lines)}: "
    if error["type"] == "extra_forbidden":
        return f"{start}unknown key {shorten(place[-1])}{did_you_mean(str(place[-1]), _fields(model, place[:-1]))}"
    if error["type"] == "missing":
        return f"{start}{key}: required, but missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{start}{'' if not key or message.startswith(f'{place[-1]}: ') else key + ': '}{message}"
    return f"{start}{key}: {_WANTED.get(error['type'], message)}, found {_found(error.get('input'))}"


def _found(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "a list" if isinstance(value, list) else "keys and values"
    return shorten(value)


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _fields(model: type[BaseModel], place: Place) -> Sequence[str]:
    """Return the keys allowed at `place` of a file of kind `model`."""
    schema = _schema(model)
    here: dict[str, Any] = schema
    for part in place:
        here = _follow(here, schema)
        if isinstance(part, int):
            here = here.get("items", {})
        else:
            here = here.get("properties", {}).get(part) or here.get("additionalProperties") or {}
    return tuple(_follow(here, schema).get("properties", {}))


def _follow(here: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the object schema behind references and unions."""
    if not isinstance(here, dict):
        return {}
    for option in here.get("anyOf", []):
        if "$ref" in option or "properties" in option or "items" in option:
            return _follow(option, schema)
    if "$ref" in here:
        return _follow(schema["$defs"][here["$ref"].rsplit("/", 1)[-1]], schema)
    return here

"""YAML files as data only: read with line numbers, refused with file, line and the nearest name.

No tags, no aliases, no repeated keys; limits on size, depth and number of values, so that a file from a
stranger can neither run anything nor exhaust the machine. Times stay text until the record reads them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from rca import files
from rca.errors import InputError, did_you_mean, raise_all, shorten

__all__ = ["Place", "Relations", "entries", "load", "parse", "repeated"]

MAX_BYTES = 5 * 2**20
MAX_DEPTH = 40
MAX_VALUES = 200_000
M = TypeVar("M", bound=BaseModel)
Place = tuple[str | int, ...]
Relations = Callable[[dict[str, Any]], Iterable[tuple[Place, str]]]

_PLAIN = {
    "tag:yaml.org,2002:str",
    "tag:yaml.org,2002:timestamp",  # kept as text: a record decides what a time is
    "tag:yaml.org,2002:int",
    "tag:yaml.org,2002:float",
    "tag:yaml.org,2002:bool",
    "tag:yaml.org,2002:null",
}


class _Reader:
    """Turns YAML nodes into Python values and remembers the line of each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}
        self.problems: list[str] = []
        self._scalars = yaml.constructor.SafeConstructor()
        self._count = 0

    def value(self, node: yaml.Node, place: Place) -> Any:
        """Return the value of `node`, which stands at `place`."""
        line = node.start_mark.line + 1
        self.lines.setdefault(place, line)
        self._count += 1
        if len(place) > MAX_DEPTH or self._count > MAX_VALUES:
            raise InputError(f"{self.path}: line {line}: more than {MAX_DEPTH} levels or {MAX_VALUES:,} values")
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(item, (*place, number)) for number, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _PLAIN:
            return self._scalar(node, line)
        self.problems.append(f"{self.path}: line {line}: tag {shorten(node.tag)} is not allowed; only plain values are")
        return None

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                self.problems.append(f"{self.path}: line {line}: a key must be plain text")
                continue
            key = str(key_node.value)
            if key in out:
                self.problems.append(f"{self.path}: line {line}: duplicate key {shorten(key)}")
            self.lines[(*place, key)] = line
            out[key] = self.value(value_node, (*place, key))
        return out

    def _scalar(self, node: yaml.ScalarNode, line: int) -> Any:
        if node.tag == "tag:yaml.org,2002:timestamp" or (node.tag.endswith(":int") and ":" in node.value):
            return node.value  # YAML 1.1 reads 11:20 as 680; here it stays the text that was written
        try:
            return self._scalars.construct_object(node)  # type: ignore[no-untyped-call]
        except (ValueError, yaml.YAMLError) as error:
            self.problems.append(f"{self.path}: line {line}: {shorten(node.value)} cannot be read ({error})")
            return None


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
        Every tag, repeated key or syntax error, with file and line.
    """
    path = Path(path)
    raw = files.read_bytes(path, limit=MAX_BYTES)
    try:
        text = raw.decode("utf-8-sig")
        for token in yaml.scan(text):
            if isinstance(token, (yaml.AliasToken, yaml.AnchorToken)):
                line = token.start_mark.line + 1
                raise InputError(f"{path}: line {line}: anchors and aliases (& and *) are not allowed; write it out")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested deeper than {MAX_DEPTH} levels") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise InputError(f"{path}: {line}not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error
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
            yield place, f"duplicate id {name!r}"


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
        be wrong in any other way.

    Raises
    ------
    InputError
        One line a problem: file, line, key, what was found, what was wanted, the nearest name.
    """
    content, lines = load(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: line 1: expected keys and values, found {type(content).__name__}")
    problems = []
    record: M | None = None
    try:
        record = model.model_validate(content)
    except ValidationError as error:
        problems = [_problem(Path(path), dict(item), lines, model) for item in error.errors(include_url=False)]
    for place, message in relations(content) if relations else ():
        problems.append(f"{path}: line {_line(place, lines)}: {message}")
    if record is None or problems:
        raise InputError("\n".join(sorted(set(problems), key=_in_order)))
    return record


def _in_order(problem: str) -> tuple[int, str]:
    number = problem.partition(": line ")[2].partition(":")[0]
    return int(number) if number.isdigit() else 0, problem


def _line(place: Place, lines: dict[Place, int]) -> int:
    return next((lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in lines), 1)


def _problem(path: Path, error: dict[str, Any], lines: dict[Place, int], model: type[BaseModel]) -> str:
    place: Place = tuple(error["loc"])
    line = _line(place, lines)
    key = ".".join(str(part) for part in place)
    start = f"{path}: line {line}: "
    if error["type"] == "extra_forbidden":
        return f"{start}unknown key {str(place[-1])!r}{did_you_mean(str(place[-1]), _fields(model, place[:-1]))}"
    if error["type"] == "missing":
        return f"{start}{key}: required, but missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    found = error.get("input")
    plain = isinstance(found, (str, int, float, bool)) and error["type"] != "value_error"
    named = not key or message.startswith(f"{place[-1]}: ")
    return f"{start}{'' if named else key + ': '}{message}{f', found {shorten(found)}' if plain else ''}"


def _fields(model: type[BaseModel], place: Place) -> Sequence[str]:
    """Return the keys allowed at `place` of a file of kind `model`."""
    schema = model.model_json_schema()
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

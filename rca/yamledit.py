"""Small edits of YAML files that people write: one entry added or one value replaced, all else as it stands.

Comments, order and quoting are theirs and stay. The text is changed where the parser says that a value
begins and ends, never by searching for words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from rca.errors import InputError, shorten

__all__ = ["append", "flow", "replace"]

_WORDS = ("true", "false", "null", "no", "yes", "on", "off", "y", "n")  # what YAML 1.1 does not read as text


def flow(value: Any) -> str:
    """Return a value as YAML on one line.

    Examples
    --------
    >>> flow({"id": "a", "columns": {"time": "@timestamp", "message": ["a", "b"]}, "rejected": 3})
    '{id: a, columns: {time: "@timestamp", message: [a, b]}, rejected: 3}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(str(name))}: {flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        plain = value.replace("-", "a").replace("_", "a").replace("/", "a").replace(".", "a")
        simple = plain.isascii() and plain.isalnum() and value[0].isalpha() and value.lower() not in _WORDS
        return value if simple else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def append(text: str, key: str, entry: Mapping[str, Any]) -> str:
    r"""Return the text of a YAML mapping with one more entry at the end of the list under `key`.

    Parameters
    ----------
    text : str
        The file.
    key : str
        Top-level key; added when it is not there.
    entry : mapping
        Written one name a line.

    Raises
    ------
    InputError
        If the file is no mapping, or `key` holds something else than a list.

    Examples
    --------
    >>> print(append("a: 1\nlist:  # ours\n  - {id: x}\nb: 2\n", "list", {"id": "z", "m": 1}))
    a: 1
    list:  # ours
      - {id: x}
      - id: z
        m: 1
    b: 2
    <BLANKLINE>
    """
    if "\r\n" in text:
        return append(text.replace("\r\n", "\n"), key, entry).replace("\n", "\r\n")
    root = _root(text)
    if root.flow_style:
        raise InputError("the whole file is in braces; write one name a line, so that an entry can be added")
    node = next((value for name, value in root.value if name.value == key), None)
    if node is None:
        return text.rstrip("\n") + f"\n\n{key}:\n" + _item(entry, "  ")
    if isinstance(node, yaml.ScalarNode) and not node.value:
        return _after(text, node.end_mark.index, _item(entry, "  "))
    if not isinstance(node, yaml.SequenceNode):
        raise InputError(f"{key} is not a list")
    if node.flow_style and node.value:
        end = node.value[-1].end_mark.index
        return f"{text[:end]}, {flow(entry)}{text[end:]}"
    if node.flow_style:
        kept = text[: node.start_mark.index].rstrip(" ")
        return _after(kept + text[node.end_mark.index :], len(kept), _item(entry, "  "))
    return _after(text, _end(node), _item(entry, " " * node.start_mark.column))


def replace(text: str, place: Sequence[str | int], value: Any) -> str:
    r"""Return the text of a YAML mapping with the value at `place` replaced, or set.

    Parameters
    ----------
    text : str
        The file.
    place : sequence
        Names and positions, as ``("sources", 0, "file")``; the last name may be new.
    value : object
        Written on one line.

    Raises
    ------
    InputError
        If there is no such place.

    Examples
    --------
    >>> replace("a:\n  - {file: x, id: y}\n", ("a", 0, "file"), ["x", "z"])
    'a:\n  - {file: [x, z], id: y}\n'
    """
    if "\r\n" in text:
        return replace(text.replace("\r\n", "\n"), place, value).replace("\n", "\r\n")
    node: yaml.Node = _root(text)
    for step in place[:-1]:
        node = _child(node, step, place)
    last = place[-1]
    try:
        old = _child(node, last, place)
    except InputError:
        if not isinstance(node, yaml.MappingNode) or not isinstance(last, str) or not node.value:
            raise
        first = node.value[0][0].start_mark
        indent = ", " if node.flow_style else "\n" + " " * first.column
        end = node.value[-1][1].end_mark.index if node.flow_style else _end(node)
        return text[:end] + f"{indent}{flow(last)}: {flow(value)}" + text[end:]
    end = old.end_mark.index if isinstance(old, yaml.ScalarNode) or old.flow_style else _end(old)
    return text[: old.start_mark.index] + flow(value) + text[end:]


def _root(text: str) -> yaml.MappingNode:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise InputError(f"not valid YAML ({shorten(error, 120)})") from error
    if not isinstance(root, yaml.MappingNode):
        raise InputError("not a YAML mapping")
    return root


def _child(node: yaml.Node, step: str | int, place: Sequence[str | int]) -> Any:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == step:
                return value
    raise InputError(f"no {step!r} at {'.'.join(map(str, place))}")


def _end(node: Any) -> int:
    """Return where the last value inside a node ends; a block's own end is behind the comments that follow it."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _after(text: str, index: int, lines: str) -> str:
    """Return text with whole lines put in after the line that holds `index`."""
    end = text.find("\n", index - (text[index - 1 : index] == "\n"))  # a block of text ends behind its line
    return f"{text}\n{lines}" if end < 0 else text[: end + 1] + lines + text[end + 1 :]


def _item(entry: Mapping[str, Any], indent: str) -> str:
    rows = [f"{flow(str(name))}: {flow(value)}" for name, value in entry.items()]
    return f"{indent}- {rows[0]}\n" + "".join(f"{indent}  {row}\n" for row in rows[1:])

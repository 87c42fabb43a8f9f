"""What a change altered: its files and the lines of its diff, read from the record as text; nothing is run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rca.systems.changes.words import MAX_TEXT, parts, words

__all__ = ["Line", "Patch", "read"]

_MAX_LINES = 4000
_MAX_LINE = 2000  # characters of one line that are read: more is no text that people wrote
_MAX_DEPTH = 12
_RANGE = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(.*)")
_HEADERS = (
    "--- ",
    "diff --git ",
    "index ",
    "rename ",
    "similarity ",
    "new file ",
    "deleted file ",
    "old mode ",
    "new mode ",
)
_PATH = re.compile(r"[\w.@+-]*+(?:/[\w.@+-]++)++|[\w-]++\.\w{1,6}\b")
_HEAD = re.compile(r"^@@|^diff --git ", re.MULTILINE)
_COMMENT = re.compile(r"\s*+(?://|#(?!\w)|--\s|/\*|\*\s|\*/|<!--)")
_LOGGED = re.compile(
    r"\s*+(?=[\w.]++\s*+[(!])(?:\w++\.)*?(?:log(?:ger|ging)?|slog|console|LOG_\w++|System\.out|print(?:ln|f)?)\b",
    re.IGNORECASE,
)
# Text for people, pictures, looks and tests: none of it runs in a service.
_INERT = re.compile(
    r"(?:^|/)(?:\.github|\.circleci|\.gitlab|docs?|documentation|tests?|testdata|__tests__|spec|fixtures)/"
    r"|(?:^|/)(?:CODEOWNERS|LICENSE|CHANGELOG|README)[^/]*$|(?:^|/)(?:test_[^/]*|conftest\.py)$"
    r"|[._-](?:test|spec)\.\w+$|\.(?:md|rst|adoc|css|scss|less|svg|png|jpe?g|gif|ico|woff2?)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Line:
    """One line of a diff: ``sign`` is "+", "-" or " "; ``number`` is 0 where the diff does not say it."""

    sign: str
    text: str
    file: str
    number: int
    hunk: int

    @property
    def comment(self) -> bool:
        """Whether the line is for people only: what a change says and logs is not what it does."""
        return bool(_COMMENT.match(self.text) or _LOGGED.match(self.text))

    @property
    def place(self) -> str:
        """File and line, as far as known."""
        return f"{self.file}:{self.number}" if self.number else self.file

    @cached_property
    def words(self) -> frozenset[str]:
        """The telling words of the line."""
        return frozenset(words(self.text))

    @cached_property
    def parts(self) -> frozenset[str]:
        """The parts of all names of the line."""
        return frozenset(parts(self.text))


@dataclass(frozen=True)
class Patch:
    """The lines of a diff that run, the paths it touches, and the texts around them."""

    paths: tuple[str, ...]
    lines: tuple[Line, ...]
    around: tuple[str, ...]

    @property
    def inert(self) -> bool:
        """Whether all files that it touches are texts, looks or tests."""
        return bool(self.paths) and all(_INERT.search(path) for path in self.paths)

    def side(self, sign: str) -> list[Line]:
        """Return the removed or added lines that are no comments."""
        return [line for line in self.lines if line.sign == sign and not line.comment]

    def gone(self) -> set[str]:
        """Return the words that stand in removed lines, but in no added one."""
        return _union(self.side("-")) - _union(self.side("+"))

    def come(self) -> set[str]:
        """Return the words that stand in added lines, but in no removed one."""
        return _union(self.side("+")) - _union(self.side("-"))

    def everything(self) -> set[str]:
        """Return all words: of paths, lines, comments and texts around."""
        return _union(self.lines).union(*map(words, (*self.paths, *self.around)))


def _union(lines: Any) -> set[str]:
    return set().union(*(line.words for line in lines))


def read(attributes: Any) -> Patch:
    r"""Return the diff and the files named in the attributes of an event.

    Texts under keys such as ``diff`` or ``patch``, and any text with hunk headers, are read as unified diffs, in full
    or abridged; texts under keys with ``file`` or ``path`` are paths. Anything else is not looked at. Of a text, the
    first 200,000 characters are read, of a line 2,000, and of all diffs 4,000 lines.

    Examples
    --------
    >>> text = "@@ -3,1 +3,1 @@ def load():\n-    limit = 50\n+    limit = 5000"
    >>> found = read({"diff": text, "files": ["M db/load.py"]})
    >>> found.paths, [(line.sign, line.place) for line in found.lines]
    (('db/load.py',), [('-', ':3'), ('+', ':3')])
    """
    if isinstance(attributes, str):
        try:
            attributes = json.loads(attributes) if attributes.lstrip().startswith("{") else {}
        except (json.JSONDecodeError, RecursionError):
            attributes = {}
    paths: dict[str, None] = {}
    diffs: list[tuple[str, str]] = []
    for key, text, near in _texts(attributes, "", "", 0):
        if key in ("diff", "patch", "patches", "diffs") or _HEAD.search(text):
            diffs.append((text[:MAX_TEXT], near))
        elif "file" in key or "path" in key:
            paths[text.split("\t")[-1].split(" ")[-1]] = None
    lines: list[Line] = []
    around: list[str] = []
    for text, near in diffs:
        lines += _lines(text, near, around, len(lines))
    paths.update(dict.fromkeys(line.file for line in lines if line.file))
    live = [line for line in lines[:_MAX_LINES] if not _INERT.search(line.file)]
    return Patch(tuple(paths), tuple(live), tuple(around))


def _texts(value: Any, key: str, near: str, depth: int) -> Iterator[tuple[str, str, str]]:
    """Yield (key, text, path of the same record) for each text."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, str):
        yield key, value, near
    elif isinstance(value, dict):
        named = [value.get(name) for name in ("filename", "new_path", "path", "file")]
        near = next((name for name in named if isinstance(name, str)), near)
        for name, item in value.items():
            yield from _texts(item, str(name).lower(), near, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item, key, near, depth + 1)


def _lines(text: str, file: str, around: list[str], hunk: int) -> Iterator[Line]:
    """Yield the lines of one diff, with the file that its headers name."""
    old = new = old_left = new_left = 0
    for raw in (line[:_MAX_LINE] for line in text.split("\n")):
        inside = old_left > 0 or new_left > 0
        if raw.startswith("\\") or (not inside and (not raw or raw.startswith(_HEADERS))):
            continue
        if raw.startswith("+++ ") and not inside:
            file = raw[4:].split("\t")[0].strip().removeprefix("b/")
        elif raw.startswith("@@") and not inside:
            hunk += 1
            found = _RANGE.match(raw)
            old, new = (int(found[1]), int(found[3])) if found else (0, 0)
            old_left, new_left = (int(found[2] or 1), int(found[4] or 1)) if found else (0, 0)
            named = None if found else _PATH.match(raw.strip("@ "))
            file = named[0] if named else file
            around.append(found[5] if found else raw.strip("@ ").removeprefix(file))
        else:
            sign, rest = (raw[0], raw[1:]) if raw[:1] in ("+", "-", " ") else (" ", raw)
            yield Line(sign, rest, file, old if sign == "-" else new, hunk)
            old, old_left = (old + bool(old), old_left - 1) if sign != "+" else (old, old_left)
            new, new_left = (new + bool(new), new_left - 1) if sign != "-" else (new, new_left)

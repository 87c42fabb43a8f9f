"""Texts of log messages grouped into templates: Drain, a parse tree of fixed depth [1]_.

A message is masked (numbers, addresses, ids become one word each), split at white space and led down the tree: by
its number of words, then by its first words. At the leaf it joins the template that shares most words in
place, if it shares enough of them; words that differ become ``<*>``. Otherwise it begins a template of its own.

References
----------
.. [1] He, Zhu, Zheng, Lyu, Drain: An online log parsing approach with fixed depth tree, ICWS 2017.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["ANY", "Drain", "Template", "mask"]

ANY = "<*>"
_CROWDED = 200  # templates of one leaf that a message is held against, where there is a limit
_LONGEST = 1000  # characters of a message that are looked at
_MASKS = re.compile(
    r"(?<![\w.])(?:"
    r"(?P<time>\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?(?![\w.]))"
    r"|(?P<uuid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?!\w))"
    r"|(?P<ip>(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?(?![\w.]\d|\w)"
    r"|(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(?!\w)|(?:[0-9a-fA-F]{1,4}:){1,6}:(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4})*)?(?!\w))"
    r"|(?P<hex>0[xX][0-9a-fA-F]+(?!\w)|(?=[a-f]{0,40}\d)(?=[0-9]{0,40}[a-f])[0-9a-f]{7,64}(?!\w))"
    r"|(?P<num>[+-]?\d+(?:[.,:]\d+)*(?:[eE][+-]?\d+)?)"
    r")"
)


def mask(text: str) -> str:
    """Return a message in which times, ids, addresses, hexadecimal and other numbers are one word each.

    Parameters
    ----------
    text : str
        A message; of a longer one the first 1,000 characters are kept.

    Examples
    --------
    >>> mask("10.0.0.7:80 took 35ms, 0x1F, commit 9fceb02d0ae5 at 2025-11-18T11:20:00Z, disk-2 of node12")
    '<ip> took <num>ms, <hex>, commit <hex> at <time>, disk-<num> of node12'
    """
    return _MASKS.sub(lambda match: f"<{match.lastgroup}>", text[:_LONGEST])


@dataclass(eq=False)
class Template:
    """Words that messages share, ``<*>`` where they differ; how many there were, and the first one."""

    words: tuple[str, ...]
    first: str
    count: int = 0

    @property
    def text(self) -> str:
        """The template as text."""
        return " ".join(self.words)


@dataclass(eq=False)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    templates: list[Template] = field(default_factory=list)


class Drain:
    """Templates found so far; the same messages in the same order give the same ones.

    Parameters
    ----------
    depth : int, default 4
        Levels of the tree: root, number of words, ``depth - 3`` words, templates.
    similarity : float, default 0.4
        Share of the words that must be the same in place to join a template.
    children : int, default 100
        Branches of one node; further words share the branch ``<*>``.
    limit : int, optional
        Templates kept, and 200 of one leaf; then messages that fit none are left out.

    Attributes
    ----------
    templates : list of Template
        In the order of their first message.
    left_out : int
        Messages that fitted none when the limit was reached.
    """

    templates: list[Template]
    left_out: int

    def __init__(
        self, *, depth: int = 4, similarity: float = 0.4, children: int = 100, limit: int | None = None
    ) -> None:
        self.templates = []
        self.left_out = 0
        self._prefix = depth - 3
        self._similarity = similarity
        self._children = children
        self._limit = limit
        self._lengths: dict[int, _Node] = {}

    def add(self, message: str, count: int = 1) -> Template | None:
        """Return the template that a masked message joined or began; None when it was left out."""
        words = tuple(message.split())
        found = self.nearest(words)
        if found is None:
            leaf = self._leaf(words).templates
            if self._limit is not None and (len(self.templates) >= self._limit or len(leaf) >= _CROWDED):
                self.left_out += count
                return None
            found = Template(words, message)
            self.templates.append(found)
            leaf.append(found)
        elif found.words != words:
            found.words = tuple(old if old == new else ANY for old, new in zip(found.words, words, strict=True))
        found.count += count
        return found

    def nearest(self, words: tuple[str, ...]) -> Template | None:
        """Return the template that these words would join, or None."""
        node = self._lengths.get(len(words))
        for word in self._path(words):
            if node is None:
                return None
            node = node.children.get(word) or node.children.get(ANY)
        plain = ["" if word == ANY else word for word in words]  # what differs is never the same
        best, most = None, (-1, -1)
        for template in node.templates if node else ():
            score = (sum(map(str.__eq__, template.words, plain)), template.words.count(ANY))
            if score > most:
                best, most = template, score
        return best if not words or most[0] / len(words) >= self._similarity else None

    def known(self, words: tuple[str, ...]) -> Template | None:
        """Return the first template that these words fit without changing it, or None."""
        node = self._lengths.get(len(words))
        for word in self._path(words):
            node = node and (node.children.get(word) or node.children.get(ANY))
        for template in node.templates if node else ():
            if all(old in (ANY, new) for old, new in zip(template.words, words, strict=True)):
                return template
        return None

    def _path(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """Return the words that lead to a leaf; the last word of a message never does."""
        return words[: max(min(self._prefix, len(words) - 1), 0)]

    def _leaf(self, words: tuple[str, ...]) -> _Node:
        """Return the leaf for a new template, made if need be."""
        node = self._lengths.setdefault(len(words), _Node())
        for word in self._path(words):
            if word not in node.children:
                free = self._children - len(node.children) - (ANY not in node.children)
                if any(mark.isdigit() for mark in word) or free <= 0:
                    word = ANY
            node = node.children.setdefault(word, _Node())
        return node

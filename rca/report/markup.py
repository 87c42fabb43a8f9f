"""From untrusted text to inert HTML and Markdown: tags and attributes on a short list, everything else as text."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Heading", "inert_markdown", "safe_html", "safe_markdown", "slug"]

Heading = tuple[int, str, str]  # level, id, text

_TAGS = frozenset({
    "b", "br", "caption", "code", "dd", "div", "dl", "dt", "em", "figcaption", "figure", "h3", "h4", "h5", "h6", "hr",
    "i", "kbd", "li", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot",
    "th", "thead", "tr", "u", "ul",
})  # fmt: skip
_EMPTY = frozenset({"br", "hr"})
_SILENT = frozenset({"script", "style", "template", "noscript", "iframe", "object", "svg", "math", "title", "textarea"})
_CLASSES = re.compile(r"rca-[a-z]+( rca-[a-z]+)?")
_ATTRIBUTES: dict[str, Callable[[str], bool]] = {
    "aria-label": lambda value: True,
    "class": lambda value: bool(_CLASSES.fullmatch(value)),
    "colspan": lambda value: value.isdecimal() and len(value) <= 3,
    "dir": lambda value: value in ("auto", "ltr", "rtl"),
    "role": lambda value: value == "region",
    "rowspan": lambda value: value.isdecimal() and len(value) <= 3,
    "scope": lambda value: value in ("row", "col"),
    "tabindex": lambda value: value == "0",
}
_BESIDE = re.compile(r"#\S*|[a-z0-9_-]+(/[a-z0-9_-]+)*\.[a-z]+")
_TAG_LIKE = re.compile(r"<(?=[A-Za-z/!?])")


class _Allowed(HTMLParser):
    """Writes anew what is on the list; nothing is copied from the input but escaped text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.open: list[str] = []
        self.silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write an allowed tag with its allowed attributes."""
        if tag in _SILENT:
            self.silent.append(tag)
        if self.silent or tag not in _TAGS:
            return
        kept = {name: value or "" for name, value in attrs if name in _ATTRIBUTES and _ATTRIBUTES[name](value or "")}
        self.out.append(f"<{tag}" + "".join(f' {name}="{escape(value)}"' for name, value in kept.items()) + ">")
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write an allowed empty tag; ``<script/>`` is nothing."""
        if tag in _EMPTY:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Close the tag and what was left open within it; a tag that is not open is nothing."""
        if self.silent:
            if tag == self.silent[-1]:
                self.silent.pop()
        elif tag in self.open:
            while True:
                last = self.open.pop()
                self.out.append(f"</{last}>")
                if last == tag:
                    break

    def handle_data(self, data: str) -> None:
        """Write text as text."""
        if not self.silent:
            self.out.append(escape(data, quote=False))


def safe_html(text: str) -> str:
    """Return `text` with the tags and attributes of plain tables and prose only, every tag closed.

    Parameters
    ----------
    text : str
        HTML from anywhere: an output of a notebook, also a hostile one.

    Notes
    -----
    Links, pictures, styles, scripts, forms and comments are left out. Elements keep a class only when it
    begins with ``rca-``.

    Examples
    --------
    >>> safe_html('<td onclick="x()" class="rca-number">1 &lt; 2<script>alert(1)</script><a href="javascript:x">b')
    '<td class="rca-number">1 &lt; 2b</td>'
    """
    parser = _Allowed()
    parser.feed(text)
    parser.close()
    return "".join(parser.out) + "".join(f"</{tag}>" for tag in reversed(parser.open))


def slug(text: str, taken: set[str]) -> str:
    """Return an id for a heading that is not in `taken`, and add it there.

    Examples
    --------
    >>> slug("What broke first?", set())
    'sec-what-broke-first'
    """
    base = "sec-" + (re.sub(r"\W+", "-", text.lower()).strip("-") or "part")
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    return name


def safe_markdown(text: str, taken: set[str]) -> tuple[str, list[Heading]]:
    """Return the HTML of Markdown and its headings; HTML within is shown as text.

    Parameters
    ----------
    text : str
        GitHub-flavoured Markdown (tables included).
    taken : set of str
        Ids already used on the page; grows.

    Returns
    -------
    html : str
        Headings start at level 2. A picture is its alternative text; links lead to http, https, mailto,
        a place on the page or a file beside it.
    headings : list of (int, str, str)
        Level, id and text, in order.

    Examples
    --------
    >>> print(safe_markdown("# What <b>broke</b>", set())[0])
    <h2 id="sec-what-b-broke-b">What &lt;b&gt;broke&lt;/b&gt;</h2>
    """
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    reader.validateLink = _is_harmless_link  # type: ignore[method-assign]
    tokens = reader.parse(text)
    headings: list[Heading] = []
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            words = "".join(part.content for part in tokens[place + 1].children or [])
            level = max(2, int(token.tag[1]))
            token.tag = tokens[place + 2].tag = f"h{level}"
            token.attrSet("id", slug(words, taken))
            headings.append((level, str(token.attrGet("id")), words))
        for part in token.children or []:
            _tame(part)
    return str(reader.renderer.render(tokens, reader.options, {})), headings


def _is_harmless_link(url: str) -> bool:
    return bool(_BESIDE.fullmatch(url)) or urlsplit(url).scheme in ("http", "https", "mailto")


def _tame(token: Any) -> None:
    """Make a picture its alternative text, and a link tell nobody where the reader came from."""
    if token.type == "image":
        token.type, token.tag, token.children = "text", "", None
    elif token.type == "link_open":
        token.attrSet("rel", "noopener noreferrer")


def inert_markdown(text: str) -> str:
    """Return Markdown in which no HTML is left and no code block stays open.

    Parameters
    ----------
    text : str
        A Markdown cell or output.

    Examples
    --------
    >>> inert_markdown("a <script> b")
    'a &lt;script> b'
    """
    from markdown_it import MarkdownIt

    lines = text.splitlines()
    code: set[int] = set()
    closing = ""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type not in ("fence", "code_block") or token.map is None:
            continue
        first, last = token.map
        code.update(range(first, last))
        is_last = token.type == "fence" and token.level == 0 and last >= len(lines)
        if is_last and not _is_closed(lines[first:], token.markup):
            closing = f"\n{token.markup}"
    kept = (line if place in code else _TAG_LIKE.sub("&lt;", line) for place, line in enumerate(lines))
    return "\n".join(kept) + closing


def _is_closed(block: list[str], fence: str) -> bool:
    end = block[-1].strip()
    return len(block) > 1 and end.startswith(fence) and not end.strip(fence[0])

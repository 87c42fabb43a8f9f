"""Redaction of finished reports: what people read is replaced, the structure of each file stays."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from rca import files
from rca.errors import InputError, MissingFile
from rca.redact.redactor import Redactor, table

__all__ = ["LEFT_OUT", "NOT_READ", "folder"]

LIMIT = 2**28
NOT_READ, LEFT_OUT = "picture, not read", "left out, not read"
_PICTURE = re.compile(r"data:[\w/+.-]{1,60};base64,[A-Za-z0-9+/=\s]{16,}")
_MARKUP = re.compile(
    r"<!--.*?-->|<(?P<code>script|style)\b[^>]*>.*?</(?P=code)\s*>"
    r"|<[A-Za-z/!?](?:[^<>\"']|\"[^\"]*\"|'[^']*')*>",
    re.DOTALL | re.IGNORECASE,
)
_VALUE = re.compile(r"\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?<==)(?P<bare>[^\s\"'<>=]+)")
_LITERAL = re.compile(r"\"(?P<double>(?:[^\"\\\n]|\\.)*)\"|'(?P<single>(?:[^'\\\n]|\\.)*)'|`(?P<back>(?:[^`\\]|\\.)*)`")
_JSON = re.compile(r"(?P<text>\"(?:[^\"\\]|\\.)*\")(?P<key>\s*:)?", re.DOTALL)


def folder(src: str | Path, out: str | Path, redactor: Redactor) -> pd.DataFrame:
    """Write a copy of a folder of reports with personal data and secrets replaced.

    Parameters
    ----------
    src : str or Path
        The folder; HTML, SVG, Markdown, text, CSV, JSON, notebooks and Parquet are read. It is not changed.
    out : str or Path
        Where the copy goes; not within `src`, nor `src` within it.
    redactor : Redactor
        From `Redactor.of`.

    Returns
    -------
    DataFrame
        One row a file and category. Columns: ``file`` (in `out`), ``category`` (`rca.redact.CATEGORIES`, ``code``,
        ``picture, not read``, ``left out, not read``), ``count``.

    Raises
    ------
    MissingFile
        If `src` is no folder.
    UnsafeInput
        If a file is larger than 256 MiB, or a link that leads out of `src`.
    InputError
        If one folder lies in the other, a CSV is damaged, or two files would get the same name.

    Notes
    -----
    Files of other kinds, and texts that are not UTF-8, are left out of the copy and named. Pictures inside
    HTML, Markdown and notebooks stay and are counted: nobody has looked at what they show. Not found: a name
    or a word and its secret with markup in between (``Jane <b>Doe</b>``), and numbers of JSON and Parquet.
    """
    src, out = Path(src), Path(out)
    if not src.is_dir():
        raise MissingFile(f"{src}: no such folder of reports")
    one, other = src.resolve(), out.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise InputError(f"{out}: lies in {src} or holds it; write the redacted copy elsewhere")
    rows: list[tuple[str, str, int]] = []
    taken: set[str] = set()
    for path in sorted(src.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(src).as_posix()
        before = redactor.counts.copy()
        shown = "/".join(redactor.text(part) for part in name.split("/"))
        if shown in taken:
            raise InputError(f"{src}: two files would both be called {shown}")
        taken.add(shown)
        extra = _copy(files.inside(src, name), files.inside(out, shown), redactor)
        rows += [(shown, category, count) for category, count in (redactor.counts - before + extra).items()]
    return pd.DataFrame(rows, columns=["file", "category", "count"])


def _copy(path: Path, target: Path, redactor: Redactor) -> Counter[str]:
    """Write one file redacted; return what was not read in it."""
    notes: Counter[str] = Counter()
    kind = path.suffix.lower()
    if kind == ".parquet":
        data = io.BytesIO()
        table(pd.read_parquet(io.BytesIO(files.read_bytes(path, limit=LIMIT))), None, redactor).to_parquet(data)
        files.write(target, data.getvalue())
        return notes
    kinds: dict[str, Callable[[str], str]] = {
        **dict.fromkeys((".html", ".htm", ".svg"), lambda text: _html(text, redactor, notes)),
        **dict.fromkeys((".md", ".txt", ".log", ".yaml", ".yml"), lambda text: _text(text, redactor, notes)),
        **dict.fromkeys((".json", ".jsonl"), lambda text: _json(text, redactor, notes, keys=True)),
        ".ipynb": lambda text: _json(text, redactor, notes, keys=False),
        ".csv": lambda text: _csv(text, redactor, path, ","),
        ".tsv": lambda text: _csv(text, redactor, path, "\t"),
    }
    content = files.read_bytes(path, limit=LIMIT)
    try:
        text = content.decode("utf-8") if kind in kinds else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        notes[LEFT_OUT] += 1
    else:
        files.write(target, kinds[kind](text))
    return notes


def _around(
    text: str, pattern: re.Pattern[str], within: Callable[[re.Match[str]], str], between: Callable[[str], str]
) -> str:
    """Return `text` with what the pattern finds, and what lies between, each changed by its own function."""
    parts, at = [], 0
    for match in pattern.finditer(text):
        parts += [between(text[at : match.start()]), within(match)]
        at = match.end()
    return "".join([*parts, between(text[at:])])


def _text(text: str, redactor: Redactor, notes: Counter[str]) -> str:
    """Redact Markdown or plain text; the cells of a table one by one."""

    def cells(piece: str) -> str:
        return "|".join(redactor.text(cell) for cell in piece.split("|"))

    return _around(text, _PICTURE, lambda match: _unread(match.group(), notes), cells)


def _unread(picture: str, notes: Counter[str]) -> str:
    notes[NOT_READ] += 1
    return picture


def _html(text: str, redactor: Redactor, notes: Counter[str]) -> str:
    """Redact text between tags, values of attributes, comments, and the literals of scripts."""

    def plain(piece: str) -> str:
        if _PICTURE.search(piece):
            return _unread(piece, notes)
        meant = html.unescape(piece)
        new = redactor.text(meant)
        return piece if new == meant else html.escape(new)

    def literal(match: re.Match[str]) -> str:
        inner = match.group()[1:-1]
        new = inner if _PICTURE.search(inner) and _unread(inner, notes) else redactor.text(inner)
        return match.group()[0] + new + match.group()[-1]

    def value(match: re.Match[str]) -> str:
        whole = match.group()
        return plain(whole) if match["bare"] else whole[0] + plain(whole[1:-1]) + whole[-1]

    def markup(match: re.Match[str]) -> str:
        whole = match.group()
        if match["code"]:
            return _around(whole, _LITERAL, literal, redactor.text)
        return f"<!--{redactor.text(whole[4:-3])}-->" if whole.startswith("<!--") else _VALUE.sub(value, whole)

    return _around(text, _MARKUP, markup, plain)


def _json(text: str, redactor: Redactor, notes: Counter[str], *, keys: bool) -> str:
    """Redact the strings of JSON one by one; everything else stays to the byte."""
    key = ""

    def string(match: re.Match[str]) -> str:
        nonlocal key
        try:
            value = json.loads(match["text"], strict=False)
        except ValueError:
            return match.group()  # not JSON
        if match["key"]:
            key = value
            new = redactor.text(value) if keys else value
        elif key.startswith("image/") and key != "image/svg+xml":
            new = _unread(value, notes)
        elif key in ("text/html", "image/svg+xml"):
            new = _html(value, redactor, notes)
        elif redactor.hides(key, value):
            new = redactor.text(value, name=key)
        else:
            new = _text(value, redactor, notes)
        return (
            match.group()
            if new == value
            else json.dumps(new, ensure_ascii="\\u" in match["text"]) + (match["key"] or "")
        )

    return _JSON.sub(string, text)


def _csv(text: str, redactor: Redactor, path: Path, delimiter: str) -> str:
    end = "\r\n" if "\r\n" in text else "\n"
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV table ({error})") from error
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    for number, row in enumerate(rows):
        names = rows[0] if number else []
        padded = [*names, *[""] * len(row)]
        writer.writerow([redactor.text(cell, name=name) for cell, name in zip(row, padded, strict=False)])
    return out.getvalue()

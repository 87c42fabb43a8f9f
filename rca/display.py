"""Show tables, pictures and sentences in a notebook: as HTML, Markdown and text, and as CSV for the report.

Nothing shown is ever markup, whatever the sources wrote. A named table travels whole inside the notebook,
so a report can be made from an executed notebook alone.
"""

from __future__ import annotations

import base64
import csv
import io
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from rca import vocabulary
from rca.errors import InputError, UnknownName, did_you_mean, raise_all, shorten
from rca.wording import clean, exact, in_markdown, plain

__all__ = ["show"]

DPI = 144
LONGEST = 500
# Columns whose ids are shown by the name that the vocabulary gives them.
_WORDS: Mapping[str, tuple[str, ...]] = {
    "role": ("finding_roles",),
    "state": ("action_states",),
    "kind": ("event_kinds", "why_kinds"),
    "milestone": ("milestones",),
    "from": ("milestones",),
    "to": ("milestones",),
}
_NAME = re.compile(r"[a-z0-9_]{1,64}")


@dataclass(frozen=True)
class _Grid:
    """A table as text: one heading and one CSS class per column, the first `keys` columns name the row."""

    headings: tuple[str, ...]
    classes: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: int


def show(
    item: object, name: str = "", *, caption: str = "", alt: str = "", rows: int = 30, columns: Sequence[str] = ()
) -> None:
    """Display a table, a picture or sentences in a notebook, safely and in every form a report needs.

    Parameters
    ----------
    item : DataFrame, Series, str, list of str, or matplotlib Axes or Figure
        A list becomes a bulleted list. Text is text: markup in it is shown, never obeyed.
    name : str, optional
        Plain file stem (``[a-z0-9_]``). A table is then also carried whole as CSV, which the report
        writes to ``tables/<name>.csv``; a picture becomes ``images/<name>.png`` beside the Markdown.
    caption : str
        One sentence that says what is to be seen.
    alt : str
        Alternative text of a picture for those who cannot see it; the caption when empty.
    rows : int, default 30
        Largest number of rows shown; the CSV has them all.
    columns : sequence of str, optional
        Columns of a table that are shown, in this order; the CSV has them all.

    Raises
    ------
    UnknownName
        If `columns` names one that the table does not have.
    InputError
        If `item` is of another kind, `name` is no plain file stem, or a picture has neither caption nor alt.

    Notes
    -----
    `rca.wording.plain` words the cells shown (times, durations, numbers to four significant digits), and ids
    of the vocabularies in columns such as ``role`` and ``kind`` show as their names. Text beyond
    500 characters is cut with ``…``, and columns of nothing but empty texts are left out. `rca.wording.exact`
    words the cells of the CSV: nothing is cut or left out, and nothing is a formula to a spreadsheet. The index
    is in the CSV when it has a name.

    Examples
    --------
    >>> table = pd.DataFrame({"system": ["fraud-model"], "deviation": [12.34567]})
    >>> show(table, caption="Who moved first")
    Who moved first
    System       Deviation
    fraud-model      12.35
    >>> show(["The alert fired.", "Nobody was paged."])
    • The alert fired.
    • Nobody was paged.
    """
    if name and not _NAME.fullmatch(name):
        raise InputError(f"show: name {shorten(name)} is not a plain file stem (small letters, digits, underscore)")
    if rows < 1:
        raise InputError(f"show: rows is {rows}; at least one row is shown")
    caption, alt = clean(caption), clean(alt)
    if isinstance(item, pd.Series):
        item = item.to_frame(item.name if item.name is not None else "value")
    if isinstance(item, pd.DataFrame):
        unknown = [column for column in columns if column not in item.columns]
        raise_all(
            [f"show: no column {one!r}{did_you_mean(one, map(str, item.columns))}" for one in unknown], UnknownName
        )
        _emit(*_table(item, name, caption, rows, list(columns) or list(item.columns)))
    elif isinstance(item, str) or _is_texts(item):
        if name:
            raise InputError(f"show: name {name!r} is given, but only tables and pictures have names")
        _emit(_sentences(item, caption), {"rca": {"kind": "text"}})
    elif hasattr(item, "savefig") or hasattr(getattr(item, "figure", None), "savefig"):
        _emit(*_picture(item, name, caption, alt))
    else:
        wanted = "a table, a picture, a text or a list of texts"
        raise InputError(f"show: cannot show a {type(item).__name__}; give {wanted}")


def _is_texts(item: object) -> bool:
    return isinstance(item, (list, tuple)) and all(isinstance(text, str) for text in item)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _columns(frame: pd.DataFrame) -> tuple[list[tuple[str, pd.Series]], int]:
    """Return the columns with their names, those of a telling index first, and how many of these there are."""
    index = frame.index
    parts = []
    if any(label is not None for label in index.names) or not isinstance(index, pd.RangeIndex):
        names = ["" if label is None else plain(label) for label in index.names]
        parts = [(name, _level(index, place)) for place, name in enumerate(names)]
    keys = len(parts)
    for place, label in enumerate(frame.columns):
        words = [plain(part) for part in label] if isinstance(label, tuple) else [plain(label)]
        parts.append((" / ".join(word for word in words if word), frame.iloc[:, place].reset_index(drop=True)))
    return parts, keys


def _level(index: pd.Index, place: int) -> pd.Series:
    return index.get_level_values(place).to_series().reset_index(drop=True)


def _heading(name: str) -> str:
    return name[:1].upper() + name[1:].replace("_", " ") if re.fullmatch(r"[a-z][a-z0-9_]*", name) else name


def _grid(frame: pd.DataFrame, rows: int) -> _Grid:
    parts, keys = _columns(frame)
    if len(frame):
        parts = parts[:keys] + [part for part in parts[keys:] if not _is_blank(part[1])]
    shown = [[_cut(_worded(name, value)) for value in column.iloc[:rows]] for name, column in parts]
    classes = [_class(column, texts) for (_, column), texts in zip(parts, shown, strict=True)]
    lines = tuple(zip(*shown, strict=True)) if shown else ()
    return _Grid(tuple(_cut(_heading(name)) for name, _ in parts), tuple(classes), lines, keys)


def _worded(name: str, value: object) -> str:
    """Return a cell in words: the vocabulary's name of an id in a column of ids, else as `plain` has it."""
    for known in _WORDS.get(name, ()) if isinstance(value, str) else ():
        if value in vocabulary.ids(known):
            return str(vocabulary.table(known).loc[value, "name"])
    return plain(value)


def _is_blank(column: pd.Series) -> bool:
    return all(isinstance(value, (str, tuple, list)) and not value for value in column)


def _class(column: pd.Series, texts: Sequence[str]) -> str:
    kind = column.dtype
    is_number = pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)
    if is_number or str(kind).startswith("timedelta"):
        return "rca-number"
    longest = max(map(len, texts), default=0)
    if str(kind).startswith("datetime64") or longest <= 24:
        return "rca-short"
    return "rca-long" if longest > 60 else "rca-text"


def _table(
    frame: pd.DataFrame, name: str, caption: str, rows: int, columns: list[Any]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the mime bundle of a table and its metadata."""
    grid = _grid(frame[columns] if columns != list(frame.columns) else frame, rows)
    if not len(frame):
        more = "No rows."
    elif len(frame) > rows:
        more = f"{rows} of {len(frame):,} rows; all in tables/{name}.csv" if name else f"{rows} of {len(frame):,} rows"
    else:
        more = ""
    bundle = {
        "text/html": _as_html(grid, caption, more),
        "text/markdown": _as_markdown(grid, caption, more),
        "text/plain": _as_text(grid, caption, more),
    }
    metadata: dict[str, Any] = {"kind": "table", "caption": caption}
    if name:
        bundle["text/csv"] = _as_csv(frame)
        metadata["table"] = name
    return bundle, {"rca": metadata}


def _as_html(grid: _Grid, caption: str, more: str) -> str:
    top = zip(grid.headings, grid.classes, strict=True)
    head = "".join(f'<th scope="col" class="{kind}">{escape(text)}</th>' for text, kind in top)
    body = []
    for row in grid.rows:
        cells = zip(range(len(row)), row, grid.classes, strict=True)
        body.append("<tr>" + "".join(_cell(text, kind, place < grid.keys) for place, text, kind in cells) + "</tr>")
    label = escape(caption or "Table")
    return (
        f'<figure class="rca-table{" rca-wide" if len(grid.headings) > 5 else ""}">'
        + (f'<figcaption dir="auto">{escape(caption)}</figcaption>' if caption else "")
        + f'<div class="rca-scroll" tabindex="0" role="region" aria-label="{label}">'
        + f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
        + (f'<p class="rca-more">{escape(more)}</p>' if more else "")
        + "</figure>"
    )


def _cell(text: str, kind: str, is_key: bool) -> str:
    if is_key:
        return f'<th scope="row" class="{kind}" dir="auto">{escape(text)}</th>'
    return f'<td class="{kind}" dir="auto">{escape(text)}</td>'


def _as_markdown(grid: _Grid, caption: str, more: str) -> str:
    lines = [f"**{in_markdown(caption)}**", ""] if caption else []
    lines.append("| " + " | ".join(in_markdown(text) for text in grid.headings) + " |")
    lines.append("|" + "|".join(" ---: " if kind == "rca-number" else " --- " for kind in grid.classes) + "|")
    lines += ["| " + " | ".join(in_markdown(text) for text in row) + " |" for row in grid.rows]
    return "\n".join([*lines, *(["", f"_{in_markdown(more)}_"] if more else [])]) + "\n"


def _as_text(grid: _Grid, caption: str, more: str) -> str:
    table = [[" ".join(text.split())[:60] for text in row] for row in (grid.headings, *grid.rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        sides = zip(row, widths, (">" if kind == "rca-number" else "<" for kind in grid.classes), strict=True)
        lines.append("  ".join(f"{text:{side}{width}}" for text, width, side in sides))
    return "\n".join(line.rstrip() for line in [*([caption] if caption else []), *lines, *([more] if more else [])])


def _as_csv(frame: pd.DataFrame) -> str:
    parts, _ = _columns(frame)
    if not any(label is not None for label in frame.index.names):
        parts = parts[len(parts) - frame.shape[1] :]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([exact(name) for name, _ in parts])
    writer.writerows(zip(*([exact(value) for value in column] for _, column in parts), strict=True))
    return out.getvalue()


def _sentences(item: object, caption: str) -> dict[str, str]:
    """Return the mime bundle of a text (its paragraphs) or of a list of texts (its items)."""
    if isinstance(item, str):
        items = [clean(part.strip()) for part in re.split(r"\n\s*\n", item) if part.strip()]
        html, item_mark, bullet = "".join(f'<p dir="auto">{escape(text)}</p>' for text in items), "", ""
    else:
        items = [clean(str(text)) for text in item] if isinstance(item, (list, tuple)) else []
        html = "<ul>" + "".join(f'<li dir="auto">{escape(text)}</li>' for text in items) + "</ul>"
        item_mark, bullet = "- ", "• "
    if not items:
        items, html, item_mark, bullet = ["None recorded."], '<p class="rca-more">None recorded.</p>', "", ""
    gap = "\n" if item_mark else "\n\n"
    head = ("", "", "")
    if caption:
        head = (f'<p class="rca-head">{escape(caption)}</p>', f"**{in_markdown(caption)}**\n\n", f"{caption}\n")
    return {
        "text/html": f'<div class="rca-prose">{head[0]}{html}</div>',
        "text/markdown": head[1] + gap.join(item_mark + in_markdown(text) for text in items) + "\n",
        "text/plain": head[2] + gap.join(bullet + text for text in items),
    }


def _picture(item: Any, name: str, caption: str, alt: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the mime bundle of a matplotlib figure as PNG, and its metadata."""
    alt = alt or caption
    if not alt:
        raise InputError("show: a picture needs a caption, or alt for those who cannot see it")
    figure = item if hasattr(item, "savefig") else item.figure
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=DPI, facecolor="white")
    content, (width, height) = _fewer_colours(raw)
    shape = {"width": round(width * 96 / DPI), "height": round(height * 96 / DPI), "alt": alt}
    metadata = {"rca": {"kind": "picture", "picture": name, "caption": caption, "alt": alt}, "image/png": shape}
    return {"image/png": base64.b64encode(content).decode("ascii"), "text/plain": f"Picture: {alt}"}, metadata


def _fewer_colours(raw: io.BytesIO) -> tuple[bytes, tuple[int, int]]:
    """Return a PNG with a palette of 256 colours, a third of the size, and its width and height."""
    from PIL import Image

    with Image.open(raw) as image:
        small = image.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        out = io.BytesIO()
        small.save(out, format="PNG", optimize=True)
        return out.getvalue(), image.size


def _emit(bundle: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Hand a mime bundle to the notebook; outside of one, print its text."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import display

    if not InteractiveShell.initialized():
        sys.stdout.write(bundle["text/plain"] + "\n")
        return
    emit: Callable[..., object] = display
    emit(dict(bundle), raw=True, metadata=dict(metadata))

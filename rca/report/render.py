"""An executed notebook as one HTML page without script or network, and as Markdown."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from rca.report.failures import Failure, told
from rca.report.markup import Heading, inert_markdown, safe_html, safe_markdown
from rca.report.tables import pictures, png
from rca.wording import clean, in_markdown

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

__all__ = ["Cover", "html", "markdown"]

NOTEBOOK_ONLY = "notebook-only"
LONGEST_TEXT = 20_000
LONGEST_HTML = 2_000_000
_TITLE = re.compile(r"\A\s*#[ \t]+(.+?)[ \t#]*(?:\n|\Z)")


@dataclass(frozen=True)
class Cover:
    """What stands above a report.

    Attributes
    ----------
    title : str
        The notebook's own first heading when empty; else that heading stands above it.
    facts : mapping of str to str
        Shown in order; a value ``SEV1`` ... ``SEV4`` is shown as a badge.
    notices : sequence of str
        Warnings to the reader, such as evidence that changed.
    source : str
        Name of the executed notebook beside the report.
    run : str
        When and how the report was made; the only text that differs between two runs.
    """

    title: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    notices: Sequence[str] = ()
    source: str = "postmortem.ipynb"
    run: str = ""


def html(notebook: Any, cover: Cover, failures: Sequence[Failure] = ()) -> str:
    """Return an executed notebook as one self-contained HTML page.

    Parameters
    ----------
    notebook : NotebookNode
        After execution.
    cover : Cover
        Title block and footer.
    failures : sequence of Failure
        Cells that failed; named at the top and in place.

    Notes
    -----
    The page has no script and asks no network: its Content-Security-Policy forbids both. Source cells are
    left out, and so are Markdown cells tagged ``notebook-only``. Whatever an output holds, only tables, prose
    and PNG pictures come out; other rich forms (SVG, JavaScript, widgets) show as their plain text.
    """
    from markupsafe import Markup

    style = _style()
    taken: set[str] = set()
    contents: list[Heading] = []
    body: list[Markup] = []
    by_cell = _by_cell(failures)
    cells, heading = _untitled(notebook)
    for place, (cell, source) in enumerate(zip(notebook.cells, cells, strict=True)):
        if source.strip():
            text, found = safe_markdown(clean(source), taken)
            contents += [heading for heading in found if heading[0] <= 3]
            body.append(Markup(text))
        body += [_output(output) for output in cell.get("outputs", [])]
        body += [_failed(failure) for failure in by_cell.get(place + 1, [])]
    kind, title = (heading or "Analysis", clean(cover.title)) if cover.title else ("Analysis", heading or "Report")
    return _template().render(
        cover=cover, kind=kind, title=title, style=Markup(style), style_hash=_digest(style), contents=contents,
        body=body,
        failures=[failure for failure in failures if failure.because is None],
        consequences=sum(failure.because is not None for failure in failures),
    )  # fmt: skip


def _by_cell(failures: Sequence[Failure]) -> dict[int, list[Failure]]:
    found: dict[int, list[Failure]] = {}
    for failure in failures:
        found.setdefault(failure.cell, []).append(failure)
    return found


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("rca.report", "template")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2")


@cache
def _style() -> str:
    text = resources.files("rca.report").joinpath("template/report.css").read_text(encoding="utf-8")
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)).strip()


def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")


def _untitled(notebook: Any) -> tuple[list[str], str]:
    """Return what each Markdown cell says in the report, the first heading taken out, and that heading."""
    sources = [cell.source if cell.cell_type == "markdown" else "" for cell in notebook.cells]
    first = next((place for place, cell in enumerate(notebook.cells) if cell.cell_type == "markdown"), None)
    found = _TITLE.match(sources[first]) if first is not None else None
    if found and first is not None:
        sources[first] = sources[first][found.end() :]
    for place, cell in enumerate(notebook.cells):
        if NOTEBOOK_ONLY in cell.metadata.get("tags", []):
            sources[place] = ""
    return sources, clean(found[1]) if found else ""


def _output(output: Any) -> Markup:
    """Return one output of a cell as inert HTML."""
    from markupsafe import Markup

    if output.output_type == "stream":
        text = _short(output.text)
        if output.name == "stderr":
            summary = Markup("<summary>Messages of this step</summary>")
            return Markup('<details class="messages">{}<pre>{}</pre></details>').format(summary, text)
        return Markup("<pre>{}</pre>").format(text)
    if output.output_type not in ("display_data", "execute_result"):
        return Markup("")
    picture = png(output)
    if picture is not None:
        return _figure(output, picture)
    rich = output.data.get("text/html")
    if isinstance(rich, str) and len(rich) <= LONGEST_HTML:
        safe = safe_html(rich)
        if safe.strip():
            return Markup(safe)
    marked = output.data.get("text/markdown")
    if isinstance(marked, str) and len(marked) <= LONGEST_HTML:
        return Markup(safe_markdown(clean(marked), set())[0])
    text = output.data.get("text/plain")
    return Markup("<pre>{}</pre>").format(_short(text)) if isinstance(text, str) else Markup("")


def _short(text: str) -> str:
    text = clean(told(text))
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "\n…"


def _facts(output: Any) -> dict[str, str]:
    """Return the caption and the alternative text of a picture."""
    facts = output.metadata.get("rca", {})
    facts = facts if isinstance(facts, dict) else {}
    return {key: clean(str(facts.get(key) or "")) for key in ("caption", "alt")}


def _figure(output: Any, picture: bytes) -> Markup:
    from markupsafe import Markup

    facts = _facts(output)
    width, height = (int.from_bytes(picture[start : start + 4], "big") for start in (16, 20))
    shape = output.metadata.get("image/png", {})
    if isinstance(shape, dict) and all(type(shape.get(key)) is int for key in ("width", "height")):
        width, height = shape["width"], shape["height"]
    image = Markup('<img src="data:image/png;base64,{}" width="{}" height="{}" alt="{}">').format(
        base64.b64encode(picture).decode("ascii"), width, height, facts["alt"] or "Picture without a description"
    )
    caption = Markup('<figcaption dir="auto">{}</figcaption>').format(facts["caption"]) if facts["caption"] else ""
    return Markup('<figure class="rca-picture">{}{}</figure>').format(image, caption)


def _failed(failure: Failure) -> Markup:
    from markupsafe import Markup

    if failure.because is not None:
        link = Markup('<a href="#failed-{0}">cell {0}</a>').format(failure.because)
        text = '<p class="missing" id="failed-{}">Not available: it needs {}, which failed.</p>'
        return Markup(text).format(failure.cell, link)
    detail = Markup("<details><summary>What was run, and where it failed</summary><pre>{}</pre></details>")
    return Markup(
        '<div class="failed" id="failed-{}"><p><strong>This step failed (cell {}).</strong></p><pre>{}</pre>{}</div>'
    ).format(failure.cell, failure.cell, failure.error, detail.format(_short(failure.detail)) if failure.detail else "")


def markdown(notebook: Any, cover: Cover, failures: Sequence[Failure] = ()) -> str:
    """Return an executed notebook as Markdown for GitHub; pictures are links to ``images/``.

    Parameters
    ----------
    notebook, cover, failures
        As `html`.
    """
    sources, heading = _untitled(notebook)
    title = clean(cover.title) or heading or "Report"
    files = pictures(notebook)
    by_cell = _by_cell(failures)
    parts = [f"# {in_markdown(title)}", *(f"> **{in_markdown(notice)}**" for notice in cover.notices)]
    if cover.facts:
        rows = [f"| {in_markdown(key)} | {in_markdown(value)} |" for key, value in cover.facts.items()]
        parts.append("\n".join(["| | |", "| --- | --- |", *rows]))
    own = [failure for failure in failures if failure.because is None]
    if own:
        places = [f"cell {failure.cell}, {in_markdown(failure.heading)}" for failure in own]
        lines = [f"> - {place}: {in_markdown(failure.error)}" for place, failure in zip(places, own, strict=True)]
        parts.append("\n".join(["> **This report is incomplete: steps failed.**", ">", *lines]))
    for place, (cell, source) in enumerate(zip(notebook.cells, sources, strict=True)):
        if source.strip():
            parts.append(inert_markdown(clean(source)).strip("\n"))
        for number, output in enumerate(cell.get("outputs", [])):
            parts.append(_marked(output, files.get((place, number), ("", b""))[0]))
        for failure in by_cell.get(place + 1, []):
            reason = f"it needs cell {failure.because}" if failure.because is not None else in_markdown(failure.error)
            parts.append(f"> **Not available (cell {failure.cell})**: {reason}")
    parts += [f"Made from {in_markdown(cover.source)}. {in_markdown(cover.run)}".strip()]
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def _marked(output: Any, picture: str) -> str:
    """Return one output of a cell as Markdown."""
    if output.output_type == "stream":
        return _fenced(output.text)
    if output.output_type not in ("display_data", "execute_result"):
        return ""
    if picture:
        facts = _facts(output)
        alt = in_markdown(facts["alt"]) or "Picture without a description"
        return f"![{alt}](images/{picture})" + (f"\n\n_{in_markdown(facts['caption'])}_" if facts["caption"] else "")
    marked = output.data.get("text/markdown")
    if isinstance(marked, str):
        return inert_markdown(clean(marked)).strip("\n")
    text = output.data.get("text/plain")
    return _fenced(text) if isinstance(text, str) else ""


def _fenced(text: str) -> str:
    """Return text as a code block that it cannot end."""
    text = _short(text).rstrip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}" if text else ""

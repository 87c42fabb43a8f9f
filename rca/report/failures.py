"""What went wrong in an executed notebook: which cell failed, and which only because an earlier one did."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Failure", "find", "headings", "told"]

LONGEST = 600
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")
_UNDEFINED = re.compile(r"name '(\w+)' is not defined")


@dataclass(frozen=True)
class Failure:
    """One cell that did not do its work.

    Attributes
    ----------
    cell : int
        Position in the executed notebook, from 1.
    heading : str
        The heading it stands under.
    error : str
        What happened, in one line.
    detail : str
        Source of the cell and traceback.
    because : int or None
        The earlier cell whose failure this one follows from; None for a failure of its own.
    """

    cell: int
    heading: str
    error: str
    detail: str = ""
    because: int | None = None


def told(text: str) -> str:
    r"""Return text of a kernel without terminal colours, memory addresses and where Python is installed.

    Examples
    --------
    >>> told("\x1b[31mError\x1b[0m in <Axes at 0x7f00aa00bb00>")
    'Error in <Axes at 0x…>'
    """
    for place in (str(Path(__file__).parents[2]), sys.prefix, sys.base_prefix):
        text = text.replace(place, "…")
    return _ADDRESS.sub("0x…", _ANSI.sub("", text))


def headings(notebook: Any) -> list[str]:
    """Return for each cell the heading it stands under, or an empty text."""
    under, current = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found = re.findall(r"^#{1,3}[ \t]+(.+?)[ \t#]*$", cell.source, re.MULTILINE)
            current = found[-1] if found else current
        under.append(current)
    return under


def find(notebook: Any, *, stopped: str = "", started: int | None = None) -> tuple[Failure, ...]:
    """Return the failures of an executed notebook, in order of the cells.

    Parameters
    ----------
    notebook : NotebookNode
        After execution.
    stopped : str
        Why the kernel stopped before the end (it died, it ran out of time), when it did.
    started : int, optional
        Position (from 0) of the last cell that began, when the kernel stopped before the end.

    Notes
    -----
    A failure follows from an earlier one when it is a NameError about a name that an earlier failed cell
    would have bound, or when the kernel had stopped.
    """
    out: list[Failure] = []
    unbound: dict[str, int] = {}
    last = len(notebook.cells) if started is None else started
    for place, (cell, heading) in enumerate(zip(notebook.cells, headings(notebook), strict=True)):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        error = next((item for item in cell.outputs if item.output_type == "error" and not _is_exit(item)), None)
        if stopped and place == last:
            failure = Failure(place + 1, heading, stopped, cell.source)
        elif stopped and place > last:
            failure = Failure(place + 1, heading, "not run", because=last + 1)
        elif error is not None:
            failure = _failure(cell, error, place + 1, heading, unbound)
        else:
            continue
        out.append(failure)
        for name in _bound(cell.source):
            unbound.setdefault(name, failure.because or place + 1)
    return tuple(out)


def _is_exit(output: Any) -> bool:
    return output.ename == "SystemExit" and output.evalue in ("", "0")


def _failure(cell: Any, error: Any, number: int, heading: str, unbound: dict[str, int]) -> Failure:
    text = told(f"{error.ename}: {error.evalue}".strip().removesuffix(":"))
    missing = _UNDEFINED.match(error.evalue) if error.ename == "NameError" else None
    because = unbound.get(missing[1]) if missing else None
    detail = told("\n".join(error.traceback)) or cell.source
    return Failure(number, heading, text if len(text) <= LONGEST else text[:LONGEST] + "…", detail, because)


def _bound(source: str) -> set[str]:
    """Return the names that a cell would bind at its top level, and in blocks there."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return set(re.findall(r"^(\w+)\s*=", source, re.MULTILINE))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            names.add(node.name)
    return names

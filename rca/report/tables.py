"""Tables and pictures taken out of an executed notebook, by the names that `rca.show` gave them."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from rca.errors import InputError, shorten
from rca.report.failures import Failure, headings
from rca.wording import exact

__all__ = ["attach", "pictures", "png", "tables"]

_NAME = re.compile(r"[a-z0-9_]{1,64}")
_PNG = b"\x89PNG\r\n\x1a\n"


def attach(frame: pd.DataFrame, name: str) -> None:
    """Carry a whole table in the notebook without showing it; the report writes it to ``tables/<name>.csv``.

    Parameters
    ----------
    frame : DataFrame
        Its columns are written, its index is not.
    name : str
        Plain file stem (``[a-z0-9_]``).

    Raises
    ------
    InputError
        If the name is none.

    Notes
    -----
    For tables of which `rca.show` shows a selection. Cells are worded by `rca.wording.exact`.

    Examples
    --------
    >>> attach(pd.DataFrame({"system": ["gateway"], "records": [1200]}), "systems")
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"attach: name {shorten(name)} is not a plain file stem (small letters, digits, underscore)")
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import display

    if not InteractiveShell.initialized():
        return
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([exact(column) for column in frame.columns])
    writer.writerows(zip(*([exact(value) for value in frame[column]] for column in frame.columns), strict=True))
    emit: Callable[..., object] = display
    emit({"text/csv": out.getvalue()}, raw=True, metadata={"rca": {"kind": "table", "table": name}})


def _displays(notebook: Any) -> Iterator[tuple[int, Any, dict[str, Any]]]:
    """Yield position, output and rca's metadata of everything displayed."""
    for place, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type in ("display_data", "execute_result"):
                facts = output.metadata.get("rca", {})
                yield place, output, facts if isinstance(facts, dict) else {}


def tables(notebook: Any) -> tuple[dict[str, str], list[Failure]]:
    """Return the CSV of every named table, and a failure for each name that two different tables have.

    Parameters
    ----------
    notebook : NotebookNode
        After execution.

    Returns
    -------
    tables : dict of str to str
        Name -> CSV, in order of appearance; the first of two with one name.
    failures : list of Failure
    """
    found: dict[str, str] = {}
    failures = []
    under = headings(notebook)
    for place, output, facts in _displays(notebook):
        name, content = facts.get("table"), output.data.get("text/csv")
        if not isinstance(name, str) or not isinstance(content, str) or not _NAME.fullmatch(name):
            continue
        if found.setdefault(name, content) != content:
            error = f"two different tables are named {name!r}; the first one is in tables/{name}.csv"
            failures.append(Failure(place + 1, under[place], error))
    return found, failures


def pictures(notebook: Any) -> dict[tuple[int, int], tuple[str, bytes]]:
    """Return the file name and content of every picture, by position of cell and output.

    Pictures without a name, or with one already taken, are numbered.
    """
    found: dict[tuple[int, int], tuple[str, bytes]] = {}
    taken: set[str] = set()
    for place, cell in enumerate(notebook.cells):
        for number, output in enumerate(cell.get("outputs", [])):
            content = png(output)
            if content is None:
                continue
            facts = output.metadata.get("rca", {})
            name = facts.get("picture") if isinstance(facts, dict) else None
            if not isinstance(name, str) or not _NAME.fullmatch(name) or name in taken:
                name = f"picture_{len(found) + 1}"
            taken.add(name)
            found[place, number] = (f"{name}.png", content)
    return found


def png(output: Any) -> bytes | None:
    """Return the PNG of a displayed output, or None when it has none that deserves the name."""
    if output.output_type not in ("display_data", "execute_result"):
        return None
    text = output.data.get("image/png")
    if not isinstance(text, str):
        return None
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if content.startswith(_PNG) else None

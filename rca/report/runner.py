"""From a notebook to a report folder: run it, render it, write everything at the end."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from rca import files
from rca.errors import InputError
from rca.report import render
from rca.report.execution import execute, inject
from rca.report.failures import Failure
from rca.report.parameters import check, defaults, load
from rca.report.render import Cover
from rca.report.tables import pictures, tables
from rca.wording import duration

__all__ = ["Outcome", "report", "run"]

_OWN = re.compile(r"tables/[a-z0-9_]+\.csv|images/[a-z0-9_]+\.png")
_PACKAGES = (
    "rca-workbench", "ipykernel", "ipython", "lightgbm", "matplotlib", "nbclient", "networkx", "numpy", "pandas",
    "papermill", "pillow", "pyarrow", "pydantic", "scikit-learn", "scipy", "shap", "skops", "xgboost",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """A report that was written.

    Attributes
    ----------
    folder : Path
        Holds all files of the report.
    html : Path
        The page to open.
    failed : tuple of Failure
        Cells that failed, those that follow from another one included; empty is good.
    tables : dict of str to Path
        Tables by name.
    duration : Timedelta
        From the start of the kernel to the last file.
    """

    folder: Path
    html: Path
    failed: tuple[Failure, ...]
    tables: dict[str, Path]
    duration: pd.Timedelta


def run(
    notebook: str | Path,
    parameters: Mapping[str, Any],
    out: str | Path,
    *,
    cover: Cover | None = None,
    inputs: Mapping[str, str] | None = None,
    timeout: float | None = None,
    progress: bool = False,
    redact: Callable[[str], str] | None = None,
) -> Outcome:
    """Run a notebook with parameters and write its report.

    Parameters
    ----------
    notebook : str or Path
        Has one code cell tagged ``parameters``.
    parameters : mapping
        Name -> value; names and types as in that cell.
    out : str or Path
        Folder of the report: ``<stem>.html``, ``.md``, ``.ipynb`` (executed), ``tables/*.csv``,
        ``images/*.png`` (of the Markdown) and ``run.json``.
    cover : Cover, optional
        Title block. `Cover.source` and `Cover.run` are filled in.
    inputs : mapping of str to str, optional
        Input file -> SHA-256, for ``run.json``.
    timeout : float, optional
        Seconds that one cell may take.
    progress : bool, default False
        Whether to draw a progress bar.
    redact : callable, optional
        Applied to what cells print and to their errors, such as `rca.language.Pseudonyms.text`: an error can
        quote a source.

    Returns
    -------
    Outcome
        Also when cells failed: the report then says so at its top and in their place.

    Raises
    ------
    UnknownName
        A parameter that the notebook does not have. Nothing is run or written.
    InputError
        A notebook without parameters cell, a parameter of another type, a folder that cannot be written.

    Notes
    -----
    Cells after a failed one are run too. Files are written when all is done, each whole or not at all;
    tables and pictures of an earlier run that are not in this one are deleted last. With the same inputs all
    files but ``run.json`` are the same, and the page differs only in the element ``run-times``.
    """
    notebook, out = Path(notebook), Path(out)
    source = load(notebook)
    known = defaults(source, notebook)
    given = check(parameters, known)
    _writable(out)
    started = pd.Timestamp.now("UTC")
    if given:
        inject(source, given)
    executed, failed = execute(source, timeout=timeout, progress=progress)
    if redact is not None:
        _redact(executed, redact)
        failed = tuple(replace(one, error=redact(one.error), detail=redact(one.detail)) for one in failed)
    facts = {"parameters": known | given, "inputs": dict(inputs or {}), "notebook": _sha256(notebook.read_bytes())}
    return report(executed, out, stem=notebook.stem, cover=cover, failed=failed, started=started, facts=facts)


def report(
    executed: Any,
    out: str | Path,
    *,
    stem: str = "postmortem",
    cover: Cover | None = None,
    failed: Sequence[Failure] = (),
    started: pd.Timestamp | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Outcome:
    """Write the report of a notebook that was executed already.

    Parameters
    ----------
    executed : NotebookNode
        For example ``nbformat.read(path, as_version=4)``.
    out : str or Path
        Folder of the report.
    stem : str
        Name of its files.
    cover : Cover, optional
        Title block.
    failed : sequence of Failure
        Cells that failed.
    started : Timestamp, optional
        When the run began; now when not given.
    facts : mapping, optional
        More entries for ``run.json``.

    Returns
    -------
    Outcome
    """
    out = Path(out)
    started = started if started is not None else pd.Timestamp.now("UTC")
    csv, clashes = tables(executed)
    failures = tuple(sorted([*failed, *clashes], key=lambda failure: failure.cell))
    content: dict[str, str | bytes] = {f"tables/{name}.csv": text for name, text in csv.items()}
    content |= {f"images/{name}": picture for name, picture in pictures(executed).values()}
    content[f"{stem}.ipynb"] = _ipynb(executed)
    finished = pd.Timestamp.now("UTC")
    cover = replace(cover or Cover(), source=f"{stem}.ipynb", run=_when(started, finished))
    content[f"{stem}.md"] = render.markdown(executed, replace(cover, run=""), failures)
    content[f"{stem}.html"] = render.html(executed, cover, failures)
    record = {
        **(facts or {}),
        "started": started.isoformat(),
        "finished": finished.isoformat(),
        "duration": (finished - started).isoformat(),
        "failed": [{"cell": one.cell, "error": one.error, "because": one.because} for one in failures],
        "versions": _versions(),
        "files": {name: _sha256(data) for name, data in content.items()},
    }
    _write(out, content, record)
    paths = {name: out / "tables" / f"{name}.csv" for name in csv}
    return Outcome(out, out / f"{stem}.html", failures, paths, pd.Timestamp.now("UTC") - started)


def _redact(executed: Any, redact: Callable[[str], str]) -> None:
    """Apply `redact` to printed text and errors of the outputs."""
    for output in (output for cell in executed.cells for output in cell.get("outputs", ())):
        if output.output_type == "stream":
            output["text"] = redact(output["text"])
        elif output.output_type == "error":
            output["evalue"] = redact(output["evalue"])
            output["traceback"] = [redact(line) for line in output["traceback"]]


def _write(out: Path, content: Mapping[str, str | bytes], record: Mapping[str, Any]) -> None:
    """Write all files, the record last but one; then delete what only an earlier run wrote."""
    stale = _earlier(out) - set(content)
    try:
        for name, data in content.items():
            files.write(out / name, data)
        files.write(out / "run.json", files.canonical_json(record))
        for name in stale:
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror})") from error


def _earlier(out: Path) -> set[str]:
    """Return the tables and pictures that an earlier run in this folder says it wrote."""
    try:
        names = set(json.loads((out / "run.json").read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in names if isinstance(name, str) and _OWN.fullmatch(name)}


def _writable(out: Path) -> None:
    """Refuse a folder that cannot be written, before anything is run."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; wanted is a folder for the report")
    home = next(path for path in (out, *out.resolve().parents) if path.exists())
    if not os.access(home, os.W_OK):
        raise InputError(f"{out}: cannot be written (no permission in {home})")


def _ipynb(notebook: Any) -> str:
    import nbformat

    return str(nbformat.writes(notebook)) + "\n"


def _when(started: pd.Timestamp, finished: pd.Timestamp) -> str:
    return f"Made on {started:%Y-%m-%d at %H:%M:%S} UTC in {duration(finished - started)}."


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _sha256(data: str | bytes) -> str:
    return hashlib.sha256(data.encode("utf-8") if isinstance(data, str) else data).hexdigest()

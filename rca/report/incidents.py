"""The report of one incident: its title block and inputs, and the run of a notebook on it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rca import custody, files, incident, vocabulary
from rca.errors import InputError
from rca.incident import Incident
from rca.redact import NOT_FOUND
from rca.report import parameters
from rca.report.opening import check, hide, pseudonyms
from rca.report.render import Cover
from rca.report.runner import Outcome, run
from rca.systems import timeline
from rca.times import show
from rca.wording import duration

__all__ = ["cover", "make"]


def make(
    path: str | Path,
    notebook: str | Path,
    out: str | Path,
    *,
    given: Mapping[str, str] | None = None,
    with_names: bool = False,
    trust: bool = False,
    progress: bool = False,
) -> Outcome:
    """Run a notebook on an incident folder and write its report.

    Parameters
    ----------
    path : str or Path
        The incident folder. All of it is read and checked before anything is written.
    notebook : str or Path
        Has a parameter ``incident``; ``with_names`` and ``trust`` are set where it has them.
    out : str or Path
        Folder of the report.
    given : mapping of str to str, optional
        Further parameters as typed: name -> text.
    with_names : bool, default False
        Show people's names instead of pseudonyms.
    trust : bool, default False
        Load model files that can run code.
    progress : bool, default False
        Draw a progress bar.

    Returns
    -------
    Outcome
        Also when cells failed.

    Raises
    ------
    InputError
        Anything wrong with the incident or the parameters; then nothing is written.

    Notes
    -----
    Where the incident has a custody log, the page's hash is noted there.
    """
    known = parameters.parameters(notebook)
    values = parameters.from_text(given or {}, known)
    if "incident" not in known:
        raise InputError(f"{notebook}: its parameters cell has no parameter 'incident'")
    values = {"incident": str(path)} | values
    for name, value in (("with_names", with_names), ("trust", trust)):
        if name in known:
            values.setdefault(name, value)
    found = incident.load(values["incident"])
    names = pseudonyms(found, check(found, trust=bool(values.get("trust"))))
    if values.get("with_names", with_names):
        outcome = run(notebook, values, out, cover=cover(found), inputs=_inputs(found), progress=progress)
    else:
        title = cover(hide(found, names))
        title = replace(title, notices=[*title.notices, f"People appear as roles and pseudonyms. {NOT_FOUND}"])
        inputs = {names.text(name): value for name, value in _inputs(found).items()}
        outcome = run(notebook, values, out, cover=title, inputs=inputs, progress=progress, redact=names.text)
    _log(found, outcome)
    return outcome


def _log(found: Incident, outcome: Outcome) -> None:
    """Note the report in the incident's custody log, where there is one that may be written."""
    log = found.folder / custody.LOG
    if log.exists() and os.access(log, os.W_OK):
        page = Path(outcome.html)
        custody.append(found.folder, "exported", {page.name: files.sha256(page)}, note="report")


def cover(found: Incident) -> Cover:
    """Return the title block of an incident: severity, kind, times, durations, and what makes it unsafe to rely on."""
    file = found.file
    milestones = timeline.milestones(found.milestones)
    took = timeline.durations(milestones)
    facts = {
        "Incident": file.id,
        "Severity": file.severity_tier,
        "Kind": str(vocabulary.table("incident_kinds").loc[file.kind, "name"]),
    }
    for name in ("impact_start", "detected", "mitigated", "resolved"):
        row = milestones.loc[name]
        facts[str(row["name"])] = _between(show(row["earliest"]), show(row["latest"]))
    for name, row in took.iterrows():
        if not row["note"] and name != "signal to detection":
            facts[str(name).capitalize()] = _between(duration(row["low"]), duration(row["high"]))
    facts["Evidence as of"] = show(file.as_of)
    notices = [file.notice] * bool(file.notice)
    notices += [f"Evidence changed: {line}. Claims that rest on it are stale." for line in found.differences]
    return Cover(title=file.title, facts=facts, notices=notices)


def _between(low: str, high: str) -> str:
    if low == high:
        return low
    return f"{low} to {high.removeprefix(low[:11]) if low[:10] == high[:10] else high}"


def _inputs(found: Incident) -> dict[str, Any]:
    """Return the SHA-256 of every file of the incident that the report rests on, by path in its folder."""
    paths = [found.folder / name for name in ("incident.yaml", "analysis.yaml", "MANIFEST.json")]
    paths += [path for folder in ("sources", "model") for path in sorted((found.folder / folder).rglob("*"))]
    return {path.relative_to(found.folder).as_posix(): files.sha256(path) for path in paths if path.is_file()}

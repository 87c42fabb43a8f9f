"""Make a new incident folder from a commented template."""

from __future__ import annotations

import re
from pathlib import Path

from rca import files
from rca.errors import InputError, shorten

__all__ = ["new"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def new(incident_id: str, where: str | Path = "datasets") -> Path:
    """Make the folder of a new incident, with a commented template to fill in.

    Parameters
    ----------
    incident_id : str
        Letters, digits, ``.``, ``_`` and ``-``; at most 64; becomes the folder's name.
    where : str or Path, default "datasets"
        Folder to make it in.

    Returns
    -------
    Path
        The new folder; it passes `rca.incident.check` as it is.

    Raises
    ------
    InputError
        If the id is not of that form, or the folder already exists.
    """
    if not _ID.fullmatch(incident_id):
        raise InputError(f"incident id {shorten(incident_id)}: use letters, digits, '.', '_' and '-', at most 64")
    folder = Path(where) / incident_id
    if folder.exists():
        raise InputError(f"{folder}: already exists; nothing was changed")
    templates = Path(__file__).with_name("template")
    for name in ("incident.yaml", "analysis.yaml", "README.md", ".gitignore"):
        text = (templates / name.removeprefix(".")).read_text(encoding="utf-8").replace("INCIDENT-ID", incident_id)
        files.write(folder / name, text)
    (folder / "sources").mkdir()
    return folder

"""What of the template of `rca.incident.new` nobody has filled in yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rca import files, yamlfile
from rca.errors import shorten
from rca.incident.load import ANALYSIS, INCIDENT, Incident

__all__ = ["empty", "unfilled"]

_TEMPLATE = Path(__file__).with_name("template")
_MARK = "FILL IN"  # in the comment of a line: its value may be right, if somebody says so by taking the mark away
_WHAT = {
    ("title",): "say in one line what happened",
    ("as_of",): "say when the exports were made",
    ("systems", 0, "id"): "name the systems, with what they are and who owns them",
    ("kind",): "choose one",
    ("severity_tier",): "choose one",
    ("severity_confirmed_by",): "say in which role somebody confirmed the tier",
}
_MARKED = (("kind",), ("severity_tier",), ("severity_confirmed_by",))
_LATER = {
    INCIDENT: ("symptom", "windows", "milestones", "sources"),
    ANALYSIS: ("summary", "problem", "whys", "findings", "actions"),
}


def unfilled(found: Incident) -> list[str]:
    """Return what in an incident folder is the template's and nobody's statement, one sentence a place.

    Parameters
    ----------
    found : Incident
        From `rca.incident.load`.

    Returns
    -------
    list of str
        With file, line and key, in their order: the template's title, as-of date, system, kind and severity, texts
        of nothing but dots, and the datasheet. Empty when all of them are filled in.

    Notes
    -----
    Kind, severity and who confirmed it may rightly be what the template says: they are named as long as the comment
    beside them holds "FILL IN".
    """
    said = []
    for name in (INCIDENT, ANALYSIS):
        if (found.folder / name).is_file():
            content, lines = yamlfile.load(found.folder / name)
            places = [*(_as_in_template(found.folder, content, lines) if name == INCIDENT else ()), *_dots(content, ())]
            said += [
                f"{name} line {lines[place]}: {_key(place)}: {shorten(_at(content, place))} is the template's;"
                f" {_WHAT.get(place, 'write what is so')}"
                for place in sorted(places, key=lines.__getitem__)
            ]
    readme = found.folder / "README.md"
    if readme.is_file() and _same(readme, found.file.id):
        said.append("README.md: the template's; say where the data came from, and whose it is")
    return said


def empty(found: Incident) -> list[str]:
    """Return the keys that a report would like to have and that hold nothing, one sentence a file."""
    said = []
    for name, keys in _LATER.items():
        record = found.file if name == INCIDENT else found.analysis
        without = [key for key in keys if not getattr(record, key)]
        said += [f"{name} does not say yet: {', '.join(without)}"] if without else []
    return said


def _as_in_template(folder: Path, content: Any, lines: dict[yamlfile.Place, int]) -> list[yamlfile.Place]:
    """Return the places of ``incident.yaml`` whose value is the template's, and no incident's own."""
    template, _ = yamlfile.load(_TEMPLATE / INCIDENT)
    text = files.read_bytes(folder / INCIDENT, limit=yamlfile.MAX_BYTES).decode("utf-8-sig").splitlines()
    return [
        place
        for place in _WHAT
        if _at(content, place) == _at(template, place)
        and (place not in _MARKED or _MARK in text[lines[place] - 1].partition("#")[2])
    ]


def _at(content: Any, place: yamlfile.Place) -> Any:
    """Return the value at a place, or None where there is none."""
    for part in place:
        if isinstance(part, int):
            content = content[part] if isinstance(content, list) and part < len(content) else None
        else:
            content = content.get(part) if isinstance(content, dict) else None
    return content


def _dots(content: Any, place: yamlfile.Place) -> list[yamlfile.Place]:
    """Return the places of texts of nothing but dots, as the examples in the templates have them."""
    if isinstance(content, str):
        return [place] if content.strip() and not content.strip(" .…") else []
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [found for key, value in inner for found in _dots(value, (*place, key))]


def _key(place: yamlfile.Place) -> str:
    """Return a place as people write it.

    Examples
    --------
    >>> _key(("systems", 0, "id"))
    'systems.0.id'
    """
    return ".".join(part if part.isprintable() else shorten(part) for part in map(str, place))


def _same(readme: Path, incident_id: str) -> bool:
    template = (_TEMPLATE / "README.md").read_text(encoding="utf-8").replace("INCIDENT-ID", incident_id)
    raw = files.read_bytes(readme, limit=yamlfile.MAX_BYTES)
    return raw.decode("utf-8", "replace").split() == template.split()

"""What an incident says about its exports, held against the exports: metrics that exist, rows that are there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from rca import times
from rca.errors import did_you_mean
from rca.evidence import Evidence
from rca.incident import Incident

__all__ = ["problems"]

_PLACE = re.compile(r"(row|line|item) (\d+)")


def problems(incident: Incident, metrics: pd.DataFrame, last: Mapping[str, int]) -> Iterator[str]:
    """Yield each reference of ``incident.yaml`` and ``analysis.yaml`` that leads nowhere.

    Parameters
    ----------
    incident : Incident
        From `rca.incident.load`.
    metrics : DataFrame
        Schema ``metrics``; nothing is said about metrics when it is empty.
    last : mapping of str to int
        File of an export -> position of its last record.
    """
    file = incident.file
    if len(metrics):
        known = set(metrics["metric"])
        for name in file.harmful:
            if name not in known:
                yield f"incident.yaml: harmful: unknown metric {name!r}{did_you_mean(name, known)}"
        if file.symptom:
            system, metric = file.symptom.system, file.symptom.metric
            own = set(metrics.loc[metrics["system"] == system, "metric"])
            if system not in set(metrics["system"]):
                yield f"incident.yaml: symptom: no metrics of {system!r}{did_you_mean(system, set(metrics['system']))}"
            elif metric not in own:
                yield f"incident.yaml: symptom: {system!r} has no metric {metric!r}{did_you_mean(metric, own)}"
            else:
                felt = metrics[(metrics["system"] == system) & (metrics["metric"] == metric)]
                yield from _without_values(incident, felt.dropna(subset=["value"])["time"])
    impact = file.impact
    named = [item for milestone in file.milestones.values() for item in milestone.evidence]
    for figure in (impact.affected_users, impact.affected_decisions, impact.cost, *impact.affected_groups.values()):
        named += figure.evidence
    yield from _places("incident.yaml", named, last)
    yield from _places("analysis.yaml", incident.analysis.evidence, last)


def _without_values(incident: Incident, stamps: pd.Series) -> Iterator[str]:
    """Yield each window in which the symptom was never measured."""
    windows = incident.file.windows
    for name, window in (("before", windows.before), ("during", windows.during)) if windows else ():
        if not ((stamps >= window.start) & (stamps < window.end)).any():
            first, last = times.show(stamps.min()), times.show(stamps.max())
            yield f"incident.yaml: windows.{name}: the symptom has no values in it; it has some from {first} to {last}"


def _places(where: str, evidence: Iterable[Evidence], last: Mapping[str, int]) -> Iterator[str]:
    for item in evidence:
        found = _PLACE.fullmatch(item.locator)
        if found and item.file in last and not 1 <= int(found[2]) <= last[item.file]:
            yield f"{where}: evidence {item.label!r}: the file ends at {found[1]} {last[item.file]}"

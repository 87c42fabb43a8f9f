"""Phases of an incident, bounded by its milestones: the classic names, or the functions of NIST SP 800-61r3."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import pandas as pd

from rca import times
from rca.errors import UnknownName, did_you_mean

__all__ = ["SCHEMES", "phases"]

SCHEMES = {
    "classic": "classic phases (NIST SP 800-61r2 of 2012, withdrawn)",
    "nist-800-61r3": "functions of the CSF 2.0 as in NIST SP 800-61r3 (April 2025)",
}


class _Phase(NamedTuple):
    """A phase, the milestones that bound it ("" for none), and what it is called in the other scheme.

    Where `start` or `end` names two milestones the bound lies somewhere between them: nothing tells when the
    cause was gone and only recovery was left.
    """

    id: str
    name: str
    start: tuple[str, ...]
    end: tuple[str, ...]
    mapped_to: str


_TURN = ("mitigated", "resolved")
_PHASES: dict[str, tuple[_Phase, ...]] = {
    "classic": (
        _Phase("preparation", "Preparation", (), ("impact_start",), "Govern, Identify, Protect"),
        _Phase(
            "detection_and_analysis", "Detection and analysis", ("impact_start",), ("acknowledged",),
            "Detect, Identify (Improvement)",
        ),
        _Phase(
            "containment", "Containment", ("acknowledged",), ("mitigated",),
            "Respond, Identify (Improvement)",
        ),
        _Phase("eradication", "Eradication", ("mitigated",), _TURN, "Respond, Identify (Improvement)"),
        _Phase("recovery", "Recovery", _TURN, ("resolved",), "Recover, Identify (Improvement)"),
        _Phase("post_incident", "Post-incident", ("resolved",), ("closed",), "Identify (Improvement)"),
    ),
    "nist-800-61r3": (
        _Phase("govern", "Govern", (), (), "preparation"),
        _Phase("identify", "Identify", (), (), "preparation; its Improvement category: all later phases"),
        _Phase("protect", "Protect", (), (), "preparation"),
        _Phase("detect", "Detect", ("impact_start",), ("acknowledged",), "detection and analysis"),
        _Phase("respond", "Respond", ("acknowledged",), _TURN, "containment, eradication"),
        _Phase("recover", "Recover", _TURN, ("resolved",), "recovery"),
    ),
}  # fmt: skip
_BOUNDS = ("start_earliest", "start_latest", "end_earliest", "end_latest")


def phases(milestones: pd.DataFrame, scheme: Literal["classic", "nist-800-61r3"] = "classic") -> pd.DataFrame:
    """Return when each phase of an incident began and ended, as far as its milestones tell.

    ======================  ====================  ====================  ==================
    classic phase           from                  to                    function of r3
    ======================  ====================  ====================  ==================
    preparation             (always)              impact_start          (not bounded)
    detection and analysis  impact_start          acknowledged          Detect
    containment             acknowledged          mitigated             Respond
    eradication             mitigated             mitigated..resolved   Respond
    recovery                mitigated..resolved   resolved              Recover
    post-incident           resolved              closed                (not bounded)
    ======================  ====================  ====================  ==================

    No milestone separates eradication from recovery, so that bound is the whole interval between *mitigated* and
    *resolved*.

    Parameters
    ----------
    milestones : DataFrame
        From `rca.timeline.milestones`.
    scheme : str, default "classic"
        ``classic``, or ``nist-800-61r3`` for the functions of the Cybersecurity Framework 2.0.

    Returns
    -------
    DataFrame
        Indexed by ``phase``; columns ``name``, ``start_earliest``, ``start_latest``, ``end_earliest``,
        ``end_latest`` (UTC, empty where not known), ``from``, ``to`` (milestones), ``mapped_to`` (the names in the
        other scheme), ``scheme`` (which is shown, in words), ``note``: what is open, not known or out of order.
        A phase is ``open`` when its end is not known and no later milestone is; else the missing bound is
        ``not known``: it is never taken from a neighbour.

    Raises
    ------
    UnknownName
        Another scheme.

    Notes
    -----
    Revision 3 of SP 800-61 gave up the life cycle: Govern, Identify and Protect go on at all times and no
    milestone bounds them; improvement goes on through all of it. Its Table 1 maps containment, eradication and
    recovery as one to Respond, Recover and Identify (Improvement) [1]_; they are told apart here by what the
    framework puts under each function: containing and eradicating are Respond (RS.MI), restoring is Recover
    (RC.RP) [2]_.

    References
    ----------
    .. [1] NIST SP 800-61r3, Incident Response Recommendations and Considerations for Cybersecurity Risk Management,
       April 2025, section 2. doi:10.6028/NIST.SP.800-61r3
    .. [2] NIST CSWP 29, The NIST Cybersecurity Framework (CSF) 2.0, February 2024. doi:10.6028/NIST.CSWP.29

    Examples
    --------
    >>> from rca.systems.timeline.measure import milestones as table
    >>> at = times.parse("2025-01-01T00:00Z")
    >>> seen = pd.DataFrame({"time": [at], "earliest": pd.NaT, "latest": pd.NaT, "evidence": "", "note": ""},
    ...                     index=["impact_start"])
    >>> phases(table(seen))["note"].tolist()[:2]
    ['began before the record', 'open: Acknowledged not known']
    """
    if scheme not in _PHASES:
        raise UnknownName(f"unknown scheme {scheme!r}{did_you_mean(scheme, _PHASES)}")
    rows = [_row(phase, milestones) for phase in _PHASES[scheme]]
    out = pd.DataFrame(rows).set_index("phase").assign(scheme=SCHEMES[scheme])
    out = out.assign(**{name: pd.to_datetime(out[name], utc=True).astype(times.UTC) for name in _BOUNDS})
    return out[["name", *_BOUNDS, "from", "to", "mapped_to", "scheme", "note"]]


def _row(phase: _Phase, milestones: pd.DataFrame) -> dict[str, Any]:
    """Return one row of `phases`."""
    start, end = (_bound(part, milestones) for part in (phase.start, phase.end))
    missing = [str(milestones.loc[part, "name"]) for part in dict.fromkeys(phase.start + phase.end)
               if pd.isna(milestones.loc[part, "earliest"])]  # fmt: skip
    if not phase.start and not phase.end:
        note = "goes on at all times; no milestone bounds it"
    elif pd.notna(start[0]) and pd.notna(end[0]) and end[1] < start[0]:
        note = f"out of order: ends ({times.show(end[1])}) before it begins ({times.show(start[0])})"
        start = end = (pd.NaT, pd.NaT)
    elif missing:
        later = milestones.iloc[milestones.index.get_loc(phase.end[-1]) :]
        state = "open" if pd.notna(start[0]) and later["earliest"].isna().all() else "not known"
        note = f"open: {' and '.join(missing)} not known" if state == "open" else f"{' and '.join(missing)} not known"
    else:
        note = "" if phase.start else "began before the record"
    return {
        "phase": phase.id, "name": phase.name, **dict(zip(_BOUNDS, (*start, *end), strict=True)),
        "from": " or ".join(phase.start), "to": " or ".join(phase.end), "mapped_to": phase.mapped_to, "note": note,
    }  # fmt: skip


def _bound(parts: tuple[str, ...], milestones: pd.DataFrame) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the interval of a bound, from its first milestone to its last, when all of them are known."""
    seen = milestones.loc[list(parts), ["earliest", "latest"]]
    if seen.empty or seen.isna().any(axis=None):
        return pd.NaT, pd.NaT
    return seen["earliest"].iloc[0], seen["latest"].iloc[-1]

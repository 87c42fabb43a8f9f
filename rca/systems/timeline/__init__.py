"""Timeline: events in order, milestones, the durations and phases that people report, and where the record is silent.

``order``
    `merge`, `overview` and `left_out`: one timeline, what a reader should see of it, and what that leaves out.
``measure``
    `milestones`, `durations`, `summary`: what one incident took, and many.
``phase``
    `phases`: the life cycle by its classic names or by the functions of NIST SP 800-61r3.
``people``
    `knowledge`, `handovers`: who by role knew what when, and how long a hand-over took.
``watch``
    `gaps`, `detection_gap`: where exports are silent, and what no monitor saw.
``unknown``
    `unknowns`: what the record does not tell, in sentences.

The arithmetic is here and nowhere else: a duration is the difference of two times, carried through as an
interval where a time is known only as one.
"""

from __future__ import annotations

from rca.systems.timeline.measure import DURATIONS, durations, milestones, summary
from rca.systems.timeline.order import left_out, merge, overview
from rca.systems.timeline.people import handovers, knowledge
from rca.systems.timeline.phase import phases
from rca.systems.timeline.unknown import unknowns
from rca.systems.timeline.watch import detection_gap, gaps

__all__ = [
    "DURATIONS",
    "detection_gap",
    "durations",
    "gaps",
    "handovers",
    "knowledge",
    "left_out",
    "merge",
    "milestones",
    "overview",
    "phases",
    "summary",
    "unknowns",
]

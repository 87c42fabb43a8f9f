"""Clocks that disagree: anchors, offsets with intervals, a network of clocks, correction, and jumps."""

from rca.systems.clocks.anchors import anchors
from rca.systems.clocks.correct import Clock, correct, uncorrect
from rca.systems.clocks.jumps import jumps
from rca.systems.clocks.network import solve
from rca.systems.clocks.shared import shared
from rca.systems.clocks.skew import VERDICTS, skew

__all__ = ["VERDICTS", "Clock", "anchors", "correct", "jumps", "shared", "skew", "solve", "uncorrect"]

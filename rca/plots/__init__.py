"""Pictures of finished tables: ``rca.plots.<analysis>(table, ..., ax=None)`` returns the Axes.

They draw and compute nothing; colours can be told apart by colour-blind readers, and no meaning hangs on
colour alone.
"""

from rca.plots.actions import actions
from rca.plots.cascade import cascade
from rca.plots.clocks import clocks
from rca.plots.drift import drift
from rca.plots.fishbone import fishbone
from rca.plots.fmea import fmea
from rca.plots.graph import graph
from rca.plots.shapdiff import shapdiff
from rca.plots.timeline import timeline
from rca.plots.whys import whys

__all__ = ["actions", "cascade", "clocks", "drift", "fishbone", "fmea", "graph", "shapdiff", "timeline", "whys"]

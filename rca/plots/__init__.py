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
from rca.plots.shapdiff_beeswarm import shapdiff_beeswarm
from rca.plots.shapdiff_dependence import shapdiff_dependence
from rca.plots.shapdiff_loss import shapdiff_loss
from rca.plots.shapdiff_suspects import shapdiff_suspects
from rca.plots.timeline import timeline
from rca.plots.whys import whys

__all__ = [
    "actions",
    "cascade",
    "clocks",
    "drift",
    "fishbone",
    "fmea",
    "graph",
    "shapdiff",
    "shapdiff_beeswarm",
    "shapdiff_dependence",
    "shapdiff_loss",
    "shapdiff_suspects",
    "timeline",
    "whys",
]

"""Which system can break which: the dependencies as a graph with edges cause -> effect; cycles are allowed."""

from rca.systems.graph.build import KINDS, build
from rca.systems.graph.cuts import cut
from rca.systems.graph.layering import arrange, layers
from rca.systems.graph.reach import blast_radius, path, paths, suspects
from rca.systems.graph.rollback import Rollback, rollback_check

__all__ = [
    "KINDS", "Rollback", "arrange", "blast_radius", "build", "cut", "layers", "path", "paths", "rollback_check",
    "suspects",
]  # fmt: skip

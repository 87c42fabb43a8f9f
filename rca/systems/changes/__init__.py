"""Changes: which one fits the first cause, and what differs between two runs or versions.

`rank`
    Which deploy, commit, flag, model version, data load or setting could have set off the first cause, by place, time
    and content; or none.
`diff`
    Every difference between two runs or versions: parameters, code, data, features, steps, packages, prompt.
"""

from __future__ import annotations

from rca.systems.changes.differences import diff
from rca.systems.changes.fitting import MAX_DELAY, rank
from rca.systems.changes.place import PREPARED

__all__ = ["MAX_DELAY", "PREPARED", "diff", "rank"]

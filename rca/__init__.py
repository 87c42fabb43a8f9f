"""Root-cause analysis of AI incidents: from raw exports to a post-mortem with evidence.

One idiom everywhere: ``import rca``, then ``rca.module.verb(...)``. Each module is loaded on first use, so
that ``import rca`` costs nothing.

The incident folder
    ``incident`` (load, new, check), ``sources`` (read exports), ``annotations`` (tags and notes on events),
    ``custody`` and ``evidence`` (who added what, hashes), ``redact`` (personal data), ``modelfile`` and ``tables``
    (models and data), ``conclusions`` (what people concluded), ``schema`` and ``vocabulary`` (columns, words)
What happened between systems
    ``timeline``, ``clocks``, ``signals``, ``graph``, ``cascade`` (what broke first), ``affected`` (what was hurt),
    ``changes``
What happened inside the model's world
    ``shapdiff``, ``drift``, ``impact``
What people conclude
    ``whys``, ``fishbone``, ``findings``, ``fmea``, ``actions``, ``language``
Showing and reporting
    ``plots``, ``show``, ``report``, ``training``
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rca import (
        annotations as annotations,
        conclusions as conclusions,
        custody as custody,
        errors as errors,
        evidence as evidence,
        incident as incident,
        modelfile as modelfile,
        plots as plots,
        redact as redact,
        report as report,
        schema as schema,
        sources as sources,
        tables as tables,
        times as times,
        training as training,
        vocabulary as vocabulary,
    )
    from rca.causes import (
        actions as actions,
        findings as findings,
        fishbone as fishbone,
        fmea as fmea,
        language as language,
        whys as whys,
    )
    from rca.display import show as show
    from rca.models import drift as drift, impact as impact, shapdiff as shapdiff
    from rca.systems import (
        affected as affected,
        cascade as cascade,
        changes as changes,
        clocks as clocks,
        graph as graph,
        signals as signals,
        timeline as timeline,
    )

__version__ = "0.1.0"

_MODULES = {
    **{
        name: f"rca.{name}"
        for name in (
            "annotations", "conclusions", "custody", "errors", "evidence", "incident", "modelfile", "plots", "redact",
            "report", "schema", "sources", "tables", "times", "training", "vocabulary",
        )
    },
    **{
        name: f"rca.systems.{name}"
        for name in ("affected", "cascade", "changes", "clocks", "graph", "signals", "timeline")
    },
    **{name: f"rca.models.{name}" for name in ("drift", "impact", "shapdiff")},
    **{name: f"rca.causes.{name}" for name in ("actions", "findings", "fishbone", "fmea", "language", "whys")},
}  # fmt: skip

__all__ = ["__version__", "show", *_MODULES]


def __getattr__(name: str) -> Any:
    if name == "show":
        value: Any = importlib.import_module("rca.display").show
    elif name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    else:
        raise AttributeError(f"module 'rca' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

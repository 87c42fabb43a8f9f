"""What a table seems to hold by its names and values: kinds of events, calls, or a column for each series."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rca import vocabulary

__all__ = ["CALLS", "EITHER", "KINDS", "edge", "kind_field", "kind_of", "melt"]

KINDS = {  # words in the name of a file, of its fields, or in a field -> what the events are
    "deploy": "deploy", "deployment": "deploy", "release": "deploy", "rollout": "deploy", "version": "model_version",
    "alert": "alert", "alarm": "alert", "page": "alert", "commit": "commit", "git": "commit", "flag": "flag",
    "toggle": "flag", "config": "config_change", "change": "config_change", "model": "model_version",
    "train": "training_run", "training": "training_run", "run": "training_run", "load": "data_load",
    "backfill": "data_load", "campaign": "campaign", "rollback": "rollback", "ticket": "ticket", "issue": "ticket",
    "case": "ticket", "incident": "ticket", "chat": "chat", "message": "chat", "channel": "chat", "status": "status",
    "audit": "audit", "log": "log",
}  # fmt: skip
CALLS = (("callee", "caller"), ("provider", "consumer"), ("server", "client"), ("dependency", "dependent"))
EITHER = (("target", "source"), ("to", "from"), ("child", "parent"))  # callee, caller; or the other way round
_FIELDS = ("kind", "event_type", "type", "change_type", "action", "event", "change", "category")
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?|[nN]a[nN]")
_MANY = 20  # different values from which on a field holds no kinds


def kind_of(value: str) -> str:
    """Return the kind of event that a value stands for, or an empty text.

    Examples
    --------
    >>> kind_of("Config"), kind_of("config change"), kind_of("releases"), kind_of("restart")
    ('config_change', 'config_change', 'deploy', '')
    """
    word = re.sub(r"[\s-]+", "_", value.strip().lower())
    spelled = (word, word.removesuffix("s"), word.removesuffix("es"))
    known = [kind for name in spelled for kind in (name if name in vocabulary.ids("event_kinds") else KINDS.get(name),)]
    return next((kind for kind in known if kind), "")


def kind_field(records: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Return the field with the kind of each event and its values; empty where no field has known words mostly.

    Examples
    --------
    >>> kind_field([{"id": 1, "type": "config"}, {"id": 2, "type": "restart"}])
    ('type', ['config', 'restart'])
    >>> kind_field([{"id": 1, "type": "cpu"}])
    ('', [])
    """
    names = {name.lower(): name for record in reversed(records) for name in reversed(record)}
    for name in (names[field] for field in _FIELDS if field in names):
        values = [str(record.get(name) or "") for record in records]
        known = sum(bool(kind_of(value)) for value in values)
        different = list(dict.fromkeys(values))
        if "" not in different and 2 * known >= len(values) and len(different) <= _MANY:
            return name, different
    return "", []


def edge(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """Return the two fields of a table whose names are one of some pairs, in the order of the pair.

    Examples
    --------
    >>> edge(["Caller", "Callee", "count"], CALLS), edge(["from", "subject"], EITHER)
    (('Callee', 'Caller'), None)
    """
    lower = {name.lower(): name for name in names}
    return next(((lower[one], lower[two]) for one, two in pairs if {one, two} <= lower.keys()), None)


def melt(file: str, names: Sequence[str], records: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> str:
    """Return how to make a table with a column for each series long; empty where its other columns are no numbers.

    Parameters
    ----------
    file : str
        Its name.
    names : sequence of str
        Its columns.
    records : sequence of mapping
        Its first rows.
    keys : sequence of str
        The columns with the time and, if there, the system.
    """
    series = [name for name in names if name not in keys]
    values = [str(record[name]) for record in records for name in series if record.get(name) not in (None, "")]
    if not series or not values or not all(map(_NUMBER.fullmatch, values)):
        return ""
    shown = ", ".join(series[:3]) + (" ..." if len(series) > 3 else "")
    told = len(keys) > 1  # the system
    line = f"melt({list(keys)}, var_name={'metric' if told else 'system'!r}, value_name='value')"
    line += (
        "" if told else ".assign(metric='NAME'), or where the columns are metrics with var_name='metric' and --system"
    )
    return (
        f"{file}: looks wide, with a column for each {'metric' if told else 'system or metric'} ({shown}); wanted is a "
        f"row for each value: in pandas, table.{line}"
    )

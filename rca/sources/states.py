"""States of one record, as exports made at different times hold them: which of them is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from rca import times
from rca.errors import InputError
from rca.sources.stored import NEVER

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ranks"]

_STATES = ("raw_sha256", "attributes", "message", "system", "actor", "ref", "kind")  # in which states may differ
_EARLIEST = ("edited", "deleted", "ends_at")  # attributes that say when a later state overwrote this one
_LATEST = (
    "modified",
    "_version",
    "latest_reply",
)  # attributes that number the states of a record that is replaced as a whole


def ranks(rows: pa.Table) -> Any:
    """Return the rank of each of some rows among those of its id; 0 where they are all the same."""
    import pyarrow as pa

    by = ["event_id", "source"]
    looked = rows.select([*by, *_STATES])
    kinds = looked.group_by(by).aggregate([(name, "count_distinct") for name in _STATES])
    several = np.zeros(kinds.num_rows, dtype=bool)
    for name in _STATES:
        several |= kinds.column(f"{name}_count_distinct").to_numpy() > 1
    out = np.zeros(rows.num_rows, dtype="int64")
    contested = np.isin(rows.column("event_id").to_numpy(), kinds.column("event_id").to_numpy()[several])
    places = np.flatnonzero(contested)
    held = [_rank(row) for row in rows.filter(pa.array(contested)).to_pylist()]
    out[places[sorted(range(len(held)), key=held.__getitem__)]] = np.arange(1, len(held) + 1)
    return out


def _rank(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return by what the states of one record are put in order; the first is kept.

    A state with a time goes before one without, a narrow interval before a wide one. Then come: the state that no
    later one overwrote, or the earliest that did (`_EARLIEST`), the latest of those that replace each other
    (`_LATEST`), the largest count, the smallest hash of the record, and of equal records the one that was read with
    the most around it.
    """
    try:
        attributes = json.loads(row["attributes"] or "{}")
    except ValueError:
        attributes = {}
    edited, latest = (
        [_stamp(attributes[name]) for name in names if attributes.get(name)] for names in (_EARLIEST, _LATEST)
    )
    return (
        (row["time_latest_ns"] or NEVER) if row["time_ns"] is None else 0,
        edited,
        _Last(latest),
        -row["count"],
        row["raw_sha256"],
        -len(row["attributes"]),
        *(_Last(row[name] or "") for name in _STATES[1:]),
    )


class _Last:
    """A value that sorts the other way round."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Last) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Last) and bool(self.value == other.value)


def _stamp(value: Any) -> tuple[int, str]:
    """Return a time, a number or a text so that they can be put in order."""
    text = str(value)
    if value is True:  # overwritten, nobody knows when
        return NEVER, ""
    if text.replace(".", "", 1).isdecimal() and text.isascii():
        whole, _, fraction = text.partition(".")
        return int(whole) * 10**9 + int(fraction[:9].ljust(9, "0")), ""
    try:
        return times.moment(text, zone_name="UTC").ns or 0, ""
    except InputError:
        return 0, text

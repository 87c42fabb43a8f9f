"""Neptune: the runs table, as CSV.

What ``project.fetch_runs_table().to_pandas().to_csv(...)`` of the client writes, or the download of the table
in the web application: one row a run, columns such as ``sys/id``, ``sys/creation_time``, ``parameters/lr``.

Traps: the table has the last value of a series and no time for it, so values stay attributes of the run and
are no metrics. The end of a run is not given; ``sys/modification_time`` moves
with each later edit. Times without a zone need one declared.

Tested against the documented format only.

===========  ==================================================================
events       one a run, kind ``training_run``
time         sys/creation_time
system       name of the project in the id (``FRAUD-12``: ``FRAUD``)
severity     error where sys/failed is true
actor, ref   sys/owner; sys/id (sys/custom_run_id where there is no other)
native id    sys/id and sys/creation_time: of the states of a run the latest sys/modification_time is kept
attributes   all other columns that have a value
===========  ==================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError
from rca.incident.model import Source
from rca.sources.formats.airflow import table
from rca.sources.items import Format, Head, Item, Reject, each, event

__all__ = ["FORMAT", "read", "recognise"]


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event a run.

    Parameters
    ----------
    path : Path
        The table as CSV.
    source : Source
        Its ``time.zone`` is used where a time names none.

    Yields
    ------
    Item or Reject
        In the order of the file.
    """

    def make(place: tuple[int, str], record: dict[str, Any]) -> list[Item]:
        return [_run(place, record, source.time.zone)]

    yield from each(table(path, source), make)


def _run(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> Item:
    run = record.get("sys/id") or record.get("sys/custom_run_id")
    if not run:
        raise InputError("has no sys/id")
    failed = str(record.get("sys/failed") or "").lower() == "true"
    name = record.get("sys/name") or run
    state = record.get("sys/state") or "state not exported"
    created = times.moment(record["sys/creation_time"], zone_name=zone)
    seen = record.get("sys/modification_time")
    own = ("", "sys/id", "sys/creation_time", "sys/owner")
    return event(
        place, record, native_id=f"{run} {created.ns}", time=created,
        system=run.rpartition("-")[0], kind="training_run", severity="error" if failed else "info",
        message=f"run {name}: {'failed' if failed else state}", actor=record.get("sys/owner") or "", ref=run,
        attributes={key: value for key, value in record.items() if key not in own and value}
        | ({"modified": seen} if seen else {}),
    )  # fmt: skip


def recognise(head: Head) -> bool:
    """Return whether a CSV file has the columns of Neptune's runs table.

    Examples
    --------
    >>> recognise(Head("runs.csv", "", names=("sys/id", "sys/creation_time", "sys/state")))
    True
    """
    names = set(head.names)
    return "sys/creation_time" in names and bool({"sys/id", "sys/custom_run_id"} & names)


FORMAT = Format(
    name="neptune",
    title="Neptune: runs table as CSV",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="Values have no time of their own, and the end of a run is not in the table.",
)

"""Events to other tools: Timesketch timelines, and the names of our columns in ECS and OpenTelemetry.

====================  ==================================  =============================================================
column                Elastic Common Schema               OpenTelemetry log record
====================  ==================================  =============================================================
event_id              event.id                            attribute ``log.record.uid``
time                  @timestamp, event.start             Timestamp
time_end              event.end                           (none; attribute ``event.end``)
time_earliest         (none)                              (none)
time_latest           (none)                              (none)
time_text             (none; part of event.original)      (part of attribute ``log.record.original``)
zone_basis            (none; event.timezone is the zone)  (none)
offset                (none)                              ObservedTimestamp minus Timestamp comes nearest
offset_method         (none)                              (none)
system                service.name, host.name             Resource ``service.name``
kind                  event.action                        EventName
severity              event.severity, log.level           SeverityNumber
message               message                             Body
actor                 user.name                           attribute ``user.name``
ref                   by kind: event.reference, ...       attribute by kind: ``vcs.ref.head.revision``, ...
trace_id              trace.id                            TraceId
attributes            labels.*                            Attributes
source                event.dataset                       InstrumentationScope name
position              event.sequence                      (none)
locator               log.file.path with log.offset       attribute ``log.file.name``
raw_sha256            event.hash                          (none)
count                 (none)                              attribute ``log.record.count`` (ours)
====================  ==================================  =============================================================

References: Elastic Common Schema 8, field sets base, event, log, user, service, tracing; OpenTelemetry log data model
and semantic conventions for general log attributes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from rca import files, schema
from rca.errors import InputError, shorten
from rca.times import UTC

__all__ = ["to_timesketch"]

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # as typed, and in full width


def to_timesketch(events: pd.DataFrame, path: str | Path) -> Path:
    """Write events as a timeline that Timesketch imports, and that the format ``timesketch`` reads back.

    Parameters
    ----------
    events : DataFrame
        As `rca.schema` describes events.
    path : str or Path
        ``.csv`` or ``.jsonl``, the two endings that Timesketch knows.

    Returns
    -------
    Path
        The same path. Columns: ``message``, ``datetime`` (ISO 8601, UTC, to the microsecond, cut), ``timestamp``
        (microseconds since 1970), ``timestamp_desc`` (the kind), and every column of ours as ``rca_`` and its name, in
        which ``rca_time`` keeps the nanoseconds.

    Raises
    ------
    InputError
        Another ending, or columns that are not as the schema wants them.

    Notes
    -----
    An undated event has an empty ``datetime``: Timesketch says that it passes it over, and nothing is invented; read
    back it is undated again. In CSV, a text that a spreadsheet would compute (it begins with ``=``, ``+``, ``-``,
    ``@``, a tab or a line end) gets an apostrophe before it, and the column ``rca_quoted`` names the columns of that
    row in which this was done, so that reading takes off just these. In JSON lines texts are as they are.

    What read back is the same: the id, times with their text and basis, offset, system, kind, severity, message, actor,
    ref, trace_id, attributes, count. The other columns describe the new import (source, position, locator, hash); what
    they were stands in the attribute ``exported``. In the incident that it was exported from, an event that still
    tells the same is not added again.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_timesketch(schema.empty("events"), Path(folder) / "events.csv").read_text().split(",")[:4]
    ['message', 'datetime', 'timestamp', 'timestamp_desc']
    """
    path = Path(path)
    frame = schema.check(events, "events", where="events to export")
    if path.suffix == ".jsonl":
        return files.write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(frame)))
    if path.suffix != ".csv":
        raise InputError(
            f"{path.name}: Timesketch imports files that end in .csv or .jsonl, not {shorten(path.suffix)}"
        )
    names = ["message", "datetime", "timestamp", "timestamp_desc", *map(_own, schema.COLUMNS["events"]), "rca_quoted"]
    names.remove("rca_message")
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, names, restval="")
    writer.writeheader()
    writer.writerows(map(_quoted, _rows(frame)))
    return files.write(path, out.getvalue())


def _own(name: str) -> str:
    return f"rca_{name}"


def _rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield events as Timesketch names them; what is empty is left out, but for what Timesketch requires."""
    kinds = schema.COLUMNS["events"]
    for values in frame.itertuples(index=False, name=None):
        event = dict(zip(frame.columns, values, strict=True))
        row: dict[str, Any] = {"message": event.pop("message"), "datetime": "", "timestamp_desc": event["kind"]}
        if not pd.isna(event["time"]):
            micros = event["time"].value // 1000
            shown = pd.Timestamp(micros * 1000, unit="ns", tz="UTC")
            row |= {"datetime": shown.isoformat(timespec="microseconds"), "timestamp": micros}
        for name, value in event.items():
            if kinds[name] == UTC:
                row[_own(name)] = "" if pd.isna(value) else value.isoformat(timespec="nanoseconds")
            elif kinds[name] == "timedelta64[ns]":
                row[_own(name)] = value.value or ""
            elif kinds[name] in ("int64", "Int64"):
                row[_own(name)] = "" if pd.isna(value) else int(value)
            else:
                row[_own(name)] = value
        yield {name: value for name, value in row.items() if value != "" or name in ("message", "datetime")}


def _quoted(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of which no text is a formula to a spreadsheet."""
    names = [name for name, value in row.items() if isinstance(value, str) and value.startswith(FORMULA)]
    return row | {name: f"'{row[name]}" for name in names} | ({"rca_quoted": " ".join(names)} if names else {})

"""What kind of export a file is, and how its fields map: proposed from its beginning, shown, never taken silently."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rca import files
from rca.errors import InputError
from rca.incident.model import Source
from rca.sources import documents, formats, likely
from rca.sources.batches import READERS
from rca.sources.items import Head, Reject
from rca.sources.stored import connection

__all__ = ["guess", "head", "reader", "sample", "shape"]

HEAD = 2**16
WHOLE = 2**27  # a JSON document is looked at whole up to this size
_SAMPLE = 200
# Column of a table -> names of fields that mean it, most specific first; compared in lower case.
_EVENT_NAMES: Mapping[str, Sequence[str]] = {
    "time": (
        "@timestamp", "timestamp", "time", "ts", "datetime", "date", "occurred_at", "event_time", "eventtime",
        "created_at", "created", "at", "fired_at", "deployed_at", "changed_at", "start", "started_at", "starts_at",
    ),
    "system": (
        "system", "service", "service_name", "service.name", "component", "app", "application", "job", "host",
        "hostname", "source",
    ),
    "severity": ("severity", "level", "loglevel", "log.level", "levelname", "priority"),
    "message": ("message", "msg", "text", "summary", "description", "title", "event", "body", "note"),
    "actor": ("actor", "user", "author", "who", "username", "deployed_by", "changed_by", "user.name"),
    "ref": ("ref", "version", "commit", "sha", "key", "ticket", "ticket_id", "run_id"),
    "kind": ("kind", "event_type", "type"),
    "trace_id": ("trace_id", "traceid", "trace.id", "trace"),
}  # fmt: skip
_METRIC_NAMES: Mapping[str, Sequence[str]] = {
    "time": _EVENT_NAMES["time"],
    "system": _EVENT_NAMES["system"],
    "metric": ("metric", "metric_name", "name", "measure", "__name__"),
    "value": ("value", "val", "v", "reading"),
}
_SPAN_NAMES: Mapping[str, Sequence[str]] = {
    "trace_id": ("trace_id", "traceid"),
    "span_id": ("span_id", "spanid"),
    "parent_id": ("parent_id", "parent_span_id", "parentspanid"),
    "system": _EVENT_NAMES["system"],
    "name": ("name", "operation", "operationname"),
    "time": ("start_time", "starttime", *_EVENT_NAMES["time"]),
    "status": ("status", "status_code"),
}
_DURATION_NAMES: Mapping[str, Sequence[str]] = {  # those that say their unit; that of others is for a person to say
    "s": ("duration_s", "duration_seconds"),
    "ms": ("duration_ms", "durationms", "duration_millis"),
    "us": ("duration_us", "duration_micros", "durationmicros"),
    "ns": ("duration_ns", "duration_nano", "durationnano", "duration_nanos", "durationnanos"),
}
_EDGE_NAMES: Mapping[str, Sequence[str]] = {
    "cause": ("cause", "upstream"),
    "effect": ("effect", "downstream"),
}
_NAMES = {"events": _EVENT_NAMES, "metrics": _METRIC_NAMES, "spans": _SPAN_NAMES, "dependencies": _EDGE_NAMES}
_DIGITS = {10: "epoch_s", 13: "epoch_ms", 16: "epoch_us", 19: "epoch_ns"}


def head(path: Path) -> Head:
    """Return the beginning of a file, by which formats are told apart.

    Raises
    ------
    InputError
        If the file is not there, is no plain file, or is empty.
    """
    files.check_plain(path)
    with files.opened(path) as handle:
        data = handle.read(HEAD)
    if not data.strip():
        raise InputError(f"{path}: the file is empty")
    _check_unpacked(path, data)
    text = data.decode("utf-8-sig", "replace")
    names: tuple[str, ...] = ()
    document = None
    if data[:4] == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(path) as archive:
                names = tuple(archive.namelist()[: documents.MAX_MEMBERS])
        except (zipfile.BadZipFile, OSError):
            names = ()
    elif text.lstrip()[:1] in ("{", "["):
        document = _document(path, text)
    elif data[:4] != b"PAR1":
        row = next(csv.reader(io.StringIO(text.splitlines()[0])), []) if text.splitlines() else []
        names = tuple(name.strip() for name in row)
    return Head(files.unpacked(path).name, text, data, document, names)


def _check_unpacked(path: Path, data: bytes) -> None:
    """Raise if a gzip file holds what cannot be read from its beginning to its end, or is several files."""
    kinds = {"a zip archive": b"PK\x03\x04", "a Parquet file": b"PAR1", "a SQLite file": b"SQLite format 3\0"}
    found = [kind for kind, magic in kinds.items() if data.startswith(magic)]
    found += ["a tar archive"] if data[257:262] == b"ustar" else []
    with path.open("rb") as handle:
        packed = handle.read(len(files.GZIP)) == files.GZIP
    if packed and found:
        raise InputError(f"{path.name}: holds {found[0]}; unpack it first")


def _document(path: Path, text: str) -> Any:
    """Return the JSON document that a file is, or its first object when it is JSON lines."""
    first = text.lstrip().splitlines()[0]
    try:
        alone = documents.json_text(first)
    except InputError:
        alone = None
    rest = text.lstrip()[len(first) :].strip()
    if alone is not None and rest:
        return alone
    try:
        return documents.document(path, limit=WHOLE)
    except InputError:
        return alone


def reader(beginning: Head) -> str:
    """Return the name of the format, or of the plain reader, that reads a file.

    Raises
    ------
    InputError
        If several formats take it for theirs, or none and it is no plain table.
    """
    found = [form.name for form in formats.every() if form.recognise(beginning)]
    if len(found) > 1:
        raise InputError(f"{beginning.name}: may be {' or '.join(found)}; say which with --reader")
    if found:
        return found[0]
    if beginning.data[:4] == b"PAR1":
        return "parquet"
    if isinstance(beginning.document, list):
        return "json"
    if isinstance(beginning.document, dict):
        return "jsonl" if len(beginning.text.strip().splitlines()) > 1 and _is_lines(beginning.text) else "json"
    if len(beginning.names) > 1 or any(mark in beginning.text[:200] for mark in ";\t|"):
        return "csv"
    known = ", ".join([*READERS, *formats.NAMES])
    raise InputError(f"{beginning.name}: not recognised; say --reader, one of {known}")


def _is_lines(text: str) -> bool:
    try:
        return isinstance(documents.json_text(text.lstrip().splitlines()[0]), dict)
    except InputError:
        return False


def guess(path: Path, source: Source) -> dict[str, Any]:
    """Return how the fields of a plain file seem to map: parts of an entry in ``incident.yaml``.

    Parameters
    ----------
    path : Path
        A CSV, JSON, JSON lines or Parquet file.
    source : Source
        With its reader, and whatever is already known; nothing of that is guessed.

    Returns
    -------
    dict
        ``table``, ``columns``, ``time``, ``duration``, ``records``, ``delimiter``, ``constant``, as far as names and
        values say.
    """
    out = shape(path, source)
    records = sample(path, source.model_copy(update=out))
    names = list(dict.fromkeys(name for record in records for name in _names(record)))
    table, wanted = _table(names, source.table if "table" in source.model_fields_set else "")
    columns = {
        column: field for column, spelled in wanted.items()
        if column not in source.columns and column not in source.constant and (field := _first(spelled, names))
    }  # fmt: skip
    if table == "dependencies" and not columns and (pair := likely.edge(names, likely.CALLS)):
        columns = {name: part for name, part in zip(wanted, pair, strict=True) if name not in source.columns}
    out |= {"table": table, "columns": columns}
    if table == "spans" and "duration" not in source.constant:
        for unit, field in _durations(source.columns.get("duration", names)):
            columns["duration"], out["duration"] = field, {"unit": unit}
    field = columns.get("time") or (source.columns.get("time") or [""])[0]
    form = _form(value for record in records if (value := _value(record, field)) not in (None, ""))
    if form != "iso8601":
        out["time"] = {"format": form}
    said = "kind" in source.constant or "kind" in source.columns
    if table == "events" and not said and not _kinds(records, columns.get("kind", "")):
        columns.pop("kind", None)
        out["columns"] = columns
        if "severity" in columns and not likely.kind_field(records)[0]:
            out["constant"] = {"kind": "log"}
    return out


def shape(path: Path, source: Source) -> dict[str, Any]:
    """Return the delimiter of a CSV file and the pointer to the records of a JSON document, where they are not usual.

    Parameters
    ----------
    path : Path
        The file.
    source : Source
        With its reader.
    """
    out: dict[str, Any] = {}
    if source.reader == "csv":
        with files.opened(path) as handle:
            first = handle.readline(HEAD).decode("utf-8-sig", "replace")
        mark = max(",;\t|", key=first.count)
        out |= {"delimiter": mark} if mark != "," and first.count(mark) else {}
    if source.reader == "json":
        content = documents.document(path)
        inner = (
            [
                name
                for name, value in content.items()
                if isinstance(value, list) and value and isinstance(value[0], dict)
            ]
            if isinstance(content, dict)
            else []
        )
        out |= {"records": f"/{inner[0]}"} if len(inner) == 1 else {}
    return out


def sample(path: Path, source: Source) -> list[dict[str, Any]]:
    """Return the first records of a plain file, with the delimiter and records pointer that the source has."""
    with connection() as duck:
        batch = next(iter(READERS[source.reader](path, source, duck)), None)
    if batch is None:
        return []
    found = [documents.json_text(text) for text in batch.texts[:_SAMPLE].to_pylist() if text.strip()]
    return [record for record in found if isinstance(record, dict) and not isinstance(record, Reject)]


def _names(record: Mapping[str, Any], prefix: str = "", depth: int = 2) -> Iterable[str]:
    for name, value in record.items():
        yield prefix + name
        if isinstance(value, dict) and depth:
            yield from _names(value, f"{prefix}{name}.", depth - 1)


def _table(names: Sequence[str], said: str) -> tuple[str, Mapping[str, Sequence[str]]]:
    """Return the table that is said, or that field names speak for, and what its columns may be called."""
    if said:
        return said, _NAMES[said]
    if _first(_SPAN_NAMES["span_id"], names) and _first(_SPAN_NAMES["parent_id"], names):
        return "spans", _SPAN_NAMES
    if (
        _first(_METRIC_NAMES["value"], names)
        and _first(_METRIC_NAMES["metric"], names)
        and _first(_METRIC_NAMES["time"], names)
    ):
        return "metrics", _METRIC_NAMES
    if _first(_EDGE_NAMES["cause"], names) and _first(_EDGE_NAMES["effect"], names):
        return "dependencies", _EDGE_NAMES
    if likely.edge(names, (*likely.CALLS, *likely.EITHER)) and not _first(_EVENT_NAMES["time"], names):
        return "dependencies", _EDGE_NAMES
    return "events", _EVENT_NAMES


def _durations(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the unit and the field of how long spans took, as a list of one or none."""
    found = [(unit, field) for unit, spelled in _DURATION_NAMES.items() if (field := _first(spelled, names))]
    return found[:1]


def _first(spelled: Sequence[str], names: Sequence[str]) -> str:
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in spelled if name in lower), "")


def _value(record: Mapping[str, Any], name: str) -> Any:
    if name in record:
        return record[name]
    first, dot, rest = name.partition(".")
    inner = record.get(first)
    return _value(inner, rest) if dot and isinstance(inner, dict) else None


def _form(values: Iterable[Any]) -> str:
    """Return the form of times that are counts, where the number of digits says the unit; else ISO 8601."""
    found = set()
    for value in values:
        match = re.fullmatch(r"(\d+)(\.\d+)?", str(value), re.ASCII)
        if not match:
            return "iso8601"
        found.add(_DIGITS.get(len(match[1]), ""))
    return found.pop() if len(found) == 1 and "" not in found else "iso8601"


def _kinds(records: Sequence[Mapping[str, Any]], field: str) -> bool:
    """Return whether a field holds kinds of events as the vocabulary has them."""
    from rca import vocabulary

    known = vocabulary.ids("event_kinds")
    return bool(field) and all(_value(record, field) in known for record in records)

"""One export to one table of the schema, by the mapping in ``incident.yaml``: no code, no guessing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from rca import schema, times, vocabulary
from rca.errors import InputError, UnknownName, did_you_mean, raise_all, shorten
from rca.incident.model import Source
from rca.sources.raw import Raw, fingerprint, has, lookup

__all__ = ["MAPPABLE", "apply"]

MAPPABLE = {
    "events": (
        "time", "time_end", "time_earliest", "time_latest", "system", "kind", "severity", "message", "actor", "ref",
        "trace_id",
    ),
    "metrics": ("time", "system", "metric", "value"),
    "dependencies": ("cause", "effect"),
    "spans": ("trace_id", "span_id", "parent_id", "system", "name", "time", "status"),
}  # fmt: skip
_TIMES = ("time", "time_end", "time_earliest", "time_latest")
_NUMBER = re.compile(
    r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?|[-+]?inf(?:inity)?|nan", re.ASCII | re.IGNORECASE
)
_LISTED = 5


def apply(raw: Raw, source: Source) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of `raw` in the table that `source` names, and notes on what was found.

    Parameters
    ----------
    raw : Raw
        Records of one export.
    source : Source
        Its entry in ``incident.yaml``.

    Returns
    -------
    table : DataFrame
        Checked against the schema.
    notes : list of str
        What was understood only in part.

    Raises
    ------
    InputError
        Every row that cannot be read, by number, up to a few of each kind.
    """
    where = source.file
    fields = _fields(raw, source)
    if not raw.records:
        return schema.empty(source.table), []
    frame = pd.DataFrame(_columns(raw, source, fields), index=range(len(raw.records)))
    texts = frame["time"].map(_text) if "time" in frame else pd.Series("", index=frame.index, dtype=object)
    basis = [times.zone_basis(value, source.time.format) for value in frame["time"]] if "time" in frame else ""
    for name in frame.columns:
        if name in _TIMES:
            frame[name] = times.parse_column(
                frame[name],
                form=source.time.format,
                zone_name=source.time.zone,
                where=where,
                rows=raw.positions,
                unit=raw.unit,
            )
        elif schema.COLUMNS[source.table][name] == schema.TEXT:
            frame[name] = frame[name].map(_text).str.strip()
    frame["source"] = source.id
    if source.table == "events":
        return _events(frame.assign(time_text=texts, zone_basis=basis), raw, source, fields)
    _filled(frame, raw, source)
    notes = _numbers(frame, raw, source) if source.table == "metrics" else []
    return schema.check(frame, source.table, where=where), notes


def _all_fields(raw: Raw) -> list[str]:
    return list(dict.fromkeys(name for record in raw.records for name in record))


def _fields(raw: Raw, source: Source) -> dict[str, list[str]]:
    """Return column of the table -> fields of the export, and refuse names that do not exist."""
    allowed = MAPPABLE[source.table]
    named = {*source.columns, *source.constant, *source.values}
    table = f"incident.yaml: source {source.id!r}: table {source.table!r}"
    problems = [
        f"{table} has no column {shorten(name)}{did_you_mean(name, allowed)}"
        for name in sorted(named.difference(allowed))
    ]
    raise_all(problems, UnknownName)
    fields = dict(source.columns)
    if not raw.records:
        return fields
    present = _all_fields(raw)
    for name in allowed:
        if name not in fields and name not in source.constant and name in present:
            fields[name] = [name]
    wanted = [part for parts in fields.values() for part in parts] + ([source.native_id] if source.native_id else [])
    absent = [part for part in wanted if not any(has(record, part) for record in raw.records)]
    problems = [
        f"{source.file}: source {source.id!r}: no field {shorten(part)}{did_you_mean(part, present)}" for part in absent
    ]
    if absent and len(raw.records) == 1:
        problems += [
            f"{source.file}: are the records below {name!r}? then say records: /{name}"
            for name, value in raw.records[0].items()
            if isinstance(value, list) and value and isinstance(value[0], dict)
        ]
    raise_all(problems, UnknownName)
    problems = [
        f"{source.file}: source {source.id!r} has nothing for {name!r}; say columns: {{{name}: FIELD}} or constant:"
        f" {{{name}: ...}}{did_you_mean(name, present)}"
        for name in dict.fromkeys([*schema.REQUIRED[source.table], *source.values])
        if name not in fields and name not in source.constant
    ]
    raise_all(problems)
    return fields


def _columns(raw: Raw, source: Source, fields: dict[str, list[str]]) -> dict[str, pd.Series]:
    """Return the columns as they stand in the export, constants added and words replaced."""
    columns = {name: _column(raw, parts) for name, parts in fields.items()}
    columns |= {name: pd.Series([value] * len(raw.records), dtype=object) for name, value in source.constant.items()}
    for name, words in source.values.items():
        columns[name] = pd.Series([words.get(_text(value), value) for value in columns[name]], dtype=object)
    return columns


def _column(raw: Raw, parts: Sequence[str]) -> pd.Series:
    if len(parts) == 1:
        return pd.Series([lookup(record, parts[0]) for record in raw.records], dtype=object)
    texts = [" ".join(filter(None, (_text(lookup(record, part)) for part in parts))) for record in raw.records]
    return pd.Series(texts, dtype=object)


def _text(value: Any) -> str:
    """Return one value as text that can be written as UTF-8, whatever the export holds."""
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    text = _json(value) if isinstance(value, (dict, list)) else str(value)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # JSON can hold half of a surrogate pair, as of an emoji that was cut in two
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _json(value: Any) -> str:
    """Return JSON; numbers that JSON does not have become null."""
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, sort_keys=True, default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _filled(frame: pd.DataFrame, raw: Raw, source: Source) -> None:
    """Raise where a text that the table requires is empty."""
    problems = []
    for name in schema.REQUIRED[source.table]:
        if schema.COLUMNS[source.table][name] == schema.TEXT:
            empty = [position for text, position in zip(frame[name], raw.positions, strict=True) if not text]
            if empty:
                more = f" ({len(empty)} such {raw.unit}s)" if len(empty) > 1 else ""
                problems.append(f"{source.file}: {raw.unit} {empty[0]}: {name!r} is empty{more}")
    raise_all(problems)


def _numbers(frame: pd.DataFrame, raw: Raw, source: Source) -> list[str]:
    """Turn metric values into numbers in place of their text; return notes."""
    values, problems, infinite = [], [], 0
    for value, position in zip(frame["value"], raw.positions, strict=True):
        text = _text(value).strip()
        if text and not _NUMBER.fullmatch(text):
            problems.append(f"{source.file}: {raw.unit} {position}: value {shorten(text)} is not a number")
            continue
        number = float(text or math.nan) * source.scale
        infinite += math.isinf(number)
        values.append(math.nan if math.isinf(number) else number)
    if len(problems) > _LISTED:
        problems[_LISTED:] = [f"{source.file}: and {len(problems) - _LISTED} more {raw.unit}s like these"]
    raise_all(problems)
    frame["value"] = pd.Series(values, index=frame.index, dtype="float64")
    notes = [f"{infinite} infinite values taken as missing"] if infinite else []
    missing = int(frame["value"].isna().sum()) - infinite
    notes += [f"{missing} values are empty"] if missing else []
    keys = frame.duplicated(["time", "system", "metric"]).sum()
    return [*notes, f"{keys} values repeat a time of the same system and metric"] if keys else notes


def _events(
    frame: pd.DataFrame, raw: Raw, source: Source, fields: dict[str, list[str]]
) -> tuple[pd.DataFrame, list[str]]:
    """Complete event rows: id, kind, severity, attributes, place; fold identical records into one."""
    used = {part for parts in fields.values() for part in parts}
    frame["message"] = frame["message"].where(frame["message"] != "", "(no text)")
    _kinds(frame["kind"], raw, source)
    words = frame["severity"].map(_text) if "severity" in frame else pd.Series("", index=frame.index, dtype=object)
    numbers = words.map(schema.severity_number)
    frame["severity"] = pd.array([None if pd.isna(number) else int(number) for number in numbers], dtype="Int64")
    unknown = sorted(set(words[numbers.isna() & (words.str.strip() != "")]))
    shown = ", ".join(shorten(word, 20) for word in unknown[:_LISTED])
    notes = [f"severity words not understood: {shown}"] if unknown else []
    rest = [{name: value for name, value in record.items() if name not in used} for record in raw.records]
    frame["attributes"] = [_text(item) if item else "" for item in rest]
    frame["position"] = raw.positions
    frame["locator"] = [raw.place(number) for number in range(len(raw.records))]
    frame["raw_sha256"] = [fingerprint(record) for record in raw.records]
    frame["event_id"] = _ids(frame["raw_sha256"].tolist(), raw, source)
    frame["count"] = frame.groupby("event_id")["event_id"].transform("size")
    return schema.check(frame.drop_duplicates("event_id"), "events", where=source.file), notes


def _ids(contents: list[str], raw: Raw, source: Source) -> list[str]:
    """Return an id an event: from its native id, else from its content; refuse an id with two contents."""
    field = source.native_id
    own = [_text(lookup(record, field)) if field else "" for record in raw.records]
    first: dict[str, int] = {}
    problems = []
    keys = [f"id:{native}" if native else f"raw:{content}" for native, content in zip(own, contents, strict=True)]
    for number, key in enumerate(keys):
        before = first.setdefault(key, number)
        if contents[before] != contents[number]:
            problems.append(
                f"{source.file}: {raw.unit} {raw.positions[number]}: duplicate id {shorten(own[number])}: a different"
                f" record than {raw.unit} {raw.positions[before]}"
            )
    raise_all(problems[:_LISTED])
    return [fingerprint({"source": source.id, "key": key})[:16] for key in keys]


def _kinds(kinds: pd.Series, raw: Raw, source: Source) -> None:
    """Raise with the place where each unknown kind of event first stands."""
    first: dict[str, int] = {}
    for position, kind in zip(raw.positions, kinds, strict=True):
        first.setdefault(kind, position)
    known = vocabulary.ids("event_kinds")
    unknown = [kind for kind in first if kind not in known]
    problems = []
    for kind in unknown[:_LISTED]:
        try:
            vocabulary.check(kind, "event_kinds", where=f"{source.file}: {raw.unit} {first[kind]}")
        except InputError as error:
            problems.append(str(error))
    raise_all(problems, UnknownName)

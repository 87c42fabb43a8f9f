"""One export to one table of the schema, by the mapping in ``incident.yaml``: no code, no guessing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from rca import schema, times, vocabulary
from rca.errors import InputError, RcaError, UnknownName, did_you_mean, raise_all, shorten
from rca.incident.model import Source
from rca.sources.raw import Raw, fingerprint, lookup

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
    columns = {name: _column(raw, source, name, parts) for name, parts in fields.items()}
    columns |= {name: pd.Series([value] * len(raw.records), dtype=object) for name, value in source.constant.items()}
    for name, words in source.values.items():
        if name in columns:
            columns[name] = columns[name].map(lambda value, words=words: words.get(str(value), value))
    frame = pd.DataFrame(columns, index=range(len(raw.records)))
    missing = [name for name in schema.REQUIRED[source.table] if name not in frame.columns]
    raise_all(
        [
            f"{where}: source {source.id!r} has nothing for {name!r}; say columns: {{{name}: FIELD}} or constant:"
            f" {{{name}: ...}} (fields: {', '.join(_all_fields(raw)[:12]) or 'none, the export is empty'})"
            for name in missing
        ]
        if raw.records
        else []
    )
    texts = frame["time"].map(_text) if "time" in frame else pd.Series("", index=frame.index, dtype=object)
    for name in _TIMES:
        if name in frame:
            frame[name] = times.parse_column(
                frame[name], form=source.time.format, zone_name=source.time.zone, where=where, rows=raw.positions
            )
    frame["source"] = source.id
    if source.table == "events":
        return _events(frame, raw, source, fields, texts)
    notes = _numbers(frame, raw, source) if source.table == "metrics" else []
    return schema.check(frame, source.table, where=where), notes


def _all_fields(raw: Raw) -> list[str]:
    return list(dict.fromkeys(name for record in raw.records for name in record))


def _fields(raw: Raw, source: Source) -> dict[str, list[str]]:
    """Return column of the table -> fields of the export, and refuse names that do not exist."""
    allowed = MAPPABLE[source.table]
    named = {*source.columns, *source.constant, *source.values}
    problems = [
        f"incident.yaml: source {source.id!r}: table {source.table!r} has no column {name!r}{did_you_mean(name, allowed)}"
        for name in sorted(named.difference(allowed))
    ]
    raise_all(problems, UnknownName)
    fields = {name: [parts] if isinstance(parts, str) else parts for name, parts in source.columns.items()}
    present = _all_fields(raw)
    for name in allowed:
        if name not in fields and name not in source.constant and name in present:
            fields[name] = [name]
    wanted = [part for parts in fields.values() for part in parts] + ([source.native_id] if source.native_id else [])
    absent = [part for part in wanted if raw.records and all(lookup(record, part) is None for record in raw.records)]
    absent = [part for part in absent if not any(part in record for record in raw.records)]
    raise_all(
        [f"{source.file}: source {source.id!r}: no field {part!r}{did_you_mean(part, present)}" for part in absent],
        UnknownName,
    )
    return fields


def _column(raw: Raw, source: Source, name: str, parts: Sequence[str]) -> pd.Series:
    if len(parts) == 1:
        return pd.Series([lookup(record, parts[0]) for record in raw.records], dtype=object)
    texts = [" ".join(filter(None, (_text(lookup(record, part)) for part in parts))) for record in raw.records]
    return pd.Series(texts, dtype=object)


def _text(value: Any) -> str:
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, (dict, list)) else str(value)


def _numbers(frame: pd.DataFrame, raw: Raw, source: Source) -> list[str]:
    """Turn metric values into numbers in place of their text; return notes."""
    values, problems, infinite = [], [], 0
    for value, position in zip(frame.get("value", ()), raw.positions, strict=False):
        text = _text(value).strip()
        try:
            number = float(text) if text else math.nan
        except ValueError:
            problems.append(f"{source.file}: {raw.unit} {position}: value {shorten(text)} is not a number")
            number = math.nan
        infinite += math.isinf(number)
        values.append(math.nan if math.isinf(number) else number * source.scale)
    if len(problems) > _LISTED:
        problems[_LISTED:] = [f"{source.file}: and {len(problems) - _LISTED} more rows like these"]
    raise_all(problems)
    frame["value"] = pd.Series(values, index=frame.index, dtype="float64")
    notes = [f"{infinite} infinite values taken as missing"] if infinite else []
    keys = frame.duplicated(["time", "system", "metric"]).sum() if len(frame) else 0
    return [*notes, f"{keys} values repeat a time of the same system and metric"] if keys else notes


def _events(
    frame: pd.DataFrame, raw: Raw, source: Source, fields: dict[str, list[str]], texts: pd.Series
) -> tuple[pd.DataFrame, list[str]]:
    """Complete event rows: id, kind, severity, attributes, place; fold identical records into one."""
    used = {part for parts in fields.values() for part in parts}
    frame["time_text"] = texts
    frame["zone_basis"] = [times.zone_basis(text, source.time.format) for text in texts]
    for name in ("system", "kind", "message", "actor", "ref", "trace_id"):
        frame[name] = frame[name].map(_text) if name in frame else ""
    frame["message"] = frame["message"].where(frame["message"] != "", "(no text)")
    _each(frame["kind"], raw, source, lambda word, where: vocabulary.check(word, "event_kinds", where=where))
    words = frame["severity"].map(_text) if "severity" in frame else pd.Series("", index=frame.index, dtype=object)
    numbers = words.map(schema.severity_number)
    frame["severity"] = pd.array([None if pd.isna(number) else int(number) for number in numbers], dtype="Int64")
    unknown = sorted(set(words[numbers.isna() & (words != "")]))
    notes = [f"severity words not understood: {', '.join(shorten(word, 20) for word in unknown[:5])}"] if unknown else []
    rest = [{name: value for name, value in record.items() if name not in used} for record in raw.records]
    frame["attributes"] = [json.dumps(item, ensure_ascii=False, sort_keys=True, default=str) if item else "" for item in rest]
    frame["position"] = raw.positions
    frame["locator"] = [raw.place(number) for number in range(len(raw.records))]
    frame["raw_sha256"] = [fingerprint(record) for record in raw.records]
    native = [_text(lookup(record, source.native_id)) for record in raw.records] if source.native_id else []
    frame["event_id"] = _ids(frame, native, source)
    frame["count"] = frame.groupby("event_id")["event_id"].transform("size") if len(frame) else 1
    return schema.check(frame.drop_duplicates("event_id"), "events", where=source.file), notes


def _ids(frame: pd.DataFrame, native: list[str], source: Source) -> list[str]:
    """Return an id an event: from its native id, else from its content; refuse an id with two contents."""
    keys = [f"id:{own}" if own else f"raw:{raw}" for own, raw in zip(native or [""] * len(frame), frame["raw_sha256"], strict=True)]
    contents = pd.Series(frame["raw_sha256"].to_numpy(), index=keys, dtype=object)
    several = contents.groupby(level=0).nunique()
    problems = [
        f"{source.file}: duplicate id {shorten(key.removeprefix('id:'))}: {source.native_id!r} names two different records"
        for key in several.index[several > 1]
    ]
    raise_all(problems[:_LISTED])
    return [fingerprint({"source": source.id, "key": key})[:16] for key in keys]


def _each(values: pd.Series, raw: Raw, source: Source, test: Callable[[str, str], object]) -> None:
    """Apply `test` to each distinct value; raise all problems with the row where each first stands."""
    problems = []
    for value in dict.fromkeys(values):
        number = int((values == value).to_numpy().argmax())
        try:
            test(value, f"{source.file}: {raw.unit} {raw.positions[number]}")
        except RcaError as error:
            problems.append(str(error))
    raise_all(problems[:_LISTED], InputError)

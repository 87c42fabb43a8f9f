"""What is known of the failure in words: texts of new errors, and names of metrics."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rca.records import Trace
from rca.systems.changes.effects import ERRORS, failure_kinds
from rca.systems.changes.words import named, words

__all__ = ["Failure", "find", "healthy"]

_WARNING = 13  # OpenTelemetry's first number of a warning
_HEALTHY = 20_000  # different healthy texts that are read
_ERRORS = 1000  # different texts of errors that are read
_CHANGING = r"\b[0-9a-f]{8,}\b|\d+"  # what differs between records of one text


@dataclass(frozen=True)
class Failure:
    """A text that tells of the failure: an error or a metric; when it began, and where."""

    text: str
    system: str
    first: pd.Timestamp
    words: frozenset[str]
    names: frozenset[str]  # those that the message gives as names of things, in quotes or brackets
    metric: bool  # the name of a metric: it ties an effect to the failure, but decides nothing


def _told(errors: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that tell of a failure: signals, if that was judged; warnings and errors, if that is known."""
    rows = errors[errors["text"].astype(str) != ""]
    if "verdict" in rows.columns:
        rows = rows[rows["verdict"] == "signal"]
    if "is_error" in rows.columns and "severity" in rows.columns:
        rows = rows[rows["is_error"].astype(bool) | (rows["severity"].astype("Float64") >= _WARNING).fillna(False)]
    return rows


def find(changes: pd.DataFrame, errors: pd.DataFrame | None, trace: Trace) -> list[Failure]:
    """Return the texts that tell of the failure: new errors with the fields of their first record, and metrics."""
    first = trace.candidates.iloc[0]
    names = [(trace.symptom[1], first["onset"]), (first["metric"], first["onset"])]
    if {"metric", "onset"} <= set(trace.deviations.columns):
        moved = trace.deviations[(trace.deviations["system"] == trace.first) & trace.deviations["onset"].notna()]
        names += list(zip(moved["metric"], moved["onset"], strict=True))
    out = [
        Failure(str(name), str(trace.first), at, frozenset(words(str(name))), frozenset(), True) for name, at in names
    ]
    began = first["onset"] - first["onset_error"]
    if errors is None:
        return out + _logged(changes, None, began)
    rows = _told(errors)
    fields = _fields(changes[changes["system"].isin(rows["system"])])
    for row in rows.to_dict("records"):
        message = str(row.get("example") or row["text"])
        rest = f"{row['text']} {fields.get((row['system'], message), '')}"
        out.append(_failure(message, rest, str(row["system"]), row.get("first", pd.NaT)))
    return out + _logged(changes, _unjudged(errors), began)


def _unjudged(errors: pd.DataFrame) -> set[str]:
    """Return the systems of whose texts it was not told whether they are new."""
    return set(errors.loc[errors["verdict"] == "not judged", "system"]) if "verdict" in errors.columns else set()


def _fields(changes: pd.DataFrame) -> Mapping[tuple[Any, Any], str]:
    """Return the attributes of the first log record with each (system, message)."""
    if "attributes" not in changes.columns:
        return {}
    logs = changes[changes["kind"] == "log"].drop_duplicates(["system", "message"])
    return dict(zip(zip(logs["system"], logs["message"], strict=True), logs["attributes"].astype(str), strict=True))


def _logged(events: pd.DataFrame, systems: Collection[str] | None, began: pd.Timestamp) -> list[Failure]:
    """Return the warnings and errors that were logged after the onset, with the time of the first record of each."""
    logs = events[(events["kind"] == "log") & events["time"].notna()].reset_index(drop=True)
    if systems is not None:
        logs = logs[logs["system"].isin(systems)]
    severity = logs["severity"].astype("Float64") if "severity" in logs.columns else pd.Series(pd.NA, logs.index)
    silent = logs.loc[severity.isna(), "message"].astype(str)
    failed = silent[[ERRORS in failure_kinds(text) for text in silent]].index
    logs = logs[(severity >= _WARNING).fillna(False).astype(bool) | logs.index.isin(failed)]
    masked = logs["message"].astype(str).str.replace(_CHANGING, "0", regex=True)
    logs = logs.assign(masked=masked).sort_values("time", kind="stable")
    lasting = set(zip(*(logs.loc[logs["time"] >= began, name] for name in ("system", "masked")), strict=True))
    out: list[Failure] = []
    for row in logs.drop_duplicates(["system", "masked"]).to_dict("records"):
        if (row["system"], row["masked"]) in lasting and len(out) < _ERRORS:
            out.append(_failure(str(row["message"]), str(row.get("attributes", "")), str(row["system"]), row["time"]))
    return out


def _failure(message: str, rest: str, system: str, first: pd.Timestamp) -> Failure:
    return Failure(message, system, first, frozenset(words(f"{message} {rest}")), frozenset(named(message)), False)


def healthy(events: pd.DataFrame, failures: Sequence[Failure]) -> list[set[str]]:
    """Return the words of each different text that was logged before anything failed."""
    began = min(one.first for one in failures if not pd.isna(one.first))
    logs = events[(events["kind"] == "log") & (events["time"] < began)]
    texts = logs["message"].astype(str)
    if "attributes" in logs.columns:
        texts = texts + " " + logs["attributes"].astype(str)
    return [words(text) for text in texts.str.replace(r"\d+", "0", regex=True).unique()[:_HEALTHY]]

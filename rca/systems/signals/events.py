"""What was found, as events of kind "signal"; and what could not be judged, with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from rca import schema
from rca.systems.signals.family import SIGNAL, UNJUDGED, identity
from rca.systems.signals.rates import ALL
from rca.wording import duration, plain

__all__ = ["as_events", "unjudged"]

_WARNING = 13  # OpenTelemetry's first number of a warning
_BAND_SEVERITY = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
_LONGEST = 300  # characters of a log message in a signal's own
_TEXT = 120  # the same where it stands for a metric


def as_events(onsets: pd.DataFrame, templates: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """Return the signals of three tables as events.

    Parameters
    ----------
    onsets, templates, rates : DataFrame
        From `metric_onsets`, `new_templates` and `rate_changes`.

    Returns
    -------
    DataFrame
        Schema ``events``, sorted by time: ``event_id`` (the same whenever the same is found), ``time`` (onset),
        ``time_earliest`` and ``time_latest`` (its 95 % interval; the first is empty if it had begun before the first
        value that can be compared), ``time_end``, ``system``, ``kind`` "signal", ``severity`` (that of the log
        records; 13, a warning, for metrics and for records that became fewer), ``message`` in plain words, ``ref``
        (metric, id of the template, or kind and severity of the records), ``source`` "analysis", and as
        ``attributes`` JSON with ``metric`` (what was measured), ``method``, ``p_value`` (adjusted), ``p_single``, ``m``
        (tests in the family), ``correction``, ``before``, ``during`` and what the table has besides.

    Notes
    -----
    When all records of a system fell silent, its single kinds give no events of their own.

    Examples
    --------
    >>> from rca.systems.signals import metric_onsets, new_templates, rate_changes
    >>> time = pd.date_range("2025-03-01", periods=600, freq="min", tz="UTC")
    >>> log = pd.DataFrame({"time": time, "kind": "log", "system": "api", "severity": 9, "source": "logs",
    ...                     "message": "ok"})
    >>> windows = ((time[0], time[480]), (time[480], time[599]))
    >>> nothing = metric_onsets(schema.empty("metrics"), windows)
    >>> found = pd.concat([log[:520], log.assign(system="db")])
    >>> as_events(nothing, new_templates(found, windows), rate_changes(found, windows))["message"].tolist()
    ['api wrote no info log records from 2025-03-01 08:39 UTC on, for 1 h 20 min (before: 59.88 an hour; chance ...)']
    """
    silent = set(rates.loc[(rates["kind"] == ALL) & (rates["change"] == "silent"), "system"])
    implied = rates["system"].isin(silent) & (rates["kind"] != ALL) & (rates["change"] == "silent")
    rows = [
        *_rows(onsets, _onset), *_rows(templates, _template), *_rows(rates[~implied], _rate),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).assign(kind="signal", source="analysis", zone_basis="explicit")
    table = table.sort_values(["time", "system", "event_id"], kind="stable", ignore_index=True)
    table["position"] = range(1, len(table) + 1)
    return schema.check(table, "events", where="signals")


_COLUMNS = (
    "event_id", "time", "time_end", "time_earliest", "time_latest", "system", "severity", "message", "ref",
    "attributes", "locator", "count",
)  # fmt: skip


def unjudged(onsets: pd.DataFrame, templates: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """Return what could not be judged, and why.

    Parameters
    ----------
    onsets, templates, rates : DataFrame
        From `metric_onsets`, `new_templates` and `rate_changes`.

    Returns
    -------
    DataFrame
        Columns ``question`` ("onset", "new text", "rate"), ``system``, ``series`` (metric, or kind and severity of
        records), ``reason``.

    Examples
    --------
    >>> from rca.systems.signals import metric_onsets, new_templates, rate_changes
    >>> time = pd.date_range("2025-03-01", periods=20, freq="min", tz="UTC")
    >>> table = pd.DataFrame({"time": time, "system": "db", "metric": "queue", "value": 1.0})
    >>> windows, none = ((time[0], time[4]), (time[4], time[19])), schema.empty("events")
    >>> unjudged(metric_onsets(table, windows), new_templates(none, windows), rate_changes(none, windows))["reason"][0]
    'only 4 values before; 6 are needed'
    """
    series = (rates["kind"] + " " + rates["severity"]).str.strip()
    asked = (("onset", onsets, onsets["metric"]), ("new text", templates, "log"), ("rate", rates, series))
    parts = [
        pd.DataFrame({"question": name, "system": table["system"], "series": what, "reason": table["note"]})
        for name, table, what in asked
    ]
    kept = [part[table["verdict"] == UNJUDGED] for part, table in zip(parts, (onsets, templates, rates), strict=True)]
    return pd.concat(kept, ignore_index=True).astype("str")


def _rows(table: pd.DataFrame, make: Callable[[Any], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in table[table["verdict"] == SIGNAL].itertuples(index=False):
        yield make(row)


def _attributes(row: Any, **fields: Any) -> str:
    """Return the attributes as JSON; what is missing is left out."""
    numbers = {"p_value": float(row.p_adjusted), "p_single": float(row.p_value), "m": int(row.m), "correction": "Holm"}
    known = {name: value for name, value in (fields | numbers).items() if value not in ("", None)}
    return json.dumps(known | ({"note": row.note} if row.note else {}), ensure_ascii=False, sort_keys=True)


def _chance(row: Any, what: str) -> str:
    """Return the adjusted p-value in words, with the number of tests that it counts."""
    size = "below 1e-6" if row.p_adjusted < 1e-6 else f"{row.p_adjusted:.1g}"
    return f"chance {size} over {row.m} {what}"


def _onset(row: Any) -> dict[str, Any]:
    """Return the event of a metric that left its level."""
    rate = " per second" if "rate per second" in row.note else ""
    how = ("rose" if row.during > row.before else "fell") + (" by and by" if row.shape == "ramp" else "")
    note = f"; {row.note}" if row.note else ""
    text = (f"{row.metric} of {row.system} {how} from {plain(row.before)} to {plain(row.during)}{rate} "
            f"({plain(abs(row.deviation))} robust standard deviations; {_chance(row, 'metrics')}{note})")  # fmt: skip
    return {
        "event_id": identity("onset", row.system, row.metric, row.onset.value, how), "time": row.onset,
        "time_end": row.until, "time_earliest": row.earliest, "time_latest": row.latest, "system": row.system,
        "severity": _WARNING,
        "message": text, "ref": row.metric, "locator": f"metric {row.metric} of {row.system}", "count": 1,
        "attributes": _attributes(
            row, metric=row.metric, method="rca.onset.find", before=row.before, during=row.during,
            deviation=row.deviation, shape=row.shape, until=row.until.isoformat(),
        ),
    }  # fmt: skip


def _template(row: Any) -> dict[str, Any]:
    """Return the event of a text that is new."""
    text = row.text if len(row.text) <= _LONGEST else row.text[:_LONGEST] + "…"
    what = "error" if row.is_error else "text"
    times = "once" if row.count == 1 else f"{plain(row.count)} times"
    usual = f"; {row.usual} new texts are usual in such a time" if not pd.isna(row.usual) else ""
    severity = None if pd.isna(row.severity) else int(row.severity)
    return {
        "event_id": identity("template", row.system, row.template, row.first.value), "time": row.first,
        "time_end": row.last, "time_earliest": row.first, "time_latest": row.first, "system": row.system,
        "severity": severity or (17 if row.is_error else _WARNING),
        "message": f"new {what} in the logs of {row.system}, {times}: {text} ({_chance(row, 'texts')}{usual})",
        "ref": row.template, "locator": f"log template {row.template} of {row.system}", "count": 1,
        "attributes": _attributes(
            row, metric=f"log text {row.text[:_TEXT]}", method="Drain; constant rate", before=0, during=int(row.count),
            records=int(row.count), parts=int(row.parts), example=row.example[:_LONGEST], text=row.text,
        ),
    }  # fmt: skip


def _rate(row: Any) -> dict[str, Any]:
    """Return the event of records that became more, fewer, or none."""
    series = "all" if row.kind == ALL else f"{row.kind} {row.severity}".strip()
    kind = "records" if row.kind == ALL else f"{row.severity} {row.kind} records".strip()
    end = f"; {row.note}" if row.note else ""
    span = duration(row.until - row.onset)
    if row.change == "silent":
        text = (f"{row.system} wrote no {kind} from {plain(row.onset)} on, for {span} "
                f"(before: {plain(row.before)} an hour; {_chance(row, 'series')}{end})")  # fmt: skip
    else:
        text = (f"{row.system} wrote {row.change} {kind}: {plain(row.during)} an hour for {span}, "
                f"{plain(row.before)} before ({_chance(row, 'series')}{end})")  # fmt: skip
    severity = _BAND_SEVERITY.get(row.severity, _WARNING) if row.change == "more" else _WARNING
    return {
        "event_id": identity("rate", row.system, series, row.onset.value, row.change), "time": row.onset,
        "time_end": row.until, "time_earliest": row.earliest, "time_latest": row.latest, "system": row.system,
        "severity": severity, "message": text, "ref": series,
        "locator": f"records of {row.system}: {series}", "count": 1,
        "attributes": _attributes(
            row, metric=f"{kind} an hour", method="conditional binomial with dispersion", before=row.before,
            during=row.during, dispersion=row.dispersion, change=row.change, until=row.until.isoformat(),
        ),
    }  # fmt: skip

"""What was not seen: where exports are silent, and how long a sign in the data stood before an alert."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from rca import times
from rca.errors import InputError, raise_all
from rca.schema import alert_state, attributes
from rca.systems.timeline.interval import bounds, difference, spans, when

__all__ = ["detection_gap", "gaps"]

NO_ALERT = "no alert on it in these exports"
_SPEAKS = 5  # typical steps: a longer step is silence
_ENOUGH = 10  # distinct times, before a step can be called typical
_SPANS = ("typical_step", "largest_gap")
_FLOOR = pd.Timestamp(0, tz="UTC")


def gaps(
    events: pd.DataFrame, metrics: pd.DataFrame, window: tuple[pd.Timestamp, pd.Timestamp] | None = None
) -> pd.DataFrame:
    """Return where each source is silent, and how much of the window it covers.

    Parameters
    ----------
    events, metrics : DataFrame
        Schema ``events`` and ``metrics``.
    window : tuple of Timestamp, optional
        Incident window; silence at its edges counts. Default: the time between a source's own first and
        last record.

    Returns
    -------
    DataFrame
        Indexed by ``source``; columns ``records`` (events and measured values with a time, in the window),
        ``times`` (distinct times of these), ``typical_step`` (median between distinct times), ``largest_gap``,
        ``gap_start``, ``gap_end``, ``unusual`` (the gap is over five typical steps of a source with at least ten
        distinct times), ``coverage`` (share of the window that lies within two and a half typical steps of a record,
        so that a gap counts as silence from five steps on; empty below ten distinct times).

    Notes
    -----
    Silence is not health: an export with no errors in a gap may be an export that failed. Nor does coverage say
    that all was exported; only that the source was not silent for unusually long. Without a window ``records`` is what
    the import report has as rows kept, less those without a time and those that became dependencies. Which records
    stand out of order is in the import report.
    """
    every = pd.concat([events[["source", "time"]], metrics[["source", "time"]]]).dropna()
    shown = every if window is None else every[(every["time"] >= window[0]) & (every["time"] < window[1])]
    records = shown["source"].value_counts()
    stamps = every.drop_duplicates()
    rows = []
    for source, group in stamps.groupby("source"):
        seen = group["time"].sort_values()
        inside = seen if window is None else seen[(seen >= window[0]) & (seen < window[1])]
        edges = inside if window is None else pd.concat([pd.Series([window[0]]), inside, pd.Series([window[1]])])
        steps = edges.diff().dropna()
        if steps.empty:
            continue
        typical = seen.diff().median()
        end = int(steps.to_numpy().argmax()) + 1
        widest = steps.max()
        many = len(seen) >= _ENOUGH
        share = _coverage(seen, typical, (edges.iloc[0], edges.iloc[-1])) if many else np.nan
        unusual = bool(many and widest > _SPEAKS * typical)
        gap = (typical, widest, edges.iloc[end - 1], edges.iloc[end], unusual, share)
        rows.append((source, records.get(source, 0), len(inside), *gap))
    columns = ["source", "records", "times", *_SPANS, "gap_start", "gap_end", "unusual", "coverage"]
    kinds = dict.fromkeys(_SPANS, "timedelta64[ns]") | dict.fromkeys(["gap_start", "gap_end"], times.UTC)
    kinds |= {"records": "int64", "times": "int64", "unusual": "bool", "coverage": "float64"}
    return pd.DataFrame(rows, columns=columns).astype(kinds).set_index("source")


def _coverage(seen: pd.Series, typical: pd.Timedelta, window: tuple[pd.Timestamp, pd.Timestamp]) -> float:
    """Return the share of `window` that lies within half of five typical steps of a record; `seen` is sorted."""
    first, last = ((edge - _FLOOR).value for edge in window)
    half = typical.value * _SPEAKS // 2
    at = _ns(seen)
    start, end = (np.clip(edge, first, last) for edge in (at - half, at + half))
    covered = np.minimum(end, np.append(start[1:], last)) - start
    return float(covered.clip(0).sum() / (last - first))


def _ns(column: pd.Series) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(column.astype(times.UTC).astype("int64"), dtype=np.int64)


def detection_gap(
    events: pd.DataFrame,
    signals: pd.DataFrame | None,
    milestones: pd.DataFrame,
    monitors: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return how long the first sign in the data stood before the first alert, and what could have seen it.

    A sign is an event of kind ``signal``: its system, and its attribute ``metric``, or else its ``ref``. For the
    whole incident it is the earlier of the first such event and the milestone *first_signal*. The alert is
    the first of kind ``alert`` that does not surely precede the sign and that fires: whose attribute ``state`` or
    ``status`` does not say that it ended, waits or was taken on.

    Parameters
    ----------
    events : DataFrame
        Schema ``events``: the alerts, and the signals if they are merged into the timeline.
    signals : DataFrame or None
        Schema ``events``: more events of kind ``signal``.
    milestones : DataFrame
        From `rca.timeline.milestones`.
    monitors : DataFrame, optional
        What was watched: columns ``name``, ``system``, ``metric`` (empty: all of the system).

    Returns
    -------
    DataFrame
        First the row of the whole incident (``scope`` "incident"), then one a system and metric that showed a
        sign (``scope`` "signal"), earliest first. Columns ``scope``, ``system``, ``metric``, ``sign`` (what
        it is and when, in words), ``sign_earliest``, ``sign_latest``, ``alert`` (system, name and time of the
        first alert after it: in the row of the incident of any system, else of the same system),
        ``alert_time``, ``low`` and ``high`` (Timedelta; ``low`` is never below zero), ``seen_by`` (which alerts
        and monitors could have seen it, or "no alert on it in these exports"), ``note`` ("not computable: ...").

    Raises
    ------
    InputError
        If monitors lack a column, or attributes of an alert or signal are no JSON object.

    Notes
    -----
    An alert is taken to watch a metric when its attribute ``metric`` says so or its name (``ref``) or text has the
    metric's name as a word. That none is found means just that: exports do not hold the rules that never
    fired. Which alert belongs to the sign is not known; the first one after it may be about something else. Where
    an alert lies within the interval of a sign it may have come before it, and a note says so.

    Examples
    --------
    >>> from rca import schema
    >>> from rca.systems.timeline.measure import milestones as table
    >>> at = times.parse("2025-01-01T09:00Z")
    >>> rows = pd.DataFrame({"time": [at, at + pd.Timedelta("2h")], "kind": ["signal", "alert"], "system": "model",
    ...                      "ref": ["recall", "DisputesHigh"], "message": ["recall fell", "disputes rose"]})
    >>> none = pd.DataFrame(columns=["time", "earliest", "latest", "evidence", "note"])
    >>> detection_gap(schema.check(rows, "events"), None, table(none))[["metric", "high", "seen_by"]].values.tolist()[1]
    ['recall', Timedelta('0 days 02:00:00'), 'no alert on it in these exports; of model: DisputesHigh']
    """
    missing = [name for name in ("name", "system", "metric") if monitors is not None and name not in monitors.columns]
    raise_all([f"monitors: required column {name!r} is missing" for name in missing], InputError)
    kinds = events["kind"]
    alerts = _alerts(events[kinds == "alert"])
    signs = _signs(pd.concat([part for part in (events[kinds == "signal"], signals) if part is not None]))
    rows = [_incident(signs, alerts, milestones)]
    for sign in signs.to_dict("records"):
        own = alerts[alerts["system"] == sign["system"]]
        row = _first_after((sign["earliest"], sign["latest"]), own, f"of {sign['system'] or 'no system'} ")
        words = f"signal at {when(sign['earliest'], sign['latest'])}"
        seen = _seen_by(sign["system"], sign["metric"], own, monitors)
        where = {"scope": "signal", "system": sign["system"], "metric": sign["metric"], "sign": words}
        rows.append(where | row | {"seen_by": seen})
    columns = ["scope", "system", "metric", "sign", "sign_earliest", "sign_latest", "alert", "alert_time"]
    typed = dict.fromkeys(["sign_earliest", "sign_latest", "alert_time"], times.UTC)
    out = pd.DataFrame(rows, columns=[*columns, "low", "high", "seen_by", "note"]).astype(typed)
    return out.assign(low=spans(out["low"]), high=spans(out["high"]))


def _incident(signs: pd.DataFrame, alerts: pd.DataFrame, milestones: pd.DataFrame) -> dict[str, Any]:
    """Return the row of the whole incident."""
    declared = tuple(milestones.loc["first_signal", ["earliest", "latest"]])
    where, limits, words = ("", ""), declared, f"milestone First signal at {when(*declared)}"
    if len(signs) and not signs["earliest"].iloc[0] >= declared[0]:  # also where none is declared
        first = signs.iloc[0]
        where, limits = (first["system"], first["metric"]), (first["earliest"], first["latest"])
        words = f"signal at {when(*limits)}"
    row = {"scope": "incident", "system": where[0], "metric": where[1], "seen_by": ""}
    if pd.isna(limits[0]):
        reason = "not computable: no signal in these exports, and First signal not known"
        return row | {"sign": "", "alert": "", "note": reason}
    return row | {"sign": words} | _first_after(limits, alerts, "")


def _first_after(sign: tuple[pd.Timestamp, pd.Timestamp], alerts: pd.DataFrame, of: str) -> dict[str, Any]:
    """Return the first alert that does not surely precede the sign, and the time between them."""
    row: dict[str, Any] = {"sign_earliest": sign[0], "sign_latest": sign[1], "alert": ""}
    after = alerts[alerts["latest"] >= sign[0]]
    if after.empty:
        why = "in these exports" if alerts.empty else "after it in these exports; those before it are not counted"
        return row | {"note": f"not computable: no alert {of}{why}"}
    first = after.iloc[0]
    limits = (first["earliest"], first["latest"])
    low, high = difference(sign, limits)
    doubt = "the alert may have come before the sign" if limits[0] < sign[1] else ""
    words = " ".join(part for part in (first["system"], first["name"], "at", when(*limits)) if part)
    return row | {"alert": words, "alert_time": first["time"], "low": low, "high": high, "note": doubt}


def _seen_by(system: str, metric: str, alerts: pd.DataFrame, monitors: pd.DataFrame | None) -> str:
    """Return which alerts of the system ever fired on the metric, which monitors watch it, or that none did."""
    named = alerts["metric"] == metric
    if metric:
        word = re.compile(rf"(?<!\w){re.escape(metric)}(?!\w)", re.IGNORECASE)
        named |= alerts["text"].str.contains(word, regex=True)
    on_it = list(dict.fromkeys(alerts.loc[named & bool(metric), "name"]))
    others = [name for name in dict.fromkeys(alerts["name"]) if name not in on_it]
    parts = [f"alert {', '.join(on_it)}" if on_it else NO_ALERT]
    if monitors is not None:
        fits = (monitors["system"] == system) & monitors["metric"].isin([metric, ""])
        names = ", ".join(dict.fromkeys(monitors.loc[fits, "name"]))
        parts.append(f"monitor {names}" if names else "no listed monitor watches it")
    return "; ".join(parts + [f"of {system}: {', '.join(others)}"] * bool(others and not on_it))


def _alerts(alerts: pd.DataFrame) -> pd.DataFrame:
    """Return the dated alerts that fire, earliest first: system, name, metric, text, time and bounds."""
    fields = [attributes(text) for text in alerts["attributes"]]
    fires = [alert_state(item) == "fires" for item in fields]
    name = alerts["ref"].where(alerts["ref"] != "", alerts["message"].str.slice(0, 60))
    table = bounds(alerts).assign(
        time=alerts["time"], system=alerts["system"], name=name, text=alerts["ref"] + " " + alerts["message"],
        metric=pd.Series([str(item.get("metric", "")) for item in fields], alerts.index, dtype="str"),
    )  # fmt: skip
    table = table[np.array(fires, dtype=bool)].dropna(subset=["earliest"])
    return table.sort_values(["earliest", "latest"], kind="stable")


def _signs(signals: pd.DataFrame) -> pd.DataFrame:
    """Return the first dated signal of each system and metric, earliest first."""
    chosen = signals[signals["kind"] == "signal"]
    fields = [attributes(text) for text in chosen["attributes"]]
    metric = [str(item.get("metric") or ref) for item, ref in zip(fields, chosen["ref"], strict=True)]
    table = bounds(chosen).assign(system=chosen["system"], metric=pd.Series(metric, chosen.index, dtype="str"))
    ordered = table.dropna(subset=["earliest"]).sort_values(["earliest", "latest"], kind="stable")
    return ordered.drop_duplicates(["system", "metric"])

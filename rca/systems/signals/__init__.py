"""Signals: what changed in the data of the incident window, as events for the timeline.

Three questions, each with its own table in which no series is left out:

`metric_onsets`
    Which metric left its healthy level, when, at once or by and by (``rca.onset``, as in ``rca.cascade``).
`new_templates`
    Which texts do logs hold that were not there before (Drain).
`rate_changes`
    Which system wrote more records of a kind and severity, fewer, or none any more.

`as_events` makes events of kind "signal" of what they found, `unjudged` lists what they could not judge, and `signals`
does all at once. Every p-value is adjusted for the number of tests of its question, which stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from rca.systems.signals.events import as_events, unjudged
from rca.systems.signals.onsets import metric_onsets
from rca.systems.signals.rates import rate_changes
from rca.systems.signals.templates import new_templates

__all__ = ["as_events", "metric_onsets", "new_templates", "rate_changes", "signals", "unjudged"]


def signals(
    events: pd.DataFrame,
    metrics: pd.DataFrame,
    windows: Sequence[Sequence[Any]],
    harmful: Mapping[str, str] | None = None,
    *,
    symptom: tuple[str, str] | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Return what changed in metrics and logs as events of kind "signal".

    Parameters
    ----------
    events, metrics : DataFrame
        Schema ``events`` and ``metrics``; either may be empty.
    windows : pair of (start, end)
        Healthy window and incident window, in UTC, start included, end not; disjoint, in either order.
    harmful : mapping, optional
        Metric -> ``"up"``, ``"down"``, ``"both"`` or ``"neither"``; see `metric_onsets`.
    symptom : (str, str), optional
        System and metric by which the incident was noticed; see `metric_onsets`.
    progress : bool, default False
        Whether to show progress bars.

    Returns
    -------
    DataFrame
        Schema ``events``, as `as_events` makes it, to be merged by ``rca.timeline.merge``.

    Raises
    ------
    UnknownName
        If `harmful` or `symptom` names what `metrics` does not have, or no direction.
    InputError
        If a column is missing, or the windows overlap.

    Notes
    -----
    What could not be judged gives no event: call the three functions and `unjudged` to see it. Signals among
    `events` are not read again, so the result can be merged and the analysis repeated.

    Examples
    --------
    >>> from rca import schema
    >>> time = pd.date_range("2025-03-01", periods=60, freq="min", tz="UTC")
    >>> values = [10.0, 11.0] * 20 + [20.0] * 20
    >>> table = pd.DataFrame({"time": time, "system": "db", "metric": "latency_ms", "value": values})
    >>> found = signals(schema.empty("events"), table, ((time[0], time[30]), (time[30], time[59])))
    >>> found["message"][0].split(" (")[0], found["time"][0] == time[40]
    ('latency_ms of db rose from 10.5 to 20', True)
    """
    onsets = metric_onsets(metrics, windows, harmful, symptom=symptom, progress=progress)
    templates = new_templates(events, windows, progress=progress)
    return as_events(onsets, templates, rate_changes(events, windows, progress=progress))

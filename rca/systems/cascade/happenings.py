"""Signs from systems without metrics: their open alerts and error records, as a series that can be traced."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd

from rca import onset
from rca.errors import raise_all
from rca.systems.cascade.panel import Key

__all__ = ["METRIC", "happenings"]

METRIC = "events"
_LASTING = ("alert", "audit", "signal", "status", "ticket")  # open until their end, or from then on
_ERROR = 17  # OpenTelemetry severity from which a log record is a sign
_COLUMNS = ("time", "time_end", "system", "kind", "severity")


def happenings(
    events: pd.DataFrame, metrics: pd.DataFrame, graph: nx.DiGraph, symptom: Key, windows: tuple[onset.Window, ...]
) -> pd.DataFrame:
    """Return what systems without metrics reported, as rows of a metric ``events``.

    Parameters
    ----------
    events : DataFrame
        As in ``rca.schema``: ``time``, ``time_end``, ``system``, ``kind``, ``severity``, and ``count`` if there.
    metrics : DataFrame
        The metrics that are traced; systems in it are left out.
    graph : DiGraph
        Systems that are not in it are left out.
    symptom : (str, str)
        Its rows give the times at which is counted; without metrics of its own, all rows do.
    windows : pair of windows
        Healthy and incident window.

    Returns
    -------
    DataFrame
        Columns ``time``, ``system``, ``metric``, ``value``: at each time the alerts, audit flags, signals, tickets
        and status reports that are open (without an end: from then on), and the error records since the time before.

    Raises
    ------
    MissingColumn
        If a column is missing.
    """
    raise_all([f"events: required column {name!r} is missing" for name in _COLUMNS if name not in events.columns])
    own = metrics[(metrics["system"] == symptom[0]) & (metrics["metric"] == symptom[1])]
    times = pd.DatetimeIndex((own if len(own) else metrics)["time"].unique()).sort_values()
    count = events["count"] if "count" in events.columns else pd.Series(1, index=events.index)
    dark = set(graph) - set(metrics["system"])
    dated = events[events["system"].isin(dark) & events["time"].notna()].assign(count=count)
    error = (dated["kind"] == "log") & (pd.to_numeric(dated["severity"], errors="coerce") >= _ERROR)
    dated = dated[error | dated["kind"].isin(_LASTING)]
    parts = []
    for start, end in windows:
        grid = times[(times >= start) & (times < end)]
        for system, mine in dated.groupby("system", sort=True):
            values = _open(mine[mine["kind"] != "log"], grid) + _since(mine[mine["kind"] == "log"], grid)
            parts.append(pd.DataFrame({"time": grid, "system": system, "metric": METRIC, "value": values}))
    empty = pd.DataFrame({"time": times[:0], "system": [], "metric": [], "value": []})
    return pd.concat([*parts] or [empty], ignore_index=True)


def _open(events: pd.DataFrame, grid: pd.DatetimeIndex) -> np.ndarray:
    """Return how many of the events are open at each time."""
    begun = np.searchsorted(np.sort(events["time"].to_numpy()), grid.to_numpy(), side="right")
    ended = np.searchsorted(np.sort(events["time_end"].dropna().to_numpy()), grid.to_numpy(), side="left")
    return np.asarray(begun - ended, dtype="float64")


def _since(events: pd.DataFrame, grid: pd.DatetimeIndex) -> np.ndarray:
    """Return how often the events happened since the time before; for the first time, since one step before it."""
    if not len(grid):
        return np.zeros(0)
    ordered = events.sort_values("time")
    total = np.concatenate([[0.0], np.cumsum(ordered["count"].to_numpy(dtype="float64"))])
    step = grid[1] - grid[0] if len(grid) > 1 else pd.Timedelta("1s")
    edges = pd.DatetimeIndex([grid[0] - step, *grid]).tz_convert("UTC").as_unit("ns").asi8
    stamps = pd.DatetimeIndex(ordered["time"]).tz_convert("UTC").as_unit("ns").asi8
    at = np.searchsorted(stamps, edges, side="right")
    return np.diff(total[at])

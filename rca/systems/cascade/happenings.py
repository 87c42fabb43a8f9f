"""Signs from systems without metrics: their open alerts and error records, as a series that can be traced."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd

from rca import onset, schema
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
        As in ``rca.schema``: ``time``, ``time_end``, ``system``, ``kind``, ``severity``, and ``count``, ``ref`` and
        ``attributes`` if there.
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
        and status reports that are open, and the error records since the time before. One is open until its end, or
        until an event of the same system, kind and ``ref`` whose attribute ``state`` or ``status`` says that it
        ended; without either, from then on. Of several events of one ``ref`` that is open, one counts.

    Raises
    ------
    InputError
        If a column is missing, or attributes are no JSON object.
    """
    raise_all([f"events: required column {name!r} is missing" for name in _COLUMNS if name not in events.columns])
    own = metrics[(metrics["system"] == symptom[0]) & (metrics["metric"] == symptom[1])]
    times = pd.DatetimeIndex((own if len(own) else metrics)["time"].unique()).sort_values()
    blank = {"count": 1, "ref": "", "attributes": ""}
    events = events.assign(**{name: value for name, value in blank.items() if name not in events.columns})
    dark = set(graph) - set(metrics["system"])
    dated = events[events["system"].isin(dark) & events["time"].notna()].sort_values("time", kind="stable")
    error = (dated["kind"] == "log") & (pd.to_numeric(dated["severity"], errors="coerce") >= _ERROR)
    dated = dated[error | dated["kind"].isin(_LASTING)]
    parts = []
    for start, end in windows:
        grid = times[(times >= start) & (times < end)]
        for system, mine in dated.groupby("system", sort=True):
            values = _open(_lasting(mine[mine["kind"] != "log"]), grid) + _since(mine[mine["kind"] == "log"], grid)
            parts.append(pd.DataFrame({"time": grid, "system": system, "metric": METRIC, "value": values}))
    empty = pd.DataFrame({"time": times[:0], "system": [], "metric": [], "value": []})
    return pd.concat([*parts] or [empty], ignore_index=True)


def _lasting(events: pd.DataFrame) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Return the stretches in which something was open, from events in order of time; no end is NaT."""
    found: list[tuple[pd.Timestamp, pd.Timestamp]] = []
    open_since: dict[tuple[str, str], int] = {}  # kind and ref -> place in found
    for row in events.itertuples(index=False):
        state, key = schema.alert_state(schema.attributes(row.attributes)), (row.kind, row.ref)
        place = open_since.get(key)
        if place is not None and found[place][1] <= row.time:  # its own end came first
            place = None
        if state == "ended" and place is not None:
            found[place] = (found[place][0], row.time)
            del open_since[key]
        elif state == "fires" and (place is None or not row.ref):
            open_since[key] = len(found)
            found.append((row.time, row.time_end))
    return found


def _open(stretches: list[tuple[pd.Timestamp, pd.Timestamp]], grid: pd.DatetimeIndex) -> np.ndarray:
    """Return how many of the stretches, both ends included, hold each time."""
    begins, ends = (pd.DatetimeIndex([pair[side] for pair in stretches], dtype=grid.dtype) for side in (0, 1))
    begun = np.searchsorted(np.sort(_ns(begins)), _ns(grid), side="right")
    ended = np.searchsorted(np.sort(_ns(ends.dropna())), _ns(grid), side="left")
    return np.asarray(begun - ended, dtype="float64")


def _ns(times: pd.DatetimeIndex) -> np.ndarray:
    return np.asarray(times.as_unit("ns").asi8)


def _since(events: pd.DataFrame, grid: pd.DatetimeIndex) -> np.ndarray:
    """Return how often the events happened since the time before; for the first time, since one step before it."""
    if not len(grid):
        return np.zeros(0)
    total = np.concatenate([[0.0], np.cumsum(events["count"].to_numpy(dtype="float64"))])
    step = grid[1] - grid[0] if len(grid) > 1 else pd.Timedelta("1s")
    edges = pd.DatetimeIndex([grid[0] - step, *grid])
    at = np.searchsorted(_ns(pd.DatetimeIndex(events["time"])), _ns(edges), side="right")
    return np.diff(total[at])

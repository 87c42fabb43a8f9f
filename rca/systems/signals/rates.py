"""How often each system wrote records of each kind and severity: more, fewer, or none any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rca import onset, times
from rca.progress import track
from rca.systems.signals import counts, silence
from rca.systems.signals.family import ALPHA, NOTHING, SIGNAL, UNJUDGED, both, columns, holm
from rca.times import show

__all__ = ["ALL", "rate_changes"]

ALL = "all"  # kind of the row for all records of a system
_BINS = 120  # parts of the incident window
_MOST = 100_000  # bins of both windows together
_FEW = 3  # records expected or seen in the incident window, below which nothing can be told
_BANDS = ("trace", "debug", "info", "warn", "error", "fatal")  # four of OpenTelemetry's numbers each
_HOUR = 3600 * 10**9
_TIMES = ("onset", "earliest", "latest", "until")
_NUMBERS = ("before", "during", "dispersion", "p_value", "p_adjusted")


@dataclass(frozen=True)
class _Grid:
    """Bins of one width, of which number 0 of the incident window begins with it; all in nanoseconds."""

    origin: int
    width: int
    size: int
    before: tuple[int, int]
    during: tuple[int, int]

    def bins(self, ns: Any) -> Any:
        """Return the bin of each time."""
        return (ns - self.origin) // self.width

    def start(self, number: int) -> pd.Timestamp:
        """Return when a bin begins."""
        return pd.Timestamp(self.origin + number * self.width, tz="UTC")

    def inside(self, span: tuple[int, int], covered: tuple[int, int]) -> slice:
        """Return the bins that lie within a window and within what its source covers."""
        first, last = max(span[0], covered[0]), min(span[1], covered[1])
        start, stop = -(-(first - self.origin) // self.width), (last - self.origin) // self.width
        return slice(start, max(start, stop))


def rate_changes(events: pd.DataFrame, windows: Sequence[Sequence[Any]], *, progress: bool = False) -> pd.DataFrame:
    """Return for each system, kind and severity whether records came more often, less often, or not at all.

    The incident window is cut into 120 bins and searched for the stretch that departs most from the healthy rate,
    by the exact conditional binomial test of two Poisson rates, with the dispersion of healthy counts (see
    ``rca.systems.signals.counts``); and for the longest time without a record, held against the tail of healthy
    distances (``rca.systems.signals.silence``). The smaller p-value counts, doubled.

    Parameters
    ----------
    events : DataFrame
        Schema ``events``; those with a time, of all kinds but "signal". ``count`` says how many records a row is.
    windows : pair of (start, end)
        Healthy window and incident window, in UTC, start included, end not; disjoint, in either order.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    DataFrame
        One row a system, kind and severity, none left out, sorted by these, and one of kind "all" a system that has
        several. Columns ``system``, ``kind``, ``severity`` (trace, debug, info, warn, error, fatal; empty if
        unknown), ``verdict`` ("signal", "nothing", "not judged"), ``change`` ("more", "fewer", "silent"; empty
        unless a signal), ``onset``, ``earliest``, ``latest`` (95 % interval of it), ``until`` (UTC; empty unless a
        signal), ``before`` and ``during`` (records an hour: healthy window, and the stretch), ``count_before`` and
        ``count_during`` (records in the windows), ``dispersion`` (variance over mean of healthy counts; 1 if no
        more than Poisson's), ``p_value`` (all stretches counted), ``p_adjusted`` (Holm over ``m`` rows), ``m``,
        ``note``.

    Raises
    ------
    InputError
        If a column is missing, or the windows overlap.

    Notes
    -----
    The onset of silence is the last record before it; ``latest`` is when, 95 % of the time, another would have
    come. A daily rhythm is not taken out: it hides what is smaller than itself. A window counts only as far as the
    exports of the system reach: from the first to the last record of its sources; where a source has one system
    only, to the last record of any source, and the note says that a system which stopped and an export which ended
    look the same. A system without records in the healthy window is not judged. A bin counts four healthy standard
    deviations above the mean at most: a lone burst is no change of rate. Stretches are at most a fifth of the
    healthy window, so slow changes need a long one.

    Examples
    --------
    >>> time = pd.date_range("2025-03-01", periods=600, freq="min", tz="UTC")
    >>> log = pd.DataFrame({"time": time, "kind": "log", "system": "api", "severity": 9, "source": "logs"})
    >>> other = log.assign(system="db")
    >>> found = rate_changes(pd.concat([log[:520], other]), ((time[0], time[480]), (time[480], time[599])))
    >>> found[["system", "verdict", "change"]].to_numpy().tolist()
    [['api', 'signal', 'silent'], ['db', 'nothing', '']]
    """
    before, during = both(windows)
    columns(events, "events", ("time", "kind", "system", "severity", "source"))
    dated = events[events["time"].notna() & (events["kind"] != "signal")]
    band = ((dated["severity"].astype("Int64") - 1) // 4).map(dict(enumerate(_BANDS)))
    table = pd.DataFrame({
        "ns": dated["time"].astype(times.UTC).astype("int64"), "system": dated["system"], "kind": dated["kind"],
        "severity": band.astype(object).where(band.notna(), ""), "source": dated["source"],
        "count": dated["count"] if "count" in dated.columns else 1,
    })  # fmt: skip
    covered, alone = _coverage(table)
    grid = _grid(before, during)
    inside = (table["ns"] >= grid.origin) & (table["ns"] < grid.origin + grid.size * grid.width)
    rows = []
    groups = list(_groups(table[inside]))
    for key, group, whole in track(groups, "rates", progress=progress):
        rows.append(
            dict(zip(("system", "kind", "severity"), key, strict=True)) | _one(group, whole, grid, covered[key[0]])
        )
        rows[-1]["single"] = key[0] in alone
    return _judged(pd.DataFrame(rows, columns=["system", "kind", "severity", *_FOUND]))


_FOUND = (
    *_TIMES, "change", "before", "during", "count_before", "count_during", "dispersion", "p_value", "note", "doubt",
    "single",
)  # fmt: skip


def _coverage(table: pd.DataFrame) -> tuple[dict[str, tuple[int, int]], set[str]]:
    """Return for each system what its exports cover, and the systems that share no export with another."""
    last = int(table["ns"].max()) + 1 if len(table) else 0
    own = table.groupby("source")["ns"].agg(["min", "max"])
    many = table.groupby("source")["system"].nunique() > 1
    covered, alone = {}, set()
    for system, names in table.groupby("system")["source"].unique().items():
        shared = [name for name in names if many[name]]
        end = max(int(own.loc[name, "max"]) + 1 for name in shared) if shared else last
        covered[str(system)] = (int(own.loc[list(names), "min"].min()), end)
        if not shared:
            alone.add(str(system))
    return covered, alone


def _grid(before: onset.Window, during: onset.Window) -> _Grid:
    spans = [(start.as_unit("ns").value, end.as_unit("ns").value) for start, end in (before, during)]
    low, high = min(span[0] for span in spans), max(span[1] for span in spans)
    width = max((spans[1][1] - spans[1][0]) // _BINS, (high - low) // _MOST, 1)
    origin = spans[1][0] - -(-(spans[1][0] - low) // width) * width
    return _Grid(origin, width, -(-(high - origin) // width), spans[0], spans[1])


def _groups(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame, pd.DataFrame]]:
    """Yield key, records, and all records of the system."""
    for system, whole in table.groupby("system", sort=True):
        parts = list(whole.groupby(["kind", "severity"], sort=True))
        if len(parts) > 1:
            yield (str(system), ALL, ""), whole, whole
        for (kind, severity), group in parts:
            yield (str(system), str(kind), str(severity)), group, whole


def _one(group: pd.DataFrame, whole: pd.DataFrame, grid: _Grid, covered: tuple[int, int]) -> dict[str, Any]:
    """Return what was found in the records of one kind; `doubt` says why "nothing" may not be said."""
    healthy, searched = grid.inside(grid.before, covered), grid.inside(grid.during, covered)
    ns = group["ns"].to_numpy()
    amounts = [
        int(group["count"].to_numpy()[(ns >= start) & (ns < end)].sum()) for start, end in (grid.before, grid.during)
    ]
    out: dict[str, Any] = {
        "count_before": amounts[0],
        "count_during": amounts[1],
        "note": "",
        "doubt": "",
        "change": "",
    }
    length, wanted = healthy.stop - healthy.start, searched.stop - searched.start
    in_whole = whole["ns"].to_numpy()
    if not ((in_whole >= grid.before[0]) & (in_whole < grid.before[1])).any():
        return out | {"doubt": "the system has no records before: new, or not exported then"}
    if wanted < 1:
        return out | {
            "doubt": f"its exports end at {show(pd.Timestamp(covered[1], tz='UTC'))}, before the incident window"
        }
    if length < counts.BLOCKS:
        return out | {
            "doubt": f"its exports cover only {length} bins of {grid.width / 1e9:g} s before, of {counts.BLOCKS}"
        }
    series = np.bincount(grid.bins(ns), weights=group["count"].to_numpy(dtype="float64"), minlength=grid.size)
    lowest = healthy.start if healthy.start < searched.start else searched.start
    found = counts.strongest(series, healthy, searched, lowest)
    if series[healthy].mean() * wanted < _FEW and amounts[1] < _FEW:
        out["doubt"] = f"too few records: {amounts[0]} before, {amounts[1]} in the incident window"
    hourly = _HOUR / grid.width
    out |= {"before": found.before * hourly, "dispersion": found.dispersion}
    spans = [(max(span[0], covered[0]), min(span[1], covered[1])) for span in (grid.before, grid.during)]
    still = silence.longest(np.sort(ns), *spans)
    if still is not None and still.p_value < found.p_value:
        return out | _still(still)
    censored = found.begin == lowest
    return out | {
        "change": "more" if found.during > found.before else "fewer", "onset": grid.start(found.begin),
        "earliest": pd.NaT if censored else grid.start(found.earliest), "latest": grid.start(found.latest + 1),
        "until": grid.start(found.end + 1), "during": found.during * hourly, "p_value": min(2 * found.p_value, 1.0),
        "note": "it had begun before the first bin that can be compared" if censored else "",
    }  # fmt: skip


def _still(found: silence.Silence) -> dict[str, Any]:
    """Return silence as what was found; its p-value counts that two tests were made."""
    start, end, sure = (pd.Timestamp(value, tz="UTC") for value in (found.start, found.end, found.sure))
    return {
        "change": "silent", "onset": start, "earliest": start, "latest": sure, "until": end, "during": 0.0,
        "p_value": min(2 * found.p_value, 1.0),
    }  # fmt: skip


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with adjusted p-values and verdicts."""
    tested = table["p_value"].notna().to_numpy(dtype=bool)
    adjusted = np.full(len(table), np.nan)
    adjusted[tested] = holm(table.loc[tested, "p_value"])
    moved = tested & (adjusted < ALPHA)
    doubt = table["doubt"]
    verdict = np.where(moved, SIGNAL, np.where(doubt != "", UNJUDGED, NOTHING))
    table = table.assign(p_adjusted=adjusted, m=int(tested.sum()), verdict=verdict)
    lone = moved & (table["change"] == "silent").to_numpy() & table["single"].eq(True).to_numpy()
    ends = "its export has no other system: a system that stopped and an export that ended look the same"
    table["note"] = np.where(moved, np.where(lone, ends, table["note"]), doubt)
    table["change"] = table["change"].where(pd.Series(moved, table.index), "")
    for name in _TIMES:
        found = [pd.Timestamp(value) if known else pd.NaT for value, known in zip(table[name], moved, strict=True)]
        table[name] = pd.Series(pd.DatetimeIndex(found, dtype=times.UTC), table.index)
    kinds = dict.fromkeys(("system", "kind", "severity", "verdict", "change", "note"), "str")
    kinds |= dict.fromkeys(_NUMBERS, "float64") | dict.fromkeys(("count_before", "count_during", "m"), "int64")
    shown = ["system", "kind", "severity", "verdict", "change", *_TIMES, "before", "during", "count_before"]
    return table[[*shown, "count_during", "dispersion", "p_value", "p_adjusted", "m", "note"]].astype(kinds)

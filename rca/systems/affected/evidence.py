"""The questions put to each kind of data: did this system fail more, take longer, or move, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from rca import onset
from rca.times import show

__all__ = ["ALPHA", "Test", "durations", "failures", "inside", "logs", "metrics", "nanoseconds", "stamp", "status"]

ALPHA = 0.01  # chance of one system or more called hurt when nothing is wrong
_LEVELS = 4  # the window is searched whole, in halves, quarters and eighths
_BINS = 60  # parts of the shorter window: errors in one part clump, durations in one part are one median
_MANY = 30  # healthy medians from which their slow swings can be told from a change
_SCALES = (60, 15, 4)  # parts of the shorter window in which the scatter of healthy errors is taken
_FEW = 3  # error logs (clumps of them), rows of a metric, below which nothing is said
_SLOWER = 0.1  # rise of the median of log durations below which a span is not slower for anybody
_ERROR = 17  # OpenTelemetry's severity of an error
_NONE = pd.Timedelta(0)
_FAILED, _WELL = ("error", "status_code_error"), ("", "ok", "unset", "status_code_ok", "status_code_unset")


@dataclass(frozen=True)
class Test:
    """One question put to one system.

    `early` says that the move may have begun before `since`, when nothing was measured. `move` is the metric and
    whether it rose; `clear` is False where a move may be load as well as harm; `slack` is the sampling step and `error`
    that of `since`.
    """

    __test__ = False  # for pytest

    system: str
    evidence: str
    p_value: float
    since: pd.Timestamp
    what: str
    early: bool = False
    move: tuple[str, bool] = ("", True)
    clear: bool = True
    slack: pd.Timedelta = _NONE
    error: pd.Timedelta = _NONE

    @property
    def text(self) -> str:
        """What was found and since when."""
        return f"{self.what} {'at or before' if self.early else 'at' if self.move[0] else 'since'} {show(self.since)}"


def metrics(
    table: pd.DataFrame, before: onset.Window, during: onset.Window, harmful: Mapping[str, str]
) -> Iterable[Test]:
    """Yield a test of each metric that has a harmful direction and enough values."""
    finite = table[np.isfinite(table["value"].to_numpy(dtype="float64")) & table["time"].notna()]
    for (system, metric), rows in finite.groupby(["system", "metric"], sort=True):
        way = harmful.get(str(metric), "both")
        values = pd.Series(rows["value"].to_numpy(dtype="float64"), pd.DatetimeIndex(rows["time"]))
        rows_in = [int(((values.index >= start) & (values.index < end)).sum()) for start, end in (before, during)]
        if way == "neither" or rows_in[0] < onset.MIN_ROWS or rows_in[1] < _FEW:
            continue
        found = onset.find(values, before=before, during=during, harmful=way)
        rose = found.during > found.before
        rate = " per second" if found.note else ""
        text = f"{metric} {'rose' if rose else 'fell'} from {found.before:.3g} to {found.during:.3g}{rate}"
        early = _unseen(_ns(values.index), found.start.value, before, during, found.step)
        yield Test(
            str(system), "metrics", found.p_value, found.start, text, early, (str(metric), rose),
            str(metric) in harmful, found.step, found.error,
        )  # fmt: skip


def _unseen(ns: Any, since: int, before: onset.Window, during: onset.Window, step: pd.Timedelta = _NONE) -> bool:
    """Return whether `since` is the first row of the incident, and nothing is known of the time just before it."""
    healthy, searched = nanoseconds(before), nanoseconds(during)
    near = max(_width(healthy, searched), 2 * step.value)
    if since < searched[0] or healthy[1] <= searched[0] <= healthy[1] + near:
        return False
    known = healthy[1] if healthy[1] <= searched[0] else searched[0]
    return not bool(inside(ns, (known, since)).any())


def status(table: pd.DataFrame) -> pd.DataFrame:
    """Return the spans that have a time, with ``ns`` and ``failed`` (1, 0 or empty)."""
    known = table[table["time"].notna() & (table["system"] != "")]
    word = known["status"].astype("str").str.strip().str.lower()
    code = pd.to_numeric(word.where(word.str.fullmatch(r"[1-5]\d\d")), errors="coerce")
    failed = (word.isin(_FAILED) | (code >= 500)).astype("float64")
    return known.assign(ns=_ns(known["time"]), failed=failed.where(word.isin((*_FAILED, *_WELL)) | code.notna()))


def _ns(column: pd.Series) -> Any:
    return pd.DatetimeIndex(column).tz_convert("UTC").as_unit("ns").asi8


def nanoseconds(limits: onset.Window) -> tuple[int, int]:
    """Return a window in nanoseconds since 1970."""
    return int(limits[0].as_unit("ns").value), int(limits[1].as_unit("ns").value)


def inside(ns: Any, limits: tuple[int, int]) -> Any:
    """Return which times lie in a window."""
    return (ns >= limits[0]) & (ns < limits[1])


def _stretches(limits: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the window, its halves, its quarters, ..., without gap or overlap in each level."""
    out = []
    for level in range(_LEVELS):
        cuts = [limits[0] + (limits[1] - limits[0]) * part // 2**level for part in range(2**level + 1)]
        out += list(pairwise(cuts))
    return out


def _since(evidence: Any) -> int:
    """Return from which row on the evidence adds up to most (a cumulative sum, run backwards)."""
    return len(evidence) - 1 - int(np.argmax(np.cumsum(np.asarray(evidence)[::-1])))


def _attainable(before: int, during: int) -> bool:
    """Return whether so many independent observations could show anything at all."""
    from scipy.special import comb

    return before > 0 and during > 0 and comb(before + during, during) * ALPHA >= 1


def failures(spans: pd.DataFrame, before: onset.Window, during: onset.Window) -> Iterable[Test]:
    """Yield a test of each system's share of failed spans; what a system did in one trace counts once."""
    from scipy.stats import hypergeom

    healthy, searched = nanoseconds(before), nanoseconds(during)
    known = spans[spans["failed"].notna()]
    part = ((known["ns"] - healthy[0]) // _width(healthy, searched)).rename("part")
    own = known["trace_id"].where(known["trace_id"] != "", known["span_id"]).rename("own")
    units = known.groupby([known["system"], own, part], sort=True).agg(ns=("ns", "min"), failed=("failed", "max"))
    for system, rows in units.groupby(level=0, sort=True):
        rows = rows.sort_values("ns", kind="stable")
        ns, failed = rows["ns"].to_numpy(), rows["failed"].to_numpy()
        base = failed[inside(ns, healthy)]
        if not _attainable(len(base), int(inside(ns, searched).sum())):
            continue
        phi = _dispersion(ns, failed, healthy, searched)
        found = []
        for limits in _stretches(searched):
            here = failed[inside(ns, limits)]
            if _attainable(len(base), len(here)):
                n1, k1, n2, k2 = (int(x / phi + 1e-9) for x in (len(base), base.sum(), len(here), here.sum()))
                found.append((float(hypergeom.sf(k2 - 1, n1 + n2, k1 + k2, n2)), limits))
        p_value, limits = min(found)
        here = inside(ns, limits)
        old, new = (base.sum() + 0.5) / (len(base) + 1), (failed[here].sum() + 0.5) / (here.sum() + 1)
        until = (ns >= searched[0]) & (ns < limits[1])
        gain = np.where(failed[until] > 0, np.log(new / old), np.log((1 - new) / (1 - old)))
        begin = stamp(ns[until][_since(gain)])
        text = (f"{failed[here].sum():.0f} of {here.sum()} traces failed in its spans, "
                f"{base.sum():.0f} of {len(base)} before")  # fmt: skip
        early = _unseen(ns, begin.value, before, during)
        yield Test(str(system), "error spans", min(1.0, p_value * len(found)), begin, text, early)


def _width(healthy: tuple[int, int], searched: tuple[int, int]) -> int:
    return max(min(healthy[1] - healthy[0], searched[1] - searched[0]) // _BINS, 1)


def stamp(ns: int) -> pd.Timestamp:
    """Return a time given in nanoseconds since 1970."""
    return pd.Timestamp(int(ns), tz="UTC")


def _dispersion(ns: Any, counts: Any, healthy: tuple[int, int], searched: tuple[int, int]) -> float:
    """Return by how much healthy errors clump: variance over mean of their number in parts of some length."""
    shorter, out = min(healthy[1] - healthy[0], searched[1] - searched[0]), 1.0
    for parts in _SCALES:
        found = _counted(ns, counts, healthy, max(shorter // parts, 1))
        if found.sum() and len(found) > 1:
            out = max(out, float(found.var(ddof=1) / found.mean()))
    return out


def _counted(ns: Any, counts: Any, limits: tuple[int, int], width: int) -> Any:
    here = inside(ns, limits)
    return np.bincount((ns[here] - limits[0]) // width, counts[here], -(-(limits[1] - limits[0]) // width))


def durations(spans: pd.DataFrame, before: onset.Window, during: onset.Window) -> Iterable[Test]:
    """Yield a test of how long each system's spans took, each against the healthy median of its operation."""
    healthy, searched = nanoseconds(before), nanoseconds(during)
    timed = spans[spans["duration"].notna()]
    logs = np.log(np.maximum(timed["duration"].to_numpy(dtype="timedelta64[ns]").astype("int64"), 1))
    timed = timed.assign(log=logs)
    usual = timed[inside(timed["ns"], healthy)].groupby(["system", "name"])["log"].median().rename("usual")
    timed = timed.join(usual, on=["system", "name"]).dropna(subset="usual")
    width = _width(healthy, searched)
    timed = timed.assign(excess=timed["log"] - timed["usual"], ns=timed["ns"] - (timed["ns"] - healthy[0]) % width)
    medians = timed.groupby(["system", "ns"], sort=True)["excess"].median()
    for system, rows in medians.groupby(level=0, sort=True):
        excess = rows.droplevel(0)
        known = [int(inside(excess.index.to_numpy(), limits).sum()) for limits in (healthy, searched)]
        if known[0] >= _MANY and known[1] >= _FEW:
            series = excess.set_axis(pd.to_datetime(excess.index, utc=True))
            found = onset.find(series, before=before, during=during, harmful="up")
            p_value, level, start = found.p_value, found.during - found.before, max(found.start, during[0])
        elif _attainable(*known):
            p_value, level, start = _ranked(excess, healthy, searched)
        else:
            continue
        text = f"its spans took {np.exp(level):.3g} times as long as before"
        parts = excess.index.to_numpy()
        early = _unseen(parts[~inside(parts, healthy)] + width - 1, start.value, before, during)
        yield Test(str(system), "slow spans", p_value if level >= _SLOWER else 1.0, start, text, early)


def _ranked(
    excess: pd.Series, healthy: tuple[int, int], searched: tuple[int, int]
) -> tuple[float, float, pd.Timestamp]:
    """Return p-value, rise and start of the strongest stretch by the rank test."""
    from scipy.stats import mannwhitneyu

    ns, values = excess.index.to_numpy(), excess.to_numpy()
    base, found = values[inside(ns, healthy)], []
    for limits in _stretches(searched):
        here = values[inside(ns, limits)]
        if _attainable(len(base), len(here)):
            found.append((float(mannwhitneyu(here, base, alternative="greater").pvalue), limits))
    p_value, limits = min(found)
    level = float(np.median(values[inside(ns, limits)]) - np.median(base))
    until = (ns >= searched[0]) & (ns < limits[1])
    start = stamp(max(ns[until][_since(values[until] - level / 2)], searched[0]))
    return min(1.0, p_value * len(found)), level, start


def logs(events: pd.DataFrame, before: onset.Window, during: onset.Window) -> Iterable[Test]:
    """Yield a test of the rate of error logs of each system that wrote logs in the incident window."""
    from scipy.stats import binom

    written = events[(events["kind"] == "log") & events["time"].notna()]
    ns = _ns(written["time"])
    if not len(ns):
        return
    first, last = int(ns.min()), int(ns.max()) + 1
    windows = (nanoseconds(before), nanoseconds(during))
    healthy, searched = ((max(start, first), min(end, last)) for start, end in windows)
    if healthy[1] <= healthy[0] or searched[1] <= searched[0]:
        return
    errors = (written["severity"].astype("Float64").fillna(0) >= _ERROR).to_numpy(dtype=bool)
    weight = np.where(errors, written.get("count", 1), 0)
    table = pd.DataFrame({"system": written["system"].to_numpy(), "ns": ns, "weight": weight})
    for system, rows in table[table["system"] != ""].sort_values("ns", kind="stable").groupby("system", sort=True):
        ns, counts = rows["ns"].to_numpy(), rows["weight"].to_numpy()
        if not inside(ns, searched).any():
            continue
        phi, base = _clumps(ns, counts, healthy, searched), counts[inside(ns, healthy)].sum()
        found = []
        for start, end in _stretches(searched):
            n1, n2 = (int(count / phi + 1e-9) for count in (base, counts[inside(ns, (start, end))].sum()))
            share = (end - start) / (end - start + healthy[1] - healthy[0])
            found.append((float(binom.sf(n2 - 1, n1 + n2, share)) if n2 >= _FEW else 1.0, (start, end)))
        p_value, limits = min(found)
        begin = _first(ns, counts, base, healthy, searched, limits)
        text = (f"{counts[inside(ns, limits)].sum()} error logs in {_minutes(limits)}, "
                f"{base} in {_minutes(healthy)} before")  # fmt: skip
        early = _unseen(ns, begin.value, before, during)
        yield Test(str(system), "error logs", min(1.0, p_value * len(found)), begin, text, early)


def _clumps(ns: Any, counts: Any, healthy: tuple[int, int], searched: tuple[int, int]) -> float:
    """Return by how much error logs clump: by their healthy scatter, at least their number where there are any."""
    width, sizes = _width(healthy, searched), [_dispersion(ns, counts, healthy, searched)]
    for limits in (healthy, searched):
        found = _counted(ns, counts, limits, width)
        sizes.append(float(found.sum() / max((found > 0).sum(), 1)))
    return max(sizes)


def _first(
    ns: Any, counts: Any, base: int, healthy: tuple[int, int], searched: tuple[int, int], limits: tuple[int, int]
) -> pd.Timestamp:
    """Return the error log from which on their number exceeds the healthy rate most."""
    errors = (counts > 0) & (ns >= searched[0]) & (ns < limits[1])
    if not errors.any():
        return pd.NaT
    old = (base + 0.5) / (healthy[1] - healthy[0])
    new = max(counts[inside(ns, limits)].sum() / (limits[1] - limits[0]), old)
    gaps = np.diff(np.append(ns[errors], limits[1]))
    return stamp(ns[errors][_since(counts[errors] * np.log(new / old) - (new - old) * gaps)])


def _minutes(limits: tuple[int, int]) -> str:
    return f"{(limits[1] - limits[0]) / 6e10:.3g} minutes"

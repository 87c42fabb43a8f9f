"""The long table of metrics as one matrix: a row a sampling step, a column a series, the two windows cut out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rca import onset
from rca.errors import InputError, UnknownName, did_you_mean, raise_all
from rca.times import show

__all__ = ["Block", "Key", "Panel", "check_columns", "panel"]

Key = tuple[str, str]
_COLUMNS = ("time", "system", "metric", "value")
_TOGETHER = 256  # series looked at in one go: bounds the memory
_MOST_ROWS = 200_000  # sampling steps in a window
_HEAD = 24  # healthy rows that are put before the window, for comparison
_DENSE = 0.75  # share of the sampling steps with a value below which a series may be a coarser one
_COARSEST = 12  # sampling steps that one of its values may stand for
_MONOTONE = 12  # steps in one direction only that make a series a counter or a clock
COUNTER = "a counter or clock: its rate per second was examined"


@dataclass(frozen=True, eq=False)
class Block:
    """Some series on the common grid.

    Attributes
    ----------
    first : int
        Number of the first of these series.
    before, during : ndarray, shape (n_rows, n_series)
        Mean of the values in each sampling step; NaN where none is. `during` begins with the `head` of the panel.
    notes : list of str
        For each series, what a reader must know of it; empty when nothing.
    """

    first: int
    before: Any
    during: Any
    notes: list[str]


@dataclass(frozen=True, eq=False)
class Panel:
    """All series in the two windows.

    Attributes
    ----------
    keys : list of (str, str)
        System and metric of each series, sorted.
    symptom : int
        Which of them is the symptom.
    step : Timedelta
        Sampling step: the median distance of two rows of the symptom.
    start : Timestamp
        Time of the first row of `during`, its head included.
    head : int
        Rows of `during` that lie before the window: the last healthy rows, where these come shortly before it.
    gap : int
        Rows between the two windows; negative where `during` comes first.
    """

    keys: list[Key]
    symptom: int
    step: pd.Timedelta
    start: pd.Timestamp
    head: int
    gap: int
    _rows: tuple[int, int]
    _table: tuple[Any, Any, Any]
    _bounds: Any

    @property
    def parts(self) -> int:
        """Number of blocks."""
        return -(-len(self.keys) // _TOGETHER)

    def times(self, rows: Any) -> pd.DatetimeIndex:
        """Return the times of rows of `during`; NaT for NaN."""
        offset = pd.to_timedelta(np.asarray(rows, dtype="float64") * self.step.total_seconds(), unit="s")
        return pd.DatetimeIndex((self.start + offset).round("us").as_unit("ns"))

    def blocks(self) -> Iterator[Block]:
        """Yield the series, some at a time."""
        for first in range(0, len(self.keys), _TOGETHER):
            last = min(first + _TOGETHER, len(self.keys))
            part = slice(self._bounds[first], self._bounds[last])
            columns, places, values = (item[part] for item in self._table)
            flat = _means(columns - first, places, values, last - first, sum(self._rows))
            before, during = flat[: self._rows[0]], flat[self._rows[0] :]
            notes = _rates(before, during, self.gap == 0, self.step)
            _hold(before, during)
            unseen = np.full((self.gap if self.head else 0, last - first), np.nan)
            head = np.concatenate([before[len(before) + len(unseen) - self.head :], unseen])
            yield Block(first, before, np.concatenate([head, during]), notes)


def panel(
    metrics: pd.DataFrame, symptom: Key, before: onset.Window, during: onset.Window, harmful: Mapping[str, str]
) -> Panel:
    """Put the metrics on one grid, or raise if the question cannot be asked of them.

    Raises
    ------
    UnknownName
        If the symptom's system or metric, or a metric in `harmful`, is not there.
    InputError
        If the windows overlap, or one holds no measured value, or none of the symptom.
    """
    if before[0] < during[1] and during[0] < before[1]:
        raise InputError(f"the windows before ({_shown(before)}) and during ({_shown(during)}) overlap")
    times = pd.DatetimeIndex(metrics["time"]).as_unit("ns").asi8
    values = metrics["value"].to_numpy(dtype="float64", na_value=np.nan)
    (systems, system_names), (kinds, metric_names) = (pd.factorize(metrics[name]) for name in ("system", "metric"))
    names = [[str(item) for item in index] for index in (system_names, metric_names)]
    _check_names(symptom, names[0], names[1], systems, kinds, harmful)
    mine = (systems == names[0].index(symptom[0])) & (kinds == names[1].index(symptom[1]))
    windows = {name: (pd.Timestamp(a).value, pd.Timestamp(b).value) for name, (a, b) in
               {"before": before, "during": during}.items()}  # fmt: skip
    finite = np.isfinite(values)
    inside = {name: finite & (times >= a) & (times < b) for name, (a, b) in windows.items()}
    for name, rows in inside.items():
        for held, what in ((rows, "metrics"), (rows & mine, f"{symptom[1]} of {symptom[0]}")):
            if not held.any():
                limits = before if name == "before" else during
                raise InputError(f"{what}: no measured value in the window {name} ({_shown(limits)})")
    step = _step([np.sort(times[inside[name] & mine]) for name in windows])
    codes = _codes(systems, kinds, names)
    places, rows, gap = _grid(times, inside, mine, windows, step)
    head = min(_HEAD, rows[0] + gap) if 0 <= gap < _HEAD else 0
    first = int(times[inside["during"] & mine].min()) - windows["during"][0]
    start = during[0] + pd.Timedelta(first % step - head * step, "ns")
    used = inside["before"] | inside["during"]
    codes_used = codes[0][used]
    order = np.argsort(codes_used, kind="stable")
    sorted_codes = codes_used[order]
    bounds = np.searchsorted(sorted_codes, np.arange(len(codes[1]) + 1))
    return Panel(
        codes[1], codes[1].index(symptom), pd.Timedelta(step, "ns"), start, head, gap, rows,
        (sorted_codes, places[used][order], values[used][order]), bounds,
    )  # fmt: skip


def check_columns(metrics: pd.DataFrame) -> None:
    """Raise if the table of metrics lacks a column or holds other things than times, names and numbers."""
    problems = [f"metrics: required column {name!r} is missing" for name in _COLUMNS if name not in metrics.columns]
    if not {"metric", "value"} & set(metrics.columns) and metrics.select_dtypes("number").shape[1]:
        keys = ["time", "system"] if "system" in metrics.columns else ["time"]
        series, other = ("metric", "") if "system" in keys else ("system", ".assign(metric='NAME')")
        table = "metrics" if "time" in metrics.columns else "metrics.rename_axis('time').reset_index()"
        line = f"{table}.melt({keys}, var_name={series!r}, value_name='value'){other}"
        problems.append(f"metrics: looks wide, with a column for each {series}; wanted is a row for each value: {line}")
    raise_all(problems)
    if not isinstance(metrics["time"].dtype, pd.DatetimeTZDtype):
        problems.append(f"metrics: column 'time' holds {metrics['time'].dtype}; wanted are times with a zone")
    if not pd.api.types.is_numeric_dtype(metrics["value"]):
        problems.append(f"metrics: column 'value' holds {metrics['value'].dtype}; wanted are numbers")
    for name in ("system", "metric"):
        missing = np.flatnonzero(metrics[name].isna())
        if len(missing):
            problems.append(f"metrics: row {missing[0]}: no {name}; {len(missing)} such rows")
    raise_all(problems)


def _check_names(
    symptom: Key, systems: list[str], metrics: list[str], codes: Any, kinds: Any, harmful: Mapping[str, str]
) -> None:
    system, metric = symptom
    if system not in systems:
        raise UnknownName(f"symptom: no metrics of system {system!r}{did_you_mean(system, systems)}")
    own = {metrics[kind] for kind in np.unique(kinds[codes == systems.index(system)])}
    if metric not in own:
        raise UnknownName(f"symptom: {system!r} has no metric {metric!r}{did_you_mean(metric, own)}")
    known = set(metrics)
    problems = [f"harmful: unknown metric {name!r}{did_you_mean(name, known)}" for name in harmful if name not in known]
    for name, way in harmful.items():
        if way not in onset.DIRECTIONS:
            problems.append(f"harmful: {name}: bad direction {way!r}{did_you_mean(str(way), onset.DIRECTIONS)}")
    raise_all(problems, UnknownName)


def _shown(limits: onset.Window) -> str:
    return f"{show(limits[0])} to {show(limits[1])}"


def _step(times: list[Any]) -> int:
    """Return the median distance of successive different times, in nanoseconds; one second if there is none."""
    distances = np.concatenate([np.diff(item) for item in times])
    distances = distances[distances > 0]
    return int(np.median(distances)) if len(distances) else 1_000_000_000


def _codes(systems: Any, kinds: Any, names: list[list[str]]) -> tuple[Any, list[Key]]:
    """Return the number of each row's series, and the series, sorted by name."""
    pairs = systems.astype("int64") * len(names[1]) + kinds
    present = np.flatnonzero(np.bincount(pairs, minlength=len(names[0]) * len(names[1])))
    keys = [(names[0][pair // len(names[1])], names[1][pair % len(names[1])]) for pair in present.tolist()]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    number = np.zeros(len(names[0]) * len(names[1]), dtype="int64")
    number[present[order]] = np.arange(len(keys))
    return number[pairs], [keys[place] for place in order]


def _grid(
    times: Any, inside: Mapping[str, Any], mine: Any, windows: Mapping[str, tuple[int, int]], step: int
) -> tuple[Any, tuple[int, int], int]:
    """Return each row's place on the grid (rows of `before` first), the rows of each window, and the rows between.

    The symptom's first row of a window lies in the middle of its step. Rows between are negative where `during` comes
    first.
    """
    places = np.zeros(len(times), dtype="int64")
    rows: list[int] = []
    for name, (start, end) in windows.items():
        shift = (int(times[inside[name] & mine].min()) - start) % step - step // 2
        last = int(times[inside[name] & mine].max()) - start - shift
        count = max(last // step + 1, round((end - start - shift) / step))
        if count > _MOST_ROWS:
            raise InputError(
                f"the window {name} holds {count:,} sampling steps of {pd.Timedelta(step, 'ns')} (the symptom's), "
                f"more than {_MOST_ROWS:,}; give a shorter window or coarser rows"
            )
        held = inside[name]
        places[held] = np.clip((times[held] - start - shift) // step, 0, count - 1) + sum(rows)
        rows.append(int(count))
    gap = windows["during"][0] - windows["before"][1]
    return places, (rows[0], rows[1]), gap // step


def _means(columns: Any, places: Any, values: Any, width: int, height: int) -> Any:
    """Return the mean of the values in each cell, NaN where none is."""
    cells = places * width + columns
    count = np.bincount(cells, minlength=width * height)
    total = np.bincount(cells, weights=values, minlength=width * height)
    mean = np.full(width * height, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.reshape(height, width)


def _hold(before: Any, during: Any) -> None:
    """Let the values of series that are sampled more coarsely stand until their next one is due, in place."""
    for column in np.flatnonzero(np.isfinite(before).mean(axis=0) < _DENSE):
        rows = np.flatnonzero(np.isfinite(before[:, column]))
        due = int(np.median(np.diff(rows))) if len(rows) > 1 else 1
        if 1 < due <= _COARSEST:
            for part in (before, during):
                part[:, column] = pd.Series(part[:, column]).ffill(limit=due - 1).to_numpy()


def _rates(before: Any, during: Any, adjacent: bool, step: pd.Timedelta) -> list[str]:
    """Turn counters and clocks into rates per second, in place; rows where one was reset become NaN."""
    steps = np.diff(before, axis=0)
    known = np.isfinite(steps).sum(axis=0)
    notes = [""] * before.shape[1]
    with np.errstate(invalid="ignore"):
        up, down = (steps > 0).sum(axis=0), (steps < 0).sum(axis=0)
    for rising, falling, sign in ((up, down, 1), (down, up, -1)):
        for column in np.flatnonzero((known >= _MONOTONE) & (rising >= 0.9 * known) & (falling <= 0.05 * known)):
            last = before[-1, column] if adjacent else np.nan
            for part, previous in ((during, last), (before, np.nan)):
                change = np.diff(part[:, column], prepend=previous) / step.total_seconds()
                part[:, column] = np.where(sign * change >= 0, change, np.nan)
            notes[int(column)] = COUNTER
    return notes

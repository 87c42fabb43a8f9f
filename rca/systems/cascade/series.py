"""What moved together with the symptom: every series against the symptom's shape, and each system by its best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from rca import onset
from rca.progress import track
from rca.systems.cascade import shape
from rca.systems.cascade.begin import begin, gradual
from rca.systems.cascade.links import Moved
from rca.systems.cascade.panel import Block, Panel
from rca.times import show

__all__ = ["BLIND", "DEMAND", "Felt", "best_series", "examine", "fell_silent", "felt", "set_aside"]

ALPHA = 0.05  # chance of a healthy series to follow the symptom, above which it counts as not moved
_HALF = 0.5  # orders of magnitude below that chance that make a system half sure to have moved
_OTHER = 0.35  # weight of another metric than the symptom's, where a system has that
_MOVED = 2.5  # spreads above which a row is at the new level
_HARM = 0.25  # share of the symptom's contrast that is away from the healthy level, or it is one standard deviation
_AWAY = 4.0  # spreads from the healthy level from which on it is said when a series left it
_SILENT = 3.0  # sampling steps of its own without a value at the window's end, above which a system fell silent
_UNRELATED = 10  # systems that the symptom does not depend on, from which what all share can be told
DEMAND = "a measure of demand: not ranked"
BLIND = "measured in too few of the rows in which the symptom moved: not ranked"
STRANGER = "its system is not in the graph: not ranked"


@dataclass(frozen=True, eq=False)
class Felt:
    """The symptom.

    Attributes
    ----------
    focus : Focus
        Where and in which shape it moved.
    chance : float
        Chance of such a move when nothing is wrong.
    before, during : float
        Healthy median, and median of its strongest stretch, in the unit of the series.
    sign : float
        1 if it moved up, -1 if down.
    sided : bool
        Whether only that direction is harmful.
    last : int
        Last row of `during` in its shape.
    note : str
        What a reader must know of it; empty when nothing.
    steady : float
        How well another series could follow its course, 0 to 1.
    demand : bool
        Whether it is a measure of demand, which harms in neither direction.
    harmed : bool
        Whether the strongest stretch is away from the healthy level, not only from other rows that are better than it.
    """

    focus: shape.Focus
    chance: float
    before: float
    during: float
    sign: float = 1.0
    sided: bool = False
    last: int = 0
    note: str = ""
    steady: float = 0.0
    demand: bool = False
    harmed: bool = False


def felt(panel: Panel, way: str) -> Felt:
    """Examine the symptom; `way` is its harmful direction."""
    block = next(part for part in panel.blocks() if part.first <= panel.symptom < part.first + len(part.notes))
    column = panel.symptom - block.first
    before, during, note = block.before[:, column], block.during[:, column], block.notes[column]
    window = during[panel.head :]
    healthy, seen = int(np.isfinite(before).sum()), int(np.isfinite(window).sum())
    middle = float(np.nanmedian(before)) if healthy else float("nan")
    if healthy < onset.MIN_ROWS or seen < 2:
        note = _few(healthy) if healthy < onset.MIN_ROWS else "only 1 row in the window during"
        none = shape.Focus(0, len(during), 0, np.zeros(len(during)), np.zeros(len(during)), False)
        level = float(np.nanmedian(window)) if seen else middle
        return Felt(none, 1.0, middle, level, note=note)
    times = pd.date_range(panel.start - len(before) * panel.step, periods=len(before) + len(window), freq=panel.step)
    windows = {"before": (times[0], panel.start), "during": (panel.start, times[-1] + panel.step)}
    either = way not in ("up", "down")
    shift = onset.find(pd.Series(np.concatenate([before, window]), times), **windows, harmful="both" if either else way)
    sign = (1.0 if shift.during >= shift.before else -1.0) if either else 1.0 if way == "up" else -1.0
    scored = shape.scores(before[:, None], during[:, None], np.array([sign]))
    focus = shape.focus(scored[1][:, 0], panel.head)
    chance = _chance(
        shape.symptom_chance(scored[0][:, 0], focus), shift.p_value, len(during) / len(focus.shape), either
    )
    rows = np.flatnonzero((focus.filter > 0) & np.isfinite(during[focus.start : focus.stop])) + focus.start
    level = float(np.median(during[rows])) if len(rows) else shift.during
    harm = sign * (level - middle) >= scored[3][0] or shape.harm(focus) >= _HARM
    last, demand = int(rows[-1]) if len(rows) else 0, way == "neither"
    steady = shape.steadiness(scored[1][focus.start : focus.stop, 0])
    return Felt(focus, chance, middle, level, sign, not either, last, note, steady, demand, harm)


def _chance(as_shape: float, as_shift: float, places: float, either: bool) -> float:
    """Return the chance of the symptom from that of its shape, where known, and of a lasting shift.

    A stretch of the window may lie in as many `places`; where there are several, the smaller of the two chances
    counts twice (Bonferroni). A daily rhythm hides a shift, but not a shape that no day shows.
    """
    if np.isnan(as_shape):
        return as_shift
    as_shape = min(as_shape * (2 if either else 1) * places, 1.0)
    return as_shape if places == 1 else min(2 * min(as_shape, as_shift), 1.0)


def examine(
    panel: Panel, graph: nx.DiGraph, symptom: Felt, harmful: Mapping[str, str], *, progress: bool
) -> pd.DataFrame:
    """Return one row a series, held against the symptom's shape.

    Columns: ``system``, ``metric``, ``before``, ``during``, ``deviation``, ``strength``, ``alignment``,
    ``chance`` (log10, of one series), ``begin``, ``error``, ``earliest`` (rows of `during`; NaN unless it moved),
    ``rise`` (rows before `begin` in which a gradual rise may have begun),
    ``ranked``, ``note``, ``last`` (row with its last value, NaN if that is far from `during`), ``quiet`` (how many of
    its own sampling steps that was before the end), ``raw`` (the strength before what all share was taken off).
    """
    parts = [
        _examine(panel, block, graph, symptom, harmful)
        for block in track(panel.blocks(), "series", total=panel.parts, progress=progress)
    ]
    table = pd.concat(parts, ignore_index=True)
    shared = _shared(table, graph, panel.keys[panel.symptom][0])
    rises = table["ranked"] & (table["strength"] > 0)
    table["raw"] = table["strength"]
    table["strength"] = table["strength"].where(~rises, table["strength"] - shared)
    either = np.array([harmful.get(name, "both") not in ("up", "down") for name in table["metric"]])
    either[panel.symptom] = False
    table["chance"] = shape.log_chance(table["strength"], symptom.focus.lag) + np.log10(np.where(either, 2.0, 1.0))
    return table


def _examine(panel: Panel, block: Block, graph: nx.DiGraph, symptom: Felt, harmful: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of some series."""
    keys = panel.keys[block.first : block.first + len(block.notes)]
    ways = [harmful.get(metric, "both") for _, metric in keys]
    signs = np.array([-1.0 if way == "down" else 1.0 for way in ways])
    either = np.array([way not in ("up", "down") for way in ways])
    if block.first <= panel.symptom < block.first + len(keys):
        signs[panel.symptom - block.first], either[panel.symptom - block.first] = symptom.sign, False
    seen = [np.isfinite(part).sum(axis=0) for part in (block.before, block.during[panel.head :])]
    focus = symptom.focus
    before, during, middle, spread = shape.scores(block.before, block.during, signs)
    found = shape.follow(before, during, focus, either)
    inside = np.flatnonzero(focus.filter > 0) + focus.start
    rows = []
    for column, (system, metric) in enumerate(keys):
        note = _note(system, ways[column], seen[0][column], seen[1][column], graph, block.notes[column])
        is_symptom = block.first + column == panel.symptom
        if not is_symptom and note in ("", block.notes[column]) and not found.known[column]:
            note = BLIND
        ranked = is_symptom or note in ("", block.notes[column])
        usable = seen[0][column] >= onset.MIN_ROWS and seen[1][column] > 0
        part = block.during[np.clip(inside - found.lead[column], 0, None), column]
        part = part[np.isfinite(part)]
        level = float(np.median(part)) if len(part) else float("nan")
        start = (float("nan"),) * 4
        heard = usable and (ranked or note == DEMAND)
        away = abs(level - middle[column]) > _AWAY * spread[column]
        if heard and (away or found.strength[column] > _AWAY):
            moved = found.sign[column] * during[:, column]
            start = _begin(before[:, column], moved, panel, symptom, found.lead[column])
        rows.append((
            system, metric, middle[column] if usable else float("nan"), level if usable else float("nan"),
            (level - middle[column]) / spread[column] if usable else float("nan"),
            float(found.strength[column]) if heard else 0.0,
            float(found.alignment[column]), *start, ranked, "" if is_symptom and note in (DEMAND, STRANGER) else note,
            *_last(block.before[:, column], block.during[:, column], panel),
        ))  # fmt: skip
    columns = ["system", "metric", "before", "during", "deviation", "strength", "alignment", "begin", "error",
               "earliest", "rise", "ranked", "note", "last", "quiet"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _last(before: Any, during: Any, panel: Panel) -> tuple[float, float]:
    """Return the row of `during` with the last value, and how many of its sampling steps that was before the end."""
    healthy, rows = np.flatnonzero(np.isfinite(before)), np.flatnonzero(np.isfinite(during))
    if len(rows):
        last = float(rows[-1])
    elif panel.head and len(healthy):
        last = float(healthy[-1] - len(before) - panel.gap + panel.head)
    else:
        return float("nan"), 0.0
    return last, (len(during) - 1 - last) / (float(np.median(np.diff(healthy))) if len(healthy) > 1 else 1.0)


def set_aside(table: pd.DataFrame, panel: Panel) -> dict[str, str]:
    """Return the systems that are measured, but of which no series could be ranked, and why, as a verb."""
    found = {}
    for system, rows in table[~table.groupby("system")["ranked"].transform("any")].groupby("system", sort=True):
        if (rows["note"] == STRANGER).all():
            continue
        if fell_silent(rows):
            found[str(system)] = f"sent nothing after {show(panel.times([rows['last'].max()])[0])}"
        elif (rows["note"] == DEMAND).all():
            found[str(system)] = "has measures of demand only"
        elif (rows["note"] == BLIND).any():
            found[str(system)] = "was measured in too few rows"
        else:
            found[str(system)] = f"had {rows['note'].iloc[0]}"
    return found


def fell_silent(rows: pd.DataFrame) -> bool:
    """Return whether a system, of whose series these are the rows, sent nothing any more at the window's end."""
    return bool((rows["last"].notna() & (rows["quiet"] > _SILENT)).all())


def _note(system: str, way: str, before: int, during: int, graph: nx.DiGraph, note: str) -> str:
    """Return why a series is not ranked, or else what was found when it was read."""
    empty = [name for name, count in (("before", before), ("during", during)) if not count]
    if empty:
        return f"no value in the window {' and '.join(empty)}"
    if before < onset.MIN_ROWS:
        return _few(before)
    if system not in graph:
        return STRANGER
    return DEMAND if way == "neither" else note


def _few(count: int) -> str:
    return f"only {count} row{'' if count == 1 else 's'} before"


def _begin(before: Any, during: Any, panel: Panel, symptom: Felt, lead: int) -> tuple[float, float, float, float]:
    """Return the row where a series left its level, its error, the first conceivable row, and the rows of a slow rise.

    NaN when it was away from its level since the first row that is known, so that it may have left it at any time
    before; where the windows lie a few rows apart, the error holds the rows between.
    """
    rows = np.flatnonzero(np.isfinite(during))
    away = rows[(rows <= max(symptom.last - int(lead), 0)) & (during[rows] > _MOVED)] if len(rows) else rows
    if not len(away):
        return (float("nan"),) * 4
    last = int(np.searchsorted(rows, away[-1]))
    first, error, earliest = begin(during[rows], last, np.nan_to_num(before))
    if first == 0:
        return (float("nan"),) * 4
    unseen = float(rows[first] - rows[first - 1] - 1)
    slowly = first - gradual(during[rows], first, last, np.nan_to_num(before))
    rise = float(rows[first] - rows[slowly])
    return float(rows[first]), error + unseen, float(rows[min(earliest, slowly)]), rise


def _shared(table: pd.DataFrame, graph: nx.DiGraph, system: str) -> float:
    """Return how strongly the systems that the symptom does not depend on followed it: what all share, as load."""
    related = nx.ancestors(graph, system) | {system} if system in graph else {system}
    others = table[table["ranked"] & ~table["system"].isin(related)]
    if others["system"].nunique() < _UNRELATED:
        return 0.0
    return max(float(others["strength"].median()), 0.0)


def best_series(table: pd.DataFrame, metric: str) -> tuple[Moved, pd.DataFrame]:
    """Return how surely each system moved, and the series that shows it best, one row a system.

    The symptom's `metric` is tested as it is; the chance of another series is multiplied by the number of those, and
    by two where the system has the symptom's metric too (Bonferroni). There the other also counts a third only:
    faults mostly spread in kind. The column ``chance`` becomes that of the system.
    """
    ranked = table[table["ranked"]].copy()
    same = ranked["metric"] == metric
    has = same.groupby(ranked["system"]).transform("any")
    others = (~same).groupby(ranked["system"]).transform("sum")
    tests = np.where(same, 1.0, np.where(has, 2.0, 1.0) * others)
    ranked["chance"] = np.minimum(ranked["chance"] + np.log10(np.maximum(tests, 1.0)), 0.0)
    surely = np.maximum(np.log10(ALPHA) - ranked["chance"], 0.0)
    ranked["moved"] = surely / (surely + _HALF) * np.where(has & ~same, _OTHER, 1.0)
    ranked = ranked.sort_values(["system", "moved", "chance", "metric"], ascending=[True, False, True, True])
    best = ranked.drop_duplicates("system").reset_index(drop=True)
    numbers = [best[name].to_numpy(dtype="float64") for name in ("moved", "begin", "error", "earliest")]
    return Moved(best["system"].tolist(), *numbers), best

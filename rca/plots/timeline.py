"""Picture of a timeline: lanes by system, kinds by marker, milestones, phases and windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from rca import times
from rca.plots.phasestrip import draw as draw_phases
from rca.plots.sheet import drawable, width, wrap
from rca.plots.timeaxis import Scale, days, scale, set_axis
from rca.schema import SEVERITY
from rca.wording import duration

__all__ = ["timeline"]

# Okabe-Ito colours; every kind differs by marker as well. Drawn in this order, so that the rare ones lie on top.
# Colour, marker, label, and where in its lane (up is negative).
_KINDS = {
    "log": ("#7F7F7F", "|", "log record", 0.0),
    "error": ("#000000", "x", "error in a log", 0.0),
    "other": ("#CC79A7", "s", "other", 0.22),
    "people": ("#009E73", "o", "people", 0.22),
    "change": ("#0072B2", "D", "change", 0.0),
    "signal": ("#56B4E9", "v", "signal in the data", -0.22),
    "alert": ("#D55E00", "^", "alert", -0.22),
}
_PEOPLE = ("ticket", "chat", "statement", "status", "notified", "escalated", "handed_over", "decided", "audit")
_CHANGES = (
    "deploy", "commit", "flag", "config_change", "model_version", "training_run", "data_load", "campaign", "rollback",
)  # fmt: skip
_LANES = 12
_MANY = 120  # events of one kind in one lane, from which on they are drawn as a density
_BINS = 240
_FEW = 12  # events below which no stretch is shortened unless milestones or windows say what matters
_NAMED = 3  # undated events
_NAME = 30  # characters of a system in its lane's label
_WIDE = 9.6  # inches of the notes

_Window = tuple[str, pd.Timestamp, pd.Timestamp]


def timeline(
    table: pd.DataFrame,
    milestones: pd.DataFrame | None = None,
    windows: Sequence[_Window] = (),
    phases: pd.DataFrame | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw events in lanes by system.

    Parameters
    ----------
    table : DataFrame
        Schema ``events``; an event known only as an interval is a bar. Those without any time, and those that lie
        far from the incident (measured by its length), are not drawn and a note says so.
    milestones : DataFrame, optional
        From `rca.timeline.milestones`: a line each, or a band where only an interval is known.
    windows : sequence of (name, start, end)
        Shaded, or with `phases` a bar at the foot, and named in the legend.
    phases : DataFrame, optional
        From `rca.timeline.phases`: shaded and named in a strip above the lanes; which scheme it is stands in a note.
        A bound known only as an interval is hatched.
    ax : Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    Axes
        One collection of markers a group of kinds. Of a kind (or errors in logs) with more than 120 events in a lane
        a density is drawn, its height by the log of their number (a log record repeated from a first to a last time is
        spread evenly over it, and a note says so); all others are drawn one by one. At most 12
        lanes: the systems with the most alerts, changes and signals, then the busiest; the rest share one, and
        a note names them. A long quiet stretch is drawn shortened, hatched and marked with its length; no milestone
        and no window but that named "before" lies in one.
    """
    placed, notes = _placed(table, milestones, windows)
    lanes, lane, others = _lanes(placed)
    placed = placed.assign(lane=lane)
    axis = _axis(placed, milestones, windows)
    figure = Figure(figsize=(10, 3), layout="constrained")
    axes = figure.subplots() if ax is None else ax
    if axis is not None:
        set_axis(axes, axis)
        _windows(axes, windows, phases is not None)
        if phases is not None and draw_phases(axes, phases, axis, len(lanes)):
            notes.append(f"Phases: {phases['scheme'].iloc[0]}; hatched where a bound is known only as an interval.")
        notes += _marks(axes, placed, axis)
        _milestones(axes, milestones, axis)
    axes.set_yticks(range(len(lanes)), [_short(name) for name in lanes], parse_math=False)
    axes.set_ylim(len(lanes) - 0.4, -0.6 if phases is None else -1.75)
    if others:
        notes.append(f"Other systems: {', '.join(name or '(no system)' for name in others)}.")
    lines = _frame(axes, len(lanes), notes)
    if ax is None:
        figure.set_size_inches(10, 2.4 + 0.34 * max(len(lanes), 1) + 0.4 * (phases is not None) + 0.17 * lines)
    return axes


def _short(name: str) -> str:
    text = drawable(name) or "(no system)"
    return text if len(text) <= _NAME else text[: _NAME - 1] + "…"


def _ns(column: pd.Series) -> pd.Series:
    return column.astype(times.UTC).astype("int64")


def _placed(
    table: pd.DataFrame, milestones: pd.DataFrame | None, windows: Sequence[_Window]
) -> tuple[pd.DataFrame, list[str]]:
    """Return what is drawn, as numbers, and notes on what is not.

    Columns ``at`` and ``until`` (nanoseconds; the interval, twice the time, or of repeated log records the first and
    the last), ``exact`` (ns of the time, or 0 where not known), ``bar``, ``repeated``, ``system``, ``kind``, ``group``,
    ``count``.
    """
    notes = []
    known, bar = table["time"].notna(), table["time_earliest"].notna() & table["time_latest"].notna()
    seen = known | bar
    if not seen.all():
        notes.append(_undated(table[~seen]))
    kinds, names = pd.factorize(table.loc[seen, "kind"])
    group = np.array([_group(name) for name in names], dtype=object)[kinds]
    bad = (table.loc[seen, "severity"] >= SEVERITY["error"]).fillna(False).to_numpy(bool)
    group[(group == "log") & bad] = "error"
    bars = bar[seen]
    start, end = (
        _ns(table.loc[seen, f"time_{name}"].where(bars, table.loc[seen, "time"])) for name in ("earliest", "latest")
    )
    lasts = table["time_end"] - table["time"] > pd.Timedelta("1us")  # what places on the axis can tell apart
    repeated = (table["count"] > 1) & lasts & (table["kind"] == "log") & ~bar
    end = end.mask(repeated[seen], _ns(table.loc[seen, "time_end"].fillna(_EPOCH)))
    placed = pd.DataFrame({
        "at": start, "until": end, "known": known[seen], "exact": _ns(table.loc[seen, "time"].fillna(_EPOCH)),
        "bar": bars, "repeated": repeated[seen], "system": table.loc[seen, "system"], "kind": kinds, "group": group,
        "count": table["count"][seen],
    })  # fmt: skip
    limits = _near(placed, milestones, windows)
    if limits is None:
        return placed, notes
    near = (placed["until"] >= limits[0]) & (placed["at"] <= limits[1])
    if not near.all():
        first, last = (times.show(pd.Timestamp(edge, tz="UTC").floor("min")) for edge in limits)
        notes.append(f"{int((~near).sum()):,} far events before {first} or after {last} not drawn.")
    return placed[near], notes


_EPOCH = pd.Timestamp(0, tz="UTC")


def _undated(events: pd.DataFrame) -> str:
    """Return which events have no time, by the first words of some of them."""
    some = [
        " ".join(filter(None, [f"“{drawable(text)[:50]}{'…' * (len(text) > 50)}”", f"({name})" * bool(name)]))
        for text, name in events[["message", "system"]].head(_NAMED).itertuples(index=False)
    ]
    more = [f"{len(events) - _NAMED:,} more"] if len(events) > _NAMED else []
    return f"{len(events):,} undated events not drawn: {', '.join(some + more)}."


def _near(placed: pd.DataFrame, milestones: pd.DataFrame | None, windows: Sequence[_Window]) -> tuple[int, int] | None:
    """Return the time to draw: no further from the incident than its length, or a quarter of it after its end.

    A window but the healthy one is drawn whole where it reaches no further than that length on either side.
    """
    known = _known(milestones)
    length = known["latest"].max() - known["earliest"].min() if len(known) else 0
    if length <= 0 and placed.empty:
        return None
    if length > 0:
        first, last = int(known["earliest"].min()), int(known["latest"].max())
        low, high = first - length, last + length // 4
    else:
        first, last = low, high = int(placed["at"].min()), int(placed["until"].max())
    reach = first - (last - first), last + (last - first)
    for start, end in _others(windows):
        if start <= reach[1] and end >= reach[0]:
            low, high = min(low, max(start, reach[0])), max(high, min(end, reach[1]))
    return low, high


def _others(windows: Sequence[_Window]) -> list[tuple[int, int]]:
    return [(pd.Timestamp(start).value, pd.Timestamp(end).value) for name, start, end in windows if name != "before"]


def _known(milestones: pd.DataFrame | None) -> pd.DataFrame:
    """Return earliest and latest, in nanoseconds, of the milestones that bound the incident."""
    if milestones is None:
        return pd.DataFrame({"earliest": [], "latest": []}, dtype="int64")
    kept = milestones.loc[milestones.index != "closed", ["earliest", "latest"]].dropna()
    return kept.apply(_ns) if len(kept) else kept.astype("int64")


def _axis(placed: pd.DataFrame, milestones: pd.DataFrame | None, windows: Sequence[_Window]) -> Scale | None:
    """Return the time axis, or None when there is nothing to place on it.

    No milestone and no window but the healthy one lies in a shortened stretch; without any, few events have none.
    """
    known = _known(milestones)
    if placed.empty and known.empty:
        return None
    near = _near(placed, milestones, windows)
    low, high = near if near is not None else (int(known["earliest"].min()), int(known["latest"].max()))
    starts = np.concatenate([placed["at"].clip(low, high), known["earliest"]]).astype(np.int64)
    ends = np.concatenate([placed["until"].clip(low, high), known["latest"]]).astype(np.int64)
    others = _others(windows)
    if milestones is not None:
        others += list(milestones[["earliest", "latest"]].dropna().apply(_ns).itertuples(index=False, name=None))
    kept = [(max(start, low), min(end, high)) for start, end in others if start <= high and end >= low]
    limits = min([int(starts.min()), *(start for start, _ in kept)]), max([int(ends.max()), *(end for _, end in kept)])
    if not kept and len(placed) < _FEW:
        return scale(np.array(limits), np.array(limits[::-1]), limits)
    starts = np.concatenate([starts, np.array([start for start, _ in kept], dtype=np.int64)])
    ends = np.concatenate([ends, np.array([end for _, end in kept], dtype=np.int64)])
    return scale(starts, ends, limits)


def _group(kind: str) -> str:
    if kind in ("alert", "log", "signal"):
        return kind
    return "change" if kind in _CHANGES else "people" if kind in _PEOPLE else "other"


def _lanes(placed: pd.DataFrame) -> tuple[list[str], np.ndarray[Any, Any], list[str]]:
    """Return the lanes in order of their first event, the lane of each event, and the systems that share the last."""
    code, names = pd.factorize(placed["system"])
    rare = placed["group"].isin(["alert", "change", "signal"]).to_numpy()
    each = pd.DataFrame({"name": list(names)})
    each["first"] = placed["at"].groupby(code).min()
    each["rare"], each["all"] = np.bincount(code[rare], minlength=len(names)), np.bincount(code, minlength=len(names))
    if len(each) > _LANES:
        kept = each.sort_values(["rare", "all", "first"], ascending=[False, False, True], kind="stable").index
        each["kept"] = each.index.isin(kept[: _LANES - 1])
    else:
        each["kept"] = True
    order = each[each["kept"]].sort_values("first", kind="stable")
    others = each.loc[~each["kept"]].sort_values("all", ascending=False, kind="stable")["name"].tolist()
    lane = np.full(len(each), len(order))
    lane[order.index] = range(len(order))
    return order["name"].tolist() + [f"other systems ({len(others)})"] * bool(others), lane[code], others


def _marks(ax: Axes, placed: pd.DataFrame, axis: Scale) -> list[str]:
    """Draw the events one by one where they are few, else as densities, and return what the densities show."""
    size = placed.groupby(["lane", "kind", "group"])["at"].transform("size").to_numpy()
    many = size > _MANY
    dense = placed[many & placed["known"].to_numpy()]
    notes = _densities(ax, dense, axis) if len(dense) else []
    _bars(ax, placed[placed["bar"]], axis)
    single = placed[~many & placed["known"].to_numpy()]
    for key, (colour, marker, label, shift) in _KINDS.items():
        chosen = single[single["group"] == key]
        if len(chosen):
            style: dict[str, Any] = {"s": 46, "alpha": 0.9, "edgecolors": "white", "linewidths": 0.6}
            if marker in "|x":
                style = {"s": 60, "alpha": 0.5} if marker == "|" else {"s": 30, "alpha": 0.9, "linewidths": 1.2}
            ax.scatter(
                days(chosen["exact"]), chosen["lane"] + shift, c=colour, marker=marker, label=label, zorder=4, **style
            )
    return notes


def _densities(ax: Axes, dense: pd.DataFrame, axis: Scale) -> list[str]:
    """Draw what is frequent as bars around the middle of its lane, the height by the log of the number."""
    edges = axis.time(np.arange(_BINS + 1) / _BINS)
    groups = dict(tuple(dense.groupby("group")))
    tallied = {key: _tally(groups[key], edges, axis) for key in _KINDS if key in groups}
    most = max(int(number.max()) for number in tallied.values())
    for key, number in tallied.items():
        where = np.flatnonzero(number)
        lane, step = np.divmod(where, _BINS)
        half = 0.05 + 0.37 * np.log1p(number[where]) / np.log1p(most)
        left, right = edges[step], edges[step + 1]
        corners = [(left, lane - half), (left, lane + half), (right, lane + half), (right, lane - half)]
        boxes = np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1)
        colour, _, label, _ = _KINDS[key]
        ax.add_collection(
            PolyCollection(list(boxes), facecolors=colour, alpha=0.55, linewidths=0, label=f"{label}, many", zorder=3),
            autolim=False,
        )
    every = duration(pd.Timedelta(days=float(np.median(np.diff(edges)))))
    notes = [f"Bars: more than {_MANY} of a kind, counted by {every}, at most {most:,}; height by the log of it."]
    if dense["repeated"].any():
        notes.append(
            "Records of which only the first and the last time are known are spread evenly between (estimate)."
        )
    return notes


def _tally(dense: pd.DataFrame, edges: np.ndarray[Any, Any], axis: Scale) -> np.ndarray[Any, Any]:
    """Return the number of records in each bin of each lane, one lane after the other."""
    lanes, whole = int(dense["lane"].max()) + 1, dense[~dense["repeated"]]
    place = np.clip((axis.place(days(whole["exact"])) * _BINS).astype(int), 0, _BINS - 1)
    cell = whole["lane"].to_numpy() * _BINS + place
    number = np.bincount(cell, weights=whole["count"], minlength=lanes * _BINS).reshape(lanes, _BINS)
    several = dense[dense["repeated"]]
    for begin in range(0, len(several), 4096):
        rows = several[begin : begin + 4096]
        first, last, count = days(rows["at"]), days(rows["until"]), rows["count"].to_numpy()
        share = (edges[:, None] - first) / (last - first)  # of the stretch, before each edge
        before = np.clip(np.ceil(share * (count - 1)), 0, count)
        np.add.at(number, rows["lane"].to_numpy(), np.diff(before, axis=0).T)
    return number.ravel()


def _bars(ax: Axes, unsure: pd.DataFrame, axis: Scale) -> None:
    """Draw a bar for each event that is known only as an interval; equal ones once."""
    if unsure.empty:
        return
    shift, colour = ({key: _KINDS[key][part] for key in _KINDS} for part in (3, 0))
    limits = axis.times[[0, -1]]
    ends = pd.DataFrame({name: days(unsure[name]).clip(*limits) for name in ("at", "until")})
    grain = (limits[1] - limits[0]) / 5000
    ends = (ends / grain).round() * grain
    ends["height"] = (unsure["lane"] + unsure["group"].map(shift)).to_numpy()
    ends["colour"] = unsure["group"].map(colour).to_numpy()
    ends = ends.drop_duplicates()
    lines = [[(row.at, row.height), (row.until, row.height)] for row in ends.itertuples()]
    bars = LineCollection(lines, colors=list(ends["colour"]), linewidths=3, alpha=0.7, zorder=3.5)
    bars.set_label("time known as an interval")
    ax.add_collection(bars, autolim=False)


def _windows(ax: Axes, windows: Sequence[_Window], foot: bool) -> None:
    for name, start, end in windows:
        colour = "#56B4E9" if name == "before" else "#E69F00"
        if foot:  # where phases have these colours
            colour = "#AAAAAA" if name == "before" else "#333333"
        low, high = (float(edge) for edge in mdates.date2num([start, end]))
        style = {"ymax": 0.025, "alpha": 0.9} if foot else {"alpha": 0.10}
        ax.axvspan(low, high, color=colour, zorder=2.7 if foot else 0, label=f"window: {name}", linewidth=0, **style)


def _milestones(ax: Axes, milestones: pd.DataFrame | None, axis: Scale) -> None:
    """Draw a line for each milestone and name it above; those that nearly coincide share a name."""
    if milestones is None:
        return
    known = milestones.dropna(subset=["earliest", "latest"]).sort_values(["earliest", "latest"], kind="stable")
    names: list[tuple[float, str]] = []
    for row in known.itertuples():
        start, end = (float(days(edge.value)) for edge in (row.earliest, row.latest))
        place = float(axis.place(start))
        if not 0 <= place <= 1:
            continue
        if end > start:
            ax.axvspan(start, end, color="#000000", alpha=0.12, linewidth=0, zorder=1)
        ax.axvline(start, color="#000000", linewidth=1, linestyle="--", zorder=2)
        if names and place - names[-1][0] < 0.004:
            names[-1] = (names[-1][0], f"{names[-1][1]} / {row.name}")
        else:
            names.append((place, str(row.name)))
    taken: list[tuple[float, int]] = []
    for place, name in names:
        wide = (width(name, 9, "bold") + 0.15) / 8
        left = min(place, 1 - wide)
        level = next(n for n in range(len(names) + 1) if all(left > right or used != n for right, used in taken))
        taken.append((left + wide, level))
        ax.annotate(
            name, (left, 1.0), xycoords="axes fraction", xytext=(3, 4 + 12 * level),
            textcoords="offset points", fontsize=9, fontweight="bold", parse_math=False, annotation_clip=False,
        )  # fmt: skip


def _frame(ax: Axes, lanes: int, notes: list[str]) -> int:
    """Set labels, rules between lanes, legend and notes, and return how many lines legend and notes take."""
    ax.set_xlabel("time (UTC)")
    ax.grid(axis="x", color="#E5E5E5", linewidth=0.7, zorder=0)
    for lane in range(1, lanes):
        ax.axhline(lane - 0.5, color="#EEEEEE", linewidth=0.7, zorder=0)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=9)
    handles = len(ax.get_legend_handles_labels()[0])
    rows = -(-handles // 4)
    below = 48
    if handles:
        down = ax.transAxes + ScaledTranslation(0, -below / 72, ax.figure.dpi_scale_trans)
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.45, 0), bbox_transform=down, ncols=4, frameon=False, fontsize=9,
            columnspacing=1.4, handletextpad=0.5, borderaxespad=0.2,
        )  # fmt: skip
    lines = [line for note in notes for line in wrap(note, _WIDE - 1.6, 8.5)]
    if lines:
        ax.annotate(
            "\n".join(lines), (0, 0), xycoords="axes fraction", xytext=(-60, -below - 8 - 16 * rows),
            textcoords="offset points", va="top", fontsize=8.5, color="#444444", parse_math=False,
            annotation_clip=False,
        )  # fmt: skip
    return rows + len(lines)

"""Picture of a timeline: lanes by system, kinds by marker, milestones and windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.dates as mdates
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["timeline"]

# Okabe-Ito colours; every kind differs by marker as well.
# Drawn in this order, so that the rare ones lie on top.
_KINDS = {
    "log": ("#7F7F7F", "|", "log record"),
    "other": ("#CC79A7", "s", "other"),
    "people": ("#009E73", "o", "people"),
    "change": ("#0072B2", "D", "change"),
    "alert": ("#D55E00", "^", "alert"),
}
_PEOPLE = ("ticket", "chat", "statement", "status", "notified", "escalated", "handed_over", "decided", "audit")
_CHANGES = (
    "deploy", "commit", "flag", "config_change", "model_version", "training_run", "data_load", "campaign", "rollback",
)  # fmt: skip
_LANES = 18


def timeline(
    table: pd.DataFrame,
    milestones: pd.DataFrame | None = None,
    windows: Sequence[tuple[str, pd.Timestamp, pd.Timestamp]] = (),
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw events in lanes by system.

    Parameters
    ----------
    table : DataFrame
        Schema ``events``; an event known only as an interval is a bar. Those without any time, and those that lie
        far from the incident (measured by its length), are counted in the axis label.
    milestones : DataFrame, optional
        From `rca.timeline.milestones`: a line each, or a band where only an interval is known.
    windows : sequence of (name, start, end)
        Shaded and named below the axis.
    ax : Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    Axes
        One collection of markers a group of kinds, at most 18 lanes (the rest share one, said in its label).
    """
    placed = table.assign(start=table["time"].fillna(table["time_earliest"])).dropna(subset=["start"])
    limits = _limits(placed, milestones)
    undated, everything = len(table) - len(placed), len(placed)
    if limits is not None:
        placed = placed[placed["start"].between(*limits) | placed["time_latest"].between(*limits)]
    dated = placed[placed["time"].notna()]
    lanes = _lanes(placed)
    if ax is None:
        ax = Figure(figsize=(10, 2.2 + 0.34 * max(len(lanes), 1)), layout="constrained").subplots()
    _markers(ax, dated, lanes)
    _intervals(ax, placed, lanes)
    ax.set_yticks(range(len(lanes)), [name or "(no system)" for name in lanes], parse_math=False)
    ax.set_ylim(len(lanes) - 0.4, -0.6)
    if limits is not None:
        ax.set_xlim(*limits)
    for name, start, end in windows:
        colour = "#56B4E9" if name == "before" else "#E69F00"
        ax.axvspan(start, end, color=colour, alpha=0.10, zorder=0, label=f"window: {name}")
    _milestones(ax, milestones, len(lanes))
    far = everything - len(placed)
    left_out = " and ".join([f"{undated} undated"] * bool(undated) + [f"{far} far"] * bool(far))
    ax.set_xlabel("time (UTC)" + (f"; {left_out} events not drawn" if left_out else ""))
    _frame(ax, len(lanes))
    return ax


def _markers(ax: Axes, dated: pd.DataFrame, lanes: list[str]) -> None:
    """Draw a marker for each event, one collection a group of kinds."""
    lane = {name: number for number, name in enumerate(lanes)}
    group = dated["kind"].map(_group)
    height = dated["system"].map(lambda name: lane.get(name, len(lanes) - 1))
    for key, (colour, marker, label) in _KINDS.items():
        chosen = group == key
        if chosen.any():
            style: dict[str, Any] = {"s": 46, "alpha": 0.9, "edgecolors": "white", "linewidths": 0.6}
            if key == "log":
                style = {"s": 60, "alpha": 0.35}
            ax.scatter(
                dated.loc[chosen, "time"], height[chosen], c=colour, marker=marker, label=label, zorder=3, **style
            )


def _frame(ax: Axes, lanes: int) -> None:
    """Set the ticks, the grid and the legend."""
    locator = mdates.AutoDateLocator(minticks=3, maxticks=9)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    ax.grid(axis="x", color="#E5E5E5", linewidth=0.7, zorder=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    if ax.get_legend_handles_labels()[0]:
        below = (0.5, -0.16 - 0.5 / max(lanes, 2))
        ax.legend(loc="upper center", bbox_to_anchor=below, ncols=6, frameon=False, fontsize=9)


def _group(kind: str) -> str:
    if kind in ("alert", "log"):
        return kind
    return "change" if kind in _CHANGES else "people" if kind in _PEOPLE else "other"


def _lanes(placed: pd.DataFrame) -> list[str]:
    """Return the systems in order of their first event; the least busy share one lane when there are many."""
    first = placed.groupby("system")["start"].min().sort_values(kind="stable")
    if len(first) <= _LANES:
        return list(first.index)
    busy = placed["system"].value_counts().head(_LANES - 1).index
    return [name for name in first.index if name in busy] + [f"{len(first) - len(busy)} other systems"]


def _intervals(ax: Axes, placed: pd.DataFrame, lanes: list[str]) -> None:
    unsure = placed[placed["time_earliest"].notna() & placed["time_latest"].notna()]
    for row in unsure.itertuples():
        lane = lanes.index(row.system if row.system in lanes else lanes[-1])
        ax.hlines(lane, row.time_earliest, row.time_latest, color="#444444", linewidth=2.4, zorder=2)


def _limits(placed: pd.DataFrame, milestones: pd.DataFrame | None) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """Return the time to draw: all events, but no further from the incident than its length, or a quarter after it."""
    seen = pd.concat([placed["start"], placed["time_latest"]]).dropna()
    if milestones is not None:
        known = milestones.loc[milestones.index != "closed", ["earliest", "latest"]].stack().dropna()
        seen = pd.concat([seen, known]).dropna()
        if len(known) and (length := known.max() - known.min()) > pd.Timedelta(0):
            seen = seen.clip(known.min() - length, known.max() + length / 4)
    if seen.empty:
        return None
    margin = max((seen.max() - seen.min()) * 0.03, pd.Timedelta(minutes=1))
    return seen.min() - margin, seen.max() + margin


def _milestones(ax: Axes, milestones: pd.DataFrame | None, lanes: int) -> None:
    known = milestones.dropna(subset=["earliest"]) if milestones is not None else pd.DataFrame()
    if known.empty:
        return
    low, high = ax.get_xlim()
    known = known[mdates.date2num(known["earliest"]) <= high]
    taken: list[tuple[float, int]] = []
    for row in known.sort_values(["earliest", "latest"], kind="stable").itertuples():
        start, end = mdates.date2num(row.earliest), mdates.date2num(row.latest)
        if end > start:
            ax.axvspan(row.earliest, row.latest, color="#000000", alpha=0.12, linewidth=0, zorder=1)
        ax.axvline(row.earliest, color="#000000", linewidth=1, linestyle="--", zorder=2)
        width = 0.0088 * (len(row.name) + 2) * (high - low)
        left = min(start, high - width)
        level = next(n for n in range(len(known) + 1) if all(left > right or used != n for right, used in taken))
        taken.append((left + width, level))
        ax.annotate(
            row.name, (left, 1.0), xycoords=("data", "axes fraction"), xytext=(3, 4 + 12 * level),
            textcoords="offset points", fontsize=9, fontweight="bold", parse_math=False, annotation_clip=False,
        )  # fmt: skip

"""Picture of a cascade: who moved, when, how strongly, and the way from the first cause to the symptom."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import networkx as nx
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from rca.plots import layers, sheet
from rca.records import Trace

__all__ = ["cascade"]

# One hue from light to dark: the order survives every kind of colour blindness, and grey print.
_SHADES = (
    (0.0, "#FFF1CC", "under 5"),
    (5.0, "#FDCB7A", "5 to 15"),
    (15.0, "#EE9336", "15 to 50"),
    (50.0, "#A63F0B", "50 and more"),
)
_FIRST = "#D55E00"
_UNITS = "sd: robust standard deviations from the healthy level; times: month-day hour, UTC"


def cascade(trace: Trace, graph: nx.DiGraph, ax: Axes | None = None) -> Axes:
    """Draw how the trouble spread over the graph of dependencies.

    Parameters
    ----------
    trace : Trace
        From `rca.cascade.trace`.
    graph : DiGraph
        The one that was traced; edge cause -> effect.
    ax : Axes, optional
        Where to draw; default a new figure that grows with the graph.

    Returns
    -------
    Axes
        One box a system, shaded by its deviation, with the metric that moved most and since when. The first
        cause has a thick frame and the way to the symptom is thick, with the lag on each of its edges where the
        trace tells it (column ``lags``); where nobody is named, the reason is written instead. Edges that close
        a cycle are dashed. Data are inches on the sheet.

    Examples
    --------
    >>> moved = pd.DataFrame({"system": ["db"], "metric": ["latency"], "deviation": [9.0], "note": [""],
    ...                       "onset": [pd.Timestamp("2025-03-01T10:05Z")]})
    >>> trace = Trace(("db", "latency"), pd.DataFrame(), moved, "Too little was measured.")
    >>> [text.get_text() for text in cascade(trace, nx.DiGraph([("db", "api")])).texts][:3]
    ['No first cause is named.', 'Too little was measured.', 'db']
    """
    texts, looks = _looks(trace, graph)
    head = [f"First cause: {trace.first}"] if trace.first else ["No first cause is named."]
    way, labels = _way(trace)
    layout = layers.place(graph, texts, labels, way)
    said = f"{_UNITS}; dashed arrow: closes a cycle" if layout.backward else _UNITS
    across = max(layout.across, sheet.width(said, layers.SMALL) + 0.3)
    reason = sheet.wrap(trace.abstained or "", across - 0.3, layers.SMALL) if trace.abstained else []
    head_lines = [line for text in head for line in sheet.wrap(text, across - 0.3, 11, "bold")]
    top = 0.4 + len(head_lines) * sheet.line_height(11) + len(reason) * sheet.line_height(layers.SMALL)
    layout = layout.lowered(top)
    ax, scale = sheet.unroll(across, layout.down + 0.75, ax)
    sheet.write(ax, 0.15, 0.12, head_lines, 11 * scale, weight="bold")
    if reason:
        sheet.write(ax, 0.15, 0.16 + len(head_lines) * sheet.line_height(11), reason, layers.SMALL * scale)
    layers.paint(ax, layout, scale, looks, set(pairwise(way)))
    _tags(ax, trace, layout.boxes, scale)
    _legend(ax, layout.down + 0.3, scale, said)
    return ax


def _way(trace: Trace) -> tuple[tuple[str, ...], dict[tuple[str, str], str]]:
    """Return the path from the first cause to the symptom, and the lag on each of its edges where it is told."""
    if not trace.first:
        return (), {}
    best = trace.candidates.iloc[0]
    return tuple(best["path"]), dict(zip(pairwise(best["path"]), best.get("lags", ()), strict=False))


def _looks(trace: Trace, graph: nx.DiGraph) -> tuple[dict[str, list[str]], dict[str, dict[str, Any]]]:
    """Return for each system what is written in its box, and how the box looks."""
    texts: dict[str, list[str]] = {}
    looks: dict[str, dict[str, Any]] = {}
    measured = trace.deviations.dropna(subset="deviation")
    own = (measured["system"] == trace.symptom[0]) & (measured["metric"] == trace.symptom[1])
    felt = measured.loc[own, "onset"].min()
    for system in graph:
        rows = measured[measured["system"] == system]
        moved = rows.dropna(subset="onset")
        if rows.empty:
            texts[system], looks[system] = ["no metrics"], {"linestyle": (0, (3, 2))}
            continue
        if moved.empty and system not in trace.candidates.index:
            texts[system] = ["no significant move"]
            continue
        if system in trace.candidates.index:
            best = trace.candidates.loc[system]
        elif system == trace.symptom[0] and not pd.isna(felt):
            best = measured[own].iloc[0]
        else:
            best = moved.loc[moved["deviation"].abs().idxmax()]
        size = float(best["deviation"])
        texts[system] = [
            f"{best['metric']} {size:+.1f} sd",
            "since when is not known" if pd.isna(best["onset"]) else f"since {best['onset']:%m-%d %H:%M}",
            *_apart(best["onset"], felt),
        ]
        shade = next(colour for limit, colour, _ in reversed(_SHADES) if abs(size) >= limit)
        looks[system] = {"facecolor": shade, "ink": "white" if shade == _SHADES[-1][1] else sheet.INK}
    if trace.first in looks or trace.first in texts:
        looks.setdefault(str(trace.first), {}).update(edgecolor=_FIRST, linewidth=3.2)
    return texts, looks


def _apart(time: pd.Timestamp, felt: pd.Timestamp) -> list[str]:
    """Say how long before or after the symptom a system moved; nothing if at the same time or not known."""
    if pd.isna(felt) or pd.isna(time) or time == felt:
        return []
    length = abs(time - felt)
    unit, name = next(
        (pair for pair in (("D", "d"), ("h", "h"), ("min", "min")) if length >= 2 * pd.Timedelta(1, pair[0])),
        ("s", "s"),
    )
    return [f"{length / pd.Timedelta(1, unit):.0f} {name} {'before' if time < felt else 'after'} the symptom"]


def _tags(ax: Axes, trace: Trace, placed: dict[str, layers.Box], scale: float) -> None:
    """Write over their boxes which system is the first cause and which one shows the symptom."""
    tags: dict[str, list[str]] = {}
    if trace.first:
        tags.setdefault(trace.first, []).append("first cause")
    tags.setdefault(trace.symptom[0], []).append("symptom")
    for system, words in tags.items():
        if system in placed:
            box = placed[system]
            style = {"va": "bottom", "color": _FIRST if "first cause" in words else sheet.INK, "weight": "bold"}
            sheet.write(ax, box.left + 0.02, box.top - 0.04, [" and ".join(words)], layers.SMALL * scale, **style)


def _legend(ax: Axes, y: float, scale: float, said: str) -> None:
    """Explain units and shades."""
    sheet.write(ax, 0.15, y, [said], layers.SMALL * scale, color=sheet.FAINT)
    x = 0.15
    for _, colour, label in _SHADES:
        ax.add_patch(Rectangle((x, y + 0.2), 0.2, 0.14, facecolor=colour, edgecolor=sheet.FAINT, linewidth=0.6 * scale))
        sheet.write(ax, x + 0.26, y + 0.19, [f"{label} sd"], layers.SMALL * scale, color=sheet.FAINT)
        x += 0.46 + sheet.width(f"{label} sd", layers.SMALL)

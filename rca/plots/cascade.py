"""Picture of a cascade: who moved, when, how strongly, and the way from the first cause to the symptom."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import networkx as nx
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from rca.errors import InputError
from rca.plots import layers, sheet
from rca.records import Trace
from rca.wording import duration

__all__ = ["cascade"]

# One hue from light to dark: the order survives every kind of colour blindness, and grey print.
_SHADES = (
    (0.0, "#FFF1CC", "under 5"),
    (5.0, "#FDCB7A", "5 to 15"),
    (15.0, "#EE9336", "15 to 50"),
    (50.0, "#A63F0B", "50 and more"),
)
_FIRST = "#D55E00"
_WHOLE = 15  # systems up to which all are drawn
_LEGIBLE = 6.0  # points
_UNITS = "sd: robust standard deviations from the healthy level; times: month-day hour, UTC"


def cascade(trace: Trace, graph: nx.DiGraph, ax: Axes | None = None, *, everything: bool = False) -> Axes:
    """Draw how the trouble spread over the graph of dependencies.

    Parameters
    ----------
    trace : Trace
        From `rca.cascade.trace`.
    graph : DiGraph
        The one that was traced; edge cause -> effect.
    ax : Axes, optional
        Where to draw; default a new figure that grows with what is drawn. Where texts would be too small to be read,
        it says so instead and what it needs.
    everything : bool, default False
        Draw all systems. Otherwise of more than 15 only those that moved, the symptom's, the first cause, and a
        shortest way between them; a line below says how many are left out.

    Returns
    -------
    Axes
        One box a system, shaded by its deviation, with the metric that moved most and since when. The first
        cause has a thick frame and the way to the symptom is thick; on it each system says how much later it
        moved than the one before, where the trace tells it (column ``lags``). Where nobody is named, the reason is
        written instead. Edges that close a cycle are dashed. Data are inches on the sheet.

    Raises
    ------
    InputError
        If a system on the way to the symptom is not in the graph: then it is not the one that was traced.

    Examples
    --------
    >>> moved = pd.DataFrame({"system": ["db"], "metric": ["latency"], "deviation": [9.0], "note": [""],
    ...                       "onset": [pd.Timestamp("2025-03-01T10:05Z")]})
    >>> trace = Trace(("db", "latency"), pd.DataFrame(), moved, "Too little was measured.")
    >>> [text.get_text() for text in cascade(trace, nx.DiGraph([("db", "api")])).texts][:3]
    ['No first cause is named.', 'Too little was measured.', 'db']
    """
    absent = [name for name in trace.candidates["path"].iloc[0] if name not in graph] if trace.first else []
    if absent:
        raise InputError(
            f"graph: {', '.join(absent)} of the trace's path not in it; draw over the graph that was traced"
        )
    texts, looks = _looks(trace, graph)
    way = tuple(trace.candidates["path"].iloc[0]) if trace.first else ()
    shown = graph if everything or len(graph) <= _WHOLE else _part(trace, graph, way)
    layout = layers.place(shown, texts, way)
    more = "; lag: after the one before it on the thick way" if _lags(trace) else ""
    more += "; dashed arrow: closes a cycle" if layout.backward else ""
    said = [*_left_out(trace, graph, shown), f"{_UNITS}{more}"]
    across = max(layout.across, max(sheet.width(line, layers.SMALL) for line in said) + 0.3)
    head = f"First cause: {trace.first}" if trace.first else "No first cause is named."
    heads = sheet.wrap(head, across - 0.3, 11, "bold")
    reason = sheet.wrap(trace.abstained or "", across - 0.3, layers.SMALL) if trace.abstained else []
    layout = layout.lowered(0.4 + len(heads) * sheet.line_height(11) + len(reason) * sheet.line_height(layers.SMALL))
    down = layout.down + 0.6 + len(said) * sheet.line_height(layers.SMALL)
    ax, scale = sheet.unroll(across, down, ax)
    if layers.SMALL * scale < _LEGIBLE:
        return _too_small(ax, scale, [head, trace.abstained or " → ".join(way)], (across, down))
    sheet.write(ax, 0.15, 0.12, heads, 11 * scale, weight="bold")
    if reason:
        sheet.write(ax, 0.15, 0.16 + len(heads) * sheet.line_height(11), reason, layers.SMALL * scale)
    layers.paint(ax, layout, scale, looks, set(pairwise(way)))
    _tags(ax, trace, layout.boxes, scale)
    _legend(ax, layout.down + 0.3, scale, said)
    return ax


def _part(trace: Trace, graph: nx.DiGraph, way: tuple[str, ...]) -> nx.DiGraph:
    """Return the graph of what moved, the symptom's system, and a shortest way between each and the symptom."""
    end = trace.symptom[0]
    kept = {end, *way, *trace.candidates.index, *trace.deviations.dropna(subset="onset")["system"]} & set(graph)
    for system in sorted(kept):
        pairs = [(system, end), *([(way[0], system)] if way else [])]
        linked = [pair for pair in pairs if set(pair) <= set(graph) and nx.has_path(graph, *pair)]
        kept |= set(nx.shortest_path(graph, *linked[0])) if linked else set()
    part = nx.DiGraph()
    part.add_nodes_from(system for system in graph if system in kept)
    part.add_edges_from(edge for edge in graph.edges if set(edge) <= kept)
    return part


def _left_out(trace: Trace, graph: nx.DiGraph, shown: nx.DiGraph) -> list[str]:
    """Say how many systems are not drawn; nothing where all are."""
    left = set(graph) - set(shown)
    if not left:
        return []
    blind = len(left - set(trace.deviations.dropna(subset="deviation")["system"]))
    systems = f"and {len(left)} system{'s' * (len(left) > 1)}"
    if blind == len(left):
        return [f"{systems} without metrics"]
    return [f"{systems} that did not move{f' ({blind} of them without metrics)' if blind else ''}"]


def _too_small(ax: Axes, scale: float, said: list[str], wanted: tuple[float, float]) -> Axes:
    """Write what matters, and how much room the picture needs."""
    box = ax.get_window_extent()
    here = box.width / ax.figure.dpi, box.height / ax.figure.dpi
    need = f"{here[0]:.1f} by {here[1]:.1f} inches are too small for this picture: it needs about"
    # Texts shrink with the sheet down to the smallest that can be read.
    need += f" {wanted[0] * _LEGIBLE / layers.SMALL:.0f} by {wanted[1] * _LEGIBLE / layers.SMALL:.0f}."
    lines = [line for text in (*said, need) for line in sheet.wrap(text, here[0] - 0.2, layers.SMALL)]
    sheet.write(ax, 0.1 / scale, 0.1 / scale, lines, layers.SMALL)
    return ax


def _looks(trace: Trace, graph: nx.DiGraph) -> tuple[dict[str, list[str]], dict[str, dict[str, Any]]]:
    """Return for each system what is written in its box, and how the box looks."""
    texts: dict[str, list[str]] = {}
    lags = _lags(trace)
    looks: dict[str, dict[str, Any]] = {}
    measured = trace.deviations.dropna(subset="deviation")
    own = (measured["system"] == trace.symptom[0]) & (measured["metric"] == trace.symptom[1])
    felt = measured.loc[own, "onset"].min()
    for system in graph:
        rows = measured[measured["system"] == system]
        moved = rows.dropna(subset="onset")
        still = {"edgecolor": sheet.FAINT, "linewidth": 0.7, "ink": sheet.FAINT}
        if rows.empty:
            texts[system], looks[system] = ["no metrics"], still | {"linestyle": (0, (3, 2))}
            continue
        if moved.empty and system not in trace.candidates.index:
            texts[system], looks[system] = ["no significant move"], still
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
            *lags.get(system, []),
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
    return [f"{duration(abs(time - felt))} {'before' if time < felt else 'after'} the symptom"]


def _lags(trace: Trace) -> dict[str, list[str]]:
    """Say of each system on the way how much later it moved than the one before."""
    if not trace.first or "lags" not in trace.candidates:
        return {}
    best = trace.candidates.iloc[0]
    steps = zip(pairwise(best["path"]), best["lags"], strict=False)
    return {effect: [f"lag: {lag}"] for (_, effect), lag in steps}


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


def _legend(ax: Axes, y: float, scale: float, said: list[str]) -> None:
    """Say what is left out, and explain units and shades."""
    sheet.write(ax, 0.15, y, said, layers.SMALL * scale, color=sheet.FAINT)
    x, y = 0.15, y + (len(said) - 1) * sheet.line_height(layers.SMALL)
    for _, colour, label in _SHADES:
        ax.add_patch(Rectangle((x, y + 0.2), 0.2, 0.14, facecolor=colour, edgecolor=sheet.FAINT, linewidth=0.6 * scale))
        sheet.write(ax, x + 0.26, y + 0.19, [f"{label} sd"], layers.SMALL * scale, color=sheet.FAINT)
        x += 0.46 + sheet.width(f"{label} sd", layers.SMALL)

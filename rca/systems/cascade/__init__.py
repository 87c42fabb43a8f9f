"""Which system broke first, told from metrics and the graph of dependencies; or why it cannot be told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from rca import onset
from rca.errors import InputError
from rca.records import Trace
from rca.systems.cascade import sentences
from rca.systems.cascade.confidence import confidence, unseen
from rca.systems.cascade.doubt import SYMPTOM, doubt, joint, unusable
from rca.systems.cascade.happenings import METRIC, happenings
from rca.systems.cascade.links import Moved, Reach, reach
from rca.systems.cascade.panel import Panel, check_columns, panel as make_panel
from rca.systems.cascade.series import Felt, best_series, examine, felt, set_aside
from rca.systems.cascade.simulate import Fault, Simulation, random_graph, simulate
from rca.wording import duration

__all__ = ["Fault", "Simulation", "random_graph", "simulate", "trace"]

_OWN = 0.5  # share of a system's score that a cause of its own takes
_NO_WAY = 0.6  # weight of a system without a way to the symptom in the graph: an edge may be missing
_FAINT = 0.05  # share of the leader's score up to which a system is no candidate
_COLUMNS = (
    "rank", "score", "confidence", "strength", "moved",
    "alignment", "explains", "own_excess", "reach", "deviation", "metric",
    "onset", "onset_error", "path", "lags", "sentence",
)  # fmt: skip


def trace(
    metrics: pd.DataFrame,
    graph: nx.DiGraph,
    *,
    symptom: tuple[str, str],
    before: Sequence[Any],
    during: Sequence[Any],
    harmful: Mapping[str, str] | None = None,
    events: pd.DataFrame | None = None,
    progress: bool = False,
) -> Trace:
    """Rank the systems that could have set off the symptom, or say why nobody can be named.

    The course of the symptom in `during` is the yardstick: every other series is filtered with it, also a few
    sampling steps earlier, and counts as moved as far as it followed that course more closely than its own healthy
    rows ever do (``rca.systems.cascade.shape`` has the arithmetic). A slow difference between two windows that lie
    months apart cancels, if the incident window holds quiet rows. Each system is then judged by five factors, all
    between 0 and 1 and all in the table:

    ``moved``
        How surely its best series followed the symptom, e / (e + 1/2), e the orders of magnitude below a chance
        of 5 %.
    ``alignment``
        Correlation of its course with the symptom's, corrected for noise, times the share of its shift that came
        with the symptom's.
    ``explains``
        Share of all that moved which it explains: each moved system counts with the weight of the best way to it
        through the graph (0.95 an edge, 0.8 through a system that has metrics and did not move), unless it began
        clearly earlier.
    ``own_excess``
        Share of its move that no cause of its own explains: 1 less half of the best such explanation, which counts
        as far as that cause moved as surely and as strongly; a consumer that clearly moved first explains it as
        load, at half weight.
    ``reach``
        Weight of the way to the symptom.

    score = sqrt(moved log(1 + strength)) x alignment x explains x own_excess x (0.6 + 0.4 sqrt(reach)), `strength`
    being the filtered series in its healthy standard deviations.

    Parameters
    ----------
    metrics : DataFrame
        Columns ``time`` (UTC), ``system``, ``metric``, ``value``; any sampling: rows are averaged on the symptom's
        sampling steps. Counters are turned into rates, resets left out.
    graph : DiGraph
        Edge ``u -> v``: a fault in ``u`` can reach ``v``. Cycles are allowed.
    symptom : (str, str)
        System and metric by which the incident was noticed.
    before, during : pair of Timestamp
        Healthy window and incident window, start included, end not; disjoint, in either order.
    harmful : mapping, optional
        Metric -> ``"up"``, ``"down"``, ``"both"`` or ``"neither"`` (a measure of demand, which moves
        without harm and makes nobody a suspect). Default ``"both"``.
    events : DataFrame, optional
        Events as in ``rca.schema``. Systems of the graph without metrics then take part by their open alerts, audit
        flags, signals and tickets and by their error records, as a metric ``events``; the symptom may be one of
        those. (A change of such a system, say a data load, is found by ``rca.changes.rank``.)
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    Trace
        ``candidates`` holds the systems that moved with the symptom, ``deviations`` every series, with ``onset``
        where it moved and a ``note`` on why it was set aside.

    Raises
    ------
    UnknownName
        If the symptom's system or metric, or a metric in `harmful`, is not in `metrics`.
    InputError
        If `symptom` is no pair of names or `harmful` no mapping; if the windows overlap, or one holds no measured
        value, or none of the symptom; if `graph` is no directed graph of names; if times have no zone, values are no
        numbers, or a name is missing.

    Notes
    -----
    It abstains if the symptom is a lone spike, has too few rows, was only better before, is a measure of demand, or
    was away from its level since `during` began with no healthy rows shortly before it; if its system is not in
    `graph`, has no edge there while others moved as clearly or before it, or depends only on systems without metrics
    while measured ones are not in the graph; if chance explains the symptom and the leader, picked from all systems,
    in 3 % of healthy windows (Fisher's method); if the leader's score is not 1.03 times the next; if the leader and a
    system in a cycle with it moved at once (one next to it, or one whose score comes within 1.1); if the symptom's
    own system leads, but another explains most of it; if most of what the leader reaches moved before it (edges
    turned round); if a system it depends on fell silent about then, or moved but was measured too rarely; if a
    quarter of the systems with edges, but unrelated to the leader, moved at least 0.4 times as strongly as it, or
    its metric moved alike on half of the others that have it (a cause outside the graph, such as load); and if
    measures of demand rose at the leader and at half of the systems that have one, no later than it. What 10 or more
    systems that the symptom does not depend on share (the median) is taken off every system. Where a system has the
    symptom's metric, its others count a third.

    ``rca.systems.cascade.confidence`` has the arithmetic of ``confidence``, which was fitted on simulated incidents of
    our own (``simulate``); real incidents may be harder. Holes of up to 12 rows are taken as straight lines.

    A rank is a hypothesis: a cause that no metric shows cannot be named, and the sentence lists dependencies
    without metrics. A system without a way to the symptom may lead if it explains much, since an edge may be
    missing; its ``lags`` say so. An innocent change of a system upstream, in the hour of the fault and measured in
    another metric, can be taken for the cause with much confidence. A load that reaches all systems by one of them
    looks like a fault of that one. Names carry no meaning, except that two metrics have the same one. The weights
    were chosen by hand on simulated incidents of our own, with the demo's world, PetShop's low traffic and
    RootCauseBench in view, so results on those flatter the method. Series are examined 256 at a time.

    Examples
    --------
    >>> time = pd.date_range("2025-03-01", periods=60, freq="min", tz="UTC")
    >>> def series(system, values):
    ...     return pd.DataFrame({"time": time, "system": system, "metric": "latency", "value": values})
    >>> table = pd.concat([
    ...     series("db", [10.0, 11.0] * 20 + [20.0, 21.0] * 10),
    ...     series("api", [30.0, 31.0] * 20 + [40.0, 41.0] * 10),
    ... ])
    >>> result = trace(table, nx.DiGraph([("db", "api")]), symptom=("api", "latency"),
    ...                before=(time[0], time[30]), during=(time[30], time[59]))
    >>> result.first, result.candidates.loc["db", "path"]
    ('db', ('db', 'api'))
    """
    healthy, searched = onset.window(before, "before"), onset.window(during, "during")
    _check_question(symptom, harmful, graph)
    symptom, harmful = (str(symptom[0]), str(symptom[1])), dict(harmful or {})
    check_columns(metrics)
    if events is not None:
        signs = happenings(events, metrics, graph, symptom, (healthy, searched))
        if len(signs):
            metrics = pd.concat([metrics[list(signs.columns)], signs], ignore_index=True)
            harmful.setdefault(METRIC, "up")
    panel = make_panel(metrics, symptom, healthy, searched, harmful)
    own = felt(panel, harmful.get(symptom[1], "both"))
    table = examine(panel, graph, own, harmful, progress=progress)
    systems, best = best_series(table, symptom[1])
    ways = reach(graph, systems)
    scored = _score(systems, best, ways, symptom[0], own.steady)
    censored = panel.head == 0 and own.focus.lag > 0 and bool(np.isnan(table["begin"].iloc[panel.symptom]))
    aside = set_aside(table, panel)
    reason = unusable(own, table, graph, symptom, censored) or doubt(scored, systems, table, graph, own, symptom, aside)
    deviations = _deviations(table, panel, own, scored, len(systems.names))
    if reason:
        return Trace(symptom, _nobody(), deviations, reason)
    candidates = _describe(
        scored, systems, ways, graph, panel, symptom[0], aside, joint(scored, own, len(systems.names))
    )
    first, error = str(candidates.index[0]), candidates["onset_error"].iloc[0]
    lacking = sentences.missing(graph, first, systems.names, aside, set(table["system"]) - set(graph), error)
    return Trace(symptom, candidates, deviations, None, sentences.runner_up(candidates), lacking)


def _check_question(symptom: Any, harmful: Any, graph: Any) -> None:
    if not isinstance(symptom, (tuple, list)) or len(symptom) != 2 or not all(isinstance(x, str) for x in symptom):
        raise InputError(f"symptom: wanted a pair (system, metric) of names, found {symptom!r:.80}")
    if harmful is not None and not isinstance(harmful, Mapping):
        raise InputError(f"harmful: wanted a mapping such as {{'latency': 'up'}}, found {harmful!r:.80}")
    if not isinstance(graph, nx.DiGraph) or graph.is_multigraph():
        raise InputError(f"graph: wanted a networkx DiGraph with edges cause -> effect, found {type(graph).__name__}")
    other = next((node for node in graph if not isinstance(node, str)), None)
    if other is not None:
        raise InputError(f"graph: node {other!r} is {type(other).__name__}; wanted are names of systems, as in metrics")


def _score(systems: Moved, best: pd.DataFrame, ways: Reach, end: str, steady: float) -> pd.DataFrame:
    """Return the moved systems, best first, with the factors of their scores; ``row`` is the place in `ways`."""
    at, number = np.array(ways.rows, dtype="int64"), np.arange(len(ways.rows))
    explains = ways.weight @ systems.moved / max(float(systems.moved.sum()), 1e-9)
    size = np.log1p(np.maximum(best["strength"].to_numpy(), 0.0))
    as_surely = np.minimum(1.0, systems.moved[at][:, None] / np.maximum(systems.moved[None], 1e-9)) ** 2
    as_surely *= np.minimum(1.0, size[at][:, None] / np.maximum(size[None], 1e-9)) ** 2
    by = np.maximum(ways.weight, ways.load) * as_surely
    by[number, at] = 0.0
    taken, to_symptom = by.max(axis=0, initial=0.0)[at], ways.weight[:, systems.names.index(end)]
    table = best.iloc[at].assign(
        row=number,
        explains=explains,
        own_excess=1 - _OWN * taken,
        by=by.argmax(axis=0)[at] if len(at) else at,
        cause=[systems.names[at[row]] for row in by.argmax(axis=0)[at]] if len(at) else "",
        taken=taken,
        reach=to_symptom,
    )
    own = table["system"] == end
    others = table["alignment"].where(~own & (table["moved"] > 0)).max()
    if others == others:  # a noisy course is followed closely by nothing but itself
        table.loc[own, "alignment"] = table["alignment"].clip(upper=max(steady, others))
    table["score"] = (
        np.sqrt(table["moved"] * size[at]) * table["alignment"] * table["explains"] * table["own_excess"]
        * (_NO_WAY + (1 - _NO_WAY) * np.sqrt(to_symptom))
    ).round(6)  # fmt: skip
    late = systems.after(at, systems.names.index(end))
    table.loc[late, "score"] = 0.0
    table = table[table["score"] > _FAINT * table["score"].max()].sort_values(
        ["score", "begin", "system"], ascending=[False, True, True]
    )
    table["rank"] = table["score"].rank(method="max", ascending=False).astype("int64")
    return table


def _describe(
    scored: pd.DataFrame,
    systems: Moved,
    ways: Reach,
    graph: nx.DiGraph,
    panel: Panel,
    end: str,
    aside: Mapping[str, str],
    chance: float,
) -> pd.DataFrame:
    """Return the candidates with their onsets, paths, lags and sentences."""
    table = scored.set_index("system", drop=False).rename_axis("system")
    table["onset"] = panel.times(table["begin"])
    table["onset_error"] = (table["error"] + table["rise"]) * panel.step
    hidden = unseen(graph, str(table.index[0]), systems.names, set(table.index))
    table["confidence"] = confidence(table["score"].to_numpy(), hidden, chance)
    place = systems.names.index(end)
    table["path"] = pd.Series(
        [ways.path(row, place) if far > 0 else (name, end) for name, row, far in
         zip(table.index, table["row"], table["reach"], strict=True)], index=table.index, dtype=object)  # fmt: skip
    starts = {name: (start, error) for name, start, error in
              zip(table.index, table["onset"], table["onset_error"], strict=True) if pd.notna(start)}  # fmt: skip
    table["lags"] = [
        sentences.lags(path, starts, {*systems.names, *aside}, panel.step)
        if far > 0
        else ("no way to the symptom in the graph",)
        for path, far in zip(table["path"], table["reach"], strict=True)
    ]
    said = []
    for _, row in table.iterrows():
        cause = str(row["cause"]) if row["taken"] > 0.2 else ""
        load = bool(cause) and ways.load[int(row["by"]), systems.names.index(row["system"])] > ways.weight[
            int(row["by"]), systems.names.index(row["system"])]  # fmt: skip
        after = _pulled(row, table, graph)
        by = (cause, load) if cause else None
        said.append(sentences.candidate(row, by, graph, systems.names, aside, list(table.index), after))
    table["sentence"] = said
    return table[list(_COLUMNS)]


def _pulled(row: pd.Series, table: pd.DataFrame, graph: nx.DiGraph) -> str:
    """Say which direct consumers moved after a system, and how much later."""
    later = [name for name in graph.successors(row["system"]) if name in table.index and name != row["system"]]
    gaps = {name: table.loc[name, "onset"] - row["onset"] for name in later}
    known = sorted((gap, name) for name, gap in gaps.items() if pd.notna(gap) and gap >= row["onset_error"])
    if not known:
        return ""
    names = [name for gap, name in known if gap == known[0][0]][:3]
    verb = "depends" if len(names) == 1 else "depend"
    return f", {duration(known[0][0])} before {' and '.join(names)}, which {verb} on it"


def _nobody() -> pd.DataFrame:
    return pd.DataFrame(columns=list(_COLUMNS), index=pd.Index([], name="system"))


def _deviations(table: pd.DataFrame, panel: Panel, own: Felt, scored: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the table of all series, with an onset where one moved with the symptom."""
    moved = (table["chance"] + math.log10(count) < math.log10(SYMPTOM)) | table["system"].isin(scored["system"])
    moved &= table["begin"].notna() & (table["deviation"] != 0)
    out = table[["system", "metric", "before", "during", "deviation"]].copy()
    out["onset"] = pd.Series(panel.times(table["begin"]), index=table.index).where(moved)
    felt_at = table["begin"].iloc[panel.symptom]
    slack = table["error"] + table["error"].iloc[panel.symptom]
    notes: list[str] = []
    ranked = set(scored["system"])
    for note, gap, error, system in zip(table["note"], table["begin"] - felt_at, slack, table["system"], strict=True):
        if not note and system not in ranked and gap == gap and len(notes) != panel.symptom:
            note = _aside(gap, error, panel)
        notes.append(note)
    out["note"] = notes
    return out


def _aside(gap: float, error: float, panel: Panel) -> str:
    """Say why a series that moved is not ranked; `gap` and `error` are sampling steps after the symptom."""
    if abs(gap) <= error:
        return "moved, but followed the symptom's course too loosely: set aside"
    return f"moved {duration(abs(gap) * panel.step)} {'after' if gap > 0 else 'before'} the symptom: set aside"

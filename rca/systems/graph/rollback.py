"""What taking back a version of a system stops, degrades and leaves behind."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import networkx as nx
import pandas as pd

from rca import schema
from rca.errors import InputError, did_you_mean, shorten
from rca.systems.graph.reach import check_directed, check_known
from rca.times import show

__all__ = ["Rollback", "rollback_check"]

LIVE = ("deploy", "model_version", "data_load", "flag", "config_change", "rollback", "training_run")
WRITES = ("data_load", "training_run", "model_version")
HOLDERS = ("data", "model", "feature")  # kinds of system that are state, and do not only use it
_WARNING = schema.SEVERITY["warning"]
RUNNING = ("START", "RUNNING", "SCHEDULED")  # what pipelines write of a run that has not ended
_COLUMNS = {
    "system": "str", "kind": "str", "distance": "int64", "outcome": "str", "state": "str", "writes": "int64",
    "first_write": "datetime64[ns, UTC]", "sentence": "str",
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Rollback:
    """What a rollback of one version does to the systems that depend on it, or why that cannot be told.

    Attributes
    ----------
    system : str
        The system whose version is taken back; "" when that is not known.
    version : str
        The version.
    live : Timestamp
        Since when it has been live (UTC); NaT when not known.
    consumers : DataFrame
        One row a system that a fault in `system` can reach, nearest first, then by name; empty when abstained.
        Columns: ``system``, ``kind`` ("" when not known), ``distance`` (edges), ``outcome`` ("stops",
        "degrades" or "stale": a data set that is not written meanwhile), ``state`` ("written since", "not written
        since", "not known", or "" for a system that holds none), ``writes`` (writes seen since the version
        went live), ``first_write`` (UTC) and ``sentence``.
    notes : tuple of str
        What the answer rests on, and which facts are missing.
    abstained : str or None
        The reason in a sentence, when nothing can be told.
    """

    system: str
    version: str
    live: pd.Timestamp
    consumers: pd.DataFrame
    notes: tuple[str, ...] = ()
    abstained: str | None = None

    @property
    def answer(self) -> str:
        """The answer in a sentence: how many systems stop, degrade and hold state, or why that is not known."""
        if self.abstained:
            return self.abstained
        outcome, state = self.consumers["outcome"], self.consumers["state"]
        counts = [f"{(outcome == word).sum()} {said}" for word, said in (
            ("stops", "stop"), ("degrades", "degrade"), ("stale", "go stale"))]  # fmt: skip
        since = "" if pd.isna(self.live) else f" (live since {show(self.live)})"
        return (
            f"While {self.version} of {self.system}{since} is taken back,"
            f" of {len(outcome)} systems {', '.join(counts)};"
            f" {(state == 'written since').sum()} hold state written since,"
            f" of {(state == 'not known').sum()} that is not known."
        )

    def __repr__(self) -> str:
        return f"Rollback: {self.answer}"


def rollback_check(
    graph: nx.DiGraph, version: str, events: pd.DataFrame | None = None, *, system: str | None = None
) -> Rollback:
    """Check what taking back a version stops, what it degrades, and who holds state written since it went live.

    Parameters
    ----------
    graph : DiGraph
        From `build`; edge cause -> effect. An edge or an effect with a text ``fallback`` goes on without its cause.
    version : str
        As the events' ``ref`` has it, or without the name of the system in front: ``7`` for ``ranker/7``.
    events : DataFrame, optional
        Columns as in ``rca.schema``, table ``events``: ``time``, ``kind``, ``message``, and where they are there
        ``system``, ``ref``, ``time_end``, ``time_earliest``, ``time_latest``, ``severity``, ``attributes``, ``source``.
    system : str, optional
        Whose version it is. Default: the system of the events that name the version.

    Returns
    -------
    Rollback
        It abstains when no event tells whose version it is, or when events of several systems do.

    Raises
    ------
    InputError
        If `version` is no text, `events` is not as the schema wants it, or the graph is not directed.
    UnknownName
        If `system` is not in the graph.

    Notes
    -----
    `system` counts as out while it is taken back. What has a declared fallback for it, or for a system that
    stops, degrades; so does what depends on a system that degrades or is stale. A data set goes stale:
    it keeps what it holds. All else that depends on `system` or on a system that stops, stops. This
    is the least fixed point: it spreads from `system` along edges, each system is reached once, and the systems of a
    cycle stop only if something that stops leads into the cycle, never each other alone.

    A version is live since its first deployment, else since the first event that names it: a registered model
    may have gone live later, so more may be listed than was written under it, and not less. Written is what an
    event (a data load, a training run, a model version) of the system tells, or of a job downstream that names
    the system among its ``outputs`` or leads to it by an edge. Runs that failed or did not end leave "not known",
    and so does a source that ends before the version went live. A database that a service writes to stands
    upstream of the service when the graph comes from calls: its state is not seen here.

    Examples
    --------
    >>> graph = nx.DiGraph([("ranker", "api"), ("ranker", "scores")])
    >>> graph.edges["ranker", "api"]["fallback"] = "popularity list"
    >>> graph.nodes["scores"]["kind"] = "data"
    >>> events = pd.DataFrame({"time": pd.to_datetime(["2025-03-01T09:00Z", "2025-03-01T10:00Z"]),
    ...                        "system": ["ranker", "scores"], "kind": ["deploy", "data_load"], "ref": ["7", "x"],
    ...                        "message": ["v7", "loaded"]})
    >>> rollback_check(graph, "7", events).consumers[["system", "outcome", "state"]].values.tolist()
    [['api', 'degrades', 'not known'], ['scores', 'stale', 'written since']]
    """
    check_directed(graph)
    if not isinstance(version, str):
        raise InputError(f"version is {shorten(version)} ({type(version).__name__}); wanted a text such as '7'")
    if system is not None:
        check_known(graph, system)
    table = _events(events)
    named = _naming(table, version, system)
    owners = sorted(set(named["system"]) & set(graph)) if system is None else [system]
    if len(owners) != 1:
        return _abstain(table, version, owners, sorted(set(named["system"]) - set(graph) - {""}), len(named))
    owner = owners[0]
    live, notes = _live(named[named["system"] == owner], table, owner, version)
    if not any(data.get("fallback") for _, _, data in graph.edges(data=True)) and not any(
        fallback for _, fallback in graph.nodes(data="fallback")
    ):
        notes.append("No fallback is declared anywhere in the graph: what stops is the worst case.")
    outcomes = _outcomes(graph, owner)
    reach = {owner, *outcomes}
    distance = nx.single_source_shortest_path_length(graph, owner)
    writes = _writes(graph, table, reach)
    rows = []
    for name in sorted(outcomes, key=lambda name: (distance[name], name)):
        outcome, why = outcomes[name]
        kind = str(graph.nodes[name].get("kind", ""))
        state, count, first, held = _state(table, table.loc[sorted(writes.get(name, ()))], kind, live)
        rows.append((name, kind, distance[name], outcome, state, count, first, f"{why} {held}".strip()))
    consumers = pd.DataFrame(rows, columns=list(_COLUMNS))
    consumers["first_write"] = pd.to_datetime(consumers["first_write"], utc=True)
    return Rollback(owner, version, live, consumers.astype(_COLUMNS), tuple(notes))


def _events(events: pd.DataFrame | None) -> pd.DataFrame:
    """Return the events that are looked at, with ``begin`` and ``finish``: between which times each surely was.

    ``sure`` says whether it ended well, ``outputs`` what it names as written.
    """
    if events is None:
        events = schema.empty("events")
    kept = events[events["kind"].isin(LIVE)] if "kind" in events else events
    table = schema.check(kept[[name for name in kept if name in schema.COLUMNS["events"]]], "events")
    details = [schema.attributes(text) for text in table["attributes"]]
    states = [{str(item.get(key)).upper() for key in ("event_type", "status")} for item in details]
    going = pd.Series([bool(state & set(RUNNING)) for state in states], index=table.index, dtype=bool)
    lists = [held if isinstance(held := item.get("outputs"), list) else [] for item in details]
    return table.assign(
        begin=table["time"].fillna(table["time_earliest"]),
        finish=table["time_end"].fillna(table["time"].mask(going)).fillna(table["time_latest"]),
        sure=(table["severity"].fillna(0) < _WARNING).astype(bool) & ~going,
        outputs=pd.Series([frozenset(map(str, held)) for held in lists], index=table.index, dtype=object),
    )


def _naming(table: pd.DataFrame, version: str, system: str | None) -> pd.DataFrame:
    """Return the events that name the version."""
    short = table["ref"] == table["system"] + "/" + version
    named = table[(table["ref"] == version) | short]
    return named if system is None else named[named["system"] == system]


def _abstain(table: pd.DataFrame, version: str, owners: list[str], strangers: list[str], named: int) -> Rollback:
    if owners:
        reason = f"Version {shorten(version)} is one of {', '.join(owners)}: which of them is meant is not said."
    elif strangers:
        reason = f"Version {shorten(version)} is one of {', '.join(strangers)}, which the graph does not have."
    elif named:
        reason = f"Whose version {shorten(version)} is, no event that names it says."
    else:
        refs = set(table["ref"]) - {""}
        reason = f"No event tells of a version {shorten(version)}{did_you_mean(version, refs)}."
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _COLUMNS.items()})
    return Rollback("", version, pd.NaT, empty, (), reason)


def _live(named: pd.DataFrame, table: pd.DataFrame, system: str, version: str) -> tuple[pd.Timestamp, list[str]]:
    """Return since when a version has been live, and notes on how that is known."""
    dated = named.dropna(subset="begin").sort_values("begin", kind="stable")
    deployed = dated[dated["kind"] == "deploy"]
    if dated.empty:
        return pd.NaT, [f"When version {shorten(version)} of {system} went live is not known: no dated event names it."]
    event = (deployed if len(deployed) else dated).iloc[0]
    notes = [f"Live since {show(event['begin'])}: {event['kind']} of {system} {event['message']}".strip()]
    if event["kind"] != "deploy":
        notes.append(f"No deployment of it is recorded: it may have gone live later than this {event['kind']}.")
    later = table[
        (table["system"] == system) & table["kind"].isin(["deploy", "rollback"]) & (table["begin"] > event["begin"])
        & ~table.index.isin(named.index)
    ].sort_values("begin", kind="stable")  # fmt: skip
    if len(later):
        after = later.iloc[0]
        notes.append(f"It may be out already: {after['kind']} {after['ref']} at {show(after['begin'])} came after it.")
    return event["begin"], notes


def _outcomes(graph: nx.DiGraph, system: str) -> dict[str, tuple[str, str]]:
    """Return for each system behind `system` what becomes of it, and why."""
    stopped, front = {system: "is out"}, [system]
    found: dict[str, tuple[str, str]] = {}
    while front:
        cause = front.pop(0)
        for effect in sorted(graph.successors(cause)):
            if effect not in stopped and not _fallback(graph, cause, effect) and not _is_data(graph, effect):
                stopped[effect] = "stops"
                found[effect] = "stops", f"{effect} stops: it needs {cause}, and no fallback is declared."
                front.append(effect)
    weak: dict[str, str] = {}
    front = list(stopped)
    while front:
        cause = front.pop(0)
        for effect in sorted(graph.successors(cause)):
            if effect in stopped or effect in weak:
                continue
            instead = _fallback(graph, cause, effect)
            if _is_data(graph, effect) and cause in stopped:
                found[effect] = (
                    "stale",
                    f"{effect} is not written while {cause} {stopped[cause]}: it keeps what it holds.",
                )
            elif cause in stopped:
                found[effect] = "degrades", f"{effect} degrades: in place of {cause} it uses {instead}."
            else:
                found[effect] = "degrades", f"{effect} degrades: it depends on {cause}, which {weak[cause]}."
            weak[effect] = "is stale" if found[effect][0] == "stale" else "degrades"
            front.append(effect)
    return found


def _fallback(graph: nx.DiGraph, cause: str, effect: str) -> str:
    declared = graph.edges[cause, effect].get("fallback") or graph.nodes[effect].get("fallback")
    return "a declared fallback" if declared is True else str(declared or "")


def _is_data(graph: nx.DiGraph, system: str) -> bool:
    return bool(graph.nodes[system].get("kind") == "data")


def _writes(graph: nx.DiGraph, table: pd.DataFrame, reach: Collection[str]) -> dict[str, set[int]]:
    """Return for each system the events that wrote it, by a system that the version can have reached."""
    kinds = dict(graph.nodes(data="kind"))
    found: dict[str, set[int]] = {}
    for row, system, event, outputs in zip(table.index, table["system"], table["kind"], table["outputs"], strict=True):
        if system not in reach:
            continue
        written = set(outputs)
        if event in WRITES and kinds[system] != "job":
            written.add(system)
        if event == "data_load" and kinds[system] == "job" and not outputs:
            written |= {name for name in graph.successors(system) if kinds[name] in HOLDERS}
        for name in written:
            found.setdefault(name, set()).add(row)
    return found


def _state(
    table: pd.DataFrame, writes: pd.DataFrame, kind: str, live: pd.Timestamp
) -> tuple[str, int, pd.Timestamp, str]:
    """Return state, number and first time of the writes since, and the sentence that says so."""
    if writes.empty and kind and kind not in HOLDERS:
        return "", 0, pd.NaT, ""
    if writes.empty:
        what = "" if kind else " and what kind of system it is is not known,"
        return (
            "not known",
            0,
            pd.NaT,
            f"Whether it holds state written since is not known:{what} no event tells of a write.",
        )
    if pd.isna(live):
        return "not known", 0, pd.NaT, "Whether it was written since is not known: when the version went live is not."
    after = (writes["finish"] >= live) | (writes["begin"] >= live)
    since = writes[after & writes["sure"]].sort_values("begin", kind="stable")
    if len(since):
        first = since["time"].fillna(since["begin"]).fillna(since["finish"]).iloc[0]
        times = f"once, at {show(first)}" if len(since) == 1 else f"{len(since)} times, first at {show(first)}"
        return "written since", len(since), first, f"It holds state written since the version went live: {times}."
    open_end = writes[writes["finish"].isna() | (after & ~writes["sure"])]
    if len(open_end):
        why = "failed, did not end or has no time"
        return "not known", 0, pd.NaT, f"Whether it was written since is not known: a write {why} ({len(open_end)})."
    if not (table.loc[table["source"].isin(writes["source"]), "finish"] >= live).any():
        return "not known", 0, pd.NaT, "Whether it was written since is not known: its events end before the version."
    return "not written since", 0, pd.NaT, f"Its last write, at {show(writes['finish'].max())}, was before the version."

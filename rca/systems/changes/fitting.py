"""Which change fits the first cause: by where it was made, when it went live, and what rivals it has."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import networkx as nx
import pandas as pd

from rca import vocabulary
from rca.errors import InputError, raise_all
from rca.records import ChangeFit, Trace
from rca.times import show

__all__ = ["rank"]

MAX_DELAY = pd.Timedelta("24h")
PREPARED = ("commit", "training_run")  # made, but not live by themselves
CARRIED = (*PREPARED, "model_version")  # may go live with a later change that names them
_COLUMNS = ("event_id", "time", "system", "kind", "message", "ref", "fits", "delay", "reason")
_SHA = re.compile(r"[0-9a-f]{7,40}")
_WORD = re.compile(r"[^\W_]+")
_TOKEN = re.compile(r"[\w.:/@#+-]{4,}")


def rank(changes: pd.DataFrame, trace: Trace, graph: nx.DiGraph, *, max_delay: pd.Timedelta = MAX_DELAY) -> ChangeFit:
    """Say which change could have set off the first cause, and whether only one could.

    A change fits if it was made to the first cause or, failing that, to a system upstream of it that it reaches
    through systems without metrics only; if it was live no later than the onset (within the onset's error);
    and if the onset followed within `max_delay`. Commits and training runs are not live by
    themselves: a later change that names their ``ref`` carries them.

    Parameters
    ----------
    changes : DataFrame
        Events as in ``rca.schema``: ``event_id``, ``time``, ``system``, ``kind``, ``message``, ``ref``, and
        ``attributes`` if there. Kinds that are no change in the vocabulary ``event_kinds`` are left out.
    trace : Trace
        From ``rca.cascade.trace``.
    graph : DiGraph
        Edge cause -> effect, the one that was traced.
    max_delay : Timedelta, default 24 hours
        A change that went unnoticed for longer is taken as innocent.

    Returns
    -------
    ChangeFit
        Names a change only if it alone fits on its system. Closeness in time and words that its text
        shares with the failing metric order the table, but never decide: innocent changes are close and
        sound alike too.

    Raises
    ------
    InputError
        If a column is missing or `max_delay` is not positive.

    Notes
    -----
    It abstains if the trace did, if nothing fits, or if several do. A change to a consumer that loads the first
    cause is not considered; nor is a slow cause that takes longer than `max_delay`.

    Examples
    --------
    >>> at = pd.Timestamp("2025-03-01T10:00Z")
    >>> error = pd.Timedelta("5min")
    >>> found = pd.DataFrame({"onset": [at], "onset_error": [error], "metric": ["latency"]}, index=["db"])
    >>> trace = Trace(("api", "latency"), found, pd.DataFrame({"system": ["db", "api"], "metric": "latency"}))
    >>> events = pd.DataFrame({"event_id": ["e1", "e2"], "time": [at - 2 * error, at], "system": ["db", "api"],
    ...                        "kind": "deploy", "message": ["version 7", "version 3"], "ref": ""})
    >>> rank(events, trace, nx.DiGraph([("db", "api")])).best
    'e1'
    """
    needed = ("event_id", "time", "system", "kind", "message", "ref")
    raise_all([f"changes: required column {name!r} is missing" for name in needed if name not in changes.columns])
    if not max_delay > pd.Timedelta(0):
        raise InputError(f"max_delay: {max_delay} is not positive")
    kinds = vocabulary.table("event_kinds")
    table = changes[changes["kind"].isin(kinds.index[kinds["is_change"] == "yes"])].reset_index(drop=True)
    if trace.first is None:
        return _without_cause(table, trace)
    first = trace.candidates.iloc[0]
    latest = first["onset"] + first["onset_error"]
    carriers = _carriers(table, latest)
    near = {trace.first: 0, **dict.fromkeys(_blind(graph, trace), 1)}
    about = _words(f"{first['metric']} {trace.symptom[1]}")
    rows = []
    for index, change in table.iterrows():
        against = _against(change, carriers.get(index), trace.first, near, first, latest, max_delay)
        carried = [table.loc[other] for other, carrier in carriers.items() if carrier.name == index]
        heard = sorted(about & set().union(*(_words(f"{one['message']}") for one in (change, *carried))))
        rows.append({
            **change[["event_id", "time", "system", "kind", "message", "ref"]], "fits": not against,
            "delay": first["onset"] - change["time"], "reason": against or _for(change, carried, heard, trace.first),
            "tier": near.get(change["system"], 2), "heard": -len(heard),
        })  # fmt: skip
    if not rows:
        return ChangeFit(_table([]), "No change is on record.")
    ranked = pd.DataFrame(rows).sort_values(
        ["fits", "tier", "heard", "delay"], ascending=[False, True, True, True], kind="stable"
    )
    return ChangeFit(_table(ranked), _undecided(ranked[ranked["fits"]], trace.first, max_delay))


def _without_cause(table: pd.DataFrame, trace: Trace) -> ChangeFit:
    rows = table.assign(fits=False, delay=None, reason="no first cause was named").sort_values("time", kind="stable")
    return ChangeFit(_table(rows), f"No first cause was named, so no change can be fitted to it. {trace.abstained}")


def _table(rows: Any) -> pd.DataFrame:
    out = pd.DataFrame(rows, columns=list(_COLUMNS)).reset_index(drop=True)
    out["delay"] = pd.to_timedelta(out["delay"].astype(object)).astype("timedelta64[ns]")
    return out.astype({"fits": bool})


def _carriers(table: pd.DataFrame, latest: pd.Timestamp) -> dict[int, pd.Series]:
    """Return for each change that can be carried the first later live change that names it."""
    live = table[~table["kind"].isin(PREPARED) & (table["time"] <= latest)].sort_values("time", kind="stable")
    carriers = {}
    for index, change in table[table["kind"].isin(CARRIED) & (table["ref"] != "")].iterrows():
        for other, carrier in live.iterrows():
            if other != index and carrier["time"] >= change["time"] and _names(carrier, str(change["ref"])):
                carriers[index] = carrier
                break
    return carriers


def _names(carrier: pd.Series, ref: str) -> bool:
    """Return whether a change names `ref`, in full or, for a commit, by at least seven digits."""
    text = " ".join(str(carrier.get(column, "")) for column in ("ref", "message", "attributes"))
    tokens = {token.strip(".:/@#+-") for token in _TOKEN.findall(text)} | {str(carrier["ref"])}
    if ref in tokens or not _SHA.fullmatch(ref):
        return ref in tokens
    return any(ref.startswith(token) for token in tokens if _SHA.fullmatch(token))


def _blind(graph: nx.DiGraph, trace: Trace) -> set[str]:
    """Return the systems upstream of the first cause that nothing measured separates from it."""
    measured, found = set(trace.deviations["system"]), set()
    queue = list(graph.predecessors(trace.first)) if trace.first in graph else []
    while queue:
        system = queue.pop()
        if system not in measured and system not in found and system != trace.first:
            found.add(system)
            queue += graph.predecessors(system)
    return found


def _against(
    change: pd.Series,
    carrier: pd.Series | None,
    cause: str,
    near: Collection[str],
    first: pd.Series,
    latest: pd.Timestamp,
    max_delay: pd.Timedelta,
) -> str:
    """Return why a change does not fit; empty when it does."""
    if pd.isna(change["time"]):
        return "has no time"
    if change["time"] > latest:
        return f"came after the onset ({show(first['onset'])})"
    if carrier is not None:
        return f"went live with a later change ({carrier['kind']} at {show(carrier['time'])})"
    if change["kind"] in PREPARED:
        return "not live by itself, and no change before the onset names it"
    if change["system"] not in near:
        return f"made to {change['system'] or 'no system'}: neither {cause} nor an unmeasured system upstream of it"
    if first["onset"] - change["time"] > max_delay:
        return f"went unnoticed for more than {max_delay / pd.Timedelta('1h'):g} hours"
    return ""


def _for(change: pd.Series, carried: Collection[pd.Series], heard: Collection[str], cause: str) -> str:
    """Return what speaks for a change that fits."""
    where = (
        "made to the system that broke first"
        if change["system"] == cause
        else f"made upstream of {cause}, where nothing is measured"
    )
    brings = "".join(f"; brings {one['kind']} {str(one['ref'])[:12]}" for one in carried)
    mentions = f" (the record mentions {', '.join(heard)})" if heard else ""
    return f"{where}, live before the onset{brings}{mentions}"


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.lower()) if len(word) > 3}


def _undecided(fits: pd.DataFrame, cause: str, max_delay: pd.Timedelta) -> str | None:
    """Return why no change may be named; None when one may."""
    if fits.empty:
        return (f"No change to {cause}, or to an unmeasured system upstream of it, went live in the "
                f"{max_delay / pd.Timedelta('1h'):g} hours before the onset.")  # fmt: skip
    best = fits[fits["tier"] == fits["tier"].min()]
    same = best["ref"].nunique() == 1 and best["ref"].iloc[0] != "" and best["system"].nunique() == 1
    if len(best) > 1 and not same:
        listed = "; ".join(
            f"{row.kind} {str(row.ref or row.event_id)[:12]} at {show(row.time)}" for row in best.itertuples()
        )
        return f"{len(best)} changes fit, and closeness in time does not tell them apart: {listed}."
    return None

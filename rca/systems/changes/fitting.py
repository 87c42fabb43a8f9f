"""Which change fits the first cause: by its place, its time and its content, and by the rivals that it has."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import networkx as nx
import pandas as pd

from rca.records import ChangeFit, Trace
from rca.systems.changes.chance import Rate, rate
from rca.systems.changes.content import Content, Support, judge
from rca.systems.changes.failures import Failure, find, healthy
from rca.systems.changes.given import NEEDED, checked, kinds
from rca.systems.changes.patch import read
from rca.systems.changes.place import WHERE, against, carriers, tiers
from rca.systems.changes.words import weights
from rca.times import show
from rca.wording import duration

__all__ = ["MAX_DELAY", "rank"]

MAX_DELAY = pd.Timedelta("24h")
_MARGIN = 1.5  # the best support over the next, below which two are rivals
_NAMED = ("flag", "config_change", "data_load")  # what was changed is what the reference names
_COLUMNS = ("event_id", "time", "system", "kind", "message", "ref", "fits", "support", "delay", "reason")


def rank(
    changes: pd.DataFrame,
    trace: Trace,
    graph: nx.DiGraph,
    *,
    errors: pd.DataFrame | None = None,
    max_delay: pd.Timedelta = MAX_DELAY,
) -> ChangeFit:
    r"""Say which change could have set off the first cause, and whether only one could.

    A change fits if it was live no later than the onset (within the onset's error), if the onset followed
    within `max_delay`, and by its place: made to the first cause, or upstream of it where nothing is measured
    or, if its content speaks for it, anywhere upstream or to a direct consumer. Commits and training
    runs are not live by themselves: a later change that names their ``ref`` carries them.

    *Content* decides between changes that fit. Speaking for a change are

    - words that its diff altered, so that they stand on one side of it only, or that name a value that it altered,
      in the texts of errors that began after it. Words are names as a whole and their parts
      (``max_retries``, ``maxRetries``), weighted by inverse document frequency over all changes; words that
      were logged while all was well, and names of systems, weigh nothing;
    - an effect that can be read from the form of the diff and can bear on this kind of failure: a call added in
      a loop, a bound removed, a size or time lowered, a check removed, waiting or repetitions added, and so on;
      if the change and the failure also share a telling word.

    What a diff moves, keeps or comments, where its file lies and what its message says never decide: a tidied
    function names the same things as a broken one.

    A change that alone fits, by place and time without content, may be there by chance: in a shop that deploys
    daily, a deployment always lies within a day. So it is named only if the chance that one falls as near is
    below 10 %, changes taken as a Poisson process at the rate of the record: live changes to its place up to the
    onset, itself included, divided by the time that the record covers. The chance stands in the reason.

    Parameters
    ----------
    changes : DataFrame
        Events as in ``rca.schema``: ``event_id``, ``time`` (with a zone), ``system``, ``kind``, ``message``, ``ref``,
        and ``attributes`` if there: there the diff is looked for (keys such as ``diff`` or ``patch``) and the files.
        Changes are of kind ``deploy``, ``commit``, ``flag``, ``config_change``, ``model_version``,
        ``training_run``, ``data_load``, ``campaign`` or ``rollback``. Of the other kinds of the vocabulary
        ``event_kinds``, log records are read for what is usual; a kind that it does not have is an error.
    trace : Trace
        From ``rca.cascade.trace``.
    graph : DiGraph
        Edge cause -> effect, the one that was traced.
    errors : DataFrame, optional
        Texts that are new in the incident, as from ``rca.signals.new_templates``: ``system``, ``text`` and,
        if there, ``example`` (the text as received), ``first`` (UTC), ``verdict``, ``severity``, ``is_error``. Only
        signals that are warnings or errors count.
    max_delay : Timedelta, default 24 hours
        A change that went unnoticed for longer is taken as innocent. The record is taken to be complete for so long.

    Returns
    -------
    ChangeFit
        With `errors`, a change is named only if its content speaks for it, 1.5 times as strongly as for any
        other; without, also if it alone fits on its system and that is unlikely to be chance. Closeness in time
        orders the table, but never decides between two. The reason says how long before the onset it was live.

    Raises
    ------
    UnknownName
        If a kind is not in the vocabulary, with the row (numbered from 0) and the nearest kind.
    InputError
        If a column is missing or of another type, times have no zone, two changes have one ``event_id``, or
        `max_delay` is not positive.

    Notes
    -----
    It abstains if the trace did, if nothing fits, or if several do. Lines of a diff are read by their form,
    without knowing the language: what a called function does is not seen, a check that moved to a file outside
    the diff counts as removed, and a cause that shares no word with any error (a data race, a wrong constant)
    is missed. The record covers the time from the first live change, to any system, or log record, and at least
    `max_delay`: where it is shorter, or changes come in bursts, the chance is only rough. A slow cause that
    takes longer than `max_delay` is not considered. The forms and weights were set by hand with eight
    RootCauseBench incidents in view, so results on those flatter the method.

    References
    ----------
    .. [1] Spärck Jones, A statistical interpretation of term specificity, Journal of Documentation 28(1), 1972.

    Examples
    --------
    >>> at = pd.Timestamp("2025-03-01T10:00Z")
    >>> error = pd.Timedelta("5min")
    >>> found = pd.DataFrame({"onset": [at], "onset_error": [error], "metric": ["latency"]}, index=["db"])
    >>> trace = Trace(("api", "latency"), found, pd.DataFrame({"system": ["db", "api"], "metric": "latency"}))
    >>> events = pd.DataFrame({"event_id": ["e1", "e2"], "time": [at - 2 * error, at - error], "system": "db",
    ...                        "kind": "deploy", "message": ["version 7", "version 8"], "ref": "",
    ...                        "attributes": [{"diff": "-  pool_size: 50\n+  pool_size: 5"}, {}]})
    >>> graph = nx.DiGraph([("db", "api")])
    >>> rank(events, trace, graph).best is None
    True
    >>> errors = pd.DataFrame({"system": ["db"], "text": ["no connection left in pool, size 5"]})
    >>> rank(events, trace, graph, errors=errors).best
    'e1'
    """
    changes = checked(changes, errors, max_delay)
    table = changes[changes["kind"].isin(kinds())].reset_index(drop=True)
    if trace.first is None or pd.isna(trace.candidates["onset"].iloc[0]):
        return _without_cause(table, trace)
    if table.empty:
        return ChangeFit(_table([]), "No change is on record.")
    first, failures = trace.candidates.iloc[0], find(changes, errors, trace)
    carried_by = carriers(table, first["onset"] + first["onset_error"])
    brought: dict[Any, list[pd.Series]] = {index: [] for index in table.index}
    for index, carrier in carried_by.items():
        brought[carrier.name].append(table.loc[index])
    contents = {index: _content(change, brought[index]) for index, change in table.iterrows()}
    near = tiers(graph, trace)
    late = {index: against(change, carried_by.get(index), first, max_delay) for index, change in table.iterrows()}
    asked = table[[not late[index] and system in near for index, system in table["system"].items()]]
    weight = _weight(table, graph, healthy(changes, failures))
    support = _judged(asked, contents, failures, weight, trace)
    rows = []
    for index, change in table.iterrows():
        tier, found = near.get(change["system"], len(WHERE)), support.get(index, Support(0, ""))
        why = late[index] or ("nothing that it touches runs in a service" if contents[index].inert else "")
        if not why and tier > 1 and not found.score:
            where = change["system"] or "no system"
            why = f"made to {where}: neither {trace.first} nor an unmeasured system upstream of it"
        rows.append({
            **change[list(NEEDED)], "fits": not why, "support": 0.0 if why else found.score,
            "delay": first["onset"] - change["time"], "tier": tier, "known": contents[index].known,
            "reason": why or _for(WHERE[tier].format(trace.first), _live(change, first), brought[index], found),
        })  # fmt: skip
    ranked = pd.DataFrame(rows).sort_values(
        ["fits", "support", "tier", "delay"], ascending=[False, False, True, True], kind="stable"
    )
    told = any(not one.metric for one in failures) and (errors is not None or bool(ranked["known"].any()))
    lone = None if told else rate(changes, first, near, max_delay)
    return _decide(ranked, trace.first, max_delay, lone)


def _without_cause(table: pd.DataFrame, trace: Trace) -> ChangeFit:
    """Return that nothing can be fitted: to no system, or to one that moved nobody knows when."""
    short = "no first cause was named"
    said = f"No first cause was named, so no change can be fitted to it. {trace.abstained}"
    if trace.first is not None:
        short = f"since when {trace.first} was away from its level is not known"
        said = f"No change can be fitted: {short}. A window that begins before the incident would tell."
    rows = table.assign(fits=False, support=0.0, delay=None, reason=short)
    return ChangeFit(_table(rows.sort_values("time", kind="stable")), said)


def _table(rows: Any) -> pd.DataFrame:
    out = pd.DataFrame(rows, columns=list(_COLUMNS)).reset_index(drop=True)
    out["delay"] = pd.to_timedelta(out["delay"].astype(object)).astype("timedelta64[ns]")
    return out.astype({"fits": bool, "support": "float64"})


def _judged(
    table: pd.DataFrame,
    contents: Mapping[Any, Content],
    failures: Sequence[Failure],
    weight: Mapping[str, float],
    trace: Trace,
) -> dict[Any, Support]:
    """Return how strongly content speaks for each change of `table`, by the failures that began after it."""
    slack, out = trace.candidates["onset_error"].iloc[0], {}
    for index, change in table.iterrows():
        after = [one for one in failures if pd.isna(one.first) or one.first + slack >= change["time"]]
        own = [one for one in after if one.system in (trace.first, change["system"])]
        near = own if any(not one.metric for one in own) else after
        out[index] = judge(contents[index], near, weight)
    return out


def _weight(table: pd.DataFrame, graph: nx.DiGraph, healthy: Sequence[set[str]]) -> Mapping[str, float]:
    """Return the weights of words; those that name systems or parts of such names weigh nothing."""
    documents = [_content(change, []).words() for _, change in table.iterrows()]
    systems = "\n".join({str(name).lower() for name in (*graph, *table["system"])})
    return weights(documents, healthy, {word for word in set().union(*documents) if word in systems})


def _content(change: pd.Series, carried: Collection[pd.Series]) -> Content:
    every = (change, *carried)
    patches = [read(one.get("attributes")) for one in every]
    text = " ".join(str(one["message"]) for one in every)
    named = str(change["ref"]) if change["kind"] in _NAMED else ""
    return Content(text, tuple(patch for patch in patches if patch.paths or patch.lines), named)


def _live(change: pd.Series, first: pd.Series) -> str:
    """Return how long before the onset a change that fits went live."""
    error, delay = first["onset_error"], first["onset"] - change["time"]
    if delay <= pd.Timedelta(0):
        return f"live at the onset, within its error of {duration(error)}"
    doubt = f", known within {duration(error)}: it may also have followed" if delay < error else ""
    return f"live {duration(delay)} before the onset{doubt}"


def _for(where: str, live: str, carried: Collection[pd.Series], support: Support) -> str:
    """Return what speaks for a change that fits."""
    brings = "".join(f"; brings {one['kind']} {str(one['ref'])[:12]}" for one in carried)
    return f"{where}, {live}{brings}{'; ' + support.why if support.why else ''}"


def _decide(ranked: pd.DataFrame, cause: str, max_delay: pd.Timedelta, lone: Rate | None) -> ChangeFit:
    """Return the result: the change named, or why no change may be; without `lone`, none for place and time alone."""
    fits = ranked[ranked["fits"]]
    hours = f"{max_delay / pd.Timedelta('1h'):g} hours"
    reason = None
    if fits.empty:
        reason = (f"No change to {cause}, or to an unmeasured system upstream of it, went live in the {hours} "
                  "before the onset.")  # fmt: skip
    elif fits["support"].max() > 0:
        rivals = fits[fits["support"] * _MARGIN > fits["support"].max()]
        rivals = rivals[rivals["tier"] == rivals["tier"].min()]
        ranked = pd.concat([rivals, ranked.drop(rivals.index)])
        reason = _tie(rivals, "what they altered")
    elif lone is None:
        unknown = "" if fits["known"].any() else " No diff of any is on record; with the diffs this could be told."
        reason = ("Nothing that is known of the changes bears on what failed, and closeness in time alone names "
                  f"none: {_listed(fits)}.{unknown}")  # fmt: skip
    else:
        best = fits[fits["tier"] == fits["tier"].min()]
        reason = _tie(best, "closeness in time")
        if reason is None:
            said, usual = lone.said(best.iloc[0])
            why = best["reason"].iloc[0]
            ranked.loc[best.index[:1], "reason"] = f"the only change on record that fits; {why}; {said}"
            if usual:
                reason = f"Only {_listed(best)} fits, but may be there by chance: {why}; {said}."
    return ChangeFit(_table(ranked), reason)


def _tie(best: pd.DataFrame, by: str) -> str | None:
    """Return that several changes fit; None if there is one, or several records of one."""
    if len(best) == 1 or (best["ref"].nunique() == 1 and best["ref"].iloc[0] != "" and best["system"].nunique() == 1):
        return None
    return f"{len(best)} changes fit, and {by} does not tell them apart: {_listed(best)}."


def _listed(rows: pd.DataFrame) -> str:
    return "; ".join(f"{row.kind} {str(row.ref or row.event_id)[:12]} at {show(row.time)}" for row in rows.itertuples())

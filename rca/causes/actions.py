"""Corrective actions: who does what by when, and which causes no action meets."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from rca import vocabulary
from rca.conclusions import Action
from rca.errors import InputError, UnknownName, did_you_mean, raise_all
from rca.evidence import Finding

__all__ = ["CLOSED", "COMPLETE", "gaps", "table"]

CLOSED = ("done", "verified", "dropped")
COMPLETE = "complete"
_CAUSES = ("root_cause", "trigger", "contributing")
_COLUMNS = ("id", "action", "addresses", "owner", "due", "state", "overdue", "smart")


def table(actions: Sequence[Action], *, ids: Collection[str], as_of: pd.Timestamp) -> pd.DataFrame:
    """Return the actions by due date, with what each lacks.

    Parameters
    ----------
    actions : sequence of Action
        In any order.
    ids : collection of str
        Ids of the findings, whys and failure modes that an action may address.
    as_of : Timestamp
        The time for which the table holds; with a time zone.

    Returns
    -------
    DataFrame, shape (n_actions, 8)
        By due date, those without one last, then by id: ``id``, ``action``, ``addresses`` (ids, separated by
        commas), ``owner`` (a role), ``due`` (a ``datetime.date``, None if there is none), ``state`` (id of
        the vocabulary ``action_states``), ``overdue`` (bool: neither done, verified nor dropped, and the due day
        is over in UTC), ``smart`` (`COMPLETE`, or ``missing:`` and which of specific, measurable, achievable,
        relevant and time-bound). ``attrs["as_of"]`` keeps the time.

    Raises
    ------
    InputError
        If `as_of` has no time zone.
    UnknownName
        If an action addresses an id that is not in `ids`.

    Notes
    -----
    The SMART fields are checked for being there, not for being true: an action is specific if it has at least
    three words and an owner, measurable, achievable and relevant if it says how or why, time-bound if it has a date.

    Examples
    --------
    >>> act = Action(id="a1", action="Stratify the training sample", owner="ML lead", due="2025-04-01")
    >>> frame = table([act], ids=[], as_of=pd.Timestamp("2025-04-02T09:00Z"))
    >>> frame[["overdue", "smart"]].values.tolist()
    [[True, 'missing: measurable, achievable, relevant']]
    """
    if as_of.tzinfo is None:
        raise InputError(f"actions: as_of {as_of} has no time zone; write an offset such as Z or +01:00")
    raise_all(
        [
            f"actions: {action.id!r} addresses the unknown id {name!r}{did_you_mean(name, ids)}"
            for action in actions
            for name in action.addresses
            if name not in ids
        ],
        UnknownName,
    )
    today = as_of.tz_convert("UTC").date()
    rows = []
    for item in sorted(actions, key=lambda action: (action.due is None, str(action.due), action.id)):
        late = item.due is not None and item.due < today and item.state not in CLOSED
        addresses = ", ".join(item.addresses)
        rows.append((item.id, item.action, addresses, item.owner, item.due, item.state, late, _smart(item)))
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    texts = ("id", "action", "addresses", "owner", "state", "smart")
    frame = frame.astype(dict.fromkeys(texts, "str") | {"overdue": bool, "due": object})
    frame.attrs["as_of"] = as_of
    return frame


def gaps(findings: Sequence[Finding], actions: Sequence[Action]) -> pd.DataFrame:
    """Return causes that no action meets, and actions that meet no cause.

    Parameters
    ----------
    findings : sequence of Finding
        Root causes, triggers and contributing factors count as causes unless refuted.
    actions : sequence of Action
        Dropped actions do not count.

    Returns
    -------
    DataFrame
        ``id``, ``gap``, ``remedy``; causes first, in the order given; no rows if there is no gap.

    Notes
    -----
    An action that addresses only whys or failure modes has a cause; it does not cover a finding that it
    does not name.

    Examples
    --------
    >>> cause = Finding(id="f1", role="root_cause", statement="Sample drawn in one region")
    >>> gaps([cause], [])[["id", "gap"]].values.tolist()
    [['f1', 'root cause without an action']]
    """
    alive = [action for action in actions if action.state != "dropped"]
    covered = {name for action in alive for name in action.addresses}
    given_up = {name for action in actions for name in action.addresses} - covered
    refuted = {finding.id for finding in findings if finding.status == "refuted" or finding.role not in _CAUSES}
    roles = vocabulary.table("finding_roles")["name"]
    rows = []
    for finding in findings:
        if finding.id not in refuted | covered:
            only = ": the only one was dropped" if finding.id in given_up else ""
            gap = f"{roles[finding.role].lower()} without an action{only}"
            rows.append((finding.id, gap, "agree on an action, or say why none is needed"))
    for action in alive:
        if not action.addresses:
            rows.append((action.id, "action without a cause", "name the finding, why or failure mode that it acts on"))
        elif set(action.addresses) <= refuted:
            rows.append((action.id, "action only on what is ruled out", "name a cause that stands, or drop the action"))
    return pd.DataFrame(rows, columns=["id", "gap", "remedy"], dtype="str")


def _smart(action: Action) -> str:
    given = {
        "specific": len(action.action.split()) >= 3 and action.owner,
        "measurable": action.measure,
        "achievable": action.achievable,
        "relevant": action.relevant,
        "time-bound": action.due,
    }
    missing = [name for name, value in given.items() if not value]
    return f"missing: {', '.join(missing)}" if missing else COMPLETE

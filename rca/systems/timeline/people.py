"""Who, by role, knew what when, and how long hand-overs took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from rca import times
from rca.errors import InputError, raise_all
from rca.schema import attributes
from rca.systems.timeline.interval import bounds, difference, spans, when
from rca.systems.timeline.order import ORDER

__all__ = ["handovers", "knowledge"]

KINDS = ("notified", "escalated", "handed_over", "decided")
MOVES = ("escalated", "handed_over")
NOT_DECLARED = "role not declared"
NOBODY = "nobody named"
_STATES = ("state", "status", "action")
_NAMES = ("name", "display_name", "summary", "id")  # of a person or team given as an object
_MATTER = "incident"  # attribute that names the incident an event belongs to


def knowledge(events: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Return who, by role, knew what when.

    Rests on events of the kinds ``notified``, ``escalated``, ``handed_over`` and ``decided``, and on every other
    event with an attribute ``state``, ``status`` or ``action`` that is ``acknowledged``. Whoever is the event's
    actor or stands in its attributes ``from`` and ``to`` knew of it at that time.

    Parameters
    ----------
    events : DataFrame
        Schema ``events``.
    people : DataFrame
        Columns ``name``, ``role`` and, if there, ``aliases`` (sequences of text), as in ``incident.yaml``.

    Returns
    -------
    DataFrame
        One row an event and role, in order of time, undated ones last; columns ``earliest``, ``latest`` (UTC),
        ``when`` (the same in words), ``role``, ``part`` (``actor``, ``from`` or ``to``), ``kind``,
        ``acknowledged``, ``system``, ``message``, ``ref``, ``locator``, ``event_id``. A name that is not declared
        has the role "role not declared"; an event that names nobody has "nobody named".

    Raises
    ------
    InputError
        If people lack a column, or attributes are no JSON object.

    Notes
    -----
    Only what the exports say: that a message stood in a channel does not mean that anybody read it, and what
    people said without an acknowledgement is not searched for words.

    Examples
    --------
    >>> from rca import schema
    >>> told = pd.DataFrame({"time": [times.parse("2025-01-01T09:00Z")], "kind": ["notified"], "message": ["paged"],
    ...                      "attributes": ['{"to": "kim"}']})
    >>> staff = pd.DataFrame({"name": ["Kim"], "role": ["on-call engineer"]})
    >>> knowledge(schema.check(told, "events"), staff)[["when", "role", "part"]].values.tolist()
    [['2025-01-01 09:00 UTC', 'on-call engineer', 'to']]
    """
    roles = _roles(people)
    same = {_key(alias): _key(name) for name, aliases in _aliases(people) for alias in aliases}
    told = events["kind"].isin(KINDS)
    maybe = ~told & events["attributes"].str.contains("acknowledged", case=False, regex=False)
    chosen = events[told | maybe]
    rows = []
    for position, (kind, actor, text) in enumerate(
        zip(*(chosen[name] for name in ("kind", "actor", "attributes")), strict=True)
    ):
        item = attributes(text)
        taken = any(str(item.get(name, "")).casefold() == "acknowledged" for name in _STATES)
        if taken or kind in KINDS:
            found = dict.fromkeys((part, _role(name, roles)) for part, name in _named(actor, item, same))
            rows += [(position, part, role, taken) for part, role in found or {("actor", NOBODY): None}]
    at, kept = bounds(chosen), [row[0] for row in rows]
    out = chosen.iloc[kept][["kind", "system", "message", "ref", "locator", "event_id"]].reset_index(drop=True)
    limits = at.iloc[kept].reset_index(drop=True)
    out = pd.concat([limits, out], axis=1).assign(
        when=[when(*pair) for pair in zip(limits["earliest"], limits["latest"], strict=True)],
        part=pd.Series([row[1] for row in rows], dtype="str"),
        role=pd.Series([row[2] for row in rows], dtype="str"),
        acknowledged=pd.Series([row[3] for row in rows], dtype=bool),
    )
    columns = ["earliest", "latest", "when", "role", "part", "kind", "acknowledged", "system", "message", "ref"]
    ordered = out.sort_values(["earliest", "latest"], kind="stable", na_position="last")
    return ordered[[*columns, "locator", "event_id"]].reset_index(drop=True)


def handovers(
    events: pd.DataFrame, people: pd.DataFrame | None = None, milestones: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return each hand-over (kinds ``escalated`` and ``handed_over``) with its delay and who passed it to whom.

    The delay runs from the event before it that concerns the same matter: that has its ``ref``, or the same
    attribute ``incident``; where there is none, from the milestone *detected*. What it runs from is stated.

    Parameters
    ----------
    events : DataFrame
        Schema ``events``.
    people : DataFrame, optional
        As in `knowledge`; without it every role is "role not declared".
    milestones : DataFrame, optional
        From `rca.timeline.milestones`.

    Returns
    -------
    DataFrame
        One row a hand-over in order of time, undated ones last; columns ``earliest``, ``latest``, ``when``,
        ``kind``, ``from_role``, ``to_role``, ``low`` and ``high`` (Timedelta: least and largest delay that the
        times allow; ``low`` is never below zero), ``since`` (what the delay runs from, with its time), ``ref``,
        ``system``, ``message``, ``locator``, ``event_id``, ``note`` ("not computable: ..."). Where an event names
        no ``from``, its actor passed it on.

    Raises
    ------
    InputError
        If people lack a column, or attributes are no JSON object.

    Examples
    --------
    >>> from rca import schema
    >>> rows = pd.DataFrame({"time": [times.parse("2025-01-01T09:00Z"), times.parse("2025-01-01T09:25Z")],
    ...                      "kind": ["alert", "escalated"], "message": ["errors", "to level 2"], "ref": "INC-7"})
    >>> handovers(schema.check(rows, "events"))[["high", "since"]].values.tolist()
    [[Timedelta('0 days 00:25:00'), 'alert at 2025-01-01 09:00 UTC (ref INC-7)']]
    """
    roles = _roles(people) if people is not None else {}
    events = events.reset_index(drop=True)
    moves = events[events["kind"].isin(MOVES)].sort_values(ORDER, kind="stable")
    details = [attributes(text) for text in moves["attributes"]]
    matters = [_matters(ref, item) for ref, item in zip(moves["ref"], details, strict=True)]
    related = _related(events, {key for keys in matters for key in keys})
    at = bounds(moves)
    rows = []
    for (number, event), item, keys in zip(moves.iterrows(), details, matters, strict=True):
        limits = (at.loc[number, "earliest"], at.loc[number, "latest"])
        since, start = _before(number, related[related["matter"].isin(keys)], milestones)
        low, high, note = _delay(start, limits)
        people_by_part = [_people(item.get("from")) or _people(event["actor"]), _people(item.get("to"))]
        named = [", ".join(dict.fromkeys(_role(name, roles) for name in names)) or NOBODY for names in people_by_part]
        rows.append((
            *limits, when(*limits), event["kind"], *named, low, high, since,
            *(event[name] for name in ("ref", "system", "message", "locator", "event_id")), note,
        ))  # fmt: skip
    columns = ["earliest", "latest", "when", "kind", "from_role", "to_role", "low", "high", "since"]
    out = pd.DataFrame(rows, columns=[*columns, "ref", "system", "message", "locator", "event_id", "note"])
    out = out.astype(dict.fromkeys(["earliest", "latest"], times.UTC))
    out = out.assign(low=spans(out["low"]), high=spans(out["high"]))
    return out.sort_values(["earliest", "latest"], kind="stable").reset_index(drop=True)


def _delay(
    start: tuple[pd.Timestamp, pd.Timestamp], end: tuple[pd.Timestamp, pd.Timestamp]
) -> tuple[pd.Timedelta, pd.Timedelta, str]:
    """Return the least and the largest delay, or why there is none."""
    if pd.isna(end[0]):
        return pd.NaT, pd.NaT, "not computable: the hand-over is undated"
    if pd.isna(start[0]):
        return pd.NaT, pd.NaT, "not computable: no event before it on the same matter, and Detected not known"
    low, high = difference(start, end)
    if high < pd.Timedelta(0):
        return pd.NaT, pd.NaT, "not computable: it is before Detected"
    return low, high, ""


def _before(
    number: int, related: pd.DataFrame, milestones: pd.DataFrame | None
) -> tuple[str, tuple[pd.Timestamp, pd.Timestamp]]:
    """Return what the delay of hand-over `number` runs from, in words and as an interval."""
    place = (related["number"] == number).to_numpy().nonzero()[0]
    earlier = related.iloc[: place[0]] if len(place) else related.iloc[:0]
    if len(earlier):
        last = earlier.iloc[-1]
        span, (label, value) = (last["earliest"], last["latest"]), last["matter"]
        return f"{last['kind']} at {when(*span)} ({label} {value})", span
    if milestones is None or pd.isna(milestones.loc["detected", "earliest"]):
        return "", (pd.NaT, pd.NaT)
    span = (milestones.loc["detected", "earliest"], milestones.loc["detected", "latest"])
    return f"milestone detected at {when(*span)}", span


def _related(events: pd.DataFrame, keys: set[tuple[str, str]]) -> pd.DataFrame:
    """Return the dated events of each matter in order: columns number (label of its row), kind, bounds, matter."""
    near = events["ref"].isin({value for label, value in keys if label == "ref"})
    if any(label == _MATTER for label, _ in keys):
        near |= events["attributes"].str.contains(f'"{_MATTER}"', regex=False)
    chosen = events[near].sort_values(ORDER, kind="stable")
    matters = [
        [key for key in _matters(ref, attributes(text)) if key in keys]
        for ref, text in zip(chosen["ref"], chosen["attributes"], strict=True)
    ]
    table = bounds(chosen).assign(kind=chosen["kind"], number=chosen.index)
    table = table.assign(matter=pd.Series(matters, chosen.index, dtype=object)).explode("matter")
    return table.dropna(subset=["matter", "earliest"]).sort_values(["earliest", "latest"], kind="stable")


def _matters(ref: str, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return by what an event is tied to others."""
    named = fields.get(_MATTER)
    found = [("ref", ref)] if ref else []
    return found + ([(_MATTER, str(named))] if isinstance(named, (str, int)) and str(named) else [])


def _roles(people: pd.DataFrame) -> dict[str, str]:
    """Return name, alias or role -> role; a name that two roles share has both."""
    missing = [name for name in ("name", "role") if name not in people.columns]
    raise_all([f"people: required column {name!r} is missing" for name in missing], InputError)
    found: dict[str, list[str]] = {_key(role): [role] for role in people["role"]}
    for role, (name, aliases) in zip(people["role"], _aliases(people), strict=True):
        for text in (name, *aliases):
            roles = found.setdefault(_key(text), [])
            roles += [role] * (role not in roles)
    return {key: " or ".join(roles) for key, roles in found.items()}


def _aliases(people: pd.DataFrame) -> list[tuple[str, Sequence[str]]]:
    """Return each name with its aliases."""
    aliases = people["aliases"] if "aliases" in people.columns else [()] * len(people)
    return list(zip(people["name"], aliases, strict=True))


def _key(name: str) -> str:
    return name.strip().removeprefix("@").casefold()


def _role(name: str, roles: Mapping[str, str]) -> str:
    return roles.get(_key(name), NOT_DECLARED)


def _named(actor: str, fields: Mapping[str, Any], same: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (part, name) of everybody an event names; an actor who stands under ``from`` or ``to``, once.

    `same` has the name of each alias.
    """
    others = [(part, name) for part in ("from", "to") for name in _people(fields.get(part))]
    there = {same.get(_key(name), _key(name)) for _, name in others}
    return [("actor", name) for name in _people(actor) if same.get(_key(name), _key(name)) not in there] + others


def _people(value: Any) -> list[str]:
    """Return the names in a field: a text, an object with a name, or a list of these."""
    names = []
    for item in value if isinstance(value, list) else [value]:
        entry = next((item[key] for key in _NAMES if item.get(key)), "") if isinstance(item, dict) else item
        names += [str(entry)] if isinstance(entry, (str, int)) and str(entry).strip() else []
    return names

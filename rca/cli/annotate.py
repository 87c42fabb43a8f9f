"""The command ``rca annotate``: tags, notes, milestones and links on events."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rca.cli.app import Folder, app, warn_of_changes
from rca.errors import InputError, UnknownName, did_you_mean, shorten

if TYPE_CHECKING:
    import pandas as pd

    from rca.incident import Incident

__all__ = ["annotate"]

_ID = re.compile(r"[0-9a-f]{6,16}", re.IGNORECASE)
_NAMED = 5  # events that an error names
_ALIKE = 0.75  # Jaro-Winkler similarity from which on an id or a place is near


@app.command(
    epilog="Example: `rca timeline PATH --search timeout` shows events, each with its place in brackets;"
    ' `rca annotate PATH "alerts.json item 1" --note "Seen by support too" --by "on-call engineer"` puts a note on one.'
)
def annotate(
    path: Folder,
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT_ID",
            show_default=False,
            help="Id of the event, 6 characters of it or more, or its place as `rca timeline` shows it in brackets.",
        ),
    ] = "",
    tag: Annotated[str | None, typer.Option("--tag", help="A word or a few.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="Text; with --retract: why.")] = None,
    milestone: Annotated[str | None, typer.Option("--milestone", help="Such as detected or mitigated.")] = None,
    link: Annotated[
        str | None, typer.Option("--link", metavar="OTHER_ID", help="Another event, or a web address.")
    ] = None,
    retract: Annotated[str, typer.Option("--retract", metavar="ID", help="Take this annotation back.")] = "",
    by: Annotated[str, typer.Option("--by", help="Your role; it stands beside what you say.")] = "",
) -> None:
    """Put a tag, a note, a milestone or a link on an event; without EVENT_ID, list what was put.

    Nothing is ever deleted: taking back is one more line in annotations.jsonl, and a new import loses none. Each
    line is noted in custody.jsonl, so that `rca verify` names one that was changed or removed.
    """
    from rca import incident

    found = incident.load(path)
    warn_of_changes(found)
    given = {"tag": tag, "note": note, "milestone": milestone, "link": link}
    chosen = {kind: text for kind, text in given.items() if text is not None}
    if retract:
        _retract(found, event, retract, chosen, by)
    elif event:
        _add(found, event, chosen, by)
    elif chosen:
        raise InputError(
            f"--{next(iter(chosen))}: on which event? rca annotate PATH EVENT_ID --{next(iter(chosen))} ..."
        )
    else:
        _list(found)


def _add(found: Incident, event: str, chosen: dict[str, str], by: str) -> None:
    from rca import annotations

    if not chosen:
        raise InputError(f"event {shorten(event)}: say --tag, --note, --milestone or --link")
    row = _event(found, event, "EVENT_ID")
    other = chosen.get("link", "").strip()
    if other and "://" not in other:
        chosen = chosen | {"link": _event(found, other, "--link").event_id}
    made = annotations.add(found.folder, row.event_id, author=by, **chosen)
    (said,) = annotations.table(found.folder).query("id == @made").to_dict("records")
    who = said["author"] if said["author"] != "not named" else "nobody named (--by says who)"
    typer.echo(f"{found.folder / annotations.FILE}: {said['kind']} {shorten(said['value'])} by {who}")
    typer.echo(f"  on {_words(row)}")
    typer.echo(f"  to take it back: rca annotate {_quoted(found)} --retract {made}")
    if said["kind"] == "milestone" and said["value"] not in found.file.milestones:
        typer.echo(
            f"  durations are computed from milestones in incident.yaml, where {said['value']} is not declared yet"
        )


def _retract(found: Incident, event: str, start: str, chosen: dict[str, str], by: str) -> None:
    from rca import annotations

    wrong = [f"--{kind}" for kind in chosen if kind != "note"]
    if wrong:
        raise InputError(f"--retract takes back; {' and '.join(wrong)} puts on: say one of them at a time")
    standing = annotations.table(found.folder)
    if event:
        standing = standing[standing["event_id"].str.startswith(event.lower())]
    fitting = standing[standing["id"].str.startswith(start.lower())]
    if len(fitting) != 1:
        where = f"{found.folder / annotations.FILE}: {len(fitting) or 'no'} annotations"
        raise UnknownName(f"{where} that stand have the id {shorten(start)}{did_you_mean(start, standing['id'])}")
    (row,) = fitting.to_dict("records")
    annotations.retract(found.folder, row["id"], reason=chosen.get("note", ""), author=by)
    what = f"{row['kind']} {shorten(row['value'])} on event {row['event_id']}"
    typer.echo(f"{found.folder / annotations.FILE}: taken back: {what}; its line stays")


def _list(found: Incident) -> None:
    from rca import annotations, display

    for problem in annotations.verify(found.folder):
        typer.echo(f"note: {problem}", err=True)
    said = annotations.table(found.folder)
    if said.empty:
        typer.echo(f"{found.folder}: nothing is annotated yet; `rca timeline {_quoted(found)}` shows events, and")
        typer.echo(f'`rca annotate {_quoted(found)} EVENT_ID --note "..." --by ROLE` puts a note on one')
        return
    numbers = [int(text, 16) for text in {*said["event_id"], *said["value"]} if re.fullmatch("[0-9a-f]{16}", text)]
    there = _events(found, "event_id IN (SELECT unnest($numbers))", {"numbers": numbers})
    shown = annotations.with_events(said, there)
    columns = ["id", "when", "system", "message", "annotation", "text", "by", "remark"]
    display.show(shown, rows=len(shown), columns=columns)


def _event(found: Incident, given: str, where: str) -> Any:
    """Return the one event that an id, the begin of one, or a place means."""
    text = given.strip().removeprefix("[").removesuffix("]")
    values: dict[str, Any] = {"place": text}
    condition = "locator = $place"
    if _ID.fullmatch(text):
        values |= {"least": int(text.ljust(16, "0"), 16), "most": int(text.ljust(16, "f"), 16)}
        condition += " OR event_id BETWEEN $least AND $most"
    fitting = list(_events(found, condition, values, limit=_NAMED + 1).itertuples())
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        named = [f"  {_words(row)}" for row in fitting[:_NAMED]]
        more = ["  and more"] if len(fitting) > _NAMED else []
        raise InputError(
            "\n".join([f"{where} {shorten(given)}: fits several events, give the id of one:", *named, *more])
        )
    short = "; an id needs 6 characters at least" if re.fullmatch("[0-9a-f]{1,5}", text, re.IGNORECASE) else ""
    alike = f"""greatest(
        jaro_winkler_similarity(left(lpad(lower(hex(event_id)), 16, '0'), {max(len(text), 6)}), lower($place)),
        jaro_winkler_similarity(lower(locator), lower($place)))"""
    nearest = _events(found, f"{alike} > {_ALIKE}", {"place": text}, order=f"{alike} DESC", limit=3)
    known = ["did you mean", *(f"  {_words(row)}" for row in nearest.itertuples())] if len(nearest) else []
    listed = f"`rca timeline {_quoted(found)}` lists events"
    raise UnknownName("\n".join([f"{where} {shorten(given)}: no such event{short}; {listed}", *known]))


def _events(
    found: Incident, condition: str, values: Mapping[str, Any], *, order: str = "", limit: int = 0
) -> pd.DataFrame:
    """Return the events that a condition of SQL lets through, without loading the others."""
    from rca import sources
    from rca.sources import stored
    from rca.sources.query.conditions import opened

    columns = ", ".join(f'"{name}"' for name in stored.arrow_schema("events").names)
    ordered = f" ORDER BY {order}" if order else ""
    limited = f" LIMIT {limit}" if limit else ""
    with opened(sources.store(found)) as ask:
        rows = ask(f"SELECT {columns} FROM events WHERE {condition}{ordered}{limited}", dict(values))
        return stored.frame(rows, "events")


def _words(event: Any) -> str:
    import pandas as pd

    from rca.systems.timeline.interval import when

    exact = pd.notna(event.time)
    time = when(event.time, event.time) if exact else when(event.time_earliest, event.time_latest)
    return f"{event.event_id}  {time or 'undated'}  {event.system}: {event.message[:120]}  [{event.locator}]"


def _quoted(found: Incident) -> str:
    return shlex.quote(str(found.folder))

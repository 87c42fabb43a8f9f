"""What ``rca timeline`` and ``rca clocks`` show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from rca import files, incident, sources, times, wording, yamledit
from rca.errors import InputError, UnknownName, did_you_mean, shorten
from rca.incident.load import INCIDENT

__all__ = ["clocks", "look", "step_of"]

_WRITTEN = 1_000_000  # rows of one file for Timesketch


def look(
    path: Path,
    start: str,
    end: str,
    systems: list[str],
    kinds: list[str],
    search: str,
    step: str,
    limit: int,
    out: Path | None,
) -> None:
    """List, count or write the events of an incident."""
    from rca.sources import interchange, query

    found = incident.load(path)
    stored = sources.store(found, progress=False)
    first = times.parse(start, where="--from") if start else None
    last = times.parse(end, where="--to") if end else None
    how: dict[str, Any] = {"systems": tuple(systems), "kinds": tuple(kinds), "text": search}
    if step:
        counts = query.histogram(stored, first, last, step=step_of(step), by="kind", **how)
        for row in counts.itertuples(index=False):
            begin, *rest = row
            typer.echo("  ".join([times.show(begin), *map(str, rest)]))
        return
    found_events = query.window(stored, first, last, limit=limit or (200 if out is None else _WRITTEN), **how)
    seen, total = found_events.rows, found_events.total
    if out is not None:
        typer.echo(interchange.to_timesketch(seen, out))
    else:
        for row in seen.itertuples(index=False):
            many = f" (x{row.count})" if row.count > 1 else ""
            typer.echo(
                f"{times.show(row.time):24} {row.system:20.20} {row.kind:14.14} {row.message}{many}  [{row.locator}]"
            )
    if total > len(seen):
        typer.echo(f"{len(seen):,} of {total:,} events; --limit shows more", err=True)


def step_of(text: str) -> pd.Timedelta:
    """Return a step such as ``5min``; a number without a unit is refused."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)? ?(ms|s|min|h|d)", text, re.ASCII):
        raise InputError(f"--step {shorten(text)}: expected a number and a unit: ms, s, min, h or d, such as 5min")
    return pd.Timedelta(text)


def clocks(path: Path, reference: str, accept: list[str], by: str) -> None:
    """Show how far the clocks of sources are apart, and write what a person accepts into ``incident.yaml``."""
    from rca.systems import clocks as analysis

    found = incident.load(path)
    events = analysis.uncorrect(sources.read(found).events)
    anchors = analysis.anchors(events)
    skews = analysis.skew(anchors)
    if skews.empty:
        if accept:
            raise InputError("--accept: no record is shared by two sources, so nothing is proposed")
        typer.echo("no record is shared by two sources: nothing can be said about their clocks")
        return
    for row in skews.itertuples(index=False):
        typer.echo(f"{row.source_a} against {row.source_b}: {_offset(row)}; {row.anchors} anchors; {row.note}")
    if not reference:
        if accept:
            raise InputError("--accept needs --reference SOURCE, the source whose clock is right")
        typer.echo("say --reference SOURCE, the source whose clock is right, to see corrections")
        return
    solved = analysis.solve(skews, reference).set_index("source")
    for name, row in solved.drop(index=reference).iterrows():
        typer.echo(f"{name}: {_offset(row)} of {reference}; {row['verdict']}; {row['note']}")
    if accept:
        _accept(found, solved, reference, accept, by)


def _offset(row: Any) -> str:
    if pd.isna(row.offset):
        return "not known"
    drift = f", gaining {row.drift:.3g} ppm" if pd.notna(row.drift) and row.drift else ""
    return f"ahead by {_seconds(row.offset)} (95 %: {_seconds(row.low)} to {_seconds(row.high)}{drift})"


def _seconds(span: pd.Timedelta) -> str:
    """Return a signed span in seconds, and in larger units where it is long."""
    if pd.isna(span):
        return "unknown"
    seconds = f"{span.total_seconds():,.2f} s"
    return seconds if abs(span) < pd.Timedelta("2min") else f"{seconds} ({wording.duration(span)})"


def _accept(found: incident.Incident, solved: pd.DataFrame, reference: str, accept: list[str], by: str) -> None:
    from rca import custody

    if not by:
        raise InputError("--accept needs --by ROLE: who accepts the correction")
    text = (found.folder / INCIDENT).read_bytes().decode("utf-8")
    ids = [source.id for source in found.file.sources]
    for name in accept:
        if name not in ids or name not in solved.index:
            raise UnknownName(f"--accept: no offset of source {name!r}{did_you_mean(name, solved.index)}")
        row = solved.loc[name]
        if not row["proposal"]:
            raise InputError(f"--accept: nothing is proposed for {name!r}: {row['verdict']}; {row['note']}")
        clock = {
            **{key: row[key].total_seconds() for key in ("offset", "low", "high")},
            "anchors": int(row["anchors"]), "against": reference, "accepted_by": by,
        }  # fmt: skip
        if pd.notna(row["drift"]) and row["drift"]:
            clock |= {"drift": float(row["drift"]), "at": row["reference"].isoformat()}
        text = yamledit.replace(text, ("sources", ids.index(name), "clock"), clock)
    files.write(found.folder / INCIDENT, text)
    incident.load(found.folder)
    custody.append(found.folder, "accepted", {}, note=f"clock corrections of {', '.join(accept)}", actor=by)
    typer.echo(f"{found.folder / INCIDENT}: corrected {', '.join(accept)}; the originals are unchanged")

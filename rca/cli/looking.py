"""What ``rca timeline`` and ``rca clocks`` show."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import typer

from rca import files, incident, sources, times, wording, yamledit
from rca.cli.app import warn_of_changes
from rca.cli.listing import Clock, one_line
from rca.errors import InputError, UnknownName, did_you_mean, shorten
from rca.incident.load import INCIDENT

if TYPE_CHECKING:
    from rca.incident.model import Clock as Correction, Source
    from rca.sources.query import Found

__all__ = ["clocks", "look", "step_of"]

_SHOWN, _COUNTED = 200, 1000  # events, and counts, unless --limit says otherwise
_WRITTEN = 1_000_000  # rows of one file for Timesketch
_SERIES = ("kubernetes",)  # formats whose rows stand for `count` happenings from time to time_end


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
    zone: str = "",
) -> None:
    """List, count or write the events of an incident; `zone` is that of `start`, `end` and what is shown."""
    from rca.sources import interchange, query
    from rca.sources.query.conditions import check_limit

    if step and out is not None:
        raise InputError("--out writes events; leave out --step")
    if zone:
        times.zone(zone)
    check_limit(limit or 1)
    first, last = (_moment(text, name, zone) for text, name in ((start, "--from"), (end, "--to")))
    found = incident.load(path)
    warn_of_changes(found)
    stored = sources.store(found, progress=sys.stderr.isatty())
    series = [source.id for source in found.file.sources if source.reader in _SERIES]
    how: dict[str, Any] = {"systems": tuple(systems), "kinds": tuple(kinds), "text": search}
    if step:
        counts = query.histogram(stored, first, last, step=step_of(step), by="kind", series=series, **how)
        shown = counts[: limit or _COUNTED]
        _show(_counted(shown, counts, zone), zone)
        _more(len(shown), len(counts), "rows")
        return
    found_events = query.window(stored, first, last, limit=limit or (_SHOWN if out is None else _WRITTEN), **how)
    if out is not None:
        typer.echo(interchange.to_timesketch(found_events.rows, out))
    elif found_events.total:
        _show(_listed(found_events, series, zone, _halves(found.file.sources)), zone)
    _more(len(found_events.rows), found_events.total, "events")
    if found_events.unsure:
        said = f"{found_events.unsure:,} perhaps: known only as an interval that reaches out of --from and --to too"
        typer.echo(said, err=True)
    if found_events.undated and (start or end):
        typer.echo(f"{found_events.undated:,} more have no time; leave out --from and --to to see them", err=True)


def _moment(text: str, option: str, zone: str) -> pd.Timestamp | None:
    """Return the time that an option gives; in `zone` where it names none itself."""
    if not text:
        return None
    try:
        if not zone:
            return times.parse(text, where=option)
        ns = times.moment(text, zone_name=zone).ns
    except InputError as error:
        said = str(error).removeprefix("time: ").removeprefix(f"{option}: ")
        raise InputError(f"{option}: {said}{', or say --zone ZONE' * ('no time zone' in said)}") from error
    if ns is None:
        raise InputError(f"{option} is empty")
    return pd.Timestamp(ns, tz="UTC")


def _show(lines: Sequence[str], zone: str) -> None:
    if zone:
        typer.echo(f"times in {zone}")
    if lines:
        typer.echo("\n".join(lines))


def _more(shown: int, total: int, what: str) -> None:
    """Say on standard error how many there are when not all are shown, or that there are none."""
    if total > shown:
        typer.echo(f"{shown:,} of {total:,} {what}; --limit shows more", err=True)
    elif not total:
        typer.echo("no events", err=True)


def _halves(sources: Sequence[Source]) -> dict[str, str]:
    """Return what stands behind the times of each source whose clock is corrected: how exact the correction is."""
    out = {}
    for clock, name in ((source.clock, source.id) for source in sources if source.clock is not None):
        bounds = [abs(end - clock.offset) for end in (clock.low, clock.high) if end is not None]
        out[name] = f" ±{max(bounds):.2g} s" if len(bounds) == 2 else " corrected"
    return out


def _listed(found: Found, series: Sequence[str], zone: str, corrected: Mapping[str, str]) -> list[str]:
    """Return a line for each event."""
    rows = found.rows
    bounds = rows["time"].isna() & (rows["time_earliest"].notna() | rows["time_latest"].notna())
    repeated = rows["source"].isin(series) & (rows["count"] > 1) & rows["time_end"].notna()
    ends = [rows.loc[bounds, name] for name in ("time_earliest", "time_latest")]
    clock = Clock.of(rows["time"], *ends, rows.loc[repeated, "time_end"], zone=zone)
    lines = []
    flags = zip(rows.itertuples(index=False), bounds, repeated, found.perhaps, strict=True)
    for row, is_interval, is_series, perhaps in flags:
        when = _interval(clock, row) if is_interval else clock(row.time)
        when += (corrected.get(row.source, "") if row.offset_method else "") + " perhaps" * perhaps
        many = f" (x{row.count}{f' until {clock(row.time_end)}' * is_series})" if row.count > 1 else ""
        system, message, place = one_line(row.system), one_line(row.message), one_line(row.locator)
        lines.append(f"{when:{clock.width}} {system:20.20} {row.kind:14.14} {message}{many}  [{place}]")
    return lines


def _interval(clock: Clock, row: Any) -> str:
    if pd.isna(row.time_latest):
        return f"after {clock(row.time_earliest)}"
    if pd.isna(row.time_earliest):
        return f"before {clock(row.time_latest)}"
    return f"{clock(row.time_earliest)} to {clock(row.time_latest)}"


def _counted(shown: pd.DataFrame, counts: pd.DataFrame, zone: str) -> list[str]:
    """Return a line for each stretch and kind, and what of all counts is an estimate."""
    clock = Clock.of(shown["time"], zone=zone)
    lines = [
        f"{clock(row.time):{clock.width}}  {row.group:14}  {row.count:>7}{_part(row.estimated)}"
        f"{f'  ({row.reason})' if row.reason else ''}"
        for row in shown.itertuples(index=False)
    ]
    if spread := int(counts["estimated"].sum()):
        lines.append(
            f"by estimate: of {spread:,} of the {int(counts['count'].sum()):,} records only the first and the last"
            " time are known; they are spread evenly between these"
        )
    return lines


def _part(estimated: int) -> str:
    return f"  ({estimated:,} of them by estimate)" if estimated else ""


def step_of(text: str) -> pd.Timedelta:
    """Return a step such as ``5min``; a number without a unit is refused."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)? ?(ms|s|min|h|d)", text, re.ASCII):
        raise InputError(f"--step {shorten(text)}: expected a number and a unit: ms, s, min, h or d, such as 5min")
    try:
        return pd.Timedelta(text.replace("d", "D")).as_unit("ns")
    except (OverflowError, ValueError) as error:
        raise InputError(f"--step {text} is too long") from error


def clocks(path: Path, reference: str, accept: list[str], by: str) -> None:
    """Show how far the clocks of sources are apart, and write what a person accepts into ``incident.yaml``."""
    from rca.systems import clocks as analysis

    found = incident.load(path)
    warn_of_changes(found)
    for source in found.file.sources:
        if source.clock is not None:
            typer.echo(_accepted(source.id, source.clock))
    events = sources.read(found).events
    # What is accepted anew is held, as it was written, against the other clocks as they are corrected now.
    anew = events["source"].isin(accept)
    events = pd.concat([analysis.uncorrect(events[anew]), events[~anew]], ignore_index=True)
    anchors = analysis.anchors(events)
    skews = analysis.skew(anchors)
    _pairs(skews, analysis.shared(events, anchors))
    if skews.empty:
        if accept:
            raise InputError("--accept: no record is shared by two sources, so nothing is proposed")
        typer.echo("no record is shared by two sources: nothing can be said about their clocks")
        return
    if accept and not reference:
        reference = _only_partner(skews, accept)
    if not reference:
        typer.echo("say --reference SOURCE, the source whose clock is right, to see corrections")
        return
    solved = analysis.solve(skews, reference).set_index("source")
    for name, row in solved.drop(index=reference).iterrows():
        typer.echo(f"{name}: {_offset(row)} of {reference}; {row['verdict']}; {row['note']}")
    if accept:
        _accept(found, solved, reference, accept, by)


def _accepted(name: str, clock: Correction) -> str:
    """Return what was accepted about the clock of a source, and by whom."""
    bounds = [f"{end:,.2f} s" for end in (clock.low, clock.high) if end is not None]
    interval = f" (95 %: {' to '.join(bounds)})" if len(bounds) == 2 else ""
    drift = f", and {clock.drift:.3g} ppm that it gains" if clock.drift else ""
    against = f"; {clock.anchors} anchors against {clock.against}" if clock.against else ""
    return f"{name}: accepted by {clock.accepted_by}: {clock.offset:,.2f} s{interval}{drift} taken off{against}"


def _pairs(skews: pd.DataFrame, common: pd.DataFrame) -> None:
    """Show how far each two clocks are apart now, and how many of the identifiers they share tell so."""
    pairs = common.set_index(["source_a", "source_b"])
    seen = {(row.source_a, row.source_b): row for row in skews.itertuples(index=False)}
    for pair in sorted({*pairs.index, *seen}):
        if pair in seen:
            row = seen[pair]
            aside = f", {row.outliers} set aside" if row.outliers else ""
            typer.echo(f"{pair[0]} against {pair[1]}: {_offset(row)}; {row.anchors} anchors{aside}; {row.note}")
        if pair in pairs.index and (pair not in seen or pairs.loc[pair, "note"]):
            one = pairs.loc[pair]
            number = f"{one['shared']:,} trace ids and references, {one['used']:,} used"
            typer.echo(f"{pair[0]} and {pair[1]} share {number}: {one['note']}")


def _only_partner(skews: pd.DataFrame, accept: Sequence[str]) -> str:
    """Return the one source that all proposals to accept are against, or raise."""
    names = skews[["source_a", "source_b"]]
    own = skews[names.isin(accept).sum(axis=1) == 1]
    held = own[own["proposal"]] if own["proposal"].any() else own
    partners = {str(name) for name in held[["source_a", "source_b"]].to_numpy().ravel()} - set(accept)
    if len(partners) != 1:
        known = f"one of {', '.join(sorted(partners))}" if partners else "SOURCE"
        raise InputError(f"--accept needs --reference, the source whose clock is right: {known}")
    return partners.pop()


def _offset(row: Any) -> str:
    if pd.isna(row.offset):
        return "not known"
    drift = f", gaining {row.drift:.3g} ppm" if _drifts(row) else ""
    return f"ahead by {_seconds(row.offset)} (95 %: {_seconds(row.low)} to {_seconds(row.high)}{drift})"


def _drifts(row: Any) -> bool:
    """Return whether a drift is more than its own noise: zero lies outside its interval."""
    return bool(pd.notna(row.drift) and (row.drift_low > 0 or row.drift_high < 0))


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
        if _drifts(row):
            clock |= {"drift": float(row["drift"]), "at": row["reference"].isoformat()}
        text = yamledit.replace(text, ("sources", ids.index(name), "clock"), clock)
    files.write(found.folder / INCIDENT, text)
    incident.load(found.folder)
    custody.append(found.folder, "accepted", {}, note=f"clock corrections of {', '.join(accept)}", actor=by)
    typer.echo(f"{found.folder / INCIDENT}: corrected {', '.join(accept)}; the originals are unchanged")

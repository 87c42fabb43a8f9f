"""Commands about exports: which formats there are, adding and pulling them, looking into the timeline, clocks."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from rca.cli.app import By, Folder, app
from rca.errors import InputError

if TYPE_CHECKING:
    from rca.sources.adding import Added

__all__ = ["clocks", "import_", "pull", "sources", "timeline"]


@app.command()
def sources() -> None:
    """List the formats that are read, and against what each was tested."""
    from rca.sources import formats

    plain = [(name, "Table whose fields incident.yaml maps", "any", "") for name in ("csv", "json", "jsonl", "parquet")]
    known = [(form.name, form.title, ", ".join(form.tables), form.tested) for form in formats.every()]
    for name, title, tables, tested in (*plain, *known):
        typer.echo(f"{name:14} {title:62.62} {tables:24} {tested}".rstrip())


@app.command("import")
def import_(
    path: Folder,
    exports: Annotated[list[Path], typer.Argument(metavar="FILES...", help="The exports; they are copied.")],
    source_id: Annotated[str, typer.Option("--as", help="Id of the source; also keeps it apart from others.")] = "",
    reader: Annotated[str, typer.Option("--reader", help="The format, where it is not recognised.")] = "",
    table: Annotated[str, typer.Option("--table", help="events, metrics, dependencies or spans.")] = "",
    zone: Annotated[str, typer.Option("--zone", help="IANA zone of times that name none.")] = "",
    year: Annotated[int, typer.Option("--year", help="Year of each file's first time, where times name none.")] = 0,
    form: Annotated[str, typer.Option("--time-format", help="epoch_ms, %d.%m.%Y %H:%M ...")] = "",
    system: Annotated[str, typer.Option("--system", help="The system that all records are of.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="What the events are: deploy, alert, log ...")] = "",
    column: Annotated[
        list[str] | None, typer.Option("--column", metavar="COLUMN=FIELD", help="Where a column is.")
    ] = None,
    word: Annotated[
        list[str] | None, typer.Option("--value", metavar="COLUMN:THEIRS=OURS", help="What a word of theirs means.")
    ] = None,
    rejected: Annotated[int, typer.Option("--rejected", help="How many records may be unreadable.")] = 0,
    by: By = "",
) -> None:
    """Add exports to an incident: recognise, read, show what was understood, describe in incident.yaml."""
    from rca.sources import adding
    from rca.sources.questions import Unanswered

    time = {"format": form, "zone": zone, "year": year}
    given = {
        "id": source_id, "reader": reader, "table": table, "rejected": rejected,
        "columns": _pairs(column or []), "values": _words(word or []),
        "constant": {name: value for name, value in (("system", system), ("kind", kind)) if value},
        "time": {name: value for name, value in time.items() if value},
    }  # fmt: skip
    said = [name for name, value in (
        ("--as", source_id), ("--reader", reader), ("--table", table), ("--zone", zone), ("--year", year),
        ("--time-format", form), ("--system", system), ("--kind", kind), *(("--column", item) for item in column or []),
        *(("--value", item) for item in word or []), ("--rejected", rejected), ("--by", by),
    ) if value for name in (name, str(value))]  # fmt: skip
    problems: list[str] = []
    asked: dict[tuple[str, ...], list[Path]] = {}
    for export in exports:
        try:
            _say(adding.add(path, export, given=given, actor=by, progress=sys.stderr.isatty()))
        except Unanswered as error:
            problems += error.problems
            options = [word for answer in error.answers for word in (answer.option, answer.value)]
            asked.setdefault(tuple(options), []).append(export)
        except InputError as error:
            problems += error.problems
    if asked:
        _ask(path, problems, asked, said)
    if problems:
        raise InputError("\n".join(dict.fromkeys(problems)))


def _ask(path: Path, problems: list[str], asked: dict[tuple[str, ...], list[Path]], said: list[str]) -> NoReturn:
    """Say what is missing, and one line that gives all the answers as guessed."""
    for line in problems:
        typer.echo(f"rca: {line}", err=True)
    typer.echo("rca: nothing of these files was added; where all guesses are right, this answers them:", err=True)
    lines = []
    for options, files in asked.items():
        pairs = zip(said[::2], said[1::2], strict=True)  # what is answered anew, such as --year, is not said twice
        kept = [word for pair in pairs if pair[0] in ("--column", "--value") or pair[0] not in options for word in pair]
        lines.append(shlex.join(["rca", "import", str(path), *map(str, files), *kept, *options]))
    typer.echo(" && ".join(lines), err=True)
    raise typer.Exit(2)


def _pairs(texts: Sequence[str]) -> dict[str, list[str]]:
    pairs = [text.partition("=") for text in texts]
    wrong = [
        f"--column {text}: not of the form COLUMN=FIELD"
        for text, (name, sign, field) in zip(texts, pairs, strict=True)
        if not (name and sign and field)
    ]
    if wrong:
        raise InputError("\n".join(wrong))
    out: dict[str, list[str]] = {}
    for name, _, field in pairs:
        out.setdefault(name, []).append(field)
    return out


def _words(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    out: dict[str, dict[str, str]] = {}
    wrong = []
    for text in texts:
        column, _, rest = text.partition(":")
        word, sign, own = rest.rpartition("=")
        if not (column and word and sign and own):
            wrong.append(f"--value {text}: not of the form COLUMN:THEIRS=OURS")
        out.setdefault(column, {})[word] = own
    if wrong:
        raise InputError("\n".join(wrong))
    return out


def _say(added: Added) -> None:
    from rca import times

    typer.echo(added.said)
    source, report = added.source, added.report
    if source is None or report is None:
        return
    for what in ("table", "columns", "constant", "values", "records"):
        value = getattr(source, what)
        if value and (what != "table" or source.columns):
            typer.echo(f"  {what}: {value}")
    if source.table == "dependencies" and {"cause", "effect"} <= source.columns.keys():
        cause, effect = (" ".join(source.columns[name]) for name in ("cause", "effect"))
        typer.echo(f"  direction: a fault in {cause} can reach {effect}")
    counts = (
        f"{report.rows:,} read, {report.kept:,} rows kept ({report.table}), {report.duplicates:,} duplicate,"
        f" {report.undated:,} undated, {report.rejected:,} rejected, {report.disordered:,} out of order"
    )
    typer.echo(f"  records: {counts}")
    typer.echo(f"  times: from {times.show(report.first)} to {times.show(report.last)}")
    typer.echo(f"  zone: {report.zone}; format {source.time.format}; clock {report.clock}")
    for line in _seen(added):
        typer.echo(f"  {line}")
    for note in report.notes:
        typer.echo(f"  note: {note}")


def _seen(added: Added) -> Iterator[str]:
    """Yield how much of the incident window an export covers, and where it is silent for longest."""
    import pandas as pd

    from rca import schema, times, wording
    from rca.systems import timeline

    if added.times is None or added.source is None or added.times.empty:
        return
    windows = added.windows
    stamps = pd.DataFrame({"source": added.source.id, "time": added.times})
    found = timeline.gaps(schema.empty("events"), stamps, windows.during.span if windows else None)
    if windows is None:
        yield "incident window: not declared (windows: in incident.yaml)"
    elif found.empty:
        yield "incident window: no record of it"
    for row in found.itertuples():
        if windows is not None:
            share = f"{row.coverage:.0%} covered" if pd.notna(row.coverage) else "too few records to say how covered"
            yield f"incident window: {share}; {row.records:,} different times in it"
        where = f"from {times.show(row.gap_start)} to {times.show(row.gap_end)}"
        unusual = ", unusual for it" if row.unusual else ""
        yield f"largest gap: {wording.duration(row.largest_gap)}{unusual}, {where}"


@app.command()
def pull(
    path: Folder,
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="prometheus, alertmanager or mlflow.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of its API; secrets come from the environment.")],
    query: Annotated[str, typer.Option("--query", help="prometheus: what to ask for.")] = "",
    start: Annotated[str, typer.Option("--from", help="ISO 8601 with an offset.")] = "",
    end: Annotated[str, typer.Option("--to", help="ISO 8601 with an offset.")] = "",
    step: Annotated[str, typer.Option("--step", help="prometheus: distance of two values, such as 1min.")] = "1min",
    source_id: Annotated[str, typer.Option("--as", help="Id of the source.")] = "",
    by: By = "",
) -> None:
    """Ask a running system, keep its answer as evidence, and add that file to the incident."""
    from rca import incident, times
    from rca.cli import looking
    from rca.errors import UnknownName, did_you_mean
    from rca.sources import adding
    from rca.sources.formats import alertmanager, mlflow, prometheus

    incident.load(path)
    with tempfile.TemporaryDirectory(prefix="rca-") as folder:
        into = Path(folder)
        if system == "prometheus":
            if not (query and start and end):
                raise InputError("prometheus: say --query, --from and --to")
            stretch = times.parse(start, where="--from"), times.parse(end, where="--to")
            file = prometheus.pull(url, query, *stretch, looking.step_of(step), into=into)
        elif system in ("alertmanager", "mlflow"):
            file = {"alertmanager": alertmanager.pull, "mlflow": mlflow.pull}[system](url, into=into)
        else:
            near = did_you_mean(system, ["prometheus", "alertmanager", "mlflow"])
            raise UnknownName(f"no live pull from {system!r}{near}")
        _say(adding.add(path, file, given={"id": source_id, "reader": system}, actor=by))


@app.command()
def timeline(
    path: Folder,
    start: Annotated[str, typer.Option("--from", help="ISO 8601; default: the first event.")] = "",
    end: Annotated[str, typer.Option("--to", help="ISO 8601; default: the last event.")] = "",
    zone: Annotated[
        str, typer.Option("--zone", help="IANA zone of what is shown, and of --from and --to without an offset.")
    ] = "",
    system: Annotated[list[str] | None, typer.Option("--system", help="Only this system; may be repeated.")] = None,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Only this kind; may be repeated.")] = None,
    search: Annotated[str, typer.Option("--search", help="Text that the message contains.")] = "",
    step: Annotated[str, typer.Option("--step", help="Count events in steps, such as 5min, in place of listing.")] = "",
    limit: Annotated[int, typer.Option("--limit", help="At most; default 200 events, 1000 counts; all to --out.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Write them for Timesketch: .csv or .jsonl.")] = None,
) -> None:
    """List, search, count or export the events of an incident, however many there are."""
    from rca.cli import looking

    looking.look(path, start, end, system or [], kind or [], search, step, limit, out, zone)


@app.command()
def clocks(
    path: Folder,
    reference: Annotated[
        str, typer.Option("--reference", help="The source whose clock is right; may be left out where only one can be.")
    ] = "",
    accept: Annotated[list[str] | None, typer.Option("--accept", metavar="SOURCE", help="Take this proposal.")] = None,
    by: By = "",
) -> None:
    """Propose corrections of sources' clocks from records that two sources share; accept them by name."""
    from rca.cli import looking

    looking.clocks(path, reference, accept or [], by)

"""The command ``rca``: nothing but calls; heavy imports stand inside the commands that need them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rca import __version__
from rca.cli import annotate, custody, exports
from rca.cli.app import Folder, Out, Trust, WithNames, altered, app
from rca.errors import AnalysisError, InputError

if TYPE_CHECKING:
    from rca.report import Outcome

__all__ = ["annotate", "app", "custody", "exports", "main"]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(out: Out = Path("reports")) -> None:
    """Make the post-mortem of the incident that comes with the package."""
    from rca import share

    _report(share.path("datasets/fraud-model-regression"), out)


@app.command()
def new(
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="Letters, digits, '.', '_' and '-'.")],
    where: Annotated[Path, typer.Option("--in", help="Folder to make it in.")] = Path("datasets"),
) -> None:
    """Make the folder of a new incident, with a commented template to fill in."""
    from rca import incident

    folder = incident.new(incident_id, where)
    typer.echo(f"{folder}: add raw exports with `rca import`; `rca check` lists what is still to be filled in")


@app.command()
def check(path: Folder, trust: Trust = False) -> None:
    """Read an incident folder and list everything that is wrong with it, or is still to be filled in.

    Evidence that changed or is gone since it was recorded is a problem as well (exit code 2).
    """
    from rca import custody as evidence_log, incident
    from rca.incident.unfilled import empty, unfilled
    from rca.report import opening

    found = incident.load(path)
    problems = [*altered(found), *evidence_log.changed_annotations(path)]
    try:
        records = opening.check(found, trust=trust)
    except InputError as error:
        raise InputError("\n".join([*problems, *error.problems])) from error
    if problems:
        raise InputError("\n".join([*problems, f"the evidence is not as recorded; `rca verify {path}` says more"]))
    counts = {
        "sources": len(found.file.sources),
        "events": len(records.events),
        "metric values": len(records.metrics),
        "dependencies": len(records.dependencies),
    }
    typer.echo(f"{path}: no problems; {', '.join(f'{number:,} {what}' for what, number in counts.items())}")
    blank = unfilled(found)
    for line in blank:
        typer.echo(f"fill in: {line}")
    for note in (*empty(found), *records.notes):
        if note not in blank:
            typer.echo(f"note: {note}")


@app.command()
def schema(out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path()) -> None:
    """Write the JSON Schema of incident.yaml and analysis.yaml, for editors."""
    from rca import files, incident

    for name, content in incident.schema().items():
        typer.echo(files.write(out / f"{Path(name).stem}.schema.json", files.canonical_json(content)))


@app.command()
def report(path: Folder, out: Out = Path("reports"), with_names: WithNames = False, trust: Trust = False) -> None:
    """Make the post-mortem of an incident: HTML, Markdown, the executed notebook, tables, run.json."""
    _report(path, out, with_names=with_names, trust=trust)


@app.command()
def run(
    notebook: Annotated[
        str, typer.Argument(metavar="NOTEBOOK", help="A file, or the name of a question: what-broke-first.")
    ],
    path: Folder,
    given: Annotated[
        list[str] | None, typer.Option("-p", metavar="NAME=VALUE", help="A parameter of the notebook.")
    ] = None,
    out: Out = Path("reports"),
    with_names: WithNames = False,
    trust: Trust = False,
) -> None:
    """Run one notebook, such as a single question, on an incident."""
    from rca import incident
    from rca.report import incidents

    chosen = _notebook(notebook)
    pairs = [item.partition("=") for item in given or []]
    wrong = [f"-p {name}: not of the form NAME=VALUE" for name, sign, _ in pairs if not (name and sign)]
    if wrong:
        raise InputError("\n".join(wrong))
    folder = out / incident.load(path).file.id / chosen.stem
    outcome = incidents.make(
        path, chosen, folder, given={name: value for name, _, value in pairs}, with_names=with_names, trust=trust,
        progress=sys.stderr.isatty(),
    )  # fmt: skip
    _finish(outcome)


def _notebook(name: str) -> Path:
    """Return the notebook that a file name or the name of a question means."""
    from rca import share
    from rca.errors import MissingFile, did_you_mean

    if Path(name).suffix == ".ipynb":
        return Path(name)
    known = {path.stem: path for path in sorted(share.path("notebooks").rglob("*.ipynb"))}
    if name not in known:
        raise MissingFile(f"no notebook {name!r}{did_you_mean(name, known)}")
    return known[name]


def _report(path: Path, out: Path, *, with_names: bool = False, trust: bool = False) -> None:
    from rca import incident, share
    from rca.report import incidents

    folder = out / incident.load(path).file.id
    notebook = share.path("notebooks/postmortem.ipynb")
    outcome = incidents.make(path, notebook, folder, with_names=with_names, trust=trust, progress=sys.stderr.isatty())
    _finish(outcome)


def _finish(outcome: Outcome) -> None:
    """Name the page; where cells failed, say which and exit with 1."""
    for failure in outcome.failed:
        typer.echo(f"rca: cell {failure.cell} failed: {failure.error}", err=True)
    typer.echo(outcome.html)
    if outcome.failed:
        raise typer.Exit(1)


def main() -> None:
    """Run the command: exit code 2 for what the user gave, 1 for a failed analysis."""
    try:
        app()
    except (InputError, AnalysisError) as error:
        for line in str(error).splitlines():
            typer.echo(f"rca: {line}", err=True)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except OSError as error:
        typer.echo(f"rca: {error.filename or 'file'}: {error.strerror}", err=True)
        sys.exit(2)

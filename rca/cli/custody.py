"""Commands about what the exports rest on: manifest, custody log, sealed archives, personal data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rca.cli.app import By, Folder, app
from rca.errors import InputError, MissingFile

__all__ = ["manifest", "redact", "seal", "verify"]


@app.command()
def manifest(
    path: Folder,
    accept: Annotated[bool, typer.Option("--accept", help="Record files that changed since as well.")] = False,
    by: By = "",
) -> None:
    """Record the SHA-256 of the raw exports and model files in MANIFEST.json and in the custody log."""
    from rca import custody, incident

    incident.load(path)
    for name in custody.record(path, accept=accept, actor=by):
        typer.echo(name)


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="An incident folder, or a sealed archive (.zip).")],
    head: Annotated[str, typer.Option("--head", help="Hash of the custody log's last line, as noted elsewhere.")] = "",
) -> None:
    """Name every difference between files, annotations, manifest and custody log.

    Exit code 1 if there is one, 2 where nothing was ever recorded. The head of the custody log, noted elsewhere and
    given with --head, is what shows that its last lines were not cut off.
    """
    from rca import custody, evidence
    from rca.sources import derived

    notes = []
    if path.suffix == ".zip":
        differences, good = custody.check_seal(path), "as sealed"
    elif not (path / "incident.yaml").is_file():
        raise MissingFile(f"{path}: no incident.yaml there; wanted an incident folder or a sealed archive (.zip)")
    else:
        logged = bool(head) or (path / custody.LOG).exists() or not (path / evidence.MANIFEST).exists()
        differences = (
            custody.verify_all(path, head=head)
            if logged
            else [*evidence.verify(path), *custody.changed_annotations(path)]
        )
        good = "" if differences else f"{len(evidence.recorded(path))} files as recorded"
        notes = [*custody.remarks(path), *(f"{name}: left by a stopped import" for name in derived.leftovers(path))]
        if not differences and (path / custody.LOG).exists():
            notes.append(f"{custody.LOG} ends in {custody.head(path)}; note it elsewhere, and give it as --head")
        good += "" if logged else f"; there is no custody log, `rca manifest {path}` begins it"
    for line in differences:
        typer.echo(line, err=True)
    if not differences:
        typer.echo(f"{path}: {good}")
    for line in notes:
        typer.echo(f"note: {line}")
    if differences:
        raise typer.Exit(1)


@app.command()
def seal(
    path: Folder,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The archive to write (.zip).")],
    report: Annotated[Path | None, typer.Option("--report", help="Folder of a report to put in as well.")] = None,
    by: By = "",
) -> None:
    """Pack an incident into one archive that carries its own check, such as for a regulator.

    Evidence that is not as recorded is packed as it is, for that state is evidence too; the archive and the output
    name each difference, and the exit code is 1.
    """
    from rca import custody, files, incident

    incident.load(path)
    if out.suffix != ".zip":
        raise InputError(f"{out}: the archive's name ends in .zip")
    custody.seal(path, out, reports=report, actor=by)
    typer.echo(f"{out}: SHA-256 {files.sha256(out)}; note it elsewhere")
    differences = custody.check_seal(out)
    if differences:
        for line in differences:
            typer.echo(line, err=True)
        typer.echo(f"{out}: sealed, but NOT AS RECORDED, as the lines above and the archive itself say", err=True)
        raise typer.Exit(1)


@app.command()
def redact(
    path: Folder,
    src: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of a report or of exported tables.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write the copy to.")],
    keyed: Annotated[
        bool, typer.Option("--keyed", help="Codes of people that guessing a name cannot test; not the report's.")
    ] = False,
) -> None:
    """Copy a report or tables with names, addresses, numbers and secrets replaced by stable pseudonyms."""
    from rca import incident, redact as redaction, sources

    found = incident.load(path)
    known = redaction.known(found, sources.read(found))
    redactor = redaction.Redactor.of(
        known.people, redaction.key(path), actors=known.actors, keep=known.keep, keyed=keyed
    )
    counts = redaction.folder(src, out, redactor)
    for row in counts.itertuples(index=False):
        typer.echo("  ".join(str(value) for value in row))
    total = counts.groupby("category")["count"].sum()
    replaced = total.drop([redaction.NOT_READ, redaction.LEFT_OUT], errors="ignore")
    listed = ", ".join(f"{name} {count:,}" for name, count in replaced.items())
    typer.echo(f"{out}: replaced {listed or 'nothing'}; {redactor.people} people are known")
    for name, count in total.drop(replaced.index).items():
        typer.echo(f"WARNING: {name}: {count:,}; look at them yourself", err=True)
    typer.echo(f"WARNING: {redaction.NOT_FOUND}", err=True)
    if not keyed:
        typer.echo(
            "WARNING: who guesses a name can test its code (P-...); --keyed makes codes that cannot be", err=True
        )

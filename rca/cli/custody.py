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
    """Name every difference between files, manifest and custody log: exit code 1 if there is one, 2 without either."""
    from rca import custody, evidence

    if path.suffix == ".zip":
        differences, good = custody.check_seal(path), "as sealed"
    elif not (path / "incident.yaml").is_file():
        raise MissingFile(f"{path}: no incident.yaml there; wanted an incident folder or a sealed archive (.zip)")
    else:
        logged = bool(head) or (path / custody.LOG).exists() or not (path / evidence.MANIFEST).exists()
        differences = custody.verify_all(path, head=head) if logged else evidence.verify(path)
        good = "" if differences else f"{len(evidence.recorded(path))} files as recorded"
        good += "" if logged else f"; there is no custody log, `rca manifest {path}` begins it"
    for line in differences:
        typer.echo(line, err=True)
    if differences:
        raise typer.Exit(1)
    typer.echo(f"{path}: {good}")


@app.command()
def seal(
    path: Folder,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The archive to write (.zip).")],
    report: Annotated[Path | None, typer.Option("--report", help="Folder of a report to put in as well.")] = None,
    by: By = "",
) -> None:
    """Pack an incident into one archive that carries its own check, such as for a regulator."""
    from rca import custody, files, incident

    incident.load(path)
    if out.suffix != ".zip":
        raise InputError(f"{out}: the archive's name ends in .zip")
    custody.seal(path, out, reports=report, actor=by)
    typer.echo(f"{out}: SHA-256 {files.sha256(out)}; note it elsewhere")


@app.command()
def redact(
    path: Folder,
    src: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of a report or of exported tables.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write the copy to.")],
) -> None:
    """Copy a report with names, addresses, numbers and secrets replaced by stable pseudonyms."""
    from rca import incident, redact as redaction

    found = incident.load(path)
    people = [(person.name, person.role, person.aliases) for person in found.file.people]
    counts = redaction.folder(src, out, redaction.Redactor.of(people, redaction.key(path)))
    for row in counts.itertuples(index=False):
        typer.echo("  ".join(str(value) for value in row))

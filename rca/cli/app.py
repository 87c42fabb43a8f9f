"""The command's application object, and the arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rca.incident import Incident

__all__ = ["By", "Folder", "Out", "Trust", "WithNames", "altered", "app", "warn_of_changes"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Root-cause analysis of AI incidents: from raw exports to a post-mortem with evidence.",
)
Folder = Annotated[Path, typer.Argument(metavar="PATH", help="The incident folder (it holds incident.yaml).")]
Out = Annotated[Path, typer.Option("--out", help="Where reports go; each incident gets a folder of its own.")]
WithNames = Annotated[bool, typer.Option("--with-names", help="Show people's names instead of pseudonyms.")]
Trust = Annotated[bool, typer.Option("--trust", help="Load model files that can run code, such as pickles.")]
By = Annotated[str, typer.Option("--by", help="Your role, for the custody log.")]


def altered(found: Incident) -> list[str]:
    """Return which recorded raw files changed or are gone, in words; those never recorded are not named."""
    return [line for line in found.differences if line.rsplit(": ", 1)[0] in found.hashes]


def warn_of_changes(found: Incident) -> None:
    """Say on standard error, in one line, that evidence is not as it was recorded."""
    changed = altered(found)
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        said = f"{changed[0]}{more}: what follows does not rest on the evidence as it was added"
        typer.echo(f"rca: warning: {said} (rca verify {found.folder})", err=True)

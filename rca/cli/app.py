"""The command's application object, and the arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["By", "Folder", "Out", "Trust", "WithNames", "app"]

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

"""Errors of the workbench: one tree, each class also a builtin that a caller would expect.

::

    RcaError
    ├── InputError (ValueError)            what the user gave is wrong: exit code 2
    │   ├── MissingFile (FileNotFoundError)
    │   ├── UnknownName (LookupError)
    │   └── UnsafeInput (PermissionError)  a path out of the folder, a pickle, a file past the limits
    └── AnalysisError (RuntimeError)       the input is right, the analysis cannot answer: exit code 1
        ├── NotAdditive                    contributions do not sum to the model's own prediction
        └── NotebookFailed                 a cell of a notebook failed; the report was still written
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = [
    "AnalysisError",
    "InputError",
    "MissingFile",
    "NotAdditive",
    "NotebookFailed",
    "RcaError",
    "UnknownName",
    "UnsafeInput",
    "did_you_mean",
    "raise_all",
    "shorten",
]

_COMPARED = 1000  # characters, and names: what a stranger's file may cost


class RcaError(Exception):
    """Base of every error that `rca` raises on purpose."""


class InputError(RcaError, ValueError):
    """Something the user gave is wrong.

    Parameters
    ----------
    message : str
        One problem a line, each with its place: ``alerts.csv: row 14: ...``.
    """

    @property
    def problems(self) -> tuple[str, ...]:
        """The problems, one each, in the order found."""
        return tuple(str(self).splitlines())


class MissingFile(InputError, FileNotFoundError):
    """A file or folder that was named is not there."""


class UnknownName(InputError, LookupError):
    """A name that is not among the known ones."""


class UnsafeInput(InputError, PermissionError):
    """Input that could run code, leave its folder or exhaust the machine."""


class AnalysisError(RcaError, RuntimeError):
    """The input is right, but the analysis cannot give an answer."""


class NotAdditive(AnalysisError):
    """Contributions do not sum to the model's own prediction."""


class NotebookFailed(AnalysisError):
    """A cell failed; what could be made of the report was written."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name, else the known names.

    Examples
    --------
    >>> did_you_mean("delpoy", ["deploy", "alert"])
    "; did you mean 'deploy'?"
    >>> did_you_mean("zzz", ["deploy", "alert"])
    '; known: alert, deploy'
    """
    names = sorted(set(known))
    near = [text for text in names if text.casefold() == name.casefold()]
    near = near or difflib.get_close_matches(name[:_COMPARED], names[:_COMPARED], n=1, cutoff=0.6)
    if near:
        return f"; did you mean {shorten(near[0])}?"
    if not names:
        return "; none are known"
    shown = ", ".join(text if text.isprintable() and len(text) <= 40 else shorten(text, 40) for text in names[:12])
    return f"; known: {shown}{f' and {len(names) - 12} more' if len(names) > 12 else ''}"


def shorten(value: object, limit: int = 80) -> str:
    """Return `value` as a quoted text of at most about `limit` characters.

    Examples
    --------
    >>> shorten("a" * 10, limit=5)
    "'aaaaa…'"
    """
    text = str(value)
    return repr(text if len(text) <= limit else text[:limit] + "…")


def raise_all(problems: Sequence[str], kind: type[InputError] = InputError) -> None:
    """Raise one error that lists every problem, or do nothing when there is none."""
    if problems:
        raise kind("\n".join(problems))

"""How functions are compiled: without Python's lock, and once for all processes of a user."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba

__all__ = ["entry", "inner"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def entry(function: _Function) -> _Function:
    """Return the compiled function, kept in the user's cache for the next process where that can be written.

    numba notices only a change of the file that holds the function itself, so the cache's folder is named by all
    files that are compiled here. ``NUMBA_CACHE_DIR`` chooses another place.
    """
    before = numba.config.CACHE_DIR
    folder = Path(before or _home()) / f"rca-{_stamp()}"
    # Where it cannot write there, numba would keep them beside the source, under a name that is not all files'.
    keep = _writable(folder)
    numba.config.CACHE_DIR = str(folder) if keep else before
    try:
        return numba.njit(  # type: ignore[no-any-return]
            nogil=True, error_model="numpy", no_cfunc_wrapper=True, cache=keep
        )(function)
    finally:
        numba.config.CACHE_DIR = before


def inner(function: _Function) -> _Function:
    """Return the compiled function, which only other compiled ones can call: that halves its time to compile.

    Every array that it is given, each of a tuple too, costs about 5 ms to compile at the call alone, each statement
    as much; each combination of types is compiled apart, and an integer literal has a type of its own.
    """
    return numba.njit(  # type: ignore[no-any-return]
        nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
    )(function)


def _home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@cache
def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@cache
def _stamp() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]

"""How functions are compiled: without Python's lock, and once for all processes of a user."""

from __future__ import annotations

import hashlib
import os
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
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(Path(before or _home()) / f"rca-{_stamp()}")
    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # numba found no folder that it may write
        return numba.njit(**options)(function)  # type: ignore[no-any-return]
    finally:
        numba.config.CACHE_DIR = before


def inner(function: _Function) -> _Function:
    """Return the compiled function, which only other compiled ones can call: that halves its time to compile."""
    return numba.njit(  # type: ignore[no-any-return]
        nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
    )(function)


def _home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@cache
def _stamp() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]

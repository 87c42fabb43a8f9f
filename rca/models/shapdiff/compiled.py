"""How functions are compiled: without Python's lock, and only those called from Python can be called from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

__all__ = ["entry", "inner"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def entry(function: _Function) -> _Function:
    """Return the compiled function."""
    return numba.njit(nogil=True, error_model="numpy")(function)  # type: ignore[no-any-return]


def inner(function: _Function) -> _Function:
    """Return the compiled function, which only other compiled ones can call: that halves its time to compile."""
    return numba.njit(  # type: ignore[no-any-return]
        nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
    )(function)

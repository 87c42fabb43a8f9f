"""How many threads a library's own fits and predictions may take."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

__all__ = ["MANY", "few_threads"]

MANY = 20_000  # rows from which all threads pay


def few_threads(rows: int) -> AbstractContextManager[Any]:
    """Keep small fits on one thread: on a busy machine threads that wait for each other cost twenty times the work."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1) if rows < MANY else nullcontext()

"""Progress bars: the one place that knows tqdm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["track"]

T = TypeVar("T")


def track(items: Iterable[T], what: str, *, total: int | None = None, progress: bool = False) -> Iterator[T]:
    """Yield `items`, with a progress bar on standard error when `progress` is true.

    Parameters
    ----------
    items : iterable
        What to go through.
    what : str
        Label of the bar.
    total : int, optional
        Number of items, when `items` does not know its own length.
    progress : bool, default False
        Whether to draw.

    Examples
    --------
    >>> list(track([1, 2], "rows"))
    [1, 2]
    """
    if not progress:
        yield from items
        return
    from tqdm.auto import tqdm

    yield from tqdm(items, desc=what, total=total)

"""Drawing on a sheet measured in inches: text that is wrapped by its drawn width, so that nothing overlaps."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from rca.wording import clean

__all__ = ["STATUS", "drawable", "line_height", "unroll", "width", "wrap", "write"]

INK, FAINT, RULE, PAPER, DARK = "#1B1F24", "#5B6470", "#C4CAD2", "#F3F5F8", "#16324F"
# Status of a claim: Okabe-Ito colour, marker, line style and word, so that none rests on colour alone.
STATUS = {
    "supported": ("#009E73", "o", "-", "supported"),
    "open": ("#E69F00", "s", (0, (4, 2)), "open"),
    "refuted": ("#D55E00", "X", (0, (1, 1.5)), "refuted"),
}
_RESOLUTIONS = (72, 100, 144)  # dots per inch; hinting makes a line up to a tenth wider at some of them
_BREAK_AFTER = "-_/.:,;&=?"


@cache
def _renderer(dpi: int) -> Any:
    return RendererAgg(8, 8, dpi)


@cache
def _glyphs() -> Any:
    return get_font(findfont(FontProperties()))


def drawable(text: str) -> str:
    """Return `text` on one line, with a box in place of every character that the font does not have.

    Examples
    --------
    >>> drawable("Two" + chr(10) + "lines " + chr(0x4E2D))
    'Two lines □'
    """
    line = " ".join(clean(text).split())
    return line if line.isascii() else "".join(mark if _glyphs().get_char_index(ord(mark)) else "□" for mark in line)


@lru_cache(maxsize=65536)
def width(text: str, size: float, weight: str = "normal") -> float:
    """Return the largest drawn width of one line in inches; `size` in points."""
    font = FontProperties(size=size, weight=weight)
    return max(float(_renderer(dpi).get_text_width_height_descent(text, font, False)[0]) / dpi for dpi in _RESOLUTIONS)


def line_height(size: float) -> float:
    """Return the height in inches that one line of a block takes; `size` in points."""
    return size * 1.22 / 72


def wrap(text: str, limit: float, size: float, weight: str = "normal", most: int = 0) -> list[str]:
    """Return `text` in lines that are no wider than `limit`.

    Parameters
    ----------
    text : str
        Whitespace and line ends count as one blank each.
    limit : float
        Inches.
    size : float
        Points.
    weight : str, default "normal"
        Font weight.
    most : int, default 0
        Largest number of lines, the last one then ends in ``…``; 0 is no limit.

    Returns
    -------
    list of str
        At least one line. Words that are too wide are broken, after punctuation where there is some.

    Examples
    --------
    >>> wrap("the recall on fraud fell", 1.0, 10)
    ['the recall on', 'fraud fell']
    >>> wrap("the recall on fraud fell", 1.0, 10, most=1)
    ['the recall…']
    """
    lines = [""]
    for word in drawable(text).split(" "):
        joined = f"{lines[-1]} {word}".lstrip()
        if width(joined, size, weight) <= limit:
            lines[-1] = joined
            continue
        pieces = list(_pieces(word, limit, size, weight))
        lines += pieces if lines[-1] else []
        lines = lines if lines[-1] else pieces
    if 0 < most < len(lines):
        last = lines[most - 1]
        while last and width(f"{last}…", size, weight) > limit:
            last = last.rpartition(" ")[0] or last[:-1]
        lines = [*lines[: most - 1], f"{last}…"]
    return lines


def _pieces(word: str, limit: float, size: float, weight: str) -> Iterable[str]:
    while len(word) > 1 and width(word, size, weight) > limit:
        low, high = 1, len(word)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if width(word[:middle], size, weight) <= limit else (low, middle)
        mark = max(word.rfind(sign, low // 2, low) for sign in _BREAK_AFTER)
        cut = mark + 1 if mark > 0 else low
        yield word[:cut]
        word = word[cut:]
    yield word


def unroll(across: float, down: float, ax: Axes | None) -> tuple[Axes, float]:
    """Return bare axes whose data are inches from the top left corner, and the scale for sizes in points.

    Parameters
    ----------
    across, down : float
        Inches that the drawing needs.
    ax : Axes, optional
        Where to draw; the drawing is made smaller to fit in. Default a figure of just this size.

    Returns
    -------
    tuple of Axes and float
        The scale is 1 unless the drawing had to be made smaller.
    """
    if ax is None:
        ax = Figure(figsize=(across, down)).add_axes((0, 0, 1, 1))
    box = ax.get_window_extent()
    here_across, here_down = box.width / ax.figure.dpi, box.height / ax.figure.dpi
    scale = min(1.0, here_across / across, here_down / down)
    ax.set(xlim=(0, here_across / scale), ylim=(here_down / scale, 0))
    ax.set_axis_off()
    return ax, scale


def write(ax: Axes, x: float, y: float, lines: Iterable[str], size: float, **style: Any) -> Any:
    """Write lines at (x, y), the top left corner unless `style` says otherwise, as text and never as formula."""
    chosen: dict[str, Any] = {"va": "top", "ha": "left", "color": INK, "linespacing": 1.2} | style
    return ax.text(x, y, "\n".join(lines), fontsize=size, parse_math=False, **chosen)

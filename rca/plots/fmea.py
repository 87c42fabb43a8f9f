"""Picture of an FMEA: risk priority numbers with the priority of action."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from rca.plots import sheet

__all__ = ["fmea"]

# Okabe-Ito colours; the letter and the hatch say the same.
_PRIORITIES = {
    "H": ("#D55E00", "", "high: action needed"),
    "M": ("#E69F00", "//", "medium: action advised"),
    "L": ("#56B4E9", "..", "low: action possible"),
}
_LABEL, _SIZE = 3.6, 9.0


def fmea(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw one bar a failure mode, in the order of the table.

    Parameters
    ----------
    table : DataFrame
        From `rca.fmea.score`: worst first, by Action Priority and then by RPN.
    ax : Axes, optional
        Where to draw; default a new figure that grows with the rows.

    Returns
    -------
    Axes
        Length is the RPN; the letter, colour and hatch are the priority; the ratings S, O and D stand behind.

    Examples
    --------
    >>> from rca.causes.fmea import score
    >>> rows = pd.DataFrame({"id": ["fm1"], "function": "Score", "failure_mode": "Drift", "effect": "Fraud missed",
    ...                      "cause": "No monitor", "severity": 8, "occurrence": 4, "detection": 8})
    >>> [text.get_text() for text in fmea(score(rows)).texts]
    ['H   256  (S 8, O 4, D 8)']
    """
    rows = table.to_dict("records")
    names = [_name(row) for row in rows]
    heights = [max(0.5, len(lines) * sheet.line_height(_SIZE) + 0.14) for lines in names]
    if ax is None:
        ax = Figure(figsize=(10, 1.9 + max(sum(heights), 0.6)), layout="constrained").subplots()
    middles = [sum(heights[:number]) + height / 2 for number, height in enumerate(heights)]
    for row, middle in zip(rows, middles, strict=True):
        letter = row["action_priority"]
        colour, hatch, _ = _PRIORITIES[letter]
        ax.barh(middle, row["rpn"], height=0.32, color=colour, hatch=hatch, edgecolor="white", linewidth=0, zorder=2)
        ratings = f"(S {row['severity']}, O {row['occurrence']}, D {row['detection']})"
        ax.annotate(
            f"{letter}   {row['rpn']}  {ratings}", (row["rpn"], middle), xytext=(6, 0), textcoords="offset points",
            va="center", fontsize=_SIZE, color=sheet.INK, parse_math=False,
        )  # fmt: skip
    ax.set_yticks(middles, ["\n".join(lines) for lines in names], fontsize=_SIZE, parse_math=False)
    ax.set_ylim(max(sum(heights), 0.6), 0)
    _dress(ax, table)
    return ax


def _name(row: dict[Any, Any]) -> list[str]:
    key = sheet.wrap(row["id"], _LABEL, _SIZE, most=1)
    return key + sheet.wrap(row["failure_mode"], _LABEL, _SIZE, most=4)


def _dress(ax: Axes, table: pd.DataFrame) -> None:
    largest = table["rpn"].max() if len(table) else 1000
    ax.set_xlim(0, largest * 1.5)  # room for the words behind the longest bar
    ax.set_xticks([tick for tick in ax.get_xticks() if tick <= largest * 1.05])
    order = f", by Action Priority ({table['table'].iloc[0]}), then RPN" if len(table) else ": none recorded"
    ax.set_title(f"Failure modes{order}", fontsize=10.5, loc="left", parse_math=False)
    ax.set_xlabel("risk priority number, S x O x D (1 to 1000; no unit)", fontsize=9.5)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color="#E5E5E5", linewidth=0.7, zorder=0)
    shown = [letter for letter in _PRIORITIES if (table["action_priority"] == letter).any()]
    handles = [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0, label=f"{letter} {word}")
        for letter, (colour, hatch, word) in _PRIORITIES.items()
        if letter in shown
    ]
    if handles:
        below = (0, -0.45 * ax.figure.dpi / ax.get_window_extent().height)
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=below, ncols=3, frameon=False, fontsize=_SIZE)

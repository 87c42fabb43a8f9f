"""Picture of the corrective actions: due dates by state, with the day for which it holds."""

from __future__ import annotations

from typing import Any

import matplotlib.dates as mdates
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rca import vocabulary
from rca.errors import InputError
from rca.plots import sheet

__all__ = ["actions"]

# Okabe-Ito colours; every state has a marker of its own.
_STATES = {
    "open": ("#E69F00", "s"),
    "in_progress": ("#0072B2", ">"),
    "done": ("#009E73", "o"),
    "verified": ("#009E73", "*"),
    "dropped": ("#7F7F7F", "X"),
}
_LATE = "#D55E00"
_LABEL, _SIZE = 4.2, 9.0


def actions(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw when each action is due and how it stands.

    Parameters
    ----------
    table : DataFrame
        From `rca.actions.table`, whose ``attrs["as_of"]`` is drawn as a line.
    ax : Axes, optional
        Where to draw; default a new figure that grows with the rows.

    Returns
    -------
    Axes
        One marker an action at its due date; overdue ones are joined to the line and say by how many days. An
        action without a date says so.

    Raises
    ------
    InputError
        If the table does not say for what time it holds.

    Examples
    --------
    >>> from rca.causes.actions import table
    >>> from rca.conclusions import Action
    >>> rows = [Action(id="a1", action="Stratify the sample", due="2025-04-01")]
    >>> ax = actions(table(rows, ids=[], as_of=pd.Timestamp("2025-04-03T09:00Z")))
    >>> [text.get_text() for text in ax.texts]
    ['overdue by 2 days', 'as of 2025-04-03']
    """
    if "as_of" not in table.attrs:
        raise InputError("plots.actions: the table does not say for what time it holds; set table.attrs['as_of']")
    as_of = pd.Timestamp(table.attrs["as_of"]).tz_convert("UTC")
    rows = table.to_dict("records")
    names = [_name(row) for row in rows]
    heights = [max(0.5, len(lines) * sheet.line_height(_SIZE) + 0.16) for lines in names]
    if ax is None:
        ax = Figure(figsize=(10, 1.7 + max(sum(heights), 0.6)), layout="constrained").subplots()
    due = pd.to_datetime(pd.Series(table["due"].tolist(), dtype=object), utc=True)
    _span(ax, due, as_of)
    middles = [sum(heights[:number]) + height / 2 for number, height in enumerate(heights)]
    for row, date, middle in zip(rows, due, middles, strict=True):
        _draw(ax, row, date, as_of, middle)
    ax.axvline(as_of, color=sheet.INK, linewidth=1.2, linestyle="--", zorder=1)
    ax.annotate(
        f"as of {as_of:%Y-%m-%d}", (as_of, 1), xycoords=("data", "axes fraction"), xytext=(0, 4),
        textcoords="offset points", ha="center", fontsize=_SIZE, fontweight="bold",
    )  # fmt: skip
    ax.set_yticks(middles, ["\n".join(lines) for lines in names], fontsize=_SIZE, parse_math=False)
    ax.set_ylim(max(sum(heights), 0.6), 0)
    _dress(ax, table)
    return ax


def _name(row: dict[Any, Any]) -> list[str]:
    owner = row["owner"] or "no owner"
    action = sheet.wrap(f"{row['id']}: {row['action']}", _LABEL, _SIZE, most=4)
    return action + sheet.wrap(f"({owner})", _LABEL, _SIZE, most=1)


def _span(ax: Axes, due: pd.Series, as_of: pd.Timestamp) -> None:
    """Set the axis of time to the due dates and the line, with room for words on the right."""
    stamps = [as_of, *due.dropna()]
    length = max(max(stamps) - min(stamps), pd.Timedelta(days=6))
    ax.set_xlim(min(stamps) - length * 0.08, max(stamps) + length * 0.4)


def _draw(ax: Axes, row: dict[Any, Any], due: pd.Timestamp, as_of: pd.Timestamp, middle: float) -> None:
    style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": _SIZE}
    if pd.isna(due):
        ax.annotate("no due date", (as_of, middle), xytext=(9, 0), color=sheet.FAINT, style="italic", **style)
        return
    colour, marker = _STATES[row["state"]]
    if row["overdue"]:
        ax.hlines(middle, due, as_of, color=_LATE, linewidth=3, zorder=2)
        days = (as_of.normalize() - due).days
        text = f"overdue by {days} day{'s' if days > 1 else ''}"
        ax.annotate(text, (as_of, middle), xytext=(9, 0), color=_LATE, fontweight="bold", **style)
    size = 12 if marker == "*" else 9
    ax.plot([due], [middle], marker=marker, color=colour, markersize=size, linestyle="none", zorder=3)


def _dress(ax: Axes, table: pd.DataFrame) -> None:
    locator = mdates.AutoDateLocator(minticks=3, maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    ax.set_xlabel("due date (UTC)" + ("" if len(table) else "; no action recorded"), fontsize=9.5)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color="#E5E5E5", linewidth=0.7, zorder=0)
    names = vocabulary.table("action_states")["name"]
    dated = table[table["due"].notna()]
    handles = [
        Line2D([], [], marker=marker, color=colour, markersize=9, linestyle="none", label=names[state])
        for state, (colour, marker) in _STATES.items()
        if (dated["state"] == state).any()
    ]
    if dated["overdue"].any():
        handles.append(Line2D([], [], color=_LATE, linewidth=3, label="overdue"))
    if handles:
        below = (0.4, -0.5 * ax.figure.dpi / ax.get_window_extent().height)
        ax.legend(handles=handles, loc="upper center", bbox_to_anchor=below, ncols=6, frameon=False, fontsize=_SIZE)

"""What the exports leave unknown, in sentences: made from what became of each import and from its silence."""

from __future__ import annotations

import pandas as pd

from rca import times, wording
from rca.errors import raise_all

__all__ = ["unknowns"]

_MOST = 0.9  # of the window; a source that covers less has a sentence of its own


def unknowns(reports: pd.DataFrame, gaps: pd.DataFrame, window: tuple[pd.Timestamp, pd.Timestamp]) -> list[str]:
    """Return what the record of an incident does not tell, one sentence a fact.

    Parameters
    ----------
    reports : DataFrame
        Of `rca.sources.read`: columns ``source``, ``first``, ``last``, ``disordered``, ``rows``, ``clock``.
    gaps : DataFrame
        From `rca.timeline.gaps`, over the same window.
    window : tuple of Timestamp
        The incident.

    Returns
    -------
    list of str
        Sources without a record in the window, sources that are silent for much of it, records out of order,
        and clocks that were corrected. Empty when there is nothing of the kind.

    Raises
    ------
    InputError
        If a column is missing.

    Examples
    --------
    >>> day = pd.Timestamp("2025-03-01", tz="UTC")
    >>> late = pd.DataFrame({"source": ["logs"], "first": [day], "last": [day + pd.Timedelta("1h")], "rows": [9],
    ...                      "disordered": [0], "clock": ["as written"]})
    >>> unknowns(late, pd.DataFrame(), (day + pd.Timedelta("2h"), day + pd.Timedelta("3h")))
    ['logs has no record in the incident window; its last one is of 2025-03-01 01:00 UTC.']
    """
    needed = ("source", "first", "last", "disordered", "rows", "clock")
    raise_all([f"reports: required column {name!r} is missing" for name in needed if name not in reports.columns])
    said = []
    for row in reports.itertuples(index=False):
        if pd.notna(row.first) and (row.last < window[0] or row.first >= window[1]):
            end, at = ("last", row.last) if row.last < window[0] else ("first", row.first)
            said.append(f"{row.source} has no record in the incident window; its {end} one is of {times.show(at)}.")
    for source, row in gaps.iterrows():
        if pd.notna(row["coverage"]) and row["coverage"] < _MOST and row["records"]:
            silence = f"{times.show(row['gap_start'])} to {times.show(row['gap_end'])}"
            said.append(
                f"{source} covers {row['coverage']:.0%} of the incident window; its longest silence,"
                f" {wording.duration(row['largest_gap'])}, is from {silence}. Silence is not health."
            )
    for row in reports.itertuples(index=False):
        if row.clock != "as written":
            said.append(f"The clock of {row.source} was corrected: {row.clock}. The originals are kept.")
    return said

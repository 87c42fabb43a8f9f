"""Questions to stored events that may be too many for memory: windows, texts, histograms, repeats.

The embedded engine reads of ``events.parquet`` the columns and row groups that a question needs. The file is
sorted by time, and each of its row groups says from when to when it reaches, so that a window costs what the
window holds.
"""

from rca.sources.query.conditions import Found
from rca.sources.query.repeated import repeats
from rca.sources.query.within import Count, count, histogram, window

__all__ = ["Count", "Found", "count", "histogram", "repeats", "window"]

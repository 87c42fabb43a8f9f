"""Raw exports to the tables of the schema: read, map, check, report.

A reader is a function ``read(path, source) -> Raw``; installed packages add theirs through the entry-point
group ``rca.sources``, and `check_source` is the test that every reader passes.
"""

from rca.sources.read import ImportReport, Records, check_source, read, readers

__all__ = ["ImportReport", "Records", "check_source", "read", "readers"]

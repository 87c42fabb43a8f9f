"""Raw exports to the tables of the schema: read, map, check, store, report.

Plain files (CSV, JSON, JSON lines, Parquet) are mapped by ``incident.yaml``; the exports of known systems are
read by a format each (`rca.sources.formats`). Installed packages add theirs through the entry-point group
``rca.sources``.
"""

from rca.sources.read import ImportReport, Records, Stored, read, store

__all__ = ["ImportReport", "Records", "Stored", "read", "store"]

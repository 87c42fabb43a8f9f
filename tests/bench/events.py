"""Many events from JSON lines to sorted Parquet and a histogram: rca beside bare DuckDB and pandas. Prints, judges no time.

python tests/bench/events.py [--rows 1000000] [--seed 0] [--runs 3]
    CPU, wall and peak memory of each, in processes of their own; that all count the same is checked.
python tests/bench/events.py --rows 10000000 --queries
    rca's whole import, then its queries beside those of bare DuckDB on its own file of the same events.

Bare DuckDB and pandas read, sort, write and count, and nothing else; rca also hashes each record, keeps its
place, its unmapped fields and its time as written, checks zones, and folds records that stand twice.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import make_events

STEP_US = 300 * 10**6
BEGIN = "2025-11-18T06:00:00Z"
END = "2025-11-18T18:00:00Z"
LOUD = ("WARN", "ERROR", "FATAL")
WORDS = 'of "SUBMIT order" for billing-db'
_EVENT = "'time': 'VARCHAR', 'system': 'VARCHAR', 'severity': 'VARCHAR', 'message': 'VARCHAR', 'trace_id': 'VARCHAR'"
TYPED = f"{{{_EVENT}, 'host': 'VARCHAR', 'status': 'INTEGER', 'latency_ms': 'DOUBLE'}}"
LIMIT = 10_000

Counts = list[tuple[int, str, int]]  # begin in microseconds, system, records


def bare_import(events: Path, out: Path) -> None:
    """Write the events in order of time to Parquet, by DuckDB alone."""
    import duckdb

    with duckdb.connect(config={"temp_directory": str(out.parent)}) as duck:
        duck.execute(
            f"""
            COPY (
                SELECT CAST(time AS TIMESTAMPTZ) AS time, * EXCLUDE (time)
                FROM read_json(?, format = 'newline_delimited', columns = {TYPED}) ORDER BY 1
            ) TO '{out}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)
            """,
            [str(events)],
        )


def bare(events: Path, folder: Path) -> Counts:
    """Import, filter and count by DuckDB alone."""
    import duckdb

    bare_import(events, folder / "bare.parquet")
    with duckdb.connect() as duck:
        return duck.execute(
            f"""
            SELECT epoch_us(time) // {STEP_US} * {STEP_US} AS bin, system, count(*) FROM read_parquet(?)
            WHERE time >= '{BEGIN}'::TIMESTAMPTZ AND time < '{END}'::TIMESTAMPTZ AND severity IN {LOUD}
            GROUP BY ALL ORDER BY ALL
            """,
            [str(folder / "bare.parquet")],
        ).fetchall()


def pandas(events: Path, folder: Path) -> Counts:
    """Import, filter and count by pandas alone."""
    import pandas as pd

    table = pd.read_json(events, lines=True)
    table["time"] = pd.to_datetime(table["time"], utc=True, format="ISO8601")
    table = table.sort_values("time")
    table.to_parquet(folder / "pandas.parquet", compression="zstd", index=False)
    table = pd.read_parquet(folder / "pandas.parquet")
    during = table["time"].between(pd.Timestamp(BEGIN), pd.Timestamp(END), inclusive="left")
    loud = table[during & table["severity"].isin(LOUD)]
    counted = loud.groupby("system").resample("5min", on="time").size().rename("count").reset_index()
    counted = counted[counted["count"] > 0].sort_values(["time", "system"])
    begins = counted["time"].dt.tz_localize(None).astype("datetime64[us]").astype("int64")
    return list(zip(begins.tolist(), counted["system"].tolist(), counted["count"].tolist(), strict=True))


def stored(events: Path, folder: Path) -> Any:
    """Import by rca, as an incident folder would."""
    from rca import sources
    from rca.conclusions import Analysis
    from rca.incident import Incident
    from rca.incident.model import IncidentFile

    os.environ["XDG_CACHE_HOME"] = str(folder)
    incident = folder / "incident"
    incident.mkdir(exist_ok=True)
    if not (incident / "events.jsonl").exists():
        os.link(events, incident / "events.jsonl")
    file = {
        "id": "bench", "title": "bench", "kind": "outage", "severity_tier": "SEV1", "severity_confirmed_by": "bench",
        "as_of": "2025-11-20T00:00Z", "systems": [{"id": name} for name in make_events.SYSTEMS],
        "sources": [{"id": "logs", "file": "events.jsonl", "reader": "jsonl", "constant": {"kind": "log"}}],
    }  # fmt: skip
    return sources.store(Incident(incident, IncidentFile.model_validate(file), Analysis(), {}, ()))


def rca(events: Path, folder: Path) -> Counts:
    """Import, filter and count by rca."""
    import pandas as pd

    from rca.sources import query

    counted = query.histogram(
        stored(events, folder), pd.Timestamp(BEGIN), pd.Timestamp(END), by="system", min_severity="warn"
    )
    begins = counted["time"].dt.tz_localize(None).astype("datetime64[us]").astype("int64")
    return list(zip(begins.tolist(), counted["group"].tolist(), counted["count"].tolist(), strict=True))


WAYS: dict[str, Callable[[Path, Path], Any]] = {"bare DuckDB": bare, "rca": rca, "pandas": pandas}


def cpu() -> float:
    """Return the processor seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(work: Callable[[], Any]) -> dict[str, Any]:
    """Run `work`; return what it gave, and its CPU and wall seconds."""
    before, begin = cpu(), time.perf_counter()
    result = work()
    return {"wall": time.perf_counter() - begin, "cpu": cpu() - before, "result": result}


def child(name: str, events: Path, folder: Path) -> dict[str, Any]:
    """Return what one way gave and what it cost: in a process of its own, its start and imports included."""
    command = [sys.executable, __file__, "--child", name, str(events), str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"{name} failed:\n{run.stderr}")
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def work(name: str, events: Path, folder: Path) -> dict[str, Any]:
    """Do what `child` asks of this process."""
    found = measured(lambda: CHILDREN[name](events, folder))
    return found | {"cpu": cpu(), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def queries(ours: bool, parquet: Path) -> dict[str, dict[str, Any]]:
    """Return what each query gave and cost: the median of five, each on a connection of its own."""
    found = {}
    for name, (of_rca, of_bare) in QUERIES.items():
        ask = of_rca if ours else of_bare
        runs = [measured(lambda ask=ask: ask(parquet)) for _ in range(5)]
        found[name] = {
            "result": runs[0]["result"],
            "wall": statistics.median(run["wall"] for run in runs),
            "cpu": statistics.median(run["cpu"] for run in runs),
        }
    return found


def _asked(where: str, *, rows: bool) -> Callable[[Path], Any]:
    def ask(parquet: Path) -> Any:
        import duckdb

        with duckdb.connect() as duck:
            if not rows:
                return duck.execute(f"SELECT {where}", [str(parquet)]).fetchall()
            (total,) = duck.execute(f"SELECT count(*) FROM read_parquet(?) WHERE {where}", [str(parquet)]).fetchone()
            found = duck.execute(f"SELECT * FROM read_parquet(?) WHERE {where} LIMIT {LIMIT}", [str(parquet)]).df()
            return [total, len(found)]

    return ask


def _window(parquet: Path) -> Any:
    import pandas as pd

    from rca.sources import query

    found = query.window(parquet, pd.Timestamp("2025-11-18T12:00Z"), pd.Timestamp("2025-11-18T12:00:30Z"), limit=LIMIT)
    return [int(found.rows["count"].sum()), int(found.rows["count"].sum())]


def _text(parquet: Path) -> Any:
    from rca.sources import query

    found = query.window(parquet, text=WORDS, limit=10**6)
    return [int(found.rows["count"].sum()), LIMIT]


def _again(parquet: Path) -> Any:
    from rca.sources import query

    counted = query.count(parquet)
    return [[counted.records - counted.events]]


QUERIES: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {}
CHILDREN: dict[str, Callable[[Path, Path], Any]] = {**WAYS}

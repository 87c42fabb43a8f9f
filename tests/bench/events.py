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
MINUTE = ("2025-11-18T12:00:00Z", "2025-11-18T12:01:00Z")

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


def work_of(name: str, events: Path, folder: Path) -> dict[str, Any]:
    """Do what `child` asks of this process."""
    found = measured(lambda: CHILDREN[name](events, folder))
    return found | {"cpu": cpu(), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def queries(ask: dict[str, Callable[[Path], Any]], parquet: Path) -> dict[str, dict[str, Any]]:
    """Return what each query gave and cost: the median of five, each on a connection of its own."""
    found = {}
    for name, one in ask.items():
        runs = [measured(lambda one=one: one(parquet)) for _ in range(6)][1:]
        found[name] = {key: statistics.median(run[key] for run in runs) for key in ("wall", "cpu")}
        found[name]["result"] = runs[0]["result"]
    return found


def bare_rows(where: str) -> Callable[[Path], Any]:
    """Return a query that counts what matches and fetches the first rows of it."""

    def ask(parquet: Path) -> Any:
        import duckdb

        with duckdb.connect() as duck:
            duck.execute("SET TimeZone = 'UTC'")
            file = [str(parquet)]
            duck.execute(f"SELECT * FROM read_parquet(?) WHERE {where} LIMIT {LIMIT}", file).df()
            return duck.execute(f"SELECT count(*) FROM read_parquet(?) WHERE {where}", file).fetchone()[0]

    return ask


def bare_again(parquet: Path) -> Any:
    """Return how many records stand more than once, by their time, system and trace id."""
    import duckdb

    with duckdb.connect(config={"temp_directory": str(parquet.parent)}) as duck:
        same = "SELECT 1 FROM read_parquet(?) GROUP BY time, system, trace_id HAVING count(*) > 1"
        return duck.execute(f"SELECT count(*) FROM ({same})", [str(parquet)]).fetchone()[0]


def rca_window(parquet: Path) -> Any:
    """Count the events of a minute and fetch the first rows of them."""
    from rca.sources import query

    return query.window(parquet, *minute(), limit=LIMIT).total


def rca_text(parquet: Path) -> Any:
    """Count the events that hold a text and fetch the first rows of them."""
    from rca.sources import query

    return query.window(parquet, text=WORDS, limit=LIMIT).total


def rca_again(parquet: Path) -> Any:
    """Count the events that stand for several records."""
    from rca.sources import query

    return query.repeats(parquet, limit=1).total


def rca_records(parquet: Path) -> list[int]:
    """Return what the queries to bare DuckDB have to find, which does not fold what stands twice."""
    from rca.sources import query

    return [query.count(parquet, *minute()).records, query.count(parquet, text=WORDS).records, rca_again(parquet)]


def minute() -> tuple[Any, Any]:
    """Return begin and end of the window."""
    import pandas as pd

    return pd.Timestamp(MINUTE[0]), pd.Timestamp(MINUTE[1])


BARE = {
    "window of a minute": bare_rows(f"time >= '{MINUTE[0]}'::TIMESTAMPTZ AND time < '{MINUTE[1]}'::TIMESTAMPTZ"),
    "text search": bare_rows(f"message ILIKE '%{WORDS}%'"),
    "records that stand twice": bare_again,
}
RCA = {"window of a minute": rca_window, "text search": rca_text, "records that stand twice": rca_again}
CHILDREN: dict[str, Callable[[Path, Path], Any]] = {
    **WAYS,
    "store": lambda events, folder: str(stored(events, folder).path("events")),
    "bare store": lambda events, folder: bare_import(events, folder / "bare.parquet"),
    "bare queries": lambda parquet, _folder: queries(BARE, parquet),
    "rca queries": lambda parquet, _folder: queries(RCA, parquet),
    "rca records": lambda parquet, _folder: rca_records(parquet),
}


def compare(events: Path, work: Path, runs: int) -> None:
    """Print what the three ways cost; stop if they do not count the same."""
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in WAYS}
    for _ in range(runs):  # in turn, so that a busy machine is busy for all
        for name in WAYS:
            with tempfile.TemporaryDirectory(dir=work) as folder:
                figures[name].append(child(name, events, Path(folder)))
    counts = {name: found[0]["result"] for name, found in figures.items()}
    if any(counted != counts["bare DuckDB"] for counted in counts.values()):
        raise SystemExit(f"the histograms differ: { ({name: len(counted) for name, counted in counts.items()}) }")
    print(f"histograms equal: {len(counts['rca'])} bins, {sum(row[2] for row in counts['rca'])} records")
    middle = {
        name: {key: statistics.median(run[key] for run in found) for key in ("cpu", "wall", "peak")}
        for name, found in figures.items()
    }
    base = middle["bare DuckDB"]["cpu"]
    print(f"{'median of ' + str(runs):14} {'CPU s':>8} {'x bare':>8} {'x rca':>8} {'wall s':>8} {'peak MB':>8}")
    for name, one in middle.items():
        ratios = f"{one['cpu'] / base:8.2f} {one['cpu'] / middle['rca']['cpu']:8.2f}"
        print(f"{name:14} {one['cpu']:8.2f} {ratios} {one['wall']:8.2f} {one['peak']:8.0f}")


def ask_both(events: Path, work: Path) -> None:
    """Import once by rca and once by bare DuckDB; print the cost of that and of the same queries to both."""
    for name in ("store", "bare store"):
        found = child(name, events, work)
        print(f"{name:10} CPU {found['cpu']:.1f} s, wall {found['wall']:.1f} s, peak {found['peak']:.0f} MB")
    (path,) = (work / "incident" / "derived").glob("*/events.parquet")
    bare_found = child("bare queries", work / "bare.parquet", work)["result"]
    rca_found = child("rca queries", path, work)
    records = child("rca records", path, work)["result"]
    print(
        f"{'median of 5, s':26} {'bare CPU':>9} {'rca CPU':>9} {'ratio':>7} {'bare wall':>10} {'rca wall':>9}   records"
    )
    for (name, bare_one), number in zip(bare_found.items(), records, strict=True):
        one = rca_found["result"][name]
        if number != bare_one["result"]:
            raise SystemExit(f"{name}: {number} records, but bare DuckDB found {bare_one['result']}")
        print(
            f"{name:26} {bare_one['cpu']:9.3f} {one['cpu']:9.3f} {one['cpu'] / bare_one['cpu']:7.2f}"
            f" {bare_one['wall']:10.3f} {one['wall']:9.3f}   {number}"
        )
    print(f"peak of rca's queries {rca_found['peak']:.0f} MB")


def main() -> None:
    """Print the figures that were asked for."""
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(work_of(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))))
        return
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--queries", action="store_true")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.jsonl"
        make_events.write(events, given.rows, given.seed)
        print(
            f"{given.rows:,} events, seed {given.seed}, {events.stat().st_size / 1e6:.0f} MB, {os.cpu_count()} processors"
        )
        if given.queries:
            ask_both(events, Path(folder))
        else:
            compare(events, Path(folder), given.runs)


if __name__ == "__main__":
    main()

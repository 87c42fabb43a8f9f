"""Eight frozen production incidents that nobody here made, from raw files to a report, by YAML alone.

The data are read from the folder in ``RCA_BENCH_DATA``; only the mapping is in this repository.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from rca import times

pytestmark = pytest.mark.system
MAPPINGS = sorted((Path(__file__).parent.parent / "rootcausebench").glob("*/incident.yaml"))


def make_folder(mapping, top):
    """An incident folder: the mapping, and the benchmark's files as they are."""
    name = mapping.parent.name
    folder = top / name
    data = Path(os.environ["RCA_BENCH_DATA"]) / "rootcausebench" / name
    shutil.copytree(data, folder / "sources", copy_function=shutil.copyfile)
    (folder / "sources" / "ground_truth.json").unlink()
    shutil.copyfile(mapping, folder / "incident.yaml")
    return folder


@pytest.fixture(scope="module")
def table():
    """One row an incident, printed at the end: what anyone would want to see of this run."""
    rows = []
    yield rows
    print("\n" + pd.DataFrame(rows).to_string(index=False))


@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda path: path.parent.name)
def test_an_incident_goes_from_raw_files_to_a_report(mapping, tmp_path, table):
    folder = make_folder(mapping, tmp_path)
    command = [sys.executable, "-m", "rca.cli", "report", str(folder), "--out", str(tmp_path / "reports")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = tmp_path / "reports" / mapping.parent.name
    raw = {path.stem: json.loads(path.read_text()) for path in (folder / "sources").rglob("*.json")}
    events = pd.read_csv(report / "tables" / "events.csv", keep_default_na=False)
    held = set(zip(pd.to_datetime(events["time"], utc=True), events["kind"], events["ref"], strict=True))
    expected = [(raw["alert"]["fired_at"], "alert", "")]
    expected += [(item["timestamp"], "deploy", item["commit_sha"]) for item in raw["deploys"]]
    expected += [(item["timestamp"], "commit", item["sha"]) for item in raw["commits"]]
    expected += [(item["timestamp"], "flag", item["flag"]) for item in raw["flags"]]
    missing = [item for item in expected if (times.parse(item[0]), *item[1:]) not in held]
    assert missing == []
    found, wanted = edges(report), pairs(raw["traces"])
    assert found == wanted
    truth = json.loads(
        (Path(os.environ["RCA_BENCH_DATA"]) / "rootcausebench" / folder.name / "ground_truth.json").read_text()
    )
    first = named(report / "tables" / "cascade.csv")
    table.append(
        {
            "incident": folder.name,
            "events": len(events),
            "edges": f"{len(found)} of {len(wanted)}",
            "first system": first or "abstained",
            "truth": truth["first_failing_service"],
            "right": {True: "yes", False: "no"}[first == truth["first_failing_service"]] if first else "abstained",
        }
    )


def pairs(spans):
    """The resolvable pairs by brute force: a parent in the span's own trace, under one service."""
    out = set()
    for span in spans:
        services = {
            other["service"]
            for other in spans
            if other["trace_id"] == span["trace_id"] and other["span_id"] == span["parent_id"]
        }
        if len(services) == 1 and services != {span["service"]}:
            out.add((span["service"], services.pop()))
    return out


def edges(report):
    path = report / "tables" / "edges.csv"
    return set(pd.read_csv(path, keep_default_na=False)[["cause", "effect"]].itertuples(index=False, name=None))


def named(path):
    """The first system, or None when the report abstained."""
    rows = pd.read_csv(path, keep_default_na=False)
    return rows["system"].iloc[0] if len(rows) else None

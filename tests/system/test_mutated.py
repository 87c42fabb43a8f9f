"""Ten thousand damaged exports over all readers end in rows, rejects or a message; nothing hangs or fills the memory.

Marked ``system`` for its three minutes on two cores. ``tests/bench/mutated.py`` makes and tries the inputs, with 3 GB
of address space and 20 seconds for each, and shows a single one again.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from rca.sources import formats
from rca.sources.batches import READERS

pytestmark = pytest.mark.system
SCRIPT = Path(__file__).parents[1] / "bench" / "mutated.py"
SEED, INPUTS, PROCESSES = 1, 10_000, 2
PATIENCE = 1800  # seconds for all; one input that hangs ends its process after 20


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each process says about its share of the inputs."""
    folder = tmp_path_factory.mktemp("mutated")
    share = ["--seed", str(SEED), "--last", str(INPUTS), "--step", str(PROCESSES)]
    plain = os.environ | {"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}  # reserve no address space
    started = []
    try:
        for number in range(PROCESSES):
            with (folder / f"{number}.json").open("wb") as out, (folder / f"{number}.log").open("wb") as log:
                command = [sys.executable, str(SCRIPT), "--first", str(number), *share]
                started.append(subprocess.Popen(command, stdout=out, stderr=log, env=plain))
        for number, process in enumerate(started):
            process.wait(timeout=PATIENCE)
            last = (folder / f"{number}.log").read_text(errors="replace").rpartition("\ninput ")[2]
            assert process.returncode == 0, f"ended with {process.returncode} at input {last[-3000:]}"
    finally:
        for process in started:
            process.kill()
            process.wait()
    return [json.loads((folder / f"{number}.json").read_text()) for number in range(PROCESSES)]


def test_damaged_exports_end_in_rows_rejects_or_a_message(results):
    findings = [
        f"input {found['input']} ({found['export']}): {found['error']} at {found['place']}"
        for result in results
        for found in result["findings"]
    ]
    assert not findings, f"{len(findings)} findings (tests/bench/mutated.py --seed {SEED}):\n" + "\n".join(findings)


def test_every_reader_met_damage_that_it_noticed_and_damage_that_it_survived(results):
    outcomes = {reader: Counter() for reader in (*READERS, *formats.NAMES)}
    for result in results:
        for reader, counts in result["outcomes"].items():
            outcomes[reader].update(counts)
    for reader, counts in sorted(outcomes.items()):
        print(f"{reader:14}", ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())))
    print("slowest", max(tuple(result["slowest"]) for result in results))
    print("peak", max(result["peak_mb"] for result in results), "MB")
    assert sum(counts.total() for counts in outcomes.values()) == INPUTS
    for reader, counts in outcomes.items():
        assert counts["rows"] + counts["rows and rejects"] > 20, reader
        assert counts["refused"] + counts["rejects"] + counts["rows and rejects"] > 20, reader

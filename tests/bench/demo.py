"""Time and memory of ``rca demo``, with the size of its page: prints figures, judges nothing.

python tests/bench/demo.py [--runs 3]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil


def memory(process: psutil.Process) -> int:
    """Return the resident bytes of a process and all below it."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def once(folder: Path) -> tuple[float, float, float]:
    """Run the demo once; return wall seconds, peak megabytes of all its processes together, page megabytes."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "rca.cli", "demo", "--out", str(folder)]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        try:
            peak = max(peak, memory(process))
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    wall = time.perf_counter() - start
    if process.wait() != 0:
        raise SystemExit(process.stderr.read().decode())
    page = next(folder.rglob("postmortem.html")).stat().st_size
    return wall, peak / 1e6, page / 1e6


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=3)
    runs = arguments.parse_args().runs
    figures = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            figures.append(once(Path(folder)))
    for name, unit, values in zip(
        ("wall", "peak memory", "page"), ("s", "MB", "MB"), zip(*figures, strict=True), strict=True
    ):
        print(
            f"rca demo {name}: median {statistics.median(values):.2f} {unit}, largest {max(values):.2f} {unit} ({runs} runs)"
        )


if __name__ == "__main__":
    main()

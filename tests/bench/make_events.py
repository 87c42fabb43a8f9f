"""Log events as JSON lines, any number of them, written as they are made: offsets of six zones, some late, some twice.

python tests/bench/make_events.py events.jsonl [--rows 1000000] [--seed 0]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

START_US = 1_763_424_000_000_000  # 2025-11-18T00:00:00Z
SPAN_US = 24 * 3600 * 10**6
BLOCK = 50_000
ZONES = ((0, "Z"), (0, "+00:00"), (60, "+01:00"), (330, "+05:30"), (-300, "-05:00"), (540, "+09:00"))
SYSTEMS = tuple(f"{area}-{part}" for area in ("cart", "search", "model", "billing") for part in ("api", "db", "worker"))
LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")
SHARES = (0.2, 0.6, 0.13, 0.06, 0.01)
TEXTS = (
    "request {n} served from cache in {ms} ms",
    "timeout after {ms} ms calling {other}, attempt {small}",
    "loaded features of customer {n} from partition {small}",
    "connection pool of {other} at {small} of 64",
    "scored batch {n}: {small} rows, drift 0.{ms}",
    'retry {small} of "submit order" for {other}: HTTP 503',
    "garbage collection paused worker {small} for {ms} ms",
    "cache miss for key user:{n}:profile",
)
AGAIN = 0.005  # share of lines that are written twice
LATE = 0.01  # share of lines that come up to ten minutes after their time


def lines(rows: int, seed: int) -> Iterator[list[str]]:
    """Yield `rows` lines in blocks; the same for the same `rows` and `seed`, whatever the memory."""
    rng = np.random.default_rng(seed)
    for begin in range(0, rows, BLOCK):
        size = min(BLOCK, rows - begin)
        written = START_US + (begin + np.arange(size)) * SPAN_US // rows
        delay = np.where(rng.random(size) < LATE, rng.integers(0, 600 * 10**6, size), rng.integers(0, 10**6, size))
        utc = np.maximum(written - delay, START_US)
        zone = rng.integers(0, len(ZONES), size)
        local = utc + np.array([minutes for minutes, _ in ZONES])[zone] * 60 * 10**6
        stamps = np.datetime_as_string(local.astype("datetime64[us]"))
        columns = (
            stamps.tolist(),
            zone.tolist(),
            rng.choice(len(LEVELS), size, p=SHARES).tolist(),
            rng.integers(0, len(SYSTEMS), size).tolist(),
            rng.integers(0, len(TEXTS), size).tolist(),
            rng.integers(10**5, 10**6, size).tolist(),
            rng.integers(1, 1000, size).tolist(),
            rng.integers(0, 64, size).tolist(),
            [rng.bytes(16).hex() for _ in range(size)],
        )
        block = [line(*values) for values in zip(*columns, strict=True)]
        for row in np.flatnonzero(rng.random(size) < AGAIN)[: size - 1]:
            block[min(row + 1, size - 1)] = block[row]
        yield block


def line(
    stamp: str, zone: int, level: int, system: int, text: int, number: int, ms: int, small: int, trace_id: str
) -> str:
    """Return one record as it would stand in a log."""
    message = TEXTS[text].format(n=number, ms=ms, small=small, other=SYSTEMS[number % len(SYSTEMS)])
    message = message.replace('"', '\\"')
    return (
        f'{{"time": "{stamp}{ZONES[zone][1]}", "system": "{SYSTEMS[system]}", "severity": "{LEVELS[level]}",'
        f' "message": "{message}", "trace_id": "{trace_id}", "host": "node-{small}", "status": {200 if level < 3 else 503},'
        f' "latency_ms": {ms}.5}}'
    )


def write(path: Path, rows: int, seed: int) -> None:
    """Write `rows` lines to a file."""
    with path.open("w", encoding="utf-8") as out:
        for block in lines(rows, seed):
            out.write("\n".join(block) + "\n")


def main() -> None:
    """Write the file that was asked for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("path", type=Path)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    write(given.path, given.rows, given.seed)


if __name__ == "__main__":
    main()

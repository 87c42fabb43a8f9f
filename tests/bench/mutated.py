"""Mutated exports against every reader: rows, rejects or one message, whatever the file.

Takes the exports of every format, damages them, and does with each what ``rca import`` and reading do: recognise,
propose a mapping, read by the format, import into tables. Anything else than rows, rejects or an `RcaError` with a
printable message is a finding, and so is an input that takes too long or too much memory. Input N of a seed is always
the same.

    export MALLOC_ARENA_MAX=1 ARROW_DEFAULT_MEMORY_POOL=system     (else 2.5 GB of address space are reserved, unused)
    python tests/bench/mutated.py --seed 1 --first 0 --last 500
    python tests/bench/mutated.py --seed 1 --first 77 --last 78 --keep .     (look at one)
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import json
import random
import re
import resource
import sqlite3
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import pandas as pd
from exports import EXPORTS, Export

from rca.errors import RcaError
from rca.incident.model import Source
from rca.sources import engine, formats, recognise, spans
from rca.sources.batches import READERS
from rca.sources.items import Item, Reject
from rca.sources.runs import Runs
from rca.sources.stored import KEYS, connection, frame

SECONDS = 20  # that one input may take
MEMORY = 3 * 2**30  # address space
AS_OF = pd.Timestamp("2025-11-19T00:00Z")

Chance = random.Random


# Bytes

PIECES = (
    b"\0", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n", b"\n\n", b"\x1b[31m", b"\x85", b"\xe2\x80\xa8",
    b'"', b"'", b"\\", b"\\ud800", b"\\u0000", b",", b":", b"{", b"}", b"[", b"]", b"<", b"null", b"NaN", b"-Infinity", b"1e999",
    b"-1", b"0", b"9" * 30, b"9" * 5000, b"1e-400", b"true", b"{}", b"[]", b'""', b"[" * 100_000, b'{"a":' * 2000, b"\t" * 300,
    b"x" * 70_000, b"%s%n", b"=1+1", b"../../etc/passwd", b"0000-00-00T00:00:00Z", b"9999-12-31T23:59:60Z",
    b"0001-01-01T00:00:00Z", b"2025-02-30T25:61:61Z", b"2025-11-18T11:20:00", b"-292277022399-01-01T00:00:00Z",
)  # fmt: skip


def flip(data: bytes, rng: Chance) -> bytes:
    """Other bits in a few places."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 30)) if out else 0):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def cut(data: bytes, rng: Chance) -> bytes:
    """A piece is missing, often the end."""
    at = rng.randrange(len(data) + 1)
    return data[:at] if rng.random() < 0.5 else data[:at] + data[at + rng.choice((1, 2, 10, 200)) :]


def repeat(data: bytes, rng: Chance) -> bytes:
    """A piece stands there several times."""
    at, size = rng.randrange(len(data) + 1), rng.choice((1, 5, 50, 1000))
    return data[:at] + data[at : at + size] * rng.choice((2, 3, 300)) + data[at + size :]


def insert(data: bytes, rng: Chance) -> bytes:
    """Something odd stands in the file, or in place of a value."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(PIECES) + data[at + rng.choice((0, 0, 1, 8)) :]


def numbers(data: bytes, rng: Chance) -> bytes:
    """A number is another one."""
    found = list(re.finditer(rb"\d+", data))
    if not found:
        return data
    match = rng.choice(found)
    other = rng.choice(
        (b"0", b"-1", b"9" * 19, b"9" * 400, b"1e400", b"0.0000001", b"00", b"", b"x", b"2147483648", b"\xd9\xa3")
    )
    return data[: match.start()] + other + data[match.end() :]


def shuffle(data: bytes, rng: Chance) -> bytes:
    """The lines stand in another order."""
    lines = data.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


def long_line(data: bytes, rng: Chance) -> bytes:
    """A line of some megabytes, or past the limit."""
    at, piece = rng.randrange(len(data) + 1), rng.choice((b"x", b" ", b"a b=c ", b"[", b'"'))
    return data[:at] + piece * (rng.choice((10**5, 10**6, 17 * 2**20)) // len(piece)) + data[at:]


def recode(data: bytes, rng: Chance) -> bytes:
    """The text is in another encoding."""
    if len(data) > 10**6:
        return data
    return data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32", "utf-7", "latin-1")), "replace")


# JSON

DEEP: Any = {"a": 1}
for _ in range(200):
    DEEP = {"a": DEEP}
VALUES = (
    None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**70, -(2**64), 1e308, 10**400, "", " ", "x", "\x00", "\ud800", "a\nb\x1b",
    "9" * 5000, "x" * 10**5, "NaN", "2025-11-18", "2025-11-18T11:20:00", "0001-01-01T00:00:00Z", "99999-01-01T00:00:00Z", [], {}, [[]],
    [None], {"a": []}, {"": None}, [1, "a", {}], {"a.b": {"c": 1}}, DEEP,
)  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return each container of a document with each of its keys or places."""
    out, level = [], [value]
    while level:
        held = level.pop()
        inner = held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else ()
        for key, item in inner:
            out.append((held, key))
            level.append(item)
    return out


def change(content: Any, rng: Chance) -> Any:
    """Change a document in one place."""
    found = places(content)
    if not found:
        return rng.choice(VALUES)
    held, key = rng.choice(found)
    what = rng.choice(("value", "value", "value", "drop", "swap", "wrap", "again", "rename", "add"))
    if what == "value":
        held[key] = rng.choice(VALUES)
    elif what == "drop":
        del held[key]
    elif what == "swap":
        other, place = rng.choice(found)
        held[key], other[place] = json.loads(json.dumps([other[place], held[key]]))
    elif what == "wrap":
        held[key] = [held[key]] if rng.random() < 0.5 else {"value": held[key]}
    elif what == "again":
        held[key] = [held[key]] * rng.choice((2, 50))
    elif what == "rename" and isinstance(held, dict):
        held[rng.choice(("", "\x00", "\ud800", "x" * 1000, "a.b", "time"))] = held.pop(key)
    elif isinstance(held, list):
        held.insert(key, rng.choice(VALUES))
    return content


def json_values(data: bytes, rng: Chance) -> bytes:
    """Values of the document, or of a line, are of other types."""
    with suppress(ValueError, RecursionError):
        return json.dumps(change(json.loads(data), rng), ensure_ascii=rng.random() < 0.8).encode(
            "utf-8", "surrogatepass"
        )
    lines = data.splitlines(keepends=True)
    number = rng.randrange(len(lines)) if lines else 0
    with suppress(ValueError, IndexError, RecursionError):
        lines[number] = json.dumps(change(json.loads(lines[number]), rng)).encode() + b"\n"
    return b"".join(lines)


def double_key(data: bytes, rng: Chance) -> bytes:
    """A key stands twice in an object."""
    found = list(re.finditer(rb'"[^"]*": ', data))
    if not found:
        return data
    match = rng.choice(found)
    return data[: match.start()] + match[0] + rng.choice((b"1, ", b"null, ", b"{}, ")) + data[match.start() :]


# Archives, databases, Parquet


def zip_members(data: bytes, rng: Chance) -> bytes:
    """Members of an archive are others, have other names or contents."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error):
        return data
    number = rng.randrange(len(members)) if members else 0
    what = rng.choice(("content", "content", "content", "bytes", "name", "drop", "again", "many", "bomb", "empty"))
    if members and what in ("content", "bytes"):
        mutate = json_values if what == "content" else rng.choice(TEXTS)
        members[number] = members[number][0], mutate(members[number][1], rng)
    elif members and what == "name":
        odd = (
            "../../x.json",
            "/etc/passwd",
            "general/2025-13-45.json",
            "a" * 3000 + ".json",
            "\\x\\users.json",
            "general/2025-11-18.json/",
        )
        members[number] = rng.choice(odd), members[number][1]
    elif members and what == "drop":
        del members[number]
    elif members and what == "again":
        members.append(members[number])
    elif what == "many":
        members += [(f"channel{n}/2025-11-18.json", b"[]") for n in range(11_000)]
    elif what == "bomb":
        members.append(("general/2025-11-19.json", b"[" + b" " * 10**8))
    elif what == "empty":
        members = []
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=zipfile.ZIP_DEFLATED)
    return out.getvalue()


def database(data: bytes, rng: Chance) -> bytes:
    """A SQLite file has other values, columns or tables."""
    with closing(sqlite3.connect(":memory:")) as connected:
        try:
            connected.deserialize(data)
            tables = [name for (name,) in connected.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            table = rng.choice(tables)
            column = rng.choice([row[1] for row in connected.execute(f'PRAGMA table_info("{table}")')])
            values = (
                "NULL",
                "-1",
                "9223372036854775807",
                "9e999",
                "''",
                "'x'",
                "x'ff00fe'",
                "zeroblob(20000000)",
                "CAST(x'ed' AS TEXT)",
            )
            connected.execute(rng.choice((
                f'UPDATE "{table}" SET "{column}" = {rng.choice(values)}',
                f'UPDATE "{table}" SET "{column}" = {rng.choice(values)}',
                f'UPDATE "{table}" SET "{column}" = {rng.choice(values)} WHERE rowid = 1',
                f'ALTER TABLE "{table}" DROP COLUMN "{column}"',
                f'ALTER TABLE "{table}" RENAME TO "other"',
                f'INSERT INTO "{table}" SELECT * FROM "{table}"',
                f'DELETE FROM "{table}"',
            )))  # fmt: skip
            connected.commit()
            return bytes(connected.serialize())
        except (sqlite3.Error, IndexError, UnicodeDecodeError):
            return flip(data, rng)


def parquet_types(data: bytes, rng: Chance) -> bytes:
    """A Parquet file whose columns are of other types."""
    import pyarrow as pa
    from pyarrow import parquet

    n = 3
    odd = rng.choice((
        pa.array([None] * n), pa.array([b"\xff"] * n), pa.array([[{"a": [1]}]] * n), pa.array([2**63] * n, pa.uint64()),
        pa.array([1.5, float("nan"), float("inf")]), pa.array([10**18] * n, pa.timestamp("us")), pa.array([2**40] * n, pa.timestamp("s", "UTC")),
        pa.array(["a", "b", "a"]).dictionary_encode(), pa.array([1, 2, 3], pa.duration("ns")), pa.array([True, False, None]),
        pa.array([1, 2, 3], pa.date32()), pa.array([1, 2, 3], pa.time64("ns")), pa.array([-(2**62)] * n, pa.timestamp("ns")),
    ))  # fmt: skip
    columns = {
        "time": pa.array(["2025-11-18T11:20:00Z"] * n),
        "service": pa.array(["a"] * n),
        "level": pa.array(["x"] * n),
        "note": pa.array(["m"] * n),
    }
    columns[rng.choice((*columns, "more"))] = odd
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out)
    return out.getvalue()


BYTES = (flip, flip, cut, cut, repeat, insert, insert)
TEXTS = (*BYTES, insert, insert, numbers, numbers, numbers, shuffle, recode)
JSONS = (*TEXTS, *[json_values] * 12, double_key)


def mutators(export: Export) -> tuple[Any, ...]:
    """Return what may be done to an export, with what is likely several times."""
    own: dict[str, tuple[Any, ...]] = {
        "zip": (*BYTES, *[zip_members] * 12),
        "db": (*BYTES, *[database] * 12),
        "parquet": (*BYTES, *[parquet_types] * 5),
    }
    ending = export.file.rpartition(".")[2]
    return own.get(ending, JSONS if ending.startswith("json") else TEXTS)


def mutant(export: Export, rng: Chance) -> bytes:
    """Return a damaged export."""
    data = export.write(export.records)
    if rng.random() < 0.01:
        data = long_line(data, rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.choice(mutators(export))(data, rng)
    return data


# What is done with each


def said(text: str) -> None:
    """Fail unless a message is there and each of its lines is printable."""
    assert text.strip() and all(line.isprintable() for line in text.split("\n")), f"message {text[:300]!r}"


def one(path: Path, export: Export, duck: Any, scratch: Path) -> str:
    """Recognise, propose, read and import one file; return what became of it."""
    source = Source.model_validate({**export.declared(), "required": False, "rejected": 10**9})
    found = export.reader
    try:
        found = recognise.reader(recognise.head(path))
        if found in READERS:
            recognise.guess(path, Source(id="x", file="x", reader=found))
    except RcaError as error:
        said(str(error))
    outcomes = {name: imported(path, source, name, duck, scratch) for name in {export.reader, found}}
    return outcomes[export.reader]


def imported(path: Path, source: Source, reader: str, duck: Any, scratch: Path) -> str:
    """Read and import one file with a reader."""
    source = source.model_copy(update={"reader": reader})
    if reader not in READERS:
        with suppress(RcaError):
            last = 0
            for item in formats.get(reader).read(path, source):
                assert item.position >= last, f"position {item.position} behind {last}"
                last = item.position
                assert isinstance(item, (Item, Reject))
                if isinstance(item, Reject):
                    said(item.reason)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        runs = {table: Runs(Path(folder) / table, table) for table in KEYS}
        try:
            done = engine.import_source(source, {path.name: path}, runs, duck, AS_OF)
            tables = {table: merged(run, Path(folder), table) for table, run in runs.items()}
            spans.dependencies(tables["spans"])
            for item in done.tally.rejects:
                said(item.reason)  # which names the place now
        except RcaError as error:
            said(str(error))
            return "refused"
    if not done.tally.rejected:
        return "rows" if any(map(len, tables.values())) else "empty"
    return "rows and rejects" if any(map(len, tables.values())) else "rejects"


def merged(run: Runs, folder: Path, table: str) -> pd.DataFrame:
    """Return a table as it would be read back."""
    from pyarrow import parquet

    run.merge(folder / f"{table}.parquet")
    return frame(parquet.read_table(folder / f"{table}.parquet"), table)


def main() -> None:
    """Run some inputs; print what became of them, one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, default=1000)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder in which the files are left")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    outcomes: dict[str, Counter[str]] = {}
    findings, slowest = [], (0.0, "")
    with tempfile.TemporaryDirectory() as scratch, connection() as duck:
        for number in range(options.first, options.last, options.step):
            export = EXPORTS[number % len(EXPORTS)]
            path = (options.keep or Path(scratch)) / export.file.format(number)
            path.write_bytes(mutant(export, Chance(f"{options.seed} {number}")))
            print(f"input {number} {export.name}", file=sys.stderr, flush=True)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            begin = time.perf_counter()
            try:
                outcome = one(path, export, duck, Path(scratch))
            except Exception as error:  # anything at all is a finding, and the next input is tried
                outcome = "finding"
                traceback.print_exc()
                frames = traceback.extract_tb(error.__traceback__)
                own = [f"{Path(at.filename).name}:{at.lineno}" for at in frames if "/rca/" in at.filename]
                text = f"{type(error).__name__}: {error}"[:300]
                findings.append({"input": number, "export": export.name, "error": text, "place": " ".join(own[-2:])})
            faulthandler.cancel_dump_traceback_later()
            slowest = max(slowest, (time.perf_counter() - begin, f"input {number} {export.name}"))
            outcomes.setdefault(export.reader, Counter())[outcome] += 1
            if not options.keep:
                path.unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"outcomes": outcomes, "findings": findings, "slowest": slowest, "peak_mb": peak}))


if __name__ == "__main__":
    main()

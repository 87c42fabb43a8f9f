"""Check a sealed archive of an incident, or the chain of its custody log.

Needs Python 3.9 or later and nothing else. Nothing is unpacked and nothing is sent anywhere::

    python3 check.py ARCHIVE.zip

It lists every difference between the archive and what its SEAL.json says, one a line, and ends with
exit code 1 if there is one. This file also stands in each archive: who does not trust it may read it,
use a copy from elsewhere, or check SHA256SUMS with other tools.

What it cannot show: whoever can rewrite the whole archive can make one that fits itself. Compare the
SHA-256 of the archive, or the head of the chain, with what was noted elsewhere when it was sealed.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

__all__ = ["archive", "chain", "digest", "main"]

LOG = "custody.jsonl"
KEYS = {"seq": int, "time": str, "actor": str, "action": str, "files": dict, "version": str, "note": str}
KEYS = {**KEYS, "prev": str, "hash": str}
MAX_MEMBERS = 100_000
MAX_BYTES = 64 * 2**30  # of all members together, unpacked
MAX_TEXT = 2**28  # of SEAL.json and the other texts that are read whole
BLOCK = 2**20


def digest(record: dict[str, Any]) -> str:
    """Return the SHA-256 of a record of the log: of its line, without the key ``hash``."""
    content = {key: value for key, value in record.items() if key != "hash"}
    return hashlib.sha256(_line(content)).hexdigest()


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _record(line: bytes) -> tuple[dict[str, Any] | None, str]:
    """Return the record of one line (None when it cannot be read), and what is wrong with it."""
    try:
        record = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None, "cannot be read: edited, or cut short by a process that was stopped"
    if not isinstance(record, dict) or record.keys() != KEYS.keys():
        return None, "is no entry of a custody log"
    wrong = [key for key, kind in KEYS.items() if type(record[key]) is not kind]
    if wrong or not all(value is None or isinstance(value, str) for value in record["files"].values()):
        return None, f"is no entry of a custody log ({', '.join(wrong) or 'files'})"
    if _line(record) != line or digest(record) != record["hash"]:
        return record, "was edited: its hash does not fit its content"
    return record, ""


def chain(lines: list[bytes], name: str = LOG) -> tuple[list[tuple[int, dict[str, Any]]], list[str]]:
    """Return the entries of a custody log with their line numbers, and every break of its chain in words."""
    read = [_record(line) for line in lines]
    where: dict[str, int] = {"": 0}
    for number, (record, _) in enumerate(read, 1):
        if record is not None:
            where.setdefault(record["hash"], number)
    entries: list[tuple[int, dict[str, Any]]] = []
    problems = []
    seq, before = 0, ""
    for number, (record, problem) in enumerate(read, 1):
        place = f"{name}: line {number}"
        if record is None:
            follows = read[number][0] if number < len(read) else None
            if not _accounts(follows, lines[number - 1], number):
                problems.append(f"{place} {problem}")
            continue
        if problem:
            problems.append(f"{place} {problem}")
        if record["prev"] != before or record["seq"] != seq + 1:
            problems.append(f"{place} {_misplaced(record, number, seq, before, where)}")
        entries.append((number, record))
        seq, before = record["seq"], record["hash"]
    return entries, problems


def _accounts(follows: dict[str, Any] | None, line: bytes, number: int) -> bool:
    """Whether the next entry says that this line was cut short, with the hash of what there is of it."""
    if follows is None or follows["action"] != "torn":
        return False
    return bool(follows["files"].get(f"{LOG} line {number}") == hashlib.sha256(line).hexdigest())


def _misplaced(record: dict[str, Any], number: int, seq: int, before: str, where: dict[str, int]) -> str:
    """Say how an entry does not follow the one before it."""
    home = where.get(record["prev"])
    if where[record["hash"]] < number:
        return f"repeats line {where[record['hash']]}: inserted"
    if record["prev"] == before:
        return f"has number {record['seq']} where {seq + 1} is due"
    if home is None and record["seq"] > seq + 1:
        return f"follows lines that were removed: number {seq} is followed by {record['seq']}"
    if home is None:
        return "does not follow the line before it: one of the two was edited, inserted or put in another's place"
    return f"is out of order: it belongs after line {home}" if home else "is out of order: it belongs first"


def archive(path: str) -> list[str]:
    """Return every difference between a sealed archive and its own SEAL.json in words; none is good."""
    try:
        with zipfile.ZipFile(path) as held:
            members = held.infolist()
            return _shape(members) or [*_layout(path, members), *_content(held)]
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, UnicodeDecodeError) as error:
        return [f"the archive is damaged or no zip file ({error})"]


def _shape(members: list[zipfile.ZipInfo]) -> list[str]:
    """Return what forbids reading these members at all."""
    if len(members) > MAX_MEMBERS:
        return [f"{len(members):,} members, more than the limit of {MAX_MEMBERS:,}"]
    problems = []
    seen: set[str] = set()
    for member in members:
        name = member.filename
        if name in seen:
            problems.append(f"{name!r}: stands in the archive twice")
        strange = any(mark < " " or mark in "\x7f\\" for mark in name) or name[1:2] == ":"
        if strange or any(part in ("", ".", "..") for part in name.split("/")):
            problems.append(f"{name!r}: a name that leaves the archive")
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            problems.append(f"{name!r}: encrypted, or packed in another way than sealing does")
        if member.external_attr >> 28 not in (0, 8):
            problems.append(f"{name!r}: a link or device, not a plain file")
        seen.add(name)
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES:
        problems.append(f"{total:,} bytes unpacked, more than the limit of {MAX_BYTES:,}")
    return problems


def _layout(path: str, members: list[zipfile.ZipInfo]) -> list[str]:
    """Name bytes of the file that are no part of a member or of the directory at the end."""
    problems = []
    with Path(path).open("rb") as file:
        size, at = file.seek(0, 2), 0
        for member in sorted(members, key=lambda item: item.header_offset):
            if member.header_offset != at:
                problems.append(_stray(at, member.header_offset, f"before {member.filename!r}"))
            if not 0 <= member.header_offset <= size - 30:
                raise zipfile.BadZipFile(f"{member.filename!r} is listed, but not in the file")
            file.seek(member.header_offset)
            _, named, more = struct.unpack("<26s2H", file.read(30))
            file.seek(named, 1)
            if member.comment or not (_plain(file.read(more)) and _plain(member.extra)):
                problems.append(f"{member.filename!r}: its head holds bytes that sealing does not write")
            at = member.header_offset + 30 + named + more + member.compress_size
        start = at
        file.seek(at)
        for _ in members:
            head = file.read(46)
            if head[:4] != b"PK\x01\x02":
                return [*problems, _stray(at, size, "after the last member, before or in the list of members")]
            at += 46 + sum(struct.unpack("<3H", head[28:34].ljust(6, b"\0")))
            file.seek(at)
        rest = file.read(BLOCK)
    ends = _ends(len(members), start, at - start)
    if rest not in ends and not problems:
        here = next((len(end) for end in ends if rest.startswith(end)), 0)
        problems.append(
            _stray(at + here, size, "at the end" if here else "in or before the end of the list of members")
        )
    return problems


def _stray(start: int, end: int, where: str) -> str:
    count = f"{end - start:,} bytes" if end > start else "bytes"
    return f"{count} that sealing does not write, {where}: the archive was changed since"


def _plain(extra: bytes) -> bool:
    """Whether the further fields of a member's head are none, or its sizes as 64-bit numbers."""
    return not extra or (extra[:2] == b"\x01\x00" and len(extra) == 4 + extra[2] <= 32 and extra[3] == 0)


def _ends(count: int, start: int, size: int) -> list[bytes]:
    """Return what may follow the list of members: the plain end, and the one with 64-bit numbers."""
    long = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    long += struct.pack("<4sLQL", b"PK\x06\x07", 0, start + size, 1)
    small = [min(count, 2**16 - 1), min(count, 2**16 - 1), min(size, 2**32 - 1), min(start, 2**32 - 1)]
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, *small, 0)
    return [end, long + end]


def _content(held: zipfile.ZipFile) -> list[str]:
    """Compare the members with SEAL.json, SHA256SUMS and the chain."""
    there = {member.filename: member for member in held.infolist()}
    try:
        seal = json.loads(_text(held, there, "SEAL.json"))
        told = {str(name): str(item) for name, item in seal["members"].items()}
        head, entries, differences = str(seal["head"]), int(seal["entries"]), list(seal["differences"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return [f"SEAL.json: missing or not a seal ({type(error).__name__})"]
    problems = [f"{name}: named in SEAL.json, but missing" for name in told if name not in there]
    problems += [f"{name}: not named in SEAL.json" for name in there if name not in told and name != "SEAL.json"]
    for name in told:
        if name in there:
            problems += _compare(held, there[name], told[name])
    sums = "".join(f"{told[name]}  {name}\n" for name in sorted(told) if name != "SHA256SUMS")
    problems += _texts(held, there, sums, head, entries, told)
    return sorted(problems) + [f"known when it was sealed: {line}" for line in differences]


def _compare(held: zipfile.ZipFile, member: zipfile.ZipInfo, told: str) -> list[str]:
    found = hashlib.sha256()
    try:
        with held.open(member) as content:
            while block := content.read(BLOCK):
                found.update(block)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        return [f"{member.filename}: damaged ({error})"]
    return [] if found.hexdigest() == told else [f"{member.filename}: is not what was sealed"]


def _texts(
    held: zipfile.ZipFile, there: dict[str, zipfile.ZipInfo], sums: str, head: str, entries: int, told: dict[str, str]
) -> list[str]:
    """Check what stands in the texts of the archive: the list of sums, the manifest and the chain."""
    try:
        problems = [] if _text(held, there, "SHA256SUMS").decode() == sums else ["SHA256SUMS: differs from SEAL.json"]
        log = _text(held, there, f"incident/{LOG}") if f"incident/{LOG}" in there else b""
        found, breaks = chain(log.split(b"\n")[:-1] if log.endswith(b"\n") else log.split(b"\n") if log else [])
        problems += [f"incident/{line}" for line in breaks]
        last = found[-1][1]["hash"] if found else ""
        if (last, len(found)) != (head, entries):
            problems.append(f"incident/{LOG}: ends in {last or 'nothing'}, SEAL.json says {head or 'nothing'}")
        if "incident/MANIFEST.json" in there:
            manifest = json.loads(_text(held, there, "incident/MANIFEST.json"))["sha256"]
            names = {f"incident/{name}": value for name, value in manifest.items()}
            problems += [
                f"{name}: its sum in MANIFEST.json differs from SEAL.json"
                for name in names
                if name in told and told[name] != names[name]
            ]
        return problems
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zipfile.BadZipFile, zlib.error) as error:
        return [f"the lists of the archive cannot be read ({type(error).__name__}: {error})"]


def _text(held: zipfile.ZipFile, there: dict[str, zipfile.ZipInfo], name: str) -> bytes:
    if there[name].file_size > MAX_TEXT:
        raise ValueError(f"{name} is larger than {MAX_TEXT:,} bytes")
    with held.open(there[name]) as content:
        return content.read(MAX_TEXT)


def main() -> int:
    """Check the archive that the command line names."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python3 check.py ARCHIVE.zip\n")
        return 2
    try:
        problems = archive(sys.argv[1])
    except OSError as error:
        sys.stderr.write(f"{sys.argv[1]}: {error.strerror}\n")
        return 2
    for line in problems:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"differences: {len(problems)}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

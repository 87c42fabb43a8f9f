r"""Git history: the output of ``git log``, as a text file.

The form to export, because nothing in it is ambiguous (a NUL byte cannot occur in a commit, and git quotes
odd file names)::

    git log --all --name-status --format=%x00%H%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x00 > commits.log

``--name-status`` may be left out. What people have is read too: the default form, ``--pretty=fuller`` and
``--pretty=raw``, with ``--date`` of ``default``, ``iso``, ``iso-strict``, ``rfc``, ``raw``, ``unix`` or ``local``.

Traps: a commit has two times. The author time says when the change was written and survives a rebase; the
committer time says when it came into this history. The time of an event is the committer time; the default
form of ``git log`` gives the author time alone, which then is the time, and the attribute ``time_of`` says
so. Both are what somebody's machine showed, and neither says when the change went live. ``--date=local`` has
no zone (declare it); ``short``, ``relative`` and ``human`` have lost the time of day and are refused. A log
does not name its repository: give the system as a constant of the source.

Tested against real git: commits that the tests make and read back in each form.

==================  =====================================================================
events              one a commit, kind ``commit``
time                committer time; author time where the log gives no other
actor, ref          author's name; full hash (also the native id)
message             first line
attributes          body, parents, committer, author_time, mails, files ("M path"), time_of
==================  =====================================================================
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError, UnsafeInput, shorten
from rca.files import opened
from rca.incident.model import Source
from rca.sources.items import Format, Head, Item, Reject, each, event

__all__ = ["FORMAT", "read", "recognise"]

NAMES = ("hash", "parents", "author", "author_mail", "author_time", "committer", "committer_mail", "time", "message")
MAX_FIELD = 16 * 2**20
MAX_FILES = 1000  # of one commit; an import of a whole tree changes more, and says how many
_COMMIT = re.compile(
    r"commit (?P<hash>[0-9a-f]{40}(?:[0-9a-f]{24})?)(?P<rest>(?: [0-9a-f]{40,64})*(?: \(.*\))?)\s*", re.ASCII
)
_HEADER = re.compile(r"(?P<key>[A-Za-z]+):? +(?P<value>.*)")
_FILE = re.compile(r"(?:[ACDMRTUXB]{1,3}\d*\t|:\d{6} )", re.ASCII)
_FORMS = (  # what --date writes, and as which form it is read
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?: ?(?:Z|[+-]\d\d:?\d\d))?", re.ASCII), "iso8601"),
    (re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d{1,2} [\d:]{8} \d{4} [+-]\d{4}", re.ASCII), "%a %b %d %H:%M:%S %Y %z"),
    (re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d{1,2} [\d:]{8} \d{4}", re.ASCII), "%a %b %d %H:%M:%S %Y"),
    (re.compile(r"[A-Z][a-z]{2}, \d\d? [A-Z][a-z]{2} \d{4} [\d:]{8} [+-]\d{4}", re.ASCII), "%a, %d %b %Y %H:%M:%S %z"),
)  # fmt: skip
_RAW = re.compile(r"(-?\d+)(?: [+-]\d{4})?", re.ASCII)


@dataclass
class _Commit:
    """What the lines of one commit gave so far."""

    line: int
    name: str
    again: bool  # "log -m" lists a merge once for each of its parents
    values: dict[str, str] = field(default_factory=dict)
    message: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    in_header: bool = True


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one event a commit, in the order of the file.

    Parameters
    ----------
    path : Path
        What ``git log`` wrote.
    source : Source
        Its ``time.zone`` is needed for ``--date=local`` only.

    Yields
    ------
    Item or Reject
        A commit without a readable time is rejected.

    Raises
    ------
    InputError
        If no commit of a known form begins the file.
    """
    with opened(path) as handle:
        start = handle.read(4)
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise InputError(f"{path.name}: not UTF-8 text but UTF-16, as PowerShell's > writes; use git log --output=FILE")
    records = _machine(path) if start.removeprefix(codecs.BOM_UTF8)[:1] == b"\0" else _human(path)

    def make(place: tuple[int, str], record: dict[str, Any]) -> list[Item]:
        return [_event(place, record, source.time.zone)]

    yield from each(records, make)


def _pieces(path: Path) -> Iterator[str]:
    """Yield what stands between NUL bytes; in bounded memory."""
    rest = b""
    with opened(path) as handle:
        while block := handle.read(2**20):
            *whole, rest = (rest + block).split(b"\0")
            if len(rest) > MAX_FIELD:
                raise UnsafeInput(f"{path.name}: more than {MAX_FIELD:,} bytes without a NUL")
            for piece in whole:
                yield piece.decode("utf-8", "replace")
    yield rest.decode("utf-8", "replace")


def _machine(path: Path) -> Iterator[tuple[int, str, Any]]:
    """Yield the commits of the NUL-separated form; a field count that does not fit ends in a reject."""
    pieces = _pieces(path)
    if next(pieces).strip("\ufeff \r\n"):
        raise InputError(f"{path.name}: does not begin with a NUL; export it with the format of this reader's help")
    number = 0
    while True:
        values = [piece for _, piece in zip(NAMES, pieces, strict=False)]
        if not any(value.strip() for value in values):
            return
        number += 1
        place = f"commit {number}"
        files = next(pieces, None)
        if files is None or not re.fullmatch("[0-9a-f]{40,64}", values[0]):
            yield number, place, Reject(number, place, "cut off, or not the fields that this reader asks git for")
            return
        record = dict(zip(NAMES, (value.replace("\r\n", "\n") for value in values), strict=True))
        yield number, place, record | {"files": [line for line in files.splitlines() if line.strip()]}


def _human(path: Path) -> Iterator[tuple[int, str, Any]]:
    """Yield the commits of the forms made for people, and of ``--pretty=raw``."""
    current: _Commit | None = None
    for number, text in _lines(path):
        match = _COMMIT.fullmatch(text)
        if match:
            if current and not current.again:
                yield _finish(current)
            again = current is not None and current.name == match["hash"] and "(from " in match["rest"]
            current = _Commit(number, match["hash"], again)
        elif current is None:
            raise InputError(
                f"{path.name}: line {number}: expected 'commit' and a full hash, found {shorten(text, 40)}"
            )
        else:
            _take(current, text)
    if current and not current.again:
        yield _finish(current)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines, blank ones too: they end a header. What is no UTF-8 is replaced: a name loses no commit."""
    with opened(path) as handle, io.TextIOWrapper(handle, "utf-8-sig", errors="replace", newline="\n") as texts:
        number = 0
        while text := texts.readline(MAX_FIELD):
            number += 1
            yield number, text.rstrip("\r\n")


def _take(commit: _Commit, text: str) -> None:
    """Add one line to a commit: header, message (indented by four), or changed files."""
    if commit.in_header:
        match = _HEADER.fullmatch(text)
        if match:
            key = match["key"].lower()
            joined = [commit.values[key]] if key == "parent" and key in commit.values else []
            commit.values[key] = " ".join([*joined, match["value"]])
        commit.in_header = bool(text)
    elif text.startswith("    ") and not commit.files:
        commit.message.append(text[4:])
    elif not text and commit.message:
        commit.message.append("")
    elif _FILE.match(text):
        commit.files.append(text)


def _finish(commit: _Commit) -> tuple[int, str, dict[str, Any]]:
    values = commit.values
    author, author_mail, author_stamp = _person(values.get("author", ""))
    committer, committer_mail, stamp = _person(values.get("commit", values.get("committer", "")))
    record: dict[str, Any] = {
        "hash": commit.name,
        "parents": values.get("parent", ""),  # "Merge:" abbreviates, the longer the larger the repository is
        "author": author,
        "author_mail": author_mail,
        "author_time": values.get("authordate", values.get("date", author_stamp)),
        "committer": committer,
        "committer_mail": committer_mail,
        "time": values.get("commitdate", stamp),
        "message": "\n".join(commit.message).strip("\n"),
        "files": commit.files,
    }
    return commit.line, f"line {commit.line}", record


def _person(text: str) -> tuple[str, str, str]:
    """Return name, mail, and the time that ``--pretty=raw`` writes behind them."""
    name, _, rest = text.partition("<")
    mail, _, stamp = rest.rpartition(">")
    return name.strip(), mail, stamp.strip()


def _moment(text: str, zone_name: str | None) -> times.Moment:
    """Return a time as any of ``git log``'s exact date styles writes it."""
    text = text.strip()
    if match := _RAW.fullmatch(text):
        return times.moment(match[1], form="epoch_s")._replace(text=text)
    for pattern, form in _FORMS:
        if pattern.fullmatch(text):
            return times.moment(text, form=form, zone_name=zone_name)
    raise InputError(f"{shorten(text, 40)} has lost the exact time; export with --date=iso-strict")


def _event(place: tuple[int, str], record: dict[str, Any], zone_name: str | None) -> Item:
    if not record["time"] and not record["author_time"]:
        raise InputError("has no date; export with --pretty=fuller or the format of this reader's help")
    subject, _, body = record["message"].strip("\n").partition("\n")
    files = record["files"]
    attributes = {
        "time_of": "commit" if record["time"] else "author",
        "author_time": record["author_time"],
        "author_mail": record["author_mail"],
        "committer": record["committer"],
        "committer_mail": record["committer_mail"],
        "parents": record["parents"].split(),
        "body": body.strip("\n"),
        "files": [file.replace("\t", " ") for file in files[:MAX_FILES]],
        "files_changed": len(files),
    }
    return event(
        place,
        record,
        native_id=record["hash"],
        time=_moment(record["time"] or record["author_time"], zone_name),
        kind="commit",
        system="",
        message=subject.strip() or "(no text)",
        actor=record["author"],
        ref=record["hash"],
        attributes={name: value for name, value in attributes.items() if value},
    )


def recognise(head: Head) -> bool:
    r"""Return whether a file begins as ``git log`` writes a commit.

    Examples
    --------
    >>> recognise(Head("log.txt", "commit " + "0" * 40 + "\nAuthor: A <a@b.example>\n"))
    True
    """
    if re.match(rb"(?:\xef\xbb\xbf)?\0[0-9a-f]{40}(?:[0-9a-f]{24})?\0", head.data):
        return True
    first, _, rest = head.text.lstrip("\ufeff").partition("\n")
    return bool(_COMMIT.fullmatch(first) and re.match(r"(?:Merge:|Author:|tree )", rest))


FORMAT = Format(
    name="gitlog",
    title="git log: commits, with author and committer time",
    tested="real server",
    read=read,
    recognise=recognise,
    notes="A commit is not a deployment. The default form of git log gives the author time only; export with the "
    "committer time. The log does not name its repository.",
)

"""Prometheus: answers of ``query`` and ``query_range`` as files, and pulled from a server.

Reads one answer, a list of answers or JSON lines of answers, of type matrix or vector, as Prometheus and
what speaks its API (Thanos, Mimir) write them; and the files that `pull` saves, where each answer stands
beside its request. Tested against a real server (Prometheus 2.42).

==============================  =====================================================================
of the answer                   becomes
==============================  =====================================================================
first of ``service``,           system (rename with ``values``, or set ``constant``)
``service_name``, ``app``,
``job``
``__name__`` and every other    metric: ``name{label="v",...}``, labels sorted. All labels stay, also
label                           ``instance``: two series never share a name, in whatever file they are
sample time                     time, to the millisecond, by its decimal text
sample value                    value, its text handed on; ``NaN`` is missing, ``+Inf`` stays infinite
native histogram                ``name_count`` and ``name_sum``; its buckets stay in the file
==============================  =====================================================================

Traps: ``query_range`` looks back five minutes for each point, so that shorter gaps do not show, and repeats
the last value in them; `pull` therefore asks for the samples themselves where the query is a plain
selector. The result of an expression has no ``__name__``: it is called by the query where `pull` saved it,
else by the file's name, or by the source's id where the source has several files: pieces of one export.
A warning of the server (a part of the store did not answer) is reported.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pandas as pd

from rca import files, times
from rca.errors import InputError, UnsafeInput, shorten
from rca.files import unpacked
from rca.incident.model import Source
from rca.sources.documents import json_text, objects
from rca.sources.items import Format, Head, Item, Reject, each, metric

__all__ = ["FORMAT", "fetch", "pull", "read", "recognise", "save", "series_name", "system_of"]

SYSTEM_LABELS = ("service", "service_name", "app", "job")
POINTS = 11_000  # a series, in one answer: the server's own limit
MAX_ANSWER = 8 * 2**20  # below the longest line that is read back
MAX_PULL = 2**29
TIMEOUT = (5, 60)  # seconds to connect, and between two pieces of an answer
_QUOTED = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)"""
_MATCHER = rf"[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=)\s*{_QUOTED}"
_BRACES = rf"\{{\s*(?:{_MATCHER}\s*(?:,\s*{_MATCHER}\s*)*,?\s*)?\}}"
_SELECTOR = re.compile(rf"[a-zA-Z_:][a-zA-Z0-9_:]*\s*(?:{_BRACES})?|{_BRACES}", re.ASCII)


class _Sample(NamedTuple):
    name: str  # where the series has none
    labels: dict[str, str]
    pair: list[Any]
    window: tuple[int, int] | None  # nanoseconds asked for, both ends included


def system_of(labels: Mapping[str, Any]) -> tuple[str, str]:
    """Return the label that names the system, and its value; both empty when there is none.

    Examples
    --------
    >>> system_of({"job": "node", "service": "checkout"}), system_of({})
    (('service', 'checkout'), ('', ''))
    """
    key = next((name for name in SYSTEM_LABELS if labels.get(name)), "")
    return key, str(labels[key]) if key else ""


def series_name(name: str, labels: Mapping[str, Any]) -> str:
    r"""Return a series as Prometheus writes it, labels sorted.

    Examples
    --------
    >>> series_name("up", {"zone": 'a"b', "env": "x"}), series_name("up", {})
    ('up{env="x",zone="a\\"b"}', 'up')
    """

    def quoted(value: object) -> str:
        return str(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    pairs = ",".join(f'{key}="{quoted(value)}"' for key, value in sorted(labels.items()))
    return f"{name}{{{pairs}}}" if pairs else name


def recognise(head: Head) -> bool:
    """Return whether a file's head is an answer of the query API, or several."""
    first = head.document[0] if isinstance(head.document, list) and head.document else head.document
    answer = first.get("response", first) if isinstance(first, dict) else None
    data = answer.get("data") if isinstance(answer, dict) else None
    return isinstance(data, dict) and data.get("resultType") in ("matrix", "vector")


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield one row of ``metrics`` a sample.

    Parameters
    ----------
    path : Path
        JSON as the module describes it.
    source : Source
        Nothing of it is needed.

    Yields
    ------
    Item or Reject
        Numbered through the file; the locator is a JSON pointer, behind its line in JSON lines.
    """
    keys: dict[tuple[str, str], str] = {}

    def make(place: tuple[int, str], sample: _Sample) -> Iterable[Item]:
        seconds, value = sample.pair
        time = times.moment(seconds, form="epoch_s")
        if time.ns is None:
            raise InputError("a sample without a time")
        if sample.window and not sample.window[0] <= time.ns <= sample.window[1]:
            return
        key, system = system_of(sample.labels)
        rest = {name: text for name, text in sample.labels.items() if name not in ("__name__", key)}
        raw = {"metric": sample.labels, "value": sample.pair}
        for suffix, number in _numbers(value):
            name = series_name((sample.labels.get("__name__") or sample.name) + suffix, rest)
            if keys.setdefault((system, name), key) != key:
                raise InputError(
                    f"two series would be {shorten(name)} of {shorten(system)}: one names it by"
                    f" {keys[system, name]!r}, one by {key!r}; export them as two sources"
                )
            yield metric(place, raw, time=time, system=system, metric=name, value=number)

    return each(_samples(path, unpacked(path).stem if len(source.file) == 1 else source.id), make)


def _numbers(value: Any) -> Iterator[tuple[str, str]]:
    """Yield what follows the name, and the value: one number, or two of a native histogram."""
    if isinstance(value, str):
        yield "", value
    elif isinstance(value, dict):
        yield "_count", str(value["count"])
        yield "_sum", str(value["sum"])
    else:
        raise InputError(f"expected a value as text, found {shorten(value, 40)}")


def _samples(path: Path, unnamed: str) -> Iterator[tuple[int, str, Any]]:
    number = 0
    for _, locator, answer in objects(path):
        place = f"{locator} " if locator.startswith("line") else locator.rstrip("/")
        try:
            found = [("", answer.reason)] if isinstance(answer, Reject) else _of_answer(answer, unnamed)
            for pointer, sample in found:
                number += 1
                where = (place + pointer).rstrip() or "/"
                yield number, where, Reject(number, where, sample) if isinstance(sample, str) else sample
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            number += 1
            reason = f"not an answer of the query API ({type(error).__name__}: {error})"
            yield number, locator, Reject(number, locator, reason)


def _of_answer(answer: dict[str, Any], unnamed: str) -> Iterator[tuple[str, _Sample | str]]:
    """Yield JSON pointer and sample of one answer, or the reason why there is none."""
    pulled = "response" in answer
    base, response = ("/response", answer["response"]) if pulled else ("", answer)
    name = answer["request"]["query"] if pulled else unnamed
    window = None
    if pulled:
        begin, end = (times.moment(text, form="epoch_s").ns or 0 for text in answer["window"])
        window = begin, end
    if response.get("status") != "success":
        yield base, f"no answer but {shorten(response.get('status'), 20)}: {shorten(response.get('error', ''), 200)}"
        return
    for index, text in enumerate(response.get("warnings") or ()):
        yield f"{base}/warnings/{index}", f"the server warns that the answer may lack data: {shorten(text, 200)}"
    kind = response["data"]["resultType"]
    if kind not in ("matrix", "vector"):
        yield f"{base}/data", f"a result of type {shorten(kind, 20)} holds no series"
        return
    for index, series in enumerate(response["data"]["result"]):
        for field in ("values", "histograms", "value", "histogram"):
            if field in series:
                pairs = series[field] if field.endswith("s") else [series[field]]
                for place, pair in enumerate(pairs):
                    pointer = f"{base}/data/result/{index}/{field}"
                    yield (
                        f"{pointer}/{place}" if field.endswith("s") else pointer,
                        _Sample(name, series["metric"], pair, window),
                    )


def pull(
    url: str,
    query: str,
    start: str | pd.Timestamp,
    end: str | pd.Timestamp,
    step: str | pd.Timedelta,
    *,
    into: str | Path,
) -> Path:
    """Ask a server for what it stored between two times, and save its answers as one file.

    Parameters
    ----------
    url : str
        The server, such as ``http://localhost:9090``. A bearer token is taken from ``PROMETHEUS_TOKEN``.
    query : str
        PromQL. For a plain selector, such as ``up{job="node"}``, the samples themselves are fetched, so that
        every gap is there; for anything else ``query_range`` is asked, which hides gaps under five minutes.
    start, end : str or Timestamp
        With their zone; both included.
    step : str or Timedelta
        Distance of two points, whole milliseconds; for a plain selector about the scrape interval, from
        which only the size of the pieces is made.
    into : str or Path
        Folder for the file.

    Returns
    -------
    Path
        ``prometheus-<hash of the content>.jsonl``: one line an answer, the server's own bytes beside the
        request that they answer.

    Raises
    ------
    InputError
        If the server cannot be reached or refuses, or times or step are of no use.
    UnsafeInput
        If the answers are larger than 512 MiB, or a single point is larger than 8 MiB.

    Notes
    -----
    Asks for at most 11,000 points a series at once, and for less where an answer is larger than 8 MiB. Pieces
    are cut in whole milliseconds, the resolution of the store, and `read` keeps from each what lies in its
    piece: whether a server includes the left end of a range (version 2) or not (version 3) makes no double.
    """
    raw = _SELECTOR.fullmatch(query.strip()) is not None
    first, last = -(-_nanoseconds(start, "start") // 10**6), _nanoseconds(end, "end") // 10**6
    width, rest = divmod(pd.Timedelta(step).as_unit("ns").value, 10**6)
    if width <= 0 or rest or last < first:
        raise InputError(f"step {step}: wanted whole milliseconds, and an end ({end}) after the start ({start})")
    unit, most = (1, POINTS * width) if raw else (width, POINTS)
    count = (last - first) // unit + 1
    pieces = [(first + done * unit, min(most, count - done)) for done in range(0, count, most)][::-1]
    lines: list[bytes] = []
    size = 0
    while pieces:
        begin, points = pieces.pop()
        piece = begin, begin + (points - 1) * unit
        path, params = _request(query.strip(), piece, None if raw else width)
        body = fetch(url, path, params, token="PROMETHEUS_TOKEN", limit=MAX_ANSWER)
        if body is None and points == 1:
            raise UnsafeInput(f"{query}: one point is larger than {MAX_ANSWER:,} bytes; select fewer series")
        if body is None:
            half = points // 2
            pieces += [(begin + half * unit, points - half), (begin, half)]
            continue
        lines.append(_line(path, params, piece, body))
        size += len(lines[-1])
        if size > MAX_PULL:
            raise UnsafeInput(f"{query}: more than {MAX_PULL:,} bytes; select fewer series or less time")
    return save(b"".join(lines), Path(into), "prometheus", "jsonl")


def _nanoseconds(value: str | pd.Timestamp, name: str) -> int:
    ns = times.moment(value).ns
    if ns is None:
        raise InputError(f"{name}: no time given")
    return ns


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"


def _request(query: str, piece: tuple[int, int], step: int | None) -> tuple[str, dict[str, str]]:
    begin, end = piece
    if step is None:
        # One millisecond more than the piece is long, for servers that leave out the left end.
        return "/api/v1/query", {"query": f"{query}[{end - begin + 1}ms]", "time": _seconds(end)}
    span = {"start": _seconds(begin), "end": _seconds(end), "step": _seconds(step)}
    return "/api/v1/query_range", {"query": query, **span}


def _line(path: str, params: dict[str, str], piece: tuple[int, int], body: bytes) -> bytes:
    """Return one line of evidence; a line break in JSON is white space, a text has none."""
    head = {"request": {"path": path, **params}, "window": [_seconds(piece[0]), _seconds(piece[1])]}
    answer = body.strip().replace(b"\n", b" ").replace(b"\r", b" ")
    return json.dumps(head, ensure_ascii=False).encode()[:-1] + b', "response": ' + answer + b"}\n"


def fetch(url: str, path: str, params: Mapping[str, str], *, token: str, limit: int) -> bytes | None:
    """Return the body of a server's JSON answer, or None when it is larger than `limit` bytes.

    Parameters
    ----------
    url, path : str
        The server, and the path below it. Redirections are not followed.
    params : mapping
        Of the query string.
    token : str
        Name of the environment variable with a bearer token, where there is one.
    limit : int
        In bytes, unpacked.

    Returns
    -------
    bytes or None
        As the server sent them.

    Raises
    ------
    InputError
        No http or https address, a password in it, no answer, an answer that is no success or no JSON.
    """
    import requests

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password or parts.query:
        raise InputError("server: wanted an address such as http://localhost:9090, without name or password")
    headers = {"Authorization": f"Bearer {os.environ[token]}"} if os.environ.get(token) else {}
    body = b""
    try:
        with requests.get(
            url.rstrip("/") + path, params=params, headers=headers, timeout=TIMEOUT, stream=True, allow_redirects=False
        ) as answer:
            for piece in answer.iter_content(2**16):
                body += piece
                if len(body) > limit:
                    return None
    except requests.RequestException as error:
        raise InputError(f"{url}{path}: no answer ({shorten(error, 200)})") from error
    if answer.status_code != 200:
        raise InputError(f"{url}{path}: HTTP {answer.status_code}: {shorten(body.decode('utf-8', 'replace'), 300)}")
    try:
        json_text(body.decode("utf-8"))
    except (UnicodeDecodeError, InputError) as error:
        raise InputError(f"{url}{path}: the answer is not JSON ({shorten(error, 120)})") from error
    return body


def save(content: bytes, into: Path, name: str, ending: str) -> Path:
    """Write what a server answered as evidence, under a name that other content never gets.

    Returns
    -------
    Path
        ``<name>-<first 12 characters of the SHA-256>.<ending>`` in `into`.
    """
    return files.write(into / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}.{ending}", content)


FORMAT = Format(
    name="prometheus",
    title="Prometheus query and query_range answers",
    tested="real server",
    read=read,
    recognise=recognise,
    tables=("metrics",),
    notes="query_range repeats the last value for five minutes: shorter gaps show only in samples that pull fetched",
)

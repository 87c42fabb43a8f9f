"""The REST API of MLflow: its answers saved as evidence, and read back as records."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rca.errors import InputError, UnsafeInput, shorten
from rca.sources.documents import json_lines, json_text
from rca.sources.formats.mlflow.rows import Record, alias_record, number, run_record, value_record, version_record
from rca.sources.formats.prometheus import save
from rca.sources.items import Reject

__all__ = ["API", "pull", "pulled"]

API = "/api/2.0/mlflow/"
HISTORY = "metrics/get-history"
MAX_ANSWER = 15 * 2**20  # below the longest line that is read back
MAX_PULL = 2**29
TIMEOUT = (5, 60)  # seconds to connect, and between two pieces of an answer


@dataclass
class _Found:
    """What the answers hold, but for the histories of metrics."""

    experiments: dict[str, str] = field(default_factory=dict)
    runs: list[Record] = field(default_factory=list)
    models: list[Record] = field(default_factory=list)
    versions: list[Record] = field(default_factory=list)

    def take(self, path: str, response: Record) -> None:
        """Add one answer."""
        if path == "experiments/search":
            self.experiments |= {
                str(item["experiment_id"]): str(item["name"]) for item in response.get("experiments", [])
            }
        elif path == "runs/search":
            self.runs += response.get("runs", [])
        elif path == "registered-models/search":
            self.models += response.get("registered_models", [])
        elif path == "model-versions/search":
            self.versions += response.get("model_versions", [])
        elif path == HISTORY and not all(isinstance(item, dict) for item in response.get("metrics") or []):
            raise TypeError("a value of the history is no object")


def pulled(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield place and record of all that is read from the file that `pull` saved.

    Yields
    ------
    tuple
        As `rca.sources.formats.mlflow.database.stored` yields them from a file of the same content.
    """
    found = _Found()
    for line, place, record in json_lines(path):
        try:
            if not isinstance(record, Reject):
                found.take(record["request"]["path"].removeprefix(API), record["response"])
        except (KeyError, TypeError, AttributeError) as error:
            record = Reject(line, place, f"not an answer of MLflow ({type(error).__name__}: {error})")
        if isinstance(record, Reject):
            yield place, record
    runs: dict[str, Record] = {}
    for info in found.runs:
        run = _guarded(_run, info, found.experiments)
        if isinstance(run, Reject):
            yield run.locator, run
        else:
            runs[run["run_id"]] = run
    for run_id, run in sorted(runs.items()):
        yield f"run {run_id}", run
    yield from _histories(path, runs)
    yield from _models(found, runs)


def _guarded(make: Any, info: Any, *more: Any) -> Any:
    """Return what `make` makes of one object of an answer, or a reject."""
    try:
        return make(info, *more)
    except (KeyError, TypeError, AttributeError) as error:
        return Reject(0, "answer", f"{shorten(info, 60)} is not as MLflow writes it ({type(error).__name__}: {error})")


def _run(run: Record, experiments: Mapping[str, str]) -> Record:
    info, data = run["info"], run.get("data") or {}
    params, tags = (
        {item["key"]: item.get("value", "") for item in data.get(name) or []} for name in ("params", "tags")
    )
    last = {item["key"]: number(item.get("value")) for item in data.get("metrics") or []}
    inputs = [item["dataset"] for item in (run.get("inputs") or {}).get("dataset_inputs") or []]
    datasets = [{"name": str(item["name"]), "digest": str(item["digest"])} for item in inputs]
    columns = ("run_name", "user_id", "status", "start_time", "end_time", "lifecycle_stage", "experiment_id")
    row = (info.get("run_id") or info["run_uuid"], *(info.get(column) for column in columns))
    return run_record(row, experiments.get(str(info["experiment_id"]), ""), params, tags, last, datasets)


def _histories(path: Path, runs: Mapping[str, Record]) -> Iterator[tuple[str, Any]]:
    """Yield the values of each run and metric in the order of time and step, whatever the pages' order."""

    def values() -> Iterator[tuple[tuple[str, str], tuple[Any, ...]]]:
        for _, _, record in json_lines(path):
            if isinstance(record, Reject) or _path(record) != HISTORY:
                continue
            run_id = str(record["request"].get("run_id"))
            listed = record["response"].get("metrics")
            for item in listed if isinstance(listed, list) else []:
                if isinstance(item, dict):  # of others the answer's own line was rejected
                    row = (item.get("timestamp"), item.get("step", 0), number(item.get("value")))
                    yield (run_id, str(item.get("key"))), row

    for (run_id, key), group in groupby(values(), key=lambda pair: pair[0]):
        for stamp, step, value in sorted((row for _, row in group), key=_by_time):
            if run_id in runs:
                yield value_record(runs[run_id], key, value, stamp, step)
            else:
                place = f"run {run_id} metric {key}"
                yield place, Reject(0, place, "a value of a run that is not in the file")


def _path(record: Any) -> str:
    request = record.get("request")
    path = request.get("path") if isinstance(request, dict) else None
    return str(path).removeprefix(API) if isinstance(record.get("response"), dict) else ""


def _by_time(row: tuple[Any, ...]) -> tuple[Any, ...]:
    numbers = [value if isinstance(value, (int, float)) else 0 for value in row]
    return tuple((isinstance(value, str), held, str(value)) for value, held in zip(row, numbers, strict=True))


def _models(found: _Found, runs: Mapping[str, Record]) -> Iterator[tuple[str, Any]]:
    versions = [_guarded(_version, info, runs) for info in found.versions]
    kept = sorted((item for item in versions if not isinstance(item, Reject)), key=_by_version)
    yield from ((item.locator, item) for item in versions if isinstance(item, Reject))
    yield from kept
    created = {(record["name"], record["version"]): record["created"] for _, record in kept}
    aliases = []
    for info in found.models:
        found_here = _guarded(_aliases, info)
        aliases += found_here if isinstance(found_here, list) else []
        if isinstance(found_here, Reject):
            yield found_here.locator, found_here
    for name, alias, version in sorted(aliases):
        yield alias_record(name, alias, version, created.get((name, version)))


def _aliases(model: Record) -> list[tuple[str, str, str]]:
    return [(str(model["name"]), str(item["alias"]), str(item["version"])) for item in model.get("aliases") or []]


def _version(version: Record, runs: Mapping[str, Record]) -> tuple[str, Record]:
    columns = (
        "creation_timestamp", "last_updated_timestamp", "description", "user_id", "current_stage", "source", "run_id",
        "status",
    )  # fmt: skip
    tags = {item["key"]: item.get("value", "") for item in version.get("tags") or []}
    run = runs.get(version.get("run_id") or "")
    row = (version["name"], version["version"], *(version.get(column) for column in columns))
    return version_record(row, tags, run["experiment"] if run else "")


def _by_version(item: tuple[str, Record]) -> tuple[str, int, str]:
    return item[1]["name"], len(item[1]["version"]), item[1]["version"]


def pull(url: str, *, into: str | Path) -> Path:
    """Fetch experiments, runs, metric histories and the model registry, and save the answers as one file.

    Parameters
    ----------
    url : str
        The tracking server, such as ``http://localhost:5000``. Credentials are taken from
        ``MLFLOW_TRACKING_TOKEN``, or ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``.
    into : str or Path
        Folder for the file.

    Returns
    -------
    Path
        ``mlflow-<hash of the content>.jsonl``: one line an answer, as the server wrote it, beside its request.

    Raises
    ------
    InputError
        If the server cannot be reached, refuses, or answers with something else.
    UnsafeInput
        If one answer is larger than 15 MiB, or all are larger than 512 MiB.

    Notes
    -----
    One request a metric of a run, besides the pages of the lists. What changes on the server meanwhile may be
    in some of the answers and not in others.
    """
    lines: list[bytes] = []
    size = 0
    found = _Found()

    def ask(path: str, method: str, **params: Any) -> None:
        nonlocal size
        for line, response in _pages(url, path, method, params):
            lines.append(line)
            size += len(line)
            if size > MAX_PULL:
                raise UnsafeInput(f"{url}: more than {MAX_PULL:,} bytes")
            found.take(path, response)

    ask("experiments/search", "POST", max_results=1000, view_type="ALL")
    for experiment in sorted(found.experiments):
        ask("runs/search", "POST", experiment_ids=[experiment], max_results=100, run_view_type="ALL")
    ask("registered-models/search", "GET", max_results=100)
    ask("model-versions/search", "GET", max_results=1000)
    for run in sorted((_run(info, found.experiments) for info in found.runs), key=lambda item: item["run_id"]):
        for key in sorted(run["metrics"]):
            ask(HISTORY, "GET", run_id=run["run_id"], metric_key=key, max_results=10_000)
    return save(b"".join(lines), Path(into), "mlflow", "jsonl")


def _pages(url: str, path: str, method: str, params: Record) -> Iterator[tuple[bytes, Record]]:
    """Yield the line to save and the content of each page of a list."""
    token = ""
    while True:
        asked = params | ({"page_token": token} if token else {})
        body = _fetch(url, API + path, method, asked)
        try:
            response = json_text(body.decode("utf-8"))
        except (UnicodeDecodeError, InputError) as error:
            raise InputError(f"{url}{API}{path}: the answer is not JSON ({shorten(error, 120)})") from error
        if not isinstance(response, dict):
            raise InputError(f"{url}{API}{path}: expected an object, found {shorten(response, 40)}")
        head = json.dumps({"request": {"path": API + path, **asked}}, ensure_ascii=False).encode()
        # A line break in JSON is white space: no text of it has one.
        yield head[:-1] + b', "response": ' + body.strip().replace(b"\n", b" ").replace(b"\r", b" ") + b"}\n", response
        before, token = token, str(response.get("next_page_token") or "")
        if not token or token == before:
            return


def _fetch(url: str, path: str, method: str, params: Record) -> bytes:
    """Return the body of one answer."""
    import requests

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password or parts.query:
        raise InputError("server: wanted an address such as http://localhost:5000, without name or password")
    token, user = (os.environ.get(name, "") for name in ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME"))
    login = (user, os.environ.get("MLFLOW_TRACKING_PASSWORD", "")) if user else None
    body = b""
    try:
        with requests.request(
            method, url.rstrip("/") + path, params=params if method == "GET" else None,
            json=params if method == "POST" else None, auth=login, timeout=TIMEOUT, stream=True,
            headers={"Authorization": f"Bearer {token}"} if token else {}, allow_redirects=False,
        ) as answer:  # fmt: skip
            for piece in answer.iter_content(2**16):
                body += piece
                if len(body) > MAX_ANSWER:
                    raise UnsafeInput(f"{url}{path}: more than {MAX_ANSWER:,} bytes in one answer")
    except requests.RequestException as error:
        raise InputError(f"{url}{path}: no answer ({shorten(error, 200)})") from error
    if answer.status_code != 200:
        raise InputError(f"{url}{path}: HTTP {answer.status_code}: {shorten(body.decode('utf-8', 'replace'), 300)}")
    return body

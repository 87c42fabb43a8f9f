"""GitHub: deployments, their statuses, workflow runs and releases, as the REST API lists them.

A JSON list, ``{"workflow_runs": [...]}``, ``{"deployment": ..., "deployment_status": ...}`` as webhooks send, or JSON
lines; a file may hold deployments and their statuses together, so that a status finds its commit.

==========  ==============================================================================================
column      field
==========  ==============================================================================================
time        status: ``created_at``; deployment: ``created_at``; run: ``run_started_at`` (end ``updated_at`` when it is
            completed); release: ``published_at``
system      name of the repository, from the addresses in the record
kind        deploy for a status ``success``; other for all else
severity    error for a status or run that failed
actor       who created it (``login``); of a run ``triggering_actor``
ref         commit (``sha``, ``head_sha``), else the deployment's id; ``tag_name`` of a release
attributes  ``type``, ``state``, environment, deployment, branch, conclusion, address
==========  ==============================================================================================

Traps: a deployment's own ``created_at`` is when it was asked for: live it goes with the status ``success``; a status
knows its deployment's address only; ``inactive`` only says that another took its place; ``created_at`` of a release is
that of its commit, and a draft has no time of publication; ``created_at`` of a run is the first attempt's. Whether a
workflow run or a release puts something live is not written: they are of kind ``other`` unless ``constant`` says so.
An attempt of a run is one event: of its states the latest is kept.

Tested against the documented format only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca import times
from rca.errors import InputError
from rca.incident.model import Source
from rca.sources import documents
from rca.sources.items import Format, Head, Item, Reject, each, event
from rca.sources.rows import lookup
from rca.times import Moment

__all__ = ["FORMAT", "read", "recognise"]

_REPOSITORY = re.compile(r"https?://[^/]+/(?:api/v3/)?(?:repos/)?[^/]+/([^/?#]+)")
_LAST = re.compile(r"/(\d+)$")
_FAILED = frozenset({"failure", "error", "timed_out", "startup_failure"})
_FIELDS = {
    "status": {"state", "deployment_url"},
    "deployment": {"ref", "sha", "environment", "statuses_url"},
    "run": {"run_number", "workflow_id", "head_sha"},
    "release": {"tag_name", "published_at"},
}


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield an event a record.

    Parameters
    ----------
    path : Path
        JSON or JSON lines.
    source : Source
        Its entry in ``incident.yaml``; times name their zone.

    Yields
    ------
    Item or Reject
        A deployment is read once more for the commits of its statuses.
    """
    keys = ("workflow_runs", "deployments", "statuses", "releases")
    known: dict[str, dict[str, Any]] = {}
    for _, _, record in documents.objects(path, *keys):
        if isinstance(record, dict):
            found = record["deployment"] if isinstance(record.get("deployment"), dict) else record
            if _kind(found) == "deployment":
                known[str(found.get("id"))] = {name: found.get(name) for name in ("sha", "ref", "environment")}
    yield from each(
        documents.objects(path, *keys), lambda place, record: [_event(place, record, known, source.time.zone)]
    )


def _kind(record: dict[str, Any]) -> str:
    return next((kind for kind, names in _FIELDS.items() if names <= set(record)), "")


def _event(place: tuple[int, str], record: dict[str, Any], known: dict[str, dict[str, Any]], zone: str | None) -> Item:
    for name in ("deployment_status", "workflow_run", "release", "deployment"):
        if isinstance(record.get(name), dict):
            record = record[name]
            break
    kind = _kind(record)
    if not kind:
        raise InputError("neither a deployment, a deployment's status, a workflow run nor a release")
    if kind == "status":
        return _status(place, record, known, zone)
    if kind == "deployment":
        message = f"deployment of {record['ref']} to {record['environment']} asked for"
        attributes = {name: record.get(name) for name in ("environment", "ref", "task", "description", "url")}
        native, time = str(record["id"]), record["created_at"]
        attributes["modified"] = record.get("updated_at")
        return _made(
            place, record, kind, native, message, str(record["sha"]), attributes, times.moment(time, zone_name=zone)
        )
    return _run(place, record, zone) if kind == "run" else _release(place, record, zone)


def _status(place: tuple[int, str], record: dict[str, Any], known: dict[str, dict[str, Any]], zone: str | None) -> Item:
    match = _LAST.search(str(record["deployment_url"]))
    deployment = match[1] if match else ""
    asked = known.get(deployment, {})
    environment = record.get("environment") or asked.get("environment") or ""
    state = str(record["state"])
    return _made(
        place,
        record,
        "status",
        str(record["id"]),
        " ".join(filter(None, ("deployment", str(asked.get("ref") or deployment), "to", str(environment), state))),
        str(asked.get("sha") or deployment),
        {
            "state": state,
            "environment": environment,
            "deployment": deployment,
            "branch": asked.get("ref"),
            "description": record.get("description"),
            "url": record.get("environment_url") or record.get("log_url") or record.get("target_url"),
        },
        times.moment(record["created_at"], zone_name=zone),
        column="deploy" if state == "success" else "other",
        severity="error" if state in _FAILED else "",
    )


def _run(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> Item:
    done = record.get("status") == "completed"
    result = str(record.get("conclusion") or record.get("status") or "")
    return _made(
        place,
        record,
        "run",
        f"{record['id']}:{record.get('run_attempt', 1)}",
        f"workflow {record.get('name') or record['workflow_id']} #{record['run_number']} {result}".strip(),
        str(record["head_sha"]),
        {
            "state": result,
            "branch": record.get("head_branch"),
            "event": record.get("event"),
            "attempt": record.get("run_attempt"),
            "title": record.get("display_title"),
            "modified": record.get("updated_at"),
            "url": record.get("html_url"),
        },
        times.moment(record.get("run_started_at") or record.get("created_at"), zone_name=zone),
        end=times.moment(record.get("updated_at"), zone_name=zone) if done else None,
        severity="error" if result in _FAILED else "",
    )


def _release(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> Item:
    draft = bool(record.get("draft")) or not record["published_at"]
    state = "draft" if draft else "prerelease" if record.get("prerelease") else "published"
    return _made(
        place,
        record,
        "release",
        f"{record['id']}:{'draft' if draft else record['published_at']}",
        f"release {record.get('name') or record['tag_name']} {state}",
        str(record["tag_name"]),
        {
            "state": state,
            "branch": record.get("target_commitish"),
            "modified": record.get("updated_at"),
            "url": record.get("html_url"),
        },
        times.moment(record["published_at"], zone_name=zone),
    )


def _made(
    place: tuple[int, str],
    record: dict[str, Any],
    kind: str,
    native: str,
    message: str,
    ref: str,
    attributes: dict[str, Any],
    time: Moment,
    *,
    column: str = "other",
    severity: str = "",
    end: Moment | None = None,
) -> Item:
    kept = {name: value for name, value in attributes.items() if value not in (None, "")}
    people = (record.get(name) for name in ("triggering_actor", "creator", "author", "actor"))
    address = lookup(record, "repository.name") or record.get("repository_url") or record.get("url") or ""
    match = _REPOSITORY.match(str(address))
    return event(
        place,
        record,
        native_id=f"{kind}:{native}",
        time=time,
        system=match[1] if match else "" if "/" in str(address) else str(address),
        kind=column,
        severity=severity,
        message=message,
        actor=next((str(person["login"]) for person in people if isinstance(person, dict) and person.get("login")), ""),
        ref=ref,
        attributes={"type": kind, **kept},
        **({"time_end": end} if end else {}),
    )


def recognise(head: Head) -> bool:
    """Return whether the first record is one of the four."""
    content = head.document
    if isinstance(content, dict):
        content = next((content[name] for name in ("workflow_runs", "deployments", "statuses", "releases")
                        if isinstance(content.get(name), list)), content)  # fmt: skip
    first = content[0] if isinstance(content, list) and content else content
    if not isinstance(first, dict):
        return False
    inner = first.get("deployment_status") or first.get("workflow_run") or first
    return isinstance(inner, dict) and bool(_kind(inner))


FORMAT = Format(
    name="github",
    title="GitHub deployments, deployment statuses, workflow runs, releases",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="Statuses alone do not name a commit: put the list of deployments into the same file.",
)

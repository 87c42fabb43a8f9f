"""GitLab: deployments, pipelines and jobs, as the REST API lists them.

A JSON list or JSON lines.

==========  ==============================================================================================
column      field
==========  ==============================================================================================
time        deployment: ``deployable.finished_at`` (the job's end), else ``finished_at``; pipeline and job:
            ``started_at`` (end ``finished_at``), a pipeline of a list ``created_at``
system      ``deployable.project``'s or the project's name, from the address
kind        deploy for a deployment with status ``success``; other for all else
severity    error for what failed
actor       ``user.name``, else ``user.username``
ref         ``sha``, else ``commit.id``
attributes  ``type``, ``state``, environment, branch or tag, job, pipeline, number (``iid``)
==========  ==============================================================================================

Traps: a deployment's ``created_at`` is when its job was made, which may wait for hours or for a person; it went live
when the job finished. A deployment that the API made has no job: it is undated, between ``created_at`` and
``updated_at``, which also changes when something is edited. A pipeline of a list names neither start nor end. Jobs
and pipelines are of kind ``other``: whether they put something live is not written. Of the
states of a pipeline or job the latest is kept; a deployment that was exported while it ran has an event for that too.

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

_OPEN = ("created", "running", "blocked")  # states of a deployment that is not over
_PROJECT = re.compile(r"https?://[^/]+/(?:.*/)?([^/]+)/-/")
_FIELDS = {
    "deployment": {"iid", "sha", "environment", "status"},
    "job": {"stage", "pipeline", "name", "status"},
    "pipeline": {"iid", "sha", "ref", "status", "web_url"},
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
        Kind ``deploy`` for what went live.
    """
    zone = source.time.zone
    yield from each(documents.objects(path, "deployments"), lambda place, record: [_event(place, record, zone)])


def _kind(record: dict[str, Any]) -> str:
    return next((kind for kind, names in _FIELDS.items() if names <= set(record)), "")


def _event(place: tuple[int, str], record: dict[str, Any], zone: str | None) -> Item:
    kind = _kind(record)
    if not kind:
        raise InputError("neither a deployment, a pipeline nor a job")
    job = record.get("deployable") or {} if kind == "deployment" else record if kind == "job" else {}
    state = str(record["status"])
    environment = lookup(record, "environment.name") or ""
    branch = record.get("ref") or ""
    told = {
        "deployment": f"deployment of {branch} to {environment} {state}",
        "job": f"job {record.get('name')} ({record.get('stage')}) {state}",
        "pipeline": f"pipeline for {branch} {state}",
    }
    address = record.get("web_url") or job.get("web_url") or lookup(job, "pipeline.web_url") or ""
    project = _PROJECT.match(str(address))
    user = record.get("user") or job.get("user") or {}
    attributes = {
        "type": kind,
        "state": state,
        "environment": environment,
        "branch": branch,
        "number": record.get("iid"),
        "job": job.get("name") if kind == "deployment" else None,
        "pipeline": lookup(job, "pipeline.id"),
        "cause": record.get("source") or record.get("failure_reason"),
        "url": address,
        "modified": record.get("updated_at") or record.get("finished_at"),
    }
    opened = kind == "deployment" and state in _OPEN
    return event(
        place,
        record,
        native_id=f"{kind}:{record['id']}{':opened' if opened else ''}",
        system=project[1] if project else "",
        kind="deploy" if kind == "deployment" and state == "success" else "other",
        severity="error" if state == "failed" else "",
        message=told[kind],
        actor=str(user.get("name") or user.get("username") or ""),
        ref=str(record.get("sha") or lookup(record, "commit.id") or ""),
        attributes={name: value for name, value in attributes.items() if value not in (None, "")},
        **_moments(kind, record, job, zone),
    )


def _moments(kind: str, record: dict[str, Any], job: dict[str, Any], zone: str | None) -> dict[str, Moment]:
    """Return when it happened; a deployment without a finished job only has bounds."""

    def moment(value: Any) -> Moment:
        return times.moment(value, zone_name=zone)

    if kind != "deployment":
        start = record.get("started_at") or record.get("created_at")
        return {"time": moment(start), "time_end": moment(record.get("finished_at"))}
    end = job.get("finished_at") or record.get("finished_at")
    if end:
        return {"time": moment(end)}
    if record["status"] in _OPEN:
        return {"time": moment(record["created_at"])}
    bounds = {"time_earliest": moment(record["created_at"]), "time_latest": moment(record.get("updated_at"))}
    return {"time": Moment(None, "", ""), **bounds}


def recognise(head: Head) -> bool:
    """Return whether the first record is one of the three."""
    content = head.document
    if isinstance(content, dict) and isinstance(content.get("deployments"), list):
        content = content["deployments"]
    first = content[0] if isinstance(content, list) and content else content
    return isinstance(first, dict) and "created_at" in first and bool(_kind(first))


FORMAT = Format(
    name="gitlab",
    title="GitLab deployments, pipelines, jobs",
    tested="documented format",
    read=read,
    recognise=recognise,
    notes="A deployment that was made by the API without a job has bounds, not a time.",
)

"""Rows from the records of MLflow, in the form that its file and its API share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rca import times
from rca.sources.items import Item, edge, event, metric

__all__ = ["Record", "alias_record", "make", "number", "run_record", "value_record", "version_record"]

SEVERITY = {"FAILED": "error", "KILLED": "warning"}
DELETED = "Deleted_Internal"  # stage of a version that was deleted

Record = dict[str, Any]


def make(place: tuple[int, str], record: Record) -> Iterator[Item]:
    """Yield the rows of one record."""
    makers = {"run": _run, "value": _value, "version": _version, "alias": _alias}
    yield from makers[record["record"]](place, record)


def _run(place: tuple[int, str], run: Record) -> Iterator[Item]:
    status = str(run["status"])
    attributes = {key: run[key] for key in ("name", "status", "lifecycle", "params", "metrics", "datasets")}
    attributes |= {
        "experiment_id": run["experiment_id"],
        "commit": run["tags"].get("mlflow.source.git.commit"),
        "tags": run["tags"],
        "modified": run["end"],
    }
    yield event(
        place, run, native_id=f"run {run['run_id']}",
        time=_time(run["start"]), time_end=_time(run["end"]), system=run["experiment"], kind="training_run",
        severity=SEVERITY.get(status, "info"), message=f"run {run['name'] or run['run_id']}: {status}",
        actor=run["user"], ref=run["run_id"],
        attributes={key: value for key, value in attributes.items() if value},
    )  # fmt: skip
    for dataset in run["datasets"]:
        if dataset["name"] != run["experiment"]:
            raw = {"dataset": dataset["name"], "experiment": run["experiment"]}
            yield edge(place, raw, cause=dataset["name"], effect=run["experiment"], kinds=("data", "job"))


def _value(place: tuple[int, str], raw: Record) -> Iterator[Item]:
    value = raw["value"]
    yield metric(
        place, raw, time=_time(raw["timestamp"]), system=raw["experiment"], metric=raw["key"],
        value=None if value == "NaN" else value,
    )  # fmt: skip


def _version(place: tuple[int, str], version: Record) -> Iterator[Item]:
    """Yield what is known of a version: its creation, its last change, and its tags, which have no time."""
    name, created, changed = version["name"], _time(version["created"]), _time(version["changed"])
    ref, stage = f"{name}/{version['version']}", version["stage"]
    common = {"system": name, "kind": "model_version", "ref": ref, "severity": "info"}

    def part(what: str, *keys: str) -> tuple[Record, Record]:
        """Return the raw record of one of the events, and its attributes."""
        kept = {key: version[key] for key in keys if version[key]}
        return {"record": what, "name": name, "version": version["version"]} | kept, kept

    raw, attributes = part("version created", "created", "user", "run_id", "source", "experiment")
    attributes.pop("created", None)
    yield event(
        place, raw, native_id=f"version {ref} {version['created']}",
        time=created, actor=version["user"], message=f"model version {ref} registered",
        attributes=attributes, **common,
    )  # fmt: skip
    if changed.ns is not None and changed.ns != created.ns:
        raw, attributes = part("version changed", "changed", "stage", "status", "description")
        now = "deleted" if stage == DELETED else f"last changed; now stage {stage or 'None'}, {version['status']}"
        attributes |= {"lifecycle": "deleted"} if stage == DELETED else {}
        yield event(place, raw, time=changed, message=f"model version {ref} {now}", attributes=attributes, **common)
    if version["tags"]:
        raw, attributes = part("version tags", "tags")
        yield event(
            place, raw, time=times.moment(None), time_earliest=created, attributes=attributes,
            message=f"model version {ref} has tags in this export; since when is not recorded", **common,
        )  # fmt: skip
    if version["experiment"] not in ("", name):
        raw = {"experiment": version["experiment"], "model": name}
        yield edge(place, raw, cause=version["experiment"], effect=name, kinds=("job", "model"))


def _alias(place: tuple[int, str], alias: Record) -> Iterator[Item]:
    ref = f"{alias['name']}/{alias['version']}"
    yield event(
        place, alias, time=times.moment(None), time_earliest=_time(alias["version_created"]), system=alias["name"],
        kind="model_version", severity="info", ref=ref, attributes={"alias": alias["alias"]},
        message=f"alias {alias['alias']} points to {ref} in this export; since when is not recorded",
    )  # fmt: skip


def _time(value: Any) -> times.Moment:
    return times.moment(value, form="epoch_ms")


def number(value: Any) -> Any:
    """Return a number as a float: 1 and 1.0 are one value, in the file and in JSON."""
    return float(value) if isinstance(value, int) else value


def run_record(
    row: tuple[Any, ...], experiment: str, params: Record, tags: Record, metrics: Record, datasets: list[Record]
) -> Record:
    """Return a run; `row` is id, name, user, status, start, end, lifecycle and id of the experiment."""
    run_id, name, user, status, start, end, lifecycle, experiment_id = row
    return {
        "record": "run", "run_id": str(run_id), "name": name or tags.get("mlflow.runName") or "",
        "user": user or tags.get("mlflow.user") or "", "status": status or "", "start": start, "end": end,
        "lifecycle": lifecycle or "active", "experiment_id": str(experiment_id), "experiment": experiment,
        "params": params, "tags": tags, "metrics": metrics,
        "datasets": sorted(datasets, key=lambda item: (item["name"], item["digest"])),
    }  # fmt: skip


def value_record(run: Record, key: Any, value: Any, stamp: Any, step: Any) -> tuple[str, Record]:
    """Return place and record of one logged value of a metric."""
    return f"run {run['run_id']} metric {key} step {step or 0}", {
        "record": "value", "run_id": run["run_id"], "experiment": run["experiment"], "key": str(key),
        "value": number(value), "timestamp": stamp, "step": step or 0,
    }  # fmt: skip


def version_record(row: tuple[Any, ...], tags: Record, experiment: str) -> tuple[str, Record]:
    """Return place and record of a model version; `experiment` is that of its run, or ""."""
    name, version, created, changed, description, user, stage, origin, run_id, status = row
    return f"version {name}/{version}", {
        "record": "version", "name": str(name), "version": str(version), "created": created, "changed": changed,
        "description": description or "", "user": user or "", "stage": stage or "", "source": origin or "",
        "run_id": run_id or "", "status": status or "", "tags": tags, "experiment": experiment,
    }  # fmt: skip


def alias_record(name: Any, alias: Any, version: Any, created: Any) -> tuple[str, Record]:
    """Return place and record of an alias; `created` is when its version was."""
    return f"alias {name}/{alias}", {
        "record": "alias", "name": str(name), "alias": str(alias), "version": str(version), "version_created": created,
    }  # fmt: skip

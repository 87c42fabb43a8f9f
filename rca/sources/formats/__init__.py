"""The formats of systems' exports, one module each; packages add theirs (entry-point group ``rca.sources``)."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from rca.errors import UnknownName, did_you_mean, shorten
from rca.sources.batches import READERS
from rca.sources.items import Format

__all__ = ["NAMES", "every", "get"]

NAMES = (
    "accesslog", "airflow", "alertmanager", "cloudtrail", "container", "dbt", "elastic", "gcplog", "github", "gitlab",
    "gitlog", "grafana", "jira", "jsonlog", "kubernetes", "mlflow", "neptune", "openlineage", "opsgenie", "otlp",
    "pagerduty", "plaso", "postgres", "prometheus", "servicenow", "slack", "splunk", "syslog", "teams", "timesketch",
    "wandb",
)  # fmt: skip


def get(name: str) -> Format:
    """Return the format called `name`; others are not even imported.

    Raises
    ------
    UnknownName
        If there is no such format, with the nearest name.

    Examples
    --------
    >>> get("slack").tables
    ('events',)
    """
    if name in NAMES:
        return _own(name)
    installed = _installed()
    if name not in installed:
        near = did_you_mean(name, [*READERS, *NAMES, *installed])
        raise UnknownName(f"unknown reader {shorten(name)}{near}")
    found: Format = installed[name].load()
    return found


def every() -> list[Format]:
    """Return all formats, the package's own first."""
    return [*map(_own, NAMES), *(point.load() for point in _installed().values())]


@cache
def _own(name: str) -> Format:
    found: Format = import_module(f"rca.sources.formats.{name}").FORMAT
    return found


def _installed() -> dict[str, EntryPoint]:
    points = entry_points(group="rca.sources")
    return {point.name: point for point in points if point.name not in (*READERS, *NAMES)}

"""MLflow: its SQLite file, or what `pull` saved from its REST API; runs, metric histories, model versions.

The file is opened read-only and immutable: nothing is written beside it either. A file with a write-ahead log
or a rollback journal beside it is refused, since part of its content is there and not in the file. Columns
are asked for by name, so that files of older and newer versions are read as far as they go.

Traps: an alias has no history, in the file or in the API: it becomes an undated event, not earlier than the
version that it points to. A stage or description leaves one time only, that of the version's last change, and
not what changed then. Deleted runs stay, with ``lifecycle`` deleted; deleted versions stay in the file, with
their source blanked, but are not in the API. Infinite values are stored as the largest number there is. The
number of a step is not kept: values of one run and metric that share a millisecond are in the order of steps.
Tags can be changed at any time without a trace; those of a version are an
undated event too.

Tested against a real server (MLflow 3.17), file and API giving equal rows. Logged models, traces and
evaluation data sets of MLflow 3 are not read.

=============  =======================================================================================
events         one a run (``training_run``); of a model version (``model_version``) its creation, its last
               change if that was later, its tags, and each alias
time           start_time to end_time; creation and last update (milliseconds)
system         name of the experiment; name of the registered model
severity       FAILED error, KILLED warning, else info
actor, ref     user; run id, or ``model/version``
native id      run id; model version with its creation: of the states of a run one that has ended is kept
attributes     run name, params, tags, last metrics, data sets, git commit; run id, source; stage, status
metrics        every logged value, of the experiment; NaN is missing
dependencies   data set -> experiment (inputs of runs), experiment -> registered model
=============  =======================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca.errors import InputError, MissingFile
from rca.incident.model import Source
from rca.sources.formats.mlflow.database import MAGIC, stored
from rca.sources.formats.mlflow.rest import API, pull, pulled
from rca.sources.formats.mlflow.rows import make
from rca.sources.items import Format, Head, Item, Reject, each

__all__ = ["FORMAT", "pull", "read", "recognise"]


def read(path: Path, source: Source) -> Iterator[Item | Reject]:
    """Yield events, metrics and dependencies.

    Parameters
    ----------
    path : Path
        A SQLite file of MLflow, or a file that `pull` saved.
    source : Source
        Nothing of it is needed: all times are milliseconds since 1970.

    Yields
    ------
    Item or Reject
        Runs by id, then metrics by run, name and time, then model versions, then aliases.

    Raises
    ------
    InputError
        If it is no such file, is damaged, or has a journal beside it.
    """
    try:
        with path.open("rb") as handle:
            database = handle.read(len(MAGIC)) == MAGIC
    except FileNotFoundError as error:
        raise MissingFile(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    records = stored(path) if database else pulled(path)
    yield from each(_numbered(records), make)


def _numbered(records: Iterator[tuple[str, Any]]) -> Iterator[tuple[int, str, Any]]:
    for number, (place, record) in enumerate(records, start=1):
        yield number, place, record._replace(position=number) if isinstance(record, Reject) else record


def recognise(head: Head) -> bool:
    r"""Return whether a file is a SQLite database (no other format here is one), or what `pull` saved.

    Notes
    -----
    The names of the tables need not stand in the head of a SQLite file; `read` asks for them.

    Examples
    --------
    >>> recognise(Head("backup.db", "", data=b"SQLite format 3\0..."))
    True
    """
    if head.data.startswith(MAGIC):
        return True
    first = head.document
    request = first.get("request") if isinstance(first, dict) else None
    return isinstance(request, dict) and str(request.get("path") or "").startswith(API)


FORMAT = Format(
    name="mlflow",
    title="MLflow: runs, metrics and model versions of its SQLite file or its API",
    tested="real server",
    read=read,
    recognise=recognise,
    tables=("events", "metrics", "dependencies"),
    notes="Alias moves have no history: who pointed where, and when, is not recorded. Of stage changes only the "
    "last time is known. The metrics of all runs of an experiment are series of one system.",
)

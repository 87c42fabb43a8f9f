"""The models and tables of one incident, read and checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from rca import files, tables
from rca.errors import InputError, UnknownName, did_you_mean, raise_all
from rca.incident.model import IncidentFile, ModelPart
from rca.modelfile.store import open_model

__all__ = ["TABLES", "ModelEvidence", "evidence"]

TABLES = ("holdout", "training_before", "window_before", "window_after")
UNDECIDED = ("model.holdout", "model.training_before")  # rows on which no decision was made


@dataclass(frozen=True, eq=False)
class ModelEvidence:
    """Models and tables of an incident, read and checked against each other.

    Attributes
    ----------
    before, after : object or None
        The models.
    holdout, training_before, window_before, window_after : DataFrame or None
        The tables; every one that is there has all `features`.
    features : tuple of str
        Columns that the models take, in their order.
    label, prediction, decision, user, group, time : str
        Names of the other columns; ``""`` where incident.yaml names none.
    missing : tuple of str
        One sentence for each thing that is not there.
    notes : tuple of str
        What a reader must know about what is there, such as another version of scikit-learn.
    """

    before: Any = None
    after: Any = None
    holdout: pd.DataFrame | None = None
    training_before: pd.DataFrame | None = None
    window_before: pd.DataFrame | None = None
    window_after: pd.DataFrame | None = None
    features: tuple[str, ...] = ()
    label: str = ""
    prediction: str = ""
    decision: str = ""
    user: str = ""
    group: str = ""
    time: str = ""
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Incident(Protocol):
    """What is needed of an incident."""

    @property
    def folder(self) -> Path: ...
    @property
    def file(self) -> IncidentFile: ...


def evidence(inc: _Incident, *, trust: bool = False) -> ModelEvidence:
    """Read the models and tables that an incident names, and check that they fit each other.

    Parameters
    ----------
    inc : Incident
        An incident; its ``model`` part may be absent.
    trust : bool, default False
        Passed to `load`.

    Returns
    -------
    ModelEvidence
        What is there; what is not is said in ``missing``.

    Raises
    ------
    UnknownName
        If a column that incident.yaml or a model names is in no table.
    InputError
        If a table is empty, or models and incident.yaml name other features.
    """
    part = inc.file.model
    if part is None:
        return ModelEvidence(missing=("incident.yaml names no model: nothing is said about the model's inside.",))
    missing, notes = [], []
    models: dict[str, Any] = {}
    for name in ("before", "after"):
        if getattr(part, name):
            models[name], note = open_model(files.inside(inc.folder, getattr(part, name)), trust)
            notes += [note] if note else []
        else:
            missing.append(f"incident.yaml names no model {name} the incident (model.{name}).")
    frames: dict[str, pd.DataFrame] = {}
    for name in TABLES:
        if getattr(part, name):
            path = files.inside(inc.folder, getattr(part, name))
            frames[name] = tables.read(path, where=f"incident.yaml: model.{name}")
        else:
            missing.append(f"incident.yaml names no table model.{name}.")
    raise_all([f"incident.yaml: model.{name}: the table has no rows" for name, frame in frames.items() if frame.empty])
    features = _features(part, models, frames)
    for name, frame in frames.items():
        absent = [column for column in features if column not in frame.columns]
        where = f"incident.yaml: model.{name}"
        raise_all([f"{where}: no feature column {c!r}{did_you_mean(c, frame.columns)}" for c in absent], UnknownName)
    columns = {name: getattr(part, name) for name in ("label", "prediction", "decision", "user", "group", "time")}
    missing += _absent_columns(columns, frames)
    return ModelEvidence(**models, **frames, **columns, features=features, missing=tuple(missing), notes=tuple(notes))


def _absent_columns(columns: dict[str, str], frames: dict[str, pd.DataFrame]) -> list[str]:
    everywhere = sorted({str(column) for frame in frames.values() for column in frame.columns})
    problems, missing = [], []
    for role, column in columns.items():
        without = [f"model.{name}" for name, frame in frames.items() if column not in frame.columns]
        if not column:
            missing.append(f"incident.yaml names no {role} column (model.{role}).")
        elif frames and len(without) == len(frames):
            near = did_you_mean(column, everywhere)
            problems.append(f"incident.yaml: model.{role}: no table has a column {column!r}{near}")
        elif lacking := [name for name in without if role == "label" or name not in UNDECIDED]:
            missing.append(f"{' and '.join(lacking)} without the {role} column {column!r}.")
    raise_all(problems, UnknownName)
    return missing


def _features(part: ModelPart, models: dict[str, Any], frames: dict[str, pd.DataFrame]) -> tuple[str, ...]:
    said = {f"model {name}": names for name, model in models.items() if (names := _names(model))}
    if part.features:
        said["incident.yaml: model.features"] = tuple(part.features)
    if not said:
        others = {part.label, part.prediction, part.decision, part.user, part.group, part.time}
        shared = [c for c in next(iter(frames.values()), pd.DataFrame()).columns if c not in others]
        return tuple(c for c in shared if all(c in frame.columns for frame in frames.values()))
    first, features = next(iter(said.items()))
    for other, names in said.items():
        only, lack = [n for n in features if n not in names], [n for n in names if n not in features]
        if only or lack:
            told = [f"only in {place}: {', '.join(some)}" for place, some in ((first, only), (other, lack)) if some]
            raise InputError(f"{first} and {other} name different features; {'; '.join(told)}")
        if names != features and other.startswith("model "):
            raise InputError(f"{first} and {other} take the same features in another order")
    return features


def _names(model: Any) -> tuple[str, ...]:
    names = getattr(model, "feature_names_in_", ())
    if hasattr(model, "feature_name"):  # lightgbm's Booster
        names = model.feature_name()
    return tuple(map(str, names))

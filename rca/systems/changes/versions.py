"""One run or version as plain nested values: from a mapping, an event, an exported run or a file; as data only."""

from __future__ import annotations

import datetime
import json
import math
import numbers
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from rca import files, yamlfile
from rca.errors import InputError, UnsafeInput, shorten
from rca.systems.changes.settings import hidden, reader
from rca.times import parse

__all__ = ["MAX_DEPTH", "MAX_VALUES", "ORDER", "Leaves", "leaves", "load", "same"]

MAX_BYTES = 16 * 2**20
ORDER = "(order)"  # the order of named items, beside them
MAX_DEPTH = 40
MAX_VALUES = 100_000
Leaves = dict[tuple[str, ...], Any]

_BINARY = {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".h5", ".npy", ".npz", ".dill", ".onnx", ".parquet", ".zip"}
_PACKAGES = {"packages", "requirements", "dependencies", "pip", "conda"}
_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*+)\s*+(?:\[[^\]]*+\]\s*+)?((?:[=<>!~]=?|@).*)?")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.{0,30}")
_NAMES = ("name", "key", "id", "step")  # what an item of a list goes by


def load(version: Any, where: str) -> Any:
    """Return a version as nested dict, list and scalars.

    Parameters
    ----------
    version : mapping, Series, str or Path
        See ``rca.changes.diff``.
    where : str
        Place for error messages.

    Raises
    ------
    MissingFile, UnsafeInput, InputError
        If a file is not there, holds no plain data, or too much of it.
    """
    if isinstance(version, (str, Path)):
        return _file(Path(version))
    if isinstance(version, pd.Series):
        version = {str(name): value for name, value in version.items() if name in ("system", "ref", "attributes")}
        attributes = version.pop("attributes", "")
        parsed = _parsed(attributes)
        if isinstance(parsed, Mapping):
            version |= parsed
        elif parsed or (isinstance(attributes, str) and attributes):
            version["attributes"] = attributes
    if not isinstance(version, Mapping):
        raise InputError(f"{where}: found {type(version).__name__}; wanted a mapping, an event or the path of a file")
    return version


def _file(path: Path) -> Any:
    suffix, name = path.suffix.lower(), path.name.lower()
    if suffix in _BINARY:
        raise UnsafeInput(f"{path}: {suffix} is not read: only plain data (YAML, JSON, TOML, requirements, text)")
    if suffix in (".yaml", ".yml") or name == "mlmodel":
        return yamlfile.load(path)[0]
    raw = files.read_bytes(path, limit=MAX_BYTES)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no UTF-8 text (byte {error.start})") from error
    try:
        if suffix == ".json":
            return _without_repeats(json.loads(text, object_pairs_hook=_pairs), str(path))
        if suffix == ".toml":
            return tomllib.loads(text)
    except RecursionError as error:
        raise UnsafeInput(f"{path}: more than {MAX_DEPTH} levels") from error
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path}: cannot be read ({shorten(error, 200)})") from error
    if settings := reader(name):
        return settings(text, str(path))
    if re.match(r"(?:requirements|constraints).*\.(?:txt|in)$", name):
        lines = [re.split(r"\s#|^#|;|\s--hash", line)[0].strip(" \\\t") for line in text.splitlines()]
        return {"packages": [line for line in lines if line and not line.startswith("--hash")]}
    return {"prompt" if "prompt" in name else "text": text}


class _Repeated(str):
    """A key that a JSON object has twice."""


def _pairs(pairs: list[tuple[str, Any]]) -> Any:
    """Return an object of JSON as a mapping, or a key that it repeats."""
    out = dict(pairs)
    return out if len(out) == len(pairs) else _Repeated(Counter(key for key, _ in pairs).most_common(1)[0][0])


def _without_repeats(value: Any, where: str) -> Any:
    """Return a value of JSON, or refuse a key that one object has twice, as the readers of YAML and TOML do."""
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        place, item = stack.pop()
        if isinstance(item, _Repeated):
            raise InputError(f"{where}: {place.removeprefix('.') or 'top level'}: duplicate key {shorten(item)}")
        if isinstance(item, dict):
            stack += [(f"{place}.{key}", inner) for key, inner in item.items()]
        elif isinstance(item, list):
            stack += [(f"{place}[{number}]", inner) for number, inner in enumerate(item)]
    return value


def leaves(version: Any, where: str) -> Leaves:
    """Return the values of a version by their path; lists of texts and empty collections stay whole.

    Raises
    ------
    UnsafeInput
        If it holds too much, or too deep.
    InputError
        If it holds what is no plain value, or one key twice.
    """
    out: Leaves = {}
    stack: list[tuple[tuple[str, ...], Any]] = [((), _run(version))]
    while stack:
        path, value = stack.pop()
        if len(path) > MAX_DEPTH or len(out) + len(stack) > MAX_VALUES:
            raise UnsafeInput(f"{where}: more than {MAX_DEPTH} levels or {MAX_VALUES:,} values")
        value = _plain(value, path, where)
        if isinstance(value, dict) and value:
            keys = [str(key) for key in value]
            if len(set(keys)) < len(keys):
                raise InputError(f"{where}: {'.'.join(path) or 'top level'}: a key occurs twice as text")
            stack += [((*path, key), item) for key, item in zip(keys, value.values(), strict=True)]
        elif isinstance(value, list) and value and not all(isinstance(item, str) for item in value):
            stack += [((*path, f"[{number}]"), item) for number, item in enumerate(value)]
        else:
            out[path] = value
    return out


def _plain(value: Any, path: tuple[str, ...], where: str) -> Any:
    """Return a value in one form: what stands for a mapping as a mapping, and scalars as those of JSON."""
    for _ in range(MAX_DEPTH):
        if not (isinstance(value, Mapping) and set(value) in ({"value"}, {"value", "desc"})):
            break
        value = value["value"]  # as W&B writes settings
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, (list, tuple)):
        return _listed(list(value), path)
    if isinstance(value, str) and value[:1] in ("{", "["):
        parsed = _parsed(value)
        return value if parsed is None else _plain(parsed, path, where)
    if hasattr(value, "item") and hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        try:
            return str(value.astimezone(datetime.UTC))
        except OverflowError:  # at the ends of the calendar
            return str(value)
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta, numbers.Number, Path)):
        return str(value)
    raise InputError(f"{where}: {'.'.join(path) or 'top level'}: {type(value).__name__} is no plain value")


def _parsed(text: Any) -> Any:
    """Return the mapping or list that a JSON text holds; None if it is none."""
    if isinstance(text, (Mapping, list)):
        return text
    try:
        if not isinstance(text, str) or len(text) > MAX_BYTES:
            return None
        value = _without_repeats(json.loads(text, object_pairs_hook=_pairs), "")
    except (ValueError, RecursionError):  # of a key that occurs twice, all is kept: as text
        return None
    return value if isinstance(value, (dict, list)) and value else None


def _listed(items: list[Any], path: tuple[str, ...]) -> Any:
    """Return a list as a mapping where its items have names: requirements, pairs of key and value, steps."""
    if path and path[-1].lower() in _PACKAGES:
        rest = [item for item in items if not isinstance(item, str)]
        groups = [key for item in rest if isinstance(item, Mapping) for key in item]
        packages = _packages([item for item in items if isinstance(item, str)], groups)
        if packages and all(isinstance(item, Mapping) for item in rest) and len(set(groups)) == len(groups):
            for item in rest:
                packages |= item
            return packages
    if not items or not all(isinstance(item, Mapping) for item in items):
        return items
    key = next((name for name in _NAMES if all(isinstance(item.get(name), str) for item in items)), None)
    names = [item[key] for item in items] if key else []
    if not key or len(set(names)) < len(names):
        return items
    if all({key, "value"} <= set(item) <= {key, "value", "timestamp", "step"} for item in items):
        return {item[key]: item["value"] for item in items}
    rows: dict[str, Any] = {item[key]: {name: v for name, v in item.items() if name != key} for item in items}
    return rows | {ORDER: names} if len(names) > 1 else rows


def _packages(texts: list[str], groups: Collection[str]) -> dict[str, Any]:
    """Return the versions of requirements by package, and what names none (``-r other.txt``, an address) by its text.

    So stands a package beside a group of its name: conda lists ``pip`` and what pip installs. Empty if nothing parses.
    """
    versions: dict[str, list[str]] = {}
    parsed = False
    for text in texts:
        found = _REQUIREMENT.fullmatch(text)
        name = re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""
        parsed |= bool(name)
        if not found or name in groups:
            versions.setdefault(f"[{hidden('', text)}]", []).append(text)
        else:
            version = re.sub(r"(?<=[=<>!~,])\s++", "", found[2] or "any version")
            versions.setdefault(name, []).append(version.lstrip("= "))
    return {name: ", ".join(sorted(several)) for name, several in versions.items()} if parsed else {}


def _run(version: Any) -> Any:
    """Return a run of MLflow's API without its outer layers; anything else as it is."""
    if not isinstance(version, Mapping):
        return {"content": version}
    version = version["run"] if set(version) == {"run"} and isinstance(version["run"], Mapping) else version
    if not {"info", "data"} <= set(version) or not isinstance(version["data"], Mapping):
        return version
    inputs = version.get("inputs") or {}
    sets = inputs.get("dataset_inputs", []) if isinstance(inputs, Mapping) else []
    return {"info": version["info"], **version["data"], "datasets": [
        item["dataset"] if isinstance(item, Mapping) and "dataset" in item else item for item in sets
    ]}  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Return whether two scalars are one value: numbers may differ in their last binary digit, times in their zone."""
    if isinstance(one, str) and isinstance(other, str) and one != other:
        instant = _instant(one)
        return instant is not None and instant == _instant(other)
    if isinstance(one, bool) or isinstance(other, bool) or isinstance(one, str) or isinstance(other, str):
        return type(one) is type(other) and one == other
    if isinstance(one, float) and isinstance(other, float) and math.isfinite(one) and math.isfinite(other):
        return abs(one - other) <= math.ulp(max(abs(one), abs(other)))
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    return bool(one == other)


def _instant(text: str) -> pd.Timestamp | None:
    """Return the instant that a text names by date, time and offset; None if it names none."""
    try:
        return parse(text) if _INSTANT.fullmatch(text) else None
    except InputError:
        return None

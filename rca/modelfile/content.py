"""The content of a model apart from where it lay in memory: one model, one file and one fingerprint."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rca.errors import InputError

__all__ = ["archive", "fingerprint"]

FIXED_TIME = (1980, 1, 1, 0, 0, 0)
SEARCHED, COUNTERS = ("KDTree", "BallTree"), slice(7, 11)  # of their state: trims, leaves, splits and calls so far


def fingerprint(model: Any) -> str:
    """Return a hash that is the same for two models if and only if they hold the same.

    Parameters
    ----------
    model : object
        Any model; of a kind that skops cannot hold, the hash is of its pickle (which is written, never read).

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    InputError
        If a part of the model can neither be written by skops nor pickled, as a function without a name.

    Notes
    -----
    What does not change what a model computes is left out: how often the search trees of neighbours were asked, and
    catboost's time and number of the training.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> one, two = (LinearRegression().fit([[0.0], [1.0]], y) for y in ([0, 1], [0, 2]))
    >>> fingerprint(one) == fingerprint(two)
    False
    """
    return _digest(_content(model))


def _content(model: Any) -> dict[str, bytes]:
    family = type(model).__module__.partition(".")[0]
    if family == "xgboost":
        return {"ubj": bytes((model.get_booster() if hasattr(model, "get_booster") else model).save_raw("ubj"))}
    if family == "lightgbm":
        return {"txt": getattr(model, "booster_", model).model_to_string().encode()}
    if family == "catboost":
        return _of_catboost(model)
    import pickle

    import skops.io

    try:
        members = _members(skops.io.dumps(model))
        schema = _uncounted(members["schema.json"])
        if b'"__module__": "catboost' not in schema:
            return {**members, "schema.json": schema}
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        pass
    try:
        return {"pickle": _pickled(model).encode()}
    except pickle.PicklingError as error:
        raise InputError(f"the {type(model).__name__} holds what cannot be written: {error.args[0]}") from error


def _of_catboost(model: Any) -> dict[str, bytes]:
    """Return trees and classes; models with texts or embeddings, which have no JSON, whole."""
    import catboost

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        try:
            model.save_model(str(path), format="json")
        except catboost.CatBoostError:
            model.save_model(str(path), format="cbm")
            return {"cbm": path.read_bytes()}
        whole = json.loads(path.read_text(encoding="utf-8"))
    about = whole.pop("model_info", {})
    whole["classes"], whole["loss"] = about.get("class_params"), about.get("params", {}).get("loss_function")
    return {"json": json.dumps(whole, sort_keys=True).encode()}


def _uncounted(schema: bytes) -> bytes:
    """Return a schema without how often the search trees of neighbours were asked."""
    whole = json.loads(schema)
    for node in _nodes(whole):
        if node.get("__class__") in SEARCHED and node.get("__module__", "").startswith("sklearn.neighbors."):
            state = node["content"]["content"]
            state[COUNTERS] = [None] * len(state[COUNTERS])
    return json.dumps(whole).encode()


def _pickled(model: Any) -> str:
    """Return the hash of a model's pickle, with catboost and the search trees of neighbours by what they compute."""
    from joblib.hashing import NumpyHasher
    from sklearn.neighbors import BallTree, KDTree

    class Hasher(NumpyHasher):  # type: ignore[misc]
        def save(self, obj: Any) -> None:
            if isinstance(obj, (BallTree, KDTree)):
                state = list(obj.__getstate__())
                state[COUNTERS] = []
                obj = (type(obj).__name__, state)
            elif type(obj).__module__.startswith("catboost.") and hasattr(obj, "save_model"):
                obj = (type(obj).__name__, _of_catboost(obj))
            super().save(obj)

    return str(Hasher("md5").hash(model))


def _digest(content: dict[str, bytes]) -> str:
    lines = [f"{name} {hashlib.sha256(content[name]).hexdigest()}" for name in sorted(content)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def archive(data: bytes) -> bytes:
    """Return a skops file with the same content, compressed, with nothing in it from this run."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, content in sorted(_members(data).items()):
            target.writestr(zipfile.ZipInfo(name, FIXED_TIME), content, zipfile.ZIP_DEFLATED, 9)
    return out.getvalue()


def _members(data: bytes) -> dict[str, bytes]:
    """Return the members of a skops file, with memory addresses replaced by numbers in order of appearance."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        schema = json.loads(source.read("schema.json"))
        numbers: dict[int, int] = {}
        renamed: dict[str, str] = {}
        for number, node in enumerate(_nodes(schema), start=1):
            # Small values may or may not be one object in memory, which depends on how the model came about.
            shared = node.get("__loader__") != "JsonNode"
            node["__id__"] = numbers.setdefault(node["__id__"], number) if shared else number
            if "file" in node:
                node["file"] = renamed.setdefault(node["file"], f"{node['__id__']}{Path(node['file']).suffix}")
        members = {new: _without_gaps(source.read(old)) for old, new in renamed.items()}
    members["schema.json"] = json.dumps(schema, separators=(",", ":")).encode()
    return members


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every record of a skops schema that has an id, in the order of the file."""
    if isinstance(node, dict):
        if isinstance(node.get("__id__"), int):
            yield node
        for value in node.values():
            yield from _nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value)


def _without_gaps(content: bytes) -> bytes:
    """Return an array file with zeros between the fields of its records, where memory left whatever was there."""
    import numpy as np

    if not content.startswith(b"\x93NUMPY"):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    clean = np.zeros(array.shape, array.dtype)  # zeros_like would leave the gaps as they were
    for name in array.dtype.names:
        clean[name] = array[name]
    out = io.BytesIO()
    np.save(out, clean, allow_pickle=False)
    return out.getvalue()

"""Saving a model so that opening it runs no code, and opening with that checked."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rca import files
from rca.errors import InputError, UnsafeInput, shorten
from rca.modelfile.content import archive
from rca.modelfile.trees import check_trees

__all__ = ["load", "open_model", "save"]

MAX_FILE = 512 * 2**20
MAX_UNPACKED = 2 * 2**30
MAX_RATIO = 200  # unpacked to packed, where that is more than 64 MiB; models reach 30
MAX_MEMBERS = 200_000  # a forest has six arrays a tree

# Beyond what skops itself trusts (estimators and their losses), by exact name: each only holds data, or is a
# function without side effects. The two tree types hold indices that are followed unchecked at prediction, so
# `check_trees` looks at their content. Neighbour trees (KDTree, BallTree) have no such check and are left out.
ALLOWED = frozenset(
    {
        "builtins.object",
        "functools.partial",
        "numpy.dtype",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.interpolate._bsplines.BSpline",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils.validation.check_array",
    }
)
# What readers raise on a damaged or crafted file; no more than these, so that our own faults still show.
BROKEN = (
    AttributeError, EOFError, ImportError, LookupError, MemoryError, NotImplementedError, OSError, OverflowError,
    RecursionError, RuntimeError, TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
PICKLE_NAMES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".dill", ".cloudpickle")
# A pickle, or the compressions that joblib wraps around one.
PICKLE_STARTS = (
    b"\x80", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\x00\x00", b"\x04\x22\x4d\x18",
    b"x\x01", b"x^", b"x\x9c", b"x\xda",
)  # fmt: skip


def save(model: Any, path: str | Path) -> Path:
    """Write a model so that it can be opened without running code.

    Parameters
    ----------
    model : object
        A scikit-learn estimator or pipeline (``.skops``), xgboost model (``.ubj``) or lightgbm model (``.txt``).
    path : str or Path
        Where to; the suffix is the one above.

    Returns
    -------
    Path
        The file, written whole or not at all.

    Raises
    ------
    InputError
        If the suffix is another, or the model holds what the format cannot (a lambda, a scorer).

    Notes
    -----
    The same model gives the same bytes with the same library versions. Of a lightgbm model the booster is kept,
    not the scikit-learn wrapper.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.linear_model import LinearRegression
    >>> model = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(model, Path(folder) / "model.skops")
    ...     float(round(load(path).predict([[2.0]])[0], 6))
    5.0
    """
    path = Path(path)
    family = type(model).__module__.partition(".")[0]
    suffix = {"xgboost": ".ubj", "lightgbm": ".txt"}.get(family, ".skops")
    if path.suffix != suffix:
        raise InputError(f"{path}: a {family} model is saved as {suffix}, not {path.suffix or 'without a suffix'}")
    if family == "xgboost":
        # The wrapper's own save_model marks the file as classifier or regressor, and needs a file name.
        return _by_file(path, model.save_model)
    if family == "lightgbm":
        return files.write(path, getattr(model, "booster_", model).model_to_string())
    import skops.io

    try:
        data = skops.io.dumps(model)
        skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))  # some things only fail on the way back
    except BROKEN as error:
        name = type(model).__name__
        raise InputError(f"{path}: {name} cannot be saved without pickle ({shorten(error, 200)})") from error
    return files.write(path, archive(data))


def load(path: str | Path, *, trust: bool = False) -> Any:
    """Read a model file, refusing what could run code.

    Parameters
    ----------
    path : str or Path
        A file of `save`. What it is is told from its content, not from its name.
    trust : bool, default False
        Open pickles and unknown types too. They can run any code: only for files that you made.

    Returns
    -------
    object
        The model.

    Raises
    ------
    MissingFile
        If there is no such file.
    UnsafeInput
        If it is a pickle, holds types that are not allowed or trees that point outside themselves, or is past the
        limits.
    InputError
        If it is no model file, is damaged, or its library is not installed.

    Warns
    -----
    UserWarning
        If the file was written with another version of scikit-learn than the installed one.

    Notes
    -----
    512 MiB packed, 2 GiB unpacked. The trees inside scikit-learn models are checked not to point outside themselves;
    other compiled parts (support vector machines, xgboost, lightgbm) are trusted to check their own input.

    Examples
    --------
    >>> import pickle, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.skops"
    ...     _ = path.write_bytes(pickle.dumps({"a": 1}))
    ...     load(path)
    Traceback (most recent call last):
        ...
    rca.errors.UnsafeInput: ...model.skops is a pickle, which can run code when opened; ...
    """
    model, note = open_model(Path(path), trust)
    if note:
        warnings.warn(note, stacklevel=2)
    return model


def open_model(path: Path, trust: bool) -> tuple[Any, str]:
    """Return the model of a file, and a sentence on what is to be known about it, or ``""`` (see `load`)."""
    data = files.read_bytes(path, limit=MAX_FILE)
    if data[:4] == b"PK\x03\x04":
        names = _check_zip(path, data)
        if "schema.json" in names:
            return _skops(path, data, trust)
        pickled = any(name.endswith(".pkl") for name in names)
    elif data[:2] in (b"{L", b"{i", b"{U") or (data[:1] == b"{" and path.suffix == ".json"):
        return _xgboost(path, data), ""
    elif data[:5] == b"tree\n":
        return _lightgbm(path, data), ""
    else:
        pickled = data.startswith(PICKLE_STARTS) or path.suffix.lower() in PICKLE_NAMES
    if not pickled:
        raise InputError(f"{path}: no model file (it begins with {data[:8]!r}); save the model with rca.modelfile.save")
    if not trust:
        raise UnsafeInput(
            f"{path} is a pickle, which can run code when opened; save it with rca.modelfile.save, "
            "or say --trust if you made it yourself"
        )
    return _pickle(path), ""


def _check_zip(path: Path, data: bytes) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as zipped:
            members = zipped.infolist()
    except BROKEN as error:
        raise InputError(f"{path}: damaged archive ({shorten(error, 200)})") from error
    unpacked = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS or unpacked > MAX_UNPACKED:
        raise UnsafeInput(f"{path}: {len(members):,} members, {unpacked:,} bytes unpacked, more than the limits")
    if unpacked > 2**26 and unpacked > MAX_RATIO * len(data):
        raise UnsafeInput(f"{path}: unpacks to {unpacked:,} bytes, more than {MAX_RATIO} times its size")
    return [member.filename for member in members]


def _skops(path: Path, data: bytes, trust: bool) -> tuple[Any, str]:
    import skops.io
    from sklearn import __version__ as installed
    from sklearn.exceptions import InconsistentVersionWarning

    try:
        unknown = sorted(set(skops.io.get_untrusted_types(data=data)) - ALLOWED)
        if unknown and not trust:
            raise UnsafeInput(
                f"{path} holds types that are not known to be safe: {', '.join(unknown)}; "
                "say --trust if you made it yourself"
            )
        with warnings.catch_warnings():
            # scikit-learn warns here once for every part of the model; the note below says it once.
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            model = skops.io.loads(data, trusted=[*ALLOWED, *unknown])
        with zipfile.ZipFile(io.BytesIO(data)) as zipped:
            written = _versions(json.loads(zipped.read("schema.json")))
        check_trees(model, where=str(path))
    except BROKEN as error:
        if isinstance(error, UnsafeInput):
            raise
        raise InputError(f"{path}: damaged or crafted skops file ({shorten(error, 200)})") from error
    others = sorted(written - {installed})
    if not others:
        return model, ""
    versions = ", ".join(others)
    return (
        model,
        f"{path.name} was saved with scikit-learn {versions}; {installed} is installed: its output may differ.",
    )


def _versions(node: Any) -> set[str]:
    """Return the scikit-learn versions noted in a skops schema; every estimator carries one."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            version = item.get("_sklearn_version")
            if isinstance(version, dict) and "content" in version:
                found.add(str(json.loads(version["content"]))[:40])
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return found


def _by_file(path: Path, save_to: Callable[[str], Any]) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / path.name
        save_to(str(temporary))
        return files.write(path, temporary.read_bytes())


def _xgboost(path: Path, data: bytes) -> Any:
    try:
        import xgboost
    except ModuleNotFoundError:
        raise InputError(f"{path}: an xgboost model, and xgboost is not installed: pip install xgboost") from None
    try:
        booster = xgboost.Booster(model_file=bytearray(data))
        mark = json.loads(booster.attr("scikit_learn") or "{}")
        wrappers = {"classifier": xgboost.XGBClassifier, "regressor": xgboost.XGBRegressor}
        kind = mark.get("_estimator_type")
        if kind not in wrappers:
            return booster
        model = wrappers[kind]()
        model.load_model(bytearray(data))
    except (xgboost.core.XGBoostError, *BROKEN) as error:
        raise InputError(f"{path}: damaged xgboost model ({shorten(error, 200)})") from error
    return model


def _lightgbm(path: Path, data: bytes) -> Any:
    try:
        import lightgbm
    except ModuleNotFoundError:
        raise InputError(f"{path}: a lightgbm model, and lightgbm is not installed: pip install lightgbm") from None
    try:
        return lightgbm.Booster(model_str=data.decode("utf-8"))
    except (lightgbm.basic.LightGBMError, *BROKEN) as error:
        raise InputError(f"{path}: damaged lightgbm model ({shorten(error, 200)})") from error


def _pickle(path: Path) -> Any:
    import joblib

    try:
        return joblib.load(path)
    except (pickle.UnpicklingError, *BROKEN) as error:
        what = f"{type(error).__name__}: {shorten(error, 200)}"
        raise InputError(f"{path}: the pickle cannot be opened ({what})") from error

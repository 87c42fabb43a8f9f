"""Parameters of a notebook: read from its tagged cell without running it, and checked by name and type."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rca import files
from rca.errors import InputError, UnknownName, did_you_mean, raise_all, shorten

__all__ = ["check", "from_text", "load", "parameters"]

MAX_BYTES = 2**26
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def load(path: str | Path) -> Any:
    """Return a notebook as nbformat 4, with an id for each cell that does not change from run to run.

    Raises
    ------
    InputError
        If there is no such file, or it is no notebook.
    """
    import nbformat

    path = Path(path)
    content = files.read_bytes(path, limit=MAX_BYTES)
    try:
        notebook = nbformat.reads(content.decode("utf-8"), as_version=4)
        nbformat.validate(notebook)
    except (ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError) as error:
        raise InputError(f"{path}: not a notebook ({shorten(error)})") from error
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        notebook.nbformat_minor = 5
        for place, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{place}"
    return notebook


def parameters(notebook: str | Path) -> dict[str, Any]:
    """Return the parameters of a notebook and their defaults, in the order written.

    Parameters
    ----------
    notebook : str or Path
        A notebook with a code cell tagged ``parameters`` that holds lines ``name = literal``.

    Raises
    ------
    InputError
        If it is no notebook, has no such cell, or that cell holds anything else. Nothing is run.
    """
    return defaults(load(notebook), Path(notebook))


def defaults(notebook: Any, path: Path) -> dict[str, Any]:
    """Return the names and defaults in the parameters cell of a loaded notebook."""
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1 or tagged[0].cell_type != "code":
        raise InputError(f"{path}: {len(tagged)} cells are tagged 'parameters'; wanted is one code cell")
    try:
        statements = ast.parse(tagged[0].source).body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: the parameters cell is not Python ({error})") from error
    found: dict[str, Any] = {}
    for statement in statements:
        try:
            found |= _assigned(statement)
        except (ValueError, TypeError, RecursionError) as error:
            place = f"{path}: parameters cell, line {statement.lineno}"
            raise InputError(f"{place}: not of the form name = literal") from error
    return found


def _assigned(statement: ast.stmt) -> dict[str, Any]:
    """Return the name and value of ``name = literal``, or raise ValueError or TypeError."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return {name: ast.literal_eval(value)}
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return {name: ast.literal_eval(value)}
    raise ValueError


def check(given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given parameters as a dict, or raise with every wrong name and type.

    Parameters
    ----------
    given : mapping
        Name -> value.
    known : mapping
        Name -> default, as from `parameters`.

    Raises
    ------
    UnknownName
        A name the notebook does not have, with the nearest one.
    InputError
        A value that is no plain literal, or of another type than the default. An int does for a
        float, anything for None.

    Examples
    --------
    >>> check({"top": 5}, {"top": 10, "incident": ""})
    {'top': 5}
    >>> check({"incidnet": "x"}, {"top": 10, "incident": ""})
    Traceback (most recent call last):
        ...
    rca.errors.UnknownName: unknown parameter 'incidnet'; did you mean 'incident'?
    >>> check({"top": "many"}, {"top": 10})
    Traceback (most recent call last):
        ...
    rca.errors.InputError: parameter 'top': 'many' is text; wanted is a whole number such as 10
    """
    unknown = [name for name in given if name not in known]
    raise_all([f"unknown parameter {name!r}{did_you_mean(name, known)}" for name in unknown], UnknownName)
    problems, out = [], {}
    for name, value in given.items():
        default = known[name]
        if not _is_literal(value):
            problems.append(f"parameter {name!r}: {shorten(value)} is no plain value (text, number, true, false, list)")
        elif default is None or type(value) is type(default):
            out[name] = value
        elif isinstance(default, float) and type(value) is int:
            out[name] = float(value)
        else:
            wanted = f"{_KINDS[type(default)]} such as {default!r}"
            problems.append(f"parameter {name!r}: {shorten(value)} is {_KINDS[type(value)]}; wanted is {wanted}")
    raise_all(problems)
    return out


_KINDS: dict[type, str] = {
    str: "text", bool: "a yes or no", int: "a whole number", float: "a number", list: "a list", tuple: "a tuple",
    dict: "a dictionary", type(None): "None", set: "a set", bytes: "bytes", complex: "a complex number",
}  # fmt: skip


def _is_literal(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_literal, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_literal, value.values()))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or type(value) in (str, bool, int)


def from_text(given: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters that were typed as text (``-p name=value``), each as its default's type.

    Raises
    ------
    UnknownName, InputError
        As `check`.

    Examples
    --------
    >>> from_text({"top": "5", "with_names": "yes"}, {"top": 10, "with_names": False})
    {'top': 5, 'with_names': True}
    """
    return check({name: _typed(text, known.get(name)) for name, text in given.items()}, known)


def _typed(text: str, default: object) -> object:
    """Return what the text says when read as the type of `default`, else the text."""
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        return _WORDS.get(text.strip().lower(), text)
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError):
        return text

"""Every difference between two runs or versions, one row each."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from rca.systems.changes.settings import hidden
from rca.systems.changes.versions import ORDER, leaves, load, same
from rca.systems.changes.words import parts

__all__ = ["diff"]

_COLUMNS = ("part", "name", "before", "after", "change", "excerpt", "sentence")
_MISSING: Any = object()
_LONG = 120  # characters from which a text is shown as an excerpt
_SHOWN = 200
_LINES = 40  # of an excerpt
_COMPARED = 2000  # lines of a text that are compared line by line
_WHOLE = {  # these name what all below them is
    "metric": "metric summary", "package": "package requirement dependencie dependency pip conda",
    "feature": "feature column signature", "step": "step pipeline stage",
}  # fmt: skip
_OWN = {  # these name what they are, wherever they stand; the deepest counts
    "threshold": "threshold cutoff", "prompt": "prompt", "code": "commit git sha branch entrypoint",
    "data": "data dataset digest hash table snapshot", "parameter": "param parameter config hyperparameter arg",
    "tag": "tag",
}  # fmt: skip
_ORDER = ("parameter", "code", "data", "feature", "step", "package", "prompt", "threshold", "setting", "tag", "metric")


def diff(
    before: Mapping[str, Any] | pd.Series | str | Path, after: Mapping[str, Any] | pd.Series | str | Path
) -> pd.DataFrame:
    """Return every difference between two runs or versions.

    Parameters
    ----------
    before, after : mapping, Series, str or Path
        A mapping: any nested plain values, a run as MLflow's API writes it, a run of W&B. A Series: one event
        with kind ``training_run`` or ``model_version``, of which the attributes are compared. A str or Path:
        a file with YAML, JSON, TOML, settings (``.env``, ``.properties``, ``.ini``, ``.cfg``),
        ``requirements*.txt``, or any other text (a prompt).

    Returns
    -------
    DataFrame
        One row a difference, by part, then name. Columns ``part`` (parameter, code, data, feature, step, package,
        prompt, threshold, setting, tag, metric; told by the words in the path), ``name`` (path with dots),
        ``before`` and ``after`` (as text, shortened; empty where missing), ``change`` ("changed", "type changed",
        "added", "removed", "reordered"), ``excerpt`` (unified diff of long texts), ``sentence``.

    Raises
    ------
    MissingFile
        If a file is not there.
    UnsafeInput
        If a file is no plain data (pickles and other binary files are not opened), or there is too much of it:
        16 MiB (YAML: 1 MiB), 40 levels, 100,000 values.
    InputError
        If a file cannot be read, or a value is none of plain data.

    Notes
    -----
    Numbers are equal if they differ by no more than the last binary digit; a text is never equal to a number.
    Lists of texts are compared by what they hold, and their order by itself: swapped columns are one row.
    Lists of records with names go by the names; other lists by position. Requirements go by the name of the
    package. Metrics and ids of runs differ between any two runs: they are listed too. In texts over
    2,000 lines only the first that differs is shown.

    Instead of values that by the name of their key are secrets (``DB_PASSWORD``, ``api_key``, ``auth_token``), and
    of passwords in addresses, stand three stars; secrets in other texts and lists are shown. Of a key
    that occurs twice in an ``.env`` or ``.properties`` file the last counts, as for those who read them.

    Examples
    --------
    >>> found = diff({"params": {"depth": 6, "rate": 0.3}, "features": ["age", "income"]},
    ...              {"params": {"depth": 8, "rate": 0.1 + 0.2}, "features": ["income", "age"]})
    >>> for sentence in found["sentence"]:
    ...     print(sentence)
    parameter params.depth went from 6 to 8
    feature features: another order, age and income are swapped
    """
    old, new = (leaves(load(one, name), name) for one, name in ((before, "before"), (after, "after")))
    for one, other in ((old, new), (new, old)):
        parents = {path[:end] for path in other for end in range(len(path))}
        for path in [path for path, value in one.items() if value in ([], {}) and path in parents]:
            del one[path]
    rows = [
        row for path in sorted({*old, *new}) for row in _compare(path, old.get(path, _MISSING), new.get(path, _MISSING))
    ]
    rows.sort(key=lambda row: (_ORDER.index(row["part"]), row["name"]))
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype("str")


def _compare(path: tuple[str, ...], old: Any, new: Any) -> Iterator[dict[str, str]]:
    """Yield the rows of one path."""
    if path[-1:] == (ORDER,):
        if isinstance(old, list) and isinstance(new, list):
            yield from _reordered(path[:-1], old, new)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(path, old, new)
    elif old is _MISSING or new is _MISSING:
        for item in old if isinstance(old, list) and old else new if isinstance(new, list) and new else [_MISSING]:
            named = (*path[:-1], f"{path[-1]}[{item}]") if item is not _MISSING else path
            value = item if item is not _MISSING else new if old is _MISSING else old
            yield _row(named, *((_MISSING, value) if old is _MISSING else (value, _MISSING)))
    elif isinstance(old, (list, dict)) or isinstance(new, (list, dict)):
        if old != new:
            yield _row(path, old, new)
    elif not same(old, new):
        yield _row(path, old, new)


def _lists(path: tuple[str, ...], old: list[str], new: list[str]) -> Iterator[dict[str, str]]:
    """Yield what two lists of texts hold differently, and whether what both hold stands in another order."""
    counts = Counter(old), Counter(new)
    for item in sorted(set(old) ^ set(new)):
        name = (*path[:-1], f"{path[-1]}[{item}]")
        yield _row(name, *((item, _MISSING) if item in counts[0] else (_MISSING, item)))
    for item in sorted(set(old) & set(new)):
        if counts[0][item] != counts[1][item]:
            times = ["once" if count[item] == 1 else f"{count[item]} times" for count in counts]
            yield _row((*path[:-1], f"{path[-1]}[{item}]"), *times)
    yield from _reordered(path, old, new)


def _reordered(path: tuple[str, ...], old: list[str], new: list[str]) -> Iterator[dict[str, str]]:
    """Yield a row if what two lists both hold stands in another order."""
    both = Counter(old) & Counter(new)
    left, right = _kept(old, both), _kept(new, both)
    moved = [number for number, pair in enumerate(zip(left, right, strict=True)) if pair[0] != pair[1]]
    if moved:
        row = _row(path, old, new) | {"change": "reordered"}
        told = f"{right[moved[0]]} now stands where {left[moved[0]]} stood"
        told += f" (place {moved[0] + 1} of what both hold; {len(moved)} places differ)" if len(moved) > 2 else ""
        told = f"{left[moved[0]]} and {left[moved[1]]} are swapped" if len(moved) == 2 else told
        yield row | {"sentence": f"{row['part']} {row['name']}: another order, {told}"}


def _kept(items: list[str], both: Counter[str]) -> list[str]:
    left, out = both.copy(), []
    for item in items:
        if left[item] > 0:
            left[item] -= 1
            out.append(item)
    return out


def _row(path: tuple[str, ...], old: Any, new: Any) -> dict[str, str]:
    """Return the row of one difference."""
    part, name = _part(path), ".".join(path).replace(".[", "[")
    plain = ["" if value is _MISSING else _text(value) for value in (old, new)]
    texts = [hidden(path[-1], text) for text in plain]
    secret = texts != plain
    if texts[0] == texts[1] and not secret:
        texts = ["" if value is _MISSING else json.dumps(value, ensure_ascii=False) for value in (old, new)]
    kinds = [type(value).__name__.replace("int", "float") for value in (old, new)]
    change = "added" if old is _MISSING else "removed" if new is _MISSING else "changed"
    change = "type changed" if change == "changed" and kinds[0] != kinds[1] else change
    excerpt = ""
    if not secret and isinstance(old, str) and isinstance(new, str) and max(len(old), len(new), _LONG) > _LONG:
        excerpt = _excerpt(old, new)
    shown = [text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…" for text in texts]
    sentences = {
        "added": f"{part} {name} is {shown[1]}, and is missing before",
        "removed": f"{part} {name} was {shown[0]}, and is missing after",
        "changed": f"{part} {name} went from {shown[0]} to {shown[1]}",
        "type changed": f"{part} {name} went from {shown[0]} ({_kind(old)}) to {shown[1]} ({_kind(new)})",
    }
    if secret and shown[0] == shown[1]:
        sentences[change] = f"{part} {name} changed ({shown[0]}); secrets are not shown"
    sentence = f"{part} {name}: text differs, see the excerpt" if excerpt else sentences[change]
    return dict(zip(_COLUMNS, (part, name, *shown, change, excerpt, sentence), strict=True))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _kind(value: Any) -> str:
    names = {str: "text", bool: "yes or no", int: "number", float: "number", type(None): "nothing"}
    return names.get(type(value), "list" if isinstance(value, list) else "group")


def _part(path: tuple[str, ...]) -> str:
    """Return what kind of thing a path names, by the words in it."""
    found = [set(parts(re.sub(r"\[.*", "", key, flags=re.DOTALL))) for key in path]
    for keys, known in ((found, _WHOLE), (found[::-1], _OWN)):
        for key in keys:
            for part, names in known.items():
                if key & set(names.split()):
                    return part
    return "setting"


def _excerpt(old: str, new: str) -> str:
    """Return the lines that differ, as a unified diff without its file names."""
    left, right = old.splitlines(), new.splitlines()
    if max(len(left), len(right)) > _COMPARED:
        number = next(
            (n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
        )
        lines = [f"@@ line {number + 1} @@", *(f"-{x}" for x in left[number : number + 1])]
        lines += [f"+{x}" for x in right[number : number + 1]] + ["… more than is compared"]
    else:
        lines = list(difflib.unified_diff(left, right, lineterm="", n=1))[2:]
        lines = lines or ["only the ends of lines differ"]
    cut = [line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…" for line in lines[:_LINES]]
    return "\n".join([*cut, f"… {len(lines) - _LINES} more lines"] if len(lines) > _LINES else cut)

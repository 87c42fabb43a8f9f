"""Values as text: `plain` for people, `exact` for CSV; and text that Markdown leaves as it is."""

from __future__ import annotations

import json
import math
import numbers
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from rca import times

__all__ = ["MISSING", "clean", "duration", "exact", "in_markdown", "plain"]

MISSING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
# Spreadsheets also take the full-width forms for the start of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")
_MARKDOWN = re.compile(r"([\\`*_\[\]|~$#])")
_LINK = re.compile(r"(?i)\b(https?|ftp|www)(://|\.)")
_BLOCK = re.compile(r"^([-+=]|\d{1,9}[.)])")
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def clean(text: str) -> str:
    r"""Return text in which control characters and turns of the reading direction are U+FFFD.

    Examples
    --------
    >>> clean("a\x00b\r\n") == "a\ufffdb\n"
    True
    """
    return _CONTROL.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def duration(value: object) -> str:
    """Return a duration in its two largest units that are not zero; what is less is cut off.

    Parameters
    ----------
    value : Timedelta or what pandas makes one of
        May be negative or missing.

    Examples
    --------
    >>> duration(pd.Timedelta("2h 5min 3s")), duration(pd.Timedelta("1D 42min")), duration(pd.NaT) == MISSING
    ('2 h 5 min', '1 d 42 min', True)
    """
    span = pd.Timedelta(value)
    if pd.isna(span):
        return MISSING
    seconds = abs(span.total_seconds())
    sign = _MINUS if span < pd.Timedelta(0) else ""
    if seconds < 59.5:
        return f"{sign}{seconds:.3g} s"
    left, parts = round(seconds), []
    for unit, size in _UNITS:
        parts.append((left // size, unit))
        left %= size
    return sign + " ".join([f"{count} {unit}" for count, unit in parts if count][:2])


def plain(value: object) -> str:
    """Return a value as people read it.

    Parameters
    ----------
    value : object
        Times become ``2025-11-18 11:20 UTC``, durations ``2 h 5 min``, numbers four significant digits (all
        digits before the point), booleans yes and no; sequences are joined, what is missing is an en dash.

    Examples
    --------
    >>> [plain(value) for value in (0.123456, 123456.7, True, ("a", "b"), pd.Timestamp("2025-11-18T11:20Z"))]
    ['0.1235', '123,457', 'yes', 'a, b', '2025-11-18 11:20 UTC']
    """
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(key)}: {plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple, np.ndarray)):
        return ", ".join(plain(item) for item in value)
    if isinstance(value, (set, frozenset)):
        return ", ".join(sorted(plain(item) for item in value))
    if _is_missing(value):
        return MISSING
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return (f"{value:,}" if abs(int(value)) >= 10_000 else str(value)).replace("-", _MINUS)
    if isinstance(value, (float, np.floating)):
        return _number(float(value))
    if isinstance(value, pd.Timestamp):
        return times.show(value)
    if isinstance(value, (pd.Timedelta, np.timedelta64)):
        return duration(value)
    return clean(str(value))


def _number(value: float) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    if 1_000 <= abs(value) < 1e15:
        text = f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}"
    else:
        text = f"{value:.4g}"
    return text.replace("-", _MINUS, 1) if value < 0 else text


def _is_missing(value: object) -> bool:
    if isinstance(value, (float, np.floating)):
        return bool(np.isnan(value))
    return value is None or value is pd.NA or value is pd.NaT


def exact(value: object) -> str:
    """Return a value as it stands in CSV; no spreadsheet takes it for a formula.

    Parameters
    ----------
    value : object
        Times and durations become ISO 8601, numbers twelve significant digits (so that the last bit of a
        parallel sum does not change the file), booleans ``true`` and ``false``; sequences are joined by
        ``"; "``, what is missing is empty. A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a
        line end gets a leading apostrophe.

    Examples
    --------
    >>> [exact(value) for value in (1 / 3, pd.Timedelta("2h 5min"), "=HYPERLINK(1)", -5, ("a", "b"))]
    ['0.333333333333', 'P0DT2H5M0S', "'=HYPERLINK(1)", '-5', 'a; b']
    """
    text = _content(value)
    is_text = not isinstance(value, (numbers.Number, pd.Timestamp, pd.Timedelta))
    return f"'{text}" if is_text and text.startswith(_FORMULA) else text


def _content(value: object) -> str:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return json.dumps({str(key): _content(item) for key, item in value.items()}, ensure_ascii=False, sort_keys=True)
    if isinstance(value, (list, tuple, np.ndarray)):
        return "; ".join(_content(item) for item in value)
    if isinstance(value, (set, frozenset)):
        return "; ".join(sorted(_content(item) for item in value))
    if _is_missing(value):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.12g}"
    if isinstance(value, pd.Timestamp):
        return str((value.tz_convert("UTC") if value.tzinfo else value).isoformat()).replace("+00:00", "Z")
    if isinstance(value, pd.Timedelta):
        return str(value.isoformat())
    return clean(str(value))


def in_markdown(text: str) -> str:
    r"""Return text as one line in which GitHub's Markdown finds nothing to obey.

    Examples
    --------
    >>> print(in_markdown("2 < 3 | see *https://example.org*"))
    2 &lt; 3 \| see \*https\://example.org\*
    """
    text = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _LINK.sub(r"\1\\\2", _MARKDOWN.sub(r"\\\1", text))
    return _BLOCK.sub(lambda start: f"{start[0][:-1]}\\{start[0][-1]}", " ".join(text.split()))

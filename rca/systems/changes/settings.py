"""Files of settings as plain values: ``.env``, ``.properties`` and ``.ini``; and which of the values are secrets."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from rca.errors import InputError, shorten
from rca.systems.changes.words import parts

__all__ = ["hidden", "reader"]

_LINE = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<key>[\w.-]+)[ \t]*
        (?:=[ \t]*(?:(?P<quoted>"(?:[^"\\]|\\.)*"|'[^']*')[ \t]*(?:\#[^\n]*)?(?=\n|\Z)|(?P<plain>[^\n]*)))?(?:\n|\Z)
    | [ \t]*(?:\#[^\n]*)?(?:\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_PROPERTY = re.compile(r"((?:[^\s=:\\]|\\.)+)\s*[=:\s]?\s*(.*)", re.DOTALL)
_SECRET = {"password", "passwd", "passphrase", "pwd", "secret", "credential", "apikey"}  # words of a name ...
_KEYS = {"api", "access", "private", "signing", "encryption", "account"}  # ... or these before "key"
_SIGNS = {"eos", "bos", "pad", "unk", "sep", "cls", "mask", "max", "min", "num", "type"}  # tokens of a text
_USERINFO = re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@")


def reader(name: str) -> Callable[[str, str], Mapping[str, Any]] | None:
    r"""Return what reads a file of settings, by its name; None if it is none.

    Examples
    --------
    >>> [reader(name) is not None for name in (".env", "prod.env", ".env.local", "app.ini", "x.properties", "a.txt")]
    [True, True, True, True, True, False]
    >>> reader(".env")("A=1  # one\nexport B='x y'\n", ".env")
    {'A': '1', 'B': 'x y'}
    """
    lower = name.lower()
    if lower.endswith(".env") or lower.startswith(".env."):
        return _env
    if lower.endswith((".ini", ".cfg")):
        return _ini
    return _properties if lower.endswith(".properties") else None


def _env(text: str, where: str) -> dict[str, str]:
    """Return lines ``KEY=VALUE``; a value in quotes may go over lines. Of a key that occurs twice, the last counts."""
    out: dict[str, str] = {}
    at, text = 0, text.replace("\r\n", "\n")
    while at < len(text):
        line = _LINE.match(text, at)
        if line is None:
            raise InputError(f"{where}: line {text.count(chr(10), 0, at) + 1} is not of the form KEY=VALUE")
        if line["key"]:
            plain = re.split(r"\s#", f" {line['plain'] or ''}", maxsplit=1)[0].strip()
            out[line["key"]] = line["quoted"][1:-1] if line["quoted"] else plain
        at = line.end()
    return out


def _ini(text: str, where: str) -> dict[str, Any]:
    """Return sections of settings; without any section, the settings alone. A section or key may occur once."""
    parser = configparser.RawConfigParser(allow_no_value=True, default_section="")
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # as the documentation says to keep the case
    bare = not re.search(r"^\[", text, re.MULTILINE)
    try:
        parser.read_string(f"[settings]\n{text}" if bare else text)
    except configparser.Error as error:
        kind = type(error).__name__.removesuffix("Error")
        line = getattr(error, "lineno", None)
        raise InputError(f"{where}: cannot be read ({kind}{f', line {line - bare}' if line else ''})") from error
    found: dict[str, Any] = {name: dict(parser.items(name)) for name in parser.sections()}
    return found["settings"] if bare else found


def _properties(text: str, where: str) -> dict[str, str]:
    """Return the settings of a Java properties file; of a key that occurs twice, the last counts."""
    out = {}
    joined = re.sub(r"(?<!\\)((?:\\\\)*)\\\r?\n[ \t]*", r"\1", text)
    for line in joined.splitlines():
        plain = line.strip()
        if plain and plain[0] not in "#!":
            found = _PROPERTY.fullmatch(plain)
            if found is None:
                raise InputError(f"{where}: a line without a key: {shorten(plain[:1])}...")
            out[re.sub(r"\\(.)", r"\1", found[1])] = found[2]
    return out


def hidden(name: str, value: str) -> str:
    """Return a value, or three stars where a name says that it is a secret; passwords in addresses too.

    Examples
    --------
    >>> hidden("DB_PASSWORD", "hunter2"), hidden("max_tokens", "512"), hidden("URL", "db://me:hunter2@host/x")
    ('***', '512', 'db://me:***@host/x')
    """
    found = parts(name)
    secret = bool(_SECRET.intersection(found)) or any(two == "key" and one in _KEYS for one, two in pairwise(found))
    secret |= "token" in found and not _SIGNS.intersection(found)
    return "***" if secret and value else _USERINFO.sub(r"\1:***@", value)

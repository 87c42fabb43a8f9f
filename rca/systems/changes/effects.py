"""What a diff can do to a running system, read from the form of its lines: a bound removed, a call in a loop, ..."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from rca.systems.changes.patch import Line, Patch
from rca.systems.changes.words import parts, words

__all__ = ["ERRORS", "Effect", "altered", "effects", "failure_kinds", "relieves"]

ERRORS, LATENCY, SATURATION = "errors", "latency", "saturation"
_KINDS = {  # words of metrics and of messages, then words that say it of metrics only
    ERRORS: (
        "error exception panic fail failed failing failure reject rejected crash traceback invalid fatal",
        "availability",
    ),
    LATENCY: (
        "latency slow slower timeout timed deadline",
        "duration response elapsed second millisecond ms age lag delay",
    ),
    SATURATION: (
        "saturated saturation oom exhausted overload overloaded throttled backlog",
        "cpu memory mem heap disk queue pool connection thread utilization utilisation depth",
    ),
}
_SAID = {word: kind for kind, (text, _) in _KINDS.items() for word in text.split()}
_MEASURED = _SAID | {word: kind for kind, (_, text) in _KINDS.items() for word in text.split()}

# Patterns read lines of strangers: none gives back what it took (++, *+), so that each costs the length of a line.
_TOKEN = re.compile(r"\"[^\"]*+\"|'[^']*+'|`[^`]*+`|v?\d++(?:\.[\w+-]++)++|\d\w*+|[^\W\d]\w*+|\S")
_NUMBER = re.compile(r"(\d++(?:\.\d++)?)\s*+([A-Za-z]*+)")
_VERSION = re.compile(r"v?(\d++)\.(\d++)[\w.+-]*+")
_UNITS = {
    "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "millisecond": 1e-3, "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60,
    "minute": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400, "k": 1e3, "ki": 2**10, "kb": 1e3,
    "mi": 2**20, "mb": 1e6, "gi": 2**30, "gb": 1e9,
}  # fmt: skip
_LOOP = re.compile(r"(?:for|while|foreach|loop)\b|\.(?:forEach|map|each|stream)\s*+[({]|\beach do\b")
_CALL = re.compile(r"\b([^\W\d]\w*+)\s*+\(")
_REACHES = {
    "get", "find", "load", "fetch", "query", "exec", "execute", "select", "lookup", "read", "send", "post", "put",
    "call", "request", "save", "insert", "update", "scan", "open", "invoke", "publish", "download", "upload", "resolve",
    "connect", "dial",
}  # fmt: skip
_CHECK = re.compile(r"\s*+(?:}\s*+)?(?:if|elif|else if|unless|assert|guard|require|raise_if)\b(.*)")
_BOUND = {"limit", "timeout", "ttl", "max", "cap", "quota", "deadline", "expire", "expiry", "retention", "maxage"}
_LOWERED = _BOUND | {  # harm when set to less
    "pool", "conn", "connection", "cache", "memory", "cpu", "replica", "worker", "thread", "concurrency", "buffer",
    "queue", "heap", "size", "rate", "interval", "backoff", "delay", "duration", "capacity",
}  # fmt: skip
_RAISED = {  # harm when set to more
    "limit", "batch", "retry", "attempt", "page", "concurrency", "parallelism", "fanout", "timeout",
    "sampling",
}  # fmt: skip
_WORDS: tuple[tuple[str, set[str], str, tuple[str, ...]], ...] = (  # side of the diff on which these words are new
    ("+", {"sleep", "lock", "mutex", "synchronized", "blocking", "flock", "serializable", "wait"},
     "adds waiting", (LATENCY, SATURATION)),
    ("+", {"retry", "attempt"}, "adds repetitions", (SATURATION, LATENCY)),
    ("+", {"goroutine", "thread", "spawn", "fork"}, "starts more at once", (SATURATION, LATENCY)),
    ("-", {"close", "release", "unlock", "dispose", "free", "evict", "purge", "cleanup"},
     "no longer gives back", (SATURATION, LATENCY, ERRORS)),
    ("-", {"cache", "cached", "memo", "memoize", "lru", "batch", "bulk", "prefetch", "preload", "parallel"},
     "no longer spares work", (LATENCY, SATURATION)),
    ("-", {"except", "catch", "recover", "rescue", "fallback", "default", "backoff"},
     "no longer catches", (ERRORS, SATURATION)),
)  # fmt: skip
_INDEX = re.compile(r"\bdrop\s++index\b", re.IGNORECASE)
_INDEXED = re.compile(r"\bcreate\s++(?:unique\s++)?index\b", re.IGNORECASE)


_COMPARED = 100  # added lines for a removed one
_PATTERN = {"regex", "regexp", "pattern"}
_SAFE = re.compile(r"\?\.|\?\?|\bor_?else\b|\bget_?or_?default\b", re.IGNORECASE)  # safe where there is no value
_ALTERING = re.compile(r"\b(?:alter|drop|update|delete|insert|unique|lock)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Effect:
    """Something a diff does: where, in words, and the kinds of failure on which it can bear."""

    line: Line
    what: str
    kinds: tuple[str, ...]


def failure_kinds(text: str, *, metric: bool = False) -> set[str]:
    """Return the kinds of failure that an error's text speaks of, or a metric's name.

    Examples
    --------
    >>> sorted(failure_kinds("http_duration_p99_ms", metric=True)), sorted(failure_kinds("panic: bad memory address"))
    (['latency'], ['errors'])
    """
    known = _MEASURED if metric else _SAID
    found = {known[part] for part in parts(text) if part in known}
    return found | ({ERRORS} if re.search(r"(?:\b|_)[45]xx", text) else set())


def altered(patch: Patch) -> Iterator[tuple[Line, Line, str]]:
    """Yield (removed line, added line, name) where a named value is another one.

    Two lines of one hunk are a pair if they differ after ``=``, ``:`` or a comparison only, in at most three tokens.
    A removed line is compared with the first 100 added ones that could be its pair.
    """
    left: dict[tuple[int, int, str], list[tuple[Line, list[str]]]] = {}
    for line in patch.side("+"):
        tokens = _TOKEN.findall(line.text)
        left.setdefault((line.hunk, len(tokens), "".join(tokens[:1])), []).append((line, tokens))
    for before in patch.side("-"):
        old = _TOKEN.findall(before.text)
        rest = left.get((before.hunk, len(old), "".join(old[:1])), [])
        for number, (after, new) in enumerate(rest[:_COMPARED]):
            name = _name(old, new)
            if name:
                del rest[number]
                yield before, after, name
                break


def _name(old: list[str], new: list[str]) -> str:
    """Return the name whose value differs between two lines of tokens; empty if they are no such pair."""
    if len(old) != len(new) or old == new:
        return ""
    differ = [number for number, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]
    head = old[: differ[0]]
    if len(differ) > 3:
        return ""
    if _VERSION.fullmatch(old[differ[0]]) and _VERSION.fullmatch(new[differ[0]]):
        minor = [_VERSION.fullmatch(text).groups() for text in (old[differ[0]], new[differ[0]])]  # type: ignore[union-attr]
        return " ".join(token for token in head if token[0].isalpha()) if minor[0] != minor[1] else ""
    if not {"=", ":", "<", ">"} & set(head):
        return ""
    stop = max(number for number, token in enumerate(head) if token in "=:<>")
    names = [token.strip("\"'`") for token in head[:stop] if token[0].isalpha() or token[0] in "\"'`_"]
    return names[-1] if names else ""


def effects(patch: Patch) -> list[Effect]:
    """Return what the diff of a change does, as far as the form of its lines tells."""
    old, new = (set().union(*(line.parts for line in patch.side(sign))) for sign in "-+")
    found = [*_values(patch), *_bounds(patch, old - new), *_loops(patch), *_checks(patch)]
    for sign, known, what, kinds in _WORDS:
        wanted = known & (new - old if sign == "+" else old - new)
        found += [
            Effect(line, f"{what} ({', '.join(sorted(wanted & line.parts))})", kinds)
            for line in patch.side(sign)
            if wanted & line.parts
        ]
    dropped = [line for line in patch.side("+") if _INDEX.search(line.text)]
    dropped += [line for line in patch.side("-") if _INDEXED.search(line.text)] if "index" in old - new else []
    found += [Effect(line, "drops an index", (LATENCY, SATURATION)) for line in dropped]
    patterns = [line for line in patch.side("+") if line.parts & _PATTERN] if old & _PATTERN else []
    return found + [Effect(line, "alters a pattern", (LATENCY, SATURATION)) for line in patterns]


def relieves(patch: Patch) -> bool:
    """Return whether all that a patch does is to add an index, which slows no reader and fills nothing."""
    text = "\n".join(line.text for line in patch.side("+"))
    return bool(_INDEXED.search(text)) and not patch.side("-") and not _ALTERING.search(text)


def _values(patch: Patch) -> Iterator[Effect]:
    """Yield bounds and sizes that were set to less, and demands that were set to more."""
    for before, after, name in altered(patch):
        old, new = _amount(before.text), _amount(after.text)
        if math.isnan(old) or math.isnan(new) or old == new:
            continue
        if set(parts(name)) & (_LOWERED if new < old else _RAISED):
            way = "lowers" if new < old else "raises"
            yield Effect(after, f"{way} {name}", (LATENCY, SATURATION, ERRORS))


def _amount(text: str) -> float:
    """Return the product of the numbers after the name, with their units; NaN if there is none."""
    value = re.split(r"[:=<>]", text)[-1]
    numbers = _NUMBER.findall(value)
    if not numbers:
        return math.nan
    out = math.prod(float(number) * _UNITS.get(unit.lower(), 1) for number, unit in numbers)
    spelled = [part for part in parts(_NUMBER.sub(" ", value)) if len(part) > 1]
    return out * math.prod(_UNITS.get(part, 1) for part in spelled)


def _bounds(patch: Patch, gone: set[str]) -> Iterator[Effect]:
    for line in patch.side("-"):
        named = _BOUND & gone & line.parts
        if named and re.search(r"\d|\(", line.text):
            yield Effect(line, f"removes a bound ({', '.join(sorted(named))})", (LATENCY, SATURATION))


def _loops(patch: Patch) -> Iterator[Effect]:
    """Yield calls that reach out and were added inside a loop."""
    opened: list[int] = []
    hunk, come = -1, patch.come()
    for line in patch.lines:
        if line.sign == "-" or line.comment or not line.text.strip():
            continue
        indent = len(line.text) - len(line.text.lstrip())
        opened = [] if line.hunk != hunk else [depth for depth in opened if depth < indent]
        hunk = line.hunk
        calls = [name for name in _CALL.findall(line.text) if _REACHES & set(parts(name))]
        fresh = [name for name in calls if come & words(name)]
        if line.sign == "+" and opened and fresh:
            yield Effect(line, f"calls {fresh[0]} in a loop", (LATENCY, SATURATION))
        if _LOOP.search(line.text):
            opened.append(indent)


def _checks(patch: Patch) -> Iterator[Effect]:
    """Yield conditions that were removed while what they held is still used: some of their operands are gone."""
    after: dict[int, set[str]] = {}
    safe: set[int] = set()
    for line in patch.lines:
        if line.sign != "-" and not line.comment:
            after.setdefault(line.hunk, set()).update(_operands(line.text))
            safe |= {line.hunk} if _SAFE.search(line.text) else set()
    for line in patch.side("-"):
        found, kept = _CHECK.match(line.text), after.get(line.hunk, set())
        if not found:
            if _SAFE.search(line.text) and line.hunk not in safe:
                yield Effect(line, "removes what held where there is no value", (ERRORS,))
            continue
        held = _operands(found[1].split(";")[-1])
        subjects = {name for name in held if name.isidentifier() and not words(name) & {"null"}}
        if subjects and subjects <= kept and not held <= kept:
            yield Effect(line, "removes a check", (ERRORS,))


def _operands(text: str) -> set[str]:
    return {token for token in _TOKEN.findall(text) if token[0].isalnum() or token[0] in "\"'`_"}

"""Words that a change and a failure may share, and how much each is worth."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

__all__ = ["MAX_TEXT", "named", "parts", "weights", "whole", "words"]

MAX_TEXT = 200_000  # characters of one text that are read
_IDENTIFIER = re.compile(r"[^\W\d]\w*+(?:\.[a-z]{1,4}\b(?!\()|[.-]v?\d++\b)?")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]++|[^\W\d_A-Za-z]++")
_QUOTED = re.compile(r"(?:['\"`\[<{]|(?<=\w)=['\"]?)([^\W\d][\w.-]*+)(?=['\"`\]>}]|(?<!['\"`\]>}])(?:[\s,;)]|$))")
_NOTHING = frozenset(("null", "none", "nil", "undefined", "nullptr", "nonetype"))
# Words of programming languages, of log lines and of English that stand for no part of a system.
_COMMON_TEXT = """
    the and for with from into onto not but are was were has have had been this that its than then when while after
    before out off per all any one two new old got use used via set get can cannot could should
    if else elif switch case break continue return func function def class struct type interface import package
    var let const int str string bool float double byte char void true false self args kwargs ctx context err async
    await public private static final try catch throw throws make append len range map list dict slice array fmt
    printf print println log logger logging info debug warn warning trace fatal error exception fail failed failing
    failure unexpected invalid runtime message msg status code value name key test tests www com org http https file
    line request response handler handle handled time data main src lib pkg internal github
    server client bad gateway missing found available unavailable write read service
    second minute hour day per ratio rate total count avg mean max min pct percent current currently again
    select where insert update delete join values
    """
_COMMON = frozenset(_COMMON_TEXT.split())


def parts(identifier: str) -> list[str]:
    """Return the parts of a name in lower case, plural ends taken off.

    Examples
    --------
    >>> parts("readThreeDSResult"), parts("max_retries_v2")
    (['read', 'three', 'ds', 'result'], ['max', 'retry', 'v'])
    """
    found = [part.lower() for part in _PART.findall(identifier)]
    return [_singular(part) for part in found]


def _singular(part: str) -> str:
    if len(part) <= 3 or part[-1] != "s" or part[-2] in "isu":
        return part
    return f"{part[:-3]}y" if part.endswith("ies") else part[:-1]


def words(text: str) -> set[str]:
    """Return the words of a text: names of several parts as a whole, and their parts.

    Common words of code, logs and English are left out; the words for "no value" are one word.

    Examples
    --------
    >>> sorted(words("panic in Charge.readCard: nil pointer, charge.go"))
    ['card', 'charge', 'charge.go', 'null', 'panic', 'pointer', 'read_card']
    """
    out: set[str] = set()
    for found in _IDENTIFIER.findall(text[:MAX_TEXT]):
        name, suffix = re.split(r"[.-]", f"{found}.", maxsplit=1)
        pieces = parts(name)
        if len(pieces) > 1:
            out.add("_".join(pieces))
        if suffix:
            out.add(found.lower())
        out.update("null" if piece in _NOTHING else piece for piece in pieces if _telling(piece))
    return out


def named(text: str) -> set[str]:
    """Return the words that a text puts in quotes or brackets, or gives as a value: names of things.

    Examples
    --------
    >>> sorted(named("no mapping for field [title], column 'price' of table=orders"))
    ['order', 'price', 'title']
    """
    found = (words(name) for name in _QUOTED.findall(text[:MAX_TEXT]))
    return set().union(*({word for word in names if whole(word)} or names for names in found))


def whole(word: str) -> bool:
    """Return whether a word is a name of several parts or a file, not a part."""
    return bool(re.search(r"[_.-]", word))


def _telling(piece: str) -> bool:
    return piece in _NOTHING or (len(piece) > 2 and piece not in _COMMON)


def weights(
    documents: Iterable[Collection[str]], healthy: Iterable[Collection[str]], known: Collection[str]
) -> Mapping[str, float]:
    """Return how telling each word is, from 0 to 1 (inverse document frequency [1]_).

    Parameters
    ----------
    documents : iterable of collection of str
        Words of each change.
    healthy : iterable of collection of str
        Words of each different text that was logged before anything failed: they tell nothing of a failure.
    known : collection of str
        Other words that tell nothing, such as the names of systems.

    Returns
    -------
    mapping
        Word -> weight: 1 for a word of one document, less the more documents have it.

    References
    ----------
    .. [1] Spärck Jones, Journal of Documentation 28(1), 1972.

    Examples
    --------
    >>> found = weights([{"ttl", "cache"}, {"cache"}, {"served"}], [{"served"}], [])
    >>> round(found["ttl"], 2), round(found["cache"], 2), found["served"]
    (1.0, 0.66, 0.0)
    """
    sets = [set(document) for document in documents]
    counts = Counter(word for document in sets for word in document)
    out = {word: math.log1p(len(sets) / count) / math.log1p(len(sets)) for word, count in counts.items()}
    return out | dict.fromkeys(set(known).union(*healthy) & counts.keys(), 0.0)

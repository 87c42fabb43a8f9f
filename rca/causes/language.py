"""Language of reports: people appear by role, their names as stable pseudonyms.

A pseudonym hides a name from a reader; it is not anonymity: who knows a name can compute its code.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from urllib.parse import unquote

import pandas as pd

from rca.errors import raise_all

__all__ = ["Pseudonyms"]

_RUN = re.compile(r"[^\W_]+")
_GAP = 3  # characters between two parts of one name, as in "Doe,  Jane"
_PARTS = 12  # runs of letters that one name may have
_MAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}(?:'[\w.+%-]{1,64})?@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
# A character written in another way: JSON, HTML and URL escapes.
_ESCAPE = re.compile(r"(?<!\\)\\+(?:u[0-9a-fA-F]{4}|[bfnrt])|&#?\w{1,31};|(?:%[0-9a-fA-F]{2})+")
_PLAIN = str.maketrans({
    "\N{LATIN SMALL LETTER DOTLESS I}": "i", "ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t",
    "æ": "ae", "œ": "oe", "þ": "th", "ŋ": "n",
})  # fmt: skip
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "Å": "Aa"})
_TITLES = ("mr", "mrs", "ms", "miss", "mx", "dr", "prof", "professor", "herr", "frau", "mme", "sir")


@cache
def _words(kind: str) -> frozenset[str]:
    """Return words of ``actor_words.csv``.

    An actor with a ``machine`` word is a machine, a team or a shared account. An ``ordinary`` word is a name
    too: as an actor's only name it is replaced as a whole cell or after @ only.
    """
    rows = pd.read_csv(Path(__file__).with_name("actor_words.csv"), dtype=str, keep_default_na=False)
    return frozenset(rows.loc[rows["class"] == kind, "word"])


class Pseudonyms:
    """Replaces people's names in texts and tables by roles with stable codes.

    Parameters
    ----------
    people : sequence of (name, role, aliases)
        Those who are known: full name, role (may be empty), other names and handles. A first name alone is
        replaced only if it stands among the aliases.
    actors : iterable of str, optional
        Names of actors as found in events. Those that are nobody in `people` become "person P-...", unless
        one of their words tells that they are a machine, team or shared account (``bot``, ``ci``, ``system``,
        ``service``, ``team`` and the like), they have no letter, or they are in `keep`.
    keep : iterable of str, optional
        Ids of systems and the like that stay as they are even if a name is a part of them, such as
        ``jane-doe-service``. Someone's whole name is replaced even if it stands here.

    Raises
    ------
    InputError
        Listing every fault: a name or alias with fewer than two letters, a name listed twice, a role that
        contains a name.

    Notes
    -----
    Found in any case, with or without accents, with up to three characters that are neither letter nor digit
    between the parts (``Jane Doe``, ``jane.doe``, ``@jane_doe``, ``JaneDoe``), with one middle initial, turned
    round (``Doe, Jane``), with an initial (``J. Doe``, ``j.doe``) or title (``Ms Doe``), in e-mail addresses,
    and behind JSON, HTML and URL escapes. Letters or digits around a name make it part of another word, which is
    left alone. Not found: misspellings, handles that are neither listed nor an actor, surnames alone, other scripts.
    A form that fits several people names all of them. E-mail addresses of others become "e-mail P-...".

    The code is the start of the SHA-256 of the name's letters, so it is the same in every report; four digits,
    more where two people of one report would share them. Cost: linear in the length of the texts, and a table's
    equal texts are handled once; 100,000 different log lines take one to two seconds.

    Examples
    --------
    >>> names = Pseudonyms([("Jane Doe", "data engineer", ["jd42"])], keep=["doe-service"])
    >>> names.text("jane.doe asked @jd42 about doe-service, then Doe, Jane wrote to jane.doe@example.org")
    'data engineer (P-7618) asked data engineer (P-7618) about doe-service, ...
    """

    def __init__(
        self,
        people: Sequence[tuple[str, str, Sequence[str]]] = (),
        actors: Iterable[str] = (),
        keep: Iterable[str] = (),
    ) -> None:
        self._labels: dict[str, str] = {}  # letters of a name -> what stands for it
        self._roles: dict[str, str] = {}
        self._forms: dict[str, set[str]] = {}  # letters of a form -> people
        self._pairs: dict[tuple[str, ...], set[str]] = {}  # (initial or title, surname) -> people
        self._whole: dict[str, set[str]] = {}  # forms that count only as a whole cell or after @
        self._mails: dict[str, set[str]] = {}
        self._keep: dict[str, set[str]] = {}
        kept = {_plain(name).strip() for name in keep}
        self._add_people(people)
        self._add_actors(actors, kept)
        for name in kept:
            self._keep.setdefault(_letters(name), set()).add(name)
        self._labels = _label(self._roles)
        self._starts = {form[:size] for form in (*self._forms, *self._keep) for size in range(1, len(form) + 1)}
        self._firsts = {first for first, _ in self._pairs}
        unspaced = sorted((form for form in self._forms if _unspaced(form)), key=len, reverse=True)
        gap = rf"[\W_]{{0,{_GAP}}}"
        self._unspaced = re.compile("|".join(gap.join(map(re.escape, form)) for form in unspaced)) if unspaced else None
        roles = dict.fromkeys(self._roles.values())
        raise_all([f"people: the role {role!r} contains a name" for role in roles if self.text(role) != role])

    def text(self, value: str) -> str:
        """Return `value` with names and e-mail addresses replaced.

        Examples
        --------
        >>> Pseudonyms(actors=["mwong", "ci-bot"]).text("mwong approved what ci-bot had built")
        'person P-c1d3 approved what ci-bot had built'
        """
        people = self._whole.get(_letters(_plain(value))) if self._whole else None
        if people:
            return self._name(people)
        out = self._replace(value, _unescape) if _ESCAPE.search(value) else value
        return self._replace(out, _fold)

    def frame(self, df: pd.DataFrame) -> pd.DataFrame:
        """Return a table with names replaced in all texts: cells, nested lists, index and column names.

        Parameters
        ----------
        df : DataFrame
            Not changed.

        Returns
        -------
        DataFrame
            Same shape; columns without text keep their type, categories become objects.

        Examples
        --------
        >>> names = Pseudonyms([("Jane Doe", "", [])])
        >>> names.frame(pd.DataFrame({"by": ["Jane Doe", "ci"], "n": [1, 2]})).values.tolist()
        [['person P-7618', 1], ['ci', 2]]
        """
        known: dict[str, str] = {}
        out = df.copy()
        for position in range(df.shape[1]):
            column = df.iloc[:, position]
            if not _holds_text(column.dtype):
                continue
            kind = column.dtype if isinstance(column.dtype, pd.StringDtype) else object
            values = [self._value(value, known) for value in column]
            out.isetitem(position, pd.Series(values, dtype=kind).array)
        out.index = self._axis(df.index, known)
        out.columns = self._axis(df.columns, known)
        return out

    def _axis(self, index: pd.Index, known: dict[str, str]) -> pd.Index:
        if isinstance(index, pd.MultiIndex) or _holds_text(index.dtype):
            return index.map(lambda value: self._value(value, known))
        return index

    def _value(self, value: object, known: dict[str, str]) -> object:
        if isinstance(value, str):
            if value not in known:
                known[value] = self.text(value)
            return known[value]
        for kind in (tuple, list, set, frozenset):
            if type(value) is kind:
                return kind(self._value(item, known) for item in value)
        if isinstance(value, dict):
            return {self._value(key, known): self._value(item, known) for key, item in value.items()}
        return value

    def _add_people(self, people: Sequence[tuple[str, str, Sequence[str]]]) -> None:
        problems = []
        for name, role, aliases in people:
            person = _letters(_plain(name))
            short = [text for text in (name, *aliases) if _too_short(text)]
            problems += [f"people: {text!r} has fewer than two letters" for text in short]
            if person in self._roles:
                problems.append(f"people: {name!r} is listed twice; give other spellings as aliases")
            self._roles[person] = " ".join(role.split())
            for text in (name, *aliases):
                self._add(text, person)
        raise_all(problems)

    def _add_actors(self, actors: Iterable[str], kept: set[str]) -> None:
        for actor in sorted(set(actors)):
            plain = _plain(re.sub(r"<[^<>]*>|\([^()]*\)", " ", actor)).strip()
            person = _letters(plain)
            words = _RUN.findall(plain)
            if "@" in plain.strip("@") or plain in kept or _too_short(plain) or _words("machine").intersection(words):
                continue
            people = self._forms.get(person) or self._pairs.get(tuple(words))
            if not people:
                people = {person}
                self._roles[person] = ""
                if len(words) == 1 and (person in _words("ordinary") or len(person) < 3):
                    self._whole[person] = people
                else:
                    self._add(" ".join(words), person)
            for part in re.split(r"[\s<>()]+", actor):
                if "@" in part:
                    self._mails.setdefault(_plain(part), set()).update(people)

    def _add(self, text: str, person: str) -> None:
        """Note every form of one name or alias of `person`."""
        if "@" in text.strip("@ "):
            self._mails.setdefault(_plain(text).strip(), set()).add(person)
            return
        for spelling in {text, unicodedata.normalize("NFC", text).translate(_UMLAUTS)}:
            words = [_letters(word) for word in _plain(spelling).split()]
            words = [word for word in words if word]
            forms = {"".join(words)}
            if len(words) > 1:
                first, last, rest = words[0], words[-1], "".join(words[1:])
                forms |= {rest + first, first + last, last + first}
                for pair in [(first[0], last), (first[0], rest), *((title, last) for title in _TITLES)]:
                    self._pairs.setdefault(pair, set()).add(person)
                self._pairs.setdefault((last, first[0]), set()).add(person)
            for form in forms:
                self._forms.setdefault(form, set()).add(person)

    def _name(self, people: Iterable[str]) -> str:
        codes = sorted(people)
        if len(codes) == 1:
            return self._labels[codes[0]]
        return "one of " + ", ".join(self._labels[person] for person in codes)

    def _replace(self, text: str, fold: Callable[[str], tuple[str, Sequence[int], Sequence[int]]]) -> str:
        """Return `text` with all that is found in its folded form replaced."""
        folded, starts, ends = fold(text)
        for find in (self._mail_spans, self._unspaced_spans, self._spans):
            done, parts = 0, []
            for start, end, label in find(folded):
                parts += [text[done : starts[start]], label]
                done = ends[end - 1]
            if parts:
                text = "".join([*parts, text[done:]])
                folded, starts, ends = fold(text)
        return text

    def _mail_spans(self, folded: str) -> Iterator[tuple[int, int, str]]:
        if "@" not in folded:
            return
        for found in _MAIL.finditer(folded):
            address = found.group()
            local = address.partition("@")[0]
            if local == "git" and folded[found.end() : found.end() + 1] == ":":
                continue  # git@host:path is a repository
            runs = tuple(_RUN.findall(local.partition("+")[0]))
            people = self._mails.get(address) or self._forms.get("".join(runs)) or self._pairs.get(runs)
            yield found.start(), found.end(), self._name(people) if people else f"e-mail {_code(address)[:8]}"

    def _unspaced_spans(self, folded: str) -> Iterator[tuple[int, int, str]]:
        """Find names in scripts that do not set words apart."""
        if self._unspaced:
            for found in self._unspaced.finditer(folded):
                yield found.start(), found.end(), self._name(self._forms[_letters(found.group())])

    def _spans(self, folded: str) -> Iterator[tuple[int, int, str]]:
        """Find names as runs of letters and digits, the leftmost first and of these the longest."""
        runs: list[tuple[int, int]] = []
        done = 0
        for number, found in enumerate(_RUN.finditer(folded)):
            run, (start, end) = found.group(), found.span()
            if start < done or not (run in self._starts or run in self._firsts or run in self._whole):
                continue
            runs = runs or [match.span() for match in _RUN.finditer(folded)]
            at = folded[start - 1 : start] == "@" and not folded[max(start - 2, 0) : start - 1].isalnum()
            end, label = max(
                self._longest(folded, runs[number : number + _PARTS]),
                self._initialled(folded, runs[number : number + 2]),
                (end, self._name(self._whole[run])) if at and run in self._whole else (start, ""),
            )
            done = end
            if label:
                yield start - at, end, label

    def _longest(self, folded: str, runs: Sequence[tuple[int, int]]) -> tuple[int, str]:
        """Return the end and label of the longest form that these runs begin with; what stays has no label."""
        start, last = runs[0]
        best, label = start, ""
        spellings = {""}
        for begin, end in runs:
            run = folded[begin:end]
            more = {letters + run for letters in spellings} & self._starts
            if begin - last > _GAP or not (more or len(run) == 1):
                break
            # a single letter between two parts of a name is a middle initial
            spellings = more | spellings if begin > start and len(run) == 1 else more
            last = end
            for letters in sorted(more):
                if letters in self._forms:
                    best, label = end, self._name(self._forms[letters])
                elif folded[start:end] in self._keep.get(letters, ()):
                    best, label = end, ""
        return best, label

    def _initialled(self, folded: str, runs: Sequence[tuple[int, int]]) -> tuple[int, str]:
        """Return the end and label of "J. Doe", "Doe, J" or "Ms Doe"."""
        start, last = runs[0]
        if len(runs) < 2 or runs[1][0] - last > _GAP:
            return start, ""
        begin, end = runs[1]
        first, gap = folded[start:last], folded[last:begin]
        people = self._pairs.get((first, folded[begin:end]))
        if not people or not (first in _TITLES or any(mark in ".,_-" for mark in gap)):
            return start, ""
        return end, self._name(people)


def _holds_text(kind: object) -> bool:
    return isinstance(kind, pd.StringDtype | pd.CategoricalDtype) or kind == "object"


@lru_cache(maxsize=4096)
def _plain_character(character: str) -> str:
    """Return one character in lower case, without accents; nothing for marks and invisible characters."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold()).translate(_PLAIN)
    return "".join(part for part in folded if unicodedata.category(part) not in ("Mn", "Me", "Cf"))


def _plain(text: str) -> str:
    return text.lower() if text.isascii() else "".join(map(_plain_character, text))


def _letters(plain: str) -> str:
    return "".join(_RUN.findall(plain))


def _too_short(text: str) -> bool:
    return sum(character.isalpha() for character in _letters(_plain(text))) < 2


def _unspaced(form: str) -> bool:
    return any(unicodedata.category(character) == "Lo" for character in form)


def _fold(text: str) -> tuple[str, Sequence[int], Sequence[int]]:
    """Return the plain form, and for each of its characters where its source starts and ends in `text`."""
    if text.isascii():
        return text.lower(), range(len(text)), range(1, len(text) + 1)
    return _map((character, number, number + 1) for number, character in enumerate(text))


def _unescape(text: str) -> tuple[str, Sequence[int], Sequence[int]]:
    """Return the same as `_fold`, with escaped characters read as what they stand for."""
    units, done = [], 0
    for found in _ESCAPE.finditer(text):
        units += [(text[number], number, number + 1) for number in range(done, found.start())]
        units += [(character, *found.span()) for character in _meaning(found.group())]
        done = found.end()
    units += [(text[number], number, number + 1) for number in range(done, len(text))]
    return _map(units)


def _meaning(escape: str) -> str:
    if escape.startswith("\\"):
        return chr(int(escape[-4:], 16)) if "u" in escape else " "
    return unquote(escape, errors="replace") if escape.startswith("%") else html.unescape(escape)


def _map(units: Iterable[tuple[str, int, int]]) -> tuple[str, Sequence[int], Sequence[int]]:
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for character, start, end in units:
        plain = _plain_character(character)
        if not plain and ends:
            ends[-1] = end  # an accent goes with its letter
        parts.append(plain)
        starts += [start] * len(plain)
        ends += [end] * len(plain)
    return "".join(parts), starts, ends


def _code(name: str) -> str:
    return "P-" + hashlib.sha256(name.encode()).hexdigest()


def _label(roles: dict[str, str]) -> dict[str, str]:
    """Return what stands for each person; codes are lengthened until all differ."""
    codes = {person: _code(person) for person in roles}
    size = len("P-") + 4
    while len({code[:size] for code in codes.values()}) < len(codes):
        size += 1
    return {
        person: f"{role} ({codes[person][:size]})" if role else f"person {codes[person][:size]}"
        for person, role in roles.items()
    }

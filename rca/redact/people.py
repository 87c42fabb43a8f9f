"""Who an incident knows: the people it lists, those who acted in its exports, and by which names texts call them."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from rca.causes import language
from rca.causes.language import Pseudonyms
from rca.errors import InputError
from rca.incident import Incident
from rca.sources import Records, documents

__all__ = ["NOT_FOUND", "Known", "People", "known"]

NOT_FOUND = (
    "Free text may still name people who never acted in these exports: a name is known here only from events' actors,"
    " users.json and people.csv of the exports, and people: in incident.yaml. Misspelt names, nicknames, names"
    " grown into other words (jdoeMacBook), and first names or surnames that are also words (Will, Park) when they"
    " stand alone are not found either."
)
_RUN = re.compile(r"[^\W_]+")
_FULL = re.compile(r"(?<![\w@/])([^\W\d_]+) ((?:[^\W\d_]|['\u2019-](?=\w))+)(?![\w/])")
_MENTION = re.compile(r"<@(?P<id>[UW][A-Z0-9]{2,20})(?:\|[^<>\n]*)?>")
_BOT = re.compile(r"B(?=[A-Z]*\d)[A-Z0-9]{7,12}")  # a bot's id, which stands where a message names no user
_ID = re.compile(r"(?=[a-z]*\d)(?=\d*[a-z])[a-z0-9]{4,20}")  # a handle or id with a digit is no word
_FIELDS = ("author", "committer", "edited_by", "assignee", "reporter", "acknowledged_by", "merged_by", "approved_by")
_DIRECTORY = ("id", "name", "display_name", "profile.display_name", "real_name", "profile.real_name", "profile.email")
_NAMED = (
    "real_name",
    "profile.real_name",
    "display_name",
    "profile.display_name",
    "name",
    "id",
)  # as sources name them
_SHORTEST = 5  # letters of a handle made from a name
_LEAST = 3  # letters of a first name or surname that is looked for alone
# Where a URL, path or query has the handle of a person as a part of its own.
_HOME = re.compile(
    r"(?:(?:github|gitlab)\.[\w.-]+|bitbucket\.org|(?:twitter|x)\.com|huggingface\.co|linkedin\.com/in)[/:]$"
    r"|(?:^|[/\\])(?:users?|home|people|profiles?|members?|author|u|team)[/\\]$|[/\\][~@]$|(?:^|[/=])~$"
    r"|(?:[?&]|^)(?:user(?:name|_id)?|author|actor|login|assignee|reporter|owner|by)=@?$"
)
_FAR = 300  # characters of a URL or path that are looked at on either side
_EDGE = "\"'`()[]{}<>,;|\u201c\u201d\u2018\u2019\u2026"


@cache
def _common() -> frozenset[str]:
    """Return words that are first names or surnames too; alone, they are not taken for a name."""
    rows = pd.read_csv(Path(__file__).with_name("common_names.csv"), dtype=str, keep_default_na=False)
    return frozenset(rows["word"]) | frozenset(_actor_words()["word"])


@cache
def _actor_words() -> pd.DataFrame:
    return pd.read_csv(Path(language.__file__).with_name("actor_words.csv"), dtype=str, keep_default_na=False)


class People(Pseudonyms):
    """`rca.causes.language.Pseudonyms` that leave URLs, paths and identifiers as they are.

    A name of several words, an address, and a handle made from its owner's name (``jdoe``) or with a digit
    (``jd42``) are replaced everywhere. A first name, a surname or another handle is replaced where it is a word of
    its own, and in a URL or path only in the place of a person (``github.com/HANDLE``, ``/home/HANDLE``,
    ``?user=HANDLE``). A name of nothing but common words (``Will Park``) is replaced with a capital only.

    Parameters
    ----------
    people, actors, keep
        As in `rca.causes.language.Pseudonyms`.

    Examples
    --------
    >>> names = People([("Jane Doe", "", ["Jane", "Doe", "atlas"])])
    >>> names.text("Jane asked @atlas why atlas-db, /opt/atlas/x and https://ci.example/services/atlas failed")
    'person P-7618 asked person P-7618 why atlas-db, /opt/atlas/x and https://ci.example/services/atlas failed'
    """

    def __init__(
        self,
        people: Sequence[tuple[str, str, Sequence[str]]] = (),
        actors: Iterable[str] = (),
        keep: Iterable[str] = (),
    ) -> None:
        self._weak: frozenset[str] = frozenset()
        self._plain: re.Pattern[str] | None = None  # names that are words, as these are written in a sentence
        actors = list(actors)
        weak: set[str] = set()
        for name, _, aliases in [*people, *((actor, "", ()) for actor in actors)]:
            words = {word for text in (name, *aliases) if "@" not in text for word in _words(text) if " " in text}
            single = {"".join(_words(text)) for text in (name, *aliases) if len(_words(text)) == 1}
            made = {one for one in single - words if any(len(word) > 3 and word in one for word in words)}
            weak |= {one for one in single - made if not _ID.fullmatch(one)}
        super().__init__(people, actors, keep)
        self._weak = frozenset(weak)
        several = [_words(text) for name, _, aliases in people for text in (name, *aliases)]
        several += [_words(actor) for actor in actors]
        plain = sorted({r"\s+".join(words) for words in several if len(words) > 1 and _common().issuperset(words)})
        self._plain = re.compile(rf"(?<![\w@])(?:{'|'.join(plain)})(?!\w)") if plain else None

    def text(self, value: str) -> str:
        """Return `value` with names, handles, mentions and e-mail addresses replaced."""
        if "<@" in value:
            value = _MENTION.sub(lambda match: super(People, self).text("@" + match["id"]), value)
        if self._plain is None or not self._plain.search(value) or self._plain.fullmatch(value.strip()):
            return super().text(value)
        edges = [0, *(edge for match in self._plain.finditer(value) for edge in match.span()), len(value)]
        pieces = [value[start:end] for start, end in pairwise(edges)]
        return "".join(piece if number % 2 else super(People, self).text(piece) for number, piece in enumerate(pieces))

    def _spans(self, folded: str) -> Iterator[tuple[int, int, str]]:
        for start, end, label in super()._spans(folded):
            bare = folded[start:end].removeprefix("@")
            if bare not in self._weak or _free(folded, start, end):
                yield start, end, label


def _free(text: str, start: int, end: int) -> bool:
    """Whether a piece of a text is a word of its own, or stands where a URL or path has a person."""
    first, last = start, end
    while first > max(0, start - _FAR) and not text[first - 1].isspace() and text[first - 1] not in _EDGE:
        first -= 1
    while last < min(len(text), end + _FAR) and not text[last].isspace() and text[last] not in _EDGE:
        last += 1
    token = text[first:last].rstrip(".:!?*_~")
    before, after = text[first:start], text[end : first + len(token)]
    if re.match(r"[-_.+@]?\w", after) and not re.match(r"@\w", after):
        return False
    path = "://" in token or token.startswith(("www.", "/", "./", "../", "~")) or "\\" in token or token.count("/") > 1
    if path or re.match(r"[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}/", token):
        return bool(_HOME.search(before)) or (before.endswith("//") and after.startswith("@"))
    return not re.search(r"\w[-_.+@$]$|\$$", before)


@dataclass(frozen=True)
class Known:
    """Whom an incident knows, as `People` takes it.

    Attributes
    ----------
    people : tuple of (name, role, aliases)
        Listed people and those of the exports' directories.
    actors : tuple of str
        Actors of events.
    keep : tuple of str
        Ids of systems and metrics.
    """

    people: tuple[tuple[str, str, tuple[str, ...]], ...]
    actors: tuple[str, ...]
    keep: tuple[str, ...]


def known(found: Incident, records: Records) -> Known:
    """Return the people whom an incident knows, with every name that its texts may call them by.

    Parameters
    ----------
    found : Incident
        Its ``people:`` come first; a directory's person or an actor of the same name or alias is the same person.
    records : Records
        Their events' actors, and people named in attributes such as ``author`` and ``assignee``.

    Returns
    -------
    Known

    Raises
    ------
    InputError
        If ``people.csv`` is no CSV table.

    Notes
    -----
    Names come from ``people:``, actors, ``users.json`` in a zip of the exports, and ``people.csv`` beside them (columns
    ``name``, and any of ``role``, ``handle``, ``id``, ``email``, ``aliases``; aliases are set apart by ``;``). A first
    name or a surname counts alone when it has at least three letters, is no common word and no word of a role, system
    or metric; where two people share it, both are named. So does the handle that a name gives (``jdoe``), for logs
    and repositories call people by it; and a name of two words in a text (``Jane Doe``) that gives somebody's handle
    (``jdoe``, ``janed``) is taken for that person's.
    """
    listed = [(one.name, one.role, [*one.aliases]) for one in found.file.people]
    actors = {actor for actor in records.events["actor"] if actor and not _BOT.fullmatch(actor)}
    actors |= set(_attributed(records.events["attributes"]))
    entries = [*_directories(found), *((actor, "", []) for actor in sorted(actors) if len(actor.split()) > 1)]
    keep = (*records.systems, *map(str, records.metrics["metric"].unique()))
    people = _merged(listed, [entry for entry in entries if not _machine(entry[0], keep)])
    _infer(people, records.events["message"])
    taken = {word for text in (*keep, *(role for _, role, _ in people)) for word in _words(text)}
    full = tuple((name, role, tuple(dict.fromkeys([*more, *_parts(name, more, taken)]))) for name, role, more in people)
    return Known(full, tuple(sorted(actors)), keep)


def _words(text: str) -> list[str]:
    return _RUN.findall(text.casefold())


def _letters(text: str) -> str:
    return "".join(_words(text))


def _machine(name: str, keep: Sequence[str]) -> bool:
    """Whether an entry is a machine, a system or nothing that can be looked for."""
    words = _actor_words()
    machines = set(words.loc[words["class"] == "machine", "word"])
    return sum(map(str.isalpha, name)) < 2 or name in keep or bool(machines.intersection(_words(name)))


def _parts(name: str, aliases: Sequence[str], taken: set[str]) -> Iterator[str]:
    """Yield first names and surnames that may stand alone, and the usual handle of a name."""
    for text in (name, *aliases):
        words = [word for word in re.split(r"[\s,]+", text) if word] if "@" not in text else []
        for word in (words[0], words[-1]) if len(words) > 1 else ():
            plain = _letters(word)
            if len(plain) >= _LEAST and word.isalpha() and plain not in _common() and plain not in taken:
                yield word
        if len(words) > 1:
            handle = _letters(words[0])[:1] + _letters(words[-1])
            if len(handle) >= _SHORTEST and handle.isalpha() and handle not in _common() and handle not in taken:
                yield handle


def _merged(
    listed: list[tuple[str, str, list[str]]], entries: Iterable[tuple[str, str, Sequence[str]]]
) -> list[tuple[str, str, list[str]]]:
    """Return people once each: an entry that shares its name or an alias with one before it adds to that one."""
    people = [(name, role, list(aliases)) for name, role, aliases in listed]
    by_name = {_letters(text): place for place, one in enumerate(people) for text in (one[0], *one[2])}
    taken = {word for _, role, _ in people for word in _words(role)}
    for name, role, aliases in entries:
        own = [text for text in aliases if sum(map(str.isalpha, text)) > 1 and not taken.issuperset(_words(text))]
        own = [text for text in own if _letters(text) not in _common()]
        places = [by_name[_letters(text)] for text in (name, *own) if _letters(text) in by_name]
        if not places:
            people.append((name, role, []))
        place = places[0] if places else len(people) - 1
        for text in (name, *own):
            by_name.setdefault(_letters(text), place)
            if text != people[place][0] and text not in people[place][2]:
                people[place][2].append(text)
    return people


def _directories(found: Incident) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (name, role, aliases) of the lists of people that the exports hold."""
    for source in found.file.sources:
        for name in source.file:
            path = found.path(name)
            if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
                yield from _users(path)
    for place in ("people.csv", "sources/people.csv"):
        path = found.folder / place
        if path.is_file():
            try:
                rows = pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")
            except ValueError as error:
                raise InputError(f"{path}: not a CSV table ({error})") from error
            for row in rows:
                more = [str(row.get(field, "")) for field in ("handle", "id", "email")]
                more += str(row.get("aliases", "")).split(";")
                yield (
                    str(row.get("name", "")),
                    str(row.get("role", "")),
                    [text.strip() for text in more if text.strip()],
                )


def _users(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the people of ``users.json`` in an archive; bots are left out."""
    for name, data in documents.members(path):
        if name.rpartition("/")[2] != "users.json" or "__MACOSX" in name:
            continue
        try:
            users = json.loads(data.decode("utf-8-sig"))
        except ValueError:
            continue  # the import reports it
        for user in users if isinstance(users, list) else []:
            if isinstance(user, dict) and not user.get("is_bot") and user.get("id") != "USLACKBOT":
                texts = {field: _field(user, field) for field in _DIRECTORY}
                called = next((texts[field] for field in _NAMED if texts[field]), "")
                yield called, "", [text for text in dict.fromkeys(texts.values()) if text and text != called]


def _field(user: Mapping[str, Any], name: str) -> str:
    value: Any = user
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value.strip() if isinstance(value, str) else ""


def _attributed(attributes: pd.Series) -> Iterator[str]:
    """Yield the people whom fields of events name."""
    wanted = "|".join(f'"{name}"' for name in _FIELDS)
    for text in attributes[attributes.str.contains(wanted, regex=True)].unique():
        content = json.loads(text)
        for name in _FIELDS:
            value = content.get(name) if isinstance(content, dict) else None
            if isinstance(value, dict):
                value = next((value[key] for key in ("name", "display_name", "login") if value.get(key)), "")
            if isinstance(value, str) and any(map(str.isalpha, value)) and len(value) <= 100:
                yield value


def _infer(people: list[tuple[str, str, list[str]]], messages: pd.Series) -> None:
    """Add to people the full names in texts that their handles are made of."""
    handles: dict[str, set[int]] = {}
    for place, (name, _, aliases) in enumerate(people):
        for text in (name, *aliases):
            if re.fullmatch(rf"[^\W\d_]{{{_SHORTEST},}}", text):
                handles.setdefault(text.casefold(), set()).add(place)
    if not handles:
        return
    for text in messages.unique():
        for match in _FULL.finditer(text):
            first, last = match[1], match[2]
            if not (first[0].isupper() and last[0].isupper()) or {first.casefold(), last.casefold()} & _common():
                continue
            for form in (first[0] + last, first + last[0]):
                places = handles.get(_letters(form), set())
                if len(places) == 1:
                    aliases = people[min(places)][2]
                    aliases += [f"{first} {last}"] * (f"{first} {last}" not in (*aliases, people[min(places)][0]))

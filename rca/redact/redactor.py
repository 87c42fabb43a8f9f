"""Redaction of texts and tables with pseudonyms that are made with a key."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from rca import files
from rca.errors import InputError, MissingFile, UnknownName, did_you_mean, shorten
from rca.redact import patterns
from rca.redact.people import People

__all__ = ["KEY", "Redactor", "key", "table", "text"]

KEY = "derived/redact.key"
_BYTES = 32
_MARK = "\x1a" * 5  # stands for what is done while names are looked for; longer than a gap within a name
_DONE = re.compile(
    rf"\x1a|(?:{'|'.join(patterns.CATEGORIES)})-R[0-9a-f]{{10}}(?![0-9A-Za-z])|\(R[0-9a-f]{{10}}\)"
    r"|(?P<old>(?:person |e-mail )P-(?P<a>[0-9a-f]{4,64})|\(P-(?P<b>[0-9a-f]{4,64})\))(?![0-9A-Za-z])"
)


def key(folder: str | Path) -> bytes:
    """Return the key of an incident's pseudonyms; it is made at random on first use.

    Parameters
    ----------
    folder : str or Path
        The incident folder. The key stands in ``derived/redact.key``, readable by its owner only: neither in
        version control nor in a sealed archive.

    Returns
    -------
    bytes
        32 of them.

    Raises
    ------
    MissingFile
        If there is no such folder.
    InputError
        If the file holds something else.

    Notes
    -----
    Who has the key can test whether a pseudonym is that of a name; who deletes it makes that impossible, and new
    pseudonyms differ from those in earlier reports.
    """
    top = Path(folder)
    if not top.is_dir():
        raise MissingFile(f"{top}: no such folder")
    path = files.inside(top, KEY)
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_name(f".{secrets.token_hex(8)}.part")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as handle:  # noqa: PTH123
            handle.write(secrets.token_hex(_BYTES) + "\n")
        try:
            path.hardlink_to(temporary)  # the first of several writers wins, and no reader sees half a key
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    try:
        found = bytes.fromhex(files.read_bytes(path, limit=1000).decode("ascii"))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a key of {2 * _BYTES} hexadecimal digits") from error
    if len(found) != _BYTES:
        raise InputError(f"{path}: not a key of {2 * _BYTES} hexadecimal digits")
    return found


class _Names(People):
    """Pseudonyms that are counted, and whose codes are made with a key or are those of the report."""

    def __init__(
        self,
        people: Sequence[tuple[str, str, Sequence[str]]],
        actors: Iterable[str],
        keep: Iterable[str],
        secret: bytes,
        keyed: bool,
    ) -> None:
        self.found: list[str] = []  # categories of what the last text had replaced
        self._secret = secret
        self._keyed = keyed
        super().__init__(people, actors, keep)
        old = self._labels
        self._known = {label.rpartition("P-")[2].rstrip(")"): person for person, label in old.items()}
        if not keyed:
            return
        self._labels = {
            person: f"{role} ({self.code('person', person)})" if role else f"person-{self.code('person', person)}"
            for person, role in self._roles.items()
        }

    def code(self, category: str, value: str) -> str:
        """Return the code of a value within its category."""
        message = f"{category}\0{value}".encode("utf-8", "surrogatepass")
        return "R" + hmac.new(self._secret, message, hashlib.sha256).hexdigest()[:10]

    def renew(self, code: str) -> str:
        """Return what stands for a code that was made without a key; empty when it stays."""
        if not self._keyed:
            return ""
        fits = [person for known, person in self._known.items() if known.startswith(code) or code.startswith(known)]
        return self.code("person", fits[0]) if len(fits) == 1 else self.code("code", code)

    @property
    def labels(self) -> dict[str, str]:
        """What stands for each person."""
        return dict(self._labels)

    def text(self, value: str) -> str:
        """Return `value` with names replaced; note what they were."""
        self.found.clear()
        out = super().text(value)
        if out != value and not self.found:
            self.found.append("person")  # the whole text is a name
        return out

    def _mail_spans(self, folded: str) -> Iterator[tuple[int, int, str]]:
        for start, end, label in super()._mail_spans(folded):
            self.found.append("e-mail")
            other = self._keyed and label.startswith("e-mail P-")
            yield start, end, f"e-mail-{self.code('e-mail', folded[start:end])}" if other else label

    def _unspaced_spans(self, folded: str) -> Iterator[tuple[int, int, str]]:
        for span in super()._unspaced_spans(folded):
            self.found.append("person")
            yield span

    def _spans(self, folded: str) -> Iterator[tuple[int, int, str]]:
        for span in super()._spans(folded):
            self.found.append("person")
            yield span


class Redactor:
    """Replaces personal data and secrets in texts by pseudonyms; made by `Redactor.of`.

    Attributes
    ----------
    counts : Counter
        How many were replaced so far, by category (`CATEGORIES`, and ``code`` for codes of earlier reports).

    Notes
    -----
    A pseudonym is its category, ``-R``, and 10 hexadecimal digits of an HMAC-SHA256 of the value with the key; for
    people with a role, the role and the code in brackets. Redacting twice changes nothing more. Codes that reports
    made without a key (``P-7618``) are replaced by codes made with it; a known person's becomes that person's.

    Limits. Names: as `rca.redact.People`, so people who are neither listed nor actors are not found. Secrets:
    known forms, or behind a word such as ``password``; a bare random text is left, for it may be a hash. IP
    addresses: not 0.x, 127.x and ::1, and not behind words for versions. Phone numbers: with ``+``, in the North
    American form, or behind a word such as ``phone``. Cards: 13-16 digits; one of ten numbers that begins like a
    card passes the check. Postal addresses: common English, German and French forms. Pictures, encoded and packed
    texts are not read. What a text says about a person without naming them stays.
    """

    counts: Counter[str]

    def __init__(self, names: _Names) -> None:
        self._names = names
        self.counts = Counter()

    @property
    def people(self) -> int:
        """How many people are known."""
        return len(self._names.labels)

    @classmethod
    def of(
        cls,
        people: Sequence[tuple[str, str, Sequence[str]]],
        key: bytes,
        *,
        actors: Iterable[str] = (),
        keep: Iterable[str] = (),
        keyed: bool = True,
    ) -> Redactor:
        """Return the redactor for these people.

        Parameters
        ----------
        people : sequence of (name, role, aliases)
            As in `rca.language.Pseudonyms`; `rca.redact.known` finds those of an incident.
        key : bytes
            At least 16, secret and random: `rca.redact.key`.
        actors, keep : iterable of str
            As in `rca.language.Pseudonyms`.
        keyed : bool, default True
            Make the codes of people and e-mail addresses with the key as well. False gives those of the report
            (``person P-7618``), which who guesses a name can test.

        Returns
        -------
        Redactor

        Raises
        ------
        InputError
            If the key is too short, or the people are at fault.

        Examples
        --------
        >>> redactor = Redactor.of([("Jane Doe", "data engineer", ["jd42"])], b"0123456789abcdef")
        >>> redactor.text("jane.doe logged in from 203.0.113.9 with build 1.2.3.4")
        'data engineer (Rfbd904334b) logged in from ip-R528884218e with build 1.2.3.4'
        >>> dict(redactor.counts)
        {'ip': 1, 'person': 1}
        """
        if len(key) < 16:
            raise InputError(f"the key of pseudonyms has {len(key)} bytes; at least 16 are wanted")
        plain = [(name, re.sub(r"[^\w ./-]+", " ", role), aliases) for name, role, aliases in people]
        return cls(_Names(plain, actors, keep, key, keyed))

    def text(self, value: str, *, name: str = "") -> str:
        """Return `value` with what is found replaced.

        Parameters
        ----------
        value : str
            Any text.
        name : str, default ""
            The column or key it stands under: under ``password`` and the like the whole value is a secret.
        """
        out, found = self._redact(value, name)
        self.counts.update(found)
        return out

    def hides(self, name: str, value: str) -> bool:
        """Whether a value is a secret as a whole for the name of the column or key it stands under."""
        return (
            bool(name) and patterns.secret_key(name) and patterns.secret_value(name, value) and not _DONE.search(value)
        )

    def column(self, values: pd.Series, name: str = "") -> pd.Series:
        """Return a column with all of its texts redacted, equal texts once; other values stay."""
        times = values[values.map(lambda value: type(value) is str)].value_counts()
        done: dict[str, str] = {}
        for value, number in times.items():
            done[value], found = self._redact(value, name)
            for category in found:
                self.counts[category] += int(number)
        return values.map(lambda value: done[value] if type(value) is str else value).astype(values.dtype)

    def _redact(self, value: str, name: str) -> tuple[str, list[str]]:
        """Return `value` redacted, and the category of each replacement."""
        if self.hides(name, value):
            return self._pseudonym("secret", value), ["secret"]
        spans, found = self._finished(value)
        for start, end, category in patterns.find(value, [span[:2] for span in spans]):
            spans.append((start, end, self._pseudonym(category, value[start:end])))
            found.append(category)
        if not spans:
            return self._names.text(value), self._names.found.copy()
        spans.sort()
        edges = [0, *(edge for start, end, _ in spans for edge in (start, end)), len(value)]
        between = [value[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
        around = self._names.text(_MARK.join(between)).split(_MARK)
        labels = [*(label for _, _, label in spans), ""]
        return "".join(part for pair in zip(around, labels, strict=True) for part in pair), found + self._names.found

    def _finished(self, value: str) -> tuple[list[tuple[int, int, str]], list[str]]:
        """Return what is a pseudonym already, with what stands for it, and a ``code`` for each that is renewed."""
        if not ("R" in value or "P-" in value or "\x1a" in value):
            return [], []
        matches = list(_DONE.finditer(value))
        spans = [(*match.span(), self._renewed(match)) for match in matches]
        return spans, ["code" for match, span in zip(matches, spans, strict=True) if match.group() != span[2]]

    def _renewed(self, match: re.Match[str]) -> str:
        if not match["old"]:
            return match.group()
        code = self._names.renew(match["a"] or match["b"])
        if not code:
            return match.group()
        return f"({code})" if match["b"] else match.group().partition(" ")[0] + f"-{code}"

    def _pseudonym(self, category: str, value: str) -> str:
        """Return what stands for a value; other ways to write the same value get the same."""
        plain = value
        if category in ("iban", "card", "phone"):
            plain = re.sub(r"[^0-9A-Z]", "", value)
        elif category == "ip":
            plain = value.lower() if ":" in value else value.replace("-", ".")
        elif category == "address":
            plain = " ".join(re.findall(r"\w+", value.casefold()))
        return f"{category}-{self._names.code(category, plain)}"


def text(value: str, redactor: Redactor) -> str:
    """Return `value` with personal data and secrets replaced.

    Parameters
    ----------
    value : str
        Any text.
    redactor : Redactor
        Counts what it replaces.

    Returns
    -------
    str

    Examples
    --------
    >>> redactor = Redactor.of([], b"0123456789abcdef")
    >>> text("psql postgres://app:hunter2@db/x at 3f2a9c1", redactor)
    'psql postgres://app:secret-R...@db/x at 3f2a9c1'
    """
    return redactor.text(value)


def table(frame: pd.DataFrame, columns: Sequence[str] | None, redactor: Redactor) -> pd.DataFrame:
    """Return a copy of a table with the texts of these columns redacted.

    Parameters
    ----------
    frame : DataFrame
        Not changed.
    columns : sequence of str, optional
        Which; None means every column of texts. A column named like a secret (``api_key``) is replaced whole.
    redactor : Redactor
        Counts what it replaces, each row for itself.

    Returns
    -------
    DataFrame
        Same index, columns and types; categories become texts.

    Raises
    ------
    UnknownName
        If there is no such column.

    Notes
    -----
    Values that are no text (numbers, lists) stay. Equal texts of a column are looked at once. A million different log
    lines take about half a minute.

    Examples
    --------
    >>> redactor = Redactor.of([], b"0123456789abcdef")
    >>> events = pd.DataFrame({"message": ["call +49 30 901820", "ok"], "count": [1, 2]})
    >>> table(events, ["message"], redactor)["message"].tolist()
    ['call phone-R...', 'ok']
    """
    chosen = [name for name in frame.columns if _texts(frame[name].dtype)] if columns is None else list(columns)
    for name in chosen:
        if name not in frame.columns:
            raise UnknownName(f"no column {shorten(name)}{did_you_mean(str(name), map(str, frame.columns))}")
    out = frame.copy()
    for name in chosen:
        column = frame[name]
        plain = column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
        out[name] = redactor.column(plain, str(name))
    return out


def _texts(kind: object) -> bool:
    return isinstance(kind, pd.StringDtype | pd.CategoricalDtype) or kind == "object"

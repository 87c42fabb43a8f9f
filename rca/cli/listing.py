"""Lines for a terminal: times at one precision, and text of strangers that can neither steer nor flood it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

__all__ = ["Clock", "one_line"]

_MINUTE, _SECOND = 60 * 10**9, 10**9
_JOINERS = "\u200c\u200d"  # without them words of some scripts, and some emoji, are others
_LONGEST = 500


def one_line(text: str, longest: int = _LONGEST) -> str:
    r"""Return text as one line of at most `longest` characters, in which nothing obeys or is hidden.

    Every character that is not to be seen (control characters, so also those of terminals, marks that turn the reading
    direction, private ones) is U+FFFD, and what is cut off is counted.

    Examples
    --------
    >>> one_line("a\x1b[31mb\n\tc\u202e") == "a\ufffd[31mb c\ufffd"
    True
    >>> one_line("x" * 9, longest=4)
    'xxxx… (5 more characters)'
    """
    text = " ".join(text.split())
    more = f"… ({len(text) - longest:,} more characters)" if len(text) > longest else ""
    text = text[:longest]
    if not text.isprintable():
        text = "".join(mark if mark.isprintable() or mark in _JOINERS else "\ufffd" for mark in text)
    return text + more


@dataclass(frozen=True)
class Clock:
    """How the times of one listing are written.

    Attributes
    ----------
    zone : str
        IANA name, or empty for UTC.
    digits : int
        Of a second's fraction; 0 for whole seconds, -1 for whole minutes.
    """

    zone: str
    digits: int

    @classmethod
    def of(cls, *columns: pd.Series, zone: str = "") -> Clock:
        """Return how to write these times, so that all are to one precision and different ones never look the same.

        Parameters
        ----------
        *columns : Series
            Times in UTC; missing ones are passed over.
        zone : str, optional
            IANA name.

        Returns
        -------
        Clock
            To the minute where all are whole minutes, else to the second, else to as many digits, in threes, as it
            takes to tell them apart.

        Examples
        --------
        >>> seen = pd.Series(pd.to_datetime(["2025-03-01T10:00:00Z", "2025-03-01T10:00:05Z", None]))
        >>> clock = Clock.of(seen, zone="Europe/Berlin")
        >>> [clock(time) for time in seen]
        ['2025-03-01 11:00:00+01:00', '2025-03-01 11:00:05+01:00', 'not known']
        """
        known = pd.concat([column.dropna().astype("datetime64[ns, UTC]") for column in columns]).drop_duplicates()
        ns = known.astype("int64")
        if not (ns % _MINUTE).any():
            return cls(zone, -1)
        return cls(zone, next(digits for digits in (0, 3, 6, 9) if not (ns // 10 ** (9 - digits)).duplicated().any()))

    @property
    def width(self) -> int:
        """How many characters a time takes."""
        return (
            len("2025-03-01 10:00")
            + (3 + self.digits + (self.digits > 0)) * (self.digits >= 0)
            + (6 if self.zone else 4)
        )

    def __call__(self, time: pd.Timestamp) -> str:
        """Return a time as it is written in this listing."""
        if pd.isna(time):
            return "not known"
        local = time.tz_convert(self.zone or "UTC")
        text = f"{local:%Y-%m-%d %H:%M}" if self.digits < 0 else f"{local:%Y-%m-%d %H:%M:%S}"
        if self.digits > 0:
            text += f".{time.as_unit('ns').value % _SECOND:09}"[: 1 + self.digits]
        if not self.zone:
            return f"{text} UTC"
        offset = f"{local:%z}"
        return f"{text}{offset[:3]}:{offset[3:]}"

"""What the content of a change has in common with what failed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rca.errors import shorten
from rca.systems.changes.effects import ERRORS, altered, effects, failure_kinds, relieves
from rca.systems.changes.failures import Failure
from rca.systems.changes.patch import Line, Patch
from rca.systems.changes.words import whole, words

__all__ = ["Content", "Support", "judge"]

ENOUGH = 1.2  # weight of shared words: altered ones speak by themselves, others tie an effect to the failure
LINK = 0.6  # weight of shared words that does the same if they stand in the line with the effect
_AROUND = 0.25  # worth of a shared word that the change left as it was
_SHOWN = 4


@dataclass(frozen=True)
class Content:
    """What is known of a change: its own texts and, of the commits that it brings, their texts and diffs."""

    text: str
    patches: tuple[Patch, ...]
    named: str  # what was changed, where the record names it: a flag, a setting, a table

    @property
    def known(self) -> bool:
        """Whether a diff says what was altered."""
        return any(patch.lines for patch in self.patches) or self.inert

    @property
    def inert(self) -> bool:
        """Whether nothing of it runs in a service."""
        return bool(self.patches) and all(patch.inert for patch in self.patches)

    def words(self) -> set[str]:
        """Return all words."""
        return words(f"{self.text} {self.named}").union(*(patch.everything() for patch in self.patches))


@dataclass(frozen=True)
class Support:
    """How strongly content speaks for a change (0: not at all), and by what."""

    score: float
    why: str


def judge(content: Content, failures: Sequence[Failure], weight: Mapping[str, float]) -> Support:
    """Return what the content of a change has in common with the failures that began after it.

    Words on one side of the diff only, the names of values that it alters, and effects that can bear on the kind of
    failure speak for a change. What a diff keeps or moves, its paths and what people wrote about it do not
    by themselves: they only tie an effect to the failure.
    """
    if content.inert:
        return Support(0, "")
    told = set().union(*(one.words for one in failures))
    said = set().union(*(one.words for one in failures if not one.metric))
    kinds = set().union(*(failure_kinds(one.text, metric=one.metric) for one in failures))
    patches = [patch for patch in content.patches if ERRORS in kinds or not relieves(patch)]
    changed = words(content.named)
    for patch in patches:
        changed |= patch.gone() | patch.come()
        changed = changed.union(*(words(name) for *_, name in altered(patch)))
    shared = said & changed
    around = (told & content.words()) - shared
    names = set().union(*(one.names for one in failures))
    done = [effect for patch in patches for effect in effects(patch) if kinds & set(effect.kinds)]
    worth, tied = _worth(shared, weight, names), _worth(shared | around, weight, names)
    done = [one for one in done if tied >= ENOUGH or _worth(told & one.line.words, weight, names) >= LINK]
    if worth < ENOUGH and not done:
        return Support(0, "")
    score = worth + _AROUND * _worth(around, weight, ()) + bool(done)
    reasons = []
    if done:
        effect = done[0]
        reasons.append(
            f"it {effect.what}{_quoted(effect.line)}, which can bear on {_listed(kinds & set(effect.kinds))}"
        )
    if best := _telling(shared, weight):
        line = _line(patches, best[0])
        reasons.append(f"it alters what the failure names: {', '.join(best)}{_quoted(line) if line else ''}")
    else:
        reasons.append(f"both name {', '.join(_telling(around, weight))}")
    return Support(round(score, 6), "; ".join(reasons))


def _worth(found: Collection[str], weight: Mapping[str, float], names: Collection[str]) -> float:
    """Return the weight of the words; a whole name counts twice, and its parts no more."""
    names_whole = {word for word in found if whole(word)}
    covered = set().union(*(words(word) for word in names_whole)) - names_whole
    double = names_whole.union(names)
    return sum(weight.get(word, 0) * (2 if word in double else 1) for word in found if word not in covered)


def _telling(found: Iterable[str], weight: Mapping[str, float]) -> list[str]:
    """Return the words that weigh anything, the most telling first."""
    kept = [word for word in found if weight.get(word, 0) > 0]
    return sorted(kept, key=lambda word: (-weight[word] * (1 + whole(word)), word))[:_SHOWN]


def _line(patches: Iterable[Patch], word: str) -> Line | None:
    """Return the altered line that holds a word."""
    lines = (line for patch in patches for sign in "+-" for line in patch.side(sign))
    return next((line for line in lines if word in line.words), None)


def _quoted(line: Line) -> str:
    return f" ({line.place or 'its diff'}: {shorten(line.sign + ' ' + line.text.strip(), 70)})"


def _listed(kinds: Collection[str]) -> str:
    return " and ".join(sorted(kinds))

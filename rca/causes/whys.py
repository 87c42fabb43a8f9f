"""5-Whys: a chain of answers, each of which explains the one before it.

Step 0 is the problem; step 1 answers why the problem happened, step 2 why step 1 happened, and so on.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import pandas as pd

from rca.conclusions import Why
from rca.errors import InputError, raise_all, shorten

__all__ = ["check", "read_aloud", "remarks", "table"]

COLUMNS = ("step", "id", "statement", "kind", "status", "evidence")
FEWEST = 3
_ARTICLES = {"a", "an", "the"}
# Words that keep their meaning in lower case; any other first word may be a name and is left as it is.
_OPENERS = {
    "a", "an", "the", "no", "nobody", "nothing", "none", "it", "its", "this", "that", "these", "those", "there", "each",
    "every", "all", "some", "many", "most", "they", "their", "we", "our", "one", "two", "three", "only", "when",
    "after", "before", "while", "if", "neither", "both", "several", "because", "of", "from", "in", "on", "at", "for",
    "during", "since", "with", "without", "by", "to",
}  # fmt: skip
_ENDS = {
    "human": (
        "ends at what somebody did or did not see",
        "ask why that made sense at the time, and what in the process let it through",
    ),
    "trigger": (
        "ends at the event that set it off",
        "ask why that event could do harm, and why nothing stopped it",
    ),
    "technical": (
        "ends at a bare technical cause",
        "ask why it could come about, and why no test, review or monitor caught it",
    ),
    "data": (
        "ends at a property of data",
        "ask how the data came to be so, and why no check noticed",
    ),
    "external": (
        "ends outside the organisation's reach",
        "ask why we were exposed to it, and what would have limited the harm",
    ),
}
_DEEP = ("process", "organisational")


def check(problem: str, whys: Sequence[Why]) -> Sequence[Why]:
    """Return `whys` unchanged if the chain is free of contradictions.

    Parameters
    ----------
    problem : str
        The sentence that the first why explains.
    whys : sequence of Why
        Each explains the one before it.

    Returns
    -------
    sequence of Why
        The same object.

    Raises
    ------
    InputError
        Listing every fault: no problem stated; an id that occurs twice; a why that says the same as the
        one it should explain, or as an earlier one, so that the chain runs in a circle; a supported why
        below a refuted one, which would explain something that did not happen.

    Notes
    -----
    Statements are compared without case, punctuation, articles and a leading "because"; the same
    meaning in other words is not seen.

    Examples
    --------
    >>> chain = [Why(id="w1", statement="Because the recall fell.", kind="technical")]
    >>> check("Recall fell", chain)
    Traceback (most recent call last):
        ...
    rca.errors.InputError: whys: step 1 ('w1') repeats the problem: 'Because the recall fell.'; say what caused it
    """
    problems = []
    if whys and not problem.strip():
        problems.append("whys: no problem is stated; the first why has nothing to explain")
    said = [(_normal(problem), "the problem")]
    seen: set[str] = set()
    for step, why in enumerate(whys, start=1):
        place = _place(step, why)
        if why.id in seen:
            problems.append(f"whys: {place}: the id {why.id!r} occurs twice")
        seen.add(why.id)
        text = _normal(why.statement)
        if text == said[-1][0]:
            problems.append(f"whys: {place} repeats {said[-1][1]}: {shorten(why.statement)}; say what caused it")
        else:
            problems += [
                f"whys: {place} says the same as {where}: the chain runs in a circle;"
                f" {shorten(why.statement)} cannot be its own cause"
                for earlier, where in said[:-1]
                if earlier == text
            ]
        if step > 1 and why.status == "supported" and whys[step - 2].status == "refuted":
            problems.append(
                f"whys: {place} is supported, but {said[-1][1]}, which it explains, is refuted;"
                " take the refuted answer out of the chain and record it as a finding that is ruled out"
            )
        said.append((text, place))
    raise_all(problems)
    return whys


def table(problem: str, whys: Sequence[Why]) -> pd.DataFrame:
    """Return the chain as a table, the problem first.

    Parameters
    ----------
    problem : str
        The sentence that the first why explains.
    whys : sequence of Why
        Each explains the one before it.

    Returns
    -------
    DataFrame, shape (n_whys + 1, 6)
        ``step`` (0 is the problem), ``id``, ``statement``, ``kind`` (an id of the vocabulary ``why_kinds``;
        ``problem`` in the first row), ``status`` (empty in the first row), ``evidence`` (places, separated by
        semicolons). No rows if there is neither a problem nor a why.

    Raises
    ------
    InputError
        As `check`.

    Examples
    --------
    >>> chain = [Why(id="w1", statement="The new model overweighs one feature", kind="technical")]
    >>> table("Recall on fraud fell", chain)[["step", "kind", "status"]].values.tolist()
    [[0, 'problem', ''], [1, 'technical', 'open']]
    """
    check(problem, whys)
    rows: list[tuple[int, str, str, str, str, str]] = []
    if problem.strip():
        rows.append((0, "", problem.strip(), "problem", "", ""))
    for step, why in enumerate(whys, start=1):
        places = "; ".join(item.label for item in why.evidence)
        rows.append((step, why.id, why.statement, why.kind, why.status, places))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({name: "int64" if name == "step" else "str" for name in COLUMNS})


def remarks(problem: str, whys: Sequence[Why]) -> pd.DataFrame:
    """Return the weak spots of a chain, each with its place and a remedy.

    Parameters
    ----------
    problem : str
        The sentence that the first why explains.
    whys : sequence of Why
        Each explains the one before it.

    Returns
    -------
    DataFrame
        ``place``, ``remark``, ``remedy``; from the top of the chain to its end, no rows if nothing is weak.

    Notes
    -----
    The rules look at length, kinds and evidence, not at whether the answers are true.

    Examples
    --------
    >>> chain = [Why(id="w1", statement="The reviewer did not see the change", kind="human")]
    >>> remarks("Recall on fraud fell", chain)["remark"].tolist()
    ['open, and no evidence is given', 'ends at what somebody did or did not see', 'only 1 level deep']
    """
    found: list[tuple[str, str, str]] = []
    if problem.strip() and not whys:
        found.append(("whys", "no answer is recorded", "ask why the problem happened"))
    deep = ""
    for step, why in enumerate(whys, start=1):
        place = _place(step, why)
        if why.status == "open" and not why.evidence:
            found.append((place, "open, and no evidence is given", "name what would show it, look there, and cite it"))
        elif why.status == "open":
            found.append((place, "evidence is cited, but the answer is still open", "decide: supported or refuted"))
        elif why.status == "refuted":
            found.append((place, "refuted, so the chain breaks here", "give the answer that the evidence supports"))
        if deep and why.kind == "trigger":
            remark = f"a trigger below {deep}: the order looks turned round"
            found.append((place, remark, "put the trigger near the problem"))
        deep = deep or (place if why.kind in _DEEP else "")
    if whys and whys[-1].kind in _ENDS:
        found.append((_place(len(whys), whys[-1]), *_ENDS[whys[-1].kind]))
    if 0 < len(whys) < FEWEST:
        remark = f"only {len(whys)} level{'s' if len(whys) > 1 else ''} deep"
        found.append(("whys", remark, f"ask why at least {FEWEST} times, until something is named that can be changed"))
    return pd.DataFrame(found, columns=["place", "remark", "remedy"], dtype="str")


def read_aloud(problem: str, whys: Sequence[Why]) -> str:
    """Return the chain from its end to the problem: "Because ..., therefore ...".

    Read this way each step has to follow from the one before, which shows where a step is missing.

    Parameters
    ----------
    problem : str
        The sentence that the first why explains.
    whys : sequence of Why
        Each explains the one before it.

    Returns
    -------
    str
        One sentence a line; what is not yet shown says so.

    Raises
    ------
    InputError
        As `check`, or if there is no why.

    Examples
    --------
    >>> chain = [
    ...     Why(id="w1", statement="The model overweighs one feature.", kind="technical"),
    ...     Why(id="w2", statement="The sample was drawn in one region", kind="data"),
    ... ]
    >>> print(read_aloud("Recall on fraud fell", chain))
    Because the sample was drawn in one region (not yet shown),
    therefore the model overweighs one feature (not yet shown),
    therefore Recall on fraud fell.
    """
    check(problem, whys)
    if not whys:
        raise InputError("whys: no answer is recorded, so there is nothing to read aloud")
    marks = {"open": " (not yet shown)", "supported": "", "refuted": " (refuted)"}
    lines = [_spoken(why.statement) + marks[why.status] for why in reversed(whys)] + [_spoken(problem)]
    return "Because " + ",\ntherefore ".join(lines) + "."


def _place(step: int, why: Why) -> str:
    return f"step {step} ({why.id!r})"


def _normal(text: str) -> str:
    """Return the words of a statement, for comparing."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
    if words[:1] == ["because"]:
        words = words[1:]
    return " ".join(word for word in words if word not in _ARTICLES)


def _spoken(text: str) -> str:
    """Return a statement as it stands inside a sentence."""
    words = text.strip().rstrip(".!;, ")
    words = re.sub(r"^because\s+", "", words, flags=re.IGNORECASE)
    first = words.split(maxsplit=1)[0] if words else ""
    return words[:1].lower() + words[1:] if first.lower() in _OPENERS else words

"""One export to one table of the schema, by the mapping in ``incident.yaml``: no code, no guessing.

The mapping becomes one SQL query over records that are JSON texts. It reads each record once, keeps what no
column took as attributes, hashes the record, and turns the usual spellings of time into nanoseconds; all
other spellings are left to `rca.times`, which is the one place that knows them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from rca import schema
from rca.errors import UnknownName, did_you_mean, raise_all, shorten
from rca.incident.model import Source
from rca.times import UTC

__all__ = ["MAPPABLE", "Plan"]

MAPPABLE: Mapping[str, tuple[str, ...]] = {
    "events": (
        "time", "time_end", "time_earliest", "time_latest", "system", "kind", "severity", "message", "actor", "ref",
        "trace_id",
    ),
    "metrics": ("time", "system", "metric", "value"),
    "dependencies": ("cause", "effect", "cause_kind", "effect_kind", "fallback"),
    "spans": ("trace_id", "span_id", "parent_id", "system", "name", "time", "duration", "status"),
}  # fmt: skip
_EPOCH = {"epoch_s": 10**9, "epoch_ms": 10**6, "epoch_us": 10**3, "epoch_ns": 1}
_MANY = 100  # fields; of more, one call that leaves the others out is cheaper than one for each
_PLAUSIBLE = (946_684_800, 3_155_760_000)  # the years that rca.times takes counts for, in seconds
_CLOCK = r"(19[89]\d|20\d\d)-[01]\d-[0-3]\d[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?"
_ZONED = _CLOCK + r"(Z|[+](0\d|1[0-3]):[0-5]\d|[+]14:00|-(0\d|1[01]):[0-5]\d|-12:00)"
_NUMBER = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?|[-+]?inf(inity)?|nan"


@dataclass(frozen=True)
class Plan:
    """How the records of one source become rows.

    Raises
    ------
    UnknownName
        If the mapping names a column that the table does not have.
    """

    source: Source

    def __post_init__(self) -> None:
        """Refuse columns that the table does not have."""
        allowed = MAPPABLE[self.source.table]
        named = {*self.source.columns, *self.source.constant, *self.source.values}
        place = f"incident.yaml: source {self.source.id!r}: table {self.source.table!r}"
        raise_all(
            [
                f"{place} has no column {shorten(name)}{did_you_mean(name, allowed)}"
                for name in sorted(named.difference(allowed))
            ],
            UnknownName,
        )

    @cached_property
    def fields(self) -> dict[str, list[str]]:
        """Column of the table -> fields of the export; a field with the name of a column is taken for it."""
        own = [name for name in MAPPABLE[self.source.table] if name not in self.source.constant]
        return {name: list(self.source.columns.get(name, [name])) for name in own}

    @cached_property
    def named(self) -> list[str]:
        """The fields that ``incident.yaml`` names itself."""
        native = [self.source.native_id] if self.source.native_id else []
        return [*(part for parts in self.source.columns.values() for part in parts), *native]

    @property
    def times(self) -> list[str]:
        """The columns that are times."""
        return [name for name in MAPPABLE[self.source.table] if schema.COLUMNS[self.source.table][name] == UTC]

    def query(self, file: str, unit: str, present: Collection[str], typed: frozenset[str] = frozenset()) -> str:
        """Return the query over a table ``batch (position, text)``; `present` are the fields of its records.

        Its columns are ``position``, ``locator``, ``native`` (the native id), ``attributes``, each column of the
        table that something fills as text, and for each time the columns ``NAME_utc`` (nanoseconds, where the
        text names its offset), ``NAME_local`` (the same count where it names none) and the text; both are
        empty where `rca.times` has to read the text.
        """
        paths: list[str] = []
        absent = {name for name in self.fields if name not in self.source.columns and name not in present}
        texts = {
            name: _EMPTY if name in absent and name not in self.source.values else self._text(name, paths)
            for name in MAPPABLE[self.source.table]
        }
        native = self._part(self.source.native_id, paths) if self.source.native_id else "''"
        attributes, others = self._attributes(present)
        wanted = ", ".join(map(_quoted, paths)) or "'/'"
        columns = [f"{text} AS {name}" for name, text in texts.items() if text != _EMPTY or name == "value"]
        outer = [part for name in self.times if texts[name] != _EMPTY for part in self._time(name, typed)]
        if self.source.table == "metrics":
            good = f"regexp_full_match(lower(trim(value)), '{_NUMBER}')"
            outer += [f"CASE WHEN {good} THEN TRY_CAST(trim(value) AS DOUBLE) END AS number", f"{good} AS is_number"]
        return f"""
            WITH record AS (
                SELECT position, text, json_extract_string(text, [{wanted}]) AS v{others} FROM batch
            ), plain AS (
                SELECT position, {_quoted(f"{file} {unit} ")} || position AS locator,
                    {native} AS native, {attributes} AS attributes,
                    {", ".join(columns)}
                FROM record
            )
            SELECT *
                {"".join(f", {part}" for part in outer)}
            FROM plain
        """

    def _text(self, name: str, paths: list[str]) -> str:
        """Return the expression of one column as text: fields joined, words replaced."""
        if name in self.source.constant:
            text = _quoted(self.source.constant[name])
        else:
            parts = [self._part(field, paths) for field in self.fields[name]]
            text = (
                parts[0]
                if len(parts) == 1
                else f"concat_ws(' ', {', '.join(f'nullif({part}, {_EMPTY})' for part in parts)})"
            )
        words = self.source.values.get(name)
        if words:
            cases = " ".join(f"WHEN {_quoted(old)} THEN {_quoted(new)}" for old, new in words.items())
            text = f"CASE {text} {cases} ELSE {text} END"
        return text

    @staticmethod
    def _part(field: str, paths: list[str]) -> str:
        """Return the expression of one field; a dotted name also reaches into nested records."""
        found = []
        for pointer in _pointers(field):
            if pointer not in paths:
                paths.append(pointer)
            found.append(f"v[{paths.index(pointer) + 1}]")
        return f"coalesce({', '.join(found)}, '')"

    def _rest(self, present: Collection[str]) -> list[str]:
        """Return the fields that no column takes."""
        taken = {part for parts in self.fields.values() for part in parts}
        return sorted(set(present) - taken) if self.source.table == "events" else []

    def _attributes(self, present: Collection[str]) -> tuple[str, str]:
        """Return the expression of a record's other fields as JSON, and what it needs of the record."""
        rest = self._rest(present)
        if not rest:
            return _EMPTY, ""
        if len(rest) > _MANY:
            patch = {part: None for parts in self.fields.values() for part in parts}
            return "o", f", json_merge_patch(text, {_quoted(json.dumps(patch))}) AS o"
        names = [_quoted(f"{json.dumps(name, ensure_ascii=False)}:") for name in rest]
        parts = ", ".join(f"{name} || o[{number}]" for number, name in enumerate(names, start=1))
        found = ", ".join(_quoted(_pointer(name)) for name in rest)
        return f"'{{' || concat_ws(',', {parts}) || '}}'", f", json_extract(text, [{found}]) AS o"

    def _time(self, name: str, typed: frozenset[str]) -> list[str]:
        form = self.source.time.format
        if typed.intersection(self.fields.get(name, ())):
            form = "iso8601"
        utc = local = "NULL::BIGINT"
        if form in _EPOCH:
            low, high = (bound * 10**9 // _EPOCH[form] for bound in _PLAUSIBLE)
            count = f"TRY_CAST({name} AS BIGINT)"
            plain = f"regexp_full_match({name}, '[0-9]{{1,19}}') AND {count} >= {low} AND {count} < {high}"
            utc = f"CASE WHEN {plain} THEN {count} * {_EPOCH[form]} END"
        elif form == "iso8601":
            utc = _microseconds(name, _ZONED, "TIMESTAMPTZ")
            local = _microseconds(name, _CLOCK, "TIMESTAMP") if self.source.time.zone else local
        return [f"{utc} AS {name}_utc", f"{local} AS {name}_local"]


def _microseconds(name: str, pattern: str, kind: str) -> str:
    """Return the expression of an ISO 8601 text as nanoseconds, where it is spelled as `pattern` has it."""
    return f"CASE WHEN regexp_full_match({name}, '{pattern}') THEN epoch_us(TRY_CAST({name} AS {kind})) * 1000 END"


_EMPTY = "''"


def _pointer(name: str) -> str:
    """Return the JSON pointer (RFC 6901) of a top-level field."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _quoted(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''").replace("\x00", "\ufffd") + "'"


def _pointers(field: str) -> Sequence[str]:
    """Return the JSON pointers that a field may mean, the whole name first.

    Examples
    --------
    >>> _pointers("user.name")
    ['/user.name', '/user/name']
    """
    head, *rest = field.replace("~", "~0").replace("/", "~1").split(".")
    joins = product(*[("/", ".") for _ in rest[:3]])
    spelled = [
        "/"
        + head
        + "".join(mark + part for mark, part in zip(marks, rest, strict=False))
        + "".join("/" + part for part in rest[3:])
        for marks in joins
    ]
    return sorted(spelled, key=lambda pointer: pointer.count("/"))

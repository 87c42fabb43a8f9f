"""The error tree, and the words that go with it."""

import difflib

import pytest
from hypothesis import given, strategies as st

from rca import errors
from rca.errors import did_you_mean, raise_all, shorten


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InputError, ValueError),
        (errors.MissingFile, FileNotFoundError),
        (errors.UnknownName, LookupError),
        (errors.UnsafeInput, PermissionError),
        (errors.AnalysisError, RuntimeError),
    ],
)
def test_each_error_is_also_the_builtin_a_caller_expects(kind, builtin):
    assert issubclass(kind, errors.RcaError)
    with pytest.raises(builtin, match="what was wrong"):
        raise kind("what was wrong")


def test_the_tree_in_the_docstring_names_every_class():
    drawn = errors.__doc__
    classes = [name for name in errors.__all__ if isinstance(getattr(errors, name), type)]
    assert [name for name in classes if name not in drawn] == []


def test_input_errors_and_analysis_errors_are_kept_apart_by_the_exit_code():
    own = [item for item in map(errors.__dict__.get, errors.__all__) if isinstance(item, type)]
    both = [kind for kind in own if issubclass(kind, errors.InputError) and issubclass(kind, errors.AnalysisError)]
    assert both == []


def test_all_problems_are_listed_in_the_order_found():
    with pytest.raises(errors.UnknownName) as caught:
        raise_all(["b.csv: row 2: x", "a.csv: row 1: y"], errors.UnknownName)
    assert caught.value.problems == ("b.csv: row 2: x", "a.csv: row 1: y")


def test_no_problems_is_no_error():
    raise_all([])


def test_a_name_in_other_letters_of_case_is_the_nearest():
    assert did_you_mean("sev1", ["SEV1", "SEV2", "seventh"]) == "; did you mean 'SEV1'?"


LOWER = st.text("abcdeü_-1", max_size=12)


@given(LOWER, st.lists(LOWER, max_size=8))
def test_the_nearest_name_is_the_one_difflib_finds(name, known):
    near = difflib.get_close_matches(name, sorted(set(known)), n=1, cutoff=0.6)
    said = did_you_mean(name, known)
    assert ("did you mean" in said) == bool(near)
    assert not near or said == f"; did you mean {near[0]!r}?"


def test_without_a_near_name_the_known_ones_are_shown_but_not_all_of_thousands():
    said = did_you_mean("zzz", [f"system-{number}" for number in range(5000)])
    assert "system-0" in said
    assert "and 4988 more" in said
    assert len(said) < 400


def test_a_long_or_unprintable_name_makes_no_long_or_unprintable_message():
    said = did_you_mean("x" * 10**6, ["\x1b[31m" + "y" * 10**6, "z"])
    assert len(said) < 200
    assert said.isprintable()


@given(st.text(max_size=300), st.integers(1, 100))
def test_a_shortened_text_is_one_printable_line_that_begins_alike(text, limit):
    short = shorten(text, limit)
    assert short.isprintable()
    assert len(eval(short)) <= limit + 1
    assert text.startswith(eval(short).removesuffix("…") if len(text) > limit else text)

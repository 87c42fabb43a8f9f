"""Documentation is part of the interface: every public name says what it does, takes and gives.

The rule for functions: a summary, always. Parameters and Returns, from three parameters on; with fewer, the
summary is enough if it begins with "Return", "Yield" or "Raise", or if nothing is returned. A section that is
there names exactly the parameters of the signature.
"""

import doctest
import importlib
import inspect
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

import rca

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    item.name for item in pkgutil.walk_packages(rca.__path__, "rca.") if not item.name.endswith(("__main__", ".template"))
)


def public():
    """Yield (qualified name, object) for each name in an ``__all__``, where it is defined."""
    for name in MODULES:
        module = importlib.import_module(name)
        for item in getattr(module, "__all__", ()):
            value = getattr(module, item)
            if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == name:
                yield f"{name}.{item}", value


FUNCTIONS = {name: value for name, value in public() if inspect.isfunction(value)}
CLASSES = {name: value for name, value in public() if inspect.isclass(value)}
METHODS = {
    f"{name}.{key}": inspect.unwrap(getattr(member, "fget", None) or getattr(member, "__func__", member))
    for name, value in CLASSES.items()
    for key, member in vars(value).items()
    if not key.startswith("_") and (inspect.isfunction(member) or isinstance(member, (property, classmethod, staticmethod)))
}


def summary(value):
    return (inspect.getdoc(value) or "").partition("\n")[0]


def section(value, title):
    """The text of a numpydoc section, or None."""
    found = re.search(rf"^{title}\n-{{{len(title)}}}\n(.*?)(?=^\S[^\n]*\n-{{3,}}\n|\Z)", inspect.getdoc(value) or "", re.M | re.S)
    return found and found[1]


def named(text):
    """The names that a Parameters or Attributes section describes."""
    heads = re.findall(r"^(\S[^:\n]*)(?: : .*)?$", text, re.M)
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def parameters(value):
    return [name for name in inspect.signature(value).parameters if name not in ("self", "cls")]


def gives(value):
    """Whether something comes back."""
    return inspect.signature(value).return_annotation not in (None, "None", "NoReturn", inspect.Signature.empty)


def test_every_module_says_what_it_is_for_and_what_is_public():
    modules = [importlib.import_module(name) for name in MODULES]
    assert [module.__name__ for module in modules if not summary(module)] == []
    assert [
        module.__name__
        for module in modules
        if not hasattr(module, "__all__") and any(not name.startswith("_") for name in vars(module) if name != "annotations")
    ] == []


def test_every_name_in_all_is_there():
    for name in MODULES:
        module = importlib.import_module(name)
        assert [item for item in getattr(module, "__all__", ()) if not hasattr(module, item)] == []


@pytest.mark.parametrize("name", [*FUNCTIONS, *CLASSES, *METHODS])
def test_every_public_name_has_a_summary_that_is_a_sentence(name):
    value = (FUNCTIONS | CLASSES | METHODS)[name]
    assert re.search(r"\w.*[.:?]$", summary(value)), f"{name}: {summary(value)!r}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_takes_and_gives(name):
    value = FUNCTIONS[name]
    short = len(parameters(value)) <= 2 and (not gives(value) or summary(value).startswith(("Return", "Yield", "Raise")))
    wanted = [] if short else ["Parameters"] * bool(parameters(value)) + ["Returns"] * gives(value)
    missing = [title for title in wanted if section(value, title) is None and section(value, title.replace("Returns", "Yields")) is None]
    assert missing == [], f"{name}{inspect.signature(value)}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_parameters_section_names_the_parameters_of_the_signature(name):
    text = section(FUNCTIONS[name], "Parameters")
    if text is not None:
        assert sorted(named(text)) == sorted(parameters(FUNCTIONS[name]))


@pytest.mark.parametrize("name", CLASSES)
def test_an_attributes_section_names_attributes_that_are_there(name):
    value = CLASSES[name]
    text = section(value, "Attributes")
    if text is not None:
        there = set(getattr(value, "model_fields", {})) | set(getattr(value, "__annotations__", {})) | set(dir(value))
        assert [attribute for attribute in named(text) if attribute not in there] == []


def test_examples_are_run_with_the_tests():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert "--doctest-modules" in options["addopts"]
    assert "rca" in options["testpaths"]
    finder = doctest.DocTestFinder()
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) > 30


def test_every_command_is_in_the_readme():
    from rca.cli import app

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [command.name or command.callback.__name__.replace("_", "-") for command in app.registered_commands]
    assert [name for name in commands if f"rca {name}" not in readme] == []

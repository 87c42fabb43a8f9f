"""Documentation is part of the interface: every public name says what it does, takes and gives.

The rule. Every name in an ``__all__`` has a summary. A function that one reaches as ``rca.module.verb`` has a
Parameters section from three parameters on, and a Returns section, unless its summary begins with "Return" and
either what comes back is one plain value or there are at most two parameters. A section that is there names the
parameters of the signature: of the interface all of them, in their order.
"""

import doctest
import importlib
import inspect
import pkgutil
import re
import runpy
import tomllib
from pathlib import Path

import pytest

import rca

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    item.name
    for item in pkgutil.walk_packages(rca.__path__, "rca.")
    if not item.name.endswith(("__main__", ".template"))
)


def public():
    """Yield (qualified name, object) for each name in an ``__all__``, where it is defined."""
    for name in MODULES:
        module = importlib.import_module(name)
        for item in getattr(module, "__all__", ()):
            value = getattr(module, item)
            if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == name:
                yield f"{name}.{item}", value


def interface():
    """Yield (name as a user writes it, function) for each function of the modules in the table of contents."""
    for name in rca._MODULES:
        module = getattr(rca, name)
        for item in getattr(module, "__all__", ()):
            if inspect.isfunction(getattr(module, item)):
                yield f"rca.{name}.{item}", getattr(module, item)


INTERFACE = dict(interface())
FUNCTIONS = {name: value for name, value in public() if inspect.isfunction(value)}
CLASSES = {name: value for name, value in public() if inspect.isclass(value)}
METHODS = {
    f"{name}.{key}": inspect.unwrap(getattr(member, "fget", None) or getattr(member, "__func__", member))
    for name, value in CLASSES.items()
    for key, member in vars(value).items()
    if not key.startswith("_")
    and (inspect.isfunction(member) or isinstance(member, (property, classmethod, staticmethod)))
}


def summary(value):
    return (inspect.getdoc(value) or "").partition("\n")[0]


def section(value, title):
    """The text of a numpydoc section, or None."""
    pattern = rf"^{title}\n-{{{len(title)}}}\n(.*?)(?=^\S[^\n]*\n-{{3,}}\n|\Z)"
    found = re.search(pattern, inspect.getdoc(value) or "", re.MULTILINE | re.DOTALL)
    return found and found[1]


def named(text):
    """The names that a Parameters or Attributes section describes."""
    heads = re.findall(r"^(\S[^:\n]*)(?: : .*)?$", text, re.MULTILINE)
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def parameters(value):
    return [name for name in inspect.signature(value).parameters if name not in ("self", "cls")]


def gives(value):
    """What comes back, as the annotation says."""
    return str(inspect.signature(value).return_annotation)


def test_every_module_says_what_it_is_for_and_what_is_public():
    modules = [importlib.import_module(name) for name in MODULES]
    assert [module.__name__ for module in modules if not summary(module)] == []
    assert [
        module.__name__
        for module in modules
        if not hasattr(module, "__all__")
        and any(getattr(value, "__module__", None) == module.__name__ for value in vars(module).values())
    ] == []


def test_every_name_in_all_is_there():
    for name in MODULES:
        module = importlib.import_module(name)
        assert [item for item in getattr(module, "__all__", ()) if not hasattr(module, item)] == []


@pytest.mark.parametrize("name", [*FUNCTIONS, *CLASSES, *METHODS])
def test_every_public_name_has_a_summary_that_is_a_sentence(name):
    value = (FUNCTIONS | CLASSES | METHODS)[name]
    assert re.search(r"\w.*[.:?]$", summary(value)), f"{name}: {summary(value)!r}"


@pytest.mark.parametrize("name", INTERFACE)
def test_every_function_of_the_interface_says_what_it_takes_and_gives(name):
    value = INTERFACE[name]
    few = len(parameters(value)) <= 2
    plain = gives(value) in ("str", "int", "float", "bool", "Path", "pd.Timestamp", "pd.Timedelta")
    assert few or section(value, "Parameters"), f"{name}{inspect.signature(value)}: no Parameters"
    said = summary(value).startswith(("Return", "Yield")) and (few or plain)
    nothing = gives(value) in ("None", "NoReturn")
    assert nothing or said or section(value, "Returns") or section(value, "Yields"), f"{name}: no Returns"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_parameters_section_names_the_parameters_of_the_signature(name):
    text = section(FUNCTIONS[name], "Parameters")
    if text is not None:
        described, there = named(text), parameters(FUNCTIONS[name])
        assert set(described) <= set(there)
        assert FUNCTIONS[name] not in INTERFACE.values() or described == there


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


def test_the_python_of_the_readme_runs(monkeypatch, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    monkeypatch.chdir(ROOT)
    made = runpy.run_path(str(script))
    assert len(blocks) == 2 and "fraud-model" in made["trace"].answer and made["after"].additivity_error < 1e-9

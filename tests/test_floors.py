"""The floors of the house: who may import whom, and how large a file or function may get.

Read from the source text, imports inside functions included. The list below is DESIGN.md's, from the
ground up; where two modules of one floor build on each other, the lower one stands first.
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rca"
FLOORS = [
    {"errors", "progress"},
    {"files", "share"},
    {"times", "vocabulary", "yamlfile", "yamledit", "journal"},
    {"schema", "evidence"},
    {"conclusions", "custody"},
    {"incident", "annotations"},
    {"sources", "tables"},
    {"modelfile"},
    {"records", "onset", "wording"},
    {"systems", "models", "causes"},
    {"plots", "display", "redact"},
    {"report", "training"},
    {"cli"},
    {"__main__"},
]
ANALYSES = ("systems", "models", "causes")
ONLY_IN = {  # library -> places that may import it; where these are files, only inside functions
    "matplotlib": ("plots", "display.py"),
    "papermill": ("report",),
    "nbconvert": ("report",),
    "shap": ("models/shapdiff",),
    "tqdm": ("progress.py",),
}
MODULE_LINES, FUNCTION_LINES = 400, 50
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def dotted(file):
    """``sources/flat.py`` as ``rca.sources.flat``."""
    parts = file.with_suffix("").parts
    return ".".join(("rca", *(parts[:-1] if parts[-1] == "__init__" else parts)))


MODULES = {dotted(file) for file in FILES} | {"rca"}


def imports(file):
    """Yield (line, dotted name, whether at the top of the module) for each import of a file."""
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    inner = {id(node) for function in ast.walk(tree) if isinstance(function, FUNCTIONS) for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = dotted(file).split(".") if file.name == "__init__.py" else dotted(file).split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names]
            if base == "rca":
                names = [f"rca.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield node.lineno, name, id(node) not in inner


def unit(name):
    """The module of the table of contents that a dotted name belongs to: ``models.shapdiff``, ``sources``."""
    parts = name.split(".")[1:]
    return ".".join(parts[:2] if parts[0] in ANALYSES else parts[:1])


def floor(name):
    return next((number for number, names in enumerate(FLOORS) if name.split(".")[0] in names), None)


def own(file):
    """Imports of this package by a file."""
    return [(line, name) for line, name, _ in imports(file) if name == "rca" or name.startswith("rca.")]


def test_every_module_has_a_floor():
    assert [str(file) for file in FILES if floor(unit(dotted(file))) is None] == []


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_imports_lower_floors_only(file):
    here = unit(dotted(file))
    wrong = [
        f"rca/{file}:{line}: imports {name}, which is not below"
        for line, name in own(file)
        if name in MODULES and name != "rca" and unit(name) != here and floor(unit(name)) >= floor(here)
    ]
    assert wrong == []


@pytest.mark.parametrize("file", [file for file in FILES if file.parts[0] in ANALYSES], ids=str)
def test_analyses_are_functions_of_tables_and_know_neither_incident_nor_sources(file):
    above = ("incident", "sources", "report", "training", "plots")
    assert [f"rca/{file}:{line}: {name}" for line, name in own(file) if unit(name) in above] == []


@pytest.mark.parametrize("file", FILES, ids=str)
def test_nothing_is_taken_from_the_root_but_modules_and_the_version(file):
    known = {*MODULES, "rca.__version__"} - {"rca"}
    assert [f"rca/{file}:{line}: {name}" for line, name in own(file) if name not in known] == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_heavy_library_is_imported_in_its_room_only(library):
    wrong = []
    for file in FILES:
        for line, name, top in imports(file):
            if name.split(".")[0] == library:
                room = [place for place in ONLY_IN[library] if file.is_relative_to(place)]
                if not room or (room[0].endswith(".py") and top):
                    wrong.append(f"rca/{file}:{line}: {name}")
    assert wrong == []


def test_the_table_of_contents_names_modules_that_are_there():
    import rca

    assert [name for name in rca._MODULES.values() if name not in MODULES] == []


@pytest.mark.parametrize("file", FILES, ids=str)
def test_no_file_and_no_function_is_longer_than_it_may_be(file):
    text = (PACKAGE / file).read_text(encoding="utf-8")
    lines = len(text.splitlines())
    wrong = [f"rca/{file}: {lines} lines"] if lines > MODULE_LINES else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, FUNCTIONS):
            first = node.body[0]
            docstring = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) is not None else 0
            length = node.end_lineno - node.lineno + 1 - docstring
            if length > FUNCTION_LINES:
                wrong.append(f"rca/{file}:{node.lineno}: {node.name} has {length} lines")
    assert wrong == []


@pytest.mark.parametrize("file", FILES, ids=str)
def test_no_assert_no_broad_except_and_no_global_filter_of_warnings(file):
    wrong = []
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    blocks = [
        node for node in ast.walk(tree) if isinstance(node, ast.With) and "catch_warnings" in ast.dump(node.items[0])
    ]
    scoped = {id(node) for block in blocks for node in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            wrong.append(f"rca/{file}:{node.lineno}: assert")
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            broad = any(kind is None or getattr(kind, "id", "") in ("Exception", "BaseException") for kind in caught)
            if broad and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None):
                wrong.append(f"rca/{file}:{node.lineno}: broad except")
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ("filterwarnings", "simplefilter")
            and id(node) not in scoped
        ):
            wrong.append(f"rca/{file}:{node.lineno}: {node.attr}")
    assert wrong == []

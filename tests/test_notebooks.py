"""Notebooks are pages of prose with calls; nbval runs them, this holds their form."""

import ast
from pathlib import Path

import nbformat
import networkx as nx
import pytest

import rca

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").rglob("*.ipynb"))
FORBIDDEN = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.While, ast.Try, ast.Lambda)


def cells(path, kind="code"):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def test_the_report_and_one_notebook_a_question_are_there():
    names = {path.stem for path in NOTEBOOKS}
    questions = {
        "what-happened-when",
        "what-broke-first",
        "what-changed",
        "which-features",
        "why",
        "what-could-fail-next",
    }
    assert names >= {"postmortem", *questions}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_prose_with_short_cells_of_calls(path):
    for cell in cells(path):
        tree = ast.parse(cell.source)
        assert len(cell.source.splitlines()) <= 12, cell.source
        assert not [node for node in ast.walk(tree) if isinstance(node, FORBIDDEN)], cell.source
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert imported <= {"rca", "pandas"}
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert cells(path, "markdown")[0].source.startswith("# ")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_one_parameters_cell_of_literals_each_with_a_comment(path):
    tagged = [cell for cell in cells(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    for line in tagged[0].source.splitlines():
        assert "  # " in line, line
        ast.literal_eval(ast.parse(line).body[0].value)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path):
    assert not [cell for cell in cells(path) if cell.outputs or cell.execution_count]


@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if path.parent.name == "investigate"], ids=lambda path: path.stem
)
def test_an_investigation_ends_with_what_to_look_at_next(path):
    assert cells(path, "markdown")[-1].source.startswith("## What to look at next")


@pytest.fixture(scope="module")
def shown():
    """Name of each table of *What broke first?* -> the table, and its caption and columns."""
    path = next(path for path in NOTEBOOKS if path.stem == "what-broke-first")
    known, found = {}, {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)
        patch.setattr(rca, "show", lambda item, name="", **said: found.setdefault(name, []).append((item, said)))
        for cell in cells(path):
            exec(cell.source, known)
    return known["trace"], known["graph"], found


def test_the_candidates_are_shown_in_a_few_columns_and_their_sentences_below(shown):
    trace, _, found = shown
    (_, said) = found["cascade"][1]
    assert said["columns"] == ["rank", "confidence", "metric", "deviation", "onset", "onset_error", "path", "lags"]
    assert trace.candidates["sentence"].tolist() in [item for item, _ in found[""]]


def test_what_the_first_cause_and_the_symptom_can_reach_are_told_apart(shown):
    trace, graph, found = shown
    ((reach, said),) = found["first_cause_reach"]
    assert f"{trace.first}, the first cause, can reach" in said["caption"]
    assert set(reach["system"]) == nx.descendants(graph, trace.first)
    ((reach, said),) = found["blast_radius"]
    assert f"{trace.symptom[0]}, which shows the symptom" in said["caption"]
    assert set(reach["system"]) == nx.descendants(graph, trace.symptom[0])


def test_measured_values_are_shown_with_the_strongest_move_first(shown):
    trace, _, found = shown
    ((table, _),) = found["deviations"]
    size = table["deviation"].abs().dropna().tolist()
    assert size == sorted(size, reverse=True)
    assert len(table) == len(trace.deviations)
    assert trace.first in set(table["system"].head(20))

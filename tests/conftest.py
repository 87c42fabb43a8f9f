"""What holds for all tests."""

from __future__ import annotations

import sys
import warnings

import pytest


@pytest.fixture(scope="session")
def shap():
    """The reference library; on import it changes a colour map of matplotlib in a way that is about to be retired."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap
    return shap


@pytest.fixture
def rca(monkeypatch, capsys):
    """Run the command in this process; return (exit code, standard output, standard error)."""
    from rca import cli

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rca", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return stop.value.code or 0, out, err

    return run


@pytest.fixture
def folder(rca, tmp_path):
    """An incident folder as `rca new` makes it, with a date."""
    rca("new", "mine", "--in", tmp_path)
    path = tmp_path / "mine" / "incident.yaml"
    lines = path.read_text().splitlines()
    path.write_text("\n".join('as_of: "2026-01-01T00:00:00Z"' if line.startswith("as_of:") else line for line in lines))
    return path.parent


def pytest_deselected(items):
    """Remember how many tests were left out because they need more than Python."""
    for item in items:
        if item.get_closest_marker("system"):
            item.config.left_out = getattr(item.config, "left_out", 0) + 1


def pytest_terminal_summary(terminalreporter, config):
    """Say in one line which tests did not run, and how they do."""
    left_out = getattr(config, "left_out", 0)
    if left_out:
        terminalreporter.write_line(
            f"{left_out} tests marked 'system' not selected: they need a browser, boosters, a second environment or data;"
            " .ci/run installs what they need and runs them"
        )

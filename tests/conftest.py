"""What holds for all tests."""

from __future__ import annotations


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

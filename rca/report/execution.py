"""Run a notebook through papermill, in a kernel of this interpreter, to the end whatever fails."""

from __future__ import annotations

import logging
import os
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rca.errors
from rca.report.failures import Failure, find, told

__all__ = ["execute", "inject"]

# What a user's own set-up would bring into the kernel, and into the report.
_DROPPED = ("PYTHONSTARTUP", "PYTHONINSPECT", "JPY_PARENT_PID")
_LONGEST_SOCKET = 80


def inject(notebook: Any, values: Mapping[str, Any]) -> None:
    """Put a cell with `values` behind the parameters cell, as papermill does (which makes tuples text)."""
    import nbformat

    place = next(n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    cell = nbformat.v4.new_code_cell("# Parameters\n" + source, metadata={"tags": ["injected-parameters"]})
    cell["id"] = "injected-parameters"
    kept = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    notebook.cells = [*kept[: place + 1], cell, *kept[place + 1 :]]


def execute(notebook: Any, *, timeout: float | None, progress: bool) -> tuple[Any, tuple[Failure, ...]]:
    """Run a notebook to its end and return it with its failures.

    Parameters
    ----------
    notebook : NotebookNode
        Is not changed.
    timeout : float, optional
        Seconds that one cell may take; afterwards the kernel is stopped.
    progress : bool
        Whether to draw papermill's progress bar.

    Returns
    -------
    notebook : NotebookNode
        Executed, without the times that papermill notes.
    failures : tuple of Failure

    Notes
    -----
    Cells run in the current directory, which is not on the import path; matplotlib draws without a
    screen; hashes of text are the same in every run; the user's own IPython set-up is not loaded.
    """
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    stopped = ""
    with tempfile.TemporaryDirectory(prefix="rca-run-") as name, _quiet():
        folder = Path(name)
        output = folder / "executed.ipynb"
        try:
            papermill.execute_notebook(
                notebook,
                str(output).replace("{", "{{").replace("}", "}}"),
                kernel_name="python3",
                kernel_manager_class=_manager(folder),
                progress_bar=progress,
                autosave_cell_every=0,
                execution_timeout=timeout,
                allow_errors=True,
                record_timing=False,
                coalesce_streams=True,
                extra_arguments=["--InteractiveShellApp.ignore_cwd=True", "--HistoryManager.enabled=False"],
            )
        except PapermillExecutionError:
            pass
        except CellTimeoutError:
            stopped = f"ran longer than {timeout:g} seconds and was stopped"
        except DeadKernelError:
            stopped = f"the Python process ended while this cell ran. {_last_words(folder / 'kernel.log')}".strip()
        executed = nbformat.reads(output.read_text(encoding="utf-8"), as_version=4)
    marked = "papermill-error-cell-tag"
    executed.cells = [cell for cell in executed.cells if marked not in cell.metadata.get("tags", [])]
    begun = [place for place, cell in enumerate(executed.cells) if cell.metadata.get("papermill", {}).get("start_time")]
    executed.metadata.pop("papermill", None)
    for cell in executed.cells:
        cell.metadata.pop("papermill", None)
    return executed, find(executed, stopped=stopped, started=begun[-1] if stopped and begun else None)


def _manager(folder: Path) -> type:
    """Return a kernel manager that starts this interpreter's own kernel, whatever kernels are installed."""
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpecManager

    class OwnKernel(AsyncKernelManager):  # type: ignore[misc]
        def __init__(self, **settings: Any) -> None:
            # Without folders to search, "python3" is the kernel of sys.executable.
            specs = KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)
            settings["connection_file"] = str(folder / "connection.json")
            if os.name == "posix" and len(settings["connection_file"]) < _LONGEST_SOCKET:
                settings["transport"] = "ipc"
            super().__init__(kernel_spec_manager=specs, **settings)

        async def start_kernel(self, **settings: Any) -> None:
            with (folder / "kernel.log").open("wb") as log:
                await self._async_start_kernel(**settings, env=_environment(folder), stdout=log, stderr=log)

    return OwnKernel


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of the kernel."""
    environment = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    environment |= {"MPLBACKEND": "agg", "PYTHONHASHSEED": "0", "IPYTHONDIR": str(folder / "ipython")}
    environment |= {"PYTHONFAULTHANDLER": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    here = str(Path(rca.errors.__file__).parent.parent)
    if here not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        # A checkout: the kernel takes the package that is running.
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (here, environment.get("PYTHONPATH"))))
    return environment


def _last_words(log: Path) -> str:
    """Return the first line that a dying kernel wrote, such as ``Fatal Python error: Segmentation fault``."""
    text = told(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else ""
    return next((line.strip() for line in text.splitlines() if line.strip() and "[IPKernelApp]" not in line), "")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep papermill and traitlets from writing to the terminal; failures are told by the report."""
    handler, loggers = logging.NullHandler(), [logging.getLogger(name) for name in ("papermill", "traitlets")]
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate

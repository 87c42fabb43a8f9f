"""Where the notebooks and incidents that come with the package lie."""

from __future__ import annotations

from pathlib import Path

from rca.errors import MissingFile

__all__ = ["path"]


def path(name: str) -> Path:
    """Return the path of a file or folder that comes with the package.

    Parameters
    ----------
    name : str
        Such as ``notebooks/postmortem.ipynb`` or ``datasets/fraud-model-regression``.

    Raises
    ------
    MissingFile
        If the installation is incomplete.

    Notes
    -----
    A wheel carries them inside the package, a checkout at its top.
    """
    package = Path(__file__).parent
    for top in (package / "share", package.parent):
        if (top / name).exists():
            return top / name
    raise MissingFile(f"{name}: not in this installation of rca; install it again")

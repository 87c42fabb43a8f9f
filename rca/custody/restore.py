"""Put back raw files that were recorded and are gone."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from rca import evidence, files
from rca.custody import log
from rca.errors import InputError

__all__ = ["restore"]


def restore(folder: str | Path, path: str | Path, *, actor: str = "") -> list[str]:
    """Put a raw file back that was recorded and is missing, when its original is at hand.

    Parameters
    ----------
    folder : str or Path
        The incident folder.
    path : str or Path
        The original; it is only read.
    actor : str, default ""
        Who puts it back, as in `append`.

    Returns
    -------
    list of str
        Paths in the folder that were missing and whose SHA-256 in the manifest is that of `path`, sorted; the log
        has an entry ``restored`` that names them. Mostly none.

    Raises
    ------
    MissingFile
        If `path` is not there.
    UnsafeInput
        If a recorded path leads out of the folder.
    InputError
        If the manifest cannot be read, or the file changes while it is copied.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     raw = files.write(Path(folder) / "sources/a.log", "one")
    ...     _ = log.record(folder)
    ...     original = raw.rename(Path(folder) / "kept.log")
    ...     restore(folder, original, actor="on-call"), raw.read_text()
    (['sources/a.log'], 'one')
    """
    top, path = Path(folder), Path(path)
    known = evidence.recorded(top) if (top / evidence.MANIFEST).exists() else {}
    raw = {name: total for name, total in known.items() if name.split("/")[0] in evidence.RAW_FOLDERS}
    gone = {name: total for name, total in raw.items() if not files.inside(top, name).exists()}
    total = files.sha256(path) if gone else ""
    names = sorted(name for name in gone if gone[name] == total)
    for name in names:
        _copy(path, files.inside(top, name), total)
    if names:
        log.append(top, "restored", dict.fromkeys(names, total), note=f"put back from {path.name}"[:200], actor=actor)
    return names


def _copy(path: Path, target: Path, total: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", suffix=".part", delete=False) as part:
        temporary = Path(part.name)
    try:
        shutil.copyfile(path, temporary)
        if files.sha256(temporary) != total:
            raise InputError(f"{path.name}: changed while it was copied; import it when it is whole")
        temporary.chmod(0o644)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

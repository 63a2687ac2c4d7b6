"""Writing files so that nothing is lost: under a temporary name first, then moved into place.

One decision to know: a file that cannot be written is an `OutputError` wherever it happens, never a bare
``OSError``; everything in the package that writes goes through here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peoplenet_nb.errors import OutputError


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn what goes wrong while writing below a path into an `OutputError`.

    Parameters
    ----------
    path : str or Path
        The file or folder that is named in the error.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            "The output cannot be written",
            seen=f"{path}: {error.strerror or error}",
            next_step="check owner, permissions and free space (df -h), or choose another --output.",
        ) from error


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside a path, and move it into place when the block ends well.

    The folder is made; what was left half-written is removed; what stood there before stays until then.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(21, "that is a folder")
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

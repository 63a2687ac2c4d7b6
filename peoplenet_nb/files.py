"""Reading and writing files so that nothing is lost: hashes, locks, and writes under a temporary name.

One decision to know: a file that cannot be written is an `OutputError` wherever it happens, never a bare
``OSError``; everything in the package that leaves a file behind goes through here.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import stat
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import OutputError

logger: logging.Logger = logging.getLogger(__name__)

_PIECES, _PIECE = 64, 1 << 20  # how much of a large file its fingerprint reads: 64 times 1 MiB
_DEEPEST = 32  # brackets within brackets of a YAML file


def sha256_of(path: str | Path) -> str:
    """Return the hexadecimal SHA-256 of a file.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fingerprint_of(path: Path) -> str:
    """Return size and hash of a file; above 64 MiB, of so many spread over it and of the time of its last change."""
    status = path.stat()
    size, large = status.st_size, status.st_size > _PIECES * _PIECE
    digest = hashlib.sha256(str(status.st_mtime_ns).encode() if large else b"")
    with path.open("rb") as stream:
        for piece in range(_PIECES):
            if large:
                stream.seek(piece * (size - _PIECE) // (_PIECES - 1))
            digest.update(stream.read(_PIECE))
    return f"{size}:{digest.hexdigest()[:32]}"


def read_text(path: str | Path, most: int = 1 << 20) -> str:
    """Return the text of a small file; bytes that are not UTF-8 are replaced, a byte order mark is left out.

    Parameters
    ----------
    path : str or Path
        A regular file: a pipe could block for ever, a device never end.
    most : int
        Bytes that such a file may have.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is no regular file, or larger than that.
    """
    path = Path(path)
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("that is not a regular file")
    if status.st_size > most:
        raise ValueError(f"it has {status.st_size:,} bytes, and such a file has {most:,} at most")
    with path.open("rb") as stream:
        return stream.read(most).decode("utf-8-sig", errors="replace")


def read_json(path: Path, most: int = 1 << 20) -> dict[str, Any]:
    """Return the object that a small JSON file holds; nothing where it is not there, not whole or no object."""
    try:
        data = json.loads(read_text(path, most))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def read_yaml(path: str | Path, most: int = 1 << 16) -> Any:
    """Return what a small YAML file holds, in bounded time and memory.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is no YAML, is large, nests deeply, names something twice, or uses aliases, which let a small file
        describe an endless one.
    """
    import yaml

    text = read_text(path, most)
    opened = accumulate((char in "[{") - (char in "]}") for char in text)
    if max(opened, default=0) > _DEEPEST:
        raise ValueError(f"it nests more than {_DEEPEST} brackets")
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ValueError("it uses YAML's aliases (*name)")
        nodes = [yaml.compose(text, yaml.SafeLoader)]
        while nodes:
            if isinstance(node := nodes.pop(), yaml.MappingNode):
                names = Counter(str(name.value) for name, _ in node.value)
                if twice := [name for name, count in names.items() if count > 1]:
                    raise ValueError(f"it names {twice[0]!r} twice")  # the last would win
                nodes += [value for _, value in node.value]
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from error


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn what goes wrong while writing below a path into an `OutputError` that names the path."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            "The output cannot be written",
            seen=f"{path}: {error.strerror or error}",
            next_step="check owner, permissions and free space (df -h), or choose another --output.",
        ) from error


class PartialFile:
    """A file that is being written under a temporary name beside its own.

    For files that stay open over a long time; `atomic` serves all others. What stands under the final name
    stays until `keep`.

    Parameters
    ----------
    path : str or Path
        Where the whole file goes; its folder is made.

    Attributes
    ----------
    path : Path
        The final name.
    partial : Path
        The temporary name, free to be written. What an earlier process left there is removed, a link without
        touching what it leads to.

    Raises
    ------
    OutputError
        When the folder cannot be made, or a folder, a device or a pipe stands in the file's place.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        self.partial: Path = self.path.with_name(f".{self.path.name}.part")
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "that is a folder")
            # A file moved over /dev/null would break the machine.
            if self.path.exists() and not self.path.is_file():
                raise FileExistsError(errno.EEXIST, "that is a device or a pipe")
            self.drop()

    def keep(self) -> None:
        """Move what was written into place."""
        with writing(self.path):
            self.partial.replace(self.path)

    def drop(self) -> None:
        """Remove what was written; nothing happens when it was moved into place already."""
        self.partial.unlink(missing_ok=True)


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside a path, and move it into place when the block ends well.

    The folder is made; what was left half-written is removed; what stood there before stays until then.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    file = PartialFile(path)
    with writing(path):
        try:
            yield file.partial
            file.keep()
        finally:
            file.drop()


def write_bytes(path: str | Path, data: bytes, *, durable: bool = False) -> None:
    """Write a whole file at once, atomically.

    Parameters
    ----------
    durable : bool
        Wait until it is on the disk, so that it is whole even if the machine stops in the next moment.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    with atomic(path) as partial, partial.open("wb") as stream:
        stream.write(data)
        if durable:
            stream.flush()
            os.fsync(stream.fileno())


def write_text(path: str | Path, text: str, *, durable: bool = False) -> None:
    """Write a text as UTF-8, file names that are none with backslashes; all else as `write_bytes` does it."""
    write_bytes(path, text.encode(errors="backslashreplace"), durable=durable)


def write_new(path: str | Path, data: bytes) -> bool:
    """Write a file that must not be there yet, whole or not at all; False where somebody else was faster.

    Of several processes and machines that try, one gets True: a hard link is made in one step on network volumes too.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{uuid.uuid4().hex}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(data)
            try:
                os.link(partial, path)
            except FileExistsError:
                # NFS may answer twice to one request: then it was ours after all.
                return partial.stat().st_nlink == 2
            except OSError as error:  # a volume without hard links
                logger.debug("%s cannot be linked: %s", path, error.strerror)
                try:
                    with path.open("xb") as stream:
                        stream.write(data)
                except FileExistsError:
                    return False
            return True
        finally:
            partial.unlink(missing_ok=True)


def refuse_existing(path: str | Path, what: str) -> None:
    """Raise an OutputError where something is there already that was not to be replaced."""
    if Path(path).exists():
        step = "choose another name, or replace it with --overwrite (overwrite=True)."
        raise OutputError(f"{what} is there already", seen=path, next_step=step)


@contextmanager
def lock(path: str | Path) -> Iterator[None]:
    """Hold a file or folder against other processes while a block runs.

    The system gives it back when the process ends, however it ends. A file is made where there is none, never
    emptied, and not opened through a link. Where the system or the volume knows no locks, nothing is held.

    Raises
    ------
    BlockingIOError
        Somebody else holds it.
    OSError
        It cannot be opened or made.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    file = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    handle = os.open(path, os.O_RDONLY if Path(path).is_dir() else file, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError as error:  # some network volumes
            logger.debug("%s cannot be locked: %s", path, error.strerror)
        yield
    finally:
        os.close(handle)

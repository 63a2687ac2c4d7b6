"""Videos in object stores and on other machines: what fsspec reads, e.g. ``s3://bucket/street.mp4``.

Blocks are fetched as the decoder asks for them; nothing is copied to the disk. Keys and end points come from the
environment, as each store's own tools take them (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from peoplenet_nb.errors import InstallationError, SourceError
from peoplenet_nb.sources.stills import VIDEO_NAME, natural_key
from peoplenet_nb.sources.videofile import NO_PLAYLISTS, VideoFile
from peoplenet_nb.urls import hide_secrets, hide_secrets_in

_BLOCK = 4 << 20  # bytes fetched at once
# On this machine, or read in another way here; "reference" and "simplecache" chain to others.
_NOT = {
    "file",
    "local",
    "http",
    "https",
    "data",
    "memory",
    "reference",
    "filecache",
    "blockcache",
    "simplecache",
}


@cache
def _schemes() -> frozenset[str]:
    try:
        import fsspec
    except ImportError:
        return frozenset({"s3"})  # so that what is missing is said
    return frozenset(fsspec.available_protocols()) - _NOT


def is_remote(address: str) -> bool:
    """Tell whether an address is one that fsspec reads."""
    return "://" in address and address.partition("://")[0].lower() in _schemes()


def videos_at(address: str) -> list[tuple[str, int, str]]:
    """Return the videos that an address, a folder there or a pattern stands for.

    Returns
    -------
    list of (address, size in bytes, what changes with the content)

    Raises
    ------
    SourceError
        When there is none, or the store does not answer.
    InstallationError
        When the package for this store is not installed.
    """
    store, path = _store(address)
    scheme = address.partition("://")[0]
    try:
        if any(sign in path for sign in "*?["):
            found = store.glob(path, detail=True)
        elif store.isdir(path):
            found = store.find(path, detail=True)
        else:
            return [(address, *_about(store.info(path)))]
    except Exception as error:  # each store has errors of its own
        raise _refused(address, error) from None
    videos = {name: info for name, info in found.items() if VIDEO_NAME.search(name)}
    if not videos:
        raise SourceError(
            "There is no video", seen=hide_secrets(address), next_step="check bucket, folder and pattern."
        )
    return [(f"{scheme}://{name}", *_about(videos[name])) for name in sorted(videos, key=natural_key)]


class RemoteVideo(VideoFile):
    """A video that is read as it lies in its store.

    Raises
    ------
    SourceError
        When the store does not answer, there is no such file, or it is no video.
    InstallationError
        When the package for this store is not installed.
    """

    def __init__(self, address: str) -> None:
        self._store, self._where = _store(address)
        try:
            _, stamp = _about(self._store.info(self._where))
        except Exception as error:  # each store has errors of its own
            raise _refused(address, error) from None
        shown = hide_secrets(address)
        super().__init__(
            address, name=shown.rpartition("/")[2], spec=shown, fingerprint=stamp, options=NO_PLAYLISTS
        )

    def _input(self) -> tuple[Any, Any]:
        try:
            return self._store.open(self._where, "rb", block_size=_BLOCK), None
        except Exception as error:
            raise _refused(self.info.spec, error) from None


def _store(address: str) -> tuple[Any, str]:
    try:
        import fsspec

        # Not kept: a listing of before would hide what came since.
        store, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        raise InstallationError(
            "A package to read this kind of address is not installed",
            seen=f"{hide_secrets(address)}: {error}",
            next_step='install it: pip install "peoplenet-nb[remote]" (s3:// needs s3fs, gs:// needs gcsfs).',
        ) from error
    except Exception as error:
        raise _refused(address, error) from None
    return store, path


def _about(info: dict[str, Any]) -> tuple[int, str]:
    """Return size and what changes with the content: a tag of the store's, else the time of the last change."""
    size = int(info.get("size") or 0)
    changed = info.get("ETag") or info.get("etag") or info.get("md5Hash") or info.get("LastModified")
    return size, f"{size}:{changed or info.get('mtime') or info.get('modified') or info.get('updated')}"


def _refused(address: str, error: BaseException) -> SourceError:
    return SourceError(
        "The store does not give this",
        seen=f"{hide_secrets(address)}: {type(error).__name__}: {hide_secrets_in(str(error), address)}",
        next_step="check the name, the keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) and the end point "
        "(AWS_ENDPOINT_URL; RunPod: https://s3api-<datacenter>.runpod.io).",
    )

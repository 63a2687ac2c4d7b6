"""Tell from a file's first bytes what it is when it is not the model it is called.

Small helpers shared by the model reader and the downloader: both meet JSON errors and HTML pages that were
saved under a model's name.

This decides only what a file *cannot* be. ONNX has no magic number, so "nothing
speaks against it" is the best answer here, and the parser has the last word.
"""

from __future__ import annotations

import re

DOWNLOAD_AGAIN = "Download it again: peoplenet-nb download --force."
HEAD = 512  # bytes that `what_it_is` needs
# First bytes, and what such a file is. ONNX has no magic number; its first byte is a protobuf tag.
_OTHER_FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive", "Unpack it and name the .onnx file inside."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it and name the .onnx file inside."),
    (b"\x89HDF", "an HDF5 (Keras) file", "Name the deployable .onnx version of the model."),
    (b"ftrt", "a TensorRT engine", "Name the .onnx file that it was built from."),
    (b"ptrt", "a TensorRT engine", "Name the .onnx file that it was built from."),
)


def what_it_is(head: bytes) -> tuple[str, str] | None:
    """Tell from a file's first bytes what it is if it cannot be ONNX.

    Parameters
    ----------
    head : bytes
        The first bytes; 512 are enough.

    Returns
    -------
    tuple of (str, str) or None
        What the file is and what to do about it; None when nothing speaks against ONNX.
    """
    for magic, name, fix in _OTHER_FORMATS:
        if head.startswith(magic):
            return name, fix
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the model it points to", "Run `git lfs pull` where it came from."
    if text.startswith(b"<"):
        return "an HTML or XML page saved under a model's name", DOWNLOAD_AGAIN
    # "[" is no tag of an ONNX message either, and no JSON text begins otherwise here.
    if text[:1] in (b"{", b"["):
        return f"a JSON answer saved under a model's name{_status_in(text)}", DOWNLOAD_AGAIN
    return None


def _status_in(text: bytes) -> str:
    """Return NGC's own status in a JSON error, if the text holds one: " (NOT_FOUND)"."""
    found = re.search(rb'"statusCode"\s*:\s*"([A-Z_]{1,40})"', text)
    return f" ({found.group(1).decode()})" if found else ""

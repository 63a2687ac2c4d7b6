"""Tell from a file's first bytes what it is when it is not the model it is called.

ONNX has no magic number, so "nothing speaks against it" is the best answer here, and the parser has the last word.
"""

from __future__ import annotations

import re

DOWNLOAD_AGAIN = "Download it again: peoplenet-nb download --force."
HEAD = 512  # bytes that `what_it_is` needs
_UNPACK = "Unpack it and name the .onnx file inside."
_SOURCE = "Name the .onnx file that it was built from."
# First bytes, what such a file is, and what to do; "{" and "[" are no tag of an ONNX message, and begin all JSON.
_OTHERS: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    ((b"PK\x03\x04",), "a ZIP archive", _UNPACK),
    ((b"\x1f\x8b",), "a gzip archive", _UNPACK),
    ((b"\x89HDF",), "an HDF5 (Keras) file", "Name the deployable .onnx version of the model."),
    ((b"ftrt", b"ptrt"), "a TensorRT engine", _SOURCE),
    (
        (b"version https://git-lfs",),
        "a Git LFS pointer, not the model it points to",
        "Run `git lfs pull` where it came from.",
    ),
    ((b"<",), "an HTML or XML page saved under a model's name", DOWNLOAD_AGAIN),
    ((b"{", b"["), "a JSON answer saved under a model's name", DOWNLOAD_AGAIN),
)


def what_it_is(head: bytes) -> tuple[str, str] | None:
    """Tell from a file's first bytes (512 are enough) what it is and what to do; None if it may be ONNX."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    # NGC's own status, where a JSON error holds one: " (NOT_FOUND)".
    status = re.search(rb'"statusCode"\s*:\s*"([A-Z_]{1,40})"', text)
    for marks, name, fix in _OTHERS:
        if head.startswith(marks) or text.startswith(marks):
            return (f"{name} ({status[1].decode()})" if status and "JSON" in name else name), fix
    return None

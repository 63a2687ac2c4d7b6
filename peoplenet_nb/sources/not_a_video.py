"""The error for what FFmpeg cannot open, with the likeliest cause."""

from __future__ import annotations

from pathlib import Path

from peoplenet_nb.errors import SourceError
from peoplenet_nb.sources.mp4boxes import boxes_of
from peoplenet_nb.urls import hide_secrets, hide_secrets_in


def not_a_video(path: Path | str, reason: object) -> SourceError:
    """Return the error for a file or an address that is no video; secrets of the address are hidden."""
    head = b""
    if isinstance(path, Path):
        try:
            with path.open("rb") as stream:
                head = stream.read(4096)
        except OSError as error:
            return SourceError("The video cannot be read", seen=error, next_step="check its permissions.")
    if isinstance(path, Path) and head[4:8] == b"ftyp" and b"moov" not in boxes_of(path):
        return SourceError(
            "The video has no index: the recording or download was cut off before its end was written",
            seen=path,
            next_step="copy or download it again; a recording can be repaired with untrunc.",
        )
    address = str(path)
    shown = path if isinstance(path, Path) else hide_secrets(address)
    text = head.decode("utf-8", "ignore")
    kind = ""
    if head.lstrip()[:1] in (b"<", b"{"):
        kind = ", and begins like a web page or JSON: perhaps an error page saved under this name"
    elif head and "\x00" not in text and len(text.encode()) >= len(head) - 4:
        kind = ", and looks like text"
    return SourceError(
        f"This is not a video{kind}",
        seen=f"{shown} ({hide_secrets_in(str(reason), address)})",
        next_step="name a video that a player shows, e.g. MP4, MKV, AVI, MOV or WebM.",
    )

"""Videos from YouTube, downloaded once by yt-dlp into the cache.

Only the picture is fetched (no sound is needed), so no ffmpeg has to join streams, and 720 lines at most, because
the network sees 544. YouTube refuses often, above all from cloud addresses; the usual reasons have their next step
here, all others are shown in yt-dlp's own words.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from peoplenet_nb.errors import InstallationError, SourceError
from peoplenet_nb.paths import cache_dir
from peoplenet_nb.urls import hide_secrets, hide_secrets_in

logger: logging.Logger = logging.getLogger(__name__)

COOKIES = "PEOPLENET_YOUTUBE_COOKIES"

_HOSTS = re.compile(r"^((www|m|music|gaming)\.)?youtube(-nocookie)?\.com$|^(www\.)?youtu\.be$")
_ID = re.compile(r"^[\w-]{11}$")
# H.264 first: every machine decodes it fast. "bv" is picture only; "b", with sound, where nothing else is.
_FORMATS = "bv[height<=720][vcodec^=avc1][protocol^=http]/bv[height<=720][vcodec^=avc1]/bv[height<=720]/b[height<=720]"
_ELSEWHERE = "or download the video on another machine and name the file here."
_UPDATE = f"pip install -U 'yt-dlp[default,deno]', {_ELSEWHERE}"

#: What yt-dlp says (the first match counts), what it means, and what to do.
FAILURES: tuple[tuple[str, str, str], ...] = (
    (
        r"not a bot|your age|age.restricted|\bprivate|members|requires payment",
        "YouTube wants to see a sign-in first, as it often does from cloud machines",
        f"export cookies.txt from a signed-in browser and set {COOKIES}=/path/to/cookies.txt, {_ELSEWHERE}",
    ),
    (
        r"Error 429|Too Many Requests|rate.?limit",
        "YouTube limits this machine's address for now",
        f"wait an hour, set {COOKIES}, {_ELSEWHERE}",
    ),
    (
        r"unavailable|removed|no longer|does not exist|your (country|location)",
        "This video is not available, or not in the country of this machine",
        f"open the address in a browser; choose another video, {_ELSEWHERE}",
    ),
    (
        r"resol(ve|ution)|timed out|unreachable|refused|SSL",
        "YouTube cannot be reached from this machine",
        f"check the network (curl -I https://www.youtube.com), {_ELSEWHERE}",
    ),
)


def is_youtube(address: str) -> bool:
    """Return whether an address leads to YouTube."""
    return _HOSTS.match((urlsplit(address).hostname or "").lower()) is not None


def video_id(address: str) -> str | None:
    """Return the 11 characters that name a video, or None for a channel, a playlist or a search."""
    parts = urlsplit(address)
    words = [word for word in parts.path.split("/") if word]
    named = parse_qs(parts.query).get("v", [""])[0]
    if (parts.hostname or "").lower().endswith("youtu.be"):
        named = words[0] if words else ""
    elif len(words) > 1 and words[0] in ("shorts", "live", "embed", "v"):
        named = words[1]
    return named if _ID.match(named) else None


def fetch(address: str, folder: Path | None = None, *, progress: bool = True) -> Path:
    """Download the video of a YouTube address, 720 lines at most, or find it in the cache.

    It is kept as ``<id>.<extension>`` in a folder, ``cache_dir() / "youtube"`` when left out.

    Raises
    ------
    SourceError
        When YouTube does not give it; the message names the reason and the next thing to try.
    InstallationError
        When yt-dlp is not installed.
    """
    folder, video = folder or cache_dir() / "youtube", video_id(address)
    if video is None:
        raise SourceError(
            "This YouTube address names no single video",
            seen=hide_secrets(address),
            next_step="open the video in a browser and copy its address (…/watch?v=…).",
        )
    if kept := _kept(folder, video):
        logger.info("%s is in the cache: %s", video, kept)
        return kept
    address = watch_address(video)
    try:
        import yt_dlp
        from tqdm.auto import tqdm
        from yt_dlp.utils import YoutubeDLError
    except ImportError as error:
        raise InstallationError(
            "yt-dlp, which downloads videos from YouTube, is not installed",
            seen=error,
            next_step="pip install 'yt-dlp[default,deno]', or run bash setup_runpod.sh.",
        ) from error
    messages, live = _Messages(), []
    bar = tqdm(unit="B", unit_scale=True, desc="YouTube", disable=not progress, leave=False)

    def refuse_live(info: dict[str, Any], *, incomplete: bool = False) -> str | None:
        if info.get("is_live"):
            live.append(video)
            return "it is live"
        return None

    def show(state: dict[str, Any]) -> None:
        bar.total = state.get("total_bytes") or state.get("total_bytes_estimate")
        bar.update(max(0, (state.get("downloaded_bytes") or 0) - bar.n))

    failure: BaseException = RuntimeError("no file came")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with closing(bar), yt_dlp.YoutubeDL(_options(folder, messages, refuse_live, show)) as downloader:
            downloader.extract_info(address, download=True)
    except YoutubeDLError as error:
        failure = error
    except OSError as error:
        raise SourceError(
            "The video cannot be written to the cache",
            seen=error,
            next_step="free some space, or set PEOPLENET_HOME to a folder on the volume.",
        ) from error
    if live:
        raise SourceError(
            "This video is being broadcast live and has no end",
            seen=address,
            next_step="come back when it is over, or choose another video.",
        )
    if kept := _kept(folder, video):
        return kept
    raise explain(failure, messages.warnings, address) from failure


def watch_address(video: str) -> str:
    """Return the address of a video, without whatever else an address may hold."""
    return f"https://www.youtube.com/watch?v={video}"


def _kept(folder: Path, video: str) -> Path | None:
    done = (p for p in folder.glob(f"{video}.*") if p.suffix in (".mp4", ".webm", ".mkv", ".3gp"))
    return next((path for path in sorted(done) if path.stat().st_size > 0), None)


def _options(
    folder: Path, messages: _Messages, match: Callable[..., str | None], show: Callable[..., None]
) -> dict[str, Any]:
    cookies = os.environ.get(COOKIES)
    return {
        "format": _FORMATS,
        "outtmpl": str(folder / "%(id)s.%(ext)s"),
        "noplaylist": True,
        "quiet": True,
        "noprogress": True,
        "logger": messages,
        "progress_hooks": [show],
        "match_filter": match,
        "cachedir": str(cache_dir() / "yt-dlp"),
        "socket_timeout": 20,
        "retries": 3,
        # deno comes with yt-dlp[deno]; a Node.js that is there anyway does as well.
        "js_runtimes": {"deno": {}, "node": {}},
        **({"cookiefile": cookies} if cookies else {}),
    }


def explain(error: BaseException, warnings: list[str], address: str) -> SourceError:
    """Return an error with the likeliest cause of yt-dlp's and the next step."""
    text = hide_secrets_in(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).removeprefix("ERROR: "))
    found = next((row for row in FAILURES if re.search(row[0], text, re.IGNORECASE)), None)
    if found:
        _, what, next_step = found
    elif any("JavaScript runtime" in warning for warning in warnings):
        what = "yt-dlp found no JavaScript runtime (deno), without which YouTube hides its videos"
        next_step = "pip install 'yt-dlp[default,deno]', or run bash setup_runpod.sh."
    else:
        what, next_step = "YouTube did not give the video", f"update yt-dlp: {_UPDATE}"
    return SourceError(what, seen=f"{address}: {text}", next_step=next_step)


class _Messages:
    """What yt-dlp would print goes to the log; warnings are kept to explain a failure."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, message: str) -> None:
        logger.debug("yt-dlp: %s", hide_secrets_in(message))

    def warning(self, message: str) -> None:
        self.warnings.append(message)
        self.error(message)

    def error(self, message: str) -> None:
        logger.info("yt-dlp: %s", hide_secrets_in(message))

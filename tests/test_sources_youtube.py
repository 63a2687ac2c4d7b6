"""YouTube: addresses, the cache, and a sentence for each way in which it refuses; yt-dlp itself is faked."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import yt_dlp
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError, YoutubeDLError

from peoplenet_nb.errors import InstallationError, SourceError
from peoplenet_nb.paths import cache_dir
from peoplenet_nb.sources import open_source, youtube
from videos import make_video

VIDEO = "dQw4w9WgXcQ"
ADDRESS = f"https://www.youtube.com/watch?v={VIDEO}"


class FakeDownloader:
    """Takes the place of ``yt_dlp.YoutubeDL``: does what a test asks for, as the real one would."""

    asked: list[str]
    options: dict
    act = staticmethod(lambda downloader: None)

    def __init__(self, options):
        type(self).options = options
        type(self).asked = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def extract_info(self, address, download):
        assert download
        self.asked.append(address)
        self.act(self)
        return {"id": VIDEO}


@pytest.fixture
def downloader(monkeypatch):
    monkeypatch.setattr(yt_dlp, "YoutubeDL", FakeDownloader)
    monkeypatch.setattr(FakeDownloader, "act", staticmethod(lambda d: None))
    monkeypatch.setattr(FakeDownloader, "asked", [], raising=False)
    shutil.rmtree(cache_dir() / "youtube", ignore_errors=True)
    return FakeDownloader


def refuse(
    monkeypatch, message: str, cause: type[ExtractorError] = ExtractorError, warning: str = ""
) -> None:
    """Let the downloader fail as yt-dlp does: a DownloadError with the extractor's error inside."""

    def act(downloader):
        if warning:
            downloader.options["logger"].warning(warning)
        try:
            raise cause(message, video_id=VIDEO, expected=True)
        except ExtractorError as error:
            raise DownloadError(f"\x1b[0;31mERROR:\x1b[0m {error}", sys.exc_info()) from error

    monkeypatch.setattr(FakeDownloader, "act", staticmethod(act))


@pytest.mark.parametrize(
    ("address", "video"),
    [
        (ADDRESS, VIDEO),
        (f"https://youtu.be/{VIDEO}?t=30", VIDEO),  # shared
        (f"https://m.youtube.com/watch?list=PL123&v={VIDEO}&index=2", VIDEO),  # one video of a list
        (f"https://www.youtube.com/shorts/{VIDEO}", VIDEO),
        (f"https://www.youtube.com/live/{VIDEO}?feature=share", VIDEO),
        (f"https://www.youtube-nocookie.com/embed/{VIDEO}", VIDEO),
        ("https://www.youtube.com/@channel/videos", None),
        ("https://www.youtube.com/playlist?list=PL123", None),
        ("https://www.youtube.com/watch?v=short", None),
    ],
)
def test_video_is_named_by_its_address(address, video):
    assert youtube.is_youtube(address)
    assert youtube.video_id(address) == video


@pytest.mark.parametrize(
    "address", ["https://example.com/youtube.com", "https://notyoutube.com/watch?v=" + VIDEO]
)
def test_other_hosts_are_not_youtube(address):
    assert not youtube.is_youtube(address)


def test_video_is_fetched_once_and_kept(downloader, monkeypatch):
    def act(d):
        d.options["progress_hooks"][0]({"status": "downloading", "downloaded_bytes": 5, "total_bytes": 10})
        make_video(cache_dir() / "youtube" / f"{VIDEO}.mp4", 6)

    monkeypatch.setattr(FakeDownloader, "act", staticmethod(act))
    source = open_source(f"https://youtu.be/{VIDEO}", progress=False)
    assert len(list(source)) == 6
    assert source.info.stem == VIDEO
    assert downloader.asked == [ADDRESS]
    assert "height<=720" in downloader.options["format"]
    assert downloader.options["noplaylist"]

    monkeypatch.setattr(FakeDownloader, "act", staticmethod(lambda d: pytest.fail("it was fetched again")))
    assert len(list(open_source(ADDRESS, progress=False))) == 6


def test_half_a_video_is_not_taken_for_one(downloader, monkeypatch):
    folder = cache_dir() / "youtube"
    folder.mkdir(parents=True)
    (folder / f"{VIDEO}.mp4.part").write_bytes(b"half")
    (folder / f"{VIDEO}.mp4").touch()
    refuse(monkeypatch, "Video unavailable")
    with pytest.raises(SourceError):
        youtube.fetch(ADDRESS, progress=False)
    assert downloader.asked == [ADDRESS]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Sign in to confirm you’re not a bot. Use --cookies-from-browser or --cookies", "a sign-in"),
        ("Sign in to confirm your age. This video may be inappropriate for some users.", "a sign-in"),
        ("Private video. Sign in if you've been granted access to this video", "a sign-in"),
        ("Join this channel to get access to members-only content like this video", "a sign-in"),
        ("Video unavailable. This video has been removed by the uploader", "not available"),
        (
            "Video unavailable. The uploader has not made this video available in your country",
            "in the country",
        ),
        ("HTTP Error 429: Too Many Requests", "limits this machine"),
        (
            "Unable to download API page: <urlopen error [Errno -3] Temporary failure in name resolution>",
            "cannot be reached",
        ),
        ("Unable to download webpage: The read operation timed out", "cannot be reached"),
        ("unable to write data: [Errno 28] No space left on device", "No space left on device"),
        ("Requested format is not available. Use --list-formats", "did not give the video"),
        ("Something that nobody has seen before", "did not give the video"),
    ],
)
def test_every_refusal_has_its_sentence(downloader, monkeypatch, message, reason):
    refuse(monkeypatch, message)
    with pytest.raises(SourceError, match=reason) as caught:
        youtube.fetch(ADDRESS, progress=False)
    assert caught.value.next_step
    assert "\x1b" not in str(caught.value)
    assert VIDEO in str(caught.value.seen)


def test_region_is_told_from_the_error_type(downloader, monkeypatch):
    def act(_):
        error = GeoRestrictedError("This video is not available from your location due to geo restriction")
        raise DownloadError(str(error), (GeoRestrictedError, error, None))

    monkeypatch.setattr(FakeDownloader, "act", staticmethod(act))
    with pytest.raises(SourceError, match="in the country"):
        youtube.fetch(ADDRESS, progress=False)


def test_missing_javascript_runtime_is_named_where_formats_are_missing(downloader, monkeypatch):
    refuse(
        monkeypatch,
        "Requested format is not available. Use --list-formats for a list of available formats",
        warning="No supported JavaScript runtime could be found. Only deno is enabled by default",
    )
    with pytest.raises(SourceError, match=r"no JavaScript runtime.*yt-dlp\[default,deno\]"):
        youtube.fetch(ADDRESS, progress=False)


def test_signed_addresses_in_what_yt_dlp_says_are_hidden(downloader, monkeypatch):
    refuse(monkeypatch, "unable to read https://rr1.example.com/videoplayback?sig=S3CRET")
    with pytest.raises(SourceError) as caught:
        open_source(f"https://user:PW@youtu.be/{VIDEO}?token=S3CRET")
    assert "S3CRET" not in str(caught.value)
    assert "PW" not in str(caught.value)
    with pytest.raises(SourceError, match="no single video") as caught:
        open_source("https://user:PW@www.youtube.com/playlist?token=S3CRET")
    assert "S3CRET" not in str(caught.value)


def test_live_video_is_refused(downloader, monkeypatch):
    seen = []

    def act(d):
        seen.append(d.options["match_filter"]({"is_live": True}, incomplete=False))
        assert d.options["match_filter"]({"is_live": False}, incomplete=False) is None

    monkeypatch.setattr(FakeDownloader, "act", staticmethod(act))
    with pytest.raises(SourceError, match="broadcast live"):
        youtube.fetch(ADDRESS, progress=False)
    assert seen == ["it is live"]


def test_channel_is_refused_before_anything_is_asked(downloader):
    with pytest.raises(SourceError, match="names no single video"):
        open_source("https://www.youtube.com/@channel")
    assert downloader.asked == []


def test_cookies_are_handed_on(downloader, monkeypatch, tmp_path):
    monkeypatch.setenv(youtube.COOKIES, str(tmp_path / "cookies.txt"))
    refuse(monkeypatch, "Private video")
    with pytest.raises(SourceError):
        youtube.fetch(ADDRESS, progress=False)
    assert downloader.options["cookiefile"] == str(tmp_path / "cookies.txt")


def test_missing_yt_dlp_is_an_installation_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    shutil.rmtree(cache_dir() / "youtube", ignore_errors=True)
    with pytest.raises(InstallationError, match="not installed"):
        youtube.fetch(ADDRESS, progress=False)


def test_cache_that_cannot_be_written_is_an_error(downloader, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="cannot be written"):
        youtube.fetch(ADDRESS, folder=tmp_path / "file" / "youtube", progress=False)


def test_real_yt_dlp_takes_the_options(tmp_path):
    """The options are yt-dlp's own: the real one parses formats and runtimes without asking anybody."""
    options = youtube._options(
        Path(tmp_path), youtube._Messages(), lambda info, incomplete=False: None, lambda state: None
    )
    with yt_dlp.YoutubeDL(options) as real:
        selector = real.build_format_selector(options["format"])
        formats = [
            {"format_id": "low", "height": 360, "vcodec": "avc1.4d", "acodec": "none", "ext": "mp4"},
            {"format_id": "fit", "height": 720, "vcodec": "avc1.4d", "acodec": "none", "ext": "mp4"},
            {"format_id": "vp9", "height": 720, "vcodec": "vp9", "acodec": "none", "ext": "webm"},
            {"format_id": "big", "height": 1080, "vcodec": "avc1.64", "acodec": "none", "ext": "mp4"},
        ]
        for given in formats:
            given["protocol"] = "https"
        chosen = list(selector({"formats": formats, "has_merged_format": False, "incomplete_formats": False}))
        assert [given["format_id"] for given in chosen] == ["fit"]


def test_unexpected_errors_of_yt_dlp_are_explained_too(downloader, monkeypatch):
    def act(_):
        raise YoutubeDLError("what is this")

    monkeypatch.setattr(FakeDownloader, "act", staticmethod(act))
    with pytest.raises(SourceError, match="did not give the video"):
        youtube.fetch(ADDRESS, progress=False)

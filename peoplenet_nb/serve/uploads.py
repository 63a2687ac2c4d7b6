"""What a client sends, brought into memory and looked at, within limits.

One decision to know: nothing is written to disk, not even a large part of a form; and a picture's size, colours and
frames are read from its head before a decoder sees it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from peoplenet_nb.serve.limits import Hold, Limits
from peoplenet_nb.serve.refusals import RefusedError
from peoplenet_nb.sources.frames import Image
from peoplenet_nb.sources.imagesize import JPEG_FRAMES, image_size, jpeg_markers
from peoplenet_nb.sources.stills import decode_image

KINDS = "JPEG, PNG, WebP or BMP"
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM")
_SETTINGS_BYTES = 1 << 16
_SOS, _SCANS = 0xDA, 64  # cameras write 1, progressive JPEGs about 10


async def read_body(request: Request, hold: Hold, limits: Limits, most: int) -> bytes:
    """Return a call's body.

    Raises
    ------
    RefusedError
        413 when it is larger than ``most`` bytes, 408 when it takes too long, 415 when it is compressed, 429 when all
        calls together hold too much.
    """
    if (coding := request.headers.get("content-encoding", "identity")).lower() != "identity":
        raise RefusedError(415, "The body is compressed", coding, "send it without Content-Encoding.")
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > most:
        raise _too_large(int(said), most)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.upload_seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > most:
                    raise _too_large(size, most)
                hold.take(len(chunk))
                chunks.append(chunk)
    except TimeoutError:
        what = f"The body did not come within {limits.upload_seconds:g} s"
        step = "send a smaller picture, or raise --upload-seconds."
        raise RefusedError(408, what, f"{size:,} bytes", step) from None
    except ClientDisconnect:
        raise RefusedError(400, "The client went away", f"{size:,} bytes", "send it again.") from None
    return b"".join(chunks)


def _too_large(size: int, most: int) -> RefusedError:
    step = "send a smaller picture: the network sees 960 x 544 pixels of it."
    return RefusedError(413, f"The body is larger than {most / (1 << 20):g} MiB", f"{size:,} bytes", step)


class _InMemory(MultiPartParser):
    spool_max_size = 1 << 62  # never to a file


def is_form(headers: Headers) -> bool:
    """Return whether a call's body is a form with parts."""
    return headers.get("content-type", "").lower().startswith("multipart/form-data")


def parts_of(headers: Headers, body: bytes) -> tuple[bytes, str | None]:
    """Return the picture in a form, and its settings as text where it has some.

    Raises
    ------
    RefusedError
        422 when the form is broken, has no file, or holds something else.
    """

    async def once() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        parser = _InMemory(headers, once(), max_files=1, max_fields=4, max_part_size=_SETTINGS_BYTES)
        form = asyncio.run(parser.parse())  # it waits for nothing: all of the body is here
    except (MultiPartException, KeyError, ValueError) as error:
        seen = getattr(error, "message", type(error).__name__)
        step = "send one file and at most one part named settings, e.g. curl -F image=@street.jpg."
        raise RefusedError(422, "The form cannot be read", seen, step) from error
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    if not files:
        step = "send the picture as a file, e.g. curl -F image=@street.jpg."
        raise RefusedError(422, "The form holds no file", f"{len(texts)} parts", step)
    if [name for name, _ in texts] not in ([], ["settings"]):
        seen = ", ".join(name[:32] for name, _ in texts)
        step = "send the picture and at most one part named settings; the rest goes into the query."
        raise RefusedError(422, "The form holds parts that are not understood", seen, step)
    return files[0].file.read(), texts[0][1] if texts else None


def decode_upload(data: bytes, hold: Hold, limits: Limits) -> Image:
    """Return a picture as BGR uint8, upright.

    Raises
    ------
    RefusedError
        415 for other files than pictures, and kinds that are not decoded here.
    SourceError
        For too many pixels (`ImageTooLargeError`), or a picture that is damaged.
    """
    if not data.startswith(_MAGIC) and not (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        what = f"The body is not a picture of a kind that is read here ({KINDS})"
        step = f"send the file's bytes as the body, saved as {KINDS}."
        raise RefusedError(415, what, f"{len(data):,} bytes", step)
    if odd := _odd(data):
        raise RefusedError(415, odd, f"{len(data):,} bytes", "send one RGB or grey picture.")
    pixels = math.prod(image_size(data) or (0,))
    if pixels <= limits.pixels:
        hold.take(3 * pixels)
    return decode_image(data, "the picture", limits.pixels)


def _odd(data: bytes) -> str:
    """Return why a picture is not what a camera or a browser makes, or nothing."""
    if data.startswith(b"\xff\xd8"):
        scans = 0
        for marker, at in jpeg_markers(data):
            if marker in JPEG_FRAMES and data[at + 7 : at + 8] == b"\x04":  # ITU-T T.81, B.2.2
                return "The JPEG has four colours (CMYK), which decoders turn into RGB each in its own way"
            # Each scan walks the whole picture again: a few megabytes of them would keep a core busy for minutes.
            scans += marker == _SOS
            if scans > _SCANS:
                return f"The JPEG has more than {_SCANS} scans"
    elif data.startswith(b"\x89PNG"):
        if b"acTL" in data[: max(0, data.find(b"IDAT"))]:
            return "The PNG is animated"
    elif data[12:16] == b"VP8X" and data[20:21] and data[20] & 2:
        return "The WebP is animated"
    return ""

"""A local server that plays NGC: an API on 127.0.0.1 and a storage host on localhost, on two ports.

The API lists files and redirects to a presigned address on the storage host, as NGC does. Faults are set per
host and path, used up one by one, and every request is kept for the test to look at.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import socket
import struct
import threading
import time
import traceback
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

import peoplenet_nb
from onnx_builder import detectnet
from peoplenet_nb import ngc

KEY = "nvapi-very-secret-personal-key"
SIGNATURE = "5ecret-presigned-signature"
CLI_VERSION = "4.13.0"
VERSION = ngc.DEFAULT_VERSION
MODEL = ngc.VERSIONS[VERSION].model
# Padded, so that a cut falls well inside it.
CHUNK = 1 << 14
WEIGHTS = detectnet(size=(256, 128), metadata={"padding": "x" * 13 * CHUNK}).SerializeToString()
HALF = 6 * CHUNK
LEGACY = "bGVnYWN5OnNlY3JldC1rZXk"
TOKEN = "session-token-of-the-legacy-key"

Fetch = Callable[..., ngc.ModelRecord]


@dataclass
class Seen:
    """One request as it came, and how many bytes of body went back."""

    host: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    sent: int = 0


@dataclass
class Answer:
    """What a fault sends instead of the right answer, a byte every ``pause`` seconds if that is set."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0


# A fault returns an Answer, or None to leave the request to the server, or a number: cut after so many bytes.
Fault = Callable[[Seen], Answer | int | None]


def error(status: int, code: str, description: str = "") -> Answer:
    """An error in NGC's own form."""
    answer = {"requestStatus": {"statusCode": code, "statusDescription": description, "requestId": "r-1"}}
    return Answer(status, json.dumps(answer).encode(), {"Content-Type": "application/json"})


class Ngc:
    """Two servers and what they hold; use as a context manager."""

    def __init__(self) -> None:
        self.versions: dict[str, dict[str, bytes]] = {}
        self.listed: dict[str, Any] = {}  # overrides: file name to a listing entry, None to leave it out
        self.with_hashes = True
        self.ranges = True
        self.etags = True
        self.weak = False  # ETags that do not promise the same bytes
        self.tokens: set[str] = set()  # when not empty, the API wants one of them
        self.legacy: dict[tuple[str, str], str] = {}  # (key, org) to token
        self.archives: dict[str, bytes] = {}  # NGC CLI archives by file name
        self.seen: list[Seen] = []
        self._faults: list[tuple[str, str, Fault]] = []
        self._servers: list[ThreadingHTTPServer] = []

    def __enter__(self) -> Ngc:
        for name, play in (("api", self._api), ("storage", self._storage)):
            server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, name, play))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            self._servers.append(server)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_address[1]}/v2"

    @property
    def auth(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_address[1]}/token"

    @property
    def storage(self) -> str:
        return f"http://localhost:{self._servers[1].server_address[1]}"

    def fault(self, host: str, part: str, *faults: Fault | Answer | int) -> None:
        """Let the next requests to a host whose path holds ``part`` go wrong, one fault each."""
        for one in faults:
            self._faults.append((host, part, one if callable(one) else lambda _, one=one: one))

    def heal(self) -> None:
        """From now on nothing goes wrong, and nothing has been seen."""
        self._faults.clear()
        self.seen.clear()

    def to(self, host: str, part: str = "") -> list[Seen]:
        """Requests that a host got."""
        return [seen for seen in self.seen if seen.host == host and part in seen.path]

    def answer(self, seen: Seen, play: Callable[[Seen], Answer]) -> tuple[Answer, int | None]:
        for i, (host, part, one) in enumerate(self._faults):
            if host == seen.host and part in seen.path:
                del self._faults[i]
                outcome = one(seen)
                if isinstance(outcome, Answer):
                    return outcome, None
                return play(seen), outcome
        return play(seen), None

    def entry(self, name: str, content: bytes) -> dict[str, Any] | None:
        if name in self.listed:
            return self.listed[name]  # type: ignore[no-any-return]
        made: dict[str, Any] = {"path": name, "sizeInBytes": len(content)}
        if self.with_hashes:
            made["sha256_base64"] = base64.b64encode(hashlib.sha256(content).digest()).decode()
        return made

    def _allowed(self, seen: Seen) -> bool:
        token = seen.headers.get("authorization", "").removeprefix("Bearer ")
        return not self.tokens or token in self.tokens or not token

    def _api(self, seen: Seen) -> Answer:
        if seen.path == "/token":
            return self._token(seen)
        if not self._allowed(seen):
            return error(401, "UNAUTHORIZED", "Invalid apikey")
        listing = re.fullmatch(r"/v2/models/nvidia/tao/peoplenet/versions/([^/]+)/files", seen.path)
        if listing and listing[1] in self.versions:
            files = self.versions[listing[1]]
            entries = [made for name, content in files.items() if (made := self.entry(name, content))]
            answer = {"modelFiles": entries, "requestStatus": {"statusCode": "SUCCESS"}}
            return Answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})
        file = re.fullmatch(r"/v2/models/org/nvidia/team/tao/peoplenet/([^/]+)/files", seen.path)
        name = seen.query.get("path", [""])[0]
        if file and name in self.versions.get(file[1], {}):
            return self._redirect(f"/{file[1]}/{name}")
        archive = re.fullmatch(
            rf"/v2/resources/nvidia/ngc-apps/ngc_cli/versions/{CLI_VERSION}/files/(.+)", seen.path
        )
        if archive and archive[1] in self.archives:
            return self._redirect(f"/cli/{archive[1]}")
        return error(404, "NOT_FOUND", "Could not find entity")

    def _redirect(self, path: str) -> Answer:
        query = f"X-Amz-Signature={SIGNATURE}&X-Amz-Credential={quote('AKIA/eu')}"
        return Answer(302, b"", {"Location": f"{self.storage}{path}?{query}"})

    def _token(self, seen: Seen) -> Answer:
        user, _, key = (
            base64.b64decode(seen.headers["authorization"].removeprefix("Basic ")).decode().partition(":")
        )
        org = seen.query["scope"][0].removeprefix("group/ngc:")
        token = self.legacy.get((key, org)) if user == "$oauthtoken" else None
        if token is None:
            return Answer(401, b'{"error": "invalid"}')
        return Answer(200, json.dumps({"token": token, "expires_in": 600}).encode())

    def _storage(self, seen: Seen) -> Answer:
        if seen.query.get("X-Amz-Signature") != [SIGNATURE] or "authorization" in seen.headers:
            return Answer(400, b"<Error><Code>InvalidArgument</Code></Error>")
        version, _, name = seen.path.lstrip("/").partition("/")
        content = (self.archives if version == "cli" else self.versions[version])[name]
        tag = "W/" * self.weak + f'"{hashlib.md5(content).hexdigest()}"'
        headers = {"ETag": tag} if self.etags else {}
        found = re.fullmatch(r"bytes=(\d+)-", seen.headers.get("range", ""))
        if self.ranges and found and seen.headers.get("if-range", tag) == tag:
            start = int(found[1])
            if start >= len(content):
                return Answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return Answer(206, content[start:], headers)
        return Answer(200, content, headers)


def _handler(ngc: Ngc, host: str, play: Callable[[Seen], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(host, parts.path, parse_qs(parts.query), headers)
            ngc.seen.append(seen)
            answer, cut = ngc.answer(seen, play)
            self.send_response(answer.status)
            sent_headers = {"Content-Length": str(len(answer.body))} | answer.headers
            for name, value in sent_headers.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            body = answer.body if cut is None else answer.body[:cut]
            seen.sent = len(body)
            with suppress(ConnectionError):  # a client that has seen enough hangs up
                for start in range(len(body) if answer.pause else 0):
                    self.wfile.write(body[start : start + 1])
                    time.sleep(answer.pause)
                self.wfile.write(b"" if answer.pause else body)
                self.wfile.flush()
            if cut is not None or not sent_headers["Content-Length"]:
                if cut is not None and not body:  # a reset instead of a polite end
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def cli_archive(
    script: str,
    *,
    md5: str | None = None,
    extra: Mapping[str, bytes] | None = None,
    links: Mapping[str, str] | None = None,
) -> bytes:
    """An archive like NVIDIA's: ngc-cli/ngc, a library beside it, a link, and ngc-cli.md5 over the files."""
    files = {"ngc-cli/ngc": script.encode(), "ngc-cli/_internal/libx.so": b"\x7fELF" + bytes(64)}
    lines = sorted(f"{hashlib.md5(content).hexdigest()}  {name}\n" for name, content in files.items())
    total = hashlib.md5("".join(lines).encode()).hexdigest()
    files["ngc-cli.md5"] = f"{md5 or total}  -\n".encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (files | dict(extra or {})).items():
            archive.writestr(name, content)
        for name, target in ({"ngc-cli/libx.so": "_internal/libx.so"} if links is None else links).items():
            link = zipfile.ZipInfo(name)
            link.external_attr = 0o120777 << 16
            archive.writestr(link, target)
    return stream.getvalue()


# Not by its name: a checkout has that too, as the README clones it.
_PACKAGE = Path(peoplenet_nb.__file__).parent


def chain(raised: BaseException) -> list[BaseException]:
    """An exception and everything that hangs on it."""
    found: list[BaseException] = []
    todo = [raised]
    while todo:
        one = todo.pop()
        if one not in found:
            found.append(one)
            todo += [e for e in (one.__cause__, one.__context__) if e is not None]
    return found


def shown_by(raised: BaseException) -> str:
    """All that an exception, those it hangs on, and the locals of our frames would show to anybody."""
    texts = [repr((one, str(one), one.args, vars(one))) for one in chain(raised)]
    frames = [
        frame
        for one in chain(raised)
        for frame in traceback.walk_tb(one.__traceback__)
        if Path(frame[0].f_code.co_filename).is_relative_to(_PACKAGE)
    ]
    assert frames, "the package raised it, so its frames must be here"
    return "".join([*texts, *traceback.StackSummary.extract(iter(frames), capture_locals=True).format()])


def secrets_in(text: str, *secrets: str) -> list[str]:
    encoded = [base64.b64encode(f"$oauthtoken:{secret}".encode()).decode() for secret in secrets]
    return [secret for secret in (*secrets, *encoded, SIGNATURE) if secret in text]


def folder(root: Path, version: str = VERSION) -> Path:
    return root / f"peoplenet_v{version}"


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def break_off(server: Ngc, fetch: Fetch) -> None:
    """Leave a run that stopped after the first half of the model."""
    server.fault("storage", MODEL, HALF, *[0] * 9)
    with pytest.raises(ngc.Unreachable):
        fetch(retries=0)
    server.heal()

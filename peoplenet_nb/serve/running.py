"""A service as a process: sockets, signals, a graceful stop.

One decision to know: the first SIGTERM or Ctrl-C only makes the service refuse new calls, with 503, while it still
listens, so that balancers notice; the process ends when what was in is answered. A second one ends it at once.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import threading
from types import FrameType
from typing import Any

import uvicorn

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.serve.app import make_app
from peoplenet_nb.serve.service import Service

logger: logging.Logger = logging.getLogger(__name__)

_SHORTEST_TOKEN = 16
_SECONDS_TO_CLOSE = 3  # for answers that are still being sent when the process ends
_UNREAD_MS = 60_000  # after which who takes nothing of his answer is cut off: it is kept in memory for him


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_token(host: str, token: str) -> str:
    """Return the token, if it is good enough for where the service listens.

    Raises
    ------
    SettingsError
        When there is none and others than this machine could call, or it is easily guessed.
    """
    make = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
    if not token and not is_loopback(host):
        raise SettingsError(
            "A token is required where others than this machine can call",
            seen=f"--host {host}",
            next_step=f"export PEOPLENET_TOKEN=$({make}), or name a file that holds one (--token-file).",
        )
    if token and (
        len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token
    ):
        raise SettingsError(
            f"The token must have at least {_SHORTEST_TOKEN} printable characters without blanks",
            seen=f"{len(token)} characters",
            next_step=f"make one with {make}.",
        )
    return token


def listen(host: str, ports: list[int]) -> list[socket.socket]:
    """Return sockets that listen on each port.

    Raises
    ------
    SettingsError
        When one cannot be had.
    """
    made: list[socket.socket] = []
    for port in ports:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            made.append(socket.create_server((host, port), family=family, backlog=256))
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections inherit it
                made[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
        except (OSError, OverflowError) as error:
            for one in made:
                one.close()
            raise SettingsError(
                "The service cannot listen there",
                seen=f"{host}, port {port}: {error}",
                next_step="choose another --port, or stop what listens on it.",
            ) from error
    return made


class Server(uvicorn.Server):
    """uvicorn, with a stop that first refuses and then ends."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; at the second signal, end."""
        if self._service.state.state == "stopping":
            self.should_exit = self.force_exit = True
            return
        self._service.stop()
        threading.Thread(target=self._end, name="peoplenet-stop", daemon=True).start()

    def _end(self) -> None:
        if not self._service.drained(self._service.limits.seconds):
            logger.warning("some calls were not answered in time, and are dropped")
        # No signal is raised once more at the end, as uvicorn does: the exit code is 0.
        self.should_exit = True


def run_service(
    service: Service, host: str = "127.0.0.1", ports: list[int] | None = None, token: str = ""
) -> None:
    """Serve until a signal; load the model meanwhile.

    Parameters
    ----------
    service : Service
        Not started yet.
    host : str
        Where to listen; anything but this machine needs a token.
    ports : list of int
        8000 when left out. RunPod's balancer may ask for health on a second one.
    token : str
        What clients must send.

    Raises
    ------
    SettingsError
        When a token is missing or a port taken.
    PeopleNetError
        When there is no model, or no settings.
    """
    token = check_token(host, token)
    sockets = listen(host, ports or [8000])
    config = uvicorn.Config(
        make_app(service, token),
        access_log=False,  # it would write the query of each call
        server_header=False,
        log_config=None,
        log_level=logging.WARNING,
        timeout_graceful_shutdown=_SECONDS_TO_CLOSE,
        timeout_keep_alive=75,  # longer than nginx's 60 s, so that nginx never sends into a closed connection
        http="h11",  # the other one does not bound the head of a call
        h11_max_incomplete_event_size=1 << 16,
        ws="none",
    )
    server = Server(config, service)

    def nothing_to_serve() -> None:
        server.should_exit = True

    service.start(nothing_to_serve)
    try:
        server.run(sockets=sockets)
    finally:
        for one in sockets:
            one.close()
    if service.failure is not None:
        raise service.failure


def ports_from(environment: dict[str, str] | os._Environ[str], port: int | None) -> list[int]:
    """Return the ports to listen on: as asked, else RunPod's ``PORT`` and ``PORT_HEALTH``, else 8000.

    Raises
    ------
    SettingsError
        When a variable is no port.
    """
    named: list[Any] = [port] if port else [environment.get("PORT") or 8000, environment.get("PORT_HEALTH")]
    found = [str(value) for value in named if value]
    for value in found:
        if not value.isdecimal() or not 0 < int(value) < 65536:
            raise SettingsError("That is no port", seen=repr(value), next_step="give 1 to 65535.")
    return list(dict.fromkeys(map(int, found)))

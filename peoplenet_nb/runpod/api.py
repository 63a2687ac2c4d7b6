"""RunPod's REST API, version 2, and ``runpodctl`` where that does not answer.

Fields are named as in the API's OpenAPI description (https://api.runpod.io/v2/openapi.json, version 2.0.0: ``Pod``,
``GpuType``, ``NetworkVolume``, ``ErrorResponse``). One decision to know: there is no call here that terminates a pod,
because that deletes its volume. The pod's own key is in ``RUNPOD_API_KEY``; it goes to RunPod in a header and is in no
message, and no redirect is followed with it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from peoplenet_nb.errors import PeopleNetError
from peoplenet_nb.ngc.errors import Secret
from peoplenet_nb.web import TimeLimitedAdapter, number_in, read_up_to, reason_of

logger: logging.Logger = logging.getLogger(__name__)

BASE = "https://api.runpod.io/v2"
_TIMES = (5.0, 20.0)  # seconds to connect, and between two bytes
_MOST = 8 << 20  # bytes of an answer
_LONGEST_WAIT = 10  # seconds that 429 may ask for; more is told
_CTL_S = 60.0


class PodError(PeopleNetError):
    """RunPod does not do what was asked for, or this is no pod."""


@dataclass(frozen=True)
class Pod:
    """A pod as RunPod describes it; None where it does not say."""

    id: str
    hourly: float | None = None  #: USD
    gpu: str | None = None
    gpus: int | None = None  #: 0 for a pod that came back without one, too
    container_gb: float | None = None
    volume_gb: float | None = None
    network_volume_gb: float | None = None


@dataclass(frozen=True)
class GpuOffer:
    """A kind of GPU in the catalogue."""

    name: str
    prices: dict[str, float]  #: USD an hour, by cloud: ``secure``, ``community``
    available: str = ""


class Pods:
    """Asks RunPod.

    Parameters
    ----------
    base : str, optional
        Address of the API.
    key : Secret, optional
        Left out, that of the pod (``RUNPOD_API_KEY``).
    """

    def __init__(self, base: str = "", key: Secret | None = None) -> None:
        self._base = (base or os.environ.get("PEOPLENET_RUNPOD_API") or BASE).rstrip("/")
        named = os.environ.get("RUNPOD_API_KEY", "").strip()
        self._key = key or (Secret(named) if named else None)

    @property
    def here(self) -> str:
        """The id of this pod.

        Raises
        ------
        PodError
            When this is no pod.
        """
        pod = os.environ.get("RUNPOD_POD_ID", "")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", pod):
            step = "run this on a pod; elsewhere nothing is billed by RunPod."
            raise PodError("This is not a pod of RunPod's", seen=f"RUNPOD_POD_ID={pod!r}", next_step=step)
        return pod

    def pod(self, pod: str) -> Pod:
        """Return what RunPod says of a pod.

        Raises
        ------
        PodError
            When it does not answer, refuses the key, or knows no such pod.
        """
        data = _fields(self._ask("GET", f"/pods/{pod}"))
        gpu, mounts = _fields(data.get("gpu")), _fields(data.get("mounts"))
        count = 0.0 if "cpu" in data else _number(gpu, "count")  # a pod has one of the two
        return Pod(
            pod,
            _number(data, "cost"),
            str(gpu.get("id") or "").removeprefix("NVIDIA ") or None,
            None if count is None else int(count),
            _number(data, "disk"),
            _number(_fields(mounts.get("persistent")), "size"),
            self._network_gb(mounts.get("network")),
        )

    def _network_gb(self, mounts: Any) -> float | None:
        """Return the size of the network volumes of a pod; its own key may not be allowed to ask for them."""
        sizes = []
        for mount in mounts if isinstance(mounts, list) else []:
            with suppress(PodError):
                volume = quote(str(_fields(mount).get("volumeId")), safe="")
                sizes.append(_number(_fields(self._ask("GET", f"/network-volumes/{volume}")), "size"))
        return sum(size or 0 for size in sizes) or None

    def gpus(self) -> list[GpuOffer]:
        """Return the GPUs for pods, with prices and whether there are any now.

        Raises
        ------
        PodError
            As `pod`.
        """
        rows = _fields(self._ask("GET", "/catalog/gpus?include=AVAILABILITY&product=POD")).get("gpus")
        return list(_offers(rows if isinstance(rows, list) else []))

    def stop(self, pod: str) -> str:
        """Stop a pod and return by what; its volume stays, and is billed.

        Raises
        ------
        PodError
            When neither the API nor ``runpodctl`` does it.
        """
        try:
            self._ask("POST", f"/pods/{pod}/action", {"action": "stop"})
        except PodError as error:
            logger.info("the API did not stop the pod: %s", error)
            return self._stop_by_program(pod, error)
        return "RunPod's API"

    def _stop_by_program(self, pod: str, refused: PodError) -> str:
        tool = shutil.which("runpodctl")
        said = "runpodctl is not installed"
        # Noun first since 2026; the other way round before.
        for command in (["pod", "stop", pod], ["stop", "pod", pod]) if tool else ():
            try:
                done = subprocess.run(
                    [str(tool), *command], capture_output=True, text=True, timeout=_CTL_S, check=False
                )
            except (OSError, subprocess.SubprocessError) as error:
                said = f"runpodctl: {type(error).__name__}"
                continue
            if done.returncode == 0:
                return f"runpodctl {' '.join(command[:2])}"
            said = f"runpodctl: {' '.join((done.stderr or done.stdout).split())[-120:]}"
        raise PodError(
            "The pod could not be stopped, and is billed on",
            seen=self._hide(f"{refused.what} ({refused.seen}); {said}"),
            next_step="stop it in RunPod's console: https://console.runpod.io/pods.",
        ) from refused

    def _hide(self, text: str) -> str:
        return text.replace(self._key.reveal(), "[hidden]") if self._key else text

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        if self._key is None:
            raise PodError(
                "There is no key to ask RunPod with",
                seen="RUNPOD_API_KEY is not set",
                next_step="pods have one for themselves; elsewhere make one in RunPod's console and set it.",
            )
        for last in (False, True):
            status, text, wait = self._once(method, path, body)
            if status != 429 or last or wait > _LONGEST_WAIT:
                break
            time.sleep(wait)
        if 200 <= status < 300:
            try:
                return json.loads(text) if text.strip() else {}
            except (ValueError, RecursionError):
                raise PodError(
                    "RunPod's answer is not understood",
                    seen=self._hide(f"{path}: {text[:80]!r}"),
                    next_step=_LATER,
                ) from None
        what, step = _MEANINGS.get(status, ("RunPod does not do this", _LATER))
        raise PodError(
            what,
            seen=self._hide(f"{method} {path.partition('?')[0]}: {status} {_said(text)}"),
            next_step=step,
        )

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, str, int]:
        with requests.Session() as session:
            session.trust_env = False  # no .netrc takes the place of the key
            session.proxies = dict(requests.utils.get_environ_proxies(self._base))
            for scheme in ("http://", "https://"):
                session.mount(scheme, TimeLimitedAdapter())
            try:
                answer = session.request(
                    method,
                    f"{self._base}{path}",
                    json=body,
                    headers={"Authorization": f"Bearer {self._key.reveal()}"} if self._key else {},
                    timeout=_TIMES,
                    allow_redirects=False,
                    stream=True,
                )
                data, whole = read_up_to(answer, _MOST)
            except (requests.RequestException, OSError, ValueError) as error:
                raise PodError(
                    "RunPod cannot be reached",
                    seen=f"{path.partition('?')[0]}: {reason_of(error)}",
                    next_step=_LATER,
                ) from None
        wait = number_in(answer.headers.get("Retry-After"))
        return (
            answer.status_code if whole else 502,
            data.decode("utf-8", "replace"),
            1 if wait is None else wait,
        )


_LATER = "try again later; the console has it all: https://console.runpod.io."
_MEANINGS = {
    401: ("RunPod refuses the key", "check RUNPOD_API_KEY; a pod's own key is for this pod only."),
    403: ("RunPod's key may not do this", "a pod's own key is for this pod only: make one in the console."),
    404: ("RunPod knows no such pod or address", "check RUNPOD_POD_ID; a terminated pod is gone."),
    429: ("RunPod was asked too often", "wait a minute, and try again."),
}


def _fields(data: Any) -> Mapping[str, Any]:
    """Return an object of an answer; of anything else nothing."""
    return data if isinstance(data, Mapping) else {}


def _number(data: Mapping[str, Any], name: str) -> float | None:
    """Return a field where it holds a number of at least 0."""
    value = data.get(name)
    fine = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if fine else None  # type: ignore[arg-type]


def _offers(rows: list[Any]) -> Iterator[GpuOffer]:
    """Yield the GPUs of the catalogue, each in the clouds that have it; what is not understood is left out."""
    for row in map(_fields, rows):
        name, price, available = (
            row.get("name") or row.get("id"),
            _fields(row.get("price")),
            row.get("availability"),
        )
        clouds = [cloud for cloud in ("secure", "community") if row.get(cloud)]
        prices = {cloud: value for cloud in clouds if (value := _number(price, cloud))}
        if isinstance(name, str) and prices:
            yield GpuOffer(name[:80], prices, available[:40] if isinstance(available, str) else "")


def _said(text: str) -> str:
    """Return what an answer has to say for itself, in short (RFC 9457)."""
    try:
        said = _fields(json.loads(text))
    except (ValueError, RecursionError):
        return ""
    return " ".join(str(said.get("detail") or said.get("title") or "").split())[:120]

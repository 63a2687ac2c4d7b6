"""The command ``peoplenet-nb serve``."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from peoplenet_nb.cli import options
from peoplenet_nb.cli.shell import path_option, read_settings, say
from peoplenet_nb.errors import InstallationError, SettingsError
from peoplenet_nb.files import read_text

_PACKAGES = "fastapi uvicorn python-multipart prometheus-client"


def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0: everywhere, with a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Left out: PORT and PORT_HEALTH, else 8000."),
    ] = None,
    token_file: Annotated[
        Path | None,
        path_option(
            "--token-file",
            metavar="FILE",
            about="Holds what clients must send. Left out: PEOPLENET_TOKEN. Never an option: others see those.",
        ),
    ] = None,
    model: options.Model = None,
    device: options.DeviceName = "auto",
    precision: options.PrecisionName = "fp32",
    fit: options.FitName = None,
    settings: options.SettingsFile = None,
    preset_name: options.PresetName = None,
    threshold: options.Thresholds = None,
    body_mb: Annotated[float, typer.Option(metavar="MIB", help="Largest body of a call.")] = 16.0,
    megapixels: Annotated[
        float, typer.Option(metavar="N", help="Most pixels of a picture, in millions.")
    ] = 50.0,
    queue: Annotated[
        int, typer.Option(min=1, metavar="N", help="Calls that may be in progress at once.")
    ] = 64,
    memory_mb: Annotated[
        float, typer.Option(metavar="MIB", help="What all calls may hold together.")
    ] = 512.0,
    seconds: Annotated[
        float, typer.Option(metavar="S", help="Longest time of a call; RunPod's proxy cuts at 100 s.")
    ] = 60.0,
    upload_seconds: Annotated[
        float, typer.Option(metavar="S", help="Longest time in which a body must have come.")
    ] = 20.0,
    max_batch: Annotated[int, typer.Option(min=1, metavar="N", help="Most pictures of one inference.")] = 8,
    wait_ms: Annotated[
        float, typer.Option(metavar="MS", help="How long a picture waits for others to share its batch.")
    ] = 5.0,
) -> None:
    """Answer over HTTP: a picture in, boxes out.

    POST a picture to /detect; the rest is at /docs and in docs/service.md. The model is loaded while it
    already listens; --settings and the model's file are read again when they change. Stop it with Ctrl-C: what is in
    is answered first.
    """
    try:
        from peoplenet_nb.serve.limits import Limits
        from peoplenet_nb.serve.running import check_token, ports_from, run_service
        from peoplenet_nb.serve.service import Service
    except ImportError as error:
        raise InstallationError(
            "The packages of the service are not installed here",
            seen=error,
            next_step=f"bash setup_runpod.sh installs them, or pip install {_PACKAGES}.",
        ) from error
    from peoplenet_nb.diagnostics import require_single_distributions
    from peoplenet_nb.network import PeopleNet

    require_single_distributions()
    read = partial(read_settings, settings, preset_name, fit, threshold)
    first = read()  # before anything listens
    service = Service(
        partial(PeopleNet.load, model, device, first.fit, precision=precision),
        read,
        settings_file=settings,
        limits=Limits(body_mb, megapixels, queue, memory_mb, seconds, upload_seconds, max_batch, wait_ms),
    )
    token = check_token(host, _token(token_file))
    ports = ports_from(os.environ, port)
    shown = f"[{host}]" if ":" in host else host
    say(f"listening on http://{shown}:{ports[0]}; its documentation is at /docs")
    run_service(service, host, ports, token)


def _token(file: Path | None) -> str:
    if file is None:
        return os.environ.get("PEOPLENET_TOKEN", "")
    try:
        return read_text(file, 4096).strip()
    except (OSError, ValueError) as error:
        step = "check the path, and that it may be read."
        raise SettingsError("The file of the token cannot be read", seen=error, next_step=step) from error

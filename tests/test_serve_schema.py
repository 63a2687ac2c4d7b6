"""schemathesis reads the OpenAPI document and sends what it allows and what it does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services import Gated, gated, running

# That bytes are no picture, and that settings make no sense, no schema can tell: valid calls may be refused.
UNTOLD = "positive_data_acceptance"


def test_schemathesis_finds_no_server_error_and_no_answer_that_is_not_documented(tmp_path: Path) -> None:
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("schemathesis is not installed here")
    with running(lambda: gated(Gated(open_=True))) as service:
        command = [
            program,
            "run",
            f"{service.url}/openapi.json",
            "--checks",
            "all",
            "--exclude-checks",
            UNTOLD,
        ]
        command += ["--max-time", "6", "--max-examples", "10", "--seed", "1", "--phases", "coverage,fuzzing"]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False, encoding="utf-8"
        )
        assert done.returncode == 0, done.stdout[-6000:]
        assert "18 selected / 18 total" in done.stdout
        assert service.service.gate.calls == 0
        assert service.service.gate.bytes == 0

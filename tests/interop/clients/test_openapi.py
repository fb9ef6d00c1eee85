"""The OpenAPI document is valid, and schemathesis finds no reply that breaks it and no fault."""

import subprocess
from pathlib import Path

import httpx
import pytest

EXAMPLES, SECONDS = "20", "20"
SETTINGS = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.parametrize("served", ["digits", "people"])
def test_the_document_is_valid(tool, tmp_path: Path, served: str, request: pytest.FixtureRequest) -> None:
    document = tmp_path / "openapi.json"
    document.write_bytes(httpx.get(f"http://{request.getfixturevalue(served).http}/v2/openapi.json").content)
    call = [str(tool("openapi", "openapi-spec-validator")), str(document)]
    done = subprocess.run(call, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("served", ["digits", "people"])
def test_schemathesis_finds_no_fault(
    tool, tmp_path: Path, served: str, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue(served).http
    call = [str(tool("openapi", "schemathesis")), "--config-file", str(SETTINGS), "run"]
    words = ["--max-examples", EXAMPLES, "--max-time", SECONDS, "--seed", "1", "--continue-on-failure"]
    done = subprocess.run(
        [*call, f"http://{address}/v2/openapi.json", *words],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 23" in done.stdout

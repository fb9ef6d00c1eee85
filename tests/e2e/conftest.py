"""The command line as a subprocess, and one digits project that is built once and copied."""

import fcntl
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

BIN = Path(sys.executable).parent
TIMEOUT_S = 120


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output, printed with `--json`."""
        return json.loads(self.out)


def run_tidegate(root: Path, *words: str, expect: int = 0) -> Done:
    """Run `tidegate WORDS` in `root` as a person would; `expect` is its exit code."""
    environ = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(BIN / "tidegate"), *words],
        cwd=root,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == expect, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def wait_until(is_met: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Poll until the condition holds; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not is_met():
        assert time.monotonic() < end, "the condition was not met in time"
        threading.Event().wait(0.02)


class Reply(NamedTuple):
    """An HTTP reply; `body` is parsed JSON, or text."""

    status: int
    headers: dict[str, str]
    body: Any


class Endpoint(NamedTuple):
    """A running gateway."""

    host: str
    port: int

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        """One request; `body` is sent as it is when it is bytes, else as JSON."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request(method, path, data, {"content-type": "application/json"} | (headers or {}))
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        is_json = "json" in found.get("content-type", "")
        return Reply(response.status, found, json.loads(text) if is_json and text else text)


@pytest.fixture(scope="session")
def run() -> Callable[..., Done]:
    """`run(root, "repro", expect=0)`."""
    return run_tidegate


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    """`until(lambda: ..., seconds=20)`."""
    return wait_until


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A port that nobody listens on."""
    return _free_port


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits example after `repro`, shared by the workers of a run: copy it, never change it."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    root = shared / "digits-built"
    with (shared / "digits-built.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "digits-built.ready").exists():
            shutil.rmtree(root, ignore_errors=True)
            run_tidegate(shared, "init", str(root), "--example", "digits")
            run_tidegate(root, "repro")
            (shared / "digits-built.ready").touch()
    return root


@pytest.fixture(scope="module")
def digits(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the built example for one file of tests, with a port of its own."""
    root = Path(shutil.copytree(built, tmp_path_factory.mktemp("e2e") / "digits", symlinks=True))
    settings = root / "tidegate.toml"
    settings.write_text(settings.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{_free_port()}"))
    return root


@pytest.fixture(scope="module")
def released(digits: Path) -> Path:
    """The example with its first release."""
    for words in (("gate",), ("plan",), ("apply",)):
        run_tidegate(digits, *words)
    return digits


@pytest.fixture(scope="module")
def endpoint(released: Path) -> Iterator[Endpoint]:
    """The released example, being served."""
    run_tidegate(released, "up")
    try:
        yield endpoint_of(released)
    finally:
        run_tidegate(released, "down")


def endpoint_of(root: Path) -> Endpoint:
    address = run_tidegate(root, "config", "show", "serve", "--json").json["serve"]["address"]
    host, _, port = address.rpartition(":")
    return Endpoint(host, int(port))

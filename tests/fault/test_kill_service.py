"""The service under kill -9: workers come back, nothing acknowledged is lost, `up` starts over."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tidegate.store.predictions import read_predictions

pytestmark = pytest.mark.slow

ROW = b'{"row": [1.0, 2.0]}'


class Service:
    """The tiny project's endpoint."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.port = port

    def ask(self, request: str) -> int:
        """The status of one prediction; 0 when the connection failed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("POST", "/predict", ROW, {"x-request-id": request})
            response = connection.getresponse()
            json.loads(response.read())
        except (OSError, http.client.HTTPException):
            return 0
        else:
            return response.status
        finally:
            connection.close()

    def pid(self, name: str) -> int:
        """The process of a part of the service."""
        return int((self.root / f".tidegate/run/{name}.pid").read_text())


def wait_until(is_met: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_met():
        assert time.monotonic() < end, "the condition was not met in time"
        threading.Event().wait(0.02)


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{process}/stat").read_text().split()[2] == "Z"


@pytest.fixture
def service(project: Path, tidegate) -> Iterator[Service]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    settings = project / "tidegate.toml"
    settings.write_text(settings.read_text() + f'\n[serve]\naddress = "127.0.0.1:{port}"\n')
    for words in (("repro",), ("gate",), ("plan",), ("apply",), ("up",)):
        tidegate(project, *words)
    yield Service(project, port)
    tidegate(project, "down")


def test_a_killed_worker_comes_back_and_no_acknowledged_row_is_lost(service: Service) -> None:
    acknowledged: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        for number in range(1_000_000):
            if stop.is_set():
                return
            if service.ask(f"q{number}") == 200:
                acknowledged.append(f"q{number}")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(3):
            before = len(acknowledged)
            wait_until(lambda before=before: len(acknowledged) > before + 20)
            worker = service.pid("gateway-0")
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda worker=worker: service.pid("gateway-0") != worker)
        before = len(acknowledged)
        wait_until(lambda: len(acknowledged) > before + 20)
    finally:
        stop.set()
        asking.join(timeout=20)
    rows, _ = read_predictions(service.root / ".tidegate/log")
    assert set(acknowledged) <= {row.request for row in rows}


def test_when_the_supervisor_dies_everything_ends_and_up_starts_over(service: Service, tidegate) -> None:
    parts = {name: service.pid(name) for name in ("supervisor", "gateway-0", "watch")}
    os.kill(parts["supervisor"], signal.SIGKILL)
    wait_until(lambda: all(is_gone(process) for process in parts.values()))
    assert service.ask("gone") == 0
    tidegate(service.root, "up")
    assert service.ask("back") == 200
    assert service.pid("supervisor") != parts["supervisor"]


def test_a_killed_watcher_comes_back(service: Service) -> None:
    before = service.pid("watch")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: service.pid("watch") != before)
    assert service.ask("meanwhile") == 200


def test_up_twice_and_down_twice_change_nothing(service: Service, tidegate) -> None:
    before = service.pid("supervisor")
    assert "was up already" in tidegate(service.root, "up").said
    assert service.pid("supervisor") == before
    tidegate(service.root, "down")
    assert "nothing was up" in tidegate(service.root, "down").said

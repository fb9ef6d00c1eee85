"""Starting and finding the service; its life under kill -9 is in tests/fault."""

import http.server
import socket
import threading
from pathlib import Path

import pytest

from tidegate.errors import ConflictError, UnavailableError, UsageError
from tidegate.flow import serve_up
from tidegate.flow.endpoint import Address, address_of, is_ready
from tidegate.flow.judge import judge
from tidegate.flow.plan import plan
from tidegate.flow.release import apply
from tidegate.flow.serve_up import down, serve, service_process, up
from tidegate.store.layout import Layout


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:1", ("::1", 1)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert address_of(text)[:2] == address


@pytest.mark.parametrize("text", ["8080", ":8080", "host:", "host:0", "host:65536", "host:http", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected HOST:PORT"):
        address_of(text)


def test_a_url_has_brackets_around_ipv6() -> None:
    assert (Address("::1", 80).url, Address("a", 80).url) == ("http://[::1]:80", "http://a:80")


def test_with_nothing_live_there_is_nothing_to_serve(project: Path) -> None:
    for start in (up, lambda root: serve(root, watch=False)):
        with pytest.raises(UnavailableError, match="nothing is live yet"):
            start(project)
    assert down(project) is None
    assert service_process(Layout(project)) is None


def test_an_address_that_is_taken_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (judge, plan, apply):
        step(project)
    monkeypatch.setattr(serve_up, "BIND_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = project / "tidegate.toml"
        settings.write_text(settings.read_text() + f'\n[serve]\naddress = "127.0.0.1:{port}"\n')
        with pytest.raises(ConflictError, match=f"127.0.0.1:{port}: address already in use"):
            serve(project, watch=False)
    assert service_process(Layout(project)) is None


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def test_readiness_is_a_200_of_readyz_and_nothing_else() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _Answers) as server:
        address = Address("127.0.0.1", server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert is_ready(address)
        finally:
            server.shutdown()
            thread.join()
    assert not is_ready(address)

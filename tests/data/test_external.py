"""Data behind URLs: what their storage says of them, and bringing them here."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tidegate.data.config import load_dvc_config
from tidegate.data.external import Fetch, fetch_url, hash_url, resolve_url
from tidegate.data.hash import Hashed
from tidegate.errors import NotFoundError, UnavailableError, UsageError

PAGE = b"0123456789" * 50_000


class _Server(BaseHTTPRequestHandler):
    """`/page` has an ETag, `/bare` none, `/shy` refuses HEAD, `/cut` breaks off once, `/down` fails."""

    cuts = 0

    def do_HEAD(self) -> None:
        self._answer(405 if self.path == "/shy" else self._status(), body=False)

    def do_GET(self) -> None:
        self._answer(self._status(), body=True)

    def _status(self) -> int:
        known = ("/page", "/bare", "/shy", "/cut")
        return 500 if self.path == "/down" else 200 if self.path in known else 404

    def _answer(self, status: int, *, body: bool) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start and status == 200 else status)
        data = PAGE[start:] if status == 200 else b""
        self.send_header("Content-Length", str(len(data)))
        if self.path != "/bare":
            self.send_header("ETag", '"tag"')
        self.end_headers()
        if body and self.path == "/cut" and not type(self).cuts:
            type(self).cuts += 1
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        elif body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text(f"['remote \"disk\"']\n    url = {tmp_path}\n")
    return root


@pytest.mark.parametrize("path", ["page", "shy"])
def test_a_page_is_known_by_its_tag(path: str, web: str, root: Path) -> None:
    assert hash_url(root, f"{web}/{path}") == Hashed('"tag"', len(PAGE), kind="checksum")


def test_pages_that_cannot_be_followed(web: str, root: Path) -> None:
    assert hash_url(root, f"{web}/none") is None
    with pytest.raises(UsageError, match="neither ETag nor Content-MD5"):
        hash_url(root, f"{web}/bare")
    with pytest.raises(UnavailableError):
        hash_url(root, f"{web}/down")


def test_a_download_that_breaks_off_goes_on(web: str, root: Path, tmp_path: Path) -> None:
    sizes: list[int] = []
    fetch_url(root, f"{web}/cut", tmp_path / "into", how=Fetch(stored=sizes.append))
    assert hashlib.md5((tmp_path / "into").read_bytes()).hexdigest() == hashlib.md5(PAGE).hexdigest()
    assert sizes == [len(PAGE)]
    with pytest.raises(FileNotFoundError):
        fetch_url(root, f"{web}/none", tmp_path / "nothing")


def test_a_remote_that_is_a_directory_is_hashed_and_copied(root: Path, tmp_path: Path) -> None:
    (tmp_path / "d" / "inner").mkdir(parents=True)
    (tmp_path / "d" / "inner" / "f").write_text("f")
    hashed = hash_url(root, "remote://disk/d")
    assert hashed is not None
    assert (hashed.nfiles, hashed.kind) == (1, "md5")
    fetch_url(root, "remote://disk/d", tmp_path / "copy")
    assert (tmp_path / "copy" / "inner" / "f").read_text() == "f"
    assert hash_url(root, "remote://disk/none") is None
    with pytest.raises(FileNotFoundError):
        fetch_url(root, "remote://disk/none", tmp_path / "copy2")


def test_urls_are_resolved_through_remotes(root: Path, tmp_path: Path) -> None:
    config = load_dvc_config(root)
    assert resolve_url(config, "remote://disk/a/b").url == f"{tmp_path}/a/b"
    assert resolve_url(config, "s3://b/k", {"profile": "p"}).options == {"profile": "p"}
    with pytest.raises(NotFoundError, match="did you mean `disk`"):
        resolve_url(config, "remote://disc/a")


def test_an_unknown_scheme_is_refused(root: Path) -> None:
    with pytest.raises(UsageError, match="`gopher://` is not supported"):
        hash_url(root, "gopher://host/x")

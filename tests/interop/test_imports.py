"""import-url, import and update: byte for byte what real DVC writes, and each goes on from the other's."""

import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

Dvc = Callable[..., str]
PROGRAM = str(Path(sys.executable).parent / "tidegate")


def ours(root: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run([PROGRAM, *words], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def tree(root: Path) -> dict[str, bytes]:
    """All files but those that a tool keeps for itself."""
    skip = (".git", ".dvc", ".tidegate")
    found = {path.relative_to(root): path for path in root.rglob("*") if path.is_file()}
    return {str(name): path.read_bytes() for name, path in found.items() if name.parts[0] not in skip}


class _Pages(SimpleHTTPRequestHandler):
    """Files with an ETag made of their content."""

    def end_headers(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_file():
            self.send_header("ETag", f'"{hashlib.md5(path.read_bytes()).hexdigest()}"')
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on loopback and the folder that it serves."""
    folder = tmp_path / "web"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: _Pages(*args, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an S3 server of moto on loopback, which both tools find through their environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", url.rpartition(":")[2]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for name, value in {"ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "ENDPOINT_URL": url}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    try:
        _wait_for(url)
        import boto3

        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        yield client
        client.close()
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urlopen(url, timeout=5).close()
            return
        except URLError:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)


@pytest.fixture
def twins(tmp_path: Path, dvc: Dvc) -> tuple[Path, Path]:
    """Two empty repositories side by side."""
    roots = (tmp_path / "ours", tmp_path / "theirs")
    for root in roots:
        root.mkdir()
        git(root, "init", "-q")
        dvc(root, "init", "-q")
        git(root, "commit", "-qm", "init")
    return roots


@pytest.fixture
def source(tmp_path: Path, dvc: Dvc) -> Path:
    """Another repository, with a tracked directory and file, an executable, and files of git."""
    root = tmp_path / "source"
    write(root, {"data/x": "x", "data/sub/y": "y", "f.csv": "a,b\n", "code.py": "1", "lib/l.py": "l"})
    write(root, {"mixed/readme": "r", "mixed/big": "b", "tool": "#!/bin/sh\n"})
    (root / "tool").chmod(0o755)
    git(root, "init", "-q")
    dvc(root, "init", "-q")
    dvc(root, "add", "-q", "data", "f.csv", "mixed/big", "tool")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    return root


def change(source: Path, dvc: Dvc) -> None:
    """A second commit in which data and code differ, the library does not."""
    write(source, {"data/x": "x2", "code.py": "2", "mixed/readme": "r2"})
    dvc(source, "add", "-q", "data")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "two")


def both(twins: tuple[Path, Path], dvc: Dvc, *words: str) -> None:
    """Each tool does the same in its repository; the files are the same then, and each is clean for the other."""
    mine, other = twins
    ours(mine, *words)
    dvc(other, *words)
    assert tree(mine) == tree(other)


def is_clean(root: Path, dvc: Dvc) -> bool:
    told = json.loads(dvc(root, "status", "--json").splitlines()[-1])
    return told == {} and json.loads(ours(root, "status", "--json")) == {}


@pytest.mark.slow
def test_files_and_directories_by_path(twins: tuple[Path, Path], tmp_path: Path, dvc: Dvc) -> None:
    write(tmp_path, {"store/d/1": "1", "store/d/s/2": "2", "store/a b.txt": "a"})
    both(twins, dvc, "import-url", str(tmp_path / "store" / "d"), "d")
    both(twins, dvc, "import-url", "../store/a b.txt")
    both(twins, dvc, "import-url", "a b.txt", "copy.txt")
    both(twins, dvc, "import-url", str(tmp_path / "store" / "d"), "later", "--no-exec")
    both(twins, dvc, "import-url", str(tmp_path / "store" / "d"), "known", "--no-download")
    write(tmp_path, {"store/d/1": "1!", "store/a b.txt": "a!"})
    both(twins, dvc, "update", "d.dvc", "a b.txt.dvc")
    both(twins, dvc, "update", "known.dvc", "--no-download")
    both(twins, dvc, "update", "known.dvc", "later.dvc")
    assert (twins[0] / "later" / "1").read_text() == "1!"
    for root in twins:
        assert is_clean(root, dvc)


@pytest.mark.slow
def test_pages_of_the_web(twins: tuple[Path, Path], web: tuple[str, Path], dvc: Dvc) -> None:
    url, folder = web
    write(folder, {"deep/page.txt": "one"})
    both(twins, dvc, "import-url", f"{url}/deep/page.txt")
    both(twins, dvc, "import-url", f"{url}/deep/page.txt", "other.txt", "--no-download")
    both(twins, dvc, "update", "page.txt.dvc")
    write(folder, {"deep/page.txt": "two"})
    both(twins, dvc, "update", "page.txt.dvc", "other.txt.dvc")
    assert (twins[0] / "page.txt").read_text() == "two"
    for root in twins:
        assert is_clean(root, dvc)


@pytest.mark.slow
def test_objects_of_s3(s3: Any, twins: tuple[Path, Path], dvc: Dvc) -> None:
    def put(key: str, text: str) -> None:
        s3.put_object(Bucket="bucket", Key=key, Body=text.encode())

    put("top/f.txt", "file")
    put("top/d/1", "one")
    put("top/d/s/2", "two")
    for root in twins:
        dvc(root, "remote", "add", "store", "s3://bucket/top")
    both(twins, dvc, "import-url", "s3://bucket/top/f.txt")
    both(twins, dvc, "import-url", "s3://bucket/top/d")
    both(twins, dvc, "import-url", "remote://store/d/s/2", "two")
    both(twins, dvc, "import-url", "s3://bucket/top/d", "later", "--no-download")
    put("top/f.txt", "file!")
    put("top/d/3", "three")
    both(twins, dvc, "update", "f.txt.dvc", "d.dvc", "later.dvc", "two.dvc")
    assert (twins[0] / "later" / "3").read_text() == "three"
    both(twins, dvc, "import-url", "s3://bucket/top/d", "away", "--to-remote", "-r", "store")
    for root in twins:
        (root / "away.dvc").unlink()
        assert is_clean(root, dvc)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["data", "data/x", "data/sub", "f.csv", "code.py", "lib", "mixed", "tool"])
def test_whatever_another_repository_holds(
    path: str, twins: tuple[Path, Path], source: Path, dvc: Dvc
) -> None:
    both(twins, dvc, "import", "../source", path)
    out = Path(path).name
    both(twins, dvc, "import", str(source), path, "-o", "later", "--no-download")
    change(source, dvc)
    both(twins, dvc, "update", f"{out}.dvc", "later.dvc")
    both(twins, dvc, "update", f"{out}.dvc")
    for root in twins:
        assert is_clean(root, dvc)


@pytest.mark.slow
def test_revisions_of_another_repository(twins: tuple[Path, Path], source: Path, dvc: Dvc) -> None:
    git(source, "tag", "v1")
    change(source, dvc)
    both(twins, dvc, "import", "../source", "data/x", "--rev", "v1")
    assert (twins[0] / "x").read_text() == "x"
    both(twins, dvc, "import", "../source", "code.py", "--no-exec", "--rev", "v1")
    both(twins, dvc, "update", "x.dvc")
    both(twins, dvc, "update", "x.dvc", "--rev", git(source, "rev-parse", "HEAD"))
    assert (twins[0] / "x").read_text() == "x2"
    both(twins, dvc, "update", "x.dvc", "--rev", "v1")
    assert (twins[0] / "x").read_text() == "x"


@pytest.mark.slow
def test_a_clone_by_address_with_a_remote(
    twins: tuple[Path, Path], source: Path, tmp_path: Path, dvc: Dvc
) -> None:
    dvc(source, "remote", "add", "-d", "store", str(tmp_path / "remote"))
    git(source, "commit", "-qam", "remote")
    dvc(source, "push", "-q")
    (source / ".dvc" / "cache").rename(tmp_path / "gone")
    url = f"file://{source}"
    both(twins, dvc, "import", url, "data")
    both(twins, dvc, "import", url, "data/sub", "-o", "part")
    both(twins, dvc, "import", url, "lib")
    write(source, {"lib/l.py": "l2"})
    git(source, "commit", "-qam", "two")
    both(twins, dvc, "update", "lib.dvc", "data.dvc")
    assert (twins[0] / "lib" / "l.py").read_text() == "l2"


@pytest.mark.slow
def test_each_goes_on_from_what_the_other_imported(
    twins: tuple[Path, Path], web: tuple[str, Path], source: Path, dvc: Dvc
) -> None:
    mine, other = twins
    write(web[1], {"p": "1"})
    for root, run in ((mine, ours), (other, dvc)):
        run(root, "import-url", f"{web[0]}/p")
        run(root, "import", "../source", "data")
    change(source, dvc)
    write(web[1], {"p": "2"})
    told = json.loads(dvc(mine, "status", "--json").splitlines()[-1])
    assert told == {"data.dvc": [{"changed deps": {"data (../source)": "update available"}}]}
    dvc(mine, "update", "p.dvc", "data.dvc")
    ours(other, "update", "p.dvc", "data.dvc")
    assert tree(mine) == tree(other)
    for root in twins:
        assert is_clean(root, dvc)

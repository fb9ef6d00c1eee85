"""Real DVC and a real S3 server as judges of remotes: what one pushes, the other pulls."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tidegate.data import crew, wire
from tidegate.data.config import load_dvc_config
from tidegate.data.config_edit import (
    ConfigFile,
    add_remote,
    modify_remote,
    remove_remote,
    set_default_remote,
    set_option,
    unset_option,
)
from tidegate.data.hash import Files, Hashed
from tidegate.data.ini import read_ini
from tidegate.data.md5 import md5_bytes
from tidegate.data.objects import ObjectCache, open_cache
from tidegate.data.remote import Remote, open_remote
from tidegate.data.runs import fetch_runs, push_runs
from tidegate.data.statcache import StatCache
from tidegate.data.transfer import compare, fetch, push
from tidegate.errors import UnavailableError

Dvc = Callable[..., str]
# of a `cache: false` out, which nobody pushes
METRICS = b'{"accuracy": 0.5}\n'
KEY, SECRET = "AKIAEXAMPLE", "not-so-secret"


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of an S3 server in a process of its own, with a bucket `data`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], **quiet) as server:
        try:
            _wait_for(url)
            yield url
        finally:
            server.terminate()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(urllib.request.Request(f"{url}/data", method="PUT"), timeout=5).close()
        except OSError:
            threading.Event().wait(0.05)
        else:
            return
    pytest.fail(f"{url} does not answer")


@pytest.fixture(params=["local", "s3"])
def use_remote(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Path], Remote]:
    """Configure the project's remote, with our own commands, and open it."""

    def use(root: Path) -> Remote:
        file = ConfigFile(root, root)
        if request.param == "local":
            add_remote(file, "r", str(tmp_path / "store"))
        else:
            configure_s3(file, request.getfixturevalue("s3"), f"s3://data/{tmp_path.name}")
        set_default_remote(file, "r")
        return open_remote(load_dvc_config(root))

    return use


def configure_s3(file: ConfigFile, endpoint: str, url: str) -> None:
    options = {
        "endpointurl": endpoint,
        "access_key_id": KEY,
        "secret_access_key": SECRET,
        "region": "us-east-1",
    }
    add_remote(file, "r", url)
    for key, value in options.items():
        modify_remote(file, "r", key, value=value)


@pytest.fixture
def project(make_project, dvc: Dvc) -> Path:
    """A repository with a tracked directory, a tracked file and a pipeline that ran."""
    root = make_project("project")
    (root / "big").mkdir()
    for number in range(20):
        (root / "big" / f"{number}.txt").write_text(f"{number}\n")
    (root / "one.bin").write_bytes(b"one")
    dvc(root, "add", "-q", "big", "one.bin")
    dvc(root, "repro", "-q")
    return root


def cache_of(root: Path) -> ObjectCache:
    return open_cache(Files(root, StatCache(root / ".tidegate" / "stat.json")))


def tracked(root: Path) -> list[Hashed]:
    text = "".join(path.read_text() for path in [*root.glob("[!.]*.dvc"), root / "dvc.lock"])
    md5s = {line.rpartition("md5: ")[2] for line in text.splitlines() if "md5: " in line}
    md5s.remove(md5_bytes(METRICS))
    stored = {md5 for md5 in md5s if (cache_of(root).folder / "files/md5" / md5[:2] / md5[2:]).exists()}
    return [Hashed(md5, 0) for md5 in sorted(stored)]


def objects(root: Path) -> dict[str, bytes]:
    folder = cache_of(root).folder
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for part in ("files", "runs")
        for path in (folder / part).rglob("*")
        if path.is_file() and path.read_bytes() != METRICS
    }


def forget(root: Path) -> None:
    shutil.rmtree(root / ".dvc" / "cache")
    for name in ("big", "one.bin", "model.bin", "data"):
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.slow
def test_dvc_pulls_what_tidegate_pushes(project: Path, dvc: Dvc, use_remote):
    remote = use_remote(project)
    wanted, before = tracked(project), objects(project)
    assert json.loads(dvc(project, "status", "-c", "--json"))
    assert push(cache_of(project), remote, wanted).failures == ()
    assert push_runs(cache_of(project), remote).failures == ()
    assert json.loads(dvc(project, "status", "-c", "--json")) == {}
    forget(project)
    dvc(project, "pull", "-q", "--run-cache")
    assert (project / "big" / "7.txt").read_text() == "7\n"
    assert objects(project) == before


@pytest.mark.slow
def test_tidegate_fetches_what_dvc_pushes(project: Path, dvc: Dvc, use_remote):
    remote = use_remote(project)
    wanted, before = tracked(project), objects(project)
    dvc(project, "push", "-q", "--run-cache")
    cache = cache_of(project)
    assert compare(cache, remote, wanted)[:3] == ((), (), ())
    forget(project)
    assert set(compare(cache, remote, wanted).deleted) >= {one.md5 for one in wanted}
    assert fetch(cache, remote, wanted).failures == ()
    assert fetch_runs(cache, remote).failures == ()
    assert objects(project) == before
    dvc(project, "checkout", "-q")
    assert json.loads(dvc(project, "status", "--json")) == {}


@pytest.mark.slow
def test_both_name_the_same_differences(project: Path, dvc: Dvc, use_remote):
    remote = use_remote(project)
    dvc(project, "push", "-q")
    (project / "one.bin").write_bytes(b"two")
    dvc(project, "add", "-q", "one.bin")
    assert json.loads(dvc(project, "status", "-c", "--json")) == {"one.bin": "new"}
    assert compare(cache_of(project), remote, tracked(project)).new == (md5_bytes(b"two"),)


def test_config_files_are_equal_byte_for_byte(tmp_path: Path, checkout: Path, monkeypatch):
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "system"))
    for name in ("ours", "theirs"):
        (tmp_path / name / ".dvc" / "tmp").mkdir(parents=True)
        (tmp_path / name / ".dvc" / "config").write_text("[core]\n    no_scm = True\n")
    _edit_ours(ConfigFile(tmp_path / "ours", tmp_path / "ours"))
    _edit_theirs(checkout / ".tools" / "dvc" / "bin" / "python", tmp_path / "theirs")
    for name in ("config", "config.local"):
        ours, theirs = (tmp_path / one / ".dvc" / name for one in ("ours", "theirs"))
        assert ours.read_text() == theirs.read_text()


_EDITS = [
    ["remote", "add", "r", "store"],
    ["remote", "add", "-d", "My", "s3://bucket/a,b"],
    ["config", "cache.type", "reflink,hardlink"],
    ["remote", "modify", "my", "endpointurl", "http://x:1/#a"],
    ["remote", "modify", "--local", "my", "secret_access_key", " se'cr et"],
    ["remote", "modify", "my", "acl", "q\"x'y"],
    ["config", "cache.dir", "../cc"],
    ["remote", "add", "home", "~/x"],
    ["remote", "add", "ssh", "ssh://u@h:22/p"],
    ["remote", "modify", "ssh", "keyfile", "keys/id"],
    ["remote", "default", "ssh"],
    ["remote", "remove", "ssh"],
    ["config", "exp.auto_push", "true"],
    ["config", "--unset", "exp.auto_push"],
]


def _edit_theirs(python: Path, root: Path) -> None:
    """All in one process: to start dvc for each takes a second."""
    program = "import json, sys; from dvc.cli import main; sys.exit(sum(map(main, json.loads(sys.argv[1]))))"
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(root / "site")}
    command = [str(python), "-c", program, json.dumps(_EDITS)]
    subprocess.run(command, cwd=root, env=env, check=True, capture_output=True)


def _edit_ours(file: ConfigFile) -> None:
    add_remote(file, "r", "store")
    add_remote(file, "My", "s3://bucket/a,b")
    set_default_remote(file, "My")
    set_option(file, "cache.type", "reflink,hardlink")
    modify_remote(file, "my", "endpointurl", value="http://x:1/#a")
    modify_remote(file._replace(level="local"), "my", "secret_access_key", value=" se'cr et")
    modify_remote(file, "my", "acl", value="q\"x'y")
    set_option(file, "cache.dir", "../cc")
    add_remote(file, "home", "~/x")
    add_remote(file, "ssh", "ssh://u@h:22/p")
    modify_remote(file, "ssh", "keyfile", value="keys/id")
    set_default_remote(file, "ssh")
    remove_remote(file, "ssh")
    set_option(file, "exp.auto_push", "true")
    unset_option(file, "exp.auto_push")


def test_odd_files_are_read_as_dvcs_own_parser_reads_them(tmp_path: Path, checkout: Path):
    text = (
        "# top\n[a]\n  k = v # c\n  l=x#y\n  'q k' = \"a # b\"  # c\n  e =\n  f = ''\n  t = '''a \"b\" 'c' '''\n"
        '  u = http://h/?a=b\n[\'remote "R x"\'] # c\n\tm = 1\n[ spaced ]\nz = " v "\n'
    )
    (tmp_path / "config").write_text(text)
    program = "import json, sys, configobj; print(json.dumps(configobj.ConfigObj(sys.argv[1]).dict()))"
    python = checkout / ".tools" / "dvc" / "bin" / "python"
    said = subprocess.run(
        [python, "-c", program, tmp_path / "config"], capture_output=True, check=True, text=True
    )
    theirs = {name.lower(): values for name, values in json.loads(said.stdout).items()}
    assert {one.name: {e.key: e.value for e in one.entries} for one in read_ini(text, "x")} == theirs


class Cutter:
    """A proxy before a server that cuts each of the first `times` connections after `after` bytes of answers."""

    def __init__(self, port: int, times: int, after: int) -> None:
        self._to, self._times, self._after = port, times, after
        self.cuts = 0
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            threading.Thread(target=_pump, args=(client, server, -1), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        cutting = self.cuts < self._times
        if _pump(server, client, self._after if cutting else -1) and cutting:
            self.cuts += 1


def _pump(source: socket.socket, target: socket.socket, most: int) -> bool:
    """Whether it stopped because `most` bytes had passed."""
    passed = 0
    try:
        while data := source.recv(65536):
            passed += len(data)
            if 0 <= most < passed:
                return True
            target.sendall(data)
    except OSError:
        return False
    finally:
        # closing alone would not be seen by the peer while another thread waits for its bytes
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
    return False


def test_a_download_from_s3_survives_cut_connections(tmp_path: Path, s3: str, monkeypatch):
    monkeypatch.setattr(crew, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(wire, "CHUNK", 1 << 18)
    (tmp_path / ".dvc").mkdir()
    file = ConfigFile(tmp_path, tmp_path)
    configure_s3(file, s3, "s3://data/cut")
    data = os.urandom(1 << 20)
    hashed = Hashed(md5_bytes(data), len(data))
    path = tmp_path / ".dvc" / "cache" / "files" / "md5" / hashed.md5[:2] / hashed.md5[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    cache = cache_of(tmp_path)
    assert push(cache, open_remote(load_dvc_config(tmp_path), "r"), [hashed]).failures == ()
    path.unlink()
    cutter = Cutter(int(s3.rpartition(":")[2]), times=3, after=100_000)
    try:
        modify_remote(file, "r", "endpointurl", value=f"http://127.0.0.1:{cutter.port}")
        result = fetch(cache, open_remote(load_dvc_config(tmp_path), "r"), [hashed])
        assert result.failures == ()
        assert path.read_bytes() == data
        assert cutter.cuts >= 1
    finally:
        cutter.close()


def test_a_corrupted_object_in_s3_is_named(tmp_path: Path, s3: str):
    (tmp_path / ".dvc").mkdir()
    configure_s3(ConfigFile(tmp_path, tmp_path), s3, "s3://data/corrupt")
    remote = open_remote(load_dvc_config(tmp_path), "r")
    (tmp_path / "bad").write_bytes(b"bad")
    md5 = md5_bytes(b"good")
    remote.put(str(tmp_path / "bad"), f"files/md5/{md5[:2]}/{md5[2:]}")
    result = fetch(cache_of(tmp_path), remote, [Hashed(md5, 4)])
    assert [(one.name, one.kind) for one in result.failures] == [(md5, "corrupt")]
    assert objects(tmp_path) == {}


def test_errors_of_s3_say_what_is_wrong_without_secrets(tmp_path: Path, s3: str, monkeypatch):
    monkeypatch.setattr(crew, "FIRST_DELAY_S", 0.01)
    (tmp_path / ".dvc").mkdir()
    file = ConfigFile(tmp_path, tmp_path)
    configure_s3(file, s3, "s3://nobucket/x")
    cache = cache_of(tmp_path)
    path = tmp_path / ".dvc" / "cache" / "files" / "md5" / md5_bytes(b"x")[:2] / md5_bytes(b"x")[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    result = push(cache, open_remote(load_dvc_config(tmp_path), "r"), [Hashed(md5_bytes(b"x"), 1)])
    assert result.failures[0].reason == "The specified bucket does not exist"
    modify_remote(file, "r", "endpointurl", value="http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="Could not connect") as caught:
        push(cache, open_remote(load_dvc_config(tmp_path), "r"), [Hashed(md5_bytes(b"x"), 1)])
    assert SECRET not in str(caught.value)

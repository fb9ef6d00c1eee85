import asyncio
import base64
import hashlib
import http.server
import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tidegate.data import backends, crew, wire
from tidegate.data.config import RemoteConfig, merge_config
from tidegate.data.http_remote import http_arguments
from tidegate.data.local_remote import LocalRemote
from tidegate.data.remote import find_remote, open_remote
from tidegate.data.wire import CHUNK, cheapest_check, gather, ranges, redact, shown_url
from tidegate.errors import NotFoundError, TidegateError, UsageError


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(crew, "FIRST_DELAY_S", 0.0)


@pytest.fixture(autouse=True)
def no_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_"))]:
        monkeypatch.delenv(name)


def config(text, root=Path("/r")):
    return merge_config(root, {"repo": text})


def remote_config(url, **options):
    return RemoteConfig("r", url, options)


def nothing(_):
    return None


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_a_directory_keeps_what_it_is_given(tmp_path):
    (tmp_path / "source").write_bytes(b"data")
    remote = LocalRemote(str(tmp_path / "store"))
    keys = [f"files/md5/ab/{number}" for number in range(6)] + ["files/md5/cd/x", "top"]
    assert remote.have(keys) == set()
    for key in keys[1:]:
        remote.put(str(tmp_path / "source"), key)
    assert remote.have(keys) == set(keys[1:])
    assert sorted(remote.list("files/md5/ab/")) == keys[1:6]
    assert sorted(remote.list("")) == sorted(keys[1:])
    assert remote.list("none/") == []
    remote.remove("top")
    remote.remove("top")
    assert "top" not in remote.list("")
    assert remote.get(keys[1], str(tmp_path / "target"), received=nothing) == md5(b"data")
    assert (tmp_path / "target").read_bytes() == b"data"
    with pytest.raises(FileNotFoundError):
        remote.get("top", str(tmp_path / "target"), received=nothing)


def test_large_files_are_copied_in_the_kernel_and_hashed(tmp_path):
    data = os.urandom(3 << 20)
    (tmp_path / "source").write_bytes(data)
    remote = LocalRemote(str(tmp_path / "store"))
    remote.put(str(tmp_path / "source"), "a/b")
    (tmp_path / "target").write_bytes(b"a part")
    assert remote.get("a/b", str(tmp_path / "target"), received=nothing) == md5(data)
    assert (tmp_path / "target").read_bytes() == data


def test_a_copy_that_breaks_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "source").write_bytes(b"data")
    remote = LocalRemote(str(tmp_path / "store"))
    monkeypatch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        remote.put(str(tmp_path / "source"), "a/b")
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_a_url_may_build_on_another_remote():
    text = "['remote \"base\"']\n url = ssh://h/top\n user = root\n port = 1\n"
    text += "['remote \"inner\"']\n url = remote://Base/sub/x\n user = me\n"
    found = find_remote(config(text), "inner")
    assert found == RemoteConfig("inner", "ssh://h/top/sub/x", {"user": "me", "port": "1"})


@pytest.mark.parametrize(
    ("text", "name", "kind", "said"),
    [
        ("", None, NotFoundError, "no default is set"),
        ("", "x", NotFoundError, "remote x: not configured"),
        ("['remote \"store\"']\n url = /x\n", "stor", NotFoundError, "did you mean `store`"),
        ("['remote \"r\"']\n url = remote://r/x\n", "r", UsageError, "leads back to itself"),
        (
            "['remote \"r\"']\n url = s3://b\n version_aware = true\n",
            "r",
            UsageError,
            "`version_aware` is not",
        ),
        ("['remote \"r\"']\n url = s3://b\n worktree = True\n", "r", UsageError, "`worktree` is not"),
        (
            "['remote \"r\"']\n url = hdfs://h/p\n",
            "r",
            UsageError,
            "`hdfs://` is not supported, expected one of a",
        ),
    ],
)
def test_a_remote_that_cannot_be_opened_says_why(text, name, kind, said):
    with pytest.raises(kind, match=said):
        open_remote(config(text), name)


def test_the_default_remote_is_opened(tmp_path):
    text = f"[core]\n remote = S\n['remote \"s\"']\n url = {tmp_path}/store\n"
    assert open_remote(config(text)).where == f"{tmp_path}/store"
    assert open_remote(config(f"['remote \"s\"']\n url = file://{tmp_path}\n"), "s").where == str(tmp_path)


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [
        ("s3://b/p", "s3fs", "s3"),
        ("gs://b/p", "gcsfs", "gs"),
        ("azure://c/p", "adlfs", "az"),
        ("ssh://h/p", "sshfs", "ssh"),
        ("https://h/p", "fsspec.implementations.http", "http"),
    ],
)
def test_a_missing_package_says_what_to_install(monkeypatch, url, package, extra):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(TidegateError) as caught:
        open_remote(config(f"['remote \"r\"']\n url = {url}\n"), "r")
    assert caught.value.hint == f"pip install 'tidegate[{extra}]'"


def test_options_of_s3_become_those_of_s3fs(monkeypatch):
    options = {
        "access_key_id": "a",
        "secret_access_key": "b",
        "session_token": "c",
        "profile": "p",
        "region": "eu",
        "endpointurl": "http://h:1",
        "ssl_verify": "false",
        "use_ssl": "False",
        "read_timeout": "7",
        "sse_customer_key": base64.b64encode(b"key").decode(),
        "acl": "private",
    }
    assert backends.s3_arguments(options, "r") == {
        "key": "a",
        "secret": "b",
        "token": "c",
        "profile": "p",
        "use_ssl": False,
        "client_kwargs": {"region_name": "eu", "endpoint_url": "http://h:1", "verify": False},
        "config_kwargs": {"retries": {"max_attempts": 0}, "read_timeout": 7},
        "s3_additional_kwargs": {
            "SSECustomerAlgorithm": "AES256",
            "SSECustomerKey": b"key",
            "ACL": "private",
        },
    }
    assert backends.s3_arguments({}, "r") == {
        "use_ssl": True,
        "cache_regions": True,
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }
    with pytest.raises(UsageError, match="exclude each other"):
        backends.s3_arguments({"acl": "x", "grant_read": "y"}, "r")
    with pytest.raises(UsageError, match="exclude each other"):
        backends.s3_arguments({"sse_kms_key_id": "x", "sse_customer_key": "eA=="}, "r")


def test_botos_own_files_are_used(monkeypatch, tmp_path):
    (tmp_path / "conf").write_text(
        "[profile p]\ns3 =\n  addressing_style = path\n  multipart_threshold = 1MB\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "before")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "conf"))
    made = backends.s3_arguments({"profile": "p", "credentialpath": "after"}, "r")
    assert made["config_kwargs"]["s3"] == {"addressing_style": "path"}
    assert os.environ["AWS_SHARED_CREDENTIALS_FILE"] == "before"


def test_options_of_google_become_those_of_gcsfs():
    made = backends.gs_arguments({"projectname": "p", "credentialpath": "/k.json", "endpointurl": "http://h"})
    assert made["project"], made["token"] == ("p", "/k.json")
    assert made["endpoint_url"] == "http://h"
    assert backends.gs_arguments({"allow_anonymous_login": "true", "credentialpath": "x"})["token"] == "anon"


def test_options_of_azure_become_those_of_adlfs(monkeypatch, tmp_path):
    assert backends.azure_arguments({"account_name": "a", "sas_token": "s"}, "r") == {
        "account_name": "a",
        "sas_token": "s",
    }
    with pytest.raises(UsageError, match="no `account_name`"):
        backends.azure_arguments({}, "r")
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))
    (tmp_path / "config").write_text("[storage]\naccount = filed\nkey = filed\n")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "named")
    assert backends.azure_arguments({}, "r") == {"account_name": "named", "account_key": "filed"}


def test_options_of_ssh_become_those_of_sshfs():
    made = backends.ssh_arguments(
        remote_config(
            "ssh://me:p%40@h:22/p", user="you", port="23", keyfile="/k", timeout="5", max_sessions="4"
        )
    )
    assert made["host"], made["username"] == ("h", "you")
    assert (made["port"], made["client_keys"], made["password"]) == (23, ["/k"], "p@")
    assert made["preferred_auth"] == ["publickey", "keyboard-interactive", "password"]
    assert (made["timeout"], made["max_sessions"]) == (5, 4)
    assert "preferred_auth" not in backends.ssh_arguments(remote_config("ssh://h/p"))


def test_a_password_is_asked_for(monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda prompt: f"typed for {prompt}")
    made = backends.ssh_arguments(remote_config("ssh://h/p", ask_password="true"))
    assert made["password"] == "typed for password for remote r: "
    made = http_arguments(remote_config("http://h", auth="basic", user="u", ask_password="true"))
    assert made["auth"] == ("basic", "u", "typed for password for remote r: ")


def test_where_nobody_can_be_asked_there_is_no_password(monkeypatch):
    def refuse(prompt):
        raise EOFError

    monkeypatch.setattr("getpass.getpass", refuse)
    assert "password" not in backends.ssh_arguments(remote_config("ssh://h/p", ask_password="true"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"auth": "digest"}, "auth `digest` is not supported"),
        ({"auth": "basic", "user": "u"}, "needs `user` and `password`"),
        ({"auth": "custom", "password": "p"}, "needs `custom_auth_header` and `password`"),
    ],
)
def test_http_needs_whole_credentials(options, said):
    with pytest.raises(UsageError, match=said):
        http_arguments(remote_config("http://h", **options))


def test_errors_show_no_secret():
    remote = remote_config("s3://b", secret_access_key="hidden", region="eu")
    said = redact(ValueError("hidden in eu at\n https://u:pw@h/p?sig=abc&x=1 end"), remote)
    assert said == "*** in eu at https://u:***@h/p?*** end"
    assert redact(ValueError(), remote) == "ValueError"
    assert shown_url("ssh://u:pw@h:22/p") == "ssh://u:***@h:22/p"


@pytest.mark.parametrize(
    ("keys", "folders", "per_folder", "way"),
    [
        (20, 20, 2000, "each"),
        (200, 150, 5000, "each"),
        (10_000, 255, 400, "folders"),
        (10_000, 255, 4, "all"),
        (100, 90, 0, "all"),
        (10_000, 255, 3000, "folders"),
    ],
)
def test_existence_is_asked_with_few_requests(keys, folders, per_folder, way):
    assert cheapest_check(keys, folders, per_folder=per_folder, jobs=8) == way


class Ranged:
    """A file system that knows one file and, like most servers, refuses a range beyond its end."""

    def __init__(self, data):
        self.data, self.requests = data, []

    def cat_file(self, path, start, end):
        self.requests.append(start)
        if start >= len(self.data):
            raise OSError("range")
        return self.data[start:end]

    def info(self, path):
        return {"size": len(self.data)}


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 25])
@pytest.mark.parametrize("before", [0, 1, 10, 20])
def test_ranges_make_the_whole_file(monkeypatch, tmp_path, size, before):
    monkeypatch.setattr(wire, "CHUNK", 10)
    data = bytes(range(size))
    system = Ranged(data)
    (tmp_path / "part").write_bytes(data[:before])
    made = gather(lambda start: ranges(system, "x", start), str(tmp_path / "part"), nothing)
    assert (tmp_path / "part").read_bytes() == data
    assert made == md5(data)
    assert system.requests[0] == min(before, size)


def test_a_range_that_fails_elsewhere_is_an_error(tmp_path):
    system = Ranged(b"")
    system.info = lambda path: {"size": 5}
    with pytest.raises(OSError, match="range"):
        gather(lambda start: ranges(system, "x", start), str(tmp_path / "part"), nothing)
    assert CHUNK > 1 << 20


class Web(http.server.SimpleHTTPRequestHandler):
    """Serves files, with ranges for paths below /ranged, to those who know the password where one is set."""

    password: str | None = None
    seen: list[tuple[str, str]]

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.seen.append((self.path, wanted or ""))
        if self.password and self.headers.get("X-Token") != self.password:
            self.send_error(401)
            return
        if "broken" in self.path:
            self.send_error(500)
            return
        file = Path(self.translate_path(self.path))
        if wanted and self.path.startswith("/ranged") and file.exists():
            data = file.read_bytes()
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if start < len(data) else 416)
            self.send_header("Content-Length", str(max(len(data) - start, 0)))
            self.end_headers()
            self.wfile.write(data[start:])
            return
        super().do_GET()

    def do_HEAD(self):
        if "headless" in self.path:
            self.send_error(405)
        else:
            super().do_HEAD()

    def log_message(self, *_):
        return


@contextmanager
def web(folder, **settings):
    handler = type("Handler", (Web,), {"seen": [], **settings})

    def make(*args):
        return handler(*args, directory=str(folder))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", handler.seen
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("top", ["ranged", "plain", "ranged/headless"])
def test_the_web_can_be_read(tmp_path, top):
    data = b"0123456789"
    place = tmp_path / top / "files" / "md5" / "ab"
    place.mkdir(parents=True)
    (place / "cd").write_bytes(data)
    part = tmp_path / "part"
    with web(tmp_path) as (url, seen):
        remote = open_remote(config(f"['remote \"r\"']\n url = {url}/{top}\n"), "r")
        assert remote.have(["files/md5/ab/cd", "files/md5/ab/no"]) == {"files/md5/ab/cd"}
        for before in (b"", b"0123", data):
            part.write_bytes(before)
            assert remote.get("files/md5/ab/cd", str(part), received=nothing) == md5(data)
            assert part.read_bytes() == data
        with pytest.raises(FileNotFoundError):
            remote.get("files/md5/ab/no", str(part), received=nothing)
        with pytest.raises(ConnectionError, match="500"):
            remote.get("broken", str(part), received=nothing)
        assert "bytes=4-" in [wanted for _, wanted in seen]


def test_the_web_is_not_written_nor_listed(tmp_path):
    remote = open_remote(config("['remote \"r\"']\n url = http://127.0.0.1:9/x\n"), "r")
    for refused in (lambda: remote.put("a", "b"), lambda: remote.remove("b"), lambda: remote.list("")):
        with pytest.raises(UsageError, match="can only be read"):
            refused()


def test_the_web_may_ask_for_a_header(tmp_path):
    (tmp_path / "x").write_bytes(b"data")
    options = " auth = custom\n custom_auth_header = X-Token\n password = secret\n"
    with web(tmp_path, password="secret") as (url, _):
        remote = open_remote(config(f"['remote \"r\"']\n url = {url}\n{options}"), "r")
        assert remote.get("x", str(tmp_path / "part"), received=nothing) == md5(b"data")
        remote = open_remote(config(f"['remote \"r\"']\n url = {url}\n"), "r")
        with pytest.raises(PermissionError, match="401"):
            remote.get("x", str(tmp_path / "other"), received=nothing)


@contextmanager
def sftp(folder):
    """An SSH server that lets `me` in with a password, in a loop of its own."""
    import asyncssh

    guests = []

    class Door(asyncssh.SSHServer):
        def connection_made(self, conn):
            guests.append(conn)

        def begin_auth(self, username):
            return True

        def password_auth_supported(self):
            return True

        def validate_password(self, username, password):
            return (username, password) == ("me", "open sesame")

    class Disk(asyncssh.SFTPServer):
        def __init__(self, chan):
            super().__init__(chan, chroot=str(folder))

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    key = asyncssh.generate_private_key("ssh-ed25519")

    async def listen():
        return await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Door, sftp_factory=Disk, server_host_keys=[key]
        )

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)

    async def end():
        server.close()
        for guest in guests:
            guest.abort()
        await asyncio.gather(server.wait_closed(), *(guest.wait_closed() for guest in guests))

    try:
        yield server.get_port()
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_an_ssh_server_keeps_what_it_is_given(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "source").write_bytes(b"0123456789")
    part = tmp_path / "part"
    with sftp(tmp_path / "disk") as port:
        text = f"['remote \"r\"']\n url = ssh://me@127.0.0.1:{port}/store\n password = open sesame\n"
        remote = open_remote(config(text), "r")
        keys = [f"files/md5/ab/{number}" for number in range(12)]
        assert remote.have(keys) == set()
        for key in keys[:2]:
            remote.put(str(tmp_path / "source"), key)
        remote.put(str(tmp_path / "source"), keys[0])
        assert remote.have(keys) == set(keys[:2]) == set(remote.list(""))
        for before in (b"", b"0123"):
            part.write_bytes(before)
            assert remote.get(keys[0], str(part), received=nothing) == md5(b"0123456789")
        with pytest.raises(FileNotFoundError):
            remote.get(keys[5], str(tmp_path / "none"), received=nothing)
        remote.remove(keys[0])
        remote.remove(keys[0])
        assert remote.list("files/") == [keys[1]]
        with pytest.raises(TidegateError) as caught:
            open_remote(config(text.replace("sesame", "wrong word")), "r")
        assert "wrong word" not in str(caught.value)
        with suppress(AttributeError):
            remote._system._finalize(remote._system.loop, remote._system._pool, remote._system._stack)

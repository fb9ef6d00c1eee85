"""The gateway's security from outside: TLS, keys and their roles, secrets, ports that are taken."""

import contextlib
import datetime
import ipaddress
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.slow

PATIENCE_S = 30.0
ROW = {"row": [1.0, 2.0]}
SERVICE = "/inference.GRPCInferenceService/"
CALLS = {
    "ServerMetadata": "predict",
    "ModelReady": "predict",
    "ModelMetadata": "predict",
    "ModelInfer": "predict",
    "RepositoryIndex": "operate",
    "RepositoryModelLoad": "operate",
    "RepositoryModelUnload": "operate",
}
ROUTES = {
    ("POST", "/predict"): "predict",
    ("POST", "/invocations"): "predict",
    ("POST", "/v2/models/tiny/infer"): "predict",
    ("POST", "/v2/models/tiny/versions/1/infer"): "predict",
    ("GET", "/v2"): "predict",
    ("GET", "/v2/docs"): "predict",
    ("GET", "/v2/openapi.json"): "predict",
    ("GET", "/v2/models"): "predict",
    ("GET", "/v2/models/tiny"): "predict",
    ("GET", "/v2/models/tiny/ready"): "predict",
    ("GET", "/no/such/path"): "predict",
    ("POST", "/labels"): "label",
    ("GET", "/metrics"): "operate",
    ("HEAD", "/metrics"): "operate",
    ("POST", "/v2/repository/index"): "operate",
    ("POST", "/v2/repository/models/tiny/load"): "operate",
    ("POST", "/v2/repository/models/tiny/unload"): "operate",
}
HEALTH = ("/healthz", "/readyz", "/ping", "/health", "/v2/health/live", "/v2/health/ready")
SETTINGS = """[project]
name = "tiny"
task = "binary"
[data]
evaluation = "evaluation.csv"
heldout = "test.csv"
[model]
path = "weights"
predictor = "predictor.py:Larger"
reference = "train.csv"
[[gate.rule]]
kind = "min"
value = 0.5
"""
PREDICTOR = """from tidegate import Predictor


class Larger(Predictor):
    def predict(self, rows):
        return (rows["x1"] > rows["x0"]).astype(int)
"""

Tidegate = Callable[..., Any]


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str


class Site(NamedTuple):
    """A released project and its ports."""

    root: Path
    port: int
    grpc: int

    def ask(self, method: str, path: str, token: str = "", body: object = ROW, **options: Any) -> Reply:
        import http.client

        kind = http.client.HTTPSConnection if options else http.client.HTTPConnection
        connection = kind("127.0.0.1", self.port, timeout=PATIENCE_S, **options)
        try:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            connection.request(method, path, json.dumps(body), headers)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read().decode())
        finally:
            connection.close()

    def call(self, method: str, token: str = "") -> str:
        """The status of a call with an empty message."""
        import grpc

        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc}") as channel:
            future = channel.unary_unary(SERVICE + method).future(b"", timeout=PATIENCE_S, metadata=metadata)
            return str(future.code().name)

    def pid(self, name: str = "gateway-0") -> int:
        return int((self.root / f".tidegate/run/{name}.pid").read_text())

    def log(self) -> str:
        return (self.root / ".tidegate/run/up.log").read_text()


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, run: Tidegate) -> Path:
    """A project with its first release, not served yet."""
    root = tmp_path_factory.mktemp("security") / "tiny"
    (root / "weights").mkdir(parents=True)
    (root / "weights/none.txt").write_text("none\n")
    (root / "predictor.py").write_text(PREDICTOR)
    (root / "tidegate.toml").write_text(SETTINGS)
    rows = [(n, n % 2, n % 7 + 8 * (1 - n % 2), n % 5 + 8 * (n % 2)) for n in range(400)]
    text = "\n".join(["id,label,x0,x1", *(",".join(map(str, row)) for row in rows)]) + "\n"
    for name in ("train", "test"):
        (root / f"{name}.csv").write_text(text)
    answers = "\n".join(["id,truth,prediction", *(f"{n},{t},{t}" for n, t, *_ in rows)]) + "\n"
    (root / "evaluation.csv").write_text(answers)
    for words in ("gate", "plan", "apply"):
        run(root, words)
    return root


@pytest.fixture
def site(released: Path, tmp_path: Path, free_port, run) -> Iterator[Callable[..., Site]]:
    """`site('access = "keys"')` is a copy of the project with these settings; what serves it ends with the test."""
    root = tmp_path / "tiny"

    def make(*lines: str) -> Site:
        shutil.copytree(released, root, symlinks=True)
        port, calls = free_port(), free_port()
        serve = ["[serve]", f'address = "127.0.0.1:{port}"', f'grpc = "127.0.0.1:{calls}"', *lines, ""]
        (root / "tidegate.toml").write_text("\n".join([SETTINGS, *serve]))
        return Site(root, port, calls)

    yield make
    if root.exists():
        (root / "tidegate.toml").write_text(SETTINGS)
        run(root, "down")


class Pair(NamedTuple):
    """The paths of a certificate and its key."""

    certificate: Path
    key: Path

    @property
    def settings(self) -> tuple[str, str]:
        return (f'tls_certificate = "{self.certificate}"', f'tls_key = "{self.key}"')


def make_pair(
    folder: Path, name: str = "tls", *, passphrase: bytes = b"", signer: Pair | None = None
) -> Pair:
    """A certificate for 127.0.0.1 that signs itself, or that another one signs."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signing: Any = key
    if signer:
        issuer = x509.load_pem_x509_certificate(signer.certificate.read_bytes()).subject
        signing = serialization.load_pem_private_key(signer.key.read_bytes(), None)
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .sign(signing, hashes.SHA256())
    )
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    pair.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    how = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    pair.key.write_bytes(text)
    return pair


def add_key(run: Tidegate, root: Path, name: str, *roles: str, rate: float | None = None) -> str:
    words = [word for role in roles for word in ("--role", role)]
    limit = ["--rate", str(rate)] if rate else []
    return str(run(root, "access", "add", name, *words, *limit, "--json").json["token"])


def trusting(pair: Pair) -> dict[str, Any]:
    return {"context": ssl.create_default_context(cafile=str(pair.certificate))}


# TLS


def test_commands_and_clients_speak_tls(site, run, tmp_path, until) -> None:
    pair = make_pair(tmp_path)
    here = site(*pair.settings)
    url = f"https://127.0.0.1:{here.port}"
    assert run(here.root, "up").out.startswith(f"{url} is up")
    assert run(here.root, "ps", "--json").json["service"] == {
        "process": here.pid("supervisor"), "url": url, "is_ready": True,
    }  # fmt: skip
    assert run(here.root, "predict", "--row", "[1, 2]", "--json").json["predictions"] == [1]
    assert run(here.root, "replay", "-n", "20", "--json").json["failed"] == 0
    assert here.ask("POST", "/predict", **trusting(pair)).status == 200
    assert grpc_is_live(here, pair)
    older_than_1_2_is_refused(here)
    plain_is_refused(here)
    until(lambda: here.ask("GET", "/healthz", **trusting(pair)).status == 200)
    assert "Traceback" not in here.log()
    assert "SSL" not in here.log()


def grpc_is_live(here: Site, pair: Pair) -> bool:
    import grpc

    trust = grpc.ssl_channel_credentials(pair.certificate.read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{here.grpc}", trust) as channel:
        return channel.unary_unary(f"{SERVICE}ServerLive")(b"", timeout=PATIENCE_S) == b"\x08\x01"


def older_than_1_2_is_refused(here: Site) -> None:
    """By both ports, of a client that would take anything."""
    code = (
        "import socket, ssl, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
        "context.check_hostname, context.verify_mode = False, ssl.CERT_NONE\n"
        "context.set_ciphers('ALL:@SECLEVEL=0')\n"
        "context.minimum_version = ssl.TLSVersion.TLSv1\n"
        "context.maximum_version = ssl.TLSVersion[sys.argv[2]]\n"
        "with socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=20) as client:\n"
        "    print(context.wrap_socket(client).version())\n"
    )
    for port in (here.port, here.grpc):
        for version, is_taken in (("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)):
            command = [sys.executable, "-c", code, str(port), version]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (done.stdout.strip() == version.replace("_", ".")) == is_taken, (
                port,
                version,
                done.stderr,
            )


def plain_is_refused(here: Site) -> None:
    """Clients without TLS are let go at once."""
    for data in (
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x00" * 100,
        b"\x16\x03\x01\x02\x00nonsense" * 90,
    ):
        with socket.create_connection(("127.0.0.1", here.port), timeout=PATIENCE_S) as client:
            client.sendall(data)
            answer = read_all(client)
        assert b"HTTP" not in answer


def read_all(client: socket.socket) -> bytes:
    found = b""
    try:
        while part := client.recv(1 << 16):
            found += part
    except ConnectionResetError:
        pass
    return found


def test_files_that_are_no_pair_are_told_in_one_line(site, run, tmp_path) -> None:
    pair, other = make_pair(tmp_path), make_pair(tmp_path, "other")
    locked = make_pair(tmp_path, "locked", passphrase=b"secret")
    noise = tmp_path / "noise.pem"
    noise.write_text("no PEM\n")
    here = site()
    text = (here.root / "tidegate.toml").read_text()
    wrong = {
        (pair.certificate, other.key): "serve.tls_certificate: no pair of certificate and key",
        (noise, pair.key): "serve.tls_certificate: no pair of certificate and key",
        (pair.certificate, noise): "serve.tls_certificate: no pair of certificate and key",
        (locked.certificate, locked.key): "without passphrase",
        (pair.certificate, tmp_path / "none.key"): "serve.tls_key: `none.key` is no file",
        (tmp_path, pair.key): "is no file",
        (pair.certificate, ""): "serve.tls_key: missing",
        ("", pair.key): "serve.tls_certificate: missing",
    }
    for (certificate, key), said in wrong.items():
        lines = [f'tls_certificate = "{certificate}"', f'tls_key = "{key}"']
        (here.root / "tidegate.toml").write_text("\n".join([text, *lines, ""]))
        for word in ("up", "serve"):
            done = run(here.root, word, expect=2)
            assert said in done.err
            assert len([line for line in done.err.splitlines() if not line.startswith("hint:")]) == 1


def test_a_certificate_that_somebody_else_signed_is_trusted_by_the_commands(site, run, tmp_path) -> None:
    ca = make_pair(tmp_path, "ca")
    pair = make_pair(tmp_path, signer=ca)
    here = site(*pair.settings)
    run(here.root, "up")
    assert run(here.root, "predict", "--row", "[1, 2]", "--json").json["predictions"] == [1]
    assert here.ask("GET", "/healthz", **trusting(ca)).status == 200


def test_a_renewed_certificate_is_taken_without_a_restart(site, run, tmp_path, until) -> None:
    pair, later = make_pair(tmp_path), make_pair(tmp_path, "later")
    here = site(*pair.settings, "workers = 2")
    run(here.root, "up")
    processes = [here.pid(f"gateway-{i}") for i in range(2)]
    before = ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())
    after = ssl.PEM_cert_to_DER_cert(later.certificate.read_text())
    assert shown(here) == {before}
    with speaking(here, pair) as open_connection:
        # half of it, then the certificate without its key, then both
        text = later.certificate.read_text()
        put(pair.certificate, text[: len(text) // 2])
        until(lambda: said(here) == 2, seconds=5)
        assert shown(here) == {before}
        put(pair.certificate, text)
        until(lambda: said(here) == 4, seconds=5)
        assert shown(here) == {before}
        later.key.replace(pair.key)
        until(lambda: shown(here) == {after}, seconds=5)
        assert said(here) == 4
        open_connection.request("GET", "/healthz")
        assert open_connection.getresponse().status == 200
    assert grpc_is_live(here, pair)
    assert run(here.root, "predict", "--row", "[1, 2]", "--json").json["predictions"] == [1]
    assert [here.pid(f"gateway-{i}") for i in range(2)] == processes
    assert "Traceback" not in here.log()


def put(path: Path, text: str) -> None:
    """All at once, so that what is told is told of this text alone."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def said(here: Site) -> int:
    return here.log().count("; the certificate stays as it was")


def speaking(here: Site, pair: Pair) -> Any:
    """A connection that is open already."""
    import http.client

    connection = http.client.HTTPSConnection("127.0.0.1", here.port, timeout=PATIENCE_S, **trusting(pair))
    connection.connect()
    return contextlib.closing(connection)


def shown(here: Site) -> set[bytes]:
    """The certificates that new handshakes see, over HTTP and gRPC, of all workers by chance."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    found = set()
    for port in (here.port, here.grpc) * 8:
        for name in (None, "localhost"):
            with (
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client,
                context.wrap_socket(client, server_hostname=name) as wrapped,
            ):
                found.add(wrapped.getpeercert(binary_form=True) or b"")
    return found


# ports


@pytest.mark.parametrize("which", ["address", "grpc"])
@pytest.mark.parametrize("shares", [False, True])
def test_a_port_that_somebody_has_is_told(site, run, which, shares) -> None:
    here = site()
    port = here.port if which == "address" else here.grpc
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shares))
        taken.bind(("127.0.0.1", port))
        taken.listen()
        for word in ("up", "serve"):
            done = run(here.root, word, expect=1)
            assert done.err.startswith(f"error: serve.{which}: 127.0.0.1:{port}: address already in use")
            assert f"serve.{which}" in done.err.splitlines()[1]


def test_whoever_can_be_reached_without_keys_is_warned(site, run, free_port) -> None:
    here = site()
    path, text = here.root / "tidegate.toml", (here.root / "tidegate.toml").read_text()
    for line in (f'address = "127.0.0.1:{here.port}"', f'grpc = "127.0.0.1:{here.grpc}"'):
        public = line.replace("127.0.0.1", "0.0.0.0")
        where = public.split('"')[1]
        for access, is_warned in (("open", True), ("keys", False)):
            path.write_text(text.replace(line, public) + f'\naccess = "{access}"\n')
            done = run(here.root, "up")
            warning = f"warning: {where} can be reached by others and asks for no key"
            assert (warning in here.log()) == (warning in done.err) == is_warned
            run(here.root, "down")


# keys


def test_every_route_and_method_asks_for_its_role(site, run) -> None:
    here = site('access = "keys"')
    tokens = {role: add_key(run, here.root, role, role) for role in ("predict", "label", "operate")}
    run(here.root, "up")
    for (method, path), needed in ROUTES.items():
        assert here.ask(method, path).status == 401
        assert here.ask(method, path, "tg_wrong").status == 401
        for role, token in tokens.items():
            status = here.ask(method, path, token).status
            assert (status == 403) == (role != needed), (method, path, role, status)
            assert status != 401
    for path in HEALTH:
        assert here.ask("GET", path).status == 200
    for name, needed in CALLS.items():
        assert here.call(name) == "UNAUTHENTICATED"
        assert here.call(name, "tg_wrong") == "UNAUTHENTICATED"
        for role, token in tokens.items():
            code = here.call(name, token)
            assert (code == "PERMISSION_DENIED") == (role != needed), (name, role, code)
            assert code not in ("UNAUTHENTICATED", "UNKNOWN", "INTERNAL")
    assert {here.call(name) for name in ("ServerLive", "ServerReady")} == {"OK"}


def test_a_token_is_known_to_nobody_else_and_ends_with_its_key(site, run, until, monkeypatch) -> None:
    here = site('access = "keys"', "workers = 2")
    made = run(here.root, "access", "add", "app", "--role", "predict", "--role", "label")
    token = made.out.splitlines()[0]
    said = []
    run(here.root, "up")
    monkeypatch.setenv("TIDEGATE_KEY", token)
    for words in (
        ("predict", "--row", "[1, 2]"), ("replay", "-n", "20"), ("access", "ls"), ("access", "ls", "--json"), ("ps",),
        ("config", "show"), ("log",), ("audit", "verify"), ("ps", "--json"), ("access", "revoke", "app"),
    ):  # fmt: skip
        done = run(here.root, *words)
        said.append(done.out + done.err)
    monkeypatch.delenv("TIDEGATE_KEY")
    until(lambda: {here.ask("POST", "/predict", token).status for _ in range(8)} == {401}, seconds=5)
    monkeypatch.setenv("TIDEGATE_KEY", token)
    done = run(here.root, "predict", "--row", "[1, 2]", expect=2)
    assert "no such key" in done.err
    assert token not in "".join([*said, done.out, done.err])
    assert files_with(here.root / ".tidegate", token) == []


def files_with(folder: Path, token: str) -> list[Path]:
    """Every file that holds a token, or the part of it that is secret."""
    secret = token.removeprefix("tg_").encode()
    return [path for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()]


@pytest.mark.parametrize("key", ["tg_a\nb", "tg_\xe9", "tg_a b", "\x7f"])
def test_what_can_be_no_key_is_refused_without_showing_it(site, run, monkeypatch, key) -> None:
    here = site()
    run(here.root, "up")
    monkeypatch.setenv("TIDEGATE_KEY", key)
    for words in (("predict", "--row", "[1, 2]"), ("replay", "-n", "5")):
        done = run(here.root, *words, expect=2)
        assert done.err == "error: TIDEGATE_KEY: holds something else than a key of `tidegate access`\n"


def test_damaged_keys_let_nobody_in_until_they_are_mended(site, run, until) -> None:
    here = site('access = "keys"')
    token = add_key(run, here.root, "app")
    path = here.root / ".tidegate/keys/access.json"
    assert path.stat().st_mode & 0o777 == 0o600
    run(here.root, "up")
    assert here.ask("POST", "/predict", token).status == 200
    text = path.read_text()
    for damage in ("", "[", "{}", "null", '[{"name": 1}]', text.replace("sha256", "sha512")):
        path.write_text(damage)
        until(lambda: here.ask("POST", "/predict", token).status == 401, seconds=5)
        path.write_text(text)
        until(lambda: here.ask("POST", "/predict", token).status == 200, seconds=5)
    path.unlink()
    path.mkdir()
    until(lambda: here.ask("POST", "/predict", token).status == 401, seconds=5)
    path.rmdir()
    path.write_text(text)
    until(lambda: here.ask("POST", "/predict", token).status == 200, seconds=5)
    assert here.log().count("every key is refused") == 7


def test_a_rate_holds_over_all_workers(site, run) -> None:
    here = site('access = "keys"', "workers = 2")
    token = add_key(run, here.root, "app", rate=0.02)
    run(here.root, "up")
    replies = [here.ask("POST", "/predict", token) for _ in range(30)]
    taken = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status == 429]
    assert len(taken) + len(refused) == 30
    assert 1 <= len(taken) <= 2
    assert {reply.headers["retry-after"] for reply in refused} == {"1"}
    assert "key `app` asks more than 0.02 times a second" in refused[0].text
    assert here.call("ServerMetadata", token) == "RESOURCE_EXHAUSTED"


# secrets of the environment


def test_the_environment_does_not_reach_a_models_process(site, run, monkeypatch) -> None:
    here = site()
    secrets = {
        "TIDEGATE_KEY": "tg_secret",
        "AWS_SECRET_ACCESS_KEY": "s3cr3t",
        "DATABASE_URL": "pg://u:s3cr3t@h",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    run(here.root, "up")
    assert run(here.root, "predict", "--row", "[1, 2]", "--json").json["predictions"] == [1]
    children = children_of(here.pid())
    assert children
    for child in children:
        environ = Path(f"/proc/{child}/environ").read_bytes()
        assert not [
            name for name, value in secrets.items() if name.encode() in environ or value.encode() in environ
        ]
        assert b"secret" not in Path(f"/proc/{child}/cmdline").read_bytes()


def children_of(process: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        found += [int(path.name)] if parent == process else []
    return [one for one in found if os.getpgid(one) == one]

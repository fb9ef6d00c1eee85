"""The standards' own tools as judges of what `bundle export` writes, and ours of what they write."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.errors import CorruptError
from tidegate.registry.dsse import ENVELOPE
from tidegate.registry.keys import fingerprint, signing_key
from tidegate.registry.load import Bundle, open_bundle
from tidegate.registry.openssf import MODEL_SIGNATURE, PUBLIC_KEY, Judge, own_signer
from tidegate.registry.pack import pack
from tidegate.registry.provenance import PROVENANCE, Provenance, Run, render_statement
from tidegate.registry.receive import Trust
from tidegate.registry.transport import export_bundle, import_bundle, verify_export
from tidegate.store.files import sha256_bytes

TOOL = Path(__file__).parents[2] / ".tools" / "model-signing" / "bin" / "model_signing"

PARTS = {"model.onnx": b"weights", "environment.txt": b"numpy==2.0.0\n", "labels.json": b'["a", "b"]'}
MADE = Provenance(
    commit="ab" * 20,
    uncommitted_changes=True,
    params={"params.yaml:lr": 0.1, "params.yaml:train": {"trees": 10, "sizes": [1, None, "größe"]}},
    deps={"raw": f"{'0' * 32}.dir", "s3://bucket/key": "5d41-2"},
    outs={"model.onnx": "1" * 32},
    source="git+https://example.com/team/tiny.git",
    commands={"train": "python train.py", "report": ["a", "b"]},
    kinds={"s3://bucket/key": "etag"},
    run=Run("r1", "2026-11-24T12:00:00Z", "2026-11-24T12:00:05Z"),
    builder="1.2.3",
)
# run by the tools' own Python: DSSE by securesystemslib, statement and predicate by in-toto's published schemas
JUDGE = """
import json, sys
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement, statement_pb2
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

line, keyid, public = open(sys.argv[1]).read(), sys.argv[2], sys.argv[3]
envelope = Envelope.from_dict(json.loads(line))
assert envelope.verify([SSlibKey(keyid, "ed25519", "ed25519", {"public": public})], 1)
assert envelope.payload_type == "application/vnd.in-toto+json"
stated = json_format.Parse(envelope.payload, statement_pb2.Statement())
statement.Statement.copy_from_pb(stated).validate()
assert stated.predicate_type == "https://slsa.dev/provenance/v1"
predicate = json_format.Parse(json_format.MessageToJson(stated.predicate), provenance_pb2.Provenance())
build, run = predicate.build_definition, predicate.run_details
ran = run.metadata
print(json.dumps({
    "subjects": {one.name: dict(one.digest) for one in stated.subject},
    "build": build.build_type,
    "parameters": json_format.MessageToDict(build.external_parameters),
    "needs": {one.name: dict(one.digest) for one in build.resolved_dependencies},
    "builder": [run.builder.id, dict(run.builder.version)],
    "run": [ran.invocation_id, ran.started_on.ToJsonString(), ran.finished_on.ToJsonString()],
    "made": {one.name: dict(one.digest) for one in run.byproducts},
}))
"""

Tool = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tool() -> Tool:
    """The standard's command, as installed in an environment of its own."""
    if not TOOL.exists():
        pytest.fail(f"{TOOL.name} is not installed: run make tools")

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [TOOL, *map(str, words)], capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def bundle(tmp_path: Path, keys: Path) -> Bundle:
    subjects = {name: sha256_bytes(data) for name, data in PARTS.items()}
    parts = {**PARTS, PROVENANCE: render_statement(MADE, subjects)}
    digest = pack(tmp_path / "bundles", keys, parts, name="tiny")
    return open_bundle(tmp_path / "bundles", digest, keys=keys, require=True)


@pytest.fixture
def their_key(tmp_path: Path) -> tuple[Path, Path]:
    """A private key and its public half, made by openssl as the tool's own manual does."""
    private, public = tmp_path / "theirs.pem", tmp_path / "theirs.pub"
    make = ["openssl", "ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", private]
    subprocess.run(make, check=True, capture_output=True)
    subprocess.run(
        ["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True
    )
    return private, public


def test_the_tool_verifies_what_we_signed(tool: Tool, bundle: Bundle, keys: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_bundle(bundle, out, keys=keys, signer=own_signer(keys))
    words = ("verify", "key", "--signature", out / MODEL_SIGNATURE, "--public_key", keys / PUBLIC_KEY, out)
    done = tool(*words)
    assert (done.returncode, "Verification succeeded" in done.stdout) == (0, True), done.stderr
    (out / "model.onnx").write_bytes(b"Weights")
    done = tool(*words)
    assert done.returncode != 0
    assert "Hash mismatch for 'model.onnx'" in done.stdout + done.stderr


def test_the_tool_verifies_an_archive_that_the_usual_program_unpacked(
    tool: Tool, bundle: Bundle, keys: Path, tmp_path: Path
) -> None:
    export_bundle(bundle, tmp_path / "b.tar", keys=keys, signer=own_signer(keys))
    out = tmp_path / "unpacked"
    out.mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "b.tar", "-C", out], check=True)
    done = tool("verify", "key", "--signature", out / MODEL_SIGNATURE, "--public_key", keys / PUBLIC_KEY, out)
    assert done.returncode == 0, done.stderr


def test_we_verify_what_the_tool_signed(
    tool: Tool, bundle: Bundle, keys: Path, tmp_path: Path, their_key
) -> None:
    private, public = their_key
    out = tmp_path / "out"
    export_bundle(bundle, out, keys=keys)
    done = tool("sign", "key", "--private_key", private, "--signature", out / MODEL_SIGNATURE, out)
    assert done.returncode == 0, done.stderr
    asked = Trust(keys, True, Judge(public))
    (tmp_path / "there").mkdir()
    found, is_new = import_bundle(out, tmp_path / "there", asked)
    assert (is_new, found.verified) == (True, (MODEL_SIGNATURE, ENVELOPE))
    (out / ENVELOPE).unlink()
    with pytest.raises(CorruptError, match=f"Missing files in model .*{ENVELOPE}|missing files .*{ENVELOPE}"):
        verify_export(out, asked)


def test_what_the_tool_signed_before_a_change_is_refused(
    tool: Tool, bundle: Bundle, keys: Path, tmp_path: Path, their_key
) -> None:
    private, public = their_key
    out = tmp_path / "out"
    export_bundle(bundle, out, keys=keys)
    tool("sign", "key", "--private_key", private, "--signature", out / MODEL_SIGNATURE, out)
    data = bytearray((out / MODEL_SIGNATURE).read_bytes())
    for at in range(0, len(data), 97):
        changed = bytes([*data[:at], data[at] ^ 1, *data[at + 1 :]])
        (out / MODEL_SIGNATURE).write_bytes(changed)
        with pytest.raises(CorruptError):
            verify_export(out, Trust(keys, True, Judge(public)))


def test_other_tools_verify_the_envelope_and_read_the_provenance(
    tool: Tool, bundle: Bundle, keys: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export_bundle(bundle, out, keys=keys)
    own = signing_key(keys).public_key()
    done = subprocess.run(
        [TOOL.parent / "python", "-c", JUDGE, out / ENVELOPE, fingerprint(own), own.public_bytes_raw().hex()],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "subjects": {name: {"sha256": sha256_bytes(data)} for name, data in PARTS.items()},
        "build": "urn:tidegate:pipeline:v1",
        "parameters": {"params": MADE.params, "commands": MADE.commands},
        "needs": {
            "source": {"gitCommit": MADE.commit},
            "environment.txt": {"sha256": sha256_bytes(PARTS["environment.txt"])},
            "raw/": {"md5": "0" * 32},
            "s3://bucket/key": {"etag": "5d41-2"},
        },
        "builder": ["urn:tidegate:builder:v1", {"tidegate": "1.2.3"}],
        "run": ["r1", "2026-11-24T12:00:00Z", "2026-11-24T12:00:05Z"],
        "made": {"model.onnx": {"md5": "1" * 32}},
    }

"""`tidegate bundle` on the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidegate.cli.bundle import command
from tidegate.errors import ConflictError, CorruptError, NotFoundError, UsageError
from tidegate.registry.keys import make_private
from tidegate.registry.pack import pack
from tidegate.registry.provenance import PROVENANCE, Provenance, Run, render_statement
from tidegate.store.files import sha256_bytes
from tidegate.store.layout import Layout

PARTS = {"model.onnx": b"weights", "labels.json": b"[]"}
MADE = Provenance(
    commit="ab" * 20,
    uncommitted_changes=True,
    params={"params.yaml:train": {"trees": 10}},
    deps={"raw.txt": "12" * 16},
    outs={},
    source="git+https://example.com/team/tiny.git",
    commands={"train": "python train.py", "report": ["a", "b  c"]},
    run=Run("r1", "2026-11-24T12:00:00Z", "2026-11-24T12:00:05Z"),
    builder="1.2.3",
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without bundles, where the user stands."""
    return stand_in(tmp_path / "here", monkeypatch)


@pytest.fixture
def digest(root: Path) -> str:
    """A bundle there."""
    subjects = {name: sha256_bytes(data) for name, data in PARTS.items()}
    parts = {**PARTS, PROVENANCE: render_statement(MADE, subjects)}
    return pack(Layout(root).bundles, Layout(root).keys, parts, name="tiny")


def stand_in(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root.mkdir()
    (root / "tidegate.toml").write_text('[project]\nname = "tiny"\n')
    monkeypatch.chdir(root)
    return root


def run(*words: object) -> str:
    done = CliRunner().invoke(command, list(map(str, words)), catch_exceptions=False, standalone_mode=False)
    return done.output


def asked(*words: object) -> dict:
    return json.loads(run(*words, "--json"))


def test_a_bundle_shows_where_it_comes_from(digest: str) -> None:
    lines = [" ".join(line.split()) for line in run("show", digest[:6]).splitlines()]
    assert lines[:11] == [
        f"bundle {digest}",
        "model tiny",
        f"signed by key {asked('show', digest)['key'][:12]}",
        f"commit {'ab' * 20} of git+https://example.com/team/tiny.git with uncommitted changes",
        "run r1, 2026-11-24T12:00:00Z to 2026-11-24T12:00:05Z",
        "builder tidegate 1.2.3",
        "stage report: a; b c",
        "stage train: python train.py",
        "param params.yaml:train.trees = 10",
        "dep 121212121212 raw.txt",
        f"file {sha256_bytes(b'[]')[:12]} 2 bytes labels.json",
    ]
    shown = asked("show", digest)
    assert shown["provenance"]["run"]["id"] == "r1"
    assert shown["files"]["model.onnx"] == sha256_bytes(b"weights")


def test_verify_says_what_was_verified(digest: str) -> None:
    said = run("verify", digest)
    assert f"bundle {digest[:12]}: 3 files as recorded, verified" in said
    assert f"sha256      {sha256_bytes(b'weights')[:12]}  model.onnx" in said
    assert "provenance  speaks of these 2 files, commit abababababab" in said
    found = asked("verify", digest)
    assert (found["files"], found["subjects"], found["commit"]) == (3, 2, "ab" * 20)


def test_a_bundle_travels_to_a_project_that_trusts_its_signer(
    root: Path, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        run("export", digest[:6], "../tiny.tar", "--openssf")
        == f"bundle {digest[:12]}: 7 files in ../tiny.tar\n"
    )
    said = run("keys", "export", "../ours.pem")
    stand_in(root.parent / "there", monkeypatch)
    with pytest.raises(CorruptError, match="which is not trusted here"):
        run("import", "../tiny.tar")
    assert run("keys", "trust", "../ours.pem") == f"{said.partition(':')[0]}: trusted\n"
    imported = run("import", "../tiny.tar")
    assert f"bundle {digest[:12]}: 3 files as recorded, imported" in imported
    assert "verified    provenance.intoto.jsonl" in imported
    assert "not judged  model.sig" in imported
    assert asked("import", "../tiny.tar")["is_new"] is False
    assert [one["bundle"] for one in json.loads(run("ls", "--json"))] == [digest]
    public = "../here/.tidegate/keys/openssf.pub.pem"
    found = asked("verify", "../tiny.tar", "--openssf-key", public)
    assert (found["verified"], found["unverified"]) == (["model.sig", "provenance.intoto.jsonl"], [])
    with pytest.raises(UsageError, match="no key to verify the model signature with"):
        run("import", "../tiny.tar", "--require-openssf")


def test_a_model_signature_can_be_required(root: Path, digest: str) -> None:
    run("export", digest, "with", "--openssf")
    run("export", digest, "without")
    assert "verified    model.sig" in run("verify", "with", "--require-openssf")
    with pytest.raises(CorruptError, match=r"no `model\.sig`, one is required"):
        run("verify", "without", "--require-openssf")


def test_answers_that_contradict_each_other_are_refused(root: Path, digest: str) -> None:
    with pytest.raises(UsageError, match="both --openssf-key and --openssf-root"):
        run("verify", digest, "--openssf-key", "a", "--openssf-root", "b")
    with pytest.raises(UsageError, match="a certificate without its private key"):
        run("export", digest, "out", "--openssf-cert", "a")
    run("export", digest, "out")
    with pytest.raises(ConflictError, match="exists already"):
        run("export", digest, "out")
    with pytest.raises(UsageError, match="only an export has a model signature"):
        run("verify", digest, "--openssf-key", "a")
    with pytest.raises(NotFoundError, match="begins 0 digests"):
        run("verify", "nowhere.tar")


def test_a_bundle_is_signed_anew_by_another_key(root: Path, digest: str) -> None:
    first = asked("verify", digest)["key"]
    make_private(root / "release.pem", Ed25519PrivateKey.generate())
    second = asked("sign", digest, "--key", "release.pem")["key"]
    assert second != first
    assert asked("verify", digest)["key"] == second
    listed = {one["fingerprint"]: one for one in json.loads(run("keys", "ls", "--json"))}
    assert {first: True, second: False} == {name: one["signs"] for name, one in listed.items()}
    assert run("sign", digest) == f"bundle {digest[:12]}: signed by key {first[:12]}\n"


def test_a_revoked_key_makes_its_bundles_unusable_until_they_are_signed_anew(root: Path, digest: str) -> None:
    key = asked("verify", digest)["key"]
    assert run("keys", "revoke", key[:6]).startswith(f"key {key}: revoked")
    assert f"{key[:12]}  revoked  signs here" in run("keys", "ls")
    with pytest.raises(CorruptError, match="which is not trusted here"):
        run("verify", digest)
    with pytest.raises(UsageError, match="was revoked here, refusing to sign"):
        run("sign", digest)
    (Layout(root).keys / "signing.pem").unlink()
    run("sign", digest)
    assert asked("verify", digest)["key"] != key


def test_the_public_key_is_printed_when_no_file_is_named(root: Path) -> None:
    assert run("keys", "export").startswith("-----BEGIN PUBLIC KEY-----\n")
    exported = asked("keys", "export")
    assert exported["public"].startswith("-----BEGIN PUBLIC KEY-----\n")
    assert [one["fingerprint"] for one in json.loads(run("keys", "ls", "--json"))] == [exported["key"]]
    run("keys", "export", "ours.pem")
    assert asked("keys", "trust", "ours.pem")["key"] == exported["key"]
    assert asked("keys", "revoke", exported["key"])["state"] == "revoked"

"""OpenSSF model signatures: by a key or a certificate that was asked for, over every file, in one spelling."""

import base64
import builtins
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from tidegate.errors import CorruptError, NotFoundError, TidegateError, UsageError
from tidegate.registry.keys import make_private
from tidegate.registry.openssf import (
    MODEL_SIGNATURE,
    PRIVATE_KEY,
    PUBLIC_KEY,
    Judge,
    Signer,
    own_judge,
    own_signer,
    sign_folder,
    verify_folder,
)

DAY = timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "model.onnx").write_bytes(b"weights")
    (made / "manifest.json").write_bytes(b"{}")
    return made


@pytest.fixture
def signed(folder: Path, keys: Path) -> Path:
    """A folder with a signature by our own key."""
    sign_folder(folder, own_signer(keys))
    return folder


@pytest.fixture
def certified(tmp_path: Path) -> tuple[Signer, Judge]:
    """A key with a certificate, and the root that vouches for it."""
    root, owner = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    make_private(tmp_path / "owner.pem", owner)
    authority = certificate("Root", root.public_key(), ("Root", root), is_root=True)
    (tmp_path / "root.crt").write_bytes(authority)
    (tmp_path / "owner.crt").write_bytes(
        certificate("Owner", owner.public_key(), ("Root", root), is_root=False)
    )
    return (
        Signer(tmp_path / "owner.pem", tmp_path / "owner.crt", (tmp_path / "root.crt",)),
        Judge(None, (tmp_path / "root.crt",)),
    )


def certificate(name: str, key: ec.EllipticCurvePublicKey, issuer, *, is_root: bool) -> bytes:
    now = datetime.now(UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, issuer[0])]
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"),
        False,
    )
    built = (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.BasicConstraints(is_root, None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_root,
                key_cert_sign=is_root,
                crl_sign=is_root,
                decipher_only=False,
                **usage,
            ),
            critical=True,
        )
        .sign(issuer[1], hashes.SHA256())
    )
    return built.public_bytes(Encoding.PEM)


def public_file(path: Path, key) -> Path:
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def refused(folder: Path, judge: Judge) -> str:
    with pytest.raises(CorruptError) as caught:
        verify_folder(folder, judge, where="here")
    assert caught.value.where == "here"
    return caught.value.message


def test_what_our_key_signed_is_verified_with_its_public_half(signed: Path, keys: Path) -> None:
    verify_folder(signed, own_judge(keys), where="here")
    verify_folder(signed, Judge(keys / PUBLIC_KEY), where="here")
    assert (keys / PRIVATE_KEY).stat().st_mode & 0o777 == 0o600


def test_the_folder_may_have_another_name_by_then(signed: Path, keys: Path) -> None:
    moved = signed.rename(signed.with_name("elsewhere"))
    verify_folder(moved, own_judge(keys), where="here")


def test_a_certificate_names_who_signed(folder: Path, certified) -> None:
    signer, judge = certified
    sign_folder(folder, signer)
    verify_folder(folder, judge, where="here")


def test_a_certificate_needs_no_chain_where_its_root_is_known(folder: Path, certified) -> None:
    signer, judge = certified
    sign_folder(folder, signer._replace(chain=()))
    verify_folder(folder, judge, where="here")


def test_a_certificate_of_another_key_does_not_sign(folder: Path, certified, tmp_path: Path) -> None:
    make_private(tmp_path / "other.pem", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(UsageError, match=r"^other\.pem: cannot sign with it"):
        sign_folder(folder, certified[0]._replace(key=tmp_path / "other.pem"))


def test_a_certificate_below_another_root_is_refused(folder: Path, certified, tmp_path: Path) -> None:
    sign_folder(folder, certified[0])
    other = ec.generate_private_key(ec.SECP256R1())
    stranger = certificate("Root", other.public_key(), ("Root", other), is_root=True)
    (tmp_path / "other.crt").write_bytes(stranger)
    assert refused(folder, Judge(None, (tmp_path / "other.crt",))).startswith("`model.sig` ")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda one: (one / "model.onnx").write_bytes(b"Weights"), "hash mismatch for 'model.onnx'"),
        (lambda one: (one / "model.onnx").unlink(), "missing files in model"),
        (lambda one: (one / "more").write_bytes(b""), "extra files found in model"),
        (lambda one: (one / "manifest.json").rename(one / "other.json"), "extra files found in model"),
        (lambda one: (one / MODEL_SIGNATURE).unlink(), "no `model.sig`, one is required"),
        (lambda one: (one / ".gitignore").write_bytes(b""), "says nothing about `.gitignore`"),
    ],
    ids=["changed", "missing", "more", "renamed", "unsigned", "never looked at"],
)
def test_a_changed_folder_is_refused(signed: Path, keys: Path, change, problem: str) -> None:
    change(signed)
    assert problem in refused(signed, own_judge(keys)).lower()


def test_a_key_that_was_not_asked_for_is_refused(signed: Path, tmp_path: Path) -> None:
    other = public_file(tmp_path / "other.pem", ec.generate_private_key(ec.SECP256R1()))
    assert "key mismatch" in refused(signed, Judge(other))


def test_a_key_is_no_certificate_and_a_certificate_no_key(signed: Path, keys: Path, certified) -> None:
    assert "is not by a certificate, as was asked" in refused(signed, certified[1])
    sign_folder(signed, certified[0])
    assert "is not by a key, as was asked" in refused(signed, own_judge(keys))


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one | {"mediaType": "application/x"},
        lambda one: one | {"verificationMaterial": {"publicKey": {"hint": ""}, "tlogEntries": []}},
        lambda one: one | {"verificationMaterial": {"tlogEntries": []}},
        lambda one: one | {"more": 1},
        lambda one: dict(reversed(one.items())),
        lambda one: one | {"dsseEnvelope": one["dsseEnvelope"] | {"signatures": []}},
        lambda one: one | {"dsseEnvelope": one["dsseEnvelope"] | {"payload": "e30="}},
        lambda one: one | {"dsseEnvelope": one["dsseEnvelope"] | {"payloadType": "text/plain"}},
    ],
)
def test_a_changed_signature_is_refused(signed: Path, keys: Path, change) -> None:
    path = signed / MODEL_SIGNATURE
    changed = change(json.loads(path.read_bytes()))
    path.write_text(json.dumps(changed, separators=(",", ":")))
    refused(signed, own_judge(keys))


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[1]"])
def test_what_is_no_signature_is_refused(signed: Path, keys: Path, data: bytes) -> None:
    (signed / MODEL_SIGNATURE).write_bytes(data)
    assert "is no model signature" in refused(signed, own_judge(keys))


def test_every_changed_byte_of_the_signature_is_refused(signed: Path, keys: Path) -> None:
    path, judge = signed / MODEL_SIGNATURE, own_judge(keys)
    data = path.read_bytes()
    for at in range(0, len(data), 3):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        refused(signed, judge)


def test_a_signer_that_leaves_files_out_says_nothing_about_them(signed: Path, keys: Path) -> None:
    from model_signing.hashing import Config as Hashing
    from model_signing.signing import Config

    hashing = Hashing().set_ignored_paths(paths=[MODEL_SIGNATURE, "model.onnx"])
    config = Config().use_elliptic_key_signer(private_key=keys / PRIVATE_KEY).set_hashing_config(hashing)
    config.sign(signed, signed / MODEL_SIGNATURE)
    assert "says nothing about `model.onnx`" in refused(signed, own_judge(keys))


def test_payloads_are_signed_as_they_are(signed: Path) -> None:
    envelope = json.loads((signed / MODEL_SIGNATURE).read_bytes())["dsseEnvelope"]
    resources = json.loads(base64.b64decode(envelope["payload"]))["predicate"]["resources"]
    assert [one["name"] for one in resources] == ["manifest.json", "model.onnx"]


def test_an_ed25519_key_cannot_make_a_model_signature(folder: Path, tmp_path: Path) -> None:
    make_private(tmp_path / "ed.pem", Ed25519PrivateKey.generate())
    with pytest.raises(UsageError, match=r"^ed\.pem: not a key of the curves P-256"):
        sign_folder(folder, Signer(tmp_path / "ed.pem"))
    public = public_file(tmp_path / "ed.pub", Ed25519PrivateKey.generate())
    with pytest.raises(UsageError, match="not a key of the curves P-256"):
        verify_folder(folder, Judge(public), where="here")


def test_a_curve_that_the_standard_does_not_take_is_said(folder: Path, tmp_path: Path) -> None:
    make_private(tmp_path / "k1.pem", ec.generate_private_key(ec.SECP256K1()))
    with pytest.raises(UsageError, match=r"^k1\.pem: not a key of the curves P-256"):
        sign_folder(folder, Signer(tmp_path / "k1.pem"))


def test_files_that_are_missing_or_something_else_are_named(
    folder: Path, signed: Path, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("text")
    none, text = tmp_path / "none", tmp_path / "text"
    for judge in (Judge(none), Judge(None, (none,))):
        with pytest.raises(NotFoundError, match="no such file"):
            verify_folder(signed, judge, where="here")
    for judge in (Judge(text), Judge(None, (text,))):
        with pytest.raises(UsageError, match="in PEM"):
            verify_folder(signed, judge, where="here")


def test_without_a_key_of_its_own_a_project_must_name_one(keys: Path) -> None:
    with pytest.raises(UsageError, match="no key to verify the model signature with"):
        own_judge(keys)


def test_without_the_extra_the_error_names_it(signed: Path, keys: Path, monkeypatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest, **more):
        if name.startswith("model_signing"):
            raise ModuleNotFoundError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    for act in (
        lambda: sign_folder(signed, own_signer(keys)),
        lambda: verify_folder(signed, own_judge(keys), where="here"),
    ):
        with pytest.raises(TidegateError) as caught:
            act()
        assert caught.value.hint == "pip install 'tidegate[openssf]'"

"""Signatures: one key signs, trusted keys are believed, nothing else is."""

import os
import stat
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidegate.errors import CorruptError, UsageError
from tidegate.registry.keys import SIGNING_KEY, TRUSTED
from tidegate.registry.sign import Signature, sign, verify

MANIFEST = b'{"format": 1}\n'
SIGN_WHEN_TOLD = """
import sys
from pathlib import Path
from tidegate.registry import sign
print("up", flush=True)
sys.stdin.readline()
print(sign.sign(Path(sys.argv[1]), b"manifest").decode())
"""


def trusted(keys: Path) -> list[Path]:
    return sorted((keys / TRUSTED).iterdir())


def public_pem(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def private_pem(key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def place_key(keys: Path, text: bytes) -> None:
    keys.mkdir()
    (keys / SIGNING_KEY).write_bytes(text)
    (keys / SIGNING_KEY).chmod(0o600)


def refused(keys: Path, signature: bytes, manifest: bytes = MANIFEST) -> CorruptError:
    with pytest.raises(CorruptError) as caught:
        verify(keys, manifest, signature, where="bundle 9b1e")
    assert caught.value.where == "bundle 9b1e"
    return caught.value


def test_what_was_signed_is_verified_by_the_key_that_signed(keys: Path) -> None:
    signature = sign(keys, MANIFEST)
    assert verify(keys, MANIFEST, signature, where="here") == msgspec.json.decode(signature)["key"]


def test_signing_twice_gives_the_same_bytes_and_one_trusted_key(keys: Path) -> None:
    assert sign(keys, MANIFEST) == sign(keys, MANIFEST)
    assert sign(keys, MANIFEST) != sign(keys, b"another")
    (public,) = trusted(keys)
    assert public.name == f"{msgspec.json.decode(sign(keys, MANIFEST))['key'][:16]}.pem"


def test_the_key_is_readable_by_its_owner_only_and_no_scratch_file_stays(keys: Path) -> None:
    before = os.umask(0)
    try:
        sign(keys, MANIFEST)
    finally:
        os.umask(before)
    assert stat.S_IMODE((keys / SIGNING_KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert sorted(path.name for path in keys.iterdir()) == [SIGNING_KEY, TRUSTED]
    assert b"PRIVATE" not in trusted(keys)[0].read_bytes()


def test_processes_that_sign_first_at_once_make_one_key(keys: Path, at_once) -> None:
    said = at_once(SIGN_WHEN_TOLD, keys)
    assert len(said) == len(trusted(keys)) == 1
    assert verify(keys, b"manifest", said.pop().encode(), where="here")


def test_a_key_of_the_users_own_is_used_and_trusted(keys: Path) -> None:
    text = private_pem(Ed25519PrivateKey.generate())
    place_key(keys, text)
    assert verify(keys, MANIFEST, sign(keys, MANIFEST), where="here")
    assert (keys / SIGNING_KEY).read_bytes() == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "not a private key in PEM, refusing to sign"),
        (b"not a key", "not a private key in PEM, refusing to sign"),
        (private_pem(ec.generate_private_key(ec.SECP256R1())), "not an Ed25519 key, refusing to sign"),
    ],
    ids=["empty", "no key", "another kind"],
)
def test_a_signing_key_that_is_none_is_never_replaced(keys: Path, text, problem) -> None:
    place_key(keys, text)
    with pytest.raises(UsageError) as caught:
        sign(keys, MANIFEST)
    assert str(caught.value) == f"{SIGNING_KEY}: {problem}"
    assert (keys / SIGNING_KEY).read_bytes() == text


def test_a_signature_of_another_manifest_is_refused(keys: Path) -> None:
    error = refused(keys, sign(keys, b"another"))
    assert error.message == "signature.json does not sign this manifest, refusing to load"


def test_a_key_is_believed_only_while_it_is_in_the_trusted_folder(keys: Path, tmp_path: Path) -> None:
    signature = sign(tmp_path / "theirs", MANIFEST)
    sign(keys, MANIFEST)
    error = refused(keys, signature)
    assert error.message.startswith(
        f"signed by key {msgspec.json.decode(signature)['key'][:12]}, which is not"
    )
    assert error.hint == "tidegate bundle keys trust FILE, with its public key"
    (public,) = trusted(tmp_path / "theirs")
    (keys / TRUSTED / "theirs.pem").write_bytes(public.read_bytes())
    assert verify(keys, MANIFEST, signature, where="here")
    (keys / TRUSTED / "theirs.pem").unlink()
    assert refused(keys, signature).message == error.message


def test_without_any_trusted_key_nobody_is_believed(keys: Path, tmp_path: Path) -> None:
    assert "not trusted here" in refused(keys, sign(tmp_path / "theirs", MANIFEST)).message


def test_a_claim_of_a_trusted_key_is_no_signature_by_it(keys: Path, tmp_path: Path) -> None:
    ours = msgspec.json.decode(sign(keys, MANIFEST), type=Signature)
    theirs = msgspec.json.decode(sign(tmp_path / "theirs", MANIFEST), type=Signature)
    forged = msgspec.structs.replace(theirs, key=ours.key)
    assert "does not sign this manifest" in refused(keys, msgspec.json.encode(forged, order="sorted")).message


@pytest.mark.parametrize("changed", [{"algorithm": "none"}, {"key": ""}, {"key": "0" * 64}])
def test_another_algorithm_or_key_is_not_trusted(keys: Path, changed) -> None:
    made = msgspec.structs.replace(msgspec.json.decode(sign(keys, MANIFEST), type=Signature), **changed)
    assert "which is not trusted here" in refused(keys, msgspec.json.encode(made, order="sorted")).message


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff\xfe", b'{"algorithm":"ed25519"}'])
def test_bytes_that_are_no_signature_are_refused(keys: Path, text) -> None:
    assert refused(keys, text).message == "signature.json is no signature, refusing to load"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + b"\n",
        lambda text: b" " + text,
        lambda text: text + b"\0",
        lambda text: text.replace(b":", b": "),
        lambda text: text.replace(b"ed25519", b"\\u0065d25519"),
        lambda text: text.replace(b'"algorithm":"ed25519"', b'"algorithm":"none","algorithm":"ed25519"'),
        lambda text: text.replace(b"}", b',"signature":' + text.rpartition(b":")[2]),
        lambda text: text.replace(b'"algorithm":"ed25519",', b"").replace(b"}", b',"algorithm":"ed25519"}'),
        lambda text: text.replace(b"==", b""),
        lambda text: text.replace(b"==", b"==\\n"),
    ],
    ids=[
        "line end",
        "blank",
        "zero",
        "spaces",
        "escape",
        "twice",
        "signature twice",
        "order",
        "no padding",
        "line end inside",
    ],
)
def test_the_same_signature_in_other_bytes_is_refused(keys: Path, change) -> None:
    assert "is no signature" in refused(keys, change(sign(keys, MANIFEST))).message


def test_a_fingerprint_in_capitals_is_no_other_way_to_write_it(keys: Path) -> None:
    text = sign(keys, MANIFEST)
    key = msgspec.json.decode(text)["key"]
    assert "not trusted here" in refused(keys, text.replace(key.encode(), key.upper().encode())).message


def test_unused_bits_at_the_end_of_the_base64_are_no_place_to_hide(keys: Path) -> None:
    text = sign(keys, MANIFEST)
    at = text.index(b"==") - 1
    others = [bytes([other]) for other in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ" if other != text[at]]
    for other in others:
        refused(keys, text[:at] + other + text[at + 1 :])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"not a key", "not a public key in PEM"),
        (public_pem(ec.generate_private_key(ec.SECP256R1())), "not an Ed25519 key"),
    ],
    ids=["no key", "another kind"],
)
def test_a_broken_file_among_the_trusted_keys_is_named(keys: Path, text, problem) -> None:
    signature = sign(keys, MANIFEST)
    (keys / TRUSTED / "0.pem").write_bytes(text)
    with pytest.raises(CorruptError) as caught:
        verify(keys, MANIFEST, signature, where="here")
    assert (str(caught.value), caught.value.hint) == (f"0.pem: {problem}", "remove it or restore it")


def test_files_of_other_names_among_the_trusted_keys_are_left_alone(keys: Path) -> None:
    signature = sign(keys, MANIFEST)
    (keys / TRUSTED / "README").write_text("who is who")
    assert verify(keys, MANIFEST, signature, where="here")

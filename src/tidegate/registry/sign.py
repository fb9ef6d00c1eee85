"""Signatures of bundles: one local Ed25519 key signs, the public keys in `trusted/` are believed."""

import os
import tempfile
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from tidegate.errors import CorruptError
from tidegate.store.files import sha256_bytes, write_atomic

SIGNATURE = "signature.json"
SIGNING_KEY = "signing.pem"
TRUSTED = "trusted"


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who signed: `key` is the SHA-256 of the raw public key, `signature` is over the manifest's bytes."""

    algorithm: str
    key: str
    signature: bytes


def sign(keys: Path, manifest: bytes) -> bytes:
    """The signature file of a manifest; the key is made, and trusted, at first use.

    Ed25519 (RFC 8032) is deterministic: the same manifest and key give the same bytes.
    """
    key = _signing_key(keys)
    made = Signature("ed25519", _fingerprint(key.public_key()), key.sign(manifest))
    return _render(made)


def verify(keys: Path, manifest: bytes, signature: bytes, *, where: str) -> str:
    """The fingerprint of the trusted key that signed; CorruptError when none did."""
    claimed = _parse(signature, where=where)
    key = _trusted_key(keys, claimed, where=where)
    try:
        key.verify(claimed.signature, manifest)
    except InvalidSignature:
        raise CorruptError(where, f"{SIGNATURE} does not sign this manifest, refusing to load") from None
    return claimed.key


def _parse(data: bytes, *, where: str) -> Signature:
    """The signature in a file's bytes, of which no other bytes may be read as the same signature."""
    try:
        claimed = msgspec.json.decode(data, type=Signature)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        claimed = None
    if claimed is None or _render(claimed) != data:
        raise CorruptError(where, f"{SIGNATURE} is no signature, refusing to load")
    return claimed


def _render(signature: Signature) -> bytes:
    return msgspec.json.encode(signature, order="sorted")


def _trusted_key(keys: Path, claimed: Signature, *, where: str) -> Ed25519PublicKey:
    for path in sorted((keys / TRUSTED).glob("*.pem")):
        key = _read_public(path)
        if claimed.algorithm == "ed25519" and _fingerprint(key) == claimed.key:
            return key
    found = f"signed by key {claimed.key[:12]}, which is not trusted here, refusing to load"
    raise CorruptError(where, found, hint=f"copy its public key into .tidegate/keys/{TRUSTED}")


def _signing_key(keys: Path) -> Ed25519PrivateKey:
    path = keys / SIGNING_KEY
    if not path.exists():
        _make_key(path)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        raise CorruptError(SIGNING_KEY, "not a private key in PEM, refusing to sign") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise CorruptError(SIGNING_KEY, "not an Ed25519 key, refusing to sign")
    _trust(keys, key.public_key())
    return key


def _make_key(path: Path) -> None:
    """Create the key file whole and readable by its owner only; whoever comes first wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".key-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        Path(temporary).unlink()


def _trust(keys: Path, key: Ed25519PublicKey) -> None:
    path = keys / TRUSTED / f"{_fingerprint(key)[:16]}.pem"
    if not path.exists():
        pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        write_atomic(path, pem)


def _read_public(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except ValueError:
        raise CorruptError(path.name, "not a public key in PEM", hint="remove it or restore it") from None
    if not isinstance(key, Ed25519PublicKey):
        raise CorruptError(path.name, "not an Ed25519 key", hint="remove it or restore it")
    return key


def _fingerprint(key: Ed25519PublicKey) -> str:
    return sha256_bytes(key.public_bytes_raw())

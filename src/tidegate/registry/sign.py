"""The signature of a bundle: Ed25519 over the bytes of its manifest, believed if the key is trusted here."""

from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidegate.errors import CorruptError
from tidegate.registry.keys import fingerprint, signing_key, trusted_key

SIGNATURE = "signature.json"
ALGORITHM = "ed25519"


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who signed: `key` is the SHA-256 of the raw public key, `signature` is over the manifest's bytes."""

    algorithm: str
    key: str
    signature: bytes


class Claim(NamedTuple):
    """What `file` says: the owner of `key` signed these bytes, which are called `what`."""

    file: str
    what: str
    key: str
    signature: bytes
    signed: bytes


def sign(keys: Path, manifest: bytes) -> bytes:
    """The signature file of a manifest, by the project's own key."""
    return sign_with(signing_key(keys), manifest)


def sign_with(key: Ed25519PrivateKey, manifest: bytes) -> bytes:
    """The signature file of a manifest.

    Ed25519 (RFC 8032) is deterministic: the same manifest and key give the same bytes.
    """
    return _render(Signature(ALGORITHM, fingerprint(key.public_key()), key.sign(manifest)))


def verify(keys: Path, manifest: bytes, signature: bytes, *, where: str) -> str:
    """The fingerprint of the trusted key that signed; CorruptError when none did."""
    said = _parse(signature, where=where)
    key = said.key if said.algorithm == ALGORITHM else f"of {said.algorithm}"
    check(keys, Claim(SIGNATURE, "manifest", key, said.signature, manifest), where=where)
    return said.key


def check(keys: Path, claim: Claim, *, where: str) -> None:
    """Raise CorruptError unless the claim is true and its key is trusted here."""
    key = trusted_key(keys, claim.key)
    if key is None:
        found = f"signed by key {claim.key[:12]}, which is not trusted here, refusing to load"
        raise CorruptError(where, found, hint="tidegate bundle keys trust FILE, with its public key")
    try:
        key.verify(claim.signature, claim.signed)
    except InvalidSignature:
        found = f"{claim.file} does not sign this {claim.what}, refusing to load"
        raise CorruptError(where, found) from None


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

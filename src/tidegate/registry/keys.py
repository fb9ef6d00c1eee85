"""Keys for signing bundles: the private one of this project, the public ones it believes, those it no longer does.

All are PEM files below `.tidegate/keys`. A key is known by its fingerprint, the SHA-256 of its 32 raw bytes.
"""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from tidegate.errors import CorruptError, NotFoundError, UsageError
from tidegate.store.files import sha256_bytes, write_atomic

SIGNING_KEY = "signing.pem"
TRUSTED = "trusted"
REVOKED = "revoked"
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Key(NamedTuple):
    """A public key kept here: `signs` says that its private half is here too."""

    fingerprint: str
    state: Literal["trusted", "revoked"]
    signs: bool


def signing_key(keys: Path) -> Ed25519PrivateKey:
    """The project's own key, made and trusted at first use.

    Raises UsageError when others may read it, when it was revoked, or when it is no such key.
    """
    path = keys / SIGNING_KEY
    if not path.exists():
        make_private(path, Ed25519PrivateKey.generate())
    key = read_signing_key(path)
    adopt(keys, key)
    return key


def own_key(keys: Path) -> Ed25519PrivateKey | None:
    """The project's own key if it has one."""
    return signing_key(keys) if (keys / SIGNING_KEY).exists() else None


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """The Ed25519 key in a file that only its owner may read; UsageError for anything else."""
    key = read_private(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(path.name, "not an Ed25519 key, refusing to sign")
    return key


def read_private(path: Path) -> PrivateKeyTypes:
    """A private key without a password, in a file that only its owner may read."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(path.name, "no such file, expected a private key in PEM") from None
    if mode & OTHERS:
        found = f"its mode {mode:04o} lets others read the private key, refusing to sign"
        raise UsageError(path.name, found, hint=f"chmod 600 {path}")
    try:
        return load_pem_private_key(text, password=None)
    except (ValueError, TypeError):
        raise UsageError(path.name, "not a private key in PEM, refusing to sign") from None


def make_private(path: Path, key: PrivateKeyTypes) -> None:
    """Create the key file whole and readable by its owner only; whoever comes first wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
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


def adopt(keys: Path, key: Ed25519PrivateKey) -> None:
    """Believe a key because its private half is here; UsageError for one that was revoked here."""
    public = key.public_key()
    if fingerprint(public) in _fingerprints(keys, REVOKED):
        found = f"key {fingerprint(public)[:12]} was revoked here, refusing to sign"
        hint = "move `.tidegate/keys/signing.pem` away: the next signing makes a new key"
        raise UsageError("sign", found, hint=hint)
    _keep(keys / TRUSTED, public)


def trusted_key(keys: Path, wanted: str) -> Ed25519PublicKey | None:
    """The public key of this fingerprint if it is believed here; a revoked one is not, wherever else it lies."""
    if wanted in _fingerprints(keys, REVOKED):
        return None
    return next((key for _, key in _publics(keys / TRUSTED) if fingerprint(key) == wanted), None)


def trust(keys: Path, path: Path) -> str:
    """Believe the public key in a file from now on, also one that was revoked; returns its fingerprint."""
    try:
        key = _parse(path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(str(path), "no such file, expected a public key in PEM") from None
    if isinstance(key, str):
        raise UsageError(str(path), f"{key}, expected the public key that a colleague exported")
    _keep(keys / TRUSTED, key)
    _drop(keys / REVOKED, fingerprint(key))
    return fingerprint(key)


def revoke(keys: Path, prefix: str) -> str:
    """No longer believe the key whose fingerprint begins so; what it signed is refused from now on."""
    found = {fingerprint(key): key for _, key in _publics(keys / TRUSTED)}
    named = [name for name in found if prefix and name.startswith(prefix)]
    if len(named) != 1:
        problem = f"`{prefix}` begins {len(named)} fingerprints of trusted keys, it must begin one"
        raise NotFoundError("keys", problem, hint="tidegate bundle keys ls")
    # first said, then taken away: a crash in between leaves it refused
    _keep(keys / REVOKED, found[named[0]])
    _drop(keys / TRUSTED, named[0])
    return named[0]


def list_keys(keys: Path) -> tuple[Key, ...]:
    """The public keys here by fingerprint, those that are believed first."""
    path = keys / SIGNING_KEY
    own = fingerprint(read_signing_key(path).public_key()) if path.exists() else ""
    revoked = _fingerprints(keys, REVOKED)
    trusted = _fingerprints(keys, TRUSTED) - revoked
    return (
        *(Key(name, "trusted", name == own) for name in sorted(trusted)),
        *(Key(name, "revoked", name == own) for name in sorted(revoked)),
    )


def public_pem(key: Ed25519PublicKey) -> bytes:
    """The key as others take it."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: Ed25519PublicKey) -> str:
    """What a key is known by."""
    return sha256_bytes(key.public_bytes_raw())


def _keep(folder: Path, key: Ed25519PublicKey) -> None:
    path = folder / f"{fingerprint(key)[:16]}.pem"
    if not path.exists():
        write_atomic(path, public_pem(key))


def _drop(folder: Path, wanted: str) -> None:
    for path, key in _publics(folder):
        if fingerprint(key) == wanted:
            path.unlink()


def _fingerprints(keys: Path, folder: str) -> set[str]:
    return {fingerprint(key) for _, key in _publics(keys / folder)}


def _publics(folder: Path) -> Iterator[tuple[Path, Ed25519PublicKey]]:
    for path in sorted(folder.glob("*.pem")):
        key = _parse(path.read_bytes())
        if isinstance(key, str):
            raise CorruptError(path.name, key, hint="remove it or restore it")
        yield path, key


def _parse(text: bytes) -> Ed25519PublicKey | str:
    """The key in a file's bytes, or what is wrong with them."""
    try:
        key = load_pem_public_key(text)
    except ValueError:
        return "not a public key in PEM"
    return key if isinstance(key, Ed25519PublicKey) else "not an Ed25519 key"

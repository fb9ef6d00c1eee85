"""The OpenSSF model signature of an exported bundle, made and judged by the standard's own package.

It signs with elliptic curves only, so the key is another than that of `registry/keys.py`.
https://github.com/sigstore/model-transparency
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificates

from tidegate.errors import CorruptError, NotFoundError, UsageError, missing_extra
from tidegate.registry.keys import make_private, read_private
from tidegate.store.files import write_atomic

MODEL_SIGNATURE = "model.sig"
PRIVATE_KEY = "openssf.pem"
PUBLIC_KEY = "openssf.pub.pem"
CURVES = ("secp256r1", "secp384r1", "secp521r1")
OTHER_KEY = "a key of the curves P-256, P-384 or P-521, which a model signature needs"


class Signer(NamedTuple):
    """A private key, and the certificate that names its owner with those that vouch for it, if it has one."""

    key: Path
    certificate: Path | None = None
    chain: tuple[Path, ...] = ()


class Judge(NamedTuple):
    """Who is believed: the owner of a public key, or whomever these root certificates vouch for."""

    key: Path | None = None
    roots: tuple[Path, ...] = ()


class _Hint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hint: str


class _Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    raw_bytes: bytes


class _Chain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    certificates: tuple[_Certificate, ...]


class _Material(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Of the first two one is there; log entries are for Sigstore's own way of signing."""

    public_key: _Hint | msgspec.UnsetType = msgspec.UNSET
    x509_certificate_chain: _Chain | msgspec.UnsetType = msgspec.UNSET
    tlog_entries: tuple[()] | msgspec.UnsetType = msgspec.UNSET


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sig: bytes
    keyid: str


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    payload: bytes
    payload_type: str
    signatures: tuple[_Signed, ...]


class _Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    media_type: str
    verification_material: _Material
    dsse_envelope: _Envelope


def own_signer(keys: Path) -> Signer:
    """The project's own key for this, made at first use with its public half beside it."""
    path = keys / PRIVATE_KEY
    if not path.exists():
        make_private(path, generate_private_key(SECP256R1()))
    public = _private_key(path).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_atomic(keys / PUBLIC_KEY, pem)
    return Signer(path)


def own_judge(keys: Path) -> Judge:
    """Believe the project's own key alone; UsageError when it has none."""
    path = keys / PUBLIC_KEY
    if not path.exists():
        found = "no key to verify the model signature with"
        raise UsageError("--require-openssf", found, hint="name one: --openssf-key FILE")
    return Judge(path)


def sign_folder(folder: Path, signer: Signer) -> None:
    """Write `model.sig` into a folder: it covers every other file in it."""
    with _package("bundle export --openssf"):
        from model_signing.hashing import Config as Hashing
        from model_signing.signing import Config
    _private_key(signer.key)
    for path in (*filter(None, [signer.certificate]), *signer.chain):
        _check_certificates(path)
    config = Config().set_hashing_config(Hashing().set_ignored_paths(paths=[MODEL_SIGNATURE]))
    try:
        if signer.certificate:
            config.use_certificate_signer(
                private_key=signer.key,
                signing_certificate=signer.certificate,
                # the package reads one certificate at least
                certificate_chain=signer.chain or [signer.certificate],
            )
        else:
            config.use_elliptic_key_signer(private_key=signer.key)
        config.sign(folder, folder / MODEL_SIGNATURE)
    except ValueError as error:
        raise UsageError(signer.key.name, f"cannot sign with it, {_line(error)}") from None


def verify_folder(folder: Path, judge: Judge, *, where: str) -> None:
    """Raise CorruptError unless `model.sig` is by one who is believed and covers every other file as it is."""
    with _package("verifying a model signature"):
        from model_signing.verifying import Config
        from OpenSSL.crypto import X509StoreContextError
    config = Config()
    if judge.key:
        _check_public_key(judge.key)
        config.use_elliptic_key_verifier(public_key=judge.key)
    else:
        for path in judge.roots:
            _check_certificates(path)
        config.use_certificate_verifier(certificate_chain=judge.roots)
    signed = _parse(folder, judge, where=where)
    try:
        config.verify(folder, folder / MODEL_SIGNATURE)
    except InvalidSignature:
        raise _refusal(where, "does not sign this") from None
    except (ValueError, KeyError, TypeError, X509StoreContextError) as error:
        raise _refusal(where, _line(error)) from None
    _check_covered(folder, signed, where=where)


def _parse(folder: Path, judge: Judge, *, where: str) -> bytes:
    """What is signed, of a signature that has exactly the parts which will be verified, in the package's spelling."""
    try:
        data = (folder / MODEL_SIGNATURE).read_bytes()
        found = msgspec.json.decode(data, type=_Bundle)
    except FileNotFoundError:
        raise CorruptError(where, f"no `{MODEL_SIGNATURE}`, one is required, refusing to load") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _refusal(where, "is no model signature by a key or certificate") from None
    if msgspec.json.encode(found) != data or len(found.dsse_envelope.signatures) != 1:
        raise _refusal(where, "is not spelled as model-signing 1.1 does")
    kind = "key" if judge.key else "certificate"
    if _kind(found.verification_material) != kind:
        raise _refusal(where, f"is not by a {kind}, as was asked")
    return found.dsse_envelope.payload


def _kind(material: _Material) -> str:
    """What the signature is by, if it is by one thing alone."""
    hint = material.public_key.hint if material.public_key else ""
    certificates = material.x509_certificate_chain.certificates if material.x509_certificate_chain else ()
    return "" if bool(hint) == bool(certificates) else "key" if hint else "certificate"


def _check_covered(folder: Path, signed: bytes, *, where: str) -> None:
    """A signer may leave files out, and then says nothing about them."""
    covered = {one["name"] for one in json.loads(signed)["predicate"]["resources"]}
    for path in sorted(folder.iterdir()):
        if path.name not in covered | {MODEL_SIGNATURE}:
            raise _refusal(where, f"says nothing about `{path.name}`")


def _refusal(where: str, found: str) -> CorruptError:
    return CorruptError(where, f"`{MODEL_SIGNATURE}` {found}, refusing to load")


def _line(error: Exception) -> str:
    text = " ".join(str(error).partition(": Expected")[0].split())
    return text[:1].lower() + text[1:]


def _private_key(path: Path) -> EllipticCurvePrivateKey:
    key = read_private(path)
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        raise UsageError(path.name, f"not {OTHER_KEY}", hint="leave it out: --openssf makes a key")
    return key


def _check_public_key(path: Path) -> None:
    try:
        key = load_pem_public_key(path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(str(path), "no such file, expected a public key in PEM") from None
    except ValueError:
        raise UsageError(str(path), "not a public key in PEM") from None
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise UsageError(str(path), f"not {OTHER_KEY}")


def _check_certificates(path: Path) -> None:
    try:
        load_pem_x509_certificates(path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(str(path), "no such file, expected certificates in PEM") from None
    except ValueError:
        raise UsageError(str(path), "no certificates in PEM") from None


@contextmanager
def _package(command: str) -> Iterator[None]:
    """The standard's package is an extra."""
    try:
        yield
    except ModuleNotFoundError:
        raise missing_extra(command, "openssf") from None

"""DSSE envelopes: how in-toto statements travel with a signature that other tools verify.

https://github.com/secure-systems-lab/dsse, version 1; one line of JSON, one signature.
"""

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidegate.errors import CorruptError
from tidegate.registry.keys import fingerprint
from tidegate.registry.sign import Claim, check

ENVELOPE = "provenance.intoto.jsonl"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signature over the payload with its type; `keyid` is the key's fingerprint."""

    keyid: str
    sig: bytes


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A statement with who signed it."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signed, ...]


def seal(key: Ed25519PrivateKey, statement: bytes) -> bytes:
    """The envelope of a statement, signed; the same statement and key give the same bytes."""
    signed = Signed(fingerprint(key.public_key()), key.sign(encode_pae(statement)))
    return _render(Envelope(statement, PAYLOAD_TYPE, (signed,)))


def unseal(keys: Path, envelope: bytes, *, where: str) -> tuple[bytes, str]:
    """The statement in an envelope and the trusted key that signed it; CorruptError when none did."""
    found = _parse(envelope, where=where)
    (signed,) = found.signatures
    pae = encode_pae(found.payload)
    check(keys, Claim(ENVELOPE, "provenance", signed.keyid, signed.sig, pae), where=where)
    return found.payload, signed.keyid


def encode_pae(statement: bytes) -> bytes:
    """What is signed: type and payload with their lengths, so that neither can be read as part of the other."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(statement), statement)


def _parse(data: bytes, *, where: str) -> Envelope:
    """The envelope in a file's bytes, of which no other bytes may be read as the same envelope."""
    try:
        found = msgspec.json.decode(data, type=Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found = None
    if found is None or _render(found) != data or len(found.signatures) != 1:
        raise CorruptError(where, f"{ENVELOPE} is no envelope with one signature, refusing to load")
    if found.payload_type != PAYLOAD_TYPE:
        expected = f"expected `{PAYLOAD_TYPE}`"
        raise CorruptError(where, f"{ENVELOPE} holds `{found.payload_type}`, {expected}, refusing to load")
    return found


def _render(envelope: Envelope) -> bytes:
    return msgspec.json.encode(envelope) + b"\n"

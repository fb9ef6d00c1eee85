"""Envelopes: one statement, one signature, one spelling."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidegate.errors import CorruptError
from tidegate.registry.dsse import encode_pae, seal, unseal
from tidegate.registry.keys import fingerprint, signing_key

STATEMENT = b'{"_type": "https://in-toto.io/Statement/v1"}'


@pytest.fixture
def sealed(keys: Path) -> bytes:
    return seal(signing_key(keys), STATEMENT)


def test_what_was_sealed_is_read_back_with_who_sealed_it(keys: Path, sealed: bytes) -> None:
    name = fingerprint(signing_key(keys).public_key())
    assert unseal(keys, sealed, where="here") == (STATEMENT, name)
    assert seal(signing_key(keys), STATEMENT) == sealed
    assert sealed.count(b"\n") == 1


def test_the_signature_covers_type_and_length() -> None:
    assert encode_pae(b"hello") == b"DSSEv1 28 application/vnd.in-toto+json 5 hello"


def test_an_envelope_by_a_stranger_is_refused(keys: Path, sealed: bytes) -> None:
    with pytest.raises(CorruptError, match="which is not trusted here"):
        unseal(keys, seal(Ed25519PrivateKey.generate(), STATEMENT), where="here")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda one: one | {"payload": "e30="}, "does not sign this provenance"),
        (lambda one: one | {"payloadType": "text/plain"}, "holds `text/plain`"),
        (lambda one: one | {"signatures": []}, "no envelope with one signature"),
        (lambda one: one | {"signatures": one["signatures"] * 2}, "no envelope with one signature"),
        (lambda one: one | {"more": 1}, "no envelope with one signature"),
        (lambda one: {"payloadType": one["payloadType"], **one}, "no envelope with one signature"),
    ],
    ids=["payload", "type", "unsigned", "signed twice", "unknown key", "order"],
)
def test_a_changed_envelope_is_refused(keys: Path, sealed: bytes, change, problem: str) -> None:
    changed = json.dumps(change(json.loads(sealed)), separators=(",", ":")).encode() + b"\n"
    with pytest.raises(CorruptError, match=problem):
        unseal(keys, changed, where="here")


@pytest.mark.parametrize(
    "change", [bytes.strip, lambda text: text + b"\n", lambda text: b"\xff", lambda text: b""]
)
def test_the_same_envelope_in_other_bytes_is_refused(keys: Path, sealed: bytes, change) -> None:
    with pytest.raises(CorruptError, match="no envelope with one signature"):
        unseal(keys, change(sealed), where="here")

"""Keys: private ones are private, public ones are believed until they are revoked."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidegate.errors import CorruptError, NotFoundError, UsageError
from tidegate.registry.keys import (
    REVOKED,
    SIGNING_KEY,
    TRUSTED,
    Key,
    fingerprint,
    list_keys,
    make_private,
    own_key,
    public_pem,
    read_signing_key,
    revoke,
    signing_key,
    trust,
    trusted_key,
)
from tidegate.registry.sign import sign, verify

MANIFEST = b'{"format": 1}\n'


@pytest.fixture
def theirs(tmp_path: Path) -> tuple[Path, str]:
    """A colleague's public key in a file, with its fingerprint."""
    public = Ed25519PrivateKey.generate().public_key()
    path = tmp_path / "theirs.pem"
    path.write_bytes(public_pem(public))
    return path, fingerprint(public)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_private_key_that_others_may_touch_is_refused(keys: Path, mode: int) -> None:
    sign(keys, MANIFEST)
    (keys / SIGNING_KEY).chmod(mode)
    with pytest.raises(UsageError) as caught:
        sign(keys, MANIFEST)
    assert str(caught.value).startswith(f"signing.pem: its mode {mode:04o} lets others read the private key")
    assert caught.value.hint == f"chmod 600 {keys / SIGNING_KEY}"
    (keys / SIGNING_KEY).chmod(0o400)
    assert verify(keys, MANIFEST, sign(keys, MANIFEST), where="here")


def test_only_an_ed25519_private_key_that_is_there_signs(tmp_path: Path, theirs) -> None:
    with pytest.raises(NotFoundError, match=r"^none\.pem: no such file"):
        read_signing_key(tmp_path / "none.pem")
    theirs[0].chmod(0o600)
    with pytest.raises(UsageError, match="not a private key in PEM"):
        read_signing_key(theirs[0])


def test_without_a_key_of_its_own_a_project_has_none_until_it_signs(keys: Path) -> None:
    assert own_key(keys) is None
    assert list_keys(keys) == ()
    made = fingerprint(signing_key(keys).public_key())
    assert list_keys(keys) == (Key(made, "trusted", True),)
    assert fingerprint(own_key(keys).public_key()) == made


def test_a_trusted_key_is_listed_and_believed_until_it_is_revoked(keys: Path, theirs) -> None:
    path, name = theirs
    assert trust(keys, path) == trust(keys, path) == name
    assert list_keys(keys) == (Key(name, "trusted", False),)
    assert fingerprint(trusted_key(keys, name)) == name
    assert revoke(keys, name[:4]) == name
    assert list_keys(keys) == (Key(name, "revoked", False),)
    assert trusted_key(keys, name) is None


def test_a_revoked_key_is_not_believed_wherever_else_it_lies(keys: Path, theirs) -> None:
    path, name = theirs
    trust(keys, path)
    revoke(keys, name)
    (keys / TRUSTED / "again.pem").write_bytes(path.read_bytes())
    assert trusted_key(keys, name) is None
    assert list_keys(keys) == (Key(name, "revoked", False),)


def test_trusting_a_revoked_key_again_must_be_said(keys: Path, theirs) -> None:
    path, name = theirs
    trust(keys, path)
    revoke(keys, name)
    trust(keys, path)
    assert trusted_key(keys, name) is not None
    assert list((keys / REVOKED).iterdir()) == []


def test_a_key_that_was_revoked_signs_nothing_more_and_its_successor_does(keys: Path) -> None:
    old = sign(keys, MANIFEST)
    name = fingerprint(signing_key(keys).public_key())
    revoke(keys, name)
    with pytest.raises(UsageError, match=f"key {name[:12]} was revoked here, refusing to sign"):
        sign(keys, MANIFEST)
    (keys / SIGNING_KEY).unlink()
    assert verify(keys, MANIFEST, sign(keys, MANIFEST), where="here") != name
    with pytest.raises(CorruptError, match="not trusted here"):
        verify(keys, MANIFEST, old, where="here")


def test_after_a_change_of_keys_old_signatures_stay_good(keys: Path) -> None:
    old = sign(keys, MANIFEST)
    (keys / SIGNING_KEY).rename(keys.parent / "retired.pem")
    new = sign(keys, MANIFEST)
    assert verify(keys, MANIFEST, old, where="here") != verify(keys, MANIFEST, new, where="here")


def test_revoking_needs_a_start_that_names_one_trusted_key(keys: Path, theirs) -> None:
    trust(keys, theirs[0])
    for prefix in ("", "xyz"):
        with pytest.raises(NotFoundError, match=f"`{prefix}` begins 0 fingerprints of trusted keys"):
            revoke(keys, prefix)


@pytest.mark.parametrize(
    ("text", "problem"),
    [(b"no key", "not a public key in PEM"), (None, "no such file, expected a public key in PEM")],
)
def test_what_is_no_public_key_is_not_trusted(keys: Path, tmp_path: Path, text, problem) -> None:
    path = tmp_path / "key.pem"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises((UsageError, NotFoundError), match=problem):
        trust(keys, path)
    assert list_keys(keys) == ()


def test_a_private_key_is_not_taken_for_a_public_one(keys: Path, tmp_path: Path) -> None:
    make_private(tmp_path / "private.pem", Ed25519PrivateKey.generate())
    with pytest.raises(UsageError, match="not a public key in PEM"):
        trust(keys, tmp_path / "private.pem")

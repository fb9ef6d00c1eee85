"""The keys that clients of the gateway prove themselves with: only their digests are kept."""

import os
from pathlib import Path

import msgspec

from tidegate.domain import AccessKey
from tidegate.errors import ConflictError, CorruptError, NotFoundError
from tidegate.store.files import write_atomic
from tidegate.store.lock import hold


def read_keys(path: Path) -> tuple[AccessKey, ...]:
    """The keys in a file; none without it. Raises CorruptError for a file that is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[AccessKey, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        found = f"no list of access keys, {error}"
        raise CorruptError(path.name, found, hint="restore it, or make the keys anew") from None


def add_key(path: Path, key: AccessKey) -> None:
    """Keep one more key; ConflictError when its name is taken."""
    with hold(path.with_suffix(".lock"), what="access keys", wait_s=10):
        keys = read_keys(path)
        if any(one.name == key.name for one in keys):
            raise ConflictError("access", f"there is a key `{key.name}`", hint="tidegate access revoke")
        _write(path, (*keys, key))


def remove_key(path: Path, name: str) -> AccessKey:
    """Forget a key; NotFoundError when there is none of this name."""
    with hold(path.with_suffix(".lock"), what="access keys", wait_s=10):
        keys = read_keys(path)
        found = next((one for one in keys if one.name == name), None)
        if found is None:
            raise NotFoundError("access", f"no key `{name}`", hint="tidegate access ls")
        _write(path, tuple(one for one in keys if one is not found))
        return found


def _write(path: Path, keys: tuple[AccessKey, ...]) -> None:
    """Readable by its owner only, from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = os.umask(0o077)
    try:
        write_atomic(path, msgspec.json.format(msgspec.json.encode(keys)) + b"\n")
    finally:
        os.umask(before)

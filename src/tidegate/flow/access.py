"""Keys for the clients of the gateway: made once, shown once, known here only by their digest."""

import hashlib
import secrets
import time
from pathlib import Path
from typing import NamedTuple

from tidegate.domain import AccessKey, AccessRole
from tidegate.store.access import add_key, read_keys, remove_key
from tidegate.store.layout import Layout

PREFIX = "tg_"


class Made(NamedTuple):
    """A new key and its token, which nobody can see again."""

    key: AccessKey
    token: str


def make_key(root: Path, name: str, roles: tuple[AccessRole, ...], *, rate: float | None = None) -> Made:
    """Make a key with these roles that may ask `rate` times a second; ConflictError for a name that is taken."""
    token = PREFIX + secrets.token_urlsafe(32)
    key = AccessKey(name, hashlib.sha256(token.encode()).hexdigest(), roles, rate, time.time())
    add_key(Layout(root).access, key)
    return Made(key, token)


def list_keys(root: Path) -> tuple[AccessKey, ...]:
    """Every key, without its token."""
    return read_keys(Layout(root).access)


def revoke_key(root: Path, name: str) -> AccessKey:
    """Forget a key; a running gateway refuses it within a second."""
    return remove_key(Layout(root).access, name)

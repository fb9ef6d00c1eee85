"""A place that keeps objects for others: what it must be able to do, and how the configured one is opened."""

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Protocol

from tidegate.data.config import DvcConfig, RemoteConfig, is_true
from tidegate.data.config_keys import scheme_of
from tidegate.errors import NotFoundError, UsageError, did_you_mean

Received = Callable[[int], None]

# scheme -> what opens it, imported on use
SCHEMES: Mapping[str, str] = {
    "": "tidegate.data.local_remote:open_local",
    "s3": "tidegate.data.fsspec_remote:open_fsspec",
    "gs": "tidegate.data.fsspec_remote:open_fsspec",
    "azure": "tidegate.data.fsspec_remote:open_fsspec",
    "ssh": "tidegate.data.fsspec_remote:open_fsspec",
    "http": "tidegate.data.http_remote:open_http",
    "https": "tidegate.data.http_remote:open_http",
}
_DEEPEST = 10


class Remote(Protocol):
    """Bytes under keys such as `files/md5/ab/cdef...`, relative to the remote's url.

    A key holds all its bytes or is not there. Methods are called from several threads at once. They raise
    FileNotFoundError for a key that is not there, PermissionError where trying again is useless, and
    ConnectionError where it may help; no message holds a secret.
    """

    where: str
    jobs: int
    is_buffered: bool
    """Whether what was put is only safe after `os.sync`."""

    def have(self, keys: Collection[str]) -> set[str]:
        """Those of the keys that are there, by as few requests as can be."""

    def get(self, key: str, into: str, *, received: Received) -> str:
        """Bring the bytes into a file, continuing a part of them that is there already; their md5.

        `received` is called with the length of each piece; what it raises ends the transfer.
        """

    def put(self, source: str, key: str) -> None:
        """Store a file's bytes under the key."""

    def list(self, prefix: str) -> list[str]:
        """All keys below `prefix`, which ends in `/` or is empty."""

    def remove(self, key: str) -> None:
        """Forget the key; one that is not there is fine."""


def open_remote(config: DvcConfig, name: str | None = None) -> Remote:
    """The remote of this name, or the default one; NotFoundError when there is none."""
    remote = find_remote(config, name)
    where = f"remote {remote.name}"
    for option in ("version_aware", "worktree"):
        if is_true(remote.options, option):
            hint = f"use `dvc` for this remote, or a remote without `{option}`"
            raise UsageError(where, f"`{option}` is not supported, expected a plain remote", hint=hint)
    scheme = scheme_of(remote.url)
    if scheme not in SCHEMES:
        raise UsageError(where, f"`{scheme}://` is not supported, expected one of {_known()}")
    module, _, function = SCHEMES[scheme].partition(":")
    opened: Remote = getattr(import_module(module), function)(remote)
    return opened


def find_remote(config: DvcConfig, name: str | None = None) -> RemoteConfig:
    """The configured remote, with what a `remote://other/path` url takes over from the other one."""
    chosen = (name or config.core.remote or "").lower()
    if not chosen:
        hint = "tidegate remote default NAME" if config.remotes else "tidegate remote add -d NAME URL"
        raise NotFoundError("remote", "none is named and no default is set, expected one", hint=hint)
    return _composed(config, chosen, depth=0)


def _composed(config: DvcConfig, name: str, depth: int) -> RemoteConfig:
    if name not in config.remotes:
        near = did_you_mean(name, config.remotes) or ", expected one of `tidegate remote list`"
        raise NotFoundError(f"remote {name}", f"not configured{near}", hint=f"tidegate remote add {name} URL")
    remote = config.remotes[name]
    if scheme_of(remote.url) != "remote":
        return remote
    if depth == _DEEPEST:
        raise UsageError(f"remote {name}", "its url leads back to itself, expected an address at the end")
    base_name, _, inner = remote.url.partition("://")[2].partition("/")
    base = _composed(config, base_name.lower(), depth + 1)
    return RemoteConfig(name, f"{base.url}/{inner.lstrip('/')}", {**base.options, **remote.options})


def _known() -> str:
    return ", ".join(["a directory", *(f"{scheme}://" for scheme in SCHEMES if scheme)])

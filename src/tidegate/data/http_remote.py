"""A remote that a web server holds; it can be read, not listed and not written."""

import os
from collections.abc import Collection
from typing import Any, NoReturn

from tidegate.data.backends import ask_secret, ssl_verify
from tidegate.data.config import RemoteConfig, is_true
from tidegate.data.fsspec_remote import FsspecRemote, make_file_system
from tidegate.data.remote import Received
from tidegate.data.wire import Backend, Gathering, load, shown_url, translated
from tidegate.errors import UsageError

_TIMEOUT_S = 60.0
_PIECE = 1 << 20
_OK = 200
_PARTIAL = 206
_FIRST_ERROR = 400
_NOT_FOUND = (404, 410)
_FORBIDDEN = (401, 403)
_NO_HEAD = (405, 501)
_BEYOND_END = 416


def open_http(config: RemoteConfig) -> "HttpRemote":
    """Prepare to ask the server; no request is sent yet."""
    return HttpRemote(config, HTTP, make_file_system(config, HTTP))


class HttpRemote(FsspecRemote):
    """Objects below a url of the web."""

    def have(self, keys: Collection[str]) -> set[str]:
        """The web has no listing, so one request for each."""
        return self._ask_each(keys)

    def get(self, key: str, into: str, *, received: Received) -> str:
        """Go on after the bytes that are there, if the server can; else start anew."""
        run = load("fsspec.asyn:sync")
        with translated(self._config, self._backend), Gathering(into, received) as gathering:
            run(self._system.loop, _download, self._system, self._url(key), gathering)
            return gathering.md5()

    def put(self, source: str, key: str) -> NoReturn:
        """Refused."""
        self._refuse("be written")

    def list(self, prefix: str) -> NoReturn:
        """Refused."""
        self._refuse("be listed, which the run cache needs")

    def remove(self, key: str) -> NoReturn:
        """Refused."""
        self._refuse("be written")

    def _is_there(self, key: str) -> bool:
        run = load("fsspec.asyn:sync")
        with translated(self._config, self._backend):
            return bool(run(self._system.loop, _exists, self._system, self._url(key)))

    def _url(self, key: str) -> str:
        return f"{self._config.url.rstrip('/')}/{key}"

    def _refuse(self, what: str) -> NoReturn:
        scheme = self._config.url.partition(":")[0]
        message = f"a remote on {scheme} can only be read, it cannot {what}"
        raise UsageError(f"remote {self._config.name}", message, hint="name another one with --remote")


async def _exists(system: Any, url: str) -> bool:
    """Some servers answer only whole requests; then the bytes are not read."""
    session = await system.set_session()
    async with session.head(url, allow_redirects=True) as answer:
        status = answer.status
    if status in _NO_HEAD:
        async with session.get(url) as answer:
            status = answer.status
    if status in (*_NOT_FOUND, *_FORBIDDEN):
        return False
    check_answer(status, url)
    return True


async def _download(system: Any, url: str, gathering: Gathering) -> None:
    session = await system.set_session()
    headers = {"Accept-Encoding": "identity"}
    if gathering.size:
        headers["Range"] = f"bytes={gathering.size}-"
    async with session.get(url, headers=headers) as answer:
        if gathering.size and answer.status == _BEYOND_END:
            return
        check_answer(answer.status, url)
        if gathering.size and answer.status != _PARTIAL:
            gathering.restart()
        async for piece in answer.content.iter_chunked(_PIECE):
            gathering.add(piece)


def check_answer(status: int, url: str) -> None:
    """Raise what a status that is no success means."""
    if status in _NOT_FOUND:
        raise FileNotFoundError(shown_url(url))
    if status in _FORBIDDEN:
        raise PermissionError(f"the server answers {status}")
    if status >= _FIRST_ERROR:
        raise ConnectionError(f"the server answers {status}")


def _make_http(config: RemoteConfig) -> Any:
    return load("fsspec.implementations.http:HTTPFileSystem")(
        get_client=_open_session, client_kwargs=http_arguments(config), skip_instance_cache=True
    )


def http_arguments(config: RemoteConfig) -> dict[str, Any]:
    """What a session needs: who asks, and how long it waits."""
    options = config.options
    arguments: dict[str, Any] = {
        "ssl_verify": ssl_verify(options),
        "connect_timeout": float(options.get("connect_timeout", _TIMEOUT_S)),
        "read_timeout": float(options.get("read_timeout", _TIMEOUT_S)),
    }
    method = options.get("auth", "").lower()
    if not method:
        return arguments
    password = options.get("password")
    if password is None and is_true(options, "ask_password"):
        password = ask_secret(f"password for remote {config.name}")
    name_key = {"basic": "user", "custom": "custom_auth_header"}.get(method)
    if name_key is None:
        raise UsageError(
            f"remote {config.name}", f"auth `{method}` is not supported, expected basic or custom"
        )
    if name_key not in options or password is None:
        raise UsageError(f"remote {config.name}", f"auth `{method}` needs `{name_key}` and `password`")
    return arguments | {"auth": (method, options[name_key], password)}


async def _open_session(
    *,
    ssl_verify: bool | str | None,
    connect_timeout: float,
    read_timeout: float,
    auth: tuple[str, str, str] | None = None,
    **kwargs: Any,
) -> Any:
    """Only the waiting is limited, not the whole: a large object may take hours."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(
        total=None, connect=connect_timeout, sock_connect=connect_timeout, sock_read=read_timeout
    )
    if auth and auth[0] == "basic":
        kwargs["auth"] = aiohttp.BasicAuth(auth[1], auth[2])
    elif auth:
        kwargs["headers"] = {auth[1]: auth[2]}
    connector = aiohttp.TCPConnector(ssl=_trust(ssl_verify))
    return aiohttp.ClientSession(timeout=timeout, connector=connector, trust_env=True, **kwargs)


def _trust(verify: bool | str | None) -> Any:
    if not isinstance(verify, str):
        return verify is not False
    import ssl

    return ssl.create_default_context(cafile=os.path.expanduser(verify))  # noqa: PTH111


HTTP = Backend("http", _make_http, ("aiohttp:ClientError",))

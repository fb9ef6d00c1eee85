"""Data outside of the project, under a URL: what its storage says of them, and bringing them here."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.data.config import DvcConfig, RemoteConfig, load_dvc_config
from tidegate.data.config_keys import scheme_of
from tidegate.data.hash import Files, Hashed, find_files, hash_path
from tidegate.data.links import copy_file
from tidegate.data.md5 import md5_bytes
from tidegate.data.statcache import StatCache
from tidegate.errors import CorruptError, UnavailableError, UsageError

if TYPE_CHECKING:
    from tidegate.data.fsspec_remote import FsspecRemote
    from tidegate.data.wire import Backend

Stored = Callable[[int], None]
_NOTHING: Mapping[str, str] = {}
# how each storage names a content; what is not here is read and hashed
_CHECKSUMS = {"s3": "etag", "gs": "etag", "azure": "etag", "http": "checksum", "https": "checksum"}


class Fetch(NamedTuple):
    """How to bring data: with options of a remote, so many at once, and who hears the size of each file."""

    options: Mapping[str, str] = _NOTHING
    jobs: int | None = None
    stored: Stored = lambda size: None


_PLAIN = Fetch()


class _Place(NamedTuple):
    """A URL with its options resolved, and what speaks to its storage."""

    config: RemoteConfig
    backend: "Backend"
    system: Any

    @property
    def scheme(self) -> str:
        return scheme_of(self.config.url)


def hash_url(root: Path, url: str, options: Mapping[str, str] = _NOTHING) -> Hashed | None:
    """What the storage says of the content: an etag or checksum as the kind, or an md5; None when nothing is there.

    `options` are those of a remote, for this URL alone. Of a directory, the md5 of the list of its files, as DVC
    makes it. Raises UnavailableError when the storage does not answer.
    """
    config = resolve_url(load_dvc_config(root), url, options)
    local = _local_path(config)
    if local:
        return hash_path(_no_memory(root), local)
    place = _open(config)
    try:
        if place.scheme in ("http", "https"):
            return _hash_page(place)
        return _hash_stored(place)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreachable(config, error) from None


def fetch_url(root: Path, url: str, target: Path, *, how: Fetch = _PLAIN) -> None:
    """Bring the file or directory to `target`, where nothing is yet.

    What breaks off goes on where it was, a few times; where an md5 is known the bytes are held against it. Raises
    FileNotFoundError when nothing is there, UnavailableError when it cannot be brought.
    """
    config = resolve_url(load_dvc_config(root), url, how.options)
    local = _local_path(config)
    if local:
        _copy(root, local, target, how.stored)
        return
    place = _open(config)
    try:
        _download(place, target, how)
    except FileNotFoundError:
        raise FileNotFoundError(url) from None
    except OSError as error:
        raise _unreachable(config, error) from None


def resolve_url(config: DvcConfig, url: str, options: Mapping[str, str] = _NOTHING) -> RemoteConfig:
    """The URL with the options to reach it; `remote://name/path` takes them from the remote of this name."""
    if not url.startswith("remote://"):
        return RemoteConfig(url, url, dict(options))
    from tidegate.data.remote import find_remote

    name, _, inner = url.removeprefix("remote://").partition("/")
    base = find_remote(config, name)
    joined = f"{base.url.rstrip('/')}/{inner.lstrip('/')}"
    return RemoteConfig(base.name, joined, {**base.options, **options})


def _local_path(config: RemoteConfig) -> str:
    return config.url.removeprefix("file://") if scheme_of(config.url) == "" else ""


def _no_memory(root: Path) -> Files:
    return Files(root, StatCache(root / ".tidegate" / "cache" / "stat.json"))


def _open(config: RemoteConfig) -> _Place:
    from tidegate.data.backends import BACKENDS
    from tidegate.data.fsspec_remote import make_file_system
    from tidegate.data.http_remote import HTTP

    scheme = scheme_of(config.url)
    backend = HTTP if scheme in ("http", "https") else BACKENDS.get(scheme)
    if backend is None:
        known = ", ".join(("http", "https", *BACKENDS))
        raise UsageError(config.url, f"`{scheme}://` is not supported, expected a path or one of {known}")
    return _Place(config, backend, make_file_system(config, backend))


def _hash_page(place: _Place) -> Hashed | None:
    from tidegate.data.wire import load, translated

    with translated(place.config, place.backend):
        told = load("fsspec.asyn:sync")(place.system.loop, _head, place.system, place.config.url)
    tag = told.get("ETag") or told.get("Content-MD5")
    if not tag:
        found = "the server sends neither ETag nor Content-MD5, expected one to see changes by"
        raise UsageError(place.config.url, found, hint="download the file, then `tidegate add` it")
    return Hashed(tag, int(told.get("Content-Length") or -1), kind="checksum")


async def _head(system: Any, url: str) -> Mapping[str, str]:
    """The headers by which a page is known; some servers answer only a request for the page itself."""
    from tidegate.data.http_remote import check_answer

    session = await system.set_session()
    headers = {"Accept-Encoding": "identity"}
    async with session.head(url, allow_redirects=True, headers=headers) as answer:
        if answer.status < 400:
            return _headers(answer)
    async with session.get(url, headers=headers) as answer:
        check_answer(answer.status, url)
        return _headers(answer)


def _headers(answer: Any) -> Mapping[str, str]:
    """As they are: their names have no case."""
    headers: Mapping[str, str] = answer.headers
    return headers


def _hash_stored(place: _Place) -> Hashed | None:
    from tidegate.data.fsspec_remote import path_of
    from tidegate.data.wire import translated

    path = path_of(place.config.url)
    with translated(place.config, place.backend):
        info = place.system.info(path)
        if info["type"] != "directory":
            return Hashed(_checksum(place, info), int(info["size"]), kind=_kind(place))
        found = _files(place, path)
        listed = {inner: _checksum(place, one) for inner, one in found.items()}
    size = sum(int(one["size"]) for one in found.values())
    return Hashed(f"{_tree_md5(listed, _kind(place))}.dir", size, len(listed))


def _files(place: _Place, path: str) -> dict[str, Any]:
    """What is inside of a directory, by path from there; keys that stand for directories are left out."""
    start = len(path.rstrip("/")) + 1
    found = place.system.find(path, detail=True)
    return {
        name[start:]: info for name, info in sorted(found.items()) if name[start:] and not name.endswith("/")
    }


def _kind(place: _Place) -> str:
    return _CHECKSUMS.get(place.scheme, "md5")


def _checksum(place: _Place, info: Mapping[str, Any]) -> str:
    """The name of a content in the form in which DVC records it."""
    if place.scheme == "s3":
        return str(info["ETag"]).strip('"')
    if place.scheme == "gs":
        import base64

        return base64.b64decode(info["etag"]).hex()
    if place.scheme == "azure":
        tag = str(info["etag"])
        return tag if tag.startswith('"') else f'"{tag}"'
    return _read_md5(place, str(info["name"]))


def _read_md5(place: _Place, path: str) -> str:
    import hashlib

    from tidegate.data.wire import reads

    digest = hashlib.md5(usedforsecurity=False)
    for piece in reads(place.system, path, 0):
        digest.update(piece)
    return digest.hexdigest()


def _tree_md5(listed: Mapping[str, str], kind: str) -> str:
    """DVC's digest of a directory that is known by the checksums of its storage."""
    import json

    rows = [{kind: checksum, "relpath": path} for path, checksum in listed.items()]
    rows.sort(key=lambda row: row["relpath"])
    return md5_bytes(json.dumps(rows, sort_keys=True).encode())


def _download(place: _Place, target: Path, how: Fetch) -> None:
    """Of one file the parent is the remote and the name the key; of a directory it is the remote itself."""
    from tidegate.data.crew import Crew
    from tidegate.data.fsspec_remote import path_of
    from tidegate.data.wire import translated

    url, found = place.config.url.rstrip("/"), dict[str, Any]()
    if place.scheme not in ("http", "https"):
        with translated(place.config, place.backend):
            info = place.system.info(path_of(url))
            is_folder = info["type"] == "directory"
            found = _files(place, path_of(url)) if is_folder else {"": info}
    base, _, name = url.rpartition("/")
    single = not found or "" in found
    remote = _remote(place, base if single else url)
    crew = Crew(how.jobs or remote.jobs, lambda: None)

    def bring(inner: str) -> int:
        into = target / inner if inner else target
        into.parent.mkdir(parents=True, exist_ok=True)
        key = inner or name
        md5 = crew.patiently(lambda: remote.get(key, str(into), received=lambda size: crew.check()))
        _verify(place, found.get(inner), md5)
        return into.stat().st_size

    for size in crew.work(bring, list(found) or [""]):
        how.stored(size)


def _remote(place: _Place, url: str) -> "FsspecRemote":
    from tidegate.data.fsspec_remote import FsspecRemote
    from tidegate.data.http_remote import HttpRemote

    kind = HttpRemote if place.scheme in ("http", "https") else FsspecRemote
    return kind(place.config._replace(url=url), place.backend, place.system)


def _verify(place: _Place, info: Mapping[str, Any] | None, md5: str) -> None:
    """An etag of S3 is the md5 of a file that was stored in one piece and without a key."""
    tag = str(info.get("ETag", "")).strip('"') if info and place.scheme == "s3" else ""
    is_plain = len(tag) == len(md5) and not place.config.options.keys() & {
        "sse_kms_key_id",
        "sse_customer_key",
    }
    if is_plain and info and info.get("ServerSideEncryption", "AES256") == "AES256" and tag != md5:
        raise CorruptError(place.config.url, f"the bytes have md5 {md5}, expected {tag}")


def _copy(root: Path, local: str, target: Path, stored: Stored) -> None:
    source = root / local
    if not source.exists():
        raise FileNotFoundError(local)
    inner = [one.path for one in find_files(root, local)] if source.is_dir() else [""]
    if source.is_dir():
        target.mkdir(parents=True)
    for path in inner:
        into = target / path if path else target
        into.parent.mkdir(parents=True, exist_ok=True)
        copy_file(str(source / path) if path else str(source), str(into))
        stored(into.stat().st_size)


def _unreachable(config: RemoteConfig, error: OSError) -> UnavailableError:
    from tidegate.data.wire import shown_url

    hint = "check the address, the network and the credentials, then try again"
    return UnavailableError(shown_url(config.url), error.strerror or str(error), hint=hint)

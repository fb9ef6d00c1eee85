"""Another repository, read at a commit: which of its data and files lie at a path, and bringing them here."""

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.data.cache import has_object
from tidegate.data.checkout import checkout
from tidegate.data.config import DvcConfig, RemoteConfig, load_dvc_config, merge_config, read_text
from tidegate.data.folders import fetch_folders, part_of, save_part
from tidegate.data.hash import Hashed
from tidegate.data.md5 import MD5
from tidegate.data.objects import ObjectCache, read_tree
from tidegate.data.remote import Remote, open_remote
from tidegate.data.transfer import fetch
from tidegate.errors import NotFoundError, TidegateError, UnavailableError, did_you_mean
from tidegate.pipeline.index import Index, load_index
from tidegate.pipeline.source import describes_stages, revision
from tidegate.store.clones import commit_in_clone, find_repository, open_clone
from tidegate.store.git import list_files, read_files, resolve_commit

_HIDDEN = (".dvcignore",)


class Foreign(NamedTuple):
    """A repository at a commit; `folder` is where git answers, `is_here` says that it is the original itself.

    `repo` is what a .dvc file says of it: `url`, `rev`, `rev_lock`, `config`, `remote`.
    """

    url: str
    folder: Path
    commit: str
    is_here: bool
    repo: Mapping[str, Any] = {}


class Piece(NamedTuple):
    """Tracked data at `inner` below the path asked for: an out's content, or the part of it at `narrow`."""

    inner: str
    hashed: Hashed
    narrow: str = ""
    remote: str = ""


class Contents(NamedTuple):
    """What lies at a path: tracked data, and files of git by path from there."""

    pieces: tuple[Piece, ...]
    files: Mapping[str, str]


def open_foreign(root: Path, repo: Mapping[str, Any], *, locked: bool = True) -> Foreign:
    """The repository that a .dvc file of the project names, at the commit recorded, or at what `rev` is now.

    Raises UsageError for an unknown revision, UnavailableError when the repository cannot be reached.
    """
    url = str(repo["url"])
    lock = str(repo.get("rev_lock") or "") if locked else ""
    rev = lock or str(repo.get("rev") or "")
    local = find_repository(root, url, near=(Path.cwd(),))
    if local:
        return Foreign(url, local, resolve_commit(local, rev or "HEAD"), is_here=True, repo=repo)
    clone = open_clone(root, url, needs=lock)
    return Foreign(url, clone, lock or commit_in_clone(clone, rev), is_here=False, repo=repo)


def read_index(foreign: Foreign) -> Index:
    """The stages and data of the repository at its commit."""
    return load_index(revision(foreign.folder, foreign.commit))


def find_contents(foreign: Foreign, path: str) -> Contents:
    """What lies at a path, as seen from the repository's root; NotFoundError when nothing does."""
    at = posixpath.normpath(path.strip("/")) if path.strip("/") else "."
    index = read_index(foreign)
    pieces = tuple(_pieces(index, at))
    listed = list_files(foreign.folder, foreign.commit)
    files = {inner: name for name in listed if (inner := _inside(name, at)) is not None and _is_data(name)}
    if not pieces and not files:
        known = [*listed, *(out.at for stage in index.stages.values() for out in stage.outs)]
        found = f"neither data nor a file at commit {foreign.commit[:7]}{did_you_mean(at, known)}"
        raise NotFoundError(f"{path} ({foreign.url})", found, hint=f"tidegate list {foreign.url} -R")
    return Contents(pieces, files)


def bring_contents(cache: ObjectCache, foreign: Foreign, contents: Contents, target: Path) -> None:
    """Make files and data at `target`, an absolute path where nothing is yet."""
    for inner, hashed in fetch_pieces(cache, foreign, contents):
        into = target / inner if inner else target
        into.parent.mkdir(parents=True, exist_ok=True)
        checkout(cache, str(into), hashed)
    blobs = read_files(foreign.folder, foreign.commit, contents.files.values())
    for inner, name in contents.files.items():
        into = target / inner if inner else target
        into.parent.mkdir(parents=True, exist_ok=True)
        into.write_bytes(blobs[name])


def fetch_pieces(
    cache: ObjectCache, foreign: Foreign, contents: Contents, *, jobs: int | None = None
) -> list[tuple[str, Hashed]]:
    """Bring the objects of tracked data into the cache; each piece's path and content.

    What our cache lacks comes from theirs, if it is on this machine, else from their remote. Raises
    UnavailableError when it is not to be had.
    """
    return [(piece.inner, _fetch_piece(cache, foreign, piece, jobs)) for piece in contents.pieces]


def foreign_config(foreign: Foreign) -> DvcConfig:
    """Their configuration, with what our .dvc file says beside it."""
    said = foreign.repo.get("config")
    if foreign.is_here:
        config = load_dvc_config(foreign.folder)
    else:
        at = ".dvc/config"
        text = read_files(foreign.folder, foreign.commit, [at]).get(at, b"").decode("utf-8", "replace")
        config = merge_config(foreign.folder, {"repo": text})
    if isinstance(said, str):
        ours = merge_config(Path(said).resolve().parent, {"local": read_text(Path(said))})
        config = _joined(config, dict(ours.remotes), ours.core.remote)
    if isinstance(said, Mapping):
        remotes = {name: _as_remote(name, one) for name, one in said.get("remote", {}).items()}
        config = _joined(config, remotes, said.get("core", {}).get("remote"))
    return _with_remote(config, foreign.repo.get("remote"))


def _pieces(index: Index, at: str) -> Iterator[Piece]:
    for stage in index.stages.values():
        for out in stage.outs:
            hashed = index.lock[stage.key].outs.get(out.path) if stage.key in index.lock else None
            if not out.cache or hashed is None or not hashed.md5:
                continue
            inner = _inside(out.at, at)
            if inner is not None:
                yield Piece(inner, hashed, remote=out.remote)
            elif (narrow := _inside(at, out.at)) and hashed.md5.endswith(".dir"):
                yield Piece("", hashed, narrow, remote=out.remote)


def _inside(path: str, at: str) -> str | None:
    """The path as seen from `at`; None when it is elsewhere."""
    if at == ".":
        return path
    if path == at:
        return ""
    return path.removeprefix(f"{at}/") if path.startswith(f"{at}/") else None


def _is_data(name: str) -> bool:
    """What describes data is not data."""
    return not describes_stages(name) and name.rpartition("/")[2] not in _HIDDEN


def _fetch_piece(cache: ObjectCache, foreign: Foreign, piece: Piece, jobs: int | None) -> Hashed:
    reasons: list[str] = []
    for source in _sources(cache, foreign, piece, reasons):
        if piece.narrow and source and part_of(cache, piece.hashed, piece.narrow) is None:
            fetch_folders(cache, source, [piece.hashed], jobs=jobs)
        wanted = _wanted(cache, foreign, piece)
        if wanted is None:
            continue
        if source and not has_object(cache, wanted):
            done = fetch(cache, source, [wanted], jobs=jobs)
            reasons += [f"{one.name} {one.reason}" for one in done.failures[:1]]
        if has_object(cache, wanted):
            return wanted
    why = reasons[-1] if reasons else "neither their cache nor a remote of theirs is known"
    hint = "`--remote` or `--config` names where their data are"
    raise UnavailableError(f"{foreign.url}", f"its data cannot be had: {why}", hint=hint)


def _sources(
    cache: ObjectCache, foreign: Foreign, piece: Piece, reasons: list[str]
) -> Iterator[Remote | None]:
    """First nobody else: all may be here already."""
    yield None
    config = foreign_config(foreign)
    if foreign.is_here and config.cache.dir.is_dir():
        yield open_remote(
            config._replace(remotes={"cache": RemoteConfig("cache", str(config.cache.dir), {})}), "cache"
        )
    if piece.remote or config.core.remote:
        try:
            yield open_remote(config, piece.remote or None)
        except TidegateError as error:
            reasons.append(str(error))


def _wanted(cache: ObjectCache, foreign: Foreign, piece: Piece) -> Hashed | None:
    """What to fetch and check out: the content itself, or the part of it that is asked for; None if unknown."""
    if not piece.narrow:
        return piece.hashed
    part = part_of(cache, piece.hashed, piece.narrow)
    if part is None:
        return None
    if not part:
        found = "no such file in the directory that is tracked there"
        raise NotFoundError(f"{piece.narrow} ({foreign.url})", found)
    return part[0][1] if part[0][0] == "" else save_part(cache, part, piece.hashed.kind)


def is_plain(contents: Contents) -> bool:
    """Whether all that lies at the path is one tracked content of today's kind."""
    return not contents.files and [(one.inner, one.hashed.kind) for one in contents.pieces] == [("", MD5)]


def _joined(config: DvcConfig, remotes: Mapping[str, RemoteConfig], default: str | None) -> DvcConfig:
    merged = {**config.remotes}
    for name, one in remotes.items():
        was = config.remotes.get(name)
        options = {**(was.options if was else {}), **one.options}
        merged[name] = RemoteConfig(name, one.url or (was.url if was else ""), options)
    core = config.core._replace(remote=default.lower() if default else config.core.remote)
    return config._replace(remotes=merged, core=core)


def _with_remote(config: DvcConfig, said: Any) -> DvcConfig:
    """A remote named becomes the default; options alone complete the default one."""
    if isinstance(said, str) and said:
        return _joined(config, {}, said)
    if isinstance(said, Mapping) and said:
        name = config.core.remote or "imported"
        return _joined(config, {name: _as_remote(name, said)}, name)
    return config


def _as_remote(name: str, values: Mapping[str, Any]) -> RemoteConfig:
    options = {key: str(value) for key, value in values.items() if key != "url"}
    return RemoteConfig(name, str(values.get("url", "")), options)


def read_list(
    cache: ObjectCache, foreign: Foreign, hashed: Hashed, remote: str = ""
) -> list[tuple[str, str]]:
    """Path and md5 of the files in a directory tracked there; UnavailableError when its list is not to be had."""
    reasons: list[str] = []
    for source in _sources(cache, foreign, Piece("", hashed, remote=remote), reasons):
        if source:
            fetch_folders(cache, source, [hashed])
        listed = read_tree(cache, hashed)
        if listed is not None:
            return listed
    hint = "`--remote` or `--config` names where their data are"
    raise UnavailableError(foreign.url, f"the list {hashed.md5} of a directory is not to be had", hint=hint)

"""DVC's configuration: four files, each shadowing the one before, read into one frozen record."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from tidegate.data.config_keys import (
    NAMED_KEYS,
    PATH_KEYS,
    REMOTE_KEYS,
    SECRET_KEYS,
    SECTION_KEYS,
    check_key,
    check_value,
    scheme_of,
)
from tidegate.data.ini import read_ini
from tidegate.errors import UsageError, did_you_mean

# in the order in which they shadow each other
LEVELS = ("system", "global", "repo", "local")
_NAMED = re.compile(r'^\s*(remote|machine|db)\s*"(.*)"\s*$')


class Core(NamedTuple):
    """Section `core`: the default remote and how commands behave."""

    remote: str | None = None
    autostage: bool = False
    no_scm: bool = False
    hardlink_lock: bool = False
    checksum_jobs: int | None = None
    site_cache_dir: str | None = None


class Cache(NamedTuple):
    """Section `cache`: where the cache lies (absolute) and how files are linked from it."""

    dir: Path
    types: tuple[str, ...] = ("reflink", "copy")
    shared: bool = False
    verify: bool = False
    slow_link_warning: bool = True


class Parsing(NamedTuple):
    """Section `parsing`: how dictionaries in a command become flags."""

    bool: str = "store_true"
    list: str = "nargs"


class RemoteConfig(NamedTuple):
    """A remote: its url, absolute if it is a path, and its options as written; shows no secret."""

    name: str
    url: str
    options: Mapping[str, str]

    def __repr__(self) -> str:
        shown = {key: "***" if key in SECRET_KEYS else value for key, value in self.options.items()}
        return f"RemoteConfig({self.name!r}, {self.url!r}, {shown})"


class DvcConfig(NamedTuple):
    """What all levels together say; `settings` has every section other than remotes, as written."""

    root: Path
    core: Core
    cache: Cache
    parsing: Parsing
    remotes: Mapping[str, RemoteConfig]
    settings: Mapping[str, Mapping[str, str]]


class Value(NamedTuple):
    """A value and the `file:line` that says it."""

    text: str
    where: str


Values = dict[str, dict[str, Value]]


def load_dvc_config(root: Path) -> DvcConfig:
    """The configuration of the repository at `root`; UsageError at `file:line` for what DVC refuses."""
    return merge_config(root, {level: read_text(level_file(root, level)) for level in LEVELS})


def merge_config(root: Path, texts: Mapping[str, str]) -> DvcConfig:
    """The configuration that these texts, by level, make together."""
    merged: Values = {}
    for level in LEVELS:
        text = texts.get(level)
        for section, values in parse_level(root, level, text).items() if text else ():
            merged.setdefault(section, {}).update(values)
    settings = {name: _texts(values) for name, values in merged.items() if not name.startswith("remote ")}
    remotes = {
        name.partition(" ")[2]: _remote(name.partition(" ")[2], values)
        for name, values in merged.items()
        if name.startswith("remote ")
    }
    return DvcConfig(
        root,
        _core(settings.get("core", {})),
        _cache(root, settings.get("cache", {})),
        Parsing(**settings.get("parsing", {})),
        MappingProxyType(remotes),
        MappingProxyType(settings),
    )


def parse_level(root: Path, level: str, text: str) -> Values:
    """Checked values by section (`core`, `remote name`) of one file, its relative paths resolved."""
    file = level_file(root, level)
    name = f".dvc/{file.name}" if file.parent == root / ".dvc" else str(file)
    values: Values = {}
    for section in read_ini(text, name):
        named = _NAMED.match(section.name)
        title = f"{named[1]} {named[2]}" if named else section.name
        known = _known_keys(title, f"{name}:{section.line}")
        values[title] = {}
        for entry in section.entries:
            where = f"{name}:{entry.line}"
            check_value(check_key(entry.key, known, where), entry.value, where)
            is_path = entry.key in PATH_KEYS if named else (title, entry.key) == ("cache", "dir")
            resolved = resolve_path(file.parent, entry.value) if is_path else entry.value
            values[title][entry.key] = Value(resolved, where)
    return values


def level_file(root: Path, level: str) -> Path:
    """The config file of a level."""
    if level in ("repo", "local"):
        return root / ".dvc" / ("config" if level == "repo" else "config.local")
    return _user_folder(level) / "config"


def read_text(file: Path) -> str:
    """The text of a config file, empty when there is none."""
    try:
        return file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except UnicodeDecodeError:
        raise UsageError(str(file), "bytes that are not UTF-8, expected text") from None


def resolve_path(folder: Path, value: str) -> str:
    """A path as DVC means it: `~` expanded, relative ones from the config file's folder; URLs as they are."""
    if re.match(r"\w+://", value) or os.path.isabs(value):  # noqa: PTH117
        return value
    expanded = os.path.expanduser(value)  # noqa: PTH111
    return os.path.normpath(os.path.join(os.path.abspath(folder), expanded))  # noqa: PTH100, PTH118


def is_true(values: Mapping[str, str], key: str, *, default: bool = False) -> bool:
    """A flag as DVC reads it."""
    return values.get(key, str(default)).lower() == "true"


def _user_folder(level: str) -> Path:
    chosen = os.environ.get(f"DVC_{level.upper()}_CONFIG_DIR")
    if chosen:
        return Path(chosen)
    if sys.platform == "darwin":
        return Path("/" if level == "system" else Path.home()) / "Library" / "Application Support" / "dvc"
    if level == "system":
        first = os.environ.get("XDG_CONFIG_DIRS", "").split(os.pathsep)[0]
        return Path(first or "/etc/xdg") / "dvc"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "dvc"


def _known_keys(title: str, where: str) -> Mapping[str, str]:
    kind = title.partition(" ")[0]
    if kind == "remote" and " " in title:
        return _ALL_REMOTE_KEYS
    known = NAMED_KEYS.get(kind) if " " in title else SECTION_KEYS.get(title)
    if known is None:
        raise UsageError(where, f"unknown section `{title}`{did_you_mean(title, SECTION_KEYS)}")
    return known


# one file may say the options and another the url, so which of them fit is asked after merging
_ALL_REMOTE_KEYS = {key: "text" for keys in REMOTE_KEYS.values() for key in keys}


def _remote(name: str, values: dict[str, Value]) -> RemoteConfig:
    if "url" not in values:
        where = next((value.where for value in values.values()), ".dvc/config")
        hint = f"tidegate remote modify {name} url URL"
        raise UsageError(where, f"remote `{name}` has no `url`, expected one", hint=hint)
    url = values["url"]
    scheme = scheme_of(url.text)
    if scheme == "remote":
        known: Mapping[str, str] = _ALL_REMOTE_KEYS
    elif scheme in REMOTE_KEYS:
        known = REMOTE_KEYS[scheme]
    else:
        near = (
            did_you_mean(scheme, REMOTE_KEYS) or f", expected one of {', '.join(filter(None, REMOTE_KEYS))}"
        )
        raise UsageError(url.where, f"unknown scheme `{scheme}://`{near}")
    for key, value in values.items():
        check_value(check_key(key, known, value.where), value.text, value.where)
    options = {key: value.text for key, value in values.items() if key != "url"}
    return RemoteConfig(name, url.text, MappingProxyType(options))


def _core(values: Mapping[str, str]) -> Core:
    jobs = values.get("checksum_jobs")
    return Core(
        remote=values["remote"].lower() if "remote" in values else None,
        autostage=is_true(values, "autostage"),
        no_scm=is_true(values, "no_scm"),
        hardlink_lock=is_true(values, "hardlink_lock"),
        checksum_jobs=int(jobs) if jobs else None,
        site_cache_dir=values.get("site_cache_dir"),
    )


def _cache(root: Path, values: Mapping[str, str]) -> Cache:
    types = tuple(link.strip() for link in values.get("type", "reflink,copy").split(","))
    return Cache(
        dir=Path(values.get("dir") or root / ".dvc" / "cache"),
        types=types,
        shared="shared" in values,
        verify=is_true(values, "verify"),
        slow_link_warning=is_true(values, "slow_link_warning", default=True),
    )


def _texts(values: Mapping[str, Value]) -> Mapping[str, str]:
    return {key: value.text for key, value in values.items()}

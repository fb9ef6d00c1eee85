"""Change DVC's config files: one line at a time, checked as a whole before anything is written."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tidegate.data.config import (
    LEVELS,
    DvcConfig,
    level_file,
    load_dvc_config,
    merge_config,
    parse_level,
    read_text,
)
from tidegate.data.config_keys import PATH_KEYS
from tidegate.data.ini import read_ini, set_entry, unset_entry, unset_section
from tidegate.errors import ConflictError, NotFoundError, UsageError, did_you_mean

_NAME = re.compile(r"^(?:(?P<kind>remote|db|machine)\.)?(?P<section>[^.]+)\.(?P<key>[^.]+)$")


class ConfigFile(NamedTuple):
    """The config file of a level that a command run in `cwd` changes."""

    root: Path
    cwd: Path
    level: str = "repo"


def add_remote(file: ConfigFile, name: str, url: str, *, force: bool = False) -> None:
    """A new remote; ConflictError when this file has one of that name, unless `force` replaces it."""
    title = f'remote "{name.lower()}"'
    known = f"remote {name.lower()}" in read_level(file)
    if known and not force:
        hint = f"tidegate remote modify {name} url {url}, or add --force"
        raise ConflictError(f"remote {name}", "exists already, expected a new name", hint=hint)
    written = _written(file, url)
    if known:
        # `--force` starts anew: options of the old place would not fit the new one
        edit_config(file, lambda text: set_entry(unset_section(text, title), title, "url", value=written))
    else:
        edit_config(file, lambda text: set_entry(text, title, "url", value=written))


def modify_remote(file: ConfigFile, name: str, key: str, *, value: str | None) -> None:
    """Set an option of a remote, or unset it when `value` is None."""
    _require_remote(file, name)
    if value is None:
        edit_config(file, lambda text: unset_entry(text, f'remote "{name.lower()}"', key.lower()))
    else:
        set_option(file, f"remote.{name}.{key}", value)


def remove_remote(file: ConfigFile, name: str) -> None:
    """Remove a remote from this file, and `core.remote` where this file or a shadowing one names it."""
    if f"remote {name.lower()}" not in read_level(file):
        raise _no_remote(name, load_dvc_config(file.root), file.level)
    for level in reversed(LEVELS[LEVELS.index(file.level) + 1 :]):
        _forget_default(file._replace(level=level), name)
    edit_config(file, lambda text: _without_default(unset_section(text, f'remote "{name.lower()}"'), name))


def set_default_remote(file: ConfigFile, name: str | None) -> None:
    """Choose the remote that commands use by default, or none."""
    if name is None:
        edit_config(file, lambda text: unset_entry(text, "core", "remote"))
        return
    _require_remote(file, name)
    chosen = name.lower()
    edit_config(file, lambda text: set_entry(text, "core", "remote", value=chosen))


def set_option(file: ConfigFile, name: str, value: str) -> None:
    """Set `section.key` or `remote.name.key`; UsageError, with nothing written, when DVC would refuse it."""
    section, key = _split(name)
    is_path = key in PATH_KEYS if '"' in section else (section, key) == ("cache", "dir")
    written = _written(file, value) if is_path else value
    edit_config(file, lambda text: set_entry(text, section, key, value=written))


def unset_option(file: ConfigFile, name: str) -> None:
    """Unset `section.key` or `remote.name.key`; NotFoundError when this file does not say it."""
    section, key = _split(name)
    if key not in read_level(file).get(section.replace('"', ""), {}):
        raise NotFoundError(name, f"not set in the {file.level} config, expected a value there")
    edit_config(file, lambda text: unset_entry(text, section, key))


def read_level(file: ConfigFile) -> dict[str, dict[str, str]]:
    """What this one file says, by section (`core`, `remote name`) and key, its paths resolved."""
    text = read_text(level_file(file.root, file.level))
    parsed = parse_level(file.root, file.level, text)
    return {title: {key: value.text for key, value in values.items()} for title, values in parsed.items()}


def edit_config(file: ConfigFile, change: Callable[[str], str]) -> None:
    """Change the text of a config file, atomically and only to what is valid together with the levels below it.

    A file that is empty then holds a line break, as DVC writes it. Raises UsageError for what DVC would refuse.
    """
    path = level_file(file.root, file.level)
    texts = {level: read_text(level_file(file.root, level)) for level in LEVELS}
    changed = change(texts[file.level])
    merge_config(file.root, {**_up_to(texts, file.level), file.level: changed})
    if changed != texts[file.level]:
        from tidegate.store.files import write_atomic

        write_atomic(path, changed)


def _up_to(texts: dict[str, str], level: str) -> dict[str, str]:
    return {one: texts[one] for one in LEVELS[: LEVELS.index(level)]}


def _written(file: ConfigFile, value: str) -> str:
    """A path as it is written: relative to the config file, unless it is absolute, a URL or starts with `~`."""
    if re.match(r"\w+://", value) or value.startswith("~") or Path(value).is_absolute():
        return value
    return Path(os.path.relpath(file.cwd / value, level_file(file.root, file.level).parent)).as_posix()


def _split(name: str) -> tuple[str, str]:
    match = _NAME.match(name)
    if not match:
        raise UsageError(name, "found, expected `section.key` or `remote.name.key`")
    section = match["section"].lower()
    return f'{match["kind"]} "{section}"' if match["kind"] else section, match["key"].lower()


def _require_remote(file: ConfigFile, name: str) -> None:
    texts = {level: read_text(level_file(file.root, level)) for level in LEVELS}
    config = merge_config(file.root, {**_up_to(texts, file.level), file.level: texts[file.level]})
    if name.lower() not in config.remotes:
        raise _no_remote(name, config, file.level)


def _no_remote(name: str, config: DvcConfig, level: str) -> NotFoundError:
    near = did_you_mean(name, config.remotes)
    hint = "tidegate remote list" if config.remotes else f"tidegate remote add {name} URL"
    return NotFoundError(
        f"remote {name}", f"not in the {level} config{near or ', expected one that is'}", hint=hint
    )


def _forget_default(file: ConfigFile, name: str) -> None:
    if read_level(file).get("core", {}).get("remote", "").lower() == name.lower():
        edit_config(file, lambda text: unset_entry(text, "core", "remote"))


def _without_default(text: str, name: str) -> str:
    core = next((one for one in read_ini(text, "config") if one.name == "core"), None)
    named = core and any(one.key == "remote" and one.value.lower() == name.lower() for one in core.entries)
    return unset_entry(text, "core", "remote") if named else text

"""Give a remote another name, in its config file and wherever it is the default one."""

from tidegate.data.config import LEVELS, level_file, load_dvc_config, read_text
from tidegate.data.config_edit import ConfigFile, edit_config, read_level
from tidegate.data.ini import read_ini, set_entry, unset_section
from tidegate.errors import ConflictError, NotFoundError, did_you_mean


def rename_remote(file: ConfigFile, name: str, new: str) -> None:
    """Rename a remote of this file, and `core.remote` here and in the files that shadow it.

    Raises NotFoundError when this file has no such remote, ConflictError when any file has the new name.
    """
    old, new = name.lower(), new.lower()
    if new in load_dvc_config(file.root).remotes:
        raise ConflictError(
            f"remote {new}", "exists already, expected a new name", hint="tidegate remote list"
        )
    own = [title.partition(" ")[2] for title in read_level(file) if title.startswith("remote ")]
    if old not in own:
        near = did_you_mean(old, own) or ", expected one that is"
        raise NotFoundError(
            f"remote {name}", f"not in the {file.level} config{near}", hint="tidegate remote list"
        )
    edit_config(file, lambda text: _renamed(text, old, new))
    for level in LEVELS[LEVELS.index(file.level) + 1 :]:
        shadowing = file._replace(level=level)
        if _default(read_text(level_file(file.root, level))) == old:
            edit_config(shadowing, lambda text: set_entry(text, "core", "remote", value=new))


def _renamed(text: str, old: str, new: str) -> str:
    """The values as they are written; the renamed section comes last among remotes, where DVC puts it."""
    title = f'remote "{old}"'
    entries = next(one.entries for one in read_ini(text, "config") if one.name == title)
    is_default = _default(text) == old
    text = unset_section(text, title)
    for entry in entries:
        text = set_entry(text, f'remote "{new}"', entry.key, value=entry.value)
    return set_entry(text, "core", "remote", value=new) if is_default else text


def _default(text: str) -> str:
    sections = {one.name: one.entries for one in read_ini(text, "config")}
    named = {entry.key: entry.value for entry in sections.get("core", [])}
    return named.get("remote", "").lower()

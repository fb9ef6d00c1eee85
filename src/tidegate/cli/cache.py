"""`tidegate cache`: where the cache lies."""

from typing import Any

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.remote import config_file, level_options, require_value, unset_option
from tidegate.data.config_edit import ConfigFile, read_level, set_option
from tidegate.data.config_edit import unset_option as unset_value


@click.group("cache")
def command() -> None:
    """Show or choose the directory of the cache.

    \b
    Example:
      tidegate cache dir
      tidegate cache dir /mnt/shared/cache
    """


@command.command("dir")
@click.argument("value", required=False)
@unset_option
@level_options
@json_option
def directory(value: str | None, *, unset: bool, level: str | None, as_json: bool, **rest: Any) -> None:
    """Print the directory of the cache, or make it VALUE; a relative path counts from the current directory.

    \b
    Example:
      tidegate cache dir --local ../cache
      tidegate cache dir --unset
    """
    file = config_file(level)
    if unset:
        unset_value(file, "cache.dir")
    elif value is not None:
        set_option(file, "cache.dir", value)
    is_changed = unset or value is not None
    found = _directory(file, None if is_changed else level)
    if as_json:
        print_json({"dir": found})
    elif not is_changed:
        say(found)


def _directory(file: ConfigFile, level: str | None) -> str:
    """What one file says, or what counts."""
    if level:
        return require_value(read_level(file).get("cache", {}).get("dir"), "cache.dir", level)
    from tidegate.data.config import load_dvc_config

    return str(load_dvc_config(file.root).cache.dir)

"""`tidegate cache`: where the cache lies."""

from typing import Any

import click

from tidegate.cli.output import say
from tidegate.cli.remote import config_file, level_options, require_value, unset_option
from tidegate.data.config_edit import read_level, set_option
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
def directory(value: str | None, *, unset: bool, level: str | None, **rest: Any) -> None:
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
    elif level:
        say(require_value(read_level(file).get("cache", {}).get("dir"), "cache.dir", level))
    else:
        from tidegate.data.config import load_dvc_config

        say(str(load_dvc_config(file.root).cache.dir))

"""`tidegate remote`: the places that keep data, in DVC's configuration."""

from pathlib import Path
from typing import Any

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.sync import options
from tidegate.data.config_edit import (
    ConfigFile,
    add_remote,
    modify_remote,
    read_level,
    remove_remote,
    set_default_remote,
)
from tidegate.errors import NotFoundError, UsageError
from tidegate.store.layout import find_root

level_options = options(
    click.option("--global", "level", flag_value="global", help="In the user's config."),
    click.option("--system", "level", flag_value="system", help="In the machine's config."),
    click.option("--project", "level", flag_value="repo", help="In .dvc/config, which git keeps."),
    click.option("--local", "level", flag_value="local", help="In .dvc/config.local, which git ignores."),
    click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors."),
    click.option("-v", "--verbose", is_flag=True, help="The same as without; DVC has it."),
)
unset_option = click.option("-u", "--unset", is_flag=True, help="Remove the value.")


def config_file(level: str | None) -> ConfigFile:
    """The config file that the options name, .dvc/config if none does."""
    return ConfigFile(find_root(), Path.cwd(), level or "repo")


@click.group("remote")
def command() -> None:
    """Add, list and change the places that keep data: a directory, s3://, gs://, azure://, ssh://, http://.

    \b
    Example:
      tidegate remote add -d storage s3://bucket/data
      tidegate remote modify storage region eu-west-1
      tidegate remote list
    """


@command.command("add")
@click.argument("name")
@click.argument("url")
@click.option("-d", "--default", "is_default", is_flag=True, help="Make it the default remote.")
@click.option("-f", "--force", is_flag=True, help="Replace a remote of this name.")
@level_options
@json_option
def add(name: str, url: str, *, level: str | None, as_json: bool, **given: Any) -> None:
    """Add a remote NAME at URL; a relative path counts from the current directory.

    \b
    Example:
      tidegate remote add -d storage ../data-storage
    """
    file = config_file(level)
    add_remote(file, name, url, force=given["force"])
    if given["is_default"]:
        set_default_remote(file, name)
        if not given["quiet"] and not as_json:
            say(f"Setting '{name.lower()}' as a default remote.")
    _tell(file, level, as_json=as_json)


@command.command("default")
@click.argument("name", required=False)
@unset_option
@level_options
@json_option
def default(name: str | None, *, unset: bool, level: str | None, as_json: bool, **rest: Any) -> None:
    """Make NAME the default remote; without NAME, print which one it is.

    \b
    Example:
      tidegate remote default storage
      tidegate remote default --unset
    """
    file = config_file(level)
    if unset or name:
        set_default_remote(file, None if unset else name)
        _tell(file, level, as_json=as_json)
        return
    found = _default(file, level)
    print_json({"default": found or None}) if as_json else say(found or "No default remote set")
    if not found:
        raise click.exceptions.Exit(1)


@command.command("list")
@level_options
@json_option
def list_remotes(*, level: str | None, as_json: bool, **rest: Any) -> None:
    """List the remotes with their addresses.

    \b
    Example:
      tidegate remote list
      tidegate remote list --local
    """
    remotes = _remotes(config_file(level), level)
    if as_json:
        print_json(remotes)
        return
    for one in remotes:
        text = f"{one['name']}\t{one['url']}" + "\t(default)" * one["default"]
        say(text.expandtabs(), color="green" if one["default"] else None)


@command.command("modify")
@click.argument("name")
@click.argument("option")
@click.argument("value", required=False)
@unset_option
@level_options
@json_option
def modify(name: str, option: str, value: str | None, *, as_json: bool, **given: Any) -> None:
    """Set OPTION of the remote NAME to VALUE.

    \b
    Example:
      tidegate remote modify storage jobs 16
      tidegate remote modify --local storage secret_access_key SECRET
      tidegate remote modify storage jobs --unset
    """
    if value is None and not given["unset"]:
        hint = f"tidegate remote modify {name} {option} VALUE"
        raise UsageError("remote modify", f"no value for `{option}`, expected one or --unset", hint=hint)
    file = config_file(given["level"])
    modify_remote(file, name, option, value=None if given["unset"] else value)
    _tell(file, given["level"], as_json=as_json)


@command.command("remove")
@click.argument("name")
@level_options
@json_option
def remove(name: str, *, level: str | None, as_json: bool, **rest: Any) -> None:
    """Forget the remote NAME; the data there stay.

    \b
    Example:
      tidegate remote remove storage
    """
    file = config_file(level)
    remove_remote(file, name)
    _tell(file, level, as_json=as_json)


@command.command("rename")
@click.argument("name")
@click.argument("new")
@level_options
@json_option
def rename(name: str, new: str, *, level: str | None, as_json: bool, **rest: Any) -> None:
    """Call the remote NAME from now on NEW.

    \b
    Example:
      tidegate remote rename storage archive
    """
    from tidegate.data.config_rename import rename_remote

    file = config_file(level)
    rename_remote(file, name, new)
    _tell(file, level, as_json=as_json)


def _remotes(file: ConfigFile, level: str | None) -> list[dict[str, Any]]:
    chosen = _default(file, level)
    return [{"name": name, "url": url, "default": name == chosen} for name, url in _urls(file, level).items()]


def _tell(file: ConfigFile, level: str | None, *, as_json: bool) -> None:
    """After a change programs are told what remotes there are now, people nothing."""
    if as_json:
        print_json(_remotes(file, level))


def _urls(file: ConfigFile, level: str | None) -> dict[str, str]:
    """Of one file, or of all together."""
    if level is None:
        from tidegate.data.config import load_dvc_config

        return {name: remote.url for name, remote in load_dvc_config(file.root).remotes.items()}
    sections = read_level(file)
    return {
        title.partition(" ")[2]: values.get("url", "")
        for title, values in sections.items()
        if title.startswith("remote ")
    }


def _default(file: ConfigFile, level: str | None) -> str:
    if level is None:
        from tidegate.data.config import load_dvc_config

        return load_dvc_config(file.root).core.remote or ""
    return read_level(file).get("core", {}).get("remote", "").lower()


def require_value(found: str | None, name: str, level: str) -> str:
    """The value of an option; NotFoundError when the file does not say it."""
    if found is None:
        raise NotFoundError(name, f"not set in the {level} config, expected a value there")
    return found

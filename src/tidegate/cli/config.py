"""`tidegate config show`: every setting with its value, the defaults included."""

import json
from collections.abc import Sequence
from typing import TypeGuard

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.errors import UsageError, did_you_mean
from tidegate.project import load_config, settings
from tidegate.store.layout import find_root


@click.group("config", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Show the settings of tidegate.toml.

    \b
    Example:
      tidegate config show
      tidegate config show gate
    """


@command.command("show")
@click.argument("section", required=False)
@json_option
def show(section: str | None, *, as_json: bool) -> None:
    """Print every setting in TOML, with the defaults of what the file leaves out.

    \b
    Example:
      tidegate config show rollout
    """
    values = settings(load_config(find_root()))
    if section and section not in values:
        found = f"unknown section{did_you_mean(section, values)}"
        raise UsageError(f"config show {section}", found, hint="tidegate config show")
    chosen = {section: values[section]} if section else values
    if as_json:
        print_json(chosen)
        return
    say(render(chosen))


def render(tables: dict[str, dict[str, object]]) -> str:
    """The settings as the text of a `tidegate.toml`."""
    return "\n".join(part for name, table in tables.items() for part in _render_table(name, table))


def _render_table(name: str, table: dict[str, object]) -> list[str]:
    nested = {key: value for key, value in table.items() if _is_tables(value)}
    parts = [_block(f"[{name}]", {key: value for key, value in table.items() if key not in nested})]
    for key, entries in nested.items():
        parts += [_block(f"[[{name}.{key}]]", entry) for entry in entries]
    return parts


def _block(head: str, values: dict[str, object]) -> str:
    return "\n".join([head, *(f"{key} = {_literal(value)}" for key, value in values.items()), ""])


def _is_tables(value: object) -> TypeGuard[Sequence[dict[str, object]]]:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], dict)


def _literal(value: object) -> str:
    """A TOML literal; JSON's strings, numbers, booleans and flat lists are valid TOML."""
    return json.dumps(value, ensure_ascii=False)

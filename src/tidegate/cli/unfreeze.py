"""`tidegate unfreeze`: let frozen stages run again."""

import click

from tidegate.cli.freeze import print_frozen
from tidegate.cli.output import json_option


@click.command("unfreeze")
@click.argument("targets", nargs=-1, required=True)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="As without; for scripts written for dvc.")
@json_option
def command(targets: tuple[str, ...], *, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Let TARGETS, frozen stages or .dvc files, run again when their deps change.

    \b
    Example:
      tidegate unfreeze prepare
    """
    print_frozen(targets, frozen=False, as_json=as_json, quiet=quiet)

"""`tidegate labels`: the truth, when it comes."""

from pathlib import Path

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.errors import UsageError
from tidegate.flow.late import add_labels, read_label_file
from tidegate.store.layout import find_root


@click.command("labels")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--label", "pairs", multiple=True, metavar="REQUEST=TRUTH", help="One label; can be repeated.")
@json_option
def command(file: Path | None, *, pairs: tuple[str, ...], as_json: bool) -> None:
    """Add late labels by request id from FILE, a table with the columns `request` and `truth`.

    They count for the rollout's `wrong_rate` and for the alarm on lost quality. `POST /labels` does the same.

    \b
    Example:
      tidegate labels labels.csv
      tidegate labels --label order-8812=7
    """
    labels = [_pair(text) for text in pairs] + (read_label_file(file) if file else [])
    if not labels:
        raise UsageError("labels", "no labels, expected FILE or --label", hint="tidegate labels --help")
    count = add_labels(find_root(), labels)
    if as_json:
        print_json({"accepted": count})
    else:
        say(f"{count} {'label' if count == 1 else 'labels'} added")


def _pair(text: str) -> tuple[str, str]:
    request, mark, truth = text.rpartition("=")
    if not mark or not request or not truth:
        raise UsageError("labels --label", f"`{text}`, expected REQUEST=TRUTH", hint="--label order-8812=7")
    return request, truth

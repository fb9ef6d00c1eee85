"""`tidegate labels`: the truth, when it comes, and where it is likely wrong."""

import csv
import io
from pathlib import Path

import click

from tidegate.cli.output import json_option, print_json, print_table, say
from tidegate.errors import UsageError
from tidegate.flow.late import add_labels, read_label_file
from tidegate.store.files import write_atomic
from tidegate.store.layout import find_root

SHOWN = 20
FEW = 3
HEADS = ("rank", "id", "given", "suggested", "confidence", "suggested_confidence")


@click.group("labels")
def command() -> None:
    """Add late labels by request id, or list labels that are likely wrong.

    \b
    Example:
      tidegate labels add labels.csv
      tidegate labels suspect
    """


@command.command("add")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--label", "pairs", multiple=True, metavar="REQUEST=TRUTH", help="One label; can be repeated.")
@json_option
def add(file: Path | None, *, pairs: tuple[str, ...], as_json: bool) -> None:
    """Add late labels by request id from FILE, a table with the columns `request` and `truth`.

    They count for the rollout's `wrong_rate` and for the alarm on lost quality. `POST /labels` does the same.

    \b
    Example:
      tidegate labels add labels.csv
      tidegate labels add --label order-8812=7
    """
    labels = [_pair(text) for text in pairs] + (read_label_file(file) if file else [])
    if not labels:
        raise UsageError("labels", "no labels, expected FILE or --label", hint="tidegate labels add --help")
    added = add_labels(find_root(), labels)
    if as_json:
        print_json({"accepted": added.accepted, "unknown": list(added.unknown)})
        return
    say(f"{added.accepted} {'label' if added.accepted == 1 else 'labels'} added")
    if added.unknown:
        more = ", ..." if len(added.unknown) > FEW else ""
        named = f"{', '.join(added.unknown[:FEW])}{more}"
        say(f"no logged prediction for {len(added.unknown)} of them: {named}", color="yellow")


@command.command("suspect")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--top", type=click.IntRange(1), help="Only the N most suspect rows.")
@click.option(
    "--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write them to a file."
)
@json_option
def suspect(file: Path | None, *, top: int | None, csv_file: Path | None, as_json: bool) -> None:
    """List rows whose label is likely wrong, most suspect first, by confident learning on the model's scores.

    Looks at the evaluation rows, or at FILE with the same columns: id, truth, prediction and the scores of each
    class, from a model that was not trained on these rows. Needs the extra `labels`.

    \b
    Example:
      tidegate labels suspect --top 50
      tidegate labels suspect out-of-fold.parquet --csv review.csv
    """
    from tidegate.flow.suspects import list_suspects

    rows, found = list_suspects(find_root(), file)
    chosen = found[:top]
    if csv_file:
        write_atomic(csv_file, _csv([suspect[: len(HEADS)] for suspect in chosen]))
    if as_json:
        print_json({"rows": rows, "found": len(found), "suspects": [one._asdict() for one in chosen]})
        return
    say(f"{len(found):,} of {rows:,} labels look wrong")
    shown = chosen if top else chosen[:SHOWN]
    lines = [(*one[:4], f"{one.confidence:.3f}", f"{one.suggested_confidence:.3f}") for one in shown]
    if lines:
        print_table(("rank", "id", "given", "suggested", "confidence", "of suggested"), lines)
    if len(shown) < len(chosen):
        say(f"and {len(chosen) - len(shown):,} more, see `--top` and `--csv`")


def _csv(lines: list[tuple[object, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADS, *lines])
    return text.getvalue()


def _pair(text: str) -> tuple[str, str]:
    request, mark, truth = text.rpartition("=")
    if not mark or not request or not truth:
        hint = "tidegate labels add --label order-8812=7"
        raise UsageError("labels --label", f"`{text}`, expected REQUEST=TRUTH", hint=hint)
    return request, truth

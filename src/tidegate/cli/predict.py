"""`tidegate predict`: ask the endpoint from the command line."""

from pathlib import Path
from typing import Any

import click

from tidegate.cli.output import json_option, print_json, print_table, say
from tidegate.errors import UsageError
from tidegate.flow.ask import predict_row, predict_table
from tidegate.store.layout import find_root


@click.command("predict")
@click.argument("table", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--row", help="One row as JSON: a list in the contract's order, or an object.")
@click.option("-n", "--first", type=click.IntRange(1), help="Only the first N rows of TABLE.")
@json_option
def command(table: Path | None, *, row: str | None, first: int | None, as_json: bool) -> None:
    """Ask the live model for predictions of the rows in TABLE (CSV or Parquet), or of one --row.

    The columns `data.id` and `data.label` of the table are not sent. The endpoint must be up.

    \b
    Example:
      tidegate predict data/processed/test.csv -n 5
      tidegate predict --row '{"x0": 1.5, "x1": 0}'
    """
    if (table is None) == (row is None):
        raise UsageError("predict", "expected either TABLE or --row", hint="tidegate predict --help")
    root = find_root()
    found = predict_row(root, row) if row is not None else predict_table(root, table or Path(), first=first)
    if as_json:
        print_json(found)
        return
    print_table(("row", "prediction", "score"), _lines(found))
    say(f"release {found['release']}, bundle {found['bundle'][:12]}")


def _lines(found: dict[str, Any]) -> list[tuple[str, object, str]]:
    scores = [f"{max(row):.3f}" if row else "" for row in found["scores"]]
    return list(zip(found["rows"], found["predictions"], scores, strict=True))

"""`tidegate log`: the last answers that were given, and everything about them in SQL."""

import csv
import io
import time
from collections.abc import Sequence
from typing import Any

import click

from tidegate.cli.output import clock, json_option, print_json, print_table, say, short
from tidegate.domain import Prediction
from tidegate.errors import UsageError
from tidegate.store.layout import Layout, find_root
from tidegate.store.predictions import Search, Size, damaged_segments, find_predictions, log_size

SHOWN = 3
MILLION = 1_000_000


@click.group("log", invoke_without_command=True)
@click.option(
    "-n", "--last", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many."
)
@click.option("--request", metavar="ID", default="", help="Only the row of this request.")
@click.option(
    "--since", metavar="TIME", default="", help="Only rows as young as this: `90s`, `10m`, `1h`, `7d`."
)
@json_option
@click.pass_context
def command(context: click.Context, *, last: int, request: str, since: str, as_json: bool) -> None:
    """Show recent predictions, newest first; with --json also inputs and scores.

    `flags` are the rules of the data contract that a row broke although it was answered.

    \b
    Example:
      tidegate log -n 5
      tidegate log --request order-8812 --json
    """
    if context.invoked_subcommand:
        return
    folder = Layout(find_root()).log
    search = Search(last, request, time.time() - _seconds(since) if since else float("-inf"))
    rows = find_predictions(folder, search)
    if as_json:
        print_json([{name: getattr(row, name) for name in Prediction.__struct_fields__} for row in rows])
        return
    heads = ("at", "request", "unit", "role", "bundle", "output", "score", "ms", "status", "flags")
    print_table(heads, [_line(row) for row in rows])
    for name in damaged_segments(folder):
        say(f"segment {name} is damaged: rows behind the damage are not shown", color="yellow")


@command.command("query")
@click.argument("sql")
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "csv", "json")),
    default="table",
    show_default=True,
    help="How to print.",
)
@click.option(
    "--limit", type=click.IntRange(1), default=1000, show_default=True, help="Rows to print at most."
)
@click.option("--timeout", metavar="TIME", default="30s", show_default=True, help="When to give up.")
@json_option
def query(sql: str, *, form: str, limit: int, timeout: str, as_json: bool) -> None:
    """Answer a SELECT over the views `predictions`, `labels` and `joined`, in the SQL of DuckDB.

    `predictions` has an input of the model in a column of its name. `joined` adds to each prediction its `truth`
    (the first label counts) and `is_right`. The query reads what is logged by now and reaches nothing else.

    \b
    Example:
      tidegate log query "select role, count(*) n, avg(latency_ms) ms from predictions group by role"
      tidegate log query "select avg(is_right::int) from joined where time > now() - interval 1 day"
    """
    from tidegate.flow.log import query_log

    answer = query_log(find_root(), sql, timeout_s=_seconds(timeout), limit=limit)
    form = "json" if as_json else form
    if form == "json":
        print_json([dict(zip(answer.columns, row, strict=True)) for row in answer.rows])
    elif form == "csv":
        click.echo(_csv([answer.columns, *answer.rows]), nl=False)
    else:
        print_table(answer.columns, [[_cell(value) for value in row] for row in answer.rows])
    if answer.is_cut:
        click.echo(f"only the first {limit} rows, `--limit` for more", err=True)


@command.command("compact")
@json_option
def compact(*, as_json: bool) -> None:
    """Turn what is written into Parquet now, and delete what `[log]` says is too old or too much.

    `tidegate up` does it every `log.compact_every`; a segment that a gateway is still writing waits.

    \b
    Example:
      tidegate log compact
    """
    from tidegate.flow.log import keep_log

    done, gone = keep_log(find_root(), grace_s=0)
    if as_json:
        print_json({**done._asdict(), "deleted": [one._asdict() for one in gone]})
        return
    saved = f", {done.saved / MILLION:.1f} MB smaller" if done.saved > 0 else ""
    say(f"{done.segments} segments compacted, {done.rows:,} rows{saved}")
    for one in gone:
        say(f"{one.name} deleted for its {one.reason}")


@command.command("size")
@json_option
def size(*, as_json: bool) -> None:
    """Show how large the log is, and since when it has rows.

    \b
    Example:
      tidegate log size
    """
    found = log_size(Layout(find_root()).log)
    if as_json:
        print_json([one._asdict() for one in found])
        return
    heads = ("stream", "segments", "open", "MB", "parquet", "MB", "since")
    print_table(heads, [_size_line(one) for one in found])


def _size_line(one: Size) -> tuple[object, ...]:
    since = "" if one.oldest is None else clock(one.oldest)
    segments = (one.segments, one.open_segments, f"{one.segment_bytes / MILLION:.1f}")
    return (one.stream, *segments, one.parquet, f"{one.parquet_bytes / MILLION:.1f}", since)


def _line(row: Prediction) -> tuple[object, ...]:
    score = f"{max(row.scores):.3f}" if row.scores else ""
    answer = "" if row.output is None else row.output
    shown = (row.role, short(row.bundle), answer, score, f"{row.latency_ms:.2f}", row.status)
    more = f" and {len(row.flags) - SHOWN} more" if len(row.flags) > SHOWN else ""
    return (clock(row.at), row.request, row.unit, *shown, ", ".join(row.flags[:SHOWN]) + more)


def _cell(value: object) -> object:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value


def _csv(lines: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _seconds(text: str) -> float:
    """A duration as in `tidegate.toml`; UsageError for anything else."""
    from tidegate.project.section import Seconds, read_unit

    try:
        return float(read_unit(Seconds, text))
    except ValueError as error:
        raise UsageError("log", str(error)) from None

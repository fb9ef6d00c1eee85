"""`tidegate contract`: draft the data contract, check tables against it, say what changed."""

import math
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from tidegate.cli.output import json_option, print_json, say, say_verdict
from tidegate.data.contract.rules import Violation
from tidegate.errors import BLOCKED, ConflictError, NotFoundError, UsageError
from tidegate.flow.check import read_contract
from tidegate.project import load_config
from tidegate.store.layout import find_root

FILE = "contract.odcs.yaml"
CONTRACTS = (".yaml", ".yml")

files_argument = click.argument("files", nargs=-1, type=click.Path(path_type=Path))
contract_option = click.option(
    "--contract",
    "chosen",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The contract's file; default: data.contract.",
)


@click.group("contract")
def command() -> None:
    """Draft the data contract, check tables against it, say what changed.

    \b
    Example:
      tidegate contract infer data/processed/train.parquet
      tidegate contract check
      tidegate contract diff HEAD~1:data/processed/train.parquet data/processed/train.parquet
    """


@command.command("infer")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write; default: data.contract, `-` prints.",
)
@click.option("--name", default="", help="The contract's name; default: the project's.")
@click.option("--id", "id_column", default="", help="The column that names a row.")
@click.option("--label", default="", help="The column of the right answer.")
@click.option("--force", is_flag=True, help="Overwrite an existing contract.")
@json_option
def infer(
    *,
    files: tuple[Path, ...],
    output: Path | None,
    name: str,
    id_column: str,
    label: str,
    force: bool,
    as_json: bool,
) -> None:
    """Draft a contract from data FILES (Parquet or CSV) for a person to review.

    Types, missing values, ranges a tenth wider than seen, values where they are few, unique ids, and suspicion of
    personal data; each line says why. Several files are splits: a row may not be in two of them.

    \b
    Example:
      tidegate contract infer data/processed/train.parquet data/processed/test.parquet --label label
    """
    from tidegate.data.contract.infer import Roles, infer_files
    from tidegate.store.files import write_atomic

    path = output or _contract_path(None)
    is_printed = str(path) == "-"
    if not is_printed and path.exists() and not force:
        raise ConflictError(
            path.name, "exists already, an inferred contract would replace it", hint="--force, or --output"
        )
    folder = Path.cwd() if is_printed else path.parent
    names = [_relative(file, folder) for file in files]
    draft = infer_files(name or _project_name(), files, names=names, roles=Roles(id_column, label))
    if not is_printed:
        write_atomic(path, draft.render())
    if as_json:
        print_json(
            {
                "contract": None if is_printed else str(path),
                "columns": len(draft.contract.every),
                "notes": draft.notes,
            }
        )
    elif is_printed:
        say(draft.render().rstrip())
    else:
        say(
            f"wrote {path.name}: {len(draft.contract.every)} columns; review it, then `tidegate contract check`"
        )


@command.command("check")
@files_argument
@contract_option
@json_option
def check(*, files: tuple[Path, ...], chosen: Path | None, as_json: bool) -> int:
    """Check data FILES against the contract; without any, the files that its `servers` name.

    Exit code 3 when something is rejected; what is only flagged is said and passes. Files that are given
    together are splits of one data set.

    \b
    Example:
      tidegate contract check
      tidegate contract check data/processed/test.parquet --json
    """
    from tidegate.data.contract.check import check_tables

    path = _contract_path(chosen)
    contract = read_contract(path, path.name)
    paths = list(files) or [path.parent / server.path for server in contract.servers]
    if not paths:
        raise UsageError(
            path.name, "names no local server, and no file is given", hint="tidegate contract check FILE"
        )
    checked = check_tables(contract, paths, now=time.time())
    is_rejected = any(table.is_rejected for table in checked)
    if as_json:
        found = [
            {
                "file": table.name,
                "rows": table.rows,
                "rejected": table.is_rejected,
                "violations": _plain(table.violations),
            }
            for table in checked
        ]
        print_json({"verdict": "block" if is_rejected else "pass", "files": found})
        return BLOCKED if is_rejected else 0
    for table in checked:
        flags = sum(violation.policy == "flag" for violation in table.violations)
        counts = f"{len(table.violations) - flags} rejected, {flags} flagged"
        say_verdict("block" if table.is_rejected else "pass", f"{table.name}: {table.rows:,} rows, {counts}")
        for violation in table.violations:
            say(f"  {violation.policy:<7} {violation}")
    return BLOCKED if is_rejected else 0


@command.command("diff")
@click.argument("before")
@click.argument("after")
@json_option
def diff(*, before: str, after: str, as_json: bool) -> None:
    """Say what changed from BEFORE to AFTER, and how much: two tables, or two contracts.

    Each is a file, or REVISION:PATH for a file as git or dvc had it then. Tables: rows, columns, missing
    values, ranges, quantiles, new and vanished values. Contracts: what is new, gone, tighter or wider.

    \b
    Example:
      tidegate contract diff HEAD~1:data/raw/rows.parquet data/raw/rows.parquet
      tidegate contract diff main:contract.odcs.yaml contract.odcs.yaml
    """
    from tidegate.data.contract.compare import compare_tables
    from tidegate.data.contract.versions import compare_contracts

    with tempfile.TemporaryDirectory() as folder:
        one, two = (_find(word, Path(folder), number) for number, word in enumerate((before, after)))
        if all(path.suffix in CONTRACTS for path in (one, two)):
            changes = compare_contracts(read_contract(one, before), read_contract(two, after))
        else:
            changes = compare_tables(one, two, names=(before, after))
    if as_json:
        print_json([_texts(change._asdict()) for change in changes])
        return
    for change in changes:
        say(f"{'! ' if change.is_breaking else '  '}{change.sentence}")
    if not changes:
        say("no difference")


@command.command("show")
@contract_option
@click.option("--example", is_flag=True, help="Print a valid row instead.")
@json_option
def show(*, chosen: Path | None, example: bool, as_json: bool) -> None:
    """Show the contract's columns and rules, or a valid example of a request's row.

    \b
    Example:
      tidegate contract show
      tidegate contract show --example
    """
    from tidegate.cli.output import print_table
    from tidegate.data.contract.example import example_row

    path = _contract_path(chosen)
    contract = read_contract(path, path.name)
    if example:
        print_json({"row": example_row(contract)})
    elif as_json:
        print_json(
            _texts(
                contract._asdict() | {"columns": _plain(contract.columns), "others": _plain(contract.others)}
            )
        )
    else:
        print_table(("column", "type", "role", "rules"), [_line(column) for column in contract.every])
        for rule in contract.table.row_rules:
            say(f"rule {rule.name}: {rule.expression}")


def _line(column: Any) -> tuple[str, str, str, str]:
    from tidegate.data.contract.say import expected

    rules = [f"{check.rule}: {expected(column, check)}" for check in column.checks]
    words = ["required" if column.is_required else "optional", *rules]
    return column.name, column.kind, column.role, "; ".join(words)


def _contract_path(chosen: Path | None) -> Path:
    if chosen is not None:
        return chosen
    try:
        root = find_root()
    except NotFoundError:
        return Path.cwd() / FILE
    return root / (load_config(root).data.contract if (root / "tidegate.toml").exists() else FILE)


def _project_name() -> str:
    try:
        return load_config(find_root()).project.name
    except NotFoundError:
        return Path.cwd().name


def _relative(file: Path, folder: Path) -> str:
    path, start = file.resolve(), folder.resolve()
    return path.relative_to(start).as_posix() if path.is_relative_to(start) else str(file)


def _find(word: str, folder: Path, number: int) -> Path:
    """The file that a word names: a path, or REVISION:PATH."""
    revision, colon, path = word.partition(":")
    if Path(word).exists() or not colon:
        return Path(word)
    from tidegate.data.contract.revision import table_at

    into = folder / str(number)
    into.mkdir()
    return table_at(find_root(), revision, path, folder=into)


def _plain(records: Any) -> list[dict[str, Any]]:
    return [_texts(_named(record)) for record in records]


def _named(record: Any) -> dict[str, Any]:
    """A record's fields; a violation's `times` is its count, and it says its sentence."""
    fields: dict[str, Any] = record._asdict()
    return (
        fields | {"count": fields.pop("times"), "sentence": str(record)}
        if isinstance(record, Violation)
        else fields
    )


def _texts(value: Any) -> Any:
    """A record for JSON: sets as sorted lists, dates and the like as text."""
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    if hasattr(value, "_asdict"):
        return _texts(value._asdict())
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_texts(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)

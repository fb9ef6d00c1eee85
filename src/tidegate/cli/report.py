"""`tidegate report`: all that is known about the candidate, for the person who merges it."""

from pathlib import Path
from typing import get_args

import click

from tidegate.cli.output import json_option
from tidegate.flow.report import Form, form_of, gather_report, render
from tidegate.store.files import write_atomic
from tidegate.store.layout import find_root


@click.command("report")
@click.option(
    "--format",
    "chosen",
    type=click.Choice(get_args(Form)),
    help="Markdown, HTML, JUnit XML, SARIF or JSON; by default what the suffix of --out says, else Markdown.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to a file instead of printing it.",
)
@click.option(
    "--comment", is_flag=True, help="Also put it as one comment on the pull or merge request of this CI job."
)
@json_option
def command(*, chosen: Form | None, out: Path | None, comment: bool, as_json: bool) -> None:
    """Say whether the candidate may be merged, and everything that speaks for it and against it.

    Reads what is recorded: the verdict of `tidegate gate`, the evaluation rows of candidate and live model, dvc.lock
    and the ledger. Nothing is decided and no budget is spent; the exit code is 0 whatever the verdict.

    \b
    Example:
      tidegate report
      tidegate report --out report.html
      tidegate report --format junit --out gate.xml
      tidegate report --comment
    """
    form: Form = "json" if as_json else chosen or (form_of(out) if out else "md")
    root = find_root()
    report = gather_report(root)
    text = render(report, form)
    if out:
        write_atomic(out, text)
    else:
        click.echo(text, nl=not text.endswith("\n"))
    if comment:
        _comment(root, render(report, "md"))


def _comment(root: Path, markdown: str) -> None:
    """Say on standard error where the comment is, so that the report alone is printed."""
    from tidegate.flow.comment import comment

    url = comment(root, markdown)
    click.echo(
        f"commented: {url}" if url else "no comment: this is no CI job of a pull or merge request", err=True
    )

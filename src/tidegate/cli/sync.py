"""What `push`, `pull`, `fetch` and `status --cloud` share: their options, progress, and what they print."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tidegate.cli.output import print_json, say
from tidegate.errors import TidegateError
from tidegate.pipeline.targets import Choice
from tidegate.store.layout import standing
from tidegate.store.refs import Revisions

if TYPE_CHECKING:
    from tidegate.data.trip import Progress
    from tidegate.flow.sync import Synced, Trade
    from tidegate.flow.wanted import Scope
    from tidegate.pipeline.job import Request

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_SHOWN = 20
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
UP_TO_DATE = "Everything is up to date."


class Voice(NamedTuple):
    """How a command speaks: as JSON, only of errors, or of everything."""

    as_json: bool
    quiet: bool
    verbose: bool


def options(*listed: Decorator) -> Decorator:
    """Several options as one decorator, in this order in the help."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for one in reversed(listed):
            function = one(function)
        return function

    return add


scope_options = options(
    click.option("-a", "--all-branches", is_flag=True, help="Also the data of all branches."),
    click.option("-T", "--all-tags", is_flag=True, help="Also the data of all tags."),
    click.option("-A", "--all-commits", is_flag=True, help="Also the data of all commits."),
    click.option("-d", "--with-deps", is_flag=True, help="The targets and what they need."),
    click.option("-R", "--recursive", is_flag=True, help="A directory stands for all stages inside it."),
)
trade_options = options(
    click.option("-r", "--remote", default="", help="This remote instead of the default one."),
    click.option("-j", "--jobs", type=click.IntRange(min=1), help="How many transfers at once."),
    click.option("--run-cache/--no-run-cache", help="Also the results of stages, for `repro` elsewhere."),
)
quiet_options = options(
    click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors."),
    click.option("-v", "--verbose", is_flag=True, help="Name everything, however much it is."),
)
glob_option = click.option(
    "--glob", is_flag=True, help="Targets are patterns of outs, .dvc files and stage names."
)


def scope_of(root: Path, targets: Iterable[str], given: dict[str, Any]) -> "Scope":
    """What the options and targets of a command mean."""
    from tidegate.flow.wanted import Scope

    choice = Choice(
        glob=given.get("glob", False),
        recursive=given.get("recursive", False),
        with_deps=given.get("with_deps", False),
    )
    revisions = Revisions(
        given.get("all_branches", False), given.get("all_tags", False), given.get("all_commits", False)
    )
    types = tuple(given.get("types", ()))
    return Scope(tuple(targets), standing(root), choice, revisions, given.get("max_size") or 0, types)


def trade_of(given: dict[str, Any], doing: str, *, quiet: bool) -> "Trade":
    """How the options say that data are exchanged; progress goes to a terminal only."""
    from tidegate.flow.sync import Trade

    report = None if quiet or not sys.stderr.isatty() else progress_line(doing)
    return Trade(given.get("remote") or "", given.get("jobs"), given.get("run_cache", False), report, note)


def note(text: str) -> None:
    """A remark on standard error."""
    click.echo(f"note:  {text}", err=True)


def progress_line(doing: str) -> Callable[["Progress"], None]:
    """A line that is written over and over, ten times a second at most, and gone at the end."""
    import time

    last = 0.0

    def show(progress: "Progress") -> None:
        nonlocal last
        now = time.monotonic()
        is_over = progress.done >= progress.total
        if is_over or now - last >= 0.1:
            last = now
            text = f"{doing} {progress.done}/{progress.total}, {size(progress.moved_bytes)}"
            sys.stderr.write("\r\x1b[K" + ("" if is_over else text))
            sys.stderr.flush()

    return show


def size(count: int) -> str:
    """Bytes for people: `3.1 MiB`."""
    amount, unit = float(count), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{count} B"


def summary(counts: Iterable[tuple[str, int]]) -> str:
    """`1 file fetched and 3 files added`; empty when nothing happened."""
    parts = [f"{many} file{'s' * (many > 1)} {done}" for done, many in counts if many]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def print_lost(synced: "Synced", *, verbose: bool) -> None:
    """One line on standard error for everything that could not be brought."""
    shown = synced.lost if verbose else synced.lost[:_SHOWN]
    for one in shown:
        named = f"{one.where} ({one.md5})" if one.md5 and one.md5 != one.where else one.where
        click.echo(f"lost:  {named}: {one.reason}", err=True)
    if len(shown) < len(synced.lost):
        click.echo(f"lost:  and {len(synced.lost) - len(shown)} more, `--verbose` names all", err=True)


def as_dict(synced: "Synced", word: str) -> dict[str, Any]:
    """What was done, for programs."""
    return {
        word: synced.moved,
        "bytes": synced.moved_bytes,
        "present": synced.present,
        "lost": [{"path": one.where, "md5": one.md5, "reason": one.reason} for one in synced.lost],
    }


def finish(synced: "Synced", word: str, voice: Voice) -> None:
    """Print what was `pushed` or `fetched`; exit code 1 when something was lost."""
    if voice.as_json:
        print_json(as_dict(synced, word))
    else:
        print_lost(synced, verbose=voice.verbose)
        told = summary([(word, synced.moved)]) or ("" if synced.lost else UP_TO_DATE)
        if told and not voice.quiet:
            say(told)
    if synced.lost and not voice.as_json:
        raise incomplete(word, len(synced.lost))
    sys.exit(1 if synced.lost else 0)


def incomplete(word: str, many: int) -> TidegateError:
    """The error of a transfer that left something behind."""
    things = f"{many} file{'s' * (many > 1)}"
    hint = "push from where they are, or `tidegate repro` makes them anew"
    return TidegateError(word, f"{things} could not be {word}, all else was", hint=hint)


def print_cloud_status(root: Path, request: "Request", *, as_json: bool, quiet: bool, **given: Any) -> None:
    """Where cache and remote differ, as `dvc status --cloud` says it; with `quiet` only the exit code."""
    from tidegate.flow.sync import cloud_status

    scope = scope_of(root, request.words, given)
    found = cloud_status(root, scope, trade_of(given, "comparing", quiet=True))
    if as_json:
        print_json(found)
    elif not quiet:
        for path, state in found.items():
            say(f"\t{f'{state}:':<20}{path}")
        if not found:
            say(f"Cache and remote '{given.get('remote') or _default(root)}' are in sync.")
    sys.exit(1 if quiet and found else 0)


def _default(root: Path) -> str:
    from tidegate.data.config import load_dvc_config

    return load_dvc_config(root).core.remote or ""

"""`tidegate gc`: remove data that nothing uses from the cache, and from remotes if asked."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.sync import note, quiet_options, size
from tidegate.errors import UsageError
from tidegate.store.layout import find_root
from tidegate.store.refs import Revisions

if TYPE_CHECKING:
    from tidegate.flow.gc import Sweep, Swept

_SHOWN = 20


@click.command("gc", context_settings={"ignore_unknown_options": False})
@click.option("-w", "--workspace", is_flag=True, help="Keep what the workspace uses.")
@click.option("--rev", metavar="COMMIT", help="Keep what this commit uses.")
@click.option("-n", "--num", type=int, help="Keep that many commits back from each of --rev and -a.")
@click.option("-a", "--all-branches", is_flag=True, help="Keep what the tips of all branches use.")
@click.option("-T", "--all-tags", is_flag=True, help="Keep what all tags use.")
@click.option("-A", "--all-commits", is_flag=True, help="Keep what all commits use.")
@click.option("--date", metavar="YYYY-MM-DD", help="Keep what commits since this day use.")
@click.option("--all-experiments", is_flag=True, help="Keep what experiments of DVC use.")
@click.option("--not-in-remote", is_flag=True, help="Remove also what the remote has.")
@click.option("-c", "--cloud", is_flag=True, help="Clean the remote as well.")
@click.option("-r", "--remote", default="", help="This remote instead of the default one.")
@click.option("--skip-failed", is_flag=True, help="Leave out commits that cannot be read.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="How many transfers at once.")
@click.option(
    "-p",
    "--projects",
    "projects",
    multiple=True,
    help="Keep what this other project uses; may be given often.",
)
@click.option("--run-cache", "runs", is_flag=True, help="Remove results of stages whose outs are all gone.")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    help="Keep objects younger than so many seconds, 600 if not given: a command may be about to use them.",
)
@click.option("--dry", is_flag=True, help="Only say what would go.")
@click.argument("more_projects", nargs=-1, required=False, metavar="")
@quiet_options
@json_option
def command(
    more_projects: tuple[str, ...], *, as_json: bool, quiet: bool, verbose: bool, **given: Any
) -> None:
    """Remove from the cache what neither the workspace nor the commits named by the options use.

    At least one option must say what to keep. The workspace's data are always kept. Objects that were made in the
    last ten minutes stay, since a running command may be about to record them.

    \b
    Example:
      tidegate gc --workspace --dry
      tidegate gc --all-branches --all-tags
      tidegate gc --all-commits --cloud --force
    """
    from tidegate.flow.gc import check_scope, collect_garbage

    if more_projects and not given["projects"]:
        raise UsageError("gc", f"unexpected argument `{more_projects[0]}`", hint="tidegate gc --help")
    root = find_root()
    sweep = _sweep(given, more_projects)
    check_scope(sweep, workspace=given["workspace"])
    if not (given["force"] or given["dry"]):
        _confirm(collect_garbage(root, sweep._replace(dry=True)))
    done = collect_garbage(root, sweep)
    if as_json:
        print_json([_as_dict(one) for one in done])
    elif not quiet:
        for one in done:
            _print(one, dry=sweep.dry, verbose=verbose)


def _sweep(given: dict[str, Any], more_projects: tuple[str, ...]) -> "Sweep":
    from tidegate.flow.gc import GRACE_S, Sweep

    revisions = Revisions(
        branches=given["all_branches"],
        tags=given["all_tags"],
        commits=given["all_commits"],
        names=(given["rev"],) if given["rev"] else (),
        number=given["num"] or 1,
        since=given["date"] or "",
        experiments=given["all_experiments"],
    )
    projects = tuple(find_root(Path(one)) for one in (*given["projects"], *more_projects))
    plain = {
        key: given[key] for key in ("cloud", "not_in_remote", "remote", "runs", "skip_failed", "dry", "jobs")
    }
    grace_s = GRACE_S if given["grace"] is None else given["grace"]
    return Sweep(
        revisions, projects, force=given["force"] or given["dry"], grace_s=grace_s, note=note, **plain
    )


def _confirm(doomed: "tuple[Swept, ...]") -> None:
    many = sum(len(one.keys) for one in doomed)
    total = size(sum(one.total_bytes for one in doomed))
    places = ", ".join(one.where for one in doomed)
    if not many:
        return
    if not sys.stdin.isatty():
        hint = "add --force, or look first with --dry"
        raise UsageError(
            "gc", f"would remove {many} objects ({total}) from {places}, nobody agreed", hint=hint
        )
    click.confirm(f"Remove {many} objects ({total}) from {places}?", abort=True, err=True)


def _print(one: "Swept", *, dry: bool, verbose: bool) -> None:
    shown = one.keys if verbose else one.keys[:_SHOWN]
    for key in shown if dry or verbose else ():
        say(f"{'would remove' if dry else 'removed'} {key}")
    if dry and len(shown) < len(one.keys):
        say(f"... and {len(one.keys) - len(shown)} more, `--verbose` names all")
    total = f" ({size(one.total_bytes)})" if one.total_bytes else ""
    many = f"{len(one.keys)} object{'s' * (len(one.keys) != 1)}{total}"
    if one.keys:
        say(f"{'Would remove' if dry else 'Removed'} {many} from {one.where}.")
    else:
        say(f"Nothing to remove from {one.where}.")
    if one.young:
        note(f"{one.young} unused objects are too young to go, --grace 0 removes them, too")


def _as_dict(one: "Swept") -> dict[str, Any]:
    return {"where": one.where, "removed": list(one.keys), "bytes": one.total_bytes, "young": one.young}

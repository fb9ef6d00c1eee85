"""`tidegate stage`: add a stage to dvc.yaml, or list stages."""

from typing import Any

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.progress import say_git
from tidegate.errors import TidegateError
from tidegate.flow.stages import Listing, add, list_stages, summary
from tidegate.pipeline.edit import NewOut, NewStage, join_command, params_by_file
from tidegate.pipeline.stages import Stage
from tidegate.pipeline.targets import address
from tidegate.store.layout import find_root, standing

# option -> section of dvc.yaml, whether it is cached, whether it persists
_OUTS = {
    "outs_persist": ("outs", True, True),
    "outs_persist_no_cache": ("outs", False, True),
    "metrics": ("metrics", True, False),
    "metrics_no_cache": ("metrics", False, False),
    "plots": ("plots", True, False),
    "plots_no_cache": ("plots", False, False),
    "outs_no_cache": ("outs", False, False),
    "outs": ("outs", True, False),
}


@click.group("stage")
def command() -> None:
    """Add a stage to dvc.yaml, or list the stages.

    \b
    Example:
      tidegate stage add -n train -d train.py -o model.bin python train.py
      tidegate stage list --all
    """


@command.command("add", context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.argument("words", metavar="COMMAND...", nargs=-1, type=click.UNPROCESSED)
@click.option("-n", "--name", required=True, help="The name of the stage: letters, digits, - and _.")
@click.option("-d", "--deps", multiple=True, help="A file, directory or URL that it reads.")
@click.option(
    "-p", "--params", multiple=True, help="Params that it reads: [FILE:]KEY,...; FILE: alone for all."
)
@click.option("-o", "--outs", multiple=True, help="A file or directory that it writes.")
@click.option("-O", "--outs-no-cache", multiple=True, help="The same, kept out of the cache.")
@click.option("--outs-persist", multiple=True, help="The same, not removed before the stage runs.")
@click.option("--outs-persist-no-cache", multiple=True, help="The same, neither cached nor removed.")
@click.option("-m", "--metrics", multiple=True, help="A metrics file that it writes.")
@click.option("-M", "--metrics-no-cache", multiple=True, help="The same, kept out of the cache.")
@click.option("--plots", multiple=True, help="A plots file that it writes.")
@click.option("--plots-no-cache", multiple=True, help="The same, kept out of the cache.")
@click.option("-w", "--wdir", default=".", help="The directory in which it runs, and paths begin.")
@click.option("--desc", default="", help="What it is about, for people.")
@click.option("--always-changed", is_flag=True, help="Run it each time.")
@click.option("-f", "--force", is_flag=True, help="Replace a stage of the same name.")
@click.option("--run", "and_run", is_flag=True, help="Run it at once.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="As without; for scripts written for dvc.")
@json_option
def add_command(words: tuple[str, ...], *, as_json: bool, quiet: bool, **options: Any) -> None:
    """Add a stage that runs COMMAND to the dvc.yaml of this directory, which is made if need be.

    Everything behind the options is the command. Comments and the order of the file stay.

    \b
    Example:
      tidegate stage add -n train -d train.py -p lr,epochs -o model.bin python train.py
    """
    root = find_root()
    here = standing(root)
    done = add(root, _new_stage(words, options), here, force=options["force"])
    if options["and_run"]:
        _run(root, done.keys, quiet=quiet or as_json)
    if as_json:
        print_json({"added": done.keys, "git_add": done.to_git})
    elif not quiet:
        for key in done.keys:
            say(f"added      {address(key, here)}")
        say_git(done.to_git, here)


@command.command("list")
@click.argument("targets", nargs=-1)
@click.option("--all", "whole", is_flag=True, help="All stages and .dvc files of the repository.")
@click.option("-R", "--recursive", is_flag=True, help="A directory stands for all stages inside it.")
@click.option("--fail", is_flag=True, help="Stop at a file that cannot be read instead of leaving it out.")
@click.option("--name-only", "--names-only", "name_only", is_flag=True, help="Names without descriptions.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="As without; for scripts written for dvc.")
@json_option
def list_command(
    targets: tuple[str, ...], *, as_json: bool, quiet: bool, name_only: bool, **options: Any
) -> None:
    """List the stages of this directory's dvc.yaml, or of TARGETS: files, stages or, with -R, directories.

    \b
    Example:
      tidegate stage list
      tidegate stage list --all --name-only
    """
    root = find_root()
    here = standing(root)
    asked = Listing(targets, here, options["whole"], options["recursive"], options["fail"])
    stages = list_stages(root, asked)
    if as_json:
        print_json([_fields(stage, here) for stage in stages])
    elif not quiet:
        names = {address(stage.key, here): "" if name_only else summary(stage) for stage in stages}
        width = max(map(len, names), default=0)
        for name, text in names.items():
            say(f"{name:<{width}}  {text}".rstrip())


def _new_stage(words: tuple[str, ...], options: dict[str, Any]) -> NewStage:
    outs = [
        NewOut(path, section, cache=cache, persist=persist)
        for option, (section, cache, persist) in _OUTS.items()
        for path in options[option]
    ]
    return NewStage(
        name=options["name"],
        cmd=join_command(words),
        wdir=options["wdir"],
        deps=options["deps"],
        params=params_by_file(options["params"]),
        outs=tuple(outs),
        always_changed=options["always_changed"],
        desc=options["desc"],
    )


def _run(root: Any, keys: tuple[str, ...], *, quiet: bool) -> None:
    from tidegate.cli.repro import Printer
    from tidegate.flow.repro import repro
    from tidegate.pipeline.job import Request

    request = Request(tuple(address(key) for key in keys), scope="single")
    printer = Printer(request, everything=False, quiet=quiet)
    outcome = repro(root, request, listener=printer.listener(as_json=quiet))
    if outcome.failed:
        raise TidegateError("stage add", "the stage was added, but it failed", hint="tidegate why")


def _fields(stage: Stage, here: str) -> dict[str, Any]:
    return {
        "stage": address(stage.key, here),
        "description": summary(stage),
        "file": stage.file,
        "cmd": stage.cmd,
        "deps": [dep.path for dep in stage.deps],
        "params": {one.path: one.keys for one in stage.params},
        "outs": [out.path for out in stage.outs],
        "frozen": stage.frozen,
    }

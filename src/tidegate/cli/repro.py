"""`tidegate repro`: run the stages of dvc.yaml that changed, and say why each ran or was skipped."""

import sys
from typing import TYPE_CHECKING, Any

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.cli.start import FRESH, skipped
from tidegate.errors import TidegateError
from tidegate.pipeline.explain import as_dict, explain
from tidegate.pipeline.job import Listener, OnError, Options, Request, Scope, Step
from tidegate.pipeline.targets import Choice, address
from tidegate.store.layout import find_root, standing

if TYPE_CHECKING:
    from tidegate.pipeline.reproduce import Outcome

_COLORS = {
    "ran": "green",
    "restored": "cyan",
    "saved": "cyan",
    "running": "blue",
    "stale": "yellow",
    "failed": "red",
}
_SHOWN = 3


@click.command("repro")
@click.argument("targets", nargs=-1)
@click.option(
    "-f", "--force", is_flag=True, help="Run the stages even when nothing changed; discard local changes."
)
@click.option("-s", "--single-item", is_flag=True, help="Only the targets, not what they need.")
@click.option("-p", "--pipeline", is_flag=True, help="The whole pipelines that the targets belong to.")
@click.option("-P", "--all-pipelines", is_flag=True, help="Every pipeline of the repository.")
@click.option("--downstream", is_flag=True, help="The targets and everything that needs them.")
@click.option("--force-downstream", is_flag=True, help="Also run what needs a stage that ran.")
@click.option("-R", "--recursive", is_flag=True, help="A directory stands for all stages inside it.")
@click.option("--glob", is_flag=True, help="Targets are patterns of stage names.")
@click.option(
    "-k", "--keep-going", is_flag=True, help="After a failure, run what does not need the failed stage."
)
@click.option("--ignore-errors", is_flag=True, help="Run everything whatever fails; exit code 0.")
@click.option(
    "--pull", is_flag=True, help="Fetch from the remote what is missing, results of others included."
)
@click.option(
    "--allow-missing", is_flag=True, help="Data that are merely not here do not make a stage stale."
)
@click.option("--no-commit", is_flag=True, help="Do not save outs to the cache.")
@click.option("--no-run-cache", is_flag=True, help="Run even when the result of these inputs is known.")
@click.option("-i", "--interactive", is_flag=True, help="Ask before each stage that would run.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, help="How many stages may run at once.")
@click.option(
    "--plan", "--dry", "--dry-run", "dry_run", is_flag=True, help="Only say what would run, and why."
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Give every reason.")
@json_option
def command(targets: tuple[str, ...], *, as_json: bool, quiet: bool, **options: Any) -> None:
    """Bring stages of dvc.yaml up to date: all of this directory's, or TARGETS, and what they need.

    A stage runs when its command, a dep, a param or an out differs from dvc.lock; a result seen before comes
    from the cache. What finished stays finished when a later stage fails. Local changes of outs are moved to
    .tidegate/aside before a stage writes there.

    \b
    Example:
      tidegate repro
      tidegate repro -j 4 --keep-going
      tidegate repro train --plan
    """
    root = find_root()
    request = _request(targets, standing(root), options)
    printer = Printer(request, everything=options["verbose"], quiet=quiet or as_json)
    if options["dry_run"]:
        from tidegate.pipeline.reproduce import examine

        steps = examine(root, request)
        print_json(_fields(steps)) if as_json else printer.steps(steps)
        return
    from tidegate.flow.repro import repro

    outcome = repro(root, request, listener=printer.listener(as_json=as_json))
    _finish(outcome, request, as_json=as_json, quiet=quiet)


class Printer:
    """Prints the steps of a run as they happen; one stage's output as it is, several stages' by line."""

    def __init__(self, request: Request, *, everything: bool, quiet: bool) -> None:
        self._here = request.here
        self._labelled = request.jobs > 1
        self._everything = everything
        self._quiet = quiet
        self._rest: dict[str, bytes] = {}

    def listener(self, *, as_json: bool) -> Listener:
        """What the run is given to talk to; JSON keeps standard output to itself."""
        return Listener(self.step, self._to_stderr if as_json else self._to_stdout, self._note, _confirm)

    def steps(self, steps: tuple[Step, ...]) -> None:
        """All stages at once."""
        for step in steps:
            self.step(step)

    def step(self, step: Step) -> None:
        """One line a stage: what happens to it, and why."""
        if step.error and not self._quiet:
            say(f"{address(step.stage, self._here):<16} failed: {step.error}", color=_COLORS["failed"])
        elif not self._quiet:
            say(describe(step, self._here, everything=self._everything), color=_COLORS.get(step.action))

    def _note(self, text: str) -> None:
        click.echo(f"note:  {text}", err=True)

    def _to_stdout(self, stage: str, data: bytes) -> None:
        sys.stdout.flush()
        self._write(sys.stdout.buffer, stage, b"" if self._quiet else data)

    def _to_stderr(self, stage: str, data: bytes) -> None:
        self._write(sys.stderr.buffer, stage, data)

    def _write(self, stream: Any, stage: str, data: bytes) -> None:
        if self._labelled:
            lines = (self._rest.get(stage, b"") + data).splitlines(keepends=True)
            self._rest[stage] = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
            label = f"[{address(stage, self._here)}] ".encode()
            data = b"".join(label + line for line in lines)
        stream.write(data)
        stream.flush()


def describe(step: Step, here: str = "", *, everything: bool = False) -> str:
    """A stage, what happens to it, and why."""
    name = address(step.stage, here)
    if not step.reasons and step.action == "skipped":
        return skipped(name)
    why = because(step, everything=everything)
    return f"{name:<16} " + (
        f"ran in {step.seconds:.1f} s" if step.action == "ran" else f"{step.action}: {why}"
    )


def because(step: Step, *, everything: bool = False) -> str:
    """The first few reasons, and how many more there are; or all of them."""
    texts = [explain(reason) for reason in step.reasons]
    shown = len(texts) if everything else _SHOWN
    more = [f"and {len(texts) - shown} more"] if len(texts) > shown else []
    return ", ".join([*texts[:shown], *more])


def step_fields(step: Step) -> dict[str, Any]:
    """One stage for programs."""
    error = {"error": step.error.as_dict()} if step.error else {}
    return {
        "stage": step.stage,
        "action": step.action,
        "seconds": round(step.seconds, 3),
        "reasons": [as_dict(reason) for reason in step.reasons],
        **error,
    }


def _fields(steps: tuple[Step, ...], run: str = "") -> dict[str, Any]:
    return {"run": run or None, "stages": [step_fields(step) for step in steps]}


def _finish(outcome: "Outcome", request: Request, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(_fields(outcome.steps, outcome.id))
    elif not quiet and all(step.action == "skipped" for step in outcome.steps):
        say(FRESH)
    has_failed = bool(outcome.failed) and request.on_error != "ignore"
    if has_failed and as_json:
        sys.exit(1)
    if has_failed:
        names = ", ".join(f"`{step.stage}`" for step in outcome.failed)
        raise TidegateError("repro", f"could not bring {names} up to date", hint="tidegate repro --plan")


def _request(targets: tuple[str, ...], here: str, options: dict[str, Any]) -> Request:
    scope: Scope = "upstream"
    chosen: tuple[tuple[str, Scope], ...] = (
        ("all_pipelines", "all"),
        ("pipeline", "pipeline"),
        ("single_item", "single"),
        ("downstream", "downstream"),
    )
    scope = next((name for option, name in chosen if options[option]), scope)
    on_error: OnError = (
        "keep_going" if options["keep_going"] else "ignore" if options["ignore_errors"] else "stop"
    )
    return Request(
        words=targets,
        here=here,
        choice=Choice(glob=options["glob"], recursive=options["recursive"]),
        scope=scope,
        options=Options(
            force=options["force"],
            commit=not options["no_commit"],
            run_cache=not options["no_run_cache"],
            pull=options["pull"],
            allow_missing=options["allow_missing"],
            ask=options["interactive"],
        ),
        on_error=on_error,
        force_downstream=options["force_downstream"],
        jobs=options["jobs"],
    )


def _confirm(text: str) -> bool:
    return click.confirm(text)

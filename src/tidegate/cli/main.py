"""`tidegate`: finds the command, imports only that one, turns errors into one line and an exit code."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from tidegate import __version__
from tidegate.cli.output import print_error
from tidegate.errors import TidegateError, UnavailableError, UsageError, did_you_mean, missing_package

# name -> (module, one line for `tidegate --help`); listing them must not import them
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init", "Write the recommended project layout; never overwrites a file."),
    "repro": ("repro", "Run the stages of dvc.yaml that changed, and say why."),
    "status": ("status", "Show which stages changed, and why, without running."),
    "why": ("why", "Explain one stage: what changed, old and new value."),
    "dag": ("dag", "Draw which stage needs which."),
    "freeze": ("freeze", "Keep stages from running, whatever changes."),
    "unfreeze": ("unfreeze", "Let frozen stages run again."),
    "stage": ("stage", "Add or list stages."),
    "commit": ("commit", "Record the present content of outs and data, without running."),
    "remove": ("remove", "Drop stages, or stop tracking data."),
    "unprotect": ("unprotect", "Make linked files private and writable."),
    "add": ("add", "Put data files and directories under version control."),
    "import": ("import_", "Track a copy of data, or of files, from another repository."),
    "import-url": ("import_url", "Track a copy of data from a URL."),
    "update": ("update", "Bring imports to what their source is now."),
    "diff": ("diff", "Show which tracked data differ between commits, or from the workspace."),
    "list": ("list_", "List the files and data of a repository."),
    "ls": ("list_", "The same as `list`."),
    "push": ("push", "Store data in the remote."),
    "pull": ("pull", "Fetch data from the remote and check them out."),
    "fetch": ("fetch", "Bring data from the remote into the cache."),
    "checkout": ("checkout", "Put recorded data into the workspace."),
    "gc": ("gc", "Remove data that no chosen commit uses from cache or remote."),
    "fsck": ("fsck", "Verify every object of the cache; move damaged ones aside."),
    "remote": ("remote", "Add, list and change the places that keep data."),
    "cache": ("cache", "Show or choose the directory of the cache."),
    "ci": ("ci", "Run what a CI job runs: checks, affected stages, gate, report."),
    "gate": ("gate", "Decide whether the candidate may ship."),
    "report": ("report", "Say whether the candidate may be merged, and all that speaks for and against it."),
    "budget": ("budget", "Show what is spent of a test set; share verdicts between machines."),
    "plan": ("plan", "Build and sign the bundle; show what a release would change."),
    "apply": ("apply", "Carry out exactly what a plan says."),
    "rollback": ("rollback", "Flip traffic to the previous bundle."),
    "rollout": ("rollout", "Watch, pause, resume, promote or abort the rollout."),
    "access": ("access", "Make, list and revoke the keys of the gateway's clients."),
    "serve": ("serve", "Serve the live bundle in the foreground."),
    "up": ("up", "Start gateway, rollout controller and monitor in the background."),
    "down": ("down", "Stop what `up` started, after draining."),
    "ps": ("ps", "Show what is live, rolling out and alarming."),
    "predict": ("predict", "Ask the live model for predictions."),
    "replay": ("replay", "Send held-out rows, and their truth, to the endpoint."),
    "labels": ("labels", "Add late labels; list those that look wrong."),
    "log": ("log", "Show recent predictions."),
    "monitor": ("monitor", "Measure drift and quality of the live model."),
    "audit": ("audit", "Show or verify the ledger of everything that happened."),
    "bundle": ("bundle", "Show, verify, sign, export or import a bundle."),
    "contract": ("contract", "Draft the data contract, check tables against it, say what changed."),
    "config": ("config", "Show every setting with its value."),
}


class Commands(click.Group):
    """A click group whose commands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the loop."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command's module, which holds it under the name `command`."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"tidegate.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click's, with the nearest command suggested."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            found = f"unknown command{did_you_mean(args[0], COMMANDS)}"
            raise UsageError(f"tidegate {args[0]}", found, hint="tidegate --help")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tidegate")
def cli() -> None:
    """From a git commit to a live, watched model, and back when the data change.

    \b
    Example:
      tidegate init digits --example digits && cd digits
      tidegate repro && tidegate gate && tidegate plan && tidegate apply
      tidegate up && tidegate ps
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its stable code."""
    words = list(sys.argv[1:] if args is None else args)
    try:
        code = cli.main(words, prog_name="tidegate", standalone_mode=False)
    except click.ClickException as error:
        code = _usage_error(error, words)
    except click.Abort:
        code = 130
    except BrokenPipeError:
        # the reader of our output went away, as in `tidegate log | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (TidegateError, OSError, ModuleNotFoundError) as error:
        complaint = _complaint(error, words)
        if complaint is None or os.environ.get("TIDEGATE_TRACE") == "1":
            raise
        print_error(complaint, as_json="--json" in words)
        code = complaint.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _usage_error(error: click.ClickException, words: Sequence[str]) -> int:
    context = getattr(error, "ctx", None)
    where = context.command_path if context else "tidegate"
    message = error.format_message().rstrip(".")
    complaint = UsageError(where, message[:1].lower() + message[1:], hint=f"{where} --help")
    print_error(complaint, as_json="--json" in words)
    return complaint.exit_code


def _complaint(error: Exception, words: Sequence[str]) -> TidegateError | None:
    """The error as people see it; None for a fault of ours."""
    if isinstance(error, ModuleNotFoundError):
        return missing_package(f"tidegate {words[0]}", error.name or "")
    if isinstance(error, OSError):
        return _system_error(error)
    return error if isinstance(error, TidegateError) else None


def _system_error(error: OSError) -> TidegateError:
    """What the operating system refused, such as a write to a full disk or to a forbidden folder."""
    reason = (error.strerror or str(error)).lower()
    hint = "mend that, then run the same command again"
    return UnavailableError(str(error.filename or "system"), reason, hint=hint)

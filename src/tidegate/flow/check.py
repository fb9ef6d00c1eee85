"""The data contract over what a stage wrote and what arrived: what it refuses is not recorded, nor built upon."""

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tidegate.errors import NotFoundError, TidegateError, UsageError
from tidegate.pipeline.job import Listener, Step

if TYPE_CHECKING:
    from tidegate.data.contract import Contract
    from tidegate.data.contract.rules import Violation

MAX_NOTES = 10


class RefusedError(TidegateError):
    """A stage wrote, or an import brought, what the data contract rejects."""

    kind = "refused"


class Covered(NamedTuple):
    """A project's contract, and the files that it names as its `servers`."""

    contract: "Contract"
    files: tuple[Path, ...]

    def among(self, places: Sequence[Path]) -> list[Path]:
        """The covered files that are there and are, or lie in, one of these places."""
        return [
            file
            for file in self.files
            if any(file.is_relative_to(place.resolve()) for place in places) and file.exists()
        ]


def enforced(root: Path, listener: Listener) -> Listener:
    """A listener that also holds to the contract what each stage wrote, each import brought and each data file became.

    Nothing is checked without a contract, or in a repository that has no tidegate.toml: the file may be there
    for other tools. A contract that is broken fails a stage before its commands run.
    """

    @cache
    def covered() -> Covered | None:
        return _covered(root)

    def step(step: Step) -> None:
        if step.action == "running":
            covered()
        listener.step(step)

    def accept(stage: str, outs: Sequence[str]) -> None:
        known = covered()
        if known and (files := known.among([root / out for out in outs])):
            _judge(listener, known.contract, stage=stage, files=files)
        listener.accept(stage, outs)

    return listener._replace(step=step, accept=accept)


def read_contract(path: Path, where: str) -> "Contract":
    """The contract in a file; NotFoundError without it, UsageError at line and column for what is wrong in it."""
    from tidegate.data.contract import parse_contract

    try:
        return parse_contract(path.read_text(encoding="utf-8"), where)
    except (FileNotFoundError, IsADirectoryError):
        raise NotFoundError(where, "no such file", hint="tidegate contract infer FILE") from None
    except UnicodeDecodeError as error:
        raise UsageError(where, f"byte {error.start} is not UTF-8, expected text") from None


def _covered(root: Path) -> Covered | None:
    from tidegate.project import CONFIG, load_config

    if not (root / CONFIG).exists():
        return None
    name = load_config(root).data.contract
    path = root / name
    if not path.exists():
        return None
    contract = read_contract(path, name)
    return Covered(contract, tuple((path.parent / server.path).resolve() for server in contract.servers))


def _judge(listener: Listener, contract: "Contract", *, stage: str, files: Sequence[Path]) -> None:
    """Raise RefusedError for what is rejected, and tell of what is only flagged."""
    from tidegate.data.contract.check import check_tables

    violations = [one for table in check_tables(contract, files, now=time.time()) for one in table.violations]
    rejected = [one for one in violations if one.policy == "reject"]
    _tell(listener, stage, [one for one in violations if one.policy == "flag"])
    if rejected:
        more = f" (and {len(rejected) - 1} more)" if rejected[1:] else ""
        found = f"its out breaks the data contract: {rejected[0]}{more}"
        raise RefusedError(f"stage `{stage}`", found, hint="tidegate contract check")


def _tell(listener: Listener, stage: str, flagged: "Sequence[Violation]") -> None:
    for one in flagged[:MAX_NOTES]:
        listener.note(f"stage `{stage}`: {one} (flagged)")
    if len(flagged) > MAX_NOTES:
        listener.note(
            f"stage `{stage}`: {len(flagged) - MAX_NOTES} more flags, see `tidegate contract check`"
        )

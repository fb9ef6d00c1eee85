"""The data contract over the tables that lie here; those that a stage is about to write are held to it then."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.flow.check import Covered, read_contract
from tidegate.flow.ci.step import Ended, Intent, Room, counted, skipped
from tidegate.gate.report.record import Case
from tidegate.project import Config

if TYPE_CHECKING:
    from tidegate.data.contract.check import Checked


def check_contract(room: Room, stale: Sequence[Path]) -> Ended:
    """Check the contract's files but for those in `stale` places, which stages will write anew.

    Raises UsageError for a contract, or a table, that cannot be read.
    """
    covered = covered_by(room.root, room.config)
    if covered is None or not covered.files:
        return skipped(_why_not(room.config, covered))
    coming = [file for file in covered.files if any(file.is_relative_to(place) for place in stale)]
    here = [file for file in covered.files if file not in coming]
    cases = cases_of(room.root, covered, here)
    failed = sum(case.outcome == "failed" for case in cases)
    later = f"{counted(len(coming), 'file')} held to it when written" if coming else ""
    if failed:
        return Ended("failed", f"{counted(failed, 'rule')} broken", cases)
    kept = f"{counted(len(here), 'file')} kept" if here else ""
    return Ended("passed", ", ".join(part for part in (kept, later) if part), cases)


def foresee_contract(root: Path, config: Config) -> Intent:
    """What the contract check would look at."""
    covered = covered_by(root, config)
    if covered is None or not covered.files:
        return Intent((), _why_not(config, covered))
    return Intent((f"check {counted(len(covered.files), 'file')} against {config.data.contract}",))


def covered_by(root: Path, config: Config) -> Covered | None:
    """The contract and its files, None without one."""
    name = config.data.contract
    path = root / name
    if not path.exists():
        return None
    contract = read_contract(path, name)
    return Covered(contract, tuple((path.parent / server.path).resolve() for server in contract.servers))


def cases_of(root: Path, covered: Covered, files: Sequence[Path]) -> tuple[Case, ...]:
    """A case for each file that is sound, that is missing, and for each rule that a file breaks."""
    from tidegate.data.contract.check import check_tables

    here = [file for file in files if file.exists()]
    lost = [_seen_from(root, file) for file in files if file not in here]
    checked = check_tables(covered.contract, here, now=time.time()) if here else ()
    found = (
        case
        for file, table in zip(here, checked, strict=True)
        for case in _cases(_seen_from(root, file), table)
    )
    return (*(Case(name, "failed", "no such file", name) for name in lost), *found)


def _why_not(config: Config, covered: Covered | None) -> str:
    name = config.data.contract
    return f"{name} names no local file" if covered else f"no contract, {name} is not there"


def _cases(name: str, table: "Checked") -> Iterator[Case]:
    if not table.is_rejected:
        flags = f", {len(table.violations):,} flagged" if table.violations else ""
        yield Case(name, "passed", f"{counted(table.rows, 'row')}{flags}", name)
    for one in table.violations:
        about = f"{one.column} {one.rule}" if one.column else one.rule
        is_rejected = one.policy == "reject"
        said = str(one) if is_rejected else f"flagged: {one}"
        yield Case(f"{name}: {about}", "failed" if is_rejected else "passed", said, name)


def _seen_from(root: Path, file: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)

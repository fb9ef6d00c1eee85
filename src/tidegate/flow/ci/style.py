"""The style check: ruff where the project uses it, or a command of the user's; complaints become cases."""

import json
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from tidegate.errors import NotFoundError, UsageError
from tidegate.flow.ci.command import Bench, Command, Ran, run_command, shell
from tidegate.flow.ci.inputs import digest_of
from tidegate.flow.ci.step import Ended, Intent, Room, counted, skipped
from tidegate.gate.report.record import Case

AUTO = "auto"
RUFF = ("ruff check", "ruff format --check")
# 0 and 1 are verdicts of ruff, 2 means that it gave none
VERDICTS = (0, 1)

# as ruff says it today, and as it did before
_UNFORMATTED = re.compile(r"^unformatted: .*\n *--> (.+?):(\d+):\d+$|^Would reformat: (.+)$", re.MULTILINE)
_SAID_IN_FULL = {"RUFF_OUTPUT_FORMAT": "full"}


def foresee_style(root: Path, setting: str) -> Intent:
    """What the style check would run."""
    if not setting:
        return Intent((), "ci.style is empty")
    if setting != AUTO:
        return Intent((setting,))
    return Intent(RUFF) if _uses_ruff(root) else Intent((), "ruff is not configured")


def check_style(room: Room) -> Ended:
    """Run the check; raises NotFoundError when ruff is configured but not installed."""
    setting = room.config.ci.style
    intent = foresee_style(room.root, setting)
    if not intent.lines:
        return skipped(intent.why_not)
    room.watcher.started("style", " and ".join(intent.lines))
    bench = room.bench("style")
    ended = _ruff(bench) if setting == AUTO else own_command(bench, setting)
    inputs = digest_of(room.tree, " && ".join(intent.lines), without=[room.config.ci.report])
    return ended._replace(inputs=inputs)


def own_command(bench: Bench, line: str) -> Ended:
    """A command of the user's, of which only the exit code is known."""
    ran = run_command(bench, shell(line))
    if ran.code == 0:
        return Ended("passed", f"`{line}` ended well")
    return Ended("failed", ran.fault, (Case(line, "failed", ran.fault),))


def read_toml(path: Path) -> dict[str, object]:
    """A TOML file's content, nothing without it; UsageError where it is broken."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(path.name, f"{error}, expected TOML") from None


def tool_tables(root: Path) -> dict[str, object]:
    """The tables `[tool.*]` of pyproject.toml."""
    tables = read_toml(root / "pyproject.toml").get("tool", {})
    return tables if isinstance(tables, dict) else {}


def _uses_ruff(root: Path) -> bool:
    files = ("ruff.toml", ".ruff.toml")
    return any((root / name).exists() for name in files) or "ruff" in tool_tables(root)


def _ruff(bench: Bench) -> Ended:
    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
        found = Path(folder) / "found.json"
        words = ("check", "--output-format", "json", "--output-file", str(found))
        check = run_command(bench, Command((*_ruff_words(), *words), RUFF[0]))
        complaints = tuple(_complaints(found, bench.root)) if check.code in VERDICTS else ()
    form = run_command(bench, Command((*_ruff_words(), "format", "--check"), RUFF[1]), _SAID_IN_FULL)
    untidy = tuple(unformatted(form))
    # code that is no Python is a complaint already
    faults = [] if complaints else [ran.fault for ran in (check, form) if ran.code not in VERDICTS]
    cases = (*complaints, *untidy, *(Case("ruff", "failed", fault) for fault in faults))
    if not cases:
        return Ended("passed", "ruff has no complaint")
    parts = [counted(len(complaints), "complaint")] if complaints else []
    parts += [f"{counted(len(untidy), 'file')} to format"] if untidy else []
    return Ended("failed", ", ".join([*parts, *faults]), cases)


def _ruff_words() -> tuple[str, ...]:
    """The ruff beside this Python before any other: what CI installs from requirements."""
    if find_spec("ruff"):
        return sys.executable, "-m", "ruff"
    if shutil.which("ruff"):
        return ("ruff",)
    raise NotFoundError("ruff", "configured but not installed", hint="pip install ruff, or set ci.style")


def _complaints(path: Path, root: Path) -> Iterator[Case]:
    for one in json.loads(path.read_text(encoding="utf-8") or "[]"):
        at = _seen_from(root, one["filename"])
        line = (one.get("location") or {}).get("row")
        yield Case(f"{at}:{line} {one['code'] or 'syntax'}", "failed", one["message"], at, line)


def unformatted(ran: Ran) -> Iterator[Case]:
    """The files that ruff names as not in its format."""
    for name, line, file in _UNFORMATTED.findall(ran.output):
        at = name or file
        yield Case(f"{at} format", "failed", "ruff format would change it", at, int(line) if line else None)


def _seen_from(root: Path, name: str) -> str:
    path = Path(name)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else name

"""The unit tests: pytest where the project uses it, or a command of the user's; each test becomes a case."""

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tidegate.errors import NotFoundError
from tidegate.flow.ci.command import Command, Ran, run_command, shell
from tidegate.flow.ci.inputs import digest_of
from tidegate.flow.ci.step import Ended, Intent, Room, counted, skipped
from tidegate.flow.ci.style import AUTO, tool_tables
from tidegate.gate.report.record import Case, Outcome

PYTEST = "python -m pytest"
NOT_INSTALLED = "No module named pytest"
NOTHING_COLLECTED = 5

_SECTIONS = {"pytest.ini": "", ".pytest.ini": "", "tox.ini": "[pytest]", "setup.cfg": "[tool:pytest]"}
_OUTCOMES: dict[str, Outcome] = {"failure": "failed", "error": "failed", "skipped": "skipped"}


def foresee_tests(root: Path, setting: str) -> Intent:
    """What the tests would run."""
    if not setting:
        return Intent((), "ci.tests is empty")
    if setting != AUTO:
        return Intent((setting,))
    return (
        Intent((PYTEST,)) if _uses_pytest(root) else Intent((), "no folder tests, pytest is not configured")
    )


def check_tests(room: Room) -> Ended:
    """Run the tests; raises NotFoundError when pytest is asked for but not installed.

    pytest is told by its environment to write its results down, so a command that calls it gives cases too.
    """
    setting = room.config.ci.tests
    intent = foresee_tests(room.root, setting)
    if not intent.lines:
        return skipped(intent.why_not)
    room.watcher.started("tests", intent.lines[0])
    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
        results = Path(folder) / "results.xml"
        command = _pytest() if setting == AUTO else shell(setting)
        ran = run_command(room.bench("tests"), command, _asking_for(results))
        cases = tuple(_read_cases(results))
    if setting == AUTO and ran.code and not cases and NOT_INSTALLED in ran.output:
        raise NotFoundError("pytest", "not installed", hint="pip install pytest, or set ci.tests")
    ended = _judge(ran, cases)
    return ended._replace(inputs=digest_of(room.tree, intent.lines[0], without=[room.config.ci.report]))


def _judge(ran: Ran, cases: tuple[Case, ...]) -> Ended:
    if ran.code == NOTHING_COLLECTED and not cases:
        return skipped("pytest found no test")
    failed = sum(case.outcome == "failed" for case in cases)
    if ran.code == 0:
        return Ended("passed", _summary(cases) if cases else f"`{ran.shown}` ended well", cases)
    if not failed:
        return Ended("failed", ran.fault, (*cases, Case(ran.shown, "failed", ran.fault)))
    return Ended("failed", f"{failed:,} of {counted(len(cases), 'test')} failed", cases)


def _summary(cases: tuple[Case, ...]) -> str:
    left_out = sum(case.outcome == "skipped" for case in cases)
    passed = f"{counted(len(cases) - left_out, 'test')} passed"
    return f"{passed}, {left_out:,} skipped" if left_out else passed


def _uses_pytest(root: Path) -> bool:
    if any((root / name).is_dir() for name in ("tests", "test")) or "pytest" in tool_tables(root):
        return True
    texts = ((root / name, section) for name, section in _SECTIONS.items())
    return any(path.is_file() and section in path.read_text(encoding="utf-8") for path, section in texts)


def _pytest() -> Command:
    """The pytest beside this Python before any other: what CI installs from requirements."""
    python = sys.executable if find_spec("pytest") else shutil.which("python") or sys.executable
    return Command((python, "-m", "pytest"), PYTEST)


def _asking_for(results: Path) -> dict[str, str]:
    """The older family of the format is the one that says where a test stands."""
    options = f"-o junit_family=xunit1 --junitxml={shlex.quote(str(results))}"
    return {"PYTEST_ADDOPTS": f"{os.environ.get('PYTEST_ADDOPTS', '')} {options}".strip()}


def _read_cases(path: Path) -> Iterator[Case]:
    """The tests in a results file; none where pytest did not live to write it."""
    if not path.exists():
        return
    parser: Any = ElementTree.XMLPullParser(["end"])
    parser.feed(path.read_bytes())
    events: Iterator[tuple[str, ElementTree.Element]] = parser.read_events()
    yield from (_case(element) for _, element in events if element.tag == "testcase")


def _case(element: ElementTree.Element) -> Case:
    said = next((child for child in element if child.tag in _OUTCOMES), None)
    line = element.get("line")
    return Case(
        _name(element),
        "passed" if said is None else _OUTCOMES[said.tag],
        "" if said is None else _first_line(said),
        element.get("file", ""),
        int(line) + 1 if line else None,
        float(element.get("time", 0)),
    )


def _name(element: ElementTree.Element) -> str:
    """pytest's own name of a test, such as `tests/test_a.py::TestB::test_c`."""
    name, group, file = element.get("name", ""), element.get("classname", ""), element.get("file", "")
    module = file.removesuffix(".py").replace("/", ".")
    inner = group.removeprefix(module).strip(".").split(".") if file else [group]
    own = [] if name == module else [name]
    return "::".join(part for part in (file, *inner, *own) if part)


def _first_line(element: ElementTree.Element) -> str:
    text = element.get("message") or element.text or ""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")

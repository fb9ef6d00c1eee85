"""The tutorial is true: each of its commands is run, and what it shows is what is printed."""

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT_CODE = re.compile(r"\s+# exit code (\d+)$")
LOOSE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Step(NamedTuple):
    """A command of the tutorial, its exit code, and what it prints (`...` stands for anything)."""

    command: str
    code: int
    shown: str


def _steps(text: str) -> Iterator[Step]:
    for block in BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, shown = part.partition("\n")
            code = EXIT_CODE.search(line)
            yield Step(EXIT_CODE.sub("", line), int(code[1]) if code else 0, shown)


def _run(step: Step, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", step.command],
        cwd=cwd,
        env=os.environ | {"PATH": path, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )


def test_every_command_does_what_the_tutorial_shows(tmp_path: Path, checkout: Path, free_port) -> None:
    steps = list(_steps((checkout / "docs/tutorial.md").read_text()))
    assert len(steps) > 30
    here = tmp_path
    try:
        for step in steps:
            if step.command.startswith("cd "):
                here /= step.command.removeprefix("cd ")
                settings = here / "tidegate.toml"
                settings.write_text(settings.read_text().replace(":8080", f":{free_port()}"))
                continue
            done = _run(step, here)
            assert done.returncode == step.code, f"$ {step.command}\n{done.stdout}"
            is_shown = doctest.OutputChecker().check_output(step.shown, done.stdout, LOOSE)
            assert is_shown or not step.shown, f"$ {step.command}\n{done.stdout}\n-- is not --\n{step.shown}"
    finally:
        _run(Step("tidegate down", 0, ""), here)

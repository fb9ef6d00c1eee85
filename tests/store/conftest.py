"""Processes to race, to kill and to wait for."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

Child = subprocess.Popen[str]
Start = Callable[..., Child]


@pytest.fixture
def start() -> Iterator[Start]:
    """`start(program, *words)` runs Python source in a process of its own; none outlives the test."""
    children: list[Child] = []

    def run(program: str, *words: object) -> Child:
        command = [sys.executable, "-c", program, *(str(word) for word in words)]
        children.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return children[-1]

    yield run
    for child in children:
        child.kill()
        child.communicate()


@pytest.fixture
def said_until_killed(start: Start) -> Callable[..., list[str]]:
    """`said_until_killed(program, *words, lines=9)` sends SIGKILL after that many lines; all that it said."""

    def run(program: str, *words: object, lines: int) -> list[str]:
        child = start(program, *words)
        assert child.stdout
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.readlines()
        return [line.rstrip("\n") for line in said if line.endswith("\n")]

    return run

"""What every room's tests may use."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

# how long an example takes says more about the machine than about the code
settings.register_profile("tidegate", deadline=None)
settings.load_profile("tidegate")

ROOT = Path(__file__).parents[1]


class Answer(NamedTuple):
    """What a program did: its exit code and what it printed."""

    code: int
    out: str
    err: str


AskDvc = Callable[..., Answer]


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of this repository."""
    return ROOT


@pytest.fixture(autouse=True, scope="session")
def _quiet_git() -> None:
    """Tests make commits of their own: no person's settings, no prompt, no editor."""
    os.environ.update(
        GIT_CONFIG_GLOBAL=os.devnull,
        GIT_CONFIG_SYSTEM=os.devnull,
        GIT_TERMINAL_PROMPT="0",
        GIT_AUTHOR_NAME="Test",
        GIT_AUTHOR_EMAIL="test@example.com",
        GIT_COMMITTER_NAME="Test",
        GIT_COMMITTER_EMAIL="test@example.com",
    )


@pytest.fixture(scope="session")
def ask_dvc(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AskDvc]:
    """Run the real dvc in a directory: `ask_dvc(root, "status", "--json")`; imported once, it answers soon."""
    python = checkout / ".tools" / "dvc" / "bin" / "python"
    if not python.exists():
        pytest.fail(f"{python.relative_to(checkout)} is not installed: run make tools")
    own = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(tmp_path_factory.mktemp("site"))}
    call = [str(python), str(Path(__file__).with_name("dvc_server.py"))]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(
        call, env={**os.environ, **own}, stdin=pipe, stdout=pipe, stderr=null, text=True
    ) as server:

        def ask(folder: Path, *words: str, **variables: str) -> Answer:
            assert server.stdin
            assert server.stdout
            request = {"cwd": str(folder), "words": words, "env": {**os.environ, **own, **variables}}
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            return Answer(**json.loads(server.stdout.readline()))

        yield ask
        server.terminate()

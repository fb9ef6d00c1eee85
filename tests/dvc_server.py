"""Runs under DVC's own Python and imports DVC once: answers each line of JSON with what a `dvc` command did.

Every command runs in a fork, so that none sees what another left in memory.
"""

import gc
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import IO, Any


def warm_up() -> None:
    """Import what commands import on first use, by running some."""
    from dvc.repo import Repo

    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("dvc.yaml").write_text("stages: {a: {cmd: touch o, outs: [o]}}")
        with Repo.init(no_scm=True) as repo:
            repo.reproduce()
            repo.status()
        os.chdir(before)


def run(asked: dict[str, Any], files: tuple[IO[bytes], IO[bytes]]) -> int:
    """The exit code of a command in a process of its own, whose output goes to the files."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, file in enumerate(files, start=1):
            os.dup2(file.fileno(), number)
        from dvc.cli import main

        code = main(asked["words"])
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)


def serve() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warm_up()
    gc.freeze()
    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            code = run(json.loads(line), (out, err))
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "replace"))
        answers.write(json.dumps({"code": code, "out": texts[0], "err": texts[1]}) + "\n")
        answers.flush()


serve()

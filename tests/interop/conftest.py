"""Real DVC as the judge of what tidegate writes, and the other way round."""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tidegate.cli.main import cli
from tidegate.errors import TidegateError

AskDvc = Callable[..., Any]
Files = dict[str, str | None]
Step = str | Files

PIPELINE = """\
stages:
  prepare:
    cmd: |
      mkdir -p data/clean/deep && tr a-z A-Z < raw/words.txt > data/clean/words.txt
      cp raw/words.txt data/clean/deep/
    deps: [raw, prepare.txt]
    outs: [data/clean]
  train:
    cmd:
    - cat data/clean/words.txt > model.bin
    - 'echo "{\\"accuracy\\": 0.5}" > metrics.json'
    deps: [data/clean]
    params:
    - train
    - train.trees
    - settings.toml: [depth]
    - extra.json:
    outs:
    - model.bin
    metrics:
    - metrics.json: {cache: false}
  report:
    wdir: reports
    cmd: printf 'n,m\\n1,2\\n' > curve.csv; echo run > run.sh; chmod +x run.sh
    deps: [../metrics.json]
    params:
    - ../params.yaml: [lr]
    outs: [run.sh]
    plots: [curve.csv]
"""

FILES = {
    "dvc.yaml": PIPELINE,
    "params.yaml": "lr: 1e-3\ntrain:\n  trees: 10\n  sizes: [1, 2.5, null, 'yes', {on: true}]\n",
    "settings.toml": "depth = 3\n",
    "extra.json": '{"b": "x: y", "a": [1, 2]}',
    "prepare.txt": "v1",
    "raw/words.txt": "one two three\n",
    "raw/more/n.txt": "ünï\n",
    "raw/skip.tmp": "not seen",
    ".dvcignore": "*.tmp\n",
    "reports/.keep": "",
}


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[[str], Path]:
    """A new repository of this name with the pipeline above and an initialized DVC."""

    def make(name: str) -> Path:
        root = tmp_path / name
        for path, text in FILES.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        (root / ".dvc").mkdir()
        (root / ".dvc" / "config").write_text("")
        (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
        return root

    return make


@pytest.fixture
def dvc(tmp_path: Path, ask_dvc: Callable[..., Any]) -> Callable[..., str]:
    """Run dvc in a directory and return what it printed; a failure fails the test."""

    def run(root: Path, *words: str) -> str:
        done = ask_dvc(root, *words, DVC_SITE_CACHE_DIR=str(tmp_path / "site"))
        assert done.code == 0, done.out + done.err
        printed: str = done.out
        return printed

    return run


@pytest.fixture
def judge(tmp_path: Path, ask_dvc: AskDvc) -> Callable[[Files, Iterable[Step]], None]:
    """Take the same steps with both tools, in repositories of the same files, and compare all there is after each.

    A step is an edit of files (None deletes one, an `!x` is executable), or a command for both such as `repro -P`.
    One that begins with `!` must fail in both, of one with `=` both must print the same JSON; `sub/: status` is given
    in that directory. In the end each tool brings up to date what the other left.
    """
    return partial(_judge, Twins(tmp_path, ask_dvc))


class Twins:
    """Two repositories, each with the tool that works in it."""

    def __init__(self, folder: Path, ask_dvc: AskDvc) -> None:
        self.ours, self.theirs = (folder / name / "repository" for name in ("ours", "theirs"))
        self._ask = partial(ask_dvc, DVC_SITE_CACHE_DIR=str(folder / "site"))

    def tidegate(self, root: Path, words: str) -> tuple[bool, str]:
        """Whether a command succeeded, and what it printed."""
        return _tidegate(*_placed(root, words))

    def dvc(self, root: Path, words: str) -> tuple[bool, str]:
        """The same with DVC."""
        folder, parts = _placed(root, words)
        done = self._ask(folder, *parts)
        return done.code == 0, done.out if done.code == 0 else done.out + done.err


def _judge(twins: Twins, files: Files, steps: Iterable[Step]) -> None:
    for root in (twins.ours, twins.theirs):
        root.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        write(root, {".dvc/config": "", ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n", **files})
    for step in steps:
        _take(twins, step)
        _compare(twins, step)
    _cross(twins)


def _take(twins: Twins, step: Step) -> None:
    if not isinstance(step, str):
        for root in (twins.ours, twins.theirs):
            write(root, step)
        return
    if step == "git commit":
        for root in (twins.ours, twins.theirs):
            subprocess.run(["git", "-C", str(root), "add", "-A"], check=True)
            subprocess.run(["git", "-C", str(root), "commit", "-qm", "all"], check=True)
        return
    words, fails = step.lstrip("!="), step.startswith("!")
    own, real = twins.tidegate(twins.ours, words), twins.dvc(twins.theirs, words)
    for done, said in (own, real):
        assert done is not fails, f"{step}: {said}"
    if step.startswith("="):
        told = (known_to_dvc(_state(*one)) for one in ((twins.ours, own[1]), (twins.theirs, real[1])))
        assert next(told) == next(told), step
    if fails:
        _ignore_what_finished(twins)


def _ignore_what_finished(twins: Twins) -> None:
    """When a stage fails, DVC takes back what it told git to ignore, also of stages that finished before."""
    for path in twins.ours.rglob(".gitignore"):
        if not _is_private(path.parent):
            shutil.copy(path, twins.theirs / path.relative_to(twins.ours))


def _compare(twins: Twins, step: Step) -> None:
    assert differences(twins) == {}, step
    judged, seen = twins.dvc(twins.ours, "status --json"), twins.tidegate(twins.theirs, "status --json")
    assert judged[0] is seen[0], f"{step}: {judged[1]} {seen[1]}"
    if judged[0]:
        assert known_to_dvc(_state(twins.theirs, seen[1])) == _state(twins.ours, judged[1]), step
    if judged[0] and not isinstance(step, str):
        own, real = twins.tidegate(twins.ours, "status --json"), twins.dvc(twins.theirs, "status --json")
        assert known_to_dvc(_state(twins.ours, own[1])) == _state(twins.theirs, real[1]), step


def _cross(twins: Twins) -> None:
    """What one left, the other finds as if it had been its own."""
    by_dvc, by_us = twins.dvc(twins.ours, "repro -P"), twins.tidegate(twins.theirs, "repro -P")
    assert by_dvc[0] is by_us[0], f"crossed: {by_dvc[1]} {by_us[1]}"
    assert differences(twins) == {}, "crossed"


def _placed(root: Path, words: str) -> tuple[Path, list[str]]:
    folder, mark, rest = words.rpartition("/: ")
    return (root / folder if mark else root), shlex.split(rest)


def _tidegate(folder: Path, words: list[str]) -> tuple[bool, str]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        done = CliRunner().invoke(cli, words)
    finally:
        os.chdir(before)
    if isinstance(done.exception, TidegateError):
        return False, str(done.exception)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code == 0, done.stdout


def _state(root: Path, printed: str) -> Any:
    """A status in which what lies beside the repository has the same name for both."""
    return json.loads(printed.replace(str(root.parent), "/twin"))


def differences(twins: Twins) -> dict[str, tuple[Any, Any]]:
    """What is not the same in both repositories: what is in ours, and in DVC's."""
    ours, theirs = contents(twins.ours), contents(twins.theirs)
    paths = [path for path in {**ours, **theirs} if ours.get(path) != theirs.get(path)]
    return {path: (ours.get(path), theirs.get(path)) for path in paths}


def contents(root: Path) -> dict[str, Any]:
    """All files in a repository and beside it, with permissions and kind of link; but what each tool has for itself."""
    found: dict[str, Any] = {}
    for folder, inner, files in os.walk(root.parent):
        inner[:] = [name for name in inner if not _is_private(Path(folder, name))]
        for name in (*files, *(name for name in inner if Path(folder, name).is_symlink())):
            path = Path(folder, name)
            found[str(path.relative_to(root.parent))] = _content(path, root.parent)
    return found


def _is_private(path: Path) -> bool:
    return path.name in (".git", ".tidegate") or path.parts[-2:] in ((".dvc", "tmp"), ("cache", "tidegate"))


def _content(path: Path, twin: Path) -> tuple[Any, ...]:
    if path.is_symlink():
        return ("link", str(path.readlink()).replace(str(twin), "/twin"))
    seen = path.stat()
    # DVC lets only the owner execute what it checks out
    return oct(seen.st_mode & ~0o11 & 0o777), seen.st_nlink, path.read_bytes()


def write(root: Path, files: Files) -> None:
    """Write files anew, never through a link into the cache; None deletes."""
    for name, text in files.items():
        path = root / name.removeprefix("!")
        if text is None and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
            continue
        path.unlink(missing_ok=True)
        if text is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if name.startswith("!") else 0o444 if ".dvc/cache" in name else 0o644)


def known_to_dvc(value: Any) -> Any:
    """A state without what only tidegate tells: entries that dvc.yaml no longer has."""
    if isinstance(value, dict):
        kept = {key: known_to_dvc(part) for key, part in value.items() if part != "removed"}
        return {key: part for key, part in kept.items() if part not in ({}, [])}
    if isinstance(value, list):
        return [part for part in map(known_to_dvc, value) if part != {}]
    return value

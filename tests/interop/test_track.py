"""What `add`, `commit`, `remove` and `unprotect` leave behind is, byte for byte, what DVC's own verbs leave."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tidegate.cli.main import cli
from tidegate.errors import TidegateError

Dvc = Callable[..., str]

OURS = {".tidegate", ".git", "tmp", "tidegate"}


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two equal repositories with odd names, an executable file and ignored files: ours and DVC's."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for path, text in {
        "dä ta/in/a b.txt": "one\n",
        "dä ta/ünï.txt": "two\n",
        "dä ta/skip.tmp": "unseen",
        "dä ta/empty": "",
        "run me.sh": "#!/bin/sh\n",
        "deep/er/x[1].csv": "1,2\n",
        ".dvcignore": "*.tmp\n",
        ".dvc/config": "",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    }.items():
        (ours / path).parent.mkdir(parents=True, exist_ok=True)
        (ours / path).write_text(text)
    (ours / "run me.sh").chmod(0o755)
    subprocess.run(["git", "init", "-q", str(ours)], check=True)
    shutil.copytree(ours, theirs)
    yield ours, theirs
    for root in (ours, theirs):
        subprocess.run(["chmod", "-R", "u+w", str(root)], check=True)


def tidegate(root: Path, *words: str) -> str:
    """Run a command in a directory, in this process; errors are raised."""
    before = Path.cwd()
    os.chdir(root)
    try:
        done = CliRunner().invoke(cli, words)
    finally:
        os.chdir(before)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def files_of(root: Path) -> dict[str, bytes | str]:
    """Every file but what the tools keep for themselves: where links lead, what files hold and their owner may."""
    found: dict[str, bytes | str] = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in OURS]
        for name in names:
            if name.startswith(".") and name.endswith(".tmp"):
                continue  # which DVC leaves behind
            path = Path(folder, name)
            at = path.relative_to(root).as_posix()
            if path.is_symlink():
                found[at] = f"link to {path.readlink().relative_to(root)}"
            else:
                found[at] = f"{path.stat().st_mode & 0o700:o} ".encode() + path.read_bytes()
    return found


def both(twins: tuple[Path, Path], dvc: Dvc, *words: str, inside: str = "") -> None:
    """The same words for both tools; afterwards both repositories are equal, and each tool finds both clean."""
    ours, theirs = twins
    tidegate(ours / inside, *words)
    dvc(theirs / inside, *words)
    assert files_of(ours) == files_of(theirs)


def assert_clean(twins: tuple[Path, Path], dvc: Dvc) -> None:
    for root in twins:
        assert dvc(root, "status", "--json").strip() == "{}"
        assert tidegate(root, "status", "--json").strip() == "{}"


def test_adding_files_and_directories_with_odd_names(twins: tuple[Path, Path], dvc: Dvc) -> None:
    both(twins, dvc, "add", "dä ta", "run me.sh", "deep/er/x[1].csv")
    assert_clean(twins, dvc)


@pytest.mark.parametrize("kind", ["hardlink", "symlink", "copy"])
def test_adding_where_links_are_configured(twins: tuple[Path, Path], dvc: Dvc, kind: str) -> None:
    for root in twins:
        (root / ".dvc/config").write_text(f"[cache]\n    type = {kind}\n")
    both(twins, dvc, "add", "dä ta", "deep/er/x[1].csv")
    assert_clean(twins, dvc)
    both(twins, dvc, "unprotect", "dä ta")
    assert_clean(twins, dvc)
    both(twins, dvc, "add", "dä ta")
    both(twins, dvc, "remove", "dä ta.dvc")


def test_adding_without_the_cache_and_then_with_it(twins: tuple[Path, Path], dvc: Dvc) -> None:
    both(twins, dvc, "add", "--no-commit", "dä ta", "run me.sh")
    both(twins, dvc, "commit", "dä ta.dvc")
    both(twins, dvc, "add", "run me.sh")
    assert_clean(twins, dvc)


def test_adding_by_pattern_from_a_subdirectory(twins: tuple[Path, Path], dvc: Dvc) -> None:
    both(twins, dvc, "add", "--glob", "**/*.csv", inside="deep")
    both(twins, dvc, "add", "../run me.sh", inside="deep")
    assert_clean(twins, dvc)


def test_adding_a_path_inside_a_tracked_directory(twins: tuple[Path, Path], dvc: Dvc) -> None:
    both(twins, dvc, "add", "dä ta")
    for root in twins:
        (root / "dä ta/in/new").write_text("new\n")
        (root / "dä ta/other").write_text("not asked for\n")
    both(twins, dvc, "add", "dä ta/in/new")
    assert dvc(twins[0], "status", "--json") == dvc(twins[1], "status", "--json") != "{}"
    for root in twins:
        (root / "dä ta/ünï.txt").write_text("changed\n")
    both(twins, dvc, "add", "dä ta/ünï.txt")
    for root in twins:
        (root / "dä ta/empty").unlink()
    both(twins, dvc, "add", "dä ta/empty")
    both(twins, dvc, "add", "dä ta/other")
    both(twins, dvc, "add", "dä ta/in")
    assert_clean(twins, dvc)
    both(twins, dvc, "add", "dä ta")
    assert_clean(twins, dvc)


def test_adding_again_keeps_remarks_of_people(twins: tuple[Path, Path], dvc: Dvc) -> None:
    both(twins, dvc, "add", "run me.sh", "dä ta")
    for root in twins:
        path = root / "run me.sh.dvc"
        remarks = "# mine\ndesc: says\nmeta: {who: me}\n" + path.read_text()
        path.write_text(remarks.replace("  path:", "  desc: more # here\n  labels: [a]\n  path:"))
        (root / "run me.sh").write_text("#!/bin/sh\necho\n")
        (root / "dä ta/more").write_text("more\n")
    both(twins, dvc, "add", "run me.sh", "dä ta")
    assert "# here" in (twins[0] / "run me.sh.dvc").read_text()
    assert_clean(twins, dvc)


def test_an_entry_of_dvc_2_is_kept_until_its_content_changes(twins: tuple[Path, Path], dvc: Dvc) -> None:
    for root in twins:
        (root / "old.txt").write_bytes(b"a\r\nb\r\n")
        md5 = dvc_2_md5(b"a\r\nb\r\n")
        (root / "old.txt.dvc").write_text(f"outs:\n- md5: {md5}\n  size: 6\n  path: old.txt\n")
    both(twins, dvc, "add", "old.txt")
    assert "hash" not in (twins[0] / "old.txt.dvc").read_text()
    for root in twins:
        (root / "old.txt").write_bytes(b"a\r\nc\r\n")
    both(twins, dvc, "add", "old.txt")
    assert "  hash: md5\n" in (twins[0] / "old.txt.dvc").read_text()
    assert_clean(twins, dvc)


def dvc_2_md5(data: bytes) -> str:
    import hashlib

    return hashlib.md5(data.replace(b"\r\n", b"\n"), usedforsecurity=False).hexdigest()


def test_copies_from_anywhere(twins: tuple[Path, Path], dvc: Dvc, tmp_path: Path) -> None:
    (tmp_path / "away/in").mkdir(parents=True)
    (tmp_path / "away/in/f").write_text("far\n")
    both(twins, dvc, "add", str(tmp_path / "away"), "-o", "copy")
    both(twins, dvc, "add", str(tmp_path / "away/in/f"), "-o", "deep")
    assert_clean(twins, dvc)


def test_data_that_only_the_remote_keeps(twins: tuple[Path, Path], dvc: Dvc, tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "away/f").write_text("far\n")
    for root in twins:
        (root / ".dvc/config").write_text("[core]\n    remote = r\n['remote \"r\"']\n    url = tmp/remote\n")
    both(twins, dvc, "add", str(tmp_path / "away"), "--to-remote")
    both(twins, dvc, "add", str(tmp_path / "away/f"), "--to-remote", "-o", "deep/f")
    sent = [
        sorted(p.name for p in (tmp_path / f"{root.name}-remote").rglob("*") if p.is_file()) for root in twins
    ]
    assert [name for name in sent[1] if not name.endswith(".tmp")] == sent[0]
    for root in twins:
        dvc(root, "pull")
    assert_clean(twins, dvc)


@pytest.mark.parametrize(
    "words",
    [
        ("add", "nothing here"),
        ("add", "in git.txt"),
        ("add", "made.txt"),
        ("add", "dä ta/skip.tmp"),
        ("add", "link/in"),
        ("add", "link"),
        ("add", "deep"),
        ("add", "dä ta", "dä ta/in"),
        ("add", "--glob", "*.none"),
        ("add", ".."),
        ("add", "run me.sh", "-o", "in git.txt"),
        ("commit", "nobody"),
        ("commit", "make"),
        ("remove", "nobody"),
        ("remove", "deep/er/x[1].csv"),
        ("unprotect", "nothing here"),
    ],
)
def test_both_refuse_and_change_nothing(twins: tuple[Path, Path], dvc: Dvc, words: tuple[str, ...]) -> None:
    stage = "stages:\n  make:\n    cmd: touch made.txt\n    outs: [made.txt]\n"
    for root in twins:
        (root / "in git.txt").write_text("git\n")
        (root / "made.txt").write_text("")
        (root / "dvc.yaml").write_text(stage)
        (root / "link").symlink_to("dä ta")
        subprocess.run(["git", "-C", str(root), "add", "in git.txt"], check=True)
    both(twins, dvc, "add", "deep/er/x[1].csv")
    before = files_of(twins[0])
    with pytest.raises(AssertionError, match="ERROR"):
        dvc(twins[1], *words)
    with pytest.raises(TidegateError):
        tidegate(twins[0], *words)
    assert files_of(twins[0]) == before


PIPELINE = """\
stages:
  one: # first
    cmd: tr a-z A-Z < in.txt > out.txt
    deps: [in.txt]
    params: [lr]
    outs: [out.txt]
    metrics: [m.json: {cache: false}]
  two:
    cmd: cp out.txt last.txt
    deps: [out.txt]
    outs: [last.txt]
"""


@pytest.fixture
def pipelines(twins: tuple[Path, Path]) -> tuple[Path, Path]:
    """Both with stages whose outs were made by hand."""
    for root in twins:
        for name in ("in.txt", "out.txt", "last.txt"):
            (root / name).write_text(f"{name}\n")
        (root / "m.json").write_text('{"a": 1}')
        (root / "params.yaml").write_text("lr: 0.1\n")
        (root / "dvc.yaml").write_text(PIPELINE)
    return twins


def test_committing_work_done_by_hand(pipelines: tuple[Path, Path], dvc: Dvc) -> None:
    both(pipelines, dvc, "commit", "--force", "one")
    both(pipelines, dvc, "commit", "-f")
    assert_clean(pipelines, dvc)
    for root in pipelines:
        (root / "in.txt").write_text("changed\n")
        (root / "params.yaml").write_text("lr: 0.2\n")
    both(pipelines, dvc, "commit", "-f", "--with-deps", "two")
    assert_clean(pipelines, dvc)
    both(pipelines, dvc, "commit")


def test_removing_stages_and_data(pipelines: tuple[Path, Path], dvc: Dvc) -> None:
    both(pipelines, dvc, "commit", "--force")
    both(pipelines, dvc, "add", "dä ta", "run me.sh")
    both(pipelines, dvc, "remove", "one")
    both(pipelines, dvc, "remove", "run me.sh.dvc", "--outs")
    both(pipelines, dvc, "remove", "dä ta.dvc")
    both(pipelines, dvc, "remove", "two", "--outs")
    assert not (pipelines[0] / "dvc.yaml").exists()
    assert (pipelines[0] / "out.txt").exists()


def test_core_autostage_adds_to_the_index_of_git(twins: tuple[Path, Path], dvc: Dvc) -> None:
    for root in twins:
        (root / ".dvc/config").write_text("[core]\n    autostage = true\n")
    both(twins, dvc, "add", "dä ta")
    listed = [subprocess.check_output(["git", "-C", str(root), "ls-files", "-z"]) for root in twins]
    assert listed[0] == listed[1] != b""


def test_without_git_nothing_is_ignored(twins: tuple[Path, Path], dvc: Dvc) -> None:
    for root in twins:
        (root / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    both(twins, dvc, "add", "dä ta")
    assert not (twins[0] / ".gitignore").exists()
    both(twins, dvc, "remove", "dä ta.dvc")

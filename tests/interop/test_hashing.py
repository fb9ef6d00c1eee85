"""The md5 that real DVC records for odd trees is ours, and so is what it ignores."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.data.hash import Files, Hashed, hash_path
from tidegate.data.ignore import is_ignored
from tidegate.data.statcache import StatCache
from tidegate.errors import UsageError

Dvc = Callable[..., str]
Repo = Callable[[dict[str, bytes]], Path]
DVC = Path(__file__).parents[2] / ".tools" / "dvc" / "bin" / "dvc"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A new repository without git that holds these files."""

    def make(contents: dict[str, bytes]) -> Path:
        root = tmp_path / "repo"
        (root / ".dvc").mkdir(parents=True)
        (root / ".dvc" / "config").write_text("[core]\n    no_scm = True\n")
        for path, data in contents.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
        return root

    return make


def hash_of(root: Path, at: str, kind: str = "md5") -> Hashed:
    hashed = hash_path(Files(root, StatCache(root / "stat.json")), at, kind=kind)
    assert hashed
    return hashed


def test_odd_trees_have_the_md5_that_dvc_records(repo: Repo, dvc: Dvc):
    root = repo(
        {
            "unicode/ü/\U0001f600 \u2028": b"1",
            'unicode/"quoted" \\ \t\x7f': b"2",
            "unicode/new\nline": b"3",
            "unicode/ü.": b"4",
            "order/a/x": b"1",
            "order/a.b": b"2",
            "order/a-b": b"3",
            "order/Z": b"",
            "ends/crlf": b"a\r\nb\r\n",
            "ends/binary": b"\0\r\n",
            "program": b"#!/bin/sh\n",
            "links/real": b"1",
            "above/a.tmp": b"1",
            "above/keep.tmp": b"2",
            "above/deep/old/x": b"3",
            "above/deep/y": b"4",
            "above/.git/HEAD": b"5",
            "above/other/.git": b"gitdir: elsewhere",
            "above/.hg/x": b"6",
            "above/nested/.dvc/config": b"",
            "above/nested/x": b"7",
            "own/.dvcignore": b".dvcignore\n*.log\n",
            "own/a.log": b"1",
            "own/b": b"2",
            "cascade/.dvcignore": b"!keep.tmp\n/in/*.csv\n",
            "cascade/in/keep.tmp": b"1",
            "cascade/in/b.tmp": b"2",
            "cascade/in/c.csv": b"3",
            "cascade/in/deep/d.csv": b"4",
            ".dvcignore": b"# words\n*.tmp\n!keep.tmp\nold/\n",
            "empty/inner/.gitignore": b"",
        }
    )
    (root / "empty" / "inner" / ".gitignore").unlink()
    (root / "program").chmod(0o755)
    (root / "order" / "run").write_bytes(b"1")
    (root / "order" / "run").chmod(0o755)
    (root / "links" / "file").symlink_to("real")
    (root / "links" / "out").symlink_to(root / "program")
    (root / "links" / "folder").symlink_to(root / "order")
    targets = ["unicode", "order", "ends", "program", "links", "above", "own", "cascade/in", "empty"]
    ours = {at: hash_of(root, at) for at in targets}
    dvc(root, "add", *targets)
    for at in targets:
        (out,) = yaml.safe_load((root / f"{at}.dvc").read_text())["outs"]
        theirs = Hashed(out["md5"], out["size"], out.get("nfiles"), out.get("isexec", False))
        assert ours[at] == theirs, at


STAGES = """\
stages:
  read:
    cmd: 'true'
    deps: [old, nested, ../beside, link]
"""


def test_ignored_nested_outside_and_linked_deps_have_the_md5_that_dvc_locks(repo: Repo, dvc: Dvc):
    root = repo(
        {
            ".dvcignore": b"old/\n",
            "old/x": b"1",
            "nested/.dvc/config": b"",
            "nested/x": b"1",
            "../beside/.git/x": b"1",
            "../beside/y": b"2",
            "real/z": b"3",
            "dvc.yaml": STAGES.encode(),
        }
    )
    (root / "link").symlink_to("real")
    dvc(root, "repro")
    deps = yaml.safe_load((root / "dvc.lock").read_text())["stages"]["read"]["deps"]
    for dep in deps:
        assert hash_of(root, dep["path"])[:3] == (dep["md5"], dep["size"], dep["nfiles"]), dep["path"]


def test_entries_of_dvc_2_are_up_to_date_for_both(repo: Repo, dvc: Dvc):
    mixed = b"x" * (2**20 - 1) + b"\r\n" + b"y\r\n" * 10
    root = repo(
        {
            "d/text": b"a\r\nb\r\n",
            "d/binary": b"\0\r\n",
            "d/mixed": mixed,
            "d/nearly": b"\x80" * 3 + b"1234567\r\n",
        }
    )
    deps = ""
    for at in ("d", "d/text", "d/binary", "d/mixed", "d/nearly"):
        hashed = hash_of(root, at, "md5-dos2unix")
        assert hashed.kind == "md5-dos2unix"
        deps += f"    - path: {at}\n      md5: {hashed.md5}\n      size: {hashed.size}\n"
        deps += f"      nfiles: {hashed.nfiles}\n" if hashed.nfiles else ""
    (root / "dvc.yaml").write_text(
        "stages:\n  s:\n    cmd: 'true'\n    deps: [d, d/text, d/binary, d/mixed, d/nearly]\n"
    )
    (root / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  s:\n    cmd: 'true'\n    deps:\n{deps}")
    assert json.loads(dvc(root, "status", "--json")) == {}


@pytest.mark.parametrize("inside", ["d/.dvcignore", "d/deep/.dvcignore"])
def test_both_refuse_an_ignore_file_inside(repo: Repo, dvc: Dvc, inside: str):
    root = repo({"d/x": b"1", inside: b"*.tmp\n"})
    with pytest.raises(AssertionError, match="should not be in collected dir"):
        dvc(root, "add", "d")
    with pytest.raises(UsageError, match=inside):
        hash_of(root, "d")


parts = st.sampled_from(
    ["a", "b", "ab", "a.c", "*", "a*", "*.c", "?", "[ab]", "[!a]", "**", "\\*", "\\!a", "!", "#a", "a ", "ü"]
)
patterns = st.builds(
    lambda negated, anchored, path, is_dir: f"{negated}{anchored}{'/'.join(path)}{is_dir}",
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(parts, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)
ignore_files = st.dictionaries(
    st.sampled_from(["", "a", "b", "a/ab"]),
    st.lists(patterns, min_size=1, max_size=5),
    min_size=1,
    max_size=3,
)
FOLDERS = ["a", "b", "ab", "a/a", "a/b", "a/ab", "a/ab/b", "b/a", "b/a/a.c", "a.c"]
LEAVES = ["a.c", "b.c", "ü", "!a", "#a", "*", "ab.c"]


@pytest.mark.slow
def test_both_ignore_the_same_paths(tmp_path: Path):
    """Random patterns in many repositories, judged by one process of the real program."""
    cases: list[dict[str, list[str]]] = []

    @settings(max_examples=200, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(ignore_files)
    def collect(files: dict[str, list[str]]) -> None:
        cases.append(files)

    collect()
    roots = [plant(tmp_path / f"repo{number}", files) for number, files in enumerate(cases)]
    theirs = judged_by_dvc(roots)
    wrong = [
        (cases[number], path, verdict)
        for number, root in enumerate(roots)
        for path, verdict in theirs[str(root)].items()
        if verdict is not None and ours(root, path) != verdict
    ]
    assert not wrong, (len(wrong), wrong[:5])
    assert sum(True in verdicts.values() for verdicts in theirs.values() if verdicts) > 100


def plant(root: Path, files: dict[str, list[str]]) -> Path:
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = True\n")
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for folder in FOLDERS:
        for leaf in LEAVES:
            if not (root / folder / leaf).exists():
                (root / folder / leaf).write_text("")
    for folder, lines in files.items():
        (root / folder / ".dvcignore").write_text("\n".join(lines))
    return root


def ours(root: Path, path: str) -> bool | None:
    try:
        return is_ignored(root, path)
    except UsageError:
        return None


JUDGE = """
import json, os, sys
from dvc.fs import LocalFileSystem
from dvc.ignore import DvcIgnoreFilter
verdicts = {}
for root in sys.argv[1:]:
    paths = [os.path.join(top, name) for top, folders, names in os.walk(root) for name in (*folders, *names)]
    paths = sorted(path for path in paths if "/.dvc" not in path)
    try:
        judge = DvcIgnoreFilter(LocalFileSystem(url=root), root)
        known = [(path, judge.check_ignore(path).match) for path in paths]
    except Exception as error:
        known = [(path, None) for path in paths]
    verdicts[root] = {
        os.path.relpath(path, root) + "/" * os.path.isdir(path): known for path, known in known
    }
print(json.dumps(verdicts))
"""


def judged_by_dvc(roots: list[Path]) -> dict[str, dict[str, bool | None]]:
    """What the filter behind `dvc check-ignore` says of every path; None where the patterns break it."""
    command = [str(DVC.with_name("python")), "-c", JUDGE, *map(str, roots)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    verdicts: dict[str, dict[str, bool | None]] = json.loads(done.stdout)
    return verdicts


def test_the_judge_is_the_one_behind_check_ignore(repo: Repo, dvc: Dvc):
    root = plant(repo({}) / "inner", {"": ["a*", "!/a/ab"], "a": ["!*.c"]})
    paths = [
        path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if ".dvc" not in str(path.name)
    ]
    printed = dvc(root, "check-ignore", *[path for path in paths if not path.startswith(".dvc")]).split("\n")
    theirs = {path.rstrip("/") for path, verdict in judged_by_dvc([root])[str(root)].items() if verdict}
    assert set(filter(None, printed)) == theirs

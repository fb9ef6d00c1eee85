"""Real DVC as the judge of `.dvc` files, .gitignore lines, edits of dvc.yaml, and as a rival for its own locks."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.data.dvcfile import (
    content_md5,
    parse_dvcfile,
    read_dvcfile,
    render_dvcfile,
    update_dvcfile,
    with_content_md5,
)
from tidegate.data.dvclock import Claim, DvcLocks, repo_lock, rwlock
from tidegate.data.dvcrecord import Content, DvcFile, Source, Tracked, as_plain
from tidegate.data.gitignore import ignore_paths, unignore_paths
from tidegate.data.hash import Files, Hashed, hash_path
from tidegate.data.statcache import StatCache
from tidegate.errors import ConflictError
from tidegate.pipeline.edit import (
    NewOut,
    NewStage,
    add_stage,
    drop_lock_entries,
    join_command,
    params_by_file,
    remove_stage,
    set_frozen,
)

Dvc = Callable[..., str]
Start = Callable[..., subprocess.Popen[str]]
DVC = Path(__file__).parents[2] / ".tools" / "dvc" / "bin" / "dvc"

DATA = {
    "words.txt": "one\r\ntwo\n",
    "run.sh": "echo\n",
    "my data [1].csv": "a,b\n",
    "ünï.txt": "é",
    "123": "n",
    "folder/a": "a",
    "folder/deep/b": "b",
    "sub/inner.bin": "",
}
COMMENTED = """\
# why we keep this
desc: 'the corpus'   # of 2024
outs:
- path: words.txt  # the words
  hash: md5
  md5: 0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d
  labels: [text, "raw"]
  size: 3
  meta: {owner: "ann",
    since: 2024}
  remote: far

meta:
    # anything goes here
    a: 1
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of git and DVC with some files."""
    made = tmp_path / "repo"
    for path, text in DATA.items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_bytes(text.encode())
    (made / "run.sh").chmod(0o755)
    subprocess.run(["git", "init", "-q", str(made)], check=True)
    (made / ".dvc").mkdir()
    (made / ".dvc" / "config").write_text("[cache]\n    type = copy\n['remote \"far\"']\n    url = ../far\n")
    (made / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    return made


@pytest.fixture
def start(tmp_path: Path):
    """Start dvc in a directory and go on; none outlives the test."""
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
    children = []

    def run(root: Path, *words: str) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        children.append(subprocess.Popen([str(DVC), *words], cwd=root, env=env, text=True, **pipes))
        return children[-1]

    yield run
    for child in children:
        child.kill()
        child.communicate()


def hashed(root: Path, at: str) -> Hashed:
    found = hash_path(Files(root, StatCache(root.parent / "stats.json")), at)
    assert found
    return found


def tracked(root: Path, at: str) -> DvcFile:
    return DvcFile(outs=(Tracked(Path(at).name, Content(hashed(root, at))),))


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_files_and_ignore_lines_of_add_are_equal_byte_for_byte(root: Path, dvc: Dvc):
    names = ["words.txt", "run.sh", "my data [1].csv", "ünï.txt", "123", "folder", "sub/inner.bin"]
    (root / ".gitignore").write_text("*.tmp")
    (root / "sub" / ".gitignore").write_text("*.bin\n")
    ignore_paths(root, names)
    ours = {at: (root / at).read_bytes() for at in (".gitignore", "sub/.gitignore")}
    (root / ".gitignore").write_text("*.tmp")
    dvc(root, "add", *names)
    for name in names:
        assert (root / f"{name}.dvc").read_text() == render_dvcfile(tracked(root, name)), name
        assert read_dvcfile(root, f"{name}.dvc", StatCache(root / "m.json")) == tracked(root, name)
    assert {at: (root / at).read_bytes() for at in ours} == ours
    unignore_paths(root, names)
    dvc(root, "status")
    assert (root / ".gitignore").read_text() == "*.tmp\n"


def test_comments_and_order_survive_an_update_as_with_dvc(root: Path, dvc: Dvc):
    (root / "words.txt.dvc").write_text(COMMENTED)
    record = parse_dvcfile(COMMENTED, "words.txt.dvc")
    fresh = record.outs[0]._replace(content=Content(hashed(root, "words.txt")))
    dvc(root, "add", "words.txt")
    ours = update_dvcfile(COMMENTED, record._replace(outs=(fresh,)))
    assert ours == (root / "words.txt.dvc").read_text()
    assert "# why we keep this" in ours
    for word, frozen in (("freeze", True), ("unfreeze", False)):
        ours = update_dvcfile(ours, parse_dvcfile(ours, "f")._replace(frozen=frozen))
        dvc(root, word, "words.txt.dvc")
        assert ours == (root / "words.txt.dvc").read_text(), word


def test_a_file_that_became_a_directory_gets_its_new_keys_where_dvc_puts_them(root: Path, dvc: Dvc):
    dvc(root, "add", "words.txt")
    before = (root / "words.txt.dvc").read_text()
    (root / "words.txt").unlink()
    (root / "words.txt").mkdir()
    (root / "words.txt" / "a").write_text("a")
    dvc(root, "add", "words.txt")
    assert update_dvcfile(before, tracked(root, "words.txt")) == (root / "words.txt.dvc").read_text()


def test_files_of_imports_are_equal_byte_for_byte(root: Path, dvc: Dvc, tmp_path: Path):
    (tmp_path / "outside.csv").write_text("x\n")
    address = str(tmp_path / "outside.csv")
    dvc(root, "import-url", address, "in.csv")
    dvc(root, "import-url", "words.txt", "copy.txt", "--no-download")
    content = Content(hashed(root, "in.csv"))
    outside = DvcFile((Tracked("in.csv", content),), (Source(address, content),), frozen=True)
    assert render_dvcfile(with_content_md5(outside)) == (root / "in.csv.dvc").read_text()
    inside = Source("words.txt", Content(hashed(root, "words.txt")))
    partial = DvcFile(outs=(Tracked("copy.txt"),), deps=(inside,), frozen=True)
    assert render_dvcfile(with_content_md5(partial)) == (root / "copy.txt.dvc").read_text()
    assert parse_dvcfile((root / "copy.txt.dvc").read_text(), "f").outs[0].content.hashed is None


def test_an_import_of_another_repository_reads_and_writes_back(root: Path, dvc: Dvc, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    git = ["git", "-C", str(other), "-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    (other / "plain.txt").write_text("p")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
    dvc(root, "import", str(other), "plain.txt", "--rev", "main")
    text = (root / "plain.txt.dvc").read_text()
    record = parse_dvcfile(text, "plain.txt.dvc")
    assert render_dvcfile(record) == text
    assert list(record.deps[0].repo) == ["url", "rev", "rev_lock"]
    assert content_md5(as_plain(record)) == record.md5


STAGES = [
    (["-d", "words.txt", "-o", "out.txt", "cat words.txt > out.txt"], {"deps": ("words.txt",)}, ["out.txt"]),
    (
        ["-p", "lr,b.c", "-p", "other.yaml:z,y", "-p", "whole.json:", "-M", "m.json", "--plots", "p.csv"],
        {"params": ("lr,b.c", "other.yaml:z,y", "whole.json:")},
        [NewOut("m.json", "metrics", cache=False), NewOut("p.csv", "plots")],
    ),
    (
        ["-w", "sub", "-d", "../words.txt", "-d", "./inner.bin", "--outs-persist-no-cache", "state"],
        {"wdir": "./sub/", "deps": ("../words.txt", "./inner.bin")},
        [NewOut("state", cache=False, persist=True)],
    ),
    (
        [
            "--plots-no-cache",
            "c.svg",
            "-m",
            "n.json",
            "--outs-persist",
            "keep/",
            "-O",
            "raw: x",
            "--always-changed",
        ],
        {"always_changed": True},
        [
            NewOut("c.svg", "plots", cache=False),
            NewOut("n.json", "metrics"),
            NewOut("keep/", persist=True),
            NewOut("raw: x", cache=False),
        ],
    ),
    (
        [
            "--desc",
            "it's: a\nlong one",
            "-d",
            "b",
            "-d",
            "a",
            "python",
            "-c",
            "a b",
            "",
            'say "x y"',
            "$HOME",
        ],
        {"desc": "it's: a\nlong one", "deps": ("b", "a")},
        [],
    ),
]


def test_stages_are_added_byte_for_byte(root: Path, dvc: Dvc):
    (root / "dvc.yaml").write_text("# the pipeline\nvars:\n- {k: 1}  # one\n")
    ours = (root / "dvc.yaml").read_text()
    for i, (words, fields, outs) in enumerate(STAGES):
        given = words if i in (0, 4) else [*words, f"echo {'long ' * 30}{i}"]
        command = join_command(given[6:]) if i == 4 else given[-1]
        made = {**fields, "params": params_by_file(fields.get("params", ()))}
        listed = tuple(NewOut(out) if isinstance(out, str) else out for out in outs)
        ours = add_stage(ours, NewStage(f"s-{i}", command, outs=listed, **made))
        dvc(root, "stage", "add", "-n", f"s-{i}", *given)
        assert ours == (root / "dvc.yaml").read_text(), words
    ours = add_stage(
        ours, NewStage("s-1", "true", params={"params.yaml": []}, outs=(NewOut("z"),)), force=True
    )
    dvc(root, "stage", "add", "-f", "-n", "s-1", "-p", "params.yaml:", "-o", "z", "true")
    assert ours == (root / "dvc.yaml").read_text()


PIPELINE = """\
# head
stages:
  one:   # the first
    cmd: echo 1 > one.txt
    outs:
    - one.txt:
        desc: 'first'  # said
        cache: true
  two:
    cmd: cat one.txt > two.txt
    deps: [one.txt]
    outs: [two.txt]
    # end of two
  three: {cmd: "echo"}
"""


def test_freezing_and_removing_edit_the_pipeline_as_dvc_does(root: Path, dvc: Dvc):
    (root / "dvc.yaml").write_text(PIPELINE)
    dvc(root, "repro")
    ours, lock = PIPELINE, (root / "dvc.lock").read_text()
    for word, name in (("freeze", "two"), ("freeze", "three"), ("unfreeze", "two"), ("unfreeze", "three")):
        ours = set_frozen(ours, name, frozen=word == "freeze")
        dvc(root, word, name)
        assert ours == (root / "dvc.yaml").read_text(), (word, name)
    for name in ("two", "one"):
        ours, lock = remove_stage(ours, name), drop_lock_entries(lock, [name])
        dvc(root, "remove", name)
        assert ours == (root / "dvc.yaml").read_text()
        assert lock == (root / "dvc.lock").read_text()
    dvc(root, "remove", "three")
    assert not (root / "dvc.yaml").exists()
    assert remove_stage(ours, "three") is None


WAITING = "stages:\n  train:\n    cmd: touch began && while ! test -e go; do sleep 0.05; done && echo > out\n"


def test_we_see_and_name_a_stage_that_dvc_runs(root: Path, start: Start):
    (root / "dvc.yaml").write_text(WAITING + "    deps: [words.txt]\n    outs: [out]\n")
    child = start(root, "repro", "train")
    until((root / "began").exists)
    said: list[str] = []
    locks = DvcLocks(root, 0.1, said.append)
    with pytest.raises(ConflictError) as caught, rwlock(locks, Claim("ours", write=("words.txt",))):
        pytest.fail("both write")
    assert str(caught.value) == f".dvc: process {child.pid} (dvc repro train) is at work, it reads words.txt"
    assert said == [f"waiting for process {child.pid} (dvc repro train), it reads words.txt"]
    with rwlock(locks, Claim("ours", read=("words.txt",), write=("other",))), repo_lock(locks):
        assert len(json.loads((root / ".dvc/tmp/rwlock").read_text())["read"][str(root / "words.txt")]) == 2
    (root / "go").touch()
    done: list[bool] = []

    def wait_for_dvc() -> None:
        with rwlock(DvcLocks(root, 60), Claim("ours", read=("out",))):
            done.append((root / "out").exists())

    waiter = threading.Thread(target=wait_for_dvc)
    waiter.start()
    assert child.wait(60) == 0
    waiter.join(60)
    assert done == [True]
    assert json.loads((root / ".dvc/tmp/rwlock").read_text()) == {}


@pytest.mark.slow
def test_dvc_sees_and_names_what_we_run(root: Path, start: Start):
    (root / "dvc.yaml").write_text(
        "stages:\n  a:\n    cmd: echo > out\n    deps: [words.txt]\n    outs: [out]\n"
    )
    with rwlock(DvcLocks(root), Claim("tidegate repro a", write=("words.txt",))):
        for words in (("status",), ("repro",)):
            said, _ = start(root, *words).communicate(timeout=60)
            assert f"'{root}/words.txt' is busy" in said
            assert f"(PID {os.getpid()}): tidegate repro a" in said
    child = start(root, "repro")
    assert child.communicate(timeout=60)
    assert child.returncode == 0
    with repo_lock(DvcLocks(root)):
        said, _ = start(root, "status").communicate(timeout=60)
        assert "Unable to acquire lock" in said


@pytest.mark.slow
def test_dvc_and_we_take_turns_at_the_hardlink_lock(root: Path, start: Start):
    (root / ".dvc" / "config").write_text("[core]\n    hardlink_lock = true\n")
    locks = DvcLocks(root, hardlink=True, wait_s=60)
    with repo_lock(locks):
        said, _ = start(root, "status").communicate(timeout=60)
        assert "Unable to acquire lock" in said
    child = start(root, "add", "words.txt")
    until((root / ".dvc/tmp/lock").exists)
    with repo_lock(locks):
        assert (root / "words.txt.dvc").exists()
    assert child.wait(60) == 0
    assert sorted(path.name for path in (root / ".dvc/tmp").glob("*lock*")) in ([], ["rwlock"])

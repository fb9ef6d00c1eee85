"""push, pull, fetch, checkout, status --cloud, gc, remote and cache: what real DVC makes of it, and the other way."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

Dvc = Callable[..., str]
PROGRAM = str(Path(sys.executable).parent / "tidegate")
PIPELINE = """\
stages:
  make:
    cmd:
    - mkdir made && cp data/a made/x && cp data/a here.json
    - echo 1 > m.json && echo a,b > p.csv
    deps: [data/a]
    outs:
    - made
    metrics:
    - m.json
    - here.json: {cache: false}
    plots:
    - p.csv
"""


def ours(root: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [PROGRAM, *words],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True)


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def listing(folder: Path) -> dict[str, bytes]:
    """Objects and runs, without what either tool keeps for itself."""
    found = (path for path in folder.rglob("*") if path.is_file()) if folder.exists() else ()
    kept = ((path.relative_to(folder).as_posix(), path) for path in found)
    return {name: path.read_bytes() for name, path in kept if not name.startswith("tidegate/")}


def objects(folder: Path) -> set[str]:
    return {name for name in listing(folder) if not name.startswith("runs/")}


def tree(root: Path) -> dict[str, bytes]:
    skip = (".git", ".dvc", ".tidegate")
    return {name: data for name, data in listing(root).items() if name.split("/")[0] not in skip}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory, files of the same content, a pipeline that ran, all committed; remote `r` is the default."""
    root = tmp_path_factory.mktemp("original") / "repo"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    write(root, _dot_dvc__config="", _dot_dvc___dot_gitignore="/config.local\n/tmp\n/cache\n")
    write(root, _dot_git__info__exclude=".tidegate\n")
    write(root, data__a="a\n", data__sub__b="b\n", data__sub__ü="c\n", data__dup="a\n")
    write(root, one="one\n", two="a\n")
    ours(root, "add", "data", "one", "two")
    (root / "dvc.yaml").write_text(PIPELINE)
    ours(root, "repro")
    ours(root, "remote", "add", "-d", "r", "../remote")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    shutil.rmtree(root / ".tidegate")
    return root


@pytest.fixture
def repo(tmp_path: Path, original: Path) -> Path:
    """A copy of it for one test."""
    root = tmp_path / "repo"
    shutil.copytree(original, root, symlinks=True)
    # absolute: DVC reads a relative one of another commit as one from `/`
    ours(root, "remote", "modify", "r", "url", str(tmp_path / "remote"))
    git(root, "commit", "-qam", "one", "--amend")
    return root


@pytest.fixture
def twin(tmp_path: Path) -> Callable[[Path], Path]:
    """A copy of a repository beside it, with a remote of its own below `twin/`."""

    def make(root: Path) -> Path:
        copy = tmp_path / "twin" / root.name
        shutil.copytree(root, copy, symlinks=True)
        ours(copy, "remote", "modify", "r", "url", str(copy.parent / "remote"))
        if (tmp_path / "remote").exists():
            shutil.copytree(tmp_path / "remote", copy.parent / "remote")
        return copy

    return make


def clone(root: Path, name: str) -> Path:
    copy = root.parent / name
    subprocess.run(["git", "clone", "-q", str(root), str(copy)], check=True)
    return copy


def forget(root: Path) -> None:
    """Empty cache, as after a fresh clone."""
    shutil.rmtree(root / ".dvc" / "cache")


def test_what_we_push_dvc_finds_in_sync_and_pulls(repo: Path, dvc: Dvc, twin):
    other = twin(repo)
    assert ours(repo, "push") == dvc(other, "push") == "8 files pushed\n"
    assert listing(repo.parent / "remote") == listing(other.parent / "remote")
    assert json.loads(dvc(repo, "status", "-c", "--json")) == {}
    assert ours(repo, "push") == dvc(repo, "push") == "Everything is up to date.\n"
    copy = clone(repo, "copy")
    dvc(copy, "pull")
    assert tree(copy) == tree(repo)


def test_what_dvc_pushed_we_pull_as_dvc_does(repo: Path, dvc: Dvc):
    dvc(repo, "push", "-q")
    copy, theirs = clone(repo, "copy"), clone(repo, "theirs")
    assert sorted(ours(copy, "pull").splitlines()) == sorted(dvc(theirs, "pull").splitlines())
    assert tree(copy) == tree(repo)
    assert json.loads(dvc(copy, "status", "--json")) == {} == json.loads(ours(copy, "status", "--json"))
    assert listing(copy / ".dvc/cache") == listing(theirs / ".dvc/cache")
    assert ours(copy, "pull") == dvc(copy, "pull") == "Everything is up to date.\n"


def test_status_of_the_cloud_is_the_same_json(repo: Path, dvc: Dvc):
    def both(*words: str, here: str = ".") -> dict[str, str]:
        found = json.loads(dvc(repo / here, "status", "-c", "--json", *words))
        mine = json.loads(ours(repo / here, "status", "-c", "--json", *words))
        assert _one_name(mine) == _one_name(found)
        return found

    assert set(both().values()) == {"new"}
    assert both(here="data")
    assert set(both("one", "data.dvc")) >= {"one", "data"}
    ours(repo, "push", "one")
    assert "one" not in both()
    dvc(repo, "push", "-q")
    assert both() == {}
    forget(repo)
    assert set(both().values()) == {"deleted"}
    assert ours(repo, "status", "-c", "-q", code=1) == ""


def _one_name(states: dict[str, str]) -> dict[str, str]:
    """The same content has several names; which one DVC tells follows the order in which the disk lists files."""
    same = re.compile(r"(\.{1,2}/)?((data/)?(a|dup)|two|made/x)")
    return {"same" if same.fullmatch(name) else name: state for name, state in states.items()}


def test_remotes_and_push_flags_of_outs_are_honored(repo: Path, dvc: Dvc, twin):
    for name, flag in (("one", "remote: s"), ("two", "push: false")):
        path = repo / f"{name}.dvc"
        path.write_text(path.read_text() + f"  {flag}\n")
    (repo / "two").write_text("only here\n")
    dvc(repo, "commit", "-q", "-f", "two.dvc")
    dvc(repo, "remote", "add", "-q", "s", "../special")
    other = twin(repo)
    assert ours(repo, "push") == dvc(other, "push")
    for name in ("remote", "special"):
        assert listing(repo.parent / name) == listing(other.parent / name) != {}, name
    forget(repo), forget(other)
    assert (
        ours(repo, "fetch", "-r", "s", "one") == dvc(other, "fetch", "-r", "s", "one") == "1 file fetched\n"
    )
    ours(repo, "fetch", "-r", "r", "one.dvc")
    assert objects(repo / ".dvc/cache") == objects(other / ".dvc/cache")


@pytest.mark.parametrize("flags", [(), ("-a",), ("-T",), ("-A",), ("-a", "-T")])
def test_branches_tags_and_all_commits_push_the_same_objects(repo: Path, dvc: Dvc, flags):
    _grow(repo, dvc)
    remote, cache = repo.parent / "remote", repo / ".dvc/cache"
    told = ours(repo, "push", *flags)
    pushed = listing(remote)
    shutil.rmtree(remote)
    assert told == dvc(repo, "push", *flags)
    assert pushed == listing(remote)
    shutil.rmtree(cache)
    ours(repo, "fetch", *flags)
    fetched = objects(cache)
    shutil.rmtree(cache)
    dvc(repo, "fetch", *flags)
    assert fetched == objects(cache)


def _grow(root: Path, dvc: Dvc) -> None:
    """A tagged commit in the past, a second branch, and a third commit on main."""
    git(root, "tag", "-a", "-m", "first", "v1")
    for number, branch in enumerate(("main", "side", "side", "main"), 2):
        subprocess.run(
            ["git", "-C", str(root), "checkout", "-qB" if branch == "side" else "-q", branch], check=True
        )
        dvc(root, "checkout", "-q", "--force")
        write(root, one=f"one {number}\n", data__a=f"a {number}\n")
        dvc(root, "add", "-q", "one", "data")
        git(root, "add", ".")
        when = f"2026-11-{number:02}T12:00:00"
        env = {**os.environ, "GIT_COMMITTER_DATE": when, "GIT_AUTHOR_DATE": when}
        subprocess.run(["git", "-C", str(root), "commit", "-qm", str(number)], check=True, env=env)


@pytest.mark.parametrize(
    "words",
    [
        ("data",),
        ("data.dvc", "two"),
        ("make",),
        ("make", "--with-deps"),
        ("-R", "."),
        ("made",),
        ("data/sub",),
        ("data/sub/b", "one"),
        ("--type", "metrics"),
        ("--type", "plots", "--type", "metrics"),
        ("--max-size", "5"),
    ],
    ids=" ".join,
)
def test_targets_and_filters_fetch_the_same_objects(repo: Path, dvc: Dvc, twin, words):
    dvc(repo, "push", "-q")
    forget(repo)
    other = twin(repo)
    told = ours(repo, "fetch", *words)
    assert told == dvc(other, "fetch", *words)
    assert objects(repo / ".dvc/cache") == objects(other / ".dvc/cache")


def test_a_part_of_a_directory_is_checked_out_as_dvc_does(repo: Path, dvc: Dvc, twin):
    shutil.rmtree(repo / "data")
    other = twin(repo)
    for words in (("data/sub/b",), ("data/sub",), ("data",)):
        assert ours(repo, "checkout", *words) == dvc(other, "checkout", *words)
        assert tree(repo) == tree(other)


def test_part_of_a_directory_is_pushed_without_promising_the_rest(repo: Path, dvc: Dvc):
    """DVC pushes the list along; after that it holds the other files to be there, and never sends them."""
    assert ours(repo, "push", "data/sub") == "2 files pushed\n"
    assert not [name for name in listing(repo.parent / "remote") if name.endswith(".dir")]
    dvc(repo, "push", "-q")
    copy = clone(repo, "copy")
    ours(copy, "pull")
    assert tree(copy) == tree(repo)


def test_globs_name_outs_and_files_in_both(repo: Path, dvc: Dvc, twin):
    other = twin(repo)
    assert ours(repo, "push", "--glob", "*.dvc") == dvc(other, "push", "--glob", "*.dvc")
    assert listing(repo.parent / "remote") == listing(other.parent / "remote")


def test_entries_of_dvc_2_keep_their_layout(repo: Path, dvc: Dvc, twin):
    (repo / "one").write_bytes(b"one\r\n")
    legacy = "5bbf5a52328e7439ae6e719dfe712200"  # md5 of the text with LF
    (repo / "one.dvc").write_text(f"outs:\n- md5: {legacy}\n  size: 5\n  path: one\n")
    place = repo / ".dvc/cache" / legacy[:2] / legacy[2:]
    place.parent.mkdir()
    place.write_bytes(b"one\r\n")
    other = twin(repo)
    assert ours(repo, "push") == dvc(other, "push")
    assert listing(repo.parent / "remote") == listing(other.parent / "remote")
    assert (repo.parent / "remote" / legacy[:2] / legacy[2:]).exists()
    for root, pull in ((repo, ours), (other, dvc)):
        forget(root)
        (root / "one").unlink()
        pull(root, "pull")
        assert (root / "one").read_bytes() == b"one\r\n"
    assert listing(repo / ".dvc/cache") == listing(other / ".dvc/cache")


def test_checkout_prints_and_does_what_dvc_does_across_branches(repo: Path, dvc: Dvc, twin):
    git(repo, "checkout", "-qb", "side")
    write(repo, data__a="new\n", data__more="m\n", three="3\n")
    (repo / "data/dup").unlink()
    dvc(repo, "add", "-q", "data", "three")
    dvc(repo, "remove", "-q", "one.dvc")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "side")
    git(repo, "checkout", "-q", "main")
    (repo / "three").unlink()
    other = twin(repo)
    dvc(other, "checkout", "-q")
    ours(repo, "checkout", "-q")
    for branch in ("side", "main", "side"):
        for root in (repo, other):
            git(root, "checkout", "-q", branch)
        flags = ("--summary",) if branch == "main" else ()
        assert ours(repo, "checkout", *flags) == dvc(other, "checkout", *flags), branch
        assert tree(repo) == tree(other)
    assert ours(repo, "checkout") == dvc(other, "checkout") == ""
    assert ours(repo, "checkout", "--relink") == dvc(other, "checkout", "--relink")


def test_checkout_from_a_directory_names_paths_from_there(repo: Path, dvc: Dvc, twin):
    shutil.rmtree(repo / "made")
    (repo / "one").unlink()
    other = twin(repo)
    assert (
        ours(repo / "data", "checkout")
        == dvc(other / "data", "checkout")
        == "A       ../made/\nA       ../one\n"
    )


@pytest.mark.parametrize(
    "flags",
    [
        ("-w",),
        ("-a",),
        ("-T",),
        ("-A",),
        ("--rev", "v1"),
        ("--rev", "side", "-n", "2"),
        ("-a", "-n", "2"),
        ("--date", "2026-11-04"),
        ("-w", "--not-in-remote"),
        ("-w", "-c"),
        ("-T", "-c", "-r", "r"),
    ],
    ids=" ".join,
)
def test_gc_keeps_exactly_what_dvc_keeps(repo: Path, dvc: Dvc, twin, flags):
    dvc(repo, "push", "-q")
    _grow(repo, dvc)
    git(repo, "checkout", "-q", "main")
    dvc(repo, "checkout", "-q")
    write(repo, data__a="in the workspace\n")
    dvc(repo, "add", "-q", "data")
    if "-c" in flags:
        dvc(repo, "push", "-q", "-A")
    other = twin(repo)
    told = ours(repo, "gc", *flags, "--force", "--grace", "0", "--dry", "--json")
    before = objects(repo / ".dvc/cache"), objects(repo.parent / "remote")
    ours(repo, "gc", *flags, "--force", "--grace", "0")
    dvc(other, "gc", *flags, "--force")
    assert objects(repo / ".dvc/cache") == objects(other / ".dvc/cache")
    assert objects(repo.parent / "remote") == objects(other.parent / "remote")
    gone = [set(one["removed"]) for one in json.loads(told)]
    assert gone[0] == before[0] - objects(repo / ".dvc/cache")


def test_gc_keeps_what_other_projects_use_of_a_shared_cache(repo: Path, dvc: Dvc):
    second = clone(repo, "second")
    for root in (repo, second):
        dvc(root, "cache", "dir", "--local", str(repo / ".dvc/cache"))
    write(second, one="of the second\n")
    dvc(second, "add", "-q", "one")
    before = objects(repo / ".dvc/cache")
    ours(repo, "gc", "-w", "-f", "--grace", "0", "-p", "../second")
    dvc(repo, "gc", "-w", "-f", "-p", "../second")
    assert objects(repo / ".dvc/cache") == before
    ours(repo, "gc", "-w", "-f", "--grace", "0")
    assert len(objects(repo / ".dvc/cache")) == len(before) - 1


SEQUENCES = [
    [
        "add -d a ../one",
        "add b s3://bucket/x",
        "modify b region eu",
        "modify --local b secret_access_key x,y",
    ],
    [
        "add a ../one",
        "default a",
        "rename a z",
        "add --local a /tmp/q",
        "default --local a",
        "rename --local a y",
    ],
    ["add -d a ../one", "add -f a ../two", "default -u", "add b rel/path", "remove a"],
    [
        "add A ../one",
        "default --local a",
        "modify a jobs 3",
        "modify a jobs 4",
        "modify -u a jobs",
        "rename a c",
    ],
    ["add -d a ../one", "remove a", "add b x", "add c remote://b/in"],
]


@pytest.mark.parametrize("words", SEQUENCES, ids=range(len(SEQUENCES)))
def test_remote_verbs_write_the_same_bytes(tmp_path: Path, dvc: Dvc, words):
    """Only that DVC leaves behind an empty config.local, where it had nothing to say."""
    (tmp_path / "ours" / "sub").mkdir(parents=True)
    git(tmp_path / "ours", "init", "-q")
    dvc(tmp_path / "ours", "init", "-q")
    shutil.copytree(tmp_path / "ours", tmp_path / "theirs")
    for line in words:
        assert ours(tmp_path / "ours/sub", "remote", *line.split()) == dvc(
            tmp_path / "theirs/sub", "remote", *line.split()
        )
        for name in ("config", "config.local"):
            mine, their = (tmp_path / one / ".dvc" / name for one in ("ours", "theirs"))
            assert (mine.read_bytes() if mine.exists() else b"").strip() == (
                their.read_bytes() if their.exists() else b""
            ).strip(), line
    told = ours(tmp_path / "ours", "remote", "list").replace("/ours", "/theirs")
    # it breaks long lines, also those for programs
    assert "".join(told.split()) == "".join(dvc(tmp_path / "theirs", "remote", "list").split())


def test_cache_dir_is_shown_and_written_alike(repo: Path, dvc: Dvc, twin):
    other = twin(repo)
    for words in ((), ("../cache",), (), ("--local", "/tmp/c"), ("-u",), ("--local",)):
        told = ours(repo / "data", "cache", "dir", *words)
        assert told.replace(str(repo), str(other)) == dvc(other / "data", "cache", "dir", *words)
        config = (repo / ".dvc/config").read_text()
        assert config.replace(str(repo.parent), str(other.parent)) == (other / ".dvc/config").read_text()


@pytest.mark.parametrize("has_lock", [True, False])
def test_a_second_machine_runs_nothing_again(repo: Path, dvc: Dvc, has_lock):
    """Results travel with the run cache; the second machine has the inputs and nothing else."""
    ours(repo, "push", "--run-cache")
    copy = clone(repo, "copy")
    (copy / "here.json").unlink()
    if not has_lock:
        (copy / "dvc.lock").unlink()
    steps = ours(copy, "repro", "--pull")
    assert "running" not in steps and "ran in" not in steps
    assert tree(copy) == {name: data for name, data in tree(repo).items() if name not in ("one", "two")}
    assert json.loads(dvc(copy, "status", "--json", "make", "data.dvc")) == {}


def test_the_run_cache_travels_as_dvc_sends_it(repo: Path, dvc: Dvc, twin):
    other = twin(repo)
    ours(repo, "push", "--run-cache")
    dvc(other, "push", "--run-cache", "-q")
    runs = {name: data for name, data in listing(repo.parent / "remote").items() if name.startswith("runs/")}
    assert runs == {
        name: data for name, data in listing(other.parent / "remote").items() if name.startswith("runs/")
    }
    copy = clone(repo, "copy")
    ours(copy, "fetch", "--run-cache")
    assert {name for name in listing(copy / ".dvc/cache") if name.startswith("runs/")} == set(runs)


def test_imports_are_fetched_from_their_repository_and_never_pushed(repo: Path, dvc: Dvc, tmp_path: Path):
    ours(repo, "push")
    user = tmp_path / "user"
    user.mkdir()
    git(user, "init", "-q")
    dvc(user, "init", "-q")
    dvc(user, "import", "-q", str(repo), "data")
    dvc(user, "import", "-q", str(repo), "here.json")
    dvc(user, "remote", "add", "-q", "-d", "r", "../users")
    assert ours(user, "push") == "Everything is up to date.\n"
    before = tree(user)
    for again in (False, True):
        for name in ("data", "here.json"):
            shutil.rmtree(user / name) if (user / name).is_dir() else (user / name).unlink()
        if not again:
            forget(user)
        ours(user, "pull")
        assert tree(user) == before
    assert json.loads(dvc(user, "status", "--json")) == {}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server of moto on loopback, with one bucket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url)
        import boto3

        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
        client.create_bucket(Bucket="bucket")
        client.close()
        yield url
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urlopen(url):
                return
        except URLError:
            time.sleep(0.05)
    pytest.fail("the S3 server does not answer")


@pytest.mark.slow
def test_s3_serves_both_ways(repo: Path, dvc: Dvc, s3: str):
    ours(repo, "remote", "add", "-f", "-d", "r", f"s3://bucket/{repo.parent.name}")
    for key, value in (
        ("endpointurl", s3),
        ("access_key_id", "k"),
        ("secret_access_key", "s"),
        ("region", "us-east-1"),
    ):
        ours(repo, "remote", "modify", "r", key, value)
    git(repo, "commit", "-qam", "s3")
    ours(repo, "push", "data", "one")
    assert "one" not in json.loads(dvc(repo, "status", "-c", "--json"))
    dvc(repo, "push", "-q")
    assert json.loads(ours(repo, "status", "-c", "--json")) == {}
    copy, theirs = clone(repo, "copy"), clone(repo, "theirs")
    ours(copy, "pull")
    dvc(theirs, "pull")
    assert tree(copy) == tree(theirs) == tree(repo)
    write(copy, one="else\n")
    dvc(copy, "add", "-q", "one")
    assert "Removed 1 object from remote r." in ours(copy, "gc", "-w", "-c", "-f", "--grace", "0")
    assert json.loads(dvc(copy, "status", "-c", "--json")) == {"one": "new"}

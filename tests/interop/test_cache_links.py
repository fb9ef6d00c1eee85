"""The cache and each kind of link, judged by real DVC in both directions."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tidegate.data.cache import add_path, has_object, object_path, open_cache, unsound_objects
from tidegate.data.checkout import checkout, discard
from tidegate.data.hash import Files, Hashed, hash_path, md5_bytes
from tidegate.data.objects import ObjectCache
from tidegate.data.statcache import StatCache

Dvc = Callable[..., str]

TREE = {"a.txt": b"one", "deep/b": b"two", "deep/same": b"one", "empty": b"", "n\u00fc.bin": b"\0\1"}
KINDS = ("copy", "hardlink", "symlink", "reflink,copy")


@pytest.fixture(params=KINDS)
def root(request: pytest.FixtureRequest, tmp_path: Path, dvc: Dvc) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    dvc(root, "init", "--no-scm")
    dvc(root, "config", "cache.type", request.param)
    for name, content in TREE.items():
        (root / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "d" / name).write_bytes(content)
    (root / "run.sh").write_text("echo")
    (root / "run.sh").chmod(0o755)
    return root


def opened(root: Path) -> ObjectCache:
    return open_cache(Files(root, StatCache(root / ".tidegate" / "cache" / "stat.json")))


def recorded(root: Path, at: str) -> Hashed:
    out = yaml.safe_load((root / f"{at}.dvc").read_text())["outs"][0]
    return Hashed(out["md5"], out["size"], out.get("nfiles"), out.get("isexec", False))


def record(root: Path, at: str, hashed: Hashed) -> None:
    out = {"md5": hashed.md5, "size": hashed.size, "hash": "md5", "path": at}
    out |= {"nfiles": hashed.nfiles} if hashed.nfiles is not None else {}
    out |= {"isexec": True} if hashed.isexec else {}
    (root / f"{at}.dvc").write_text(yaml.safe_dump({"outs": [out]}))


def links(root: Path, cache: ObjectCache) -> dict[str, str]:
    """How each file of the directory is linked to the cache."""
    found = {}
    for path in sorted(p for p in (root / "d").rglob("*") if p.is_file()):
        target = object_path(cache, md5_bytes(path.read_bytes()))
        shown = "symlink" if path.is_symlink() else "hardlink" if path.samefile(target) else "copy"
        found[str(path.relative_to(root))] = f"{shown} {path.stat().st_mode & 0o777:o}"
    return found


def objects(root: Path) -> dict[str, str]:
    below = root / ".dvc" / "cache" / "files"
    return {str(p.relative_to(below)): f"{p.stat().st_mode:o}" for p in below.rglob("*") if p.is_file()}


def test_dvc_accepts_what_we_added_and_checks_it_out(root: Path, dvc: Dvc) -> None:
    cache = opened(root)
    for at in ("d", "run.sh"):
        record(root, at, add_path(cache, at))
    assert json.loads(dvc(root, "status", "--json")) == {}
    for at in ("d", "run.sh"):
        discard(cache, at)
    dvc(root, "checkout")
    assert {at: hash_path(cache.files, at) for at in ("d", "run.sh")} == {
        at: recorded(root, at) for at in ("d", "run.sh")
    }


def test_we_check_out_what_dvc_added_and_dvc_finds_nothing_to_do(root: Path, dvc: Dvc) -> None:
    dvc(root, "add", "d", "run.sh")
    cache = opened(root)
    for at in ("d", "run.sh"):
        assert checkout(cache, at, recorded(root, at)).change == "unchanged"
        discard(cache, at)
        assert checkout(cache, at, recorded(root, at)).change == "added"
    assert json.loads(dvc(root, "status", "--json")) == {}
    assert {at: checkout(opened(root), at, recorded(root, at)).change for at in ("d", "run.sh")} == {
        "d": "unchanged",
        "run.sh": "unchanged",
    }


def test_both_leave_the_same_objects_and_the_same_links(root: Path, dvc: Dvc, tmp_path: Path) -> None:
    theirs = shutil.copytree(root, tmp_path / "theirs")
    dvc(theirs, "add", "d")
    add_path(opened(root), "d")
    assert objects(root) == objects(theirs)
    assert links(root, opened(root)) == links(theirs, opened(theirs))
    for one in (root, theirs):
        shutil.rmtree(one / "d")
    checkout(opened(root), "d", recorded(theirs, "d"))
    dvc(theirs, "checkout")
    assert links(root, opened(root)) == links(theirs, opened(theirs))


def test_changes_go_back_and_forth_between_both(root: Path, dvc: Dvc) -> None:
    dvc(root, "add", "d")
    first, cache = recorded(root, "d"), opened(root)
    (root / "d" / "a.txt").unlink()
    (root / "d" / "a.txt").write_text("two and more")
    second = add_path(cache, "d")
    record(root, "d", second)
    assert json.loads(dvc(root, "status", "--json")) == {}
    record(root, "d", first)
    dvc(root, "checkout", "--force")
    assert hash_path(cache.files, "d") == first
    assert checkout(cache, "d", second) == ("d", "modified", None)
    record(root, "d", second)
    assert json.loads(dvc(root, "status", "--json")) == {}


def test_garbage_collection_by_dvc_leaves_what_is_used_and_our_own_files(root: Path, dvc: Dvc) -> None:
    cache = opened(root)
    (root / "d" / "deep" / "b").chmod(0o755)
    hashed = add_path(cache, "d")
    record(root, "d", hashed)
    unused = add_path(cache, "run.sh")
    dvc(root, "gc", "--workspace", "--force")
    assert has_object(cache, hashed)
    assert not has_object(cache, unused)
    assert unsound_objects(cache, [hashed.md5]) == []
    discard(cache, "d")
    checkout(cache, "d", hashed)
    assert (root / "d" / "deep" / "b").stat().st_mode & 0o100

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.data.cache import add_path, ensure_dvc, is_sound, object_path, open_cache
from tidegate.data.checkout import checkout, clear, discard, unlink_shared
from tidegate.data.hash import Files, Hashed, hash_path, md5_bytes
from tidegate.data.md5 import DOS2UNIX
from tidegate.data.statcache import StatCache
from tidegate.errors import NotFoundError, UsageError

KINDS = ("copy", "hardlink", "symlink")


def opened(root: Path, kind: str = "copy"):
    ensure_dvc(root)
    (root / ".dvc" / "config").write_text(f"[cache]\n    type = {kind}\n")
    return open_cache(Files(root, StatCache(root / ".tidegate" / "cache" / "stat.json")))


def write(top: Path, tree: dict[str, bytes]) -> None:
    for name, content in tree.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)


def files_below(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def replace(path: Path, content: bytes) -> None:
    """As an editor that does not write through links."""
    path.unlink()
    path.write_bytes(content)


TREE = {"a": b"one", "deep/b": b"two", "deep/er/c": b"three", "empty": b""}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def cache(tmp_path, kind):
    write(tmp_path / "d", TREE)
    (tmp_path / "f").write_text("file")
    return opened(tmp_path, kind)


@pytest.fixture
def root(cache):
    return cache.files.root


def test_what_is_gone_comes_back(cache, root):
    hashed = add_path(cache, "d")
    shutil.rmtree(root / "d")
    assert checkout(cache, "d", hashed) == ("d", "added", None)
    assert files_below(root / "d") == TREE
    assert hash_path(cache.files, "d") == hashed


def test_links_are_made_as_configured(cache, root, kind):
    add_path(cache, "f")
    hashed = add_path(cache, "d")
    shutil.rmtree(root / "d")
    checkout(cache, "d", hashed)
    for path in (root / "f", root / "d" / "a", root / "d" / "deep" / "b"):
        target = object_path(cache, md5_bytes(path.read_bytes()))
        assert path.is_symlink() == (kind == "symlink")
        assert path.samefile(target) == (kind != "copy")
        assert os.access(path, os.W_OK) or kind != "copy"
        assert path.stat().st_mode & 0o777 == (0o644 if kind == "copy" else 0o444)
    assert (root / "d" / "empty").is_symlink() == (kind == "symlink")
    assert (root / "d" / "empty").stat().st_nlink == 1


def test_a_second_checkout_touches_nothing(cache, root):
    hashed = add_path(cache, "d")
    before = {path: path.lstat().st_ctime_ns for path in (root / "d").rglob("*")}
    assert checkout(cache, "d", hashed) == ("d", "unchanged", None)
    assert {path: path.lstat().st_ctime_ns for path in (root / "d").rglob("*")} == before


def test_only_what_differs_is_touched(cache, root):
    hashed = add_path(cache, "d")
    replace(root / "d" / "a", b"mine")
    before = (root / "d" / "deep" / "b").lstat().st_ctime_ns
    assert checkout(cache, "d", hashed).change == "modified"
    assert (root / "d" / "deep" / "b").lstat().st_ctime_ns == before
    assert files_below(root / "d") == TREE


def test_content_that_nobody_saved_is_moved_aside(cache, root):
    hashed = add_path(cache, "d")
    replace(root / "d" / "a", b"mine")
    write(root / "d", {"new/x": b"new"})
    done = checkout(cache, "d", hashed)
    assert files_below(done.aside) == {"d/a": b"mine", "d/new/x": b"new"}
    assert done.aside.parent == root / ".tidegate" / "aside"
    assert files_below(root / "d") == TREE
    assert not (root / "d" / "new").exists()


def test_content_that_was_saved_is_replaced_without_a_trace(cache, root):
    first = add_path(cache, "d")
    replace(root / "d" / "a", b"mine")
    second = add_path(cache, "d")
    assert checkout(cache, "d", first) == ("d", "modified", None)
    assert checkout(cache, "d", second) == ("d", "modified", None)
    assert (root / "d" / "a").read_bytes() == b"mine"


def test_content_whose_object_is_damaged_counts_as_not_saved(cache, root, kind):
    first = add_path(cache, "f")
    replace(root / "f", b"second")
    second = add_path(cache, "f")
    unlink_shared(cache, "f")
    target = object_path(cache, second.md5)
    target.chmod(0o644)
    target.write_text("damaged")
    done = checkout(cache, "f", first)
    assert (done.aside / "f").read_bytes() == b"second"


def test_force_deletes_what_was_not_saved(cache, root):
    hashed = add_path(cache, "d")
    replace(root / "d" / "a", b"mine")
    write(root / "d", {"new": b"new"})
    assert checkout(cache, "d", hashed, force=True) == ("d", "modified", None)
    assert files_below(root / "d") == TREE
    assert not (root / ".tidegate" / "aside").exists()


@pytest.mark.parametrize("force", [True, False])
def test_no_recorded_content_removes_the_out(cache, root, force):
    add_path(cache, "d")
    (root / "d" / "new").write_bytes(b"new")
    done = checkout(cache, "d", None, force=force)
    assert done.change == "deleted"
    assert not (root / "d").exists()
    assert (done.aside is None) == force
    assert checkout(cache, "d", None).change == "unchanged"


@pytest.mark.parametrize("lost", ["file", "tree"])
def test_with_an_object_missing_nothing_is_touched(cache, root, lost):
    hashed = add_path(cache, "d")
    replace(root / "d" / "a", b"mine")
    (root / "d" / "deep" / "b").unlink()
    object_path(cache, md5_bytes(b"two") if lost == "file" else hashed.md5).unlink()
    before = files_below(root / "d")
    with pytest.raises(NotFoundError, match=r"d: 1 object is not in the cache: \w+") as raised:
        checkout(cache, "d", hashed)
    assert raised.value.hint == "tidegate fetch"
    assert files_below(root / "d") == before


def test_many_missing_objects_are_counted_and_a_few_named(cache, root):
    write(root / "d", {str(number): b"%d" % number for number in range(9)})
    hashed = add_path(cache, "d")
    shutil.rmtree(root / "d")
    shutil.rmtree(cache.folder / "files")
    with pytest.raises(NotFoundError, match="1 object is"):
        checkout(cache, "d", hashed)
    write(root / "d", {"list": b""})
    other = opened(root)
    object_path(other, hashed.md5).parent.mkdir(parents=True)
    names = sorted({**TREE, **{str(number): b"%d" % number for number in range(9)}}.items())
    listed = ", ".join(f'{{"md5": "{md5_bytes(content)}", "relpath": "{name}"}}' for name, content in names)
    object_path(other, hashed.md5).write_text(f"[{listed}]")
    with pytest.raises(NotFoundError, match=r"13 objects are not in the cache: (\w{32}, ){3}\.\.\."):
        checkout(other, "d", hashed)


def test_a_damaged_object_is_never_checked_out(cache, root):
    hashed = add_path(cache, "d")
    shutil.rmtree(root / "d")
    target = object_path(cache, md5_bytes(b"two"))
    target.chmod(0o644)
    target.write_bytes(b"xyz")
    target.chmod(0o444)
    with pytest.raises(NotFoundError):
        checkout(cache, "d", hashed)
    assert not (root / "d").exists()
    assert not target.exists()


def test_writing_through_a_hard_link_damages_the_object_and_is_kept(tmp_path):
    cache = opened(tmp_path, "hardlink")
    (tmp_path / "f").write_text("file")
    hashed = add_path(cache, "f")
    (tmp_path / "f").chmod(0o644)
    (tmp_path / "f").write_text("mine")
    with pytest.raises(NotFoundError):
        checkout(cache, "f", hashed)
    assert (tmp_path / "f").read_text() == "mine"


def test_executable_bits_come_back_also_inside_a_directory(cache, root):
    for name in ("f", "d/deep/b"):
        (root / name).chmod(0o755)
    hashes = {at: add_path(cache, at) for at in ("f", "d")}
    shutil.rmtree(root / "d")
    (root / "f").unlink()
    for at, hashed in hashes.items():
        checkout(cache, at, hashed)
    assert [os.access(root / name, os.X_OK) for name in ("f", "d/deep/b", "d/a")] == [True, True, False]
    for path in (root / "f", root / "d" / "deep" / "b"):
        assert object_path(cache, md5_bytes(path.read_bytes())).stat().st_mode & 0o777 == 0o444
        path.chmod(0o644)
    for at, hashed in hashes.items():
        assert checkout(cache, at, hashed).change == "unchanged"
    assert [os.access(root / name, os.X_OK) for name in ("f", "d/deep/b", "d/a")] == [True, True, False]


def test_nothing_is_hashed_again_after_a_checkout(cache, root, monkeypatch):
    monkeypatch.setattr("tidegate.data.hash._WORTH_WAITING", 1)
    hashes = {at: add_path(cache, at) for at in ("d", "f")}
    for at in hashes:
        discard(cache, at)
    for at, hashed in hashes.items():
        checkout(cache, at, hashed)
    monkeypatch.setattr("tidegate.data.hash.md5_while", lambda *_: pytest.fail("was read again"))
    assert {at: hash_path(cache.files, at) for at in hashes} == hashes


def test_a_large_file_is_hashed_once_and_never_again(cache, root, monkeypatch):
    (root / "large").write_bytes(b"\0" * (17 << 20))
    os.utime(root / "large", ns=(1, 1))
    hashed = add_path(cache, "large")
    discard(cache, "large")
    checkout(cache, "large", hashed)
    monkeypatch.setattr("tidegate.data.hash.md5_while", lambda *_: pytest.fail("was read again"))
    assert add_path(cache, "large") == hashed
    assert checkout(cache, "large", hashed).change == "unchanged"


@pytest.mark.parametrize(("before", "after"), [("d", "f"), ("f", "d")])
def test_a_file_and_a_directory_take_each_other_s_place(cache, root, before, after):
    hashes = {at: add_path(cache, at) for at in ("d", "f")}
    shutil.move(root / before, root / "x")
    assert checkout(cache, "x", hashes[after]) == ("x", "modified", None)
    assert hash_path(cache.files, "x").md5 == hashes[after].md5


def test_files_and_directories_inside_take_each_other_s_place(cache, root):
    first = add_path(cache, "d")
    discard(cache, "d")
    write(root / "d", {"a/b": b"1", "deep": b"2"})
    second = add_path(cache, "d")
    assert checkout(cache, "d", first) == ("d", "modified", None)
    assert files_below(root / "d") == TREE
    assert checkout(cache, "d", second) == ("d", "modified", None)
    assert files_below(root / "d") == {"a/b": b"1", "deep": b"2"}


def test_an_empty_directory_is_a_content_as_well(cache, root):
    (root / "none").mkdir()
    hashed = add_path(cache, "none")
    (root / "none").rmdir()
    assert checkout(cache, "none", hashed).change == "added"
    assert (root / "none").is_dir()
    (root / "none" / "x").write_text("x")
    assert (checkout(cache, "none", hashed).aside / "none" / "x").read_text() == "x"
    assert list((root / "none").iterdir()) == []


def test_a_link_to_a_directory_inside_is_not_written_through(cache, root):
    hashed = add_path(cache, "d")
    (root / "elsewhere").mkdir()
    shutil.rmtree(root / "d" / "deep")
    (root / "d" / "deep").symlink_to(root / "elsewhere")
    done = checkout(cache, "d", hashed)
    assert (done.aside / "d" / "deep").is_symlink()
    assert list((root / "elsewhere").iterdir()) == []
    assert files_below(root / "d") == TREE


def test_an_out_that_is_a_link_to_a_directory_is_filled_there(cache, root):
    hashed = add_path(cache, "d")
    discard(cache, "d")
    (root / "elsewhere").mkdir()
    (root / "d").symlink_to(root / "elsewhere")
    checkout(cache, "d", hashed)
    assert (root / "d").is_symlink()
    assert files_below(root / "elsewhere") == TREE


def test_ignored_files_in_the_way_are_kept(cache, root):
    first = add_path(cache, "d")
    (root / ".dvcignore").write_text("*.log\n")
    ignored = opened(root)
    write(root / "d" / "deep", {"x.log": b"log"})
    shutil.move(root / "d" / "deep" / "b", root / "b")
    assert checkout(ignored, "d", first).aside is None
    assert (root / "d" / "deep" / "x.log").read_bytes() == b"log"
    aside = clear(ignored, "d")
    assert files_below(aside) == {"d/deep/x.log": b"log"}


def test_a_file_that_appears_meanwhile_is_kept(cache, root, monkeypatch):
    hashed = add_path(cache, "d")
    (root / "d" / "a").unlink()
    make = os.makedirs

    def late(path, **options):
        make(path, **options)
        if not (root / "d" / "a").exists() and "staging" in str(path):
            (root / "d" / "a").write_bytes(b"late")

    monkeypatch.setattr(os, "makedirs", late)
    done = checkout(cache, "d", hashed)
    assert (done.aside / "d" / "a").read_bytes() == b"late"
    assert files_below(root / "d") == TREE


def test_broken_links_are_moved_aside(cache, root):
    hashed = add_path(cache, "d")
    (root / "d" / "broken").symlink_to("nowhere")
    assert (checkout(cache, "d", hashed).aside / "d" / "broken").is_symlink()
    (root / "d" / "broken").symlink_to("nowhere")
    assert (clear(cache, "d") / "d" / "broken").is_symlink()
    (root / "d").symlink_to("nowhere")
    assert checkout(cache, "d", hashed).change == "modified"
    assert files_below(root / "d") == TREE


def test_what_cannot_be_hashed_is_refused(cache, root):
    hashed = add_path(cache, "d")
    os.mkfifo(root / "d" / "pipe")
    with pytest.raises(UsageError):
        checkout(cache, "d", hashed)


def test_relink_gives_every_file_the_configured_link(cache, root, kind):
    for before in KINDS:
        hashed = add_path(opened(root, before), "d")
        assert checkout(opened(root, kind), "d", hashed, relink=True).change == "unchanged"
        assert (root / "d" / "a").is_symlink() == (kind == "symlink")
        assert (root / "d" / "a").stat().st_nlink == (2 if kind == "hardlink" else 1)
        assert files_below(root / "d") == TREE


def test_unlinked_files_can_be_written_without_touching_the_cache(cache, root):
    hashes = {at: add_path(cache, at) for at in ("d", "f")}
    for at in hashes:
        unlink_shared(cache, at)
    for path in (root / "d" / "a", root / "f"):
        assert path.stat().st_mode & 0o777 == 0o644
        path.write_bytes(b"mine")
    assert is_sound(cache, md5_bytes(b"one")) and is_sound(cache, hashes["f"].md5)
    unlink_shared(cache, "nothing")


def test_unlinked_files_of_a_shared_cache_are_writable_for_the_group(tmp_path):
    cache = opened(tmp_path, "symlink")._replace(shared=True)
    (tmp_path / "f").write_text("file")
    add_path(cache, "f")
    unlink_shared(cache, "f")
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o664


def test_clear_deletes_what_is_saved_and_keeps_the_rest(cache, root):
    for at in ("d", "f"):
        add_path(cache, at)
        assert clear(cache, at) is None
        assert not (root / at).exists()
    assert clear(cache, "d") is None
    write(root / "d", {**TREE, "new": b"new"})
    assert files_below(clear(cache, "d")) == {"d/new": b"new"}
    assert not (root / "d").exists()


def test_clear_of_a_link_to_a_directory_leaves_the_directory(cache, root):
    (root / "x").symlink_to(root / "d")
    aside = clear(cache, "x")
    assert (aside / "x").is_symlink()
    assert files_below(root / "d") == TREE


def test_discard_deletes_files_directories_and_links(cache, root):
    (root / "x").symlink_to(root / "d")
    for at in ("x", "d", "f", "d"):
        discard(cache, at)
        assert not os.path.lexists(root / at)


def test_two_moves_of_the_same_name_are_both_kept(cache, root):
    hashed = add_path(cache, "f")
    kept = set()
    for content in (b"1", b"2", b"3"):
        replace(root / "f", content)
        kept.add((checkout(cache, "f", hashed).aside / "f").read_bytes())
    assert kept == {b"1", b"2", b"3"}


def test_content_outside_the_project_is_moved_aside_inside(tmp_path):
    cache = opened(tmp_path / "project") if (tmp_path / "project").mkdir() is None else None
    (tmp_path / "out").write_text("mine")
    aside = clear(cache, "../out")
    assert (aside / "up" / "out").read_text() == "mine"
    assert aside.is_relative_to(tmp_path / "project")


def test_an_out_of_dvc_2_is_checked_out_of_its_layout(tmp_path):
    cache = opened(tmp_path)
    md5 = md5_bytes(b"a\nb\n")
    path = object_path(cache, md5, kind=DOS2UNIX)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a\r\nb\r\n")
    hashed = Hashed(md5, 6, kind=DOS2UNIX)
    checkout(cache, "f", hashed)
    assert (tmp_path / "f").read_bytes() == b"a\r\nb\r\n"
    (tmp_path / "f").write_bytes(b"a\nb\n")
    assert checkout(cache, "f", hashed).change == "unchanged"


def test_on_another_disk_files_are_made_beside_the_out(cache, root, monkeypatch):
    monkeypatch.setattr("tidegate.data.staging.is_same_disk", lambda *_, **__: False)
    hashed = add_path(cache, "d")
    shutil.rmtree(root / "d" / "deep")
    checkout(cache, "d", hashed)
    assert hash_path(cache.files, "d") == hashed


names = st.sampled_from(["a", "b", "a.txt", "deep/a", "deep/b", "deep/er/c", "deep", "a/x/y"])
contents = st.binary(max_size=4) | st.just(b"same")


def _fits(tree: dict[str, bytes]) -> bool:
    return not any(other.startswith(f"{name}/") for name in tree for other in tree)


trees = st.dictionaries(names, contents, max_size=6).filter(_fits)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(KINDS),
    saved=st.lists(trees, min_size=1, max_size=3),
    local=trees | st.none(),
    data=st.data(),
)
def test_checkout_gives_any_saved_tree_and_loses_no_content(tmp_path_factory, kind, saved, local, data):
    root = tmp_path_factory.mktemp("law")
    cache = opened(root, kind)
    hashes = []
    for tree in saved:
        discard(cache, "d")
        (root / "d").mkdir()
        write(root / "d", tree)
        hashes.append(add_path(cache, "d"))
    if local is not None:
        discard(cache, "d")
        write(root / "d", local)
    before = files_below(root / "d")
    chosen = data.draw(st.integers(0, len(saved) - 1))
    done = checkout(cache, "d", hashes[chosen])
    assert files_below(root / "d") == saved[chosen]
    assert hash_path(cache.files, "d") == hashes[chosen]
    known = {content for tree in saved for content in tree.values()}
    aside = files_below(done.aside / "d") if done.aside else {}
    assert aside == {name: content for name, content in before.items() if content not in known}
    assert clear(cache, "d") is None
    shutil.rmtree(root)

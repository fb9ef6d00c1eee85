import json
import os
import threading
from pathlib import Path

import pytest

from tidegate.data import crew, trip
from tidegate.data.hash import Files, Hashed, dir_object
from tidegate.data.keys import object_key, run_digest
from tidegate.data.local_remote import LocalRemote
from tidegate.data.md5 import DOS2UNIX, md5_bytes
from tidegate.data.objects import ObjectCache
from tidegate.data.runs import fetch_run, fetch_runs, find_run, push_runs
from tidegate.data.statcache import StatCache
from tidegate.data.transfer import compare, fetch, push
from tidegate.data.wire import gather
from tidegate.errors import UnavailableError

FILES = {"a": b"one", "deep/b": b"two", "c": b"x" * 5000, "again": b"one"}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(crew, "FIRST_DELAY_S", 0.0)


@pytest.fixture
def cache(tmp_path):
    return make_cache(tmp_path / "project")


@pytest.fixture
def remote(tmp_path):
    return LocalRemote(str(tmp_path / "remote"))


def make_cache(root: Path) -> ObjectCache:
    root.mkdir()
    return ObjectCache(root / ".dvc" / "cache", Files(root, StatCache(root / "stat.json")))


def store(folder, data: bytes, *, suffix="", kind="md5") -> Hashed:
    md5 = md5_bytes(data) + suffix
    path = Path(folder) / object_key(md5, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o444)
    return Hashed(md5, len(data), kind=kind)


def store_tree(folder, files=FILES) -> Hashed:
    entries = [(name, store(folder, data).md5) for name, data in files.items()]
    return store(folder, dir_object(entries), suffix=".dir")


def damage(folder, hashed, data=b"damaged"):
    path = Path(folder) / object_key(hashed.md5)
    path.chmod(0o644)
    path.write_bytes(data)


def lose(folder, hashed):
    (Path(folder) / object_key(hashed.md5, hashed.kind)).unlink()


def held(folder) -> dict[str, bytes]:
    found = Path(folder).rglob("*")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if path.is_file() and "tidegate" not in path.parts
    }


def failures(result) -> dict[str, str]:
    return {failure.name: failure.kind for failure in result.failures}


class Flaky(LocalRemote):
    """Breaks off the first `times` transfers of each key after some bytes, as a cut connection does."""

    def __init__(self, folder, times=0, piece=2, error=ConnectionError):
        super().__init__(folder, jobs=3)
        self.asked_from = []
        self._left: dict[str, int] = {}
        self._times, self._piece, self._error = times, piece, error

    def get(self, key, into, *, received):
        return gather(lambda start: self._pieces(key, start), into, received)

    def put(self, source, key):
        self._break(key)
        super().put(source, key)

    def _pieces(self, key, start):
        self.asked_from.append((key, start))
        data = Path(self.where, key).read_bytes()[start:]
        yield data[: self._piece]
        self._break(key)
        yield data[self._piece :]

    def _break(self, key):
        left = self._left.setdefault(key, self._times)
        self._left[key] = left - 1
        if left > 0:
            raise self._error("cut")


@pytest.mark.parametrize("jobs", [1, 4])
def test_what_was_pushed_can_be_fetched_elsewhere(cache, remote, tmp_path, jobs):
    wanted = [store_tree(cache.folder), store(cache.folder, b"plain")]
    sent = push(cache, remote, wanted, jobs=jobs)
    assert (sent.moved, sent.present, sent.failures) == (5, 0, ())
    assert held(remote.where) == held(cache.folder)
    other = make_cache(tmp_path / "other")
    come = fetch(other, remote, wanted, jobs=jobs)
    assert (come.moved, come.moved_bytes, come.failures) == (5, sent.moved_bytes, ())
    assert held(other.folder) == held(cache.folder)


def test_objects_arrive_read_only_on_both_sides(cache, remote, tmp_path):
    wanted = [store_tree(cache.folder)]
    push(cache, remote, wanted)
    other = make_cache(tmp_path / "other")
    fetch(other, remote, wanted)
    for folder in (remote.where, other.folder):
        assert {(Path(folder) / name).stat().st_mode & 0o777 for name in held(folder)} == {0o444}


def test_a_second_call_moves_only_what_is_missing(cache, remote):
    tree = store_tree(cache.folder)
    push(cache, remote, [tree])
    assert push(cache, remote, [tree])[:3] == (0, 0, 4)
    assert fetch(cache, remote, [tree])[:3] == (0, 0, 4)
    lose(cache.folder, Hashed(md5_bytes(b"two"), 3))
    assert fetch(cache, remote, [tree]).moved == 1


def test_a_directory_that_promises_too_much_is_completed(cache, remote):
    tree = store_tree(cache.folder)
    push(cache, remote, [tree])
    lose(remote.where, Hashed(md5_bytes(b"two"), 3))
    assert push(cache, remote, [tree]).moved == 1


def test_objects_of_dvc_2_keep_their_layout(cache, remote, tmp_path):
    data = b"line\r\n"
    md5 = md5_bytes(b"line\n")
    path = cache.folder / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    wanted = [Hashed(md5, len(data), kind=DOS2UNIX)]
    assert push(cache, remote, wanted).failures == ()
    other = make_cache(tmp_path / "other")
    assert fetch(other, remote, wanted).failures == ()
    assert held(other.folder) == {f"{md5[:2]}/{md5[2:]}": data}


def test_a_damaged_object_of_the_cache_is_named_and_not_sent(cache, remote):
    tree, plain = store_tree(cache.folder), store(cache.folder, b"plain")
    bad = Hashed(md5_bytes(b"two"), 3)
    damage(cache.folder, bad)
    result = push(cache, remote, [tree, plain])
    assert failures(result) == {bad.md5: "corrupt", tree.md5: "failed"}
    assert "1 of its files" in result.failures[-1].reason
    sent = held(remote.where)
    assert object_key(plain.md5) in sent
    assert not {object_key(bad.md5), object_key(tree.md5)} & sent.keys()


def test_a_damaged_directory_object_of_the_cache_is_named(cache, remote):
    tree = store_tree(cache.folder)
    damage(cache.folder, tree, json.dumps([{"md5": "00" * 16, "relpath": "x"}]).encode())
    assert failures(push(cache, remote, [tree])) == {tree.md5: "corrupt"}


def test_what_nobody_has_is_named_on_both_ways(cache, remote):
    lost, lost_tree = Hashed("12" * 16, 1), Hashed("34" * 16 + ".dir", 1)
    for result in (push(cache, remote, [lost, lost_tree]), fetch(cache, remote, [lost, lost_tree])):
        assert failures(result) == {lost.md5: "missing", lost_tree.md5: "missing"}


def test_what_only_the_remote_has_needs_no_push(cache, remote):
    tree = store_tree(remote.where)
    assert push(cache, remote, [tree]).failures == ()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_damaged_object_of_the_remote_is_named_and_never_visible(cache, remote, jobs):
    tree = store_tree(remote.where)
    bad = Hashed(md5_bytes(b"two"), 3)
    damage(remote.where, bad, b"tw0")
    result = fetch(cache, remote, [tree], jobs=jobs)
    assert failures(result) == {bad.md5: "corrupt"}
    assert result.moved == 3
    here = held(cache.folder)
    assert object_key(md5_bytes(b"one")) in here
    assert not {object_key(bad.md5), object_key(tree.md5)} & here.keys()
    damage(remote.where, bad, b"two")
    assert fetch(cache, remote, [tree]).failures == ()
    assert held(cache.folder) == held(remote.where)


def test_a_damaged_object_of_the_cache_is_fetched_anew(cache, remote):
    plain = store(cache.folder, b"plain")
    push(cache, remote, [plain])
    damage(cache.folder, plain)
    assert fetch(cache, remote, [plain]).moved == 1
    assert held(cache.folder) == held(remote.where)


def test_a_cut_transfer_goes_on_where_it_was(cache, tmp_path):
    remote = Flaky(str(tmp_path / "remote"), times=2)
    data = store(remote.where, b"abcdefgh")
    assert fetch(cache, remote, [data]).failures == ()
    assert [start for _, start in remote.asked_from] == [0, 2, 4]
    assert held(cache.folder) == held(remote.where)


def test_a_later_call_continues_the_part_of_an_earlier_one(cache, tmp_path):
    remote = Flaky(str(tmp_path / "remote"), times=crew.TRIES, piece=1)
    data = store(remote.where, b"abcdefgh")
    result = fetch(cache, remote, [data])
    assert failures(result) == {data.md5: "failed"}
    assert held(cache.folder) == {}
    assert fetch(cache, remote, [data]).moved_bytes == 8 - crew.TRIES
    assert remote.asked_from[-1][1] == crew.TRIES


def test_a_spoiled_part_is_thrown_away(cache, remote, tmp_path):
    remote = Flaky(remote.where)
    data = store(remote.where, b"abcdefgh")
    part = cache.folder / "tidegate" / "arriving" / object_key(data.md5).replace("/", ".")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"zzz")
    assert fetch(cache, remote, [data]).failures == ()
    assert [start for _, start in remote.asked_from] == [3, 0]


def test_a_cut_push_is_tried_again_and_leaves_nothing_half(cache, tmp_path):
    remote = Flaky(str(tmp_path / "remote"), times=2)
    assert push(cache, remote, [store_tree(cache.folder)]).failures == ()
    assert held(remote.where) == held(cache.folder)


def test_what_is_refused_is_not_tried_again(cache, tmp_path):
    remote = Flaky(str(tmp_path / "remote"), times=1, error=PermissionError)
    data = store(remote.where, b"abcdefgh")
    assert fetch(cache, remote, [data]).failures[0].reason == "cut"
    assert len(remote.asked_from) == 1


def test_one_failure_does_not_stop_the_others_but_many_do(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(trip, "_GIVE_UP_AFTER", 3)
    remote = Flaky(str(tmp_path / "remote"), times=99)
    remote.jobs = 1
    wanted = [store(remote.where, bytes([number])) for number in range(10)]
    result = fetch(cache, remote, wanted)
    assert len(result.failures) == 10
    assert [failure.reason for failure in result.failures].count("cut") == 3


def test_a_remote_that_cannot_be_asked_is_an_error_of_its_own(cache, remote, monkeypatch):
    def refuse(keys):
        raise ConnectionError("no route")

    monkeypatch.setattr(remote, "have", refuse)
    with pytest.raises(UnavailableError, match="no route"):
        push(cache, remote, [store(cache.folder, b"x")])


def test_two_processes_do_not_write_to_one_part(cache, remote):
    import fcntl

    data = store(remote.where, b"abc")
    folder = cache.folder / "tidegate" / "arriving"
    folder.mkdir(parents=True)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    (folder / object_key(data.md5).replace("/", ".")).write_bytes(b"ab")
    assert fetch(cache, remote, [data]).moved == 1
    assert (folder / object_key(data.md5).replace("/", ".")).read_bytes() == b"ab"
    os.close(handle)


def test_parts_that_nobody_came_back_for_are_swept(cache, remote):
    folder = cache.folder / "tidegate" / "arriving"
    folder.mkdir(parents=True)
    (folder / "old").write_bytes(b"x")
    os.utime(folder / "old", (1, 1))
    (folder / "young").write_bytes(b"x")
    fetch(cache, remote, [])
    assert {path.name for path in folder.iterdir()} == {".lock", "young"}


@pytest.mark.parametrize("jobs", [1, 4])
def test_an_interrupt_ends_the_workers(cache, tmp_path, jobs):
    remote = LocalRemote(str(tmp_path / "remote"))
    wanted = [store(remote.where, b"%d" % number) for number in range(50)]

    def interrupt(progress):
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(cache, remote, wanted, jobs=jobs, progress=interrupt)
    assert crew.THREAD_NAME not in {thread.name for thread in threading.enumerate()}
    assert fetch(cache, remote, wanted, jobs=jobs).failures == ()
    assert held(cache.folder) == held(remote.where)


def test_progress_counts_things_and_bytes(cache, remote):
    seen = []
    tree = store_tree(cache.folder)
    result = push(cache, remote, [tree], progress=seen.append)
    assert [one.done for one in seen] == [1, 2, 3, 4]
    assert seen[-1].total == 4
    assert seen[-1].moved_bytes == result.moved_bytes


def test_compare_tells_where_things_are(cache, remote):
    tree = store_tree(cache.folder)
    only_there, both = store(remote.where, b"there"), store(cache.folder, b"both")
    push(cache, remote, [both])
    nowhere = Hashed("12" * 16, 1)
    found = compare(cache, remote, [tree, only_there, both, nowhere])
    assert set(found.new) == {tree.md5, *(md5_bytes(data) for data in FILES.values())}
    assert (found.deleted, found.missing, found.same) == ((only_there.md5,), (nowhere.md5,), 1)


def test_compare_looks_into_directories_that_only_the_remote_knows(cache, remote):
    tree = store_tree(remote.where)
    lose(remote.where, Hashed(md5_bytes(b"two"), 3))
    found = compare(cache, remote, [tree])
    assert set(found.deleted) == {tree.md5, md5_bytes(b"one"), md5_bytes(FILES["c"])}
    assert found.missing == (md5_bytes(b"two"),)
    assert held(cache.folder) == {}


def store_run(folder, key, entry) -> str:
    text = "".join(f"{name}: {value}\n" for name, value in entry.items())
    path = Path(folder) / "runs" / key[:2] / key / run_digest(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path.name


def test_runs_travel_both_ways(cache, remote, tmp_path):
    one = store_run(cache.folder, "aa" * 32, {"cmd": "x", "size": 3})
    store_run(cache.folder, "bb" * 32, {"cmd": "y"})
    assert push_runs(cache, remote).moved == 2
    assert push_runs(cache, remote)[:3] == (0, 0, 2)
    assert find_run(remote, "aa" * 32) == [one]
    assert find_run(remote, "cc" * 32) == []
    other = make_cache(tmp_path / "other")
    assert fetch_run(other, remote, "aa" * 32).moved == 1
    assert fetch_runs(other, remote)[:3] == (1, 7, 1)
    assert held(other.folder) == held(cache.folder)


@pytest.mark.parametrize("text", ["cmd: other\n", "cmd: [\n", "2020-01-01\n"])
def test_a_run_that_does_not_match_its_name_is_refused(cache, remote, text):
    name = store_run(remote.where, "aa" * 32, {"cmd": "x"})
    path = Path(remote.where, "runs", "aa", "aa" * 32, name)
    path.write_text(text)
    assert list(failures(fetch_runs(cache, remote)).values()) == ["corrupt"]
    assert held(cache.folder) == {}

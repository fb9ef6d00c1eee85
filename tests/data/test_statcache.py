import json
import threading
from pathlib import Path

import pytest

from tidegate.data.statcache import StatCache, TreeRows, is_settled

OLD = "3 1000000001 1000000001 7"
MD5 = "d751713988987e9331980363e24189ce"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "stat.json"


def saved(path: Path, **values: object) -> StatCache:
    memory = StatCache(path)
    for name, value in values.items():
        memory.put("kind", name, key=OLD, value=value)
    memory.save()
    return memory


def test_a_value_is_found_under_its_kind_name_and_key_only(path: Path):
    saved(path, a=[1, "x"])
    memory = StatCache(path)
    assert memory.get("kind", "a", OLD) == [1, "x"]
    assert memory.get("kind", "a", "4 1 1 7") is None
    assert memory.get("other", "a", OLD) is None
    assert memory.get("kind", "b", OLD) is None


def test_a_file_that_changed_since_the_memory_was_opened_is_not_remembered(path: Path):
    memory = StatCache(path)
    (path.parent.parent / "f").write_text("x")
    key = memory.key_of(path.parent.parent / "f")
    memory.put("kind", "f", key=key, value=1)
    memory.save()
    assert memory.get("kind", "f", key) is None
    assert not path.exists()


@pytest.mark.parametrize(
    ("ctime", "now", "settled"),
    [
        (1_000_000_001, 1_000_000_002, False),
        (1_000_000_001, 1_019_999_999, False),
        (1_000_000_001, 1_020_000_002, True),
        # a whole second: the file system may count in seconds
        (1_000_000_000, 1_500_000_000, False),
        (1_000_000_000, 3_000_000_001, True),
        # the clock was set back
        (9_000_000_001, 1_000_000_000, False),
    ],
)
def test_a_key_is_settled_when_its_ctime_is_older_than_the_clocks_grain(ctime: int, now: int, settled: bool):
    assert is_settled(f"1 99999999999999 {ctime} 7", now) is settled


@pytest.mark.parametrize(
    "content",
    [b"", b'{"kind a": [', b"[1, 2]", b'"text"', b"\xff\xfe", b'{"kind a": 5}', b"\0" * 99, b"[" * 10**5],
)
def test_torn_or_foreign_content_is_forgotten(path: Path, content: bytes):
    path.parent.mkdir()
    path.write_bytes(content)
    memory = StatCache(path)
    assert memory.get("kind", "a", OLD) is None
    assert TreeRows(path).get("a", OLD) is None
    memory.put("kind", "b", key=OLD, value=1)
    memory.save()
    assert StatCache(path).get("kind", "b", OLD) == 1


def test_what_another_process_saved_meanwhile_stays(path: Path):
    saved(path, a=1, b=1)
    ours, theirs = StatCache(path), StatCache(path)
    ours.put("kind", "a", key=OLD, value=2)
    theirs.put("kind", "b", key=OLD, value=2)
    theirs.save()
    ours.save()
    assert [StatCache(path).get("kind", name, OLD) for name in "ab"] == [2, 2]


def test_many_who_save_at_once_leave_a_whole_file(path: Path):
    def work(number: int) -> None:
        for turn in range(20):
            saved(path, **{f"n{number}": turn})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert json.loads(path.read_bytes())
    assert [one.name for one in path.parent.iterdir()] == ["stat.json"]


def test_nothing_new_writes_nothing(path: Path):
    StatCache(path).save()
    TreeRows(path).save()
    assert not path.parent.exists()


def rows_of(path: Path, count: int) -> TreeRows:
    rows = TreeRows(path)
    for number in range(count):
        rows.put_settled(f"d/{number}", key=OLD, md5=MD5)
    rows.save()
    return TreeRows(path)


def test_thousands_of_rows_survive(path: Path):
    rows = rows_of(path, 2500)
    assert all(rows.get(f"d/{number}", OLD) == MD5 for number in range(2500))
    assert rows.get("d/1", "4 1 1 7") is None
    assert rows.get("d/2500", OLD) is None


def test_rows_of_files_that_are_gone_are_forgotten(path: Path):
    rows = rows_of(path, 3)
    rows.keep(["d/1"])
    rows.save()
    assert [TreeRows(path).get(f"d/{number}", OLD) for number in range(3)] == [None, MD5, None]


@pytest.mark.parametrize("where", [0.1, 0.5, 0.99])
def test_a_torn_line_costs_its_rows_only(path: Path, where: float):
    rows_of(path, 2500)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * where)])
    known = [TreeRows(path).get(f"d/{number}", OLD) for number in range(2500)]
    assert set(known) <= {None, MD5}
    assert known.count(None) >= 500


def test_a_row_of_another_form_is_no_row(path: Path):
    path.parent.mkdir()
    path.write_text(json.dumps({"a": 5, "b": f"short {OLD}", "c": None}))
    assert [TreeRows(path).get(name, OLD) for name in "abc"] == [None, None, None]

"""A stamp differs after whatever can happen to a file."""

import os
from pathlib import Path

from tidegate.store.stamp import stamp_of


def test_a_stamp_stays_while_nobody_writes_and_differs_after_that(tmp_path: Path) -> None:
    path, seen = tmp_path / "file", []
    seen.append(stamp_of(path))
    path.write_text("one")
    assert stamp_of(path) == stamp_of(str(path))
    seen.append(stamp_of(path))
    path.write_text("longer")
    seen.append(stamp_of(path))
    other = tmp_path / "other"
    other.write_text("longer")
    other.replace(path)
    seen.append(stamp_of(path))
    # a time that somebody sets back does not hide that there was a change
    os.utime(path, (0, 0))
    seen.append(stamp_of(path))
    path.unlink()
    assert len(set(seen)) == len(seen)
    assert stamp_of(path) is None


def test_below_a_file_there_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert stamp_of(tmp_path / "file" / "below") is None

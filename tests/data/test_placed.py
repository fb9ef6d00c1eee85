"""The note of what was put in place: each line on top of those before, and nothing lost but what was torn."""

from pathlib import Path

from tidegate.data.placed import note_placed, read_placed

NOTE = ".tidegate/cache/placed.json"


def test_what_was_noted_is_read_and_what_went_is_not(tmp_path: Path) -> None:
    note_placed(tmp_path, {"a": "1", "b": "2"})
    note_placed(tmp_path, {"c": "3", "d": "4"}, gone=["a", "d", "never"])
    note_placed(tmp_path, {"b": "5"})
    assert read_placed(tmp_path) == {"b": "5", "c": "3"}


def test_what_is_known_is_not_noted_again(tmp_path: Path) -> None:
    note_placed(tmp_path, {"a": "1"})
    before = (tmp_path / NOTE).read_bytes()
    note_placed(tmp_path, {"a": "1"}, gone=["b"])
    assert (tmp_path / NOTE).read_bytes() == before


def test_a_torn_line_hides_no_other(tmp_path: Path) -> None:
    note_placed(tmp_path, {"a": "1"})
    with (tmp_path / NOTE).open("ab") as file:
        file.write(b'\n{"b": "2')
    note_placed(tmp_path, {"c": "3"})
    assert read_placed(tmp_path) == {"a": "1", "c": "3"}


def test_a_note_that_is_none_says_nothing(tmp_path: Path) -> None:
    (tmp_path / NOTE).parent.mkdir(parents=True)
    (tmp_path / NOTE).write_text("[1]\n3\n")
    assert read_placed(tmp_path) == {}


def test_the_note_does_not_grow_with_every_change(tmp_path: Path) -> None:
    for number in range(500):
        note_placed(tmp_path, {"a": str(number)})
    assert read_placed(tmp_path) == {"a": "499"}
    assert len((tmp_path / NOTE).read_bytes().splitlines()) < 150

"""Likely mislabeled rows are found by the scores of a model that never saw them, with their pictures."""

import csv
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tidegate.errors import TidegateError, UsageError
from tidegate.flow import suspects as suspects_module
from tidegate.flow.pictures import Picture, pictures, png, square_of
from tidegate.flow.suspects import list_suspects
from tidegate.project import CONFIG

CLASSES = ("cat", "dog", "owl")


def write_csv(path: Path, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([heads, *rows])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / CONFIG).write_text('[project]\nname = "tiny"\n')
    return tmp_path


def scored(flipped: Sequence[int], n: int = 300) -> list[list[object]]:
    """Rows that a good model scores; the truth of some was flipped to the next class."""
    random = np.random.default_rng(0)
    rows: list[list[object]] = []
    for number in range(n):
        real = number % 3
        scores = random.dirichlet([1, 1, 1]) * 0.2
        scores[real] += 0.8
        given = CLASSES[(real + (number in flipped)) % 3]
        rows.append([f"row{number}", given, CLASSES[real], *scores.round(4)])
    random.shuffle(rows)
    return rows


HEADS = ("id", "truth", "prediction", *(f"score_{name}" for name in CLASSES))


@pytest.mark.parametrize(("flipped", "least"), [([], 0), ([7], 1), (range(0, 300, 10), 27)])
def test_flipped_labels_are_found_and_no_others(root: Path, flipped: Sequence[int], least: int) -> None:
    write_csv(root / "experiments/metrics/evaluation.csv", HEADS, scored(flipped))
    rows, found = list_suspects(root)
    assert rows == 300
    assert {one.id for one in found} <= {f"row{number}" for number in flipped}
    assert len(found) >= least
    assert [one.rank for one in found] == list(range(1, len(found) + 1))
    confidences = [one.confidence for one in found]
    assert confidences == sorted(confidences)
    for one in found:
        real = int(one.id.removeprefix("row")) % 3
        assert (one.given, one.suggested) == (CLASSES[(real + 1) % 3], CLASSES[real])
        assert one.suggested_confidence > 0.7 > 0.3 > one.confidence


def test_a_row_is_named_by_its_id_wherever_it_stands(root: Path) -> None:
    rows = scored([7])
    write_csv(root / "other.csv", HEADS, rows)
    (one,) = list_suspects(root, root / "other.csv").found
    assert rows[one.row][0] == one.id == "row7"


def test_one_score_is_enough_for_two_classes(root: Path) -> None:
    (root / CONFIG).write_text('[project]\nname = "tiny"\ntask = "binary"\n')
    rows = [(n, (n + (n in (4, 5))) % 2, n % 2, 0.95 if n % 2 else 0.05) for n in range(100)]
    write_csv(root / "experiments/metrics/evaluation.csv", ("id", "truth", "prediction", "score"), rows)
    found = list_suspects(root).found
    assert {(one.id, one.given, one.suggested) for one in found} == {("4", "1", "0"), ("5", "0", "1")}
    assert [one.confidence for one in found] == pytest.approx([0.05, 0.05])


def test_the_scores_need_not_add_up_to_one(root: Path) -> None:
    rows = [[*row[:3], *(float(str(score)) / 2 for score in row[3:])] for row in scored([7])]
    write_csv(root / "experiments/metrics/evaluation.csv", HEADS, rows)
    (one,) = list_suspects(root).found
    assert one.id == "row7"
    assert one.suggested_confidence > 0.7


@pytest.mark.parametrize(
    ("heads", "found"),
    [
        (HEADS[:3], "there is no score for each class"),
        (("id", "truth", "prediction", "score"), "no score for each"),
    ],
)
def test_without_scores_by_class_it_says_what_to_write(root: Path, heads: Sequence[str], found: str) -> None:
    rows = [row[: len(heads)] for row in scored([])]
    write_csv(root / "experiments/metrics/evaluation.csv", heads, rows)
    with pytest.raises(UsageError, match=found) as caught:
        list_suspects(root)
    assert "score_LABEL" in caught.value.hint


def test_without_cleanlab_it_says_what_to_install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspects_module, "find_spec", lambda _: None)
    write_csv(root / "experiments/metrics/evaluation.csv", HEADS, scored([]))
    with pytest.raises(TidegateError, match="needs packages of the `labels` extra") as caught:
        list_suspects(root)
    assert caught.value.hint == "pip install 'tidegate[labels]'"


def test_numbers_that_form_a_square_are_a_picture(root: Path) -> None:
    names = [f"p{number}" for number in reversed(range(16))]
    rows = [
        (f"row{row}", row % 2, *[number if row else 0 for number in reversed(range(16))]) for row in range(3)
    ]
    write_csv(root / "data/processed/test.csv", ("id", "label", *names), rows)
    found = pictures(root, ["row2", "row0", "elsewhere"])
    assert found == {
        "row2": Picture(side=4, pixels=bytes(17 * number for number in range(16))),
        "row0": Picture(side=4, pixels=bytes(16)),
    }


def test_a_column_of_image_files_is_a_picture(root: Path) -> None:
    (root / "images").mkdir()
    (root / "images/a.PNG").touch()
    (root / "data/processed").mkdir(parents=True)
    (root / "data/processed/b.jpg").touch()
    rows = [("1", "images/a.PNG", "x"), ("2", "b.jpg", "x"), ("3", "gone.png", "x")]
    write_csv(root / "data/processed/test.csv", ("id", "path", "label"), rows)
    assert pictures(root, ["1", "2", "3"]) == {
        "1": Picture(file=root / "images/a.PNG"),
        "2": Picture(file=root / "data/processed/b.jpg"),
    }


@pytest.mark.parametrize(
    "heads", [("id", "label", "age", "height"), ("row", "label", "p1"), ("id", "p1", "p2", "p3")]
)
def test_rows_that_are_no_images_have_no_pictures(root: Path, heads: Sequence[str]) -> None:
    assert pictures(root, ["1"]) == {}
    write_csv(root / "data/processed/test.csv", heads, [["1", *"2" * (len(heads) - 1)]])
    assert pictures(root, ["1"]) == pictures(root, []) == {}


def test_pixels_are_in_the_order_of_their_numbers() -> None:
    names = [f"px_{row}_{column}" for row in range(12) for column in range(12)]
    assert square_of(["id", "x1", *sorted(names), "x2"]) == names
    assert square_of(["f1", "f2", "f3", "f4"]) == []


def test_a_png_holds_the_pixels() -> None:
    data = png(Picture(side=4, pixels=bytes(range(16))))
    assert data.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 4, 4))
    start = data.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", data[start - 8 : start - 4])
    lines = zlib.decompress(data[start : start + length])
    assert [lines[5 * row : 5 * row + 5] for row in range(4)] == [
        b"\0" + bytes(range(4 * row, 4 * row + 4)) for row in range(4)
    ]

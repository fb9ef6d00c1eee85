"""Rows and cells that two models answer differently: counted over all, shown from the front."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidegate.gate.read import Wanted
from tidegate.gate.report.differences import confuse, pick_changed
from tidegate.gate.rows import Rows


def test_rows_fixed_and_newly_wrong_are_the_first_of_the_file(evidence):
    found = evidence(30, 20, 200)
    place = np.arange(200)[::-1].astype(np.uint32)
    new, old = (rows._replace(place=place) for rows in found[:2])
    fixed, broken = pick_changed(new, old, 5)
    assert (fixed.total, broken.total) == (30, 20)
    assert fixed.first.tolist() == [29, 28, 27, 26, 25]
    assert broken.first.tolist() == [49, 48, 47, 46, 45]


def test_nothing_changed_shows_nothing(evidence):
    same = evidence(0, 0, 50)
    fixed, broken = pick_changed(same.candidate, same.baseline, 5)
    assert (fixed.total, broken.total, len(fixed.first)) == (0, 0, 0)
    assert confuse(same.candidate, same.baseline, 5) == ()


def test_of_numbers_the_largest_change_of_error_comes_first(read):
    def rows(*answers):
        lines = "".join(f"{n},10,{answer}\n" for n, answer in enumerate(answers))
        return read(f"id,truth,prediction\n{lines}", wanted=Wanted("regression"))

    old, new = rows(10, 11, 14, 13), rows(15, 10, 11, 13)
    fixed, broken = pick_changed(new, old, 5)
    assert new.place[fixed.first].tolist() == [2, 1]
    assert new.place[broken.first].tolist() == [0]
    assert confuse(new, old, 5) == ()


def test_cells_that_changed_most_come_first(rows):
    old = rows([True] * 60 + [False] * 40)
    new = rows([True] * 90 + [False] * 10)
    found = confuse(new, old, 10)
    assert [(one.truth, one.answer) for one in found] == [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
    assert [(one.candidate, one.live) for one in found] == [(45, 30), (5, 20), (5, 20), (45, 30)]
    assert len(confuse(new, old, 3)) == 3


def test_with_nothing_live_the_most_frequent_mistakes_are_told(rows):
    found = confuse(rows([False, True, False, False, True, True]), None, 10)
    assert [(one.truth, one.answer, one.candidate, one.live) for one in found] == [
        ("a", "b", 2, None),
        ("b", "a", 1, None),
    ]


def answered(truth, said):
    """Rows of three classes."""
    codes = [np.array(values, dtype=np.uint8) for values in (truth, said)]
    place = np.arange(len(truth), dtype=np.uint32)
    return Rows("rows", "multiclass", ("a", "b", "c"), 0, *codes, None, {}, place, "", "")


CODE = st.integers(0, 2)


@given(st.lists(st.tuples(CODE, CODE, CODE), min_size=1, max_size=60))
def test_cells_and_rows_add_up(triples):
    truth, now, then = zip(*triples, strict=True)
    new, old = answered(truth, now), answered(truth, then)
    fixed, broken = pick_changed(new, old, 100)
    assert len(fixed.first) == fixed.total == sum(a == b != c for a, b, c in triples)
    assert len(broken.first) == broken.total == sum(a == c != b for a, b, c in triples)
    cells = confuse(new, old, 100)
    assert sum(one.candidate - one.live for one in cells) == 0
    right = sum(one.candidate - one.live for one in cells if one.truth == one.answer)
    assert right == fixed.total - broken.total

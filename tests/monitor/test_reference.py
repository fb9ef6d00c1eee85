import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.tables import Table
from tidegate.errors import CorruptError, UsageError
from tidegate.monitor.reference import (
    build_reference,
    count_hits,
    encode_reference,
    in_single,
    parse_reference,
)

VALUES = st.one_of(st.none(), st.floats(), st.booleans(), st.integers(-(2**60), 2**60))


def column_of(values):
    """The summary of a single column."""
    (found,) = build_reference(Table(("x",), {"x": values}), ["a"], 0).columns
    return found


def test_cuts_are_the_quantiles_and_frequencies_the_rows_at_most_there():
    column = column_of([float(value) for value in range(1, 101)])
    assert column.cuts == (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)
    assert column.frequencies == tuple(cut / 100 for cut in column.cuts)
    assert (column.missing, column.below) == (0, 0)


def test_a_constant_column_keeps_its_one_cut():
    column = column_of([7] * 20)
    assert (column.cuts, column.frequencies, column.below) == ((7,), (1,), 0)


def test_equal_quantiles_are_one_cut():
    column = column_of([0] * 60 + [1] * 40)
    assert column.cuts == (0, 1)
    assert column.frequencies == (0.6, 1)


def test_missing_rows_count_in_every_share():
    column = column_of([1, 2, None, math.nan])
    assert column.cuts == (1, 2)
    assert column.frequencies == (0.25, 0.5)
    assert column.missing == 0.5


def test_rows_below_the_lowest_cut_are_counted():
    assert column_of(list(range(1000))).below == 0.009


def test_a_column_of_nothing_has_no_cut():
    column = column_of([None, None])
    assert (column.cuts, column.frequencies, column.missing, column.below) == ((), (), 1, 0)


def test_infinite_values_are_counted_but_are_no_cut():
    column = column_of([-math.inf] * 5 + [1.0] * 10 + [1e300] * 5)
    assert (column.cuts, column.frequencies, column.below) == ((1,), (0.75,), 0.25)


def test_columns_of_text_are_left_out():
    table = Table(("size", "color", "hot"), {"size": [1, 2], "color": ["red", "7"], "hot": [True, None]})
    assert [column.name for column in build_reference(table, ["a"], 0).columns] == ["size", "hot"]


def test_answers_are_shares_of_the_evaluation_rows():
    found = build_reference(Table(("x",), {"x": [1, 2, 3]}), ["dog", "cat", "dog", "dog"], 1)
    assert (found.answers, found.shares) == (("cat", "dog"), (0.25, 0.75))
    assert (found.n, found.n_answers, found.errors) == (3, 4, 1)


@pytest.mark.parametrize(
    ("rows", "answers"), [([], ["a"]), ([1], [])], ids=["no reference rows", "no evaluation rows"]
)
def test_a_reference_needs_rows(rows, answers):
    with pytest.raises(UsageError, match="no rows"):
        build_reference(Table(("x",), {"x": rows}), answers, 0)


def test_a_value_that_went_through_single_precision_is_still_the_same():
    cuts = in_single(np.array([0.1]))
    once = in_single(np.array([0.1, np.float32(0.1)], dtype=float))
    assert count_hits(once, cuts).tolist() == [2, 0, 0]


@settings(max_examples=100, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=40), st.lists(st.text(max_size=3), min_size=1, max_size=20))
def test_reading_what_was_written_gives_the_same(values, answers):
    reference = build_reference(Table(("x",), {"x": values}), answers, len(answers) // 2)
    assert parse_reference(encode_reference(reference)) == reference


def test_equal_references_give_equal_bytes_with_sorted_keys(reference):
    data = encode_reference(reference)
    assert encode_reference(parse_reference(data)) == data
    assert list(json.loads(data)) == ["answers", "columns", "errors", "n", "n_answers", "shares"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("n", 0, ">= 1"),
        ("n_answers", 0, ">= 1"),
        ("errors", 1001, "1001 errors among 1000 answers"),
        ("shares", [0.5], "3 answers and 1 shares"),
        ("shares", [0.5, 0.4, 1.1], "<= 1"),
        ("colums", [], "unknown field `colums`"),
    ],
)
def test_a_reference_that_contradicts_itself_is_corrupt(reference, field, value, message):
    body = json.loads(encode_reference(reference)) | {field: value}
    with pytest.raises(CorruptError, match=message):
        parse_reference(json.dumps(body).encode())


@pytest.mark.parametrize(("cuts", "frequencies"), [([1, 2], [0.5]), ([2, 1], [0.5, 1]), ([1, 1], [0.5, 1])])
def test_cuts_that_do_not_rise_are_corrupt(reference, cuts, frequencies):
    body = json.loads(encode_reference(reference))
    body["columns"][0] |= {"cuts": cuts, "frequencies": frequencies}
    with pytest.raises(CorruptError, match="column `normal` needs rising cuts"):
        parse_reference(json.dumps(body).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'"\xff"', b"[1]", b'{"n": 3'])
def test_bytes_that_are_no_reference_are_corrupt(data):
    with pytest.raises(CorruptError, match=r"reference\.json: .*, expected the reference of a bundle"):
        parse_reference(data)

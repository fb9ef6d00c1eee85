"""An entry: every row of a request comes back as it was, and what is hidden is nowhere in its bytes."""

import math
import struct
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.domain import Prediction
from tidegate.store.predictions import Entry, entry_of, rows_of
from tidegate.store.predictions.entry import Cells, pack_cells, row_ids, without

MATRIX = np.arange(12.0).reshape(3, 4) / 7
TEXTS = np.array([["Ulm", 3.25, None], ["Köln", math.nan, ""]], dtype=object)
SECRET, OPEN = 0.1234567, 7.654321

law = settings(max_examples=200, deadline=None, derandomize=True)
numbers = st.floats()
logged = st.builds(
    Prediction,
    st.text(),
    numbers,
    st.text(),
    st.text(),
    st.text(),
    st.sampled_from(["stable", "canary"]),
    st.lists(numbers, max_size=5).map(tuple)
    | st.lists(st.none() | st.text() | numbers, max_size=5).map(tuple),
    st.none() | st.text() | st.integers(-(2**63), 2**63 - 1) | numbers,
    st.lists(numbers, max_size=3).map(tuple),
    numbers,
    st.integers(100, 599),
    st.lists(st.text(), max_size=3).map(tuple),
)


def entry(inputs: Cells, n: int, **changed: object) -> Entry:
    """A request of `n` rows with these inputs, which were not answered."""
    plain = Entry("r", n, 1.5, "ann", "e", "b1", "canary", inputs, (), (), 0.7, 500)
    return msgspec.structs.replace(plain, **changed)


def kept(one: Entry) -> Entry:
    """The entry as it comes back from the log."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Entry)


def inputs_of(one: Entry) -> list[tuple[float | str | None, ...]]:
    return [row.inputs for row in rows_of(one)]


def exactly(rows: Sequence[Prediction]) -> list[str]:
    """Every value with its type; NaN is like NaN."""
    return list(map(repr, rows))


@law
@given(logged)
def test_a_row_comes_back_as_it_was(row: Prediction) -> None:
    assert exactly(rows_of(entry_of(row))) == exactly([row])
    assert exactly(rows_of(kept(entry_of(row)))) == exactly([row])


@pytest.mark.parametrize("inputs", [(), (0.5, -0.0), (math.inf, -math.inf), ("Ulm", None, 0.5), (None,)])
def test_a_row_is_equal_to_what_it_was(inputs: tuple[float | str | None, ...]) -> None:
    row = Prediction("r", 1.5, "u", "e", "b", "stable", inputs, "three", (0.1, 0.9), 0.7, 200, ("a range",))
    assert rows_of(entry_of(row)) == [row]


def test_the_rows_of_a_request_have_each_their_own() -> None:
    flags = (("a range",), (), ("a range", "b required"))
    answered = entry(
        pack_cells(MATRIX), 3, outputs=["x", 2, 0.5], scores=[[0.1], [0.2], [0.3]], flags=flags, status=200
    )
    rows = rows_of(kept(answered))
    assert [row.request for row in rows] == ["r.0", "r.1", "r.2"]
    assert [row.inputs for row in rows] == [tuple(cells) for cells in MATRIX.tolist()]
    assert [row.output for row in rows] == ["x", 2, 0.5]
    assert [row.scores for row in rows] == [(0.1,), (0.2,), (0.3,)]
    assert tuple(row.flags for row in rows) == flags
    assert {(row.at, row.unit, row.endpoint, row.bundle) for row in rows} == {(1.5, "ann", "e", "b1")}
    assert {(row.role, row.latency_ms, row.status) for row in rows} == {("canary", 0.7, 200)}


def test_a_request_without_an_answer_has_its_inputs() -> None:
    rows = rows_of(kept(entry(pack_cells(MATRIX), 3)))
    assert [(row.output, row.scores, row.flags) for row in rows] == [(None, (), ())] * 3
    assert [row.inputs for row in rows] == [tuple(cells) for cells in MATRIX.tolist()]


@pytest.mark.parametrize("rows", [MATRIX[:, ::2], MATRIX[::-1], np.asfortranarray(MATRIX), MATRIX[:, :1]])
def test_cells_are_those_of_the_matrix_however_it_lies_in_memory(rows: np.ndarray) -> None:
    assert inputs_of(entry(pack_cells(rows), 3)) == [tuple(cells) for cells in rows.tolist()]


def test_numbers_are_little_endian_bytes() -> None:
    assert pack_cells(MATRIX) == struct.pack("<12d", *MATRIX.flat)


def test_texts_stand_beside_numbers() -> None:
    first, second = rows_of(kept(entry(pack_cells(TEXTS), 2)))
    assert first.inputs == ("Ulm", 3.25, None)
    assert repr(second.inputs) == "('Köln', nan, '')"
    assert [row.request for row in (first, second)] == ["r.0", "r.1"]


@pytest.mark.parametrize("positions", [{1}, {0, 2}, {0, 1, 2, 3}, {9}, frozenset()])
def test_hidden_positions_are_none_in_every_row_and_the_others_stay(positions: set[int]) -> None:
    expected = [
        tuple(None if i in positions else cell for i, cell in enumerate(cells)) for cells in MATRIX.tolist()
    ]
    assert inputs_of(kept(without(entry(pack_cells(MATRIX), 3), positions))) == expected
    texts = MATRIX.astype(str).astype(object)
    expected = [
        tuple(None if i in positions else cell for i, cell in enumerate(cells)) for cells in texts.tolist()
    ]
    assert inputs_of(kept(without(entry(pack_cells(texts), 3), positions))) == expected


def test_hiding_nothing_of_no_inputs_is_no_inputs() -> None:
    assert inputs_of(without(entry(b"", 1), {0, 3})) == [()]


def traces(encoded: bytes, value: float | str) -> bool:
    """Whether a value is anywhere in these bytes, in either order of a float."""
    if isinstance(value, str):
        return value.encode() in encoded
    return struct.pack("<d", value) in encoded or struct.pack(">d", value) in encoded


@pytest.mark.parametrize(
    ("rows", "secret", "public"),
    [
        (np.array([[OPEN, SECRET], [OPEN, SECRET]]), SECRET, OPEN),
        (np.array([["Ulm", "ann@example.org"], ["Ulm", "ann@example.org"]], dtype=object), "ann@", "Ulm"),
        (np.array([["Ulm", SECRET], [None, SECRET]], dtype=object), SECRET, "Ulm"),
    ],
    ids=["numbers", "texts", "both"],
)
def test_what_is_hidden_leaves_no_trace(rows: np.ndarray, secret: float | str, public: float | str) -> None:
    whole = entry(pack_cells(rows), 2)
    before, after = (msgspec.msgpack.encode(one) for one in (whole, without(whole, {1})))
    assert (traces(before, secret), traces(before, public)) == (True, True)
    assert (traces(after, secret), traces(after, public)) == (False, True)


@pytest.mark.parametrize(("n", "ids"), [(1, ("r",)), (2, ("r.0", "r.1")), (3, ("r.0", "r.1", "r.2"))])
def test_rows_are_numbered_only_when_there_are_several(n: int, ids: tuple[str, ...]) -> None:
    assert row_ids("r", n) == ids

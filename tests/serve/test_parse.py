"""Bodies to rows: what is right keeps every number, what is wrong is named by its path."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.contract import Column, Contract
from tidegate.domain import Label
from tidegate.errors import UsageError
from tidegate.serve.parse import check_request_id, parse_labels, parse_predict
from tidegate.serve.shape import Shape, make_shape
from tidegate.store.predictions import PredictionLog, read_labels

LAW = settings(max_examples=100, deadline=None, derandomize=True)


def numbers_of(*names: str, optional: str = "") -> Shape:
    """The shape of unbounded numbers."""
    return make_shape(
        Contract("people", tuple(Column(name, "number", name not in optional) for name in names))
    )


SHAPE = numbers_of("age", "height", "weight", optional="weight")
FINITE = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
ROWS = st.lists(st.tuples(FINITE, FINITE, FINITE | st.none()).map(list), min_size=1, max_size=8)
DEEP = b"[" * 200_000


def rows_of(body: object, shape: Shape = SHAPE) -> list[list[float]]:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_predict(text, shape, max_rows=8).values.tolist()


def labels_of(body: object) -> list[Label]:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_labels(text, at=5.0, max_rows=3)


def numbers(row: list[float | None]) -> list[float]:
    """A row as an array prints it, null as NaN by its text."""
    return [str(math.nan if cell is None else float(cell)) for cell in row]


@LAW
@given(ROWS)
def test_rows_in_order_or_by_name_are_the_same_rows(rows) -> None:
    named = [dict(reversed(list(zip(SHAPE.order, row, strict=True)))) for row in rows]
    expected = [numbers(row) for row in rows]
    assert [numbers(row) for row in rows_of({"rows": rows})] == expected
    assert [numbers(row) for row in rows_of({"rows": named})] == expected
    assert [numbers(row) for row in rows_of({"row": rows[0]})] == expected[:1]
    assert [numbers(row) for row in rows_of({"row": named[0]})] == expected[:1]


def test_rows_of_both_forms_may_be_mixed() -> None:
    assert rows_of({"rows": [[1, 2, 3], {"weight": 6, "height": 5, "age": 4}]}) == [[1, 2, 3], [4, 5, 6]]


def test_an_optional_column_may_be_left_out() -> None:
    assert numbers(rows_of({"row": {"age": 1, "height": 2}})[0]) == ["1.0", "2.0", "nan"]


def test_an_empty_object_is_a_row_where_every_column_is_optional() -> None:
    shape = numbers_of("a", "b", optional="ab")
    assert [numbers(row) for row in rows_of({"row": {}}, shape)] == [["nan", "nan"]]
    assert [numbers(row) for row in rows_of({"rows": [{}]}, shape)] == [["nan", "nan"]]


def test_rows_are_an_array_of_float64() -> None:
    found = parse_predict(b'{"rows": [[1, 2, 3], [4, 5, 6]]}', SHAPE, max_rows=2).values
    assert (found.dtype, found.shape) == (np.dtype("float64"), (2, 3))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "body: not JSON, input data was truncated"),
        (b"x", "body: not JSON, invalid character (byte 0)"),
        (b"\xff\xfe", "body: not JSON, invalid character (byte 0)"),
        (b'{"row": [1, 2, 3]', "body: not JSON, input data was truncated"),
        (b'{"row": [1, 2, NaN]}', "body: not JSON, invalid character (byte 15)"),
        (b'{"row": [1, 2, 3]} 4', "body: not JSON, trailing characters (byte 20)"),
        (
            b'{"row": {"\xff": 1}}',
            "body: not JSON, 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (
            b'{"row": {"\\ud800": 1}}',
            "body: not JSON, unexpected end of escaped utf-16 surrogate pair (byte 16)",
        ),
        (b'{"rows": ' + DEEP, "rows[0][0]: expected `float | null`, got `array`"),
        (b"[]", "expected `object`, got `array`"),
        (b"null", "expected `object`, got `null`"),
        (b"{}", "expected either `rows` or `row`"),
        (b'{"rows": null, "row": null}', "expected either `rows` or `row`"),
        ({"rows": [[1, 2, 3]], "row": [1, 2, 3]}, "expected either `rows` or `row`"),
        ({"rows": [[1, 2, 3]], "row": []}, "expected either `rows` or `row`"),
        ({"rows": [[1, 2, 3]], "arms": 1}, "object contains unknown field `arms`"),
        ({"rows": {}}, "rows: expected `array | null`, got `object`"),
        ({"rows": []}, "rows: 0 rows, expected 1 to 8"),
        ({"rows": [[1, 2, 3]] * 9}, "rows: 9 rows, expected 1 to 8"),
        ({"row": 3}, "row: 3 is no object, expected an object"),
        ({"rows": [[1, 2, 3], 4]}, "rows[1]: 4 is no object, expected an object"),
        ({"row": [1, 2]}, "row: 2 values, expected one for each of the 3 columns"),
        ({"row": []}, "row: 0 values, expected one for each of the 3 columns"),
        ({"rows": [[1, 2, 3], [1, 2, 3, 4]]}, "rows[1]: 4 values, expected one for each of the 3 columns"),
        ({"row": [1, "2", 3]}, "row.height: is '2', expected a number"),
        ({"row": [True, 2, 3]}, "row.age: is True, expected a number"),
        (b'{"rows": [[1, 1e999, 3]]}', "rows[0][1]: number out of range"),
        (b'{"row": [1' + b"0" * 5000 + b", 2, 3]}", "row[0]: number out of range"),
        ({"row": {"age": [], "height": 2}}, "row.age: is [], expected a number"),
        ({"row": [1, None, 3]}, "row.height: is null, expected a value"),
        (
            {"rows": [{"age": None, "height": 2}]},
            "rows[0].age: is null, expected a value",
        ),
        ({"row": {"height": 1}}, "row.age: is missing, expected a value"),
        ({"row": {}}, "row.age: is missing, expected a value (and 1 more)"),
        (
            {"rows": [[1, 2, 3], {"age": 1, "hieght": 2}]},
            "rows[1].hieght: unknown column, did you mean `height`?, expected only declared ones (and 1 more)",
        ),
        ({"row": {"age": 1, "height": 2, "x": 3}}, "row.x: unknown column, expected only declared ones"),
    ],
)
def test_a_bad_body_is_named_by_its_path(body, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        rows_of(body)
    assert str(caught.value) == message


@LAW
@given(
    st.lists(
        st.tuples(st.text(), st.text() | FINITE | st.integers(-(2**63), 2**63 - 1)).map(list), max_size=3
    )
)
def test_labels_keep_their_request_and_truth(pairs) -> None:
    found = labels_of({"labels": [{"request": request, "truth": truth} for request, truth in pairs]})
    assert found == [Label(request, 5.0, truth) for request, truth in pairs]
    assert [type(label.truth) for label in found] == [type(truth) for _, truth in pairs]


@pytest.mark.parametrize("truth", [2**63 - 1, -(2**63), 1e308, "\u0000", ""])
def test_every_label_that_is_taken_fits_the_log(tmp_path, truth) -> None:
    labels = labels_of({"labels": [{"request": "r", "truth": truth}]})
    log = PredictionLog(tmp_path, "w")
    log.write_labels(labels)
    log.close()
    assert read_labels(tmp_path)[0] == labels


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "body: not JSON, input data was truncated"),
        ({}, "object missing required field `labels`"),
        ({"labels": [], "at": 1}, "object contains unknown field `at`"),
        ({"labels": {}}, "labels: expected `array`, got `object`"),
        ({"labels": [{"request": "r", "truth": 1}] * 4}, "labels: 4 labels, expected at most 3"),
        ({"labels": [{"request": "r"}]}, "labels[0]: object missing required field `truth`"),
        ({"labels": [{"request": 1, "truth": 1}]}, "labels[0].request: expected `str`, got `int`"),
        (
            {"labels": [{"request": "r", "truth": None}]},
            "labels[0].truth: expected `int | float | str`, got `null`",
        ),
        (
            {"labels": [{"request": "r", "truth": True}]},
            "labels[0].truth: expected `int | float | str`, got `bool`",
        ),
        (
            {"labels": [{"request": "r", "truth": 1}, {"request": "r", "truth": 1, "late": 1}]},
            "labels[1]: object contains unknown field `late`",
        ),
        (
            {"labels": [{"request": "r", "truth": 2**63}]},
            "labels[0].truth: expected `int` <= 9223372036854775807",
        ),
        (
            {"labels": [{"request": "r", "truth": -(2**63) - 1}]},
            "labels[0].truth: expected `int` >= -9223372036854775808",
        ),
    ],
)
def test_bad_labels_are_named_by_their_path(body, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        labels_of(body)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", ["r", "a" * 128, "!~", 'quote"', "a,b;c"])
def test_visible_ascii_is_a_request_id(value: str) -> None:
    assert check_request_id(value) == value


@pytest.mark.parametrize("value", ["", " ", "a b", "a" * 129, "ü", "a\n", "a\r\nx-role: b", "\x7f"])
def test_what_cannot_stand_in_a_header_is_no_request_id(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_request_id(value)
    assert str(caught.value) == "x-request-id: expected 1 to 128 visible ASCII characters"
    with pytest.raises(UsageError) as caught:
        check_request_id(value, "id")
    assert caught.value.where == "id"

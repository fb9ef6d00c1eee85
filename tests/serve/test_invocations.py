"""MLflow's scoring protocol: four forms of JSON and a table as CSV, each as the same rows or named by its path."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.contract import Column, Contract
from tidegate.errors import UsageError
from tidegate.serve.invocations import parse_invocation
from tidegate.serve.shape import BreachError, make_shape

LAW = settings(max_examples=80, deadline=None, derandomize=True)
SHAPE = make_shape(Contract("x", tuple(Column(name, "number", name != "c") for name in "abc")))
NAMED = make_shape(Contract("x", (Column("word", "string", is_required=False), Column("n", "integer"))))
ROWS = [[1, 2, 3], [4, 5, 6.5]]
RECORDS = [dict(zip("abc", row, strict=True)) for row in ROWS]
FORMS = "dataframe_split, dataframe_records, instances, inputs, expected one"
COLUMNS = {name: [row[i] for row in ROWS] for i, name in enumerate("abc")}
CELL = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-1000, 1000)


def parse(body: object, kind: bytes = b"application/json", shape=SHAPE):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_invocation(text, kind, shape, max_rows=3).values.tolist()


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": list("abc"), "data": ROWS}},
        {"dataframe_split": {"columns": list("abc"), "index": [7, "x"], "data": ROWS}},
        {"dataframe_split": {"columns": list("cba"), "data": [row[::-1] for row in ROWS]}},
        {"dataframe_split": {"columns": [0, 1, 2], "data": ROWS}},
        {"dataframe_split": {"data": ROWS}},
        {"dataframe_records": RECORDS},
        {"instances": ROWS},
        {"instances": RECORDS},
        {"inputs": ROWS},
        {"inputs": COLUMNS},
        {"inputs": {name: [[cell] for cell in cells] for name, cells in COLUMNS.items()}},
        {"inputs": ROWS, "params": {}},
    ],
)
def test_every_form_is_the_same_rows(body) -> None:
    assert parse(body) == ROWS


def test_single_values_are_one_row() -> None:
    assert parse({"inputs": {"a": 1, "b": 2, "c": 3}}) == [[1, 2, 3]]


@pytest.mark.parametrize("kind", [b"text/csv", b"text/csv; charset=utf-8"])
def test_a_table_may_come_as_csv(kind: bytes) -> None:
    assert parse(b"b,a,c\n2,1,3\n5,4,6.5\n", kind) == ROWS
    assert [str(cell) for cell in parse(b"\xef\xbb\xbfa,b,c\r\n1,-2.5e3,\r\n\r\n", kind)[0]] == [
        "1.0",
        "-2500.0",
        "nan",
    ]
    assert parse(b'n,word\n1,"a,b"\n2,\n', kind, NAMED) == [["a,b", 1.0], [None, 2.0]]


def test_nan_and_null_are_missing_values() -> None:
    for text in (b"NaN", b"null"):
        assert math.isnan(parse(b'{"inputs": [[1, 2, %b]]}' % text)[0][2])
    with pytest.raises(BreachError, match="is null, expected a value"):
        parse(b'{"inputs": [[1, NaN, 3]]}')
    with pytest.raises(BreachError, match="'-Infinity'"):
        parse(b'{"inputs": [[1, -Infinity, 3]]}')
    assert parse({"inputs": [{"word": "NaN or Infinity", "n": 1}]}, shape=NAMED) == [["NaN or Infinity", 1.0]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, f"0 of {FORMS}"),
        (
            {"inputs": ROWS, "instances": ROWS},
            f"2 of {FORMS}",
        ),
        ({"inputs": ROWS, "params": {"t": 1}}, "params: this model takes no parameters"),
        ({"rows": ROWS}, "object contains unknown field `rows`"),
        ({"inputs": []}, "inputs: 0 rows, expected 1 to 3"),
        ({"inputs": {}}, "inputs: 0 rows, expected 1 to 3"),
        ({"inputs": ROWS * 2}, "inputs: 4 rows, expected 1 to 3"),
        (
            {"inputs": {"a": [1], "b": [1, 2], "c": [1]}},
            "inputs: columns of 1 to 2 values, expected as many in each",
        ),
        (
            {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2, 3]]}},
            "dataframe_split.data[0]: 3 values for 2 columns",
        ),
        ({"dataframe_split": {}}, "dataframe_split: object missing required field `data`"),
        (b"{", "body: not JSON, input data was truncated"),
        (b'{"inputs": NaN', "body: not JSON, invalid character (byte 11)"),
        (b'{"inputs": [NaN' + b"[" * 100_000, "body: not JSON, invalid character (byte 12)"),
    ],
)
def test_a_body_that_holds_no_rows_is_named_by_its_path(body, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(body)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"", b"text/csv", "rows: 0 rows, expected 1 to 3"),
        (b"a,b,c\n", b"text/csv", "rows: 0 rows, expected 1 to 3"),
        (b"a,b\n1,2,3\n", b"text/csv", "rows[0]: 3 values for 2 columns"),
        (b'a\n"x', b"text/csv", "body: not CSV, unexpected end of data"),
        (b"\xff", b"text/csv", "body: not CSV, "),
        (b"{}", b"application/xml", "content-type: `application/xml`, expected application/json or text/csv"),
    ],
)
def test_what_is_no_table_is_refused(body: bytes, kind: bytes, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(body, kind)
    assert str(caught.value).startswith(message)


@LAW
@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=3))
def test_a_table_is_the_same_rows_in_json_and_in_csv(rows) -> None:
    lines = "\n".join(["a,b,c", *(",".join(map(repr, row)) for row in rows)])
    found = [[float(cell) for cell in row] for row in rows]
    assert parse(lines.encode(), b"text/csv") == parse({"dataframe_split": {"data": rows}}) == found


def test_the_route_answers_predictions_alone(gateway) -> None:
    reply = gateway.ask("POST", "/invocations", {"instances": ROWS}, content_type="application/json")
    assert (reply.status, reply.json) == (200, {"predictions": ["c", "c"]})
    assert [row.inputs for row in gateway.rows] == [tuple(map(float, row)) for row in ROWS]

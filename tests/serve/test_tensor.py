"""Tensors: every datatype survives both ways, and what is wrong with one is said with its place."""

import json
import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import UsageError
from tidegate.serve.tensor import (
    DATATYPES,
    DTYPES,
    check_shape,
    decode_json,
    decode_raw,
    decode_typed,
    encode_raw,
)

LAW = settings(max_examples=60, deadline=None, derandomize=True)
SAFE = 2**53
LIMITS = {
    name: (max(np.iinfo(kind).min, -SAFE), min(int(np.iinfo(kind).max), SAFE))
    for name, kind in DTYPES.items()
    if "INT" in name
}
REALS = {name: st.floats(width=int(name[2:]), allow_infinity=False) for name in ("FP16", "FP32", "FP64")}
WHOLE = {name: st.integers(*ends) for name, ends in LIMITS.items()}
VALUES = {"BOOL": st.booleans(), **REALS, **WHOLE, "BYTES": st.text(max_size=5)}


def same(found: np.ndarray, values: list[object]) -> bool:
    """Whether these are the values, NaN like NaN."""
    if found.dtype == object:
        return found.tolist() == values
    return np.array_equal(found, np.array(values, dtype=float), equal_nan=True)


def packed(values: list[str]) -> bytes:
    return b"".join(struct.pack("<I", len(value.encode())) + value.encode() for value in values)


def raw(values: list[object], datatype: str) -> bytes:
    """The bytes of a tensor as numpy has them."""
    return packed(values) if datatype == "BYTES" else np.array(values, dtype=DTYPES[datatype]).tobytes()


@pytest.fixture(params=DATATYPES)
def datatype(request) -> str:
    return request.param


@LAW
@given(st.data())
def test_raw_values_of_every_type_survive(data) -> None:
    datatype = data.draw(st.sampled_from(DATATYPES))
    values = data.draw(st.lists(VALUES[datatype], max_size=6))
    found = decode_raw(raw(values, datatype), datatype, [len(values)], "inputs[0]")
    assert same(found, values)
    assert encode_raw(found, datatype) == raw(values, datatype)


@LAW
@given(st.data(), st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_json_values_of_every_type_survive_flat_and_nested(data, is_nested: bool, indent) -> None:
    datatype = data.draw(st.sampled_from(DATATYPES))
    value = VALUES[datatype].filter(lambda one: one == one)
    rows = data.draw(st.lists(st.lists(value, min_size=2, max_size=2), min_size=1, max_size=3))
    flat = [cell for row in rows for cell in row]
    text = json.dumps(rows if is_nested else flat, indent=indent).encode()
    assert same(decode_json(text, datatype, [len(rows), 2], "inputs[0]"), flat)


@LAW
@given(st.data())
def test_typed_values_of_every_type_survive(data) -> None:
    datatype = data.draw(st.sampled_from([name for name in DATATYPES if name != "FP16"]))
    values = data.draw(st.lists(VALUES[datatype], max_size=6))
    cells = [value.encode() if isinstance(value, str) else value for value in values]
    assert same(decode_typed(cells, datatype, [len(values)], "inputs[0].contents.x"), values)


@LAW
@given(st.sampled_from(DATATYPES), st.binary(max_size=40), st.lists(st.integers(-2, 2**40), max_size=3))
def test_any_bytes_and_shape_are_a_tensor_or_refused(datatype: str, data: bytes, shape: list[int]) -> None:
    try:
        assert len(decode_raw(data, datatype, shape, "x")) == math.prod(shape)
    except UsageError as error:
        assert str(error).startswith("x")


def test_null_is_missing_in_json(datatype: str) -> None:
    found = decode_json(b"[null]", datatype, [1], "x")
    assert found[0] is None if datatype == "BYTES" else math.isnan(found[0])


def test_deeply_nested_data_follow_their_shape() -> None:
    data = np.arange(24).reshape(2, 3, 2, 2)
    found = decode_json(json.dumps(data.tolist()).encode(), "INT32", data.shape, "x")
    assert found.tolist() == list(range(24))


@pytest.mark.parametrize("datatype", ["INT64", "UINT64"])
def test_a_whole_number_that_would_be_rounded_is_refused(datatype: str) -> None:
    for ask in (
        lambda: decode_json(b"[9007199254740993]", datatype, [1], "x"),
        lambda: decode_json(b"[[9007199254740993]]", datatype, [1, 1], "x"),
        lambda: decode_raw(struct.pack("<q", 2**53 + 1), datatype, [1], "x"),
        lambda: decode_typed([2**53 + 1], datatype, [1], "x"),
    ):
        with pytest.raises(UsageError, match=r"above 2\^53"):
            ask()
    with pytest.raises(UsageError, match=r"above 2\^53"):
        decode_raw(b"\xff" * 7 + b"\x7f", datatype, [1], "x")


@pytest.mark.parametrize(
    ("datatype", "shape", "message"),
    [
        ("BF16", [1], "x.datatype: unknown datatype `BF16`, expected one of BOOL, UINT8"),
        ("FP32", [], "x.shape: [], expected 1 to 8 sizes of 0 or more"),
        ("FP32", [1] * 9, "x.shape: [1, 1, 1, 1, 1, 1, 1, 1, 1], expected 1 to 8 sizes of 0 or more"),
        ("FP32", [-1], "x.shape: [-1], expected 1 to 8 sizes of 0 or more"),
    ],
)
def test_a_type_or_shape_that_none_can_have_is_refused(datatype: str, shape: list[int], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_shape(datatype, shape, "x")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("data", "datatype", "shape", "message"),
    [
        (b"\0" * 7, "FP32", [2], "x: 7 bytes, shape [2] of FP32 needs 8"),
        (b"\0" * 9, "FP32", [2], "x: 9 bytes, shape [2] of FP32 needs 8"),
        (b"\0", "FP64", [10**30], f"x: 1 bytes, shape [{10**30}] of FP64 needs {8 * 10**30}"),
        (b"", "BYTES", [10**12], "x: 0 bytes, 1000000000000 values of BYTES need more"),
        (packed(["ab"])[:-1], "BYTES", [1], "x: 5 bytes end within value 0 of 1"),
        (packed(["ab"]) + b"\0\0", "BYTES", [2], "x: 8 bytes end within value 1 of 2"),
        (packed(["a", "b"]), "BYTES", [1], "x: 5 bytes after its 1 values"),
        (struct.pack("<I", 1) + b"\xff", "BYTES", [1], "x: value 0 is not UTF-8"),
    ],
)
def test_raw_bytes_of_another_size_are_refused(data: bytes, datatype: str, shape, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        decode_raw(data, datatype, shape, "x")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("cells", "datatype", "shape", "message"),
    [
        ([1.0], "FP32", [2], "x: 1 values, shape [2] needs 2"),
        ([], "BOOL", [1], "x: 0 values, shape [1] needs 1"),
        ([300], "UINT8", [1], "x: a value is no UINT8"),
        ([-1], "UINT16", [1], "x: a value is no UINT16"),
        ([b"\xff"], "BYTES", [1], "x: a value is not UTF-8"),
    ],
)
def test_typed_values_that_do_not_fit_are_refused(cells, datatype: str, shape, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        decode_typed(cells, datatype, shape, "x")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("data", "shape", "message"),
    [
        ("[[1], [2, 3]]", [2], "x.data[1]: 2 values, its dimension of the shape has 1"),
        ("[[[1], [2]], [[3]]]", [2, 2, 1], "x.data[1]: 1 values, its dimension of the shape has 2"),
        ("[[[1], 2]]", [1, 2, 1], "x.data[0][1]: expected `array`, got `int`"),
    ],
)
def test_ragged_or_broken_json_is_refused(data: str, shape, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        decode_json(data.encode(), "FP32", shape, "x")
    assert str(caught.value) == message


def test_true_is_any_byte_but_zero() -> None:
    assert decode_raw(b"\0\1\xff", "BOOL", [3], "x").tolist() == [0.0, 1.0, 1.0]


def test_half_precision_keeps_its_bits() -> None:
    halves = np.array([0.1, 65504, 6e-8], dtype="<f2")
    assert decode_raw(halves.tobytes(), "FP16", [3], "x").tolist() == halves.astype(float).tolist()
    assert encode_raw(halves.astype(float), "FP16") == halves.tobytes()

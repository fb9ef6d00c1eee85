"""The nouns: frozen, strict about unknown fields, and one idea of the same answer."""

import inspect
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate import domain
from tidegate.domain import TERMINAL_PHASES, Finding, Label, Phase, Prediction, Record, Release, agree

RECORDS = [
    item
    for _, item in inspect.getmembers(domain, inspect.isclass)
    if issubclass(item, Record) and item != Record
]
RELEASE = Release(1, "b1", "e", "first", 1.5)
PREDICTION = Prediction("r", 1.5, "u", "e", "b", "canary", (0.5, 1.0), None, (), 0.25, 503)
law = settings(max_examples=100, deadline=None, derandomize=True)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_record_is_frozen_and_refuses_unknown_fields(record: type[Record]) -> None:
    assert record.__struct_config__.frozen
    with pytest.raises(msgspec.ValidationError, match="unknown field `surprise`"):
        msgspec.convert({"surprise": 1}, record)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        RELEASE.number = 2  # type: ignore[misc]


def test_a_record_survives_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(RELEASE), type=Release) == RELEASE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cause": "whim"}, "Invalid enum value 'whim'"),
        ({"number": "1"}, "Expected `int`, got `str`"),
        ({"at": None}, "Expected `float`, got `null`"),
    ],
)
def test_a_value_of_another_kind_is_an_error(change: dict[str, object], message: str) -> None:
    found = {**msgspec.to_builtins(RELEASE), **change}
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(found, Release)


def test_a_finding_is_exact_unless_it_says_otherwise() -> None:
    assert Finding("not_worse", "pass", 0.0, -0.1, 0.1, 100, None, "close").guarantee == "exact"


def test_the_terminal_phases_are_phases() -> None:
    assert set(get_args(Phase)) > TERMINAL_PHASES == {"promoted", "rolled_back"}


@pytest.mark.parametrize("row", [PREDICTION, Label("r", 1.5, "three")])
def test_a_logged_row_is_an_array_without_names(row: Prediction | Label) -> None:
    data = msgspec.msgpack.encode(row)
    assert msgspec.msgpack.decode(data) == [
        list(value) if isinstance(value, tuple) else value for value in msgspec.structs.astuple(row)
    ]
    assert msgspec.msgpack.decode(data, type=type(row)) == row


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (3, 3.0, True),
        (3, "3", True),
        (3.0, "3", True),
        (-0.0, 0, True),
        (1e22, 10**22, True),
        ("three", "three", True),
        ("three", "Three", False),
        (3, 4, False),
        (3.5, "3.5", True),
        (3.5, 3, False),
        ("", 0, False),
        (float("inf"), "inf", True),
    ],
)
def test_two_answers_agree_when_they_name_the_same_class(
    one: str | float, other: str | float, same: bool
) -> None:
    assert agree(one, other) is same
    assert agree(other, one) is same


@law
@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_agrees_with_itself_in_every_spelling(number: int) -> None:
    spellings = [number, float(number), str(number)]
    assert all(agree(one, other) for one in spellings for other in spellings)
    assert not any(agree(one, number + 1) for one in spellings)


answers = st.one_of(st.text(max_size=3), st.integers(-9, 9), st.floats(-9, 9))


@law
@given(answers, answers)
def test_agreement_is_mutual(one: str | float, other: str | float) -> None:
    assert agree(one, one)
    assert agree(one, other) == agree(other, one)

"""Errors: one line for a person, one object for a program, one exit code for a script."""

import pytest

from tidegate import errors
from tidegate.errors import (
    ConflictError,
    CorruptError,
    NotFoundError,
    TidegateError,
    UnavailableError,
    UsageError,
    did_you_mean,
    missing_extra,
)

CLASSES = [
    (TidegateError, "error", 1),
    (UsageError, "usage", 2),
    (NotFoundError, "not_found", 1),
    (ConflictError, "conflict", 1),
    (UnavailableError, "unavailable", 1),
    (CorruptError, "corrupt", 6),
]


@pytest.mark.parametrize(("error_class", "kind", "exit_code"), CLASSES)
def test_every_error_has_a_kind_an_exit_code_and_a_form(
    error_class: type[TidegateError], kind: str, exit_code: int
) -> None:
    error = error_class("dvc.yaml:3:1", "found a tab, expected spaces", hint="sed -i 's/\\t/  /'")
    assert isinstance(error, TidegateError)
    assert (error.kind, error.exit_code) == (kind, exit_code)
    assert str(error) == "dvc.yaml:3:1: found a tab, expected spaces"
    assert error.as_dict() == {
        "kind": kind,
        "where": "dvc.yaml:3:1",
        "message": "found a tab, expected spaces",
        "hint": "sed -i 's/\\t/  /'",
    }


def test_the_list_of_classes_is_complete() -> None:
    found = {item for item in vars(errors).values() if isinstance(item, type)}
    assert {item for item in found if issubclass(item, TidegateError)} == {item for item, _, _ in CLASSES}
    assert len({kind for _, kind, _ in CLASSES}) == len(CLASSES)


def test_verdicts_have_exit_codes_that_no_error_has() -> None:
    verdicts = {errors.BLOCKED, errors.UNDECIDED, errors.ALERTING}
    assert verdicts == {3, 4, 5}
    assert verdicts.isdisjoint(code for _, _, code in CLASSES)


def test_without_a_place_the_line_is_the_message_and_without_a_hint_it_is_empty() -> None:
    error = UsageError("", "found nothing")
    assert str(error) == "found nothing"
    assert error.as_dict() == {"kind": "usage", "where": "", "message": "found nothing", "hint": ""}


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("non_inferio", ["non_inferior", "min"], ", did you mean `non_inferior`?"),
        ("nubmer", ("number", "integer"), ", did you mean `number`?"),
        ("stage1", iter(["stage2", "stage1x"]), ", did you mean `stage1x`?"),
        ("completely", ["other"], ""),
        ("", ["min"], ""),
        ("min", [], ""),
    ],
)
def test_the_nearest_name_is_offered_only_when_one_is_near(
    name: str, known: list[str], expected: str
) -> None:
    assert did_you_mean(name, known) == expected


def test_a_missing_extra_says_what_to_install() -> None:
    error = missing_extra("serve", "local")
    assert str(error) == "serve: needs packages of the `local` extra"
    assert error.hint == "pip install 'tidegate[local]'"
    assert error.exit_code == 1

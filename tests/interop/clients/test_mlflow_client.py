"""MLflow's own scoring client: every form in which it sends tables and tensors is answered."""

from typing import Any

import pytest

from tidegate import __version__


@pytest.fixture(scope="module")
def told(ask, digits, people, empty) -> dict[str, Any]:
    """Everything that the client was told."""
    return ask("mlflow", "ask_mlflow.py", digits.http, people.http, empty.http)


@pytest.mark.parametrize(
    "form",
    [
        *("table", "shuffled", "unnamed", "indexed", "array", "list"),
        *("records", "split", "instances", "named"),
    ],
)
def test_every_form_is_answered(told, form: str) -> None:
    assert told["digits"][form] == ["c", "a", "b"]


def test_the_reply_is_a_table_to_pandas(told) -> None:
    assert told["digits"]["frame"] == {"0": ["c", "a", "b"]}


def test_text_booleans_and_a_missing_number_are_taken_from_a_table(told) -> None:
    assert told["people"] == [1045.5, 13.0, 2.25]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("nan", "dataframe_split.data[0].b: is null, expected a value"),
        ("unknown", "dataframe_split.data[0].alpha: unknown column, expected only declared ones"),
        ("text", "dataframe_split.data[0].b: is 'x', expected a number"),
        ("parameters", "params: this model takes no parameters"),
    ],
)
def test_a_refusal_reaches_the_client_with_its_sentence(told, form: str, message: str) -> None:
    assert told["digits"][form]["error"].startswith("Invocation failed (error code 400")
    assert message in told["digits"][form]["error"]


def test_the_client_waits_until_the_server_is_ready_and_asks_its_version(told) -> None:
    assert told["digits"]["version"] == __version__
    assert told["empty"] == {"error": "ping failed (error code 503)"}

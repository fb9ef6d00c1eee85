"""NVIDIA's clients, over HTTP and gRPC, waiting, asynchronous and streaming: the numbers and the sentences agree."""

from typing import Any

import numpy as np
import pytest

from tidegate import __version__

BOTH = pytest.mark.parametrize("way", ["http", "grpc"])
ROWS = np.array([[0.5, -1.25, 3.0], [9.0, 0.125, 2.0], [1 / 3, 7.0, -0.0]])
HALVES = (ROWS.astype("float32") / 2).tolist()
PREDICTIONS = {"dtype": "object", "shape": [3], "values": ["c", "a", "b"]}
SCORES = {"dtype": "float32", "shape": [3, 3], "values": HALVES}
ALL = {"predictions": PREDICTIONS, "scores": SCORES}
TAKES = [{"name": "input", "datatype": "FP32", "shape": [-1, 3]}]
INTEGERS = [f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]


@pytest.fixture(scope="module")
def told(ask, digits, people, empty) -> dict[str, Any]:
    """Everything that the clients were told."""
    addresses = [address for served in (digits, people, empty) for address in served[:2]]
    return ask("triton", "ask_triton.py", *addresses)


@BOTH
def test_the_server_and_its_versions_are_live_and_ready(told, way: str) -> None:
    assert told[way]["health"] == {
        "live": True,
        "ready": True,
        "model": True,
        "version": True,
        "unknown_version": False,
        "unknown_model": False,
    }


@BOTH
def test_while_nothing_is_live_the_server_is_live_but_not_ready(told, way: str) -> None:
    assert told[way]["empty"][:3] == [True, False, False]


@BOTH
def test_the_metadata_are_read(told, way: str) -> None:
    found = told[way]["described"]
    extensions = ["binary_tensor_data", "model_repository"]
    assert found["server"] == {"name": "tidegate", "version": __version__, "extensions": extensions}
    assert (found["model"]["name"], found["model"]["versions"]) == ("digits", ["3", "4"])
    assert [_sized(one) for one in found["model"]["inputs"]] == TAKES
    assert [one["name"] for one in found["model"]["outputs"]] == ["predictions", "scores"]
    assert [_sized(one) for one in found["pinned"]["inputs"]] == [{**TAKES[0], "datatype": "FP64"}]
    assert [one["datatype"] for one in found["pinned"]["outputs"]] == ["INT64"]


def _sized(tensor: dict[str, Any]) -> dict[str, Any]:
    """A tensor's metadata; protobuf writes whole numbers as text."""
    return {**tensor, "shape": [int(size) for size in tensor["shape"]]}


@BOTH
def test_the_repository_can_be_read_and_not_steered(told, way: str) -> None:
    found = told[way]["described"]
    index = found["index"]["models"] if way == "grpc" else found["index"]
    assert [(one["version"], one["state"]) for one in index] == [
        ("4", "READY"),
        ("3", "READY"),
        ("2", "UNAVAILABLE"),
    ]
    assert found["load"] is None
    assert found["load_unknown"]["error"] == "no model `dogs`, this endpoint serves `digits`"
    assert found["load_changed"]["error"].startswith("parameters: is not supported")
    assert found["unload"]["error"].startswith("model `digits` is live")


@BOTH
@pytest.mark.parametrize("question", ["config", "statistics"])
def test_what_is_not_offered_is_said_to_be_unknown(told, way: str, question: str) -> None:
    assert told[way]["described"][question]["status"] in ("404", "StatusCode.UNIMPLEMENTED")


@pytest.mark.parametrize("question", ["shared_memory", "trace", "log"])
def test_what_only_triton_has_is_unimplemented(told, question: str) -> None:
    assert told["grpc"][question]["status"] == "StatusCode.UNIMPLEMENTED"


@BOTH
def test_the_numbers_agree_in_binary(told, way: str) -> None:
    expected = {"outputs": ALL, "model": "digits", "version": "3", "id": "t-1"}
    assert told[way]["binary"] == expected


def test_the_numbers_agree_in_json(told) -> None:
    assert told["http"]["json"] == {"outputs": ALL, "model": "digits", "version": "3", "id": "t-2"}


def test_each_output_comes_as_it_was_asked_for_and_in_that_order(told) -> None:
    assert list(told["http"]["mixed"]["outputs"].items()) == [
        ("scores", SCORES),
        ("predictions", PREDICTIONS),
    ]


@BOTH
def test_only_the_outputs_that_were_asked_for_come(told, way: str) -> None:
    assert told[way]["one"]["outputs"] == {"scores": SCORES}


@BOTH
def test_a_version_is_asked_by_its_number(told, way: str) -> None:
    counted = {"predictions": {"dtype": "int64", "shape": [3], "values": [2, 0, 1]}}
    assert (told[way]["pinned"]["outputs"], told[way]["pinned"]["version"]) == (counted, "4")


@BOTH
@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64", "BOOL", *INTEGERS])
def test_numbers_of_every_type_are_taken(told, way: str, datatype: str) -> None:
    found = told[way]["datatypes"][datatype]["outputs"]
    assert (found["predictions"]["values"], found["scores"]["values"]) == (["b"], [[0.0, 0.5, 0.0]])


@pytest.mark.parametrize(("way", "question"), [("http", "gzip"), ("http", "deflate"), ("grpc", "gzip")])
def test_packed_requests_and_replies_are_the_same(told, way: str, question: str) -> None:
    assert told[way][question]["outputs"]["scores"]["values"] == HALVES * 30


@pytest.mark.parametrize("question", ["http", "json", "grpc"])
def test_text_missing_numbers_and_booleans_are_a_tensor_each(told, question: str) -> None:
    way = told["grpc"] if question == "grpc" else told["http"]
    found = way["people_json" if question == "json" else "people"]
    assert found["outputs"] == {
        "predictions": {"dtype": "float64", "shape": [3], "values": [1045.5, 13.0, 2.25]}
    }


@BOTH
@pytest.mark.parametrize(
    ("question", "status", "message"),
    [
        ("columns", "400", "inputs[0].shape: [3, 2], expected [1 to 100, 3]"),
        ("unknown_version", "404", "model `digits` has no version `9` here"),
        (
            "unknown_output",
            "400",
            "outputs[0].name: unknown output `labels`, expected predictions or scores",
        ),
        (
            "classification",
            "400",
            "outputs[0].parameters.classification: is not supported, ask for predictions and scores",
        ),
        ("nan", "400", "inputs[0].data row 0.b: is null, expected a value"),
        ("infinity", "400", "inputs[0].data row 0.b: is inf, expected a finite number"),
        ("too_many", "400", "inputs[0].shape: [120, 3], expected [1 to 100, 3]"),
        ("no_scores", "400", "outputs[0].name: unknown output `scores`, expected predictions"),
    ],
)
def test_a_refusal_reaches_the_client_with_its_sentence(told, way: str, question, status, message) -> None:
    code = {"400": "StatusCode.INVALID_ARGUMENT", "404": "StatusCode.NOT_FOUND"}[status]
    assert told[way][question] == {"error": message, "status": code if way == "grpc" else status}


def test_nan_is_no_json(told) -> None:
    assert told["http"]["nan_json"]["error"].startswith("body: not JSON, invalid character")


@BOTH
def test_a_sequence_is_refused_and_a_priority_does_no_harm(told, way: str) -> None:
    assert told[way]["sequence"]["error"].endswith("is not supported, requests here are independent")
    assert told[way]["priority"]["outputs"] == ALL


def test_the_request_id_may_come_in_the_metadata(told) -> None:
    assert told["grpc"]["headers"]["id"] == "from-metadata"


def test_a_stream_answers_in_order_and_a_bad_request_does_not_end_it(told) -> None:
    found = told["grpc"]["stream"]
    assert [one.get("id") for one in found] == ["s-0", "s-1", None, "s-3", "s-4"]
    assert [one["outputs"]["predictions"]["values"] for one in found if "id" in one] == [
        ["c"],
        ["a"],
        ["c"],
        ["a"],
    ]
    assert all(one["final"] for one in found if "id" in one)
    assert found[2] == {"error": "inputs[0].shape: [1, 2], expected [1 to 100, 3]"}


@BOTH
def test_of_many_at_once_each_gets_its_own_answer(told, way: str) -> None:
    found = told["async"][way]
    assert [one["id"] for one in found] == [f"a-{i}" for i in range(40)]
    assert [one["outputs"]["scores"]["values"] for one in found] == [
        [[i / 2, -i / 2, i / 4]] for i in range(40)
    ]


def test_the_asynchronous_stream_and_the_threads_of_the_http_client_agree_too(told) -> None:
    for found in (told["async"]["stream"], told["http"]["async"]):
        assert [one["outputs"]["scores"]["values"] for one in found] == [[row] for row in HALVES]

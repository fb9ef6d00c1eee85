"""KServe's and MLServer's clients and records, and the protocol's own schemas: all find what they expect."""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest

from tidegate import __version__

BOTH = pytest.mark.parametrize("way", ["http", "grpc"])
ROWS = np.array([[0.5, -1.25, 3.0], [9.0, 0.125, 2.0], [1 / 3, 7.0, -0.0]], dtype="float32")
HALVES = (ROWS / 2).tolist()
COLUMNS = "inputs[0].shape: [3, 2], expected [1 to 100, 3]"
UNKNOWN = "no model `dogs`, this endpoint serves `digits`"
SCORES = ["FP32", [3, 3], HALVES]
PINNED = {
    "name": "digits",
    "versions": ["3", "4"],
    "platform": "onnx_onnxv1",
    "inputs": [{"name": "input", "datatype": "FP64", "shape": [-1, 3]}],
    "outputs": [{"name": "predictions", "datatype": "INT64", "shape": [-1]}],
}


@pytest.fixture(scope="module")
def kserve(ask, digits, people, empty) -> dict[str, Any]:
    addresses = [address for served in (digits, people, empty) for address in served[:2]]
    return ask("kserve", "ask_kserve.py", *addresses)


@pytest.fixture(scope="module")
def mlserver(ask, digits, people) -> dict[str, Any]:
    return ask("mlserver", "ask_mlserver.py", *digits[:2], *people[:2])


@BOTH
def test_kserve_sees_the_server_and_its_model_ready(kserve, way: str) -> None:
    assert (kserve[way]["health"], kserve[way]["model"]) == ([True, True], [True, False])


def test_kserve_sees_that_nothing_is_live(kserve) -> None:
    assert kserve["http"]["empty"]["status"] == 503
    assert kserve["grpc"]["empty"] == [True, False]


@BOTH
@pytest.mark.parametrize("question", ["plain", "binary"])
def test_kserve_reads_the_numbers(kserve, way: str, question: str) -> None:
    plain = {"http": "json", "grpc": "typed"}[way]
    found = kserve[way][plain if question == "plain" else question]
    assert (found["model"], found["id"], found["outputs"]["scores"]) == ("digits", "k-1", SCORES)
    # KServe's records leave the bytes of gRPC as they are
    names = ["c", "a", "b"] if way == "http" else ["b'c'", "b'a'", "b'b'"]
    assert found["outputs"]["predictions"] == ["BYTES", [3], names]


def test_kserve_gets_the_outputs_it_asks_for_and_may_send_half_precision(kserve) -> None:
    assert kserve["http"]["one"]["outputs"] == {"scores": SCORES}
    halves = (ROWS.astype("float16").astype("float64") / 2).tolist()
    assert kserve["http"]["half"]["outputs"]["scores"] == ["FP32", [3, 3], halves]


@pytest.mark.parametrize(
    ("way", "question"), [("http", "people"), ("http", "people_json"), ("grpc", "people")]
)
def test_kserve_sends_a_tensor_for_each_feature(kserve, way: str, question: str) -> None:
    assert kserve[way][question]["outputs"] == {"predictions": ["FP64", [3], [1045.5, 13.0, 2.25]]}


def test_kserve_is_told_what_is_wrong(kserve) -> None:
    assert kserve["http"]["columns"]["error"].startswith(COLUMNS)
    assert kserve["grpc"]["unknown"] == {"error": UNKNOWN, "status": "NOT_FOUND"}


def test_kserves_layout_of_the_repository_is_understood(kserve) -> None:
    found = kserve["grpc"]["repository"]
    assert found["load"] == ["digits", True]
    assert found["unload"]["status"] == "INVALID_ARGUMENT"
    assert found["unknown"] == {"error": UNKNOWN, "status": "NOT_FOUND"}


def test_mlservers_records_hold_every_reply(mlserver) -> None:
    found = mlserver["replies"]
    assert found["server"][1]["version"] == __version__
    assert found["version"] == [200, PINNED]
    assert found["unknown"] == found["load_unknown"] == [404, {"error": UNKNOWN}]
    assert found["unknown_version"] == [404, {"error": "model `digits` has no version `9` here"}]
    assert [one["state"] for one in found["index"][1]] == ["READY", "READY", "UNAVAILABLE"]
    assert found["unload"][0] == 400


def test_mlserver_reads_the_numbers(mlserver) -> None:
    answer = ["m-1", "3", {"predictions": ["c", "a", "b"], "scores": HALVES}]
    assert mlserver["digits"] == [200, *answer]
    assert mlserver["grpc"]["typed"] == mlserver["grpc"]["raw"] == answer
    assert mlserver["people"][-1] == mlserver["grpc"]["people"][-1] == {"predictions": [1045.5, 15.25]}


def test_mlserver_is_told_what_is_wrong(mlserver) -> None:
    assert mlserver["columns"] == [400, COLUMNS]
    assert mlserver["grpc"]["columns"] == ["INVALID_ARGUMENT", COLUMNS]


def test_mlserver_reads_what_is_served_over_grpc(mlserver) -> None:
    assert mlserver["grpc"]["live"]
    assert mlserver["grpc"]["model"] == PINNED
    assert mlserver["grpc"]["index"] == [["4", "READY"], ["3", "READY"]]


@pytest.mark.parametrize("options", [[], ["--batch-size", "2"], ["--binary-data", "--batch-size", "2"]])
def test_mlservers_command_line_infers_a_file(tool, digits, tmp_path: Path, options: list[str]) -> None:
    rows = [ROWS[:2], ROWS[2:], ROWS[:1, :2]]
    asked, told = tmp_path / "asked.jsonl", tmp_path / "told.jsonl"
    asked.write_text("".join(_line(f"f-{i}", part) for i, part in enumerate(rows)))
    files = ["--input-data-path", str(asked), "--output-data-path", str(told)]
    call = [str(tool("mlserver", "mlserver")), "infer", "--url", digits.http, "--model-name", "digits"]
    done = subprocess.run(
        [*call, *files, "--retries", "1", *options], check=False, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()
    found = {one["parameters"]["batch_index"]: one for one in map(json.loads, told.read_text().splitlines())}
    scores = [one["data"] for i in (0, 1) for one in found[i]["outputs"] if one["name"] == "scores"]
    assert [cell for part in scores for cell in part] == [cell for row in HALVES for cell in row]
    assert found[2]["error"]["msg"] == "inputs[0].shape: [1, 2], expected [1 to 100, 3]"


def _line(name: str, rows: np.ndarray) -> str:
    tensor = {"name": "input", "shape": rows.shape, "datatype": "FP32", "data": rows.ravel().tolist()}
    return json.dumps({"id": name, "inputs": [tensor]}) + "\n"


@pytest.fixture(scope="module")
def documents(tool) -> dict[str, Any]:
    """The protocol's OpenAPI documents, as MLServer ships them."""
    root = tool("mlserver", "python").parents[1]
    names = ("dataplane.json", "model_repository.json")
    found = [next(root.glob(f"lib/*/site-packages/mlserver/rest/openapi/{name}")) for name in names]
    return {name: json.loads(path.read_text()) for name, path in zip(names, found, strict=True)}


INFER = json.loads(_line("d-1", ROWS))
SPOILED = json.loads(_line("d-1", ROWS[:, :2]))


@pytest.mark.parametrize(
    ("document", "method", "template", "body"),
    [
        ("dataplane.json", "get", "/v2/health/live", None),
        ("dataplane.json", "get", "/v2/health/ready", None),
        ("dataplane.json", "get", "/v2", None),
        ("dataplane.json", "get", "/v2/models/{model_name}", None),
        ("dataplane.json", "get", "/v2/models/{model_name}/ready", None),
        ("dataplane.json", "get", "/v2/models/{model_name}/versions/{model_version}", None),
        ("dataplane.json", "get", "/v2/models/{model_name}/versions/{model_version}/ready", None),
        ("dataplane.json", "post", "/v2/models/{model_name}/infer", INFER),
        ("dataplane.json", "post", "/v2/models/{model_name}/infer", SPOILED),
        ("dataplane.json", "post", "/v2/models/{model_name}/versions/{model_version}/infer", INFER),
        ("model_repository.json", "post", "/v2/repository/index", {}),
        ("model_repository.json", "post", "/v2/repository/index", {"ready": True}),
        ("model_repository.json", "post", "/v2/repository/models/{model_name}/load", None),
        ("model_repository.json", "post", "/v2/repository/models/{model_name}/unload", None),
    ],
)
@pytest.mark.parametrize("model", ["digits", "dogs"])
def test_every_reply_keeps_to_the_protocols_schema(
    digits, documents, document: str, method: str, template: str, body: object, model: str
) -> None:
    path = template.format(model_name=model, model_version="3")
    reply = httpx.request(method, f"http://{digits.http}{path}", json=body)
    responses = documents[document]["paths"][template][method]["responses"]
    is_missing = model == "dogs" and "{model_name}" in template
    assert reply.status_code == (404 if is_missing else 400 if body is SPOILED else reply.status_code)
    assert reply.status_code < 500
    content = responses.get(str(reply.status_code), {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {"type": "object"})
    jsonschema.validate(reply.json(), {**schema, "components": _checkable(documents[document])})


def _checkable(document: dict[str, Any]) -> dict[str, Any]:
    """The schemas, of which MLServer's names a type of tensor data that JSON does not have."""
    components: dict[str, Any] = document["components"]
    data = {"TensorData": {"type": "array"}} if "TensorData" in components["schemas"] else {}
    return {**components, "schemas": {**components["schemas"], **data}}

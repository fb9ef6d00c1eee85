"""NVIDIA's client of the Open Inference Protocol, over a socket, against the gateway's HTTP front."""

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
import uvicorn

from tidegate import __version__
from tidegate.data.contract import Column, Contract
from tidegate.domain import Prediction, TensorSpec
from tidegate.project import Serve
from tidegate.serve.asgi import Asgi
from tidegate.serve.engine import Engine
from tidegate.serve.http import App
from tidegate.serve.record import Metrics
from tidegate.serve.route import Arm, Route
from tidegate.serve.service import Service
from tidegate.serve.shape import make_shape

COLUMNS = ("a", "b", "c")
SHAPE = make_shape(Contract("digits", tuple(Column(name, "number") for name in COLUMNS)))
ROWS = np.array([[0.5, -1.25, 3.0], [9.0, 1e-3, 2.0], [1 / 3, 7.0, -0.0]])
DATATYPES = {"FP32": "float32", "FP64": "float64"}


class Largest:
    """Answers the name of the largest cell; the scores are the cells halved, in single precision."""

    def __init__(self, digest: str, datatype: str) -> None:
        self.digest = digest
        self.columns = COLUMNS
        self.inputs = (TensorSpec("input", datatype, (-1, 3)),)
        self.outputs = (TensorSpec("predictions", "BYTES", (-1,)), TensorSpec("scores", "FP32", (-1, 3)))
        self.platform = "onnx_onnxv1"
        self.is_remote = False

    def predict(self, rows: np.ndarray) -> tuple[list[str], np.ndarray]:
        return [COLUMNS[i] for i in rows.argmax(axis=1)], (rows / 2).astype("float32")


class Counting(Largest):
    """Answers the place of the largest cell as a number and gives no scores."""

    def __init__(self, digest: str, datatype: str) -> None:
        super().__init__(digest, datatype)
        self.outputs = (TensorSpec("predictions", "INT64", (-1,)),)

    def predict(self, rows: np.ndarray) -> tuple[list[int], np.ndarray]:
        return rows.argmax(axis=1).tolist(), rows[:, :0]


@pytest.fixture
def logged() -> list[Prediction]:
    return []


@pytest.fixture
def engine(logged) -> Iterator[Engine]:
    """Version 3 is stable and takes FP32, version 4 the canary and takes FP64."""
    made = Engine(logged.extend)
    canary = Arm(Counting("c", "FP64"), "canary", 4, 7)
    made.route = Route("digits", Arm(Largest("s", "FP32"), "stable", 3, 7), canary, 0.0, "r1")
    yield made
    made.close()


@pytest.fixture
def address(engine) -> Iterator[str]:
    """Host and port of a server of this process, which ends with the test."""
    service = Service(engine, lambda labels: None, Serve(), Metrics())
    service.shapes = dict.fromkeys(("s", "c"), SHAPE)
    app = Asgi(App(service), limit=8_000_000)
    settings = uvicorn.Config(app, loop="asyncio", lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(settings)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def client(address):
    with triton.InferenceServerClient(address, connection_timeout=5, network_timeout=5) as opened:
        yield opened


@pytest.fixture
def infer(client):
    """`infer(rows, outputs, datatype=...)` with JSON tensors both ways."""

    def run(rows, outputs=("predictions", "scores"), *, datatype="FP32", **options):
        tensor = triton.InferInput("input", list(rows.shape), datatype)
        tensor.set_data_from_numpy(rows.astype(DATATYPES[datatype]), binary_data=False)
        asked = [triton.InferRequestedOutput(name, binary_data=False) for name in outputs]
        return client.infer("digits", [tensor], outputs=asked, **options)

    return run


def test_the_server_is_live_and_ready(client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    assert client.is_model_ready("digits", model_version="4")
    assert not client.is_model_ready("digits", model_version="5")
    assert not client.is_model_ready("dogs")


def test_while_nothing_is_live_the_server_is_live_but_not_ready(client, engine) -> None:
    engine.route = None
    assert client.is_server_live()
    assert not client.is_server_ready()
    assert not client.is_model_ready("digits")


def test_the_metadata_are_read(client) -> None:
    assert client.get_server_metadata() == {"name": "tidegate", "version": __version__, "extensions": []}
    found = client.get_model_metadata("digits")
    assert (found["name"], found["versions"]) == ("digits", ["3", "4"])
    assert found["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 3]}]
    assert [output["name"] for output in found["outputs"]] == ["predictions", "scores"]
    pinned = client.get_model_metadata("digits", model_version="4")
    assert pinned["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 3]}]
    assert [one["outputs"][0]["datatype"] for one in (found, pinned)] == ["BYTES", "INT64"]


def test_the_numbers_agree(infer, logged) -> None:
    found = infer(ROWS, request_id="t-1")
    assert found.as_numpy("predictions").tolist() == ["c", "a", "b"]
    scores = found.as_numpy("scores")
    assert (scores.dtype, scores.shape) == (np.dtype("float32"), (3, 3))
    assert scores.tolist() == (ROWS.astype("float32") / 2).tolist()
    assert [row.inputs for row in logged] == [tuple(row) for row in ROWS.astype("float32").tolist()]
    assert [row.request for row in logged] == ["t-1.0", "t-1.1", "t-1.2"]
    head = found.get_response()
    assert (head["model_name"], head["model_version"], head["id"]) == ("digits", "3", "t-1")


def test_only_the_outputs_that_were_asked_for_come(infer) -> None:
    found = infer(ROWS, ["scores"])
    assert found.as_numpy("predictions") is None
    assert found.as_numpy("scores").shape == (3, 3)


def test_a_version_is_asked_by_its_number(infer, logged) -> None:
    found = infer(ROWS, datatype="FP64", model_version="4", headers={"x-user": "ann"})
    predictions = found.as_numpy("predictions")
    assert (predictions.dtype, predictions.tolist()) == (np.dtype("int64"), [2, 0, 1])
    assert found.get_response()["model_version"] == "4"
    assert {(row.role, row.unit) for row in logged} == {("canary", "")}
    assert [row.inputs for row in logged] == [tuple(row) for row in ROWS.tolist()]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (3, {"datatype": "FP64"}, "inputs[0].datatype: `FP64`, the model takes FP32"),
        (2, {}, "inputs[0].shape: [3, 2], expected [1 to 1024, 3]"),
        (3, {"model_version": "9"}, "model `digits` has no version `9` here"),
        (
            3,
            {"outputs": ["labels"]},
            "outputs[0].name: unknown output `labels`, expected predictions or scores",
        ),
    ],
)
def test_a_refusal_reaches_the_client_with_its_sentence(infer, columns: int, options, message) -> None:
    with pytest.raises(triton.InferenceServerException) as caught:
        infer(ROWS[:, :columns], **options)
    assert caught.value.message() == message


def test_a_binary_tensor_is_refused(client) -> None:
    tensor = triton.InferInput("input", [3, 3], "FP32")
    tensor.set_data_from_numpy(ROWS.astype("float32"), binary_data=True)
    with pytest.raises(triton.InferenceServerException) as caught:
        client.infer("digits", [tensor])
    assert caught.value.message() == "binary tensors are not offered, send JSON data"

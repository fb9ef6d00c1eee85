"""Bundles small enough to pack in milliseconds, around ONNX models of one layer."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tidegate.data.contract import Column, Contract, render_contract
from tidegate.project import Runtime, Seconds
from tidegate.registry.load import Bundle, open_bundle
from tidegate.registry.pack import pack
from tidegate.registry.runtime.remote import Remote, Source
from tidegate.registry.runtime.wire import Feature

NAMES = ("cat", "dog", "eel")
# a predictor of two features: what it answers, and what else it does when it is loaded or asked
PREDICTOR = """
import os, resource, signal, socket, sys, time
from pathlib import Path
import numpy as np
from tidegate import Predictor

class Own(Predictor):
    def load(self, folder):
        LOAD

    def predict(self, rows):
        a = rows["a"]
        PREDICT
"""


def make_model(datatype: str = "FLOAT", width: int | str = 2, **changed: object) -> bytes:
    """An ONNX classifier of three classes over two columns.

    `answers` is the type of its answers, `keepdims` gives them a second dimension, `shift` is added to each
    class, `scores` says whether it gives probabilities too, `dims` how many dimensions its input has.
    """
    from onnx import TensorProto, helper

    ask = {"answers": "INT64", "keepdims": 0, "shift": 0, "scores": True, "dims": 2, **changed}
    given, answers = getattr(TensorProto, datatype), getattr(TensorProto, str(ask["answers"]))
    shape = [None, width, *[1] * (int(str(ask["dims"])) - 2)]
    nodes = [
        helper.make_node("Cast", ["input"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["class"], axis=1, keepdims=ask["keepdims"]),
        helper.make_node("Add", ["class", "shift"], ["moved"]),
        helper.make_node("Cast", ["moved"], ["label"], to=answers),
    ]
    outputs = [helper.make_tensor_value_info("label", answers, [None] * (1 + int(str(ask["keepdims"]))))]
    if ask["scores"]:
        outputs.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 3]))
    constants = [
        helper.make_tensor("w", TensorProto.FLOAT, [2, 3], [-1.0, 0.2, 0.9, 0.8, 0.1, -1.0]),
        helper.make_tensor("shift", TensorProto.INT64, [1], [ask["shift"]]),
    ]
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("input", given, shape)], outputs, constants
    )
    return serialize(graph)


def serialize(graph: object) -> bytes:
    """The bytes of a graph's model."""
    from onnx import helper

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def make_parts(model: bytes = b"weights", labels: Sequence[str] = (), columns: int = 2) -> dict[str, bytes]:
    """The parts that a model is loaded from."""
    contract = Contract("small", tuple(Column(f"x{n}", "number") for n in range(columns)))
    return {
        "model.onnx": model,
        "contract.odcs.yaml": render_contract(contract).encode(),
        "labels.json": json.dumps(list(labels)).encode(),
    }


@pytest.fixture
def model() -> Callable[..., bytes]:
    return make_model


@pytest.fixture
def onnx_bytes() -> Callable[..., bytes]:
    return serialize


@pytest.fixture
def parts() -> Callable[..., dict[str, bytes]]:
    return make_parts


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return tmp_path / "bundles"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def packed(bundles: Path, keys: Path) -> Callable[..., Bundle]:
    """Pack the parts of a model and open them again."""

    def make(*given: object, **named: object) -> Bundle:
        digest = pack(bundles, keys, make_parts(*given, **named), name="small")
        return open_bundle(bundles, digest, keys=keys, require=True)

    return make


@pytest.fixture
def packed_with(bundles: Path, keys: Path) -> Callable[..., Bundle]:
    """Pack files beside a contract of one's own, and open them again."""

    def make(contract: Contract, files: dict[str, bytes], labels: Sequence[str] = ()) -> Bundle:
        own = {"contract.odcs.yaml": render_contract(contract).encode()}
        labeled = {"labels.json": json.dumps(list(labels)).encode()}
        digest = pack(bundles, keys, {**own, **labeled, **files}, name="small")
        return open_bundle(bundles, digest, keys=keys, require=True)

    return make


@pytest.fixture
def at_once() -> Callable[..., set[str]]:
    """`at_once(program, root)` runs four processes that start their work together; what they say."""

    def run(program: str, root: Path) -> set[str]:
        command = [sys.executable, "-c", program, str(root)]
        children = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        for child in children:
            assert child.stdout
            assert child.stdout.readline() == "up\n"
        for child in children:
            assert child.stdin
            child.stdin.write("\n")
            child.stdin.flush()
        said = {child.communicate()[0].strip() for child in children}
        assert [child.returncode for child in children] == [0] * len(children)
        return said

    return run


def make_source(predict: str, load: str = "pass") -> Source:
    """A predictor whose methods have these bodies, as a process loads it."""
    text = PREDICTOR.replace("LOAD", load).replace("PREDICT", predict)
    features = (Feature("a", 0, 1, (), False), Feature("b", 1, 1, (), False))
    return Source("predictor", {"predictor.py": text.encode(), "artifacts/x": b"1"}, "Own", features)


@pytest.fixture
def source() -> Callable[..., Source]:
    return make_source


@pytest.fixture
def start() -> Iterator[Callable[..., Remote]]:
    """Start a predictor whose methods have these bodies; all end with the test."""
    started: list[Remote] = []

    def make(predict: str, load: str = "pass", settings: Runtime | None = None) -> Remote:
        started.append(Remote(make_source(predict, load), settings or Runtime(timeout=Seconds(20))))
        return started[-1]

    yield make
    for one in started:
        one.close()

"""CPU microseconds of one prediction inside the gateway, next to the bare parsing and the bare model in it.

    python benchmarks/engine.py [--requests 2000] [--rounds 7]

A request is a `POST /predict` of one row of 64 numbers; the model is one small matrix product, so that what
is left is ours. `engine` batches, predicts and logs to a file; `gateway` is the whole application from the
request's bytes to the reply's, without a socket. CPU is user plus system time of the process, the lowest of
the rounds; the steps take turns.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from tidegate.data.contract.rules import Check, Column, Contract, Range
from tidegate.domain import TensorSpec
from tidegate.project import Serve
from tidegate.serve.engine import Engine
from tidegate.serve.http import App
from tidegate.serve.job import Ask
from tidegate.serve.parse import parse_predict
from tidegate.serve.record import Metrics
from tidegate.serve.reply import render_head
from tidegate.serve.request import Request
from tidegate.serve.route import Arm, Route
from tidegate.serve.service import Service
from tidegate.serve.shape import make_shape
from tidegate.store.predictions import PredictionLog

COLUMNS = tuple(f"pixel_{i}" for i in range(64))
LIMITS = (Check("range", Range(0, 16)),)
SHAPE = make_shape(Contract("digits", tuple(Column(name, "number", checks=LIMITS) for name in COLUMNS)))
ROW = np.arange(64.0) / 8
BODY = json.dumps({"row": ROW.tolist()}).encode()
AT_ONCE = 32
HEADERS = {b"content-length": str(len(BODY)).encode(), b"x-user": b"ann"}

Step = Callable[[], Awaitable[None]]


class Linear:
    """Ten classes by one matrix product."""

    def __init__(self) -> None:
        self.digest = "b" * 64
        self.columns = COLUMNS
        self.inputs = (TensorSpec("input", "FP64", (-1, 64)),)
        self.outputs = (TensorSpec("predictions", "INT64", (-1,)), TensorSpec("scores", "FP32", (-1, 10)))
        self.platform = "onnx_onnxv1"
        self.is_remote = False
        self._weights = np.random.default_rng(0).normal(size=(64, 10))

    def predict(self, rows: np.ndarray) -> tuple[list[int], np.ndarray]:
        scores = rows @ self._weights
        return scores.argmax(axis=1).tolist(), scores

    def ask(self, rows: np.ndarray, loop: object, done: object, *, awake: bool = False) -> bool:
        """It is in this process."""
        return False


def make_steps(log: PredictionLog) -> dict[str, tuple[Step, int]]:
    """What is timed, and how many requests one call of it answers."""
    model, engine, rows = Linear(), Engine(log.write), ROW[np.newaxis]
    engine.route = Route("digits", Arm(model, "stable", 1, 1))
    service = Service(engine, log.write_labels, Serve(), Metrics())
    service.shapes = {model.digest: SHAPE}
    app = App(service)

    async def call_model() -> None:
        answers, scores = model.predict(rows)
        assert answers and scores.tolist()

    async def parse() -> None:
        parse_predict(BODY, SHAPE, max_rows=1024)

    async def check() -> None:
        assert not SHAPE.check.suspects(rows)

    async def ask_engine() -> None:
        await engine.answer(Ask("0123456789abcdef", "ann", rows, time.time()))

    async def ask_gateway() -> None:
        replied = asyncio.get_running_loop().create_future()
        app.answer(Request("POST", "/predict", HEADERS, BODY, time.time()), replied.set_result)
        reply = await replied
        assert reply.status == 200
        render_head(reply, len(reply.body), date=b"")

    async def ask_at_once() -> None:
        await asyncio.gather(*(ask_gateway() for _ in range(AT_ONCE)))

    return {
        "bare model": (call_model, 1),
        "bare parse": (parse, 1),
        "contract": (check, 1),
        "engine": (ask_engine, 1),
        "gateway": (ask_gateway, 1),
        f"gateway, {AT_ONCE} at once": (ask_at_once, AT_ONCE),
    }


async def cpu_microseconds(step: Step, calls: int) -> float:
    """User and system microseconds of one call, over `calls` in a row."""
    began = time.process_time()
    for _ in range(calls):
        await step()
    return (time.process_time() - began) * 1e6 / calls


async def measure(steps: dict[str, tuple[Step, int]], requests: int, rounds: int) -> dict[str, float]:
    """The lowest CPU microseconds a request of each step; the first round only warms up."""
    best = dict.fromkeys(steps, float("inf"))
    for number in range(rounds + 1):
        for name, (step, size) in steps.items():
            took = await cpu_microseconds(step, max(1, requests // size)) / size
            best[name] = min(best[name], took) if number else best[name]
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000, help="requests of each step in a round")
    parser.add_argument("--rounds", type=int, default=7, help="how often each step is timed")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = PredictionLog(Path(folder), "bench")
        best = asyncio.run(measure(make_steps(log), chosen.requests, chosen.rounds))
        log.close()
    bare = best["bare model"] + best["bare parse"]
    for name, microseconds in best.items():
        print(
            f"{name:<22} {microseconds:7.1f} CPU us a request  {microseconds / bare:5.1f} x model and parse"
        )


if __name__ == "__main__":
    main()

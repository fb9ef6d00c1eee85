"""A model's own process, run as `python -m tidegate.registry.runtime.child SOCKET LIFE` by the one that asks.

It loads one model, answers one request after the other, and ends when nobody is there to ask. What the model
raises, being out of memory included, fails that request alone.
"""

import os
import socket
import sys
import time
import traceback
from typing import TYPE_CHECKING, Protocol

from tidegate.errors import TidegateError
from tidegate.registry.runtime.limits import die_with, set_limits
from tidegate.registry.runtime.wire import (
    Answered,
    Array,
    Converted,
    Failed,
    Load,
    Loaded,
    Reply,
    Request,
    pack,
    receive,
    send,
    unpack_rows,
)

if TYPE_CHECKING:
    import numpy as np

MAX_LOG = 1_000_000
LOOK_S = 300e-6
FORMATS = {
    "skops": "estimator",
    "pickle": "estimator",
    "joblib": "estimator",
    "xgboost": "xgboosts",
    "lightgbm": "lightgbms",
    "predictor": "custom",
}
EXTRAS = {
    "joblib": "sklearn",
    "lightgbm": "lightgbm",
    "onnxmltools": "convert",
    "skl2onnx": "convert",
    "sklearn": "sklearn",
    "skops": "sklearn",
    "xgboost": "xgboost",
}


class Loadable(Protocol):
    """A model in this process; `versions` are those of the packages it runs on."""

    versions: dict[str, str]

    def predict(self, rows: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """One answer a row, and scores [n, classes], without any [n, 0]."""

    def convert(self, precision: str) -> bytes:
        """The same model as an ONNX file."""


def main(handle: str, life: str) -> None:
    """Answer until the other side is gone."""
    die_with(int(life))
    os.umask(0o077)
    with socket.socket(fileno=int(handle)) as connection:
        model = None
        while True:
            try:
                request = receive(connection, Request)
            except EOFError:
                return
            model, reply = _serve(request, model)
            send(connection, reply)
            _shorten_log()
            if request.awake:
                _look(connection)


def _look(connection: socket.socket) -> None:
    """Stay awake until the next question is there, or for LOOK_S."""
    until = time.perf_counter() + LOOK_S
    while time.perf_counter() < until:
        try:
            connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            # whoever else wants this processor goes first
            os.sched_yield()
            continue
        except OSError:
            # whoever receives next is told
            return
        return


def _serve(request: Request, model: Loadable | None) -> tuple[Loadable | None, Reply]:
    try:
        if request.load is not None:
            model = _load(request.load)
            return model, Reply(loaded=Loaded(model.versions))
        return model, _answer(request, model)
    except Exception as error:  # a model may raise whatever it likes, it is told and the next request served
        traceback.print_exc()
        return model, Reply(failed=Failed(describe(error)))


def _shorten_log() -> None:
    """What the model printed goes to a file that nobody empties but this."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if os.fstat(2).st_size > MAX_LOG:
        os.ftruncate(2, 0)


def _load(load: Load) -> Loadable:
    import gc
    import importlib

    set_limits(load.memory)
    module = importlib.import_module(f"tidegate.registry.runtime.{FORMATS[load.format]}")
    model: Loadable = module.load(load)
    # a model is never garbage, to look through it again and again takes longer than to ask it
    gc.collect()
    gc.freeze()
    return model


def _answer(request: Request, model: Loadable | None) -> Reply:
    if model is None:
        raise RuntimeError("no model was loaded")
    if request.convert is not None:
        return Reply(converted=Converted(model.convert(request.convert.precision)))
    if request.ask is None:
        raise RuntimeError("nothing was asked")
    answers, scores = model.predict(unpack_rows(request.ask))
    return Reply(answered=Answered(_packed(answers), pack(scores)))


def _packed(answers: "np.ndarray") -> Array | list[str]:
    """Text as it is, everything else as numbers."""
    return [str(one) for one in answers.tolist()] if answers.dtype.kind in "OUS" else pack(answers)


def describe(error: BaseException) -> str:
    """An error in one line: its kind, unless that says nothing, and what it says."""
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, TidegateError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        return f"`{error.name}` is not installed here: pip install 'tidegate[{EXTRAS[error.name]}]'"
    text = " ".join(str(error).split())[:500]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


if __name__ == "__main__":
    main(*sys.argv[1:])

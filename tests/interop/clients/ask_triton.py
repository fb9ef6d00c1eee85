"""NVIDIA's clients against a gateway: prints what each question brought, as JSON.

Usage: ask_triton.py DIGITS_HTTP DIGITS_GRPC PEOPLE_HTTP PEOPLE_GRPC EMPTY_HTTP EMPTY_GRPC
"""

import asyncio
import functools
import json
import queue
import sys

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as http
import tritonclient.http.aio as http_aio
from tritonclient.utils import InferenceServerException

ROWS = np.array([[0.5, -1.25, 3.0], [9.0, 0.125, 2.0], [1 / 3, 7.0, -0.0]])
NUMPY = {
    "FP16": "float16", "FP32": "float32", "FP64": "float64", "INT8": "int8", "INT16": "int16", "INT32": "int32",
    "INT64": "int64", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "BOOL": "bool",
}  # fmt: skip
PEOPLE = {
    "name": ("BYTES", [["Ann"], ["Jürgen"], [""]]),
    "age": ("INT64", [[41], [7], [0]]),
    "height": ("FP64", [[1.5], [float("nan")], [2.25]]),
    "member": ("BOOL", [[True], [False], [False]]),
}


def told(call):
    """What the call gives, or how it was refused."""
    try:
        return call()
    except InferenceServerException as error:
        return {"error": error.message(), "status": str(error.status())}


def tensor(library, rows, datatype, **options):
    made = library.InferInput("input", list(rows.shape), datatype)
    made.set_data_from_numpy(rows.astype(NUMPY[datatype]), **options)
    return made


def shown(result):
    """Every output of a reply with its type."""
    head = result.get_response()
    found = {}
    is_json = isinstance(head, dict)
    outputs = head["outputs"] if is_json else head.outputs
    for output in outputs:
        name = output["name"] if is_json else output.name
        values = result.as_numpy(name)
        listed = (
            [one.decode() for one in values]
            if values.dtype == object and is_text(values)
            else values.tolist()
        )
        found[name] = {"dtype": str(values.dtype), "shape": list(values.shape), "values": listed}
    named = head.get if is_json else functools.partial(getattr, head)
    return {
        "outputs": found,
        "model": named("model_name"),
        "version": named("model_version"),
        "id": named("id"),
    }


def is_text(values):
    return all(isinstance(one, bytes) for one in values.flat)


def health(client):
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model": client.is_model_ready("digits"),
        "version": client.is_model_ready("digits", "4"),
        "unknown_version": told(lambda: client.is_model_ready("digits", "5")),
        "unknown_model": told(lambda: client.is_model_ready("dogs")),
    }


def described(client, **options):
    return {
        "server": client.get_server_metadata(**options),
        "model": client.get_model_metadata("digits", **options),
        "pinned": client.get_model_metadata("digits", "4", **options),
        "index": client.get_model_repository_index(**options),
        "load": told(lambda: client.load_model("digits")),
        "load_changed": told(lambda: client.load_model("digits", config="{}")),
        "load_unknown": told(lambda: client.load_model("dogs")),
        "unload": told(lambda: client.unload_model("digits")),
        "config": told(lambda: client.get_model_config("digits")),
        "statistics": told(lambda: client.get_inference_statistics("digits")),
    }


def http_infer(client, **options):
    def infer(rows, datatype, is_binary, outputs=None, **more):
        asked = [http.InferRequestedOutput(name, binary_data=binary) for name, binary in outputs or []]
        given = [tensor(http, rows, datatype, binary_data=is_binary)]
        return told(lambda: shown(client.infer("digits", given, outputs=asked or None, **more, **options)))

    return infer


def grpc_infer(client, **options):
    def infer(rows, datatype, outputs=(), **more):
        asked = [grpc.InferRequestedOutput(name, **words) for name, words in outputs]
        given = [tensor(grpc, rows, datatype)]
        return told(lambda: shown(client.infer("digits", given, outputs=asked or None, **more, **options)))

    return infer


def ask_http(address, people, empty):
    with http.InferenceServerClient(address) as client:
        infer = http_infer(client)
        found = {
            "health": health(client),
            "described": described(client),
            "binary": infer(ROWS, "FP32", True, request_id="t-1"),
            "json": infer(ROWS, "FP32", False, [("predictions", False), ("scores", False)], request_id="t-2"),
            "mixed": infer(ROWS, "FP32", True, [("scores", True), ("predictions", False)]),
            "one": infer(ROWS, "FP32", True, [("scores", True)]),
            "pinned": infer(ROWS, "FP64", True, model_version="4"),
            "datatypes": {
                name: infer(np.array([[0, 1, 0]]), name, is_binary)
                for name in NUMPY
                for is_binary in ([True] if name == "FP16" else [True, False])
            },
            "gzip": infer(np.tile(ROWS, (30, 1)), "FP32", True, request_compression_algorithm="gzip",
                          response_compression_algorithm="gzip"),
            "deflate": infer(np.tile(ROWS, (30, 1)), "FP32", False, request_compression_algorithm="deflate",
                             response_compression_algorithm="deflate"),
            "columns": infer(ROWS[:, :2], "FP32", True),
            "too_many": infer(np.tile(ROWS, (40, 1)), "FP32", True),
            "unknown_version": infer(ROWS, "FP32", True, model_version="9"),
            "unknown_output": infer(ROWS, "FP32", True, [("labels", True)]),
            "no_scores": infer(ROWS, "FP32", True, [("scores", True)], model_version="4"),
            "nan": infer(np.array([[1, np.nan, 2]]), "FP32", True),
            "infinity": infer(np.array([[1, np.inf, 2]]), "FP32", True),
            "sequence": infer(ROWS, "FP32", True, sequence_id=3, sequence_start=True),
            "priority": infer(ROWS, "FP32", True, priority=2, timeout=5_000_000),
            "classification": told(lambda: shown(client.infer(
                "digits", [tensor(http, ROWS, "FP32")],
                outputs=[http.InferRequestedOutput("scores", class_count=2)]))),
            "async": [shown(one.get_result()) for one in [
                client.async_infer("digits", [tensor(http, ROWS[i:i + 1], "FP32")]) for i in range(3)]],
        }  # fmt: skip
    with http.InferenceServerClient(people) as client:
        found["people"] = shown(client.infer("people", persons(http)))
        whole = persons(http, height=[[1.5], [0], [2.25]], binary_data=False)
        found["people_json"] = shown(client.infer("people", whole))
        broken = persons(http, binary_data=False)
        found["nan_json"] = told(lambda: shown(client.infer("people", broken)))
    with http.InferenceServerClient(empty) as client:
        found["empty"] = [client.is_server_live(), client.is_server_ready(), client.is_model_ready("people")]
    return found


def persons(library, height=None, **options):
    given = []
    for name, (datatype, listed) in PEOPLE.items():
        values = height if height and name == "height" else listed
        cells = np.array(values, dtype=object if datatype == "BYTES" else NUMPY[datatype])
        given.append(library.InferInput(name, list(cells.shape), datatype))
        given[-1].set_data_from_numpy(cells, **options)
    return given


def ask_grpc(address, people, empty):
    with grpc.InferenceServerClient(address) as client:
        infer = grpc_infer(client)
        found = {
            "health": health(client),
            "described": described(client, as_json=True),
            "binary": infer(ROWS, "FP32", request_id="t-1"),
            "one": infer(ROWS, "FP32", [("scores", {})]),
            "pinned": infer(ROWS, "FP64", model_version="4"),
            "datatypes": {name: infer(np.array([[0, 1, 0]]), name) for name in NUMPY},
            "gzip": infer(np.tile(ROWS, (30, 1)), "FP32", compression_algorithm="gzip"),
            "columns": infer(ROWS[:, :2], "FP32"),
            "unknown_version": infer(ROWS, "FP32", model_version="9"),
            "unknown_output": infer(ROWS, "FP32", [("labels", {})]),
            "classification": infer(ROWS, "FP32", [("scores", {"class_count": 2})]),
            "too_many": infer(np.tile(ROWS, (40, 1)), "FP32"),
            "no_scores": infer(ROWS, "FP32", [("scores", {})], model_version="4"),
            "nan": infer(np.array([[1, np.nan, 2]]), "FP32"),
            "infinity": infer(np.array([[1, np.inf, 2]]), "FP32"),
            "sequence": infer(ROWS, "FP32", sequence_id=3, sequence_start=True),
            "priority": infer(ROWS, "FP32", priority=2, timeout=5_000_000),
            "stream": stream(client),
            "shared_memory": told(client.get_system_shared_memory_status),
            "trace": told(client.get_trace_settings),
            "log": told(client.get_log_settings),
        }
        found["headers"] = infer(ROWS, "FP32", headers={"x-request-id": "from-metadata"})
    with grpc.InferenceServerClient(people) as client:
        found["people"] = shown(client.infer("people", persons(grpc)))
    with grpc.InferenceServerClient(empty) as client:
        found["empty"] = [
            client.is_server_live(), client.is_server_ready(), client.is_model_ready("people"),
            told(lambda: client.get_model_metadata("people")),
        ]  # fmt: skip
    return found


def stream(client):
    """Five requests of one stream, the third of them wrong: the replies in their order."""
    came: queue.Queue = queue.Queue()
    client.start_stream(lambda result, error: came.put((result, error)))
    for i in range(5):
        rows = ROWS[i % 3 : i % 3 + 1, : 2 if i == 2 else 3]
        client.async_stream_infer("digits", [tensor(grpc, rows, "FP32")], request_id=f"s-{i}",
                                  enable_empty_final_response=True)  # fmt: skip
    found = []
    for _ in range(5):
        result, error = came.get(timeout=30)
        if error:
            found.append({"error": error.message()})
        else:
            marks = result.get_response().parameters
            found.append({**shown(result), "final": marks["triton_final_response"].bool_param})
    client.stop_stream()
    return found


async def ask_async(digits_http, digits_grpc):
    """Many requests at once, each answered with its own rows."""
    found = {}
    for name, library, address in (("http", http_aio, digits_http), ("grpc", grpc_aio, digits_grpc)):
        async with library.InferenceServerClient(address) as client:
            rows = [np.array([[i, -i, i / 2]]) for i in range(40)]
            asked = [client.infer("digits", [tensor(library, one, "FP32")], request_id=f"a-{i}")
                     for i, one in enumerate(rows)]  # fmt: skip
            replies = await asyncio.gather(*asked)
            found[name] = [shown(one) for one in replies]
    async with grpc_aio.InferenceServerClient(digits_grpc) as client:

        async def requests():
            for i in range(3):
                yield {"model_name": "digits", "inputs": [tensor(grpc_aio, ROWS[i : i + 1], "FP32")]}

        found["stream"] = [shown(result) async for result, error in client.stream_infer(requests())]
    return found


def main(digits_http, digits_grpc, people_http, people_grpc, empty_http, empty_grpc):
    found = {
        "http": ask_http(digits_http, people_http, empty_http),
        "grpc": ask_grpc(digits_grpc, people_grpc, empty_grpc),
        "async": asyncio.run(ask_async(digits_http, digits_grpc)),
    }
    print(json.dumps(found, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])

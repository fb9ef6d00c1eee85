"""KServe's clients against a gateway: prints what each question brought, as JSON.

Usage: ask_kserve.py DIGITS_HTTP DIGITS_GRPC PEOPLE_HTTP PEOPLE_GRPC EMPTY_HTTP EMPTY_GRPC
"""

import asyncio
import json
import sys

import grpc
import httpx
import numpy as np
from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceGRPCClient, InferenceRESTClient, RESTConfig
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.infer_type import RequestedOutput

ROWS = np.array([[0.5, -1.25, 3.0], [9.0, 0.125, 2.0], [1 / 3, 7.0, -0.0]], dtype="float32")
PEOPLE = {
    "name": ("BYTES", np.array([["Ann"], ["Jürgen"], [""]], dtype=object)),
    "age": ("INT64", np.array([[41], [7], [0]])),
    "height": ("FP64", np.array([[1.5], [0.0], [2.25]])),
    "member": ("BOOL", np.array([[True], [False], [False]])),
}


def request(model, tensors, *, is_binary, outputs=(), name="k-1"):
    given = [InferInput(one, list(values.shape), datatype) for one, (datatype, values) in tensors.items()]
    for tensor, (_, values) in zip(given, tensors.values(), strict=True):
        tensor.set_data_from_numpy(values, binary_data=is_binary)
    asked = [RequestedOutput(one, {"binary_data": is_binary}) for one in outputs]
    return InferRequest(model, given, request_id=name, request_outputs=asked or None)


def shown(reply):
    found = {one.name: [one.datatype, list(one.shape), one.as_numpy().tolist()] for one in reply.outputs}
    return {"outputs": found, "model": reply.model_name, "version": reply.model_version, "id": reply.id}


async def told(waiting):
    try:
        return await waiting
    except httpx.HTTPStatusError as error:
        return {"error": str(error), "status": error.response.status_code}
    except grpc.RpcError as error:
        return {"error": error.details(), "status": error.code().name}


async def answered(waiting):
    return shown(await waiting)


async def ask_rest(digits, people, empty):
    base = f"http://{digits}"
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:

        async def infer(tensors, **options):
            model = "people" if tensors is PEOPLE else "digits"
            at = f"http://{people}" if tensors is PEOPLE else base
            return await told(
                answered(client.infer(at, request(model, tensors, **options), model_name=model))
            )

        digit = {"input": ("FP32", ROWS)}
        return {
            "health": [await client.is_server_live(base), await client.is_server_ready(base)],
            "model": [await client.is_model_ready(base, one) for one in ("digits", "dogs")],
            "empty": await told(client.is_server_ready(f"http://{empty}")),
            "json": await infer(digit, is_binary=False),
            "binary": await infer(digit, is_binary=True, outputs=["predictions", "scores"]),
            "one": await infer(digit, is_binary=True, outputs=["scores"]),
            "half": await infer({"input": ("FP16", ROWS.astype("float16"))}, is_binary=True),
            "people": await infer(PEOPLE, is_binary=True),
            "people_json": await infer(PEOPLE, is_binary=False),
            "columns": await infer({"input": ("FP32", ROWS[:, :2])}, is_binary=False),
        }


async def ask_grpc(digits, people, empty):
    async with InferenceGRPCClient(digits) as client, InferenceGRPCClient(people) as other:
        digit = {"input": ("FP32", ROWS)}
        found = {
            "health": [await client.is_server_live(), await client.is_server_ready()],
            "model": [await client.is_model_ready(one) for one in ("digits", "dogs")],
            "typed": await told(answered(client.infer(request("digits", digit, is_binary=False)))),
            "binary": await told(answered(client.infer(request("digits", digit, is_binary=True)))),
            "people": await told(answered(other.infer(request("people", PEOPLE, is_binary=False)))),
            "unknown": await told(answered(client.infer(request("dogs", digit, is_binary=False)))),
            "repository": await repository(client),
        }
    async with InferenceGRPCClient(empty, retries=0) as client:
        found["empty"] = [await client.is_server_live(), await client.is_server_ready()]
    return found


async def repository(client):
    """KServe's own layout of these messages, in which the model's name is the first field."""
    stub = client._client_stub
    loaded = await stub.RepositoryModelLoad(messages.RepositoryModelLoadRequest(model_name="digits"))
    return {
        "load": [loaded.model_name, loaded.isLoaded],
        "unload": await told(
            stub.RepositoryModelUnload(messages.RepositoryModelUnloadRequest(model_name="digits"))
        ),
        "unknown": await told(
            stub.RepositoryModelLoad(messages.RepositoryModelLoadRequest(model_name="dogs"))
        ),
    }


async def main(digits_http, digits_grpc, people_http, people_grpc, empty_http, empty_grpc):
    found = {
        "http": await ask_rest(digits_http, people_http, empty_http),
        "grpc": await ask_grpc(digits_grpc, people_grpc, empty_grpc),
    }
    print(json.dumps(found, default=str))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

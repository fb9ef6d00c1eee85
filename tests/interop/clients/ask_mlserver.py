"""MLServer's own records and gRPC stub against a gateway: prints what each question brought, as JSON.

Usage: ask_mlserver.py DIGITS_HTTP DIGITS_GRPC PEOPLE_HTTP PEOPLE_GRPC
"""

import json
import sys
import urllib.error
import urllib.request

import grpc
import numpy as np
from mlserver import types
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.grpc import converters
from mlserver.grpc import dataplane_pb2 as messages
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub

ROWS = np.array([[0.5, -1.25, 3.0], [9.0, 0.125, 2.0], [1 / 3, 7.0, -0.0]], dtype="float32")
REPLIES = {
    "server": ("GET", "/v2", types.MetadataServerResponse),
    "model": ("GET", "/v2/models/digits", types.MetadataModelResponse),
    "version": ("GET", "/v2/models/digits/versions/4", types.MetadataModelResponse),
    "unknown": ("GET", "/v2/models/dogs", types.MetadataModelErrorResponse),
    "unknown_version": ("GET", "/v2/models/digits/versions/9", types.MetadataModelErrorResponse),
    "index": ("POST", "/v2/repository/index", types.RepositoryIndexResponse),
    "load_unknown": ("POST", "/v2/repository/models/dogs/load", types.RepositoryLoadErrorResponse),
    "unload": ("POST", "/v2/repository/models/digits/unload", types.RepositoryUnloadErrorResponse),
}


def digits():
    return types.InferenceRequest(id="m-1", inputs=[NumpyCodec.encode_input("input", ROWS)])


def people():
    columns = {
        "age": np.array([[41], [7]]),
        "height": np.array([[1.5], [2.25]]),
        "member": np.array([[True], [False]]),
    }
    numbers = [NumpyCodec.encode_input(name, values) for name, values in columns.items()]
    return types.InferenceRequest(inputs=[StringCodec.encode_input("name", ["Ann", "Jürgen"]), *numbers])


def sent(address, method, path, body=b""):
    """Status and body of a request."""
    asked = urllib.request.Request(
        f"http://{address}{path}", body if method == "POST" else None, method=method
    )
    try:
        with urllib.request.urlopen(asked, timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def read(address, name):
    """A reply that keeps to MLServer's record of it."""
    method, path, record = REPLIES[name]
    status, body = sent(address, method, path)
    return [status, record.model_validate_json(body).model_dump(mode="json", exclude_none=True)]


def inferred(address, model, request):
    status, body = sent(address, "POST", f"/v2/models/{model}/infer", request.model_dump_json().encode())
    if status != 200:
        return [status, types.InferenceErrorResponse.model_validate_json(body).error]
    return [status, *shown(types.InferenceResponse.model_validate_json(body))]


def shown(reply):
    decoded = {
        one.name: (StringCodec if one.datatype == "BYTES" else NumpyCodec).decode_output(one)
        for one in reply.outputs
    }
    listed = {
        name: values if isinstance(values, list) else values.tolist() for name, values in decoded.items()
    }
    return [reply.id, reply.model_version, listed]


def called(stub, model, request, *, is_raw):
    message = converters.ModelInferRequestConverter.from_types(request, model_name=model, use_raw=is_raw)
    try:
        return shown(converters.ModelInferResponseConverter.to_types(stub.ModelInfer(message)))
    except grpc.RpcError as error:
        return [error.code().name, error.details()]


def ask_grpc(digits_address, people_address):
    with grpc.insecure_channel(digits_address) as channel, grpc.insecure_channel(people_address) as other:
        stub, second = GRPCInferenceServiceStub(channel), GRPCInferenceServiceStub(other)
        wide = types.InferenceRequest(inputs=[NumpyCodec.encode_input("input", ROWS[:, :2])])
        metadata = stub.ModelMetadata(messages.ModelMetadataRequest(name="digits", version="4"))
        described = converters.ModelMetadataResponseConverter.to_types(metadata)
        index = stub.RepositoryIndex(messages.RepositoryIndexRequest(ready=True))
        return {
            "live": stub.ServerLive(messages.ServerLiveRequest()).live,
            "model": described.model_dump(mode="json", exclude_none=True),
            "typed": called(stub, "digits", digits(), is_raw=False),
            "raw": called(stub, "digits", digits(), is_raw=True),
            "people": called(second, "people", people(), is_raw=False),
            "columns": called(stub, "digits", wide, is_raw=False),
            "index": [[one.version, one.state] for one in index.models],
            "load": str(stub.RepositoryModelLoad(messages.RepositoryModelLoadRequest(model_name="digits"))),
        }


def main(digits_http, digits_grpc, people_http, people_grpc):
    wide = types.InferenceRequest(inputs=[NumpyCodec.encode_input("input", ROWS[:, :2])])
    found = {
        "replies": {name: read(digits_http, name) for name in REPLIES},
        "digits": inferred(digits_http, "digits", digits()),
        "people": inferred(people_http, "people", people()),
        "columns": inferred(digits_http, "digits", wide),
        "grpc": ask_grpc(digits_grpc, people_grpc),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""gRPC on a socket: every call and its status, whatever is sent, and each reply to its own request."""

import asyncio
import hashlib
import math

import grpc
import grpc.aio
import numpy as np
import pytest

from tidegate import __version__
from tidegate.domain import AccessKey
from tidegate.errors import UnavailableError
from tidegate.serve.access import Access
from tidegate.serve.grpc import Front
from tidegate.serve.protobuf import SERVICE, message_classes
from tidegate.serve.service import Version

WAIT_S = 10.0
ROW = [1.0, 2.0, 3.0]


class Client:
    """Calls by name: `await client("ModelReady", name="digits")`; `raw` sends bytes that may be no message."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.trailing: dict[str, str] = {}

    async def __call__(self, call_name: str, request=None, /, *, metadata=(), timeout=WAIT_S, **fields):
        classes = message_classes()
        asked = request if request is not None else classes[f"{call_name}Request"](**fields)
        call = self._method(call_name)(asked.SerializeToString(), metadata=tuple(metadata), timeout=timeout)
        reply = await call
        self.trailing = dict(await call.trailing_metadata())
        return classes[f"{call_name}Response"].FromString(reply)

    async def raw(self, name: str, data: bytes) -> bytes:
        return await self._method(name)(data, timeout=WAIT_S)

    async def stream(self, requests, *, metadata=(), got=None) -> list:
        """The replies, in `got` when it is given: there are some before an end that is raised."""
        call = self.channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")(
            iter([request.SerializeToString() for request in requests]),
            metadata=tuple(metadata),
            timeout=WAIT_S,
        )
        found = [] if got is None else got
        reply = message_classes()["ModelStreamInferResponse"]
        async for one in call:
            found.append(reply.FromString(one))
        return found

    def _method(self, name: str):
        return self.channel.unary_unary(f"/{SERVICE}/{name}")


def asking(rows=(ROW,), *, name: str = "digits", request: str = "", **fields):
    """An inference request of raw rows."""
    made = message_classes()["ModelInferRequest"](model_name=name, id=request, **fields)
    made.inputs.add(name="input", datatype="FP64", shape=[len(rows), 3])
    made.raw_input_contents.append(np.array(rows, dtype="<f8").tobytes())
    return made


@pytest.fixture
def serve(gateway):
    """`serve(talk)`: run `talk(client)` against a listening front."""

    def run(talk):
        async def both():
            front = Front(gateway.service)
            port = await front.start("127.0.0.1:0")
            try:
                async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                    return await talk(Client(channel))
            finally:
                await front.stop(1.0)

        return asyncio.run(both())

    return run


def refused(serve, talk) -> tuple[str, str]:
    """The status and the sentence of a call that is refused."""

    async def run(client):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await talk(client)
        return caught.value.code().name, caught.value.details()

    return serve(run)


def test_the_server_tells_of_itself_and_of_its_model(serve, gateway) -> None:
    gateway.service.versions = (Version(3, True), Version(2, False, "not released"))

    async def talk(client):
        live, ready = await client("ServerLive"), await client("ServerReady")
        known = [
            (await client("ModelReady", name=name, version=version)).ready
            for name, version in (("digits", ""), ("digits", "3"), ("digits", "4"), ("dogs", ""))
        ]
        server, model = await client("ServerMetadata"), await client("ModelMetadata", name="digits")
        index = await client("RepositoryIndex")
        ready_only = await client("RepositoryIndex", ready=True)
        return live.live, ready.ready, known, server, model, index, ready_only

    live, ready, known, server, model, index, ready_only = serve(talk)
    assert (live, ready, known) == (True, True, [True, True, False, False])
    assert (server.name, server.version) == ("tidegate", __version__)
    assert list(server.extensions) == ["binary_tensor_data", "model_repository"]
    assert (model.platform, list(model.versions)) == ("onnx_onnxv1", ["3"])
    assert [(one.name, one.datatype, list(one.shape)) for one in model.inputs] == [("input", "FP64", [-1, 3])]
    assert [(one.version, one.state) for one in index.models] == [("3", "READY"), ("2", "UNAVAILABLE")]
    assert [one.version for one in ready_only.models] == ["3"]


def test_a_prediction_names_who_answered_and_is_logged(serve, gateway) -> None:
    async def talk(client):
        asked = asking([ROW, [9.0, 2.0, 3.0]], request="r-1")
        return await client("ModelInfer", asked, metadata=[("x-user", "ann")]), client.trailing

    reply, trailing = serve(talk)
    assert (reply.model_name, reply.model_version, reply.id) == ("digits", "3", "r-1")
    assert reply.raw_output_contents[0] == b"\1\0\0\0c\1\0\0\0a"
    assert trailing["x-tidegate-bundle"] == gateway.model.digest
    assert (trailing["x-tidegate-release"], trailing["x-tidegate-role"]) == ("7", "stable")
    assert [(row.request, row.unit, row.status) for row in gateway.rows] == [
        ("r-1.0", "ann", 200),
        ("r-1.1", "ann", 200),
    ]


def test_the_request_id_may_come_in_the_metadata_or_is_made(serve) -> None:
    async def talk(client):
        named = await client("ModelInfer", asking(), metadata=[("x-request-id", "m-1")])
        return named.id, (await client("ModelInfer", asking())).id

    named, made = serve(talk)
    assert named == "m-1"
    assert len(made) == 16


def test_a_version_is_asked_by_its_number(serve, gateway) -> None:
    gateway.start_canary(0.0)

    async def talk(client):
        return await client("ModelInfer", asking(model_version="4")), client.trailing

    reply, trailing = serve(talk)
    assert (reply.model_version, trailing["x-tidegate-role"]) == ("4", "canary")
    assert [row.unit for row in gateway.rows] == [""]


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [
        (asking(name="dogs"), "NOT_FOUND", "no model `dogs`, this endpoint serves `digits`"),
        (asking(model_version="9"), "NOT_FOUND", "model `digits` has no version `9` here"),
        (
            asking([[1.0, math.nan, 3.0]]),
            "INVALID_ARGUMENT",
            "inputs[0].data row 0.b: is null, expected a value",
        ),
        (asking([[1.0, 2.0, 666.0]]), "INTERNAL", "model: cannot take 666"),
        (asking(request="a b"), "INVALID_ARGUMENT", "id: expected 1 to 128 visible ASCII characters"),
    ],
)
def test_a_refusal_has_its_status_and_sentence(serve, asked, status: str, message: str) -> None:
    assert refused(serve, lambda client: client("ModelInfer", asked)) == (status, message)


def test_a_model_that_answers_nan_has_failed(serve, gateway) -> None:
    gateway.model.predict = lambda rows: (["a"] * len(rows), np.full((len(rows), 3), np.nan))
    found = refused(serve, lambda client: client("ModelInfer", asking()))
    assert found == ("INTERNAL", "model: answered NaN or infinity, expected numbers")
    assert [row.status for row in gateway.rows] == [500]


def test_while_nothing_is_live_calls_are_unavailable(serve, gateway) -> None:
    gateway.engine.route = None

    async def talk(client):
        return (await client("ServerLive")).live, (await client("ServerReady")).ready

    assert serve(talk) == (True, False)
    assert refused(serve, lambda client: client("ModelInfer", asking()))[0] == "UNAVAILABLE"


def test_a_fault_of_ours_is_internal_and_tells_nothing(serve, gateway, capsys) -> None:
    gateway.fault = RuntimeError("secret")
    status, message = refused(serve, lambda client: client("ModelInfer", asking()))
    assert (status, message) == ("INTERNAL", "internal error, see the log of the gateway")
    assert "secret" in capsys.readouterr().err


def test_the_deadline_of_the_client_ends_its_request(serve, gateway) -> None:
    gateway.model.is_remote = True
    gateway.model.opened.clear()
    status, _ = refused(serve, lambda client: client("ModelInfer", asking(), timeout=0.2))
    gateway.model.opened.set()
    assert status == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("name", ["ModelInfer", "ModelReady", "RepositoryIndex"])
@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x7fx", b"\x0a\x01\xff"])
def test_bytes_that_are_no_message_are_the_clients_fault(serve, name: str, data: bytes) -> None:
    status, _ = refused(serve, lambda client: client.raw(name, data))
    assert status == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "name", ["ModelConfig", "ModelStatistics", "SystemSharedMemoryStatus", "TraceSetting"]
)
def test_what_is_not_offered_is_unimplemented(serve, name: str) -> None:
    assert refused(serve, lambda client: client.raw(name, b""))[0] == "UNIMPLEMENTED"


@pytest.mark.parametrize(
    "layout", [{"first": "digits"}, {"first": "", "second": "digits"}, {"first": "r", "second": "digits"}]
)
def test_both_layouts_of_load_and_unload_are_understood(serve, layout) -> None:
    async def talk(client):
        return await client("RepositoryModelLoad", **layout)

    reply = serve(talk)
    assert (reply.model_name, reply.isLoaded) == ("digits", True)
    status, message = refused(serve, lambda client: client("RepositoryModelUnload", **layout))
    assert (status, message.split(",")[0]) == ("INVALID_ARGUMENT", "model `digits` is live")


def test_a_stream_goes_on_after_a_bad_request_and_is_counted(serve, gateway) -> None:
    asked = [
        asking(request="s-0"),
        asking(name="dogs", request="s-1"),
        asking([[9.0, 1.0, 1.0]], request="s-2"),
    ]
    found = serve(lambda client: client.stream(asked))
    assert [one.infer_response.id for one in found] == ["s-0", "s-1", "s-2"]
    assert [one.error_message.split(",")[0] for one in found] == ["", "no model `dogs`", ""]
    assert all(one.infer_response.parameters["triton_final_response"].bool_param for one in found)
    counted = gateway.service.metrics.render().decode()
    assert 'path="grpc ModelStreamInfer",role="",status="404"' in counted


def test_of_many_calls_at_once_each_gets_its_own_answer(serve) -> None:
    rows = [[float(i), -float(i), i / 2] for i in range(60)]

    async def talk(client):
        return await asyncio.gather(
            *(client("ModelInfer", asking([row], request=f"q-{i}")) for i, row in enumerate(rows))
        )

    found = serve(talk)
    assert [one.id for one in found] == [f"q-{i}" for i in range(60)]
    scores = [np.frombuffer(one.raw_output_contents[1], dtype="<f4").tolist() for one in found]
    assert scores == rows


def test_keys_are_asked_for_everything_but_health(serve, gateway) -> None:
    digest = hashlib.sha256(b"secret").hexdigest()
    gateway.service.access = Access((AccessKey("ann", digest, ("predict",), None, 0.0),))

    async def talk(client):
        live = await client("ServerLive")
        reply = await client("ModelInfer", asking(), metadata=[("authorization", "Bearer secret")])
        return live.live, reply.model_name

    assert serve(talk) == (True, "digits")
    assert refused(serve, lambda client: client("ModelInfer", asking()))[0] == "UNAUTHENTICATED"
    metadata = [("x-api-key", "secret")]
    assert (
        refused(serve, lambda client: client("RepositoryIndex", metadata=metadata))[0] == "PERMISSION_DENIED"
    )


def keys(**fields):
    """One key, whose token is `secret`, that may predict unless `fields` say otherwise."""
    made = {"name": "ann", "roles": ("predict",), "rate": None, **fields}
    return (AccessKey(sha256=hashlib.sha256(b"secret").hexdigest(), at=0.0, **made),)


SECRET = [("authorization", "Bearer secret")]


@pytest.mark.parametrize("asked", [[], [asking()]])
@pytest.mark.parametrize(
    ("metadata", "roles", "status"),
    [
        ([], ("predict",), "UNAUTHENTICATED"),
        ([("authorization", "Bearer other")], ("predict",), "UNAUTHENTICATED"),
        (SECRET, ("label", "operate"), "PERMISSION_DENIED"),
    ],
)
def test_a_stream_that_is_not_allowed_ends_as_a_call_does(
    serve, gateway, asked, metadata, roles, status
) -> None:
    gateway.service.access = Access(keys(roles=roles))
    found = refused(serve, lambda client: client.stream(asked, metadata=metadata))
    assert found == refused(serve, lambda client: client("ModelInfer", asking(), metadata=metadata))
    assert found[0] == status
    assert gateway.rows == []
    code = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403}[status]
    assert (
        f'path="grpc ModelStreamInfer",role="",status="{code}"' in gateway.service.metrics.render().decode()
    )


def test_a_stream_may_ask_as_often_as_calls_may(serve, gateway) -> None:
    gateway.service.access = Access(keys(rate=0.001))
    got = []
    status, message = refused(
        serve, lambda client: client.stream([asking(), asking()], metadata=SECRET, got=got)
    )
    assert (status, message) == ("RESOURCE_EXHAUSTED", "key `ann` asks more than 0.001 times a second")
    assert [one.error_message for one in got] == [""]


def test_a_key_that_is_revoked_ends_a_stream_that_has_begun(serve, gateway) -> None:
    gateway.service.access = Access(keys())

    async def talk(client):
        reply = message_classes()["ModelStreamInferResponse"]
        call = client.channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")(metadata=SECRET, timeout=WAIT_S)
        await call.write(asking().SerializeToString())
        first = reply.FromString(await call.read())
        gateway.service.access.keys = ()
        await call.write(asking().SerializeToString())
        return first.error_message, (await call.code()).name

    assert serve(talk) == ("", "UNAUTHENTICATED")


def test_an_address_that_cannot_be_listened_on_is_said(gateway) -> None:
    with pytest.raises(UnavailableError, match="cannot be listened on"):
        asyncio.run(Front(gateway.service).start("256.0.0.1:80"))

"""The Open Inference Protocol v2 over gRPC, behind the same service as every front."""

import math
import time
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.domain import AccessRole
from tidegate.errors import NotFoundError, TidegateError, UnavailableError, UsageError
from tidegate.serve.access import Access, DeniedError, bearer
from tidegate.serve.grpc_server import Listening, Server, require_grpc
from tidegate.serve.job import Answered, LateError
from tidegate.serve.message import read_infer, render_infer
from tidegate.serve.oip import model_metadata, require_outputs, server_metadata
from tidegate.serve.parse import check_request_id
from tidegate.serve.protobuf import SERVICE, message_classes
from tidegate.serve.repository import list_versions, load_named, unload_named
from tidegate.serve.request import fresh_id
from tidegate.serve.route import Arm
from tidegate.serve.rows import tensor_rows
from tidegate.serve.service import UNIT_LENGTH, Caller, Service
from tidegate.serve.shape import Matrix, Shape

if TYPE_CHECKING:
    import grpc

CODES = {NotFoundError: "NOT_FOUND", UsageError: "INVALID_ARGUMENT", UnavailableError: "UNAVAILABLE"}
DENIALS: dict[int, str] = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED"}
STATUSES = {
    "OK": 200,
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "CANCELLED": 499,
    **{code: status for status, code in DENIALS.items()},
}
FAULT = "internal error, see the log of the gateway"

Message = Any
Context = Any


class Call(NamedTuple):
    """Who calls and how it is told on the wire: the metadata by name, and the seconds that are left."""

    metadata: Mapping[str, str]
    left_s: float


class Front:
    """The gRPC server of one worker."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._unit_header = service.settings.unit_header
        self._server: Server | None = None

    async def start(self, address: str, credentials: "grpc.ServerCredentials | None" = None) -> int:
        """Listen, on a port that workers share; the port. Raises UnavailableError when it is taken."""
        require_grpc()
        limit = self._service.settings.max_body_bytes
        self._server = Server(Listening(address, limit, _handlers(self), credentials))
        return await self._server.start()

    async def stop(self, drain_s: float) -> None:
        """Let running calls end within the drain time."""
        if self._server:
            await self._server.stop(drain_s)

    async def unary(self, name: str, request: Message, context: "Context") -> Message:
        """One call, counted; a failure becomes its status."""
        began, status, role = time.perf_counter(), "CANCELLED", ""
        try:
            reply, answered = await self._reply(name, request, _call(context))
            if answered:
                role = answered.arm.role
                context.set_trailing_metadata(_arm_metadata(answered))
            status = "OK"
            return reply
        except TidegateError as error:
            status = _code(error)
            await context.abort(_grpc_code(status), str(error))
        except Exception:  # a fault of ours must reach the client as a status and the log as a trace
            traceback.print_exc()
            status = "INTERNAL"
            await context.abort(_grpc_code(status), FAULT)
        finally:
            seconds = time.perf_counter() - began
            self._service.metrics.count(f"grpc {name}", STATUSES.get(status, 500), role, seconds=seconds)

    async def stream(self, requests: AsyncIterator[Message], context: "Context") -> AsyncIterator[Message]:
        """Answer requests of a stream in their order; a bad one is told, one that is not allowed ends it."""
        # with buckets of its own: to begin a stream is no request yet
        await self._let_in(Access(self._service.access.keys), context)
        async for request in requests:
            await self._let_in(self._service.access, context)
            if request is None:
                await context.abort(_grpc_code("INVALID_ARGUMENT"), "message: no ModelInferRequest")
            yield await self._streamed(request, _call(context))

    async def _let_in(self, access: Access, context: "Context") -> None:
        """End a stream whose key does not allow its next request."""
        try:
            _admit(access, "ModelStreamInfer", _call(context))
        except DeniedError as error:
            self._service.metrics.count("grpc ModelStreamInfer", error.status, "", seconds=0.0)
            await context.abort(_grpc_code(_code(error)), str(error))

    async def _streamed(self, request: Message, call: Call) -> Message:
        """One reply of a stream, counted; Triton's clients wait for the mark of the last one to a request."""
        began, status, role = time.perf_counter(), "CANCELLED", ""
        reply = message_classes()["ModelStreamInferResponse"]()
        try:
            found, answered = await self._infer(request, call)
            reply.infer_response.CopyFrom(found)
            status, role = "OK", answered.arm.role
        except TidegateError as error:
            status, reply.error_message = _code(error), str(error)
        except Exception:  # a fault of ours must reach the client as a sentence and the log as a trace
            traceback.print_exc()
            status, reply.error_message = "INTERNAL", FAULT
        finally:
            seconds = time.perf_counter() - began
            self._service.metrics.count(
                "grpc ModelStreamInfer", STATUSES.get(status, 500), role, seconds=seconds
            )
        reply.infer_response.id = reply.infer_response.id or request.id
        reply.infer_response.parameters["triton_final_response"].bool_param = True
        return reply

    async def _reply(self, name: str, request: Message | None, call: Call) -> tuple[Message, Answered | None]:
        _admit(self._service.access, name, call)
        if request is None:
            raise UsageError("message", f"no {name}Request")
        if name == "ModelInfer":
            return await self._infer(request, call)
        return self._show(name, request), None

    def _show(self, name: str, request: Message) -> Message:
        """The calls that ask no model."""
        service, reply = self._service, message_classes()[f"{name}Response"]
        match name:
            case "ServerLive":
                return reply(live=True)
            case "ServerReady":
                return reply(ready=_is_met(service.live))
            case "ModelReady":
                return reply(ready=_is_met(lambda: service.named(request.name, request.version)))
            case "ServerMetadata":
                return reply(**server_metadata())
            case "ModelMetadata":
                arm = service.named(request.name, request.version) or service.live().stable
                return reply(**model_metadata(service.live(), arm))
            case "RepositoryIndex":
                return reply(models=list_versions(service, only_ready=request.ready))
            case "RepositoryModelLoad":
                load_named(service, request.second or request.first, request.parameters)
                return reply(model_name=request.second or request.first, isLoaded=True)
        unload_named(service, request.second or request.first)
        return reply()

    async def _infer(self, request: Message, call: Call) -> tuple[Message, Answered]:
        service = self._service

        def parse(arm: Arm, shape: Shape) -> Matrix:
            require_outputs(asked, arm.model)
            return tensor_rows(asked.tensors, arm.model.inputs, shape, max_rows=service.settings.max_rows)

        pinned = service.named(request.model_name, request.model_version)
        asked = read_infer(request)
        name = asked.id or call.metadata.get("x-request-id") or fresh_id()
        unit = call.metadata.get(self._unit_header, "")[:UNIT_LENGTH] if self._unit_header else ""
        caller = Caller(check_request_id(name), unit, time.time(), min(asked.timeout_s, call.left_s))
        answered = await service.predict(parse, caller, pinned=pinned)
        return render_infer(request.model_name, name, answered, asked), answered


def _admit(access: Access, name: str, call: Call) -> None:
    """Raise DeniedError for a call that its key does not allow; whether a server is up anybody may ask."""
    if access.is_open or name in ("ServerLive", "ServerReady"):
        return
    role: AccessRole = "operate" if name.startswith("Repository") else "predict"
    token = bearer(call.metadata.get("authorization", "")) or call.metadata.get("x-api-key", "")
    access.check(token, role, now=time.monotonic())


def _handlers(front: Front) -> "grpc.GenericRpcHandler":
    import grpc

    found: dict[str, grpc.RpcMethodHandler[Message, Message]] = {}
    for name in message_classes():
        if name.endswith("Request") and name != "ModelStreamInferRequest":
            method = name.removesuffix("Request")
            found[method] = _unary(front, method)
    request, reply = (message_classes()[name] for name in ("ModelInferRequest", "ModelStreamInferResponse"))
    found["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
        front.stream, request_deserializer=_reader(request), response_serializer=reply.SerializeToString
    )
    handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(SERVICE, found)
    return handler


def _unary(front: Front, name: str) -> "grpc.RpcMethodHandler[Message, Message]":
    import grpc

    async def run(request: Message, context: Context) -> Message:
        return await front.unary(name, request, context)

    request, reply = (message_classes()[f"{name}{kind}"] for kind in ("Request", "Response"))
    return grpc.unary_unary_rpc_method_handler(
        run, request_deserializer=_reader(request), response_serializer=reply.SerializeToString
    )


def _reader(kind: Message) -> "Callable[[bytes], Message | None]":
    """Reads messages of a kind; None for bytes that are none, which grpc would report as a fault of ours."""
    from google.protobuf.message import DecodeError

    def read(data: bytes) -> Message | None:
        try:
            return kind.FromString(data)
        except DecodeError:
            return None

    return read


def _call(context: "Context") -> Call:
    given = {
        key.lower(): value for key, value in context.invocation_metadata() or () if isinstance(value, str)
    }
    left = context.time_remaining()
    return Call(given, math.inf if left is None else max(0.0, left))


def _is_met(look: Callable[[], object]) -> bool:
    try:
        look()
    except (NotFoundError, UnavailableError):
        return False
    return True


def _arm_metadata(answered: Answered) -> tuple[tuple[str, str], ...]:
    arm = answered.arm
    return (
        ("x-tidegate-release", str(arm.release)),
        ("x-tidegate-bundle", arm.model.digest),
        ("x-tidegate-role", arm.role),
    )


def _code(error: TidegateError) -> str:
    if isinstance(error, DeniedError):
        return DENIALS[error.status]
    if isinstance(error, LateError):
        return "DEADLINE_EXCEEDED"
    return next((code for kind, code in CODES.items() if isinstance(error, kind)), "INTERNAL")


def _grpc_code(name: str) -> "grpc.StatusCode":
    import grpc

    found: grpc.StatusCode = grpc.StatusCode[name]
    return found

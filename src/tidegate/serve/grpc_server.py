"""The server of gRPC on a port that workers share; a client that ends its loop does not end gRPC for the others."""

import asyncio
import contextlib
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.errors import UnavailableError, missing_extra

if TYPE_CHECKING:
    import grpc
    import grpc.aio

MAX_STREAMS = 256
MAX_METADATA_BYTES = 16_384
KEEP_S = 5.0
ENDING_S = 1.0


class Listening(NamedTuple):
    """Where a server listens, the limit of its messages, and what it answers with."""

    address: str
    message_bytes: int
    handlers: "grpc.GenericRpcHandler"
    credentials: "grpc.ServerCredentials | None" = None


class Server:
    """grpc's own server, and the next one when it ends, as it does at a path that is not UTF-8 (grpcio 1.85)."""

    def __init__(self, listening: Listening) -> None:
        self._listening = listening
        self._server: grpc.aio.Server
        self._woken = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen; the port. Raises UnavailableError when it is taken."""
        port = await self._listen()
        self._keeper = asyncio.create_task(self._keep())
        asyncio.get_running_loop().set_exception_handler(self._tell)
        return port

    async def stop(self, drain_s: float) -> None:
        """Let running calls end within the drain time."""
        if self._keeper:
            self._keeper.cancel()
            await self._server.stop(drain_s)

    async def _listen(self) -> int:
        import grpc

        address, size, handlers, credentials = self._listening
        options = [
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", size),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_concurrent_streams", MAX_STREAMS),
            ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ]
        self._server = grpc.aio.server(options=options)
        self._server.add_generic_rpc_handlers((handlers,))
        try:
            port = (
                int(self._server.add_secure_port(address, credentials))
                if credentials
                else int(self._server.add_insecure_port(address))
            )
        except RuntimeError:
            raise UnavailableError("serve.grpc", f"{address} cannot be listened on") from None
        await self._server.start()
        return port

    async def _keep(self) -> None:
        while True:
            # that it ended is told to the loop at once; should that ever not come, it is seen a moment later
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), KEEP_S)
            self._woken.clear()
            try:
                if not await self._server.wait_for_termination(0):
                    return
            except Exception:  # whatever its loop ended with
                ended = self._server
                await self._listen()
                # the calls that it had taken are still answered
                self._ending = asyncio.create_task(ended.stop(ENDING_S))

    def _tell(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Say what went wrong in the loop, but for what is seen to here."""
        if isinstance(context.get("exception"), UnicodeDecodeError):
            self._woken.set()
        else:
            loop.default_exception_handler(context)


def require_grpc() -> None:
    """Raise the error that names what to install where gRPC is not."""
    if find_spec("grpc") is None:
        raise missing_extra("gRPC", "serve")
    # it would write a line for every malformed header
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")

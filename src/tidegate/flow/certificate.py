"""The endpoint's certificate as its files are now: who renews them restarts nothing."""

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.flow.endpoint import make_context
from tidegate.project import Config
from tidegate.serve.grpc_server import require_grpc
from tidegate.store.stamp import Stamp, stamp_of

if TYPE_CHECKING:
    from grpc import ServerCertificateConfiguration, ServerCredentials


class Certificate:
    """What a worker proves itself by in new handshakes; `context` is what it listens with all its life.

    Raises UsageError for files that are no pair of certificate and key.
    """

    def __init__(self, root: Path, config: Config) -> None:
        self._root = root
        self._config = config
        self._stamps: tuple[Stamp, ...] = ()
        self._pair: tuple[bytes, bytes]
        self._newest: ssl.SSLContext
        self.renew()
        self.context = self._newest
        # asked for every handshake, whether or not the client names a server
        self.context.sni_callback = self._hand_over

    def renew(self) -> None:
        """Take what the files hold when they have changed; UsageError, once, for what is no pair."""
        stamps = tuple(map(stamp_of, self._files()))
        if stamps == self._stamps:
            return
        # first of all: a change while they are read is a change for the next look
        self._stamps = stamps
        context = make_context(self._root, self._config)
        self._newest, self._pair = context, self._read()

    def for_grpc(self) -> "ServerCredentials":
        """The same certificate for gRPC, asked for at every handshake, in a thread of its own."""
        require_grpc()
        import grpc

        def newest() -> "ServerCertificateConfiguration":
            return grpc.ssl_server_certificate_configuration([self._pair])

        return grpc.dynamic_ssl_server_credentials(newest(), newest)

    def _hand_over(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._newest

    def _read(self) -> tuple[bytes, bytes]:
        key, chain = (file.read_bytes() for file in self._files())
        return key, chain

    def _files(self) -> tuple[Path, Path]:
        serving = self._config.serve
        return self._root / serving.tls_key, self._root / serving.tls_certificate
